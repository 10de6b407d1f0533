"""Run every benchmark beside this file and write one JSON: the rows of `timing.compared`, and the machine.

Each ``bench_*.py`` offers ``benchmarks(small)``. Small ones are quick and say nothing of speed.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import sys
from pathlib import Path

import torch

from kernel import files

HERE = Path(__file__).parent


def load(path: Path):
    """Import a benchmark file by its path; `timing` lies beside it."""
    sys.path.insert(0, str(HERE))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def machine() -> dict[str, str | int]:
    """What the ratios were measured on."""
    return {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count() or 1,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "device": "cuda" if torch.cuda.is_available() else "cpu",
    }


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("_build/benchmarks.json"))
    parser.add_argument("--small", action="store_true", help="toy sizes, one round: does it run?")
    parser.add_argument("names", nargs="*", help="run only the files whose name holds one of these")
    options = parser.parse_args(arguments)
    results = []
    for path in sorted(HERE.glob("bench_*.py")):
        if options.names and not any(name in path.stem for name in options.names):
            continue
        for row in load(path).benchmarks(small=options.small):
            print(f"{row['name']}: {row['ratio']:.2f} x against {row['reference']}", flush=True)
            results.append(row)
    if not results:
        sys.exit(f"no benchmark matches {options.names}")
    options.output.parent.mkdir(parents=True, exist_ok=True)
    with files.atomic_path(options.output) as temporary:
        stored = {"machine": machine(), "small": options.small, "benchmarks": results}
        temporary.write_text(json.dumps(stored, indent=1))
    print(f"wrote {options.output}")


if __name__ == "__main__":
    main()
