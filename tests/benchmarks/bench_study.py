"""The grid of interventions of a study with two workers, against one."""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from pathlib import Path

from kernel import studies
from kernel.plans import Study
from kernel.studies import name_tasks, perform, run_study

GRID = Study(
    models=("SmolLM2-135M-Instruct",), texts=0, checkpoints="none", members=0, permutations=19,
    slow_permutations=19, strategies=(1, 7, 10, 11, 12, 13, 14, 15, 16, 17), seeds=3,
)  # fmt: skip


def seconds(grid: Study, n_jobs: int) -> float:
    """Of the grid alone: what comes before it is done, and the workers are there."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "study"
        run_study(replace(grid, strategies=()), Path(scratch) / "warm", n_jobs=n_jobs, progress=False)
        studies._claim_folder(grid, folder)
        for task in name_tasks(grid, folder):
            if task.kind != "strategy":
                perform(grid, folder, task)
        started = time.perf_counter()
        run_study(grid, folder, n_jobs=n_jobs, progress=False)
        return time.perf_counter() - started


def benchmarks(small: bool = False) -> list[dict]:
    grid = replace(GRID, strategies=(1,), seeds=2, subjects=12) if small else GRID
    one, two = seconds(grid, 1), seconds(grid, 2)
    ratio = two / one
    return [
        {
            "name": "study, grid of interventions, two workers",
            "ratio": ratio,
            "efficiency": 0.5 / ratio,
            "reference": "one worker",
            "seconds": two,
            "seconds_reference": one,
            "sizes": {"strategies": len(grid.strategies), "seeds": grid.seeds, "people": grid.subjects},
        }
    ]
