"""Who watched what, with which cap: the designs of FACED, SEED-V and EmoEEG-MC, and places on the scalp.

FACED: Chen et al. (2023), doi:10.1038/s41597-023-02650-w. SEED-V: Liu et al. (2022),
doi:10.1109/TCDS.2021.3071170. EmoEEG-MC: doi:10.18112/openneuro.ds005540.v1.0.7.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kernel.arrays import whole

if TYPE_CHECKING:
    import mne

# Order of the official release, which is that of the second recording cohort.
FACED_CHANNELS = tuple(
    "Fp1 Fp2 Fz F3 F4 F7 F8 FC1 FC2 FC5 FC6 Cz C3 C4 T7 T8 "
    "CP1 CP2 CP5 CP6 Pz P3 P4 P7 P8 PO3 PO4 Oz O1 O2 A2 A1".split()
)
FACED_SCALP = FACED_CHANNELS[:30]  # A2 and A1 sit on the ears
FACED_CLASSES = tuple("anger disgust fear sadness neutral amusement inspiration joy tenderness".split())
FACED_CLIP_EMOTIONS = tuple(
    emotion for emotion in FACED_CLASSES for _ in range(4 if emotion == "neutral" else 3)
)
# Titles of Stimuli_info.xlsx: all neutral clips are of one film, two of the three fear clips of another
FACED_FILMS = tuple(
    "The Tokyo Trial|Documentary about the Nanjing Massacre|City of Life and Death|Trainspotting|"
    "Indiana Jones and the Last Crusade|Hellraiser|The Shining|The Shining|The Exorcist|In Bruges|Departures|"
    "Gangs of New York|Blue|Blue|Blue|Blue|Modern Times|Minions|Mr. Bean|Forrest Gump|"
    "The Theory of Everything|The Shawshank Redemption|My Neighbor Totoro|Night at the Museum III|"
    "Harry Potter I|The Pursuit of Happiness|Juno|Sex and the City II".split("|")
)
# Mean valence of each class as 123 people rated it on 0-7
CLASS_VALENCE = (1.70, 1.64, 1.57, 1.86, 3.18, 4.23, 4.79, 4.37, 4.43)

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
# start and end of each trial in s from the start of its recording, of which there is one a session
SEED_V_TIMES = (
    (30, 102), (132, 228), (287, 524), (555, 742), (773, 920), (982, 1240), (1271, 1568), (1628, 1697),
    (1730, 1994), (2025, 2166), (2227, 2401), (2435, 2607), (2667, 2901), (2932, 3172), (3204, 3359),
    (30, 267), (299, 488), (548, 614), (646, 773), (836, 967), (1000, 1059), (1091, 1331), (1392, 1622),
    (1657, 1777), (1809, 1908), (1966, 2153), (2186, 2302), (2333, 2428), (2490, 2709), (2741, 2817),
    (30, 321), (353, 418), (478, 643), (674, 764), (825, 877), (908, 1147), (1200, 1284), (1346, 1418),
    (1451, 1679), (1711, 1996), (2055, 2275), (2307, 2425), (2457, 2664), (2726, 2857), (2888, 3066),
)  # fmt: skip

EMOEEG_CLASSES = ("sadness", "disgust", "fear", "neutral", "joy", "tenderness", "inspiration")
EMOEEG_CHANNELS = tuple(
    "Fp1 Fpz Fp2 AF7 AF3 AF4 AF8 F7 F5 F3 F1 Fz F2 F4 F6 F8 FT7 FC5 FC3 FC1 FCz FC2 FC4 FC6 FT8 T7 C5 C3 "
    "C1 Cz C2 C4 C6 T8 TP7 CP5 CP3 CP1 CPz CP2 CP4 CP6 TP8 P7 P5 P3 P1 Pz P2 P4 P6 P8 PO7 PO3 POz PO4 PO8 "
    "O1 Oz O2 F9 F10 TP9 TP10".split()
)


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


def _values(classes: Sequence[str]) -> tuple[float, ...]:
    return tuple(CLASS_VALENCE[FACED_CLASSES.index(emotion)] for emotion in classes)


_EMOEEG_EMOTIONS = tuple(emotion for emotion in EMOEEG_CLASSES for _ in range(3))
DESIGNS: dict[str, Design] = {
    "FACED": Design(
        "FACED", FACED_CLASSES, CLASS_VALENCE, FACED_CLIP_EMOTIONS, (30.0,) * 28, FACED_CHANNELS, 123
    ),
    "SEED-V": Design(
        "SEED-V",
        SEED_V_CLASSES,
        _values(SEED_V_CLASSES),
        tuple(SEED_V_CLASSES[label] for label in SEED_V_LABELS),
        tuple(float(stop - start) for start, stop in SEED_V_TIMES),
        SEED_V_CHANNELS,
        16,
        bands=SEED_V_BANDS,
        window=4.0,
        sessions=3,
    ),
    "EmoEEG-MC": Design(
        "EmoEEG-MC",
        EMOEEG_CLASSES,
        _values(EMOEEG_CLASSES),
        _EMOEEG_EMOTIONS,
        (30.0,) * len(_EMOEEG_EMOTIONS),
        EMOEEG_CHANNELS,
        60,
    ),
}
"""Designs by name. Classes that two of them share have one valence, that of FACED."""


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
