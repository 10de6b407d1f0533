"""Numbers out of the struct of a MATLAB file, without believing what the file says of itself.

In:  the path of a MATLAB 5 file (``save -v6`` or ``-v7``), packed or not, with a struct array of numbers.
Out: one array of numbers per field. Every error is an :class:`~kernel.brain.pickles.EEGFileError`.
Never: asks for memory because a file states a size, follows nested structs, or builds objects. A damaged or
       hostile file can make ``scipy.io.loadmat``, which does, take all memory or end the interpreter.

References
----------
MATLAB MAT-file format, level 5 (MathWorks).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from os import PathLike

import numpy as np

from kernel.brain.pickles import unexpected
from kernel.files import absolute

MAX_SIZE = 1 << 20  # bytes, packed and unpacked
_MATRIX, _PACKED = 14, 15
_TYPES = {1: "i1", 2: "u1", 3: "<i2", 4: "<u2", 5: "<i4", 6: "<u4", 7: "<f4", 9: "<f8", 12: "<i8", 13: "<u8"}
_STRUCT, _NUMERIC = 2, range(6, 16)
_COMPLEX = 1 << 11

Element = tuple[int, bytes]  # type and content


def load_struct(
    path: str | PathLike[str], variable: str, *, length: int, fields: Mapping[str, int], cure: str = ""
) -> dict[str, np.ndarray]:
    """Read the numbers in some fields of a struct array.

    Parameters
    ----------
    path : path-like
        A file of at most 1 MB.
    variable : str
        Name of the struct, of shape (length, 1).
    length : int
        Entries it must have.
    fields : mapping of str to int
        Fields to read, each with how many real numbers every entry must have. Other fields may hold anything.
    cure : str
        What the reader may do about a spoilt file, for errors.

    Returns
    -------
    dict
        Field -> float64 (length, numbers).

    Raises
    ------
    EEGFileError
        If the file is absent, too large, damaged, of another version, or holds anything else.
    """
    path = absolute(path)
    expected = f"{variable}, a struct of {length} entries with {', '.join(fields)}"
    if not path.is_file():
        found = "a link to nothing" if path.is_symlink() else "no such file"
        raise unexpected(path, found=found, expected=expected, cure=cure)
    if path.stat().st_size > MAX_SIZE:
        found = f"{path.stat().st_size} bytes"
        raise unexpected(path, found=found, expected=f"at most {MAX_SIZE}", cure=cure)
    try:
        return _numbers(_variable(path.read_bytes(), variable), length, fields)
    except (ValueError, IndexError, struct.error, zlib.error) as error:
        raise unexpected(path, found=str(error), expected=expected, cure=cure) from error


def _variable(content: bytes, name: str) -> list[Element]:
    """Elements of the variable of this name."""
    if content[124:128] != b"\x00\x01IM":
        raise ValueError(f"{len(content)} bytes that start with {content[:20]!r}, no MATLAB 5 file")
    for kind, body in _elements(content[128:]):
        if kind == _PACKED:
            unpacked = zlib.decompressobj().decompress(body, MAX_SIZE + 1)
            if len(unpacked) > MAX_SIZE:
                raise ValueError(f"what unpacks to more than {MAX_SIZE} bytes")
            ((kind, body),) = _elements(unpacked)
        parts = _elements(body) if kind == _MATRIX else []
        if len(parts) > 2 and parts[2][1] == name.encode():
            return parts
    raise ValueError(f"no {name}")


def _elements(data: bytes) -> list[Element]:
    """Elements that lie one after another; those of at most 4 bytes have a short head."""
    out, place = [], 0
    while place < len(data):
        kind, size = struct.unpack_from("<II", data, place)
        start, end = place + 8, place + 8 + size
        if kind >> 16:
            kind, start, end = kind & 0xFFFF, place + 4, place + 4 + (kind >> 16)
        if end > len(data):
            raise ValueError(f"{len(data)} bytes where {end} are promised: the file is truncated")
        out.append((kind, data[start:end]))
        place = end if kind == _PACKED else end + -end % 8
    return out


def _numbers(parts: list[Element], length: int, fields: Mapping[str, int]) -> dict[str, np.ndarray]:
    flags, shape = _ints(parts[0]), tuple(_ints(parts[1]))
    if flags[0] & 0xFF != _STRUCT or shape != (length, 1) or len(parts) < 5:
        raise ValueError(
            f"a variable of class {flags[0] & 0xFF} and shape {shape}, not a struct {(length, 1)}"
        )
    (width,), labels = _ints(parts[3]), parts[4][1]
    names = [labels[k : k + width].split(b"\0")[0].decode() for k in range(0, len(labels), max(width, 1))]
    entries = parts[5:]
    if not set(fields) <= set(names) or len(entries) != length * len(names):
        raise ValueError(f"{len(entries)} values of the fields {', '.join(names)}")
    columns = {name: entries[names.index(name) :: len(names)] for name in fields}
    return {
        name: np.array([_real(entry, n, f"{name} of entry {k}") for k, entry in enumerate(columns[name], 1)])
        for name, n in fields.items()
    }


def _real(entry: Element, n: int, where: str) -> np.ndarray:
    """The `n` real numbers of an array."""
    kind, body = entry
    parts = _elements(body) if kind == _MATRIX else []
    if len(parts) != 4 or not (flags := _ints(parts[0])):
        raise ValueError(f"no array of real numbers as {where}")
    stored, raw = parts[3]
    if flags[0] & 0xFF not in _NUMERIC or flags[0] & _COMPLEX or stored not in _TYPES:
        raise ValueError(f"no real numbers (class {flags[0] & 0xFF}) as {where}")
    values = np.frombuffer(raw, _TYPES[stored]).astype(float)
    if len(values) != n:
        raise ValueError(f"{len(values)} numbers instead of {n} as {where}")
    return values


def _ints(element: Element) -> list[int]:
    kind, raw = element
    if kind not in (5, 6):
        raise ValueError(f"data of type {kind} where sizes are expected: the file is damaged")
    return np.frombuffer(raw, "<i4").tolist()
