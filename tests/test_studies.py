"""What is wrong with a study is said before any work, and however a run is broken off, the next one ends with
the results of an undisturbed one and computes nothing twice."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import replace
from unittest import mock

import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from filelock import FileLock

from kernel import studies
from kernel.brain.cohort import Cohort
from kernel.brain.simulate import simulate_cohort
from kernel.cli import main
from kernel.plans import Study, StudyError, load_study
from kernel.report import write_report
from kernel.studies import run_study
from kernel.tasks import KINDS, Results

pytestmark = pytest.mark.assets

TINY = Study(
    subjects=15, texts=0, checkpoints="short", strategies=(11, 16), seeds=2, epochs=2, members=2,
    permutations=30, slow_permutations=19, split="leave_subjects_out", models=("SmolLM2-135M-Instruct",),
)  # fmt: skip
SETTINGS = {key: value for key, value in vars(TINY).items() if value is not None}
YAML = "\n".join(f"{key}: {list(v) if isinstance(v, tuple) else v}" for key, v in SETTINGS.items())


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A finished study: its folder, not to be changed, and its tables."""
    folder = tmp_path_factory.mktemp("studies") / "undisturbed"
    return folder, run_study(TINY, folder, n_jobs=1, progress=False)


@pytest.fixture
def copied(undisturbed, tmp_path):
    """A copy of it to be damaged."""
    return shutil.copytree(undisturbed[0], tmp_path / "study")


def lose(folder, *kinds):
    """Remove the results of tasks of some kinds."""
    results = Results(folder)
    for task in TINY.plan():
        if task.kind in kinds:
            results.place(task.label).unlink()


@pytest.fixture
def quick(monkeypatch):
    """Tasks that do nothing but the cohort, and a record of those that were done."""
    done = []

    def nothing(study, folder, what):
        done.append(what)
        return {"tables": {"nothing": [{"what": what}]}}

    kinds = {kind: nothing for kind in KINDS} | {"cohort": KINDS["cohort"]}
    monkeypatch.setattr(studies, "KINDS", kinds)
    return kinds, done


def run(study, folder, n_jobs=1, **options):
    return run_study(study, folder, n_jobs=n_jobs, progress=False, **options)


def assert_same(found, expected):
    assert set(found) == set(expected)
    for name, table in expected.items():
        pd.testing.assert_frame_equal(found[name], table, obj=name)


def stamps(folder):
    return {path.name: path.stat().st_mtime_ns for path in (folder / "tasks").glob("[!.]*.json")}


# ---- the file


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("strategy: [11]", "got 'strategy' (did you mean strategies?)"),
        ("subjects: many", "subjects must be a whole number of 2 or more, got 'many'"),
        ("subjects: true", "subjects must be a whole number"),
        ("seeds: 0", "seeds must be a whole number of 1 or more, got 0"),
        ("seeds: 1", "seeds must be 2 or more to test strategies, got 1; or ask none: strategies: []"),
        ("models: [SmolLM2-135M]", "got 'SmolLM2-135M' (did you mean SmolLM2-135M-Instruct?)"),
        ("models: []", "models is empty"),
        ("models: SmolLM2-135M-Instruct", "models must be a list"),
        ("strategies: [26]", "a whole number from 1 to 25, got 26"),
        ("strategies: 7", "strategies must be a list"),
        ("strategies: [true]", "strategies must be a list of numbers and names"),
        ("strategies: [11, 11]", "strategies holds 11 twice"),
        ("bands: [alpha, mu]", "got 'mu'"),
        ("preset: happy", "preset must be one of"),
        ("checkpoints: 36", "checkpoints must be one of full, fewer, short, none; got 36"),
        ("checkpoints: [mlp]", "checkpoints must be one of"),
        ("path: nowhere", "does not exist: name a folder of recordings"),
        ("path: ''", "path must be a text, or be left out"),
        ("device: abacus", "device 'abacus' cannot be used here"),
        ("device: [cpu]", "device must be a text"),
        ("epochs: 0", "epochs must be a whole number of 1 or more"),
        ("segment: 0.5", "segment must lie in [1, 1e+06)"),
        ("members: 1", "one member is no ensemble"),
        (
            "stories: [calm]",
            "stories: sentences must be a dict of two emotions or more, got ('calm',)",
        ),
        ("stories: {calm: [' '], stress: [The exam.]}", "stories: emotion 'calm' has no sentence in ' '"),
        ("stories: {calm: [Still.], stress: [Loud.]}", "orient must be one of calm, stress; got 'joy'"),
        ("orient: happy", "orient must be one of"),
        ("split: leave_subject_out", "did you mean leave_subjects_out?"),
        ("- a\n- b", "must hold lines of 'key: value', got a list"),
        ("a: [", "cannot read the study"),
        ("seeds: 2\nfold: 0\nseeds: 3", "line 3: 'seeds' is there already, in line 1: keep one of the two"),
        ("subjects: 1:30", "line 1: YAML reads 1:30 as 90"),
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
    path.write_text("path: recordings\nstrategies: []\ntables: faced\nsegment: 10")
    study = load_study(path)
    assert study.path == str(tmp_path / "recordings") and study.strategies == () and study.segment == 10
    assert len(study.tables) > 60


def test_the_plan_counts_what_the_paper_has():
    table = replace(Study(), strategies=tuple(range(1, 26))).costs()
    assert table.loc["training", "trainings"] == 36 and table.loc["strategy", "tasks"] == 25
    assert table.loc["strategy", "trainings"] == 25 * 5 * 2  # each with its placebo
    assert table.loc["all", "trainings"] == table["trainings"].iloc[:-1].sum()
    none = replace(Study(), strategies=(), checkpoints="none", members=0).costs()
    assert none.loc["all", "trainings"] == 0 and "rediscovery" not in none.index
    more = replace(Study(), seeds=50).estimate()
    assert more["hours"] > Study().estimate()["hours"] > 0
    assert Study().estimate(n_jobs=4)["hours"] < Study().estimate(n_jobs=1)["hours"]


# ---- the run


def test_every_row_says_where_it_comes_from(undisturbed):
    folder, tables = undisturbed
    names = "axis projection topography members rediscovery ablation summary contest".split()
    assert set(names) <= set(tables)
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


def test_a_finished_study_computes_nothing_again(undisturbed):
    folder, tables = undisturbed
    before = stamps(folder)
    assert_same(run(TINY, folder), tables)
    assert stamps(folder) == before and len(before) == len(TINY.plan())


@pytest.mark.parametrize("prefix", ["E", "named"])
def test_a_montage_without_places_leaves_out_the_scalp_alone(quick, tmp_path, prefix):
    kinds, done = quick
    kinds["topography"] = KINDS["topography"]
    cohort = simulate_cohort(0, n_subjects=15, window=15.0)[0]
    if prefix == "E":
        channels = [f"E{k}" for k in range(len(cohort.channels))]
        cohort = Cohort(cohort.data.assign_coords(channel=channels))
    study = replace(TINY, path=str(cohort.save(tmp_path / "cohort.nc")))
    if prefix == "named":
        with pytest.raises(StudyError, match="KeyError: 'axis'"):  # the map is begun, and wants one
            run(study, tmp_path / "study")
        return
    refused = run(study, tmp_path / "study")["refused"]
    assert refused["part"].tolist() == ["topography"] and "10-05 system, E0 neither" in refused["why"][0]
    assert len(done) == len(study.plan()) - 2  # all but it and the cohort
    assert run(study, tmp_path / "study")["refused"].equals(refused)


def test_a_killed_run_goes_on_with_nothing_lost_and_nothing_double(undisturbed, copied, tmp_path):
    study = copied
    lose(study, *(KINDS.keys() - {"cohort", "axis"}))
    shutil.rmtree(study / "trainings")
    (tmp_path / "study.yaml").write_text(YAML)
    command = [sys.executable, "-m", "kernel", "run", str(tmp_path / "study.yaml"), "--quiet", "--jobs", "1"]
    running = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL)
    end = time.monotonic() + 120
    while len(stamps(study)) < 4 and time.monotonic() < end and running.poll() is None:
        time.sleep(0.01)
    os.killpg(running.pid, signal.SIGKILL)
    assert running.wait() == -signal.SIGKILL
    before = stamps(study)
    assert 4 <= len(before) < len(TINY.plan())
    assert_same(run(TINY, study), undisturbed[1])
    after = stamps(study)
    assert before.items() <= after.items() and len(after) == len(TINY.plan())


@contextmanager
def dask_client():
    distributed = pytest.importorskip("distributed")
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client:
        yield client


def killing(place, times):
    """`_perform` that kills its worker before the first task of alignment, so many times."""
    original = studies._perform

    def _perform(study, folder, task):
        if task.kind == "strategy":
            for k in range(times):
                mark = os.path.join(place, str(k))
                try:
                    os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
                except FileExistsError:
                    continue
                os.kill(os.getpid(), 9)
        return original(study, folder, task)

    return _perform


def test_two_processes_of_which_one_is_killed_find_what_one_finds(undisturbed, copied, tmp_path, monkeypatch):
    lose(copied, "projection", "topography", "strategy")
    (tmp_path / "marks").mkdir()
    monkeypatch.setattr(studies, "_perform", killing(str(tmp_path / "marks"), 1))
    tables = run(TINY, copied, n_jobs=2)
    assert list((tmp_path / "marks").iterdir()), "no worker was killed"
    assert_same(tables, undisturbed[1])


def test_a_dask_cluster_of_which_a_worker_is_killed_finds_the_same(
    undisturbed, copied, tmp_path, monkeypatch
):
    lose(copied, "strategy")
    (tmp_path / "marks").mkdir()
    monkeypatch.setattr(studies, "_perform", killing(str(tmp_path / "marks"), 1))
    with dask_client() as client:
        tables = run(TINY, copied, client=client)
    assert list((tmp_path / "marks").iterdir()), "no worker was killed"
    assert_same(tables, undisturbed[1])


def test_workers_that_die_again_and_again_end_the_run_with_the_cure(copied, monkeypatch):
    class TerminatedWorkerError(RuntimeError):
        """As joblib's."""

    def dying(calls, **options):
        raise TerminatedWorkerError
        yield

    lose(copied, "strategy")
    monkeypatch.setattr(studies, "side_by_side", dying)
    with pytest.raises(StudyError, match=r"killed 3 times over.*Run again with fewer workers"):
        run(TINY, copied)


def test_a_lost_connection_gives_the_tasks_out_again(quick, tmp_path, monkeypatch):
    class CommClosedError(OSError):
        """As Dask's."""

    original, left = studies.side_by_side, [1]

    def breaking(calls, **options):
        if len(calls) > 1 and left[0]:
            left[0] = 0
            raise CommClosedError("connection lost")
        yield from original(calls, **options)

    monkeypatch.setattr(studies, "side_by_side", breaking)
    tables = run(TINY, tmp_path / "study")
    assert left == [0] and len(tables["nothing"]) == len(TINY.plan()) - 1


@pytest.mark.parametrize("successes", [0, 3, 7])
def test_a_full_disk_is_named_and_the_next_run_goes_on(quick, tmp_path, monkeypatch, successes):
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
            run(TINY, tmp_path / "study")
    run(TINY, tmp_path / "study")
    assert studies.status(tmp_path / "study").eval("tasks == done").all()
    assert len(quick[1]) <= len(TINY.plan())  # each once, and once more that which could not be written


def test_a_task_that_fails_is_named_and_the_others_are_kept(quick, tmp_path):
    kinds, _ = quick

    def broken(study, folder, what):
        raise FileNotFoundError(errno.ENOENT, "No such file", "sub007.bdf")  # which is no full disk

    working = kinds["topography"]
    kinds["topography"] = broken
    with pytest.raises(StudyError, match=r"topography SmolLM2-135M-Instruct: FileNotFoundError.*sub007"):
        run(TINY, tmp_path / "study")
    done = studies.status(tmp_path / "study")["done"]
    assert done["projection"] == 1 and done["topography"] == 0 and done["strategy"] == 0
    kinds["topography"] = working
    run(TINY, tmp_path / "study")
    assert studies.status(tmp_path / "study").eval("tasks == done").all()
    with pytest.raises(StudyError, match="cohort: ValueError"):  # a split that the data cannot serve
        run(replace(TINY, split="cbramod"), tmp_path / "split")


def test_one_test_person_is_refused_before_networks_are_trained(quick, tmp_path):
    few = replace(TINY, subjects=5)
    with pytest.raises(StudyError, match=r"cohort: .*test of split 'leave_subjects_out' holds 1 subject"):
        run(few, tmp_path / "few")
    assert not quick[1]
    run(replace(few, checkpoints="none", strategies=(), seeds=1, members=0), tmp_path / "untrained")
    assert quick[1]


def test_results_may_hold_gaps_and_numbers_of_numpy_and_nothing_else(quick, tmp_path):
    kinds, _ = quick
    row = {"share": np.array([np.float32(0.5)], dtype=object)[0], "number": pd.NA}
    kinds["axis"] = lambda *_: {"tables": {"numbers": [row]}}
    table = run(TINY, tmp_path / "numbers")["numbers"]
    assert table["share"].tolist() == [0.5] and table["number"].isna().all()
    kinds["axis"] = lambda *_: {"tables": {"numbers": [{"share": {0.5}}]}}
    with pytest.raises(TypeError, match="a result holds a set, which JSON has no form for"):
        run(TINY, tmp_path / "sets")


def test_what_is_lost_or_damaged_is_computed_anew(undisturbed, copied):
    results = Results(copied)
    (copied / "cohort.nc").unlink()
    strategy = next(label for label in results.names if label.startswith("strategy"))
    text = results.place(strategy).read_text()
    results.place(strategy).write_text(text[: len(text) // 2])
    results.place("topography SmolLM2-135M-Instruct").write_text('{"tables": {}}')
    (copied / "tasks" / "older.json").write_text("{}")
    with pytest.warns(UserWarning) as warned:
        tables = run(TINY, copied)
    texts = " ".join(str(one.message) for one in warned)
    assert all(words in texts for words in ("cannot be read", "without", "1 results", "another version"))
    assert_same(tables, undisturbed[1])
    assert (copied / "cohort.nc").is_file()
    (copied / "tasks.json").write_text("{")
    with pytest.raises(StudyError, match=r"tasks\.json is damaged"):
        studies.status(copied)


def test_a_folder_belongs_to_one_study_and_one_run(undisturbed, tmp_path):
    folder, _ = undisturbed
    with pytest.raises(StudyError, match="holds another study"):
        run(replace(TINY, seeds=3), folder)
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(StudyError, match="exists and is no study: choose a new folder"):
        run(TINY, tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine.txt"]
    with FileLock(folder / ".lock"), pytest.raises(StudyError, match="another run is at work"):
        run(TINY, folder)
    with pytest.raises(StudyError, match="holds no study that can be read"):
        studies.status(tmp_path)
    with pytest.raises(StudyError, match=r"cannot write in .*mine\.txt/out"):
        run(TINY, tmp_path / "mine.txt" / "out")


def test_results_of_another_package_or_other_recordings_are_not_taken(monkeypatch, tmp_path):
    before = studies._task_ids(TINY)
    assert studies._task_ids(TINY) == before and len(set(before.values())) == len(TINY.plan())
    for name, value in (
        ("source_digest", lambda *names: "other"),
        ("VERSIONS", {**studies.files.VERSIONS, "torch": "0"}),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(studies.files, name, value)
            assert studies._task_ids(TINY)["cohort"] != before["cohort"]
    with monkeypatch.context() as patch:
        patch.setenv("KERNEL_DEVICE", "meta")
        assert studies._task_ids(TINY)["cohort"] != before["cohort"]
    (tmp_path / "sub000.pkl.pkl").write_bytes(b"one")
    recorded = replace(TINY, path=str(tmp_path))
    first = studies._task_ids(recorded)
    (tmp_path / "sub000.pkl.pkl").write_bytes(b"three")
    assert studies._task_ids(recorded)["cohort"] != first["cohort"]


def test_a_study_of_other_emotions_takes_their_stories(rng, tmp_path):
    emotions = [name for name in ("bored", "proud", "lonely", "calm") for _ in range(2)]
    de = rng.standard_normal((6, 8, 10, 4, 5))
    made = {"dataset": "mine", "provenance": "random numbers", "channels": ["Fp1", "Fp2", "O1", "O2"]}
    order = [rng.permutation(8) + 1 for _ in range(6)]
    Cohort.from_arrays(de, subjects=range(1, 7), emotions=emotions, order=order, **made).save(
        tmp_path / "mine.nc"
    )
    lines = [
        f"path: {tmp_path / 'mine.nc'}", "models: [SmolLM2-135M-Instruct]", "texts: 0", "checkpoints: none",
        "strategies: []", "members: 0", "permutations: 19", "slow_permutations: 19",
    ]  # fmt: skip
    (tmp_path / "study.yaml").write_text("\n".join(lines))
    with pytest.raises(
        StudyError, match=r"the emotions \['bored', 'calm', 'lonely', 'proud'\] have no stories"
    ):
        run(load_study(tmp_path / "study.yaml"), tmp_path / "lacking")
    few = Cohort.from_arrays(de[:, :4], subjects=range(1, 7), emotions=emotions[:4], **made)
    few.save(tmp_path / "few.nc")
    stories = {name: ["Something happened."] for name in (*set(emotions), "joy")}
    for path, cure in (("mine.nc", "orient must be one of bored, proud"), ("few.nc", "asks about three")):
        orient = {"orient": "proud"} if path == "few.nc" else {}
        study = replace(TINY, path=str(tmp_path / path), split=None, stories=stories, **orient)
        with pytest.raises(StudyError, match=cure):
            run(study, tmp_path / f"refused {path}")
    lines += [
        "orient: proud", "stories:", "  bored: [The lecture went on and on.]",
        "  calm: [The lake lay still.]", "  lonely: [Nobody called on her birthday.]",
        "  proud: ['His daughter won the race, and he beamed.']",
    ]  # fmt: skip
    (tmp_path / "study.yaml").write_text("\n".join(lines))
    found = run(load_study(tmp_path / "study.yaml"), tmp_path / "out")
    position = found["axis"].set_index("emotion")["position"]
    assert list(position.index) == ["bored", "proud", "lonely", "calm"] and position["proud"] > 0
    assert found["projection"]["p"].between(1 / 24, 1).all()
    assert studies.open_study(tmp_path / "out").stories["calm"] == ["The lake lay still."]


def test_a_finished_study_is_read_without_its_recordings_device_and_package(
    quick, monkeypatch, tmp_path, capsys
):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    cohort, _ = simulate_cohort(0, n_subjects=10, window=10.0)
    cohort.save(tmp_path / "own.nc")
    (tmp_path / "study.yaml").write_text("path: own.nc\nmembers: 0\n")
    monkeypatch.chdir(tmp_path)
    assert main(["run", "study.yaml", "--folder=~/out", "--quiet", "--jobs", "1"]) == 0
    (tmp_path / "own.nc").unlink()
    monkeypatch.setattr(studies.files, "VERSIONS", {})
    study = studies.open_study("~/out")
    n = len(study.plan())
    assert studies.status("~/out")["done"].sum() == n and study.path == str(tmp_path / "own.nc")
    capsys.readouterr()
    assert main(["status", "~/out"]) == 0 and f"{n} of {n} tasks are done" in capsys.readouterr().out
    assert main(["report", "~/out"]) == 0 and (tmp_path / "home" / "out" / "report.html").is_file()
    with pytest.raises(StudyError, match=r"own\.nc' does not exist"):
        run(study, tmp_path / "home" / "out")
    assert not (tmp_path / "~").exists()


# ---- the command line


def test_a_dry_run_tells_the_plan_and_writes_nothing(tmp_path, capsys):
    path = tmp_path / "study.yaml"
    path.write_text("")
    assert main(["run", str(path), "--dry-run"]) == 0
    plan_of = r"\d+ trainings, about [\d.]+ h with 2 workers, [\d.]+ GB of disk, [\d.]+ GB of memory"
    assert re.search(plan_of, capsys.readouterr().out)
    assert [p.name for p in tmp_path.iterdir()] == ["study.yaml"]


def test_the_report_stands_alone_and_says_that_it_is_simulated(undisturbed, capsys):
    assert main(["report", str(undisturbed[0])]) == 0
    text = open(capsys.readouterr().out.strip(), encoding="utf-8").read()
    page = BeautifulSoup(text, "html.parser")
    assert len(page("img")) == 3 and all(image["alt"] for image in page("img"))
    loaded = page(["img", "script", "link", "iframe", "source"])
    assert all((tag.get("src") or tag.get("href")).startswith("data:") for tag in loaded)
    assert "The EEG is simulated." in text and "(simulated)" in text and "C4.tracked" in text
    assert "Not run yet" not in text
    tables = [[cell.text for cell in table("th")] for table in page("table")]
    assert tables[1] == ["claim", "verdict", "ours", "interval", "p", "paper", "model"], "verdicts come first"
    assert "Here: at least one in twenty axes" in text, "a denial is told in plain words"
    assert not any({"data", "simulated", "source", "versions"} & set(names) for names in tables)
    assert [fold.find_previous("img") is not None for fold in page("details")] == [True] * 3


def test_the_report_of_half_a_study_names_what_is_missing(copied):
    lose(copied, "strategy")
    text = write_report(copied).read_text()
    assert "Not run yet" in text and "<li>strategy" in text


def test_claims_are_told(undisturbed, capsys):
    ledger = ["--ledger", str(undisturbed[0] / "claims.json")]
    assert main(["claims", "C4.tracked", *ledger]) == 0
    text = capsys.readouterr().out
    assert text.startswith("C4.tracked") and "rule:" in text and "simulated" in text
    assert "in plain words" not in text
    assert main(["claims", "C7.none_helps", *ledger]) == 0
    assert "in plain words: Supported: " in capsys.readouterr().out
    assert main(["claims", *ledger]) == 0
    assert "not run" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "missing.yaml"], "/missing.yaml: [Errno 2] No such file"),
        (["status", "nowhere"], "holds no study"),
        (["report", "nowhere"], "holds no study"),
        (["claims", "C99.none"], "got 'C99.none'"),
        (["claims", "--ledger", "nowhere.json"], "no ledger nowhere.json: name the claims.json"),
    ],
)
def test_what_the_reader_can_mend_is_one_line(arguments, message, capsys):
    assert main(arguments) == 1
    text = capsys.readouterr().err
    assert message in text and "Traceback" not in text and text.startswith("kernel: ")


def test_what_a_run_cannot_use_is_one_line_and_a_fault_of_ours_is_not(copied, capsys, monkeypatch):
    for error in (ValueError("one subject was tested"), TypeError("ours")):
        monkeypatch.setattr(studies.effects, "summarise", mock.Mock(side_effect=error))
        if isinstance(error, ValueError):
            assert main(["report", str(copied)]) == 1
            assert capsys.readouterr().err == "kernel: one subject was tested\n"
        else:
            with pytest.raises(TypeError, match="ours"):
                main(["report", str(copied)])


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
