"""Differential entropy against mne's filter and numpy's variance, on four subjects of FACED's size."""

from __future__ import annotations

import mne
import numpy as np
from timing import compared

from kernel.brain.features import BANDS, differential_entropy

CHANNELS, SAMPLES, SFREQ = 32, 7500, 250.0


def structured_signals(n_trials: int) -> np.ndarray:
    """1/f noise with an oscillation of wandering power in every band, (n_trials, 32, 7500), µV."""
    rng = np.random.default_rng(0)
    t, f = np.arange(SAMPLES) / SFREQ, np.fft.rfftfreq(SAMPLES, 1 / SFREQ)
    x = np.empty((n_trials, CHANNELS, SAMPLES), dtype=np.float32)
    for trial in x:
        white = rng.standard_normal((CHANNELS, len(f), 2)) @ (1, 1j)
        trial[:] = 300 * np.fft.irfft(white / np.sqrt(np.maximum(f, 0.5)), n=SAMPLES)
        for centre in (2.5, 6, 10.5, 21, 38):
            phase = rng.uniform(0, 6, (2, CHANNELS, 1))
            slow = np.sin(2 * np.pi * rng.uniform(0.02, 0.06, (CHANNELS, 1)) * t + phase[0])
            trial += 3 * np.exp(2 * slow) * np.sin(2 * np.pi * centre * t + phase[1])
    return x


def with_mne(x: np.ndarray) -> np.ndarray:
    """The loop over bands that a user would write."""
    columns = []
    for low, high in BANDS["official"].values():
        filtered = mne.filter.filter_data(
            x.reshape(-1, SAMPLES).astype(float), SFREQ, low, high, verbose="error"
        )
        variance = filtered.reshape(*x.shape[:-1], 30, 250).var(-1)
        columns.append(0.5 * np.log(2 * np.pi * np.e * variance))
    return np.stack(columns, axis=-1)


def agreement(ours: np.ndarray, expected: np.ndarray) -> dict[str, float]:
    """Correlation over everything, and without two windows at each end."""
    inner = [part[..., 2:-2, :].ravel() for part in (ours, expected)]
    return {
        "agreement": float(np.corrcoef(ours.ravel(), expected.ravel())[0, 1]),
        "agreement_without_ends": float(np.corrcoef(*inner)[0, 1]),
    }


def benchmarks(small: bool = False) -> list[dict]:
    n_trials = 2 if small else 4 * 28
    x = structured_signals(n_trials)
    return compared(
        "differential_entropy, five bands",
        {"trials": n_trials, "channels": CHANNELS, "samples": SAMPLES},
        lambda: differential_entropy(x, SFREQ),
        {"mne.filter.filter_data and numpy's variance, band by band": lambda: with_mne(x)},
        rounds=1 if small else 3,
        check=agreement,
    )
