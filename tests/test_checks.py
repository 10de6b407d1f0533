"""Arguments at the door: values that pass come back, others are named with their cure."""

from pathlib import Path

import numpy as np
import pytest
import torch

from kernel import checks


@pytest.mark.parametrize("value", [1, np.int64(1), np.uint8(1)])
def test_whole_numbers_of_any_kind_count(value):
    assert checks.count("n", value) == 1 and type(checks.count("n", value)) is int


@pytest.mark.parametrize("value", [0, 1.0, True, np.True_, "1", None, float("nan")])
def test_what_does_not_count_is_named(value):
    with pytest.raises(ValueError, match="n must be a whole number of 1 or more, got"):
        checks.count("n", value)


def test_the_largest_count_is_a_limit():
    assert checks.count("n", 3, 2, 3) == 3
    with pytest.raises(ValueError, match="from 2 to 3, got 4"):
        checks.count("n", 4, 2, 3)


def test_a_choice_is_one_of_the_options():
    assert checks.choice("mode", "b", ("a", "b")) == "b"
    assert checks.choice("mode", None, (None, "b")) is None
    with pytest.raises(
        ValueError, match=r"mode must be one of alpha, beta; got 'alhpa' \(did you mean alpha\?\)"
    ):
        checks.choice("mode", "alhpa", ("alpha", "beta"))
    for other in (1, True, ["a"], np.array(["a", "b"])):
        with pytest.raises(ValueError, match="mode must be one of"):
            checks.choice("mode", other, ("a", "b"))
    with pytest.raises(KeyError):
        checks.choice("mode", "c", ("a", "b"), error=KeyError)


def test_a_sequence_may_be_empty_and_hold_the_same_twice():
    assert checks.sequence("names", iter("aa")) == ("a", "a") and checks.sequence("names", []) == ()
    for alone in ("ab", 3, None, Path("ab")):
        with pytest.raises(ValueError, match=r"names must be a list, got .*: put it in brackets"):
            checks.sequence("names", alone)


def test_choices_are_some_and_different():
    assert checks.choices("names", iter("ab"), "abc") == ("a", "b")
    for bad, message in (("ab", "brackets"), ([], "empty"), (["a", "a"], "twice"), (["d"], "one of a, b, c")):
        with pytest.raises(ValueError, match=message):
            checks.choices("names", bad, ("a", "b", "c"))


def test_limits_are_open_unless_closed():
    assert checks.between("level", np.float32(0.5), 0, 1) == 0.5
    assert checks.between("level", 1, 0, 1, closed="high") == 1.0
    assert checks.between("level", 0, 0, 1, closed="both") == 0.0
    for value, closed in ((0, ""), (1, "low"), (float("nan"), "both"), ("0.5", ""), (True, "both")):
        with pytest.raises(ValueError, match="level must lie in"):
            checks.between("level", value, 0, 1, closed=closed)


def test_shapes():
    array = np.zeros((2, 3))
    assert checks.shape("X", array, (None, 3)) is array
    with pytest.raises(ValueError, match=r"X must have shape \(any, 4\), got \(2, 3\)"):
        checks.shape("X", array, (None, 4))


def test_the_device_is_the_argument_then_the_variable_then_the_best(monkeypatch):
    monkeypatch.delenv("KERNEL_DEVICE", raising=False)
    best = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    assert checks.device().type == best
    monkeypatch.setenv("KERNEL_DEVICE", "meta")
    assert checks.device().type == "meta"
    assert checks.device("cpu").type == "cpu"
    with pytest.raises(ValueError, match="device 'spoon' cannot be used here: try 'cpu'"):
        checks.device("spoon")
