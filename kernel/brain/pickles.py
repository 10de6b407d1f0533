"""Arrays out of other people's pickle files, without running what is in them.

In:  the bytes or the path of a pickle (protocols 2 to 5, numpy 1 or numpy 2) or of a ``.npy`` file, said
     to hold numeric arrays in dicts, lists and tuples.
Out: the same containers with read-only numpy arrays. Every error is an :class:`EEGFileError` that names
     the file.
Never: imports or calls anything a file names. A pickle is a programme; here its few admitted names (those
     that numpy itself writes for an array) are answered by inert stand-ins, and arrays are built
     afterwards from checked bytes. A size that the file cannot hold is refused before memory is asked for it.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
import re
import zipfile
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from kernel.arrays import whole
from kernel.brain.features import flat_windows
from kernel.files import absolute, npy_header

MAX_EXPANSION = 100  # features hardly shrink when zipped; a bomb unpacks a thousandfold
NOTHING_RUN = "Nothing was run: do not load this file with pickle."
MAX_DEPTH = 16  # a real file nests two or three deep; a cycle nests for ever


class EEGFileError(ValueError):
    """A file is not what its reader expects; the message names file, finding and expectation."""


class UnsafePickleError(EEGFileError):
    """A pickle asks for something that an array of numbers does not need; nothing of it was run."""


def unexpected(path: str | PathLike[str], *, found: str, expected: str, cure: str = "") -> EEGFileError:
    """Build the error every reader raises: ``path: found ..., expected ... . cure``.

    Parameters
    ----------
    path : path-like
        The offending file or folder.
    found, expected : str
        What is there, and what should be.
    cure : str
        What the reader may do about it.

    Returns
    -------
    EEGFileError
        Ready to be raised.
    """
    return EEGFileError(f"{path}: found {found}, expected {expected}." + (f" {cure}" if cure else ""))


def check_array(
    array: Any, *, path: str | PathLike[str], shape: tuple[int | None, ...], axes: tuple[str, ...]
) -> np.ndarray:
    """Return `array` if it is numeric, of the shape given and finite throughout.

    Parameters
    ----------
    array : object
        What a file held.
    path : path-like
        The file, for errors.
    shape : tuple of int or None
        Expected lengths; None admits any.
    axes : tuple of str
        Name of each axis, for errors.

    Returns
    -------
    ndarray
        The same array.

    Raises
    ------
    EEGFileError
        If it is anything else; the first value that is not finite is located.
    """
    wanted = "(" + ", ".join(f"{axis} {n or 'any'}" for axis, n in zip(axes, shape, strict=True)) + ")"
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu":
        kind = f"array of {array.dtype}" if isinstance(array, np.ndarray) else type(array).__name__
        raise unexpected(path, found=kind, expected=f"an array of numbers {wanted}")
    fits = len(array.shape) == len(shape)
    if not fits or any(n not in (None, m) for n, m in zip(shape, array.shape, strict=True)):
        raise unexpected(path, found=f"an array of shape {array.shape}", expected=wanted)
    # features are kept in single precision, where larger values would become infinite
    finite = np.abs(array) <= np.finfo(np.float32).max
    if not finite.all():
        kind = "too large" if np.isfinite(array).all() else "NaN or infinite"
        first = ", ".join(f"{axis} {i}" for axis, i in zip(axes, np.argwhere(~finite)[0], strict=True))
        raise unexpected(
            path,
            found=f"{int((~finite).sum())} {kind} values, the first at {first}, counted from 0",
            expected="finite values",
            cure="Repair it, or leave this subject out with subjects=...",
        )
    return array


def refuse_flat(
    signals: np.ndarray,
    names: Sequence[str],
    *,
    sfreq: float,
    window: float,
    path: str | PathLike[str],
    where: str,
) -> None:
    """Raise EEGFileError if a channel of (n_channels, n_samples) is constant in a window; names each such."""
    flat = flat_windows(signals, sfreq, window)
    n = flat.shape[1]
    # re-referencing and filters would turn what is constant into something small, far from any EEG
    listed = [
        name if row.all() else f"{name} in {row.sum()} of {n} windows, the first {row.argmax() + 1}"
        for name, row in zip(names, flat, strict=True)
        if row.any()
    ]
    if listed:
        raise unexpected(
            path,
            found=f"flat channels {listed} in {where}",
            expected="a signal in every channel",
            cure="Interpolate them, or leave this subject out with subjects=...",
        )


def chosen(files: dict[int, Any], subjects: Any, root: Path) -> dict[int, Any]:
    """The files of the subjects asked for, or of all; EEGFileError names those that are not there."""
    if subjects is None:
        return files
    asked_for: Any = [subjects] if np.isscalar(subjects) else list(subjects)
    wanted = whole(asked_for, "subjects").tolist()
    absent = [subject for subject in wanted if subject not in files]
    if absent or not wanted or len(set(wanted)) < len(wanted):
        held = sorted(files)
        asked = f"subjects {absent}" if absent else "at least one subject to be asked for, and each once"
        raise unexpected(
            root,
            found=f"{len(held)} subjects between {held[0]} and {held[-1]}",
            expected=asked,
            cure="Fetch them, or ask for others with subjects=...",
        )
    return {subject: files[subject] for subject in wanted}


def load_pickle(path: str | PathLike[str]) -> Any:
    """Read the arrays of a pickle file.

    Parameters
    ----------
    path : path-like
        File written by ``pickle.dump`` with protocol 2 to 5; Python 2 strings are decoded as iso-8859-1.

    Returns
    -------
    ndarray, dict, list or tuple
        What was pickled, arrays read-only.

    Raises
    ------
    EEGFileError
        If the file is empty, truncated or not a pickle.
    UnsafePickleError
        If it names anything but numpy's array constructors.
    """
    path = absolute(path)
    return loads_pickle(path.read_bytes(), name=str(path))


def loads_pickle(data: bytes, *, name: str = "<bytes>") -> Any:
    """Read the arrays of pickled bytes; see :func:`load_pickle`.

    Parameters
    ----------
    data : bytes
        One complete pickle.
    name : str
        What to call the source in errors.

    Returns
    -------
    ndarray, dict, list or tuple
        What was pickled, arrays read-only.
    """
    _inspect(data, name)
    try:
        built = _ArrayUnpickler(data, name).load()
    except EEGFileError:
        raise
    except (
        Exception
    ) as error:  # a malformed pickle can fail in any way; all of them mean the same to the reader
        raise unexpected(
            name, found=f"a damaged pickle ({type(error).__name__}: {error})", expected="pickled arrays"
        ) from error
    return _Builder(name).build(built)


def load_npy(path: str | PathLike[str]) -> Any:
    """Read a ``.npy`` file, also one that numpy wrote as a pickled object.

    Parameters
    ----------
    path : path-like
        File written by ``numpy.save``.

    Returns
    -------
    ndarray, dict, list or tuple
        The array; for a 0-d object array (a saved dict) the object inside it; for a 0-d byte string its
        bytes.

    Raises
    ------
    EEGFileError
        If the file is truncated or not in npy format.
    UnsafePickleError
        As for :func:`load_pickle`.
    """
    path = absolute(path)
    return _loads_npy(path.read_bytes(), str(path))


def load_npz(path: str | PathLike[str]) -> dict[str, Any]:
    """Read a ``.npz`` file, each member as :func:`load_npy` reads it.

    Parameters
    ----------
    path : path-like
        File written by ``numpy.savez``.

    Returns
    -------
    dict
        Members by name; one that holds a single byte string (a pickle saved as text) comes as bytes.

    Raises
    ------
    EEGFileError
        If the archive is damaged or would unpack to more than 100 times its size.
    UnsafePickleError
        As for :func:`load_pickle`.
    """
    path, members = absolute(path), {}
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(info.file_size for info in archive.infolist())
            size = path.stat().st_size
            if unpacked > MAX_EXPANSION * max(size, 1):
                expected = f"at most {MAX_EXPANSION} times its size"
                raise unexpected(path, found=f"{unpacked} bytes once unpacked", expected=expected)
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
        raise unexpected(
            path, found=f"no archive ({error})", expected="a file written by numpy.savez"
        ) from error
    return members


def _loads_npy(data: bytes, name: str) -> Any:
    stream = io.BytesIO(data)
    try:
        shape, fortran_order, dtype = npy_header(stream)
    except ValueError as error:
        raise unexpected(name, found=str(error), expected="a file written by numpy.save") from error
    payload = data[stream.tell() :]
    if dtype.hasobject:
        held = loads_pickle(payload, name=name)
        return held.item() if isinstance(held, np.ndarray) and held.shape == () else held
    array = _from_bytes(payload, dtype, shape, "F" if fortran_order else "C", name)
    return payload if dtype.kind == "S" and shape == () else array


# Looking before reading

_OPCODES = frozenset(
    "PROTO FRAME STOP MARK POP_MARK NONE NEWTRUE NEWFALSE BININT BININT1 BININT2 LONG1 BINFLOAT "
    "SHORT_BINSTRING BINSTRING SHORT_BINBYTES BINBYTES BINBYTES8 BYTEARRAY8 SHORT_BINUNICODE BINUNICODE "
    "BINUNICODE8 EMPTY_LIST APPEND APPENDS EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 EMPTY_DICT SETITEM "
    "SETITEMS BINPUT LONG_BINPUT MEMOIZE BINGET LONG_BINGET GLOBAL STACK_GLOBAL REDUCE BUILD".split()
)


def _inspect(data: bytes, name: str) -> None:
    """Walk the opcodes, executing none; refuse unknown ones, foreign names and false lengths."""
    if not data:
        raise unexpected(
            name, found="no bytes", expected="a pickle", cure="The file is empty: fetch it again."
        )
    if data[:1] != b"\x80" or len(data) < 2 or not 2 <= data[1] <= 5:
        raise unexpected(
            name, found=f"a file that starts with {data[:2]!r}", expected="a pickle of protocol 2 to 5"
        )
    try:
        instructions: Any = pickletools.genops(data)
        for opcode, argument, position in instructions:
            if opcode.name == "GLOBAL":
                _standin(*argument.split(" ", 1), name=name)
            elif opcode.name not in _OPCODES:
                raise UnsafePickleError(
                    f"{name}: found pickle instruction {opcode.name} {argument or ''} at byte {position}, "
                    f"expected only those of numeric arrays. {NOTHING_RUN}"
                )
            elif opcode.name == "LONG_BINPUT" and argument > position:
                # the memo is a table indexed by this number: an honest one counts objects already met
                raise unexpected(
                    name, found=f"memo index {argument} at byte {position}", expected="a smaller one"
                )
    except EEGFileError:
        raise
    except Exception as error:  # pickletools raises many kinds on damaged bytes
        raise unexpected(
            name,
            found=f"a truncated or damaged pickle of {len(data)} bytes ({error})",
            expected="a complete one",
            cure="Fetch the file again.",
        ) from error


def _standin(module: str, attribute: str, *, name: str) -> _Name:
    """Answer an admitted global by its inert stand-in; refuse every other."""
    family = re.sub(r"^numpy\._?core\.", "numpy.*core.", module)  # numpy 1 writes core, numpy 2 writes _core
    try:
        return _NAMES[family, attribute]
    except KeyError:
        raise UnsafePickleError(
            f"{name}: found a pickle that calls {module}.{attribute}, expected numeric arrays, which need "
            f"only numpy's own constructors. {NOTHING_RUN}"
        ) from None


# Inert stand-ins: what a pickle may build


class _Name:
    """An admitted global: holds no state, cannot be given any, and is called only by :class:`_Call`."""

    __slots__ = ("label",)

    def __init__(self, label: str) -> None:
        self.label = label

    def __setstate__(self, state: object) -> None:
        raise ValueError(f"{self.label} takes no state")


class _Call(_Name):
    """An admitted constructor: a call only notes its arguments."""

    __slots__ = ()

    def __call__(self, *arguments: object) -> _Note:
        return _Note(self, arguments)


class _Note:
    """What a constructor was called with and the state given afterwards, for :class:`_Builder`."""

    __slots__ = ("arguments", "maker", "state")

    def __init__(self, maker: _Call, arguments: tuple[Any, ...]) -> None:
        self.maker, self.arguments = maker, arguments
        self.state: Any = None

    def __setstate__(self, state: object) -> None:
        self.state = state

    def __hash__(self) -> int:
        raise TypeError("an array cannot be a dict key")


_NDARRAY = _Name("numpy.ndarray")
_DTYPE = _Call("numpy.dtype")
_RECONSTRUCT = _Call("numpy reconstruct")
_FROMBUFFER = _Call("numpy frombuffer")
_ENCODE = _Call("_codecs.encode")
_NAMES = {
    ("numpy", "ndarray"): _NDARRAY,
    ("numpy", "dtype"): _DTYPE,
    ("numpy.*core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy.*core.numeric", "_frombuffer"): _FROMBUFFER,  # protocol 5
    ("_codecs", "encode"): _ENCODE,  # bytes in protocol 2
}


class _ArrayUnpickler(pickle.Unpickler):
    def __init__(self, data: bytes, name: str) -> None:
        super().__init__(io.BytesIO(data), encoding="iso-8859-1")
        self._name = name

    def find_class(self, module: str, attribute: str) -> _Name:
        return _standin(module, attribute, name=self._name)


# From notes to arrays


class _Builder:
    """Turns notes into arrays, each object once: one text or list used a thousand times costs one copy."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.built: dict[
            int, Any
        ] = {}  # by id; the unpickled objects stay alive as long as the builder works

    def build(self, thing: Any, depth: int = 0) -> Any:
        if depth > MAX_DEPTH:  # also the end of a list that contains itself
            found = f"containers nested deeper than {MAX_DEPTH}"
            raise unexpected(self.name, found=found, expected="arrays in dicts or lists")
        if isinstance(thing, _Name):
            raise unexpected(self.name, found=f"the bare name {thing.label}", expected="arrays")
        if not isinstance(thing, _Note | dict | list | tuple):
            return thing
        if id(thing) not in self.built:
            self.built[id(thing)] = self._new(thing, depth)
        return self.built[id(thing)]

    def _new(self, thing: Any, depth: int) -> Any:
        if isinstance(thing, _Note):
            return self._array(thing, depth)
        if isinstance(thing, dict):
            return {key: self.build(value, depth + 1) for key, value in thing.items()}
        return type(thing)(self.build(value, depth + 1) for value in thing)

    def _array(self, note: _Note, depth: int) -> Any:
        try:
            if note.maker is _ENCODE:
                return self._raw(note)
            dtype, shape, order, contents = _parts(note)
            if not dtype.hasobject:
                return _from_bytes(self._raw(contents), dtype, shape, order, self.name)
            if not isinstance(contents, list) or len(contents) != _size(shape):
                raise ValueError(f"an object array of shape {shape} with other contents")
            box = np.empty(len(contents), dtype=object)
            for i, item in enumerate(contents):
                box[i] = self.build(item, depth + 1)
            return box.reshape(shape)
        except EEGFileError:
            raise
        except (TypeError, ValueError, LookupError, OverflowError) as error:
            found = f"a malformed array ({error})"
            raise unexpected(self.name, found=found, expected="arrays as numpy writes them") from error

    def _raw(self, value: object) -> bytes:
        """Bytes of an array: plain, spelled by ``_codecs.encode``, or a Python 2 string."""
        if isinstance(value, _Note) and value.maker is _ENCODE:
            value, encoding = value.arguments
            if encoding not in ("latin1", "latin-1", "iso-8859-1"):
                raise ValueError(f"bytes spelled in {encoding!r}")
        if isinstance(value, bytes):
            return value
        if not isinstance(value, str | bytearray):
            raise ValueError(f"{type(value).__name__} in place of bytes")
        if id(value) not in self.built:
            self.built[id(value)] = value.encode("iso-8859-1") if isinstance(value, str) else bytes(value)
        return self.built[id(value)]


def _parts(note: _Note) -> tuple[np.dtype, tuple[int, ...], str, object]:
    """Type, shape, order and contents of an array as either of numpy's constructors was told them."""
    if note.maker is _FROMBUFFER:
        contents, dtype, shape, order = note.arguments
    elif note.maker is _RECONSTRUCT and note.arguments[0] is _NDARRAY and note.state is not None:
        _, shape, dtype, is_fortran, contents = note.state
        order = "F" if is_fortran else "C"
    else:
        raise ValueError(f"{note.maker.label} in place of an array")
    return _dtype(dtype), shape, order, contents


def _dtype(note: object) -> np.dtype:
    """Numeric dtype of a note ``dtype('f8', ...)`` with state ``(3, '<', ...)``; ``O8`` for a box."""
    if not (isinstance(note, _Note) and note.maker is _DTYPE):
        raise ValueError("no dtype")
    code = note.arguments[0]
    if not (isinstance(code, str) and re.fullmatch(r"[biufc]\d{1,2}|O8?", code)):
        raise ValueError(f"dtype {code!r}")
    byte_order: Any = note.state[1] if note.state is not None else "="
    if byte_order not in ("<", ">", "|", "="):
        raise ValueError(f"byte order {byte_order!r}")
    return np.dtype(code).newbyteorder(byte_order)


def _size(shape: object) -> int:
    if not isinstance(shape, tuple) or not all(isinstance(n, int) and n >= 0 for n in shape):
        raise ValueError(f"shape {shape!r}")
    return math.prod(shape)


def _from_bytes(raw: bytes, dtype: np.dtype, shape: tuple[int, ...], order: str, name: str) -> np.ndarray:
    try:
        needed = _size(shape) * dtype.itemsize
    except ValueError as error:
        raise unexpected(name, found=f"a {error}", expected="one of lengths") from error
    if needed != len(raw):
        raise unexpected(
            name,
            found=f"{len(raw)} bytes for an array of shape {shape} and type {dtype}",
            expected=f"{needed} bytes",
            cure="The file is truncated or damaged: fetch it again.",
        )
    try:
        array = np.frombuffer(raw, dtype).reshape(shape, order="F" if order == "F" else "C")
    except (ValueError, OverflowError) as error:  # a type of no bytes, an empty array of endless length
        found = f"an impossible array of shape {shape} and type {dtype} ({error})"
        raise unexpected(name, found=found, expected="an array of numbers") from error
    array.flags.writeable = False
    return array
