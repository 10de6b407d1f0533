# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---


# %% [markdown]
# # 1. The axis: nine emotions, one direction
#
# **The question.** The paper gives a language model one short story for each of nine emotions, each told in fifty ways. It takes the
# model's state at the last word, averages the states of each emotion, and draws the line along which the nine averages differ most (their
# first principal component, PC1). This line, it says, is *valence*: it runs from bad to good in any modern model, one story for each
# emotion is nearly enough, and other stories give the same line {cite:p}`radwan2026shared`. Is that so in models that a laptop can hold?
#
# **The answer in short.** Yes, if one asks the model how the text makes it feel; hardly, if one reads it as the paper does. With the words "This made me feel
# very" after each text, the line puts a good film review above a bad one in 91 to 95 of 100 pairs (an {term}`AUC` of .91 to .95; guessing gives .5); without them, in 45 to 72. The line is also
# less firm than the paper says: single stories may turn it upside down. And it blunders: fear or sadness lands above amusement.
#
# **You will learn** how an axis is built from nine points, why its share of variance proves nothing, and how far it depends on its stories.
#
# **Data of this chapter.** Two real language models, SmolLM2-135M-Instruct {cite:p}`allal2025smollm2` and Gemma-3-270M
# {cite:p}`gemma2025gemma3`; 549 stories written for this project; real human ratings of movie snippets
# {cite:p}`hutto2014vader`; and, in one section, what 123 people felt at 28 film clips, as means over people {cite:p}`chen2023faced`. Nothing is simulated. Both models (135 and 270 million parameters) are smaller than any of the paper's fourteen (560 million to 109 billion), and what they do says nothing
# about those. Gemma is provided under and subject to the [Gemma Terms of Use](https://ai.google.dev/gemma/terms): using it means accepting them.
#
# **Time.** 9 minutes to read, four to run (two processor cores). **In the paper.** The construction of the axis from nine sentences; the claims of part C1 of [the ledger](../book/claims.md).

# %% tags=["hide-input"]
import itertools

import numpy as np
import pandas as pd
from scipy.stats import zscore

from kernel import claims, interactive, plots, stats, style
from kernel.audit import store
from kernel.brain.ratings import load_ratings
from kernel.language.axis import ValenceAxis, agreement, bootstrap_direction, shuffled_shares
from kernel.language.hidden import AFFECT_CUE, bare_and_cued_states, hidden_states
from kernel.language.models import REGISTRY, load_language_model
from kernel.language.sentiment import load_benchmark
from kernel.language.stories import CLIP_EMOTIONS, EMOTIONS, VALENCE_CODE, diverse_stories, load_stories

plots.set_style()
MODELS = ("SmolLM2-135M-Instruct", "Gemma-3-270M")
READOUTS = ("cued", "bare")
SHORT = {name: name.split("-")[0] for name in MODELS}

# %% tags=["remove-cell"]
for label, bundled in (("the bundled models", True), ("the paper's", False)):
    sizes = [card.n_parameters / 1e9 for card in REGISTRY.values() if card.bundled is bundled]
    print(f"{label} ({len(sizes)}): nominally {min(sizes):.3g} to {max(sizes):.3g} billion parameters")

# %% [markdown]
# ## One axis from nine averages
#
# With $c_k$ the mean hidden state of emotion $k$, and $\bar c$ the mean of the nine, the axis is the direction of length one along which they differ most:
#
# $$ v = \arg\max_{\lVert v \rVert = 1} \sum_{k=1}^{9} \bigl( (c_k - \bar c) \cdot v \bigr)^2 $$
#
# Its sign is free; joy has to lie on the positive side. We build it in four ways, from two choices. *Read-out*: we take the state at the last token of the story *bare*, as in the paper, or after a short {term}`cue <affect cue>`
# ("This made me feel very"), which asks the model for the feeling first. *Stories*: *fifty tellings* of one
# story for each emotion, as in the paper, or *six stories* on different topics, told once each. Three of the nine emotions:

# %%
STORIES = {"fifty tellings": load_stories(), "six stories": diverse_stories()}
movie = load_benchmark("movie", n=400, min_abs_rating=1.0)
words = load_benchmark("lexicon", n=24, min_abs_rating=1.0)
twelve = diverse_stories(12)
pd.DataFrame(
    {"emotion": e, "its first story": STORIES["fifty tellings"].sources[e], "another telling": t}
    for e, t, i in zip(STORIES["fifty tellings"].emotions, STORIES["fifty tellings"].texts, STORIES["fifty tellings"].indices, strict=True)
    if i == 1
).set_index("emotion").loc[["anger", "neutral", "joy"]]

# %% [markdown]
# Each telling repeats the whole story in other words, and passes the paper's filters: 5 to 80 tokens, and a cosine distance of
# at least .10 to the source in the paper's sentence encoder. The paper's own tellings are not public.

# %%
S, M, W = {}, {}, {}  # states of the stories, of the movie snippets and, cued, of the words (every layer)
T, tokens = {}, {}  # cued penultimate states of twelve stories an emotion, and tokens of the six
for name in MODELS:
    lm = load_language_model(name)
    T[name] = hidden_states(lm, twelve.texts, cue=AFFECT_CUE, progress=False)[:, 0]
    tokens[name] = np.array([len(row) for row in lm.tokenizer(list(STORIES["six stories"].texts))["input_ids"]])
    W[name] = hidden_states(lm, words.texts, "all", AFFECT_CUE, progress=False)
    M[name, "bare"], M[name, "cued"] = bare_and_cued_states(lm, movie.texts, "all", progress=False)
    for kind, stories in STORIES.items():
        S[name, "bare", kind], S[name, "cued", kind] = bare_and_cued_states(lm, stories.texts, "all", progress=False)

axes = {
    (name, readout, kind): ValenceAxis().fit(S[name, readout, kind][:, -2], STORIES[kind].emotions)
    for name, readout, kind in itertools.product(MODELS, READOUTS, STORIES)
}

# %% [markdown]
# ## Good and bad come apart, with blunders
#
# If this is an axis of valence, brown emotions (bad) should lie on the left and teal ones (good) on the right.

# %% mystnb={"image": {"alt": "Four panels of dots, one for each combination of two real language models and two sets of stories. Rows are nine emotions from anger to tenderness; the horizontal axis is position on the valence axis in standard deviations of the class means. Small dots are stories, large dots class means; negative emotions are brown, positive ones teal."}, "figure": {"caption": "**The ends of the axis are good and bad; its middle is out of order (real models, read with the cue).** Small dots: stories; large dots: means of an emotion. Emotions run from negative (brown) to positive (teal) in this and every figure."}}
fig = plots.plot_positions(
    {
        f"{SHORT[name]}, {kind}": (
            axes[name, "cued", kind],
            axes[name, "cued", kind].project(S[name, "cued", kind][:, -2]),
            STORIES[kind].emotions,
        )
        for name, kind in itertools.product(MODELS, STORIES)
    }
)

# %% [markdown]
# Anger and disgust lie on the left, joy and inspiration on the right, in all four panels. In between, the order is not that of people: in every panel
# fear or sadness lies above amusement, and in one of them neutral stories lie as low as angry ones. Nobody told the model which emotions are good.
#
# ## Read with a cue the axis sorts film reviews, read bare it hardly does
#
# We project 400 movie snippets that people rated onto each of the eight axes.

# %%
code = np.array([VALENCE_CODE[e] for e in EMOTIONS], dtype=float)


def describe(key):
    name, readout, kind = key
    axis, snippets = axes[key], M[name, readout][:, -2]
    share_null = shuffled_shares(S[key][:, -2], STORIES[kind].emotions, random_state=0)
    order = stats.permutation_test(stats.spearman, axis.positions_, code, random_state=0)
    auc = stats.bootstrap_interval(stats.auc, axis.project(snippets), movie.labels, strata=movie.labels, random_state=0)
    spread = stats.spread_null(snippets, movie.labels, axis.direction_, random_state=0)
    return {
        "share": axis.explained_variance_ratio_[0],
        "share p": stats.permutation_p(axis.explained_variance_ratio_[0], share_null, alternative="greater"),
        "order": abs(order.observed), "order p": order.p,
        "AUC": auc.value, "AUC low": auc.low, "AUC high": auc.high, "AUC p": spread.p,
    }


summary = pd.DataFrame({key: describe(key) for key in axes}).T.rename_axis(["model", "read-out", "stories"])

# %% mystnb={"image": {"alt": "Forest plot: area under the curve on rated movie snippets for two real models, two sets of stories and two read-outs, with 95 % intervals and a dotted line at one half; colour shows the set of stories."}, "figure": {"caption": "**Read with the cue every axis sorts film reviews; read bare, hardly one does (real models, real ratings).** Bars: 95 % bootstrap intervals over snippets; dotted: chance."}}
labels = summary.reset_index()
labels["label"] = labels["model"].map(SHORT) + ", " + labels["read-out"]
labels = labels.rename(columns={"AUC low": "AUC_low", "AUC high": "AUC_high"})
fig = plots.plot_forest(labels, value="AUC", group="stories", label="AUC on movie snippets", reference=0.5)

# %% [markdown]
# All four cued axes sort the snippets well, six different stories at least as well as fifty tellings of one. How much of this is chance? The table ranks three figures of each axis among what chance gives.
#
# - *AUC p* ranks $|\mathrm{AUC} - .5|$ among random directions of the same states, each equally likely. This {term}`null` was [chosen after a first look](../book/rules.md); [the next chapter](02_sentiment.ipynb) shows a harder one, against which the axis is not significant.
# - *Order* is the rank correlation (Spearman) of the nine positions with the code $-1, 0, +1$ for bad, neutral and good emotions; *p* counts all distinct orders of the code, on both sides, because the sign of the axis is a convention.
# - *Share* is the part of the variance between the nine averages that the axis takes; *p* shuffles emotions over stories.

# %%
printed = summary.rename(index=SHORT).set_axis([", ".join(key) for key in summary.rename(index=SHORT).index])
digits = {"AUC p": 3, "order": 2, "order p": 2, "share": 2, "share p": 2}
pd.DataFrame({name: printed[name].map(f"{{:.{n}f}}".format) for name, n in digits.items()})

# %% [markdown]
# Of the four bare axes only Gemma's with fifty tellings is beyond its null. The share of variance of the cued axes, 28 to 32 %, is what stories with shuffled emotions give as well (p between .4 and .8): after the cue, the first component takes about
# that much whatever the emotions are.
#
# ## Single stories may turn the axis upside down
#
# First we build fifty axes, each from one telling of every emotion, drawn at random. Then we build one axis from each of our six sets of
# nine different stories. Joy decides the sign, so an AUC far *below* one half means that the direction is there and points the wrong way.

# %%
def draws(name, n_draws=50, random_state=0):
    """AUC and cosine to the full axis of axes built from one telling an emotion."""
    rng = np.random.default_rng(random_state)
    key = (name, "cued", "fifty tellings")
    emotions = np.array(STORIES["fifty tellings"].emotions)
    picks = np.array([[rng.choice(np.flatnonzero(emotions == e)) for e in EMOTIONS] for _ in range(n_draws)])
    fitted = [ValenceAxis().fit(S[key][pick, -2], EMOTIONS) for pick in picks]
    scores = np.stack([a.project(M[name, "cued"][:, -2]) for a in fitted])
    return stats.auc(scores, movie.labels), np.array([a.direction_ @ axes[key].direction_ for a in fitted])


def by_set(name):
    """Projections of the snippets on the axes of the six sets of nine single stories."""
    states, index = S[name, "cued", "six stories"][:, -2], np.array(STORIES["six stories"].indices)
    emotions = np.array(STORIES["six stories"].emotions)
    fitted = [ValenceAxis().fit(states[index == k], emotions[index == k]) for k in range(6)]
    return {f"set {k}": a.project(M[name, "cued"][:, -2]) for k, a in enumerate(fitted)}


one_shot = {name: draws(name) for name in MODELS}
sets = {name: by_set(name) for name in MODELS}
pd.DataFrame(
    {
        SHORT[name]: {
            "one telling (95 % of draws)": "{:.2f} to {:.2f}".format(*np.percentile(one_shot[name][0], [2.5, 97.5])),
            **{key: f"{stats.auc(scores, movie.labels):.2f}" for key, scores in sets[name].items()},
            "fifty tellings": f"{summary.loc[(name, 'cued', 'fifty tellings'), 'AUC']:.2f}",
            "six stories": f"{summary.loc[(name, 'cued', 'six stories'), 'AUC']:.2f}",
        }
        for name in MODELS
    }
).rename_axis("AUC on movie snippets")

# %% [markdown]
# A single telling for each emotion gives anything from a good axis to the same axis with the wrong sign, because joy does not always end up on
# the side of good. Averaging over tellings or over topics steadies the axis. How far? We resample the fifty tellings behind an average, and we compare axes of six *other* stories, one each for every emotion:

# %%
firmness = {
    name: bootstrap_direction(S[name, "cued", "fifty tellings"][:, -2], STORIES["fifty tellings"].emotions, n_resamples=300, random_state=0)
    for name in MODELS
}
robust = {name: agreement(sets[name], n_resamples=500, random_state=0) for name in MODELS}
pd.DataFrame(
    {
        SHORT[name]: {
            "tellings resampled: cosine with the axis, lower limit": firmness[name].low,
            "other stories: mean r between the six sets": robust[name].overall.value,
            "other stories: lowest r": robust[name].matrix.min(),
        }
        for name in MODELS
    }
).round(2)

# %% [markdown]
# Averages of fifty tellings hardly move when the tellings are resampled (cosines of .98 and more). Axes of single stories do: in SmolLM2 two of the six sets turn it upside down, so that the projections of two sets correlate .04 on average. Part of that is the single text, not the other story:
# single tellings of one and the same story, above, are no steadier. The paper reports more than .93 between story sets; single stories in our models do not come near it, and we do not know how many texts stand behind each of the paper's sets.
#
# ## A component that models share returns from other stories
#
# Can one build a firmer axis without looking at a single rating? We wrote six more stories for each emotion, twelve in all, and tried twenty-four recipes, which differ in four choices:
#
# - *cues*: the stories are read after one cue or after five;
# - *layers*: at one late layer, the last but one, or at many, the last third;
# - *noise*, what varies between stories of one emotion: we keep it, take out its five main directions, or scale it to be equal in all directions (whiten it);
# - *component*: each model's own first component, or the one that both models share.
#
# We judge a recipe by its *reproducibility*, without ratings. We halve the twelve topics at random, build an axis from each half, let it place the emotions of the *other* half's stories, and correlate the two
# sets of nine positions, within a model and between models. We [wrote this criterion down](../book/rules.md) before any recipe had been scored on a text or compared with people. The table gives the mean correlation.

# %%
returns = store.load("recipe_reproducibility")
two = returns[returns["part"] != "three models"]
print(store.sources(returns))
wide = two.pivot_table(index=["noise", "component"], columns=["cues", "layers"], values="r")
wide.columns = [f"{n} cue{'s' * (n > 1)}, {'many layers' if layers == 'late' else 'one layer'}" for n, layers in wide.columns]
wide.set_axis([f"{noise}, {component}" for noise, component in wide.index]).round(2)

# %% tags=["hide-input"]
alone = two[two["model"] == two["other"]].set_index(["cues", "layers", "noise", "component", "model"])["r"].sort_index()
default, steady = (1, "penultimate", "kept", "first"), (5, "penultimate", "kept", "shared")
pd.DataFrame({"default recipe": alone.loc[default], "five cues, shared component": alone.loc[steady]}).rename(index=SHORT).round(2)

# %% [markdown]
# Sharing helps most: with one cue the mean correlation rises from .79 to .89, with five cues to .91, the highest of all. Within models only SmolLM2 gains, from .68 to .91 between its own halves (second table). To take out what varies between stories of one emotion ruins the axis:
# after a cue, texts vary mostly between good and bad, so what looks like noise *is* the signal. We call the winner the *steady* axis; [chapter 2](02_sentiment.ipynb) scores it on labelled sentences, and
# [chapter 3](03_consistency.ipynb) compares its nine positions with people.
#
# ## Few stories misplace fear, and neutral pulls the axis towards itself
#
# Why do sadness, fear and neutral land where they do? We change one thing at a time, place the nine emotions anew, and compare them with people's mean ratings of film clips, which build nothing (*post hoc*: no rule asks for this).
# The figure shows the two changes that matter: twelve stories in place of six, and an emotion *left out* of the axis on which it is placed. The bars show how far six stories can be trusted: each emotion's stories are drawn anew, with repeats.

# %% tags=["hide-input"]
def centroids(states, emotions):
    return np.stack([states[np.array(emotions) == e].mean(0) for e in EMOTIONS])


def placed(means):
    """Where the first component of nine means puts them, in standard deviations."""
    return zscore(ValenceAxis().fit(means, EMOTIONS).positions_)


def component(means, names):
    return ValenceAxis(orient="joy" if "joy" in names else "inspiration").fit(means, names).direction_


def good_minus_bad(means, names):
    sign = np.array([VALENCE_CODE[e] for e in names])
    return means[sign > 0].mean(0) - means[sign < 0].mean(0)


def left_out(means, direction):
    """Each emotion's place on a direction found in the other eight."""
    keep = ~np.eye(9, dtype=bool)
    return np.array([zscore(means @ direction(means[k], np.array(EMOTIONS)[k]))[~k].item() for k in keep])


def taken_apart(name):
    """Places of the nine emotions by what was changed, and those of the default axis from resampled stories."""
    told = np.array(STORIES["six stories"].emotions)
    cued, bare = (S[name, readout, "six stories"] for readout in READOUTS)
    means, n, number = centroids(cued[:, -2], told), cued.shape[1] - 1, np.array([EMOTIONS.index(e) for e in told])
    length = np.log(tokens[name])
    of_emotion = centroids(length, told)
    within = length - of_emotion[number]
    slope = within @ (cued[:, -2] - means[number]) / (within @ within)
    late = [placed(centroids(cued[:, k], told)) for k in range(-(-n * 2 // 3), n)]
    rng = np.random.default_rng(0)
    again = [np.concatenate([rng.choice(np.flatnonzero(told == e), 6) for e in EMOTIONS]) for _ in range(500)]
    return {
        "default axis, six stories": placed(means),
        "length of the stories removed": placed(means - np.outer(of_emotion, slope)),
        "read bare, without the cue": placed(centroids(bare[:, -2], told)),
        "mean over the last third of the layers": np.mean(late, axis=0),
        "emotion left out of its own axis": left_out(means, component),
        "good minus bad, emotion left out": left_out(means, good_minus_bad),
        "twelve stories": placed(centroids(T[name], twelve.emotions)),
        "twelve stories, emotion left out": left_out(centroids(T[name], twelve.emotions), component),
    }, np.stack([placed(centroids(cued[pick, -2], told[pick])) for pick in again])


people = load_ratings()["valence_mean"].groupby(list(CLIP_EMOTIONS)).mean()[list(EMOTIONS)].to_numpy()
ASKED = ("sadness", "fear", "neutral")
where = [EMOTIONS.index(e) for e in ASKED]
parts = {name: taken_apart(name) for name in MODELS}

# %% mystnb={"image": {"alt": "Three panels, for sadness, fear and neutral: position of the emotion in two real language models on four axes, of six and of twelve stories, with and without the emotion itself, beside a dotted line for people. Bars for six stories are wide. Twelve stories bring fear nearer to people; leaving neutral out of its own axis brings it down."}, "figure": {"caption": "**Twelve stories bring fear down, and leaving neutral out of its own axis brings neutral down (real models, real ratings).** Dotted: people; bars: 95 % of axes from six stories drawn anew."}}
CHANGES = {
    "default axis, six stories": "six stories", "emotion left out of its own axis": "six, left out",
    "twelve stories": "twelve stories", "twelve stories, emotion left out": "twelve, left out",
}
fig, drawn = style.panels(ASKED, (style.PHONE / 3, 2.7), xlabel="position (sd)", share="xy")
for ax, k in zip(drawn, where, strict=True):
    style.dotted(ax, style.INK, x=zscore(people)[k])
    for shift, colour, (name, (changed, again)) in zip((-0.15, 0.15), style.SERIES, parts.items(), strict=False):
        ax.plot([changed[key][k] for key in CHANGES], np.arange(4) + shift, "o", ms=5, color=colour, label=SHORT[name])
        ax.plot(np.percentile(again[:, k], [2.5, 97.5]), [shift, shift], color=colour, lw=1.6)
    ax.set_yticks(range(4), CHANGES.values())
drawn[0].invert_yaxis()
legend = fig.legend(*drawn[0].get_legend_handles_labels(), loc="outside upper right", ncols=2)

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "All eight changes in numbers", "code_prompt_hide": "All eight changes in numbers"}
columns = {}
for name, (changed, again) in parts.items():
    low, high = np.percentile(again[:, where], [2.5, 97.5], axis=0)
    for k, emotion in enumerate(ASKED):
        columns[SHORT[name], emotion] = {
            "people": f"{zscore(people)[where[k]]:.2f}",
            **{key: f"{places[where[k]]:.2f}" for key, places in changed.items()},
            "default axis, stories resampled (95 %)": f"{low[k]:.1f} to {high[k]:.1f}",
        }
    r = {key: stats.pearson(places, people) for key, places in changed.items()}
    columns[SHORT[name], "r, nine emotions"] = {key: f"{value:.2f}" for key, value in r.items()}
pd.DataFrame(columns).fillna("")

# %% [markdown]
# - *Fear* is misplaced because six stories are too few to fix the place of a single emotion: drawn anew, they put fear anywhere between −1.5 and 1.2 in SmolLM2, and hardly less widely in Gemma. Twelve stories bring it down to −.76 and −.52 (people: −1.16), and the correlation of all nine emotions with people up to .79 in both models.
# - *Neutral* pulls the axis towards itself. With twelve stories it lies at 1.32 and .92, far above where people put it (.07), but at .27 and .48 once it is left out of its own axis.
# - *Sadness* stays too high (people: −.93). In Gemma nothing that we changed explains that, nor does the draw of the stories (−.6 to .7).
#
# The fold has what explains less. Without the part that the length of a story predicts, sadness comes nearer to people in SmolLM2, but the correlation falls in both models. Without the cue it is lower, too. The difference of good and
# bad means, which is told the signs that the axis must find, comes nearer to people in both (.85 and .73).
#
# **What could fool us.** These are eight looks at nine values, taken after we had seen where the emotions lay, so a correlation that is .1 higher may be chance. People rated film clips and not our stories, and an emotion's clips need not be as sad or as frightening
# as its stories. To leave an emotion out also changes what the others are compared with. And the draws repeat stories, which makes the axis shakier than six different stories would.
#
# ## The axis appears in the second half of the layers
#
# We fit the same axis at every layer, read with the cue, and let each sort the snippets.

# %% mystnb={"image": {"alt": "Line charts in two rows over relative depth, one line for each real model: zero-shot area under the curve, share of variance of the first component, and cosine to the penultimate layer's axis."}, "figure": {"caption": "**The axis appears in the second half of the layers (real models, read with the cue).** Depth 1 is the last layer."}}
def sweep(name):
    """Axes of all layers above the input, and the snippets' projections on them, (n_layers, n_texts)."""
    states, snippets = S[name, "cued", "six stories"], M[name, "cued"]
    depth = range(1, states.shape[1])
    fitted = [ValenceAxis().fit(states[:, k], STORIES["six stories"].emotions) for k in depth]
    return fitted, np.stack([axis.project(snippets[:, k]) for k, axis in zip(depth, fitted, strict=True)])


swept = {name: sweep(name) for name in MODELS}
layers = pd.DataFrame(
    {
        "model": SHORT[name], "layer": k, "depth": k / len(fitted), "auc": stats.auc(scores[k - 1], movie.labels),
        "share": axis.explained_variance_ratio_[0], "cosine": axis.direction_ @ axes[name, "cued", "six stories"].direction_,
    }
    for name, (fitted, scores) in swept.items()
    for k, axis in enumerate(fitted, start=1)
)
fig = plots.plot_layer_sweep(layers)

# %% [markdown]
# In the first half of the layers the axis is weak or has the wrong sign; late in each model the AUC jumps above .85, and in SmolLM2's last layer it falls again. The share of the first component is highest in early layers of Gemma, where the axis sorts the snippets the wrong way round or hardly, so it does not say that good lies on the positive side.
#
# **Find the layer where good and bad separate.** Choose a model and a layer below. Each dot is a word or a movie snippet; the higher it stands, the better people rated it. In early
# layers good and bad ones share the same range from left to right; in late ones the good ones move to the right. Positions are in standard deviations of the 400 snippets.

# %%
short = np.argsort([len(text) for text in movie.texts], kind="stable")[:24]
shown, rated = [*words.texts, *np.array(movie.texts)[short]], np.concatenate([words.ratings, movie.ratings[short]])


def by_layer(name):
    """Positions of the shown texts on the axis of every layer, in sd of the snippets, (n_layers, n_texts)."""
    fitted, scores = swept[name]
    at = np.stack([axis.project(W[name][:, k]) for k, axis in enumerate(fitted, start=1)])
    at = np.concatenate([at, scores[:, short]], axis=1)
    return (at - scores.mean(1, keepdims=True)) / scores.std(1, keepdims=True)


points = pd.DataFrame(
    {"model": name, "layer": k, "text": text, "rating": rating, "position": position}
    for name in MODELS
    for k, row in enumerate(by_layer(name), start=1)
    for text, rating, position in zip(shown, rated, row, strict=True)
)
fits = pd.DataFrame(
    {"model": name, "layer": k, "r": stats.pearson(row, movie.ratings)}
    for name, (_, scores) in swept.items()
    for k, row in enumerate(scores, start=1)
)
interactive.explore_axis(points, fits, title="24 words and 24 of 400 snippets on the axis of each layer; r is that of all 400 (real models, real ratings)")

# %%
def input_cosine(name):
    """Cosine of the bare axis at the input layer with the bare penultimate axis."""
    states, emotions = S[name, "bare", "fifty tellings"], STORIES["fifty tellings"].emotions
    spread = np.ptp(states[:, 0], axis=0).max()
    if spread < 1e-6:
        return None
    return float(abs(ValenceAxis().fit(states[:, 0], emotions).direction_ @ axes[name, "bare", "fifty tellings"].direction_))


def thirds(name):
    """AUC in the last third of the layers minus the first third, with an interval over snippets."""
    _, scores = swept[name]
    third = len(scores) // 3

    def difference(pick, labels):
        return stats.auc(scores[-third:, pick], labels).mean(0) - stats.auc(scores[:third, pick], labels).mean(0)

    return stats.bootstrap_interval(difference, np.arange(len(movie)), movie.labels, strata=movie.labels, n_resamples=300, random_state=0)


inputs = {name: input_cosine(name) for name in MODELS}
late = {name: thirds(name) for name in MODELS}
pd.DataFrame(
    {
        SHORT[name]: {
            "AUC, last minus first third of the layers": f"{late[name].value:.2f} [{late[name].low:.2f}, {late[name].high:.2f}]",
            "cosine with the axis of the input layer": f"{inputs[name]:.2f}",
        }
        for name in MODELS
    }
)

# %% [markdown]
# The last third of the layers sorts far better than the first. The paper takes as evidence, too, that the axis of the input layer points elsewhere (a small cosine). Ours does as well, but that is to be expected and says nothing about valence: at the input a cued text is the same token as every other, and a bare one, which we use here, nearly always a full stop.
#
# ## Verdict: the direction is there, and its stories decide how firmly
#
# The rules were written before these results, but we made [two choices](../book/rules.md) after a first look: the null of the AUCs, and the wording of the tellings.

# %%
rows = []
for name in MODELS:
    for kind, readout in itertools.product(STORIES, READOUTS):
        s, data = summary.loc[(name, readout, kind)], f"{name}, {kind}"
        claim = "C1.cued_recipe" if readout == "cued" else "C1.bare_recipe"
        rows.append(claims.record(claim, value=s["AUC"], low=s["AUC low"], high=s["AUC high"], p=s["AUC p"], n=len(movie), data=data, simulated=False))
        if readout == "cued":
            rows.append(claims.record("C1.pc1_share", value=s["share"], p=s["share p"], n=9, data=data, simulated=False))
            rows.append(claims.record("C1.valence_order", value=s["order"], p=s["order p"], n=9, data=data, simulated=False))
    auc, cosine = one_shot[name]
    gain = summary.loc[(name, "cued", "fifty tellings"), "AUC"] - auc
    for claim, values in (("C1.one_shot", auc), ("C1.n_shot_gain", gain), ("C1.n_shot_cosine", cosine)):
        low, high = np.percentile(values, [2.5, 97.5])
        rows.append(claims.record(claim, value=values.mean(), low=low, high=high, n=len(values), data=name, simulated=False))
    overall = robust[name].overall
    rows.append(claims.record("C1.prompt_robustness", value=overall.value, low=overall.low, high=overall.high, n=15, data=name, simulated=False))
    if inputs[name] is not None:
        rows.append(claims.record("C1.v_shape", value=inputs[name], n=1, data=name, simulated=False))
    rows.append(claims.record("C1.late_layers", value=late[name].value, low=late[name].low, high=late[name].high, n=len(movie), data=name, simulated=False))
    pair = [axes[name, "cued", kind].project(M[name, "cued"][:, -2]) for kind in ("six stories", "fifty tellings")]
    more = stats.bootstrap_interval(
        lambda a, b, y: stats.auc(a, y) - stats.auc(b, y), *pair, movie.labels, strata=movie.labels, random_state=0
    )
    rows.append(claims.record("C1.more_stories", value=more.value, low=more.low, high=more.high, n=len(movie), data=name, simulated=False))
shown = claims.show(*rows)

# %%
def counted(verdicts):
    return ", ".join(f"{n} {verdict}" for verdict, n in verdicts.value_counts().items())


shown.groupby("claim", sort=False)["verdict"].agg(counted).to_frame("verdicts")

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "All results of this chapter", "code_prompt_hide": "All results of this chapter"}
shown[["paper", "ours", "interval", "p", "data", "verdict"]]

# %% tags=["remove-cell", "nbval-check-output"]
# verdicts with room to spare; those nearer to their rule's limit may differ on another processor
FIRM = ("C1.pc1_share", "C1.prompt_robustness", "C1.late_layers", "C1.one_shot")
claims.show(*[row for row in rows if row.id in FIRM])[["data", "verdict"]]

# %% [markdown]
# **What stands.** A direction that orders texts as people rate them *is* there in models of this size, in late layers,
# once each text ends in a cue; fifty tellings of one story and six stories told once both find it.
#
# **What does not.** The axis takes a smaller share of the variance than in the paper, and no larger one than with shuffled emotions, so the share is no evidence.
# Nine single stories are not reliably enough here: other stories give other axes, or the same one upside down. Read bare, an axis is marginal at best.
#
# **What is not shown.** Whether larger models need neither cue nor averaging: the paper says so, and these two models cannot tell.
#
# ## Try it
#
# 1. In the figure of layers, choose a word that you would call bad and follow it from layer to layer. Where does it part from the good ones, and does it stay apart?
#
# ```{dropdown} Solution
# Most words part in the second half of the layers, as the curve of the AUC says. A few end on the wrong side: the axis sorts most texts, not all.
# ```
#
# 2. Does another cue do as well? Look at `CUES` in {py:mod}`kernel.language.recipes` and build the axis after another one of them.
#
# ```{dropdown} Solution
# `hidden_states(lm, stories.texts, cue=CUES[1])` gives the states. Cues that ask for a feeling give axes; how firm they are together is in the table of recipes above, where five cues do better than one only when the models share their component.
# ```
#
# 3. Build an axis from three emotions of your own, a story for each. Would you trust it more or less than that of nine?
#
# ````{dropdown} Solution
# Less. Three averages leave the first component little to choose from, and each rests on a single story; the section on single stories shows what that does. This is how to build it, and how to read a larger model bare, as the paper does:
#
# ```python
# import kernel
#
# stories = {"pride": "...", "boredom": "...", "envy": "..."}
# kernel.construct_valence_axis(lm, stories, orient="pride")
# kernel.construct_valence_axis("Qwen/Qwen3-0.6B", cue=None)
# ```
# ````
