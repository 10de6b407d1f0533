"""Numbers out of a struct array of a MATLAB 5 file, without believing what the file says of itself.

A damaged or hostile file can make ``scipy.io.loadmat`` take all memory or end the interpreter: here no memory
is asked for because a file states a size, and nested structs are not followed.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from os import PathLike

import numpy as np

from kernel.brain.readers import check_file, unexpected
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
    """Read some fields of the struct `variable`, of shape (length, 1): float64 (length, numbers) of each.

    `fields` says how many real numbers every entry must have; other fields may hold anything. EEGFileError,
    with `cure`, if the file is absent, larger than 1 MB, damaged, of another version, or holds anything else.
    """
    path = absolute(path)
    expected = f"{variable}, a struct of {length} entries with {', '.join(fields)}"
    check_file(path, expected, cure)
    if path.stat().st_size > MAX_SIZE:
        raise unexpected(path, f"{path.stat().st_size} bytes", f"at most {MAX_SIZE}", cure)
    try:
        return _numbers(_elements_of(path.read_bytes(), variable), length, fields)
    except (ValueError, IndexError, struct.error, zlib.error) as error:
        raise unexpected(path, str(error), expected, cure) from error


def _elements_of(content: bytes, name: str) -> list[Element]:
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
        raise ValueError(f"a variable of class {flags[0] & 0xFF}, shape {shape}, not a struct {(length, 1)}")
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
