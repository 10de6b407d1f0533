"""What a reader explores is what was computed, whole, and harmless whatever the texts hold."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup

from kernel import interactive

NASTY = "</script><script>alert('&')</script><!-- \u2028 \"quoted\""


def embedded(explorable):
    """The page as a parser sees it, and the data that it holds."""
    page = BeautifulSoup(explorable._repr_html_(), "html.parser")
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
    settings = [{"features": n, "kind": kind} for n in steps for kind in kinds]
    curve = pd.DataFrame(one | {"r": r} for one in settings for r in rng.uniform(-1, 1, 40).round(3))
    examples = pd.DataFrame(
        one | {"draw": draw, "target": i, "fit": (1 - 2 * draw) * (i + 0.01 * one["features"] * (i == 2))}
        for one in settings
        for draw in range(2)
        for i in range(4)
    )
    return curve, examples


NOISE = {"reference": 0.5, "start": 20}


def shuffle_inputs():
    """Three positions in six items: a fit that meets any order, one that knows the true order only."""
    positions = pd.Series({"joy": 1.0, "anger": -1.0, "calm": 0.0})
    items = ["joy", "joy", "anger", "anger", "calm", "calm"]
    any_order = pd.DataFrame(np.eye(3)[[0, 0, 1, 1, 2, 2]].T, positions.index, items)
    true = positions[items].to_numpy()
    projection = pd.DataFrame(
        any_order.to_numpy() @ np.outer(true, true) / (true @ true), positions.index, items
    )
    return positions, {"meets any order": any_order, "knows the true order": projection}


def words_on_the_axis():
    table = {"word": ["awful", "dull", NASTY, "fine", "lovely"], "position": [-1.5, -0.4, 0.1, 0.5, 2.0]}
    return pd.DataFrame(table | {"rating": [-2.0, -1.0, 0.0, 1.0, 3.0]})


def clips_to_choose(rng, n=12):
    """Values of the EEG that know nothing of the positions, but for three clips of joy that lie on a line."""
    emotions = ["joy", "anger", "calm", "fear"] * 3
    clips = pd.DataFrame({"clip": range(1, n + 1), "emotion": emotions, "position": np.linspace(-1, 1, n)})
    return clips.assign(value=np.where(clips["emotion"] == "joy", clips["position"], rng.standard_normal(n)))


def test_no_text_can_leave_its_script_and_every_text_comes_back():
    explorable = interactive.explore_axis(*axis_frames(), title=f"On {NASTY}")
    page, data = embedded(explorable)
    assert data["texts"][-1] == NASTY
    assert NASTY in page.find("figcaption").text and NASTY in page.find("table").text
    raw = explorable._repr_html_()
    assert raw.count("</script>") == raw.count("<script") == 1
    assert "<!--" not in raw and "\u2028" not in raw.split("application/json")[1]
    assert repr(explorable) == f"Explorable(axis: On {NASTY})"
    naive = f"<script>{json.dumps({'text': NASTY})}</script>"  # which it would leave
    assert len(BeautifulSoup(naive, "html.parser").find_all("script")) == 2


def test_what_is_not_finite_becomes_null_and_what_json_does_not_know_is_refused():
    values = {"a": [1.5, float("nan"), (float("inf"), None)]}
    assert json.loads(interactive._script_json(values)) == {"a": [1.5, None, [None, None]]}
    with pytest.raises(TypeError, match="set"):
        interactive._script_json({"a": {1, 2}})


def test_each_layer_keeps_its_own_positions_in_the_order_of_ratings():
    points, fits = axis_frames()
    _, data = embedded(interactive.explore_axis(points.sample(frac=1, random_state=0), fits, title="t"))
    assert data["ratings"] == sorted(data["ratings"])
    for model in data["models"]:
        assert [layer["layer"] for layer in model["layers"]] == [1, 2, 3]
        for layer in model["layers"]:
            rows = points[(points["model"] == model["name"]) & (points["layer"] == layer["layer"])]
            positions = rows.set_index("text")["position"].loc[data["texts"]]
            np.testing.assert_allclose(layer["x"], positions, atol=0.005)
            assert layer["r"] == layer["layer"] / 4


def test_the_noise_curve_holds_the_quantiles_of_its_draws(rng):
    curve, examples = noise_frames(rng)
    explorable = interactive.explore_noise(curve, examples, **NOISE, title="t")
    _, data = embedded(explorable)
    assert data["features"] == [5, 20] and data["start"] == 1 and data["target"] == [0, 1, 2, 3]
    for kind in data["kinds"]:
        for k, n in enumerate(data["features"]):
            r = curve.query("features == @n and kind == @kind['name']")["r"]
            limits = [kind[name][k] for name in ("low", "r", "high")]
            np.testing.assert_allclose(limits, np.quantile(r, [0.05, 0.5, 0.95]), atol=0.005)
            fit = [0, 1, 2 + 0.01 * n, 3]
            assert kind["fits"][k] == [pytest.approx(fit), pytest.approx([-y for y in fit])]
    assert explorable.table.shape == (2, 2)
    with pytest.raises(ValueError, match=r"'in sample' with \[20\] features"):
        interactive.explore_noise(curve, examples.query("features == 5"), **NOISE, title="")


def test_shuffles_tell_a_fit_that_meets_any_order_from_one_that_knows_the_true_one():
    explorable = interactive.explore_shuffle(*shuffle_inputs(), title="t")
    _, data = embedded(explorable)
    assert data["names"] == ["anger", "calm", "joy"] and data["positions"] == [-1, 0, 1]
    assert data["kinds"][0]["items"] == [2, 2, 0, 0, 1, 1]
    assert np.array(data["kinds"][0]["weights"]).sum(0).tolist() == [1] * 6
    table = explorable.table
    assert table["true order"].tolist() == ["1.00", "1.00"]
    reached = [int(text.split()[0]) for text in table["shuffles that reach it"]]
    assert reached[0] == 1000 and reached[1] == pytest.approx(
        1000 / 3, abs=50
    )  # two of six orders lie on the line
    positions, fits = shuffle_inputs()
    with pytest.raises(ValueError, match="'meets any order' is not of the classes"):
        interactive.explore_shuffle(positions.drop("calm"), fits, title="")


def test_words_keep_their_positions_and_none_stands_twice():
    words = words_on_the_axis()
    explorable = interactive.explore_words(words.sample(frac=1, random_state=0), title="t")
    page, data = embedded(explorable)
    assert data == words.to_dict("list") and list(explorable.table.index) == words["word"].tolist()
    assert NASTY in page.find("table").text
    with pytest.raises(ValueError, match="a word stands twice: 'dull'"):
        interactive.explore_words(pd.concat([words, words[1:2]]), title="")
    many = pd.DataFrame(
        {"word": [f"w{k}" for k in range(2000)], "position": np.arange(2000.0), "rating": 0.0}
    )
    assert len(interactive.explore_words(many, title="").table) == 20


def test_a_choice_knows_which_clips_another_made_and_refuses_what_is_none(rng):
    clips = clips_to_choose(rng)
    _, data = embedded(interactive.explore_choice(clips, ["joy"], title="t"))
    assert data["named"] == [0, 4, 8] and data["emotion"] == clips["emotion"].tolist()
    value = np.array(data["value"])
    assert value.std(ddof=1) == pytest.approx(1, abs=0.01)
    np.testing.assert_allclose(np.corrcoef(value, clips["value"])[0, 1], 1, atol=1e-5)
    for named in (["envy"], list(clips["emotion"].unique())):
        with pytest.raises(ValueError, match=f"{len(clips) * (len(named) > 1)} of 12 clips are of"):
            interactive.explore_choice(clips, named, title="")


def recall_of_people():
    """Recall that grows with people on seen clips only; of all people there is one draw."""
    draws = [(n, draw) for n, count in ((1, 2), (4, 2), (9, 1)) for draw in range(count)]
    rows = [(n, draw, emotion) for n, draw in draws for emotion in ("joy", "calm")]
    table = pd.DataFrame(rows, columns=["people", "draw", "emotion"])
    seen = 0.5 + 0.04 * table["people"] + 0.1 * table["draw"]
    return table.assign(seen=seen.where(table["emotion"] == "joy", seen - 0.2), unseen=0.5)


def test_people_show_each_draw_and_the_range_of_all():
    recall = recall_of_people()
    shuffled = recall.sample(frac=1, random_state=0).sort_values("emotion", ascending=False)
    explorable = interactive.explore_people(shuffled, start=4, title="t")
    _, data = embedded(explorable)
    assert data["people"] == [1, 4, 9] and data["start"] == 1 and data["emotions"] == ["joy", "calm"]
    seen, unseen = data["kinds"]
    assert [len(draws) for draws in seen["draws"]] == [2, 2, 1]
    np.testing.assert_allclose(seen["draws"][1], [[0.66, 0.46], [0.76, 0.56]])
    np.testing.assert_allclose([seen[key][1] for key in ("min", "mean", "max")], [0.56, 0.61, 0.66])
    assert unseen["mean"] == [0.5] * 3
    assert explorable.table.loc[4].tolist() == ["0.610 (0.560 to 0.660)", "0.500 (0.500 to 0.500)"]
    with pytest.raises(ValueError, match=r"start is 5, and recall has \[1, 4, 9\] people"):
        interactive.explore_people(recall, start=5, title="")
    for fewer in (recall[1:], pd.concat([recall, recall[:2]])):
        with pytest.raises(ValueError, match="each emotion once for each draw"):
            interactive.explore_people(fewer, start=4, title="")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p, f: (p.drop(columns="rating"), f), r"points lacks .*rating"),
        (lambda p, f: (p, f.iloc[1:]), r"no row for A, layers \[1\]"),
        (lambda p, f: (p.iloc[1:], f), "lacks the position of a text"),
        (lambda p, f: (p.iloc[:0], f), "points has no row"),
    ],
)
def test_data_that_cannot_be_shown_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        interactive.explore_axis(*change(*axis_frames()), title="")
