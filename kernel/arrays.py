"""Numbers at the door: numpy arrays of any kind, pandas, nested lists and tensors, read to compute with.

Errors name the argument, the first bad value and its place. Text and complex values do not become numbers, no
mask or fraction is dropped, and nothing that was given is changed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike

Features = ArrayLike | torch.Tensor
Named = ArrayLike | Mapping[str, ArrayLike]  # one row a name: by name, or in the order of the names


def real(values: Features, name: str, *, dtype: Any = np.float64, finite: bool = True) -> np.ndarray:
    """Real numbers of any shape as float64, or another float, in the byte order of this machine.

    Whole numbers and bool count as reals; what a mask hides, and pandas' NA, is NaN. Errors call the values
    `name`; NaN and infinities are refused if they must be `finite`. Copied only if need be.
    """
    with np.errstate(over="ignore"):  # what is too large for the type becomes infinite, and is named
        array = plain(values, name).astype(dtype, copy=False)
    if finite:
        _refuse(~np.isfinite(array), name, "NaN or inf")
    return array


def tensor(values: Features, name: str, *, double: bool = True, finite: bool = True) -> torch.Tensor:
    """Real numbers as a tensor on their device: float64, or float32 where a device has no doubles.

    Without `double`, float32 and float64 stay and keep their gradient; float64 holds what is wider, float32
    whatever else there is. Other arguments as for `real`.
    """
    if isinstance(values, torch.Tensor):
        if values.is_complex() or values.is_quantized:
            raise _no_numbers(name, values.dtype)
        if double:
            wide = values.device.type != "mps"
            numbers = values.detach().to(torch.float64 if wide else torch.float32)
        else:
            numbers = values if values.dtype in (torch.float32, torch.float64) else values.to(torch.float32)
    else:
        array = _writable(real(values, name, finite=False)) if double else single(values, name)
        numbers = torch.from_numpy(array)
    if finite and not bool(torch.isfinite(numbers).all()):
        _refuse(~torch.isfinite(numbers).cpu().numpy(), name, "NaN or inf")
    return numbers


def single(values: Features, name: str) -> np.ndarray:
    """Real numbers as float32 or float64: both stay, float64 holds what is wider, float32 all else.

    NaN and infinities are let through, and the memory is such that compiled code and torch can use it.
    """
    array = plain(values, name)
    wide = array.dtype.kind == "f" and array.dtype.itemsize > 4
    return _writable(real(array, name, dtype=np.float64 if wide else np.float32, finite=False))


def _writable(array: np.ndarray) -> np.ndarray:
    """A copy where memory is read-only or not aligned, or strides run backwards or between numbers."""
    odd = any(step < 0 or step % array.itemsize for step in array.strides)
    return array.copy() if odd or not array.flags.behaved else array


def like(result: Any, given: Features) -> Any:
    """A result in the kind, device and precision of what was given; whole numbers give float64."""
    if isinstance(given, torch.Tensor):
        result = torch.as_tensor(result)
        return result.to(given.device, given.dtype if given.is_floating_point() else result.dtype)
    array = result.numpy(force=True) if isinstance(result, torch.Tensor) else result
    dtype = np.asarray(given).dtype
    return array.astype(dtype if dtype.kind == "f" else float, copy=False)


def whole(values: Features, name: str) -> np.ndarray:
    """Whole numbers below 2 ** 31 as int64; floats are taken if they have no fraction, bool is not."""
    array = plain(values, name)
    if array.dtype.kind == "b":
        raise ValueError(f"{name} must be whole numbers, got bool: number them")
    if array.dtype.kind == "f":
        array = array.astype(float)  # what float16 cannot be compared with, it can
        _refuse(array != np.rint(array), name, "what is no whole number", values=array)
    _refuse((array >= 2**31) | (array < -(2**31)), name, "a number beyond 2 ** 31", values=array)
    return array.astype(np.int64)


def row_labels(values: Any, name: str, n: int) -> np.ndarray:
    """Names or numbers (n,), one for each of n rows, none missing."""
    array = plain(values, name, numbers=False)
    if array.shape != (n,):
        raise ValueError(f"{name} must have shape ({n},), one for each row, got {array.shape}")
    each = np.asarray(values, dtype=object) if array.dtype.kind in "US" else array  # where NaN is "nan"
    _refuse(pd.isna(each), name, "NaN or None", values=each)
    return _of_one_kind(array, name)


def _of_one_kind(labels: np.ndarray, name: str) -> np.ndarray:
    """Labels that can be sorted: no text among numbers."""
    texts = [isinstance(one, str) for one in labels.flat] if labels.dtype.kind == "O" else []
    if len(set(texts)) == 2:
        first, other = labels.flat[0], labels.flat[texts.index(not texts[0])]
        raise ValueError(f"{name} holds text and others, {first!r} and {other!r}: give all one type")
    return labels


def in_order(values: Any, name: str, *orders: Collection[Any]) -> Any:
    """What a mapping, or a pandas index, has for each name of the first order that it knows; else as it is.

    The index that pandas makes by itself, one of several levels, or one that repeats a name says no order.
    """
    table = isinstance(values, pd.Series | pd.DataFrame)
    keys = values.index if table else values
    if not (table or isinstance(values, Mapping)) or (
        table and (keys.nlevels > 1 or not keys.is_unique or keys.equals(pd.RangeIndex(len(keys))))
    ):
        return values
    known = [names for names in orders if any(one in keys for one in names)]
    if table and not known:
        return values
    names = (known or orders)[0]
    if lacking := [str(one) for one in names if one not in keys]:
        raise ValueError(f"{name} has nothing for {', '.join(lacking)}: give every one of {len(names)}")
    return values.loc[list(names)] if table else [values[one] for one in names]


def class_numbers(y: Any, n: int, n_classes: int) -> np.ndarray:
    """Classes from 0, such as columns of probabilities, as int64 (n,); floats if they have no fraction."""
    array = row_labels(y, "y", n)
    wrong = ~np.isin(array, np.arange(n_classes)) if array.dtype.kind in "iuf" else np.ones(n, dtype=bool)
    if wrong.any():
        first = array[wrong].tolist()[0]
        raise ValueError(
            f"y must hold integers from 0 to {n_classes - 1}, columns of the scores; got {first!r}"
        )
    return array.astype(np.int64)


def precision(values: Features) -> float:
    """Machine epsilon of the type that numbers come in; 0 for whole numbers."""
    if isinstance(values, torch.Tensor):
        return torch.finfo(values.dtype).eps if values.is_floating_point() else 0.0
    dtype = np.asarray(values).dtype
    return float(np.finfo(dtype).eps) if dtype.kind == "f" else 0.0


def plain(values: Any, name: str, *, numbers: bool = True) -> np.ndarray:
    """An array of bool, whole numbers or floats as they are; without `numbers`, of anything."""
    if isinstance(values, torch.Tensor):
        exact = not (values.is_floating_point() or values.is_complex() or values.is_quantized)
        # numpy has no bfloat16 and no floats of eight bits
        values = (values if exact else tensor(values, name, double=False, finite=False)).numpy(force=True)
    elif isinstance(values, pd.DataFrame | pd.Series | pd.Index):
        types = values.dtypes if isinstance(values, pd.DataFrame) else [values.dtype]
        table = values.to_numpy()
        if table.dtype.kind == "O" and all(pd.api.types.is_numeric_dtype(one) for one in types):
            table = values.to_numpy(dtype=float, na_value=np.nan)
        values = table
    elif np.ma.is_masked(values := _joined(values, name)):
        if values.dtype.kind in "biuf":
            values = np.ma.filled(values.astype(float), np.nan)
        else:
            values = np.where(np.ma.getmaskarray(values), None, values)
    try:
        array = np.asarray(values)
    except (ValueError, TypeError) as error:  # lists of unequal lengths, tensors on other devices
        raise _irregular(name, error) from error
    if numbers and array.dtype.kind not in "biuf":
        raise _no_numbers(name, array.dtype)
    return array


def for_estimator(values: Any, name: str, *, labels: bool = False) -> Any:
    """What a scikit-learn estimator gets as X, or as y if `labels`: tensors as numpy, all else as it is.

    scikit-learn would use what a mask hides as if it were there; that and a missing label are named here.
    """
    if isinstance(values, torch.Tensor):
        values = plain(values, name, numbers=False)
    joined = _joined(values, name)
    if isinstance(joined, np.ma.MaskedArray):
        _refuse(np.ma.getmaskarray(joined), name, "masked values")
    if labels and values is not None:
        _refuse(np.asarray(pd.isna(values)), name, "NaN or None")
        _of_one_kind(np.asarray(values), name)
    return values


def _joined(values: Any, name: str) -> Any:
    """Masked rows or numbers in a list as one masked array, so that no mask is lost."""
    if not (isinstance(values, list | tuple) and any(isinstance(one, np.ma.MaskedArray) for one in values)):
        return values
    try:
        return np.ma.array(values)
    except (ValueError, TypeError) as error:
        raise _irregular(name, error) from error


def _irregular(name: str, error: Exception) -> ValueError:
    return ValueError(f"{name} must be a regular array of real numbers: {error}")


def _no_numbers(name: str, dtype: Any) -> ValueError:
    return ValueError(
        f"{name} must hold real numbers, got {dtype}: convert it first, such as by astype(float)"
    )


def _refuse(bad: np.ndarray, name: str, what: str, *, values: np.ndarray | None = None) -> None:
    if not bad.any():
        return
    place = np.argwhere(bad)[0].tolist()
    first = "" if not place else f" at {place[0] if len(place) == 1 else place}"
    shown = "" if values is None else f", {values[tuple(place)]}"
    count = f" and {int(bad.sum()) - 1} more" if bad.sum() > 1 else ""
    raise ValueError(f"{name} holds {what}{shown}{first}{count}: drop or mend it first")
