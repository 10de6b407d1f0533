"""How often each test of the projection says yes when the truth is known. Everything here is simulated.

The tables are for the reader: nothing here chooses a test, or touches recorded EEG.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from kernel import checks, stats
from kernel.brain.cohort import Cohort, mean_over_subjects, standardise, trial_features
from kernel.brain.components import FacedSettings
from kernel.brain.designs import CLASS_VALENCE, FACED_CLASSES, FACED_CLIP_EMOTIONS
from kernel.brain.projection import clip_effects, track, track_against_order, trial_level
from kernel.brain.ridge import RELATIVE_ALPHAS, RidgeFolds
from kernel.brain.simulate import Settings, simulate_cohort
from kernel.brain.topography import cell_correlations, cell_map
from kernel.brain.tracking import clip_values, transfer_class_order

Row = tuple[str, str, float, float]  # estimator, null, value, p

#: Truths of `replicate`, by the presets of the simulation.
REPLICATION_TRUTHS = {"nothing": "null", "classes, no valence": "no_valence", "valence 1": "strong_valence"}
#: Truths of `faced_calibration`, all with the sizes of FACED: the share of clips' sd that goes along valence.
FACED_TRUTHS = {"no valence": FacedSettings()} | {
    f"valence {name}": FacedSettings(valence=float(name)) for name in (".1", ".2", ".3", ".6", "1")
}

_COARSE = {"SEED-V": 20.0, "EmoEEG-MC": 30.0}  # seconds of a window: the tests average over them
_BLOCK = 20
#: A truth and the seeds of a block of its cohorts.
FACED_CALIBRATION_PARTS = tuple(
    f"{truth} | {start}-{start + _BLOCK - 1}" for truth in FACED_TRUTHS for start in range(0, 100, _BLOCK)
)
_COLUMNS = ["seed", "estimator", "null", "value", "p"]
_UNIT_PENALTY = RELATIVE_ALPHAS.index(1.0)  # the mean squared singular value
_LEFT_OUT = "leave-one-emotion-out r"
_PERMUTED = "emotions permuted"


def _calibrate(
    settings: Settings | FacedSettings,
    seeds: Iterable[int],
    *,
    n_subjects: int = 123,
    n_permutations: int = 99,
) -> pd.DataFrame:
    """Every estimator against every null on simulated cohorts of known truth, one for each seed."""
    checks.count("n_permutations (p <= .05 is impossible below 19)", n_permutations, 19)
    rows = []
    for seed in seeds:
        cohort, _ = simulate_cohort(seed, settings, n_subjects=n_subjects, window=30.0)
        tests = _run_tests(
            _standard_trials(cohort), cohort.order, n_permutations=n_permutations, random_state=seed
        )
        rows += [(seed, *test) for test in tests]
    return pd.DataFrame(rows, columns=_COLUMNS)


def faced_calibration(part: str) -> pd.DataFrame:
    """Run every estimator against every null on simulated cohorts of known truth.

    A part is one of `FACED_CALIBRATION_PARTS`, such as ``"valence .6 | 40-59"``: a truth and the seeds of its
    cohorts. Positions are the mean human valence of the nine emotions: the best axis there can be. An axis
    that agrees less with people finds less. Of 99 members of a null, p <= .05 is an exact 5 % event. Columns
    are ``seed``, ``estimator``, ``null``, ``value``, ``p`` and ``truth``, for `rejection_rates`.
    """
    truth, seeds = _truth_and_seeds(part)
    return _calibrate(FACED_TRUTHS[truth], seeds).assign(truth=truth)


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
        trials = _standard_trials(cohort)
        views = mean_over_subjects(trials), clip_effects(trials, cohort.order)
        for name, y in axes.items():
            p = [track(X, y, emotions, n_permutations=199, random_state=seed).p for X in views]
            rejected[name] += max(p) <= 0.05
    rows = [(truth, name, len(seeds), int(count)) for name, count in rejected.items()]
    return pd.DataFrame(rows, columns=["truth", "axis", "cohorts", "rejected"])


def replicate(design: str, *, n_cohorts: int = 40, n_permutations: int = 1000) -> pd.DataFrame:
    """Run the tests of a replication on simulated cohorts of another design, each beside one of FACED's.

    `design` is ``"SEED-V"`` or ``"EmoEEG-MC"``. Both cohorts of a seed share the pattern of valence and
    nothing else; cohort i of each of `REPLICATION_TRUTHS` has seed i. Positions are human valence.

    Columns are those of `faced_calibration`; there are three tests: the projection on emotions left
    out, the best of all cells, and the order of the classes that weights fitted to FACED's cohort predict.
    """
    checks.choice("design", design, _COARSE)
    checks.count("n_cohorts", n_cohorts)
    rows = [
        (seed, *test, truth)
        for truth, preset in REPLICATION_TRUTHS.items()
        for seed in range(n_cohorts)
        for test in _replication(preset, seed, design, n_permutations)
    ]
    return pd.DataFrame(rows, columns=[*_COLUMNS, "truth"])


def rejection_rates(table: pd.DataFrame) -> pd.DataFrame:
    """Share of cohorts with p <= .05 by test and truth, with exact 95 % (Clopper-Pearson) limits.

    Columns are ``estimator``, ``null``, ``truth``, ``rate``, ``low``, ``high``, ``n``.
    """
    rows, keys = [], ["estimator", "null", "truth"]
    for names, p in table.groupby(keys, sort=False, observed=True)["p"]:
        share = binomtest(int((p <= 0.05 + 1e-12).sum()), len(p))
        limits = share.proportion_ci(0.95, method="exact")
        rows.append((*names, share.statistic, limits.low, limits.high, len(p)))
    return pd.DataFrame(rows, columns=[*keys, "rate", "low", "high", "n"])


# The tests of one cohort


def _standard_trials(cohort: Cohort) -> np.ndarray:
    """Standardised trials (n_subjects, n_clips, n_features)."""
    trials = trial_features(standardise(cohort))
    return trials.reshape(*trials.shape[:2], -1)


def _replication(preset: str, seed: int, design: str, n_permutations: int) -> list[Row]:
    options: dict[str, Any] = {"n_permutations": n_permutations, "random_state": 0}
    positions = dict(zip(FACED_CLASSES, CLASS_VALENCE, strict=True))
    faced, _ = simulate_cohort(seed, preset, window=30.0)
    other, _ = simulate_cohort(seed, preset, design=design, window=_COARSE[design])
    X = mean_over_subjects(trial_features(standardise(other)))
    y = clip_values(other, positions)
    tracking = track(X, y, other.emotions, **options)
    cells = cell_map(X, y, other.emotions, **options)
    order = transfer_class_order(faced, other, positions, **options).test
    return [
        (_LEFT_OUT, _PERMUTED, tracking.r, tracking.p),
        ("best of all cells", _PERMUTED, abs(cells.r_best), cells.p_best),
        ("class order from FACED", "classes permuted", order.observed, order.p),
    ]


def _run_tests(
    features: np.ndarray, order: np.ndarray, *, n_permutations: int, random_state: int
) -> list[Row]:
    """Every estimator against every null, on the trials of one FACED-like cohort: estimator, null, value, p.

    Features (n_subjects, 28, n_features) are standardised, none missing; order (n_subjects, 28) holds
    presentation positions.
    """
    emotions = np.array(FACED_CLIP_EMOTIONS)
    code = np.unique(emotions, return_inverse=True)[1]
    y = np.array([CLASS_VALENCE[FACED_CLASSES.index(emotion)] for emotion in FACED_CLIP_EMOTIONS])
    rng = np.random.default_rng(random_state)
    nulls = {
        "free directions": rng.standard_normal((n_permutations, len(y))),
        "class-constant directions": rng.standard_normal((n_permutations, len(CLASS_VALENCE)))[:, code],
        "clips permuted": rng.permuted(np.tile(y, (n_permutations, 1)), axis=1),
        _PERMUTED: rng.permuted(np.tile(CLASS_VALENCE, (n_permutations, 1)), axis=1)[:, code],
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
    rows += _against(f"{_LEFT_OUT}, order removed", values, {_PERMUTED: nulls[_PERMUTED]})
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
    return [*rows, ("single trials, held out", _PERMUTED, held_out.observed, held_out.p)]


def _textbook(estimator: str, r: float, n: int, alternative: str = "greater") -> Row:
    return estimator, "textbook formula", float(r), float(stats.textbook_p(r, n, alternative=alternative))


def _against(estimator: str, values: np.ndarray, nulls: Mapping[str, np.ndarray]) -> list[Row]:
    """One row per null; `values` holds the observed statistic and then those of each null in turn."""
    observed, rows = float(values[0]), []
    for null, part in zip(nulls, np.split(values[1:], len(nulls)), strict=True):  # all of one size
        rows.append((estimator, null, observed, stats.permutation_p(observed, part, alternative="greater")))
    return rows
