"""Small packages made on the spot: fetched, damaged, interrupted, killed; and pip against a local folder."""

import errno
import functools
import hashlib
import io
import json
import os
import pickle
import shutil
import subprocess
import sys
import tarfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from conftest import FACED
from test_files import posix, run_killer, run_python

from kernel import assets, files
from kernel.assets import (
    Asset,
    AssetCorruptError,
    AssetDownloadError,
    AssetFile,
    AssetMissingError,
    FileAsset,
    Package,
)

WEIGHTS = b"".join(i.to_bytes(4, "big") for i in range(40_000))  # two different halves in two wheels
RATINGS = b"1\t3.2\tgood\n" * 500
OUTER, INNER = "rated-1.0/more/inner.tar.gz", "inner/ratings.txt"

# betrays its execution, whether or not there is a setuptools to go on with
SETUP = """
import os, pathlib
pathlib.Path(os.environ["KERNEL_CACHE"], "setup-was-run").touch()
from setuptools import setup
setup(name="rated", version="1.0")
"""


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def make_wheel(folder, name, members):
    """A wheel that pip accepts."""
    place = folder / f"{name}-1.0-py3-none-any.whl"
    info = {"METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", "RECORD": ""}
    info["WHEEL"] = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in {
            **members,
            **{f"{name}-1.0.dist-info/{k}": v for k, v in info.items()},
        }.items():
            archive.writestr(member, content)
    return package_of(place, name)


def make_tar(target, members):
    """Members are bytes, or a TarInfo taken as it is."""
    with tarfile.open(fileobj=target, mode="w:gz") as archive:
        for name, content in members.items():
            if isinstance(content, tarfile.TarInfo):
                archive.addfile(content)
                continue
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


def make_sdist(folder, name, members):
    inner = io.BytesIO()
    make_tar(inner, members)
    place = folder / f"{name}-1.0.tar.gz"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode()
    with place.open("wb") as target:
        make_tar(
            target,
            {
                f"{name}-1.0/PKG-INFO": metadata,
                f"{name}-1.0/setup.py": SETUP.encode(),
                f"{name}-1.0/more/inner.tar.gz": inner.getvalue(),
            },
        )
    return package_of(place, name)


def package_of(place, name):
    return Package(name, "1.0", place.name, place.stat().st_size, sha256(place.read_bytes()))


def joined_asset(index, **changes):
    """A model cut into two wheels, with a licence in a folder."""
    half = len(WEIGHTS) // 2
    packages = (
        make_wheel(
            index, "model_a", {"model_a/w.0": WEIGHTS[:half], "model_a/LICENCE": b"free", "../evil": b"!"}
        ),
        make_wheel(index, "model_b", {"model_b/w.1": WEIGHTS[half:], "/evil": b"!"}),
    )
    parts = ((0, "model_a/w.0"), (1, "model_b/w.1"))
    members = (
        AssetFile("weights.bin", len(WEIGHTS), sha256(WEIGHTS), parts),
        AssetFile("legal/LICENCE", 4, sha256(b"free"), ((0, "model_a/LICENCE"),)),
    )
    asset = Asset("model", "language model", packages, members, "MIT", "Be kind.", "Nobody (2000)")
    return replace(asset, **changes)


def rated_asset(index, members=None):
    """A table in an archive within an sdist."""
    package = make_sdist(
        index, "rated", members or {INNER: RATINGS, "../evil": b"!", "inner/other.txt": b"?"}
    )
    file = AssetFile("ratings.txt", len(RATINGS), sha256(RATINGS), ((0, f"{OUTER}!{INNER}"),))
    return Asset("rated", "ratings", (package,), (file,), "MIT", "", "Nobody (2000)")


class Index:
    """Registry of the two small assets, with pip replaced by a copy from a folder."""

    def __init__(self, folder, monkeypatch):
        self.folder, self.monkeypatch, self.downloads = folder, monkeypatch, []
        self.register(joined_asset(folder), rated_asset(folder))
        monkeypatch.setattr(assets, "_pip_download", self.download)

    def register(self, *entries):
        self.monkeypatch.setattr(assets, "ASSETS", {asset.name: asset for asset in entries})

    def download(self, package, scratch, report):
        self.downloads.append(package.filename)
        report(package.size // 2)
        return Path(shutil.copy(self.folder / package.filename, scratch))


@pytest.fixture
def index(tmp_path, monkeypatch):
    folder = tmp_path / "index"
    folder.mkdir()
    return Index(folder, monkeypatch)


def contents(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def litter():
    """What lies in the cache beside finished assets, kept downloads and locks."""
    root = files.cache_dir("assets")
    return [p.name for p in root.rglob("*") if p.name.startswith(".tmp-")]


def assert_whole(name="model"):
    whole = {
        "model": {"weights.bin": WEIGHTS, "legal/LICENCE": b"free"},
        "rated": {"ratings.txt": RATINGS},
    }
    found = contents(assets.path(name))
    assert set(json.loads(found.pop("manifest.json"))["files"]) == set(whole[name])
    assert found == whole[name]


# --- the good path ------------------------------------------------------------------------------------------


def test_fetch_gives_the_named_files_and_nothing_else(index, tmp_path):
    folder = assets.fetch("model", progress=False)
    assert folder == assets.path("model") == assets.verify("model") == files.cache_dir("assets") / "model-1.0"
    assert_whole("model")
    assets.fetch("rated", progress=False)
    assert_whole("rated")
    assert not [p for p in tmp_path.rglob("*") if "evil" in p.name]
    assert not list(files.cache_dir("assets", "downloads").iterdir())  # what was unpacked is not kept twice
    assert not litter()


def test_fetch_is_idempotent(index):
    folder = assets.fetch("model", progress=False)
    before = {p: p.stat().st_mtime_ns for p in folder.rglob("*")}
    assert assets.fetch("model", progress=False) == folder
    assert {p: p.stat().st_mtime_ns for p in folder.rglob("*")} == before
    assert len(index.downloads) == 2


def test_progress_counts_every_byte_and_can_be_silent(index, capsys, monkeypatch):
    bars = []

    class Bar(assets.tqdm):
        def close(self):
            bars.append((self.n, self.total, self.disable))
            super().close()

    monkeypatch.setattr(assets, "tqdm", Bar)
    assets.fetch("model")
    total = assets.ASSETS["model"].size + assets.ASSETS["model"].download_size
    assert bars[0] == (total, total, False)
    assert "model" in capsys.readouterr().err
    assets.fetch("rated", progress=False)
    assert capsys.readouterr().err == ""


def test_folders_that_vanish_do_not_stop_the_counting(tmp_path, monkeypatch):
    for name in ("stays", "vanishes"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_bytes(b"12345")
    scandir = os.scandir

    def late(place="."):  # pip removes its temporary folder between two looks
        if os.path.basename(place) == "vanishes":
            os.rename(place, tmp_path.with_name("elsewhere"))
        return scandir(place)

    monkeypatch.setattr(os, "scandir", late)
    assert assets._bytes_below(tmp_path) == 5


def test_a_new_version_lies_beside_the_old_one(index):
    old = assets.fetch("model", progress=False)
    entry = joined_asset(index.folder)
    index.register(replace(entry, packages=(replace(entry.packages[0], version="2.0"), entry.packages[1])))
    with pytest.raises(assets.AssetMissingError):
        assets.path("model")
    assert assets.fetch("model", progress=False).name == "model-2.0"
    assert old.is_dir()


# --- missing, unknown, damaged ------------------------------------------------------------------------------


@pytest.mark.parametrize("ask", [assets.path, assets.verify, assets.fetch])
def test_an_unknown_name_lists_the_known_ones(index, ask):
    with pytest.raises(assets.UnknownAssetError, match="unknown asset 'modell': choose from model, rated"):
        ask("modell")


@pytest.mark.parametrize("ask", [assets.path, assets.verify])
def test_a_missing_asset_names_the_cure(index, ask):
    with pytest.raises(assets.AssetMissingError, match=r"`python -m kernel\.assets fetch model`"):
        ask("model")


def truncate(folder):
    place = folder / "weights.bin"
    place.write_bytes(place.read_bytes()[:-1])


def remove_file(folder):
    (folder / "legal" / "LICENCE").unlink()


def remove_manifest(folder):
    (folder / "manifest.json").unlink()


def halve_manifest(folder):
    place = folder / "manifest.json"
    place.write_text(place.read_text()[:40])


def empty_manifest(folder):
    (folder / "manifest.json").write_text("[1]")


def foreign_manifest(folder):
    place = folder / "manifest.json"
    place.write_text(place.read_text().replace(sha256(WEIGHTS), "0" * 64))


@pytest.mark.parametrize(
    "damage", [truncate, remove_file, remove_manifest, halve_manifest, empty_manifest, foreign_manifest]
)
def test_an_incomplete_folder_is_never_used_and_fetch_repairs_it(index, damage):
    damage(assets.fetch("model", progress=False))
    with pytest.raises(assets.AssetMissingError, match="fetch model"):
        assets.path("model")
    with pytest.raises(assets.AssetCorruptError, match="fetch model"):
        assets.verify("model")
    assets.fetch("model", progress=False)
    assert_whole()
    assert not litter()


def test_a_changed_byte_is_found_by_verify_and_repaired_by_fetch(index):
    place = assets.fetch("model", progress=False) / "weights.bin"
    place.write_bytes(WEIGHTS[:1000] + b"\xff" + WEIGHTS[1001:])
    assets.path("model")  # cheap, so it cannot know
    with pytest.raises(assets.AssetCorruptError, match=r"weights\.bin has another SHA-256.*fetch model"):
        assets.verify("model")
    assets.fetch("model", progress=False)
    assets.verify("model")
    assert_whole()


@pytest.mark.parametrize("change", [lambda b: b[:-1], lambda b: b[:50] + b"\0" + b[51:], lambda b: b""])
def test_a_damaged_download_is_deleted_and_never_unpacked(index, change):
    place = index.folder / "model_b-1.0-py3-none-any.whl"
    good = place.read_bytes()
    place.write_bytes(change(good))
    with pytest.raises(
        assets.AssetCorruptError, match=r"model_b-1\.0.*has SHA-256.*the download was deleted"
    ):
        assets.fetch("model", progress=False)
    with pytest.raises(assets.AssetMissingError):
        assets.path("model")
    kept = [p.name for p in files.cache_dir("assets", "downloads").iterdir()]
    assert kept == ["model_a-1.0-py3-none-any.whl"]  # the good one stays for the next attempt
    place.write_bytes(good)
    assets.fetch("model", progress=False)
    assert_whole()
    assert index.downloads.count("model_a-1.0-py3-none-any.whl") == 1


def test_a_kept_download_that_was_damaged_since_is_deleted(index):
    place = files.cache_dir("assets", "downloads") / "model_a-1.0-py3-none-any.whl"
    place.write_bytes(b"half")
    with pytest.raises(assets.AssetCorruptError, match="was deleted"):
        assets.fetch("model", progress=False)
    assets.fetch("model", progress=False)
    assert_whole()


@pytest.mark.parametrize(
    "wrong",
    [
        {"sha256": "0" * 64},
        {"size": len(WEIGHTS) + 1},
        {"size": 10},
        {"parts": ((0, "model_a/w.0"),)},
        {"parts": ((1, "model_b/w.1"), (0, "model_a/w.0"))},
        {"parts": ((0, "model_a/absent"),)},
    ],
)
def test_an_unpacked_file_that_differs_from_the_registry_is_not_used(index, wrong):
    asset = joined_asset(index.folder)
    index.register(replace(asset, files=(replace(asset.files[0], **wrong), asset.files[1])))
    with pytest.raises(assets.AssetCorruptError, match="it was not used"):
        assets.fetch("model", progress=False)
    assert not files.cache_dir("assets", "model-1.0", create=False).exists()
    assert not litter()


def test_a_member_that_swells_is_not_written_out(tmp_path):
    asset = joined_asset(tmp_path)
    archives = [tmp_path / package.filename for package in asset.packages]
    with assets.tqdm(disable=True) as bar, pytest.raises(assets.AssetCorruptError):
        assets._unpack(replace(asset.files[0], size=10), archives, tmp_path / "out", bar)
    assert (tmp_path / "out").stat().st_size <= 11


# --- members that would lead elsewhere ----------------------------------------------------------------------


@pytest.mark.parametrize("path", ["../x", "a/../../x", "/x", "..\\x", "C:x"])
def test_the_registry_takes_no_path_out_of_the_folder(path):
    with pytest.raises(ValueError, match="leads out of the asset's folder"):
        AssetFile(path, 1, "0" * 64, ((0, "x"),))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_a_member_that_is_no_regular_file_is_refused(index, tmp_path, kind):
    secret = tmp_path / "secret"
    secret.write_bytes(RATINGS)  # the right content, in the wrong place
    link = tarfile.TarInfo(INNER)
    link.type, link.linkname = kind, str(secret)
    index.register(rated_asset(index.folder, {INNER: link}))
    with pytest.raises(assets.AssetCorruptError, match="not a regular file"):
        assets.fetch("rated", progress=False)


# --- interruptions ------------------------------------------------------------------------------------------

STEPS = [
    (assets, "_download", 1),
    (assets, "_download", 2),
    (assets, "_pip_download", 2),
    (assets, "_sha256", 2),
    (assets, "_unpack", 1),
    (assets, "_unpack", 2),
    (json, "dumps", 1),  # the manifest, written last
    (files, "_flush", 2),
    (os, "replace", 2),
    (os, "rename", 1),
]


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device")], ids=repr
)
@pytest.mark.parametrize(("where", "step", "call"), STEPS)
def test_an_interruption_before_any_step_leaves_nothing_half_written(
    index, monkeypatch, where, step, call, error
):
    real, calls = getattr(where, step), []

    def interrupted(*args, **kwargs):
        calls.append(step)
        if len(calls) == call:
            raise error
        return real(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(where, step, interrupted)
        expected = KeyboardInterrupt if isinstance(error, KeyboardInterrupt) else assets.CacheNotWritableError
        with pytest.raises(expected):
            assets.fetch("model", progress=False)
    with pytest.raises(assets.AssetMissingError):
        assets.path("model")
    assert not litter()
    assets.fetch("model", progress=False)
    assert_whole()


def test_downloads_survive_an_interruption_of_the_unpacking(index, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(assets, "_unpack", interrupted)
        with pytest.raises(KeyboardInterrupt):
            assets.fetch("model", progress=False)
    assert len(index.downloads) == 2
    assets.fetch("model", progress=False)
    assert len(index.downloads) == 2
    assert_whole()


# for processes of their own, which take the registry from a file
CHILD = """
import os, pathlib, pickle, shutil, sys, time
from kernel import assets, files

index = pathlib.Path({index!r})
assets.ASSETS = {{"model": pickle.loads((index / "asset.pickle").read_bytes())}}

def download(package, scratch, report):
    with (index / "log").open("a") as log:
        log.write(package.filename + "\\n")
    sys.audit("half-written")
    time.sleep({pause})  # lets the others arrive
    return pathlib.Path(shutil.copy(index / package.filename, scratch))

assets._pip_download = download
"""


@pytest.fixture
def child(tmp_path):
    """Code that sets up the registry of one small asset; keyword: seconds that a download takes."""
    folder = tmp_path / "child-index"
    folder.mkdir()
    (folder / "asset.pickle").write_bytes(pickle.dumps(joined_asset(folder)))
    return functools.partial(CHILD.format, index=str(folder)), folder / "log"


@posix
def test_a_killed_fetch_is_never_used_and_the_next_one_succeeds(child, tmp_path):
    preamble, _ = child
    code = """
def prepare(place):
    os.environ["KERNEL_CACHE"] = str(place)

def act(place):
    assets.fetch("model", progress=False)

def inspect(place, ended):
    if (place / "assets" / "model-1.0").exists():
        assets.verify("model")
    else:
        assert not ended
    assets.fetch("model", progress=False)
    assets.verify("model")
    assert not [p for p in place.rglob("*") if p.name.startswith(".tmp-")]
    assert not list((place / "assets" / "downloads").iterdir())

kill_before_every_operation(sys.argv[1], prepare, act, inspect)
"""
    assert int(run_killer(preamble(pause=0) + code, tmp_path)) > 20


def test_processes_that_fetch_at_once_share_one_download(child):
    preamble, log = child
    code = preamble(pause=0.2) + 'assets.fetch("model", progress=False); assets.verify("model")'
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(run_python, [code] * 3))
    assert log.read_text().split() == ["model_a-1.0-py3-none-any.whl", "model_b-1.0-py3-none-any.whl"]


# --- a cache that cannot be written -------------------------------------------------------------------------


def test_a_blocked_cache_is_told_before_anything_is_downloaded(index, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("KERNEL_CACHE", str(tmp_path / "file" / "cache"))  # root may write anywhere but here
    with pytest.raises(assets.CacheNotWritableError, match="set the environment variable KERNEL_CACHE"):
        assets.fetch("model", progress=False)
    assert not index.downloads
    with pytest.raises(assets.AssetMissingError):
        assets.path("model")


def test_a_fetched_asset_serves_from_a_read_only_cache(index, monkeypatch):
    folder = assets.fetch("model", progress=False)
    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.setattr(assets.files, "lock", None)  # would have to write
    assert assets.path("model") == assets.verify("model") == assets.fetch("model", progress=False) == folder


# --- pip itself ---------------------------------------------------------------------------------------------


@pytest.fixture
def pip_index(tmp_path, monkeypatch):
    """The same registry with the real pip, which sees a local folder and no network."""
    folder = tmp_path / "pip-index"
    folder.mkdir()
    entries = joined_asset(folder), rated_asset(folder)
    monkeypatch.setattr(assets, "ASSETS", {asset.name: asset for asset in entries})
    for variable in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def test_pip_brings_wheels_by_the_users_configuration(pip_index):
    assets.fetch("model", progress=False)
    assert_whole("model")
    assert not litter()


def test_pip_brings_a_source_distribution_without_running_its_setup(pip_index):
    assets.fetch("rated", progress=False)
    assert_whole("rated")
    assert not list(files.cache_dir().rglob("setup-was-run"))


def test_the_setup_of_the_source_distribution_would_have_told(pip_index, tmp_path):
    """The absence above means something: an ordinary `pip download` does run it."""
    pytest.importorskip("setuptools")
    code = f"""
        import subprocess, sys
        subprocess.run([sys.executable, "-m", "pip", "download", "--no-deps", "--no-build-isolation", "-d",
                        {str(tmp_path / "out")!r}, "rated==1.0"])
    """
    run_python(code)
    assert list(files.cache_dir().rglob("setup-was-run"))


def test_no_network_shows_what_pip_said_and_the_cure(pip_index):
    for place in pip_index.iterdir():
        place.unlink()
    with pytest.raises(assets.AssetDownloadError) as told:
        assets.fetch("model", progress=False)
    for part in ("model_a==1.0", "No matching distribution", "check the network", "PIP_FIND_LINKS"):
        assert part in str(told.value)
    with pytest.raises(assets.AssetMissingError):
        assets.path("model")
    assert not litter()


def test_pip_refuses_another_file_under_the_same_name(pip_index):
    make_wheel(pip_index, "model_a", {"model_a/w.0": b"evil"})
    with pytest.raises(assets.AssetCorruptError, match=r"another model_a 1\.0 than the registry.*deleted"):
        assets.fetch("model", progress=False)
    assert not list(files.cache_dir("assets", "downloads").iterdir())


@posix
def test_a_python_without_pip_is_told_how_to_get_it(pip_index, monkeypatch, tmp_path):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho python: No module named pip; exit 1\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    with pytest.raises(assets.AssetDownloadError, match="python -m ensurepip"):
        assets.fetch("model", progress=False)


def test_an_interruption_ends_pip_too(monkeypatch):
    started = []

    def tick():
        raise KeyboardInterrupt

    class Popen(subprocess.Popen):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            started.append(self)

    monkeypatch.setattr(subprocess, "Popen", Popen)
    with pytest.raises(KeyboardInterrupt):
        assets._run([sys.executable, "-c", "import time; time.sleep(60)"], dict(os.environ), None, tick)
    assert started[0].returncode is not None


# --- the command line ---------------------------------------------------------------------------------------


def test_list_shows_licence_size_presence_and_terms(index, capsys):
    assets.fetch("rated", progress=False)
    assert assets.main(["list"]) == 0
    model, rated = capsys.readouterr().out.splitlines()[1:3]
    assert model.split()[0] == "model" and "MIT" in model and "0.2 MB" in model and model.endswith("no")
    assert rated.endswith("yes")
    (assets.path("rated") / "ratings.txt").write_bytes(b"")
    assets.main(["list"])
    out = capsys.readouterr().out
    assert out.splitlines()[2].endswith("damaged")
    assert "model: Be kind." in out


def test_fetch_and_verify_take_all_assets_by_default(index, capsys):
    assert assets.main(["verify"]) == 0  # nothing there, nothing wrong
    assert assets.main(["verify", "model"]) == 1
    assert "fetch model" in capsys.readouterr().err
    assert assets.main(["fetch"]) == 0
    assert "model: Be kind." in capsys.readouterr().out
    assert assets.main(["verify"]) == 0
    assert capsys.readouterr().out.count("intact") == 2
    assert_whole("model")
    assert_whole("rated")


def test_one_failure_does_not_stop_the_others(index, capsys):
    (index.folder / "model_a-1.0-py3-none-any.whl").write_bytes(b"")
    assert assets.main(["fetch", "model", "rated"]) == 1
    assert "the download was deleted" in capsys.readouterr().err
    assert_whole("rated")
    (assets.path("rated") / "ratings.txt").write_bytes(RATINGS[::-1])
    assert assets.main(["verify"]) == 1


@pytest.mark.parametrize("command", ["fetch", "verify"])
def test_an_unknown_name_is_a_wrong_command(index, capsys, command):
    with pytest.raises(SystemExit) as stop:
        assets.main([command, "rated", "modell"])
    assert stop.value.code == 2
    assert "choose from model, rated" in capsys.readouterr().err
    assert not index.downloads


def test_ctrl_c_ends_with_the_usual_code(index, capsys, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(assets, "_pip_download", interrupted)
    assert assets.main(["fetch"]) == 130
    assert "the same command goes on" in capsys.readouterr().err


def test_the_module_is_a_command():
    assert "smollm2-135m-instruct" in run_python(
        """
        import runpy, sys
        sys.argv = ["assets", "list"]
        runpy.run_module("kernel.assets", run_name="__main__")
        """
    )


# --- single files on request --------------------------------------------------------------------------------

PLACES = ("EEG/sub0.pkl", "EEG/sub1.pkl", "After/sub0/a.mat")
SINGLE = {path: path.encode() * 200 for path in PLACES}


class Site:
    """A web site on this machine with the files of an asset; `broken` paths end in the middle."""

    def __init__(self, monkeypatch):
        self.asked, self.broken, self.content = [], set(), {}
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                site.asked.append(self.path)
                content = site.content.get(self.path)
                self.send_response(404 if content is None else 200)
                self.send_header("Content-Length", str(len(content or b"")))
                self.end_headers()
                self.wfile.write((content or b"")[: 10 if self.path in site.broken else None])

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        self.content |= {f"/copy/{path}": content for path, content in SINGLE.items() if path[0] == "E"}
        self.content |= {f"/copy/deep/{path}": content for path, content in SINGLE.items() if path[0] == "A"}
        self.asset = FileAsset(
            "eeg", "EEG features", (),
            tuple(AssetFile(path, len(content), sha256(content), ()) for path, content in SINGLE.items()),
            "none stated", "Prefer the source.", "Nobody (2000)", release="abc",
            addresses=(("EEG/", f"{self.address}/copy/"), ("After/", f"{self.address}/copy/deep/")),
            cure="ask the source",
        )  # fmt: skip
        monkeypatch.setattr(assets, "ASSETS", {"eeg": self.asset})
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.delenv("KERNEL_MIRROR", raising=False)
        Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()


@pytest.fixture
def site(monkeypatch):
    site = Site(monkeypatch)
    yield site
    site.server.shutdown()
    site.server.server_close()


def test_single_files_are_laid_out_as_named_and_not_fetched_twice(site, capsys):
    folder = assets.fetch("eeg")
    assert "eeg" in capsys.readouterr().err  # the bar
    assert {path: (folder / path).read_bytes() for path in PLACES} == SINGLE
    assert {file.name for file in folder.rglob("*") if file.is_file()} == {
        "manifest.json", *(Path(path).name for path in PLACES)
    }  # fmt: skip
    assert folder.name == "eeg-abc" and len(site.asked) == 3
    assert assets.fetch("eeg", progress=False) == assets.path("eeg") == assets.verify("eeg") == folder
    assert len(site.asked) == 3


def test_they_are_never_fetched_unasked_and_tell_their_terms_first(site, capsys):
    assert assets.main(["fetch"]) == 0 and assets.main(["verify"]) == 0
    assert not site.asked and not capsys.readouterr().out
    with pytest.raises(AssetMissingError, match="fetch eeg"):
        assets.path("eeg")
    assert assets.main(["fetch", "eeg"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("eeg: licence: none stated. Prefer the source. Credit: Nobody (2000)\neeg: ")
    assert assets.main(["verify", "eeg"]) == 0 and "intact" in capsys.readouterr().out


def test_an_interrupted_fetch_goes_on_where_it_stopped(site, monkeypatch):
    site.broken = {"/copy/EEG/sub1.pkl"}
    with pytest.raises(
        AssetDownloadError, match=r"EEG/sub1\.pkl could not be downloaded from http.*ask the source"
    ):
        assets.fetch("eeg", progress=False)
    for ask in (assets.path, assets.verify):
        with pytest.raises(AssetMissingError, match="not ready"):
            ask("eeg")
    assert "in part" in assets._table()
    site.broken, site.asked[:] = set(), []
    folder = assets.fetch("eeg", progress=False)
    assert [path.rpartition("/")[2] for path in site.asked] == ["sub1.pkl", "a.mat"]
    assert assets.verify("eeg") == folder
    assert not list(folder.parent.glob(".tmp-*"))


def test_an_interruption_by_the_user_keeps_whole_files(site, monkeypatch):
    fetch_file = assets._fetch_file

    def interrupted(asset, file, target):
        fetch_file(asset, file, target)
        if file.path == PLACES[1]:
            target.write_bytes(b"half")
            raise KeyboardInterrupt

    monkeypatch.setattr(assets, "_fetch_file", interrupted)
    assert assets.main(["fetch", "eeg"]) == 130
    monkeypatch.setattr(assets, "_fetch_file", fetch_file)
    site.asked.clear()
    assets.fetch("eeg", progress=False)
    assert len(site.asked) == 2
    assert assets.verify("eeg")


def test_tampered_files_are_refused_and_damaged_ones_replaced(site):
    site.content["/copy/EEG/sub1.pkl"] = SINGLE["EEG/sub1.pkl"][::-1]
    with pytest.raises(AssetCorruptError, match=r"copy/EEG/sub1\.pkl has SHA-256 .* instead of .*not used"):
        assets.fetch("eeg", progress=False)
    site.content["/copy/EEG/sub1.pkl"] = SINGLE["EEG/sub1.pkl"]
    folder = assets.fetch("eeg", progress=False)
    (folder / PLACES[2]).write_bytes(SINGLE[PLACES[2]][::-1])
    with pytest.raises(AssetCorruptError, match="another SHA-256"):
        assets.verify("eeg")
    (folder / PLACES[0]).write_bytes(b"short")
    with pytest.raises(AssetMissingError, match="5 bytes instead of"):
        assets.path("eeg")
    site.asked.clear()
    assets.fetch("eeg", progress=False)
    assert len(site.asked) == 2 and assets.verify("eeg")


def test_a_missing_file_and_a_missing_network_are_named_with_the_cure(site):
    del site.content["/copy/deep/After/sub0/a.mat"]
    with pytest.raises(AssetDownloadError, match=r"no http.*/copy/deep/After/sub0/a\.mat: ask the source"):
        assets.fetch("eeg", progress=False)
    site.server.shutdown()
    site.server.server_close()
    with pytest.raises(AssetDownloadError, match=r"a\.mat could not be .*check the network.*ask the source"):
        assets.fetch("eeg", progress=False)


@pytest.mark.parametrize("kind", ["folder", "home", "address"])
def test_the_mirror_comes_first_and_the_public_address_where_it_lacks_a_file(
    site, tmp_path, monkeypatch, kind
):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    if kind == "address":
        site.content |= {f"/mirror/eeg/{path}": SINGLE[path] for path in PLACES[:2]}
    for path in PLACES[:2]:
        (tmp_path / "mirror" / "eeg" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "mirror" / "eeg" / path).write_bytes(SINGLE[path])
    names = {"folder": str(tmp_path / "mirror"), "home": "~/mirror", "address": f"{site.address}/mirror/"}
    monkeypatch.setenv("KERNEL_MIRROR", names[kind])
    assets.fetch("eeg", progress=False)
    assert assets.verify("eeg")
    assert [path for path in site.asked if path.startswith("/copy")] == ["/copy/deep/After/sub0/a.mat"]


def test_a_mirror_that_tampers_or_is_not_there_is_named(site, tmp_path, monkeypatch):
    place = tmp_path / "eeg" / PLACES[0]
    place.parent.mkdir(parents=True)
    place.write_bytes(b"other")
    monkeypatch.setenv("KERNEL_MIRROR", str(tmp_path))
    with pytest.raises(AssetCorruptError, match=r"eeg/EEG/sub0\.pkl has SHA-256"):
        assets.fetch("eeg", progress=False)
    for absent in (str(tmp_path / "absent"), "http://127.0.0.1:9"):
        monkeypatch.setenv("KERNEL_MIRROR", absent)
        with pytest.raises(AssetDownloadError, match=r"(?i)correct or unset|KERNEL_MIRROR"):
            assets.fetch("eeg", progress=False)
    assert not site.asked


def test_the_features_of_faced_are_registered_with_credit_and_better_sources():
    asset = assets.ASSETS["faced"]
    assert isinstance(asset, FileAsset) and asset.version == "ca46df0"
    paths = {file.path for file in asset.files}
    assert paths == {f"EEG_Features/DE/sub{s:03d}.pkl.pkl" for s in range(123)} | {
        f"After_remarks/sub{s:03d}/After_remarks.mat" for s in range(123)
    }
    assert 120e6 < asset.size < 140e6
    for word in ("syn50614194", "nm000112", "CC-BY-4.0", "no licence of its own", "comes last"):
        assert word in asset.terms
    assert "10.1038/s41597-023-02650-w" in asset.citation and "syn50614194" in asset.cure
    address = asset.address(asset.files[0])
    assert address.endswith("/Svm_analysis/After_remarks/sub000/After_remarks.mat") and "ca46df02" in address


@pytest.mark.faced
def test_the_registered_files_are_those_of_the_data():
    for file in assets.ASSETS["faced"].files:
        place = FACED / file.path
        assert place.stat().st_size == file.size and sha256(place.read_bytes()) == file.sha256


# --- the registry -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("asset", assets.ASSETS.values(), ids=assets.ASSETS)
def test_an_entry_is_complete_and_consistent(asset):
    for item in (*asset.packages, *asset.files):
        assert len(bytes.fromhex(item.sha256)) == 32
        assert item.size > 0
    paths = [file.path for file in asset.files]
    assert len(set(paths)) == len(paths) and "manifest.json" not in paths
    used = {number for file in asset.files for number, _ in file.parts}
    assert used == set(range(len(asset.packages)))  # nothing is downloaded in vain
    assert all(package.version in package.filename for package in asset.packages)
    assert "arXiv:" in asset.citation or "doi:" in asset.citation
    assert asset.licence in {"Apache-2.0", "MIT"} or "Terms" in asset.terms or "licence" in asset.terms
    assert asset.sha256 != replace(asset, files=asset.files[1:]).sha256


@pytest.mark.assets
@pytest.mark.parametrize("name", assets.ASSETS)
def test_a_fetched_asset_is_intact(name):
    try:
        assets.path(name)
    except assets.AssetMissingError as error:
        pytest.skip(str(error))
    assert assets.verify(name) == assets.path(name)
