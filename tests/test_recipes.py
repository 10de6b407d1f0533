"""Axes without labels of valence: what they find, what they do not, and how it is judged."""

from pathlib import Path

import numpy as np
import pytest
from conftest import make_tiny_lm

from kernel.language import recipes
from kernel.language.axis import ValenceAxis
from kernel.language.recipes import (
    NOISE,
    RECIPES,
    STEADY,
    Recipe,
    reproducibility,
    steady_axis,
)
from kernel.language.stories import EMOTIONS, diverse_stories

N_TOPICS, N_FEATURES = 12, 40
CODE = np.array([-1.0, -1, -1, -1, 0, 1, 1, 1, 1])
EMOTION = np.repeat(np.arange(9), N_TOPICS)
TOPIC = np.tile(np.arange(N_TOPICS), 9)
NAMES = [EMOTIONS[k] for k in EMOTION]


def stories(valence, seed, n_blocks=2):
    """States of 108 stories with so much valence along the first feature, in unit noise."""
    rng = np.random.default_rng(seed)
    states = rng.standard_normal((len(EMOTION), n_blocks, N_FEATURES))
    states[:, :, 0] += valence * CODE[EMOTION][:, None]
    return states


@pytest.mark.parametrize("recipe", RECIPES[:6], ids=str)
def test_planted_valence_is_found_and_returns_and_none_does_not(recipe):
    planted = {name: stories(3, seed) for name, seed in (("a", 0), ("b", 1))}
    axes = recipe.axes(planted, NAMES)
    returned = reproducibility(planted, NAMES, TOPIC, recipe, n_splits=8)
    empty = reproducibility({"a": stories(0, 2), "b": stories(0, 3)}, NAMES, TOPIC, recipe, n_splits=8)
    for name, states in planted.items():
        positions = np.array([axes[name].project(states)[EMOTION == k].mean() for k in range(9)])
        assert np.corrcoef(positions, CODE)[0, 1] > 0.95
    assert returned.shape == (2, 2) and returned.min() > 0.9
    # halvings of one noise, correlations of nine values whose standard deviation is 1 / sqrt(8) each
    assert np.abs(empty).max() < 2 / np.sqrt(8)


def test_the_default_recipe_is_the_default_axis():
    states = stories(2, 0, n_blocks=1)
    ours = Recipe().axes({"a": states}, NAMES)["a"]
    theirs = ValenceAxis().fit(states[:, 0], NAMES)
    scores = ours.project(states)
    assert np.corrcoef(scores, theirs.project(states[:, 0]))[0, 1] == pytest.approx(1, abs=1e-10)


def test_whitening_is_the_inverse_root_of_covariance_and_ridge():
    from kernel.language.recipes import _Stories

    space = _Stories(stories(2, 0), NAMES, "joy")
    rows = np.arange(len(NAMES))
    residuals = space.rows - space.means(rows)[EMOTION]
    covariance = residuals.T @ residuals / (len(rows) - 9)
    ridge = np.trace(covariance) / (len(rows) - 9)
    whitened = space.cleaning(rows, "whitened")
    expected = np.linalg.inv(covariance + ridge * np.eye(len(covariance)))
    np.testing.assert_allclose(whitened @ whitened, expected, atol=1e-8)
    removed = space.cleaning(rows, NOISE[1])
    np.testing.assert_allclose(removed @ removed, removed, atol=1e-10)
    assert np.trace(removed) == pytest.approx(len(removed) - 5)


def test_a_shared_component_helps_the_noisier_model():
    """A model with weak valence and one strong direction of its own takes the component of the others."""
    weak = stories(1.5, 0)
    rng = np.random.default_rng(5)
    weak[:, :, 1] += (2.5 * rng.standard_normal(9))[EMOTION][:, None]
    states = {"weak": weak, "strong": stories(5, 1), "other": stories(5, 2)}

    def fit(component):
        axis = Recipe(component=component).axes(states, NAMES)["weak"]
        positions = [axis.project(weak)[EMOTION == k].mean() for k in range(9)]
        return abs(np.corrcoef(positions, CODE)[0, 1])

    assert fit("shared") > 0.9 > 0.6 > fit("first")


def test_models_share_a_component_with_equal_weight_however_their_stories_scatter(rng):
    """Scatter within emotions that leaves their means makes a model no less of a partner."""
    means = rng.standard_normal((2, 9, 1, 1, N_FEATURES))
    scatter = rng.standard_normal((2, 9, N_TOPICS, 1, N_FEATURES))
    scatter -= scatter.mean(2, keepdims=True)

    def positions(size):
        a, b = means[0] + scatter[0], means[1] + size * scatter[1]
        states = {name: told.reshape(-1, 1, N_FEATURES) for name, told in (("a", a), ("b", b))}
        return list(Recipe(component="shared").axes(states, NAMES)["a"].positions.values())

    np.testing.assert_allclose(positions(10), positions(1), atol=1e-8)


TOLD = {name: [f"w{12 * k + i} w{i}" for i in range(12)] for k, name in enumerate(EMOTIONS)}


@pytest.mark.parametrize("valence", [3, 0])
def test_the_steady_axis_is_one_call(monkeypatch, valence):
    """Planted valence orders new texts by their code, and none does not; a model is not its own partner."""
    models = {name: make_tiny_lm(seed=seed) for seed, name in enumerate("abc")}
    known, read = diverse_stories(12), []
    code = dict(zip(known.texts, known.valence, strict=True))
    code |= {text: CODE[k] for k, name in enumerate(EMOTIONS) for text in TOLD[name]}

    def states(self, lm, texts, *, progress):
        read.append((lm.name, tuple(texts)))
        noise = np.random.default_rng([len(texts), *map(ord, lm.name)]).standard_normal((len(texts), 5, 40))
        noise[:, :, 0] += valence * np.array([code[text] for text in texts])[:, None]
        return noise

    monkeypatch.setattr(Recipe, "read", states)
    monkeypatch.setattr(recipes, "load_language_model", models.__getitem__)
    for name, lm in models.items():
        lm.name = name
    axis = steady_axis("a", TOLD, partners=["a", models["b"], "c"])
    assert [name for name, _ in read] == ["a", "b", "c"]
    assert axis.lm is models["a"] and list(axis.positions) == list(EMOTIONS)
    assert np.std(list(axis.positions.values())) == pytest.approx(1) and axis.positions["joy"] > 0
    new = [told[0] for told in TOLD.values()]
    r = np.corrcoef(axis.score(new), CODE)[0, 1]
    assert r > 0.9 if valence else abs(r) < 0.7
    ours = np.array(list(steady_axis("a", partners=()).positions.values()))  # of the stories that come along
    assert read[-1] == ("a", known.texts) and len(known) == 108
    r = np.corrcoef(ours, CODE)[0, 1]
    assert r > 0.9 if valence else abs(r) < 0.7
    alone, itself, turned = (
        steady_axis("a", TOLD, partners=partners, orient=orient).positions
        for partners, orient in (([], "joy"), ([models["a"]], "joy"), ([], "fear"))
    )
    assert itself == alone and turned["fear"] > 0
    models["b"].name = "c"
    with pytest.raises(ValueError, match="two models have the name 'c'"):
        steady_axis("a", TOLD, partners=[models["b"], models["c"]])


@pytest.mark.parametrize(
    ("told", "options", "message"),
    [
        (TOLD, {"orient": "happy"}, "orient must be one of amusement, .*; got 'happy'"),
        ({"calm": "w1", "stress": "w2"}, {}, "orient must be one of calm, stress; got 'joy'"),
        ({"joy": "w1"}, {}, "two emotions or more"),
        ({"joy": "w1", "fear": ["w2", ""]}, {}, "'fear' has no sentence in ''"),
        (
            TOLD,
            {"partners": "Gemma-3-270M"},
            "partners must be a list, got 'Gemma-3-270M': put it in brackets",
        ),
    ],
)
def test_the_steady_axis_checks_its_arguments_before_a_model_is_loaded(monkeypatch, told, options, message):
    asked = []
    monkeypatch.setattr(recipes, "load_language_model", lambda name: asked.append(name) or make_tiny_lm())
    with pytest.raises(ValueError, match=message):
        steady_axis("a", told, **options)
    assert asked == []
    steady_axis(Path("a"), {"joy": "w1", "fear": "w2"}, partners=[])
    assert asked == [Path("a")]


def test_the_steady_axis_reads_with_its_recipe():
    """By a model in full: what it scores is what the steps by hand give; an axis from states has no model."""
    lm = make_tiny_lm()
    axis = steady_axis(lm, TOLD, partners=[])
    texts = [text for told in TOLD.values() for text in told]
    states = STEADY.read(lm, texts)
    assert states.shape == (108, 5, 32)
    by_hand = STEADY.axes({"one": states}, NAMES)["one"]
    np.testing.assert_allclose(axis.score(texts), by_hand.project(states), atol=1e-8)
    means = axis.score(texts).reshape(9, 12).mean(1)
    np.testing.assert_allclose(means, list(axis.positions.values()), atol=1e-6)
    with pytest.raises(ValueError, match=r"has no model: project what Recipe\.read gives"):
        by_hand.score(texts)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"recipe": Recipe(noise="none")}, "noise must be one of kept"),
        ({"recipe": Recipe(component="second")}, "component must be one of first"),
        ({"orient": "hope"}, "orient must be one of anger"),
        ({"topics": TOPIC[:-1]}, "topics must have shape"),
        ({"topics": TOPIC % 3}, "number of topics must be"),
        ({"states": {"a": stories(1, 0)[:, 0]}}, "states must have shape"),
    ],
)
def test_bad_input_is_named(change, error):
    call = {"states": {"a": stories(1, 0)}, "emotions": NAMES, "topics": TOPIC, "recipe": Recipe()} | change
    with pytest.raises(ValueError, match=error):
        reproducibility(**call)
