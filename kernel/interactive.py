"""Results that a reader can turn over: shown as HTML in a notebook, with a table where scripts are off.

Every text is escaped, and nothing asks for a file or a server: ``book/_static/explore.js`` draws the data.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
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
    r"""JSON that is safe inside an HTML script element; NaN and infinities become null.

    No text can end the element or start a comment, since ``<``, ``>`` and ``&`` are written as escapes, and
    so are the two line ends that JSON allows and JavaScript once did not. Raises `TypeError` if a value has
    no counterpart in JSON.
    """
    text = json.dumps(_plain(data), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def explore_axis(points: pd.DataFrame, fits: pd.DataFrame, *, title: str) -> Explorable:
    """Texts on the axis of every model and layer, against what people said of them.

    Parameters
    ----------
    points : DataFrame, one row for each model, layer and text
        Columns ``model``, ``layer``, ``text``, ``rating`` (mean of people's ratings) and ``position`` (on the
        axis of that layer; any unit in which layers compare).
    fits : DataFrame, one row for each model and layer
        Columns ``model``, ``layer`` and ``r``, the correlation of positions and ratings.
    title : str
        What is shown, on which data.

    Returns
    -------
    Explorable
        Its table holds the texts at each model's last layer but one.
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

    Parameters
    ----------
    curve : DataFrame, one row for each draw
        Columns ``features``, ``kind`` (of fit) and ``r``. Shown are the median and the middle 90 % of draws.
    examples : DataFrame, one row for each point of each draw that is shown
        Columns ``features``, ``kind``, ``draw``, ``target`` (the same in all draws) and ``fit``.
    reference : float
        A correlation that was reported, drawn as a line.
    start : int
        Number of features shown first.
    title : str
        What is shown, on which data.

    Returns
    -------
    Explorable
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

    Parameters
    ----------
    positions : Series indexed by class
        The true positions on the axis.
    fits : mapping of str to DataFrame (n_classes, n_items)
        For each way to fit, what it makes of a target that is 1 for items of the row's class and 0 for all
        others; columns are the classes of the items. A linear fit of any positions is a sum of these rows.
    title : str
        What is shown, on which data.

    Returns
    -------
    Explorable
        Its table holds the true correlation of each way to fit, and those of 1,000 shuffles.
    """
    true = positions.sort_values().to_numpy(dtype=float)
    names = list(positions.sort_values().index)
    shuffles = np.random.default_rng(0).permuted(np.tile(true, (1000, 1)), axis=1)
    kinds, rows = [], {}
    for kind, fit in fits.items():
        if set(fit.index) != set(names) or set(fit.columns) != set(names):
            raise ValueError(
                f"the fit {kind!r} is not of the classes {names}: give it their rows and columns"
            )
        items, weights = [names.index(name) for name in fit.columns], fit.loc[names].to_numpy()
        kinds.append({"name": kind, "items": items, "weights": weights.round(4).tolist()})
        r, null = (
            stats.pearson(true @ weights, true[items]),
            stats.pearson(shuffles @ weights, shuffles[:, items]),
        )
        low, middle, high = np.quantile(null, [0.05, 0.5, 0.95])
        shown = f"{middle:.2f} ({low:.2f} to {high:.2f})"
        reach = f"{(null > r - 1e-9).sum()} of {len(null)}"
        rows[kind] = {
            "true order": f"{r:.2f}",
            "shuffled, median (middle 90 %)": shown,
            "shuffles that reach it": reach,
        }
    data = {"names": names, "positions": true.round(4).tolist(), "kinds": kinds}
    return Explorable("shuffle", title, data, pd.DataFrame(rows).T.rename_axis("r of fit and positions"))


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
