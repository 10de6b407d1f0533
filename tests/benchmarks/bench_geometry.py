"""A null of 1,000 ablated directions for ten checkpoints against a plain loop, both on one thread."""

from __future__ import annotations

import time

import numpy as np
import torch
from sklearn.metrics import balanced_accuracy_score
from threadpoolctl import threadpool_limits

from kernel.decoding.geometry import ablation_effect

SIZES = {"checkpoints": 10, "trials": 1932, "features": 64, "classes": 9, "directions": 1000}


def checkpoints() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Features with class means, labels, and heads whose rows are those means: about .7 correct."""
    rng = np.random.default_rng(0)
    m, n, d, k = (SIZES[name] for name in ("checkpoints", "trials", "features", "classes"))
    y = rng.integers(0, k, n)
    means = 0.25 * rng.standard_normal((m, k, d))
    Z = means[:, y] + rng.standard_normal((m, n, d))
    return Z, y, means.transpose(0, 2, 1), -0.5 * (means**2).sum(-1)


def accuracy(y: np.ndarray, called: np.ndarray) -> float:
    """Balanced accuracy without scikit-learn's checks of its input."""
    return float((np.bincount(y[called == y], minlength=SIZES["classes"]) / np.bincount(y)).mean())


def plain_loop(Z, y, W, b, directions, score) -> np.ndarray:
    """Change the features, classify, score; one checkpoint and direction after the other."""
    drops = np.empty((SIZES["directions"], SIZES["checkpoints"]))
    for i, features in enumerate(Z):
        before = score(y, (features @ W[i] + b[i]).argmax(1))
        for j, u in enumerate(directions[i]):
            changed = features - np.outer(features @ u, u)
            drops[j, i] = before - score(y, (changed @ W[i] + b[i]).argmax(1))
    return drops


def timed(function) -> tuple[float, np.ndarray]:
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


def benchmarks() -> list[dict]:
    """Ours best of three; the loops, of ten thousand steps each, once."""
    Z, y, W, b = checkpoints()
    rng = np.random.default_rng(1)
    directions = rng.standard_normal((len(Z), SIZES["directions"], Z.shape[-1]))
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)

    def ours() -> np.ndarray:
        found = ablation_effect(Z, y, (W, b), directions[:, 0], kinds=(), random_targets=directions)
        return found.null["random_target"]

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            fast, drops = min((timed(ours) for _ in range(3)), key=lambda pair: pair[0])
            slow, expected = timed(lambda: plain_loop(Z, y, W, b, directions, balanced_accuracy_score))
            lean, _ = timed(lambda: plain_loop(Z, y, W, b, directions, accuracy))
    finally:
        torch.set_num_threads(before)
    return [
        {
            "name": "null of 1,000 ablations, ten checkpoints",
            "ratio": slow / fast,
            "seconds": fast,
            "seconds_reference": slow,
            "reference": "a loop over directions with sklearn.metrics.balanced_accuracy_score",
            "ratio_without_sklearn": lean / fast,
            "seconds_without_sklearn": lean,
            "sizes": SIZES,
            "largest_difference": float(np.abs(drops - expected).max()),
            "mean_drop": float(drops.mean()),
        }
    ]


if __name__ == "__main__":
    print(*benchmarks(), sep="\n")
