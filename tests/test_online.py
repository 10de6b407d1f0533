"""Online decoding: equal to offline where it should be, whatever the chunks, gaps, losses and restarts."""

from __future__ import annotations

import gc
import os
import re
import signal
import sys
import time
import tracemalloc
from dataclasses import replace
from types import SimpleNamespace

import mne
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats
from scipy.signal import freqz_sos
from scipy.special import softmax
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from kernel.brain.cohort import standardise
from kernel.brain.designs import FACED_CLIP_EMOTIONS
from kernel.brain.features import BANDS, band_gain, differential_entropy
from kernel.brain.simulate import Settings, simulate_cohort, simulate_raw
from kernel.brain.splits import make_split
from kernel.decoding.bank import train_bank
from kernel.decoding.causal import CausalEntropy, OnlineSettings, Statistics
from kernel.decoding.online import OnlineDecoder, decode, from_bank
from kernel.decoding.streams import OutOfOrderError, Record, read_log, replay, stream_lsl
from kernel.decoding.training import TrainingSpec

SFREQ, N_CHANNELS, N_BANDS = 125, 4, 5
QUICK = {
    "sfreq": SFREQ,
    "channels": N_CHANNELS,
    "settings": OnlineSettings(segment=4.0, warm_up=5.0, smoothing=3.0),
}
NAMES = ("Fz", "Cz", "Pz", "Oz")


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


def decoder_of(members=None, **options):
    """The quick decoder with other options, those of its settings among them."""
    changed = {name: options.pop(name) for name in {*options} & {*OnlineSettings.__dataclass_fields__}}
    options = {**QUICK, "settings": replace(QUICK["settings"], **changed), **options}
    return OnlineDecoder(members or [Linear(0), Linear(1)], **options)


def run(x, members=None, *, chunk=0.1, start=0, **options):
    decoder = decoder_of(members, **options)
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


def features(x, sfreq=SFREQ, **settings):
    """Windows of an array as (n_windows, n_channels, n_bands), and all of them."""
    windows = list(CausalEntropy(sfreq, len(x), OnlineSettings(**settings)).windows(x))
    return np.stack([window.de for window in windows]), windows


def recording(x, names=NAMES, *, bads=(), kinds="eeg"):
    info = mne.create_info(list(names), SFREQ, kinds)
    info["bads"] = list(bads)
    return mne.io.RawArray(x, info, verbose="error")


# Causal features


def correlations(x):
    """Of causal and zero-phase features, band by band, and with features of other channels."""
    causal, offline = features(x, 250)[0], differential_entropy(x, 250.0).swapaxes(0, 1)
    assert np.isnan(causal[:2]).all() and np.isfinite(causal[2:]).all()  # the filters settle
    a, b, other = (f[2:].reshape(-1, N_BANDS).T for f in (causal, offline, np.roll(offline, 1, axis=1)))
    return [[np.corrcoef(*pair)[0, 1] for pair in zip(a, c, strict=True)] for c in (b, other)]


def test_agrees_with_the_zero_phase_features_window_by_window(rng):
    noise, t = pink(rng, 16, 120, 250), np.arange(120 * 250) / 250
    x = 0.3 * noise
    for centre in (2.5, 6, 10.5, 21, 38):  # an oscillation of wandering power in every band
        phase, rate = rng.uniform(0, 6, (2, 16, 1)), rng.uniform(0.02, 0.06, (16, 1))
        power = np.exp(2 * np.sin(2 * np.pi * rate * t + phase[0]))
        x += 3e-6 * power * np.sin(2 * np.pi * centre * t + phase[1])
    bands, others = correlations(x)
    assert min(bands) > 0.95 and np.abs(others).max() < 0.5
    # noise that wanders in every band, delay and slopes and the chance of short windows together
    bands, others = correlations(pink(rng, 16, 120, 250, modulated=True))
    assert min(bands) > 0.9 and np.abs(others).max() < 0.5
    # nothing but that chance: what is left differs most where a window has the fewest waves
    bands, others = correlations(noise)
    assert 0.6 < bands[0] < bands[4] and np.abs(others).max() < 0.1


def expected_offset(entropy):
    """Causal minus zero-phase differential entropy of pink noise in long windows, in nats."""
    f = np.linspace(0, entropy.sfreq / 2, 40001)[1:]
    for edge, sos in zip(entropy.bands.values(), entropy._sos, strict=True):
        causal = np.abs(freqz_sos(sos, worN=f, fs=entropy.sfreq)[1]) ** 2
        yield 0.5 * np.log((causal / f).sum() / (band_gain(f, *edge) ** 2 / f).sum())


@pytest.mark.parametrize("table", ["official", "paper"])
def test_the_offset_is_the_one_expected_and_the_delay_that_of_a_burst(rng, table):
    x = pink(rng, 40, 120, 250)
    entropy = CausalEntropy(250, 40, OnlineSettings(bands=table))
    causal = np.stack([window.de for window in entropy.windows(x)])
    difference = (causal - differential_entropy(x, 250.0, table).swapaxes(0, 1))[entropy.settle :]
    # delta: a window of 1 s takes a part of the slowest waves for its mean, which the theory leaves out
    bounds = dict.fromkeys(entropy.bands, 0.02) | {"delta": 0.15}
    for band, (name, offset) in enumerate(zip(entropy.bands, expected_offset(entropy), strict=True)):
        assert difference[..., band].mean() == pytest.approx(offset, abs=bounds[name]), name
        assert -0.3 < offset < 0
    assert 0.2 < entropy.delays["delta"] < 0.3 and 0.03 < entropy.delays["gamma"] < 0.05
    t = np.arange(20 * 250) / 250
    burst = np.exp(-(((t - 10.0) / 0.4) ** 2)) * np.sin(2 * np.pi * 10 * t) * 1e-5 + 1e-12
    alpha = OnlineSettings(bands={"alpha": (8.0, 13.0)}, window=0.1, flat=0.0)
    windows = [w for w in CausalEntropy(250, 1, alpha).windows(burst[None]) if w.good[0]]
    power, centre = (
        np.array(a) for a in zip(*[(np.exp(2 * w.de[0, 0]), w.time - 0.05) for w in windows], strict=True)
    )
    delay = CausalEntropy(250, 1, alpha).delays["alpha"]
    assert power @ centre / power.sum() - 10.0 == pytest.approx(delay, abs=0.04)


def test_the_past_does_not_know_the_future_and_an_offset_changes_nothing(rng):
    x = pink(rng, N_CHANNELS, 20)
    y = x.copy()
    y[:, 10 * SFREQ :] *= 100
    first, second = features(x)[0], features(y)[0]
    np.testing.assert_array_equal(first[:10], second[:10])
    assert not np.allclose(first[10:], second[10:])
    np.testing.assert_allclose(features(x + 0.2)[0], first, atol=1e-3)


def test_microvolts_are_named_and_volts_are_not(rng, recwarn):
    x = pink(rng, N_CHANNELS, 3)
    features(x)
    assert not recwarn
    with pytest.warns(UserWarning, match="far from EEG in V.*multiply microvolts by 1e-6"):
        features(1e6 * x)


# Chunks


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, 400), min_size=1, max_size=30), st.sampled_from(["count", "first", "stamps"]))
def test_the_chunks_and_the_kind_of_their_times_do_not_matter(sizes, times):
    x = pink(np.random.default_rng(0), N_CHANNELS, 14)
    expected, _ = run(x, chunk=100.0)
    decoder, records, at, turn = decoder_of(), [], 0, 0
    while at < x.shape[1]:
        part = x[:, at : at + sizes[turn % len(sizes)]]
        stamps = (at + np.arange(part.shape[1])) / SFREQ
        records += decoder.push(part, {"count": None, "first": at / SFREQ, "stamps": stamps}[times])
        at, turn = at + part.shape[1], turn + 1
    assert_same(records, expected, atol=1e-9)
    assert records[-1].status == "decoded"


def test_features_from_elsewhere_are_decoded_as_the_signal_they_come_from(rng):
    x = pink(rng, N_CHANNELS, 20)
    whole, decoder = decoder_of(), decoder_of()
    settle, windows = whole.entropy.settle, features(x)[1]
    records = [decoder.push_features(window.de, window.time) for window in windows[settle:]]
    assert_same(records, whole.push(x, 0.0)[settle:])
    assert decoder.report["decoded"] == whole.report["decoded"] > 0
    with pytest.raises(OutOfOrderError, match="send them in order"):
        decoder.push_features(windows[-1].de, windows[-1].time)
    for late in (np.inf, np.nan):  # after an infinite time nothing would be in order any more
        with pytest.raises(ValueError, match="time, in seconds, holds NaN or inf"):
            decoder.push_features(windows[-1].de, late)
    with pytest.raises(ValueError, match=r"features must have shape \(4, 5\)"):
        decoder.push_features(np.zeros((5, 4)), 100.0)
    holes = windows[-1].de.copy()
    holes[2, 1] = np.nan
    assert decoder.push_features(holes, windows[-1].time + 1).lost == (decoder.channels[2],)


def test_jitter_and_drift_of_the_clock_are_no_gaps(rng):
    decoder = decoder_of()
    for chunk, at in replay(pink(rng, N_CHANNELS, 60), SFREQ):
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
        seen = de[good[:, channel], channel]
        np.testing.assert_allclose(statistics.mean[channel], seen.mean(0))
        np.testing.assert_allclose(statistics.variance[channel], seen.var(0))
    np.testing.assert_array_equal(statistics.count, good.sum(0))
    np.testing.assert_array_equal(statistics.standardise(np.full((3, 2), np.nan)), 0)


def test_a_memory_forgets_and_without_one_nothing_is_forgotten(rng):
    before, after = rng.standard_normal((300, 1, 1)), 20 + 3 * rng.standard_normal((300, 1, 1))
    fading, lasting = Statistics(1, 1, memory=30), Statistics(1, 1)
    mean, count = 0.0, 0  # the recursion is the exponentially weighted mean of the windows since it was full
    for row in (*before, *after):
        for statistics in (fading, lasting):
            statistics.update(row, np.array([True]))
        count = min(count + 1, 30)
        mean += (row.item() - mean) / count
    assert fading.mean[0, 0] == pytest.approx(mean) == pytest.approx(20, abs=4 * 3 / np.sqrt(60))
    assert np.sqrt(fading.variance[0, 0]) == pytest.approx(3, rel=0.4)
    assert lasting.mean[0, 0] == pytest.approx(10, abs=1)


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
    both, decoder = run(x, weights=[3, 1])
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
    np.testing.assert_array_equal(one[-1].smoothed, one[-1].probabilities)
    assert last == 20.0
    later = next(r for r in decoder.push(x, 1000.0) if r.status == "decoded")  # a gap has forgotten it all
    np.testing.assert_allclose(later.smoothed, later.probabilities, atol=1e-12)


def test_one_record_a_window_and_a_latency_that_is_a_part_of_the_time(rng):
    began = time.perf_counter()
    records, _ = run(pink(rng, N_CHANNELS, 15))
    took = time.perf_counter() - began
    assert [record.time for record in records] == pytest.approx(np.arange(1, 16))
    assert [record.status for record in records] == ["filling"] * 3 + ["decoded"] * 12
    assert [record.warm for record in records] == [False] * 6 + [True] * 9  # 2 to settle, the fifth good one
    assert all(record.latency_s > 0 for record in records)
    assert sum(record.latency_s for record in records) < took
    slow = SimpleNamespace(
        classes_=[0, 1], predict_proba=lambda X: time.sleep(0.01) or np.array([[0.5, 0.5]])
    )
    assert run(pink(rng, N_CHANNELS, 6), [slow])[0][-1].latency_s > 0.01


# Gaps and channels


def test_after_a_long_gap_the_segment_starts_anew(rng):
    x, y = pink(rng, N_CHANNELS, 10.5), pink(rng, N_CHANNELS, 8)
    spy = Spy()
    decoder = decoder_of([spy], classes=list("abc"))
    records = decoder.push(x, 100.0)
    seen = len(spy.seen)
    after = decoder.push(y, 140.0)
    assert decoder.report["gaps"] == 1 and decoder.report["windows_dropped"] == 1
    assert decoder.report["missing_s"] == pytest.approx(140 - 110.5, abs=1 / SFREQ)
    assert records[-1].time == pytest.approx(110.0)  # the half window is nowhere
    assert [record.time for record in after] == pytest.approx(np.arange(141, 149))
    assert [record.status for record in after] == ["filling"] * 3 + ["decoded"] * 5
    assert np.isnan(after[0].probabilities).all() and after[0].label is None and after[0].n_windows == 0
    de, new = features(x)[0][2:], features(y)[0][2:]
    np.testing.assert_allclose(decoder.statistics.mean, np.concatenate([de, new]).mean(0))  # the same person
    so_far = np.concatenate([de, new[:2]])
    z = (new[:2] - so_far.mean(0)) / so_far.std(0)
    filled = np.concatenate([np.repeat(z.mean(0)[None], 2, axis=0), z])  # two windows of four
    np.testing.assert_allclose(spy.seen[seen], filled.transpose(1, 0, 2)[None], atol=1e-9)


def test_after_a_short_gap_the_segment_goes_on_with_holes(rng):
    x = pink(rng, N_CHANNELS, 40)
    decoder = decoder_of(segment=10.0)
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
    one, two = decoder_of(), decoder_of()
    within = one.push(x, stamps)
    assert_same(within, two.push(x[:, :1100], 0.0) + two.push(x[:, 1100:], stamps[1100]))
    assert one.report == pytest.approx(two.report)
    assert one.report["gaps"] == one.report["windows_dropped"] == 1


@pytest.mark.parametrize("loss", [np.nan, np.inf, 0.0, 0.3, 1e200])
def test_a_lost_channel_is_the_mean_and_the_others_do_not_notice(rng, loss):
    x = pink(rng, N_CHANNELS, 30)
    broken = x.copy()
    broken[2, 10 * SFREQ : 18 * SFREQ] = loss
    if loss == 1e200:  # not flat, but no EEG either
        broken[2, 10 * SFREQ : 18 * SFREQ : 2] = -loss
    (de, _), (lossy, windows) = features(x), features(broken)
    others = [0, 1, 3]
    np.testing.assert_array_equal(lossy[:, others], de[:, others])
    np.testing.assert_array_equal(lossy[:10, 2], de[:10, 2])
    assert np.isnan(lossy[10:20, 2]).all()  # 8 s lost, then 2 s until the filters have settled
    assert not any(window.lost[2] for window in windows[18:])
    np.testing.assert_allclose(lossy[22:, 2], de[22:, 2], atol=0.1)

    spy = Spy()
    records, decoder = run(broken, [spy], channels=NAMES, classes=list("abc"))
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
    expected = {"filling": 3, "decoded": 7, "channels lost": 4, "filling again": 3, "decoded again": 13}
    status = [name.removesuffix(" again") for name, n in expected.items() for _ in range(n)]
    assert [record.status for record in records] == status
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
    before, _ = run(x[:, : round(23.4 * SFREQ)], folder=tmp_path)  # and no more is heard of it
    decoder = decoder_of(folder=tmp_path)
    assert decoder.n_samples == 20 * SFREQ
    with decoder:
        after = list(decode(replay(x, SFREQ, chunk=0.33, start=decoder.n_samples), decoder))
        report = decoder.report
    assert_same(before[:20] + after, expected)
    assert report == whole.report
    assert_same(read_log(tmp_path / "records.jsonl"), expected)  # three were decoded twice and logged once
    # with-blocks save at the end, within a window too
    with decoder_of(folder=tmp_path) as decoder:
        assert decoder.n_samples == 40 * SFREQ
        decoder.push(x[:, :50])
    assert decoder_of(folder=tmp_path).n_samples == 40 * SFREQ + 50
    with pytest.raises(ValueError, match="this decoder is closed: make a new one"):
        decoder.push(x)


def test_a_stream_that_went_on_meanwhile_is_a_gap(rng, tmp_path):
    x = pink(rng, N_CHANNELS, 60)
    before, _ = run(x[:, : 25 * SFREQ], folder=tmp_path)
    after, decoder = run(x, folder=tmp_path, start=40 * SFREQ)
    assert decoder.report["gaps"] == 1
    assert_same(read_log(tmp_path / "records.jsonl"), before + after)
    np.testing.assert_array_equal(decoder.statistics.count, 18 + 18)  # to the checkpoint at 20 s, from 42 s


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_killed_process_loses_nothing_that_was_decoded(rng, tmp_path):
    x = pink(rng, N_CHANNELS, 30)
    expected, _ = run(x)
    child = os.fork()
    if child == 0:
        for record in decode(replay(x, SFREQ), decoder_of(folder=tmp_path)):
            if record.time > 17.5:
                os.kill(os.getpid(), signal.SIGKILL)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    path = tmp_path / "records.jsonl"
    assert_same(read_log(path), expected[:18])
    decoder = decoder_of(folder=tmp_path)
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
        state.unlink()
        assert len(read_log(path)) == n
        run(x, folder=tmp_path)[1].close()
        assert_same(read_log(path), expected)
    path.write_bytes(whole[:last] + b"\0" * 30)
    assert len(read_log(path)) == 11
    lines = whole.split(b"\n")
    lines[5] = lines[5][:20]
    path.write_bytes(b"\n".join(lines))
    with pytest.raises(ValueError, match=r"line 6 of .*records.jsonl is no record"):
        read_log(path)
    for record in expected:
        assert Record.from_json(record.to_json()).latency_s == record.latency_s
        assert "NaN" not in record.to_json()


def test_a_folder_belongs_to_one_kind_of_decoder(rng, tmp_path):
    x = pink(rng, N_CHANNELS, 12)
    run(x, folder=tmp_path)  # it never said goodbye
    with pytest.raises(ValueError, match=r"state.npz was written with segment=4.0, this decoder has 5.0"):
        decoder_of(folder=tmp_path, segment=5.0)
    with pytest.raises(ValueError, match=r"state.npz was written with weights="):
        decoder_of([Linear()], folder=tmp_path)
    (tmp_path / "state.npz").write_bytes(b"PK\x03\x04 torn")
    with pytest.warns(UserWarning, match="is unreadable .*: beginning anew"):
        decoder_of(folder=tmp_path)
    with pytest.raises(ValueError, match="has no folder to save to"):
        decoder_of().save()


def test_an_error_leaves_the_last_checkpoint(rng, tmp_path):
    x = pink(rng, N_CHANNELS, 30)
    spy = Spy()

    def fails(windows):
        if len(spy.seen) == 12:
            raise RuntimeError("out of memory")
        return spy(windows)

    with pytest.raises(RuntimeError), decoder_of([fails], classes=list("abc"), folder=tmp_path) as decoder:
        list(decode(replay(x, SFREQ), decoder))
    again = decoder_of([spy], classes=list("abc"), folder=tmp_path)
    assert again.n_samples == 10 * SFREQ
    list(decode(replay(x, SFREQ, start=again.n_samples), again))
    assert [r.time for r in read_log(tmp_path / "records.jsonl")] == pytest.approx(np.arange(1, 31))


@pytest.mark.parametrize("keeps", [False, True])
def test_a_minute_more_takes_no_more_memory(rng, keeps):
    x = pink(rng, 2, 60)
    bands = {"alpha": (8.0, 13.0), "beta": (13.0, 30.0)}
    decoder = decoder_of([Linear(n_features=4)], channels=2, bands=bands)
    traced, sizes, kept = [], [], []
    gc.collect()
    gc.disable()  # a collection empties Python's free lists, and 112 kB of three minutes fill them again
    tracemalloc.start()
    try:
        for minute in range(10):
            for record in decode((part for part, _ in replay(x, SFREQ, chunk=2.0)), decoder):
                assert record.n_windows <= 4, minute
                if keeps:
                    kept.append(record.time)
            traced.append(tracemalloc.get_traced_memory()[0])
            sizes.append(decoder.nbytes)
    finally:
        tracemalloc.stop()
        gc.enable()
    assert decoder.n_samples == 600 * SFREQ and set(sizes) == {sizes[0]} and sizes[0] < 100_000
    # the median of five minutes: what another thread does once does not count
    grown = np.median(np.diff(traced)[-5:])
    assert grown > 1_000 if keeps else grown < 500  # one float a record is 1.8 kB a minute


# Bad input


@pytest.mark.parametrize(
    ("chunk", "message"),
    [
        (np.zeros((3, 10)), r"must be \(4 channels, at least 1 sample\), got shape \(3, 10\)"),
        (np.zeros((4, 10), dtype=complex), "chunk must hold real numbers, got complex128"),
        ((np.zeros((4, 10)), np.nan), "time, in seconds, holds NaN or inf"),
        ((np.zeros((4, 10)), np.arange(9.0)), r"one for each of 10 samples, got shape \(9,\)"),
        ((np.zeros((4, 10)), np.float32(1e6)), r"are 0\.119 s apart at 1e\+06 s: give float64"),
        ((np.zeros((4, 10)), np.float32(1.7e9)), r"are 203 s apart at 1\.7e\+09 s: give float64"),
    ],
)
def test_a_chunk_that_cannot_be_used_is_named(chunk, message):
    with pytest.raises(ValueError, match=message):
        list(decode([chunk], decoder_of()))


def test_what_is_out_of_order_is_refused_and_changes_nothing(rng):
    x = pink(rng, N_CHANNELS, 20)
    expected, _ = run(x)
    decoder, records = decoder_of(), []
    for chunk, at in replay(x, SFREQ, chunk=2.0):
        records += decoder.push(chunk, at)
        with pytest.raises(OutOfOrderError, match=f"starts at {at:g} s, 2 s before the end .*drop it"):
            decoder.push(chunk, at)
        with pytest.raises(OutOfOrderError, match="fall from 5 to 3 s within a chunk"):
            decoder.push(chunk[:, :3], [5.0, 3.0, 4.0])
    assert_same(records, expected)
    doubled = [part for pair in replay(x, SFREQ, chunk=2.0) for part in (pair, pair)]
    assert_same(list(decode(doubled, decoder_of(), disorder="drop")), expected)
    with pytest.raises(OutOfOrderError):
        list(decode(doubled, decoder_of()))
    with pytest.raises(ValueError, match="disorder must be"):
        list(decode(doubled, decoder_of(), disorder="ignore"))


def test_a_clock_set_back_for_good_is_taken_over_after_five_seconds_and_counted(rng, tmp_path):
    x = pink(rng, N_CHANNELS, 30)
    chunks = list(replay(x, SFREQ, chunk=1.0, begin=3600.0))
    back = [(part, at if at < 3610 else at - 3600) for part, at in chunks]
    decoder = decoder_of(folder=tmp_path)
    records = list(decode(back, decoder, disorder="drop"))
    # as if what was left out were a gap
    expected = list(decode([pair for pair in chunks if not 3610 <= pair[1] < 3615], decoder_of()))
    assert [record.time for record in records] == [*np.arange(3601, 3611.0), *np.arange(16, 31.0)]
    for a, b in zip(records, expected, strict=True):
        assert a.status == b.status
        np.testing.assert_allclose(a.probabilities, b.probabilities)
    report = decoder.report
    assert (report["chunks_dropped"], report["clocks_set_back"], report["missing_s"]) == (5, 1, 5.0)
    decoder.close()
    assert len(read_log(tmp_path / "records.jsonl")) == len(records)
    assert decoder_of(folder=tmp_path).report == report
    late = decoder_of()  # a few late chunks set no clock back
    few = [*chunks[:10], *chunks[5:10], *chunks[10:]]
    assert len(list(decode(few, late, disorder="drop"))) == 30
    assert late.report["chunks_dropped"] == 5 and late.report["clocks_set_back"] == 0


def test_a_clock_set_back_by_a_chunk_that_is_out_of_order_waits_for_the_next(rng):
    x, stamps = pink(rng, N_CHANNELS, 20), np.arange(6 * SFREQ) / SFREQ
    stamps[300] = 0.0
    decoder = decoder_of()
    chunks = [(x[:, : 10 * SFREQ], 3600.0), (x[:, 10 * SFREQ : 16 * SFREQ], stamps)]
    records = list(decode([*chunks, (x[:, 16 * SFREQ :], 16.0)], decoder, disorder="drop"))
    assert [record.time for record in records] == [*np.arange(3601, 3611.0), *np.arange(17, 21.0)]
    assert (decoder.report["chunks_dropped"], decoder.report["clocks_set_back"]) == (1, 1)


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
        list(decode(stamped(x, scale, stamps=stamps), decoder_of()))


@pytest.mark.parametrize("actual", [100, 150])
def test_a_stream_of_another_rate_than_set_is_named_and_pauses_are_not(rng, actual):
    x = pink(rng, N_CHANNELS, 20)
    with pytest.raises(ValueError, match="of time stamps, not at 125 Hz: set sfreq"):
        list(decode(stamped(x, sfreq=actual, chunk=0.05), decoder_of()))
    assert len(list(decode(stamped(x, 1.002), decoder_of()))) == 20  # a clock may well drift
    decoder = decoder_of()  # pauses a thousand times as long as a chunk
    for k, (chunk, _) in enumerate(replay(x[:, : 8 * SFREQ], SFREQ, chunk=1.0)):
        decoder.push(chunk, 1000.0 * k if k < 4 else 3000 + 600.0 * k)
    assert decoder.report["gaps"] == 7 and decoder.report["filling"] == 8


def gives(*values):
    return lambda windows: np.array([values], dtype=float)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([gives(0.5, 0.4, 0.2)], r"estimator 0 gave \[0.5, 0.4, 0.2\]: .* add up to 1"),
        ([Linear(), gives(1.5, -0.5, 0.0)], "estimator 1 gave .*must not be negative"),
        ([gives(0.5, 0.5)], r"answer of estimator 0 must have shape \(1, 3\), got \(1, 2\)"),
    ],
)
def test_answers_that_are_no_probabilities_are_refused(rng, members, message):
    with pytest.raises(ValueError, match=message):
        run(pink(rng, N_CHANNELS, 5), members, classes=("calm", "glad", "sad"))


@pytest.mark.parametrize(
    ("members", "options", "message"),
    [
        ([Linear(), Linear(n_classes=2)], {}, r"estimator 1 knows the classes \['calm', 'glad'\], not"),
        ([Linear(n_features=30)], {}, "fitted to 30 features, channels times bands are 20"),
        ([gives(0.5, 0.5)], {}, "callables, and what is not fitted, do not tell their classes"),
        ([LinearDiscriminantAnalysis()], {}, "not fitted, do not tell their classes: fit it"),
        (Linear(), {}, "estimators must be a list, got .*: put it in brackets"),
        ([gives(0.5, 0.5)], {"classes": ["a", "a"]}, "classes holds 'a' twice"),
        ([gives(0.5, 0.5)], {"classes": "ab"}, "classes must be a list, got 'ab'"),
        ([gives(0.5, 0.5)], {"classes": [b"a", b"b"]}, "classes must be names or numbers, .*, got b'a'"),
        ([3.0], {"classes": ["a", "b"]}, "estimator 0, float, neither has predict_proba"),
        ([Linear()], {"sfreq": "250"}, r"sfreq must lie in \(0, inf\), got '250'"),
        ([Linear()], {"channels": ["Fz", 1, "Pz", "Oz"]}, "channels must be names, or their number, got 1"),
        ([Linear()], {"weights": [1, 2]}, r"weights must be 1 numbers"),
        ([Linear()], {"segment": 2.5}, "segment must be a whole number of windows of 1.0 s, got 2.5"),
        ([Linear()], {"memory": 1.0}, r"memory, in windows, must lie in \[2, inf\]"),
        ([Linear()], {"window": 0.0101, "segment": 0.0101}, "choose a window of a whole number of samples"),
        ([Linear()], {"sfreq": 80}, "band 'gamma' ends at 47.0 Hz, not below half the sampling rate"),
        ([Linear()], {"channels": ["Fz", "fz", "Pz", "Oz"]}, "channels, in lower case, holds 'fz' twice"),
    ],
)
def test_a_decoder_that_cannot_be_is_refused(members, options, message):
    with pytest.raises(ValueError, match=message):
        decoder_of(members, **options)
    with pytest.raises(ValueError, match="estimators is empty"):
        OnlineDecoder([], **QUICK)
    with pytest.raises(ValueError, match="settings must be OnlineSettings, got None"):
        OnlineDecoder([Linear()], **QUICK | {"settings": None})


# Sources


def test_a_recording_of_mne_is_the_same_as_its_array(rng, tmp_path):
    x = pink(rng, 5, 12)
    raw = recording(x, [*NAMES, "heart"], kinds=["eeg"] * 4 + ["ecg"])
    raw.save(tmp_path / "x_raw.fif", fmt="double", verbose="error")
    raw = mne.io.read_raw_fif(tmp_path / "x_raw.fif", verbose="error")  # not loaded
    expected = list(replay(x[:4], SFREQ, chunk=0.7, start=33, begin=5.0))
    read = list(replay(raw, chunk=0.7, start=33, begin=5.0))
    for (a, at), (b, bt) in zip(expected, read, strict=True):
        np.testing.assert_array_equal(a, b)
        assert at == bt
    np.testing.assert_array_equal(np.concatenate([part for part, _ in read], axis=1), x[:4, 33:])
    assert read[0][1] == 5.0 + 33 / SFREQ


def test_channels_are_found_by_name_whatever_their_order_and_case(rng):
    x = pink(rng, 6, 12)
    expected, _ = run(x[:4], channels=NAMES)
    turned = recording(x[[5, 3, 1, 0, 2, 4]], ["T7", "OZ", "cz", "Fz", "PZ", "T8"])
    assert_same(list(decode(replay(turned), decoder_of(channels=NAMES))), expected, atol=1e-12)
    # by number rows are taken as they come: the order then makes a difference
    records = list(decode(replay(recording(x[[3, 1, 0, 2]], ["Oz", "Cz", "Fz", "Pz"])), decoder_of()))
    assert np.abs(records[-1].probabilities - expected[-1].probabilities).max() > 0.01


def test_a_channel_that_is_marked_bad_is_lost(rng):
    x = pink(rng, 4, 12)
    broken = x.copy()
    broken[2] = np.nan
    expected, _ = run(broken, channels=NAMES)
    records = list(decode(replay(recording(x, bads=["Pz"])), decoder_of(channels=NAMES)))
    assert_same(records, expected)
    assert records[-1].lost == ("Pz",) and records[-1].status == "decoded"
    assert next(replay(recording(x, bads=["Pz"])))[0].shape[0] == 3


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        (lambda x: replay(recording(x), 250), {}, r"125\.0 Hz, not 250"),
        (lambda x: replay(x), {}, r"with sfreq= in Hz, got shape \(4, 375\) and sfreq=None"),
        (lambda x: replay(recording(x, bads=NAMES)), {}, "no good EEG channel among"),
        (lambda x: replay(x, SFREQ, chunk=np.nan), {}, "chunk must lie in .*, got nan"),
        (lambda x: replay(x, SFREQ, start=376), {}, "one of the recording's 375 samples, got 376"),
        (
            lambda x: replay(recording(x, ["Fz", "Cz", "Pz", "O1"])),
            {"channels": NAMES},
            r"has no channels \['Oz'\], only \['Fz', 'Cz', 'Pz', 'O1'\]: rename",
        ),
        (lambda x: recording(x), {}, r"chunks is RawArray, a recording: wrap it in replay\(\.\.\.\)"),
        (lambda x: x, {}, r"chunks is ndarray, a recording: wrap it in replay"),
        (lambda x: replay(x, SFREQ), {"sfreq": 250}, "chunks have 125 Hz, not 250: resample"),
        (lambda x: replay(recording(x, bads=["Pz"])), {}, r"bad channels \['Pz'\] leave out rows: give"),
    ],
)
def test_a_recording_that_does_not_fit_is_refused(rng, source, options, message):
    with pytest.raises(ValueError, match=message):
        list(decode(source(pink(rng, 4, 3)), decoder_of(**options)))


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

    streams = [SimpleNamespace(sfreq=rate)] * n_streams
    lsl = SimpleNamespace(
        resolve_streams=lambda timeout, name: streams if name == "EEG" else [], StreamInlet=Inlet
    )
    monkeypatch.setitem(sys.modules, "mne_lsl", SimpleNamespace(lsl=lsl))
    return closed


def test_a_stream_is_decoded_like_its_recording(rng, monkeypatch):
    x = pink(rng, 5, 10)
    closed = fake_lsl(monkeypatch, 1e6 * x, types=["eeg"] * 4 + ["misc"])
    streamed, replayed = decoder_of(), decoder_of()
    before = pink(rng, 4, 20)
    for decoder in (streamed, replayed):  # both know the person
        decoder.push(before, 0.0)
    records = list(decode(stream_lsl("EEG", timeout=0.3), streamed))
    assert_same(records, list(decode(replay(x[:4], SFREQ, begin=50.0), replayed)), atol=1e-4)
    assert closed == [True]
    fake_lsl(monkeypatch, x, units=None)
    stream = stream_lsl("EEG", scale=2.0, timeout=0.3)
    parts, stamps = zip(*stream, strict=True)
    assert stream.channels == [f"E{i}" for i in range(5)]
    np.testing.assert_allclose(np.concatenate(parts, axis=1), 2 * x, rtol=1e-6)
    np.testing.assert_allclose(np.concatenate(stamps), 50 + np.arange(x.shape[1]) / SFREQ)


@pytest.mark.parametrize(
    ("fake", "name", "error", "message"),
    [
        ({}, "EMG", TimeoutError, "no LSL stream named 'EMG'"),
        ({"n_streams": 2}, "EEG", ValueError, "2 LSL streams are named 'EEG'"),
        ({"rate": 0.0}, "EEG", ValueError, "has no regular rate"),
        ({"units": None}, "EEG", ValueError, r"units \['None'\]: give scale="),
        (None, "EEG", ImportError, re.escape("pip install 'valence-axis[lsl]'")),
    ],
)
def test_a_stream_that_does_not_fit_is_refused(monkeypatch, fake, name, error, message):
    if fake is None:
        monkeypatch.setitem(sys.modules, "mne_lsl", None)
    else:
        fake_lsl(monkeypatch, np.ones((2, 50)), **fake)
    with pytest.raises(error, match=message):
        stream_lsl(name, timeout=0.1)


def test_a_real_stream_arrives_whole(rng):
    lsl = pytest.importorskip("mne_lsl.lsl")
    x = pink(rng, 2, 1.5)
    name = f"kernel-test-{os.getpid()}"
    info = lsl.StreamInfo(name, "EEG", 2, SFREQ, "float64", name)
    info.set_channel_names(["Fz", "Cz"])
    info.set_channel_types("eeg")
    info.set_channel_units("microvolts")
    outlet = lsl.StreamOutlet(info)
    stream = stream_lsl(name, timeout=2.0)
    outlet.wait_for_consumers(2.0)
    stamp = lsl.local_clock()
    for at in range(0, x.shape[1], 25):
        part = np.ascontiguousarray(1e6 * x[:, at : at + 25].T)
        outlet.push_chunk(part, stamp + (at + len(part) - 1) / SFREQ)
    pulled = [next(stream)]
    while sum(part.shape[1] for part, _ in pulled) < x.shape[1]:
        pulled.append(next(stream))
    np.testing.assert_allclose(np.concatenate([part for part, _ in pulled], axis=1), x, rtol=1e-12)
    times = np.concatenate([stamps for _, stamps in pulled])
    np.testing.assert_allclose(np.diff(times), 1 / SFREQ, atol=5e-3)


# Networks of a bank


def test_members_of_a_bank_give_their_own_probabilities_and_fit_no_other_channels_or_classes(tmp_path):
    cohort, _ = simulate_cohort(0, "null", n_subjects=5)
    shared = {"epochs": 1, "warmup_epochs": 0, "batch_size": 64, "options": {"hidden": (8,)}}
    specs = [
        TrainingSpec(n_windows=n, labels=labels, **shared)
        for n, labels in ((1, "classes"), (5, "classes"), (10, "moments"))
    ]
    split = make_split(cohort, "leave_subjects_out")
    bank = train_bank(specs, cohort, split, folder=tmp_path, n_jobs=1, progress=False)
    z = standardise(cohort).de.reshape(5 * 28 * 3, 10, 32, 5)  # three segments of a clip
    rows = z[np.lexsort((bank.trials["segment"], bank.trials["clip"], bank.trials["subject"]))]
    rows = rows.transpose(0, 2, 1, 3)
    members = from_bank(bank)
    for number, member in enumerate(members):
        np.testing.assert_allclose(member(rows), softmax(bank.scores(number), axis=1), atol=1e-5)
    with pytest.raises(ValueError, match="4 windows cannot be averaged into 5 time steps"):
        from_bank(bank, [1])[0](rows[:, :, :4])
    for options, message in (
        ({"channels": 32, "settings": OnlineSettings(segment=4.0)}, "4 windows cannot be averaged into 5"),
        ({"channels": 30}, "estimator 0 was fitted to 160 features, channels times bands are 150: choose"),
        (
            {"channels": 32, "classes": ["good", "bad"]},
            r"estimator 0 knows the classes .*, not \['good', 'bad'",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            OnlineDecoder(members, sfreq=SFREQ, **options)
    decoder = OnlineDecoder(members, sfreq=SFREQ, channels=32)  # whose classes are the bank's
    assert decoder.classes == tuple(bank.classes)
    records = decoder.push(pink(np.random.default_rng(0), 32, 15))
    assert records[-1].label in cohort.classes and records[-1].probabilities.shape == (9,)


# Planted truth and its absence


STRONG = Settings(valence=0, classes=0.12, clips=0, trial=0.05, slow=0.05, gain=0.1, mixing=0.2)


def test_decodes_a_new_person_where_there_is_something_to_decode():
    """And nothing where the labels of the training are those of other clips."""
    raw, _ = simulate_raw(5, STRONG, n_subjects=2)  # µV
    names, rng = np.array(FACED_CLIP_EMOTIONS), np.random.default_rng(0)
    de = differential_entropy(raw[0], 250.0).swapaxes(-3, -2)  # (28, 30, 32, 5), offline
    de = (de - de.mean((0, 1))) / de.std((0, 1))
    rows = de.reshape(84, 10, 160).mean(1)
    # both decoders see the same features of a person who is shown the clips with pauses
    order, entropy = rng.permutation(28), CausalEntropy(250, 32)
    shown = [
        [window for part in replay(1e-6 * raw[1, clip], 250, chunk=0.5, begin=45.0 * place)
         for window in entropy.windows(*part)]
        for place, clip in enumerate(order)
    ]  # fmt: skip
    assert entropy.clock.gaps == 27
    hits = {}
    for truth, labels in {"planted": names, "absent": rng.permutation(names)}.items():
        lda = [LinearDiscriminantAnalysis(solver="lsqr", shrinkage=s) for s in (0.3, 0.6)]
        models = [model.fit(rows, np.repeat(labels, 3)) for model in lda]
        decoder = OnlineDecoder(models, sfreq=250, channels=32, settings=OnlineSettings(memory=600.0))
        last = [[decoder.push_features(one.de, one.time) for one in clip][-1] for clip in shown]
        hits[truth] = [a.label == name for a, name in zip(last, names[order], strict=True) if a.warm]
        assert len(hits[truth]) == 26
    bound = scipy_stats.binom.ppf(0.999, 26, 1 / 9)  # 8 of 26
    assert sum(hits["absent"]) <= bound < sum(hits["planted"]) - 4
