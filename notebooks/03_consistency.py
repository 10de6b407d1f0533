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
# # 3. Consistency: between models, and with people
#
# **The question.** Fourteen language models agree about valence, the paper says: their projections of the same texts correlate .65 on average. And seven of them
# correlate above .92 with the mean valence that 123 people gave to the 28 film clips of FACED {cite:p}`radwan2026shared`. Do our three models agree with each other and with
# people, and how much does a correlation of .94 show?
#
# **The answer in short.** Models from different makers agree text by text (two of them at .85 and .78 over 1,600 snippets, three at .52 to .85 on other texts; the paper's .585 across makers is over 28 clips, and is no yardstick). With people they agree moderately: .62 to .85 over the clips. An axis that was
# chosen for its reproducibility puts every good emotion above every bad one, in all three models, but neutral too high. And the test is weak. Write −1, 0 or +1 beside each emotion, from memory: that code, which needs no model, reaches .98, more than the paper's best model.
#
# **You will learn** why 28 clips are only nine values here, and what a yardstick is for.
#
# **Data of this chapter.** Three real language models, whose positions are stored tables with spot checks; real ratings by 123 people, as means over people for each of 28 clips
# {cite:p}`chen2023faced` (doi [10.82901/nemar.nm000112](https://doi.org/10.82901/nemar.nm000112), CC-BY-4.0, BIDS conversion by
# Guetschel); real human ratings of snippets {cite:p}`hutto2014vader`; and the fourteen figures printed in the paper. Nothing is
# simulated.

# %% tags=["hide-input"]
import numpy as np
import pandas as pd

from kernel import audit, claims, plots, stats, style
from kernel.language.models import REGISTRY
from kernel.language.sentiment import GOEMOTIONS_CLASSES
from kernel.language.stories import CLIP_EMOTIONS, EMOTIONS, VALENCE_CODE
from kernel.language.words import MODELS
from kernel.ratings import load_ratings

plots.set_style()
NEGATIVE, POSITIVE = EMOTIONS[:4], EMOTIONS[5:]

# %% [markdown]
# ## Method
#
# *Between models*: Pearson correlation of the two models' projections of the same 1,600 snippets, texts resampled for the
# interval; and, since snippets differ in kind as well as in valence, within each set.
#
# *With people*: the axis gives each emotion one position; FACED has three or four clips an emotion. As in the paper every clip
# takes its emotion's position, so 28 ratings meet nine distinct values,
#
# $$ r = \operatorname{corr}\bigl( p_{e(1)}, \dots, p_{e(28)};\; \bar y_1, \dots, \bar y_{28} \bigr), $$
#
# and the right null draws nine values, not twenty-eight.

# %%
placed, pairs, comments = (audit.load(name) for name in ("recipe_positions", "models_agree", "comments"))
print(audit.sources(placed, pairs, comments))

# %% [markdown]
# ## Models from different makers agree text by text

# %%
snippets = pairs[pairs["part"] == "snippets"]
snippets.pivot(index="set", columns="stories", values="r").round(2)

# %% [markdown]
# Within every set of snippets, and with either kind of stories, SmolLM2 and Gemma put texts in much the same order. A third model, from a third maker, joins on labelled and rated sentences:

# %%
families = pairs[(pairs["part"] != "snippets") & (pairs["stories"] == "six stories")]
families.assign(pair=families["model"] + " and " + families["other"]).pivot(index="pair", columns="set", values="r").round(2)

# %% [markdown]
# All three pairs agree on all four sets, most the two that we bundle (.77 to .85), least SmolLM2 and Qwen (.61 to .73).
#
# ## With people they agree moderately
#
# Here is what 123 people felt, beside the position of each clip's emotion.

# %% mystnb={"image": {"alt": "Scatter plot of 28 film clips: position of the clip's emotion on the axis of one real model against mean valence rated by 123 real people; dots are coloured by emotion from brown, negative, to teal, positive."}, "figure": {"caption": "**Good and bad clips stand apart; the model sets fear too high and amusement too low (real model, real ratings of 28 clips by 123 people).**"}}
ratings = load_ratings()
clips = ratings.reset_index().assign(emotion=CLIP_EMOTIONS)
y = clips["valence_mean"].to_numpy()
class_means = np.array([y[np.array(CLIP_EMOTIONS) == e].mean() for e in EMOTIONS])
code = np.array([VALENCE_CODE[e] for e in EMOTIONS], dtype=float)
index = np.array([EMOTIONS.index(e) for e in CLIP_EMOTIONS])
default = placed[placed["part"] == "default axes"]
x = {
    key: rows.set_index("emotion").loc[list(EMOTIONS), "position"].to_numpy()
    for key, rows in default.groupby(["model", "stories"], sort=False)
}

fig = plots.plot_by_emotion(
    {"28 film clips, real ratings": (x[MODELS[0], "six stories"][index], y, clips["emotion"])},
    xlabel=f"position on the axis of {MODELS[0]}", ylabel="mean valence, 123 people (0 to 7)",
)

# %%
null = stats.class_constant_null(y, CLIP_EMOTIONS, random_state=0)
by_class = {k: stats.permutation_test(stats.pearson, v, class_means, n_permutations=400_000, random_state=0) for k, v in x.items()}
by_clip = {k: stats.pearson(v[index], y) for k, v in x.items()}
people = pd.DataFrame(
    {
        f"{name}, {kind}": {
            "r over nine emotions": by_class[name, kind].observed, "p, all permutations": by_class[name, kind].p,
            "r over 28 clips": by_clip[name, kind], "p, class-constant null": null.p(by_clip[name, kind]),
        }
        for name, kind in x
    }
).T
people.round(3)

# %% [markdown]
# Positive and negative clips stand apart on both scales, and the model misplaces whole emotions: all clips of an emotion stand on one vertical line.
#
# ## A code of −1, 0, +1 beats every model

# %% tags=["nbval-check-output"]
sign_r = stats.pearson(code[index], y)
print(f"95 % of random class-constant directions stay below |r| = {null.quantile_95:.2f}")
print(f"95 % of free random directions over 28 clips stay below |r| = {null.free_quantile_95:.1f}")
print(f"no class-constant predictor can exceed r = {null.ceiling:.3f}")
print(f"the code -1, 0, +1, which knows only which emotions are good, reaches r = {sign_r:.3f}")

# %% [markdown]
# Try a code of your own: change the numbers and run the cell.

# %%
mine = {
    "anger": -3, "disgust": -3, "fear": -2, "sadness": -2, "neutral": 0,
    "amusement": 2, "inspiration": 2, "joy": 3, "tenderness": 2,
}
of_clips = np.array([float(mine[e]) for e in CLIP_EMOTIONS])
print(f"r over 28 clips = {stats.pearson(of_clips, y):.3f}")

# %% mystnb={"image": {"alt": "Histograms, one for each real model and set of stories: absolute correlation over 28 clips of random directions that give each emotion one value; an orange line marks that of the axis."}, "figure": {"caption": "**Nine numbers agree with people easily (real models, real ratings of 28 clips).** Grey: class-constant random directions; orange: the axis."}}
fig = plots.plot_nulls(
    {f"{name}\n{kind}": (null.null, abs(by_clip[name, kind])) for name, kind in x}, label="|r| of class-constant directions"
)

# %% [markdown]
# Chance alone comes near .65 in one of twenty cases, because nine numbers are few: four of our six axes are beyond that limit, two are not. The paper's best model reaches .944 on this test. The code $-1, 0, +1$ needs no model and reaches more. A correlation in the nineties
# therefore says that an axis separates good emotions from bad ones, and leaves open whether it knows anything finer.
#
# ## A steadier axis puts every good emotion above every bad one
#
# [Chapter 1](01_axis.ipynb) chose a recipe by its reproducibility alone: twelve stories, five cues, and the component that the models share. Only now do we compare its nine positions with people's ratings.

# %%
three = placed[(placed["part"] == "three models") & (placed["noise"] == "kept") & (placed["component"] == "shared")]
steady = three.pivot(index="emotion", columns="model", values="position").loc[list(EMOTIONS), list(MODELS)]
people_z = (class_means - class_means.mean()) / class_means.std()
before = pd.DataFrame({name: x[name, "six stories"] for name in MODELS}, index=list(EMOTIONS))
pd.concat({"people": pd.DataFrame({"": people_z}, index=list(EMOTIONS)), "default axis": before, "steady axis": steady}, axis=1).round(2)

# %% mystnb={"image": {"alt": "Two panels, default axis and steady axis: nine emotions in rows, position in standard deviations on the horizontal axis; black diamonds are people's mean ratings, coloured dots three real language models. On the steady axis every good emotion lies to the right of every bad one, and neutral far to the right of where people put it."}, "figure": {"caption": "**The steady axis sets good emotions apart from bad ones in every model, and puts neutral too high (real models, real ratings).** Diamonds: 123 people; dots: three models."}}
panels = {"default axis": before, "steady axis": steady}
fig, drawn = style.panels(panels, (4.5, 3.6), columns=2, xlabel="position (sd over nine emotions)")
for ax, positions in zip(drawn, panels.values(), strict=True):
    ax.scatter(people_z, range(9), marker="D", s=60, color=style.INK, label="people")
    for marker, colour, name in zip("osv", (style.BLUE, style.ORANGE, style.PURPLE), MODELS, strict=True):
        ax.scatter(positions[name], range(9), marker=marker, s=36, color=colour, label=name.split("-")[0], zorder=3)
    ax.set_yticks(range(9), EMOTIONS)
legend = drawn[1].legend(loc="lower right")

# %%
def against_people(positions):
    """Correlation with people over nine emotions and over eight, and how many of 16 good-bad pairs are in order."""
    eight = [e != "neutral" for e in EMOTIONS]
    above = positions.loc[list(POSITIVE)].to_numpy()[:, None] > positions.loc[list(NEGATIVE)].to_numpy()
    return {
        "r, nine emotions": stats.pearson(positions.to_numpy(), class_means),
        "r without neutral (post hoc)": stats.pearson(positions[eight].to_numpy(), class_means[eight]),
        "pairs in order, of 16": above.sum(),
    }


compared = {(kind, name): against_people(p[name]) for kind, p in {"default": before, "steady": steady}.items() for name in MODELS}
pd.DataFrame(compared).T.round(2)

# %% tags=["hide-input"]
two = placed[placed["part"].isin(["1, penultimate", "1, late", "5, penultimate", "5, late"])]
r_of = two.groupby(["cues", "layers", "noise", "component", "model"])["position"].agg(
    lambda p: stats.pearson(p.to_numpy(), class_means)
)
candidates = r_of.groupby(level=[0, 1, 2, 3]).mean().rename("mean r with people").reset_index()
reproduced = audit.load("recipe_reproducibility").query("part != 'three models'")
mean_r = reproduced.groupby(["cues", "layers", "noise", "component"])["r"].mean().rename("reproducibility").reset_index()
candidates.merge(mean_r).sort_values("reproducibility", ascending=False).head(8).round(2).reset_index(drop=True)

# %% tags=["remove-cell", "nbval-check-output"]
without = {
    name: max(EMOTIONS, key=lambda e, name=name: stats.pearson(steady[name].drop(e).to_numpy(), class_means[[x != e for x in EMOTIONS]]))
    for name in MODELS
}
print("leaving out this emotion raises r most:", without)

# %% [markdown]
# On the steady axis all sixteen pairs of a good and a bad emotion are in order, in all three models; on the default axis 13 to 15 are. Yet the correlation with people hardly moves (.70 to .78; it was .65 to .73). What stands in the way is *neutral*: people put it in the middle,
# the models put it among the best. Without it the correlation is .82 to .87, a number that we looked at only after we had seen the figure. And no other choice would have done: the highest mean correlation of the twenty-four recipes is .80.
#
# The steady axis also costs something: it [sorts sentences worse](02_sentiment.ipynb) in two of three models. And is it the axis that misplaces neutral, or is it our neutral stories? Other people's words can tell.
#
# ## In other people's words neutral is in its place
#
# GoEmotions holds comments of strangers, each labelled with an emotion {cite:p}`demszky2020goemotions`. We take thirty of each label and map labels to our nine classes; admiration and optimism stand in for inspiration,
# caring and love for tenderness, which is our choice. Where do the default axes put them (mean position, in standard deviations over all comments)?

# %%
theirs = comments.assign(ours=comments["emotion"].map(GOEMOTIONS_CLASSES)).dropna(subset="ours")
strangers = theirs.groupby(["model", "ours"])["position"].mean().unstack("model").loc[list(EMOTIONS), list(MODELS)]
r_strangers = strangers.apply(lambda p: stats.pearson(p.to_numpy(), class_means))
pd.concat([strangers, r_strangers.to_frame("r with people's ratings of the clips").T]).round(2)

# %% [markdown]
# In strangers' comments neutral lies in the middle, where people put it, and the nine positions correlate .79 to .92 with people's ratings (a comparison made after the fact). So it is our own neutral stories, of timetables and waiting rooms, that lie too high after the cue, and not neutral as such. [Chapter 1](01_axis.ipynb) finds
# the same from the other side: on an axis built without the neutral stories they lie nearer to the middle.
# Amusement is the other misfit: it lies near zero, in SmolLM2 below fear.
#
# ## The paper's fourteen, and ours

# %%
registry = pd.DataFrame(
    [{"model": c.name, "family": c.family, "parameters (billions)": c.n_parameters / 1e9, "paper r": c.paper_r,
      "ours, six stories": by_clip.get((c.name, "six stories")), "ours, fifty tellings": by_clip.get((c.name, "fifty tellings"))}
     for c in REGISTRY.values()]
)
registry.set_index("model").round(3).astype(object).fillna("")

# %% [markdown]
# Within Qwen3 the paper finds no law of scale. Its six values can be tested exactly, over all 720 orders.

# %%
qwen = [c for c in REGISTRY.values() if c.family == "Qwen3"]
scale = stats.permutation_test(
    stats.pearson, np.log([c.n_parameters for c in qwen]), np.array([c.paper_r for c in qwen]), n_permutations=1000
)
print(f"r = {scale.observed:.2f}, p = {scale.p:.2f}, n = {len(qwen)}, exact: {scale.exact}")

# %% [markdown]
# Six models cannot show the absence of a law; an interval for this correlation covers most of the range.
#
# ## Verdict

# %%
rows = []
for row in pd.concat([snippets[snippets["set"] == "snippets"], families[families["set"] == "sst2"]]).itertuples():
    pair = "both bundled models" if row.part == "snippets" else f"{row.model} and {row.other}, SST-2"
    rows.append(
        claims.record("C3.models_agree", value=row.r, low=row.r_low, high=row.r_high, n=row.n, data=f"{pair}, {row.stories}", simulated=False)
    )
for name in MODELS:
    result = stats.permutation_test(stats.pearson, steady[name].to_numpy(), class_means, n_permutations=400_000, random_state=0)
    rows.append(claims.record("C3.steady_class_r", value=result.observed, p=result.p, n=9, data=name, simulated=False))
    in_order = int(compared["steady", name]["pairs in order, of 16"])
    rows.append(claims.record("C3.steady_order", value=in_order, n=16, data=name, simulated=False))
for name, kind in x:
    data, r = f"{name}, {kind}", by_clip[name, kind]
    rows.append(claims.record("C3.class_r", value=by_class[name, kind].observed, p=by_class[name, kind].p, n=9, data=data, simulated=False))
    rows.append(claims.record("C3.clip_r", value=r, p=null.p(r), n=28, data=data, simulated=False))
    gain = stats.bootstrap_interval(
        lambda a, b, c: stats.pearson(a, c) - stats.pearson(b, c), x[name, kind][index], code[index], y,
        strata=np.array(CLIP_EMOTIONS), random_state=0,
    )
    rows.append(claims.record("C3.beats_sign", value=gain.value, low=gain.low, high=gain.high, n=28, data=data, simulated=False))
rows.append(claims.record("C3.scale_law", value=scale.observed, p=scale.p, n=len(qwen), data="the paper's printed values", simulated=False))
claims.show(*rows)[["paper", "ours", "interval", "p", "data"]]

# %% tags=["nbval-check-output"]
# verdicts with room to spare; those nearer to their rule's limit may differ on another processor
FIRM = ("C3.models_agree", "C3.clip_r", "C3.beats_sign", "C3.scale_law")
claims.show(*[row for row in rows if row.id in FIRM])[["data", "verdict"]]

# %% [markdown]
# **What stands.** Models of three makers agree text by text, and the steady axis puts every good emotion above every bad one in all three (exploratory).
# **What is mixed.** Whether nine positions follow people's valence beyond chance depends on the model and on the stories; none
# reaches the paper's top tier, though Qwen with fifty tellings only just misses it. **What does not stand.** No axis here predicts people's ratings better than the bare sign of each
# emotion, and neither does any of the paper's fourteen, by its own figures. **What is not shown.** Agreement within a
# family, and the paper's models themselves, which need a hub. Nine values allow little more than asking whether the order is right.
#
# ## Try it
#
# 1. Write a code from −3 to +3 for the nine emotions from memory: change the numbers of `mine`, in the section on codes, and run that cell. Does it beat −1, 0, +1? Does it beat .989, and why can it not?
#
# ```{dropdown} Solution
# Any sensible code comes near .98. None can pass .989: clips of one emotion differ in their ratings, and a code with one value for each emotion cannot follow that. The best possible code is the nine mean ratings themselves.
# ```
#
# 2. Which emotion costs the steady axis most? Leave each out in turn and compute `r` again.
#
# ```{dropdown} Solution
# Neutral, in all three models, as the hidden cell above this section checks. Without it the axis still has eight emotions to get wrong.
# ```
#
# 3. Put your own text on the steady axis, or add a model:
#
# ```python
# import kernel
# from kernel.language.models import REGISTRY
#
# axis = kernel.steady_axis("SmolLM2-135M-Instruct")                     # shares its component with Gemma-3-270M
# axis.positions, axis.score(["The nurse smiled and said the scan was clear."])
# kernel.run_registry([name for name, card in REGISTRY.items() if card.paper_r], "results/")   # the paper's fourteen
# kernel.run_registry(["your/model"], "results/", cue=None)
# ```
