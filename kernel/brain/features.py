"""Raw EEG to differential entropy, in nats of the input's unit: µV give ln(1e6) more than V.

Nothing is re-referenced, repaired or rejected here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.fft import next_fast_len

from kernel import checks
from kernel.arrays import real, tensor

BANDS: dict[str, dict[str, tuple[float, float]]] = {
    "paper": {
        "delta": (0.5, 4.0),
        "theta": (4.0, 8.0),
        "alpha": (8.0, 13.0),
        "beta": (13.0, 30.0),
        "gamma": (30.0, 47.0),
    },
    "official": {
        "delta": (1.0, 4.0),
        "theta": (4.0, 8.0),
        "alpha": (8.0, 14.0),
        "beta": (14.0, 30.0),
        "gamma": (30.0, 47.0),
    },
}
"""Band edges in Hz: as arXiv:2606.00129 prints them and as the FACED release computed its features."""

# signals filtered at once: few enough for the processor's cache, or some 1 GB of a GPU
_CHUNK, _CHUNK_ON_GPU = 128, 2048

Signals = TypeVar("Signals", np.ndarray, torch.Tensor)


def band_edges(bands: str | Mapping[str, tuple[float, float]]) -> dict[str, tuple[float, float]]:
    """Edges in Hz of a table of :data:`BANDS` by name, or of a table given outright."""
    if isinstance(bands, str):
        bands = BANDS[checks.choice("bands", bands, BANDS)]
    if not isinstance(bands, Mapping) or not bands:
        raise ValueError(f"bands must be a name or {{name: (low, high)}} of one band or more, got {bands!r}")
    for name, edges in bands.items():
        low, high = checks.shape(f"band {name!r}", real(edges, f"band {name!r}"), (2,), "(low, high)")
        if not 0 < low < high:
            raise ValueError(f"band {name!r} needs 0 < low < high in Hz, got {low:g} and {high:g}")
    return {name: (low, high) for name, (low, high) in bands.items()}


def band_gain(frequencies: np.ndarray, low: float, high: float) -> np.ndarray:
    """Gain, between 0 and 1, of the zero-phase band-pass at some frequencies in Hz; always 0 at 0 Hz.

    One from `low` to `high`, zero beyond two cosine slopes of `transition_widths`.
    """
    below, above = transition_widths(low, high)
    distance = np.maximum((low - frequencies) / below, (frequencies - high) / above)
    return 0.5 + 0.5 * np.cos(np.pi * np.clip(distance, 0, 1))


def differential_entropy(
    x: Signals,
    sfreq: float,
    bands: str | Mapping[str, tuple[float, float]] = "official",
    *,
    window: float = 1.0,
    device: str | torch.device | None = None,
) -> Signals:
    r"""Differential entropy of band-passed signals in windows.

    The whole signal is filtered once, without phase shift, by :func:`band_gain`; in each window of the result

    .. math:: h = \tfrac12 \ln (2 \pi e \, \sigma^2),

    the entropy of a Gaussian of the window's variance :math:`\sigma^2` [1]_. A straight line is taken out
    first and the ends are continued by even reflection, so that neither an offset nor a trend rings and the
    first and last window are as good as the others.

    Parameters
    ----------
    x : ndarray or Tensor, shape (..., n_samples)
        Signals. float32 and float64 stay so; narrower floats and integers are taken as float32, wider ones as
        float64.
    sfreq : float
        Samples per second; more than twice the highest band edge.
    bands : str or mapping
        A name of :data:`BANDS` or ``{name: (low, high)}`` in Hz.
    window : float
        Seconds. Need not be a whole number of samples: windows then start at the nearest sample and differ in
        length by at most one. What is left at the end is dropped.
    device : str or torch.device, optional
        Where to compute, by :func:`kernel.checks.device`; a tensor's own device if it is not named.

    Returns
    -------
    ndarray or Tensor, shape (..., n_windows, n_bands)
        Nats, in the kind and on the device of `x`. A window in which the signal is constant gives ``-inf``; a
        signal with a NaN or infinite sample gives NaN throughout. Signals (..., n_channels, n_samples) give
        (..., n_channels, n_windows, n_bands); a cohort has windows before channels: ``swapaxes(-3, -2)``.

    References
    ----------
    .. [1] Duan, Zhu & Lu (2013), Differential entropy feature for EEG-based emotion classification, NER.
       doi:10.1109/NER.2013.6695876
    """
    edges = band_edges(bands)
    signals = tensor(x, "x", double=False, finite=False)
    if signals.ndim == 0 or 0 in signals.shape[:-1]:
        raise ValueError(f"x must have a time axis and a signal, got shape {tuple(signals.shape)}")
    n_samples = signals.shape[-1]
    starts = _window_starts(n_samples, sfreq, window)
    for name, (_, high) in edges.items():
        if not high < sfreq / 2:
            raise ValueError(f"band {name!r} ends at {high} Hz, not below half the sampling rate {sfreq} Hz")

    stays = device is None and isinstance(x, torch.Tensor)
    place = signals.device if stays else checks.device(device)
    dtype = torch.float32 if place.type == "mps" else signals.dtype  # which has no doubles
    steepest = min(min(transition_widths(*edge)) for edge in edges.values())  # it rings longest
    pad = min(n_samples - 1, int(np.ceil(3.3 / steepest * sfreq)))  # the whole length of mne's filter
    n_fft = next_fast_len(n_samples + 2 * pad, real=True)
    frequencies = np.fft.rfftfreq(n_fft, 1 / sfreq)
    gains = torch.as_tensor(np.stack([band_gain(frequencies, *edge) for edge in edges.values()]))
    gains = gains.to(dtype).to(place)

    flat = signals.reshape(-1, n_samples)
    parts = []
    for rows in flat.split(_CHUNK if place.type == "cpu" else _CHUNK_ON_GPU):
        rows = rows.to(dtype).to(place)
        spectrum = torch.fft.rfft(_extended(rows, pad), n=n_fft)
        filtered = (torch.fft.irfft(spectrum * gain, n=n_fft)[:, pad : pad + n_samples] for gain in gains)
        variance = torch.stack([_by_window(_variance, one, starts) for one in filtered], dim=-1)
        # what rings on into a window without a signal is none of its own
        parts.append(variance.masked_fill(_flat(rows, starts)[..., None], 0).to(signals))
    out = 0.5 * torch.log(2 * np.pi * np.e * torch.cat(parts))
    entropies: Any = out.reshape(*signals.shape[:-1], *out.shape[1:])
    return entropies if isinstance(x, torch.Tensor) else entropies.numpy()


def flat_windows(x: ArrayLike, sfreq: float, window: float = 1.0) -> np.ndarray:
    """Windows in which a signal does not vary: bool (..., n_windows) of signals (..., n_samples)."""
    signals = tensor(x, "x", double=False, finite=False)
    return _flat(signals, _window_starts(signals.shape[-1], sfreq, window)).numpy()


def transition_widths(low: float, high: float) -> tuple[float, float]:
    """Widths in Hz of the filter's transitions below and above a band: the defaults of mne's FIR filters.

    A quarter of the edge, at least 2 Hz, but at most `low` below it.
    """
    return min(max(0.25 * low, 2.0), low), max(0.25 * high, 2.0)


def _window_starts(n_samples: int, sfreq: float, window: float) -> np.ndarray:
    """First sample of each window and the end of the last."""
    per = checks.between("window", window, 0, np.inf) * checks.between("sfreq", sfreq, 0, np.inf)
    if not per >= 2:
        raise ValueError(f"a window of {window} s at {sfreq} Hz has fewer than two samples")
    n_windows = int(n_samples / per + 1e-9)
    if n_windows == 0:
        raise ValueError(f"the signal's {n_samples / sfreq:g} s are shorter than one window of {window} s")
    return np.rint(np.arange(n_windows + 1) * per).astype(int)


def _extended(x: torch.Tensor, pad: int) -> torch.Tensor:
    """Straight line removed from (n, n_samples), then `pad` samples of even reflection that fade to zero.

    White or 1/f noise keeps its variance up to the ends. Odd reflection would turn a single high sample there
    into a step, and zeros a slow wave.
    """
    x = x - x[:, :1]  # exactly zero if constant, and no precision is spent on an offset
    x = x - x.mean(-1, keepdim=True)
    line = torch.linspace(-1, 1, x.shape[-1], dtype=x.dtype, device=x.device)
    x = x - (x @ line / line.square().sum())[:, None] * line
    rise = torch.sin(torch.linspace(0, np.pi / 2, pad, dtype=x.dtype, device=x.device)) ** 2
    before = x[:, 1 : pad + 1].flip(-1)
    after = x[:, x.shape[-1] - pad - 1 : -1].flip(-1)
    return torch.cat([before * rise, x, after * rise.flip(0)], dim=-1)


def _flat(x: torch.Tensor, starts: np.ndarray) -> torch.Tensor:
    """Whether (..., n_samples) are constant between consecutive `starts`: (..., n_windows)."""
    return _by_window(lambda part: part.amin(-1) == part.amax(-1), x, starts)


def _by_window(
    statistic: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor, starts: np.ndarray
) -> torch.Tensor:
    """A statistic over the last axis of each window, of all at once where they are equally long."""
    lengths = np.diff(starts)
    if (lengths == lengths[0]).all():
        return statistic(x[..., : starts[-1]].unflatten(-1, (len(lengths), int(lengths[0]))))
    return torch.stack([statistic(x[..., start:stop]) for start, stop in pairwise(starts)], dim=-1)


def _variance(x: torch.Tensor) -> torch.Tensor:
    """Variance over the last axis: faster than ``torch.var``, and safe for band-passed signals."""
    return (x.square().mean(-1) - x.mean(-1).square()).clamp(min=0)
