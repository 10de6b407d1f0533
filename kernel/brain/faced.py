"""FACED, from any of its copies, as a cohort with its self-ratings.

In every copy a clip's EEG is its last 30 s. Clips differ in length, so window 0 lies at another moment of
each clip: latencies mean nothing across clips. Nothing is written below the folder. Chen et al. (2023),
Scientific Data 10, 740, doi:10.1038/s41597-023-02650-w; BIDS copy: doi:10.82901/nemar.nm000112.
"""

from __future__ import annotations

import csv
import warnings
from collections.abc import Iterable, Sequence
from os import PathLike
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from kernel.brain import readers
from kernel.brain.cohort import Cohort
from kernel.brain.designs import DESIGNS, FACED_CHANNELS, FACED_FILMS, FACED_SCALP, faced_hardware
from kernel.brain.features import BANDS, differential_entropy
from kernel.brain.matlab import load_struct
from kernel.brain.pickles import load_pickle
from kernel.brain.readers import LEAVE_OUT, unexpected
from kernel.checks import choice
from kernel.files import absolute

FILES = "sub-XXX/eeg/*_eeg.bdf, Processed_data/subXXX.pkl or EEG_Features/DE/subXXX.pkl.pkl"
N_CLIPS = 28
SECONDS = 30
SFREQ = 250
RATING_ITEMS = tuple(
    "joy tenderness inspiration amusement anger disgust fear sadness arousal valence familiarity "
    "liking".split()
)
# the first recording cohort has the old names of electrodes
RENAMED = {"T3": "T7", "T4": "T8", "T5": "P7", "T6": "P8"}
NOT_SCALP = frozenset({"A1", "A2", "HEOR", "HEOL", "STATUS"})
TYPICAL_SD_UV = 3.0  # of one band of scalp EEG; only its order of magnitude matters
OUTLIER_FACTOR = 100.0
_BESIDE = ("derivatives", "sourcedata", "code", "stimuli")
#: Features of a person, the ratings in the recording's events if there are any, and its bad channels.
_Recording = tuple[np.ndarray, pd.DataFrame | None, list[str]]


def read_faced(
    path: str | PathLike[str],
    *,
    bands: str = "official",
    subjects: Iterable[int] | None = None,
    source: str = "auto",
    channels: str = "scalp",
    progress: bool = True,
) -> Cohort:
    """Read FACED from a folder, whichever of its copies that is, in nats of microvolts.

    Signals of the BIDS copy are cut to the last 30 s of a clip, brought to 250 Hz and referenced to the
    average; artefacts stay in them. Presentation order and ratings are those of the events, or of
    ``After_remarks`` beside the pickles' folder or up to two levels above it. A warning names channels marked
    as bad and people whose amplitude is off by a factor of 100 or more (in ``Processed_data``, subject 23 is
    about 3000 times too large): nobody is repaired or left out.

    Parameters
    ----------
    path : path-like
        Folder of the BIDS copy (or the cache of eegdash above it), of the official release, or one of the
        latter's folders ``Processed_data`` and ``EEG_Features/DE``. Only read.
    bands : {"official", "paper"}
        Band table. The official DE files exist in the official bands only.
    subjects : iterable of int, optional
        Ids 0 to 122; by default all that the folder holds.
    source : {"auto", "bids", "processed", "de"}
        Which copy to read where a folder holds several; ``auto`` prefers the DE files, then the processed
        signals. Differential entropies of different sources must not be mixed.
    channels : {"scalp", "all"}
        The 30 scalp channels that all copies share, or the 32 of the official release.
    progress : bool
        Show a progress bar.

    Raises
    ------
    EEGFileError
        If a file is missing, truncated, of another shape, holds NaN, a flat or an unknown channel, ratings or
        an order that cannot be, or a pickle of anything but arrays
        (:class:`~kernel.brain.readers.UnsafePickleError`).
    """
    choice("bands", bands, BANDS)
    choice("source", source, ("auto", *_READERS))
    choice("channels", channels, ("scalp", "all"))
    path = absolute(path)
    readers.check_folder(path, "FACED")
    layout, files = _copy_to_read(path, source, bands)
    if channels == "all" and layout == "bids":
        raise ValueError(
            "channels='all' needs the official release: in the BIDS copy the two channels that are not on "
            "the scalp are ears for subjects 0-60 and eyes for 61-122; use channels='scalp'"
        )
    files = readers.chosen(files, subjects, path)
    names = FACED_SCALP if channels == "scalp" else FACED_CHANNELS
    ids = list(files)
    de = np.empty((len(ids), N_CLIPS, SECONDS, len(names), len(BANDS[bands])), dtype=np.float32)
    tables: dict[int, pd.DataFrame | None] = {}
    bad: dict[int, list[str]] = {}
    bar = tqdm(files.items(), desc="FACED", unit="subject", disable=not progress)
    for block, (subject, file) in zip(de, bar, strict=True):
        block[...], tables[subject], bad[subject] = _READERS[layout](file, subject, bands, len(names))
    if marked := {subject: listed for subject, listed in bad.items() if listed}:
        warnings.warn(f"{path}: channels marked as bad were read all the same: {marked}", stacklevel=2)
    _warn_of_outliers(de, ids, path)
    above = list(next(iter(files.values())).parents)[:3]
    remarks = [folder / "After_remarks" for folder in above if (folder / "After_remarks").is_dir()]
    if layout != "bids" and remarks:
        tables = {subject: _read_remarks(remarks[0], subject) for subject in files}
    rated = [table.set_index("clip").sort_index() for table in tables.values() if table is not None]
    return Cohort.from_arrays(
        de,
        subjects=ids,
        provenance=f"{_PROVENANCE[layout]}, {len(ids)} subjects, {bands} bands",
        films=FACED_FILMS,
        hardware=faced_hardware(ids),
        order=[table["order"] for table in rated] or None,
        ratings={item: [table[item] for table in rated] for item in RATING_ITEMS} if rated else None,
        **DESIGNS["FACED"].axes() | {"channels": names, "bands": bands},
    )


# Recognising a copy


def copies(root: Path) -> dict[str, dict[int, Path]]:
    """Of each copy that a folder may hold, the file (BIDS: the folder) of each subject."""
    return {
        "de": _pickles(root, ("EEG_Features/DE", "DE", "."), r"sub(\d{3})\.pkl\.pkl"),
        "processed": _pickles(root, ("Processed_data", "."), r"sub(\d{3})\.pkl"),
        "bids": _bids_folders(root),
    }


def _copy_to_read(root: Path, source: str, bands: str) -> tuple[str, dict[int, Path]]:
    """The copy to read, and its files."""
    held = copies(root)
    for layout, files in held.items():
        if files and source in ("auto", layout) and (layout != "de" or bands == "official"):
            return layout, files
    if held["de"] and source in ("auto", "de"):
        raise unexpected(
            root,
            "differential entropies in the official bands",
            f"signals, for the bands {bands!r}",
            "Pass bands='official', or give a folder with Processed_data or the BIDS copy.",
        )
    raise readers.nothing_known(root, FILES + (f" (source={source!r})" if source != "auto" else ""))


def _pickles(root: Path, places: Sequence[str], pattern: str) -> dict[int, Path]:
    for folder in (root / place for place in places):
        files = readers.numbered(folder.iterdir(), pattern, root) if folder.is_dir() else {}
        if files:
            return files
    return {}


def _bids_folders(root: Path) -> dict[int, Path]:
    """Subject folders of the BIDS copy here, or else one level below, as eegdash caches it.

    What BIDS keeps beside the recordings, such as ``derivatives``, is no copy of them.
    """
    if here := _bids_subjects(root):
        return here
    below = (entry for entry in sorted(root.iterdir()) if entry.is_dir() and entry.name not in _BESIDE)
    held = {str(base): folders for base in below if (folders := _bids_subjects(base))}
    if len(held) > 1:
        raise unexpected(root, f"several copies: {[*held]}", "one", "Pass the folder of one.")
    return next(iter(held.values()), {})


def _bids_subjects(base: Path) -> dict[int, Path]:
    folders = {file.parent.parent for file in base.glob("sub-*/eeg/sub-*_task-watchingVideoClips_*")}
    numbered = readers.numbered(folders, r"sub-(\d{3})", base)
    return {number: folder / "eeg" for number, folder in numbered.items()}


# The official release


def _read_de(path: Path, subject: int, bands: str, n_channels: int) -> _Recording:
    shape = (N_CLIPS, len(FACED_CHANNELS), SECONDS, len(BANDS[bands]))
    de = readers.check_array(
        load_pickle(path), path=path, shape=shape, axes=("clip", "channel", "second", "band")
    )
    return de[:, :n_channels].swapaxes(1, 2), None, []


def _read_processed(path: Path, subject: int, bands: str, n_channels: int) -> _Recording:
    shape = (N_CLIPS, len(FACED_CHANNELS), SECONDS * SFREQ)
    x = readers.check_array(load_pickle(path), path=path, shape=shape, axes=("clip", "channel", "sample"))
    x, names = x[:, :n_channels], FACED_CHANNELS[:n_channels]
    for clip, signals in enumerate(x, start=1):
        readers.refuse_flat(signals, names, sfreq=SFREQ, window=1.0, path=path, where=f"clip {clip}")
    return _entropies_of_clips(x, bands, path), None, []


def _entropies_of_clips(x: np.ndarray, bands: str, path: Path) -> np.ndarray:
    """Signals (28, n_channels, 7500) at 250 Hz to differential entropies (28, 30, n_channels, 5)."""
    de = differential_entropy(x, SFREQ, bands, window=1.0).swapaxes(1, 2)
    if not np.isfinite(de).all():
        clip = int(np.argwhere(~np.isfinite(de))[0, 0])
        found = f"signals of up to {np.abs(x[clip]).max():.3g} in clip {clip + 1}"
        raise unexpected(path, found, "signals whose variance is a positive number")
    return de


def _read_remarks(folder: Path, subject: int) -> pd.DataFrame:
    """Rating table of one subject of the official release, which tells no onsets or durations."""
    path = folder / f"sub{subject:03d}" / "After_remarks.mat"
    fields = {"score": len(RATING_ITEMS), "trial": 1, "vid": 1}
    cure = f"Fetch it again, or {LEAVE_OUT}"
    held = load_struct(path, "After_remark", length=N_CLIPS, fields=fields, cure=cure)
    order, clip = held["trial"][:, 0], held["vid"][:, 0]
    if order.tolist() != list(range(1, N_CLIPS + 1)):
        raise unexpected(path, f"trials {order.tolist()}", f"1 to {N_CLIPS} in their order")
    table = pd.DataFrame(held["score"], columns=RATING_ITEMS)
    return _checked_ratings(table.assign(order=order, clip=clip), path)


# The BIDS copy


def _read_bids(folder: Path, subject: int, bands: str, n_channels: int) -> _Recording:
    import mne

    stem = folder / f"sub-{subject:03d}_task-watchingVideoClips"
    events = _read_events(stem)
    path = Path(f"{stem}_eeg.bdf")
    _check_bdf(path)
    try:
        raw = mne.io.read_raw_bdf(path, preload=False, stim_channel=None, verbose="error")
    except Exception as error:  # mne raises many kinds on damaged headers
        raise unexpected(path, f"an unreadable header ({error})", "a 24-bit BDF") from error
    if raw.info["sfreq"] not in (SFREQ, 4 * SFREQ):
        raise unexpected(path, f"{raw.info['sfreq']} Hz", f"{SFREQ} or {4 * SFREQ} Hz")
    places = readers.picks(raw.ch_names, FACED_SCALP, path, others=NOT_SCALP, renamed=RENAMED)
    bad = _check_channels(Path(f"{stem}_channels.tsv"), raw.ch_names)
    x, step = np.empty((N_CLIPS, len(places), SECONDS * SFREQ)), round(raw.info["sfreq"] / SFREQ)
    for event in events.itertuples():
        stop, where = round((event.onset + event.duration) * step * SFREQ), f"clip {event.clip}"
        start = stop - step * SFREQ * SECONDS
        x[event.clip - 1] = readers.cut(raw, places, start, stop, step, window=1.0, path=path, where=where)
    names = [raw.ch_names[place] for place in places]
    x *= _to_microvolts(x, names, path)[:, None]
    x -= x.mean(1, keepdims=True)
    return _entropies_of_clips(x, bands, path), events, [name for name in names if name in bad]


def _read_events(stem: Path) -> pd.DataFrame:
    """Rating table of one subject: the rows whose ``video_index`` is given; the other rows are triggers."""
    path = Path(f"{stem}_events.tsv")
    items = [item.capitalize() for item in RATING_ITEMS]
    events = _read_table(path, ("onset", "duration", "video_index", *items))
    events = events[events["video_index"].notna()].sort_values("onset")
    renamed = {"video_index": "clip", **dict(zip(items, RATING_ITEMS, strict=True))}
    # film titles (trial_type) merge clips and the trigger codes (value) are not clip numbers: neither is used
    events = events.rename(columns=renamed).assign(order=np.arange(1, len(events) + 1))
    events = _checked_ratings(events, path, ("onset", "duration"))
    clips = sorted(events["clip"])
    if clips != list(range(1, N_CLIPS + 1)):
        raise unexpected(path, f"{len(clips)} clips: {clips}", f"video_index 1 to {N_CLIPS}, each once")
    shortest = events.loc[events["duration"].idxmin()]
    if shortest["duration"] < SECONDS:
        found = f"clip {int(shortest['clip'])} of {shortest['duration']} s"
        raise unexpected(path, found, f"clips of at least {SECONDS} s")
    return events


def _read_table(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    readers.check_file(path, "a tab-separated table")
    try:
        # utf-8-sig: the tables of the BIDS copy start with a byte order mark
        table = pd.read_csv(
            path, sep="\t", encoding="utf-8-sig", na_values=["n/a"], quoting=csv.QUOTE_NONE, low_memory=False
        )
    except (ValueError, pd.errors.ParserError) as error:  # UnicodeDecodeError is a ValueError
        raise unexpected(path, f"an unreadable table ({error})", "tab-separated UTF-8") from error
    absent = [column for column in columns if column not in table]
    if absent:
        raise unexpected(path, f"columns {list(table)}", f"also {absent}")
    return table


def _checked_ratings(table: pd.DataFrame, path: Path, times: Sequence[str] = ()) -> pd.DataFrame:
    """Clip, order, times and ratings of a person as numbers; refused if missing, out of range or doubled."""
    columns = ["clip", "order", *times, *RATING_ITEMS]
    try:
        numbers = table[columns].apply(pd.to_numeric, errors="coerce").astype(float)
    except (OverflowError, TypeError, ValueError) as error:  # whole numbers of hundreds of digits
        raise unexpected(path, f"what is no number ({error})", "ratings") from error
    numbers = numbers.where(np.isfinite(numbers))
    if numbers.isna().any(axis=None):
        row, column = np.argwhere(numbers.isna().to_numpy())[0]
        name = columns[column]
        raise unexpected(path, f"{str(table[name].iloc[row])!r} as {name} in trial {row + 1}", "a number")
    for name, low, high in (("clip", 1, N_CLIPS), *((item, 0, 7) for item in RATING_ITEMS)):
        values = numbers[name]
        wrong = values[~values.between(low, high) | ((values % 1 > 0) & (name == "clip"))]
        if len(wrong):
            whole = ", a whole number" if name == "clip" else ""
            raise unexpected(path, f"{name} {wrong.iloc[0]:g}", f"{low} to {high}{whole}")
    twice = numbers.loc[numbers["clip"].duplicated(), "clip"]
    if len(twice):
        raise unexpected(path, f"clip {twice.iloc[0]:g} twice", "each once")
    return numbers.astype({"clip": int, "order": int})


def _check_bdf(path: Path) -> None:
    """Compare a BDF's length with what its header promises; mne would shorten the recording and go on."""
    cure = f"The recording was not fetched: `datalad get` it, or {LEAVE_OUT}"
    readers.check_file(path, "a BDF recording", cure)
    size = path.stat().st_size
    with path.open("rb") as stream:
        head = stream.read(256)
        if len(head) < 256 or not head.startswith(b"\xffBIOSEMI"):
            pointer = b"annex" in head
            found = "a git-annex pointer" if pointer else f"{size} bytes that start with {head[:8]!r}"
            raise unexpected(path, found, "a 24-bit BDF", cure if pointer else "")
        try:
            n_header, n_records, n_signals = (int(head[i:j]) for i, j in ((184, 192), (236, 244), (252, 256)))
            stream.seek(256 + 216 * n_signals)  # the number of samples is the tenth field of each signal
            counts = stream.read(8 * n_signals)
            per_record = sum(int(counts[i : i + 8]) for i in range(0, 8 * n_signals, 8))
        except ValueError as error:
            raise unexpected(path, f"a damaged header ({error})", "a 24-bit BDF") from error
    promised = n_header + 3 * n_records * per_record
    if size < promised:
        expected = f"{promised} bytes for the {n_records} records of its header"
        cure = "The file is truncated: fetch it again."
        raise unexpected(path, f"{size} bytes", expected, cure)


def _check_channels(path: Path, names: Sequence[str]) -> set[str]:
    """Compare the channel table with the recording's own names; gives the channels marked as bad."""
    table = _read_table(path, ("name",))
    listed = [str(name) for name in table["name"]]
    if listed != list(names):
        odd = [f"{a} for {b}" for a, b in zip(listed, names, strict=False) if a != b][:4]
        raise unexpected(
            path,
            f"{len(listed)} channels, {', '.join(odd) or 'other than the recording'}",
            f"the {len(names)} channels of the recording in its order",
            "Channels are swapped in one of the two files: compare them with the original.",
        )
    return set(table["name"][table["status"] == "bad"]) if "status" in table else set()


def _to_microvolts(x: np.ndarray, names: Sequence[str], path: Path) -> np.ndarray:
    """Factor (n_channels,) that makes microvolts: mne gives volts if it knows the unit, else what is stored.

    Scalp EEG varies by some 10 uV: 1e-5 in volts, 10 in microvolts. No drift bridges the gap between.
    """
    size = np.median(x.std(-1), axis=0)
    between = {name: f"{sd:.2g}" for name, sd in zip(names, size, strict=True) if 0.01 < sd < 0.1}
    if between:
        raise unexpected(
            path,
            f"standard deviations of {between}",
            "volts or microvolts of EEG in every channel",
            f"Write the units into the header, or {LEAVE_OUT}",
        )
    return np.where(size < 0.05, 1e6, 1.0)


_READERS = {"de": _read_de, "processed": _read_processed, "bids": _read_bids}
_PROVENANCE = {
    "de": "EEG_Features/DE of the official release",
    "processed": "Processed_data of the official release",
    "bids": "BIDS copy nm000112, last 30 s of each clip, 250 Hz, average reference, artefacts kept",
}


def _warn_of_outliers(de: np.ndarray, ids: list[int], path: Path) -> None:
    """Name people whose amplitude is off by `OUTLIER_FACTOR` or more."""
    level = np.array([np.median(block) for block in de])  # nats; a factor of amplitude adds its logarithm
    typical = 0.5 * np.log(2 * np.pi * np.e * TYPICAL_SD_UV**2)
    odd = np.abs(level - typical) > np.log(OUTLIER_FACTOR)
    excess = level - (np.median(level[~odd]) if (~odd).any() else typical)
    for index in np.flatnonzero(odd):
        warnings.warn(
            f"{path}: the amplitude of subject {ids[index]} is {np.exp(excess[index]):.4g} times that of the "
            "others (or of typical EEG in uV): standardise() takes it out, subjects=... leaves them out",
            stacklevel=3,
        )
