"""Banks of classifiers: many trainings on one cohort, paired, resumable, equal to single ones.

Networks that have a stacked form (``mlp``) and are small are trained as one batched computation, all others
one by one in processes of one thread. Test trials choose nothing. Finished members are stored under a digest
of their spec, the data and the code: a study that was interrupted goes on where it stopped.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from joblib import Parallel, delayed
from tqdm.auto import tqdm

from kernel import checks, files
from kernel.arrays import Named, in_order, real
from kernel.brain.cohort import Cohort, segment_length, segments, standardise
from kernel.brain.splits import Split, usual_split
from kernel.decoding import networks, training
from kernel.decoding.aligner import Aligner
from kernel.decoding.alignment import Context
from kernel.decoding.checkpoints import SETS, Bank, Checkpoint
from kernel.decoding.training import Labels, Single, TrainingSpec, build_member, optimise
from kernel.threads import one_thread, processes

STACK_SIZE = 18  # members of a stack at most: bounds the memory, and what a kill can cost
# Parameters times batch size up to which a stack of 18 was faster than a loop on one thread: 3 times at
# 160-128-64-9 and batch 128 (4 million), 1.2 times at 160-512-128-9 (19 million), level from there on.
STACK_LIMIT = 20_000_000


# Training


def train_bank(
    specs: TrainingSpec | Sequence[TrainingSpec],
    cohort: Cohort,
    split: str | Split,
    *,
    segment: float | None = None,
    prototypes: Named | None = None,
    valence: Named | None = None,
    features: bool = True,
    baselines: bool = True,
    folder: str | Path | None = None,
    n_jobs: int = 2,
    device: str | torch.device | None = None,
    progress: bool = True,
) -> Bank:
    """Train every spec, or load it if it has been trained.

    Parameters
    ----------
    specs : TrainingSpec or sequence of TrainingSpec
        Must be unique, ignoring `recipe`.
    cohort : Cohort
        Differential entropies; standardised here by :func:`kernel.brain.cohort.standardise` unless its unit
        is z.
    split : Split or str
        Trials to learn from, to choose the epoch on, and to test on; or a name of `make_split`.
    segment : float, optional
        Seconds of a sample, by default those of :func:`~kernel.brain.cohort.segments`.
    prototypes : mapping of class to vector, or array_like, shape (n_classes, d), optional
        A vector for each class, by name or in the order of ``cohort.classes``, for ``kd="llm"``. Only their
        cosines after centring count.
    valence : mapping of class to value, or array_like, optional
        Value of each clip in the cohort's order, or of each class by name or in the order of
        ``cohort.classes``, in any unit, for specs with an alignment: (n_clips,), (n_classes,), or with a
        column for each of several models, of which the first serves strategies that read one. What pandas
        indexes by class is taken by name.
    features, baselines : bool
        Whether the checkpoints hold penultimate features, five sixths of what is stored, and the bank the
        linear baselines. Features can be had later: a member stored without them is evaluated again, not
        trained.
    folder : str or Path, optional
        Where finished members are stored; the user's cache by default.
    n_jobs : int
        Processes, of one thread each. On an accelerator all runs in this one.
    device : str or torch.device, optional
        As in :func:`kernel.checks.device`. Results are deterministic on one device.
    progress : bool
        Show progress bars.

    Returns
    -------
    Bank

    Raises
    ------
    ValueError
        Before any training, if a spec, the data, the split or the prototypes cannot be used.
    kernel.files.CacheNotWritableError
        If a trained member cannot be stored, as on a full disk; those before it are kept.
    OSError
        If a member that was stored cannot be read again.
    """
    specs = (specs,) if isinstance(specs, TrainingSpec) else tuple(specs)
    split = usual_split(cohort, split)
    data = _Data.of(specs, cohort, split, segment)
    place = checks.device(device)
    context = _context(specs, cohort, data, valence)
    members = _checked_members(specs, data, prototypes, context, place)
    folder = files.cache_dir("bank", create=False) if folder is None else files.absolute(folder)

    def read(member: _Member) -> Checkpoint | None:
        return _read_checkpoint(folder / f"{member.key}.npz", member.spec, data, features, place)

    done = {member.key: read(member) for member in members}
    lock = files.one_at_a_time(folder / files.digest(sorted(done)))
    with lock if None in done.values() else nullcontext():
        # another process may have been faster
        done |= {member.key: read(member) for member in members if done[member.key] is None}
        if missing := [member for member in members if done[member.key] is None]:
            files.writable_folder(folder)
            teachers = partial(
                train_bank, cohort=cohort, split=split, segment=segment, prototypes=prototypes,
                valence=valence, features=False, baselines=False, folder=folder, n_jobs=n_jobs, device=place,
                progress=progress,
            )  # fmt: skip
            blocks = _work_blocks(_taught(missing, teachers), n_jobs if place.type == "cpu" else 1)
            train = partial(
                _train_block, context=context, data=data, features=features, folder=folder, device=place
            )
            n_done = len(members) - len(missing)
            with tqdm(total=len(members), initial=n_done, desc="trainings", disable=not progress) as bar:
                for count in _train_blocks(train, blocks, n_jobs if place.type == "cpu" else 1, progress):
                    bar.update(count)
            done |= {member.key: read(member) for member in missing}
    for key, checkpoint in done.items():
        if checkpoint is None:
            raise OSError(
                f"{folder / key}.npz was written and cannot be read: is another program changing it?"
            )
    return Bank(
        checkpoints=tuple(one for one in done.values() if one is not None),
        baselines=_baselines(data, folder) if baselines else {},
        trials=data.trials,
        classes=data.classes,
        label=cohort.label,
        split=split.name,
        simulated=cohort.simulated,
        shape=data.shape,
    )


def noise_bank(cohort: Cohort, split: Split, segment: float | None = None) -> Bank:
    """What a bank will be asked about, with one member whose features and logits are noise.

    A question that cannot be put to it can be put to no trained one. Errors as of `train_bank`.
    """
    data = _Data.of((), cohort, split, segment)
    noise = np.random.default_rng(0).standard_normal((len(data.trials), len(data.classes)))
    member = Checkpoint(TrainingSpec(), noise, noise, np.zeros(1), np.zeros(1), 0, {})
    names = cohort.label, split.name, cohort.simulated
    return Bank((member,), {}, data.trials, data.classes, *names, data.shape)


# The data of a cohort


@dataclass(frozen=True, eq=False)
class _Data:
    """Inputs by number of windows, (n, n_channels, n_windows, n_bands) float32, with their trials."""

    inputs: dict[int, np.ndarray]
    trials: pd.DataFrame
    classes: tuple[str, ...]
    digests: dict[int, str]

    @property
    def y(self) -> np.ndarray:
        return self.trials["y"].to_numpy()

    @property
    def shape(self) -> tuple[int, int]:
        """Channels and bands."""
        _, n_channels, _, n_bands = self.inputs[1].shape
        return n_channels, n_bands

    def rows(self, which: str) -> np.ndarray:
        return np.flatnonzero(self.trials["set"] == which)

    def labels(self, kind: str) -> Labels:
        """What a network is trained to tell apart."""
        return Labels.of_trials(self.trials, len(self.classes), kind)

    @classmethod
    def of(cls, specs: Sequence[TrainingSpec], cohort: Cohort, split: Split, segment: float | None) -> _Data:
        _check_split(cohort, split)
        cohort = Cohort(cohort.data)  # its arrays may have been edited since: NaN is refused here
        if cohort.data.attrs["unit"] != "z":
            cohort = standardise(cohort)
        segment = segment_length(cohort, segment)
        whole = segments(cohort, length=segment)
        belongs = np.stack([whole.rows(getattr(split, name)) for name in SETS])
        used = belongs.any(0)
        columns = {name: getattr(whole, name) for name in ("subject", "clip", "segment", "y")}
        columns["set"] = pd.Categorical.from_codes(belongs.argmax(0), SETS)
        trials = pd.DataFrame(columns)[used].reset_index(drop=True)
        shape = (len(cohort.channels), len(cohort.bands))
        inputs = {
            n: time_steps(cohort, segment, n, whole, shape)[used]
            for n in sorted({1, *(spec.n_windows for spec in specs)})  # the baselines take 1
        }
        _check_trials(trials, cohort.classes)
        design = [trials[name].to_numpy() for name in ("y", "clip", "segment")]
        design += [trials["set"].cat.codes.to_numpy(), list(cohort.classes)]
        digests = {n: files.digest(x, *design) for n, x in inputs.items()}
        return cls(inputs, trials, cohort.classes, digests)


def time_steps(
    cohort: Cohort, segment: float, n_windows: int, whole: Any, shape: tuple[int, int]
) -> np.ndarray:
    """Segments as (n, n_channels, n_windows, n_bands), each time step the mean of its part."""
    parts = segments(cohort, length=segment / n_windows) if n_windows > 1 else whole
    # parts of a trial's unfinished last segment belong to no whole one
    place = parts.cell * (len(parts.cell) + 1) + parts.segment // n_windows
    within = np.isin(place, whole.cell * (len(parts.cell) + 1) + whole.segment)
    steps = parts.X[within].reshape(len(whole.X), n_windows, *shape)
    return np.ascontiguousarray(steps.transpose(0, 2, 1, 3))


def _check_split(cohort: Cohort, split: Split) -> None:
    grid = (len(cohort.subjects), len(cohort.clips))
    masks = {name: np.asarray(getattr(split, name)) for name in SETS}
    for name, mask in masks.items():
        if mask.shape != grid:
            raise ValueError(
                f"{name} of split {split.name!r} has shape {mask.shape}, the cohort {grid} subjects and "
                "clips: make the split from this cohort"
            )
        if not (mask & cohort.present).any():
            raise ValueError(f"{name} of split {split.name!r} is empty: choose another split or fold")
    twice = np.argwhere(sum(mask.astype(int) for mask in masks.values()) > 1)
    if len(twice):
        subject, clip = twice[0]
        raise ValueError(
            f"subject {cohort.subjects[subject]}, clip {cohort.clips[clip]} is in more than one set of split "
            f"{split.name!r}: the sets must be disjoint"
        )


def _check_trials(trials: pd.DataFrame, classes: tuple[str, ...]) -> None:
    for name in SETS:
        if not (trials["set"] == name).any():
            raise ValueError(f"{name} holds no whole segment: shorten segment= or choose another split")
    counts = np.bincount(trials["y"][trials["set"] == "train"], minlength=len(classes))
    if (counts > 0).sum() < 2:
        raise ValueError(
            f"train holds one class only, {classes[counts.argmax()]!r}: there is nothing to tell apart"
        )
    if not counts.all():
        absent = ", ".join(repr(classes[k]) for k in np.flatnonzero(counts == 0))
        raise ValueError(
            f"train holds no trial of {absent}: choose another split or fold, or build the cohort without it"
        )


def _context(
    specs: Sequence[TrainingSpec], cohort: Cohort, data: _Data, valence: Named | None
) -> Context | None:
    """What alignments need to know of the cohort, checked against each of them; None if there are none."""
    aligned = [(i, spec, a) for i, spec in enumerate(specs) if (a := spec.active_alignment()) is not None]
    if not aligned:
        return None
    if valence is None:
        index, _, alignment = aligned[0]
        raise ValueError(
            f"spec {index} is aligned by {alignment.strategy!r} and needs valence=: one value for each "
            "clip, such as cohort.rating(), or for each class"
        )
    place = {number: index for index, number in enumerate(cohort.clips.tolist())}
    clip = data.trials["clip"].map(place).to_numpy()
    train = data.rows("train")
    profile = np.full((len(cohort.clips), *data.shape), np.nan)
    mean_input = data.inputs[1][:, :, 0]
    for index in np.unique(clip[train]):
        profile[index] = mean_input[train[clip[train] == index]].mean(0)
    context = Context.of(cohort, valence, clip, profile, cohort.channels)
    for index, spec, alignment in aligned:
        try:
            context.check(alignment, spec.network, spec.epochs)
        except ValueError as error:
            raise ValueError(f"spec {index}: {error}") from error
    return context


# The members


@dataclass(frozen=True, eq=False)
class _Member:
    """A training, the key of its result, its number of weights, its prototypes and its teacher's logits."""

    spec: TrainingSpec
    key: str
    size: int
    target: np.ndarray | None
    teacher: np.ndarray | None = None

    @property
    def stacked(self) -> bool:
        """Whether it is trained in a stack."""
        return self.spec.network in networks.STACKED and self.size * self.spec.batch_size <= STACK_LIMIT


def _checked_members(
    specs: Sequence[TrainingSpec],
    data: _Data,
    prototypes: Named | None,
    context: Context | None,
    device: torch.device,
) -> list[_Member]:
    """Every spec with what it needs; refuses those that cannot be trained."""
    if not specs:
        raise ValueError("specs is empty: give one TrainingSpec or more")
    llm, n = None, len(data.classes)
    if prototypes is not None:
        vectors = real(in_order(prototypes, "prototypes", data.classes), "prototypes")
        checks.shape("prototypes", vectors, (n, None), f"({n} classes, d): {data.classes}")
        llm = _unit_rows(vectors)
    aligned = None
    if context is not None:
        names = [list(names) for names in (context.classes, context.channels, context.bands)]
        # another unit of the values leaves their last digits different
        aligned = files.digest(context.values.round(9) + 0.0, context.clip_class, context.clip, *names)
    code = files.cache_key(__name__, "bank", device.type)
    members: list[_Member] = []
    first: dict[str, int] = {}
    for index, spec in enumerate(specs):
        if spec.network in networks.RAW:
            raise ValueError(
                f"spec {index} ({spec.network}) takes raw EEG, a cohort holds differential entropies: "
                "choose 'mlp' or 'axial'"
            )
        if spec.kd == "llm" and llm is None:
            raise ValueError("kd='llm' needs prototypes=, one row per class; kd='random' draws its own")
        target = llm if spec.kd == "llm" else None
        if spec.kd == "random":
            draws = np.random.default_rng(spec.seed_of(training.PROTOTYPES)).standard_normal((n, n))
            target = _unit_rows(np.linalg.qr(draws)[0])
        values = aligned if spec.active_alignment() is not None else None
        key = files.digest(code, spec.content(), data.digests[spec.n_windows], target, values)[:40]
        if first.setdefault(key, index) != index:
            raise ValueError(
                f"specs {first[key]} and {index} are the same training: change the seed or drop one of them"
            )
        network = build_member(spec, data.shape, len(data.labels(spec.labels).class_of))
        members.append(_Member(spec, key, networks.count_parameters(network), target))
    return members


def _unit_rows(prototypes: np.ndarray) -> np.ndarray:
    """Centre, rotate into as many coordinates as there are classes, scale to length one: cosines stay."""
    centred = prototypes - prototypes.mean(0)
    u, s, _ = np.linalg.svd(centred, full_matrices=False)
    coordinates = np.zeros((len(prototypes), len(prototypes)))
    coordinates[:, : len(s)] = u * s
    length = np.linalg.norm(coordinates, axis=1, keepdims=True)
    if not (length > 1e-9 * s[0]).all() or s[0] == 0:
        raise ValueError(
            f"prototype {int(length.argmin())} lies at the mean of all: its direction is undefined, give "
            "prototypes that differ"
        )
    return coordinates / length


def _taught(members: Sequence[_Member], train: Callable[[list[TrainingSpec]], Bank]) -> list[_Member]:
    """The members with the logits of their teachers, each of which is trained once."""
    teachers = [_teacher(member.spec) for member in members]
    different = {files.digest(spec.content()): spec for spec in teachers if spec is not None}
    if not different:
        return list(members)
    logits = dict(zip(different, (c.logits for c in train([*different.values()]).checkpoints), strict=True))
    return [
        member if spec is None else replace(member, teacher=logits[files.digest(spec.content())])
        for member, spec in zip(members, teachers, strict=True)
    ]


def _teacher(spec: TrainingSpec) -> TrainingSpec | None:
    """How the teacher that the alignment asks for is trained."""
    alignment = spec.active_alignment()
    teacher = alignment.teacher() if alignment is not None else None
    return None if teacher is None else replace(spec, alignment=teacher, recipe="teacher")


# Spreading the work

_Block = tuple[bool, list[_Member]]  # whether to stack them


def _work_blocks(members: Sequence[_Member], n_jobs: int) -> list[_Block]:
    """Every piece of work; stacks, the longest, first."""
    stacks: dict[str, list[_Member]] = {}
    loops = []
    for member in members:
        if not member.stacked:
            loops.append((False, [member]))
            continue
        shared = member.spec.content()
        for name in ("seed", "label_smoothing", "augmentation", "kd", "kd_weight", "kd_temperature"):
            del shared[name]
        # whoever looks at a part of the input costs the whole stack a second pass
        alignment = member.spec.active_alignment()
        shared["alignment"] = alignment is not None and alignment.definition.view is not None
        stacks.setdefault(files.digest(shared), []).append(member)
    blocks = []
    # a step costs a small stack what it costs a large one: only processes without work are worth a division
    share = math.ceil(n_jobs / max(len(stacks) + len(loops), 1))
    for stack in stacks.values():
        count = max(math.ceil(len(stack) / STACK_SIZE), min(share, math.ceil(len(stack) / 4)))
        for part in np.array_split(np.arange(len(stack)), count):
            blocks.append((True, [stack[i] for i in part]))
    return blocks + loops


def _train_blocks(
    train: Callable[..., int], blocks: Sequence[_Block], n_jobs: int, progress: bool
) -> Iterator[int]:
    """Train the blocks; yields how many members each gave as it ends."""
    n_jobs = processes(n_jobs)
    if n_jobs == 1 or len(blocks) < 2:
        for stacked, members in blocks:
            yield train(members, stacked, progress=progress)
    else:
        tasks = (delayed(train)(members, stacked) for stacked, members in blocks)
        yield from Parallel(n_jobs=n_jobs, return_as="generator_unordered")(tasks)


def _train_block(
    members: Sequence[_Member],
    stacked: bool,
    *,
    context: Context | None,
    data: _Data,
    features: bool,
    folder: Path,
    device: torch.device,
    progress: bool = False,
) -> int:
    """Train the members of a block and store each; returns how many."""
    specs = [member.spec for member in members]
    labels = data.labels(specs[0].labels)
    with one_thread():
        inputs = torch.tensor(data.inputs[specs[0].n_windows], device=device)
        built = [build_member(spec, data.shape, len(labels.class_of)) for spec in specs]
        model: Any = networks.STACKED[specs[0].network](built) if stacked else Single(built[0])
        model = model.to(device)
        aligner = Aligner(
            [spec.alignment for spec in specs],
            context,
            weights=model.weights(),
            rngs=[spec.generator(training.ALIGNMENT) for spec in specs],
            smoothing=[spec.label_smoothing for spec in specs],
            teachers=[member.teacher for member in members],
        )
        course = optimise(
            model, specs, inputs, labels, {name: data.rows(name) for name in SETS},
            targets=[member.target for member in members], aligner=aligner, progress=progress,
        )  # fmt: skip
        logits, penultimate = training.evaluate(model, inputs, len(specs), labels)
    logits = aligner.infer(logits)
    for m, member in enumerate(members):
        checkpoint = Checkpoint(
            spec=member.spec,
            logits=logits[m],
            features=penultimate[m] if features else None,
            validation=course.validation[m],
            losses=course.losses[m],
            epoch=int(course.epoch[m]),
            state={name: value.cpu().numpy() for name, value in course.states[m].items()},
        )
        _write_checkpoint(folder / f"{member.key}.npz", checkpoint)
    return len(members)


# Storage


def _write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    arrays: dict[str, Any] = {
        name: getattr(checkpoint, name) for name in ("logits", "validation", "losses", "epoch")
    }
    if checkpoint.features is not None:
        arrays["features"] = checkpoint.features
    arrays |= {f"state/{name}": value for name, value in checkpoint.state.items()}
    try:
        with files.atomic_path(path) as temporary, temporary.open("wb") as file:
            np.savez(file, **arrays)
    except OSError as error:
        raise files.CacheNotWritableError.at(path.parent, error) from error


def _read_checkpoint(
    path: Path, spec: TrainingSpec, data: _Data, features: bool, device: torch.device | str = "cpu"
) -> Checkpoint | None:
    """A stored member, None if there is none; one that cannot be read counts as absent, with a warning."""
    try:
        arrays = files.read_arrays(path)
        stored = {name: arrays[name] for name in ("logits", "validation", "losses")}
        epoch = int(arrays["epoch"])
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, KeyError) as error:
        warnings.warn(f"stored training {path} is unreadable ({error}): training it anew", stacklevel=3)
        return None
    if stored["logits"].shape != (len(data.trials), len(data.classes)):
        warnings.warn(f"stored training {path} is of other trials: training it anew", stacklevel=3)
        return None
    state = {
        name.removeprefix("state/"): value for name, value in arrays.items() if name.startswith("state/")
    }
    penultimate = arrays.get("features") if features else None
    checkpoint = Checkpoint(spec=spec, epoch=epoch, state=state, features=penultimate, **stored)
    if features and penultimate is None:
        model = Single(checkpoint.network(data.shape)).to(device)
        inputs = torch.tensor(data.inputs[spec.n_windows], device=device)
        with one_thread():
            penultimate = training.evaluate(model, inputs, 1, data.labels(spec.labels))[1][0]
    return replace(checkpoint, features=penultimate)


def _baselines(data: _Data, folder: Path) -> dict[str, np.ndarray]:
    """Scores of the linear baselines on all trials, from the mean of each segment."""
    x = data.inputs[1].reshape(len(data.trials), -1).astype(np.float64)
    rows = data.rows("train")

    def scores(name: str) -> np.ndarray:
        return networks.linear_baseline(name).fit(x[rows], data.y[rows]).predict_log_proba(x)

    code = files.cache_key(__name__, "baseline", data.digests[1])
    keys = {n: files.digest(code, n)[:40] for n in networks.LINEAR_BASELINES}
    return {name: files.load_or_compute(folder, key, partial(scores, name)) for name, key in keys.items()}
