"""Tables of networks: what they store is what the analyses need, and nothing leaks into them."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from kernel import stats
from kernel.audit import simulated, trainings
from kernel.audit.material import Material
from kernel.audit.stimuli import held_out
from kernel.audit.tables import TABLES
from kernel.brain.cohort import Cohort, segments, standardise
from kernel.brain.simulate import simulate_cohort
from kernel.brain.splits import make_split
from kernel.decoding import ablation, effects, interventions, rediscovery
from kernel.decoding.bank import train_bank
from kernel.decoding.residual import NetworkClassifier
from kernel.decoding.training import TrainingSpec
from kernel.metrics import balanced_accuracy

TINY = TrainingSpec(epochs=3, warmup_epochs=1, batch_size=256, learning_rate=4e-3)
SMALL = {"window_width": 8, "hidden": (16,)}


@pytest.fixture(scope="module")
def axes():
    emotions = simulate_cohort(0, n_subjects=3, window=10.0)[0].emotions
    place = {emotion: float(number) for number, emotion in enumerate(dict.fromkeys(emotions.tolist()))}
    table = pd.DataFrame({"language model": [place[e] for e in emotions]}, index=range(1, 29)).rename_axis(
        "clip"
    )
    return table.assign(**{"second model": -(table["language model"] ** 2)})


def material_of(preset, axes, window=10.0):
    return Material(simulate_cohort(0, preset, window=window)[0], axes)


@pytest.fixture(scope="module")
def material(axes):
    return material_of("strong_valence", axes)


@pytest.fixture(scope="module")
def few(material):
    """Some of the people, from all parts of the standard split."""
    people = material.z.subjects
    some = [*people[:80:5], *people[80:100:4], *people[100::4]]
    return Material(material.cohort.select(subjects=some), material.axes)


@pytest.fixture
def quick(monkeypatch, material):
    """Recipes of seconds instead of minutes, two windows of five seconds instead of ten of one."""
    course = replace(TINY, options=SMALL, n_windows=2)
    monkeypatch.setattr(trainings, "REGIMES", {"means": TINY, "time course": course})
    monkeypatch.setattr(trainings, "STRONGEST", {"means": TINY, "time course": course})
    monkeypatch.setattr(trainings, "POOL_LENGTHS", {"means": (6, 7)})
    monkeypatch.setattr(trainings, "CONTESTANTS", {"means": NetworkClassifier(epochs=4, batch_size=256)})
    names = ("plain", "prototypes of a language model", "random prototypes")
    specs = [replace(TINY, seed=seed, recipe=f"mlp, {name}") for seed, name in enumerate(names)]
    monkeypatch.setattr(trainings, "_checkpoint_specs", lambda regime: specs)
    monkeypatch.setattr(trainings, "CHECKPOINT_PARTS", ("means, mlp, 3",))
    stories = SimpleNamespace(centroids_=np.eye(9), classes_=list(material.z.classes))
    monkeypatch.setattr("kernel.language.construct.story_axis", lambda name, classes: stories)


def test_rows_of_a_training_hold_everybody(material):
    split = make_split(material.z, "standard")
    bank = train_bank([TINY, replace(TINY, seed=1)], material.z, split, n_jobs=1, progress=False)
    rows = trainings._training_rows(bank)
    people = trainings.people_of(rows)
    assert people.shape == (2, 23)
    np.testing.assert_allclose(people.mean(1), bank.bacc("test"), atol=1e-12)
    for column, person in ((0, 100), (22, 122)):
        trials = bank.rows("test") & (bank.trials["subject"] == person).to_numpy()
        called = np.stack([bank.scores(member)[trials].argmax(1) for member in range(2)])
        expected = balanced_accuracy(bank.trials["y"].to_numpy()[trials], called)
        np.testing.assert_allclose(people[:, column], expected)
    interval = trainings.over_people(people[0])
    assert interval.low < interval.value < interval.high


def test_stored_rows_say_what_the_run_said(few, quick):
    values = trainings._alignment_values(few)
    options = {"seeds": [0, 1], "valence": values, "recipe": TINY, "n_jobs": 1, "progress": False}
    run = interventions.run_interventions(few.z, [11, 24], split="standard", **options)
    tables = [trainings.alignment(few, f"means, {number}", seeds=[0, 1]) for number in (11, 24)]
    again = trainings.as_interventions(pd.concat(tables, ignore_index=True))
    summaries = [effects.summarise(result, n_resamples=50) for result in (run, again)]
    names = "label number strategy n true true_low true_high true_p true_holm beyond".split()
    pd.testing.assert_frame_equal(*(table[names] for table in summaries), check_exact=False, atol=1e-9)
    means = [effects.family_mean(result, n_resamples=50) for result in (run, again)]
    pd.testing.assert_frame_equal(*means, atol=1e-9)


def test_checkpoints_of_a_part_get_the_prototypes_of_their_classes(material, monkeypatch):
    names = list(material.z.classes)
    stories = SimpleNamespace(centroids_=np.arange(9.0)[:, None], classes_=sorted(names))
    monkeypatch.setattr("kernel.language.construct.story_axis", lambda name, classes: stories)
    monkeypatch.setattr(trainings, "_train", lambda z, specs, **options: (specs, options["prototypes"]))
    for regime, steps in (("means", {"mlp": 1, "axial": 1}), ("time course", {"mlp": 10, "axial": 5})):
        for network, epochs in (("mlp", 10), ("axial", 8)):
            specs, prototypes = trainings._checkpoint_bank(material, f"{regime}, {network}, {epochs}", None)
            assert {(s.network, s.epochs, s.n_windows) for s in specs} == {(network, epochs, steps[network])}
            assert len({s.recipe for s in specs}) == 6
            assert {name: sorted(names)[int(place)] for name, (place,) in prototypes.items()} == dict(
                zip(names, names, strict=True)
            )
    assert trainings._checkpoint_bank(material, "means, mlp, 10", ["plain"])[1] is None


def test_simulated_cohorts_are_those_that_their_names_say():
    planted, other = simulated._planted("strong_valence 3"), simulated.other_cohort("SEED-V no_valence")
    assert len(planted.classes) == 9 and planted.window == 10.0 and int(planted.data.attrs["seed"]) == 3
    assert len(other.classes) == 5 and other.window == 20.0 and int(other.data.attrs["seed"]) == 0
    assert planted.simulated and other.simulated


@pytest.mark.parametrize(
    ("compute", "part", "options", "columns", "rows"),
    [
        (trainings.doses, "means, rsa", {"seeds": (0,)}, "strength arm bacc", 9),
        (trainings.recipes, "means, emotions, 3", {"seeds": (0,)}, "recipe bacc", 9),
        (trainings.few_people, "means, 4", {"seeds": (0,)}, "people bacc", 9),
        (trainings.axis_shifts, "means", {"seeds": (0,)}, "arm", None),
        (trainings.axis_members, "means", {"added": (2,)}, "", None),
        (trainings.ensembles, "means, seeds", {}, "method bacc low high", None),
        (trainings.comparisons, "means, lengths", {}, "value low high", 2),
        (trainings.comparisons, "means, depths", {}, "value low high", 1),
        (trainings.comparisons, "means, prototypes", {}, "value low high", 1),
        (trainings.headroom, "means, emotions, 3", {}, "single ensemble gain low high", 1),
    ],
)  # fmt: skip
def test_a_table_has_its_rows_and_names_their_regime(few, quick, compute, part, options, columns, rows):
    table = compute(few, part, **options)
    assert set(table["regime"]) == {"means"} and {*columns.split()} <= {*table}
    assert len(table) == rows if rows else len(table) > 1
    numbers = table.select_dtypes("number").drop(columns=["number", "strength"], errors="ignore")
    assert np.isfinite(numbers.to_numpy(dtype=float)).any(0).all()
    for name in {"bacc", "single", "ensemble"} & {*table}:
        assert table[name].dropna().between(0, 1).all()


def test_members_of_other_depths_join_the_ten_and_do_not_replace_them(few, quick, monkeypatch, rng):
    y, subject = np.tile(np.arange(9), 40), np.repeat(np.arange(10), 36)
    drawn, depths = [], []

    def train(z, specs, **options):
        P = np.eye(9)[y] + 8 * rng.random((len(specs), len(y), 9))
        drawn.append(P / P.sum(-1, keepdims=True))
        depths.append({len(spec.options.get("hidden", (128, 64))) for spec in specs})
        return SimpleNamespace(test_probabilities=lambda: (drawn[-1], y, subject))

    monkeypatch.setattr(trainings, "_train", train)
    value = trainings.comparisons(few, "means, depths")["value"].item()
    before, after = (balanced_accuracy(y, P.mean(0).argmax(-1)) for P in (drawn[0], np.concatenate(drawn)))
    assert depths == [{2}, {1, 3}] and [len(P) for P in drawn] == [10, 10]
    assert value == pytest.approx(after - before) and value != 0


def test_shuffling_keeps_the_seconds_of_a_segment_and_their_mean(axes):
    z = standardise(simulate_cohort(1, n_subjects=3, window=1.0)[0])
    mixed = trainings._shuffled(z)
    before, after = (c.de.reshape(3, 28, 3, 10, -1) for c in (z, mixed))
    np.testing.assert_allclose(np.sort(after, 3), np.sort(before, 3))
    np.testing.assert_allclose(segments(mixed).X, segments(z).X, atol=1e-5)
    moved = (before != after).any(-1).mean((0, 1))
    assert (moved > 0.75).all() and moved.mean() == pytest.approx(0.9, abs=0.02)  # one of ten stays by chance
    # channels and bands of a second stay together
    first = after[0, 0, 0, 0]
    assert (before[0, 0, 0] == first).all(1).sum() == 1


@pytest.mark.parametrize("labels", ["emotions", "moments"])
@pytest.mark.parametrize(("preset", "low", "high"), [("strong_valence", 0.2, 1.0), ("null", 0.08, 0.145)])
def test_decoders_find_what_is_there_and_nothing_where_nothing_is(axes, quick, labels, preset, low, high):
    part = f"means, {labels}, seen"
    table = trainings.decoders(material_of(preset, axes), part, seeds=(0,))
    assert low < table["bacc"].item() < high


def test_a_clip_that_is_unseen_is_tested_once_and_never_trained_on(axes, quick, monkeypatch):
    banks = []
    train = trainings._train

    def watched(*args, **kwargs):
        banks.append(train(*args, **kwargs))
        return banks[-1]

    monkeypatch.setattr(trainings, "_train", watched)
    material = material_of("identity_only", axes)
    table = trainings.decoders(material, "means, moments, unseen", seeds=(0,))
    assert len(banks) == len(held_out(material.z.y, material.z.clips)) == 4
    tested = []
    for bank in banks:
        sets = {name: set(bank.trials["clip"][bank.rows(name)]) for name in ("train", "validation", "test")}
        assert not sets["test"] & (sets["train"] | sets["validation"])
        tested += sets["test"]
    assert sorted(tested) == list(range(1, 29))
    # clips differ and emotions do not: what was not seen is not recognised
    assert table["bacc"].item() < 0.16
    assert trainings.decoders(material, "means, moments, seen", seeds=(0,))["bacc"].item() > 0.2


def test_checkpoints_store_what_scores_for_any_axis_need(few, quick):
    material = few
    table = trainings.checkpoints(material, "means, mlp, 3")
    bank, alignment = trainings._checkpoints(material, "means, mlp, 3", None)
    target = rediscovery.clip_target(material.z, material.positions("language model"))
    of_class = np.array([target[material.z.emotions == e].mean() for e in trainings.FACED_CLASSES])
    scores = np.abs(stats.pearson(table[list(trainings.PC1)].to_numpy(), of_class))
    np.testing.assert_allclose(scores, alignment.table["class_pc1"], atol=1e-6)
    np.testing.assert_allclose(table["held_out"], alignment.table["held_out"])
    np.testing.assert_allclose(table[list(trainings.NULLS)].to_numpy().T, alignment.nulls["held_out"])
    np.testing.assert_allclose(table["bacc"], bank.bacc("test"))
    some = trainings.checkpoints(material, "means, mlp, 3", recipes=("prototypes of a language model",))
    pd.testing.assert_frame_equal(some, table[1:2].reset_index(drop=True), atol=1e-4)

    lost = ablation.ablation(bank, alignment, n_best=None)
    rows = trainings.ablation_drops(material, "means, mlp, 3")
    assert len(rows) == 3 * 5 * 2
    np.testing.assert_allclose(rows["drop"], lost.table["drop"])
    nulls = trainings.ablation_nulls(material, "means, mlp, 3")
    order = lost.table.drop_duplicates("checkpoint")["recipe"].tolist()
    assert nulls["recipe"].tolist() == order
    np.testing.assert_allclose(nulls[list(trainings.NULLS)].to_numpy().T, lost.null["random_target"])


def test_pools_are_disjoint_and_their_rows_agree(few, quick):
    specs = trainings._pool_specs("means", trainings.N_POOLS)
    assert len({(spec.seed, spec.epochs) for spec in specs}) == 10 * trainings.N_POOLS
    rows, ends, sizes = (
        f(few, "means, 3") for f in (trainings.pools, trainings.pool_ends, trainings.pool_growth)
    )
    assert len(rows) == 10 and set(rows["seed"]) == set(range(15, 20))
    whole = sizes.set_index("size").loc[10, "mean"]
    assert ends["all"].item() == pytest.approx(whole, abs=1e-9)
    order = np.argsort(rows["residual"].to_numpy(), kind="stable")
    assert ends["difference"].item() == pytest.approx(ends["top"].item() - ends["bottom"].item())
    assert len(set(order[-7:]) & set(order[:7])) == 4
    nulls = ends[list(trainings.NULLS)].to_numpy()
    assert abs(nulls.mean()) < 4 * nulls.std() / np.sqrt(trainings.N_NULL)  # orders have no side


def test_online_counts_clips_after_the_first_minute_only(axes, quick):
    def late(preset, part):
        cohort = simulate_cohort(0, preset, n_subjects=45, window=1.0)[0]
        people = [*range(40), *range(80, 84), 100]  # some of each part of the standard split
        cohort = Cohort(cohort.data.assign_coords(subject=people))
        table = trainings.online(Material(cohort, axes), part, people=(100,))
        answered = table["second"] > 4  # half a segment must have arrived
        assert set(table["subject"]) == {100} and len(table) == 30
        assert table["right"].notna().eq(answered).all()
        assert table["clips"].max() <= 27 and table.loc[answered, "clips"].min() >= 25
        return table[table["second"] == 30]["right"].item()

    assert late("strong_valence", "linear, means") > 0.25
    assert late("null", "networks, time course") < 0.35


def test_controls_are_simulated_and_say_so(quick, few, monkeypatch):
    parts = simulated.parts_of(trainings.DOSE_PARTS, "default 0", "no_valence 0")
    assert parts[0] == "default 0, rsa" and len(parts) == 6
    assert simulated.parts_of(trainings.REGIMES, "default 3") == ("default 3",)
    monkeypatch.setattr(simulated, "_planted", lambda truth: few.cohort)
    monkeypatch.setattr(simulated, "RECIPE", TINY)
    monkeypatch.setattr(simulated.contest, "NETWORK", NetworkClassifier(epochs=4, batch_size=256))
    rows = simulated.on_simulated(trainings.alignment, few, "default 0, 14", seeds=(0,))
    assert set(rows["truth"]) == {"default 0"} and set(rows["arm"]) == set(effects.ARMS)
    contests = TABLES["simulated_headroom"].compute(few, "default 0")
    assert set(contests["preset"]) == {"default"} and set(contests["cohort_seed"]) == {0}
    moved = simulated.transfer(few, "default 0", seeds=(0,))
    for table in (rows, contests, moved):
        assert table["simulated"].all()


def test_tables_over_cohorts_are_read_as_cohorts(monkeypatch):
    run = interventions.run_cohorts

    def small(*cohorts, **options):
        return run(*cohorts, **{**options, "recipe": TINY, "n_subjects": 104})

    monkeypatch.setattr(interventions, "run_cohorts", small)
    rows = simulated.alignment_cohorts(None, "no_valence", seeds=(0, 1))
    again = trainings.as_interventions(rows)
    paired = effects.paired_changes(again)
    assert paired["cohort"].nunique() == 2 and set(paired["number"]) == set(trainings.FOUR)
    one = rows[(rows["seed"] == 0) & (rows["cohort"] == rows["cohort"].iloc[0])]
    base = one.loc[one["arm"] == "base", "bacc"].item()
    expected = one.loc[(one["arm"] == "true") & (one["number"] == 14), "bacc"].item() - base
    cell = paired[(paired["cohort"] == rows["cohort"].iloc[0]) & (paired["number"] == 14)]
    assert cell["true"].item() == pytest.approx(expected)
    levels = simulated.alignment_regimes(None, "subjects, 4, no_valence", seeds=(0,))
    assert set(levels["axis"]) == {"subjects"} and set(levels["level"]) == {4.0} and len(levels) == 9
    assert levels["simulated"].all() and rows["simulated"].all()


def test_rates_and_replications_say_what_they_are_of(quick, few, monkeypatch):
    rates = pd.DataFrame({"p": [0.5]})
    monkeypatch.setattr(simulated, "rediscovery_p_values", lambda preset, seeds: rates)
    monkeypatch.setattr(simulated, "replicate", lambda design, **options: rates)
    voted = {"method": ["single network", "deep ensemble"], "difference": [-0.1, 0.0], "bacc": [0.3, 0.4]}
    voted = pd.DataFrame(voted | {"low": [-0.2, 0], "high": [-0.05, 0]})
    monkeypatch.setattr(simulated.contest, "contest", lambda *cohort, **options: voted)
    monkeypatch.setattr(simulated, "_planted", lambda truth: few.cohort)
    monkeypatch.setattr(simulated, "other_cohort", lambda name: few.cohort)
    monkeypatch.setattr(rediscovery, "fewer_specs", lambda: trainings._checkpoint_specs("means"))
    of_all = {"scope": ["overall"], "null": ["emotions permuted"], "r": [0.2], "p": [0.3], "null_sd": [0.1]}
    monkeypatch.setattr(
        rediscovery.Rediscovery,
        "convergence_table",
        lambda found: pd.DataFrame(of_all | {"n": [len(found.table)]}),
    )
    run = partial(interventions.run_interventions, recipe=TINY)
    monkeypatch.setattr(interventions, "run_interventions", run)
    places = dict(zip(few.z.classes, range(9), strict=True))
    monkeypatch.setattr("kernel.language.construct.axis_positions", lambda model, classes: places)
    tables = [simulated.simulated_rates(None, "default"), simulated.contest_cohorts(None, "default 0")]
    tables += [simulated.replication_rates(None, "SEED-V")]
    tables += [simulated.replication_checkpoints(None, "SEED-V no_valence", n_networks=2)]
    assert tables[0]["truth"].tolist() == ["default"] and tables[2]["design"].tolist() == ["SEED-V"]
    assert len(tables[3]) == 2
    tests = simulated.replication_tests(None, few.cohort).set_index("test")
    assert tests.index.tolist() == ["class PC1", "true", "placebo", "beyond", "gain"]
    assert tests.loc["class PC1", ["value", "p", "n"]].tolist() == [0.2, 0.3, 3]
    assert tests.loc["gain", ["value", "low", "high", "single"]].tolist() == [0.1, 0.05, 0.2, 0.3]
    assert tests["simulated"].all() and all(table["simulated"].all() for table in tables[:3])


def test_people_and_seeds_drawn_anew_widen_the_interval_by_what_each_brings(rng):
    people, seeds = rng.standard_normal((2, 100))
    still = np.zeros((100, 100))
    assert tuple(trainings.over_people_and_seeds(still + 0.5)) == pytest.approx((0.5, 0.5, 0.5), abs=1e-12)
    for changes, sd in (
        (still + people, people.std()),
        (still + seeds[:, None], seeds.std()),
        (people + seeds[:, None], np.hypot(people.std(), seeds.std())),
    ):
        value, low, high = trainings.over_people_and_seeds(changes)
        assert value == pytest.approx(changes.mean())
        # 4,000 draws know the half-width of 1.96 standard errors to about 3 %
        assert high - low == pytest.approx(2 * 1.96 * sd / 10, rel=0.1)
