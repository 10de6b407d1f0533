"""Epochs of MNE-Python as a cohort: one object a person, with the emotion and the clip of each epoch."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from kernel import checks
from kernel.brain.features import differential_entropy

if TYPE_CHECKING:
    import mne


def arrays_of_epochs(
    people: Mapping[int, mne.BaseEpochs] | Sequence[mne.BaseEpochs],
    *,
    emotion: str = "emotion",
    clip: str = "clip",
    dataset: str = "epochs",
    bands: str | Mapping[str, tuple[float, float]] = "official",
    window: float = 1.0,
    ratings: Mapping[str, np.ndarray] | None = None,
) -> dict[str, Any]:
    """What :meth:`kernel.brain.cohort.Cohort.from_arrays` takes, from MNE's Epochs.

    Features are the differential entropy of the EEG channels, in windows from time 0 on.

    Parameters
    ----------
    people : mapping of int to Epochs, or sequence of Epochs
        One object a person, each with the same EEG channels, sampling rate and length. A clip that a person
        lacks is missing in the cohort. Positions are those in the recording, and count rejected epochs too
        (``drop_log``): leave bad ones out by rejection or ``drop``; those left out by an index do not count.
    emotion, clip : str
        Columns of the epochs' metadata. Without metadata, names of events are read as ``emotion/clip``. Clips
        that are whole numbers keep them (below 2 ** 31); if any is not, all are numbered from 1 as sorted.
    dataset : str
        Name of the data in figures and tables.
    bands, window
        As :func:`kernel.brain.features.differential_entropy` takes them; nats refer to microvolts.
    ratings : mapping of str to array, shape (n_clips,) or (n_subjects, n_clips), optional
        As for ``from_arrays``; clips in the order of their sorted names, numbers by size.
    """
    persons = dict(people) if isinstance(people, Mapping) else dict(enumerate(people, start=1))
    checks.choices("people", persons)
    persons = {person: _without_rejected(person, epochs) for person, epochs in persons.items()}
    trials = {person: _clips_of_epochs(person, epochs, emotion, clip) for person, epochs in persons.items()}
    table = pd.concat(trials, names=["person", "place"]).reset_index()
    kinds = table.groupby("clip")["emotion"].unique()
    if (several := kinds[kinds.str.len() > 1]).size:
        raise ValueError(f"clip {several.index[0]!r} has two emotions: {', '.join(several.iloc[0])}")
    clips, first = sorted(kinds.index, key=_by_number), next(iter(persons.values()))
    channels = [first.ch_names[k] for k in _eeg(first)]

    features = [_entropies(person, each, first, channels, bands, window) for person, each in persons.items()]
    order = np.full((len(persons), len(clips)), -1)
    de = np.full((*order.shape, *features[0].shape[1:]), np.nan, dtype=np.float32)
    for row, (person, epochs) in enumerate(persons.items()):
        columns = [clips.index(name) for name in trials[person]["clip"]]
        de[row, columns] = features[row]
        order[row, columns] = _viewing_order(epochs)
    numbers = list(map(int, clips)) if clips[-1].isdecimal() else None
    return {
        "de": de,
        "subjects": list(persons),
        "emotions": [kinds[name][0] for name in clips],
        "clips": numbers if numbers and max(numbers) < 2**31 and len({*numbers}) == len(clips) else None,
        "channels": channels,
        "dataset": dataset,
        "provenance": "Epochs of MNE-Python",
        "bands": bands,
        "window": window,
        "order": order,
        "ratings": ratings,
    }


def _without_rejected(person: int, epochs: mne.BaseEpochs) -> mne.BaseEpochs:
    """The epochs without those that are rejected when they are loaded."""
    import mne

    checks.count("number of a person", person, least=0)
    if not isinstance(epochs, mne.BaseEpochs):
        raise ValueError(
            f"person {person} is {type(epochs).__name__}: give Epochs, in a list or by the person's number"
        )
    remaining = epochs if epochs.preload else epochs.copy().drop_bad(verbose="error")
    if not len(remaining):
        raise ValueError(f"person {person} has no epochs left: leave them out, or reject fewer")
    return remaining


def _viewing_order(epochs: mne.BaseEpochs) -> np.ndarray:
    """Place of each epoch, from 1, among all that were presented; MNE ignores events of other kinds."""
    presented = ["IGNORED" not in reasons for reasons in epochs.drop_log]
    kept = np.flatnonzero([not reasons for reasons in epochs.drop_log])
    # concatenation begins the selection anew with every part, but not the log
    whole = np.array_equal(np.sort(epochs.selection), kept)
    return np.cumsum(presented)[epochs.selection if whole else kept]


def _by_number(name: str) -> tuple[bool, int, str]:
    """What sorts names, those that are numbers first and by size."""
    number = name.isdecimal()
    return not number, int(name) if number else 0, name


def _clips_of_epochs(person: int, epochs: mne.BaseEpochs, emotion: str, clip: str) -> pd.DataFrame:
    """Emotion and clip of each epoch, in order."""
    if epochs.metadata is not None:
        lacking = {emotion, clip} - set(epochs.metadata.columns)
        if lacking:
            raise ValueError(
                f"the metadata of person {person} have no column {lacking.pop()!r}: "
                f"name one of {', '.join(epochs.metadata.columns)} by emotion= and clip="
            )
        # a column with gaps holds its whole numbers as floats; a clip 1.0 is clip 1
        table = epochs.metadata[[emotion, clip]].convert_dtypes().set_axis(["emotion", "clip"], axis=1)
        if table.isna().any(axis=None):
            raise ValueError(f"person {person} has epochs without emotion or clip: drop them")
        table = table.astype(str)
    else:
        names = {number: name.split("/") for name, number in epochs.event_id.items()}
        parts = [names[number] for number in epochs.events[:, 2]]
        if any(len(part) != 2 for part in parts):
            raise ValueError(
                f"person {person}: without metadata, events must be named 'emotion/clip', "
                f"got {', '.join(epochs.event_id)}"
            )
        table = pd.DataFrame(parts, columns=["emotion", "clip"])
    if (twice := table["clip"][table["clip"].duplicated()]).size:
        raise ValueError(f"person {person} has clip {twice.iloc[0]!r} twice: keep one of them")
    return table.reset_index(drop=True)


def _eeg(epochs: mne.BaseEpochs) -> list[int]:
    import mne

    return list(mne.pick_types(epochs.info, eeg=True, exclude=[]))


def _entropies(
    person: int,
    epochs: mne.BaseEpochs,
    first: mne.BaseEpochs,
    channels: list[str],
    bands: str | Mapping[str, tuple[float, float]],
    window: float,
) -> np.ndarray:
    """Differential entropy (n_epochs, n_windows, n_channels, n_bands) in nats of microvolts."""
    present = {epochs.ch_names[k] for k in _eeg(epochs)}
    if present != set(channels) or not channels:
        odd = sorted(present ^ set(channels)) or ["none"]
        raise ValueError(f"person {person} differs in EEG channels ({', '.join(odd)}): pick the same for all")
    if bad := [name for name in epochs.info["bads"] if name in present]:
        raise ValueError(f"person {person} has bad channels {', '.join(bad)}: call interpolate_bads() first")
    if epochs.info["sfreq"] != first.info["sfreq"] or epochs.tmax != first.tmax:
        raise ValueError(
            f"person {person} has {epochs.info['sfreq']:g} Hz and ends at {epochs.tmax:g} s, the first "
            f"{first.info['sfreq']:g} Hz and {first.tmax:g} s: resample and crop all alike"
        )
    sfreq = epochs.info["sfreq"]  # the last sample lasts until the next would come
    if epochs.tmin > 0 or round(epochs.tmax * sfreq) + 1 < window * sfreq - 1e-6:
        raise ValueError(
            f"person {person}: epochs must begin at 0 s or before and hold {window:g} s after it"
        )
    signals = epochs.get_data(picks=channels, units="uV", tmin=0)
    if (typical := float(np.median(np.std(signals, axis=-1)))) > 1e4:
        warnings.warn(
            f"person {person}: the signal's standard deviation is {typical:.3g} uV, far from EEG: MNE takes "
            "V, so multiply microvolts by 1e-6",
            stacklevel=4,
        )
    entropy = differential_entropy(np.asarray(signals), epochs.info["sfreq"], bands, window=window)
    return np.moveaxis(np.asarray(entropy), 1, 2)
