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
# # Does the residual tell who helps?
#
# **Data of this chapter.** Every brain here is *simulated*. With `KERNEL_DATA=/path/to/SEED-V make book`, pools of networks trained on your recordings are shown beside them.
#
# **The claim.** A theory in two tiers: the class means of a classifier are saturated, and what distinguishes good members of an ensemble is their residual. Over ten
# checkpoints, alignment of the residual with the valence axis predicts the leave-one-out contribution with $r = .743$ ($p = .014$), and the top seven by
# alignment, .6962, beat the bottom seven, .6829 {cite:p}`radwan2026shared`.
#
# **Why it matters.** It would say *which* networks to average, before averaging them. But ten checkpoints are one pool, and a correlation of ten numbers has a standard
# deviation of a third by chance.

# %%
import numpy as np
import pandas as pd

from kernel import claims, plots
from kernel.brain.sources import load_cohort
from kernel.decoding.bank import TrainingSpec, train_bank
from kernel.decoding.contest import (
    effect_of_adding,
    fair_contest,
    growth,
    length_agreement,
    lengths_against_seeds,
    make_pools,
    pool_specs,
    residual_against_contribution,
    simulated_pools,
    top_and_bottom,
)
from kernel.decoding.ensemble import accuracy_difference, gain_against_headroom, softmax
from kernel.decoding.study import checkpoint_specs, usual_split
from kernel.language.study import story_axis

plots.set_style()
LENGTHS = (12, 18)  # epochs, in the ratio of the paper's 100 and 150
cohort = load_cohort(skip=["FACED"], progress=False)
split = usual_split(cohort)
print(f"EEG of this chapter: {cohort.label} ({cohort.data.attrs['provenance']}), split {split.name}")

# %% [markdown]
# ## Method
#
# A pool is the paper's design in small: five seeds at two lengths of training, in the ratio of its 100 and 150 epochs. The contribution of member $i$ is what is lost
# without it,
#
# $$ \Delta_i = \mathrm{BACC}(\text{all}) - \mathrm{BACC}(\text{all but } i) , $$
#
# its alignment the correlation of its best within-class component, chosen on validation people, with the ratings of the clips within their classes. Sixteen
# disjoint pools from eight simulated cohorts give a *distribution* of correlations. One null permutes the members of each pool; the other gives every member the
# alignment that it has with permuted ratings.

# %%
pools = simulated_pools(range(8), specs=pool_specs(2, lengths=LENGTHS), n_jobs=2, progress=False)
found = residual_against_contribution(pools)
held_out = residual_against_contribution(pools, score="held_out")
ends = top_and_bottom(pools)
data = f"simulated cohorts, seeds 0 to 7, default; {len(pools)} pools of ten"

# %% [markdown]
# ## Over many pools

# %% mystnb={"image": {"alt": "Three histograms on simulated cohorts: correlation of alignment and contribution in single pools, with the paper's .743 in orange; mean correlation over pools with members permuted; and accuracy of the top minus the bottom seven members with members permuted, the observed values in orange; dotted lines mark zero."}, "figure": {"caption": "Simulated cohorts, pools of ten networks. Orange: the paper's value on the left, ours elsewhere."}}
fig = plots.plot_nulls(
    {
        "r of one pool (simulated)\nline: the paper's .743": (found.table["r"].to_numpy(), 0.743),
        "mean r of all pools (simulated)\nmembers permuted": (found.null, found.mean),
        "top minus bottom seven (simulated)\nmembers permuted": (ends.null, ends.mean),
    },
    label="", reference=0,
)

# %%
pd.DataFrame(
    {
        "alignment and contribution": {"mean": found.mean, "sd over pools": found.sd, "sd by chance": found.null_sd, "p": found.p, "p, ratings permuted": found.p_target},
        "the same on held-out clips": {"mean": held_out.mean, "sd over pools": held_out.sd, "sd by chance": held_out.null_sd, "p": held_out.p},
        "top minus bottom seven": {"mean": ends.mean, "sd over pools": ends.table["difference"].std(), "p": ends.p},
    }
).T.rename_axis("simulated").round(3).astype(object).fillna("")

# %% tags=["nbval-check-output"]
largest = found.table["r"].max()
print("pools spread no more than by chance:", bool(found.sd < 1.25 * found.null_sd))
print("a pool as high as the paper's occurs:", bool(largest >= 0.743))

# %% [markdown]
# By chance alone the correlation of ten members has the standard deviation of the third column, so the paper's pool lies a little beyond two of them, as its own
# $p = .014$ says; none of these pools comes near it. Seven of ten overlap in four, so top and bottom seven differ in three members each. The score on held-out clips is
# one of two that were tried, its null permutes members only, and it does not enter the verdict.
#
# ## How a pool grows
#
# Accuracy of all subsets of each size, of the first pool of every cohort.

# %%
sizes = pd.concat([growth(pool.probabilities, pool.y).assign(pool=pool.name) for pool in pools[::2]])
sizes.groupby("size")[["mean", "worst", "best"]].mean().round(3).rename_axis("members (simulated)")

# %% [markdown]
# ## Lengths, depths, prototypes
#
# *Lengths.* The paper ascribes diversity to mixing 100 and 150 epochs, but prints kappas of .694 and .679 within a length and .702 across. Pairs of one seed at two lengths
# are twins, and all of them count as "across": they are left out here. *Depths.* Do members of other depths harm a pool? *Prototypes.* Does it matter whether the
# auxiliary loss of [chapter 7](07_classifiers.ipynb) draws to a language model's prototypes or to random ones?

# %%
own = train_bank(pool_specs(1, n_seeds=10, lengths=LENGTHS), cohort, split, n_jobs=2, progress=False)
others = [TrainingSpec(options={"hidden": hidden}, epochs=LENGTHS[0], batch_size=256, learning_rate=2e-3, seed=s) for hidden in ((64,), (128, 128, 64)) for s in range(5)]
deeper = train_bank(others, cohort, split, n_jobs=2, progress=False)
test = own.rows("test")
y, subject = own.trials["y"].to_numpy()[test], own.trials["subject"].to_numpy()[test]


def probabilities(bank, members=None):
    return softmax(np.stack([bank.scores(int(m))[test] for m in (range(len(bank)) if members is None else members)]))


lengths = np.array([spec.epochs for spec in own.specs])
seeds = np.array([spec.seed for spec in own.specs])
ten = np.flatnonzero(seeds < 5)
kappa = length_agreement(probabilities(own), lengths, subject, seeds=seeds)
adding = effect_of_adding(probabilities(own, ten), probabilities(deeper), y, subject)
mixing = lengths_against_seeds(own)

axis = story_axis("SmolLM2-135M-Instruct", cohort.classes)
prototypes = axis.centroids_[[axis.classes_.index(emotion) for emotion in cohort.classes]]
bank = train_bank(checkpoint_specs(), cohort, split, prototypes=prototypes, n_jobs=2, progress=False)
recipes = np.array([spec.recipe.split(", ", 1)[1] for spec in bank.specs])
with_model, at_random = (np.flatnonzero(recipes == name) for name in ("prototypes of a language model", "random prototypes"))
distilled = accuracy_difference(probabilities(bank, with_model), probabilities(bank, at_random), y, subject)
pd.DataFrame(
    {
        "kappa across lengths minus within": kappa._asdict(),
        "two lengths minus ten seeds of the longer": dict(zip(("value", "low", "high"), mixing.iloc[-1][["difference", "low", "high"]], strict=True)),
        "adding ten members of other depths": adding._asdict(),
        "language model's minus random prototypes": distilled._asdict(),
    }
).T.rename_axis(cohort.label).astype(float).round(4)

# %% [markdown]
# An interval that ends short of zero is not yet an effect of any size: a difference in kappa of some thousandths is little diversity.
#
# ## Headroom
#
# "The gain shrinks where single members are good": over twelve cohorts with ensembles of five. Single accuracy is measured on validation people, since
# noise in one and the same accuracy would make the correlation negative by itself.

# %%
singles = fair_contest(range(12), ("default",), methods=["single network", "deep ensemble"], n_members=5, n_jobs=2, progress=False)
deep = singles[singles["method"] == "deep ensemble"]
headroom = gain_against_headroom(deep["single_validation"], deep["bacc"] - deep["single"])
print(f"simulated, {len(deep)} cohorts: Spearman correlation of single accuracy and gain {headroom.observed:.2f}, p {headroom.p:.2f}")

# %% [markdown]
# ## On the cohort of this book
#
# The first pool of the cohort named above, if its clips carry ratings: one pool among many, as the paper's is.

# %%
if "rating" in cohort.data:
    pool = make_pools(train_bank(pool_specs(1, lengths=LENGTHS), cohort, split, n_jobs=2, progress=False), cohort.rating())[0]
    one = residual_against_contribution([pool, pool]).table.iloc[0]  # the same pool twice: only its own row is read
    print(f"{cohort.label}: r {one['r']:.2f}, p {one['p']:.2f}, {one['members']} members")
else:
    print(f"{cohort.label}: no ratings of single clips, no within-class target")

# %% [markdown]
# ## Verdict

# %%
people = len(np.unique(subject))
shared = {"n": people, "data": cohort.label, "simulated": cohort.simulated}
rows = [
    claims.record("C8.residual_predicts", value=found.mean, p=found.p, n=len(pools), data=data, simulated=True),
    claims.record("C8.top_seven", value=ends.mean, p=ends.p, n=len(pools), data=data, simulated=True),
    claims.record("C8.length_diversity", value=kappa.value, low=kappa.low, high=kappa.high, **shared),
    claims.record("C8.larger_pools", value=adding.value, low=adding.low, high=adding.high, **shared),
    claims.record("C8.kd_prototypes", value=distilled.value, low=distilled.low, high=distilled.high, **shared),
    claims.record("C8.headroom", value=headroom.observed, p=headroom.p, n=len(deep), data="simulated cohorts, seeds 0 to 11, default", simulated=True),
]
claims.show(*rows)[["paper", "ours", "interval", "p", "data", "verdict"]]

# %% tags=["nbval-check-output"]
# those whose intervals end within thousandths of their limit may differ on another processor
FIRM = ("C8.residual_predicts", "C8.top_seven")
claims.show(*[row for row in rows if row.id in FIRM])[["data", "verdict"]]

# %% [markdown]
# **What stands.** An ensemble grows with its members and levels off; which members join matters little. **What does not.** On these cohorts the alignment that the paper
# uses says nothing about a member's contribution: over many pools the correlation spreads about zero no more widely than chance. **What is
# not shown.** Anything about people, or about networks as large as the paper's. Whether alignment on held-out clips tells more, as its row may hint, is a question for new cohorts. The default cohort holds
# little valence within classes; with strong valence the question may be asked again by `simulated_pools(range(8), "strong_valence")`. Members trained on the axis are in [chapter 11](11_saturation.ipynb).
#
# ## Run it on recordings
#
# ```bash
# KERNEL_DATA=/path/to/SEED-V make book     # or EmoEEG-MC, or a file written by Cohort.save
# kernel run study.yaml                     # FACED: a study with a report, on any cohort
# ```
#
# ```python
# from kernel.decoding.contest import make_pools, residual_against_contribution
#
# pools = make_pools(bank, cohort.rating())  # one pool for each recipe label of the bank
# residual_against_contribution(pools).table
# ```
