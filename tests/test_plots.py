"""Figures show what they are given: every emotion once, in order, on one valence scale."""

from __future__ import annotations

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from kernel import plots
from kernel.language.axis import ValenceAxis
from kernel.language.stories import EMOTIONS, VALENCE_CODE


@pytest.fixture(autouse=True)
def headless(monkeypatch):
    mpl.use("agg")
    yield
    plt.close("all")


def fitted(rng):
    emotions = np.repeat(EMOTIONS, 6)
    H = rng.standard_normal((54, 8)) + 3 * np.outer([VALENCE_CODE[e] for e in emotions], np.eye(8)[0])
    axis = ValenceAxis().fit(H, emotions)
    return axis, axis.project(H), emotions


def test_valence_decides_the_side_of_the_colour_scale():
    colours = plots.emotion_colours()
    assert tuple(colours) == EMOTIONS
    assert len(set(map(str, colours.values()))) == 9
    teal = [colours[e][2] - colours[e][0] for e in EMOTIONS if VALENCE_CODE[e] > 0]
    brown = [colours[e][2] - colours[e][0] for e in EMOTIONS if VALENCE_CODE[e] < 0]
    assert min(teal) > 0 > max(brown)  # blue minus red


@pytest.mark.parametrize("n_models", [1, 3, 4])
def test_positions_show_every_text_and_hide_what_is_empty(rng, n_models):
    fig = plots.plot_positions({f"model {k}": fitted(rng) for k in range(n_models)})
    shown = [ax for ax in fig.axes if ax.get_visible()]
    assert len(shown) == n_models
    assert [t.get_text() for t in shown[0].get_yticklabels()] == list(EMOTIONS)  # panels share the axis
    for ax in shown:
        assert len(ax.get_yticks()) == 9
        assert sum(len(c.get_offsets()) for c in ax.collections) == 54 + 9


def test_a_forest_draws_each_interval_where_it_is():
    table = pd.DataFrame({"label": ["a", "b"], "v": [0.6, 0.4], "v_low": [0.5, 0.1], "v_high": [0.7, 0.9]})
    ax = plots.plot_forest(table, value="v", label="AUC", reference=0.5).axes[0]
    spans = [tuple(line.get_xdata()) for line in ax.lines if len(line.get_xdata()) == 2]
    assert (0.5, 0.7) in spans and (0.1, 0.9) in spans
    assert [t.get_text() for t in ax.get_yticklabels()] == ["a", "b"]


def test_a_null_marks_the_observed_value(rng):
    ax = plots.plot_nulls({"null": (rng.standard_normal(100), 2.5)}, label="r").axes[0]
    assert any(np.allclose(line.get_xdata(), 2.5) for line in ax.lines)
    assert sum(patch.get_height() for patch in ax.patches) == 100
