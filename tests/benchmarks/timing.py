"""Times of functions that take turns, so that other work on the machine slows all of them alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits


def largest_difference(ours: Any, other: Any) -> dict[str, float]:
    return {"largest_difference": float(np.abs(np.subtract(ours, other)).max())}


def compared(
    name: str,
    sizes: Mapping[str, int],
    ours: Callable[[], Any],
    references: Mapping[str, Callable[[], Any]],
    *,
    rounds: int = 1,
    clock: Callable[[], float] = time.perf_counter,
    check: Callable[[Any, Any], dict[str, float]] = largest_difference,
) -> list[dict[str, Any]]:
    """A row for each reference: its fastest run over ours, and how far the results of the two agree."""

    def timed(function: Callable[[], Any]) -> tuple[float, Any]:
        start = clock()
        result = function()
        return clock() - start, result

    runs = [[timed(function) for function in (ours, *references.values())] for _ in range(rounds)]
    (fast, result), *others = [min(each, key=lambda run: run[0]) for each in zip(*runs, strict=True)]
    return [
        {
            "name": name,
            "ratio": slow / fast,
            "seconds": fast,
            "seconds_reference": slow,
            "reference": reference,
            "sizes": dict(sizes),
            **check(result, other),
        }
        for reference, (slow, other) in zip(references, others, strict=True)
    ]


@contextmanager
def one_thread() -> Iterator[None]:
    """Numpy, scipy and torch on one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(before)


def lean_accuracy(y: np.ndarray, called: np.ndarray) -> float:
    """Balanced accuracy without scikit-learn's checks of its input, as an expert would write it."""
    counts = np.bincount(y)
    return float((np.bincount(y[called == y], minlength=len(counts)) / counts).mean())
