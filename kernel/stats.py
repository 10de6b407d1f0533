"""Intervals, nulls and multiple testing; a statistic takes arrays that may carry leading batch axes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import false_discovery_control, rankdata
from scipy.stats import t as student_t

from kernel import checks
from kernel.arrays import plain, real, row_labels

Seed = int | np.random.Generator | None
ALTERNATIVES = ("two-sided", "greater", "less")

# Elements of a batch of resamples held at once: 16 MB per array of float64.
_CHUNK = 2_000_000


class Interval(NamedTuple):
    """A value with its confidence limits."""

    value: float
    low: float
    high: float


# Area under the curve and correlations


def auc(scores: ArrayLike, labels: ArrayLike) -> Any:
    r"""Area under the ROC curve, by Mann-Whitney ranks with mid-ranks for ties [1]_.

    .. math:: \mathrm{AUC} = \frac{\sum_{i: y_i = 1} R_i - n_1 (n_1 + 1) / 2}{n_1 n_0}

    Scores (..., n), higher for more positive, and labels (n,) or (..., n) of bool or of 0 and 1, both in each
    row, give a float or an ndarray (...); one half where all scores are equal.

    References
    ----------
    .. [1] Hanley & McNeil (1982), Radiology 143(1). doi:10.1148/radiology.143.1.7063747
    """
    scores, labels = real(scores, "scores"), _binary(labels)
    if scores.ndim == 0 or labels.ndim == 0 or scores.shape[-1] != labels.shape[-1]:
        raise ValueError(f"scores and labels must have one length, got {scores.shape} and {labels.shape}")
    positive = labels.sum(-1)
    negative = labels.shape[-1] - positive
    if (positive == 0).any() or (negative == 0).any():
        raise ValueError(
            "labels hold one class only: an AUC needs positive and negative items; "
            "in a bootstrap, pass strata=labels"
        )
    rank_sum = (rankdata(scores, axis=-1) * labels).sum(-1)
    area = (rank_sum - positive * (positive + 1) / 2) / (positive * negative)
    return float(area) if area.ndim == 0 else area


def _binary(labels: ArrayLike) -> np.ndarray:
    values = real(labels, "labels")
    other = values[(values != 0) & (values != 1)]
    if other.size:
        raise ValueError(f"labels must be bool or 0 and 1, got {other.flat[0]:g}: compare with a threshold")
    return values == 1


def pearson(x: ArrayLike, y: ArrayLike) -> Any:
    """Pearson correlation of x and y (..., n) over the last axis, broadcast over the others.

    A float or an ndarray (...). A row that does not vary is an error: its correlation is undefined.
    """
    x, y = real(x, "x"), real(y, "y")
    if x.ndim == 0 or y.ndim == 0 or x.shape[-1] != y.shape[-1]:
        raise ValueError(f"x and y must have one length, got {x.shape} and {y.shape}")
    x, y = unit(x, "x"), unit(y, "y")
    r = np.clip((x * y).sum(-1), -1, 1)  # rounding can push a perfect correlation beyond 1
    return float(r) if r.ndim == 0 else r


def unit(x: np.ndarray, name: str, axis: int = -1) -> np.ndarray:
    """Centre and scale to length one along an axis; what does not vary is an error that names its place."""
    if x.shape[axis] < 2:
        raise ValueError(f"{name} has {x.shape[axis]} values: a correlation needs two or more")
    mean = x.mean(axis, keepdims=True)
    centred = x - mean
    length = np.linalg.norm(centred, axis=axis, keepdims=True)
    # a constant such as 0.1 differs from its computed mean in the last digit
    constant = length <= 1e-13 * np.sqrt(x.shape[axis]) * np.abs(mean)
    if constant.any():
        place = np.argwhere(np.take(constant, 0, axis))[0].tolist()
        where = f" at {place}" if place else ""
        raise ValueError(
            f"{name} is constant at {mean[constant][0]:g}{where}: its correlation is undefined, leave it out"
        )
    return np.divide(centred, length, out=centred)


def spearman(x: ArrayLike, y: ArrayLike) -> Any:
    """Spearman rank correlation over the last axis, with mid-ranks for ties."""
    return pearson(rankdata(real(x, "x"), axis=-1), rankdata(real(y, "y"), axis=-1))


def textbook_p(r: ArrayLike, n: int, *, alternative: str = "two-sided") -> Any:
    r"""P-value of correlations `r`, of any shape, where n pairs of Gaussians are independent.

    :math:`t = r \sqrt{(n - 2) / (1 - r^2)}` then follows Student's distribution with n - 2 degrees of
    freedom. It knows nothing of clustering, selection or fitting: it is here to be compared with nulls that
    do. `alternative` is ``two-sided`` or ``greater``.
    """
    r = real(r, "r")
    n = checks.count("n", n, least=3)
    if (np.abs(r) > 1).any():
        raise ValueError(f"r must lie in [-1, 1], got {r[np.abs(r) > 1][0]:g}")
    two_sided = checks.choice("alternative", alternative, ALTERNATIVES[:2]) == "two-sided"
    with np.errstate(divide="ignore"):
        t = (np.abs(r) if two_sided else r) * np.sqrt((n - 2) / (1 - r**2))
    p = student_t.sf(t, n - 2) * (2 if two_sided else 1)
    return float(p) if r.ndim == 0 else p


# Bootstrap


def bootstrap_interval(
    statistic: Callable[..., Any],
    *arrays: ArrayLike,
    n_resamples: int = 2000,
    groups: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    random_state: Seed = None,
) -> Interval:
    """Percentile bootstrap [1]_ of a statistic of paired arrays, with 95 % limits.

    Parameters
    ----------
    statistic : callable
        Gives a float for arrays as they are, and (n_batch,) for arrays with a leading batch axis.
    *arrays : array_like, shape (n, ...)
        Resampled together.
    groups : array_like, shape (n,), optional
        Whole groups (subjects) are resampled instead of items; if their sizes differ, one sample at a time.
    strata : array_like, shape (n,), optional
        Units are resampled within each stratum, such as a label; with `groups`, one stratum per group.

    References
    ----------
    .. [1] Efron & Tibshirani (1993), An Introduction to the Bootstrap. doi:10.1007/978-1-4899-4541-9

    Examples
    --------
    >>> scores, labels = [0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1]
    >>> bootstrap_interval(auc, scores, labels, strata=labels, random_state=0).value
    0.75
    """
    data = [plain(a, "arrays", numbers=False) for a in arrays]
    if not data or any(a.shape[:1] != data[0].shape[:1] for a in data) or data[0].ndim == 0:
        raise ValueError(f"arrays must have one length, got shapes {[a.shape for a in data]}")
    n_resamples = checks.count("n_resamples", n_resamples)
    members, strata = _units(len(data[0]), groups, strata)
    rng = np.random.default_rng(random_state)

    samples = _resamples(members, strata, n_resamples, rng)
    values = np.concatenate([_one_each(statistic(*(a[rows] for a in data)), len(rows)) for rows in samples])
    if not np.isfinite(values).all():
        raise ValueError(
            f"the statistic is not finite in {(~np.isfinite(values)).sum()} of {n_resamples} samples: "
            "resample within strata, or use a statistic that is always defined"
        )
    low, high = np.percentile(values, [2.5, 97.5])
    return Interval(float(statistic(*data)), float(low), float(high))


def _units(
    n: int, groups: ArrayLike | None, strata: ArrayLike | None
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Rows of each unit of resampling, and units of each stratum."""
    item_stratum = _codes(strata, n, "strata") if strata is not None else np.zeros(n, dtype=int)
    unit = _codes(groups, n, "groups") if groups is not None else np.arange(n)
    members = _rows_of(unit)
    unit_stratum = np.array([item_stratum[rows[0]] for rows in members])
    if not np.array_equal(unit_stratum[unit], item_stratum):
        raise ValueError("strata vary within a group: whole groups can only be resampled within one stratum")
    strata_members = _rows_of(unit_stratum)
    if max(map(len, strata_members)) < 2:
        raise ValueError("no stratum holds two units: nothing can be resampled")
    return members, strata_members


def _resamples(
    members: list[np.ndarray], strata: list[np.ndarray], n_resamples: int, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """Yield rows of bootstrap samples, (n_batch, n_rows) at a time."""
    equal = len({len(rows) for rows in members}) == 1
    table = np.stack(members) if equal else None
    for size in _chunks(n_resamples, sum(map(len, members))):
        picks = np.concatenate([s[rng.integers(len(s), size=(size, len(s)))] for s in strata], axis=1)
        if table is not None:
            yield table[picks].reshape(size, -1)
        else:
            for pick in picks:
                yield np.concatenate([members[unit] for unit in pick])[None]


# Permutation


def permutation_p(observed: float, null: ArrayLike, *, alternative: str = "two-sided") -> float:
    r"""Share of the null (n,) at least as extreme as the observed value, the observed one counted in [1]_.

    :math:`(1 + \#\{\text{null as extreme}\}) / (1 + n)`, never zero. ``two-sided`` compares absolute values:
    subtract the centre of the null first if it is not zero. Or ``greater``, or ``less``.

    References
    ----------
    .. [1] Phipson & Smyth (2010). doi:10.2202/1544-6115.1585
    """
    null = real(null, "null")
    if not np.isfinite(observed):
        raise ValueError(f"observed must be finite, got {observed}")
    if null.size == 0:
        raise ValueError("null is empty: draw at least one permutation")
    return float((1 + _extreme(observed, null, alternative).sum()) / (1 + null.size))


def _extreme(observed: float, null: np.ndarray, alternative: str) -> np.ndarray:
    checks.choice("alternative", alternative, ALTERNATIVES)
    slack = 1e-12 * max(1.0, abs(observed))  # ties that differ by rounding are ties
    if alternative == "greater":
        return null >= observed - slack
    if alternative == "less":
        return null <= observed + slack
    return np.abs(null) >= abs(observed) - slack


@dataclass(frozen=True)
class PermutationResult:
    """Statistic of the data, p-value, statistics under permutation (n_orders,), and whether these are exact.

    If they are, `null` holds every distinct order, the observed one included.
    """

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
    """Permute `y` against `x`, over items or over whole groups; exact if `y` has few orders.

    Parameters
    ----------
    statistic : callable
        ``statistic(x, y)`` with y of shape (n,) or (n_batch, n), giving a float or (n_batch,).
    x, y : array_like, shape (n, ...) and (n,)
        Paired values.
    groups : array_like, shape (n,), optional
        The unit of exchange, such as the emotion of each clip: `y` must be constant within a group, and the
        groups' values are permuted among the groups, whatever their sizes.
    n_permutations : int
        Random permutations. When `y` has no more distinct orders than this, all are enumerated instead; tied
        values make orders coincide, so nine emotions coded -1, 0, 1 have 630 and not 9! of them.
    alternative : {"two-sided", "greater", "less"}
        As in `permutation_p`.
    """
    x, y = plain(x, "x", numbers=False), plain(y, "y")
    if y.ndim != 1 or x.ndim == 0 or len(x) != len(y):
        raise ValueError(f"x and y must have one length, got shapes {x.shape} and {y.shape}")
    n_permutations = checks.count("n_permutations", n_permutations)
    unit = np.arange(len(y)) if groups is None else _codes(groups, len(y), "groups")
    level = np.array([y[rows[0]] for rows in _rows_of(unit)])
    if len(level) < 2:
        raise ValueError("there is one unit only: nothing can be permuted")
    if not np.array_equal(level[unit], y):
        raise ValueError("y varies within a group: permuting groups needs one value per group")

    values, code, counts = np.unique(level, return_inverse=True, return_counts=True)
    exact = _n_arrangements(counts) <= n_permutations
    if exact:
        orders = _arrangements(counts)
        sizes = _chunks(len(orders), len(y))
        batches = iter(np.split(orders, np.cumsum(sizes)[:-1]))
    else:
        rng = np.random.default_rng(random_state)
        sizes = _chunks(n_permutations, len(y))
        batches = (rng.permuted(np.tile(code, (size, 1)), axis=1) for size in sizes)
    null = np.concatenate([_one_each(statistic(x, values[batch[:, unit]]), len(batch)) for batch in batches])
    observed = float(statistic(x, y))
    if exact:
        p = float(_extreme(observed, real(null, "null"), alternative).mean())
        p = max(p, 1 / len(null))  # the observed order is among them, whatever rounding does to its statistic
    else:
        p = permutation_p(observed, null, alternative=alternative)
    return PermutationResult(observed, p, null, exact)


def _n_arrangements(counts: np.ndarray) -> int:
    """Distinct orders of a multiset: n! over the product of the counts' factorials."""
    return math.factorial(int(counts.sum())) // math.prod(math.factorial(int(count)) for count in counts)


def _arrangements(counts: np.ndarray) -> np.ndarray:
    """Every distinct order of a multiset, (n_orders, n) of value numbers."""
    orders, left = np.zeros((1, 0), dtype=np.intp), counts[None].copy()
    for _ in range(counts.sum()):
        row, value = np.nonzero(left)  # each beginning with each value that it has not used up
        orders = np.column_stack([orders[row], value])
        left = left[row]
        left[np.arange(len(row)), value] -= 1
    return orders


# Multiple testing


def holm(p: ArrayLike) -> np.ndarray:
    r"""Holm's step-down adjustment [1]_ of p-values (m,): bounds the chance of any false alarm.

    .. math:: \tilde p_{(i)} = \max_{j \le i} \min\bigl(1, (m - j + 1)\, p_{(j)}\bigr)

    .. [1] Holm (1979), Scandinavian Journal of Statistics 6(2), 65-70. https://www.jstor.org/stable/4615733
    """
    p = _p_values(p)
    order, adjusted = np.argsort(p), np.empty_like(p)
    adjusted[order] = np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1))
    return np.minimum(adjusted, 1)


def benjamini_hochberg(p: ArrayLike) -> np.ndarray:
    """Benjamini-Hochberg adjustment of p-values (m,): bounds the expected share of false alarms.

    Among the findings of independent (or positively dependent) tests. doi:10.1111/j.2517-6161.1995.tb02031.x
    """
    return false_discovery_control(_p_values(p))


def _p_values(p: ArrayLike) -> np.ndarray:
    p = real(p, "p", finite=False)
    if p.ndim != 1 or p.size == 0:
        raise ValueError(f"p must be a non-empty list of p-values, got shape {p.shape}")
    outside = ~((p >= 0) & (p <= 1))
    if outside.any():
        raise ValueError(f"p-values must lie in [0, 1], got {p[outside][0]}: drop tests that were not run")
    return p


# Random directions


class SpreadNull(NamedTuple):
    """AUC of an axis, those of random directions (n_directions,), their spread, and a p-value.

    `sd` is the standard deviation of the null around one half, where symmetry puts its mean; `p` the share
    of directions with ``|AUC - 0.5|`` at least as large, with the +1 rule.
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

    Features (n_items, n_features) are projected onto the direction (n_features,) and onto random ones:
    isotropic, or with the covariance of the features ("matched"), so that they favour the subspace where
    items vary. Labels (n_items,) are bool, and both must occur.
    """
    X = real(features, "features")
    axis = real(direction, "direction")
    if X.ndim != 2 or axis.shape != (X.shape[1],):
        raise ValueError(f"direction must have shape (n_features,) of features {X.shape}, got {axis.shape}")
    checks.choice("covariance", covariance, (None, "matched"))
    n_directions = checks.count("n_directions", n_directions)
    if not axis.any():
        raise ValueError("direction is zero: an axis needs a length")
    centred = X - X.mean(0)
    if not centred.any():
        raise ValueError(f"features hold {len(X)} equal rows: there is nothing to project")
    rng = np.random.default_rng(random_state)
    null = []
    for size in _chunks(n_directions, max(X.shape)):
        if covariance == "matched":  # Gaussian combinations of centred items have the items' covariance
            draws = rng.standard_normal((size, len(X))) @ centred
        else:
            draws = rng.standard_normal((size, X.shape[1]))
        null.append(np.atleast_1d(auc(draws @ centred.T, labels)))
    values = np.concatenate(null)
    observed = float(auc(centred @ axis, labels))
    p = permutation_p(observed - 0.5, values - 0.5)
    return SpreadNull(observed, values, float(np.sqrt(np.mean((values - 0.5) ** 2))), p)


class ClassConstantNull(NamedTuple):
    """What predictors with one value per class reach against a target over items.

    Absolute correlations of random class-constant vectors (n_directions,) with the target and their 95th
    percentile; that of vectors free to vary over items; the largest that any class-constant one can reach,
    that of the class means.
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

    The target (n_items,) may be the mean valence of each clip, the classes (n_items,) its emotion.
    """
    target = real(target, "target")
    if target.ndim != 1:
        raise ValueError(f"target must have shape (n_items,), got {target.shape}")
    n_directions = checks.count("n_directions", n_directions)
    code = _codes(classes, len(target), "classes")
    members = _rows_of(code)
    if len(members) < 2:
        raise ValueError("classes hold one class only: a class-constant predictor would be constant")
    rng = np.random.default_rng(random_state)
    constant = np.abs(pearson(rng.standard_normal((n_directions, len(members)))[:, code], target))
    free = np.abs(pearson(rng.standard_normal((n_directions, len(target))), target))
    means = np.array([target[rows].mean() for rows in members])
    return ClassConstantNull(
        null=constant,
        quantile_95=float(np.quantile(constant, 0.95)),
        free_quantile_95=float(np.quantile(free, 0.95)),
        ceiling=float(pearson(means[code], target)),
    )


# Shared


def _codes(values: ArrayLike, n: int, name: str) -> np.ndarray:
    """Number each item's value from zero, in sorted order."""
    return np.unique(row_labels(values, name, n), return_inverse=True)[1]


def _rows_of(code: np.ndarray) -> list[np.ndarray]:
    """Rows of each number, in order."""
    return np.split(np.argsort(code, kind="stable"), np.cumsum(np.bincount(code))[:-1])


def _one_each(values: Any, n: int) -> np.ndarray:
    """What a statistic gave for a batch; a single number would pass for all of them unnoticed."""
    values = real(values, "statistic", finite=False)
    if values.shape != (n,):
        raise ValueError(
            f"statistic gave shape {values.shape} for a batch of {n}: reduce the last axis only (axis=-1)"
        )
    return values


def _chunks(total: int, width: int) -> list[int]:
    """Sizes of batches of rows of this width that fit in memory together."""
    size = max(1, _CHUNK // max(1, width))
    return [min(size, total - start) for start in range(0, total, size)]
