"""How small an effect a design can detect: effects of known size planted into one's own recordings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from kernel import checks
from kernel.brain.cohort import Cohort, cohort_tensor, standardise
from kernel.brain.projection import track
from kernel.brain.ridge import Device
from kernel.brain.tracking import clip_values


def power(
    cohort: Cohort,
    positions: Mapping[str, float],
    *,
    sizes: Sequence[float] = (0.0, 0.1, 0.2, 0.3, 0.5, 1.0),
    n_draws: int = 100,
    n_permutations: int = 199,
    level: float = 0.05,
    random_state: int = 0,
    device: Device = None,
) -> pd.DataFrame:
    r"""How often the test of a projection on unseen emotions finds an effect planted into a cohort.

    A draw deals the positions out to other emotions, which breaks whatever link there was. It then adds to
    feature f of clip c, the mean over people, :math:`s \, \sigma_f \, w_f \, z_c`: the size s times the
    standard deviation of the feature between clips, a random weight of variance 1, and the standardised
    position. So size 1 is as large as all else in which clips differ; size 0 gives the false alarms.

    Parameters
    ----------
    cohort, positions
        Recordings, or others of the same design; position of each emotion on the axis.
    sizes : sequence of float
        Sizes s to plant, 0 or more.
    n_draws, n_permutations : int
        Draws for each size, and permuted emotions of each test.
    level : float
        Of the test.
    random_state, device
        Seed, the sizes share their draws; see `kernel.checks.device`.

    Returns
    -------
    DataFrame
        A row for each size: ``size``, ``found`` (share of draws with p <= level), ``low``, ``high`` (exact
        95 % interval), ``draws``.
    """
    checks.count("n_draws", n_draws, 10)
    checks.count("n_permutations", n_permutations, 19)
    checks.between("level", level, 0, 1)
    for size in checks.choices("sizes", sizes):
        checks.between("size", size, 0, np.inf, closed="low")
    values, emotions = clip_values(cohort, positions, "position"), cohort.emotions
    X = cohort_tensor(standardise(cohort)).reshape(len(emotions), -1)
    _, first, code = np.unique(emotions, return_index=True, return_inverse=True)
    hits = np.zeros(len(sizes), dtype=int)
    for draw, rng in enumerate(np.random.default_rng(random_state).spawn(n_draws)):
        y = rng.permutation(values[first])[code]
        pattern = X.std(0) * rng.standard_normal(X.shape[1])
        effect = np.outer((y - y.mean()) / y.std(), pattern)
        options: Any = {"n_permutations": n_permutations, "random_state": draw, "device": device}
        hits += [track(X + size * effect, y, emotions, **options).p <= level for size in sizes]
    limits = pd.DataFrame([binomtest(int(n), n_draws).proportion_ci() for n in hits], columns=["low", "high"])
    return pd.DataFrame({"size": sizes, "found": hits / n_draws}).join(limits).assign(draws=n_draws)
