"""The shipped table against the open ratings it was made from, and what that table says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kernel import stats
from kernel.language.stories import CLIP_EMOTIONS, EMOTIONS, VALENCE_CODE
from kernel.ratings import SCALES, VALENCE_SPLIT_HALF_R, load_ratings, ratings_table

ROOT = Path(__file__).resolve().parents[1]
SOURCE = next(
    (p for p in (up / "shared/faced_ratings/ratings.tsv" for up in ROOT.parents) if p.is_file()), None
)
needs_source = pytest.mark.skipif(
    SOURCE is None, reason="the single ratings (open, not part of this repository) are not here"
)


@pytest.fixture(scope="module")
def single():
    return pd.read_csv(SOURCE, sep="\t")


@pytest.fixture
def long(rng):
    """Two clips, three subjects, ratings that are easy to average."""
    index = pd.MultiIndex.from_product([[7, 8, 9], [2, 1]], names=["subject", "clip"])
    return pd.DataFrame(rng.uniform(0, 7, (6, 12)), index=index, columns=list(SCALES)).reset_index()


@needs_source
def test_the_shipped_table_is_what_the_single_ratings_give(single):
    table = ratings_table(single.sample(frac=1, random_state=0), CLIP_EMOTIONS)
    pd.testing.assert_frame_equal(table, load_ratings(), atol=1.01e-4)  # a half may round either way
    valence = single.pivot(index="subject", columns="clip", values="valence").to_numpy()
    np.testing.assert_allclose(load_ratings()["valence_mean"], valence.mean(0), atol=5.1e-5)
    np.testing.assert_allclose(load_ratings()["valence_sd"], valence.std(0, ddof=1), atol=5.1e-5)


@needs_source
def test_split_half_of_the_ratings(single):
    halves = [single[single["subject"] % 2 == k].groupby("clip")["valence"].mean() for k in (0, 1)]
    assert round(stats.pearson(*halves), 4) == VALENCE_SPLIT_HALF_R


def test_the_shipped_table_has_every_clip_and_credits_its_source():
    table = load_ratings()
    assert tuple(table["emotion"]) == CLIP_EMOTIONS
    assert list(table.index) == list(range(1, 29))
    assert (table["n"] == 123).all()
    assert set(table) == {"emotion", "n", *(f"{s}_{kind}" for s in SCALES for kind in ("mean", "sd"))}
    head = [
        line for line in (ROOT / "kernel/data/faced_ratings.csv").read_text().splitlines() if line[0] == "#"
    ]
    for credit in (
        "nm000112 v1.0.1",
        "10.82901/nemar.nm000112",
        "CC-BY-4.0",
        "10.1038/s41597-023-02650-w",
        "Guetschel",
    ):
        assert credit in " ".join(head)


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


def test_summaries_are_those_of_numpy_in_order_of_clip(long):
    table = ratings_table(long, ["anger", "joy"])
    for clip, emotion in [(1, "anger"), (2, "joy")]:
        values = long.loc[long["clip"] == clip, list(SCALES)].to_numpy()
        assert table.loc[clip, "emotion"] == emotion
        assert table.loc[clip, "n"] == 3
        np.testing.assert_allclose(
            [table.loc[clip, f"{s}_mean"] for s in SCALES], values.mean(0), atol=5.1e-5
        )
        np.testing.assert_allclose(
            [table.loc[clip, f"{s}_sd"] for s in SCALES], values.std(0, ddof=1), atol=5.1e-5
        )


def test_ratings_that_cannot_be_summarised_are_named(long):
    emotions = ["anger", "joy"]
    for bad, match in [
        (long.drop(columns="joy"), "lack the columns .*joy"),
        (long.assign(clip=long["clip"] + 1), r"clips must be 1 to 2, .*got \[2, 3\]"),
        (pd.concat([long, long[:1]]), "subject 7 rated clip 2 twice"),
        (long.assign(fear=7.5), r"subject 7 rated clip 2 7\.5 on fear"),
        (long.assign(fear=np.nan), "clip 2 nan on fear"),
        (long[:3], "clip 1 was rated once"),
    ]:
        with pytest.raises(ValueError, match=match):
            ratings_table(bad, emotions)
