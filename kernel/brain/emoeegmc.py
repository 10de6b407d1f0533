"""EmoEEG-MC, the open third cohort: 60 people, 21 video clips, seven emotions.

In:  a folder of OpenNeuro ds005540 (CC0), of which only ``derivatives/sub-XX/ses-vid/eeg/*_de.npy`` and,
     if it is there, the README are read.
Out: a :class:`~kernel.brain.cohort.Cohort`, subject x 21 clips x 30 windows of 1 s x 64 channels x 5
     bands. Trials that subjects 55 to 60 miss are NaN.
Never: writes or fetches anything, unpickles more than arrays, or guesses which trial a row belongs to.

As in FACED, a clip's EEG is its last 30 s, and some of its clips come from FACED's material.

References
----------
Xu et al., EmoEEG-MC: A Multi-Context Emotional EEG Dataset for Cross-Context Emotion Decoding.
doi:10.18112/openneuro.ds005540.v1.0.7
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable
from os import PathLike
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from kernel.brain.cohort import Cohort
from kernel.brain.features import BANDS
from kernel.brain.pickles import check_array, chosen, load_npy, unexpected
from kernel.files import absolute

EMOEEG_CLASSES = ("sadness", "disgust", "fear", "neutral", "joy", "tenderness", "inspiration")
# the rows of every file: three clips of each class, under the names the README gives them
EMOEEG_CLIPS = tuple(
    f"{emotion}{clip}" for emotion in "sad dis fear neu joy ten ins".split() for clip in (4, 5, 8)
)
EMOEEG_CHANNELS = tuple(
    "Fp1 Fpz Fp2 AF7 AF3 AF4 AF8 F7 F5 F3 F1 Fz F2 F4 F6 F8 FT7 FC5 FC3 FC1 FCz FC2 FC4 FC6 FT8 T7 C5 C3 "
    "C1 Cz C2 C4 C6 T8 TP7 CP5 CP3 CP1 CPz CP2 CP4 CP6 TP8 P7 P5 P3 P1 Pz P2 P4 P6 P8 PO7 PO3 POz PO4 PO8 "
    "O1 Oz O2 F9 F10 TP9 TP10".split()
)
# video clips without a trial, from the README; 56 and 58 miss imagery trials only
EMOEEG_MISSING = {
    55: "neu4 neu5 neu8".split(),
    57: "dis4 fear8 neu4 neu5 joy8 ins5".split(),
    59: "sad4 dis4 dis8 ins4".split(),
    60: "sad5 sad8 dis8 fear4 fear5 fear8 joy4 joy5 joy8 ten8 ins5 ins8".split(),
}
SECONDS = 30


def read_emoeeg_mc(
    path: str | PathLike[str], *, subjects: Iterable[int] | None = None, progress: bool = True
) -> Cohort:
    """Read the differential entropies of EmoEEG-MC's video session.

    Parameters
    ----------
    path : path-like
        Folder of ds005540, or its ``derivatives``. Only read.
    subjects : iterable of int, optional
        Ids 1 to 60; by default all that the folder holds.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Cohort
        Nats, in FACED's official bands. The presentation order is filled in from the README if the folder
        has it.

    Raises
    ------
    EEGFileError
        If a file is missing, truncated, of another shape or number of trials, holds NaN, or a pickle of
        anything but arrays.
    """
    root = absolute(path)
    files = chosen(_find(root), subjects, root)
    n_bands = len(BANDS["official"])
    de = np.full(
        (len(files), len(EMOEEG_CLIPS), SECONDS, len(EMOEEG_CHANNELS), n_bands), np.nan, dtype=np.float32
    )
    shown = tqdm(files.items(), desc="EmoEEG-MC", unit="subject", disable=not progress)
    for block, (subject, file) in zip(de, shown, strict=True):
        seen = [clip not in EMOEEG_MISSING.get(subject, ()) for clip in EMOEEG_CLIPS]
        block[seen] = _read_trials(file, sum(seen)).swapaxes(1, 2)
    return Cohort.from_arrays(
        de,
        subjects=list(files),
        emotions=[emotion for emotion in EMOEEG_CLASSES for _ in range(3)],
        classes=EMOEEG_CLASSES,
        channels=EMOEEG_CHANNELS,
        bands="official",
        dataset="EmoEEG-MC",
        provenance=f"derivatives of OpenNeuro ds005540, video session, {len(files)} subjects",
        order=_orders(root, list(files)),
    )


def _find(root: Path) -> dict[int, Path]:
    if not root.is_dir():
        raise unexpected(
            root, found="a file" if root.exists() else "nothing", expected="a folder of ds005540"
        )
    files: dict[int, Path] = {}
    pattern = "sub-*/ses-vid/eeg/sub-*_ses-vid_task-emotion_de.npy"
    for file in sorted((root / "derivatives").glob(pattern)) or sorted(root.glob(pattern)):
        if match := re.fullmatch(r"sub-(\d+)_.*", file.name):
            if int(match[1]) in files:
                twice = [str(files[int(match[1])]), str(file)]
                raise unexpected(root, found=f"a subject twice: {twice}", expected="one file each")
            files[int(match[1])] = file
    if not files:
        entries = sorted(entry.name for entry in root.iterdir())
        raise unexpected(
            root,
            found=f"{entries[:5]}" if entries else "an empty folder",
            expected="derivatives/sub-XX/ses-vid/eeg/sub-XX_ses-vid_task-emotion_de.npy",
        )
    return dict(sorted(files.items()))


def _read_trials(path: Path, n_trials: int) -> np.ndarray:
    """Differential entropies (n_trials, 64, 30, 5), stored by trial or with all seconds in a row."""
    if not path.is_file():
        cure = "It was not fetched: `datalad get` it, or leave the subject out with subjects=..."
        raise unexpected(path, found="a link to nothing", expected="a file written by numpy.save", cure=cure)
    held = load_npy(path)
    if isinstance(held, dict):
        if "de" not in held:
            raise unexpected(path, found=f"a dict with keys {sorted(map(str, held))}", expected="key 'de'")
        held = held["de"]
    if isinstance(held, np.ndarray) and held.ndim == 4 and held.shape[0] == 1 and held.shape[2] != SECONDS:
        held = held[0]  # some files wrap all seconds in one more axis
    n_channels, n_bands = len(EMOEEG_CHANNELS), len(BANDS["official"])
    if isinstance(held, np.ndarray) and held.ndim == 3:
        in_a_row = check_array(
            held,
            path=path,
            shape=(n_channels, n_trials * SECONDS, n_bands),
            axes=("channel", "second", "band"),
        )
        return in_a_row.reshape(n_channels, n_trials, SECONDS, n_bands).swapaxes(0, 1)
    return check_array(
        held,
        path=path,
        shape=(n_trials, n_channels, SECONDS, n_bands),
        axes=("trial", "channel", "second", "band"),
    )


def _orders(root: Path, subjects: list[int]) -> np.ndarray | None:
    """Position of each clip (n_subjects, 21) among the video trials by the README; None without one."""
    readme = next(
        (f for f in (root / "README", root / "README.md", root.parent / "README") if f.is_file()), None
    )
    if readme is None:
        return None
    sequences: dict[int, list[str]] = {}
    subject, context = None, ""
    for line in readme.read_text(encoding="utf-8", errors="replace").splitlines():
        if match := re.match(r"\s*(\d+)\.\s", line):
            subject, context = int(match[1]), "imagery and video"
        elif match := re.match(r"\s*-\s.*\bsub-?(\d+)\b", line.replace("*", "")):
            subject, context = int(match[1]), line.lower()
        elif "sequence" in line.lower():
            context = line.lower()
        listed = re.search(r"`\[(.*)\]`", line)
        if listed and subject is not None and "video" in context:
            sequences[subject] = re.findall(r"'(\w+)'", listed[1])
    unlisted = [subject for subject in subjects if subject not in sequences]
    if unlisted:
        warnings.warn(
            f"{readme} has no video sequence of subjects {unlisted}: their order is unknown", stacklevel=3
        )
    order = np.full((len(subjects), len(EMOEEG_CLIPS)), np.nan)
    for row, subject in zip(order, subjects, strict=True):
        for position, clip in enumerate(sequences.get(subject, ()), start=1):
            if clip in EMOEEG_CLIPS:
                row[EMOEEG_CLIPS.index(clip)] = position
    return order
