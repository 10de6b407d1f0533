"""What the paper's classifiers share with the axis, on a laptop: which are trained, and whether they find it.

The alignment of checkpoints with a target, and whether it goes together with their accuracy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from kernel import checks, stats
from kernel.arrays import Named, in_order, real, row_labels
from kernel.brain.cohort import Cohort, standardise
from kernel.brain.ratings import load_ratings
from kernel.brain.splits import Split, make_split, usual_split
from kernel.brain.tracking import AxisProjection, clip_values, project_vaxis
from kernel.decoding import geometry
from kernel.decoding.bank import noise_bank, train_bank
from kernel.decoding.checkpoints import Bank
from kernel.decoding.geometry import Device
from kernel.decoding.training import TrainingSpec

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
    """Thirty-six trainings: two networks, three lengths, six recipes; ``recipe`` reads "network, recipe".

    The paper's networks, regimes and recipes are named but not specified; these span the same design. Members
    of one network share their initial weights and the order of their batches.
    """
    return [
        TrainingSpec(
            network=network, options=regime["options"], epochs=epochs, seed=seed,
            recipe=f"{network}, {recipe}", **regime["common"], **changes,
        )
        for network, regime in REGIMES.items()
        for epochs in regime["epochs"]
        for recipe, changes in RECIPES.items()
    ]  # fmt: skip


def fewer_specs(seed: int = 0) -> list[TrainingSpec]:
    """Twenty-four of `checkpoint_specs`: without the longer trainings of the transformer, the slowest."""
    shortest = REGIMES["axial"]["epochs"][0]
    return [spec for spec in checkpoint_specs(seed) if spec.network == "mlp" or spec.epochs == shortest]


def rate_specs(seed: int = 0) -> list[TrainingSpec]:
    """Six short trainings of the perceptron: two recipes at three lengths, so that accuracies differ."""
    shared: dict[str, Any] = {"warmup_epochs": 1, "batch_size": 256, "learning_rate": 2e-3, "seed": seed}
    return [
        TrainingSpec(epochs=epochs, augmentation=augmentation, recipe=recipe, **shared)
        for recipe, augmentation in (("plain", "none"), ("augmented", "paper"))
        for epochs in (2, 5, 10)
    ]


def split_table(
    cohort: Cohort, splits: Sequence[tuple[str, int]], specs: Sequence[TrainingSpec], *, progress: bool = True
) -> pd.DataFrame:
    """Balanced accuracy on new subjects under several splits, with intervals over these subjects.

    Splits are names and folds, as for :func:`~kernel.brain.splits.make_split`. One row per split and method,
    the linear baselines and the mean of the networks: ``split``, ``fold``, ``new_clips``, ``n_subjects``,
    ``method``, ``bacc``, ``low``, ``high``.
    """
    standard = standardise(cohort)
    rows = []
    made = [make_split(cohort, name, fold=fold).require_test_subjects() for name, fold in splits]
    for (name, fold), split in zip(splits, made, strict=True):
        bank = train_bank(specs, standard, split, progress=progress)
        people = int(bank.trials["subject"][bank.rows("test")].nunique())
        shared = {"split": name, "fold": fold, "new_clips": not split.shares_clips, "n_subjects": people}
        for method in bank.baselines:
            interval = dict(zip(("bacc", "low", "high"), bank.interval(method), strict=True))
            rows.append({**shared, "method": method, **interval})
        mean = float(bank.bacc("test").mean())
        rows.append({**shared, "method": f"mean of {len(bank)} networks", "bacc": mean})
    return pd.DataFrame(rows)


# The axis in what classifiers hold

#: Scores of `rediscovery`, as columns name them.
SCORES = {
    "class_pc1": "class PC1",
    "residual": "residual, chosen on the same clips",
    "held_out": "residual, held-out clips",
}
#: What their nulls draw.
PERMUTED = {
    "class_pc1": "emotions permuted",
    "residual": "targets permuted within class",
    "held_out": "targets permuted within class",
}
RANDOM = "random directions"


def clip_ratings(cohort: Cohort) -> np.ndarray | None:
    """Mean valence of each clip (n_clips,): the cohort's, or that of FACED's 123 people; None if unknown."""
    try:
        return real(cohort.rating("valence"), "valence", finite=False)
    except KeyError:
        if cohort.data.attrs["dataset"] != "FACED":
            return None
        return load_ratings()["valence_mean"].loc[cohort.clips].to_numpy()


def clip_target(cohort: Cohort, positions: Mapping[str, float]) -> pd.Series:
    r"""Value of each clip, by its number, sorted: the axis between emotions, viewers' ratings within them.

    .. math:: t_c = a_{k(c)} + (\rho_c - \bar\rho_{k(c)}) / \mathrm{sd}(\rho)

    with the position a of the clip's emotion k and the mean rating rho. An axis read from stories has one
    value for each emotion and says nothing of the clips within: these come from `clip_ratings`. Where there
    are none, or one for all, values are constant within classes, and `rediscovery` has no residual score.
    ValueError names a clip that has no rating where others have.
    """
    target, ratings = clip_values(cohort, positions, "position"), clip_ratings(cohort)
    if ratings is not None and not np.isfinite(ratings).any():
        ratings = None
    if ratings is not None and not np.isfinite(ratings).all():
        clip = cohort.clips[~np.isfinite(ratings)][0]
        raise ValueError(f"clip {clip} has no rating of valence: mend it, or cohort.select(clips=...) others")
    if ratings is not None and np.ptp(ratings) > 0:
        for emotion in np.unique(cohort.emotions):
            clips = cohort.emotions == emotion
            target[clips] += (ratings[clips] - ratings[clips].mean()) / ratings.std()
    return pd.Series(target, cohort.clips).sort_index()


class Rediscovery(NamedTuple):
    """How the checkpoints of a bank align with a target."""

    #: one row for each checkpoint: ``data``, ``simulated``, ``split``, ``checkpoint``, ``recipe``,
    #: ``network``, ``epochs``, ``width``, ``validation`` and ``test`` (balanced accuracy), each score of
    #: :data:`SCORES` with its ``{score}_p``, and ``component``, the residual component chosen; without a
    #: target within classes there is ``class_pc1`` alone
    table: pd.DataFrame
    #: (n_null, n_checkpoints): scores under permuted targets, a row one target for all checkpoints; under
    #: ``random`` class scores of random directions, independent Gaussian values of the classes
    nulls: dict[str, np.ndarray]
    directions: tuple[np.ndarray, ...]  #: (d,) each: residual directions; empty without residual scores
    random_targets: tuple[np.ndarray, ...]  #: (n_null, d) each: directions that permuted targets choose
    #: (n_checkpoints, n_classes): the classes on the first component of their means, whose sign is arbitrary
    positions: np.ndarray
    label: str  #: of the cohort
    simulated: bool  #: whether it was simulated

    @property
    def scores(self) -> list[str]:
        """Names of the scores there are."""
        return [score for score in SCORES if score in self.table]

    def convergence_table(self, *, n_resamples: int = 2000, random_state: int = 0) -> pd.DataFrame:
        """Correlate accuracy with every score over checkpoints of three recipes or more: see `convergence`.

        One row for each score, null and scope: ``data``, ``simulated``, ``score``, ``null``, ``scope``
        (overall; within and between recipes; the same for network and length), ``r``, ``low``, ``high`` (of
        correlations within: a bootstrap over the checkpoints of each recipe, with the target fixed), ``p``
        (one-sided), ``percentile`` of r in the null, ``null_sd``, ``n`` checkpoints.
        """
        table, seeds = self.table, {"n_resamples": n_resamples, "random_state": random_state}
        groupings = {
            "recipes": table["recipe"],
            "network and length": table["network"] + table["epochs"].astype(str),
        }
        nulls = [(score, PERMUTED[score], self.nulls[score]) for score in self.scores]
        nulls.insert(1, ("class_pc1", RANDOM, self.nulls["random"]))
        rows = []
        for score, null, scores in nulls:
            for name, group in groupings.items():
                c = convergence(table[score], table["test"], group, scores, **seeds)
                for scope in ("overall", "within", "between") if name == "recipes" else ("within", "between"):
                    r, drawn = getattr(c, scope), c.null[scope]
                    low, high = c.within_interval[1:] if scope == "within" else (np.nan, np.nan)
                    label = scope if scope == "overall" else f"{scope} {name}"
                    row = {"data": self.label, "simulated": self.simulated, "score": SCORES[score]}
                    row |= {"null": null, "scope": label, "r": r, "low": low, "high": high}
                    row |= {"p": getattr(c, f"p_{scope}"), "percentile": float(100 * np.mean(drawn < r))}
                    rows.append(row | {"null_sd": float(drawn.std()), "n": len(table)})
        return pd.DataFrame(rows)


def rediscovery(
    bank: Bank,
    target_by_clip: ArrayLike,
    *,
    n_permutations: int = 10_000,
    n_null: int = 1000,
    random_state: int = 0,
    device: Device = None,
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
    n_permutations, n_null : int
        Orders of the classes; random targets and random directions.
    random_state, device
        Seed, of draws that checkpoints of any width share; where to compute.

    Raises
    ------
    ValueError
        If clips per class are too few to judge a residual; names the cure.
    """
    clips, first = np.unique(bank.trials["clip"], return_index=True)
    given, class_of = in_order(target_by_clip, "target_by_clip", clips), bank.trials["y"].to_numpy()[first]
    target = real(given, "target_by_clip")
    checks.shape("target_by_clip", target, (len(clips),), f"({len(clips)} clips of {bank.label},)")
    within = any(np.ptp(target[class_of == k]) > 0 for k in np.unique(class_of))
    test = bank.rows("test")
    y = bank.trials["y"].to_numpy()[test]
    present = np.unique(y)
    of_class = np.array([target[class_of == k].mean() for k in present])
    draws = np.random.default_rng(random_state).standard_normal((n_null, len(present)))
    seeds: dict[str, Any] = {"random_state": random_state, "device": device}

    parts: list[pd.DataFrame] = []
    nulls: dict[str, np.ndarray] = {}
    directions: dict[int, np.ndarray] = {}
    random_targets: dict[int, np.ndarray] = {}
    positions = np.empty((len(bank), len(present)))
    widths = np.array([checkpoint.kept_features.shape[1] for checkpoint in bank.checkpoints])
    for members in (np.flatnonzero(widths == width) for width in np.unique(widths)):  # computed together
        Z = np.stack([bank.checkpoints[m].kept_features[test] for m in members]).astype(float)
        between = geometry.class_pc1_alignment(Z, y, of_class, n_permutations=n_permutations, **seeds)
        scores = {"class_pc1": between.score, "class_pc1_p": between.p}
        drawn = {"class_pc1": between.null}
        drawn["random"] = np.abs(stats.pearson(between.positions, draws[:, None]))
        positions[members] = between.positions
        if within:
            inside = bank.residual_alignment(members, pd.Series(target, clips), n_null=n_null, **seeds)
            scores |= {"residual": inside.selected, "residual_p": inside.p_selected}
            scores |= {"held_out": inside.held_out, "held_out_p": inside.p_held_out}
            scores |= {"component": inside.component}
            drawn |= {"residual": inside.null_selected, "held_out": inside.null_held_out}
            directions |= dict(zip(members, inside.direction, strict=True))
            random_targets |= dict(zip(members, inside.null_directions(), strict=True))
        parts.append(pd.DataFrame(scores, index=members))
        for name, values in drawn.items():
            nulls.setdefault(name, np.empty((len(values), len(bank))))[:, members] = values
    columns = {
        "data": bank.label,
        "simulated": bank.simulated,
        "split": bank.split,
        "checkpoint": range(len(bank)),
        **{name: [getattr(spec, name) for spec in bank.specs] for name in ("recipe", "network", "epochs")},
        "width": widths,
        **{which: bank.bacc(which) for which in ("validation", "test")},
    }
    return Rediscovery(
        table=pd.concat([pd.DataFrame(columns), pd.concat(parts).sort_index()], axis=1),
        nulls=nulls,
        directions=tuple(directions[m] for m in sorted(directions)),
        random_targets=tuple(random_targets[m] for m in sorted(random_targets)),
        positions=positions,
        label=bank.label,
        simulated=bank.simulated,
    )


class Convergence(NamedTuple):
    """Correlation of accuracy and alignment over checkpoints; p one-sided, against permuted targets."""

    overall: float
    within: float  #: after subtracting the means of each recipe
    between: float  #: of the means of recipes
    p_overall: float
    p_within: float
    p_between: float
    #: bootstrap over the checkpoints of each recipe; a resample in which nothing varies counts as zero
    within_interval: stats.Interval
    null: dict[str, np.ndarray]  #: (n_null,): the null of ``overall``, ``within`` and ``between``


def convergence(
    score: ArrayLike,
    bacc: ArrayLike,
    recipes: ArrayLike,
    null_scores: ArrayLike,
    *,
    n_resamples: int = 2000,
    random_state: stats.Seed = 0,
) -> Convergence:
    """Do more accurate checkpoints align better, and does it hold among checkpoints of one recipe?

    All checkpoints see the same trials, and recipes differ in accuracy and geometry at once: the null keeps
    every checkpoint and exchanges the target for a random one. The correlation within recipes pools the
    deviations from the recipes' means [1]_, that between them weights the means by their checkpoints [2]_.

    Parameters
    ----------
    score, bacc, recipes : array_like, shape (n_checkpoints,)
        Alignment, balanced accuracy, and recipe; three recipes or more, some with several checkpoints.
    null_scores : array_like, shape (n_null, n_checkpoints)
        Alignment with random targets, one a row: the null of one of the two alignments.
    n_resamples, random_state
        Of the interval, as for :func:`kernel.stats.bootstrap_interval`.

    References
    ----------
    .. [1] Bland & Altman (1995), BMJ 310, 446. doi:10.1136/bmj.310.6977.446
    .. [2] Bland & Altman (1995), BMJ 310, 633. doi:10.1136/bmj.310.6980.633
    """
    score, bacc, null = real(score, "score"), real(bacc, "bacc"), real(null_scores, "null_scores")
    n = len(np.atleast_1d(score))
    checks.shape("score", score, (None,), "(n_checkpoints,)")
    checks.shape("bacc", bacc, (n,), f"({n} checkpoints,)")
    checks.shape("null_scores", null, (None, n), f"(n_null, {n} checkpoints)")
    names, code = np.unique(row_labels(recipes, "recipes", n), return_inverse=True)
    if len(names) < 3 or len(names) == n:
        raise ValueError(
            f"{n} checkpoints of {len(names)} recipes: three recipes are needed for a correlation "
            "between them, and two checkpoints of one for a correlation within"
        )
    member = np.eye(len(names))[code]
    mean = member @ (member / member.sum(0)).T  # (n_checkpoints, n_checkpoints): each one's recipe mean
    rest = np.eye(n) - mean
    spread = [np.linalg.norm(x @ rest) for x in (score, bacc)]
    for name, x, size in zip(("score", "bacc"), (score, bacc), spread, strict=True):
        if size <= 1e-12 * np.linalg.norm(x):  # rounding leaves traces of means
            raise ValueError(f"{name} does not vary within any recipe: a correlation within is undefined")
    maps = {"overall": np.eye(n), "within": rest, "between": mean}
    observed = {name: float(stats.pearson(score @ by, bacc @ by)) for name, by in maps.items()}
    drawn = {name: stats.pearson(null @ by, bacc @ by) for name, by in maps.items()}
    p = {
        f"p_{name}": stats.permutation_p(r, drawn[name], alternative="greater")
        for name, r in observed.items()
    }
    # an independent draw of checkpoints stands in each place of its recipe
    order = np.argsort(code, kind="stable")
    by = rest[np.ix_(order, order)]

    def within(x: np.ndarray, t: np.ndarray) -> np.ndarray:
        x, t = x @ by, t @ by
        size = np.linalg.norm(x, axis=-1) * np.linalg.norm(t, axis=-1)
        flat = size <= 1e-20
        return np.where(flat, 0.0, (x * t).sum(-1) / np.where(flat, 1.0, size))

    interval = stats.bootstrap_interval(
        within, score[order] / spread[0], bacc[order] / spread[1], strata=code[order],
        n_resamples=n_resamples, random_state=random_state,
    )  # fmt: skip
    return Convergence(**observed, **p, within_interval=interval, null=drawn)


class AxisInEEG(NamedTuple):
    """What `map_vaxis_to_eeg` found."""

    projection: AxisProjection  #: the linear projection and its tests
    bank: Bank | None  #: the classifiers; None if none were asked for
    rediscovery: Rediscovery | None  #: their alignment with the axis


def map_vaxis_to_eeg(
    cohort: Cohort,
    positions: Mapping[str, float],
    *,
    valence: Mapping[str, float] | None = None,
    specs: TrainingSpec | Sequence[TrainingSpec] = (),
    split: str | Split | None = None,
    prototypes: Named | None = None,
    n_permutations: int = 10_000,
    n_slow: int = 1000,
    random_state: int = 0,
    device: Device = None,
    progress: bool = True,
) -> AxisInEEG:
    """Ask of a cohort's EEG all that the paper asks: is the axis in it, and do classifiers find it unasked?

    Parameters
    ----------
    cohort : Cohort
        Differential entropies; standardised here.
    positions, valence : mapping of emotion to float
        The axis: a position for each emotion of the cohort; human valence of each, for the test over emotion
        means.
    specs : TrainingSpec or sequence of TrainingSpec
        Classifiers to train, such as `checkpoint_specs`, which takes minutes; none by default.
    split : Split or str, optional
        On whom they are trained, chosen and tested, or its name; :func:`~kernel.brain.splits.usual_split` by
        default.
    prototypes
        As for :func:`~kernel.decoding.bank.train_bank`.
    n_permutations, n_slow
        As for :func:`~kernel.brain.tracking.project_vaxis`.
    random_state, device, progress
        Seed of all nulls; where to compute, see :func:`kernel.checks.device`; whether to show progress bars.

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
    specs = (specs,) if isinstance(specs, TrainingSpec) else tuple(specs)
    split = usual_split(cohort, split) if specs else None
    if split:  # what trained networks could not be asked is said before any work
        target = clip_target(cohort, positions)
        rediscovery(noise_bank(cohort, split), target, n_permutations=1, n_null=1, device=device)
    projection = project_vaxis(cohort, positions, valence=valence, n_slow=n_slow, device=device, **seeds)
    if split is None:
        return AxisInEEG(projection, None, None)
    bank = train_bank(specs, cohort, split, prototypes=prototypes, device=device, progress=progress)
    return AxisInEEG(projection, bank, rediscovery(bank, target, device=device, **seeds))
