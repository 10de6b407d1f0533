"""Structs of MATLAB files: scipy writes them; damage and lies are refused at once and in little memory."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from kernel.brain.matlab import load_struct
from kernel.brain.readers import EEGFileError

FIELDS = {"score": 3, "vid": 1}
HEAD = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM"


def trials(rng, n=4):
    table = np.zeros((n, 1), dtype=[(name, object) for name in ("score", "other", "vid")])
    for k in range(n):
        table[k, 0] = (rng.uniform(0, 7, (1, 3)), "any text" if k else {"nested": 1.0}, np.uint8(k + 1))
    return table


def read(path, **changes):
    return load_struct(path, "T", **({"length": 4, "fields": FIELDS} | changes))


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("dtype", ["f8", "i2", "i8"])
def test_numbers_are_those_that_scipy_wrote_and_reads(rng, tmp_path, packed, dtype):
    table = trials(rng)
    for k in range(4):
        table["score"][k, 0] = (10 * table["score"][k, 0]).astype(dtype)
    savemat(tmp_path / "a.mat", {"first": "text", "T": table, "z": 1.0}, do_compression=packed)
    held = read(tmp_path / "a.mat")
    oracle = loadmat(tmp_path / "a.mat")["T"][:, 0]
    assert held["score"].shape == (4, 3) and held["vid"].tolist() == [[1], [2], [3], [4]]
    np.testing.assert_array_equal(held["score"], [row[0] for row in oracle["score"]])


def with_value(name, value):
    def change(table):
        table[name][2, 0] = value
        return table

    return change


NO_SUCH_STRUCT = {
    r"class 2, shape \(3, 1\), not a struct \(4, 1\)": lambda table: table[:3],
    r"shape \(1, 4\)": lambda table: table.T,
    r"fields score, other, expected T, a struct of 4 entries": lambda table: table[["score", "other"]],
    r"class 4": lambda table: "text",
    r"class 6": lambda table: np.ones((4, 1)),
    r"2 numbers instead of 3 as score of entry 3": with_value("score", np.ones((1, 2))),
    r"0 numbers instead of 3|no array": with_value("score", np.zeros((1, 0))),
    r"no real numbers \(class 4\) as score of entry 3": with_value("score", "abc"),
    r"real numbers": with_value("score", np.array([[1j, 2, 3]])),
    r"no array of real numbers as vid of entry 3|class 2": with_value("vid", {"a": 1.0}),
    r"unpacks to more than 1048576 bytes": with_value("other", np.zeros((1, 200_000))),
}
DAMAGED = {
    "no such file, expected T.* Fetch it": lambda path: path.unlink(),
    "a link to nothing": lambda path: (path.unlink(), path.symlink_to("annex")),
    "0 bytes that start with b''": lambda path: path.write_bytes(b""),
    "no MATLAB 5 file": lambda path: savemat(path, {"T": 1.0}, format="4"),
    "the file is truncated": lambda path: path.write_bytes(path.read_bytes()[:-40]),
    "requires a buffer": lambda path: path.write_bytes(path.read_bytes()[:131]),
    "2097152 bytes, expected at most 1048576": lambda path: path.write_bytes(bytes(2 << 20)),
    "found no T": lambda path: savemat(path, {"other": 1.0}),
}


@pytest.mark.parametrize("match", NO_SUCH_STRUCT)
def test_what_is_no_such_struct_is_named(rng, tmp_path, match):
    table = NO_SUCH_STRUCT[match](trials(rng))
    if isinstance(table, np.ndarray) and table.dtype.names:  # a view of some fields keeps its gaps
        table = np.array(table.tolist(), dtype=[(name, object) for name in table.dtype.names])
    savemat(tmp_path / "a.mat", {"T": table}, do_compression=True)
    with pytest.raises(EEGFileError, match=rf"a\.mat: found .*({match})"):
        read(tmp_path / "a.mat")


@pytest.mark.parametrize("match", DAMAGED)
def test_a_damaged_file_is_named(rng, tmp_path, match):
    path = tmp_path / "a.mat"
    savemat(path, {"T": trials(rng)}, do_compression=True)
    DAMAGED[match](path)
    with pytest.raises(EEGFileError, match=rf"a\.mat: .*{match}"):
        read(path, cure="Fetch it.")


def test_any_changed_byte_gives_numbers_or_an_error_of_ours(rng, tmp_path):
    path = tmp_path / "a.mat"
    savemat(path, {"T": trials(rng)})
    content = path.read_bytes()
    for place in range(124, len(content), 2):
        for value in (0, 255):
            path.write_bytes(content[:place] + bytes([value]) + content[place + 1 :])
            try:
                held = read(path)
            except EEGFileError:
                continue
            assert held["score"].shape == (4, 3)


def element(kind, body):
    return struct.pack("<II", kind, len(body)) + body + b"\0" * (-len(body) % 8)


def matrix(kind, shape, body, name=b"T"):
    head = element(6, struct.pack("<II", kind, 0)) + element(5, struct.pack("<2i", *shape))
    return element(14, head + element(1, name) + body)


def nested(depth):
    """A cell in a cell in a cell, written from the outside: scipy follows them down the stack."""
    size, heads = 56, []
    for _ in range(depth):
        head = element(6, struct.pack("<II", 1, 0)) + element(5, struct.pack("<2i", 1, 1)) + element(1, b"T")
        heads.append(struct.pack("<II", 14, size + len(head)) + head)
        size += len(head) + 8
    return b"".join(reversed(heads)) + matrix(6, (1, 1), element(9, bytes(8)), b"")


@pytest.mark.parametrize(
    "content",
    [
        matrix(2, (2**31 - 1, 1), b""),
        matrix(1, (2**31 - 1, 1), b""),
        matrix(2, (4, 1), element(5, struct.pack("<i", 0)) + element(1, b"score")),
        matrix(2, (4, 1), element(5, struct.pack("<i", -3)) + element(1, b"score")),
        matrix(6, (2**28, 1), struct.pack("<II", 9, 2**31)),
        matrix(17, (4, 1), b""),
        nested(15_000),
        element(14, b""),
        b"",
    ],
)
def test_sizes_and_depths_that_a_file_only_claims_are_not_believed(tmp_path, content):
    path = tmp_path / "a.mat"
    packed = zlib.compress(content)
    for stored in (content, struct.pack("<II", 15, len(packed)) + packed):
        path.write_bytes(HEAD + stored)
        with pytest.raises(EEGFileError, match=r"a\.mat: found"):
            read(path)
