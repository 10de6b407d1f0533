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
# **The question.** The paper describes each film clip by 160 numbers, the strength of the EEG at 32 electrodes in five frequency bands, and takes differences between clips for differences in emotion
# {cite:p}`radwan2026shared`. What are these numbers? How much of them comes from the clips, and what else could make the clips of one emotion differ from those of another?
#
# **The answer in short.** Clips account for two percent of what varies in the EEG at best; averaged over 123 people, most of this small effect repeats in other people, though hardly in the gamma band. But an effect that repeats is not yet an effect of {term}`valence`:
# the order of the clips, the recording hardware and the films themselves could each pose as emotion.
#
# **You will learn** what the 160 numbers are, how to split their variance into people, clips and noise, and how a classifier that sees no EEG at all can beat chance.
#
# **Data of this chapter.** Real: the EEG features of 123 people in FACED {cite:p}`chen2023faced`, with their ratings and the order in which each saw the clips (orders and ratings also in the open release, doi
# [10.82901/nemar.nm000112](https://doi.org/10.82901/nemar.nm000112), CC-BY-4.0, BIDS conversion by Guetschel). One section uses a *simulated* raw signal, because there the truth must be known.
#
# **Time.** 11 minutes to read, one to run (two processor cores). **In the paper.** The description of FACED and its features, and the split-half reliability; the claims C4.features_follow_raw to C4.reliability_clips of [the ledger](../book/claims.md).

# %% tags=["hide-input"]
import mne
import numpy as np
import pandas as pd

from kernel import claims, load_faced_table, plots, stats
from kernel.audit import store
from kernel.brain.features import BANDS, differential_entropy
from kernel.brain.ratings import (
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
from kernel.brain.simulate import SFREQ, simulate_cohort, simulate_raw
from kernel.brain.splits import make_split
from kernel.language.stories import VALENCE_CODE

plots.set_style()
faced = load_faced_table()
variance, reliability = store.load("variance"), store.load("reliability")
print(store.sources(variance, reliability))

# %% [markdown]
# ## What FACED holds: 28 clips, 160 numbers each, two kinds of caps
#
# 123 people watched 28 film clips: three for each of eight emotions, and four neutral ones. The data set keeps the last 30 s of EEG of each clip. Three things are easily overlooked: the films, the bands, and the hardware. We begin with the films.

# %%
clips = pd.DataFrame({"emotion": faced["emotion"].values, "film": faced["film"].values}, faced["clip"].values)
clips.groupby("emotion", sort=False)["film"].agg(lambda films: " | ".join(dict.fromkeys(films))).to_frame()

# %% [markdown]
# All four neutral clips come from one film, and two of the three fear clips from another. A program that recognises a film therefore seems to recognise these emotions.
#
# There is a second reason why 28 clips are fewer than they look. The {term}`valence axis` gives one value to each *emotion*, so all clips of an emotion share it:
#
# ```{figure} ../book/_static/nine_values.svg
# :alt: Nine rows of beads, one row for each emotion from tenderness to anger, three beads in each and four in the neutral row, 28 in all. A thread leads from each row to a single dot on a vertical scale from bad to good, so that there are nine dots.
#
# **Twenty-eight clips are nine values (a drawing, no data).** A correlation with the axis over 28 clips rests on nine emotions: whoever swaps two values swaps them for all clips of both emotions.
# ```
#
# Next, the frequency bands. The paper prints other limits than those with which the released features were computed ("official").

# %%
pd.DataFrame({name: {band: f"{low:g}-{high:g} Hz" for band, (low, high) in table.items()} for name, table in BANDS.items()})

# %% [markdown]
# Theta and gamma are the same in both. The paper's delta begins lower, and its alpha ends one hertz earlier, where its beta begins. We use the released features; [chapter 6](06_topography.ipynb) shows that the paper's map comes from them.
#
# Last, the hardware. People 0 to 60 and 61 to 122 were recorded with different caps and amplifiers. The usual split for classifiers trains on people 0 to 79, validates on 80 to 99 and tests on 100 to 122. The table shows this split and three alternatives: trials, and the share with the second cap, each in training, validation and test; then what training and test share. (It needs only the design of the experiment, taken here from a simulated cohort.)

# %% tags=["nbval-check-output", "hide-input"]
design, _ = simulate_cohort(0, "null", window=30.0)


def describe(name):
    split = make_split(design, name)
    parts = {part: getattr(split, part) for part in ("train", "validation", "test")}
    late = design.hardware == "cohort 2"
    return {
        "trials": ", ".join(str(mask.sum()) for mask in parts.values()),
        "with the second cap": ", ".join(f"{mask[late].sum() / mask.sum():.0%}" for mask in parts.values()),
        "clips shared": "yes" if split.shares_clips else "no",
        "people shared": "yes" if split.shares_subjects else "no",
    }


names = ("standard", "cohort_matched", "leave_subjects_out", "leave_clips_out")
pd.DataFrame({name: describe(name) for name in names}).T.rename_axis("split")

# %% [markdown]
# Only `leave_clips_out` tests on clips that were not trained on. And in the usual split (`standard`) everybody in validation and test wore the second cap, but only a quarter of those in training.
#
# ## Clips make up two percent of the EEG at best
#
# The strength of one band at one electrode in one second varies for many reasons. We split its variance into the parts that belong to the *person*, to a person's *drift* over the session, to the *clip* (what everybody's EEG does at this
# clip), to *person × clip* (what only this person's EEG does at this clip), and to the *seconds* within a clip.

# %% mystnb={"image": {"alt": "Stacked bars on real data: five frequency bands and four ratings. In EEG nearly all variance belongs to persons, to person by clip, and to seconds; the share of clips is hardly visible. In ratings, clips hold a quarter to two fifths."}, "figure": {"caption": "**Clips decide much of what people say and very little of their EEG (real EEG, real ratings, 123 people).** A bar is all that varies in one band, or in one rating; the orange part at the left belongs to the clips."}}
NAMES = {"person": "person", "slope": "drift", "clip": "clip", "person x clip": "person × clip", "within clip": "seconds"}
eeg = variance[variance["of"] == "EEG"].pivot(index="quantity", columns="component", values="value")
eeg = eeg.rename(index=lambda name: f"EEG, {name.removeprefix('share, ')}", columns=NAMES)[list(NAMES.values())]
said = variance[variance["quantity"] == "share, ratings"].pivot(index="of", columns="component", values="value")
said = said.rename(index=lambda name: f"rating of {name}", columns={"rest": "person × clip"})
bands = [f"EEG, {band}" for band in faced["band"].values]
shares = pd.concat([eeg.loc[bands], said.loc[[f"rating of {item}" for item in ("valence", "liking", "arousal", "familiarity")]]])
fig = plots.plot_shares(shares[["clip", "person × clip", "person", "seconds", "drift"]].fillna(0), label="share of variance", title="FACED")

# %% tags=["hide-input"]
shares.loc[bands, ["clip", "person × clip", "person", "seconds"]].rename_axis(columns=None).round(3)

# %% [markdown]
# The clips' share of the EEG is two percent in the slowest band and about a thousandth in gamma, the band of the paper's best cell. Their share of the ratings is a quarter to two fifths. About half of the variance of valence ratings lies between people
# who watch the *same* clip; [a later chapter](18_same_clip.ipynb) makes use of that.
#
# ## Averages over people are reliable, whatever they mean
#
# If an effect is small in one person but the same in everybody, averaging over people brings it out. *Split-half reliability* measures how well that works: average two halves of the people separately, and correlate the two averages. The paper lists .988 for the EEG
# {cite:p}`radwan2026shared`. We correlate over all clips and {term}`cells <cell>` (a cell is one electrode in one band): the averages as they are (*raw*), each cell's deviations from its own mean over clips (*centred*), the same with every person {term}`standardised`, or with {term}`drift` removed (*order removed*), and last the ratings.

# %%
table = reliability.pivot(index="features", columns="groups", values="r").loc[reliability["features"].drop_duplicates()]
table = table[["odd and even", "random halves", "recording cohorts"]]
table.round(3).rename_axis(index=None, columns=None)

# %% [markdown]
# The printed .988 equals the reliability of the *ratings*. Raw EEG averages come close to it only because electrodes and bands differ in level, whatever clip is on. An analysis of clips uses none of that, only the deviations. These
# agree at .73 to .81 between odd and even people, and at .64 to .68 between the two recording cohorts. (The cohorts wore different hardware as well.) That is still high. It says that what electrodes record responds to these clips alike in different people; it does not say to what, nor whether brains or eyes respond. And it is an average over bands: [chapter 6](06_topography.ipynb) shows that in gamma, the band of the paper's best cell,
# the halves hardly agree.
#
# ## A feature is the log-power of a band, and it measures what it should
#
# So far we took the features as they are. Where do they come from? A filter keeps one band of the signal, without shifting it in time, and the result is cut into windows of one second. The {term}`differential entropy` of a window is
#
# $$ h = \tfrac12 \ln\bigl(2 \pi e\, \sigma^2\bigr) $$
#
# nats, where $\sigma^2$ is the variance in the window {cite:p}`duan2013differential`. In words: half the logarithm of the band's power, plus a constant. To check the way from raw signal to feature we must know the truth, so we
# *simulate* one person: sources in a spherical head, whose strength drifts and differs between clips, recorded by electrodes where FACED has them. MNE {cite:p}`gramfort2013meg` filters the traces for the picture.

# %% mystnb={"image": {"alt": "Two panels on simulated EEG at electrode Oz. Above: four seconds of the raw signal and under it its five frequency bands over time. Below: heat map of differential entropy for each band and one-second window, about the band's mean."}, "figure": {"caption": "**From signal to feature (simulated EEG, one person, one clip, one electrode).** Above: four seconds of the signal, and what five filters leave of it. Below: one number for each band and second, about the band's mean."}} tags=["hide-input"]
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
# A curve has become a strip of numbers, and a clip is described by the average of its strip. Because we simulated the signal, we know its true variance at each electrode, second and band. Do the measured averages follow it from clip to clip?

# %% mystnb={"image": {"alt": "Five scatter plots, one for each frequency band, simulated EEG: measured against planted differential entropy in nats, one dot for each of 28 clips and 32 channels, with the line of equality."}, "figure": {"caption": "**The features find what was put into the signal (simulated EEG).** A dot is a clip at an electrode, about the planted mean of that electrode; on the dotted line the measured value equals the planted one."}}
measured, planted = de.mean(1), truth.expected[0].mean(1)  # (clip, channel, band)
recovery = stats.pearson(np.moveaxis(measured, 0, -1), np.moveaxis(planted, 0, -1))  # (channel, band)
fig = plots.plot_recovery(
    (measured - planted.mean(0)).reshape(-1, 5), (planted - planted.mean(0)).reshape(-1, 5), list(BANDS["official"]),
    label="(nats)", title="simulated EEG, 28 clips at 32 electrodes",
)

# %% tags=["nbval-check-output"]
table = pd.DataFrame(
    {"r over clips": recovery.mean(0), "measured minus planted (nats)": (measured - planted).mean((0, 1))}, list(BANDS["official"])
)
table.loc["mean"] = table.mean()
table.rename_axis("simulated EEG").round(2)

# %% [markdown]
# The features follow the truth closely, from $r = .91$ in delta to .99 in gamma. They lie a little below it, most in the slow bands, because a second of slow signal holds few independent values, and the logarithm of a noisy variance is low on average. So the features can be trusted; the question is what else is in them.
#
# ## Order: pleasant clips came early
#
# EEG {term}`drifts <drift>` over a session: caps dry, people tire. If one emotion tends to come earlier than another, drift alone can tell the two apart; how much of published results this explains has been disputed
# {cite:p}`li2021perils,palazzo2020correct`. FACED shows its clips in seven blocks of four, *the same four for everybody*. Only the order of the blocks, and the order within a block, differs between people. These are the blocks (their numbers are not their order):

# %%
order = load_order()
valence = load_ratings()["valence_mean"]
emotions = order.clips["emotion"]
blocks = {k: ", ".join(f"{clip} {emotions[clip]}" for clip in block) for k, block in enumerate(BLOCKS, start=1)}
pd.Series(blocks, name="its four clips").rename_axis("block").to_frame()

# %% [markdown]
# Each block has one valence. A pleasant or unpleasant block holds one clip of each of its four emotions, so drift cannot tell those four apart. But it can separate pleasant from unpleasant clips, and it can separate neutral
# clips, which form a single block, from both. Did pleasant blocks come earlier than others?

# %% mystnb={"image": {"alt": "Two scatter plots, all 123 real people and the 23 test people: mean position of each of 28 clips in the session against the clip's mean valence, coloured by emotion from brown, negative, to teal, positive; a dotted line marks the middle of the session."}, "figure": {"caption": "**Pleasant clips came early, above all for the test people (real orders of presentation, real ratings).** A dot is a clip; clips of a block stand close together, because they were shown together."}}
r = {name: stats.pearson(order.clips[column], valence) for name, column in [("all", "mean"), ("test", "test")]}
panels = {f"all 123 people: r {r['all']:.2f}": "mean", f"23 test people: r {r['test']:.2f}": "test"}
fig = plots.plot_by_emotion(
    {title: (order.clips[column], valence, emotions) for title, column in panels.items()},
    xlabel="mean position in the session", ylabel="mean valence, 123 people", share="xy", middle=14.5, stacked=True,
)

# %% tags=["nbval-check-output", "hide-input"]
bacc = position_only_bacc(order.counts("train"), order.counts("test"))
sign = emotions.map(VALENCE_CODE).to_numpy()
shuffled = ((sign[:, None] == sign).sum() - 28) / (28 * 27)
neutral_first = order.classes["neutral"].unstack("position").loc[:, :4].sum(axis=None)
facts = {
    "clips that follow one of the same valence": (f"{order.same_valence:.1%}", f"{shuffled:.1%} if shuffled"),
    "people who began with the neutral block": (neutral_first, ""),
    "different orders among 123 people": (DISTINCT_ORDERS, ""),
    "test people with an order used in training": (f"{TEST_ORDERS_IN_TRAIN} of 23", ""),
    "balanced accuracy from position alone": (f"{bacc:.3f}", f"{1 / 9:.3f} by guessing"),
}
pd.DataFrame(facts, ["real orders", "by chance"]).T

# %% [markdown]
# The dots fall: the later a clip came, the less pleasant it tends to be, strongly so for the test people. Besides, a clip mostly has the valence of the one before it, and people share orders: 10 of the 23 test people saw the clips in exactly the order of somebody in training.
#
# The last row is a classifier that sees no EEG at all. It knows at which of the 28 positions a clip was shown, and answers with the emotion that was most common there in training. Its {term}`balanced accuracy` lies a little above guessing. The next figure shows what it has learned.

# %% mystnb={"image": {"alt": "Two heat maps, real training people and real test people: for each emotion and each position in the session, how often the emotion stood there relative to an even spread."}, "figure": {"caption": "**Where each emotion stood in the session (real orders of presentation).** Where there is no colour the spread is even; orange positions held an emotion more often than that, purple ones less often."}}
fig = plots.plot_position_classes(
    {"training people (real)": order.counts("train"), "test people (real)": order.counts("test")}, list(order.classes)
)

# %% [markdown]
# No emotion is spread evenly. Neutral, for one, never stands at the first four positions, because nobody saw its block first. Where an emotion is common in both panels, the classifier is often right.
#
# Would orders drawn at random give as much? For this {term}`null` we shuffle the blocks, and the clips within each block, anew; the neutral block never comes first, as in the real orders. We do so twice: once every person gets an order of their own, once 123 people share
# 91 orders, as they really did.

# %% mystnb={"image": {"alt": "Two histograms: balanced accuracy of guessing the emotion from the position alone, when presentation orders are drawn anew, with an order for each person or with shared orders; an orange line marks the real orders, a dotted line chance."}, "figure": {"caption": "**Position gives emotion away, in part because people share orders.** Orange: real orders; grey: orders drawn by the same rule; dotted: guessing. If people share orders (below), drawn orders come closer to the real ones."}} tags=["hide-input"]
sets = {part: slice(subjects.start, subjects.stop) for part, subjects in STANDARD_SETS.items()}


def redraw(n_distinct, rng):
    drawn = draw_orders(123, n_distinct=n_distinct, random_state=rng)
    train, test = (position_counts(drawn[sets[part]], emotions) for part in ("train", "test"))
    means = np.stack([drawn.mean(0), drawn[sets["test"]].mean(0)])
    return position_only_bacc(train, test), *stats.pearson(means, valence.to_numpy())


rng = np.random.default_rng(0)
separate, shared = (np.array([redraw(k, rng) for _ in range(4000)]).T for k in (123, DISTINCT_ORDERS))
fig = plots.plot_nulls(
    {"an order each": (separate[0], bacc), "91 orders shared": (shared[0], bacc)}, label="balanced accuracy from position", reference=1 / 9,
    stacked=True,
)

# %% tags=["hide-input"]
def against(observed, null, alternative):
    size = null if alternative == "greater" else np.abs(null)
    p = stats.permutation_p(observed, null, alternative=alternative)
    return {"real": abs(observed), "drawn, mean": size.mean(), "drawn, 95 %": np.quantile(size, 0.95), "p": p}


tests = pd.DataFrame(
    {
        "accuracy from position, an order each": against(bacc, separate[0], "greater"),
        "accuracy from position, 91 orders shared": against(bacc, shared[0], "greater"),
        "|r| of position and valence, all people": against(r["all"], separate[1], "two-sided"),
        "|r| of position and valence, test people": against(r["test"], separate[2], "two-sided"),
    }
).T
tests.round(3)

# %% [markdown]
# Position gives a little away: .152, four hundredths of accuracy above guessing. More than half of that is what drawn orders give as well once people share them (.134 on average, against .115 without). As for position and valence: over all people, drawn orders often correlate as much; over
# the test people they rarely do. Whether by chance or not, pleasant clips did come early, so an analysis of valence must remove the order. The following chapters do so by
# estimating the clips and each person's drift *together*. (Removing the drift first would also remove a part of the clips, and leave traces of the order in what remains; [a later chapter](18_same_clip.ipynb) shows how badly that can go.)
#
# ## Hardware and films can pose as emotion, too
#
# *Hardware.* In the usual split, everybody in validation and test wore the second cap. {term}`Standardising <standardised>` (mean 0 and standard deviation 1 of each feature within a person) removes differences of level and scale, but not
# of electrode positions. The split `cohort_matched` gives training and test the same mix.
#
# *Films.* A classifier can learn clips instead of emotions: brightness, faces, music. When the same 28 clips serve training and test, new people do not help. It has been argued that this is what classifiers do on FACED
# {cite:p}`gerster2026stimulus`, and on repeated stimuli in general {cite:p}`kilgallen2025repeated`. [Chapter 7](07_classifiers.ipynb) measures it.
#
# ## Verdict
#
# When we wrote the rules of the rows on order, we knew similar figures but not what chance gives. The row on reliability is {term}`exploratory`.

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
claims.show(*rows)[["ours", "p", "claim", "data", "verdict"]]

# %% tags=["remove-cell", "nbval-check-output"]
# what the solutions below say in numbers
for band in ("alpha", "gamma"):
    part = shares.loc[f"EEG, {band}"].astype(float)
    print(band, "people needed:", int(np.ceil((part["person × clip"] + part["seconds"] / 30) / part["clip"])))
stronger = np.flatnonzero(np.abs(separate[1]) >= abs(r["all"])) + 1
print("first draws as strong as the real one:", *stronger[:4], "share:", round(len(stronger) / 4000, 2))
kinds = np.array([VALENCE_CODE[name] for name in order.classes])
merged = [np.stack([order.counts(part)[:, kinds == s].sum(1) for s in (-1, 0, 1)], 1) for part in ("train", "test")]
print("three valences:", f"{position_only_bacc(*merged):.2f}")

# %% tags=["remove-cell", "nbval-check-output"]
claims.show(*rows)[["data", "verdict"]]

# %% [markdown]
# **What stands.** The features recover what is in a (simulated) raw signal. Averaged over people, most of what they say about these clips repeats in other people.
#
# **What does not stand.** That the EEG is as reliable as the ratings. Nor is the order harmless: for the test people pleasant clips came early, and position alone gives the emotion away a little. (It does so more than drawn orders do, unless these are shared as the real ones were.)
#
# **What is not shown.** That the part which repeats has anything to do with emotion. The next chapters ask.
#
# ## Try it
#
# **Exercise 1.** How many people must we average until the clips make up half of what still varies? In an average over $n$ people and 30 s, the part *person × clip* shrinks to an $n$-th and the part *seconds* at best to a $30 n$-th. (Levels of *persons*
# do not matter, because each person's own level is subtracted.) Raise `n` in the cell until it prints 50 %; then try gamma.

# %%
band, n = "alpha", 1
part = shares.loc[f"EEG, {band}"].astype(float)
rest = (part["person × clip"] + part["seconds"] / 30) / n
print(f"{band}, {n} people:", end=" ")
print(f"clips make up {part['clip'] / (part['clip'] + rest):.0%}")

# %% [markdown]
# ```{dropdown} Solution
# 12 people in alpha, and 144 in gamma: more than took part. With shares $c$ for the clip, $i$ for person × clip and $s$ for the seconds, half is reached at $n = (i + s / 30) / c$.
# ```
#
# **Exercise 2.** How special is the real order? In a copy of this notebook, find the first drawn order in which position and valence correlate as strongly as in the real one, with one line after the histograms:
#
# ```python
# np.flatnonzero(np.abs(separate[1]) >= abs(r["all"]))[:4] + 1
# ```
#
# ```{dropdown} Solution
# The draws number 14, 17, 20 and 24. In all, a quarter of the draws do, which is the p-value in the third row of the table of tests. An order like the real one is nothing unusual, and it can mislead all the same.
# ```
#
# **Exercise 3.** Position alone names nine emotions with an accuracy of .152. Before you compute it: does it name *unpleasant, neutral or pleasant* better, measured by how far it lies above chance? (Add up the columns of `order.counts("train")` that have the same valence.)
#
# ```{dropdown} Solution
# It reaches .45, where guessing gives one third: it lies .12 above chance, with nine emotions only .04. A block has one valence, so the position says much about valence and next to nothing about the emotions within it.
# ```
#
# **On your own data.** FACED's features come from Synapse (syn50614194, with an account) or, as recordings, from NEMAR (nm000112). With the features in a folder, the two stored tables of this chapter can be computed again:
#
# ```bash
# echo "tables: [variance, reliability]" > two_tables.yaml
# KERNEL_DATA=/path/to/FACED kernel run two_tables.yaml
# ```
#
# ```python
# import kernel
# from kernel.brain.components import variance_components
#
# cohort = kernel.load_cohort("/path/to/FACED")    # or a cohort of yours in which no trial is missing or short
# variance_components(cohort)
# ```
