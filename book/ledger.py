"""The page of the ledger: how many verdicts of each kind, then a card for each claim with its results."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from kernel import claims

VERDICTS = ("supported", "not supported", "inconclusive", "not run")
#: The paper's claims in its order, as the ledger heads them.
GROUPS = {
    "C1": "Nine sentences give a valence axis",
    "C2": "Zero-shot sentiment",
    "C3": "Consistency across models",
    "C4": "One linear projection of EEG tracks the axis",
    "C5": "Topography",
    "C6": "Classifiers rediscover the axis",
    "C7": "Saturation: no alignment strategy helps",
    "C8": "The residual ensemble",
    "C9": "Replication on SEED-V",
}


def ledger_markdown(path: str | Path | None = None) -> str:
    """The ledger as MyST Markdown of a page in the folder ``book``; `path` as in `kernel.claims.record`."""
    table = claims.ledger(path).fillna({"data": "", "note": ""})
    group = table["id"].str.partition(".")[0]
    lines = _counts(table, group)
    for name, rows in table.groupby(group, sort=False):
        lines += ["", f"## {_heading(name)}"]
        for _, results in rows.groupby("id", sort=False):
            lines += _card(results.to_dict("records"))
    return "\n".join(lines) + "\n"


def _counts(table: pd.DataFrame, group: pd.Series) -> list[str]:
    """Results by claim and verdict: on real data preregistered + exploratory ones, then simulated ones."""
    kind, marks = table["verdict"].map(claims.plain_verdict), table["verdict"].str.partition(" (")[2]
    simulated, exploratory = marks.str.contains("simulated"), marks.eq("exploratory)")

    def counted(title: str, verdicts: Sequence[str], *sorts: pd.Series) -> list[str]:
        def cells(rows: pd.Series) -> list[str]:
            counts = [[(rows & (kind == v) & mask).sum() for mask in sorts] for v in verdicts]
            return [" + ".join(map(str, row)) if any(row[1:]) else str(row[0]) for row in counts]

        found = group[pd.concat(sorts, axis=1).any(axis=1)].unique()
        body = [[f"[{_heading(name)}](#{_anchor(name)})", *cells(group == name)] for name in found]
        rows = _table([title, *verdicts], [*body, ["**all**", *cells(group != "")]])
        return ["", "::::{container} counts", "", *rows, "::::"]

    return [
        *counted("real data", VERDICTS, ~simulated & ~exploratory, exploratory),
        *counted("simulated EEG", VERDICTS[:-1], simulated),
    ]


def _heading(name: str) -> str:
    return f"{name}: {GROUPS[name]}"


def _anchor(name: str) -> str:
    """Where a heading is found within the page."""
    return re.sub(r"[^\w -]", "", _heading(name).lower()).replace(" ", "-")


def _card(results: Sequence[Mapping[str, Any]]) -> list[str]:
    """A claim with the count of its verdicts, which opens on the paper's figure, our rule and its results."""
    claim = results[0]
    counts = Counter(row["verdict"] for row in results)
    real_first = sorted(counts.items(), key=lambda item: ("simulated" in item[0], -item[1]))
    verdicts = ", ".join(f"{n} {verdict}" for verdict, n in real_first)
    facts = {
        "The paper": claim["paper"],
        "We measure": claim["estimand"],
        "Rule": claim["rule"],
        "In plain words": claim["reading"],
        "Caveat": claim["caveat"],
        "Where": claim["chapter"] and _chapter(claim["chapter"]),
    }
    head = [
        "",
        f"::::{{dropdown}} `{claim['id']}` {claim['claim']} **{verdicts}**",
        f":name: {claim['id']}",
        ":class-container: claim",
        "",
    ]
    body = [f"- *{name}:* {text}" for name, text in facts.items() if text]
    return [*head, *body, "", *_table(["result", "data", "verdict"], map(_result, results)), "::::"]


def _chapter(name: str) -> str:
    """A link to a chapter: by its number, or by its name where its title has no number."""
    number, _, words = name.partition("_")
    text = f"chapter {int(number)}" if int(number) <= 16 else words.replace("_", " ")
    return f"[{text}](../notebooks/{name}.ipynb)"


def _result(row: Mapping[str, Any]) -> list[str]:
    """What was found, on which data, and the verdict, of one row of the ledger."""
    if row["verdict"] == "not run":
        run = f"run `{row['command']}`" if row["command"] else "nothing in this edition runs it"
        return ["–", f"needs {row['needs']}" + ("" if row["chapter"] else f"; {run}"), "**not run**"]
    return [_estimate(row), "; <br>".join(filter(None, [row["data"], row["note"]])), f"**{row['verdict']}**"]


def _estimate(row: Mapping[str, Any]) -> str:
    """Estimate, interval, p and n in one line, as far as they were measured."""
    interval = f" [{row['low']:g}, {row['high']:g}]" if pd.notna(row["low"]) else ""
    rest = [f", {key} {row[key]:g}" for key in ("p", "n") if pd.notna(row[key])]
    return (f"{row['value']:g}{interval}" + "".join(rest)).replace("-", "\N{MINUS SIGN}")


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    # a bar would end the cell, even in code and mathematics
    body = [[str(cell).replace("|", r"\|").replace("\n", " ") for cell in row] for row in rows]
    return [f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *body]]
