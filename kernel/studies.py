"""One file, one run: what the chapters ask, on the data and with the settings of a short YAML file.

Each study has a folder of its own: ``tasks/<id>.json``, one for each independent task, ``tasks.json``,
``trainings/``, ``results/*.csv`` and a ledger. A finished task is never computed again, results of two
studies or of two versions of the package are never mixed, and a run that was interrupted anywhere goes on
where it stopped. Tasks are run by joblib, here or on a Dask cluster, whose workers must see the same folder.
"""

from __future__ import annotations

import errno
import json
import platform
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from filelock import Timeout
from joblib import delayed
from threadpoolctl import threadpool_limits

from kernel import checks, claims, files
from kernel.brain.cohort import Cohort
from kernel.decoding import effects
from kernel.decoding.effects import Interventions
from kernel.plans import Study, StudyError, Task
from kernel.tasks import KINDS, STAMP, Result, Results
from kernel.threads import one_thread, side_by_side

#: Rounds in which tasks of killed workers are given out again.
ROUNDS = 3
#: Errors of the system that mean the study's disk, not a task.
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)
_JUDGED = ("claim_id", "value", "low", "high", "p", "n", "data", "simulated", "note")


def _task_ids(study: Study) -> dict[str, str]:
    """Names of results by the labels of tasks: all that decides them, the code of the package included."""
    recordings = [] if study.path is None else files.state(study.path)
    key = ("study", _settings_of(study), checks.device(study.torch_device).type, recordings)
    return {task.label: files.cache_key((), *key, task.kind, task.what)[:24] for task in study.plan()}


def _settings_of(study: Study) -> dict[str, Any]:
    return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(study).items()}


def _name_tasks(study: Study, folder: Path) -> None:
    """Write down which results belong to the tasks of a study."""
    ids = _task_ids(study)
    stale = {path.stem for path in (folder / "tasks").glob("[!.]*.json")}.difference(ids.values())
    if stale:
        warnings.warn(
            f"{len(stale)} results in {folder / 'tasks'} are of another version of the package or of a "
            "library, or of recordings that have changed since: they are left alone, and their tasks are "
            "computed anew",
            stacklevel=3,
        )
    _write_text(folder / "tasks.json", json.dumps(ids, indent=1) + "\n")


def _write_text(place: Path, text: str) -> None:
    with files.atomic_path(place) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _perform(study: Study, folder: str | Path, task: Task) -> tuple[str, str]:
    """Do one task and write its result, unless it is there; returns its label and, if it failed, why."""
    folder = files.absolute(folder)
    results = Results(folder)
    if results.read(task.label) is not None:
        return task.label, ""
    started, cpu = time.time(), time.process_time()
    try:
        with threadpool_limits(1), one_thread():
            result = KINDS[task.kind](study, folder, task.what)
    except Exception as error:
        if _of_the_disk(error):
            raise
        # the other tasks shall go on; the run ends with all messages
        return task.label, f"{type(error).__name__}: {error}"
    stamp = {
        **_provenance(study, folder),
        "task": task.label,
        "seconds": round(time.time() - started, 1),
        "cpu_s": round(time.process_time() - cpu, 1),
    }
    _write_text(results.place(task.label), json.dumps({**result, "provenance": stamp}, default=_jsonable))
    return task.label, ""


def _of_the_disk(error: BaseException) -> bool:
    return isinstance(error, files.CacheNotWritableError) or (
        isinstance(error, OSError) and error.errno in _DISK
    )


def _jsonable(value: Any) -> Any:
    if value is pd.NA:
        return None
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"a result holds a {type(value).__name__}, which JSON has no form for")


def _provenance(study: Study, folder: Path) -> dict[str, Any]:
    """What every result row carries: data, seed, device, versions, package digest."""
    cohort = Cohort.load(folder / "cohort.nc")
    libraries = [
        f"{name} {version(name)}" for name in ("numpy", "torch", "transformers", "mne", "scikit-learn")
    ]
    return {
        "data": cohort.label,
        "simulated": cohort.simulated,
        "source": cohort.data.attrs["provenance"],
        "seed": study.random_state,
        "device": study.device if study.torch_device else checks.device().type,
        "versions": "; ".join(
            [f"python {platform.python_version()}", *libraries, f"kernel {version('valence-axis')}"]
        ),
        "package": files.source_digest()[:16],
    }


# ---- running


def run_study(
    study: Study, folder: str | Path, *, n_jobs: int = 2, client: Any = None, progress: bool = True
) -> dict[str, pd.DataFrame]:
    """Do what is not done yet, then collect all tables by name, as they lie in ``results/``.

    Parameters
    ----------
    folder : path-like
        Of this study alone; made if needed.
    n_jobs : int
        Processes here, of one thread each.
    client : dask.distributed.Client, optional
        Send the tasks to its cluster instead; its workers must see `folder` under the same path.

    Raises
    ------
    StudyError
        If the folder belongs to another study, another run is at work in it, tasks failed or workers were
        killed again and again. Everything finished is kept, and the same call goes on from there.
    """
    study.check_machine()
    folder = _claim_folder(study, folder)
    lock = files.lock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise StudyError(
            f"another run is at work in {folder}: wait for it, or choose another folder"
        ) from None
    try:
        _name_tasks(study, folder)
        for stage in study.stages():
            _run_stage(study, folder, stage, n_jobs=n_jobs, client=client, progress=progress)
        return collect(study, folder)
    except OSError as error:
        if not _of_the_disk(error):
            raise
        raise StudyError(
            f"cannot write in {folder} ({error.strerror or error}): free space or grant permission, then run "
            "the same command, which goes on where it stopped"
        ) from error
    finally:
        lock.release()


def _claim_folder(study: Study, folder: str | Path) -> Path:
    folder = files.absolute(folder)
    text, mine = json.dumps(_settings_of(study), indent=1) + "\n", folder / "study.json"
    if mine.is_file():
        if mine.read_text(encoding="utf-8") != text:
            raise StudyError(f"{folder} holds another study, see {mine}: choose another folder")
        return folder
    if folder.exists() and (not folder.is_dir() or any(p.name != ".lock" for p in folder.iterdir())):
        raise StudyError(f"{folder} exists and is no study: choose a new folder")
    try:
        _write_text(mine, text)
    except OSError as error:
        raise StudyError(
            f"cannot write in {folder} ({error.strerror or error}): choose another folder"
        ) from error
    return folder


def open_study(folder: str | Path) -> Study:
    """The study that a folder belongs to, read without its recordings; StudyError if it holds none."""
    mine = files.absolute(folder) / "study.json"
    try:
        return Study(**json.loads(mine.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise StudyError(
            f"{folder} holds no study that can be read ({error}): give the folder of a run"
        ) from None


def _run_stage(study: Study, folder: Path, stage: Sequence[Task], **where: Any) -> None:
    """Do the tasks that are missing; those of killed workers are given out again."""
    results = Results(folder)
    for _ in range(ROUNDS):
        missing = results.missing(stage)
        if not missing:
            return
        calls = [delayed(_perform)(study, folder, task) for task in missing]
        try:
            done = list(side_by_side(calls, label=f"tasks of stage {stage[0].stage}", **where))
        except Exception as error:  # joblib and Dask have names of their own for a worker that died
            if not _died(error):
                raise
            continue
        if failed := [f"  {label}: {why}" for label, why in done if why]:
            lines = "\n".join(failed)
            raise StudyError(
                f"{len(failed)} of {len(missing)} tasks failed:\n{lines}\nWhat succeeded is kept."
            )
    if undone := [task.label for task in results.missing(stage)]:
        raise StudyError(
            f"workers were killed {ROUNDS} times over, as happens where memory runs out, with these tasks "
            f"left: {', '.join(undone[:5])}{' ...' if len(undone) > 5 else ''}. Run again with fewer workers"
        )


def _died(error: Exception) -> bool:
    names = {cls.__name__ for cls in type(error).__mro__}
    return bool(names & {"TerminatedWorkerError", "BrokenProcessPool", "KilledWorker", "CommClosedError"})


# ---- what came out


def status(folder: str | Path) -> pd.DataFrame:
    """Tasks of a study's last run, by kind: how many there are, how many are done, and their seconds."""
    tasks, results = open_study(folder).plan(), Results(files.absolute(folder))
    done = [results.read(task.label) for task in tasks]
    cpu = [np.nan if result is None else result["provenance"]["cpu_s"] for result in done]
    table = pd.DataFrame({"kind": [task.kind for task in tasks], "done": pd.notna(cpu), "cpu_s": cpu})
    by_kind = table.groupby("kind", sort=False)
    return by_kind.agg(tasks=("done", "size"), done=("done", "sum"), cpu_s=("cpu_s", "sum"))


def collect(study: Study, folder: str | Path) -> dict[str, pd.DataFrame]:
    """All tables of the finished tasks, written to ``results/`` with the ledger ``claims.json``."""
    folder = files.absolute(folder)
    results = Results(folder)
    tables: dict[str, list[dict[str, Any]]] = {}
    runs = []
    for result in filter(None, (results.read(task.label) for task in study.plan())):
        for name, rows in result["tables"].items():
            tables.setdefault(name, []).extend(_stamped(row, result["provenance"]) for row in rows)
        if "hits" in result.get("kept", {}):
            runs.append(_interventions(result))
    frames = {name: pd.DataFrame(rows) for name, rows in tables.items()}
    if "members" in frames:  # every model's task tells the same of them
        frames["members"] = frames["members"].drop_duplicates(["label"], ignore_index=True)
    if runs:
        stamp = frames["strategies"].iloc[0][list(STAMP)].to_dict()
        frames["summary"] = effects.summarise(effects.combine(runs)).assign(**stamp)
        counts = _counted(frames["summary"], stamp)
        frames["judged"] = pd.concat([frames["judged"], counts], ignore_index=True)
    for name, frame in frames.items():
        with files.atomic_path(folder / "results" / f"{name}.csv") as temporary:
            frame.to_csv(temporary, index=False)
    (folder / "claims.json").unlink(missing_ok=True)
    for row in frames.get("judged", pd.DataFrame()).to_dict("records"):
        result = {key: row[key] for key in _JUDGED if key in row and pd.notna(row[key])}
        if result.get("note"):
            result["data"] = f"{result['data']}; {result['note']}"
        if "n" in result:
            result["n"] = int(result["n"])
        claims.record(**result, path=folder / "claims.json")
    return frames


def _stamped(row: Mapping[str, Any], stamp: Mapping[str, Any]) -> dict[str, Any]:
    """A row with its provenance; its own seed or data, where it has them, come first."""
    return {**row, **{key: stamp[key] for key in STAMP if pd.isna(row.get(key))}}


def _interventions(result: Result) -> Interventions:
    table = pd.DataFrame(result["tables"]["strategies"]).astype({"number": "Int64"})
    hits, counts = (tuple(map(np.array, result["kept"][key])) for key in ("hits", "counts"))
    return Interventions(table, hits, counts, np.array(result["kept"]["twin"]))


def _counted(summary: pd.DataFrame, stamp: Mapping[str, Any]) -> pd.DataFrame:
    """How many strategies harm and help beyond Holm's correction, for the ledger."""
    counts = {
        claim: int(((summary["true_holm"] <= 0.05) & (sign * summary["true"] > 0)).sum())
        for claim, sign in {"C7.count_own": -1, "C7.none_helps": 1}.items()
    }
    shared = {"n": len(summary), "note": "", **stamp}
    return pd.DataFrame([{"claim_id": claim, "value": n, **shared} for claim, n in counts.items()])
