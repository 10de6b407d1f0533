"""What checkpoints lose without the residual direction that follows the target, beside other directions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from kernel import checks, stats
from kernel.arrays import Features, tensor
from kernel.decoding.checkpoints import Bank
from kernel.decoding.geometry import CHUNK, Device, Projector, basin, rounding
from kernel.decoding.rediscovery import Rediscovery
from kernel.metrics import score_accuracy, trial_weights

KINDS = ("isotropic", "residual", "matched", "matched_residual")
PARTS = ("whole", "orthogonal")
#: Controls of `ablation`, from the easiest to pass to the fairest.
CONTROLS = {
    "isotropic": "isotropic",
    "residual": "isotropic, outside the basin",
    "matched": "matched variance",
    "matched_residual": "matched variance, outside the basin",
    "random_target": "chosen by random targets",
}
_CHECKPOINT = "data simulated checkpoint recipe network epochs test residual held_out".split()


class _DirectionalAblation(NamedTuple):
    """What a classifier loses with one direction, beside what it loses with others."""

    baseline: float  #: balanced accuracy of the features as they are
    drops: dict[str, float]  #: its fall without the whole direction, and without its part outside the basin
    share_in_basin: float  #: squared length of the unit direction inside the basin
    null: dict[str, np.ndarray]  #: (n_directions,): falls without the directions of each control

    def z(self, kind: str, part: str = "whole") -> float:
        """Distance of a part's fall from the mean of a control, in its sd; NaN if it does not vary."""
        null = self.null[kind]
        sd = null.std(ddof=1)
        return float((self.drops[part] - null.mean()) / sd) if sd > 1e-12 else np.nan

    def p(self, kind: str, part: str = "whole") -> float:
        """Share of a control with as large a fall."""
        return stats.permutation_p(self.drops[part], self.null[kind], alternative="greater")


def _directional_ablation(
    Z: Features,
    y: np.ndarray,
    head: tuple[Features, Features],
    direction: Features,
    *,
    kinds: Sequence[str] = KINDS,
    n_directions: int = 1000,
    random_targets: Features | None = None,
    projector: Projector | None = None,
    random_state: stats.Seed = 0,
) -> _DirectionalAblation:
    """Balanced accuracy lost when a direction (d,) is removed at inference, beside directions of controls.

    `Z` (n_trials, d) are features, `y` their classes from 0, `head` weights (d, n_classes) and biases. Of the
    controls, `n_directions` each, ``isotropic`` is uniform; ``residual`` uniform and orthogonal to the basin;
    ``matched`` Gaussian with the covariance of the features; ``matched_residual`` the same without its part
    in the basin; ``random_target`` are the directions given, (n, d). The basin is that of `Z` or of the
    `projector`, on whose device all is computed: estimate it from other trials to keep their noise out of it.
    """
    projector = basin(Z, y) if projector is None else projector
    rows = tensor(Z, "Z").to(projector.basis)
    W, b, u = (tensor(values, "head and direction").to(rows) for values in (*head, direction))
    if len(projector.basis) >= rows.shape[1] and {"residual", "matched_residual"} & set(kinds):
        raise ValueError(
            f"the basin fills all {rows.shape[1]} dimensions and nothing lies outside: take networks with a "
            "wider last layer"
        )

    unit = u[None] / torch.linalg.vector_norm(u)
    outside = projector.complement(unit)
    length = torch.linalg.vector_norm(outside)
    rng = np.random.default_rng(random_state)
    controls = {kind: _control_directions(kind, rows, n_directions, projector, rng) for kind in kinds}
    if random_targets is not None:
        controls["random_target"] = tensor(random_targets, "random_targets").to(rows)
    # the part outside the basin may be zero, and then removes nothing
    tested = torch.cat([unit, torch.where(length > 10 * rounding(rows), outside, 0), *controls.values()])
    size = torch.linalg.vector_norm(tested, dim=-1, keepdim=True)
    baseline = float(score_accuracy(rows @ W + b, y))
    drops = baseline - _accuracy_after(rows, y, W, b, tested / torch.where(size > 0, size, 1))
    ends = np.cumsum([len(PARTS), *(len(part) for part in controls.values())])[:-1]
    return _DirectionalAblation(
        baseline=baseline,
        drops=dict(zip(PARTS, drops.tolist(), strict=False)),
        share_in_basin=float((1 - length.square()).clamp(0, 1)),
        null=dict(zip(controls, np.split(drops, ends)[1:], strict=True)),
    )


def _control_directions(
    kind: str, Z: torch.Tensor, n: int, projector: Projector, rng: np.random.Generator
) -> torch.Tensor:
    """Random directions (n, d) of a kind."""
    normal = torch.as_tensor(rng.standard_normal((n, Z.shape[1]))).to(Z)
    if kind.startswith("matched"):  # times the symmetric root of the covariance
        centred = Z - Z.mean(0)
        values, vectors = torch.linalg.eigh(centred.mT @ centred / len(Z))
        normal = normal @ ((vectors * values.clamp_min(0).sqrt()) @ vectors.mT)
    return projector.complement(normal) if kind.endswith("residual") else normal


def _accuracy_after(
    Z: torch.Tensor, y: np.ndarray, W: torch.Tensor, b: torch.Tensor, U: torch.Tensor
) -> np.ndarray:
    """Balanced accuracy (n_directions,) after removing each of the unit directions U (n_directions, d)."""
    logits = (Z @ W + b).mT  # (K, n_trials)
    true, weight = torch.as_tensor(y, device=Z.device), torch.as_tensor(trial_weights(y)).to(Z)
    lead = logits.gather(0, true[None]) - logits
    parts = []
    for part in U.split(max(1, CHUNK // len(Z))):
        along, change = part @ Z.mT, -(part @ W)  # (n_part, n_trials), (n_part, K)
        own = change[:, true]
        hit = torch.ones_like(along, dtype=torch.bool)
        for k in range(W.shape[1]):
            margin = torch.addcmul(lead[k], along, own - change[:, k, None])
            # the first of equal logits counts: classes before the true one must be beaten
            hit &= torch.where(true > k, margin > 0, margin >= 0)
        parts.append(hit.to(Z) @ weight)
    return torch.cat(parts).cpu().numpy()


# Checkpoints of a bank


class Ablation(NamedTuple):
    """What checkpoints lose with their residual direction."""

    #: one row for each checkpoint, control and part of the direction (whole, or orthogonal to the basin):
    #: columns of the checkpoint, ``share_in_basin``, ``control``, ``part``, ``drop``, ``z``, ``p``
    table: pd.DataFrame
    #: (n_directions, n_checkpoints): falls in accuracy with the directions of each control; those of
    #: ``random_target`` share their targets over checkpoints, row by row
    null: dict[str, np.ndarray]
    members: np.ndarray  #: the checkpoints, best on validation first


def ablation(
    bank: Bank,
    alignment: Rediscovery,
    *,
    n_best: int | None = 10,
    n_directions: int = 500,
    random_state: int = 0,
    device: Device = None,
) -> Ablation:
    r"""Remove the residual direction of checkpoints, and directions of every control, at inference.

    Removal [2]_, :math:`z' = z - (z^\top \hat u)\, \hat u`, changes logits by one outer product,
    :math:`L' = L - (Z \hat u)\,(\hat u^\top W)`, so that many directions cost little. Whether a fall is large
    depends on what it is compared with [1]_: most isotropic directions hold little variance and cost nothing,
    so a large z against them says only that u holds variance. Matched directions hold as much as the features
    have; random-target directions differ from u in that the target means nothing.

    Directions come from validation people, accuracy from test people; the basin is that of validation trials.
    `alignment` is of this bank and has residual scores. The `n_best` checkpoints by balanced accuracy on
    validation are taken, with None all; `n_directions` are those of each drawn control, those of random
    targets are all of `alignment`. What is drawn for a checkpoint does not depend on the others.

    References
    ----------
    .. [1] Elazar et al. (2021), TACL 9, for random directions as a control. doi:10.1162/tacl_a_00359
    .. [2] Arditi et al. (2024). arXiv:2406.11717
    """
    checks.count("n_directions", n_directions, 2)
    checks.count("n_best", 1 if n_best is None else n_best)
    if not alignment.directions:
        raise ValueError(
            f"there is no residual direction in {alignment.label}: its target is constant within classes, "
            "give rediscovery ratings of clips"
        )
    checkpoints = alignment.table
    if alignment.label != bank.label or checkpoints["recipe"].tolist() != [s.recipe for s in bank.specs]:
        raise ValueError(
            f"the alignment is of {alignment.label}, not of the {len(bank)} members of this bank: call "
            "rediscovery on it"
        )
    members = np.argsort(-checkpoints["validation"].to_numpy(), kind="stable")[:n_best]
    y, test, validation = bank.trials["y"].to_numpy(), bank.rows("test"), bank.rows("validation")
    rows, nulls = [], []
    for member in members:
        Z, (W, b) = bank.checkpoints[member].kept_features.astype(float), bank.checkpoints[member].head
        effect = _directional_ablation(
            Z[test], y[test], (W.T, b), alignment.directions[member], n_directions=n_directions,
            random_targets=alignment.random_targets[member],
            projector=basin(Z[validation], y[validation], device=device),
            random_state=np.random.default_rng([random_state, member]),
        )  # fmt: skip
        nulls.append(effect.null)
        for kind in effect.null:
            for part, drop in effect.drops.items():
                row = {**checkpoints.loc[member, _CHECKPOINT], "share_in_basin": effect.share_in_basin}
                row |= {"control": CONTROLS[kind], "part": part, "drop": drop}
                rows.append(row | {"z": effect.z(kind, part), "p": effect.p(kind, part)})
    null = {kind: np.stack([one[kind] for one in nulls], axis=1) for kind in nulls[0]}
    return Ablation(pd.DataFrame(rows), null, members)


def ablation_summary(lost: Ablation) -> pd.DataFrame:
    r"""Controls over the checkpoints of an ablation.

    Checkpoints see the same trials, so that their p-values depend on one another in an unknown way. Twice
    their mean is a p-value all the same [1]_. Directions of random targets share their targets over
    checkpoints: there the mean fall has a null of its own, the mean over checkpoints target by target.

    One row for each control and part: ``data``, ``simulated``, ``control``, ``part``, ``drop`` and ``z``
    (means), ``z_low``, ``z_high`` (range over checkpoints), ``share`` (of checkpoints with p <= .05), ``p``
    (of the mean fall), ``n`` checkpoints.

    References
    ----------
    .. [1] Vovk & Wang (2020), Biometrika 107(4). doi:10.1093/biomet/asaa027
    """
    rows = []
    for (control, part), checkpoints in lost.table.groupby(["control", "part"], sort=False):
        drop, z, p = (checkpoints[name] for name in ("drop", "z", "p"))
        row = {**checkpoints[["data", "simulated"]].iloc[0], "control": control, "part": part}
        row |= {"drop": drop.mean(), "z": z.mean(), "z_low": z.min(), "z_high": z.max()}
        row |= {"share": (p <= 0.05).mean(), "p": min(1.0, 2 * p.mean()), "n": len(checkpoints)}
        if control == CONTROLS["random_target"]:
            joint = lost.null["random_target"].mean(1)
            row["p"] = stats.permutation_p(drop.mean(), joint, alternative="greater")
        rows.append(row)
    return pd.DataFrame(rows)
