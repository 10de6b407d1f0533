"""The two-tier study: do members whose residual follows the target contribute more to their ensemble?

It asks many pools of members, and what of lengths, depths and numbers of members an ensemble gains from.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from kernel import checks, stats
from kernel.arrays import row_labels
from kernel.decoding import ensemble
from kernel.decoding.checkpoints import Bank
from kernel.decoding.training import TrainingSpec


class Pool(NamedTuple):
    """Members that could form one ensemble, on test trials."""

    name: str  #: its recipe
    probabilities: np.ndarray  #: (n_members, n_trials, n_classes): of test trials
    y: np.ndarray  #: (n_trials,): class of each
    subject: np.ndarray  #: (n_trials,)
    lengths: np.ndarray  #: (n_members,): epochs of each member's training
    seeds: np.ndarray  #: (n_members,)
    #: (n_members,): absolute correlation of the chosen residual component with the target in test subjects
    residual: np.ndarray
    held_out: np.ndarray  #: (n_members,): with its sign, on clips that had no part in the choice
    null_residual: np.ndarray  #: (n_null, n_members): `residual` for permuted targets, one a row

    def top_and_bottom(
        self, *, size: int = 7, n_permutations: int = 2000, random_state: stats.Seed = 0
    ) -> tuple[dict[str, float], np.ndarray]:
        """Ensembles of the most and of the least aligned members, among all subsets of that size.

        Accuracies ``top``, ``bottom``, their ``difference``, that of ``all`` members, and ``p``, the exact
        share of orders of the members with as large a difference; and differences of random orders
        (n_permutations,). The pool has up to sixteen members, more than `size`. Seven of ten overlap in four:
        the difference is that of three members against three others.
        """
        m = len(self.residual)
        checks.count("size", size, 1, m - 1)
        subsets = ensemble.subsets_of(m, size)
        accuracy = ensemble.subset_accuracies(self.probabilities, self.y, subsets)
        everyone = ensemble.subset_accuracies(self.probabilities, self.y, np.ones((1, m), dtype=bool))
        code, order = subsets @ 2 ** np.arange(m), np.argsort(self.residual, kind="stable")
        ends = order[-size:], order[:size]
        top, bottom = (float(accuracy[code == (2**chosen).sum()][0]) for chosen in ends)
        # an order of the members is a pair of subsets that overlap as little as they can
        overlap = subsets.astype(int) @ subsets.T.astype(int)
        first, second = np.nonzero(overlap == max(0, 2 * size - m))
        differences = accuracy[first] - accuracy[second]
        p = float((differences >= top - bottom - 1e-12).mean())
        row = {"top": top, "bottom": bottom, "difference": top - bottom, "all": float(everyone[0]), "p": p}
        return row, np.random.default_rng(random_state).choice(differences, n_permutations)

    def growth(self) -> pd.DataFrame:
        """Accuracy of ensembles of every size, over all subsets of up to sixteen members.

        One row a size: ``size``, ``mean``, ``sd``, ``worst``, ``best``, ``subsets``.
        """
        values = ensemble.all_subset_accuracies(self.probabilities, self.y)
        size = np.bitwise_count(np.arange(len(values)))
        groups = pd.DataFrame({"size": size, "value": values})[1:].groupby("size")["value"]
        table = groups.agg(mean="mean", sd=lambda v: v.std(ddof=0), worst="min", best="max", subsets="size")
        return table.reset_index()


def pool_specs(
    n_pools: int = 3, *, n_seeds: int = 5, lengths: Sequence[int] = (20, 30), **options: Any
) -> list[TrainingSpec]:
    """Trainings of several disjoint pools: in each, `n_seeds` seeds at every length; ``recipe`` names it.

    Five seeds at two lengths in the ratio of 100 to 150 epochs are the paper's design, scaled down. Further
    options are fields of :class:`~kernel.decoding.training.TrainingSpec`.
    """
    options = {"batch_size": 256, "learning_rate": 2e-3, **options}
    return [
        TrainingSpec(epochs=epochs, seed=pool * n_seeds + seed, recipe=f"pool {pool}", **options)
        for pool in range(n_pools)
        for epochs in lengths
        for seed in range(n_seeds)
    ]


def make_pools(bank: Bank, target_by_clip: ArrayLike, *, n_null: int = 200) -> list[Pool]:
    """Pools of a bank, one for each recipe label, with the residual alignment of their members.

    The target (n_clips,) is a value of each clip, such as its mean valence.
    """
    aligned = bank.residual_alignment(range(len(bank)), target_by_clip, n_null=n_null)
    recipes = np.array([spec.recipe for spec in bank.specs])
    pools = []
    for recipe in dict.fromkeys(recipes.tolist()):
        rows = np.flatnonzero(recipes == recipe)
        if len(rows) < 3:
            raise ValueError(f"recipe {recipe!r} has {len(rows)} members: a correlation needs three")
        pools.append(
            Pool(
                recipe,
                *bank.test_probabilities(rows),
                lengths=np.array([bank.specs[m].epochs for m in rows]),
                seeds=np.array([bank.specs[m].seed for m in rows]),
                residual=aligned.selected[rows],
                held_out=aligned.held_out[rows],
                null_residual=aligned.null_selected[:, rows],
            )
        )
    return pools


class TwoTier(NamedTuple):
    """Alignment against contribution over pools."""

    #: one row a pool: ``pool``, ``r``, ``slope`` (accuracy for one unit of alignment), ``p`` (permutation of
    #: its members), ``members``
    table: pd.DataFrame
    mean: float  #: of r over pools
    sd: float  #: of r over pools
    p: float  #: one-sided: share of permutations of the members within pools with as large a mean r
    null: np.ndarray  #: (n_permutations,): mean r of each permutation
    null_sd: float  #: standard deviation of r in a single pool under permutation
    p_target: float  #: one-sided: share of permuted targets with as large a mean r


def residual_against_contribution(
    pools: Sequence[Pool], *, n_permutations: int = 2000, random_state: stats.Seed = 0
) -> TwoTier:
    r"""Correlate the members' residual alignment with their leave-one-out contribution, pool by pool.

    Of ten members r has a standard deviation of about :math:`1 / \sqrt 9` by chance: one pool says little.
    There are two or more; where the alignment or the contribution does not vary, r counts as 0. Members are
    permuted within their pools.
    """
    checks.count("the number of pools", len(pools), 2)
    rng = np.random.default_rng(random_state)
    rows, nulls, targets = [], [], []
    for pool in pools:
        x = pool.residual
        gain = ensemble.contributions(pool.probabilities, pool.y).leave_one_out
        r = float(_correlation_or_zero(x, gain))
        null = _correlation_or_zero(x, rng.permuted(np.tile(gain, (n_permutations, 1)), axis=1))
        nulls.append(null)
        targets.append(_correlation_or_zero(pool.null_residual, gain))
        slope = r * float(gain.std() / x.std()) if np.ptp(x) > 0 else 0.0
        p = stats.permutation_p(r, null, alternative="greater")
        rows.append({"pool": pool.name, "r": r, "slope": slope, "p": p, "members": len(x)})
    table, null = pd.DataFrame(rows), np.mean(nulls, axis=0)
    mean = float(table["r"].mean())
    p, p_target = (
        stats.permutation_p(mean, draws, alternative="greater") for draws in (null, np.mean(targets, axis=0))
    )
    return TwoTier(table, mean, float(table["r"].std()), p, null, float(np.std(nulls)), p_target)


def _correlation_or_zero(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Pearson correlation over the last axis, zero where nothing varies."""
    x, y = x - x.mean(-1, keepdims=True), y - y.mean(-1, keepdims=True)
    size = np.sqrt((x**2).sum(-1) * (y**2).sum(-1))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(size > 1e-14, (x * y).sum(-1) / size, 0.0)


def length_agreement(
    probabilities: ArrayLike, lengths: ArrayLike, seeds: ArrayLike, subject: ArrayLike, **options: Any
) -> stats.Interval:
    """Mean kappa of pairs of different length minus that of pairs of one length, subjects resampled.

    Negative if members trained for different lengths agree less, which is what makes them worth mixing. Of
    probabilities (n_members, n_trials, n_classes) `lengths` and `seeds` (n_members,) are the epochs and seed
    of each, `subject` (n_trials,) whose trial it is; options are those of
    :func:`kernel.stats.bootstrap_interval`. Pairs that share a seed are left out, since
    only pairs of different length can.
    """
    P = ensemble.checked_members(probabilities)
    lengths, seeds = (row_labels(v, n, len(P)) for v, n in ((lengths, "lengths"), (seeds, "seeds")))
    subject = row_labels(subject, "subject", P.shape[1])
    a, b = np.triu_indices(len(P), 1)
    apart = seeds[a] != seeds[b]
    a, b = a[apart], b[apart]
    across = lengths[a] != lengths[b]
    if across.all() or not across.any():
        raise ValueError(f"lengths {lengths.tolist()} leave no pair {'within' if across.all() else 'across'}")
    called = P.argmax(-1)
    person = np.unique(subject, return_inverse=True)[1]
    one_hot = (called[..., None] == np.arange(P.shape[-1])).transpose(1, 0, 2).astype(float)
    votes = np.zeros((person.max() + 1, *one_hot.shape[1:]))
    same = np.zeros((len(votes), len(a)))
    np.add.at(votes, person, one_hot)
    np.add.at(same, person, (called[a] == called[b]).T.astype(float))

    def difference(votes: np.ndarray, same: np.ndarray) -> np.ndarray:
        votes, same = votes.sum(-3), same.sum(-2)  # (..., n_members, n_classes), (..., n_pairs)
        n = votes.sum(-1)[..., :1]
        kappa = ensemble.kappa(same / n, (votes[..., a, :] * votes[..., b, :]).sum(-1) / n**2)
        return kappa[..., across].mean(-1) - kappa[..., ~across].mean(-1)

    return stats.bootstrap_interval(difference, votes, same, **{"random_state": 0, **options})


def lengths_against_seeds(bank: Bank, *, n_members: int = 10) -> stats.Interval:
    """Half of the seeds at two lengths minus all seeds at the longer, in ensembles of one size.

    The difference is of balanced accuracy, with an interval over subjects. The bank has the same seeds at two
    lengths: `n_members`, an even number, or more; further members are not used.
    """
    epochs, seeds = (np.array([getattr(spec, name) for spec in bank.specs]) for name in ("epochs", "seed"))
    lengths, counts = np.unique(epochs, return_counts=True)
    if len(lengths) != 2 or n_members % 2 or counts.min() < n_members:
        raise ValueError(
            f"the bank must hold {n_members} (an even number of) members at each of two lengths, it has "
            f"lengths {dict(zip(lengths, counts, strict=True))}"
        )
    P, y, subject = bank.test_probabilities()
    short, long = (np.flatnonzero(epochs == n)[np.argsort(seeds[epochs == n])][:n_members] for n in lengths)
    half = n_members // 2
    mixed = P[np.concatenate([short[:half], long[:half]])].mean(0)
    return ensemble.accuracy_difference(mixed, P[long].mean(0), y, subject)
