"""A simulated cohort of 123 people against the road through raw signals; its time and peak memory."""

from __future__ import annotations

import json
import subprocess
import sys
import time

from kernel.brain.features import differential_entropy
from kernel.brain.simulate import simulate_cohort, simulate_raw

SIZES = {"subjects": 123, "clips": 28, "windows": 30, "channels": 32, "bands": 5}

# A fresh process, so that its peak is the simulation's and the time is that of a first call.
_ONE_COHORT = """
import json, resource, time
from kernel.brain.simulate import simulate_cohort
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start = time.perf_counter()
simulate_cohort(0)
seconds = time.perf_counter() - start
print(json.dumps([seconds, before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss]))
"""


def first_call() -> tuple[float, int, int]:
    """Seconds, and peak memory in KiB before and after, of a process that simulates one cohort."""
    run = subprocess.run([sys.executable, "-c", _ONE_COHORT], capture_output=True, text=True)
    run.check_returncode()
    return tuple(json.loads(run.stdout))


def benchmarks() -> list[dict]:
    """Seconds per subject of both roads; seconds and memory of a whole cohort."""
    seconds, before, peak = first_call()
    simulate_raw(0)
    start = time.perf_counter()
    raw, _ = simulate_raw(0)
    differential_entropy(raw, 250.0)
    by_signal = time.perf_counter() - start
    start = time.perf_counter()
    simulate_cohort(0, window=30.0)
    coarse = time.perf_counter() - start
    return [
        {
            "name": "simulate_cohort, per subject",
            "ratio": by_signal / (seconds / SIZES["subjects"]),
            "seconds": seconds / SIZES["subjects"],
            "seconds_reference": by_signal,
            "reference": "raw signals of one subject, filtered and turned into features",
            "sizes": SIZES,
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
            "sizes": SIZES | {"windows": 1},
        },
    ]


if __name__ == "__main__":
    print(*benchmarks(), sep="\n")
