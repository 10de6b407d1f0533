"""Decoding while the EEG arrives: causal features, running standardisation, an ensemble, a safe record.

In:  chunks of raw EEG of any length (n_channels, n_samples) in V with the time of their first sample, from a
     recording (:func:`replay`), an LSL stream (:func:`stream_lsl`) or one's own loop; fitted classifiers.
Out: one :class:`Record` for every window, if wanted also a log on disk and a checkpoint to go on from.
Never: looks ahead, looks at a label, fits a classifier, re-references, repairs a channel, grows in memory.

The rules, in the order of processing:

1. *Windows* follow each other from the first sample on (of the stream, and again after a gap). A window is
   processed in one go when its last sample arrives, so that the result does not depend on the chunks.
2. *Features* are differential entropies 0.5 ln(2 pi e variance) in nats, of the same bands as
   :func:`kernel.brain.features.differential_entropy`, but behind causal filters: see :class:`CausalEntropy`.
3. *Lost channels* are those with a NaN, an infinity or next to no variance in a window. A channel that comes
   back is good again when its filters have settled.
4. *Standardisation* is by the running mean and standard deviation of each channel and band, of good windows
   up to now: see :class:`Statistics`. What is lost becomes 0, the mean.
5. *The segment* is made of the windows that ended within its length before now and had enough good channels.
   A short gap therefore leaves holes in it, and a gap as long as the segment starts it anew.
6. *Probabilities* are the weighted mean over the classifiers, smoothed by an exponential with a time constant
   in seconds. Without enough good channels now, or enough windows in the segment, they are withheld: NaN.
"""

from __future__ import annotations

import json
import math
import os
import time as clock
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import ArrayLike
from scipy.signal import cheby2, freqz_sos, sosfilt, sosfilt_zi

from kernel import files
from kernel.arrays import plain, precision, real, whole
from kernel.brain.features import band_edges, band_gain, transition_widths

if TYPE_CHECKING:
    import mne

    from kernel.decoding.bank import Bank

STATUS = ("decoded", "filling", "channels lost")

# Order 3 has a zero at 0 Hz, so that electrode offsets vanish. Less than 30 dB lets strong neighbouring bands
# in, more is slower and narrower: either agrees less with the zero-phase features.
_ORDER, _ATTENUATION = 3, 30.0
_PACED, _OFF_PACE = 10.0, 0.05  # seconds over which the rate is measured once, and its tolerance
_SETTLED = 1e-2  # share of an impulse response's energy that is still to come when a filter counts as settled
_FORMAT = 2  # of log and checkpoint
_TOO_LARGE = 0.01  # V; no drift of an electrode makes EEG vary so
_PATIENCE = 5.0  # seconds of chunks that are all too old before their clock counts as the new one
_UNITS = {
    **dict.fromkeys(("v", "volt", "volts", "0"), 1.0),
    **dict.fromkeys(("mv", "millivolt", "millivolts", "-3"), 1e-3),
    **dict.fromkeys(("uv", "µv", "μv", "microvolt", "microvolts", "-6"), 1e-6),
    **dict.fromkeys(("nv", "nanovolt", "nanovolts", "-9"), 1e-9),
}


class OutOfOrderError(ValueError):
    """Samples that are older than some already taken."""


class ShortWindowError(ValueError):
    """A window that does not hold the samples of a window."""


# Features


@dataclass(frozen=True, eq=False)
class Window:
    """Features of one window.

    Attributes
    ----------
    time : float
        Its end in s.
    de : ndarray, shape (n_channels, n_bands)
        Differential entropy in nats of V; NaN where not good.
    good : ndarray of bool, shape (n_channels,)
        Channels with a signal whose filters have settled.
    lost : ndarray of bool, shape (n_channels,)
        Channels without a signal: NaN, infinite or flat.
    arrived : float
        When the last sample was in hand, on the clock of :func:`time.perf_counter`.
    """

    time: float
    de: np.ndarray
    good: np.ndarray
    lost: np.ndarray
    arrived: float


class CausalEntropy:
    """Differential entropy of a stream: filters that keep their state between chunks, and windows.

    Each band has a Chebyshev filter of the second kind that reaches 30 dB of attenuation where the gain of
    the zero-phase filter (:func:`~kernel.brain.features.band_gain`) ends; if that is 0 Hz, a quarter of the
    band's lower edge stands in for it. The two features differ in three ways:

    - *delay*: a causal filter answers late, by 0.04 s (gamma) to 0.25 s (delta); see `delays`;
    - *offset*: the causal filters are narrower by 0.04 to 0.19 nats for a 1/f spectrum at 250 Hz; see
      :func:`expected_offset`. It is constant and leaves with the standardisation;
    - *start*: windows during the `settle` time of the slowest filter after the start, a gap or the return of
      a channel are not good, where the zero-phase features reflect the ends.

    Parameters
    ----------
    sfreq : float
        Samples per second; a window must hold a whole number of them.
    n_channels : int
        Rows of a chunk.
    bands : str or mapping
        A name of :data:`kernel.brain.features.BANDS` or ``{name: (low, high)}`` in Hz.
    window : float
        Seconds.
    flat : float
        Standard deviation in V within a window below which a channel is lost.
    tolerance : float
        Seconds by which time stamps may deviate from the count of samples: more is a gap, or disorder.

    Attributes
    ----------
    settle : int
        Windows until the filters have settled.
    delays : dict of str to float
        Mean delay in s of each band's power.
    n_samples : int
        Samples taken so far.
    gaps, windows_dropped : int
        Gaps met, and windows that were cut by one.
    missing : float
        Seconds within gaps.

    Raises
    ------
    ValueError
        If a band reaches half the sampling rate or a window is no whole number of samples, at least two.
    """

    def __init__(
        self,
        sfreq: float,
        n_channels: int,
        bands: str | Mapping[str, tuple[float, float]] = "official",
        *,
        window: float = 1.0,
        flat: float = 1e-7,
        tolerance: float = 0.05,
    ) -> None:
        self.bands = band_edges(bands)
        if n_channels < 1:
            raise ValueError(f"n_channels must be at least 1, got {n_channels}")
        per = round(window * sfreq) if 0 < window * sfreq < math.inf else 0
        if per < 2 or not np.isclose(per, window * sfreq, rtol=1e-9):
            raise ValueError(
                f"a window of {window} s at {sfreq} Hz holds {window * sfreq:g} samples: choose a window "
                "of a whole number of samples, at least two, or resample"
            )
        if not flat >= 0 or not tolerance >= 0:
            raise ValueError(f"flat and tolerance must not be negative, got {flat} V and {tolerance} s")
        self.sfreq, self.window, self.flat, self.tolerance = float(sfreq), float(window), flat, tolerance
        self.n_channels, self.per = n_channels, per
        self._sos = _filters(self.bands, self.sfreq)  # (n_bands, n_sections, 6)
        self._unit = np.stack([sosfilt_zi(sos) for sos in self._sos])  # the state that a constant 1 leaves
        settle, delays = _responses(self._sos, self.sfreq)
        self.settle = math.ceil(settle / window)
        self.delays = dict(zip(self.bands, delays, strict=True))
        self.n_samples = self.gaps = self.windows_dropped = 0
        self.missing = 0.0
        self._buffer = np.empty((n_channels, per))
        self._fill = 0
        self._anchor, self._since = math.nan, 0  # time of a sample, and samples taken since
        self._paces: list[float] = []  # of the last time stamps, against the count of samples
        self._paced_from: tuple[float, int] | None = None
        self._paced = self._sized = False  # whether rate and unit were looked at
        self._zi = np.zeros((len(self.bands), self._sos.shape[1], n_channels, 2))
        self._fresh = np.ones(n_channels, dtype=bool)  # channels whose filters are to be set up
        self._settling = np.zeros(n_channels, dtype=int)  # windows until good

    def push(self, chunk: ArrayLike, time: float | ArrayLike | None = None) -> list[Window]:
        """Take samples; see :meth:`OnlineDecoder.push`."""
        return list(self.windows(chunk, time))

    def windows(self, chunk: ArrayLike, time: float | ArrayLike | None = None) -> Iterator[Window]:
        """Like :meth:`push`, one window at a time. A chunk that is refused changes nothing."""
        return self._take(self._pieces(chunk, time))

    @property
    def now(self) -> float:
        """Time in s at which the next sample is due; NaN before the first."""
        return self._anchor + self._since / self.sfreq

    @property
    def pending(self) -> int:
        """Samples of the window that is not complete yet."""
        return self._fill

    def _pieces(self, chunk: ArrayLike, time: float | ArrayLike | None) -> list[tuple[Any, ...]]:
        """Contiguous parts of a chunk: times of first sample and of end (None: by count), and samples."""
        x = plain(chunk, "chunk")
        if x.ndim != 2 or x.shape[0] != self.n_channels or x.shape[1] == 0:
            raise ValueError(
                f"a chunk must be ({self.n_channels} channels, at least 1 sample), got shape {x.shape}"
            )
        if time is None:
            return [(None, None, x)]
        stamps = real(time, "time, in seconds,")
        if stamps.ndim == 0 or stamps.shape == x.shape[1:] == (1,):
            stamps = stamps.reshape(1)
            pieces: list[tuple[Any, ...]] = [(float(stamps[0]), None, x)]
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
            edges = [0, *cuts.tolist(), len(stamps)]
            pieces = [
                (float(stamps[a]), float(stamps[b - 1]) + 1 / self.sfreq, x[:, a:b])
                for a, b in pairwise(edges)
            ]
        early = self.now - stamps[0]
        if early > self.tolerance:
            raise OutOfOrderError(
                f"a chunk starts at {stamps[0]:g} s, {early:.3g} s before the end of what was taken "
                f"({self.now:g} s): drop it, or begin a new decoder if the clock was set back"
            )
        self._watch(float(stamps[0]))
        return pieces

    def _refuse_unit(self, pace: float) -> None:
        """ValueError if time stamps run so much faster than samples that they must be in another unit."""
        for unit, factor in (("ms", 1e3), ("µs", 1e6), ("ns", 1e9)):
            if 0.9 < pace / factor < 1.1:
                raise ValueError(
                    f"time stamps advance by {pace / self.sfreq:g} a sample at {self.sfreq:g} Hz, as {unit} "
                    f"would: give seconds, divide them by {factor:g}"
                )

    def _watch(self, start: float) -> None:
        """Compare the clock of the time stamps with the count of samples, in unit and in rate."""
        if self._since:
            # a pause may be a thousand times as long as the chunk before it, but not time after time
            self._paces = [*self._paces[-4:], (start - self._anchor) * self.sfreq / self._since]
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

    def set_back(self) -> None:
        """Begin with the next chunk's clock: an open window is dropped, the filters are set up anew."""
        self.windows_dropped += self._fill > 0
        self._fill, self._anchor, self._since = 0, math.nan, 0
        self._fresh[:] = True
        self._paced_from, self._paces = None, []

    def _take(self, pieces: list[tuple[Any, ...]]) -> Iterator[Window]:
        for start, end, x in pieces:
            self._set_clock(start)
            at = 0
            while at < x.shape[1]:
                n = min(self.per - self._fill, x.shape[1] - at)
                self._buffer[:, self._fill : self._fill + n] = x[:, at : at + n]
                at, self._fill = at + n, self._fill + n
                self._since, self.n_samples = self._since + n, self.n_samples + n
                if self._fill == self.per:
                    yield self._finish()
            if end is not None:
                self._anchor, self._since = end, 0

    def _set_clock(self, start: float | None) -> None:
        """Anchor the clock at a time stamp; if it lies after a gap, drop the open window and the states."""
        if start is None:
            if math.isnan(self._anchor):
                self._anchor = 0.0
            return
        gap = start - self.now
        if gap > self.tolerance:  # false for NaN, the first time stamp
            self.gaps, self.missing = self.gaps + 1, self.missing + gap
            self.windows_dropped += self._fill > 0
            self._fill, self._paced_from = 0, None
            self._fresh[:] = True
        self._anchor, self._since = start, 0

    def _finish(self) -> Window:
        arrived = clock.perf_counter()
        self._fill = 0
        x = self._buffer
        there = np.isfinite(x).all(1)
        x[~there] = 0.0
        # the largest deviation first: the square of an absurd value must not overflow
        there &= np.abs(x - x[:, :1]).max(1) < 1e100
        x[~there] = 0.0
        size = x.std(1)
        there &= size >= max(self.flat, 1e-300)
        if there.any() and not self._sized:
            self._sized = True
            if (typical := float(np.median(size[there]))) > _TOO_LARGE:
                warnings.warn(
                    f"the signal's standard deviation is {typical:.3g}, far from EEG in V, the unit of "
                    "`flat` and of calibrations: multiply microvolts by 1e-6",
                    stacklevel=2,
                )
        x[~there] = 0.0

        new = there & self._fresh  # filters begin as if the first sample had always been there
        self._zi[:, :, new] = self._unit[:, :, None] * x[new, :1]
        self._settling[new] = self.settle
        self._fresh = ~there

        de = np.empty((self.n_channels, len(self.bands)))
        for band, sos in enumerate(self._sos):
            y, self._zi[band] = sosfilt(sos, x, zi=self._zi[band])
            de[:, band] = y.var(1)
        good = there & (self._settling == 0)
        self._settling[there] = np.maximum(self._settling[there] - 1, 0)
        with np.errstate(divide="ignore"):
            de = 0.5 * np.log(2 * np.pi * np.e * de)
        good &= np.isfinite(de).all(1)
        de[~good] = np.nan
        return Window(self.now, de, good, ~there, arrived)

    def state(self) -> dict[str, np.ndarray]:
        """All that changes, as arrays of a fixed size."""
        counts = [self.n_samples, self.gaps, self.windows_dropped, self._fill, self._since]
        return {
            "counts": np.array(counts),
            "clock": np.array([self._anchor, self.missing]),
            "buffer": np.where(np.arange(self.per) < self._fill, self._buffer, 0.0),
            "zi": self._zi.copy(),
            "fresh": self._fresh.copy(),
            "settling": self._settling.copy(),
        }

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on from what `state` gave."""
        counts = (int(count) for count in state["counts"])
        self.n_samples, self.gaps, self.windows_dropped, self._fill, self._since = counts
        self._anchor, self.missing = (float(value) for value in state["clock"])
        self._buffer, self._zi = state["buffer"].copy(), state["zi"].copy()
        self._fresh, self._settling = state["fresh"].copy(), state["settling"].copy()


def expected_offset(
    sfreq: float,
    bands: str | Mapping[str, tuple[float, float]] = "official",
    *,
    exponent: float = 1.0,
) -> dict[str, float]:
    r"""Differential entropy of :class:`CausalEntropy` minus the zero-phase one, expected in long windows.

    For a stationary signal of spectrum :math:`S(f) = f^{-a}` and filters of gains :math:`H` and :math:`G`,

    .. math:: \tfrac12 \ln \frac{\int S |H|^2}{\int S G^2}.

    Parameters
    ----------
    sfreq : float
        Samples per second.
    bands : str or mapping
        As for :class:`CausalEntropy`.
    exponent : float
        a: 0 for white, 1 for pink noise.

    Returns
    -------
    dict of str to float
        Nats, by band.
    """
    edges = band_edges(bands)
    frequencies = np.linspace(0, sfreq / 2, 40001)[1:]
    spectrum = frequencies**-exponent
    offsets = {}
    for (name, edge), sos in zip(edges.items(), _filters(edges, sfreq), strict=True):
        causal = np.abs(freqz_sos(sos, worN=frequencies, fs=sfreq)[1]) ** 2
        zero_phase = band_gain(frequencies, *edge) ** 2
        offsets[name] = float(0.5 * np.log(spectrum @ causal / (spectrum @ zero_phase)))
    return offsets


def _filters(edges: Mapping[str, tuple[float, float]], sfreq: float) -> np.ndarray:
    """Second-order sections (n_bands, n_sections, 6)."""
    sections = []
    for name, (low, high) in edges.items():
        if not high < sfreq / 2:
            raise ValueError(f"band {name!r} ends at {high} Hz, not below half the sampling rate {sfreq} Hz")
        below, above = transition_widths(low, high)
        stop = max(low - below, low / 4), min(high + above, (high + sfreq / 2) / 2)
        sections.append(cheby2(_ORDER, _ATTENUATION, stop, "bandpass", fs=sfreq, output="sos"))
    return np.stack(sections)


def _responses(sections: np.ndarray, sfreq: float) -> tuple[float, list[float]]:
    """Seconds until the slowest filter has settled, and the mean delay of each one's power."""
    # the slowest pole tells how long a response is worth looking at
    poles = np.abs(np.concatenate([np.roots(section[3:]) for sos in sections for section in sos]))
    impulse = np.zeros(math.ceil(math.log(1e-6) / math.log(poles.max())))
    impulse[0] = 1.0
    settle, delays = 0.0, []
    for sos in sections:
        energy = sosfilt(sos, impulse) ** 2
        to_come = 1 - np.cumsum(energy) / energy.sum()
        settle = max(settle, float(np.argmax(to_come < _SETTLED)) / sfreq)
        delays.append(float(np.arange(len(energy)) @ energy / energy.sum() / sfreq))
    return settle, delays


# Standardisation


class Statistics:
    """Running mean and variance of each channel and band, without labels.

    Up to `memory` windows all count alike (Welford's recursion [1]_); from then on the past fades
    exponentially with a time constant of `memory` windows:

    .. math::

        n \\leftarrow \\min(n + 1, \\text{memory}), \\quad m' = m + (x - m) / n,

        v' = v + \\{(x - m)(x - m') - v\\} / n.

    Parameters
    ----------
    n_channels, n_bands : int
        Shape of a window's features.
    memory : float
        Windows; infinite for a mean over everything.

    Attributes
    ----------
    count : ndarray, shape (n_channels,)
        Windows that count, n.
    mean, variance : ndarray, shape (n_channels, n_bands)
        In nats of V, and their square.
    channels : tuple of str or None
        Names of the channels, if they are known: a decoder then finds each by its name.

    References
    ----------
    .. [1] Welford (1962), Note on a method for calculating corrected sums of squares and products,
       Technometrics 4(3). doi:10.1080/00401706.1962.10490022
    """

    def __init__(self, n_channels: int, n_bands: int, *, memory: float = math.inf) -> None:
        if not memory >= 2:
            raise ValueError(f"memory must be at least 2 windows, got {memory}")
        self.memory = memory
        self.count = np.zeros(n_channels)
        self.mean = np.zeros((n_channels, n_bands))
        self.variance = np.zeros((n_channels, n_bands))
        self.channels: tuple[str, ...] | None = None

    def update(self, de: np.ndarray, good: np.ndarray) -> None:
        """Let the good channels of a window (n_channels, n_bands) count."""
        self.count[good] = np.minimum(self.count[good] + 1, self.memory)
        n = self.count[good, None]
        before = de[good] - self.mean[good]
        self.mean[good] += before / n
        self.variance[good] += (before * (de[good] - self.mean[good]) - self.variance[good]) / n

    def standardise(self, de: np.ndarray) -> np.ndarray:
        """Windows (..., n_channels, n_bands) in standard deviations; 0 where NaN or not yet varying."""
        varies = self.variance > 1e-12
        z = (de - self.mean) / np.sqrt(np.where(varies, self.variance, 1.0))
        return np.where(varies & np.isfinite(z), z, 0.0)

    def copy(self, *, memory: float | None = None) -> Statistics:
        """The same, independent; with another memory, no more of the past counts than fits into it."""
        new = Statistics(*self.mean.shape, memory=self.memory if memory is None else memory)
        new.count = np.minimum(self.count, new.memory)
        new.mean, new.variance = self.mean.copy(), self.variance.copy()
        new.channels = self.channels
        return new

    def arranged(self, channels: Sequence[str]) -> Statistics:
        """The same with the channels in this order; ValueError names those that are not among its own."""
        rows = _rows(self.channels or (), channels, "the calibration")
        new = self.copy()
        new.count, new.mean, new.variance = new.count[rows], new.mean[rows], new.variance[rows]
        new.channels = tuple(channels)
        return new


def calibrate(
    chunks: Iterable[Any],
    *,
    sfreq: float,
    channels: Sequence[str] | int,
    bands: str | Mapping[str, tuple[float, float]] = "official",
    window: float = 1.0,
    flat: float = 1e-7,
) -> Statistics:
    """Statistics of a recording of the same person, to begin with.

    Parameters
    ----------
    chunks : iterable
        As for :func:`decode`, in V.
    sfreq, channels, bands, window, flat
        As for :class:`OnlineDecoder`, and as they will be online.

    Returns
    -------
    Statistics

    Raises
    ------
    ValueError
        If no window has a good channel.
    """
    names, named = _channel_names(channels)
    entropy = CausalEntropy(sfreq, len(names), bands, window=window, flat=flat)
    statistics = Statistics(len(names), len(entropy.bands))
    statistics.channels = names if named else None
    for chunk, time in map(_timed, _fitting(chunks, names if named else None, sfreq)):
        for found in entropy.windows(chunk, time):
            statistics.update(found.de, found.good)
    if not statistics.count.any():
        raise ValueError(
            f"the calibration's {entropy.n_samples} samples hold no good window: give more than "
            f"{(entropy.settle + 1) * window:g} s of signal in V"
        )
    return statistics


# Records


@dataclass(frozen=True, eq=False)
class Record:
    """What was decoded when a window ended.

    Attributes
    ----------
    time : float
        End of the window in s.
    probabilities, smoothed : ndarray, shape (n_classes,)
        Of the ensemble now, and smoothed; NaN if withheld.
    label : str, int, float or None
        Most probable class of `smoothed`; None if withheld.
    status : str
        ``decoded``; ``filling`` if the segment does not hold enough windows yet, or filters settle;
        ``channels lost`` if too few channels are good.
    warm : bool
        Whether every good channel has been standardised by at least the warm-up.
    n_good_channels : int
        Channels with a signal whose filters have settled.
    lost : tuple of str
        Channels without a signal in this window.
    n_windows : int
        Windows in the segment.
    latency_s : float
        Computing time in s from the window's last sample in hand to this record; the delay of filters,
        window and segment is not part of it.
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
        values = asdict(self)
        for name in ("probabilities", "smoothed"):
            values[name] = [None if math.isnan(p) else p for p in values[name].tolist()]
        return json.dumps(values, allow_nan=False)

    @classmethod
    def from_json(cls, line: str | bytes) -> Record:
        """The record of a line."""
        values = json.loads(line)
        for name in ("probabilities", "smoothed"):
            values[name] = np.array([math.nan if p is None else p for p in values[name]])
        return cls(**{**values, "lost": tuple(values["lost"])})


def read_log(path: str | Path) -> list[Record]:
    """The records of a log, in order; a last line that was cut off is left out.

    Parameters
    ----------
    path : str or Path
        ``records.jsonl`` of a decoder's folder; it may be in use.

    Returns
    -------
    list of Record

    Raises
    ------
    ValueError
        If a line before the last cannot be read.
    """
    with files.absolute(path).open("rb") as file:
        lines = [line for line, content, _ in _lines(file, path) if "settings" not in content]
    return [Record.from_json(line) for line in lines]


class _Log:
    """An append-only file of records, each on the disk before the next is decoded."""

    def __init__(self, path: Path, settings: dict[str, Any], window: float) -> None:
        self._least_step = window / 2
        self._last = -math.inf
        end, closed = 0, True
        if path.exists():
            with path.open("rb") as file:
                for line, content, stop in _lines(file, path):
                    end, closed = stop, line.endswith(b"\n")
                    if "settings" in content:
                        _check_settings(content["settings"], settings, path)
                    else:
                        self._last = content["time"]
        self._file = path.open("r+b" if path.exists() else "w+b")
        self._file.truncate(end)
        self._file.seek(end)
        if end == 0:
            self._write(json.dumps({"settings": settings}))
        elif not closed:  # cut off between the record and its end
            self._file.write(b"\n")

    def append(self, record: Record) -> None:
        # after a restart the same samples may be fed again, whose records are here already
        if record.time > self._last + self._least_step:
            self._write(record.to_json())
            self._last = record.time

    def set_back(self) -> None:
        self._last = -math.inf

    def _write(self, line: str) -> None:
        self._file.write(line.encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


def _lines(file: BinaryIO, path: str | Path) -> Iterator[tuple[bytes, dict[str, Any], int]]:
    """Lines that are whole, what they hold, and the offset of their end; the last may be broken."""
    end, broken = 0, 0
    for number, line in enumerate(file, 1):
        if broken:
            raise ValueError(f"line {broken} of {path} is no record: mend or remove the line by hand")
        content = _content(line)
        if content is None:
            broken = number
            continue
        end += len(line)
        yield line, content, end


def _content(line: bytes) -> dict[str, Any] | None:
    """Settings or a record as a dict; None if the line holds neither."""
    try:
        content = json.loads(line)
        if isinstance(content, dict) and isinstance(content.get("settings"), dict):
            return content
        return content if math.isfinite(Record.from_json(line).time) else None
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None


def _check_settings(stored: Mapping[str, Any], own: Mapping[str, Any], path: Path) -> None:
    """Refuse to go on from a decoder that was set up otherwise."""
    for name, value in own.items():
        if stored.get(name) != value:
            raise ValueError(
                f"{path} was written with {name}={stored.get(name)!r}, this decoder has {value!r}: set it up "
                "alike or choose another folder"
            )


# The decoder


class OnlineDecoder:
    """Class probabilities of a person's EEG, second by second, from any fitted classifiers.

    Parameters
    ----------
    estimators : sequence
        Fitted classifiers with ``predict_proba`` on (n, n_channels * n_bands), column ``c * n_bands + b``:
        the mean of the standardised windows of a segment, as :func:`kernel.brain.cohort.segments` gives it.
        Or callables that take the windows themselves, (1, n_channels, n_windows, n_bands), those missing
        replaced by the mean of the others, and return probabilities (1, n_classes): see :func:`from_bank`.
    sfreq : float
        Samples per second.
    channels : sequence of str or int
        Names of the channels of the training in their order, by which `decode` finds the rows of a recording
        or a stream, in upper or lower case; or their number, and rows are taken as they come. The reference
        must be that of the training, too.
    classes : sequence, optional
        Names of the columns of the probabilities; by default the estimators' ``classes_``.
    bands, window, flat, tolerance
        As for :class:`CausalEntropy`.
    segment : float
        Seconds decoded at once; a whole number of windows.
    coverage : float
        Share of the segment's windows that must be there.
    min_good : float
        Share of channels that must be good for a window to be used.
    weights : array_like, shape (n_estimators,), optional
        Of the average; equal by default.
    smoothing : float
        Time constant in s of the exponential smoothing; 0 for none. A gap counts with its length.
    memory : float
        Time constant in s of the statistics: see :class:`Statistics`. Infinite by default.
    warm_up : float
        Seconds of good windows after which a channel's statistics are to be trusted.
    calibration : Statistics, optional
        To begin with: see :func:`calibrate`. They count as the windows they are from, up to `memory`.
    folder : str or Path, optional
        Where to keep the log ``records.jsonl`` and the checkpoint ``state.npz``. If there is a checkpoint,
        the decoder goes on from it: feed the samples from number `n_samples` on, and the output is the same
        as without the break; or the stream as it is now, and the break is a gap. Nothing is logged twice.
    checkpoint : float
        Seconds of windows between checkpoints.

    Attributes
    ----------
    statistics : Statistics
        As they are now.
    classes : tuple
        Names of the columns.

    Raises
    ------
    ValueError
        If a setting is not possible, the estimators do not agree on the classes or take other features, or
        the folder holds the work of another decoder.

    Examples
    --------
    >>> decoder = OnlineDecoder(models, sfreq=250, channels=names, folder="s01")   # doctest: +SKIP
    >>> for record in decode(stream_lsl("EEG"), decoder):                          # doctest: +SKIP
    ...     print(record.time, record.label, record.smoothed.max())
    """

    def __init__(
        self,
        estimators: Sequence[Any],
        *,
        sfreq: float,
        channels: Sequence[str] | int,
        classes: Sequence[str | int | float] | None = None,
        bands: str | Mapping[str, tuple[float, float]] = "official",
        window: float = 1.0,
        segment: float = 10.0,
        coverage: float = 0.5,
        min_good: float = 0.5,
        weights: ArrayLike | None = None,
        smoothing: float = 5.0,
        memory: float = math.inf,
        warm_up: float = 60.0,
        calibration: Statistics | None = None,
        flat: float = 1e-7,
        tolerance: float = 0.05,
        folder: str | Path | None = None,
        checkpoint: float = 10.0,
    ) -> None:
        self.channels, self._named = _channel_names(channels)
        n_channels = len(self.channels)
        self._entropy = CausalEntropy(sfreq, n_channels, bands, window=window, flat=flat, tolerance=tolerance)
        n_bands = len(self._entropy.bands)
        self._per_segment = _whole(segment, window, "segment")
        self._per_checkpoint = _whole(checkpoint, window, "checkpoint")
        for name, share in (("coverage", coverage), ("min_good", min_good)):
            if not 0 < share <= 1:
                raise ValueError(f"{name} must be a share in (0, 1], got {share}")
        for name, seconds in (("smoothing", smoothing), ("warm_up", warm_up)):
            if not 0 <= seconds < math.inf:
                raise ValueError(f"{name} must be seconds, not negative, got {seconds}")
        self._least_windows = math.ceil(coverage * self._per_segment - 1e-9)
        self._least_good = math.ceil(min_good * n_channels - 1e-9)
        self._smoothing, self._warm = smoothing, warm_up / window
        self.classes = _classes(estimators, classes)
        self._members = [_member(e, i, n_channels * n_bands) for i, e in enumerate(estimators)]
        self._weights = _weights(weights, len(self._members))

        self.statistics = Statistics(n_channels, n_bands, memory=memory / window)
        if calibration is not None:
            if calibration.mean.shape != (n_channels, n_bands):
                raise ValueError(
                    f"calibration has (n_channels, n_bands) = {calibration.mean.shape}, the decoder "
                    f"{(n_channels, n_bands)}: calibrate with the same channels and bands"
                )
            if self._named and calibration.channels is not None:
                calibration = calibration.arranged(self.channels)
            self.statistics = calibration.copy(memory=memory / window)
        self._ring = np.full((self._per_segment, n_channels, n_bands), np.nan)
        self._times = np.full(self._per_segment, -np.inf)
        self._smoothed = np.full(len(self.classes), np.nan)
        self._smoothed_at = -math.inf
        self._counts = dict.fromkeys(STATUS, 0)
        self._chunks_dropped = self._clocks_set_back = 0
        self._refused = 0  # samples since the last that were taken
        self._settings = {
            "format": _FORMAT,
            "sfreq": float(sfreq),
            "channels": list(self.channels),
            "bands": {name: list(edge) for name, edge in self._entropy.bands.items()},
            "window": float(window),
            "segment": float(segment),
            "coverage": float(coverage),
            "min_good": float(min_good),
            "weights": self._weights.tolist(),
            "smoothing": float(smoothing),
            "memory": None if memory == math.inf else float(memory),
            "warm_up": float(warm_up),
            "flat": float(flat),
            "tolerance": float(tolerance),
            "classes": list(self.classes),
        }
        self._folder, self._log = None, None
        if folder is not None:
            self._folder = files.writable_folder(folder)
            self._restore()
            self._log = _Log(self._folder / "records.jsonl", self._settings, float(window))

    def __enter__(self) -> OnlineDecoder:
        return self

    def __exit__(self, kind: type | None, *_: object) -> None:
        if kind is None:
            self.close()
        elif self._log is not None:  # after an error the last checkpoint stands
            self._log.close()
            self._log = None

    # In and out

    def push(
        self,
        chunk: ArrayLike,
        time: float | ArrayLike | None = None,
        *,
        sample: int | None = None,
    ) -> list[Record]:
        """Take samples and decode every window that they complete.

        Parameters
        ----------
        chunk : array_like, shape (n_channels, n_samples)
            V; at least one sample. Lost samples are NaN.
        time : float or array_like of float, shape (n_samples,), optional
            Seconds on any clock: of the first sample or of all. By default the samples follow the last ones.
            A jump ahead by more than `tolerance` is a gap: the open window is dropped and the filters begin
            anew.
        sample : int, optional
            Number of the first sample instead of its time.

        Returns
        -------
        list of Record
            One for each window completed; often none.

        Raises
        ------
        OutOfOrderError
            If the samples are older than some already taken. Like every chunk that is refused, it changes
            nothing: the next may follow.
        ValueError
            If the chunk has another shape or type, or its stamps another unit or rate than s and `sfreq`.
        """
        if self._folder is not None and self._log is None:
            raise ValueError(f"this decoder is closed: make a new one with folder={str(self._folder)!r}")
        if sample is not None:
            if time is not None:
                raise ValueError("give the time of a chunk or its first sample's number, not both")
            time = float(whole(sample, "sample")) / self._entropy.sfreq
        windows = self._entropy.windows(chunk, time)
        self._refused = 0
        return [self._take(window) for window in windows]

    def drop(self, chunk: ArrayLike, time: float | ArrayLike | None) -> list[Record]:
        """Leave out a chunk that `push` found too old, and count it.

        If nothing else has come for 5 s of samples, the clock was set back for good: the chunk is then taken
        by the new clock, after a gap of as many samples as were left out.
        """
        n = int(np.shape(chunk)[-1])
        self._chunks_dropped, self._refused = self._chunks_dropped + 1, self._refused + n
        if self._refused <= _PATIENCE * self._entropy.sfreq:
            return []
        self._entropy.missing += (self._refused - n) / self._entropy.sfreq
        self._entropy.set_back()
        self._clocks_set_back += 1
        self._times[:], self._smoothed_at = -np.inf, -math.inf
        if self._log is not None:
            self._log.set_back()
        try:
            records = self.push(chunk, time)
        except OutOfOrderError:  # stamps that fall within this chunk: the next may do
            return []
        self._chunks_dropped -= 1
        return records

    def push_features(self, de: ArrayLike, time: float) -> Record:
        """Take the differential entropies of one window instead of its samples, such as those of a release.

        Parameters
        ----------
        de : array_like, shape (n_channels, n_bands)
            In any unit that is the same throughout; a channel with NaN counts as lost.
        time : float
            End of the window in s, later than that of the last.

        Raises
        ------
        OutOfOrderError
            If it is not later.
        ValueError
            If the features have another shape.
        """
        de, shape = real(de, "features", finite=False), (len(self.channels), len(self._entropy.bands))
        if de.shape != shape:
            raise ValueError(f"features must be (n_channels, n_bands) = {shape}, got shape {de.shape}")
        if not time > self._times[-1]:
            raise OutOfOrderError(
                f"window at {time} s follows one at {self._times[-1]} s: send them in order"
            )
        good = np.isfinite(de).all(1)
        return self._take(
            Window(time, np.where(good[:, None], de, np.nan), good, ~good, clock.perf_counter())
        )

    def _take(self, window: Window) -> Record:
        """Decode a window, count it and log it."""
        record = self._decode(window)
        self._counts[record.status] += 1
        if self._log is not None:
            self._log.append(record)
            if sum(self._counts.values()) % self._per_checkpoint == 0:
                self.save()
        return record

    def push_window(self, window: ArrayLike, time: float | None = None) -> Record:
        """Take exactly one window of raw EEG (n_channels, window * sfreq) and decode it.

        Raises
        ------
        ShortWindowError
            If it does not hold a window's samples, or follows a part of one.
        OutOfOrderError
            If it is older than what was taken.
        """
        shape = np.shape(window)
        needed = (len(self.channels), self._entropy.per)
        if shape != needed:
            raise ShortWindowError(
                f"a window must be (n_channels, n_samples) = {needed}, got {shape}: use push() "
                "for other chunks"
            )
        if self._entropy.pending:
            raise ShortWindowError(
                f"{self._entropy.pending} samples of another window are still open: use push() throughout"
            )
        return self.push(window, time)[0]

    @property
    def n_samples(self) -> int:
        """Samples taken so far, in all; after a restart the number of the sample to go on from."""
        return self._entropy.n_samples

    @property
    def delays(self) -> dict[str, float]:
        """Mean delay in s of each band's filter."""
        return self._entropy.delays

    @property
    def report(self) -> dict[str, float]:
        """Counts since the beginning.

        Windows by status, gaps, seconds missing, windows cut by a gap, chunks dropped because they were too
        old, and how often the clock was set back for good.
        """
        entropy = self._entropy
        return {
            **self._counts,
            "gaps": entropy.gaps,
            "missing_s": entropy.missing,
            "windows_dropped": entropy.windows_dropped,
            "chunks_dropped": self._chunks_dropped,
            "clocks_set_back": self._clocks_set_back,
        }

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays that make up the running state: constant."""
        return sum(array.nbytes for array in self._state().values())

    # Storage

    def save(self) -> None:
        """Write the checkpoint now; it replaces the last in one step.

        Raises
        ------
        ValueError
            If the decoder has no folder.
        """
        if self._folder is None:
            raise ValueError("this decoder has no folder to save to: give folder= when making it")
        settings = np.array(json.dumps(self._settings))
        with files.atomic_path(self._folder / "state.npz") as temporary, temporary.open("wb") as file:
            arrays: dict[str, Any] = self._state()
            np.savez(file, settings=settings, **arrays)

    def close(self) -> None:
        """Save, and close the log."""
        if self._log is not None:
            self.save()
            self._log.close()
            self._log = None

    def _state(self) -> dict[str, np.ndarray]:
        return {
            **{f"entropy/{name}": value for name, value in self._entropy.state().items()},
            "count": self.statistics.count,
            "mean": self.statistics.mean,
            "variance": self.statistics.variance,
            "ring": self._ring,
            "times": self._times,
            "smoothed": self._smoothed,
            "smoothed_at": np.array(self._smoothed_at),
            "counts": np.array([*self._counts.values(), self._chunks_dropped, self._clocks_set_back]),
        }

    def _restore(self) -> None:
        """Go on from the folder's checkpoint, if there is one that can be read."""
        if self._folder is None:
            return
        path = self._folder / "state.npz"
        try:
            state = files.read_arrays(path)
            settings = json.loads(str(state.pop("settings")))
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError) as error:
            warnings.warn(f"checkpoint {path} is unreadable ({error}): beginning anew", stacklevel=3)
            return
        _check_settings(settings, self._settings, path)
        prefix = "entropy/"
        self._entropy.restore({k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)})
        statistics = self.statistics
        statistics.count, statistics.mean, statistics.variance = (
            state[name] for name in ("count", "mean", "variance")
        )
        self._ring, self._times, self._smoothed = (state[name] for name in ("ring", "times", "smoothed"))
        self._smoothed_at = float(state["smoothed_at"])
        *counts, self._chunks_dropped, self._clocks_set_back = state["counts"].tolist()
        self._counts = dict(zip(STATUS, counts, strict=True))

    # Decoding

    def _decode(self, window: Window) -> Record:
        self.statistics.update(window.de, window.good)
        n_good = int(window.good.sum())
        if n_good >= self._least_good:
            self._ring[:-1], self._times[:-1] = self._ring[1:].copy(), self._times[1:].copy()
            self._ring[-1], self._times[-1] = window.de, window.time
        step = self._entropy.window
        places = self._per_segment - 1 - np.floor((window.time - self._times) / step + 0.5)
        recent = places >= 0
        n_windows = int(recent.sum())

        probabilities = smoothed = np.full(len(self.classes), np.nan)
        label, status = None, "decoded"
        if window.lost.sum() > len(self.channels) - self._least_good:
            status = "channels lost"
        elif n_good < self._least_good or n_windows < self._least_windows:
            status = "filling"
        else:
            z = self.statistics.standardise(self._ring[recent])
            probabilities = self._ensemble(z, places[recent].astype(int))
            smoothed = self._smooth(probabilities, window.time)
            label = self.classes[int(smoothed.argmax())]
        return Record(
            time=window.time,
            probabilities=probabilities,
            smoothed=smoothed,
            label=label,
            status=status,
            warm=bool(n_good and (self.statistics.count[window.good] >= self._warm).all()),
            n_good_channels=n_good,
            lost=tuple(name for name, lost in zip(self.channels, window.lost, strict=True) if lost),
            n_windows=n_windows,
            latency_s=clock.perf_counter() - window.arrived,
        )

    def _ensemble(self, z: np.ndarray, places: np.ndarray) -> np.ndarray:
        """Mean probabilities (n_classes,) from standardised windows (n, n_channels, n_bands) at places."""
        mean = z.mean(0)
        steps = np.repeat(mean[None], self._per_segment, axis=0)
        steps[places] = z
        steps = np.ascontiguousarray(steps.transpose(1, 0, 2))[None]  # (1, n_channels, n_windows, n_bands)
        row = mean.reshape(1, -1)
        total = np.zeros(len(self.classes))
        for number, (function, takes_mean) in enumerate(self._members):
            answer = function(row if takes_mean else steps)
            total += self._weights[number] * _probabilities(answer, number, len(self.classes))
        return total

    def _smooth(self, probabilities: np.ndarray, time: float) -> np.ndarray:
        """Move the smoothed probabilities towards the new ones by the time that has passed."""
        if self._smoothing == 0 or self._smoothed_at == -math.inf:
            self._smoothed = probabilities
        else:
            share = -math.expm1(-(time - self._smoothed_at) / self._smoothing)
            self._smoothed = self._smoothed + share * (probabilities - self._smoothed)
        self._smoothed_at = time
        return self._smoothed


def _whole(seconds: float, window: float, name: str) -> int:
    n = round(seconds / window) if 0 < seconds < math.inf else 0
    if n < 1 or not np.isclose(n * window, seconds):
        raise ValueError(f"{name} must be a whole number of windows of {window} s, got {seconds} s")
    return n


def _classes(estimators: Sequence[Any], given: Sequence[Any] | None) -> tuple[Any, ...]:
    """Names of the classes, on which all estimators must agree."""
    if len(estimators) == 0:
        raise ValueError("estimators is empty: give one fitted classifier or more")
    classes = None if given is None else tuple(given)
    for number, estimator in enumerate(estimators):
        if not hasattr(estimator, "classes_"):
            continue
        own = tuple(np.asarray(estimator.classes_).tolist())
        if classes is None:
            classes = own
        # given names may rename the columns, but not change their number
        if len(own) != len(classes) or (given is None and own != classes):
            raise ValueError(
                f"estimator {number} knows the classes {list(own)}, not {list(classes)}: fit all on the same"
            )
    if classes is None:
        raise ValueError("callables do not tell their classes: give classes=")
    if len(classes) < 2 or len(set(classes)) < len(classes):
        raise ValueError(f"classes must be two or more different names, got {list(classes)}")
    return tuple(name.item() if isinstance(name, np.generic) else name for name in classes)


def _member(estimator: Any, number: int, n_features: int) -> tuple[Callable[..., Any], bool]:
    """What to call for probabilities, and whether it takes the mean of the segment."""
    if not hasattr(estimator, "predict_proba"):
        if not callable(estimator):
            raise ValueError(
                f"estimator {number}, {type(estimator).__name__}, neither has predict_proba nor can be "
                "called: calibrate it (sklearn.calibration) or wrap it in a function"
            )
        return estimator, False
    wanted = getattr(estimator, "n_features_in_", n_features)
    if wanted != n_features:
        raise ValueError(
            f"estimator {number} was fitted to {wanted} features, channels times bands are {n_features}: "
            "choose the channels and bands of the training"
        )
    return estimator.predict_proba, True


def _weights(weights: ArrayLike | None, n: int) -> np.ndarray:
    """Weights that add up to one (n,)."""
    weights = np.ones(n) if weights is None else real(weights, "weights")
    if weights.shape != (n,) or (weights < 0).any() or not weights.any():
        raise ValueError(
            f"weights must be {n} numbers, none negative and not all zero, got {weights.tolist()}"
        )
    return weights / weights.sum()


def _probabilities(answer: Any, number: int, n_classes: int) -> np.ndarray:
    """A member's answer as (n_classes,), if it is one."""
    found = real(answer, f"estimator {number}", finite=False)
    if found.shape != (1, n_classes):
        raise ValueError(f"estimator {number} gave shape {found.shape}, expected (1, {n_classes})")
    slack = max(1e-4, n_classes * precision(answer))
    if not (found >= 0).all() or not abs(found.sum() - 1) < slack:
        raise ValueError(
            f"estimator {number} gave {found[0].tolist()}: probabilities must not be negative and must "
            "add up to 1; are these scores that need a softmax?"
        )
    return found[0] if slack == 1e-4 else found[0] / found.sum()


def from_bank(bank: Bank, members: Sequence[int] | None = None) -> list[Callable[..., Any]]:
    """Members of a trained bank as callables for an :class:`OnlineDecoder`.

    Parameters
    ----------
    bank : Bank
        Its classes are to be given to the decoder: ``classes=bank.classes``.
    members : sequence of int, optional
        Numbers of members; all by default.

    Returns
    -------
    list of callable
        Each takes (n, n_channels, n_windows, n_bands), averages the windows into as many time steps as the
        member was trained on, and returns probabilities (n, n_classes).
    """
    from kernel.decoding.bank import Labels

    members = range(len(bank)) if members is None else members
    labels = [Labels.of_trials(bank.trials, len(bank.classes), bank.specs[m].labels) for m in members]
    return [
        partial(_network, bank.network(m), bank.specs[m].n_windows, own.class_scores)
        for m, own in zip(members, labels, strict=True)
    ]


def _network(
    network: Any, n_steps: int, class_scores: Callable[[Any], Any], windows: np.ndarray
) -> np.ndarray:
    import torch

    n, n_channels, n_windows, n_bands = windows.shape
    if n_windows % n_steps:
        raise ValueError(f"{n_windows} windows cannot be averaged into {n_steps} time steps: change segment=")
    steps = windows.reshape(n, n_channels, n_steps, -1, n_bands).mean(3)
    with torch.inference_mode():
        return class_scores(network(torch.as_tensor(steps, dtype=torch.float32))).softmax(-1).numpy()


# Sources of chunks


class Chunks(Iterator[tuple[np.ndarray, Any]]):
    """Chunks and their times, with what their source says of them.

    Attributes
    ----------
    channels : tuple of str or None
        Names of the rows, where the source has names.
    bads : tuple of str
        Channels of the source that are marked bad, which have no row.
    sfreq : float
        Samples per second.
    """

    def __init__(
        self,
        chunks: Iterator[tuple[np.ndarray, Any]],
        sfreq: float,
        channels: Sequence[str] | None = None,
        bads: Sequence[str] = (),
    ) -> None:
        self._chunks, self.sfreq, self.bads = chunks, sfreq, tuple(bads)
        self.channels = None if channels is None else tuple(channels)

    def __next__(self) -> tuple[np.ndarray, Any]:
        return next(self._chunks)

    def close(self) -> None:
        """End the source, such as the inlet of a stream."""
        self._chunks.close()  # type: ignore[attr-defined]


def decode(chunks: Iterable[Any], decoder: OnlineDecoder, *, disorder: str = "raise") -> Iterator[Record]:
    """Decode everything that comes.

    Parameters
    ----------
    chunks : iterable
        Arrays (n_channels, n_samples) in V, or pairs of these and their time: see :meth:`OnlineDecoder.push`.
        What :func:`replay` and :func:`stream_lsl` give knows the names of its rows: they are brought into the
        order of the decoder, others are left out, and channels that are marked bad count as lost.
    decoder : OnlineDecoder
        It is not closed at the end, and may go on with other chunks.
    disorder : {"raise", "drop"}
        What to do with a chunk that is older than what was taken: see :meth:`OnlineDecoder.drop`. The
        decoder's `report` counts them.

    Yields
    ------
    Record
        As soon as it is there.

    Raises
    ------
    ValueError
        If the source has another sampling rate, or lacks a channel of the decoder.
    """
    if disorder not in ("raise", "drop"):
        raise ValueError(f"disorder must be 'raise' or 'drop', got {disorder!r}")
    chunks = _fitting(chunks, decoder.channels if decoder._named else None, decoder._entropy.sfreq)
    for chunk, time in map(_timed, chunks):
        try:
            yield from decoder.push(chunk, time)
        except OutOfOrderError:
            if disorder == "raise":
                raise
            yield from decoder.drop(chunk, time)


def _timed(chunk: Any) -> tuple[Any, Any]:
    """A chunk and its time, None if it has none."""
    return chunk if isinstance(chunk, tuple) else (chunk, None)


def _fitting(chunks: Iterable[Any], channels: Sequence[str] | None, sfreq: float) -> Iterable[Any]:
    """Chunks whose rows are these channels, where their source names its rows; NaN if marked bad."""
    if not isinstance(chunks, Chunks):
        return chunks
    if not np.isclose(chunks.sfreq, sfreq):
        raise ValueError(f"the chunks have {chunks.sfreq:g} Hz, not {sfreq:g}: resample them first")
    if channels is None or chunks.channels is None:
        return chunks
    rows = np.array(_rows((*chunks.channels, *chunks.bads), channels, "the recording or stream"))
    return ((_arranged(chunk, rows), time) for chunk, time in chunks)


def _arranged(chunk: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Rows of a chunk in another order; NaN for numbers beyond its rows."""
    out = np.full((len(rows), chunk.shape[1]), np.nan)
    there = rows < len(chunk)
    out[there] = chunk[rows[there]]
    return out


def _rows(names: Sequence[str], wanted: Sequence[str], whose: str) -> list[int]:
    """Place of each wanted channel among the names, whatever their case."""
    places = {name.strip().lower(): place for place, name in reversed(list(enumerate(names)))}
    absent = [name for name in wanted if name.strip().lower() not in places]
    if absent:
        raise ValueError(
            f"{whose} has no channels {absent}, only {list(names)}: rename them, or give the decoder the "
            "number of its channels if the rows are in the order of the training"
        )
    return [places[name.strip().lower()] for name in wanted]


def _channel_names(channels: Sequence[str] | int) -> tuple[tuple[str, ...], bool]:
    """Names of the channels, numbers if only their count is given, and whether they are names."""
    if isinstance(channels, int | np.integer):
        return tuple(map(str, range(channels))), False
    names = tuple(channels)
    simple = [name.strip().lower() for name in names if isinstance(name, str)]
    if isinstance(channels, str) or len(set(simple)) < len(names):
        raise ValueError(f"channels must be different names or their number, got {channels!r}")
    return names, True


def replay(
    recording: mne.io.BaseRaw | ArrayLike,
    sfreq: float | None = None,
    *,
    chunk: float = 0.1,
    start: int = 0,
    begin: float = 0.0,
) -> Chunks:
    """A recording as if it came in now, as fast as it is taken.

    Parameters
    ----------
    recording : mne.io.BaseRaw or array_like, shape (n_channels, n_samples)
        V. Of a Raw the EEG channels that are not marked bad, read piece by piece; its annotations are not
        heeded.
    sfreq : float
        Samples per second of an array.
    chunk : float
        Seconds in a chunk; at least one sample.
    start : int
        First sample to give, up to all of them: the `n_samples` of a decoder that goes on.
    begin : float
        Time in s of sample 0.

    Yields
    ------
    chunk : ndarray, shape (n_channels, n)
    time : float
        Seconds of its first sample.

    Raises
    ------
    ValueError
        If the array is not (n_channels, n_samples), its sampling rate is not given, or there is no EEG or no
        such sample.
    """
    raw: Any = recording
    names, bads = None, []
    if not 0 <= chunk < math.inf:
        raise ValueError(f"chunk must be seconds, not negative, got {chunk}")
    if hasattr(raw, "get_data"):
        if not hasattr(raw, "n_times"):
            raise ValueError(f"recording must be a Raw or an array, not {type(raw).__name__}")
        if sfreq is not None and sfreq != raw.info["sfreq"]:
            raise ValueError(f"the recording has {raw.info['sfreq']} Hz, not {sfreq}: leave sfreq out")
        sfreq, length = float(raw.info["sfreq"]), len(raw.times)
        kinds = zip(raw.ch_names, raw.get_channel_types(), strict=True)
        eeg = [name for name, kind in kinds if kind == "eeg"]
        names, bads = ([n for n in eeg if (n in raw.info["bads"]) is bad] for bad in (False, True))
        if not names:
            raise ValueError(f"the recording has no good EEG channel among {raw.ch_names}: set their types")
        part: Callable[..., Any] = partial(raw.get_data, picks=[raw.ch_names.index(name) for name in names])
    else:
        array = plain(recording, "recording")
        if array.ndim != 2 or sfreq is None or not sfreq > 0:
            raise ValueError(
                f"an array must be (n_channels, n_samples) and have sfreq= in Hz, got shape {array.shape} "
                f"and sfreq={sfreq}"
            )
        length = array.shape[1]
        part = partial(_columns, array)
    if not 0 <= start <= length:
        raise ValueError(f"start must be one of the recording's {length} samples, got {start}")
    chunks = _replayed(part, length, float(sfreq), max(1, round(chunk * sfreq)), start, begin)
    return Chunks(chunks, float(sfreq), names, bads)


def _columns(array: np.ndarray, *, start: int, stop: int) -> np.ndarray:
    return array[:, start:stop]


def _replayed(
    part: Callable[..., Any], length: int, sfreq: float, step: int, start: int, begin: float
) -> Iterator[tuple[np.ndarray, float]]:
    for at in range(start, length, step):
        yield part(start=at, stop=min(at + step, length)), begin + at / sfreq


def stream_lsl(
    name: str,
    *,
    sfreq: float | None = None,
    channels: Sequence[str] | None = None,
    scale: float | None = None,
    chunk: float = 0.1,
    timeout: float = 10.0,
) -> Chunks:
    """Chunks of a stream of the Lab Streaming Layer, through mne-lsl.

    Time stamps are those of the sender, on this computer's LSL clock. They are not smoothed: smoothing would
    hide gaps. If they jitter by more than the decoder's `tolerance`, raise it, or decode with
    ``disorder="drop"``.

    Parameters
    ----------
    name : str
        Name of the stream.
    sfreq : float, optional
        Samples per second that it must have.
    channels : sequence of str, optional
        Channels wanted, in order; by default those of type EEG, or all if the stream names no types.
    scale : float, optional
        Volts per unit of the stream; by default from the units it declares.
    chunk : float
        Seconds to wait for before a chunk is given.
    timeout : float
        Seconds to look for the stream, and of silence after which the chunks end.

    Yields
    ------
    chunk : ndarray, shape (n_channels, n)
        V.
    times : ndarray, shape (n,)
        Seconds.

    Raises
    ------
    ImportError
        If mne-lsl is not installed.
    TimeoutError
        If there is no such stream.
    ValueError
        If more than one stream has the name, or rate, channels or unit do not fit.
    """
    try:
        from mne_lsl import lsl
    except ImportError as error:
        raise ImportError("stream_lsl needs mne-lsl: pip install 'valence-axis[lsl]'") from error
    found = lsl.resolve_streams(timeout=timeout, name=name)
    if not found:
        raise TimeoutError(f"no LSL stream named {name!r} within {timeout:g} s: is the sender running?")
    if len(found) > 1:
        raise ValueError(f"{len(found)} LSL streams are named {name!r}: stop all but one or rename them")
    rate = found[0].sfreq
    if not rate > 0 or (sfreq is not None and not np.isclose(rate, sfreq)):
        wanted = "a regular rate" if sfreq is None else f"{sfreq:g} Hz"
        raise ValueError(f"LSL stream {name!r} has {rate:g} Hz, not {wanted} (0 is irregular)")
    # the channels are part of the full description, which only an inlet can fetch
    inlet = lsl.StreamInlet(found[0], processing_flags=["clocksync"])
    try:
        inlet.open_stream(timeout=timeout)
        info = inlet.get_sinfo()
        picks, factors = _lsl_channels(info, name, channels, scale)
    except BaseException:
        inlet.close_stream()
        raise
    names = info.get_channel_names()
    chunks = _pulled(inlet, picks, factors, max(1, round(chunk * rate)), chunk, timeout)
    return Chunks(chunks, float(rate), None if names is None else [names[pick] for pick in picks])


def _lsl_channels(
    info: Any, name: str, channels: Sequence[str] | None, scale: float | None
) -> tuple[list[int], np.ndarray]:
    """Columns of the channels wanted, and volts per unit (n, 1)."""
    names, types, units = info.get_channel_names(), info.get_channel_types(), info.get_channel_units()
    if channels is not None:
        absent = [channel for channel in channels if channel not in (names or [])]
        if absent:
            raise ValueError(f"LSL stream {name!r} has no channels {absent}, only {names}")
        picks = [names.index(channel) for channel in channels]
    else:
        every = range(info.n_channels)
        picks = [i for i in every if types is None or str(types[i]).lower() == "eeg"]
        if not picks:
            raise ValueError(f"LSL stream {name!r} has no channel of type EEG, only {types}: give channels=")
    if scale is not None:
        return picks, np.full((len(picks), 1), float(scale))
    declared = ["None" if units is None else str(units[i]).lower() for i in picks]
    unknown = sorted({unit for unit in declared if unit not in _UNITS})
    if unknown:
        raise ValueError(f"LSL stream {name!r} declares the units {unknown}: give scale= in volts per unit")
    return picks, np.array([[_UNITS[unit]] for unit in declared])


def _pulled(
    inlet: Any, picks: list[int], factors: np.ndarray, n: int, wait: float, timeout: float
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    try:
        heard = clock.monotonic()
        while clock.monotonic() - heard < timeout:
            samples, times = inlet.pull_chunk(timeout=wait, max_samples=n)
            if len(times):
                heard = clock.monotonic()
                # both are views of buffers that the next pull overwrites: copy
                yield np.asarray(samples, dtype=float).T[picks] * factors, np.array(times)
                heard = clock.monotonic()  # what the taker needs is no silence
    finally:
        inlet.close_stream()
