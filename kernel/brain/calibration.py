"""How often each test of the projection says yes when the truth is known. Everything here is simulated.

In:  truths (settings of the simulator), a number of cohorts, a seed.
Out: a table of p-values by truth, cohort and test; rejection rates with exact intervals.
Never: touches recorded EEG, or chooses a test: the table is for the reader.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from joblib import delayed
from scipy.stats import binomtest
from threadpoolctl import threadpool_limits

from kernel import files, stats
from kernel.brain import projection
from kernel.brain.cohort import FACED_CLIP_EMOTIONS, mean_over_subjects, standardise, trial_features
from kernel.brain.components import FacedSettings
from kernel.brain.simulate import CLASS_VALENCE, DESIGNS, PRESETS, Settings, simulate_cohort
from kernel.brain.study import transfer_class_order
from kernel.brain.topography import cell_correlations, cell_map
from kernel.threads import side_by_side

#: Truths of the study; valence amplitudes are relative to those of single clips.
TRUTHS: Mapping[str, Settings] = MappingProxyType(
    {
        "nothing": PRESETS["null"],
        "order drift": PRESETS["order_drift"],
        "clips, no classes": PRESETS["identity_only"],
        "classes, no valence": PRESETS["no_valence"],
        "valence .27": PRESETS["default"],
        "valence .6": replace(PRESETS["default"], valence=0.6 * PRESETS["default"].clips),
        "valence 1": PRESETS["strong_valence"],
    }
)
#: Truths in which EEG carries no valence: a calibrated test rejects in 5 % of these cohorts.
NO_VALENCE = tuple(TRUTHS)[:4]

#: Truths of `replicate`.
REPLICATION_TRUTHS: Mapping[str, Settings] = MappingProxyType(
    {name: TRUTHS[name] for name in ("nothing", "classes, no valence", "valence 1")}
)

#: Truths of `faced_calibration`, all with the sizes of FACED: the share of clips' sd that goes along valence.
FACED_TRUTHS: Mapping[str, FacedSettings] = MappingProxyType(
    {
        "no valence": FacedSettings(),
        "valence .1": FacedSettings(valence=0.1),
        "valence .2": FacedSettings(valence=0.2),
        "valence .3": FacedSettings(valence=0.3),
        "valence .6": FacedSettings(valence=0.6),
        "valence 1": FacedSettings(valence=1.0),
    }
)

_COARSE = {"SEED-V": 20.0, "EmoEEG-MC": 30.0}  # seconds of a window: the tests average over them
_BLOCK = 20  # cohorts stored together
#: A truth and the seeds of a block of its cohorts.
FACED_CALIBRATION_PARTS = tuple(
    f"{truth} | {start}-{start + _BLOCK - 1}" for truth in FACED_TRUTHS for start in range(0, 100, _BLOCK)
)
_ROW = [("seed", "i8"), ("estimator", "U48"), ("null", "U32"), ("value", "f8"), ("p", "f8")]
_SOURCES = (
    "arrays",
    "ratings",
    "stats",
    *(
        f"brain.{name}"
        for name in "calibration cohort components features projection simulate topography".split()
    ),
)
_SCHEMES = {
    "in_sample_fixed": "in-sample r, penalty fixed",
    "in_sample": "in-sample r",
    "leave_one_clip_out": "leave-one-clip-out r",
    "leave_one_emotion_out": "leave-one-emotion-out r",
}
_UNIT_PENALTY = projection.RELATIVE_ALPHAS.index(1.0)  # the mean squared singular value
_NULLS = {
    "free": "free directions",
    "class_constant": "class-constant directions",
    "clips": "clips permuted",
    "emotions": "emotions permuted",
}


def calibrate(
    truths: Mapping[str, Settings | FacedSettings] = TRUTHS,
    *,
    n_cohorts: int = 100,
    n_permutations: int = 99,
    n_subjects: int = 123,
    n_jobs: int = 2,
    random_state: int = 0,
    progress: bool = True,
) -> pd.DataFrame:
    """Run every estimator against every null on simulated cohorts of known truth.

    Positions are the mean human valence of the nine emotions: the best axis there can be. An axis that agrees
    less with people finds less.

    Parameters
    ----------
    truths : mapping of name to Settings or FacedSettings
        What is planted; `TRUTHS`, or `FACED_TRUTHS` for the sizes of real brains.
    n_cohorts : int
        Cohorts per truth; cohort i of every truth has seed ``random_state + i``.
    n_permutations : int
        Members of each null; 99 make p <= .05 an exact 5 % event.
    n_subjects : int
        People per cohort.
    n_jobs : int
        Processes, of one thread each.
    random_state : int
        First seed.
    progress : bool
        Show a progress bar.

    Returns
    -------
    DataFrame
        Columns ``truth``, ``seed``, ``estimator``, ``null``, ``value``, ``p``. Blocks of cohorts are kept in
        the user's cache under a digest of their settings and of the code.
    """
    _check_numbers(n_cohorts, n_permutations)
    source = files.source_digest(*_SOURCES)

    def task(settings: Any, seeds: range) -> tuple[Any, ...]:
        return delayed(_block)(settings, seeds, n_subjects, n_permutations, source)

    return _run_blocks(task, truths, n_cohorts, random_state, n_jobs, progress)


def _run_blocks(
    task: Callable[[Any, range], tuple[Any, ...]],
    truths: Mapping[str, Any],
    n_cohorts: int,
    random_state: int,
    n_jobs: int,
    progress: bool,
) -> pd.DataFrame:
    """One table of what `task` gives for blocks of seeds, sorted by truth and seed."""
    stop = random_state + n_cohorts
    blocks = [
        (truth, range(start, min(start + _BLOCK, stop)))
        for start in range(random_state, stop, _BLOCK)
        for truth in truths
    ]
    tasks = [task(truths[truth], seeds) for truth, seeds in blocks]
    label = f"blocks of {_BLOCK} simulated cohorts"
    done = side_by_side(tasks, n_jobs=n_jobs, label=label, progress=progress)
    parts = [pd.DataFrame(rows).assign(truth=truth) for (truth, _), rows in zip(blocks, done, strict=True)]
    table = pd.concat(parts, ignore_index=True)
    table["truth"] = pd.Categorical(table["truth"], list(truths), ordered=True)
    return table.sort_values(["truth", "seed"], kind="stable", ignore_index=True)


def faced_calibration(part: str) -> pd.DataFrame:
    """Run every test on 20 simulated cohorts of 123 people with the sizes of FACED's components.

    Parameters
    ----------
    part : str
        One of `FACED_CALIBRATION_PARTS`: a truth and a range of seeds, such as ``"valence .6 | 40-59"``.

    Returns
    -------
    DataFrame
        Rows of ``calibrate(FACED_TRUTHS)``; parts can be put together for `rejection_rates`.

    Raises
    ------
    ValueError
        If there is no such part.
    """
    truth, seeds = _truth_and_seeds(part)
    table = calibrate(
        {truth: FACED_TRUTHS[truth]},
        n_cohorts=_BLOCK,
        n_jobs=1,
        random_state=seeds.start,
        progress=False,
    )
    return table.astype({"truth": str})


def _truth_and_seeds(part: str) -> tuple[str, range]:
    if part not in FACED_CALIBRATION_PARTS:
        raise ValueError(f"no part {part!r}; there are {', '.join(FACED_CALIBRATION_PARTS)}")
    truth, _, seeds = part.partition(" | ")
    first = int(seeds.partition("-")[0])
    return truth, range(first, first + _BLOCK)


def axis_power(part: str, axes: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """How often the rule of the ledger finds planted valence, by the axis that it is asked about.

    The rule takes the larger p of two tests that leave emotions out, with and without order removed. In the
    cohorts, those of `faced_calibration`, EEG follows people's valence; an axis that agrees less with people
    finds less.

    Parameters
    ----------
    part : str
        As for `faced_calibration`.
    axes : mapping of str to ndarray, shape (28,)
        Positions of the clips, one value for each emotion.

    Returns
    -------
    DataFrame
        ``truth``, ``axis``, ``cohorts``, and how many of them have p <= .05: ``rejected``.
    """
    truth, seeds = _truth_and_seeds(part)
    emotions, rejected = np.array(FACED_CLIP_EMOTIONS), dict.fromkeys(axes, 0)
    for seed in seeds:
        cohort, _ = simulate_cohort(seed, FACED_TRUTHS[truth], window=30.0)
        trials = trial_features(standardise(cohort)).reshape(len(cohort.subjects), len(emotions), -1)
        views = mean_over_subjects(trials), projection.clip_effects(trials, cohort.order)
        for name, y in axes.items():
            options: dict[str, Any] = {"n_permutations": 199, "random_state": seed}
            rejected[name] += max(projection.track(X, y, emotions, **options).p for X in views) <= 0.05
    rows = [(truth, name, len(seeds), int(count)) for name, count in rejected.items()]
    return pd.DataFrame(rows, columns=["truth", "axis", "cohorts", "rejected"])


def replicate(
    design: str,
    truths: Mapping[str, Settings] = REPLICATION_TRUTHS,
    *,
    n_cohorts: int = 40,
    n_permutations: int = 1000,
    n_jobs: int = 2,
    random_state: int = 0,
    progress: bool = True,
) -> pd.DataFrame:
    """Run the tests of a replication on simulated cohorts of another design, each beside one of FACED's.

    Both cohorts of a seed share the pattern of valence and nothing else. Positions are human valence.

    Parameters
    ----------
    design : str
        ``"SEED-V"`` or ``"EmoEEG-MC"``.
    truths : mapping of name to Settings
        What is planted in both.
    n_cohorts : int
        Pairs of cohorts per truth; pair i of every truth has seed ``random_state + i``.
    n_permutations : int
        Draws of each null; all orders of the emotions where there are no more of them.
    n_jobs : int
        Processes, of one thread each.
    random_state : int
        First seed.
    progress : bool
        Show a progress bar.

    Returns
    -------
    DataFrame
        As of `calibrate`; three tests: the projection on emotions left out, the best of all cells, and the
        order of the classes that weights fitted to FACED's cohort predict.
    """
    if design not in _COARSE:
        raise ValueError(f"design must be one of {', '.join(_COARSE)}, got {design!r}")
    _check_numbers(n_cohorts, n_permutations)
    source = files.source_digest(*_SOURCES, "brain.emoeegmc", "brain.seedv", "brain.study")

    def task(settings: Any, seeds: range) -> tuple[Any, ...]:
        return delayed(_replication)(design, settings, seeds, n_permutations, source)

    return _run_blocks(task, truths, n_cohorts, random_state, n_jobs, progress)


def _check_numbers(n_cohorts: int, n_permutations: int) -> None:
    if n_cohorts < 1 or n_permutations < 19:
        raise ValueError(
            f"n_cohorts must be 1 or more and n_permutations 19 or more (p <= .05 is impossible below), "
            f"got {n_cohorts} and {n_permutations}"
        )


def _replication(
    design: str, settings: Settings, seeds: range, n_permutations: int, source: str
) -> np.ndarray:
    key = files.digest("replication", design, asdict(settings), list(seeds), n_permutations, source)
    options: dict[str, Any] = {"n_permutations": n_permutations, "random_state": 0}
    positions = dict(zip(DESIGNS["FACED"].classes, DESIGNS["FACED"].values, strict=True))

    def compute() -> np.ndarray:
        rows = []
        for seed in seeds:
            faced, _ = simulate_cohort(seed, settings, window=30.0)
            other, _ = simulate_cohort(seed, settings, design=design, window=_COARSE[design])
            X = mean_over_subjects(trial_features(standardise(other)))
            y = np.array([positions[emotion] for emotion in other.emotions])
            tracking = projection.track(X.reshape(len(X), -1), y, other.emotions, **options)
            cells = cell_map(X, y, other.emotions, **options)
            order = transfer_class_order(faced, other, positions, **options).test
            rows += [
                (seed, "leave-one-emotion-out r", _NULLS["emotions"], tracking.r, tracking.p),
                (seed, "best of all cells", _NULLS["emotions"], np.abs(cells.r).max(), cells.p_best),
                (seed, "class order from FACED", "classes permuted", order.observed, order.p),
            ]
        return np.array(rows, dtype=_ROW)

    with threadpool_limits(1):
        return files.load_or_compute("calibration", key, compute)


def rejection_rates(table: pd.DataFrame, *, level: float = 0.05) -> pd.DataFrame:
    """Share of cohorts with p <= level by test and truth, with exact 95 % (Clopper-Pearson) limits.

    Parameters
    ----------
    table : DataFrame
        From `calibrate` or `replicate`.
    level : float
        Nominal level.

    Returns
    -------
    DataFrame
        One row per test and truth: ``estimator``, ``null``, ``truth``, ``rate``, ``low``, ``high``, ``n``.
    """
    rows = []
    for (estimator, null, truth), part in table.groupby(
        ["estimator", "null", "truth"], sort=False, observed=True
    ):
        found = binomtest(int((part["p"] <= level + 1e-12).sum()), len(part))
        limits = found.proportion_ci(0.95, method="exact")
        rows.append(
            {
                "estimator": estimator,
                "null": null,
                "truth": truth,
                "rate": found.statistic,
                "low": limits.low,
                "high": limits.high,
                "n": len(part),
            }
        )
    return pd.DataFrame(rows)


def _block(
    settings: Settings | FacedSettings, seeds: range, n_subjects: int, n_permutations: int, source: str
) -> np.ndarray:
    """Every test on some cohorts, stored: a study that was interrupted goes on where it stopped."""
    key = files.digest("calibration", asdict(settings), list(seeds), n_subjects, n_permutations, source)

    def compute() -> np.ndarray:
        rows = []
        for seed in seeds:
            cohort, _ = simulate_cohort(seed, settings, n_subjects=n_subjects, window=30.0)
            features = trial_features(standardise(cohort)).reshape(n_subjects, 28, -1)
            tests = run_tests(features, cohort.order, n_permutations=n_permutations, random_state=seed)
            rows += [(seed, *test.values()) for test in tests]
        return np.array(rows, dtype=_ROW)

    with threadpool_limits(1):
        return files.load_or_compute("calibration", key, compute)


def run_tests(
    features: np.ndarray, order: np.ndarray, *, n_permutations: int, random_state: int
) -> list[dict[str, Any]]:
    """Every estimator against every null, on the trials of one FACED-like cohort.

    Parameters
    ----------
    features : ndarray, shape (n_subjects, 28, n_features)
        Standardised, none missing.
    order : ndarray, shape (n_subjects, 28)
        Presentation positions.
    n_permutations : int
        Members of each null.
    random_state : int
        Seed.

    Returns
    -------
    list of dict
        ``estimator``, ``null``, ``value``, ``p``.
    """
    emotions = np.array(FACED_CLIP_EMOTIONS)
    code = np.unique(emotions, return_inverse=True)[1]
    by_name = dict(zip(dict.fromkeys(FACED_CLIP_EMOTIONS), CLASS_VALENCE, strict=True))
    y = np.array([by_name[emotion] for emotion in emotions])
    rng = np.random.default_rng(random_state)
    nulls = {
        "free": projection.null_targets(emotions, "free", n_permutations, rng),
        "class_constant": projection.null_targets(emotions, "class_constant", n_permutations, rng),
        "clips": rng.permuted(np.tile(y, (n_permutations, 1)), axis=1),
        "emotions": rng.permuted(np.tile(CLASS_VALENCE, (n_permutations, 1)), axis=1)[:, code],
    }
    targets = np.concatenate([y[None], *nulls.values()])
    X = features.mean(0)
    single, grouped = projection.RidgeFolds(X), projection.RidgeFolds(X, emotions)
    unordered = projection.clip_effects(features, order)

    fixed = projection.RidgeFolds(X, alphas=single.alphas[_UNIT_PENALTY : _UNIT_PENALTY + 1].tolist())
    found = {
        "in_sample_fixed": stats.pearson(fixed.in_sample(targets), targets),
        "in_sample": stats.pearson(single.in_sample(targets), targets),
        "leave_one_clip_out": stats.pearson(single.held_out(targets), targets),
        "leave_one_emotion_out": stats.pearson(grouped.held_out(targets), targets),
    }
    rows = [_textbook(_SCHEMES["in_sample_fixed"], found["in_sample_fixed"][0], 28)]
    for scheme, values in found.items():
        rows += _against(_SCHEMES[scheme], values, nulls)
    without = targets[[0, *range(len(targets) - n_permutations, len(targets))]]  # the data and the last null
    values = stats.pearson(projection.RidgeFolds(unordered, emotions).held_out(without), without)
    rows += _against("leave-one-emotion-out r, order removed", values, {"emotions": nulls["emotions"]})
    surrogate = projection.track_against_order(
        features, order, y, emotions, n_surrogates=n_permutations, random_state=rng
    )
    rows.append(_row("leave-one-emotion-out r", "order surrogates", surrogate.r, surrogate.p))
    cells = np.abs(cell_correlations(X[..., None], targets))[..., 0]
    rows.append(_textbook(f"best of {X.shape[1]} cells", cells[0].max(), 28, alternative="two-sided"))
    rows += _against(f"best of {X.shape[1]} cells", cells.max(1), nulls)
    predicted = single.in_sample(y)
    means = np.array([[values[code == k].mean() for k in range(9)] for values in (predicted, y)])
    rows.append(_textbook("class means, in-sample", float(stats.pearson(*means)), 9))
    scores = features @ single.weights(y)[0]
    r = float(stats.pearson(scores.ravel(), np.tile(y, len(features))))
    rows.append(_textbook("single trials, in-sample", r, scores.size))
    held_out = projection.trial_level(features, y, emotions, n_permutations=n_permutations, random_state=rng)
    rows.append(_row("single trials, held out", _NULLS["emotions"], held_out.observed, held_out.p))
    return rows


def _row(estimator: str, null: str, value: float, p: float) -> dict[str, Any]:
    return {"estimator": estimator, "null": null, "value": float(value), "p": float(p)}


def _textbook(estimator: str, r: float, n: int, alternative: str = "greater") -> dict[str, Any]:
    return _row(estimator, "textbook formula", r, stats.textbook_p(r, n, alternative=alternative))


def _against(estimator: str, values: np.ndarray, nulls: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    """One row per null; `values` holds the observed statistic and then those of each null in turn."""
    rows, start = [], 1
    for null, targets in nulls.items():
        part = values[start : start + len(targets)]
        start += len(targets)
        p = stats.permutation_p(values[0], part, alternative="greater")
        rows.append(_row(estimator, _NULLS[null], values[0], p))
    return rows
