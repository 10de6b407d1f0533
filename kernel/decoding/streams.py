"""Chunks of EEG from recordings and LSL streams, the clock of their stamps, and the log of what was decoded.

A chunk is an array (n_channels, n_samples) in V. Chunks come alone, or in pairs with the time of their first
sample, or with one time stamp for each sample.
"""

from __future__ import annotations

import json
import math
import os
import time as wall_clock
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from kernel import checks, files
from kernel.arrays import plain, precision, real

if TYPE_CHECKING:
    import mne

_PACED, _OFF_PACE = 10.0, 0.05  # seconds over which the rate is measured once, and its tolerance
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


# Time


class Piece(NamedTuple):
    """Contiguous samples, the time of the first, and that after the last; None where samples are counted."""

    start: float | None
    end: float | None
    samples: np.ndarray


class Clock(Stateful):
    """Time of the next sample: that of the last time stamp and the samples counted since.

    A stamp more than `tolerance` seconds later than due is a gap; one as much too early is refused.
    """

    STATE = ("anchor", "since", "n_samples", "gaps", "missing")

    def __init__(self, sfreq: float, tolerance: float) -> None:
        self.sfreq, self.tolerance = sfreq, tolerance
        self.anchor, self.since = math.nan, 0  # time of a sample, and samples taken since
        self.n_samples = self.gaps = 0
        self.missing = 0.0  # seconds within gaps
        self._paces: deque[float] = deque(maxlen=5)  # of the last stamps, against the count of samples
        self._paced_from: tuple[float, int] | None = None
        self._paced = False

    @property
    def now(self) -> float:
        """Time in s at which the next sample is due; NaN before the first."""
        return self.anchor + self.since / self.sfreq

    def pieces(self, chunk: ArrayLike, time: float | ArrayLike | None, n_channels: int) -> list[Piece]:
        """Contiguous pieces of a chunk. A chunk that is refused changes nothing."""
        x = plain(chunk, "chunk")
        if x.ndim != 2 or x.shape[0] != n_channels or x.shape[1] == 0:
            raise ValueError(
                f"a chunk must be ({n_channels} channels, at least 1 sample), got shape {x.shape}"
            )
        if time is None:
            return [Piece(None, None, x)]
        stamps = real(time, "time, in seconds,")
        step = precision(time) * np.abs(stamps).max(initial=0)
        if step > max(self.tolerance, 1 / self.sfreq):
            raise ValueError(
                f"time stamps of this type are {step:.3g} s apart at {stamps.flat[0]:g} s: give float64"
            )
        if stamps.ndim == 0 or stamps.shape == x.shape[1:] == (1,):
            stamps = stamps.reshape(1)
            pieces = [Piece(float(stamps[0]), None, x)]
        elif stamps.shape != (x.shape[1],):
            raise ValueError(
                f"time must be one number or one for each of {x.shape[1]} samples, got shape {stamps.shape}"
            )
        else:
            steps = np.diff(stamps)
            self._refuse_unit(float(np.median(steps)) * self.sfreq)
            if (steps < -self.tolerance).any():
                at = int(steps.argmin())
                raise OutOfOrderError(
                    f"time stamps fall from {stamps[at]:g} to {stamps[at + 1]:g} s within a chunk: sort it"
                )
            cuts = np.flatnonzero(steps > 1 / self.sfreq + self.tolerance) + 1
            edges = pairwise([0, *cuts.tolist(), len(stamps)])
            pieces = [
                Piece(float(stamps[a]), float(stamps[b - 1]) + 1 / self.sfreq, x[:, a:b]) for a, b in edges
            ]
        early = self.now - stamps[0]
        if early > self.tolerance:
            raise OutOfOrderError(
                f"a chunk starts at {stamps[0]:g} s, {early:.3g} s before the end of what was taken "
                f"({self.now:g} s): drop it, or begin a new decoder if the clock was set back"
            )
        self._watch(float(stamps[0]))
        return pieces

    def begin(self, start: float | None) -> bool:
        """Take the time of a piece; whether it lies after a gap."""
        if start is None:
            self.anchor = 0.0 if math.isnan(self.anchor) else self.anchor
            return False
        late = start - self.now
        gap = late > self.tolerance  # false for NaN, the first time stamp
        if gap:
            self.gaps, self.missing, self._paced_from = self.gaps + 1, self.missing + late, None
        self.anchor, self.since = start, 0
        return gap

    def advance(self, n: int) -> None:
        """Count samples."""
        self.since, self.n_samples = self.since + n, self.n_samples + n

    def forget(self) -> None:
        """Take the next time stamp, whatever it is."""
        self.anchor, self.since, self._paced_from = math.nan, 0, None
        self._paces.clear()

    def _watch(self, start: float) -> None:
        """Compare the clock of the time stamps with the count of samples, in unit and in rate."""
        if self.since:
            # a pause may be a thousand times as long as the chunk before it, but not time after time
            self._paces.append((start - self.anchor) * self.sfreq / self.since)
            if len(self._paces) == 5 and min(self._paces) > 0.9 * max(self._paces):
                self._refuse_unit(float(np.median(self._paces)))
        if self._paced_from is None:
            self._paced_from = (start, self.n_samples)
        elapsed, taken = start - self._paced_from[0], self.n_samples - self._paced_from[1]
        if not self._paced and taken >= _PACED * self.sfreq and not start - self.now > self.tolerance:
            self._paced = True
            if abs(elapsed * self.sfreq / taken - 1) > _OFF_PACE:
                raise ValueError(
                    f"{taken} samples came in {elapsed:.4g} s of time stamps, not at {self.sfreq:g} Hz: set "
                    "sfreq to that of the stream, resample it, or fill in lost samples with NaN"
                )

    def _refuse_unit(self, pace: float) -> None:
        """ValueError if time stamps run so much faster than samples that they must be in another unit."""
        for unit, factor in (("ms", 1e3), ("µs", 1e6), ("ns", 1e9)):
            if 0.9 < pace / factor < 1.1:
                raise ValueError(
                    f"time stamps advance by {pace / self.sfreq:g} a sample at {self.sfreq:g} Hz, as {unit} "
                    f"would: give seconds, divide them by {factor:g}"
                )


# Channels


def channel_names(channels: Sequence[str] | int) -> tuple[tuple[str, ...], bool]:
    """Names of the channels, numbers if only their count is given, and whether they are names."""
    if isinstance(channels, int | np.integer):
        return tuple(map(str, range(checks.count("channels", channels)))), False
    names = checks.choices("channels", channels)
    if unnamed := [name for name in names if not isinstance(name, str)]:
        raise ValueError(f"channels must be names, or their number, got {unnamed[0]!r}: name every channel")
    checks.choices("channels, in lower case,", [name.strip().lower() for name in names])
    return names, True


def _places_of(names: Sequence[str], wanted: Sequence[str]) -> list[int]:
    """Place of each wanted channel among the names, whatever their case."""
    places = {name.strip().lower(): place for place, name in reversed(list(enumerate(names)))}
    absent = [name for name in wanted if name.strip().lower() not in places]
    if absent:
        raise ValueError(
            f"the recording or stream has no channels {absent}, only {list(names)}: rename them, or give the "
            "decoder the number of its channels if the rows are in the order of the training"
        )
    return [places[name.strip().lower()] for name in wanted]


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


def fitting(chunks: Iterable[Any], sfreq: float, channels: Sequence[str] | None) -> Iterator[tuple[Any, Any]]:
    """Chunks and times, None if they have none; rows are these channels where a source names its rows."""
    rows = None
    if isinstance(chunks, Chunks):
        if not np.isclose(chunks.sfreq, sfreq):
            raise ValueError(f"the chunks have {chunks.sfreq:g} Hz, not {sfreq:g}: resample them first")
        if channels is None and chunks.bads:
            raise ValueError(
                f"bad channels {list(chunks.bads)} leave out rows: give the decoder the names of its channels"
            )
        if channels is not None and chunks.channels is not None:
            names = (*chunks.channels, *chunks.bads)
            rows = np.array(_places_of(names, channels))
    for item in chunks:
        chunk, time = item if isinstance(item, tuple) else (item, None)
        if rows is not None:  # numbers beyond the chunk's rows are of bad channels: NaN
            there, arranged = rows < len(chunk), np.full((len(rows), chunk.shape[1]), np.nan)
            arranged[there] = chunk[rows[there]]
            chunk = arranged
        yield chunk, time


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


class Log:
    """An append-only file of records, each on the disk before the next is decoded, none twice."""

    def __init__(self, path: Path, window: float) -> None:
        records = read_log(path) if path.exists() else []
        with files.atomic_path(path) as temporary:  # without a line that was cut off
            temporary.write_text("".join(record.to_json() + "\n" for record in records))
        self._file = path.open("ab")
        self._least_step, self.last = window / 2, records[-1].time if records else -math.inf

    def append(self, record: Record) -> None:
        # after a restart the same samples may be fed again, whose records are here already
        if record.time > self.last + self._least_step:
            self._file.write(record.to_json().encode() + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())
            self.last = record.time

    def close(self) -> None:
        self._file.close()
