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
# # 2. Zero-shot sentiment, and what could imitate it
#
# **The question.** Project any text onto the axis, and good texts land on one side and bad ones on the other, without a single label: AUC .80 to .94 on
# five benchmarks, the paper says, nearly as well as a classifier trained on 5,000 labels. Nonsense words bring it to .52, random directions to .51, and taking
# the direction out of the model brings it to .505 {cite:p}`radwan2026shared`. Do our models do so, and do these controls mean what they seem to?
#
# **The answer in short.** Read with a cue, yes: three small models reach the paper's figures on three of its own benchmarks, AUC .83 to .97, without a label. Read bare, as the paper reads, they are near chance. But the axis is not
# needed for it: to ask the model whether "good" or "bad" comes next sorts the texts about as well. And most controls prove less than they seem to. Random directions average one half *by arithmetic*; what counts is how far
# they stray, and of directions along which the texts themselves vary, one in sixteen (SmolLM2) or one in eight (Gemma) does as well as the axis of six stories. Stories of nonsense words give a strong axis too (about .8).
#
# **You will learn** how to tell a direction that is special from one that merely works, and why an AUC after ablation is arithmetic.
#
# **Data of this chapter.** Three real language models (SmolLM2-135M-Instruct, Gemma-3-270M and Qwen2.5-Coder-0.5B-Instruct). Real mean ratings of movie, product, tweet and editorial snippets and of single words
# {cite:p}`hutto2014vader`; labelled sentences and tweets {cite:p}`socher2013recursive,pang2005seeing,rosenthal2017semeval`; sentences and words with rated valence and arousal {cite:p}`buechel2017emobank,warriner2013norms`; rated words of
# four languages {cite:p}`dodds2015human`. Nothing is simulated. Texts that we may not pass on are [fetched on request](../book/data.md).

# %% tags=["hide-input"]
import numpy as np
import pandas as pd

from kernel import audit, claims, interactive, plots, stats
from kernel.language import sentiment
from kernel.language.axis import ValenceAxis
from kernel.language.hidden import AFFECT_CUE, hidden_states
from kernel.language.models import load_language_model, random_twin
from kernel.language.sentiment import load_benchmark
from kernel.language.stories import AROUSAL_GRADES, diverse_stories, load_stories, nonce
from kernel.language.words import BUNDLED, MODELS, SNIPPETS

plots.set_style()

# %% [markdown]
# ## Method
#
# The axis $v$ is that of [the previous chapter](01_axis.ipynb): cued, penultimate layer, from fifty tellings of one story an
# emotion, as in the paper, and from six different stories told once. Both are scored below; the controls are run on the six
# stories, which the package takes by default. A text's score is $(h(x) - \bar c)\cdot v$. No threshold is chosen: the AUC is the chance that a text rated above
# zero lies higher than one rated below. Of the snippets, texts nearer to neutral than one point are left out, and four hundred are drawn from
# each set. Intervals resample texts.
#
# Two small models read the six stories and the film snippets here and now. Everything else, the fifty tellings, the third model and all other texts, comes from a stored table, of which a part is computed again wherever the texts have been fetched.

# %%
KINDS = ("six stories", "fifty tellings")
stories = diverse_stories()  # six an emotion
emotions = np.array(stories.emotions, dtype=object)
movie = load_benchmark("movie", n=400, min_abs_rating=1.0)
labels = movie.labels
models = {name: load_language_model(name) for name in BUNDLED}


def read(lm, texts):
    """Cued penultimate states, one row per text."""
    return hidden_states(lm, texts, "penultimate", AFFECT_CUE, progress=False)[:, 0]


S = {name: read(lm, stories.texts) for name, lm in models.items()}
H = {name: read(lm, movie.texts) for name, lm in models.items()}
axis = {name: ValenceAxis().fit(S[name], emotions) for name in BUNDLED}

# %%
table = audit.load("text_scores")
print(audit.sources(table))
scored = table.set_index(["texts", "model", "method"]).sort_index()

# %% [markdown]
# ## Without labels the axis beats a sentence encoder
#
# We compare it with two others:
#
# - *MiniLM prototypes*: cosine to the mean embedding of the positive stories minus the negative ones, in the sentence
#   encoder the paper uses {cite:p}`reimers2019sentence`. It sees the same stories, and the sign of eight emotions where the
#   axis sees that of one.
# - *VADER*: a rule-based lexicon {cite:p}`hutto2014vader`. It was made with these very ratings, so on these sets it is a
#   ceiling rather than a rival; on the lexicon itself it would be circular and is left out.

# %% mystnb={"image": {"alt": "Forest plot: area under the curve of several methods on five sets of texts with real human ratings, with 95 % intervals and a dotted line at one half; colour shows the set of texts."}, "figure": {"caption": "**On reviews and tweets both axes sort better than a sentence encoder's prototypes (real models, real ratings).** Bars: 95 % bootstrap intervals over texts; dotted: chance."}}
cued = [f"cued, {kind}" for kind in KINDS]
compared = table[table["texts"].isin(SNIPPETS) & table["method"].isin([*cued, "MiniLM prototypes", "VADER"])]
compared = compared[~((compared["texts"] == "lexicon") & (compared["method"] == "VADER"))]
who = compared["method"].where(compared["model"] == "no model", compared["model"] + ", " + compared["method"])
who = who.str.replace("cued, ", "").replace("VADER", "VADER (ceiling)")
compared = compared.assign(who=who, label=compared["texts"] + ", " + who)
order = {name: k for k, name in enumerate(SNIPPETS)}
fig = plots.plot_forest(
    compared.sort_values("texts", key=lambda names: names.map(order), kind="stable").reset_index(drop=True),
    value="auc", group="texts", label="AUC with 95 % interval (real human ratings)", reference=0.5,
)

# %%
compared.pivot(index="who", columns="texts", values="auc").loc[:, list(SNIPPETS)].round(2).astype(object).fillna("")

# %% [markdown]
# On reviews and tweets the axis of either model is far above MiniLM prototypes; on editorials and single words the smaller one is only a little. On movie and product reviews it is above VADER too, although VADER was
# made with these ratings.
#
# ## On the paper's own sentences it does as well as the paper's
#
# SST-2, Rotten Tomatoes and the tweets of SemEval 2017 are among the paper's five benchmarks. Their labels were never used to build anything. A third model from a third maker joins here, Qwen2.5-Coder-0.5B-Instruct
# {cite:p}`hui2024qwen`, the nearest relative of the paper's lead family that we can have. Beside the axis we score what anybody would try first:
#
# - *difference of means*: mean state of the stories of good emotions minus that of bad ones. It sees the sign of eight emotions;
# - *good or bad*: how much likelier the model finds "good" than "bad" as its next word after the cue. No story, no axis;
# - *100 labels*: logistic regression on the same states, trained on a hundred sentences of the benchmark, mean over twenty draws;
# - *steady*: the axis that [chapter 1](01_axis.ipynb) chose for its reproducibility alone.

# %%
PAPER = {"sst2": 0.832, "rotten_tomatoes": 0.799, "tweeteval": 0.927}
METHODS = ["bare, fifty tellings", "cued, fifty tellings", "cued, six stories", "cued, twelve stories", "steady"]
METHODS += ["difference of means", "good or bad", "100 labels", "MiniLM prototypes", "VADER"]
paper = table[table["texts"].isin(PAPER) & table["method"].isin(METHODS)]
wide = paper.pivot(index=["model", "method"], columns="texts", values="auc")[list(PAPER)]
wide = wide.reindex([(model, method) for model in (*MODELS, "no model") for method in METHODS]).dropna(how="all")
wide.round(3).astype(object).fillna("")

# %% mystnb={"image": {"alt": "Forest plot: area under the curve on the 872 sentences of SST-2 for several ways of scoring them with three real language models, and for two ways without one, with 95 % intervals; the reference line marks the paper's .832."}, "figure": {"caption": "**With a cue all three small models reach or pass the paper's .832 (dotted) on SST-2; read bare, none does (real models, real labels).** Bars: 95 % intervals over sentences."}}
sst2 = paper[paper["texts"] == "sst2"].copy()
sst2["label"] = sst2["method"] + (", " + sst2["model"]).where(sst2["model"] != "no model", "")
rank = {method: k for k, method in enumerate(METHODS)}
fig = plots.plot_forest(
    sst2.sort_values("method", key=lambda names: names.map(rank), kind="stable").reset_index(drop=True),
    value="auc", group="model", label="AUC on SST-2, 95 % interval (real labels)", reference=PAPER["sst2"],
)

# %% tags=["hide-input"]
gains = table[table["method"].str.startswith("steady minus")]
gains.set_index(["model", "method"])[["auc", "auc_low", "auc_high"]].round(3)

# %% [markdown]
# With six stories the cued axes of all three models reach the paper's figures: .83 to .90 on sentences about films (paper .832 and .799), .93 to .97 on tweets (paper .927). With fifty tellings of one story they do so too, but for SmolLM2 on tweets (.79). The same models read bare, as the paper reads
# its far larger ones, lie between .40 and .69.
#
# Two things take the shine off. *Good or bad*, which needs no story at all, does about as well as the axis of six stories, and the plain difference of means does better on all three sets. And the steady axis helps one model and harms two:
# Gemma rises from .900 to .919, SmolLM2 falls from .891 to .865 and Qwen from .885 to .858. What returns best from other stories is not what sorts texts best.
#
# ## It follows valence, and arousal a little or not at all
#
# EmoBank's sentences and Warriner's words have two ratings each, valence and arousal. An axis of valence should follow the first alone.

# %%
RATED = ("emobank", "emobank arousal", "warriner", "warriner arousal")
follow = table[table["texts"].isin(RATED) & (table["method"] == "cued, six stories")]
follow.pivot(index="model", columns="texts", values="pearson").loc[list(MODELS), list(RATED)].round(2)

# %% [markdown]
# It does so in the sentences: valence .49 to .62, as in the paper (.49), arousal within .09 of zero. Among words the correlation with arousal is negative and small, $-.06$ to $-.27$: in Warriner's ratings pleasant words are a little calmer.
#
# **Your own words on the axis.** Type a word of the lexicon, and see where SmolLM2 puts it and where people do.

# %%
words = load_benchmark("lexicon", n=1000)
placed = axis[BUNDLED[0]].project(read(models[BUNDLED[0]], words.texts))
interactive.explore_words(
    pd.DataFrame({"word": words.texts, "position": (placed - placed.mean()) / placed.std(), "rating": words.ratings}),
    title="One thousand words of the lexicon (real model, real ratings)",
)

# %% [markdown]
# ## Other languages
#
# The stories and the cue are English. Two hundred rated words each from English, German, Spanish and Chinese ask whether the axis reads words of other languages as well (correlation with their rated happiness).

# %%
happy = table[table["texts"].str.startswith("labmt") & (table["method"] == "cued, six stories")]
happy = happy.assign(language=happy["texts"].str.removeprefix("labmt "))
happy.pivot(index="model", columns="language", values="pearson").loc[list(MODELS)].round(2)

# %% [markdown]
# Gemma reads all four languages (.57 to .71). Qwen reads Chinese as well as English (.52 and .54) and German hardly. SmolLM2, which was made for English, reads little elsewhere (.17 to .33).
#
# ## In SmolLM2 it is worth about ten labels

# %% mystnb={"image": {"alt": "Line chart with a band: area under the curve of logistic regression against the number of labelled training texts on a logarithmic axis, mean and range over splits; dashed lines mark two methods that need no labels."}, "figure": {"caption": "**Sixteen labels do as well as the axis (real model, real ratings of movie snippets).** Band: smallest to largest over splits; dashed: methods without labels."}}
SIZES = [8, 16, 32, 64, 128, 256]
curves = {name: sentiment.supervised_curve(H[name], labels, SIZES) for name in BUNDLED}
first = BUNDLED[0]
default = {name: scored.loc[("movie", name, "cued, six stories")] for name in BUNDLED}
fig = plots.plot_learning_curve(
    curves[first],
    {
        f"axis of {first}, no labels": default[first]["auc"],
        "MiniLM prototypes": scored.loc[("movie", "no model", "MiniLM prototypes"), "auc"],
    },
)

# %% [markdown]
# With labels for the same states, logistic regression does as well with eight to sixteen labelled texts, and a few hundredths better with 256. After the cue good and bad are so easy to read that hardly any
# labels are needed.
#
# ## One in eight, or sixteen, directions of the texts does as well
#
# The paper reports that random directions average an AUC of .51. They must: a direction and its opposite have AUCs that sum
# to one, so the average over random directions is one half *whatever the features hold*. The question is how far a
# random direction strays. We rank the axis by $|\mathrm{AUC} - .5|$ among 2,000 directions: isotropic ones, which the
# ledger's rule uses, and, harder, ones drawn with the covariance of the texts' own states.

# %%
NULLS = (None, "matched")
spread = {
    (name, kind): stats.spread_null(
        H[name], labels, axis[name].direction_, n_directions=2000, covariance=kind, random_state=0
    )
    for name in BUNDLED
    for kind in NULLS
}
pd.DataFrame(
    [
        {"model": name, "null": kind or "isotropic", "AUC": n.observed, "null sd": n.sd, "p": n.p}
        for (name, kind), n in spread.items()
    ]
).round(4)

# %% mystnb={"image": {"alt": "Four histograms, for two real models and two kinds of random directions, isotropic and matched to the texts: distribution of their area under the curve on movie snippets; an orange line marks that of the axis, a dotted line one half."}, "figure": {"caption": "**One in eight or sixteen directions of the texts sorts as well as the axis (real models, real ratings).** Grey: random directions; orange: the axis; dotted: chance."}}
fig = plots.plot_nulls(
    {
        f"{name}\n{kind or 'isotropic'}": (spread[name, kind].null, spread[name, kind].observed)
        for name in BUNDLED
        for kind in NULLS
    },
    label="AUC of random directions, movie",
    reference=0.5,
)

# %% [markdown]
# Read after the cue, many random directions separate good from bad. Under the harder null (rows *matched* of the table, second and fourth panel) they form two humps: the states of cued texts vary *mostly* along good and bad,
# so nearly any direction in which texts vary separates them, one way or the other. An AUC of .94 does not make the axis special; only a place beyond this null
# would, and it has none (p = .06 and .12 on movie reviews).
#
# Is that the fault of six stories? Here is the harder null on all five sets, for axes of six and of twelve stories (*post hoc*: no rule asks for the latter).

# %%
harder = table[table["texts"].isin(SNIPPETS) & table["method"].isin(["cued, six stories", "cued, twelve stories"])]
harder = harder.pivot(index=["method", "model"], columns="texts", values="p_matched")[list(SNIPPETS)]
print(f"below .05: {(harder < 0.05).groupby('method').sum().sum(axis=1).to_dict()} of {len(BUNDLED) * len(SNIPPETS)} each")
harder.round(3)

# %% [markdown]
# With twelve stories the axis stands out even among the texts' own directions on seven of the ten sets, with six on one. More stories make it special where fewer made it merely good.
#
# ## Nonsense stories give an axis as well
#
# Content words of the *stories* are replaced by invented ones, keeping function words, endings and punctuation: the axis is
# then built from stories that mean nothing. And the other way round: the content words of every second *snippet* are
# replaced, and these two hundred are scored on the true axis.

# %%
nonce_stories = [nonce(t) for t in stories.texts]
nonce_movie = [nonce(t) for t in movie.texts[::2]]  # invented words have many tokens, so half the snippets
print(stories.texts[0], "->", nonce_stories[0], sep="\n")

# %%
def interval(scores, labels=labels):
    return stats.bootstrap_interval(stats.auc, scores, labels, strata=labels, random_state=0)


controls = {}
for name, lm in models.items():
    nonce_axis = ValenceAxis().fit(read(lm, nonce_stories), emotions)
    controls[name, "axis of nonce stories"] = interval(nonce_axis.project(H[name]))
    controls[name, "nonce snippets on the axis"] = interval(axis[name].project(read(lm, nonce_movie)), labels[::2])

# %% [markdown]
# ## Untrained networks have no such axis
#
# A twin with freshly initialised weights, read in the same way. What it can do is owed to word identity and architecture,
# not to what training taught. Its axis keeps the arbitrary sign that joy gives it.

# %%
for name, lm in models.items():
    twin = random_twin(lm, random_state=0)
    twin_axis = ValenceAxis().fit(read(twin, stories.texts), emotions)
    controls[name, "untrained twin"] = interval(twin_axis.project(read(twin, movie.texts)))

# %% [markdown]
# ## Taking the direction out costs a retrained probe nothing
#
# Taking the axis out of every state, $h - (h \cdot v)v$, makes projections on $v$ constant: an AUC of one half after
# that is arithmetic, not evidence. So the axis is *built again* from the ablated stories, and a supervised probe is trained
# again on the ablated snippets; its loss is compared with the loss from ablating random directions.

# %% mystnb={"image": {"alt": "Forest plot: area under the curve on movie snippets of the axis and of its controls, such as nonce words, untrained weights and ablation, for real models, with 95 % intervals and a dotted line at one half; colour shows the control."}, "figure": {"caption": "**Nonsense stories still give an axis; an untrained model does not (real models, real ratings of movie snippets).** Bars: 95 % bootstrap intervals over snippets; dotted: chance."}}
ablation = {
    name: sentiment.ablation_effect(S[name], emotions, H[name], labels, n_directions=60) for name in BUNDLED
}
controls |= {(name, "axis built again after ablation"): interval(e.scores_after) for name, e in ablation.items()}
forest = pd.DataFrame(
    [
        {"label": f"{control}, {name}", "control": control, "auc": i.value, "auc_low": i.low, "auc_high": i.high}
        for (name, control), i in controls.items()
    ]
).sort_values("control", kind="stable")
fig = plots.plot_forest(forest, value="auc", group="control", label="AUC on movie snippets with 95 % interval", reference=0.5)

# %%
pd.DataFrame(
    {
        name: {
            "probe": e.probe_before,
            "probe after ablation": e.probe_after,
            "loss": e.probe_loss,
            "p against random directions": e.p,
        }
        for name, e in ablation.items()
    }
).round(3)

# %% [markdown]
# The direction of nonsense stories sorts real reviews at about .8, and nonsense snippets keep part of their order: most of what is read here survives without meaning. The untrained twin has
# nothing, and after ablation an axis that is built again has little or nothing left, as the paper says. A probe that is trained again loses .002 or nothing: other directions hold the same.
#
# ## Shuffled emotions do nearly as well in one model
#
# The emotions are permuted over the stories and the axis is built again, five hundred times. This null keeps the model, the
# stories, the cue and the orientation rule, and removes only the classes.

# %% mystnb={"image": {"alt": "Two histograms, one for each real model: area under the curve of axes built from stories whose emotions were shuffled; an orange line marks that of the true axis, a dotted line one half."}, "figure": {"caption": "**Shuffled emotions reach the true axis now and then (real models, real ratings).** Grey: emotions shuffled over stories; orange: the axis; dotted: chance."}}
shuffled = {
    name: sentiment.shuffled_emotions(
        S[name], emotions, H[name], labels, n_shuffles=500, random_state=0
    )
    for name in BUNDLED
}
fig = plots.plot_nulls(
    {name: (shuffled[name], default[name]["auc"]) for name in BUNDLED},
    label="AUC with shuffled emotions",
    reference=0.5,
)

# %% [markdown]
# In SmolLM2 one axis in seventy from shuffled emotions does as well as the true one, in Gemma one in fourteen. In the latter the cue and the sign of joy do most of the work.
#
# ## The recipe finds arousal too, or length
#
# The paper says that the recipe fails for arousal in text. Ours: nine grades from drowsy to frantic, ten scenes each, half of
# them pleasant at every grade. Does PC1 order the grades?

# %%
arousal = load_stories("arousal")
grade = np.arange(9.0)
order = {}
for name, lm in models.items():
    fitted = ValenceAxis(orient=AROUSAL_GRADES[-1]).fit(read(lm, arousal.texts), arousal.emotions)
    order[name] = stats.permutation_test(stats.spearman, fitted.positions_, grade, n_permutations=10_000, random_state=0)
pd.DataFrame({name: {"|Spearman|": abs(o.observed), "p": o.p} for name, o in order.items()}).round(3)

# %% [markdown]
# Grades also differ in length (later ones are told in more words), which the recipe cannot tell from arousal.
#
# ## Verdict

# %%
def folded(i):
    """|AUC - .5| with its interval; zero is inside where one half is."""
    low, high = sorted((abs(i.low - 0.5), abs(i.high - 0.5)))
    return {"value": abs(i.value - 0.5), "low": 0.0 if i.low <= 0.5 <= i.high else low, "high": high}


rows = []


def note(claim, name, **values):
    rows.append(claims.record(claim, data=f"{name}, six stories", simulated=False, **values))


def stored(column, claim, texts, name, method, data):
    """A row of the ledger from a row of the stored table."""
    row = scored.loc[(texts, name, method)]
    value, low, high = (float(row[f"{column}{end}"]) for end in ("", "_low", "_high"))
    p = {"p": float(row["p"])} if column == "auc" and pd.notna(row["p"]) else {}
    rows.append(claims.record(claim, value=value, low=low, high=high, n=int(row["n"]), data=data, simulated=False, **p))


mini = sentiment.prototype_scores(movie.texts, stories)
for name in BUNDLED:
    for key in SNIPPETS[:4]:
        for kind in KINDS:
            stored("auc", f"C2.auc_{key}", key, name, f"cued, {kind}", f"{name}, {kind}")
    stored("pearson", "C2.lexicon", "lexicon", name, cued[0], f"{name}, six stories")
    mine = interval(axis[name].project(H[name]))
    gap = stats.bootstrap_interval(
        lambda a, b, y: stats.auc(a, y) - stats.auc(b, y), axis[name].project(H[name]), mini, labels,
        strata=labels, random_state=0,
    )
    note("C2.vs_minilm", name, value=gap.value, low=gap.low, high=gap.high, n=400)
    supervised = curves[name].query("n_train == 256")["auc"]
    note("C2.vs_supervised", name, value=mine.value - supervised.mean(), low=mine.value - supervised.max(), high=mine.value - supervised.min(), n=5)
    note("C2.random_directions", name, value=spread[name, None].sd, n=2000)
    note("C2.beats_matched", name, value=mine.value, low=mine.low, high=mine.high, p=spread[name, "matched"].p, n=400)
    for claim, control in (
        ("C2.nonce", "axis of nonce stories"), ("C2.nonce_snippets", "nonce snippets on the axis"),
        ("C2.random_twin", "untrained twin"), ("C2.ablation_zero_shot", "axis built again after ablation"),
    ):
        n = len(nonce_movie) if control.startswith("nonce snippets") else len(movie)
        note(claim, name, n=n, **folded(controls[name, control]))
    e = ablation[name]
    note("C2.ablation_probe", name, value=e.probe_loss, p=e.p, n=400)
    note("C2.ablation_specific", name, value=e.probe_loss, p=e.p, n=400)
    p = stats.permutation_p(mine.value - 0.5, shuffled[name] - 0.5, alternative="greater")
    note("C2.shuffled_emotions", name, value=mine.value, low=mine.low, high=mine.high, p=p, n=500)
    rows.append(claims.record("C2.arousal_fails", value=abs(order[name].observed), p=order[name].p, n=9, data=name, simulated=False))
for name in MODELS:
    for key, claim in {"sst2": "C2.auc_sst2", "rotten_tomatoes": "C2.auc_rotten_tomatoes", "tweeteval": "C2.auc_twitter"}.items():
        for method, data in {**{f"cued, {kind}": kind for kind in KINDS}, "bare, fifty tellings": "bare, fifty tellings"}.items():
            stored("auc", claim, key, name, method, f"{name}, {data}")
    stored("pearson", "C2.lexicon", "warriner", name, cued[0], f"{name}, six stories, Warriner")
    arousal_r = scored.loc[("warriner arousal", name, cued[0])]
    low, high = sorted(abs(arousal_r[["pearson_low", "pearson_high"]].astype(float)))
    low = 0.0 if arousal_r["pearson_low"] <= 0 <= arousal_r["pearson_high"] else low
    note("C2.lexicon_arousal", name, value=abs(arousal_r["pearson"]), low=low, high=high, n=int(arousal_r["n"]))
    stored("auc", "C2.steady_sst2", "sst2", name, "steady", name)
    for claim, method in zip(("C2.steady_gain", "C2.steady_rivals"), gains.loc[gains["model"] == name, "method"], strict=True):
        stored("auc", claim, "sst2", name, method, name)
claims.show(*rows)[["paper", "ours", "interval", "p", "data"]]

# %% tags=["nbval-check-output"]
# verdicts with room to spare; those nearer to their rule's limit may differ on another processor
FIRM = ("C2.auc_movie", "C2.random_directions", "C2.nonce", "C2.vs_minilm", "C2.arousal_fails")
firm = [row for row in rows if row.id in FIRM and "fifty" not in row.data]
claims.show(*firm)[["data", "verdict"]]

# %% [markdown]
# **What stands.** In three small models the cued axis sorts the paper's own sentences and tweets as well as the paper reports of its larger ones, and in two of them snippets and editorials in the order of
# people's ratings, far better than sentence-encoder prototypes and about as well as a classifier with some ten
# labels. With six stories it beats isotropic random directions. It follows valence and not arousal. It takes training: untrained twins have no such axis.
#
# **What does not.** Read bare, the three models hardly sort the paper's sentences. No axis beats the difference of means, which knows the sign of the stories' emotions. Random directions are *not* at chance at this position; their average is, which is arithmetic. Against
# directions along which the texts themselves vary, the axis of six stories does not stand out. Stories of nonce words, too, give a direction
# that separates the snippets strongly. Most of the separation comes from reading after the cue; the nine emotions add the sign
# and a small edge. A retrained probe does not miss the direction, as the paper says. And arousal
# does not fail here: PC1 of graded stories follows the grades, or their length.
#
# **What is not shown.** IMDB and Yelp, which need a hub; the paper's tests of toxicity, images and its three languages; and whether
# larger models, read without a cue, behave in the same way.
#
# ## Try it
#
# 1. In the figure of words, find one that you would call good and the axis puts on the bad side. Is it short, or has it a second meaning? Then write ten sentences whose feeling a reader would get and a word list would miss
# ("the surgeon came out smiling"). Does the axis, or VADER, sort them?
#
# ```{dropdown} Solution
# `axis[name].project(read(models[name], sentences))` scores them, `sentiment.vader_scores(sentences)` asks the lexicon. VADER gives 0 to every sentence without a word from its list.
# ```
#
# 2. Read the stories and the snippets without the cue. What remains of the AUC?
#
# ```{dropdown} Solution
# Little: the table of the paper's sentences has the bare axes in its first rows, and [chapter 1](01_axis.ipynb) has those of the snippets.
# ```
#
# 3. Score your own texts:
#
# ```python
# from kernel.language.sentiment import Benchmark, load_benchmark, zero_shot
#
# zero_shot(axis.project(states), load_benchmark("sst2"))      # after: python -m kernel.assets fetch sst2
# zero_shot(scores, Benchmark("mine", texts, ratings, "where they come from"))
# ```
