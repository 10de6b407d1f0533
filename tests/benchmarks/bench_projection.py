"""Permutations of leave-one-emotion-out ridge against scikit-learn's loop and against all targets at once."""

from __future__ import annotations

import numpy as np
from himalaya.kernel_ridge import KernelRidge
from sklearn.linear_model import Ridge
from sklearn.model_selection import LeaveOneGroupOut, permutation_test_score
from timing import in_turns

from kernel.brain.cohort import FACED_CLIP_EMOTIONS
from kernel.brain.ridge import RidgeFolds

ALPHA = 30.0


def benchmarks(small: bool = False) -> list[dict]:
    """Same features, targets and orders; mean over folds of the negative mean squared error.

    The loop's time is a constant and a constant for each permutation: it is measured on few and extrapolated.
    """
    n_permutations, n_loop = (100, 6) if small else (10_000, 300)
    rng = np.random.default_rng(0)
    X, y, emotions = rng.standard_normal((28, 160)), rng.standard_normal(28), np.array(FACED_CLIP_EMOTIONS)
    cv = list(LeaveOneGroupOut().split(X, y, emotions))
    shuffle = np.random.RandomState(0)
    targets = y[np.array([shuffle.permutation(28) for _ in range(n_permutations)])]

    def scores(predicted: np.ndarray) -> np.ndarray:
        squared = (predicted - targets) ** 2
        return -np.mean([squared[:, test].mean(1) for _, test in cv], axis=0)

    def ours() -> np.ndarray:
        return scores(RidgeFolds(X, emotions, [ALPHA]).held_out(targets))

    def at_once() -> np.ndarray:
        """What an expert would write: all permutations as targets of one model for each fold.

        With fewer clips than features himalaya itself recommends the linear kernel.
        """
        predicted = np.empty_like(targets)
        for train, test in cv:
            mean = targets[:, train].mean(1)
            centre = X[train].mean(0)
            model = KernelRidge(alpha=ALPHA, kernel="linear", solver="eigenvalues")
            model.fit(X[train] - centre, (targets[:, train] - mean[:, None]).T)
            predicted[:, test] = model.predict(X[test] - centre).T + mean[:, None]
        return scores(predicted)

    def loop(n: int) -> np.ndarray:
        options = {"cv": cv, "scoring": "neg_mean_squared_error", "n_permutations": n, "random_state": 0}
        return permutation_test_score(Ridge(alpha=ALPHA), X, y, **options)[1]

    ours()
    (fast, null), (expert, same) = in_turns(ours, at_once, rounds=1 if small else 3)
    (few, _), (many, oracle) = in_turns(lambda: loop(n_loop // 3), lambda: loop(n_loop), rounds=1)
    slow = many + (many - few) / (n_loop - n_loop // 3) * (n_permutations - n_loop)
    shared = {
        "name": f"leave-one-emotion-out ridge, {n_permutations} permutations",
        "seconds": fast,
        "sizes": {"clips": 28, "features": 160, "folds": len(cv), "permutations": n_permutations},
    }
    return [
        shared
        | {
            "ratio": slow / fast,
            "seconds_reference": slow,
            "reference": f"sklearn permutation_test_score, {n_loop} permutations extrapolated",
            "largest_difference": float(np.abs(null[:n_loop] - oracle).max()),
        },
        shared
        | {
            "ratio": expert / fast,
            "seconds_reference": expert,
            "reference": "himalaya's kernel ridge, all permutations as targets of each fold",
            "largest_difference": float(np.abs(null - same).max()),
        },
    ]


if __name__ == "__main__":
    print(*benchmarks(), sep="\n")
