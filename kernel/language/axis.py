"""The valence axis, the first principal component of class centroids, and how firm and shared it is.

Numpy arrays give arrays, torch tensors give tensors on their device.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from kernel import checks
from kernel.arrays import like, plain, real, single, tensor
from kernel.language.stories import EMOTIONS
from kernel.stats import Interval


class ValenceAxis(TransformerMixin, BaseEstimator):
    r"""Principal components of mean-centred class centroids.

    With :math:`c_1 \dots c_K` the class means of the hidden states and :math:`\bar c` their mean, the axis is
    the first right singular vector :math:`v` of the K x D matrix with rows :math:`c_k - \bar c`, signed so
    that the class `orient` lies at a positive position :math:`(c_k - \bar c) \cdot v` [1]_.

    Parameters
    ----------
    n_components : int
        Components to keep; the first is the axis.
    orient : str
        Class that must lie on the positive side.

    Attributes
    ----------
    direction_ : array, shape (n_features,)
        Unit vector of the axis, the first of `components_` (n_components, n_features).
    positions_ : array, shape (n_classes,)
        Class centroids on the axis, in units of the hidden states.
    explained_variance_ratio_ : array, shape (n_components,)
        Share of the between-class variance.
    classes_ : tuple of str
        FACED order for FACED emotions, alphabetical otherwise.
    centroids_ : array, shape (n_classes, n_features)
        Class means in the order of `classes_`; their mean, `mean_`, is the axis' origin.

    References
    ----------
    .. [1] Radwan et al. (2026), A Shared Valence Axis Across Modern LLMs and Human EEG. arXiv:2606.00129

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> emotions = ["anger", "neutral", "joy"] * 20
    >>> H = rng.standard_normal((60, 8)) + 5 * np.outer(np.tile([-1, 0, 1], 20), np.eye(8)[2])
    >>> axis = ValenceAxis().fit(H, emotions)
    >>> int(np.argmax(axis.direction_))
    2
    """

    def __init__(self, n_components: int = 1, orient: str = "joy"):
        self.n_components = n_components
        self.orient = orient

    def fit(self, X: Any, y: Sequence[str] | np.ndarray) -> ValenceAxis:
        """Find the axis of hidden states (n_texts, n_features), with the emotion of each text.

        One text a class is enough. ValueError if the centroids leave a direction open: they are identical,
        span fewer directions than there are components, spread equally far along two, or `orient` is at zero.
        """
        X = _states(X)
        library: Any = torch if isinstance(X, torch.Tensor) else np
        X = X.detach() if library is torch else X
        self.classes_, rows = _ordered_classes(y, len(X))
        if len(self.classes_) < 2:
            raise ValueError(
                f"all texts are of class {self.classes_[0]!r}: an axis needs two classes or more"
            )
        checks.count("n_components", self.n_components, 1, len(self.classes_) - 1)
        checks.choice("orient", self.orient, self.classes_)
        self.n_features_in_ = X.shape[1]
        self.centroids_ = library.stack([X[texts].mean(0) for texts in rows])
        self.mean_ = self.centroids_.mean(0)
        centred = self.centroids_ - self.mean_
        _, singular, components = library.linalg.svd(centred, full_matrices=False)
        self._check_spread(plain(singular, "singular values"), _rounding(self.centroids_))
        self.components_ = components[: self.n_components]
        self.explained_variance_ratio_ = (singular**2 / (singular**2).sum())[: self.n_components]
        position = float(centred[self.classes_.index(self.orient)] @ self.components_[0])
        if abs(position) < 1e-6 * float(singular[0]):
            raise ValueError(
                f"class {self.orient!r} sits at zero on the axis, so the axis has no sign: orient by another"
            )
        if position < 0:
            self.components_ = -self.components_
        self.direction_ = self.components_[0]
        self.positions_ = centred @ self.direction_
        return self

    def _check_spread(self, singular: np.ndarray, rounding: float) -> None:
        """Refuse directions that rounding alone decides; `singular` are those of the centred centroids."""
        rank = int((singular > rounding).sum())
        if rank == 0:
            raise ValueError(
                f"the hidden states of classes {self.classes_} have identical centroids, so no axis: give "
                "them different texts, or take a deeper layer (layer 0 knows the last token alone)"
            )
        if rank < self.n_components:
            raise ValueError(
                f"n_components={self.n_components}, but the centroids of classes {self.classes_} span {rank} "
                "of them: ask for fewer, or give each class other texts"
            )
        if len(singular) > 1 and singular[0] - singular[1] <= rounding:
            raise ValueError(
                f"the centroids of classes {self.classes_} spread equally far along two directions, so "
                "neither is the axis: add texts"
            )

    def transform(self, X: Any) -> Any:
        """Coordinates on all components, shape (n_texts, n_components), origin at `mean_`."""
        check_is_fitted(self)
        states = _states(X, self.n_features_in_)
        return like((states - like(self.mean_, states)) @ like(self.components_, states).T, X)

    def project(self, X: Any) -> Any:
        """Positions on the axis, shape (n_texts,), in units of the hidden states."""
        return self.transform(X)[:, 0]

    def ablate(self, X: Any) -> Any:
        r"""Hidden states without the axis, :math:`x - (x \cdot v)\,v` for every component, same shape."""
        check_is_fitted(self)
        states = _states(X, self.n_features_in_)
        directions = like(self.components_, states)
        return like(states - (states @ directions.T) @ directions, X)


def bootstrap_direction(
    X: Any,
    y: Sequence[str] | np.ndarray,
    *,
    n_resamples: int = 1000,
    random_state: int | np.random.Generator | None = None,
) -> Interval:
    """Median cosine of resampled axes with the full one, in size, with 95 % limits.

    Paraphrases are resampled within each class, of which `y` has two or more each. Resampled centroids are
    weighted sums of the texts (n_texts, n_features), and the axis of a resample follows from the K x K Gram
    matrix of its centred centroids, so no resample touches the features twice.
    """
    checks.count("n_resamples", n_resamples)
    states = real(_states(X), "hidden states")
    classes, rows = _ordered_classes(y, len(states))
    single_texts = [name for name, texts in zip(classes, rows, strict=True) if len(texts) < 2]
    if single_texts:
        raise ValueError(
            f"classes {single_texts} have one text: a bootstrap needs two or more paraphrases a class"
        )
    rng = np.random.default_rng(random_state)
    axis = ValenceAxis(orient=classes[-1]).fit(states, y)

    cosines = np.empty(n_resamples)
    for b in range(n_resamples):
        weights = np.zeros((len(classes), len(states)))
        for k, texts in enumerate(rows):
            np.add.at(weights[k], rng.choice(texts, len(texts)), 1 / len(texts))
        centroids = weights @ states
        centred = centroids - centroids.mean(0)
        squares, vectors = np.linalg.eigh(centred @ centred.T)
        if not squares[-1] > _rounding(centroids) ** 2:
            raise ValueError(
                f"classes {classes} share texts: resample {b} has identical centroids, so no axis"
            )
        direction = vectors[:, -1] @ centred
        cosines[b] = abs(direction @ axis.direction_) / np.linalg.norm(direction)
    low, middle, high = np.percentile(cosines, [2.5, 50, 97.5])
    return Interval(float(middle), float(low), float(high))


def shuffled_shares(
    X: Any,
    y: Sequence[str] | np.ndarray,
    *,
    n_shuffles: int = 200,
    random_state: int | np.random.Generator | None = None,
) -> np.ndarray:
    r"""Null of the share of PC1, (n_shuffles,): emotions are permuted over the texts, the class sizes stay.

    With :math:`s_1 \ge s_2 \dots` the singular values of a shuffle's mean-centred centroids, its share is
    :math:`s_1^2 / \sum_k s_k^2`. Centroids of texts without any classes have a first component too, and its
    share is large wherever the texts themselves vary along few directions: the share of an axis,
    ``explained_variance_ratio_[0]``, says something about emotions only if it exceeds these. With two
    classes, or one text a class, every shuffle would give the same: such input is a ValueError.
    """
    checks.count("n_shuffles", n_shuffles)
    states = real(_states(X), "hidden states")
    classes, _ = _ordered_classes(y, len(states))
    if len(classes) < 3:
        raise ValueError(
            f"classes {classes}: the share of PC1 needs three classes or more, with two it is one"
        )
    if len(classes) == len(states):
        raise ValueError("each class has one text: shuffling only renames them, so give two or more a class")
    emotions = np.asarray(y, dtype=object)
    rng = np.random.default_rng(random_state)

    shares = np.empty(n_shuffles)
    for b in range(n_shuffles):
        member = rng.permutation(emotions) == np.array(classes, dtype=object)[:, None]
        centroids = member / member.sum(1, keepdims=True) @ states
        variances = np.linalg.svd(centroids - centroids.mean(0), compute_uv=False) ** 2
        if not variances[0] > _rounding(centroids) ** 2:
            raise ValueError(
                f"shuffle {b} leaves identical centroids: too many of the hidden states are equal"
            )
        shares[b] = variances[0] / variances.sum()
    return shares


class Agreement(NamedTuple):
    """Pearson correlations (n, n) between models, and their means with 95 % limits over resampled items.

    `overall` is the mean over all pairs, `within` over pairs of one family, `across` over pairs of different
    families; None where there is no such pair.
    """

    names: tuple[str, ...]
    matrix: np.ndarray
    overall: Interval | None
    within: Interval | None
    across: Interval | None


def agreement(
    vectors: Mapping[str, Any],
    *,
    families: Mapping[str, str] | None = None,
    n_resamples: int = 2000,
    random_state: int | np.random.Generator | None = None,
) -> Agreement:
    """Pairwise correlation of several projections of the same items.

    Parameters
    ----------
    vectors : mapping of name to array, all of one shape (n,)
        Two or more; none may be constant.
    families : mapping of name to family, optional
        Splits the pairs into within and across; without it each name is its own family.
    n_resamples : int
        Bootstrap samples of the items.
    random_state : int, Generator or None
        Seed.

    Returns
    -------
    Agreement
    """
    checks.count("n_resamples", n_resamples)
    names = tuple(vectors)
    if len(names) < 2:
        raise ValueError(f"agreement needs two vectors or more, got {len(names)}")
    rows = [real(vectors[name], f"vector {name!r}") for name in names]
    if len({row.shape for row in rows}) > 1 or rows[0].ndim != 1:
        shapes = {name: row.shape for name, row in zip(names, rows, strict=True)}
        raise ValueError(f"vectors must share one shape (n,), got {shapes}")
    constant = [name for name, row in zip(names, rows, strict=True) if np.ptp(row) == 0]
    if constant:
        raise ValueError(f"vector {constant[0]!r} is constant")

    items = np.stack(rows)
    matrix = _correlations(items)
    rng = np.random.default_rng(random_state)
    picks = (rng.integers(items.shape[1], size=items.shape[1]) for _ in range(n_resamples))
    resampled = np.stack([_correlations(items[:, pick]) for pick in picks])

    def mean_over(pairs: np.ndarray) -> Interval | None:
        if not pairs.any():
            return None
        low, high = np.percentile(resampled[:, pairs].mean(1), [2.5, 97.5])
        return Interval(float(matrix[pairs].mean()), float(low), float(high))

    family = np.array([families[name] if families else name for name in names], dtype=object)
    same = family[:, None] == family[None, :]
    upper = np.triu(np.ones(same.shape, dtype=bool), 1)
    return Agreement(names, matrix, mean_over(upper), mean_over(upper & same), mean_over(upper & ~same))


def _correlations(items: np.ndarray) -> np.ndarray:
    centred = items - items.mean(1, keepdims=True)
    norms = np.linalg.norm(centred, axis=1, keepdims=True)
    units = centred / np.where(norms == 0, 1, norms)
    return units @ units.T


def _ordered_classes(y: Sequence[str] | np.ndarray, n: int) -> tuple[tuple[str, ...], list[np.ndarray]]:
    """Classes in order, and the numbers of the texts of each."""
    emotions = np.atleast_1d(np.asarray(y, dtype=object))
    if len(emotions) != n:
        raise ValueError(f"{n} hidden states but {len(emotions)} emotions: one emotion per text")
    unnamed = [one for one in emotions if not isinstance(one, str) or not one or one != one.strip()]
    if unnamed:
        raise ValueError(f"emotions must be non-empty strings, no space at an end, got {unnamed[0]!r}")
    present = set(emotions)
    order = EMOTIONS if present <= set(EMOTIONS) else sorted(present)
    classes = tuple(emotion for emotion in order if emotion in present)
    return classes, [np.flatnonzero(emotions == name) for name in classes]


def _states(X: Any, n_features: int | None = None) -> Any:
    """Finite states (n_texts, n_features), an array or a tensor, in single or double precision."""
    is_tensor = isinstance(X, torch.Tensor)
    X = X if is_tensor else plain(X, "hidden states")
    if X.ndim != 2 or 0 in X.shape:
        hint = "; take one layer with H[:, 0]" if X.ndim == 3 else ""
        raise ValueError(f"hidden states must have shape (n_texts, n_features), got {tuple(X.shape)}{hint}")
    if not (X.is_floating_point() if is_tensor else X.dtype.kind == "f"):
        raise TypeError(f"hidden states must be floating point, got {X.dtype}")
    if n_features is not None and X.shape[1] != n_features:
        raise ValueError(f"the axis has {n_features} features, the hidden states {X.shape[1]}")
    # half precision and numpy's longdouble know no singular value decomposition
    X = tensor(X, "", double=False, finite=False) if is_tensor else single(X, "hidden states")
    with np.errstate(over="ignore"):
        finite = np.isfinite(plain((X * X).sum(1), ""))
    if not finite.all():
        raise ValueError(
            f"hidden states of text {int(np.argmin(finite))} hold NaN, inf or numbers too large to square: "
            "drop the text or use a wider dtype"
        )
    return X


def _rounding(centroids: Any) -> float:
    """Spread of centroids that rounding alone can make, with room for that of the passes before."""
    values = plain(centroids, "centroids")
    return float(100 * np.finfo(values.dtype).eps * np.linalg.norm(values))
