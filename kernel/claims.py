"""The ledger: every claim of the paper, the rule that judges it, and what was found.

In:  ``data/claims.yaml``, fixed in advance; values that a chapter has computed.
Out: verdicts, one row per claim and data set, in a JSON file that the book renders.
Never computes a statistic and never changes a rule.
"""

from __future__ import annotations

import json
import math
import operator
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files as resources
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from kernel import files, stats

_OPERATORS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_FIELDS = ("value", "low", "high", "p", "n")
_KEYS = {"id", "claim", "paper", "estimand", "supported", "not_supported", "needs", "chapter"}
VERDICTS = ("supported", "not supported", "inconclusive", "not run")


class ClaimsError(ValueError):
    """The claims file or a recorded result does not have the agreed form."""


class UnknownClaimError(KeyError):
    """No such claim."""

    def __str__(self) -> str:
        return str(self.args[0])


class LedgerNotFoundError(FileNotFoundError):
    """No ledger file could be located."""


@dataclass(frozen=True)
class Condition:
    """One comparison of a decision rule, such as ``low > 0.5``."""

    field: str
    op: str
    than: float

    def holds(self, row: Mapping[str, float | None]) -> bool:
        """Whether it holds; a value that was not measured never satisfies a condition."""
        found = row.get(self.field)
        return found is not None and _OPERATORS[self.op](found, self.than)

    def __str__(self) -> str:
        return f"{self.field} {self.op} {self.than:g}"


@dataclass(frozen=True)
class Claim:
    """A claim of the paper and the rule that judges it.

    Attributes
    ----------
    id : str
        Number of the claim and a name, such as ``C1.pc1_share``.
    claim : str
        What the paper says, in one sentence.
    paper : str
        The paper's figure.
    estimand : str
        What we compute.
    supported, not_supported : tuple of Condition
        All must hold; where neither set holds the verdict is inconclusive.
    needs : str
        Data it takes.
    chapter : str
        Notebook that runs it; empty while there is none.
    """

    id: str
    claim: str
    paper: str
    estimand: str
    supported: tuple[Condition, ...]
    not_supported: tuple[Condition, ...]
    needs: str
    chapter: str

    def verdict(self, row: Mapping[str, float | None]) -> str:
        """Apply the rule to measured values."""
        if all(condition.holds(row) for condition in self.supported):
            return "supported"
        if all(condition.holds(row) for condition in self.not_supported):
            return "not supported"
        return "inconclusive"


@dataclass(frozen=True)
class Row:
    """One result in the ledger.

    Attributes
    ----------
    id, data : str
        The claim and the data it was tested on; together they are the key.
    value, low, high, p, n : float or None
        Estimate, interval, p-value against the stated null, and number of units.
    simulated : bool
        Whether the data were simulated.
    verdict : str
        Outcome of the rule, marked where the data were simulated.
    note : str
        One remark.
    """

    id: str
    data: str
    value: float
    low: float | None
    high: float | None
    p: float | None
    n: int | None
    simulated: bool
    verdict: str
    note: str = ""


@cache
def load_claims() -> dict[str, Claim]:
    """All claims by id, in the paper's order; raises `ClaimsError` where the file is malformed."""
    text = resources("kernel").joinpath("data/claims.yaml").read_text(encoding="utf-8")
    return parse_claims(text)


def parse_claims(text: str) -> dict[str, Claim]:
    """Read and check a claims file; every unknown key, field or operator is an error."""
    claims: dict[str, Claim] = {}
    for entry in yaml.safe_load(text):
        if set(entry) != _KEYS:
            raise ClaimsError(f"claim {entry.get('id')!r}: keys differ by {sorted(set(entry) ^ _KEYS)}")
        if entry["id"] in claims:
            raise ClaimsError(f"claim {entry['id']!r} stands twice")
        rules = {key: tuple(_condition(entry["id"], text) for text in entry[key]) for key in ("supported", "not_supported")}
        if not all(rules.values()):
            raise ClaimsError(f"claim {entry['id']!r}: a rule without conditions would always hold")
        claims[entry["id"]] = Claim(**{**entry, **rules})
    return claims


def _condition(claim_id: str, text: str) -> Condition:
    parts = str(text).split()
    if len(parts) != 3 or parts[0] not in _FIELDS or parts[1] not in _OPERATORS:
        raise ClaimsError(
            f"claim {claim_id!r}: condition {text!r} is not 'field op number' with field in {_FIELDS} "
            f"and op in {sorted(_OPERATORS)}"
        )
    return Condition(parts[0], parts[1], float(parts[2]))


def record(
    claim_id: str,
    *,
    value: float,
    low: float | None = None,
    high: float | None = None,
    p: float | None = None,
    n: int | None = None,
    data: str,
    simulated: bool,
    note: str = "",
    path: str | Path | None = None,
) -> Row:
    """Judge a result by the rule fixed in advance and write it to the ledger.

    Parameters
    ----------
    claim_id : str
        A claim of `load_claims`.
    value, low, high, p, n
        Estimate, interval limits, p-value and number of units; at least what the rule asks for.
    data : str
        What it was computed on, for a reader.
    simulated : bool
        True marks data label and verdict as simulated.
    note : str
        One remark.
    path : path, optional
        The ledger; else the environment's KERNEL_LEDGER, else ``book/claims.json`` in a folder above.

    Returns
    -------
    Row

    Raises
    ------
    UnknownClaimError
        If there is no such claim.
    ClaimsError
        If a number is not finite, the interval is upside down, or the rule needs a value that is missing.
    LedgerNotFoundError
        If there is nowhere to write.
    """
    claims = load_claims()
    if claim_id not in claims:
        raise UnknownClaimError(f"unknown claim {claim_id!r}: the claims are {list(claims)}")
    claim = claims[claim_id]
    measured = {"value": value, "low": low, "high": high, "p": p, "n": n}
    _check_measured(claim, measured)
    if simulated and "simulated" not in data:
        data = f"{data} (simulated)"
    verdict = claim.verdict(measured) + (" (simulated)" if simulated else "")
    rounded = {key: None if v is None else _round(v) for key, v in measured.items()}
    row = Row(claim_id, data, simulated=simulated, verdict=verdict, note=note, **rounded)
    target = ledger_path(path)
    rows = {(r.id, r.data): r for r in read_ledger(target)}
    rows[row.id, row.data] = row
    _write_ledger(target, [rows[key] for key in sorted(rows) if key[0] in claims])
    return row


def _check_measured(claim: Claim, measured: Mapping[str, float | None]) -> None:
    for key, found in measured.items():
        if found is not None and not math.isfinite(found):
            raise ClaimsError(f"{claim.id}: {key} must be finite, got {found}")
    if measured["low"] is not None and measured["high"] is not None and measured["low"] > measured["high"]:
        raise ClaimsError(f"{claim.id}: the interval {measured['low']} to {measured['high']} is upside down")
    needed = {c.field for c in claim.supported + claim.not_supported}
    missing = sorted(key for key in needed if measured[key] is None)
    if missing:
        raise ClaimsError(f"{claim.id}: its rule needs {missing}, which were not given")


def _round(value: float) -> float | int:
    """Two decimals, or one digit for smaller numbers: what survives a change of machine."""
    if isinstance(value, int) or float(value).is_integer():
        return int(value)
    return round(float(value), 2) if abs(value) >= 0.01 else float(f"{value:.0e}")


def ledger_path(path: str | Path | None = None) -> Path:
    """Where the ledger is: the argument, KERNEL_LEDGER, or ``book/claims.json`` in a folder above this one."""
    if path is not None:
        return Path(path)
    if os.environ.get("KERNEL_LEDGER"):
        return Path(os.environ["KERNEL_LEDGER"])
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "_toc.yml").exists() and (folder / "book").is_dir():
            return folder / "book" / "claims.json"
    raise LedgerNotFoundError(f"no book above {here}: set KERNEL_LEDGER to a file, or pass path=")


def read_ledger(path: str | Path | None = None) -> list[Row]:
    """All recorded rows; an absent ledger is empty, a damaged one raises `ClaimsError`."""
    target = ledger_path(path)
    if not target.exists():
        return []
    try:
        return [Row(**entry) for entry in json.loads(target.read_text(encoding="utf-8"))]
    except (json.JSONDecodeError, TypeError) as error:
        raise ClaimsError(f"{target} is not a ledger ({error}): delete it and run the chapters again") from error


def _write_ledger(target: Path, rows: Sequence[Row]) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with files.atomic_path(target) as temporary:
        temporary.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n", encoding="utf-8")


def show(*rows: Row) -> pd.DataFrame:
    """The end of a chapter: claim, data and verdict of its rows, one line each; stable across machines."""
    claims = load_claims()
    return pd.DataFrame(
        [{"claim": r.id, "question": claims[r.id].estimand, "data": r.data, "verdict": r.verdict} for r in rows]
    )


def ledger(path: str | Path | None = None) -> pd.DataFrame:
    """Every claim with every result; claims without a result appear as "not run"."""
    found: dict[str, list[Row]] = {}
    for row in read_ledger(path):
        found.setdefault(row.id, []).append(row)
    table = []
    for claim in load_claims().values():
        base = {"id": claim.id, "claim": claim.claim, "paper": claim.paper, "estimand": claim.estimand, "needs": claim.needs}
        rule = {"rule": " and ".join(map(str, claim.supported)), "chapter": claim.chapter}
        rows: list[dict[str, Any]] = [asdict(row) for row in found.get(claim.id, [])]
        for row in rows or [{"verdict": "not run"}]:
            table.append({**base, **row, **rule})
    columns = ["id", "claim", "paper", "estimand", "needs", "data", *_FIELDS, "simulated", "verdict", "note", "rule", "chapter"]
    return pd.DataFrame(table).reindex(columns=columns)


def ledger_markdown(path: str | Path | None = None) -> str:
    """The ledger as a page: a count of verdicts, then one table for each claim C1 to C9."""
    table = ledger(path)
    kinds = table["verdict"].str.removesuffix(" (simulated)")
    simulated = table["verdict"].str.endswith("(simulated)")
    lines = ["| verdict | real data | simulated data |", "|---|---|---|"]
    for verdict in VERDICTS:
        counts = [int((kinds.eq(verdict) & mask).sum()) for mask in (~simulated, simulated)]
        lines.append(f"| {verdict} | {counts[0]} | {counts[1]} |")
    for group, rows in table.groupby(table["id"].str.partition(".")[0], sort=False):
        lines += ["", f"## {group}", "", "| claim | paper | ours | verdict |", "|---|---|---|---|"]
        for row in rows.to_dict("records"):
            lines.append(f"| {_claim_cell(row)} | {row['paper']} | {_found_cell(row)} | {_verdict_cell(row)} |")
    return "\n".join(lines) + "\n"


def _claim_cell(row: Mapping[str, Any]) -> str:
    return f"`{row['id']}`<br>{row['claim']}"


def _found_cell(row: Mapping[str, Any]) -> str:
    if row["verdict"] == "not run":
        return f"needs: {row['needs']}"
    text = f"{row['value']:g}"
    if pd.notna(row["low"]) and pd.notna(row["high"]):
        text += f" [{row['low']:g}, {row['high']:g}]"
    if pd.notna(row["p"]):
        text += f", p {row['p']:g}"
    if pd.notna(row["n"]):
        text += f", n {row['n']:g}"
    text += f"<br>{row['estimand']}; {row['data']}"
    return text + (f". {row['note']}" if row["note"] else "")


def _verdict_cell(row: Mapping[str, Any]) -> str:
    verdict = f"**{row['verdict']}**"
    if row["chapter"] and row["verdict"] != "not run":
        verdict += f"<br>[chapter](../notebooks/{row['chapter']}.ipynb)"
    return f"{verdict}<br>supported if {row['rule']}"


def paper_alignment_table() -> pd.DataFrame:
    """The paper's 25 alignment strategies with its own p-values, and those adjusted for 25 tests.

    Printed bounds such as "< 1e-4" are taken at the bound, which is the paper's side of the doubt for a single
    test and leaves the adjusted count as printed figures give it.

    Returns
    -------
    DataFrame
        Columns ``number``, ``strategy``, ``delta`` (balanced accuracy), ``p``, ``p_holm``, ``p_bh``.
    """
    with resources("kernel").joinpath("data/alignment_p_values.csv").open(encoding="utf-8") as file:
        table = pd.read_csv(file, comment="#")
    return table.assign(p_holm=stats.holm(table["p"]), p_bh=stats.benjamini_hochberg(table["p"]))
