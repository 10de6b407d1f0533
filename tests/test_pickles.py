"""The array unpickler gives what numpy gave, refuses all else, and asks for no memory it cannot fill."""

from __future__ import annotations

import io
import os
import pickle
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest

from kernel.brain.pickles import load_npy, load_npz, load_pickle, loads_pickle
from kernel.brain.readers import EEGFileError, UnsafePickleError

PROTOCOLS = [2, 3, 4, 5]


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


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_gives_back_arrays_of_both_numpys_and_containers_in_every_protocol(rng, protocol):
    for dtype in ("<f4", "<f8", ">f8", "<i2", "|u1", "|b1", "<c16"):
        plain = (100 * rng.standard_normal((3, 4, 5))).astype(dtype)
        for array in (plain, np.asfortranarray(plain), plain[:, ::2]):
            data = pickle.dumps(array, protocol)
            for version in (data, as_numpy_1(data)):
                got = loads_pickle(version)
                np.testing.assert_array_equal(got, array)
                assert got.dtype.newbyteorder("=") == plain.dtype.newbyteorder("=")
                assert not got.flags.writeable
    shared = rng.standard_normal(7)
    held = {0: shared, "label": [shared, (1, 2.5, None, True, "text")], 7: {"deep": -(2**70)}}
    got = loads_pickle(pickle.dumps(held, protocol))
    assert list(got) == list(held) and got[7] == held[7] and got["label"][1] == held["label"][1]
    assert got["label"][0] is got[0]
    np.testing.assert_array_equal(got[0], shared)


def test_reads_strings_of_python_2_as_latin_1():
    values = np.array([1.5, -2.25, 1e300])
    raw = values.tobytes()
    data = (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01K\x03\x85"
        b"cnumpy\ndtype\nU\x02f8K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U"
    ) + bytes([len(raw)]) + raw + b"tb."  # fmt: skip
    np.testing.assert_array_equal(loads_pickle(data), values)
    np.testing.assert_array_equal(pickle.loads(data, encoding="latin1"), values)  # a true file, if hand-made


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_refuses_a_malicious_pickle_by_name_and_runs_nothing(tmp_path, protocol):
    path, trace = tmp_path / "sub000.pkl", tmp_path / "ran"
    for call, argument, name in (
        (os.system, f"touch {trace}", r"(posix|nt)\.system"),
        (eval, f"open({str(trace)!r}, 'w')", r"(__builtin__|builtins)\.eval"),
        (np.fromfile, str(trace), "numpy"),
        (np.load, str(trace), "numpy"),
        (getattr, "real", "getattr"),
    ):
        path.write_bytes(pickle.dumps({"x": np.ones(3), "y": Evil(call, argument)}, protocol))
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
        (b"\x80\x02\x8b\xff\xff\xff\x7f.", "LONG4"),  # an integer of 2 GB
        (b"\x80\x05\x97.", "NEXT_BUFFER"),
    ],
)
def test_refuses_instructions_that_no_array_needs(data, named):
    with pytest.raises(UnsafePickleError, match=named):
        loads_pickle(data, name="x.pkl")


def test_a_pickle_can_change_neither_what_stands_in_for_a_name_nor_an_array_it_was_given():
    # GLOBAL, {"label": "x"}, BUILD would set attributes on whatever find_class returned
    for name in (b"numpy\nndarray", b"numpy\ndtype", b"_codecs\nencode", b"numpy.core.numeric\n_frombuffer"):
        with pytest.raises(EEGFileError, match="takes no state"):
            loads_pickle(b"\x80\x02c" + name + b"\n}U\x05labelU\x01xsb.")
    array = pickle.dumps(np.arange(3.0), 2)
    state = array[array.index(b"(K\x01") : -1]  # as given before, and given again
    with pytest.raises(EEGFileError, match="ndarray takes no state"):
        loads_pickle(array[:-1] + state + b".")


def forged(shape, content=b"\x00" * 8, code="f8"):
    """A pickle of an ndarray whose state is not what numpy would write."""
    make, arguments, _ = np.zeros(1).__reduce__()

    class Forged:
        def __reduce__(self):
            return make, arguments, (1, shape, np.dtype(code), False, content)

    return pickle.dumps(Forged(), 4)


FORGED = [
    *(forged(shape) for shape in [(10**12,), (2,), (0,), (2**40, 2**40), (-1,), "ab", (1.0,)]),
    forged((3,), [1], "O"),
    forged((1,), b"8 bytes!", "O"),
    forged((1,), ["text"]),
    pickle.dumps(np.array(["text"])),
    pickle.dumps(np.zeros(2, dtype=[("a", "f8"), ("b", "i4")])),
    b"\x80\x02c_codecs\nencode\nU\x01xU\x05utf-8\x86R.",
]


@pytest.mark.parametrize("data", FORGED)
def test_refuses_arrays_that_their_bytes_cannot_fill_or_of_no_numbers(data):
    with pytest.raises(EEGFileError, match=r"f\.pkl: found a damaged pickle"):
        loads_pickle(data, name="f.pkl")


def test_asks_for_no_memory_that_the_file_cannot_fill():
    raw = np.random.default_rng(0).integers(128, 256, 100_000, dtype=np.uint8)
    size = struct.pack("<i", 100_000)
    # protocol 2 spells bytes as text: here one text of 100 kB is spelled out 2000 times
    text = b"X" + struct.pack("<I", 200_000) + "é".encode() * 100_000 + b"q\x01"
    spelled = (
        b"\x80\x02(c_codecs\nencode\nq\x00" + text + b"1](" + b"h\x00h\x01U\x06latin1\x86R" * 2000 + b"e."
    )
    # and one content of 100 kB is given to 2000 arrays, by either of numpy's constructors
    content = b"cnumpy\ndtype\nU\x02u1\x85Rq\x02B" + size + raw.tobytes() + b"q\x03"
    names = b"cnumpy.core.multiarray\n_reconstruct\nq\x00cnumpy\nndarray\nq\x01"
    filled = b"h\x00h\x01K\x00\x85U\x01b\x87R(K\x01J" + size + b"\x85h\x02\x89h\x03tb"
    shared = b"\x80\x03(" + names + content + b"1](" + filled * 2000 + b"e."
    view = b"h\x00(h\x03h\x02J" + size + b"\x85U\x01CtR"
    frombuffer = b"\x80\x03(cnumpy.core.numeric\n_frombuffer\nq\x00"
    viewed = frombuffer + content + b"1](" + view * 2000 + b"e."
    endless = viewed.replace(b"h\x00(h\x03", b"h\x00(J\xff\xff\xff\x7f", 1)  # bytes(number) would be 2 GB
    for whole in (shared.replace(filled * 1999, b""), viewed):  # the forgeries are true pickles
        np.testing.assert_array_equal(loads_pickle(whole)[-1], raw)
    files = {
        shared: False,
        viewed: True,
        endless: False,
        b"\x80\x04\x8e" + struct.pack("<Q", 2**45) + b"abc.": False,  # bytes of 32 TB
        b"\x80\x05\x96" + struct.pack("<Q", 2**45) + b"abc.": False,  # a bytearray of them
        b"\x80\x04\x95" + struct.pack("<Q", 2**60) + b"N.": True,  # a frame of an exabyte
        b"\x80\x02Nr\xff\xff\xff\xff.": True,  # memo slot 4 294 967 295
        spelled: False,
        pickle.dumps([raw] * 2000, 2): True,
    }
    for data, readable in files.items():
        tracemalloc.start()
        try:
            if readable:
                loads_pickle(data)
            else:
                with pytest.raises(EEGFileError, match="damaged pickle"):
                    loads_pickle(data)
            assert tracemalloc.get_traced_memory()[1] < 1_000_000 + 20 * len(data)
        finally:
            tracemalloc.stop()


def test_cycles_and_bombs_of_shared_lists_come_back_as_they_are():
    cycle = []
    cycle.append(cycle)
    got = loads_pickle(pickle.dumps(cycle))
    assert got[0] is got
    bomb = [np.zeros(1)]
    for _ in range(14):
        bomb = [bomb] * 10  # 10**14 arrays if walked naively, a few hundred bytes pickled
    got = loads_pickle(pickle.dumps(bomb))
    assert len(got) == 10 and got[0] is got[9]


@pytest.mark.parametrize(
    "data", [b"", b"PK\x03\x04", b"(lp0\n.", b"\x80\x01N.", b"\x80\x06N.", b"/annex/objects/SHA256E"]
)
def test_says_when_a_file_is_no_pickle(tmp_path, data):
    path = tmp_path / "sub001.pkl"
    path.write_bytes(data)
    with pytest.raises(EEGFileError, match=r"sub001\.pkl: found .*, expected a pickle"):
        load_pickle(path)


def test_reads_npy_of_numbers_and_of_a_saved_dict_and_refuses_damaged_and_malicious_ones(tmp_path, rng):
    path, array = tmp_path / "x.npy", rng.standard_normal((2, 5))
    np.save(path, np.asfortranarray(array))
    np.testing.assert_array_equal(load_npy(path), array)
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(EEGFileError, match=r"found 72 bytes .* needs 80"):
        load_npy(path)
    np.save(path, {"de": array}, allow_pickle=True)
    np.testing.assert_array_equal(load_npy(path)["de"], array)
    np.save(path, {"de": Evil(os.system, f"touch {tmp_path / 'ran'}")}, allow_pickle=True)
    with pytest.raises(UnsafePickleError, match="system"):
        load_npy(path)
    assert not (tmp_path / "ran").exists()
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "<f8", "fortran_order": False, "shape": (10**12,)})
    for content, match in ((stream.getvalue() + b"\0" * 8, "8 bytes"), (b"not numpy", "found no npy header")):
        path.write_bytes(content)
        with pytest.raises(EEGFileError, match=rf"x\.npy: .*{match}"):
            load_npy(path)


def test_an_archive_packed_in_another_way_than_numpys_is_refused(tmp_path):
    np.savez_compressed(tmp_path / "known.npz", x=np.arange(3))
    np.testing.assert_array_equal(load_npz(tmp_path / "known.npz")["x"], [0, 1, 2])
    with zipfile.ZipFile(tmp_path / "other.npz", "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("x.npy", b"abc")
    with pytest.raises(EEGFileError, match=r"no archive \(x\.npy is packed by method 12\), expected a file"):
        load_npz(tmp_path / "other.npz")
