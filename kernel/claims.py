"""The ledger: every claim of the paper, the rule that judges it, and what was found.

Rules stand in ``data/claims.yaml``, fixed in advance. Chapters `record` their values, which go with a verdict
into a JSON file that the book renders.
"""

from __future__ import annotations

import json
import math
import operator
import re
from collections.abc import Iterable, Mapping
from functools import cache
from numbers import Real
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, NamedTuple

import numpy as np
import pandas as pd

from kernel import checks, files, stats

_OPERATORS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_FIELDS = ("value", "low", "high", "p", "n")
_COMPARISON = re.compile(rf"({'|'.join(_FIELDS)}) (<=?|>=?) (-?\d+(?:\.\d+)?)")
_DECIDED = ("supported", "not supported")
_ID = re.compile(r"C[1-9]\.[^\W\d]\w*")
_OURS = re.compile(r"\(our (?!own run)")

#: What became of a claim with several results.
OUTCOMES = ("held", "held in part", "failed", "could not be decided", "not asked")
#: Words in the labels of simulated cohorts in which there is nothing to find.
_NOTHING_PLANTED = (
    "no valence", "no_valence", "nothing planted", "null", "identity only", "no emotions", "noise",
)  # fmt: skip
#: What the paper stands on, claim by claim, and the rows of the ledger that put it to the test.
HEADLINES: Mapping[str, tuple[str, ...]] = files.read_packaged(
    "data/headlines.yaml",
    lambda file: {name: tuple(ids) for name, ids in files.read_yaml(file.read()).items()},
)


class ClaimsError(ValueError):
    """The claims file, a recorded result or a ledger does not have the agreed form."""


class LedgerNotFoundError(FileNotFoundError):
    """No place for a ledger could be found."""


class Claim(NamedTuple):
    """A claim of the paper and the rule that judges it, as ``data/claims.yaml`` explains.

    `supported` and `not_supported` are lines that must all hold, each ``field op number`` or several joined
    by ``or``; where neither set holds the verdict is inconclusive. `chapter` is the notebook that runs it,
    `command` the Python that does where there is none; both may be empty. `status` is empty for a rule that
    was fixed before any recording was read, and ``exploratory`` for one that was not. `means` says, for a
    claim that denies something, what *supported* and *not supported* say in plain words.
    """

    id: str
    part: str
    claim: str
    paper: str
    estimand: str
    supported: tuple[str, ...]
    not_supported: tuple[str, ...]
    needs: str
    chapter: str
    caveat: str = ""
    command: str = ""
    status: str = ""
    means: Mapping[str, str] = MappingProxyType({})

    def verdict(self, measured: Mapping[str, float | None]) -> str:
        """Supported, not supported or inconclusive, by some of ``value``, ``low``, ``high``, ``p``, ``n``."""
        if all(_holds(line, measured) for line in self.supported):
            return "supported"
        return (
            "not supported" if all(_holds(line, measured) for line in self.not_supported) else "inconclusive"
        )

    @property
    def rule(self) -> str:
        """Both sides of the rule in words."""
        yes, no = " and ".join(self.supported), " and ".join(self.not_supported)
        return f"supported if {yes}; not supported if {no}"

    @property
    def ours(self) -> bool:
        """Whether this audit asks it, not the paper: the claim says so, or the paper has no figure for it."""
        return bool(_OURS.search(self.claim)) or self.paper.startswith(("no ", "not "))

    @property
    def reading(self) -> str:
        """What each verdict means, where it could be read the wrong way round."""
        return " ".join(f"{word.capitalize()}: {self.means[word]}." for word in _DECIDED if self.means)

    @property
    def fields(self) -> frozenset[str]:
        """What the rule asks for."""
        lines = self.supported + self.not_supported
        return frozenset(field for line in lines for field, _, _ in _parse(line))


class Row(NamedTuple):
    """One result in the ledger: numbers as rounded for print, the verdict marked if simulated or exploratory.

    The claim and the data it was tested on are the key; ``n`` counts units, ``p`` is against the stated null.
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


# ---- claims


@cache
def load_claims() -> Mapping[str, Claim]:
    """All claims by id, in the paper's order; raises `ClaimsError` where the file is malformed."""
    return MappingProxyType(files.read_packaged("data/claims.yaml", lambda file: parse_claims(file.read())))


def load_claim(claim_id: str) -> Claim:
    """The claim of an id; raises `ClaimsError` if there is none."""
    return load_claims()[checks.choice("claim", claim_id, load_claims(), error=ClaimsError)]


def parse_claims(text: str) -> dict[str, Claim]:
    """Claims by id from YAML: a list of mappings with the keys of `Claim`, rules as lists of lines.

    Raises `ClaimsError` for anything else.
    """
    try:
        entries = files.read_yaml(text)
    except ValueError as error:
        raise ClaimsError(f"a claims file must be YAML: {error}") from error
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        raise ClaimsError("a claims file is a list of mappings")
    claims = [_claim(entry) for entry in entries]
    checks.choices("claims", [claim.id for claim in claims], error=ClaimsError)
    return {claim.id: claim for claim in claims}


def _claim(entry: Mapping[str, Any]) -> Claim:
    name, optional = str(entry.get("id")), Claim._field_defaults
    missing, unknown = set(Claim._fields) - set(entry) - set(optional), set(entry) - set(Claim._fields)
    if missing or unknown:
        raise ClaimsError(
            f"claim {name!r}: keys missing {sorted(missing)}, keys unknown {sorted(map(str, unknown))}"
        )
    rules = {}
    for key, content in entry.items():
        if key in ("supported", "not_supported"):
            if not isinstance(content, list) or not content:
                raise ClaimsError(f"claim {name!r}: {key} must be a list of conditions, got {content!r}")
            rules[key] = tuple(map(str, content))
            for line in rules[key]:
                _parse(line)
        elif key == "means":
            said = content.items() if isinstance(content, dict) else ()
            if {verdict for verdict, words in said if isinstance(words, str) and words} != set(_DECIDED):
                raise ClaimsError(f"claim {name!r}: means must say in words {_DECIDED}, got {content!r}")
        elif not isinstance(content, str) or not (content.strip() or key == "chapter" or key in optional):
            raise ClaimsError(f"claim {name!r}: {key} must be text, got {content!r}")
    if not _ID.fullmatch(name):
        raise ClaimsError(f"claim {name!r}: an id is one of C1 to C9, a dot and a plain name")
    checks.choice(f"claim {name!r}: status", entry.get("status", ""), ("", "exploratory"), error=ClaimsError)
    return Claim(**dict(entry) | rules)


@cache
def _parse(line: str) -> list[tuple[str, str, float]]:
    """Field, operator and number of every comparison of a line."""
    comparisons = []
    for text in line.split(" or "):
        match = _COMPARISON.fullmatch(text)
        if match is None:
            raise ClaimsError(
                f"condition {text!r} is not 'field op number' with field one of {_FIELDS} and op one of "
                f"{tuple(_OPERATORS)}"
            )
        comparisons.append((match[1], match[2], float(match[3])))
    return comparisons


def _holds(line: str, measured: Mapping[str, float | None]) -> bool:
    """Whether any comparison of a line holds; what was not measured satisfies none."""
    return any(
        (number := measured.get(field)) is not None and _OPERATORS[op](number, limit)
        for field, op, limit in _parse(line)
    )


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
    value, low, high, p, n
        Estimate, interval limits, p-value and number of units; at least what the rule asks for.
    data : str
        What it was computed on, for a reader.
    simulated : bool
        True marks data label and verdict as simulated.
    path : path, optional
        The ledger, else what ``KERNEL_LEDGER`` names, else that of the book around the working directory.

    Raises
    ------
    ClaimsError
        If there is no such claim, its rule cannot judge such numbers, or the label contradicts `simulated`.
    LedgerNotFoundError
        If there is nowhere to write.
    """
    claim = load_claim(claim_id)
    measured: dict[str, Any] = dict(zip(_FIELDS, (value, low, high, p, n), strict=True))
    _check(claim, measured, data, simulated)
    verdict = claim.verdict(measured)
    roundings = (
        {key: None if number is None else _round(key, number, extra) for key, number in measured.items()}
        for extra in range(17)  # with so many digits nothing is rounded
    )
    printed: dict[str, Any] = next(numbers for numbers in roundings if claim.verdict(numbers) == verdict)
    marks = ", ".join(filter(None, (claim.status, "simulated" if simulated else "")))
    row = Row(
        id=claim_id,
        data=f"{data} (simulated)" if simulated and "simulated" not in data else data,
        **printed,
        simulated=bool(simulated),
        verdict=f"{verdict} ({marks})" if marks else verdict,
        note=note,
    )
    _add(_ledger_path(path), row)
    return row


def plain_verdict(verdict: str) -> str:
    """A verdict without its marks: one of those of the rules."""
    return verdict.partition(" (")[0]


def _check(claim: Claim, measured: Mapping[str, Any], data: str, simulated: bool) -> None:
    for key, number in measured.items():
        if number is not None and not (isinstance(number, Real) and math.isfinite(number)):
            raise ClaimsError(f"{claim.id}: {key} must be a finite number, got {number!r}")
    _, low, high, p, n = measured.values()
    missing = sorted(key for key in claim.fields if measured[key] is None)
    faults = {
        f"an interval has two limits, got low {low} and high {high}": (low is None) != (high is None),
        f"the interval {low} to {high} is upside down": None not in (low, high) and low > high,
        f"p must lie in [0, 1], got {p}": p is not None and not 0 <= p <= 1,
        f"n must be a count, got {n}": n is not None and (n < 1 or n != int(n)),
        f"its rule needs {', '.join(missing)} ({claim.rule})": bool(missing),
        "data is empty: say what the value was computed on": not data.strip(),
        f"data {data!r} says simulated, but simulated=False was passed": "simulated" in data
        and not simulated,
    }
    for fault, is_so in faults.items():
        if is_so:
            raise ClaimsError(f"{claim.id}: {fault}")


def _round(key: str, number: float, extra: int) -> float | int:
    """Two decimals, and of smaller numbers one digit, of p-values two; then as many more as are asked for."""
    if float(number).is_integer():
        return int(number)
    digits, small = (2, 0.1) if key == "p" else (1, 0.01)
    if abs(number) >= small:
        return round(float(number), 2 + extra)
    return float(f"{float(number):.{digits + extra}g}")


# ---- the file


def _ledger_path(path: str | Path | None = None) -> Path:
    """Where the ledger is: the argument, KERNEL_LEDGER, or ``book/claims.json`` in a folder above."""
    return _ledger_for("KERNEL_LEDGER") if path is None else files.absolute(path)


def book_ledger() -> Path:
    """The ledger of the book so far: KERNEL_BOOK_LEDGER, which a build sets, or the committed one."""
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
    target = _ledger_path(path)
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
    for key, content in row._asdict().items():
        if key in _FIELDS:
            fits = content is None or (isinstance(content, Real) and math.isfinite(content))
        else:
            fits = isinstance(content, bool if key == "simulated" else str)
        if not fits:
            raise ValueError(f"{key} is {str(content)[:40]!r} in a row")
    return row


def _add(target: Path, row: Row) -> None:
    """Insert or replace one row; chapters that run side by side wait for one another."""
    with files.one_at_a_time(target.resolve()):
        rows = {(r.id, r.data): r for r in read_ledger(target) if r.id in load_claims()}
        rows[row.id, row.data] = row
        entries = [rows[key]._asdict() for key in sorted(rows)]
        with files.atomic_path(target) as temporary:
            text = json.dumps(entries, indent=1, ensure_ascii=False) + "\n"
            temporary.write_text(text, encoding="utf-8")


# ---- views


def show(*rows: Row) -> pd.DataFrame:
    """The end of a chapter: its rows with the paper's figure beside ours, as text, by claim id."""

    def text(number: float | None) -> str:
        return "" if number is None else f"{number:g}"

    table = {
        "claim": [load_claim(row.id).claim for row in rows],
        "paper": [load_claim(row.id).paper for row in rows],
        "ours": [text(row.value) for row in rows],
        "interval": ["" if row.low is None else f"[{row.low:g}, {text(row.high)}]" for row in rows],
        "p": [text(row.p) for row in rows],
        "data": [row.data for row in rows],
        "verdict": [row.verdict for row in rows],
    }
    return pd.DataFrame(table, index=pd.Index([row.id for row in rows], name="id"))


def outcome(verdicts: Iterable[str]) -> str:
    """Several verdicts of one claim in a word: one of `OUTCOMES`."""
    kinds = {plain_verdict(verdict) for verdict in verdicts}
    if not kinds:
        return "not asked"
    if "supported" in kinds:
        return "held" if len(kinds) == 1 else "held in part"
    return "failed" if "not supported" in kinds else "could not be decided"


def outcomes(ids: Iterable[str] | None = None, path: str | Path | None = None) -> pd.DataFrame:
    """What became of claims, all by default, on real data and in simulations, never counted together.

    By claim id: ``claim``; ``real``, ``planted`` and ``nothing planted``, one of `OUTCOMES` each, for real
    data and for simulated cohorts in which something, or nothing, was planted; and ``supported``,
    ``results``, counted over real data where there are any, else over planted cohorts.
    """
    verdicts: dict[tuple[str, str], list[str]] = {}
    for row in read_ledger(path):
        empty = any(word in row.data for word in _NOTHING_PLANTED)
        side = "real" if not row.simulated else "nothing planted" if empty else "planted"
        verdicts.setdefault((row.id, side), []).append(plain_verdict(row.verdict))
    table = {}
    for name in load_claims() if ids is None else ids:
        sides = {side: verdicts.get((name, side), []) for side in ("real", "planted", "nothing planted")}
        counted = sides["real"] or sides["planted"]
        table[name] = {
            "claim": load_claim(name).claim,
            **{side: outcome(each) for side, each in sides.items()},
            "supported": counted.count("supported"),
            "results": len(counted),
        }
    return pd.DataFrame.from_dict(table, orient="index").rename_axis("id")


def ledger(path: str | Path | None = None) -> pd.DataFrame:
    """Every claim with every result, one row each, in the fields of both; without one it is "not run"."""
    of_claim = "id part claim paper estimand rule reading needs chapter caveat command".split()
    known = pd.DataFrame([{key: getattr(claim, key) for key in of_claim} for claim in load_claims().values()])
    results = pd.DataFrame(read_ledger(path), columns=Row._fields)
    return known.merge(results, how="left", on="id").fillna({"verdict": "not run"})


def paper_alignment_table() -> pd.DataFrame:
    """The paper's 25 alignment strategies with its own p-values, and those adjusted for 25 tests.

    Columns are ``number``, ``strategy``, ``delta`` (change of balanced accuracy), ``p``, ``bound``,
    ``p_holm`` and ``p_bh``. Where ``bound`` is true the paper prints a bound such as "< 1e-4",
    at which p is taken: the number of strategies that survive a correction is then a lower limit.
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
