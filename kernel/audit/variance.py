"""Sizes of what makes EEG and ratings vary: people, clips, drift and noise; real beside simulated."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from kernel.arrays import real
from kernel.audit.material import Material
from kernel.brain.cohort import Cohort, trial_features
from kernel.brain.components import variance_components


def variance(material: Material, part: str) -> pd.DataFrame:
    """Sizes of the components in each band, and shares of variance of EEG and of ratings; `part` is not used.

    Shares of EEG are those of the variance of single seconds, over people, clips and seconds; those of
    ratings are over trials, of which each has one rating.
    """
    sizes = variance_components(material.scalp)
    rows = [("sd", name, band, value) for name, row in sizes.iterrows() for band, value in row.items()]
    parts = sizes.loc[["person", "slope", "clip", "person x clip", "within clip"]] ** 2
    parts.loc["slope"] /= 3  # mean square of positions from -1 to 1
    for band, column in (parts / parts.sum()).items():
        rows += [(f"share, {band}", name, "EEG", value) for name, value in column.items()]
    for item in ("valence", "arousal", "liking", "familiarity"):
        shares = _variance_shares(material.scalp.person_rating(item))
        rows += [("share, ratings", name, item, value) for name, value in shares.items()]
    return pd.DataFrame(rows, columns=["quantity", "component", "of", "value"])


def profile(cohort: Cohort) -> pd.Series:
    """What a simulated cohort should share with a real one beyond the sizes of its components.

    ``sd`` of trial means within a person in each band (nats, root mean square over channels); correlation of
    ``channels`` (mean over pairs and bands) and of neighbouring ``bands`` (mean over channels), both of a
    person's seconds about their trial mean, mean over people.
    """
    names = list(cohort.bands)
    sd = np.sqrt(trial_features(cohort).var(1, ddof=1).mean((0, 1)))
    n_channels, n_bands = cohort.de.shape[3:]
    r = np.zeros((n_channels, n_bands, n_channels, n_bands))
    for block in cohort.de.astype(float):
        x = (block - block.mean(1, keepdims=True)).reshape(-1, n_channels * n_bands)
        r += np.corrcoef(x.T).reshape(r.shape) / len(cohort.de)
    pairs = np.triu_indices(n_channels, 1)
    space = np.mean([r[:, band, :, band][pairs].mean() for band in range(n_bands)])
    neighbours = [np.diagonal(r[:, b, :, b + 1]).mean() for b in range(n_bands - 1)]
    rows = {f"sd, {name}": value for name, value in zip(names, sd, strict=True)} | {"r of channels": space}
    rows |= {f"r of bands, {a}-{b}": value for a, b, value in zip(names, names[1:], neighbours, strict=False)}
    return pd.Series(rows)


def _variance_shares(x: ArrayLike) -> pd.Series:
    """Shares of the sum of squares of ratings (n_subjects, n_clips): ``person``, ``clip`` and ``rest``.

    They add up to 1. The rest is what lies between people within a clip beyond how high a person rates
    throughout.
    """
    x = real(x, "x")
    person, clip = x.mean(1, keepdims=True), x.mean(0, keepdims=True)
    parts = {"person": person - x.mean(), "clip": clip - x.mean(), "rest": x - person - clip + x.mean()}
    squares = pd.Series({name: float((part**2).mean()) for name, part in parts.items()})
    return squares / squares.sum()
