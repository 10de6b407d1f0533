"""Ways to build a valence axis without labels of valence, and how well it returns from other stories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np

from kernel import checks
from kernel.arrays import real
from kernel.language.axis import _classes
from kernel.language.hidden import AFFECT_CUE, hidden_states
from kernel.language.models import LanguageModel

#: Cues after which a text is read; the first is that of the default axis.
CUES = (AFFECT_CUE, " I felt very", " The mood was", " All in all, it was", " In one word, it was")
LAYERS = ("penultimate", "late")
NOISE = ("kept", "main directions removed", "whitened")
COMPONENTS = ("first", "shared")
#: Directions of the texts' own variation that ``main directions removed`` takes out.
N_MAIN = 5


class Recipe(NamedTuple):
    """How an axis is built from stories.

    `cues` : read after the first cue of `CUES`, or after each of them, side by side.
    `layers` : the penultimate one, or all of the last third below the last.
    `noise` : what is done about the stories' variation within emotions: nothing, its five main directions are
    projected out, or it is whitened (pooled covariance plus its mean eigenvalue).
    `component` : the first principal component of the emotions' means, in each model its own or the one that
    several models share, each with equal weight.
    """

    cues: int = 1
    layers: str = "penultimate"
    noise: str = "kept"
    component: str = "first"


#: Every candidate, the default axis first.
RECIPES = tuple(Recipe(*choice) for choice in product((1, len(CUES)), LAYERS, NOISE, COMPONENTS))


class TextAxis(NamedTuple):
    """A direction of the states of `read_texts`; `mean` and `weights` (n_blocks, n_features)."""

    mean: np.ndarray
    weights: np.ndarray

    def project(self, states: np.ndarray) -> np.ndarray:
        """Positions of texts, (n_texts,), from their states (n_texts, n_blocks, n_features)."""
        return np.tensordot(np.asarray(states, dtype=float) - self.mean, self.weights, 2)


def read_texts(
    lm: LanguageModel, texts: Sequence[str], recipe: Recipe, *, progress: bool = False
) -> np.ndarray:
    """States of texts, (n_texts, n_blocks, n_features), one block for each cue and layer of a recipe."""
    checks.choice("layers", recipe.layers, LAYERS)
    last = lm.n_layers - 1
    layers = [last] if recipe.layers == "penultimate" else range(-(-lm.n_layers * 2 // 3), lm.n_layers)
    blocks = [hidden_states(lm, texts, layers, cue, progress=progress) for cue in CUES[: recipe.cues]]
    return np.concatenate(blocks, axis=1)


def label_free_axes(
    states: Mapping[str, np.ndarray],
    emotions: Sequence[str],
    recipe: Recipe,
    *,
    orient: str = "joy",
) -> dict[str, TextAxis]:
    r"""Axes of several models from the same stories.

    With C the emotions' means, centred, after the noise has been dealt with, the component is the first
    eigenvector c of :math:`C C^\top`; models share that of the mean of these matrices, each divided by its
    trace. The direction is :math:`C^\top c`, which for a model's own c is its principal component.

    Parameters
    ----------
    states : mapping of model to array, shape (n_stories, n_blocks, n_features)
        As `read_texts` gives them; blocks are brought to equal variance.
    emotions : sequence of str, length n_stories
        Class of each story.
    recipe : Recipe
        Its noise and its component.
    orient : str
        Class that lies at a positive position.

    Returns
    -------
    dict of model to TextAxis
    """
    spaces = {model: _Stories(X, emotions) for model, X in states.items()}
    directions = _directions(spaces, np.arange(len(emotions)), recipe, orient)
    return {model: spaces[model].axis(direction) for model, direction in directions.items()}


def reproducibility(
    states: Mapping[str, np.ndarray],
    emotions: Sequence[str],
    topics: Sequence[int],
    recipe: Recipe,
    *,
    n_splits: int = 20,
    orient: str = "joy",
    random_state: int | np.random.Generator | None = 0,
) -> np.ndarray:
    """How well the positions of emotions return: mean correlations (n_models, n_models), no rating needed.

    The topics are halved at random. Axes built from one half give positions to the emotions of the other
    half's stories, and the other way round; entry (i, j) is the correlation over emotions of the positions on
    model i's axis from the first half with those on model j's from the second. Stability of a model is on the
    diagonal, agreement of two models beside it. `topics` say what each story is about, four topics or more,
    in each of them every emotion; other arguments as for `label_free_axes`.
    """
    checks.count("n_splits", n_splits)
    spaces = {model: _Stories(X, emotions) for model, X in states.items()}
    names, number = np.unique(topics, return_inverse=True)
    checks.shape("topics", number, (len(emotions),))
    checks.count("number of topics", len(names), 4)
    rng = np.random.default_rng(random_state)
    correlations = []
    for _ in range(n_splits):
        first = np.isin(number, rng.permutation(len(names))[: len(names) // 2])
        halves = np.flatnonzero(first), np.flatnonzero(~first)
        positions = []
        for part, rest in (halves, halves[::-1]):
            directions = _directions(spaces, part, recipe, orient)
            positions.append([spaces[model].means(rest) @ directions[model] for model in spaces])
        correlations.append(np.corrcoef(positions[0], positions[1])[: len(spaces), len(spaces) :])
    return np.mean(correlations, axis=0)


class _Stories:
    """Stories of a model in coordinates of the space that they span, which holds any axis built from them."""

    def __init__(self, states: np.ndarray, emotions: Sequence[str]) -> None:
        states = real(states, "states")
        checks.shape("states", states, (len(emotions), None, None))
        self.classes, _ = _classes(emotions, len(states))
        self.emotion = np.array([self.classes.index(emotion) for emotion in emotions])
        self.mean = states.mean(0)
        centred = states - self.mean
        self.scale = np.sqrt((centred**2).sum(-1).mean(0))[:, None]
        left, singular, self.basis = np.linalg.svd(
            (centred / self.scale).reshape(len(states), -1), full_matrices=False
        )
        self.rows = left * singular

    def means(self, rows: np.ndarray) -> np.ndarray:
        """Means of the emotions over some stories, (n_classes, n_coordinates)."""
        return np.stack([self.rows[rows[self.emotion[rows] == k]].mean(0) for k in range(len(self.classes))])

    def cleaning(self, rows: np.ndarray, noise: str) -> np.ndarray:
        """Symmetric map of coordinates that deals with the variation of some stories within emotions."""
        identity = np.eye(self.rows.shape[1])
        if noise == "kept":
            return identity
        residuals = self.rows[rows] - self.means(rows)[self.emotion[rows]]
        _, singular, directions = np.linalg.svd(residuals, full_matrices=False)
        if noise == "main directions removed":
            return identity - directions[:N_MAIN].T @ directions[:N_MAIN]
        freedom = len(rows) - len(self.classes)
        variances = singular**2 / freedom
        ridge = variances.sum() / freedom
        inverse = 1 / np.sqrt(variances + ridge) - 1 / np.sqrt(ridge)
        return identity / np.sqrt(ridge) + (directions.T * inverse) @ directions

    def axis(self, weights: np.ndarray) -> TextAxis:
        return TextAxis(self.mean, (weights @ self.basis).reshape(self.mean.shape) / self.scale)


def _directions(
    spaces: Mapping[str, _Stories], rows: np.ndarray, recipe: Recipe, orient: str
) -> dict[str, np.ndarray]:
    """Directions of models in their stories' coordinates, of unit length, from some of the stories."""
    checks.choice("noise", recipe.noise, NOISE)
    checks.choice("component", recipe.component, COMPONENTS)
    cleanings = {model: stories.cleaning(rows, recipe.noise) for model, stories in spaces.items()}
    centred, products = {}, {}
    for model, stories in spaces.items():
        checks.choice("orient", orient, stories.classes)
        means = stories.means(rows)
        centred[model] = (means - means.mean(0)) @ cleanings[model]
        gram = centred[model] @ centred[model].T
        products[model] = gram / np.trace(gram)
    if recipe.component == "shared":
        products = dict.fromkeys(products, np.mean(list(products.values()), axis=0))
    directions = {}
    for model, stories in spaces.items():
        component = np.linalg.eigh(products[model])[1][:, -1]
        direction = centred[model].T @ component
        sign = np.sign(centred[model][stories.classes.index(orient)] @ direction)
        directions[model] = sign * cleanings[model] @ direction / np.linalg.norm(direction)
    return directions
