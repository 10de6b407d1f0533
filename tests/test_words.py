"""Tables of words, on a tiny model: what stands in their rows, with valence that is there and that is not."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from conftest import make_tiny_lm
from scipy.stats import zscore

from kernel.audit import store, words
from kernel.language.axis import ValenceAxis
from kernel.language.hidden import AFFECT_CUE, hidden_states
from kernel.language.recipes import steady_axis
from kernel.language.sentiment import Benchmark
from kernel.language.stories import EMOTIONS, diverse_stories, load_stories
from kernel.stats import auc

TEXTS = tuple(" ".join(f"w{n}" for n in np.random.default_rng(i).integers(0, 198, 6)) for i in range(60))
DEFAULT = "cued, six stories"


@pytest.fixture
def models(monkeypatch):
    """Three tiny models in place of the real ones, which read the words of a story by their length."""
    lms = {name: make_tiny_lm(seed=seed) for seed, name in enumerate(words.MODELS)}
    for name, lm in lms.items():
        lm.name = name
    kind = type(lms[words.MODELS[0]].tokenizer)
    call = kind.__call__

    def known(text):
        return " ".join(w if w[1:].isdigit() else f"w{3 * len(w)}" for w in text.split())

    def by_length(self, texts, **options):
        return call(self, known(texts) if isinstance(texts, str) else list(map(known, texts)), **options)

    monkeypatch.setattr(kind, "__call__", by_length)
    monkeypatch.setattr(words, "_loaded", lms.__getitem__)
    return lms


def axis_scores(lm):
    stories = diverse_stories()
    read = hidden_states(lm, stories.texts, cue=AFFECT_CUE, progress=False)[:, 0]
    axis = ValenceAxis().fit(read, stories.emotions)
    return axis.project(hidden_states(lm, TEXTS, cue=AFFECT_CUE, progress=False)[:, 0])


@pytest.mark.parametrize("planted", [True, False])
def test_scores_tell_planted_valence_from_none(models, monkeypatch, planted):
    scores = axis_scores(models[words.BUNDLED[0]])
    noise = np.random.default_rng(7).standard_normal(len(TEXTS))
    ratings = np.where((scores if planted else noise) > np.median(scores if planted else noise), 1.0, -1.0)
    monkeypatch.setattr(words, "load_benchmark", lambda name, **options: Benchmark(name, TEXTS, ratings, ""))
    rows = words.text_scores(None, f"tweeteval; {words.BUNDLED[0]}").set_index("method")
    assert {"bare, six stories", "cued, fifty tellings", "difference of means", "good or bad"} < set(
        rows.index
    )
    assert (rows["n"] == len(TEXTS)).all() and rows["auc"].between(rows["auc_low"], rows["auc_high"]).all()
    if planted:
        assert rows.loc[DEFAULT, "auc"] == 1 and rows.loc[DEFAULT, "p"] < 0.01
    else:
        assert rows.loc[DEFAULT, "auc"] < 0.7 and rows.loc[DEFAULT, "p"] > 0.05


@pytest.mark.parametrize("planted", [True, False])
def test_sst2_has_rows_of_the_steady_axis_and_of_a_hundred_labels(models, monkeypatch, planted):
    rng = np.random.default_rng(3)
    texts = tuple(" ".join(f"w{n}" for n in rng.integers(0, 198, 6)) for _ in range(130))
    scores = steady_axis(models[words.MODELS[2]], partners=[models[name] for name in words.BUNDLED]).score(
        texts
    )
    noise = rng.standard_normal((2, len(texts)))
    signal = scores if planted else noise[0]
    ratings = np.where(signal > np.median(signal), 1.0, -1.0)
    monkeypatch.setattr(words, "load_benchmark", lambda name, **options: Benchmark(name, texts, ratings, ""))
    monkeypatch.setattr(words, "_scores_without_model", lambda texts: {"VADER": noise[1]})
    curves, fitted = [], words.sentiment.supervised_curve
    monkeypatch.setattr(
        words.sentiment, "supervised_curve", lambda *a, **o: curves.append(fitted(*a, **o)) or curves[-1]
    )
    rows = words.text_scores(None, f"sst2; {words.MODELS[2]}").set_index("method")
    by_label = curves[0]["auc"]
    expected = [by_label.mean(), *np.percentile(by_label, [2.5, 97.5])]
    assert rows.loc["100 labels", ["auc", "auc_low", "auc_high"]].tolist() == pytest.approx(expected)
    gains = rows[rows.index.str.startswith("steady minus")]
    assert len(gains) == 2 and (gains["auc_low"] <= gains["auc"]).all() and rows.loc["100 labels", "n"] == 30
    rivals = {**rows.loc[["difference of means", "good or bad"], "auc"], "VADER": auc(noise[1], ratings > 0)}
    assert gains.index.tolist() == [f"steady minus {one}" for one in (DEFAULT, max(rivals, key=rivals.get))]
    assert gains["auc"].iloc[0] == pytest.approx(rows.loc["steady", "auc"] - rows.loc[DEFAULT, "auc"])
    if planted:
        assert rows.loc["steady", "auc"] == 1 and gains["auc_low"].min() >= 0
    else:
        assert abs(rows.loc["steady", "auc"] - 0.5) < 0.2 and gains["auc_low"].max() < 0


def test_the_models_own_choice_is_that_of_its_head(models):
    lm = models[words.BUNDLED[0]]
    last = hidden_states(lm, TEXTS[:4], "last", AFFECT_CUE, progress=False)[:, 0]
    odds = last @ words._good_minus_bad(lm)
    good, bad = (lm.tokenizer([word])["input_ids"][0][0] for word in (" good", " bad"))
    assert good != bad
    for text, ours in zip(TEXTS, odds, strict=False):
        ids = torch.tensor(lm.tokenizer([text + AFFECT_CUE])["input_ids"])
        logits = lm.causal(ids).logits[0, -1]
        assert ours == pytest.approx(float(logits[good] - logits[bad]), abs=1e-3)


def test_a_model_agrees_with_itself_alone(models, monkeypatch):
    ratings = np.tile([1.0, -1.0], len(TEXTS) // 2)
    monkeypatch.setattr(words, "load_benchmark", lambda name, **options: Benchmark(name, TEXTS, ratings, ""))
    different = words.models_agree(None, "sst2")
    assert len(different) == 6 and different["r"].abs().max() < 0.9  # three pairs, two sets of stories
    monkeypatch.setattr(words, "_loaded", lambda name: models[words.BUNDLED[0]])
    assert words.models_agree(None, "sst2")["r"].min() > 0.999
    snippets = words.models_agree(None, "snippets")
    assert snippets.query("stories == 'six stories'")["set"].tolist() == ["snippets", *words.SNIPPETS[:4]]
    assert snippets["n"].tolist() == [240, 60, 60, 60, 60] * 2


def test_recipes_have_nine_positions_and_a_correlation_for_each_pair(models):
    positions = words.recipe_positions(None, "1, penultimate")
    assert positions.groupby(["noise", "component", "model"])["position"].std(
        ddof=0
    ).to_numpy() == pytest.approx(1)
    assert positions["emotion"].tolist() == list(EMOTIONS) * 12
    returns = words.recipe_reproducibility(None, "1, penultimate")
    assert len(returns) == 24 and returns["r"].abs().max() < 1


def test_default_axes_have_nine_positions_for_each_model_and_set_of_stories(models):
    positions = words.recipe_positions(None, "default axes").set_index(["model", "stories"])
    assert len(positions) == 3 * 2 * 9
    for (name, label), rows in positions.groupby(level=[0, 1]):
        stories = diverse_stories() if label == "six stories" else load_stories()
        read = hidden_states(models[name], stories.texts, cue=AFFECT_CUE, progress=False)[:, 0]
        axis = ValenceAxis().fit(read, stories.emotions)
        expected = axis.positions_ / axis.positions_.std()
        np.testing.assert_allclose(rows["position"], expected, atol=1e-4)


@pytest.mark.parametrize("planted", [True, False])
def test_comments_lie_where_the_default_axis_puts_them(models, monkeypatch, planted):
    scores = zscore(axis_scores(models[words.BUNDLED[0]]))
    signal = scores if planted else np.random.default_rng(1).standard_normal(len(TEXTS))
    joy = signal > np.median(signal)
    emotions = tuple(np.where(joy, "joy", "anger").tolist())
    known = Benchmark("goemotions", TEXTS, np.zeros(len(TEXTS)), "", emotions)
    monkeypatch.setattr(words, "load_benchmark", lambda name, neutral: known)
    table = words.comments(None, f"goemotions; {words.BUNDLED[0]}").set_index("emotion")
    assert table["n"].to_dict() == {"anger": 30, "joy": 30}
    assert table.loc["joy", "position"] == pytest.approx(scores[joy].mean(), abs=1e-4)
    apart = table.loc["joy", "position"] - table.loc["anger", "position"]
    assert apart > 1 if planted else abs(apart) < 0.8  # three standard errors of 60 texts


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ("sst2; no model", {"all-minilm-l6-v2", "vader-lexicon", "sst2"}),
        ("warriner arousal; Gemma-3-270M", {"gemma-3-270m", "warriner"}),
        ("goemotions; Qwen2.5-Coder-0.5B-Instruct", {"qwen2.5-coder-0.5b", "goemotions"}),
        ("emobank", {*words.ASSETS.values(), "emobank"}),
        ("5, late", {"smollm2-135m-instruct", "gemma-3-270m"}),
        ("three models", set(words.ASSETS.values())),
    ],
)
def test_a_part_names_its_assets(part, expected):
    assert set(words.needs(part)) == expected
    assert all(set(words.needs(p)) <= set(store.assets.ASSETS) for p in words.SCORE_PARTS)
