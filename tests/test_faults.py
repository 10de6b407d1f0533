"""Writers that are killed, or find the disk full, at every step: whole files, right reruns, no work lost.

Each job runs in forked processes. The k-th of its steps (a file opened for writing, a write, a flush to the
disk, a rename, a folder made) kills the process with half of the bytes written, or fails for want of space,
for every k; of the many small writes of one archive only some are taken.
"""

from __future__ import annotations

import builtins
import errno
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pytest

TESTS = Path(__file__).resolve().parent
WRITING = set("wxa+")


# Faults


class Faults:
    """Counts the steps that write; at one of them kills the process, or fails as a full disk does."""

    def __init__(self, at: int, kind: str) -> None:
        self.at, self.kind, self.steps = at, kind, []

    def step(self, name: str, half: Callable = lambda: None) -> None:
        self.steps.append(name)
        if len(self.steps) == self.at:
            half()
            if self.kind == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def install(self) -> None:
        real_open = io.open

        def opened(file, mode="r", *arguments, **options):
            if not WRITING & set(mode) or str(file).endswith(".lock"):
                return real_open(file, mode, *arguments, **options)
            self.step("open")
            return Leaky(real_open(file, mode, *arguments, **options), self)

        def guarded(name):
            real = getattr(os, name)

            def run(*arguments, **options):
                self.step(name)
                return real(*arguments, **options)

            return run

        builtins.open = io.open = opened
        for name in ("replace", "rename", "fsync", "mkdir"):
            setattr(os, name, guarded(name))


class Leaky:
    """A file whose writes are steps, and may end half-way."""

    def __init__(self, file, faults: Faults) -> None:
        self._file, self._faults = file, faults

    def __getattr__(self, name):
        return getattr(self._file, name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()

    def write(self, data):
        def half():
            self._file.write(data[: len(data) // 2])
            self._file.flush()

        self._faults.step("write", half)
        return self._file.write(data)


def note(place: Path, what: str) -> None:
    """Log work that was done, past all faults."""
    log = os.open(place / "computed.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(log, f"{what}\n".encode())
    os.close(log)


# Jobs


@dataclass(frozen=True)
class Job:
    """What is run, what it must leave, and how the parts of it that are finished are told."""

    act: Callable[[Path], object]
    held: Callable[[Path], dict]  # content of every file under its final name
    part: Callable[[str], str] = str  # file that holds what was computed, by the name of the work
    stride: int = 1  # kill at each so-many-th write; all other steps are all taken


def texts(place: Path) -> dict:
    """Bytes of all files that bear a final name."""
    found = {}
    for file in place.rglob("*"):
        names = file.relative_to(place).parts
        hidden = any(name.startswith(".tmp-") for name in names) or file.suffix in (".lock", ".log")
        if file.is_file() and not hidden:
            found["/".join(names)] = file.read_bytes()
    return found


def arrays(place: Path) -> dict:
    """The same with the arrays of archives, which hold the time they were written too."""
    from kernel import files

    found = texts(place)
    for name in found:
        if name.endswith(".npz"):
            read = files.read_arrays(place / name)
            found[name] = {key: (a.dtype.str, a.shape, a.tobytes()) for key, a in read.items()}
    return found


def cache(place: Path):
    from kernel import files

    def compute(key):
        note(place, key)
        return np.arange(6.0).reshape(2, 3) + len(key)

    return [
        files.load_or_compute(place / "cache", key, partial(compute, key)).tolist() for key in ("a", "bb")
    ]


def folder(place: Path):
    from kernel import files

    if not (place / "model").is_dir():
        note(place, "model")
        with files.atomic_folder(place / "model") as temporary:
            (temporary / "below").mkdir()
            (temporary / "below" / "weights.bin").write_bytes(bytes(100))
            (temporary / "config.json").write_text("{}")
    return texts(place)


def small_cohort():
    from kernel.brain.cohort import Cohort

    rng = np.random.default_rng(0)
    return Cohort.from_arrays(
        rng.standard_normal((6, 4, 1, 2, 2)), subjects=range(6), emotions=["joy", "fear"] * 2, window=10.0,
        channels=["Fz", "Cz"], bands={"low": (1, 4), "high": (4, 8)}, dataset="d", provenance="p",
    )  # fmt: skip


def bank(place: Path):
    from kernel.brain.splits import make_split
    from kernel.decoding import bank

    train_block = getattr(bank._train_block, "uncounted", bank._train_block)

    def counted(members, *arguments, **options):
        for member in members:
            note(place, member.key)
        return train_block(members, *arguments, **options)

    counted.uncounted = train_block
    bank._train_block, bank.STACK_LIMIT = counted, 0  # one by one
    cohort = small_cohort()
    quick = {"epochs": 2, "warmup_epochs": 1, "batch_size": 8, "options": {"hidden": (4,)}}
    specs = [bank.TrainingSpec(**quick, seed=seed) for seed in (0, 1)]
    split = make_split(cohort, "leave_subjects_out")
    found = bank.train_bank(
        specs, cohort, split, n_jobs=1, folder=place / "bank", device="cpu", progress=False
    )
    return [one.logits.tolist() for one in found.checkpoints], {
        k: v.tolist() for k, v in found.baselines.items()
    }


def ledger(place: Path):
    from kernel import claims

    for number, name in enumerate(list(claims.load_claims())[:2]):
        measured = {"value": 0.5, "low": 0.4, "high": 0.6, "p": 0.01, "n": 9 + number}
        claims.record(name, **measured, data="made up", simulated=True, path=place / "claims.json")
    return claims.ledger(place / "claims.json").to_json()


def rows(place: Path) -> dict:
    """Rows of the ledger by claim: a ledger may hold the first one only, but no half of one."""
    from kernel import claims

    return {row.id: repr(row) for row in claims.read_ledger(place / "claims.json")}


JOBS = {
    "cache": Job(cache, texts, lambda key: f"cache/{key}.npy"),
    "folder": Job(folder, texts, lambda name: "model/config.json"),
    "bank": Job(bank, arrays, lambda key: f"bank/{key}.npz", stride=400),
    "ledger": Job(ledger, rows),
}


# One process that forks all others


def forked(job: Job, place: Path, faults: Faults | None) -> tuple[str, object]:
    """Run a job in a process of its own: how it ended, and what it gave."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        out: dict = {}
        try:
            with warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("always")
                if faults is not None:
                    faults.install()
                out["result"] = job.act(place)
            out["told"] = [str(w.message) for w in told]
        except BaseException as error:
            out["error"] = [type(error).__name__, str(error)]
        out["steps"] = faults.steps[:] if faults else []
        if faults is not None:
            faults.at = 0  # the answer gets through
        try:
            with os.fdopen(writer, "wb") as pipe:
                pipe.write(json.dumps(out, default=bytes.hex).encode())
        finally:
            os._exit(0)
    os.close(writer)
    data = b"".join(iter(lambda: os.read(reader, 65_536), b""))
    os.close(reader)
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        return "killed", {}
    out = json.loads(data)
    return ("failed" if "error" in out else "done"), out


def log_of(place: Path) -> list[str]:
    log = place / "computed.log"
    return log.read_text().split() if log.exists() else []


def main(name: str, kind: str, root: Path) -> None:
    """Print how many steps the job has and how its faulty runs ended."""
    job = JOBS[name]
    root.mkdir()
    reference = root / "reference"
    reference.mkdir()
    ended, told = forked(job, reference, Faults(0, kind))
    assert ended == "done", told
    expected, steps = told["result"], told["steps"]
    kept, work = job.held(reference), log_of(reference)
    assert kept and len(set(work)) == len(work)
    writes, counts = 0, {"steps": len(steps), "killed": 0, "failed": 0, "done": 0}
    for k, step in enumerate(steps, start=1):
        writes += step == "write"
        if step == "write" and writes % job.stride != 1 % job.stride:
            continue
        place = root / str(k)
        place.mkdir()
        ended, told = forked(job, place, Faults(k, kind))
        counts[ended] += 1
        where = f"{name}, {kind} at step {k} of {len(steps)} ({step})"
        if kind == "kill":
            assert ended == "killed", f"{where}: {ended} {told}"
        elif ended == "failed":
            assert "No space left" in told["error"][1], f"{where}: {told['error']}"
        else:  # the result is right all the same
            assert told["result"] == expected, where
        half = {file: content for file, content in job.held(place).items() if kept.get(file) != content}
        assert not half, f"{where}: half-written {list(half)}"
        before, finished = log_of(place), set(job.held(place))
        ended, told = forked(job, place, None)
        assert ended == "done", f"{where}, rerun: {told}"
        assert told["result"] == expected, f"{where}: the rerun gives something else"
        assert job.held(place) == kept, f"{where}: the rerun leaves other files"
        again = log_of(place)[len(before) :]
        twice = [item for item in again if job.part(item) in finished]
        assert not twice, f"{where}: computed again {twice}"
        shutil.rmtree(place)
    print(json.dumps(counts))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked and killed")
@pytest.mark.parametrize("name", JOBS)
def test_whatever_a_fault_interrupts_is_whole_or_absent_and_goes_on(name, tmp_path):
    environment = {"OMP_NUM_THREADS": "1", "TMPDIR": str(tmp_path), "PYTHONPATH": str(TESTS.parent)}
    command = [sys.executable, __file__, name, str(tmp_path)]
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    for ending, line in zip(("killed", "failed"), done.stdout.splitlines()[-2:], strict=True):
        counts = json.loads(line)
        assert counts["steps"] >= 5 and counts[ending] + counts["done"] >= 5


if __name__ == "__main__":
    job, folder = sys.argv[1], Path(sys.argv[2])
    # what is loaded by use is loaded once, not in every fork
    if job in ("bank", "ledger"):
        JOBS[job].act(folder)
    for fault in ("kill", "full"):
        main(job, fault, folder / fault)
