"""The tables of :mod:`kernel.decoding.trained` on simulated cohorts, whose truth is known: the controls.

In:  what a table of FACED needs; names of presets and seeds of cohorts.
Out: the same tables with a column ``truth``; tables over many cohorts, which people cannot give.
Never: a row that does not say that it is simulated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

import pandas as pd

from kernel.brain.cohort import Cohort, make_split
from kernel.brain.material import Material
from kernel.brain.simulate import simulate_cohort
from kernel.decoding import contest, interventions, study, trained
from kernel.decoding.interventions import RECIPE, Interventions

PRESETS = ("default", "strong_valence", "no_valence")
COHORTS = range(5)
#: Levels of training people, epochs and size of effects; the usual ones stand in `alignment_cohorts`.
LEVELS: dict[str, tuple[float, ...]] = {"subjects": (4, 16), "epochs": (2, 5), "signal": (0.5, 2.0)}


@lru_cache(maxsize=1)
def cohort(truth: str) -> Cohort:
    """The cohort of a preset and a seed, such as ``"default 0"``, in windows of ten seconds."""
    preset, seed = truth.split()
    return simulate_cohort(int(seed), preset, window=10.0)[0]


def on_simulated(
    compute: Callable[..., pd.DataFrame], material: Material, part: str, **options: Any
) -> pd.DataFrame:
    """A table of :mod:`kernel.decoding.trained` on a simulated cohort, in the regime of means.

    Parameters
    ----------
    compute : callable
        The table's function.
    material : Material
        Its axes are those of FACED's clips, which the simulated cohort has too.
    part : str
        Preset and seed, then what follows the regime in a part of the table.
    **options
        Of `compute`.
    """
    truth, _, rest = part.partition(", ")
    own = Material(cohort(truth), material.axes)
    table = compute(own, ", ".join(filter(None, ["means", rest])), **options)
    return table.assign(truth=truth, simulated=True)


def parts_of(parts: Iterable[str], *truths: str) -> tuple[str, ...]:
    """Parts of `on_simulated` for the parts of a table that are of means."""
    rest = [part.partition(", ")[2] for part in parts if part.partition(", ")[0] == "means"]
    return tuple(f"{truth}, {one}" if one else truth for truth in truths for one in rest)


def rediscovery_rates(material: Material, part: str, seeds: Iterable[int] = range(16)) -> pd.DataFrame:
    """Every test of the convergence claim on cohorts of a preset, which is the part.

    As :func:`kernel.decoding.study.rediscovery_p_values`.
    """
    table = study.rediscovery_p_values([part], seeds, n_jobs=1, progress=False)
    return table.assign(truth=table["truth"].astype(str), simulated=True)


# Alignment over cohorts

COHORT_PARTS = PRESETS
REGIME_PARTS = tuple(f"{axis}, {level:g}" for axis, levels in LEVELS.items() for level in levels)


def alignment_cohorts(material: Material, part: str, seeds: Iterable[int] = COHORTS) -> pd.DataFrame:
    """Four strategies, their placebos and trainings without, one of each on every cohort of a preset.

    Returns
    -------
    DataFrame
        ``truth``, ``cohort``, ``label``, ``number``, ``strategy``, ``family``, ``strength``, ``arm``,
        ``seed``, ``validation``, ``bacc``; :func:`kernel.decoding.trained.as_interventions` reads it.
    """
    result = interventions.run_cohorts(seeds, part, trained.FOUR, seeds=1, n_jobs=1, progress=False)
    return _rows(result).assign(truth=part)


def alignment_regimes(material: Material, part: str, seeds: Iterable[int] = COHORTS) -> pd.DataFrame:
    """The same on cohorts of the default preset at another level; `part` is what varies and the level."""
    axis, _, level = part.partition(", ")
    result = interventions.regime_map(
        axis, [float(level)], trained.FOUR, cohort_seeds=seeds, seeds=1, n_jobs=1, progress=False
    )
    return _rows(result[float(level)]).assign(axis=axis, level=float(level))


def _rows(result: Interventions) -> pd.DataFrame:
    return result.table.drop(columns="delta").astype({"number": "Float64"}).assign(simulated=True)


def transfer(material: Material, part: str, seeds: Iterable[int] = trained.SEEDS) -> pd.DataFrame:
    """Row 23 of the paper's table: from a cohort of FACED's design to one of SEED-V's.

    `part` names the first; rows as `alignment_cohorts`.
    """
    source = cohort(part)
    result = interventions.run_interventions(
        source, [23], seeds=list(seeds), recipe=RECIPE, split="standard", n_jobs=1, progress=False
    )
    return _rows(result).assign(truth=part)


# Ensembles over cohorts

CONTEST_PARTS = tuple(f"{preset} {seed}" for preset in PRESETS for seed in COHORTS)
HEADROOM_PARTS = tuple(f"default {seed}" for seed in range(12))
POOL_PARTS = tuple(f"default {seed}, {pool}" for seed in range(8) for pool in range(2))


def contest_cohorts(material: Material, part: str, methods: Iterable[str] | None = None) -> pd.DataFrame:
    """The contest of ensembles on one cohort; `part` is preset and seed."""
    return _contest(part, methods=methods)


def headroom_cohorts(material: Material, part: str) -> pd.DataFrame:
    """Single networks and their ensembles of five on one cohort; `part` is preset and seed."""
    return _contest(part, methods=["single network", "deep ensemble"], n_members=5)


def _contest(part: str, **options: Any) -> pd.DataFrame:
    own, (preset, seed) = cohort(part), part.split()
    table = contest.contest(own, make_split(own, "standard"), progress=False, **options)
    return table.assign(preset=preset, cohort_seed=int(seed), simulated=True)
