"""The command line says what it does and what is wrong, in exit codes and one line."""

from __future__ import annotations

import re

import pytest
from bs4 import BeautifulSoup
from test_studies import ONLY_ALIGNMENT, YAML

from kernel.cli import main
from kernel.report import write_report
from kernel.studies import run_study

pytestmark = pytest.mark.assets


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("cli")
    (place / "study.yaml").write_text(YAML)
    assert main(["run", str(place / "study.yaml"), "--jobs", "1", "--quiet"]) == 0
    return place / "study"


def test_a_dry_run_tells_the_plan_and_writes_nothing(tmp_path, capsys):
    path = tmp_path / "study.yaml"
    path.write_text("")
    assert main(["run", str(path), "--dry-run"]) == 0
    text = capsys.readouterr().out
    assert re.search(
        r"\d+ trainings, about [\d.]+ h with 2 workers, [\d.]+ GB of disk, [\d.]+ GB of memory", text
    )
    assert [p.name for p in tmp_path.iterdir()] == ["study.yaml"]


def test_the_report_stands_alone_and_says_that_it_is_simulated(folder, capsys):
    assert main(["report", str(folder)]) == 0
    text = open(capsys.readouterr().out.strip(), encoding="utf-8").read()
    page = BeautifulSoup(text, "html.parser")
    assert len(page("img")) == 3 and all(image["alt"] for image in page("img"))
    loaded = page(["img", "script", "link", "iframe", "source"])
    assert all((tag.get("src") or tag.get("href")).startswith("data:") for tag in loaded)
    assert "The EEG is simulated." in text and "(simulated)" in text and "C4.tracked" in text
    assert "Not run yet" not in text


def test_the_report_of_half_a_study_names_what_is_missing(tmp_path):
    run_study(ONLY_ALIGNMENT, tmp_path / "study", n_jobs=1, progress=False)
    largest = max((tmp_path / "study" / "tasks").iterdir(), key=lambda p: '"strategies"' in p.read_text())
    largest.unlink()
    text = write_report(tmp_path / "study").read_text()
    assert "Not run yet" in text and "<li>strategy" in text


def test_claims_are_told(folder, capsys):
    assert main(["claims", "C4.tracked", "--ledger", str(folder / "claims.json")]) == 0
    text = capsys.readouterr().out
    assert text.startswith("C4.tracked") and "rule:" in text and "simulated" in text
    assert main(["claims", "--ledger", str(folder / "claims.json")]) == 0
    assert "not run" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "missing.yaml"], "/missing.yaml: [Errno 2] No such file"),
        (["status", "nowhere"], "holds no study"),
        (["report", "nowhere"], "holds no study"),
        (["claims", "C99.none"], "got 'C99.none'"),
    ],
)
def test_what_the_reader_can_mend_is_one_line(arguments, message, capsys):
    assert main(arguments) == 1
    text = capsys.readouterr().err
    assert message in text and "Traceback" not in text and text.startswith("kernel: ")


def test_no_scheduler_is_said_plainly(tmp_path, capsys, monkeypatch):
    distributed = pytest.importorskip("distributed")

    def refuse(address, timeout):
        raise OSError("refused")

    monkeypatch.setattr(distributed, "Client", refuse)
    (tmp_path / "study.yaml").write_text(YAML)
    assert main(["run", str(tmp_path / "study.yaml"), "--scheduler", "tcp://127.0.0.1:1"]) == 1
    assert "no Dask scheduler answers at 'tcp://127.0.0.1:1'" in capsys.readouterr().err
    assert not (tmp_path / "study").exists()


def test_wrong_commands_have_the_code_of_wrong_commands(capsys):
    for arguments in ([], ["walk"], ["run"], ["run", "x.yaml", "--jobs", "none"]):
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == 2
    capsys.readouterr()
    assert main(["assets", "list"]) == 0
    assert "smollm2-135m-instruct" in capsys.readouterr().out
