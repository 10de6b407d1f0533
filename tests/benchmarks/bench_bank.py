"""36 small MLPs trained as stacks against one after the other in plain PyTorch, both on one thread."""

from __future__ import annotations

import math
import time

import numpy as np
import torch
from torch import nn

from kernel.decoding import bank, networks
from kernel.decoding.bank import TrainingSpec

MEMBERS, ROWS, EPOCHS, BATCH, WIDTH = 36, 1600, 4, 32, 64
SHAPE = (32, 1, 5)  # channels, windows, bands


def benchmarks() -> list[dict]:
    """Same data, sizes, loss, schedule, dropout and evaluation after each epoch; best of three."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((ROWS, *SHAPE)).astype(np.float32)
    y = rng.integers(0, 9, ROWS)
    rows = {"train": np.arange(ROWS), "validation": np.arange(400), "test": np.arange(400)}
    shared = {
        "epochs": EPOCHS,
        "warmup_epochs": 1,
        "batch_size": BATCH,
        "options": {"hidden": (WIDTH, WIDTH)},
    }
    specs = [TrainingSpec(seed=seed, **shared) for seed in range(MEMBERS)]

    def ours() -> float:
        start = time.perf_counter()
        for part in np.array_split(np.arange(MEMBERS), 2):  # the default size of a stack
            chosen = [specs[i] for i in part]
            built = [bank._build(spec, (32, 5), 9) for spec in chosen]
            stack = networks.StackedMLP(built)
            bank._fit(stack, chosen, [None] * len(part), x, y, rows, torch.device("cpu"), False)
        return time.perf_counter() - start

    def reference(fused: bool) -> float:
        start = time.perf_counter()
        for seed in range(MEMBERS):
            plain(seed, torch.tensor(x).flatten(1), torch.tensor(y), torch.tensor(rows["validation"]), fused)
        return time.perf_counter() - start

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        ours()
        fast = min(ours() for _ in range(3))
        slow = min(reference(fused=True) for _ in range(3))
        usual = min(reference(fused=False) for _ in range(3))
    finally:
        torch.set_num_threads(before)
    return [
        {
            "name": f"{MEMBERS} small MLPs trained together",
            "ratio": slow / fast,
            "seconds": fast,
            "seconds_reference": slow,
            "reference": "sequential PyTorch with fused AdamW, one thread",
            "ratio_default_optimiser": usual / fast,
            "sizes": {
                "members": MEMBERS,
                "batch": BATCH,
                "width": WIDTH,
                "features": math.prod(SHAPE),
                "steps": EPOCHS * ROWS // BATCH,
            },
        }
    ]


def plain(seed: int, x: torch.Tensor, y: torch.Tensor, validation: torch.Tensor, fused: bool) -> float:
    """One training as one would write it for a single network; the best validation accuracy."""
    torch.manual_seed(seed)
    network = nn.Sequential(
        nn.Linear(x.shape[1], WIDTH),
        nn.GELU(),
        nn.Dropout(0.25),
        nn.Linear(WIDTH, WIDTH),
        nn.GELU(),
        nn.Dropout(0.25),
        nn.Linear(WIDTH, 9),
    )
    optimiser = torch.optim.AdamW(network.parameters(), weight_decay=1e-2, fused=fused)
    loss_of = nn.CrossEntropyLoss(label_smoothing=0.1)
    rate = bank._schedule(TrainingSpec(epochs=EPOCHS, warmup_epochs=1), math.ceil(len(x) / BATCH))
    best, step = 0.0, 0
    for _ in range(EPOCHS):
        network.train()
        for batch in torch.randperm(len(x)).split(BATCH):
            optimiser.param_groups[0]["lr"] = rate(step)
            optimiser.zero_grad()
            loss_of(network(x[batch]), y[batch]).backward()
            optimiser.step()
            step += 1
        network.eval()
        with torch.no_grad():
            found = network(x[validation]).argmax(1)
        best = max(best, (found == y[validation]).float().mean().item())
    return best


if __name__ == "__main__":
    print(*benchmarks(), sep="\n")
