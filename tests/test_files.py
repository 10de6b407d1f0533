"""Digests against a second notion of equality; files that are whole or absent whenever the writer fails.

`test_faults` kills the same writers at every step.
"""

import errno
import os
import subprocess
import sys
import textwrap
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kernel import files

PACKAGE = Path(files.__file__).parent
posix = pytest.mark.skipif(not hasattr(os, "fork"), reason="permissions and processes as POSIX has them")


def run_python(code, *, cwd=None, **environment):
    """Standard output of a fresh interpreter."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
        cwd=cwd,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# --- digest -------------------------------------------------------------------------------------------------

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=3)
    | st.binary(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.lists(inner, max_size=3).map(tuple),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None)
@given(plain, plain)
def test_two_values_share_a_digest_exactly_if_they_share_a_repr(a, b):
    assert (files.digest(a) == files.digest(b)) == (repr(a) == repr(b))


# fmt: off
DIFFERENT = [
    (), ("a", "b"), ("ab",), ("a", "b", ""), (("a", "b"),), (["a", "b"],), (b"ab",), ("1",), ("",), (None,),
    (1,), (1.0,), (1 + 0j,), (True,), (0.0,), (-0.0,), (2**70,), (-(2**70),),
    ({"a": 1},), ({"a": 2},), ({1: "a"},), ([("a", 1)],),
    (np.float64(1.0),), (np.float32(1.0),), (np.array(["a"]),), (np.array([b"a"]),),
    (np.zeros((2, 3)),), (np.zeros((3, 2)),), (np.zeros((0, 3)),), (np.zeros((3, 0)),),
    (np.zeros((2, 3), dtype=int),), (np.zeros((2, 3), dtype=">f8"),),
    (np.array(1, dtype="M8[D]"),), (np.array(1, dtype="M8[s]"),),
    (torch.zeros(2, 3),), (torch.zeros(2, 3, dtype=torch.bfloat16),),
    (torch.zeros(2, 3, dtype=torch.float16),), (torch.zeros(0, 3),),
]
# fmt: on


def test_type_shape_and_nesting_are_part_of_the_content():
    assert len({files.digest(*parts) for parts in DIFFERENT}) == len(DIFFERENT)


def test_digest_depends_neither_on_the_process_nor_on_the_order_of_keys():
    value = {"a": {"b": 1, "c": None}, 3: (2.5, b"x", np.arange(3))}
    told = files.digest(value)
    assert told == files.digest({3: value[3], "a": {"c": None, "b": 1}})
    assert told == "63b03844bab6e37bdad5ec080c4437c943a850c40095057a86edc5414a68fdf0"


def test_memory_layout_does_not_count_but_every_value_does(rng):
    array = rng.standard_normal((4, 6))
    assert files.digest(np.asfortranarray(array)) == files.digest(array)
    assert files.digest(np.repeat(array, 2, axis=0)[::2]) == files.digest(array)
    for index in np.ndindex(array.shape):
        changed = array.copy()
        changed[index] = np.nextafter(changed[index], np.inf)
        assert files.digest(changed) != files.digest(array)


def test_tensors_are_digested_by_value_on_every_device(device, rng):
    tensor = torch.tensor(rng.standard_normal((4, 6)), dtype=torch.float32)
    moved = torch.nn.Parameter(tensor.to(device))
    assert files.digest(moved) == files.digest(tensor) == files.digest(tensor.T.contiguous().T)
    assert files.digest(tensor + 1) != files.digest(tensor)


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ({1, 2}, "set"),
        (Path("a"), "Path"),
        ([len], "builtin_function_or_method"),
        (np.array([None]), "dtype object"),
        (np.zeros(2, dtype=[("x", "f4")]), "dtype"),
        (np.ma.masked_array([1, 2], [True, False]), "MaskedArray"),
        (torch.eye(2).to_sparse(), "sparse"),
    ],
)
def test_a_type_without_defined_content_is_refused_by_name(value, named):
    with pytest.raises(TypeError, match=f"cannot digest.*{named}"):
        files.digest("fine", value)


# --- places -------------------------------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home, and a working directory beside it."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.mark.parametrize(
    ("named", "meant"),
    [("~", "home"), ("~/a/b", "home/a/b"), ("a", "work/a"), ("./~", "work/~"), (Path("~/a"), "home/a")],
)
def test_a_place_is_where_its_user_means_it(home, named, meant):
    assert files.absolute(named) == home.parent / meant
    assert files.absolute(files.absolute(named)) == home.parent / meant


@pytest.mark.parametrize(("named", "told"), [("", "names no place"), ("~nobody-here/a", "'~nobody-here'")])
def test_no_place_is_refused_by_name(home, named, told, monkeypatch):
    with pytest.raises(FileNotFoundError, match=told):
        files.absolute(named)
    monkeypatch.setenv("KERNEL_DATA", named)
    if named:
        with pytest.raises(FileNotFoundError, match=f"KERNEL_DATA: .*{told}"):
            files.places()
    else:
        assert "KERNEL_DATA" not in files.places()


def test_variables_are_absolute_and_addresses_stay(home, monkeypatch):
    monkeypatch.setenv("KERNEL_CACHE", "cache")
    monkeypatch.setenv("KERNEL_DATA", "~/own.nc")
    monkeypatch.setenv("KERNEL_MIRROR", "HTTPS://example.org/a")
    assert files.places() == {
        "KERNEL_CACHE": str(home.parent / "work" / "cache"),
        "KERNEL_DATA": str(home / "own.nc"),
        "KERNEL_MIRROR": "HTTPS://example.org/a",
    }
    assert files.cache_dir("a", create=False) == home.parent / "work" / "cache" / "a"


def test_the_state_changes_where_a_file_does_and_follows_links(tmp_path):
    data, store = tmp_path / "data", tmp_path / "store"
    for folder in (data, store):
        folder.mkdir()
    (store / "a").write_text("a")
    (data / "linked").symlink_to(store)
    (store / "back").symlink_to(data)  # a circle
    (data / "not fetched").symlink_to(tmp_path / "nothing")
    seen = [files.state(data)]
    assert [line.split()[0] for line in seen[0]] == ["linked/a"]
    (store / "a").write_text("ab")
    seen.append(files.state(data))
    (data / "b").write_text("")
    seen.append(files.state(data))
    assert len({tuple(one) for one in seen}) == 3
    assert files.state(data / "b") != files.state(store / "a") and not files.state(tmp_path / "nothing")


def test_the_book_is_the_one_around_the_working_directory(home):
    assert files.book_folder() is None
    (home.parent / "_toc.yml").touch()
    (home.parent / "book").mkdir()
    assert files.book_folder() == home.parent / "book"


# --- cache_key and source_digest ----------------------------------------------------------------------------


def test_a_key_follows_its_inputs_and_every_library(monkeypatch):
    assert {"numpy", "scipy", "scikit-learn", "torch", "transformers", "mne"} < set(files.VERSIONS)
    assert set(files.VERSIONS) == set(files._LIBRARIES)
    keys = [files.cache_key("kernel.checks", 1), files.cache_key("kernel.checks", 2), files.cache_key((), 1)]
    for library in files._LIBRARIES:
        with monkeypatch.context() as patch:
            patch.setattr(files, "VERSIONS", {**files.VERSIONS, library: "0.0"})
            keys.append(files.cache_key("kernel.checks", 1))
    assert len(set(keys)) == 3 + len(files._LIBRARIES)
    assert files.cache_key("kernel.checks", 1) == keys[0]


def test_the_code_of_a_key_holds_what_python_imports_and_reads():
    module = "kernel.audit.projection_rates"
    code = f"import sys, {module}; print(*(m for m in sys.modules if m.startswith('kernel.')))"
    hashes = files._source_hashes(PACKAGE)
    held = files._with_imports([module], hashes)
    paths = {name.removeprefix("kernel.").replace(".", "/") + ".py" for name in run_python(code).split()}
    assert len(paths & hashes.keys()) > 10 and paths & hashes.keys() <= held and "plots.py" not in held
    modules = ["kernel." + path[:-3].replace("/", ".") for path in hashes if path.endswith(".py")]
    every = files._with_imports(
        [name.removesuffix(".__init__") for name in modules if name != "kernel.__init__"], hashes
    )
    assert {path for path in hashes if not path.endswith(".py")} <= every


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A small package in place of this one, just imported."""
    for name, text in {
        "deep/__init__.py": "from kernel.deep import twin\n",
        "deep/number.py": "NUMBER = 1\n",
        "deep/twin.py": "TABLE = 'table'\n",
        "data/table.csv": "a,b\n",
        "data/rules.yaml": "a: 1\n",
    }.items():
        (tmp_path / "kernel" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "kernel" / name).write_text(text, "utf-8")
    monkeypatch.setattr(files, "_PACKAGE", tmp_path / "kernel")
    monkeypatch.setattr(files, "_HASHES_AT_IMPORT", files._source_hashes(tmp_path / "kernel"))
    return tmp_path / "kernel"


ASKED = [], ["kernel.deep"], ["kernel.deep.number"], ["kernel.deep.number", "kernel.deep.twin"]


@pytest.mark.parametrize(
    ("edited", "changed"),
    [
        ("deep/number.py", [True, False, True, True]),
        ("deep/twin.py", [True, True, False, True]),
        ("data/table.csv", [True, True, False, True]),
        ("data/rules.yaml", [True, False, False, False]),
        ("deep/notes.txt", [False, False, False, False]),
        ("deep/new.py", [True, False, False, False]),
    ],
)
def test_an_edit_changes_the_digests_that_hold_the_file(package, edited, changed, monkeypatch):
    before = [files.source_digest(*names) for names in ASKED]
    assert len(set(before)) == len(before)
    with (package / edited).open("a", encoding="utf-8") as file:
        file.write("# edited\n")
    running = [files.source_digest(*names) for names in ASKED]  # may be the old code or the new
    monkeypatch.setattr(files, "_HASHES_AT_IMPORT", files._source_hashes(package))
    after = [files.source_digest(*names) for names in ASKED]
    for seen in (running, after):
        assert [a != b for a, b in zip(seen, before, strict=True)] == changed
    assert [a != b for a, b in zip(running, after, strict=True)] == changed


def test_a_moved_file_counts_and_the_place_of_the_package_does_not(package, monkeypatch):
    before = files.source_digest()
    (package / "deep/twin.py").rename(package / "deep/other.py")
    assert files.source_digest() != before
    (package / "deep/other.py").rename(package / "deep/twin.py")
    monkeypatch.setattr(files, "_PACKAGE", package.rename(package.with_name("elsewhere")))
    assert files.source_digest() == before


# --- read_arrays and read_yaml ------------------------------------------------------------------------------


def test_archives_of_arrays_are_whole_plain_and_there(tmp_path):
    truth = {"a": np.arange(6.0).reshape(2, 3), "b": np.array(["x", "yz"])}
    path = tmp_path / "a.npz"
    np.savez(path, **truth)
    assert {name: array.tolist() for name, array in files.read_arrays(path).items()} == {
        name: array.tolist() for name, array in truth.items()
    }
    whole = path.read_bytes()
    end = whole.rindex(b"PK\5\6") + 10
    for bad, told in (
        (whole[:-30], "not a zip file"),
        (whole[:end] + b"\7" + whole[end + 1 :], "lost all but 2"),
        (whole.replace(truth["a"].tobytes(), bytes(48)), "CRC"),
    ):
        path.write_bytes(bad)
        with pytest.raises(ValueError, match=f"not a file of arrays, or damaged: .*{told}"):
            files.read_arrays(path)
    np.savez_compressed(path, **truth)
    with pytest.raises(ValueError, match="compressed"):
        files.read_arrays(path)
    with pytest.raises(FileNotFoundError):
        files.read_arrays(tmp_path / "none.npz")


def test_yaml_is_read_as_people_mean_it():
    text = "a: &x {b: [1, -2, 0, 0.5, 1_000, 0x10]}\nc: {<<: *x, d: '010'}\n"
    assert files.read_yaml(text) == {
        "a": {"b": [1, -2, 0, 0.5, 1000, 16]},
        "c": {"b": [1, -2, 0, 0.5, 1000, 16], "d": "010"},
    }


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a:\n  b: 1\n  c: 2\n  b: 3", r"line 4: 'b' is there already, in line 2"),
        ("- 1\n- -010", r"line 2: YAML reads -010 as -8"),
        ("a: 00", r"line 1: YAML reads 00 as 0"),
        ("a: 1:30", r"YAML reads 1:30 as 90"),
        ("a: 1:30.5", r"YAML reads 1:30\.5 as 90\.5"),
        ("a: [", "no readable YAML"),
        ("a: 2026-13-45", "month"),
    ],
)
def test_yaml_that_says_something_else_is_refused_with_its_line(text, told):
    with pytest.raises(ValueError, match=told):
        files.read_yaml(text)


# --- locks --------------------------------------------------------------------------------------------------


@posix
def test_a_lock_can_be_taken_by_another_user(tmp_path):
    tmp_path.chmod(0o777)
    path = tmp_path / "shared.lock"
    before = os.umask(0o077)
    try:
        with files.lock(path):
            pass
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o666


# --- atomic_path and atomic_folder --------------------------------------------------------------------------


def write_file(temporary, text):
    temporary.write_text(text)


def write_folder(temporary, text):
    (temporary / "deep").mkdir()
    (temporary / "deep" / "a.txt").write_text(text)


WRITERS = {
    "file": (files.atomic_path, write_file, ""),
    "folder": (files.atomic_folder, write_folder, "deep/a.txt"),
}


@pytest.mark.parametrize("kind", WRITERS)
def test_a_target_appears_whole_and_with_nothing_beside_it(tmp_path, kind):
    atomic, write, inner = WRITERS[kind]
    target = tmp_path / "new" / "table.nii.gz"
    with atomic(target) as temporary:
        assert temporary.parent == target.parent and temporary.name.endswith("table.nii.gz")
        write(temporary, "whole")
        assert not target.exists()
    assert (target / inner).read_text() == "whole" and list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("step", ["block", "fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "disk full"), KeyboardInterrupt()], ids=repr)
@pytest.mark.parametrize("kind", WRITERS)
def test_what_fails_leaves_the_old_target_and_nothing_beside_it(tmp_path, monkeypatch, kind, step, error):
    atomic, write, _ = WRITERS[kind]
    target = tmp_path / "x"
    if kind == "file":
        target.write_text("old")

    def fail(*_):
        raise error

    if step != "block":
        monkeypatch.setattr(os, "rename" if (kind, step) == ("folder", "replace") else step, fail)
    with pytest.raises(type(error)), atomic(target) as temporary:
        write(temporary, "new")
        if step == "block":
            fail()
    monkeypatch.undo()
    assert [path.read_text() for path in tmp_path.iterdir()] == (["old"] if kind == "file" else [])


def test_who_writes_nothing_or_comes_too_late_leaves_what_is_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing was written"), files.atomic_path(tmp_path / "x"):
        pass
    with files.atomic_folder(tmp_path / "model") as slow:
        write_folder(slow, "slow")
        with files.atomic_folder(tmp_path / "model") as fast:
            write_folder(fast, "fast")
    assert (tmp_path / "model" / "deep" / "a.txt").read_text() == "fast"
    (tmp_path / "file").write_text("a file")
    with pytest.raises(OSError), files.atomic_folder(tmp_path / "file"):
        pass
    assert {path.name for path in tmp_path.iterdir()} == {"model", "file"}


# --- cache_dir ----------------------------------------------------------------------------------------------


def test_cache_dir_obeys_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("KERNEL_CACHE", str(tmp_path / "here"))
    assert files.cache_dir("a", "b") == tmp_path / "here" / "a" / "b"
    assert (tmp_path / "here" / "a" / "b").is_dir()
    assert not files.cache_dir("c", create=False).exists()
    monkeypatch.setenv("KERNEL_CACHE", "")
    assert files.cache_dir(create=False).name == "valence-axis"


def test_a_place_that_cannot_be_is_named_with_the_cure(tmp_path, monkeypatch):
    for parts in (("..",), ("a", "..", ".."), ("/etc",)):
        with pytest.raises(ValueError, match="leads out of the cache"):
            files.cache_dir(*parts)
    assert files.writable_folder(tmp_path / "out" / "deep").is_dir()
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("KERNEL_CACHE", str(tmp_path / "file" / "cache"))  # cannot be made, not even by root
    with pytest.raises(files.CacheNotWritableError, match=r"file/cache.*set the .* variable KERNEL_CACHE"):
        files.cache_dir("a")
    monkeypatch.setattr(os, "access", lambda *_: False)  # what a read-only disk answers
    with pytest.raises(files.CacheNotWritableError, match=r"no permission to write.*name another folder"):
        files.writable_folder(tmp_path / "out")


# --- load_or_compute ----------------------------------------------------------------------------------------


class Counted:
    def __init__(self, array):
        self.array, self.calls = array, 0

    def __call__(self):
        self.calls += 1
        return self.array


@pytest.mark.parametrize(
    "array",
    [np.arange(6.0).reshape(2, 3), np.float32(3), np.zeros((0, 4)), np.array(["ab", "c"]), [1, 2]],
    ids=["matrix", "scalar", "empty", "text", "list"],
)
def test_computed_once_and_equal_ever_after(array):
    compute = Counted(array)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first, second = (files.load_or_compute("tests", "key", compute) for _ in range(2))
    assert compute.calls == 1
    for result in (first, second):
        assert result.dtype == np.asarray(array).dtype
        np.testing.assert_array_equal(result, array, strict=True) if isinstance(array, np.ndarray) else None
    assert (first == second).all()
    np.testing.assert_array_equal(files.stored_array("tests", "key"), first)
    assert files.stored_array("tests", "other") is files.stored_array("below/tests", "key") is None


@pytest.mark.parametrize("kept", [0, 3, 60, -1])
def test_a_truncated_array_is_computed_anew(tmp_path, kept):
    files.load_or_compute(tmp_path, "key", Counted(np.arange(50)))
    stored = tmp_path / "key.npy"
    stored.write_bytes(stored.read_bytes()[:kept])
    with pytest.warns(UserWarning, match=r"key\.npy is unreadable"):
        np.testing.assert_array_equal(
            files.load_or_compute(tmp_path, "key", Counted(np.arange(50))), np.arange(50)
        )
    unused = Counted(None)
    np.testing.assert_array_equal(files.load_or_compute(tmp_path, "key", unused), np.arange(50))
    assert unused.calls == 0


def test_objects_are_neither_stored_nor_opened(tmp_path):
    with pytest.raises(TypeError, match="dtype object"):
        files.load_or_compute(tmp_path, "key", Counted(np.array([None, "a"])))
    assert not list(tmp_path.iterdir())
    np.save(tmp_path / "key.npy", np.array([{"a": 1}]), allow_pickle=True)
    with pytest.warns(UserWarning, match="unreadable"):
        assert files.load_or_compute(tmp_path, "key", Counted([7])) == 7
    for key in ("", "../x", "a/b", "a.npy"):
        with pytest.raises(ValueError, match="key takes"):
            files.stored_array(tmp_path, key)


def test_where_nothing_can_be_written_the_result_comes_with_one_warning(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "file").write_text("")
    for folder, why in ((tmp_path / "file" / "cache", "KERNEL_CACHE"), (tmp_path, "No space left")):
        with pytest.warns() as told:
            np.testing.assert_array_equal(files.load_or_compute(folder, "key", Counted([1, 2])), [1, 2])
        assert len(told) == 1 and why in str(told[0].message) and told[0].filename == __file__
        monkeypatch.setattr(os, "fsync", full)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_what_two_need_at_once_is_computed_once(tmp_path):
    started, calls = threading.Barrier(4), []

    def compute():
        calls.append(None)
        time.sleep(0.2)
        return np.arange(3)

    def ask_other(pool):
        return pool.submit(files.load_or_compute, tmp_path, "inner", lambda: np.ones(())).result(timeout=10)

    def ask(_):
        started.wait()
        return files.load_or_compute(tmp_path, "same", compute)

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(ask, range(4)))
        inner = pool.submit(files.load_or_compute, tmp_path, "outer", lambda: [ask_other(pool)])
        assert inner.result(timeout=10) == [1]  # other work does not wait, not even for whom it is done
    assert len(calls) == 1
    for array in found:
        np.testing.assert_array_equal(array, np.arange(3))


def test_damaged_data_of_the_package_is_named_with_the_cure(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_PACKAGE", tmp_path)
    (tmp_path / "number.csv").write_text("12")
    assert files.read_packaged("number.csv", lambda file: int(file.read())) == 12
    (tmp_path / "number.csv").write_text("1x")
    with pytest.raises(ValueError, match=r"number\.csv is damaged \(ValueError: .*install the package again"):
        files.read_packaged("number.csv", lambda file: int(file.read()))
