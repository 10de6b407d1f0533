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
# # The axis: nine emotions, one direction
#
# **The claim.** One short story for each of nine emotions, a language model's last-token state at the penultimate layer, and
# the first principal component (PC1) of the nine class means: that direction is valence. In the paper PC1 carries 41 to
# 58 % of the variance between classes over 14 models, one story a class already gives a usable axis, other stories give
# the same axis (r > .93), and the axis of the input layer is another one (cosine below .30, the "V-shape")
# {cite:p}`radwan2026shared`.
#
# **Why it matters.** A direction found without labels would be a ruler that every model shares, and something to look
# for in brains.
#
# **Data of this chapter.** Two real language models, SmolLM2-135M-Instruct {cite:p}`allal2025smollm2` and Gemma-3-270M
# {cite:p}`gemma2025gemma3`; 450 stories written for this project; real human ratings of movie snippets
# {cite:p}`hutto2014vader`. Nothing is simulated. Both models are far smaller than the paper's, which had 0.6 to 109
# billion parameters; what they do says nothing about those.

# %%
import itertools

import numpy as np
import pandas as pd

from kernel import assets, claims, plots, stats
from kernel.language.axis import ValenceAxis, agreement, bootstrap_direction
from kernel.language.hidden import AFFECT_CUE, hidden_states
from kernel.language.models import load_language_model
from kernel.language.sentiment import load_benchmark
from kernel.language.stories import EMOTIONS, VALENCE_CODE, load_stories

plots.set_style()
MODELS = ("SmolLM2-135M-Instruct", "Gemma-3-270M")
CUES = {"cued": AFFECT_CUE, "bare": None}

# %% [markdown]
# Gemma comes under its own terms of use, not under an open-source licence; using it means accepting them.

# %%
gemma = assets.ASSETS["gemma-3-270m"]
print(f"{gemma.name}: {gemma.licence}")
print(gemma.terms)

# %% [markdown]
# ## Construction
#
# With $c_k$ the mean hidden state of emotion $k$ and $\bar c$ the mean of the nine,
#
# $$ v = \arg\max_{\lVert v \rVert = 1} \sum_{k=1}^{9} \bigl( (c_k - \bar c) \cdot v \bigr)^2, \qquad (c_\text{joy} - \bar c) \cdot v > 0 . $$
#
# The last token of a story is read either *bare*, as in the paper, or after a short *cue* ("This made me feel very"), which
# asks the model for the feeling before it is read.

# %%
stories = load_stories()
emotions = np.array(stories.emotions)
movie = load_benchmark("movie", n=300, min_abs_rating=1.0)

H = {}  # (model, read-out) -> states of the stories and of the movie snippets at every layer
for name in MODELS:
    lm = load_language_model(name)
    for readout, cue in CUES.items():
        H[name, readout] = tuple(
            hidden_states(lm, texts, "all", cue, progress=False) for texts in (stories.texts, movie.texts)
        )

axes = {key: ValenceAxis().fit(states[:, -2], emotions) for key, (states, _) in H.items()}

# %%
plots.plot_positions(
    {f"{name}, {readout}": (axes[name, readout], axes[name, readout].project(H[name, readout][0][:, -2]), emotions)
     for readout, name in itertools.product(CUES, MODELS)}
);

# %% [markdown]
# Each dot is one telling of a story, each ringed dot an emotion's mean. A valence axis runs from brown to teal.
#
# ## The numbers
#
# *Order* is the Spearman correlation of the nine positions with the code $-1, 0, +1$ for negative, neutral and positive
# emotions; its p-value comes from permuting the emotions. The AUC asks whether the axis also orders movie snippets that
# people rated. The orientation of the axis uses one bit of knowledge (joy is good), so an order correlation of random
# directions is not zero on average; the permutation below repeats the orientation for every permuted set.

# %%
code = np.array([VALENCE_CODE[e] for e in EMOTIONS], dtype=float)
rows = []
for (name, readout), axis in axes.items():
    order = stats.permutation_test(stats.spearman, axis.positions_, code, n_permutations=10_000, alternative="greater", random_state=0)
    scores = axis.project(H[name, readout][1][:, -2])
    auc = stats.bootstrap_interval(stats.auc, scores, movie.labels, strata=movie.labels, random_state=0)
    rows.append({
        "model": name, "read-out": readout, "PC1 share": axis.explained_variance_ratio_[0],
        "order": order.observed, "order p": order.p,
        "AUC": auc.value, "AUC low": auc.low, "AUC high": auc.high,
    })
summary = pd.DataFrame(rows)
summary.round(2)
