"""The classifier study: its design, its tables against scikit-learn and single calls, levels of its tests."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom, pearsonr

import kernel
from kernel import stats
from kernel.audit import rediscovery_rates
from kernel.audit.projection_rates import rejection_rates
from kernel.brain import ratings
from kernel.brain.cohort import standardise
from kernel.brain.designs import CLASS_VALENCE, FACED_CLASSES
from kernel.brain.simulate import Settings, simulate_cohort
from kernel.brain.splits import make_split, usual_split
from kernel.brain.tracking import project_vaxis
from kernel.decoding import ablation, geometry, rediscovery
from kernel.decoding.bank import noise_bank, train_bank
from kernel.decoding.training import TrainingSpec

FEW = [TrainingSpec(epochs=6, warmup_epochs=1, seed=seed) for seed in range(2)]


@pytest.fixture(scope="module")
def bank(tmp_path_factory):
    cohort = simulate_cohort(0, n_subjects=25, window=10.0)[0]
    split = make_split(cohort, "leave_subjects_out")
    return train_bank(FEW, cohort, split, folder=tmp_path_factory.mktemp("bank"), n_jobs=1, progress=False)


def test_thirty_six_different_trainings_that_share_their_start():
    specs = rediscovery.checkpoint_specs(seed=4)
    assert len(specs) == 36
    assert len({(s.network, s.epochs, s.recipe) for s in specs}) == 36
    assert Counter(s.network for s in specs) == {"mlp": 18, "axial": 18}
    assert {s.seed for s in specs} == {4}
    assert {s.kd for s in specs} == {None, "llm", "random"}
    fewer = rediscovery.fewer_specs(seed=4)
    assert len(fewer) == 24 and all(spec in specs for spec in fewer)


def test_members_are_sorted_and_their_intervals_hold_them(bank):
    table = bank.ranking(n_resamples=200)
    assert len(table) == 4 and table["test"].is_monotonic_decreasing
    assert ((table["test_low"] <= table["test"]) & (table["test"] <= table["test_high"])).all()
    own = table.query("recipe != 'baseline'").sort_values("seed")["test"]
    np.testing.assert_allclose(own, bank.bacc("test"))


@pytest.mark.parametrize(("classes", "clips", "survives"), [(0.0, 0.12, False), (0.12, 0.0, True)])
def test_new_clips_tell_clips_from_classes(classes, clips, survives):
    truth = Settings(valence=0.0, classes=classes, clips=clips, trial=0.1)
    cohort = simulate_cohort(1, truth, n_subjects=30, window=10.0)[0]
    table = rediscovery.split_table(
        cohort, [("cohort_matched", 0), ("leave_clips_out", 0)], FEW[:1], progress=False
    ).query("method == 'lda'").set_index("split")  # fmt: skip
    assert table.loc["cohort_matched", "low"] > 0.3
    assert table.loc["leave_clips_out", "new_clips"] and not table.loc["cohort_matched", "new_clips"]
    assert (table.loc["leave_clips_out", "low"] > 0.3) == survives
    if not survives:
        assert table.loc["leave_clips_out", "bacc"] < 0.25
    assert table.loc["leave_clips_out", "n_subjects"] == len(
        np.unique(np.nonzero(make_split(standardise(cohort), "leave_clips_out").test)[0])
    )


# The axis in what classifiers hold

PEOPLE = dict(zip(FACED_CLASSES, CLASS_VALENCE, strict=True))
# two widths, three recipes of three lengths
NINE = [
    TrainingSpec(epochs=epochs, warmup_epochs=1, learning_rate=3e-3, options=options, recipe=recipe, **more)
    for recipe, options, more in (
        ("wide", {}, {}),
        ("wide, augmented", {}, {"augmentation": "paper"}),
        ("narrow", {"hidden": (32, 12)}, {}),
    )
    for epochs in (2, 3, 5)
]


@pytest.fixture(scope="module")
def nine(tmp_path_factory):
    cohort = simulate_cohort(3, "strong_valence", n_subjects=25, window=10.0)[0]
    folder = tmp_path_factory.mktemp("nine")
    bank = train_bank(NINE, cohort, usual_split(cohort), folder=folder, n_jobs=1, progress=False)
    target = rediscovery.clip_target(cohort, PEOPLE)
    return (
        cohort,
        bank,
        target,
        rediscovery.rediscovery(bank, target, n_permutations=300, n_null=60, random_state=5),
    )


def single(bank, member, target, **options):
    """The residual alignment of one member, by a call of its own."""
    trials, used = bank.trials, bank.rows("validation") | bank.rows("test")
    return geometry.residual_alignment(
        bank.checkpoints[member].features[used].astype(float),
        *(trials[name].to_numpy()[used] for name in ("y", "clip", "subject")), target,
        **{name: trials["subject"][bank.rows(name)].unique() for name in ("validation", "test")}, **options,
    )  # fmt: skip


def test_the_usual_split_is_the_paper_s_where_there_are_its_people():
    few = simulate_cohort(0, n_subjects=25, window=30.0)[0]
    assert usual_split(few).name == "leave_subjects_out"
    assert usual_split(simulate_cohort(0, n_subjects=123, window=30.0)[0]).name == "standard"
    drawn = usual_split(few, "cohort_matched")
    assert drawn.name == "cohort_matched" and usual_split(few, drawn) is drawn
    five = few.select(subjects=few.subjects[:5])
    with pytest.raises(
        ValueError, match=r"test of split 'leave_subjects_out' holds 1 subject: .* add subjects"
    ):
        rediscovery.split_table(five, [("leave_subjects_out", 0)], FEW)


def test_a_target_is_the_axis_between_emotions_and_ratings_within():
    cohort = simulate_cohort(0, n_subjects=5, window=30.0)[0].select(clips=range(28, 0, -1))
    target = rediscovery.clip_target(cohort, PEOPLE)[::-1]  # sorted by clip: the cohort is not
    for emotion, value in PEOPLE.items():
        own = cohort.emotions == emotion
        assert target[own].mean() == pytest.approx(value)
        assert stats.pearson(target[own], cohort.rating()[own]) == pytest.approx(1)


def test_ratings_of_faced_are_known_and_those_of_others_are_not_invented():
    cohort = simulate_cohort(0, n_subjects=5, window=30.0)[0]
    bare = type(cohort)(cohort.data.drop_vars(["rating", "item"]))
    np.testing.assert_allclose(rediscovery.clip_ratings(bare), ratings.load_ratings()["valence_mean"])
    other = simulate_cohort(0, design="SEED-V", n_subjects=5)[0]
    assert rediscovery.clip_ratings(other) is None
    target = rediscovery.clip_target(other, PEOPLE)
    np.testing.assert_allclose(target, [PEOPLE[emotion] for emotion in other.emotions])


def test_the_batched_scores_are_those_of_single_calls(nine):
    _, bank, target, found = nine
    test, trials = bank.rows("test"), bank.trials
    first = np.unique(trials["clip"], return_index=True)[1]
    of_class = [target[trials["y"].to_numpy()[first] == k].mean() for k in range(9)]
    np.testing.assert_allclose(of_class, CLASS_VALENCE)
    assert found.table["width"].tolist() == [64] * 6 + [12] * 3
    for i, row in found.table.iterrows():
        features, y = bank.checkpoints[i].features[test].astype(float), trials["y"].to_numpy()[test]
        between = geometry.class_pc1_alignment(features, y, of_class, n_permutations=300, random_state=5)
        assert (row["class_pc1"], row["class_pc1_p"]) == (pytest.approx(float(between.score)), between.p)
        np.testing.assert_allclose(found.nulls["class_pc1"][:, i], between.null, atol=1e-9)
        inside = single(bank, i, target, n_null=60, random_state=5)
        for name, value, p, null in (
            ("residual", inside.selected, inside.p_selected, inside.null_selected),
            ("held_out", inside.held_out, inside.p_held_out, inside.null_held_out),
        ):
            assert (row[name], row[f"{name}_p"]) == (pytest.approx(float(value)), p)
            np.testing.assert_allclose(found.nulls[name][:, i], null, atol=1e-9)
        np.testing.assert_allclose(found.directions[i], inside.direction, atol=1e-9)
        np.testing.assert_allclose(found.random_targets[i], inside.null_directions(), atol=1e-9)
    np.testing.assert_allclose(found.table["test"], bank.bacc("test"))


def test_random_directions_score_as_a_random_target_would(nine):
    _, bank, _, found = nine
    draws = np.random.default_rng(5).standard_normal((60, 9))
    test = bank.rows("test")
    for i in (0, 8):
        features, y = bank.checkpoints[i].features[test].astype(float), bank.trials["y"].to_numpy()[test]
        for row in (0, 59):
            one = geometry.class_pc1_alignment(features, y, draws[row], n_permutations=1)
            assert found.nulls["random"][row, i] == pytest.approx(float(one.score))


def test_convergence_is_that_of_the_geometry_and_every_row_names_its_data(nine):
    cohort, bank, _, found = nine
    table = found.convergence_table(n_resamples=100)
    assert len(table) == 4 * 5
    for part in (found.table, table):
        assert set(part["data"]) == {cohort.label} and part["simulated"].all()
    rows = table.set_index(["score", "null", "scope"])
    for score, null, drawn in (
        ("class_pc1", "emotions permuted", found.nulls["class_pc1"]),
        ("class_pc1", "random directions", found.nulls["random"]),
        ("held_out", "targets permuted within class", found.nulls["held_out"]),
    ):
        one = rediscovery.convergence(
            found.table[score], bank.bacc("test"), found.table["recipe"], drawn, n_resamples=100
        )
        overall = rows.loc[(rediscovery.SCORES[score], null, "overall")]
        assert (overall["r"], overall["p"]) == (pytest.approx(one.overall), one.p_overall)
        assert overall["percentile"] == pytest.approx(100 * np.mean(one.null["overall"] < one.overall))
        within = rows.loc[(rediscovery.SCORES[score], null, "within recipes")]
        assert (within["low"], within["high"]) == pytest.approx(one.within_interval[1:])
    by_length = table[table["scope"] == "within network and length"]
    assert len(by_length) == 4 and by_length["r"].between(-1, 1).all()


def test_a_target_without_clips_gives_class_scores_and_no_ablation(nine):
    cohort, bank, _, found = nine
    constant = np.array([PEOPLE[emotion] for emotion in cohort.emotions])
    plain = rediscovery.rediscovery(bank, constant, n_permutations=300, n_null=10, random_state=5)
    assert plain.scores == ["class_pc1"] and "held_out" not in plain.table
    np.testing.assert_allclose(plain.table["class_pc1"], found.table["class_pc1"])
    assert set(plain.convergence_table(n_resamples=50)["score"]) == {"class PC1"}
    with pytest.raises(ValueError, match="constant within classes, give rediscovery ratings"):
        ablation.ablation(bank, plain)


@pytest.mark.parametrize(
    ("clips", "left"),
    [([1, 4, 7, 10, 13, 17, 20, 23, 26], 0), ([1, 2, 4, 5, 7, 8, 10, 13, 17, 20, 23, 26], 1)],
)
def test_too_few_clips_name_the_cure(tmp_path, clips, left):
    cohort = simulate_cohort(0, n_subjects=12, window=10.0)[0].select(clips=clips)
    bank = train_bank(FEW[:1], cohort, usual_split(cohort), folder=tmp_path, n_jobs=1, progress=False)
    target = np.arange(len(clips), dtype=float)
    if left:
        with pytest.raises(ValueError, match=f"leave {left} contrasts .* two clips or more in each of four"):
            rediscovery.rediscovery(bank, target, n_null=10)
    else:  # one clip a class: nothing varies within, the class score stands alone
        assert rediscovery.rediscovery(bank, target, n_permutations=50, n_null=10).scores == ["class_pc1"]
    with pytest.raises(ValueError, match=f"{len(clips)} clips of"):
        rediscovery.rediscovery(bank, target[:-1])


# Accuracy against alignment over checkpoints


def checkpoints(rng, within=0.0, between=0.0, n_recipes=12, size=3):
    """Alignment, accuracy and recipe of checkpoints with planted correlations."""
    recipes = np.repeat([f"r{i}" for i in range(n_recipes)], size)
    score, bacc = rng.standard_normal((2, n_recipes * size))
    level = rng.standard_normal((2, n_recipes))
    bacc, level[1] = bacc + within * score, level[1] + between * level[0]
    score, bacc = (x + 3 * one.repeat(size) for x, one in zip((score, bacc), level, strict=True))
    return score, bacc, recipes


def test_convergence_equals_scipy(rng):
    score, bacc, recipes = checkpoints(rng, within=1.0)
    shuffled = rng.permutation(36)
    score, bacc, recipes = score[shuffled], bacc[shuffled], recipes[shuffled]
    keep = np.arange(36) != np.flatnonzero(recipes == "r3")[0]  # recipes of unequal size
    score, bacc, recipes = score[keep], bacc[keep], recipes[keep]
    null = rng.standard_normal((40, 35))
    one = rediscovery.convergence(score, bacc, recipes, null, n_resamples=50)

    def parts(x):
        level = np.array([x[recipes == r].mean() for r in recipes])
        return {"overall": x, "within": x - level, "between": level}

    for name in ("overall", "within", "between"):
        expected = pearsonr(parts(score)[name], parts(bacc)[name])[0]
        drawn = [pearsonr(parts(row)[name], parts(bacc)[name])[0] for row in null]
        assert getattr(one, name) == pytest.approx(expected)
        np.testing.assert_allclose(one.null[name], drawn, atol=1e-10)
        assert getattr(one, f"p_{name}") == (1 + np.sum(drawn >= expected)) / 41
    assert one.within_interval.value == pytest.approx(one.within)


def test_convergence_tells_within_from_between(rng):
    null = rng.standard_normal((99, 36))
    both = rediscovery.convergence(*checkpoints(rng, within=3.0, between=3.0), null)
    recipe = rediscovery.convergence(*checkpoints(rng, between=3.0), null)
    assert both.p_within == both.p_between == 0.01 and both.within_interval.low > 0.5
    assert recipe.p_between == 0.01 and recipe.overall > 0.6
    assert recipe.within < 0.5 and recipe.within_interval.low < recipe.within < recipe.within_interval.high


def test_convergence_null_is_calibrated_where_all_checkpoints_share_one_geometry(rng):
    # scores of one target agree over checkpoints up to a slope: the plain p of 36 points is badly wrong
    p, plain = [], []
    for _ in range(100):
        quality = rng.standard_normal(36)
        slopes = rng.standard_normal(100)  # of the target and of 99 permuted ones
        scores = slopes[:, None] * quality + 0.5 * rng.standard_normal((100, 36))
        recipes = np.repeat(np.arange(12), 3)
        p.append(rediscovery.convergence(scores[0], quality, recipes, scores[1:], n_resamples=2).p_overall)
        plain.append(pearsonr(scores[0], quality, alternative="greater").pvalue)
    assert binom.ppf(5e-4, 100, 0.05) <= np.sum(np.array(p) <= 0.05) <= binom.ppf(1 - 5e-4, 100, 0.05)
    assert np.mean(np.array(plain) < 0.05) > 0.25


def test_convergence_interval_covers_its_value_within_recipes(rng):
    covered = []
    for _ in range(40):
        score, bacc, recipes = checkpoints(rng, within=1.0, n_recipes=6, size=12)
        one = rediscovery.convergence(score, bacc, recipes, score[None], n_resamples=150, random_state=rng)
        covered.append(one.within_interval.low < np.sqrt(0.5) < one.within_interval.high)
    assert binom.cdf(np.sum(covered), 40, 0.95) > 1e-3


@pytest.mark.parametrize(
    ("message", "change"),
    [
        ("null_scores must have shape .n_null, 12", {"null_scores": np.zeros(12)}),
        ("score must have shape", {"score": np.zeros((2, 2))}),
        ("12 checkpoints of 2 recipes", {"recipes": np.arange(12) > 5}),
        ("12 checkpoints of 12 recipes", {"recipes": range(12)}),
        ("score does not vary within any", {"score": np.ones(12)}),
        ("bacc does not vary within any", {"bacc": np.repeat(np.arange(4.0), 3)}),
    ],
)
def test_convergence_says_what_it_cannot_use(rng, message, change):
    score, bacc, null = rng.standard_normal(12), rng.standard_normal(12), rng.standard_normal((5, 12))
    given = {"score": score, "bacc": bacc, "recipes": np.repeat(np.arange(4), 3), "null_scores": null}
    with pytest.raises(ValueError, match=message):
        rediscovery.convergence(**given | change)


# What is lost without a direction


def test_an_ablation_is_that_of_the_geometry(nine):
    cohort, bank, _, found = nine
    lost = ablation.ablation(bank, found, n_best=3, n_directions=40, random_state=2)
    best = np.argsort(-bank.bacc("validation"), kind="stable")[:3]
    assert lost.members.tolist() == best.tolist()
    assert len(lost.table) == 3 * 5 * 2
    assert set(lost.table["data"]) == {cohort.label} and lost.table["simulated"].all()
    y, test, validation = bank.trials["y"].to_numpy(), bank.rows("test"), bank.rows("validation")
    for column, member in enumerate(best):
        Z, (W, b) = bank.checkpoints[member].features.astype(float), bank.checkpoints[member].head
        one = ablation._directional_ablation(
            Z[test], y[test], (W.T, b), found.directions[member], n_directions=40,
            random_targets=found.random_targets[member],
            projector=geometry.basin(Z[validation], y[validation]),
            random_state=np.random.default_rng([2, member]),
        )  # fmt: skip
        own = lost.table[lost.table["checkpoint"] == member].set_index(["control", "part"])
        for kind, name in ablation.CONTROLS.items():
            np.testing.assert_array_equal(lost.null[kind][:, column], one.null[kind])
            for part in ablation.PARTS:
                assert own.loc[(name, part), "z"] == pytest.approx(float(one.z(kind, part)), nan_ok=True)
                assert own.loc[(name, part), "p"] == one.p(kind, part)
        assert own.loc[("isotropic", "whole"), "drop"] == one.drops["whole"]
        assert own.loc[("isotropic", "orthogonal"), "drop"] == one.drops["orthogonal"]


def test_what_is_drawn_for_a_checkpoint_does_not_depend_on_the_others(nine):
    _, bank, _, found = nine
    few, more = (ablation.ablation(bank, found, n_best=n, n_directions=10) for n in (1, None))
    assert len(more.members) == 9
    for none in (0, -1, 1.5):
        with pytest.raises(ValueError, match="n_best must be a whole number of 1 or more, got"):
            ablation.ablation(bank, found, n_best=none, n_directions=10)
    for kind, null in few.null.items():
        np.testing.assert_array_equal(null[:, 0], more.null[kind][:, 0])


def test_the_summary_combines_p_values_that_depend_on_each_other(nine):
    cohort, bank, _, found = nine
    lost = ablation.ablation(bank, found, n_best=None, n_directions=30)
    summary = ablation.ablation_summary(lost).set_index(["control", "part"])
    own = lost.table[(lost.table["control"] == "matched variance") & (lost.table["part"] == "whole")]
    row = summary.loc[("matched variance", "whole")]
    assert row["p"] == pytest.approx(min(1, 2 * own["p"].mean()))
    assert (row["z"], row["z_low"], row["z_high"], row["n"]) == (
        pytest.approx(own["z"].mean()), own["z"].min(), own["z"].max(), 9,
    )  # fmt: skip
    row = summary.loc[("chosen by random targets", "whole")]
    joint = lost.null["random_target"].mean(1)
    assert row["p"] == pytest.approx((1 + np.sum(joint >= row["drop"] - 1e-12)) / (1 + len(joint)))
    assert set(summary["data"]) == {cohort.label}


def test_an_ablation_refuses_another_bank_and_a_single_direction(nine, bank):
    with pytest.raises(ValueError, match="call rediscovery on it"):
        ablation.ablation(bank, nine[3])
    with pytest.raises(ValueError, match="n_directions must be a whole number of 2 or more"):
        ablation.ablation(nine[1], nine[3], n_directions=1)


# The tests on cohorts of known truth

TRUTHS = {"no valence": Settings(valence=0.0, trial=0.08), "valence": Settings(valence=0.06, trial=0.08)}
SHORT = [
    TrainingSpec(epochs=e, warmup_epochs=1, batch_size=256, learning_rate=3e-3, recipe="short")
    for e in (2, 3, 4)
]
SMALL = {"specs": SHORT, "n_subjects": 24, "n_null": 39}
QUICK = {**SMALL, "n_subjects": 12, "n_null": 19}
OURS = [
    ("class PC1, best checkpoint", "emotions permuted"),
    ("residual chosen on the same clips, best checkpoint", "targets permuted within class"),
    ("residual on held-out clips, best checkpoint", "targets permuted within class"),
    ("residual on held-out clips, mean of checkpoints", "targets permuted within class"),
]


def p_values(seeds, **options):
    tables = [
        rediscovery_rates.rediscovery_p_values(settings, seeds, **options).assign(truth=truth)
        for truth, settings in TRUTHS.items()
    ]
    return pd.concat(tables, ignore_index=True)


def test_the_tests_keep_their_level_without_valence_and_find_it_where_it_is():
    n = 8
    table = p_values(range(n), **SMALL)
    assert len(table) == 2 * n * 14 and table.groupby(["truth", "seed"]).ngroups == 2 * n
    shares = rejection_rates(table).set_index(["estimator", "null", "truth"])
    most = binom.ppf(0.9995, n, 0.05)
    for test in OURS:
        assert shares.loc[(*test, "no valence"), "rate"] * n <= most
        assert shares.loc[(*test, "valence"), "rate"] > 0.7
    lost = "accuracy lost without the residual direction"
    assert shares.loc[(lost, "directions, chosen by random targets", "no valence"), "rate"] * n <= most
    # a textbook formula takes six points on one curve for independent ones
    r = ("r of accuracy and class PC1", "textbook formula", "no valence")
    assert shares.loc[r, "rate"] * n > shares.loc[(r[0], "emotions permuted", r[2]), "rate"] * n


# The entry point


def test_one_call_is_its_parts(tmp_path, monkeypatch):
    monkeypatch.setenv("KERNEL_CACHE", str(tmp_path))
    cohort = simulate_cohort(0, "strong_valence", n_subjects=15, window=10.0)[0]
    positions = dict(zip(FACED_CLASSES, CLASS_VALENCE, strict=True))
    few = {"n_permutations": 200, "n_slow": 50}
    found = kernel.map_vaxis_to_eeg(cohort, positions, specs=FEW, progress=False, **few)
    assert found.projection.tracking.p == project_vaxis(cohort, positions, **few).tracking.p
    assert len(found.bank) == 2 and found.bank.split == "leave_subjects_out"
    own = rediscovery.rediscovery(found.bank, rediscovery.clip_target(cohort, positions), n_permutations=200)
    pd.testing.assert_frame_equal(found.rediscovery.table, own.table)
    alone = kernel.map_vaxis_to_eeg(cohort, positions, **few)
    assert alone.bank is None and alone.rediscovery is None
    with pytest.raises(KeyError, match="no position for joy"):
        kernel.map_vaxis_to_eeg(cohort, {k: v for k, v in positions.items() if k != "joy"}, specs=FEW)
    one = kernel.map_vaxis_to_eeg(cohort, positions, specs=FEW[0], split="leave_subjects_out", **few)
    pd.testing.assert_frame_equal(one.rediscovery.table, found.rediscovery.table[:1])


def poor(what):
    """A cohort of nine people whose data lack something."""
    cohort = simulate_cohort(0, "strong_valence", n_subjects=9, window=10.0)[0]
    data, validates = cohort.data.copy(deep=True), usual_split(cohort).validation.any(1)
    if what == "rating":
        data["rating"][3] = np.nan
    if what == "ratings that differ":
        data["rating"][:] = 5.0
    if what == "clips":
        return cohort.select(clips=[1, 2, 4, 5, 7, 8, 10, 13, 17, 20, 23, 26])
    if what == "a clip in validation":
        data["de"].values[validates, 4] = np.nan
    if what == "a whole segment":
        data["de"].values[:, 6, 1:] = np.nan
    return type(cohort)(data)


@pytest.mark.parametrize(
    ("what", "split", "message"),
    [
        ("rating", None, r"clip 4 has no rating of valence: mend it, or cohort.select"),
        ("clips", None, r"clips: half of these may leave 1 contrasts"),
        ("a clip in validation", None, "validation has no trial of clip 5: leave it out"),
        ("", "leave_subject_out", "did you mean leave_subjects_out"),
    ],
)
def test_one_call_refuses_before_any_work_what_it_could_not_judge(what, split, message, monkeypatch):
    positions = dict(zip(FACED_CLASSES, CLASS_VALENCE, strict=True))
    monkeypatch.setattr(rediscovery, "project_vaxis", None)
    with pytest.raises(ValueError, match=message):
        kernel.map_vaxis_to_eeg(poor(what), positions, specs=FEW, split=split)


@pytest.mark.filterwarnings("ignore:.*shorter than 20 s")
@pytest.mark.parametrize(
    ("what", "residual"), [("", True), ("ratings that differ", False), ("a whole segment", True)]
)
def test_one_call_judges_what_there_is(what, residual, tmp_path):
    cohort, positions = poor(what), dict(zip(FACED_CLASSES, CLASS_VALENCE, strict=True))
    target = rediscovery.clip_target(cohort, positions)
    assert target.index.tolist() == list(range(1, 29)) and np.isfinite(target).all()
    split = usual_split(cohort)
    options = {"segment": 20.0, "folder": tmp_path, "n_jobs": 1, "progress": False}
    bank = train_bank(FEW[:1], cohort, split, **options)
    few = {"n_permutations": 50, "n_null": 20}
    scores = rediscovery.rediscovery(bank, target, **few)
    assert ("residual" in scores.table) == residual
    seen = np.unique(bank.trials["clip"])
    assert len(seen) == (27 if what == "a whole segment" else 28)
    pd.testing.assert_frame_equal(
        rediscovery.rediscovery(bank, target[seen].to_numpy(), **few).table, scores.table
    )
    blank = noise_bank(cohort, split, 20.0)
    pd.testing.assert_frame_equal(blank.trials, bank.trials)
    assert rediscovery.rediscovery(blank, target, **few).scores == scores.scores
