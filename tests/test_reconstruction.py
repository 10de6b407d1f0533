"""The axis recovered from printed figures: planted axes return, impossible figures do not, oracles agree."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import zscore
from sklearn.linear_model import Ridge

from kernel.audit import reconstruction as rc
from kernel.brain.cohort import cohort_tensor
from kernel.brain.designs import FACED_CHANNELS, FACED_CLIP_EMOTIONS
from kernel.brain.faced_table import load_faced_table
from kernel.brain.ratings import load_ratings
from kernel.brain.topography import cell_correlations, regions

EMOTIONS, CHANNELS = np.array(FACED_CLIP_EMOTIONS), list(FACED_CHANNELS)
BANDS = ["delta", "theta", "alpha", "beta", "gamma"]
NAMES = (CHANNELS, BANDS, EMOTIONS)


@pytest.fixture
def means(rng):
    return rng.standard_normal((28, 32, 5))


@pytest.fixture
def axis(rng):
    return zscore(rng.standard_normal(9)[pd.factorize(EMOTIONS)[0]])


def printed(means, axis):
    """Constraints as a paper would print them: rounded to the digits of the real ones."""
    ours = rc.axis_figures(means, *NAMES, axis)
    digits = {0.0005: 3, 0.005: 2}
    return {figure: (round(ours[figure], digits[half]), half) for figure, (_, half) in rc.CONSTRAINTS.items()}


def test_a_planted_axis_comes_back_from_its_printed_figures(means, axis):
    result = rc.recover_axis(means, *NAMES, constraints=printed(means, axis), n_starts=12)
    assert result.loss < len(rc.CONSTRAINTS)
    np.testing.assert_allclose(result.axis, axis, atol=0.05)
    assert result.axis.mean() == pytest.approx(0) and result.axis.std() == pytest.approx(1)
    reached = result.starts[result.starts["loss"] < len(rc.CONSTRAINTS)]
    assert len(reached) >= 2 and reached["distance"].max() < 0.05
    assert result.starts["loss"].is_monotonic_increasing


def test_figures_that_no_axis_has_are_not_reached(means, axis):
    impossible = printed(means, axis) | {"mean |r| alpha": (0.9, 0.0005)}
    assert rc.recover_axis(means, *NAMES, constraints=impossible, n_starts=1).loss > 1000


def test_figures_agree_with_plain_computations(means, axis):
    ours, r = rc.axis_figures(means, *NAMES, axis), np.empty((32, 5))
    for channel in range(32):
        for band in range(5):
            r[channel, band] = np.corrcoef(means[:, channel, band], axis)[0, 1]
    assert ours["F7/beta"] == pytest.approx(r[CHANNELS.index("F7"), 3])
    assert ours["mean |r| theta"] == pytest.approx(np.abs(r[:, 1]).mean())
    parietal = [CHANNELS.index(name) for name in ("Pz", "P3", "P4", "P7", "P8")]
    assert ours["mean |r| parietal"] == pytest.approx(np.abs(r[parietal]).mean())
    cell, nine = means[:, CHANNELS.index("PO3"), 4], np.isin(EMOTIONS, ("anger", "amusement", "tenderness"))
    assert ours["PO3/gamma, nine clips"] == pytest.approx(np.corrcoef(cell[nine], axis[nine])[0, 1])
    assert ours["PO3/gamma, other clips"] == pytest.approx(np.corrcoef(cell[~nine], axis[~nine])[0, 1])
    copies = np.repeat(np.arange(28), np.where(EMOTIONS == "anger", 5, np.where(nine, 3, 1)))
    repeated = np.corrcoef(cell[copies], axis[copies])[0, 1]
    assert ours["PO3/gamma, weights 5 3 3 1"] == pytest.approx(repeated)
    X = zscore(means.reshape(28, -1))
    fit = Ridge(alpha=100).fit(X, axis).predict(X)
    assert ours["ridge in sample"] == pytest.approx(np.corrcoef(fit, axis)[0, 1])


def test_says_which_figures_were_fitted(means, axis):
    table = rc.reproduce(means, *NAMES, axis)
    assert list(table) == ["figure", "printed", "ours", "fitted"] and len(table) == 20
    assert set(table.loc[table["fitted"], "figure"]) == set(rc.CONSTRAINTS)
    # a correlation knows neither the level of an axis nor its scale
    again = rc.reproduce(means, *NAMES, 3 * axis + 7)
    np.testing.assert_allclose(again["ours"], table["ours"], atol=1e-9)


def test_asymmetry_is_positive_minus_negative_and_leaves_neutral_clips_out(means):
    flat = np.zeros_like(means)
    happy, neutral = np.isin(EMOTIONS, rc.POSITIVE), EMOTIONS == "neutral"
    flat[happy, CHANNELS.index("F4"), 2] = 0.3
    flat[neutral, CHANNELS.index("F4"), 2] = 99
    flat[happy, CHANNELS.index("F8"), 1] = 5  # another band
    expected = {"F4-F3": pytest.approx(0.3), "F8-F7": 0, "Fp2-Fp1": 0}
    assert rc.asymmetries(flat, *NAMES) == expected


def test_ranks_a_triple_that_was_planted_first(rng, axis):
    triple = np.isin(EMOTIONS, ("fear", "joy", "neutral"))
    cell = np.where(triple, axis, 5 * rng.standard_normal(28))
    table = rc.triple_ranks(cell, axis, EMOTIONS)
    assert len(table) == 84 and table["paper"].sum() == 1
    assert table.loc[0, "emotions"] == "fear, neutral, joy" and table.loc[0, "rank"] == 1
    assert table.loc[0, "n_clips"] == 10 and table.loc[0, "r"] == pytest.approx(1)
    assert (np.diff(table["r"].abs()) <= 1e-12).all()


def test_groupings_hold_the_one_of_the_package(means, axis):
    table = rc.region_groupings(means, CHANNELS, BANDS, axis)
    assert len(table) == 108 and table["difference"].is_monotonic_increasing
    same = table.query(
        "FP == 'frontal' and FC == 'frontal' and CP == 'central' and PO == 'occipital' and T == ''"
    )
    size = np.abs(cell_correlations(means, axis)).mean(1)
    for region, names in regions(CHANNELS).items():
        if region != "temporal":
            assert same[region].item() == pytest.approx(size[np.isin(CHANNELS, names)].mean())


def test_names_what_is_missing(means, axis):
    few = CHANNELS[:25]
    with pytest.raises(ValueError, match="no PO3/gamma among"):
        rc.axis_figures(means[:, :25], few, BANDS, EMOTIONS, axis)
    with pytest.raises(ValueError, match="emotions need some of"):
        rc.asymmetries(means, CHANNELS, BANDS, np.full(28, "neutral"))
    flat = means.copy()
    flat[:, 3, 2] = 1.0
    with pytest.raises(ValueError, match="constant"):
        rc.recover_axis(flat, *NAMES, n_starts=1)


@pytest.mark.faced
def test_the_printed_figures_come_from_faced(faced):
    means = cohort_tensor(faced)
    result = rc.recover_axis(means, *NAMES)
    reached = result.starts[result.starts["loss"] < len(rc.CONSTRAINTS)]
    assert len(reached) >= 3 and reached["distance"].max() < 0.01
    table = rc.reproduce(means, *NAMES, result.axis).set_index("figure")
    apart = (table["ours"] - table["printed"]).abs()
    half = {figure: half for figure, (_, half) in rc.CONSTRAINTS.items()}
    assert (apart[list(half)] <= pd.Series(half)).all()
    assert (apart[list(rc.ASYMMETRIES)] < 0.00005).all()
    assert apart["ridge in sample"] < 0.005 and apart["PO3/gamma, weights 5 3 3 1"] < 0.001
    # the search of somebody else, over the same figures
    other = [-1.12, -1.06, -0.99, -0.68, -0.26, 0.97, 0.79, 0.54, 1.89]
    np.testing.assert_allclose(
        result.axis[pd.factorize(EMOTIONS)[0].searchsorted(range(9))], other, atol=0.01
    )


def test_the_best_cell_follows_mean_valence_in_the_raw_mean():
    """An independent look gave +.415, over 32 channels, raw mean of people and seconds."""
    cell = load_faced_table()["raw_mean"].sel(people="all", channel="PO3", band="gamma").values
    valence = load_ratings()["valence_mean"].to_numpy()
    assert np.corrcoef(cell, valence)[0, 1] == pytest.approx(0.415, abs=0.0005)
