"""Seen and unseen clips, arbitrary groups, moments of films, and what smoothing leaks."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from kernel.audit import smoothing as sm
from kernel.audit import stimuli as st
from kernel.brain.cohort import Cohort, standardise
from kernel.brain.designs import FACED_CLASSES, FACED_FILMS, FACED_SCALP
from kernel.brain.simulate import Settings, simulate_cohort


def material_of(cohort):
    """What the tables need, from a cohort of any channels."""
    cohort = Cohort(cohort.data.assign_coords(film=("clip", list(FACED_FILMS))))
    scalp = cohort.select(channels=[name for name in FACED_SCALP if name in cohort.channels])
    return SimpleNamespace(cohort=cohort, scalp=scalp, z=standardise(scalp))


def simulated(preset, seed=3, window=10):
    return material_of(simulate_cohort(seed, preset, window=window)[0])


def planted(rng, effect, n_subjects=105, n_features=(4, 5), noise=3.0):
    """A cohort in seconds: an effect (28, 30, 4, 5) shared by all, noise of their own."""
    shape = (n_subjects, 28, 30, *n_features)
    return material_of(
        Cohort.from_arrays(
            effect + noise * rng.standard_normal(shape, dtype=np.float32),
            subjects=range(n_subjects),
            emotions=[name for name in FACED_CLASSES for _ in range(4 if name == "neutral" else 3)],
            channels=list(FACED_SCALP[: n_features[0]]),
            order=rng.permuted(np.tile(np.arange(28) + 1, (n_subjects, 1)), axis=1),
            dataset="FACED",
            provenance="planted",
            simulated=True,
        )
    )


@pytest.fixture(scope="module")
def clips_only():
    return simulated("identity_only")


@pytest.fixture(scope="module")
def nothing():
    return simulated("null")


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(st, "BLOCK", 12)
    monkeypatch.setattr(sm, "BLOCK", 2)


# The linear discriminant and the groups


@pytest.mark.parametrize("unseen", [False, True])
def test_hits_are_those_of_scikit_learns_discriminant(rng, unseen):
    X = rng.standard_normal((20, 10, 3, 7)) + rng.standard_normal((10, 1, 7))
    groups, moments = np.array([0, 0, 0, 1, 1, 1, 2, 2, 2, 2]), st.clip_moments(X)
    folds = st.held_out(groups, np.arange(10)) if unseen else None
    right = st.hits(X, moments, groups, 0.2, folds)
    lda = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.2, priors=np.full(3, 1 / 3))
    for fold in [np.zeros(10, dtype=bool)] if folds is None else folds:
        lda.fit(X[:, ~fold].reshape(-1, 7), np.tile(np.repeat(groups[~fold], 3), 20))
        called = lda.predict(X.reshape(-1, 7)).reshape(X.shape[:3])
        shown = fold if unseen else ~fold  # a clip is called by the fold that has not seen it
        np.testing.assert_allclose(right[:, shown], (called == groups[:, None]).mean(2)[:, shown])
    assert 0.4 < right.mean() < 1
    with pytest.raises(ValueError, match=r"groups \[1\] have no clip"):
        st.hits(X, moments, groups, 0.1, np.array([groups == 1, groups != 1]))


def test_held_out_takes_whole_films_and_leaves_short_groups_alone():
    pairs = st.held_out(np.array([0, 0, 1, 1, 2, 2]), np.arange(6))
    assert pairs.tolist() == [[True, False] * 3, [False, True] * 3]
    emotions = np.repeat([0, 1, -1], [3, 3, 2])
    folds = st.held_out(emotions, np.array(["a", "b", "c", "d", "d", "e", "f", "g"]))
    assert folds.astype(int).tolist() == [
        [1, 0, 0, 1, 1, 0, 0, 0],
        [0, 1, 0, 0, 0, 1, 0, 0],
        [0, 0, 1] + [0] * 5,
    ]


def test_groupings_keep_sizes_and_valence(clips_only):
    y, valence = clips_only.z.y, st.clip_labels(clips_only.z, "valence")
    for within in (None, valence):
        draws = [st.grouping(y, number, within)[0] for number in range(20)]
        assert all(np.array_equal(np.bincount(groups), np.bincount(y)) for groups in draws)
        assert len({tuple(groups) for groups in draws}) == 20
        same = [np.array_equal(valence[np.argsort(groups, kind="stable")], valence) for groups in draws]
        assert all(same) if within is not None else not any(same)
    np.testing.assert_array_equal(st.grouping(y, 7)[0], st.grouping(y, 7)[0])


# Tables: a planted truth and its absence


def test_only_seen_clips_are_recognised_where_there_are_no_emotions(clips_only):
    table = st.accuracy_by_split(clips_only, "cohort_matched").set_index(["labels", "held_out", "training"])
    assert table.loc[("emotions", "nothing", "seen"), "low"] > 2 / 9
    assert table.loc[("emotions", "clips", "difference"), "low"] > 0
    assert table.loc[("emotions", "films", "difference"), "low"] > 0
    for key, chance in {("emotions", "clips"): 1 / 9, ("emotions", "films"): 1 / 8}.items():
        assert table.loc[(*key, "unseen"), "value"] == pytest.approx(chance, abs=0.05)
    assert table.loc[("valence", "emotions", "unseen"), "value"] == pytest.approx(0.5, abs=0.08)
    assert table.loc[("emotions", "films", "seen"), "n_classes"] == 8
    assert set(table["n_people"]) == {23}


def test_emotions_are_recognised_on_unseen_clips_where_there_are_emotions():
    material = simulated(Settings(valence=0.0, classes=0.06, clips=0.02))
    table = st.accuracy_by_split(material, "standard").set_index(
        ["channels", "labels", "held_out", "training"]
    )
    assert table.loc[(30, "emotions", "films", "unseen"), "low"] > 1 / 8
    assert (32, "emotions", "nothing", "seen") in table.index
    part = st.pseudo_emotions(material, "true").iloc[0]
    assert part["unseen"] > 2 / 9


def test_the_split_table_is_at_chance_without_signal(nothing):
    table = st.accuracy_by_split(nothing, "standard")
    table = table[table["training"] != "difference"]
    chance = 1 / table["n_classes"]
    assert (abs(table["value"] - chance) < 0.06).all()


@pytest.mark.parametrize("part", st.IDENTIFICATION_PARTS)
def test_clips_are_identified_where_they_differ_and_only_there(clips_only, nothing, part):
    people = [SimpleNamespace(z=m.z.select(subjects=range(40))) for m in (clips_only, nothing)]
    seen, chance = (st.identification(material, part) for material in people)
    assert len(seen) == 40 and seen["accuracy"].mean() > 0.15
    assert (seen["within_emotion"] >= seen["accuracy"]).all()
    assert (seen["emotion_accuracy"] >= seen["accuracy"]).all()
    right = round(chance["accuracy"].sum() * 28)
    assert binomtest(right, 40 * 28, 1 / 28).pvalue > 1e-3
    assert chance["within_emotion"].mean() == pytest.approx(9 / 28, abs=0.06)


def test_arbitrary_groups_are_decoded_like_emotions_where_only_clips_differ(clips_only, nothing, few):
    true = st.pseudo_emotions(clips_only, "true").iloc[0]
    for kind in st.KINDS:
        groups = st.pseudo_emotions(clips_only, f"{kind} 1")
        assert groups["grouping"].tolist() == list(range(12, 24))  # blocks go on where the last ended
        assert groups["accuracy"].mean() > 2 / 9
        assert abs(true["accuracy"] - groups["accuracy"].mean()) < 4 * groups["accuracy"].std()
        assert groups["unseen"].mean() == pytest.approx(1 / 9, abs=0.02)
    assert st.pseudo_emotions(nothing, "free 0")["accuracy"].mean() == pytest.approx(1 / 9, abs=0.02)
    de = clips_only.z.de.copy()
    de[0, 0] = np.nan
    with pytest.raises(ValueError, match="lacks trials or seconds: select"):
        st.pseudo_emotions(SimpleNamespace(z=clips_only.z.with_de(de)), "true")


def test_more_people_teach_clips_and_emotions_only_where_there_are_any(clips_only, nothing, monkeypatch):
    monkeypatch.setattr(st, "N_DRAWS", 3)
    emotions = simulated(Settings(valence=0.0, classes=0.06, clips=0.02))
    recall = {
        name: {n: st.accuracy_by_people(material, f"{n} in training") for n in (2, 80)}
        for name, material in {"clips": clips_only, "emotions": emotions, "nothing": nothing}.items()
    }
    few, many = recall["clips"][2], recall["clips"][80]
    assert list(few["draw"]) == [draw for draw in range(3) for _ in range(9)]
    assert few["people"].eq(2).all() and set(few["emotion"]) == set(FACED_CLASSES)
    assert few.groupby("draw")["seen"].mean().nunique() == 3
    growth = {
        name: tables[80].mean(numeric_only=True) - tables[2].mean(numeric_only=True)
        for name, tables in recall.items()
    }
    assert growth["clips"]["seen"] > 0.1 and growth["emotions"]["unseen"] > 0.1
    for name in ("clips", "nothing"):
        assert recall[name][80]["unseen"].mean() == pytest.approx(1 / 9, abs=0.03)
    assert recall["nothing"][80]["seen"].mean() == pytest.approx(1 / 9, abs=0.03)
    everybody = st.accuracy_by_people(clips_only, "100 in training")
    assert everybody["draw"].eq(0).all() and len(everybody) == 9  # all of them are one draw
    assert everybody["seen"].mean() > many["seen"].mean() - 0.02


def test_time_course_is_used_where_it_is_locked_to_the_film(rng):
    course = rng.standard_normal((28, 30, 4, 5), dtype=np.float32)
    course -= course.reshape(28, 3, 10, 4, 5).mean(2).repeat(10, axis=1)  # nothing in the means of 10 s
    material = planted(rng, course)
    table = (
        st.segment_recognition(material, "seen").groupby("condition")[["accuracy", "segment_accuracy"]].mean()
    )
    assert table.loc["time course", "accuracy"] > 0.8 and table.loc["time course", "segment_accuracy"] > 0.8
    assert (table.loc[["shuffled", "shuffled in test"], "accuracy"] < 0.25).all()
    unseen = st.segment_recognition(material, "unseen").set_index("condition")["accuracy"]
    assert unseen.groupby("condition").mean().to_numpy() == pytest.approx(1 / 9, abs=0.1)


def test_time_course_adds_nothing_to_what_is_constant(rng):
    constant = np.broadcast_to(0.6 * rng.standard_normal((28, 1, 4, 5), dtype=np.float32), (28, 30, 4, 5))
    table = st.segment_recognition(planted(rng, constant), "seen").set_index("condition")
    means = table.groupby("condition")["accuracy"].mean()
    assert means["shuffled"] > 0.4
    assert means["time course"] <= means["shuffled"] + 0.03


# Smoothing


def test_kalman_filter_is_the_conditional_mean_of_a_random_walk(rng):
    x, n = rng.standard_normal((2, 12, 3)), 12
    out = sm.kalman_filter(x, state=0.1, noise=0.7, start=0.3)
    # the state's covariance: that of the start and of the steps so far
    state = 0.3 + 0.1 * np.minimum(*np.indices((n, n)))
    for k in range(n):
        weights = np.linalg.solve(state[: k + 1, : k + 1] + 0.7 * np.eye(k + 1), state[: k + 1, k])
        expected = x.mean(1) + np.einsum("t,stp->sp", weights, x[:, : k + 1] - x.mean(1, keepdims=True))
        np.testing.assert_allclose(out[:, k], expected)


def test_kalman_filter_restarted_is_that_of_each_part_and_remembers_100_s_otherwise(rng):
    x = rng.standard_normal((3, 60, 2))
    parts = [sm.kalman_filter(x[:, start : start + 20]) for start in (0, 20, 40)]
    np.testing.assert_array_equal(sm.kalman_filter(x, 20), np.concatenate(parts, axis=1))
    impulse = np.zeros((1001, 1))
    impulse[500], impulse[-1] = 1, -1  # the start is expected at their mean, zero
    response = sm.kalman_filter(impulse)[:, 0]
    assert np.log(response[501] / response[601]) == pytest.approx(1, abs=0.05)
    with pytest.raises(ValueError, match="restart must divide the 60 seconds"):
        sm.kalman_filter(x, 25)


def test_running_normalisation_goes_from_the_others_to_the_person(rng):
    x, mean, variance, d = 5 + 2 * rng.standard_normal((2, 40, 3)), np.ones(3), np.full(3, 4.0), 0.9
    out = sm._running_normalise(x, mean, variance, decay=d)
    np.testing.assert_allclose(out[:, 0], (x[:, 0] - 1) / np.sqrt(4 + 1e-5))
    k, seen = 17, x[:, :18]
    centre, spread = (d**k * a + (1 - d**k) * b for a, b in ((mean, seen.mean(1)), (variance, seen.var(1))))
    np.testing.assert_allclose(out[:, k], (x[:, k] - centre) / np.sqrt(spread + 1e-5))


@pytest.fixture(scope="module")
def steady():
    """Clips that differ by a constant shared by all, no emotions; and the same without any."""
    rng = np.random.default_rng(5)
    effect = np.broadcast_to(rng.standard_normal((28, 1, 4, 5), dtype=np.float32), (28, 30, 4, 5))
    return {size: planted(np.random.default_rng(6), size * effect, n_subjects=40) for size in (0.25, 0.0)}


def test_sorted_smoothing_decodes_groups_that_do_not_exist(steady, few):
    table = sm.pseudo_smoothing(steady[0.25], "0")
    assert table["grouping"].tolist() == [0, 1]
    assert (table["sorted"] > table["restarted"] + 0.05).all()
    assert (table["sorted_unseen"] > 2 / 9).all()
    assert table["restarted_unseen"].mean() == pytest.approx(1 / 9, abs=0.06)
    assert (table["restarted"] > table["none"]).all()
    nothing = sm.pseudo_smoothing(steady[0.0], "0").drop(columns="grouping")
    assert nothing.to_numpy() == pytest.approx(1 / 9, abs=0.05)


def test_smoothing_leaks_emotions_only_where_they_are_sorted(steady):
    means, people = {}, SimpleNamespace(scalp=steady[0.25].scalp.select(subjects=range(24)))
    for part in sm.CONDITIONS:
        table = sm.smoothing(people, part)
        assert table["subject"].tolist() == list(range(24)) and table["fold"].nunique() == 10
        means[part] = table[["accuracy", "unseen"]].mean()
    table = pd.DataFrame(means).T
    assert table["accuracy"].idxmax() == "sorted" and table["unseen"].idxmax() == "sorted"
    assert table.loc["sorted", "unseen"] > 2 / 9
    assert (table["unseen"].drop("sorted") < 0.2).all()


def test_smoothing_of_two_classes_leaves_neutral_out_and_the_svm_agrees(steady):
    few = SimpleNamespace(scalp=steady[0.25].scalp.select(subjects=range(20)))
    linear, svm = (sm.smoothing(few, part)["accuracy"].mean() for part in ("sorted", "SVM, sorted"))
    assert svm == pytest.approx(linear, abs=0.1) and svm > 2 / 9
    table = sm.smoothing(few, "valence SVM without delta, sorted")
    assert table["labels"].unique().tolist() == ["valence"] and table["bands"].unique().tolist() == [4]
    assert table["accuracy"].mean() > 0.6


def test_smoothing_needs_the_order_shown(steady):
    scalp = steady[0.0].scalp
    nowhere = Cohort(
        scalp.data.assign_coords(order=(("subject", "clip"), np.full((40, 28), -1, dtype=np.int32)))
    )
    with pytest.raises(ValueError, match="lacks presentation orders"):
        sm.smoothing(SimpleNamespace(scalp=nowhere), "none")


# The recordings


@pytest.mark.faced
def test_faced_gives_the_accuracies_of_an_independent_look(faced):
    """A linear discriminant on means of 10 s reaches .25 in nine emotions on the standard split."""
    material = material_of(faced)
    table = st.accuracy_by_split(material, "standard").set_index(
        ["channels", "labels", "held_out", "training"]
    )
    assert table.loc[(30, "emotions", "nothing", "seen"), "value"] == pytest.approx(0.25, abs=0.01)
    assert st.identification(material, "correlation")["accuracy"].mean() > 1 / 28
