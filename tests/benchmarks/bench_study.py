"""The grid of interventions of a study with two workers, against one."""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from pathlib import Path

from kernel.studies import Study, run_study

GRID = Study(
    models=("SmolLM2-135M-Instruct",), texts=0, checkpoints="none", members=0, permutations=19,
    slow_permutations=19, strategies=(1, 7, 10, 11, 12, 13, 14, 15, 16, 17), seeds=3,
)  # fmt: skip


def benchmarks() -> list[dict]:
    times = {}
    for n_jobs in (1, 2):
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "study"
            # what comes before the grid, and the start of the workers, is not timed
            run_study(replace(GRID, strategies=()), Path(scratch) / "before", n_jobs=n_jobs, progress=False)
            started = time.perf_counter()
            run_study(GRID, folder, n_jobs=n_jobs, progress=False)
            times[n_jobs] = time.perf_counter() - started
    ratio = times[2] / times[1]
    return [
        {
            "name": "study, grid of interventions, two workers",
            "ratio": ratio,
            "efficiency": 0.5 / ratio,
            "reference": "one worker",
            "seconds": times[2],
            "reference_seconds": times[1],
            "sizes": {"strategies": len(GRID.strategies), "seeds": GRID.seeds, "people": GRID.subjects},
        }
    ]
