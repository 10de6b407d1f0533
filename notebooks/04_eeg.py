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
# # 4. What was recorded, and what can fool us
#
# **The question.** The paper describes each film clip by 160 numbers, the strength of the EEG at 32 electrodes in five frequency bands, and reads what distinguishes clips as emotion
# {cite:p}`radwan2026shared`. What are these numbers? How much of them comes from the clips, and what else could make the clips of one emotion differ from those of another?
#
# **The answer in short.** Most of what varies in the EEG is who is being recorded and the noise from second to second; clips account for two percent at best. Averaged over 123 people, most of this small effect repeats in other people, though hardly in gamma.
# Clips differ in many ways, so repeating well is no sign of valence. Three things travel with the emotions of this experiment and must be ruled out before emotion can be claimed: the order of the clips,
# the recording hardware, and the films themselves.
#
# **Data of this chapter.** Real: the EEG features of 123 people in FACED {cite:p}`chen2023faced`, with their ratings and the order in which each saw the clips (orders and ratings also in the open release, doi
# [10.82901/nemar.nm000112](https://doi.org/10.82901/nemar.nm000112), CC-BY-4.0, BIDS conversion by Guetschel). One section uses a *simulated* raw signal, because there the truth must be known.

# %% tags=["hide-input"]
import mne
import numpy as np
import pandas as pd

from kernel import audit, claims, load_faced_table, plots, stats
from kernel.brain.cohort import make_split
from kernel.brain.features import BANDS, differential_entropy
from kernel.brain.simulate import SFREQ, simulate_cohort, simulate_raw
from kernel.language.stories import VALENCE_CODE
from kernel.ratings import (
    BLOCKS,
    DISTINCT_ORDERS,
    STANDARD_SETS,
    TEST_ORDERS_IN_TRAIN,
    draw_orders,
    load_order,
    load_ratings,
    position_counts,
    position_only_bacc,
)

plots.set_style()
faced = load_faced_table()
variance, reliability = audit.load("variance"), audit.load("reliability")
print(audit.sources(variance, reliability))

# %% [markdown]
# ## What FACED holds
#
# 123 people watched 28 film clips: three for each of eight emotions, and four neutral ones. The data set keeps the last 30 s of EEG of each clip. Three things are easily overlooked. *Films*: all neutral clips come from one film,
# and two of the three fear clips from another. *Bands*: the paper prints other band edges than those with which the released features were computed. *Hardware*: people 0 to 60 and 61 to 122 were recorded
# with different caps and amplifiers.

# %%
clips = pd.DataFrame({"emotion": faced["emotion"].values, "film": faced["film"].values}, faced["clip"].values)
clips.groupby("emotion", sort=False)["film"].agg(lambda films: " | ".join(dict.fromkeys(films))).to_frame()

# %%
pd.DataFrame({name: {band: f"{low:g}-{high:g} Hz" for band, (low, high) in table.items()} for name, table in BANDS.items()})

# %% [markdown]
# The usual split for classifiers trains on people 0 to 79, validates on 80 to 99 and tests on 100 to 122. This table counts what the split and its alternatives share between training and test. (It needs the design of the experiment only; the cell takes that from a simulated cohort.)

# %% tags=["nbval-check-output", "hide-input"]
design, _ = simulate_cohort(0, "null", window=30.0)


def describe(name):
    split = make_split(design, name)
    parts = {part: getattr(split, part) for part in ("train", "validation", "test")}
    late = design.hardware == "cohort 2"
    return {
        **{f"trials, {part}": mask.sum() for part, mask in parts.items()},
        **{f"second cohort, {part}": f"{mask[late].sum() / mask.sum():.0%}" for part, mask in parts.items()},
        "people in train and test": split.shares_subjects,
        "clips in train and test": split.shares_clips,
    }


pd.DataFrame({name: describe(name) for name in ("standard", "cohort_matched", "leave_subjects_out", "leave_clips_out")})

# %% [markdown]
# Only `leave_clips_out` tests on clips that were not trained on, and in the usual split everybody in validation and test wore the second cap.
#
# ## Where the variance lies
#
# The strength of one band at one electrode in one second varies for many reasons. We split its variance into the parts that belong to the *person*, to a person's *drift* over the session, to the *clip* (what everybody's EEG does at this
# clip), to *person x clip* (what only this person's EEG does at this clip), and to the *seconds* within a clip.

# %% mystnb={"image": {"alt": "Stacked bars on real data: five frequency bands and four ratings. In EEG nearly all variance belongs to persons, to person by clip, and to seconds; the share of clips is hardly visible. In ratings, clips hold a quarter to two fifths."}, "figure": {"caption": "Real data, 123 people. Clips decide much of what people say and very little of their EEG."}}
NAMES = {"person": "person", "slope": "drift", "clip": "clip", "person x clip": "person x clip", "within clip": "seconds"}
eeg = variance[variance["of"] == "EEG"].pivot(index="quantity", columns="component", values="value")
eeg = eeg.rename(index=lambda name: f"EEG, {name.removeprefix('share, ')}", columns=NAMES)[list(NAMES.values())]
said = variance[variance["quantity"] == "share, ratings"].pivot(index="of", columns="component", values="value")
said = said.rename(index=lambda name: f"rating of {name}", columns={"rest": "person x clip"})
bands = [f"EEG, {band}" for band in faced["band"].values]
shares = pd.concat([eeg.loc[bands], said.loc[[f"rating of {item}" for item in ("valence", "liking", "arousal", "familiarity")]]])
fig = plots.plot_shares(shares[["clip", "person x clip", "person", "seconds", "drift"]].fillna(0), label="share of variance", title="FACED")

# %%
shares.rename_axis(None, axis=1).round(3).astype(object).fillna("")

# %% [markdown]
# In EEG the clip's share is two percent in the slowest band and about a thousandth in gamma, the band of the paper's best cell. In ratings it is a quarter to two fifths. About half of the variance of valence ratings lies between people
# who watch the *same* clip; [a later chapter](18_same_clip.ipynb) makes use of that.
#
# ## Averages over people are reliable, whatever they mean
#
# The paper lists a split-half reliability of .988 for the brain's side {cite:p}`radwan2026shared`. We compare the averages of people with odd and with even numbers, over all clips and cells (a *cell* is one electrode in one band), in
# several ways, and put the ratings beside them.

# %%
table = reliability.pivot(index="features", columns="groups", values="r").loc[reliability["features"].drop_duplicates()]
table[["odd and even", "random halves", "recording cohorts"]].round(4)

# %% [markdown]
# The printed .988 equals the reliability of the *ratings*. Raw EEG averages come close to it only because electrodes and bands differ in level whatever the clips do. Once each cell is centred over clips, which is what any analysis of
# clips uses, the two halves agree at .73 to .81, and the two recording cohorts at .64 to .68. That is still high. It says that people's brains respond alike to these clips; it does not say to what. And it is an average over bands: [chapter 6](06_topography.ipynb) shows that in gamma, the band of the paper's best cell,
# the halves hardly agree.
#
# ## What a feature is: differential entropy
#
# The signal is band-passed without phase shift and cut into windows of 1 s. In each,
#
# $$ h = \tfrac12 \ln\bigl(2 \pi e\, \sigma^2\bigr) $$
#
# nats, the entropy of a Gaussian with the window's variance {cite:p}`duan2013differential`: half the logarithm of the band's power, plus a constant. To check the path from raw signal to feature we need to know the truth, so we
# *simulate* one person: sources in a spherical head whose strength drifts and differs between clips, seen by FACED's electrodes. MNE {cite:p}`gramfort2013meg` filters the traces for the picture.

# %% mystnb={"image": {"alt": "Two panels on simulated EEG at electrode Oz. Left: four seconds of the raw signal and below it its five frequency bands over time. Right: heat map of differential entropy for each band and one-second window, about the band's mean."}, "figure": {"caption": "Simulated EEG, one person, one clip, one electrode."}} tags=["hide-input"]
raw, truth = simulate_raw(0)
de = differential_entropy(raw, SFREQ, "official").swapaxes(-3, -2)[0]  # (clip, second, channel, band)
electrode = design.channels.index("Oz")
signal = raw[0, 0, electrode].astype(float)
traces = {
    "raw": signal,
    **{
        band: mne.filter.filter_data(signal, SFREQ, low, high, verbose="error")
        for band, (low, high) in BANDS["official"].items()
    },
}
fig = plots.plot_features_from_raw(
    {name: trace[:1000] for name, trace in traces.items()}, de[0, :, electrode], sfreq=SFREQ, title="simulated EEG, Oz, clip 1"
)

# %% [markdown]
# Because we simulated the signal, we know its true variance at each electrode, second and band. The measured means of 30 s should follow it from clip to clip.

# %% mystnb={"image": {"alt": "Five scatter plots, one for each frequency band, simulated EEG: measured against planted differential entropy in nats, one dot for each of 28 clips and 32 channels, with the line of equality."}, "figure": {"caption": "Simulated EEG; every dot is a clip at a channel. Dotted: measured equals planted."}}
measured, planted = de.mean(1), truth.expected[0].mean(1)  # (clip, channel, band)
recovery = stats.pearson(np.moveaxis(measured, 0, -1), np.moveaxis(planted, 0, -1))  # (channel, band)
fig = plots.plot_recovery(
    (measured - planted.mean(0)).reshape(-1, 5), (planted - planted.mean(0)).reshape(-1, 5), list(BANDS["official"]),
    label="(nats)", title="simulated EEG, 28 clips and 32 channels, each about the channel's planted mean",
)

# %% tags=["nbval-check-output"]
print("simulated raw EEG, r over clips of measured and planted, mean of channels and bands:", f"{recovery.mean():.2f}")
table = pd.DataFrame(
    {"r over clips": recovery.mean(0), "measured minus planted (nats)": (measured - planted).mean((0, 1))}, list(BANDS["official"])
)
table.round(2)

# %% [markdown]
# The features follow the truth closely. They lie a little below it, most in the slow bands, because a second of slow signal holds few independent values, and the logarithm of a noisy variance is low on average.
#
# ## Order: pleasant clips came early
#
# EEG drifts over a session: caps dry, people tire. If one emotion tends to come earlier than another, drift alone can tell the two apart; how much of the published results that explains has been disputed
# {cite:p}`li2021perils,palazzo2020correct`. FACED shows its clips in seven blocks of four. Each block has one valence and *the same four clips for everybody*; only the order of the blocks, and the order within a block,
# differs between people. Each block holds one clip of each of its four emotions, so drift cannot tell those four apart. But it can separate pleasant from unpleasant clips, and it can separate neutral
# clips, which form a single block, from both.

# %%
order = load_order()
valence = load_ratings()["valence_mean"]
emotions = order.clips["emotion"]
pd.DataFrame({f"block {k}": [f"{clip} {emotions[clip]}" for clip in block] for k, block in enumerate(BLOCKS, start=1)})

# %% mystnb={"image": {"alt": "Two scatter plots, all 123 real people and the 23 test people: mean position of each of 28 clips in the session against the clip's mean valence, coloured by emotion from brown, negative, to teal, positive; a dotted line marks the middle of the session."}, "figure": {"caption": "Real orders of presentation and real ratings, 28 clips."}}
panels = {"all 123 subjects (real)": "mean", "23 test subjects (real)": "test"}
fig = plots.plot_by_emotion(
    {title: (order.clips[column], valence, emotions) for title, column in panels.items()},
    xlabel="mean position in the session", ylabel="mean valence, 123 people", share="xy", middle=14.5,
)

# %% tags=["nbval-check-output", "hide-input"]
r = {name: stats.pearson(order.clips[column], valence) for name, column in [("all", "mean"), ("test", "test")]}
bacc = position_only_bacc(order.counts("train"), order.counts("test"))
sign = emotions.map(VALENCE_CODE).to_numpy()
shuffled = ((sign[:, None] == sign).sum() - 28) / (28 * 27)
neutral_first = order.classes["neutral"].unstack("position").loc[:, :4].sum(axis=None)
print(f"mean position and mean valence over 28 clips: r = {r['all']:.2f} in all subjects, {r['test']:.2f} in test subjects")
print(f"P(same valence as the clip before) = {order.same_valence:.3f}; shuffled clips would give {shuffled:.3f}")
print(f"people who began with the neutral block: {neutral_first}")
print(f"different orders among 123 people: {DISTINCT_ORDERS}; test subjects with the order of a training subject: {TEST_ORDERS_IN_TRAIN} of 23")
print(f"balanced accuracy from position alone, 9 classes: {bacc:.3f}, chance {1 / 9:.3f}")

# %% [markdown]
# The last line is a classifier that sees no EEG at all. It knows at which of the 28 positions a clip was shown, and answers with the emotion that was most common there among the training subjects.

# %% mystnb={"image": {"alt": "Two heat maps, real training people and real test people: for each emotion and each position in the session, how often the emotion stood there relative to an even spread."}, "figure": {"caption": "Real orders of presentation; white is an even spread."}}
fig = plots.plot_position_classes(
    {"training subjects (real)": order.counts("train"), "test subjects (real)": order.counts("test")}, list(order.classes)
)

# %% [markdown]
# What would chance give? We shuffle the blocks, and the clips within each block, anew; the neutral block never comes first, as in the real orders. We do so twice: once every person gets an order of their own, once 123 people share
# 91 orders, as they really did.

# %% mystnb={"image": {"alt": "Two histograms: balanced accuracy of guessing the emotion from the position alone, when presentation orders are drawn anew, with an order for each person or with shared orders; an orange line marks the real orders, a dotted line chance."}, "figure": {"caption": "Real orders (orange) against orders drawn by the same rule (grey); dotted: chance."}} tags=["hide-input"]
sets = {part: slice(subjects.start, subjects.stop) for part, subjects in STANDARD_SETS.items()}


def redraw(n_distinct, rng):
    drawn = draw_orders(123, n_distinct=n_distinct, random_state=rng)
    train, test = (position_counts(drawn[sets[part]], emotions) for part in ("train", "test"))
    means = np.stack([drawn.mean(0), drawn[sets["test"]].mean(0)])
    return position_only_bacc(train, test), *stats.pearson(means, valence.to_numpy())


rng = np.random.default_rng(0)
separate, shared = (np.array([redraw(k, rng) for _ in range(4000)]).T for k in (123, DISTINCT_ORDERS))
fig = plots.plot_nulls(
    {"an order each": (separate[0], bacc), "91 orders shared": (shared[0], bacc)}, label="balanced accuracy from position", reference=1 / 9
)

# %% tags=["hide-input"]
def against(observed, null, alternative):
    size = null if alternative == "greater" else np.abs(null)
    p = stats.permutation_p(observed, null, alternative=alternative)
    return {"observed": abs(observed), "null mean": size.mean(), "null 95 %": np.quantile(size, 0.95), "p": p}


tests = pd.DataFrame(
    {
        "balanced accuracy from position, an order each": against(bacc, separate[0], "greater"),
        "balanced accuracy from position, 91 orders shared": against(bacc, shared[0], "greater"),
        "|r| of position and valence, all subjects": against(r["all"], separate[1], "two-sided"),
        "|r| of position and valence, test subjects": against(r["test"], separate[2], "two-sided"),
    }
).T
tests.rename_axis("real orders").round(3)

# %% [markdown]
# Position gives a little away, about four points of accuracy above chance. About half of that, it seems, is owed to the ten test subjects who saw the clips in exactly the order of some training subject. As for position and valence: over all people, chance orders often correlate as much; over
# the test subjects they rarely do. Whether by chance or not, pleasant clips did come early, so an analysis of valence must remove the order. The following chapters do, by
# estimating clips and each person's drift *together*. (Removing the drift first would also remove a part of the clips, and leak the rest; [a later chapter](18_same_clip.ipynb) shows how badly that can go.)
#
# ## Hardware and films
#
# *Hardware.* In the usual split, validation and test are all of the second cap. Standardising (mean 0 and standard deviation 1 of each feature within a person) removes differences of level and scale, but not
# of electrode positions. The split `cohort_matched` gives training and test the same mix.
#
# *Films.* A classifier can learn clips instead of emotions: brightness, faces, music. When the same 28 clips serve training and test, new people do not help. It has been argued that this is what classifiers do on FACED
# {cite:p}`gerster2026stimulus`, and on repeated stimuli in general {cite:p}`kilgallen2025repeated`. [Chapter 7](07_classifiers.ipynb) measures it.
#
# ## Verdict
#
# The rules of the rows on order were written when similar figures, though not what chance gives, were known; that on reliability is exploratory.

# %% tags=["hide-input"]
people, p = "presentation orders of 123 people", tests["p"].tolist()
centred = reliability.query("features == 'standardised, centred' and groups == 'odd and even'")["r"].iloc[0]
rows = [
    claims.record("C4.features_follow_raw", value=recovery.mean(), n=recovery.size, data="one simulated subject, raw signals", simulated=True),
    claims.record("C4.order_valence", value=abs(r["all"]), p=p[2], n=28, data=people, simulated=False),
    claims.record("C4.order_valence", value=abs(r["test"]), p=p[3], n=28, data=f"{people}, the 23 test subjects", simulated=False),
    claims.record("C4.position_alone", value=bacc - 1 / 9, p=p[0], n=23, data=f"{people}; null: an order each", simulated=False),
    claims.record("C4.position_alone", value=bacc - 1 / 9, p=p[1], n=23, data=f"{people}; null: 91 orders shared", simulated=False),
    claims.record("C4.reliability_clips", value=centred, n=123, data="FACED", simulated=False),
]
claims.show(*rows)[["claim", "ours", "p", "data"]]

# %% tags=["nbval-check-output"]
claims.show(*rows)[["data", "verdict"]]

# %% [markdown]
# **What stands.** The features recover what is in a (simulated) raw signal, and averaged over people most of what they say about these clips repeats in others. **What does not stand.** That the EEG is as reliable as the ratings. Order is not harmless either: in the test subjects pleasant clips came early, and
# position alone gives the emotion away a little, more than chance orders do unless one counts that orders were shared. **What is not shown.** That the part which repeats has anything to do with emotion. The next chapters ask.
#
# ## Try it
#
# FACED's features come from Synapse (syn50614194, with an account) or, as recordings, from NEMAR (nm000112). With the features in a folder, every table of this chapter can be computed again:
#
# ```bash
# KERNEL_DATA=/path/to/FACED kernel audit variance reliability
# ```
#
# ```python
# import kernel
# from kernel.brain.components import variance_components
#
# cohort = kernel.load_cohort("/path/to/FACED")    # or SEED-V, EmoEEG-MC, or a file written by Cohort.save
# variance_components(cohort)
# ```
#
# 1. How many people must be averaged until the clips' share exceeds half of the variance of the mean? Use the table of shares for alpha, and remember that an average over $n$ people and 30 s divides the person's part by $n$, and the seconds' part by $30 n$ at best.
# 2. Draw orders with `draw_orders(123, random_state=...)` until the correlation of position and valence is stronger than the real one. How long does it take?
#
# ```{dropdown} Solutions
# 1. With shares $c$ (clip), $pc$ (person x clip), $s$ (seconds): $c > (pc + s / 30) / n$, once each person's own level is removed. The table gives about a dozen people.
# 2. On average every fourth draw will do: `tests` lists the p-value of the real correlation.
# ```
