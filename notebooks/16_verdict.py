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
# # 16. The verdict
#
# **The question.** The paper says that modern language models and human EEG share one {term}`valence axis`, and that EEG classifiers which have
# found the axis by themselves cannot be improved by it {cite:p}`radwan2026shared`. Is that so?
#
# **The answer in short.** The direction in language models is real, though crude. The step from there to brains does not hold: on the paper's own
# data no fair test finds the axis in EEG or in networks trained on EEG. Effects too small for these tests remain possible.
#
# **You will learn** which of the paper's claims stand and which fall, what our controls add, and how a verdict comes about.
#
# **Data of this chapter.** The {term}`ledger`, to which the chapters before have added row by row. Verdicts on language models, on human ratings and
# on the EEG of FACED rest on real data. Verdicts on *simulated* EEG say what the paper's methods can show, and nothing about people.
#
# **Time.** 8 minutes to read, less than ten seconds to run. **In the paper.** All of it.

# %% [markdown]
# ## What stands
#
# - **The direction exists in small models too, if they are prompted.** With an {term}`affect cue` at the end of each text, two models of 135 and
#   270 million parameters sort human-rated texts along a direction found from a few stories, far better than along {term}`isotropic <isotropic direction>`
#   random directions. Of the directions along which such texts vary anyway, one in sixteen or one in eight does as well. Without the cue, as in the paper, they hardly do ([chapters 1](01_axis.ipynb), [2](02_sentiment.ipynb)).
# - **Ensembling gains a little.** On real EEG, ten networks beat one by .004 and .008 of {term}`balanced accuracy` in the
#   two {term}`regimes <regime>`; in the second the interval just excludes zero ([chapter 12](12_ensemble.ipynb)).
# - **Prototypes from a language model are worth no more than random ones** ([chapter 13](13_two_tier.ipynb)), as the paper finds.
# - **Emotions can be decoded from these data, also online** ([chapters 7](07_classifiers.ipynb) and [15](15_online.ipynb)). But what networks
#   recognise is mostly which moment of which film is on.
# - **Alignment does not help.** On real EEG no strategy raises accuracy after a correction, and heavy losses lower it, the more the
#   heavier they are ([chapters 10](10_alignment.ipynb) and [11](11_saturation.ipynb)). Simulations show one small exception: with three people,
#   and little but valence to learn from, one strategy helps.
#
# ## What does not stand
#
# - **The numbers that carry the paper's argument are {term}`in sample` or uncorrected.** The correlation of .87 comes back to
#   the digit from the paper's own data, as a fit judged on the clips to which it was fitted. Shuffled emotions can be fitted nearly as well,
#   and emotions that the fit has not seen are not predicted at all ([chapter 5](05_projection.ipynb)). The map behind it depends on how people are averaged, and its best {term}`cell` on one person ([chapters 5](05_projection.ipynb) and [6](06_topography.ipynb)). Ten of the sixteen harmful strategies
#   survive a correction for 25 tests ([chapter 10](10_alignment.ipynb)).
# - **A high accuracy is not a reading of emotion.** Networks that learn {term}`moments <moment>` of films and no emotion name the emotions of
#   seen clips better than networks that learn emotions; on unseen clips both are little better than chance ([chapter 7](07_classifiers.ipynb)).
# - **Classifiers do not find the axis, as far as 36 networks can show.** Where our 36 networks see the time course, they
#   show a correlation nearly as high as the paper's; but shuffled emotions often do, too. With another language model's axis the same networks
#   show a correlation of the opposite sign ([chapter 8](08_rediscovery.ipynb)). Removing the direction costs no accuracy that can be measured ([chapter 9](09_ablation.ipynb)).
# - **The comparisons are too easy.** The textbook's p-value takes 28 clips for independent and forgets that the regression was fitted to
#   them; in simulated cohorts without valence it is nearly always significant ([chapter 5](05_projection.ipynb)). Another {term}`null` compares with random
#   directions along which the features hardly vary, so that cutting them out costs little in any case ([chapter 9](09_ablation.ipynb)).
# - **The harm does not show that networks know the axis already**, which the paper calls {term}`saturation`. On real EEG a {term}`placebo`, a loss towards permuted valence, costs as much as one
#   towards the axis ({term}`exploratory`; by the rule fixed beforehand it is undecided whether the axis harms more;
#   [chapter 10](10_alignment.ipynb)). In simulations alignment costs as much where there is no valence at all. Briefly trained networks are
#   harmed most, far below the accuracy at which the paper expects any harm ([chapter 11](11_saturation.ipynb)). And after Holm's
#   correction five and ten of our strategies harm, in the two {term}`regimes <regime>`; of the paper's sixteen, ten are left.
# - **Alignment of the {term}`residual` did not predict which members help,** neither on real EEG nor in simulations ([chapter 13](13_two_tier.ipynb)). Whether members built to differ in the residual beat
#   plain seeds is undecided on real EEG: all four intervals include zero ([chapter 12](12_ensemble.ipynb)).
# - **The gain of an ensemble does not shrink where single networks are good.** Over our recipes it grows ([chapter 13](13_two_tier.ipynb)).
# - **The replication shows little.** Five classes have only 120 orders, and some of the paper's own figures for SEED-V do not reach .05 ([chapter 14](14_seed_v.ipynb)).
#
# ## What nobody knows yet
#
# - Whether people's EEG follows valence *weakly*. On FACED neither the comparison of emotions ([chapter 5](05_projection.ipynb)) nor that of people who watched the same clip ([same clip, different people](18_same_clip.ipynb)) finds it. Each could miss a small effect, and
#   both chapters say how small.
# - Whether networks *use* the axis. Compared with fair controls, ablation hardly ever finds anything ([chapter 9](09_ablation.ipynb)).
# - What larger language models would show. Two small ones are bundled with the book, a third comes on request; the paper's fourteen load by name.

# %% [markdown]
# ## A rule, written beforehand, makes each verdict
#
# The rules were written down before their results were computed, and those on EEG before any recording was read, except for the rows that
# are marked exploratory. A few were revised after a first look at texts or simulations; [a table](../book/rules.md) lists each change. A rule
# looks at a value, its interval, its p-value and the number of units, and says *supported*, *not supported* or *inconclusive*.
#
# A claim has one result for each model, regime or cohort on which we tried it. We say that it *held* where all of its results are supported,
# *held in part* where some are, *failed* where none is and at least one is not supported, and *could not be decided* where all are
# inconclusive. We never count real data and simulations together. Nor do we mix simulated cohorts in which something was planted with those
# in which there was nothing to find; in the latter, "failed" is the right answer.

# %% tags=["hide-input"]
import pandas as pd
from IPython.display import Markdown

from kernel import claims, plots

plots.set_style()
pd.set_option("display.max_rows", None)
path = claims.book_ledger()
ledger = claims.ledger(path)
every = claims.outcomes(path=path)
ours = pd.Series({name: claims.load_claim(name).ours for name in every.index})
run = ledger["verdict"] != "not run"
Markdown(
    f"The ledger holds {len(every)} claims with {run.sum()} results; {(~run).sum()} more could not be run. {(~ours).sum()} claims are the paper's own. The other "
    f"{ours.sum()} are ours: controls, extensions, and consequences that the paper does not test. A claim counts as ours "
    "if it says so, or if the paper has no figure for it."
)

# %% [markdown]
# ## Of the paper's own claims, those about words hold in part and those about brains fail

# %% tags=["hide-input"] mystnb={"image": {"alt": "Matrix of outcomes: a row for each of the paper's own claims behind the six headlines, a column each for real data, simulated cohorts with something planted, and simulated cohorts with nothing planted. Cells read held (blue), held in part (light blue), failed (orange) or could not be decided (grey); cells of what was not asked are empty. On real data the claims that EEG or classifiers follow the axis all failed."}, "figure": {"caption": "**On real brains most of the paper's headline claims failed.** Filled: real data. Hollow: simulated cohorts, where *failed* means something else: in the middle a test missed what was planted; on the right it was rightly silent."}}
names = [name for group in claims.HEADLINES.values() for name in group]
headlines = every.loc[names]
columns = {
    "real": "real data",
    "planted": "simulated,\nplanted",
    "nothing planted": "simulated,\nnothing\nplanted",
}
simulated = ["planted", "nothing planted"]
fig = plots.plot_outcomes(headlines[~ours[names]], columns, hollow=simulated)

# %% [markdown]
# In the middle column "failed" says that a test missed what was {term}`planted`: on real data such a test may have missed something, too. The table counts all of the paper's own claims.

# %% tags=["hide-input"]
THEMES = {
    "C1": "axis of language models", "C2": "sentiment of texts", "C3": "agreement of models",
    "C4": "projection of EEG", "C5": "map on the scalp", "C6": "classifiers",
    "C7": "alignment", "C8": "ensembles", "C9": "SEED-V",
}  # fmt: skip
own = every[~ours]
counts = pd.crosstab(own.index.str[:2], own["real"]).reindex(columns=list(claims.OUTCOMES))
counts = counts.rename(columns={"not asked": "no real data"})
counts.rename(lambda name: f"{name}: {THEMES[name]}").rename_axis("the paper's claims").rename_axis(None, axis=1)

# %% tags=["remove-cell", "nbval-check-output"]
every["real"].value_counts().reindex(claims.OUTCOMES), own["real"].value_counts().reindex(claims.OUTCOMES)

# %% [markdown]
# The balance tips at C4, where the brain comes in: about words most claims hold at least in part, about EEG, its map and the classifiers not one
# does. Counts are no score, since some claims deny something: that "stories of nonce words give no axis" *failed* means that they do give one.

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "The paper's claims by name", "code_prompt_hide": "The paper's claims by name"}


def by_outcome(part):
    """The claims that came to each outcome on real data."""
    groups = {word: part.loc[part["real"] == word, "claim"] for word in claims.OUTCOMES[:-1]}
    lines = [
        f"**{word.capitalize()}** ({len(group)})\n\n" + "\n".join(f"- `{name}` {claim}" for name, claim in group.items())
        for word, group in groups.items()
    ]
    return Markdown("\n\n".join(lines))


by_outcome(own)

# %% [markdown]
# ## Our controls show why

# %% tags=["hide-input"] mystnb={"image": {"alt": "Matrix of outcomes as before, a row for each of our own questions behind the headlines. On real data the axis with an affect cue held; that it stands out among directions of the texts, that sixteen strategies survive Holm's correction and that alignment helps with few people failed; two questions could not be decided. In simulations noise reaches .87."}, "figure": {"caption": "**On real data none of our controls favours the paper, and two are undecided; an extension, the affect cue, works.** What we asked beside the paper's claims; columns as above."}}
asked = headlines[ours[names]]
fig = plots.plot_outcomes(asked.assign(claim=asked["claim"].str.replace(r" \(our \w+\)", "", regex=True)), columns, hollow=simulated)

# %% [markdown]
# Here "failed" may be good news for the paper or bad. The most telling answers, on real data if not marked:
#
# - Data without any valence reach an in-sample correlation of .87, too (simulated). Unseen clips, films and emotions are not predicted.
# - The direction in language models does not stand out among those in which the texts vary anyway.
# - On clips that training has met, nine arbitrary groups of clips are decoded nearly as well as the nine emotions. On unseen clips the emotions stay a little above chance.
# - That the axis harms more than its placebo is undecided; that they differ by less than .01 held (exploratory).
# - That alignment helps where training people are few failed, by intervals over test people; with seeds drawn anew as well, it is undecided.

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Our controls and questions by name", "code_prompt_hide": "Our controls and questions by name"}
by_outcome(every[ours])

# %% [markdown]
# ## Some claims could not be run
#
# They need models, images or ratings that we did not have, or a test that does not exist. [The ledger](../book/claims.md) says how to run those that
# the package can run.

# %% tags=["hide-input"]
missing = ledger[ledger["verdict"] == "not run"].drop_duplicates("id")
missing.set_index("claim")[["needs"]]

# %% [markdown]
# ## Verdict
#
# Every result behind the rows of both figures is folded here, with its interval and p-value.

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "All results behind the headlines", "code_prompt_hide": "All results behind the headlines"}
rows = [row for row in claims.read_ledger(path) if row.id in names]
claims.show(*rows)[["data", "ours", "interval", "p", "verdict"]]

# %% [markdown]
# **What stands.** Small language models have such a direction, and several of the paper's figures can be reproduced.
#
# **What does not stand.** The step from there to brains. On the paper's own data no test on unseen emotions finds the axis in
# EEG, what is decoded from unseen clips and films is little and may be their place in the session, and networks trained on these people give no sign of it that shuffled emotions would not give.
#
# **What is not shown.** That brains carry no valence. Effects too small for these tests remain possible, and we have not put networks on
# raw signals to these tests. Some of what is open the paper's authors could settle: [our questions](../book/questions.md).
#
# ## Try it
#
# **Exercise 1.** Predict the verdicts before you read the last column: the first line printed is the rule. Then change the name to `C8.gain`,
# and to `C7.beyond_placebo`.

# %%
name = "C4.tracked"
rows = ledger[ledger["id"] == name]
print(rows["rule"].iloc[0])
rows = rows.set_index("data")[["value", "low", "high", "p", "verdict"]]
rows.dropna(axis=1, how="all")

# %% [markdown]
# ```{dropdown} Solution
# `C4.tracked` asks for a value above 0 with p < .05, and p lies above .05 on FACED and on both simulated cohorts: not supported, three times.
# `C8.gain` asks for an interval above zero: supported with the time course and in the simulated cohort, inconclusive with means.
# `C7.beyond_placebo` asks for an interval below zero, and all five intervals include zero: inconclusive, five times.
# ```
#
# **Exercise 2.** On FACED with means, an ensemble gains .004, with an interval from −.001 to .008. What would the verdict be if we had tested four
# times as many people and found the same gain?
#
# ```{dropdown} Solution
# The interval would be about half as wide, since its width shrinks with the square root of the number of people. It would lie above zero, so
# the verdict would be *supported*, of the same small gain. "Inconclusive" says something about the data, not about the claim.
# ```
#
# **Exercise 3.** `C7.beyond_placebo`, that the axis harms more than its placebo, could not be decided, although its estimates on FACED are
# .001 and .0008. Why does the rule not say "failed"? Which other claim of the ledger asks the better question?
#
# ```{dropdown} Solution
# An interval that includes zero neither shows a harm nor excludes one. The claim would fail only if the whole interval lay at or above zero.
# `C7.equivalent` asks instead whether the difference is smaller than .01, and this held. But its bound was chosen after a first look at the
# features, so it is exploratory.
# ```
#
# **On your own data.** From a shell:
#
# ```bash
# # every stored table of real EEG, computed again
# KERNEL_DATA=/path/to/FACED make results
# # one claim with its rule and its results
# kernel claims C4.tracked
# ```
