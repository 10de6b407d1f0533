"""How smoothing that reaches over clips leaks labels, and what it is worth.

A filter with a memory of 100 s that runs over trials sorted by emotion, as in the pipeline of FACED's data
descriptor [1]_, carries every clip into the next, which mostly has the same label: in training people and,
along the labels that are to be predicted, in test people. The tables set it beside the same filter restarted
in each clip, run in the order shown, or over arbitrary groups of clips sorted together. Where clips leave a
trace in the EEG, groups that mean nothing are decoded, even on clips that were not in training. The cure is
`kalman_filter` with `restart`.

References
----------
.. [1] Chen et al. (2023), Scientific Data 10:740. doi:10.1038/s41597-023-02650-w
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np
import pandas as pd
from sklearn.svm import LinearSVC

from kernel.audit.material import Material
from kernel.audit.stimuli import (
    clip_blocks,
    clip_labels,
    clip_moments,
    grouping,
    held_out,
    hits,
    within_clip_shrinkage,
)
from kernel.brain.cohort import Cohort

#: Groupings of `pseudo_smoothing`, and those of one part.
N_GROUPINGS, BLOCK = 60, 3
#: Penalty of the support vector machine: of 1e-5 to 1, the best for every fifth training person of one fold.
SVM_C = 1e-4
#: How the filter runs.
CONDITIONS = (
    *("none", "sorted", "restarted", "order shown", "interleaved", "random"),
    "random for each person",
)
SVM_KINDS = ("SVM", "valence SVM", "SVM without delta", "valence SVM without delta")
SMOOTHING_PARTS = (
    *CONDITIONS,
    *(f"valence, {condition}" for condition in ("none", "sorted", "restarted")),
    *(f"{kind}, {condition}" for kind in SVM_KINDS for condition in ("sorted", "restarted")),
)
PSEUDO_SMOOTHING_PARTS = tuple(str(block) for block in range(N_GROUPINGS // BLOCK))


def _running_normalise(
    x: np.ndarray, mean: np.ndarray, variance: np.ndarray, *, decay: float = 0.99
) -> np.ndarray:
    r"""A session normalised second by second by what has been seen of it, as in FACED's descriptor.

    At second k from 0, :math:`z_k = (x_k - m_k) / \sqrt{v_k + 10^{-5}}` with
    :math:`m_k = d^k m + (1 - d^k)\, \bar x_{0..k}`, and likewise the variance, for features `x` (n_subjects,
    n_seconds, p) in the order shown; `mean` and `variance` (p,), of training people, to begin with; and the
    decay d, between 0 and 1.
    """
    out, total, squares = np.empty_like(x), np.zeros(x[:, 0].shape), np.zeros(x[:, 0].shape)
    for k in range(x.shape[1]):
        now = x[:, k].astype(float)
        total += now
        squares += now**2
        prior, running = decay**k, total / (k + 1)
        spread = np.clip(squares / (k + 1) - running**2, 0, None)
        centre = prior * mean + (1 - prior) * running
        out[:, k] = (now - centre) / np.sqrt(prior * variance + (1 - prior) * spread + 1e-5)
    return out


def kalman_filter(
    x: np.ndarray, restart: int | None = None, *, state: float = 1e-4, noise: float = 1.0, start: float = 0.01
) -> np.ndarray:
    r"""Kalman filter [1]_ of a random walk seen in noise, of every sequence and feature by itself.

    Its gain does not depend on the data and soon is about :math:`\sqrt{q / r}`, for variances q of a step and
    r of the noise: the defaults, those of FACED's data descriptor, remember 100 s. Where trials of one label
    stand side by side it mixes them, which `restart` prevents: the filter begins anew after so many seconds,
    those of a clip.

    Sequences are (..., n_seconds, p); `state`, `noise` and `start` the variances of a step, of the noise, and
    of the state at the start, where it is expected at the mean of the sequence or, with `restart`, of its
    part.

    References
    ----------
    .. [1] Kalman (1960), Journal of Basic Engineering 82(1). doi:10.1115/1.3662552
    """
    n, p = x.shape[-2:]
    if restart is not None:
        if restart < 1 or n % restart:
            raise ValueError(f"restart must divide the {n} seconds of a sequence, got {restart}")
        parts = x.reshape(*x.shape[:-2], n // restart, restart, p)
        return kalman_filter(parts, state=state, noise=noise, start=start).reshape(x.shape)
    out, level, variance = np.empty_like(x), x.mean(-2), start
    for k in range(n):
        gain = variance / (variance + noise)
        level = level + gain * (x[..., k, :] - level)
        out[..., k, :] = level
        variance = (1 - gain) * variance + state
    return out


def smoothing(material: Material, part: str, n_folds: int | None = None) -> pd.DataFrame:
    """The pipeline of FACED's data descriptor, with the leak of its filter and without.

    Seconds of the scalp channels, `_running_normalise` in the order shown, `kalman_filter`, z-scores of each
    person and feature, a linear classifier of single seconds, ten folds of people in the order of their
    numbers. The descriptor filters clips in the order of their numbers, which is sorted by emotion
    (``sorted``). Beside it: no filter (``none``); ``restarted`` in each clip; in the ``order shown``; clips
    of different emotions side by side (``interleaved``); in one ``random`` order, or in one for each person.
    It chooses the penalty of its support vector machine by test accuracy; here the penalty is fixed.

    A part of `SMOOTHING_PARTS` is a condition, for nine emotions and a linear discriminant of fixed
    shrinkage; after ``valence``, for negative against positive clips, neutral left out from the start; after
    ``SVM``, for a linear support vector machine trained on every fifth second; ``without delta``, in four
    bands: the descriptor's code counts 120 features. One row a person: ``subject``, ``fold``, ``condition``,
    ``labels``, ``bands``, ``classifier``; ``accuracy``, share of seconds; ``unseen``, the same for clips that
    were not in training, though the filter has met them (NaN for the support vector machine). With `n_folds`
    only the people of the first so many folds are called.
    """
    kind, _, condition = part.rpartition(", ")
    labels, svm = "valence" if "valence" in kind else "emotions", "SVM" in kind
    cohort, groups, rows = material.scalp, clip_labels(material.scalp, labels), []
    if (groups < 0).any():
        cohort, groups = cohort.select(clips=cohort.clips[groups >= 0].tolist()), groups[groups >= 0]
    if "without delta" in kind:
        cohort = cohort.select(bands=list(cohort.bands)[1:])
    sequence, held = _sequence(cohort, condition), held_out(cohort.y, cohort.clips)
    for fold, test, x in islice(_normalised_folds(cohort), n_folds):
        if fold == 0:
            shrinkage = within_clip_shrinkage(_scored(x)[~test])
        x = _smoothed(x, sequence, condition)
        unseen = np.full(test.sum(), np.nan)
        if svm:
            accuracy = (_svm_calls(x, groups, test) == groups[:, None]).mean((1, 2))
        else:
            fitted = clip_moments(x[~test]), groups, shrinkage
            accuracy, unseen = hits(x[test], *fitted).mean(1), hits(x[test], *fitted, held).mean(1)
        columns = {"fold": fold, "condition": condition, "labels": labels, "bands": len(cohort.bands)}
        columns["classifier"] = "support vector machine" if svm else "linear discriminant"
        columns |= {"accuracy": accuracy, "unseen": unseen}
        rows.append(pd.DataFrame({"subject": cohort.subjects[test], **columns}))
    return pd.concat(rows, ignore_index=True)


def pseudo_smoothing(material: Material, part: str) -> pd.DataFrame:
    """As `smoothing`, for arbitrary groups of clips in place of emotions, each sorted together.

    A part is the number of a block of groupings. One row for each ``grouping``: share of seconds called
    rightly without a filter (``none``), ``restarted`` and ``sorted``; ``restarted_unseen`` and
    ``sorted_unseen``, the same for clips that were not in training.
    """
    cohort, first = material.scalp, int(part) * BLOCK
    draws = {number: grouping(cohort.y, number) for number in range(first, first + BLOCK)}
    names = ("none", "restarted", "sorted", "restarted_unseen", "sorted_unseen")
    shares = np.zeros((len(draws), len(names)))
    for fold, test, x in _normalised_folds(cohort):
        plain = _scored(x)
        if fold == 0:
            shrinkage = within_clip_shrinkage(plain[~test])
        alone = _smoothed(x, None, "restarted")
        fixed = [(view[test], clip_moments(view[~test])) for view in (plain, alone)]
        for share, (groups, key) in zip(shares, draws.values(), strict=True):
            order = np.broadcast_to(np.lexsort((key, groups)), x.shape[:2])
            view = _smoothed(x, order, "sorted")
            views = [*fixed, (view[test], clip_moments(view[~test]))]
            held = held_out(groups, key)
            right = [hits(*view, groups, shrinkage) for view in views]
            right += [hits(*view, groups, shrinkage, held) for view in views[1:]]
            share += np.sum(right, axis=(1, 2)) / cohort.order.size
    return pd.DataFrame(shares, columns=list(names)).assign(grouping=list(draws))


def _svm_calls(x: np.ndarray, groups: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Calls of test people's seconds (n_test, n_clips, n_seconds) by a linear SVM.

    It learns from every fifth second of the others: filtered neighbours are nearly the same.
    """
    train = x[~test, :, ::5]
    y = np.broadcast_to(groups[:, None], train.shape[:3])
    svm = LinearSVC(C=SVM_C, dual=False, tol=1e-3, random_state=0)
    svm.fit(train.reshape(-1, x.shape[-1]), y.ravel())
    return svm.predict(x[test].reshape(-1, x.shape[-1])).reshape(x[test].shape[:3])


def _normalised_folds(cohort: Cohort) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Number, test people and normalised features (n_subjects, n_clips, n_seconds, p) of each fold."""
    order, n_folds = cohort.order, 10
    if not np.isfinite(order).all():
        raise ValueError(f"{cohort.label} lacks presentation orders: read its ratings too, or pass order=")
    x, shown = clip_blocks(cohort, cohort.window), np.argsort(order, axis=1)
    session = _reordered(x, shown).reshape(len(x), -1, x.shape[-1])
    mean, variance = session.mean(1, dtype=float), session.var(1, dtype=float)
    fold_of = np.minimum(np.arange(len(x)) // round(len(x) / n_folds), n_folds - 1)
    for fold in range(n_folds):
        train = fold_of != fold
        normal = _running_normalise(session, mean[train].mean(0), variance[train].mean(0))
        yield fold, ~train, _reordered(normal.reshape(x.shape), np.argsort(shown, axis=1))


def _sequence(cohort: Cohort, condition: str) -> np.ndarray:
    """Clips in the order in which the filter of a condition meets them, (n_subjects, n_clips)."""
    n_subjects, n_clips = cohort.order.shape
    rng, one = np.random.default_rng(20260528), np.arange(n_clips)
    if condition == "order shown":
        return np.argsort(cohort.order, axis=1)
    if condition == "random for each person":
        return rng.permuted(np.tile(one, (n_subjects, 1)), axis=1)
    if condition == "random":
        one = rng.permutation(n_clips)
    elif condition == "interleaved":
        place = held_out(cohort.y, cohort.clips).argmax(0)  # first clips of all emotions, then second ones
        one = np.lexsort((np.where(place % 2, -cohort.y, cohort.y), place))
    return np.broadcast_to(one, (n_subjects, n_clips))


def _smoothed(x: np.ndarray, sequence: np.ndarray | None, condition: str) -> np.ndarray:
    """Features (n_subjects, n_clips, n_seconds, p) after a condition's filter and z-scores, clips in place.

    The sequence is that of the clips in their places if there is none.
    """
    if condition == "none":
        return _scored(x)
    restart = x.shape[2] if condition == "restarted" else None
    out = np.empty_like(x)
    for people in np.array_split(np.arange(len(x)), -(-len(x) // 8)):  # few enough for a processor's cache
        order = np.tile(np.arange(x.shape[1]), (len(people), 1)) if sequence is None else sequence[people]
        session = _reordered(x[people], order)
        flat = session.reshape(len(people), -1, x.shape[-1])
        level = kalman_filter(flat, restart).reshape(session.shape)
        out[people] = _scored(_reordered(level, np.argsort(order, axis=1)))
    return out


def _reordered(x: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Clips (axis 1) of each person in an order of their own."""
    return np.stack([person[clips] for person, clips in zip(x, order, strict=True)])


def _scored(x: np.ndarray) -> np.ndarray:
    """Z-scores over the clips and seconds of each person and feature."""
    return (x - x.mean((1, 2), keepdims=True)) / x.std((1, 2), keepdims=True)
