"""FACED, from any of its copies, as a cohort; and its self-ratings.

In every copy a clip's EEG is its last 30 s. Clips differ in length, so window 0 lies at another moment of
each clip: latencies mean nothing across clips. Nothing is written below the folder, and no subject is
repaired without being told to. Chen et al. (2023), Scientific Data 10, 740, doi:10.1038/s41597-023-02650-w;
BIDS copy: doi:10.82901/nemar.nm000112.
"""

from __future__ import annotations

import csv
import re
import warnings
from collections.abc import Iterable, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.signal import resample_poly
from tqdm.auto import tqdm

from kernel.arrays import whole
from kernel.brain.cohort import Cohort
from kernel.brain.designs import DESIGNS, FACED_CHANNELS, FACED_FILMS, FACED_SCALP, faced_hardware
from kernel.brain.features import BANDS, differential_entropy
from kernel.brain.matlab import load_struct
from kernel.brain.pickles import load_pickle
from kernel.brain.releases import (
    LEAVE_OUT,
    check_array,
    check_file,
    check_folder,
    chosen,
    nothing_known,
    numbered,
    picks,
    refuse_flat,
    unexpected,
)
from kernel.checks import choice
from kernel.files import absolute, writable_folder

if TYPE_CHECKING:
    import mne

N_CLIPS = 28
SECONDS = 30
SFREQ = 250
RATING_ITEMS = tuple(
    "joy tenderness inspiration amusement anger disgust fear sadness arousal valence familiarity "
    "liking".split()
)
RATING_COLUMNS = ("subject", "clip", "order", "onset", "duration", *RATING_ITEMS)
RENAMED = {"T3": "T7", "T4": "T8", "T5": "P7", "T6": "P8"}  # the first recording cohort uses the old names
NOT_SCALP = frozenset({"A1", "A2", "HEOR", "HEOL", "STATUS"})
TYPICAL_SD_UV = 3.0  # of one band of scalp EEG; only its order of magnitude matters
OUTLIER_FACTOR = 100.0
_OUTLIERS = {"keep": "kept as it is", "drop": "left out", "rescale": "divided by that factor"}
_BESIDE = ("derivatives", "sourcedata", "code", "stimuli")
HOW_TO_INSTALL = (
    "download_faced needs eegdash: pip install 'valence-axis[eeg]'. If torchaudio fails to load (its PyPI "
    "build wants CUDA), delete its compiled files torchaudio/lib/*.so, or install the build of your torch."
)


class _About(NamedTuple):
    """What a recording says beside its signals: hardware, events, channels without unit, bad channels."""

    hardware: str
    events: pd.DataFrame | None = None
    no_unit: Sequence[str] = ()
    bad: Sequence[str] = ()


def read_faced(
    path: str | PathLike[str],
    *,
    bands: str = "official",
    subjects: Iterable[int] | None = None,
    source: str = "auto",
    channels: str = "scalp",
    ratings: str | PathLike[str] | None = None,
    outliers: str = "keep",
    progress: bool = True,
) -> Cohort:
    """Read FACED from a folder, whichever of its copies that is.

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
        Which copy to read where a folder holds several. ``auto`` prefers the DE files for the official
        bands, then the processed signals, then the BIDS copy. Differential entropies of different sources
        must not be mixed.
    channels : {"scalp", "all"}
        The 30 scalp channels that all copies and both recording cohorts share, or the 32 of the official
        release, whose last two are not scalp electrodes.
    ratings : path-like, optional
        Anything :func:`read_faced_ratings` reads, instead of the presentation order and ratings that the
        folder holds: the events of the BIDS copy, or ``After_remarks`` of the official release beside the
        pickles' folder or up to two levels above it. Mean ratings are over the subjects read.
    outliers : {"keep", "drop", "rescale"}
        What to do with a subject whose amplitude is off by more than a factor of 100 (in ``Processed_data``,
        subject 23 is about 3000 times too large). It is always named in a warning.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Cohort
        Nats of microvolts. Signals of the BIDS copy are cut to the last 30 s of a clip, brought to 250 Hz and
        referenced to the average; artefacts stay in them.

    Raises
    ------
    EEGFileError
        If a file is missing, truncated, of another shape, holds NaN, a flat or an unknown channel, ratings or
        an order that cannot be, or a pickle of anything but arrays
        (:class:`~kernel.brain.releases.UnsafePickleError`).
    """
    choice("bands", bands, BANDS)
    choice("source", source, ("auto", *_READERS))
    choice("channels", channels, ("scalp", "all"))
    choice("outliers", outliers, _OUTLIERS)
    table = None if ratings is None else read_faced_ratings(ratings)
    path = absolute(path)
    layout, files = _recognise(path, source, bands)
    if channels == "all" and layout == "bids":
        raise ValueError(
            "channels='all' needs the official release: in the BIDS copy the two channels that are not on "
            "the scalp are ears for subjects 0-60 and eyes for 61-122; use channels='scalp'"
        )
    files = chosen(files, subjects, path)
    names = FACED_SCALP if channels == "scalp" else FACED_CHANNELS
    ids = np.array(list(files))
    de = np.empty((len(ids), N_CLIPS, SECONDS, len(names), len(BANDS[bands])), dtype=np.float32)
    about: dict[int, _About] = {}
    bar = tqdm(files.items(), desc="FACED", unit="subject", disable=not progress)
    for block, (subject, file) in zip(de, bar, strict=True):
        block[...], about[subject] = _READERS[layout](file, subject, bands, len(names))
    _warn_of_channels(path, about)
    if table is None and layout == "bids":
        table = pd.concat([one.events for one in about.values()])
    elif table is None and (remarks := _remarks_folder(next(iter(files.values())))):
        table = pd.concat([_read_remarks(remarks, subject) for subject in files])
    keep = _handle_outliers(de, ids, path, outliers)
    return Cohort.from_arrays(
        de[keep],
        subjects=ids[keep],
        provenance=f"{_PROVENANCE[layout]}, {keep.sum()} subjects, {bands} bands",
        films=FACED_FILMS,
        hardware=[about[subject].hardware for subject in ids[keep]],
        **DESIGNS["FACED"].axes() | {"channels": names, "bands": bands},
        **_order_and_ratings(table, ids[keep]),
    )


def read_faced_ratings(path: str | PathLike[str]) -> pd.DataFrame:
    """Read the self-ratings of FACED with each trial's place in the session.

    Parameters
    ----------
    path : path-like
        Folder of the BIDS copy, or a tab-separated file with the columns this function returns.

    Returns
    -------
    DataFrame
        One row per trial: ``subject``, ``clip`` (1-28), ``order`` (position from 1), ``onset`` and
        ``duration`` in s, and the twelve ratings from 0 to 7, in order of subject and position.

    Raises
    ------
    EEGFileError
        If columns or values are missing, doubled or out of range.
    """
    path = absolute(path)
    if not path.is_dir():
        table = _checked_ratings(_read_table(path, RATING_COLUMNS), path)
        return table.sort_values(["subject", "order"], ignore_index=True)
    folders = _bids_folders(path)
    if not folders:
        expected = "sub-*/eeg/*_events.tsv or a file of ratings"
        raise unexpected(path, "no BIDS events", expected)
    tables = [_read_events(_stem(folder, subject), subject) for subject, folder in folders.items()]
    return pd.concat(tables, ignore_index=True)


def download_faced(
    cache_dir: str | PathLike[str], subjects: Sequence[int] | None = None, *, n_jobs: int = 1
) -> Path:
    """Fetch the BIDS copy of FACED through eegdash (31 GB for all subjects), `n_jobs` files at once.

    Gives the folder for :func:`read_faced`; what is there already is not fetched again. ImportError says the
    cure if eegdash is not installed or cannot be imported.
    """
    try:
        from eegdash.dataset import NM000112
    except (ImportError, OSError) as error:  # a torchaudio for another torch fails with OSError
        raise ImportError(f"{HOW_TO_INSTALL} The import failed with: {error}") from error
    query: dict[str, list[str]] = {}
    if subjects is not None:
        query["subject"] = [f"{person:03d}" for person in whole(list(subjects), "subjects")]
    target = writable_folder(cache_dir)
    NM000112(cache_dir=str(target), **query).download_all(n_jobs=n_jobs)
    return target


# Recognising a copy


def _recognise(root: Path, source: str, bands: str) -> tuple[str, dict[int, Path]]:
    """Which copy the folder holds, and the file (BIDS: the folder) of each subject."""
    check_folder(root, "FACED")
    held = {
        "de": _pickles(root, ("EEG_Features/DE", "DE", "."), r"sub(\d{3})\.pkl\.pkl"),
        "processed": _pickles(root, ("Processed_data", "."), r"sub(\d{3})\.pkl"),
        "bids": _bids_folders(root),
    }
    if bands != "official":
        if source == "de" or (source == "auto" and held["de"] and not (held["processed"] or held["bids"])):
            raise unexpected(
                root,
                "differential entropies in the official bands",
                f"signals, for the bands {bands!r}",
                "Pass bands='official', or give a folder with Processed_data or the BIDS copy.",
            )
        held.pop("de")
    for layout, files in held.items():
        if files and source in ("auto", layout):
            return layout, files
    asked = f" (source={source!r})" if source != "auto" else ""
    raise nothing_known(
        root, f"sub-XXX/eeg/*_eeg.bdf, Processed_data/subXXX.pkl or EEG_Features/DE/subXXX.pkl.pkl{asked}"
    )


def _pickles(root: Path, places: Sequence[str], pattern: str) -> dict[int, Path]:
    for folder in (root / place for place in places):
        files = numbered(folder.iterdir(), pattern, root) if folder.is_dir() else {}
        if files:
            _warn_of_names(folder, r"sub\d{3}\.pkl(\.pkl)?", r"(?i)sub.*\.pkl")
            return {subject: file for (subject,), file in files.items()}
    return {}


def _warn_of_names(folder: Path, right: str, alike: str) -> None:
    """Warn of entries that are named almost as the data set's are, which are not read."""
    names = (entry.name for entry in sorted(folder.iterdir()))
    others = [name for name in names if re.fullmatch(alike, name) and not re.fullmatch(right, name)]
    if others:
        warnings.warn(
            f"{folder}: {len(others)} entries are not read, as the data set names none so: {others}",
            stacklevel=5,
        )


def _bids_folders(root: Path) -> dict[int, Path]:
    """Subject folders of the BIDS copy here, or else one level below, as eegdash caches it.

    What BIDS keeps beside the recordings, such as ``derivatives``, is no copy of them.
    """
    if here := _bids_subjects(root):
        return here
    below = (entry for entry in sorted(root.iterdir()) if entry.is_dir() and entry.name not in _BESIDE)
    copies = {str(base): folders for base in below if (folders := _bids_subjects(base))}
    if len(copies) > 1:
        found = f"several copies: {[*copies]}"
        raise unexpected(root, found, "one", "Pass the folder of one.")
    return next(iter(copies.values()), {})


def _bids_subjects(base: Path) -> dict[int, Path]:
    folders = {file.parent.parent for file in base.glob("sub-*/eeg/sub-*_task-watchingVideoClips_*")}
    subjects = {
        number: folder / "eeg" for (number,), folder in numbered(folders, r"sub-(\d{3})", base).items()
    }
    if subjects:
        _warn_of_names(base, r"sub-\d{3}", r"(?i)sub-.*")
    return subjects


# The official release


def _read_de(path: Path, subject: int, bands: str, n_channels: int) -> tuple[np.ndarray, _About]:
    shape = (N_CLIPS, len(FACED_CHANNELS), SECONDS, len(BANDS[bands]))
    de = check_array(load_pickle(path), path=path, shape=shape, axes=("clip", "channel", "second", "band"))
    return de[:, :n_channels].swapaxes(1, 2), _About(*faced_hardware([subject]))


def _read_processed(path: Path, subject: int, bands: str, n_channels: int) -> tuple[np.ndarray, _About]:
    shape = (N_CLIPS, len(FACED_CHANNELS), SECONDS * SFREQ)
    x = check_array(load_pickle(path), path=path, shape=shape, axes=("clip", "channel", "sample"))
    x, names = x[:, :n_channels], FACED_CHANNELS[:n_channels]
    for clip, signals in enumerate(x, start=1):
        refuse_flat(signals, names, sfreq=SFREQ, window=1.0, path=path, where=f"clip {clip}")
    return _features(x, bands, path), _About(*faced_hardware([subject]))


def _features(x: np.ndarray, bands: str, path: Path) -> np.ndarray:
    """Signals (28, n_channels, 7500) at 250 Hz to differential entropies (28, 30, n_channels, 5)."""
    de = differential_entropy(x, SFREQ, bands, window=1.0).swapaxes(1, 2)
    if not np.isfinite(de).all():
        clip = int(np.argwhere(~np.isfinite(de))[0, 0])
        found = f"signals of up to {np.abs(x[clip]).max():.3g} in clip {clip + 1}"
        raise unexpected(path, found, "signals whose variance is a positive number")
    return de


def _remarks_folder(features: Path) -> Path | None:
    """Folder ``After_remarks`` beside a file of features, or one or two levels above it."""
    places = (parent / "After_remarks" for parent in list(features.absolute().parents)[:3])
    return next((place for place in places if place.is_dir()), None)


def _read_remarks(folder: Path, subject: int) -> pd.DataFrame:
    """Rating table of one subject of the official release, which tells no onsets or durations."""
    path = folder / f"sub{subject:03d}" / "After_remarks.mat"
    fields = {"score": len(RATING_ITEMS), "trial": 1, "vid": 1}
    cure = f"Fetch it again, pass ratings=..., or {LEAVE_OUT}"
    held = load_struct(path, "After_remark", length=N_CLIPS, fields=fields, cure=cure)
    order, clip = held["trial"][:, 0], held["vid"][:, 0]
    if order.tolist() != list(range(1, N_CLIPS + 1)):
        raise unexpected(path, f"trials {order.tolist()}", f"1 to {N_CLIPS} in their order")
    table = pd.DataFrame(held["score"], columns=RATING_ITEMS).assign(subject=subject, order=order, clip=clip)
    table = _checked_ratings(table, path, ("subject", "clip", "order", *RATING_ITEMS))
    return table.assign(onset=np.nan, duration=np.nan)


# The BIDS copy


def _read_bids(folder: Path, subject: int, bands: str, n_channels: int) -> tuple[np.ndarray, _About]:
    import mne

    stem = _stem(folder, subject)
    events = _read_events(stem, subject)
    path = Path(f"{stem}_eeg.bdf")
    _check_bdf(path)
    try:
        raw = mne.io.read_raw_bdf(path, preload=False, stim_channel=None, verbose="error")
    except Exception as error:  # mne raises many kinds on damaged headers
        raise unexpected(path, f"an unreadable header ({error})", "a 24-bit BDF") from error
    if raw.info["sfreq"] not in (SFREQ, 4 * SFREQ):
        raise unexpected(path, f"{raw.info['sfreq']} Hz", f"{SFREQ} or {4 * SFREQ} Hz")
    places = picks(raw.ch_names, FACED_SCALP, path, others=NOT_SCALP, renamed=RENAMED)
    early = "T3" in {name.strip().upper() for name in raw.ch_names}
    no_unit, bad = _check_channels(Path(f"{stem}_channels.tsv"), raw.ch_names)
    x = np.empty((N_CLIPS, len(places), SECONDS * SFREQ))
    for event in events.itertuples():
        x[event.clip - 1] = _cut(raw, places, event, path)
    names = [raw.ch_names[place] for place in places]
    in_volts = _in_volts(x, names, path)
    x *= np.where(in_volts, 1e6, 1.0)[:, None]
    x -= x.mean(1, keepdims=True)
    inferred = [name for name, sure in zip(names, in_volts, strict=True) if name in no_unit or not sure]
    marked = [name for name in names if name in bad]
    return _features(x, bands, path), _About("cohort 1" if early else "cohort 2", events, inferred, marked)


def _stem(folder: Path, subject: int) -> Path:
    return folder / f"sub-{subject:03d}_task-watchingVideoClips"


def _read_events(stem: Path, subject: int) -> pd.DataFrame:
    """Rating table of one subject: the rows whose ``video_index`` is given; the other rows are triggers."""
    path = Path(f"{stem}_events.tsv")
    items = [item.capitalize() for item in RATING_ITEMS]
    events = _read_table(path, ("onset", "duration", "video_index", *items))
    events = events[events["video_index"].notna()].sort_values("onset")
    renamed = {"video_index": "clip", **dict(zip(items, RATING_ITEMS, strict=True))}
    # film titles (trial_type) merge clips and the trigger codes (value) are not clip numbers: neither is used
    events = events.rename(columns=renamed).assign(subject=subject, order=np.arange(1, len(events) + 1))
    events = _checked_ratings(events, path)
    clips = sorted(events["clip"])
    if clips != list(range(1, N_CLIPS + 1)):
        expected = f"video_index 1 to {N_CLIPS}, each once"
        raise unexpected(path, f"{len(clips)} clips: {clips}", expected)
    shortest = events.loc[events["duration"].idxmin()]
    if shortest["duration"] < SECONDS:
        found = f"clip {int(shortest['clip'])} of {shortest['duration']} s"
        raise unexpected(path, found, f"clips of at least {SECONDS} s")
    return events.reset_index(drop=True)


def _read_table(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    check_file(path, "a tab-separated table")
    try:
        # utf-8-sig: the tables of the BIDS copy start with a byte order mark
        table = pd.read_csv(
            path, sep="\t", encoding="utf-8-sig", na_values=["n/a"], quoting=csv.QUOTE_NONE, low_memory=False
        )
    except (ValueError, pd.errors.ParserError) as error:  # UnicodeDecodeError is a ValueError
        found = f"an unreadable table ({error})"
        raise unexpected(path, found, "tab-separated UTF-8") from error
    absent = [column for column in columns if column not in table]
    if absent:
        raise unexpected(path, f"columns {list(table)}", f"also {absent}")
    return table


def _checked_ratings(
    table: pd.DataFrame, path: Path, columns: Sequence[str] = RATING_COLUMNS
) -> pd.DataFrame:
    """The columns of a rating table as numbers, refused if one is missing, out of range or doubled."""
    try:
        numbers = table[list(columns)].apply(pd.to_numeric, errors="coerce").astype(float)
    except (OverflowError, TypeError, ValueError) as error:  # whole numbers of hundreds of digits
        raise unexpected(path, f"what is no number ({error})", "ratings") from error
    numbers = numbers.where(np.isfinite(numbers))
    if numbers.isna().any(axis=None):
        row, column = np.argwhere(numbers.isna().to_numpy())[0]
        name = columns[column]
        found = f"{str(table[name].iloc[row])!r} as {name} in trial {row + 1}"
        raise unexpected(path, found, "a number")
    counted = {"subject": (0, 2**31), "clip": (1, N_CLIPS), "order": (1, 2**31)}
    for name, (low, high) in (counted | dict.fromkeys(RATING_ITEMS, (0, 7))).items():
        values = numbers[name]
        wrong = values[~values.between(low, high) | ((values % 1 > 0) & (name in counted))]
        if len(wrong):
            expected = f"{low} to {high}{', a whole number' if name in counted else ''}"
            raise unexpected(path, f"{name} {wrong.iloc[0]:g}", expected)
    for name in ("clip", "order"):
        twice = numbers[numbers.duplicated(["subject", name])]
        if len(twice):
            found = f"{name} {twice[name].iloc[0]:g} twice for subject {twice['subject'].iloc[0]:g}"
            raise unexpected(path, found, "each once")
    return numbers.astype(dict.fromkeys(counted, int))


def _check_bdf(path: Path) -> None:
    """Compare a BDF's length with what its header promises; mne would shorten the recording and go on."""
    cure = f"The recording was not fetched: `datalad get` it, or {LEAVE_OUT}"
    check_file(path, "a BDF recording", cure)
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


def _check_channels(path: Path, names: Sequence[str]) -> tuple[set[str], set[str]]:
    """Compare the channel table with the recording's own names; gives those without unit and the bad."""
    table = _read_table(path, ("name", "units"))
    listed = [str(name) for name in table["name"]]
    if listed != list(names):
        odd = [f"{a} for {b}" for a, b in zip(listed, names, strict=False) if a != b][:4]
        raise unexpected(
            path,
            f"{len(listed)} channels, {', '.join(odd) or 'other than the recording'}",
            f"the {len(names)} channels of the recording in its order",
            "Channels are swapped in one of the two files: compare them with the original.",
        )
    bad = table["status"].eq("bad") if "status" in table else table["name"].isna()
    no_unit, marked = ({name for name in table["name"][which]} for which in (table["units"].isna(), bad))
    return no_unit, marked


def _cut(raw: mne.io.BaseRaw, places: list[int], event: Any, path: Path) -> np.ndarray:
    """The last 30 s of a clip at 250 Hz (n_channels, 7500); nothing else is read from disk."""
    step = round(raw.info["sfreq"] / SFREQ)
    rate, n_samples = step * SFREQ, step * SFREQ * SECONDS
    start = round((event.onset + event.duration) * rate) - n_samples
    stop = start + n_samples
    if start < 0 or stop > raw.n_times:
        raise unexpected(
            path,
            f"{raw.n_times / rate:.1f} s of recording",
            f"clip {event.clip} until {event.onset + event.duration:.1f} s",
            "The recording is truncated, or the events belong to another one.",
        )
    signals = raw.get_data(places, start, stop, verbose="error")
    names = [raw.ch_names[place] for place in places]
    refuse_flat(signals, names, sfreq=rate, window=1.0, path=path, where=f"clip {event.clip}")
    return resample_poly(signals, 1, step, axis=-1, padtype="line") if step > 1 else signals


def _in_volts(x: np.ndarray, names: Sequence[str], path: Path) -> np.ndarray:
    """In which channels (n_channels,) mne found a unit and gave volts; it passes others on as microvolts.

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
    return size < 0.05


_READERS = {"de": _read_de, "processed": _read_processed, "bids": _read_bids}
_PROVENANCE = {
    "de": "EEG_Features/DE of the official release",
    "processed": "Processed_data of the official release",
    "bids": "BIDS copy nm000112, last 30 s of each clip, 250 Hz, average reference, artefacts kept",
}


# Over all subjects


def _warn_of_channels(path: Path, about: dict[int, _About]) -> None:
    said = {
        "no_unit": "give no unit (n/a) for {}; it was inferred by channel from the size of the signal",
        "bad": "mark {} as bad; they were read all the same: interpolate them, or leave these subjects out",
    }
    for field, what in said.items():
        channels = {subject: getattr(one, field) for subject, one in about.items() if getattr(one, field)}
        if channels:
            named = ", ".join(sorted({name for names in channels.values() for name in names}))
            warnings.warn(f"{path}: subjects {[*channels]} {what.format(named)}", stacklevel=3)


def _handle_outliers(de: np.ndarray, ids: np.ndarray, path: Path, action: str) -> np.ndarray:
    """Warn of subjects of another scale, rescale them in place if asked to; returns which subjects stay."""
    level = np.array([np.median(block) for block in de])  # nats; a factor of amplitude adds its logarithm
    typical = 0.5 * np.log(2 * np.pi * np.e * TYPICAL_SD_UV**2)
    odd = np.abs(level - typical) > np.log(OUTLIER_FACTOR)
    excess = level - (np.median(level[~odd]) if (~odd).any() else typical)
    for index in np.flatnonzero(odd):
        warnings.warn(
            f"{path}: the amplitude of subject {ids[index]} is {np.exp(excess[index]):.4g} times that of "
            f"the others (or of typical EEG in uV); it was {_OUTLIERS[action]}: see outliers='drop' and "
            "outliers='rescale'",
            stacklevel=3,
        )
        if action == "rescale":
            de[index] -= excess[index]
    keep = ~odd if action == "drop" else np.ones(len(de), dtype=bool)
    if not keep.any():
        raise unexpected(path, "no subject of plausible amplitude", "EEG in microvolts")
    return keep


def _order_and_ratings(table: pd.DataFrame | None, ids: np.ndarray) -> dict[str, Any]:
    """Order and ratings (n_subjects, 28) and duration (28,) in s from a rating table."""
    if table is None:
        return {}
    unrated = sorted(set(ids.tolist()) - set(table["subject"]))
    if unrated:
        warnings.warn(
            f"the table of ratings lacks subjects {unrated}: their order and ratings are unknown",
            stacklevel=3,
        )
    clips = range(1, N_CLIPS + 1)
    people = table.pivot(index="subject", columns="clip").reindex(index=ids)
    grids = {name: people[name].reindex(columns=clips).to_numpy(float) for name in ("order", *RATING_ITEMS)}
    return {
        "order": grids.pop("order"),
        "duration": table.groupby("clip")["duration"].mean().reindex(clips).to_numpy(),
        "ratings": grids,
    }
