"""Where on the scalp, in which band and when EEG follows an axis, each with the null of its own search.

The unit is the emotion. An axis gives one position to an emotion, so positions are permuted among emotions,
and every step that looked at the data, the choice of a cell, of emotions, of weights, is taken anew for each
order. With ``emotions=None`` positions are permuted among clips instead, which suits positions that were
measured clip by clip and is too liberal for all others.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import permutations
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from kernel import checks, stats
from kernel.arrays import real, row_labels
from kernel.brain.cohort import Cohort, cohort_tensor
from kernel.stats import Seed

Emotions = Sequence[str] | np.ndarray

#: First letters of the electrodes of each region. Those between two regions go with the front of the head
#: (FC), with the centre (CP) or with the back (PO; also CB and I below it); all of the side is temporal.
REGIONS: dict[str, tuple[str, ...]] = {
    "frontal": ("FP", "AF", "F", "FC"),
    "central": ("C", "CP"),
    "parietal": ("P",),
    "occipital": ("PO", "O", "I", "CB"),
    "temporal": ("FT", "T", "TP"),
}
_EARS = ("A", "M")
#: Left and right electrodes of frontal asymmetry.
FRONTAL_PAIRS = (("F3", "F4"), ("F7", "F8"), ("Fp1", "Fp2"))
PAPER_EMOTIONS = ("anger", "amusement", "tenderness")
PAPER_WEIGHTS = {"anger": 5, "amusement": 3, "tenderness": 3}

_CHUNK = 2_000_000  # numbers held at once while orders are tried: 16 MB per array of float64


def cell_correlations(X: ArrayLike, y: ArrayLike) -> np.ndarray:
    """Pearson correlation of every cell with positions, over clips: (...) or (n_batch, ...).

    Features of the cohort are (n_clips, ...), the other axes are the cells, usually channel and band;
    positions are (n_clips,) or (n_batch, n_clips).
    """
    X, y = real(X, "X"), real(y, "y")
    if X.ndim < 2 or y.ndim not in (1, 2) or y.shape[-1] != len(X):
        raise ValueError(f"X must be (n_clips, ...) and y (n_clips,) or a batch, got {X.shape} and {y.shape}")
    r = np.tensordot(stats.unit(y, "y"), stats.unit(X, "X", axis=0), axes=1)
    return np.clip(r, -1, 1, out=r)  # rounding may leave a perfect correlation a hair outside


# The map


class CellMap(NamedTuple):
    """Correlation `r` of every cell (n_channels, n_bands) with the axis, over clips, and its p-values.

    `p` is by permutation, two-sided, each cell for itself; `p_max` is corrected for all cells: the share of
    orders in which the *largest* ``|r|`` of any cell is as large; `p_parametric` takes clips as independent
    Gaussian draws, as the paper does. `best` is the cell (channel, band) of the largest ``|r|``, `p_best` its
    `p_max`; `null` (n_orders,) holds the largest ``|r|`` of each order.
    """

    r: np.ndarray
    p: np.ndarray
    p_max: np.ndarray
    p_parametric: np.ndarray
    best: tuple[int, int]
    p_best: float
    null: np.ndarray
    exact: bool

    @property
    def r_best(self) -> float:
        """r of the best cell."""
        return float(self.r[self.best])

    def table(self, channels: Sequence[str], bands: Sequence[str]) -> pd.DataFrame:
        """One row per cell with its names, r and p-values, the largest ``|r|`` first."""
        index = pd.MultiIndex.from_product([list(channels), list(bands)], names=["channel", "band"])
        columns = {name: getattr(self, name).ravel() for name in ("r", "p", "p_max", "p_parametric")}
        return pd.DataFrame(columns, index).sort_values("r", key=np.abs, ascending=False)


def cell_map(
    X: ArrayLike,
    y: ArrayLike,
    emotions: Emotions | None,
    *,
    n_permutations: int = 10_000,
    random_state: Seed = 0,
) -> CellMap:
    """Correlate every cell with the axis and judge the cells together by their maximum [1]_.

    Parameters
    ----------
    X : array_like, shape (n_clips, n_channels, n_bands)
        Features of the cohort.
    y : array_like, shape (n_clips,)
        Positions.
    emotions : sequence of str, length n_clips, or None
        Unit of exchange; `y` must be constant within an emotion. None permutes clips.
    n_permutations : int
        Orders to draw; all are taken where there are no more of them.
    random_state : int, Generator or None
        Seed.

    References
    ----------
    .. [1] Nichols & Holmes (2002), Human Brain Mapping 15(1). doi:10.1002/hbm.1058
    """
    X, y = _checked_map(X, y)
    r = cell_correlations(X, y)
    bar = np.abs(r) - 1e-12  # ties that differ by rounding are ties
    as_large = np.zeros(r.shape, dtype=int)

    def largest(X: np.ndarray, Y: np.ndarray) -> np.ndarray:
        size = np.abs(cell_correlations(X, Y))
        if Y.ndim == 2:  # the same orders serve the single cells, without keeping a map of each
            np.add(as_large, (size >= bar).sum(0), out=as_large)
        return size.max((-2, -1))

    test = search_test(largest, X, y, emotions, r.size, n_permutations, random_state)
    as_large_as_maximum = len(test.null) - np.searchsorted(np.sort(test.null), bar)
    extra = 0 if test.exact else 1  # the observed order is one of all orders, or is counted in
    p, p_max = ((count + extra) / (len(test.null) + extra) for count in (as_large, as_large_as_maximum))
    channel, band = map(int, np.unravel_index(np.abs(r).argmax(), r.shape))
    parametric = stats.textbook_p(r, len(y))
    return CellMap(r, p, p_max, parametric, (channel, band), test.p, test.null, test.exact)


def cell_contrast(
    X: ArrayLike,
    y: ArrayLike,
    emotions: Emotions | None,
    first: np.ndarray,
    second: np.ndarray | None = None,
    *,
    n_permutations: int = 10_000,
    random_state: Seed = 0,
) -> stats.PermutationResult:
    """Mean ``|r|`` of one set of cells, minus that of another if there is one; one-sided (greater).

    The sets are masks (n_channels, n_bands).
    """
    X, y = _checked_map(X, y)
    for mask in (first, first if second is None else second):
        if not checks.shape("a set of cells", mask, X.shape[1:]).any():
            raise ValueError("a set of cells is empty: choose one or more")

    def difference(X: np.ndarray, Y: np.ndarray) -> np.ndarray:
        size = np.abs(cell_correlations(X, Y))
        return size[..., first].mean(-1) - (0 if second is None else size[..., second].mean(-1))

    return search_test(difference, X, y, emotions, X[0].size, n_permutations, random_state)


# Regions and bands


def regions(channels: Sequence[str]) -> dict[str, list[str]]:
    """Sort electrodes into frontal, central, parietal, occipital and temporal ones; regions without any drop.

    The letters of a name decide, upper and lower case alike (see `REGIONS`), since the paper does not list
    its electrodes. Those on the ears (A1, A2, M1, M2) belong to no region.
    """
    members: dict[str, list[str]] = {region: [] for region in REGIONS}
    unknown = []
    for channel in channels:
        match = re.fullmatch(r"([A-Z]+?)(\d+|Z)", channel.upper())
        letters = match[1] if match else None
        region = next((name for name, prefixes in REGIONS.items() if letters in prefixes), None)
        if region:
            members[region].append(channel)
        elif letters not in _EARS:
            unknown.append(channel)
    if unknown:
        raise ValueError(f"no region for {unknown}: drop them with cohort.select(channels=...)")
    return {region: names for region, names in members.items() if names}


def asymmetry(
    X: ArrayLike,
    y: ArrayLike,
    emotions: Emotions | None,
    channels: Sequence[str],
    *,
    n_permutations: int = 10_000,
    random_state: Seed = 0,
) -> stats.PermutationResult:
    """Frontal asymmetry, the mean of pairs' right minus left features of a band, correlated with the axis.

    Features are (n_clips, n_channels, 1), usually alpha in nats. The size of the difference is a fact about
    heads, caps and amplifiers; only its correlation over clips bears on the axis.
    """
    X, y = _checked_map(X, y)
    known = {channel.lower(): X[:, place] for place, channel in enumerate(channels)}
    missing = [name for pair in FRONTAL_PAIRS for name in pair if name.lower() not in known]
    if missing:
        raise ValueError(f"electrodes {missing} are missing: there are {', '.join(channels)}")
    differences = [known[right.lower()] - known[left.lower()] for left, right in FRONTAL_PAIRS]
    options: Any = {"groups": emotions, "n_permutations": n_permutations, "random_state": random_state}
    return stats.permutation_test(stats.pearson, np.mean(differences, (0, 2)), y, **options)


# Which emotions carry it


class WeightedEmotions(NamedTuple):
    """Correlation `r_in` of the best cell with each clip weighted by its emotion; NaN if nothing varies.

    `gain` is what ``|r_in|`` exceeds the unweighted ``|r|`` by; `p` is the share of orders that reach as much
    with all choices made anew.
    """

    weights: dict[str, float]
    r_in: float
    gain: float
    p: float

    @property
    def emotions(self) -> tuple[str, ...]:
        """Emotions with a weight above 0."""
        return tuple(name for name, weight in self.weights.items() if weight > 0)


class EmotionSearch(NamedTuple):
    """Whether some emotions carry the best cell, the one with the largest ``|r|`` over all clips.

    `best` is the choice of emotions with the largest ``|r|`` there, `named` the one that was named
    beforehand, whose p repeats the choice of the cell only; None if an emotion of it does not occur. `null`
    (n_orders,) is what the best choice reaches under permutation.
    """

    best: WeightedEmotions
    named: WeightedEmotions | None
    null: np.ndarray


def nine_clips(
    X: ArrayLike,
    y: ArrayLike,
    emotions: Emotions,
    *,
    named: Sequence[str] = PAPER_EMOTIONS,
    n_permutations: int = 10_000,
    random_state: Seed = 0,
) -> EmotionSearch:
    """Find the three emotions whose clips carry the correlation of the best cell, against such a search.

    The cell has the largest ``|r|`` on all clips; then come the emotions on whose clips it is largest there.
    `named` is a set to report beside the best; other arguments as for `cell_map`.
    """
    planned, alone = dict.fromkeys(named, 1.0), (1.0, 1.0, 1.0, 0.0)
    return _search(X, y, emotions, alone, planned, False, n_permutations, random_state)


def weighted_gain(
    X: ArrayLike,
    y: ArrayLike,
    emotions: Emotions,
    weights: Sequence[float] = (5, 3, 3, 1),
    *,
    named: Mapping[str, float] = PAPER_WEIGHTS,
    n_permutations: int = 10_000,
    random_state: Seed = 0,
) -> EmotionSearch:
    """Gain in ``|r|`` at the best cell from weighting emotions, and what the best of all assignments gains.

    The paper lifts .478 to .714 by an "anger-weighted target" with weights 5, 3, 3, 1 and does not print the
    formula; here the weights enter a weighted Pearson correlation. All assignments are tried: the first
    weights, all positive, go to one emotion each, the last to all others, also in the `named` assignment that
    is reported beside the best. Other arguments as for `cell_map`.
    """
    if not all(weight > 0 for weight in (*weights, *named.values())):
        raise ValueError(f"weights must be positive, got {tuple(weights)} and {dict(named)}")
    return _search(X, y, emotions, weights, named, True, n_permutations, random_state)


def _search(
    X: ArrayLike,
    y: ArrayLike,
    emotions: Emotions,
    weights: Sequence[float],
    planned: Mapping[str, float],
    by_gain: bool,
    n_permutations: int,
    random_state: Seed,
) -> EmotionSearch:
    """Try all ways to give weights to emotions, and the planned one, at the best cell."""
    X, y = _checked_map(X, y)
    code, names = pd.factorize(np.asarray(emotions))
    checks.count("the number of weights, the last for all others,", len(weights), 2, len(names) + 1)
    *special, rest = map(float, weights)
    places = np.array(list(permutations(range(len(names)), len(special))))
    rows = np.full((len(places), len(names)), rest)
    np.put_along_axis(rows, places, np.array(special)[None], axis=1)

    def tested(rows: np.ndarray) -> tuple[WeightedEmotions, np.ndarray]:
        def sizes(x: np.ndarray, Y: np.ndarray) -> np.ndarray:  # emotions at one position carry nothing
            return np.nan_to_num(np.abs(_weighted_correlations(x, Y, rows[:, code])))

        def largest(X: np.ndarray, Y: np.ndarray) -> np.ndarray:
            x, r = _best_cells(X, Y)
            return sizes(x, Y).max(-1) - (np.abs(r) if by_gain else 0)

        test = search_test(largest, X, y, emotions, X[0].size + 8 * len(rows), n_permutations, random_state)
        x, r = _best_cells(X, y)
        chosen = rows[sizes(x, y).argmax()]
        r_in = float(_weighted_correlations(x, y, chosen[None, code])[0])
        by_name = dict(zip(names.tolist(), chosen.tolist(), strict=True))
        return WeightedEmotions(by_name, r_in, abs(r_in) - float(np.abs(r)), test.p), test.null

    best, null = tested(np.unique(rows, axis=0))  # equal weights change places without effect
    beforehand = np.array([[planned.get(name, rest) for name in names]], dtype=float)
    named = tested(beforehand)[0] if set(planned) <= set(names) else None
    return EmotionSearch(best, named, null)


def _best_cells(X: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Features (..., n_clips), centred, of the cell with the largest ``|r|`` with each target, and that r."""
    r = cell_correlations(X, y).reshape(*y.shape[:-1], -1)
    cell = np.abs(r).argmax(-1)
    columns = stats.unit(X, "X", axis=0).reshape(len(X), -1)
    return columns.T[cell], np.take_along_axis(r, cell[..., None], -1)[..., 0]


def _weighted_correlations(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Correlations (..., n_rows) of x and y (..., n_clips) by weights (n_rows, n_clips); NaN if constant."""
    x, y = stats.unit(x, "x"), stats.unit(y, "y")  # so that sums of squares lose no digits
    total = weights.sum(-1)
    sx, sy, sxx, syy, sxy = (moment @ weights.T for moment in (x, y, x * x, y * y, x * y))
    variance = np.stack([sxx - sx**2 / total, syy - sy**2 / total])
    variance[variance < 1e-13 * weights.max(-1)] = np.nan
    return np.clip((sxy - sx * sy / total) / np.sqrt(variance.prod(0)), -1, 1)


# Time and connectivity


class TimeCourse(NamedTuple):
    """Correlation `r` (n_bands, n_seconds) of the scalp's mean with the axis, over clips, second by second.

    `seconds` are the starts of the windows; for each of the `bands`, `peak` is the second of the largest
    ``|r|`` and `p` the share of orders in which the largest of any second is as large.
    """

    bands: tuple[str, ...]
    seconds: np.ndarray
    r: np.ndarray
    peak: np.ndarray
    p: np.ndarray


def scalp_time_course(
    cohort: Cohort,
    y: ArrayLike,
    emotions: Emotions | None,
    *,
    n_permutations: int = 10_000,
    random_state: Seed = 0,
) -> TimeCourse:
    """Correlate the mean over scalp and subjects with the axis in each second, and judge the peak.

    Second 0 is not a clip's onset: of FACED the last 30 s of each clip are kept, so it lies 4 to 99 s after
    the onset. A peak is a place in these 30 s and no latency. The cohort is standardised, if trials are
    missing; electrodes on the ears and seconds that some clip lacks are left out.
    """
    scalp = np.isin(cohort.channels, [name for names in regions(cohort.channels).values() for name in names])
    means = cohort.de[:, :, :, scalp].mean(3, dtype=float)  # NaN where there is no window
    shared = np.isfinite(means[..., 0]).any(0).all(0)
    X = np.nanmean(means[:, :, shared], axis=0)  # (n_clips, n_seconds, n_bands)
    maps = [
        cell_map(X[..., [band]], y, emotions, n_permutations=n_permutations, random_state=random_state)
        for band in range(X.shape[2])
    ]
    seconds = cohort.data["second"].values[shared]
    r = np.stack([one.r[:, 0] for one in maps])
    peak, p = seconds[[one.best[0] for one in maps]], np.array([one.p_best for one in maps])
    return TimeCourse(tuple(cohort.bands), seconds, r, peak, p)


class Connectivity(NamedTuple):
    """How strongly the `channels` that follow the axis best, strongest first, vary together within trials.

    `mean` is over their pairs, of correlations averaged over subjects by Fisher's z; `difference` is what it
    exceeds the mean over the sets that permuted emotions choose by, `p` their share with as large a mean.
    """

    channels: tuple[str, ...]
    mean: float
    difference: float
    p: float


def connectivity(
    cohort: Cohort,
    y: ArrayLike,
    emotions: Emotions | None,
    *,
    n_permutations: int = 10_000,
    random_state: Seed = 0,
) -> Connectivity:
    """Correlate the eight channels that follow the axis best in gamma over the seconds of trials.

    Each trial's mean is removed, so what clips do to the level plays no part. Neighbouring electrodes vary
    together by *volume conduction* whatever the brain does, and have similar maps, so the channels that
    follow any axis tend to lie together. The null therefore permutes emotions and chooses channels anew: a
    small p says that they are coupled more than those another axis would choose. The cohort is standardised.
    """
    total, n_channels = len(cohort.channels), 8
    if total <= n_channels or "gamma" not in cohort.bands:
        raise ValueError(f"a network needs gamma and nine channels, got {list(cohort.bands)} and {total}")
    cohort = cohort.select(bands=["gamma"])
    X, y = _checked_map(cohort_tensor(cohort), y)
    matrix = _within_trials(cohort)

    def chosen(Y: np.ndarray) -> np.ndarray:
        return np.argsort(-np.abs(cell_correlations(X, Y)[..., 0]), axis=-1, kind="stable")[..., :n_channels]

    def mean(_: Any, Y: np.ndarray) -> np.ndarray:
        """Mean over the pairs of the chosen channels, the diagonal taken out."""
        sets = chosen(Y)
        inside = np.zeros((*sets.shape[:-1], total))
        np.put_along_axis(inside, sets, 1, axis=-1)
        return ((inside @ matrix * inside).sum(-1) - n_channels) / (n_channels * (n_channels - 1))

    test = search_test(mean, X, y, emotions, 2 * total, n_permutations, random_state)
    names = tuple(cohort.channels[place] for place in chosen(y))
    return Connectivity(names, test.observed, test.observed - float(test.null.mean()), test.p)


def _within_trials(cohort: Cohort) -> np.ndarray:
    """Correlation of channels (n_channels, n_channels) over seconds within trials, mean over subjects."""
    total = np.zeros((len(cohort.channels),) * 2)
    for subject, trials, n_windows in zip(cohort.subjects, cohort.de, cohort.n_windows, strict=True):
        if n_windows.max() < 2:
            raise ValueError(f"subject {subject} has one window a trial: nothing varies within trials")
        seconds = trials[n_windows > 1, ..., 0].astype(float)  # NaN after a trial's end
        rows = (seconds - np.nanmean(seconds, 1, keepdims=True)).reshape(-1, len(total))
        rows = stats.unit(rows[np.isfinite(rows[:, 0])], f"seconds of subject {subject}", axis=0)
        total += np.arctanh(np.clip(rows.T @ rows, -1 + 1e-9, 1 - 1e-9))
    mean = np.tanh(total / len(cohort.subjects))
    np.fill_diagonal(mean, 1)
    return mean


# The one permutation test, and arguments


def search_test(
    statistic: Callable[[np.ndarray, np.ndarray], np.ndarray],
    X: np.ndarray,
    y: np.ndarray,
    emotions: Emotions | None,
    width: int,
    n_permutations: int,
    random_state: Seed,
) -> stats.PermutationResult:
    """One-sided permutation test of a statistic that holds about `width` numbers for every order."""
    size = max(1, _CHUNK // width)

    def in_pieces(X: np.ndarray, Y: np.ndarray) -> np.ndarray:
        if Y.ndim == 1:
            return statistic(X, Y)
        return np.concatenate([statistic(X, Y[start : start + size]) for start in range(0, len(Y), size)])

    groups = None if emotions is None else row_labels(emotions, "emotions", len(y))
    return stats.permutation_test(
        in_pieces, X, y, groups=groups, n_permutations=n_permutations, alternative="greater",
        random_state=random_state,
    )  # fmt: skip


def clip_positions(y: ArrayLike, n_clips: int) -> np.ndarray:
    positions = real(y, "y")
    checks.shape("y", positions, (n_clips,), f"({n_clips},), one position per clip")
    stats.unit(positions, "y")  # raises if it is constant
    return positions


def _checked_map(X: ArrayLike, y: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    features = real(X, "X")
    checks.shape("X", features, (None,) * 3, "(n_clips, n_channels, n_bands)")
    return features, clip_positions(y, len(features))
