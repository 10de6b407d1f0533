"""One linear projection of EEG onto an axis: held-out predictions, nulls that judge them, and reliability."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.stats import norm
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from kernel import checks, stats
from kernel.arrays import Features, for_estimator, real, row_labels
from kernel.brain.cohort import mean_over_subjects, trials_present
from kernel.brain.ridge import Device, RidgeFolds
from kernel.stats import Seed

Emotions = Sequence[str] | np.ndarray

SCHEMES = ("in_sample", "leave_one_clip_out", "leave_one_emotion_out")
NULLS = ("emotions", "clips", "class_constant", "free")

_BLOCKS = 20  # of the jackknife over subjects


# Tracking


class Tracking(NamedTuple):
    """How well EEG tracks an axis under one scheme, against one null.

    `r` correlates predictions (or fitted values) with positions over clips; `p` is one-sided, the share of
    the null `values` (n_null,), each fitted anew, that is as large; `exact`: whether these are all orders.
    """

    r: float
    p: float
    values: np.ndarray
    exact: bool


def track(
    X: Features,
    y: ArrayLike,
    emotions: Emotions,
    *,
    scheme: str = "leave_one_emotion_out",
    null: str = "emotions",
    n_permutations: int = 10_000,
    random_state: Seed = 0,
    device: Device = None,
) -> Tracking:
    """Correlate ridge predictions from EEG with positions on an axis, against a null that is fitted anew.

    The correlation of left-out predictions is *negative* without signal, because the mean of the others moves
    against what is left out; only its place in the null means something. Where emotions can be decoded but
    valence plays no part, permuted emotions hold their level and the other nulls do not; drift along the
    session passes them all, and only :func:`clip_effects` remove it (rates: `kernel.audit.projection_rates`).

    Parameters
    ----------
    X : array_like or Tensor, shape (n, ...)
        Features of each clip, such as :func:`~kernel.brain.cohort.cohort_tensor`; flattened.
    y, emotions : array_like, shape (n,)
        Position and emotion of each clip.
    scheme : {"leave_one_emotion_out", "leave_one_clip_out", "in_sample"}
        What a prediction has not seen. ``in_sample`` chooses its penalty by leaving clips out.
    null : {"emotions", "clips", "class_constant", "free"}
        Positions permuted among emotions (`y` must be constant within each) or over clips; Gaussian
        positions, one per emotion or one per clip.
    n_permutations : int
        Draws; permutations are enumerated where there are no more of them.
    random_state : int, Generator or None
        Seed.
    device : str or torch.device, optional
        As for :class:`RidgeFolds`.
    """
    X, y, emotions = _checked(X, y, emotions)
    checks.choice("scheme", scheme, SCHEMES)
    folds = RidgeFolds(X, emotions if scheme == "leave_one_emotion_out" else None, device=device)
    predict = folds.in_sample if scheme == "in_sample" else folds.held_out

    def statistic(Y: np.ndarray) -> Any:
        return stats.pearson(predict(Y), Y)

    test = against_null(statistic, y, emotions, null, n_permutations, random_state)
    return Tracking(test.observed, test.p, test.null, test.exact)


def against_null(
    statistic: Callable[[np.ndarray], Any],
    y: np.ndarray,
    emotions: np.ndarray,
    null: str,
    n_permutations: int,
    random_state: Seed = 0,
) -> stats.PermutationResult:
    """Test a statistic of targets (n,) or (n_batch, n), one-sided, against a null of `track`."""
    checks.choice("null", null, NULLS)
    if null in ("emotions", "clips"):
        return stats.permutation_test(
            lambda _, Y: statistic(Y), np.arange(len(y)), y, groups=emotions if null == "emotions" else None,
            n_permutations=n_permutations, alternative="greater", random_state=random_state,
        )  # fmt: skip
    observed, rng = float(statistic(y)), np.random.default_rng(random_state)
    code = np.arange(len(y)) if null == "free" else np.unique(emotions, return_inverse=True)[1]
    values = statistic(rng.standard_normal((n_permutations, code.max() + 1))[:, code])
    p = stats.permutation_p(observed, values, alternative="greater")
    return stats.PermutationResult(observed, p, values, exact=False)


def _checked(X: Features, y: ArrayLike, emotions: Emotions) -> tuple[Any, np.ndarray, np.ndarray]:
    """Features (n, n_features), as a tensor if they were one; positions that vary; emotions."""
    X, y = X if isinstance(X, torch.Tensor) else real(X, "X"), real(y, "y")
    if X.ndim < 2 or y.shape != (len(X),):
        raise ValueError(f"X and y must have one row per clip, got {tuple(X.shape)} and {y.shape}")
    if np.ptp(y) == 0:
        raise ValueError(f"y is constant at {y[0]:g}: an axis with one position orders nothing")
    return X.reshape(len(X), -1), y, row_labels(emotions, "emotions", len(y))


class ProjectionModel(RegressorMixin, BaseEstimator):
    """The linear projection as a scikit-learn estimator: ridge whose penalty is chosen by leaving groups out.

    `device` is as for :class:`RidgeFolds`. Fitted are ``coef_`` (n_features,), ``intercept_`` and the penalty
    ``alpha_`` of the fit to all rows; ``held_out_`` (n,), the prediction of each row by a fit without its
    group, penalty included; and ``held_out_r_``, their correlation with the targets, which is no test.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X, emotions = rng.standard_normal((28, 160)), np.repeat(list("abcdefg"), 4)
    >>> ProjectionModel().fit(X, rng.standard_normal(28), emotions).coef_.shape
    (160,)
    """

    def __init__(self, device: Device = None) -> None:
        self.device = device

    def fit(self, X: ArrayLike, y: ArrayLike, groups: ArrayLike | None = None) -> ProjectionModel:
        """Fit on features (n, n_features) and positions (n,); `groups` are left out together."""
        X, y = validate_data(
            self,
            for_estimator(X, "X"),
            for_estimator(y, "y", labels=True),
            y_numeric=True,
            ensure_min_samples=3,
            dtype=np.float64,
        )
        folds = RidgeFolds(X, groups, device=self.device)
        self.coef_, intercept, alpha = folds.weights(y)
        self.intercept_, self.alpha_ = float(intercept), float(alpha)
        self.held_out_ = folds.held_out(y)
        self.held_out_r_ = float(stats.pearson(self.held_out_, y))
        return self

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Positions (n,) of features (n, n_features)."""
        check_is_fitted(self)
        X = validate_data(self, for_estimator(X, "X"), reset=False, dtype=np.float64)
        return X @ self.coef_ + self.intercept_


# Single trials and classes. Features of trials are (n_subjects, n_clips, ...), NaN where a trial is missing.


def trial_level(
    features: ArrayLike,
    y: ArrayLike,
    emotions: Emotions,
    *,
    n_permutations: int = 1000,
    random_state: Seed = 0,
    device: Device = None,
) -> stats.PermutationResult:
    """Correlate the predictions of single trials with positions, against permuted emotions, fitted anew.

    The trials of one clip share its position, so their number lends no weight to the test. Features are those
    of :func:`~kernel.brain.cohort.trial_features`; other arguments as for `track`.
    """
    features = trial_rows(features)
    X, y, emotions = _checked(mean_over_subjects(features), y, emotions)
    folds = RidgeFolds(X, emotions, device=device)
    subject, clip = np.nonzero(trials_present(features))
    rows = features[subject, clip]

    def statistic(Y: np.ndarray) -> Any:
        batch = np.atleast_2d(Y)
        parts = np.array_split(batch, -(-len(batch) // 250))
        r = [stats.pearson(folds.held_out_rows(rows, emotions[clip], part), part[:, clip]) for part in parts]
        return np.concatenate(r) if np.ndim(Y) == 2 else float(r[0][0])

    return against_null(statistic, y, emotions, "emotions", n_permutations, random_state)


def class_level(
    X: Features,
    y: ArrayLike,
    emotions: Emotions,
    valence: ArrayLike,
    *,
    n_permutations: int = 10_000,
    random_state: Seed = 0,
    device: Device = None,
) -> stats.PermutationResult:
    """Correlate the mean held-out prediction of each emotion with its mean human valence, given (n_clips,).

    Under the null the emotions carry their position *and* their valence to the EEG of other emotions, and the
    projection is fitted anew: positions and valence agree with each other, so permuting valence alone would
    pass that agreement off as the brain's. Other arguments as for `track`.
    """
    X, y, emotions = _checked(X, y, emotions)
    code = np.unique(emotions, return_inverse=True)[1]
    mean = np.eye(code.max() + 1)[code]
    mean /= mean.sum(0)  # (n_clips, n_emotions): averages over the clips of an emotion
    human = checks.shape("valence", real(valence, "valence"), y.shape, "(n_clips,)") @ mean
    position = y @ mean
    folds = RidgeFolds(X, emotions, device=device)

    def statistic(Y: np.ndarray) -> Any:
        carried = np.asarray(Y).astype(int)  # which emotion's values each clip carries
        return stats.pearson(folds.held_out(position[carried]) @ mean, human[carried] @ mean)

    return against_null(statistic, code.astype(float), emotions, "emotions", n_permutations, random_state)


# Order


def clip_effects(features: ArrayLike, order: ArrayLike) -> np.ndarray:
    r"""Cohort means of the clips with each subject's linear drift over presentation position removed.

    Subjects differ in their order, so clips and drift can be told apart by least squares,

    .. math:: x_{sc} = \mu_s + \gamma_c + \beta_s\, p_{sc} + e_{sc}.

    The estimates :math:`\hat\gamma` are less certain for contrasts of clips that tend to be shown far apart,
    such as valence, since clips come in blocks of one valence; a permutation of emotions would take that for
    signal. So they are returned as :math:`(N / S)^{1/2}\, \hat\gamma`, with N the matrix of the normal
    equations, which gives every contrast the same noise and shrinks the signal a little.

    Features of trials are (n_subjects, n_clips, ...), positions p from 1 (n_subjects, n_clips), effects
    (n_clips, n_features) with mean zero over clips. ValueError if `order_problem` has one with the positions.
    """
    features, order = trial_rows(features), real(order, "order", finite=False)
    present = trials_present(features)
    checks.shape("order", order, present.shape, f"(n_subjects, n_clips) = {present.shape}")
    if problem := order_problem(present, order):
        raise ValueError(problem)
    p, values, vectors = _normal_equations(present, order)
    x = _centred(features, present)
    right = x.sum(0) - np.einsum("sc,sf->cf", p, np.einsum("sc,scf->sf", p, x))
    root = vectors[:, 1:] / np.sqrt(values[1:] * len(features))
    return root @ (vectors[:, 1:].T @ right)


def order_problem(present: np.ndarray, order: np.ndarray) -> str:
    """Why `clip_effects` cannot tell clips from positions, both (n_subjects, n_clips); "" if it can."""
    if not np.isfinite(order[present]).all():
        return "a trial has no presentation position: read a copy with its events or After_remarks"
    fewest = present.sum(1).min()
    if fewest < 3:
        return f"a subject has {fewest} trials: a line through them removes everything"
    _, values, _ = _normal_equations(present, order)
    if values[1] > 1e-8 * len(present):  # the first belongs to the mean over clips
        return ""
    return "clips and positions cannot be told apart: all subjects saw one order, or it and its reverse"


def _normal_equations(present: np.ndarray, order: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions as unit vectors, and the eigenvalues and vectors of the equations for the clips alone."""
    p = _centred(order, present)
    p /= np.linalg.norm(p, axis=1, keepdims=True)
    n = present.sum(1, keepdims=True)
    normal = np.diag(present.sum(0).astype(float)) - (present / n).T @ present - p.T @ p
    return p, *np.linalg.eigh(normal)


def _centred(x: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Without each subject's mean over the trials there are; 0 where there is none."""
    weights = present.reshape(*present.shape, *(1,) * (x.ndim - 2))
    x = np.where(weights, x, 0.0)
    return np.where(weights, x - x.sum(1, keepdims=True) / weights.sum(1, keepdims=True), 0.0)


def _order_surrogates(features: ArrayLike, order: ArrayLike, n: int, *, random_state: Seed = 0) -> np.ndarray:
    """Cohort means (n, n_clips, n_features) under the null of `track_against_order`."""
    features, order = trial_rows(features), real(order, "order", finite=False)
    if not np.isfinite(features).all():
        raise ValueError("order surrogates need every trial of every subject: select complete subjects first")
    n_subjects, n_clips = features.shape[:2]
    if order.shape != (n_subjects, n_clips) or not (np.diff(np.sort(order, axis=1), axis=1) > 0).all():
        raise ValueError(f"order must hold {n_clips} different positions for every subject")
    place = order.argsort(1).argsort(1)
    rng = np.random.default_rng(random_state)
    others = np.stack([rng.permutation(n_subjects) for _ in range(checks.count("surrogates", n))])
    total = np.zeros((n, n_clips, features.shape[2]), dtype=np.float32)
    for subject, block in enumerate(features.astype(np.float32)):
        sequence = block[np.argsort(place[subject])]  # as recorded
        total += sequence[place[others[:, subject]]]
    return total / n_subjects


def track_against_order(
    features: ArrayLike,
    order: ArrayLike,
    y: ArrayLike,
    emotions: Emotions,
    *,
    n_surrogates: int = 1000,
    random_state: Seed = 0,
    device: Device = None,
) -> Tracking:
    """Leave-one-emotion-out tracking against order surrogates: is there more than order in the EEG?

    In a surrogate, every subject's trials, none missing, stay in the sequence in which they were recorded,
    with all drift and carry-over, and are named by the presentation order (n_subjects, n_clips) of another
    subject, drawn by permuting whole orders. What a clip is no longer matters; when it tends to come still
    does. A small p says that something about the clips beyond their order is tracked; it does not say
    valence. Features are those of `clip_effects`, other arguments as for `track`.
    """
    features = trial_rows(features)
    X, y, emotions = _checked(mean_over_subjects(features), y, emotions)

    def r(X: np.ndarray) -> Any:
        return stats.pearson(RidgeFolds(X, emotions, device=device).held_out(y), y)

    surrogates = _order_surrogates(features, order, n_surrogates, random_state=random_state)
    values = np.concatenate([r(batch) for batch in np.array_split(surrogates, -(-len(surrogates) // 50))])
    observed = float(r(X))
    p = stats.permutation_p(observed, values, alternative="greater")
    return Tracking(observed, p, values, False)


# Reliability


def projection_reliability(
    features: ArrayLike, y: ArrayLike, *, n_splits: int = 100, random_state: Seed = 0, device: Device = None
) -> stats.Interval:
    r"""Reliability over subjects of the projected EEG, for the whole cohort, with 95 % limits.

    Half of the subjects fit the weights; the others are halved again and projected. The correlation r of the
    two quarters over clips, averaged over `n_splits` random splits, is stepped up to the full length by
    Spearman's :math:`4 r / (1 + 3 r)` (doi:10.1111/j.2044-8295.1910.tb00206.x). The interval is a
    delete-block jackknife over subjects. It says how alike people's responses to these clips are, nothing
    about valence. ValueError if `reliability_problem` has one with the features.
    """
    features = trial_rows(features)
    if problem := reliability_problem(features):
        raise ValueError(problem)
    checks.count("n_splits", n_splits)
    n_subjects, rng = len(features), np.random.default_rng(random_state)
    blocks = np.array_split(rng.permutation(n_subjects), min(_BLOCKS, n_subjects))
    value, *without = (
        _quarters(np.delete(features, block, axis=0), y, n_splits, rng, device)
        for block in (np.array([], dtype=int), *blocks)
    )
    left, m = np.array(without), len(blocks)
    half = float(norm.ppf(0.975)) * np.sqrt((m - 1) / m * ((left - left.mean()) ** 2).sum())
    return stats.Interval(value, float(value - half), min(1.0, float(value + half)))


def reliability_problem(features: np.ndarray) -> str:
    """Why features (n_subjects, n_clips, ...) have no `projection_reliability`; "" if they have one."""
    n_subjects = len(features)
    if n_subjects < 8:
        return f"four groups of subjects need eight of them, got {n_subjects}"
    missing = int((~trials_present(features)).sum(0).max())
    left = n_subjects - -(-n_subjects // min(_BLOCKS, n_subjects))  # without the largest block
    quarter = int(np.diff([*_cuts(left), left]).min())
    if missing < quarter:
        return ""
    return f"{missing} subjects miss a clip and a quarter has {quarter}: drop the clip or these subjects"


def _cuts(n_subjects: int) -> np.ndarray:
    return (np.array([0.5, 0.75]) * n_subjects).round().astype(int)


def _quarters(
    features: np.ndarray, y: ArrayLike, n_splits: int, rng: np.random.Generator, device: Device
) -> float:
    """Stepped-up correlation of the projections of two quarters by weights of the other half."""
    n_subjects = len(features)
    splits = [np.split(rng.permutation(n_subjects), _cuts(n_subjects)) for _ in range(n_splits)]
    half, first, second = (
        np.stack([mean_over_subjects(features[members]) for members in part])
        for part in zip(*splits, strict=True)
    )
    coef, _, _ = RidgeFolds(half, device=device).weights(y)  # (n_splits, n_features)
    a, b = (np.einsum("kcf,kf->kc", part, coef) for part in (first, second))
    r = float(stats.pearson(a, b).mean())
    return 4 * r / (1 + 3 * r)


def trial_rows(features: ArrayLike) -> np.ndarray:
    """Features of trials (n_subjects, n_clips, ...) as float64 (n_subjects, n_clips, n_features)."""
    features = real(features, "features", finite=False)
    if features.ndim < 3 or 0 in features.shape:
        raise ValueError(f"features must be (n_subjects, n_clips, ...), got shape {features.shape}")
    return features.reshape(*features.shape[:2], -1)
