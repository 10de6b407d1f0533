"""The valence axis of language models and human EEG, audited.

Three calls lead in: `construct_valence_axis` builds the axis of a language model and tests it on human
ratings; `map_vaxis_to_eeg` projects EEG onto it, tests the projection and reads the geometry of classifiers;
`residual_ensemble_decoding` decodes by an ensemble and says what each member adds.
"""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "construct_valence_axis": "kernel.language.study",
    "axis_positions": "kernel.language.study",
    "map_vaxis_to_eeg": "kernel.decoding.study",
    "residual_ensemble_decoding": "kernel.decoding.residual",
    "ResidualEnsembleClassifier": "kernel.decoding.residual",
    "load_cohort": "kernel.brain.sources",
    "run_registry": "kernel.language.study",
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
