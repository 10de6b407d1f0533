"""The valence axis: the first principal component of class centroids.

In:  hidden states (n_texts, n_features) and one emotion per text.
Out: unit directions, positions, projections; numpy in, numpy out; torch in, torch out on the same device.
Never loads a model and never looks at a rating.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from kernel.arrays import like, plain, real, single
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
        Unit vector of the axis.
    components_ : array, shape (n_components, n_features)
        All directions; `direction_` is the first.
    centroids_ : array, shape (n_classes, n_features)
        Class means in the order of `classes_`.
    positions_ : array, shape (n_classes,)
        Class centroids on the axis, in units of the hidden states.
    explained_variance_ratio_ : array, shape (n_components,)
        Share of the between-class variance.
    classes_ : tuple of str
        FACED order for FACED emotions, alphabetical otherwise.
    mean_ : array, shape (n_features,)
        Mean of the centroids, the axis' origin.

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
        """Find the axis.

        Parameters
        ----------
        X : array or tensor, shape (n_texts, n_features)
            Hidden states of one layer and position.
        y : sequence of str, length n_texts
            Emotion of each text; one text a class is enough.

        Returns
        -------
        ValenceAxis
            Itself.

        Raises
        ------
        ValueError
            If shapes disagree, a value is not finite, `orient` is missing or sits at zero, there are too few
            classes, or the centroids leave a direction open: they are identical, span fewer directions than
            components are wanted, or spread equally far along two.
        TypeError
            If the hidden states are not floating point.
        """
        X = _check_states(X)
        X = X.detach() if isinstance(X, torch.Tensor) else X
        emotions = _check_emotions(X, y)
        self.classes_ = _ordered_classes(emotions)
        self._check_classes()
        self.centroids_ = _stack([X[np.flatnonzero(emotions == c)].mean(0) for c in self.classes_])
        self.mean_ = self.centroids_.mean(0)
        self.n_features_in_ = X.shape[1]
        centred = self.centroids_ - self.mean_
        _, singular, components = _linalg(X).svd(centred, full_matrices=False)
        self._check_spread(_to_numpy(singular), _rounding(self.centroids_))
        self.components_ = components[: self.n_components]
        self.explained_variance_ratio_ = (singular**2 / (singular**2).sum())[: self.n_components]
        at = float(centred[self.classes_.index(self.orient)] @ self.components_[0])
        if abs(at) < 1e-6 * float(abs(singular[0])):
            raise ValueError(
                f"class {self.orient!r} sits at zero on the axis, so the axis has no sign: orient by another"
            )
        if at < 0:
            self.components_ = -self.components_
        self.direction_ = self.components_[0]
        self.positions_ = centred @ self.direction_
        return self

    def _check_classes(self) -> None:
        if len(self.classes_) < 2:
            raise ValueError(
                f"all texts are of class {self.classes_[0]!r}: an axis needs two classes or more"
            )
        if not (isinstance(self.n_components, Integral) and 1 <= self.n_components < len(self.classes_)):
            raise ValueError(
                f"n_components must lie in 1..{len(self.classes_) - 1} for {len(self.classes_)} classes, "
                f"got {self.n_components}"
            )
        if self.orient not in self.classes_:
            raise ValueError(f"orient={self.orient!r} is not among the classes {self.classes_}")

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
        states = _check_states(X, self.n_features_in_)
        return like((states - _like(self.mean_, states)) @ _like(self.components_, states).T, X)

    def project(self, X: Any) -> Any:
        """Positions on the axis, shape (n_texts,), in units of the hidden states."""
        return self.transform(X)[:, 0]

    def ablate(self, X: Any) -> Any:
        r"""Hidden states without the axis, :math:`x - (x \cdot v)\,v` for every component, same shape."""
        check_is_fitted(self)
        states = _check_states(X, self.n_features_in_)
        directions = _like(self.components_, states)
        return like(states - (states @ directions.T) @ directions, X)


@dataclass(frozen=True)
class DirectionBootstrap:
    """Stability of an axis over resampled paraphrases.

    Attributes
    ----------
    cosines : ndarray, shape (n_resamples,)
        Absolute cosine of each resampled axis with the full one.
    interval : Interval
        Median and percentile limits of the cosines.
    """

    cosines: np.ndarray
    interval: Interval


def bootstrap_direction(
    X: np.ndarray,
    y: Sequence[str],
    *,
    n_resamples: int = 1000,
    confidence: float = 0.95,
    random_state: int | np.random.Generator | None = None,
) -> DirectionBootstrap:
    """Resample paraphrases within each class and compare the axes with the one of all texts.

    Resampled centroids are weighted sums of the texts, and the axis of a resample follows from the K x K
    Gram matrix of its centred centroids, so no resample touches the D features twice.

    Parameters
    ----------
    X : ndarray, shape (n_texts, n_features)
        Hidden states.
    y : sequence of str
        Emotions; at least two texts a class.
    n_resamples, confidence, random_state
        As in `kernel.stats.bootstrap_interval`.

    Returns
    -------
    DirectionBootstrap

    Raises
    ------
    ValueError
        If a class has a single text: nothing can be resampled; or if classes share so many texts that nothing
        is left between them in a resample.
    """
    X = real(_check_states(X), "hidden states")
    emotions = _check_emotions(X, y)
    classes = _ordered_classes(emotions)
    rows = [np.flatnonzero(emotions == c) for c in classes]
    if min(map(len, rows)) < 2:
        lone = [c for c, r in zip(classes, rows, strict=True) if len(r) < 2]
        raise ValueError(f"classes {lone} have one text: a bootstrap needs two or more paraphrases a class")
    rng = np.random.default_rng(random_state)
    axis = ValenceAxis(orient=classes[-1]).fit(X, y)

    cosines = np.empty(n_resamples)
    for b in range(n_resamples):
        weights = np.zeros((len(classes), len(X)))
        for k, r in enumerate(rows):
            np.add.at(weights[k], rng.choice(r, len(r)), 1 / len(r))
        centroids = weights @ X
        centred = centroids - centroids.mean(0)
        squares, vectors = np.linalg.eigh(centred @ centred.T)
        if not squares[-1] > _rounding(centroids) ** 2:
            raise ValueError(
                f"classes {classes} share texts: resample {b} has identical centroids, so no axis"
            )
        direction = vectors[:, -1] @ centred
        cosines[b] = abs(direction @ axis.direction_) / np.linalg.norm(direction)
    tail = 50 * (1 - confidence)
    low, middle, high = np.percentile(cosines, [tail, 50, 100 - tail])
    return DirectionBootstrap(cosines, Interval(float(middle), float(low), float(high)))


def shuffled_shares(
    X: Any,
    y: Sequence[str],
    *,
    n_shuffles: int = 200,
    random_state: int | np.random.Generator | None = None,
) -> np.ndarray:
    r"""Null of the share of PC1: emotions are permuted over the texts, the class sizes kept.

    With :math:`s_1 \ge s_2 \dots` the singular values of a shuffle's mean-centred centroids, its share is
    :math:`s_1^2 / \sum_k s_k^2`. Centroids of texts without any classes have a first component too, and its
    share is large wherever the texts themselves vary along few directions: a share says something about
    emotions only if it exceeds these.

    Parameters
    ----------
    X : array or tensor, shape (n_texts, n_features)
        Hidden states of one layer and position.
    y : sequence of str, length n_texts
        Emotions; three classes or more, at least one of them with two texts or more.
    n_shuffles : int
        Permutations.
    random_state : int, Generator or None
        Seed.

    Returns
    -------
    ndarray, shape (n_shuffles,)
        Shares between 0 and 1, to be compared with ``explained_variance_ratio_[0]``.

    Raises
    ------
    ValueError
        If lengths differ, a value is not finite, all states are equal, or so many that a shuffle leaves no
        variance between the classes, `n_shuffles` is below one, or every shuffle would give the same share:
        with two classes it is one, and with one text a class shuffling only renames the texts.
    TypeError
        If the hidden states are not floating point.
    """
    X = real(_check_states(X), "hidden states")
    emotions = _check_emotions(X, y)
    classes = _ordered_classes(emotions)
    if len(classes) < 3:
        raise ValueError(
            f"classes {classes}: the share of PC1 needs three classes or more, with two it is one"
        )
    if len(classes) == len(X):
        raise ValueError("each class has one text: shuffling only renames them, so give two or more a class")
    if not np.ptp(X, axis=0).any():
        raise ValueError(f"hidden states hold {len(X)} equal rows: there is no variance to share")
    if n_shuffles < 1:
        raise ValueError(f"n_shuffles must be at least 1, got {n_shuffles}")
    rng = np.random.default_rng(random_state)

    shares = np.empty(n_shuffles)
    for b in range(n_shuffles):
        member = rng.permutation(emotions) == np.array(classes, dtype=object)[:, None]
        centroids = member / member.sum(1, keepdims=True) @ X
        variances = np.linalg.svd(centroids - centroids.mean(0), compute_uv=False) ** 2
        if not variances[0] > _rounding(centroids) ** 2:
            raise ValueError(
                f"shuffle {b} leaves identical centroids: too many of the hidden states are equal"
            )
        shares[b] = variances[0] / variances.sum()
    return shares


@dataclass(frozen=True)
class Agreement:
    """How well several axes, or their projections of the same items, agree.

    Attributes
    ----------
    names : tuple of str
        Order of the matrix.
    matrix : ndarray, shape (n, n)
        Cosine or Pearson correlation.
    overall, within, across : Interval or None
        Mean off-diagonal entry over all pairs, pairs of one family, pairs of different families; None where
        there is no such pair. Limits come from resampled items and are NaN for cosines, which have none.
    """

    names: tuple[str, ...]
    matrix: np.ndarray
    overall: Interval | None
    within: Interval | None
    across: Interval | None


def agreement(
    vectors: Mapping[str, Any],
    *,
    metric: str = "pearson",
    families: Mapping[str, str] | None = None,
    n_resamples: int = 2000,
    confidence: float = 0.95,
    random_state: int | np.random.Generator | None = None,
) -> Agreement:
    """Pairwise agreement of axes (``metric="cosine"``) or of projections of the same items (``"pearson"``).

    Parameters
    ----------
    vectors : mapping of name to array, all of one shape (n,)
        Directions of one feature space, or projections of one list of items.
    metric : {"pearson", "cosine"}
        Cosine compares directions, Pearson compares projections.
    families : mapping of name to family, optional
        Splits the pairs into within and across; without it each name is its own family.
    n_resamples, confidence, random_state
        Item bootstrap of the Pearson means.

    Returns
    -------
    Agreement

    Raises
    ------
    ValueError
        If there are fewer than two vectors, lengths differ, one is constant, or the metric is unknown.
    """
    if metric not in ("pearson", "cosine"):
        raise ValueError(f"metric must be 'pearson' or 'cosine', got {metric!r}")
    if len(vectors) < 2:
        raise ValueError(f"agreement needs two vectors or more, got {len(vectors)}")
    names = tuple(vectors)
    rows = [real(vectors[name], f"vector {name!r}") for name in names]
    if len({row.shape for row in rows}) > 1 or rows[0].ndim != 1:
        shapes = {name: row.shape for name, row in zip(names, rows, strict=True)}
        raise ValueError(f"vectors must share one shape (n,), got {shapes}")
    V = np.stack(rows)
    for name, row in zip(names, V, strict=True):
        if np.ptp(row) == 0:
            raise ValueError(f"vector {name!r} is constant")

    matrix = _correlation(V, metric)
    upper = np.triu(np.ones((len(names), len(names)), dtype=bool), 1)
    family = np.array([families[name] if families else name for name in names], dtype=object)
    same = family[:, None] == family[None, :]
    rng = np.random.default_rng(random_state)
    resampled = None
    if metric == "pearson":
        picks = (rng.integers(V.shape[1], size=V.shape[1]) for _ in range(n_resamples))
        resampled = np.stack([_correlation(V[:, pick], metric) for pick in picks])

    def mean_over(pairs: np.ndarray) -> Interval | None:
        if not pairs.any():
            return None
        if resampled is None:
            return Interval(float(matrix[pairs].mean()), float("nan"), float("nan"))
        tail = 50 * (1 - confidence)
        low, high = np.percentile(resampled[:, pairs].mean(1), [tail, 100 - tail])
        return Interval(float(matrix[pairs].mean()), float(low), float(high))

    return Agreement(names, matrix, mean_over(upper), mean_over(upper & same), mean_over(upper & ~same))


def _correlation(V: np.ndarray, metric: str) -> np.ndarray:
    centred = V - V.mean(1, keepdims=True) if metric == "pearson" else V
    norms = np.linalg.norm(centred, axis=1, keepdims=True)
    units = centred / np.where(norms == 0, 1, norms)
    return units @ units.T


def _ordered_classes(emotions: np.ndarray) -> tuple[str, ...]:
    if any(not isinstance(e, str) or not e for e in emotions):
        bad = next(e for e in emotions if not isinstance(e, str) or not e)
        raise ValueError(f"emotions must be non-empty strings, got {bad!r}")
    present = set(emotions)
    if present <= set(EMOTIONS):
        return tuple(e for e in EMOTIONS if e in present)
    return tuple(sorted(present))


def _check_emotions(X: Any, y: Sequence[str] | np.ndarray) -> np.ndarray:
    """One emotion per row of `X`, as an array of objects."""
    emotions = np.atleast_1d(np.asarray(y, dtype=object))
    if len(emotions) != len(X):
        raise ValueError(f"{len(X)} hidden states but {len(emotions)} emotions: one emotion per text")
    return emotions


def _check_states(X: Any, n_features: int | None = None) -> Any:
    """Numpy array or tensor of shape (n, d), finite, in the machine's single or double precision."""
    if not isinstance(X, torch.Tensor):
        X = plain(X, "hidden states")
    if X.ndim != 2 or 0 in X.shape:
        hint = "; take one layer with H[:, 0]" if X.ndim == 3 else ""
        raise ValueError(f"hidden states must have shape (n_texts, n_features), got {tuple(X.shape)}{hint}")
    if not (X.is_floating_point() if isinstance(X, torch.Tensor) else np.issubdtype(X.dtype, np.floating)):
        raise TypeError(f"hidden states must be floating point, got {X.dtype}")
    # float16 and bfloat16 know no singular value decomposition, nor does numpy's longdouble
    if isinstance(X, torch.Tensor):
        X = X if X.dtype in (torch.float32, torch.float64) else X.to(torch.float32)
    else:
        X = single(X, "hidden states")
    with np.errstate(over="ignore"):
        squares = _to_numpy((X * X).sum(1))
    if not np.isfinite(squares).all():
        row = int(np.argmin(np.isfinite(squares)))
        raise ValueError(
            f"hidden states of text {row} hold NaN, inf or numbers too large to square: drop the text or use "
            "a wider dtype"
        )
    if n_features is not None and X.shape[1] != n_features:
        raise ValueError(f"the axis has {n_features} features, the hidden states {X.shape[1]}")
    return X


def _rounding(centroids: Any) -> float:
    """Spread of centroids that rounding alone can make, with room for that of the passes before."""
    values = _to_numpy(centroids)
    return float(100 * np.finfo(values.dtype).eps * np.linalg.norm(values))


def _linalg(X: Any) -> Any:
    return torch.linalg if isinstance(X, torch.Tensor) else np.linalg


def _stack(rows: list[Any]) -> Any:
    return torch.stack(rows) if isinstance(rows[0], torch.Tensor) else np.stack(rows)


def _to_numpy(x: Any) -> np.ndarray:
    if isinstance(x, torch.Tensor):
        x = x.detach().cpu()
        return (x.float() if x.dtype == torch.bfloat16 else x).numpy()
    return np.asarray(x)


def _like(values: Any, X: Any) -> Any:
    """The fitted array in the kind, dtype and device of the input."""
    if isinstance(X, torch.Tensor):
        return torch.as_tensor(values, dtype=X.dtype, device=X.device)
    return _to_numpy(values)
