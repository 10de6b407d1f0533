"""Differential entropy against mne's filter and numpy's variance, on four subjects of FACED's size."""

from __future__ import annotations

import mne
import numpy as np
from timing import in_turns

from kernel.brain.features import BANDS, differential_entropy

SIZES = {"subjects": 4, "clips": 28, "channels": 32, "samples": 7500, "bands": 5}
SFREQ = 250.0


def structured_signals(subjects: int, clips: int) -> np.ndarray:
    """1/f noise with an oscillation of wandering power in every band, (subjects, clips, 32, 7500), µV."""
    rng = np.random.default_rng(0)
    t = np.arange(SIZES["samples"]) / SFREQ
    f = np.fft.rfftfreq(len(t), 1 / SFREQ)
    x = np.empty((subjects * clips, SIZES["channels"], len(t)), dtype=np.float32)
    for trial in x:
        white = rng.standard_normal((len(trial), len(f), 2)) @ (1, 1j)
        trial[:] = 300 * np.fft.irfft(white / np.sqrt(np.maximum(f, 0.5)), n=len(t))
        for centre in (2.5, 6, 10.5, 21, 38):
            phase = rng.uniform(0, 6, (2, len(trial), 1))
            slow = np.sin(2 * np.pi * rng.uniform(0.02, 0.06, (len(trial), 1)) * t + phase[0])
            trial += 3 * np.exp(2 * slow) * np.sin(2 * np.pi * centre * t + phase[1])
    return x.reshape(subjects, clips, *x.shape[1:])


def with_mne(x: np.ndarray) -> np.ndarray:
    """The loop over bands that a user would write."""
    flat = x.reshape(-1, x.shape[-1]).astype(float)
    columns = []
    for low, high in BANDS["official"].values():
        filtered = mne.filter.filter_data(flat, SFREQ, low, high, verbose="error")
        variance = filtered.reshape(*x.shape[:-1], 30, 250).var(-1)
        columns.append(0.5 * np.log(2 * np.pi * np.e * variance))
    return np.stack(columns, axis=-1)


def benchmarks(small: bool = False) -> list[dict]:
    """Speed; agreement over everything, band by band, and band by band without two windows at each end."""
    subjects, clips = (1, 2) if small else (SIZES["subjects"], SIZES["clips"])
    x = structured_signals(subjects, clips)
    (fast, ours), (slow, expected) = in_turns(
        lambda: differential_entropy(x, SFREQ), lambda: with_mne(x), rounds=1 if small else 3
    )

    def agreement(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])

    inner = slice(2, -2)
    return [
        {
            "name": "differential_entropy, five bands",
            "ratio": slow / fast,
            "seconds": fast,
            "seconds_reference": slow,
            "reference": "mne.filter.filter_data and numpy's variance, band by band",
            "sizes": SIZES | {"subjects": subjects, "clips": clips},
            "agreement": agreement(ours, expected),
            "agreement_of_bands": [agreement(ours[..., b], expected[..., b]) for b in range(5)],
            "agreement_of_bands_without_ends": [
                agreement(ours[..., inner, b], expected[..., inner, b]) for b in range(5)
            ],
        }
    ]


if __name__ == "__main__":
    print(*benchmarks(), sep="\n")
