"""Each command of the newcomer's walk works as printed, on generated files."""

from __future__ import annotations

import os
import re
import subprocess
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


@pytest.mark.assets
def test_the_walk_can_be_walked(tmp_path):
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "studies").symlink_to(ROOT / "book" / "studies")
    environment = {k: v for k, v in os.environ.items() if k not in ("KERNEL_DATA", "KERNEL_LEDGER")}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment |= {"PATH": path, "PYTHONPATH": str(ROOT), "TQDM_DISABLE": "1"}
    # the study names its folder by a path from its own place, which is the repository's
    text = (ROOT / "book" / "studies" / "first.yaml").read_text().replace("../../my_faced", "my_faced")
    (tmp_path / "first.yaml").write_text(text)
    said = {}
    for command in COMMANDS:
        ours = command
        if command.startswith("kernel "):
            ours = f"{sys.executable} -m {command.replace('book/studies/first.yaml', 'first.yaml')}"
        done = subprocess.run(ours, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        said[command] = done.stdout
    assert len(said) == 8, "the walk has other commands than this test knows"
    loaded, planned, status = (
        next(text for command, text in said.items() if word in command)
        for word in ("load_cohort", "dry-run", "status")
    )
    assert loaded.startswith("simulated cohort, generated files") and "trainings, about" in planned
    assert re.search(r"(\d+) of \1 tasks are done", status)
    report = (tmp_path / "my_study" / "report.html").read_text()
    assert "The EEG is simulated." in report
    for table in (tmp_path / "my_study" / "results").glob("*.csv"):
        assert pd.read_csv(table)["simulated"].all(), table.name


def test_generated_files_are_simulated_and_recordings_are_not(tmp_path):
    script = ROOT / "book" / "studies" / "make_faced.py"
    folder = tmp_path / "generated"
    subprocess.run(
        [sys.executable, str(script), str(folder), "--subjects", "3"], check=True, capture_output=True
    )
    assert load_cohort(folder, progress=False).simulated
    (folder / "GENERATED.txt").unlink()
    assert not load_cohort(folder, progress=False).simulated
    again = subprocess.run([sys.executable, str(script), str(folder)], capture_output=True, text=True)
    assert again.returncode == 2 and "choose a new folder" in again.stderr


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
