"""What a study asks and what it takes: a short YAML file, checked before any work, and the tasks in it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from kernel import checks, files
from kernel.audit.tables import CREDIT, TABLES
from kernel.brain.designs import DESIGNS
from kernel.brain.features import BANDS
from kernel.brain.simulate import PRESET_NAMES
from kernel.brain.splits import SPLITS
from kernel.decoding import interventions
from kernel.decoding.alignment import NAMED, PAPER_ROWS
from kernel.decoding.interventions import RECIPE
from kernel.decoding.rediscovery import checkpoint_specs, fewer_specs, rate_specs
from kernel.decoding.training import TrainingSpec
from kernel.language.models import REGISTRY
from kernel.language.stories import Stories, diverse_stories

#: Which classifiers a study trains.
CHECKPOINTS: dict[str, Callable[[int], list[TrainingSpec]]] = {
    "full": checkpoint_specs,
    "fewer": fewer_specs,
    "short": rate_specs,
    "none": lambda seed: [],
}


class StudyError(ValueError):
    """A study that cannot be read, or that cannot go on; says what to change."""


class Task(NamedTuple):
    """What is done, and to which part of a study; needs nothing but tasks of earlier stages.

    It trains so many networks and takes an estimate of `cpu_s` seconds of one core.
    """

    kind: str
    what: str
    stage: int
    trainings: int
    cpu_s: float

    @property
    def label(self) -> str:
        return f"{self.kind} {self.what}".strip()


def _unit_costs() -> dict[str, float]:
    """Measured costs in seconds of one core, by unit; ``kernel/data/unit_costs.csv`` says of what."""
    table = files.read_packaged("data/unit_costs.csv", lambda file: pd.read_csv(file, comment="#"))
    return table.set_index("unit")["cpu_s"].to_dict()


# ---- a study


def _setting(default: Any, check: Callable[..., Any], **limits: Any) -> Any:
    """A field whose value, where it is another than the default, has to pass a check."""
    return field(default=default, metadata={"check": partial(check, error=StudyError, **limits)})


def _text(name: str, value: Any, *, error: type[Exception]) -> str:
    if not isinstance(value, str) or not value:
        raise error(f"{name} must be a text, or be left out, got {value!r}")
    return value


def _table_names(name: str, value: Any, *, error: type[Exception]) -> tuple[str, ...]:
    if isinstance(value, str) and value in CREDIT:  # all of a kind
        return tuple(table for table, one in TABLES.items() if one.source == value)
    return checks.choices(name, value, TABLES, error=error)


def _stories(name: str, value: Any, *, error: type[Exception]) -> dict[str, list[str]]:
    try:
        pairs = list(zip(*Stories.told(value), strict=True))
    except ValueError as problem:
        raise error(f"{name}: {problem}") from None
    return {one: [text for text, emotion in pairs if emotion == one] for one in value}


def _absolute(name: str, value: Any, *, error: type[Exception]) -> str:
    return str(files.absolute(_text(name, value, error=error)))


def _ensemble_size(name: str, value: Any, *, error: type[Exception]) -> int:
    if checks.count(name, value, 0, error=error) == 1:
        raise error(f"{name} must be 0 or at least 2, got 1: one member is no ensemble")
    return int(value)


def _wanted(name: str, value: Any, *, error: type[Exception]) -> tuple[int | str, ...]:
    if value == ():
        return ()
    strategies = checks.choices(name, value, error=error)
    if not all(type(item) in (int, str) for item in strategies):
        raise error(f"{name} must be a list of numbers and names, got {value!r}")
    try:
        interventions.wanted_strategies(strategies)
    except (TypeError, ValueError) as problem:
        raise error(f"{name}: {problem}") from None
    return strategies


@dataclass(frozen=True)
class Study:
    """What is asked of which data. The defaults are those of the chapters: everything, on a simulated cohort.

    Attributes
    ----------
    path : str or None
        A folder of FACED, SEED-V or EmoEEG-MC, or a file of :meth:`~kernel.brain.cohort.Cohort.save`; without
        it the cohort is simulated.
    preset, design, subjects, cohort_seed
        What is planted in a simulated cohort, the design that it follows, its people and its seed.
    bands : tuple of str or None
        Bands to keep; None keeps all.
    segment : float or None
        Seconds of a sample of the classifiers; None takes 10 s or what is nearest.
    split, fold : str or None, int
        As for :func:`~kernel.brain.splits.make_split`; None takes the usual one of the data set.
    models : tuple of str
        Language models whose axes are built; the first gives prototypes.
    stories, orient : mapping of emotions to lists of stories, or None, and str
        For emotions that are not FACED's, and the one whose side of the axis is positive.
    texts : int
        Rated texts from each benchmark on which an axis is tested; 0 skips the test.
    checkpoints : str
        ``full`` (36 trainings), ``fewer`` (24), ``short`` (6) or ``none``.
    strategies : tuple of int and str, or None
        Rows of the paper's table of alignment and names; None takes all of both, an empty list none.
    seeds, epochs : int, int or None
        Seeds of each strategy, and epochs with and without it; None keeps the chapters'.
    members : int
        Members of each ensemble; 0 leaves the contest out.
    permutations, slow_permutations : int
        Draws of each null; the latter where each draw is expensive.
    device : str
        ``auto``, ``cpu``, ``cuda`` or another name that torch knows.
    random_state : int
        Seed of trainings, nulls and intervals.
    tables : tuple of str
        Tables of the book, or ``faced`` or ``words`` for all of a kind, instead of all that stands above.
    """

    path: str | None = _setting(None, _absolute)
    preset: str = _setting("default", checks.choice, options=PRESET_NAMES)
    design: str = _setting("FACED", checks.choice, options=DESIGNS)
    subjects: int = _setting(123, checks.count, least=2)
    cohort_seed: int = _setting(0, checks.count, least=0)
    bands: tuple[str, ...] | None = _setting(None, checks.choices, options=BANDS["official"])
    segment: float | None = _setting(None, checks.between, low=1, high=1e6, closed="low")
    split: str | None = _setting(None, checks.choice, options=SPLITS)
    fold: int = _setting(0, checks.count, least=0)
    models: tuple[str, ...] = _setting(
        ("SmolLM2-135M-Instruct", "Gemma-3-270M"), checks.choices, options=REGISTRY
    )
    stories: Mapping[str, Sequence[str]] | None = _setting(None, _stories)
    orient: str = _setting("joy", _text)
    texts: int = _setting(300, checks.count, least=0)
    checkpoints: str = _setting("full", checks.choice, options=CHECKPOINTS)
    strategies: tuple[int | str, ...] | None = _setting(None, _wanted)
    seeds: int = _setting(5, checks.count)
    epochs: int | None = _setting(None, checks.count)
    members: int = _setting(10, _ensemble_size)
    permutations: int = _setting(10_000, checks.count, least=19)
    slow_permutations: int = _setting(1000, checks.count, least=19)
    device: str = _setting("auto", _text)
    random_state: int = _setting(0, checks.count, least=0)
    tables: tuple[str, ...] | str = _setting((), _table_names)

    def __post_init__(self) -> None:
        for setting in fields(self):
            value = getattr(self, setting.name)
            value = tuple(value) if isinstance(value, list) else value
            if type(value) is not type(setting.default) or value != setting.default:
                value = setting.metadata["check"](setting.name, value)
            object.__setattr__(self, setting.name, value)
        checks.choice("orient", self.orient, self.stories or diverse_stories().sources, error=StudyError)
        if self.seeds < 2 and self.strategies != ():
            raise StudyError("seeds must be 2 or more to test strategies, got 1; or ask none: strategies: []")

    @property
    def torch_device(self) -> str | None:
        """The device as :func:`kernel.checks.device` takes it, None for the best."""
        return None if self.device == "auto" else self.device

    @property
    def n_samples(self) -> int:
        """Samples of a cohort of FACED's size or of the simulated one; a plan reads no recordings."""
        people = self.subjects if self.path is None else 123
        return round(people * 28 * 30 / (self.segment or 10))

    @property
    def groups(self) -> dict[str, list[TrainingSpec]]:
        """Trainings of one network and length, which one task does."""
        groups: dict[str, list[TrainingSpec]] = {}
        for spec in CHECKPOINTS[self.checkpoints](self.random_state):
            groups.setdefault(f"{spec.network}, {spec.epochs} epochs", []).append(spec)
        return groups

    @property
    def alignments(self) -> dict[str, Any]:
        """Alignments by label."""
        names: Sequence[Any] = [*PAPER_ROWS, *NAMED] if self.strategies is None else self.strategies
        return interventions.wanted_strategies(names) if names else {}

    @property
    def recipe(self) -> TrainingSpec:
        """Recipe of trainings with and without a strategy."""
        if self.epochs is None:
            return RECIPE
        return replace(RECIPE, epochs=self.epochs, warmup_epochs=min(RECIPE.warmup_epochs, self.epochs - 1))

    def check_machine(self) -> None:
        """What a run needs and a reader of its results does not: the recordings, and the device."""
        if self.path is not None and not Path(self.path).exists():
            raise StudyError(
                f"path {self.path!r} does not exist: name a folder of recordings, or leave it out"
            )
        try:
            checks.device(self.torch_device)
        except ValueError as error:
            raise StudyError(str(error).splitlines()[0]) from None

    def plan(self) -> list[Task]:
        """The tasks of a study, in the order of their stages; reads no data."""
        cost = _unit_costs()
        samples = self.n_samples / 1000
        draws = self.permutations / 10_000

        def training(spec: TrainingSpec) -> float:
            return cost[f"{spec.network}_epoch"] * spec.epochs * samples

        tasks = [Task("cohort", "", 0, 0, cost["cohort"])]
        for name in self.models:
            size = REGISTRY[name].n_parameters / 1e9 or 0.1
            tasks.append(Task("axis", name, 1, 0, cost["axis"] * size * (0.1 + self.texts / 300)))
        tasks += [Task("projection", name, 2, 0, cost["projection"] * draws) for name in self.models]
        tasks.append(Task("topography", self.models[0], 2, 0, cost["topography"] * draws))
        groups = self.groups
        for group, specs in groups.items():
            tasks.append(Task("training", group, 2, len(specs), sum(map(training, specs))))
        strategies, base = self.alignments, self.seeds * training(self.recipe)
        if strategies:
            tasks.append(Task("base", "", 2, self.seeds, base))
        if groups:
            cpu = cost["rediscovery"] * sum(map(len, groups.values()))
            tasks += [Task("rediscovery", name, 3, 0, cpu) for name in self.models]
        for label in strategies:
            tasks.append(Task("strategy", label, 3, 2 * self.seeds, 2 * base * cost["strategy"]))
        if self.members:
            cpu = cost["contest_member"] * samples * self.members
            tasks.append(Task("contest", "", 3, 8 * self.members, cpu * 8))
        return tasks

    def stages(self) -> list[list[Task]]:
        """Tasks by stage, within which they do not depend on one another."""
        tasks = self.plan()
        return [[t for t in tasks if t.stage == stage] for stage in sorted({t.stage for t in tasks})]

    def costs(self) -> pd.DataFrame:
        """Tasks, trainings and hours of one core by kind of task, with their sum."""
        table = pd.DataFrame(self.plan()).groupby("kind", sort=False)
        sums = table.agg(tasks=("what", "size"), trainings=("trainings", "sum"), core_hours=("cpu_s", "sum"))
        sums.loc["all"] = sums.sum()
        sums["core_hours"] /= 3600
        return sums.astype({"tasks": int, "trainings": int})

    def estimate(self, *, n_jobs: int = 2) -> dict[str, float]:
        """Trainings, hours with `n_jobs` workers, disk in GB and memory in GB of all workers together."""
        cost, hours = _unit_costs(), 0.0
        for stage in self.stages():  # a stage lasts at least as long as its longest task
            total, longest = sum(t.cpu_s for t in stage), max(t.cpu_s for t in stage)
            hours += max(total / n_jobs, longest) / 3600
        trainings = sum(task.trainings for task in self.plan())
        sizes = sorted((REGISTRY[name].n_parameters / 1e9 for name in self.models), reverse=True)
        return {
            "trainings": trainings,
            "hours": hours,
            "disk_gb": trainings * self.n_samples / 1000 * cost["training_mb"] / 1000 + 0.1,
            "memory_gb": n_jobs * cost["worker_gb"] + 4 * sum(sizes[:n_jobs]),  # models side by side, 32 bits
        }


def load_study(path: str | Path) -> Study:
    """Read a study from YAML, in which a relative ``path`` is taken from the file's folder.

    Raises `StudyError` if the file cannot be read, holds an unknown key or an impossible value.
    """
    path = files.absolute(path)
    try:
        settings = files.read_yaml(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StudyError(f"cannot read the study {path}: {error}") from error
    settings = {} if settings is None else settings
    if not isinstance(settings, dict):
        raise StudyError(f"{path} must hold lines of 'key: value', got a {type(settings).__name__}")
    if isinstance(settings.get("path"), str) and settings["path"]:
        settings["path"] = str(path.parent / os.path.expanduser(settings["path"]))
    try:
        for key in settings:
            checks.choice("a key", key, [setting.name for setting in fields(Study)], error=StudyError)
        study = Study(**settings)
        study.check_machine()
        return study
    except StudyError as error:
        raise StudyError(f"{path}: {error}") from None
