"""Scores against ratings: oracles from scikit-learn and scipy, planted sentiment and its absence."""

from __future__ import annotations

import sys
import types

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from kernel.language import sentiment
from kernel.language.axis import ValenceAxis
from kernel.language.sentiment import Benchmark, load_benchmark, zero_shot
from kernel.language.stories import EMOTIONS


def rated(rng, n=300):
    ratings = rng.uniform(0.2, 4, n) * rng.choice([-1, 1], n)
    return Benchmark("planted", tuple(f"text {i}" for i in range(n)), ratings, "none")


def test_zero_shot_matches_scikit_learn_and_scipy(rng):
    benchmark = rated(rng)
    scores = benchmark.ratings + 3 * rng.standard_normal(len(benchmark))
    result = zero_shot(scores, benchmark, n_resamples=300)
    assert result.auc.value == pytest.approx(roc_auc_score(benchmark.labels, scores))
    assert result.pearson.value == pytest.approx(np.corrcoef(scores, benchmark.ratings)[0, 1])
    assert result.spearman.value == pytest.approx(spearmanr(scores, benchmark.ratings).statistic)
    assert 0.5 < result.auc.low < result.auc.value < result.auc.high < 1
    assert result.row()["n"] == 300


def test_zero_shot_of_noise_covers_chance(rng):
    benchmark = rated(rng, 120)
    covered = 0
    for seed in range(60):
        result = zero_shot(rng.standard_normal(120), benchmark, n_resamples=200, random_state=seed)
        covered += result.auc.low < 0.5 < result.auc.high
    assert covered >= 50  # 57 expected at 95 %


def test_zero_shot_refuses_scores_of_other_texts(rng):
    benchmark = rated(rng, 20)
    with pytest.raises(ValueError, match=r"shape \(20,\)"):
        zero_shot(np.zeros(19), benchmark)
    with pytest.raises(ValueError):
        zero_shot(np.full(20, np.nan), benchmark)


def test_prototypes_find_the_side_and_need_both(rng):
    poles = rng.standard_normal((2, 16))
    texts = np.repeat(poles, 30, axis=0) + 0.3 * rng.standard_normal((60, 16))
    scores = sentiment.prototype_scores(texts, poles, [1, -1])
    assert (scores[:30] > 0).all() and (scores[30:] < 0).all()
    with pytest.raises(ValueError, match="both signs"):
        sentiment.prototype_scores(texts, poles, [1, 1])


@pytest.mark.parametrize("bad", [0.0, np.nan])
def test_an_embedding_without_direction_is_refused(rng, bad):
    texts, prototypes = rng.standard_normal((3, 4)), rng.standard_normal((2, 4))
    texts[1] = bad
    with pytest.raises(ValueError, match="embedding 1 is zero or NaN"):
        sentiment.prototype_scores(texts, prototypes, [1, -1])


def test_vader_orders_the_obvious():
    good, flat, bad = sentiment.vader_scores(
        ["A wonderful, happy day!", "The table has legs.", "A horrible, sad mess."]
    )
    assert good > 0.5 > flat == 0 > -0.5 > bad


def features(rng, n, strength):
    """Texts and stories in 32 features; valence along the first axis, as strongly as told."""
    labels = rng.random(n) > 0.5
    H = rng.standard_normal((n, 32))
    H[:, 0] += strength * np.where(labels, 1, -1)
    emotions = np.repeat(EMOTIONS, 10)
    stories = rng.standard_normal((90, 32))
    stories[:, 0] += 3 * np.repeat([-1, -1, -1, -1, 0, 1, 1, 1, 1], 10)
    return stories, emotions, H, labels


def test_the_learning_curve_rises_with_a_signal_and_stays_flat_without(rng):
    *_, H, labels = features(rng, 400, 1.0)
    curve = sentiment.supervised_curve(H, labels, [10, 200], n_repeats=5).groupby("n_train")["auc"].mean()
    assert curve[200] > curve[10] > 0.5
    assert curve[200] > 0.85
    noise = sentiment.supervised_curve(H, rng.permutation(labels), [200], n_repeats=10)["auc"]
    assert abs(noise.mean() - 0.5) < 0.1
    with pytest.raises(ValueError, match=r"\[399\] do not fit 400"):
        sentiment.supervised_curve(H, labels, [399])


def test_ablation_removes_the_planted_direction_and_only_that(rng):
    stories, emotions, H, labels = features(rng, 400, 1.0)
    effect = sentiment.ablation_effect(stories, emotions, H, labels)
    assert effect.auc_before > 0.85
    assert abs(effect.auc_after - 0.5) < 0.15
    assert effect.scores_after.shape == (400,)
    assert effect.auc_after == pytest.approx(roc_auc_score(labels, effect.scores_after))
    assert effect.probe_loss > 0.2  # here the probe has nothing else to go by
    assert effect.p == pytest.approx(1 / 21)


def test_ablation_of_an_irrelevant_axis_costs_the_probe_nothing(rng):
    stories, emotions, H, labels = features(rng, 400, 0.0)
    H[:, 5] += np.where(labels, 1.0, -1.0)  # what the probe uses lies elsewhere
    effect = sentiment.ablation_effect(stories, emotions, H, labels)
    assert abs(effect.probe_loss) < 0.02
    assert effect.p > 0.05


def test_the_scores_after_ablation_come_from_ablated_texts_on_the_axis_found_again(rng):
    stories, emotions, H, labels = features(rng, 60, 1.0)
    stories[:, 3] += 2 * np.repeat([1, -1, 1, -1, 0, 1, -1, 1, -1], 10)  # a second, weaker direction
    effect = sentiment.ablation_effect(stories, emotions, H, labels, n_directions=1)
    axis = ValenceAxis().fit(stories, emotions)

    def without(X):
        return X - np.outer(X @ axis.direction_, axis.direction_)

    again = ValenceAxis().fit(without(stories), emotions)
    np.testing.assert_allclose(effect.scores_after, again.project(without(H)), atol=1e-8)
    assert axis.direction_[0] > 0.9 and again.direction_[3] > 0.9


def test_two_classes_leave_nothing_to_find_after_ablation(rng):
    H = rng.standard_normal((8, 4))
    with pytest.raises(ValueError, match=r"\['anger', 'joy'\] span one direction"):
        sentiment.ablation_effect(H, ["joy", "anger"] * 4, H, np.arange(8) % 2 == 0)


def test_shuffled_emotions_lose_the_axis(rng):
    stories, emotions, H, labels = features(rng, 300, 1.0)
    null = sentiment.shuffled_emotions(stories, emotions, H, labels, n_shuffles=100)
    observed = sentiment.ablation_effect(stories, emotions, H, labels, n_directions=1).auc_before
    assert abs(np.median(null) - 0.5) < 0.2
    assert observed > np.quantile(null, 0.9)


def test_unknown_benchmark_and_too_many_texts(monkeypatch):
    with pytest.raises(sentiment.UnknownBenchmarkError, match=r"unknown benchmark 'sst3'.*movie.*sst2"):
        load_benchmark("sst3")
    with pytest.raises(sentiment.assets.AssetMissingError):
        load_benchmark("movie")


def test_hub_sets_go_through_datasets_with_the_right_labels(monkeypatch):
    calls = []

    def load_dataset(path, config, split):
        calls.append((path, config, split))
        return {"text": ["bad &amp; sad", "so so", "good"], "label": [0, 1, 2]}

    monkeypatch.setitem(sys.modules, "datasets", types.SimpleNamespace(load_dataset=load_dataset))
    benchmark = load_benchmark("tweeteval")
    assert calls == [("cardiffnlp/tweet_eval", "sentiment", "test")]
    assert benchmark.texts == ("bad & sad", "good")
    assert benchmark.labels.tolist() == [False, True]

    def unreachable(*args, **kwargs):
        raise ConnectionError("no route")

    monkeypatch.setitem(sys.modules, "datasets", types.SimpleNamespace(load_dataset=unreachable))
    with pytest.raises(sentiment.BenchmarkLoadError, match=r"imdb.*no route.*check the network"):
        load_benchmark("imdb")


@pytest.mark.assets
@pytest.mark.parametrize(
    ("name", "size"), [("movie", 10_600), ("amazon", 3_600), ("tweets", 4_100), ("editorials", 4_900)]
)
def test_the_snippet_sets_are_whole(name, size):
    full = load_benchmark(name)
    assert len(full) > size * 0.97
    assert len(set(full.texts)) == len(full)
    assert np.abs(full.ratings).max() <= 4
    assert "&amp;" not in " ".join(full.texts)
    sample = load_benchmark(name, n=50, min_abs_rating=1, random_state=3)
    assert sample.texts == load_benchmark(name, n=50, min_abs_rating=1, random_state=3).texts
    assert sample.texts != load_benchmark(name, n=50, min_abs_rating=1, random_state=4).texts
    assert np.abs(sample.ratings).min() >= 1
    with pytest.raises(ValueError, match="n=99999 texts asked"):
        load_benchmark(name, n=99_999)


@pytest.mark.assets
def test_ratings_and_texts_belong_together():
    """VADER was fitted to these sets; it can only correlate if no row slipped."""
    for name in ("movie", "amazon", "tweets", "editorials"):
        sample = load_benchmark(name, n=400)
        assert np.corrcoef(sentiment.vader_scores(sample.texts), sample.ratings)[0, 1] > 0.3
