"""Features that never look ahead: the clock of a stream, causal differential entropy, running statistics."""

from __future__ import annotations

import math
import time as wall_clock
import warnings
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.signal import cheby2, sosfilt, sosfilt_zi

from kernel import checks
from kernel.arrays import plain, precision, real
from kernel.brain.features import band_edges, transition_widths
from kernel.decoding.streams import OutOfOrderError, Stateful

# Order 3 has a zero at 0 Hz, so that electrode offsets vanish. Less than 30 dB lets strong neighbouring bands
# in, more is slower and narrower: either agrees less with the zero-phase features.
_ORDER, _ATTENUATION = 3, 30.0
_SETTLED = 1e-2  # share of an impulse response's energy that is still to come when a filter counts as settled
_PACED, _OFF_PACE = 10.0, 0.05  # seconds over which the rate is measured once, and its tolerance
_TOO_LARGE = 0.01  # V; no drift of an electrode makes EEG vary so


@dataclass(frozen=True)
class OnlineSettings:
    """How a decoder works; a checkpoint goes on only under the same.

    Attributes
    ----------
    bands : str or mapping
        A name of :data:`kernel.brain.features.BANDS` or ``{name: (low, high)}`` in Hz.
    window, segment : float
        Seconds of a window, which must hold a whole number of samples, and of the windows decoded at once.
    coverage, min_good : float
        Share of the segment's windows that must be there, and of channels that must be good in a window.
    smoothing, memory : float
        Time constants in s of the exponential smoothing, 0 for none, time inside a gap included; and of the
        statistics: see :class:`Statistics`.
    warm_up : float
        Seconds of good windows after which a channel's statistics are to be trusted.
    flat : float
        Standard deviation in V within a window below which a channel is lost.
    tolerance : float
        Seconds by which time stamps may deviate from the count of samples: more is a gap, or disorder.
    """

    bands: str | Mapping[str, tuple[float, float]] = "official"
    window: float = 1.0
    segment: float = 10.0
    coverage: float = 0.5
    min_good: float = 0.5
    smoothing: float = 5.0
    memory: float = math.inf
    warm_up: float = 60.0
    flat: float = 1e-7
    tolerance: float = 0.05

    def __post_init__(self) -> None:
        checks.between("window", self.window, 0, math.inf)
        for name in ("coverage", "min_good"):
            checks.between(name, getattr(self, name), 0, 1, closed="high")
        for name in ("smoothing", "warm_up", "flat", "tolerance"):
            checks.between(name, getattr(self, name), 0, math.inf, closed="low")
        checks.between("segment", self.segment, 0, math.inf)
        if self.n_windows < 1 or not np.isclose(self.n_windows * self.window, self.segment):
            raise ValueError(
                f"segment must be a whole number of windows of {self.window} s, got {self.segment} s"
            )

    @property
    def n_windows(self) -> int:
        """Windows in a segment."""
        return round(self.segment / self.window)


DEFAULTS = OnlineSettings()


# Time


class _Piece(NamedTuple):
    """Contiguous samples, the time of the first, and that after the last; None where samples are counted."""

    start: float | None
    end: float | None
    samples: np.ndarray


class _Clock(Stateful):
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

    def pieces(self, chunk: ArrayLike, time: float | ArrayLike | None, n_channels: int) -> list[_Piece]:
        """Contiguous pieces of a chunk. A chunk that is refused changes nothing."""
        x = plain(chunk, "chunk")
        if x.ndim != 2 or x.shape[0] != n_channels or x.shape[1] == 0:
            raise ValueError(
                f"a chunk must be ({n_channels} channels, at least 1 sample), got shape {x.shape}"
            )
        if time is None:
            return [_Piece(None, None, x)]
        stamps = real(time, "time, in seconds,")
        step = precision(time) * np.abs(stamps).max(initial=0)
        if step > max(self.tolerance, 1 / self.sfreq):
            raise ValueError(
                f"time stamps of this type are {step:.3g} s apart at {stamps.flat[0]:g} s: give float64"
            )
        if stamps.ndim == 0 or stamps.shape == x.shape[1:] == (1,):
            stamps = stamps.reshape(1)
            pieces = [_Piece(float(stamps[0]), None, x)]
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
                _Piece(float(stamps[a]), float(stamps[b - 1]) + 1 / self.sfreq, x[:, a:b]) for a, b in edges
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


# Features


class Window(NamedTuple):
    """Differential entropies (n_channels, n_bands) of a window in nats of V, NaN where a channel is not good.

    `time` is its end in s; `lost` channels have no signal, `good` ones one whose filters have settled.
    `arrived` is when the last sample was in hand, on the clock of :func:`time.perf_counter`.
    """

    time: float
    de: np.ndarray
    good: np.ndarray
    lost: np.ndarray
    arrived: float


class CausalEntropy(Stateful):
    """Differential entropy of a stream: filters that keep their state between chunks, and windows.

    Each band has a Chebyshev filter of the second kind that reaches 30 dB of attenuation where the gain of
    the zero-phase filter (:func:`~kernel.brain.features.band_gain`) ends; if that is 0 Hz, a quarter of the
    band's lower edge stands in for it. The two features differ in three ways:

    - *delay*: a causal filter answers late, by 0.04 s (gamma) to 0.25 s (delta); see `delays`;
    - *offset*: the causal filters are narrower by 0.04 to 0.19 nats for a 1/f spectrum at 250 Hz. It is
      constant and leaves with the standardisation;
    - *start*: windows during the `settle` time of the slowest filter after the start, a gap or the return of
      a channel are not good, where the zero-phase features reflect the ends.

    `settle` counts the windows until the filters have settled; `delays` holds the mean delay in s of each
    band's power; `clock` counts samples, gaps and the seconds within them; `windows_dropped` counts windows
    that were cut by a gap. Of the settings, `bands`, `window`, `flat` and `tolerance` matter.
    """

    STATE = ("clock", "windows_dropped", "_fill", "_buffer", "_zi", "_fresh", "_settling")

    def __init__(self, sfreq: float, n_channels: int, settings: OnlineSettings = DEFAULTS) -> None:
        self.sfreq = checks.between("sfreq", sfreq, 0, math.inf)
        self.bands, self.settings = band_edges(settings.bands), settings
        self.n_channels = checks.count("n_channels", n_channels)
        samples = settings.window * sfreq
        self.per = round(samples)
        if self.per < 2 or not np.isclose(self.per, samples, rtol=1e-9):
            raise ValueError(
                f"a window of {settings.window} s at {sfreq} Hz holds {samples:g} samples: choose a window "
                "of a whole number of samples, at least two, or resample"
            )
        self._sos = _filters(self.bands, self.sfreq)  # (n_bands, n_sections, 6)
        self._unit = np.stack([sosfilt_zi(sos) for sos in self._sos])  # the state that a constant 1 leaves
        settle, delays = _responses(self._sos, self.sfreq)
        self.settle = math.ceil(settle / settings.window)
        self.delays = dict(zip(self.bands, delays, strict=True))
        self.clock = _Clock(self.sfreq, settings.tolerance)
        self.windows_dropped = self._fill = 0
        self._buffer = np.zeros((n_channels, self.per))
        self._sized = False  # whether the unit of the signal was looked at
        self._zi = np.zeros((len(self.bands), self._sos.shape[1], n_channels, 2))
        self._fresh = np.ones(n_channels, dtype=bool)  # channels whose filters are to be set up
        self._settling = np.zeros(n_channels, dtype=int)  # windows until good

    def windows(self, chunk: ArrayLike, time: float | ArrayLike | None = None) -> Iterator[Window]:
        """Windows that a chunk completes; a chunk that is refused changes nothing."""
        return self._take(self.clock.pieces(chunk, time, self.n_channels))

    def set_back(self) -> None:
        """Begin with the next chunk's clock: an open window is dropped, the filters are set up anew."""
        self._break()
        self.clock.forget()

    def _break(self) -> None:
        self.windows_dropped += self._fill > 0
        self._fill = 0
        self._fresh[:] = True

    def _take(self, pieces: Iterable[_Piece]) -> Iterator[Window]:
        for start, end, x in pieces:
            if self.clock.begin(start):
                self._break()
            at = 0
            while at < x.shape[1]:
                n = min(self.per - self._fill, x.shape[1] - at)
                self._buffer[:, self._fill : self._fill + n] = x[:, at : at + n]
                at, self._fill = at + n, self._fill + n
                self.clock.advance(n)
                if self._fill == self.per:
                    yield self._finish()
            if end is not None:
                self.clock.begin(end)

    def _finish(self) -> Window:
        arrived = wall_clock.perf_counter()
        self._fill = 0
        x = self._buffer
        there = np.isfinite(x).all(1)
        x[~there] = 0.0
        # the largest deviation first: the square of an absurd value must not overflow
        there &= np.abs(x - x[:, :1]).max(1) < 1e100
        x[~there] = 0.0
        size = x.std(1)
        there &= size >= max(self.settings.flat, 1e-300)
        if there.any() and not self._sized:
            self._sized = True
            if (typical := float(np.median(size[there]))) > _TOO_LARGE:
                warnings.warn(
                    f"the signal's standard deviation is {typical:.3g}, far from EEG in V, the unit of "
                    "`flat`: multiply microvolts by 1e-6",
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
        return Window(self.clock.now, de, good, ~there, arrived)


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


class Statistics(Stateful):
    r"""Running mean and variance of each channel and band (n_channels, n_bands), without labels.

    Up to `memory` windows all count alike (Welford's recursion [1]_); from then on the past fades
    exponentially with a time constant of `memory` windows:

    .. math::

        n \leftarrow \min(n + 1, \text{memory}), \quad m' = m + (x - m) / n,

        v' = v + \{(x - m)(x - m') - v\} / n.

    `count` holds n of each channel.

    References
    ----------
    .. [1] Welford (1962), Note on a method for calculating corrected sums of squares and products,
       Technometrics 4(3). doi:10.1080/00401706.1962.10490022
    """

    STATE = ("count", "mean", "variance")

    def __init__(self, n_channels: int, n_bands: int, *, memory: float = math.inf) -> None:
        self.memory = checks.between("memory, in windows,", memory, 2, math.inf, closed="both")
        self.count = np.zeros(n_channels)
        self.mean, self.variance = np.zeros((2, n_channels, n_bands))

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
