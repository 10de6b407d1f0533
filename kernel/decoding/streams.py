"""Chunks of EEG from recordings and LSL streams, and the records of what was decoded.

A chunk is an array (n_channels, n_samples) in V. Chunks come alone, or in pairs with the time of their first
sample, or with one time stamp for each sample.
"""

from __future__ import annotations

import json
import math
import time as wall_clock
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from kernel import checks, files
from kernel.arrays import plain

if TYPE_CHECKING:
    import mne

_UNITS = {
    **dict.fromkeys(("v", "volt", "volts", "0"), 1.0),
    **dict.fromkeys(("mv", "millivolt", "millivolts", "-3"), 1e-3),
    **dict.fromkeys(("uv", "µv", "μv", "microvolt", "microvolts", "-6"), 1e-6),
    **dict.fromkeys(("nv", "nanovolt", "nanovolts", "-9"), 1e-9),
}


class OutOfOrderError(ValueError):
    """Samples that are older than some already taken."""


class Stateful:
    """What goes on from where it was: attributes in `STATE`: numbers, arrays of fixed size, or Stateful."""

    STATE: ClassVar[tuple[str, ...]]

    def state(self) -> dict[str, np.ndarray]:
        """Copies of all that changes, by name."""
        arrays: dict[str, np.ndarray] = {}
        for name in self.STATE:
            value = getattr(self, name)
            if isinstance(value, Stateful):
                arrays |= {f"{name}/{inner}": array for inner, array in value.state().items()}
            else:
                arrays[name] = np.array(value)
        return arrays

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on from what `state` gave."""
        for name in self.STATE:
            value = getattr(self, name)
            if isinstance(value, Stateful):
                prefix = f"{name}/"
                value.restore({k.removeprefix(prefix): a for k, a in state.items() if k.startswith(prefix)})
            else:
                setattr(self, name, state[name].copy() if state[name].ndim else state[name].item())


# Sources


@dataclass(eq=False)
class Chunks(Iterator[tuple[np.ndarray, Any]]):
    """Chunks and their times, with the rate in Hz, names of rows, and bad channels, which have none."""

    chunks: Iterator[tuple[np.ndarray, Any]]
    sfreq: float
    channels: Sequence[str] | None = None
    bads: Sequence[str] = ()

    def __next__(self) -> tuple[np.ndarray, Any]:
        return next(self.chunks)


def replay(
    recording: mne.io.BaseRaw | ArrayLike,
    sfreq: float | None = None,
    *,
    chunk: float = 0.1,
    start: int = 0,
    begin: float = 0.0,
) -> Chunks:
    """A recording as if it came in now, as fast as it is taken: chunks and the time of their first sample.

    `recording` is a Raw, of which the EEG channels are read piece by piece, annotations not being heeded, or
    an array (n_channels, n_samples) in V at `sfreq`. A chunk has so many seconds, at least one sample;
    `start` is the first sample to give, up to all of them: the `n_samples` of a decoder that goes on; `begin`
    the time in s of sample 0.
    """
    raw: Any = recording
    names, bads = None, []
    checks.between("chunk", chunk, 0, math.inf, closed="low")
    if hasattr(raw, "get_data") and hasattr(raw, "n_times"):
        if sfreq is not None and sfreq != raw.info["sfreq"]:
            raise ValueError(f"the recording has {raw.info['sfreq']} Hz, not {sfreq}: leave sfreq out")
        sfreq, length = float(raw.info["sfreq"]), len(raw.times)
        kinds = zip(raw.ch_names, raw.get_channel_types(), strict=True)
        eeg = [name for name, kind in kinds if kind == "eeg"]
        names, bads = ([n for n in eeg if (n in raw.info["bads"]) is bad] for bad in (False, True))
        if not names:
            raise ValueError(f"the recording has no good EEG channel among {raw.ch_names}: set their types")
        picks = [raw.ch_names.index(name) for name in names]
    else:
        raw, picks = plain(recording, "recording"), None
        if raw.ndim != 2 or sfreq is None or not sfreq > 0:
            raise ValueError(
                f"a recording must be a Raw, or (n_channels, n_samples) with sfreq= in Hz, got shape "
                f"{raw.shape} and sfreq={sfreq}"
            )
        length = raw.shape[1]
    if not 0 <= start <= length:
        raise ValueError(f"start must be one of the recording's {length} samples, got {start}")

    def parts(rate: float) -> Iterator[tuple[np.ndarray, float]]:
        step = max(1, round(chunk * rate))
        for at in range(start, length, step):
            stop = min(at + step, length)
            part = raw[:, at:stop] if picks is None else raw.get_data(picks=picks, start=at, stop=stop)
            yield part, begin + at / rate

    return Chunks(parts(float(sfreq)), float(sfreq), names, bads)


def stream_lsl(name: str, *, scale: float | None = None, chunk: float = 0.1, timeout: float = 10.0) -> Chunks:
    """Chunks of a stream of the Lab Streaming Layer and their time stamps, through mne-lsl.

    Rows are the channels of type EEG, or all where the stream names no such type. Time stamps are those of
    the sender, on this computer's LSL clock. They are not smoothed: smoothing would hide gaps. If they jitter
    by more than the decoder's `tolerance`, raise it, or decode with ``disorder="drop"``.

    `scale` is volts per unit of the stream, by default from the units it declares; `chunk` the seconds to
    wait for before a chunk is given; `timeout` those to look for the stream, and of silence after which the
    chunks end.

    Raises
    ------
    ImportError
        If mne-lsl is not installed.
    TimeoutError
        If there is no such stream.
    """
    try:
        from mne_lsl import lsl
    except ImportError as error:
        raise ImportError("stream_lsl needs mne-lsl: pip install 'valence-axis[lsl]'") from error
    streams = lsl.resolve_streams(timeout=timeout, name=name)
    if not streams:
        raise TimeoutError(f"no LSL stream named {name!r} within {timeout:g} s: is the sender running?")
    if len(streams) > 1:
        raise ValueError(f"{len(streams)} LSL streams are named {name!r}: stop all but one or rename them")
    rate = streams[0].sfreq
    if not rate > 0:
        raise ValueError(f"LSL stream {name!r} has no regular rate: resample it")
    # the channels are part of the full description, which only an inlet can fetch
    inlet = lsl.StreamInlet(streams[0], processing_flags=["clocksync"])
    try:
        inlet.open_stream(timeout=timeout)
        names, picks, volts = _lsl_channels(inlet.get_sinfo(), name, scale)
    except BaseException:
        inlet.close_stream()
        raise

    def pulled() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        try:
            heard = wall_clock.monotonic()
            while wall_clock.monotonic() - heard < timeout:
                samples, times = inlet.pull_chunk(timeout=chunk, max_samples=max(1, round(chunk * rate)))
                if len(times):  # both are views of buffers that the next pull overwrites: copy
                    yield np.asarray(samples, dtype=float).T[picks] * volts, np.array(times)
                    heard = wall_clock.monotonic()  # what the taker needs is no silence
        finally:
            inlet.close_stream()

    return Chunks(pulled(), float(rate), names)


def _lsl_channels(
    info: Any, name: str, scale: float | None
) -> tuple[list[str] | None, list[int], np.ndarray]:
    """Names of the EEG channels, their columns, and volts per unit (n, 1)."""
    names, types, units = info.get_channel_names(), info.get_channel_types(), info.get_channel_units()
    eeg = [i for i, kind in enumerate(types or ()) if str(kind).lower() == "eeg"]
    picks = eeg or list(range(info.n_channels))
    declared = ["None" if units is None else str(units[i]).lower() for i in picks]
    unknown = sorted(set(declared) - set(_UNITS))
    if scale is None and unknown:
        raise ValueError(f"LSL stream {name!r} declares the units {unknown}: give scale= in volts per unit")
    volts = np.array([[scale if scale is not None else _UNITS[unit]] for unit in declared])
    return None if names is None else [names[pick] for pick in picks], picks, volts


# The log


class Record(NamedTuple):
    """What was decoded when a window ended, at `time` in s.

    `probabilities` of the ensemble now (n_classes,) and `smoothed`, both NaN if withheld; `label`, the most
    probable class of `smoothed`, or None. `status` is ``decoded``; ``filling`` if the segment does not hold
    enough windows yet, or filters settle; or ``channels lost`` if too few are good. `warm` says whether every
    good channel has been standardised by at least the warm-up. Good channels have a signal whose filters have
    settled, `lost` ones have no signal. `n_windows` are those in the segment. `latency_s` is computing time
    from the window's last sample in hand to this record, without the delay of filters, window and segment.
    """

    time: float
    probabilities: np.ndarray
    smoothed: np.ndarray
    label: str | int | float | None
    status: str
    warm: bool
    n_good_channels: int
    lost: tuple[str, ...]
    n_windows: int
    latency_s: float

    def to_json(self) -> str:
        """One line of JSON; NaN becomes null, all other numbers come back exactly."""
        values = self._asdict()
        for name in ("probabilities", "smoothed"):
            values[name] = [None if math.isnan(p) else p for p in values[name].tolist()]
        return json.dumps(values, allow_nan=False)

    @classmethod
    def from_json(cls, line: str | bytes) -> Record:
        """The record of a line; ValueError if it holds none."""
        try:
            values = json.loads(line)
            json.dumps(values, allow_nan=False)  # refuses numbers too large, which are never written
            for name in ("probabilities", "smoothed"):
                values[name] = np.array([math.nan if p is None else p for p in values[name]])
            record = cls(**{**values, "lost": tuple(values["lost"])})
            if math.isfinite(record.time):
                return record
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
            pass
        raise ValueError("the line holds no record")


def read_log(path: str | Path) -> list[Record]:
    """The records of a decoder's ``records.jsonl``, in order; a last line that was cut off is left out.

    The log may be in use. A line before the last that cannot be read is a ValueError.
    """
    records: list[Record] = []
    broken = 0
    with files.absolute(path).open("rb") as file:
        for number, line in enumerate(file, 1):
            if broken:
                raise ValueError(f"line {broken} of {path} is no record: mend or remove the line by hand")
            try:
                records.append(Record.from_json(line))
            except ValueError:
                broken = number
    return records
