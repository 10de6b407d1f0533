"""One linear projection of EEG onto an axis: ridge, held-out predictions, and the nulls that judge them.

In:  features, one row per clip (numpy array, or torch tensor on any device); a position per clip; the emotion
     of each clip.
Out: held-out correlations with their p-values, weights, reliabilities: numpy arrays and floats.
Never: reads files, plots, looks at a subject's labels while scaling, or reports an in-sample number as if it
       were a prediction.

All of it rests on one identity. Ridge with an intercept is a linear smoother, fitted = H y, and what it would
have predicted for a set G of clips had they been left out is, exactly,

    y_G - (I - H)_GG^{-1} ((I - H) y)_G.

One singular value decomposition gives H for every penalty; small blocks of it give every fold, every fold
within a fold, and every permutation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.stats import norm
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from kernel import stats
from kernel.arrays import Features, plain, real, row_labels, tensor
from kernel.brain.cohort import mean_over_subjects, trials_present
from kernel.threads import one_thread

Seed = int | np.random.Generator | None

SCHEMES = ("in_sample", "leave_one_clip_out", "leave_one_emotion_out")
NULLS = ("emotions", "clips", "class_constant", "free")
#: Penalties in units of the mean squared singular value of the centred features.
RELATIVE_ALPHAS = (0.01, 0.1, 1.0, 10.0, 100.0, 1000.0)

_CHUNK = 1_000_000  # numbers held at once while folds within folds are solved: it fits a processor's cache


class RidgeFolds:
    r"""Ridge of many targets on one set of features, with every fold left out, in closed form.

    With centred features :math:`X_c = U S V^\top` the smoother of penalty :math:`\alpha` is
    :math:`H = 11^\top / n + U\,\mathrm{diag}(s^2 / (s^2 + \alpha))\,U^\top`; its leave-out predictions are
    exact [1]_, for whole groups of rows [2]_.

    Parameters
    ----------
    X : array_like or Tensor, shape (..., n, n_features)
        Finite; leading axes hold further sets of features, each with its own decomposition.
    groups : array_like, shape (n,), optional
        Rows that are left out together; each row alone by default.
    alphas : sequence of float, optional
        Penalties, positive; by default `RELATIVE_ALPHAS` times the mean squared singular value of each set.

    Attributes
    ----------
    alphas : Tensor, shape (..., n_alphas)
        Penalties.
    n : int
        Rows.

    Raises
    ------
    ValueError
        If shapes disagree, a value is not finite, features do not vary, there are fewer than three groups, or
        a penalty is not positive.

    References
    ----------
    .. [1] Golub, Heath & Wahba (1979), Technometrics 21(2). doi:10.1080/00401706.1979.10489751
    .. [2] Rad & Maleki (2020), JRSS B 82(4), for the general form. doi:10.1111/rssb.12374
    """

    @one_thread()
    def __init__(
        self, X: Features, groups: ArrayLike | None = None, alphas: Sequence[float] | None = None
    ) -> None:
        X = tensor(X, "X")
        if X.ndim < 2 or 0 in X.shape:
            raise ValueError(f"X must be (..., n_rows, n_features), got shape {tuple(X.shape)}")
        self.n = X.shape[-2]
        labels = np.arange(self.n) if groups is None else row_labels(groups, "groups", self.n)
        self._names, code = np.unique(labels, return_inverse=True)
        if len(self._names) < 3:
            raise ValueError(f"{len(self._names)} groups: leaving one out and choosing a penalty takes three")
        self._code = torch.as_tensor(code, device=X.device)
        self._members = [np.flatnonzero(code == group) for group in range(len(self._names))]

        self._mean = X.mean(-2, keepdim=True)
        self._U, s, self._Vt = torch.linalg.svd(X - self._mean, full_matrices=False)
        power = s**2
        scale = power.sum(-1, keepdim=True) / (self.n - 1)
        if not (scale > 1e-20 * (1 + self._mean.square().amax())).all():
            raise ValueError("X does not vary over its rows: there is nothing to project")
        if alphas is None:
            self.alphas = scale * torch.as_tensor(RELATIVE_ALPHAS, dtype=X.dtype, device=X.device)
        else:
            given = torch.as_tensor([float(a) for a in alphas], dtype=X.dtype, device=X.device)
            if not len(given) or not (torch.isfinite(given) & (given > 0)).all():
                raise ValueError(f"alphas must be positive numbers, got {list(alphas)}")
            self.alphas = given.expand(*scale.shape[:-1], len(given))
        penalty = self.alphas[..., :, None]
        self._inverse = s[..., None, :] / (power[..., None, :] + penalty)  # (..., n_alphas, k)
        shrunk = self._inverse * s[..., None, :]
        left = self._U[..., None, :, :] * shrunk[..., :, None, :]
        hat = left @ self._U[..., None, :, :].mT + 1 / self.n
        self._R = torch.eye(self.n, dtype=X.dtype, device=X.device) - hat  # (..., n_alphas, n, n)

    def in_sample(self, Y: Features) -> np.ndarray:
        """Fitted values, the penalty chosen by held-out squared error of each target.

        Parameters
        ----------
        Y : array_like or Tensor, shape (n,) or (n_targets, n)
            Targets.

        Returns
        -------
        ndarray, shape (..., n) or (..., n_targets, n)
        """
        return self._in_chunks(Y, self._fitted)

    def held_out(self, Y: Features) -> np.ndarray:
        """Predictions of every row by a fit without its group, the penalty chosen without it as well.

        The penalty of a fold minimises the squared error of leaving out each further group. Shapes as for
        :meth:`in_sample`.
        """
        return self._in_chunks(Y, lambda Y: self._predicted(Y)[0])

    @one_thread()
    def fold_weights(self, y: Features) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Weights of the fit without each group.

        Parameters
        ----------
        y : array_like or Tensor, shape (n,)
            One target.

        Returns
        -------
        coef : ndarray, shape (..., n_groups, n_features)
            In the sorted order of the groups' names.
        intercept, alpha : ndarray, shape (..., n_groups)
            Constants and chosen penalties.
        """
        y = self._targets(y)
        predicted, choice = self._predicted(y)
        # the fit without a group equals a fit with that group's targets replaced by their predictions
        own = self._code[:, None] == torch.arange(len(self._names), device=y.device)
        filled = torch.where(own, predicted, y)  # (..., n, n_groups)
        picked = torch.gather(
            self._inverse, -2, choice[..., 0][..., None].expand(*choice.shape[:-1], self._inverse.shape[-1])
        )  # (..., n_groups, k)
        coef = ((self._U.mT @ filled).mT * picked) @ self._Vt
        intercept = filled.mean(-2) - (coef * self._mean).sum(-1)
        alpha = torch.gather(self.alphas, -1, choice[..., 0])
        return coef.cpu().numpy(), intercept.cpu().numpy(), alpha.cpu().numpy()

    @one_thread()
    def held_out_rows(self, rows: Features, groups: ArrayLike, Y: Features) -> np.ndarray:
        """Predictions of other rows, such as single trials, by the fit without their group.

        Parameters
        ----------
        rows : array_like or Tensor, shape (m, n_features)
            Rows of a single set of features.
        groups : array_like, shape (m,)
            Group of each, among those of the fit.
        Y : array_like or Tensor, shape (n,) or (n_targets, n)
            Targets of the fit.

        Returns
        -------
        ndarray, shape (m,) or (n_targets, m)
        """
        groups = plain(groups, "groups", numbers=False)
        unknown = sorted(set(groups.tolist()) - set(self._names.tolist()))
        if unknown or self.alphas.ndim != 1:
            raise ValueError(f"rows need one set of features and its groups; not among them: {unknown}")
        columns = self._targets(Y)
        predicted, choice = self._predicted(columns)
        scores = (tensor(rows, "rows").to(self._R) - self._mean) @ self._Vt.mT
        out = torch.empty((len(scores), columns.shape[1]), dtype=scores.dtype, device=scores.device)
        for number, name in enumerate(self._names):
            own = (self._code == number)[:, None]
            filled = torch.where(own, predicted, columns)
            inverse = self._inverse[choice[number]].T  # (k, n_targets)
            here = torch.as_tensor(groups == name, device=scores.device)
            out[here] = scores[here] @ (inverse * (self._U.T @ filled)) + filled.mean(0)
        found = out.T.cpu().numpy()
        return found if np.ndim(Y) == 2 else found[0]

    @one_thread()
    def weights(self, y: Features) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Weights (..., n_features), constant and penalty (...) of the fit to all rows."""
        y = self._targets(y)
        choice = self._choose(y)
        picked = torch.gather(
            self._inverse, -2, choice[..., None].expand(*choice.shape, self._inverse.shape[-1])
        )[..., 0, :]
        coef = (((self._U.mT @ y)[..., 0] * picked)[..., None, :] @ self._Vt)[..., 0, :]
        intercept = y.mean() - (coef * self._mean[..., 0, :]).sum(-1)
        alpha = torch.gather(self.alphas, -1, choice)[..., 0]
        return coef.cpu().numpy(), intercept.cpu().numpy(), alpha.cpu().numpy()

    # Targets travel as columns, (n, n_targets), in chunks that bound the memory.

    def _targets(self, Y: Features) -> torch.Tensor:
        Y = tensor(Y, "targets").to(self._R)
        if Y.ndim not in (1, 2) or Y.shape[-1] != self.n:
            raise ValueError(f"targets must be ({self.n},) or (n, {self.n}), got shape {tuple(Y.shape)}")
        return Y.reshape(-1, self.n).T

    @one_thread()
    def _in_chunks(self, Y: Features, solve: Callable[..., Any]) -> np.ndarray:
        columns = self._targets(Y)
        n_groups = len(self._names)
        pairs = n_groups * (n_groups - 1) / 2
        size = max(1, int(_CHUNK / (self.alphas.numel() * pairs * 2 * self.n / n_groups)))
        parts = [solve(columns[:, start : start + size]) for start in range(0, columns.shape[1], size)]
        out = torch.cat(parts, -1).mT.cpu().numpy()
        return out if np.ndim(Y) == 2 else out[..., 0, :]

    def _left_out(self, Y: torch.Tensor) -> torch.Tensor:
        """Residuals (..., n_alphas, n, n_targets) of each row without its group."""
        RY = self._R @ Y
        out = torch.empty_like(RY)
        for _, rows in _buckets([(members,) for members in self._members]):
            out[..., rows, :] = self._residuals(RY, rows)
        return out

    def _residuals(self, RY: torch.Tensor, rows: np.ndarray) -> torch.Tensor:
        """Held-out residuals (..., n_alphas, n_sets, n_rows, n_targets) of sets of rows (n_sets, n_rows)."""
        block = self._R[..., rows[:, :, None], rows[:, None, :]]
        return torch.linalg.solve(block, RY[..., rows, :])

    def _choose(self, Y: torch.Tensor) -> torch.Tensor:
        """Penalty number (..., n_targets) of the smallest held-out squared error."""
        if self.alphas.shape[-1] == 1:
            return torch.zeros((*self.alphas.shape[:-1], Y.shape[1]), dtype=torch.long, device=Y.device)
        return self._left_out(Y).square().sum(-2).argmin(-2)

    def _fitted(self, Y: torch.Tensor) -> torch.Tensor:
        choice = self._choose(Y)[..., None, None, :]
        residual = self._R @ Y
        index = choice.expand(*residual.shape[:-3], 1, *residual.shape[-2:])
        return Y - torch.gather(residual, -3, index)[..., 0, :, :]

    def _predicted(self, Y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Predictions (..., n, n_targets) and penalty numbers (..., n_groups, n_targets)."""
        residual = self._left_out(Y)
        choice = self._choose_within(Y)
        index = choice[..., self._code, :][..., None, :, :]
        return Y - torch.gather(residual, -3, index)[..., 0, :, :], choice

    def _choose_within(self, Y: torch.Tensor) -> torch.Tensor:
        """For each group, the penalty with the smallest error where it and one further group are left out."""
        lead, n_alphas, n_groups = self.alphas.shape[:-1], self.alphas.shape[-1], len(self._names)
        if n_alphas == 1:
            return torch.zeros((*lead, n_groups, Y.shape[1]), dtype=torch.long, device=Y.device)
        RY = self._R @ Y
        if n_groups == self.n:
            # groups are in the order of their names, rows as they came
            return self._error_of_pairs(RY).argmin(-3)[..., np.concatenate(self._members), :]
        error = torch.zeros((*lead, n_alphas, n_groups, Y.shape[1]), dtype=Y.dtype, device=Y.device)
        for pairs, rows in _buckets(list(combinations(self._members, 2))):
            which = np.array(list(combinations(range(n_groups), 2)))[pairs]
            first = len(self._members[which[0, 0]])
            squared = self._residuals(RY, rows).square()
            outer, inner = torch.as_tensor(which.T, device=Y.device)
            error.index_add_(-2, outer, squared[..., first:, :].sum(-2))
            error.index_add_(-2, inner, squared[..., :first, :].sum(-2))
        return error.argmin(-3)

    def _error_of_pairs(self, RY: torch.Tensor) -> torch.Tensor:
        """Squared error (..., n_alphas, n, n_targets) over all other rows h where row g and h are left out.

        The residual of h is (R_gg (Ry)_h - R_gh (Ry)_g) / (R_gg R_hh - R_gh^2); expanded, its squares sum to
        three matrix products instead of one small system for each pair.
        """
        R = self._R
        own = R.diagonal(dim1=-2, dim2=-1)
        same = torch.eye(self.n, dtype=torch.bool, device=R.device)
        determinant = own[..., :, None] * own[..., None, :] - R.square()
        weight = determinant.masked_fill(same, torch.inf).reciprocal().square()
        own = own[..., None]
        return (
            own.square() * (weight @ RY.square())
            - 2 * own * RY * ((weight * R) @ RY)
            + RY.square() * (weight * R.square()).sum(-1, keepdim=True)
        )


def _buckets(sets: list[tuple[np.ndarray, ...]]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Sets of rows of the same make-up together: their numbers, and their rows (n_sets, n_rows)."""
    sizes: dict[tuple[int, ...], list[int]] = {}
    for number, parts in enumerate(sets):
        sizes.setdefault(tuple(map(len, parts)), []).append(number)
    for numbers in sizes.values():
        yield np.array(numbers), np.stack([np.concatenate(sets[number]) for number in numbers])


# Tracking


@dataclass(frozen=True)
class Tracking:
    """How well EEG tracks an axis under one scheme, against one null.

    Attributes
    ----------
    scheme, null : str
        What was left out, and what was drawn at random.
    r : float
        Correlation of predictions (or fitted values) with positions over clips.
    p : float
        One-sided: share of the null with as large a correlation.
    values : ndarray, shape (n_null,)
        The null, each member fitted anew.
    exact : bool
        Whether every order was enumerated.
    predictions : ndarray, shape (n,)
        Of each clip.
    """

    scheme: str
    null: str
    r: float
    p: float
    values: np.ndarray
    exact: bool
    predictions: np.ndarray


def track(
    X: Features,
    y: ArrayLike,
    emotions: Sequence[str] | np.ndarray,
    *,
    scheme: str = "leave_one_emotion_out",
    null: str = "emotions",
    n_permutations: int = 10_000,
    alphas: Sequence[float] | None = None,
    random_state: Seed = 0,
) -> Tracking:
    """Correlate ridge predictions from EEG with positions on an axis, against a null that is fitted anew.

    The correlation of left-out predictions is *negative* without signal, because the mean of the others moves
    against what is left out; only its place in the null means something. Where emotions can be decoded but
    valence plays no part, permuted emotions hold their level and the other nulls do not; drift along the
    session passes them all, and only :func:`clip_effects` remove it (`kernel.brain.calibration` has rates).

    Parameters
    ----------
    X : array_like or Tensor, shape (n, ...)
        Features of each clip, such as :func:`~kernel.brain.cohort.cohort_tensor`; flattened.
    y : array_like, shape (n,)
        Position of each clip.
    emotions : sequence of str, length n
        Emotion of each clip.
    scheme : {"leave_one_emotion_out", "leave_one_clip_out", "in_sample"}
        What a prediction has not seen. ``in_sample`` chooses its penalty by leaving clips out.
    null : {"emotions", "clips", "class_constant", "free"}
        Positions permuted among emotions (`y` must be constant within each); positions permuted over clips;
        Gaussian positions, one per emotion; Gaussian positions, one per clip.
    n_permutations : int
        Draws; permutations are enumerated where there are no more of them.
    alphas : sequence of float, optional
        Penalties, as for :class:`RidgeFolds`.
    random_state : int, Generator or None
        Seed.

    Returns
    -------
    Tracking

    Raises
    ------
    ValueError
        If shapes disagree, a value is not finite or does not vary, or a name is unknown.
    """
    X, y, emotions = _checked(X, y, emotions)
    if scheme not in SCHEMES:
        raise ValueError(f"scheme must be one of {', '.join(SCHEMES)}, got {scheme!r}")
    folds = RidgeFolds(X, emotions if scheme == "leave_one_emotion_out" else None, alphas)
    predict = folds.in_sample if scheme == "in_sample" else folds.held_out

    def statistic(_: Any, Y: np.ndarray) -> Any:
        return stats.pearson(predict(Y), Y)

    found = against_null(statistic, y, emotions, null, n_permutations, random_state)
    return Tracking(scheme, null, found.observed, found.p, found.null, found.exact, predict(y))


def against_null(
    statistic: Callable[..., Any],
    y: np.ndarray,
    emotions: np.ndarray,
    null: str,
    n_permutations: int,
    random_state: Seed = 0,
) -> stats.PermutationResult:
    """Test ``statistic(None, targets)``, one-sided, against a null of `track`."""
    if null in ("emotions", "clips"):
        groups = emotions if null == "emotions" else None
        return stats.permutation_test(
            statistic, np.arange(len(y)), y, groups=groups, n_permutations=n_permutations,
            alternative="greater", random_state=random_state,
        )  # fmt: skip
    observed, values = (
        float(statistic(None, y)),
        statistic(None, null_targets(emotions, null, n_permutations, random_state)),
    )
    p = stats.permutation_p(observed, values, alternative="greater")
    return stats.PermutationResult(observed, p, values, exact=False)


def null_targets(
    emotions: Sequence[str] | np.ndarray, null: str, n: int, random_state: Seed = 0
) -> np.ndarray:
    """Gaussian targets (n, n_clips): one value per clip ("free") or per emotion ("class_constant")."""
    if null not in NULLS[2:]:
        raise ValueError(f"null must be one of {', '.join(NULLS)}, got {null!r}")
    rng = np.random.default_rng(random_state)
    code = np.unique(plain(emotions, "emotions", numbers=False), return_inverse=True)[1]
    if null == "free":
        return rng.standard_normal((n, len(code)))
    return rng.standard_normal((n, code.max() + 1))[:, code]


def _checked(
    X: Features, y: ArrayLike, emotions: Sequence[str] | np.ndarray
) -> tuple[torch.Tensor, np.ndarray, np.ndarray]:
    X, y = tensor(X, "X"), real(y, "y")
    if X.ndim < 2 or y.shape != (len(X),):
        raise ValueError(f"X and y must have one row per clip, got {tuple(X.shape)} and {y.shape}")
    emotions = row_labels(emotions, "emotions", len(y))
    if np.ptp(y) == 0:
        raise ValueError(f"y is constant at {y[0]:g}: an axis with one position orders nothing")
    return X.reshape(len(X), -1), y, emotions


class ProjectionModel(RegressorMixin, BaseEstimator):
    """The linear projection as a scikit-learn estimator: ridge whose penalty is chosen by leaving groups out.

    Parameters
    ----------
    alphas : sequence of float, optional
        Penalties, as for :class:`RidgeFolds`.

    Attributes
    ----------
    coef_ : ndarray, shape (n_features,)
        Weights.
    intercept_, alpha_ : float
        Constant and chosen penalty of the fit to all rows.
    held_out_ : ndarray, shape (n,)
        Prediction of each row by a fit without its group, penalty included.
    held_out_r_, in_sample_r_ : float
        Their correlation with the targets, and that of the fitted values; neither is a test: see `track`.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X, emotions = rng.standard_normal((28, 160)), np.repeat(list("abcdefg"), 4)
    >>> model = ProjectionModel().fit(X, rng.standard_normal(28), emotions)
    >>> model.coef_.shape
    (160,)
    """

    def __init__(self, alphas: Sequence[float] | None = None) -> None:
        self.alphas = alphas

    def fit(self, X: ArrayLike, y: ArrayLike, groups: ArrayLike | None = None) -> ProjectionModel:
        """Fit on features (n, n_features) and positions (n,); `groups` are left out together."""
        X, y = validate_data(self, X, y, y_numeric=True, ensure_min_samples=3, dtype=np.float64)
        folds = RidgeFolds(X, groups, self.alphas)
        self.coef_, intercept, alpha = folds.weights(y)
        self.intercept_, self.alpha_ = float(intercept), float(alpha)
        self.held_out_ = folds.held_out(y)
        self.held_out_r_ = float(stats.pearson(self.held_out_, y))
        self.in_sample_r_ = float(stats.pearson(X @ self.coef_, y))
        return self

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Positions (n,) of features (n, n_features)."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=np.float64)
        return X @ self.coef_ + self.intercept_


# Single trials, classes, order, reliability


def trial_level(
    features: ArrayLike,
    y: ArrayLike,
    emotions: Sequence[str] | np.ndarray,
    *,
    n_permutations: int = 1000,
    alphas: Sequence[float] | None = None,
    random_state: Seed = 0,
) -> stats.PermutationResult:
    """Correlate the predictions of single trials with positions, against permuted emotions, fitted anew.

    The trials of one clip share its position, so their number lends no weight to the test.

    Parameters
    ----------
    features : array_like, shape (n_subjects, n_clips, ...)
        Of each trial, as :func:`~kernel.brain.cohort.trial_features`; NaN where a trial is missing.
    y, emotions, n_permutations, alphas, random_state
        As for `track`, with `y` constant within each emotion.
    """
    features = _trials(features)
    X, y, emotions = _checked(mean_over_subjects(features), y, emotions)
    folds = RidgeFolds(X, emotions, alphas)
    subject, clip = np.nonzero(trials_present(features))
    rows = features[subject, clip]

    def statistic(_: Any, Y: np.ndarray) -> Any:
        parts = np.array_split(np.atleast_2d(Y), -(-np.atleast_2d(Y).shape[0] // 250))
        r = [stats.pearson(folds.held_out_rows(rows, emotions[clip], part), part[:, clip]) for part in parts]
        return np.concatenate(r) if np.ndim(Y) == 2 else float(r[0][0])

    return against_null(statistic, y, emotions, "emotions", n_permutations, random_state)


def class_level(
    X: Features,
    y: ArrayLike,
    emotions: Sequence[str] | np.ndarray,
    valence: ArrayLike,
    *,
    n_permutations: int = 10_000,
    alphas: Sequence[float] | None = None,
    random_state: Seed = 0,
) -> stats.PermutationResult:
    """Correlate the mean held-out prediction of each emotion with human valence.

    Under the null the emotions carry their position *and* their valence to the EEG of other emotions, and the
    projection is fitted anew: positions and valence agree with each other, so permuting valence alone would
    pass that agreement off as the brain's.

    Parameters
    ----------
    X, y, emotions, n_permutations, alphas, random_state
        As for `track`, with `y` constant within each emotion.
    valence : array_like, shape (n_clips,)
        Human valence of each clip; averaged within emotions.
    """
    X, y, emotions = _checked(X, y, emotions)
    valence = real(valence, "valence")
    code = np.unique(emotions, return_inverse=True)[1]
    mean = np.eye(code.max() + 1)[code]
    mean /= mean.sum(0)  # (n_clips, n_emotions): averages over the clips of an emotion
    position, human = y @ mean, valence @ mean
    folds = RidgeFolds(X, emotions, alphas)

    def statistic(_: Any, Y: np.ndarray) -> Any:
        shown = np.asarray(Y).astype(int)  # which emotion's values each clip carries
        one_each = human[shown] @ mean
        return stats.pearson(folds.held_out(position[shown]) @ mean, one_each)

    return against_null(statistic, code.astype(float), emotions, "emotions", n_permutations, random_state)


def clip_effects(features: ArrayLike, order: ArrayLike) -> np.ndarray:
    r"""Cohort means of the clips with each subject's linear drift over presentation position removed.

    Subjects differ in their order, so clips and drift can be told apart by least squares,

    .. math:: x_{sc} = \mu_s + \gamma_c + \beta_s\, p_{sc} + e_{sc}.

    The estimates :math:`\hat\gamma` are less certain for contrasts of clips that tend to be shown far apart,
    and valence is such a contrast, since clips come in blocks of one valence; a permutation of emotions would
    take that for signal. They are therefore returned as :math:`(N / S)^{1/2}\, \hat\gamma`, with N the matrix
    of the normal equations, which gives every contrast the same noise. The price is a slightly shrunken
    signal: the test errs to the side of caution.

    Parameters
    ----------
    features : array_like, shape (n_subjects, n_clips, ...)
        Of each trial; NaN where missing.
    order : array_like, shape (n_subjects, n_clips)
        Position p from 1; NaN where unknown, which is an error for a trial that exists.

    Returns
    -------
    ndarray, shape (n_clips, n_features)
        With mean zero over clips.

    Raises
    ------
    ValueError
        If a trial has no position, a subject has fewer than three trials, or all have one order.
    """
    features, order = _trials(features), real(order, "order", finite=False)
    n_subjects, n_clips = features.shape[:2]
    if order.shape != (n_subjects, n_clips):
        raise ValueError(f"order must be (n_subjects, n_clips) = {(n_subjects, n_clips)}, got {order.shape}")
    there = trials_present(features)
    if np.isnan(order[there]).any():
        raise ValueError("a trial has no presentation position: give the reader ratings= or events")
    fewest = there.sum(1).min()
    if fewest < 3:
        raise ValueError(f"a subject has {fewest} trials: a line through them removes everything")
    p, values, vectors = _normal_equations(there, order)
    if not _separable(values, n_subjects):
        raise ValueError(
            "clips and positions cannot be told apart: all subjects saw one order, or it and its reverse"
        )
    x = _centred(features, there)
    right = x.sum(0) - np.einsum("sc,sf->cf", p, np.einsum("sc,scf->sf", p, x))
    root = vectors[:, 1:] / np.sqrt(values[1:] * n_subjects)
    return root @ (vectors[:, 1:].T @ right)


def order_is_removable(present: np.ndarray, order: np.ndarray) -> bool:
    """Whether `clip_effects` can tell clips from positions.

    Parameters
    ----------
    present : ndarray of bool, shape (n_subjects, n_clips)
        Which trials exist.
    order : ndarray, shape (n_subjects, n_clips)
        Their positions.

    Returns
    -------
    bool
        False if a position is unknown, a subject has fewer than three trials, or all saw one order.
    """
    if not np.isfinite(order[present]).all() or present.sum(1).min() < 3:
        return False
    return _separable(_normal_equations(present, order)[1], len(present))


def _normal_equations(there: np.ndarray, order: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions as unit vectors, and the eigenvalues and vectors of the equations for the clips alone."""
    p = _centred(order, there)
    p /= np.linalg.norm(p, axis=1, keepdims=True)
    n = there.sum(1, keepdims=True)
    normal = np.diag(there.sum(0).astype(float)) - (there / n).T @ there - p.T @ p
    return p, *np.linalg.eigh(normal)


def _separable(values: np.ndarray, n_subjects: int) -> bool:
    return bool(values[1] > 1e-8 * n_subjects)  # the first belongs to the mean over clips


def _centred(x: np.ndarray, there: np.ndarray) -> np.ndarray:
    """Without each subject's mean over the trials there are; 0 where there is none."""
    weights = there.reshape(*there.shape, *(1,) * (x.ndim - 2))
    x = np.where(weights, x, 0.0)
    return np.where(weights, x - x.sum(1, keepdims=True) / weights.sum(1, keepdims=True), 0.0)


def order_surrogates(features: ArrayLike, order: ArrayLike, n: int, *, random_state: Seed = 0) -> np.ndarray:
    """Cohort means under the null that EEG depends on the presentation position alone.

    Every subject's trials stay in the sequence in which they were recorded, with all drift and carry-over,
    and are named by the presentation order of another subject, drawn by permuting whole orders. What a clip
    is no longer matters; when it tends to come still does.

    Parameters
    ----------
    features : array_like, shape (n_subjects, n_clips, ...)
        Of each trial, none missing.
    order : array_like, shape (n_subjects, n_clips)
        Positions, different ones within a subject; only their ranks count.
    n : int
        Surrogates.
    random_state : int, Generator or None
        Seed.

    Returns
    -------
    ndarray, shape (n, n_clips, n_features)

    Raises
    ------
    ValueError
        If a trial is missing, or a subject's positions are not all known and different.
    """
    features, order = _trials(features), real(order, "order", finite=False)
    if not np.isfinite(features).all():
        raise ValueError("order surrogates need every trial of every subject: select complete subjects first")
    n_subjects, n_clips = features.shape[:2]
    if order.shape != (n_subjects, n_clips) or not (np.diff(np.sort(order, axis=1), axis=1) > 0).all():
        raise ValueError(f"order must hold {n_clips} different positions for every subject")
    place = order.argsort(1).argsort(1)
    rng = np.random.default_rng(random_state)
    others = np.stack([rng.permutation(n_subjects) for _ in range(n)])
    total = np.zeros((n, n_clips, features.shape[2]), dtype=np.float32)
    for subject, block in enumerate(features.astype(np.float32)):
        sequence = block[np.argsort(place[subject])]  # as recorded
        total += sequence[place[others[:, subject]]]
    return total / n_subjects


def track_against_order(
    features: ArrayLike,
    order: ArrayLike,
    y: ArrayLike,
    emotions: Sequence[str] | np.ndarray,
    *,
    n_surrogates: int = 1000,
    alphas: Sequence[float] | None = None,
    random_state: Seed = 0,
) -> Tracking:
    """Leave-one-emotion-out tracking against `order_surrogates`: is there more than order in the EEG?

    A small p says that something about the clips beyond their order is tracked; it does not say valence.
    Arguments as for `track` and `order_surrogates`.
    """
    features = _trials(features)
    X, y, emotions = _checked(mean_over_subjects(features), y, emotions)
    null = [
        stats.pearson(RidgeFolds(batch, emotions, alphas).held_out(y), y)
        for batch in np.array_split(
            order_surrogates(features, order, n_surrogates, random_state=random_state), -(-n_surrogates // 50)
        )
    ]
    values = np.concatenate(null)
    predictions = RidgeFolds(X, emotions, alphas).held_out(y)
    r = float(stats.pearson(predictions, y))
    p = stats.permutation_p(r, values, alternative="greater")
    return Tracking("leave_one_emotion_out", "order", r, p, values, False, predictions)


def projection_reliability(
    features: ArrayLike,
    y: ArrayLike,
    *,
    n_splits: int = 100,
    n_blocks: int = 20,
    confidence: float = 0.95,
    random_state: Seed = 0,
) -> stats.Interval:
    r"""Reliability over subjects of the projected EEG, for the whole cohort.

    Half of the subjects fit the weights; the others are halved again and projected, so that no noise is
    shared by weights and scores. The correlation r of the two quarters over clips, averaged over random
    splits, is stepped up to the full length, :math:`4 r / (1 + 3 r)` [1]_. The interval is a delete-block
    jackknife over subjects.

    It says how alike people's responses to these clips are; it says nothing about valence.

    Parameters
    ----------
    features : array_like, shape (n_subjects, n_clips, ...)
        Of each trial; NaN where missing; at least eight subjects.
    y : array_like, shape (n_clips,)
        Position of each clip.
    n_splits : int
        Random splits.
    n_blocks : int
        Blocks of the jackknife; as many as subjects if there are fewer.
    confidence : float
        Coverage.
    random_state : int, Generator or None
        Seed.

    Returns
    -------
    Interval

    Raises
    ------
    ValueError
        If there are too few subjects, or so many miss a clip that a quarter could lack it altogether.

    References
    ----------
    .. [1] Spearman (1910), British Journal of Psychology 3(3). doi:10.1111/j.2044-8295.1910.tb00206.x
    """
    features = _trials(features)
    n_subjects = len(features)
    if n_subjects < 8:
        raise ValueError(f"four groups of subjects need eight of them, got {n_subjects}")
    missing, quarter = _most_missing(features), _smallest_quarter(n_subjects, n_blocks)
    if missing >= quarter:
        raise ValueError(
            f"{missing} subjects miss a clip and a quarter has {quarter}: drop the clip or these subjects"
        )
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, got {confidence}")
    rng = np.random.default_rng(random_state)
    shuffled = rng.permutation(n_subjects)
    value = _quarters(features, y, n_splits, rng)
    blocks = np.array_split(shuffled, min(n_blocks, n_subjects))
    left = np.array([_quarters(np.delete(features, block, axis=0), y, n_splits, rng) for block in blocks])
    m = len(blocks)
    error = np.sqrt((m - 1) / m * ((left - left.mean()) ** 2).sum())
    half = float(norm.ppf(0.5 + confidence / 2)) * error
    return stats.Interval(value, float(value - half), min(1.0, float(value + half)))


def quarters_are_full(features: np.ndarray, *, n_blocks: int = 20) -> bool:
    """Whether `projection_reliability` can do with features (n_subjects, n_clips, ...)."""
    return len(features) >= 8 and _most_missing(features) < _smallest_quarter(len(features), n_blocks)


def _most_missing(features: np.ndarray) -> int:
    """Subjects who miss the clip that most of them miss."""
    return int((~trials_present(features)).sum(0).max())


def _smallest_quarter(n_subjects: int, n_blocks: int) -> int:
    """Subjects in the smaller judging group after the largest block of the jackknife is left out."""
    left = n_subjects - -(-n_subjects // min(n_blocks, n_subjects))
    return int(np.diff([*_cuts(left), left]).min())


def _cuts(n_subjects: int) -> np.ndarray:
    return (np.array([0.5, 0.75]) * n_subjects).round().astype(int)


def _quarters(features: np.ndarray, y: ArrayLike, n_splits: int, rng: np.random.Generator) -> float:
    """Stepped-up correlation of the projections of two quarters by weights of the other half."""
    n_subjects = len(features)
    halves: list[np.ndarray] = []
    thirds: list[np.ndarray] = []
    fourths: list[np.ndarray] = []
    for _ in range(n_splits):
        order = rng.permutation(n_subjects)
        for part, members in zip((halves, thirds, fourths), np.split(order, _cuts(n_subjects)), strict=True):
            part.append(mean_over_subjects(features[members]))
    coef, _, _ = RidgeFolds(np.stack(halves)).weights(y)  # (n_splits, n_features)
    a, b = (np.einsum("kcf,kf->kc", np.stack(part), coef) for part in (thirds, fourths))
    r = float(stats.pearson(a, b).mean())
    return 4 * r / (1 + 3 * r)


def _trials(features: ArrayLike) -> np.ndarray:
    """(n_subjects, n_clips, n_features), double precision."""
    features = real(features, "features", finite=False)
    if features.ndim < 3 or 0 in features.shape:
        raise ValueError(f"features must be (n_subjects, n_clips, ...), got shape {features.shape}")
    return features.reshape(*features.shape[:2], -1)
