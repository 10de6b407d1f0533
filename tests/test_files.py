"""Digests against a second notion of equality; files that are whole or absent whenever the writer dies."""

import errno
import hashlib
import json
import os
import struct
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

# Runs an action in forked processes and kills the n-th before its n-th file operation, until one ends alone.
KILLER = """
import os, signal, sys
from pathlib import Path

OPERATIONS = {
    "open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.listdir", "os.scandir", "shutil.rmtree",
    "half-written",
}

def kill_before_every_operation(root, prepare, act, inspect):
    n, ended = 0, False
    while not ended:
        n += 1
        place = Path(root, str(n))
        place.mkdir()
        prepare(place)
        child = os.fork()
        if child == 0:
            seen = 0
            def hook(event, arguments):
                nonlocal seen
                if event not in OPERATIONS:
                    return
                seen += 1
                if seen == n:
                    os.kill(os.getpid(), signal.SIGKILL)
            sys.addaudithook(hook)
            act(place)
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        ended = os.WIFEXITED(status)
        assert not ended or os.WEXITSTATUS(status) == 0
        inspect(place, ended)
    print(n)
"""

posix = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked and killed")


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


@settings(max_examples=300, deadline=None)
@given(plain, plain)
def test_two_values_share_a_digest_exactly_if_they_share_a_repr(a, b):
    assert (files.digest(a) == files.digest(b)) == (repr(a) == repr(b))


DIFFERENT = [
    (),
    ("a", "b"),
    ("ab",),
    ("a", "b", ""),
    (("a", "b"),),
    (["a", "b"],),
    (b"ab",),
    (1,),
    (1.0,),
    (1 + 0j,),
    (True,),
    ("1",),
    (None,),
    ("",),
    (0.0,),
    (-0.0,),
    (2**70,),
    (-(2**70),),
    ({"a": 1},),
    ({"a": 2},),
    ({1: "a"},),
    ([("a", 1)],),
    (np.float64(1.0),),
    (np.float32(1.0),),
    (np.zeros((2, 3)),),
    (np.zeros((3, 2)),),
    (np.zeros((0, 3)),),
    (np.zeros((3, 0)),),
    (np.zeros((2, 3), dtype=int),),
    (np.zeros((2, 3), dtype=">f8"),),
    (np.array(["a"]),),
    (np.array([b"a"]),),
    (np.array(1, dtype="M8[D]"),),
    (np.array(1, dtype="M8[s]"),),
    (torch.zeros(2, 3),),
    (torch.zeros(2, 3, dtype=torch.bfloat16),),
    (torch.zeros(2, 3, dtype=torch.float16),),
    (torch.zeros(0, 3),),
]


def test_type_shape_and_nesting_are_part_of_the_content():
    assert len({files.digest(*parts) for parts in DIFFERENT}) == len(DIFFERENT)


def test_digest_is_the_sha256_of_tag_length_content():
    count, length = struct.pack("<Q", 2), struct.pack("<Q", 1)
    expected = hashlib.sha256(b"t" + count + b"s" + length + b"a" + b"i" + length + b"f").hexdigest()
    assert files.digest("a", 15) == expected


def test_digest_does_not_depend_on_process_or_key_order():
    code = "from kernel import files; print(files.digest({'a': {'b': 1, 'c': None}, 3: (2.5, b'x')}))"
    told = {run_python(code, PYTHONHASHSEED=seed) for seed in ("1", "2")}
    assert told == {files.digest({3: (2.5, b"x"), "a": {"c": None, "b": 1}})}


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


def test_a_folder_for_results_is_made_or_refused(home, tmp_path):
    assert files.writable_folder("~/out/deep") == home / "out" / "deep" and (home / "out" / "deep").is_dir()
    (home / "file").write_text("")
    with pytest.raises(files.CacheNotWritableError, match=r"file/out .*: .*name another folder"):
        files.writable_folder("~/file/out")


# --- cache_key ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("library", files._LIBRARIES)
def test_a_key_follows_every_library(library, monkeypatch):
    before = files.cache_key("decoding.bank", 1)
    monkeypatch.setattr(files, "VERSIONS", {**files.VERSIONS, library: "0.0"})
    assert files.cache_key("decoding.bank", 1) != before


def test_a_key_follows_its_inputs_and_its_code_with_all_imports(monkeypatch):
    hashes = dict(files._source_hashes(PACKAGE))

    def keys():
        return [files.cache_key(f"kernel.{name}", "a") for name in ("decoding.bank", "brain.calibration")]

    before = keys()
    assert files.cache_key("decoding.bank", "b") != before[0] == files.cache_key("decoding.bank", "a")
    for path, changed in {
        "decoding/bank.py": [True, False],
        "brain/features.py": [True, True],  # bank imports cohort, which imports features
        "data/faced_ratings.csv": [False, True],  # read by ratings, which the simulator imports
        "plots.py": [False, False],
        "claims.py": [False, False],
        "data/claims.yaml": [False, False],
        "../constraints.txt": [False, False],
    }.items():
        with monkeypatch.context() as patch:
            patch.setattr(files, "_source_hashes", lambda _, path=path: hashes | {path: "0" * 64})
            patch.setattr(files, "_names_in", lambda path, _: names(path, hashes[path]))
            assert [a != b for a, b in zip(keys(), before, strict=True)] == changed, path


names = files._names_in


@pytest.mark.parametrize("module", ["decoding.bank", "language.hidden", "brain.calibration", "audit"])
def test_the_code_of_a_key_holds_what_python_imports(module):
    code = f"import sys, kernel.{module}; print(*(m for m in sys.modules if m.startswith('kernel.')))"
    hashes = files._source_hashes(PACKAGE)
    held = files._with_imports(files._restrict(hashes, (module,)), hashes)
    paths = {name.removeprefix("kernel.").replace(".", "/") + ".py" for name in run_python(code).split()}
    assert paths & hashes.keys() <= held and "plots.py" not in held


def test_every_data_file_belongs_to_a_module():
    hashes = files._source_hashes(PACKAGE)
    held = files._with_imports([path for path in hashes if path.endswith(".py")], hashes)
    assert {path for path in hashes if not path.endswith((".py", ".txt"))} <= held


# --- read_yaml ----------------------------------------------------------------------------------------------


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


# --- source_digest ------------------------------------------------------------------------------------------


@pytest.fixture
def package(tmp_path):
    """A small package named kernel around the real files.py."""
    for name, text in {
        "kernel/__init__.py": "",
        "kernel/files.py": (PACKAGE / "files.py").read_text("utf-8"),
        "kernel/deep/__init__.py": "",
        "kernel/deep/inner/number.py": "NUMBER = 1\n",
        "kernel/deep/twin.py": "",
        "kernel/data/table.csv": "a,b\n",
        "kernel/data/rules.yaml": "a: 1\n",
        "constraints.txt": "numpy==2\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    return tmp_path


def source_digests(package, *asked):
    code = f"""
        import json
        from kernel import files
        print(json.dumps([files.source_digest(*names) for names in {list(asked)}]))
    """
    return json.loads(run_python(code, cwd=package))


@pytest.mark.parametrize(
    ("edited", "changed"),
    [  # whole, deep, deep.inner.number, files and data
        ("kernel/deep/inner/number.py", [True, True, True, False]),
        ("kernel/deep/twin.py", [True, True, False, False]),
        ("kernel/data/table.csv", [True, False, False, True]),
        ("kernel/data/rules.yaml", [True, False, False, True]),
        ("constraints.txt", [True, False, False, False]),
        ("kernel/deep/notes.txt", [False, False, False, False]),
        ("kernel/deep/new.py", [True, True, False, False]),
    ],
)
def test_an_edit_changes_the_digests_that_hold_the_file(package, edited, changed):
    asked = [], ["deep"], ["deep.inner.number"], ["files", "data"]
    before = source_digests(package, *asked)
    with (package / edited).open("a", encoding="utf-8") as file:
        file.write("# edited\n")
    after = source_digests(package, *asked)
    assert [a != b for a, b in zip(after, before, strict=True)] == changed
    assert len(set(before)) == len(before)


def test_a_moved_file_and_a_checkout_elsewhere(package, tmp_path_factory):
    before = source_digests(package, [])
    (package / "kernel/deep/twin.py").rename(package / "kernel/deep/other.py")
    assert source_digests(package, []) != before
    (package / "kernel/deep/other.py").rename(package / "kernel/deep/twin.py")
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "checkout"
    package.rename(elsewhere)
    assert source_digests(elsewhere, []) == before


def test_an_edit_under_a_running_process_is_neither_the_old_nor_the_new_digest(package):
    code = """
        from pathlib import Path
        from kernel import files
        clean, apart = files.source_digest(), files.source_digest("files")
        place = Path("kernel/deep/inner/number.py")
        place.write_text("NUMBER = 2\\n")
        print(clean, files.source_digest(), apart == files.source_digest("files"))
    """
    old, running, apart = run_python(code, cwd=package).split()
    (new,) = source_digests(package, [])
    assert len({old, running, new}) == 3
    assert apart == "True"  # the part that was not edited is still known for sure


@pytest.mark.parametrize("name", ["nothing", "files.py", "", "deep.inner", "../kernel", "fil"])
def test_an_unknown_module_is_refused_with_the_known_ones(name):
    with pytest.raises(ValueError, match=r"no module or package.*choose from .*'files'"):
        files.source_digest("files", name)


def test_the_installed_package_has_one_digest_per_part():
    assert files.source_digest() != files.source_digest("files") == files.source_digest("files", "files")


# --- atomic_path and atomic_folder --------------------------------------------------------------------------


def test_atomic_path_replaces_in_one_step_and_leaves_nothing_beside(tmp_path):
    target = tmp_path / "new" / "table.nii.gz"
    for text in ("first", "second"):
        with files.atomic_path(target) as temporary:
            assert temporary.parent == target.parent
            assert temporary.name.endswith("table.nii.gz")
            temporary.write_text(text)
            assert not target.exists() or target.read_text() == "first"
        assert target.read_text() == text
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_atomic_path_keeps_the_old_file_when_the_block_fails(tmp_path, error):
    target = tmp_path / "x.txt"
    target.write_text("old")
    with pytest.raises(error), files.atomic_path(target) as temporary:
        temporary.write_text("ne")
        raise error
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "disk full"), KeyboardInterrupt()])
def test_atomic_path_keeps_the_old_file_when_a_step_of_its_own_fails(tmp_path, monkeypatch, step, error):
    target = tmp_path / "x.txt"
    target.write_text("old")

    def fail(*_):
        raise error

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(type(error)), files.atomic_path(target) as temporary:
        temporary.write_text("new")
    monkeypatch.undo()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_atomic_path_refuses_a_block_that_wrote_nothing(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing was written"), files.atomic_path(tmp_path / "x.txt"):
        pass
    assert not list(tmp_path.iterdir())


def test_atomic_folder_appears_whole(tmp_path):
    target = tmp_path / "model"
    with files.atomic_folder(target) as temporary:
        (temporary / "deep").mkdir()
        (temporary / "deep" / "a.txt").write_text("a")
        assert not target.exists()
    assert (target / "deep" / "a.txt").read_text() == "a"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_atomic_folder_leaves_nothing_when_the_block_fails(tmp_path, error):
    with pytest.raises(error), files.atomic_folder(tmp_path / "model") as temporary:
        (temporary / "a.txt").write_text("a")
        raise error
    assert not list(tmp_path.iterdir())


def test_atomic_folder_keeps_the_winner(tmp_path):
    target = tmp_path / "model"
    with files.atomic_folder(target) as slow:
        (slow / "a.txt").write_text("slow")
        with files.atomic_folder(target) as fast:
            (fast / "a.txt").write_text("fast")
    assert (target / "a.txt").read_text() == "fast"
    assert list(tmp_path.iterdir()) == [target]


def test_atomic_folder_does_not_take_the_place_of_a_file(tmp_path):
    target = tmp_path / "model"
    target.write_text("a file")
    with pytest.raises(OSError), files.atomic_folder(target):
        pass
    assert target.read_text() == "a file"
    assert list(tmp_path.iterdir()) == [target]


@posix
def test_a_killed_writer_leaves_the_old_or_the_new_file(tmp_path):
    code = """
        def prepare(place):
            (place / "x.txt").write_text("old " * 9)

        def act(place):
            with files.atomic_path(place / "x.txt") as temporary, temporary.open("w") as file:
                file.write("new ")
                file.flush()
                sys.audit("half-written")
                file.write("new " * 8)

        def inspect(place, ended):
            text = (place / "x.txt").read_text()
            assert text == "new " * 9 if ended else text in ("old " * 9, "new " * 9), text

        from kernel import files
        kill_before_every_operation(sys.argv[1], prepare, act, inspect)
    """
    assert int(run_killer(code, tmp_path)) >= 6  # open, half, flush to disk, rename, flush the folder, end


@posix
def test_a_killed_writer_leaves_no_folder_or_the_whole_one(tmp_path):
    code = """
        def act(place):
            with files.atomic_folder(place / "model") as temporary:
                for name in "ab":
                    (temporary / name).write_text(name * 9)

        def inspect(place, ended):
            target = place / "model"
            assert target.is_dir() or not ended
            if target.is_dir():
                assert {f.name: f.read_text() for f in target.iterdir()} == {"a": "a" * 9, "b": "b" * 9}

        from kernel import files
        kill_before_every_operation(sys.argv[1], lambda place: None, act, inspect)
    """
    assert int(run_killer(code, tmp_path)) >= 7  # mkdir, two opens, two flushes, rename, end


def run_killer(code, folder):
    script = folder / "killer.py"
    script.write_text(KILLER + textwrap.dedent(code), "utf-8")
    root = folder / "places"
    root.mkdir()
    done = subprocess.run(
        [sys.executable, script, root],
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(PACKAGE.parent)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# --- cache_dir ----------------------------------------------------------------------------------------------


def test_cache_dir_obeys_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("KERNEL_CACHE", str(tmp_path / "here"))
    assert files.cache_dir("a", "b") == tmp_path / "here" / "a" / "b"
    assert (tmp_path / "here" / "a" / "b").is_dir()
    assert not files.cache_dir("c", create=False).exists()
    monkeypatch.setenv("KERNEL_CACHE", "")
    assert files.cache_dir(create=False).name == "valence-axis"


@pytest.mark.parametrize("parts", [("..",), ("a", "..", ".."), ("/etc",)])
def test_cache_dir_does_not_lead_out(parts):
    with pytest.raises(ValueError, match="leads out of the cache"):
        files.cache_dir(*parts)


@pytest.fixture
def blocked(tmp_path, monkeypatch):
    """A cache below a regular file: cannot be made, not even by root."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("KERNEL_CACHE", str(tmp_path / "file" / "cache"))


def test_a_cache_that_cannot_be_made_names_the_cure(blocked):
    with pytest.raises(
        files.CacheNotWritableError, match=r"file/cache.*set the environment variable KERNEL_CACHE"
    ):
        files.cache_dir("a")


def test_a_cache_that_cannot_be_written_to_names_the_cure(monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)  # what a read-only disk answers
    with pytest.raises(files.CacheNotWritableError, match=r"no permission to write.*KERNEL_CACHE"):
        files.cache_dir("a")


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


def test_keys_and_folders_are_apart(tmp_path):
    assert files.load_or_compute(tmp_path, "a", Counted([1])) == 1
    assert files.load_or_compute(tmp_path, "b", Counted([2])) == 2
    assert files.load_or_compute(tmp_path / "c", "a", Counted([3])) == 3
    assert files.load_or_compute(tmp_path, "a", Counted([4])) == 1


def test_what_is_stored_is_found_without_computing(tmp_path):
    assert files.stored_array(tmp_path, "key") is None
    files.load_or_compute(tmp_path, "key", Counted([1, 2]))
    np.testing.assert_array_equal(files.stored_array(tmp_path, "key"), [1, 2])
    (tmp_path / "key.npy").write_bytes(b"damaged")
    with pytest.warns(UserWarning, match="unreadable"):
        assert files.stored_array(tmp_path, "key") is None
    with pytest.raises(ValueError, match="key takes"):
        files.stored_array(tmp_path, "../key")


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


def test_a_pickle_in_the_cache_is_never_opened(tmp_path):
    np.save(tmp_path / "key.npy", np.array([{"a": 1}]), allow_pickle=True)
    with pytest.warns(UserWarning, match="unreadable"):
        assert files.load_or_compute(tmp_path, "key", Counted([7])) == 7


def test_objects_are_refused(tmp_path):
    with pytest.raises(TypeError, match="dtype object"):
        files.load_or_compute(tmp_path, "key", Counted(np.array([None, "a"])))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("key", ["", "../x", "a/b", "a.npy", "a b"])
def test_a_key_is_a_plain_name(tmp_path, key):
    with pytest.raises(ValueError, match="key takes"):
        files.load_or_compute(tmp_path, key, Counted([1]))


def test_a_blocked_cache_computes_with_one_warning(blocked):
    compute = Counted([1, 2])
    with pytest.warns() as told:
        np.testing.assert_array_equal(files.load_or_compute("tests", "key", compute), [1, 2])
    assert len(told) == 1
    assert "KERNEL_CACHE" in str(told[0].message)
    assert told[0].filename == __file__  # points at the caller
    assert compute.calls == 1


def test_a_full_disk_computes_with_one_warning(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.warns() as told:
        np.testing.assert_array_equal(files.load_or_compute(tmp_path, "key", Counted([1, 2])), [1, 2])
    assert [("No space left" in str(w.message)) for w in told] == [True]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_a_failed_computation_stores_nothing(tmp_path, error):
    def compute():
        raise error

    with pytest.raises(error):
        files.load_or_compute(tmp_path, "key", compute)
    assert not list(tmp_path.iterdir())


@posix
def test_a_killed_computation_is_never_half_stored(tmp_path):
    code = """
        import warnings
        import numpy as np
        from kernel import files
        warnings.simplefilter("error")
        truth = np.arange(1000.0)

        def act(place):
            files.load_or_compute(place, "key", lambda: truth)

        def inspect(place, ended):
            assert not ended or (place / "key.npy").is_file()
            np.testing.assert_array_equal(files.load_or_compute(place, "key", lambda: truth), truth)

        kill_before_every_operation(sys.argv[1], lambda place: None, act, inspect)
    """
    assert int(run_killer(code, tmp_path)) >= 6


def test_what_two_need_at_once_is_computed_once(tmp_path):
    started, calls = threading.Barrier(4), []

    def compute():
        calls.append(None)
        time.sleep(0.2)
        return np.arange(3)

    def ask(_):
        started.wait()
        return files.load_or_compute(tmp_path, "same", compute)

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(ask, range(4)))
    assert len(calls) == 1
    for array in found:
        np.testing.assert_array_equal(array, np.arange(3))


def test_other_work_does_not_wait(tmp_path):
    def ask(key):
        with ThreadPoolExecutor(1) as pool:  # in the other's compute, and in another thread
            inner = pool.submit(files.load_or_compute, tmp_path, f"{key}-inner", lambda: np.ones(2))
            return inner.result(timeout=10)

    np.testing.assert_array_equal(files.load_or_compute(tmp_path, "outer", lambda: ask("outer") + 1), [2, 2])
