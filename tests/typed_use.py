"""The public names as a type checker sees them; `make lint` runs mypy on this file, nothing imports it.

The package loads its names lazily: without declarations they would be Any, and every misuse would pass.
Strict mode refuses an ignored error that is none, so each misuse below must really be found.
"""

from __future__ import annotations

from typing import assert_type

import numpy as np
import xarray as xr

import kernel
from kernel.brain.cohort import Cohort
from kernel.decoding.rediscovery import AxisInEEG
from kernel.decoding.residual import EnsembleDecoding
from kernel.language.construct import ValenceAxisResult
from kernel.language.models import LanguageModel
from kernel.language.recipes import TextAxis
from kernel.language.sentiment import Benchmark, ZeroShot
from kernel.language.stories import Stories


def right(scores: np.ndarray) -> None:
    lm = kernel.load_language_model("SmolLM2-135M-Instruct", device="cpu")
    assert_type(lm, LanguageModel)
    assert_type(kernel.construct_valence_axis(lm, layer=-2), ValenceAxisResult)
    assert_type(kernel.steady_axis(lm), TextAxis)
    stories = kernel.load_stories("main", n_per_emotion=6)
    assert_type(stories, Stories)
    states = kernel.hidden_states(lm, stories.texts, layers="penultimate")
    axis = kernel.ValenceAxis().fit(states[:, 0], stories.emotions)
    assert_type(axis, kernel.ValenceAxis)
    benchmark = kernel.load_benchmark("movie")
    assert_type(benchmark, Benchmark)
    assert_type(kernel.zero_shot(scores, benchmark), ZeroShot)
    cohort = kernel.load_cohort()
    assert_type(cohort, Cohort)
    assert_type(kernel.load_faced_table(), xr.Dataset)
    assert_type(kernel.map_vaxis_to_eeg(cohort, kernel.axis_positions(lm)), AxisInEEG)
    decoding = kernel.residual_ensemble_decoding(None, "drop_basin", scores, scores, scores)
    assert_type(decoding, EnsembleDecoding)


def wrong(lm: LanguageModel, cohort: Cohort) -> None:
    kernel.load_language_model(3)  # type: ignore[arg-type]
    kernel.construct_valence_axis(lm, layers=3)  # type: ignore[call-arg]
    kernel.map_vaxis_to_eeg(cohort, ["joy", "anger"])  # type: ignore[arg-type]
    kernel.load_stories(n_per_emotion="six")  # type: ignore[arg-type]
    print(kernel.load_cohort().trainings)  # type: ignore[attr-defined]
