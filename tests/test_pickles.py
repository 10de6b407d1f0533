"""The array unpickler gives what numpy gave, refuses all else, and asks for no memory it cannot fill."""

from __future__ import annotations

import io
import os
import pickle
import struct
import tracemalloc

import numpy as np
import pytest

from kernel.brain.pickles import EEGFileError, UnsafePickleError, load_npy, load_pickle, loads_pickle

DTYPES = ["<f4", "<f8", ">f8", "<i2", "|u1", "|b1", "<c16"]


def as_numpy_1(data):
    """The same pickle as numpy 1 writes it: numpy.core for numpy._core, string lengths and frame adjusted."""
    n = data.count(b"numpy._core.")
    assert n
    for name in (b"numpy._core.multiarray", b"numpy._core.numeric"):
        short = name.replace(b"_core", b"core")
        data = data.replace(b"\x8c" + bytes([len(name)]) + name, b"\x8c" + bytes([len(short)]) + short)
        data = data.replace(name, short)
    if data[2:3] == b"\x95":
        (length,) = struct.unpack_from("<Q", data, 3)
        data = data[:3] + struct.pack("<Q", length - n) + data[11:]
    return data


class Evil:
    def __init__(self, call, *arguments):
        self.call, self.arguments = call, arguments

    def __reduce__(self):
        return self.call, self.arguments


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("dtype", DTYPES)
def test_gives_back_arrays_of_both_numpys_in_every_protocol(rng, protocol, version, dtype):
    plain = (100 * rng.standard_normal((3, 4, 5))).astype(dtype)
    for array in (plain, np.asfortranarray(plain), plain[:, ::2]):
        data = pickle.dumps(array, protocol)
        got = loads_pickle(as_numpy_1(data) if version == 1 else data)
        np.testing.assert_array_equal(got, array)
        assert got.dtype == array.dtype and not got.flags.writeable


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_gives_back_containers(rng, protocol):
    shared = rng.standard_normal(7)
    held = {
        0: rng.standard_normal((2, 3)),
        "label": [shared, shared, (1, 2.5, None, True, "text")],
        7: {"deep": -(2**70)},
    }
    got = loads_pickle(pickle.dumps(held, protocol))
    assert list(got) == list(held) and got[7] == held[7]
    np.testing.assert_array_equal(got[0], held[0])
    np.testing.assert_array_equal(got["label"][1], shared)
    assert got["label"][2] == (1, 2.5, None, True, "text")


def test_reads_strings_of_python_2_as_latin_1():
    values = np.array([1.5, -2.25, 1e300])
    raw = values.tobytes()
    data = (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01K\x03\x85"
        b"cnumpy\ndtype\nU\x02f8K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U"
    ) + bytes([len(raw)]) + raw + b"tb."  # fmt: skip
    np.testing.assert_array_equal(loads_pickle(data), values)
    np.testing.assert_array_equal(
        pickle.loads(data, encoding="latin1"), values
    )  # the hand-made file is a true one


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize(
    ("call", "arguments", "name"),
    [
        (os.system, ("touch {}",), r"(posix|nt)\.system"),
        (eval, ("open({!r}, 'w')",), r"(__builtin__|builtins)\.eval"),
        (np.fromfile, ("{}",), r"numpy"),
        (np.load, ("{}",), r"numpy"),
        (getattr, (1, "real"), r"getattr"),
    ],
)
def test_refuses_a_malicious_pickle_by_name_and_runs_nothing(tmp_path, protocol, call, arguments, name):
    trace = tmp_path / "ran"
    arguments = tuple(a.format(trace) if isinstance(a, str) else a for a in arguments)
    path = tmp_path / "sub000.pkl"
    path.write_bytes(pickle.dumps({"x": np.ones(3), "y": Evil(call, *arguments)}, protocol))
    with pytest.raises(UnsafePickleError, match=name) as caught:
        load_pickle(path)
    assert str(path) in str(caught.value) and not trace.exists()


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (b"\x80\x02(S'true'\nios\nsystem\n.", "INST|STRING"),
        (b"\x80\x02(cos\nsystem\nU\x04trueo.", "os.system"),
        (b"\x80\x02\x82\x01.", "EXT1"),
        (b"\x80\x02U\x01xQ.", "BINPERSID"),
        (b"\x80\x02cnumpy\nndarray\n)\x81.", "NEWOBJ"),
        (b"\x80\x05\x97.", "NEXT_BUFFER"),
    ],
)
def test_refuses_instructions_that_no_array_needs(data, named):
    with pytest.raises(UnsafePickleError, match=named):
        loads_pickle(data, name="x.pkl")


def test_a_pickle_cannot_change_the_stand_ins():
    # GLOBAL ndarray, {"label": "x"}, BUILD would set attributes on whatever find_class returned
    with pytest.raises(EEGFileError, match="takes no state"):
        loads_pickle(b"\x80\x02cnumpy\nndarray\n}U\x05labelU\x01xsb.")
    array = np.arange(3.0)
    np.testing.assert_array_equal(loads_pickle(pickle.dumps(array)), array)


def forged(shape, raw=b"\x00" * 8, code="f8"):
    """A pickle of an ndarray whose state is not what numpy would write."""

    class Forged:
        def __reduce__(self):
            make, arguments, _ = np.zeros(1).__reduce__()
            return make, arguments, (1, shape, np.dtype(code), False, raw)

    return pickle.dumps(Forged(), 4)


@pytest.mark.parametrize("shape", [(10**12,), (2,), (0,), (2**40, 2**40), (-1,), "ab", (1.0,)])
def test_refuses_a_shape_that_its_bytes_cannot_fill(shape):
    with pytest.raises(EEGFileError, match=r"f\.pkl: found"):
        loads_pickle(forged(shape), name="f.pkl")


def test_refuses_what_is_not_a_number():
    with pytest.raises(EEGFileError, match="dtype"):
        loads_pickle(pickle.dumps(np.array(["text"])))
    with pytest.raises(EEGFileError, match=r"dtype|malformed"):
        loads_pickle(pickle.dumps(np.zeros(2, dtype=[("a", "f8"), ("b", "i4")])))


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x04\x8e" + struct.pack("<Q", 2**45) + b"abc.",  # bytes of 32 TB
        b"\x80\x04\x95" + struct.pack("<Q", 2**60) + b"N.",  # a frame of an exabyte
        b"\x80\x02Nr\xff\xff\xff\xff.",  # memo slot 4 294 967 295
        b"\x80\x02\x8b\xff\xff\xff\x7f.",  # an integer of 2 GB
    ],
)
def test_asks_for_no_memory_that_the_file_cannot_fill(data):
    tracemalloc.start()
    try:
        with pytest.raises(EEGFileError):
            loads_pickle(data)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_bytes_spelled_once_and_used_often_are_not_copied_for_each_use():
    # protocol 2 spells bytes as text: a memoised text used n times must not cost n copies
    raw = np.random.default_rng(0).integers(0, 256, 100_000, dtype=np.uint8)
    held = [raw] * 2000
    data = pickle.dumps(held, 2)
    tracemalloc.start()
    try:
        got = loads_pickle(data)
        assert tracemalloc.get_traced_memory()[1] < 20 * len(data)
    finally:
        tracemalloc.stop()
    np.testing.assert_array_equal(got[1999], raw)


def test_a_cycle_or_a_bomb_of_shared_lists_ends_in_an_error_not_in_a_hang():
    cycle = []
    cycle.append(cycle)
    with pytest.raises(EEGFileError, match="nested deeper"):
        loads_pickle(pickle.dumps(cycle))
    bomb = [np.zeros(1)]
    for _ in range(14):
        bomb = [bomb] * 10  # 10**14 arrays if walked naively, a few hundred bytes pickled
    got = loads_pickle(pickle.dumps(bomb))
    assert len(got) == 10 and got[0] is got[9]


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_every_truncation_is_an_error_that_names_the_file(protocol):
    data = pickle.dumps({"de": np.arange(6.0)}, protocol)
    for stop in range(len(data)):
        with pytest.raises(EEGFileError, match=r"cut\.pkl"):
            loads_pickle(data[:stop], name="cut.pkl")


def test_every_flipped_byte_is_an_array_or_an_error_but_nothing_else():
    data = pickle.dumps({"de": np.arange(3.0), "label": [1, 2]}, 4)
    for i in range(len(data)):
        for flip in (0x01, 0x80, 0xFF):
            damaged = data[:i] + bytes([data[i] ^ flip]) + data[i + 1 :]
            try:
                loads_pickle(damaged, name="bad.pkl")
            except EEGFileError as error:
                assert "bad.pkl" in str(error)


@pytest.mark.parametrize(
    "data", [b"", b"PK\x03\x04", b"(lp0\n.", b"\x80\x01N.", b"\x80\x06N.", b"/annex/objects/SHA256E"]
)
def test_says_when_a_file_is_no_pickle(tmp_path, data):
    path = tmp_path / "sub001.pkl"
    path.write_bytes(data)
    with pytest.raises(EEGFileError, match=r"sub001\.pkl: found .*, expected"):
        load_pickle(path)


def test_reads_npy_of_numbers_and_of_a_saved_dict(tmp_path, rng):
    plain, held = tmp_path / "plain.npy", tmp_path / "held.npy"
    array = rng.standard_normal((2, 3))
    np.save(plain, np.asfortranarray(array))
    np.save(held, {"de": array}, allow_pickle=True)
    np.testing.assert_array_equal(load_npy(plain), array)
    np.testing.assert_array_equal(load_npy(held)["de"], array)


def test_refuses_damaged_and_malicious_npy(tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, np.zeros(10))
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(EEGFileError, match=r"found 72 bytes .* expected 80"):
        load_npy(path)
    np.save(path, {"de": Evil(os.system, f"touch {tmp_path / 'ran'}")}, allow_pickle=True)
    with pytest.raises(UnsafePickleError, match="system"):
        load_npy(path)
    assert not (tmp_path / "ran").exists()
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "<f8", "fortran_order": False, "shape": (10**12,)})
    path.write_bytes(stream.getvalue() + b"\0" * 8)
    with pytest.raises(EEGFileError, match="8 bytes"):
        load_npy(path)
    path.write_bytes(b"not numpy")
    with pytest.raises(EEGFileError, match=r"x\.npy: found no npy header"):
        load_npy(path)
