"""Arrays out of other people's pickle, ``.npy`` and ``.npz`` files, without running what is in them.

A pickle is a programme. Here its few admitted instructions build containers and arrays of numbers alone: the
names that numpy writes for an array are answered by functions of this module, which check every size against
the bytes that are there before memory is asked for; any other name or instruction is refused.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
import re
import zipfile
from os import PathLike
from typing import Any

import numpy as np

from kernel.brain.readers import EEGFileError, UnsafePickleError, unexpected
from kernel.files import absolute, npy_header

MAX_EXPANSION = 100  # features hardly shrink when zipped; a bomb unpacks a thousandfold
NOTHING_RUN = "Nothing was run: do not load this file with pickle."
_TRUNCATED = "The file is truncated or damaged: fetch it again."
_INSTRUCTIONS = (
    "PROTO FRAME STOP MARK POP_MARK NONE NEWTRUE NEWFALSE BININT BININT1 BININT2 LONG1 BINFLOAT "
    "SHORT_BINSTRING BINSTRING SHORT_BINBYTES BINBYTES BINBYTES8 SHORT_BINUNICODE BINUNICODE "
    "BINUNICODE8 EMPTY_LIST APPEND APPENDS EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 EMPTY_DICT SETITEM "
    "SETITEMS BINPUT LONG_BINPUT MEMOIZE BINGET LONG_BINGET GLOBAL STACK_GLOBAL REDUCE"
).split()
_Unpickler: Any = pickle._Unpickler  # the one in Python: its memo is a dict, and its instructions are a table


def load_pickle(path: str | PathLike[str]) -> Any:
    """The array, or dict, list or tuple of arrays, of a pickle file of protocol 2 to 5, of numpy 1 or 2.

    Arrays are read-only; Python 2 strings are decoded as iso-8859-1. EEGFileError if the file is empty,
    truncated or not a pickle; UnsafePickleError if it names anything but numpy's array constructors.
    """
    path = absolute(path)
    return loads_pickle(path.read_bytes(), name=str(path))


def loads_pickle(data: bytes, *, name: str = "<bytes>") -> Any:
    """Read the arrays of one complete pickle as :func:`load_pickle`; `name` is what errors call it."""
    if data[:2] not in (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"):
        found = f"a file that starts with {data[:2]!r}" if data else "no bytes"
        raise unexpected(name, found, "a pickle of protocol 2 to 5", _TRUNCATED)
    try:
        return _ArrayUnpickler(data, name).load()
    except EEGFileError:
        raise
    except Exception as error:  # a malformed pickle can fail in any way; all mean the same to the reader
        found = f"a damaged pickle of {len(data)} bytes ({type(error).__name__}: {error})"
        raise unexpected(name, found, "pickled arrays", _TRUNCATED) from error


def load_npy(path: str | PathLike[str]) -> Any:
    """Read a ``.npy`` file, also one that numpy wrote as a pickled object; errors as of `load_pickle`.

    Gives the array; for a 0-d object array (a saved dict) the object inside it; for a 0-d byte string its
    bytes.
    """
    path = absolute(path)
    return _loads_npy(path.read_bytes(), str(path))


def load_npz(path: str | PathLike[str]) -> dict[str, Any]:
    """Read the members of a ``.npz`` file by name, each as :func:`load_npy` reads it.

    EEGFileError also if the archive would unpack to more than 100 times its size.
    """
    path, members = absolute(path), {}
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(info.file_size for info in archive.infolist())
            size = path.stat().st_size
            if unpacked > MAX_EXPANSION * max(size, 1):
                expected = f"at most {MAX_EXPANSION} times its size"
                raise unexpected(path, f"{unpacked} bytes once unpacked", expected)
            for info in archive.infolist():
                # other methods are not numpy's, and may unpack far more than they announce
                if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    raise zipfile.BadZipFile(f"{info.filename} is packed by method {info.compress_type}")
                if info.compress_size > size:  # as much memory would be reserved
                    raise zipfile.BadZipFile(f"{info.filename} is larger than the file")
                data = archive.read(info)
                members[info.filename.removesuffix(".npy")] = _loads_npy(data, f"{path}[{info.filename}]")
    except EEGFileError:
        raise
    except Exception as error:  # zipfile raises many kinds on damaged bytes
        raise unexpected(path, f"no archive ({error})", "a file written by numpy.savez") from error
    return members


def _loads_npy(data: bytes, name: str) -> Any:
    stream = io.BytesIO(data)
    try:
        shape, fortran_order, dtype = npy_header(stream)
        content = data[stream.tell() :]
        if not dtype.hasobject:
            array = _from_bytes(content, dtype, shape, "F" if fortran_order else "C")
            return content if dtype.kind == "S" and shape == () else array
    except ValueError as error:
        raise unexpected(name, str(error), "a file written by numpy.save") from error
    held = loads_pickle(content, name=name)
    return held.item() if isinstance(held, np.ndarray) and held.shape == () else held


class _Type:
    """A type of numbers, or of objects, as ``dtype('f8', ...)`` and the state with its byte order name it."""

    def __init__(self, code: str, *_: object) -> None:
        if not (isinstance(code, str) and re.fullmatch(r"[biufc]\d{1,2}|O8?", code)):
            raise ValueError(f"dtype {code!r}")
        self.dtype = np.dtype(code)


class _ArrayUnpickler(_Unpickler):
    """Python's unpickler with the instructions and names that arrays need, and none beside."""

    def __init__(self, data: bytes, name: str) -> None:
        super().__init__(io.BytesIO(data), encoding="iso-8859-1")
        self._name = name
        self._room = 2 * len(data) + 1000  # bytes to copy: what is used a thousand times costs as many copies

    def find_class(self, module: str, attribute: str) -> Any:
        # numpy 1 writes core, numpy 2 writes _core
        name = f"{re.sub(r'^numpy[.]_core[.]', 'numpy.core.', module)}.{attribute}"
        admitted = {
            "numpy.ndarray": "numpy.ndarray",  # only named, as the kind of array to make
            "numpy.dtype": _Type,
            "numpy.core.multiarray._reconstruct": lambda *_: np.empty(0),  # to be filled, whatever its size
            "numpy.core.numeric._frombuffer": _array,  # protocol 5
            "_codecs.encode": self._spelled,  # bytes in protocol 2
        }
        if name not in admitted:
            raise UnsafePickleError(
                f"{self._name}: found a pickle that calls {module}.{attribute}, expected numeric arrays, "
                f"which need only numpy's own constructors. {NOTHING_RUN}"
            )
        return admitted[name]

    def load_build(self) -> None:
        """Give an array or a type its state; nothing else takes one."""
        state = self.stack.pop()
        target = self.stack[-1]
        if isinstance(target, _Type):
            target.dtype = target.dtype.newbyteorder(state[1])
        elif isinstance(target, np.ndarray) and target.flags.writeable:
            self._fill(target, *state)
        else:
            raise ValueError(f"{type(target).__name__} takes no state")

    def load_bytearray8(self) -> None:
        """Bytes of protocol 5, read before memory for them is asked for."""
        length = int.from_bytes(self.read(8), "little")
        self.append(bytearray(self.read(length)))

    def _fill(
        self, array: np.ndarray, _: int, shape: Any, kind: _Type, fortran_order: bool, content: Any
    ) -> None:
        if kind.dtype.hasobject:
            if not isinstance(content, list) or len(content) != _size(shape):
                raise ValueError(f"an object array of shape {shape} with other contents")
        else:
            content = content if isinstance(content, bytes) else self._spelled(content)
            _from_bytes(content, kind.dtype, shape, "C")
        self._take(len(content))
        state: Any = (1, shape, kind.dtype, bool(fortran_order), content)
        array.__setstate__(state)
        array.flags.writeable = False

    def _spelled(self, text: str, encoding: str = "latin1") -> bytes:
        """Bytes that a text spells, one a character."""
        if encoding not in ("latin1", "latin-1", "iso-8859-1"):
            raise ValueError(f"bytes spelled in {encoding!r}")
        self._take(len(text))
        return text.encode("latin1")

    def _take(self, size: int) -> None:
        self._room -= size
        if self._room < 0:
            raise ValueError("more bytes in its arrays than in the file")


class _Instructions(dict[int, Any]):
    """Methods of the unpickler by instruction; an instruction that is not admitted raises."""

    def __missing__(self, code: int) -> Any:
        def refuse(unpickler: _ArrayUnpickler) -> None:
            known = {ord(opcode.code): opcode.name for opcode in pickletools.opcodes}
            raise UnsafePickleError(
                f"{unpickler._name}: found pickle instruction {known.get(code, code)}, expected only those "
                f"of numeric arrays. {NOTHING_RUN}"
            )

        return refuse


_ArrayUnpickler.dispatch = _Instructions(
    {code: _Unpickler.dispatch[code] for code in (getattr(pickle, name)[0] for name in _INSTRUCTIONS)}
    | {pickle.BUILD[0]: _ArrayUnpickler.load_build, pickle.BYTEARRAY8[0]: _ArrayUnpickler.load_bytearray8}
)


def _array(content: bytes | bytearray, kind: _Type, shape: Any, order: str) -> np.ndarray:
    """A view of the bytes themselves."""
    return _from_bytes(content, kind.dtype, shape, order)


def _size(shape: object) -> int:
    if not isinstance(shape, tuple) or not all(isinstance(n, int) and n >= 0 for n in shape):
        raise ValueError(f"shape {shape!r}")
    return math.prod(shape)


def _from_bytes(
    content: bytes | bytearray, dtype: np.dtype, shape: tuple[int, ...], order: str
) -> np.ndarray:
    """A read-only array, if the bytes are as many as it needs."""
    needed = _size(shape) * dtype.itemsize
    if needed != len(content):
        raise ValueError(
            f"{len(content)} bytes for an array of shape {shape} and type {dtype}, which needs {needed}"
        )
    array = np.frombuffer(content, dtype).reshape(shape, order="F" if order == "F" else "C")
    array.flags.writeable = False
    return array
