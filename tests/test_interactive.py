"""What a reader explores is what was computed, whole, and harmless whatever the texts hold."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup

from kernel import interactive

NASTY = "</script><script>alert('&')</script><!-- \u2028 \"quoted\""


def embedded(shown):
    """The page as a parser sees it, and the data that it holds."""
    page = BeautifulSoup(shown._repr_html_(), "html.parser")
    (script,) = page.find_all("script")
    return page, json.loads(script.string)


def axis_frames(texts=("awful", "dull", "fine", NASTY), models=("A", "B"), layers=(1, 2, 3)):
    ratings = np.linspace(-3, 3, len(texts))
    points = pd.DataFrame(
        {"model": m, "layer": k, "text": t, "rating": v, "position": v * k / 3 + (m == "B")}
        for m in models
        for k in layers
        for t, v in zip(texts, ratings, strict=True)
    )
    fits = pd.DataFrame({"model": m, "layer": k, "r": k / 4} for m in models for k in layers)
    return points, fits


def noise_frames(rng, steps=(5, 20), kinds=("in sample", "left out")):
    curve = pd.DataFrame(
        {"features": n, "kind": kind, "r": r}
        for n in steps
        for kind in kinds
        for r in rng.uniform(-1, 1, 40).round(3)
    )
    examples = pd.DataFrame(
        {"features": n, "kind": kind, "target": i, "fit": i * n}
        for n in steps
        for kind in kinds
        for i in range(4)
    )
    return curve, examples


def regime_frame(labels=("rsa@1", "mse@0.5"), levels=(3.0, 10.0)):
    rows = [{"label": label, "level": level, "base": 0.4} for label in labels for level in levels]
    for i, row in enumerate(rows):
        for j, arm in enumerate(("true", "placebo", "beyond")):
            value = (i - j) / 100
            row |= {arm: value, f"{arm}_low": value - 0.01, f"{arm}_high": value + 0.02}
    return pd.DataFrame(rows)


def test_no_text_can_leave_its_script_and_every_text_comes_back():
    shown = interactive.explore_axis(*axis_frames(), title=f"On {NASTY}")
    page, data = embedded(shown)
    assert data["texts"][-1] == NASTY
    assert NASTY in page.find("figcaption").text and NASTY in page.find("table").text
    raw = shown._repr_html_()
    assert raw.count("</script>") == raw.count("<script") == 1
    assert "<!--" not in raw and "\u2028" not in raw.split("application/json")[1]


def test_the_nasty_text_would_leave_a_plain_script():
    naive = f"<script>{json.dumps({'text': NASTY})}</script>"
    assert len(BeautifulSoup(naive, "html.parser").find_all("script")) == 2


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None])
def test_what_is_not_finite_becomes_null(value):
    assert json.loads(interactive.script_json({"a": [1.5, value]})) == {"a": [1.5, None]}


def test_what_json_does_not_know_is_refused():
    with pytest.raises(TypeError, match="set"):
        interactive.script_json({"a": {1, 2}})


def test_each_layer_keeps_its_own_positions_in_the_order_of_ratings():
    points, fits = axis_frames()
    _, data = embedded(interactive.explore_axis(points.sample(frac=1, random_state=0), fits, title="t"))
    assert data["ratings"] == sorted(data["ratings"])
    for model in data["models"]:
        assert [layer["layer"] for layer in model["layers"]] == [1, 2, 3]
        for layer in model["layers"]:
            rows = points[(points["model"] == model["name"]) & (points["layer"] == layer["layer"])]
            wanted = rows.set_index("text")["position"].loc[data["texts"]]
            np.testing.assert_allclose(layer["x"], wanted, atol=0.005)
            assert layer["r"] == layer["layer"] / 4


def test_the_noise_curve_holds_the_quantiles_of_its_draws(rng):
    curve, examples = noise_frames(rng)
    shown = interactive.explore_noise(curve, examples, title="t")
    _, data = embedded(shown)
    assert data["features"] == [5, 20]
    for kind in data["kinds"]:
        for k, n in enumerate(data["features"]):
            r = curve.query("features == @n and kind == @kind['name']")["r"]
            found = [kind[name][k] for name in ("low", "r", "high")]
            np.testing.assert_allclose(found, np.quantile(r, [0.05, 0.5, 0.95]), atol=0.005)
            assert kind["points"][k] == [[i, i * n] for i in range(4)]
    assert shown.table.shape == (2, 2)


def test_a_regime_keeps_value_and_limits_of_each_arm():
    frame = regime_frame()
    shown = interactive.explore_regimes({"epochs": frame, "people": frame}, title="simulated")
    _, data = embedded(shown)
    assert len(data["cells"]) == 2 * len(frame)
    for cell, (_, row) in zip(data["cells"], frame.iterrows(), strict=False):
        assert (cell["strategy"], cell["level"], cell["property"]) == (row["label"], row["level"], "epochs")
        for arm in data["arms"]:
            assert cell[arm] == pytest.approx([row[arm], row[f"{arm}_low"], row[f"{arm}_high"]], abs=5e-5)
    assert "simulated" in shown._repr_html_()


def test_the_plain_text_of_a_notebook_stays_short():
    shown = interactive.explore_axis(*axis_frames(), title="texts")
    assert repr(shown) == "Explorable(axis: texts)"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda p, f: interactive.explore_axis(p.drop(columns="rating"), f, title=""),
            r"points lacks .*rating",
        ),
        (lambda p, f: interactive.explore_axis(p, f.iloc[1:], title=""), r"no row for A, layers \[1\]"),
        (lambda p, f: interactive.explore_axis(p.iloc[1:], f, title=""), "lacks the position of a text"),
        (lambda p, f: interactive.explore_axis(p.iloc[:0], f, title=""), "points has no row"),
        (lambda p, f: interactive.explore_regimes({}, title=""), "maps is empty"),
        (lambda p, f: interactive.explore_regimes({"x": p}, title=""), r"maps\['x'\] lacks"),
    ],
)
def test_data_that_cannot_be_shown_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(*axis_frames())


def test_a_setting_without_an_example_is_named(rng):
    curve, examples = noise_frames(rng)
    with pytest.raises(ValueError, match=r"'in sample' with \[20\] features"):
        interactive.explore_noise(curve, examples.query("features == 5"), title="")
