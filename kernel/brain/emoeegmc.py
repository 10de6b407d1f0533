"""EmoEEG-MC, the open third cohort: 60 people, 21 video clips, seven emotions.

Of OpenNeuro ds005540 (CC0) only ``derivatives/sub-XX/ses-vid/eeg/*_de.npy`` and the README are read. Trials
that subjects 55 to 60 miss are NaN. As in FACED, a clip's EEG is its last 30 s, and some of its clips come
from FACED's material. Xu et al., doi:10.18112/openneuro.ds005540.v1.0.7.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable
from os import PathLike
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from kernel.brain import readers
from kernel.brain.cohort import Cohort
from kernel.brain.designs import DESIGNS
from kernel.brain.features import BANDS
from kernel.brain.pickles import load_npy
from kernel.brain.readers import LEAVE_OUT, unexpected
from kernel.files import absolute

EMOEEG_CHANNELS = DESIGNS["EmoEEG-MC"].channels
# the rows of every file: three clips of each class, under the names the README gives them
EMOEEG_CLIPS = tuple(
    f"{emotion}{clip}" for emotion in "sad dis fear neu joy ten ins".split() for clip in (4, 5, 8)
)
# video clips without a trial, from the README; 56 and 58 miss imagery trials only
EMOEEG_MISSING = {
    55: "neu4 neu5 neu8".split(),
    57: "dis4 fear8 neu4 neu5 joy8 ins5".split(),
    59: "sad4 dis4 dis8 ins4".split(),
    60: "sad5 sad8 dis8 fear4 fear5 fear8 joy4 joy5 joy8 ten8 ins5 ins8".split(),
}
SECONDS = 30
FILES = "derivatives/sub-XX/ses-vid/eeg/sub-XX_ses-vid_task-emotion_de.npy"


def read_emoeeg_mc(
    path: str | PathLike[str], *, subjects: Iterable[int] | None = None, progress: bool = True
) -> Cohort:
    """Read the differential entropies of EmoEEG-MC's video session: nats, in FACED's official bands.

    `path` is the folder of ds005540, or its ``derivatives``, and is only read; `subjects` are ids 1 to 60, by
    default all that the folder holds. The presentation order is filled in from the README if the folder has
    it. EEGFileError if a file is missing, truncated, of another shape or number of trials, holds NaN, or is a
    pickle of anything but arrays.
    """
    root = absolute(path)
    readers.check_folder(root, "ds005540")
    held = copies(root)["de"]
    if not held:
        raise readers.nothing_known(root, FILES)
    files = readers.chosen(held, subjects, root)
    shape = (len(files), len(EMOEEG_CLIPS), SECONDS, len(EMOEEG_CHANNELS), len(BANDS["official"]))
    de = np.full(shape, np.nan, dtype=np.float32)
    bar = tqdm(files.items(), desc="EmoEEG-MC", unit="subject", disable=not progress)
    for block, (subject, file) in zip(de, bar, strict=True):
        seen = [clip not in EMOEEG_MISSING.get(subject, ()) for clip in EMOEEG_CLIPS]
        block[seen] = _read_trials(file, sum(seen)).swapaxes(1, 2)
    return Cohort.from_arrays(
        de,
        subjects=list(files),
        provenance=f"derivatives of OpenNeuro ds005540, video session, {len(files)} subjects",
        order=_orders(root, list(files)),
        **DESIGNS["EmoEEG-MC"].axes(),
    )


def copies(root: Path) -> dict[str, dict[int, Path]]:
    """Feature file of each subject."""
    pattern = FILES.removeprefix("derivatives/").replace("XX", "*")
    entries = list((root / "derivatives").glob(pattern)) or list(root.glob(pattern))
    return {"de": readers.numbered(entries, r"sub-(\d+)_.*", root)}


def _read_trials(path: Path, n_trials: int) -> np.ndarray:
    """Differential entropies (n_trials, 64, 30, 5), stored by trial or with all seconds in a row."""
    cure = f"It was not fetched: `datalad get` it, or {LEAVE_OUT}"
    readers.check_file(path, "a file written by numpy.save", cure)
    held = load_npy(path)
    if isinstance(held, dict):
        if "de" not in held:
            raise unexpected(path, f"a dict with keys {sorted(map(str, held))}", "key 'de'")
        held = held["de"]
    if isinstance(held, np.ndarray) and held.ndim == 4 and held.shape[0] == 1 and held.shape[2] != SECONDS:
        held = held[0]  # some files wrap all seconds in one more axis
    n_channels, n_bands = len(EMOEEG_CHANNELS), len(BANDS["official"])
    if isinstance(held, np.ndarray) and held.ndim == 3:
        long = (n_channels, n_trials * SECONDS, n_bands)
        in_a_row = readers.check_array(held, path=path, shape=long, axes=("channel", "second", "band"))
        return in_a_row.reshape(n_channels, n_trials, SECONDS, n_bands).swapaxes(0, 1)
    shape = (n_trials, n_channels, SECONDS, n_bands)
    return readers.check_array(held, path=path, shape=shape, axes=("trial", "channel", "second", "band"))


def _orders(root: Path, subjects: list[int]) -> np.ndarray | None:
    """Position of each clip (n_subjects, 21) among the video trials by the README; None without one."""
    places = (root / "README", root / "README.md", root.parent / "README")
    readme = next((file for file in places if file.is_file()), None)
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
