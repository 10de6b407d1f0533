"""The shipped table against the open ratings it was made from, and what that table says."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kernel import stats
from kernel.brain.ratings import (
    BLOCKS,
    DISTINCT_ORDERS,
    NEUTRAL_BLOCK,
    SCALES,
    STANDARD_SETS,
    TEST_ORDERS_IN_TRAIN,
    draw_orders,
    load_order,
    load_ratings,
    position_counts,
    position_only_bacc,
)
from kernel.brain.simulate import simulate_cohort
from kernel.brain.splits import make_split
from kernel.language.stories import CLIP_EMOTIONS, EMOTIONS, VALENCE_CODE

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "book" / "studies"))
from make_ratings import order_tables, ratings_table  # noqa: E402

SOURCE = next(
    (p for p in (up / "shared/faced_ratings/ratings.tsv" for up in ROOT.parents) if p.is_file()), None
)
needs_source = pytest.mark.skipif(
    SOURCE is None, reason="the single ratings (open, not part of this repository) are not here"
)


@pytest.fixture(scope="module")
def single():
    return pd.read_csv(SOURCE, sep="\t")


@needs_source
def test_the_shipped_tables_are_what_the_single_ratings_give(single):
    mixed = single.sample(frac=1, random_state=0)
    ratings = ratings_table(mixed, CLIP_EMOTIONS)
    pd.testing.assert_frame_equal(ratings, load_ratings(), atol=1.01e-4)  # a half may round either way
    for made, shipped in zip(order_tables(mixed, CLIP_EMOTIONS, VALENCE_CODE), load_order(), strict=True):
        pd.testing.assert_frame_equal(made, shipped, atol=1.01e-4)
    valence = single.pivot(index="subject", columns="clip", values="valence").to_numpy()
    np.testing.assert_allclose(load_ratings()["valence_mean"], valence.mean(0), atol=5.1e-5)
    np.testing.assert_allclose(load_ratings()["valence_sd"], valence.std(0, ddof=1), atol=5.1e-5)


def test_the_shipped_table_has_every_clip():
    table = load_ratings()
    assert tuple(table["emotion"]) == CLIP_EMOTIONS
    assert list(table.index) == list(range(1, 29))
    assert (table["n"] == 123).all()
    assert set(table) == {"emotion", "n", *(f"{s}_{kind}" for s in SCALES for kind in ("mean", "sd"))}


@pytest.mark.parametrize("name", ["ratings", "order_clips", "order_classes", "order_transitions"])
def test_the_shipped_tables_credit_their_source(name):
    head = (ROOT / f"kernel/data/faced_{name}.csv").read_text()
    credits = "nm000112 v1.0.1", "10.82901/nemar", "CC-BY-4.0", "10.1038/s41597-023-02650-w", "Guetschel"
    assert all(credit in head for credit in credits)


def test_class_means_of_valence():
    means = load_ratings().groupby("emotion")["valence_mean"].mean().loc[list(EMOTIONS)]
    assert means.round(2).tolist() == [1.70, 1.64, 1.57, 1.86, 3.18, 4.23, 4.79, 4.37, 4.43]


def test_what_class_constant_predictors_can_reach():
    """What judges any axis with one value per emotion; quantiles are good to .01 at 10,000 draws."""
    table = load_ratings()
    null = stats.class_constant_null(table["valence_mean"], table["emotion"], random_state=0)
    assert null.ceiling == pytest.approx(0.989, abs=5e-4)
    assert null.quantile_95 == pytest.approx(0.65, abs=0.01)
    assert null.free_quantile_95 == pytest.approx(0.37, abs=0.01)
    code = table["emotion"].map(VALENCE_CODE)
    assert stats.pearson(code, table["valence_mean"]) == pytest.approx(0.982, abs=5e-4)


def test_summaries_are_those_of_numpy_in_order_of_clip(rng):
    values = rng.uniform(0, 7, (3, 2, 12))  # subjects, clips 2 and 1, scales
    index = pd.MultiIndex.from_product([[7, 8, 9], [2, 1]], names=["subject", "clip"])
    long = pd.DataFrame(values.reshape(6, 12), index=index, columns=list(SCALES)).reset_index()
    table = ratings_table(long, ["anger", "joy"])
    assert table["emotion"].tolist() == ["anger", "joy"] and table["n"].tolist() == [3, 3]
    for kind, expected in (("mean", values.mean(0)), ("sd", values.std(0, ddof=1))):
        found = table.loc[[2, 1], [f"{scale}_{kind}" for scale in SCALES]]
        np.testing.assert_allclose(found, expected, atol=5.1e-5)
    for bad, match in (
        (long[1:], "clip of subject 7 must be 1 to 2"),
        (long.assign(fear=7.5), "outside 0 to 7"),
    ):
        with pytest.raises(ValueError, match=match):
            ratings_table(bad, ["anger", "joy"])


# --- the order of presentation ------------------------------------------------------------------------------


@needs_source
def test_how_many_orders_are_shared(single):
    order = single.pivot(index="subject", columns="clip", values="order")
    assert len(order.drop_duplicates()) == DISTINCT_ORDERS
    of_training = set(map(tuple, order.loc[:79].to_numpy()))
    assert sum(tuple(row) in of_training for row in order.loc[100:].to_numpy()) == TEST_ORDERS_IN_TRAIN


@needs_source
def test_everybody_saw_the_same_blocks(single):
    shown = single.sort_values(["subject", "order"])["clip"].to_numpy().reshape(123, 7, 4)
    assert {tuple(sorted(block)) for session in shown.tolist() for block in session} == set(BLOCKS)


def test_drawn_orders_keep_the_blocks_and_never_begin_with_the_neutral_one(rng):
    drawn = draw_orders(4200, random_state=rng)
    assert (np.sort(drawn, axis=1) == np.arange(1, 29)).all()
    for block in BLOCKS:
        positions = np.sort(drawn[:, np.array(block) - 1], axis=1)
        assert (positions == positions[:, :1] + np.arange(4)).all()
        places = np.bincount(positions[:, 0] // 4, minlength=7)
        # neutral: none of 4200 first, 700 at each other place; others: 700 first, 583 elsewhere
        expected = np.r_[0, [700] * 6] if block == BLOCKS[NEUTRAL_BLOCK] else np.r_[700, [3500 / 6] * 6]
        assert abs(places - expected).max() < 5 * np.sqrt(700)
        assert (places[0] == 0) == (block == BLOCKS[NEUTRAL_BLOCK])
    counts = position_counts(drawn, range(28))  # within a block every clip as often at every position
    assert abs(counts[4:, 12:16] - 4200 / 24).max() < 5 * np.sqrt(4200 / 24)
    assert len(np.unique(drawn, axis=0)) > 4190


def test_positive_blocks_come_earlier_by_the_lead_alone():
    for lead, planted in [(0, False), (0.3, True)]:
        drawn = draw_orders(4000, lead=lead, random_state=0)
        later = drawn[:, 16:].mean(1) - drawn[:, :12].mean(1)  # positive minus negative, of each order
        z = later.mean() / later.std() * np.sqrt(4000)
        assert (z < -5) if planted else (abs(z) < 4)


def test_drawn_orders_are_shared_as_told(rng):
    drawn = draw_orders(123, n_distinct=91, random_state=rng)
    assert drawn.shape == (123, 28) and len(np.unique(drawn, axis=0)) == 91
    assert (
        draw_orders(5, n_distinct=1, random_state=0) == draw_orders(5, n_distinct=1, random_state=0)[0]
    ).all()
    with pytest.raises(ValueError, match="n_distinct must be a whole number from 1 to 3, got 4"):
        draw_orders(3, n_distinct=4)


def test_the_shipped_orders_are_consistent_and_credited():
    order = load_order()
    assert tuple(order.clips["emotion"]) == CLIP_EMOTIONS
    sizes = {name: len(subjects) for name, subjects in STANDARD_SETS.items()}
    assert sum(sizes.values()) == 123
    mean = sum(order.clips[name] * size for name, size in sizes.items()) / 123
    np.testing.assert_allclose(mean, order.clips["mean"], atol=1e-4)
    for name, size in sizes.items():
        counts = order.counts(name)
        assert (counts.sum(1) == size).all()  # one clip a subject at each position
        assert counts.sum(0).tolist() == [CLIP_EMOTIONS.count(emotion) * size for emotion in EMOTIONS]
        at = counts.T @ np.arange(1, 29) / counts.sum(0)  # the same mean positions from the other table
        np.testing.assert_allclose(
            at, order.clips.groupby("emotion")[name].mean().loc[list(EMOTIONS)], atol=1e-4
        )


def test_what_the_real_orders_say():
    order, valence = load_order(), load_ratings()["valence_mean"]
    assert order.same_valence == pytest.approx(0.848, abs=5e-4)
    assert stats.pearson(order.clips["mean"], valence) == pytest.approx(-0.32, abs=0.005)
    assert stats.pearson(order.clips["test"], valence) == pytest.approx(-0.75, abs=0.005)
    assert position_only_bacc(order.counts("train"), order.counts("test")) == pytest.approx(0.1515, abs=1e-4)
    assert order.classes["neutral"].unstack("position").loc[:, :4].sum(axis=None) == 0  # never comes first


def test_the_sets_are_those_of_the_standard_split():
    cohort, _ = simulate_cohort(0, "null", window=30.0)
    split = make_split(cohort, "standard")
    for name, subjects in STANDARD_SETS.items():
        assert cohort.subjects[getattr(split, name).any(1)].tolist() == list(subjects)


def test_orders_are_summarised_by_clip_position_and_neighbour():
    positions = np.array([[1, 2, 3], [3, 1, 2], [3, 2, 1]])
    index = pd.MultiIndex.from_product([range(3), range(1, 4)], names=["subject", "clip"])
    long = pd.DataFrame({"order": positions.ravel()}, index).reset_index()
    signs = {"anger": -1, "neutral": 0, "joy": 1}
    made = order_tables(long, list(signs), signs, sets={"a": [0, 1], "b": [2, 99]})
    assert made.clips["mean"].tolist() == [2.3333, 1.6667, 2.0]
    np.testing.assert_allclose(made.clips["sd"], positions.std(0, ddof=1), atol=5e-5)
    assert made.clips["a"].tolist() == [2, 1.5, 2.5] and made.clips["b"].tolist() == [3, 2, 1]
    assert made.counts("a").tolist() == [[1, 1, 0], [0, 1, 1], [1, 0, 1]]
    assert made.counts("b").tolist() == [[0, 0, 1], [0, 1, 0], [1, 0, 0]]
    # anger neutral joy; neutral joy anger; joy neutral anger
    assert made.transitions.to_numpy().tolist() == [[0, 1, 0], [1, 0, 2], [1, 1, 0]]
    assert made.same_valence == 0
    with pytest.raises(ValueError, match="set must be one of a, b; got 'c'"):
        made.counts("c")
    with pytest.raises(ValueError, match="order of subject 0 must be 1 to 3, each once"):
        order_tables(long.assign(order=1), list(signs), signs)


def test_position_alone_finds_a_planted_order_and_nothing_in_random_ones(rng):
    fixed = np.tile(rng.permutation(28) + 1, (5, 1))
    counts = position_counts(fixed, CLIP_EMOTIONS)
    assert position_only_bacc(counts, counts) == 1
    values = []
    for _ in range(200):
        order = draw_orders(60, random_state=rng)
        values.append(
            position_only_bacc(*(position_counts(part, CLIP_EMOTIONS) for part in (order[:40], order[40:])))
        )
    assert abs(np.mean(values) - 1 / 9) < 4 * np.std(values) / np.sqrt(200)


def test_position_alone_agrees_with_answering_trial_by_trial(rng):
    """Ties, unseen positions and unequal classes against an average over random answers."""
    train = np.array([[0, 0, 0, 0], [2, 2, 1, 2], [1, 1, 0, 6], [1, 1, 3, 0]])
    test = rng.integers(1, 5, train.shape)
    share = train / train.sum(0)
    right = np.zeros(4)
    for _ in range(4000):
        answer = [rng.choice(np.flatnonzero(row == row.max())) for row in share]
        right += [test[np.equal(answer, k), k].sum() / test[:, k].sum() for k in range(4)]
    assert position_only_bacc(train, test) == pytest.approx(right.mean() / 4000, abs=0.01)


def test_counts_that_give_no_accuracy_are_named():
    ones = np.ones((3, 2), dtype=int)
    for train, test, match in [
        (ones, ones[:2], r"test must have shape \(3, 2\), got \(2, 2\)"),
        (ones, -ones, "test must hold counts of 0 or more"),
        (ones * [1, 0], ones, "train must hold .* trials of each class"),
    ]:
        with pytest.raises(ValueError, match=match):
            position_only_bacc(train, test)


@pytest.mark.parametrize("order", [[[0, 1]], [[1, 3]], [[1, 2, 3]], [1, 2]])
def test_positions_that_no_clip_can_have_are_named(order):
    with pytest.raises(
        ValueError, match=r"order must (have shape \(n_subjects, 2\)|hold positions from 1 to 2), got"
    ):
        position_counts(order, ["joy", "fear"])
