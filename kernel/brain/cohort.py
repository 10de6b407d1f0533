"""The one container of EEG features, and the views every analysis takes of it.

A trial that is missing is NaN throughout; a trial shorter than the longest is NaN after its last window. Any
other NaN, and any infinity (a flat channel), is refused. Nothing here looks at a label while it standardises.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike

from kernel import checks
from kernel.arrays import real, row_labels, whole
from kernel.brain.designs import scalp_channels, scalp_info
from kernel.brain.epochs import arrays_of_epochs
from kernel.brain.features import band_edges
from kernel.checks import shape
from kernel.files import absolute, atomic_path

if TYPE_CHECKING:
    import mne

DIMS = ("subject", "clip", "second", "channel", "band")
_ATTRIBUTES = tuple("dataset provenance simulated seed window classes unit".split())
# axes of every variable and coordinate; netCDF 3 has no wider integers than 32 bits
_AXES = {name: (name,) for name in (*DIMS, "item")} | {
    "de": DIMS,
    **dict.fromkeys(("low", "high"), ("band",)),
    **dict.fromkeys(("emotion", "film"), ("clip",)),
    "hardware": ("subject",),
    "order": ("subject", "clip"),
    "rating": ("clip", "item"),
    "person_rating": ("subject", "clip", "item"),
}
_OPTIONAL = {"item", "film", "rating", "person_rating"}


@dataclass(frozen=True, eq=False)
class Cohort:
    """Differential entropy of a cohort with its design, validated on construction.

    `data` is an xarray.Dataset as :meth:`from_arrays` lays it out: variable ``de`` (subject, clip, second,
    channel, band), float32, nats (z units once standardised); ``order`` (subject, clip), -1 where unknown;
    and, if known, ``rating`` (clip, item), means over people, ``person_rating`` (subject, clip, item) and
    ``film`` (clip).
    """

    data: xr.Dataset

    def __post_init__(self) -> None:
        _validate(self.data)

    @classmethod
    def from_epochs(cls, people: Any, **options: Any) -> Cohort:
        """From Epochs of MNE-Python, one a person; see :func:`~kernel.brain.epochs.arrays_of_epochs`."""
        return cls.from_arrays(**arrays_of_epochs(people, **options))

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
        ratings: Mapping[str, ArrayLike] | None = None,
        films: Sequence[str] | None = None,
        simulated: bool = False,
        seed: int | None = None,
    ) -> Cohort:
        """Name the axes of an array of differential entropies.

        Parameters
        ----------
        de : array_like, shape (n_subjects, n_clips, n_windows, n_channels, n_bands)
            Nats. Kept without a copy if it is float32.
        subjects, hardware : sequence of int and of str, length n_subjects
            Ids as the data set counts them, to which splits refer; recording cohort of each.
        emotions, films : sequence of str, length n_clips
            Class of each clip; title of the film that it is cut from, "" where unknown.
        channels : sequence of str
            10-05 name of each channel.
        dataset, provenance : str
            What it is (``"FACED"``; for a simulation, the design it follows) and where the numbers came from.
        bands : str or mapping
            A name of :data:`kernel.brain.features.BANDS` or ``{name: (low, high)}`` in Hz.
        window : float
            Length of a window in s; windows do not overlap.
        clips : sequence of int, length n_clips, optional
            Number of each clip; from 1 up by default.
        classes : sequence of str, optional
            Class names in label order; by default those of `emotions` in order of first appearance.
        order : array_like, shape (n_subjects, n_clips), optional
            Presentation position from 1 up; NaN or -1 where unknown.
        ratings : mapping of str to array_like, shape (n_clips,) or (n_subjects, n_clips), optional
            Means over people by item, e.g. ``{"valence": ...}``; or ratings of single people, NaN where
            missing, of which the means are taken here. All items in one of the two forms.
        simulated, seed : bool and int
            Whether no brain was recorded, a mark that travels into every figure and table; seed if so.
        """
        de = real(de, "de", dtype=np.float32, finite=False)
        ids, edges = whole(list(subjects), "subjects"), band_edges(bands)
        emotions, channels = _names(emotions, "emotions"), _names(channels, "channels")
        lengths = (len(ids), len(emotions), None, len(channels), len(edges))
        shape("de", de, lengths, f"{DIMS} with the lengths that were named, {lengths}")
        n_subjects, n_clips, n_windows = de.shape[:3]
        numbers = np.arange(1, n_clips + 1) if clips is None else whole(list(clips), "clips")
        shape("clips", numbers, (n_clips,), f"({n_clips},)")
        classes = list(dict.fromkeys(emotions)) if classes is None else _names(classes, "classes")
        hardware = ["unknown"] * n_subjects if hardware is None else hardware
        positions = np.full(de.shape[:2], np.nan) if order is None else real(order, "order", finite=False)
        shape("order", positions, de.shape[:2], f"(n_subjects, n_clips) = {de.shape[:2]}")
        for name, text in (("dataset", dataset), ("provenance", provenance)):
            if not isinstance(text, str):
                raise ValueError(f"{name} must be a text, got {text!r}: say what the data are")
        low, high = np.array(list(edges.values()), dtype=float).T
        arrays: dict[str, Any] = {
            "de": de,
            "subject": ids.astype(np.int32),
            "clip": numbers.astype(np.int32),
            "second": np.arange(n_windows) * checks.between("window", window, 0, np.inf),
            "channel": np.asarray(channels, dtype=str),
            "band": np.asarray(list(edges), dtype=str),
            "low": low,
            "high": high,
            "emotion": np.asarray(emotions, dtype=str),
            "hardware": row_labels(hardware, "hardware", n_subjects).astype(str),
            "order": whole(np.where(np.isnan(positions), -1, positions), "order").astype(np.int32),
        }
        if films is not None and any(films):  # netCDF 3 cannot hold a column of empty names
            arrays["film"] = row_labels(list(films), "films", n_clips).astype(str)
        if ratings is not None and len(ratings):
            arrays["item"] = np.asarray(list(ratings), dtype=str)
            arrays |= _rating_variables(ratings, de.shape[:2])
        attrs = {
            "dataset": dataset,
            "provenance": provenance,
            "simulated": int(bool(simulated)),
            "seed": "" if seed is None else str(whole(seed, "seed")),
            "window": float(window),
            "classes": ",".join(classes),
            "unit": "nats",
        }
        data = xr.Dataset({name: (_AXES[name], array) for name, array in arrays.items()}, attrs=attrs)
        return cls(data.set_coords(arrays.keys() - {"de", "rating", "person_rating"}))

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
    def films(self) -> np.ndarray:
        """Title of the film that each clip is cut from (n_clips,), "" where unknown."""
        return self.data["film"].values if "film" in self.data else np.full(len(self.clips), "")

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

    def info(self) -> mne.Info:
        """Channel positions for mne's topomaps: :func:`~kernel.brain.designs.scalp_info` of the channels."""
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
        asked: dict[str, Any] = {"subject": subjects, "clip": clips, "channel": channels, "band": bands}
        parts = {
            axis: list(checks.choices(axis, names)) for axis, names in asked.items() if names is not None
        }
        for axis in {"subject", "clip"} & set(parts):
            parts[axis] = whole(parts[axis], axis).tolist()  # a mask is no list of ids
        for axis, names in parts.items():
            absent = sorted(set(names) - set(self.data[axis].values.tolist()))
            if absent:
                raise KeyError(f"{self.label} has no {axis} {absent}")
        return Cohort(self.data.sel(parts))

    def with_de(self, de: np.ndarray, *, unit: str | None = None) -> Cohort:
        """The same design around other features of the same shape."""
        de = shape("de", real(de, "de", dtype=np.float32, finite=False), self.de.shape)
        data = self.data.assign(de=(DIMS, de))
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
        """Read what :meth:`save` wrote; ValueError if it is damaged or no cohort."""
        path = absolute(path)
        if not path.is_file():
            raise FileNotFoundError(f"no cohort file at {path}: write one with Cohort.save")
        # from memory: a damaged length then reads to the end, where a file would reserve what it asks for
        content = io.BytesIO(path.read_bytes())
        if not content.getvalue().startswith(b"CDF"):
            start = content.getvalue()[:4]
            raise ValueError(
                f"{path} starts with {start!r}: give a cohort written by Cohort.save (netCDF 3), or the "
                "folder of a data set"
            )
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

    It removes what differs between people, caps and amplifiers; the unit becomes ``z``. A test subject is
    scaled by their own unlabelled test data: a transductive step.
    """
    out = np.empty_like(cohort.de)
    for index, (subject, block) in enumerate(zip(cohort.subjects, cohort.de, strict=True)):
        if np.isnan(block).all():
            raise ValueError(f"subject {subject} has no trial: drop them with cohort.select(subjects=...)")
        block = block.astype(np.float64)
        scale = np.nanstd(block, axis=(0, 1))
        if not (scale > 1e-6).all():
            channel, band = np.argwhere(~(scale > 1e-6))[0]
            name = f"{cohort.channels[channel]}/{list(cohort.bands)[band]}"
            raise ValueError(f"{name} of subject {subject} does not vary: drop the channel or the subject")
        out[index] = (block - np.nanmean(block, axis=(0, 1))) / scale
    return cohort.with_de(out, unit="z")


def on_common_electrodes(first: Cohort, second: Cohort) -> tuple[Cohort, Cohort]:
    """Both cohorts on the scalp electrodes that they share, in the order of the first, each standardised.

    ValueError if they share fewer than two, or if their bands have other names.
    """
    theirs = {name.lower(): name for name in second.channels}
    shared = [name for name in scalp_channels(first.channels) if name.lower() in theirs]
    if len(shared) < 2:
        raise ValueError(f"{first.label} and {second.label} share the electrodes {shared}: two are needed")
    if list(first.bands) != list(second.bands):
        raise ValueError(f"bands must agree by name, got {list(first.bands)} and {list(second.bands)}")
    there = second.select(channels=[theirs[name.lower()] for name in shared])
    return standardise(first.select(channels=shared)), standardise(there)


@dataclass(frozen=True, eq=False)
class Segments:
    """Trials cut into equal segments, one row each.

    `X` (n, n_channels * n_bands) holds means over a segment's windows, float32; the feature of channel c and
    band b is column ``c * n_bands + b``. `y` is the class index, of `classes`; `subject` the id, `clip` the
    number, `segment` the place in the trial from 0, `cell` the trial's flat index among (subject, clip).
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
    return max(1, round(10 / cohort.window)) * cohort.window if length is None else length


def segments(cohort: Cohort, *, length: float | None = None) -> Segments:
    """Cut every trial into segments and average the windows within each; in order of subject, clip and place.

    `length` is in s, a whole number of windows; what is left at a trial's end is dropped. By default it is
    about 10 s, as in the paper: 10 s in windows of 1 s, 8 s in SEED-V's windows of 4 s.
    """
    length = segment_length(cohort, length)
    per = round(checks.between("length", length, 0, np.inf) / cohort.window)
    if per < 1 or not np.isclose(per * cohort.window, length):
        raise ValueError(f"length {length!r} s is not a whole number of windows of {cohort.window} s")
    n_subjects, n_clips, n_windows, n_channels, n_bands = cohort.de.shape
    n_segments = n_windows // per
    if n_segments == 0:
        raise ValueError(f"length {length!r} s exceeds the longest trial, {n_windows * cohort.window} s")
    parts = (n_subjects, n_clips, n_segments, per, n_channels, n_bands)
    means = cohort.de[:, :, : n_segments * per].reshape(parts).mean(3)
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
    """Mean over seconds, then over subjects: (n_clips, n_channels, n_bands), float64."""
    return mean_over_subjects(trial_features(cohort))


def trials_present(features: np.ndarray) -> np.ndarray:
    """Which trials (n_subjects, n_clips) of features (n_subjects, n_clips, ...) there are.

    ValueError names the first trial that holds an infinity or is NaN in part.
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
    """Mean of each clip over the subjects who have it: (n_clips, ...) of (n_subjects, n_clips, ...).

    A missing trial is NaN throughout; ValueError if nobody has a clip, or a trial is NaN in part.
    """
    there = trials_present(features).sum(0)
    if not there.all():
        places = np.flatnonzero(there == 0).tolist()
        raise ValueError(f"nobody here has trials of clips at places {places}: drop these clips")
    return np.nansum(features, axis=0) / there.reshape(-1, *[1] * (features.ndim - 2))


# Validation


def _names(names: Sequence[str], what: str) -> list[str]:
    if isinstance(names, str):
        raise ValueError(f"{what} must be a list of names, got {names!r}: put it in brackets")
    for name in names:
        comma = what != "channels" and "," in str(name)
        if not isinstance(name, str) or not name or name != name.strip() or comma:
            raise ValueError(
                f"{what} must be words without a comma or a space at an end, got {name!r}: give each a name"
            )
    return list(names)


def _rating_variables(ratings: Mapping[str, ArrayLike], grid: tuple[int, int]) -> dict[str, np.ndarray]:
    """Variable ``rating``, and ``person_rating`` where every item has one row a person."""
    if not isinstance(ratings, Mapping):
        raise ValueError(f"ratings must be {{item: values}}, got {type(ratings).__name__}: name them")
    tables = {item: real(values, f"rating {item!r}", finite=False) for item, values in ratings.items()}
    shapes = {item: table.shape for item, table in tables.items()}
    if set(shapes.values()) not in ({grid}, {grid[1:]}):
        raise ValueError(f"ratings must all be {grid[1:]}, means, or all {grid}, single people; got {shapes}")
    values = np.stack(list(tables.values()), axis=-1)
    if np.isinf(values).any():
        raise ValueError("ratings must be finite, or NaN where missing: found an infinity")
    if values.ndim == 2:
        return {"rating": values}
    means = np.ma.masked_invalid(values).mean(0).filled(np.nan)
    return {"rating": means, "person_rating": values.astype(np.float32)}


def _validate(data: xr.Dataset) -> None:
    if not isinstance(data, xr.Dataset):
        raise ValueError(f"a Cohort wraps an xarray.Dataset, not {type(data).__name__}: see from_arrays")
    absent = sorted(set(_AXES) - _OPTIONAL - set(data.variables)) + sorted(set(_ATTRIBUTES) - set(data.attrs))
    if absent:
        raise ValueError(f"the data set lacks {absent}: build it with Cohort.from_arrays")
    for part, axes in _AXES.items():
        if part in data.variables and data[part].dims != axes:
            raise ValueError(f"{part} must be over {axes}, got {data[part].dims}: build it with from_arrays")
    if data["de"].dtype != np.float32 or 0 in data["de"].shape:
        raise ValueError(f"de must be float32, no axis empty; got {data['de'].dtype} {data['de'].shape}")
    classes = data.attrs["classes"].split(",")
    named = {axis: data[axis].values.tolist() for axis in ("subject", "clip", "channel", "band")}
    for axis, names in (named | {"class": classes}).items():
        # electrodes are found by name in upper or lower case
        alike = pd.Series([name.lower() if axis == "channel" else name for name in names]).duplicated(False)
        if alike.any():
            raise ValueError(
                f"{axis} {np.array(names)[alike].tolist()} occur more than once: each must be unique"
            )
    band_edges(
        dict(zip(named["band"], zip(data["low"].values, data["high"].values, strict=True), strict=True))
    )
    unknown = sorted(set(data["emotion"].values.tolist()) - set(classes))
    if unknown:
        raise ValueError(f"emotions {unknown} are not among the classes {data.attrs['classes']}")
    for subject, positions in zip(data["subject"].values, data["order"].values, strict=True):
        known = positions[positions != -1]
        if (known < 1).any():
            raise ValueError(f"subject {subject} has position {known.min()}: they start at 1, -1 is unknown")
        if len(np.unique(known)) < len(known):
            raise ValueError(f"subject {subject} has two clips at the same position of the order")
    _validate_values(data)


def _validate_values(data: xr.Dataset) -> None:
    """Only whole trials and their last windows may be NaN; nothing may be infinite."""
    clips, channels, bands = (data[name].values for name in ("clip", "channel", "band"))
    for subject, block in zip(data["subject"].values, data["de"].values, strict=True):
        if np.isfinite(block).all():
            continue
        recorded = np.isfinite(block).any((2, 3))
        broken = np.isinf(block) | (np.isnan(block) & recorded[..., None, None])
        if broken.any():
            clip, second, channel, band = place = tuple(np.argwhere(broken)[0])
            raise ValueError(
                f"{block[place]} in subject {subject}, clip {clips[clip]}, window {second}, "
                f"{channels[channel]}/{bands[band]}: is the channel flat? Mend it, or set the trial to NaN"
            )
        gaps = (np.diff(recorded.astype(int), axis=1) > 0).any(1)
        if gaps.any():
            where = f"subject {subject}, clips {clips[gaps].tolist()}"
            raise ValueError(f"NaN windows within {where}: only those after a trial's end may be NaN")
