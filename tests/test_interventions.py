"""Interventions: paired, complete, calibrated where nothing is there, and able to see what is."""

from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest, ttest_1samp

from kernel import stats
from kernel.brain.cohort import Cohort
from kernel.brain.simulate import Settings, simulate_cohort
from kernel.brain.splits import make_split
from kernel.decoding import bank as bank_module
from kernel.decoding import interventions as module
from kernel.decoding.alignment import NAMED, PAPER_ROWS, Alignment
from kernel.decoding.bank import train_bank
from kernel.decoding.effects import (
    Interventions,
    change_contrast,
    combine,
    dose_response,
    family_mean,
    paired_changes,
    paired_t,
    summarise,
)
from kernel.decoding.interventions import (
    DOSES,
    at_level,
    default_values,
    ensemble_with_axis,
    few_subjects,
    mechanism,
    possible_strategies,
    run_cohorts,
    run_interventions,
    wanted_strategies,
)
from kernel.decoding.training import TrainingSpec
from kernel.metrics import balanced_accuracy

QUICK = TrainingSpec(epochs=4, warmup_epochs=1, batch_size=64)
STRATEGIES = [15, 10, "smooth prior", Alignment("regression", 2.0), 24]
OPTIONS = {"recipe": QUICK, "split": "leave_subjects_out", "n_jobs": 1, "progress": False}


@pytest.fixture(scope="module")
def cohort():
    return simulate_cohort(3, Settings(classes=0.08), n_subjects=12, window=10.0)[0]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("bank")


@pytest.fixture(scope="module")
def result(cohort, place):
    return run_interventions(cohort, STRATEGIES, seeds=3, folder=place, **OPTIONS)


@pytest.fixture(scope="module")
def other():
    """A second cohort with other emotions, anger not among them."""
    return simulate_cohort(3, Settings(classes=0.08), design="SEED-V", n_subjects=5)[0]


def synthetic(changes, n_subjects=8, n_classes=3, cohorts=("one",), n_trials=40, rng=None):
    """Interventions with known mean changes: {label: {arm: change}}; 5 seeds, people who differ."""
    rng = rng or np.random.default_rng(0)
    rows, hits, twin = [], [], []
    for name in cohorts:
        people = rng.normal(0, 0.05, n_subjects)[:, None]
        for seed in range(5):
            base = len(rows)
            cells = [("base", "base", 0.0)]
            cells += [(label, arm, arms[arm]) for label, arms in changes.items() for arm in arms]
            for label, arm, change in cells:
                hit = rng.binomial(n_trials, np.clip(0.5 + people + change, 0, 1), (n_subjects, n_classes))
                rows.append(
                    {"cohort": name, "label": label, "arm": arm, "seed": seed, "bacc": hit.mean() / n_trials}
                )
                hits.append(hit.astype(float))
                twin.append(base)
    table = pd.DataFrame(rows).assign(strategy=lambda t: t["label"], family="", strength=1.0, validation=0.0)
    table["number"] = pd.array([pd.NA] * len(table), dtype="Int64")
    table["delta"] = table["bacc"] - table["bacc"].to_numpy()[twin]
    table.loc[table["arm"] == "base", "delta"] = np.nan
    counts = np.full((n_subjects, n_classes), float(n_trials))
    return Interventions(table, tuple(hits), (counts,) * len(hits), np.array(twin))


# The run


def test_every_training_is_there_and_paired_with_its_twin(result):
    table = result.table
    assert len(table) == (3 + 3) + 5 * 3 * 2  # twins of the seeds 0-2 and 1000-1002
    assert set(table["arm"]) == {"base", "true", "placebo"}
    for row, twin in enumerate(result.twin):
        assert table["arm"][twin] == "base" and table["seed"][twin] == table["seed"][row]
        if table["arm"][row] != "base":
            assert table["delta"][row] == pytest.approx(table["bacc"][row] - table["bacc"][twin])
    own = table[table["strategy"] == "data_scaling"]
    assert sorted(own["seed"].unique()) == [1000, 1001, 1002]
    assert table.set_index("label")["number"].dropna().unique().tolist() == [15, 10, 24]
    assert table["label"].str.contains("10 rsa 5").sum() == 6


def test_cohorts_have_permutations_and_people_of_their_own(monkeypatch):
    seen, people = [], []

    def record(cohort, *args, placebo_offset, split, **options):
        seen.append(placebo_offset)
        people.append(split.train.any(1))
        usual = few_subjects(make_split(cohort, "leave_subjects_out"), 3, len(seen) - 1)
        np.testing.assert_array_equal(split.train, usual.train)
        return synthetic({"a": {"true": 0.0, "placebo": 0.0}}, cohorts=(cohort.label,))

    monkeypatch.setattr(module, "run_interventions", record)
    few = {"n_subjects": 12, "split": "leave_subjects_out", "n_jobs": 1, "progress": False}
    run_cohorts(range(2), n_training=3, **few)
    assert seen == [0, 10_000] and (people[0] != people[1]).any()
    _, specs, _ = module._planned(wanted_strategies([15]), [0, 1], QUICK, 10_000)
    alignments = [spec.alignment for spec in specs[2:]]
    assert [a.placebo_seed for a in alignments] == [None, None, 10_000, 10_001]


def test_accuracies_are_those_of_the_bank_and_a_second_run_trains_nothing(cohort, place, result, monkeypatch):
    monkeypatch.setattr(bank_module, "_train_block", None)
    split = make_split(cohort, "leave_subjects_out")
    alignments = [None, PAPER_ROWS[10], replace(PAPER_ROWS[10], placebo_seed=1)]
    specs = [replace(QUICK, seed=1, alignment=a) for a in alignments]
    options = {"valence": default_values(cohort), "baselines": False, "features": False}
    bank = train_bank(specs, cohort, split, folder=place, n_jobs=1, progress=False, **options)
    rows = result.table[(result.table["seed"] == 1) & result.table["label"].isin(["base", "10 rsa 5"])]
    np.testing.assert_allclose(rows["bacc"], bank.bacc())
    _, specs, _ = module._planned(wanted_strategies(STRATEGIES), range(3), QUICK)
    bank = train_bank(specs, cohort, split, folder=place, n_jobs=1, progress=False, **options)
    trained = (result.table["strategy"] != "smooth_prior").to_numpy()  # it changes scores at inference only
    np.testing.assert_allclose(result.table["validation"][trained], bank.bacc("validation")[trained])
    assert any(one.validation[-1] < one.validation.max() for one in bank.checkpoints)
    again = run_interventions(cohort, [15, 10], seeds=np.int64(3), folder=place, **OPTIONS)
    labels = again.table["label"].unique()
    first = result.table[result.table["label"].isin(labels) & (result.table["seed"] < 3)]
    pd.testing.assert_frame_equal(again.table, first.reset_index(drop=True))


def test_transfer_to_another_cohort_tests_each_person_once(cohort, other, place):
    result = run_interventions(cohort, [23, 15], seeds=2, target=other, folder=place, **OPTIONS)
    away = np.flatnonzero(result.table["label"].str.contains("cross"))
    assert all(result.counts[row].shape == (5, 5) and (result.counts[row] > 0).all() for row in away)
    twins = result.table.loc[result.twin[away]]
    assert twins["bacc"].between(0.2, 0.9).all()  # random features and a linear read-out beat .2
    assert summarise(result)["number"].tolist() == [15, 23]
    here = result.table.query("label == '15 regression 0.1' and arm == 'true'")["delta"].mean()
    assert family_mean(result).loc["true", "value"] == pytest.approx(here)
    recorded = Cohort(cohort.data.assign_attrs(simulated=0))
    with pytest.raises(ValueError, match="needs target="):
        run_interventions(recorded, [23], valence=cohort.rating(), **OPTIONS)
    with pytest.raises(
        ValueError, match=r"cross_dataset: bands must agree .* \['alpha'\]; or leave row 23 out"
    ):
        run_interventions(cohort, [23], target=other.select(bands=["alpha"]), **OPTIONS)


def test_strategies_by_number_name_and_strength():
    assert list(wanted_strategies(None)) == [f"{n} {a.strategy} {a.dose:g}" for n, a in PAPER_ROWS.items()]
    assert wanted_strategies(["InfoNCE", "rsa"]) == {"InfoNCE": NAMED["InfoNCE"], "rsa": Alignment("rsa")}
    dosed = wanted_strategies(["rsa", "cka"], strengths={"rsa": (0.5, 1)})
    assert {label: a.dose for label, a in dosed.items()} == {
        "rsa, strength 0.5": 0.5,
        "rsa, strength 1": 1,
        "cka": 1,
    }
    others = {name: (0.5,) for name in ("cka", "rsa")}  # doses of what is not asked for do no harm
    assert list(wanted_strategies(["rsa"], strengths=others)) == ["rsa, strength 0.5"]
    for strategies, strengths, message in (
        ([26], None, "row of the paper's table must be a whole number from 1 to 25, got 26"),
        ([], None, "strategies is empty"),
        (["magic"], None, "strategy must be one of"),
        (["rsa", 11], None, "'rsa' and '11 rsa 1' are the same training"),
        ([Alignment("rsa", placebo_seed=1)], None, "placebos are added here"),
        (["rsa"], (-1,), "strength of 'rsa' must lie in"),
        (["rsa"], {"RSA": (0.1, 5)}, "a strategy of strengths must be one of .*rsa.*; got 'RSA'"),
        (["rsa"], {"rsa": 0.1}, "strengths of 'rsa' must be a list, got 0.1: put it in brackets"),
        (["rsa"], 0.1, "strengths of 'rsa' must be a list, got 0.1"),
    ):
        with pytest.raises(ValueError, match=message):
            wanted_strategies(strategies, strengths)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seeds": [1, 1]}, "seeds holds 1 twice"),
        ({"recipe": replace(QUICK, alignment=Alignment("rsa"))}, "recipe has an alignment of its own"),
        ({"valence": np.ones(28)}, "same for all clips"),
        ({"valence": {"joy": 1.0}}, "valence has nothing for anger, .*: give every one of 9"),
        ({"split": "leave_subject_out"}, "did you mean leave_subjects_out"),
    ],
)
def test_a_run_names_what_is_impossible(cohort, change, message):
    with pytest.raises(ValueError, match=message):
        run_interventions(cohort, [15], **{**OPTIONS, **change})


def test_what_a_cohort_cannot_serve_is_named_with_its_reason(cohort, other):
    possible, refused = possible_strategies(cohort)
    assert list(possible) == list(wanted_strategies(None)) and not refused
    by_class = np.arange(len(cohort.classes))
    possible, refused = possible_strategies(cohort, [13, 14, 17], values=by_class)
    assert list(possible) == ["14 regression 0.5"]
    assert "two or more models" in refused["13 multi_model 0.5"]
    assert "clip information" in refused["17 supcon_clip 0.5"]
    with pytest.raises(ValueError, match="needs valence of two or more models"):
        run_interventions(cohort, [13], seeds=1, valence=by_class, **OPTIONS)
    _, refused = possible_strategies(other, [5, 14], values=np.arange(5.0))
    assert list(refused) == ["5 anger_weighted 0.5"] and "anger" in refused["5 anger_weighted 0.5"]


def test_differences_of_changes_are_paired_by_cohort(rng):
    with_valence = {"a": {"true": -0.15, "placebo": 0.0}, "b": {"true": 0.0, "placebo": 0.0}}
    without = {"a": {"true": 0.0, "placebo": 0.0}, "b": {"true": 0.0, "placebo": 0.0}}
    first, second = (
        combine([synthetic(planted, cohorts=(f"c{i}",), n_trials=400, rng=rng) for i in range(5)])
        for planted in (with_valence, without)
    )
    found = change_contrast(first, second).set_index("label")
    assert found.loc["a", "high"] < 0 and found.loc["a", "value"] == pytest.approx(-0.15, abs=0.03)
    assert found.loc["b", "low"] < 0.01 and found.loc["b", "high"] > -0.01
    assert found.loc["all", "value"] == pytest.approx(found.loc[["a", "b"], "value"].mean())
    with pytest.raises(ValueError, match="same labels and as many cohorts"):
        change_contrast(first, synthetic(without))


def test_recorded_cohorts_get_no_invented_models(cohort):
    r = np.corrcoef(default_values(cohort)[:, 1:], rowvar=False)
    assert r.shape == (14, 14) and r[np.triu_indices(14, 1)].mean() == pytest.approx(0.65, abs=0.05)
    recorded = Cohort(cohort.data.assign_attrs(simulated=0))
    np.testing.assert_array_equal(default_values(recorded)[:, 0], cohort.rating())
    assert default_values(recorded).shape == (28, 1)
    axes = [{name: float(k) ** power for k, name in enumerate(cohort.classes)} for power in (1, 2)]
    backwards = recorded.select(clips=cohort.clips[::-1])
    values = default_values(backwards, axes)
    np.testing.assert_allclose(values[::-1], default_values(recorded, axes))
    # ratings within emotions are the same for both; the rest are positions
    between = [axes[0][name] - axes[1][name] for name in backwards.emotions]
    np.testing.assert_allclose(values[:, 0] - values[:, 1], between)
    assert np.ptp(values[backwards.emotions == cohort.classes[0], 0]) > 0
    assert default_values(cohort, axes).shape == (28, 15)
    generated = Cohort(cohort.data.drop_vars("rating"))  # nothing is known of it
    assert generated.simulated and default_values(generated, axes).shape == (28, len(axes))


# Tests


def test_paired_t_and_equivalence_agree_with_scipy(rng):
    d = rng.normal(0.002, 0.006, 7)
    interval, p = paired_t(d)
    expected = ttest_1samp(d, 0)
    assert p == pytest.approx(expected.pvalue)
    np.testing.assert_allclose(interval[1:], expected.confidence_interval(0.95))
    assert paired_t([0.0, 0, 0])[1] == 1 and paired_t([0.1, 0.1, 0.1])[1] == 0
    result = synthetic({"a": {"true": 0.005, "placebo": 0.0}})
    changes, sides = paired_changes(result)["true"], ((-0.01, "greater"), (0.01, "less"))
    both = [ttest_1samp(changes, margin, alternative=side).pvalue for margin, side in sides]
    assert summarise(result, margin=0.01)["true_same"].item() == pytest.approx(max(both))
    with pytest.raises(ValueError, match="margin must lie in"):
        summarise(result, margin=0)


def test_power_is_the_rate_of_rejection(rng):
    table = summarise(synthetic({"a": {"true": 0.0, "placebo": 0.0}}), margin=0.02)
    sd, power, detectable = table[["sd", "power", "detectable"]].iloc[0]
    for effect, expected in ((0.02, power), (detectable, 0.8)):
        draws = rng.normal(effect, sd, (20_000, 5))
        assert (ttest_1samp(draws, 0, axis=1).pvalue <= 0.05).mean() == pytest.approx(expected, abs=0.012)
    still = synthetic({"a": {"true": 0.0, "placebo": 0.0}})
    still.table["delta"] = still.table["delta"] * 0.0  # nothing moves: the smallest change would be found
    assert summarise(still)["power"].tolist() == [1.0]


def test_the_unit_is_the_cohort_where_there_are_several():
    changes = {label: {"true": -0.05, "placebo": 0.0} for label in "ab"}
    several = synthetic(changes, cohorts=("one", "two", "three"))
    means = paired_changes(several).groupby("cohort")["true"].mean()
    expected = ttest_1samp(means, 0).confidence_interval()
    found = family_mean(several).loc["true"]
    assert tuple(found) == pytest.approx((means.mean(), expected.low, expected.high))
    with pytest.raises(ValueError, match="one subject was tested"):
        family_mean(synthetic(changes, n_subjects=1))
    with pytest.raises(ValueError, match="differences must be two or more numbers, got"):
        paired_t([0.1])


# Summaries


def test_summary_finds_what_was_planted_and_only_that():
    planted = {
        "harms": {"true": -0.10, "placebo": -0.10},
        "specific": {"true": -0.10, "placebo": 0.0},
        "nothing": {"true": 0.0, "placebo": 0.0},
    }
    table = summarise(synthetic(planted, n_trials=400), margin=0.05).set_index("label")
    assert (table.loc[["harms", "specific"], "true_holm"] < 0.05).all()
    assert (table.loc[["harms", "specific"], "true_high"] < 0).all()
    assert table.loc["specific", "beyond_high"] < 0 and table.loc["specific", "beyond_holm"] < 0.05
    assert abs(table.loc["harms", "beyond"]) < 0.02 and table.loc["nothing", "true_same"] < 0.05
    assert table.loc["harms", "true_same"] > 0.5
    np.testing.assert_allclose(table["beyond"], table["true"] - table["placebo"])
    np.testing.assert_allclose(table["n"], 5)
    mean = family_mean(synthetic(planted, n_trials=400))
    assert mean.loc["beyond", "high"] < 0 and mean.loc["beyond", "value"] == pytest.approx(-1 / 30, abs=0.01)


def test_cohorts_are_the_unit_where_there_are_several():
    both = combine([synthetic({"a": {"true": -0.1, "placebo": 0.0}}, cohorts=(f"c{i}",)) for i in range(4)])
    table = summarise(both)
    assert table["n"].tolist() == [4]
    d = paired_changes(both).groupby("cohort")["true"].mean()
    np.testing.assert_allclose(table[["true", "true_low", "true_high"]].iloc[0], paired_t(d)[0])
    np.testing.assert_allclose(
        both.table["delta"],
        both.table["bacc"]
        - both.table["bacc"].to_numpy()[both.twin]
        + np.where(both.table["arm"] == "base", np.nan, 0),
    )
    with pytest.raises(ValueError, match="parts is empty"):
        combine([])


def test_tests_over_seeds_keep_their_level_when_seeds_are_independent(rng):
    null = {f"s{i}": {"true": 0.0, "placebo": 0.0} for i in range(4)}
    result = synthetic(null, cohorts=[f"c{i}" for i in range(60)], n_subjects=4, rng=rng)
    by_label = paired_changes(result).groupby(["cohort", "label"])["beyond"]
    p = by_label.agg(lambda d: paired_t(d)[1]).unstack().to_numpy()
    assert binomtest(int((p <= 0.05).sum()), p.size, 0.05).pvalue > 1e-3
    family = [stats.holm(row).min() <= 0.05 for row in p]
    assert binomtest(sum(family), 60).proportion_ci().low <= 0.05
    harmful = synthetic({"a": {"true": -0.2, "placebo": 0.0}}, n_trials=400, rng=rng)
    assert paired_t(paired_changes(harmful)["beyond"])[1] < 0.05


def test_dose_response_has_the_sign_that_was_planted(rng):
    def curve(slope):
        parts = []
        for dose in (0.1, 0.5, 1.0, 5.0):
            part = synthetic({"rsa": {"true": -slope * dose / 25, "placebo": 0.0}}, n_trials=400, rng=rng)
            part.table["strength"] = np.where(part.table["arm"] == "base", 0, dose)
            part.table["label"] += f" {dose}"
            parts.append(part)
        return dose_response(combine(parts)).set_index("arm")

    down = curve(1.0)
    assert down.loc["true", "high"] < 0 and down.loc["true", "rho"] < -0.5
    assert list(down.loc["true", "curve"]) == [0.1, 0.5, 1.0, 5.0]
    assert down.loc["placebo", "low"] < 0 < down.loc["placebo", "high"]
    with pytest.raises(ValueError, match="has 1 strengths"):
        dose_response(synthetic({"rsa": {"true": 0.0, "placebo": 0.0}}))
    assert set(DOSES) <= {a.strategy for a in PAPER_ROWS.values()}


# Regimes


def test_few_subjects_are_training_subjects_of_the_split(cohort):
    split = make_split(cohort, "leave_subjects_out")
    small = few_subjects(split, 3, 1)
    assert small.train.any(1).sum() == 3 and not (small.train & ~split.train).any()
    np.testing.assert_array_equal(small.test, split.test)
    assert not np.array_equal(small.train, few_subjects(split, 3, 2).train)
    with pytest.raises(ValueError, match="n must be a whole number from 1 to"):
        few_subjects(split, 99)


@pytest.mark.parametrize(
    ("axis", "level", "changed"),
    [
        ("subjects", 4, {"n_training": 4}),
        (
            "signal",
            0.5,
            {"preset": Settings(valence=Settings().valence / 2, classes=0.04, clips=Settings().clips / 2)},
        ),
        ("epochs", 6, {"recipe": replace(module.RECIPE, epochs=6, warmup_epochs=1)}),
    ],
)
def test_levels_change_what_they_name_and_nothing_else(axis, level, changed):
    usual = Settings(classes=0.08)
    assert at_level(axis, level, usual) == {"preset": usual, "recipe": module.RECIPE} | changed
    with pytest.raises(ValueError, match="axis must be one of"):
        at_level("people", level)


SCARCE = {
    "preset": Settings(valence=0.06, classes=0.01, clips=0.0),  # valence is nearly all there is to learn
    "strategies": [Alignment("rsa", 1.0)],
    "n_subjects": 40,
    "n_training": 3,
    "seeds": 1,
    **OPTIONS,
    "recipe": TrainingSpec(epochs=60),
}


def test_an_informative_target_helps_three_subjects_and_one_without_information_does_not(
    monkeypatch, tmp_path
):
    # both share their cohorts and the trainings without a target
    monkeypatch.setattr(module, "simulate_cohort", cache(simulate_cohort))
    true = paired_changes(run_cohorts(range(5), folder=tmp_path, **SCARCE))

    def permuted(cohort):
        values = default_values(cohort)  # in an order that has nothing to do with emotions
        return np.random.default_rng(int(abs(values[0, 0]) * 1e6)).permutation(values)

    monkeypatch.setattr(module, "default_values", permuted)
    moved = paired_changes(run_cohorts(range(5), folder=tmp_path, **SCARCE))
    # by chance all of 5 rise in 1 of 32 cases
    assert (true["true"] > 0).all() and true["beyond"].mean() > 0.01
    assert paired_t(true["true"])[1] < 0.05
    assert (moved["true"] > 0).sum() <= 3 and moved["true"].mean() < true["true"].mean() - 0.01
    assert paired_t(moved["beyond"])[1] > 0.01


# Mechanism and ensembles


def test_relational_alignment_moves_the_class_means_and_its_placebo_does_not(cohort):
    table = mechanism(
        cohort, [Alignment("rsa", 5.0)], seeds=3, **{**OPTIONS, "recipe": replace(QUICK, epochs=10)}
    )
    assert table["arm"].tolist() == ["base"] * 3 + ["true"] * 3 + ["placebo"] * 3
    np.testing.assert_array_equal(table.loc[table["arm"] == "base", "d_class_pc1"], 0)
    change = table.groupby("arm")["d_class_pc1"].mean()
    assert change["true"] > 0.1 and change["true"] > change["placebo"] + 0.1
    assert table[["class_pc1", "residual"]].stack().between(0, 1).all()


def test_values_are_paired_with_classes_by_name(cohort, place):
    asked = {"seeds": 1, "folder": place, **OPTIONS}
    values = dict(zip(cohort.classes, np.arange(9.0) ** 2, strict=True))
    backwards = dict(reversed(values.items()))
    expected, *tables = (
        run_interventions(cohort, [14], valence=valence, **asked).table
        for valence in (list(values.values()), backwards, pd.Series(backwards))
    )
    for table in tables:
        pd.testing.assert_frame_equal(table, expected)
    in_their_order = run_interventions(cohort, [14], valence=list(backwards.values()), **asked).table
    assert not in_their_order["bacc"].equals(expected["bacc"])


def test_what_a_mechanism_cannot_judge_is_missing_or_refused_before_training(cohort, monkeypatch):
    by_class = dict(zip(cohort.classes, np.arange(9.0), strict=True))
    asked = {"seeds": 1, **OPTIONS}
    table = mechanism(cohort, [14], valence=by_class, **asked)
    assert table["class_pc1"].between(0, 1).all() and table[["residual", "d_held_out"]].isna().all(axis=None)
    # the clips' numbers, and not their places, pair values with trials
    turned, values = cohort.select(clips=cohort.clips[::-1]), cohort.rating()
    bank = train_bank([replace(QUICK, seed=0)], turned, "leave_subjects_out", n_jobs=1, progress=False)
    by_clip = pd.Series(values, cohort.clips)
    np.testing.assert_array_equal(module._split_and_values(turned, None, by_clip)[1], values[::-1])
    mine = mechanism(turned, [14], valence=values[::-1], **asked)
    by_number = bank.residual_alignment([0], values[np.argsort(cohort.clips)], n_null=1)
    assert mine["residual"][0] == pytest.approx(by_number.selected[0])
    monkeypatch.setattr(bank_module, "_train_blocks", None)
    few = cohort.select(clips=[1, 2, 4, 5, 7, 8, 10, 13, 17, 20, 23, 26])
    with pytest.raises(ValueError, match="half of these may leave 1 contrasts"):
        mechanism(few, [14], **asked)
    with pytest.raises(ValueError, match="holds 1 subject: an interval over subjects needs two"):
        ensemble_with_axis(cohort.select(subjects=cohort.subjects[:5]), Alignment("rsa"), recipe=QUICK)


def test_members_added_to_an_ensemble(cohort):
    split = make_split(cohort, "leave_subjects_out")
    options = {"valence": default_values(cohort), "baselines": False, "features": False}
    strategy = Alignment("distance_ce", 5.0)
    table = ensemble_with_axis(
        cohort,
        strategy,
        n_base=3,
        n_added=(1, 6),
        split=split,
        recipe=QUICK,
        n_jobs=1,
        progress=False,
    )
    assert table["kind"].tolist() == ["true", "placebo", "base"] * 2
    for count, kind, bacc in table[["added", "kind", "bacc"]].itertuples(index=False):
        added = range(3, 3 + count)
        alignments = {"true": [strategy] * count, "base": [None] * count}
        alignments["placebo"] = [replace(strategy, placebo_seed=seed) for seed in added]
        specs = [replace(QUICK, seed=seed) for seed in range(3)]
        specs += [replace(QUICK, seed=s, alignment=a) for s, a in zip(added, alignments[kind], strict=True)]
        bank = train_bank(specs, cohort, split, n_jobs=1, progress=False, **options)
        P, y, _ = bank.test_probabilities()
        assert bacc == pytest.approx(balanced_accuracy(y, P.mean(0).argmax(-1)))
    assert table.loc[table["added"] == 6, "bacc"].nunique() == 3
    assert (table["low"] <= table["gain"]).all() and (table["gain"] <= table["high"]).all()
    with pytest.raises(ValueError, match="n_base must be a whole number of 2 or more"):
        ensemble_with_axis(cohort, Alignment("rsa"), n_base=1)


def test_workers_elsewhere_get_the_folder_that_the_caller_means(tmp_path, monkeypatch):
    class Told(Exception):
        pass

    def told(jobs, **_):
        raise Told(*{str(options["folder"]) for _, _, options in jobs})

    monkeypatch.setattr(module, "side_by_side", told)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Told, match=str(tmp_path / "kept")):
        run_cohorts([0], "null", [11], folder="kept")
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file/kept"):  # before anything is trained
        run_cohorts([0], "null", [11], folder="file/kept")
