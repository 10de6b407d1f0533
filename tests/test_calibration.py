"""The calibration study: it agrees with single tests, separates truths, and goes on after an interruption."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
from scipy.stats import beta, pearsonr

from kernel.brain import calibration
from kernel.brain.calibration import (
    FACED_CALIBRATION_PARTS,
    FACED_TRUTHS,
    TRUTHS,
    calibrate,
    faced_calibration,
    rejection_rates,
    run_tests,
)
from kernel.brain.cohort import FACED_CLIP_EMOTIONS, cohort_tensor, standardise, trial_features
from kernel.brain.projection import track
from kernel.brain.simulate import CLASS_VALENCE, PRESETS, simulate_cohort

SMALL = {"n_cohorts": 8, "n_permutations": 39, "n_subjects": 40, "n_jobs": 1, "progress": False}
VERDICT = ("leave-one-emotion-out r", "emotions permuted")


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(calibration, "_BLOCK", 4)
    return calibrate({name: TRUTHS[name] for name in ("nothing", "valence 1")}, **SMALL)


def rate(rates, test, truth):
    rows = rates[(rates["estimator"] == test[0]) & (rates["null"] == test[1]) & (rates["truth"] == truth)]
    return rows["rate"].item()


def test_finds_what_is_planted_and_shows_who_is_fooled(small):
    rates = rejection_rates(small)
    assert rate(rates, VERDICT, "valence 1") >= 0.75
    assert rate(rates, VERDICT, "nothing") <= 0.25
    assert rate(rates, ("in-sample r, penalty fixed", "textbook formula"), "nothing") == 1
    assert rate(rates, ("best of 160 cells", "textbook formula"), "nothing") == 1
    assert rate(rates, ("best of 160 cells", "emotions permuted"), "nothing") <= 0.25
    assert (rates["n"] == 8).all() and len(rates) == 2 * len(small.query("truth == 'nothing' and seed == 0"))


def test_drift_along_the_session_fools_the_plain_test_and_not_the_one_without_order():
    drift = replace(PRESETS["order_drift"], drift=4 * PRESETS["order_drift"].drift)
    rates = rejection_rates(calibrate({"drift": drift}, **(SMALL | {"n_cohorts": 40})))
    assert rate(rates, VERDICT, "drift") >= 0.3
    # 8 or more of 40 at a nominal rate have probability .001
    assert rate(rates, ("leave-one-emotion-out r, order removed", VERDICT[1]), "drift") < 8 / 40
    assert rate(rates, ("leave-one-emotion-out r", "order surrogates"), "drift") < 8 / 40


def test_a_rate_has_the_exact_binomial_interval():
    p = np.r_[np.full(3, 0.05), np.full(17, 0.06)]
    table = pd.DataFrame({"estimator": "e", "null": "n", "truth": "t", "p": p})
    row = rejection_rates(table).iloc[0]
    assert row["rate"] == 0.15
    assert row["low"] == pytest.approx(beta.ppf(0.025, 3, 18)) and row["high"] == pytest.approx(
        beta.ppf(0.975, 4, 17)
    )


def test_every_test_is_what_a_user_would_run():
    cohort, _ = simulate_cohort(3, "strong_valence", n_subjects=40, window=30.0)
    standard = standardise(cohort)
    features = trial_features(standard).reshape(40, 28, -1)
    rows = pd.DataFrame(run_tests(features, cohort.order, n_permutations=39, random_state=0))
    assert not rows.duplicated(["estimator", "null"]).any()
    assert rows["p"].between(0, 1).all()
    by_name = dict(zip(dict.fromkeys(FACED_CLIP_EMOTIONS), CLASS_VALENCE, strict=True))
    y = np.array([by_name[emotion] for emotion in FACED_CLIP_EMOTIONS])
    X = cohort_tensor(standard)
    for scheme, name in {
        "in_sample": "in-sample r",
        "leave_one_clip_out": "leave-one-clip-out r",
        "leave_one_emotion_out": "leave-one-emotion-out r",
    }.items():
        expected = track(X, y, FACED_CLIP_EMOTIONS, scheme=scheme, n_permutations=20).r
        found = rows.loc[rows["estimator"] == name, "value"]
        assert found.to_numpy() == pytest.approx(expected)
    cell = rows[rows["null"].eq("textbook formula") & rows["estimator"].eq("best of 160 cells")].iloc[0]
    r = [pearsonr(column, y) for column in X.reshape(28, -1).T]
    best = max(r, key=lambda found: abs(found.statistic))
    assert cell["value"] == pytest.approx(abs(best.statistic))
    assert cell["p"] == pytest.approx(best.pvalue)


def test_an_interrupted_study_goes_on_and_gives_the_same(small, monkeypatch):
    monkeypatch.setattr(calibration, "simulate_cohort", lambda *a, **k: pytest.fail("computed again"))
    again = calibrate({name: TRUTHS[name] for name in ("nothing", "valence 1")}, **SMALL)
    pd.testing.assert_frame_equal(again, small)


def test_truths_without_valence_have_none():
    assert all(TRUTHS[name].valence == 0 for name in calibration.NO_VALENCE)
    assert [TRUTHS[name].valence for name in list(TRUTHS)[4:]] == pytest.approx(
        [PRESETS["default"].valence, 0.018, PRESETS["strong_valence"].valence]
    )


def test_at_the_sizes_of_faced_valence_is_found_where_planted_and_not_elsewhere():
    truths = {name: FACED_TRUTHS[name] for name in ("no valence", "valence .6")}
    rates = rejection_rates(calibrate(truths, **SMALL))
    for test in (VERDICT, ("leave-one-emotion-out r, order removed", VERDICT[1])):
        # three or more of eight at a nominal rate have probability .006
        assert rate(rates, test, "valence .6") == 1 and rate(rates, test, "no valence") <= 2 / 8
    assert rate(rates, ("best of 150 cells", "emotions permuted"), "no valence") <= 2 / 8


def test_parts_of_the_calibration_at_the_sizes_of_faced_are_those_of_the_whole(monkeypatch):
    monkeypatch.setattr(calibration, "calibrate", partial(calibrate, n_permutations=19, n_subjects=8))
    monkeypatch.setattr(calibration, "_BLOCK", 2)
    monkeypatch.setattr(calibration, "FACED_CALIBRATION_PARTS", ("valence .6 | 2-3",))
    part = faced_calibration("valence .6 | 2-3")
    assert set(part["seed"]) == {2, 3} and (part["truth"] == "valence .6").all()
    options = SMALL | {"n_permutations": 19, "n_subjects": 8, "n_cohorts": 4}
    whole = calibrate({"valence .6": FACED_TRUTHS["valence .6"]}, **options).astype({"truth": str})
    pd.testing.assert_frame_equal(part, whole[whole["seed"] >= 2].reset_index(drop=True))


def test_parts_hold_a_hundred_cohorts_of_each_truth():
    assert len(FACED_CALIBRATION_PARTS) == 5 * len(FACED_TRUTHS)
    assert "valence .6 | 40-59" in FACED_CALIBRATION_PARTS
    with pytest.raises(ValueError, match=r"no part 'valence .6'; there are no valence \| 0-19"):
        faced_calibration("valence .6")


@pytest.mark.parametrize("design", ["SEED-V", "EmoEEG-MC"])
def test_a_replication_finds_what_both_cohorts_share_and_nothing_where_there_is_nothing(design):
    table = calibration.replicate(design, n_cohorts=12, n_permutations=99, n_jobs=1, progress=False)
    assert len(table) == 3 * 3 * 12 and table["p"].between(0, 1).all()
    rates = rejection_rates(table).set_index(["estimator", "truth"])["rate"]
    # six or more of twelve by chance: 2 in 100,000
    assert rates["class order from FACED", "valence 1"] >= 0.5
    for estimator in table["estimator"].unique():
        assert rates[estimator, "nothing"] <= 4 / 12 and rates[estimator, "classes, no valence"] <= 4 / 12


def test_a_replication_names_the_designs_there_are():
    with pytest.raises(ValueError, match="design must be one of SEED-V, EmoEEG-MC, got 'FACED'"):
        calibration.replicate("FACED")


@pytest.mark.parametrize("bad", [{"n_cohorts": 0}, {"n_permutations": 10}])
def test_names_numbers_that_cannot_work(bad):
    with pytest.raises(ValueError, match="19 or more"):
        calibrate(**(SMALL | bad))
