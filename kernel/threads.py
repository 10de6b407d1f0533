"""One thread for work too small to share, processes for one call made many times."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from joblib import Parallel, delayed, parallel_config
from tqdm.auto import tqdm

from kernel.files import places

PREFIX = "KERNEL_"  # of the package's environment variables
LIMIT = f"{PREFIX}PROCESSES"


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute in one thread, as a context or a decorator; the number of threads comes back afterwards.

    Small matrices gain nothing from a second thread, and beside other programs, threads that wait for one
    another slow each step a hundredfold. It also fixes the order of sums.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def processes(n_jobs: int) -> int:
    """As many processes as asked for, but no more than the environment variable KERNEL_PROCESSES allows."""
    limit = os.environ.get(LIMIT, "")
    if not limit:
        return n_jobs
    if not limit.isdecimal() or int(limit) < 1:
        raise ValueError(f"{LIMIT} must be a positive whole number, got {limit!r}")
    return min(n_jobs, int(limit)) if n_jobs > 0 else int(limit)


def side_by_side(
    calls: Iterable[Any], *, n_jobs: int, label: str, progress: bool = True, client: Any = None
) -> Iterator[Any]:
    """Results of calls of ``joblib.delayed`` made in several processes, in the order of the calls.

    The processes are as many as `processes` allows, but one beside an accelerator, which they would have to
    share; the cluster of a Dask client gets the calls instead. The progress bar bears the label.
    """
    # worker processes keep the environment and the working directory of the call that started them: without
    # the settings, a cache chosen since would not reach them
    settings = {name: value for name, value in os.environ.items() if name.startswith(PREFIX)} | places()
    calls = [delayed(_as_there)(settings, *call) for call in calls]
    if client is not None:
        with parallel_config(backend="dask", client=client, wait_for_workers_timeout=60):
            yield from Parallel(n_jobs=-1)(calls)
        return
    n_jobs = 1 if torch.cuda.is_available() else processes(n_jobs)
    done = Parallel(n_jobs=n_jobs, return_as="generator")(calls)
    yield from tqdm(done, desc=label, total=len(calls), disable=not progress)


def _as_there(
    settings: Mapping[str, str],
    function: Callable[..., Any],
    arguments: Sequence[Any],
    options: Mapping[str, Any],
) -> Any:
    """A call that finds the package's variables of the environment as they were where it was ordered."""
    for name in [name for name in os.environ if name.startswith(PREFIX) and name not in settings]:
        del os.environ[name]
    os.environ.update(settings)
    return function(*arguments, **options)
