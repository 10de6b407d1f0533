"""The valence axis of language models and human EEG, audited.

Three calls lead in: `construct_valence_axis` builds the axis of a language model and tests it on human
ratings; `map_vaxis_to_eeg` projects EEG onto it, tests the projection and reads the geometry of classifiers;
`residual_ensemble_decoding` decodes by an ensemble and says what each member adds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kernel.brain.faced_table import load_faced_table as load_faced_table
    from kernel.brain.power import power as power
    from kernel.brain.sources import load_cohort as load_cohort
    from kernel.decoding.rediscovery import map_vaxis_to_eeg as map_vaxis_to_eeg
    from kernel.decoding.residual import ResidualEnsembleClassifier as ResidualEnsembleClassifier
    from kernel.decoding.residual import residual_ensemble_decoding as residual_ensemble_decoding
    from kernel.language.axis import ValenceAxis as ValenceAxis
    from kernel.language.axis import agreement as agreement
    from kernel.language.construct import axis_positions as axis_positions
    from kernel.language.construct import construct_valence_axis as construct_valence_axis
    from kernel.language.construct import run_registry as run_registry
    from kernel.language.hidden import hidden_states as hidden_states
    from kernel.language.models import load_language_model as load_language_model
    from kernel.language.recipes import steady_axis as steady_axis
    from kernel.language.sentiment import load_benchmark as load_benchmark
    from kernel.language.sentiment import zero_shot as zero_shot
    from kernel.language.stories import load_stories as load_stories

__version__ = "0.6.0"

_HOMES = {
    "construct_valence_axis": "kernel.language.construct",
    "axis_positions": "kernel.language.construct",
    "map_vaxis_to_eeg": "kernel.decoding.rediscovery",
    "residual_ensemble_decoding": "kernel.decoding.residual",
    "ResidualEnsembleClassifier": "kernel.decoding.residual",
    "load_cohort": "kernel.brain.sources",
    "load_faced_table": "kernel.brain.faced_table",
    "power": "kernel.brain.power",
    "run_registry": "kernel.language.construct",
    "steady_axis": "kernel.language.recipes",
    "load_language_model": "kernel.language.models",
    "hidden_states": "kernel.language.hidden",
    "ValenceAxis": "kernel.language.axis",
    "agreement": "kernel.language.axis",
    "load_stories": "kernel.language.stories",
    "load_benchmark": "kernel.language.sentiment",
    "zero_shot": "kernel.language.sentiment",
}
__all__ = ["__version__", *sorted(_HOMES)]


def __getattr__(name: str) -> Any:
    # lazily, so that `python -m kernel.assets` and the version do not wait for torch
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'kernel' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
