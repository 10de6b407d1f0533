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
# # The story in five minutes
#
# **Data of this page.** The ledger of all chapters that follow; nothing is computed anew. Results on language models are on *real* models and *real* human
# ratings. Steps 2 to 5 are on the *real* EEG of FACED, the 123 people whose recordings the paper analysed {cite:p}`chen2023faced`, drawn as filled dots. *Simulated* cohorts, with strong valence or
# with none, are drawn hollow: they say what a method can tell, and nothing about people.
#
# In May 2026 a preprint made a bold claim: modern language models and human EEG share one axis of valence, from bad to good, and EEG classifiers that have found it
# cannot be improved by it {cite:p}`radwan2026shared`. Here are its five steps. Each has one figure and one verdict, and each verdict is put together by the code from the
# ledger, by [rules that were fixed beforehand](../book/how_to_read.md).
#
# A dot is a result of this book, a bar its 95 % interval, p its p-value against the null named in [the ledger](../book/claims.md); a diamond is the value that the paper prints for the
# same question, where it prints one; the paper's AUC is on another set of film reviews, SST-2.

# %% tags=["hide-input"]
import pandas as pd
from IPython.display import Markdown

from kernel import claims, plots

plots.set_style()
path = claims.book_ledger()
ledger = claims.ledger(path)


def results(asked):
    """Rows of the ledger for some claims, each named in a word or two, beside the value that the paper prints."""
    rows = ledger[ledger["id"].isin(asked) & (ledger["verdict"] != "not run")]
    control = rows["data"].str.contains("strong valence|no valence") & ~rows["data"].str.contains("SEED-V")
    variants = rows["data"].str.contains("axis -1|axis of class|axis recovered|against|; moments")
    rows = rows[((rows["simulated"] == False) | control) & ~variants]  # noqa: E712
    data = rows["data"].str.replace("simulated cohorts?, ", "simulated, ", regex=True)
    words, paper = ({name: pair[place] for name, pair in asked.items()} for place in (0, 1))
    rows = rows.assign(label=rows["id"].map(words) + ": " + data, paper=rows["id"].map(paper))
    order = {name: place for place, name in enumerate(asked)}
    numbers = {key: float for key in ("value", "low", "high", "p", "paper")}
    return rows.sort_values("id", key=lambda ids: ids.map(order), kind="stable").astype(numbers)


def verdict(headline):
    return Markdown(f"**Verdict.** {claims.verdict_sentence(claims.HEADLINES[headline], path)}")


NOT_PRINTED = float("nan")

# %% [markdown]
# ## 1. Words: nine stories give a valence direction
#
# Average a model's hidden states over stories of nine emotions. The first principal component of the nine averages runs, the paper says, from anger to tenderness, in any
# modern model. We read two small models twice: *bare*, as the paper does, and with an affect *cue* after the text. Does the direction tell good texts from bad ones, and does it
# place film clips where people place them?

# %% tags=["hide-input"] mystnb={"image": {"alt": "Forest plot in two panels, real models and real human ratings. Top: area under the curve on rated movie snippets for both bundled models, built from six stories or fifty tellings, with the cue and bare, with 95 % intervals and p-values, beside the paper's value for SST-2. Bottom: correlation with people's valence over 28 film clips, beside the paper's best value. Colour shows the verdict."}, "figure": {"caption": "Dots: our results, with 95 % intervals; diamonds: the paper's values; both models and all ratings are real."}}
fig = plots.plot_claim_forest(
    {
        "AUC on movie snippets (real ratings; chance 0.5)": results(
            {"C1.cued_recipe": ("with cue", NOT_PRINTED), "C1.bare_recipe": ("bare", 0.832)}
        ),
        "r with human valence over 28 clips (real ratings)": results({"C3.clip_r": ("axis", 0.944)}),
    }
)

# %% tags=["hide-input"]
verdict("Nine sentences give a valence direction")

# %% [markdown]
# Chapters [1](01_axis.ipynb), [2](02_sentiment.ipynb) and [3](03_consistency.ipynb) have the details: which null, which layer, how many stories, and what a code of $-1, 0, +1$ achieves without
# any model.
#
# ## 2. Brain: one projection of EEG
#
# One ridge regression maps EEG onto the axis with $r = .87$, over 28 clips with 160 features. From the paper's own data we get the same figure, by fitting and scoring on the same clips. But with more features than clips a fit is no finding, so the projection has to predict clips
# it has not seen, then emotions it has not seen, then those with the order of presentation removed. Its p-value asks how often shuffled emotions do as well. (A fit that knows nothing gives $r = -1$ on unseen emotions, for each of its predictions is the mean of the others.) Two simulated cohorts, one with valence and one without, show
# what the test can tell.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Forest plot of one panel. Correlation of projection and axis on the real EEG of FACED, filled, and on simulated cohorts with and without valence, hollow: the paper's fit reproduced, fitted in sample, with the clip left out, with the emotion left out, and with presentation order removed, each with its p-value against permuted emotions; the paper's .87 stands beside the in-sample rows. Colour shows the verdict."}, "figure": {"caption": "Filled: real EEG; hollow: simulated cohorts; diamonds: the paper's value; p: emotions permuted. The fit comes back, and predicts nothing that it has not seen."}}
fig = plots.plot_claim_forest(
    {
        "r of projection and axis; p: emotions permuted": results(
            {
                "C4.in_sample_reproduced": ("the paper's fit, reproduced", 0.87),
                "C4.ridge_in_sample": ("in sample, our rule", 0.87),
                "C4.ridge_leave_clip_out": ("clip unseen", NOT_PRINTED),
                "C4.ridge_leave_emotion_out": ("emotion unseen", NOT_PRINTED),
                "C4.position_removed": ("unseen, order removed", NOT_PRINTED),
            }
        )
    }
)

# %% tags=["hide-input"]
verdict("One linear projection of EEG tracks it")

# %% [markdown]
# [Chapter 4](04_eeg.ipynb) shows what was recorded and how order and emotion are entangled, [chapter 5](05_projection.ipynb) what the fit is worth, [chapter 6](06_topography.ipynb) the maps;
# [a further chapter](18_same_clip.ipynb) compares people who watched the same clip.
#
# ## 3. Classifiers: do they find it unasked?
#
# First, what do networks recognise in FACED? One that is trained to tell *moments* of the films apart, and never learns an emotion, names emotions better than one that learns them. On clips that it has not seen,
# either is little better than chance.
#
# Over 36 classifiers the paper correlates accuracy with the alignment of their class means. On the time course our 36 networks give nearly as large a correlation with one language model's axis, and one of the other sign with another's. They hold two
# patterns of class means between them, so that nearly any axis gives a large correlation one way or the other. The null permutes the emotions. The last panel takes a direction away and asks what that costs.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Forest plot in three panels. Top, real EEG: balanced accuracy of networks trained on moments minus that of networks trained on emotions, with 95 % intervals. Middle, real EEG filled and simulated EEG hollow: correlation of a classifier's accuracy with its alignment, by class means and by residual, with p-values, beside the paper's .885 and .738. Bottom: fall in accuracy when the residual direction is removed, tested against directions from random targets and against isotropic ones, beside the paper's .0157. Colour shows the verdict."}, "figure": {"caption": "Filled: real EEG; hollow: simulated cohorts; diamonds: the paper's values. With people, no test of the axis in classifiers succeeds."}}
fig = plots.plot_claim_forest(
    {
        "accuracy: trained on moments minus on emotions": results({"C6.moments": ("moments", NOT_PRINTED)}),
        "r of accuracy and alignment over checkpoints": results(
            {"C6.class_pc1": ("class means", 0.885), "C6.residual": ("residual", 0.738)}
        ),
        "fall in balanced accuracy without the direction": results(
            {"C6.ablation": ("null: targets", 0.0157), "C6.ablation_isotropic": ("null: isotropic", 0.0157)}
        ),
    }
)

# %% tags=["hide-input"]
verdict("Classifiers find it unasked")

# %% [markdown]
# Chapters [7](07_classifiers.ipynb), [8](08_rediscovery.ipynb) and [9](09_ablation.ipynb) ask what accuracy is made of, how often each test says yes where there is nothing, and whether ablation can tell.
#
# ## 4. Alignment: the axis against a placebo
#
# Pushing a classifier towards the axis helps nothing; sixteen of 25 strategies harm, the paper counts. Every strategy here has a twin, its placebo, that pushes towards valence *permuted* over
# emotions. If saturation is the reason for the harm, the twin should harm less. With people it does not: over 24 strategies the axis does no worse than its placebo, and the two differ by less than half a hundredth.
# Nor does harm wait for strong classifiers: it is largest in networks that have trained briefly, below the accuracy at which the paper expects any. (None of our networks on people gets beyond it.)

# %% tags=["hide-input"] mystnb={"image": {"alt": "Forest plot in two panels. Top, real EEG filled and simulated EEG hollow: change of balanced accuracy under alignment beyond that of its placebo, with four training people, and beyond that in cohorts without valence; and change after long training minus change after short, with 95 % intervals. Bottom: number of the 25 strategies that harm, from the paper's printed p-values uncorrected and corrected by Benjamini-Hochberg and Holm, and from our own runs, beside the paper's sixteen. Colour shows the verdict."}, "figure": {"caption": "Filled: real EEG and printed p-values; hollow: simulated cohorts. Bars: 95 % intervals; diamonds: the paper's count."}}
fig = plots.plot_claim_forest(
    {
        "change of balanced accuracy": results(
            {
                "C7.beyond_placebo": ("beyond the placebo", NOT_PRINTED),
                "C7.needs_valence": ("with valence minus without", NOT_PRINTED),
                "C7.helps_when_scarce": ("few people, beyond the placebo", NOT_PRINTED),
                "C7.threshold": ("long training minus short", NOT_PRINTED),
            }
        ),
        "strategies of 25 that reduce accuracy": results(
            {
                "C7.count_uncorrected": ("uncorrected", 16),
                "C7.count_bh": ("Benjamini-Hochberg", 16),
                "C7.count_holm": ("Holm", 16),
                "C7.count_own": ("our own run, Holm", 16),
            }
        ),
    }
)

# %% tags=["hide-input"]
verdict("25 ways of alignment help nothing")

# %% [markdown]
# [Chapter 10](10_alignment.ipynb) trains all 25 with their placebos, [chapter 11](11_saturation.ipynb) varies strength, training and people, and in simulations valence itself.
#
# ## 5. Ensemble: the gain, and over what
#
# Averaging ten classifiers gains, and the paper credits the diversity of their residuals. With people the gain over single members is less than a hundredth. The first rows compare with single members, as the paper does;
# those below with a plain deep ensemble of equal size, which differs in nothing but its seeds.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Forest plot in two panels, real EEG filled and simulated EEG hollow. Top: gain in balanced accuracy of an ensemble over its single members, and of ensembles built for residual diversity over plain deep ensembles in cohorts of three kinds, with 95 % intervals, beside the paper's gain. Bottom: correlation of a member's residual alignment with its contribution, with its p-value, beside the paper's .743. Colour shows the verdict."}, "figure": {"caption": "Filled: real EEG; hollow: simulated cohorts. Bars: 95 % intervals; diamonds: the paper's values."}}
fig = plots.plot_claim_forest(
    {
        "change of balanced accuracy": results(
            {
                "C8.gain": ("over single members", 0.6948 - 0.658),
                "C8.beats_deep_ensemble": ("over a deep ensemble", NOT_PRINTED),
                "C8.axis_members_harm": ("with aligned members", NOT_PRINTED),
            }
        ),
        "r of residual alignment and contribution": results({"C8.residual_predicts": ("members", 0.743)}),
    }
)

# %% tags=["hide-input"]
verdict("Residual diversity helps")

# %% [markdown]
# [Chapter 12](12_ensemble.ipynb) holds the contest, [chapter 13](13_two_tier.ipynb) asks who helps. [Chapter 14](14_seed_v.ipynb) asks what a replication with five classes can show, and
# [chapter 15](15_online.ipynb) decodes while the EEG arrives.

# %% [markdown]
# ## The verdict table
#
# Every claim behind the verdicts above, and those of a sixth headline, that it replicates on another data set. A claim *held* where all of its results are supported, *held in part*
# where some are, *failed* where none is, and *could not be decided* where the numbers leave it open. Real data and simulations are told apart, and so are simulations in which there was
# nothing to find: there, "failed" is the right answer.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Matrix of outcomes: a row for each claim behind the six headlines, a column each for real data, simulated cohorts with something planted, and simulated cohorts with nothing planted. Cells read held (blue), held in part (light blue), failed (orange) or could not be decided (grey); cells of what was not asked are empty."}, "figure": {"caption": "**On real brains most claims failed.** Left: real data; middle and right: simulated cohorts, with something planted and with nothing to find, where failing is right."}}
names = [name for group in claims.HEADLINES.values() for name in group]
columns = {"real": "real data", "planted": "simulated, planted", "nothing planted": "simulated, nothing planted"}
fig = plots.plot_outcomes(claims.outcomes(names, path), columns)

# %% tags=["nbval-check-output", "hide-input"]
for headline, names in claims.HEADLINES.items():
    print(f"{headline}.\n  {claims.verdict_sentence(names, path)}\n")

# %% [markdown]
# Counts are no score: claims differ in weight, and some rows are our own controls. [The verdict](16_verdict.ipynb) weighs them and says what stands, what falls, and what nobody can know
# yet; [the ledger](../book/claims.md) has every row; [limitations](../book/limitations.md) says what none of it can show.
#
# ## Where to go from here
#
# You have read the book's result. To check it, [rerun it](../book/how_to_read.md); to use it on a model of your own, take [the quickstart](00_quickstart.ipynb).
#
# ## The rows behind it

# %% tags=["hide-input"]
pd.set_option("display.max_rows", None)
shown = [
    row for row in claims.read_ledger(path) if any(row.id in names for names in claims.HEADLINES.values())
]
claims.show(*shown).set_index(["claim", "data"])[["ours", "interval", "p", "verdict"]]
