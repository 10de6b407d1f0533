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
# # Quickstart: your sentences on the axis
#
# **The question.** Can nine short stories, one for each emotion, find a direction in a language model along which *any* text can be placed between bad and good {cite:p}`radwan2026shared`? Nobody labels anything.
#
# **The answer in short.** Yes, on these texts: given one text that people liked and one that they disliked, this *axis* puts the liked one higher in 93 to 97 of 100 pairs. That does not make it a *special* direction ([chapter 2](02_sentiment.ipynb)).
#
# **You will learn** how to build the axis of a small language model, put your own sentences on it, and check it against people who rated the same texts.
#
# **Data of this page.** A real language model (SmolLM2-135M-Instruct, Apache-2.0 {cite:p}`allal2025smollm2`) and real human
# ratings of movie, product and tweet snippets {cite:p}`hutto2014vader`. Nothing is simulated.
#
# **Time.** 5 minutes to read, about 20 with trying; a laptop will do, without an account. **In the paper.** The construction of the axis from nine emotions.
#
# ## One call builds the axis

# %%
import kernel

MODEL = "SmolLM2-135M-Instruct"
result = kernel.construct_valence_axis(
    MODEL, progress=False
)

# %% [markdown]
# The call gives the model 54 stories, six for each of nine emotions. For every story it takes the state $h$ that the model has after the last word, a list of
# numbers; it averages the states of each emotion, $c_1$ to $c_9$, and draws the line along which these nine averages differ most, their first principal component:
#
# $$ v = \mathrm{PC}_1(c_1 - \bar c, \dots, c_9 - \bar c) $$
#
# A text $x$ lies on this line at $(h(x) - \bar c) \cdot v$, its *valence*. Two things differ from the paper. A model this small needs a nudge, the {term}`cue <affect cue>`: every text ends in the words *This made me feel
# very*. And six different stories stand for each emotion, where the paper tells one story in fifty ways. [The next chapter](01_axis.ipynb) takes away both.
#
# ## Your sentences, from bad to good

# %%
lm = kernel.load_language_model(MODEL)
cue = " This made me feel very"

# %%
def valence(texts):
    states = kernel.hidden_states(
        lm, texts, cue=cue, progress=False
    )
    return result.axis.project(states[:, 0])

# %% tags=["hide-input"]
import pandas as pd

from kernel import plots

plots.set_style()
sentences = [
    "The nurse smiled and said the scan was clear.",
    "They cancelled the train and left us on the platform all night.",
    "The meeting is in room four.",
    "My grandmother's letter arrived, full of pressed violets.",
    "Somebody had poisoned the neighbour's dog.",
    "I laughed so hard that the soup came out of my nose.",
]
scale = result.axis.positions_.std()  # of the nine emotions
placed = pd.DataFrame({"valence": (valence(sentences) / scale).round(1)}, index=pd.Index(sentences, name="sentence"))
placed.sort_values("valence")

# %% [markdown]
# A valence of 1 is one standard deviation of the nine emotions' positions. The poisoned dog lies at the bottom and the letter at the top, as most people would have it; the meeting, which is neither, lies a little above zero.
#
# ## People agree with the axis
#
# Does the axis agree with people on texts that it has never seen? About twenty people rated each of these snippets from $-4$ to $4$; those rated within one point of neutral are left out. The {term}`AUC` is the share of pairs, one liked and one disliked text, in which the liked one lies higher. Guessing gives one half.

# %% tags=["remove-cell", "nbval-check-output"]
for row in result.sentiment.itertuples():
    print(f"{row.benchmark}: {row.n} texts, interval above chance: {row.auc_low > 0.5}")

# %% mystnb={"image": {"alt": "Forest plot: zero-shot area under the curve of one real language model on three sets of texts with real human ratings, one row each, with 95 % intervals and a dotted line at chance, one half."}, "figure": {"caption": "**Without a single label, the axis sorts three kinds of texts far better than chance (real model, real ratings).** Dots: AUC; bars: 95 % bootstrap intervals over texts; dotted: chance."}}
table = result.sentiment.assign(label=result.sentiment["benchmark"])
fig = plots.plot_forest(table, value="auc", label="AUC with 95 % interval (real ratings)", reference=0.5)

# %% tags=["hide-input"]
numbers = {"benchmark": "texts", "auc": "AUC", "pearson": "correlation with ratings"}
result.sentiment[list(numbers)].rename(columns=numbers).set_index("texts").round(2)

# %% [markdown]
# All three intervals lie far above one half. Positions also follow how *much* people liked a text: they correlate with the ratings at .76 to .83.
#
# ## Your own model and your own emotions
#
# ```python
# make = kernel.construct_valence_axis
# # any model of the hub, or a folder with safetensors
# result = make("Qwen/Qwen3-0.6B")
# # your own emotions, a story for each
# stories = {"anger": "...", "joy": "..."}
# result = make(lm, stories, orient="joy", cue=cue)
# # an axis that depends less on its stories
# axis = kernel.steady_axis(lm)
# axis.score(sentences)
# ```
#
# Any causal model that transformers can load works; no remote code is ever run. A graphics card is used if there is one. [How to](../book/howto.md) says more about each of these.
#
# ## What this page does not show: that the axis is special
#
# A high AUC does not make the axis special: read after the same cue, a random direction of the same model often lies far from one half as well. [The sentiment chapter](02_sentiment.ipynb) asks
# whether the axis beats such directions, whether it needs the nine emotions, and what is left without it. [The ledger](../book/claims.md) has the verdicts.
#
# ## Try it
#
# **Exercise 1.** Fool the axis: change the sentences in this cell, one sad without a sad word and one happy and full of sad words, and run it. Where do they land?

# %%
mine = [
    "His side of the bed is still made.",
    "We cried, for the tumour was gone.",
]
pd.DataFrame({"valence": valence(mine) / scale}, mine).round(1)

# %% [markdown]
# ```{dropdown} Solution
# The axis is fooled by the bed, which it puts at 1.0, among the good things; it is not fooled by the tears (1.3). A feeling that no word names is the harder test. If yours are placed rightly, try irony.
# ```
#
# **Exercise 2.** Take the cue away: pass `cue=None` to both `construct_valence_axis` and `hidden_states`. Before you run it: will the order of the sentences hold?
#
# ```{dropdown} Solution
# Without the cue the last token is a full stop, and its state says little about how the text makes one feel, so the order of the sentences loosens. [Chapter 1](01_axis.ipynb) measures by how much.
# ```
#
# **Exercise 3.** The positions are divided by their standard deviation over the nine emotions. What would change in the *order* of your sentences if you left that out, and what in the AUC?
#
# ```{dropdown} Solution
# Nothing, in either. Order and AUC depend only on which text lies above which, and a positive factor keeps that. The division makes positions comparable between models.
# ```
