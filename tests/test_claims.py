"""The ledger: its rules, what it refuses, what it keeps, and how it prints."""

from __future__ import annotations

import inspect
import json
import re
import threading
from pathlib import Path

import numpy as np
import pytest
import yaml
from statsmodels.stats.multitest import multipletests

import kernel
from kernel import claims
from kernel.claims import ClaimsError, LedgerNotFoundError, UnknownClaimError, parse_claims, record
from kernel.language.models import REGISTRY
from kernel.language.sentiment import HUB_BENCHMARKS

ROOT = Path(__file__).resolve().parents[1]
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


def one(**changes):
    return parse_claims(yaml.safe_dump([ENTRY | changes]))["C1.shape"]


@pytest.fixture
def shape(monkeypatch):
    """A ledger of one claim."""
    table = {"C1.shape": one()}
    monkeypatch.setattr(claims, "load_claims", lambda: table)
    return {
        "claim_id": "C1.shape",
        "value": 0.7,
        "low": 0.6,
        "high": 0.8,
        "p": 0.01,
        "data": "a model",
        "simulated": False,
    }


@pytest.fixture
def ledger(tmp_path, monkeypatch):
    path = tmp_path / "claims.json"
    monkeypatch.setenv("KERNEL_LEDGER", str(path))
    return path


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
        ({}, "inconclusive"),
    ],
)
def test_a_rule_is_applied_to_the_letter(measured, verdict):
    assert one().verdict(measured) == verdict


@pytest.mark.parametrize(
    ("op", "below", "at", "above"), [("<", 1, 0, 0), ("<=", 1, 1, 0), (">", 0, 0, 1), (">=", 0, 1, 1)]
)
def test_operators(op, below, at, above):
    condition = claims.Condition("value", op, 2.0)
    assert [condition.holds({"value": v}) for v in (1.9, 2.0, 2.1)] == [below, at, above]
    assert not condition.holds({"value": None})


def test_a_rule_reads_as_it_was_written():
    assert one().rule == "supported if low > 0.5 and p < 0.05; not supported if p >= 0.05 or high <= 0.5"
    assert one().fields == {"low", "high", "p"}


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"extra": "x"}, r"unknown \['extra'\]"),
        ({"supported": ["mean > 0.5"]}, "condition 'mean > 0.5'"),
        ({"supported": ["low => 0.5"]}, "condition 'low => 0.5'"),
        ({"supported": ["low > half"]}, "condition 'low > half'"),
        ({"supported": ["low > nan"]}, "condition 'low > nan'"),
        ({"supported": ["low > 0.5 or"]}, "condition 'low > 0.5 or'"),
        ({"supported": ["low >"]}, "condition 'low >'"),
        ({"supported": []}, "supported must be a list of conditions"),
        ({"not_supported": "p >= 0.05"}, "not_supported must be a list"),
        ({"id": "C10.shape"}, "an id is one of"),
        ({"id": "C1"}, "an id is one of"),
        ({"id": "C1.a b"}, "an id is one of"),
        ({"claim": ""}, "claim must be text"),
        ({"paper": 0.5}, "paper must be text, got 0.5"),
    ],
)
def test_a_malformed_claim_is_refused(changes, match):
    with pytest.raises(ClaimsError, match=match):
        one(**changes)


@pytest.mark.parametrize("key", list(ENTRY))
def test_a_claim_without_one_of_its_keys_is_refused(key):
    with pytest.raises(ClaimsError, match=key):
        parse_claims(yaml.safe_dump([{k: v for k, v in ENTRY.items() if k != key}]))


def test_a_file_of_another_form_is_refused():
    for text in ("", "id: C1.shape", "- C1.shape"):
        with pytest.raises(ClaimsError, match="list of mappings"):
            parse_claims(text)
    with pytest.raises(ClaimsError, match="stands twice"):
        parse_claims(yaml.safe_dump([ENTRY, ENTRY]))


@pytest.mark.parametrize(
    ("supported", "not_supported", "overlap"),
    [
        (["value > 1"], ["value < 1"], False),
        (["value >= 1"], ["value < 1"], False),
        (["value >= 1"], ["value <= 1"], True),
        (["value > 1"], ["value < 2"], True),
        (["low > 0"], ["high < 0"], False),  # low never exceeds high
        (["low >= 0"], ["high <= 0"], True),
        (["high > 0"], ["low < 0"], True),
        (["value > 0"], ["p >= 0.05"], True),
        (["value > 0", "p < 0.05"], ["p >= 0.05 or value <= 0"], False),
        (["value > 0", "p < 0.05"], ["p >= 0.05 or value <= 1"], True),
    ],
)
def test_a_rule_that_could_say_both_is_refused(supported, not_supported, overlap):
    rules = {"supported": supported, "not_supported": not_supported}
    if overlap:
        with pytest.raises(ClaimsError, match="at once"):
            one(**rules)
    else:
        assert one(**rules)


def test_overlap_agrees_with_a_search_over_all_values(rng):
    """An oracle for random rules over half-integers, where every bound can be met and passed."""
    grid = np.arange(-0.5, 2.6, 0.5)
    points = [{"value": v, "low": lo, "high": hi} for v in grid for lo in grid for hi in grid if lo <= hi]
    outcomes = set()
    for _ in range(200):
        fields = rng.choice(["value", "low", "high"], 4)
        lines = [f"{field} {rng.choice(['<', '<=', '>', '>='])} {rng.integers(3)}" for field in fields]
        clauses = [claims._parse_clause("x", line) for line in (lines[0], " or ".join(lines[1:3]), lines[3])]
        found = any(all(c.holds(point) for c in clauses) for point in points)
        assert claims._can_hold(clauses) == found, lines
        outcomes.add(found)
    assert outcomes == {True, False}


# --- the paper's claims -------------------------------------------------------------------------------------


def test_every_claim_of_the_paper_has_rows_in_its_order():
    groups = [name.partition(".")[0] for name in claims.load_claims()]
    assert list(dict.fromkeys(groups)) == [f"C{k}" for k in range(1, 10)]
    assert groups == sorted(groups)
    parts = {name[:2]: claim.part for name, claim in claims.load_claims().items()}
    assert parts == dict(zip(claims.GROUPS, "I I I II II III IV V V".split(), strict=True))


def test_no_verdict_is_out_of_reach():
    """Each side of each rule can be met by some numbers, so that no claim is judged before the data."""
    for claim in claims.load_claims().values():
        assert claims._can_hold(claim.supported), claim.id
        assert claims._can_hold(claim.not_supported), claim.id


def test_a_rule_that_asks_for_p_says_what_p_is_measured_against():
    for claim in claims.load_claims().values():
        assert ("p" in claim.fields) <= ("p: " in claim.estimand or "; p" in claim.estimand), claim.id


def test_named_chapters_stand_in_the_table_of_contents():
    pages = (ROOT / "_toc.yml").read_text()
    for claim in claims.load_claims().values():
        assert not claim.chapter or f"notebooks/{claim.chapter}" in pages, claim.id


def test_chapters_record_only_claims_that_exist():
    for script in (ROOT / "notebooks").glob("*.py"):
        named = re.findall(r"[\"'](C\d\.[a-z]\w*)[\"']", script.read_text())
        assert set(named) <= set(claims.load_claims()), script.name


def test_claims_cannot_be_changed_in_passing():
    with pytest.raises(TypeError):
        claims.load_claims()["C1.shape"] = one()


# --- recording ----------------------------------------------------------------------------------------------


def test_a_result_is_judged_written_and_read_back(shape, ledger):
    row = record(**shape, n=28, note="once")
    assert (row.verdict, row.n, row.note) == ("supported", 28, "once")
    assert claims.read_ledger() == [row]
    assert json.loads(ledger.read_text())[0]["verdict"] == "supported"
    assert [p.name for p in ledger.parent.iterdir()] == ["claims.json"]


def test_a_second_result_on_the_same_data_replaces_the_first(shape, ledger):
    record(**shape)
    record(**shape | {"data": "B model"})
    record(**shape | {"p": 0.5})
    rows = claims.read_ledger()
    assert [(r.data, r.verdict) for r in rows] == [("B model", "supported"), ("a model", "not supported")]


def test_the_file_does_not_depend_on_the_order_of_recording(shape, tmp_path):
    for name, order in (("one", "abc"), ("two", "cab")):
        for data in order:
            record(**shape | {"data": data}, path=tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_simulated_results_are_marked_everywhere(shape, ledger):
    row = record(**shape | {"simulated": True})
    assert row.data == "a model (simulated)"
    assert row.verdict == "supported (simulated)"
    assert record(**shape | {"simulated": True, "data": "simulated cohort"}).data == "simulated cohort"
    with pytest.raises(ClaimsError, match="simulated=False"):
        record(**shape | {"data": "simulated cohort"})
    assert "supported (simulated)" in claims.ledger_markdown()


def test_exploratory_rules_are_marked_everywhere(ledger):
    exploratory = [claim for claim in claims.load_claims().values() if claim.status]
    measured = dict(value=0.5, low=0.4, high=0.6, p=0.001, n=9)
    rows = [record(claim.id, **measured, data="FACED", simulated=False) for claim in exploratory]
    assert rows and all(row.verdict.endswith(" (exploratory)") for row in rows)
    made = record(exploratory[0].id, **measured, data="a cohort", simulated=True)
    assert made.verdict.endswith(" (exploratory, simulated)")
    assert claims.plain_verdict(made.verdict) in claims.VERDICTS
    counts = claims.ledger_markdown().partition("\n\n## ")[0]
    numbers = [int(n) for n in re.findall(r"(\d+) exploratory", counts.splitlines()[-1])]
    assert sum(numbers) == len(exploratory)
    with pytest.raises(ClaimsError, match="status must be exploratory or absent"):
        parse_claims(yaml.safe_dump([ENTRY | {"status": "post hoc"}]))


def test_numbers_are_rounded_for_print_but_judged_as_they_come(shape, ledger):
    row = record(**shape | {"value": np.float32(0.123456), "low": 0.5123, "high": 1.0, "p": 0.0444})
    assert (row.value, row.low, row.high, row.p) == (0.12, 0.51, 1, 0.044)
    assert row.verdict == "supported"


@pytest.mark.parametrize(("p", "kept"), [(0.0444, 0.044), (0.04996, 0.04996), (0.05004, 0.05)])
def test_what_is_printed_comes_to_the_printed_verdict(shape, ledger, p, kept):
    row = record(**shape | {"p": p})
    assert row.p == kept
    assert (row.verdict == "supported") == (p < 0.05) == (row.p < 0.05)


def test_the_ledger_of_the_book_keeps_its_own_rules():
    for row in claims.read_ledger(claims.book_ledger()):
        printed = {key: getattr(row, key) for key in ("value", "low", "high", "p", "n")}
        assert claims.load_claims()[row.id].verdict(printed) == claims.plain_verdict(row.verdict), row


@pytest.mark.parametrize(
    ("key", "found", "kept"),
    [
        ("value", 0.0123, 0.01),
        ("value", 0.00567, 0.006),
        ("value", -0.00567, -0.006),
        ("value", 16, 16),
        ("value", np.int64(3), 3),
        ("value", 0.0, 0),
        ("p", 0.4567, 0.46),
        ("p", 0.0456, 0.046),
        ("p", 1 / 362880, 2.8e-06),
    ],
)
def test_rounding(shape, ledger, key, found, kept):
    stored = getattr(record(**shape | {key: found}), key)
    assert stored == kept
    assert type(stored) in (int, float)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"value": np.nan}, "value must be a finite number, got nan"),
        ({"value": np.inf}, "value must be a finite number, got inf"),
        ({"value": "0.7"}, "value must be a finite number, got '0.7'"),
        ({"low": 0.9}, r"0\.9 to 0\.8 is upside down"),
        ({"low": None}, "an interval has two limits"),
        ({"p": None}, "its rule needs p"),
        ({"low": None, "high": None}, "its rule needs high, low"),
        ({"p": 1.5}, r"p must lie in \[0, 1\], got 1\.5"),
        ({"n": 0}, "n must be a count, got 0"),
        ({"n": 2.5}, "n must be a count"),
        ({"data": " "}, "data is empty"),
    ],
)
def test_what_cannot_be_judged_is_refused_and_nothing_is_written(shape, ledger, changes, match):
    with pytest.raises(ClaimsError, match=match):
        record(**shape | changes)
    assert not ledger.exists()


def test_an_unknown_claim_is_named_with_the_known_ones(shape, ledger):
    with pytest.raises(UnknownClaimError, match=r"unknown claim 'C1\.from'.*C1\.shape"):
        record(**shape | {"claim_id": "C1.from"})


def test_results_of_claims_that_are_gone_leave_the_ledger(shape, ledger, monkeypatch):
    record(**shape)
    renamed = parse_claims(yaml.safe_dump([ENTRY | {"id": "C1.form"}]))
    monkeypatch.setattr(claims, "load_claims", lambda: renamed)
    record(**shape | {"claim_id": "C1.form"})
    assert [row.id for row in claims.read_ledger()] == ["C1.form"]


def test_chapters_that_record_side_by_side_lose_nothing(shape, ledger):
    threads = [threading.Thread(target=record, kwargs=shape | {"data": f"model {i}"}) for i in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(claims.read_ledger()) == 12


# --- where the ledger is ------------------------------------------------------------------------------------


def test_the_ledger_is_found_from_a_folder_of_the_book(shape, tmp_path, monkeypatch):
    monkeypatch.delenv("KERNEL_LEDGER", raising=False)
    (tmp_path / "book").mkdir()
    (tmp_path / "_toc.yml").touch()
    (tmp_path / "notebooks" / "deep").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "notebooks" / "deep")
    record(**shape)
    assert (tmp_path / "book" / "claims.json").is_file()
    assert claims.ledger_path("elsewhere.json") == Path.cwd() / "elsewhere.json"


def test_the_book_is_read_from_its_own_place_while_a_chapter_writes_elsewhere(tmp_path, monkeypatch):
    (tmp_path / "book").mkdir()
    (tmp_path / "_toc.yml").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KERNEL_LEDGER", "scratch.json")
    monkeypatch.delenv("KERNEL_BOOK_LEDGER", raising=False)
    assert claims.book_ledger() == tmp_path / "book" / "claims.json"
    monkeypatch.setenv("KERNEL_BOOK_LEDGER", "so_far.json")
    assert claims.book_ledger() == tmp_path / "so_far.json"


def test_what_was_not_run_names_what_runs_it(tmp_path):
    page = claims.ledger_markdown(tmp_path / "none.json")
    table = claims.ledger(tmp_path / "none.json").set_index("id")
    assert (table["verdict"] == "not run").all()
    assert '`kernel.construct_valence_axis("Qwen3-4B", benchmarks=["sst2"], n_texts=None)`' in page
    alone = table[(table["chapter"] == "") & (table["command"] == "")]
    assert page.count("nothing in this edition runs it") == len(alone) > 0


@pytest.mark.parametrize("claim", [c for c in claims.load_claims().values() if c.command], ids=lambda c: c.id)
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
    assert set(kwargs.get("benchmarks", ())) <= set(HUB_BENCHMARKS)


def test_no_ledger_is_an_error_with_a_cure(shape, tmp_path, monkeypatch):
    monkeypatch.delenv("KERNEL_LEDGER", raising=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(LedgerNotFoundError, match="set KERNEL_LEDGER"):
        record(**shape)


@pytest.mark.parametrize("content", [b"{", b'[{"id": "C1.shape"}]', b"[1]", b"3", b"\xff\xfe"])
def test_a_damaged_ledger_is_an_error_and_is_kept(shape, ledger, content):
    ledger.write_bytes(content)
    with pytest.raises(ClaimsError, match="is not a ledger"):
        record(**shape)
    assert ledger.read_bytes() == content


def test_the_committed_ledger_holds_verdicts_that_its_numbers_allow():
    """Rounded numbers may lie on the other side of a bound, so only clear contradictions count."""
    path = ROOT / "book" / "claims.json"
    if not path.exists():
        pytest.skip("no chapter has been executed in place yet")
    for row in claims.read_ledger(path):
        claim = claims.load_claims()[row.id]
        measured = {key: getattr(row, key) for key in ("value", "low", "high", "p", "n")}
        bounds = {
            (c.field, c.than) for clause in claim.supported + claim.not_supported for c in clause.alternatives
        }
        if not any(
            measured[field] is not None and abs(measured[field] - than) < 0.006 for field, than in bounds
        ):
            assert claims.plain_verdict(row.verdict) == claim.verdict(measured), row


# --- views --------------------------------------------------------------------------------------------------


def test_the_ledger_lists_every_claim_run_or_not(ledger):
    names = list(claims.load_claims())
    record("C2.auc_movie", value=0.91, low=0.88, high=0.94, p=0.002, data="A", simulated=False)
    record("C2.auc_movie", value=0.61, low=0.55, high=0.67, p=0.3, data="B", simulated=False)
    table = claims.ledger()
    assert list(dict.fromkeys(table["id"])) == names
    assert len(table) == len(names) + 1
    assert (table["verdict"] == "not run").sum() == len(names) - 1
    assert table.loc[table["id"] == "C2.auc_movie", "verdict"].tolist() == ["supported", "not supported"]


def test_the_page_counts_links_and_keeps_its_columns(ledger):
    record("C2.auc_movie", value=0.91, low=0.88, high=0.94, p=0.002, n=300, data="model | A", simulated=False)
    record("C7.none_helps", value=0, data="cohort", simulated=True)
    page = claims.ledger_markdown()
    tables = [line for line in page.splitlines() if line.startswith("|")]
    counts, rest = tables[:12], tables[12:]
    assert re.search(r"C2: [^|]*\| 1 \| 0 \| 0 \| \d+ \|", page)
    assert re.search(r"C7: [^|]*\| 1 simulated \| 0 \| 0 \| \d+ \|", page)
    assert re.search(r"\*\*all\*\* \| 1 \+ 1 simulated \|", page)
    bare = re.compile(r"(?<!\\)\|")
    assert {len(bare.findall(line)) for line in counts} == {6}
    assert {len(bare.findall(line)) for line in rest} == {5}
    assert "**0.91 [0.88, 0.94], p 0.002, n 300**" in page
    assert r"model \| A" in page
    assert "[chapter](../notebooks/02_sentiment.ipynb)" in page
    assert page.count("**not run**") == len(claims.load_claims()) - 2
    assert re.findall(r"^## (C\d):", page, re.M) == list(claims.GROUPS)


def test_an_empty_ledger_is_a_page_of_claims_not_run(ledger):
    page = claims.ledger_markdown()
    assert page.count("**not run**") == len(claims.load_claims())
    assert not re.search(r"\bnan\b", page.lower())


def test_the_end_of_a_chapter(ledger):
    rows = [
        record("C2.auc_movie", value=0.912, low=0.881, high=0.943, p=0.0021, data="A", simulated=False),
        record("C2.random_directions", value=0.21, data="A", simulated=False),
    ]
    table = claims.show(*rows)
    assert list(table) == ["claim", "paper", "ours", "interval", "p", "data", "verdict"]
    assert table.loc["C2.auc_movie", ["ours", "interval", "p", "verdict"]].tolist() == [
        "0.91",
        "[0.88, 0.94]",
        "0.0021",
        "supported",
    ]
    assert table.loc["C2.random_directions", ["ours", "interval", "p", "verdict"]].tolist() == [
        "0.21",
        "",
        "",
        "not supported",
    ]
    assert list(claims.show()) == list(table)
    assert rows[0]._repr_markdown_() == "`C2.auc_movie`: **supported** (0.91 [0.88, 0.94], p 0.0021; A)"


def ledger_of(tmp_path):
    """A ledger in which every outcome occurs, on real data, planted and not."""
    path = tmp_path / "ledger.json"
    real = dict(low=0.4, high=0.9, simulated=False, path=path)
    claims.record("C2.auc_movie", value=0.9, p=0.01, data="A", **real | {"low": 0.8})
    claims.record("C2.auc_amazon", value=0.9, p=0.01, data="A", **real | {"low": 0.8})
    claims.record("C2.auc_amazon", value=0.6, p=0.5, data="B", **real)
    claims.record("C4.best_cell", value=0.6, p=0.5, data="seed 0, weak valence", simulated=True, path=path)
    claims.record("C4.tracked", value=0.6, p=0.5, data="FACED", simulated=False, path=path)
    claims.record("C4.tracked", value=0.6, p=0.01, data="seed 0, strong valence", simulated=True, path=path)
    claims.record("C4.tracked", value=0.1, p=0.5, data="seed 0, no valence", simulated=True, path=path)
    return path


def test_real_planted_and_unplanted_results_are_never_counted_together(tmp_path):
    path = ledger_of(tmp_path)
    table = claims.outcomes(
        ["C2.auc_movie", "C2.auc_amazon", "C4.best_cell", "C4.tracked", "C2.auc_tweets"], path
    )
    sides = table[["real", "planted", "nothing planted"]].to_numpy().tolist()
    silent = "not asked"
    assert sides[0] == ["held", silent, silent]
    assert sides[1] == ["held in part", silent, silent]
    assert sides[2] == [silent, "failed", silent]
    assert sides[3] == ["failed", "held", "failed"]
    assert sides[4] == [silent] * 3
    assert table["supported"].tolist() == [1, 1, 0, 0, 0] and table["results"].tolist() == [1, 2, 1, 1, 0]
    assert claims.outcome(["inconclusive", "inconclusive (simulated)"]) == "could not be decided"
    assert len(claims.outcomes(path=path)) == len(claims.load_claims())
    with pytest.raises(claims.UnknownClaimError, match=r"unknown claim 'C2\.nothing'"):
        claims.outcomes(["C2.nothing"], path)


def test_a_sentence_says_what_the_ledger_says(tmp_path):
    path = ledger_of(tmp_path)
    ids = ["C2.auc_movie", "C2.auc_amazon", "C4.best_cell", "C4.tracked", "C2.auc_tweets"]
    parts = re.split(r"(?<=\)|”)\. ", claims.verdict_sentence(ids, path))
    assert len(parts) == 4
    assert parts[0].startswith("Held: “The axis separates") and parts[0].endswith("”")
    assert parts[1].startswith("Held in part: ") and parts[1].endswith("(1 of 2 results)")
    assert parts[2].startswith("Failed: ") and parts[2].count("“") == 2
    assert parts[2].count("(simulated EEG only)") == 1  # what was asked of people is told of people
    assert parts[3].startswith("Not asked: ") and parts[3].endswith("(tweets)”.")

    claims.record("C2.auc_movie", value=0.5, p=0.9, low=0.4, high=0.9, data="A", simulated=False, path=path)
    assert "Held: " not in claims.verdict_sentence(ids, path)


def test_headlines_are_rows_of_the_ledger():
    names = [name for names in claims.HEADLINES.values() for name in names]
    assert set(names) <= set(claims.load_claims()) and len(names) == len(set(names))


# --- the paper's p-values -----------------------------------------------------------------------------------


def test_the_recount_agrees_with_statsmodels():
    table = claims.paper_alignment_table()
    assert table["number"].tolist() == list(range(1, 26))
    np.testing.assert_allclose(table["p_holm"], multipletests(table["p"], method="holm")[1])
    np.testing.assert_allclose(table["p_bh"], multipletests(table["p"], method="fdr_bh")[1])


def test_the_recount_starts_from_the_papers_own_count():
    table = claims.paper_alignment_table()
    assert (table["p"] <= 0.05).sum() == 16
    assert (table.loc[table["p"] <= 0.05, "delta"] < 0).all()
    assert table["bound"].dtype == bool


def test_bounds_can_only_raise_the_recount():
    """With every bounded p-value at zero the counts are upper limits; as printed, lower ones."""
    table = claims.paper_alignment_table()
    smallest = table["p"].where(~table["bound"], 0.0)
    for method, column in (("holm", "p_holm"), ("fdr_bh", "p_bh")):
        lower = (table[column] <= 0.05).sum()
        upper = (multipletests(smallest, method=method)[1] <= 0.05).sum()
        assert lower <= upper <= lower + 1
