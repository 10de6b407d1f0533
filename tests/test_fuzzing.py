"""Every reader of files against thousands of damaged files: a right answer, or the error it documents.

Each reader gets a small valid file and damages it in ways that its number alone decides. To see one failure
again, with the damaged file kept: ``FUZZ_SEED=17 python -m pytest tests/test_fuzzing.py -k "seed_v"``.
"""

from __future__ import annotations

import json
import os
import pickle
import re
import tracemalloc
import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import eeg_files
import numpy as np
import pytest
import yaml
from test_assets import joined_asset, make_sdist, make_wheel, sha256
from test_claims import ENTRY
from test_online import QUICK, Linear, pink
from test_sentiment import write_sets

from kernel import assets, claims, files
from kernel.assets import AssetCorruptError, AssetMissingError, _AssetFile
from kernel.brain import emoeegmc, faced, seedv
from kernel.brain.cohort import Cohort
from kernel.brain.pickles import load_npy, load_npz, load_pickle
from kernel.brain.readers import EEGFileError, UnsafePickleError
from kernel.brain.splits import make_split
from kernel.claims import ClaimsError
from kernel.decoding import bank
from kernel.decoding.online import OnlineDecoder, decode
from kernel.decoding.streams import read_log, replay
from kernel.language import construct, sentiment
from kernel.language.models import ModelLoadError, load_language_model

MEMORY = 64 * 2**20  # bytes that a reader may take beside ten times its file


# Damage


def damage(data: bytes, rng: np.random.Generator, text: bool) -> bytes:
    """One to three random changes of a file."""
    changes = TEXT if text else BINARY
    for _ in range(rng.integers(1, 4)):
        data = changes[rng.integers(len(changes))](data, rng)
    return data


def place(data: bytes, rng: np.random.Generator) -> int:
    """Anywhere, but half of the time near an end, where headers and directories are."""
    n, where = max(len(data), 1), rng.integers(4)
    if where == 0:
        return int(rng.integers(min(n, 512)))
    return int(n - 1 - rng.integers(min(n, 512))) if where == 1 else int(rng.integers(n))


def flip(data, rng):
    out = bytearray(data)
    for _ in range(rng.integers(1, 9) if out else 0):
        out[place(data, rng)] ^= 1 << int(rng.integers(8))
    return bytes(out)


def truncate(data, rng):
    return data[: place(data, rng)]


def block(data, rng):
    start = place(data, rng)
    return start, start + int(rng.choice([1, 2, 4, 8, 64, 1024]))


def delete(data, rng):
    start, stop = block(data, rng)
    return data[:start] + data[stop:]


def duplicate(data, rng):
    start, stop = block(data, rng)
    return data[:stop] + data[start:stop] + data[stop:]


def zero(data, rng):
    start, stop = block(data, rng)
    return data[:start] + bytes(len(data[start:stop])) + data[stop:]


def swap(data, rng):
    (a, b), width = sorted((place(data, rng), place(data, rng))), int(rng.choice([1, 2, 4, 8]))
    b = max(b, a + width)
    return data[:a] + data[b : b + width] + data[a + width : b] + data[a : a + width] + data[b + width :]


def huge_word(data, rng):
    """A length or a count of absurd size, in binary."""
    start, width = place(data, rng), int(rng.choice([2, 4, 8]))
    value = [2 ** (8 * width) - 1, 2 ** (8 * width - 1) - 1, 2 ** (8 * width - 2), 10**9 % 2 ** (8 * width)]
    word = int(rng.choice(np.array(value, dtype=object))).to_bytes(width, str(rng.choice(["little", "big"])))
    return data[:start] + word + data[start + width :]


NUMBERS = (b"1000000000000", b"100000000", b"-1", b"0", b"00", b"1e400", b"nan", b"9" * 400, b"3", b"17")


def other_number(data, rng):
    """A number in digits, such as a shape in a header, becomes another; the length is kept if it can be."""
    near = place(data, rng)
    found = re.compile(rb"\d+").search(data, max(0, near - 40))
    if not found:
        return flip(data, rng)
    word = NUMBERS[rng.integers(len(NUMBERS))]
    rest = data[found.end() :]
    extra = len(word) - (found.end() - found.start())
    if 0 < extra and rest[:400].count(b" " * extra):  # headers are padded with blanks
        at = rest.index(b" " * extra)
        rest = rest[:at] + rest[at + extra :]
    return data[: found.start()] + word + rest


WORDS = (
    *(b"", b"nan", b"inf", b"-1", b"1e309", b"[", b"{", b"]", b'"', b"'", b"\x00", b"\t", b",", b"\n", b"\r"),
    *(b"null", b"true", b"{}", b"[]", b": ", b"- ", b"&a", b"*a", b"#", b"%", b"?", b"0x", b"2020-99-99"),
    *(b"\xff\xfe", b"\xef\xbb\xbf", b"\xe2\x80\xa8", b"!!python/object/apply:os.getcwd []"),
    *(b"[" * 1500, b'{"a":' * 1500, b"9" * 5000),
)


def other_word(data, rng):
    tokens = [m.span() for m in re.finditer(rb"[\w.+-]+", data)]
    start, stop = tokens[rng.integers(len(tokens))] if tokens else (0, 0)
    return data[:start] + WORDS[rng.integers(len(WORDS))] + data[stop:]


def insert_word(data, rng):
    start = place(data, rng)
    return data[:start] + WORDS[rng.integers(len(WORDS))] + data[start:]


def lines(data, rng):
    """A line goes, comes twice, changes its place or loses its end."""
    rows = data.split(b"\n")
    i, j = rng.integers(len(rows), size=2)
    what = rng.integers(4)
    if what == 0:
        del rows[i]
    elif what == 1:
        rows.insert(i, rows[j])
    elif what == 2:
        rows[i], rows[j] = rows[j], rows[i]
    else:
        rows[i] = rows[i][: len(rows[i]) // 2]
    return b"\n".join(rows)


BINARY = (flip, truncate, delete, duplicate, zero, swap, huge_word, huge_word, other_number, other_number)
TEXT = (flip, truncate, delete, duplicate, swap, other_number, *2 * (other_word, lines), insert_word)


# Readers


@dataclass(frozen=True)
class Reader:
    """How a reader is tried: its file, what it raises, and how many times."""

    make: Callable  # (folder, monkeypatch) -> file to damage, function that reads it
    errors: tuple[type[Exception], ...]
    count: int
    text: bool = False


def arrays(folder, monkeypatch, protocol):
    value = {"de": np.arange(24.0).reshape(2, 3, 4), 1: [np.arange(5, dtype=">i2"), (1.5, "joy", b"x")]}
    path = folder / "arrays.pkl"
    path.write_bytes(pickle.dumps(value, protocol))
    return path, lambda: load_pickle(path)


def npy(folder, monkeypatch):
    path = folder / "array.npy"
    np.save(path, np.arange(24, dtype=np.float32).reshape(2, 3, 4))
    return path, lambda: load_npy(path)


def npy_object(folder, monkeypatch):
    path = folder / "object.npy"
    np.save(path, {"de": np.arange(24.0).reshape(4, 6)}, allow_pickle=True)
    return path, lambda: load_npy(path)


def npz(folder, monkeypatch, save=np.savez):
    path = folder / "arrays.npz"
    save(path, a=np.arange(12.0).reshape(3, 4), b=np.array(b"bytes"), c=np.array({"x": 1}, dtype=object))
    return path, lambda: load_npz(path)


def faced_de(folder, monkeypatch):
    monkeypatch.setattr(faced, "SECONDS", 1)
    truth = eeg_files.write_faced_de(folder, [3])
    path = folder / "EEG_Features" / "DE" / "sub003.pkl.pkl"
    path.write_bytes(pickle.dumps(truth[3][:, :, :1], 4))
    return path, lambda: faced.read_faced(folder, progress=False)


def faced_processed(folder, monkeypatch):
    monkeypatch.setattr(faced, "SECONDS", 1)
    path = folder / "sub003.pkl"
    data = 10 * np.random.default_rng(0).standard_normal((28, 32, 250)).astype(np.float32)
    path.write_bytes(pickle.dumps(data, 4))
    return path, lambda: faced.read_faced(folder, progress=False)


def bids(folder, monkeypatch, ending):
    monkeypatch.setattr(faced, "SECONDS", 1)
    eeg_files.write_faced_bids(folder, (0,), spacing=0.1, durations=30.0)
    (path,) = folder.rglob(f"*_{ending}")
    stem = Path(str(path).removesuffix(f"_{ending}"))
    if ending == "events.tsv":
        return path, lambda: faced._read_events(stem)
    return path, lambda: faced.read_faced(folder, progress=False)


def seed_v(folder, monkeypatch):
    eeg_files.write_seed_v_de(folder, (2,), n_windows=[1] * 45)
    path = folder / "EEG_DE_features" / "2_123.npz"
    return path, lambda: seedv.read_seed_v(folder, progress=False)


def seed_v_raw(folder, monkeypatch):
    monkeypatch.setattr(seedv, "SEED_V_TIMES", tuple((0, 4) for _ in range(45)))
    rng = np.random.default_rng(0)
    for session in (1, 2, 3):
        path = folder / f"1_{session}_20180804.cnt"
        eeg_files.write_cnt(path, eeg_files.noise_uv(rng, 66, 4400), 1000, eeg_files.SEED_V_NAMES)

    def read():  # one session: the other two are read alike
        seedv._read_session(path, seedv.SEED_V_TIMES[:1], seedv.SEED_V_BANDS)

    return path, read


def emoeeg(folder, monkeypatch):
    monkeypatch.setattr(emoeegmc, "SECONDS", 1)
    truth = eeg_files.write_emoeeg_mc(folder, (1,))
    (path,) = folder.rglob("*_de.npy")
    np.save(path, {"de": np.ascontiguousarray(truth[1][:, :, :1])}, allow_pickle=True)
    return path, lambda: emoeegmc.read_emoeeg_mc(folder, progress=False)


def emoeeg_readme(folder, monkeypatch):
    emoeeg(folder, monkeypatch)
    path = folder / "README"
    order = ", ".join(f"'{clip}'" for clip in eeg_files.EMOEEG_ORDER)
    path.write_text(f"Video sequences\n1. `[{order}]`\n- **sub-01** video: `[{order}]`\n")
    return path, lambda: emoeegmc.read_emoeeg_mc(folder, progress=False)


def small_cohort(**options):
    rng = np.random.default_rng(0)
    emotions = ["joy", "fear"] * 3
    return Cohort.from_arrays(
        rng.standard_normal((10, 6, 2, 3, 2)), subjects=range(10), emotions=emotions,
        channels=["Fz", "Cz", "Pz"], bands={"low": (1, 4), "high": (4, 8)}, dataset="FACED", provenance="p",
        ratings={"valence": np.arange(6.0)}, window=10.0, **options,
    )  # fmt: skip


def saved_cohort(folder, monkeypatch):
    path = small_cohort(order=np.tile(np.arange(1, 7), (10, 1)), simulated=True, seed=3).save(folder / "c.nc")

    def read():
        cohort = Cohort.load(path)
        # a cohort that was accepted can be used
        assert cohort.label and cohort.window > 0 and len(cohort.y) == len(cohort.clips)
        assert cohort.order.shape == cohort.present.shape and cohort.bands and cohort.hardware.size

    return path, read


def cached_array(folder, monkeypatch):
    truth = np.arange(30.0).reshape(5, 6)
    files.load_or_compute(folder, "key", lambda: truth)
    return folder / "key.npy", lambda: files.load_or_compute(folder, "key", lambda: truth)


def trained_member(folder, monkeypatch):
    cohort = small_cohort()
    specs = [bank.TrainingSpec(epochs=2, warmup_epochs=1, batch_size=16)]
    split = make_split(cohort, "leave_subjects_out")
    data = bank._Data.of(specs, cohort, split, None)
    options = {"folder": folder, "n_jobs": 1, "progress": False, "features": True}
    truth = bank.train_bank(specs, cohort, split, **options).checkpoints[0]
    (path,) = folder.glob("*.npz")

    def read():
        found = bank._read_checkpoint(path, specs[0], data, True)
        if found is not None:  # its archive has checksums: it is right or it is refused
            np.testing.assert_array_equal(found.logits, truth.logits)
            assert found.state.keys() == truth.state.keys() and found.epoch == truth.epoch
            np.testing.assert_array_equal(found.features, truth.features)

    return path, read


def decoder_state(folder, monkeypatch, name):
    x = pink(np.random.default_rng(0), 4, 6)
    with OnlineDecoder([Linear(0)], **QUICK, folder=folder) as decoder:
        list(decode(replay(x, 125), decoder))
    path, kept = folder / name, {file: file.read_bytes() for file in folder.iterdir()}

    def read():
        for file, content in kept.items():
            if file != path:
                file.write_bytes(content)
        if name == "records.jsonl":
            read_log(path)
        decoder = OnlineDecoder([Linear(0)], **QUICK, folder=folder)
        decoder.push(x[:, :125], decoder.n_samples / 125)
        decoder.close()

    return path, read


def rules(folder, monkeypatch):
    path = folder / "rules.yaml"
    path.write_text(yaml.safe_dump([ENTRY, ENTRY | {"id": "C2.other", "caveat": "Maybe."}]))
    return path, lambda: claims.parse_claims(path.read_bytes())


def ledger(folder, monkeypatch):
    path = folder / "claims.json"
    name = next(iter(claims.load_claims()))
    row = {"id": name, "data": "a model", "value": 0.7, "low": 0.6, "high": 0.8, "p": 0.01, "n": 9}
    rows = [row | {"simulated": False, "verdict": "supported", "note": ""}]
    rows.append(rows[0] | {"data": "another", "low": None, "high": None, "p": None})
    path.write_text(json.dumps(rows, indent=1))

    def read():
        found = {(r.id, r.data): r for r in claims.read_ledger(path)}
        assert len(claims.ledger(path)) and len(found) <= 4

    return path, read


def study_record(folder, monkeypatch):
    truth = {"status": "done", "auc_movie": 0.9, "paper_r": None}
    monkeypatch.setattr(construct, "_run_one", lambda name, progress, options: truth)
    monkeypatch.setattr(files, "source_digest", lambda *names: "0" * 64)
    construct.run_registry(["model"], folder, progress=False)
    return folder / "model.json", lambda: construct.run_registry(["model"], folder, progress=False)


def asset_manifest(folder, monkeypatch):
    asset = joined_asset(folder)
    monkeypatch.setattr(assets, "ASSETS", {"model": asset})
    monkeypatch.setenv("KERNEL_CACHE", str(folder / "cache"))
    target = asset.folder
    for file in asset.files:
        (target / file.path).parent.mkdir(parents=True, exist_ok=True)
        (target / file.path).write_bytes(bytes(file.size))
    path = target / "manifest.json"
    path.write_text(json.dumps(assets._manifest(asset)))
    return path, lambda: assets.path("model")


def asset_archive(folder, monkeypatch, kind):
    content = b"1\t3.2\tgood\n" * 50
    if kind == "wheel":
        package = make_wheel(folder, "rated", {"rated/table.txt": content})
        member = "rated/table.txt"
    else:
        package = make_sdist(folder, "rated", {"inner/table.txt": content})
        member = "rated-1.0/more/inner.tar.gz!inner/table.txt"
    path, target = folder / package.filename, folder / "out" / "table.txt"
    file = _AssetFile("table.txt", len(content), sha256(content), ((0, member),))

    def read():
        target.parent.mkdir(exist_ok=True)
        assets._unpack(file, [path], target)
        if sha256(target.read_bytes()) != file.sha256:  # as whoever unpacks does
            raise AssetCorruptError(path.name)
        assert target.read_bytes() == content

    return path, read


def snippets(folder, monkeypatch, name):
    truth, votes = folder / "tweets_GroundTruth.txt", folder / "tweets_anonDataRatings.txt"
    truth.write_text("".join(f"{i}\t1.5\tText number {i} &amp; more\n" for i in range(12)))
    votes.write_text("".join(f"{i}\t1.5\t0.5\t[1, 2, {i % 5 - 2}]\tText\n" for i in range(12)))
    (folder / "vader_lexicon.txt").write_text(
        "".join(f"word{'abcdef'[i]}\t{i - 2.5}\t0.6\t[1]\n" for i in range(6))
    )
    monkeypatch.setattr(assets, "path", lambda asset: folder)
    return folder / name, lambda: sentiment.load_benchmark("lexicon" if "lexicon" in name else "tweets")


def rated(folder, monkeypatch, name, file):
    write_sets(folder, monkeypatch, emotions=name == "goemotions")
    return folder / file, lambda: sentiment.load_benchmark(name)


def model_folder(folder, monkeypatch, name):
    from conftest import make_tiny_lm

    lm = make_tiny_lm(n_layers=1, width=8, max_length=16)
    lm.causal.save_pretrained(folder / "model")
    lm.tokenizer.save_pretrained(folder / "model")
    return folder / "model" / name, lambda: load_language_model(str(folder / "model"), device="cpu")


def with_(make, **fixed):
    return lambda folder, monkeypatch: make(folder, monkeypatch, **fixed)


EEG = (EEGFileError, UnsafePickleError)
READERS = {
    **{f"pickle_protocol_{k}": Reader(with_(arrays, protocol=k), EEG, 600) for k in (2, 3, 4, 5)},
    "npy": Reader(npy, EEG, 600),
    "npy_object": Reader(npy_object, EEG, 600),
    "npz": Reader(npz, EEG, 600),
    "npz_compressed": Reader(with_(npz, save=np.savez_compressed), EEG, 400),
    "faced_de": Reader(faced_de, EEG, 100),
    "faced_processed": Reader(faced_processed, EEG, 20),
    "faced_bids_bdf": Reader(with_(bids, ending="eeg.bdf"), EEG, 10),
    "faced_bids_events": Reader(with_(bids, ending="events.tsv"), EEG, 30, text=True),
    "faced_bids_channels": Reader(with_(bids, ending="channels.tsv"), EEG, 25, text=True),
    "seed_v_features": Reader(seed_v, EEG, 150),
    "seed_v_recording": Reader(seed_v_raw, EEG, 15),
    "emoeeg_mc": Reader(emoeeg, EEG, 120),
    "emoeeg_mc_readme": Reader(emoeeg_readme, (), 40, text=True),
    "cohort": Reader(saved_cohort, (ValueError,), 120),
    "cached_array": Reader(cached_array, (), 300),
    "trained_member": Reader(trained_member, (), 300),
    "decoder_checkpoint": Reader(with_(decoder_state, name="state.npz"), (), 60),
    "decoder_log": Reader(with_(decoder_state, name="records.jsonl"), (ValueError,), 150, text=True),
    "claims_yaml": Reader(rules, (ClaimsError,), 150, text=True),
    "claims_ledger": Reader(ledger, (ClaimsError,), 250, text=True),
    "study_record": Reader(study_record, (), 120, text=True),
    "asset_manifest": Reader(asset_manifest, (AssetMissingError,), 300, text=True),
    "asset_wheel": Reader(with_(asset_archive, kind="wheel"), (AssetCorruptError,), 300),
    "asset_sdist": Reader(with_(asset_archive, kind="sdist"), (AssetCorruptError,), 300),
    **{
        name: Reader(with_(snippets, name=f"{name}.txt"), (AssetCorruptError,), 180, text=True)
        for name in ("tweets_GroundTruth", "tweets_anonDataRatings", "vader_lexicon")
    },
    **{
        f"rated_{name}": Reader(with_(rated, name=name, file=file), (AssetCorruptError,), 120, text=True)
        for name, file in {
            "sst2": "dev.tsv", "rotten_tomatoes": "rt-polarity.neg", "tweeteval": "test_text.txt",
            "goemotions": "train.tsv", "emobank": "emobank.csv", "warriner": "NoVAD_v2013.csv",
            "labmt": "labMT_English.tsv",
        }.items()
    },
    "model_weights": Reader(with_(model_folder, name="model.safetensors"), (ModelLoadError,), 25),
    "model_config": Reader(with_(model_folder, name="config.json"), (ModelLoadError,), 25, text=True),
}  # fmt: skip


def test_there_are_thousands_of_damaged_files():
    assert sum(reader.count for reader in READERS.values()) >= 7_000


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", READERS)
def test_a_damaged_file_gives_an_answer_or_the_documented_error(name, tmp_path, monkeypatch, capsys):
    reader = READERS[name]
    path, read = reader.make(tmp_path, monkeypatch)
    whole = path.read_bytes()
    read()  # the file as it is gives no error
    path.write_bytes(whole)
    only = os.environ.get("FUZZ_SEED")
    outcomes, failures = Counter(), []
    tracemalloc.start(1)
    try:
        for seed in range(reader.count) if only is None else [int(only)]:
            damaged = damage(whole, np.random.default_rng((zlib.crc32(name.encode()), seed)), reader.text)
            path.write_bytes(damaged)
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            outcome, problem = attempt(read, reader.errors, path)
            peak = tracemalloc.get_traced_memory()[1] - before
            if peak > MEMORY + 10 * len(damaged):
                problem = f"{peak / 2**20:.0f} MB for a file of {len(damaged)} bytes"
            outcomes[outcome] += 1
            if problem:
                failures.append(f"{name}, seed {seed}: {problem}")
    finally:
        tracemalloc.stop()
    with capsys.disabled() if os.environ.get("FUZZ_COUNTS") else warnings.catch_warnings():
        print(f"\n{name}: {dict(outcomes)}")
    assert not failures, f"{len(failures)} of {sum(outcomes.values())}\n" + "\n".join(failures[:15])
    # both happen, or the damage is not of the right size
    assert only or len(outcomes) > 1 or not reader.errors


def attempt(read, errors, path) -> tuple[str, str]:
    """What came of it, and what is wrong with that."""
    try:
        read()
    except AssertionError as error:
        return "wrong", f"a wrong answer passed for a right one: {error}"
    except Exception as error:
        kind = type(error).__name__
        if type(error) not in errors:  # a subclass such as UnicodeDecodeError is no documented error
            return kind, f"{kind}: {str(error)[:200]!r}"
        named = path.stem.split(".")[0] in str(error) or str(path.parent) in str(error)
        if not named and path.suffix != ".yaml":
            return kind, f"{kind} does not name {path.name}: {str(error)[:300]!r}"
        return kind, ""
    return "read", ""


# Code in files


class Payload:
    """Makes a folder when it is unpickled."""

    def __init__(self, place):
        self.place = place

    def __reduce__(self):
        return os.mkdir, (str(self.place),)


def planted(folder, place):
    """Files of every reader that could be fooled into unpickling, each with how it is read."""
    evil = Payload(place)
    boxed = np.array(evil, dtype=object)
    eeg_files.write_seed_v_de(folder / "seed", (1,), n_windows=[1] * 45)
    np.savez(folder / "seed" / "EEG_DE_features" / "1_123.npz", data=pickle.dumps(evil, 3), label=b"")
    np.savez(folder / "object.npz", data=boxed)
    np.save(folder / "object.npy", boxed)
    (folder / "arrays.pkl").write_bytes(pickle.dumps({"de": np.zeros(3), "more": evil}))
    for name, held in (("DE/sub001.pkl.pkl", evil), ("Processed_data/sub001.pkl", [evil])):
        (folder / "faced" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "faced" / name).write_bytes(pickle.dumps(held))
    eeg_files.write_emoeeg_mc(folder / "emoeeg", (1,))
    (de,) = (folder / "emoeeg").rglob("*_de.npy")
    np.save(de, boxed)
    return {
        "pickle": lambda: load_pickle(folder / "arrays.pkl"),
        "npy": lambda: load_npy(folder / "object.npy"),
        "npz": lambda: load_npz(folder / "object.npz"),
        "FACED features": lambda: faced.read_faced(folder / "faced", progress=False),
        "FACED signals": lambda: faced.read_faced(folder / "faced", source="processed", progress=False),
        "SEED-V": lambda: seedv.read_seed_v(folder / "seed", progress=False),
        "EmoEEG-MC": lambda: emoeegmc.read_emoeeg_mc(folder / "emoeeg", progress=False),
    }


def test_no_reader_runs_what_a_file_names(tmp_path):
    place = tmp_path / "was-run"
    for name, read in planted(tmp_path, place).items():
        with pytest.raises(UnsafePickleError, match="Nothing was run"):
            read()
        assert not place.exists(), name
    # the same payload would have run
    for file in ("arrays.pkl", "object.npy"):
        data = (tmp_path / file).read_bytes()
        pickle.loads(data[data.index(b"\x80\x04") if file.endswith("pkl") else data.index(b"\n") + 1 :])
        assert place.is_dir()
        place.rmdir()


def test_no_store_of_ours_runs_what_a_file_names(tmp_path, monkeypatch):
    place, (member, read_member) = tmp_path / "was-run", trained_member(tmp_path / "bank", monkeypatch)
    boxed = np.array(Payload(place), dtype=object)
    np.save(tmp_path / "key.npy", boxed)
    np.savez(member, logits=boxed)
    (tmp_path / "decoder").mkdir()
    np.savez(tmp_path / "decoder" / "state.npz", settings=boxed)
    with pytest.warns(UserWarning, match="unreadable"):
        assert files.load_or_compute(tmp_path, "key", lambda: [1, 2]).tolist() == [1, 2]
    np.save(tmp_path / "key.npy", boxed)
    with pytest.warns(UserWarning, match="unreadable"):
        read_member()
    with pytest.warns(UserWarning, match="unreadable"):
        OnlineDecoder([Linear(0)], **QUICK, folder=tmp_path / "decoder").close()
    text = f"!!python/object/apply:os.mkdir [{place}]"
    with pytest.raises(ClaimsError, match="python/object"):
        claims.parse_claims(text)
    assert not place.exists()
    for run in (lambda: np.load(tmp_path / "key.npy", allow_pickle=True), lambda: yaml.unsafe_load(text)):
        run()
        assert place.is_dir()
        place.rmdir()


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_an_archive_that_announces_little_and_unpacks_much_is_refused(tmp_path, method):
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", method) as archive:
        archive.writestr("data.npy", bytes(2**20))
    with pytest.raises(EEGFileError, match=r"packed by method|times its size"):
        load_npz(tmp_path / "bomb.npz")
