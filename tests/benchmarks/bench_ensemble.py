"""All subsets of ten members scored at once against loops and vectorised numpy, on one thread."""

from __future__ import annotations

import numpy as np
from scipy.special import softmax
from sklearn.metrics import balanced_accuracy_score
from timing import compared, lean_accuracy, one_thread

from kernel.decoding.ensemble import all_subset_accuracies, subsets_of

CLASSES = 9


def pool(members: int, trials: int) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of members with shared errors and errors of their own, and the labels; kappa near .7."""
    rng = np.random.default_rng(0)
    y = np.append(np.arange(CLASSES), rng.integers(0, CLASSES, trials - CLASSES))
    signal = 2.5 * np.eye(CLASSES)[y] + rng.standard_normal((trials, CLASSES))
    return softmax(signal + 0.55 * rng.standard_normal((members, trials, CLASSES)), axis=-1), y


def loop(P: np.ndarray, y: np.ndarray, score) -> np.ndarray:
    """Average, classify, score; one subset after the other."""
    return np.array([score(y, P[chosen].mean(0).argmax(1)) for chosen in subsets_of(len(P))[1:]])


def vectorised(P: np.ndarray, y: np.ndarray, block: int = 64) -> np.ndarray:
    """What an expert would write in numpy: sums of subsets as matrix products, in blocks of subsets."""
    n, k = P.shape[1:]
    membership = np.asarray(subsets_of(len(P))[1:], dtype=float)
    weights = (np.eye(k)[y] / np.bincount(y) / k).sum(1)
    flat = P.reshape(len(P), n * k)
    scores = []
    for start in range(0, len(membership), block):
        sums = (membership[start : start + block] @ flat).reshape(-1, n, k)
        scores.append((sums.argmax(-1) == y) @ weights)
    return np.concatenate(scores)


def benchmarks(small: bool = False) -> list[dict]:
    members, trials = (5, 300) if small else (10, 1932)
    P, y = pool(members, trials)
    with one_thread():
        return compared(
            f"all subsets of {members} members",
            {"members": members, "trials": trials, "classes": CLASSES},
            lambda: all_subset_accuracies(P, y)[1:],
            {
                "a loop over subsets, scikit-learn's accuracy": lambda: loop(P, y, balanced_accuracy_score),
                "a loop over subsets, a lean accuracy": lambda: loop(P, y, lean_accuracy),
                "sums of subsets as matrix products in numpy, 64 at a time": lambda: vectorised(P, y),
            },
            rounds=1 if small else 3,
        )
