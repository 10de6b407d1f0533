"""Banks of classifiers: many trainings of small networks at once, paired, resumable, equal to single ones.

In:  a cohort, a split, and one `TrainingSpec` for every training wanted.
Out: a `Bank`: for every training its logits, penultimate features, curves and weights; the table of trials
     they refer to; and linear baselines on the same trials.
Never looks at test trials to choose anything, never draws from a global random state, never leaves half a
result on the disk.

How the trainings are spread: networks that have a stacked form (``mlp``) and are small are trained as one
batched computation, all others one by one in processes of one thread. Members with one seed share their
initial weights and the order of their batches whatever their recipe, so that recipes are compared in pairs;
a member's dropout and augmentation come from generators of its own, so that its result does not depend on
its company. Finished members are stored under a digest of their spec, the data and the code: a study that was
interrupted goes on where it stopped.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from joblib import Parallel, delayed
from numpy.typing import ArrayLike
from torch import nn
from torch.nn import functional as F
from tqdm.auto import tqdm

from kernel import checks, files, stats
from kernel.arrays import real
from kernel.brain.cohort import Cohort, Split, segment_length, segments, standardise
from kernel.decoding import networks
from kernel.decoding.alignment import Aligner, Alignment, Context, clip_values
from kernel.metrics import balanced_accuracy, mean_recall
from kernel.threads import one_thread, processes

SETS = ("train", "validation", "test")
LABELS = ("classes", "moments")
MODES = ("auto", "stack", "loop")

# Parameters times batch size up to which a stack of 18 was faster than a loop on one thread: 3 times at
# 160-128-64-9 and batch 128 (4 million), 1.2 times at 160-512-128-9 (19 million), level from there on.
STACK_LIMIT = 20_000_000

AUGMENTATIONS: dict[str, dict[str, float]] = {
    "none": {},
    "paper": {
        "noise": 0.05,
        "channel_dropout": 0.15,
        "amplitude": 0.1,
        "jitter": 1,
        "time_masking": 0.05,
        "probability": 0.6,
    },
}
"""Presets of augmentation. ``paper`` has the published noise, channel dropout, time masking and probability;
the sizes of amplitude scaling and jitter are not published and are ours.

- ``noise``: standard deviation of added Gaussian noise, in standard deviations of the training inputs.
- ``channel_dropout``: probability that a channel is set to zero, the mean of standardised features.
- ``amplitude``: a sample is multiplied by a uniform draw from [1 - amplitude, 1 + amplitude].
- ``jitter``: circular shift by up to so many windows to either side.
- ``time_masking``: probability that a window is set to zero.
- ``probability``: of augmenting a sample at all, 1 if not given.

Jitter and time masking leave samples of a single window as they are.
"""
_AUGMENTATION_DEFAULTS = {**dict.fromkeys(AUGMENTATIONS["paper"], 0.0), "probability": 1.0}

# Independent streams of random numbers of one seed.
_INITIAL, _ORDER, _DROPOUT, _AUGMENTATION, _PROTOTYPES, _ALIGNMENT = range(6)
_EVALUATION_ROWS = 1024  # bounds the memory of an evaluation


@dataclass(frozen=True)
class TrainingSpec:
    """All that decides one training, given the data.

    Attributes
    ----------
    network : str
        A name of :data:`kernel.decoding.networks.NETWORKS`.
    options : mapping
        Options of the network.
    n_windows : int
        Time steps into which a segment is averaged; 1 gives its mean.
    labels : {"classes", "moments"}
        What the last layer tells apart: classes; or every segment of every clip, a moment of a film, from
        every other. The score of a class is then the log of the sum of exponentials over its moments, so that
        the network learns no class, only which moments each has.
    epochs, batch_size : int
        Passes over the training set and samples a step.
    learning_rate, weight_decay : float
        Of AdamW; the rate rises linearly over `warmup_epochs`, then falls to zero along a cosine.
    warmup_epochs : int
        Fewer than `epochs`.
    label_smoothing : float
        Share of the target spread evenly over the classes.
    augmentation : str or mapping
        A name or sizes of :data:`AUGMENTATIONS`.
    kd : {None, "llm", "random"}
        Auxiliary loss towards class prototypes, those given to `train_bank` or random orthonormal ones. With
        z the penultimate features, A a learned linear map and p_k the centred prototypes, it is the cross
        entropy of the label under softmax_k(cos(A z, p_k) / temperature).
    kd_weight, kd_temperature : float
        Weight of that loss and its temperature.
    alignment : Alignment, optional
        A strategy that pulls the training towards the values given to `train_bank` as ``valence``. Initial
        weights, batches, dropout and augmentation stay those of the training without it.
    seed : int
        Of initial weights, batch order, dropout, augmentation, random prototypes and what an alignment
        draws, each its own stream.
    recipe : str
        A label for tables; it decides nothing.

    Raises
    ------
    ValueError
        If a value is not possible; names it.
    """

    network: str = "mlp"
    options: Mapping[str, Any] = field(default_factory=dict)
    n_windows: int = 1
    labels: str = "classes"
    epochs: int = 100
    batch_size: int = 128
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    warmup_epochs: int = 5
    label_smoothing: float = 0.1
    augmentation: str | Mapping[str, float] = "none"
    kd: str | None = None
    kd_weight: float = 0.5
    kd_temperature: float = 1.0
    alignment: Alignment | None = None
    seed: int = 0
    recipe: str = ""

    def __post_init__(self) -> None:
        networks.check_options(self.network, self.options)
        for name, least in (("n_windows", 1), ("epochs", 1), ("batch_size", 1), ("seed", 0)):
            value = getattr(self, name)
            if not isinstance(value, int | np.integer) or value < least:
                raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}")
        if not 0 <= self.warmup_epochs < self.epochs:
            raise ValueError(
                f"warmup_epochs must lie in [0, epochs), got {self.warmup_epochs} with {self.epochs} epochs"
            )
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(f"label_smoothing must lie in [0, 1), got {self.label_smoothing}")
        if self.labels not in LABELS:
            raise ValueError(f"labels must be one of {', '.join(LABELS)}, got {self.labels!r}")
        if self.kd not in (None, "llm", "random"):
            raise ValueError(f"kd must be None, 'llm' or 'random', got {self.kd!r}")
        if not isinstance(self.alignment, Alignment | None):
            raise ValueError(f"alignment must be an Alignment or None, got {self.alignment!r}")
        for name in ("learning_rate", "kd_temperature"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        for name in ("weight_decay", "kd_weight"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        if self.labels == "moments" and self.alignment is not None and self.alignment.definition.start:
            raise ValueError(
                f"{self.alignment.strategy!r} sets the weights of classes, labels='moments' has none: choose "
                "labels='classes' or another strategy"
            )
        self.augmentation_sizes()

    def augmentation_sizes(self) -> dict[str, float]:
        """The augmentation as numbers, absent ones filled in; ValueError lists what there is."""
        given = self.augmentation
        if isinstance(given, str):
            if given not in AUGMENTATIONS:
                raise ValueError(f"no augmentation named {given!r}; there are {', '.join(AUGMENTATIONS)}")
            given = AUGMENTATIONS[given]
        unknown = sorted(set(given) - set(_AUGMENTATION_DEFAULTS))
        if unknown:
            known = ", ".join(_AUGMENTATION_DEFAULTS)
            raise ValueError(f"augmentation knows no {', '.join(unknown)}; there are {known}")
        sizes = {name: float(given.get(name, default)) for name, default in _AUGMENTATION_DEFAULTS.items()}
        for name, value in sizes.items():
            most = math.inf if name in ("noise", "jitter") else 1.0
            if not 0 <= value <= most or (name == "jitter" and value != round(value)):
                raise ValueError(f"augmentation {name} is out of range: {value}")
        return sizes


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """One finished training, at the epoch of best validation balanced accuracy (the first of equals).

    An alignment that trains in two steps is judged by the epochs of its second step alone.

    Attributes
    ----------
    spec : TrainingSpec
        What was trained.
    logits : ndarray, shape (n_trials, n_classes)
        Of every trial, train, validation and test; no dropout, no augmentation.
    features : ndarray, shape (n_trials, d), or None
        Penultimate layer: ``logits = features @ W.T + b`` with `head`, unless an alignment changes
        predictions. None if they were not asked for.
    validation : ndarray, shape (epochs,)
        Balanced accuracy after each epoch.
    losses : ndarray, shape (epochs,)
        Mean training loss of each epoch, auxiliary losses included.
    epoch : int
        The epoch chosen, from 0.
    state : dict of str to ndarray
        Weights at that epoch.
    """

    spec: TrainingSpec
    logits: np.ndarray
    features: np.ndarray | None
    validation: np.ndarray
    losses: np.ndarray
    epoch: int
    state: dict[str, np.ndarray]

    @property
    def kept_features(self) -> np.ndarray:
        """`features`, or ValueError if they were not asked for."""
        if self.features is None:
            raise ValueError("the bank was trained without its features: call train_bank with features=True")
        return self.features

    @property
    def head(self) -> tuple[np.ndarray, np.ndarray]:
        """Weights (n_classes, d) and biases (n_classes,) of the last layer; ValueError with moments."""
        if self.spec.labels != "classes":
            raise ValueError("the last layer tells moments apart: train with labels='classes'")
        return self.state["head.weight"], self.state["head.bias"]


@dataclass(frozen=True, eq=False)
class Bank:
    """Trained members of one cohort and split.

    Attributes
    ----------
    checkpoints : tuple of Checkpoint
        In the order of the specs.
    baselines : dict of str to ndarray, shape (n_trials, n_classes)
        Class scores of the linear baselines, fitted to the training trials; empty if they were not asked for.
    trials : DataFrame
        One row for each row of logits and features: ``subject``, ``clip``, ``segment``, ``y``, ``set``.
    classes : tuple of str
        Names of the class indices.
    label, split : str
        Of the cohort (it says if no real EEG is behind it) and of the split.
    simulated : bool
        Whether the cohort was simulated.
    shape : tuple of int
        Channels and bands of an input.
    """

    checkpoints: tuple[Checkpoint, ...]
    baselines: dict[str, np.ndarray]
    trials: pd.DataFrame
    classes: tuple[str, ...]
    label: str
    split: str
    simulated: bool
    shape: tuple[int, int]

    def __len__(self) -> int:
        return len(self.checkpoints)

    @property
    def specs(self) -> tuple[TrainingSpec, ...]:
        """Spec of every member."""
        return tuple(checkpoint.spec for checkpoint in self.checkpoints)

    def rows(self, which: str) -> np.ndarray:
        """Which trials belong to ``"train"``, ``"validation"`` or ``"test"``: boolean (n_trials,)."""
        if which not in SETS:
            raise ValueError(f"no set named {which!r}; there are {', '.join(SETS)}")
        return (self.trials["set"] == which).to_numpy()

    def scores(self, member: int | str) -> np.ndarray:
        """Class scores (n_trials, n_classes) of a member by number, or of a baseline by name."""
        if isinstance(member, str):
            if member not in self.baselines:
                there = ", ".join(self.baselines) or "none: ask train_bank for baselines=True"
                raise ValueError(f"no baseline named {member!r}; there are {there}")
            return self.baselines[member]
        return self.checkpoints[member].logits

    def bacc(self, which: str = "test") -> np.ndarray:
        """Balanced accuracy of every member (n_members,)."""
        rows = self.rows(which)
        found = np.stack([checkpoint.logits[rows].argmax(1) for checkpoint in self.checkpoints])
        return balanced_accuracy(self.trials["y"].to_numpy()[rows], found)

    def baseline_bacc(self, which: str = "test") -> dict[str, float]:
        """Balanced accuracy of every baseline."""
        rows = self.rows(which)
        y = self.trials["y"].to_numpy()[rows]
        return {
            name: float(balanced_accuracy(y, found[rows].argmax(1))) for name, found in self.baselines.items()
        }

    def table(self) -> pd.DataFrame:
        """One row for each member, then for each baseline.

        Columns ``recipe``, ``network``, ``seed``, ``parameters``, ``epochs``, ``epoch`` (chosen), and
        balanced accuracy on ``train``, ``validation``, ``test``. What a baseline does not have is missing.
        """
        members = pd.DataFrame(
            {
                "recipe": [spec.recipe for spec in self.specs],
                "network": [spec.network for spec in self.specs],
                "seed": [spec.seed for spec in self.specs],
                "parameters": [sum(a.size for a in c.state.values()) for c in self.checkpoints],
                "epochs": [spec.epochs for spec in self.specs],
                "epoch": [checkpoint.epoch for checkpoint in self.checkpoints],
                **{which: self.bacc(which) for which in SETS},
            }
        )
        linear = pd.DataFrame(
            {
                "recipe": "baseline",
                "network": list(self.baselines),
                **{which: list(self.baseline_bacc(which).values()) for which in SETS},
            }
        )
        table = pd.concat([members, linear], ignore_index=True)
        whole = ["seed", "parameters", "epochs", "epoch"]
        return table.astype(dict.fromkeys(whole, "Int64"))

    def network(self, member: int) -> nn.Module:
        """The trained network of a member, on the processor and in evaluation mode.

        Its logits are those of classes or of moments, as the spec's labels say.
        """
        checkpoint = self.checkpoints[member]
        network = build_member(checkpoint.spec, self.shape, len(checkpoint.state["head.bias"]))
        network.load_state_dict({name: torch.tensor(value) for name, value in checkpoint.state.items()})
        return network.eval()


def subject_interval(
    bank: Bank,
    member: int | str,
    *,
    which: str = "test",
    n_resamples: int = 2000,
    confidence: float = 0.95,
    random_state: int | np.random.Generator | None = 0,
) -> stats.Interval:
    """Balanced accuracy with a bootstrap interval over subjects.

    The trials of one person resemble each other, so that an interval over trials is too short: people are
    resampled, each with all of their trials.

    Parameters
    ----------
    bank : Bank
        Trained members.
    member : int or str
        A member's number or a baseline's name.
    which : {"test", "validation", "train"}
        The set.
    n_resamples, confidence, random_state
        As for :func:`kernel.stats.bootstrap_interval`.

    Returns
    -------
    Interval

    Raises
    ------
    ValueError
        If the set holds one subject only, or the set or the baseline does not exist.
    """
    rows = bank.rows(which)
    trials = bank.trials[rows]
    subjects, person = np.unique(trials["subject"], return_inverse=True)
    if len(subjects) < 2:
        raise ValueError(
            f"{which} holds subject {subjects[0]} only: an interval over subjects needs two or more, "
            "choose a split with more test subjects"
        )
    y = trials["y"].to_numpy()
    hit = bank.scores(member)[rows].argmax(1) == y
    options: dict[str, Any] = {"n_resamples": n_resamples, "confidence": confidence}
    return recall_interval(hit, y, person, **options, random_state=random_state)


def recall_interval(hit: np.ndarray, y: np.ndarray, subject: np.ndarray, **options: Any) -> stats.Interval:
    """Balanced accuracy from hits (n,), whole people resampled.

    Parameters
    ----------
    hit : ndarray of bool or float, shape (n,)
        Whether each trial is called rightly, or by what share of several classifiers.
    y, subject : ndarray of int, shape (n,)
        Class from 0 and person of each trial.
    **options
        Of :func:`kernel.stats.bootstrap_interval`.
    """
    # trials and hits of every person and class: to resample these rows is to resample people
    people, person = np.unique(subject, return_inverse=True)
    counts, hits = np.zeros((2, len(people), y.max() + 1))
    np.add.at(counts, (person, y), 1)
    np.add.at(hits, (person, y), hit)
    return stats.bootstrap_interval(mean_recall, counts, hits, **options)


# Training


def train_bank(
    specs: Sequence[TrainingSpec],
    cohort: Cohort,
    split: Split,
    *,
    segment: float | None = None,
    prototypes: ArrayLike | None = None,
    valence: ArrayLike | None = None,
    features: bool = True,
    baselines: bool = True,
    mode: str = "auto",
    stack_size: int = 18,
    folder: str | Path | None = None,
    n_jobs: int = 2,
    device: str | torch.device | None = None,
    progress: bool = True,
) -> Bank:
    """Train every spec, or load it if it has been trained.

    Parameters
    ----------
    specs : sequence of TrainingSpec
        No two alike but for the recipe's label.
    cohort : Cohort
        Differential entropies; standardised here by :func:`kernel.brain.cohort.standardise` unless its unit
        is z already.
    split : Split
        Trials to learn from, to choose the epoch on, and to test on.
    segment : float, optional
        Seconds of a sample, by default those of :func:`~kernel.brain.cohort.segments`.
    prototypes : array_like, shape (n_classes, d), optional
        A vector for each class, such as hidden states of a language model; needed by ``kd="llm"``. Only their
        cosines after centring count.
    valence : array_like, shape (n_clips,), (n_classes,) or (n_clips, n_models), optional
        Value of each clip in the cohort's order or of each class, in any unit; needed by specs with an
        alignment. Of several models the first serves strategies that read one.
    features : bool
        Whether the checkpoints hold penultimate features, five sixths of what is stored. They can be had
        later: a member stored without them is evaluated again, not trained.
    baselines : bool
        Whether the bank holds the linear baselines, which cost as much as some members.
    mode : {"auto", "stack", "loop"}
        Stack members of one architecture and schedule, train them one by one, or the first where it is
        faster: for an ``mlp`` with few parameters times batch size.
    stack_size : int
        Most members of a stack: bounds the memory, and what a kill can cost.
    folder : str or Path, optional
        Where finished members are stored; the user's cache by default.
    n_jobs : int
        Processes, of one thread each. On an accelerator all runs in this one.
    device : str or torch.device, optional
        ``"cuda"`` if there is one, else ``"cpu"``. Results are deterministic on one device.
    progress : bool
        Show progress bars.

    Returns
    -------
    Bank
        With `linear_baseline` scores beside the members.

    Raises
    ------
    ValueError
        Before any training, if a spec, the data, the split or the prototypes cannot be used; names the value
        and the cure.
    kernel.files.CacheNotWritableError
        If a trained member cannot be stored, as on a full disk; those before it are kept.
    OSError
        If a member that was stored cannot be read again.
    """
    specs = tuple(specs)
    data = _Data.of(specs, cohort, split, segment)
    _check_specs(specs, data, mode, stack_size)
    targets = _prototypes(specs, prototypes, data)
    context = _context(specs, cohort, data, valence)
    device = checks.device(device)
    folder = files.cache_dir("bank", create=False) if folder is None else files.absolute(folder)
    keys = _keys(specs, data, targets, context, device)

    def read(index: int) -> Checkpoint | None:
        return _read(folder / f"{keys[index]}.npz", specs[index], data, features)

    def stored(index: int) -> Checkpoint:
        checkpoint = found[keys[index]]
        if checkpoint is None:
            raise OSError(
                f"{folder / keys[index]}.npz was written and cannot be read: is another program changing it?"
            )
        return checkpoint

    found = {key: read(i) for i, key in enumerate(keys)}
    lock = files.one_at_a_time(folder / files.digest(sorted(set(keys))))
    with lock if None in found.values() else nullcontext():
        # another process may have been faster
        found |= {key: read(i) for i, key in enumerate(keys) if found[key] is None}
        missing = [i for i, key in enumerate(keys) if found[key] is None]
        if missing:
            files.writable_folder(folder)
        teachers: dict[int, np.ndarray | None] = dict.fromkeys(range(len(specs)))
        taught = {i: teacher for i in missing if (teacher := _teacher(specs[i])) is not None}
        if taught:
            wanted = {files.digest(_content(teacher)): teacher for teacher in taught.values()}
            bank = train_bank(
                list(wanted.values()), cohort, split, segment=segment, prototypes=prototypes, valence=valence,
                features=False, baselines=False, mode=mode, stack_size=stack_size, folder=folder,
                n_jobs=n_jobs, device=device, progress=progress,
            )  # fmt: skip
            logits = {
                key: checkpoint.logits for key, checkpoint in zip(wanted, bank.checkpoints, strict=True)
            }
            teachers |= {i: logits[files.digest(_content(teacher))] for i, teacher in taught.items()}
        blocks = _blocks(specs, missing, data, mode, stack_size, n_jobs if device.type == "cpu" else 1)
        with tqdm(
            total=len(specs), initial=len(specs) - len(missing), desc="trainings", disable=not progress
        ) as bar:
            extras = (targets, teachers, context, features)
            for count in _run(blocks, specs, keys, extras, data, folder, device, n_jobs, progress):
                bar.update(count)
        for i in missing:
            found[keys[i]] = read(i)
    return Bank(
        checkpoints=tuple(stored(i) for i in range(len(specs))),
        baselines=_baselines(data, folder) if baselines else {},
        trials=data.trials,
        classes=data.classes,
        label=cohort.label,
        split=split.name,
        simulated=cohort.simulated,
        shape=data.shape,
    )


@dataclass(frozen=True, eq=False)
class Labels:
    """What the outputs of a network stand for.

    Attributes
    ----------
    code : ndarray of int, shape (n,)
        Output that each trial should have.
    y : ndarray of int, shape (n,)
        Class of each trial.
    class_of : ndarray of int, shape (n_outputs,)
        Class of each output.
    n_classes : int
        Classes.
    """

    code: np.ndarray
    y: np.ndarray
    class_of: np.ndarray
    n_classes: int

    @classmethod
    def of_classes(cls, y: np.ndarray, n_classes: int) -> Labels:
        """One output for each class."""
        return cls(y, y, np.arange(n_classes), n_classes)

    @classmethod
    def of_trials(cls, trials: pd.DataFrame, n_classes: int, kind: str) -> Labels:
        """Of the trials of a bank, classes or moments; moments are those that training trials show."""
        y = trials["y"].to_numpy()
        if kind == "classes":
            return cls.of_classes(y, n_classes)
        place = (trials["clip"] * (1 + trials["segment"].max()) + trials["segment"]).to_numpy()
        train = np.flatnonzero(trials["set"] == "train")
        moments, first = np.unique(place[train], return_index=True)
        # no loss ever reads the label of a moment that training does not show
        code = np.minimum(np.searchsorted(moments, place), len(moments) - 1)
        return cls(code, y, y[train][first], n_classes)

    def class_scores(self, logits: torch.Tensor) -> torch.Tensor:
        """Scores (..., n_classes) from logits (..., n_outputs): log-sum-exp over the outputs of a class."""
        if len(self.class_of) == self.n_classes:
            return logits
        outputs = torch.as_tensor(self.class_of, device=logits.device)
        return torch.stack([logits[..., outputs == k].logsumexp(-1) for k in range(self.n_classes)], -1)


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
        _, n_channels, _, n_bands = next(iter(self.inputs.values())).shape
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
        trials = pd.DataFrame(
            {
                "subject": whole.subject,
                "clip": whole.clip,
                "segment": whole.segment,
                "y": whole.y,
                "set": pd.Categorical.from_codes(belongs.argmax(0), SETS),
            }
        )[used].reset_index(drop=True)
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
    kept = np.isin(place, whole.cell * (len(parts.cell) + 1) + whole.segment)
    steps = parts.X[kept].reshape(len(whole.X), n_windows, *shape)
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


def _check_specs(specs: tuple[TrainingSpec, ...], data: _Data, mode: str, stack_size: int) -> None:
    if not specs:
        raise ValueError("specs is empty: give one TrainingSpec or more")
    if mode not in MODES:
        raise ValueError(f"mode must be one of {', '.join(MODES)}, got {mode!r}")
    if stack_size < 1:
        raise ValueError(f"stack_size must be at least 1, got {stack_size}")
    first: dict[str, int] = {}
    for index, spec in enumerate(specs):
        if networks.takes_raw(spec.network, spec.options):
            raise ValueError(
                f"spec {index} ({spec.network}) takes raw EEG, a cohort holds differential entropies: "
                "choose 'mlp', or 'axial' without n_samples"
            )
        if mode == "stack" and spec.network not in networks.STACKED:
            raise ValueError(f"spec {index}: {spec.network!r} has no stacked form, use mode='auto' or 'loop'")
        same = first.setdefault(files.digest(_content(spec)), index)
        if same != index:
            raise ValueError(
                f"specs {same} and {index} are the same training: change the seed or drop one of them"
            )
        build_member(spec, data.shape, len(data.labels(spec.labels).class_of))  # impossible sizes show here


def _prototypes(
    specs: Sequence[TrainingSpec], given: ArrayLike | None, data: _Data
) -> list[np.ndarray | None]:
    """Unit prototypes (n_classes, n_classes) of each spec that wants some, in coordinates of their span."""
    n = len(data.classes)
    llm = None
    if given is not None:
        given = real(given, "prototypes")
        if given.ndim != 2 or len(given) != n:
            raise ValueError(
                f"prototypes must be one row for each of {n} classes ({', '.join(data.classes)}); "
                f"got shape {given.shape}"
            )
        llm = _unit_rows(given)
    elif any(spec.kd == "llm" for spec in specs):
        raise ValueError("kd='llm' needs prototypes=, one row per class; kd='random' draws its own")
    found: list[np.ndarray | None] = []
    for spec in specs:
        if spec.kd == "random":
            draws = np.random.default_rng(_seed(spec.seed, _PROTOTYPES)).standard_normal((n, n))
            found.append(_unit_rows(np.linalg.qr(draws)[0]))
        else:
            found.append(llm if spec.kd == "llm" else None)
    return found


def _context(
    specs: Sequence[TrainingSpec], cohort: Cohort, data: _Data, valence: ArrayLike | None
) -> Context | None:
    """What alignments need to know of the cohort, checked against each of them; None if there are none."""
    aligned = [(i, spec, a) for i, spec in enumerate(specs) if (a := _alignment(spec)) is not None]
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
    context = Context(
        values=clip_values(valence, cohort.y, cohort.classes),
        clip_class=cohort.y,
        clip=clip,
        classes=cohort.classes,
        channels=tuple(cohort.channels),
        bands=tuple(cohort.bands),
        profile=profile,
    )
    for index, spec, alignment in aligned:
        try:
            context.check(alignment, spec.network, spec.epochs)
        except ValueError as error:
            raise ValueError(f"spec {index}: {error}") from error
    return context


def _alignment(spec: TrainingSpec) -> Alignment | None:
    """The spec's alignment, None if its strength is zero."""
    return spec.alignment if spec.alignment is not None and spec.alignment.active else None


def _teacher(spec: TrainingSpec) -> TrainingSpec | None:
    """How the teacher that the alignment asks for is trained."""
    alignment = _alignment(spec)
    teacher = alignment.teacher() if alignment is not None else None
    return None if teacher is None else replace(spec, alignment=teacher, recipe="teacher")


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


def _content(spec: TrainingSpec) -> dict[str, Any]:
    """What decides the training, as plain values."""
    values = {f.name: getattr(spec, f.name) for f in fields(spec) if f.name != "recipe"}
    given = {**networks.network_options(spec.network), **spec.options}
    values["options"] = {
        name: list(value) if isinstance(value, list | tuple) else value for name, value in given.items()
    }
    values["augmentation"] = spec.augmentation_sizes()
    alignment = _alignment(spec)
    values["alignment"] = alignment.content() if alignment is not None else None
    for name in ("learning_rate", "weight_decay", "label_smoothing", "kd_weight", "kd_temperature"):
        values[name] = float(values[name])
    return values


def _keys(
    specs: Sequence[TrainingSpec],
    data: _Data,
    targets: Sequence[np.ndarray | None],
    context: Context | None,
    device: torch.device,
) -> list[str]:
    aligned = None
    if context is not None:
        names = [list(names) for names in (context.classes, context.channels, context.bands)]
        # another unit of the values leaves their last digits different
        arrays = (context.values.round(9) + 0.0, context.clip_class, context.clip)
        aligned = files.digest(*arrays, *names)
    code = files.cache_key(__name__, "bank", device.type)
    return [
        files.digest(
            code,
            _content(spec),
            data.digests[spec.n_windows],
            target,
            aligned if _alignment(spec) is not None else None,
        )[:40]
        for spec, target in zip(specs, targets, strict=True)
    ]


def _seed(seed: int, stream: int) -> int:
    return int(np.random.SeedSequence([seed, stream]).generate_state(1, np.uint32)[0])


def _generator(spec: TrainingSpec, stream: int, device: torch.device | str) -> torch.Generator:
    return torch.Generator(device).manual_seed(_seed(spec.seed, stream))


def build_member(spec: TrainingSpec, shape: tuple[int, int], n_classes: int) -> nn.Module:
    return networks.build(
        spec.network,
        n_channels=shape[0],
        n_bands=shape[1],
        n_windows=spec.n_windows,
        n_classes=n_classes,
        random_state=_seed(spec.seed, _INITIAL),
        **spec.options,
    )


# Spreading the work


def _blocks(
    specs: Sequence[TrainingSpec],
    missing: Sequence[int],
    data: _Data,
    mode: str,
    stack_size: int,
    n_jobs: int,
) -> list[tuple[bool, list[int]]]:
    """Whether to stack, and the specs' numbers, of every piece of work; stacks, the longest, first."""
    stacks: dict[str, list[int]] = {}
    loops = []
    for index in missing:
        spec = specs[index]
        stackable = spec.network in networks.STACKED and (mode == "stack" or _is_small(spec, data))
        if mode == "loop" or not stackable:
            loops.append((False, [index]))
            continue
        shared = _content(spec)
        for own in ("seed", "label_smoothing", "augmentation", "kd", "kd_weight", "kd_temperature"):
            del shared[own]
        # whoever looks at a part of the input costs the whole stack a second pass
        alignment = _alignment(spec)
        shared["alignment"] = alignment is not None and alignment.definition.view is not None
        stacks.setdefault(files.digest(shared), []).append(index)
    blocks = []
    # a step costs a small stack what it costs a large one: only processes without work are worth a division
    share = math.ceil(n_jobs / max(len(stacks) + len(loops), 1))
    for members in stacks.values():
        count = max(math.ceil(len(members) / stack_size), min(share, math.ceil(len(members) / 4)))
        blocks += [(True, part.tolist()) for part in np.array_split(members, count)]
    return blocks + loops


def _is_small(spec: TrainingSpec, data: _Data) -> bool:
    size = networks.count_parameters(build_member(spec, data.shape, len(data.labels(spec.labels).class_of)))
    return size * spec.batch_size <= STACK_LIMIT


def _run(
    blocks: Sequence[tuple[bool, list[int]]],
    specs: Sequence[TrainingSpec],
    keys: Sequence[str],
    extras: tuple[Sequence[np.ndarray | None], Mapping[int, np.ndarray | None], Context | None, bool],
    data: _Data,
    folder: Path,
    device: torch.device,
    n_jobs: int,
    progress: bool,
) -> Iterator[int]:
    """Train the blocks; yields how many members each gave as it ends."""
    targets, teachers, context, features = extras
    n_jobs = processes(n_jobs)
    alone = n_jobs == 1 or len(blocks) < 2 or device.type != "cpu"
    tasks = [
        delayed(_train_block)(
            [specs[i] for i in members],
            [keys[i] for i in members],
            [targets[i] for i in members],
            [teachers[i] for i in members],
            context,
            data.inputs[specs[members[0]].n_windows],
            data.labels(specs[members[0]].labels),
            {name: data.rows(name) for name in SETS},
            stacked=stacked,
            features=features,
            folder=folder,
            device=device,
            progress=progress and alone,
        )
        for stacked, members in blocks
    ]
    if alone:
        for function, arguments, options in tasks:
            yield function(*arguments, **options)
    else:
        yield from Parallel(n_jobs=n_jobs, return_as="generator_unordered")(tasks)


def _train_block(
    specs: Sequence[TrainingSpec],
    keys: Sequence[str],
    targets: Sequence[np.ndarray | None],
    teachers: Sequence[np.ndarray | None],
    context: Context | None,
    x: np.ndarray,
    labels: Labels,
    rows: Mapping[str, np.ndarray],
    *,
    stacked: bool,
    features: bool,
    folder: Path,
    device: torch.device,
    progress: bool,
) -> int:
    """Train the members of a block and store each; returns how many."""
    with one_thread():
        built = [build_member(spec, (x.shape[1], x.shape[3]), len(labels.class_of)) for spec in specs]
        model: Any = networks.STACKED[specs[0].network](built) if stacked else Single(built[0])
        model = model.to(device)
        rngs = [_generator(spec, _ALIGNMENT, "cpu") for spec in specs]
        smoothing = [spec.label_smoothing for spec in specs]
        aligner = Aligner(
            [spec.alignment for spec in specs], context, rngs, _weights(model), smoothing, teachers
        )
        inputs = torch.tensor(x, device=device)
        training = optimise(
            model, specs, inputs, labels, rows, targets=targets, aligner=aligner, progress=progress
        )
        checkpoints = _checkpoints(model, specs, inputs, labels, aligner, training)
    for key, checkpoint in zip(keys, checkpoints, strict=True):
        _write(folder / f"{key}.npz", checkpoint, features)
    return len(specs)


class Single(nn.Module):
    """One network in the form of a stack of one."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def features(self, x: torch.Tensor) -> torch.Tensor:
        return self.network.features(x[0])[None]

    def head(self, z: torch.Tensor) -> torch.Tensor:
        return self.network.head(z[0])[None]

    def states(self) -> list[dict[str, torch.Tensor]]:
        return [{name: value.detach() for name, value in self.network.state_dict().items()}]


def _weights(model: Any, what: str = "data") -> dict[str, torch.Tensor]:
    """Weights (``"data"``) or gradients (``"grad"``) with an axis of members, by a single network's names."""
    if isinstance(model, Single):
        return {name: getattr(p, what)[None] for name, p in model.network.named_parameters()}
    return {name.replace("-", "."): getattr(p, what) for name, p in model.stacked.items()}


@contextmanager
def _without_dropout(model: Any) -> Iterator[None]:
    """A second pass draws nothing, so that the first sees the numbers that it would see without it."""
    model.eval()
    try:
        yield
    finally:
        model.train()


class Training(NamedTuple):
    """Course of a stack's training: balanced accuracy on validation and mean loss (n_members, n_epochs), the
    epoch chosen (n_members,) and the weights at it."""

    validation: np.ndarray
    losses: np.ndarray
    epoch: np.ndarray
    states: list[dict[str, torch.Tensor]]


def optimise(
    model: Any,
    specs: Sequence[TrainingSpec],
    inputs: torch.Tensor,
    labels: Labels,
    rows: Mapping[str, np.ndarray],
    *,
    targets: Sequence[np.ndarray | None] | None = None,
    aligner: Aligner | None = None,
    rate: Callable[[int], float] | None = None,
    optimiser: torch.optim.Optimizer | None = None,
    progress: bool = False,
) -> Training:
    """Train a stack of members that share their schedule; leaves the chosen weights in the model.

    Parameters
    ----------
    model : StackedMLP or Single
        Networks with an axis of members, on the device of the inputs.
    specs : sequence of TrainingSpec
        One for each member.
    inputs : Tensor, shape (n, n_channels, n_windows, n_bands)
        Trials.
    labels : Labels
        Of the trials.
    rows : mapping of str to ndarray of int
        Trials of ``train``, and of ``validation``, on which the epoch is chosen; without any the last epoch
        is taken.
    targets : sequence of ndarray or None, optional
        Prototypes of each member, rows of length one.
    aligner : Aligner, optional
        Strategies of the members.
    rate : callable, optional
        Learning rate by step, by default the rise and the cosine of the spec.
    optimiser : Optimizer, optional
        One that goes on; by default a new AdamW.
    progress : bool
        Show a progress bar.
    """
    shared, members, device = specs[0], len(specs), inputs.device
    code, y = (torch.tensor(values, device=device) for values in (labels.code, labels.y))
    train = torch.tensor(rows["train"], device=device)
    held = torch.tensor(rows.get("validation", []), dtype=torch.long, device=device)
    orders = [_generator(spec, _ORDER, "cpu") for spec in specs]
    sd = float(inputs[train].std(correction=0)) if len(train) > 1 else 0.0
    augment = _Augmentation(specs, sd, device)
    loss_of = _Loss(specs, targets or [None] * members, model, device)
    networks.use_generators(model, [_generator(spec, _DROPOUT, device) for spec in specs])

    parameters = [*model.parameters(), *loss_of.parameters()]
    parameters += [] if aligner is None else aligner.parameters()
    optimiser = adamw(shared, parameters, device) if optimiser is None else optimiser
    rate = _schedule(shared, math.ceil(len(train) / shared.batch_size)) if rate is None else rate
    validation, losses = np.zeros((members, shared.epochs)), np.zeros((members, shared.epochs))
    best, chosen_epoch = np.full(members, -1.0), np.full(members, shared.epochs - 1)
    states: list[dict[str, torch.Tensor]] = [{} for _ in specs]
    step = 0
    for epoch in tqdm(range(shared.epochs), desc=shared.network, leave=False, disable=not progress):
        model.train()
        if aligner is not None:
            aligner.begin(_weights(model), epoch / shared.epochs)
        order = torch.stack([torch.randperm(len(train), generator=g) for g in orders]).to(device)
        total = torch.zeros(members, device=device)
        for batch in order.split(shared.batch_size, dim=1):  # (n_members, n)
            chosen = train[batch]
            seen = augment(inputs[chosen])
            z = model.features(seen)
            logits = model.head(z)
            loss = loss_of(z, logits, code[chosen], y[chosen])  # (n_members,)
            if aligner is not None:
                scores, view = labels.class_scores(logits), _viewed(model, aligner.view(seen))
                loss = aligner(loss, z, scores, y[chosen], chosen, view)
            optimiser.param_groups[0]["lr"] = rate(step)
            optimiser.zero_grad()
            # the gradient of a member's part reaches its own weights only
            loss.sum().backward()
            if aligner is not None:
                aligner.backward(lambda: _weights(model, "grad"))
            optimiser.step()
            if aligner is not None:
                aligner.hold(_weights(model))
            total += loss.detach() * batch.shape[1]
            step += 1
        losses[:, epoch] = (total / len(train)).cpu().numpy()
        if not len(held):
            continue
        called = _evaluate(model, inputs[held], members, labels)[0].argmax(-1)
        validation[:, epoch] = balanced_accuracy(labels.y[rows["validation"]], called)
        eligible = True if aligner is None else aligner.eligible(members)
        better = np.flatnonzero((validation[:, epoch] > best) & eligible)
        if len(better):
            current = model.states()
            for member in better:
                states[member] = {name: value.clone() for name, value in current[member].items()}
            best[better], chosen_epoch[better] = validation[better, epoch], epoch
    if len(held):
        _restore(model, states)
    return Training(validation, losses, chosen_epoch, states)


def adamw(spec: TrainingSpec, parameters: Any, device: torch.device) -> torch.optim.Optimizer:
    """The optimiser of a spec; its rate is set at every step."""
    fused = device.type in ("cpu", "cuda")
    return torch.optim.AdamW(parameters, weight_decay=spec.weight_decay, fused=fused)


def _checkpoints(
    model: Any,
    specs: Sequence[TrainingSpec],
    inputs: torch.Tensor,
    labels: Labels,
    aligner: Aligner,
    training: Training,
) -> list[Checkpoint]:
    """One for each member of a trained stack."""
    logits, features = _evaluate(model, inputs, len(specs), labels)
    logits = aligner.infer(logits)
    return [
        Checkpoint(
            spec=spec,
            logits=logits[m],
            features=features[m],
            validation=training.validation[m],
            losses=training.losses[m],
            epoch=int(training.epoch[m]),
            state={name: value.cpu().numpy() for name, value in training.states[m].items()},
        )
        for m, spec in enumerate(specs)
    ]


def _viewed(model: Any, part: torch.Tensor | None) -> torch.Tensor | None:
    """Features of a part of the inputs."""
    if part is None:
        return None
    with _without_dropout(model):
        return model.features(part)


def _schedule(spec: TrainingSpec, steps_per_epoch: int) -> Callable[[int], float]:
    """Learning rate by step: a linear rise, then half a cosine down to zero."""
    rise, total = spec.warmup_epochs * steps_per_epoch, spec.epochs * steps_per_epoch

    def rate(step: int) -> float:
        if step < rise:
            return spec.learning_rate * (step + 1) / rise
        return spec.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - rise) / (total - rise)))

    return rate


@torch.no_grad()
def _evaluate(
    model: Any, inputs: torch.Tensor, members: int, labels: Labels
) -> tuple[np.ndarray, np.ndarray]:
    """Scores of classes and features (n_members, n, ...) without dropout."""
    model.eval()
    logits, features = [], []
    for part in inputs.split(_EVALUATION_ROWS):
        z = model.features(part.expand(members, *part.shape))
        features.append(z.cpu())
        logits.append(labels.class_scores(model.head(z)).cpu())
    return torch.cat(logits, 1).numpy(), torch.cat(features, 1).numpy()


@torch.no_grad()
def _restore(model: Any, states: Sequence[Mapping[str, torch.Tensor]]) -> None:
    for current, kept in zip(model.states(), states, strict=True):
        for name, value in current.items():
            value.copy_(kept[name])  # a view of the model's own weights


class _Loss(nn.Module):
    """Cross entropy with label smoothing plus the loss towards prototypes, one number for each member."""

    def __init__(
        self,
        specs: Sequence[TrainingSpec],
        targets: Sequence[np.ndarray | None],
        model: Any,
        device: torch.device,
    ) -> None:
        super().__init__()
        self.smoothing = torch.tensor([spec.label_smoothing for spec in specs], device=device)[:, None]
        self.wanting = torch.tensor([m for m, p in enumerate(targets) if p is not None], device=device)
        self.maps = None
        if len(self.wanting):
            chosen = [(specs[m], targets[m]) for m in self.wanting.tolist()]
            width = model.states()[0]["head.weight"].shape[1]
            self.prototypes = torch.tensor(
                np.stack([p for _, p in chosen]), dtype=torch.float32, device=device
            )
            starts = [
                torch.randn(width, len(p), generator=_generator(spec, _PROTOTYPES, "cpu")) / math.sqrt(width)
                for spec, p in chosen
            ]
            self.maps = nn.Parameter(torch.stack(starts).to(device))
            self.weight = torch.tensor([spec.kd_weight for spec, _ in chosen], device=device)
            heat = torch.tensor([spec.kd_temperature for spec, _ in chosen], device=device)
            self.temperature = heat[:, None, None]

    def forward(
        self, z: torch.Tensor, logits: torch.Tensor, code: torch.Tensor, y: torch.Tensor
    ) -> torch.Tensor:
        log_p = F.log_softmax(logits, -1)
        hit = log_p.gather(-1, code[..., None]).squeeze(-1)  # (n_members, n)
        loss = -((1 - self.smoothing) * hit + self.smoothing * log_p.mean(-1)).mean(-1)
        if self.maps is None:
            return loss
        placed = F.normalize(torch.bmm(z[self.wanting], self.maps), dim=-1)
        cosine = torch.bmm(placed, self.prototypes.mT)  # (n_wanting, n, n_classes)
        near = F.log_softmax(cosine / self.temperature, -1).gather(-1, y[self.wanting][..., None])
        return loss.index_add(0, self.wanting, -self.weight * near.mean((1, 2)))


class _Augmentation:
    """Random changes of training inputs (n_members, n, n_channels, n_windows, n_bands).

    Each member draws its numbers from its own generator; the rest is computed for all at once.
    """

    def __init__(self, specs: Sequence[TrainingSpec], sd: float, device: torch.device) -> None:
        sizes = [spec.augmentation_sizes() for spec in specs]
        active = [
            m
            for m, s in enumerate(sizes)
            if s["probability"] > 0 and any(v > 0 for k, v in s.items() if k != "probability")
        ]
        self.members = torch.tensor(active, device=device)
        self.all = len(active) == len(specs)
        self.generators = [_generator(specs[m], _AUGMENTATION, device) for m in active]
        self.size = {
            name: torch.tensor([sizes[m][name] for m in active], device=device)[:, None]
            for name in _AUGMENTATION_DEFAULTS
        }
        self.noise = self.size["noise"][..., None, None, None] * sd

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        if not self.generators:
            return x
        if self.all:
            return self._change(x)
        x[self.members] = self._change(x[self.members])  # x was gathered for this step: it is ours
        return x

    def _change(self, x: torch.Tensor) -> torch.Tensor:
        members, n, n_channels, n_windows, _ = x.shape
        noise = torch.empty_like(x)
        draws = torch.empty(members, n, 3 + n_channels + n_windows, device=x.device)
        for m, generator in enumerate(self.generators):
            noise[m].normal_(generator=generator)
            draws[m].uniform_(generator=generator)
        apply = draws[..., 0] < self.size["probability"]  # (n_members, n)
        factor = 1 + self.size["amplitude"] * (2 * draws[..., 1] - 1)
        channels = draws[..., 3 : 3 + n_channels] >= self.size["channel_dropout"][..., None]
        change = torch.where(apply[..., None], factor[..., None] * channels, 1.0)[..., None, None]
        x = torch.addcmul(x, noise, self.noise * apply[..., None, None, None])
        if n_windows > 1:
            seen = draws[..., 3 + n_channels :] >= self.size["time_masking"][..., None]
            change = change * torch.where(apply[..., None], seen, True)[:, :, None, :, None]
            span = 2 * self.size["jitter"] + 1
            shift = ((draws[..., 2] * span).floor() - self.size["jitter"]).long() * apply
            places = torch.arange(n_windows, device=x.device) - shift[..., None]
            x = x.gather(3, (places % n_windows)[:, :, None, :, None].expand_as(x))
        return x * change


# Storage


def _write(path: Path, checkpoint: Checkpoint, features: bool) -> None:
    try:
        with files.atomic_path(path) as temporary, temporary.open("wb") as file:
            arrays: dict[str, Any] = {"logits": checkpoint.logits}
            if features:
                arrays["features"] = checkpoint.features
            arrays |= {
                "validation": checkpoint.validation,
                "losses": checkpoint.losses,
                "epoch": checkpoint.epoch,
            }
            arrays |= {f"state/{name}": value for name, value in checkpoint.state.items()}
            np.savez(file, **arrays)
    except OSError as error:
        raise files.cache_not_writable(path.parent, error) from error


def _read(path: Path, spec: TrainingSpec, data: _Data, features: bool) -> Checkpoint | None:
    """A stored member, None if there is none; one that cannot be read counts as absent, with a warning."""
    try:
        arrays = files.read_arrays(path)
        found = {name: arrays[name] for name in ("logits", "validation", "losses")}
        epoch = int(arrays["epoch"])
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, KeyError) as error:
        warnings.warn(f"stored training {path} is unreadable ({error}): training it anew", stacklevel=3)
        return None
    if found["logits"].shape != (len(data.trials), len(data.classes)):
        warnings.warn(f"stored training {path} is of other trials: training it anew", stacklevel=3)
        return None
    state = {
        name.removeprefix("state/"): value for name, value in arrays.items() if name.startswith("state/")
    }
    penultimate = arrays.get("features") if features else None
    if features and penultimate is None:
        penultimate = _features_of(spec, state, data)
    return Checkpoint(spec=spec, epoch=epoch, state=state, features=penultimate, **found)


def _features_of(spec: TrainingSpec, state: Mapping[str, np.ndarray], data: _Data) -> np.ndarray:
    """Penultimate features of all trials from stored weights."""
    labels = data.labels(spec.labels)
    network = build_member(spec, data.shape, len(labels.class_of))
    network.load_state_dict({name: torch.tensor(value) for name, value in state.items()})
    with one_thread():
        return _evaluate(Single(network), torch.tensor(data.inputs[spec.n_windows]), 1, labels)[1][0]


def _baselines(data: _Data, folder: Path) -> dict[str, np.ndarray]:
    """Scores of the linear baselines on all trials, from the mean of each segment."""
    x = data.inputs[1].reshape(len(data.trials), -1).astype(np.float64)
    rows = data.rows("train")

    def scores(name: str) -> np.ndarray:
        return networks.linear_baseline(name, 0).fit(x[rows], data.y[rows]).predict_log_proba(x)

    code = files.cache_key(__name__, "baseline", data.digests[1])
    keys = {n: files.digest(code, n)[:40] for n in networks.LINEAR_BASELINES}
    return {name: files.load_or_compute(folder, key, partial(scores, name)) for name, key in keys.items()}
