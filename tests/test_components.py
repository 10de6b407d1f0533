"""Variance components: planted sizes come back, absent ones do not, and the sizes are those of FACED."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from kernel.audit import variance
from kernel.audit.material import Material
from kernel.audit.tables import TABLES
from kernel.brain import components
from kernel.brain.cohort import Cohort, trial_features
from kernel.brain.components import FACED_COMPONENTS, FacedSettings, simulate_components, variance_components
from kernel.brain.designs import FACED_CLIP_EMOTIONS, FACED_FILMS, FACED_SCALP
from kernel.brain.ratings import load_ratings
from kernel.brain.simulate import simulate_cohort

#: Row of the table, field of the sizes, and the error to allow with 60 people, relative to the size. Channels
#: are so correlated that they count as one or two: 59 persons or slopes have a standard error of
#: 1 / sqrt(118) = .09, 27 x 59 trials of people who differ in size .05, seconds next to none.
ROWS = {
    "person": ("person", 0.3),
    "slope": ("slope", 0.35),
    "person x clip": ("person_clip", 0.2),
    "ou": ("ou", 0.05),
    "white": ("white", 0.05),
}


def without(*names):
    none = {name: replace(getattr(FACED_COMPONENTS, name), sd=(0.0,) * 5) for name in names}
    return replace(FACED_COMPONENTS, **none)


@pytest.fixture(scope="module")
def simulated():
    return simulate_components(0, n_subjects=60)


@pytest.fixture(scope="module")
def table(simulated):
    return variance_components(simulated[0])


def slopes(cohort, predictor):
    """Slope of trials on a predictor (n_subjects, n_clips), both without persons and clips."""
    trials = trial_features(cohort)
    trials = trials - trials.mean(0) - trials.mean(1, keepdims=True)
    x = predictor - predictor.mean(0) - predictor.mean(1, keepdims=True) + predictor.mean()
    return np.tensordot(x, trials, axes=2) / (x**2).sum()


# Estimates


def test_planted_sizes_come_back(simulated, table):
    for row, (name, error) in ROWS.items():
        np.testing.assert_allclose(table.loc[row], getattr(FACED_COMPONENTS, name).sd, rtol=error)
    planted = np.sqrt(simulated[1].effect.var(0, ddof=1).mean(0))
    # gamma's clips, .03, lie below what 60 people leave of its person x clip, .31 / sqrt(60) = .04
    np.testing.assert_allclose(table.loc["clip"].iloc[:4], planted[:4], rtol=0.2)
    np.testing.assert_allclose(table.loc["time constant"], FACED_COMPONENTS.time_constants, rtol=0.15)
    ou, white = np.array(FACED_COMPONENTS.ou.sd), np.array(FACED_COMPONENTS.white.sd)
    lag = np.abs(np.subtract.outer(np.arange(30), np.arange(30)))
    in_mean = [np.exp(-lag / tau).mean() for tau in FACED_COMPONENTS.time_constants]
    left = np.sqrt(ou**2 * (1 - np.array(in_mean)) + white**2 * 29 / 30)
    np.testing.assert_allclose(table.loc["within clip"], left, rtol=0.02)


@pytest.mark.parametrize("rows", [("clip", "slope", "ou"), ("person", "person x clip"), ("white",)])
def test_absent_components_are_near_zero(rows):
    names = {row: ROWS[row][0] if row in ROWS else row for row in rows}
    cohort, _ = simulate_components(1, n_subjects=60, components=without(*names.values()))
    # a variance is known to a tenth of the next larger one, that is to a fifth of its own, at worst
    estimates = variance_components(cohort)
    for row, name in names.items():
        assert (estimates.loc[row] < 0.5 * np.array(getattr(FACED_COMPONENTS, name).sd)).all()


@pytest.mark.faced
def test_the_sizes_are_those_of_faced(faced):
    real = variance_components(faced.select(channels=FACED_SCALP))
    for row, name in [("clip", "clip"), *((row, ROWS[row][0]) for row in ROWS)]:
        np.testing.assert_allclose(real.loc[row], getattr(FACED_COMPONENTS, name).sd, atol=0.003)
    np.testing.assert_allclose(real.loc["time constant"], FACED_COMPONENTS.time_constants, rtol=0.15)


# Shares of ratings


def test_shares_are_those_of_a_two_way_layout(rng):
    x = 3 + 2 * rng.standard_normal((400, 1)) + rng.standard_normal(300) + rng.standard_normal((400, 300))
    shares = variance._variance_shares(x)
    assert shares.sum() == pytest.approx(1)
    # 400 persons and 300 clips: relative standard errors of .07 and .08 of their variance
    assert shares.to_dict() == pytest.approx({"person": 4 / 6, "clip": 1 / 6, "rest": 1 / 6}, abs=0.07)
    alike = variance._variance_shares(np.tile(rng.standard_normal(9), (5, 1))).to_dict()
    assert alike == pytest.approx({"person": 0, "clip": 1, "rest": 0})


@pytest.mark.faced
@pytest.mark.parametrize(("item", "rest"), [("valence", 0.48), ("liking", 0.49), ("arousal", 0.56)])
def test_half_of_the_ratings_lies_between_people_within_a_clip(faced, item, rest):
    assert variance._variance_shares(faced.person_rating(item))["rest"] == pytest.approx(rest, abs=0.005)


def test_the_table_has_sizes_and_shares_of_what_was_planted():
    shares = {}
    for slope, sizes in {"slope": FACED_COMPONENTS, "no slope": without("slope")}.items():
        cohort, _ = simulate_components(2, n_subjects=20, components=sizes)
        table = variance.variance(Material(cohort), "all").set_index(["quantity", "component", "of"])
        sizes = variance_components(cohort)
        assert table.loc[("sd", "person", "alpha"), "value"] == sizes.loc["person", "alpha"]
        bands = table["value"].filter(like="share, ", axis=0).unstack("component").dropna(axis=1, how="all")
        eeg = bands.xs("EEG", level="of")
        np.testing.assert_allclose(eeg.sum(axis=1), 1)
        # a slope counts with the mean square of positions from -1 to 1
        ratio = sizes.loc["slope"] ** 2 / 3 / sizes.loc["person"] ** 2
        np.testing.assert_allclose(eeg["slope"] / eeg["person"], ratio[[name[7:] for name in eeg.index]])
        shares[slope] = eeg.loc["share, gamma", "slope"]
        ratings = table.loc[("share, ratings", slice(None), "liking"), "value"].droplevel([0, 2]).to_dict()
        assert ratings == variance._variance_shares(cohort.person_rating("liking")).to_dict()
    # .027 by the sizes; variances of 19 differences between people have a standard error of a third
    assert 0.01 < shares["slope"] < 0.05 and shares["no slope"] < 0.004


def test_a_simulated_cohort_is_like_another_of_its_sizes(monkeypatch):
    def few(seed, **options):
        return simulate_components(seed, n_subjects=12, **options)

    monkeypatch.setattr(components, "simulate_components", few)
    table = TABLES["simulator_check"].compute(Material(few(1)[0]), "all").set_index("quantity")
    assert list(table) == ["real", "simulated"] and "clips identified, of 28" in table.index
    sd = table.filter(like="sd, ", axis=0)
    np.testing.assert_allclose(sd["simulated"], sd["real"], rtol=0.3)  # each of 12 people


# The simulation


def test_a_seed_gives_one_cohort_whatever_follows():
    few, truth = simulate_components(3, n_subjects=3, window=30.0)
    many, _ = simulate_components(3, n_subjects=6, window=30.0)
    for name in ("de", "order"):
        np.testing.assert_array_equal(getattr(many, name)[:3], getattr(few, name))
    np.testing.assert_array_equal(many.person_rating()[:3], few.person_rating())
    assert not np.allclose(few.de, simulate_components(4, n_subjects=3, window=30.0)[0].de)
    assert few.de.shape == (3, 28, 1, 30, 5) and truth.deviation.shape == (3, 28)
    assert few.films.tolist() == list(FACED_FILMS)


def test_the_label_says_that_it_is_simulated_and_what_is_planted():
    assert simulate_cohort(0, "faced", n_subjects=2)[0].label == "simulated cohort, seed 0, faced"
    settings = FacedSettings(valence=0.3, within=0.1)
    cohort, truth = simulate_cohort(5, settings, n_subjects=2, window=30.0)
    assert cohort.label == "simulated cohort, seed 5, faced, valence 0.3, within 0.1"
    assert cohort.simulated and truth.settings == settings


def test_trial_means_drawn_at_once_vary_like_means_over_seconds(simulated):
    noise = without("person_clip", "clip")
    seconds, at_once = (
        simulate_components(0, n_subjects=60, window=w, components=noise)[0] for w in (1.0, 30.0)
    )
    # slopes are shared; 60 x 27 trials of noise: 2 %
    a, b = (trial_features(cohort).std(1).mean((0, 1)) for cohort in (seconds, at_once))
    np.testing.assert_allclose(a, b, rtol=0.06)
    np.testing.assert_array_equal(at_once.order, simulated[0].order)


@pytest.mark.parametrize("share", [0.6, 0.0])
def test_valence_takes_its_share_of_clips_and_keeps_the_total(share):
    effects = [simulate_components(s, n_subjects=1, window=30.0, valence=share)[1] for s in range(40)]
    sd = np.array(FACED_COMPONENTS.clip.sd)
    along = [np.tensordot(t.valence, t.effect, axes=1) / 28 / sd * t.valence_pattern for t in effects]
    values = np.mean(along, (1, 2))
    assert values.mean() == pytest.approx(share, abs=4 * values.std() / np.sqrt(40))
    size = np.mean([(t.effect**2).mean((0, 1)) for t in effects], 0)
    np.testing.assert_allclose(np.sqrt(size), sd, rtol=0.12)
    rated = load_ratings()["valence_mean"].to_numpy()
    assert np.corrcoef(effects[0].valence, rated)[0, 1] == pytest.approx(1)


@pytest.mark.parametrize("share", [0.4, 0.0])
def test_deviating_ratings_show_in_the_eeg_only_where_planted(share):
    cohort, truth = simulate_components(1, window=30.0, within=share)
    slope = slopes(cohort, truth.deviation) / FACED_COMPONENTS.person_clip.sd
    planted = share * truth.gain.mean() * truth.valence_pattern
    # 123 x 27 trials, whose noise counts up to twice: 2 / sqrt(3321) = .035 of person x clip
    assert np.abs(slope - planted).max() < 4 * 0.035
    rating = slopes(cohort, cohort.person_rating()) * truth.valence_pattern
    assert (rating.mean() > 0.005) == bool(share)
    real = load_ratings()
    for item in ("valence", "liking", "arousal", "familiarity"):
        # 123 people: 1.5 / 11 = .14 for a mean, of which persons are shared
        np.testing.assert_allclose(cohort.rating(item), real[f"{item}_mean"], atol=0.6)
        spread = cohort.person_rating(item).std(0).mean()
        assert spread == pytest.approx(real[f"{item}_sd"].mean(), rel=0.1)


@pytest.mark.parametrize("shared", [0.0, 1.0])
def test_a_profile_tells_shared_from_separate_noise(rng, shared):
    """One unit of noise in each cell, or the same in all; trial means of a person vary by half a nat."""
    shape = (6, 28, 30, 4, 5)
    noise = rng.standard_normal(shape) * (1 - shared) + rng.standard_normal((*shape[:3], 1, 1)) * shared
    de = noise + 0.5 * rng.standard_normal((6, 28, 1, 1, 1))
    cohort = Cohort.from_arrays(
        de, subjects=range(6), emotions=FACED_CLIP_EMOTIONS, channels=["Fz", "Cz", "Pz", "Oz"],
        dataset="FACED", provenance="simulated: noise", simulated=True,
    )  # fmt: skip
    profile = variance.profile(cohort)
    r, sd = (profile[profile.index.str.startswith(start)].to_numpy() for start in ("r of", "sd"))
    assert r == pytest.approx(shared, abs=4 / np.sqrt(6 * 28 * 29))
    assert sd == pytest.approx(np.sqrt(0.25 + 1 / 30), rel=4 / np.sqrt(2 * 6 * 27))


# Errors name the value and the cure


def made(window):
    return simulate_components(0, n_subjects=4, window=window)[0]


def holed():
    return made(2.0).with_de(np.where(np.arange(28)[:, None, None, None] == 4, np.nan, made(2.0).de))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: simulate_components(0, window=7.0), "divide 30, got 7.0"),
        (lambda: simulate_components(0, window=0.5), "whole seconds"),
        (lambda: simulate_components(0, valence=1.2), r"valence must lie in \[0, 1\], got 1.2"),
        (lambda: simulate_components(0, n_subjects=0), "got 0"),
        (lambda: variance_components(made(30.0)), "at least 12 windows, got 1"),
        (lambda: variance_components(holed()), "a trial is missing, short or of unknown position"),
    ],
)
def test_errors_name_the_value_and_the_cure(call, message):
    with pytest.raises(ValueError, match=message):
        call()
