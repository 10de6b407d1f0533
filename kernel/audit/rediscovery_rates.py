"""How often each test of the convergence claim says yes on simulated cohorts, whose truth is known."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd
from numpy.typing import ArrayLike
from threadpoolctl import threadpool_limits

from kernel import checks, stats
from kernel.brain.designs import CLASS_VALENCE, FACED_CLASSES
from kernel.brain.simulate import PRESETS, Settings, simulate_cohort
from kernel.brain.splits import usual_split
from kernel.decoding.ablation import CONTROLS, ablation
from kernel.decoding.bank import train_bank
from kernel.decoding.checkpoints import Bank
from kernel.decoding.rediscovery import PERMUTED, RANDOM, SCORES, clip_target, rate_specs, rediscovery
from kernel.decoding.training import TrainingSpec
from kernel.threads import one_thread


def rediscovery_p_values(
    preset: str | Settings,
    seeds: Iterable[int] = range(16),
    specs: Sequence[TrainingSpec] | None = None,
    *,
    n_subjects: int = 123,
    n_null: int = 199,
) -> pd.DataFrame:
    """Train a small bank on every simulated cohort and run every test of the convergence claim on it.

    Tests of one checkpoint take the best on validation. Cohorts of one seed share their patterns, clips and
    noise over presets. The target is people's mean valence of the nine emotions, the best axis there can be,
    and within classes the planted valence.

    Parameters
    ----------
    preset, seeds
        What is planted; seeds of the cohorts.
    specs : sequence of TrainingSpec, optional
        What is trained on each; `rate_specs` by default. Three or more, without prototypes.
    n_subjects, n_null : int
        People per cohort; members of each null: 199 make p <= .05 an exact 5 % event.

    Returns
    -------
    DataFrame
        Columns ``seed``, ``estimator``, ``null``, ``value``, ``p``; with a column ``truth`` it is what
        :func:`kernel.audit.projection_rates.rejection_rates` takes.
    """
    specs = rate_specs() if specs is None else list(specs)
    checks.count("the number of specs", len(specs), 3)
    checks.count("n_null", n_null, 19)
    settings = PRESETS[preset] if isinstance(preset, str) else preset
    positions, rows = dict(zip(FACED_CLASSES, CLASS_VALENCE, strict=True)), []
    with threadpool_limits(1), one_thread():
        for seed in seeds:
            cohort, _ = simulate_cohort(seed, settings, n_subjects=n_subjects, window=10.0)
            # the members are not wanted again: hundreds of them would fill the cache
            with tempfile.TemporaryDirectory() as folder:
                bank = train_bank(
                    specs, cohort, usual_split(cohort), baselines=False, folder=folder, n_jobs=1,
                    device="cpu", progress=False,
                )  # fmt: skip
            target = clip_target(cohort, positions)
            tests = _convergence_tests(bank, target, n_null=n_null, random_state=seed)
            rows += [{"seed": seed, **test} for test in tests]
    return pd.DataFrame(rows)


def _convergence_tests(
    bank: Bank, target_by_clip: ArrayLike, *, n_null: int = 199, random_state: int = 0
) -> list[dict[str, Any]]:
    """Every test of the convergence claim on a bank of three members or more, the paper's ways and ours.

    The target (n_clips,) varies within classes. Each test has ``estimator``, ``null``, ``value`` and ``p``;
    "textbook formula" is the p of a correlation over as many independent points as there are classes, clips
    or checkpoints.
    """
    draws: dict[str, Any] = {"n_null": n_null, "random_state": random_state, "device": "cpu"}
    alignment = rediscovery(bank, target_by_clip, n_permutations=n_null, **draws)
    best = int(alignment.table["validation"].argmax())
    one = alignment.table.loc[best]
    n_clips, n_classes = bank.trials["clip"].nunique(), bank.trials["y"].nunique()
    rows = []

    def add(estimator: str, null: str, value: float, p: float) -> None:
        rows.append({"estimator": estimator, "null": null, "value": float(value), "p": float(p)})

    test = "class PC1, best checkpoint"
    add(test, "textbook formula", one["class_pc1"], stats.textbook_p(one["class_pc1"], n_classes))
    add(test, PERMUTED["class_pc1"], one["class_pc1"], one["class_pc1_p"])
    test = "residual chosen on the same clips, best checkpoint"
    add(test, "textbook formula", one["residual"], stats.textbook_p(one["residual"], n_clips))
    rotated = bank.residual_alignment([best], target_by_clip, null="haar", **draws)
    add(test, RANDOM, one["residual"], rotated.p_selected[0])
    add(test, PERMUTED["residual"], one["residual"], one["residual_p"])
    test = "residual on held-out clips, best checkpoint"
    add(test, PERMUTED["held_out"], one["held_out"], one["held_out_p"])
    mean, null = alignment.table["held_out"].mean(), alignment.nulls["held_out"].mean(1)
    p = stats.permutation_p(mean, null, alternative="greater")
    add("residual on held-out clips, mean of checkpoints", PERMUTED["held_out"], mean, p)
    accuracy = alignment.table["test"].to_numpy()
    for score in ("class_pc1", "held_out"):
        test, r = f"r of accuracy and {SCORES[score]}", float(stats.pearson(alignment.table[score], accuracy))
        add(test, "textbook formula", r, stats.textbook_p(r, len(bank), alternative="greater"))
        null = stats.pearson(alignment.nulls[score], accuracy)
        add(test, PERMUTED[score], r, stats.permutation_p(r, null, alternative="greater"))
    lost = ablation(
        bank, alignment, n_best=1, n_directions=n_null, random_state=random_state, device="cpu"
    ).table.query("part == 'whole'").set_index("control")  # fmt: skip
    for control in (CONTROLS[kind] for kind in ("isotropic", "matched", "random_target")):
        test = "accuracy lost without the residual direction"
        add(test, f"directions, {control}", *lost.loc[control, ["drop", "p"]])
    return rows
