"""FACED, from any of its copies, as a cohort; and its self-ratings.

In:  a folder: the BIDS copy (NEMAR nm000112, or what eegdash cached of it), or the official release's
     ``Processed_data`` or ``EEG_Features/DE`` pickles with its ``After_remarks``.
Out: a :class:`~kernel.brain.cohort.Cohort` of differential entropies, subject x 28 clips x 30 windows of
     1 s x 30 scalp channels x 5 bands, with each person's ratings and order; a table of ratings.
Never: writes, renames or fetches anything below the folder (only :func:`download_faced` fetches), unpickles
     more than arrays, stacks channels by index, or repairs a subject without being told to.

In every copy a clip's EEG is its last 30 s. Clips differ in length, so window 0 lies at another moment of
each clip: latencies mean nothing across clips.

References
----------
Chen et al. (2023), Scientific Data 10, 740. doi:10.1038/s41597-023-02650-w
BIDS copy: doi:10.82901/nemar.nm000112
"""

from __future__ import annotations

import csv
import re
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.signal import resample_poly
from tqdm.auto import tqdm

from kernel.arrays import whole
from kernel.brain.cohort import (
    FACED_CHANNELS,
    FACED_CLASSES,
    FACED_CLIP_EMOTIONS,
    FACED_FILMS,
    FACED_SCALP,
    Cohort,
    faced_hardware,
)
from kernel.brain.features import BANDS, differential_entropy
from kernel.brain.matlab import load_struct
from kernel.brain.pickles import check_array, chosen, load_pickle, refuse_flat, unexpected
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
_BESIDE = ("derivatives", "sourcedata", "code", "stimuli")
NOT_SCALP = frozenset({"A1", "A2", "HEOR", "HEOL", "STATUS"})
TYPICAL_SD_UV = 3.0  # of one band of scalp EEG; only its order of magnitude matters
OUTLIER_FACTOR = 100.0
HOW_TO_INSTALL = (
    "download_faced needs eegdash: pip install 'valence-axis[eeg]'. If eegdash is installed and torchaudio "
    "is what fails to load (its PyPI build wants CUDA libraries that a CPU torch does not bring), delete "
    "the compiled files torchaudio/lib/*.so, after which it falls back to Python, or install the "
    "torchaudio build of your torch."
)


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
        (:class:`~kernel.brain.pickles.UnsafePickleError`).
    ValueError
        If an option does not exist or the copy cannot serve it.
    """
    _check_options(bands=bands, source=source, channels=channels, outliers=outliers)
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
    recordings = []
    de = np.empty((len(files), N_CLIPS, SECONDS, len(names), len(BANDS[bands])), dtype=np.float32)
    shown = tqdm(files.items(), desc="FACED", unit="subject", disable=not progress)
    for block, (subject, file) in zip(de, shown, strict=True):
        recording = _READERS[layout](file, subject, bands, len(names))
        block[...] = recording.de
        recording.de = block  # so that its own copy can go
        recordings.append(recording)
    _warn_of_channels(path, recordings)
    if table is None and layout == "bids":
        table = pd.concat([recording.events for recording in recordings])
    elif table is None and (remarks := _remarks_folder(next(iter(files.values())))):
        table = pd.concat([_read_remarks(remarks, subject) for subject in files])
    ids = np.array(list(files))
    keep = _handle_outliers(de, ids, path, outliers)
    return Cohort.from_arrays(
        de[keep],
        subjects=ids[keep],
        emotions=FACED_CLIP_EMOTIONS,
        classes=FACED_CLASSES,
        channels=names,
        bands=bands,
        dataset="FACED",
        provenance=f"{_PROVENANCE[layout]}, {keep.sum()} subjects, {bands} bands",
        films=FACED_FILMS,
        hardware=[recording.hardware for recording, kept in zip(recordings, keep, strict=True) if kept],
        **_design(table, ids[keep]),
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
    if path.is_dir():
        files = _bids_folders(path)
        if not files:
            raise unexpected(
                path, found="no BIDS events", expected="sub-*/eeg/*_events.tsv or a file of ratings"
            )
        tables = [_read_events(_stem(folder, subject), subject) for subject, folder in files.items()]
        return pd.concat(tables, ignore_index=True)
    table = _checked_ratings(_read_table(path, RATING_COLUMNS), path)
    return table.sort_values(["subject", "order"], ignore_index=True)


def download_faced(
    cache_dir: str | PathLike[str], subjects: Sequence[int] | None = None, *, n_jobs: int = 1
) -> Path:
    """Fetch the BIDS copy of FACED through eegdash (31 GB for all subjects).

    Parameters
    ----------
    cache_dir : path-like
        Folder to keep it in; files already there are not fetched again.
    subjects : sequence of int, optional
        Ids 0 to 122; all by default.
    n_jobs : int
        Files to fetch at once.

    Returns
    -------
    Path
        Folder for :func:`read_faced`.

    Raises
    ------
    ImportError
        If eegdash is not installed or cannot be imported; the message says the cure.
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


@dataclass
class _Recording:
    """One subject: de (28, 30, n_channels, 5) in nats, recording cohort, events, channels to warn of."""

    subject: int
    de: np.ndarray
    hardware: str
    events: pd.DataFrame | None = None
    no_unit: Sequence[str] = ()
    bad: Sequence[str] = ()


def _check_options(**options: str) -> None:
    admitted = {
        "bands": tuple(BANDS),
        "source": ("auto", "bids", "processed", "de"),
        "channels": ("scalp", "all"),
        "outliers": ("keep", "drop", "rescale"),
    }
    for name, value in options.items():
        if value not in admitted[name]:
            raise ValueError(f"{name} must be one of {', '.join(admitted[name])}, got {value!r}")


def _recognise(root: Path, source: str, bands: str) -> tuple[str, dict[int, Path]]:
    """Which copy the folder holds, and the file (BIDS: the folder) of each subject."""
    if not root.is_dir():
        raise unexpected(root, found="a file" if root.exists() else "nothing", expected="a folder of FACED")
    held = {
        "de": _numbered(root, ("EEG_Features/DE", "DE", "."), r"sub(\d{3})\.pkl\.pkl"),
        "processed": _numbered(root, ("Processed_data", "."), r"sub(\d{3})\.pkl"),
        "bids": _bids_folders(root),
    }
    if bands != "official":
        if source == "de" or (source == "auto" and held["de"] and not (held["processed"] or held["bids"])):
            raise unexpected(
                root,
                found="differential entropies in the official bands",
                expected=f"signals, for the bands {bands!r}",
                cure="Pass bands='official', or give a folder with Processed_data or the BIDS copy.",
            )
        held.pop("de")
    for layout, files in held.items():
        if files and source in ("auto", layout):
            return layout, files
    entries = sorted(entry.name for entry in root.iterdir())
    raise unexpected(
        root,
        found=f"{entries[:5]}{' and more' if len(entries) > 5 else ''}" if entries else "an empty folder",
        expected="sub-XXX/eeg/*_eeg.bdf, Processed_data/subXXX.pkl or EEG_Features/DE/subXXX.pkl.pkl"
        + (f" (source={source!r})" if source != "auto" else ""),
    )


def _numbered(root: Path, places: Sequence[str], pattern: str) -> dict[int, Path]:
    for place in places:
        if (root / place).is_dir():
            matches = ((re.fullmatch(pattern, file.name), file) for file in sorted((root / place).iterdir()))
            files = {int(match[1]): file for match, file in matches if match}
            if files:
                _warn_of_names(root / place, r"sub\d{3}\.pkl(\.pkl)?", r"(?i)sub.*\.pkl")
                return files
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
    found = {str(base): folders for base in below if (folders := _bids_subjects(base))}
    if len(found) > 1:
        raise unexpected(
            root, found=f"several copies: {[*found]}", expected="one", cure="Pass the folder of one."
        )
    return next(iter(found.values()), {})


def _bids_subjects(base: Path) -> dict[int, Path]:
    folders = sorted({file.parent for file in base.glob("sub-*/eeg/sub-*_task-watchingVideoClips_*")})
    matches = ((re.fullmatch(r"sub-(\d{3})", folder.parent.name), folder) for folder in folders)
    numbered = {int(match[1]): folder for match, folder in matches if match}
    if numbered:
        _warn_of_names(base, r"sub-\d{3}", r"(?i)sub-.*")
    return numbered


# The official release


def _read_de(path: Path, subject: int, bands: str, n_channels: int) -> _Recording:
    shape = (N_CLIPS, len(FACED_CHANNELS), SECONDS, len(BANDS[bands]))
    de = check_array(load_pickle(path), path=path, shape=shape, axes=("clip", "channel", "second", "band"))
    (hardware,) = faced_hardware([subject])
    return _Recording(subject, de[:, :n_channels].swapaxes(1, 2), hardware)


def _read_processed(path: Path, subject: int, bands: str, n_channels: int) -> _Recording:
    shape = (N_CLIPS, len(FACED_CHANNELS), SECONDS * SFREQ)
    x = check_array(load_pickle(path), path=path, shape=shape, axes=("clip", "channel", "sample"))
    x = x[:, :n_channels]
    for clip, signals in enumerate(x, start=1):
        names = FACED_CHANNELS[:n_channels]
        refuse_flat(signals, names, sfreq=SFREQ, window=1.0, path=path, where=f"clip {clip}")
    (hardware,) = faced_hardware([subject])
    return _Recording(subject, _features(x, bands, path), hardware)


def _features(x: np.ndarray, bands: str, path: Path) -> np.ndarray:
    """Signals (28, n_channels, 7500) at 250 Hz to differential entropies (28, 30, n_channels, 5)."""
    de = differential_entropy(x, SFREQ, bands, window=1.0).swapaxes(1, 2)
    if not np.isfinite(de).all():
        clip = int(np.argwhere(~np.isfinite(de))[0, 0])
        found = f"signals of up to {np.abs(x[clip]).max():.3g} in clip {clip + 1}"
        raise unexpected(path, found=found, expected="signals whose variance is a positive number")
    return de


def _remarks_folder(features: Path) -> Path | None:
    """Folder ``After_remarks`` beside a file of features, or one or two levels above it."""
    places = (parent / "After_remarks" for parent in list(features.absolute().parents)[:3])
    return next((place for place in places if place.is_dir()), None)


def _read_remarks(folder: Path, subject: int) -> pd.DataFrame:
    """Rating table of one subject of the official release, which tells no onsets or durations."""
    path = folder / f"sub{subject:03d}" / "After_remarks.mat"
    held = load_struct(
        path,
        "After_remark",
        length=N_CLIPS,
        fields={"score": len(RATING_ITEMS), "trial": 1, "vid": 1},
        cure="Fetch it again, pass ratings=..., or leave this subject out with subjects=...",
    )
    order, clip = held["trial"][:, 0], held["vid"][:, 0]
    if order.tolist() != list(range(1, N_CLIPS + 1)):
        raise unexpected(path, found=f"trials {order.tolist()}", expected=f"1 to {N_CLIPS} in their order")
    table = pd.DataFrame(held["score"], columns=RATING_ITEMS).assign(subject=subject, order=order, clip=clip)
    table = _checked_ratings(table, path, ("subject", "clip", "order", *RATING_ITEMS))
    return table.assign(onset=np.nan, duration=np.nan)


# The BIDS copy


def _read_bids(folder: Path, subject: int, bands: str, n_channels: int) -> _Recording:
    import mne

    stem = _stem(folder, subject)
    events = _read_events(stem, subject)
    path = Path(f"{stem}_eeg.bdf")
    _check_bdf(path)
    try:
        raw = mne.io.read_raw_bdf(path, preload=False, stim_channel=None, verbose="error")
    except Exception as error:  # mne raises many kinds on damaged headers
        raise unexpected(path, found=f"an unreadable header ({error})", expected="a 24-bit BDF") from error
    rate = raw.info["sfreq"]
    if rate not in (SFREQ, 4 * SFREQ):
        raise unexpected(path, found=f"{rate} Hz", expected=f"{SFREQ} or {4 * SFREQ} Hz")
    picks, late = _scalp_picks(raw.ch_names, path)
    no_unit, bad = _check_channels(Path(f"{stem}_channels.tsv"), raw.ch_names)
    x = np.empty((N_CLIPS, len(picks), SECONDS * SFREQ))
    for event in events.itertuples():
        x[event.clip - 1] = _cut(raw, picks, event, path)
    names = [raw.ch_names[pick] for pick in picks]
    in_volts = _in_volts(x, names, path)
    x *= np.where(in_volts, 1e6, 1.0)[:, None]
    x -= x.mean(1, keepdims=True)
    hardware = "cohort 2" if late else "cohort 1"
    inferred = [name for name, sure in zip(names, in_volts, strict=True) if name in no_unit or not sure]
    return _Recording(
        subject,
        _features(x, bands, path),
        hardware,
        events,
        inferred,
        [name for name in names if name in bad],
    )


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
        raise unexpected(
            path, found=f"{len(clips)} clips: {clips}", expected=f"video_index 1 to {N_CLIPS}, each once"
        )
    short = events[events["duration"] < SECONDS]
    if len(short):
        found = f"clip {int(short['clip'].iloc[0])} of {short['duration'].iloc[0]} s"
        raise unexpected(path, found=found, expected=f"clips of at least {SECONDS} s")
    return events.reset_index(drop=True)


def _read_table(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    if not path.is_file():
        raise unexpected(path, found="no such file", expected="a tab-separated table")
    try:
        # utf-8-sig: the tables of the BIDS copy start with a byte order mark
        table = pd.read_csv(
            path, sep="\t", encoding="utf-8-sig", na_values=["n/a"], quoting=csv.QUOTE_NONE, low_memory=False
        )
    except (ValueError, pd.errors.ParserError) as error:  # UnicodeDecodeError is a ValueError
        raise unexpected(
            path, found=f"an unreadable table ({error})", expected="tab-separated UTF-8"
        ) from error
    absent = [column for column in columns if column not in table]
    if absent:
        raise unexpected(path, found=f"columns {list(table)}", expected=f"also {absent}")
    return table


def _checked_ratings(
    table: pd.DataFrame, path: Path, columns: Sequence[str] = RATING_COLUMNS
) -> pd.DataFrame:
    """The columns of a rating table as numbers, refused if one is missing, out of range or doubled."""
    try:
        numbers = table[list(columns)].apply(pd.to_numeric, errors="coerce").astype(float)
    except (OverflowError, TypeError, ValueError) as error:  # whole numbers of hundreds of digits
        raise unexpected(path, found=f"what is no number ({error})", expected="ratings") from error
    numbers = numbers.where(np.isfinite(numbers))
    if numbers.isna().any(axis=None):
        row, column = np.argwhere(numbers.isna().to_numpy())[0]
        name = columns[column]
        found = f"{str(table[name].iloc[row])!r} as {name} in trial {row + 1}"
        raise unexpected(path, found=found, expected="a number")
    for column, low, high in [("clip", 1, N_CLIPS), *((item, 0, 7) for item in RATING_ITEMS)]:
        beyond = numbers[column][(numbers[column] < low) | (numbers[column] > high)]
        if len(beyond):
            raise unexpected(path, found=f"{column} {beyond.iloc[0]:g}", expected=f"{low} to {high}")
    for column in ("subject", "clip", "order"):
        broken = numbers[column][numbers[column] != numbers[column].round()]
        if len(broken) or (numbers[column].abs() > 2**31).any():
            found = f"{column} {(broken if len(broken) else numbers[column].abs()).max():g}"
            raise unexpected(path, found=found, expected="a whole number that counts")
    for column in ("clip", "order"):
        twice = numbers[numbers.duplicated(["subject", column])]
        if len(twice):
            found = f"{column} {twice[column].iloc[0]:g} twice for subject {twice['subject'].iloc[0]:g}"
            raise unexpected(path, found=found, expected="each once")
    return numbers.astype({"subject": int, "clip": int, "order": int})


def _check_bdf(path: Path) -> None:
    """Compare a BDF's length with what its header promises; mne would shorten the recording and go on."""
    if not path.is_file():
        found = "a link to nothing" if path.is_symlink() else "no such file"
        cure = "The recording was not fetched: `datalad get` it, or leave the subject out with subjects=..."
        raise unexpected(path, found=found, expected="a BDF recording", cure=cure)
    size = path.stat().st_size
    with path.open("rb") as stream:
        head = stream.read(256)
        if len(head) < 256 or not head.startswith(b"\xffBIOSEMI"):
            pointer = b"annex" in head
            raise unexpected(
                path,
                found="a git-annex pointer" if pointer else f"{size} bytes that start with {head[:8]!r}",
                expected="a 24-bit BDF",
                cure="The recording was not fetched: `datalad get` it." if pointer else "",
            )
        try:
            n_header, n_records, n_signals = (int(head[i:j]) for i, j in ((184, 192), (236, 244), (252, 256)))
            stream.seek(256 + 216 * n_signals)  # the number of samples is the tenth field of each signal
            counts = stream.read(8 * n_signals)
            per_record = sum(int(counts[i : i + 8]) for i in range(0, 8 * n_signals, 8))
        except ValueError as error:
            raise unexpected(path, found=f"a damaged header ({error})", expected="a 24-bit BDF") from error
    promised = n_header + 3 * n_records * per_record
    if size < promised:
        raise unexpected(
            path,
            found=f"{size} bytes",
            expected=f"{promised} bytes for the {n_records} records of its header",
            cure="The file is truncated: fetch it again.",
        )


def _scalp_picks(names: Sequence[str], path: Path) -> tuple[list[int], bool]:
    """Index of each scalp channel by name, and whether the names are those of the second recording cohort."""
    standard = {name.upper(): name for name in FACED_SCALP}
    place: dict[str, int] = {}
    for index, name in enumerate(names):
        upper = name.strip().upper()
        known = standard.get(RENAMED.get(upper, upper))
        if known is None:
            if upper not in NOT_SCALP:
                raise unexpected(path, found=f"an unknown channel {name!r}", expected="FACED's 32 channels")
        elif known in place:
            raise unexpected(
                path, found=f"{known} twice, as {names[place[known]]} and {name}", expected="it once"
            )
        else:
            place[known] = index
    absent = [name for name in FACED_SCALP if name not in place]
    if absent:
        raise unexpected(
            path, found=f"no channel {absent}", expected=f"the {len(FACED_SCALP)} scalp channels"
        )
    return [place[name] for name in FACED_SCALP], "T3" not in {name.strip().upper() for name in names}


def _check_channels(path: Path, names: Sequence[str]) -> tuple[set[str], set[str]]:
    """Compare the channel table with the recording's own names; gives those without unit and the bad."""
    table = _read_table(path, ("name", "units"))
    listed = [str(name) for name in table["name"]]
    if listed != list(names):
        odd = [f"{a} for {b}" for a, b in zip(listed, names, strict=False) if a != b][:4]
        raise unexpected(
            path,
            found=f"{len(listed)} channels, {', '.join(odd) or 'other than the recording'}",
            expected=f"the {len(names)} channels of the recording in its order",
            cure="Channels are swapped in one of the two files: compare them with the original.",
        )
    bad = table["status"].eq("bad") if "status" in table else table["name"].isna()
    no_unit, marked = ({name for name in table["name"][which]} for which in (table["units"].isna(), bad))
    return no_unit, marked


def _cut(raw: mne.io.BaseRaw, picks: list[int], event: Any, path: Path) -> np.ndarray:
    """The last 30 s of a clip at 250 Hz (n_channels, 7500); nothing else is read from disk."""
    step = round(raw.info["sfreq"] / SFREQ)
    rate, n_samples = step * SFREQ, step * SFREQ * SECONDS
    start = round((event.onset + event.duration) * rate) - n_samples
    stop = start + n_samples
    if start < 0 or stop > raw.n_times:
        raise unexpected(
            path,
            found=f"{raw.n_times / rate:.1f} s of recording",
            expected=f"clip {event.clip} until {event.onset + event.duration:.1f} s",
            cure="The recording is truncated, or the events belong to another one.",
        )
    signals = raw.get_data(picks, start, stop, verbose="error")
    names = [raw.ch_names[pick] for pick in picks]
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
            found=f"standard deviations of {between}",
            expected="volts or microvolts of EEG in every channel",
            cure="Write the units into the header, or leave this subject out with subjects=...",
        )
    return size < 0.05


_READERS = {"de": _read_de, "processed": _read_processed, "bids": _read_bids}
_PROVENANCE = {
    "de": "EEG_Features/DE of the official release",
    "processed": "Processed_data of the official release",
    "bids": "BIDS copy nm000112, last 30 s of each clip, 250 Hz, average reference, artefacts kept",
}


# Over all subjects


def _warn_of_channels(path: str | PathLike[str], recordings: Sequence[_Recording]) -> None:
    for channels, what in (
        ({one.subject: one.no_unit for one in recordings if one.no_unit},
         "give no unit (n/a) for {}; it was inferred, channel by channel, from the size of the signal"),
        ({one.subject: one.bad for one in recordings if one.bad},
         "mark {} as bad; they were read all the same: interpolate them, or leave these subjects out"),
    ):  # fmt: skip
        if channels:
            named = ", ".join(sorted({name for names in channels.values() for name in names}))
            warnings.warn(f"{path}: subjects {[*channels]} {what.format(named)}", stacklevel=3)


def _handle_outliers(de: np.ndarray, ids: np.ndarray, path: str | PathLike[str], action: str) -> np.ndarray:
    """Warn of subjects of another scale, rescale them in place if asked to; returns which subjects stay."""
    level = np.array([np.median(block) for block in de])  # nats; a factor of amplitude adds its logarithm
    typical = 0.5 * np.log(2 * np.pi * np.e * TYPICAL_SD_UV**2)
    odd = np.abs(level - typical) > np.log(OUTLIER_FACTOR)
    excess = level - (np.median(level[~odd]) if (~odd).any() else typical)
    for index in np.flatnonzero(odd):
        done = {"keep": "kept as it is", "drop": "left out", "rescale": "divided by that factor"}[action]
        warnings.warn(
            f"{path}: the amplitude of subject {ids[index]} is {np.exp(excess[index]):.4g} times that of "
            f"the others (or of typical EEG in uV); it was {done}: see outliers='drop' and "
            "outliers='rescale'",
            stacklevel=3,
        )
        if action == "rescale":
            de[index] -= excess[index]
    keep = ~odd if action == "drop" else np.ones(len(de), dtype=bool)
    if not keep.any():
        raise unexpected(path, found="no subject of plausible amplitude", expected="EEG in microvolts")
    return keep


def _design(table: pd.DataFrame | None, ids: np.ndarray) -> dict[str, Any]:
    """Order and ratings (n_subjects, 28) and duration (28,) in s from a rating table."""
    if table is None:
        return {}
    clips = range(1, N_CLIPS + 1)
    unrated = sorted(set(ids.tolist()) - set(table["subject"]))
    if unrated:
        warnings.warn(
            f"the table of ratings lacks subjects {unrated}: their order and ratings are unknown",
            stacklevel=3,
        )
    people = table.pivot(index="subject", columns="clip").reindex(index=ids)
    return {
        "order": people["order"].reindex(columns=clips).to_numpy(float),
        "duration": table.groupby("clip")["duration"].mean().reindex(clips).to_numpy(),
        "ratings": {item: people[item].reindex(columns=clips).to_numpy(float) for item in RATING_ITEMS},
    }
