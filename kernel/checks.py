"""Arguments at the door: one check for each kind of choice, count, share and list of names, and the device.

Each takes the name of the argument and the value, gives the value back, and raises an error that names both
and what would do. Arrays are read by :mod:`kernel.arrays`.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Collection, Iterable
from numbers import Integral, Real
from typing import Any, TypeVar

import numpy as np
import torch

T = TypeVar("T")
Error = type[Exception]


def choice(name: str, value: T, options: Collection[Any], *, error: Error = ValueError) -> T:
    """A value that is one of the options."""
    same = (type(value) is type(one) and value == one for one in options)
    if value in options if isinstance(value, str) else any(same):
        return value
    known = [str(one) for one in options]
    close = difflib.get_close_matches(str(value), known, n=1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    raise error(f"{name} must be one of {', '.join(known)}; got {value!r}{hint}")


def sequence(name: str, values: Iterable[T] | str, *, error: Error = ValueError) -> tuple[T, ...]:
    """Any number of values as a tuple; one string, or one value, alone is refused."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise error(f"{name} must be a list, got {values!r}: put it in brackets")
    return tuple(values)


def choices(
    name: str, values: Iterable[T] | str, options: Collection[Any] | None = None, *, error: Error = ValueError
) -> tuple[T, ...]:
    """One or more different values, each of the options if there are any; one string alone is refused."""
    items = sequence(name, values, error=error)
    if not items:
        raise error(f"{name} is empty: name one or more")
    twice = [one for place, one in enumerate(items) if one in items[:place]]
    if twice:
        raise error(f"{name} holds {twice[0]!r} twice: name each once")
    if options is not None:
        for one in items:
            choice(name, one, options, error=error)
    return items


def count(
    name: str, value: Any, least: int = 1, most: int | None = None, *, error: Error = ValueError
) -> int:
    """A whole number from `least` to `most`, as int; numpy's integers count, bool and floats do not."""
    whole = isinstance(value, Integral) and not isinstance(value, bool | np.bool_)
    if not whole or value < least or (most is not None and value > most):
        limits = f"of {least} or more" if most is None else f"from {least} to {most}"
        raise error(f"{name} must be a whole number {limits}, got {value!r}")
    return int(value)


def between(
    name: str, value: Any, low: float, high: float, *, closed: str = "", error: Error = ValueError
) -> float:
    """A number between two limits, as float; `closed`: whether ``low``, ``high`` or ``both`` count."""
    number = float(value) if isinstance(value, Real) and not isinstance(value, bool | np.bool_) else np.nan
    above = number >= low if closed in ("low", "both") else number > low
    below = number <= high if closed in ("high", "both") else number < high
    if not (above and below):
        left, right = "[" if closed in ("low", "both") else "(", "]" if closed in ("high", "both") else ")"
        raise error(f"{name} must lie in {left}{low:g}, {high:g}{right}, got {value!r}")
    return number


def shape(name: str, array: Any, wanted: tuple[int | None, ...], what: str = "") -> Any:
    """An array whose shape is the wanted one; None stands for any length, `what` says what the axes are."""
    actual = tuple(array.shape)
    if len(actual) != len(wanted) or any(w not in (None, a) for w, a in zip(wanted, actual, strict=True)):
        form = what or "(" + ", ".join("any" if w is None else str(w) for w in wanted) + ")"
        raise ValueError(f"{name} must have shape {form}, got {actual}")
    return array


def device(name: str | torch.device | None = None) -> torch.device:
    """Where to compute: the argument, else ``KERNEL_DEVICE``, else CUDA, else MPS, else the CPU.

    Raises
    ------
    ValueError
        If torch knows no such device or this machine has none.
    """
    asked = name or os.environ.get("KERNEL_DEVICE") or None
    if asked is None:
        present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
        return torch.device(next((kind for kind, here in present.items() if here), "cpu"))
    try:
        place = torch.device(asked)
        torch.empty(0, device=place)
    except (RuntimeError, AssertionError) as error:  # torch was built without it, or there is none
        raise ValueError(f"device {str(asked)!r} cannot be used here: try 'cpu' ({error})") from error
    return place
