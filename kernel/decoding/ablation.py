"""What checkpoints lose without the residual direction that follows the target, beside other directions."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from kernel import stats
from kernel.decoding import geometry
from kernel.decoding.bank import Bank
from kernel.decoding.study import Rediscovery

#: Controls of `ablation`, from the easiest to pass to the fairest.
CONTROLS = {
    "isotropic": "isotropic",
    "residual": "isotropic, outside the basin",
    "matched": "matched variance",
    "matched_residual": "matched variance, outside the basin",
    "random_target": "chosen by random targets",
}
_CHECKPOINT = "data simulated checkpoint recipe network epochs test residual held_out".split()


class Ablation(NamedTuple):
    """What checkpoints lose with their residual direction."""

    #: one row for each checkpoint, control and part of the direction (whole, or orthogonal to the basin):
    #: columns of the checkpoint, ``share_in_basin``, ``control``, ``part``, ``drop``, ``z``, ``p``
    table: pd.DataFrame
    #: (n_directions, n_checkpoints): falls in accuracy with the directions of each control; those of
    #: ``random_target`` share their targets over checkpoints, row by row
    null: dict[str, np.ndarray]
    members: np.ndarray  #: the checkpoints, best on validation first
    gain: float  #: what the component along a direction was multiplied with: zero for an ablation


def ablation(
    bank: Bank,
    alignment: Rediscovery,
    *,
    n_best: int | None = 10,
    gain: float = 0.0,
    n_directions: int = 500,
    random_state: int = 0,
    device: str | torch.device | None = None,
) -> Ablation:
    """Remove the residual direction of checkpoints, and directions of every control, at inference.

    Directions come from validation people, accuracy from test people; the basin is that of validation trials.
    A z against isotropic directions measures variance, not meaning: see
    :func:`~kernel.decoding.geometry.ablation_effect`.

    Parameters
    ----------
    bank : Bank
        Trained members.
    alignment : Rediscovery
        Of this bank, with residual scores.
    n_best : int, optional
        How many checkpoints, by balanced accuracy on validation; None takes all.
    gain : float
        Factor of the component along the direction; zero removes it.
    n_directions : int
        Directions of each drawn control; those of random targets are all of `alignment`.
    random_state : int
        Seed; what is drawn for a checkpoint does not depend on the others.
    device : str or torch.device, optional
        Where to compute.
    """
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
        effect = geometry.ablation_effect(
            Z[test], y[test], (W.T, b), alignment.directions[member], gain=gain, n_directions=n_directions,
            random_targets=alignment.random_targets[member],
            projector=geometry.basin(Z[validation], y[validation], device=device),
            random_state=np.random.default_rng([random_state, member]), device=device,
        )  # fmt: skip
        nulls.append(effect.null)
        for kind in effect.null:
            for part, drop in zip(geometry.PARTS, (effect.drop, effect.orthogonal_drop), strict=True):
                row = {"share_in_basin": effect.share_in_basin, "drop": drop}
                row |= {"z": effect.z(kind, part), "p": effect.p(kind, part)}
                numbers = {name: float(value) for name, value in row.items()}
                named = {"control": CONTROLS[kind], "part": part}
                rows.append({**checkpoints.loc[member, _CHECKPOINT], **named, **numbers})
    columns = [*_CHECKPOINT, "share_in_basin", "control", "part", "drop", "z", "p"]
    null = {kind: np.stack([one[kind] for one in nulls], axis=1) for kind in nulls[0]}
    return Ablation(pd.DataFrame(rows, columns=columns), null, members, gain)


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
