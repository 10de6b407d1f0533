"""What the parts of a study cost on one core of this machine: the table behind `kernel run --dry-run`.

    python tests/benchmarks/unit_costs.py          # prints the table
    python tests/benchmarks/unit_costs.py --write  # and replaces kernel/data/unit_costs.csv

CPU seconds are counted, so that another program beside it changes little. Takes about two minutes.
"""

from __future__ import annotations

import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import pandas as pd  # noqa: E402
from threadpoolctl import threadpool_limits  # noqa: E402

from kernel import files, plans, tasks  # noqa: E402
from kernel.decoding.rediscovery import REGIMES  # noqa: E402
from kernel.language.models import REGISTRY  # noqa: E402
from kernel.plans import Study, Task  # noqa: E402
from kernel.studies import _name_tasks, _perform  # noqa: E402

MODEL = "SmolLM2-135M-Instruct"
STUDY = Study(
    models=(MODEL,), texts=30, permutations=1000, slow_permutations=100, checkpoints="short",
    strategies=(11,), seeds=4, members=4,
)  # fmt: skip
TARGET = ROOT / "kernel" / "data" / "unit_costs.csv"


def seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def measured(study: Study, folder: Path) -> dict[str, float]:
    """Seconds of one core by kind of task, summed over its tasks."""
    found: dict[str, float] = {}
    _name_tasks(study, folder)
    for task in study.plan():
        took = seconds(lambda task=task: _done(study, folder, task))
        found[task.kind] = found.get(task.kind, 0.0) + took
    return found


def _done(study: Study, folder: Path, task: Task) -> None:
    label, why = _perform(study, folder, task)
    if why:
        raise RuntimeError(f"{label}: {why}")


def costs(study: Study = STUDY) -> pd.DataFrame:
    samples = study.n_samples / 1000
    with tempfile.TemporaryDirectory() as scratch, threadpool_limits(1):
        folder = Path(scratch) / "study"
        # the model is read from the usual cache, what is computed with it is not
        with mock.patch.dict(os.environ, {files.CACHE_VARIABLE: str(_cache(Path(scratch)))}):
            took = measured(study, folder)
            sizes = [path.stat().st_size for path in (folder / "trainings").glob("*.npz")]
            specs = [s for s in plans.CHECKPOINTS["fewer"](0) if s.network == "axial"][:1]
            axial_s = seconds(lambda: tasks._bank(study, folder, specs))
    epochs = sum(spec.epochs for spec in plans.CHECKPOINTS["short"](0))
    base = took["base"] / study.seeds
    rows = {
        "cohort": (took["cohort"], "simulating and storing 123 people"),
        "axis": (
            took["axis"] / (REGISTRY[MODEL].n_parameters / 1e9) / (0.1 + study.texts / 300),
            "axis and 4 x 300 texts, for 1e9 parameters",
        ),
        "projection": (took["projection"] * 10_000 / study.permutations, "10,000 draws of each null"),
        "topography": (took["topography"] * 10_000 / study.permutations, "10,000 draws of each null"),
        "mlp_epoch": (took["training"] / epochs / samples, "one epoch of the perceptron, 1,000 samples"),
        "axial_epoch": (
            axial_s / REGIMES["axial"]["epochs"][0] / samples,
            "one epoch of the axial transformer, 1,000 samples",
        ),
        "strategy": (took["strategy"] / (2 * study.seeds) / base, "aligned training over its twin"),
        "rediscovery": (took["rediscovery"] / 6, "scores, nulls and ablation of one checkpoint"),
        "contest_member": (took["contest"] / (8 * study.members) / samples, "one member, 1,000 samples"),
        "training_mb": (sum(sizes) / len(sizes) / 1e6 / samples, "MB of a stored training, 1,000 samples"),
        "worker_gb": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, "GB of one process"),
    }
    return pd.DataFrame([(unit, float(f"{cost:.2g}"), what) for unit, (cost, what) in rows.items()],
                        columns=["unit", "cpu_s", "what"])  # fmt: skip


def _cache(scratch: Path) -> Path:
    """A cache that shares the fetched files with the usual one and nothing else."""
    usual, own = files.cache_dir(), scratch / "cache"
    own.mkdir()
    for name in ("assets", "models"):
        if (usual / name).is_dir():
            (own / name).symlink_to(usual / name)
    return own


def main() -> None:
    table = costs()
    print(table.to_string(index=False))
    if "--write" in sys.argv[1:]:
        head = "# seconds of one core, or MB and GB; made by python tests/benchmarks/unit_costs.py --write\n"
        with files.atomic_path(TARGET) as temporary:
            temporary.write_text(head + table.to_csv(index=False), encoding="utf-8")


if __name__ == "__main__":
    main()
