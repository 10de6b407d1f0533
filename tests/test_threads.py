"""One thread inside, as many as before outside; calls side by side keep their order."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
import torch
from joblib import delayed

from kernel import files
from kernel.threads import one_thread, processes, side_by_side


def test_the_number_of_threads_comes_back_and_a_decorator_can_be_called_again():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with pytest.raises(RuntimeError, match="inside"), one_thread():
            assert torch.get_num_threads() == 1
            raise RuntimeError("inside")
        threads = one_thread()(torch.get_num_threads)
        assert [threads(), threads(), torch.get_num_threads()] == [1, 1, 3]
    finally:
        torch.set_num_threads(before)


def there(place):
    time.sleep(0.2 * (place == 0))
    return place, os.getpid(), files.cache_dir(), os.environ.get("KERNEL_DATA")


def run(n_calls, n_jobs):
    calls = [delayed(there)(place) for place in range(n_calls)]
    return zip(*side_by_side(calls, n_jobs=n_jobs, label="calls", progress=False), strict=True)


def test_results_keep_the_order_of_the_calls_and_workers_find_the_settings_of_each(tmp_path, monkeypatch):
    monkeypatch.setenv("KERNEL_DATA", "recordings")
    workers = set()
    for name, data in (("first", str(Path.cwd() / "recordings")), ("second", None)):
        monkeypatch.setenv("KERNEL_CACHE", str(tmp_path / name))
        places, numbers, caches, found = run(4, n_jobs=2)
        assert places == (0, 1, 2, 3)
        assert set(caches) == {tmp_path / name} and set(found) == {data}
        workers |= set(numbers)
        monkeypatch.delenv("KERNEL_DATA", raising=False)
    assert len(workers) <= 2, "the workers were not those of the first call"
    assert os.getpid() not in workers or torch.cuda.is_available()


@pytest.mark.parametrize(("n_jobs", "limit"), [(1, ""), (2, "1")])
def test_one_process_is_this_one(monkeypatch, n_jobs, limit):
    monkeypatch.setenv("KERNEL_PROCESSES", limit)
    places, numbers, *_ = run(3, n_jobs)
    assert places == (0, 1, 2) and set(numbers) == {os.getpid()}


def test_a_setting_added_since_does_not_reach_a_call(monkeypatch):
    calls = [delayed(os.environ.get)(name) for name in ("KERNEL_THERE", "KERNEL_ADDED")]
    monkeypatch.setenv("KERNEL_THERE", "before")
    results = side_by_side(calls, n_jobs=1, label="calls", progress=False)
    assert next(results) == "before"
    monkeypatch.setenv("KERNEL_ADDED", "since")
    assert next(results) is None


@pytest.mark.parametrize(
    ("limit", "n_jobs", "expected"), [("", 4, 4), ("2", 4, 2), ("2", 1, 1), ("8", 4, 4), ("3", -1, 3)]
)
def test_no_more_processes_than_the_variable_allows(monkeypatch, limit, n_jobs, expected):
    monkeypatch.setenv("KERNEL_PROCESSES", limit)
    assert processes(n_jobs) == expected


@pytest.mark.parametrize("limit", ["0", "-1", "two", "1.5"])
def test_an_impossible_limit_is_named(monkeypatch, limit):
    monkeypatch.setenv("KERNEL_PROCESSES", limit)
    with pytest.raises(ValueError, match=f"KERNEL_PROCESSES must be a positive whole number, got '{limit}'"):
        processes(2)
