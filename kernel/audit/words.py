"""Rows of stored tables that several language models give on stories, rated texts and words.

A part of a table is named by its texts and its model. Models and states stay in memory and in the cache, so
that parts of one model share them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import zscore

from kernel import stats
from kernel.language import sentiment
from kernel.language.axis import ValenceAxis, agreement
from kernel.language.hidden import AFFECT_CUE, bare_and_cued_states, hidden_states
from kernel.language.models import LanguageModel, load_language_model
from kernel.language.recipes import (
    BUNDLED,
    CUES,
    LAYERS,
    RECIPES,
    STEADY,
    Recipe,
    reproducibility,
    steady_axis,
)
from kernel.language.sentiment import Benchmark, load_benchmark, zero_shot
from kernel.language.stories import EMOTIONS, VALENCE_CODE, Stories, diverse_stories, load_stories

MODELS = (*BUNDLED, "Qwen2.5-Coder-0.5B-Instruct")
#: The asset of each model.
ASSETS = dict(zip(MODELS, ("smollm2-135m-instruct", "gemma-3-270m", "qwen2.5-coder-0.5b"), strict=True))
SNIPPETS = ("movie", "amazon", "tweets", "editorials", "lexicon")
#: What a table takes of each set of texts: options of `load_benchmark`.
SETS: Mapping[str, dict[str, Any]] = {
    **{name: {"n": 400, "min_abs_rating": 1.0} for name in SNIPPETS},
    "sst2": {},
    "rotten_tomatoes": {"n": 400},
    "tweeteval": {"n": 400},
    "emobank": {"n": 400, "neutral": True},
    "emobank arousal": {"n": 400, "neutral": True, "rating": "arousal"},
    "warriner": {"n": 400, "neutral": True},
    "warriner arousal": {"n": 400, "neutral": True, "rating": "arousal"},
    **{
        f"labmt {language}": {"n": 200, "neutral": True, "language": language}
        for language in ("English", "German", "Spanish", "Chinese")
    },
}
#: Comments of each emotion of GoEmotions.
N_COMMENTS = 30

_GROUPS = {
    **{f"{cues}, {layers}": (BUNDLED, cues, layers) for cues in (1, len(CUES)) for layers in LAYERS},
    "three models": (MODELS, STEADY.cues, STEADY.layers),
}
RECIPE_PARTS = tuple(_GROUPS)
POSITION_PARTS = (*RECIPE_PARTS, "default axes")
SCORE_PARTS = tuple(
    f"{texts}; {model}"
    for texts in SETS
    for model in (*(BUNDLED if texts in SNIPPETS else MODELS), "no model")
    if model != "no model" or not texts.startswith("labmt")
)
COMMENT_PARTS = tuple(f"goemotions; {model}" for model in MODELS)
AGREEMENT_PARTS = ("snippets", "sst2", "rotten_tomatoes", "tweeteval", "emobank")


def needs(part: str) -> list[str]:
    """Assets that a part is computed from."""
    texts, _, model = part.partition("; ")
    name = texts.partition(" ")[0]
    models: tuple[str, ...] = BUNDLED
    if model in MODELS:
        models = (model,) if texts != "sst2" else tuple(dict.fromkeys((*BUNDLED, model)))
    elif part in ("three models", "default axes", *AGREEMENT_PARTS[1:]):
        models = MODELS
    needed = [ASSETS[one] for one in models] if model != "no model" else []
    if model == "no model" or texts == "sst2":
        needed += ["all-minilm-l6-v2", "vader-lexicon"]
    if texts in (*SNIPPETS, "snippets"):
        return [*needed, "vader-lexicon" if texts == "lexicon" else "hutto-snippets"]
    return [*needed, name] if name in ("goemotions", *(key.partition(" ")[0] for key in SETS)) else needed


def recipe_reproducibility(material: None, part: str) -> pd.DataFrame:
    """How well candidates for an axis return from other stories: models, and the mean correlation."""
    models, cues, layers = _GROUPS[part]
    stories, states = diverse_stories(12), _story_states(models, Recipe(cues, layers))
    rows = []
    for recipe in _recipes(cues, layers):
        returns = reproducibility(states, stories.emotions, stories.indices, recipe, random_state=0)
        rows += [
            {**recipe._asdict(), "model": one, "other": other, "r": returns[i, j]}
            for i, one in enumerate(models)
            for j, other in enumerate(models)
        ]
    return pd.DataFrame(rows)


def recipe_positions(material: None, part: str) -> pd.DataFrame:
    """Positions of the nine emotions on axes from stories, in standard deviations over them."""
    if part == "default axes":
        sets = {"six stories": diverse_stories(), "fifty tellings": load_stories()}
        axes = {
            (name, label): _default_axis(_loaded(name), stories)
            for name in MODELS
            for label, stories in sets.items()
        }
        return pd.concat([_scaled(axis.positions_, *key, Recipe()) for key, axis in axes.items()])
    models, cues, layers = _GROUPS[part]
    stories, states = diverse_stories(12), _story_states(models, Recipe(cues, layers))
    return pd.concat(
        _scaled(np.array(list(axis.positions.values())), model, "twelve stories", recipe)
        for recipe in _recipes(cues, layers)
        for model, axis in recipe.axes(states, stories.emotions).items()
    )


def _scaled(positions: np.ndarray, model: str, stories: str, recipe: Recipe) -> pd.DataFrame:
    scaled = positions / positions.std()
    return pd.DataFrame({"emotion": EMOTIONS, "position": scaled}).assign(
        model=model, stories=stories, **recipe._asdict()
    )


def text_scores(material: None, part: str) -> pd.DataFrame:
    """Ways to score texts without their labels, and one with a hundred of them, against people's ratings.

    `p` ranks ``|AUC - .5|`` of the default axes among isotropic directions, `p_matched` among directions with
    the texts' covariance. Of SST-2 two more rows, "steady minus ...", have differences of AUCs.
    """
    texts, _, model = part.partition("; ")
    name = texts.partition(" ")[0]
    benchmark = load_benchmark(name, **SETS[texts])
    if model == "no model":
        rows = _score_rows(benchmark, _scores_without_model(benchmark.texts))
        return rows.assign(p=np.nan, p_matched=np.nan, texts=texts, model=model)
    lm = _loaded(model)
    before, after = bare_and_cued_states(lm, benchmark.texts, [-2, -1], progress=False)
    bare, cued = before[:, 0], after[:, 0]
    scores, nulls, sided = {}, {}, benchmark.ratings != 0
    for label, states, stories in (
        ("bare, six stories", bare, diverse_stories()),
        ("cued, six stories", cued, diverse_stories()),
        ("bare, fifty tellings", bare, load_stories()),
        ("cued, fifty tellings", cued, load_stories()),
        ("cued, twelve stories", cued, diverse_stories(12)),
    ):
        axis = _default_axis(lm, stories, cued="cued" in label)
        scores[label] = axis.project(states)
        nulls[label] = [
            stats.spread_null(
                states[sided], benchmark.labels[sided], axis.direction_, n_directions=2000, covariance=kind,
                random_state=0,
            ).p
            for kind in (None, "matched")
        ]  # fmt: skip
    scores["difference of means"] = cued @ _difference_of_means(lm)
    scores["good or bad"] = after[:, 1] @ _good_minus_bad(lm)
    rows = _score_rows(benchmark, scores)
    for column, which in (("p", 0), ("p_matched", 1)):
        rows[column] = rows["method"].map({label: null[which] for label, null in nulls.items()})
    further = _steady_and_labelled(lm, benchmark, scores, cued) if texts == "sst2" else []
    return pd.concat([rows, *further]).assign(texts=texts, model=model)


def _steady_and_labelled(
    lm: LanguageModel, benchmark: Benchmark, scores: Mapping[str, np.ndarray], cued: np.ndarray
) -> list[pd.DataFrame]:
    """Rows of the steady axis, of its gains over others, and of a hundred labels, from cued states."""
    steady = steady_axis(lm, partners=[_loaded(name) for name in BUNDLED]).score(benchmark.texts)
    rivals = _scores_without_model(benchmark.texts)
    rivals |= {method: scores[method] for method in ("difference of means", "good or bad")}
    best = max(rivals, key=lambda rival: float(stats.auc(rivals[rival], benchmark.labels)))
    others = {"cued, six stories": scores["cued, six stories"], best: rivals[best]}
    curve = sentiment.supervised_curve(cued, benchmark.labels, [100], n_repeats=20)["auc"]
    labelled = stats.Interval(curve.mean(), *np.percentile(curve, [2.5, 97.5]))
    row = {"method": "100 labels", "n": len(benchmark) - 100, **_interval("auc", labelled)}
    return [
        _score_rows(benchmark, {"steady": steady}),
        _gains(steady, others, benchmark),
        pd.DataFrame([row]),
    ]


def models_agree(material: None, part: str) -> pd.DataFrame:
    """Correlations of models' positions of the same texts on their default axes; sets are standardised."""
    names = SNIPPETS[:4] if part == "snippets" else (part,)
    models = BUNDLED if part == "snippets" else MODELS
    rows = []
    for label, stories in (("six stories", diverse_stories()), ("fifty tellings", load_stories())):
        scores = {}
        for model in models:
            lm = _loaded(model)
            axis = _default_axis(lm, stories)
            texts = [load_benchmark(name, **SETS[name]).texts for name in names]
            states = [bare_and_cued_states(lm, one, [-2, -1], progress=False)[1][:, 0] for one in texts]
            scores[model] = [zscore(axis.project(one)) for one in states]
        for chosen in (names, *([(name,) for name in names] if len(names) > 1 else [])):
            rows_of = [names.index(name) for name in chosen]
            vectors = {model: np.concatenate([scores[model][k] for k in rows_of]) for model in models}
            for pair in combinations(models, 2):
                mean = agreement({m: vectors[m] for m in pair}, n_resamples=500, random_state=0).overall
                row: dict[str, Any] = {"stories": label, "set": part if chosen == names else chosen[0]}
                row |= {"model": pair[0], "other": pair[1], "n": len(vectors[pair[0]])}
                rows.append({**row, **_interval("r", mean)})
    return pd.DataFrame(rows)


def comments(material: None, part: str) -> pd.DataFrame:
    """Mean positions of comments of each emotion of GoEmotions on the default axis, in sd of all comments."""
    model = part.partition("; ")[2]
    lm, stories = _loaded(model), diverse_stories()
    everything = load_benchmark("goemotions", neutral=True)
    emotions, rng = np.array(everything.emotions), np.random.default_rng(0)
    chosen = {
        emotion: rng.permutation(np.flatnonzero(emotions == emotion))[:N_COMMENTS]
        for emotion in sorted(set(everything.emotions))
    }
    rows = np.concatenate(list(chosen.values()))
    texts = [everything.texts[row] for row in rows]
    scores = zscore(
        _default_axis(lm, stories).project(hidden_states(lm, texts, cue=AFFECT_CUE, progress=False)[:, 0])
    )
    return pd.DataFrame(
        {"emotion": e, "n": len(chosen[e]), "position": scores[emotions[rows] == e].mean()} for e in chosen
    ).assign(model=model)


def _recipes(cues: int, layers: str) -> list[Recipe]:
    return [recipe for recipe in RECIPES if (recipe.cues, recipe.layers) == (cues, layers)]


def _default_axis(lm: LanguageModel, stories: Stories, cued: bool = True) -> ValenceAxis:
    """A model's default axis from some stories, read with or without the cue."""
    states = bare_and_cued_states(lm, stories.texts, progress=False)[cued][:, 0]
    return ValenceAxis().fit(states, stories.emotions)


@lru_cache(maxsize=len(MODELS))
def _loaded(name: str) -> LanguageModel:
    return load_language_model(name)


def _story_states(models: Sequence[str], recipe: Recipe) -> dict[str, np.ndarray]:
    return {name: recipe.read(_loaded(name), diverse_stories(12).texts) for name in models}


def _scores_without_model(texts: Sequence[str]) -> dict[str, np.ndarray]:
    """Scores by sentence-encoder prototypes, from the default stories and from twelve, and by a lexicon."""
    return {
        "VADER": sentiment.vader_scores(texts),
        "MiniLM prototypes": sentiment.prototype_scores(texts, diverse_stories()),
        "MiniLM, twelve stories": sentiment.prototype_scores(texts, diverse_stories(12)),
    }


def _difference_of_means(lm: LanguageModel) -> np.ndarray:
    """Mean cued state of the stories of positive emotions minus that of negative ones, (n_features,)."""
    stories = diverse_stories(12)
    states = hidden_states(lm, stories.texts, cue=AFFECT_CUE, progress=False)[:, 0]
    sign = np.array([VALENCE_CODE[emotion] for emotion in stories.emotions])
    difference: np.ndarray = states[sign > 0].mean(0) - states[sign < 0].mean(0)
    return difference


def _good_minus_bad(lm: LanguageModel) -> np.ndarray:
    """Direction of the last layer along which " good" becomes likelier than " bad", (n_features,)."""
    if lm.causal is None:
        raise ValueError(
            f"{lm.name} prefers no next word, as it has no language-model head: take a causal one"
        )
    good, bad = (lm.tokenizer(word, add_special_tokens=False)["input_ids"][0] for word in (" good", " bad"))
    words = lm.causal.get_output_embeddings().weight.detach().float().cpu().numpy()
    difference: np.ndarray = words[good] - words[bad]
    return difference


def _interval(name: str, interval: stats.Interval | None) -> dict[str, float]:
    assert interval is not None  # two vectors always have one pair
    return dict(zip((name, f"{name}_low", f"{name}_high"), interval, strict=True))


def _score_rows(benchmark: Benchmark, scores: Mapping[str, np.ndarray]) -> pd.DataFrame:
    rows = []
    for method, values in scores.items():
        result = zero_shot(values, benchmark)
        intervals = {**_interval("auc", result.auc), **_interval("pearson", result.pearson)}
        rows.append({"method": method, "n": result.n, **intervals})
    return pd.DataFrame(rows)


def _gains(steady: np.ndarray, others: Mapping[str, np.ndarray], benchmark: Benchmark) -> pd.DataFrame:
    """Differences of AUCs between the steady axis and others, with intervals over texts."""
    labels, rows = benchmark.labels, []
    for name, scores in others.items():
        gain = stats.bootstrap_interval(
            lambda a, b, y: stats.auc(a, y) - stats.auc(b, y),
            steady,
            scores,
            labels,
            strata=labels,
            random_state=0,
        )
        rows.append({"method": f"steady minus {name}", "n": len(benchmark), **_interval("auc", gain)})
    return pd.DataFrame(rows)
