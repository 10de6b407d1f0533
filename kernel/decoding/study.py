"""The classifiers of the paper's convergence claim, scaled to a laptop: which are trained, how they do, what
they share with the axis, and what they lose without it.

In:  a cohort, a split, class prototypes; a value for each clip.
Out: specs; tables of balanced accuracy, of alignment, of its correlation with accuracy, of ablations;
     p-values of each test on simulated cohorts of known truth.
Never decides a verdict: that is the ledger's work.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from joblib import delayed
from numpy.typing import ArrayLike
from threadpoolctl import threadpool_limits

from kernel import files, stats
from kernel.arrays import real
from kernel.brain.cohort import FACED_CLASSES, Cohort, Split, make_split, standardise
from kernel.brain.simulate import CLASS_VALENCE, PRESETS, Settings, simulate_cohort
from kernel.brain.study import AxisProjection, clip_values, project_vaxis
from kernel.decoding import geometry
from kernel.decoding.bank import Bank, TrainingSpec, subject_interval, train_bank
from kernel.metrics import balanced_accuracy
from kernel.ratings import load_ratings
from kernel.threads import one_thread, side_by_side

#: What the six recipes change in a training.
RECIPES: dict[str, dict[str, Any]] = {
    "plain": {},
    "no smoothing": {"label_smoothing": 0.0},
    "augmented": {"augmentation": "paper"},
    "prototypes of a language model": {"kd": "llm"},
    "random prototypes": {"kd": "random"},
    "augmented, prototypes": {"augmentation": "paper", "kd": "llm"},
}
#: Epochs of the three regimes, and what else each network needs to learn in them.
REGIMES: dict[str, Any] = {
    "mlp": {"epochs": (10, 20, 40), "options": {}, "common": {}},
    "axial": {"epochs": (8, 14, 20), "options": {}, "common": {"learning_rate": 5e-3, "warmup_epochs": 3}},
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


def fewer_specs(seed: int = 0) -> list[TrainingSpec]:
    """Twenty-four of `checkpoint_specs`: without the longer trainings of the transformer, the slowest."""
    shortest = REGIMES["axial"]["epochs"][0]
    return [spec for spec in checkpoint_specs(seed) if spec.network == "mlp" or spec.epochs == shortest]


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


def by_subject(bank: Bank, member: int | str, which: str = "test") -> pd.Series:
    """Balanced accuracy of each subject, over the classes that the subject has."""
    rows = bank.rows(which)
    trials = bank.trials[rows]
    called = bank.scores(member)[rows].argmax(1)
    y, subject = trials["y"].to_numpy(), trials["subject"].to_numpy()
    return pd.Series(
        {int(s): float(balanced_accuracy(y[subject == s], called[subject == s])) for s in np.unique(subject)}
    )


# The axis in what classifiers hold

#: Scores of `rediscovery`, as columns name them.
SCORES = {
    "class_pc1": "class PC1",
    "residual": "residual, chosen on the same clips",
    "held_out": "residual, held-out clips",
}
_PERMUTED = {
    "class_pc1": "emotions permuted",
    "residual": "targets permuted within class",
    "held_out": "targets permuted within class",
}
_GAUSSIAN = "random directions"


def usual_split(cohort: Cohort) -> Split:
    """The split of the paper where the cohort allows it, FACED with its test people; else folds of people."""
    whole = cohort.data.attrs["dataset"] == "FACED" and len(cohort.subjects) > 100
    return make_split(cohort, "standard" if whole else "leave_subjects_out")


def clip_ratings(cohort: Cohort) -> np.ndarray | None:
    """Mean valence of each clip (n_clips,): the cohort's, or that of FACED's 123 people; None if unknown."""
    try:
        return real(cohort.rating("valence"), "valence", finite=False)
    except KeyError:
        if cohort.data.attrs["dataset"] != "FACED":
            return None
        return load_ratings()["valence_mean"].loc[cohort.clips].to_numpy()


def clip_target(cohort: Cohort, positions: Mapping[str, float]) -> np.ndarray:
    r"""Value of each clip: the axis between emotions, the viewers' ratings within them.

    .. math:: t_c = a_{k(c)} + (\rho_c - \bar\rho_{k(c)}) / \mathrm{sd}(\rho)

    with the position a of the clip's emotion k and the mean rating rho. An axis read from stories has one
    value for each emotion and says nothing of the clips within: these come from `clip_ratings`. Where there
    are none, values are constant within classes, and `rediscovery` has no residual score.

    Parameters
    ----------
    cohort : Cohort
        Any.
    positions : mapping of emotion to float
        The axis, as :func:`kernel.language.study.axis_positions`.

    Returns
    -------
    ndarray, shape (n_clips,)
        In sorted order of the clips' numbers, as `rediscovery` takes them.
    """
    target, ratings = clip_values(cohort, positions, "position"), clip_ratings(cohort)
    if ratings is not None:
        for emotion in np.unique(cohort.emotions):
            own = cohort.emotions == emotion
            target[own] += (ratings[own] - ratings[own].mean()) / ratings.std()
    return target[np.argsort(cohort.clips)]


@dataclass(frozen=True, eq=False)
class Rediscovery:
    """How the checkpoints of a bank align with a target.

    Attributes
    ----------
    table : DataFrame
        One row for each checkpoint: ``data``, ``simulated``, ``split``, ``checkpoint``, ``recipe``,
        ``network``, ``epochs``, ``width``, ``validation`` and ``test`` (balanced accuracy), each score of
        :data:`SCORES` with its ``{score}_p``, and ``component``, the residual component chosen. Without a
        target within classes there is ``class_pc1`` alone.
    nulls : dict of str to ndarray, shape (n_null, n_checkpoints)
        Scores under permuted targets; a row is one target, the same for all checkpoints. ``random`` holds
        class scores of random directions: independent Gaussian values of the classes.
    directions : tuple of ndarray, shape (d,)
        The residual direction of each checkpoint; empty without residual scores.
    random_targets : tuple of ndarray, shape (n_null, d)
        Directions that permuted targets choose.
    label : str
        Of the cohort.
    simulated : bool
        Whether it was simulated.
    """

    table: pd.DataFrame
    nulls: dict[str, np.ndarray]
    directions: tuple[np.ndarray, ...]
    random_targets: tuple[np.ndarray, ...]
    label: str
    simulated: bool

    @property
    def scores(self) -> list[str]:
        """Names of the scores there are."""
        return [score for score in SCORES if score in self.table]


def rediscovery(
    bank: Bank,
    target_by_clip: ArrayLike,
    *,
    n_permutations: int = 10_000,
    n_null: int = 1000,
    n_components: int = 20,
    halves: str = "classes",
    n_splits: int = 20,
    random_state: int = 0,
) -> Rediscovery:
    """Align every checkpoint of a bank with a target, between classes and within them.

    Class means are those of test trials; their target is the mean of each class. Residual components are
    found and chosen in validation people and judged in test people, once on the same clips, as in the paper,
    and once on clips that had no part in the choice. See :mod:`kernel.decoding.geometry`.

    Parameters
    ----------
    bank : Bank
        Trained members.
    target_by_clip : array_like, shape (n_clips,)
        Value of each clip of the bank, in sorted order of the clips' numbers; from `clip_target`. Where it is
        constant within every class, there are no residual scores.
    n_permutations : int
        Orders of the classes.
    n_null, n_components, halves, n_splits
        As for :func:`~kernel.decoding.geometry.residual_alignment`; `n_null` also counts random directions.
    random_state : int
        Seed; checkpoints of any width share what is drawn from it.

    Returns
    -------
    Rediscovery

    Raises
    ------
    ValueError
        If the target has another length or clips per class are too few to judge a residual; names the cure.

    References
    ----------
    .. [1] Radwan et al. (2026), A Shared Valence Axis Across Modern LLMs and Human EEG. arXiv:2606.00129
    """
    trials, test = bank.trials, bank.rows("test")
    y = trials["y"].to_numpy()
    target, class_of = _target_and_classes(bank, target_by_clip)
    within = any(np.ptp(target[class_of == k]) > 0 for k in np.unique(class_of))
    if within and halves == "classes":
        _check_clips(bank.label, class_of)
    present = np.unique(y[test])
    of_class = np.array([target[class_of == k].mean() for k in present])
    used = bank.rows("validation") | test
    people = {name: trials["subject"][bank.rows(name)].unique() for name in ("validation", "test")}
    draws = np.random.default_rng(random_state).standard_normal((n_null, len(present)))

    found: dict[str, np.ndarray] = {}
    size = len(bank)
    directions: list[np.ndarray] = [np.empty(0)] * size
    random_targets = list(directions)
    for members, Z in _by_width(bank):
        between = geometry.class_pc1_alignment(
            Z[:, test], y[test], of_class, n_permutations=n_permutations, random_state=random_state
        )
        _put(found, members, size, class_pc1=between.score, class_pc1_p=between.p)
        random = _random_scores(Z[:, test], y[test], draws)
        _put(found, members, size, null_class_pc1=between.null, null_random=random)
        if not within:
            continue
        inside = geometry.residual_alignment(
            Z[:, used], y[used], trials["clip"].to_numpy()[used], trials["subject"].to_numpy()[used], target,
            **people, n_null=n_null, n_components=n_components, halves=halves, n_splits=n_splits,
            random_state=random_state,
        )  # fmt: skip
        _put(found, members, size, residual=inside.selected, residual_p=inside.p_selected)
        _put(found, members, size, held_out=inside.held_out, held_out_p=inside.p_held_out)
        _put(found, members, size, null_residual=inside.null_selected, null_held_out=inside.null_held_out)
        _put(found, members, size, component=inside.component)
        for place, u, others in zip(members, inside.direction, inside.null_directions(), strict=True):
            directions[place], random_targets[place] = u, others
    table = pd.DataFrame(
        {
            "data": bank.label,
            "simulated": bank.simulated,
            "split": bank.split,
            "checkpoint": range(size),
            "recipe": [spec.recipe for spec in bank.specs],
            "network": [spec.network for spec in bank.specs],
            "epochs": [spec.epochs for spec in bank.specs],
            "width": [checkpoint.kept_features.shape[1] for checkpoint in bank.checkpoints],
            "validation": bank.bacc("validation"),
            "test": bank.bacc("test"),
            **{name: values for name, values in found.items() if not name.startswith("null_")},
        }
    )
    return Rediscovery(
        table=table,
        nulls={name[5:]: values for name, values in found.items() if name.startswith("null_")},
        directions=tuple(directions) if within else (),
        random_targets=tuple(random_targets) if within else (),
        label=bank.label,
        simulated=bank.simulated,
    )


def _target_and_classes(bank: Bank, target: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """The target and the class of each clip, by sorted number of the clips."""
    clips, first = np.unique(bank.trials["clip"], return_index=True)
    target = real(target, "target_by_clip")
    if target.shape != (len(clips),):
        raise ValueError(
            f"target_by_clip must have one value for each of the {len(clips)} clips of {bank.label}, "
            f"got shape {target.shape}: see clip_target"
        )
    return target, bank.trials["y"].to_numpy()[first]


def _check_clips(label: str, class_of: np.ndarray) -> None:
    """Each half of the classes must leave two contrasts between clips of one class, whatever the halving."""
    counts = np.unique(class_of, return_counts=True)[1]
    contrasts = np.sort(counts[counts > 1] - 1)
    least = contrasts[: len(contrasts) // 2].sum()
    if least < 2:
        raise ValueError(
            f"{label} has {counts.tolist()} clips in its classes: half of these may leave {least} contrasts "
            "within classes, a residual needs two in each half. Use two clips or more in each of four "
            "classes, or a target that is constant within classes for the class score alone"
        )


def _by_width(bank: Bank) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Members of each width and their features (n_members, n_trials, d), float64."""
    widths = np.array([checkpoint.kept_features.shape[1] for checkpoint in bank.checkpoints])
    for width in np.unique(widths):
        members = np.flatnonzero(widths == width)
        yield members, np.stack([bank.checkpoints[i].kept_features for i in members]).astype(float)


def _put(found: dict[str, np.ndarray], members: np.ndarray, size: int, **values: np.ndarray) -> None:
    """Enter values (..., n_members) of some members in arrays (..., size) of all."""
    for name, part in values.items():
        if name not in found:
            found[name] = np.empty((*part.shape[:-1], size), dtype=part.dtype)
        found[name][..., members] = part


def _random_scores(Z: np.ndarray, y: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Class scores (n_draws, n_members) with random values of the classes in place of the axis."""
    means = np.stack([Z[:, y == k].mean(1) for k in np.unique(y)], axis=1)
    first = np.linalg.svd(means - means.mean(1, keepdims=True), full_matrices=False)[0][..., 0]
    return np.abs(stats.pearson(first[None], draws[:, None]))


def convergence_table(found: Rediscovery, *, n_resamples: int = 2000, random_state: int = 0) -> pd.DataFrame:
    """Correlate accuracy with every score over all checkpoints, within recipes and between them.

    Parameters
    ----------
    found : Rediscovery
        Of checkpoints of three recipes or more.
    n_resamples : int
        Bootstrap samples of the correlation within.
    random_state : int
        Their seed.

    Returns
    -------
    DataFrame
        One row for each score, null and scope: ``data``, ``simulated``, ``score``, ``null``, ``scope``
        (overall; within and between recipes; the same for network and length), ``r``, ``low``, ``high`` (of
        correlations within: a bootstrap over the checkpoints of each recipe, with the target fixed), ``p``
        (one-sided), ``percentile`` of r in the null, ``null_sd``, ``n`` checkpoints.
    """
    table = found.table
    groupings = {
        "recipes": table["recipe"],
        "network and length": table["network"] + table["epochs"].astype(str),
    }
    nulls = [(score, _PERMUTED[score], found.nulls[score]) for score in found.scores]
    nulls.insert(1, ("class_pc1", _GAUSSIAN, found.nulls["random"]))
    rows = []
    for score, null, scores in nulls:
        for place, (name, group) in enumerate(groupings.items()):
            c = geometry.convergence(
                table[score], table["test"], group, scores, n_resamples=n_resamples, random_state=random_state
            )
            scopes = {"within": f"within {name}", "between": f"between {name}"}
            if place == 0:
                scopes = {"overall": "overall", **scopes}
            for scope, title in scopes.items():
                r, drawn = getattr(c, scope), c.null[scope]
                interval = c.within_interval if scope == "within" else stats.Interval(r, np.nan, np.nan)
                rows.append(
                    {
                        "data": found.label,
                        "simulated": found.simulated,
                        "score": SCORES[score],
                        "null": null,
                        "scope": title,
                        "r": r,
                        "low": interval.low,
                        "high": interval.high,
                        "p": getattr(c, f"p_{scope}"),
                        "percentile": float(100 * np.mean(drawn < r)),
                        "null_sd": float(drawn.std()),
                        "n": len(table),
                    }
                )
    return pd.DataFrame(rows)


# What is lost without a direction

#: Controls of `ablation`, from the easiest to pass to the fairest.
CONTROLS = {
    "isotropic": "isotropic",
    "residual": "isotropic, outside the basin",
    "matched": "matched variance",
    "matched_residual": "matched variance, outside the basin",
    "random_target": "chosen by random targets",
}


_OWN = ["data", "simulated", "checkpoint", "recipe", "network", "epochs", "test", "residual", "held_out"]


@dataclass(frozen=True, eq=False)
class AxisInEEG:
    """What `map_vaxis_to_eeg` found.

    Attributes
    ----------
    projection : AxisProjection
        The linear projection and its tests.
    bank : Bank or None
        The classifiers; None if none were asked for.
    rediscovery : Rediscovery or None
        Their alignment with the axis.
    """

    projection: AxisProjection
    bank: Bank | None
    rediscovery: Rediscovery | None


def map_vaxis_to_eeg(
    cohort: Cohort,
    positions: Mapping[str, float],
    *,
    valence: Mapping[str, float] | None = None,
    specs: Sequence[TrainingSpec] = (),
    split: Split | None = None,
    prototypes: ArrayLike | None = None,
    n_permutations: int = 10_000,
    n_slow: int = 1000,
    random_state: int = 0,
    progress: bool = True,
) -> AxisInEEG:
    """Ask of a cohort's EEG all that the paper asks: is the axis in it, and do classifiers find it unasked?

    Parameters
    ----------
    cohort : Cohort
        Differential entropies; standardised here.
    positions : mapping of emotion to float
        The axis: a position for each emotion of the cohort.
    valence : mapping of emotion to float, optional
        Human valence of each emotion, for the test over emotion means.
    specs : sequence of TrainingSpec
        Classifiers to train, such as `checkpoint_specs`, which takes minutes; none by default.
    split : Split, optional
        On whom they are trained, chosen and tested; `usual_split` by default.
    prototypes
        As for :func:`~kernel.decoding.bank.train_bank`.
    n_permutations, n_slow
        As for :func:`~kernel.brain.study.project_vaxis`.
    random_state : int
        Seed of all nulls.
    progress : bool
        Show progress bars.

    Returns
    -------
    AxisInEEG

    Raises
    ------
    KeyError
        If an emotion of the cohort has no position or no valence.
    ValueError
        If the data, a spec or the split cannot be used; before any training.

    Examples
    --------
    >>> found = map_vaxis_to_eeg(cohort, positions, specs=checkpoint_specs()[:3])   # doctest: +SKIP
    >>> found.projection.tracking.p, found.projection.order_removed.p               # doctest: +SKIP
    >>> found.rediscovery.table                                                     # doctest: +SKIP
    """
    seeds: dict[str, Any] = {"n_permutations": n_permutations, "random_state": random_state}
    projection = project_vaxis(cohort, positions, valence=valence, n_slow=n_slow, **seeds)
    if not len(specs):
        return AxisInEEG(projection, None, None)
    split = usual_split(cohort) if split is None else split
    bank = train_bank(specs, cohort, split, prototypes=prototypes, progress=progress)
    return AxisInEEG(projection, bank, rediscovery(bank, clip_target(cohort, positions), **seeds))


@dataclass(frozen=True, eq=False)
class Ablation:
    """What checkpoints lose with their residual direction.

    Attributes
    ----------
    table : DataFrame
        One row for each checkpoint, control and part of the direction (whole, or orthogonal to the basin):
        ``data``, ``simulated``, ``checkpoint``, ``recipe``, ``network``, ``epochs``, ``test``, ``residual``,
        ``held_out``, ``share_in_basin``, ``control``, ``part``, ``drop``, ``z``, ``p``.
    null : dict of str to ndarray, shape (n_directions, n_checkpoints)
        Falls in accuracy with the directions of each control. Those of ``random_target`` share their targets
        over checkpoints, row by row.
    members : ndarray of int
        The checkpoints, best on validation first.
    gain : float
        What the component along a direction was multiplied with: zero for an ablation.
    """

    table: pd.DataFrame
    null: dict[str, np.ndarray]
    members: np.ndarray
    gain: float


def ablation(
    bank: Bank,
    found: Rediscovery,
    *,
    n_best: int | None = 10,
    gain: float = 0.0,
    n_directions: int = 500,
    random_state: int = 0,
) -> Ablation:
    """Remove the residual direction of checkpoints, and directions of every control, at inference.

    Directions come from validation people, accuracy from test people; the basin is that of validation trials.
    A z against isotropic directions measures variance, not meaning: see
    :func:`~kernel.decoding.geometry.ablation_effect`.

    Parameters
    ----------
    bank : Bank
        Trained members.
    found : Rediscovery
        Of this bank, with residual scores.
    n_best : int, optional
        How many checkpoints, by balanced accuracy on validation; None takes all.
    gain : float
        Factor of the component along the direction; zero removes it.
    n_directions : int
        Directions of each drawn control; those of random targets are all of `found`.
    random_state : int
        Seed; what is drawn for a checkpoint does not depend on the others.

    Returns
    -------
    Ablation

    Raises
    ------
    ValueError
        If there are no residual directions, or `found` belongs to another bank.
    """
    if not found.directions:
        raise ValueError(
            f"there is no residual direction in {found.label}: its target is constant within every class, "
            "give rediscovery a target with ratings of clips"
        )
    if found.label != bank.label or found.table["recipe"].tolist() != [s.recipe for s in bank.specs]:
        raise ValueError(
            f"found is of {found.label}, not of the {len(bank)} members of this bank: call rediscovery on it"
        )
    order = np.argsort(-found.table["validation"].to_numpy(), kind="stable")
    members = order if n_best is None else order[:n_best]
    y, test, validation = bank.trials["y"].to_numpy(), bank.rows("test"), bank.rows("validation")
    rows, nulls = [], []
    for member in members:
        checkpoint = bank.checkpoints[member]
        Z, (W, b) = checkpoint.kept_features.astype(float), checkpoint.head
        projector = geometry.basin(Z[validation], y[validation])
        effect = geometry.ablation_effect(
            Z[test], y[test], (W.T, b), found.directions[member], gain=gain, n_directions=n_directions,
            random_targets=found.random_targets[member], projector=projector,
            random_state=np.random.default_rng([random_state, member]),
        )  # fmt: skip
        nulls.append(effect.null)
        own = found.table.loc[member]
        for kind in effect.null:
            for part, drop in {"whole": effect.drop, "orthogonal": effect.orthogonal_drop}.items():
                rows.append(
                    {
                        **own[_OWN],
                        "share_in_basin": float(effect.share_in_basin),
                        "control": CONTROLS[kind],
                        "part": part,
                        "drop": float(drop),
                        "z": float(effect.z(kind, part)),
                        "p": float(effect.p(kind, part)),
                    }
                )
    null = {kind: np.stack([one[kind] for one in nulls], axis=1) for kind in nulls[0]}
    return Ablation(pd.DataFrame(rows), null, members, gain)


def ablation_summary(lost: Ablation) -> pd.DataFrame:
    r"""Controls over the checkpoints of an ablation.

    Checkpoints see the same trials, so that their p-values depend on one another in an unknown way. Twice
    their mean is a p-value all the same [1]_. Directions of random targets share their targets over
    checkpoints: there the mean fall has a null of its own, the mean over checkpoints target by target.

    Parameters
    ----------
    lost : Ablation
        Of some checkpoints.

    Returns
    -------
    DataFrame
        One row for each control and part: ``data``, ``simulated``, ``control``, ``part``, ``drop`` (mean),
        ``z`` (mean), ``z_low``, ``z_high`` (range over checkpoints), ``share`` (of checkpoints with
        p <= .05), ``p`` (of the mean fall), ``n`` checkpoints.

    References
    ----------
    .. [1] Vovk & Wang (2020), Biometrika 107(4). doi:10.1093/biomet/asaa027
    """
    rows = []
    for (control, part), own in lost.table.groupby(["control", "part"], sort=False):
        p = min(1.0, 2 * own["p"].mean())
        if control == CONTROLS["random_target"]:
            joint = lost.null["random_target"].mean(1)
            p = stats.permutation_p(own["drop"].mean(), joint, alternative="greater")
        rows.append(
            {
                "data": own["data"].iloc[0],
                "simulated": own["simulated"].iloc[0],
                "control": control,
                "part": part,
                "drop": own["drop"].mean(),
                "z": own["z"].mean(),
                "z_low": own["z"].min(),
                "z_high": own["z"].max(),
                "share": (own["p"] <= 0.05).mean(),
                "p": p,
                "n": len(own),
            }
        )
    return pd.DataFrame(rows)


# The tests on cohorts of known truth

#: Truths of `rediscovery_p_values`: no valence first.
RATE_PRESETS = ("no_valence", "default", "strong_valence")
_ROW = [("seed", "i8"), ("estimator", "U64"), ("null", "U48"), ("value", "f8"), ("p", "f8")]


def rate_specs(seed: int = 0) -> list[TrainingSpec]:
    """Six short trainings of the perceptron: two recipes at three lengths, so that accuracies differ."""
    return [
        TrainingSpec(
            epochs=epochs,
            warmup_epochs=1,
            batch_size=256,
            learning_rate=2e-3,
            augmentation=augmentation,
            seed=seed,
            recipe=recipe,
        )
        for recipe, augmentation in (("plain", "none"), ("augmented", "paper"))
        for epochs in (2, 5, 10)
    ]


def rediscovery_p_values(
    presets: Sequence[str] | Mapping[str, Settings] = RATE_PRESETS,
    seeds: Iterable[int] = range(16),
    specs: Sequence[TrainingSpec] | None = None,
    positions: Mapping[str, float] | None = None,
    *,
    n_subjects: int = 123,
    n_null: int = 199,
    n_jobs: int = 2,
    progress: bool = True,
) -> pd.DataFrame:
    """Train a small bank on every simulated cohort and run every test of the convergence claim on it.

    Tests of one checkpoint take the best on validation. Cohorts of one seed share their patterns, clips and
    noise over presets. The target within classes is the planted valence.

    Parameters
    ----------
    presets : sequence of str, or mapping of name to Settings
        What is planted.
    seeds : iterable of int
        Of the cohorts.
    specs : sequence of TrainingSpec, optional
        What is trained on each; `rate_specs` by default. Three or more, without prototypes.
    positions : mapping of emotion to float, optional
        The axis; by default people's mean valence of the nine emotions, the best axis there can be.
    n_subjects : int
        People per cohort.
    n_null : int
        Members of each null; 199 make p <= .05 an exact 5 % event.
    n_jobs : int
        Processes, of one thread each.
    progress : bool
        Show a progress bar.

    Returns
    -------
    DataFrame
        Columns ``truth``, ``seed``, ``estimator``, ``null``, ``value``, ``p``, as
        :func:`kernel.brain.calibration.rejection_rates` takes them. Every cohort's rows are kept in the
        user's cache under a digest of all arguments and of the code: what was interrupted goes on where it
        stopped.

    Raises
    ------
    ValueError
        If there are fewer than three specs or too few members of a null.
    """
    specs = rate_specs() if specs is None else list(specs)
    if len(specs) < 3 or n_null < 19:
        raise ValueError(
            "three specs are needed for a correlation over checkpoints and an n_null of 19 for p <= .05, "
            f"got {len(specs)} and {n_null}"
        )
    named = dict(presets) if isinstance(presets, Mapping) else {name: PRESETS[name] for name in presets}
    human = dict(zip(FACED_CLASSES, CLASS_VALENCE, strict=True))
    positions = {name: float(value) for name, value in (positions or human).items()}
    jobs = [(name, int(seed)) for seed in seeds for name in named]
    shared = (specs, positions, n_subjects, n_null)
    tasks = [delayed(_tested)(named[name], seed, *shared) for name, seed in jobs]
    done = side_by_side(tasks, n_jobs=n_jobs, label="simulated cohorts", progress=progress)
    parts = [pd.DataFrame(rows).assign(truth=name) for (name, _), rows in zip(jobs, done, strict=True)]
    table = pd.concat(parts, ignore_index=True)
    table["truth"] = pd.Categorical(table["truth"], list(named), ordered=True)
    return table.sort_values(["truth", "seed"], kind="stable", ignore_index=True)


def _tested(
    settings: Settings,
    seed: int,
    specs: Sequence[TrainingSpec],
    positions: dict[str, float],
    n_subjects: int,
    n_null: int,
) -> np.ndarray:
    """Every test on one cohort, stored."""
    asked = [{**asdict(spec), "options": dict(spec.options)} for spec in specs]
    key = files.cache_key(
        __name__, "rediscovery", asdict(settings), seed, asked, positions, n_subjects, n_null
    )

    def compute() -> np.ndarray:
        cohort, _ = simulate_cohort(seed, settings, n_subjects=n_subjects, window=10.0)
        # the members are not wanted again: hundreds of them would fill the cache
        with tempfile.TemporaryDirectory() as folder:
            bank = train_bank(
                specs,
                cohort,
                usual_split(cohort),
                baselines=False,
                folder=folder,
                n_jobs=1,
                device="cpu",
                progress=False,
            )
        tests = run_tests(bank, clip_target(cohort, positions), n_null=n_null, random_state=seed)
        return np.array([(seed, *test.values()) for test in tests], dtype=_ROW)

    with threadpool_limits(1), one_thread():
        return files.load_or_compute("rediscovery", key, compute)


def run_tests(
    bank: Bank, target_by_clip: ArrayLike, *, n_null: int = 199, random_state: int = 0
) -> list[dict[str, Any]]:
    """Every test of the convergence claim on one bank, the paper's ways and ours.

    Parameters
    ----------
    bank : Bank
        Three members or more.
    target_by_clip : array_like, shape (n_clips,)
        With variation within classes.
    n_null : int
        Members of each null.
    random_state : int
        Seed.

    Returns
    -------
    list of dict
        ``estimator``, ``null``, ``value``, ``p``. "Textbook formula" is the p-value of a correlation over as
        many independent points as there are classes, clips or checkpoints.
    """
    found = rediscovery(bank, target_by_clip, n_permutations=n_null, n_null=n_null, random_state=random_state)
    best = int(found.table["validation"].argmax())
    own = found.table.loc[best]
    n_clips = bank.trials["clip"].nunique()
    n_classes = bank.trials["y"].nunique()
    rows = []

    def add(estimator: str, null: str, value: float, p: float) -> None:
        rows.append({"estimator": estimator, "null": null, "value": float(value), "p": float(p)})

    one = "class PC1, best checkpoint"
    add(one, "textbook formula", own["class_pc1"], stats.textbook_p(own["class_pc1"], n_classes))
    add(one, _PERMUTED["class_pc1"], own["class_pc1"], own["class_pc1_p"])
    one = "residual chosen on the same clips, best checkpoint"
    add(one, "textbook formula", own["residual"], stats.textbook_p(own["residual"], n_clips))
    add(one, _GAUSSIAN, own["residual"], _against_haar(bank, best, target_by_clip, n_null, random_state))
    add(one, _PERMUTED["residual"], own["residual"], own["residual_p"])
    one = "residual on held-out clips, best checkpoint"
    add(one, _PERMUTED["held_out"], own["held_out"], own["held_out_p"])
    mean, null = found.table["held_out"].mean(), found.nulls["held_out"].mean(1)
    p = stats.permutation_p(mean, null, alternative="greater")
    add("residual on held-out clips, mean of checkpoints", _PERMUTED["held_out"], mean, p)
    accuracy = found.table["test"].to_numpy()
    for score in ("class_pc1", "held_out"):
        r = float(stats.pearson(found.table[score].to_numpy(), accuracy))
        one = f"r of accuracy and {SCORES[score]}"
        p = stats.textbook_p(r, len(bank), alternative="greater")
        add(one, "textbook formula", r, p)
        null = stats.pearson(found.nulls[score], accuracy)
        add(one, _PERMUTED[score], r, stats.permutation_p(r, null, alternative="greater"))
    lost = ablation(bank, found, n_best=1, n_directions=n_null, random_state=random_state).table
    for kind in ("isotropic", "matched", "random_target"):
        row = lost[(lost["control"] == CONTROLS[kind]) & (lost["part"] == "whole")].iloc[0]
        null = f"directions, {CONTROLS[kind]}"
        add("accuracy lost without the residual direction", null, row["drop"], row["p"])
    return rows


def _against_haar(bank: Bank, member: int, target: ArrayLike, n_null: int, random_state: int) -> float:
    """p of the score chosen on the same clips among orthonormal directions of random orientation."""
    trials = bank.trials
    used = bank.rows("validation") | bank.rows("test")
    people: dict[str, Any] = {
        name: trials["subject"][bank.rows(name)].unique() for name in ("validation", "test")
    }
    y, clip, subject = (trials[name].to_numpy()[used] for name in ("y", "clip", "subject"))
    found = geometry.residual_alignment(
        bank.checkpoints[member].kept_features[used].astype(float), y, clip, subject, target, **people,
        n_null=n_null, null="haar", random_state=random_state,
    )  # fmt: skip
    return float(found.p_selected)
