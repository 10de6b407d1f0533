"""Results that a reader can turn over: the valence line by layer, the fit to noise, the regimes.

In:  data frames that a chapter has computed.
Out: objects that a notebook shows as HTML: the data, and a table of them for print or where scripts are off.
Never computes more than the quantiles it shows, asks for a file or a server, or trusts a text: all of it is
escaped. The script that draws the data is ``book/_static/explore.js``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Any

import pandas as pd

#: Columns of a value with limits, as `kernel.decoding.interventions.summarise` names them.
_ARMS = {"true": "the axis", "placebo": "placebo", "beyond": "beyond the placebo"}


@dataclass(frozen=True, repr=False)
class Explorable:
    """Data that a page's own script draws, with a table where it cannot.

    Attributes
    ----------
    kind : str
        Which picture the script draws.
    title : str
        What is shown, on which data; simulated data say so here.
    data : dict
        Plain values, as JSON takes them; what is not finite becomes null.
    table : DataFrame
        The same data, or the most telling part of them.
    """

    kind: str
    title: str
    data: Mapping[str, Any] = field(hash=False)
    table: pd.DataFrame = field(hash=False)

    def __repr__(self) -> str:
        return f"Explorable({self.kind}: {self.title})"

    def _repr_html_(self) -> str:
        return (
            f'<figure class="explore" data-explore="{escape(self.kind)}">'
            f"<figcaption>{escape(self.title)}</figcaption>"
            f'<div class="explore-static">{self.table.to_html(border=0, escape=True)}</div>'
            f'<script type="application/json">{script_json(self.data)}</script>'
            "</figure>"
        )


def script_json(data: Any) -> str:
    r"""JSON that is safe inside an HTML script element.

    No text can end the element or start a comment, since ``<``, ``>`` and ``&`` are written as escapes, and
    so are the two line ends that JSON allows and JavaScript once did not.

    Parameters
    ----------
    data : dict, list, str, number or None
        Nested to any depth. NaN and infinities become null.

    Returns
    -------
    str

    Raises
    ------
    TypeError
        If a value has no counterpart in JSON.
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

    Raises
    ------
    ValueError
        If a column is missing, or a layer lacks a text or its correlation.
    """
    _require(points, ["model", "layer", "text", "rating", "position"], "points")
    _require(fits, ["model", "layer", "r"], "fits")
    texts = points.drop_duplicates("text").sort_values("rating", kind="stable").set_index("text")["rating"]
    found = fits.set_index(["model", "layer"])["r"]
    models, columns = [], {"rating": texts.round(1)}
    for model, rows in points.groupby("model", sort=False):
        wide = rows.pivot(index="layer", columns="text", values="position").reindex(columns=texts.index)
        if wide.isna().any(axis=None):
            raise ValueError(f"a layer of {model} lacks the position of a text: give each text once a layer")
        if missing := [layer for layer in wide.index if (model, layer) not in found.index]:
            raise ValueError(f"fits has no row for {model}, layers {missing}")
        layers = [
            {"layer": int(layer), "r": round(float(found[model, layer]), 2), "x": values.round(2).tolist()}
            for layer, values in wide.iterrows()
        ]
        models.append({"name": str(model), "layers": layers, "start": max(len(layers) - 2, 0)})
        columns[str(model)] = wide.iloc[models[-1]["start"]].round(1)
    data = {"texts": list(texts.index), "ratings": texts.round(2).tolist(), "models": models}
    return Explorable("axis", title, data, pd.DataFrame(columns).rename_axis("text"))


def explore_noise(curve: pd.DataFrame, examples: pd.DataFrame, *, title: str) -> Explorable:
    """How well noise is fitted as the number of features grows, with one draw of it beside.

    Parameters
    ----------
    curve : DataFrame, one row for each draw
        Columns ``features``, ``kind`` (of fit) and ``r``. Shown are the median and the middle 90 % of draws.
    examples : DataFrame, one row for each point of one draw
        Columns ``features``, ``kind``, ``target`` and ``fit``.
    title : str
        What is shown, on which data.

    Returns
    -------
    Explorable

    Raises
    ------
    ValueError
        If a column is missing, or a setting of the curve has no example.
    """
    _require(curve, ["features", "kind", "r"], "curve")
    _require(examples, ["features", "kind", "target", "fit"], "examples")
    spread = curve.groupby(["kind", "features"], sort=False)["r"].quantile([0.05, 0.5, 0.95]).unstack()
    steps = sorted(int(n) for n in curve["features"].unique())
    drawn = dict(iter(examples.groupby(["kind", "features"], sort=False)))
    kinds = []
    for kind in curve["kind"].unique():
        if missing := [n for n in steps if (kind, n) not in drawn or (kind, n) not in spread.index]:
            raise ValueError(f"no curve or example of {kind!r} with {missing} features")
        rows = spread.loc[kind].loc[steps]
        kinds.append(
            {
                "name": str(kind),
                **{
                    name: rows[q].round(2).tolist() for name, q in (("low", 0.05), ("r", 0.5), ("high", 0.95))
                },
                "points": [drawn[kind, n][["target", "fit"]].round(2).to_numpy().tolist() for n in steps],
            }
        )
    shown = [f"{row[0.5]:.2f} ({row[0.05]:.2f} to {row[0.95]:.2f})" for _, row in spread.iterrows()]
    table = pd.Series(shown, spread.index).unstack("kind").loc[steps, [kind["name"] for kind in kinds]]
    return Explorable("noise", title, {"features": steps, "kinds": kinds}, table)


def explore_regimes(maps: Mapping[str, pd.DataFrame], *, title: str) -> Explorable:
    """What strategies change in every regime, beside their placebo and beyond it, with intervals.

    Parameters
    ----------
    maps : mapping of a property to DataFrame
        One row for each strategy and level, as `kernel.decoding.interventions.regime_table` gives them:
        columns ``label``, ``level``, ``base`` and, for each of ``true``, ``placebo`` and ``beyond``, the
        value and its limits ``_low`` and ``_high``.
    title : str
        What is shown, on which data.

    Returns
    -------
    Explorable

    Raises
    ------
    ValueError
        If a column is missing, or nothing is given.
    """
    values = [f"{arm}{limit}" for arm in _ARMS for limit in ("", "_low", "_high")]
    if not maps:
        raise ValueError("maps is empty: give at least one property that varies")
    for name, found in maps.items():
        _require(found, ["label", "level", "base", *values], f"maps[{name!r}]")
    rows = pd.concat([found.assign(property=name) for name, found in maps.items()], ignore_index=True)
    cells = [
        {
            "strategy": str(row["label"]),
            "property": str(row["property"]),
            "level": float(row["level"]),
            "base": round(float(row["base"]), 3),
            **{arm: [round(float(row[f"{arm}{end}"]), 4) for end in ("", "_low", "_high")] for arm in _ARMS},
        }
        for _, row in rows.iterrows()
    ]
    shown = {
        title: [
            f"{row[arm]:+.4f} [{row[f'{arm}_low']:+.4f}, {row[f'{arm}_high']:+.4f}]"
            for _, row in rows.iterrows()
        ]
        for arm, title in _ARMS.items()
    }
    table = pd.DataFrame(shown, pd.MultiIndex.from_frame(rows[["property", "level", "label"]]))
    table.index.names = ["property", "level", "strategy"]
    return Explorable("regimes", title, {"arms": _ARMS, "cells": cells}, table)


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
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
