"""Threads: one for work too small to share.

In:  nothing.
Out: a context in which torch computes in the calling thread alone.
Never: changes anything after the context is left.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute in one thread, as a context or a decorator; the number of threads comes back afterwards.

    Small matrices gain nothing from a second thread, and where other programs use the processor too, threads
    that wait for one another slow each step a hundredfold. It also fixes the order of sums, which depends on
    the number of threads.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
