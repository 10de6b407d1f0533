"""One thread inside, as many as before outside."""

from __future__ import annotations

import pytest
import torch

from kernel.threads import one_thread


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
