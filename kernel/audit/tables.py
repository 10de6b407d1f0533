"""Every stored table: the function that computes it, its parts, and what it is computed from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd

from kernel.audit import (
    projection_rates,
    same_clip,
    simulated,
    smoothing,
    specifications,
    stimuli,
    trainings,
    variance,
    words,
)
from kernel.audit.material import Material
from kernel.audit.specifications import MAP_AXES, TEST_AXES, WHOLE
from kernel.brain.components import simulate_components
from kernel.brain.designs import FACED_CLASSES, FACED_CLIP_EMOTIONS

#: What the stored tables of each folder of ``book/results`` are computed from.
CREDIT = {
    "faced": "Computed from FACED: Chen et al. (2023), Scientific Data 10:740, "
    "doi:10.1038/s41597-023-02650-w",
    "words": "Computed from rated texts by language models; sources and licences: "
    "`python -m kernel.assets list`",
}


@dataclass(frozen=True)
class Table:
    """A table of the audit: ``compute(material, part)`` gives the rows of one of its parts.

    One of the `quick` parts, which take seconds, is computed again when a chapter reads the table; by default
    any. ``check(material, part)`` gives some rows of a part where all of them would take long. Numbers of a
    `trained` table come from trained networks: see `TRAINED_TOLERANCE`. A table of ``words`` has no
    recordings: `needs` names the assets of a part.
    """

    compute: Callable[[Any, str], pd.DataFrame]
    parts: tuple[str, ...]
    quick: tuple[str, ...] | None = None
    check: Callable[[Any, str], pd.DataFrame] | None = None
    trained: bool = False
    needs: Callable[[str], Sequence[str]] | None = None

    @property
    def source(self) -> str:
        """A key of `CREDIT`, which also names the folder of the stored table."""
        return "faced" if self.needs is None else "words"

    def assets(self, parts: Iterable[str]) -> list[str]:
        """Assets that these parts are computed from."""
        return sorted({asset for part in parts for asset in (self.needs(part) if self.needs else ())})


_AXIS_MODELS = {"language model": "SmolLM2-135M-Instruct", "second model": "Gemma-3-270M"}


def _axes_of_clips(material: Material, part: str, models: Mapping[str, str] = _AXIS_MODELS) -> pd.DataFrame:
    """Positions of the 28 clips on the axes that the audit asks about; `part` is not used.

    Language models' axes, mean valence ratings of emotions and of clips, the code -1, 0, +1, and the axis
    recovered from the paper's printed figures.
    """
    from kernel.audit.reconstruction import recover_axis
    from kernel.brain.faced_table import load_faced_table
    from kernel.brain.ratings import load_ratings
    from kernel.language.construct import axis_positions
    from kernel.language.stories import VALENCE_CODE

    emotions = pd.Series(FACED_CLIP_EMOTIONS, index=range(1, len(FACED_CLIP_EMOTIONS) + 1))
    valence = load_ratings()["valence_mean"]
    means = load_faced_table()["raw_mean"].sel(people="all")
    positions = {column: emotions.map(axis_positions(name, FACED_CLASSES)) for column, name in models.items()}
    channels, bands = (means[axis].values.tolist() for axis in ("channel", "band"))
    return pd.DataFrame(
        {
            "clip": emotions.index,
            "emotion": emotions.to_numpy(),
            **{column: values.to_numpy() for column, values in positions.items()},
            "class ratings": valence.groupby(emotions).transform("mean").to_numpy(),
            "clip ratings": valence.to_numpy(),
            "sign code": emotions.map(VALENCE_CODE).to_numpy(dtype=float),
            "recovered": recover_axis(means.values, channels, bands, emotions.to_numpy()).axis,
        }
    )


def _simulated_tests(material: Material, part: str) -> pd.DataFrame:
    """Of the 20 cohorts of a part of `faced_calibration`: how many each test rejects, and its mean value."""
    table = projection_rates.faced_calibration(part).assign(cohorts=1)
    table["rejected"] = table["p"] <= 0.05 + 1e-12
    by_test = table.groupby(["truth", "estimator", "null"], sort=False)
    return by_test.agg({"cohorts": "sum", "rejected": "sum", "value": "mean"}).reset_index()


def _simulator_check(material: Material, part: str) -> pd.DataFrame:
    """The real cohort beside a simulated one of its sizes: `profile`, and how well clips are identified."""
    simulation, _ = simulate_components(0)
    columns = {}
    for name, cohort in {"real": material.scalp, "simulated": simulation}.items():
        identified = stimuli.identification(Material(cohort), "correlation")["accuracy"].mean()
        further = pd.Series({"clips identified, of 28": identified})
        columns[name] = pd.concat([variance.profile(cohort), further])
    return pd.DataFrame(columns).rename_axis("quantity").reset_index()


def _power_of_axes(material: Material, part: str) -> pd.DataFrame:
    """`axis_power` for the axes that have one position for each emotion."""
    names = ["class ratings", "language model", "second model"]
    return projection_rates.axis_power(part, {name: material.values(name) for name in names})


def _named(parts: Iterable[str], *functions: Callable[..., Any], **options: Any) -> dict[str, Table]:
    """Tables of the same parts, each named as the function that computes it."""
    return {function.__name__: Table(function, tuple(parts), **options) for function in functions}


def _networks(
    compute: Callable[..., pd.DataFrame],
    parts: Iterable[str],
    quick: Iterable[str] | None = None,
    **check: Any,
) -> Table:
    """A table of trained networks; `check` are options of `compute` that leave a few trainings of a part."""
    parts = tuple(parts)
    some = partial(compute, **check) if check else None
    return Table(compute, parts, parts[:1] if quick is None else tuple(quick), some, trained=True)


def _on_simulations(table: Table, *truths: str, parts: Iterable[str] | None = None) -> Table:
    """The same as a table of networks, of simulated cohorts of these truths, or of those that parts name."""
    parts = simulated.parts_of(table.parts, *truths) if parts is None else parts
    check = table.check.keywords if isinstance(table.check, partial) else {}
    quick = () if table.quick == () else None
    return _networks(partial(simulated.on_simulated, table.compute), parts, quick, **check)


_NETWORKS = {
    "decoders": _networks(
        trainings.decoders,
        trainings.DECODER_PARTS,
        ("means, emotions, seen", "means, moments, seen"),
        seeds=(0,),
    ),
    "checkpoints": _networks(trainings.checkpoints, trainings.CHECKPOINT_PARTS, recipes=("plain",)),
    "ablation": _networks(trainings.ablation_drops, trainings.CHECKPOINT_PARTS, recipes=("plain",)),
    "ablation_nulls": _networks(trainings.ablation_nulls, trainings.CHECKPOINT_PARTS, recipes=("plain",)),
    "alignment": _networks(
        trainings.alignment, trainings.ALIGNMENT_PARTS, trainings.ALIGNMENT_PARTS[:10], seeds=(0,)
    ),
    "doses": _networks(
        trainings.doses, trainings.DOSE_PARTS, trainings.DOSE_PARTS[:3], seeds=(0,), n_strengths=1
    ),
    "recipes": _networks(
        trainings.recipes, trainings.RECIPE_PARTS, trainings.RECIPE_PARTS[:4], seeds=(0,), strategies=(11,)
    ),
    "few_people": _networks(trainings.few_people, trainings.FEW_PARTS, trainings.FEW_PARTS[:2], seeds=(0,)),
    "mechanism": _networks(trainings.axis_shifts, trainings.REGIMES, seeds=(0,), strategies=(11,)),
    "contest": _networks(trainings.ensembles, trainings.CONTEST_PARTS, ("means, seeds",)),
    "pools": _networks(trainings.pools, trainings.POOL_PARTS, n_members=3),
    # of ensembles the contest is computed again, and these are not: each of their numbers takes ten trainings
    # or more, and is smaller than what two runs of the same training may differ by
    "axis_members": _networks(trainings.axis_members, trainings.REGIMES, ()),
    "pool_ends": _networks(trainings.pool_ends, trainings.POOL_PARTS, ()),
    "pool_growth": _networks(trainings.pool_growth, trainings.POOL_PARTS, ()),
    "comparisons": _networks(trainings.comparisons, trainings.COMPARISON_PARTS, ()),
    "headroom": _networks(trainings.headroom, trainings.RECIPE_PARTS),
    "online": _networks(trainings.online, trainings.ONLINE_PARTS, people=(100,)),
}
_TRUTHS = tuple(f"{preset} 0" for preset in simulated.PRESETS)
_CONTROLS = {
    **dict.fromkeys(("checkpoints", "ablation", "ablation_nulls"), _TRUTHS),
    **dict.fromkeys(("alignment", "doses", "axis_members", "comparisons"), ("default 0",)),
    "mechanism": ("strong_valence 0",),
}
_POOLS = ("pools", "pool_ends", "pool_growth")

#: Every table of the audit by name; ``axes`` comes first, because others need it.
TABLES: Mapping[str, Table] = {
    "axes": Table(_axes_of_clips, WHOLE, check=partial(_axes_of_clips, models={})),
    "simulator_check": Table(_simulator_check, WHOLE),
    **_named(WHOLE, variance.variance, specifications.reliability, specifications.jackknife),
    **_named(WHOLE, specifications.specification_share),
    "calibration": Table(_simulated_tests, projection_rates.FACED_CALIBRATION_PARTS),
    "power_of_axes": Table(_power_of_axes, projection_rates.FACED_CALIBRATION_PARTS),
    "held_out": Table(specifications.held_out_predictions, TEST_AXES),
    **_named(TEST_AXES, specifications.tests_of_projection, specifications.topography_tests),
    **_named(specifications.AVERAGINGS, specifications.specifications, specifications.map_choices),
    **_named(specifications.REMOVALS, specifications.greedy_removal),
    **_named(MAP_AXES, specifications.cells, specifications.map_means),
    **_named(stimuli.ACCURACY_PARTS, stimuli.accuracy_by_split),
    **_named(stimuli.PEOPLE_PARTS, stimuli.accuracy_by_people),
    **_named(stimuli.IDENTIFICATION_PARTS, stimuli.identification),
    **_named(stimuli.PSEUDO_PARTS, stimuli.pseudo_emotions),
    "time_course": Table(stimuli.segment_recognition, stimuli.TIME_PARTS),
    **_named(
        smoothing.SMOOTHING_PARTS,
        smoothing.smoothing,
        quick=smoothing.CONDITIONS,
        check=partial(smoothing.smoothing, n_folds=1),
    ),
    **_named(smoothing.PSEUDO_SMOOTHING_PARTS, smoothing.pseudo_smoothing),
    **_named(same_clip.CLIP_PARTS, same_clip.within_clip),
    **_named(same_clip.ITEMS, same_clip.within_people, same_clip.within_cells),
    **_named(same_clip.EYE_SETS, same_clip.within_eyes),
    **_named(same_clip.PLACEBO_PARTS, same_clip.within_placebo),
    "within_hard_placebo": Table(partial(same_clip.within_placebo, hard=True), same_clip.PLACEBO_PARTS),
    **_named(same_clip.CONTROL_PARTS, same_clip.within_controls),
    **_named(same_clip.BAND_PARTS, same_clip.within_bands),
    **_named(
        same_clip.RATES_PARTS, same_clip.within_rates, check=partial(same_clip.within_rates, n_cohorts=1)
    ),
    **_NETWORKS,
    **{f"simulated_{name}": _on_simulations(_NETWORKS[name], *truths) for name, truths in _CONTROLS.items()},
    **{f"simulated_{name}": _on_simulations(_NETWORKS[name], parts=simulated.POOL_PARTS) for name in _POOLS},
    "simulated_rates": _networks(simulated.simulated_rates, simulated.PRESETS, seeds=(0,)),
    "simulated_transfer": _networks(simulated.transfer, ("default 0",), seeds=(0,)),
    "simulated_cohorts": _networks(
        simulated.alignment_cohorts, simulated.COHORT_PARTS, seeds=(0,), strategies=(11,)
    ),
    "simulated_regimes": _networks(simulated.alignment_regimes, simulated.REGIME_PARTS, seeds=(0,)),
    "simulated_contest": _networks(simulated.contest_cohorts, simulated.CONTEST_PARTS, ()),
    "simulated_headroom": _networks(
        partial(simulated.contest_cohorts, methods=["single network", "deep ensemble"], n_members=5),
        simulated.HEADROOM_PARTS,
    ),
    "replication_rates": Table(
        simulated.replication_rates,
        simulated.DESIGN_PARTS,
        check=partial(simulated.replication_rates, n_cohorts=2),
    ),
    "replication_checkpoints": _networks(simulated.replication_checkpoints, simulated.OTHERS, n_networks=2),
    "replication_tests": _networks(simulated.replication_tests, simulated.OTHERS, ()),
    **{
        function.__name__: Table(function, parts, quick, needs=words.needs)
        for function, parts, quick in (
            (words.recipe_reproducibility, words.RECIPE_PARTS, words.RECIPE_PARTS[:1]),
            (words.recipe_positions, words.POSITION_PARTS, words.RECIPE_PARTS[:1]),
            (words.text_scores, words.SCORE_PARTS, ("sst2; no model", "tweeteval; no model")),
            # minutes for each model; the same states and axes give a part of the tables above
            (words.models_agree, words.AGREEMENT_PARTS, ()),
            (words.comments, words.COMMENT_PARTS, ()),
        )
    },
}
