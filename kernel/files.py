"""Places, digests, atomic writes and the user's cache: nothing stale, half-written or unpickled.

Temporary names start with ``.tmp-``. A process that is killed may leave one behind; nothing reads it.
"""

from __future__ import annotations

import ast
import errno
import hashlib
import io
import math
import os
import re
import secrets
import shutil
import struct
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path, PurePath
from types import MappingProxyType
from typing import IO, Any, TypeVar

import numpy as np
import platformdirs
import yaml
from filelock import FileLock
from numpy.typing import ArrayLike

CACHE_VARIABLE = "KERNEL_CACHE"
#: Variables of the environment that name a place.
PLACES = (CACHE_VARIABLE, "KERNEL_DATA", "KERNEL_MIRROR", "KERNEL_LEDGER", "KERNEL_BOOK_LEDGER")
_LIBRARIES = (
    "gguf", "mne", "numpy", "pandas", "scikit-learn", "scipy", "tokenizers", "torch", "transformers", "xarray"
)  # fmt: skip
_PACKAGE = Path(__file__).resolve().parent
_SOURCE_SUFFIXES = (".py", ".yaml", ".csv", ".nc")

T = TypeVar("T")


class CacheNotWritableError(OSError):
    """The cache, or the folder that a result should go to, cannot be made or written to."""

    @classmethod
    def at(cls, folder: Path, reason: OSError) -> CacheNotWritableError:
        """The error where writing to a folder fails, with the cure."""
        return cls(
            f"cannot write to the folder {folder} ({reason.strerror or reason}): free space or grant "
            "permission there, or name another folder; for the cache set the environment variable "
            f"{CACHE_VARIABLE} to one that you can write to."
        )


# Places


def absolute(path: str | os.PathLike[str]) -> Path:
    """A place as a user names it, from the root; ``~`` and ``~name`` are homes.

    Raises FileNotFoundError for an empty path and the home of nobody.
    """
    place = os.path.expanduser(os.fspath(path))
    if not place:
        raise FileNotFoundError("an empty path names no place: leave it out, or write . for this folder")
    if place.startswith("~"):
        raise FileNotFoundError(f"no home {place.split(os.sep)[0]!r}: write ./{place} if a file is so named")
    return Path(place).absolute()


def places() -> dict[str, str]:
    """The variables of `PLACES` that are set, absolute; addresses of the web stay as they are."""
    named = {name: os.environ[name] for name in PLACES if os.environ.get(name)}
    for name, place in named.items():
        try:
            named[name] = place if re.match("https?://", place, re.I) else str(absolute(place))
        except FileNotFoundError as error:
            raise FileNotFoundError(f"environment variable {name}: {error}") from None
    return named


def state(place: str | os.PathLike[str]) -> list[str]:
    """Names, sizes and times of a file, or of all files below a folder and its links; empty if there is none.

    They stand for data too large to be read for a digest.
    """
    root = absolute(place)
    seen: set[str] = set()
    paths = [root]
    for folder, inner, names in os.walk(root, followlinks=True):
        inner[:] = [name for name in inner if os.path.realpath(os.path.join(folder, name)) not in seen]
        seen |= {os.path.realpath(os.path.join(folder, name)) for name in inner}  # links may form a circle
        paths += [Path(folder, name) for name in names]
    present = [(path.relative_to(root).as_posix(), path.stat()) for path in sorted(paths) if path.is_file()]
    return [f"{name} {status.st_size} {status.st_mtime_ns}" for name, status in present]


def book_folder() -> Path | None:
    """The folder ``book`` of the book around the working directory, or None where there is none."""
    here = Path.cwd()
    around = (folder for folder in (here, *here.parents) if (folder / "_toc.yml").exists())
    return next((folder / "book" for folder in around if (folder / "book").is_dir()), None)


def cache_dir(*parts: str, create: bool = True) -> Path:
    """A folder in the user's cache, below ``KERNEL_CACHE`` or the platform's place; made, or only named."""
    root = places().get(CACHE_VARIABLE) or platformdirs.user_cache_path("valence-axis", appauthor=False)
    below = PurePath(*parts)
    if below.is_absolute() or ".." in below.parts:
        raise ValueError(f"{str(below)!r} leads out of the cache: use plain names")
    folder = absolute(root) / below
    return writable_folder(folder) if create else folder


def writable_folder(path: str | os.PathLike[str]) -> Path:
    """The folder, made if needed; `CacheNotWritableError` if it cannot be made or written to."""
    folder = absolute(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, "no permission to write")
    except OSError as error:
        raise CacheNotWritableError.at(folder, error) from error
    return folder


# Whole files


@contextmanager
def atomic_path(target: str | Path) -> Iterator[Path]:
    """Write a file completely or not at all.

    Yields a name in the same folder with the same ending. If the block ends well, that file is flushed to the
    disk and takes the target's place in one step; if not (an interruption included), it is removed and an
    older target stays. FileNotFoundError says that the block wrote nothing.
    """
    target, temporary = _whole_and_temporary(target)
    try:
        yield temporary
        if not temporary.is_file():
            raise FileNotFoundError(f"nothing was written to {temporary}, so {target} is left as it was")
        _flush(temporary)
        os.replace(temporary, target)
    finally:
        with suppress(OSError):  # as a rule it has been renamed
            temporary.unlink(missing_ok=True)
    with suppress(OSError):  # some systems cannot open folders
        _flush(target.parent)


@contextmanager
def atomic_folder(target: str | Path) -> Iterator[Path]:
    """Fill a folder completely or not at all.

    Yields an empty folder beside the target, renamed to it when the block ends well and removed when it does
    not. If another process has filled the target meanwhile, the other's folder stays.
    """
    target, temporary = _whole_and_temporary(target)
    temporary.mkdir()
    try:
        yield temporary
        for file in temporary.rglob("*"):
            if file.is_file():
                _flush(file)
        try:
            os.rename(temporary, target)
        except OSError:
            if not target.is_dir():
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)  # already gone after a rename
    with suppress(OSError):
        _flush(target.parent)


def _whole_and_temporary(place: str | Path) -> tuple[Path, Path]:
    """The place, absolute, in a folder that is there, and a temporary one beside it."""
    target = absolute(place)
    target.parent.mkdir(parents=True, exist_ok=True)
    # the whole name is kept at the end: writers such as np.save append an ending that they miss
    return target, target.with_name(f".tmp-{secrets.token_hex(6)}-{target.name}")


def _flush(place: Path) -> None:
    """Make a file's content, or a rename in a folder, survive a power cut."""
    descriptor = os.open(place, os.O_RDONLY if place.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def one_at_a_time(place: str | Path) -> Iterator[None]:
    """Wait while another process, or thread, works on the same place, which need not exist."""
    name = digest(str(absolute(place)))[:24]
    with lock(Path(tempfile.gettempdir()) / f"valence-axis-{name}.shared.lock"):
        yield


def lock(path: str | Path) -> FileLock:
    """A lock file that other users may take too: to wait for its holder takes permission to write."""
    return FileLock(path, mode=0o666)


# Digests and keys


#: Versions of the libraries that compute, as they were when this package was imported.
VERSIONS: Mapping[str, str] = MappingProxyType({name: version(name) for name in _LIBRARIES})


def cache_key(modules: str | Iterable[str], *parts: Any) -> str:
    """The key of a stored result: code, versions of libraries, and inputs.

    `modules` are the ``__name__`` of whoever computes, with all that they import; none takes the whole
    package. `parts` are what `digest` takes: name of the cache, inputs and settings.
    """
    names = [modules] if isinstance(modules, str) else list(modules)
    return digest(source_digest(*names), dict(VERSIONS), *parts)


def source_digest(*modules: str) -> str:
    """Digest of the package's code and data, or of modules (``__name__``) and all that they import and read.

    A data file belongs to a module that names it: by path, name, or name without ending. If a file was edited
    after the package had been imported, the running code may be the old or the new one. The digest then
    differs from both clean ones, so that neither is served the other's numbers.
    """
    hashes = _source_hashes(_PACKAGE)
    paths = _with_imports(modules, hashes) if modules else hashes.keys() | _HASHES_AT_IMPORT.keys()
    now = {path: hashes.get(path) for path in paths}
    imported = {path: _HASHES_AT_IMPORT.get(path) for path in paths}
    return digest(now) if now == imported else digest(now, imported)


def _source_hashes(package: Path) -> dict[str, str]:
    """SHA-256 of every source and data file, by path relative to the package."""
    paths = [path for path in package.rglob("*") if path.suffix in _SOURCE_SUFFIXES and path.is_file()]
    return {
        path.relative_to(package).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths
    }


_HASHES_AT_IMPORT = _source_hashes(_PACKAGE)


def _with_imports(modules: Iterable[str], hashes: Mapping[str, str]) -> set[str]:
    """Files of some modules, and of all that they import or name, directly or not."""
    known: dict[str, set[str]] = {}
    for path in hashes:
        if path.endswith(".py"):
            names = {"kernel." + path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")}
        else:
            names = {path, PurePath(path).name, PurePath(path).stem}
        for name in names:
            known.setdefault(name, set()).add(path)
    if unknown := set(modules) - known.keys():
        raise ValueError(f"this package has no module {min(unknown)!r}: give the __name__ of one")
    waiting, chosen = set(modules), set[str]()
    while waiting:
        for path in known[waiting.pop()] - chosen:
            chosen.add(path)
            if path.endswith(".py"):
                waiting |= _names_in(path, hashes[path]) & known.keys()
    return chosen


@cache
def _names_in(path: str, sha256: str) -> frozenset[str]:
    """Modules that a source file imports, anywhere in it, and its texts; `sha256` is that of its content."""
    names: set[str] = set()
    for node in ast.walk(ast.parse((_PACKAGE / path).read_bytes())):
        if isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}", *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names.add(node.value)
    return frozenset(names)


def digest(*parts: Any) -> str:
    """SHA-256 of the content and types of values, the same in every process.

    Takes None, numbers, texts, bytes, tuples, lists, dicts, arrays and tensors, nested to any depth; anything
    else raises TypeError. The order of keys, the layout of an array and the device of a tensor do not count.
    """
    hasher = hashlib.sha256()
    for piece in _encoded(parts):
        hasher.update(piece)
    return hasher.hexdigest()


def _encoded(part: Any) -> Iterator[Any]:
    """A value as tag, length and content, so that no two different values give the same bytes."""
    if isinstance(part, dict):
        yield b"d" + struct.pack("<Q", len(part))
        for key in sorted(part, key=digest):
            yield from _encoded(key)
            yield from _encoded(part[key])
    elif isinstance(part, tuple | list):
        yield (b"t" if isinstance(part, tuple) else b"l") + struct.pack("<Q", len(part))
        for child in part:
            yield from _encoded(child)
    else:
        if isinstance(part, np.ndarray | np.generic):
            tag, (kind, content) = b"a", _array_content(part)
            yield from _encoded(kind)
        elif type(part).__module__.partition(".")[0] == "torch" and hasattr(part, "detach"):
            tag, (kind, content) = b"a", _tensor_content(part)
            yield from _encoded(kind)
        else:
            tag, content = _scalar_content(part)
        yield tag + struct.pack("<Q", len(content))
        yield content


def _scalar_content(part: Any) -> tuple[bytes, bytes]:
    match part:
        case None:
            return b"0", b""
        case bool() | int():
            return b"?" if isinstance(part, bool) else b"i", format(int(part), "x").encode()
        case float():
            return b"f", struct.pack("<d", part)
        case complex():
            return b"c", struct.pack("<dd", part.real, part.imag)
        case str():
            return b"s", part.encode("utf-8", "surrogatepass")
        case bytes():
            return b"b", part
    kind = f"{type(part).__module__}.{type(part).__qualname__}"
    raise TypeError(f"cannot digest {kind}: pass its content as numbers, text, bytes or arrays")


def _array_content(array: Any) -> tuple[tuple[str, str, tuple[int, ...]], Any]:
    """Library, type and shape of an array, and its numbers as bytes."""
    if isinstance(array, np.ma.MaskedArray) or array.dtype.kind in "OV":
        kind = f"{type(array).__name__} of dtype {array.dtype}"
        raise TypeError(f"cannot digest a {kind}: pass its values as plain arrays")
    flat = np.ascontiguousarray(array).reshape(-1)
    return ("numpy", array.dtype.str, tuple(array.shape)), flat.view(np.uint8) if flat.size else b""


def _tensor_content(tensor: Any) -> tuple[tuple[str, str, tuple[int, ...]], Any]:
    import torch  # not before it is needed: it takes its time

    if tensor.layout != torch.strided or tensor.is_quantized:
        raise TypeError(f"cannot digest a {tensor.layout} tensor of {tensor.dtype}: pass it dense")
    flat = tensor.detach().resolve_conj().resolve_neg().cpu().contiguous().reshape(-1)
    content = flat.view(torch.uint8).numpy() if flat.numel() else b""
    return ("torch", str(tensor.dtype), tuple(tensor.shape)), content


# Stored arrays


def load_or_compute(folder: str | Path, key: str, compute: Callable[[], ArrayLike]) -> np.ndarray:
    """The array stored under a `cache_key` as ``.npy``; computed and stored if it is not there.

    A relative folder is taken inside `cache_dir`. A stored file that cannot be read is replaced, and a folder
    that cannot be written to done without, both with a warning. An array of objects raises TypeError.
    """
    target = _array_place(folder, key)
    with one_at_a_time(target):
        stored = _read_array(target)
        if stored is not None:
            return stored
        array = np.asarray(compute())
        if array.dtype.hasobject:
            raise TypeError(
                f"cannot cache an array of dtype {array.dtype}: convert it to numbers or fixed-width text"
            )
        try:
            with atomic_path(target) as temporary:
                np.save(temporary, array, allow_pickle=False)
        except OSError as error:
            cure = CacheNotWritableError.at(target.parent, error)
            warnings.warn(f"{cure} Results are computed but not kept.", stacklevel=2)
        return array


def stored_array(folder: str | Path, key: str) -> np.ndarray | None:
    """The array that `load_or_compute` has stored under a key, or None, also if it cannot be read."""
    return _read_array(_array_place(folder, key))


def _array_place(folder: str | Path, key: str) -> Path:
    if not re.fullmatch(r"[A-Za-z0-9_-]+", key):
        raise ValueError(f"key takes letters, digits, '_' and '-', got {key!r}: use kernel.files.cache_key")
    folder = Path(folder)
    if not folder.is_absolute():
        folder = cache_dir(*folder.parts, create=False)
    return folder / f"{key}.npy"


def _read_array(path: Path) -> np.ndarray | None:
    try:
        with path.open("rb") as file:
            return _checked_array(file, path.stat().st_size)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except Exception as error:  # numpy raises many kinds on damaged bytes
        warnings.warn(f"cached array {path} is unreadable ({error}): computing it anew", stacklevel=3)
        return None


def _checked_array(file: IO[bytes], size: int) -> np.ndarray:
    """The array of a ``.npy`` stream of this many bytes; a false size is refused before memory is taken."""
    shape, _, dtype = npy_header(file)
    needed, held = math.prod(shape) * dtype.itemsize, size - file.tell()
    if needed != held and not dtype.hasobject:
        raise ValueError(f"{held} bytes for an array of shape {shape} and type {dtype}, which has {needed}")
    file.seek(0)
    return np.lib.format.read_array(file, allow_pickle=False)


def npy_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, Fortran order and type of a ``.npy`` stream, left at its values; ValueError if damaged."""
    later = np.lib.format.read_array_header_2_0  # version 3 differs in how the names of fields are spelled
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): later, (3, 0): later}
    try:
        return readers[np.lib.format.read_magic(file)](file)
    except Exception as error:  # numpy raises many kinds on damaged bytes
        raise ValueError(f"no npy header ({type(error).__name__}: {error})") from error


def read_arrays(path: str | Path) -> dict[str, np.ndarray]:
    """The arrays of an ``.npz`` file that `numpy.savez` wrote, each compared with its checksum.

    It takes no more memory than the file has bytes, whatever a damaged header says. Raises FileNotFoundError
    or NotADirectoryError, and ValueError if the file is damaged, compressed or holds objects.
    """
    path = Path(path)
    arrays = {}
    try:
        size = path.stat().st_size
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            file.seek(-min(size, 22), os.SEEK_END)
            end = file.read()  # zipfile does not compare the number of members that stands here
            if end[:4] != b"PK\5\6" or int.from_bytes(end[10:12], "little") != len(members):
                raise ValueError(f"its directory has lost all but {len(members)} members")
            for info in members:
                # a false size would reserve as much memory
                if info.compress_type != zipfile.ZIP_STORED or info.compress_size > size:
                    raise ValueError(f"{info.filename} is compressed or larger than the file")
                data = archive.read(info)
                arrays[info.filename.removesuffix(".npy")] = _checked_array(io.BytesIO(data), len(data))
    except (FileNotFoundError, NotADirectoryError):
        raise
    except Exception as error:  # zipfile and numpy raise many kinds on damaged bytes
        raise ValueError(f"{path} is not a file of arrays, or damaged: {error}") from error
    return arrays


# Texts


def read_packaged(place: str, read: Callable[[IO[str]], T]) -> T:
    """What `read` makes of a data file, by its path below ``kernel``; ValueError if it is damaged."""
    path = _PACKAGE / place
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return read(file)
    except Exception as error:  # readers of tables raise many kinds on damaged text
        kind = type(error).__name__
        raise ValueError(f"{path} is damaged ({kind}: {error}): install the package again") from error


class _Loader(yaml.SafeLoader):
    """YAML as people read it: what the standard takes another way than its look is refused with its line."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        lines: dict[Any, int] = {}
        for key, _ in node.value:
            line, name = key.start_mark.line + 1, (key.tag, str(key.value))
            if name in lines:
                raise ValueError(
                    f"line {line}: {key.value!r} is there already, in line {lines[name]}: keep one of the two"
                )
            lines[name] = line
        return super().construct_mapping(node, deep=True)  # in the order of the text

    def construct_scalar(self, node: Any) -> Any:
        number = node.tag in ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
        if number and (":" in node.value or re.fullmatch(r"[-+]?0[0-9_]+", node.value)):
            raise ValueError(
                f"line {node.start_mark.line + 1}: YAML reads {node.value} as {yaml.safe_load(node.value)}: "
                "write the number without leading zeros and colons, or a text in quotes"
            )
        return super().construct_scalar(node)


def read_yaml(text: str) -> Any:
    """Content of a YAML text; ValueError names the line of a key that is there twice, or a number misread."""
    try:
        return yaml.load(text, _Loader)
    except ValueError:
        raise
    except Exception as error:  # beside its own errors yaml raises those of depth
        raise ValueError(f"no readable YAML: {error}") from error
