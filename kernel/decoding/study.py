"""The classifiers of the paper's convergence claim, scaled to a laptop: which are trained, and how they do.

In:  a cohort, a split, class prototypes.
Out: specs, and tables of balanced accuracy.
Never decides a verdict: that is the ledger's work.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from kernel.brain.cohort import Cohort, make_split, standardise
from kernel.decoding.bank import Bank, TrainingSpec, balanced_accuracy, subject_interval, train_bank

#: What the six recipes change in a training.
RECIPES = {
    "plain": {},
    "no smoothing": {"label_smoothing": 0.0},
    "augmented": {"augmentation": "paper"},
    "prototypes of a language model": {"kd": "llm"},
    "random prototypes": {"kd": "random"},
    "augmented, prototypes": {"augmentation": "paper", "kd": "llm"},
}
#: Epochs of the three regimes, and what else each network needs to learn in them.
REGIMES = {
    "mlp": {"epochs": (10, 30, 60), "options": {}, "common": {}},
    "axial": {"epochs": (10, 20, 30), "options": {}, "common": {"learning_rate": 5e-3, "warmup_epochs": 3}},
}


def checkpoint_specs(seed: int = 0) -> list[TrainingSpec]:
    """Thirty-six trainings: two networks, three lengths, six recipes.

    The paper's networks, regimes and recipes are named but not specified; these span the same design. Members
    of one network share their initial weights and the order of their batches.

    Parameters
    ----------
    seed : int
        Of all of them.

    Returns
    -------
    list of TrainingSpec
        ``recipe`` reads "network, recipe".
    """
    return [
        TrainingSpec(
            network=network,
            options=regime["options"],
            epochs=epochs,
            seed=seed,
            recipe=f"{network}, {recipe}",
            **regime["common"],
            **changes,
        )
        for network, regime in REGIMES.items()
        for epochs in regime["epochs"]
        for recipe, changes in RECIPES.items()
    ]


def members_table(bank: Bank, *, n_resamples: int = 1000, random_state: int = 0) -> pd.DataFrame:
    """`Bank.table` with intervals over test subjects, best first.

    Returns
    -------
    DataFrame
        Further columns ``test_low``, ``test_high``, and ``label``.
    """
    table = bank.table()
    names: list[int | str] = [*range(len(bank)), *bank.baselines]
    limits = [
        subject_interval(bank, name, n_resamples=n_resamples, random_state=random_state) for name in names
    ]
    table["test_low"], table["test_high"] = [i.low for i in limits], [i.high for i in limits]
    length = table["epochs"].astype("string").fillna("")
    table["label"] = np.where(
        table["recipe"] == "baseline", table["network"], table["recipe"] + ", " + length + " epochs"
    )
    return table.sort_values("test", ascending=False, ignore_index=True)


def split_table(
    cohort: Cohort,
    splits: Sequence[tuple[str, int]],
    specs: Sequence[TrainingSpec],
    *,
    prototypes: ArrayLike | None = None,
    random_state: int = 0,
    progress: bool = True,
) -> pd.DataFrame:
    """Balanced accuracy on new subjects under several splits, with intervals over these subjects.

    Parameters
    ----------
    cohort : Cohort
        Differential entropies.
    splits : sequence of (str, int)
        Name and fold, as for :func:`~kernel.brain.cohort.make_split`.
    specs : sequence of TrainingSpec
        Members; their mean is reported beside the linear baselines.
    prototypes
        As for :func:`~kernel.decoding.bank.train_bank`.
    random_state : int
        Seed of the intervals.
    progress : bool
        Show progress bars.

    Returns
    -------
    DataFrame
        One row per split and method: ``split``, ``fold``, ``method``, ``bacc``, ``low``, ``high``,
        ``new_clips``, ``n_subjects``.
    """
    standard = standardise(cohort)
    rows = []
    for name, fold in splits:
        split = make_split(cohort, name, fold=fold)
        bank = train_bank(specs, standard, split, prototypes=prototypes, progress=progress)
        test = bank.rows("test")
        shared = {
            "split": name,
            "fold": fold,
            "new_clips": not split.shares_clips,
            "n_subjects": int(bank.trials["subject"][test].nunique()),
        }
        for method in bank.baselines:
            value, low, high = subject_interval(bank, method, random_state=random_state)
            rows.append({**shared, "method": method, "bacc": value, "low": low, "high": high})
        mean = float(bank.bacc("test").mean())
        rows.append({**shared, "method": f"mean of {len(bank)} networks", "bacc": mean})
    return pd.DataFrame(rows)


def confusion(bank: Bank, member: int | str, which: str = "test") -> np.ndarray:
    """Share of each true class (row) called each class (column), (n_classes, n_classes)."""
    rows = bank.rows(which)
    y, called = bank.trials["y"].to_numpy()[rows], bank.scores(member)[rows].argmax(1)
    counts = np.zeros((len(bank.classes), len(bank.classes)))
    np.add.at(counts, (y, called), 1)
    return counts / np.maximum(counts.sum(1, keepdims=True), 1)


def by_subject(bank: Bank, member: int | str, which: str = "test") -> pd.Series:
    """Balanced accuracy of each subject, over the classes that the subject has."""
    rows = bank.rows(which)
    trials = bank.trials[rows]
    called = bank.scores(member)[rows].argmax(1)
    y, subject = trials["y"].to_numpy(), trials["subject"].to_numpy()
    return pd.Series(
        {int(s): float(balanced_accuracy(y[subject == s], called[subject == s])) for s in np.unique(subject)}
    )
