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
# **The question.** Do modern language models and human EEG share one valence axis, and can classifiers that have found it not be improved by it {cite:p}`radwan2026shared`?
#
# **The answer in short.** The direction in language models is real, and crude. The step from it to brains does not hold: on the paper's own data no fair test finds the axis in EEG or in networks
# trained on it. Effects too small for these tests remain possible.
#
# **You will learn** which of the paper's claims stand and which fall, what stays open, and how a verdict comes about.
#
# **Data of this chapter.** The {term}`ledger` of the chapters before, row by row. Verdicts on language models, on human ratings and on the EEG of FACED are on real data; those on *simulated* EEG
# say which conclusions the paper's methods can carry, and nothing about people.
#
# **Time.** 6 minutes to read, a few seconds to run. **In the paper.** All of it.

# %% [markdown]
# ## What stands
#
# - **The direction exists in small models too, if they are prompted.** With an {term}`affect cue`, two models of 135 and 270 million parameters sort human-rated texts by a direction
#   from a few stories, far better than random directions ({term}`isotropic <isotropic direction>` ones) do. Read without it, as in the paper, they hardly do ([chapters 1](01_axis.ipynb), [2](02_sentiment.ipynb)).
# - **Ensembling gains a little.** On real EEG, ten networks beat one by less than a hundredth of {term}`balanced accuracy`; in one of the two {term}`regimes <regime>` the interval just excludes zero ([chapter 12](12_ensemble.ipynb)).
# - **Prototypes from a language model are worth no more than random ones** ([chapter 13](13_two_tier.ipynb)), as the paper finds.
# - **The data can be decoded, and online too** ([chapters 7](07_classifiers.ipynb) and [15](15_online.ipynb)). What is decoded is mostly which moment of which film is on.
# - **Alignment does not help.** On real EEG no strategy raises accuracy after a correction, and heavy losses lower it, the more the heavier they are ([chapters 10](10_alignment.ipynb) and
#   [11](11_saturation.ipynb)). In simulations, training on four people is the exception, and a small one.
#
# ## What falls
#
# - **The numbers that carry the paper's argument are {term}`in sample` or uncorrected.** The correlation of .87 comes back to the digit from the paper's own data, as a fit judged on the clips to which it was fitted. Shuffled emotions are fitted nearly as well, and
#   emotions that the fit has not seen are not predicted at all ([chapter 5](05_projection.ipynb)). The map behind it depends on how people are averaged, and its best {term}`cell` on one person ([chapters 5](05_projection.ipynb) and [6](06_topography.ipynb)). Of sixteen harmful strategies ten survive a correction for 25 tests ([chapter 10](10_alignment.ipynb)).
# - **A high accuracy is not a reading of emotion.** Networks that learn {term}`moments <moment>` of films, and no emotion, name the emotions of seen clips better than networks that learn emotions; on unseen clips both are
#   little better than chance ([chapter 7](07_classifiers.ipynb)).
# - **Classifiers do not find the axis, as far as 36 networks can show.** Our 36 give a correlation nearly as high as the paper's where they see the time course, and shuffled emotions give such correlations as well. With another language model's axis the same networks
#   give one of the other sign ([chapter 8](08_rediscovery.ipynb)). Removing the direction costs no accuracy that can be measured ([chapter 9](09_ablation.ipynb)).
# - **The {term}`nulls <null>` are too easy.** Clips are shuffled where emotions are the unit, and directions are drawn along which features hardly vary where their variance is what counts
#   ([chapters 5](05_projection.ipynb) and [9](09_ablation.ipynb)). Each calls an effect significant far too often in simulated cohorts that have none.
# - **Saturation is not needed to explain the harm.** On real EEG a {term}`placebo`, a loss towards permuted valence, costs as much as one towards the axis ({term}`exploratory`; by the rule fixed beforehand, whether the axis harms more is undecided; [chapter 10](10_alignment.ipynb)). In simulations it costs as much where there
#   is no valence at all. Briefly trained networks are harmed most, below the accuracy at which the paper expects any harm ([chapter 11](11_saturation.ipynb)). Fewer strategies harm than the paper counts.
# - **Alignment of the {term}`residual` did not predict which members help,** neither on real EEG nor in simulations ([chapter 13](13_two_tier.ipynb)). Whether members built to differ in the residual beat plain seeds is undecided
#   on real EEG ([chapter 12](12_ensemble.ipynb)): all four intervals include zero.
# - **The gain does not shrink with accuracy.** Over our recipes it grows ([chapter 13](13_two_tier.ipynb)).
# - **The replication is thin.** Five classes have 120 orders; some of the paper's own figures for SEED-V do not reach .05 ([chapter 14](14_seed_v.ipynb)).
#
# ## What nobody can know yet
#
# - Whether people's EEG follows valence *weakly*. On FACED neither the comparison of emotions ([chapter 5](05_projection.ipynb)) nor that of people who watched the same clip ([same clip, different people](18_same_clip.ipynb)) finds it. Each could miss a small effect, and
#   both chapters say how small.
# - Whether the axis is *used*. Against fair controls, ablation has hardly any power ([chapter 9](09_ablation.ipynb)).
# - What larger models would give. Two small ones are bundled; the paper's fourteen load by name.

# %% tags=["hide-input"]
import pandas as pd
from IPython.display import Markdown

from kernel import claims, plots

plots.set_style()
pd.set_option("display.max_rows", None)
path = claims.book_ledger()
ledger = claims.ledger(path)
results = int((ledger["verdict"] != "not run").sum())
print(f"{ledger['id'].nunique()} claims, {results} results")

# %% [markdown]
# ## How a verdict comes about
#
# A verdict is a function of numbers, written down before they were computed; on EEG before any recording was read, except for the rows that are marked exploratory:
#
# $$ \text{verdict} = f(\text{value}, \text{interval}, p, n) \in \{\text{supported}, \text{not supported}, \text{inconclusive}\} . $$
#
# One claim has as many results as there were models, regimes or cohorts to try it on. We say that it *held* where all of its results are supported, *held in part* where
# some are, *failed* where none is and at least one is not supported, and *could not be decided* where all are inconclusive. Real data and simulations are never
# counted together, and neither are simulated cohorts in which something was planted and those in which there was nothing to find: there, "failed" is the right answer.
#
# ## One row for each headline

# %% tags=["hide-input"] mystnb={"image": {"alt": "Matrix of outcomes: a row for each claim behind the six headlines, a column each for real data, simulated cohorts with something planted, and simulated cohorts with nothing planted. Cells read held (blue), held in part (light blue), failed (orange) or could not be decided (grey); cells of what was not asked are empty."}, "figure": {"caption": "**On real brains most claims failed.** Left: real data; middle and right: simulated cohorts, with something planted and with nothing to find, where failing is right."}}
names = [name for group in claims.HEADLINES.values() for name in group]
columns = {
    "real": "real data",
    "planted": "simulated, planted",
    "nothing planted": "simulated, nothing planted",
}
fig = plots.plot_outcomes(claims.outcomes(names, path), columns)

# %% [markdown]
# On real data the words hold up and the step to brains does not. A "failed" in the middle column means that a test missed what was {term}`planted`. A row counts what *we* asked, and some rows are controls for which "failed" is the good news. So counts are no score, and the table is read line by line.
#
# ## What became of all claims on real data

# %% tags=["hide-input"]
every = claims.outcomes(path=path)
lines = []
for word in claims.OUTCOMES[:-1]:
    part = every[every["real"] == word]
    names = "; ".join(f"{claim.rstrip('.')} (`{name}`)" for name, claim in part["claim"].items())
    lines.append(f"**{word.capitalize()}** ({len(part)}). {names}.")
Markdown("\n\n".join(lines))

# %% [markdown]
# In numbers:

# %% tags=["nbval-check-output"]
every["real"].value_counts().reindex(claims.OUTCOMES)

# %% [markdown]
# Each claim stands in exactly one of these groups, or was not asked on real data.
#
# ## Not run
#
# These claims need what we did not have.

# %% tags=["hide-input"]
missing = ledger[ledger["verdict"] == "not run"].drop_duplicates("id")
missing.assign(command=missing["command"].replace("", "nothing in this edition runs it")).set_index("id")[
    ["claim", "needs", "command"]
]

# %% [markdown]
# ## Verdict
#
# What is left open, the paper's authors could partly settle: [our questions](../book/questions.md). Here is every result behind the six headlines.

# %% tags=["hide-input"]
headline = [name for names in claims.HEADLINES.values() for name in names]
rows = [row for row in claims.read_ledger(claims.book_ledger()) if row.id in headline]
claims.show(*rows)[["ours", "interval", "p", "data", "verdict"]]

# %% [markdown]
# **What stands** is a direction in small language models, and figures that can be reproduced.
#
# **What does not stand** is the step from it to brains. On the paper's own data no test on unseen emotions, films or clips finds the axis in
# EEG, and networks trained on these people give no sign of it that shuffled emotions would not give.
#
# **What is not shown** is that brains carry no valence. Effects too small for these tests remain possible, and networks on raw
# signals are still to come.
#
# ## Try it
#
# ```bash
# KERNEL_DATA=/path/to/FACED make results    # every stored table of real EEG, computed again
# kernel claims C4.tracked                   # one claim with its rule and its results
# ```
