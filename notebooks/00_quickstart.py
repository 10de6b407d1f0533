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
# **The answer in short.** Yes, on these texts: of a text that people liked and one that they disliked, the axis puts the liked one higher in 93 to 97 of 100 pairs. Whether it is a *special* direction is another matter, which [chapter 2](02_sentiment.ipynb) takes up.
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
from kernel import plots

plots.set_style()
MODEL = "SmolLM2-135M-Instruct"
result = kernel.construct_valence_axis(MODEL, progress=False)

# %% [markdown]
# The call read 54 stories (six for each of nine emotions), averaged the model's last-token states for each emotion,
# and took the first principal component of the nine averages:
#
# $$ v = \mathrm{PC}_1\bigl(c_1 - \bar c, \dots, c_9 - \bar c\bigr), \qquad \mathrm{valence}(x) = (h(x) - \bar c) \cdot v . $$
#
# Two things differ from the paper. A model this small needs a nudge, so every text ends in the words *This made me feel
# very*; and six different stories stand for each emotion, where the paper tells one story fifty times. What happens
# without either is the subject of [the next chapter](01_axis.ipynb).
#
# ## Your sentences, from bad to good
#
# The code below places six sentences. In a copy of this notebook, write your own and run the cell.

# %%
import pandas as pd

sentences = [
    "The nurse smiled and said the scan was clear.",
    "They cancelled the train and left us on the platform all night.",
    "The meeting is in room four.",
    "My grandmother's letter arrived, full of pressed violets.",
    "Somebody had poisoned the neighbour's dog.",
    "I laughed so hard that the soup came out of my nose.",
]
lm = kernel.load_language_model(MODEL)
states = kernel.hidden_states(lm, sentences, cue=" This made me feel very", progress=False)[:, 0]
scale = result.axis.positions_.std()
pd.DataFrame({"sentence": sentences, "valence": (result.axis.project(states) / scale).round(2)}).sort_values("valence")

# %% [markdown]
# Valence is given in standard deviations of the nine emotions' positions. The poisoned dog lies at the bottom and the letter at the top, as most people would have it; the meeting, which is neither, lies a little above zero.
#
# ## People agree with the axis
#
# The same axis, on snippets that about twenty people rated from $-4$ to $4$ (snippets rated nearer to neutral than
# one point are left out). AUC is the chance that a text people liked lies above a text they disliked; one half is chance.

# %% tags=["hide-input"]
result.sentiment.round(2)

# %% tags=["remove-cell", "nbval-check-output"]
for row in result.sentiment.itertuples():
    print(f"{row.benchmark}: {row.n} texts, interval above chance: {row.auc_low > 0.5}")

# %% mystnb={"image": {"alt": "Forest plot: zero-shot area under the curve of one real language model on three sets of texts with real human ratings, one row each, with 95 % intervals and a dotted line at chance, one half."}, "figure": {"caption": "**Without a single label, the axis sorts three kinds of texts far better than chance (real model, real ratings).** Dots: AUC; bars: 95 % bootstrap intervals over texts; dotted: chance."}}
table = result.sentiment.assign(label=result.sentiment["benchmark"])
fig = plots.plot_forest(
    table, value="auc", label="zero-shot AUC with 95 % interval (real human ratings)", reference=0.5
)

# %% [markdown]
# All three intervals lie far above one half. The table's last columns say how closely positions follow the ratings themselves: they correlate at .76 to .83.
#
# ## Your own model and your own emotions
#
# ```python
# # any hub id, or a folder with safetensors
# result = kernel.construct_valence_axis("Qwen/Qwen3-0.6B")
# # your own emotions, a story for each
# stories = {"anger": "...", "neutral": "...", "joy": "..."}
# result = kernel.construct_valence_axis(lm, stories, cue=None)
# # an axis that depends less on its stories (see How to)
# axis = kernel.steady_axis(lm)
# axis.score(sentences)
# ```
#
# Any causal model that transformers can load works; no remote code is ever run. A graphics card is used if there is one.
#
# ## What this page does not show: that the axis is special
#
# A high AUC is not yet evidence that the axis is special: a random direction at the same position of the same model is
# often far from one half as well. Whether the axis beats that, whether it needs the nine emotions, and what is left
# without it are asked in [the sentiment chapter](02_sentiment.ipynb). The verdicts are in [the ledger](../book/claims.md).
#
# ## Try it
#
# **Exercise 1.** Fool the axis. In a copy of this notebook, write a sentence that is sad without a sad word, and a happy one that is full of sad words. Where do they land?
#
# ```{dropdown} Solution
# There is no single answer. A sentence that is happy as a whole and full of sad words is a hard test: it asks for more than the sum of its words. If yours lands where you meant it to, try irony.
# ```
#
# **Exercise 2.** Take the nudge away: pass `cue=None` to both `construct_valence_axis` and `hidden_states`. Before you run it: which sentences will move most?
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
