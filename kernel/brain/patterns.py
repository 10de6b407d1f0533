"""What both simulations share: what was planted, smooth patterns over the scalp, a head, random streams."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from kernel.brain.designs import scalp_info
from kernel.checks import count

TRIAL = 30.0  # s of EEG kept of each clip
N_SOURCES = 200
# Lead of positive blocks that gives, on average over cohorts of 123, FACED's correlation of -.32 between a
# clip's mean position and its mean valence.
LEAD = 0.11


@dataclass(frozen=True, eq=False)
class Truth:
    """What was planted, by which settings.

    `valence` (n_clips,) is that of each clip, mean 0 and standard deviation 1, `valence_pattern` (n_places,
    n_bands) its pattern of unit root mean square; places are electrodes, or sources for a raw simulation.
    `effect` (n_clips, n_places, n_bands) is the mean effect of each clip in nats, the bracket in the formula
    of :mod:`kernel.brain.simulate`, `gain` (n_subjects,) its size in each subject. Raw simulations have
    `expected` (n_subjects, 28, n_windows, n_channels, n_bands), the log of the expected variance as
    differential entropy; ``faced`` has `deviation` (n_subjects, n_clips), each person's rating of valence net
    of person and clip.
    """

    settings: object
    valence: np.ndarray
    valence_pattern: np.ndarray
    effect: np.ndarray
    gain: np.ndarray
    expected: np.ndarray | None = None
    deviation: np.ndarray | None = None


def _generators(
    random_state: int | np.random.Generator | None, n_subjects: int
) -> tuple[np.random.Generator, np.random.Generator, list[np.random.Generator]]:
    """Generators of the patterns that subjects share, of the orders, and of each subject."""
    shared, orders, *subjects = np.random.default_rng(random_state).spawn(2 + count("n_subjects", n_subjects))
    return shared, orders, subjects


def _smooth_roots(directions: np.ndarray, n_bands: int) -> tuple[np.ndarray, np.ndarray]:
    """Roots of the correlations over places and over bands of a smooth pattern."""
    squared = ((directions[:, None] - directions[None]) ** 2).sum(-1)
    bands = np.arange(n_bands)
    return _root(np.exp(-squared / (2 * 0.6**2))), _root(0.5 ** np.abs(np.subtract.outer(bands, bands)))


def _unit_power(pattern: np.ndarray) -> np.ndarray:
    """Scale to unit root mean square over the last two axes."""
    return pattern / np.sqrt((pattern**2).mean((-2, -1), keepdims=True))


def _root(covariance: np.ndarray) -> np.ndarray:
    """Symmetric root of a covariance that may be singular; unlike other roots, the same on every machine."""
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T


@dataclass(frozen=True, eq=False)
class _Head:
    directions: np.ndarray  # (n_channels, 3), unit vectors from the centre; y to the nose, z up
    sources: np.ndarray  # (n_sources, 3), likewise
    lead_field: np.ndarray  # (n_channels, n_sources), average reference, mean squared row length 1
    correlation: np.ndarray  # (n_channels, n_channels), of independent sources of equal power
    log_gain: np.ndarray  # (n_channels,), log of the amplitude of these at each electrode


@lru_cache(maxsize=4)
def _head(channels: tuple[str, ...]) -> _Head:
    """Electrodes over N_SOURCES radial dipoles on a shell of mne's spherical head."""
    import mne

    info = scalp_info(channels, sfreq=250.0)  # positions alone matter
    centre = np.array([0.0, 0.0, 0.04])
    sphere = mne.make_sphere_model(r0=centre, head_radius=0.095, verbose="error")
    step = (np.arange(N_SOURCES) + 0.5) / N_SOURCES  # a Fibonacci spiral down to just below the equator
    height, angle = 1 - 1.1 * step, np.pi * (1 + 5**0.5) * N_SOURCES * step
    across = np.sqrt(1 - height**2)
    sources = np.column_stack([across * np.cos(angle), across * np.sin(angle), height])
    space = mne.setup_volume_source_space(
        pos={"rr": centre + 0.07 * sources, "nn": sources}, sphere=sphere, sphere_units="m", verbose="error"
    )
    identity = mne.transforms.Transform("head", "mri")
    forward = mne.make_forward_solution(info, identity, space, sphere, meg=False, eeg=True, verbose="error")
    forward = mne.convert_forward_solution(forward, force_fixed=True, verbose="error")
    lead_field = forward["sol"]["data"]
    lead_field = lead_field - lead_field.mean(0)
    lead_field /= np.sqrt((lead_field**2).sum(1).mean())
    length = np.sqrt((lead_field**2).sum(1))
    directions = np.array([channel["loc"][:3] for channel in info["chs"]]) - centre
    return _Head(
        directions=directions / np.linalg.norm(directions, axis=1, keepdims=True),
        sources=sources,
        lead_field=lead_field,
        correlation=(lead_field / length[:, None]) @ (lead_field / length[:, None]).T,
        log_gain=np.log(length),
    )
