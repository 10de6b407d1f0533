"""Results that a reader can turn over: shown as HTML in a notebook, with a table where scripts are off.

Every text is escaped, and nothing asks for a file or a server: ``book/_static/explore.js`` draws the data.
Each function makes one `Explorable` of tables and a `title`, which says what is shown and on which data.
Raises `ValueError` where a table lacks a column or a row.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from kernel import stats


class Explorable(NamedTuple):
    """Data that a page's own script draws, with a table where it cannot.

    `kind` is which picture the script draws; `title` what is shown, on which data; `data` plain values, as
    JSON takes them, where what is not finite becomes null; `table` the same data, or the most telling part.
    """

    kind: str
    title: str
    data: Mapping[str, Any]
    table: pd.DataFrame

    def __repr__(self) -> str:
        return f"Explorable({self.kind}: {self.title})"

    def _repr_html_(self) -> str:
        return (
            f'<figure class="explore" data-explore="{escape(self.kind)}">'
            f"<figcaption>{escape(self.title)}</figcaption>"
            f'<div class="explore-static">{self.table.to_html(border=0, escape=True)}</div>'
            f'<script type="application/json">{_script_json(self.data)}</script>'
            "</figure>"
        )


def _script_json(data: Any) -> str:
    """JSON that is safe inside an HTML script element: no text can end it or start a comment.

    NaN and infinities become null. Raises `TypeError` if a value has no counterpart in JSON.
    """
    text = json.dumps(_plain(data), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def explore_axis(points: pd.DataFrame, fits: pd.DataFrame, *, title: str) -> Explorable:
    """Texts on the axis of every model and layer, against what people said of them.

    `points` has the columns ``model``, ``layer``, ``text``, ``rating`` (mean of people's ratings) and
    ``position`` (on the axis of that layer; any unit in which layers compare); `fits` has ``model``,
    ``layer`` and ``r``, the correlation of positions and ratings. The table shows the last layer but one.
    """
    _require(points, ["model", "layer", "text", "rating", "position"], "points")
    _require(fits, ["model", "layer", "r"], "fits")
    texts = points.drop_duplicates("text").sort_values("rating", kind="stable").set_index("text")["rating"]
    r = fits.set_index(["model", "layer"])["r"]
    models, columns = [], {"rating": texts.round(1)}
    for model, rows in points.groupby("model", sort=False):
        wide = rows.pivot(index="layer", columns="text", values="position").reindex(columns=texts.index)
        if wide.isna().any(axis=None):
            raise ValueError(f"a layer of {model} lacks the position of a text: give each text once a layer")
        if missing := [layer for layer in wide.index if (model, layer) not in r.index]:
            raise ValueError(f"fits has no row for {model}, layers {missing}")
        layers = [
            {"layer": int(layer), "r": round(float(r[model, layer]), 2), "x": values.round(2).tolist()}
            for layer, values in wide.iterrows()
        ]
        start = max(len(layers) - 2, 0)
        models.append({"name": str(model), "layers": layers, "start": start})
        columns[str(model)] = wide.iloc[start].round(1)
    data = {"texts": list(texts.index), "ratings": texts.round(2).tolist(), "models": models}
    return Explorable("axis", title, data, pd.DataFrame(columns).rename_axis("text"))


def explore_noise(
    curve: pd.DataFrame, examples: pd.DataFrame, *, reference: float, start: int, title: str
) -> Explorable:
    """How well noise is fitted as the number of features grows, with draws of it beside.

    `curve` has the columns ``features``, ``kind`` (of fit) and ``r``, one row for each draw; shown are the
    median and the middle 90 % of draws. `examples` has ``features``, ``kind``, ``draw``, ``target`` (the same
    in all draws) and ``fit``, one row for each point of a draw that is shown. `reference` is a correlation
    that was reported, drawn as a line, and `start` the number of features shown first.
    """
    _require(curve, ["features", "kind", "r"], "curve")
    _require(examples, ["features", "kind", "draw", "target", "fit"], "examples")
    spread = curve.groupby(["kind", "features"], sort=False)["r"].quantile([0.05, 0.5, 0.95]).unstack()
    steps = sorted(int(n) for n in curve["features"].unique())
    drawn = dict(iter(examples.groupby(["kind", "features"], sort=False)))
    kinds = []
    for kind in curve["kind"].unique():
        if missing := [n for n in steps if (kind, n) not in drawn or (kind, n) not in spread.index]:
            raise ValueError(f"no curve or example of {kind!r} with {missing} features")
        rows = spread.loc[kind].loc[steps].round(2)
        limits = {name: rows[q].tolist() for name, q in (("low", 0.05), ("r", 0.5), ("high", 0.95))}
        fits = [[one["fit"].round(2).tolist() for _, one in drawn[kind, n].groupby("draw")] for n in steps]
        kinds.append({"name": str(kind), **limits, "fits": fits})
    target = next(iter(drawn[kind, steps[0]].groupby("draw")))[1]["target"].round(2).tolist()
    cells = [f"{row[0.5]:.2f} ({row[0.05]:.2f} to {row[0.95]:.2f})" for _, row in spread.iterrows()]
    table = pd.Series(cells, spread.index).unstack("kind").loc[steps, [kind["name"] for kind in kinds]]
    first = {"reference": reference, "start": steps.index(start)}
    return Explorable("noise", title, {"features": steps, "target": target, "kinds": kinds, **first}, table)


def explore_shuffle(positions: pd.Series, fits: Mapping[str, pd.DataFrame], *, title: str) -> Explorable:
    """A null distribution to be drawn by hand: positions are exchanged among classes, and fitted again.

    `positions` are the true ones, by class. `fits` holds a table (n_classes, n_items) for each way to fit:
    what it makes of a target that is 1 for items of the row's class and 0 for all others; columns are the
    classes of the items. A linear fit of any positions is a sum of these rows. The explorable's table holds
    the true correlations, and those of 1,000 shuffles.
    """
    ordered = positions.sort_values()
    names, true = list(ordered.index), ordered.to_numpy(dtype=float)
    shuffles = np.random.default_rng(0).permuted(np.tile(true, (1000, 1)), axis=1)
    kinds, table = [], {}
    for kind, fit in fits.items():
        if set(fit.index) != set(names) or set(fit.columns) != set(names):
            raise ValueError(
                f"the fit {kind!r} is not of the classes {names}: give it their rows and columns"
            )
        items, weights = [names.index(name) for name in fit.columns], fit.loc[names].to_numpy()
        kinds.append({"name": kind, "items": items, "weights": weights.round(4).tolist()})
        r, null = (stats.pearson(at @ weights, at[..., items]) for at in (true, shuffles))
        reach = f"{(null > r - 1e-9).sum()} of {len(null)}"
        middle = "{1:.2f} ({0:.2f} to {2:.2f})".format(*np.quantile(null, [0.05, 0.5, 0.95]))
        table[kind] = {"true order": f"{r:.2f}", "shuffled": middle, "shuffles that reach it": reach}
    data = {"names": names, "positions": true.round(4).tolist(), "kinds": kinds}
    return Explorable("shuffle", title, data, pd.DataFrame(table).T.rename_axis("r of fit and positions"))


def explore_words(words: pd.DataFrame, *, title: str) -> Explorable:
    """Words that a reader types, placed on the axis among all others.

    `words` has the columns ``word``, ``position`` (on the axis, in sd of the words) and ``rating`` (mean of
    people's ratings). The table holds twenty of them, from the lowest position to the highest.
    """
    _require(words, ["word", "position", "rating"], "words")
    ordered = words.sort_values("position", kind="stable").round({"position": 2, "rating": 1})
    if ordered["word"].duplicated().any():
        raise ValueError(f"a word stands twice: {ordered['word'][ordered['word'].duplicated()].iloc[0]!r}")
    spread = ordered.iloc[np.unique(np.linspace(0, len(ordered) - 1, 20).astype(int))]
    return Explorable("words", title, ordered.to_dict("list"), spread.set_index("word"))


def explore_choice(clips: pd.DataFrame, named: Sequence[str], *, title: str) -> Explorable:
    """As many clips as somebody else chose, to be chosen by the reader, and the correlation that they give.

    `clips` has the columns ``clip``, ``emotion``, ``position`` (on the axis) and ``value`` (of the EEG; shown
    in sd); `named` are the emotions whose clips were chosen.
    """
    _require(clips, ["clip", "emotion", "position", "value"], "clips")
    chosen = np.flatnonzero(clips["emotion"].isin(named))
    if not 3 <= len(chosen) < len(clips):
        raise ValueError(
            f"{len(chosen)} of {len(clips)} clips are of {named}: a choice has 3 or more, not all"
        )
    value = (clips["value"] - clips["value"].mean()) / clips["value"].std()
    shown = clips.assign(value=value).round({"position": 3, "value": 3})
    data = {**shown.to_dict("list"), "named": chosen.tolist()}
    return Explorable("choice", title, data, shown.set_index("clip"))


def explore_people(recall: pd.DataFrame, *, start: int, title: str) -> Explorable:
    """What people in training buy: recall of each emotion on clips that training has met, and on others.

    `recall` has the columns ``people`` (in training), ``draw`` (of them), ``emotion``, and ``seen`` and
    ``unseen`` (shares of right answers), a row for each emotion of a draw; `start` is the number shown first.
    Shown are each draw, and of all draws the mean over emotions: its mean, lowest and highest value.
    """
    _require(recall, ["people", "draw", "emotion", "seen", "unseen"], "recall")
    steps, names = sorted(recall["people"].unique().tolist()), list(recall["emotion"].unique())
    if start not in steps:
        raise ValueError(f"start is {start}, and recall has {steps} people")
    if recall.duplicated(["people", "draw", "emotion"]).any() or len(recall) % len(names):
        raise ValueError("recall needs each emotion once for each draw")
    clips = ("seen", "unseen")
    means = recall.groupby(["people", "draw"])[list(clips)].mean()
    spread = means.groupby("people").agg(["mean", "min", "max"])
    draws = {
        name: [
            rows.pivot(index="draw", columns="emotion", values=name)[names].round(3).to_numpy().tolist()
            for _, rows in recall.groupby("people")
        ]
        for name in clips
    }
    kinds = [
        {"name": f"{name} clips", "draws": draws[name]}
        | {key: spread[name, key].round(6).tolist() for key in ("mean", "min", "max")}
        for name in clips
    ]
    table = {
        kind["name"]: [
            f"{mean:.3f} ({low:.3f} to {high:.3f})"
            for mean, low, high in zip(kind["mean"], kind["min"], kind["max"], strict=True)
        ]
        for kind in kinds
    }
    data = {"people": steps, "emotions": names, "start": steps.index(start), "kinds": kinds}
    return Explorable("people", title, data, pd.DataFrame(table, pd.Index(steps, name="people in training")))


def _require(table: pd.DataFrame, columns: list[str], name: str) -> None:
    if missing := [column for column in columns if column not in table]:
        raise ValueError(f"{name} lacks the columns {missing}; it has {list(table.columns)}")
    if table.empty:
        raise ValueError(f"{name} has no row: there is nothing to show")


def _plain(value: Any) -> Any:
    """Dicts, lists and numbers of JSON; what is not finite becomes None."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
