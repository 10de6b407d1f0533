"""Ensembles scored from the probabilities of their members, (n_members, n_trials, n_classes), exactly.

An ensemble is the uniform mean of probabilities unless weights are given. The first of equal classes wins;
sums that differ by rounding alone, less than 1e-12, count as equal.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from kernel import checks, stats
from kernel.arrays import class_numbers, plain, precision, real, row_labels
from kernel.decoding.checkpoints import recall_interval
from kernel.metrics import trial_weights

MOST_MEMBERS = 16  # of which all subsets are scored: 65,535
_TIE = 1e-12
_BINS = 15  # of the calibration error
_CHUNK = 1_000_000  # numbers held at once: a processor's cache holds a few arrays of them


# Combining


def softmax_ensemble(members: ArrayLike, *, weights: ArrayLike | None = None) -> np.ndarray:
    r"""Weighted mean of the members' probabilities, :math:`\bar p = \sum_i w_i p_i` [1]_.

    Probabilities (n_trials, n_classes) of members (n_members, n_trials, n_classes); the weights (n_members,)
    are not negative and scaled to sum to one.

    References
    ----------
    .. [1] Lakshminarayanan, Pritzel & Blundell (2017), NeurIPS 30. arXiv:1612.01474
    """
    P = checked_members(members)
    if weights is None:
        return P.mean(0)
    weights = real(weights, "weights")
    checks.shape("weights", weights, (len(P),), f"({len(P)} members,)")
    if (weights < 0).any() or weights.sum() == 0:
        raise ValueError(f"weights must be not negative and not all zero, got {weights}")
    return np.tensordot(weights / weights.sum(), P, axes=1)


def checked_members(members: ArrayLike, *, least: int = 2) -> np.ndarray:
    """Probabilities (n_members, n_trials, n_classes) in double precision; ValueError names what is wrong.

    If one member is enough, its own (n_trials, n_classes) will do. Sums may miss one by 1e-4, or by what the
    type that they come in cannot express.
    """
    P, slack = real(members, "members", finite=False), precision(members)
    P = P[None] if P.ndim == 2 and least == 1 else P
    if P.ndim != 3 or 0 in P.shape:
        raise ValueError(f"members must be (n_members, n_trials, n_classes), got shape {P.shape}")
    if len(P) < least:
        raise ValueError(f"an ensemble needs {least} members or more, got {len(P)}")
    total = P.sum(-1)
    wrong = {
        "has NaN or inf": ~np.isfinite(P).all(-1),
        "has values below zero or that do not sum to one": (P < 0).any(-1)
        | ~(np.abs(total - 1) <= max(1e-4, P.shape[-1] * slack)),
    }
    for what, bad in wrong.items():
        if bad.any():
            member, trial = np.argwhere(bad)[0]
            raise ValueError(
                f"member {member} {what} at trial {trial}: {P[member, trial]}; take the softmax of logits "
                "first, or drop the member or the trial"
            )
    return P / total[..., None] if P.shape[-1] * slack > 1e-4 else P


# Subsets


def subset_accuracies(members: ArrayLike, y: ArrayLike, subsets: ArrayLike) -> np.ndarray:
    """Balanced accuracy (n_subsets,) of the mean of each subset of members, bool (n_subsets, n_members).

    A subset is right on a trial if the true class beats each rival in the summed margins. Rivals that no
    member or that every member prefers are settled once; only the other margins are summed over subsets.
    """
    P = checked_members(members, least=1)
    y = class_numbers(y, *P.shape[1:])
    subsets = plain(subsets, "subsets")
    checks.shape("subsets", subsets, (None, len(P)), f"(n_subsets, {len(P)})")
    if subsets.dtype != bool or not subsets.any(1).all():
        raise ValueError(f"subsets must be bool, none of them empty, got {subsets.dtype}")
    weight = trial_weights(y)
    sure, order, ranks = _contested(P, y)
    accuracies = np.full(len(subsets), weight[sure].sum())
    weight = weight[order]
    size = max(1, _CHUNK // max(1, len(order)))
    for start in range(0, len(subsets) if ranks else 0, size):
        chosen = subsets[start : start + size].astype(float)
        hit = np.ones((len(chosen), len(order)), dtype=bool)
        for margins, threshold in ranks:  # the k-th rival of every trial that has so many
            hit[:, : margins.shape[1]] &= chosen @ margins > threshold
        accuracies[start : start + size] += hit.astype(float) @ weight
    return accuracies


def _contested(
    P: np.ndarray, y: np.ndarray
) -> tuple[np.ndarray, np.ndarray, list[tuple[np.ndarray, np.ndarray]]]:
    """Trials that every subset gets right; those that depend on it, most rivals first; their margins.

    The margins are a list over rivals of (n_members, n_trials_k) with the threshold (n_trials_k,) to pass.
    """
    own = np.arange(P.shape[-1]) == y[:, None]  # (n_trials, n_classes)
    margin = P[:, np.arange(len(y)), y][..., None] - P
    # an equal class that comes first would win
    threshold = np.where(np.arange(P.shape[-1]) < y[:, None], _TIE, -_TIE)
    passed = margin > threshold
    beaten = (~passed).all(0) & ~own
    lost = beaten.any(-1)
    rivals = ~(passed.all(0) | own) & ~lost[:, None]
    count = rivals.sum(-1)
    order = np.argsort(-count, kind="stable")[: (count > 0).sum()]
    rival = np.argsort(~rivals[order], axis=1, kind="stable")  # the rivals first
    ranks = []
    for k in range(int(count.max(initial=0))):
        rows = order[: (count[order] > k).sum()]
        columns = rival[: len(rows), k]
        ranks.append((np.ascontiguousarray(margin[:, rows, columns]), threshold[rows, columns]))
    return ~lost & (count == 0), order, ranks


def subsets_of(n_members: int, size: int | None = None) -> np.ndarray:
    """All subsets, or all of a size, of up to sixteen members: bool (n_subsets, n_members).

    Row i of all subsets holds member j if bit j of i is set; row 0 is empty. Of a size the order is the same.
    """
    checks.count("n_members", n_members, 1, MOST_MEMBERS)
    rows = (np.arange(2**n_members)[:, None] >> np.arange(n_members) & 1).astype(bool)
    return rows if size is None else rows[rows.sum(1) == checks.count("size", size, 1, n_members)]


def all_subset_accuracies(members: ArrayLike, y: ArrayLike) -> np.ndarray:
    """Balanced accuracy of every subset of up to sixteen members, (2 ** n_members,).

    Entry i is of the subset in row i of `subsets_of`; entry 0, the empty one, is the chance of a guess, one
    over the number of classes in `y`.
    """
    P = checked_members(members, least=1)
    y = class_numbers(y, *P.shape[1:])
    values = subset_accuracies(P, y, subsets_of(len(P))[1:])
    return np.concatenate([[1 / len(np.unique(y))], values])


# Contributions


class Contributions(NamedTuple):
    """What each member adds, in balanced accuracy."""

    leave_one_out: np.ndarray  #: (n_members,): accuracy of all minus that without the member
    #: (n_members,): they sum to the accuracy of all minus chance; None beyond sixteen members
    shapley: np.ndarray | None
    single: np.ndarray  #: (n_members,): accuracy of the member alone
    ensemble: float  #: accuracy of all

    @property
    def gain(self) -> float:
        """Accuracy of all minus the mean of single members."""
        return self.ensemble - float(self.single.mean())


def contributions(members: ArrayLike, y: ArrayLike) -> Contributions:
    """Exact contributions in balanced accuracy: leave-one-out, and Shapley of up to sixteen members [1]_.

    Leaving one out misses what is redundant: of two identical members neither seems to add anything, while
    their Shapley values share what they add together. The true classes `y` (n_trials,) count from 0.

    References
    ----------
    .. [1] Rozemberczki & Sarkar (2021), CIKM. doi:10.1145/3459637.3482302
    """
    P = checked_members(members)
    n = len(P)
    if n <= MOST_MEMBERS:
        values = all_subset_accuracies(P, y)
        full, bit = 2**n - 1, 2 ** np.arange(n)
        return Contributions(
            values[full] - values[full - bit], _shapley_values(values), values[bit], float(values[full])
        )
    one, rest = np.eye(n, dtype=bool), ~np.eye(n, dtype=bool)
    values = subset_accuracies(P, y, np.concatenate([one, rest, np.ones((1, n), dtype=bool)]))
    return Contributions(values[-1] - values[n : 2 * n], None, values[:n], float(values[-1]))


def _shapley_values(values: np.ndarray) -> np.ndarray:
    r"""Shapley values of a game that is given by the value of every coalition [1]_.

    .. math:: \phi_i = \sum_{S \not\ni i} \frac{|S|!\,(m - |S| - 1)!}{m!} \bigl(v(S \cup i) - v(S)\bigr)

    They sum to the value of all players minus that of none. Of the `values` (2 ** m,), player j belongs to
    coalition i if bit j of i is set; the result is (m,).

    References
    ----------
    .. [1] Shapley (1953), Contributions to the Theory of Games II. doi:10.1515/9781400881970-018
    """
    m = values.size.bit_length() - 1
    coalition = np.arange(values.size)
    size = np.bitwise_count(coalition)
    weight = np.array([1 / (m * math.comb(m - 1, s)) for s in range(m)])
    shares = np.empty(m)
    for player in range(m):
        without = coalition[coalition >> player & 1 == 0]
        shares[player] = weight[size[without]] @ (values[without + 2**player] - values[without])
    return shares


# Agreement


def kappa_matrix(called: ArrayLike) -> np.ndarray:
    r"""Cohen's kappa (n_members, n_members) of predicted classes, int (n_members, n_trials) [1]_.

    .. math:: \kappa = (p_o - p_e) / (1 - p_e)

    with the share :math:`p_o` of trials that both call the same and :math:`p_e` that of independent members
    with these rates of calling each class. Two members that always call one and the same class have kappa 1.

    References
    ----------
    .. [1] Cohen (1960), Educational and Psychological Measurement 20(1). doi:10.1177/001316446002000104
    """
    called = plain(called, "called")
    if called.ndim != 2 or 0 in called.shape or not np.issubdtype(called.dtype, np.integer):
        raise ValueError(
            f"called must be int (n_members, n_trials), got {called.dtype} {called.shape}: take the argmax"
        )
    one_hot = (called[..., None] == np.unique(called)).astype(float)  # (n_members, n_trials, n_classes)
    flat = one_hot.reshape(len(called), -1)
    same, rate = flat @ flat.T / called.shape[1], one_hot.mean(1)
    return kappa(same, rate @ rate.T)


def kappa(same: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Kappa from the observed and the expected share of agreement, 1 where both call one class throughout."""
    room = 1 - expected
    certain = room < 1e-12
    return np.where(certain, 1.0, (same - expected) / np.where(certain, 1, room))


# Calibration


def calibration(probabilities: ArrayLike, y: ArrayLike) -> dict[str, float]:
    r"""How far probabilities (n_trials, n_classes) can be taken at their word.

    ``nll`` is the mean negative log-likelihood in nats, probabilities below 1e-15 counting as that; ``ece``
    the expected calibration error

    .. math:: \mathrm{ECE} = \sum_b \frac{n_b}{n}\, |\mathrm{acc}(b) - \mathrm{conf}(b)|

    over fifteen bins of equal width of the largest probability [1]_ [2]_. Of few trials it is biased upwards:
    even a calibrated model has some.

    References
    ----------
    .. [1] Naeini, Cooper & Hauskrecht (2015), AAAI 29. doi:10.1609/aaai.v29i1.9602
    .. [2] Guo et al. (2017), ICML. arXiv:1706.04599
    """
    P = checked_members(probabilities, least=1)[0]
    y = class_numbers(y, *P.shape)
    confidence, hit = P.max(-1), P.argmax(-1) == y
    # a bin holds its upper edge, as in the references
    place = np.clip(np.ceil(confidence * _BINS).astype(int) - 1, 0, _BINS - 1)
    gaps = np.bincount(place, hit - confidence)  # n_b (acc - conf)
    return {
        "nll": float(-np.log(np.maximum(P[np.arange(len(y)), y], 1e-15)).mean()),
        "ece": float(np.abs(gaps).sum() / len(y)),
    }


# Comparisons


def accuracy_difference(
    first: ArrayLike, second: ArrayLike, y: ArrayLike, subject: ArrayLike, **options: Any
) -> stats.Interval:
    """Balanced accuracy of one ensemble minus another's, with a paired bootstrap over subjects.

    Probabilities of an ensemble are (n_trials, n_classes); of several single members (n_members, n_trials,
    n_classes) the mean *accuracy* is taken. `y` and `subject` (n_trials,) are the true classes from 0, and
    whose trial it is; two subjects or more. Options are those of :func:`kernel.stats.bootstrap_interval`. A
    class that a resample lacks does not count in it.
    """
    sides = [checked_members(side, least=1) for side in (first, second)]
    y = class_numbers(y, *sides[0].shape[1:])
    checks.shape("second", sides[1], (None, *sides[0].shape[1:]), f"(..., {len(y)} trials, n_classes)")
    subject = row_labels(subject, "subject", len(y))
    checks.count("the number of subjects", len(np.unique(subject)), 2)
    hits = [(P.argmax(-1) == y).mean(0) for P in sides]
    return recall_interval(hits[0] - hits[1], y, subject, **{"random_state": 0, **options})


def gain_against_headroom(
    single: ArrayLike, gain: ArrayLike, *, n_permutations: int = 10_000, random_state: stats.Seed = 0
) -> stats.PermutationResult:
    """Does the gain shrink where single members are good? Spearman correlation over data sets, one-sided.

    Both are (n_data_sets,), three or more. Noise in the single accuracy alone makes the correlation negative
    if the gain was taken over that same accuracy: measure `single` on other trials, such as validation.
    """
    checks.count("the number of data sets", np.size(single), 3)
    return stats.permutation_test(
        stats.spearman, single, gain,
        n_permutations=n_permutations, alternative="less", random_state=random_state,
    )  # fmt: skip
