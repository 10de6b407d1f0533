"""Each command of the newcomer's walk works as printed, on generated files."""

from __future__ import annotations

import re
import runpy
import shlex
import shutil
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from kernel.brain.sources import load_cohort
from kernel.cli import main
from kernel.plans import load_study

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "book" / "walk.md").read_text(encoding="utf-8")
COMMANDS = [
    line
    for block in re.findall(r"```bash\n(.*?)```", PAGE, flags=re.S)
    for line in block.splitlines()
    if line and not line.startswith(("git clone", "source", "make book"))
]
#: Settings of the walk's study that make it quick.
FEW = {"texts": 10, "epochs": 2, "members": 2, "permutations": 30, "slow_permutations": 19}


def run_script(script, *arguments):
    """Run a script as a shell would, but in this process, where all is loaded; gives its code."""
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as ended:
        patch.setattr(sys, "argv", [script, *arguments])
        patch.setattr(sys, "path", sys.path.copy())
        runpy.run_path(script, run_name="__main__")
    return ended.value.code


def perform(command):
    """Do what a line of shell does; gives its code."""
    program, *arguments = shlex.split(command)
    if program.startswith("KERNEL_DATA="):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(*program.split("="))
            return perform(shlex.join(arguments))
    if program == "kernel":
        return main(arguments)
    if arguments[0] != "-c":
        return run_script(*arguments)
    exec(compile(arguments[1], command, "exec"), {"__name__": "__main__"})
    return 0


@pytest.mark.assets
def test_the_walk_can_be_walked(tmp_path, monkeypatch, capsys):
    theirs, ours = ROOT / "book" / "studies", tmp_path / "book" / "studies"
    ours.mkdir(parents=True)
    shutil.copy(theirs / "make_faced.py", ours)
    study = yaml.safe_load((theirs / "first.yaml").read_text())
    assert FEW.keys() < study.keys()
    (ours / "first.yaml").write_text(yaml.safe_dump(study | FEW))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KERNEL_LEDGER", raising=False)
    monkeypatch.setenv("KERNEL_PROCESSES", "1")  # a second one would load everything again
    said = {}
    for command in COMMANDS:
        assert perform(command) == 0, command
        said[command] = capsys.readouterr().out
    assert len(said) == 8, "the walk has other commands than this test knows"
    loaded, planned, status, claim = (
        next(text for command, text in said.items() if word in command)
        for word in ("load_cohort", "dry-run", "status", "kernel claims")
    )
    assert loaded.startswith("simulated cohort, generated files") and "trainings, about" in planned
    assert re.search(r"(\d+) of \1 tasks are done", status) and "supported (simulated)" in claim
    report = (tmp_path / "my_study" / "report.html").read_text()
    assert "The EEG is simulated." in report
    for table in (tmp_path / "my_study" / "results").glob("*.csv"):
        assert pd.read_csv(table)["simulated"].all(), table.name


def test_generated_files_are_simulated_and_recordings_are_not(tmp_path, capsys):
    script, folder = str(ROOT / "book" / "studies" / "make_faced.py"), tmp_path / "generated"
    assert run_script(script, str(folder), "--subjects", "3") == 0
    assert load_cohort(folder, progress=False).simulated
    (folder / "GENERATED.txt").unlink()
    assert not load_cohort(folder, progress=False).simulated
    assert run_script(script, str(folder)) == 2 and "choose a new folder" in capsys.readouterr().err


def test_the_plan_of_the_paper_is_the_one_printed(capsys):
    assert main(["run", str(ROOT / "book" / "studies" / "paper.yaml"), "--dry-run", "--jobs", "8"]) == 0
    printed = re.search(r"```text\n(.*?)```", (ROOT / "book" / "scaling.md").read_text(), flags=re.S).group(1)
    assert capsys.readouterr().out == printed
    study = load_study(ROOT / "book" / "studies" / "paper.yaml")
    assert len(study.models) == 14 and study.checkpoints == "full" and study.strategies is None


def test_the_cluster_file_gives_the_jobs_it_says(tmp_path):
    jobqueue = pytest.importorskip("dask_jobqueue")
    import dask

    options = yaml.safe_load((ROOT / "book" / "studies" / "slurm.yaml").read_text())["jobqueue"]["slurm"]
    sizes = {name: options[name] for name in ("cores", "memory", "processes")}
    with dask.config.set({f"jobqueue.slurm.{name}": value for name, value in options.items()}):
        job = jobqueue.slurm.SLURMJob(scheduler="tcp://127.0.0.1:8786", name="valence", **sizes)
    script = job.job_script()
    for line in ("-p normal", "-A my-project", "-t 04:00:00", "OMP_NUM_THREADS=1", "--nworkers 8"):
        assert line in script, script
