"""Times of functions that take turns, so that other work on the machine slows all of them alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits


def in_turns(
    *functions: Callable[[], Any], rounds: int, clock: Callable[[], float] = time.perf_counter
) -> list[tuple[float, Any]]:
    """Seconds of the fastest run of each function, and what that run gave: a pair for each."""

    def timed(function: Callable[[], Any]) -> tuple[float, Any]:
        start = clock()
        result = function()
        return clock() - start, result

    runs = [[timed(function) for function in functions] for _ in range(rounds)]
    return [min(each, key=lambda run: run[0]) for each in zip(*runs, strict=True)]


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
