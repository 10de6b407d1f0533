"""Places, digests, atomic writes and the user's cache: nothing stale, nothing half-written.

In:  places as a user names them, names of modules, plain values and arrays.
Out: absolute paths, hexadecimal digests, temporary paths that become the target in one step, cached arrays.
Never leaves a partial file or folder under its final name, never unpickles, never deletes a finished result.

Temporary names start with ``.tmp-``. A process that is killed may leave one behind; nothing here reads it.
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
from importlib.metadata import PackageNotFoundError, version
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
_CONSTRAINTS = "../constraints.txt"

T = TypeVar("T")


class CacheNotWritableError(OSError):
    """The cache, or the folder that a result should go to, cannot be made or written to."""


def absolute(path: str | os.PathLike[str]) -> Path:
    """A place as a user names it, from the root: every path that enters the package comes through here.

    ``~`` and ``~name`` are homes, and what is relative lies below the working directory.

    Raises
    ------
    FileNotFoundError
        If nothing is named, or the home of a user that there is not.
    """
    place = os.path.expanduser(os.fspath(path))
    if not place:
        raise FileNotFoundError("an empty path names no place: leave it out, or write . for this folder")
    if place.startswith("~"):
        raise FileNotFoundError(f"no home {place.split(os.sep)[0]!r}: write ./{place} if a file is so named")
    return Path(place).absolute()


def places() -> dict[str, str]:
    """The variables of `PLACES` that are set, absolute, so that a process elsewhere can use them.

    Addresses (``http://``, ``https://``) are as they are.

    Raises
    ------
    FileNotFoundError
        As from `absolute`, with the name of the variable.
    """
    named = {}
    for name in PLACES:
        if place := os.environ.get(name, ""):
            try:
                named[name] = place if re.match("https?://", place, re.I) else str(absolute(place))
            except FileNotFoundError as error:
                raise FileNotFoundError(f"environment variable {name}: {error}") from None
    return named


def state(place: str | os.PathLike[str]) -> list[str]:
    """Names, sizes and times of a file, or of all files below a folder: they change where a file does.

    It stands for data too large to be read for a digest. Linked folders are followed, and what is not there
    has no state.
    """
    root = absolute(place)
    seen: set[str] = set()
    found = [root]
    for folder, inner, names in os.walk(root, followlinks=True):
        inner[:] = [name for name in inner if os.path.realpath(os.path.join(folder, name)) not in seen]
        seen |= {os.path.realpath(os.path.join(folder, name)) for name in inner}  # links may form a circle
        found += [Path(folder, name) for name in names]
    present = [(path.relative_to(root).as_posix(), path.stat()) for path in sorted(found) if path.is_file()]
    return [f"{name} {status.st_size} {status.st_mtime_ns}" for name, status in present]


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return ""


#: Versions of the libraries that compute, as they were when this package was imported.
VERSIONS: Mapping[str, str] = MappingProxyType({name: _version(name) for name in _LIBRARIES})


def cache_key(modules: str | Iterable[str], *parts: Any) -> str:
    """The key of a stored result: what it is made from, the code that makes it and the libraries' versions.

    Every cache takes its keys from here, so that none can forget an ingredient.

    Parameters
    ----------
    modules : str or iterable of str
        ``__name__`` of whoever computes. What they import counts, see `source_digest`; none takes everything.
    *parts
        Name of the cache, content of the inputs and settings, as for `digest`; device and number format too
        where they matter.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    modules = [modules] if isinstance(modules, str) else list(modules)
    code = source_digest(*(name.removeprefix("kernel.") for name in modules))
    return digest(code, dict(VERSIONS), *parts)


def source_digest(*names: str) -> str:
    """Digest of code and data of this package: of some modules, all that they import, and the data they read.

    A data file belongs to a module that names it: by path, name, or name without ending.

    If a file was edited after the package had been imported, the running code may be the old or the new one.
    The digest then differs from both clean ones, so that neither is served the other's numbers.

    Parameters
    ----------
    *names : str
        Modules, packages or data folders below ``kernel``, e.g. ``"files"``, ``"language"``,
        ``"language.models"``. Without any, every ``.py``, ``.yaml``, ``.csv`` and ``.nc`` of the
        package is taken, and ``constraints.txt`` if it lies beside the package.

    Returns
    -------
    str
        64 hexadecimal digits (SHA-256 over sorted relative paths and bytes).

    Raises
    ------
    ValueError
        If a name is no module, package or data folder of ``kernel``; lists the ones at its level.
    """
    hashes = _source_hashes(_PACKAGE)
    chosen = _with_imports(_restrict(hashes, names), hashes)
    now = {path: hashes[path] for path in chosen}
    imported = _restrict(_HASHES_AT_IMPORT, names, strict=False)
    imported |= {path: _HASHES_AT_IMPORT[path] for path in chosen if path in _HASHES_AT_IMPORT}
    return digest(now) if now == imported else digest(now, imported)


def digest(*parts: Any) -> str:
    """Digest of the content and types of values, the same in every process.

    Types and lengths are part of the content: ``("a", "b")``, ``("ab",)``, ``["a", "b"]``, ``1``, ``1.0``
    and ``True`` all differ. The order of a dict's keys does not count, nor do the memory layout of an array
    and the device of a tensor.

    Parameters
    ----------
    *parts : None, number, str, bytes, tuple, list, dict, numpy array or scalar, torch tensor
        Nested to any depth.

    Returns
    -------
    str
        64 hexadecimal digits (SHA-256).

    Raises
    ------
    TypeError
        If a value of another type is met, whose content is not defined here.
    """
    hasher = hashlib.sha256()
    _feed(hasher, parts)
    return hasher.hexdigest()


class _Loader(yaml.SafeLoader):
    """YAML as people read it: what the standard takes another way than its look is refused with its line."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    first: dict[Any, int] = {}
    for key, _ in node.value:
        line, name = key.start_mark.line + 1, (key.tag, str(key.value))
        if name in first:
            raise ValueError(
                f"line {line}: {key.value!r} is there already, in line {first[name]}: keep one of the two"
            )
        first[name] = line
    loader.flatten_mapping(node)
    return loader.construct_mapping(node, deep=True)


def _number(read: Callable[[Any, Any], T]) -> Callable[[_Loader, yaml.ScalarNode], T]:
    def construct(loader: _Loader, node: yaml.ScalarNode) -> T:
        number = read(loader, node)
        if re.fullmatch(r"[-+]?0[0-9_]+", node.value) or ":" in node.value:
            raise ValueError(
                f"line {node.start_mark.line + 1}: YAML reads {node.value} as {number}: write the number "
                "without leading zeros and colons, or a text in quotes"
            )
        return number

    return construct


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)
_Loader.add_constructor("tag:yaml.org,2002:int", _number(yaml.SafeLoader.construct_yaml_int))
_Loader.add_constructor("tag:yaml.org,2002:float", _number(yaml.SafeLoader.construct_yaml_float))


def read_yaml(text: str) -> Any:
    """Content of a YAML text.

    Raises
    ------
    ValueError
        If it is no YAML, a key is there twice, or a number looks like another than YAML takes it for, as 010
        (8) and 1:30 (90) do: names the line and the cure.
    """
    try:
        return yaml.load(text, _Loader)
    except ValueError:
        raise
    except Exception as error:  # beside its own errors yaml raises those of depth
        raise ValueError(f"no readable YAML: {error}") from error


@contextmanager
def atomic_path(target: str | Path) -> Iterator[Path]:
    """Write a file completely or not at all.

    Parameters
    ----------
    target : str or Path
        The file to make or replace. Its folder is made if needed.

    Yields
    ------
    Path
        A name in the same folder with the same ending. If the block ends well, the file is flushed to the
        disk and takes the target's place in one step; if not (an interruption included), it is removed and
        an older target stays.

    Raises
    ------
    FileNotFoundError
        If the block ends well but wrote nothing.
    OSError
        If the folder cannot be written to.

    Examples
    --------
    >>> with atomic_path("results.json") as temporary:          # doctest: +SKIP
    ...     temporary.write_text("{}")
    """
    target = absolute(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(target)
    try:
        yield temporary
        if not temporary.is_file():
            raise FileNotFoundError(f"nothing was written to {temporary}, so {target} is left as it was")
        _flush(temporary)
        os.replace(temporary, target)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    _flush_folder(target.parent)


@contextmanager
def atomic_folder(target: str | Path) -> Iterator[Path]:
    """Fill a folder completely or not at all.

    Parameters
    ----------
    target : str or Path
        The folder to make. Its parent is made if needed.

    Yields
    ------
    Path
        An empty folder beside the target, renamed to it when the block ends well and removed when it does
        not. If another process has filled the target meanwhile, the other's folder stays and this one is
        removed.

    Raises
    ------
    OSError
        If the parent cannot be written to, or a file bears the target's name.
    """
    target = absolute(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(target)
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
    _flush_folder(target.parent)


def cache_dir(*parts: str, create: bool = True) -> Path:
    """A folder in the user's cache.

    The root is the environment variable ``KERNEL_CACHE`` if set, else the platform's place for caches.

    Parameters
    ----------
    *parts : str
        Names below the root.
    create : bool
        Make the folder and check that it can be written to; False only tells where it would be.

    Returns
    -------
    Path

    Raises
    ------
    CacheNotWritableError
        If the folder cannot be made or written to.
    ValueError
        If the parts lead out of the cache.
    """
    root = places().get(CACHE_VARIABLE) or platformdirs.user_cache_path("valence-axis", appauthor=False)
    below = PurePath(*parts)
    if below.is_absolute() or ".." in below.parts:
        raise ValueError(f"{str(below)!r} leads out of the cache: use plain names")
    folder = absolute(root) / below
    return writable_folder(folder) if create else folder


def writable_folder(path: str | os.PathLike[str]) -> Path:
    """The folder, absolute, made if needed: asked before the work whose results it shall hold.

    Raises
    ------
    CacheNotWritableError
        If the folder cannot be made or written to.
    """
    folder = absolute(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, "no permission to write")
    except OSError as error:
        raise cache_not_writable(folder, error) from error
    return folder


def book_folder() -> Path | None:
    """The folder ``book`` of the book around the working directory, or None where there is none."""
    here = Path.cwd()
    around = (folder for folder in (here, *here.parents) if (folder / "_toc.yml").exists())
    return next((folder / "book" for folder in around if (folder / "book").is_dir()), None)


def cache_not_writable(folder: Path, reason: object) -> CacheNotWritableError:
    """The error to raise when writing to a folder fails: names the folder, the reason and the cure."""
    if isinstance(reason, OSError):
        reason = reason.strerror or reason
    return CacheNotWritableError(
        f"cannot write to the folder {folder} ({reason}): free space or grant permission there, or name "
        f"another folder; for the cache set the environment variable {CACHE_VARIABLE} to one that you can "
        "write to."
    )


def load_or_compute(folder: str | Path, key: str, compute: Callable[[], ArrayLike]) -> np.ndarray:
    """The array stored under a key; computed and stored if it is not there.

    A stored file that cannot be read counts as absent and is replaced, with a warning. If the folder cannot
    be written to, the array is computed and returned all the same, with one warning.

    Parameters
    ----------
    folder : str or Path
        Where the ``.npy`` files lie; a relative one is taken inside `cache_dir`.
    key : str
        Everything that determines the array: a `cache_key`. Letters, digits, ``_`` and ``-``.
    compute : callable
        Takes nothing, returns the array.

    Returns
    -------
    ndarray
        Of the shape and dtype that ``compute`` gives.

    Raises
    ------
    ValueError
        If the key is no plain name.
    TypeError
        If ``compute`` gives an array of objects, which would need pickle.
    """
    target = _place(folder, key)
    stored = _read_array(target)
    if stored is not None:
        return stored
    with one_at_a_time(target):
        stored = _read_array(target)  # another process may have been faster
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
            cure = cache_not_writable(target.parent, error)
            warnings.warn(f"{cure} Results are computed but not kept.", stacklevel=2)
    return array


def stored_array(folder: str | Path, key: str) -> np.ndarray | None:
    """The array that `load_or_compute` has stored under a key, or None; nothing is computed.

    Parameters
    ----------
    folder, key
        As in `load_or_compute`.

    Returns
    -------
    ndarray or None
        None also for a file that cannot be read, with a warning.

    Raises
    ------
    ValueError
        If the key is no plain name.
    """
    return _read_array(_place(folder, key))


def _place(folder: str | Path, key: str) -> Path:
    if not re.fullmatch(r"[A-Za-z0-9_-]+", key):
        raise ValueError(f"key takes letters, digits, '_' and '-', got {key!r}: use kernel.files.cache_key")
    folder = Path(folder)
    if not folder.is_absolute():
        folder = cache_dir(*folder.parts, create=False)
    return folder / f"{key}.npy"


def npy_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, Fortran order and type of a ``.npy`` stream, which is left where the values begin.

    Raises
    ------
    ValueError
        If it is no header; whatever numpy raised is told in the message.
    """
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
        (3, 0): np.lib.format.read_array_header_2_0,  # differs in how the names of fields are spelled
    }
    try:
        return readers[np.lib.format.read_magic(file)](file)
    except Exception as error:  # numpy raises many kinds on damaged bytes
        raise ValueError(f"no npy header ({type(error).__name__}: {error})") from error


def read_arrays(path: str | Path) -> dict[str, np.ndarray]:
    """The arrays of an ``.npz`` file that `numpy.savez` wrote, each compared with its checksum.

    Unlike `numpy.load` it fails in one way only, and takes no more memory than the file has bytes, whatever
    a damaged header says.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    dict of str to ndarray

    Raises
    ------
    FileNotFoundError, NotADirectoryError
        If there is no file.
    ValueError
        If it is no archive, incomplete, compressed or damaged, or holds objects, which would need pickle.
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


def read_packaged(place: str, read: Callable[[IO[str]], T]) -> T:
    """What a data file of this package holds.

    Parameters
    ----------
    place : str
        Path below ``kernel``.
    read : callable
        Takes the open text file.

    Returns
    -------
    Whatever `read` returns.

    Raises
    ------
    ValueError
        If the file is missing or damaged, which an installed package's is not.
    """
    path = _PACKAGE / place
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return read(file)
    except Exception as error:  # readers of tables raise many kinds on damaged text
        kind = type(error).__name__
        raise ValueError(f"{path} is damaged ({kind}: {error}): install the package again") from error


@contextmanager
def one_at_a_time(place: str | Path) -> Iterator[None]:
    """Wait while another process, or thread, works on the same place.

    What two programs need at once is computed by one of them. The lock lies among the system's temporary
    files and is let go by the system if its holder is killed. See `lock` for several users.

    Parameters
    ----------
    place : str or Path
        Anything that names the work, such as the file that it will write. It need not exist.
    """
    name = digest(str(absolute(place)))[:24]
    with lock(Path(tempfile.gettempdir()) / f"valence-axis-{name}.shared.lock"):
        yield


def lock(path: str | Path) -> FileLock:
    """A lock file that other users may take too, whatever the umask of the one who made it.

    It is empty, so that nobody can write anything that counts; who finds it in a shared folder of locks or
    in a shared cache must be able to wait for its holder, which takes permission to write.
    """
    return FileLock(path, mode=0o666)


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


def _temporary(target: Path) -> Path:
    # the whole name is kept at the end: writers such as np.save append an ending that they miss
    return target.with_name(f".tmp-{secrets.token_hex(6)}-{target.name}")


def _flush(file: Path) -> None:
    with file.open("rb+") as handle:
        os.fsync(handle.fileno())


def _flush_folder(folder: Path) -> None:
    """Make a rename survive a power cut; best effort, since some systems cannot open folders."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _source_hashes(package: Path) -> dict[str, str]:
    """SHA-256 of every source and data file, by path relative to the package."""
    found = [path for path in package.rglob("*") if path.suffix in _SOURCE_SUFFIXES and path.is_file()]
    hashes = {
        path.relative_to(package).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in found
    }
    constraints = package.parent / "constraints.txt"
    if constraints.is_file():
        hashes[_CONSTRAINTS] = hashlib.sha256(constraints.read_bytes()).hexdigest()
    return hashes


def _restrict(hashes: dict[str, str], names: tuple[str, ...], *, strict: bool = True) -> dict[str, str]:
    if not names:
        return hashes
    chosen: dict[str, str] = {}
    for name in names:
        stem = name.replace(".", "/")
        matches = {p: h for p, h in hashes.items() if p == f"{stem}.py" or p.startswith(f"{stem}/")}
        if strict and (not matches or not stem):
            raise ValueError(
                f"kernel has no module or package {name!r}: choose from {_names_beside(hashes, stem)}"
            )
        chosen |= matches
    return chosen


def _with_imports(paths: Iterable[str], hashes: Mapping[str, str]) -> set[str]:
    """Files with all that they import or name, directly or not."""
    known: dict[str, set[str]] = {}
    for path in hashes.keys() - {_CONSTRAINTS}:  # the installed versions count, see `cache_key`
        if path.endswith(".py"):
            names = {"kernel." + path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")}
        else:
            names = {path, PurePath(path).name, PurePath(path).stem}
        for name in names:
            known.setdefault(name, set()).add(path)
    chosen: set[str] = set()
    waiting = set(paths)
    while waiting:
        path = waiting.pop()
        chosen.add(path)
        if path.endswith(".py"):
            named = _names_in(path, hashes[path])
            waiting |= {found for name in named & known.keys() for found in known[name]} - chosen
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


def _names_beside(hashes: dict[str, str], stem: str) -> list[str]:
    """Names at the level of a wrong one, or at the nearest level above that exists."""
    parent = stem.rpartition("/")[0]
    prefix = f"{parent}/" if parent else ""
    below = [path.removeprefix(prefix) for path in hashes if path.startswith(prefix)]
    names = {path.split("/")[0].removesuffix(".py") for path in below} - {"__init__", ".."}
    if not names and parent:
        return _names_beside(hashes, parent)
    return sorted(f"{prefix}{name}".replace("/", ".") for name in names)


_HASHES_AT_IMPORT = _source_hashes(_PACKAGE)


def _feed(hasher: Any, part: Any) -> None:
    """Feed a value as tag, length and content, so that no two different values give the same bytes."""
    if isinstance(part, (np.ndarray, np.generic)):  # before float and str: some numpy scalars are both
        _feed_array(hasher, part)
    elif part is None or isinstance(part, (bool, int, float, complex)):
        _feed_bytes(hasher, _number_tag(part), _number_bytes(part))
    elif isinstance(part, str):
        _feed_bytes(hasher, b"s", part.encode("utf-8", "surrogatepass"))
    elif isinstance(part, bytes):
        _feed_bytes(hasher, b"b", part)
    elif isinstance(part, (tuple, list)):
        hasher.update((b"t" if isinstance(part, tuple) else b"l") + struct.pack("<Q", len(part)))
        for child in part:
            _feed(hasher, child)
    elif isinstance(part, dict):
        hasher.update(b"d" + struct.pack("<Q", len(part)))
        for key in sorted(part, key=digest):
            _feed(hasher, key)
            _feed(hasher, part[key])
    elif type(part).__module__.partition(".")[0] == "torch" and hasattr(part, "detach"):
        _feed_tensor(hasher, part)
    else:
        kind = f"{type(part).__module__}.{type(part).__qualname__}"
        raise TypeError(f"cannot digest {kind}: pass its content as numbers, text, bytes or arrays")


def _feed_bytes(hasher: Any, tag: bytes, content: Any) -> None:
    hasher.update(tag + struct.pack("<Q", len(content)))
    hasher.update(content)


def _number_tag(number: complex | None) -> bytes:
    # bool is an int: the first match counts
    kinds = {bool: b"?", int: b"i", float: b"f", complex: b"c", type(None): b"0"}
    return next(tag for kind, tag in kinds.items() if isinstance(number, kind))


def _number_bytes(number: complex | None) -> bytes:
    if isinstance(number, float):
        return struct.pack("<d", number)
    if isinstance(number, complex):
        return struct.pack("<dd", number.real, number.imag)
    return b"" if number is None else format(int(number), "x").encode()


def _feed_array(hasher: Any, array: Any) -> None:
    if isinstance(array, np.ma.MaskedArray) or array.dtype.kind in "OV":
        raise TypeError(
            f"cannot digest a {type(array).__name__} of dtype {array.dtype}: pass its values as plain arrays"
        )
    flat = np.ascontiguousarray(array).reshape(-1)
    _feed(hasher, ("numpy", array.dtype.str, tuple(array.shape)))
    _feed_bytes(hasher, b"a", flat.view(np.uint8) if flat.size else b"")


def _feed_tensor(hasher: Any, tensor: Any) -> None:
    import torch

    if tensor.layout != torch.strided or tensor.is_quantized:
        raise TypeError(f"cannot digest a {tensor.layout} tensor of {tensor.dtype}: pass it dense")
    flat = tensor.detach().resolve_conj().resolve_neg().cpu().contiguous().reshape(-1)
    _feed(hasher, ("torch", str(tensor.dtype), tuple(tensor.shape)))
    _feed_bytes(hasher, b"a", flat.view(torch.uint8).numpy() if flat.numel() else b"")
