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
# # Thirty-six classifiers
#
# **Data of this chapter.** Unless you point it at recordings, every brain here is *simulated*, and no accuracy says anything about people.
# `KERNEL_DATA=/path/to/FACED make book` runs the same cells on FACED, SEED-V or EmoEEG-MC.
#
# **The claim.** Thirty-six EEG emotion classifiers, two architectures in three training regimes and six recipes, reach up to .658 balanced
# accuracy over nine emotions on people they were not trained on {cite:p}`radwan2026shared`. They are the material of the claims that
# follow: that better ones find the valence axis, and that their average is better still.
#
# **Why it matters.** Before asking what a classifier knows about valence, ask what its accuracy is made of. All people watch the same 28 clips,
# so a classifier can know the clips instead of the emotions; and a linear one may know as much as a deep one.

# %%
import numpy as np
import pandas as pd

from kernel import claims, plots
from kernel.brain.simulate import simulate_cohort
from kernel.brain.sources import load_cohort
from kernel.decoding.bank import TrainingSpec, train_bank
from kernel.decoding.study import (
    by_subject,
    checkpoint_specs,
    confusion,
    members_table,
    split_table,
    usual_split,
)
from kernel.language.study import story_axis

plots.set_style()
cohort = load_cohort(progress=False)
main = cohort.label
print(f"EEG of this chapter: {main} ({cohort.data.attrs['provenance']})")

# %% [markdown]
# ## Method
#
# A sample is the mean over 10 s of the standardised differential entropies of one trial. The two networks are a perceptron
# with two hidden layers and an axial transformer, which attends over channels and over time. Both minimise cross entropy, some with an auxiliary
# term that draws features $z$ to class prototypes $p_k$,
#
# $$ L = -\log \operatorname{softmax}_y(W z + b) \;-\; \tfrac12 \log \operatorname{softmax}_y\bigl( \cos(A z, p_k) \bigr), $$
#
# with prototypes from a language model (its nine class centroids) or at random. The epoch is chosen on validation people, the
# accuracy measured on test people. Intervals resample people, since trials of one person are not independent. A linear
# discriminant with shrinkage and a logistic regression stand beside them throughout.

# %%
axis = story_axis("SmolLM2-135M-Instruct", cohort.classes)
prototypes = axis.centroids_[[axis.classes_.index(emotion) for emotion in cohort.classes]]

split = usual_split(cohort)
bank = train_bank(checkpoint_specs(), cohort, split, prototypes=prototypes, progress=False)
table = members_table(bank)
print(f"{len(bank)} checkpoints, split {split.name}, {bank.trials['subject'][bank.rows('test')].nunique()} test people, {main}")

# %% [markdown]
# ## Accuracy

# %% mystnb={"image": {"alt": "Forest plot: balanced accuracy on new people of every training recipe, one row each, with 95 % intervals and a dotted line at chance; colour shows the network. The axis label names the cohort and says whether it is simulated."}, "figure": {"caption": "The cohort named below the axis. Bars: 95 % intervals over test people; dotted: chance."}}
fig = plots.plot_forest(
    table, value="test", label=f"balanced accuracy on new people, {main}", group="network", reference=1 / len(cohort.classes)
)

# %%
columns = ["recipe", "network", "parameters", "epochs", "epoch", "validation", "test", "test_low", "test_high"]
best = pd.concat([table.groupby("network", sort=False).head(1)])[columns].set_index("recipe")
best.rename_axis(main).round(2).astype(object).fillna("")

# %% [markdown]
# The best of each kind. Where the linear discriminant stands tells how much of the accuracy needed a network at all.
#
# ## Which emotions, which people

# %% mystnb={"image": {"alt": "Two confusion matrices, the best network and a linear discriminant, for the cohort named in the titles, simulated unless recordings are given: share of each true emotion called each emotion, both in the order from negative to positive."}, "figure": {"caption": "The cohort in the titles, trials of test people; rows sum to one."}}
top = int(np.argmax(bank.bacc("validation")))
fig = plots.plot_confusion(
    {f"best network on validation\n{main}": confusion(bank, top), f"linear discriminant\n{main}": confusion(bank, "lda")}, cohort.classes
)

# %% mystnb={"image": {"alt": "Line chart: balanced accuracy of every test person, sorted, for the best network and a linear discriminant; a dotted line marks chance. The legend names the cohort and says whether it is simulated."}, "figure": {"caption": "The cohort in the legend; every dot is a test person; dotted: chance."}}
fig = plots.plot_subject_spread(
    {f"network, {main}": by_subject(bank, top), "linear discriminant": by_subject(bank, "lda")}, chance=1 / len(cohort.classes)
)

# %% [markdown]
# ## Control: the same people's clips, or new ones
#
# `cohort_matched` mixes the two recording cohorts evenly. `leave_clips_out` keeps one clip of each emotion for the test people. And
# a second cohort is the control of the control: in it clips differ but emotions do not exist (*simulated*), so any accuracy there is
# knowledge of clips.

# %%
plain = [TrainingSpec(epochs=15, seed=seed, recipe="mlp, plain") for seed in range(3)]
without_emotions = simulate_cohort(0, "identity_only")[0]
cohorts = {part.label: part for part in (cohort, without_emotions)}
FOLDS = [("cohort_matched", 0), *(("leave_clips_out", fold) for fold in range(3))]
splits = pd.concat(
    [split_table(part, FOLDS, plain, progress=False).assign(data=label) for label, part in cohorts.items()], ignore_index=True
)
shown = splits.assign(split=splits["split"] + ", fold " + splits["fold"].astype(str))
shown.pivot(index=["data", "split"], columns="method", values="bacc").round(2)

# %% [markdown]
# On the same clips, a cohort without any emotions is decoded well above chance; on new clips it falls to chance. An accuracy on the usual split is
# therefore no evidence that emotions were read; the paper's 28 clips are shared by training and test people.
#
# ## Verdict

# %%
rows = []
judged = splits[(splits["split"] == "leave_clips_out") & (splits["fold"] == 0) & (splits["method"] == "lda")]
for row in judged.itertuples():
    rows.append(
        claims.record(
            "C6.unseen_clips", value=row.bacc, low=row.low, high=row.high, n=row.n_subjects,
            data=row.data, simulated=cohorts[row.data].simulated, note="linear discriminant, fold 0",
        )
    )
claims.show(*rows)[["ours", "interval", "data", "verdict"]]

# %% tags=["nbval-check-output"]
same = splits[(splits["method"] == "lda")].set_index(["data", "split", "fold"])["bacc"]
known, new = (same.loc[without_emotions.label, name, 0] for name in ("cohort_matched", "leave_clips_out"))
print(f"clips without emotions, known clips: {'far above' if known > 0.3 else 'near'} chance; new clips: {'far above' if new > 0.3 else 'near'} chance")
claims.show(*rows)[["data", "verdict"]]

# %% [markdown]
# **What stands.** Classifiers trained on some people read the simulated EEG of others, on clips that they know and, less well, on clips that they
# do not. **What does not.** That a deep network is needed here, or that accuracy on known clips is accuracy on emotions. **What is not shown.**
# Anything about people. The paper's own networks: they are not public, and pretrained models such as CBraMod take raw signals,
# which a cohort of features does not hold. Simulated emotions are linear in the features by construction, which favours
# the linear discriminant; real ones need not be.
#
# ## Run it on recordings
#
# ```bash
# KERNEL_DATA=/path/to/FACED make book
# ```
#
# ```python
# from kernel.decoding.bank import TrainingSpec, train_bank
#
# bank = train_bank([TrainingSpec(seed=s) for s in range(5)], cohort, make_split(cohort, "leave_clips_out"))
# bank.table()
# ```
