"""Figures show what they are given: every emotion once, in order, on one valence scale."""

from __future__ import annotations

from types import SimpleNamespace

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from kernel import plots, style
from kernel.language.axis import ValenceAxis
from kernel.language.stories import EMOTIONS, VALENCE_CODE


@pytest.fixture(autouse=True)
def headless():
    """The book's look, whatever other tests have set, and none of it left behind."""
    mpl.use("agg")
    with mpl.rc_context(), pd.option_context("display.max_colwidth", 50):
        plots.set_style()
        yield
    plt.close("all")


@pytest.fixture(autouse=True)
def legible(headless):
    """Whatever a test has drawn fits a page, and no text on it is smaller than 9 points."""
    yield
    for fig in map(plt.figure, plt.get_fignums()):
        assert fig.get_figwidth() <= style.WIDTH, "a wider figure is shrunk on a page, and its text with it"
        small = {t.get_text() for t in fig.findobj(mpl.text.Text) if t.get_text() and t.get_fontsize() < 9}
        assert not small, f"smaller than 9 points: {small}"


def rows(ax):
    return [text.get_text() for text in ax.get_yticklabels()]


def dots(ax):
    """Places of the dots of scatters, in the order in which they were drawn."""
    return np.concatenate([points.get_offsets() for points in ax.collections])


def x_of(lines):
    return [list(line.get_xdata()) for line in lines]


def test_valence_decides_the_side_of_the_colour_scale():
    colours = plots.emotion_colours()
    assert tuple(colours) == EMOTIONS
    assert len(set(map(str, colours.values()))) == 9
    teal = [colours[e][2] - colours[e][0] for e in EMOTIONS if VALENCE_CODE[e] > 0]
    brown = [colours[e][2] - colours[e][0] for e in EMOTIONS if VALENCE_CODE[e] < 0]
    assert min(teal) > 0 > max(brown)  # blue minus red


@pytest.mark.parametrize("n_models", [1, 3])
def test_positions_show_every_text_and_hide_what_is_empty(rng, n_models):
    emotions = np.repeat(EMOTIONS, 6)
    states = rng.standard_normal((54, 8)) + 3 * np.outer([VALENCE_CODE[e] for e in emotions], np.eye(8)[0])
    axis = ValenceAxis().fit(states, emotions)
    model = (axis, axis.project(states), emotions)
    fig = plots.plot_positions({f"model {k}": model for k in range(n_models)})
    visible = [ax for ax in fig.axes if ax.get_visible()]
    assert len(visible) == n_models and rows(visible[0]) == list(EMOTIONS)
    assert {len(dots(ax)) for ax in visible} == {54 + 9}


def test_words_and_models(rng):
    sweep = pd.DataFrame({"model": ["a", "b"], "depth": 0.5, "auc": [0.7, 0.8], "share": 0.4, "cosine": 0.9})
    auc = plots.plot_layer_sweep(sweep).axes[0]
    assert [list(line.get_ydata()) for line in auc.lines[:2]] == [[0.7], [0.8]]
    curve = pd.DataFrame({"n_train": [5, 5, 20], "auc": [0.6, 0.8, 0.9]})
    ax = plots.plot_learning_curve(curve, {"axis": 0.85}).axes[0]
    assert list(ax.lines[0].get_ydata()) == [0.7, 0.9] and ax.lines[1].get_ydata()[0] == 0.85


def test_a_forest_draws_each_interval_where_it_is():
    table = pd.DataFrame({"label": ["a", "b"], "v": [0.6, 0.4], "v_low": [0.5, 0.1], "v_high": [0.7, 0.9]})
    ax = plots.plot_forest(table, value="v", label="AUC", reference=0.5).axes[0]
    assert x_of(ax.lines) == [[0.5, 0.7], [0.6], [0.1, 0.9], [0.4], [0.5, 0.5]]
    assert rows(ax) == ["a", "b"]
    legend = plots.plot_forest(table, value="v", label="", group="label").axes[0].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["a", "b"]


def test_rows_of_one_label_share_a_line_of_a_forest_and_never_a_place():
    table = pd.DataFrame({"label": ["a", "a", "b"], "v": [0.6, 0.4, 0.5], "kind": ["x", "y", "x"]})
    ax = plots.plot_forest(table, value="v", label="AUC", group="kind").axes[0]
    places = [float(line.get_ydata()[0]) for line in ax.lines if line.get_marker() == "o"]
    colours = [line.get_color() for line in ax.lines if line.get_marker() == "o"]
    assert rows(ax) == ["a", "b"] and places[0] < 0 < places[1] < 0.5 and places[2] == 1
    assert places[0] == -places[1] and colours[0] == colours[2] != colours[1]


def test_strategy_and_placebo_stand_side_by_side_with_their_intervals():
    arms = {"true": [-0.1, 0.0], "true_low": [-0.2, -0.1], "true_high": [0.0, 0.1]}
    arms |= {"placebo": [-0.3, 0.2], "placebo_low": [-0.4, 0.1], "placebo_high": [-0.2, 0.3]}
    table = pd.DataFrame({"label": ["rsa", "cka"]} | arms)
    ax = plots.plot_paired_forest(table, {"axis": "true", "placebo": "placebo"}, label="change").axes[0]
    assert rows(ax) == ["rsa", "cka"]
    assert x_of(line for line in ax.lines if line.get_label() in ("axis", "placebo")) == [
        [-0.1, 0],
        [-0.3, 0.2],
    ]
    ends = [np.array(bar.get_segments())[:, :, 0] for bar in ax.collections]
    np.testing.assert_allclose(ends, [[[-0.2, 0], [-0.1, 0.1]], [[-0.4, -0.2], [0.1, 0.3]]])


def test_a_null_marks_the_observed_value_and_the_reference(rng):
    ax = plots.plot_nulls({"null": (rng.standard_normal(100), 2.5)}, label="r", reference=0.1).axes[0]
    assert x_of(ax.lines) == [[2.5, 2.5], [0.1, 0.1]]
    assert sum(patch.get_height() for patch in ax.patches) == 100


@pytest.mark.parametrize("stacked", [True, False])
def test_stacked_panels_fit_a_phone_and_name_their_common_scale_once(rng, stacked):
    checkpoints = pd.DataFrame({"a": rng.random(4), "b": rng.random(4), "network": "mlp"})
    x = rng.random(4)
    emotion = dict.fromkeys("pq", (x, x, ["joy"] * 4))
    narrow = [
        plots.plot_nulls({"p": (x, 2.5), "q": (x, 9.5)}, label="x", stacked=stacked),
        plots.plot_by_emotion(emotion, xlabel="x", ylabel="", share="x", stacked=stacked),
        plots.plot_checkpoints({"p": checkpoints, "q": checkpoints}, x="a", y="b", xlabel="x", ylabel="",
                               stacked=stacked),
    ]  # fmt: skip
    for fig in narrow:
        first, second = fig.axes
        assert fig.get_figwidth() <= (style.PHONE if stacked else style.WIDTH)
        assert (first.get_position().y0 > second.get_position().y1) == stacked
        assert (first.get_xlabel(), second.get_xlabel()) == ("" if stacked else "x", "x")
    first, second = narrow[0].axes
    assert (first.get_xlim() == second.get_xlim()) == stacked


def test_outcomes_stand_in_their_cells_and_what_was_not_asked_stays_empty():
    table = pd.DataFrame({"claim": ["A is so.", "B is so."], "real": ["held", "not asked"]})
    table["planted"] = ["could not be decided", "failed"]
    ax = plots.plot_outcomes(table, {"real": "people", "planted": "simulated"}).axes[0]
    words = {tuple(text.get_position()): text.get_text().replace("\n", " ") for text in ax.texts}
    assert words == {(0.5, 0): "held", (1.5, 0): "could not be decided", (1.5, 1): "failed"}
    assert len(ax.patches) == 3 and rows(ax) == ["A is so", "B is so"]
    assert [t.get_text() for t in ax.get_xticklabels()] == ["people", "simulated"]


def test_printed_figures_stand_beside_those_computed_anew():
    table = pd.DataFrame({"figure": ["a", "b", "c"], "printed": [0.1, 0.2, 0.3], "ours": [0.1, 0.25, 0.3],
                          "fitted": [False, True, False]})  # fmt: skip
    ax = plots.plot_printed(table).axes[0]
    assert rows(ax) == ["b", "a", "c"]  # those that were used come first
    assert x_of(ax.lines) == [[0.25], [0.1, 0.3], [0.2, 0.1, 0.3], [0, 0]]


def test_a_result_stands_on_what_chance_gives():
    table = pd.DataFrame({"label": ["a", "b"], "r": [0.1, 0.3], "p": [0.2, 0.001], "null_mean": [0.02, 0.0],
                          "limit": [0.12, 0.1], "detectable": [0.2, 0.15]})  # fmt: skip
    ax = plots.plot_against_chance(table, label="r").axes[0]
    bars = [bar[:, 0] for bar in ax.collections[0].get_segments()]
    np.testing.assert_allclose(bars, [[-0.08, 0.12], [-0.1, 0.1]])
    assert x_of(ax.lines[:2]) == [[0.1, 0.3], [0.2, 0.15]]
    assert [text.get_text() for text in ax.texts] == ["p 0.2", "p 0.001"]


def test_p_values_fall_into_their_twentieth():
    ax = plots.plot_p_values({"a": np.array([1e-12, 0.005, 0.05, 0.051, 0.1, 1])}).axes[0]
    heights = [6 * bar.get_height() for bar in ax.patches]
    np.testing.assert_allclose(heights, [3, 2] + [0] * 17 + [1], atol=1e-12)
    assert ax.texts[0].get_text() == "50% have p ≤ .05"


def test_a_grid_is_centred_at_zero_where_numbers_have_signs():
    table = pd.DataFrame([[0.5, -0.1], [np.nan, 0.2]], ["a", "b"], ["x", "y"])
    grids = (plots.plot_grid(table, label="r", signed=s).axes[0].collections[0] for s in (True, False))
    assert [grid.get_clim() for grid in grids] == [(-0.5, 0.5), (0, 0.5)]
    rates = pd.DataFrame(
        {"estimator": ["e"] * 2, "null": ["n"] * 2, "truth": ["0", "1"], "rate": [0.05, 0.9]}
    )
    ax = plots.plot_rejection_rates(rates, n_null=1, title="").axes[0]
    assert [t.get_text() for t in ax.texts] == ["0.05", "0.90"] and rows(ax) == ["e\n| n"]
    alarms, findings = ax.collections
    assert (alarms.get_cmap().name, findings.get_cmap().name) == ("Oranges", "Blues")
    np.testing.assert_array_equal([np.ma.getmaskarray(c.get_array()).ravel() for c in (alarms, findings)],
                                  [[False, True], [True, False]])  # fmt: skip


def test_every_specification_is_a_dot_in_the_panel_of_its_scheme():
    table = pd.DataFrame({"scheme": ["x"] * 3 + ["y"] * 2, "r": [0.3, -0.1, 0.2, 0.9, 0.8],
                          "p_emotions": [0.01, 0.5, 0.6, 0.04, 0.03]})  # fmt: skip
    x, y = plots.plot_specifications(table, schemes=["x", "y"], label="r").axes[:2]
    drawn = [(list(line.get_xdata()), list(line.get_ydata())) for line in x.lines[:2]]
    assert drawn == [([0, 1], [-0.1, 0.2]), ([2], [0.3])]
    assert (x.get_title(loc="left"), y.get_title(loc="left")) == ("x: 33%", "y: 100%")


def test_removal_shows_who_leaves_beside_chance_and_the_limit():
    table = pd.DataFrame(
        {"removed": [0, 1], "r": [0.4, 0.2], "random_low": [0.4, 0.3], "random_high": [0.4, 0.5]}
    )
    ax = plots.plot_removal(table, limit=0.374, label="r").axes[0]
    assert list(ax.lines[0].get_ydata()) == [0.4, 0.2] and len(ax.collections) == 1
    assert ax.lines[1].get_ydata()[0] == 0.374


def test_features_from_raw_stand_under_their_names(rng):
    traces = {"raw": rng.standard_normal(1000), "alpha": rng.standard_normal(1000), "beta": np.zeros(1000)}
    de = np.column_stack([np.arange(30.0), np.zeros(30)])
    left, right = plots.plot_features_from_raw(traces, de, sfreq=250.0, title="simulated").axes[:2]
    assert rows(left) == ["raw", "alpha", "beta"] and rows(right) == ["alpha", "beta"]
    assert left.lines[0].get_xdata()[-1] == pytest.approx(3.996)
    cells = right.images[0].get_array()
    np.testing.assert_allclose(cells, [np.arange(30) - 14.5, np.zeros(30)])  # about the band's mean


def test_recovery_shows_each_pair_once(rng):
    planted, measured = rng.standard_normal((2, 50, 3))
    fig = plots.plot_recovery(measured, planted, ["a", "b", "c"], label="x (nats)", title="t")
    visible = [ax for ax in fig.axes if ax.get_visible()]
    assert len(visible) == 3
    for k, ax in enumerate(visible):
        np.testing.assert_array_equal(dots(ax), np.column_stack([planted[:, k], measured[:, k]]))


def test_shares_are_stacked_to_the_whole():
    table = pd.DataFrame({"subject": [0.7, 0.0], "clip": [0.1, 0.2], "rest": [0.2, 0.8]}, ["raw", "z"])
    ax = plots.plot_shares(table, label="share", title="t").axes[0]
    ends = [patch.get_x() + patch.get_width() for patch in ax.patches]
    np.testing.assert_allclose(ends, [0.7, 0, 0.8, 0.2, 1, 1])
    assert rows(ax) == ["raw", "z"]


def test_clips_stand_in_the_order_of_emotions_in_every_panel():
    emotions, y = ["joy", "anger", "joy"], np.array([4, 1, 5])
    panels = {"all": (np.array([1.0, 2, 3]), y, emotions), "some": (np.array([3.0, 2, 1]), y, emotions)}
    fig = plots.plot_by_emotion(panels, xlabel="x", ylabel="y", middle=2)
    for ax, (x, _, _) in zip(fig.axes, panels.values(), strict=True):
        np.testing.assert_array_equal(dots(ax), np.column_stack([x, y])[[1, 0, 2]])
        assert x_of(ax.lines) == [[2, 2]]
    ax = plots.plot_position_classes({"train": np.array([[2, 1], [0, 3]])}, ["joy", "anger"]).axes[0]
    np.testing.assert_allclose(ax.images[0].get_array(), [[0.5, 1.5], [2, 0]])  # 1 is an even spread
    assert rows(ax) == ["anger", "joy"]


def test_people_by_clips_share_one_scale_about_zero(rng):
    panels = {"a": 4 * rng.normal(size=(9, 5)), "b": rng.normal(size=(9, 5))}
    first, second = (ax.images[0] for ax in plots.plot_people_by_clips(panels, label="").axes[:2])
    assert first.get_clim() == second.get_clim() and sum(first.get_clim()) == 0
    assert first.get_array().shape == (9, 5)


def test_topomaps_share_one_scale_about_zero(rng):
    mne = pytest.importorskip("mne")
    info = mne.create_info(["Fz", "Cz", "Pz", "C3", "C4"], 100.0, "eeg")
    places = {name: rng.normal(size=3) / 10 for name in info.ch_names}
    info.set_montage(mne.channels.make_dig_montage(places, coord_frame="head"))
    fig = plots.plot_topomaps({"a": np.array([[1, -3.0]] * 5)}, info, ["alpha", "beta"], label="r")
    assert {image.get_clim() for ax in fig.axes[:2] for image in ax.images} == {(-3, 3)}
    fig = plots.plot_topomaps(
        {"a": np.array([[1, -3.0]] * 5), "b": np.array([[-9, 9.0]] * 5)}, info, ["alpha", "beta"], label="r"
    )
    titles = [(ax.get_ylabel(), ax.get_title(loc="left")) for ax in fig.axes[:4]]
    assert titles == [("alpha", "a"), ("", "b"), ("beta", ""), ("", "")]
    middle = [ax.images[0].get_array()[32, 32] for ax in fig.axes[:4]]
    np.testing.assert_allclose(middle, [1, -9, -3, 9], rtol=0.05)


def test_every_checkpoint_is_a_dot_and_every_recipe_a_line(rng):
    table = pd.DataFrame({"test": rng.random(12), "pc1": rng.random(12), "network": ["mlp", "axial"] * 6})
    table["recipe"] = [f"recipe {k}" for k in range(4)] * 3
    columns = {"x": "test", "y": "pc1", "xlabel": "accuracy", "ylabel": "score"}
    first, second = plots.plot_checkpoints({"a": table, "b": table[:6]}, **columns, line="recipe").axes
    assert [len(dots(ax)) for ax in (first, second)] == [12, 6] and len(first.lines) == 4
    assert [t.get_text() for t in second.get_legend().get_texts()] == ["mlp", "axial"]
    assert not plots.plot_checkpoints({"a": table}, **columns).axes[0].lines


def test_an_ablation_marks_each_checkpoint_and_the_mean():
    table = pd.DataFrame({"control": ["isotropic"] * 3 + ["matched"] * 3, "z": [1.0, 2, 6, 0, 1, 2]})
    ax = plots.plot_ablation({"cohort": table}).axes[0]
    assert rows(ax) == ["isotropic", "matched"]
    assert x_of(ax.lines[:2]) == [[1, 2, 6], [3, 3]]


def test_subjects_stand_in_the_order_of_their_accuracy():
    ax = plots.plot_subject_spread({"net": pd.Series([0.5, 0.2])}, chance=0.1).axes[0]
    assert [list(line.get_ydata()) for line in ax.lines] == [[0.2, 0.5], [0.1, 0.1]]


def test_a_filter_remembers_what_it_has_met():
    emotions, memory = ["anger", "joy", "joy", "anger"], 100
    panels = {"sorted": (emotions, 2, False), "restarted": (emotions, 2, True)}
    whole, alone = plots.plot_filter_memory(panels, memory=memory).axes[:2]

    def heights(ax):
        return {bars.get_label(): [bar.get_height() for bar in bars] for bars in ax.containers}

    (own, same, others), restarted = heights(whole).values(), heights(alone)
    assert [len(own), len(same), len(others)] == [30, 30, 30]
    np.testing.assert_allclose([own[-1], same[-1], others[-1]], np.exp(-np.array([0, 30, 60]) / memory))
    assert restarted["the clip itself"] == own and not any(restarted["other clips of its emotion"])
    share = np.exp(-30 / memory) - np.exp(-60 / memory)  # all earlier seconds together weigh one
    texts = [ax.texts[0].get_text() for ax in (whole, alone)]
    assert texts == [f"{part:.0%} of the weight: others of its emotion" for part in (share, 0)]
    assert len([patch for patch in whole.patches if patch.get_y() < 0]) == 4


def test_a_stream_shows_each_second_and_frames_what_was_shown():
    classes = sorted(EMOTIONS)
    joy, nothing = np.eye(9)[classes.index("joy")], np.full(9, np.nan)
    records = [SimpleNamespace(time=float(t), smoothed=joy if t > 2 else nothing) for t in range(1, 9)]
    clips = {"time": [0.0, 4.0, 99.0], "emotion": ["fear", "joy", "anger"]}
    ax = plots.plot_stream(records, classes, clips, length=4.0, until=6.0, title="simulated").axes[0]
    assert rows(ax) == list(EMOTIONS[::-1])
    assert len(ax.images) == 6 and len(ax.patches) == 2 and ax.get_title(loc="left") == "simulated"
    row = EMOTIONS[::-1].index("joy")
    assert ax.images[-1].get_array()[row, 0] == 1 and ax.patches[1].get_xy() == (4.0, row - 0.5)


# ---- colour vision

#: Machado, Oliveira & Fernandes (2009), severity 1.0, for linear RGB. doi:10.1109/TVCG.2009.113
MACHADO = {
    "none": "1 0 0 0 1 0 0 0 1",
    "protanopia": "0.152286 1.052583 -0.204868 0.114503 0.786281 0.099216 -0.003882 -0.048116 1.051998",
    "deuteranopia": "0.367322 0.860646 -0.227968 0.280085 0.672501 0.047413 -0.011820 0.042940 0.968881",
    "tritanopia": "1.255528 -0.076749 -0.178779 -0.078411 0.930809 0.147602 0.004733 0.691367 0.303900",
}


def lab(colours, vision):
    """CIELAB (D65) of colours as seen with a kind of colour vision, shape (n, 3)."""
    rgb = np.array([mpl.colors.to_rgb(colour) for colour in colours])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.reshape(MACHADO[vision].split(), (3, 3)).astype(float).T, 0, 1)
    to_xyz = [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
    xyz = seen @ np.transpose(to_xyz) / [0.95047, 1, 1.08883]
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.column_stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])])


def nearest(colours, vision):
    """Smallest distance (CIE 1976) of any two colours."""
    points = lab(colours, vision)
    return min(np.linalg.norm(a - b) for k, a in enumerate(points) for b in points[k + 1 :])


def test_the_arithmetic_of_colours_is_that_of_the_textbook():
    np.testing.assert_allclose(lab(["white"], "none"), [[100, 0, 0]], atol=0.01)
    np.testing.assert_allclose(lab(["#0000ff"], "none"), [[32.30, 79.19, -107.86]], atol=0.02)
    grey = lab(["#777777"], "none")
    for vision in MACHADO:  # greys look the same to everybody
        np.testing.assert_allclose(lab(["#777777"], vision), grey, atol=0.1)


@pytest.mark.parametrize("vision", MACHADO)
def test_the_palette_can_be_told_apart_with_any_colour_vision(vision):
    # 2.3 is just noticeable (Mahy et al. 1994, Color Research & Application 19(2)); small marks need more
    assert nearest([plots.BLUE, plots.ORANGE, plots.PURPLE, plots.GREY, plots.INK], vision) > 15


def test_a_palette_that_some_confuse_would_fail():
    assert nearest(["#009E73", "#9A9A9A"], "none") > 40 > 15 > nearest(["#009E73", "#9A9A9A"], "deuteranopia")


@pytest.mark.parametrize("vision", MACHADO)
@pytest.mark.parametrize("name", [style.VALENCE_CMAP, plots.SIGNED_CMAP])
def test_both_ends_of_a_diverging_scale_differ_and_its_middle_is_lightest(name, vision):
    cmap = mpl.colormaps[name]
    negative, middle, positive = (cmap(x)[:3] for x in (0.1, 0.5, 0.9))
    assert nearest([negative, middle, positive], vision) > 15
    lightness = lab([cmap(x)[:3] for x in np.linspace(0.05, 0.5, 10)], vision)[:, 0]
    assert (np.diff(lightness) > 0).all()
