"""Trained networks: one finished training, a bank of them, and their accuracy with people resampled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike
from scipy.special import log_softmax
from torch import nn

from kernel import checks, stats
from kernel.decoding.geometry import ResidualAlignment, residual_alignment
from kernel.decoding.training import TrainingSpec, build_member
from kernel.metrics import balanced_accuracy, mean_recall

SETS = ("train", "validation", "test")


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """One finished training, at the epoch of best validation balanced accuracy (ties: the earliest).

    An alignment that trains in two steps is judged by the epochs of its second step alone. `logits`
    (n_trials, n_classes) are of every trial, without dropout and augmentation. `features` (n_trials, d) are
    the penultimate layer, None if they were not asked for: ``logits = features @ W.T + b`` with `head`,
    unless an alignment changes predictions. `validation` and `losses` (epochs,) are balanced accuracy after
    each epoch and its mean training loss, auxiliary losses included; `epoch`, from 0, is the one chosen,
    `state` its weights.
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

    def network(self, shape: tuple[int, int]) -> nn.Module:
        """The trained network, in evaluation mode, for inputs of so many channels and bands."""
        network = build_member(self.spec, shape, len(self.state["head.bias"]))
        network.load_state_dict({name: torch.tensor(value) for name, value in self.state.items()})
        return network.eval()


@dataclass(frozen=True, eq=False)
class Bank:
    """Trained members of one cohort and split.

    `checkpoints` stand in the order of the specs; `baselines` are class scores (n_trials, n_classes) of the
    linear baselines, fitted to the training trials, by name. `trials` has a row for each row of logits and
    features: ``subject``, ``clip``, ``segment``, ``y``, ``set``; `classes` names the class indices. `label`
    is that of the cohort (it says if no real EEG is behind it), `split` the name of the split, `shape`
    channels and bands.
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
        return (self.trials["set"] == checks.choice("set", which, SETS)).to_numpy()

    def scores(self, member: int | str) -> np.ndarray:
        """Class scores (n_trials, n_classes) of a member by number, or of a baseline by name."""
        if isinstance(member, str):
            names = list(self.baselines) or ["none: ask train_bank for baselines=True"]
            return self.baselines[checks.choice("baseline", member, names)]
        return self.checkpoints[member].logits

    def bacc(self, which: str = "test") -> np.ndarray:
        """Balanced accuracy of every member (n_members,)."""
        rows = self.rows(which)
        called = np.stack([checkpoint.logits[rows].argmax(1) for checkpoint in self.checkpoints])
        return balanced_accuracy(self.trials["y"].to_numpy()[rows], called)

    def test_probabilities(
        self, members: Sequence[int] | np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Probabilities (n_members, n, n_classes) of members, all by default, classes and people of test."""
        test = self.rows("test")
        chosen = [
            self.checkpoints[m].logits[test] for m in (range(len(self)) if members is None else members)
        ]
        trials = self.trials[test]
        P = np.exp(log_softmax(np.stack(chosen).astype(float), axis=-1))
        return P, trials["y"].to_numpy(), trials["subject"].to_numpy()

    def baseline_bacc(self, which: str = "test") -> dict[str, float]:
        """Balanced accuracy of every baseline."""
        rows = self.rows(which)
        y, scores = self.trials["y"].to_numpy()[rows], self.baselines
        return {name: float(balanced_accuracy(y, scores[name][rows].argmax(1))) for name in scores}

    def table(self) -> pd.DataFrame:
        """One row for each member, then for each baseline.

        Columns ``recipe``, ``network``, ``seed``, ``parameters``, ``epochs``, ``epoch`` (chosen), and
        balanced accuracy on ``train``, ``validation``, ``test``. What a baseline does not have is missing.
        """
        members = pd.DataFrame(
            [{name: getattr(s, name) for name in ("recipe", "network", "seed")} for s in self.specs]
        ).assign(
            parameters=[sum(a.size for a in c.state.values()) for c in self.checkpoints],
            epochs=[spec.epochs for spec in self.specs],
            epoch=[checkpoint.epoch for checkpoint in self.checkpoints],
            **{which: self.bacc(which) for which in SETS},
        )
        accuracy = {which: list(self.baseline_bacc(which).values()) for which in SETS}
        linear = pd.DataFrame({"recipe": "baseline", "network": list(self.baselines), **accuracy})
        table = pd.concat([members, linear], ignore_index=True)
        return table.astype(dict.fromkeys(["seed", "parameters", "epochs", "epoch"], "Int64"))

    def ranking(self, *, n_resamples: int = 1000, random_state: int = 0) -> pd.DataFrame:
        """`table`, best first, with a ``label`` and, over test subjects, ``test_low`` and ``test_high``."""
        table = self.table()
        names: list[int | str] = [*range(len(self)), *self.baselines]
        limits = [self.interval(name, n_resamples=n_resamples, random_state=random_state) for name in names]
        table["test_low"], table["test_high"] = [i.low for i in limits], [i.high for i in limits]
        length = table["epochs"].astype("string").fillna("")
        table["label"] = np.where(
            table["recipe"] == "baseline", table["network"], table["recipe"] + ", " + length + " epochs"
        )
        return table.sort_values("test", ascending=False, ignore_index=True)

    def residual_alignment(
        self, members: Sequence[int] | np.ndarray, target_by_clip: ArrayLike, **options: Any
    ) -> ResidualAlignment:
        """:func:`~kernel.decoding.geometry.residual_alignment` of members of one width.

        Validation people choose, test people judge.
        """
        sets = {which: self.rows(which) for which in ("validation", "test")}
        used = sets["validation"] | sets["test"]
        people: dict[str, Any] = {
            which: self.trials["subject"][rows].unique() for which, rows in sets.items()
        }
        y, clip, subject = (self.trials[name].to_numpy()[used] for name in ("y", "clip", "subject"))
        Z = np.stack([self.checkpoints[int(m)].kept_features[used] for m in members]).astype(float)
        return residual_alignment(Z, y, clip, subject, target_by_clip, **people, **options)

    def network(self, member: int) -> nn.Module:
        """The trained network of a member, on the processor and in evaluation mode.

        Its logits are those of classes or of moments, as the spec's labels say.
        """
        return self.checkpoints[member].network(self.shape)

    def interval(
        self, member: int | str, which: str = "test", *, random_state: stats.Seed = 0, **options: Any
    ) -> stats.Interval:
        """Balanced accuracy of a member, by number, or a baseline, by name, with an interval over subjects.

        The trials of one person resemble each other, so that an interval over trials is too short: people are
        resampled, each with all of their trials. The set must hold two subjects or more; the rest is as for
        :func:`kernel.stats.bootstrap_interval`.
        """
        rows = self.rows(which)
        trials = self.trials[rows]
        subject, y = trials["subject"].to_numpy(), trials["y"].to_numpy()
        if len(np.unique(subject)) < 2:
            raise ValueError(
                f"{which} holds subject {subject[0]} only: an interval over subjects needs two or more, "
                "choose a split with more test subjects"
            )
        hit = self.scores(member)[rows].argmax(1) == y
        return recall_interval(hit, y, subject, random_state=random_state, **options)


def recall_interval(hit: np.ndarray, y: np.ndarray, subject: np.ndarray, **options: Any) -> stats.Interval:
    """Balanced accuracy with an interval from hits (n,), whole people resampled.

    `hit` may also be the share of several classifiers that call a trial rightly; `y` and `subject` (n,) are
    its class from 0 and its person; options are those of :func:`kernel.stats.bootstrap_interval`.
    """
    # trials and hits of every person and class: to resample these rows is to resample people
    people, person = np.unique(subject, return_inverse=True)
    counts, hits = np.zeros((2, len(people), y.max() + 1))
    np.add.at(counts, (person, y), 1)
    np.add.at(hits, (person, y), hit)
    return stats.bootstrap_interval(mean_recall, counts, hits, **options)
