"""One file, one run: what the chapters ask, on the data and with the settings of a short YAML file.

In:  a YAML file, or a `Study`; a folder of its own for each study.
Out: ``tasks/<id>.json``, one for each independent task, ``tasks.json``, ``trainings/``, ``results/*.csv``, a
ledger.
Never computes a finished task again, never mixes results of two studies or of two versions of the package,
never leaves half a file: a run that was interrupted anywhere goes on where it stopped.

Tasks are run by joblib, here or on a Dask cluster, whose workers must see the same folder.
"""

from __future__ import annotations

import errno
import json
import os
import platform
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from difflib import get_close_matches
from importlib import resources
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from filelock import Timeout
from joblib import Parallel, delayed, parallel_config
from threadpoolctl import threadpool_limits
from tqdm.auto import tqdm

from kernel import audit, claims, files, ratings
from kernel.brain.cohort import SPLITS, Cohort, Split, make_split
from kernel.brain.features import BANDS
from kernel.brain.simulate import DESIGNS, PRESET_NAMES, simulate_cohort
from kernel.brain.sources import load_cohort
from kernel.brain.study import AxisProjection, map_vaxis_to_scalp, project_vaxis
from kernel.decoding import interventions
from kernel.decoding.ablation import CONTROLS, ablation, ablation_summary
from kernel.decoding.alignment import NAMED, PAPER_ROWS
from kernel.decoding.bank import Bank, TrainingSpec, train_bank
from kernel.decoding.contest import contest
from kernel.decoding.interventions import RECIPE, Interventions
from kernel.decoding.rates import rate_specs
from kernel.decoding.study import (
    checkpoint_specs,
    clip_target,
    convergence_table,
    fewer_specs,
    members_table,
    rediscovery,
    usual_split,
)
from kernel.language.models import REGISTRY
from kernel.language.study import construct_valence_axis, story_axis
from kernel.threads import one_thread, with_settings

#: Which classifiers a study trains.
CHECKPOINTS: dict[str, Callable[[int], list[TrainingSpec]]] = {
    "full": checkpoint_specs,
    "fewer": fewer_specs,
    "short": rate_specs,
    "none": lambda seed: [],
}
#: Rounds in which tasks of killed workers are given out again.
ROUNDS = 3
_IDS = "tasks.json"  # their names
#: Errors of the system that mean the study's disk, not a task.
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)


class StudyError(ValueError):
    """A study that cannot be read, or that cannot go on; says what to change."""


@dataclass(frozen=True)
class Study:
    """What is asked of which data. The defaults are those of the chapters: everything, on a simulated cohort.

    Attributes
    ----------
    path : str or None
        A folder of FACED, SEED-V or EmoEEG-MC, or a file of :meth:`~kernel.brain.cohort.Cohort.save`; without
        it the cohort is simulated.
    preset, design : str
        What is planted in a simulated cohort, and the design that it follows.
    subjects : int
        People of a simulated cohort of FACED's design.
    cohort_seed : int
        Of a simulated cohort.
    bands : tuple of str or None
        Bands to keep; None keeps all.
    segment : float or None
        Seconds of a sample of the classifiers; None takes 10 s or what is nearest.
    split : str or None
        As for :func:`~kernel.brain.cohort.make_split`; None takes the usual one of the data set.
    fold : int
        Of the split.
    models : tuple of str
        Language models whose axes are built; the first gives prototypes.
    texts : int
        Rated texts from each benchmark on which an axis is tested; 0 skips the test.
    checkpoints : str
        ``full`` (36 trainings), ``fewer`` (24), ``short`` (6) or ``none``.
    strategies : tuple of int and str, or None
        Rows of the paper's table of alignment and names; None takes all 25 rows and the named ones, an empty
        list none.
    seeds : int
        Of each strategy.
    epochs : int or None
        Of trainings with and without a strategy; None keeps the chapters'.
    members : int
        Of each ensemble; 0 leaves the contest out.
    permutations, slow_permutations : int
        Draws of each null; the latter where each draw is dear.
    device : str
        ``auto``, ``cpu``, ``cuda`` or another name that torch knows.
    random_state : int
        Seed of trainings, nulls and intervals.
    tables : tuple of str
        Tables of the book, computed from FACED, instead of all that stands above (:mod:`kernel.audit`); the
        word ``all`` takes every one.
    """

    path: str | None = None
    preset: str = "default"
    design: str = "FACED"
    subjects: int = 123
    cohort_seed: int = 0
    bands: tuple[str, ...] | None = None
    segment: float | None = None
    split: str | None = None
    fold: int = 0
    models: tuple[str, ...] = ("SmolLM2-135M-Instruct", "Gemma-3-270M")
    texts: int = 300
    checkpoints: str = "full"
    strategies: tuple[int | str, ...] | None = None
    seeds: int = 5
    epochs: int | None = None
    members: int = 10
    permutations: int = 10_000
    slow_permutations: int = 1000
    device: str = "auto"
    random_state: int = 0
    tables: tuple[str, ...] | str = ()

    def __post_init__(self) -> None:
        if self.tables == "all":
            object.__setattr__(self, "tables", tuple(audit.TABLES))
        for name in ("bands", "models", "strategies", "tables"):
            if isinstance(getattr(self, name), list):
                object.__setattr__(self, name, tuple(getattr(self, name)))
        _check(self)
        if self.path is not None:
            object.__setattr__(self, "path", str(files.absolute(self.path)))

    @property
    def torch_device(self) -> str | None:
        """The device as torch takes it, None for its best."""
        return None if self.device == "auto" else self.device


# ---- reading and checking


def load_study(path: str | Path) -> Study:
    """Read a study from YAML; an empty file is the study of the chapters.

    Parameters
    ----------
    path : path-like
        The file. A relative ``path`` in it is taken from its folder.

    Returns
    -------
    Study

    Raises
    ------
    StudyError
        If the file cannot be read, holds an unknown key or an impossible value: names file, key and cure.
    """
    path = files.absolute(path)
    try:
        given = files.read_yaml(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StudyError(f"cannot read the study {path}: {error}") from error
    given = {} if given is None else given
    if not isinstance(given, dict):
        raise StudyError(f"{path} must hold lines of 'key: value', got a {type(given).__name__}")
    known = [field.name for field in fields(Study)]
    for key in given:
        if key not in known:
            near = get_close_matches(str(key), known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
            raise StudyError(f"{path} has an unknown key {key!r}: {hint}")
    if isinstance(given.get("path"), str) and given["path"]:
        given["path"] = str(path.parent / os.path.expanduser(given["path"]))
    try:
        study = Study(**given)
        _check_machine(study)
        return study
    except StudyError as error:
        raise StudyError(f"{path}: {error}") from None


#: Whole numbers and the least that each may be.
_WHOLE = {"subjects": 2, "seeds": 1, "permutations": 19, "slow_permutations": 19}
_WHOLE |= dict.fromkeys(("cohort_seed", "fold", "texts", "members", "random_state"), 0)


def _check(study: Study) -> None:
    """Everything that can be known to be wrong before the data are read."""
    for name, least in _WHOLE.items():
        value = getattr(study, name)
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise StudyError(f"{name} must be a whole number of {least} or more, got {value!r}")
    choices: dict[str, Iterable[str]] = {
        "preset": PRESET_NAMES,
        "design": DESIGNS,
        "checkpoints": CHECKPOINTS,
    }
    for name, known in choices.items():
        if not isinstance(getattr(study, name), str) or getattr(study, name) not in known:
            raise StudyError(f"{name} must be one of {', '.join(known)}, got {getattr(study, name)!r}")
    if study.path is not None and (not isinstance(study.path, str) or not study.path):
        raise StudyError(f"path must name a folder or a file, or be left out, got {study.path!r}")
    for name in ("epochs", "segment"):
        value = getattr(study, name)
        allowed = int if name == "epochs" else (int, float)
        if value is not None and (
            not isinstance(value, allowed) or isinstance(value, bool) or not 1 <= value < 1e6
        ):
            raise StudyError(f"{name} must be a number of 1 or more, or left out, got {value!r}")
    _check_names("models", study.models, list(REGISTRY))
    _check_names("bands", study.bands, list(BANDS["official"]))
    _check_names("tables", study.tables, list(audit.TABLES))
    for name in ("models", "bands"):
        if getattr(study, name) == ():
            raise StudyError(f"{name} is empty: name one or more")
    if study.members == 1:
        raise StudyError("members must be 0 or at least 2, got 1: one member is no ensemble")
    if study.split is not None and (not isinstance(study.split, str) or study.split not in SPLITS):
        raise StudyError(f"split must be one of {', '.join(SPLITS)}, got {study.split!r}")
    _check_strategies(study)


def _check_machine(study: Study) -> None:
    """What a run needs and a reader of its results does not: the recordings, and the device."""
    if study.path is not None and not Path(study.path).exists():
        raise StudyError(f"path {study.path!r} does not exist: name a folder of recordings, or leave it out")
    try:
        if study.torch_device is not None:
            torch.empty(0, device=study.torch_device)
    except (RuntimeError, AssertionError, TypeError) as error:
        raise StudyError(
            f"device {study.device!r} cannot be used here: {str(error).splitlines()[0]}"
        ) from None


def _check_strategies(study: Study) -> None:
    given = study.strategies
    if given is None or given == ():
        return
    if not isinstance(given, tuple) or not all(type(item) in (int, str) for item in given):
        raise StudyError(f"strategies must be a list of numbers and names, got {given!r}")
    if len(set(given)) < len(given):
        raise StudyError(f"strategies names something twice: {', '.join(map(str, given))}")
    try:
        interventions.wanted_strategies(given)
    except (TypeError, ValueError) as error:
        raise StudyError(f"strategies: {error}") from None


def _check_names(name: str, given: Any, known: Sequence[str]) -> None:
    if given is None and name == "bands":
        return
    if not isinstance(given, tuple) or not all(isinstance(item, str) for item in given):
        raise StudyError(f"{name} must be a list of names, got {given!r}")
    for item in given:
        if item not in known:
            near = get_close_matches(item, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
            raise StudyError(f"{name} holds {item!r}, which is unknown: {hint}")
    if len(set(given)) < len(given):
        raise StudyError(f"{name} names something twice: {', '.join(given)}")


# ---- the plan


@dataclass(frozen=True)
class Task:
    """A piece of work that needs nothing but tasks of earlier stages.

    Attributes
    ----------
    kind, what : str
        What is done, and to which part of the study.
    stage : int
        Tasks of one stage do not depend on one another.
    trainings : int
        How many networks it trains.
    cpu_s : float
        Seconds on one core, estimated from `unit_costs`.
    """

    kind: str
    what: str
    stage: int
    trainings: int
    cpu_s: float

    @property
    def label(self) -> str:
        return f"{self.kind} {self.what}".strip()


def unit_costs() -> dict[str, float]:
    """Measured costs in seconds of one core, by unit; ``kernel/data/unit_costs.csv`` says of what."""
    text = resources.files("kernel").joinpath("data/unit_costs.csv")
    with resources.as_file(text) as path:
        return pd.read_csv(path, comment="#").set_index("unit")["cpu_s"].to_dict()


def plan(study: Study) -> list[Task]:
    """The tasks of a study, in the order of their stages; reads no data.

    Strategies that the data turn out not to serve are planned all the same, and say so in their result.
    """
    cost = unit_costs()
    samples = _samples(study) / 1000

    def training(spec: TrainingSpec) -> float:
        return cost[f"{spec.network}_epoch"] * spec.epochs * samples

    tasks = [Task("cohort", "", 0, 0, cost["cohort"])]
    for name in study.models:
        size = REGISTRY[name].n_parameters / 1e9 or 0.1
        tasks.append(Task("axis", name, 1, 0, cost["axis"] * size * (0.1 + study.texts / 300)))
    for name in study.models:
        tasks.append(Task("projection", name, 2, 0, cost["projection"] * study.permutations / 10_000))
    tasks.append(Task("topography", study.models[0], 2, 0, cost["topography"] * study.permutations / 10_000))
    specs = CHECKPOINTS[study.checkpoints](study.random_state)
    for group, own in _groups(specs).items():
        tasks.append(Task("training", group, 2, len(own), sum(map(training, own))))
    wanted = _strategies(study)
    base = training(_recipe(study))
    if wanted:
        tasks.append(Task("base", "", 2, study.seeds, study.seeds * base))
    if specs:
        for name in study.models:
            tasks.append(Task("rediscovery", name, 3, 0, cost["rediscovery"] * len(specs)))
    for label in wanted:
        tasks.append(Task("strategy", label, 3, 2 * study.seeds, 2 * study.seeds * base * cost["strategy"]))
    if study.members:
        cpu = cost["contest_member"] * samples * study.members
        tasks.append(Task("contest", "", 3, 8 * study.members, cpu * 8))
    return tasks


def plan_table(tasks: Iterable[Task]) -> pd.DataFrame:
    """Tasks, trainings and hours of one core by kind of task, with their sum; `estimate` tells the rest."""
    table = pd.DataFrame([asdict(task) for task in tasks])
    found = table.groupby("kind", sort=False).agg(
        tasks=("what", "size"), trainings=("trainings", "sum"), core_hours=("cpu_s", "sum")
    )
    found.loc["all"] = found.sum()
    found["core_hours"] /= 3600
    return found.astype({"tasks": int, "trainings": int})


def estimate(study: Study, *, n_jobs: int = 2) -> dict[str, float]:
    """Hours with `n_jobs` workers, disk in GB and memory in GB of all workers together."""
    cost, tasks = unit_costs(), plan(study)
    hours = 0.0
    for stage in _stages(tasks):  # a stage lasts at least as long as its longest task
        total, longest = sum(t.cpu_s for t in stage), max(t.cpu_s for t in stage)
        hours += max(total / n_jobs, longest) / 3600
    trainings = sum(task.trainings for task in tasks)
    samples = _samples(study) / 1000
    sizes = sorted((REGISTRY[name].n_parameters / 1e9 for name in study.models), reverse=True)
    return {
        "hours": hours,
        "disk_gb": trainings * samples * cost["training_mb"] / 1000 + 0.1,
        "memory_gb": n_jobs * cost["worker_gb"] + 4 * sum(sizes[:n_jobs]),  # models side by side, 32 bits
    }


def _samples(study: Study) -> int:
    """Samples of a cohort of FACED's size, or of the simulated one: recordings are not read for a plan."""
    people = study.subjects if study.path is None else 123
    return round(people * 28 * 30 / (study.segment or 10))


def _groups(specs: Sequence[TrainingSpec]) -> dict[str, list[TrainingSpec]]:
    groups: dict[str, list[TrainingSpec]] = {}
    for spec in specs:
        groups.setdefault(f"{spec.network}, {spec.epochs} epochs", []).append(spec)
    return groups


def _strategies(study: Study) -> dict[str, Any]:
    if study.strategies is None:
        return interventions.wanted_strategies([*PAPER_ROWS, *NAMED])
    return interventions.wanted_strategies(study.strategies) if study.strategies else {}


def _recipe(study: Study) -> TrainingSpec:
    if study.epochs is None:
        return RECIPE
    return replace(RECIPE, epochs=study.epochs, warmup_epochs=min(RECIPE.warmup_epochs, study.epochs - 1))


def _seeds(study: Study) -> list[int]:
    return list(range(study.random_state, study.random_state + study.seeds))


def _stages(tasks: Sequence[Task]) -> list[list[Task]]:
    return [[t for t in tasks if t.stage == stage] for stage in sorted({t.stage for t in tasks})]


# ---- what a task does; each returns tables of rows, and what later stages need as ``kept``

Result = dict[str, Any]


def _cohort(study: Study, folder: Path, what: str) -> Result:
    if study.path is not None:
        cohort = load_cohort(study.path, progress=False)
    elif study.design == "FACED":
        cohort, _ = simulate_cohort(study.cohort_seed, study.preset, n_subjects=study.subjects)
    else:
        cohort, _ = simulate_cohort(study.cohort_seed, study.preset, design=study.design)
    _split(
        study, cohort if study.bands is None else cohort.select(bands=study.bands)
    )  # an impossible one shows here
    cohort.save(folder / "cohort.nc")
    row = {"subjects": len(cohort.subjects), "clips": len(cohort.clips), "channels": len(cohort.channels)}
    return {"tables": {"cohort": [{**row, "bands": ", ".join(cohort.bands)}]}}


def _axis(study: Study, folder: Path, what: str) -> Result:
    cohort = _read_cohort(study, folder)
    axis = story_axis(what, cohort.classes)
    positions = dict(zip(axis.classes_, axis.positions_, strict=True))
    rows = [{"model": what, "emotion": e, "position": float(positions[e])} for e in cohort.classes]
    tables = {"axis": rows}
    if study.texts:
        found = construct_valence_axis(
            what, n_texts=study.texts, random_state=study.random_state, progress=False
        )
        tables["sentiment"] = found.sentiment.assign(model=what).to_dict("records")
    prototypes = axis.centroids_[[axis.classes_.index(e) for e in cohort.classes]]
    return {"tables": tables, "kept": {"prototypes": _coordinates(prototypes).tolist()}}


def _projection(study: Study, folder: Path, what: str) -> Result:
    cohort = _read_cohort(study, folder)
    human = None
    if set(cohort.classes) <= set(ratings.load_ratings()["emotion"]):
        human = ratings.load_ratings().groupby("emotion")["valence_mean"].mean().to_dict()
    found = project_vaxis(
        cohort, _positions(study, folder, what), valence=human, n_permutations=study.permutations,
        n_slow=study.slow_permutations, random_state=study.random_state,
    )  # fmt: skip
    rows = found.tests.assign(model=what).to_dict("records")
    return {"tables": {"projection": rows, "judged": projection_results(found, note=what)}}


def projection_results(found: AxisProjection, *, note: str = "") -> list[dict[str, Any]]:
    """What a projection says to the claims about it, as arguments of :func:`kernel.claims.record`."""
    tests = found.tests.set_index(["scheme", "null"])
    n_clips, n_trials = len(found.positions), int(np.isfinite(found.features[..., 0, 0]).sum())
    order = found.order_removed
    results: dict[str, Any] = {
        "C4.ridge_in_sample": (*tests.loc[("in_sample", "emotions"), ["r", "p"]], n_clips),
        "C4.ridge_leave_clip_out": (*tests.loc[("leave_one_clip_out", "emotions"), ["r", "p"]], n_clips),
        "C4.ridge_leave_emotion_out": (found.tracking.r, found.tracking.p, n_clips),
        "C4.random_axes": (*tests.loc[("leave_one_clip_out", "class_constant"), ["r", "p"]], n_clips),
        "C4.position_removed": order and (order.r, order.p, n_clips),
        "C4.tracked": order and (found.tracking.r, max(found.tracking.p, order.p), n_clips),
        "C4.class_level": found.classes
        and (found.classes.observed, found.classes.p, len(set(found.emotions))),
        "C4.trial_level": (found.trials.observed, found.trials.p, n_trials),
    }
    shared = {"data": found.label, "simulated": found.simulated, "note": note}
    rows = [
        {"claim_id": claim, "value": float(result[0]), "p": float(result[1]), "n": int(result[2]), **shared}
        for claim, result in results.items()
        if result
    ]
    if found.reliability:
        value, low, high = map(float, found.reliability)
        n = len(found.features)
        rows.append(
            {"claim_id": "C4.reliability", "value": value, "low": low, "high": high, "n": n, **shared}
        )
    return rows


def _topography(study: Study, folder: Path, what: str) -> Result:
    found = map_vaxis_to_scalp(
        _read_cohort(study, folder), _positions(study, folder, what), n_permutations=study.permutations,
        n_slow=study.slow_permutations, random_state=study.random_state,
    )  # fmt: skip
    cells = found.cells.table(found.channels, found.bands).reset_index()
    tests = {"occipital minus frontal": found.occipital, "alpha minus other bands": found.alpha}
    rows = [
        {"model": what, "test": name, "value": float(test.observed), "p": float(test.p)}
        for name, test in tests.items()
        if test
    ]
    rows.append(
        {
            "model": what,
            "test": "best cell",
            "value": float(cells["r"].iloc[0]),
            "p": float(found.cells.p_best),
        }
    )
    return {"tables": {"topography": rows, "cells": cells.assign(model=what).to_dict("records")}}


def _training(study: Study, folder: Path, what: str) -> Result:
    specs = _groups(CHECKPOINTS[study.checkpoints](study.random_state))[what]
    bank = _bank(study, folder, specs)
    columns = ["recipe", "network", "epochs", "parameters", "validation", "test"]
    table = bank.table()
    return {"tables": {"trainings": table.loc[table["recipe"] != "baseline", columns].to_dict("records")}}


def _rediscovery(study: Study, folder: Path, what: str) -> Result:
    cohort = _read_cohort(study, folder)
    bank = _bank(study, folder, CHECKPOINTS[study.checkpoints](study.random_state))
    found = rediscovery(
        bank,
        clip_target(cohort, _positions(study, folder, what)),
        random_state=study.random_state,
        n_permutations=study.permutations,
        n_null=study.slow_permutations,
    )
    tables = {
        "members": members_table(bank, random_state=study.random_state).to_dict("records"),
        "rediscovery": found.table.assign(model=what).to_dict("records"),
    }
    shared = {"data": found.label, "simulated": found.simulated, "note": what}
    judged = []
    if found.table["recipe"].nunique() >= 3:  # a correlation between recipes needs three
        converged = convergence_table(found, random_state=study.random_state)
        tables["convergence"] = converged.assign(model=what).to_dict("records")
        own = converged.set_index(["score", "null", "scope"])
        keys = {
            "C6.class_pc1": ("class PC1", "emotions permuted", "overall"),
            "C6.residual": ("residual, held-out clips", "targets permuted within class", "overall"),
        }
        judged += [
            {
                "claim_id": claim,
                "value": float(own.loc[key, "r"]),
                "p": float(own.loc[key, "p"]),
                "n": len(bank),
            }
            for claim, key in keys.items()
            if key in own.index
        ]
    if found.directions:
        lost = ablation_summary(ablation(bank, found, random_state=study.random_state))
        tables["ablation"] = lost.assign(model=what).to_dict("records")
        whole = lost[lost["part"] == "whole"].set_index("control")
        for claim, control in {"C6.ablation": "random_target", "C6.ablation_isotropic": "isotropic"}.items():
            row = whole.loc[CONTROLS[control]]
            judged.append(
                {"claim_id": claim, "value": float(row["drop"]), "p": float(row["p"]), "n": int(row["n"])}
            )
    tables["judged"] = [{**row, **shared} for row in judged]
    return {"tables": tables}


def _base(study: Study, folder: Path, what: str) -> Result:
    recipe = _recipe(study)
    bank = _bank(study, folder, [replace(recipe, seed=seed, recipe="base") for seed in _seeds(study)])
    rows = [{"seed": s, "test": float(b)} for s, b in zip(_seeds(study), bank.bacc("test"), strict=True)]
    return {"tables": {"base": rows}}


def _strategy(study: Study, folder: Path, what: str) -> Result:
    cohort = _read_cohort(study, folder)
    positions = [_positions(study, folder, name) for name in study.models]
    values = interventions.default_values(cohort, positions)
    alignment = {what: _strategies(study)[what]}
    able, refused = interventions.possible_strategies(cohort, alignment, values=values, recipe=_recipe(study))
    if not able:
        return {"tables": {"refused": [{"strategy": what, "why": refused[what]}]}}
    found = interventions.run_interventions(
        cohort, able, seeds=_seeds(study), split=_split(study, cohort), valence=values, recipe=_recipe(study),
        segment=study.segment, folder=folder / "trainings", device=study.torch_device, n_jobs=1,
        progress=False,
    )  # fmt: skip
    kept = {
        "hits": [hits.tolist() for hits in found.hits],
        "counts": [counts.tolist() for counts in found.counts],
        "twin": found.twin.tolist(),
    }
    return {"tables": {"strategies": found.table.to_dict("records")}, "kept": kept}


def _contest(study: Study, folder: Path, what: str) -> Result:
    cohort = _read_cohort(study, folder)
    split = _split(study, cohort)
    table = contest(
        cohort, split, n_members=study.members, segment=study.segment, random_state=study.random_state,
        folder=folder / "trainings", progress=False,
    )  # fmt: skip
    single = table.set_index("method").loc["single network"]
    judged = {
        "claim_id": "C8.gain", "value": -float(single["difference"]), "low": -float(single["high"]),
        "high": -float(single["low"]), "n": int(split.test.any(1).sum()), "data": cohort.label,
        "simulated": cohort.simulated, "note": f"{study.members} seeds of one small network",
    }  # fmt: skip
    return {"tables": {"contest": table.to_dict("records"), "judged": [judged]}}


KINDS: dict[str, Callable[[Study, Path, str], Result]] = {
    "cohort": _cohort,
    "axis": _axis,
    "projection": _projection,
    "topography": _topography,
    "training": _training,
    "base": _base,
    "rediscovery": _rediscovery,
    "strategy": _strategy,
    "contest": _contest,
}


def _read_cohort(study: Study, folder: Path) -> Cohort:
    cohort = Cohort.load(folder / "cohort.nc")
    return cohort if study.bands is None else cohort.select(bands=study.bands)


def _split(study: Study, cohort: Cohort) -> Split:
    if study.split is None:
        return usual_split(cohort)
    return make_split(cohort, study.split, fold=study.fold, random_state=study.random_state)


def _positions(study: Study, folder: Path, model: str) -> dict[str, float]:
    rows = _needed(study, folder, "axis", model)["tables"]["axis"]
    return {row["emotion"]: row["position"] for row in rows}


def _bank(study: Study, folder: Path, specs: Sequence[TrainingSpec]) -> Bank:
    cohort = _read_cohort(study, folder)
    prototypes = _needed(study, folder, "axis", study.models[0])["kept"]["prototypes"]
    return train_bank(
        specs, cohort, _split(study, cohort), segment=study.segment, prototypes=np.array(prototypes),
        folder=folder / "trainings", n_jobs=1, device=study.torch_device, progress=False,
    )  # fmt: skip


def _coordinates(prototypes: np.ndarray) -> np.ndarray:
    """As many coordinates as there are classes, in which all cosines after centring stay what they are."""
    centred = prototypes - prototypes.mean(0)
    u, s, _ = np.linalg.svd(centred, full_matrices=False)
    return u * s


def _needed(study: Study, folder: Path, kind: str, what: str) -> Result:
    task = next(task for task in plan(study) if (task.kind, task.what) == (kind, what))
    found = read_result(folder, task)
    if found is None:
        raise StudyError(f"the result of {task.label!r} is missing in {folder}: run the study again")
    return found


# ---- running


def task_id(study: Study, task: Task) -> str:
    """Name of a task's result: everything that decides it, the code of the package included."""
    content = {key: _plain(value) for key, value in asdict(study).items()}
    recordings = [] if study.path is None else files.state(study.path)
    return files.cache_key((), "study", content, recordings, task.kind, task.what)[:24]


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _task_ids(folder: Path) -> dict[str, str]:
    """Names of results by the labels of tasks, as the last run has set them: all that a reader needs."""
    try:
        return dict(json.loads((folder / _IDS).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError) as error:
        raise StudyError(f"{folder / _IDS} is damaged ({error}): run the study again") from error


def read_result(folder: Path, task: Task) -> Result | None:
    """A finished task's result; None if there is none, with a warning if its file is damaged."""
    path = _place(folder, task)
    if path is None:
        return None
    if task.kind == "cohort" and not (folder / "cohort.nc").is_file():
        return None  # what the others read is gone
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        missing = {*_STAMP, "cpu_s"} - set(found.get("provenance", {}))
        if not isinstance(found["tables"], dict) or missing:
            raise TypeError(f"without {', '.join(sorted(missing)) or 'tables'}")
        return found
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        warnings.warn(f"the result {path} cannot be read ({error}): computing it anew", stacklevel=2)
        return None


def _place(folder: Path, task: Task) -> Path | None:
    name = _task_ids(folder).get(task.label)
    return None if name is None else folder / "tasks" / f"{name}.json"


def perform(study: Study, folder: str | Path, task: Task) -> tuple[str, str]:
    """Do one task and write its result, unless it is there; returns its label and, if it failed, why."""
    folder = files.absolute(folder)
    if read_result(folder, task) is not None:
        return task.label, ""
    started, cpu = time.time(), time.process_time()
    try:
        with threadpool_limits(1), one_thread():
            found = KINDS[task.kind](study, folder, task.what)
    except Exception as error:
        if _of_the_disk(error):
            raise
        # the other tasks shall go on; the run ends with all messages
        return task.label, f"{type(error).__name__}: {error}"
    stamp = {
        **_provenance(study, folder),
        "task": task.label,
        "seconds": round(time.time() - started, 1),
        "cpu_s": round(time.process_time() - cpu, 1),
    }
    path = _place(folder, task)
    assert path is not None  # `name_tasks` comes first
    with files.atomic_path(path) as temporary:
        text = json.dumps({**found, "provenance": stamp}, default=_jsonable, allow_nan=True)
        temporary.write_text(text, encoding="utf-8")
    return task.label, ""


def _of_the_disk(error: BaseException) -> bool:
    return isinstance(error, files.CacheNotWritableError) or (
        isinstance(error, OSError) and error.errno in _DISK
    )


def _jsonable(value: Any) -> Any:
    if value is pd.NA:
        return None
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"a result holds a {type(value).__name__}, which JSON has no form for")


def _provenance(study: Study, folder: Path) -> dict[str, Any]:
    """What every result row carries: data, seed, device, versions, package digest."""
    cohort = Cohort.load(folder / "cohort.nc")
    names = ("numpy", "torch", "transformers", "mne", "scikit-learn")
    return {
        "data": cohort.label,
        "simulated": cohort.simulated,
        "source": cohort.data.attrs["provenance"],
        "seed": study.random_state,
        "device": study.device if study.device != "auto" else _best_device(),
        "versions": "; ".join(
            [
                f"python {platform.python_version()}",
                *(f"{n} {version(n)}" for n in names),
                f"kernel {version('valence-axis')}",
            ]
        ),
        "package": files.source_digest()[:16],
    }


def _best_device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def run_study(
    study: Study, folder: str | Path, *, n_jobs: int = 2, client: Any = None, progress: bool = True
) -> dict[str, pd.DataFrame]:
    """Do what is not done yet, then collect all tables.

    Parameters
    ----------
    study : Study
        What to do.
    folder : path-like
        Of this study alone; made if needed.
    n_jobs : int
        Processes here, of one thread each.
    client : dask.distributed.Client, optional
        Send the tasks to its cluster instead; its workers must see `folder` under the same path.
    progress : bool
        Show a progress bar.

    Returns
    -------
    dict of str to DataFrame
        Tables by name, as they lie in ``results/``. Every row says data, seed, device, versions and digest.

    Raises
    ------
    StudyError
        If the folder belongs to another study, another run is at work in it, tasks failed or workers were
        killed again and again. Everything finished is kept, and the same call goes on from there.
    """
    _check_machine(study)
    folder = _claim_folder(study, folder)
    lock = files.lock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise StudyError(
            f"another run is at work in {folder}: wait for it, or choose another folder"
        ) from None
    try:
        tasks = name_tasks(study, folder)
        with tqdm(total=len(tasks), desc="tasks", disable=not progress) as bar:
            for stage in _stages(tasks):
                _run_stage(study, folder, stage, n_jobs, client, bar)
        return collect(study, folder)
    except OSError as error:
        if not _of_the_disk(error):
            raise
        raise StudyError(
            f"cannot write in {folder} ({error.strerror or error}): free space or grant permission, then run "
            "the same command, which goes on where it stopped"
        ) from error
    finally:
        lock.release()


def name_tasks(study: Study, folder: Path) -> list[Task]:
    """The tasks of a study in their order, after writing down which results are theirs."""
    tasks = plan(study)
    ids = {task.label: task_id(study, task) for task in tasks}
    _tell_what_is_stale(folder, ids.values())
    with files.atomic_path(folder / _IDS) as temporary:
        temporary.write_text(json.dumps(ids, indent=1) + "\n", encoding="utf-8")
    return tasks


def _tell_what_is_stale(folder: Path, ids: Iterable[str]) -> None:
    """Results of another version of the package, or of recordings that have changed, are not mixed in."""
    there = {path.stem for path in (folder / "tasks").glob("[!.]*.json")}
    stale = there.difference(ids)
    if stale:
        warnings.warn(
            f"{len(stale)} results in {folder / 'tasks'} are of another version of the package or of a "
            "library, or of recordings that have changed since: they are left alone, and their tasks are "
            "computed anew",
            stacklevel=4,
        )


def _claim_folder(study: Study, folder: str | Path) -> Path:
    folder = files.absolute(folder)
    text = json.dumps({key: _plain(value) for key, value in asdict(study).items()}, indent=1) + "\n"
    mine = folder / "study.json"
    if mine.is_file():
        if mine.read_text(encoding="utf-8") != text:
            raise StudyError(f"{folder} holds another study, see {mine}: choose another folder")
        return folder
    if folder.exists() and (not folder.is_dir() or any(p.name != ".lock" for p in folder.iterdir())):
        raise StudyError(f"{folder} exists and is no study: choose a new folder")
    try:
        with files.atomic_path(mine) as temporary:
            temporary.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StudyError(
            f"cannot write in {folder} ({error.strerror or error}): choose another folder"
        ) from error
    return folder


def open_study(folder: str | Path) -> Study:
    """The study that a folder belongs to, read without its recordings; StudyError if it holds none."""
    mine = files.absolute(folder) / "study.json"
    try:
        return Study(**json.loads(mine.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise StudyError(
            f"{folder} holds no study that can be read ({error}): give the folder of a run"
        ) from None


def _run_stage(
    study: Study, folder: Path, stage: Sequence[Task], n_jobs: int, client: Any, bar: tqdm
) -> None:
    bar.update(sum(read_result(folder, task) is not None for task in stage))
    for _ in range(ROUNDS):
        missing = [task for task in stage if read_result(folder, task) is None]
        if not missing:
            return
        failed = {}
        calls = [delayed(perform)(study, folder, task) for task in missing]
        try:
            for label, why in _side_by_side(calls, n_jobs, client):
                bar.update()
                if why:
                    failed[label] = why
        except Exception as error:  # joblib and Dask have names of their own for a worker that died
            if not _died(error):
                raise
            left = sum(read_result(folder, task) is None for task in missing)
            bar.write(f"a worker was killed: its tasks, {left}, are given out again")
            bar.update(-sum(read_result(folder, task) is None for task in missing) + left)
            continue
        if failed:
            lines = "\n".join(f"  {label}: {why}" for label, why in failed.items())
            raise StudyError(
                f"{len(failed)} of {len(missing)} tasks failed:\n{lines}\nWhat succeeded is kept."
            )
    undone = [task.label for task in stage if read_result(folder, task) is None]
    if undone:
        raise StudyError(
            f"workers were killed {ROUNDS} times over, as happens where memory runs out, with these tasks "
            f"left: {', '.join(undone[:5])}{' ...' if len(undone) > 5 else ''}. Run again with fewer workers"
        )


def _side_by_side(calls: Sequence[Any], n_jobs: int, client: Any) -> Iterable[tuple[str, str]]:
    if client is None:
        yield from Parallel(n_jobs=n_jobs, return_as="generator_unordered")(with_settings(calls))
        return
    with parallel_config(backend="dask", client=client, wait_for_workers_timeout=60):
        yield from Parallel(n_jobs=-1)(calls)


def _died(error: Exception) -> bool:
    names = {cls.__name__ for cls in type(error).__mro__}
    return bool(names & {"TerminatedWorkerError", "BrokenProcessPool", "KilledWorker", "CommClosedError"})


# ---- what came out


def status(folder: str | Path) -> pd.DataFrame:
    """Tasks of a study's folder, by kind: how many there are, how many are done, and their seconds.

    It is the last run that counts, whatever has become of the recordings and of the package since.
    """
    folder = files.absolute(folder)
    study = open_study(folder)
    rows = []
    for task in plan(study):
        found = read_result(folder, task)
        cpu = np.nan if found is None else found["provenance"]["cpu_s"]
        rows.append({"kind": task.kind, "done": found is not None, "cpu_s": cpu})
    table = pd.DataFrame(rows).groupby("kind", sort=False)
    return table.agg(tasks=("done", "size"), done=("done", "sum"), cpu_s=("cpu_s", "sum"))


def collect(study: Study, folder: str | Path) -> dict[str, pd.DataFrame]:
    """All tables of the finished tasks, written to ``results/`` with the ledger ``claims.json``."""
    folder = files.absolute(folder)
    tables: dict[str, list[dict[str, Any]]] = {}
    parts = []
    for task in plan(study):
        found = read_result(folder, task)
        if found is None:
            continue
        stamp = found["provenance"]
        for name, rows in found["tables"].items():
            tables.setdefault(name, []).extend({**row, **_stamped(stamp, row)} for row in rows)
        if "hits" in found.get("kept", {}):
            parts.append(_interventions(found))
    frames = {name: pd.DataFrame(rows) for name, rows in tables.items()}
    if "members" in frames:  # every model's task tells the same of them
        frames["members"] = frames["members"].drop_duplicates(["label"], ignore_index=True)
    if parts:
        summary = interventions.summarise(interventions.combine(parts))
        row = frames["strategies"].iloc[0]
        frames["summary"] = summary.assign(**{k: row[k] for k in _STAMP})
        frames["judged"] = pd.concat([frames["judged"], _counted(summary, row)], ignore_index=True)
    for name, frame in frames.items():
        with files.atomic_path(folder / "results" / f"{name}.csv") as temporary:
            frame.to_csv(temporary, index=False)
    (folder / "claims.json").unlink(missing_ok=True)
    for row in frames.get("judged", pd.DataFrame()).to_dict("records"):
        given = {key: row[key] for key in _JUDGED if key in row and row[key] == row[key]}
        given["data"] = f"{given['data']}; {given['note']}" if given.get("note") else given["data"]
        if "n" in given:
            given["n"] = int(given["n"])
        claims.record(**given, path=folder / "claims.json")
    return frames


_STAMP = ("data", "simulated", "source", "seed", "device", "versions", "package")
_JUDGED = ("claim_id", "value", "low", "high", "p", "n", "data", "simulated", "note")


def _stamped(stamp: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    """Provenance of a row, whose own seed or data, where it has them, come first."""
    return {key: stamp[key] for key in _STAMP if pd.isna(row.get(key))}


def _interventions(found: Result) -> Interventions:
    table = pd.DataFrame(found["tables"]["strategies"]).astype({"number": "Int64"})
    kept = found["kept"]
    return Interventions(
        table,
        tuple(np.array(hits) for hits in kept["hits"]),
        tuple(np.array(counts) for counts in kept["counts"]),
        np.array(kept["twin"]),
    )


def _counted(summary: pd.DataFrame, row: pd.Series) -> pd.DataFrame:
    """How many strategies harm and help beyond Holm's correction, for the ledger."""
    counts = {
        claim: int(((summary["true_holm"] <= 0.05) & (sign * summary["true"] > 0)).sum())
        for claim, sign in {"C7.count_own": -1, "C7.none_helps": 1}.items()
    }
    shared = {"n": len(summary), "note": "", **{key: row[key] for key in _STAMP}}
    return pd.DataFrame([{"claim_id": claim, "value": n, **shared} for claim, n in counts.items()])


def environment_study() -> Study:
    """The study of the chapters, on the recordings of the environment variable KERNEL_DATA if it is set."""
    return Study(path=files.places().get("KERNEL_DATA"))
