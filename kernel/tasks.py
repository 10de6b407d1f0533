"""What each task of a study does, and where its result lies: tables of rows, and what later stages need."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kernel import checks
from kernel.brain import ratings
from kernel.brain.cohort import Cohort
from kernel.brain.designs import scalp_channels
from kernel.brain.simulate import simulate_cohort
from kernel.brain.sources import load_cohort
from kernel.brain.splits import Split, make_split, usual_split
from kernel.brain.tracking import AxisProjection, map_vaxis_to_scalp, project_vaxis
from kernel.decoding import ablation as ablations
from kernel.decoding import interventions
from kernel.decoding import rediscovery as classifiers
from kernel.decoding.bank import train_bank
from kernel.decoding.checkpoints import Bank
from kernel.decoding.contest import contest
from kernel.decoding.training import TrainingSpec
from kernel.language.construct import construct_valence_axis, story_axis
from kernel.language.stories import diverse_stories
from kernel.plans import CHECKPOINTS, Study, StudyError, Task

#: What every row of a result carries.
STAMP = ("data", "simulated", "source", "seed", "device", "versions", "package")
#: Tables of rows, and what later stages need as ``kept``.
Result = dict[str, Any]


class Results:
    """Results in a study's folder by the labels of tasks, under the names that the last run has set."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            self.names: dict[str, str] = dict(json.loads((folder / "tasks.json").read_text(encoding="utf-8")))
        except FileNotFoundError:
            self.names = {}
        except (ValueError, TypeError) as error:
            raise StudyError(f"{folder / 'tasks.json'} is damaged ({error}): run the study again") from error

    def place(self, label: str) -> Path:
        return self.folder / "tasks" / f"{self.names[label]}.json"

    def read(self, label: str) -> Result | None:
        """A finished task's result; None if there is none, with a warning if its file is damaged."""
        if label not in self.names or (label == "cohort" and not (self.folder / "cohort.nc").is_file()):
            return None  # without a cohort, what the others read is gone
        try:
            result = json.loads(self.place(label).read_text(encoding="utf-8"))
            missing = {*STAMP, "cpu_s"} - set(result.get("provenance", {}))
            if not isinstance(result["tables"], dict) or missing:
                raise TypeError(f"without {', '.join(sorted(missing)) or 'tables'}")
            return result
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            place = self.place(label)
            warnings.warn(f"the result {place} cannot be read ({error}): computing it anew", stacklevel=2)
            return None

    def missing(self, tasks: Sequence[Task]) -> list[Task]:
        return [task for task in tasks if self.read(task.label) is None]


def _cohort_task(study: Study, folder: Path, what: str) -> Result:
    if study.path is not None:
        cohort = load_cohort(study.path, progress=False)
    else:
        size = {"n_subjects": study.subjects} if study.design == "FACED" else {"design": study.design}
        cohort, _ = simulate_cohort(study.cohort_seed, study.preset, **size)
    split = _split(study, _of_bands(study, cohort))  # an impossible one shows here
    if any(task.trainings for task in study.plan()):
        split.require_test_subjects()
    lack = set(cohort.classes) - set(study.stories or diverse_stories().sources)
    if lack:
        raise StudyError(
            f"the emotions {sorted(lack)} have no stories: give the study some for each emotion, "
            f"as 'stories: {{{min(lack)}: [...], ...}}', and as 'orient' the pleasant one"
        )
    checks.choice("orient", study.orient, cohort.classes, error=StudyError)
    if len(cohort.classes) < 3:
        raise StudyError(f"the cohort has the emotions {', '.join(cohort.classes)}: a study asks about three")
    cohort.save(folder / "cohort.nc")
    row = {"subjects": len(cohort.subjects), "clips": len(cohort.clips), "channels": len(cohort.channels)}
    return {"tables": {"cohort": [{**row, "bands": ", ".join(cohort.bands)}]}}


def _axis_task(study: Study, folder: Path, what: str) -> Result:
    classes = _read_cohort(study, folder).classes
    stories = {emotion: study.stories[emotion] for emotion in classes} if study.stories else classes
    axis = story_axis(what, stories, orient=study.orient)
    positions = dict(zip(axis.classes_, axis.positions_, strict=True))
    tables = {"axis": [{"model": what, "emotion": e, "position": float(positions[e])} for e in classes]}
    if study.texts:
        scored = construct_valence_axis(
            what, n_texts=study.texts, random_state=study.random_state, progress=False
        )
        tables["sentiment"] = _records(scored.sentiment, model=what)
    prototypes = axis.centroids_[[axis.classes_.index(e) for e in classes]]
    return {"tables": tables, "kept": {"prototypes": _coordinates(prototypes).tolist()}}


def _projection_task(study: Study, folder: Path, what: str) -> Result:
    cohort = _read_cohort(study, folder)
    human = ratings.load_ratings().groupby("emotion")["valence_mean"].mean().to_dict()
    projection = project_vaxis(
        cohort, _axis_positions(folder, what), valence=human if set(cohort.classes) <= set(human) else None,
        n_permutations=study.permutations, n_slow=study.slow_permutations, random_state=study.random_state,
    )  # fmt: skip
    rows = _records(projection.tests, model=what)
    return {"tables": {"projection": rows, "judged": projection_results(projection, note=what)}}


def projection_results(projection: AxisProjection, *, note: str = "") -> list[dict[str, Any]]:
    """What a projection says to the claims about it, as arguments of :func:`kernel.claims.record`."""
    tests = projection.tests.set_index(["scheme", "null"])[["r", "p"]]
    tracking, order, classes = projection.tracking, projection.order_removed, projection.classes
    n_clips, n_trials = len(projection.positions), int(np.isfinite(projection.features[..., 0, 0]).sum())
    results: dict[str, Any] = {
        "C4.ridge_in_sample": (*tests.loc[("in_sample", "emotions")], n_clips),
        "C4.ridge_leave_clip_out": (*tests.loc[("leave_one_clip_out", "emotions")], n_clips),
        "C4.random_axes": (*tests.loc[("leave_one_clip_out", "class_constant")], n_clips),
        "C4.ridge_leave_emotion_out": (tracking.r, tracking.p, n_clips),
        "C4.position_removed": order and (order.r, order.p, n_clips),
        "C4.tracked": order and (tracking.r, max(tracking.p, order.p), n_clips),
        "C4.class_level": classes and (classes.observed, classes.p, len(set(projection.emotions))),
        "C4.trial_level": (projection.trials.observed, projection.trials.p, n_trials),
    }
    rows = [
        {"claim_id": claim, "value": float(result[0]), "p": float(result[1]), "n": int(result[2])}
        for claim, result in results.items()
        if result
    ]
    if projection.reliability:
        value, low, high = map(float, projection.reliability)
        n = len(projection.features)
        rows.append({"claim_id": "C4.reliability", "value": value, "low": low, "high": high, "n": n})
    return [_judged(row, projection, note) for row in rows]


def _topography_task(study: Study, folder: Path, what: str) -> Result:
    cohort = _read_cohort(study, folder)
    if not scalp_channels(cohort.channels):
        why = f"no channel has a place in the 10-05 system, {cohort.channels[0]} neither: rename them"
        return {"tables": {"refused": [{"part": "topography", "why": why}]}}
    scalp = map_vaxis_to_scalp(
        cohort, _axis_positions(folder, what), n_permutations=study.permutations,
        n_slow=study.slow_permutations, random_state=study.random_state,
    )  # fmt: skip
    cells = scalp.cells.table(scalp.channels, scalp.bands).reset_index()
    tests = {"occipital minus frontal": scalp.occipital, "alpha minus other bands": scalp.alpha}
    results = {name: (test.observed, test.p) for name, test in tests.items() if test}
    results["best cell"] = (cells["r"].iloc[0], scalp.cells.p_best)
    rows = [
        {"model": what, "test": name, "value": float(value), "p": float(p)}
        for name, (value, p) in results.items()
    ]
    return {"tables": {"topography": rows, "cells": _records(cells, model=what)}}


def _training_task(study: Study, folder: Path, what: str) -> Result:
    table = _bank(study, folder, study.groups[what]).table()
    columns = ["recipe", "network", "epochs", "parameters", "validation", "test"]
    return {"tables": {"trainings": _records(table.loc[table["recipe"] != "baseline", columns])}}


def _rediscovery_task(study: Study, folder: Path, what: str) -> Result:
    bank = _bank(study, folder, CHECKPOINTS[study.checkpoints](study.random_state))
    scores = classifiers.rediscovery(
        bank, classifiers.clip_target(_read_cohort(study, folder), _axis_positions(folder, what)),
        random_state=study.random_state, n_permutations=study.permutations, n_null=study.slow_permutations,
    )  # fmt: skip
    tables = {
        "members": _records(bank.ranking(random_state=study.random_state)),
        "rediscovery": _records(scores.table, model=what),
    }
    judged = []
    if scores.table["recipe"].nunique() >= 3:  # a correlation between recipes needs three
        convergence = scores.convergence_table(random_state=study.random_state)
        tables["convergence"] = _records(convergence, model=what)
        tests = convergence.set_index(["score", "null", "scope"])
        for claim, score, null in (
            ("C6.class_pc1", "class PC1", "emotions permuted"),
            ("C6.residual", "residual, held-out clips", "targets permuted within class"),
        ):
            if (score, null, "overall") in tests.index:
                row = tests.loc[score, null, "overall"]
                numbers = {"value": float(row["r"]), "p": float(row["p"]), "n": len(bank)}
                judged.append({"claim_id": claim, **numbers})
    if scores.directions:
        loss = ablations.ablation_summary(ablations.ablation(bank, scores, random_state=study.random_state))
        tables["ablation"] = _records(loss, model=what)
        whole = loss[loss["part"] == "whole"].set_index("control")
        for claim, control in {"C6.ablation": "random_target", "C6.ablation_isotropic": "isotropic"}.items():
            row = whole.loc[ablations.CONTROLS[control]]
            numbers = {"value": float(row["drop"]), "p": float(row["p"]), "n": int(row["n"])}
            judged.append({"claim_id": claim, **numbers})
    tables["judged"] = [_judged(row, scores, what) for row in judged]
    return {"tables": tables}


def _base_task(study: Study, folder: Path, what: str) -> Result:
    seeds, recipe = _seeds(study), study.recipe
    bank = _bank(study, folder, [replace(recipe, seed=seed, recipe="base") for seed in seeds])
    rows = [{"seed": s, "test": float(b)} for s, b in zip(seeds, bank.bacc("test"), strict=True)]
    return {"tables": {"base": rows}}


def _strategy_task(study: Study, folder: Path, what: str) -> Result:
    cohort, recipe = _read_cohort(study, folder), study.recipe
    values = interventions.default_values(cohort, [_axis_positions(folder, name) for name in study.models])
    alignment = {what: study.alignments[what]}
    able, refused = interventions.possible_strategies(cohort, alignment, values=values, recipe=recipe)
    if not able:
        return {"tables": {"refused": [{"part": what, "why": refused[what]}]}}
    effects = interventions.run_interventions(
        cohort, able, seeds=_seeds(study), split=_split(study, cohort), valence=values, recipe=recipe,
        segment=study.segment, folder=folder / "trainings", device=study.torch_device, n_jobs=1,
        progress=False,
    )  # fmt: skip
    kept = {
        "hits": [hits.tolist() for hits in effects.hits],
        "counts": [counts.tolist() for counts in effects.counts],
        "twin": effects.twin.tolist(),
    }
    return {"tables": {"strategies": _records(effects.table)}, "kept": kept}


def _contest_task(study: Study, folder: Path, what: str) -> Result:
    cohort = _read_cohort(study, folder)
    split = _split(study, cohort)
    table = contest(
        cohort, split, n_members=study.members, segment=study.segment, random_state=study.random_state,
        folder=folder / "trainings", progress=False,
    )  # fmt: skip
    single = table.set_index("method").loc["single network"]
    gain = {
        "claim_id": "C8.gain", "value": -float(single["difference"]), "low": -float(single["high"]),
        "high": -float(single["low"]), "n": int(split.test.any(1).sum()),
    }  # fmt: skip
    judged = [_judged(gain, cohort, f"{study.members} seeds of one small network")]
    return {"tables": {"contest": _records(table), "judged": judged}}


KINDS: dict[str, Callable[[Study, Path, str], Result]] = {
    "cohort": _cohort_task,
    "axis": _axis_task,
    "projection": _projection_task,
    "topography": _topography_task,
    "training": _training_task,
    "base": _base_task,
    "rediscovery": _rediscovery_task,
    "strategy": _strategy_task,
    "contest": _contest_task,
}


def _records(table: pd.DataFrame, **columns: Any) -> list[dict[str, Any]]:
    return table.assign(**columns).to_dict("records")


def _judged(row: dict[str, Any], source: Any, note: str) -> dict[str, Any]:
    """A result for the ledger with the label of its data."""
    return {**row, "data": source.label, "simulated": source.simulated, "note": note}


def _seeds(study: Study) -> list[int]:
    return list(range(study.random_state, study.random_state + study.seeds))


def _of_bands(study: Study, cohort: Cohort) -> Cohort:
    return cohort if study.bands is None else cohort.select(bands=study.bands)


def _read_cohort(study: Study, folder: Path) -> Cohort:
    return _of_bands(study, Cohort.load(folder / "cohort.nc"))


def _split(study: Study, cohort: Cohort) -> Split:
    if study.split is None:
        return usual_split(cohort)
    return make_split(cohort, study.split, fold=study.fold, random_state=study.random_state)


def _axis_positions(folder: Path, model: str) -> dict[str, float]:
    rows = _axis_result(folder, model)["tables"]["axis"]
    return {row["emotion"]: row["position"] for row in rows}


def _axis_result(folder: Path, model: str) -> Result:
    result = Results(folder).read(f"axis {model}")
    if result is None:
        raise StudyError(f"the result of 'axis {model}' is missing in {folder}: run the study again")
    return result


def _bank(study: Study, folder: Path, specs: Sequence[TrainingSpec]) -> Bank:
    cohort = _read_cohort(study, folder)
    prototypes = np.array(_axis_result(folder, study.models[0])["kept"]["prototypes"])
    return train_bank(
        specs, cohort, _split(study, cohort), segment=study.segment, prototypes=prototypes,
        folder=folder / "trainings", n_jobs=1, device=study.torch_device, progress=False,
    )  # fmt: skip


def _coordinates(prototypes: np.ndarray) -> np.ndarray:
    """As many coordinates as there are classes, in which all cosines after centring stay what they are."""
    u, s, _ = np.linalg.svd(prototypes - prototypes.mean(0), full_matrices=False)
    return u * s
