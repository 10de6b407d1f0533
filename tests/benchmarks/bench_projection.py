"""Permutations of leave-one-emotion-out ridge against scikit-learn's loop and against all targets at once."""

from __future__ import annotations

import numpy as np
from himalaya.kernel_ridge import KernelRidge
from sklearn.linear_model import Ridge
from sklearn.model_selection import LeaveOneGroupOut, permutation_test_score
from timing import compared

from kernel.brain.designs import FACED_CLIP_EMOTIONS
from kernel.brain.ridge import RidgeFolds

ALPHA = 30.0


def benchmarks(small: bool = False) -> list[dict]:
    """Same features, targets and orders; mean over folds of the negative mean squared error.

    The loop takes as long for each permutation: it is compared with as many, and himalaya with all.
    """
    n_permutations, n_loop = (100, 6) if small else (10_000, 300)
    rng = np.random.default_rng(0)
    X, y, emotions = rng.standard_normal((28, 160)), rng.standard_normal(28), np.array(FACED_CLIP_EMOTIONS)
    cv = list(LeaveOneGroupOut().split(X, y, emotions))
    shuffle = np.random.RandomState(0)
    orders = np.array([shuffle.permutation(28) for _ in range(n_permutations)])

    def scores(predicted: np.ndarray) -> np.ndarray:
        squared = (predicted - y[orders[: len(predicted)]]) ** 2
        return -np.mean([squared[:, test].mean(1) for _, test in cv], axis=0)

    def ours(n: int) -> np.ndarray:
        return scores(RidgeFolds(X, emotions, [ALPHA]).held_out(y[orders[:n]]))

    def at_once() -> np.ndarray:
        """What an expert would write: all permutations as targets of one model for each fold.

        With fewer clips than features himalaya itself recommends the linear kernel.
        """
        targets = y[orders]
        predicted = np.empty_like(targets)
        for train, test in cv:
            mean, centre = targets[:, train].mean(1), X[train].mean(0)
            model = KernelRidge(alpha=ALPHA, kernel="linear", solver="eigenvalues")
            model.fit(X[train] - centre, (targets[:, train] - mean[:, None]).T)
            predicted[:, test] = model.predict(X[test] - centre).T + mean[:, None]
        return scores(predicted)

    def loop() -> np.ndarray:
        options = {"cv": cv, "scoring": "neg_mean_squared_error", "random_state": 0}
        return permutation_test_score(Ridge(alpha=ALPHA), X, y, n_permutations=n_loop, **options)[1]

    ours(n_loop)
    sizes = {"clips": 28, "features": 160, "folds": len(cv)}
    few = compared(
        f"leave-one-emotion-out ridge, {n_loop} permutations",
        sizes,
        lambda: ours(n_loop),
        {"sklearn.model_selection.permutation_test_score": loop},
    )
    return few + compared(
        f"leave-one-emotion-out ridge, {n_permutations} permutations",
        sizes,
        lambda: ours(n_permutations),
        {"himalaya's kernel ridge, all permutations as targets of each fold": at_once},
        rounds=1 if small else 3,
    )
