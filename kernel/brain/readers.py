"""What every reader of released recordings does: find files, choose subjects, pick channels, refuse damage.

Every error is an :class:`EEGFileError` that names the file, what was found there, and what should be.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from scipy.signal import resample_poly

from kernel.arrays import whole
from kernel.brain.features import flat_windows

if TYPE_CHECKING:
    import mne

LEAVE_OUT = "leave this subject out with subjects=..."
T = TypeVar("T")


class EEGFileError(ValueError):
    """A file is not what its reader expects; the message names file, finding and expectation."""


class UnsafePickleError(EEGFileError):
    """A pickle asks for something that an array of numbers does not need; nothing of it was run."""


def unexpected(path: str | PathLike[str], found: str, expected: str, cure: str = "") -> EEGFileError:
    """The error every reader raises: ``path: found ..., expected ... . cure``."""
    return EEGFileError(f"{path}: found {found}, expected {expected}." + (f" {cure}" if cure else ""))


def check_folder(root: Path, what: str) -> None:
    """Refuse what is no folder."""
    if not root.is_dir():
        raise unexpected(root, "a file" if root.exists() else "nothing", f"a folder of {what}")


def check_file(path: Path, expected: str, cure: str = "") -> None:
    """Refuse what is no file, such as a link to one that was never fetched."""
    if not path.is_file():
        raise unexpected(path, "a link to nothing" if path.is_symlink() else "no such file", expected, cure)


def nothing_known(root: Path, expected: str) -> EEGFileError:
    """The error for a folder that holds nothing of what is expected."""
    entries = sorted(entry.name for entry in root.iterdir())
    found = f"{entries[:5]}{' and more' if len(entries) > 5 else ''}" if entries else "an empty folder"
    return unexpected(root, found, expected)


def numbered(files: Iterable[Path], pattern: str, root: Path) -> dict[int, Path]:
    """Files by the number in their names, that of a subject, sorted; other names are passed over."""
    by_number: dict[int, Path] = {}
    for file in files:
        if match := re.fullmatch(pattern, file.name):
            number = int(match[1])
            if number in by_number:
                twice = [str(by_number[number]), str(file)]
                raise unexpected(root, f"a recording twice: {twice}", "one file each")
            by_number[number] = file
    return dict(sorted(by_number.items()))


def chosen(files: Mapping[int, T], subjects: Any, root: Path) -> dict[int, T]:
    """The files of the subjects asked for, or of all; EEGFileError names those that are not there."""
    if subjects is None:
        return dict(files)
    ids: Any = [subjects] if np.isscalar(subjects) else list(subjects)
    ids = whole(ids, "subjects").tolist()
    absent = [subject for subject in ids if subject not in files]
    if absent or not ids or len(set(ids)) < len(ids):
        held = sorted(files)
        raise unexpected(
            root,
            f"{len(held)} subjects between {held[0]} and {held[-1]}",
            f"subjects {absent}" if absent else "one subject or more to be asked for, and each once",
            "Fetch them, or ask for others with subjects=...",
        )
    return {subject: files[subject] for subject in ids}


def picks(
    names: Sequence[str],
    channels: Sequence[str],
    path: Path,
    *,
    others: Collection[str],
    renamed: Mapping[str, str] | None = None,
) -> list[int]:
    """Index of each channel by its name, in upper or lower case.

    `others` are names, in upper case, that may stand beside them; `renamed` are old names and new ones.
    """
    upper = [name.strip().upper() for name in names]
    upper = [(renamed or {}).get(name, name) for name in upper]
    places = {name.upper(): [i for i, one in enumerate(upper) if one == name.upper()] for name in channels}
    unknown = [
        name for name, one in zip(names, upper, strict=True) if one not in places and one not in others
    ]
    absent = [name for name in channels if not places[name.upper()]]
    twice = {name: [names[i] for i in found] for name, found in places.items() if len(found) > 1}
    if unknown or absent or twice:
        problems = {"unknown": unknown, "without": absent, "twice": twice}
        found = ", ".join(f"{what} {which}" for what, which in problems.items() if which)
        expected = f"the {len(channels)} scalp channels, and {', '.join(sorted(others))} at most"
        raise unexpected(path, f"{len(names)} channels, {found}", expected)
    return [place for (place,) in places.values()]


def check_array(
    array: Any, *, path: str | PathLike[str], shape: tuple[int | None, ...], axes: tuple[str, ...]
) -> np.ndarray:
    """The array if it is numeric, of this shape (None admits any length) and finite throughout.

    `axes` names the axes for errors, which locate the first value that is not finite.
    """
    form = "(" + ", ".join(f"{axis} {n or 'any'}" for axis, n in zip(axes, shape, strict=True)) + ")"
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu":
        kind = f"array of {array.dtype}" if isinstance(array, np.ndarray) else type(array).__name__
        raise unexpected(path, kind, f"an array of numbers {form}")
    fits = len(array.shape) == len(shape)
    if not fits or any(n not in (None, m) for n, m in zip(shape, array.shape, strict=True)):
        raise unexpected(path, f"an array of shape {array.shape}", form)
    # features are kept in single precision, where larger values would become infinite
    finite = np.abs(array) <= np.finfo(np.float32).max
    if not finite.all():
        kind = "too large" if np.isfinite(array).all() else "NaN or infinite"
        first = ", ".join(f"{axis} {i}" for axis, i in zip(axes, np.argwhere(~finite)[0], strict=True))
        raise unexpected(
            path,
            f"{int((~finite).sum())} {kind} values, the first at {first}, counted from 0",
            "finite values",
            f"Repair it, or {LEAVE_OUT}",
        )
    return array


def cut(
    raw: mne.io.BaseRaw,
    places: list[int],
    start: int,
    stop: int,
    step: int,
    *,
    window: float,
    path: Path,
    where: str,
) -> np.ndarray:
    """Samples `start` to `stop` of some channels at a `step`-th of the rate; only these are read from disk.

    In the unit of `raw`. EEGFileError if the recording ends before, or a channel is flat in a `window`, in s.
    """
    rate = raw.info["sfreq"]
    if start < 0 or stop > raw.n_times:
        raise unexpected(
            path,
            f"{raw.n_times / rate:.1f} s of recording",
            f"{where} until {stop / rate:.1f} s",
            "The recording is truncated, or the times belong to another one.",
        )
    try:
        signals = raw.get_data(places, start, stop, verbose="error")
    except Exception as error:  # the header promises more samples than the file has
        raise unexpected(path, f"no samples of {where} ({error})", "a whole recording") from error
    refuse_flat(
        signals, [raw.ch_names[place] for place in places], sfreq=rate, window=window, path=path, where=where
    )
    return resample_poly(signals, 1, step, axis=-1, padtype="line") if step > 1 else signals


def refuse_flat(
    signals: np.ndarray, names: Sequence[str], *, sfreq: float, window: float, path: Path, where: str
) -> None:
    """EEGFileError if channels of (n_channels, n_samples) are constant in a window; names each such."""
    flat = flat_windows(signals, sfreq, window)
    n = flat.shape[1]
    # re-referencing and filters would turn what is constant into something small, far from any EEG
    listed = [
        name if row.all() else f"{name} in {row.sum()} of {n} windows, the first {row.argmax() + 1}"
        for name, row in zip(names, flat, strict=True)
        if row.any()
    ]
    if listed:
        found, cure = f"flat channels {listed} in {where}", f"Interpolate them, or {LEAVE_OUT}"
        raise unexpected(path, found, "a signal in every channel", cure)
