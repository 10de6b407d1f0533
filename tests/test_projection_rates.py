"""The calibration study: it agrees with single tests and separates truths."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import beta, pearsonr

from kernel.audit import projection_rates
from kernel.audit.material import Material
from kernel.audit.projection_rates import FACED_TRUTHS, _calibrate, _run_tests, rejection_rates
from kernel.audit.tables import TABLES
from kernel.brain.cohort import cohort_tensor, standardise, trial_features
from kernel.brain.designs import CLASS_VALENCE, FACED_CLIP_EMOTIONS
from kernel.brain.projection import track
from kernel.brain.ridge import RidgeFolds
from kernel.brain.simulate import PRESETS, simulate_cohort

SMALL = {"n_permutations": 39, "n_subjects": 40}
VERDICT = ("leave-one-emotion-out r", "emotions permuted")
NO_ORDER = ("leave-one-emotion-out r, order removed", "emotions permuted")
DRIFT = replace(PRESETS["order_drift"], drift=4 * PRESETS["order_drift"].drift)


def rates_of(truths, n_cohorts=8, **options):
    tables = [
        _calibrate(settings, range(n_cohorts), **(SMALL | options)).assign(truth=truth)
        for truth, settings in truths.items()
    ]
    return rejection_rates(pd.concat(tables)).set_index(["estimator", "null", "truth"])["rate"]


def test_finds_what_is_planted():
    rates = rates_of({"nothing": PRESETS["null"], "valence 1": PRESETS["strong_valence"]})
    assert rates[*VERDICT, "valence 1"] >= 0.75 and rates[*VERDICT, "nothing"] <= 0.25
    for estimator in ("in-sample r, penalty fixed", "best of 160 cells"):
        assert rates[estimator, "textbook formula", "nothing"] == 1
    assert rates["best of 160 cells", "emotions permuted", "nothing"] <= 0.25


def test_drift_along_the_session_fools_the_plain_test_and_not_the_one_without_order():
    rates = rates_of({"drift": DRIFT}, 20, n_permutations=19)
    assert rates[*VERDICT, "drift"] >= 0.3
    # 6 or more of 20 at a nominal rate have probability .0003
    for test in (NO_ORDER, (VERDICT[0], "order surrogates")):
        assert rates[*test, "drift"] < 6 / 20


def test_at_the_sizes_of_faced_valence_is_found_where_planted_and_not_elsewhere():
    rates = rates_of({name: FACED_TRUTHS[name] for name in ("no valence", "valence .6")})
    for test in (VERDICT, NO_ORDER):
        # three or more of eight at a nominal rate have probability .006
        assert rates[*test, "valence .6"] == 1 and rates[*test, "no valence"] <= 2 / 8
    assert rates["best of 150 cells", "emotions permuted", "no valence"] <= 2 / 8


def test_a_rate_has_the_exact_binomial_interval():
    p = np.r_[np.full(3, 0.05), np.full(17, 0.06)]
    table = pd.DataFrame({"estimator": "e", "null": "n", "truth": "t", "p": p})
    row = rejection_rates(table).iloc[0]
    assert row["rate"] == 0.15 and row["n"] == 20
    limits = [beta.ppf(0.025, 3, 18), beta.ppf(0.975, 4, 17)]
    assert row[["low", "high"]].tolist() == pytest.approx(limits)


def test_every_test_is_what_a_user_would_run(monkeypatch):
    asked = []
    held_out = RidgeFolds.held_out
    monkeypatch.setattr(RidgeFolds, "held_out", lambda self, Y: asked.append(Y) or held_out(self, Y))
    cohort, _ = simulate_cohort(3, "strong_valence", n_subjects=20, window=30.0)
    standard = standardise(cohort)
    trials = trial_features(standard).reshape(20, 28, -1)
    rows = _run_tests(trials, cohort.order, n_permutations=19, random_state=0)
    rows = pd.DataFrame(rows, columns=["estimator", "null", "value", "p"]).set_index(["estimator", "null"])
    assert rows.index.is_unique and rows["p"].between(0, 1).all()
    # two nulls take clips one by one, two take emotions as wholes
    free, constant, clips, emotions = np.split(asked[0][1:], 4)
    y, code = asked[0][0], np.unique(FACED_CLIP_EMOTIONS, return_inverse=True)[1]
    spread = [[np.ptp(t[:, code == k], axis=1).max() for k in range(9)] for t in (free, clips)]
    assert np.min(spread) > 0
    np.testing.assert_array_equal(np.sort(clips), np.broadcast_to(np.sort(y), clips.shape))
    for target in (*constant, *emotions):
        np.testing.assert_allclose(target, target[np.unique(code, return_index=True)[1]][code])
    by_name = dict(zip(dict.fromkeys(FACED_CLIP_EMOTIONS), CLASS_VALENCE, strict=True))
    X, y = cohort_tensor(standard), np.array([by_name[emotion] for emotion in FACED_CLIP_EMOTIONS])
    for scheme, name in {
        "in_sample": "in-sample r",
        "leave_one_clip_out": "leave-one-clip-out r",
        "leave_one_emotion_out": "leave-one-emotion-out r",
    }.items():
        expected = track(X, y, FACED_CLIP_EMOTIONS, scheme=scheme, n_permutations=20).r
        assert rows.loc[name, "value"].to_numpy() == pytest.approx(expected)
    best = max((pearsonr(column, y) for column in X.reshape(28, -1).T), key=lambda test: abs(test.statistic))
    cell = rows.loc[("best of 160 cells", "textbook formula")]
    assert cell.tolist() == pytest.approx([abs(best.statistic), best.pvalue])


def test_a_part_at_the_sizes_of_faced_names_its_truth_and_seeds(monkeypatch):
    parts = projection_rates.FACED_CALIBRATION_PARTS
    assert len(parts) == 5 * len(FACED_TRUTHS) and "valence .6 | 40-59" in parts
    asked = []
    monkeypatch.setattr(
        projection_rates, "_calibrate", lambda *told: asked.append(told) or pd.DataFrame({"p": [1]})
    )
    assert projection_rates.faced_calibration("valence .6 | 40-59")["truth"].tolist() == ["valence .6"]
    assert asked == [(FACED_TRUTHS["valence .6"], range(40, 60))]
    monkeypatch.setattr(projection_rates, "_BLOCK", 2)
    sizes = [3, 3, 3, 3, 4, 3, 3, 3, 3]
    axes = {"people": np.repeat(CLASS_VALENCE, sizes), "none": np.repeat(range(9), sizes)}
    power = projection_rates.axis_power("valence .6 | 0-19", axes)
    assert power["cohorts"].tolist() == [2, 2] and power["rejected"][0] >= power["rejected"][1]


def test_stored_rates_count_what_each_test_rejects(monkeypatch):
    part = projection_rates.FACED_CALIBRATION_PARTS[0]
    rows = [(0, "r", "null", 0.2, 0.05), (1, "r", "null", 0.4, 0.5), (2, "best", "null", 0.3, 0.01)]
    runs = pd.DataFrame(rows, columns=["seed", "estimator", "null", "value", "p"]).assign(truth="planted")
    monkeypatch.setattr(projection_rates, "faced_calibration", lambda _: runs)
    table = TABLES["calibration"].compute(None, part).set_index("estimator")
    assert table.loc["r", ["cohorts", "rejected"]].tolist() == [2, 1] and table.loc["best", "rejected"] == 1
    assert table.loc["r", "value"] == pytest.approx(0.3) and (table["truth"] == "planted").all()
    asked = []
    monkeypatch.setattr(projection_rates, "axis_power", lambda *told: asked.append(told))
    names = ["class ratings", "language model", "second model"]
    TABLES["power_of_axes"].compute(
        Material(None, pd.DataFrame(np.ones((28, 4)), columns=[*names, "x"])), part
    )
    assert asked[0][0] == part and list(asked[0][1]) == names


@pytest.mark.parametrize("design", ["SEED-V", "EmoEEG-MC"])
def test_a_replication_finds_what_both_cohorts_share_and_nothing_where_there_is_nothing(design, monkeypatch):
    people = {"EmoEEG-MC": 20, "SEED-V": 12, "FACED": 40}

    def fewer(*arguments, design="FACED", **options):
        return simulate_cohort(*arguments, design=design, n_subjects=people[design], **options)

    monkeypatch.setattr(projection_rates, "simulate_cohort", fewer)
    table = projection_rates.replicate(design, n_cohorts=6, n_permutations=39)
    assert len(table) == 3 * 3 * 6 and table["p"].between(0, 1).all()
    rates = rejection_rates(table).set_index(["estimator", "truth"])["rate"]
    # three or more of six by chance: 2 in 1,000
    assert rates["class order from FACED", "valence 1"] >= 3 / 6
    for estimator in table["estimator"].unique():
        assert rates[estimator, "nothing"] <= 2 / 6 and rates[estimator, "classes, no valence"] <= 2 / 6


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: projection_rates.replicate("SEED-V", n_cohorts=0), "n_cohorts must be .* 1 or more, got 0"),
        (lambda: _calibrate(PRESETS["null"], range(2), n_permutations=10), "19 or more, got 10"),
        (lambda: projection_rates.replicate("FACED"), "design must be one of SEED-V, EmoEEG-MC; got 'FACED'"),
        (lambda: projection_rates.faced_calibration("valence .6"), r"part must be one of no valence \| 0-19"),
    ],
)
def test_errors_name_the_value_and_the_cure(call, message):
    with pytest.raises(ValueError, match=message):
        call()
