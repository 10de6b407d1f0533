"""SEED-V's features and recordings, in generated files of the exact formats, sound and spoilt."""

from __future__ import annotations

import pickle
import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from eeg_files import SEED_V_LABELS, SEED_V_NAMES, write_cnt, write_seed_v_de
from scipy.ndimage import gaussian_filter1d

from kernel.brain import seedv
from kernel.brain.features import differential_entropy
from kernel.brain.readers import EEGFileError
from kernel.brain.seedv import read_seed_v
from kernel.brain.splits import make_split

QUIET = {"progress": False}
N_TIMES = 13_000  # ms of recording: real trials last minutes
SHORT_TIMES = tuple((1 + i % 15 // 3, 1 + i % 15 // 3 + (9 if i == 20 else 4)) for i in range(45))


def spoil(path, *, data=None, label=None, **members):
    """Change one member of a sound file: a function of its dict, or other bytes."""
    with np.load(path) as archive:
        held = {key: pickle.loads(archive[key].item()) for key in ("data", "label")}
    for key, change in (("data", data), ("label", label)):
        if change is not None:
            held[key] = change(held[key])
    packed = {key: value if isinstance(value, bytes) else pickle.dumps(value) for key, value in held.items()}
    np.savez(path, **{**packed, **members})


def replaced(i, value):
    return lambda held: {**held, i: value}


@pytest.mark.parametrize(("protocol", "where"), [(2, "."), (3, "EEG_DE_features"), (5, ".")])
def test_features_are_read_trial_by_trial(tmp_path, protocol, where):
    truth = write_seed_v_de(tmp_path, (2, 1, 16), protocol=protocol)
    cohort = read_seed_v(tmp_path / where, **QUIET)
    assert cohort.subjects.tolist() == [1, 2, 16] and cohort.window == 4.0
    for i, subject in enumerate((1, 2, 16)):
        for j, trial in enumerate(truth[subject]):
            assert cohort.n_windows[i, j] == len(trial)
            # a row holds channel after channel: column 5 c + b is channel c, band b
            got = cohort.de[i, j, : len(trial)]
            np.testing.assert_allclose(got[:, 7, 3], trial[:, 5 * 7 + 3], rtol=1e-6)
            np.testing.assert_allclose(got.reshape(len(trial), 310), trial, rtol=1e-6)
            assert np.isnan(cohort.de[i, j, len(trial) :]).all()


def test_the_design_is_that_of_the_release(tmp_path):
    write_seed_v_de(tmp_path, range(1, 6))
    cohort = read_seed_v(tmp_path, **QUIET)
    assert cohort.classes == ("disgust", "fear", "sadness", "neutral", "joy")
    assert cohort.y.tolist() == SEED_V_LABELS and np.bincount(cohort.y).tolist() == [9] * 5
    assert cohort.channels == [
        n.replace("FP", "Fp").replace("Z", "z") for n in SEED_V_NAMES if n not in "M1M2VEOHEO"
    ]
    assert cohort.bands["gamma"] == (31.0, 50.0) and len(cohort.channels) == 62
    assert cohort.order[0].tolist() == list(range(1, 46))
    for times in (seedv.SEED_V_TIMES[:15], seedv.SEED_V_TIMES[15:30], seedv.SEED_V_TIMES[30:]):
        assert all(stop < start for (_, stop), (start, _) in pairwise(times))  # trials follow one another
    shared = make_split(cohort, "cbramod")
    assert shared.shares_subjects and not shared.shares_clips
    assert not make_split(cohort, "leave_subjects_out").shares_subjects


nan = np.zeros((4, 310))
nan[2, 9] = np.nan


SPOILT = {
    r"data\]\[7\]: found .*\(5, 309\).*feature 310": {"data": replaced(7, np.zeros((5, 309)))},
    r"data\]\[7\]: found no window": {"data": replaced(7, np.zeros((0, 310)))},
    r"first at window 2, feature 9": {"data": replaced(7, nan)},
    r"44 trials, expected .* 0 to 44": {"data": lambda held: {k: held[k] for k in range(44)}},
    r"found list, expected a dict": {"data": lambda held: list(held.values())},
    r"label\]\[3\]: found .*\(99,\)": {"label": replaced(3, np.zeros(99))},
    r"\[2.0\], expected 4 \(joy": {"label": lambda held: {**held, 0: np.full_like(held[0], 2.0)}},
    r"data\]: found .*truncated": {"data": lambda held: pickle.dumps(held)[:-40]},
}


@pytest.mark.parametrize("match", SPOILT)
def test_a_spoilt_file_is_named_with_what_was_found_and_expected(tmp_path, match):
    write_seed_v_de(tmp_path, (1, 2))
    path = tmp_path / "EEG_DE_features" / "2_123.npz"
    spoil(path, **SPOILT[match])
    with pytest.raises(EEGFileError, match=match) as caught:
        read_seed_v(tmp_path, **QUIET)
    assert str(path) in str(caught.value)
    assert read_seed_v(tmp_path, subjects=[1], **QUIET).subjects.tolist() == [1]


def test_a_damaged_or_exploding_archive_is_named(tmp_path):
    write_seed_v_de(tmp_path, (1,))
    path = tmp_path / "EEG_DE_features" / "1_123.npz"
    sound = path.read_bytes()
    for data in (b"", sound[:1000], sound[: len(sound) // 2] + b"\0" * 100):
        path.write_bytes(data)
        with pytest.raises(EEGFileError, match=r"1_123\.npz: found no archive"):
            read_seed_v(tmp_path, **QUIET)
    np.savez_compressed(path, data=np.zeros(1_000_000), label=np.zeros(1))
    with pytest.raises(EEGFileError, match=r"bytes once unpacked, expected at most 100 times"):
        read_seed_v(tmp_path, **QUIET)
    np.savez(path, data=np.zeros(3))
    with pytest.raises(EEGFileError, match=r"members \['data'\], expected also \['label'\]"):
        read_seed_v(tmp_path, **QUIET)


def test_says_what_a_folder_or_a_request_lacks(tmp_path):
    def refused(match, place=tmp_path, error=EEGFileError, **options):
        with pytest.raises(error, match=match):
            read_seed_v(place, **QUIET, **options)

    refused("found an empty folder")
    refused("found nothing", tmp_path / "absent")
    write_seed_v_de(tmp_path, (1, 2))
    refused(r"found 2 subjects between 1 and 2, expected subjects \[3\]", subjects=[1, 3])
    refused(r"DE files.*bands='seed'", bands="paper")
    refused("bands must be one of seed, paper, official; got 'no'", error=ValueError, bands="no")
    (tmp_path / "1_123.npz").write_bytes(b"")
    refused("a recording twice")


# Recordings


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("seedv") / "EEG_raw"
    folder.mkdir()
    truth = {}
    for session in (1, 2, 3):
        rng = np.random.default_rng(session)
        # smooth over some 6 ms, as the amplifier's own filter would: those of 1000 Hz are then an oracle
        x = gaussian_filter1d(rng.standard_normal((66, N_TIMES)), 2.5, axis=1) * rng.uniform(10, 40, (66, 1))
        write_cnt(folder / f"4_{session}_20180101.cnt", x, 1000, SEED_V_NAMES)
        truth[session] = np.rint(x / 0.01) * 0.01
    return folder, truth


@pytest.fixture
def short(monkeypatch):
    monkeypatch.setattr(seedv, "SEED_V_TIMES", SHORT_TIMES)


@pytest.mark.parametrize("bands", ["seed", "paper"])
def test_recordings_give_the_entropies_of_their_trials_by_name(recordings, short, bands):
    folder, truth = recordings
    cohort = read_seed_v(folder.parent, bands=bands, **QUIET)
    assert cohort.subjects.tolist() == [4] and cohort.n_windows[0].tolist() == [1] * 20 + [2] + [1] * 24
    scalp = [i for i, name in enumerate(SEED_V_NAMES) if name not in ("M1", "M2", "VEO", "HEO")]
    table = {name: edges for name, edges in cohort.bands.items()}
    for trial in (0, 14, 20, 44):
        start, stop = (1000 * s for s in SHORT_TIMES[trial])
        x = truth[trial // 15 + 1][scalp, start:stop]
        want = differential_entropy(x, 1000, table, window=4.0).swapaxes(0, 1)  # without an anti-alias filter
        got = cohort.de[0, trial, : len(want)]
        # the ends of a trial weigh in slow bands, and differ between rates; channels differ by up to ln 4
        # nats
        np.testing.assert_allclose(got[..., 2:], want[..., 2:], atol=0.1)
        assert np.abs(got - want).mean() < 0.1


def test_channels_are_found_by_name_wherever_they_are(recordings, short, tmp_path):
    folder, truth = recordings
    turn = np.roll(np.arange(66), 5)
    for session in (1, 2, 3):
        path = tmp_path / f"4_{session}_2.cnt"
        write_cnt(path, truth[session][turn], 1000, [SEED_V_NAMES[i] for i in turn])
    np.testing.assert_allclose(read_seed_v(tmp_path, **QUIET).de, read_seed_v(folder, **QUIET).de, atol=1e-5)


def renamed(path):
    path.write_bytes(path.read_bytes().replace(b"FCZ\0", b"XX\0\0", 1))


def silenced(path):
    data = bytearray(path.read_bytes())
    samples = np.frombuffer(data, "<i4", 66 * N_TIMES, offset=900 + 75 * 66).reshape(-1, 66).copy()
    samples[:, SEED_V_NAMES.index("CZ")] = 0
    data[900 + 75 * 66 : 900 + 75 * 66 + samples.nbytes] = samples.tobytes()
    path.write_bytes(data)


def at_500_hz(path):
    data = bytearray(path.read_bytes())
    data[376:378] = (500).to_bytes(2, "little")
    path.write_bytes(data)


SPOILT_RECORDINGS = {
    r"unknown \['XX'\], without \['FCz'\]": renamed,
    r"flat channels \['CZ'\] in trial 1": silenced,
    r"500.0 Hz, expected 1000 Hz": at_500_hz,
    r"4_2_20180101\.cnt: found": lambda p: p.write_bytes(p.read_bytes()[:-1_000_000]),
    r"unreadable recording": lambda p: p.write_bytes(b""),
    r"sessions \[1, 3\] of subject 4, expected also \[2\]": lambda p: p.unlink(),
    r"a recording twice": lambda p: p.with_name("4_2_20190101.cnt").write_bytes(b""),
}


@pytest.mark.parametrize("match", SPOILT_RECORDINGS)
def test_a_spoilt_recording_is_named(recordings, short, tmp_path, match):
    folder = tmp_path / "EEG_raw"
    shutil.copytree(recordings[0], folder)
    SPOILT_RECORDINGS[match](folder / "4_2_20180101.cnt")
    with pytest.raises(EEGFileError, match=match) as caught:
        read_seed_v(tmp_path, **QUIET)
    assert str(tmp_path) in str(caught.value)


def test_a_recording_too_short_for_its_trials_is_named(recordings):
    with pytest.raises(EEGFileError, match=r"13.0 s of recording, expected trial 1 until 102.0 s"):
        read_seed_v(Path(recordings[0]), **QUIET)
