"""Balanced accuracy: the mean over classes of the share of trials that are called right."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike

from kernel.arrays import Features, class_numbers, plain, tensor


def balanced_accuracy(y: ArrayLike, predicted: ArrayLike) -> np.ndarray:
    """Mean recall over the classes that occur in `y`, for many predictions at once.

    Parameters
    ----------
    y : array_like of int, shape (n,)
        True classes from 0.
    predicted : array_like of int, shape (..., n)
        Predicted classes.

    Returns
    -------
    ndarray, shape (...)
        As scikit-learn's ``balanced_accuracy_score`` of each.
    """
    y, predicted = plain(y, "y", numbers=False), plain(predicted, "predicted", numbers=False)
    if y.ndim != 1 or y.size == 0 or predicted.shape[-1:] != y.shape:
        raise ValueError(f"y and predicted must have one length, got {y.shape} and {predicted.shape}")
    return (predicted == y) @ trial_weights(y)


def score_accuracy(scores: Features, y: ArrayLike) -> np.ndarray:
    """Balanced accuracy of class scores (..., n, n_classes), on their device; of equal ones the first."""
    scores = tensor(scores, "scores")
    if scores.ndim < 2 or 0 in scores.shape:
        raise ValueError(f"scores must be (..., n_trials, n_classes), got shape {tuple(scores.shape)}")
    y = class_numbers(y, *scores.shape[-2:])
    hit = scores.argmax(-1) == torch.as_tensor(y, device=scores.device)
    return (hit.to(scores) @ torch.as_tensor(trial_weights(y)).to(scores)).cpu().numpy()


def trial_weights(y: np.ndarray) -> np.ndarray:
    """Weight of each trial in balanced accuracy (n,); they sum to 1."""
    _, code, counts = np.unique(y, return_inverse=True, return_counts=True)
    return 1 / (counts[code] * len(counts))


def mean_recall(counts: np.ndarray, hits: np.ndarray) -> Any:
    """Balanced accuracy from trials and hits (..., n_subjects, n_classes); empty classes are left out."""
    with np.errstate(invalid="ignore"):
        return np.nanmean(hits.sum(-2) / counts.sum(-2), axis=-1)
