"""Ways to build a valence axis without labels of valence, and how well it returns from other stories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np

from kernel import checks
from kernel.arrays import real
from kernel.language.axis import ValenceAxis
from kernel.language.hidden import AFFECT_CUE, hidden_states
from kernel.language.models import LanguageModel, Model, load_language_model
from kernel.language.stories import Stories, diverse_stories

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

    def read(self, lm: LanguageModel, texts: Sequence[str], *, progress: bool = False) -> np.ndarray:
        """States of texts, (n_texts, n_blocks, n_features), one block for each cue and layer."""
        checks.choice("layers", self.layers, LAYERS)
        last = lm.n_layers - 1
        layers = [last] if self.layers == "penultimate" else range(-(-lm.n_layers * 2 // 3), lm.n_layers)
        blocks = [hidden_states(lm, texts, layers, cue, progress=progress) for cue in CUES[: self.cues]]
        return np.concatenate(blocks, axis=1)

    def axes(
        self, states: Mapping[str, np.ndarray], emotions: Sequence[str], *, orient: str = "joy"
    ) -> dict[str, TextAxis]:
        r"""Axes of several models from the same stories.

        With C the emotions' means, centred, after the noise has been dealt with, the component is the first
        eigenvector c of :math:`C C^\top`; models share that of the mean of these matrices, each divided by
        its trace. The direction is :math:`C^\top c`, which for a model's own c is its principal component.

        Parameters
        ----------
        states : mapping of model to array, shape (n_stories, n_blocks, n_features)
            As `read` gives them; blocks are brought to equal variance.
        emotions : sequence of str, length n_stories
            Class of each story.
        orient : str
            Class that lies at a positive position.

        Returns
        -------
        dict of model to TextAxis
        """
        spaces = {model: _Stories(X, emotions, orient) for model, X in states.items()}
        directions = _directions(spaces, np.arange(len(emotions)), self, orient)
        return {model: spaces[model].axis(direction, self) for model, direction in directions.items()}


#: Every candidate, the default axis first.
RECIPES = tuple(Recipe(*choice) for choice in product((1, len(CUES)), LAYERS, NOISE, COMPONENTS))
#: The models on which the recipes were compared.
BUNDLED = ("SmolLM2-135M-Instruct", "Gemma-3-270M")
#: The recipe that `reproducibility` ranks first among `RECIPES`.
STEADY = Recipe(len(CUES), "penultimate", "kept", "shared")


class TextAxis(NamedTuple):
    """An axis of the states that `Recipe.read` gives, in standard deviations over its emotions.

    `positions` are those of the emotions, zero the mean of the stories; `mean` and `weights` have the shape
    (n_blocks, n_features). `lm` is the model that reads texts, None for an axis from states alone.
    """

    positions: dict[str, float]
    mean: np.ndarray
    weights: np.ndarray
    recipe: Recipe
    lm: LanguageModel | None = None

    def project(self, states: np.ndarray) -> np.ndarray:
        """Positions of texts, (n_texts,), from their states (n_texts, n_blocks, n_features)."""
        return np.tensordot(np.asarray(states, dtype=float) - self.mean, self.weights, 2)

    def score(self, texts: Sequence[str], *, progress: bool = False) -> np.ndarray:
        """Positions of texts, (n_texts,), which the axis' own model reads."""
        if self.lm is None:
            raise ValueError("built from states, this axis has no model: project what Recipe.read gives")
        return self.project(self.recipe.read(self.lm, texts, progress=progress))


def steady_axis(
    lm: Model,
    stories: Mapping[str, str | Sequence[str]] | None = None,
    *,
    partners: Sequence[Model] = BUNDLED,
    orient: str = "joy",
    progress: bool = False,
) -> TextAxis:
    """The recommended axis without labels of valence: five cues, twelve stories, a component models share.

    Parameters
    ----------
    lm : LanguageModel, str or path
        A loaded model, or what `load_language_model` takes, whose errors it has.
    stories : mapping of emotion to story or stories, optional
        None takes the twelve of each of FACED's nine emotions.
    partners : sequence of LanguageModel, str or path
        Models that read the stories too and share the component; `lm` itself is left out. Without any, the
        axis is the model's own first component, which returns less well from other stories.
    orient : str
        Emotion that lies at a positive position.
    progress : bool
        Show progress bars.

    Returns
    -------
    TextAxis
        ValueError if two different models have one name, or `orient` has no stories.

    Examples
    --------
    >>> axis = steady_axis("SmolLM2-135M-Instruct")                                  # doctest: +SKIP
    >>> axis.positions["fear"], axis.score(["What a day!"])                          # doctest: +SKIP
    """
    if stories is None:
        known = diverse_stories(12)
        texts, emotions = list(known.texts), list(known.emotions)
    else:
        texts, emotions = Stories.told(stories)
    checks.choice("orient", orient, sorted(set(emotions)))
    partners = checks.sequence("partners", partners)
    lm = lm if isinstance(lm, LanguageModel) else load_language_model(lm)
    states = {lm.name: STEADY.read(lm, texts, progress=progress)}
    for partner in partners:
        if partner is lm or partner == lm.name:
            continue
        partner = partner if isinstance(partner, LanguageModel) else load_language_model(partner)
        if partner.name in states:
            raise ValueError(f"two models have the name {partner.name!r}: give one another `name`")
        states[partner.name] = STEADY.read(partner, texts, progress=progress)
    return STEADY.axes(states, emotions, orient=orient)[lm.name]._replace(lm=lm)


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
    in each of them every emotion; other arguments as for `Recipe.axes`.
    """
    checks.count("n_splits", n_splits)
    spaces = {model: _Stories(X, emotions, orient) for model, X in states.items()}
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

    def __init__(self, states: np.ndarray, emotions: Sequence[str], orient: str) -> None:
        states = real(states, "states")
        checks.shape("states", states, (len(emotions), None, None))
        self.mean = states.mean(0)
        centred = states - self.mean
        self.scale = np.sqrt((centred**2).sum(-1).mean(0))[:, None]
        left, singular, self.basis = np.linalg.svd(
            (centred / self.scale).reshape(len(states), -1), full_matrices=False
        )
        self.rows = left * singular
        self.emotions = np.array(emotions, dtype=object)
        self.classes = ValenceAxis(orient=orient).fit(self.rows, emotions).classes_

    def means(self, rows: np.ndarray) -> np.ndarray:
        """Means of the emotions over some stories, (n_classes, n_coordinates)."""
        return np.stack([self.rows[rows[self.emotions[rows] == name]].mean(0) for name in self.classes])

    def cleaning(self, rows: np.ndarray, noise: str) -> np.ndarray:
        """Symmetric map of coordinates that deals with the variation of some stories within emotions."""
        identity = np.eye(self.rows.shape[1])
        if noise == "kept":
            return identity
        number = [self.classes.index(name) for name in self.emotions[rows]]
        residuals = self.rows[rows] - self.means(rows)[number]
        _, singular, directions = np.linalg.svd(residuals, full_matrices=False)
        if noise == "main directions removed":
            return identity - directions[:N_MAIN].T @ directions[:N_MAIN]
        freedom = len(rows) - len(self.classes)
        variances = singular**2 / freedom
        ridge = variances.sum() / freedom
        inverse = 1 / np.sqrt(variances + ridge) - 1 / np.sqrt(ridge)
        return identity / np.sqrt(ridge) + (directions.T * inverse) @ directions

    def axis(self, direction: np.ndarray, recipe: Recipe) -> TextAxis:
        positions = self.means(np.arange(len(self.rows))) @ direction
        direction, positions = direction / positions.std(), positions / positions.std()
        weights = (direction @ self.basis).reshape(self.mean.shape) / self.scale
        return TextAxis(dict(zip(self.classes, positions.tolist(), strict=True)), self.mean, weights, recipe)


def _directions(
    spaces: Mapping[str, _Stories], rows: np.ndarray, recipe: Recipe, orient: str
) -> dict[str, np.ndarray]:
    """Directions of models in their stories' coordinates, from some of the stories."""
    checks.choice("noise", recipe.noise, NOISE)
    checks.choice("component", recipe.component, COMPONENTS)
    cleanings = {model: stories.cleaning(rows, recipe.noise) for model, stories in spaces.items()}
    axes = {
        model: ValenceAxis(orient=orient).fit(stories.rows[rows] @ cleanings[model], stories.emotions[rows])
        for model, stories in spaces.items()
    }
    directions = {model: axis.direction_ for model, axis in axes.items()}
    if recipe.component == "shared":
        centred = {model: axis.centroids_ - axis.mean_ for model, axis in axes.items()}
        products = [C @ C.T / (C**2).sum() for C in centred.values()]
        component = np.linalg.eigh(np.mean(products, axis=0))[1][:, -1]
        for model, C in centred.items():
            direction = C.T @ component
            side = np.sign(C[axes[model].classes_.index(orient)] @ direction)
            directions[model] = side * direction / np.linalg.norm(direction)
    return {model: cleanings[model] @ direction for model, direction in directions.items()}
