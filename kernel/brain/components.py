"""Variance components of EEG features: estimated from a cohort, and a cohort simulated from their sizes.

The feature of subject s, clip c, second t, channel and band, without the mean of its channel and band, is

    person_s + slope_s position_sc + clip_c + person_clip_sc + noise_sct,

with positions scaled to -1..1 over the session, and noise that is an Ornstein-Uhlenbeck process plus a white
part. Every component is Gaussian, with one correlation over channels and one over bands.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.linalg import block_diag, toeplitz
from scipy.optimize import minimize_scalar, nnls

from kernel import checks
from kernel.brain.cohort import Cohort, trial_features
from kernel.brain.designs import DESIGNS, FACED_FILMS, FACED_SCALP, faced_hardware
from kernel.brain.patterns import LEAD, TRIAL, Truth, _generators, _head, _root, _smooth_roots, _unit_power
from kernel.brain.ratings import draw_orders, load_ratings

N_CLIPS = len(DESIGNS["FACED"].emotions)
_LAGS = 11  # seconds of autocovariance, from lag 0, that the noise within a clip is fitted to


def variance_components(cohort: Cohort) -> pd.DataFrame:
    r"""Estimate how large each part of the features is, by the method of moments.

    Persons' offsets and slopes over the session and the clips are fitted jointly to the trial means by least
    squares. The variance of each over its members is freed of what residuals of mean square :math:`\sigma^2`
    add to it, :math:`\sigma^2 \operatorname{tr}(C V) / (k - 1)`, with C the centring of its k members and V
    the inverse normal equations (Searle, Casella & McCulloch 1992, doi:10.1002/9780470316856). Noise within
    clips is fitted to the autocovariance of the seconds about their trial mean; what it leaves in a trial
    mean is taken from :math:`\sigma^2` to give person x clip.

    The cohort is in nats, all trials present, equally long and at known positions, of 12 windows or more. A
    column for each band holds standard deviations in nats, root mean square over channels, 0 where the
    estimate of the variance is negative: ``person``, ``slope`` (from the middle to the end of the session),
    ``clip``, ``person x clip``, ``within clip`` (of a window about its trial mean), ``ou``, ``white``; and
    ``time constant`` in s of the process ``ou``.
    """
    n_windows = cohort.de.shape[2]
    if not (cohort.n_windows == n_windows).all() or not np.isfinite(cohort.order).all():
        raise ValueError("a trial is missing, short or of unknown position: select complete subjects first")
    if n_windows <= _LAGS:
        raise ValueError(f"the noise within clips needs at least {_LAGS + 1} windows, got {n_windows}")
    variances, residual = _between(trial_features(cohort), cohort.order)
    total, ou, white, tau = _within_clip(cohort.de, cohort.window)
    left = ou * [_mean_variance(t / cohort.window, n_windows) for t in tau] + white / n_windows
    variances |= {"person x clip": residual - left, "within clip": total, "ou": ou, "white": white}
    rows = {name: np.sqrt(np.clip(variance.mean(0), 0, None)) for name, variance in variances.items()}
    return pd.DataFrame({**rows, "time constant": tau}, index=list(cohort.bands)).T


def _between(means: np.ndarray, order: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Variances (n_channels, n_bands) of persons, slopes and clips; the mean square of the residuals."""
    n_subjects, n_clips = order.shape
    groups = {
        "person": np.kron(np.eye(n_subjects), np.ones((n_clips, 1))),
        "slope": block_diag(*scaled_positions(order)[..., None]),
        "clip": np.tile(np.eye(n_clips), (n_subjects, 1)),
    }
    design = np.hstack(list(groups.values()))
    inverse = np.linalg.pinv(design.T @ design, rtol=1e-10, hermitian=True)
    y = means.reshape(n_subjects * n_clips, -1)
    weights = inverse @ (design.T @ y)
    freedom = len(y) - (design.shape[1] - 1)  # a constant may go to persons or to clips
    residual = ((y - design @ weights) ** 2).sum(0) / freedom
    variances, start = {}, 0
    for name, columns in groups.items():
        part = slice(start, start := start + columns.shape[1])
        k, V = columns.shape[1], inverse[part, part]
        noise = (np.trace(V) - V.sum() / k) / (k - 1)
        variances[name] = (weights[part].var(0, ddof=1) - noise * residual).reshape(means.shape[2:])
    return variances, residual.reshape(means.shape[2:])


def scaled_positions(order: np.ndarray) -> np.ndarray:
    """Positions from 1 to the number of clips, scaled to -1..1."""
    return 2 * (order - 1) / (order.shape[1] - 1) - 1


def _within_clip(de: np.ndarray, window: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Variance about the trial mean, of the process and of its white part; time constant of each band, s."""
    n_subjects, _, n, *shape = de.shape
    observed = np.zeros((_LAGS, *shape))
    for block in de:
        x = block - block.mean(1, keepdims=True)
        observed += [(x[:, lag:] * x[:, : n - lag]).mean((0, 1)) / n_subjects for lag in range(_LAGS)]
    tau = np.empty(shape[1])
    ou, white = np.empty(shape), np.empty(shape)
    for band in range(shape[1]):
        mean = observed[..., band].mean(1)

        def misfit(log_tau: float, mean: np.ndarray = mean) -> float:
            return float(nnls(_expected(float(np.exp(log_tau)), n), mean)[1])

        log_tau = minimize_scalar(misfit, bounds=np.log([0.2, n]), method="bounded").x
        basis = _expected(float(np.exp(log_tau)), n)
        ou[:, band], white[:, band] = np.transpose([nnls(basis, r)[0] for r in observed[..., band].T])
        tau[band] = np.exp(log_tau) * window
    return observed[0], ou, white, tau


def _expected(tau: float, n: int) -> np.ndarray:
    """Autocovariance about the mean of n windows of unit processes, coloured and white: (_LAGS, 2)."""
    out = []
    for covariance in (toeplitz(np.exp(-np.arange(n) / tau)), np.eye(n)):
        rows = covariance.mean(0)
        centred = covariance - rows - rows[:, None] + rows.mean()
        out.append([np.diagonal(centred, lag).mean() for lag in range(_LAGS)])
    return np.transpose(out)


def _mean_variance(tau: float, n: int) -> float:
    """Variance of the mean of n values of a process of unit variance and time constant `tau`."""
    return float(toeplitz(np.exp(-np.arange(n) / tau)).mean())


# Simulation


@dataclass(frozen=True)
class Component:
    """Size and correlation of one part of the features.

    `sd` is the standard deviation in each band, nats. Two channels at an angle a on the head correlate at
    ``shared + (1 - shared) exp(-a / length)``, `length` in radians; neighbouring bands at `neighbours`,
    others at the product of those between them.
    """

    sd: tuple[float, ...]
    shared: float
    length: float
    neighbours: tuple[float, ...]


@dataclass(frozen=True)
class Components:
    """Sizes of all parts; noise within a clip is `ou`, of these time constants in s, and `white`.

    `spread` is the standard deviation over people of the log of their person x clip size.
    """

    person: Component
    slope: Component
    clip: Component
    person_clip: Component
    ou: Component
    white: Component
    time_constants: tuple[float, ...]
    spread: float


_WITHIN = (0.38, 0.49, (0.44, 0.42, 0.49, 0.46))
FACED_COMPONENTS = Components(
    person=Component((0.273, 0.254, 0.300, 0.337, 0.835), 0.73, 0.65, (0.89, 0.81, 0.80, 0.72)),
    slope=Component((0.069, 0.044, 0.047, 0.066, 0.267), 0.49, 0.48, (0.88, 0.73, 0.70, 0.50)),
    clip=Component((0.080, 0.053, 0.040, 0.027, 0.027), 0.58, 0.46, (0.87, 0.74, 0.76, 0.14)),
    person_clip=Component((0.160, 0.117, 0.124, 0.153, 0.307), 0.49, 0.49, (0.71, 0.63, 0.68, 0.77)),
    ou=Component((0.354, 0.216, 0.207, 0.168, 0.188), *_WITHIN),
    white=Component((0.287, 0.252, 0.223, 0.177, 0.119), *_WITHIN),
    time_constants=(1.7, 1.8, 1.7, 2.3, 3.6),
    spread=0.36,
)
"""Sizes in FACED (30 scalp channels, 123 people, official bands), estimated from its features.

Alike at all channels, which the clips of FACED are not: over half their variance in gamma lies at T7 and T8,
a quarter of that in delta and theta at F7 and F8. Correlations within a clip are means of single people's.

Chen et al. (2023), Scientific Data 10, 740. doi:10.1038/s41597-023-02650-w
"""

# Of FACED's ratings, 0-7: standard deviation of persons and of the rest (mean squares of a two-way layout),
# and correlation of the rest.
_RATINGS = {
    "valence": (0.59, 1.43),
    "liking": (0.67, 1.62),
    "arousal": (0.89, 1.54),
    "familiarity": (1.05, 1.85),
}
_RATINGS_R = [
    [1.0, 0.53, 0.17, 0.30],
    [0.53, 1.0, 0.21, 0.40],
    [0.17, 0.21, 1.0, 0.15],
    [0.30, 0.40, 0.15, 1.0],
]


@dataclass(frozen=True)
class FacedSettings:
    """Truth of a cohort with the sizes of FACED: arguments of `simulate_components`."""

    valence: float = 0.0
    within: float = 0.0
    components: Components = FACED_COMPONENTS


def simulate_components(
    random_state: int | np.random.Generator | None = 0,
    *,
    n_subjects: int = 123,
    window: float = 1.0,
    valence: float = 0.0,
    within: float = 0.0,
    components: Components = FACED_COMPONENTS,
) -> tuple[Cohort, Truth]:
    """Simulate people who watch the clips of FACED, with components of given sizes.

    Cohorts of one seed share all noise, orders and ratings. The first subjects do not depend on how many
    follow. Drift along the session is each person's own: the mean over people is zero but for chance. There
    are 30 scalp channels, orders by :func:`~kernel.brain.ratings.draw_orders`, films, and ratings of all,
    normal with FACED's clip means and spreads and thus at times outside 0-7. Of the truth that comes with the
    cohort, `effect` is in nats, without any gain, and `gain` is that of person x clip.

    Parameters
    ----------
    random_state : int, Generator or None
        Seed or generator; an int becomes part of the cohort's label.
    n_subjects : int
        People.
    window : float
        Whole seconds that divide 30; 30 draws trial means at once, at a fraction of the time.
    valence, within : float
        Share, 0 to 1, of the standard deviation of clips that goes along their mean valence in FACED, with a
        random smooth pattern over channels and bands; and of that of person x clip that goes along a person's
        own deviation of valence, with the same pattern. The totals are kept.
    components : Components
        Sizes.
    """
    seconds = round(TRIAL)
    if not (window >= 1 and float(window).is_integer() and seconds % window == 0):
        raise ValueError(f"window must be whole seconds that divide {seconds}, got {window!r}")
    shares = {"valence": valence, "within": within}
    for name, share in shares.items():
        checks.between(name, share, 0, 1, closed="both")
    rng, order_rng, subject_rngs = _generators(random_state, n_subjects)
    field = _Field(components, valence, within, rng)
    orders = draw_orders(n_subjects, lead=LEAD, random_state=order_rng)
    positions = scaled_positions(orders)
    root = _root(np.array(_RATINGS_R))
    person_sd, rest_sd = np.transpose(list(_RATINGS.values()))
    means = load_ratings()[[f"{item}_mean" for item in _RATINGS]].to_numpy()

    de = np.empty((n_subjects, N_CLIPS, seconds // int(window), *field.shape), dtype=np.float32)
    ratings = np.empty((n_subjects, N_CLIPS, len(_RATINGS)))
    gain, deviation = np.empty(n_subjects), np.empty((n_subjects, N_CLIPS))
    for s, subject_rng in enumerate(subject_rngs):
        person = subject_rng.standard_normal(len(_RATINGS)) @ root
        rest = subject_rng.standard_normal(means.shape) @ root
        ratings[s], deviation[s] = means + person_sd * person + rest_sd * rest, rest[:, 0]
        de[s], gain[s] = field.draw(positions[s], deviation[s], de.shape[2], subject_rng)
    planted = [f"{name} {share:g}" for name, share in shares.items() if share]
    cohort = Cohort.from_arrays(
        de,
        subjects=range(n_subjects),
        order=orders,
        hardware=faced_hardware(range(n_subjects)),
        ratings=dict(zip(_RATINGS, np.moveaxis(ratings, -1, 0), strict=True)),
        films=FACED_FILMS,
        provenance=f"simulated: {', '.join(['faced', *planted])}",
        simulated=True,
        seed=random_state if isinstance(random_state, int | np.integer) else None,
        **DESIGNS["FACED"].axes() | {"channels": FACED_SCALP, "window": window},
    )
    settings = FacedSettings(valence, within, components)
    return cohort, Truth(settings, field.valence, field.pattern, field.effect, gain, deviation=deviation)


class _Part:
    """Draws of one component at the channels of FACED."""

    def __init__(self, component: Component) -> None:
        directions = _head(FACED_SCALP).directions
        angles = np.arccos(np.clip(directions @ directions.T, -1, 1))
        shared, n_bands = component.shared, len(component.sd)
        bands = np.eye(n_bands)
        for low in range(n_bands):
            bands[low, low + 1 :] = bands[low + 1 :, low] = np.cumprod(component.neighbours[low:])
        self.sd = np.array(component.sd)
        self.shape = (len(angles), n_bands)
        self._space = _root(shared + (1 - shared) * np.exp(-angles / component.length)).astype(np.float32)
        self._bands = _root(bands).astype(np.float32)

    def draw(self, rng: np.random.Generator, *n: int) -> np.ndarray:
        """Values of unit variance (*n, n_channels, n_bands)."""
        white = rng.standard_normal((*n, *self.shape), dtype=np.float32)
        return self._space @ (white @ self._bands)


class _Field:
    """What all people share, drawn once, and people one by one."""

    def __init__(
        self, components: Components, valence: float, within: float, rng: np.random.Generator
    ) -> None:
        self.components, self.within = components, within
        self.parts = {
            name: _Part(part) for name, part in vars(components).items() if isinstance(part, Component)
        }
        clip = self.parts["clip"]
        self.shape = clip.shape
        means = load_ratings()["valence_mean"].to_numpy()
        self.valence = (means - means.mean()) / means.std()
        space, bands = _smooth_roots(_head(FACED_SCALP).directions, self.shape[1])
        self.pattern = _unit_power(space @ rng.standard_normal(self.shape) @ bands)
        self.clips = clip.draw(rng, N_CLIPS)
        along = self.valence[:, None, None] * self.pattern
        self.effect = clip.sd * (valence * along + np.sqrt(1 - valence**2) * self.clips)

    def draw(
        self, position: np.ndarray, deviation: np.ndarray, n_windows: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, float]:
        """Features (n_clips, n_windows, n_channels, n_bands) of a person, and their size of person x clip."""
        parts, spread = self.parts, self.components.spread
        gain = float(np.exp(spread * rng.standard_normal() - spread**2))  # mean square 1
        person, slope = (parts[name].sd * parts[name].draw(rng) for name in ("person", "slope"))
        state = self.within * deviation[:, None, None] * self.pattern
        state = state + np.sqrt(1 - self.within**2) * parts["person_clip"].draw(rng, N_CLIPS)
        trial = (
            self.effect + person + slope * position[:, None, None] + gain * parts["person_clip"].sd * state
        )
        return trial[:, None] + self._noise(n_windows, rng), gain

    def _noise(self, n_windows: int, rng: np.random.Generator) -> np.ndarray:
        ou, white = self.parts["ou"], self.parts["white"]
        seconds, tau = round(TRIAL), np.array(self.components.time_constants)
        if n_windows == 1:
            sd = ou.sd * np.sqrt([_mean_variance(t, seconds) for t in tau])
            return sd * ou.draw(rng, N_CLIPS, 1) + white.sd / np.sqrt(seconds) * white.draw(rng, N_CLIPS, 1)
        phi = np.exp(-1 / tau)
        noise = ou.draw(rng, N_CLIPS, seconds)
        noise[:, 1:] *= np.sqrt(1 - phi**2)
        for second in range(1, seconds):
            noise[:, second] += phi * noise[:, second - 1]
        noise = ou.sd * noise + white.sd * white.draw(rng, N_CLIPS, seconds)
        return noise.reshape(N_CLIPS, n_windows, -1, *self.shape).mean(2)
