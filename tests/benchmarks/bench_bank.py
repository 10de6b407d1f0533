"""36 small MLPs trained as stacks against one after the other in plain PyTorch, both on one thread."""

from __future__ import annotations

import math

import numpy as np
import torch
from timing import compared, one_thread
from torch import nn

from kernel.decoding import networks
from kernel.decoding.training import Labels, TrainingSpec, build_member, optimise

BATCH, WIDTH, SHAPE = 32, 64, (32, 1, 5)  # channels, windows, bands


def benchmarks(small: bool = False) -> list[dict]:
    """Same data, sizes, loss, schedule, dropout and evaluation after each epoch."""
    members, n, epochs = (4, 160, 2) if small else (36, 1600, 4)
    rng = np.random.default_rng(0)
    x = torch.tensor(rng.standard_normal((n, *SHAPE)), dtype=torch.float32)
    y = rng.integers(0, 9, n)
    rows = {"train": np.arange(n), "validation": np.arange(n // 4)}
    shared = {"epochs": epochs, "warmup_epochs": 1, "batch_size": BATCH, "options": {"hidden": (WIDTH,) * 2}}
    specs = [TrainingSpec(seed=seed, **shared) for seed in range(members)]

    def ours() -> None:
        for part in np.array_split(np.arange(members), 2):  # the default size of a stack
            chosen = [specs[i] for i in part]
            stack = networks.STACKED["mlp"]([build_member(spec, (32, 5), 9) for spec in chosen])
            optimise(stack, chosen, x, Labels.of_classes(y, 9), rows)

    def one_by_one(fused: bool) -> None:
        for seed in range(members):
            plain(seed, x.flatten(1), torch.tensor(y), torch.tensor(rows["validation"]), epochs, fused)

    with one_thread():
        ours()  # a first call prepares what is the same for all later ones
        return compared(
            f"{members} small MLPs trained together",
            {
                "members": members,
                "batch": BATCH,
                "width": WIDTH,
                "features": math.prod(SHAPE),
                "epochs": epochs,
            },
            ours,
            {
                "one after the other in PyTorch, fused AdamW": lambda: one_by_one(True),
                "one after the other in PyTorch, default AdamW": lambda: one_by_one(False),
            },
            rounds=1 if small else 3,
            check=lambda *_: {},
        )


def plain(
    seed: int, x: torch.Tensor, y: torch.Tensor, validation: torch.Tensor, epochs: int, fused: bool
) -> float:
    """One training as one would write it for a single network; the best validation accuracy."""
    torch.manual_seed(seed)
    hidden = [nn.Linear(x.shape[1], WIDTH), nn.GELU(), nn.Dropout(0.25)]
    hidden += [nn.Linear(WIDTH, WIDTH), nn.GELU(), nn.Dropout(0.25)]
    network = nn.Sequential(*hidden, nn.Linear(WIDTH, 9))
    steps = epochs * math.ceil(len(x) / BATCH)
    optimiser = torch.optim.AdamW(network.parameters(), weight_decay=1e-2, fused=fused)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=steps + 1)
    loss_of = nn.CrossEntropyLoss(label_smoothing=0.1)
    best = 0.0
    for _ in range(epochs):
        network.train()
        for batch in torch.randperm(len(x)).split(BATCH):
            optimiser.zero_grad()
            loss_of(network(x[batch]), y[batch]).backward()
            optimiser.step()
            schedule.step()
        network.eval()
        with torch.no_grad():
            called = network(x[validation]).argmax(1)
        best = max(best, (called == y[validation]).float().mean().item())
    return best
