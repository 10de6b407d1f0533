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


@pytest.fixture
def three():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def test_the_number_of_threads_comes_back(three):
    with one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 3
    with pytest.raises(RuntimeError, match="inside"), one_thread():
        raise RuntimeError("inside")
    assert torch.get_num_threads() == 3


def test_it_is_a_decorator_that_can_be_called_again(three):
    threads = one_thread()(torch.get_num_threads)
    assert [threads(), threads(), torch.get_num_threads()] == [1, 1, 3]


def slower_first(place):
    time.sleep(0.2 * (place == 0))
    return place, os.getpid()


def test_results_come_in_the_order_of_the_calls_from_several_processes():
    found = list(side_by_side(map(delayed(slower_first), range(4)), n_jobs=2, label="calls", progress=False))
    assert [place for place, _ in found] == [0, 1, 2, 3]
    if not torch.cuda.is_available():
        assert os.getpid() not in {process for _, process in found}
    alone = side_by_side([delayed(slower_first)(5)], n_jobs=1, label="calls", progress=False)
    assert list(alone) == [(5, os.getpid())]


def test_workers_that_outlive_a_call_find_the_settings_of_the_next(tmp_path, monkeypatch):
    monkeypatch.setenv("KERNEL_DATA", "recordings")
    places, processes = [], set()
    for name in ("first", "second"):
        monkeypatch.setenv("KERNEL_CACHE", str(tmp_path / name))
        calls = [delayed(settings_there)() for _ in range(4)]
        found = list(side_by_side(calls, n_jobs=2, label="calls", progress=False))
        places.append({place for _, place, _ in found})
        data = {given for _, _, given in found}
        processes |= {process for process, _, _ in found}
        assert data == ({str(Path.cwd() / "recordings")} if name == "first" else {None})
        monkeypatch.delenv("KERNEL_DATA", raising=False)
    assert places == [{tmp_path / "first"}, {tmp_path / "second"}]
    assert len(processes) <= 2, "the workers were not those of the first call"


def settings_there():
    time.sleep(0.1)
    return os.getpid(), files.cache_dir(), os.environ.get("KERNEL_DATA")


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


def test_a_limit_of_one_keeps_the_calls_here(monkeypatch):
    monkeypatch.setenv("KERNEL_PROCESSES", "1")
    calls = [delayed(slower_first)(place) for place in range(3)]
    done = list(side_by_side(calls, n_jobs=2, label="calls", progress=False))
    assert done == [(place, os.getpid()) for place in range(3)]
