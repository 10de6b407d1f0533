"""The axis behind the paper's EEG figures, found again from the figures that it printed.

Eleven printed figures constrain nine class values, seven of them free, because a correlation knows neither
the level of an axis nor its scale. Others (regions, weights, the fit of .87, asymmetries) stay unfitted.
Cohort means are (n_clips, n_channels, n_bands), those of :func:`~kernel.brain.cohort.cohort_tensor` of all 32
channels of FACED; channels, bands and emotions are names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations, product
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.optimize import least_squares
from scipy.stats import zscore

from kernel import stats
from kernel.arrays import plain, real
from kernel.brain.ridge import RidgeFolds
from kernel.brain.topography import (
    FRONTAL_PAIRS,
    PAPER_EMOTIONS,
    PAPER_WEIGHTS,
    cell_correlations,
    regions,
)

Names = Sequence[str] | np.ndarray

#: Penalty of the paper's ridge, on features z-scored over clips: with it the fit of .87 comes out.
PENALTY = 100.0
#: Cell of the paper's largest correlation.
BEST_CELL = ("PO3", "gamma")
#: Printed figures that determine the axis, with half a unit of their last digit.
CONSTRAINTS: dict[str, tuple[float, float]] = {
    "PO3/gamma": (0.478, 0.0005),
    "F7/beta": (-0.47, 0.005),
    "O1/gamma": (0.44, 0.005),
    **{
        f"mean |r| {band}": (r, 0.0005)
        for band, r in dict(alpha=0.233, beta=0.198, delta=0.174, gamma=0.148, theta=0.124).items()
    },
    "PO3/gamma, nine clips": (0.870, 0.0005),
    "PO3/gamma, other clips": (-0.015, 0.0005),
    "PO3/gamma, without anger": (0.327, 0.0005),
}
#: Printed figures that did not enter.
UNFITTED: dict[str, float] = {
    **{
        f"mean |r| {region}": r
        for region, r in dict(occipital=0.212, parietal=0.181, central=0.180, frontal=0.162).items()
    },
    "PO3/gamma, weights 5 3 3 1": 0.714,
    "ridge in sample": 0.87,
}
ASYMMETRIES = dict(zip(("F4-F3", "F8-F7", "Fp2-Fp1"), (0.0062, 0.0155, 0.0116), strict=True))
POSITIVE = ("amusement", "inspiration", "joy", "tenderness")
NEGATIVE = ("anger", "disgust", "fear", "sadness")
_SURE = {"F": ("frontal",), "C": ("central",), "P": ("parietal",), "O": ("occipital",)}
_OPEN = {
    "FP": ("frontal", ""),
    "FC": ("frontal", "central", ""),
    "CP": ("central", "parietal", ""),
    "PO": ("occipital", "parietal", ""),
    "T": ("central", ""),
}


class RecoveredAxis(NamedTuple):
    """What `recover_axis` gives.

    `axis` (n_clips,) has one value per emotion, mean 0 and standard deviation 1 over clips; `loss` is the sum
    over the constraints of the squared misfit in half units of the last printed digit. `starts` has a row for
    each random start, the best first: ``loss``, ``distance`` (largest difference from the best axis over
    emotions) and the emotions.
    """

    axis: np.ndarray
    loss: float
    starts: pd.DataFrame


def recover_axis(
    means: ArrayLike,
    channels: Names,
    bands: Names,
    emotions: Names,
    *,
    constraints: Mapping[str, tuple[float, float]] = CONSTRAINTS,
    n_starts: int = 20,
    random_state: int = 0,
) -> RecoveredAxis:
    """Find the class-constant axis whose correlations with the EEG are those printed.

    Least squares over one value per emotion, misfits in half units of the last printed digit and damped (soft
    L1) where they are large, because mean ``|r|`` has many kinks. Most of the random starts still end
    hundreds of units from the printed figures; those that reach them must agree. `constraints` hold the
    printed value and half a unit of its last digit, by the names of `CONSTRAINTS`.
    """
    code, names = pd.factorize(plain(emotions, "emotions", numbers=False))
    printed, half = np.array(list(constraints.values())).T

    def misfit(values: np.ndarray) -> np.ndarray:
        ours = _constrained(means, channels, bands, emotions, values[code])
        return (np.array([ours[figure] for figure in constraints]) - printed) / half

    rng = np.random.default_rng(random_state)
    rows = []
    for start in rng.standard_normal((n_starts, len(names))):
        values = least_squares(misfit, start, loss="soft_l1").x
        values = (values - values[code].mean()) / values[code].std()
        rows.append([float((misfit(values) ** 2).sum()), *values])
    starts = pd.DataFrame(rows, columns=["loss", *names]).sort_values("loss", ignore_index=True)
    starts.insert(1, "distance", (starts[names] - starts.loc[0, names]).abs().max(axis=1))
    best = starts.loc[0, names].to_numpy(dtype=float)
    return RecoveredAxis(best[code], float(starts.loc[0, "loss"]), starts)


def axis_figures(
    means: ArrayLike, channels: Names, bands: Names, emotions: Names, axis: ArrayLike
) -> dict[str, float]:
    """The figures of `CONSTRAINTS` and `UNFITTED` for an axis.

    Regions are those of :func:`~kernel.brain.topography.regions`, since the paper does not list its own;
    weights on emotions enter a weighted Pearson correlation; the ridge has one `PENALTY` for all features,
    z-scored over clips, and is not cross-validated.
    """
    X, y, kinds = real(means, "means"), real(axis, "axis"), plain(emotions, "emotions", numbers=False)
    ours = _constrained(X, channels, bands, kinds, y)
    size, place = np.abs(cell_correlations(X, y)), {name: at for at, name in enumerate(channels)}
    for region, electrodes in regions(list(channels)).items():
        ours[f"mean |r| {region}"] = float(size[[place[name] for name in electrodes]].mean())
    best = _cell(X, channels, bands, *BEST_CELL)
    weights = np.array([PAPER_WEIGHTS.get(kind, 1) for kind in kinds.tolist()])
    ours["PO3/gamma, weights 5 3 3 1"] = _weighted_correlation(best, y, weights)
    fit = RidgeFolds(zscore(X.reshape(len(X), -1)), alphas=[PENALTY]).in_sample(y)
    return ours | {"ridge in sample": float(stats.pearson(fit, y))}


def reproduce(
    means: ArrayLike, channels: Names, bands: Names, emotions: Names, axis: ArrayLike
) -> pd.DataFrame:
    """Printed figures of the maps, and what an axis (n_clips,) gives.

    Columns ``figure``, ``printed``, ``ours`` and ``fitted``: whether the recovery of the axis used it.
    """
    ours = axis_figures(means, channels, bands, emotions, axis)
    ours |= asymmetries(means, channels, bands, emotions)
    printed = {figure: value for figure, (value, _) in CONSTRAINTS.items()} | UNFITTED | ASYMMETRIES
    rows = [(figure, value, ours[figure], figure in CONSTRAINTS) for figure, value in printed.items()]
    return pd.DataFrame(rows, columns=["figure", "printed", "ours", "fitted"])


def asymmetries(means: ArrayLike, channels: Names, bands: Names, emotions: Names) -> dict[str, float]:
    """Right minus left frontal alpha, mean over positive minus mean over negative clips, as `ASYMMETRIES`.

    In the unit of the features; neutral clips do not enter.
    """
    X, kinds = real(means, "means"), plain(emotions, "emotions", numbers=False)
    positive, negative = np.isin(kinds, POSITIVE), np.isin(kinds, NEGATIVE)
    if not (positive.any() and negative.any()):
        raise ValueError(f"emotions need some of {POSITIVE} and of {NEGATIVE}, got {sorted(set(kinds))}")
    out = {}
    for left, right in FRONTAL_PAIRS:
        difference = _cell(X, channels, bands, right, "alpha") - _cell(X, channels, bands, left, "alpha")
        out[f"{right}-{left}"] = float(difference[positive].mean() - difference[negative].mean())
    return out


def region_groupings(means: ArrayLike, channels: Names, bands: Names, axis: ArrayLike) -> pd.DataFrame:
    """Region means of ``|r|`` under every usual way to sort electrodes into the paper's four regions by name.

    The paper does not list its electrodes. Those between two regions (Fp, FC, CP, PO) may go to either or to
    none, temporal ones (T) to the centre or to none; F, C, P and O are where their names say. One row per
    grouping, the nearest to the printed means first: the region of each group of electrodes ("" for none),
    the four means and ``difference``, the largest from a printed mean.
    """
    size = np.abs(cell_correlations(means, axis)).mean(1)
    letters = np.array([name.rstrip("0123456789z").upper() for name in channels])
    choices = {**_SURE, **_OPEN}
    printed = {figure.split()[-1]: r for figure, r in UNFITTED.items() if figure.startswith("mean")}
    rows = []
    for chosen in product(*choices.values()):
        group = dict(zip(choices, chosen, strict=True))
        place = np.array([group.get(name, "") for name in letters])
        ours = {region: float(size[place == region].mean()) for region in printed}
        apart = max(abs(ours[region] - r) for region, r in printed.items())
        rows.append({name: group[name] for name in _OPEN} | ours | {"difference": apart})
    return pd.DataFrame(rows).sort_values("difference", ignore_index=True)


def triple_ranks(cell: ArrayLike, axis: ArrayLike, emotions: Names) -> pd.DataFrame:
    """Correlation of one cell with an axis, both (n_clips,), on the clips of every triple of emotions.

    One row per triple, 84 of nine emotions, the largest ``|r|`` first: ``emotions``, ``n_clips``, ``r``,
    ``rank`` (how many triples have as large an ``|r|``) and ``paper``, whether it is the paper's.
    """
    x, y, kinds = real(cell, "cell"), real(axis, "axis"), plain(emotions, "emotions", numbers=False)
    rows = []
    for chosen in combinations(dict.fromkeys(kinds.tolist()), 3):
        inside = np.isin(kinds, chosen)
        r = _weighted_correlation(x, y, inside)
        rows.append((", ".join(chosen), int(inside.sum()), r, set(chosen) == set(PAPER_EMOTIONS)))
    table = pd.DataFrame(rows, columns=["emotions", "n_clips", "r", "paper"])
    table.insert(3, "rank", table["r"].abs().rank(ascending=False, method="max").astype(int))
    return table.sort_values("rank", ignore_index=True, kind="stable")


def _weighted_correlation(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> float:
    """Pearson correlation of x and y (n,) with weights (n,) that are not negative; 0 leaves an item out."""
    w = weights / weights.sum()
    x, y = x - w @ x, y - w @ y
    return float((w * x) @ y / np.sqrt((w * x) @ x * ((w * y) @ y)))


def _constrained(
    means: ArrayLike, channels: Names, bands: Names, emotions: Names, axis: np.ndarray
) -> dict[str, float]:
    """The figures of `CONSTRAINTS`."""
    r = cell_correlations(means, axis)
    kinds, best = plain(emotions, "emotions", numbers=False), _cell(means, channels, bands, *BEST_CELL)
    nine, anger = np.isin(kinds, PAPER_EMOTIONS), kinds == "anger"
    parts = {"nine clips": nine, "other clips": ~nine, "without anger": ~anger}
    cells = [name for name in CONSTRAINTS if "/" in name and "," not in name]
    return {
        **{name: float(_cell(r[None], channels, bands, *name.split("/"))[0]) for name in cells},
        **{f"mean |r| {band}": float(size) for band, size in zip(bands, np.abs(r).mean(0), strict=True)},
        **{f"PO3/gamma, {name}": _weighted_correlation(best, axis, part) for name, part in parts.items()},
    }


def _cell(means: ArrayLike, channels: Names, bands: Names, channel: str, band: str) -> np.ndarray:
    """Column (n_clips,) of one channel and band."""
    if channel not in channels or band not in bands:
        raise ValueError(
            f"no {channel}/{band} among {list(channels)} and {list(bands)}: a printed figure needs it"
        )
    return real(means, "means")[:, list(channels).index(channel), list(bands).index(band)]
