"""Online decoding: equal to offline where it should be, whatever the chunks, gaps, losses and restarts."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
import tracemalloc
from types import SimpleNamespace

import mne
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats
from scipy.special import softmax
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from kernel.brain.cohort import FACED_CLIP_EMOTIONS, make_split, standardise
from kernel.brain.features import BANDS, differential_entropy
from kernel.brain.simulate import Settings, simulate_cohort, simulate_raw
from kernel.decoding.bank import TrainingSpec, train_bank
from kernel.decoding.online import (
    CausalEntropy,
    OnlineDecoder,
    OutOfOrderError,
    Record,
    ShortWindowError,
    Statistics,
    calibrate,
    decode,
    expected_offset,
    from_bank,
    read_log,
    replay,
    stream_lsl,
)

SFREQ, N_CHANNELS, N_BANDS = 125, 4, 5
QUICK = {"sfreq": SFREQ, "channels": N_CHANNELS, "segment": 4.0, "warm_up": 5.0, "smoothing": 3.0}


class Linear:
    """A classifier that depends on every feature."""

    def __init__(self, seed=0, n_features=N_CHANNELS * N_BANDS, n_classes=3):
        self.weights = np.random.default_rng(seed).standard_normal((n_features, n_classes))
        self.classes_ = np.array(["calm", "glad", "sad"][:n_classes])
        self.n_features_in_ = n_features

    def predict_proba(self, X):
        return softmax(X @ self.weights, axis=1)


class Spy:
    """A member that keeps what it was given."""

    def __init__(self):
        self.seen = []

    def __call__(self, windows):
        self.seen.append(windows)
        return np.array([[0.5, 0.3, 0.2]])


def pink(rng, n_channels, seconds, sfreq=SFREQ, *, modulated=False):
    """1/f noise of 10 µV in V; modulated, the power of every band wanders slowly on its own."""
    n = round(seconds * sfreq)
    f = np.fft.rfftfreq(n, 1 / sfreq)
    white = rng.standard_normal((n_channels, len(f), 2)) @ (1, 1j)
    spectrum = white / np.sqrt(np.maximum(f, f[1]))
    t = np.arange(n) / sfreq
    if modulated:
        x = 0
        for low, high in BANDS["official"].values():
            part = np.fft.irfft(spectrum * ((f >= low) & (f < high)), n=n)
            phase, rate = rng.uniform(0, 6, (n_channels, 1)), rng.uniform(0.02, 0.06, (n_channels, 1))
            x = x + part * np.exp(1.5 * np.sin(2 * np.pi * rate * t + phase))
    else:
        x = np.fft.irfft(spectrum, n=n)
    return 1e-5 * x / x.std()


def run(x, members=None, *, chunk=0.1, start=0, **options):
    decoder = OnlineDecoder(members or [Linear(0), Linear(1)], **{**QUICK, **options})
    return list(decode(replay(x, SFREQ, chunk=chunk, start=start), decoder)), decoder


def assert_same(first, second, atol=0.0):
    """Equal in everything but the computing time."""
    assert len(first) == len(second) > 0
    for a, b in zip(first, second, strict=True):
        for name in ("label", "status", "warm", "n_good_channels", "lost", "n_windows"):
            assert getattr(a, name) == getattr(b, name), name
        assert a.time == pytest.approx(b.time, abs=1e-9)
        np.testing.assert_allclose(a.probabilities, b.probabilities, rtol=0, atol=atol)
        np.testing.assert_allclose(a.smoothed, b.smoothed, rtol=0, atol=atol)


def features(x, **options):
    """Windows of an array as (n_windows, n_channels, n_bands), and all of them."""
    found = CausalEntropy(SFREQ, len(x), **options).push(x)
    return np.stack([window.de for window in found]), found


# Causal features


def correlations(x):
    """Of causal and zero-phase features, band by band and over all, and with features of other channels."""
    causal = np.stack([window.de for window in CausalEntropy(250, len(x)).push(x)])
    offline = differential_entropy(x, 250.0).swapaxes(0, 1)
    assert np.isnan(causal[:2]).all() and np.isfinite(causal[2:]).all()  # the filters settle
    a, b = causal[2:].reshape(-1, N_BANDS), offline[2:].reshape(-1, N_BANDS)
    others = np.roll(offline, 1, axis=1)[2:].reshape(-1, N_BANDS)
    return (
        [np.corrcoef(a[:, band], b[:, band])[0, 1] for band in range(N_BANDS)],
        np.corrcoef(a.ravel(), b.ravel())[0, 1],
        [np.corrcoef(a[:, band], others[:, band])[0, 1] for band in range(N_BANDS)],
    )


def test_agrees_with_the_zero_phase_features_window_by_window(rng):
    noise, t = pink(rng, 16, 120, 250), np.arange(120 * 250) / 250
    x = 0.3 * noise
    for centre in (2.5, 6, 10.5, 21, 38):  # an oscillation of wandering power in every band
        phase, rate = rng.uniform(0, 6, (2, 16, 1)), rng.uniform(0.02, 0.06, (16, 1))
        power = np.exp(2 * np.sin(2 * np.pi * rate * t + phase[0]))
        x += 3e-6 * power * np.sin(2 * np.pi * centre * t + phase[1])
    bands, overall, others = correlations(x)
    assert min(bands) > 0.95 and overall > 0.95
    assert np.abs(others).max() < 0.5
    # noise that wanders in every band, delay and slopes and the chance of short windows together
    bands, _, others = correlations(pink(rng, 16, 120, 250, modulated=True))
    assert min(bands) > 0.9 and np.abs(others).max() < 0.5
    # nothing but that chance: what is left differs most where a window has the fewest waves
    bands, _, others = correlations(noise)
    assert 0.6 < bands[0] < bands[4] and np.abs(others).max() < 0.1


@pytest.mark.parametrize("table", ["official", "paper"])
def test_the_offset_is_the_one_expected(rng, table):
    x = pink(rng, 40, 120, 250)
    entropy = CausalEntropy(250, 40, table)
    causal = np.stack([window.de for window in entropy.push(x)])
    difference = (causal - differential_entropy(x, 250.0, table).swapaxes(0, 1))[entropy.settle :]
    expected = expected_offset(250, table)
    # delta: a window of 1 s takes a part of the slowest waves for its mean, which the theory leaves out
    bounds = dict.fromkeys(expected, 0.02) | {"delta": 0.15}
    for band, name in enumerate(expected):
        assert difference[..., band].mean() == pytest.approx(expected[name], abs=bounds[name]), name
        assert -0.3 < expected[name] < 0
    assert 0.2 < entropy.delays["delta"] < 0.3 and 0.03 < entropy.delays["gamma"] < 0.05


def test_a_filter_counts_a_delay_where_a_burst_is_late():
    t = np.arange(20 * 250) / 250
    burst = np.exp(-(((t - 10.0) / 0.4) ** 2)) * np.sin(2 * np.pi * 10 * t) * 1e-5
    entropy = CausalEntropy(250, 1, {"alpha": (8.0, 13.0)}, window=0.1, flat=0.0)
    power = np.array([np.exp(2 * window.de[0, 0]) for window in entropy.push(burst[None] + 1e-12)])
    ends = np.array([window.time for window in CausalEntropy(250, 1, window=0.1, flat=0.0).push(burst[None])])
    keep = np.isfinite(power)
    centre = (power[keep] @ (ends[keep] - 0.05)) / power[keep].sum()
    assert centre - 10.0 == pytest.approx(entropy.delays["alpha"], abs=0.04)


def test_the_past_does_not_know_the_future(rng):
    x = pink(rng, N_CHANNELS, 20)
    y = x.copy()
    y[:, 10 * SFREQ :] *= 100
    first, second = features(x)[0], features(y)[0]
    np.testing.assert_array_equal(first[:10], second[:10])
    assert not np.allclose(first[10:], second[10:])


def test_an_electrode_offset_changes_nothing(rng):
    x = pink(rng, N_CHANNELS, 12)
    np.testing.assert_allclose(features(x + 0.2)[0], features(x)[0], atol=1e-3)


# Chunks


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 400), min_size=1, max_size=30), st.booleans())
def test_the_chunks_do_not_matter(sizes, timed):
    x = pink(np.random.default_rng(0), N_CHANNELS, 14)
    expected, _ = run(x, chunk=100.0)
    decoder, found, at, turn = OnlineDecoder([Linear(0), Linear(1)], **QUICK), [], 0, 0
    while at < x.shape[1]:
        n = sizes[turn % len(sizes)]
        found += decoder.push(x[:, at : at + n], at / SFREQ if timed else None)
        at, turn = at + n, turn + 1
    assert_same(found, expected, atol=1e-9)
    assert found[-1].status == "decoded"


def test_samples_windows_and_stamps_are_the_same_as_chunks(rng):
    x = pink(rng, N_CHANNELS, 12)
    expected, _ = run(x)
    ways = {name: OnlineDecoder([Linear(0), Linear(1)], **QUICK) for name in ("sample", "window", "stamps")}
    found = {name: [] for name in ways}
    for at in range(0, x.shape[1], SFREQ):
        part = x[:, at : at + SFREQ]
        found["sample"] += ways["sample"].push(part, sample=at)
        found["window"].append(ways["window"].push_window(part))
        found["stamps"] += ways["stamps"].push(part, (at + np.arange(SFREQ)) / SFREQ)
    for records in found.values():
        assert_same(records, expected)


def test_features_from_elsewhere_are_decoded_as_the_signal_they_come_from(rng):
    x = pink(rng, N_CHANNELS, 40)
    decoder, spy = OnlineDecoder([Linear()], **QUICK), OnlineDecoder([Linear()], **QUICK)
    entropy = CausalEntropy(SFREQ, N_CHANNELS)
    windows = list(entropy.windows(x, 0.0))[entropy.settle :]
    records = [spy.push_features(window.de, window.time) for window in windows]
    for a, b in zip(decoder.push(x, 0.0)[entropy.settle :], records, strict=True):
        assert (a.time, a.label, a.status, a.warm, a.n_windows) == (
            b.time,
            b.label,
            b.status,
            b.warm,
            b.n_windows,
        )
        np.testing.assert_array_equal(a.smoothed, b.smoothed)
    assert spy.report["decoded"] == decoder.report["decoded"] > 0
    with pytest.raises(OutOfOrderError, match="send them in order"):
        spy.push_features(windows[-1].de, windows[-1].time)
    with pytest.raises(ValueError, match=r"features must be \(n_channels, n_bands\) = \(4, 5\)"):
        spy.push_features(np.zeros((5, 4)), 100.0)
    holes = windows[-1].de.copy()
    holes[2, 1] = np.nan
    assert spy.push_features(holes, windows[-1].time + 1).lost == (spy.channels[2],)


def test_members_trained_on_moments_answer_with_classes():
    cohort, _ = simulate_cohort(0, "strong_valence", n_subjects=10, window=1.0)
    split = make_split(cohort, "leave_subjects_out")
    spec = TrainingSpec(epochs=2, warmup_epochs=0, labels="moments", n_windows=10)
    bank = train_bank([spec], cohort, split, n_jobs=1, progress=False)
    (member,) = from_bank(bank)
    z = standardise(cohort).de[:1, 0, :10].transpose(0, 2, 1, 3)
    first = np.flatnonzero((bank.trials["subject"] == cohort.subjects[0]) & (bank.trials["clip"] == 1))[0]
    np.testing.assert_allclose(member(z)[0], softmax(bank.checkpoints[0].logits[first]), atol=1e-5)


def test_jitter_and_drift_of_the_clock_are_no_gaps(rng):
    x = pink(rng, N_CHANNELS, 60)
    decoder = OnlineDecoder([Linear()], **QUICK)
    for chunk, at in replay(x, SFREQ):
        decoder.push(chunk, at * 1.001 + rng.uniform(-0.01, 0.01))  # a clock that gains a minute in 17 hours
    assert decoder.report["gaps"] == 0 and sum(decoder.report[s] for s in ("decoded", "filling")) == 60


# Standardisation


def test_statistics_are_mean_and_deviation_of_all_good_windows(rng):
    de = rng.standard_normal((50, 3, 2)) + 5
    good = rng.random((50, 3)) < 0.7
    statistics = Statistics(3, 2)
    for row, there in zip(de, good, strict=True):
        statistics.update(np.where(there[:, None], row, np.nan), there)
    for channel in range(3):
        own = de[good[:, channel], channel]
        np.testing.assert_allclose(statistics.mean[channel], own.mean(0))
        np.testing.assert_allclose(statistics.variance[channel], own.var(0))
    np.testing.assert_array_equal(statistics.count, good.sum(0))
    z = statistics.standardise(np.full((3, 2), np.nan))
    np.testing.assert_array_equal(z, 0)


def test_a_memory_forgets_and_without_one_nothing_is_forgotten(rng):
    before, after = rng.standard_normal((300, 1, 1)), 20 + 3 * rng.standard_normal((300, 1, 1))
    fading, lasting = Statistics(1, 1, memory=30), Statistics(1, 1)
    for row in (*before, *after):
        for statistics in (fading, lasting):
            statistics.update(row, np.array([True]))
    assert fading.mean[0, 0] == pytest.approx(20, abs=4 * 3 / np.sqrt(60))
    assert np.sqrt(fading.variance[0, 0]) == pytest.approx(3, rel=0.4)
    assert lasting.mean[0, 0] == pytest.approx(10, abs=1)
    # the recursion is the exponentially weighted mean of the windows since it was full
    mean, count = 0.0, 0
    for value in np.concatenate([before, after]).ravel():
        count = min(count + 1, 30)
        mean += (value - mean) / count
    assert fading.mean[0, 0] == pytest.approx(mean)


def test_a_calibration_is_the_state_to_begin_with(rng):
    first, second = pink(rng, N_CHANNELS, 30), pink(rng, N_CHANNELS, 12)
    statistics = calibrate(replay(first, SFREQ), sfreq=SFREQ, channels=N_CHANNELS)
    de = features(first)[0][2:]
    np.testing.assert_allclose(statistics.mean, de.mean(0))
    np.testing.assert_allclose(statistics.variance, de.var(0))
    kept = statistics.mean.copy()
    warm, decoder = run(second, calibration=statistics, warm_up=20.0)
    cold, _ = run(second, warm_up=20.0)
    assert all(record.warm for record in warm if record.n_good_channels)
    assert not any(record.warm for record in cold)
    np.testing.assert_array_equal(statistics.mean, kept)  # a copy is updated
    both = np.concatenate([de, features(second)[0][2:]])
    np.testing.assert_allclose(decoder.statistics.mean, both.mean(0))
    short = OnlineDecoder([Linear()], **QUICK, calibration=statistics, memory=10.0)
    assert (short.statistics.count == 10).all()


def test_warm_begins_with_the_window_that_completes_the_warm_up(rng):
    records, _ = run(pink(rng, N_CHANNELS, 12))
    assert [record.warm for record in records] == [False] * 6 + [True] * 6  # 2 to settle, the fifth good one


# Segment, ensemble, smoothing


def test_members_see_the_standardised_windows_of_the_last_seconds(rng):
    x = pink(rng, N_CHANNELS, 15)
    spy, mean = Spy(), SimpleNamespace(seen=[], classes_=[0, 1, 2])
    mean.predict_proba = lambda X: mean.seen.append(X) or np.array([[0.5, 0.3, 0.2]])
    run(x, [spy, mean], classes=("a", "b", "c"))
    de = features(x)[0][2:]
    z = (de[-4:] - de.mean(0)) / de.std(0)  # statistics up to now, segment of 4 s
    np.testing.assert_allclose(spy.seen[-1], z.transpose(1, 0, 2)[None], atol=1e-9)
    np.testing.assert_allclose(mean.seen[-1], z.mean(0).reshape(1, -1), atol=1e-9)


def test_the_average_is_weighted_and_smoothed_by_the_time_that_passed(rng):
    x = pink(rng, N_CHANNELS, 20)
    one, two = (run(x, [Linear(seed)], smoothing=0.0)[0] for seed in (0, 1))
    both, _ = run(x, [Linear(0), Linear(1)], weights=[3, 1], smoothing=3.0)
    smooth, last = None, None
    for a, b, record in zip(one, two, both, strict=True):
        np.testing.assert_allclose(record.probabilities, 0.75 * a.probabilities + 0.25 * b.probabilities)
        if record.status != "decoded":
            continue
        share = 1 if last is None else 1 - np.exp(-(record.time - last) / 3.0)
        smooth = share * record.probabilities + (1 - share) * (0 if smooth is None else smooth)
        last = record.time
        np.testing.assert_allclose(record.smoothed, smooth)
        assert record.label == ("calm", "glad", "sad")[smooth.argmax()]
        assert record.smoothed.sum() == pytest.approx(1)
    assert last == 20.0
    np.testing.assert_array_equal(one[-1].smoothed, one[-1].probabilities)


def test_one_record_a_window_and_a_latency_that_is_a_part_of_the_time(rng):
    began = time.perf_counter()
    records, _ = run(pink(rng, N_CHANNELS, 15))
    took = time.perf_counter() - began
    assert [record.time for record in records] == pytest.approx(np.arange(1, 16))
    assert [record.status for record in records] == ["filling"] * 3 + ["decoded"] * 12
    assert all(record.latency_s > 0 for record in records)
    assert sum(record.latency_s for record in records) < took
    slow = SimpleNamespace(
        classes_=[0, 1], predict_proba=lambda X: time.sleep(0.01) or np.array([[0.5, 0.5]])
    )
    assert run(pink(rng, N_CHANNELS, 6), [slow])[0][-1].latency_s > 0.01


# Gaps


def test_after_a_long_gap_the_segment_starts_anew(rng):
    x, y = pink(rng, N_CHANNELS, 10.5), pink(rng, N_CHANNELS, 8)
    spy = Spy()
    decoder = OnlineDecoder([spy], **QUICK, classes="abc")
    records = decoder.push(x, 100.0)
    seen = len(spy.seen)
    after = decoder.push(y, 140.0)
    assert decoder.report["gaps"] == 1 and decoder.report["windows_dropped"] == 1
    assert decoder.report["missing_s"] == pytest.approx(140 - 110.5, abs=1 / SFREQ)
    assert records[-1].time == pytest.approx(110.0)  # the half window is nowhere
    assert [record.time for record in after] == pytest.approx(np.arange(141, 149))
    assert [record.status for record in after] == ["filling"] * 3 + ["decoded"] * 5
    assert np.isnan(after[0].probabilities).all() and after[0].label is None and after[0].n_windows == 0
    de, own = features(x)[0][2:], features(y)[0][2:]
    everything = np.concatenate([de, own])
    np.testing.assert_allclose(decoder.statistics.mean, everything.mean(0))  # the person stays the same
    so_far = np.concatenate([de, own[:2]])
    z = (own[:2] - so_far.mean(0)) / so_far.std(0)
    filled = np.concatenate([np.repeat(z.mean(0)[None], 2, axis=0), z])  # two windows of four
    np.testing.assert_allclose(spy.seen[seen], filled.transpose(1, 0, 2)[None], atol=1e-9)


def test_after_a_short_gap_the_segment_goes_on_with_holes(rng):
    x = pink(rng, N_CHANNELS, 40)
    decoder = OnlineDecoder([Linear()], **{**QUICK, "segment": 10.0})
    decoder.push(x[:, : 20 * SFREQ], 0.0)
    after = decoder.push(x[:, 21 * SFREQ :], 21.0)
    # 1 s missing and 2 s until the filters have settled
    assert [record.n_windows for record in after[:4]] == [8, 7, 7, 7]
    assert [record.status for record in after[:4]] == ["filling", "filling", "decoded", "decoded"]
    assert after[-1].n_windows == 10 and decoder.report["windows_dropped"] == 0


def test_a_gap_within_time_stamps_is_the_same_as_between_chunks(rng):
    x = pink(rng, N_CHANNELS, 20)
    stamps = np.arange(x.shape[1]) / SFREQ
    stamps[1100:] += 3.0
    one, two = (OnlineDecoder([Linear()], **QUICK) for _ in range(2))
    within = one.push(x, stamps)
    between = two.push(x[:, :1100], 0.0) + two.push(x[:, 1100:], stamps[1100])
    assert_same(within, between)
    assert (
        one.report == pytest.approx(two.report)
        and one.report["gaps"] == 1
        and one.report["windows_dropped"] == 1
    )


def test_smoothing_forgets_over_a_gap(rng):
    x = pink(rng, N_CHANNELS, 12)
    decoder = OnlineDecoder([Linear()], **QUICK)
    decoder.push(x, 0.0)
    first = next(r for r in decoder.push(x, 1000.0) if r.status == "decoded")
    np.testing.assert_allclose(first.smoothed, first.probabilities, atol=1e-12)


# Channels


@pytest.mark.parametrize("loss", [np.nan, np.inf, 0.0, 0.3, 1e200])
def test_a_lost_channel_is_the_mean_and_the_others_do_not_notice(rng, loss):
    x = pink(rng, N_CHANNELS, 30)
    broken = x.copy()
    broken[2, 10 * SFREQ : 18 * SFREQ] = loss
    if loss == 1e200:  # not flat, but no EEG either
        broken[2, 10 * SFREQ : 18 * SFREQ : 2] = -loss
    (de, _), (found, windows) = features(x), features(broken)
    others = [0, 1, 3]
    np.testing.assert_array_equal(found[:, others], de[:, others])
    np.testing.assert_array_equal(found[:10, 2], de[:10, 2])
    assert np.isnan(found[10:20, 2]).all()  # 8 s lost, then 2 s until the filters have settled
    assert not any(window.lost[2] for window in windows[18:])
    np.testing.assert_allclose(found[22:, 2], de[22:, 2], atol=0.1)

    spy = Spy()
    records, decoder = run(broken, [spy], channels=["Fz", "Cz", "Pz", "Oz"], classes="abc")
    np.testing.assert_array_equal(spy.seen[14][0, 2], 0)  # the segment from 14 to 18 s
    assert (spy.seen[14][0, others] != 0).all()
    assert [record.lost for record in records] == [()] * 10 + [("Pz",)] * 8 + [()] * 12
    assert [record.n_good_channels for record in records] == [0] * 2 + [4] * 8 + [3] * 10 + [4] * 10
    assert all(record.status == "decoded" for record in records[3:])
    np.testing.assert_array_equal(decoder.statistics.count, [28, 28, 18, 28])


def test_without_enough_channels_nothing_is_claimed(rng):
    x = pink(rng, N_CHANNELS, 30)
    x[:3, 10 * SFREQ : 14 * SFREQ] = np.nan
    records, decoder = run(x)
    status = [record.status for record in records]
    assert (
        status
        == ["filling"] * 3 + ["decoded"] * 7 + ["channels lost"] * 4 + ["filling"] * 3 + ["decoded"] * 13
    )
    for record in records[10:17]:
        assert np.isnan(record.probabilities).all() and np.isnan(record.smoothed).all()
        assert record.label is None
    assert decoder.report["channels lost"] == 4
    strict, _ = run(x, min_good=0.25)
    assert strict[12].status == "decoded" and strict[12].n_good_channels == 1


# Restarts


def test_a_decoder_goes_on_from_its_checkpoint_as_if_nothing_had_happened(rng, tmp_path):
    x = pink(rng, N_CHANNELS, 40)
    x[1, 20 * SFREQ : 22 * SFREQ] = np.nan
    expected, whole = run(x)
    options = {"folder": tmp_path, "checkpoint": 7.0}
    before, _ = run(x[:, : round(23.4 * SFREQ)], **options)  # and no more is heard of it
    decoder = OnlineDecoder([Linear(0), Linear(1)], **QUICK, **options)
    assert decoder.n_samples == 21 * SFREQ
    with decoder:
        after = list(decode(replay(x, SFREQ, chunk=0.33, start=decoder.n_samples), decoder))
        report = decoder.report
    assert_same(before[:21] + after, expected)
    assert report == whole.report
    logged = read_log(tmp_path / "records.jsonl")
    assert_same(logged, expected)  # two windows were decoded twice and logged once
    # with-blocks save at the end, within a window too
    with OnlineDecoder([Linear(0), Linear(1)], **QUICK, **options) as decoder:
        assert decoder.n_samples == 40 * SFREQ
        decoder.push(x[:, :50])
    assert OnlineDecoder([Linear(0), Linear(1)], **QUICK, **options).n_samples == 40 * SFREQ + 50


def test_a_stream_that_went_on_meanwhile_is_a_gap(rng, tmp_path):
    x = pink(rng, N_CHANNELS, 60)
    before, _ = run(x[:, : 25 * SFREQ], folder=tmp_path)
    decoder = OnlineDecoder([Linear(0), Linear(1)], **QUICK, folder=tmp_path)
    after = list(decode(replay(x, SFREQ, start=40 * SFREQ), decoder))
    assert decoder.report["gaps"] == 1
    assert_same(read_log(tmp_path / "records.jsonl"), before + after)
    np.testing.assert_array_equal(decoder.statistics.count, 18 + 18)  # to the checkpoint at 20 s, from 42 s


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_killed_process_loses_nothing_that_was_decoded(rng, tmp_path):
    x = pink(rng, N_CHANNELS, 30)
    expected, _ = run(x)
    child = os.fork()
    if child == 0:
        decoder = OnlineDecoder([Linear(0), Linear(1)], **QUICK, folder=tmp_path)
        for record in decode(replay(x, SFREQ), decoder):
            if record.time > 17.5:
                os.kill(os.getpid(), signal.SIGKILL)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    path = tmp_path / "records.jsonl"
    assert_same(read_log(path), expected[:18])
    decoder = OnlineDecoder([Linear(0), Linear(1)], **QUICK, folder=tmp_path)
    assert decoder.n_samples == 10 * SFREQ
    list(decode(replay(x, SFREQ, start=decoder.n_samples), decoder))
    assert_same(read_log(path), expected)


def test_a_log_that_was_cut_off_is_mended(rng, tmp_path):
    x = pink(rng, N_CHANNELS, 12)
    expected, decoder = run(x, folder=tmp_path)
    decoder.close()
    path, state = tmp_path / "records.jsonl", tmp_path / "state.npz"
    whole = path.read_bytes()
    last = whole.rindex(b"\n", 0, -1) + 1
    for end, n in ((len(whole) - 1, 12), (len(whole) - 9, 11), (last + 1, 11), (last, 11), (40, 0), (0, 0)):
        path.write_bytes(whole[:end])
        state.unlink(missing_ok=True)
        assert len(read_log(path)) == n
        again, decoder = run(x, folder=tmp_path)
        decoder.close()
        assert_same(again, expected)
        assert_same(read_log(path), expected)
    path.write_bytes(whole[:last] + b"\0" * 30)
    assert len(read_log(path)) == 11
    lines = whole.split(b"\n")
    lines[5] = lines[5][:20]
    path.write_bytes(b"\n".join(lines))
    with pytest.raises(ValueError, match=r"line 6 of .*records.jsonl is no record"):
        read_log(path)


def test_a_record_survives_its_line(rng):
    for record in run(pink(rng, N_CHANNELS, 8))[0]:
        back = Record.from_json(record.to_json())
        assert_same([back], [record])
        assert back.latency_s == record.latency_s
        assert "NaN" not in record.to_json()


def test_a_folder_belongs_to_one_kind_of_decoder(rng, tmp_path):
    x = pink(rng, N_CHANNELS, 12)
    run(x, folder=tmp_path)[1].close()
    with pytest.raises(ValueError, match=r"state.npz was written with segment=4.0, this decoder has 5.0"):
        run(x, folder=tmp_path, segment=5.0)
    (tmp_path / "state.npz").unlink()
    with pytest.raises(ValueError, match=r"records.jsonl was written with weights="):
        run(x, [Linear()], folder=tmp_path)
    (tmp_path / "state.npz").write_bytes(b"PK\x03\x04 torn")
    with pytest.warns(UserWarning, match="is unreadable .*: beginning anew"):
        _, decoder = run(x, folder=tmp_path)
    decoder.close()
    with pytest.raises(ValueError, match="this decoder is closed: make a new one"):
        decoder.push(x)
    with pytest.raises(ValueError, match="has no folder to save to"):
        OnlineDecoder([Linear()], **QUICK).save()


def test_an_error_leaves_the_last_checkpoint(rng, tmp_path):
    x = pink(rng, N_CHANNELS, 30)
    spy = Spy()

    def fails(windows):
        if len(spy.seen) == 12:
            raise RuntimeError("out of memory")
        return spy(windows)

    with pytest.raises(RuntimeError), OnlineDecoder([fails], **QUICK, classes="abc", folder=tmp_path) as d:
        list(decode(replay(x, SFREQ), d))
    again = OnlineDecoder([spy], **QUICK, classes="abc", folder=tmp_path)
    assert again.n_samples == 10 * SFREQ
    list(decode(replay(x, SFREQ, start=again.n_samples), again))
    assert [r.time for r in read_log(tmp_path / "records.jsonl")] == pytest.approx(np.arange(1, 31))


# Memory


def test_an_hour_takes_no_more_memory_than_a_minute(rng):
    x = pink(rng, 2, 60)
    bands = {"alpha": (8.0, 13.0), "beta": (13.0, 30.0)}
    decoder = OnlineDecoder([Linear(n_features=4)], **{**QUICK, "channels": 2}, bands=bands)

    def minutes(n):
        for minute in range(n):
            for record in decode((part for part, _ in replay(x, SFREQ, chunk=2.0)), decoder):
                assert record.n_windows <= 4, minute

    minutes(2)
    size = decoder.nbytes
    tracemalloc.start()
    minutes(1)
    after_a_minute = tracemalloc.get_traced_memory()[0]
    minutes(57)
    grown = tracemalloc.get_traced_memory()[0] - after_a_minute
    tracemalloc.stop()
    assert decoder.n_samples == 3600 * SFREQ and sum(decoder._counts.values()) == 3600
    assert decoder.nbytes == size < 100_000
    assert grown < 20_000  # one float a record would be 100 kB


# Bad input


@pytest.mark.parametrize(
    ("chunk", "message"),
    [
        (np.zeros((3, 10)), r"must be \(4 channels, at least 1 sample\), got shape \(3, 10\)"),
        (np.zeros((4, 0)), r"at least 1 sample\), got shape \(4, 0\)"),
        (np.zeros(40), r"got shape \(40,\)"),
        (np.zeros((4, 10), dtype=complex), "chunk must hold real numbers, got complex128"),
        ((np.zeros((4, 10)), np.nan), "time, in seconds, holds NaN or inf"),
        ((np.zeros((4, 10)), np.arange(9.0)), r"one for each of 10 samples, got shape \(9,\)"),
    ],
)
def test_a_chunk_that_cannot_be_used_is_named(chunk, message):
    with pytest.raises(ValueError, match=message):
        list(decode([chunk], OnlineDecoder([Linear()], **QUICK)))


def test_what_is_out_of_order_is_refused_and_changes_nothing(rng):
    x = pink(rng, N_CHANNELS, 20)
    expected, _ = run(x)
    decoder, found = OnlineDecoder([Linear(0), Linear(1)], **QUICK), []
    for chunk, at in replay(x, SFREQ, chunk=2.0):
        found += decoder.push(chunk, at)
        with pytest.raises(OutOfOrderError, match=f"starts at {at:g} s, 2 s before the end .*drop it"):
            decoder.push(chunk, at)
        with pytest.raises(OutOfOrderError, match="fall from 5 to 3 s within a chunk"):
            decoder.push(chunk[:, :3], [5.0, 3.0, 4.0])
    assert_same(found, expected)
    doubled = [part for pair in replay(x, SFREQ, chunk=2.0) for part in (pair, pair)]
    fresh = [OnlineDecoder([Linear(0), Linear(1)], **QUICK) for _ in range(2)]
    assert_same(list(decode(doubled, fresh[0], disorder="drop")), expected)
    with pytest.raises(OutOfOrderError):
        list(decode(doubled, fresh[1]))
    with pytest.raises(ValueError, match="disorder must be"):
        list(decode(doubled, fresh[1], disorder="ignore"))


def test_a_short_window_is_refused(rng):
    x = pink(rng, N_CHANNELS, 3)
    decoder = OnlineDecoder([Linear()], **QUICK)
    with pytest.raises(ShortWindowError, match=r"\(4, 125\), got \(4, 124\)"):
        decoder.push_window(x[:, :124])
    decoder.push(x[:, :10])
    with pytest.raises(ShortWindowError, match="10 samples of another window"):
        decoder.push_window(x[:, :125])
    with pytest.raises(ValueError, match="not both"):
        decoder.push(x, 3.0, sample=4)


def gives(*values):
    return lambda windows: np.array([values], dtype=float)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([gives(0.5, 0.4, 0.2)], r"estimator 0 gave \[0.5, 0.4, 0.2\]: .* add up to 1"),
        ([Linear(), gives(1.5, -0.5, 0.0)], "estimator 1 gave .*must not be negative"),
        ([gives(0.5, np.nan, 0.5)], "estimator 0 gave"),
        ([gives(0.5, 0.5)], r"gave shape \(1, 2\), expected \(1, 3\)"),
    ],
)
def test_answers_that_are_no_probabilities_are_refused(rng, members, message):
    with pytest.raises(ValueError, match=message):
        run(pink(rng, N_CHANNELS, 5), members, classes=("calm", "glad", "sad"))


@pytest.mark.parametrize(
    ("members", "options", "message"),
    [
        ([], {}, "estimators is empty"),
        ([Linear(), Linear(n_classes=2)], {}, r"estimator 1 knows the classes \['calm', 'glad'\], not"),
        ([Linear(n_features=30)], {}, "fitted to 30 features, channels times bands are 20"),
        ([gives(0.5, 0.5)], {}, "callables do not tell their classes"),
        ([gives(0.5, 0.5)], {"classes": ["a", "a"]}, "two or more different names"),
        ([3.0], {"classes": "ab"}, "estimator 0, float, neither has predict_proba"),
        ([Linear()], {"weights": [1, 2]}, r"weights must be 1 numbers"),
        ([Linear()], {"weights": [0]}, "not all zero"),
        ([Linear()], {"segment": 2.5}, "segment must be a whole number of windows of 1.0 s, got 2.5"),
        ([Linear()], {"coverage": 0}, r"coverage must be a share in \(0, 1\], got 0"),
        ([Linear()], {"smoothing": -1.0}, "smoothing must be seconds, not negative, got -1.0"),
        ([Linear()], {"memory": 1.0}, "memory must be at least 2 windows"),
        ([Linear()], {"window": 0.0101}, "choose a window of a whole number of samples"),
        ([Linear()], {"flat": -1}, "flat and tolerance must not be negative"),
        ([Linear()], {"sfreq": 80}, "band 'gamma' ends at 47.0 Hz, not below half the sampling rate"),
        ([Linear()], {"channels": 0}, "n_channels must be at least 1"),
        (
            [Linear()],
            {"calibration": Statistics(3, 5)},
            r"calibration has .* = \(3, 5\), the decoder \(4, 5\)",
        ),
    ],
)
def test_a_decoder_that_cannot_be_is_refused(members, options, message):
    with pytest.raises(ValueError, match=message):
        OnlineDecoder(members, **{**QUICK, **options})


def test_a_calibration_without_signal_is_refused():
    with pytest.raises(ValueError, match=r"1250 samples hold no good window: give more than 3 s"):
        calibrate([np.zeros((2, 1250))], sfreq=SFREQ, channels=2)


# Sources


def test_a_recording_of_mne_is_the_same_as_its_array(rng, tmp_path):
    x = pink(rng, 5, 12)
    info = mne.create_info(["Fz", "Cz", "Pz", "Oz", "heart"], SFREQ, ["eeg"] * 4 + ["ecg"])
    mne.io.RawArray(x, info, verbose="error").save(tmp_path / "x_raw.fif", fmt="double", verbose="error")
    raw = mne.io.read_raw_fif(tmp_path / "x_raw.fif", verbose="error")  # not loaded
    expected = list(replay(x[:4], SFREQ, chunk=0.7, start=33, begin=5.0))
    found = list(replay(raw, chunk=0.7, start=33, begin=5.0))
    for (a, at), (b, bt) in zip(expected, found, strict=True):
        np.testing.assert_array_equal(a, b)
        assert at == bt
    np.testing.assert_array_equal(np.concatenate([part for part, _ in found], axis=1), x[:4, 33:])
    assert found[0][1] == 5.0 + 33 / SFREQ
    with pytest.raises(ValueError, match=r"125\.0 Hz, not 250"):
        replay(raw, 250)
    with pytest.raises(ValueError, match=r"have sfreq= in Hz, got shape \(5, 1500\) and sfreq=None"):
        replay(x)


NAMES = ("Fz", "Cz", "Pz", "Oz")


def recording(x, names, *, bads=(), sfreq=SFREQ):
    info = mne.create_info(list(names), sfreq, "eeg")
    info["bads"] = list(bads)
    return mne.io.RawArray(x, info, verbose="error")


def test_channels_are_found_by_name_whatever_their_order_and_case(rng):
    x = pink(rng, 6, 12)
    calm = calibrate(replay(recording(x[:4], NAMES)), sfreq=SFREQ, channels=NAMES)
    expected, _ = run(x[:4], channels=NAMES, calibration=calm)
    turned = recording(x[[5, 3, 1, 0, 2, 4]], ["T7", "OZ", "cz", "Fz", "PZ", "T8"])
    rest = calibrate(replay(turned), sfreq=SFREQ, channels=NAMES[::-1])
    for other in (calm, rest):  # it knows its channels, too
        decoder = OnlineDecoder([Linear(0), Linear(1)], **{**QUICK, "channels": NAMES}, calibration=other)
        assert_same(list(decode(replay(turned), decoder)), expected, atol=1e-12)
    # by number rows are taken as they come: the order then makes a difference
    blind = OnlineDecoder([Linear(0), Linear(1)], **QUICK, calibration=calm)
    found = list(decode(replay(recording(x[[3, 1, 0, 2]], ["Oz", "Cz", "Fz", "Pz"])), blind))
    assert np.abs(found[-1].probabilities - expected[-1].probabilities).max() > 0.01


def test_a_channel_that_is_marked_bad_is_lost(rng):
    x = pink(rng, 4, 12)
    broken = x.copy()
    broken[2] = np.nan
    expected, _ = run(broken, channels=NAMES)
    decoder = OnlineDecoder([Linear(0), Linear(1)], **{**QUICK, "channels": NAMES})
    found = list(decode(replay(recording(x, NAMES, bads=["Pz"])), decoder))
    assert_same(found, expected)
    assert found[-1].lost == ("Pz",) and found[-1].status == "decoded"
    assert next(replay(recording(x, NAMES, bads=["Pz"])))[0].shape[0] == 3


@pytest.mark.parametrize(
    ("names", "options", "message"),
    [
        (["Fz", "Cz", "Pz", "O1"], {}, r"has no channels \['Oz'\], only \['Fz', 'Cz', 'Pz', 'O1'\]: rename"),
        (NAMES, {"sfreq": 250}, "chunks have 125 Hz, not 250: resample"),
        (NAMES, {"channels": ["Fz", "fz", "Pz", "Oz"]}, "channels must be different names"),
        (NAMES, {"channels": "FCPO"}, "channels must be different names or their number"),
    ],
)
def test_a_recording_of_other_channels_or_another_rate_is_refused(rng, names, options, message):
    raw = recording(pink(rng, 4, 3), names)
    with pytest.raises(ValueError, match=message):
        list(decode(replay(raw), OnlineDecoder([Linear()], **{**QUICK, "channels": NAMES, **options})))


def test_a_recording_without_eeg_and_a_start_beyond_its_end_are_refused(rng):
    raw = recording(pink(rng, 4, 3), NAMES, bads=NAMES)
    with pytest.raises(ValueError, match="no good EEG channel among"):
        replay(raw)
    with pytest.raises(ValueError, match="recording must be a Raw or an array, not EpochsArray"):
        replay(mne.EpochsArray(pink(rng, 4, 3)[None], raw.info, verbose="error"))
    with pytest.raises(ValueError, match="chunk must be seconds, not negative, got nan"):
        replay(raw, chunk=np.nan)
    with pytest.raises(ValueError, match=r"sample holds what is no whole number, 1\.5"):
        OnlineDecoder([Linear()], **QUICK).push(pink(rng, 4, 1), sample=1.5)
    for start in (-1, 376):
        with pytest.raises(ValueError, match=f"one of the recording's 375 samples, got {start}"):
            replay(pink(rng, 4, 3), SFREQ, start=start)


def stamped(x, scale=1.0, *, stamps=False, sfreq=SFREQ, chunk=0.1):
    for part, at in replay(x, sfreq, chunk=chunk):
        yield part, scale * (at + np.arange(part.shape[1]) / sfreq if stamps else at)


@pytest.mark.parametrize("stamps", [False, True])
@pytest.mark.parametrize(("scale", "unit"), [(1e3, "ms"), (1e6, "µs"), (1e9, "ns")])
def test_time_stamps_in_another_unit_are_named(rng, stamps, scale, unit):
    x = pink(rng, N_CHANNELS, 3)
    with pytest.raises(
        ValueError, match=re.escape(f"as {unit} would: give seconds, divide them by {scale:g}")
    ):
        list(decode(stamped(x, scale, stamps=stamps), OnlineDecoder([Linear()], **QUICK)))


def test_pauses_a_thousand_times_as_long_as_a_chunk_are_gaps(rng):
    decoder = OnlineDecoder([Linear()], **QUICK)
    for k, (chunk, _) in enumerate(replay(pink(rng, N_CHANNELS, 8), SFREQ, chunk=1.0)):
        decoder.push(chunk, 1000.0 * k if k < 4 else 3000 + 600.0 * k)
    assert decoder.report["gaps"] == 7 and decoder.report["filling"] == 8


@pytest.mark.parametrize("actual", [100, 150])
def test_a_stream_of_another_rate_than_set_is_named(rng, actual):
    x = pink(rng, N_CHANNELS, 20)
    with pytest.raises(ValueError, match="of time stamps, not at 125 Hz: set sfreq"):
        list(decode(stamped(x, sfreq=actual, chunk=0.05), OnlineDecoder([Linear()], **QUICK)))
    steady = OnlineDecoder([Linear()], **QUICK)  # a clock may well drift
    assert len(list(decode(stamped(x, 1.002), steady))) == 20


def test_a_clock_set_back_for_good_is_taken_over_after_five_seconds_and_counted(rng, tmp_path):
    x = pink(rng, N_CHANNELS, 30)
    chunks = list(replay(x, SFREQ, chunk=1.0, begin=3600.0))
    back = [(part, at if at < 3610 else at - 3600) for part, at in chunks]
    decoder = OnlineDecoder([Linear()], **QUICK, folder=tmp_path / "k")
    found = list(decode(back, decoder, disorder="drop"))
    # as if what was left out were a gap
    kept = [pair for pair in chunks if not 3610 <= pair[1] < 3615]
    expected = list(decode(kept, OnlineDecoder([Linear()], **QUICK)))
    assert [record.time for record in found] == [*np.arange(3601, 3611.0), *np.arange(16, 31.0)]
    for a, b in zip(found, expected, strict=True):
        assert a.status == b.status
        np.testing.assert_allclose(a.probabilities, b.probabilities)
    report = decoder.report
    assert (report["chunks_dropped"], report["clocks_set_back"], report["missing_s"]) == (5, 1, 5.0)
    decoder.close()
    assert len(read_log(tmp_path / "k" / "records.jsonl")) == len(found)
    again = OnlineDecoder([Linear()], **QUICK, folder=tmp_path / "k")
    assert again.report == report
    late = OnlineDecoder([Linear()], **QUICK)  # a few late chunks set no clock back
    few = [*chunks[:10], *chunks[5:10], *chunks[10:]]
    assert len(list(decode(few, late, disorder="drop"))) == 30
    assert late.report["chunks_dropped"] == 5 and late.report["clocks_set_back"] == 0


def test_microvolts_are_named_and_volts_are_not(rng, recwarn):
    x = pink(rng, N_CHANNELS, 3)
    CausalEntropy(SFREQ, N_CHANNELS).push(x)
    assert not recwarn
    with pytest.warns(UserWarning, match="far from EEG in V.*multiply microvolts by 1e-6"):
        CausalEntropy(SFREQ, N_CHANNELS).push(1e6 * x)


@pytest.mark.parametrize("dtype", [np.float16, ">f4"])
def test_probabilities_of_any_width_are_taken(rng, dtype):
    odds = np.array([[1, 2, 4.0]]) / 7
    x = pink(rng, N_CHANNELS, 8)
    found, _ = run(x, [lambda windows: odds.astype(dtype)], classes=["calm", "glad", "sad"])
    np.testing.assert_allclose(found[-1].probabilities, odds[0], atol=1e-3)


def fake_lsl(monkeypatch, x, *, units="microvolts", types=None, rate=SFREQ, n_streams=1):
    """The part of mne-lsl that is used, giving a recording in pieces and then silence."""
    pieces = list(replay(x, SFREQ, chunk=0.1, begin=50.0))
    samples, stamps, closed = np.empty((64, len(x)), dtype=np.float32), np.empty(64), []

    class Inlet:
        def __init__(self, info, processing_flags):
            assert processing_flags == ["clocksync"]

        def open_stream(self, timeout):
            assert timeout > 0

        def get_sinfo(self):
            return SimpleNamespace(
                n_channels=len(x),
                get_channel_names=lambda: [f"E{i}" for i in range(len(x))],
                get_channel_types=lambda: types,
                get_channel_units=lambda: None if units is None else [units] * len(x),
            )

        def pull_chunk(self, timeout, max_samples):
            if not pieces:
                time.sleep(timeout)
                return np.empty((0, len(x))), np.empty(0)
            part, at = pieces.pop(0)
            n = part.shape[1]  # views of two buffers that the next pull overwrites, as in mne-lsl
            samples[:n], stamps[:n] = part.T, at + np.arange(n) / SFREQ
            return samples[:n], stamps[:n]

        def close_stream(self):
            closed.append(True)

    found = [SimpleNamespace(sfreq=rate)] * n_streams
    lsl = SimpleNamespace(
        resolve_streams=lambda timeout, name: found if name == "EEG" else [], StreamInlet=Inlet
    )
    monkeypatch.setitem(sys.modules, "mne_lsl", SimpleNamespace(lsl=lsl))
    return closed


def test_a_stream_is_decoded_like_its_recording(rng, monkeypatch):
    x = pink(rng, 5, 10)
    closed = fake_lsl(monkeypatch, 1e6 * x, types=["eeg"] * 4 + ["misc"])
    before = calibrate([pink(rng, 4, 20)], sfreq=SFREQ, channels=4)
    decoder = OnlineDecoder([Linear(0), Linear(1)], **QUICK, calibration=before)
    found = list(decode(stream_lsl("EEG", sfreq=SFREQ, timeout=0.3), decoder))
    expected, _ = run(x[:4], calibration=before)
    assert_same([Record(**{**vars(r), "time": r.time - 50}) for r in found], expected, atol=1e-4)
    assert closed == [True]
    fake_lsl(monkeypatch, x, units=None)
    part, times = next(stream_lsl("EEG", channels=["E3", "E0"], scale=2.0))
    np.testing.assert_allclose(part, 2 * x[[3, 0], : part.shape[1]], rtol=1e-6)
    assert times[0] == 50.0
    fake_lsl(monkeypatch, x)
    times = np.concatenate([times for _, times in list(stream_lsl("EEG", timeout=0.3))])
    np.testing.assert_allclose(times, 50 + np.arange(x.shape[1]) / SFREQ)


@pytest.mark.parametrize(
    ("fake", "options", "error", "message"),
    [
        ({}, {"name": "EMG"}, TimeoutError, "no LSL stream named 'EMG'"),
        ({"n_streams": 2}, {}, ValueError, "2 LSL streams are named 'EEG'"),
        ({"rate": 0.0}, {}, ValueError, "has 0 Hz, not a regular rate"),
        ({}, {"sfreq": 250}, ValueError, "has 125 Hz, not 250 Hz"),
        ({"units": "pascal"}, {}, ValueError, r"units \['pascal'\]: give scale="),
        ({"units": None}, {}, ValueError, r"units \['None'\]: give scale="),
        ({"types": ["misc", "misc"]}, {}, ValueError, "no channel of type EEG"),
        ({}, {"channels": ["Cz"]}, ValueError, r"no channels \['Cz'\], only \['E0', 'E1'\]"),
    ],
)
def test_a_stream_that_does_not_fit_is_refused(monkeypatch, fake, options, error, message):
    fake_lsl(monkeypatch, np.ones((2, 50)), **fake)
    with pytest.raises(error, match=message):
        stream_lsl(**{"name": "EEG", "timeout": 0.1, **options})


def test_without_mne_lsl_the_error_names_the_cure(monkeypatch):
    monkeypatch.setitem(sys.modules, "mne_lsl", None)
    with pytest.raises(ImportError, match=re.escape("pip install 'valence-axis[lsl]'")):
        stream_lsl("EEG")


def test_a_real_stream_arrives_whole(rng):
    lsl = pytest.importorskip("mne_lsl.lsl")
    x = pink(rng, 2, 1.5)
    name = f"kernel-test-{os.getpid()}"
    info = lsl.StreamInfo(name, "EEG", 2, SFREQ, "float64", name)
    info.set_channel_names(["Fz", "Cz"])
    info.set_channel_types("eeg")
    info.set_channel_units("microvolts")
    outlet = lsl.StreamOutlet(info)
    stream = stream_lsl(name, sfreq=SFREQ, timeout=2.0)
    outlet.wait_for_consumers(2.0)
    stamp = lsl.local_clock()
    for at in range(0, x.shape[1], 25):
        part = np.ascontiguousarray(1e6 * x[:, at : at + 25].T)
        outlet.push_chunk(part, stamp + (at + len(part) - 1) / SFREQ)
    found = [next(stream)]
    while sum(part.shape[1] for part, _ in found) < x.shape[1]:
        found.append(next(stream))
    np.testing.assert_allclose(np.concatenate([part for part, _ in found], axis=1), x, rtol=1e-12)
    times = np.concatenate([stamps for _, stamps in found])
    np.testing.assert_allclose(np.diff(times), 1 / SFREQ, atol=5e-3)


# Networks of a bank


def test_members_of_a_bank_give_their_own_probabilities(tmp_path):
    cohort, _ = simulate_cohort(0, "null", n_subjects=5)
    shared = {"epochs": 2, "warmup_epochs": 1, "batch_size": 64, "options": {"hidden": (8,)}}
    specs = [TrainingSpec(n_windows=n, **shared) for n in (1, 5)]
    split = make_split(cohort, "leave_subjects_out")
    bank = train_bank(specs, cohort, split, folder=tmp_path, n_jobs=1, progress=False)
    z = standardise(cohort).de.reshape(5 * 28 * 3, 10, 32, 5)  # three segments of a clip
    rows = z[np.lexsort((bank.trials["segment"], bank.trials["clip"], bank.trials["subject"]))]
    rows = rows.transpose(0, 2, 1, 3)
    members = from_bank(bank)
    for member, checkpoint in zip(members, bank.checkpoints, strict=True):
        np.testing.assert_allclose(member(rows), softmax(checkpoint.logits, axis=1), atol=1e-5)
    with pytest.raises(ValueError, match="4 windows cannot be averaged into 5 time steps"):
        from_bank(bank, [1])[0](rows[:, :, :4])
    decoder = OnlineDecoder(members, sfreq=SFREQ, channels=32, classes=bank.classes)
    records = decoder.push(pink(np.random.default_rng(0), 32, 15))
    assert records[-1].label in cohort.classes and records[-1].probabilities.shape == (9,)


# Planted truth and its absence


STRONG = Settings(valence=0, classes=0.12, clips=0, trial=0.05, slow=0.05, gain=0.1, mixing=0.2)


@pytest.mark.parametrize("truth", [STRONG, "null"])
def test_decodes_a_new_person_where_there_is_something_to_decode(truth):
    raw, _ = simulate_raw(5, truth, n_subjects=2)  # µV
    names = np.array(FACED_CLIP_EMOTIONS)
    de = differential_entropy(raw[0], 250.0).swapaxes(-3, -2)  # (28, 30, 32, 5), offline
    de = (de - de.mean((0, 1))) / de.std((0, 1))
    rows = de.reshape(84, 10, 160).mean(1)
    labels = np.repeat(names, 3)
    models = [LinearDiscriminantAnalysis(solver="lsqr", shrinkage=s).fit(rows, labels) for s in (0.3, 0.6)]

    decoder = OnlineDecoder(models, sfreq=250, channels=32, memory=600.0)
    hits = []
    for place, clip in enumerate(np.random.default_rng(0).permutation(28)):
        chunks = replay(1e-6 * raw[1, clip], 250, chunk=0.5, begin=45.0 * place)
        last = list(decode(chunks, decoder))[-1]
        if last.warm:
            hits.append(last.label == names[clip])
    assert decoder.report["gaps"] == 27 and len(hits) == 26
    bound = scipy_stats.binom.ppf(0.999, len(hits), 1 / 9)  # 8 of 26
    assert (sum(hits) > bound + 4) if truth is STRONG else (sum(hits) <= bound)
