"""Online decoding of 32 channels at 250 Hz on one core against filtering the last 10 s anew each second."""

from __future__ import annotations

import time
from collections import deque

import numpy as np
from scipy.signal import sosfilt
from sklearn.linear_model import LogisticRegression
from timing import compared, one_thread

from kernel.decoding.causal import CausalEntropy, OnlineSettings, Statistics
from kernel.decoding.online import OnlineDecoder, decode
from kernel.decoding.streams import replay

CHANNELS, SFREQ, SEGMENT, MEMBERS = 32, 250, 10, 5
CHUNK, SMOOTHING = 0.1, 5.0  # s
FILTERS = CausalEntropy(SFREQ, CHANNELS)


def benchmarks(small: bool = False) -> list[dict]:
    """Same signal, chunks, filters, statistics, members and smoothing; the best of five.

    Seconds are of the processor, latencies of the clock. The reference filters the 2 s before the last 10 s
    too, in which the filters settle: its probabilities are then the decoder's. The signal is noise: there is
    nothing to agree on but the computation.
    """
    n_seconds, rounds = (40, 1) if small else (180, 5)
    rng = np.random.default_rng(0)
    x = 1e-5 * rng.standard_normal((CHANNELS, n_seconds * SFREQ))
    rows, labels = rng.standard_normal((MEMBERS, 400, CHANNELS * 5)), np.arange(400) % 9
    members = [LogisticRegression(C=0.1).fit(part, labels).predict_proba for part in rows]

    def agreement(ours, other) -> dict[str, float]:
        last = slice(-(n_seconds - 3 * SEGMENT), None)
        return {
            "agreement": float(np.corrcoef(ours[0][last].ravel(), other[0][last].ravel())[0, 1]),
            "latency_95_ms": 1e3 * float(np.percentile(ours[1], 95)),
            "latency_95_ms_reference": 1e3 * float(np.percentile(other[1], 95)),
        }

    with one_thread():
        return compared(
            f"decoding {n_seconds} s of {CHANNELS} channels online",
            {"channels": CHANNELS, "sfreq": SFREQ, "seconds": n_seconds, "members": MEMBERS},
            lambda: online(x, members),
            {"filtering the last 10 s anew each second": lambda: recomputed(x, members)},
            rounds=rounds,
            clock=time.process_time,
            check=agreement,
        )


def online(x: np.ndarray, members: list) -> tuple[np.ndarray, list[float]]:
    """Smoothed probabilities (n, n_classes) and latencies in s."""
    wrapped = [lambda windows, member=member: member(windows.mean(2).reshape(1, -1)) for member in members]
    settings = OnlineSettings(segment=SEGMENT, smoothing=SMOOTHING)
    decoder = OnlineDecoder(wrapped, sfreq=SFREQ, channels=CHANNELS, classes=range(9), settings=settings)
    records = decode(replay(x, SFREQ, chunk=CHUNK), decoder)
    decoded = [record for record in records if record.status == "decoded"]
    return np.stack([r.smoothed for r in decoded]), [r.latency_s for r in decoded]


def recomputed(x: np.ndarray, members: list) -> tuple[np.ndarray, list[float]]:
    """The plain way, in the same chunks."""
    settle, statistics = FILTERS.settle, Statistics(CHANNELS, 5)
    held = deque(maxlen=round((SEGMENT + settle) / CHUNK))
    everywhere, smoothed, out, late = np.ones(CHANNELS, dtype=bool), None, [], []
    for number, (chunk, _) in enumerate(replay(x, SFREQ, chunk=CHUNK), 1):
        arrived = time.perf_counter()
        held.append(chunk)
        if number % round(1 / CHUNK) or len(held) < held.maxlen:
            continue
        de = causal(np.concatenate(held, axis=1))[settle:]  # (10, n_channels, n_bands)
        for window in de if not out else de[-1:]:
            statistics.update(window, everywhere)
        row = statistics.standardise(de).mean(0).reshape(1, -1)
        now = np.mean([member(row)[0] for member in members], axis=0)
        smoothed = now if smoothed is None else smoothed + (1 - np.exp(-1 / SMOOTHING)) * (now - smoothed)
        out.append(smoothed)
        late.append(time.perf_counter() - arrived)
    return np.stack(out), late


def causal(last: np.ndarray) -> np.ndarray:
    """The decoder's filters, from rest, and the variance in windows: (n_windows, n_channels, n_bands)."""
    y = np.stack([sosfilt(sos, last) for sos in FILTERS._sos])
    variance = y.reshape(5, CHANNELS, -1, SFREQ).var(-1)
    return 0.5 * np.log(2 * np.pi * np.e * variance).transpose(2, 1, 0)
