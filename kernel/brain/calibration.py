"""How often each test of the projection says yes when the truth is known. Everything here is simulated.

The table is for the reader: nothing here chooses a test, or touches recorded EEG.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, replace
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from joblib import delayed
from scipy.stats import binomtest
from threadpoolctl import threadpool_limits

from kernel import checks, files, stats
from kernel.brain.cohort import FACED_CLIP_EMOTIONS, mean_over_subjects, standardise, trial_features
from kernel.brain.components import FacedSettings
from kernel.brain.projection import clip_effects, null_targets, track, track_against_order, trial_level
from kernel.brain.ridge import RELATIVE_ALPHAS, RidgeFolds
from kernel.brain.simulate import CLASS_VALENCE, DESIGNS, PRESETS, Settings, simulate_cohort
from kernel.brain.study import transfer_class_order
from kernel.brain.topography import cell_correlations, cell_map
from kernel.threads import side_by_side

Row = tuple[str, str, float, float]  # estimator, null, value, p

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
#: Truths of `replicate`.
REPLICATION_TRUTHS: Mapping[str, Settings] = MappingProxyType(
    {name: TRUTHS[name] for name in ("nothing", "classes, no valence", "valence 1")}
)
#: Truths of `faced_calibration`, all with the sizes of FACED: the share of clips' sd that goes along valence.
FACED_TRUTHS: Mapping[str, FacedSettings] = MappingProxyType(
    {"no valence": FacedSettings()}
    | {f"valence {name}": FacedSettings(valence=float(name)) for name in (".1", ".2", ".3", ".6", "1")}
)

_COARSE = {"SEED-V": 20.0, "EmoEEG-MC": 30.0}  # seconds of a window: the tests average over them
_BLOCK = 20  # cohorts stored together
#: A truth and the seeds of a block of its cohorts.
FACED_CALIBRATION_PARTS = tuple(
    f"{truth} | {start}-{start + _BLOCK - 1}" for truth in FACED_TRUTHS for start in range(0, 100, _BLOCK)
)
_ROW = [("seed", "i8"), ("estimator", "U48"), ("null", "U32"), ("value", "f8"), ("p", "f8")]
_UNIT_PENALTY = RELATIVE_ALPHAS.index(1.0)  # the mean squared singular value
_LEFT_OUT = "leave-one-emotion-out r"
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
        Members of each null, 19 or more; 99 make p <= .05 an exact 5 % event.
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
    sizes = {"n_subjects": n_subjects, "n_permutations": n_permutations}
    return over_cohorts(
        _calibration, truths, sizes, n_cohorts, n_jobs=n_jobs, random_state=random_state, progress=progress
    )


def over_cohorts(
    test: Callable[..., Iterable[Row]],
    truths: Mapping[str, Any],
    options: Mapping[str, Any],
    n_cohorts: int,
    *,
    n_jobs: int,
    random_state: int,
    progress: bool,
) -> pd.DataFrame:
    """Rows of ``test(settings, seed, **options)`` for each truth and seed, in blocks that are cached."""
    checks.count("n_cohorts", n_cohorts)
    checks.count("n_permutations (p <= .05 is impossible below 19)", options["n_permutations"], 19)
    stop = random_state + n_cohorts
    starts = range(random_state, stop, _BLOCK)
    blocks = [(name, range(one, min(one + _BLOCK, stop))) for one in starts for name in truths]
    calls = [delayed(_block)(test, truths[name], seeds, dict(options)) for name, seeds in blocks]
    done = side_by_side(
        calls, n_jobs=n_jobs, label=f"blocks of {_BLOCK} simulated cohorts", progress=progress
    )
    parts = [pd.DataFrame(rows).assign(truth=name) for (name, _), rows in zip(blocks, done, strict=True)]
    table = pd.concat(parts, ignore_index=True)
    table["truth"] = pd.Categorical(table["truth"], list(truths), ordered=True)
    return table.sort_values(["truth", "seed"], kind="stable", ignore_index=True)


def _block(
    test: Callable[..., Iterable[Row]], settings: Any, seeds: range, options: dict[str, Any]
) -> np.ndarray:
    """Rows of some cohorts, stored: a study that was interrupted goes on where it stopped."""
    key = files.cache_key(__name__, test.__name__, asdict(settings), list(seeds), options)

    def compute() -> np.ndarray:
        rows = [(seed, *row) for seed in seeds for row in test(settings, seed, **options)]
        return np.array(rows, dtype=_ROW)

    with threadpool_limits(1):
        return files.load_or_compute("calibration", key, compute)


def faced_calibration(part: str) -> pd.DataFrame:
    """Rows of ``calibrate(FACED_TRUTHS)`` for a part, a truth and 20 seeds such as ``"valence .6 | 40-59"``.

    Parts are `FACED_CALIBRATION_PARTS`; together they are for `rejection_rates`.
    """
    truth, seeds = _truth_and_seeds(part)
    options: dict[str, Any] = {"n_jobs": 1, "random_state": seeds.start, "progress": False}
    return calibrate({truth: FACED_TRUTHS[truth]}, n_cohorts=len(seeds), **options).astype({"truth": str})


def _truth_and_seeds(part: str) -> tuple[str, range]:
    truth, _, seeds = checks.choice("part", part, FACED_CALIBRATION_PARTS).partition(" | ")
    first = int(seeds.partition("-")[0])
    return truth, range(first, first + _BLOCK)


def axis_power(part: str, axes: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """How often the rule of the ledger finds planted valence, by the axis that it is asked about.

    The rule takes the larger p of two tests that leave emotions out, with and without order removed. In the
    cohorts, those of `faced_calibration`, EEG follows people's valence; an axis (28,), one value for each
    emotion, that agrees less with people finds less. Rows hold ``truth``, ``axis``, ``cohorts``, and how many
    of them have p <= .05: ``rejected``.
    """
    truth, seeds = _truth_and_seeds(part)
    emotions, rejected = np.array(FACED_CLIP_EMOTIONS), dict.fromkeys(axes, 0)
    for seed in seeds:
        cohort, _ = simulate_cohort(seed, FACED_TRUTHS[truth], window=30.0)
        trials = _trials(cohort)
        views = mean_over_subjects(trials), clip_effects(trials, cohort.order)
        for name, y in axes.items():
            p = [track(X, y, emotions, n_permutations=199, random_state=seed).p for X in views]
            rejected[name] += max(p) <= 0.05
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
    n_permutations : int
        Draws of each null; all orders of the emotions where there are no more of them.
    n_cohorts, n_jobs, random_state, progress
        As for `calibrate`, by pairs of cohorts.

    Returns
    -------
    DataFrame
        As of `calibrate`; three tests: the projection on emotions left out, the best of all cells, and the
        order of the classes that weights fitted to FACED's cohort predict.
    """
    options = {"design": checks.choice("design", design, _COARSE), "n_permutations": n_permutations}
    return over_cohorts(
        _replication, truths, options, n_cohorts, n_jobs=n_jobs, random_state=random_state, progress=progress
    )


def rejection_rates(table: pd.DataFrame, *, level: float = 0.05) -> pd.DataFrame:
    """Share of cohorts with p <= level by test and truth, with exact 95 % (Clopper-Pearson) limits.

    From a table of `calibrate` or `replicate`: ``estimator``, ``null``, ``truth``, ``rate``, ``low``,
    ``high``, ``n``.
    """
    rows, keys = [], ["estimator", "null", "truth"]
    for names, p in table.groupby(keys, sort=False, observed=True)["p"]:
        share = binomtest(int((p <= level + 1e-12).sum()), len(p))
        limits = share.proportion_ci(0.95, method="exact")
        rows.append((*names, share.statistic, limits.low, limits.high, len(p)))
    return pd.DataFrame(rows, columns=[*keys, "rate", "low", "high", "n"])


# The tests of one cohort


def _calibration(
    settings: Settings | FacedSettings, seed: int, *, n_subjects: int, n_permutations: int
) -> list[Row]:
    cohort, _ = simulate_cohort(seed, settings, n_subjects=n_subjects, window=30.0)
    return run_tests(_trials(cohort), cohort.order, n_permutations=n_permutations, random_state=seed)


def _trials(cohort: Any) -> np.ndarray:
    """Standardised trials (n_subjects, n_clips, n_features)."""
    trials = trial_features(standardise(cohort))
    return trials.reshape(*trials.shape[:2], -1)


def _replication(settings: Settings, seed: int, *, design: str, n_permutations: int) -> list[Row]:
    options: dict[str, Any] = {"n_permutations": n_permutations, "random_state": 0}
    positions = dict(zip(DESIGNS["FACED"].classes, DESIGNS["FACED"].values, strict=True))
    faced, _ = simulate_cohort(seed, settings, window=30.0)
    other, _ = simulate_cohort(seed, settings, design=design, window=_COARSE[design])
    X = mean_over_subjects(trial_features(standardise(other)))
    y = np.array([positions[emotion] for emotion in other.emotions])
    tracking = track(X, y, other.emotions, **options)
    cells = cell_map(X, y, other.emotions, **options)
    order = transfer_class_order(faced, other, positions, **options).test
    return [
        (_LEFT_OUT, _NULLS["emotions"], tracking.r, tracking.p),
        ("best of all cells", _NULLS["emotions"], abs(cells.r_best), cells.p_best),
        ("class order from FACED", "classes permuted", order.observed, order.p),
    ]


def run_tests(
    features: np.ndarray, order: np.ndarray, *, n_permutations: int, random_state: int
) -> list[Row]:
    """Every estimator against every null, on the trials of one FACED-like cohort: estimator, null, value, p.

    Features (n_subjects, 28, n_features) are standardised, none missing; order (n_subjects, 28) holds
    presentation positions.
    """
    emotions = np.array(FACED_CLIP_EMOTIONS)
    code = np.unique(emotions, return_inverse=True)[1]
    by_name = dict(zip(dict.fromkeys(FACED_CLIP_EMOTIONS), CLASS_VALENCE, strict=True))
    y = np.array([by_name[emotion] for emotion in emotions])
    rng = np.random.default_rng(random_state)
    nulls = {
        "free": null_targets(emotions, "free", n_permutations, rng),
        "class_constant": null_targets(emotions, "class_constant", n_permutations, rng),
        "clips": rng.permuted(np.tile(y, (n_permutations, 1)), axis=1),
        "emotions": rng.permuted(np.tile(CLASS_VALENCE, (n_permutations, 1)), axis=1)[:, code],
    }
    targets = np.concatenate([y[None], *nulls.values()])
    X = features.mean(0)
    single, grouped = RidgeFolds(X), RidgeFolds(X, emotions)
    fixed = RidgeFolds(X, alphas=[float(single.alphas[_UNIT_PENALTY])])
    r = {
        "in-sample r, penalty fixed": stats.pearson(fixed.in_sample(targets), targets),
        "in-sample r": stats.pearson(single.in_sample(targets), targets),
        "leave-one-clip-out r": stats.pearson(single.held_out(targets), targets),
        _LEFT_OUT: stats.pearson(grouped.held_out(targets), targets),
    }
    rows = [_textbook("in-sample r, penalty fixed", r["in-sample r, penalty fixed"][0], 28)]
    for estimator, values in r.items():
        rows += _against(estimator, values, nulls)
    without = targets[[0, *range(len(targets) - n_permutations, len(targets))]]  # the data and the last null
    unordered = RidgeFolds(clip_effects(features, order), emotions)
    values = stats.pearson(unordered.held_out(without), without)
    rows += _against(f"{_LEFT_OUT}, order removed", values, {"emotions": nulls["emotions"]})
    surrogate = track_against_order(
        features, order, y, emotions, n_surrogates=n_permutations, random_state=rng
    )
    rows.append((_LEFT_OUT, "order surrogates", surrogate.r, surrogate.p))
    cells, best = np.abs(cell_correlations(X[..., None], targets))[..., 0], f"best of {X.shape[1]} cells"
    rows.append(_textbook(best, cells[0].max(), 28, alternative="two-sided"))
    rows += _against(best, cells.max(1), nulls)
    predicted = single.in_sample(y)
    means = np.array([[values[code == k].mean() for k in range(9)] for values in (predicted, y)])
    rows.append(_textbook("class means, in-sample", stats.pearson(*means), 9))
    scores = features @ single.weights(y)[0]
    by_trial = stats.pearson(scores.ravel(), np.tile(y, len(features)))
    rows.append(_textbook("single trials, in-sample", by_trial, scores.size))
    held_out = trial_level(features, y, emotions, n_permutations=n_permutations, random_state=rng)
    return [*rows, ("single trials, held out", _NULLS["emotions"], held_out.observed, held_out.p)]


def _textbook(estimator: str, r: float, n: int, alternative: str = "greater") -> Row:
    return estimator, "textbook formula", float(r), float(stats.textbook_p(r, n, alternative=alternative))


def _against(estimator: str, values: np.ndarray, nulls: Mapping[str, np.ndarray]) -> list[Row]:
    """One row per null; `values` holds the observed statistic and then those of each null in turn."""
    ends = np.cumsum([len(targets) for targets in nulls.values()])[:-1]
    parts = zip(nulls, np.split(values[1:], ends), strict=True)
    observed = float(values[0])
    return [
        (estimator, _NULLS[null], observed, stats.permutation_p(observed, part, alternative="greater"))
        for null, part in parts
    ]
