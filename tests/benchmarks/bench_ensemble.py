"""All subsets of ten members scored at once against loops and vectorised numpy, on one thread."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import balanced_accuracy_score
from timing import in_turns, lean_accuracy, one_thread

from kernel.decoding.ensemble import all_subset_accuracies, softmax, subsets_of

CLASSES = 9


def pool(members: int, trials: int, own: float = 0.55, shared: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of members with shared errors and errors of their own, and the labels; kappa near .7."""
    rng = np.random.default_rng(0)
    y = np.append(np.arange(CLASSES), rng.integers(0, CLASSES, trials - CLASSES))
    signal = 2.5 * np.eye(CLASSES)[y] + shared * rng.standard_normal((trials, CLASSES))
    return softmax(signal + own * rng.standard_normal((members, trials, CLASSES))), y


def plain_loop(P: np.ndarray, y: np.ndarray, score) -> np.ndarray:
    """Average, classify, score; one subset after the other."""
    return np.array([score(y, P[chosen].mean(0).argmax(1)) for chosen in subsets_of(len(P))[1:]])


def vectorised(P: np.ndarray, y: np.ndarray, block: int = 64) -> np.ndarray:
    """What an expert would write in numpy: sums of subsets as matrix products, in blocks of subsets."""
    n, k = P.shape[1:]
    membership = np.asarray(subsets_of(len(P))[1:], dtype=float)
    weights = np.eye(k)[y] / np.bincount(y) / k  # (n, k)
    flat = P.reshape(len(P), n * k)
    scores = []
    for start in range(0, len(membership), block):
        sums = (membership[start : start + block] @ flat).reshape(-1, n, k)
        scores.append((sums.argmax(-1) == y) @ weights.sum(1))
    return np.concatenate(scores)


def benchmarks(small: bool = False) -> list[dict]:
    members, trials = (5, 300) if small else (10, 1932)
    P, y = pool(members, trials)
    with one_thread():
        (fast, values), (slow, oracle), (lean, _), (expert, same) = in_turns(
            lambda: all_subset_accuracies(P, y)[1:],
            lambda: plain_loop(P, y, balanced_accuracy_score),
            lambda: plain_loop(P, y, lean_accuracy),
            lambda: vectorised(P, y),
            rounds=1 if small else 3,
        )
    sizes = {"members": members, "trials": trials, "classes": CLASSES, "subsets": len(values)}
    shared = {"name": f"all subsets of {members} members", "seconds": fast, "sizes": sizes}
    return [
        shared
        | {
            "ratio": slow / fast,
            "seconds_reference": slow,
            "reference": "a loop over subsets with sklearn.metrics.balanced_accuracy_score",
            "ratio_without_sklearn": lean / fast,
            "largest_difference": float(np.abs(values - oracle).max()),
        },
        shared
        | {
            "ratio": expert / fast,
            "seconds_reference": expert,
            "reference": "sums of subsets as matrix products in numpy, 64 subsets at a time",
            "largest_difference": float(np.abs(values - same).max()),
        },
    ]


if __name__ == "__main__":
    print(*benchmarks(), sep="\n")
