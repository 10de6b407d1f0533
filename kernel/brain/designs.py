"""Who watched what, with which cap: the designs of FACED, SEED-V and EmoEEG-MC, and places on the scalp.

FACED: Chen et al. (2023), doi:10.1038/s41597-023-02650-w. SEED-V: Liu et al. (2022),
doi:10.1109/TCDS.2021.3071170. EmoEEG-MC: doi:10.18112/openneuro.ds005540.v1.0.7.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kernel import files
from kernel.arrays import whole

if TYPE_CHECKING:
    import mne


@dataclass(frozen=True)
class Design:
    """The clips, electrodes and windows of a data set.

    `classes` are emotions in the order of their labels, `values` the valence of each in any unit; `emotions`
    has one for each clip, `seconds` how long its EEG is. `bands` is a table or its name, `window` is in s.
    Everybody sees the clips of a design with several `sessions` in the order of their numbers, those of one
    session in an order of their own.
    """

    dataset: str
    classes: tuple[str, ...]
    values: tuple[float, ...]
    emotions: tuple[str, ...]
    seconds: tuple[float, ...]
    channels: tuple[str, ...]
    n_subjects: int
    bands: str | Mapping[str, tuple[float, float]] = "official"
    window: float = 1.0
    sessions: int = 1

    def axes(self) -> dict[str, Any]:
        """What :meth:`~kernel.brain.cohort.Cohort.from_arrays` is told of the design, by keyword."""
        names = ("dataset", "classes", "emotions", "channels", "bands", "window")
        return {name: getattr(self, name) for name in names}


_TABLE: dict[str, Any] = files.read_packaged("data/designs.yaml", lambda file: files.read_yaml(file.read()))
_VALENCE = dict(zip(_TABLE["FACED"]["classes"].split(), _TABLE["FACED"]["valence"], strict=True))


def _design(dataset: str, entry: Mapping[str, Any]) -> Design:
    classes, emotions, channels = (tuple(entry[key].split()) for key in ("classes", "emotions", "channels"))
    times = entry.get("times", [(0.0, entry.get("seconds"))] * len(emotions))
    options = {key: entry[key] for key in ("window", "sessions") if key in entry}
    if "bands" in entry:
        options["bands"] = {name: tuple(edges) for name, edges in entry["bands"].items()}
    seconds, values = (float(stop - start) for start, stop in times), (_VALENCE[name] for name in classes)
    n_subjects = entry["n_subjects"]
    return Design(dataset, classes, tuple(values), emotions, tuple(seconds), channels, n_subjects, **options)


DESIGNS: dict[str, Design] = {dataset: _design(dataset, entry) for dataset, entry in _TABLE.items()}
"""Designs by name. Classes that two of them share have one valence, that of FACED."""

FACED_CHANNELS, FACED_CLASSES = DESIGNS["FACED"].channels, DESIGNS["FACED"].classes
FACED_CLIP_EMOTIONS, CLASS_VALENCE = DESIGNS["FACED"].emotions, DESIGNS["FACED"].values
FACED_FILMS: tuple[str, ...] = tuple(_TABLE["FACED"]["films"])
FACED_SCALP = FACED_CHANNELS[:30]
#: Start and end in s of each trial of SEED-V in the recording of its session.
SEED_V_TIMES: tuple[tuple[int, int], ...] = tuple((start, stop) for start, stop in _TABLE["SEED-V"]["times"])


def faced_hardware(subjects: Sequence[int]) -> list[str]:
    """Recording cohort of FACED subjects: ids 0-60 on one cap and amplifier, 61-122 on another."""
    return ["cohort 1" if subject <= 60 else "cohort 2" for subject in whole(list(subjects), "subjects")]


def scalp_info(channels: Sequence[str], *, sfreq: float) -> mne.Info:
    """EEG channels at their 10-05 positions, in upper or lower case; ValueError for one that has none."""
    import mne

    positions, known = _montage()
    missing = [channel for channel in channels if channel.lower() not in known]
    if missing:
        raise ValueError(f"no 10-05 position for {missing}: drop them with cohort.select(channels=...)")
    montage = mne.channels.make_dig_montage(
        {channel: known[channel.lower()] for channel in channels},
        **{key: positions[key] for key in ("nasion", "lpa", "rpa", "coord_frame")},
    )
    return mne.create_info(list(channels), sfreq, ch_types="eeg").set_montage(montage)


def scalp_channels(channels: Sequence[str]) -> list[str]:
    """Those of the channels that have a place in the 10-05 system."""
    _, known = _montage()
    return [channel for channel in channels if channel.lower() in known]


def _montage() -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Positions of the 10-05 system, and those of the channels by name in lower case."""
    import mne

    # the same positions, under the name they have had since mne 1.13
    builtin = mne.channels.get_builtin_montages()
    name = "colin27_1005" if "colin27_1005" in builtin else "standard_1005"
    positions = mne.channels.make_standard_montage(name).get_positions()
    return positions, {channel.lower(): place for channel, place in positions["ch_pos"].items()}
