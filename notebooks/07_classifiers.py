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
# # 7. What accuracy is made of
#
# **The question.** Thirty-six networks recognise nine emotions in the EEG of new people, with a balanced accuracy of up to .658 where
# guessing gives .111 {cite:p}`radwan2026shared`. But everybody, in training and test, watched the same 28 film clips. What does such an
# accuracy consist of: emotions, clips, or the way the data were prepared?
#
# **The answer in short.** Mostly of clips: a network that sees the time course reaches .423, falls to about .15 on clips that it has not met, and
# is beaten on known clips (.520) by one that learns only *which ten seconds of which clip* it sees, and no emotion. A filter in the published
# code of FACED's data descriptor adds hints of its own, because it smooths across clips while they are sorted by emotion; what little remains
# may be emotion, or the clips' place in the session.
#
# **You will learn** how to take an accuracy apart, how to test a data preparation for leaks with labels that mean nothing, and what a test on
# new people leaves untested.
#
# **Data of this chapter.** The features of 123 people in FACED {cite:p}`chen2023faced`, real. One demonstration and one control use
# *simulated* {term}`cohorts <cohort>`. The paper's own networks see raw signals and are not public: nothing here tests them directly.
#
# **Time.** 18 minutes to read, four to five to run (two processor cores). **In the paper.** The accuracies of 36 networks; the claims C6.unseen_clips to C6.smoothing_true of [the
# ledger](../book/claims.md).

# %% tags=["hide-input"]
import numpy as np
import pandas as pd

from kernel import claims, interactive, plots, stats
from kernel.audit import store
from kernel.audit.smoothing import CONDITIONS, kalman_filter
from kernel.audit.stimuli import (
    KINDS,
    clip_blocks,
    clip_moments,
    grouping,
    held_out,
    hits,
    within_clip_shrinkage,
)
from kernel.audit.trainings import over_people, people_of
from kernel.brain.cohort import standardise
from kernel.brain.designs import FACED_CLIP_EMOTIONS
from kernel.brain.ratings import draw_orders, load_order, position_only_bacc
from kernel.brain.simulate import simulate_cohort
from kernel.brain.splits import usual_split
from kernel.decoding.rediscovery import split_table
from kernel.decoding.training import TrainingSpec

plots.set_style()
emotions = np.array(FACED_CLIP_EMOTIONS)

# %%
names = ["accuracy_by_split", "accuracy_by_people", "identification", "pseudo_emotions"]
names += ["time_course", "decoders", "checkpoints", "smoothing", "pseudo_smoothing"]
tables = {name: store.load(name) for name in names}
print(store.sources(*tables.values()))

# %% [markdown]
# ## On clips that it has not met, a classifier loses most of its advantage
#
# {term}`Balanced accuracy <balanced accuracy>` is the share of right answers, averaged over classes so that each counts alike. Our
# classifier is a *linear discriminant*: it describes each emotion by its average, the spread around the averages by one covariance, and
# calls the nearest emotion. It sees means over 10 s of 30 channels and 5 bands, {term}`standardised` for each person. It learns from
# people 0 to 79 and is tested on people 100 to 122, the usual split.
#
# New people do not make the test fair, because they watch old clips. So we repeat the training without one clip of each emotion, or
# without one *film* (some clips come from the same film), or, for valence, without a negative and a positive emotion. We then test on
# exactly the clips left out, and compare with classifiers that have met them.

# %% mystnb={"image": {"alt": "Five rows, real EEG: balanced accuracy above chance for nine emotions and for valence. With clips, films or emotions seen in training dots lie between .09 and .19; unseen they lie between .01 and .04, and the interval for unseen emotions includes zero."}, "figure": {"caption": "**On clips that training has not met most of the advantage is gone (real EEG, 23 new people).** Each pair is tested on the same trials and differs in whether training has met the clips, films or emotions. Bars: 95 % intervals over people; dotted: chance."}} tags=["hide-input"]
splits = tables["accuracy_by_split"].query("part == 'standard' and channels == 30")
pairs = splits.query("held_out != 'nothing'").assign(chance=lambda t: 1 / t["n_classes"])
what = pairs["labels"].replace({"emotions": "emotions", "valence": "pleasant or not"})
what = what.where(what != "emotions", pairs["n_classes"].map({9: "nine ", 8: "eight "}) + "emotions")
pairs["label"] = what + ", " + pairs["held_out"] + " left out"
above = pairs.assign(**{name: pairs[name] - pairs["chance"] for name in ("value", "low", "high")})
above = above.rename(columns={"value": ""}).pivot(
    index="label", columns="training", values=["", "low", "high"]
)
above.columns = [f"{training}_{limit}".rstrip("_") for limit, training in above.columns]
forest = above.loc[pairs["label"].drop_duplicates()].reset_index()
fig = plots.plot_paired_forest(
    forest, {"seen in training": "seen", "unseen": "unseen"}, label="above chance, real EEG"
)

# %% [markdown]
# Wherever clips, films or emotions are unseen, the dot moves close to chance. In numbers:

# %% tags=["hide-input"]
table = pairs.pivot(index="label", columns="training", values="value").loc[pairs["label"].drop_duplicates()]
table["chance"] = pairs.groupby("label")["chance"].first()
whole = splits.query("held_out == 'nothing'").set_index("labels")
for name, row in whole.iterrows():
    print(f"all 28 clips in training, {name}: {row['value']:.3f} [{row['low']:.3f}, {row['high']:.3f}]")
mixed = tables["accuracy_by_split"].query("part == 'cohort_matched' and training == 'unseen'")
for name, rows in {"unseen": pairs.query("training == 'unseen'"), "unseen, cohorts mixed": mixed}.items():
    limits = rows[["value", "low", "high"]].to_numpy()
    table[name] = [f"{value:.3f} [{low:.3f}, {high:.3f}]" for value, low, high in limits]
columns = ["chance", "seen", "unseen", "unseen, cohorts mixed"]
table[columns].rename_axis(None).rename_axis(None, axis=1).round(3)

# %% [markdown]
# The classifiers that had the tested clips in training reach .267 (a little more than the .248 above, because fewer clips compete); on the
# same clips, those without them reach .150. So three quarters of the advantage over chance belonged to the clips. What is left is small
# but lies above chance. Films tell the same story (with eight emotions, because the four neutral clips all come from one film). The
# last row matters most for the paper's claim. On emotions that it knows, the classifier tells *pleasant or not* in six cases of ten; on
# emotions that were left out, we cannot tell it from a coin (.514, interval .486 to .544). We see no valence that carries over from one
# emotion to others.
#
# The last column repeats the test with a different choice of people, in which training and test hold the same mix of FACED's two
# recording cohorts. The emotions come out alike. *Pleasant or not* does better there: .56 on unseen clips and films, with intervals above .5. Clips of one
# valence were shown in a row, so this may be valence or the place in the session; where the emotion itself is unseen it falls to .520, with .5 inside the interval.
#
# ## More people teach the clips, and hardly the emotions
#
# Would a larger study help? Here we let the same kind of classifier learn from one person, from two, and so on up to 100, always tested on
# the same 23 others ({term}`post hoc`: we had fixed no rule for it). Move the slider, and watch how far apart the two kinds of clips drift.

# %%
recall = tables["accuracy_by_people"]
interactive.explore_people(recall, start=20, title="How many people does it take? (real EEG, nine emotions)")

# %% [markdown]
# In the left picture a line is the mean over draws of people, its band their range; in the right one the two marks of an emotion lie apart
# by what the classifier owes to having met the clip.

# %%
means = recall.groupby("people")[["seen", "unseen"]].mean()
means.columns = ["clips seen", "clips unseen"]
means.T.round(3).rename_axis(columns="people in training")

# %% [markdown]
# From one person to a hundred, accuracy on seen clips climbs from .130 to .247, and it is still climbing. On unseen clips it creeps from .113 to .144.
# What further people add is mostly a better average of *these films*. Whether more films would help we cannot
# test with 28 clips; more people who watch the same ones help little. Move the slider to 100: when its clip is new, disgust still stands out,
# most emotions lie near chance, and anger lies below it.
#
# ## The place in the session would do as well
#
# The little that remains has a rival that is no emotion. FACED shows its clips in blocks of one valence, and EEG drifts along a session
# ([chapter 4](04_eeg.ipynb)). How far would the position in the session take us, without any EEG?

# %%
order = load_order()
position = position_only_bacc(order.counts("train"), order.counts("test"))
print(f"balanced accuracy from the position alone: {position:.3f}")

# %% [markdown]
# That is as far as the EEG takes us on unseen clips. EEG does not know the position exactly, so {term}`drift` need not explain all of the
# .150; our point is that an accuracy of this size need not be emotion.
#
# ## The EEG of other people tells which clip you watch
#
# If clips are what is recognised, we should be able to name them. For each person we average the other 122 people, clip by clip, and
# ask which of these 28 averages looks most like this person's EEG during a clip. *Whitened* means that features in which people vary
# much for no reason of the clip count less.

# %% mystnb={"image": {"alt": "Line chart, real EEG: for 123 people, sorted, the share of 28 clips that is identified from the averages of the other people; nearly everybody lies above the dotted line of chance, and with whitened features the line lies about twice as high."}, "figure": {"caption": "**Other people's EEG tells which of 28 clips you watch (real EEG).** A dot is a person; the comparison is with averages of everybody else. Dotted: chance, 1 in 28."}}
who = tables["identification"]
panels = {"plain": "correlation", "whitened": "whitened"}
accuracy = {name: who.loc[who["method"] == method, "accuracy"] for name, method in panels.items()}
fig = plots.plot_subject_spread(accuracy, chance=1 / 28)
_ = fig.axes[0].set(xlabel="person, sorted", ylabel="share of clips identified, real EEG", ylim=(0, 0.7))

# %% [markdown]
# Nearly every person lies above the dotted line of chance. Is it the clip that is recognised, or only its emotion?

# %%
size = (emotions[:, None] == emotions).sum(1)  # clips of the same emotion
chance = [1 / 28, (size / 28).mean(), (1 / size).mean(), ((size - 1) / 27).mean()]
shares = ["accuracy", "emotion_accuracy", "within_emotion", "errors_within_emotion"]
table = who.groupby("method", sort=False)[shares].mean()
table.loc["chance"] = chance
table.columns = [
    "right clip",
    "right emotion",
    "right clip within the emotion",
    "wrong calls that stay within the emotion",
]
table.rename({"correlation": "plain"}).rename_axis(None).round(3)

# %% [markdown]
# Nearly one clip in five is named rightly, and one in three with whitening, where chance is one in 28. Look at the third column: told
# the emotion, we still know which of its clips it was, and no knowledge of emotions can do that. Look at the last one, too: a wrong
# answer names a clip of the right emotion only a little more often than chance. To the EEG, clips resemble others of their emotion, but
# not by much.
#
# ## Arbitrary groups of clips are decoded nearly as well as emotions
#
# A classifier that knows clips can learn *any* label that goes with them. We therefore invent emotions: we divide the 28 clips at
# random into nine groups as large as the true ones, train and test the same linear discriminant on them, and do so 1,000 times. A
# second thousand only exchanges clips of the same valence. Do the true emotions stand out? (For so many fits we fix how strongly the
# discriminant smooths its covariance; this changes .248 to .245.)

# %% mystnb={"image": {"alt": "Two histograms, real EEG: balanced accuracy of 1,000 arbitrary groupings of the clips, drawn freely or within a valence, both centred near .22, twice the chance of .11. An orange line, the nine true emotions, lies in the right tail of both."}, "figure": {"caption": "**Nine groups that mean nothing are decoded at twice the chance (real EEG).** Grey: nine arbitrary groups of the 28 clips; orange: the nine emotions; dotted: chance."}}
pseudo = tables["pseudo_emotions"]
true = pseudo[~pseudo["kind"].isin(KINDS)].iloc[0]
drawn = {kind: pseudo[pseudo["kind"] == kind] for kind in KINDS}
nulls = {
    f"groups drawn {kind.replace('free', 'freely')}": (rows["accuracy"].to_numpy(), true["accuracy"])
    for kind, rows in drawn.items()
}
fig = plots.plot_nulls(nulls, label="balanced accuracy, real EEG", reference=1 / 9)

# %% [markdown]
# The grey groups mean nothing and are decoded far above chance; the emotions stand to the right of most of them, but not of all. How many
# groups do as well, on clips that training has seen and on unseen ones?

# %% tags=["hide-input"]
against = []
for clips in ("accuracy", "unseen"):
    for kind, rows in drawn.items():
        p = stats.permutation_p(true[clips], rows[clips], alternative="greater")
        what = "all clips seen" if clips == "accuracy" else "unseen clips"
        against.append(
            {
                "tested on": what,
                "groups": kind,
                "emotions": true[clips],
                "arbitrary, mean": rows[clips].mean(),
                "p": p,
            }
        )
against = pd.DataFrame(against)
against.set_index("tested on").rename_axis(None).round(3)

# %% [markdown]
# Groups that mean nothing reach .221, twice the chance. The emotions reach .245, which one grouping in fourteen does as well (p = .072;
# within a valence .106). So with clips that training has met, most of the accuracy needs no emotion. On *unseen* clips the
# picture changes: there arbitrary groups fall to chance or near it, and the emotions stay above it (p = .012 and .025). We had fixed no
# rule for these two p-values. They do agree with the first section that clips of one emotion share something, be it emotion, block or
# film.
#
# ## Ten seconds of EEG follow the film
#
# Means over 10 s throw the time course away; networks that read raw signals do not. Does the course carry more? From the training
# people we average each second of each segment of 10 s and compare a test person's seconds with it. Then we shuffle the seconds within
# each segment: the mean stays, the course is lost.

# %% tags=["hide-input"]
course = tables["time_course"]
moments = course[course["condition"].isin(["time course", "shuffled"])]
names = {"time course": "time course", "shuffled": "seconds shuffled"}
table = moments.pivot_table(index="clips", columns="condition", values="accuracy")[list(names)].rename(
    columns=names
)
table["difference"] = table["time course"] - table["seconds shuffled"]
wide = course.query("clips == 'seen'").pivot(index="subject", columns="condition", values="accuracy")
locked = over_people((wide["time course"] - wide["shuffled"]).to_numpy())
exact = course.query("clips == 'seen' and condition == 'time course'")["segment_accuracy"].mean()
print(
    f"clips seen, time course minus shuffled: {locked.value:.3f} [{locked.low:.3f}, {locked.high:.3f}] over people"
)
print(f"the very segment among 84: {exact:.3f}, chance {1 / 84:.3f}")
table.rename(lambda clips: f"{clips} clips").rename_axis(None).rename_axis(None, axis=1).round(3)

# %% [markdown]
# The course lifts the accuracy from .215 to .339, far above our linear discriminant. In a quarter of the cases the method even names
# the very ten seconds, out of 84. And on unseen clips no such gain can be detected: .133 against .122. The course is locked to the film,
# second by second, and shared by the people who watch it. As neuroscience this is remarkable. For an accuracy it is a warning: whatever
# reads time in this design can recognise the *moment of a film*.
#
# ## Emotions or moments? A network that never learns an emotion names them better
#
# The paper's claims are about networks, so let us take the strongest that we could train on these features. It comes in two *regimes*:
# it sees the *means* of ten seconds, or their *time course* in ten steps of one second. (Its size and the length of training were chosen
# on people 80 to 99, before anybody looked at the test people.) And it learns one of two things:
#
# - *Emotions.* Its last layer has nine outputs, as usual.
# - *Moments.* Its last layer has 84 outputs, one for each ten seconds of each clip. No label tells it which clips share an emotion. When
#   we test it, and only then, we add up the probabilities of the nine or twelve moments that belong to each emotion and call the largest
#   sum.
#
# If accuracy were a reading of emotions, learning emotions should help.

# %% mystnb={"image": {"alt": "Five rows, real EEG: balanced accuracy of networks trained on emotions and on moments. With the time course of clips seen in training, moments reach about .52 and emotions about .42; with seconds shuffled and with means of seen clips both lie near .25, moments a little higher; on unseen clips both lie near .14, emotions a little higher."}, "figure": {"caption": "**To name emotions on known clips, it is better to have learned moments (real EEG, 23 new people).** Dots: means over five networks (unseen clips: two); bars: 95 % intervals over people; dotted: chance."}} tags=["hide-input"]
decoders = tables["decoders"].groupby(["regime", "condition", "labels"])
by_person = {case: people_of(rows).mean(0) for case, rows in decoders}  # mean over networks
CASES = {
    ("time course", "seen"): "time course, clips seen",
    ("time course", "shuffled"): "time course shuffled, clips seen",
    ("means", "seen"): "means, clips seen",
    ("time course", "unseen"): "time course, clips unseen",
    ("means", "unseen"): "means, clips unseen",
}
forest, gains = [], {}
for case, label in CASES.items():
    line = {"label": label}
    for labels in ("emotions", "moments"):
        limits = over_people(by_person[(*case, labels)])
        line |= dict(zip([labels, f"{labels}_low", f"{labels}_high"], limits, strict=True))
    gains[case] = over_people(by_person[(*case, "moments")] - by_person[(*case, "emotions")])
    forest.append(line)
forest = pd.DataFrame(forest)
fig = plots.plot_paired_forest(
    forest,
    {"trained on emotions": "emotions", "trained on moments": "moments"},
    label="balanced accuracy, real EEG",
    reference=1 / 9,
)


# %% [markdown]
# With the time course of seen clips, the network that has learned moments is far ahead. In numbers, with the loss that shuffled seconds
# cause:

# %% tags=["hide-input"]
def in_words(interval):
    return "{:+.3f} [{:+.3f}, {:+.3f}]".format(*interval)


courses = {
    labels: over_people(
        by_person["time course", "seen", labels] - by_person["time course", "shuffled", labels]
    )
    for labels in ("emotions", "moments")
}
for labels, gain in courses.items():
    print(f"trained on {labels}, time course minus shuffled: {in_words(gain)}")
table = forest.set_index("label")[["emotions", "moments"]].round(3).rename_axis(None)
table.assign(**{"moments minus emotions": [in_words(gain) for gain in gains.values()]})

# %% [markdown]
# Learning moments helps more than learning emotions. With the time course, the network that learns moments names emotions at .520, the one that learns emotions at .423; with
# means the gap is smaller, and it points the same way. The first network knows nothing of emotions until we sort its moments at the
# end. What it recognises is the film. Shuffle the seconds, which takes away the course and leaves everything else, and nearly half of
# the accuracy goes, whichever labels the network has learned. On *unseen* clips there is no moment to recognise again. There both kinds
# of networks are near .14, and the order turns round: learning emotions is a little better, if anything, than learning moments. That
# gap of about .01, which in the time course may be none, is all that learning emotions added to learning moments.
#
# The paper's networks reach .572 to .658 on raw signals, their ensemble .695, with the same films and the same split
# {cite:p}`radwan2026shared`. We cannot say how much of this is recognition of moments. But the design, known clips in new people, would
# not notice if nearly all of it were; a test on unseen clips would.
#
# ## Smoothing over clips that are sorted by emotion leaks the answer
#
# This section is a warning. It concerns every analysis that smooths features across trials which were arranged by their label.
#
# **What is done.** FACED's data descriptor reports .352 for nine emotions and .693 for positive against negative, in new people
# {cite:p}`chen2023faced`. The data are released in the order of the clips' numbers, which groups them by emotion. Its published code puts
# them into the order shown, normalises them, puts them back, and then runs a Kalman filter over the whole sequence. The filter follows
# each feature slowly, with a memory of about 100 s; of a clip, 30 s are kept. An option of that code for a length of 30 is read and never
# used, so the filter may well have been meant for single clips. We describe what it does, not what anybody wanted.
#
# **Why it leaks, although people are held out.** At its end, a filtered clip consists mostly of the clips before it. For all but the first
# clip of an emotion, those nearest have the same emotion, because they were *sorted by it*. That is true in training people and in test people alike. So a test person's
# clip arrives together with hints from clips that were placed beside it according to the very label that is to be predicted. For
# somebody whose label is unknown, the sorting could not be done.

# %% mystnb={"image": {"alt": "Schematic of 840 seconds in three rows: the weights of a filter at the end of one joy clip. Sorted by emotion, a third of the weight lies in other clips of the same emotion; in an order as shown, little; restarted in each clip, none. A strip below shows the emotions of the 28 clips."}, "figure": {"caption": "**What the filter remembers (schematic; the middle order is simulated by FACED's rule).** Height: weight of each second in the filtered last second of the third clip of joy; strip: emotions of the clips; for the first clip of an emotion nothing would be orange. Orange is what the sorting brings in; a filter that restarts in each clip remembers that clip only."}}
shown = draw_orders(1, random_state=0)[0].argsort()  # an order by FACED's rule
joy = 24  # the last clip of joy
panels = {
    "sorted by emotion": (emotions, joy, False),
    "in an order as people saw it": (emotions[shown], list(shown).index(joy), False),
    "sorted, but restarted in each clip": (emotions, joy, True),
}
fig = plots.plot_filter_memory(panels)

# %% [markdown]
# In the first row a third of the weight lies in other clips of joy, which stand beside it only because they are joy. In an order as people saw it,
# most neighbours are of other emotions, and a filter that restarts has no neighbours.
#
# **A demonstration that anybody can run.** Take nine groups of clips that mean nothing. Sort each person's clips by group, filter them,
# and decode the groups. Here we do it on *simulated* people whose EEG knows clips but no emotions, and on people whose EEG knows not even
# clips.


# %%
def leak(cohort, number=0, **memory):
    x = clip_blocks(standardise(cohort), cohort.window)  # (person, clip, second, feature)
    groups, key = grouping(cohort.y, number)  # arbitrary
    order = np.lexsort((key, groups))  # sorted by group
    session = kalman_filter(x[:, order].reshape(len(x), -1, x.shape[-1]), **memory)
    filtered = {"no filter": x, "restarted in each clip": kalman_filter(x)}
    filtered["sorted by group"] = session.reshape(x.shape)[:, order.argsort()]
    return {name: unseen_clips(cohort, view, groups, key) for name, view in filtered.items()}


# %% tags=["hide-input"]
def unseen_clips(cohort, x, groups, key):
    """Share of seconds called rightly in test people, on clips that were not in training."""
    x = (x - x.mean((1, 2), keepdims=True)) / x.std((1, 2), keepdims=True)
    split = usual_split(cohort)
    train, test = x[split.train.any(1)], x[split.test.any(1)]
    return hits(test, clip_moments(train), groups, within_clip_shrinkage(train), held_out(groups, key)).mean()


cohorts = {
    name: simulate_cohort(0, preset)[0]
    for name, preset in {"clips, no emotions": "identity_only", "nothing": "null"}.items()
}
demonstration = pd.DataFrame({f"simulated: {name}": leak(cohort) for name, cohort in cohorts.items()})
demonstration.round(3)

# %% [markdown]
# Sorted and filtered, groups that do not exist are decoded in new people *and on clips that were not in training*: the classifier meets
# traces of the training clips inside the unseen one. Without a filter, or with one that restarts, the accuracy is at chance, as it must
# be. The right column shows that the filter creates nothing out of nothing: where clips leave no trace, nothing leaks.
#
# **The same on the real recordings.** The stored tables follow the descriptor's steps: running normalisation, filter, z-scores, single
# seconds, ten folds of people. First, 60 arbitrary groupings:

# %% mystnb={"image": {"alt": "Two histograms, real EEG, sixty arbitrary groupings of the clips. With the filter restarted in each clip the accuracies centre near .28 and the orange line of the true emotions lies to the right; sorted together they centre near .38, and the true emotions lie within the histogram."}, "figure": {"caption": "**After sorting, arbitrary groups are decoded as well as emotions (real EEG).** Grey: nine arbitrary groups of the clips under the same filter; orange: the nine emotions, treated alike; dotted: chance."}} tags=["hide-input"]
smooth, arbitrary = tables["smoothing"], tables["pseudo_smoothing"]
nine = smooth.query("labels == 'emotions' and classifier == 'linear discriminant'")
of_emotions = nine.groupby("condition")["accuracy"].mean()
panels = {"restarted in each clip": "restarted", "sorted together": "sorted"}
nulls = {title: (arbitrary[name].to_numpy(), of_emotions[name]) for title, name in panels.items()}
fig = plots.plot_nulls(nulls, label="share of seconds, real EEG", reference=1 / 9, stacked=True)
for ax in fig.axes:
    ax.set_xlim(0.1, 0.48)

# %% [markdown]
# With the filter that restarts, the emotions stand out from the grey groups; with the sorted one, they do not. How large is the leak, and
# what does it do on unseen clips?

# %% tags=["hide-input"]
difference = arbitrary["sorted"] - arbitrary["restarted"]
leaked = difference.mean(), *difference.quantile([0.025, 0.975])
print("arbitrary groups, leak (sorted minus restarted): {:.3f}, middle 95 % [{:.3f}, {:.3f}]".format(*leaked))
means = arbitrary[["none", "restarted", "sorted", "restarted_unseen", "sorted_unseen"]].mean()
table = pd.DataFrame(
    {"all clips seen": means[["none", "restarted", "sorted"]].to_numpy()},
    ["no filter", "restarted", "sorted together"],
)
table["unseen clips"] = [np.nan, means["restarted_unseen"], means["sorted_unseen"]]
as_good = [(arbitrary[name] >= of_emotions[name]).mean() for name in panels.values()]
table = table.map(lambda value: f"{value:.3f}".replace("nan", ""))
table.assign(**{"as good as the emotions": ["", *(f"{share:.0%} of them" for share in as_good)]})

# %% [markdown]
# Sorted together, arbitrary groups are decoded at .379, and 72 % of them at least as well as the nine emotions. That is .095 more than
# with a filter that restarts. Restarting leaves .284: within a clip the filter averages over seconds, which is legitimate and makes
# clips easier to recognise. There the emotions lead nearly all groups (2 % do as well), and the sorting hides this. The middle column is
# the clearest. On clips outside training, groups that do not exist are at chance with a filter that restarts, and reach .313 with the
# sorted one.
#
# Next, the nine emotions, with the filter run in seven ways:

# %% mystnb={"image": {"alt": "Seven rows, real EEG: share of seconds called rightly for nine emotions, on seen and unseen clips, by how the filter runs. Sorted by emotion is highest in both, near .37 and .29; restarted is .33 and .15; without a filter .20 and .14; other orders lie between these or lower."}, "figure": {"caption": "**On unseen clips only the filter over sorted clips stands out (real EEG, nine emotions).** Bars: 95 % intervals over people; dotted: one in nine."}} tags=["hide-input"]
NAMES = {
    "none": "no filter",
    "sorted": "sorted by emotion",
    "restarted": "restarted in each clip",
    "interleaved": "emotions in turn",
}
forest = []
for condition in CONDITIONS:
    line = {"label": NAMES.get(condition, condition)}
    for column in ("accuracy", "unseen"):
        line[column], line[f"{column}_low"], line[f"{column}_high"] = over_people(
            nine.loc[nine["condition"] == condition, column].to_numpy()
        )
    forest.append(line)
forest = pd.DataFrame(forest)
fig = plots.plot_paired_forest(
    forest,
    {"all clips seen": "accuracy", "unseen clips": "unseen"},
    label="share of seconds, real EEG",
    reference=1 / 9,
)

# %% [markdown]
# On unseen clips one row stands apart: the filter that runs over clips sorted by emotion. In numbers:

# %% tags=["hide-input"]
forest.set_index("label")[["accuracy", "unseen"]].rename(
    columns={"accuracy": "all clips seen", "unseen": "unseen clips"}
).rename_axis(None).round(3)

# %% [markdown]
# With all clips seen, .365 against .334 does not look like much, because a classifier that knows the clips hardly needs the hints. (Against
# the same filter run in the order shown, .175, the sorting is worth far more; but there the filter blurs the clips as well.) On
# unseen clips four fifths of what exceeds chance comes from the hints: .291 with the sorted filter, .146 when it restarts, .140 without any. *Somebody who tests on
# unseen clips, but filters first, will believe that they have found emotions that generalise.* No order that is not sorted by emotion comes near. Random orders
# do harm: on seen clips most where each person has another one, most likely because the filter then mixes the clips differently in everybody; on unseen
# clips most where all share one, which may be because the neighbours that the filter mixes in give false hints.
#
# Finally the descriptor's own classifier, a linear support vector machine. We cannot run that code as it is: one part of it computes five
# bands, another expects 120 features, which is four. We show both. That delta is the band to leave out is our guess, and we added
# this row after we had seen the result with five. The code chooses the penalty, which keeps the classifier's weights small, by accuracy on test
# people. Ours is one number, chosen within the training people of the first fold under the sorted filter, and training uses every fifth second.

# %%
svm = smooth.query("classifier == 'support vector machine'")
table = svm.pivot_table(index=["labels", "bands"], columns="condition", values="accuracy")[
    ["sorted", "restarted"]
]
published = {"emotions": 0.352, "valence": 0.693}
for row, part in svm.groupby(["labels", "bands"]):
    wide_svm = part.pivot(index="subject", columns="condition", values="accuracy")
    gain = over_people((wide_svm["sorted"] - wide_svm["restarted"]).to_numpy())
    table.loc[row, "difference"] = f"{gain.value:.3f} [{gain.low:.3f}, {gain.high:.3f}]"
table["published, sorted"] = [published[labels] for labels, _ in table.index]
table.rename_axis(columns=None).round(3)

# %% [markdown]
# With four bands and the sorted filter we come close to the published figures, with five we exceed them. If the filter restarts, accuracy
# falls by about four hundredths for nine emotions and seven to eight for valence. That is what the sorting is worth on the published test. The
# rest is accuracy on clips that training has met, with all that the sections above say about it {cite:p}`gerster2026stimulus`. The striking figures of this section, .291 and
# .313, are for unseen clips, a test that the descriptor does not report.
#
# **What to do instead.**
#
# 1. *Restart the filter in each clip*, or smooth within clips only. In this package: `kalman_filter(x, restart=30)`.
# 2. *Report unseen clips*, and films, beside unseen people.
# 3. *Keep the true order* wherever a filter must run over clips; never sort by anything that knows the label before a step that looks
#    sideways in time.
# 4. *Try it with groups that mean nothing.* If a step lifts them above chance on unseen clips, it leaks.
#
# ## Our 36 checkpoints differ mostly by architecture
#
# The paper trains 36 networks: two architectures, three lengths of training, six recipes {cite:p}`radwan2026shared`. The next two chapters
# ask what such a bank shares with the axis, so we have trained one in each regime: a perceptron with two hidden layers, and an axial
# transformer, which attends over channels and over time. Some recipes add an auxiliary loss that draws the features to prototypes of the
# emotions, from a language model or at random. All learn emotions. A {term}`checkpoint` is one of these networks at the epoch that did best on
# validation people.

# %% mystnb={"image": {"alt": "Two scatter plots, real EEG: balanced accuracy on new people of 36 checkpoints in each regime against the epochs of training; perceptrons lie above axial transformers, on the time course all of them, and longer training lies higher."}, "figure": {"caption": "**What separates the 36 checkpoints is mostly their architecture (real EEG, 23 new people).** A dot is a checkpoint; thin lines join the three lengths of a recipe."}}
architectures = {"mlp": "perceptron", "axial": "transformer"}
checkpoints = tables["checkpoints"].replace({"network": architectures})
panels = {f"FACED, {regime}": rows for regime, rows in checkpoints.groupby("regime", sort=False)}
fig = plots.plot_checkpoints(
    panels,
    x="epochs",
    y="bacc",
    line="recipe",
    xlabel="epochs of training",
    ylabel="balanced accuracy",
    stacked=True,
)

# %% [markdown]
# On the time course every perceptron lies above every transformer; with means nearly all do.

# %%
checkpoints.groupby(["regime", "network"], sort=False)["bacc"].agg(["min", "median", "max"]).round(3)

# %% [markdown]
# With means the 36 reach .212 to .267, with the time course .199 to .385. The perceptrons gain from the time course; our transformers,
# which see it in five steps of two seconds, do not. Keep this gap between the two architectures in mind: in the next chapter it will pass
# for a discovery.
#
# ## Leaving clips out is a fair control (simulated)
#
# We test the control on two simulated cohorts. In *identity only*, people respond to single clips and emotions do not exist. In the
# *default* one, emotions do.

# %%
plain = [TrainingSpec(epochs=15, recipe="mlp, plain")]
controls = {part.label: part for part in (simulate_cohort(0)[0], cohorts["clips, no emotions"])}
FOLDS = [("cohort_matched", 0), ("leave_clips_out", 0)]
parts = [
    split_table(part, FOLDS, plain, progress=False).assign(data=label) for label, part in controls.items()
]
made = pd.concat(parts, ignore_index=True)
shown = made.replace({"mean of 1 networks": "perceptron"})
shown = shown.assign(clips=np.where(made["new_clips"], "unseen clips", "same clips"))
shown.pivot(index=["data", "clips"], columns="method", values="bacc").rename_axis(columns=None).round(2)

# %% [markdown]
# On the same clips a simulated cohort without any emotions is decoded well above chance; on new clips it falls to chance. Leaving clips
# out does what it should.
#
# ## What could fool us
#
# - **Our networks see features.** Networks that see raw signals may find more of the emotions. They may also find more of the moments,
#   so the controls are needed all the more.
# - **The recipe.** We compared recipes on validation people, the largest ones with moments as labels, and gave the emotions the same. A
#   recipe sought for emotions might narrow the gap. And moments say more about a segment than its emotion does: that more is the clip,
#   which is our point.
# - **Twenty-eight clips are few.** Our intervals say how much the accuracy varies between *people*. Three or four clips stand for each
#   emotion, and other clips could give other results.
# - **Blocks.** Clips of one valence were shown in a row. What unseen clips share with seen ones may be their place in the session.
# - **The restarted filter.** It starts each clip at the clip's own mean and hardly moves from it, so it turns seconds into means of 30 s.
#   That alone raises accuracy on seen clips, and makes the leak look smaller there.
# - **We looked first.** The rules marked exploratory were written after a first look at FACED's features, but before these results.
#
# ## Verdict


# %% tags=["hide-input"]
def unseen_row(scheme):
    (row,) = splits.query(
        f"labels == 'emotions' and held_out == '{scheme}' and training == 'unseen'"
    ).to_dict("records")
    return {key: row[key] for key in ("value", "low", "high")} | {"n": int(row["n_people"])}


def of_people(values):
    return over_people(values)._asdict() | {"n": len(values)}


def difference_of(table):
    wide = table.pivot(index="subject", columns="condition", values="accuracy")
    return of_people((wide["sorted"] - wide["restarted"]).to_numpy())


real = dict(data="FACED", simulated=False)
with_svm = svm.query("labels == 'emotions' and bands == 5")
every_clip = "linear discriminant, 30 channels; each clip is unseen in one of four folds"
variant = "linear support vector machine, five bands, fixed penalty"
note = "strongest network of the regime; each clip is unseen in one of four folds, two seeds"
networks = []
for regime in ("means", "time course"):
    here = dict(data=f"FACED, {regime}", simulated=False)
    networks.append(claims.record("C6.moments", **gains[regime, "seen"]._asdict(), n=len(wide), **here))
    for labels in ("emotions", "moments"):
        here["data"] = f"FACED, {regime}; network, {labels}"
        values = by_person[regime, "unseen", labels]
        networks.append(claims.record("C6.unseen_clips", **of_people(values), note=note, **here))
        if regime == "time course":
            gain = courses[labels]._asdict()
            networks.append(claims.record("C6.time_course", **gain, n=len(wide), **here))
rows = [
    claims.record("C6.unseen_clips", **unseen_row("clips"), note=every_clip, **real),
    claims.record("C6.identification", **of_people(accuracy["plain"].to_numpy()), **real),
    claims.record("C6.unseen_films", **unseen_row("films"), note="eight emotions, chance 1/8", **real),
    *(
        claims.record(claim, value=line["emotions"] - line["arbitrary, mean"], p=line["p"], n=28, **real)
        for claim, line in zip(
            ("C6.pseudo_free", "C6.pseudo_valence"), against.head(2).to_dict("records"), strict=True
        )
    ),
    claims.record("C6.time_course", **locked._asdict(), n=len(wide), **real),
    *networks,
    claims.record(
        "C6.smoothing_leak", value=leaked[0], low=leaked[1], high=leaked[2], n=len(arbitrary), **real
    ),
    claims.record("C6.smoothing_true", **difference_of(with_svm), note=variant, **real),
]
claims.show(*rows)[["paper", "ours", "interval", "p", "data", "verdict"]]

# %% tags=["hide-input"]
simulated = []
for row in made.query("split == 'leave_clips_out' and method == 'lda'").itertuples():
    numbers = {"value": row.bacc, "low": row.low, "high": row.high, "n": row.n_subjects}
    simulated.append(
        claims.record(
            "C6.unseen_clips", **numbers, data=row.data, simulated=True, note="linear discriminant, fold 0"
        )
    )
claims.show(*simulated)[["ours", "interval", "data", "verdict"]]

# %% tags=["remove-cell", "nbval-check-output"]
# what the solutions below say in numbers
for state in (1e-2, 1.0):
    print(f"leak with state {state:g}:", leak(cohorts["clips, no emotions"], state=state)["sorted by group"].round(2))
print("chance of groups:", f"{1 / 9:.2f}", "with the memory of 100 s:", demonstration.iloc[2, 0].round(2))


def averaged_within(cohort, number=0, width=5):
    x = clip_blocks(standardise(cohort), cohort.window)
    padded = np.pad(x, ((0, 0), (0, 0), (width // 2, width // 2), (0, 0)), mode="edge")
    smooth = np.lib.stride_tricks.sliding_window_view(padded, width, axis=2).mean(-1)
    groups, key = grouping(cohort.y, number)
    return unseen_clips(cohort, smooth, groups, key)


print("five seconds within the clip, unseen clips:", averaged_within(cohorts["clips, no emotions"]).round(2))

# %% tags=["remove-cell", "nbval-check-output"]
claims.show(*rows, *simulated)[["data", "verdict"]]

# %% [markdown]
# One preregistered row, `C6.unseen_clips`, is supported on FACED, for the linear classifier and for networks: on unseen clips the accuracy
# exceeds chance. The words of this claim, as first written, said more than its rule can show: they treated reading emotion and knowing clips
# as alternatives. They now say what the rule asks ([the change](../book/rules.md)), whether accuracy exceeds chance: a part of the accuracy survives on unseen clips, and most of
# it does not. Networks that learned moments pass the same rule, though no label told them of emotions before the test.
#
# **What stands.** People's EEG carries a strong and shared signature of the clip they watch, down to the ten seconds of the film. A
# network that learns these ten seconds, and no emotion, names the emotions of known clips better than one that learns emotions. A
# small part of the accuracy carries over to unseen clips; on unseen films its interval begins just above chance.
#
# **What does not stand.** That accuracy in new people is accuracy on emotions: moments of films serve better, and arbitrary groups of
# clips nearly as well. That pleasant and unpleasant are told apart as such: on emotions left out of training, the accuracy cannot be told
# from a coin's. That smoothing across sorted clips is harmless.
#
# **What is not shown.** What the small remainder is: emotion, its block in the session, or something else that clips of one emotion
# share. And anything about the paper's own networks. They read raw signals, and neither these nor the networks are public. What we can
# say is that their design, new people and old clips, does not protect them from any of this.
#
# ## Try it
#
# **Exercise 1.** How long must a filter remember to leak? Its memory in seconds is about the root of *noise* over *state*, so `state=1e-2`
# makes it 10 s, and `state=1` one second. Guess first, then run
#
# ```python
# leak(cohorts["clips, no emotions"], state=1e-2)
# ```
#
# ```{dropdown} Solution
# With the memory of 100 s the groups are decoded at .57, with 10 s at .30, and with about one second at .11, which is chance. Ten seconds
# still reach back into the clip before, one second hardly does.
# ```
#
# **Exercise 2.** In the histograms of arbitrary groups, replace `"accuracy"` by `"unseen"`, twice. Where do the true emotions lie now, and
# why did we not make a verdict of it?
#
# ```{dropdown} Solution
# In the far right tail: p = .012 and .025 in the table. We had fixed no rule before we saw it, and a rule that is written afterwards can
# be made to fit.
# ```
#
# **Exercise 3.** A friend replaces each second by the mean of the five seconds around it, within the clip. Does this leak? Say first what
# `leak` would have to show if it did.
#
# ```{dropdown} Solution
# If it leaked, groups that mean nothing would be decoded above chance on unseen clips. They are not: the accuracy is .10, where chance is
# .11, because nothing from another clip enters. The friend's step may well raise the accuracy on *known* clips, since a clip is easier to
# recognise with less noise.
# ```
#
# **On your own data.** A classifier on unseen clips of your own recordings, and the leak of a filter in them:
#
# ```python
# import kernel
# from kernel.brain.cohort import standardise
# from kernel.brain.splits import make_split
# from kernel.decoding.bank import train_bank
# from kernel.decoding.training import TrainingSpec
#
# cohort = standardise(kernel.load_cohort("/path/to/data"))
# split = make_split(cohort, "leave_clips_out")
# specs = [TrainingSpec(seed=s, labels=what) for s in range(5) for what in ("classes", "moments")]
# bank = train_bank(specs, cohort, split)    # a balanced accuracy of emotions for either label
# bank.table()
# leak(cohort)    # the function of this page; put your own filter into it
# ```
