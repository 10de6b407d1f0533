"""Intervals, nulls and multiple testing.

In:  numpy arrays; a statistic is a function whose arrays may carry leading batch axes.
Out: floats and small frozen results.
Never reads files, never plots, never touches the global random state.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import norm, rankdata

Seed = int | np.random.Generator | None

# Elements of a batch of resamples held at once.
_CHUNK = 4_000_000


class Interval(NamedTuple):
    """A value with its confidence limits."""

    value: float
    low: float
    high: float


def auc(scores: ArrayLike, labels: ArrayLike) -> np.ndarray | float:
    r"""Area under the ROC curve, by Mann-Whitney ranks with mid-ranks for ties.

    .. math:: \mathrm{AUC} = \frac{\sum_{i: y_i = 1} R_i - n_1 (n_1 + 1) / 2}{n_1 n_0}

    Parameters
    ----------
    scores : array_like, shape (..., n)
        Higher means more positive.
    labels : array_like of bool, shape (n,) or (..., n)
        Both classes must occur in each row.

    Returns
    -------
    float or ndarray, shape (...)

    Raises
    ------
    ValueError
        If a score is not finite or a class is missing.

    References
    ----------
    .. [1] Hanley & McNeil (1982), Radiology 143(1). doi:10.1148/radiology.143.1.7063747
    """
    scores = _finite(scores, "scores")
    labels = np.broadcast_to(np.asarray(labels, dtype=bool), scores.shape)
    positive = labels.sum(-1)
    negative = labels.shape[-1] - positive
    if (positive == 0).any() or (negative == 0).any():
        raise ValueError("labels hold one class only: an AUC needs positive and negative items")
    ranks = rankdata(scores, axis=-1)
    area = ((ranks * labels).sum(-1) - positive * (positive + 1) / 2) / (positive * negative)
    return float(area) if area.ndim == 0 else area


def pearson(x: ArrayLike, y: ArrayLike) -> np.ndarray | float:
    """Pearson correlation over the last axis, broadcast over the others; raises ValueError for constants."""
    x, y = _finite(x, "x"), _finite(y, "y")
    if x.shape[-1] != y.shape[-1]:
        raise ValueError(f"x and y must have one length, got {x.shape[-1]} and {y.shape[-1]}")
    x = x - x.mean(-1, keepdims=True)
    y = y - y.mean(-1, keepdims=True)
    norms = np.sqrt((x**2).sum(-1) * (y**2).sum(-1))
    if (norms == 0).any():
        raise ValueError("a correlation with a constant is undefined: x or y does not vary")
    r = (x * y).sum(-1) / norms
    return float(r) if r.ndim == 0 else r


def spearman(x: ArrayLike, y: ArrayLike) -> np.ndarray | float:
    """Spearman rank correlation over the last axis, with mid-ranks for ties."""
    return pearson(rankdata(_finite(x, "x"), axis=-1), rankdata(_finite(y, "y"), axis=-1))


def bootstrap_interval(
    statistic: Callable[..., Any],
    *arrays: ArrayLike,
    n_resamples: int = 2000,
    confidence: float = 0.95,
    groups: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    random_state: Seed = None,
) -> Interval:
    """Percentile bootstrap of a statistic of paired arrays.

    Parameters
    ----------
    statistic : callable
        Takes the arrays with a leading batch axis, (n_batch, n), and returns (n_batch,).
    *arrays : array_like, shape (n,)
        Resampled together.
    n_resamples : int
        Bootstrap samples.
    confidence : float
        Coverage between 0 and 1.
    groups : array_like, shape (n,), optional
        Whole groups (subjects) are resampled instead of items.
    strata : array_like, shape (n,), optional
        Items are resampled within each stratum. Not together with `groups`.
    random_state : int, Generator or None
        Seed.

    Returns
    -------
    Interval
        The statistic of the data with percentile limits.

    References
    ----------
    .. [1] Efron & Tibshirani (1993), An Introduction to the Bootstrap. doi:10.1007/978-1-4899-4541-9
    """
    data = [np.asarray(a) for a in arrays]
    n = len(data[0])
    if any(len(a) != n for a in data):
        raise ValueError(f"arrays must have one length, got {[len(a) for a in data]}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, got {confidence}")
    if n_resamples < 1:
        raise ValueError(f"n_resamples must be at least 1, got {n_resamples}")
    if groups is not None and strata is not None:
        raise ValueError("groups and strata exclude one another: resample groups or within strata")
    rng = np.random.default_rng(random_state)

    if groups is not None:
        values = _resample_groups(statistic, data, np.asarray(groups), n_resamples, rng)
    else:
        values = _resample_items(statistic, data, strata, n_resamples, rng)
    tail = 50 * (1 - confidence)
    low, high = np.percentile(values, [tail, 100 - tail])
    return Interval(float(statistic(*data)), float(low), float(high))


def _resample_items(statistic, data, strata, n_resamples, rng) -> np.ndarray:
    n = len(data[0])
    labels = np.zeros(n, dtype=int) if strata is None else np.unique(np.asarray(strata), return_inverse=True)[1]
    if len(labels) != n:
        raise ValueError(f"strata must have length {n}, got {len(labels)}")
    members = [np.flatnonzero(labels == k) for k in range(labels.max() + 1)]
    values = []
    for size in _chunks(n_resamples, n):
        picks = np.concatenate([m[rng.integers(len(m), size=(size, len(m)))] for m in members], axis=1)
        values.append(np.atleast_1d(statistic(*(a[picks] for a in data))))
    return np.concatenate(values)


def _resample_groups(statistic, data, groups, n_resamples, rng) -> np.ndarray:
    if len(groups) != len(data[0]):
        raise ValueError(f"groups must have length {len(data[0])}, got {len(groups)}")
    members = [np.flatnonzero(groups == g) for g in np.unique(groups)]
    if len(members) < 2:
        raise ValueError("groups hold one group only: nothing can be resampled")
    values = np.empty(n_resamples)
    for b in range(n_resamples):
        rows = np.concatenate([members[g] for g in rng.integers(len(members), size=len(members))])
        values[b] = np.squeeze(statistic(*(a[None, rows] for a in data)))
    return values


def permutation_p(observed: float, null: ArrayLike, *, alternative: str = "two-sided") -> float:
    """Share of the null at least as extreme as the observed value, the observed one counted in.

    Parameters
    ----------
    observed : float
        The statistic of the data.
    null : array_like, shape (n,)
        The statistic of random permutations or draws.
    alternative : {"two-sided", "greater", "less"}
        Two-sided compares absolute values.

    Returns
    -------
    float
        In (0, 1]; never zero.

    References
    ----------
    .. [1] Phipson & Smyth (2010). doi:10.2202/1544-6115.1585
    """
    null = _finite(null, "null")
    if not np.isfinite(observed):
        raise ValueError(f"observed must be finite, got {observed}")
    if null.size == 0:
        raise ValueError("null is empty: draw at least one permutation")
    return float((1 + _extreme(observed, null, alternative).sum()) / (1 + null.size))


def _extreme(observed: float, null: np.ndarray, alternative: str) -> np.ndarray:
    slack = 1e-12 * max(1.0, abs(observed))  # ties that differ by rounding are ties
    if alternative == "greater":
        return null >= observed - slack
    if alternative == "less":
        return null <= observed + slack
    if alternative == "two-sided":
        return np.abs(null) >= abs(observed) - slack
    raise ValueError(f"alternative must be 'two-sided', 'greater' or 'less', got {alternative!r}")


@dataclass(frozen=True)
class PermutationResult:
    """Outcome of a permutation test: the statistic, its p-value, its null, and whether all orders were seen."""

    observed: float
    p: float
    null: np.ndarray
    exact: bool


def permutation_test(
    statistic: Callable[..., Any],
    x: ArrayLike,
    y: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    n_permutations: int = 10_000,
    alternative: str = "two-sided",
    random_state: Seed = None,
) -> PermutationResult:
    """Permute `y` against `x`, over items or over whole groups.

    Parameters
    ----------
    statistic : callable
        ``statistic(x, y)`` with y of shape (n,) or (n_batch, n).
    x, y : array_like, shape (n,)
        Paired values.
    groups : array_like, shape (n,), optional
        `y` must be constant within a group; the groups' values are permuted among the groups.
    n_permutations : int
        Random permutations; when there are no more distinct orders than this, all are enumerated.
    alternative : {"two-sided", "greater", "less"}
        As in `permutation_p`.
    random_state : int, Generator or None
        Seed.

    Returns
    -------
    PermutationResult
        With an exact p (identity included) or the +1 rule.
    """
    x, y = np.asarray(x), np.asarray(y)
    if len(x) != len(y):
        raise ValueError(f"x and y must have one length, got {len(x)} and {len(y)}")
    inverse = np.arange(len(y)) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    k = int(inverse.max()) + 1
    if k < 2:
        raise ValueError("there is one unit only: nothing can be permuted")
    levels = np.array([y[inverse == g][0] for g in range(k)])
    if not np.array_equal(levels[inverse], y):
        raise ValueError("y varies within a group: permuting groups needs one value per group")

    rng = np.random.default_rng(random_state)
    exact = math.factorial(k) <= n_permutations if k <= 20 else False
    if exact:
        orders = np.array(list(itertools.permutations(range(k))))
    else:
        orders = rng.permuted(np.tile(np.arange(k), (n_permutations, 1)), axis=1)
    null = np.concatenate(
        [np.atleast_1d(statistic(x, levels[part][:, inverse])) for part in np.array_split(orders, _parts(orders, len(y)))]
    )
    observed = float(statistic(x, y))
    p = float(_extreme(observed, null, alternative).mean()) if exact else permutation_p(observed, null, alternative=alternative)
    return PermutationResult(observed, p, null, exact)


def fisher_interval(r: float, n: int, confidence: float = 0.95) -> Interval:
    r"""Interval of a correlation by Fisher's :math:`z = \operatorname{artanh} r`, standard error :math:`1/\sqrt{n-3}`.

    Raises ValueError if `n` is below four or `r` outside (-1, 1).
    """
    if n < 4:
        raise ValueError(f"Fisher's interval needs n >= 4, got {n}")
    if not -1 < r < 1:
        raise ValueError(f"r must lie inside (-1, 1), got {r}")
    half = norm.ppf(0.5 + confidence / 2) / math.sqrt(n - 3)
    z = math.atanh(r)
    return Interval(float(r), math.tanh(z - half), math.tanh(z + half))


def holm(p: ArrayLike) -> np.ndarray:
    """Holm's step-down adjusted p-values (Holm 1979, Scandinavian Journal of Statistics 6), shape of `p`."""
    p = _p_values(p)
    order = np.argsort(p)
    adjusted = np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1))
    return _back(np.minimum(adjusted, 1), order)


def benjamini_hochberg(p: ArrayLike) -> np.ndarray:
    """Benjamini-Hochberg adjusted p-values (1995, doi:10.1111/j.2517-6161.1995.tb02031.x), shape of `p`."""
    p = _p_values(p)
    order = np.argsort(p)
    raw = p[order] * p.size / np.arange(1, p.size + 1)
    adjusted = np.minimum.accumulate(raw[::-1])[::-1]
    return _back(np.minimum(adjusted, 1), order)


def _p_values(p: ArrayLike) -> np.ndarray:
    p = np.asarray(p, dtype=float)
    if p.ndim != 1 or p.size == 0:
        raise ValueError(f"p must be a non-empty list of p-values, got shape {p.shape}")
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"p-values must lie in [0, 1], got {p[~((p >= 0) & (p <= 1))][0]}")
    return p


def _back(values: np.ndarray, order: np.ndarray) -> np.ndarray:
    result = np.empty_like(values)
    result[order] = values
    return result


@dataclass(frozen=True)
class SpreadNull:
    """Where an axis' AUC lies among those of random directions.

    Attributes
    ----------
    observed : float
        AUC of the axis.
    null : ndarray, shape (n_directions,)
        AUCs of the random directions.
    sd : float
        Standard deviation of the null around one half, where symmetry puts its mean.
    p : float
        Share of directions with ``|AUC - 0.5|`` at least as large, with the +1 rule.
    """

    observed: float
    null: np.ndarray
    sd: float
    p: float


def spread_null(
    features: ArrayLike,
    labels: ArrayLike,
    direction: ArrayLike,
    *,
    n_directions: int = 1000,
    covariance: str | None = None,
    random_state: Seed = None,
) -> SpreadNull:
    r"""Rank an axis among random directions by :math:`|\mathrm{AUC} - 1/2|`.

    A direction and its opposite have AUCs that sum to one, so random directions average one half whatever the
    features hold. The null is therefore their spread, not their mean.

    Parameters
    ----------
    features : array_like, shape (n_items, n_features)
        What is projected.
    labels : array_like of bool, shape (n_items,)
        Both classes must occur.
    direction : array_like, shape (n_features,)
        The axis.
    n_directions : int
        Random directions.
    covariance : {None, "matched"}
        None draws isotropic directions; "matched" draws them with the covariance of the features, so that they
        favour the subspace where items vary.
    random_state : int, Generator or None
        Seed.

    Returns
    -------
    SpreadNull
    """
    X = _finite(features, "features")
    axis = _finite(direction, "direction")
    if X.ndim != 2 or axis.shape != (X.shape[1],):
        raise ValueError(f"direction must have shape (n_features,) of features {X.shape}, got {axis.shape}")
    if covariance not in (None, "matched"):
        raise ValueError(f"covariance must be None or 'matched', got {covariance!r}")
    rng = np.random.default_rng(random_state)
    centred = X - X.mean(0)
    null = []
    for size in _chunks(n_directions, max(X.shape)):
        if covariance == "matched":  # Gaussian mixtures of the items have exactly the items' covariance
            draws = rng.standard_normal((size, len(X))) @ centred
        else:
            draws = rng.standard_normal((size, X.shape[1]))
        null.append(np.atleast_1d(auc(draws @ centred.T, labels)))
    values = np.concatenate(null)
    observed = float(auc(centred @ axis, labels))
    p = permutation_p(observed - 0.5, values - 0.5)
    return SpreadNull(observed, values, float(np.sqrt(np.mean((values - 0.5) ** 2))), p)


@dataclass(frozen=True)
class ClassConstantNull:
    """What predictors with one value per class reach against a target over items.

    Attributes
    ----------
    null : ndarray, shape (n_directions,)
        Absolute correlations of random class-constant vectors with the target.
    quantile_95 : float
        Their 95th percentile.
    free_quantile_95 : float
        The same for random vectors that are free to vary over items.
    ceiling : float
        The largest correlation that any class-constant vector can reach: that of the class means.
    """

    null: np.ndarray
    quantile_95: float
    free_quantile_95: float
    ceiling: float

    def p(self, r: float) -> float:
        """Two-sided p-value of a correlation, with the +1 rule."""
        return permutation_p(r, self.null)


def class_constant_null(
    target: ArrayLike, classes: ArrayLike, *, n_directions: int = 10_000, random_state: Seed = None
) -> ClassConstantNull:
    """Null of class-constant predictors: one Gaussian value per class, the same for all its items.

    An axis read from one story per emotion gives nine values to 28 clips. Its correlation with the clips'
    ratings must be compared with other sets of nine values, not with 28 free ones.

    Parameters
    ----------
    target : array_like, shape (n_items,)
        For example the mean valence of each clip.
    classes : array_like, shape (n_items,)
        Class of each item; two or more.
    n_directions : int
        Random vectors.
    random_state : int, Generator or None
        Seed.

    Returns
    -------
    ClassConstantNull
    """
    target = _finite(target, "target")
    inverse = np.unique(np.asarray(classes), return_inverse=True)[1]
    if len(inverse) != len(target):
        raise ValueError(f"classes must have length {len(target)}, got {len(inverse)}")
    k = int(inverse.max()) + 1
    if k < 2:
        raise ValueError("classes hold one class only: a class-constant predictor would be constant")
    rng = np.random.default_rng(random_state)
    constant = np.abs(pearson(rng.standard_normal((n_directions, k))[:, inverse], target))
    free = np.abs(pearson(rng.standard_normal((n_directions, len(target))), target))
    means = np.array([target[inverse == c].mean() for c in range(k)])[inverse]
    return ClassConstantNull(
        constant, float(np.quantile(constant, 0.95)), float(np.quantile(free, 0.95)), float(pearson(means, target))
    )


def _finite(values: ArrayLike, name: str) -> np.ndarray:
    if hasattr(values, "detach"):
        values = values.detach().cpu().numpy()
    values = np.asarray(values, dtype=float)
    if not np.isfinite(values).all():
        raise ValueError(f"{name} holds NaN or inf: drop or impute these items first")
    return values


def _chunks(total: int, width: int) -> list[int]:
    size = max(1, _CHUNK // max(1, width))
    return [min(size, total - start) for start in range(0, total, size)]


def _parts(orders: np.ndarray, width: int) -> int:
    return max(1, math.ceil(len(orders) * width / _CHUNK))
