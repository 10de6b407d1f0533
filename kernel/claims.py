"""The ledger: every claim of the paper, the rule that judges it, and what was found.

In:  ``data/claims.yaml``, fixed in advance; values that a chapter has computed.
Out: verdicts, one row per claim and data set, in a JSON file that the book renders.
Never computes a statistic and never changes a rule.
"""

from __future__ import annotations

import itertools
import json
import math
import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from numbers import Real
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

import numpy as np
import pandas as pd

from kernel import files, stats

_OPERATORS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_FIELDS = ("value", "low", "high", "p", "n")
_KEYS = ("id", "part", "claim", "paper", "estimand", "supported", "not_supported", "needs", "chapter")
_OPTIONAL_KEYS = ("caveat", "command", "status")
_RULES = ("supported", "not_supported")

VERDICTS = ("supported", "not supported", "inconclusive", "not run")
#: What became of a claim with several results.
OUTCOMES = ("held", "held in part", "failed", "could not be decided", "not asked")
#: Words in the labels of simulated cohorts in which there is nothing to find.
_NOTHING_PLANTED = ("no valence", "no_valence", "nothing planted", "null", "identity only", "no emotions")
#: The paper's claims in its order, as the ledger heads them.
GROUPS = MappingProxyType(
    {
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
)
#: What the paper stands on, claim by claim, and the rows of the ledger that put it to the test.
HEADLINES = MappingProxyType(
    {
        "Nine sentences give a valence direction": (
            "C1.cued_recipe",
            "C1.bare_recipe",
            "C2.beats_matched",
            "C3.class_r",
        ),
        "One linear projection of EEG tracks it": ("C4.ridge_in_sample", "C4.noise_in_sample", "C4.tracked"),
        "Classifiers find it unasked": (
            "C6.class_pc1",
            "C6.residual",
            "C6.ablation",
            "C6.ablation_isotropic",
        ),
        "25 ways of alignment help nothing": (
            "C7.count_holm",
            "C7.count_own",
            "C7.none_helps",
            "C7.beyond_placebo",
            "C7.helps_when_scarce",
        ),
        "Residual diversity helps": (
            "C8.gain",
            "C8.relative_gain",
            "C8.beats_deep_ensemble",
            "C8.residual_predicts",
        ),
        "It replicates on SEED-V": ("C9.best_cell", "C9.class_pc1", "C9.saturation", "C9.class_order"),
    }
)
_SIMULATED = " (simulated)"


class ClaimsError(ValueError):
    """The claims file, a recorded result or a ledger does not have the agreed form."""


class UnknownClaimError(KeyError):
    """No such claim."""

    def __str__(self) -> str:
        return str(self.args[0])


class LedgerNotFoundError(FileNotFoundError):
    """No place for a ledger could be found."""


@dataclass(frozen=True)
class Condition:
    """One comparison, such as ``low > 0.5``."""

    field: str
    op: str
    than: float

    def holds(self, measured: Mapping[str, float | None]) -> bool:
        """Whether it holds; a value that was not measured never satisfies a condition."""
        found = measured.get(self.field)
        return found is not None and _OPERATORS[self.op](found, self.than)

    def __str__(self) -> str:
        return f"{self.field} {self.op} {self.than:g}"


@dataclass(frozen=True)
class Clause:
    """One line of a rule: a comparison, or several of which one must hold."""

    alternatives: tuple[Condition, ...]

    def holds(self, measured: Mapping[str, float | None]) -> bool:
        """Whether any alternative holds."""
        return any(condition.holds(measured) for condition in self.alternatives)

    def __str__(self) -> str:
        return " or ".join(map(str, self.alternatives))


@dataclass(frozen=True)
class Claim:
    """A claim of the paper and the rule that judges it.

    Attributes
    ----------
    id : str
        Number of the claim and a name, such as ``C1.pc1_share``.
    part : str
        Part of the book that tests it, I to V.
    claim : str
        What the paper says, in one sentence.
    paper : str
        The paper's figure.
    estimand : str
        What we compute.
    supported, not_supported : tuple of Clause
        All must hold; where neither set holds the verdict is inconclusive.
    needs : str
        Data it takes.
    chapter : str
        Notebook that runs it; empty while there is none.
    caveat : str
        What the figure or the rule cannot say.
    command : str
        For a claim without a chapter: what runs it, in Python; empty where nothing here does.
    status : str
        Empty for a rule that was fixed before any recording was read; ``exploratory`` for one that was not.
    """

    id: str
    part: str
    claim: str
    paper: str
    estimand: str
    supported: tuple[Clause, ...]
    not_supported: tuple[Clause, ...]
    needs: str
    chapter: str
    caveat: str = ""
    command: str = ""
    status: str = ""

    def verdict(self, measured: Mapping[str, float | None]) -> str:
        """Apply the rule to measured values.

        Parameters
        ----------
        measured : mapping
            Some of ``value``, ``low``, ``high``, ``p`` and ``n``.

        Returns
        -------
        {"supported", "not supported", "inconclusive"}
        """
        if all(clause.holds(measured) for clause in self.supported):
            return "supported"
        if all(clause.holds(measured) for clause in self.not_supported):
            return "not supported"
        return "inconclusive"

    @property
    def rule(self) -> str:
        """Both sides of the rule in words."""
        yes, no = (" and ".join(map(str, side)) for side in (self.supported, self.not_supported))
        return f"supported if {yes}; not supported if {no}"

    @property
    def fields(self) -> frozenset[str]:
        """What the rule asks for."""
        return frozenset(
            c.field for clause in self.supported + self.not_supported for c in clause.alternatives
        )


@dataclass(frozen=True)
class Row:
    """One result in the ledger.

    Attributes
    ----------
    id, data : str
        The claim and the data it was tested on; together they are the key.
    value, low, high, p, n : float or None
        Estimate, interval, p-value against the stated null, and number of units, as rounded for print.
    simulated : bool
        Whether the data were simulated.
    verdict : str
        Outcome of the rule, marked where the data were simulated or the rule is exploratory.
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

    def _repr_markdown_(self) -> str:
        found = "; ".join(filter(None, (_estimate(asdict(self)), self.data, self.note)))
        return f"`{self.id}`: **{self.verdict}** ({found})"


# ---- claims


@cache
def load_claims() -> Mapping[str, Claim]:
    """All claims by id, in the paper's order; raises `ClaimsError` where the file is malformed."""
    return MappingProxyType(files.read_packaged("data/claims.yaml", lambda file: parse_claims(file.read())))


def parse_claims(text: str) -> dict[str, Claim]:
    """Read and check a claims file.

    Parameters
    ----------
    text : str
        YAML: a list of claims with the keys of `Claim`. A rule is a list of lines, each ``field op number``
        or several joined by ``or``.

    Returns
    -------
    dict of str to Claim

    Raises
    ------
    ClaimsError
        At any unknown or missing key, claim number, field or operator, an id that stands twice, an empty
        rule, or a rule whose two sides can hold at once.
    """
    try:
        entries = files.read_yaml(text)
    except ValueError as error:
        raise ClaimsError(f"a claims file must be YAML: {error}") from error
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ClaimsError("a claims file is a list of mappings")
    claims: dict[str, Claim] = {}
    for entry in entries:
        claim = _parse_claim(entry)
        if claim.id in claims:
            raise ClaimsError(f"claim {claim.id!r} stands twice")
        claims[claim.id] = claim
    return claims


def _parse_claim(entry: Mapping[str, Any]) -> Claim:
    name = str(entry.get("id"))
    missing, unknown = set(_KEYS) - set(entry), set(entry) - set(_KEYS) - set(_OPTIONAL_KEYS)
    if missing or unknown:
        raise ClaimsError(
            f"claim {name!r}: keys missing {sorted(missing)}, keys unknown {sorted(map(str, unknown))}"
        )
    group, dot, rest = name.partition(".")
    if group not in GROUPS or not dot or not rest.isidentifier():
        raise ClaimsError(f"claim {name!r}: an id is one of {', '.join(GROUPS)}, a dot and a plain name")
    texts = {key: text for key, text in entry.items() if key not in _RULES}
    for key, text in texts.items():
        if not isinstance(text, str) or not (text.strip() or key in ("chapter", *_OPTIONAL_KEYS)):
            raise ClaimsError(f"claim {name!r}: {key} must be text, got {text!r}")
    if entry.get("status", "") not in ("", "exploratory"):
        raise ClaimsError(f"claim {name!r}: status must be exploratory or absent, got {entry['status']!r}")
    rules: dict[str, Any] = {}
    for key in _RULES:
        if not isinstance(entry[key], list) or not entry[key]:
            raise ClaimsError(f"claim {name!r}: {key} must be a list of conditions, got {entry[key]!r}")
        rules[key] = tuple(_parse_clause(name, line) for line in entry[key])
    claim = Claim(**texts, **rules)
    if _can_hold(claim.supported + claim.not_supported):
        raise ClaimsError(f"claim {name!r}: its rule can support and not support at once: {claim.rule}")
    return claim


def _parse_clause(name: str, line: Any) -> Clause:
    return Clause(tuple(_parse_condition(name, text) for text in str(line).split(" or ")))


def _parse_condition(name: str, text: str) -> Condition:
    parts = text.split()
    try:
        field, op, than = parts
        condition = Condition(field, op, float(than))
    except ValueError:
        condition = None
    if (
        condition is None
        or condition.field not in _FIELDS
        or condition.op not in _OPERATORS
        or not math.isfinite(condition.than)
    ):
        raise ClaimsError(
            f"claim {name!r}: condition {text!r} is not 'field op number' with field one of {_FIELDS} "
            f"and op one of {tuple(_OPERATORS)}"
        )
    return condition


def _can_hold(clauses: Sequence[Clause]) -> bool:
    """Whether some measured values satisfy every clause, given that low never exceeds high."""
    return any(map(_compatible, itertools.product(*(clause.alternatives for clause in clauses))))


def _compatible(conditions: Sequence[Condition]) -> bool:
    def floor(field: str) -> tuple[float, bool]:  # the second entry: the bound itself is excluded
        return max(
            ((c.than, c.op == ">") for c in conditions if c.field == field and c.op[0] == ">"),
            default=(-math.inf, False),
        )

    def ceiling(field: str) -> tuple[float, bool]:  # the second entry: the bound itself is included
        return min(
            ((c.than, c.op == "<=") for c in conditions if c.field == field and c.op[0] == "<"),
            default=(math.inf, True),
        )

    for below, above in (*((field, field) for field in _FIELDS), ("low", "high")):
        (least, excluded), (most, included) = floor(below), ceiling(above)
        if least > most or (least == most and (excluded or not included)):
            return False
    return True


# ---- results


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

    The rule sees the numbers as they come. What is stored and printed is rounded to what survives a change of
    machine; where that would lead to another verdict, to as many digits more as the rule needs.
    A second result for the same claim and data replaces the first.

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
        If a number is out of range, the interval is upside down, the rule needs a value that is missing, or
        the data label is empty or contradicts `simulated`.
    LedgerNotFoundError
        If there is nowhere to write.
    """
    claims = load_claims()
    if claim_id not in claims:
        raise UnknownClaimError(f"unknown claim {claim_id!r}: choose from {', '.join(claims)}")
    claim = claims[claim_id]
    measured: dict[str, Any] = {"value": value, "low": low, "high": high, "p": p, "n": n}
    _check_measured(claim, measured)
    verdict = claim.verdict(measured)
    candidates = (
        {key: None if number is None else _round(key, number, extra) for key, number in measured.items()}
        for extra in range(17)  # with so many digits nothing is rounded
    )
    printed: dict[str, Any] = next(row for row in candidates if claim.verdict(row) == verdict)
    row = Row(
        id=claim_id,
        data=_data_label(claim, data, simulated),
        **printed,
        simulated=bool(simulated),
        verdict=_marked(verdict, claim.status, "simulated" if simulated else ""),
        note=note,
    )
    _add(ledger_path(path), row)
    return row


def _marked(verdict: str, *marks: str) -> str:
    """A verdict with what qualifies it, as in "supported (exploratory, simulated)"."""
    shown = ", ".join(filter(None, marks))
    return f"{verdict} ({shown})" if shown else verdict


def plain_verdict(verdict: str) -> str:
    """One of `VERDICTS`, without the marks of simulated data and of exploratory rules."""
    return verdict.partition(" (")[0]


def _check_measured(claim: Claim, measured: Mapping[str, Any]) -> None:
    for key, found in measured.items():
        if found is None:
            continue
        if not isinstance(found, Real) or not math.isfinite(found):
            raise ClaimsError(f"{claim.id}: {key} must be a finite number, got {found!r}")
    low, high, p, n = (measured[key] for key in ("low", "high", "p", "n"))
    if (low is None) != (high is None):
        raise ClaimsError(f"{claim.id}: an interval has two limits, got low {low} and high {high}")
    if low is not None and low > high:
        raise ClaimsError(f"{claim.id}: the interval {low} to {high} is upside down")
    if p is not None and not 0 <= p <= 1:
        raise ClaimsError(f"{claim.id}: p must lie in [0, 1], got {p}")
    if n is not None and (n < 1 or n != int(n)):
        raise ClaimsError(f"{claim.id}: n must be a count, got {n}")
    missing = sorted(key for key in claim.fields if measured[key] is None)
    if missing:
        raise ClaimsError(f"{claim.id}: its rule needs {', '.join(missing)} ({claim.rule})")


def _data_label(claim: Claim, data: str, simulated: bool) -> str:
    if not data.strip():
        raise ClaimsError(f"{claim.id}: data is empty: say what the value was computed on")
    if "simulated" in data and not simulated:
        raise ClaimsError(f"{claim.id}: data {data!r} says simulated, but simulated=False was passed")
    return data + _SIMULATED if simulated and "simulated" not in data else data


def _round(key: str, number: float, extra: int = 0) -> float | int:
    """Two decimals, and of smaller numbers one digit, of p-values two; then as many more as are asked for."""
    if float(number).is_integer():
        return int(number)
    digits, small = (2, 0.1) if key == "p" else (1, 0.01)
    if abs(number) >= small:
        return round(float(number), 2 + extra)
    return float(f"{float(number):.{digits + extra}g}")


# ---- the file


def ledger_path(path: str | Path | None = None) -> Path:
    """Where the ledger is: the argument, KERNEL_LEDGER, or ``book/claims.json`` in a folder above this one.

    Raises `LedgerNotFoundError` if there is none of the three.
    """
    if path is not None:
        return files.absolute(path)
    return _ledger_for("KERNEL_LEDGER")


def book_ledger() -> Path:
    """The ledger of the book so far: KERNEL_BOOK_LEDGER, which a build sets, or the committed one.

    Unlike `ledger_path` it is for reading: a chapter's own rows go to a ledger of their own while it runs.
    """
    return _ledger_for("KERNEL_BOOK_LEDGER")


def _ledger_for(variable: str) -> Path:
    if place := files.places().get(variable):
        return Path(place)
    book = files.book_folder()
    if book is None:
        raise LedgerNotFoundError(f"no book around {Path.cwd()}: set {variable} to a file, or pass path=")
    return book / "claims.json"


def read_ledger(path: str | Path | None = None) -> list[Row]:
    """All recorded rows; an absent ledger is empty, a damaged one raises `ClaimsError`."""
    target = ledger_path(path)
    try:
        return [_stored_row(entry) for entry in json.loads(target.read_text(encoding="utf-8"))]
    except FileNotFoundError:
        return []
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise ClaimsError(
            f"{target} is not a ledger ({error}): delete it and run the chapters again"
        ) from error


def _stored_row(entry: Mapping[str, Any]) -> Row:
    """A row as the file tells it; TypeError or ValueError if it is none."""
    row = Row(**entry)
    for key, found in asdict(row).items():
        if key in _FIELDS:
            fits = found is None or (isinstance(found, Real) and math.isfinite(found))
        else:
            fits = isinstance(found, bool if key == "simulated" else str)
        if not fits:
            raise ValueError(f"{key} is {str(found)[:40]!r} in a row")
    return row


def _add(target: Path, row: Row) -> None:
    """Insert or replace one row; chapters that run side by side wait for one another."""
    with files.one_at_a_time(target.resolve()):
        rows = {(r.id, r.data): r for r in read_ledger(target) if r.id in load_claims()}
        rows[row.id, row.data] = row
        entries = [asdict(rows[key]) for key in sorted(rows)]
        with files.atomic_path(target) as temporary:
            text = json.dumps(entries, indent=1, ensure_ascii=False) + "\n"
            temporary.write_text(text, encoding="utf-8")


# ---- views


def show(*rows: Row) -> pd.DataFrame:
    """The end of a chapter: its rows with the paper's figure beside ours.

    Parameters
    ----------
    *rows : Row
        As `record` returns them.

    Returns
    -------
    DataFrame indexed by claim id
        Text columns ``claim``, ``paper``, ``ours``, ``interval``, ``p``, ``data`` and ``verdict``, rounded as
        in the ledger. Where a stored output is compared across machines, select ``verdict``.
    """
    claims = load_claims()
    table = [
        {
            "claim": claims[row.id].claim,
            "paper": claims[row.id].paper,
            "ours": _number(row.value),
            "interval": _interval(row.low, row.high),
            "p": _number(row.p),
            "data": row.data,
            "verdict": row.verdict,
        }
        for row in rows
    ]
    columns = ["claim", "paper", "ours", "interval", "p", "data", "verdict"]
    return pd.DataFrame(table, index=pd.Index([row.id for row in rows], name="id"), columns=columns)


def outcome(verdicts: Iterable[str]) -> str:
    """Several verdicts of one claim in a word: one of `OUTCOMES`."""
    kinds = {plain_verdict(verdict) for verdict in verdicts}
    if not kinds:
        return "not asked"
    if "supported" in kinds:
        return "held" if len(kinds) == 1 else "held in part"
    return "failed" if "not supported" in kinds else "could not be decided"


def outcomes(ids: Iterable[str] | None = None, path: str | Path | None = None) -> pd.DataFrame:
    """What became of claims on real data and in simulations, which are never counted together.

    Parameters
    ----------
    ids : iterable of str, optional
        Claims of `load_claims`; all by default.
    path : path, optional
        As in `record`.

    Returns
    -------
    DataFrame indexed by claim id
        ``claim``; ``real``, ``planted`` and ``nothing planted``, one of `OUTCOMES` each, for results on real
        data, on simulated cohorts in which something was planted, and on those in which nothing was; and
        ``supported``, ``results``, counted over real data where there are any, else over planted cohorts.

    Raises
    ------
    UnknownClaimError
        If there is no such claim.
    """
    claims, rows = load_claims(), read_ledger(path)
    table = []
    for name in claims if ids is None else ids:
        if name not in claims:
            raise UnknownClaimError(f"unknown claim {name!r}: choose from {', '.join(claims)}")
        sides: dict[str, list[str]] = {"real": [], "planted": [], "nothing planted": []}
        for row in rows:
            if row.id == name:
                empty = any(word in row.data for word in _NOTHING_PLANTED)
                side = "real" if not row.simulated else "nothing planted" if empty else "planted"
                sides[side].append(plain_verdict(row.verdict))
        counted = sides["real"] or sides["planted"]
        table.append(
            {
                "id": name,
                "claim": claims[name].claim,
                **{side: outcome(verdicts) for side, verdicts in sides.items()},
                "supported": counted.count("supported"),
                "results": len(counted),
            }
        )
    return pd.DataFrame(table).set_index("id")


def verdict_sentence(ids: Sequence[str], path: str | Path | None = None) -> str:
    """What the ledger says of some claims, in words, by outcome: real data where there are any.

    Parameters
    ----------
    ids : sequence of str
        Claims of `load_claims`.
    path : path, optional
        As in `record`.

    Returns
    -------
    str
        Each claim in the words of the claims file, with the number of its results that are supported where
        that is neither none nor all, and marked where there are simulated results only.

    Raises
    ------
    UnknownClaimError
        If there is no such claim.
    """
    groups: dict[str, list[str]] = {name: [] for name in OUTCOMES}
    for claim in outcomes(ids, path).itertuples():
        real = claim.real != "not asked"
        word = claim.real if real else claim.planted
        remarks = [f"{claim.supported} of {claim.results} results"] if word == "held in part" else []
        remarks += ["simulated EEG only"] if not real and claim.results else []
        text = claim.claim.rstrip(".")
        groups[word].append(f"“{text}”" + (f" ({', '.join(remarks)})" if remarks else ""))
    return " ".join(f"{word.capitalize()}: {'; '.join(texts)}." for word, texts in groups.items() if texts)


def ledger(path: str | Path | None = None) -> pd.DataFrame:
    """Every claim with every result, one row each; claims without a result appear as "not run".

    Parameters
    ----------
    path : path, optional
        As in `record`.

    Returns
    -------
    DataFrame
        The attributes of `Claim`, the rule in words as ``rule``, and those of `Row`.
    """
    found: dict[str, list[Row]] = {}
    for row in read_ledger(path):
        found.setdefault(row.id, []).append(row)
    of_claim = ("id", "part", "claim", "paper", "estimand", "rule", "needs", "chapter", "caveat", "command")
    of_row = ("data", *_FIELDS, "simulated", "verdict", "note")
    table = []
    for claim in load_claims().values():
        base = {key: getattr(claim, key) for key in of_claim}
        rows: list[dict[str, Any]] = [asdict(row) for row in found.get(claim.id, [])]
        table += [base | row for row in rows or [{"verdict": "not run"}]]
    return pd.DataFrame(table).reindex(columns=[*of_claim, *of_row])


def ledger_markdown(path: str | Path | None = None) -> str:
    """The ledger as text of a page: how many verdicts of each kind, then one table for each of C1 to C9.

    Parameters
    ----------
    path : path, optional
        As in `record`. The page is meant for the folder ``book``: chapters are linked relative to it.

    Returns
    -------
    str
        MyST Markdown.
    """
    table = ledger(path)
    group = table["id"].str.partition(".")[0]
    lines = _count_lines(table, group)
    for name, rows in table.groupby(group, sort=False):
        lines += ["", f"## {name}: {GROUPS[name]}", ""]
        lines += _table(["claim", "paper", "ours", "verdict"], map(_ledger_cells, rows.to_dict("records")))
    return "\n".join(lines) + "\n"


def _count_lines(table: pd.DataFrame, group: pd.Series) -> list[str]:
    """Count results by claim and verdict: preregistered, exploratory and simulated apart."""
    kind, marks = table["verdict"].map(plain_verdict), table["verdict"].str.partition(" (")[2]
    simulated, exploratory = marks.str.contains("simulated"), marks.eq("exploratory)")

    def cell(mask: pd.Series) -> str:
        counts = {
            "": (mask & ~simulated & ~exploratory).sum(),
            " exploratory": (mask & exploratory).sum(),
            " simulated": (mask & simulated).sum(),
        }
        return " + ".join(f"{n}{what}" for what, n in counts.items() if n) or "0"

    rows = [
        [f"{name}: {title}", *(cell((group == name) & (kind == verdict)) for verdict in VERDICTS)]
        for name, title in GROUPS.items()
    ]
    rows.append(["**all**", *(cell(kind == verdict) for verdict in VERDICTS)])
    return _table(["claim", *VERDICTS], rows)


def _ledger_cells(row: Mapping[str, Any]) -> list[str]:
    """Claim, the paper's figure, what was found, and the verdict, of one row of the ledger."""
    claim = [f"`{row['id']}`", row["claim"], f"*{row['caveat']}*" if row["caveat"] else ""]
    if row["verdict"] == "not run":
        run = f"`{row['command']}`" if row["command"] else "nothing in this edition runs it"
        found = [row["estimand"], f"needs {row['needs']}", run if not row["chapter"] else ""]
        link = f"[chapter](../notebooks/{row['chapter']}.ipynb)" if row["chapter"] else ""
    else:
        found = [f"**{_estimate(row)}**", row["estimand"], row["data"], row["note"]]
        link = f"[chapter](../notebooks/{row['chapter']}.ipynb)" if row["chapter"] else ""
    verdict = [f"**{row['verdict']}**", row["rule"], link]
    return ["<br>".join(filter(None, cell)) for cell in (claim, [row["paper"]], found, verdict)]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    # a bar would end the cell, even in code and mathematics
    body = [[str(cell).replace("|", r"\|").replace("\n", " ") for cell in row] for row in rows]
    return [f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *body]]


def _estimate(row: Mapping[str, Any]) -> str:
    """Estimate, interval, p and n in one line, as far as they were measured."""
    parts = [f"{_number(row['value'])} {_interval(row['low'], row['high'])}".strip()]
    parts += [f"{key} {_number(row[key])}" for key in ("p", "n") if pd.notna(row[key])]
    return ", ".join(parts)


def _number(found: float | None) -> str:
    return "" if found is None or pd.isna(found) else f"{found:g}"


def _interval(low: float | None, high: float | None) -> str:
    return f"[{_number(low)}, {_number(high)}]" if _number(low) else ""


def paper_alignment_table() -> pd.DataFrame:
    """The paper's 25 alignment strategies with its own p-values, and those adjusted for 25 tests.

    Figures printed as bounds, such as "< 1e-4", are taken at the bound and marked; the true value may be
    smaller, so the number of strategies that survive a correction is a lower limit.

    Returns
    -------
    DataFrame, 25 rows
        Columns ``number``, ``strategy``, ``delta`` (change of balanced accuracy), ``p``, ``bound`` (bool),
        ``p_holm``, ``p_bh``.
    """
    table = files.read_packaged("data/alignment_p_values.csv", _paper_p_values)
    return table.assign(p_holm=stats.holm(table["p"]), p_bh=stats.benjamini_hochberg(table["p"]))


def _paper_p_values(file: IO[str]) -> pd.DataFrame:
    table = pd.read_csv(file, comment="#", true_values=["yes"], false_values=["no"])
    columns = ["number", "strategy", "delta", "p", "bound"]
    if list(table) != columns or table["number"].tolist() != list(range(1, 26)):
        raise ValueError(f"{len(table)} rows of {list(table)} instead of 25 of {columns}")
    stats.holm(table["p"])  # refuses what is no p-value
    if table["bound"].dtype != bool or not np.isfinite(table["delta"].to_numpy(dtype=float)).all():
        raise ValueError("delta holds something else than numbers, or bound than yes and no")
    return table
