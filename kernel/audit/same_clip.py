"""Tables of chapter 18: :mod:`kernel.brain.within_clip` on FACED, on placebo ratings and on simulations."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import ttest_1samp

from kernel import stats
from kernel.audit.material import Material
from kernel.brain.cohort import Cohort, standardise, trial_features
from kernel.brain.components import simulate_components
from kernel.brain.within_clip import DRIFTS, SEED, PeopleRidge, placebo_ratings

ITEMS = ("valence", "liking", "arousal", "familiarity")

_EXCHANGES = 4999  # on one set of ratings
_FEWER_EXCHANGES = 199  # on many sets


def within_clip(material: Material, part: str) -> pd.DataFrame:
    """r, p and power of an item under a drift model; for "naive", p by t-test, not `jointly`."""
    item, drift = part.split(" | ")
    model, ratings = _model(material.scalp, material.trials, drift), material.scalp.person_rating(item)
    row = _test_row(model, ratings)
    if drift == "naive":
        row["p"] = ttest_1samp(model.people(ratings), 0, alternative="greater").pvalue
    return pd.DataFrame([{"item": item, "drift": drift, **row}])


def within_people(material: Material, part: str) -> pd.DataFrame:
    """Correlation of each person for an item, linear drift."""
    cohort = material.scalp
    r = _model(cohort, material.trials).people(cohort.person_rating(part))
    return pd.DataFrame({"item": part, "subject": cohort.subjects, "hardware": cohort.hardware, "r": r})


def within_cells(material: Material, part: str) -> pd.DataFrame:
    """Each cell's correlation with an item, mean over people, linear drift; p and limit by max-statistic."""
    cohort, model = material.scalp, _model(material.scalp, material.trials)
    ratings = cohort.person_rating(part).astype(float)
    r = model.cells(model.residuals(ratings[..., None]))[:, 0]
    null = model.null(lambda sets: np.abs(model.cells(sets)).max(0), ratings, _EXCHANGES, SEED)
    p = [stats.permutation_p(abs(value), null, alternative="greater") for value in r]
    names = pd.MultiIndex.from_product([cohort.channels, list(cohort.bands)], names=["channel", "band"])
    return names.to_frame(index=False).assign(item=part, r=r, p=p, limit=float(np.quantile(null, 0.95)))


def within_eyes(material: Material, part: str) -> pd.DataFrame:
    """Valence, linear drift, from one of `EYE_SETS`; the regression sees everybody's residuals, no rating."""
    return pd.DataFrame([{"cells": part, **_from_cells(material, CONTROL_PARTS[0], _KINDS[part])}])


def within_controls(material: Material, part: str) -> pd.DataFrame:
    """As `within_eyes`, for two channels in all bands and a band at all channels: "C3 C4, theta"."""
    kinds = {kind: _from_cells(material, part, kind) for kind in ("alone", "left out", "regressed out")}
    return pd.DataFrame([{"cells": part, "kind": kind, **row} for kind, row in kinds.items()])


def within_bands(material: Material, part: str) -> pd.DataFrame:
    """Valence under each drift model from one of `BAND_PARTS` alone."""
    cohort, rows = material.scalp, []
    band, _, place = part.partition(", ")
    channels = [not place or name.startswith(("P", "O")) for name in cohort.channels]
    chosen = material.trials[:, :, channels][..., list(cohort.bands).index(band)]
    for drift in DRIFTS:
        row = _test_row(_model(cohort, chosen[..., None], drift), cohort.person_rating("valence"))
        rows.append({"item": "valence", "cells": part, "n_cells": chosen.shape[2], "drift": drift, **row})
    return pd.DataFrame(rows)


def within_placebo(material: Material, part: str, *, hard: bool = False) -> pd.DataFrame:
    """Placebo valence, linear drift: r and p by exchange and in the naive way, for a block of sets.

    The `hard` placebo's noise goes on from clip to clip in each person's own order.
    """
    models = [_model(material.scalp, material.trials, drift) for drift in ("linear", "naive")]
    ratings, rows = material.scalp.person_rating("valence"), []
    order = material.scalp.order if hard else None
    for number in _BLOCKS[part]:
        placebo = placebo_ratings(ratings, [SEED, number], order=order)
        rows.append({"set": number, **_both(models, placebo, number)})
    return pd.DataFrame(rows)


def within_rates(material: object, part: str, n_cohorts: int | None = None) -> pd.DataFrame:
    """As `within_placebo`, for simulated cohorts of FACED's sizes, all or the first; no recording enters.

    Valence is the simulated one, a share of person x clip going along with it; for "placebo" that share is
    the largest and `placebo_ratings` take the place of valence.
    """
    truth, block = part.split(" | ")
    share, rows = max(_SHARES) if truth == "placebo" else float(truth.removeprefix("within ")), []
    for seed in _BLOCKS[block][:n_cohorts]:
        cohort, _ = simulate_components(seed, within=share, window=30.0)
        trials, ratings = trial_features(standardise(cohort)), cohort.person_rating("valence")
        models = [_model(cohort, trials, drift) for drift in ("linear", "naive")]
        ratings = placebo_ratings(ratings, [SEED, seed]) if truth == "placebo" else ratings
        rows.append({"truth": truth, "seed": seed, **_both(models, ratings, seed)})
    return pd.DataFrame(rows)


def _from_cells(material: Material, cells: str, kind: str) -> dict[str, float]:
    """Test of valence from a set of cells "alone", or from the others: it "left out", "regressed out"."""
    cohort, trials = material.scalp, material.trials
    channels, band = cells.split(", ")
    mask = np.isin(cohort.channels, channels.split())[:, None] | (np.array(list(cohort.bands)) == band)
    chosen = trials[..., {"all": np.ones_like(mask), "alone": mask}.get(kind, ~mask)]
    if kind == "regressed out":
        x, other = (_model(cohort, trials[..., some]).features for some in (mask, ~mask))
        a, b = (one.reshape(-1, one.shape[-1]) for one in (x, other))
        chosen = other - x @ np.linalg.lstsq(a, b, rcond=None)[0]
    return {"n_cells": chosen.shape[2], **_test_row(_model(cohort, chosen), cohort.person_rating("valence"))}


def _model(cohort: Cohort, trials: np.ndarray, drift: str = "linear") -> PeopleRidge:
    naive = drift == "naive"
    return PeopleRidge(trials, cohort.order, cohort.hardware, "linear" if naive else drift, jointly=not naive)


def _test_row(model: PeopleRidge, ratings: np.ndarray) -> dict[str, float]:
    test = model.test(ratings, _EXCHANGES, SEED)
    null = {"null_mean": float(test.null.mean()), "null_sd": float(test.null.std(ddof=1))}
    power = {"limit": test.limit, "detectable": test.detectable, "n": len(test.people)}
    return {"r": test.r, "p": test.p, **null, **power}


def _both(models: list[PeopleRidge], ratings: np.ndarray, number: int) -> dict[str, float]:
    joint, naive = models
    test, people = joint.test(ratings, _FEWER_EXCHANGES, [SEED, 1, number]), naive.people(ratings)
    p_naive = ttest_1samp(people, 0, alternative="greater").pvalue
    return {"r": test.r, "p": test.p, "r_naive": float(people.mean()), "p_naive": float(p_naive)}


_BLOCKS = {f"{start}-{start + 24}": range(start, start + 25) for start in range(0, 400, 25)}
_SHARES = (0.0, 0.01, 0.02, 0.1, 0.2, 0.4)
_TRUTHS = (*(f"within {share:g}" for share in _SHARES), "placebo")
CLIP_PARTS = (*(f"{item} | {drift}" for item in ITEMS for drift in DRIFTS), "valence | naive")
_KINDS = {
    "all cells": "all",
    "eyes": "alone",
    "other cells, eyes regressed out": "regressed out",
    "other cells": "left out",
}
#: What a test may see of eye movements and blinks, which reach Fp1, Fp2 and the delta band first.
EYE_SETS = tuple(_KINDS)
#: The cells of the eyes, the same with either half exchanged, and sets of as many cells elsewhere.
CONTROL_PARTS = (
    *("Fp1 Fp2, delta", "P3 P4, delta", "Fp1 Fp2, theta"),
    *("P3 P4, theta", "C3 C4, theta", "P3 P4, beta", "O1 O2, theta"),
    *("T7 T8, theta", "F3 F4, theta", "CP1 CP2, beta"),
)
BAND_PARTS = ("delta", "theta", "alpha", "beta", "gamma", "delta, parietal and occipital")
PLACEBO_PARTS = tuple(_BLOCKS)
RATES_PARTS = tuple(f"{truth} | {block}" for truth in _TRUTHS for block in PLACEBO_PARTS[:4])
