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
# # The paper's own p-values, recounted
#
# **The claim.** "16 of 25 strategies significantly reduce accuracy" when EEG classifiers are pushed towards the axis; none
# helps {cite:p}`radwan2026shared`. This is the *saturation regularity*.
#
# **Why it matters.** Twenty-five tests at the .05 level are expected to give a false alarm or two, so a count needs a
# correction before it is a finding.
#
# **Data of this chapter.** The p-values that the paper prints, and nothing else. No classifier is trained here; the
# experiment itself, with placebos, is a later part of this companion.
#
# ## Method
#
# The paper's p-values come from paired t-tests over five seeds. Holm's procedure {cite:p}`holm1979simple` compares the
# $i$-th smallest of $m$ p-values with $\alpha / (m - i + 1)$ and bounds the chance of *any* false alarm;
# Benjamini-Hochberg {cite:p}`benjamini1995controlling` compares it with $i \alpha / m$ and bounds the expected *share* of false
# alarms. Values printed as bounds, such as $p < 10^{-4}$, are taken at the bound.

# %%
import matplotlib.pyplot as plt

from kernel import claims, plots

plots.set_style()
table = claims.paper_alignment_table()

# %%
ranked = table.sort_values("p").reset_index(drop=True)
m = len(ranked)
rank = ranked.index + 1
fig, ax = plt.subplots(figsize=(7, 4))
harm = ranked["delta"] < 0
ax.scatter(rank[harm], ranked["p"][harm], color=plots.ORANGE, label="accuracy falls", zorder=3)
ax.scatter(rank[~harm], ranked["p"][~harm], color=plots.BLUE, marker="s", label="accuracy rises", zorder=3)
ax.axhline(0.05, color=plots.GREY, ls=":", label="uncorrected .05")
ax.plot(rank, 0.05 * rank / m, color=plots.GREEN, label="Benjamini-Hochberg")
ax.plot(rank, 0.05 / (m - rank + 1), color=plots.INK, label="Holm")
ax.set(yscale="log", xlabel="rank of the strategy", ylabel="p-value printed in the paper")
legend = ax.legend()
# %% [markdown]
# A point counts under a rule while it, and every point before it, lies below that rule's line (for Benjamini-Hochberg: while
# it or a later one does).
#
# ## The numbers

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
# and of strong relational losses, survive every correction; the small ones do not. A count of p-values, corrected or not,
# says nothing about what causes the harm: a loss with *permuted* valence might harm as much, and five seeds leave little
# power to find a benefit.
#
# ## Verdict

# %% tags=["nbval-check-output"]
data = "the paper's printed p-values"
rows = [
    claims.record(f"C7.count_{key}", value=counts[rule], n=m, data=data, simulated=False)
    for key, rule in (("uncorrected", "uncorrected"), ("bh", "Benjamini-Hochberg"), ("holm", "Holm"))
]
claims.show(*rows)[["data", "verdict"]]

# %% [markdown]
# ## On your own table
#
# ```python
# from kernel import stats
# stats.holm(p_values), stats.benjamini_hochberg(p_values)
# ```
