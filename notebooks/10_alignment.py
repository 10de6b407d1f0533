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
# # Twenty-five ways to align, each with its placebo
#
# **Data of this chapter.** First the p-values that the paper prints. Then trainings of our own: unless you point the chapter at recordings, every brain in
# them is *simulated*, and no accuracy says anything about people. `KERNEL_DATA=/path/to/SEED-V make book` runs the same cells on SEED-V, EmoEEG-MC or a cohort you have saved,
# with those strategies that the data can serve.
#
# **The claim.** "16 of 25 strategies significantly reduce accuracy" when EEG classifiers are pushed towards the axis; none helps
# {cite:p}`radwan2026shared`. The classes have already made the axis, so that to add it can only disturb: the *saturation regularity*.
#
# **Why it matters.** If it holds, a whole line of work, which ties brain decoders to language models, cannot pay. Two things must be known first: how many of
# 25 tests survive the correction for 25 tests, and whether it is *the axis* that disturbs, or any extra loss of that strength.

# %%
from dataclasses import replace

import matplotlib.pyplot as plt
import pandas as pd

from kernel import claims, plots
from kernel.brain.sources import load_cohort
from kernel.decoding.interventions import (
    RECIPE,
    default_values,
    false_positive_rate,
    family_mean,
    possible_strategies,
    run_cohorts,
    run_interventions,
    summarise,
)
from kernel.decoding.study import usual_split
from kernel.language.models import load_language_model
from kernel.language.study import axis_positions

plots.set_style()
table = claims.paper_alignment_table()

# %% [markdown]
# ## The paper's own p-values, recounted
#
# They come from paired t-tests over five seeds. Holm's procedure {cite:p}`holm1979simple` compares the
# $i$-th smallest of $m$ p-values with $\alpha / (m - i + 1)$ and bounds the chance of *any* false alarm;
# Benjamini-Hochberg {cite:p}`benjamini1995controlling` compares it with $i \alpha / m$ and bounds the expected *share* of false
# alarms. Values printed as bounds, such as $p < 10^{-4}$, are taken at the bound.

# %% mystnb={"image": {"alt": "Scatter plot of the 25 p-values printed in the paper, sorted, on a logarithmic axis; orange dots are strategies that reduce accuracy, blue squares those that raise it; lines mark the uncorrected level of .05, Benjamini-Hochberg and Holm."}, "figure": {"caption": "The paper's printed p-values; no data of ours."}}
ranked = table.sort_values("p").reset_index(drop=True)
m = len(ranked)
rank = ranked.index + 1
fig, ax = plt.subplots(figsize=(7, 4))
harm = ranked["delta"] < 0
ax.scatter(rank[harm], ranked["p"][harm], color=plots.ORANGE, label="accuracy falls", zorder=3)
ax.scatter(rank[~harm], ranked["p"][~harm], color=plots.BLUE, marker="s", label="accuracy rises", zorder=3)
ax.axhline(0.05, color=plots.GREY, ls=":", label="uncorrected .05")
ax.plot(rank, 0.05 * rank / m, color=plots.PURPLE, label="Benjamini-Hochberg")
ax.plot(rank, 0.05 / (m - rank + 1), color=plots.INK, label="Holm")
ax.set(yscale="log", xlabel="rank of the strategy", ylabel="p-value printed in the paper")
legend = ax.legend()
# %% [markdown]
# A point counts under a rule while it, and every point before it, lies below that rule's line (for Benjamini-Hochberg: while
# it or a later one does).

# %% tags=["nbval-check-output"]
counts = {
    "uncorrected": int((table["p"] <= 0.05).sum()),
    "Benjamini-Hochberg": int((table["p_bh"] <= 0.05).sum()),
    "Holm": int((table["p_holm"] <= 0.05).sum()),
}
for rule, count in counts.items():
    print(f"{rule}: {count} of {m}")

# %%
ranked[["number", "strategy", "delta", "p", "p_bh", "p_holm"]].set_index("number").round(4)

# %% [markdown]
# The uncorrected count includes a strategy whose printed p-value is .05 exactly. The large effects, of retraining on the axis
# and of strong relational losses, survive every correction; the small ones do not. But a count of p-values, corrected or not, says nothing about
# what causes the harm. That takes an experiment.
#
# ## The experiment
#
# One small network is trained with the loss of the paper's recipe and $\lambda$ times that of a strategy,
#
# $$ \begin{gathered} \mathcal L = \mathcal L_\mathrm{CE} + \lambda\, \mathcal L_\mathrm{axis}(z, \hat y; v) , \\
#    \Delta = \mathrm{BACC}_\lambda - \mathrm{BACC}_0 , \qquad \Delta_\mathrm{beyond} = \Delta(v) - \Delta(\pi v) . \end{gathered} $$
#
# Every training has a *twin* without the strategy, from the same seed, weights and batches; $\Delta$ compares the two on test people. Every training also has a
# *placebo*: the same strategy, at the same strength, with the valence $v$ permuted over the emotions by $\pi$. It adds a loss just as large and says nothing of
# valence. Only $\Delta_\mathrm{beyond}$ can be due to the axis.
#
# The paper names its strategies and mostly leaves open how they are computed; each [docstring](../book/api.md) says how we read it. Some act otherwise than by a second
# loss from the start: tuning of a few weights (18 to 20), pretraining on the axis (21, 22), transfer to a second cohort (23). For simulated cohorts $v$ is what was planted: the kindest
# target there is. If the truth does not help, the noisy axis of a language model will not.

# %%
cohort = load_cohort(skip=["FACED"], progress=False)
split = usual_split(cohort)
# recordings: the axes of two language models; within emotions what people rated
models = () if cohort.simulated and "rating" in cohort.data else ("SmolLM2-135M-Instruct", "Gemma-3-270M")
values = default_values(cohort, [axis_positions(load_language_model(name), cohort.classes) for name in models])
strategies, refused = possible_strategies(cohort, values=values)
print(f"EEG of this chapter: {cohort.label} ({cohort.data.attrs['provenance']}), split {split.name}")
print(f"{len(strategies)} strategies", *(f"not run: {label}: {why}" for label, why in refused.items()), sep="\n")

# %%
result = run_interventions(cohort, strategies, seeds=5, split=split, valence=values, progress=False)
summary = summarise(result)
base = result.table.loc[result.table["arm"] == "base", "bacc"]
print(f"{len(result.table)} trainings; accuracy without a strategy {base.mean():.3f}")

# %% mystnb={"image": {"alt": "Paired forest plot: one row for each alignment strategy, change of balanced accuracy with the axis in blue and with the placebo in grey, 95 % intervals, a dotted line at no change. The axis label names the cohort and says whether it is simulated."}, "figure": {"caption": "The cohort named below the axis. Bars: 95 % intervals over test people; the placebo permutes valence over emotions."}}
fig = plots.plot_paired_forest(
    summary, {"the axis": "true", "placebo": "placebo"}, label=f"change of balanced accuracy, {cohort.label}, five seeds"
)

# %%
people = int(split.test.any(1).sum())
shown = summary.set_index("label")[["true", "true_p", "true_holm", "placebo", "beyond", "beyond_low", "beyond_high", "beyond_holm", "detectable"]]
tiny = {name: shown[name].map("{:.2g}".format) for name in ("true_p", "true_holm")}  # not 0.0000
shown.round(4).assign(**tiny).rename_axis(f"{cohort.label}, {people} test people")

# %% [markdown]
# `true` and `placebo` are mean changes of balanced accuracy over five seeds, with intervals over test people; `beyond` is their paired
# difference; p-values are those of paired t-tests over seeds, as in the paper, adjusted for the number of strategies. `detectable` is the change that
# five seeds would find in four of five cases: a strategy below it is not shown to be harmless.
#
# Weak pushes change little. Strong ones cost accuracy, as in the paper, and cost about as much with a permuted valence.
#
# ## How many count?

# %%
def count(column, sign):
    return int(((summary[column] <= 0.05) & (sign * summary[column.split("_")[0]] > 0)).sum())


found = pd.DataFrame(
    {
        rule: {f"{what} {way}": count(f"{what}_{name}", sign) for what in ("true", "placebo", "beyond") for way, sign in (("harm", -1), ("help", 1))}
        for rule, name in (("uncorrected", "p"), ("Benjamini-Hochberg", "bh"), ("Holm", "holm"))
    }
)
found.rename_axis(f"{cohort.label}: of {len(summary)}")

# %%
family = family_mean(result)
family.round(4).rename_axis(f"mean over strategies, {cohort.label}")

# %%
same = summary["beyond_same"]
print(f"equivalence tests: {int((same <= 0.05).sum())} of {len(summary)} strategies lie within .01 of their placebo (p <= .05, each for itself)")
exact = summary["true_flip"].min()
print(f"smallest p of a sign-flip test with five seeds: {exact:.4f}")

# %% [markdown]
# **What five seeds can say.** An exact test that flips signs has 32 outcomes, so that five seeds never reach .05 two-sided, whatever they show; the t-test
# reaches it by assuming normal differences. And five seeds of one cohort share its people, clips and class geometry: their t-test speaks of *this* cohort. For
# a claim about a kind of data the unit is the cohort, which is what the [next chapter](11_saturation.ipynb) counts.
#
# ## Does the test keep its level?
#
# Twenty simulated cohorts with *nothing* in them, neither classes nor valence: every rejection is false.

# %%
silent = run_cohorts(
    range(20), "null", [11, 14], n_subjects=30, split="leave_subjects_out", seeds=5, recipe=replace(RECIPE, epochs=10), progress=False
)
rates = false_positive_rate(silent)
rates.round(3).set_index(["contrast", "test"]).rename_axis(["simulated, nothing there", "test"])

# %% [markdown]
# ## Verdict

# %%
data = "the paper's printed p-values"
rows = [
    claims.record(f"C7.count_{key}", value=counts[rule], n=m, data=data, simulated=False)
    for key, rule in (("uncorrected", "uncorrected"), ("bh", "Benjamini-Hochberg"), ("holm", "Holm"))
]
rows += [
    claims.record("C7.count_own", value=found.loc["true harm", "Holm"], n=len(summary), data=cohort.label, simulated=cohort.simulated),
    claims.record("C7.none_helps", value=found.loc["true help", "Holm"], n=len(summary), data=cohort.label, simulated=cohort.simulated),
]
claims.show(*rows)[["paper", "ours", "data", "verdict"]]

# %% tags=["nbval-check-output"]
claims.show(*rows)[["data", "verdict"]]

# %% [markdown]
# **What stands.** To push a classifier towards the axis does not help here, and strong pushes cost accuracy. **What does not.** That the axis
# is what costs it: a loss of the same form and strength towards a meaningless target costs as much. And the count of sixteen, in
# the paper's own numbers, once 25 tests are taken for 25. **What is not shown.** That no strategy could help in other regimes:
# that is the next chapter. And nothing about people, until the same cells run on recordings.
#
# ## Run it on recordings
#
# ```bash
# KERNEL_DATA=/path/to/SEED-V make book     # or EmoEEG-MC, or a file written by Cohort.save
# kernel run study.yaml                     # FACED: a study with a report, on any cohort
# ```
#
# ```python
# from kernel.decoding.interventions import run_interventions, summarise
#
# result = run_interventions(cohort, [11, "InfoNCE"], seeds=5)    # rows of the table by number, others by name
# summarise(result)
# ```
