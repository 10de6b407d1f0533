"""The controls: tables of :mod:`kernel.audit.trainings` on simulated cohorts, whose truth is known.

And tables over many cohorts, which people cannot give. Every row says that it is simulated. The material is
taken by all, so that they stand among the tables of FACED; most do not use it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any

import pandas as pd

from kernel.audit import trainings
from kernel.audit.material import Material
from kernel.audit.projection_rates import replicate
from kernel.audit.rediscovery_rates import rediscovery_p_values
from kernel.brain.cohort import Cohort
from kernel.brain.simulate import simulate_cohort
from kernel.brain.splits import make_split, usual_split
from kernel.decoding import contest, effects, interventions, rediscovery
from kernel.decoding.bank import train_bank
from kernel.decoding.effects import Interventions
from kernel.decoding.interventions import RECIPE

PRESETS = ("default", "strong_valence", "no_valence")
COHORTS = range(5)
#: Levels of training people, epochs and size of effects; the usual ones stand in `alignment_cohorts`.
LEVELS: dict[str, tuple[float, ...]] = {"subjects": (4, 16), "epochs": (2, 5), "signal": (0.5, 2.0)}


@lru_cache(maxsize=1)
def _planted(truth: str) -> Cohort:
    """The cohort of a preset and a seed, such as ``"default 0"``, in windows of ten seconds."""
    preset, seed = truth.split()
    return simulate_cohort(int(seed), preset, window=10.0)[0]


def on_simulated(
    compute: Callable[..., pd.DataFrame], material: Material, part: str, **options: Any
) -> pd.DataFrame:
    """A table of :mod:`kernel.audit.trainings`, `compute`, on a simulated cohort in the regime of means.

    A part is preset and seed, then what follows the regime in a part of the table. Axes are those of FACED's
    clips, which the simulated cohort has too.
    """
    truth, _, rest = part.partition(", ")
    simulated = Material(_planted(truth), material.axes)
    table = compute(simulated, ", ".join(filter(None, ["means", rest])), **options)
    return table.assign(truth=truth, simulated=True)


def parts_of(parts: Iterable[str], *truths: str) -> tuple[str, ...]:
    """Parts of `on_simulated` for the parts of a table that are of means."""
    rest = [part.partition(", ")[2] for part in parts if part.partition(", ")[0] == "means"]
    return tuple(f"{truth}, {one}" if one else truth for truth in truths for one in rest)


def simulated_rates(material: Material, part: str, seeds: Iterable[int] = range(16)) -> pd.DataFrame:
    """As :func:`~kernel.audit.rediscovery_rates.rediscovery_p_values`; the part is a preset."""
    return rediscovery_p_values(part, seeds).assign(truth=part, simulated=True)


# Alignment over cohorts

COHORT_PARTS = PRESETS
#: What varies, its level, and the preset: where training is short or people are few, also without valence.
REGIME_PARTS = (
    *(f"{axis}, {level:g}, default" for axis, levels in LEVELS.items() for level in levels),
    *(f"{axis}, {LEVELS[axis][0]:g}, no_valence" for axis in ("subjects", "epochs")),
)


def alignment_cohorts(
    material: Material, part: str, seeds: Iterable[int] = COHORTS, strategies: Sequence[int] = trainings.FOUR
) -> pd.DataFrame:
    """Four strategies, their placebos and trainings without, one of each on every cohort of a preset.

    Columns: ``truth``, ``cohort``, and those of :func:`kernel.audit.trainings.alignment` without people.
    """
    result = interventions.run_cohorts(seeds, part, strategies, seeds=1, n_jobs=1, progress=False)
    return _stored_rows(result).assign(truth=part)


def alignment_regimes(material: Material, part: str, seeds: Iterable[int] = COHORTS) -> pd.DataFrame:
    """The same at another level; `part` is what varies, the level and the preset."""
    axis, level, preset = part.split(", ")
    options = interventions.at_level(axis, float(level), preset)
    result = interventions.run_cohorts(
        seeds, strategies=trainings.FOUR, seeds=1, n_jobs=1, progress=False, **options
    )
    return _stored_rows(result).assign(axis=axis, level=float(level), truth=preset)


def _stored_rows(result: Interventions) -> pd.DataFrame:
    return result.table.drop(columns="delta").astype({"number": "Float64"}).assign(simulated=True)


def transfer(material: Material, part: str, seeds: Iterable[int] = trainings.SEEDS) -> pd.DataFrame:
    """Row 23 of the paper's table: from a cohort of FACED's design, the part, to one of SEED-V's."""
    result = interventions.run_interventions(
        _planted(part), [23], seeds=list(seeds), recipe=RECIPE, split="standard", n_jobs=1, progress=False
    )
    return _stored_rows(result).assign(truth=part)


# Ensembles over cohorts

CONTEST_PARTS = tuple(f"{preset} {seed}" for preset in PRESETS for seed in COHORTS)
HEADROOM_PARTS = tuple(f"default {seed}" for seed in range(12))
POOL_PARTS = tuple(f"default {seed}, {pool}" for seed in range(8) for pool in range(2))


def contest_cohorts(material: Material | None, part: str, **options: Any) -> pd.DataFrame:
    """The contest of ensembles on one cohort; `part` is preset and seed, options are those of the contest."""
    people, (preset, seed) = _planted(part), part.split()
    table = contest.contest(people, make_split(people, "standard"), progress=False, **options)
    return table.assign(preset=preset, cohort_seed=int(seed), simulated=True)


# Another data set

#: Cohorts in the designs of SEED-V and EmoEEG-MC.
OTHERS = ("SEED-V strong_valence", "SEED-V no_valence", "EmoEEG-MC strong_valence")
DESIGN_PARTS = ("SEED-V", "EmoEEG-MC")
MODEL = "SmolLM2-135M-Instruct"


@lru_cache(maxsize=1)
def other_cohort(name: str) -> Cohort:
    """One of `OTHERS`, in windows of 20 s (SEED-V) or 10 s, which save time."""
    design, preset = name.split()
    window = 20.0 if design == "SEED-V" else 10.0
    return simulate_cohort(0, preset, design=design, window=window)[0]


def replication_rates(material: Material, part: str, n_cohorts: int = 40) -> pd.DataFrame:
    """:func:`kernel.audit.projection_rates.replicate` for a design, which is the part."""
    return replicate(part, n_cohorts=n_cohorts).assign(design=part, simulated=True)


def replication_checkpoints(
    material: Material | None, part: str | Cohort, n_networks: int | None = None
) -> pd.DataFrame:
    """Twenty-four networks of a cohort, or the first so many, and what their class means share with the axis.

    A part is one of `OTHERS`, or a cohort of recordings; columns are those of the table of
    :func:`kernel.decoding.rediscovery.rediscovery`.
    """
    return _rediscovered(_cohort_of(part), n_networks).table


def replication_tests(material: Material | None, part: str | Cohort) -> pd.DataFrame:
    """What 24 networks, four strategies with placebos, and ten networks that vote give on a cohort, the part.

    Columns: ``test``: ``class PC1`` (r over networks, with p, ``null_sd`` and ``n``); ``true``, ``placebo``
    and ``beyond`` (change of accuracy, mean of the strategies); ``gain`` of ten networks over ``single``.
    ``value``, ``low``, ``high``, ``p``, ``null_sd``, ``n``, ``single``, ``data``, ``simulated``.
    """
    from kernel.language.construct import axis_positions

    people = _cohort_of(part)
    split = usual_split(people)
    table = _rediscovered(people).convergence_table()
    (pc1,) = table.query("scope == 'overall' and null == 'emotions permuted'").to_dict("records")
    places = axis_positions(MODEL, people.classes)
    aligned = interventions.run_interventions(
        people, trainings.FOUR, seeds=3, split=split, valence=places,
        n_jobs=1, progress=False,
    )  # fmt: skip
    voted = contest.contest(people, split, methods=["single network", "deep ensemble"], progress=False)
    single = voted.set_index("method").loc["single network"]
    gain = {"value": -single["difference"], "low": -single["high"], "high": -single["low"]}
    n = int(split.test.any(1).sum())
    rows = [
        {"test": "class PC1", "value": pc1["r"], **{name: pc1[name] for name in ("p", "null_sd", "n")}},
        *({"test": name, **row, "n": n} for name, row in effects.family_mean(aligned).iterrows()),
        {"test": "gain", **gain, "n": n, "single": single["bacc"]},
    ]
    columns = ["test", "value", "low", "high", "p", "null_sd", "n", "single"]
    return pd.DataFrame(rows, columns=columns).assign(data=people.label, simulated=people.simulated)


def _cohort_of(part: str | Cohort) -> Cohort:
    return other_cohort(part) if isinstance(part, str) else part


def _rediscovered(part: Cohort, n_networks: int | None = None) -> rediscovery.Rediscovery:
    from kernel.language.construct import axis_positions, story_axis

    axis = story_axis(MODEL, part.classes)
    prototypes = dict(zip(axis.classes_, axis.centroids_, strict=True))
    bank = train_bank(
        rediscovery.fewer_specs()[:n_networks], part, usual_split(part), prototypes=prototypes,
        baselines=False, n_jobs=1, progress=False,
    )  # fmt: skip
    return rediscovery.rediscovery(bank, rediscovery.clip_target(part, axis_positions(MODEL, part.classes)))
