"""SEED-V as a cohort: 16 people, three sessions of 15 film clips, five emotions.

Trials 1-15, 16-30 and 31-45 are sessions 1, 2 and 3, each with clips of its own. Trials differ in length: the
windows after a trial's end are NaN. The data are given on application: Liu et al. (2022), IEEE Transactions
on Cognitive and Developmental Systems 14(2), doi:10.1109/TCDS.2021.3071170.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from kernel.brain import readers
from kernel.brain.cohort import Cohort
from kernel.brain.designs import DESIGNS, SEED_V_TIMES
from kernel.brain.features import BANDS, band_edges, differential_entropy
from kernel.brain.pickles import load_npz, loads_pickle
from kernel.brain.readers import LEAVE_OUT, unexpected
from kernel.checks import choice
from kernel.files import absolute

SEED_V_CLASSES, SEED_V_CHANNELS = DESIGNS["SEED-V"].classes, DESIGNS["SEED-V"].channels
SEED_V_LABELS = tuple(SEED_V_CLASSES.index(emotion) for emotion in DESIGNS["SEED-V"].emotions)
SEED_V_BANDS = band_edges(DESIGNS["SEED-V"].bands)
FILES = "EEG_DE_features/{subject}_123.npz or EEG_raw/{subject}_{session}_{date}.cnt"
WINDOW = 4.0
NOT_SCALP = frozenset({"M1", "M2", "VEO", "HEO"})
RAW_SFREQ, SFREQ = 1000, 200
_PROVENANCE = {
    "de": "EEG_DE_features of the release",
    "raw": "EEG_raw of the release, 200 Hz, reference and artefacts kept",
}


def read_seed_v(
    path: str | PathLike[str],
    *,
    bands: str = "seed",
    subjects: Iterable[int] | None = None,
    progress: bool = True,
) -> Cohort:
    """Read SEED-V from its released features or its recordings, in nats of microvolts.

    Recordings are cut into trials and brought to 200 Hz; they keep reference and artefacts.

    Parameters
    ----------
    path : path-like
        The release's folder, or its ``EEG_DE_features`` or ``EEG_raw``. Only read; where both are there, the
        features are preferred if their bands serve.
    bands : {"seed", "official", "paper"}
        The release's own, which are the only ones its DE files have, or a table of
        :data:`kernel.brain.features.BANDS`.
    subjects : iterable of int, optional
        Ids 1 to 16; by default all that the folder holds.
    progress : bool
        Show a progress bar.

    Raises
    ------
    EEGFileError
        If a file is missing, truncated, of another shape, holds NaN, other labels, a flat or an unknown
        channel, or a pickle of anything but arrays.
    """
    tables = {"seed": SEED_V_BANDS, **BANDS}
    table = tables[choice("bands", bands, tables)]
    path = absolute(path)
    readers.check_folder(path, "SEED-V")
    layout, files = _layout_to_read(path, bands)
    files = readers.chosen(files, subjects, path)
    bar = tqdm(files.items(), desc="SEED-V", unit="subject", disable=not progress)
    trials = [
        _read_features(entry) if layout == "de" else _read_raw(entry, subject, table)
        for subject, entry in bar
    ]
    n_windows = max(len(trial) for one in trials for trial in one)
    shape = (len(files), len(SEED_V_LABELS), n_windows, len(SEED_V_CHANNELS), len(table))
    de = np.full(shape, np.nan, dtype=np.float32)
    for subject, one in enumerate(trials):
        for clip, trial in enumerate(one):
            de[subject, clip, : len(trial)] = trial
    return Cohort.from_arrays(
        de,
        subjects=list(files),
        provenance=f"{_PROVENANCE[layout]}, {len(files)} subjects, {bands} bands",
        order=np.tile(np.arange(1.0, len(SEED_V_LABELS) + 1), (len(files), 1)),
        **DESIGNS["SEED-V"].axes() | {"bands": table},
    )


def copies(root: Path) -> dict[str, dict[int, Any]]:
    """Feature file of each subject, and its recordings by session."""
    folders = [folder for folder in (root, root / "EEG_DE_features", root / "EEG_raw") if folder.is_dir()]
    entries = [file for folder in folders for file in folder.iterdir()]
    sessions = {k: readers.numbered(entries, rf"(\d+)_{k}_\d+\.cnt", root) for k in (1, 2, 3)}
    recordings = {
        subject: {k: files[subject] for k, files in sessions.items() if subject in files}
        for subject in sorted(set().union(*sessions.values()))
    }
    return {"de": readers.numbered(entries, r"(\d+)_123\.npz", root), "raw": recordings}


def _layout_to_read(root: Path, bands: str) -> tuple[str, dict[int, Any]]:
    held = copies(root)
    layout = "de" if held["de"] and bands == "seed" else "raw"
    if held[layout]:
        return layout, held[layout]
    if held["de"]:
        found = "DE files, which have the release's own bands"
        raise unexpected(root, found, f"EEG_raw, for the bands {bands!r}", "Pass bands='seed'.")
    raise readers.nothing_known(root, FILES)


def _read_features(path: Path) -> list[np.ndarray]:
    """45 trials (n_windows, 62, 5) of one subject; each row of 310 is channel by channel, five bands each."""
    members = load_npz(path)
    absent = sorted({"data", "label"} - set(members))
    if absent:
        raise unexpected(path, f"members {sorted(members)}", f"also {absent}")
    data, labels = (_by_trial(members[key], f"{path}[{key}]") for key in ("data", "label"))
    n_channels, n_bands = len(SEED_V_CHANNELS), len(SEED_V_BANDS)
    trials = []
    for i, label in enumerate(SEED_V_LABELS):
        where = f"{path}[data][{i}]"
        axes = ("window", "feature")
        trial = readers.check_array(data[i], path=where, shape=(None, n_channels * n_bands), axes=axes)
        if not len(trial):
            raise unexpected(where, "no window", "at least one")
        where = f"{path}[label][{i}]"
        marks = readers.check_array(labels[i], path=where, shape=(len(trial),), axes=("window",))
        if (marks != label).any():
            found = f"labels {np.unique(marks).tolist()}"
            raise unexpected(where, found, f"{label} ({SEED_V_CLASSES[label]})")
        trials.append(trial.reshape(-1, n_channels, n_bands))
    return trials


def _by_trial(member: object, name: str) -> dict[int, Any]:
    held: Any = loads_pickle(member, name=name) if isinstance(member, bytes) else member
    if not isinstance(held, dict) or set(held) != set(range(len(SEED_V_LABELS))):
        found = f"{len(held)} trials" if isinstance(held, dict) else type(held).__name__
        raise unexpected(name, found, f"a dict of trials 0 to {len(SEED_V_LABELS) - 1}")
    return held


def _read_raw(
    sessions: Mapping[int, Path], subject: int, bands: Mapping[str, tuple[float, float]]
) -> list[np.ndarray]:
    """45 trials (n_windows, 62, 5) of one subject from the recordings of its three sessions."""
    absent = [session for session in (1, 2, 3) if session not in sessions]
    if absent:
        folder = next(iter(sessions.values())).parent
        found, expected = f"sessions {sorted(sessions)} of subject {subject}", f"also {absent}"
        raise unexpected(folder, found, expected, LEAVE_OUT.capitalize())
    return [
        trial
        for session in (1, 2, 3)
        for trial in _read_session(sessions[session], SEED_V_TIMES[15 * session - 15 : 15 * session], bands)
    ]


def _read_session(
    path: Path, times: Iterable[tuple[int, int]], bands: Mapping[str, tuple[float, float]]
) -> list[np.ndarray]:
    import mne

    try:
        raw = mne.io.read_raw_cnt(path, preload=False, verbose="error")
    except Exception as error:  # mne raises many kinds on damaged headers
        cure = "If it is a link or of 0 bytes, fetch it again."
        raise unexpected(path, f"an unreadable recording ({error})", "Neuroscan CNT", cure) from error
    if raw.info["sfreq"] != RAW_SFREQ:
        raise unexpected(path, f"{raw.info['sfreq']} Hz", f"{RAW_SFREQ} Hz")
    places = readers.picks(raw.ch_names, SEED_V_CHANNELS, path, others=NOT_SCALP)
    trials = []
    for number, (start, stop) in enumerate(times, start=1):
        part = (start * RAW_SFREQ, stop * RAW_SFREQ, RAW_SFREQ // SFREQ)
        x = 1e6 * readers.cut(raw, places, *part, window=WINDOW, path=path, where=f"trial {number}")
        trials.append(differential_entropy(x, SFREQ, bands, window=WINDOW).swapaxes(0, 1))
    return trials
