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
from kernel.language.stories import EMOTIONS, Stories


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


def test_neutral_texts_count_for_the_correlations_alone(rng):
    benchmark = rated(rng)
    ratings = np.where(np.arange(300) % 3, benchmark.ratings, 0.0)
    some = Benchmark("with neutral", benchmark.texts, ratings, "none")
    scores = ratings + 3 * rng.standard_normal(300)
    result, sided = zero_shot(scores, some, n_resamples=50), ratings != 0
    assert result.auc.value == pytest.approx(roc_auc_score(ratings[sided] > 0, scores[sided]))
    assert result.auc.value != pytest.approx(roc_auc_score(some.labels, scores), abs=1e-3)
    assert result.pearson.value == pytest.approx(np.corrcoef(scores, ratings)[0, 1])
    one_sided = Benchmark("no bad", benchmark.texts, np.abs(ratings), "none")
    with pytest.raises(ValueError, match="all rated on one side of zero"):
        zero_shot(scores, one_sided)


def test_zero_shot_of_noise_covers_chance(rng):
    benchmark = rated(rng, 120)
    covered = 0
    for seed in range(60):
        result = zero_shot(rng.standard_normal(120), benchmark, n_resamples=200, random_state=seed)
        covered += result.auc.low < 0.5 < result.auc.high
    assert covered >= 50  # 57 expected at 95 %


def prototypes(texts, poles, emotions=("joy", "anger")):
    """Scores of embeddings of texts, with stories whose embeddings are the poles."""
    told = tuple(f"story {i}" for i in range(len(poles)))
    items = [f"text {i}" for i in range(len(texts))]
    known = dict(zip((*told, *items), (*poles, *texts), strict=True))
    stories = Stories("poles", told, tuple(emotions), (0,) * len(told))
    return sentiment.prototype_scores(items, stories, embed=lambda names: np.stack([known[n] for n in names]))


def test_prototypes_find_the_side(rng):
    poles = rng.standard_normal((2, 16))
    texts = np.repeat(poles, 30, axis=0) + 0.3 * rng.standard_normal((60, 16))
    scores = prototypes(texts, poles)
    assert (scores[:30] > 0).all() and (scores[30:] < 0).all()
    beside = [*poles, rng.standard_normal(16)]
    np.testing.assert_allclose(prototypes(texts, beside, ("joy", "anger", "neutral")), scores)
    elsewhere = prototypes(rng.standard_normal((400, 16)), poles)
    assert abs((elsewhere > 0).mean() - 0.5) < 0.1


EYE, FLAGS = np.eye(8), np.arange(8) % 2 == 0


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda b: zero_shot(np.zeros(19), b), ValueError, r"scores of 'planted' must have shape .* \(19,\)"),
        (lambda b: zero_shot(np.full(20, np.nan), b), ValueError, "NaN"),
        (
            lambda b: zero_shot(np.arange(3.0), Benchmark("few", tuple("abc"), [1, 2, 3], "")),
            ValueError,
            "3 texts of 'few' are all rated on one side .* take more",
        ),
        (lambda b: Benchmark("odd", ("a", "b"), [1], ""), ValueError, r"ratings of 'odd' must have shape"),
        (lambda b: Benchmark("gap", ("a", "b"), [1, np.nan], ""), ValueError, "ratings of 'gap' holds NaN"),
        (lambda b: prototypes(EYE, EYE, ["joy"] * 8), ValueError, "both signs"),
        (lambda b: prototypes(EYE * FLAGS[:, None], EYE[:2]), ValueError, "embedding 1 is zero"),
        (lambda b: prototypes(EYE * np.nan, EYE[:2]), ValueError, "0 is zero or NaN"),
        (
            lambda b: sentiment.supervised_curve(EYE, FLAGS, [7]),
            ValueError,
            "training size .* from 4 to 6, got 7",
        ),
        (
            lambda b: sentiment.ablation_effect(EYE, ["joy", "anger"] * 4, EYE, FLAGS),
            ValueError,
            r"\['anger', 'joy'\] span one direction",
        ),
        (lambda b: load_benchmark("sst3"), ValueError, "movie.*sst2.*; got 'sst3'"),
        (lambda b: load_benchmark("movie"), sentiment.assets.AssetMissingError, "fetch hutto-snippets"),
        (lambda b: load_benchmark("sst2"), sentiment.assets.AssetMissingError, "kernel.assets fetch sst2"),
        (
            lambda b: load_benchmark("sst2", rating="arousal"),
            ValueError,
            "rating of 'sst2' must be one of valence; got 'arousal'",
        ),
        (
            lambda b: load_benchmark("warriner", language="French"),
            ValueError,
            "language of 'warriner' must be one of English",
        ),
        (
            lambda b: load_benchmark("labmt", language="Latin"),
            ValueError,
            "of 'labmt' must be .*Hindi.*'Latin'",
        ),
        (
            lambda b: Benchmark("odd", ("a", "b"), [1, -1], "", ("joy",)),
            ValueError,
            "'odd' has 2 texts but 1 emo",
        ),
    ],
)
def test_names_what_it_cannot_use(rng, call, error, message):
    with pytest.raises(error, match=message):
        call(rated(rng, 20))


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


def test_ablation_removes_the_planted_direction_and_only_that(rng):
    stories, emotions, H, labels = features(rng, 400, 1.0)
    stories[:, 3] += 2 * np.repeat([1, -1, 1, -1, 0, 1, -1, 1, -1], 10)  # a second, weaker direction
    effect = sentiment.ablation_effect(stories, emotions, H, labels)
    assert effect.auc_before > 0.85
    assert abs(effect.auc_after - 0.5) < 0.15
    assert effect.auc_after == pytest.approx(roc_auc_score(labels, effect.scores_after))
    assert effect.probe_loss > 0.2  # here the probe has nothing else to go by
    assert effect.p == pytest.approx(1 / 21)

    def without(X):
        return X - np.outer(X @ axis.direction_, axis.direction_)

    axis = ValenceAxis().fit(stories, emotions)
    again = ValenceAxis().fit(without(stories), emotions)
    np.testing.assert_allclose(effect.scores_after, again.project(without(H)), atol=1e-8)
    assert axis.direction_[0] > 0.9 and again.direction_[3] > 0.9


def test_ablation_of_an_irrelevant_axis_costs_the_probe_nothing(rng):
    stories, emotions, H, labels = features(rng, 400, 0.0)
    H[:, 5] += np.where(labels, 1.0, -1.0)  # what the probe uses lies elsewhere
    effect = sentiment.ablation_effect(stories, emotions, H, labels)
    assert abs(effect.probe_loss) < 0.02
    assert effect.p > 0.05


def test_shuffled_emotions_lose_the_axis(rng):
    stories, emotions, H, labels = features(rng, 300, 1.0)
    null = sentiment.shuffled_emotions(stories, emotions, H, labels, n_shuffles=100)
    observed = sentiment.ablation_effect(stories, emotions, H, labels, n_directions=1).auc_before
    assert abs(np.median(null) - 0.5) < 0.2
    assert observed > np.quantile(null, 0.9)


#: Made-up texts in the formats of the releases.
SETS = {
    "dev.tsv": "text\tlabel\nnot a good 'un , is it \t0\na \"merry tale \t1\n",
    "rt-polarity.neg": "dull , caf\xe9 talk \n\n",
    "rt-polarity.pos": "bright \n",
    "test_text.txt": "rain &amp;amp; wind\nit is tuesday\n@user hooray\n",
    "test_labels.txt": "0\n1\n2\n",
    "emobank.csv": "id,split,V,A,D,text\n"
    '1,train,3.0,3.3,3,"Well, no ""news"""\n2,dev,4.6,2.0,3,NA\n3,dev,1.8,3,2,Ouch\n',
    "NoVAD_v2013.csv": "Word,V.Mean.Sum,V.SD.Sum,A.Mean.Sum,D.Mean.Sum\nnull,4.5,2,2.41,5\ncake,7.2,1,5,5\n",
    "labMT_English.tsv": "cake\t7.50\nmud\t3.00\n",
    "labMT_French.tsv": "g\xe2teau\t8.00\nboue\t2.86\n",
}
GOEMOTIONS = {
    "train.tsv": "What a cake!\t0\ta1\nCold and late\t2,25\ta2\nThe door is shut\t27\ta3\n",
    "dev.tsv": "I miss him\t25\tb1\n",
    "test.tsv": "Who did that?\t7\tc1\nDear old friend\t18\tc2\n",
}


def write_sets(folder, monkeypatch, emotions=False):
    """The folder of every asset holds the made-up texts (GoEmotions has a file called like one of SST-2)."""
    for name, text in (GOEMOTIONS if emotions else SETS).items():
        (folder / name).write_text(text, "latin-1" if name.startswith("rt-") else "utf-8")
    monkeypatch.setattr(sentiment.assets, "path", lambda asset: folder)


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("sst2", {}, {"not a good 'un , is it": -1, 'a "merry tale': 1}),
        ("rotten_tomatoes", {}, {"dull , caf\xe9 talk": -1, "bright": 1}),
        ("tweeteval", {}, {"rain & wind": -1, "@user hooray": 1}),
        ("tweeteval", {"neutral": True}, {"rain & wind": -1, "it is tuesday": 0, "@user hooray": 1}),
        ("emobank", {}, {"NA": 1.6, "Ouch": -1.2}),
        ("emobank", {"neutral": True}, {'Well, no "news"': 0, "NA": 1.6, "Ouch": -1.2}),
        ("emobank", {"min_abs_rating": 1.6}, {"NA": 1.6}),
        ("emobank", {"rating": "arousal"}, {'Well, no "news"': 0.3, "NA": -1}),
        ("emobank", {"rating": "dominance"}, {"Ouch": -1}),
        ("warriner", {}, {"null": -0.5, "cake": 2.2}),
        ("warriner", {"rating": "arousal"}, {"null": -2.59}),
        ("labmt", {}, {"cake": 2.5, "mud": -2}),
        ("labmt", {"language": "French"}, {"g\xe2teau": 3, "boue": -2.14}),
    ],
)
def test_a_set_is_read_as_released_and_rated_from_the_middle_of_its_scale(
    tmp_path, monkeypatch, name, options, expected
):
    write_sets(tmp_path, monkeypatch)
    benchmark = load_benchmark(name, **options)
    assert dict(zip(benchmark.texts, benchmark.ratings.tolist(), strict=True)) == expected
    named = [options[key] for key in ("rating", "language") if key in options]
    assert benchmark.name == " ".join([name, *named])
    assert benchmark.citation == sentiment.assets.ASSETS[name].citation
    assert benchmark.emotions == ()


def test_comments_with_one_emotion_keep_it_and_its_class_in_faced(tmp_path, monkeypatch):
    write_sets(tmp_path, monkeypatch, emotions=True)
    comments = load_benchmark("goemotions", neutral=True)
    assert comments.emotions == ("admiration", "neutral", "sadness", "curiosity", "love")
    assert comments.ratings.tolist() == [1, 0, -1, 0, 1]
    assert load_benchmark("goemotions").emotions == ("admiration", "sadness", "love")
    classes = [sentiment.GOEMOTIONS_CLASSES.get(emotion) for emotion in comments.emotions]
    assert classes == ["inspiration", "neutral", "sadness", None, "tenderness"]
    assert set(sentiment.GOEMOTIONS_CLASSES.values()) == set(EMOTIONS)
    assert set(sentiment.GOEMOTIONS_CLASSES) < set(sentiment._SETS["goemotions"]["signs"])


@pytest.mark.parametrize(
    ("file", "text", "name"),
    [
        ("dev.tsv", "text\tlabel\nfine\t2\n", "sst2"),
        ("test_labels.txt", "0\n1\n", "tweeteval"),
        ("emobank.csv", "id,split,V,A,D,text\n1,train,nan,3,3,Fine\n", "emobank"),
        ("emobank.csv", "id,split,V,A,D,text\n1,train,30,3,3,Fine\n", "emobank"),
        ("labMT_English.tsv", "", "labmt"),
        ("train.tsv", "fine\t-1\ta1\n", "goemotions"),
    ],
)
def test_damaged_texts_are_told_from_whole_ones(tmp_path, monkeypatch, file, text, name):
    write_sets(tmp_path, monkeypatch, emotions=name == "goemotions")
    assert len(load_benchmark(name))
    (tmp_path / file).write_text(text)
    with pytest.raises(sentiment.assets.AssetCorruptError, match=f"cannot be read .*assets fetch {name}"):
        load_benchmark(name)


@pytest.mark.assets
@pytest.mark.parametrize(
    ("name", "size"),
    [("sst2", 872), ("rotten_tomatoes", 10_600), ("tweeteval", 12_200), ("emobank", 9_800),
     ("goemotions", 45_000), ("warriner", 13_900), ("labmt", 10_100)],
)  # fmt: skip
def test_the_sets_on_request_are_whole_where_they_have_been_fetched(name, size):
    try:
        full = load_benchmark(name, neutral=True)
    except sentiment.assets.AssetMissingError as error:
        pytest.skip(str(error))
    assert size <= len(full) < 1.03 * size
    sample = load_benchmark(name, n=800)
    assert np.corrcoef(sentiment.vader_scores(sample.texts), sample.ratings)[0, 1] > 0.25  # no row slipped


def test_hub_sets_go_through_datasets_with_the_right_labels(monkeypatch):
    calls = []

    def load_dataset(path, split):
        calls.append((path, split))
        return {"text": ["bad &amp; sad", "good "], "label": [0, 1]}

    monkeypatch.setitem(sys.modules, "datasets", types.SimpleNamespace(load_dataset=load_dataset))
    benchmark = load_benchmark("yelp")
    assert calls == [("fancyzhx/yelp_polarity", "test")]
    assert benchmark.texts == ("bad & sad", "good")
    assert benchmark.labels.tolist() == [False, True]
    assert "1509.01626" in benchmark.citation

    def unreachable(*args, **kwargs):
        raise ConnectionError("no route")

    monkeypatch.setitem(sys.modules, "datasets", types.SimpleNamespace(load_dataset=unreachable))
    with pytest.raises(sentiment.BenchmarkLoadError, match=r"imdb.*no route.*check the network"):
        load_benchmark("imdb")


@pytest.mark.assets
@pytest.mark.parametrize(
    ("name", "size"), [("movie", 10_600), ("amazon", 3_600), ("tweets", 4_100), ("editorials", 4_900)]
)
def test_the_snippet_sets_are_whole_and_ratings_belong_to_their_texts(name, size):
    full = load_benchmark(name)
    assert len(full) > size * 0.97
    assert len(set(full.texts)) == len(full)
    assert np.abs(full.ratings).max() <= 4
    assert "&amp;" not in " ".join(full.texts)
    one, same, other = (
        load_benchmark(name, n=200, min_abs_rating=1, random_state=seed) for seed in (3, 3, 4)
    )
    assert one.texts == same.texts != other.texts
    assert np.abs(one.ratings).min() >= 1
    # VADER was fitted to these sets; it can only correlate if no row slipped
    assert np.corrcoef(sentiment.vader_scores(one.texts), one.ratings)[0, 1] > 0.3
    with pytest.raises(ValueError, match="got 99999"):
        load_benchmark(name, n=99_999)
