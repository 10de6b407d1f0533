"""The ledger: its rules, what it refuses, what it keeps, and how it prints."""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import itertools
import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import yaml
from statsmodels.stats.multitest import multipletests

import kernel
from kernel import claims
from kernel.claims import ClaimsError, LedgerNotFoundError, parse_claims, record
from kernel.language.models import REGISTRY
from kernel.language.sentiment import BENCHMARKS

ROOT = Path(__file__).resolve().parents[1]
SPEC = importlib.util.spec_from_file_location("ledger_page", ROOT / "book" / "ledger.py")
page = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(page)

ENTRY = {
    "id": "C1.shape",
    "part": "I",
    "claim": "It has a shape.",
    "paper": "|r| .5",
    "estimand": "|r| of shapes",
    "supported": ["low > 0.5", "p < 0.05"],
    "not_supported": ["p >= 0.05 or high <= 0.5"],
    "needs": "shapes",
    "chapter": "",
}
CLAIMS = claims.load_claims()


def one(**changes):
    return parse_claims(yaml.safe_dump([ENTRY | changes]))["C1.shape"]


@pytest.fixture
def ledger(tmp_path, monkeypatch):
    path = tmp_path / "claims.json"
    monkeypatch.setenv("KERNEL_LEDGER", str(path))
    return path


@pytest.fixture
def shape(monkeypatch, ledger):
    """A result for a ledger of one claim."""
    monkeypatch.setattr(claims, "load_claims", lambda: {"C1.shape": one()})
    numbers = {"value": 0.7, "low": 0.6, "high": 0.8, "p": 0.01}
    return {"claim_id": "C1.shape", **numbers, "data": "a model", "simulated": False}


# --- rules --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("measured", "verdict"),
    [
        ({"low": 0.51, "high": 0.9, "p": 0.049}, "supported"),
        ({"low": 0.5, "high": 0.9, "p": 0.049}, "inconclusive"),
        ({"low": 0.51, "high": 0.9, "p": 0.05}, "not supported"),
        ({"low": 0.1, "high": 0.5, "p": 0.001}, "not supported"),
        ({"low": 0.1, "high": 0.51, "p": 0.001}, "inconclusive"),
        ({"low": 0.9, "high": 0.95}, "inconclusive"),
        ({"low": None}, "inconclusive"),
    ],
)
def test_a_rule_is_applied_to_the_letter(measured, verdict):
    assert one().verdict(measured) == verdict


@pytest.mark.parametrize(
    ("op", "holds"), [("<", [1, 0, 0]), ("<=", [1, 1, 0]), (">", [0, 0, 1]), (">=", [0, 1, 1])]
)
def test_operators_and_numbers(op, holds):
    claim = one(supported=[f"value {op} -2.5"])
    assert [claim.verdict({"value": v}) == "supported" for v in (-2.6, -2.5, -2.4)] == holds


def test_a_rule_reads_as_it_was_written():
    assert one().rule == "supported if low > 0.5 and p < 0.05; not supported if p >= 0.05 or high <= 0.5"
    assert one().fields == {"low", "high", "p"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"extra": "x"}, r"unknown \['extra'\]"),
        *(
            ({"supported": [line]}, f"condition '{line.partition(' or ')[2] or line}'")
            for line in ("mean > 0.5", "low => 0.5", "low > half", "low > nan", "p < 1 or low", "low >")
        ),
        ({"supported": []}, "supported must be a list of conditions"),
        ({"not_supported": "p >= 0.05"}, "not_supported must be a list"),
        *(({"id": name}, "an id is one of") for name in ("C10.shape", "C1", "C1.a b", "C1.1")),
        ({"claim": ""}, "claim must be text"),
        ({"paper": 0.5}, "paper must be text, got 0.5"),
        *(
            ({"means": means}, "means must say in words")
            for means in ("flat", {"supported": "flat"}, {"supported": "flat", "not supported": ""})
        ),
        ({"status": "post hoc"}, "status must be one of , exploratory"),
    ],
)
def test_a_malformed_claim_is_refused(changes, message):
    with pytest.raises(ClaimsError, match=message):
        one(**changes)


def test_a_file_of_another_form_is_refused():
    for key in ENTRY:
        with pytest.raises(ClaimsError, match=rf"missing \['{key}'\]"):
            parse_claims(yaml.safe_dump([{k: v for k, v in ENTRY.items() if k != key}]))
    for text in ("", "id: C1.shape", "- C1.shape", "[]"):
        with pytest.raises(ClaimsError, match="list of mappings"):
            parse_claims(text)
    with pytest.raises(ClaimsError, match=r"'C1\.shape' twice"):
        parse_claims(yaml.safe_dump([ENTRY, ENTRY]))
    with pytest.raises(ClaimsError, match="must be YAML"):
        parse_claims("a: [")


def reachable(claim):
    """Verdicts of both sides of a rule at every bound of it, and beside and between the bounds."""
    bounds = {}
    for line in claim.supported + claim.not_supported:
        for field, _, bound in claims._parse(line):
            bounds.setdefault(field, set()).add(bound)
    if {"low", "high"} & set(bounds):
        bounds["low"] = bounds["high"] = bounds.get("low", set()) | bounds.get("high", set())
    grids = []
    for limits in map(sorted, bounds.values()):
        middles = [(a + b) / 2 for a, b in itertools.pairwise(limits)]
        grids.append([*limits, *middles, limits[0] - 1, limits[-1] + 1])
    for point in itertools.product(*grids):
        measured = dict(zip(bounds, point, strict=True))
        if measured.get("low", 0) <= measured.get("high", 0):
            sides = (claim.supported, claim.not_supported)
            yield tuple(all(claims._holds(line, measured) for line in side) for side in sides)


def test_each_verdict_of_each_claim_can_be_reached_and_never_both_at_once():
    for claim in CLAIMS.values():
        met = set(reachable(claim))
        assert {(True, False), (False, True)} <= met and (True, True) not in met, claim.id
    assert (True, True) in set(reachable(one(supported=["value >= 1"], not_supported=["value <= 1"])))
    assert (True, True) not in set(reachable(one(supported=["low > 0"], not_supported=["high < 0"])))


# --- the paper's claims -------------------------------------------------------------------------------------


def test_every_claim_of_the_paper_has_rows_in_its_order():
    groups = [name.partition(".")[0] for name in CLAIMS]
    assert list(dict.fromkeys(groups)) == list(page.GROUPS) and groups == sorted(groups)
    parts = {name[:2]: claim.part for name, claim in CLAIMS.items()}
    assert parts == dict(zip(page.GROUPS, "I I I II II III IV V V".split(), strict=True))
    headlines = [name for names in claims.HEADLINES.values() for name in names]
    assert set(headlines) <= set(CLAIMS) and len(headlines) == len(set(headlines))
    with pytest.raises(TypeError):
        CLAIMS["C1.shape"] = one()


def test_claims_say_their_null_and_name_chapters_that_there_are():
    pages = (ROOT / "_toc.yml").read_text()
    for claim in CLAIMS.values():
        assert ("p" in claim.fields) <= ("p: " in claim.estimand or "; p" in claim.estimand), claim.id
        assert not claim.chapter or f"notebooks/{claim.chapter}" in pages, claim.id
    for script in (ROOT / "notebooks").glob("*.py"):
        named = re.findall(r"[\"'](C\d\.[a-z]\w*)[\"']", script.read_text())
        assert set(named) <= set(CLAIMS), script.name


#: Words by which a claim denies something, and phrases in which they deny nothing that is claimed.
DENIES = re.compile(r"\b(no|not|none|nothing|never|without|cannot|hardly|fails|unrelated|gone)\b", re.I)
QUALIFIES = re.compile("without labels|not seen|do not exist")


def misread(claim):
    """Whether a verdict on a claim could be read the wrong way round, since nothing says what it means."""
    return not claim.means and bool(DENIES.search(QUALIFIES.sub("", claim.claim)))


def test_a_claim_that_denies_something_says_what_its_verdicts_mean(ledger):
    assert [name for name, claim in CLAIMS.items() if misread(claim)] == []
    read, text = [claim.reading for claim in CLAIMS.values() if claim.reading], page.ledger_markdown()
    assert len(read) == len(set(read)) == text.count("- *In plain words:*") > 15
    assert all(f"- *In plain words:* {reading}\n" in text for reading in read)
    assert not misread(one()) and misread(one(claim="It has no shape."))
    told = one(claim="It has no shape.", means={"supported": "it is flat", "not supported": "it has one"})
    assert not misread(told) and told.reading == "Supported: it is flat. Not supported: it has one."


@pytest.mark.parametrize("claim", [c for c in CLAIMS.values() if c.command], ids=lambda c: c.id)
def test_every_command_calls_what_there_is_with_arguments_that_fit(claim, monkeypatch):
    """All but the models and the network: functions, names of models and of benchmarks must exist."""
    called = []

    def checked(function):
        def call(*args, **kwargs):
            inspect.signature(function).bind(*args, **kwargs)
            called.append((args, kwargs))

        return call

    for name in ("construct_valence_axis", "run_registry"):
        monkeypatch.setattr(kernel, name, checked(getattr(kernel, name)), raising=False)
    eval(claim.command, {"kernel": kernel})
    ((args, kwargs),) = called
    models = [args[0]] if isinstance(args[0], str) else args[0]
    assert models and set(models) <= set(REGISTRY)
    assert set(kwargs.get("benchmarks", ())) <= set(BENCHMARKS)


# --- recording ----------------------------------------------------------------------------------------------


def test_a_result_is_judged_written_and_read_back(shape, ledger):
    row = record(**shape, n=28, note="once")
    assert (row.verdict, row.n, row.note) == ("supported", 28, "once")
    assert claims.read_ledger() == [row]
    assert json.loads(ledger.read_text())[0]["verdict"] == "supported"
    assert [p.name for p in ledger.parent.iterdir()] == ["claims.json"]


def test_one_row_for_a_claim_and_its_data_in_an_order_of_its_own(shape, ledger, tmp_path):
    for place, order in ((ledger, "ab"), (tmp_path / "other", "ba")):
        for data in order:
            record(**shape | {"data": data}, path=place)
        record(**shape | {"data": "b", "p": 0.5}, path=place)
    rows = claims.read_ledger()
    assert [(r.data, r.verdict) for r in rows] == [("a", "supported"), ("b", "not supported")]
    assert ledger.read_bytes() == (tmp_path / "other").read_bytes()


def test_simulated_results_are_marked_everywhere(shape):
    row = record(**shape | {"simulated": True})
    assert (row.data, row.verdict) == ("a model (simulated)", "supported (simulated)")
    assert record(**shape | {"simulated": True, "data": "simulated cohort"}).data == "simulated cohort"
    assert "supported (simulated)" in page.ledger_markdown()


def test_exploratory_rules_are_marked_everywhere(ledger, monkeypatch):
    monkeypatch.setattr(claims, "load_claims", lambda: {"C1.shape": one(status="exploratory")})
    measured = dict(value=0.5, low=0.4, high=0.6, p=0.5)
    assert record("C1.shape", **measured, data="A", simulated=False).verdict == "not supported (exploratory)"
    made = record("C1.shape", **measured, data="B", simulated=True)
    assert made.verdict == "not supported (exploratory, simulated)"
    assert claims.plain_verdict(made.verdict) == "not supported"
    text = page.ledger_markdown()
    assert "| **all** | 0 | 0 + 1 | 0 | 0 |" in text and "| **all** | 0 | 1 | 0 |" in text


def faults(rows):
    """What a reader of these rows of the book's ledger could be misled by."""
    for row in rows:
        claim = CLAIMS[row.id]
        simulated = "simulated" in row.data
        marks = ", ".join(filter(None, (claim.status, "simulated" * simulated)))
        verdict = claim.verdict(row._asdict()) + (f" ({marks})" if marks else "")
        if (row.verdict, row.simulated) != (verdict, simulated):
            yield row


def test_the_ledger_of_the_book_keeps_its_own_rules_and_marks():
    rows = claims.read_ledger(claims.book_ledger())
    assert list(faults(rows)) == []
    assert {row.id for row in rows} == {name for name, claim in CLAIMS.items() if claim.chapter}
    noise = claims.outcomes(["C4.noise_in_sample"], claims.book_ledger()).squeeze()
    assert (noise["planted"], noise["nothing planted"]) == ("not asked", "failed")
    explored = next(row for row in rows if "exploratory" in row.verdict)
    simulated = next(row for row in rows if row.simulated and "supported" in row.verdict)
    for wrong in (
        explored._replace(verdict=claims.plain_verdict(explored.verdict)),
        simulated._replace(verdict=claims.plain_verdict(simulated.verdict), simulated=False),
        simulated._replace(data="FACED"),
    ):
        assert list(faults([wrong])) == [wrong]


def test_the_rules_that_were_fixed_beforehand_are_still_those():
    """A rule that was written before any recording was read never changes again, and none is added."""
    text = json.dumps(
        [
            (claim.id, claim.supported, claim.not_supported)
            for claim in CLAIMS.values()
            if claim.status != "exploratory"
        ]
    )
    assert hashlib.sha256(text.encode()).hexdigest().startswith("33efafc1be167b8b")


@pytest.mark.parametrize(
    ("key", "number", "printed"),
    [
        ("value", 0.0123, 0.01),
        ("value", np.float32(0.123456), 0.12),
        ("value", -0.00567, -0.006),
        ("value", np.int64(3), 3),
        ("value", 0.0, 0),
        ("p", 0.4567, 0.46),
        ("p", 0.0444, 0.044),
        ("p", 0.04996, 0.04996),  # as 0.05 it would come to another verdict
        ("p", 0.05004, 0.05),
        ("p", 1 / 362880, 2.8e-06),
    ],
)
def test_what_is_printed_is_rounded_and_comes_to_the_same_verdict(shape, key, number, printed):
    row = record(**shape | {key: number})
    stored = getattr(row, key)
    assert stored == printed and type(stored) in (int, float)
    assert row.verdict == one().verdict(shape | {key: number}) == one().verdict(row._asdict())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"value": np.nan}, "value must be a finite number, got nan"),
        ({"value": "0.7"}, "value must be a finite number, got '0.7'"),
        ({"low": 0.9}, r"0\.9 to 0\.8 is upside down"),
        ({"low": None}, "an interval has two limits"),
        ({"p": None}, "its rule needs p"),
        ({"low": None, "high": None}, "its rule needs high, low"),
        ({"p": 1.5}, r"p must lie in \[0, 1\], got 1\.5"),
        ({"n": 0}, "n must be a count, got 0"),
        ({"n": 2.5}, "n must be a count"),
        ({"data": " "}, "data is empty"),
        ({"data": "simulated cohort"}, "simulated=False"),
        ({"claim_id": "C1.shapes"}, r"one of C1\.shape; got 'C1\.shapes' \(did you mean C1\.shape\?\)"),
    ],
)
def test_what_cannot_be_judged_is_refused_and_nothing_is_written(shape, ledger, changes, message):
    with pytest.raises(ClaimsError, match=message):
        record(**shape | changes)
    assert not ledger.exists()


def test_chapters_that_record_side_by_side_lose_nothing_but_claims_that_are_gone(shape, monkeypatch):
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda i: record(**shape | {"data": f"model {i}"}), range(6)))
    assert len(claims.read_ledger()) == 6
    renamed = parse_claims(yaml.safe_dump([ENTRY | {"id": "C1.form"}]))
    monkeypatch.setattr(claims, "load_claims", lambda: renamed)
    record(**shape | {"claim_id": "C1.form"})
    assert [row.id for row in claims.read_ledger()] == ["C1.form"]


# --- where the ledger is ------------------------------------------------------------------------------------


def test_the_ledger_is_found_from_a_folder_of_the_book(shape, tmp_path, monkeypatch):
    monkeypatch.delenv("KERNEL_BOOK_LEDGER", raising=False)
    (tmp_path / "notebooks" / "deep").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "notebooks" / "deep")
    monkeypatch.delenv("KERNEL_LEDGER")
    with pytest.raises(LedgerNotFoundError, match="set KERNEL_LEDGER"):
        record(**shape)
    (tmp_path / "book").mkdir()
    (tmp_path / "_toc.yml").touch()
    record(**shape)
    assert (tmp_path / "book" / "claims.json").is_file()
    assert claims._ledger_path("elsewhere.json") == Path.cwd() / "elsewhere.json"
    monkeypatch.setenv("KERNEL_LEDGER", "scratch.json")  # of a chapter that runs
    assert claims.book_ledger() == tmp_path / "book" / "claims.json"
    monkeypatch.setenv("KERNEL_BOOK_LEDGER", "so_far.json")
    assert claims.book_ledger() == Path.cwd() / "so_far.json"


def test_a_damaged_ledger_is_an_error_and_is_kept(shape, ledger):
    row = record(**shape)._asdict()
    wrong = [
        json.dumps([row | change]).encode()
        for change in ({"value": "much"}, {"simulated": 1}, {"note": None})
    ]
    for content in (b"{", b'[{"id": "C1.shape"}]', b"[1]", b"3", b"\xff\xfe", *wrong):
        ledger.write_bytes(content)
        with pytest.raises(ClaimsError, match="is not a ledger"):
            record(**shape)
        assert ledger.read_bytes() == content


# --- views --------------------------------------------------------------------------------------------------


@pytest.fixture
def results(ledger):
    """A ledger in which every outcome occurs, on real data, planted and not."""
    real = dict(low=0.4, high=0.9, simulated=False)
    return [
        record("C2.auc_movie", value=0.912, p=0.0021, n=300, data="model | A", **real | {"low": 0.881}),
        record("C2.auc_amazon", value=0.9, p=0.01, data="A", **real | {"low": 0.8}),
        record("C2.auc_amazon", value=0.6, p=0.5, data="B", **real),
        record("C4.best_cell", value=0.6, p=0.5, data="seed 0, weak valence", simulated=True),
        record("C4.tracked", value=0.6, p=0.5, data="FACED", simulated=False),
        record("C4.tracked", value=0.6, p=0.01, data="seed 0, strong valence", simulated=True),
        record("C4.tracked", value=0.1, p=0.5, data="seed 0, no valence", simulated=True),
    ]


ASKED = ["C2.auc_movie", "C2.auc_amazon", "C4.best_cell", "C4.tracked", "C2.auc_tweets"]


def test_the_ledger_lists_every_claim_run_or_not(results):
    table = claims.ledger()
    assert list(dict.fromkeys(table["id"])) == list(CLAIMS)
    assert len(table) == len(CLAIMS) + 3
    assert (table["verdict"] == "not run").sum() == len(CLAIMS) - 4
    assert table.loc[table["id"] == "C2.auc_amazon", "verdict"].tolist() == ["supported", "not supported"]


def test_data_and_note_of_a_result_are_told_apart_on_the_page(shape):
    record(**shape, note="ten seeds")
    assert "| a model; <br>ten seeds |" in page.ledger_markdown()
    record(**shape)
    assert "| a model |" in page.ledger_markdown()


def test_the_page_counts_links_and_keeps_its_columns(results):
    text = page.ledger_markdown()
    tables = [line for line in text.splitlines() if line.startswith("|")]
    real, simulated = text.partition("\n| simulated EEG |")[::2]
    assert re.search(r"C2: [^|]*\| 2 \| 1 \| 0 \| \d+ \|", real)
    assert re.search(r"C4: [^|]*\| 0 \| 1 \| 0 \| \d+ \|", real)
    assert re.search(r"\*\*all\*\* \| 2 \| 2 \| 0 \| \d+ \|", real)
    assert re.search(r"C4: [^|]*\| 1 \| 2 \| 0 \|\n\| \*\*all\*\* \| 1 \| 2 \| 0 \|\n", simulated)
    assert f"`C2.auc_amazon` {CLAIMS['C2.auc_amazon'].claim} **1 supported, 1 not supported**\n" in text
    real_first = " **1 not supported, 1 not supported (simulated), 1 supported (simulated)**\n"
    assert f"{real_first}:name: C4.tracked" in text
    bars = [len(re.findall(r"(?<!\\)\|", line)) for line in tables]
    assert set(bars[:12]) == {6} and set(bars[12:16]) == {5} and set(bars[16:]) == {4}
    assert "| 0.91 [0.88, 0.9], p 0.0021, n 300 |" in text and r"model \| A" in text
    assert "[chapter 2](../notebooks/02_sentiment.ipynb)" in text
    cards = re.findall(r"^::::\{dropdown\} .+\n:name: (\S+)\n:class-container: claim\n", text, re.M)
    assert cards == list(CLAIMS), "a claim has one card, however many its results"
    assert text.count("**not run**") == len(CLAIMS) - 4
    assert re.findall(r"^## (C\d):", text, re.M) == list(page.GROUPS)
    assert '`kernel.construct_valence_axis("Qwen3-4B", benchmarks=["imdb"], n_texts=None)`' in text
    alone = [claim for claim in CLAIMS.values() if not claim.chapter and not claim.command]
    assert text.count("nothing in this edition runs it") == len(alone) > 0
    assert not re.search(r"\bnan\b", text.lower())


def test_the_end_of_a_chapter(results):
    table = claims.show(*results[:1], results[3])
    assert list(table) == list(claims.show()) == "claim paper ours interval p data verdict".split()
    columns = ["ours", "interval", "p", "verdict"]
    assert table.loc["C2.auc_movie", columns].tolist() == ["0.91", "[0.88, 0.9]", "0.0021", "supported"]
    assert table.loc["C4.best_cell", columns].tolist() == ["0.6", "", "0.5", "not supported (simulated)"]


def test_real_planted_and_unplanted_results_are_never_counted_together(results):
    table = claims.outcomes(ASKED)
    silent = "not asked"
    assert table[["real", "planted", "nothing planted"]].to_numpy().tolist() == [
        ["held", silent, silent],
        ["held in part", silent, silent],
        [silent, "failed", silent],
        ["failed", "held", "failed"],
        [silent] * 3,
    ]
    assert table["supported"].tolist() == [1, 1, 0, 0, 0] and table["results"].tolist() == [1, 2, 1, 1, 0]
    assert claims.outcome(["inconclusive", "inconclusive (simulated)"]) == "could not be decided"
    assert claims.outcome(["not supported", "inconclusive"]) == "failed"
    assert claims.outcome(["supported", "inconclusive"]) == "held in part"
    assert len(claims.outcomes()) == len(CLAIMS)
    with pytest.raises(ClaimsError, match=r"got 'C2\.nothing'"):
        claims.outcomes(["C2.nothing"])


def test_a_claim_is_ours_if_it_says_so_or_the_paper_has_no_figure_for_it():
    theirs = CLAIMS["C7.none_helps"]
    assert not theirs.ours and not theirs._replace(claim="It harms (our own run).").ours
    assert theirs._replace(claim="It harms (our control).").ours
    assert theirs._replace(paper="not reported").ours and theirs._replace(paper="no correction made").ours
    assert not theirs._replace(paper="none of 25").ours


# --- the paper's p-values -----------------------------------------------------------------------------------


def test_the_recount_starts_from_the_papers_own_and_agrees_with_statsmodels():
    table = claims.paper_alignment_table()
    assert table["number"].tolist() == list(range(1, 26)) and table["bound"].dtype == bool
    small = table["p"] <= 0.05
    assert small.sum() == 16 and (table.loc[small, "delta"] < 0).all()
    smallest = table["p"].where(~table["bound"], 0.0)  # bounds can only raise the recount
    for method, column in (("holm", "p_holm"), ("fdr_bh", "p_bh")):
        np.testing.assert_allclose(table[column], multipletests(table["p"], method=method)[1])
        lower = (table[column] <= 0.05).sum()
        assert lower <= (multipletests(smallest, method=method)[1] <= 0.05).sum() <= lower + 1
