"""Online decoding of 32 channels at 250 Hz on one core against filtering the last 10 s anew each second."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

import numpy as np
from scipy.signal import sosfilt
from sklearn.linear_model import LogisticRegression
from timing import in_turns, one_thread

from kernel.brain.features import differential_entropy
from kernel.decoding.causal import CausalEntropy, OnlineSettings, Statistics
from kernel.decoding.online import OnlineDecoder, decode
from kernel.decoding.streams import replay

CHANNELS, SFREQ, SEGMENT, MEMBERS = 32, 250, 10, 5
CHUNK, SMOOTHING = 0.1, 5.0  # s
FILTERS = CausalEntropy(SFREQ, CHANNELS)


def benchmarks(small: bool = False) -> list[dict]:
    """Same signal, chunks, filters, statistics, members and smoothing; the best of five.

    Seconds, and with them the real-time factor, are of the processor; latencies are of the clock.

    The reference filters 10 s from rest, so that its first windows hold transients; with the 2 s in front of
    them, in which the filters settle, its probabilities are the decoder's. The zero-phase features of the
    last 10 s are another task, timed for comparison. The signal is noise: there is nothing to agree on but
    the computation.
    """
    n_seconds, rounds = (40, 1) if small else (180, 5)
    rng = np.random.default_rng(0)
    x = 1e-5 * rng.standard_normal((CHANNELS, n_seconds * SFREQ))
    rows, labels = rng.standard_normal((MEMBERS, 400, CHANNELS * 5)), np.arange(400) % 9
    members = [LogisticRegression(C=0.1).fit(part, labels).predict_proba for part in rows]
    nothing = [lambda row: np.full((1, 9), 1 / 9)]  # features and bookkeeping alone

    with one_thread():
        (fast, (decoded, latency)), (slow, (from_rest, late)), *others = in_turns(
            lambda: online(x, members),
            lambda: recomputed(x, causal, members),
            lambda: recomputed(x, causal, members, more=FILTERS.settle),
            lambda: recomputed(x, zero_phase, members),
            lambda: online(x, nothing),
            lambda: recomputed(x, causal, nothing),
            rounds=rounds,
            clock=time.process_time,
        )
    (settled, (same, _)), (offline, (zero, _)), (fast_features, _), (slow_features, _) = others

    def agreement(other: np.ndarray) -> float:
        last = slice(-(n_seconds - 3 * SEGMENT), None)
        return float(np.corrcoef(decoded[last].ravel(), other[last].ravel())[0, 1])

    row = {
        "name": f"decoding {CHANNELS} channels online",
        "ratio": slow / fast,
        "seconds": fast,
        "seconds_reference": slow,
        "reference": "filtering the last 10 s anew each second, same filters",
        "ratio_without_members": slow_features / fast_features,
        "ratio_same_result": settled / fast,
        "ratio_zero_phase": offline / fast,
        "real_time_factor": n_seconds / fast,
        "real_time_factor_reference": n_seconds / slow,
        "latency_95_ms": 1e3 * float(np.percentile(latency, 95)),
        "latency_95_ms_reference": 1e3 * float(np.percentile(late, 95)),
        "agreement": agreement(from_rest),
        "agreement_same_result": agreement(same),
        "agreement_zero_phase": agreement(zero),
        "sizes": {"channels": CHANNELS, "sfreq": SFREQ, "seconds": n_seconds, "members": MEMBERS},
    }
    print(
        f"  {row['real_time_factor']:.0f} times real time, 95th percentile of latency "
        f"{row['latency_95_ms']:.2f} ms; reference {row['real_time_factor_reference']:.0f} times and "
        f"{row['latency_95_ms_reference']:.2f} ms"
    )
    return [row]


def online(x: np.ndarray, members: list) -> tuple[np.ndarray, list[float]]:
    """Smoothed probabilities (n, n_classes) and latencies in s."""
    wrapped = [lambda windows, member=member: member(windows.mean(2).reshape(1, -1)) for member in members]
    decoder = OnlineDecoder(
        wrapped, sfreq=SFREQ, channels=CHANNELS, classes=range(9),
        settings=OnlineSettings(segment=SEGMENT, smoothing=SMOOTHING),
    )  # fmt: skip
    records = decode(replay(x, SFREQ, chunk=CHUNK), decoder)
    decoded = [record for record in records if record.status == "decoded"]
    return np.stack([r.smoothed for r in decoded]), [r.latency_s for r in decoded]


def recomputed(
    x: np.ndarray, features: Callable, members: list, more: int = 0
) -> tuple[np.ndarray, list[float]]:
    """The plain way, in the same chunks; `more` seconds are filtered and not used."""
    held, statistics = deque(maxlen=round((SEGMENT + more) / CHUNK)), Statistics(CHANNELS, 5)
    everywhere, smoothed, out, late = np.ones(CHANNELS, dtype=bool), None, [], []
    for number, (chunk, _) in enumerate(replay(x, SFREQ, chunk=CHUNK), 1):
        arrived = time.perf_counter()
        held.append(chunk)
        if number % round(1 / CHUNK) or len(held) < held.maxlen:
            continue
        de = features(np.concatenate(held, axis=1))[more:]  # (10, n_channels, n_bands)
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


def zero_phase(last: np.ndarray) -> np.ndarray:
    return differential_entropy(last, SFREQ).swapaxes(0, 1)


if __name__ == "__main__":
    print(*benchmarks(), sep="\n")
