"""Ensembles scored from the probabilities of their members: every subset, every share, every difference.

In:  class probabilities of several classifiers on the same trials, (n_members, n_trials, n_classes), or their
     logits; the class of each trial; the subject of each trial where an interval is wanted.
Out: combined probabilities, scores of subsets, contributions of members, agreement, calibration, intervals.
Never trains, never chooses members on the trials it scores them on, never reads files, never plots.

An ensemble is the uniform mean of probabilities unless weights are given; the first of equal classes wins.
Sums that differ by rounding alone, less than 1e-12, count as equal. Members may be identical: then kappa is
1, nothing is gained, and all Shapley values are equal.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import log_softmax

from kernel import stats
from kernel.arrays import class_numbers, plain, precision, real, row_labels
from kernel.metrics import balanced_accuracy, trial_weights

MOST_MEMBERS = 16  # of which all subsets are scored: 65,535
_TIE = 1e-12
_CHUNK = 1_000_000  # numbers held at once: a processor's cache holds a few arrays of them


# Combining


def softmax(logits: ArrayLike, *, temperature: float = 1.0) -> np.ndarray:
    """Probabilities (..., n_classes) of logits (..., n_classes), divided by a temperature first."""
    logits = real(logits, "logits")
    if not temperature > 0:
        raise ValueError(f"temperature must be positive, got {temperature}")
    return np.exp(log_softmax(logits / temperature, axis=-1))


def softmax_ensemble(
    members: ArrayLike, *, weights: ArrayLike | None = None, logits: bool = False
) -> np.ndarray:
    r"""Weighted mean of the members' probabilities, :math:`\bar p = \sum_i w_i p_i` [1]_.

    Parameters
    ----------
    members : array_like, shape (n_members, n_trials, n_classes)
        Probabilities, or logits if `logits`.
    weights : array_like, shape (n_members,), optional
        Not negative; scaled to sum to one. Uniform by default.
    logits : bool
        Take the softmax of each member first.

    Returns
    -------
    ndarray, shape (n_trials, n_classes)

    Raises
    ------
    ValueError
        If there is one member, or a value, a sum or a weight is not possible; names the first.

    References
    ----------
    .. [1] Lakshminarayanan, Pritzel & Blundell (2017), NeurIPS 30. arXiv:1612.01474
    """
    P = softmax(members) if logits else members
    P = checked_members(P)
    if weights is None:
        return P.mean(0)
    weights = real(weights, "weights")
    if weights.shape != (len(P),):
        raise ValueError(f"weights must have one value for each of {len(P)} members, got {weights.shape}")
    if (weights < 0).any() or weights.sum() == 0:
        raise ValueError(f"weights must be not negative and not all zero, got {weights}")
    return np.tensordot(weights / weights.sum(), P, axes=1)


def align_classes(
    members: Sequence[ArrayLike], seen: Sequence[ArrayLike], classes: ArrayLike, *, unseen: str = "raise"
) -> np.ndarray:
    """Bring the columns of members that were trained on different classes into one order.

    Parameters
    ----------
    members : sequence of array_like, shape (n_trials, n_seen) each
        Probabilities.
    seen : sequence of array_like, shape (n_seen,) each
        Class of each column, scikit-learn's ``classes_``.
    classes : array_like, shape (n_classes,)
        The order wanted.
    unseen : {"raise", "zero"}
        What to do about a class that a member has never seen: refuse, or give it probability zero.

    Returns
    -------
    ndarray, shape (n_members, n_trials, n_classes)

    Raises
    ------
    ValueError
        If a member has not seen a class and `unseen` is ``"raise"``, or has seen one that is not wanted.
    """
    if unseen not in ("raise", "zero"):
        raise ValueError(f"unseen must be 'raise' or 'zero', got {unseen!r}")
    if len(members) != len(seen):
        raise ValueError(f"{len(members)} members, but classes of {len(seen)}: give one list for each")
    classes = plain(classes, "classes", numbers=False)
    out = []
    for number, (P, own) in enumerate(zip(members, seen, strict=True)):
        P, own = real(P, f"member {number}"), plain(own, "seen", numbers=False)
        if P.ndim != 2 or P.shape[1] != len(own):
            raise ValueError(f"member {number} has shape {P.shape} and {len(own)} classes: one column each")
        strange, absent = np.setdiff1d(own, classes), np.setdiff1d(classes, own)
        if len(strange):
            raise ValueError(f"member {number} knows class {strange[0]}, which is not among the classes")
        if len(absent) and unseen == "raise":
            raise ValueError(
                f"member {number} has never seen class {absent[0]}: train it on all classes, or pass "
                "unseen='zero'"
            )
        place = {value: column for column, value in enumerate(classes.tolist())}
        wide = np.zeros((len(P), len(classes)))
        wide[:, [place[value] for value in own.tolist()]] = P
        out.append(wide)
    return np.stack(out)


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
    bad = ~np.isfinite(P).all(-1)
    if bad.any():
        member, trial = np.argwhere(bad)[0]
        raise ValueError(f"member {member} has NaN or inf at trial {trial}: drop the member or the trial")
    total = P.sum(-1)
    bad = (P < 0).any(-1) | (np.abs(total - 1) > max(1e-4, P.shape[-1] * slack))
    if bad.any():
        member, trial = np.argwhere(bad)[0]
        raise ValueError(
            f"member {member} at trial {trial} has values from {P[member, trial].min():.3g} up that sum to "
            f"{total[member, trial]:.6g}: probabilities are not negative and sum to one; take the softmax of "
            "logits first"
        )
    return P / total[..., None] if P.shape[-1] * slack > 1e-4 else P


# Subsets


def subset_accuracies(members: ArrayLike, y: ArrayLike, subsets: ArrayLike) -> np.ndarray:
    """Balanced accuracy of the mean of every given subset of members.

    A subset is right on a trial if the true class beats each rival in the summed margins. Rivals that no
    member or that every member prefers are settled once; only the other margins are summed over subsets.

    Parameters
    ----------
    members : array_like, shape (n_members, n_trials, n_classes)
        Probabilities.
    y : array_like of int, shape (n_trials,)
        True classes from 0.
    subsets : array_like of bool, shape (n_subsets, n_members)
        Members of each; none empty.

    Returns
    -------
    ndarray, shape (n_subsets,)
        As :func:`~kernel.metrics.balanced_accuracy` of the subset's mean.

    Raises
    ------
    ValueError
        If the members, a class or a subset cannot be used.
    """
    P = checked_members(members, least=1)
    y = class_numbers(y, *P.shape[1:])
    subsets = plain(subsets, "subsets")
    if subsets.ndim != 2 or subsets.shape[1] != len(P) or subsets.dtype != bool:
        raise ValueError(f"subsets must be bool (n_subsets, {len(P)}), got {subsets.dtype} {subsets.shape}")
    if not subsets.any(1).all():
        raise ValueError(f"subset {int(subsets.any(1).argmin())} is empty: it predicts nothing")
    weight = trial_weights(y)
    sure, order, ranks = _contested(P, y)
    fixed, weight = weight[sure].sum(), weight[order]
    out = np.full(len(subsets), fixed)
    if not ranks:
        return out
    size = max(1, _CHUNK // len(order))
    for start in range(0, len(subsets), size):
        chosen = subsets[start : start + size].astype(float)
        hit = np.ones((len(chosen), len(order)), dtype=bool)
        for margins, threshold in ranks:  # the k-th rival of every trial that has so many
            hit[:, : margins.shape[1]] &= chosen @ margins > threshold
        out[start : start + size] += hit.astype(float) @ weight
    return out


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
    """All subsets of a size, or all subsets: bool (n_subsets, n_members).

    Row i of all subsets holds member j if bit j of i is set; row 0 is empty. Of a size the order is the same.
    """
    if not 1 <= n_members <= MOST_MEMBERS:
        raise ValueError(
            f"all subsets are taken of 1 to {MOST_MEMBERS} members, got {n_members}: draw some at random"
        )
    rows = (np.arange(2**n_members)[:, None] >> np.arange(n_members) & 1).astype(bool)
    if size is None:
        return rows
    if not 1 <= size <= n_members:
        raise ValueError(f"size must lie between 1 and {n_members}, got {size}")
    return rows[rows.sum(1) == size]


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


@dataclass(frozen=True, eq=False)
class Contributions:
    """What each member adds.

    Attributes
    ----------
    leave_one_out : ndarray, shape (n_members,)
        Accuracy of all minus that without the member.
    shapley : ndarray, shape (n_members,), or None
        Shapley values; they sum to the accuracy of all minus chance. None beyond sixteen members.
    single : ndarray, shape (n_members,)
        Accuracy of the member alone.
    ensemble : float
        Accuracy of all.
    """

    leave_one_out: np.ndarray
    shapley: np.ndarray | None
    single: np.ndarray
    ensemble: float

    @property
    def gain(self) -> float:
        """Accuracy of all minus the mean of single members."""
        return self.ensemble - float(self.single.mean())

    def table(self) -> pd.DataFrame:
        """One row a member: ``member``, ``single``, ``leave_one_out``, ``shapley``."""
        found = {"single": self.single, "leave_one_out": self.leave_one_out}
        shapley = np.full(len(self.single), np.nan) if self.shapley is None else self.shapley
        return pd.DataFrame({"member": np.arange(len(self.single)), **found, "shapley": shapley})


def contributions(members: ArrayLike, y: ArrayLike) -> Contributions:
    """Exact contributions in balanced accuracy: leave-one-out, and Shapley of up to sixteen members [1]_.

    Leaving one out misses what is redundant: of two identical members neither seems to add anything, while
    their Shapley values share what they add together.

    Parameters
    ----------
    members : array_like, shape (n_members, n_trials, n_classes)
        Probabilities; two members or more.
    y : array_like of int, shape (n_trials,)
        True classes from 0.

    Returns
    -------
    Contributions

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
            values[full] - values[full - bit], shapley_values(values), values[bit], float(values[full])
        )
    one, rest = np.eye(n, dtype=bool), ~np.eye(n, dtype=bool)
    values = subset_accuracies(P, y, np.concatenate([one, rest, np.ones((1, n), dtype=bool)]))
    return Contributions(values[-1] - values[n : 2 * n], None, values[:n], float(values[-1]))


def shapley_values(values: ArrayLike) -> np.ndarray:
    r"""Shapley values of a game that is given by the value of every coalition [1]_.

    .. math:: \phi_i = \sum_{S \not\ni i} \frac{|S|!\,(m - |S| - 1)!}{m!} \bigl(v(S \cup i) - v(S)\bigr)

    They sum to the value of all players minus that of none.

    Parameters
    ----------
    values : array_like, shape (2 ** m,)
        Value of each coalition; player j belongs to coalition i if bit j of i is set.

    Returns
    -------
    ndarray, shape (m,)

    References
    ----------
    .. [1] Shapley (1953), Contributions to the Theory of Games II. doi:10.1515/9781400881970-018
    """
    values = real(values, "values", finite=False)
    m = max(values.size, 1).bit_length() - 1
    if values.ndim != 1 or m < 1 or values.size != 2**m:
        raise ValueError(f"values must have 2 ** m entries, one for each coalition, got shape {values.shape}")
    if not np.isfinite(values).all():
        raise ValueError(f"coalition {int(np.isfinite(values).argmin())} has no finite value")
    coalition = np.arange(values.size)
    size = np.bitwise_count(coalition)
    weight = np.array([1 / (m * math.comb(m - 1, s)) for s in range(m)])
    out = np.empty(m)
    for player in range(m):
        without = coalition[coalition >> player & 1 == 0]
        out[player] = weight[size[without]] @ (values[without + 2**player] - values[without])
    return out


# Choice


@dataclass(frozen=True, eq=False)
class TopK:
    """Members chosen on validation and the score of their mean elsewhere.

    Attributes
    ----------
    chosen : ndarray of int, shape (k,)
        Best first.
    validation, test : float
        Balanced accuracy of their mean.
    """

    chosen: np.ndarray
    validation: float
    test: float


def top_k(members: ArrayLike, y: ArrayLike, *, validation: ArrayLike, test: ArrayLike, k: int) -> TopK:
    """Choose the k members with the best validation accuracy and score their mean on test trials.

    Parameters
    ----------
    members : array_like, shape (n_members, n_trials, n_classes)
        Probabilities of all trials.
    y : array_like of int, shape (n_trials,)
        True classes from 0.
    validation, test : array_like of bool, shape (n_trials,)
        The trials that choose and those that score; none is both.
    k : int
        How many; the first of equal members wins.

    Returns
    -------
    TopK

    Raises
    ------
    ValueError
        If a trial both chooses and scores, a set is empty, or there are fewer than k members.
    """
    P = checked_members(members)
    y = class_numbers(y, *P.shape[1:])
    sets = {"validation": plain(validation, "validation"), "test": plain(test, "test")}
    for name, rows in sets.items():
        if rows.shape != y.shape or rows.dtype != bool or not rows.any():
            raise ValueError(
                f"{name} must be bool ({len(y)},) with some trials, got {rows.dtype} {rows.shape}"
            )
    both = np.flatnonzero(sets["validation"] & sets["test"])
    if len(both):
        raise ValueError(f"trial {both[0]} chooses and scores: a test of the choice needs other trials")
    if not 1 <= k <= len(P):
        raise ValueError(f"k must lie between 1 and {len(P)} members, got {k}")
    single = balanced_accuracy(y[sets["validation"]], P[:, sets["validation"]].argmax(-1))
    chosen = np.argsort(-single, kind="stable")[:k]
    subset = np.isin(np.arange(len(P)), chosen)[None]
    found = [float(subset_accuracies(P[:, rows], y[rows], subset)[0]) for rows in sets.values()]
    return TopK(chosen, *found)


# Agreement


def kappa_matrix(called: ArrayLike) -> np.ndarray:
    r"""Cohen's kappa of every pair of members [1]_.

    .. math:: \kappa = (p_o - p_e) / (1 - p_e)

    with the share :math:`p_o` of trials that both call the same and :math:`p_e` that of independent members
    with these rates of calling each class. Two members that always call one and the same class have kappa 1.

    Parameters
    ----------
    called : array_like of int, shape (n_members, n_trials)
        Predicted classes from 0.

    Returns
    -------
    ndarray, shape (n_members, n_members)
        Symmetric; ones on the diagonal.

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


@dataclass(frozen=True)
class Disagreement:
    """Where members disagree and what averaging does there.

    Attributes
    ----------
    share : float
        Share of trials that not all members call the same.
    pairwise : float
        Share of trials that two members call differently, averaged over pairs.
    ensemble, single : float
        Share of those trials that the ensemble, and the average member, get right; NaN if there are none.
    elsewhere : float
        Share of the other trials that all get right; NaN if there are none.
    """

    share: float
    pairwise: float
    ensemble: float
    single: float
    elsewhere: float

    @property
    def gain(self) -> float:
        """Ensemble minus single where members disagree; times `share` it is the gain over all trials."""
        return self.ensemble - self.single


def disagreement(members: ArrayLike, y: ArrayLike) -> Disagreement:
    """Share of trials on which members disagree, and plain accuracy there.

    Parameters
    ----------
    members : array_like, shape (n_members, n_trials, n_classes)
        Probabilities.
    y : array_like of int, shape (n_trials,)
        True classes from 0.

    Returns
    -------
    Disagreement
        Shares of trials, not balanced over classes. For identical members ``share`` is zero.
    """
    P = checked_members(members)
    y = class_numbers(y, *P.shape[1:])
    called = P.argmax(-1)
    differ = (called != called[0]).any(0)
    hit, together = called == y, P.mean(0).argmax(-1) == y
    votes = (called[..., None] == np.arange(P.shape[-1])).sum(0)  # (n_trials, n_classes)
    same = (votes * (votes - 1)).sum(-1) / (len(P) * (len(P) - 1))
    some, rest = differ.any(), (~differ).any()
    return Disagreement(
        share=float(differ.mean()),
        pairwise=float(1 - same.mean()),
        ensemble=float(together[differ].mean()) if some else np.nan,
        single=float(hit[:, differ].mean()) if some else np.nan,
        elsewhere=float(together[~differ].mean()) if rest else np.nan,
    )


# Calibration


@dataclass(frozen=True, eq=False)
class Calibration:
    """How far probabilities can be taken at their word.

    Attributes
    ----------
    nll : float
        Mean negative log-likelihood in nats; probabilities below 1e-15 count as that.
    brier : float
        Mean squared distance of the probabilities to the one-hot truth.
    ece : float
        Expected calibration error.
    bins : DataFrame
        Filled bins: ``low``, ``high``, ``n``, ``confidence``, ``accuracy``.
    """

    nll: float
    brier: float
    ece: float
    bins: pd.DataFrame


def calibration(probabilities: ArrayLike, y: ArrayLike, *, n_bins: int = 15) -> Calibration:
    r"""Log-likelihood, Brier score and expected calibration error.

    .. math:: \mathrm{ECE} = \sum_b \frac{n_b}{n}\, |\mathrm{acc}(b) - \mathrm{conf}(b)|

    over bins of equal width of the largest probability [1]_ [2]_. Of few trials it is biased upwards: even a
    calibrated model has some.

    Parameters
    ----------
    probabilities : array_like, shape (n_trials, n_classes)
        Of one model or ensemble.
    y : array_like of int, shape (n_trials,)
        True classes from 0.
    n_bins : int
        Bins of [0, 1].

    Returns
    -------
    Calibration

    References
    ----------
    .. [1] Naeini, Cooper & Hauskrecht (2015), AAAI 29. doi:10.1609/aaai.v29i1.9602
    .. [2] Guo et al. (2017), ICML. arXiv:1706.04599
    """
    P = checked_members(probabilities, least=1)
    y = class_numbers(y, *P.shape[1:])
    if n_bins < 1:
        raise ValueError(f"n_bins must be at least 1, got {n_bins}")
    p = P[0]
    confidence, hit = p.max(-1), p.argmax(-1) == y
    # a bin holds its upper edge, as in the references
    place = np.clip(np.ceil(confidence * n_bins).astype(int) - 1, 0, n_bins - 1)
    frame = pd.DataFrame({"bin": place, "confidence": confidence, "accuracy": hit.astype(float)})
    groups = frame.groupby("bin")
    bins = groups.mean().assign(n=groups.size()).reset_index()
    bins["low"], bins["high"] = bins["bin"] / n_bins, (bins["bin"] + 1) / n_bins
    gap = (bins["accuracy"] - bins["confidence"]).abs()
    return Calibration(
        nll=float(-np.log(np.maximum(p[np.arange(len(y)), y], 1e-15)).mean()),
        brier=float(((p - np.eye(p.shape[1])[y]) ** 2).sum(-1).mean()),
        ece=float((bins["n"] * gap).sum() / len(y)),
        bins=bins[["low", "high", "n", "confidence", "accuracy"]],
    )


# Comparisons


def accuracy_difference(
    first: ArrayLike,
    second: ArrayLike,
    y: ArrayLike,
    subject: ArrayLike,
    *,
    n_resamples: int = 2000,
    confidence: float = 0.95,
    random_state: stats.Seed = 0,
) -> stats.Interval:
    """Balanced accuracy of one ensemble minus another's, with a paired bootstrap over subjects.

    Parameters
    ----------
    first, second : array_like, shape (n_trials, n_classes) or (n_members, n_trials, n_classes)
        Probabilities of an ensemble; of several single members their mean *accuracy* is taken.
    y, subject : array_like, shape (n_trials,)
        True classes from 0, and whose trial it is; two subjects or more.
    n_resamples, confidence, random_state
        As for :func:`kernel.stats.bootstrap_interval`. A class that a resample lacks does not count in it.

    Returns
    -------
    Interval

    Raises
    ------
    ValueError
        If the two differ in their trials, or there is one subject.
    """
    y = plain(y, "y", numbers=False)
    subjects, person = np.unique(row_labels(subject, "subject", len(y)), return_inverse=True)
    if len(subjects) < 2:
        raise ValueError(f"subject must name two or more people, got {len(subjects)}")
    hits = []
    for given in (first, second):
        P = checked_members(given, least=1)
        y = class_numbers(y, *P.shape[1:])
        hits.append((P.argmax(-1) == y).mean(0))
    classes, code = np.unique(y, return_inverse=True)
    shape = (len(subjects), len(classes))
    tables = [np.zeros(shape) for _ in range(3)]
    for table, values in zip(tables, (np.ones(len(y)), *hits), strict=True):
        np.add.at(table, (person, code), values)
    return stats.bootstrap_interval(
        _recall_difference,
        *tables,
        n_resamples=n_resamples,
        confidence=confidence,
        random_state=random_state,
    )


def _recall_difference(counts: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Mean over classes of the difference of recalls, from (..., n_subjects, n_classes)."""
    with np.errstate(invalid="ignore"):
        return np.nanmean((first - second).sum(-2) / counts.sum(-2), axis=-1)


def relative_gains(ensemble: float, references: Mapping[str, float]) -> pd.DataFrame:
    """The gain of an ensemble over several references, absolute and relative to each.

    A relative gain depends on what it is relative to; one number without its reference says little.

    Parameters
    ----------
    ensemble : float
        Its balanced accuracy.
    references : mapping of str to float
        Balanced accuracies, such as of the mean single member, the best one, a linear model.

    Returns
    -------
    DataFrame
        Columns ``reference``, ``bacc``, ``gain``, ``relative``.
    """
    values = real(list(references.values()), "references")
    if not (values > 0).all():
        raise ValueError(f"references must be positive accuracies, got {dict(references)}")
    gain = ensemble - values
    return pd.DataFrame(
        {"reference": list(references), "bacc": values, "gain": gain, "relative": gain / values}
    )


def gain_against_headroom(
    single: ArrayLike, gain: ArrayLike, *, n_permutations: int = 10_000, random_state: stats.Seed = 0
) -> stats.PermutationResult:
    """Does the gain shrink where single members are good? Spearman correlation over data sets.

    Noise in the single accuracy alone makes it negative if the gain was taken over that same accuracy:
    measure `single` on other trials, such as validation.

    Parameters
    ----------
    single, gain : array_like, shape (n_data_sets,)
        Accuracy of single members, and that of the ensemble minus it; three or more.
    n_permutations : int
        Random permutations; few data sets are enumerated.
    random_state : int, Generator or None
        Seed.

    Returns
    -------
    PermutationResult
        One-sided towards a negative correlation.
    """
    if np.size(single) < 3:
        raise ValueError(f"a correlation over data sets needs three or more, got {np.size(single)}")
    return stats.permutation_test(
        stats.spearman, single, gain,
        n_permutations=n_permutations, alternative="less", random_state=random_state,
    )  # fmt: skip
