"""Tiny files in the exact formats of the EEG data sets: no data set is needed to test a reader.

Each writer fills a folder the way the data set does and returns the truth it wrote. Signals are random;
nothing is real.
"""

from __future__ import annotations

import pickle
import struct
from pathlib import Path

import numpy as np
from scipy.io import savemat

# Typed out again rather than imported: a test must not learn the format from the code it tests.
SCALP = (
    "Fp1 Fp2 Fz F3 F4 F7 F8 FC1 FC2 FC5 FC6 Cz C3 C4 T7 T8 CP1 CP2 CP5 CP6 Pz P3 P4 P7 P8 PO3 PO4 Oz O1 O2"
).split()
CHANNELS_LATE = [*SCALP, "HEOR", "HEOL"]
CHANNELS_EARLY = (
    "Fp1 Fp2 Fz F3 F4 F7 F8 FC1 FC2 FC5 FC6 Cz C3 C4 T3 T4 A1 A2 CP1 CP2 CP5 CP6 Pz P3 P4 T5 T6 PO3 PO4 Oz "
    "O1 O2"
).split()
OLD_NAMES = {"T7": "T3", "T8": "T4", "P7": "T5", "P8": "T6"}
EMOTIONS = (
    ["Anger"] * 3 + ["Disgust"] * 3 + ["Fear"] * 3 + ["Sadness"] * 3 + ["\\"] * 4
    + ["Amusement"] * 3 + ["Inspiration"] * 3 + ["Joy"] * 3 + ["Tenderness"] * 3
)  # fmt: skip
FILMS = {7: "The Shining", 8: "The Shining", 13: "Blue", 14: "Blue", 15: "Blue", 16: "Blue"}
ITEMS = (
    "Joy Tenderness Inspiration Amusement Anger Disgust Fear Sadness Arousal Valence Familiarity Liking"
).split()
SEED_V_NAMES = (
    "FP1 FPZ FP2 AF3 AF4 F7 F5 F3 F1 FZ F2 F4 F6 F8 FT7 FC5 FC3 FC1 FCZ FC2 FC4 FC6 FT8 T7 C5 C3 C1 CZ C2 C4 "
    "C6 T8 M1 TP7 CP5 CP3 CP1 CPZ CP2 CP4 CP6 TP8 M2 P7 P5 P3 P1 PZ P2 P4 P6 P8 PO7 PO5 PO3 POZ PO4 PO6 PO8 "
    "CB1 O1 OZ O2 CB2 VEO HEO"
).split()
SEED_V_LABELS = [4, 1, 3, 2, 0] * 3 + [2, 1, 3, 0, 4, 4, 0, 3, 2, 1, 3, 4, 1, 2, 0] * 2


def write_bdf(path, data, sfreq, names):
    """Write (n_channels, n_times) as 24-bit BDF with records of 1 s; n_times is a multiple of sfreq.

    Returns the data as the file's integers say them, a step of 1/32 unit from what was given.
    """
    n_channels, n_times = data.shape
    n_records, left = divmod(n_times, sfreq)
    assert not left and len(names) == n_channels

    def field(text, width):
        return str(text).encode("latin-1")[:width].ljust(width)

    header = b"\xffBIOSEMI" + field("X X X X", 80) + field("Startdate 01-JAN-2020 X X X", 80)
    header += b"01.01.2000.00.00" + field(256 * (n_channels + 1), 8) + field("24BIT", 44)
    header += field(n_records, 8) + field(1, 8) + field(n_channels, 4)
    header += b"".join(field(name, 16) for name in names)
    limit = 262_144.0
    ranges = ((-int(limit), 8), (int(limit), 8), (-8388608, 8), (8388607, 8))
    for text, width in (("AgAgCl", 80), ("uV", 8), *ranges, ("", 80), (sfreq, 8), ("", 32)):
        header += field(text, width) * n_channels
    step = 2 * limit / 16_777_215
    counts = np.clip(np.rint((data + limit) / step) - 8_388_608, -8_388_608, 8_388_607).astype("<i4")
    records = counts.reshape(n_channels, n_records, sfreq).swapaxes(0, 1)
    path.write_bytes(header + np.ascontiguousarray(records)[..., None].view("u1")[..., :3].tobytes())
    return (counts + 8_388_608.0) * step - limit


def noise_uv(rng, n_channels, n_times, *, sd=10.0):
    """Pink-ish noise in uV with a random offset per channel, as an amplifier delivers it."""
    white = rng.standard_normal((n_channels, n_times))
    smooth = np.cumsum(white, 1)
    smooth -= np.linspace(0, 1, n_times) * smooth[:, -1:]
    mixed = white + 0.05 * smooth
    return sd * mixed / mixed.std(1, keepdims=True) + rng.uniform(-500, 500, (n_channels, 1))


def write_faced_bids(
    root,
    subjects=(0, 61),
    *,
    seed=0,
    sfreq=None,
    spacing=1.0,
    order=None,
    durations=40.0,
    seconds=30,
):
    """Write a BIDS copy of FACED below `root`; a short `spacing` lets clips overlap and keeps files small.

    Gives subject -> {"clips": (28, 30, seconds * sfreq) in uV, scalp channels by clip; "order": (28,);
    "ratings": (28, 12)}.
    """
    truth = {}
    for subject in subjects:
        rng = np.random.default_rng((seed, subject))
        rate = (sfreq or {}).get(subject, 250)
        names = CHANNELS_EARLY if subject <= 60 else CHANNELS_LATE
        folder = Path(root) / f"sub-{subject:03d}" / "eeg"
        folder.mkdir(parents=True)
        stem = folder / f"sub-{subject:03d}_task-watchingVideoClips"
        shown = rng.permutation(28) + 1 if order is None else np.asarray(order)
        onsets = 5.0 + np.arange(28) * spacing
        data = noise_uv(rng, 32, int(np.ceil(onsets[-1] + durations) + 1) * rate)
        data = write_bdf(Path(f"{stem}_eeg.bdf"), data, rate, names)
        ratings = rng.uniform(0, 7, (28, 12))
        rows = [("name", "units", "status")]
        rows += [(name, "µV", "good") for name in names]
        _write_tsv(f"{stem}_channels.tsv", rows)
        _write_tsv(f"{stem}_events.tsv", _event_rows(shown, onsets, durations, ratings, rate))
        scalp = [names.index(OLD_NAMES.get(name, name) if subject <= 60 else name) for name in SCALP]
        clips = np.empty((28, 30, seconds * rate))
        for clip, onset in zip(shown, onsets, strict=True):
            stop = round((onset + durations) * rate)
            clips[clip - 1] = data[scalp, stop - seconds * rate : stop]
        truth[subject] = {"clips": clips, "order": np.argsort(shown) + 1, "ratings": ratings}
    return truth


def _write_tsv(path, rows):
    """Tab-separated, with the byte order mark that the tables of the BIDS copy have."""
    text = "\n".join("\t".join(str(cell) for cell in row) for row in rows) + "\n"
    Path(path).write_text(text, encoding="utf-8-sig")


def _event_rows(shown, onsets, duration, ratings, rate):
    head = "onset duration trial_type value sample emotion_label binary_label video_index".split()
    rows = [[*head, *ITEMS]]
    for second in (1.0, 1.5):
        rows.append([second, 0.0, "Experiment start", 5, round(second * rate), *["n/a"] * 15])
    for clip, onset in zip(shown, onsets, strict=True):
        film = FILMS.get(clip, f"Film {clip}")
        valence = "neutral" if 13 <= clip <= 16 else "negative" if clip < 13 else "positive"
        trigger = (clip * 7) % 25 + 1  # the trigger code is not the clip number
        about = [onset, duration, film, trigger, round(onset * rate), EMOTIONS[clip - 1], valence, clip]
        rows.append([*about, *ratings[clip - 1]])
    return rows


def write_faced_processed(root, subjects=(0,), *, seed=0, scale=None, seconds=30):
    """Write official ``Processed_data/subXXX.pkl``, (28, 32, 7500) in uV; `scale` multiplies subjects."""
    folder = Path(root) / "Processed_data"
    folder.mkdir(parents=True, exist_ok=True)
    truth = {}
    for subject in subjects:
        rng = np.random.default_rng((seed, subject))
        data = rng.standard_normal((28, 32, 250 * seconds), dtype=np.float32)
        truth[subject] = data * 10 * (scale or {}).get(subject, 1.0)
        (folder / f"sub{subject:03d}.pkl").write_bytes(pickle.dumps(truth[subject], 4))
    return truth


def write_faced_de(root, subjects=range(10), *, seed=0, protocol=4, shift=None):
    """Write official ``EEG_Features/DE/subXXX.pkl.pkl`` of shape (28, 32, 30, 5) in nats."""
    folder = Path(root) / "EEG_Features" / "DE"
    folder.mkdir(parents=True, exist_ok=True)
    truth = {}
    for subject in subjects:
        rng = np.random.default_rng((seed, subject))
        de = 2.0 + rng.standard_normal((1, 32, 1, 5)) * 0.5 + rng.standard_normal((28, 32, 30, 5)) * 0.3
        de += (shift or {}).get(subject, 0.0)
        (folder / f"sub{subject:03d}.pkl.pkl").write_bytes(pickle.dumps(de, protocol))
        truth[subject] = de
    return truth


def write_faced_remarks(root, subjects=range(10), *, seed=0, change=lambda trials: trials):
    """Write official ``After_remarks/subXXX/After_remarks.mat``; `change` edits the trials in order shown.

    Returns subject -> {"order": (28,) by clip, "ratings": (28, 12) by clip}.
    """
    truth = {}
    for subject in subjects:
        rng = np.random.default_rng((seed, subject))
        shown, ratings = rng.permutation(28) + 1, rng.uniform(0, 7, (28, 12))
        trials = np.zeros((28, 1), dtype=[(name, object) for name in ("score", "trial", "vid", "Accuracy")])
        for k, clip in enumerate(shown):
            trials[k, 0] = (ratings[clip - 1][None], np.uint8(k + 1), np.uint8(clip), np.zeros((1, 0)))
        folder = Path(root) / "After_remarks" / f"sub{subject:03d}"
        folder.mkdir(parents=True)
        savemat(folder / "After_remarks.mat", {"After_remark": change(trials)}, do_compression=True)
        truth[subject] = {"order": np.argsort(shown) + 1, "ratings": ratings}
    return truth


def write_seed_v_de(root, subjects=(1, 2), *, seed=0, protocol=3, n_windows=None):
    """Write ``EEG_DE_features/{s}_123.npz``; returns subject -> list of 45 arrays (n_windows, 310)."""
    folder = Path(root) / "EEG_DE_features"
    folder.mkdir(parents=True, exist_ok=True)
    truth = {}
    for subject in subjects:
        rng = np.random.default_rng((seed, subject))
        lengths = rng.integers(3, 9, 45) if n_windows is None else n_windows
        data = {i: 2.0 + rng.standard_normal((int(n), 310)) for i, n in enumerate(lengths)}
        marks = {i: np.full(len(data[i]), float(SEED_V_LABELS[i])) for i in data}
        packed = {"data": pickle.dumps(data, protocol), "label": pickle.dumps(marks, protocol)}
        np.savez(folder / f"{subject}_123.npz", **packed)
        truth[subject] = [data[i] for i in range(45)]
    return truth


def write_cnt(path, data, sfreq, names):
    """Write (n_channels, n_times) in uV as a Neuroscan CNT file of 32-bit integers, 0.01 uV a count."""
    n_channels, n_times = data.shape
    head = bytearray(900)
    head[205 + 20 : 205 + 30], head[205 + 30 : 205 + 42] = b"01/01/20  ", b"00:00:00    "
    struct.pack_into("<H", head, 370, n_channels)
    struct.pack_into("<H", head, 376, sfreq)
    struct.pack_into("<l", head, 864, n_times)
    table = 900 + 75 * n_channels + 4 * n_channels * n_times
    struct.pack_into("<l", head, 886, table)
    electrodes = bytearray()
    for i, name in enumerate(names):
        block = bytearray(75)
        block[: len(name)] = name.encode()
        angle = 2 * np.pi * i / len(names)
        struct.pack_into("<ff", block, 19, 100 * np.cos(angle), 100 * np.sin(angle))
        struct.pack_into("<f", block, 59, 2.048)  # sensitivity: counts * 2.048 * cal / 204.8 uV
        struct.pack_into("<f", block, 71, 1.0)
        electrodes += block
    counts = np.rint(data / 0.01).astype("<i4").T  # one sample of every channel after another
    path.write_bytes(bytes(head) + bytes(electrodes) + counts.tobytes() + struct.pack("<Bll", 1, 0, 0))


EMOEEG_ORDER = [f"{emotion}{k}" for emotion in "sad dis fear neu joy ten ins".split() for k in (4, 5, 8)]
EMOEEG_HAVE = {57: 15, 59: 17, 60: 9, 55: 18}


def write_emoeeg_mc(root, subjects=(1, 2), *, seed=0, layout="trials"):
    """Write ``derivatives/.../sub-XX_..._de.npy``, a saved dict; returns subject -> (n_trials, 64, 30, 5)."""
    truth = {}
    for subject in subjects:
        rng = np.random.default_rng((seed, subject))
        count = EMOEEG_HAVE.get(subject, 21)
        de = 2.0 + rng.standard_normal((count, 64, 30, 5))
        folder = Path(root) / "derivatives" / f"sub-{subject:02d}" / "ses-vid" / "eeg"
        folder.mkdir(parents=True)
        stored = de if layout == "trials" else de.swapaxes(0, 1).reshape(64, count * 30, 5)
        path = folder / f"sub-{subject:02d}_ses-vid_task-emotion_de.npy"
        np.save(path, {"de": np.ascontiguousarray(stored)}, allow_pickle=True)
        truth[subject] = de
    return truth
