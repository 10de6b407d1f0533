"""A null of 1,000 ablated directions for ten checkpoints against loops and an expert's rank-one update."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import balanced_accuracy_score
from timing import compared, lean_accuracy, one_thread

from kernel.decoding.ablation import _directional_ablation

CLASSES = 9


def checkpoints(m: int, n: int, d: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Features with class means, labels, and heads whose rows are those means: about .7 correct."""
    rng = np.random.default_rng(0)
    y = np.append(np.arange(CLASSES), rng.integers(0, CLASSES, n - CLASSES))
    means = 0.25 * rng.standard_normal((m, CLASSES, d))
    Z = means[:, y] + rng.standard_normal((m, n, d))
    return Z, y, means.transpose(0, 2, 1), -0.5 * (means**2).sum(-1)


def loop(Z, y, W, b, directions, score) -> np.ndarray:
    """Change the features, classify, score; one checkpoint and direction after the other."""
    drops = np.empty(directions.shape[1::-1])
    for i, features in enumerate(Z):
        before = score(y, (features @ W[i] + b[i]).argmax(1))
        for j, u in enumerate(directions[i]):
            changed = features - np.outer(features @ u, u)
            drops[j, i] = before - score(y, (changed @ W[i] + b[i]).argmax(1))
    return drops


def rank_one(Z, y, W, b, directions) -> np.ndarray:
    """What an expert would write: logits once, less a product of two short vectors for each direction."""
    drops = np.empty(directions.shape[1::-1])
    for i, features in enumerate(Z):
        logits, along, heads = features @ W[i] + b[i], features @ directions[i].T, directions[i] @ W[i]
        before = lean_accuracy(y, logits.argmax(1))
        for j in range(len(directions[i])):
            called = (logits - np.outer(along[:, j], heads[j])).argmax(1)
            drops[j, i] = before - lean_accuracy(y, called)
    return drops


def benchmarks(small: bool = False) -> list[dict]:
    m, n, d, n_directions = (2, 300, 16, 20) if small else (10, 1932, 64, 1000)
    Z, y, W, b = checkpoints(m, n, d)
    directions = np.random.default_rng(1).standard_normal((m, n_directions, d))
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)

    def ours() -> np.ndarray:
        each = (
            _directional_ablation(features, y, (w, c), u[0], kinds=(), random_targets=u)
            for features, w, c, u in zip(Z, W, b, directions, strict=True)
        )
        return np.stack([effect.null["random_target"] for effect in each], axis=1)

    with one_thread():
        return compared(
            f"null of {n_directions} ablations, {m} checkpoints",
            {"checkpoints": m, "trials": n, "features": d, "classes": CLASSES, "directions": n_directions},
            ours,
            {
                "a loop, scikit-learn's accuracy": lambda: loop(
                    Z, y, W, b, directions, balanced_accuracy_score
                ),
                "a loop, a lean accuracy": lambda: loop(Z, y, W, b, directions, lean_accuracy),
                "logits once and a rank-one update a direction": lambda: rank_one(Z, y, W, b, directions),
            },
        )
