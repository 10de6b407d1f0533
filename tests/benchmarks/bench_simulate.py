"""A simulated cohort of 123 people against the road through raw signals; its time and peak memory."""

from __future__ import annotations

import json
import subprocess
import sys
import time

from kernel.brain.features import differential_entropy
from kernel.brain.simulate import simulate_cohort, simulate_raw

SIZES = {"clips": 28, "windows": 30, "channels": 32, "bands": 5}

# A fresh process, so that its peak is the simulation's and the time is that of a first call.
_ONE_COHORT = """
import json, resource, time
from kernel.brain.simulate import simulate_cohort
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start = time.perf_counter()
simulate_cohort(0, n_subjects={n})
seconds = time.perf_counter() - start
print(json.dumps([seconds, before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss]))
"""


def first_call(n: int) -> tuple[float, int, int]:
    """Seconds, and peak memory in KiB before and after, of a process that simulates one cohort."""
    run = subprocess.run([sys.executable, "-c", _ONE_COHORT.format(n=n)], capture_output=True, text=True)
    run.check_returncode()
    return tuple(json.loads(run.stdout))


def benchmarks(small: bool = False) -> list[dict]:
    """Seconds per subject of both roads; seconds and memory of a whole cohort."""
    n = 10 if small else 123
    seconds, before, peak = first_call(n)
    simulate_raw(0)
    start = time.perf_counter()
    raw, _ = simulate_raw(0)
    differential_entropy(raw, 250.0)
    by_signal = time.perf_counter() - start
    start = time.perf_counter()
    simulate_cohort(0, window=30.0, n_subjects=n)
    coarse = time.perf_counter() - start
    return [
        {
            "name": "simulate_cohort, per subject",
            "ratio": by_signal / (seconds / n),
            "seconds": seconds / n,
            "seconds_reference": by_signal,
            "reference": "raw signals of one subject, filtered and turned into features",
            "sizes": SIZES | {"subjects": n},
            "seconds_of_cohort": seconds,
            "kib_before": before,
            "kib_peak": peak,
        },
        {
            "name": "simulate_cohort, one window of 30 s against thirty of 1 s",
            "ratio": seconds / coarse,
            "seconds": coarse,
            "seconds_reference": seconds,
            "reference": "windows of 1 s",
            "sizes": SIZES | {"subjects": n, "windows": 1},
        },
    ]


if __name__ == "__main__":
    print(*benchmarks(), sep="\n")
