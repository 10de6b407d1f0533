"""Cohorts and raw EEG with a known truth, for tests, calibration and demonstration. No brain is involved.

The log-amplitude of every place on the scalp (electrode or source), in nats, for subject s, clip c, second t
and band b is

    base_s + gain_s (I + mixing G_s) [valence v_c P_v + classes P_class(c) + clips P_clip(c)] envelope_c(t)
           + drift gain_s (I + mixing G_s) P_drift position_sc + trial_sc + slow_sc(t),

with patterns P of unit root mean square over places and bands. :func:`simulate_cohort` adds to it the
estimation noise that the variance of a short band-passed signal has; :func:`simulate_raw` gives these
amplitudes to sources in a spherical head, so that the noise arises by itself.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from scipy.special import digamma, polygamma

from kernel.brain.cohort import Cohort
from kernel.brain.components import FacedSettings, simulate_components
from kernel.brain.designs import DESIGNS, FACED_CHANNELS, Design, faced_hardware
from kernel.brain.features import band_edges, band_gain
from kernel.brain.patterns import LEAD, TRIAL, Truth, _generators, _head, _root, _smooth_roots, _unit_power
from kernel.brain.ratings import draw_orders
from kernel.checks import choice

SFREQ = 250.0  # Hz, as the FACED release
RMS = 10.0  # µV, of the broadband signal at an average electrode

RATING_MEAN, RATING_SD = 3.09, 1.30  # of valence on 0-7 over FACED's clips
# where 10-05 has no place for an electrode: its nearest neighbour there
_NEAREST = {"CB1": "PO9", "CB2": "PO10"}


@dataclass(frozen=True)
class Settings:
    """Amplitudes of the generator in nats (log-amplitude), except `gain` and `mixing`.

    `valence`, `classes` and `clips` are effects that all subjects share: along the clip's valence, of its
    class, of the clip alone; `drift` that of one standard deviation of presentation position. `trial` and
    `slow` are standard deviations of one trial's offset and of an Ornstein-Uhlenbeck process of 8 s within
    it, `base` that of a subject's constant topography, `gain` that over subjects of the log of the effects'
    size. `mixing` is the size of a subject's own scrambling of an effect, relative to the shared part.
    """

    valence: float = 0.008
    classes: float = 0.026
    clips: float = 0.03
    drift: float = 0.0
    trial: float = 0.16
    slow: float = 0.06
    gain: float = 0.4
    mixing: float = 0.5
    base: float = 0.5


PRESETS: dict[str, Settings] = {
    "default": Settings(),
    "strong_valence": Settings(valence=0.03),
    "no_valence": Settings(valence=0.0),
    "identity_only": Settings(valence=0.0, classes=0.0, clips=0.04),
    "order_drift": Settings(valence=0.0, classes=0.0, clips=0.0, drift=0.05),
    "null": Settings(valence=0.0, classes=0.0, clips=0.0),
}
"""Truths by name. ``no_valence`` has classes without their order; ``identity_only`` clips without classes;
``order_drift`` nothing but a drift along the presentation order; ``null`` nothing at all."""

PRESET_NAMES = (*PRESETS, "faced")
"""Names that `simulate_cohort` knows; ``faced`` has components of the sizes of real brains."""


def simulate_cohort(
    random_state: int | np.random.Generator | None = 0,
    preset: str | Settings | FacedSettings = "default",
    *,
    design: str = "FACED",
    n_subjects: int | None = None,
    window: float | None = None,
) -> tuple[Cohort, Truth]:
    """Simulate differential entropies of people who watch the clips of a data set, and what was planted.

    Presets of one seed and design share every pattern, order and noise: they differ by the amplitudes alone.
    The first subjects do not depend on how many follow. FACED's two recording cohorts are named but do not
    differ. Orders follow :func:`~kernel.brain.ratings.draw_orders`, mean ratings of valence are the planted
    valence in units of 0-7; SEED-V has one order, EmoEEG-MC one for each person, and neither has ratings.
    Windows after the end of a shorter clip are NaN.

    Parameters
    ----------
    random_state : int, Generator or None
        Seed or generator; an int becomes part of the cohort's label.
    preset : str, Settings or FacedSettings
        A name of :data:`PRESET_NAMES` or amplitudes of one's own. ``faced`` and FacedSettings are for the
        design of FACED: :func:`~kernel.brain.components.simulate_components`.
    design : str
        A name of :data:`~kernel.brain.designs.DESIGNS`.
    n_subjects : int, optional
        Subjects, numbered from 0 (from 1 but in FACED); as many as the design has by default.
    window : float, optional
        Seconds, by default the design's; 30 must be a multiple for FACED. ``window=30`` gives one value per
        trial there, at a fraction of the time: enough for all that averages over seconds.
    """
    if isinstance(preset, str):
        choice("preset", preset, PRESET_NAMES)
    layout, faced = DESIGNS[choice("design", design, DESIGNS)], design == "FACED"
    n_subjects = layout.n_subjects if n_subjects is None else n_subjects
    window = layout.window if window is None else window
    if preset == "faced" or isinstance(preset, FacedSettings):
        if not faced:
            raise ValueError(f"preset 'faced' has FACED's sizes in official bands, not {design}'s")
        settings = FacedSettings() if isinstance(preset, str) else preset
        return simulate_components(random_state, n_subjects=n_subjects, window=window, **vars(settings))
    head = _head(tuple(_NEAREST.get(channel, channel) for channel in layout.channels))
    fields = _Fields(preset, head.directions, layout, window, random_state, n_subjects)
    n_clips, n_windows = len(fields.counts), int(fields.counts.max())
    variance, dof = _moments(fields.edges, window)
    roots = _root(head.correlation), _root(head.correlation**2)
    offset = 0.5 * np.log(2 * np.pi * np.e * variance.sum(0)) + head.log_gain[:, None]

    de = np.empty((n_subjects, n_clips, n_windows, *fields.truth.effect.shape[1:]), dtype=np.float32)
    gain = np.empty(n_subjects)
    for subject, rng in enumerate(fields.subject_rngs):
        de[subject], gain[subject] = fields.draw(subject)
        de[subject] += offset
        for band, nu in enumerate(dof):
            noise = _log_variance_noise(n_clips * n_windows, nu, roots, rng)
            de[subject, ..., band] += noise.reshape(n_clips, n_windows, -1)
    de[:, np.arange(n_windows) >= fields.counts[:, None]] = np.nan
    subjects, truth = range(n_subjects) if faced else range(1, n_subjects + 1), fields.truth
    label = preset.replace("_", " ") if isinstance(preset, str) else "own settings"
    cohort = Cohort.from_arrays(
        de,
        subjects=subjects,
        order=fields.orders,
        hardware=faced_hardware(subjects) if faced else None,
        ratings={"valence": RATING_MEAN + RATING_SD * truth.valence} if faced else None,
        provenance=f"simulated: {label}" + ("" if faced else f", {design} design"),
        simulated=True,
        seed=random_state if isinstance(random_state, int | np.integer) else None,
        **layout.axes() | {"window": window},
    )
    return cohort, replace(truth, gain=gain)


def simulate_raw(
    random_state: int | np.random.Generator | None = 0,
    preset: str | Settings = "default",
    *,
    n_subjects: int = 1,
) -> tuple[np.ndarray, Truth]:
    """Simulate raw EEG of a few people: 1/f sources in a spherical head, seen by the electrodes of FACED.

    Sources lie on a shell inside mne's four-layer sphere and point outwards; each is Gaussian noise with a
    1/f spectrum whose amplitude in every band and second is that of the module's formula. Signals
    (n_subjects, 28, 32, 7500) are float32, in µV of average reference, at 250 Hz; a subject takes seconds and
    27 MB. `preset` is a name of :data:`PRESETS` or amplitudes of one's own. The truth says what was planted
    in the sources, and the differential entropy to expect at the electrodes in windows of 1 s.
    """
    head, n_samples = _head(FACED_CHANNELS), round(TRIAL * SFREQ)
    fields = _Fields(preset, head.sources, DESIGNS["FACED"], 1.0, random_state, n_subjects)
    # from unit white noise to µV
    shapes = np.sqrt(_spectra(fields.edges, n_samples) * n_samples).astype(np.float32)
    variance, _ = _moments(fields.edges, 1.0)
    lead_field = head.lead_field.astype(np.float32)

    raw = np.empty((n_subjects, 28, len(FACED_CHANNELS), n_samples), dtype=np.float32)
    gain = np.empty(n_subjects)
    expected = np.empty((n_subjects, 28, round(TRIAL), len(FACED_CHANNELS), len(shapes)))
    for subject, rng in enumerate(fields.subject_rngs):
        field, gain[subject] = fields.draw(subject)
        power = head.lead_field**2 @ np.exp(2 * field)  # (28, 30, n_channels, n_bands)
        expected[subject] = 0.5 * np.log(2 * np.pi * np.e * power @ variance)
        for clip in range(28):
            spectrum = 0
            for band, shape in enumerate(shapes):
                amplitude = np.repeat(np.exp(field[clip, :, :, band].T), round(SFREQ), axis=1)
                white = rng.standard_normal(amplitude.shape, dtype=np.float32)
                spectrum = spectrum + shape * np.fft.rfft(lead_field @ (amplitude * white))
            raw[subject, clip] = np.fft.irfft(spectrum, n=n_samples)
    return raw, replace(fields.truth, gain=gain, expected=expected)


# The amplitude field


class _Fields:
    """Log-amplitudes at some places of the scalp: shared patterns and orders, and subjects one by one."""

    def __init__(
        self,
        preset: str | Settings,
        directions: np.ndarray,
        design: Design,
        window: float,
        random_state: int | np.random.Generator | None,
        n_subjects: int,
    ) -> None:
        settings = preset if isinstance(preset, Settings) else PRESETS[choice("preset", preset, PRESETS)]
        rng, order_rng, self.subject_rngs = _generators(random_state, n_subjects)
        self.edges = tuple(band_edges(design.bands).values())
        self.counts = _window_counts(design, window)
        self.settings, self._window, n_bands = settings, window, len(self.edges)
        self._space, self._band = _smooth_roots(directions, n_bands)
        if design.dataset == "FACED":
            self.orders = draw_orders(n_subjects, lead=LEAD, random_state=order_rng)
        else:
            self.orders = np.tile(np.arange(len(design.emotions)) + 1, (n_subjects, 1))
            self.orders = self.orders if design.sessions > 1 else order_rng.permuted(self.orders, axis=1)

        classes = np.array([design.classes.index(emotion) for emotion in design.emotions])
        n_clips, means, n_places = len(classes), np.array(design.values), len(directions)
        self._positions = np.arange(n_clips) + 1.0
        valence = ((means - means.mean()) / means.std())[classes] + 0.35 * rng.standard_normal(n_clips)
        valence = (valence - valence.mean()) / valence.std()
        profile = np.interp(np.linspace(0, 4, n_bands), np.arange(5), (0.1, 0.15, -0.5, 0.7, 1.0))
        posterior = 1 / (1 + np.exp(directions[:, 1] / 0.25))  # y points to the nose
        along = _unit_power(posterior[:, None] * profile)
        of_class, of_clip, self._drift = (
            _unit_power(self._smooth(rng.standard_normal((*several, n_places, n_bands))))
            for several in ((len(means),), (n_clips,), ())
        )
        effect = settings.valence * valence[:, None, None] * along
        effect = effect + settings.classes * of_class[classes] + settings.clips * of_clip
        self.truth = Truth(settings, valence, along, effect, gain=np.empty(0))
        wave = 1 + 0.4 * _ornstein_uhlenbeck(rng.standard_normal((n_clips, self.counts.max())), window)
        self._envelope = np.clip(wave, 0.1, None)
        self._envelope /= self._envelope.mean(1, keepdims=True)

    def draw(self, subject: int) -> tuple[np.ndarray, float]:
        """Log-amplitudes (n_clips, n_windows, n_places, n_bands) of the subject at this place; the gain."""
        settings, truth = self.settings, self.truth
        order, rng = self.orders[subject], self.subject_rngs[subject]
        shape = truth.effect.shape[1:]
        gain = float(np.exp(settings.gain * rng.standard_normal()))
        scramble = self._space @ rng.standard_normal((shape[0], shape[0])) / np.sqrt(shape[0])
        late = (order - self._positions.mean()) / self._positions.std()
        drift = settings.drift * late[:, None, None] * self._drift
        effect, drift = (gain * (part + settings.mixing * scramble @ part) for part in (truth.effect, drift))
        base = settings.base * self._smooth(rng.standard_normal(shape))
        trial = settings.trial * self._smooth(rng.standard_normal((len(order), *shape)))
        steps = rng.standard_normal((len(order), self.counts.max(), *shape), dtype=np.float32)
        field = settings.slow * self._smooth(_ornstein_uhlenbeck(steps, self._window))
        field += self._envelope[..., None, None] * effect[:, None]
        field += (base + trial + drift)[:, None]
        return field, gain

    def _smooth(self, white: np.ndarray) -> np.ndarray:
        """Correlate white noise (..., n_places, n_bands) over places and bands, in its own precision."""
        return self._space.astype(white.dtype) @ (white @ self._band.T.astype(white.dtype))


def _ornstein_uhlenbeck(white: np.ndarray, window: float, tau: float = 8.0) -> np.ndarray:
    """Means over consecutive windows (axis 1) of a process of unit variance and time constant `tau` in s."""
    ratio = window / tau
    variance = 2 * (ratio - 1 + np.exp(-ratio)) / ratio**2
    phi = (1 - np.exp(-ratio)) ** 2 / ratio**2 / variance  # correlation of neighbouring means
    out = white * np.asarray(np.sqrt(variance * (1 - phi**2)), dtype=white.dtype)
    out[:, 0] = white[:, 0] * np.sqrt(variance)
    for step in range(1, out.shape[1]):
        out[:, step] += phi * out[:, step - 1]
    return out


# Noise of a variance estimate


def _spectra(edges: Collection[tuple[float, float]], n_samples: int) -> np.ndarray:
    """Power in µV² of each frequency of the real FFT, split by band: (n_bands, n_samples // 2 + 1).

    The sum over bands falls as 1/f from the lowest to the highest edge and adds up to ``RMS ** 2``.
    """
    frequencies = np.fft.rfftfreq(n_samples, 1 / SFREQ)
    spectra = np.zeros((len(edges), len(frequencies)))
    for row, (low, high) in zip(spectra, edges, strict=True):
        inside = (frequencies >= low) & (frequencies < high)
        row[inside] = 1 / frequencies[inside]
    return spectra * RMS**2 / spectra.sum() / 2  # half, for the negative frequencies


@lru_cache(maxsize=16)
def _moments(edges: tuple[tuple[float, float], ...], window: float) -> tuple[np.ndarray, np.ndarray]:
    """What the variance in a window of a filtered 1/f signal is worth.

    Variance (n_bands, n_bands) in µV² that the part of the spectrum in one band (row) leaves behind the
    filter of another; and degrees of freedom (n_bands,) of the estimate, 2 E² / Var (Welch-Satterthwaite),
    about twice bandwidth times window.
    """
    n = round(window * SFREQ)
    n_fft = round(TRIAL * SFREQ) * 4
    frequencies = np.fft.rfftfreq(n_fft, 1 / SFREQ)
    power = _spectra(edges, n_fft)
    gains = np.stack([band_gain(frequencies, *edge) ** 2 for edge in edges])
    lags = n_fft * np.fft.irfft(power[:, None] * gains, n=n_fft)[..., :n]  # autocovariance
    variance = np.array([[_centred_traces(r)[0] for r in row] for row in lags]) / n
    first, second = np.array([_centred_traces(r) for r in lags.sum(0)]).T
    return variance, first**2 / second


def _centred_traces(r: np.ndarray) -> tuple[float, float]:
    """tr(PC) and tr(PCPC) in linear time; C is the Toeplitz matrix of `r`, P = I - 11ᵀ/n centres."""
    n = len(r)
    rows = np.cumsum(r) + np.cumsum(r)[::-1] - r[0]  # C 1
    total = rows.sum()
    squares = n * r[0] ** 2 + 2 * ((n - np.arange(1, n)) * r[1:] ** 2).sum()
    return n * r[0] - total / n, squares - 2 * (rows**2).sum() / n + (total / n) ** 2


def _log_variance_noise(
    n: int, dof: float, roots: tuple[np.ndarray, np.ndarray], rng: np.random.Generator
) -> np.ndarray:
    """Half the log of n estimates (n, n_channels) of the variance of Gaussian channels, each truly 1.

    They are the diagonal of a Wishart matrix: chi-square over their degrees of freedom, with the correlation
    that the squares of correlated channels have. Beyond 32 degrees of freedom the log is nearly Gaussian and
    is drawn as such, with the same mean and variance. `roots` are those of the correlation and of its square.
    """
    if dof <= 32:
        nu = round(dof)
        white = rng.standard_normal((n * nu, len(roots[0])), dtype=np.float32)
        squares = (white @ roots[0].T.astype(np.float32)) ** 2
        return 0.5 * np.log(squares.reshape(n, nu, -1).mean(1))
    mean = 0.5 * (digamma(dof / 2) - np.log(dof / 2))
    sd = 0.5 * np.sqrt(polygamma(1, dof / 2))
    return mean + sd * rng.standard_normal((n, len(roots[1]))) @ roots[1].T


# Arguments


def _window_counts(design: Design, window: float) -> np.ndarray:
    """Whole windows of each clip; clips of one length must hold a whole number of them."""
    seconds = np.array(design.seconds)
    counts = np.floor(seconds / window + 1e-9).astype(int) if window > 0 else np.zeros(len(seconds), int)
    alike = np.ptp(seconds) == 0
    if counts.min() < 1 or (alike and not np.isclose(counts[0] * window, seconds[0])):
        what = f"divide the trial of {seconds[0]:g} s" if alike else f"fit into {seconds.min():g} s"
        raise ValueError(f"window must {what}, got {window!r} s")
    return counts
