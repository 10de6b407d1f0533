"""The one container of EEG features, and the views and splits every analysis takes of it.

In:  differential entropies of a whole cohort (from a reader, a simulation or a saved file) with their design:
     who, which clip, which emotion, which channel and band, in what order shown, on which hardware.
Out: a validated :class:`Cohort`; standardised copies, trial segments, the cohort tensor, and splits as
     boolean data.
Never: reads a data set's own files, resamples, plots, looks at a label while it standardises, or guesses what
       is missing.

How a reader builds one
-----------------------
Collect the features in one float32 array and name its axes; everything else is optional::

    Cohort.from_arrays(
        de,                                     # (n_subjects, n_clips, n_windows, n_channels, n_bands), nats
        subjects=range(123),                    # integer ids as the data set counts them
        emotions=FACED_CLIP_EMOTIONS,           # one name per clip
        channels=FACED_CHANNELS,
        bands="official",                       # a name of features.BANDS, or {name: (low, high)} in Hz
        dataset="FACED",
        provenance="EEG_Features/DE of the official release, 123 files",
        order=positions,                        # (n_subjects, n_clips), 1-based, -1 where unknown
        hardware=faced_hardware(range(123)),    # one name per subject
    )

A trial that is missing is NaN throughout; a trial shorter than the longest is NaN after its last window. Any
other NaN, and any infinity (a flat channel), is refused.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from kernel.arrays import real, whole
from kernel.brain.features import BANDS, band_edges
from kernel.files import absolute, atomic_path

if TYPE_CHECKING:
    import mne

DIMS = ("subject", "clip", "second", "channel", "band")

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
FACED_FILMS = (
    "The Tokyo Trial",
    "Documentary about the Nanjing Massacre",
    "City of Life and Death",
    "Trainspotting",
    "Indiana Jones and the Last Crusade",
    "Hellraiser",
    "The Shining",
    "The Shining",
    "The Exorcist",
    "In Bruges",
    "Departures",
    "Gangs of New York",
    *["Blue"] * 4,
    "Modern Times",
    "Minions",
    "Mr. Bean",
    "Forrest Gump",
    "The Theory of Everything",
    "The Shawshank Redemption",
    "My Neighbor Totoro",
    "Night at the Museum III",
    "Harry Potter I",
    "The Pursuit of Happiness",
    "Juno",
    "Sex and the City II",
)


def faced_hardware(subjects: Sequence[int]) -> list[str]:
    """Recording cohort of FACED subjects: ids 0-60 on one cap and amplifier, 61-122 on another."""
    return ["cohort 1" if subject <= 60 else "cohort 2" for subject in whole(list(subjects), "subjects")]


def scalp_info(channels: Sequence[str], *, sfreq: float) -> mne.Info:
    """EEG channels at their positions of the 10-05 system; upper and lower case are the same.

    Parameters
    ----------
    channels : sequence of str
        Names.
    sfreq : float
        Samples per second.

    Returns
    -------
    mne.Info

    Raises
    ------
    ValueError
        If a channel is not part of the 10-05 system.
    """
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


@dataclass(frozen=True, eq=False)
class Cohort:
    """Differential entropy of a cohort with its design, validated on construction.

    Parameters
    ----------
    data : xarray.Dataset
        As :meth:`from_arrays` lays it out. Variable ``de`` (subject, clip, second, channel, band), float32,
        nats (z units once standardised). Coordinates: ``subject`` integer ids; ``hardware`` (subject);
        ``clip`` numbers from 1 up; ``emotion``, ``session``, ``duration`` in s (clip); ``second``, start of
        each window in s; ``channel``; ``band`` with ``low`` and ``high`` in Hz; ``order`` (subject, clip),
        presentation position from 1 up, -1 if unknown. Optional: variables ``rating`` (clip, item), mean
        ratings over people, and ``person_rating`` (subject, clip, item), float32, those of single people, NaN
        where missing; coordinate ``film`` (clip), title of the film it is cut from. Attributes:
        ``dataset``, ``provenance``, ``simulated``, ``seed``, ``window`` in s, ``band_table``, ``classes``,
        ``unit``.

    Raises
    ------
    ValueError
        If a part is absent, of the wrong shape or type, repeated, or holds a value that has no meaning; the
        message names the part, the value and the cure.
    """

    data: xr.Dataset

    def __post_init__(self) -> None:
        _validate(self.data)

    @classmethod
    def from_epochs(cls, people: Any, **options: Any) -> Cohort:
        """From Epochs of MNE-Python, one object a person; see :func:`kernel.brain.epochs.from_epochs`."""
        from kernel.brain.epochs import from_epochs

        return from_epochs(people, **options)

    @classmethod
    def from_arrays(
        cls,
        de: ArrayLike,
        *,
        subjects: Sequence[int],
        emotions: Sequence[str],
        channels: Sequence[str],
        dataset: str,
        provenance: str,
        bands: str | Mapping[str, tuple[float, float]] = "official",
        window: float = 1.0,
        clips: Sequence[int] | None = None,
        classes: Sequence[str] | None = None,
        order: ArrayLike | None = None,
        hardware: Sequence[str] | None = None,
        session: Sequence[int] | np.ndarray | None = None,
        duration: ArrayLike | None = None,
        ratings: Mapping[str, ArrayLike] | None = None,
        films: Sequence[str] | None = None,
        simulated: bool = False,
        seed: int | None = None,
    ) -> Cohort:
        """Name the axes of an array of differential entropies.

        Parameters
        ----------
        de : array_like, shape (n_subjects, n_clips, n_windows, n_channels, n_bands)
            Nats. Kept without a copy if it is float32. NaN marks a missing trial or the windows after a
            trial's end.
        subjects : sequence of int, length n_subjects
            Ids as the data set counts them; splits refer to these.
        emotions : sequence of str, length n_clips
            Class of each clip.
        channels : sequence of str, length n_channels
            10-05 names.
        dataset, provenance : str
            What it is (``"FACED"``; for a simulation, the design it follows) and where the numbers came from.
        bands : str or mapping
            A name of :data:`kernel.brain.features.BANDS` or ``{name: (low, high)}`` in Hz.
        window : float
            Length of a window in s; windows do not overlap.
        clips : sequence of int, optional
            Clip numbers; 1, 2, ... by default.
        classes : sequence of str, optional
            Class names in label order; by default those of `emotions` in order of first appearance.
        order : array_like, shape (n_subjects, n_clips), optional
            Presentation position from 1 up; NaN or -1 where unknown.
        hardware : sequence of str, length n_subjects, optional
            Recording cohort of each subject.
        session : sequence of int, length n_clips, optional
            Recording session of each clip; all 1 by default.
        duration : array_like, shape (n_clips,), optional
            Length of each clip in s, which may exceed the EEG kept of it.
        ratings : mapping of str to array_like, shape (n_clips,) or (n_subjects, n_clips), optional
            Mean ratings over people, e.g. ``{"valence": ...}``; or those of single people, NaN where missing,
            of which the means over people are taken here. All items in one of the two forms.
        films : sequence of str, length n_clips, optional
            Title of the film that each clip is cut from, "" where unknown.
        simulated : bool
            True if no brain was recorded: the mark travels into every figure and table.
        seed : int, optional
            Seed of a simulation.

        Returns
        -------
        Cohort

        Raises
        ------
        ValueError
            If shapes disagree or a value has no meaning.
        """
        de = real(de, "de", dtype=np.float32, finite=False)
        if de.ndim != len(DIMS):
            raise ValueError(f"de must have the {len(DIMS)} axes {DIMS}, got shape {de.shape}")
        table, edges = _band_table(bands)
        emotions, channels = _names(emotions, "emotions"), _names(channels, "channels")
        classes = list(dict.fromkeys(emotions)) if classes is None else _names(classes, "classes")
        ids = whole(list(subjects), "subjects")
        names: dict[str, Any] = {"subject": ids, "clip": emotions, "channel": channels, "band": edges}
        for axis, given in names.items():
            if de.shape[DIMS.index(axis)] != len(given):
                found = de.shape[DIMS.index(axis)]
                raise ValueError(f"de has {found} along {axis!r}, {len(given)} were named; shape {de.shape}")
        if not window > 0:
            raise ValueError(f"window must be a positive number of seconds, got {window!r}")
        n_subjects, n_clips = de.shape[:2]
        clips = range(1, n_clips + 1) if clips is None else clips
        session = [1] * n_clips if session is None else session
        duration = [np.nan] * n_clips if duration is None else duration
        hardware = ["unknown"] * n_subjects if hardware is None else hardware
        low, high = np.array(list(edges.values()), dtype=float).T
        # 32-bit integers, because netCDF 3 has no wider ones
        coords = {
            "subject": ids.astype(np.int32),
            "clip": whole(list(clips), "clips").astype(np.int32),
            "second": np.arange(de.shape[2]) * float(window),
            "channel": np.asarray(channels, dtype=str),
            "band": np.asarray(list(edges), dtype=str),
            "low": ("band", low),
            "high": ("band", high),
            "emotion": ("clip", np.asarray(emotions, dtype=str)),
            "session": ("clip", whole(list(session), "session").astype(np.int32)),
            "duration": ("clip", real(duration, "duration", finite=False)),
            "hardware": ("subject", np.asarray(list(hardware), dtype=str)),
            "order": (("subject", "clip"), _positions(order, (n_subjects, n_clips))),
        }
        variables: dict[str, Any] = {"de": (DIMS, de)}
        if films is not None and any(films):  # netCDF 3 cannot hold a column of empty names
            coords["film"] = ("clip", np.asarray(list(films), dtype=str))
        if ratings:
            coords["item"] = np.asarray(list(ratings), dtype=str)
            variables |= _rating_variables(ratings, (n_subjects, n_clips))
        attrs = {
            "dataset": dataset,
            "provenance": provenance,
            "simulated": int(bool(simulated)),
            "seed": "" if seed is None else str(whole(seed, "seed")),
            "window": float(window),
            "band_table": table,
            "classes": ",".join(classes),
            "unit": "nats",
        }
        return cls(xr.Dataset(variables, coords, attrs))

    # What it holds

    @property
    def de(self) -> np.ndarray:
        """The features as a plain array (n_subjects, n_clips, n_windows, n_channels, n_bands)."""
        return self.data["de"].values

    @property
    def subjects(self) -> np.ndarray:
        """Subject ids (n_subjects,)."""
        return self.data["subject"].values

    @property
    def clips(self) -> np.ndarray:
        """Clip numbers (n_clips,)."""
        return self.data["clip"].values

    @property
    def emotions(self) -> np.ndarray:
        """Class name of each clip (n_clips,)."""
        return self.data["emotion"].values

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in label order."""
        return tuple(self.data.attrs["classes"].split(","))

    @property
    def y(self) -> np.ndarray:
        """Class index of each clip (n_clips,)."""
        return np.array([self.classes.index(emotion) for emotion in self.emotions])

    @property
    def channels(self) -> list[str]:
        """Channel names."""
        return self.data["channel"].values.tolist()

    @property
    def bands(self) -> dict[str, tuple[float, float]]:
        """Edges of each band in Hz."""
        names, low, high = (self.data[name].values.tolist() for name in ("band", "low", "high"))
        return dict(zip(names, zip(low, high, strict=True), strict=True))

    @property
    def hardware(self) -> np.ndarray:
        """Recording cohort of each subject (n_subjects,)."""
        return self.data["hardware"].values

    @property
    def order(self) -> np.ndarray:
        """Presentation position (n_subjects, n_clips) as float, NaN where unknown."""
        positions = self.data["order"].values
        return np.where(positions < 0, np.nan, positions)

    @property
    def window(self) -> float:
        """Length of a window in s."""
        return float(self.data.attrs["window"])

    @property
    def n_windows(self) -> np.ndarray:
        """Windows recorded of each trial (n_subjects, n_clips); 0 where the trial is missing."""
        return np.isfinite(self.de[..., 0, 0]).sum(-1)

    @property
    def present(self) -> np.ndarray:
        """Which trials exist (n_subjects, n_clips)."""
        return self.n_windows > 0

    @property
    def simulated(self) -> bool:
        """True if no brain was recorded."""
        return bool(self.data.attrs["simulated"])

    @property
    def label(self) -> str:
        """What to print under a figure or beside a number."""
        if not self.simulated:
            return self.data.attrs["dataset"]
        seed, (_, _, what) = self.data.attrs["seed"], self.data.attrs["provenance"].partition("simulated: ")
        return f"simulated cohort{f', seed {seed}' if seed else ''}{f', {what}' if what else ''}"

    def rating(self, item: str = "valence") -> np.ndarray:
        """Mean rating of each clip (n_clips,); KeyError names the items there are if this is not one."""
        items = self.data["item"].values.tolist() if "rating" in self.data else []
        if item not in items:
            raise KeyError(f"{self.label} has no ratings {item!r}, only {items}: pass ratings=")
        return self.data["rating"].sel(item=item).values

    def person_rating(self, item: str = "valence") -> np.ndarray:
        """Each person's rating of each clip (n_subjects, n_clips), NaN if missing; KeyError as `rating`."""
        if "person_rating" not in self.data:
            raise KeyError(f"{self.label} has no ratings of single people: pass one row a person")
        self.rating(item)
        return self.data["person_rating"].sel(item=item).values

    @property
    def films(self) -> np.ndarray:
        """Title of the film that each clip is cut from (n_clips,), "" where unknown."""
        return self.data["film"].values if "film" in self.data else np.full(len(self.clips), "")

    def info(self) -> mne.Info:
        """Channel positions for mne's topomaps: :func:`scalp_info` of the channels."""
        return scalp_info(self.channels, sfreq=1 / self.window)

    # Views

    def select(
        self,
        *,
        subjects: Sequence[int] | None = None,
        clips: Sequence[int] | None = None,
        channels: Sequence[str] | None = None,
        bands: Sequence[str] | None = None,
    ) -> Cohort:
        """The part with these ids, numbers and names, in this order; KeyError names what does not exist.

        Mean ratings stay those over all people: means over a part come from :meth:`person_rating`.
        """
        given: dict[str, Any] = {"subject": subjects, "clip": clips, "channel": channels, "band": bands}
        wanted = {axis: list(names) for axis, names in given.items() if names is not None}
        for axis in {"subject", "clip"} & set(wanted):
            wanted[axis] = whole(wanted[axis], axis).tolist()  # a mask is no list of ids
        for axis, names in wanted.items():
            absent = sorted(set(names) - set(self.data[axis].values.tolist()))
            if absent:
                raise KeyError(f"{self.label} has no {axis} {absent}")
        return Cohort(self.data.sel(wanted))

    def with_de(self, de: np.ndarray, *, unit: str | None = None) -> Cohort:
        """The same design around other features of the same shape."""
        if np.shape(de) != self.de.shape:
            raise ValueError(f"de must have the shape {self.de.shape} of the cohort, got {np.shape(de)}")
        data = self.data.assign(de=(DIMS, real(de, "de", dtype=np.float32, finite=False)))
        return Cohort(data if unit is None else data.assign_attrs(unit=unit))

    # Files

    def save(self, path: str | Path) -> Path:
        """Write one netCDF file, whole or not at all; :meth:`load` gives back the identical cohort."""
        path = absolute(path)
        with atomic_path(path) as part:
            self.data.to_netcdf(part, engine="scipy")
        return path

    @classmethod
    def load(cls, path: str | Path) -> Cohort:
        """Read what :meth:`save` wrote.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If it is not a netCDF file or not a cohort.
        """
        path = absolute(path)
        if not path.is_file():
            raise FileNotFoundError(f"no cohort file at {path}: write one with Cohort.save")
        # from memory: a damaged length then reads to the end, where a file would reserve what it asks for
        content = io.BytesIO(path.read_bytes())
        try:
            data = xr.load_dataset(content, engine="scipy")
            for name in ("channel", "band", "emotion", "hardware", "item", "film"):
                if name in data.coords:
                    data = data.assign_coords({name: data[name].astype(str)})
        except Exception as error:  # xarray and scipy raise many kinds for a damaged file
            raise ValueError(f"{path} is not a readable netCDF file ({error}): save it again") from error
        try:
            return cls(data)
        except Exception as error:  # what is not laid out as a cohort can fail any check
            raise ValueError(f"{path} is not a valid cohort: {error}") from error


def standardise(cohort: Cohort) -> Cohort:
    """Z-score every feature of every subject over that subject's own clips and windows, without labels.

    It removes what differs between people, caps and amplifiers. It needs all of a subject's recording, so a
    test subject is scaled by their own unlabelled test data: a transductive step that no label enters.

    Returns
    -------
    Cohort
        Unit ``z``: mean 0 and standard deviation 1 per subject, channel and band.

    Raises
    ------
    ValueError
        If a feature of a subject does not vary, or a subject has no trial.
    """
    de, present = cohort.de, cohort.present
    out = np.empty_like(de)
    for index, subject in enumerate(cohort.subjects):
        if not present[index].any():
            raise ValueError(f"subject {subject} has no trial: drop them with cohort.select(subjects=...)")
        block = de[index].astype(np.float64)
        scale = np.nanstd(block, axis=(0, 1))
        if not (scale > 1e-6).all():
            channel, band = np.argwhere(~(scale > 1e-6))[0]
            name = f"{cohort.channels[channel]}/{list(cohort.bands)[band]}"
            raise ValueError(f"{name} of subject {subject} does not vary: drop the channel or the subject")
        out[index] = (block - np.nanmean(block, axis=(0, 1))) / scale
    return cohort.with_de(out, unit="z")


@dataclass(frozen=True, eq=False)
class Segments:
    """Trials cut into equal segments, one row each.

    Attributes
    ----------
    X : ndarray, shape (n, n_channels * n_bands), float32
        Mean over the segment's windows; the feature of channel c and band b is column ``c * n_bands + b``.
    y : ndarray, shape (n,)
        Class index.
    subject, clip, segment : ndarray, shape (n,)
        Subject id, clip number and place of the segment in its trial, from 0.
    cell : ndarray, shape (n,)
        Flat index of the trial in the (subject, clip) grid.
    classes : tuple of str
        Names of the class indices.
    """

    X: np.ndarray
    y: np.ndarray
    subject: np.ndarray
    clip: np.ndarray
    segment: np.ndarray
    cell: np.ndarray
    classes: tuple[str, ...]

    def rows(self, mask: np.ndarray) -> np.ndarray:
        """Which rows belong to the trials of `mask` (n_subjects, n_clips): boolean (n,)."""
        return np.asarray(mask).ravel()[self.cell]


def segment_length(cohort: Cohort, length: float | None = None) -> float:
    """Seconds of a segment: as given, or the whole number of the cohort's windows that is nearest to 10 s."""
    if length is not None:
        return length
    return max(1, round(10 / cohort.window)) * cohort.window


def segments(cohort: Cohort, *, length: float | None = None) -> Segments:
    """Cut every trial into segments of `length` seconds and average the windows within each.

    Parameters
    ----------
    cohort : Cohort
        Usually standardised first.
    length : float, optional
        Seconds, a whole number of windows; what is left at a trial's end is dropped. By default about 10 s,
        as in the paper: 10 s in windows of 1 s, 8 s in SEED-V's windows of 4 s.

    Returns
    -------
    Segments
        Sorted by subject, clip, segment.

    Raises
    ------
    ValueError
        If `length` is not a whole number of windows or exceeds every trial.
    """
    length = segment_length(cohort, length)
    per = round(length / cohort.window)
    if per < 1 or not np.isclose(per * cohort.window, length):
        raise ValueError(f"length {length!r} s is not a whole number of windows of {cohort.window} s")
    n_subjects, n_clips, n_windows, n_channels, n_bands = cohort.de.shape
    n_segments = n_windows // per
    if n_segments == 0:
        raise ValueError(f"length {length!r} s exceeds the longest trial, {n_windows * cohort.window} s")
    shape = (n_subjects, n_clips, n_segments, per, n_channels, n_bands)
    means = cohort.de[:, :, : n_segments * per].reshape(shape).mean(3)
    subject, clip, segment = np.nonzero(np.isfinite(means[..., 0, 0]))
    short = cohort.present & (cohort.n_windows < per)
    if short.any():
        warnings.warn(
            f"{short.sum()} of {cohort.present.sum()} trials of {cohort.label} are shorter than {length:g} s "
            "and give no segment: shorten length",
            stacklevel=2,
        )
    return Segments(
        X=means[subject, clip, segment].reshape(len(subject), -1),
        y=cohort.y[clip],
        subject=cohort.subjects[subject],
        clip=cohort.clips[clip],
        segment=segment,
        cell=subject * n_clips + clip,
        classes=cohort.classes,
    )


def trial_features(cohort: Cohort) -> np.ndarray:
    """Mean over seconds (n_subjects, n_clips, n_channels, n_bands), float64; NaN where a trial is missing."""
    out = np.full((*cohort.de.shape[:2], *cohort.de.shape[3:]), np.nan)
    for row, block, present in zip(out, cohort.de, cohort.present, strict=True):  # bounds the memory
        row[present] = np.nanmean(block[present], axis=1, dtype=np.float64)
    return out


def cohort_tensor(cohort: Cohort) -> np.ndarray:
    """Mean over seconds, then over subjects: (n_clips, n_channels, n_bands), float64.

    Raises
    ------
    ValueError
        If nobody saw a clip.
    """
    unseen = cohort.clips[~cohort.present.any(0)]
    if unseen.size:
        raise ValueError(f"no subject has clips {unseen.tolist()}: drop them with cohort.select(clips=...)")
    return np.nanmean(trial_features(cohort), axis=0)


def trials_present(features: np.ndarray) -> np.ndarray:
    """Which trials (n_subjects, n_clips) of features (n_subjects, n_clips, ...) there are.

    Raises
    ------
    ValueError
        If a trial holds an infinity or is NaN in part: names the first.
    """
    flat = features.reshape(*features.shape[:2], -1)
    missing = np.isnan(flat)
    absent = missing.all(-1)
    broken = (missing.any(-1) & ~absent) | np.isinf(flat).any(-1)
    if broken.any():
        subject, clip = np.argwhere(broken)[0].tolist()
        raise ValueError(
            f"features of the subject at place {subject}, clip at place {clip} hold infinities or are NaN in "
            "part: set whole trials to NaN"
        )
    return ~absent


def mean_over_subjects(features: np.ndarray) -> np.ndarray:
    """Mean of each clip over the subjects who have it.

    Parameters
    ----------
    features : ndarray, shape (n_subjects, n_clips, ...)
        Of each trial, as `trial_features`; NaN throughout where it is missing.

    Returns
    -------
    ndarray, shape (n_clips, ...)

    Raises
    ------
    ValueError
        If nobody has a clip, or a trial is NaN in part.
    """
    there = trials_present(features).sum(0)
    if not there.all():
        places = np.flatnonzero(there == 0).tolist()
        raise ValueError(f"nobody here has trials of clips at places {places}: drop these clips")
    return np.nansum(features, axis=0) / there.reshape(-1, *[1] * (features.ndim - 2))


# Splits

Parts = tuple[np.ndarray, ...]  # train, validation, test


@dataclass(frozen=True, eq=False)
class Split:
    """Three disjoint sets of trials as data.

    Attributes
    ----------
    name : str
        Name of the split.
    train, validation, test : ndarray of bool, shape (n_subjects, n_clips)
        Membership of each trial.
    note : str
        What the split holds apart and what it does not.
    """

    name: str
    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    note: str

    @property
    def shares_subjects(self) -> bool:
        """True if some subject is both in train and in test."""
        return bool((self.train.any(1) & self.test.any(1)).any())

    @property
    def shares_clips(self) -> bool:
        """True if some clip is both in train and in test."""
        return bool((self.train.any(0) & self.test.any(0)).any())


def make_split(
    cohort: Cohort, name: str, *, fold: int = 0, random_state: int | np.random.Generator | None = 0
) -> Split:
    """Divide the trials of a cohort into train, validation and test.

    Parameters
    ----------
    cohort : Cohort
        Trials that are missing belong to no set.
    name : str
        - ``standard``: FACED subjects 0-79 / 80-99 / 100-122, all clips. New subjects, the *same clips*;
          validation and test are all of the second recording cohort. Fixed.
        - ``cohort_matched``: the same proportions of subjects, drawn within each recording cohort, so that
          train and test share their mix of hardware. All clips.
        - ``leave_clips_out``: new subjects *and* new clips: in each class one clip is kept for the test
          subjects, the others serve the training and validation subjects. Subjects are divided as in
          ``cohort_matched``.
        - ``leave_subjects_out``: five folds of subjects; one tests, the next validates. All clips.
        - ``cbramod``: SEED-V trials 0-4 / 5-9 / 10-14 of each session, as used by CBraMod [1]_ and its
          successors. It *shares all its subjects* between train and test: it does not test new people.
    fold : int
        Which clip of each class (``leave_clips_out``) or which fifth of the subjects (``leave_subjects_out``)
        is tested.
    random_state : int, Generator or None
        Seed or generator of the draws; fixed by default because a split is part of a protocol.

    Returns
    -------
    Split

    Raises
    ------
    ValueError
        If the name is unknown, the cohort does not have what the split needs, or a set would be empty.

    References
    ----------
    .. [1] Wang et al. (2025), CBraMod, ICLR. arXiv:2412.07236
    """
    if name not in SPLITS:
        raise ValueError(f"no split named {name!r}; there are {', '.join(SPLITS)}")
    if fold < 0:
        raise ValueError(f"fold must be 0 or more, got {fold}")
    parts, note = SPLITS[name](cohort, fold, np.random.default_rng(random_state))
    train, validation, test = (part & cohort.present for part in parts)
    for which, part in {"train": train, "validation": validation, "test": test}.items():
        if not part.any():
            raise ValueError(f"split {name!r} leaves {which} empty in {cohort.label}: try leave_subjects_out")
    return Split(name, train, validation, test, note)


def _standard(cohort: Cohort, fold: int, rng: np.random.Generator) -> tuple[Parts, str]:
    _require(cohort, "FACED", "standard")
    sets = np.digitize(cohort.subjects, (80, 100))
    return _by_subject(
        cohort, sets
    ), "new subjects, same clips; validation and test are all of recording cohort 2"


def _cohort_matched(cohort: Cohort, fold: int, rng: np.random.Generator) -> tuple[Parts, str]:
    return _by_subject(cohort, _matched_sets(cohort, rng)), "new subjects, same clips, same mix of hardware"


def _leave_clips_out(cohort: Cohort, fold: int, rng: np.random.Generator) -> tuple[Parts, str]:
    sets = _matched_sets(cohort, rng)
    held_out = np.zeros(len(cohort.clips), dtype=bool)
    for index, emotion in enumerate(cohort.classes):
        members = np.flatnonzero(cohort.y == index)
        if len(members) < 2:
            raise ValueError(f"leave_clips_out needs two clips of {emotion!r}, the cohort has {len(members)}")
        held_out[rng.permutation(members)[fold % len(members)]] = True
    train, validation, test = _by_subject(cohort, sets)
    note = "new subjects and new clips; validation sees new subjects on the training clips"
    return (train & ~held_out, validation & ~held_out, test & held_out), note


def _leave_subjects_out(cohort: Cohort, fold: int, rng: np.random.Generator) -> tuple[Parts, str]:
    n_folds = 5
    if len(cohort.subjects) < n_folds:
        raise ValueError(
            f"leave_subjects_out needs {n_folds} subjects, the cohort has {len(cohort.subjects)}"
        )
    turn = (rng.permutation(len(cohort.subjects)) - fold) % n_folds  # 0 tests, 1 validates, the rest trains
    return _by_subject(cohort, np.select([turn == 0, turn == 1], [2, 1], 0)), "new subjects, same clips"


def _cbramod(cohort: Cohort, fold: int, rng: np.random.Generator) -> tuple[Parts, str]:
    _require(cohort, "SEED-V", "cbramod")
    grid = np.broadcast_to((cohort.clips - 1) % 15 // 5, (len(cohort.subjects), len(cohort.clips)))
    return tuple(grid == part for part in range(3)), "new clips, but train and test share every subject"


SPLITS = {
    "standard": _standard,
    "cohort_matched": _cohort_matched,
    "leave_clips_out": _leave_clips_out,
    "leave_subjects_out": _leave_subjects_out,
    "cbramod": _cbramod,
}


def _require(cohort: Cohort, dataset: str, name: str) -> None:
    found = cohort.data.attrs["dataset"]
    if found != dataset:
        raise ValueError(
            f"split {name!r} is defined for {dataset}, this cohort is {found}: try leave_subjects_out"
        )


def _by_subject(cohort: Cohort, sets: np.ndarray) -> Parts:
    """Masks (n_subjects, n_clips) of the subjects whose set is 0, 1, 2."""
    return tuple(np.repeat(sets[:, None] == part, len(cohort.clips), axis=1) for part in range(3))


def _matched_sets(cohort: Cohort, rng: np.random.Generator) -> np.ndarray:
    """Set 0, 1 or 2 of each subject in the proportions 80 : 20 : 23 within each recording cohort."""
    sets = np.zeros(len(cohort.subjects), dtype=int)
    for hardware in np.unique(cohort.hardware):
        members = rng.permutation(np.flatnonzero(cohort.hardware == hardware))
        edges = np.rint(np.array([80, 100]) / 123 * len(members)).astype(int)
        for part, chosen in enumerate(np.split(members, edges)):
            sets[chosen] = part
    return sets


# Validation


def _band_table(bands: str | Mapping[str, tuple[float, float]]) -> tuple[str, dict[str, tuple[float, float]]]:
    """Name of the table ("custom" if it has none) and its edges."""
    edges = band_edges(bands)
    return next((name for name, table in BANDS.items() if edges == table), "custom"), edges


def _positions(order: ArrayLike | None, shape: tuple[int, int]) -> np.ndarray:
    if order is None:
        return np.full(shape, -1, dtype=np.int32)
    order = real(order, "order", finite=False)
    if order.shape != shape:
        raise ValueError(f"order must be (n_subjects, n_clips) = {shape}, got shape {order.shape}")
    return whole(np.where(np.isnan(order), -1, order), "order").astype(np.int32)


def _names(names: Sequence[str], what: str) -> list[str]:
    names = list(names)
    for name in names:
        comma = what != "channels" and "," in str(name)
        if not isinstance(name, str) or not name or name != name.strip() or comma:
            raise ValueError(
                f"{what} must be words without a comma or a space at an end, got {name!r}: give each a name"
            )
    return names


def _rating_variables(ratings: Mapping[str, ArrayLike], shape: tuple[int, int]) -> dict[str, Any]:
    """Variable ``rating``, and ``person_rating`` where every item has one row a person."""
    tables = {item: real(values, f"rating {item!r}", finite=False) for item, values in ratings.items()}
    shapes = {item: table.shape for item, table in tables.items()}
    if set(shapes.values()) not in ({shape}, {shape[1:]}):
        forms = f"{shape[1:]}, means, or all {shape}, single people"
        raise ValueError(f"ratings must all be {forms}; got {shapes}")
    values = np.stack(list(tables.values()), axis=-1)
    if values.ndim == 2:
        return {"rating": (("clip", "item"), values)}
    there = np.isfinite(values)
    if (~there & ~np.isnan(values)).any():
        raise ValueError("ratings of single people must be finite, or NaN where missing: found an infinity")
    sums, counts = np.where(there, values, 0).sum(0), there.sum(0)
    means = np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)
    return {
        "rating": (("clip", "item"), means),
        "person_rating": (("subject", "clip", "item"), values.astype(np.float32)),
    }


_VARIABLES = set(
    "de subject clip second channel band low high emotion session duration hardware order".split()
)
_ATTRIBUTES = set("dataset provenance simulated seed window band_table classes unit".split())


def _validate(data: xr.Dataset) -> None:
    if not isinstance(data, xr.Dataset):
        raise ValueError(f"a Cohort wraps an xarray.Dataset, not {type(data).__name__}: see from_arrays")
    absent = sorted(_VARIABLES - set(data.variables)) + sorted(_ATTRIBUTES - set(data.attrs))
    if absent:
        raise ValueError(f"the data set lacks {absent}: build it with Cohort.from_arrays")
    if data["de"].dims != DIMS or data["de"].dtype != np.float32 or 0 in data["de"].shape:
        found = f"{data['de'].dtype} {dict(data['de'].sizes)}"
        raise ValueError(f"de must be float32 over {DIMS}, none empty; got {found}")
    named = {axis: data[axis].values.tolist() for axis in ("subject", "clip", "channel", "band")}
    for axis, names in (named | {"class": data.attrs["classes"].split(",")}).items():
        # electrodes are found by name in upper or lower case
        plain = [name.lower() if axis == "channel" else name for name in names]
        twice = [name for name, one in zip(names, plain, strict=True) if plain.count(one) > 1]
        if twice:
            raise ValueError(f"{axis} {twice} occur more than once: each must be unique")
    optional = {"person_rating": ("subject", "clip", "item"), "rating": ("clip", "item"), "film": ("clip",)}
    for part, dims in optional.items():
        if part in data.variables and data[part].dims != dims:
            raise ValueError(f"{part} must be over {dims}, got {data[part].dims}: build it with from_arrays")
    if (data["clip"].values < 1).any():
        raise ValueError(f"clips are numbered from 1, got {int(data['clip'].min())}")
    for name, low, high in zip(*(data[key].values.tolist() for key in ("band", "low", "high")), strict=True):
        if not 0 < low < high:
            raise ValueError(f"band {name!r} needs 0 < low < high in Hz, got {low} and {high}")
    unknown = sorted(set(data["emotion"].values.tolist()) - set(data.attrs["classes"].split(",")))
    if unknown:
        raise ValueError(f"emotions {unknown} are not among the classes {data.attrs['classes']}")
    _validate_order(data)
    _validate_values(data)


def _validate_order(data: xr.Dataset) -> None:
    for subject, positions in zip(data["subject"].values, data["order"].values, strict=True):
        known = positions[positions != -1]
        if (known < 1).any():
            raise ValueError(f"subject {subject} has position {known.min()}: they start at 1, -1 is unknown")
        if len(np.unique(known)) < len(known):
            raise ValueError(f"subject {subject} has two clips at the same position of the order")


def _validate_values(data: xr.Dataset) -> None:
    """Only whole trials and their last windows may be NaN; nothing may be infinite."""
    clips, channels, bands = (data[name].values for name in ("clip", "channel", "band"))
    for subject, block in zip(data["subject"].values, data["de"].values, strict=True):
        finite = np.isfinite(block)
        if finite.all():
            continue
        if np.isinf(block).any():
            clip, second, channel, band = np.argwhere(np.isinf(block))[0]
            where = (
                f"subject {subject}, clip {clips[clip]}, {channels[channel]}/{bands[band]}, window {second}"
            )
            raise ValueError(f"infinite differential entropy in {where}: is the channel flat?")
        recorded = finite.any((2, 3))
        if (recorded != finite.all((2, 3))).any():
            clip, second, channel, _ = np.argwhere(~finite & recorded[..., None, None])[0]
            where = f"subject {subject}, clip {clips[clip]}, window {second}, {channels[channel]}"
            raise ValueError(f"NaN in {where}: interpolate it or set the whole trial to NaN")
        gaps = (np.diff(recorded.astype(int), axis=1) > 0).any(1)
        if gaps.any():
            where = f"subject {subject}, clips {clips[gaps].tolist()}"
            raise ValueError(f"NaN windows within {where}: only those after a trial's end may be NaN")
