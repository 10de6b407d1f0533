"""Differential entropy against closed forms, mne, and a plain numpy float64 implementation."""

from __future__ import annotations

from itertools import pairwise

import mne
import numpy as np
import pytest
import scipy.signal
import torch
from scipy.special import digamma, polygamma

from kernel.brain.features import BANDS, band_gain, differential_entropy, flat_windows

SFREQ = 250.0


def oracle(x, bands, window):
    """One signal, step by step: detrend, even reflection, FFT, cosine slopes, windows cut with np.var."""
    n, out = len(x), []
    slopes = [min(max(low / 4, 2), low) for low, _ in BANDS[bands].values()]
    pad = int(np.ceil(3.3 / min(slopes) * SFREQ))
    fade = np.sin(np.linspace(0, np.pi / 2, pad)) ** 2
    fades = np.concatenate([fade, np.ones(n), fade[::-1]])
    longer = np.pad(scipy.signal.detrend(x), pad, mode="reflect") * fades
    f = np.fft.rfftfreq(len(longer), 1 / SFREQ)
    cuts = np.rint(np.arange(int(n / (window * SFREQ) + 1e-9) + 1) * window * SFREQ).astype(int)
    for (low, high), below in zip(BANDS[bands].values(), slopes, strict=True):
        gain = np.interp(f, [low - below, low], [0, 1])
        gain *= np.interp(f, [high, high + max(high / 4, 2)], [1, 0])
        y = np.fft.irfft(np.fft.rfft(longer) * np.sin(np.pi / 2 * gain) ** 2, n=len(longer))[pad : pad + n]
        out.append([0.5 * np.log(2 * np.pi * np.e * np.var(y[a:b])) for a, b in pairwise(cuts)])
    return np.array(out).T


def structured(rng, n=24, seconds=30):
    """Oscillations in every band whose power wanders over orders of magnitude, on a 1/f background."""
    t = np.arange(int(seconds * SFREQ)) / SFREQ
    f = np.fft.rfftfreq(len(t), 1 / SFREQ)
    background = rng.standard_normal((n, len(f))) + 1j * rng.standard_normal((n, len(f)))
    x = 30 * np.fft.irfft(background / np.sqrt(np.maximum(f, 0.1)), n=len(t))
    for centre in (2.5, 6, 10.5, 21, 38):
        slow = 2 * np.pi * rng.uniform(0.02, 0.06, (n, 1)) * t + rng.uniform(0, 6, (n, 1))
        envelope = np.exp(2 * np.sin(slow))
        x = x + envelope * np.sin(2 * np.pi * centre * t + rng.uniform(0, 6, (n, 1)))
    return x


@pytest.mark.parametrize("bands", BANDS)
@pytest.mark.parametrize("window", [1.0, 1 / 3, 4.0])
def test_equals_a_plain_numpy_implementation(rng, bands, window):
    x = structured(rng, n=2)
    expected = np.stack([oracle(signal, bands, window) for signal in x])
    found = differential_entropy(x, SFREQ, bands, window=window)
    assert found.shape == (2, int(30 / window + 1e-9), 5)
    np.testing.assert_allclose(found, expected, atol=2e-3)  # the length of the FFT differs


@pytest.mark.parametrize("bands", BANDS)
def test_agrees_with_mne_filters_on_structured_signals(rng, bands):
    x = structured(rng)
    found = differential_entropy(x, SFREQ, bands)
    references = []
    for low, high in BANDS[bands].values():
        filtered = mne.filter.filter_data(x, SFREQ, low, high, verbose="error")
        references.append(0.5 * np.log(2 * np.pi * np.e * filtered.reshape(len(x), 30, 250).var(-1)))
    reference = np.stack(references, axis=-1)
    assert np.corrcoef(found.ravel(), reference.ravel())[0, 1] > 0.99
    # mne continues the ends by odd reflection, which only the first and last seconds feel
    for band in range(5):
        pair = found[:, 2:-2, band].ravel(), reference[:, 2:-2, band].ravel()
        assert np.corrcoef(*pair)[0, 1] > 0.99
        assert np.abs(pair[0] - pair[1]).mean() < 0.05


def test_white_noise_has_the_entropy_its_bandwidth_gives_it(rng):
    sigma, window = 3.0, 10.0
    found = differential_entropy(sigma * rng.standard_normal((150, 7500)), SFREQ, "paper", window=window)
    f = np.linspace(0, 125, 200_001)
    for band, edges in enumerate(BANDS["paper"].values()):
        power = band_gain(f, *edges) ** 2
        variance = sigma**2 * power.mean()
        nu = 2 * window * power.sum() ** 2 / (power**2).sum() * (f[1] - f[0])  # degrees of freedom, 2 B T
        expected = 0.5 * np.log(2 * np.pi * np.e * variance) + 0.5 * (digamma(nu / 2) - np.log(nu / 2))
        standard_error = 0.5 * np.sqrt(polygamma(1, nu / 2) / found[..., band].size)
        # a window's own mean takes at most one of nu degrees of freedom: 1 / (2 nu) nats
        assert abs(found[..., band].mean() - expected) < 4 * standard_error + 0.5 / nu
        assert found[..., band].std() == pytest.approx(0.5 * np.sqrt(polygamma(1, nu / 2)), rel=0.1)


def test_units_phase_offset_and_trend_leave_their_trace_or_none(rng):
    x = structured(rng, n=4)
    de = differential_entropy(x, SFREQ)
    np.testing.assert_allclose(differential_entropy(2 * x, SFREQ), de + np.log(2), atol=1e-9)
    np.testing.assert_allclose(differential_entropy(x * 1e-6, SFREQ), de - np.log(1e6), atol=1e-9)
    backward = differential_entropy(x[:, ::-1].copy(), SFREQ)  # no phase: time reversed in and out
    np.testing.assert_allclose(de[:, 1:-1], backward[:, ::-1][:, 1:-1], atol=2e-3)
    drifting = x + 5e3 + np.linspace(0, 300, x.shape[-1])
    np.testing.assert_allclose(differential_entropy(drifting, SFREQ), de, atol=0.05)


@pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0])
def test_first_and_last_window_are_as_good_as_the_others(rng, exponent):
    f = np.fft.rfftfreq(15_000, 1 / SFREQ)
    noise = rng.standard_normal((150, len(f))) + 1j * rng.standard_normal((150, len(f)))
    longer = np.fft.irfft(noise / np.maximum(f, 0.1) ** exponent, n=15_000)
    truth = differential_entropy(longer, SFREQ)[:, 15:45]
    found = differential_entropy(longer[:, 3750:11_250], SFREQ)
    ends = (found - truth)[:, [0, -1]]
    assert (np.abs(ends.mean((0, 1))) < 0.02 + 3 * ends.std((0, 1)) / np.sqrt(300)).all()
    assert (ends.std((0, 1)) < 0.2).all()  # an estimate of one second itself has .3 in the slowest band


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_device_gives_the_numbers_of_the_cpu_in_the_kind_and_precision_of_the_input(
    rng, device, dtype, monkeypatch
):
    exact = structured(rng, n=6).reshape(2, 3, -1)
    x, tolerance = exact.astype(dtype), 1e-3 if dtype == np.float32 or device == "mps" else 1e-9
    expected = differential_entropy(exact, SFREQ, device="cpu")
    named = differential_entropy(x, SFREQ, device=device)
    monkeypatch.setenv("KERNEL_DEVICE", device)
    for result in (named, differential_entropy(x, SFREQ)):
        assert isinstance(result, np.ndarray) and result.dtype == dtype
        np.testing.assert_allclose(result, expected, atol=tolerance)
    monkeypatch.setenv("KERNEL_DEVICE", "cpu")
    there = torch.from_numpy(x.astype(np.float32)).to(device)
    for place in (None, device, "cpu"):
        result = differential_entropy(there, SFREQ, device=place)
        assert result.device.type == device and result.dtype == torch.float32
        np.testing.assert_allclose(result.cpu().numpy(), expected, atol=1e-3)
    with pytest.raises(ValueError, match="device 'abacus' cannot be used"):
        differential_entropy(x, SFREQ, device="abacus")


def test_leading_axes_are_a_batch_and_chunks_leave_no_seam(rng):
    x = rng.standard_normal((2, 5, 29, 1000))  # 290 signals, more than two chunks
    whole = differential_entropy(x, SFREQ)
    assert whole.shape == (2, 5, 29, 4, 5)
    np.testing.assert_allclose(whole[1, 4, 28], differential_entropy(x[1, 4, 28], SFREQ), atol=1e-9)


@pytest.mark.parametrize("offset", [0.0, 5.0])
def test_a_window_without_a_signal_has_no_entropy_and_the_others_keep_theirs(rng, offset):
    x = structured(rng, n=4).astype(np.float32)
    clean = differential_entropy(x, SFREQ)
    x[1], x[2, 100] = 0.1, np.nan
    x[3, 6 * 250 :] = offset
    de = differential_entropy(x, SFREQ)
    assert np.isneginf(de[1]).all() and np.isnan(de[2]).all()
    assert np.isneginf(de[3, 6:]).all() and np.isfinite(de[3, :6]).all()
    np.testing.assert_array_equal(de[0], clean[0])
    np.testing.assert_array_equal(flat_windows(x, SFREQ)[[0, 1, 3]], np.isneginf(de[[0, 1, 3], :, 0]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sfreq": 90.0}, "'gamma' ends at 47.0 Hz"),
        ({"window": 40.0}, "shorter than one window of 40.0 s"),
        ({"window": 0.001}, "fewer than two samples"),
        ({"bands": "mine"}, "bands must be one of paper, official; got 'mine'"),
        ({"bands": {"x": (8.0, 4.0)}}, "band 'x' needs 0 < low < high"),
        ({"bands": {"x": (0.0, 4.0)}}, "band 'x' needs 0 < low < high"),
        ({"bands": {}}, "of one band or more, got {}"),
        ({"bands": [(1.0, 4.0)]}, r"bands must be a name or .*, got \[\(1.0, 4.0\)\]"),
        ({"bands": {"x": 4.0}}, r"band 'x' must have shape \(low, high\), got \(\)"),
        ({"bands": {"x": ("1", "4")}}, "band 'x' must hold real numbers"),
        ({"sfreq": "250"}, r"sfreq must lie in \(0, inf\), got '250'"),
        ({"window": float("nan")}, r"window must lie in \(0, inf\), got nan"),
        ({"x": np.float64(3.0)}, "time axis"),
        ({"x": np.zeros((0, 500))}, r"a signal, got shape \(0, 500\)"),
    ],
)
def test_errors_name_what_cannot_be(change, message):
    arguments = {"x": np.ones(7500), "sfreq": SFREQ, "bands": "official"} | change
    with pytest.raises(ValueError, match=message):
        differential_entropy(**arguments)


def test_gain_is_one_in_the_band_half_midway_and_zero_beyond():
    gain = band_gain(np.array([0.0, 6.0, 7.0, 8.0, 14.0, 15.75, 17.5, 60.0]), 8, 14)
    np.testing.assert_allclose(gain, [0, 0, 0.5, 1, 1, 0.5, 0, 0], atol=1e-12)
