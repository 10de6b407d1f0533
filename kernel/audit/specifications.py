"""The projection and the maps under every choice of analysis: tables of the audit of FACED.

Each takes a :class:`~kernel.audit.material.Material` and the name of a part, and gives tidy rows, the same at
every call. Fixed penalties act on features z-scored over all clips, those left out among them: no label
enters, and the paper's figure came about so. p-values are one-sided, for correlations as large as the
observed, unless a docstring says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata, trim_mean, zscore
from scipy.stats import t as student_t

from kernel import checks, stats
from kernel.audit.material import Material
from kernel.audit.reconstruction import BEST_CELL, PENALTY, asymmetries, axis_figures
from kernel.brain import topography
from kernel.brain.cohort import Cohort, mean_over_subjects, standardise, trial_features
from kernel.brain.projection import against_null, clip_effects
from kernel.brain.ridge import RidgeFolds
from kernel.brain.tracking import map_vaxis_to_scalp, project_vaxis

AVERAGINGS = ("raw mean", "standardised", "z of clip means", "median", "trimmed mean", "order removed")
#: Sets of channels, by the first letters of their names; "" takes all.
CHANNEL_SETS = {"all": "", "scalp": "FCTPO", "posterior": "PO", "frontal": "F"}
PENALTIES = (1.0, PENALTY, 10_000.0)
AXES = ("recovered", "clip ratings", "class ratings", "sign code", "language model")
SCHEMES = ("in sample", "leave clip", "leave film", "leave emotion")
N_PERMUTATIONS = 999
#: Axes of the preregistered tests, each with one value per emotion; the first is the one that was announced.
TEST_AXES = ("language model", "second model", "class ratings", "recovered")
#: Axes of the maps, with the averaging and the channels of each.
MAP_AXES = {
    "language model": ("standardised", "scalp"),
    "recovered": ("raw mean", "all"),
    "clip ratings": ("raw mean", "all"),
}
#: What one person may carry: a cell or the ridge of `PENALTY`, raw mean, all channels; and the axis.
CARRIED = (
    *(f"PO3/gamma, {axis}" for axis in ("clip ratings", "recovered")),
    *(f"{fit}, {axis}" for fit in ("in sample", "leave emotion") for axis in ("recovered", "language model")),
)
REMOVALS = ("PO3/gamma, clip ratings", "in sample, recovered", "leave emotion, recovered")
#: The parts of tables that have one.
WHOLE = ("all",)


# The choices


def _averaged(cohort: Cohort, averaging: str) -> np.ndarray:
    """Cohort means (n_clips, n_channels, n_bands) by one of `AVERAGINGS` over people.

    ``raw mean``: nats. ``standardised``: seconds z-scored within people. ``z of clip means``: means over
    seconds z-scored over the clips of each person. ``median`` and ``trimmed mean`` (a fifth off either end):
    over people, nats. ``order removed``: :func:`~kernel.brain.projection.clip_effects`, standardised trials.
    """
    checks.choice("averaging", averaging, AVERAGINGS)
    scaled = averaging in ("standardised", "order removed")
    trials = trial_features(standardise(cohort) if scaled else cohort)
    if averaging == "z of clip means":
        return zscore(trials, axis=1).mean(0)
    if averaging == "median":
        return np.median(trials, axis=0)
    if averaging == "trimmed mean":
        return trim_mean(trials, 0.2, axis=0)
    if averaging == "order removed":
        return clip_effects(trials, cohort.order).reshape(trials.shape[1:])
    return mean_over_subjects(trials)


def _channel_places(channels: Sequence[str], name: str) -> list[int]:
    """Places of the channels of a set: all, those not on the ears, P with PO and O, or F with Fp and FC."""
    first = CHANNEL_SETS[checks.choice("channel set", name, CHANNEL_SETS)]
    return [at for at, channel in enumerate(channels) if not first or channel[0].upper() in first]


def _permuted_axes(
    axes: pd.DataFrame, emotions: np.ndarray, null: str, n: int, random_state: int
) -> np.ndarray:
    """The axes (n + 1, n_axes, n_clips), first as they are, then permuted, each time all in the same way.

    "emotions" permutes class means among emotions and deviations from them, where there are any, among clips;
    "clips" permutes clips.
    """
    values, rng = axes.to_numpy(dtype=float), np.random.default_rng(random_state)
    code = pd.factorize(emotions)[0]
    clips = rng.permuted(np.tile(np.arange(len(values)), (n, 1)), axis=1)
    if null == "clips":
        shuffled = values[clips]
    else:
        means = axes.groupby(code).mean().to_numpy(dtype=float)
        order = rng.permuted(np.tile(np.arange(len(means)), (n, 1)), axis=1)
        shuffled = means[order][:, code] + (values - means[code])[clips]
    return np.concatenate([values[None], shuffled]).swapaxes(1, 2)


# The specification curve


def _specification_correlations(
    means: np.ndarray, channels: Sequence[str], emotions: np.ndarray, films: np.ndarray, targets: np.ndarray
) -> np.ndarray:
    """r (n_channel_sets, n_penalties, n_schemes, ...) of predictions with targets under every choice.

    From means (n_clips, n_channels, n_bands) of one averaging, the emotion and film of each clip, and targets
    (..., n_clips). A ridge of fixed penalty is linear in its targets, so the predictions of the unit targets
    serve them all.
    """
    unit, groups = np.eye(len(means)), dict(zip(SCHEMES, (None, None, films, emotions), strict=True))
    out = np.empty((len(CHANNEL_SETS), len(PENALTIES), len(SCHEMES), *targets.shape[:-1]))
    for i, name in enumerate(CHANNEL_SETS):
        X = zscore(means[:, _channel_places(channels, name)].reshape(len(means), -1))
        for (j, penalty), (k, scheme) in product(enumerate(PENALTIES), enumerate(SCHEMES)):
            folds = RidgeFolds(X, groups[scheme], [penalty])
            predicted = targets @ (folds.in_sample(unit) if scheme == "in sample" else folds.held_out(unit))
            out[i, j, k] = stats.pearson(predicted, targets)
    return out


def _curve(material: Material, averaging: str, null: str) -> np.ndarray:
    """r (n_channel_sets, n_penalties, n_schemes, n_permutations + 1, n_axes) of one averaging."""
    cohort: Cohort = material.cohort
    targets = _permuted_axes(material.axes[list(AXES)], cohort.emotions, null, N_PERMUTATIONS, 0)
    means = _averaged(cohort, averaging)
    return _specification_correlations(means, cohort.channels, cohort.emotions, _films(cohort), targets)


def _ranks(r: np.ndarray, axis: int) -> np.ndarray:
    """p-value of each member of a set: the share of the set, itself included, that is as large."""
    # ties that differ by rounding are ties
    return rankdata(-np.round(r, 10), method="max", axis=axis) / r.shape[axis]


def specifications(material: Material, part: str) -> pd.DataFrame:
    """r and three p-values of every specification of one averaging: 240 rows."""
    curves = {null: _curve(material, part, null) for null in ("emotions", "clips")}
    r = curves["emotions"][..., 0, :]
    index = pd.MultiIndex.from_product(
        [list(CHANNEL_SETS), PENALTIES, SCHEMES, AXES], names=["channels", "penalty", "scheme", "axis"]
    )
    columns = {"r": r, "p_textbook": stats.textbook_p(r, len(material.axes), alternative="greater")}
    columns |= {f"p_{null}": _ranks(curve, 3)[..., 0, :] for null, curve in curves.items()}
    table = pd.DataFrame({name: values.ravel() for name, values in columns.items()}, index).reset_index()
    table.insert(0, "averaging", part)
    return table


def specification_share(material: Material, part: str) -> pd.DataFrame:
    """Share of a scheme's 360 specifications with p < .05, and its place among permutations of all at once.

    Of each permutation, p-values are computed within the set of permutations, and so is its share. ``p`` is
    the share of permutations, the observed order included, with as large a share, ``null_mean`` and
    ``null_95`` their mean and 95th percentile; against the textbook formula there is none of these.
    """
    rows = []
    for null in ("emotions", "clips"):
        curves = np.stack([_curve(material, averaging, null) for averaging in AVERAGINGS])
        for k, scheme in enumerate(SCHEMES):
            r = curves[:, :, :, k]  # (averaging, channels, penalty, permutation, axis)
            shares = (_ranks(r, 3) < 0.05).mean((0, 1, 2, 4))
            textbook = stats.textbook_p(r[..., 0, :], len(material.axes), alternative="greater")
            place = (_ranks(shares, 0)[0], shares[1:].mean(), np.quantile(shares[1:], 0.95))
            rows.append((scheme, null, textbook.size, shares[0], *place))
            if null == "clips":
                rows.append((scheme, "textbook", textbook.size, (textbook < 0.05).mean(), *[np.nan] * 3))
    return pd.DataFrame(rows, columns=["scheme", "null", "n", "share", "p", "null_mean", "null_95"])


# The preregistered tests


def tests_of_projection(material: Material, part: str) -> pd.DataFrame:
    """Every test of chapter 05 for one axis, on the scalp's channels: the numbers that its ledger rows take.

    Films left out are beside them: default penalties, emotions permuted.
    """
    positions, human = (material.positions(name) for name in (part, "class ratings"))
    result: Any = project_vaxis(material.scalp, positions, valence=human, n_permutations=2000, n_slow=500)
    y, n, n_trials = result.positions, len(result.positions), int(material.scalp.present.sum())
    removed, surrogates, reliable = result.order_removed, result.against_order, result.reliability
    rows = [(t.scheme, t.null, t.r, t.p, n) for t in result.tests.itertuples()]
    rows += [
        ("order removed", "emotions", removed.r, removed.p, n),
        ("against order", "order", surrogates.r, surrogates.p, n),
        ("emotion means", "emotions", result.classes.observed, result.classes.p, len(positions)),
        ("single trials", "emotions", result.trials.observed, result.trials.p, n_trials),
    ]
    for name, X in _means_and_effects(material).items():
        folds = RidgeFolds(X, _films(material.scalp))

        def r(Y: np.ndarray, folds: RidgeFolds = folds) -> Any:
            return stats.pearson(folds.held_out(Y), Y)

        test = against_null(r, y, result.emotions, "emotions", 2000)
        rows.append((f"leave_one_film_out, {name}", "emotions", test.observed, test.p, n))
    table = pd.DataFrame(rows, columns=["estimator", "null", "value", "p", "n"]).assign(axis=part)
    last = dict(estimator="reliability", null="none", n=len(result.features), axis=part)
    return pd.concat([table, pd.DataFrame([last | reliable._asdict()])], ignore_index=True)


def held_out_predictions(material: Material, part: str) -> pd.DataFrame:
    """Prediction of each clip on one axis with clips, films or emotions left out, order kept or removed."""
    cohort, y, tables = material.scalp, material.values(part), []
    groups = {"clip": None, "film": _films(cohort), "emotion": cohort.emotions}
    for (name, X), (unit, members) in product(_means_and_effects(material).items(), groups.items()):
        columns = {"clip": cohort.clips, "emotion": cohort.emotions, "position": y}
        columns["prediction"] = RidgeFolds(X, members).held_out(y)
        tables.append(pd.DataFrame(columns).assign(axis=part, features=name, left_out=unit))
    return pd.concat(tables, ignore_index=True)


def _means_and_effects(material: Material) -> dict[str, np.ndarray]:
    """Standardised cohort means (n_clips, n_features), and clip effects with order removed."""
    trials = material.trials.reshape(*material.trials.shape[:2], -1)
    removed = clip_effects(trials, material.scalp.order)
    return {"standardised": mean_over_subjects(trials), "order removed": removed}


# Maps


def topography_tests(material: Material, part: str) -> pd.DataFrame:
    """Every test of chapter 06 for one axis, on the scalp's channels: the numbers that its ledger rows take.

    Rows that are no claims stand beside them: searches over all emotions and weights, and what Simpson's
    paradox compares. ``detail`` says what was chosen.
    """
    result: Any = map_vaxis_to_scalp(material.scalp, material.positions(part))
    alpha, time, few, gain = result.bands.index("alpha"), result.time, result.few_emotions, result.weighted
    channel, band = result.cells.best
    cell = f"{result.channels[channel]}/{result.bands[band]}"
    tests = {
        "C4.best_cell": (abs(result.cells.r_best), result.cells.p_best, cell),
        "C5.occipital_first": (result.occipital.observed, result.occipital.p, "none"),
        "C5.alpha_first": (result.alpha.observed, result.alpha.p, "none"),
        "C5.asymmetry": (result.asymmetry.observed, result.asymmetry.p, "none"),
        "C5.nine_clips": (abs(few.named.r_in), few.named.p, cell),
        "C5.anger_weighted": (gain.named.gain, gain.named.p, cell),
        "C5.subject_oracle": (result.oracle.channel.observed, result.oracle.channel.p, "channels"),
        "C5.time_course": (np.abs(time.r[alpha]).max(), time.p[alpha], f"{time.peak[alpha]:g} s"),
        "C5.connectivity": (result.connectivity.difference, result.connectivity.p, "none"),
        "best three emotions": (abs(few.best.r_in), few.best.p, ", ".join(few.best.emotions)),
        "best weights": (gain.best.gain, gain.best.p, cell),
        "best cell of each person": (result.oracle.cell.observed, result.oracle.cell.p, "channels and bands"),
    }
    n, n_judged = len(material.axes), len(material.scalp.subjects) // 2
    rows = [dict(claim=k, value=r, p=p, n=n, detail=detail) for k, (r, p, detail) in tests.items()]
    simpson = result.simpson
    intervals = {
        "C5.simpson": simpson.opposed,
        "cohort r": simpson.cohort,
        "mean r of people": simpson.subjects,
    }
    rows += [dict(claim=k, **i._asdict(), n=n_judged, detail="none") for k, i in intervals.items()]
    return pd.DataFrame(rows)[["claim", "value", "p", "low", "high", "n", "detail"]].assign(axis=part)


def cells(material: Material, part: str) -> pd.DataFrame:
    """r of every channel and band with one of `MAP_AXES`, p alone and corrected for all cells.

    Emotions are permuted; clips for an axis that varies within emotions, which is too liberal.
    """
    X, y, channels, bands = _map(material, part)
    emotions = None if part == "clip ratings" else material.cohort.emotions
    table = topography.cell_map(X, y, emotions).table(channels, bands).sort_index().reset_index()
    return table.assign(axis=part, averaging=MAP_AXES[part][0])


def map_means(material: Material, part: str) -> pd.DataFrame:
    """Mean ``|r|`` with one of `MAP_AXES` by region and band, p, and its mean under the null of `cells`."""
    X, y, channels, bands = _map(material, part)
    groups = None if part == "clip ratings" else material.cohort.emotions
    masks = {
        ("region", region): np.tile(np.isin(channels, names)[:, None], len(bands))
        for region, names in topography.regions(channels).items()
    }
    masks |= {("band", name): np.tile(np.array(bands) == name, (len(channels), 1)) for name in bands}
    rows = []
    for (kind, name), mask in masks.items():
        test = topography.cell_contrast(X, y, groups, mask, n_permutations=2000)
        rows.append((part, kind, name, test.observed, test.p, test.null.mean()))
    return pd.DataFrame(rows, columns=["axis", "kind", "name", "value", "p", "null_mean"])


def map_choices(material: Material, part: str) -> pd.DataFrame:
    """What one averaging makes of every printed figure, for each axis.

    Asymmetries ask for no axis ("none") and are in the unit of the features.
    """
    cohort: Cohort = material.cohort
    X, names = _averaged(cohort, part), (cohort.channels, list(cohort.bands), cohort.emotions)
    rows = [(part, "none", figure, r) for figure, r in asymmetries(X, *names).items()]
    for axis in AXES:
        figures = axis_figures(X, *names, material.values(axis))
        rows += [(part, axis, figure, r) for figure, r in figures.items()]
    return pd.DataFrame(rows, columns=["averaging", "axis", "figure", "value"])


def _map(material: Material, axis: str) -> tuple[np.ndarray, np.ndarray, list[str], list[str]]:
    averaging, channels = MAP_AXES[axis]
    cohort = material.scalp if channels == "scalp" else material.cohort
    return _averaged(cohort, averaging), material.values(axis), cohort.channels, list(cohort.bands)


# Who carries it


def _carried(means: np.ndarray, figure: str, material: Material) -> np.ndarray:
    """A figure of `CARRIED` for each of several cohort means (..., n_clips, n_channels, n_bands)."""
    what, axis = figure.split(", ")
    cohort, y = material.cohort, material.values(axis)
    if what == "PO3/gamma":
        channel, band = BEST_CELL
        return stats.pearson(means[..., cohort.channels.index(channel), list(cohort.bands).index(band)], y)
    X = zscore(means.reshape(*means.shape[:-2], -1), axis=-2)
    folds = RidgeFolds(X, cohort.emotions if what == "leave emotion" else None, [PENALTY])
    return stats.pearson(folds.in_sample(y) if what == "in sample" else folds.held_out(y), y)


def jackknife(material: Material, part: str) -> pd.DataFrame:
    """Every figure of `CARRIED` without each person in turn; ``influence`` is what their presence adds."""
    trials = trial_features(material.cohort)
    total, n, cohort, tables = trials.sum(0), len(trials), material.cohort, []
    for figure in CARRIED:
        whole = _carried(total / n, figure, material)
        r = _carried((total - trials) / (n - 1), figure, material)
        columns = {"subject": cohort.subjects, "hardware": cohort.hardware, "r": r, "influence": whole - r}
        tables.append(pd.DataFrame(columns).assign(figure=figure))
    return pd.concat(tables, ignore_index=True)


def greedy_removal(
    material: Material, part: str, *, n_removed: int = 30, n_draws: int = 200, random_state: int = 0
) -> pd.DataFrame:
    """One of `REMOVALS` as people leave, each time the one who raises it most, against random removals.

    ``subject`` is who went last (-1: nobody yet); ``low``, ``median`` and ``high`` are the middle 95 % of
    random removals of as many; ``limit`` is the textbook's for r of the clips at .05, two-sided.
    """
    trials, rng = trial_features(material.cohort), np.random.default_rng(random_state)
    total, left, last = trials.sum(0), np.arange(len(trials)), -1
    orders = np.stack([rng.permutation(len(trials)) for _ in range(n_draws)])
    totals = np.repeat(total[None], n_draws, axis=0)
    rows = []
    for removed in range(n_removed + 1):
        n = len(trials) - removed
        low, median, high = np.quantile(_carried(totals / n, part, material), [0.025, 0.5, 0.975])
        rows.append((part, removed, last, float(_carried(total / n, part, material)), low, median, high))
        totals -= trials[orders[:, removed]]
        worst = int(np.argmin(_carried((total - trials[left]) / (n - 1), part, material)))
        last, total = int(material.cohort.subjects[left[worst]]), total - trials[left[worst]]
        left = np.delete(left, worst)
    columns = ["figure", "removed", "subject", "r", "low", "median", "high"]
    dof = len(material.axes) - 2
    t = student_t.isf(0.025, dof)
    return pd.DataFrame(rows, columns=columns).assign(limit=t / np.sqrt(dof + t**2))


def fewest(table: pd.DataFrame) -> int:
    """Fewest people whose removal takes r below the limit in `greedy_removal`; one more than were if none."""
    below = table.loc[table["r"] < table["limit"], "removed"]
    return int(below.min() if len(below) else table["removed"].max() + 1)


def reliability(
    material: Material, part: str, *, n_halvings: int = 200, random_state: int = 0
) -> pd.DataFrame:
    """Agreement of two groups of people on clips, over clips and cells of the scalp; not stepped up.

    Odd against even ids, one recording cohort against the other, and random halves with their standard
    deviation. ``centred``: each cell minus its mean over clips; without it, cells that differ in level agree
    whatever the clips do. Mean ratings of valence stand beside.
    """
    cohort, z = material.scalp, material.trials
    raw, order, valence = trial_features(cohort), cohort.order, cohort.person_rating("valence")
    means: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "raw": lambda rows: raw[rows].mean(0),
        "raw, centred": lambda rows: raw[rows].mean(0) - raw[rows].mean((0, 1)),
        "standardised, centred": lambda rows: z[rows].mean(0) - z[rows].mean((0, 1)),
        "order removed": lambda rows: clip_effects(z[rows], order[rows]),
        "ratings of valence": lambda rows: np.nanmean(valence[rows], axis=0),
    }
    halves = {"odd and even": cohort.subjects % 2 == 1, "recording cohorts": cohort.hardware == "cohort 1"}
    rng = np.random.default_rng(random_state)
    draws = [rng.permutation(len(raw)) < len(raw) // 2 for _ in range(n_halvings)]
    rows = []
    for name, mean in means.items():

        def agreement(first: np.ndarray, mean: Callable[[np.ndarray], np.ndarray] = mean) -> float:
            return float(stats.pearson(mean(first).ravel(), mean(~first).ravel()))

        rows += [(name, groups, agreement(first), np.nan) for groups, first in halves.items()]
        values = [agreement(first) for first in draws]
        rows.append((name, "random halves", float(np.mean(values)), float(np.std(values, ddof=1))))
    return pd.DataFrame(rows, columns=["features", "groups", "r", "sd"])


def _films(cohort: Cohort) -> np.ndarray:
    """Film of each clip; a clip of unknown film is one of its own."""
    return np.where(cohort.films == "", np.char.mod("clip %03d", cohort.clips), cohort.films)
