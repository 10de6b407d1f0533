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
# # 9. Do networks use the valence direction?
#
# **The question.** Clips of the same emotion still differ from one another. Among these differences the paper looks for a direction that
# follows the {term}`valence axis`, and removes it from trained networks. Accuracy then falls by .0157 on average over ten
# {term}`checkpoints <checkpoint>`, 7.7 standard deviations further than after removing random directions {cite:p}`radwan2026shared`. The
# paper concludes that the networks *use* the direction. Do they?
#
# **The answer in short.** Not on FACED. Without this direction, the ten best networks that see averages lose nothing, and the ten best that
# see the time course lose .001 of accuracy. That is less than they lose on average without a direction chosen by a meaningless target. Even a
# larger loss would have shown little: in *simulated* people who have no valence, the paper's comparison with random directions raises a
# false alarm in half of the cohorts.
#
# **You will learn** how to remove a direction from a network, with what to compare the loss, and why a large *z* may only say that the
# direction held much variance.
#
# **Data of this chapter.** Real: the 36 networks of the last chapter, once with averages over ten seconds (*means*) and once with their *time
# course*, trained on FACED {cite:p}`chen2023faced`, and 23 test people. The controls whose truth is known are *simulated*.
#
# **Time.** 8 minutes to read, less than half a minute to run (two processor cores). **In the paper.** The ablation of the residual direction
# in ten checkpoints; the claims `C6.ablation`, `C6.ablation_isotropic` and `C6.drop_follows_r` of [the ledger](../book/claims.md).

# %% tags=["hide-input"]
import numpy as np
import pandas as pd
from scipy.stats import binom

from kernel import claims, plots, stats
from kernel.audit import store
from kernel.audit.projection_rates import rejection_rates
from kernel.audit.trainings import NULLS
from kernel.decoding.ablation import CONTROLS, Ablation, ablation_summary

plots.set_style()
names = ["checkpoints", "ablation", "ablation_nulls"]
names += [f"simulated_{name}" for name in names] + ["simulated_rates"]
tables = {name: store.load(name) for name in names}
print(store.sources(*tables.values()))

# %% [markdown]
# ## A loss means something only beside the loss of other directions
#
# To find out whether a network uses a direction, we remove it and see how much accuracy is lost. The {term}`residual` of a clip is its mean minus
# the mean of its emotion. Among the principal components of residuals in validation people, we
# take the one that follows people's ratings of the clips best: the *residual direction* $u$. Then we remove it from the features $z$ of
# test people and change nothing else {cite:p}`arditi2024refusal`,
#
# $$ z' = z - (z^\top \hat u)\, \hat u . $$
#
# Whatever one removes, a network may lose some accuracy. So we compare the fall with that after removing other directions
# {cite:p}`elazar2021amnesic`, of five kinds:
#
# - *{term}`Isotropic <isotropic direction>`*: any direction of the feature space. This is the paper's control. Most such directions hold
#   hardly any variance, so that removing one removes hardly anything. A principal component holds much variance, whatever it means.
# - *Matched variance*: directions drawn with the covariance of the features.
# - *Isotropic* and *matched variance, outside the basin*: the same two, without their part in the {term}`basin`, the span of the class
#   means, which the last layer needs.
# - *Chosen by random targets*: found exactly as $u$ was, but with the ratings shuffled among the clips of each emotion. They differ from
#   $u$ in one thing only: their target means nothing. This is the fair control, and our rule for `C6.ablation` uses it.

# %% tags=["hide-input"]
KEY = ["network", "recipe", "epochs"]
TRUTHS = {"no_valence 0": "no valence", "default 0": "default", "strong_valence 0": "strong valence"}
PEOPLE = [f"FACED, {regime}" for regime in tables["checkpoints"]["regime"].unique()]
SIMULATED = [f"simulated cohort, seed 0, {name}" for name in TRUTHS.values()]


def rows_of(name, label):
    """Rows of a table for one regime of FACED or one simulated cohort."""
    if label in PEOPLE:
        return tables[name][tables[name]["regime"] == label.removeprefix("FACED, ")]
    table = tables[f"simulated_{name}"]
    return table[table["truth"].map(TRUTHS) == label.removeprefix("simulated cohort, seed 0, ")]


def ten_best(label):
    """What the ten best checkpoints on validation people lose."""
    rows = rows_of("ablation", label).drop(columns="part").rename(columns={"of": "part"})
    best = rows.drop_duplicates(KEY).sort_values("validation", ascending=False, kind="stable")
    best = best.head(10)[KEY]
    null = best.merge(rows_of("ablation_nulls", label), on=KEY)[list(NULLS)].to_numpy().T
    rows = best.merge(rows, on=KEY).assign(data=label, simulated=label in SIMULATED)
    return Ablation(rows, {"random_target": null}, np.arange(len(best)))


lost = {label: ten_best(label) for label in PEOPLE + SIMULATED}
summary = pd.concat([ablation_summary(one) for one in lost.values()], ignore_index=True)
whole = summary[summary["part"] == "whole"].set_index(["data", "control"])
KINDS = list(CONTROLS.values())

# %% [markdown]
# ## On FACED, networks lose no more than with meaningless directions
#
# We take the ten networks of each regime that did best on validation people, as the paper does, and average what they lose.

# %% mystnb={"image": {"alt": "Two histograms, real EEG: mean fall in accuracy of ten networks without directions that random targets choose, mostly between 0 and .01. The orange line of the residual direction lies at zero with means and at .001 with the time course, in the left part of both; the dotted line of the paper lies at .0157, to the right."}, "figure": {"caption": "**The residual direction costs no more than directions that mean nothing (real EEG).** Grey: directions chosen by 199 random targets; orange: that chosen by people's ratings; dotted: the paper's fall."}}
fair = CONTROLS["random_target"]
nulls = {
    label: (lost[label].null["random_target"].mean(1), whole.loc[(label, fair), "drop"]) for label in PEOPLE
}
fig = plots.plot_nulls(nulls, label="mean fall in accuracy, real EEG", reference=0.0157, stacked=True)
ticks = fig.axes[-1].set_xticks([0, 0.005, 0.01, 0.015])

# %% [markdown]
# In both regimes the orange line lies in the left part of the grey: directions that mean nothing usually cost more. The table adds the
# other controls. Its *z* says by how many standard deviations of a control the fall exceeds that control's mean (the mean of ten networks);
# beside it stand the share of networks with p ≤ .05 and the p-value of all ten.

# %% tags=["hide-input"]
columns = {"drop": "mean fall", "z": "mean z", "share": "networks with p ≤ .05", "p": "p"}
table = whole.loc[PEOPLE, ["z", "share", "p"]].rename(columns={"share": "p ≤ .05"}).unstack("data")
table = table.swaplevel(axis=1).sort_index(axis=1, level=0, sort_remaining=False).loc[KINDS].round(2) + 0.0
table.rename(columns=lambda name: name.removeprefix("FACED, ")).rename_axis(index=None, columns=[None, None])

# %% [markdown]
# With means the mean fall is zero to the fourth digit; with the time course it is .0011. It exceeds no control by more than .8 standard deviations, while the paper's networks
# exceed the isotropic one by 7.7; three of ten networks of the time course do exceed that control one by one. Directions chosen by shuffled targets cost more on average, .004 to .005. So
# these networks hardly need the direction that follows people's ratings.
#
# (On the p-values: the networks see the same trials, so their p-values depend on one another. Twice their mean is a valid p-value all the
# same {cite:p}`vovk2020combining`. For random targets we compare the mean fall directly with the mean falls of the targets.)
#
# A part of the direction lies inside the basin, 15 % of it with means and 18 % with the time course. Does the part outside matter?

# %%
outside = summary[summary["part"] == "orthogonal"].set_index(["data", "control"])
kinds = [CONTROLS["residual"], CONTROLS["matched_residual"]]
table = outside.loc[(PEOPLE, kinds), ["drop", "z"]].round({"drop": 4, "z": 2}).rename(columns=columns).unstack("data")
table = table.swaplevel(axis=1).sort_index(axis=1, level=0, sort_remaining=False).loc[kinds]
table.rename(columns=lambda name: name.removeprefix("FACED, ")).rename_axis(index=None, columns=[None, None])

# %% [markdown]
# It does not. Without that part the networks lose nothing in either regime (a fall below zero is a gain).
#
# ## Networks that follow the ratings more closely do not lose more
#
# If networks used the direction, those in which it follows the ratings more closely should lose more. We ask all 36.


# %% mystnb={"image": {"alt": "Two scatter plots, real EEG: residual score of 36 networks against their fall in accuracy. The dots show no trend in either regime; falls lie between -.01 and .02."}, "figure": {"caption": "**Networks whose direction follows the ratings more closely do not lose more (real EEG).** A dot is a network; falls below zero are gains."}} tags=["hide-input"]
def every_network(label):
    rows = rows_of("ablation", label).query("of == 'whole'").drop_duplicates(KEY)
    scores = rows_of("checkpoints", label)[[*KEY, "residual"]]
    return scores.merge(rows[[*KEY, "drop"]], on=KEY)


every = {label: every_network(label) for label in PEOPLE + SIMULATED}
architectures = {"mlp": "perceptron", "axial": "transformer"}
fig = plots.plot_checkpoints(
    {label: every[label].replace({"network": architectures}) for label in PEOPLE}, x="residual", y="drop",
    xlabel="residual score, chosen on the same clips", ylabel="fall in accuracy", stacked=True,
)  # fmt: skip


# %%
def follows(bank):
    return stats.permutation_test(
        stats.pearson, bank["residual"], bank["drop"],
        n_permutations=5000, alternative="greater", random_state=0,
    )  # fmt: skip


trend = {label: follows(bank) for label, bank in every.items()}

# %% [markdown]
# Neither regime shows a trend: r is .11 (p = .27) with means and −.07 (p = .67) with the time course. The paper finds none either: it reports r = .17, p = .64, for its ten checkpoints.
#
# ## The experiment could not have told: it alarms where there is no valence
#
# In simulated people we know whether there is any valence to use. We train the same 36 networks, take the ten best, and repeat the
# experiment without valence, with weak and with strong valence:

# %% mystnb={"image": {"alt": "Two panels, simulated cohorts without valence and with strong valence: z of what ten networks lose, against five kinds of control directions. Against isotropic directions, and all outside the basin, z is about 5 to 33 without valence and 18 to 43 with it; against matched variance and random targets it lies near 1 and 2."}, "figure": {"caption": "**Against isotropic directions z is large even where there is no valence (simulated cohorts).** A dot is a network, an orange bar the mean of ten."}} tags=["hide-input"]
panels = {
    label.split(", ")[-1]: lost[label].table.query("part == 'whole'")
    for label in (SIMULATED[0], SIMULATED[-1])
}
fig = plots.plot_ablation(panels)

# %% [markdown]
# Both panels show the same pattern, although only the lower cohort has any valence: where z is far from zero below, it is so above, at about half the size. The next table has the numbers for the paper's control and
# for the fair one.

# %%
shown = whole.loc[(SIMULATED, [CONTROLS["isotropic"], fair]), ["z", "p"]].round({"z": 1, "p": 3}).rename(columns={"z": "mean z"})
shown = shown.unstack("control").swaplevel(axis=1).sort_index(axis=1, level=0, sort_remaining=False)
shown = shown.loc[SIMULATED].rename_axis(index="simulated", columns=[None, None])
shown.rename(lambda label: label.rpartition(", ")[2].replace("default", "weak valence"))

# %% [markdown]
# Without any valence, ten networks exceed isotropic directions by a mean z of 10.3, more than the paper's 7.7. Against directions of equal
# variance, or chosen by random targets, little remains of that z; but then even strong valence just misses p < .05 (.055). (The control "matched
# variance, outside the basin" looks strict and is unfair: it removes the basin from the control but not from the direction under test.)
#
# How often does each comparison say yes? For this we train six networks for a short time on each of 16 simulated cohorts, and test the
# best of the six. The table holds the share of cohorts with p ≤ .05, with its 95 % interval:

# %%
rates = rejection_rates(tables["simulated_rates"])
rates = rates[rates["estimator"] == "accuracy lost without the residual direction"]
rates["share"] = [f"{row.rate:.2f} ({row.low:.2f} to {row.high:.2f})" for row in rates.itertuples()]
rates["null"] = rates["null"].str.removeprefix("directions, ")
table = rates.pivot(index="null", columns="truth", values="share")[[truth.split()[0] for truth in TRUTHS]]
table.rename_axis("directions").rename_axis(columns=None).rename(columns=lambda name: name.replace("_", " ").replace("default", "weak valence"))

# %% [markdown]
# Against isotropic directions the fall is significant in half of the cohorts that hold *no valence*. Random targets raise no such false
# alarms, but find hardly anything even where valence is strong. They choose among the same few components as the ratings do, so the
# directions that they choose often cost as much. The easy control says yes too often, the fair one hardly ever. So *this experiment cannot
# tell* whether networks use an axis.
#
# ## What could fool us
#
# - **Other networks.** The paper's networks see raw signals, are more accurate and are not public. They do lose accuracy; only the fair
#   control could say why.
# - **Ratings as target.** The paper does not say where its values of clips within an emotion come from. Ours are people's mean ratings.
# - **Little power.** Against random targets the test hardly finds strong valence. A large p therefore says little.
#   But a lack of power does not explain why the networks lose nothing at all.
#
# ## Verdict

# %% tags=["hide-input"]
rows = []
for label in PEOPLE + SIMULATED:
    here = dict(data=label, simulated=label in SIMULATED)
    for claim, control in {"C6.ablation": fair, "C6.ablation_isotropic": CONTROLS["isotropic"]}.items():
        row = whole.loc[(label, control)]
        rows.append(claims.record(claim, value=row["drop"], p=row["p"], n=int(row["n"]), **here))
    test = trend[label]
    rows.append(
        claims.record("C6.drop_follows_r", value=test.observed, p=test.p, n=len(every[label]), **here)
    )
of_people = [row for row in rows if not row.simulated]
claims.show(*of_people)[["ours", "p", "paper", "data", "verdict"]]

# %% tags=["hide-input"]
shown = claims.show(*[row for row in rows if row.simulated])
shown["simulated"] = shown["data"].str.rpartition(", ")[2].replace("default", "weak valence")
shown["verdict"] = shown["verdict"].str.removesuffix(" (simulated)")
shown[["ours", "p", "simulated", "verdict"]]

# %% tags=["remove-cell", "nbval-check-output"]
# what the text and the solutions say in numbers
for label in PEOPLE:
    cost, share = lost[label].null["random_target"].mean(), lost[label].table["share_in_basin"].mean()
    print(label, f"fall {whole.loc[(label, fair), 'drop']:.4f}, random targets cost {cost:.3f}; in the basin: {share:.0%};",
          f"residual score and fall: r {trend[label].observed:.2f}, p {trend[label].p:.2f}")
course = whole.loc[PEOPLE[1]].set_index("share", append=True).index.tolist()
print("networks with p ≤ .05, time course:", {control: round(share, 1) for control, share in course})
print("part outside the basin:", outside.loc[(PEOPLE[1], kinds), "share"].round(1).tolist())
print("alarms of 16 and their p-values:", {k: float(f"{binom.sf(k - 1, 16, 0.05):.2g}") for k in (1, 2, 3, 8)})
variance = np.r_[50, np.full(50, 1.0)]
directions = np.random.default_rng(0).standard_normal((10_000, 51))
held = (directions**2 @ variance) / (directions**2).sum(1) / variance.sum()
print(f"share of variance: the strong direction {50 / variance.sum():.2f}, a random one {held.mean():.3f}, 99 of 100 below {np.quantile(held, 0.99):.2f}")

# %% tags=["remove-cell", "nbval-check-output"]
falls = whole.loc[(PEOPLE, fair), "drop"]
print("mean fall below three thousandths in both regimes:", bool((falls.abs() < 0.003).all()))
claims.show(*of_people)[["data", "verdict"]]

# %% [markdown]
# **What stands.** On FACED and with our networks, nothing of the claim. Without the direction that follows people's ratings they lose no
# accuracy, or no more than without other directions of its kind.
#
# **What does not stand.** That a large z against isotropic directions shows use. It measures how much variance a direction holds, and in
# simulated people without any valence it is already larger than the paper's 7.7.
#
# **What is not shown.** That the paper's networks do not use the direction, or that ours use nothing of valence: we remove one direction
# of many, and a network may hold what it knows in several.
#
# ## Try it
#
# **Exercise 1.** How much variance does a random direction hold? In the cell, one direction has the variance 50 and fifty others have 1
# each, so that the first holds half of all. Change the 50, or the number of directions, and run the cell again.

# %%
variance = np.r_[50, np.full(50, 1.0)]
shape = 10_000, len(variance)
squared = np.random.default_rng(0).standard_normal(shape) ** 2
held = (squared @ variance) / squared.sum(1) / variance.sum()
print(f"strong direction {variance[0] / variance.sum():.0%},", end=" ")
print(f"a random one {held.mean():.0%}")
print(f"99 of 100 random ones below {np.quantile(held, 0.99):.0%}")

# %% [markdown]
# ```{dropdown} Solution
# A random direction holds 2 % on average, and 99 of 100 hold less than 7 %, while the strong direction holds 50 %. To remove a random
# direction therefore costs hardly anything, and beside it nearly any principal component looks important.
# ```
#
# **Exercise 2.** Look at the table of controls on FACED. Which control do most networks of the time course exceed, and why is that no
# evidence?
#
# ```{dropdown} Solution
# "Isotropic, outside the basin", in four of ten networks. The control lacks the basin, which the last layer needs, and the direction under
# test does not. Its own part outside the basin exceeds this control in no network.
# ```
#
# **Exercise 3.** A fair test at the level .05 may raise a false alarm in some of 16 cohorts by luck. After how many would you no longer
# trust it? `scipy.stats.binom.sf(k - 1, 16, 0.05)` is the probability of $k$ or more.
#
# ```{dropdown} Solution
# One alarm or more has the probability .56, two or more .19, three or more .043. Eight or more, as against isotropic directions in the
# table above, have the probability .00000035. One or two alarms are no reason for distrust; eight are.
# ```
#
# **On your own data.** On any bank of `train_bank`, with a value for each clip that varies within emotions:
#
# ```python
# from kernel.decoding.ablation import ablation, ablation_summary
# from kernel.decoding.rediscovery import clip_target, rediscovery
#
# alignment = rediscovery(bank, clip_target(cohort, positions))
# ablation_summary(ablation(bank, alignment))
# ```
