"""SEED-V as a cohort: 16 people, three sessions of 15 film clips, five emotions.

In:  a folder with the released features (``EEG_DE_features/{subject}_123.npz``) or recordings
     (``EEG_raw/{subject}_{session}_{date}.cnt``).
Out: a :class:`~kernel.brain.cohort.Cohort`, subject x 45 trials x windows of 4 s x 62 channels x 5 bands.
     Trials differ in length: the windows after a trial's end are NaN.
Never: writes or fetches anything (the data are given on application), or unpickles more than arrays.

Trials 1-15, 16-30 and 31-45 are sessions 1, 2 and 3, each with clips of its own.

References
----------
Liu et al. (2022), IEEE Transactions on Cognitive and Developmental Systems 14(2).
doi:10.1109/TCDS.2021.3071170
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from scipy.signal import resample_poly
from tqdm.auto import tqdm

from kernel.brain.cohort import Cohort
from kernel.brain.features import BANDS, differential_entropy
from kernel.brain.pickles import check_array, chosen, load_npz, loads_pickle, refuse_flat, unexpected
from kernel.files import absolute

# label 0 to 4; the release says disgust, fear, sad, neutral, happy
SEED_V_CLASSES = ("disgust", "fear", "sadness", "neutral", "joy")
SEED_V_BANDS = {
    "delta": (1.0, 4.0),
    "theta": (4.0, 8.0),
    "alpha": (8.0, 14.0),
    "beta": (14.0, 31.0),
    "gamma": (31.0, 50.0),
}
SEED_V_LABELS = (4, 1, 3, 2, 0) * 3 + (2, 1, 3, 0, 4, 4, 0, 3, 2, 1, 3, 4, 1, 2, 0) * 2
SEED_V_CHANNELS = tuple(
    "Fp1 Fpz Fp2 AF3 AF4 F7 F5 F3 F1 Fz F2 F4 F6 F8 FT7 FC5 FC3 FC1 FCz FC2 FC4 FC6 FT8 T7 C5 C3 C1 Cz C2 "
    "C4 C6 T8 TP7 CP5 CP3 CP1 CPz CP2 CP4 CP6 TP8 P7 P5 P3 P1 Pz P2 P4 P6 P8 PO7 PO5 PO3 POz PO4 PO6 PO8 "
    "CB1 O1 Oz O2 CB2".split()
)
# start and end of each trial in s from the start of its recording
SEED_V_TIMES = (
    (30, 102), (132, 228), (287, 524), (555, 742), (773, 920), (982, 1240), (1271, 1568), (1628, 1697),
    (1730, 1994), (2025, 2166), (2227, 2401), (2435, 2607), (2667, 2901), (2932, 3172), (3204, 3359),
    (30, 267), (299, 488), (548, 614), (646, 773), (836, 967), (1000, 1059), (1091, 1331), (1392, 1622),
    (1657, 1777), (1809, 1908), (1966, 2153), (2186, 2302), (2333, 2428), (2490, 2709), (2741, 2817),
    (30, 321), (353, 418), (478, 643), (674, 764), (825, 877), (908, 1147), (1200, 1284), (1346, 1418),
    (1451, 1679), (1711, 1996), (2055, 2275), (2307, 2425), (2457, 2664), (2726, 2857), (2888, 3066),
)  # fmt: skip
WINDOW = 4.0
NOT_SCALP = frozenset({"M1", "M2", "VEO", "HEO"})
RAW_SFREQ, SFREQ = 1000, 200


def read_seed_v(
    path: str | PathLike[str],
    *,
    bands: str = "seed",
    subjects: Iterable[int] | None = None,
    source: str = "auto",
    progress: bool = True,
) -> Cohort:
    """Read SEED-V from its released features or its recordings.

    Parameters
    ----------
    path : path-like
        The release's folder, or its ``EEG_DE_features`` or ``EEG_raw``. Only read.
    bands : {"seed", "official", "paper"}
        Bands of the features: the release's own, which are the only ones its DE files have, or a table of
        :data:`kernel.brain.features.BANDS`.
    subjects : iterable of int, optional
        Ids 1 to 16; by default all that the folder holds.
    source : {"auto", "de", "raw"}
        Which to read where both are there; ``auto`` prefers the DE files where their bands serve.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Cohort
        Nats of microvolts. Recordings are cut into trials and brought to 200 Hz; they keep reference and
        artefacts.

    Raises
    ------
    EEGFileError
        If a file is missing, truncated, of another shape, holds NaN, other labels, a flat or an unknown
        channel, or a pickle of anything but arrays.
    ValueError
        If an option does not exist.
    """
    tables = {"seed": SEED_V_BANDS, **BANDS}
    for name, value, admitted in (("bands", bands, tables), ("source", source, ("auto", "de", "raw"))):
        if value not in admitted:
            raise ValueError(f"{name} must be one of {', '.join(admitted)}, got {value!r}")
    path = absolute(path)
    layout, files = _recognise(path, source, bands)
    files = chosen(files, subjects, path)
    trials = []
    for subject, entry in tqdm(files.items(), desc="SEED-V", unit="subject", disable=not progress):
        trials.append(_read_features(entry) if layout == "de" else _read_raw(entry, subject, tables[bands]))
    n_windows = max(len(trial) for own in trials for trial in own)
    shape = (len(files), len(SEED_V_LABELS), n_windows, len(SEED_V_CHANNELS), len(tables[bands]))
    de = np.full(shape, np.nan, dtype=np.float32)
    for block, own in zip(de, trials, strict=True):
        for padded, trial in zip(block, own, strict=True):
            padded[: len(trial)] = trial
    number = np.arange(len(SEED_V_LABELS))
    return Cohort.from_arrays(
        de,
        subjects=list(files),
        emotions=[SEED_V_CLASSES[label] for label in SEED_V_LABELS],
        classes=SEED_V_CLASSES,
        channels=SEED_V_CHANNELS,
        bands=tables[bands],
        window=WINDOW,
        dataset="SEED-V",
        provenance=f"{_PROVENANCE[layout]}, {len(files)} subjects, {bands} bands",
        order=np.tile(number + 1.0, (len(files), 1)),
        session=number // 15 + 1,
        duration=[stop - start for start, stop in SEED_V_TIMES],
    )


_PROVENANCE = {
    "de": "EEG_DE_features of the release",
    "raw": "EEG_raw of the release, 200 Hz, reference and artefacts kept",
}


def _recognise(root: Path, source: str, bands: str) -> tuple[str, dict[int, Any]]:
    """Feature file of each subject, or its three recordings by session."""
    if not root.is_dir():
        raise unexpected(root, found="a file" if root.exists() else "nothing", expected="a folder of SEED-V")
    features: dict[int, Any] = {}
    recordings: dict[int, Any] = {}
    for folder in (root, root / "EEG_DE_features", root / "EEG_raw"):
        for file in sorted(folder.iterdir()) if folder.is_dir() else ():
            if match := re.fullmatch(r"(\d+)_123\.npz", file.name):
                if int(match[1]) in features:
                    twice = [str(features[int(match[1])]), str(file)]
                    raise unexpected(root, found=f"a subject twice: {twice}", expected="one file each")
                features[int(match[1])] = file
            elif match := re.fullmatch(r"(\d+)_([123])_\d+\.cnt", file.name):
                own = recordings.setdefault(int(match[1]), {})
                if int(match[2]) in own:
                    twice = [own[int(match[2])].name, file.name]
                    raise unexpected(folder, found=f"a session twice: {twice}", expected="one recording each")
                own[int(match[2])] = file
    if features and bands == "seed" and source in ("auto", "de"):
        return "de", dict(sorted(features.items()))
    if recordings and source in ("auto", "raw"):
        return "raw", dict(sorted(recordings.items()))
    if features and bands != "seed":
        raise unexpected(
            root,
            found="DE files, which have the release's own bands",
            expected=f"EEG_raw, for the bands {bands!r}",
            cure="Pass bands='seed'.",
        )
    entries = sorted(entry.name for entry in root.iterdir())
    raise unexpected(
        root,
        found=f"{entries[:5]}" if entries else "an empty folder",
        expected="EEG_DE_features/{subject}_123.npz or EEG_raw/{subject}_{session}_{date}.cnt"
        + (f" (source={source!r})" if source != "auto" else ""),
    )


def _read_features(path: Path) -> list[np.ndarray]:
    """45 trials (n_windows, 62, 5) of one subject; each row of 310 is channel by channel, five bands each."""
    members = load_npz(path)
    absent = sorted({"data", "label"} - set(members))
    if absent:
        raise unexpected(path, found=f"members {sorted(members)}", expected=f"also {absent}")
    data, labels = (_unpickled(members[key], path, key) for key in ("data", "label"))
    trials = []
    for i, label in enumerate(SEED_V_LABELS):
        where = f"{path}[data][{i}]"
        n_columns = len(SEED_V_CHANNELS) * len(SEED_V_BANDS)
        trial = check_array(data[i], path=where, shape=(None, n_columns), axes=("window", "feature"))
        if not len(trial):
            raise unexpected(where, found="no window", expected="at least one")
        marks = check_array(labels[i], path=f"{path}[label][{i}]", shape=(len(trial),), axes=("window",))
        if (marks != label).any():
            found = f"labels {np.unique(marks).tolist()}"
            raise unexpected(
                f"{path}[label][{i}]", found=found, expected=f"{label} ({SEED_V_CLASSES[label]})"
            )
        trials.append(trial.reshape(len(trial), len(SEED_V_CHANNELS), len(SEED_V_BANDS)))
    return trials


def _unpickled(member: object, path: Path, key: str) -> dict[int, Any]:
    held: Any = loads_pickle(member, name=f"{path}[{key}]") if isinstance(member, bytes) else member
    keys = sorted(held) if isinstance(held, dict) and all(isinstance(k, int) for k in held) else None
    if keys != list(range(len(SEED_V_LABELS))):
        found = type(held).__name__ if keys is None else f"{len(keys)} trials"
        raise unexpected(
            f"{path}[{key}]", found=found, expected=f"a dict of trials 0 to {len(SEED_V_LABELS) - 1}"
        )
    return held


def _read_raw(
    sessions: Mapping[int, Path], subject: int, bands: Mapping[str, tuple[float, float]]
) -> list[np.ndarray]:
    """45 trials (n_windows, 62, 5) of one subject from the recordings of its three sessions."""
    absent = [session for session in (1, 2, 3) if session not in sessions]
    if absent:
        folder = next(iter(sessions.values())).parent
        raise unexpected(
            folder,
            found=f"sessions {sorted(sessions)} of subject {subject}",
            expected=f"also {absent}",
            cure="Leave this subject out with subjects=...",
        )
    trials = []
    for session in (1, 2, 3):
        times = SEED_V_TIMES[15 * (session - 1) : 15 * session]
        trials += _read_session(sessions[session], times, bands)
    return trials


def _read_session(
    path: Path, times: Iterable[tuple[float, float]], bands: Mapping[str, tuple[float, float]]
) -> list[np.ndarray]:
    import mne

    try:
        raw = mne.io.read_raw_cnt(path, preload=False, verbose="error")
    except Exception as error:  # mne raises many kinds on damaged headers
        cure = "If it is a link or of 0 bytes, fetch it again."
        raise unexpected(
            path, found=f"an unreadable recording ({error})", expected="Neuroscan CNT", cure=cure
        ) from error
    if raw.info["sfreq"] != RAW_SFREQ:
        raise unexpected(path, found=f"{raw.info['sfreq']} Hz", expected=f"{RAW_SFREQ} Hz")
    picks = _scalp_picks(raw.ch_names, path)
    trials = []
    for number, (start, stop) in enumerate(times, start=1):
        if stop * RAW_SFREQ > raw.n_times:
            found = f"{raw.n_times / RAW_SFREQ:.1f} s of recording"
            raise unexpected(path, found=found, expected=f"trial {number} until {stop} s")
        try:
            x = raw.get_data(picks, start * RAW_SFREQ, stop * RAW_SFREQ, verbose="error") * 1e6
        except Exception as error:  # the header promises more samples than the file has
            found = f"no samples of trial {number} ({error})"
            raise unexpected(path, found=found, expected=f"those of {start} to {stop} s") from error
        where = f"trial {number}"
        refuse_flat(x, SEED_V_CHANNELS, sfreq=RAW_SFREQ, window=WINDOW, path=path, where=where)
        x = resample_poly(x, 1, RAW_SFREQ // SFREQ, axis=-1, padtype="line")
        trials.append(differential_entropy(x, SFREQ, bands, window=WINDOW).swapaxes(0, 1))
    return trials


def _scalp_picks(names: list[str], path: Path) -> list[int]:
    """Index of each of the 62 channels by name."""
    place = {name.strip().upper(): index for index, name in enumerate(names)}
    wanted = [name.upper() for name in SEED_V_CHANNELS]
    unknown = sorted(set(place) - set(wanted) - NOT_SCALP)
    absent = [name for name in wanted if name not in place]
    if unknown or absent:
        found = f"{len(names)} channels, unknown {unknown}, without {absent}"
        raise unexpected(
            path, found=found, expected=f"the 62 channels, and {', '.join(sorted(NOT_SCALP))} at most"
        )
    return [place[name] for name in wanted]
