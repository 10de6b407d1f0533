"""What is wrong with a study is said before any work, and however a run is broken off, the next one ends with
the results of an undisturbed one and computes nothing twice."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import replace

import pandas as pd
import pytest
from filelock import FileLock

from kernel import studies
from kernel.studies import Study, StudyError, load_study, plan, plan_table, run_study

pytestmark = pytest.mark.assets

TINY = Study(
    subjects=15,
    texts=0,
    checkpoints="short",
    strategies=(11, 16),
    seeds=2,
    epochs=2,
    members=2,
    permutations=30,
    slow_permutations=19,
    split="leave_subjects_out",
    models=("SmolLM2-135M-Instruct",),
)
YAML = "\n".join(
    f"{key}: {list(value) if isinstance(value, tuple) else value}"
    for key, value in vars(TINY).items()
    if value is not None
)
ONLY_ALIGNMENT = replace(TINY, checkpoints="none", members=0)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("studies") / "undisturbed"
    return folder, run_study(TINY, folder, n_jobs=1, progress=False)


def assert_same(found, expected):
    assert set(found) == set(expected)
    for name, table in expected.items():
        pd.testing.assert_frame_equal(found[name], table, obj=name)


# ---- the file


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("strategy: [11]", "unknown key 'strategy': did you mean 'strategies'"),
        ("subjects: many", "subjects must be a whole number of 2 or more, got 'many'"),
        ("subjects: true", "subjects must be a whole number"),
        ("seeds: 0", "seeds must be a whole number of 1 or more, got 0"),
        (
            "models: [SmolLM2-135M]",
            "models holds 'SmolLM2-135M', which is unknown: did you mean 'SmolLM2-135M-",
        ),
        ("models: []", "models is empty"),
        ("models: SmolLM2-135M-Instruct", "models must be a list of names"),
        ("strategies: [26]", "the paper's table has no row 26"),
        ("strategies: 7", "strategies must be a list"),
        ("bands: [alpha, mu]", "bands holds 'mu'"),
        ("preset: happy", "preset must be one of"),
        ("checkpoints: 36", "checkpoints must be one of full, fewer, short, none, got 36"),
        ("path: nowhere", "does not exist: name a folder of recordings"),
        ("device: abacus", "device 'abacus' cannot be used here"),
        ("epochs: 0", "epochs must be a number of 1 or more"),
        ("members: 1", "one member is no ensemble"),
        ("preset: [a]", "preset must be one of"),
        ("checkpoints: [mlp]", "checkpoints must be one of"),
        ("strategies: {a: 1}", "strategies must be a list of numbers and names"),
        ("strategies: [true]", "strategies must be a list of numbers and names"),
        ("strategies: [11, 11]", "strategies names something twice"),
        ("split: leave_subject_out", "split must be one of standard"),
        ("bands: []", "bands is empty"),
        ("path: ''", "path must name a folder or a file"),
        ("- a\n- b", "must hold lines of 'key: value', got a list"),
        ("a: [", "cannot read the study"),
        ("seeds: 2\nfold: 0\nseeds: 3", "line 3: 'seeds' is there already, in line 1: keep one of the two"),
        ("seeds: 2\nfold: 010", "line 2: YAML reads 010 as 8: write the number without leading zeros"),
        ("subjects: 1:30", "line 1: YAML reads 1:30 as 90"),
        ("segment: 1:30.5", "line 1: YAML reads 1:30.5 as 90.5"),
    ],
)
def test_a_wrong_study_is_refused_with_its_file_and_the_cure(tmp_path, text, message):
    path = tmp_path / "study.yaml"
    path.write_text(text)
    with pytest.raises(StudyError, match=re.escape(message)) as caught:
        load_study(path)
    assert str(path) in str(caught.value)


def test_a_file_may_be_empty_and_gives_back_what_it_says(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text("")
    assert load_study(path) == Study()
    path.write_text(YAML)
    assert load_study(path) == TINY
    (tmp_path / "recordings").mkdir()
    path.write_text("path: recordings")
    assert load_study(path).path == str(tmp_path / "recordings")


def test_the_plan_counts_what_the_paper_has():
    table = plan_table(plan(replace(Study(), strategies=tuple(range(1, 26)))))
    assert table.loc["training", "trainings"] == 36 and table.loc["strategy", "tasks"] == 25
    assert table.loc["strategy", "trainings"] == 25 * 5 * 2  # each with its placebo
    assert table.loc["all", "trainings"] == table["trainings"].iloc[:-1].sum()
    none = plan_table(plan(replace(Study(), strategies=(), checkpoints="none", members=0)))
    assert none.loc["all", "trainings"] == 0 and "rediscovery" not in none.index
    more = studies.estimate(replace(Study(), seeds=50))
    assert more["hours"] > studies.estimate(Study())["hours"] > 0
    assert studies.estimate(Study(), n_jobs=4)["hours"] < studies.estimate(Study(), n_jobs=1)["hours"]


# ---- the run


def test_every_row_says_where_it_comes_from(undisturbed):
    folder, tables = undisturbed
    expected = {
        "axis",
        "projection",
        "topography",
        "members",
        "rediscovery",
        "ablation",
        "summary",
        "contest",
    }
    assert expected <= set(tables)
    for name, table in tables.items():
        for column in ("data", "simulated", "source", "seed", "device", "versions", "package"):
            assert table[column].notna().all(), (name, column)
        assert table["simulated"].all() and table["data"].str.contains("simulated").all(), name
        stored = pd.read_csv(folder / "results" / f"{name}.csv")
        assert len(stored) == len(table) and "torch" in stored["versions"].iloc[0]
    assert tables["strategies"]["arm"].value_counts().to_dict() == {"base": 4, "true": 4, "placebo": 4}
    rows = json.loads((folder / "claims.json").read_text())
    assert {"C4.tracked", "C8.gain", "C7.none_helps"} <= {row["id"] for row in rows}
    assert all("simulated" in row["verdict"] for row in rows)


def test_two_processes_find_what_one_finds(undisturbed, tmp_path):
    assert_same(run_study(TINY, tmp_path / "two", n_jobs=2, progress=False), undisturbed[1])


@contextmanager
def dask_client():
    distributed = pytest.importorskip("distributed")
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client:
        yield client


def test_a_dask_cluster_finds_what_one_process_finds(undisturbed, tmp_path):
    with dask_client() as client:
        found = run_study(TINY, tmp_path / "dask", client=client, progress=False)
    assert_same(found, undisturbed[1])


def test_a_finished_study_computes_nothing_again(undisturbed):
    folder, tables = undisturbed
    before = {path.name: path.stat().st_mtime_ns for path in (folder / "tasks").iterdir()}
    assert_same(run_study(TINY, folder, n_jobs=1, progress=False), tables)
    assert {path.name: path.stat().st_mtime_ns for path in (folder / "tasks").iterdir()} == before
    assert len(before) == len(plan(TINY))


def test_a_killed_run_goes_on_with_nothing_lost_and_nothing_double(undisturbed, tmp_path):
    (tmp_path / "study.yaml").write_text(YAML)
    command = [sys.executable, "-m", "kernel", "run", str(tmp_path / "study.yaml"), "--quiet", "--jobs", "1"]
    running = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL)
    tasks = tmp_path / "study" / "tasks"
    end = time.monotonic() + 120
    while len(list(tasks.glob("[!.]*.json"))) < 4 and time.monotonic() < end and running.poll() is None:
        time.sleep(0.01)
    os.killpg(running.pid, signal.SIGKILL)
    assert running.wait() == -signal.SIGKILL
    before = {path.name: path.stat().st_mtime_ns for path in tasks.glob("[!.]*.json")}
    assert 4 <= len(before) < len(plan(TINY))
    assert_same(run_study(TINY, tmp_path / "study", n_jobs=1, progress=False), undisturbed[1])
    after = {path.name: path.stat().st_mtime_ns for path in tasks.glob("[!.]*.json")}
    assert before.items() <= after.items() and len(after) == len(plan(TINY))


def killing(place, times):
    """`perform` that kills its worker before the first task of alignment, so many times."""
    original = studies.perform

    def perform(study, folder, task):
        if task.kind == "strategy":
            for k in range(times):
                mark = os.path.join(place, str(k))
                try:
                    os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
                except FileExistsError:
                    continue
                os.kill(os.getpid(), 9)
        return original(study, folder, task)

    return perform


@pytest.mark.parametrize("where", ["joblib", "dask"])
def test_a_killed_worker_is_replaced(undisturbed, tmp_path, monkeypatch, where):
    (tmp_path / "marks").mkdir()
    monkeypatch.setattr(studies, "perform", killing(str(tmp_path / "marks"), 1))
    if where == "joblib":
        found = run_study(ONLY_ALIGNMENT, tmp_path / "study", n_jobs=2, progress=False)
    else:
        with dask_client() as client:
            found = run_study(ONLY_ALIGNMENT, tmp_path / "study", client=client, progress=False)
    assert list((tmp_path / "marks").iterdir()), "no worker was killed"
    pd.testing.assert_frame_equal(found["summary"], undisturbed[1]["summary"])


def test_workers_that_die_again_and_again_end_the_run_with_the_cure(tmp_path, monkeypatch):
    (tmp_path / "marks").mkdir()
    monkeypatch.setattr(studies, "perform", killing(str(tmp_path / "marks"), 1000))
    with pytest.raises(StudyError, match=r"killed 3 times over.*Run again with fewer workers"):
        run_study(ONLY_ALIGNMENT, tmp_path / "study", n_jobs=2, progress=False)


@pytest.mark.parametrize("successes", [0, 3, 7])
def test_a_full_disk_is_named_and_the_next_run_goes_on(undisturbed, tmp_path, monkeypatch, successes):
    original, left = studies.files.atomic_path, [successes]

    @contextmanager
    def full(target):
        if left[0] == 0:
            raise OSError(errno.ENOSPC, "No space left on device", str(target))
        left[0] -= "tasks" in str(target)
        with original(target) as temporary:
            yield temporary

    with monkeypatch.context() as patch:
        patch.setattr(studies.files, "atomic_path", full)
        with pytest.raises(StudyError, match="No space left on device"):
            run_study(TINY, tmp_path / "study", n_jobs=1, progress=False)
    assert_same(run_study(TINY, tmp_path / "study", n_jobs=1, progress=False), undisturbed[1])


def test_a_task_that_fails_is_named_and_the_others_are_kept(tmp_path, monkeypatch):
    def broken(study, folder, what):
        raise ValueError("the cells are all alike")

    with monkeypatch.context() as patch:
        patch.setitem(studies.KINDS, "topography", broken)
        with pytest.raises(
            StudyError, match="topography SmolLM2-135M-Instruct: ValueError: the cells are all"
        ):
            run_study(ONLY_ALIGNMENT, tmp_path / "study", n_jobs=1, progress=False)
    done = studies.status(tmp_path / "study")["done"]
    assert done["projection"] == 1 and done["topography"] == 0 and done["strategy"] == 0
    run_study(ONLY_ALIGNMENT, tmp_path / "study", n_jobs=1, progress=False)
    assert studies.status(tmp_path / "study").eval("tasks == done").all()


def test_what_is_missing_for_a_task_is_no_full_disk(tmp_path, monkeypatch):
    def gone(study, folder, what):
        raise FileNotFoundError(errno.ENOENT, "No such file", "sub007.bdf")

    with monkeypatch.context() as patch:
        patch.setitem(studies.KINDS, "projection", gone)
        with pytest.raises(StudyError, match=r"projection SmolLM2-135M-Instruct: FileNotFoundError.*sub007"):
            run_study(ONLY_ALIGNMENT, tmp_path / "study", n_jobs=1, progress=False)
    with pytest.raises(
        StudyError, match="cohort: ValueError"
    ):  # a split that the data cannot serve shows first
        run_study(replace(ONLY_ALIGNMENT, split="cbramod"), tmp_path / "split", n_jobs=1, progress=False)


def test_a_lost_connection_gives_the_tasks_out_again(undisturbed, tmp_path, monkeypatch):
    class CommClosedError(OSError):
        """As Dask's."""

    original, left = studies._side_by_side, [1]

    def breaking(calls, n_jobs, client):
        if len(calls) == 2 and left[0]:
            left[0] = 0
            raise CommClosedError("connection lost")
        yield from original(calls, n_jobs, client)

    monkeypatch.setattr(studies, "_side_by_side", breaking)
    found = run_study(ONLY_ALIGNMENT, tmp_path / "study", n_jobs=1, progress=False)
    assert left == [0]
    pd.testing.assert_frame_equal(found["summary"], undisturbed[1]["summary"])


def test_a_lost_cohort_is_made_again(tmp_path):
    first = run_study(ONLY_ALIGNMENT, tmp_path / "study", n_jobs=1, progress=False)
    (tmp_path / "study" / "cohort.nc").unlink()
    assert_same(run_study(ONLY_ALIGNMENT, tmp_path / "study", n_jobs=1, progress=False), first)
    assert (tmp_path / "study" / "cohort.nc").is_file()


def test_a_damaged_result_is_computed_anew(undisturbed, tmp_path):
    run_study(ONLY_ALIGNMENT, tmp_path / "study", n_jobs=1, progress=False)
    path = next(p for p in (tmp_path / "study" / "tasks").iterdir() if "strategies" in p.read_text())
    text = path.read_text()
    path.write_text(text[: len(text) // 2])
    other = next(p for p in (tmp_path / "study" / "tasks").iterdir() if '"cells"' in p.read_text())
    other.write_text('{"tables": {}}')
    (tmp_path / "study" / "tasks" / "older.json").write_text("{}")
    with pytest.warns(UserWarning) as told:
        found = run_study(ONLY_ALIGNMENT, tmp_path / "study", n_jobs=1, progress=False)
    texts = " ".join(str(one.message) for one in told)
    assert (
        "cannot be read" in texts
        and "without" in texts
        and "1 results" in texts
        and "another version" in texts
    )
    pd.testing.assert_frame_equal(found["summary"], undisturbed[1]["summary"])
    assert len(found["cells"])


def test_a_folder_belongs_to_one_study_and_one_run(undisturbed, tmp_path):
    folder, _ = undisturbed
    with pytest.raises(StudyError, match="holds another study"):
        run_study(replace(TINY, seeds=3), folder, progress=False)
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(StudyError, match="exists and is no study: choose a new folder"):
        run_study(TINY, tmp_path, progress=False)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine.txt"]
    with FileLock(folder / ".lock"), pytest.raises(StudyError, match="another run is at work"):
        run_study(TINY, folder, progress=False)
    with pytest.raises(StudyError, match="holds no study that can be read"):
        studies.status(tmp_path)


def test_results_of_another_package_or_other_recordings_are_not_taken(monkeypatch, tmp_path):
    task = plan(TINY)[0]
    before = studies.task_id(TINY, task)
    assert studies.task_id(TINY, task) == before
    monkeypatch.setattr(studies.files, "source_digest", lambda *names: "other")
    assert studies.task_id(TINY, task) != before
    monkeypatch.undo()
    monkeypatch.setattr(studies.files, "VERSIONS", {**studies.files.VERSIONS, "torch": "0"})
    assert studies.task_id(TINY, task) != before
    monkeypatch.undo()
    (tmp_path / "sub000.pkl.pkl").write_bytes(b"one")
    recorded = replace(TINY, path=str(tmp_path))
    first = studies.task_id(recorded, task)
    (tmp_path / "sub000.pkl.pkl").write_bytes(b"three")
    assert studies.task_id(recorded, task) != first


def test_a_finished_study_is_read_without_its_recordings_device_and_package(monkeypatch, tmp_path, capsys):
    from kernel.brain.simulate import simulate_cohort
    from kernel.cli import main

    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    cohort, _ = simulate_cohort(0, n_subjects=10, window=10.0)
    cohort.save(tmp_path / "own.nc")
    done = {kind: lambda study, folder, what: {"tables": {}} for kind in studies.KINDS}
    monkeypatch.setattr(studies, "KINDS", {**done, "cohort": studies.KINDS["cohort"]})
    (tmp_path / "study.yaml").write_text("path: own.nc\nmembers: 0\n")
    monkeypatch.chdir(tmp_path)
    assert main(["run", "study.yaml", "--folder=~/out", "--quiet", "--jobs", "1"]) == 0
    (tmp_path / "own.nc").unlink()
    monkeypatch.setattr(studies.files, "VERSIONS", {})
    study = studies.open_study("~/out")
    monkeypatch.setattr(studies, "_check_machine", lambda study: pytest.fail("asked of a reader"))
    n = len(plan(study))
    assert studies.status("~/out")["done"].sum() == n and study.path == str(tmp_path / "own.nc")
    capsys.readouterr()
    assert main(["status", "~/out"]) == 0 and f"{n} of {n} tasks are done" in capsys.readouterr().out
    assert main(["report", "~/out"]) == 0 and (tmp_path / "home" / "out" / "report.html").is_file()
    monkeypatch.undo()
    with pytest.raises(StudyError, match=r"own\.nc' does not exist"):
        run_study(study, tmp_path / "home" / "out", progress=False)
    assert not (tmp_path / "~").exists()


def test_a_folder_that_cannot_be_written_is_refused_before_any_work(monkeypatch, tmp_path):
    monkeypatch.setattr(studies, "_run_stage", lambda *_: pytest.fail("computed"))
    (tmp_path / "file").write_text("")
    with pytest.raises(StudyError, match=r"cannot write in .*file/out"):
        run_study(TINY, tmp_path / "file" / "out", progress=False)
