"""Where on the scalp, in which band and when EEG follows an axis, each with the null of its own search.

In:  features of a cohort, mean over seconds: X (n_clips, n_channels, n_bands) of the cohort, such as
     :func:`~kernel.brain.cohort.cohort_tensor`, or `features` (n_subjects, n_clips, n_channels, n_bands) of
     each trial, :func:`~kernel.brain.cohort.trial_features`, NaN where a trial is missing; a position on the
     axis per clip; the emotion of each clip.
Out: correlations, contrasts and their p-values: numpy arrays, data frames, small frozen results.
Never: reads files, plots, or tests a maximum against a null that made no choice.

The unit is the emotion. An axis gives one position to an emotion, so positions are permuted among emotions
and every step that looked at the data, the choice of a cell, of emotions, of weights, is taken anew for each
order. With ``emotions=None`` positions are permuted among clips instead, which suits positions that were
measured clip by clip and is too liberal for all others.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from kernel import stats
from kernel.arrays import real, row_labels
from kernel.brain.cohort import Cohort, mean_over_subjects, trial_features, trials_present

if TYPE_CHECKING:
    import mne

Seed = int | np.random.Generator | None

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

# Numbers held at once while orders are tried: 16 MB per array of float64.
_CHUNK = 2_000_000


def cell_correlations(X: ArrayLike, y: ArrayLike) -> np.ndarray:
    """Pearson correlation of every cell with positions, over clips.

    Parameters
    ----------
    X : array_like, shape (n_clips, ...)
        Features of the cohort; the other axes are the cells, usually channel and band.
    y : array_like, shape (n_clips,) or (n_batch, n_clips)
        Positions.

    Returns
    -------
    ndarray, shape (...) or (n_batch, ...)

    Raises
    ------
    ValueError
        If shapes disagree, a value is not finite, or a cell or target does not vary.
    """
    X, y = real(X, "X"), real(y, "y")
    if X.ndim < 2 or y.ndim not in (1, 2) or y.shape[-1] != len(X):
        raise ValueError(f"X must be (n_clips, ...) and y (n_clips,) or a batch, got {X.shape} and {y.shape}")
    r = np.tensordot(_unit(y, "y", axis=-1), _unit(X, "X", axis=0), axes=1)
    return np.clip(r, -1, 1, out=r)  # rounding may leave a perfect correlation a hair outside


# The map


@dataclass(frozen=True)
class CellMap:
    """Correlation of every cell with the axis.

    Attributes
    ----------
    r : ndarray, shape (n_channels, n_bands)
        Over clips.
    p : ndarray, shape (n_channels, n_bands)
        Two-sided by permutation, each cell for itself.
    p_max : ndarray, shape (n_channels, n_bands)
        Corrected for all cells: share of orders in which the *largest* ``|r|`` of any cell is as large.
    p_parametric : ndarray, shape (n_channels, n_bands)
        Two-sided, uncorrected, as if clips were independent draws of a Gaussian: what the paper prints.
    best : tuple of int
        Channel and band of the largest ``|r|``.
    p_best : float
        `p_max` of that cell: the p-value of the maximum.
    null : ndarray, shape (n_orders,)
        Largest ``|r|`` under permutation.
    exact : bool
        Whether every order was enumerated.
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
        _check_names(self.r.shape, channels, bands)
        index = pd.MultiIndex.from_product([list(channels), list(bands)], names=["channel", "band"])
        columns = {name: getattr(self, name).ravel() for name in ("r", "p", "p_max", "p_parametric")}
        return pd.DataFrame(columns, index).sort_values("r", key=np.abs, ascending=False)


def cell_map(
    X: ArrayLike,
    y: ArrayLike,
    emotions: Sequence[str] | np.ndarray | None,
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

    Returns
    -------
    CellMap

    Raises
    ------
    ValueError
        If shapes disagree, a value is not finite, a cell or `y` does not vary, or `y` varies within an
        emotion.

    References
    ----------
    .. [1] Nichols & Holmes (2002), Human Brain Mapping 15(1). doi:10.1002/hbm.1058
    """
    X, y, emotions = _checked(X, y, emotions)
    r = cell_correlations(X, y)
    bar = np.abs(r) - 1e-12  # ties that differ by rounding are ties
    as_large = np.zeros(r.shape, dtype=int)

    def largest(X: np.ndarray, Y: np.ndarray) -> np.ndarray:
        size = np.abs(cell_correlations(X, Y))
        if Y.ndim == 2:  # the same orders serve the single cells, without keeping a map of each
            np.add(as_large, (size >= bar).sum(0), out=as_large)
        return size.max((-2, -1))

    found = _test(largest, X, y, emotions, r.size, n_permutations, random_state)
    as_large_as_maximum = len(found.null) - np.searchsorted(np.sort(found.null), bar)
    return CellMap(
        r=r,
        p=_share(as_large, found),
        p_max=_share(as_large_as_maximum, found),
        p_parametric=stats.textbook_p(r, len(y)),
        best=_argmax(r),
        p_best=found.p,
        null=found.null,
        exact=found.exact,
    )


def _share(count: np.ndarray, found: stats.PermutationResult) -> np.ndarray:
    """Counts of orders as p-values: the observed order is one of all of them, or is counted in."""
    extra = 0 if found.exact else 1
    return (count + extra) / (len(found.null) + extra)


def _argmax(r: np.ndarray) -> tuple[int, int]:
    channel, band = np.unravel_index(np.abs(r).argmax(), r.shape)
    return int(channel), int(band)


# Regions and bands


def regions(channels: Sequence[str]) -> dict[str, list[str]]:
    """Sort electrodes into frontal, central, parietal, occipital and temporal ones, by name.

    The paper gives means for four regions without listing their electrodes. Here the letters of a name
    decide, upper and lower case alike (see `REGIONS`): FC counts as frontal, CP as central, PO as occipital;
    FT, T and TP form a fifth, temporal region. Electrodes on the ears (A1, A2, M1, M2) belong to none.

    Parameters
    ----------
    channels : sequence of str
        Names.

    Returns
    -------
    dict of str to list of str
        Regions that have an electrode, from front to back; names as given and in their order.

    Raises
    ------
    ValueError
        If a name belongs to no region.
    """
    found: dict[str, list[str]] = {region: [] for region in REGIONS}
    strangers = []
    for channel in channels:
        match = re.fullmatch(r"([A-Z]+?)(\d+|Z)", channel.upper())
        letters = match[1] if match else None
        region = next((name for name, prefixes in REGIONS.items() if letters in prefixes), None)
        if region:
            found[region].append(channel)
        elif letters not in _EARS:
            strangers.append(channel)
    if strangers:
        raise ValueError(f"no region for {strangers}: drop them with cohort.select(channels=...)")
    return {region: names for region, names in found.items() if names}


def region_means(X: ArrayLike, y: ArrayLike, channels: Sequence[str], bands: Sequence[str]) -> pd.DataFrame:
    """Mean ``|r|`` over the cells of each region, in each band and in all.

    Parameters
    ----------
    X : array_like, shape (n_clips, n_channels, n_bands)
        Features of the cohort.
    y : array_like, shape (n_clips,)
        Positions.
    channels, bands : sequence of str
        Names.

    Returns
    -------
    DataFrame
        One row per region; columns ``n_channels``, ``all`` and one per band.
    """
    size = np.abs(cell_correlations(X, y))
    _check_names(size.shape, channels, bands)
    rows = {}
    for region, names in regions(channels).items():
        own = size[_places(channels, names)]
        means = dict(zip(bands, own.mean(0), strict=True))
        rows[region] = {"n_channels": len(names), "all": own.mean(), **means}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("region")


def band_means(X: ArrayLike, y: ArrayLike, channels: Sequence[str], bands: Sequence[str]) -> pd.DataFrame:
    """Mean and largest ``|r|`` over the channels of each band; parameters as for `region_means`.

    Returns
    -------
    DataFrame
        One row per band; columns ``mean``, ``largest`` and ``channel``, where it is.
    """
    size = np.abs(cell_correlations(X, y))
    _check_names(size.shape, channels, bands)
    where = [list(channels)[place] for place in size.argmax(0)]
    columns = {"mean": size.mean(0), "largest": size.max(0), "channel": where}
    return pd.DataFrame(columns, index=pd.Index(list(bands), name="band"))


def region_contrast(
    X: ArrayLike,
    y: ArrayLike,
    emotions: Sequence[str] | np.ndarray | None,
    channels: Sequence[str],
    first: str = "occipital",
    second: str = "frontal",
    *,
    n_permutations: int = 10_000,
    random_state: Seed = 0,
) -> stats.PermutationResult:
    """Mean ``|r|`` of one region minus that of another, over all bands; one-sided (greater).

    Parameters
    ----------
    X, y, emotions, n_permutations, random_state
        As for `cell_map`.
    channels : sequence of str
        Names.
    first, second : str
        Names of :func:`regions`.

    Returns
    -------
    stats.PermutationResult

    Raises
    ------
    ValueError
        As for `cell_map`, or if a region has no electrode.
    """
    X, y, emotions = _checked(X, y, emotions)
    _check_names(X.shape[1:], channels)
    present = regions(channels)
    for region in (first, second):
        if region not in present:
            raise ValueError(f"no electrode is {region!r}: there are {', '.join(present)}")
    one, other = (_places(channels, present[region]) for region in (first, second))

    def difference(X: np.ndarray, Y: np.ndarray) -> np.ndarray:
        size = np.abs(cell_correlations(X, Y))
        return size[..., one, :].mean((-2, -1)) - size[..., other, :].mean((-2, -1))

    return _test(difference, X, y, emotions, X[0].size, n_permutations, random_state)


def band_contrast(
    X: ArrayLike,
    y: ArrayLike,
    emotions: Sequence[str] | np.ndarray | None,
    bands: Sequence[str],
    first: str = "alpha",
    *,
    n_permutations: int = 10_000,
    random_state: Seed = 0,
) -> stats.PermutationResult:
    """Mean ``|r|`` of one band minus that of all others, over all channels; one-sided (greater).

    Parameters
    ----------
    X, y, emotions, n_permutations, random_state
        As for `cell_map`.
    bands : sequence of str
        Names, two or more.
    first : str
        One of them.

    Returns
    -------
    stats.PermutationResult

    Raises
    ------
    ValueError
        As for `cell_map`, or if there is no such band or no other.
    """
    X, y, emotions = _checked(X, y, emotions)
    _check_names(X.shape[1:], None, bands)
    place = _band_place(bands, first)
    if len(bands) < 2:
        raise ValueError(f"there is no band but {first!r}: a contrast needs two")

    def difference(X: np.ndarray, Y: np.ndarray) -> np.ndarray:
        means = np.abs(cell_correlations(X, Y)).mean(-2)
        return means[..., place] - np.delete(means, place, axis=-1).mean(-1)

    return _test(difference, X, y, emotions, X[0].size, n_permutations, random_state)


@dataclass(frozen=True)
class Asymmetry:
    """Right minus left, and whether it follows the axis.

    Attributes
    ----------
    pairs : tuple of (str, str)
        Left and right electrodes.
    mean : ndarray, shape (n_pairs,)
        Mean difference over clips, in the unit of the features.
    r, p, p_max : ndarray, shape (n_pairs,)
        Correlation of each difference with positions; two-sided, alone and corrected for all pairs.
    overall : stats.PermutationResult
        Of the mean difference over pairs: r and its two-sided p.
    """

    pairs: tuple[tuple[str, str], ...]
    mean: np.ndarray
    r: np.ndarray
    p: np.ndarray
    p_max: np.ndarray
    overall: stats.PermutationResult


def asymmetry(
    X: ArrayLike,
    y: ArrayLike,
    emotions: Sequence[str] | np.ndarray | None,
    channels: Sequence[str],
    bands: Sequence[str],
    pairs: Sequence[tuple[str, str]] = FRONTAL_PAIRS,
    band: str = "alpha",
    *,
    n_permutations: int = 10_000,
    random_state: Seed = 0,
) -> Asymmetry:
    """Frontal asymmetry: right minus left differential entropy in a band, and its correlation with the axis.

    The mean difference means something in nats only, that is before features are standardised: afterwards it
    is zero by construction. It is a fact about the heads, caps and amplifiers, not about the axis; only the
    correlation over clips bears on that.

    Parameters
    ----------
    X, y, emotions, n_permutations, random_state
        As for `cell_map`.
    channels, bands : sequence of str
        Names.
    pairs : sequence of (str, str)
        Left and right electrode; upper and lower case are the same.
    band : str
        One of `bands`.

    Returns
    -------
    Asymmetry

    Raises
    ------
    ValueError
        As for `cell_map`, or if an electrode or the band is missing.
    """
    X, y, emotions = _checked(X, y, emotions)
    _check_names(X.shape[1:], channels, bands)
    place = _band_place(bands, band)
    left, right = (_places(channels, side) for side in zip(*pairs, strict=True))
    difference = X[:, right, place] - X[:, left, place]
    settings: dict[str, Any] = {"n_permutations": n_permutations, "random_state": random_state}
    single = cell_map(difference[..., None], y, emotions, **settings)
    overall = stats.permutation_test(stats.pearson, difference.mean(1), y, groups=emotions, **settings)
    return Asymmetry(
        pairs=tuple((left, right) for left, right in pairs),
        mean=difference.mean(0),
        r=single.r[:, 0],
        p=single.p[:, 0],
        p_max=single.p_max[:, 0],
        overall=overall,
    )


# Which emotions carry it


@dataclass(frozen=True)
class EmotionSubset:
    """Correlation at the best cell on the clips of some emotions and on the others.

    Attributes
    ----------
    emotions : tuple of str
        The emotions.
    n_clips : int
        Their clips.
    r_in, r_out : float
        On these clips and on the remaining ones; NaN where positions do not vary.
    p : float
        Share of orders in which ``|r|`` on the chosen clips is as large, the whole choice repeated.
    """

    emotions: tuple[str, ...]
    n_clips: int
    r_in: float
    r_out: float
    p: float


@dataclass(frozen=True)
class NineClips:
    """Whether a few emotions carry the best cell.

    Attributes
    ----------
    cell : tuple of int
        Channel and band of the largest ``|r|`` on all clips.
    r_all : float
        There, on all clips.
    best : EmotionSubset
        The set with the largest ``|r|``; its p-value repeats the choice of cell and set.
    named : EmotionSubset or None
        The set that was named beforehand; its p-value repeats the choice of the cell only. None if an emotion
        of it does not occur.
    null : ndarray, shape (n_orders,)
        Largest ``|r|`` of any set under permutation.
    """

    cell: tuple[int, int]
    r_all: float
    best: EmotionSubset
    named: EmotionSubset | None
    null: np.ndarray


def nine_clips(
    X: ArrayLike,
    y: ArrayLike,
    emotions: Sequence[str] | np.ndarray,
    n_classes: int = 3,
    *,
    named: Sequence[str] = PAPER_EMOTIONS,
    permute: str = "emotions",
    n_permutations: int = 10_000,
    random_state: Seed = 0,
) -> NineClips:
    """Find the few emotions whose clips carry the correlation of the best cell, and what such a search finds.

    The cell with the largest ``|r|`` on all clips is taken, then the `n_classes` emotions on whose clips it
    is largest there. Under the null both choices are made anew.

    Parameters
    ----------
    X, y, n_permutations, random_state
        As for `cell_map`.
    emotions : sequence of str, length n_clips
        Emotion of each clip.
    n_classes : int
        Emotions in a set; fewer than there are.
    named : sequence of str
        A set to report beside the best, by default the paper's.
    permute : {"emotions", "clips"}
        Unit of exchange; "clips" for positions that vary within an emotion.

    Returns
    -------
    NineClips

    Raises
    ------
    ValueError
        As for `cell_map`, or if there are too few emotions.
    """
    X, y, emotions, groups = _checked_sets(X, y, emotions, permute)
    names = list(dict.fromkeys(emotions.tolist()))
    if not 2 <= n_classes < len(names):
        raise ValueError(f"n_classes must lie between 2 and {len(names) - 1}, got {n_classes}")
    member = _membership(emotions, names)
    sets = np.array([np.isin(names, chosen) for chosen in combinations(names, n_classes)], dtype=float)

    def on_sets(X: np.ndarray, Y: np.ndarray, sets: np.ndarray) -> np.ndarray:
        x, _ = _best_cells(X, Y)
        return _weighted_correlations(x, Y, member, sets)

    def sizes(X: np.ndarray, Y: np.ndarray, sets: np.ndarray) -> np.ndarray:
        return np.nan_to_num(np.abs(on_sets(X, Y, sets)))  # emotions at one position carry nothing

    def report(sets: np.ndarray) -> tuple[EmotionSubset, np.ndarray]:
        found = _test(
            lambda X, Y: sizes(X, Y, sets).max(-1),
            X, y, groups, X[0].size + 8 * len(sets), n_permutations, random_state,
        )  # fmt: skip
        chosen = sets[sizes(X, y, sets).argmax()]
        r_in, r_out = on_sets(X, y, np.stack([chosen, 1 - chosen]))
        own = tuple(name for name, inside in zip(names, chosen, strict=True) if inside)
        n_clips = int((member @ chosen).sum())
        return EmotionSubset(own, n_clips, float(r_in), float(r_out), found.p), found.null

    best, null = report(sets)
    known = set(named) <= set(names)
    r = cell_correlations(X, y)
    return NineClips(
        cell=_argmax(r),
        r_all=float(r[_argmax(r)]),
        best=best,
        named=report(np.isin(names, list(named))[None].astype(float))[0] if known else None,
        null=null,
    )


@dataclass(frozen=True)
class Weighting:
    """What weights on emotions do to the correlation of the best cell.

    Attributes
    ----------
    weights : dict of str to float
        Weight of each emotion's clips.
    r : float
        Weighted correlation.
    gain : float
        Its size minus that of the unweighted one.
    p : float
        Share of orders with as large a gain, the whole choice repeated.
    """

    weights: dict[str, float]
    r: float
    gain: float
    p: float


@dataclass(frozen=True)
class WeightedGain:
    """Whether weighting emotions lifts the best cell.

    Attributes
    ----------
    cell : tuple of int
        Channel and band of the largest ``|r|``, unweighted.
    r : float
        There, unweighted.
    best : Weighting
        The assignment with the largest gain; its p-value repeats the choice of cell and assignment.
    named : Weighting or None
        The assignment that was named beforehand; its p-value repeats the choice of the cell only. None if an
        emotion of it does not occur.
    null : ndarray, shape (n_orders,)
        Largest gain under permutation.
    """

    cell: tuple[int, int]
    r: float
    best: Weighting
    named: Weighting | None
    null: np.ndarray


def weighted_gain(
    X: ArrayLike,
    y: ArrayLike,
    emotions: Sequence[str] | np.ndarray,
    weights: Sequence[float] = (5, 3, 3, 1),
    *,
    named: Mapping[str, float] = PAPER_WEIGHTS,
    permute: str = "emotions",
    n_permutations: int = 10_000,
    random_state: Seed = 0,
) -> WeightedGain:
    """Gain in ``|r|`` at the best cell from weighting emotions, and what the best of all assignments gains.

    The paper lifts .478 to .714 by an "anger-weighted target" with weights 5, 3, 3, 1 and does not print the
    formula; here the weights enter a weighted Pearson correlation. All assignments are tried: the first
    weights go to one emotion each, the last to all others. Under the null the choices are made anew.

    Parameters
    ----------
    X, y, n_permutations, random_state
        As for `cell_map`.
    emotions : sequence of str, length n_clips
        Emotion of each clip.
    weights : sequence of float
        Positive; fewer than emotions plus one.
    named : mapping of str to float
        An assignment to report beside the best, by default the paper's; emotions that it leaves out take the
        last of `weights`.
    permute : {"emotions", "clips"}
        Unit of exchange; "clips" for positions that vary within an emotion.

    Returns
    -------
    WeightedGain

    Raises
    ------
    ValueError
        As for `cell_map`, or if the weights are not positive or too many.
    """
    X, y, emotions, groups = _checked_sets(X, y, emotions, permute)
    names = list(dict.fromkeys(emotions.tolist()))
    *special, rest = (float(weight) for weight in weights)
    if not all(weight > 0 for weight in (*special, *named.values(), rest)):
        raise ValueError(f"weights must be positive, got {tuple(weights)} and {dict(named)}")
    if not 1 <= len(special) <= len(names):
        raise ValueError(f"weights must be 2 to {len(names) + 1} numbers, one for all others; got {weights}")
    member = _membership(emotions, names)
    rows = np.full((len(list(permutations(names, len(special)))), len(names)), rest)
    for row, places in zip(rows, permutations(range(len(names)), len(special)), strict=True):
        row[list(places)] = special
    assignments = np.unique(rows, axis=0)  # equal weights change places without effect

    def weighted(X: np.ndarray, Y: np.ndarray, assignments: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        x, r = _best_cells(X, Y)
        return _weighted_correlations(x, Y, member, assignments), np.abs(r)

    def gain(X: np.ndarray, Y: np.ndarray, assignments: np.ndarray) -> np.ndarray:
        r, plain = weighted(X, Y, assignments)
        return np.abs(r).max(-1) - plain

    def report(assignments: np.ndarray) -> tuple[Weighting, np.ndarray]:
        found = _test(
            lambda X, Y: gain(X, Y, assignments),
            X, y, groups, X[0].size + 8 * len(assignments), n_permutations, random_state,
        )  # fmt: skip
        r, _ = weighted(X, y, assignments)
        chosen = np.abs(r).argmax()
        own = dict(zip(names, assignments[chosen].tolist(), strict=True))
        return Weighting(own, float(r[chosen]), found.observed, found.p), found.null

    best, null = report(assignments)
    known = set(named) <= set(names)
    beforehand = np.array([[named.get(name, rest) for name in names]], dtype=float)
    r = cell_correlations(X, y)
    return WeightedGain(
        cell=_argmax(r),
        r=float(r[_argmax(r)]),
        best=best,
        named=report(beforehand)[0] if known else None,
        null=null,
    )


def _best_cells(X: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Features (..., n_clips), centred, of the cell with the largest ``|r|`` with each target, and that r."""
    r = cell_correlations(X, y).reshape(*y.shape[:-1], -1)
    cell = np.abs(r).argmax(-1)
    columns = _unit(X, "X", axis=0).reshape(len(X), -1)
    return columns.T[cell], np.take_along_axis(r, cell[..., None], -1)[..., 0]


def _membership(emotions: np.ndarray, names: Sequence[str]) -> np.ndarray:
    return (emotions[:, None] == np.array(names)).astype(float)  # (n_clips, n_emotions)


def _weighted_correlations(x: np.ndarray, y: np.ndarray, member: np.ndarray, sets: np.ndarray) -> np.ndarray:
    """Correlations (..., n_sets) of x and y (..., n_clips) with the clips weighted by their emotion's weight.

    All sets share the emotions' sums, so each costs a row of `sets` (n_sets, n_emotions) and no pass over
    clips. NaN where x or y does not vary.
    """
    x, y = _unit(x, "x", axis=-1), _unit(y, "y", axis=-1)  # so that sums of squares lose no digits
    moments = (x, y, x * x, y * y, x * y)
    total = member.sum(0) @ sets.T
    sx, sy, sxx, syy, sxy = (moment @ member @ sets.T for moment in moments)
    variance = np.stack([sxx - sx**2 / total, syy - sy**2 / total])
    variance[variance < 1e-13 * sets.max(-1)] = np.nan
    return np.clip((sxy - sx * sy / total) / np.sqrt(variance.prod(0)), -1, 1)


# Subjects


def subject_correlations(features: ArrayLike, y: ArrayLike) -> np.ndarray:
    """Pearson correlation of every cell of every subject with positions, over the clips the subject has.

    Parameters
    ----------
    features : array_like, shape (n_subjects, n_clips, ...)
        Of each trial; NaN throughout where it is missing.
    y : array_like, shape (n_clips,) or (n_batch, n_clips)
        Positions.

    Returns
    -------
    ndarray, shape (n_subjects, ...) or (n_batch, n_subjects, ...)

    Raises
    ------
    ValueError
        If shapes disagree, a trial is missing in part, a subject has fewer than three, or something does not
        vary.
    """
    y = real(y, "y")
    columns, present = _unit_trials(features)
    if y.ndim not in (1, 2) or y.shape[-1] != len(columns):
        raise ValueError(f"features have {len(columns)} clips, y has shape {y.shape}")
    return _subject_r(columns, present, y)


def _unit_trials(features: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Features (n_clips, n_subjects, ...), centred and of length 1 over the clips of a subject, 0 where none.

    The second array (n_subjects, n_clips) says which trials there are.
    """
    features = real(features, "features", finite=False)
    if features.ndim < 3 or 0 in features.shape:
        raise ValueError(f"features must be (n_subjects, n_clips, ...), got shape {features.shape}")
    present = trials_present(features)
    if present.sum(1).min() < 3:
        subject = int(present.sum(1).argmin())
        raise ValueError(f"the subject at place {subject} has {present[subject].sum()} trials: r needs three")
    columns = np.empty((features.shape[1], len(features), *features.shape[2:]))
    for subject, (own, there) in enumerate(zip(features, present, strict=True)):
        columns[there, subject] = _unit(own[there], f"features of the subject at place {subject}", axis=0)
        columns[~there, subject] = 0
    return columns, present


def _subject_r(columns: np.ndarray, present: np.ndarray, y: np.ndarray) -> np.ndarray:
    """r (..., n_subjects, ...) from what `_unit_trials` gives."""
    y = y - y.mean(-1, keepdims=True)
    there = present.astype(float)
    counts = there.sum(1)
    length = np.sqrt(np.maximum((y**2) @ there.T - (y @ there.T) ** 2 / counts, 0))  # (..., n_subjects)
    low = length <= 1e-6 * np.linalg.norm(y, axis=-1, keepdims=True)
    if low.any():
        subject = int(np.argwhere(low)[0][-1])
        raise ValueError(f"y is constant over the trials of the subject at place {subject}: drop this one")
    r = np.tensordot(y, columns, axes=1)
    r /= length.reshape(*length.shape, *[1] * (columns.ndim - 2))
    return np.clip(r, -1, 1, out=r)


@dataclass(frozen=True)
class Simpson:
    """The cohort's correlation beside that of its members.

    Attributes
    ----------
    channels : ndarray of int
        Chosen channels, strongest first.
    cohort : Interval
        r of the mean over the other half of the subjects.
    subjects : Interval
        Mean r of those subjects.
    opposed : Interval
        The smaller of the cohort's r and minus the subjects': above zero only where their signs differ as the
        paper's do.
    """

    channels: np.ndarray
    cohort: stats.Interval
    subjects: stats.Interval
    opposed: stats.Interval


def simpson(
    features: ArrayLike,
    y: ArrayLike,
    *,
    n_channels: int = 8,
    n_resamples: int = 2000,
    confidence: float = 0.95,
    random_state: Seed = 0,
) -> Simpson:
    """Compare the correlation of the cohort's mean with the mean correlation of its subjects.

    Subjects at even places choose the `n_channels` channels with the largest mean ``|r|`` over bands; the
    others are judged, on the mean over these channels and all bands. A difference alone is no paradox:
    averaging over subjects removes noise, so the cohort's ``|r|`` is the larger one wherever there is signal.
    The two disagree in Simpson's sense [1]_ only if their intervals lie on opposite sides of zero.

    Parameters
    ----------
    features : array_like, shape (n_subjects, n_clips, n_channels, n_bands)
        Of each trial, standardised per subject; NaN where it is missing.
    y : array_like, shape (n_clips,)
        Positions.
    n_channels : int
        Channels to choose.
    n_resamples : int
        Bootstrap samples of subjects; clips are fixed.
    confidence : float
        Of the percentile intervals.
    random_state : int, Generator or None
        Seed.

    Returns
    -------
    Simpson

    Raises
    ------
    ValueError
        If shapes disagree, there are fewer than four subjects or too few channels, or a clip is seen by too
        few.

    References
    ----------
    .. [1] Simpson (1951), JRSS B 13(2). doi:10.1111/j.2517-6161.1951.tb00088.x
    """
    features = _trials(features)
    y = _target(y, features.shape[1])
    if len(features) < 4 or not 1 <= n_channels <= features.shape[2]:
        raise ValueError(
            f"{n_channels} channels from two halves of subjects need more than features {features.shape} have"
        )
    strength = np.abs(cell_correlations(mean_over_subjects(features[::2]), y)).mean(-1)
    channels = np.argsort(-strength, kind="stable")[:n_channels]
    own = features[1::2][:, :, channels].mean((2, 3))  # (n_subjects, n_clips)
    single = subject_correlations(own[..., None], y)[:, 0]
    there = np.isfinite(own).astype(float)
    values = np.where(there > 0, own, 0)

    def weights(rows: np.ndarray) -> np.ndarray:
        """How often each subject is drawn: a mean needs no copies of the drawn subjects."""
        rows = np.atleast_2d(rows)
        counts = np.zeros((len(rows), len(own)))
        np.add.at(counts, (np.arange(len(rows))[:, None], rows), 1)
        return counts

    def of_cohort(rows: np.ndarray) -> Any:
        w = weights(rows)
        seen = w @ there
        kept = (seen > 0).astype(float)  # clips that nobody in a sample has are left out of its correlation
        n = kept.sum(1, keepdims=True)
        x, t = kept * (w @ values) / np.maximum(seen, 1), kept * y
        x, t = (kept * (part - part.sum(1, keepdims=True) / n) for part in (x, t))
        r = (x * t).sum(1) / np.linalg.norm(x, axis=1) / np.linalg.norm(t, axis=1)
        return r if rows.ndim == 2 else r[0]

    def of_subjects(rows: np.ndarray) -> np.ndarray:
        return single[rows].mean(-1)

    places = np.arange(len(own))
    seed = int(np.random.default_rng(random_state).integers(2**63))  # one set of samples for all three
    cohort, subjects, opposed = (
        stats.bootstrap_interval(
            statistic, places, n_resamples=n_resamples, confidence=confidence, random_state=seed
        )
        for statistic in (
            of_cohort,
            of_subjects,
            lambda rows: np.minimum(of_cohort(rows), -of_subjects(rows)),
        )
    )
    return Simpson(channels, cohort, subjects, opposed)


@dataclass(frozen=True)
class SubjectOracle:
    """The best cell of every subject.

    Attributes
    ----------
    band : int
        The band in which the mean of the largest ``|r|`` over channels is largest.
    channel : stats.PermutationResult
        That mean; the choice of band is repeated for each order.
    cell : stats.PermutationResult
        Mean over subjects of the largest ``|r|`` over channels and bands.
    by_subject : ndarray, shape (n_subjects, 2)
        The largest ``|r|`` of each subject, over the channels of `band` and over all cells.
    """

    band: int
    channel: stats.PermutationResult
    cell: stats.PermutationResult
    by_subject: np.ndarray


def subject_oracle(
    features: ArrayLike,
    y: ArrayLike,
    emotions: Sequence[str] | np.ndarray | None,
    *,
    n_permutations: int = 1000,
    random_state: Seed = 0,
) -> SubjectOracle:
    """Mean over subjects of the largest ``|r|`` that each has, against the same with permuted emotions.

    The largest of many correlations is high in noise as well: compare with the mean of the null.

    Parameters
    ----------
    features : array_like, shape (n_subjects, n_clips, n_channels, n_bands)
        Of each trial; NaN where it is missing.
    y, emotions, n_permutations, random_state
        As for `cell_map`.

    Returns
    -------
    SubjectOracle

    Raises
    ------
    ValueError
        As for `cell_map` and `subject_correlations`.
    """
    features = _trials(features)
    y, emotions = _target(y, features.shape[1]), _groups(emotions, features.shape[1])
    columns, present = _unit_trials(features)

    def by_band(columns: np.ndarray, Y: np.ndarray) -> np.ndarray:
        r = _subject_r(columns, present, Y)
        return np.abs(r, out=r).max(-2)  # (..., n_subjects, n_bands)

    def over_channels(columns: np.ndarray, Y: np.ndarray) -> np.ndarray:
        return by_band(columns, Y).mean(-2).max(-1)

    def over_cells(columns: np.ndarray, Y: np.ndarray) -> np.ndarray:
        return by_band(columns, Y).max(-1).mean(-1)

    channel, cell = (
        _test(statistic, columns, y, emotions, columns[0].size, n_permutations, random_state)
        for statistic in (over_channels, over_cells)
    )
    own = by_band(columns, y)
    band = int(own.mean(0).argmax())
    return SubjectOracle(band, channel, cell, np.column_stack([own[:, band], own.max(1)]))


@dataclass(frozen=True)
class ClusterTest:
    """Clusters of cells in which subjects agree.

    Attributes
    ----------
    t : ndarray, shape (n_channels, n_bands)
        One-sample t over subjects of Fisher's z.
    clusters : ndarray of bool, shape (n_clusters, n_channels, n_bands)
        Cells of each; with TFCE every cell is one of its own.
    p : ndarray, shape (n_clusters,)
        Corrected p-values.
    """

    t: np.ndarray
    clusters: np.ndarray
    p: np.ndarray

    @property
    def p_min(self) -> float:
        """Smallest p-value; 1 if no cell passes the threshold."""
        return float(self.p.min(initial=1.0))


def cluster_test(
    features: ArrayLike,
    y: ArrayLike,
    info: mne.Info,
    *,
    n_permutations: int = 1000,
    threshold: float | str | None = None,
    random_state: Seed = 0,
) -> ClusterTest:
    """Cluster test over subjects of their correlation maps: mne's, with signs flipped by subject [1]_.

    *It treats the stimuli as fixed.* It asks whether subjects agree on these clips, not whether the axis
    would be followed for others [2]_. People who see the same clips share whatever the clips do to them, and
    every shared pattern has some correlation with any axis. The test therefore rejects, for nearly any axis,
    wherever emotions or clips can be decoded at all. It is here to be compared with `cell_map`.

    Parameters
    ----------
    features : array_like, shape (n_subjects, n_clips, n_channels, n_bands)
        Of each trial; NaN where it is missing.
    y : array_like, shape (n_clips,)
        Positions.
    info : mne.Info
        Positions of the channels, as :meth:`~kernel.brain.cohort.Cohort.info` gives them; neighbours by
        Delaunay triangulation. A band is next to the band below and above it at the same channel.
    n_permutations : int
        Sign flips, the observed signs among them.
    threshold : float, "tfce" or None
        Of ``|t|``; None for p = .05 of a single cell, two-sided; "tfce" for threshold-free enhancement [3]_.
    random_state : int, Generator or None
        Seed.

    Returns
    -------
    ClusterTest

    Raises
    ------
    ValueError
        As for `subject_correlations`, or if channels disagree or the threshold has no meaning.

    References
    ----------
    .. [1] Maris & Oostenveld (2007). doi:10.1016/j.jneumeth.2007.03.024
    .. [2] Westfall, Nichols & Yarkoni (2017). doi:10.12688/wellcomeopenres.10298.2
    .. [3] Smith & Nichols (2009). doi:10.1016/j.neuroimage.2008.03.061
    """
    import mne

    features = _trials(features)
    if len(info["ch_names"]) != features.shape[2]:
        raise ValueError(f"info has {len(info['ch_names'])} channels, features have {features.shape[2]}")
    if threshold == "tfce":
        limit: float | dict[str, float] | None = {"start": 0, "step": 0.2}
    elif threshold is None or (not isinstance(threshold, str) and threshold > 0):
        limit = threshold
    else:
        raise ValueError(f"threshold must be positive, 'tfce' or None, got {threshold!r}")
    r = subject_correlations(features, _target(y, features.shape[1]))
    z = np.arctanh(np.clip(r, -1 + 1e-9, 1 - 1e-9)).swapaxes(1, 2)  # (n_subjects, n_bands, n_channels)
    with mne.use_log_level("error"):
        neighbours, _ = mne.channels.find_ch_adjacency(info, "eeg")
        t, clusters, p, _ = mne.stats.permutation_cluster_1samp_test(
            z,
            threshold=limit,
            n_permutations=n_permutations,
            adjacency=mne.stats.combine_adjacency(z.shape[1], neighbours),
            out_type="mask",
            seed=int(np.random.default_rng(random_state).integers(2**31)),
        )
    masks = np.array(clusters, dtype=bool).reshape(-1, *z.shape[1:]).swapaxes(1, 2)
    return ClusterTest(t.T, masks, np.asarray(p, dtype=float))


# Time and connectivity


@dataclass(frozen=True)
class TimeCourse:
    """Correlation of the scalp's mean with the axis, second by second.

    Attributes
    ----------
    bands : tuple of str
        Names.
    seconds : ndarray, shape (n_seconds,)
        Start of each window in s.
    r : ndarray, shape (n_bands, n_seconds)
        Over clips.
    peak : ndarray, shape (n_bands,)
        Where ``|r|`` is largest, in s.
    p : ndarray, shape (n_bands,)
        Share of orders in which the largest ``|r|`` of any second is as large, each band for itself.
    null : ndarray, shape (n_bands, n_orders)
        Largest ``|r|`` under permutation.
    """

    bands: tuple[str, ...]
    seconds: np.ndarray
    r: np.ndarray
    peak: np.ndarray
    p: np.ndarray
    null: np.ndarray


def time_course(
    cohort: Cohort,
    y: ArrayLike,
    emotions: Sequence[str] | np.ndarray | None,
    *,
    n_permutations: int = 10_000,
    random_state: Seed = 0,
) -> TimeCourse:
    """Correlate the mean over scalp and subjects with the axis in each second, and judge the peak.

    Second 0 is not a clip's onset: of FACED the last 30 s of each clip are kept, so it lies 4 to 99 s after
    the onset, up to 95 s apart between clips. A peak is a place in these 30 s and no latency.

    Parameters
    ----------
    cohort : Cohort
        Standardised, if trials are missing; electrodes on the ears are left out. Seconds that some clip does
        not have are dropped.
    y, emotions, n_permutations, random_state
        As for `cell_map`.

    Returns
    -------
    TimeCourse

    Raises
    ------
    ValueError
        As for `cell_map`.
    """
    scalp = _places(cohort.channels, [name for names in regions(cohort.channels).values() for name in names])
    total = np.zeros((len(cohort.clips), cohort.de.shape[2], len(cohort.bands)))
    count = np.zeros(total.shape[:2])
    for block in cohort.de:
        means = block[:, :, scalp].mean(2, dtype=float)
        recorded = np.isfinite(means[..., 0])
        total[recorded] += means[recorded]
        count += recorded
    shared = count.all(0)
    X = total[:, shared] / count[:, shared, None]  # (n_clips, n_seconds, n_bands)
    X, y, emotions = _checked(X, y, emotions)
    maps = [
        cell_map(X[..., band, None], y, emotions, n_permutations=n_permutations, random_state=random_state)
        for band in range(X.shape[2])
    ]
    seconds = cohort.data["second"].values[shared]
    return TimeCourse(
        bands=tuple(cohort.bands),
        seconds=seconds,
        r=np.stack([found.r[:, 0] for found in maps]),
        peak=seconds[[found.best[0] for found in maps]],
        p=np.array([found.p_best for found in maps]),
        null=np.stack([found.null for found in maps]),
    )


@dataclass(frozen=True)
class Connectivity:
    """How strongly the channels that follow the axis best vary together within trials.

    Attributes
    ----------
    matrix : ndarray, shape (n_channels, n_channels)
        Mean correlation over subjects, by Fisher's z; ones on the diagonal.
    channels : tuple of str
        Those with the largest ``|r|``, strongest first.
    strength : ndarray, shape (n_set,)
        Mean correlation of each of them with the rest of the set; the hub has the largest.
    mean : float
        Mean over the pairs of the set.
    difference : float
        `mean` minus its mean over the sets that permuted emotions choose.
    p : float
        Share of those sets with as large a mean.
    null : ndarray, shape (n_orders,)
        Mean of each of them.
    """

    matrix: np.ndarray
    channels: tuple[str, ...]
    strength: np.ndarray
    mean: float
    difference: float
    p: float
    null: np.ndarray


def connectivity(
    cohort: Cohort,
    y: ArrayLike,
    emotions: Sequence[str] | np.ndarray | None,
    *,
    n_channels: int = 8,
    band: str = "gamma",
    n_permutations: int = 10_000,
    random_state: Seed = 0,
) -> Connectivity:
    """Correlate the channels that follow the axis best over the seconds of trials, in one band.

    Each trial's mean is removed, so what clips do to the level plays no part. Neighbouring electrodes vary
    together by *volume conduction* whatever the brain does, and they have similar maps, so the channels that
    follow any axis tend to lie together. The null therefore permutes emotions and chooses channels anew: a
    small p says that this axis chooses channels that are coupled more than those another axis would choose.

    Parameters
    ----------
    cohort : Cohort
        Standardised; two windows a trial or more.
    y, emotions, n_permutations, random_state
        As for `cell_map`.
    n_channels : int
        Channels to choose, two or more.
    band : str
        Name.

    Returns
    -------
    Connectivity

    Raises
    ------
    ValueError
        As for `cell_map`, or if the band is missing, there are too few channels, or trials have one window.
    """
    place, total = _band_place(list(cohort.bands), band), len(cohort.channels)
    if not 2 <= n_channels < total:
        raise ValueError(f"n_channels must lie between 2 and {total - 1}, got {n_channels}")
    features = mean_over_subjects(trial_features(cohort))[..., [place]]
    X, y, emotions = _checked(features, y, emotions)
    matrix = _within_trials(cohort, place)

    def chosen(Y: np.ndarray) -> np.ndarray:
        return np.argsort(-np.abs(cell_correlations(X, Y)[..., 0]), axis=-1, kind="stable")[..., :n_channels]

    def mean(_: Any, Y: np.ndarray) -> np.ndarray:
        """Mean over the pairs of the chosen channels, the diagonal taken out."""
        sets = chosen(Y)
        inside = np.zeros((*sets.shape[:-1], total))
        np.put_along_axis(inside, sets, 1, axis=-1)
        return ((inside @ matrix * inside).sum(-1) - n_channels) / (n_channels * (n_channels - 1))

    found = _test(mean, X, y, emotions, 2 * total, n_permutations, random_state)
    own = chosen(y)
    return Connectivity(
        matrix=matrix,
        channels=tuple(cohort.channels[place] for place in own),
        strength=(matrix[np.ix_(own, own)].sum(1) - 1) / (n_channels - 1),
        mean=found.observed,
        difference=found.observed - float(found.null.mean()),
        p=found.p,
        null=found.null,
    )


def _within_trials(cohort: Cohort, band: int) -> np.ndarray:
    """Correlation of channels (n_channels, n_channels) over seconds within trials, mean over subjects."""
    total = np.zeros((len(cohort.channels),) * 2)
    for subject, trials, n_windows in zip(cohort.subjects, cohort.de, cohort.n_windows, strict=True):
        if n_windows.max() < 2:
            raise ValueError(f"subject {subject} has one window a trial: nothing varies within trials")
        rows = np.concatenate(
            [
                trial[:n] - trial[:n].mean(0)
                for trial, n in zip(trials[..., band].astype(float), n_windows, strict=True)
                if n > 1
            ]
        )
        rows = _unit(rows, f"seconds of subject {subject}", axis=0)
        r = rows.T @ rows
        np.fill_diagonal(r, 0)
        total += np.arctanh(np.clip(r, -1 + 1e-9, 1 - 1e-9))
    mean = np.tanh(total / len(cohort.subjects))
    np.fill_diagonal(mean, 1)
    return mean


# Arguments


def _test(
    statistic: Callable[[np.ndarray, np.ndarray], np.ndarray],
    X: np.ndarray,
    y: np.ndarray,
    groups: np.ndarray | None,
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

    return stats.permutation_test(
        in_pieces, X, y, groups=groups, n_permutations=n_permutations, alternative="greater",
        random_state=random_state,
    )  # fmt: skip


def _unit(values: np.ndarray, name: str, axis: int) -> np.ndarray:
    """Centre and scale to length 1 along an axis."""
    mean = values.mean(axis, keepdims=True)
    centred = values - mean
    length = np.linalg.norm(centred, axis=axis, keepdims=True)
    # a constant such as 0.1 differs from its computed mean in the last digit
    constant = length <= 1e-13 * np.sqrt(values.shape[axis]) * np.abs(mean)
    if constant.any():
        place = np.argwhere(np.take(constant, 0, axis))[0].tolist()
        where = f" at {place}" if place else ""
        raise ValueError(f"{name} is constant at {mean[constant][0]:g}{where}: its r is undefined, drop it")
    return np.divide(centred, length, out=centred)


def _trials(features: ArrayLike) -> np.ndarray:
    features = real(features, "features", finite=False)
    if features.ndim != 4 or 0 in features.shape:
        raise ValueError(f"features must be (subjects, clips, channels, bands), got shape {features.shape}")
    return features


def _target(y: ArrayLike, n_clips: int) -> np.ndarray:
    y = real(y, "y")
    if y.shape != (n_clips,):
        raise ValueError(f"y must hold one position per clip, got shape {y.shape} for {n_clips} clips")
    _unit(y, "y", axis=-1)  # raises if it is constant
    return y


def _groups(emotions: Sequence[str] | np.ndarray | None, n_clips: int) -> np.ndarray | None:
    return None if emotions is None else row_labels(emotions, "emotions", n_clips)


def _checked(
    X: ArrayLike, y: ArrayLike, emotions: Sequence[str] | np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    X = real(X, "X")
    if X.ndim != 3 or 0 in X.shape:
        raise ValueError(f"X must be (n_clips, n_channels, n_bands), got shape {X.shape}")
    return X, _target(y, len(X)), _groups(emotions, len(X))


def _checked_sets(
    X: ArrayLike, y: ArrayLike, emotions: Sequence[str] | np.ndarray, permute: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]:
    """As `_checked`, for searches over sets of emotions, with the unit of exchange."""
    if emotions is None:
        raise ValueError("emotions are what is searched: name them, and permute clips by permute='clips'")
    if permute not in ("emotions", "clips"):
        raise ValueError(f"permute must be 'emotions' or 'clips', got {permute!r}")
    X, y, _ = _checked(X, y, emotions)
    names = np.asarray(emotions, dtype=object)
    return X, y, names, names if permute == "emotions" else None


def _check_names(
    shape: tuple[int, ...], channels: Sequence[str] | None, bands: Sequence[str] | None = None
) -> None:
    for names, found, what in zip((channels, bands), shape, ("channels", "bands"), strict=True):
        if names is not None and len(names) != found:
            raise ValueError(f"{len(names)} {what} are named, X has {found}")


def _places(channels: Sequence[str], names: Sequence[str]) -> list[int]:
    known = {channel.lower(): place for place, channel in enumerate(channels)}
    missing = [name for name in names if name.lower() not in known]
    if missing:
        raise ValueError(f"electrodes {missing} are missing: there are {', '.join(channels)}")
    return [known[name.lower()] for name in names]


def _band_place(bands: Sequence[str], band: str) -> int:
    bands = list(bands)
    if band not in bands:
        raise ValueError(f"no band {band!r}: there are {', '.join(bands)}")
    return bands.index(band)
