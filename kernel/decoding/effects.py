"""What strategies change: runs with and without them, compared in pairs with a placebo beside each.

What a test over seeds can say is bounded, since seeds of one cohort share its people, clips and class
geometry; for a claim about a kind of data the unit is the cohort.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import t as student_t
from statsmodels.stats.power import TTestPower

from kernel import checks, stats
from kernel.arrays import real
from kernel.metrics import mean_recall

ARMS = ("base", "true", "placebo")
_CONTRASTS = ("true", "placebo", "beyond")


@dataclass(frozen=True, eq=False)
class Interventions:
    """Trainings with and without strategies.

    `table` has one row a training: ``cohort`` (its label), ``label``, ``number`` (row of the paper, missing
    if none), ``strategy``, ``family``, ``strength``, ``arm`` (base, true, placebo), ``seed``; balanced
    accuracy ``validation``, before a prior is smoothed, and ``bacc`` on test subjects; ``delta``, ``bacc``
    minus that of its twin without the strategy (missing for the twins). For each row `hits` and `counts` hold
    the test trials that are called rightly, and all, (n_subjects, n_classes); `twin` the row of its twin, a
    twin's own for itself.
    """

    table: pd.DataFrame
    hits: tuple[np.ndarray, ...]
    counts: tuple[np.ndarray, ...]
    twin: np.ndarray

    def deltas(self) -> pd.DataFrame:
        """Rows of the arms true and placebo."""
        return self.table[self.table["arm"] != "base"]

    def unit(self) -> str:
        """What is independent: cohorts where there are several, else seeds."""
        return "cohort" if self.table["cohort"].nunique() > 1 else "seed"

    def interval(self, rows: pd.DataFrame, **options: Any) -> dict[str, stats.Interval]:
        """Mean change of some rows by arm, and beyond the placebo, test subjects resampled."""
        arms = {str(arm): list(places) for arm, places in rows.groupby("arm").groups.items()}
        counts = self.counts[arms["true"][0]]
        if len(counts) < 2:
            raise ValueError("one subject was tested: an interval over subjects needs two or more")
        change = {
            arm: np.mean([self.hits[r] - self.hits[self.twin[r]] for r in places], axis=0)
            for arm, places in arms.items()
        }
        change["beyond"] = change["true"] - change["placebo"]
        return {
            name: stats.bootstrap_interval(mean_recall, counts, each, **options)
            for name, each in change.items()
        }


def combine(parts: Sequence[Interventions]) -> Interventions:
    """Several runs as one, such as those of several cohorts."""
    if not parts:
        raise ValueError("parts is empty: give one run or more")
    starts = np.cumsum([0, *(len(part.table) for part in parts[:-1])])
    return Interventions(
        pd.concat([part.table for part in parts], ignore_index=True),
        tuple(hit for part in parts for hit in part.hits),
        tuple(count for part in parts for count in part.counts),
        np.concatenate([part.twin + start for part, start in zip(parts, starts, strict=True)]),
    )


# Tests of paired differences, one for each independent unit


def paired_t(differences: ArrayLike) -> tuple[stats.Interval, float]:
    """Mean of paired differences with its 95 % interval, and the two-sided p of Student's test.

    Differences that are all the same give p = 0, or 1 if they are zero, and an interval of no width.
    """
    d = real(differences, "differences")
    if d.ndim != 1 or len(d) < 2:
        raise ValueError(f"differences must be two or more numbers, got {d}: run more seeds or cohorts")
    mean, se = float(d.mean()), float(d.std(ddof=1) / np.sqrt(len(d)))
    half = float(student_t.ppf(0.975, len(d) - 1)) * se
    if se < 1e-15:
        return stats.Interval(mean, mean, mean), float(abs(mean) < 1e-15)
    p = float(2 * student_t.sf(abs(mean) / se, len(d) - 1))
    return stats.Interval(mean, mean - half, mean + half), p


def _equivalence_p(d: np.ndarray, margin: float) -> float:
    """P of two one-sided t tests (TOST): small if the mean lies within plus or minus `margin`.

    Schuirmann (1987), Journal of Pharmacokinetics and Biopharmaceutics 15. doi:10.1007/BF01068419
    """
    se = max(float(d.std(ddof=1) / np.sqrt(len(d))), 1e-15)
    return float(student_t.sf((margin - abs(d.mean())) / se, len(d) - 1))


# Results


def summarise(
    result: Interventions, *, margin: float = 0.01, n_resamples: int = 1000, random_state: int = 0
) -> pd.DataFrame:
    """What every strategy changes, what its placebo changes, and the difference.

    Resampling subjects does not cover the chance of what the few placebos of one cohort happened to be, nor
    that of its class geometry: ``beyond`` needs several cohorts.

    Parameters
    ----------
    result : Interventions
        Of `run_interventions`, or of several combined.
    margin : float
        Change of balanced accuracy that counts as none in the equivalence test.
    n_resamples, random_state
        Of the bootstrap over subjects.

    Returns
    -------
    DataFrame
        One row a label, in the order of the paper's table or of the run, with ``n`` units: cohorts where
        there are several, each the mean of its seeds, else seeds, as in the paper. For the strategy ``true``,
        its placebo ``placebo`` and their paired difference ``beyond``: the mean change ``true`` with its 95 %
        interval ``true_low``, ``true_high``, over test subjects or, of several cohorts, Student's; ``true_p``
        of the paired t test, ``true_holm`` and ``true_bh`` adjusted over the labels, ``true_same`` of
        equivalence. ``sd`` of the change over units, ``power`` of the paired t test to find a change of
        `margin`, and ``detectable``, the change found with power .8.
    """
    checks.between("margin", margin, 0, np.inf)
    unit, rows = result.unit(), []
    for label, part in paired_changes(result).groupby("label", sort=False):
        means = part.groupby(unit, sort=False)[list(_CONTRASTS)].mean()
        row = {name: part[name].iloc[0] for name in ("label", "number", "strategy", "family", "strength")}
        row["n"] = len(means)
        over_subjects: dict[str, stats.Interval] = {}
        if unit == "seed":
            of_label = result.table[result.table["label"] == label]
            over_subjects = result.interval(of_label, n_resamples=n_resamples, random_state=random_state)
        for name in means:
            d = means[name].to_numpy()
            interval, p = paired_t(d)
            value, low, high = over_subjects.get(name, interval)
            row |= {name: value, f"{name}_low": low, f"{name}_high": high, f"{name}_p": p}
            row[f"{name}_same"] = _equivalence_p(d, margin)
        row["sd"] = float(means["true"].std(ddof=1))
        sd, test = max(row["sd"], 1e-12), TTestPower()
        # at enormous effects the noncentral t is not a number, and the power 1
        row["power"] = float(np.nan_to_num(test.power(min(margin / sd, 1e3), len(means), 0.05), nan=1.0))
        row["detectable"] = sd * float(test.solve_power(nobs=len(means), alpha=0.05, power=0.8))
        rows.append(row)
    table = pd.DataFrame(rows)
    if table["number"].notna().all():
        table = table.sort_values("number", kind="stable", ignore_index=True)
    for name in _CONTRASTS:
        p = table[f"{name}_p"].to_numpy()
        table[f"{name}_holm"], table[f"{name}_bh"] = stats.holm(p), stats.benjamini_hochberg(p)
    return table


def paired_changes(result: Interventions) -> pd.DataFrame:
    """One row for each cohort, label and seed: ``true``, ``placebo``, and their difference ``beyond``."""
    deltas, keys = result.deltas(), ["cohort", "label", "seed"]
    wide = deltas.pivot(index=keys, columns="arm", values="delta").reindex(columns=list(ARMS[1:]))
    wide["beyond"] = wide["true"] - wide["placebo"]
    names = ["cohort", "label", "number", "strategy", "family", "strength", "seed"]
    table = deltas.drop_duplicates(keys)[names].join(wide, on=keys).sort_values(["cohort", "seed"])
    order = deltas["label"].drop_duplicates().tolist()
    return table.sort_values("label", key=lambda s: s.map(order.index), kind="stable", ignore_index=True)


def family_mean(result: Interventions, *, random_state: int = 0, n_resamples: int = 1000) -> pd.DataFrame:
    """Change of the strategies' mean, of their placebos' mean, and beyond the placebos.

    The unit is the cohort where there are several; within one cohort test subjects are resampled. Labels that
    were tested on other people (``cross_dataset``) are left out there. Rows true, placebo, beyond; columns
    ``value``, ``low``, ``high``.
    """
    if result.unit() == "cohort":
        means = paired_changes(result).groupby("cohort")[list(_CONTRASTS)].mean()
        intervals = {name: paired_t(means[name])[0] for name in means}
    else:
        deltas = result.deltas()
        shapes = pd.Series([result.counts[row].shape for row in deltas.index], index=deltas.index)
        usual = deltas[shapes == shapes.mode()[0]]
        intervals = result.interval(usual, n_resamples=n_resamples, random_state=random_state)
    table = pd.DataFrame.from_dict(intervals, orient="index", columns=["value", "low", "high"])
    return table.loc[list(_CONTRASTS)]


def change_contrast(first: Interventions, second: Interventions) -> pd.DataFrame:
    """Change of accuracy in one set of cohorts minus that in another, such as with and without valence.

    Both have the same labels in as many cohorts in the same order, which are compared in pairs, as presets of
    one seed, or two recipes on one cohort, are; a single cohort is compared seed by seed. One row for each
    label and one, ``all``, for their mean: ``label``, ``n`` pairs, ``value`` with its t interval ``low``,
    ``high`` and ``p``.
    """
    wide = []
    for result in (first, second):
        paired, unit = paired_changes(result), result.unit()
        order = paired[unit].drop_duplicates()
        wide.append(paired.pivot_table(index=unit, columns="label", values="true", sort=False).loc[order])
    names = [table.index.name for table in wide]
    if names[0] != names[1] or set(wide[0]) != set(wide[1]) or len(wide[0]) != len(wide[1]):
        raise ValueError(
            f"both need the same labels and as many cohorts, got {len(wide[0])} {names[0]}s of "
            f"{sorted(wide[0])} and {len(wide[1])} {names[1]}s of {sorted(wide[1])}"
        )
    difference = wide[0] - wide[1][wide[0].columns].to_numpy()
    difference["all"] = difference.mean(axis=1)
    rows = []
    for label in difference:
        interval, p = paired_t(difference[label])
        rows.append({"label": label, "n": len(difference), **interval._asdict(), "p": p})
    return pd.DataFrame(rows)


def dose_response(result: Interventions) -> pd.DataFrame:
    """Does the change fall as the strength rises? Spearman correlation for every unit.

    Strategies have three or more strengths each, e.g. ``run_interventions(cohort, list(DOSES),
    strengths=DOSES)``. One row for each strategy and arm: ``strategy``, ``arm``, ``n`` (cohorts where there
    are several, else seeds), ``rho`` (mean over them, each over its own strengths) with its t interval
    ``low``, ``high``, clipped to [-1, 1], and the mean changes by strength, ``curve``.
    """
    rows = []
    for (strategy, arm), part in result.deltas().groupby(["strategy", "arm"], sort=False):
        curves = part.pivot_table(index=result.unit(), columns="strength", values="delta")
        if curves.shape[1] < 3:
            raise ValueError(
                f"{strategy!r} has {curves.shape[1]} strengths, a dose-response needs three or more: "
                "pass strengths=DOSES"
            )
        values = curves.to_numpy()
        flat = np.ptp(values, axis=1) < 1e-15
        doses = np.broadcast_to(curves.columns.to_numpy(), values.shape)
        rho = np.zeros(len(values))  # a curve that does not move has no slope
        rho[~flat] = stats.spearman(doses[~flat], values[~flat])
        (mean, low, high), _ = paired_t(rho)
        row = {"strategy": strategy, "arm": arm, "n": len(rho), "rho": mean}
        rows.append(row | {"low": max(low, -1.0), "high": min(high, 1.0), "curve": dict(curves.mean())})
    return pd.DataFrame(rows)
