"""Topography: every number against an independent oracle, every search against its planted truth and none."""

from __future__ import annotations

from itertools import combinations, permutations

import numpy as np
import pytest
from scipy.stats import binom, pearsonr

from kernel import stats
from kernel.brain.cohort import (
    FACED_CHANNELS,
    FACED_CLASSES,
    FACED_CLIP_EMOTIONS,
    FACED_SCALP,
    Cohort,
    cohort_tensor,
    scalp_info,
    standardise,
    trial_features,
)
from kernel.brain.seedv import SEED_V_CHANNELS
from kernel.brain.simulate import CLASS_VALENCE, simulate_cohort
from kernel.brain.topography import (
    PAPER_EMOTIONS,
    asymmetry,
    band_contrast,
    band_means,
    cell_correlations,
    cell_map,
    cluster_test,
    connectivity,
    nine_clips,
    region_contrast,
    region_means,
    regions,
    simpson,
    subject_correlations,
    subject_oracle,
    time_course,
    weighted_gain,
)

BANDS = ("delta", "theta", "alpha", "beta", "gamma")
FACED = np.array(FACED_CLIP_EMOTIONS)
VALENCE = np.array([CLASS_VALENCE[FACED_CLASSES.index(emotion)] for emotion in FACED])
FIVE = np.repeat(list("abcde"), 9)  # the make-up of SEED-V
FIVE_POSITIONS = np.repeat([-1.3, -0.8, -0.4, 0.6, 1.9], 9)


def corrcoef(x, y):
    return np.corrcoef(x, y)[0, 1]


def simulated(seed, preset, n_subjects=123):
    cohort, _ = simulate_cohort(seed, preset, window=30.0, n_subjects=n_subjects)
    return standardise(cohort.select(channels=FACED_SCALP))


def make_cohort(de, emotions=FACED, channels=FACED_CHANNELS):
    return Cohort.from_arrays(
        de,
        subjects=range(len(de)),
        emotions=emotions,
        channels=channels,
        bands="official",
        dataset="none",
        provenance="a test",
        simulated=True,
    )


# The map


def test_correlations_are_those_of_numpy(rng):
    X, y = rng.standard_normal((28, 4, 5)), rng.standard_normal((3, 28))
    batch = cell_correlations(X, y)
    assert batch.shape == (3, 4, 5) and cell_correlations(X, y[0]).shape == (4, 5)
    for target, own in zip(y, batch, strict=True):
        np.testing.assert_allclose(own, cell_correlations(X, target))
        assert own[2, 3] == pytest.approx(corrcoef(X[:, 2, 3], target))
    assert cell_correlations(1e8 + 1e-2 * y[0][:, None], y[0]) == pytest.approx(1, abs=1e-6)


def test_the_map_agrees_with_scipy_and_with_single_tests(rng):
    X = rng.standard_normal((28, 3, 2))
    found = cell_map(X, VALENCE, FACED, n_permutations=500, random_state=3)
    for cell in np.ndindex(3, 2):
        r, p = pearsonr(X[:, *cell], VALENCE)
        assert found.r[cell] == pytest.approx(r) and found.p_parametric[cell] == pytest.approx(p)
        single = stats.permutation_test(
            stats.pearson, X[:, *cell], VALENCE, groups=FACED, n_permutations=500, random_state=3
        )
        assert found.p[cell] == pytest.approx(single.p)
        corrected = stats.permutation_p(abs(r), found.null, alternative="greater")
        assert found.p_max[cell] == pytest.approx(corrected)
    assert found.best == np.unravel_index(np.abs(found.r).argmax(), (3, 2))
    assert found.r_best == found.r[found.best] and not found.exact
    assert found.p_best == found.p_max[found.best] == found.p_max.min()
    assert (found.p_max >= found.p).all()
    table = found.table("abc", ["low", "high"])
    assert table["r"].iloc[0] == found.r_best and table.loc[("c", "low"), "p"] == found.p[2, 0]


def test_five_emotions_are_enumerated(rng):
    X = rng.standard_normal((45, 62, 5))
    found = cell_map(X, FIVE_POSITIONS, FIVE)
    assert found.exact and len(found.null) == 120
    orders = np.array(list(permutations(np.unique(FIVE_POSITIONS)))).repeat(9, axis=1)
    largest = [max(abs(corrcoef(x, order)) for x in X.reshape(45, -1).T) for order in orders[:10]]
    np.testing.assert_allclose(largest, np.abs(cell_correlations(X, orders[:10])).max((1, 2)))
    np.testing.assert_allclose(np.sort(found.null), np.sort(np.abs(cell_correlations(X, orders)).max((1, 2))))
    assert found.p_max.min() >= 1 / 120 and (found.p_max >= found.p).all()


def test_pieces_of_orders_change_nothing(rng, monkeypatch):
    X = rng.standard_normal((28, 3, 2))
    whole = cell_map(X, VALENCE, FACED, n_permutations=100)
    monkeypatch.setattr("kernel.brain.topography._CHUNK", 7 * 6)
    pieces = cell_map(X, VALENCE, FACED, n_permutations=100)
    np.testing.assert_allclose(pieces.null, whole.null)
    np.testing.assert_array_equal(pieces.p, whole.p)


def test_positions_that_vary_within_emotions_permute_clips(rng):
    X, y = rng.standard_normal((28, 3, 2)), rng.standard_normal(28)
    with pytest.raises(ValueError, match="varies within a group"):
        cell_map(X, y, FACED)
    X[:, 1, 1] = y
    assert cell_map(X, y, None, n_permutations=999).p_best == 1 / 1000


def test_the_maximum_finds_strong_valence_where_it_was_planted():
    for seed in range(3):
        _, truth = simulate_cohort(seed, "strong_valence", n_subjects=1, window=30.0)
        cohort = simulated(seed, "strong_valence")
        found = cell_map(cohort_tensor(cohort), VALENCE, cohort.emotions, n_permutations=2000)
        pattern = truth.valence_pattern[: len(FACED_SCALP)]
        assert found.p_best < 0.02
        assert pattern[found.best] > np.quantile(np.abs(pattern), 0.5)  # with its sign
        assert found.r_best > 0.6


def test_the_maximum_holds_its_level_without_valence_and_clips_as_units_do_not():
    rejected = {"null": [], "no_valence": [], "clips": []}
    for seed in range(120):
        for preset in ("null", "no_valence"):
            X = cohort_tensor(simulated(seed, preset, n_subjects=40))
            found = cell_map(X, VALENCE, FACED, n_permutations=199, random_state=seed)
            rejected[preset].append(found.p_best <= 0.05)
        by_clip = cell_map(X, VALENCE, None, n_permutations=199, random_state=seed)
        rejected["clips"].append(by_clip.p_best <= 0.05)  # of the cohort without valence
    low, high = binom.ppf([0.005, 0.995], 120, 0.05)
    assert low <= sum(rejected["null"]) <= high
    assert low <= sum(rejected["no_valence"]) <= high
    assert sum(rejected["clips"]) > 2 * high  # ... though nothing in it is ordered by valence


# Regions, bands, asymmetry


@pytest.mark.parametrize("channels", [FACED_SCALP, SEED_V_CHANNELS], ids=["FACED", "SEED-V"])
def test_every_scalp_electrode_has_one_region(channels):
    found = regions(channels)
    assert sorted(name for names in found.values() for name in names) == sorted(channels)
    assert list(found) == ["frontal", "central", "parietal", "occipital", "temporal"]


def test_regions_go_by_name():
    found = regions(["fpz", "FCz", "FC5", "CP1", "Cz", "T5", "TP8", "PO3", "CB1", "P7", "Oz", "A1", "M2"])
    assert found == {
        "frontal": ["fpz", "FCz", "FC5"],
        "central": ["CP1", "Cz"],
        "parietal": ["P7"],
        "occipital": ["PO3", "CB1", "Oz"],
        "temporal": ["T5", "TP8"],
    }
    with pytest.raises(ValueError, match=r"\['HEOR', 'X7'\].*drop them"):
        regions(["Fz", "HEOR", "X7"])


def test_means_are_means_over_cells(rng):
    X = rng.standard_normal((28, 32, 5))
    size = np.abs(cell_correlations(X, VALENCE))
    by_region, by_band = (
        region_means(X, VALENCE, FACED_CHANNELS, BANDS),
        band_means(X, VALENCE, FACED_CHANNELS, BANDS),
    )
    own = [FACED_CHANNELS.index(name) for name in ("PO3", "PO4", "Oz", "O1", "O2")]
    assert by_region.loc["occipital", "n_channels"] == 5 and by_region["n_channels"].sum() == 30
    assert by_region.loc["occipital", "all"] == pytest.approx(size[own].mean())
    assert by_region.loc["occipital", "beta"] == pytest.approx(size[own, 3].mean())
    assert by_band.loc["alpha", "mean"] == pytest.approx(size[:, 2].mean())
    assert by_band.loc["alpha", "largest"] == size[FACED_CHANNELS.index(by_band.loc["alpha", "channel"]), 2]
    contrast = region_contrast(X, VALENCE, FACED, FACED_CHANNELS, n_permutations=50)
    assert contrast.observed == pytest.approx(
        by_region.loc["occipital", "all"] - by_region.loc["frontal", "all"]
    )
    contrast = band_contrast(X, VALENCE, FACED, BANDS, "beta", n_permutations=50)
    assert contrast.observed == pytest.approx(
        by_band.loc["beta", "mean"] - by_band.drop("beta")["mean"].mean()
    )


def test_contrasts_find_what_is_planted_and_nothing_elsewhere(rng):
    X = rng.standard_normal((28, 30, 5))
    occipital = [FACED_SCALP.index(name) for name in regions(FACED_SCALP)["occipital"]]
    z = (VALENCE - VALENCE.mean())[:, None]
    back, alpha = X.copy(), X.copy()
    back[:, occipital] += z[..., None]
    alpha[:, :, 2] += z
    settings = {"n_permutations": 500}
    assert region_contrast(back, VALENCE, FACED, FACED_SCALP, **settings).p < 0.02
    swapped = region_contrast(back, VALENCE, FACED, FACED_SCALP, "frontal", "occipital", **settings)
    assert swapped.p > 0.95
    assert region_contrast(alpha, VALENCE, FACED, FACED_SCALP, **settings).p > 0.05
    assert band_contrast(alpha, VALENCE, FACED, BANDS, **settings).p < 0.02
    assert band_contrast(alpha, VALENCE, FACED, BANDS, "theta", **settings).p > 0.5
    assert band_contrast(back, VALENCE, FACED, BANDS, **settings).p > 0.05


def test_asymmetry_is_right_minus_left(rng):
    X = rng.standard_normal((28, 32, 5))
    f3, f4, fp1 = (FACED_CHANNELS.index(name) for name in ("F3", "F4", "Fp1"))
    without = asymmetry(X, VALENCE, FACED, FACED_CHANNELS, BANDS, n_permutations=500)
    X[:, f4, 2] = X[:, f3, 2] + 0.5 + VALENCE
    X[:, fp1, 0] += 100  # another band
    found = asymmetry(X, VALENCE, FACED, FACED_CHANNELS, BANDS, n_permutations=500)
    assert found.mean[0] == pytest.approx(0.5 + VALENCE.mean()) and found.r[0] == pytest.approx(1)
    assert found.p[0] == 1 / 501 and without.p[0] > 0.05 and without.overall.p > 0.05
    np.testing.assert_array_equal(found.mean[1:], without.mean[1:])
    np.testing.assert_array_equal(found.p[1:], without.p[1:])
    assert (found.p_max >= found.p).all()
    pairs = [("f3", "F4"), ("F7", "F8"), ("FP1", "Fp2")]
    d = np.mean([X[:, _at(b), 2] - X[:, _at(a), 2] for a, b in pairs], axis=0)
    again = asymmetry(X, VALENCE, FACED, FACED_CHANNELS, BANDS, pairs, n_permutations=500)
    assert again.overall.observed == found.overall.observed == pytest.approx(corrcoef(d, VALENCE))
    mirrored = asymmetry(X, VALENCE, FACED, FACED_CHANNELS, BANDS, [("F4", "F3")], n_permutations=50)
    assert mirrored.r[0] == pytest.approx(-1)


def _at(name):
    return [channel.lower() for channel in FACED_CHANNELS].index(name.lower())


# Which emotions carry it


def test_the_search_for_emotions_is_the_brute_force_one(rng):
    X = rng.standard_normal((28, 6, 2))
    found = nine_clips(X, VALENCE, FACED, n_permutations=50)
    x = X[:, *found.cell]
    sets = {
        chosen: (corrcoef(x[inside], VALENCE[inside]), corrcoef(x[~inside], VALENCE[~inside]))
        for chosen in combinations(FACED_CLASSES, 3)
        for inside in [np.isin(FACED, chosen)]
    }
    best = max(sets, key=lambda chosen: abs(sets[chosen][0]))
    assert abs(found.r_all) == pytest.approx(np.abs(cell_correlations(X, VALENCE)).max())
    assert found.best.emotions == best and found.best.n_clips == np.isin(FACED, best).sum()
    assert (found.best.r_in, found.best.r_out) == pytest.approx(sets[best])
    named = found.named
    assert set(named.emotions) == set(PAPER_EMOTIONS) and named.n_clips == 9
    assert (named.r_in, named.r_out) == pytest.approx(sets[named.emotions])


def test_the_null_of_the_search_searches_again(rng):
    X = rng.standard_normal((45, 4, 2))
    found = nine_clips(X, FIVE_POSITIONS, FIVE)
    null = []
    for order in permutations(np.unique(FIVE_POSITIONS)):
        y = np.repeat(order, 9)
        x = max(X.reshape(45, -1).T, key=lambda column, y=y: abs(corrcoef(column, y)))
        inside = [np.isin(FIVE, chosen) for chosen in combinations("abcde", 3)]
        null.append(max(abs(corrcoef(x[clips], y[clips])) for clips in inside))
    np.testing.assert_allclose(np.sort(found.null), np.sort(null))
    assert found.named is None


def test_planted_emotions_come_back(rng):
    planted = np.isin(FACED, ("anger", "joy", "neutral"))
    X = 0.5 * rng.standard_normal((28, 6, 2))
    X[planted, 4, 1] = 3 * (VALENCE - VALENCE.mean())[planted]
    found = nine_clips(X, VALENCE, FACED, n_permutations=500)
    assert found.cell == (4, 1) and found.best.emotions == ("anger", "neutral", "joy")
    assert found.best.r_in == pytest.approx(1) and found.best.n_clips == 10
    assert abs(found.best.r_out) < 0.6 and found.best.p < 0.02


def test_the_best_emotions_of_noise_look_strong_and_are_not(rng):
    naive, honest = [], []
    for _ in range(60):
        X = rng.standard_normal((45, 10, 2)) + np.repeat(rng.standard_normal((5, 10, 2)), 9, axis=0)
        best = nine_clips(X, FIVE_POSITIONS, FIVE).best
        naive.append(pearsonr_p(best.r_in, best.n_clips) < 0.05)
        honest.append(best.p <= 0.05)
    assert sum(naive) > 50
    assert sum(honest) <= binom.ppf(0.995, 60, 0.05)


def pearsonr_p(r, n):
    from scipy.stats import t

    return 2 * t.sf(abs(r) * np.sqrt((n - 2) / (1 - r**2)), n - 2)


def test_emotions_at_one_position_carry_nothing(rng):
    code = np.sign(VALENCE - 3.18)  # six and three emotions share a position, neutral has its own
    X = rng.standard_normal((28, 3, 2))
    found = nine_clips(X, code, FACED, n_permutations=200, named=FACED_CLASSES[:3])
    assert np.isnan(found.named.r_in) and found.named.p == 1
    assert abs(found.best.r_in) > 0 and np.isfinite(found.null).all()


def weighted_r(x, y, weights):
    covariance = np.cov(x, y, aweights=weights)
    return covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1])


def test_weights_are_those_of_a_weighted_correlation(rng):
    X = rng.standard_normal((28, 6, 2))
    found = weighted_gain(X, VALENCE, FACED, n_permutations=50)
    x = X[:, *found.cell]
    assert found.r == pytest.approx(corrcoef(x, VALENCE))
    tried = {}
    for first in FACED_CLASSES:
        for pair in combinations([emotion for emotion in FACED_CLASSES if emotion != first], 2):
            weights = np.where(FACED == first, 5, np.where(np.isin(FACED, pair), 3, 1))
            tried[first, pair] = weighted_r(x, VALENCE, weights)
    first, pair = max(tried, key=lambda key: abs(tried[key]))
    assert found.best.weights == {
        emotion: 5 if emotion == first else 3 if emotion in pair else 1 for emotion in FACED_CLASSES
    }
    assert found.best.r == pytest.approx(tried[first, pair])
    assert found.best.gain == pytest.approx(abs(tried[first, pair]) - abs(found.r))
    assert found.named.r == pytest.approx(tried["anger", ("amusement", "tenderness")])
    assert found.named.gain <= found.best.gain and found.named.weights["anger"] == 5


def test_equal_weights_gain_nothing_and_a_planted_gain_is_found(rng):
    X = 0.3 * rng.standard_normal((28, 1, 1))
    flat = weighted_gain(X, VALENCE, FACED, (2, 2), named={}, n_permutations=100)
    np.testing.assert_allclose(flat.null, 0, atol=1e-12)
    assert flat.best.gain == pytest.approx(0, abs=1e-12) and flat.best.p == 1
    z = VALENCE - VALENCE.mean()
    X[FACED == "anger", 0, 0] += 3 * z[FACED == "anger"]  # one emotion at the end of the axis stands out
    found = weighted_gain(X, VALENCE, FACED, (5, 1), named={"anger": 5}, n_permutations=100)
    assert found.best.weights == {emotion: 5 if emotion == "anger" else 1 for emotion in FACED_CLASSES}
    assert found.best.gain == found.named.gain > 0.02


def test_the_gain_of_noise_is_within_its_null(rng):
    rejected, gains = [], []
    for _ in range(60):
        X = rng.standard_normal((45, 10, 2)) + np.repeat(rng.standard_normal((5, 10, 2)), 9, axis=0)
        best = weighted_gain(X, FIVE_POSITIONS, FIVE).best
        rejected.append(best.p <= 0.05)
        gains.append(best.gain)
    assert np.mean(gains) > 0.05  # the best of thirty assignments gains without anything to gain
    assert sum(rejected) <= binom.ppf(0.995, 60, 0.05)


def test_clips_can_be_the_unit_of_the_searches(rng):
    X, y = rng.standard_normal((28, 3, 2)), rng.standard_normal(28)
    for search in (nine_clips, weighted_gain):
        with pytest.raises(ValueError, match="varies within a group"):
            search(X, y, FACED, n_permutations=20)
        assert 0 < search(X, y, FACED, permute="clips", n_permutations=20).best.p <= 1


# Subjects


def test_subjects_are_correlated_over_the_clips_they_have(rng):
    features, y = rng.standard_normal((4, 28, 3, 2)), rng.standard_normal((2, 28))
    features[1, :20], features[3, 5] = np.nan, np.nan
    found = subject_correlations(features, y)
    assert found.shape == (2, 4, 3, 2)
    for target, maps in zip(y, found, strict=True):
        np.testing.assert_allclose(maps, subject_correlations(features, target))
        for own, r in zip(features, maps, strict=True):
            there = np.isfinite(own[:, 0, 0])
            assert r[2, 1] == pytest.approx(corrcoef(own[there, 2, 1], target[there]))


def test_simpson_compares_the_cohort_with_its_subjects(rng):
    y, features = rng.standard_normal(28), 0.1 * rng.standard_normal((100, 28, 12, 5))
    strong = np.array([1, 4, 5, 7, 8, 9, 10, 11])
    far = np.arange(100) // 2 % 5 == 0  # one in five goes far one way, the others a little the other way
    amplitude = np.where(far, 20.0, -1.0)
    features[:, :, strong] += (amplitude[:, None] * y)[..., None, None]
    features[1, 3] = np.nan
    found = simpson(features, y, n_resamples=500)
    assert set(found.channels) == set(strong)
    own = features[1::2][:, :, strong].mean((2, 3))
    r = [corrcoef(x[np.isfinite(x)], y[np.isfinite(x)]) for x in own]
    assert found.cohort.value == pytest.approx(corrcoef(np.nanmean(own, 0), y))
    assert found.subjects.value == pytest.approx(np.mean(r))
    assert found.opposed.value == pytest.approx(min(found.cohort.value, -found.subjects.value))
    assert found.subjects.high < 0 < found.cohort.low and found.opposed.low > 0
    assert simpson(features, y, n_resamples=500).opposed == found.opposed


def test_the_subjects_who_choose_channels_do_not_judge_them(rng):
    y, features = rng.standard_normal(28), rng.standard_normal((60, 28, 12, 5))
    features[::2, :, 2:4] += y[:, None, None]
    features[1::2, :, 7:9] += y[:, None, None]
    found = simpson(features, y, n_channels=2, n_resamples=500)
    assert set(found.channels) == {2, 3}
    assert found.subjects.low < 0 < found.subjects.high


def test_few_people_who_miss_a_clip_have_a_simpson_interval(rng):
    y, features = (
        rng.standard_normal(28),
        rng.standard_normal((8, 28, 12, 5)) + rng.standard_normal(28)[:, None, None],
    )
    features[[1, 3, 5], 4] = np.nan  # of four judges one has the clip: every third sample lacks it
    found = simpson(features, y, n_resamples=500)
    own = features[1::2][:, :, found.channels].mean((2, 3))
    assert found.cohort.value == pytest.approx(corrcoef(np.nanmean(own, 0), y))
    assert np.isfinite([*found.cohort, *found.subjects, *found.opposed]).all()


def test_averaging_alone_is_no_paradox(rng):
    y = rng.standard_normal(28)
    features = rng.standard_normal((40, 28, 12, 5)) + 0.1 * y[:, None, None]
    found = simpson(features, y, n_resamples=500)
    assert found.cohort.value > found.subjects.value  # the mean over subjects has less noise
    assert found.opposed.high < 0
    assert found.subjects.low > 0 and found.cohort.low > 0  # but the sign is one
    noise = simpson(rng.standard_normal((40, 28, 12, 5)), y, n_resamples=500)
    assert noise.subjects.low < 0 < noise.subjects.high


def test_the_oracle_is_the_best_of_each_subject(rng):
    features = rng.standard_normal((6, 28, 4, 3))
    features[2, 7] = np.nan
    found = subject_oracle(features, VALENCE, FACED, n_permutations=30, random_state=1)
    size = np.abs(subject_correlations(features, VALENCE))
    by_band = size.max(1)
    assert found.band == by_band.mean(0).argmax()
    assert found.channel.observed == pytest.approx(by_band.mean(0).max())
    assert found.cell.observed == pytest.approx(size.max((1, 2)).mean())
    np.testing.assert_allclose(found.by_subject.mean(0), [found.channel.observed, found.cell.observed])
    orders = stats.permutation_test(
        lambda _, Y: np.abs(subject_correlations(features, Y)).max((-2, -1)).mean(-1),
        np.arange(28), VALENCE, groups=FACED, n_permutations=30, random_state=1, alternative="greater",
    )  # fmt: skip
    np.testing.assert_allclose(found.cell.null, orders.null)
    assert found.cell.p == orders.p


def test_the_oracle_of_noise_is_high_and_within_its_null(rng):
    features = rng.standard_normal((20, 28, 30, 5))
    noise = subject_oracle(features, VALENCE, FACED, n_permutations=200)
    assert noise.cell.observed > 0.4 and noise.cell.p > 0.05 and noise.channel.p > 0.05
    places = rng.integers(30, size=20)  # everyone has a channel of their own, at random
    features[np.arange(20), :, places, 3] += 2 * (VALENCE - VALENCE.mean()) / VALENCE.std()
    planted = subject_oracle(features, VALENCE, FACED, n_permutations=200)
    assert planted.band == 3 and planted.channel.p == planted.cell.p == 1 / 201


def test_subjects_agree_wherever_emotions_are_decodable_whether_or_not_valence_plays_a_part():
    p = {"no_valence": [], "null": []}
    maxima = []
    for seed in range(5):
        for preset, found in p.items():
            cohort = simulated(seed, preset)
            features = trial_features(cohort)
            test = cluster_test(features, VALENCE, cohort.info(), n_permutations=200, random_state=seed)
            found.append(test.p_min)
            assert test.t.shape == (30, 5) and test.clusters.shape == (len(test.p), 30, 5)
        X = cohort_tensor(simulated(seed, "no_valence"))
        maxima.append(cell_map(X, VALENCE, FACED, n_permutations=500).p_best)
    assert max(p["no_valence"]) < 0.05 < min(maxima)
    assert min(p["null"]) > 0.05


def test_clusters_are_the_planted_cells_and_their_neighbours(rng):
    info = scalp_info(FACED_SCALP, sfreq=1.0)
    z = (VALENCE - VALENCE.mean()) / VALENCE.std()
    features = rng.standard_normal((20, 28, 30, 5))
    features[:, :, :2, 1:3] += z[:, None, None]  # Fp1 and Fp2, theta and alpha
    features[:, :, -1, 4] += z  # O2, gamma
    features[3, 5] = np.nan
    found = cluster_test(features, VALENCE, info, n_permutations=200, threshold=6.0)
    r = np.arctanh(subject_correlations(features, VALENCE))
    np.testing.assert_allclose(found.t, r.mean(0) / (r.std(0, ddof=1) / np.sqrt(20)))
    assert sorted(found.clusters.sum((1, 2))) == [1, 4] and (found.p < 0.05).all()
    assert found.clusters[:, -1, 4].any() and found.clusters[:, :2, 1:3].sum() == 4
    again = cluster_test(features, VALENCE, info, n_permutations=200, threshold=6.0)
    np.testing.assert_array_equal(again.p, found.p)
    tfce = cluster_test(features, VALENCE, info, n_permutations=100, threshold="tfce")
    assert tfce.clusters.shape == (150, 30, 5) and tfce.p_min < 0.05
    none = cluster_test(features, VALENCE, info, n_permutations=20, threshold=1000.0)
    assert none.clusters.shape == (0, 30, 5) and none.p_min == 1


# Time and connectivity


def test_the_peak_is_where_it_was_planted_and_ears_do_not_count(rng):
    de = rng.standard_normal((5, 28, 12, 32, 5)).astype(np.float32)
    z = (VALENCE - VALENCE.mean()) / VALENCE.std()
    noise = time_course(make_cohort(de), VALENCE, FACED, n_permutations=200)
    assert (noise.p > 0.02).all() and noise.bands == BANDS
    de[:, :, 7, :30, 2] += z[:, None]
    de[:, :, 3, 30:] += 1000 * z[:, None, None]  # on the ears
    de[2, 4] = np.nan
    found = time_course(make_cohort(de), VALENCE, FACED, n_permutations=200)
    assert found.peak[2] == 7 and found.p[2] == 1 / 201 and found.r[2, 7] > 0.9
    assert (np.delete(found.p, 2) > 0.02).all() and found.null.shape == (5, 200)
    x = np.nanmean(de[:, :, 7, :30, 2].mean(-1, dtype=float), axis=0)
    assert found.r[2, 7] == pytest.approx(corrcoef(x, VALENCE))
    de[:, 9, 10:] = np.nan  # one clip is shorter
    assert time_course(make_cohort(de), VALENCE, FACED, n_permutations=20).seconds.tolist() == list(range(10))


def test_connectivity_is_the_correlation_within_trials(rng):
    de = rng.standard_normal((1, 28, 10, 32, 5)).astype(np.float32)
    own = [FACED_CHANNELS.index(name) for name in ("F7", "Oz", "T8")]
    de[..., own, 4] += 9 * (VALENCE - VALENCE.mean())[None, :, None, None]  # these three follow the axis
    found = connectivity(make_cohort(de), VALENCE, FACED, n_channels=3, n_permutations=50)
    rows = (de[0, ..., 4] - de[0, ..., 4].mean(1, keepdims=True)).reshape(-1, 32)
    np.testing.assert_allclose(found.matrix, np.corrcoef(rows.T), atol=1e-5)
    assert set(found.channels) == {"F7", "Oz", "T8"}
    a, b, c = (FACED_CHANNELS.index(name) for name in found.channels)
    m = found.matrix
    assert found.mean == pytest.approx((m[a, b] + m[a, c] + m[b, c]) / 3)
    assert found.strength[0] == pytest.approx((m[a, b] + m[a, c]) / 2)
    assert found.difference == pytest.approx(found.mean - found.null.mean())


def test_a_planted_network_is_found_with_its_hub_and_independent_channels_are_none(rng):
    names = ["Fp1", "F7", "C3", "Pz", "O2", "T8", "FC2", "CP6"]
    own = [FACED_CHANNELS.index(name) for name in names]
    de = rng.standard_normal((4, 28, 10, 32, 5)).astype(np.float32)
    code = np.unique(FACED, return_inverse=True)[1]
    de[..., 4] += 9 * rng.standard_normal((9, 32))[code][None, :, None]  # every channel follows some axis
    de[..., own, 4] += 99 * (VALENCE - VALENCE.mean())[None, :, None, None]  # eight of them this one
    alone = connectivity(make_cohort(de), VALENCE, FACED, n_permutations=999)
    assert set(alone.channels) == set(names) and abs(alone.mean) < 0.05 < alone.p
    shared = rng.standard_normal((4, 28, 10)).astype(np.float32)
    de[..., own, 4] += shared[..., None]
    de[..., own[1], 4] += 2 * shared  # F7 has more of it
    de[3, 2], de[2, 5, 6:] = np.nan, np.nan
    found = connectivity(make_cohort(de), VALENCE, FACED, n_permutations=999)
    assert found.p < 0.05 and found.channels[found.strength.argmax()] == "F7" and found.difference > 0.2
    assert abs(connectivity(make_cohort(de), VALENCE, FACED, band="beta", n_permutations=99).mean) < 0.05


def test_neighbours_that_follow_no_axis_are_no_network():
    """Ten cohorts coupled by geometry alone; 4 or more of 10 at .05 have probability .001."""
    found = [
        connectivity(
            standardise(simulate_cohort(seed, "no_valence", n_subjects=10, window=3.0)[0]),
            VALENCE,
            FACED,
            n_permutations=199,
        )
        for seed in range(10)
    ]
    assert sum(a.p <= 0.05 for a in found) < 4
    assert np.mean([a.null.std() for a in found]) > 0.01  # geometry does couple some choices more than others


# Errors name the value and the cure

X = np.random.default_rng(0).standard_normal((28, 32, 5))
FEATURES = np.random.default_rng(0).standard_normal((6, 28, 4, 2))
HOLED = np.where(np.arange(4)[:, None] == 2, np.nan, FEATURES)
TWO_TRIALS, THREE_TRIALS = (np.where(np.arange(28)[:, None, None] < n, FEATURES, np.nan) for n in (2, 3))
FLAT = np.where(np.arange(32)[:, None] == 3, 1.0, X)
COHORT = make_cohort(np.random.default_rng(0).standard_normal((2, 28, 3, 32, 5)))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: cell_correlations(X, VALENCE[:5]), r"got \(28, 32, 5\) and \(5,\)"),
        (lambda: cell_map(np.where(X > 3, np.nan, X), VALENCE, FACED), "X holds NaN or inf"),
        (lambda: cell_map(FLAT, VALENCE, FACED), r"X is constant at 1 at \[3, 0\]"),
        (lambda: cell_map(X, np.ones(28), FACED), "y is constant at 1"),
        (lambda: cell_map(X[:, 0], VALENCE, FACED), r"n_channels, n_bands\), got shape \(28, 5\)"),
        (lambda: cell_map(X, VALENCE, FACED[:3]), r"emotions must have shape \(28,\)"),
        (lambda: cell_map(X, VALENCE, FACED).table(FACED_CHANNELS, "ab"), "2 bands are named, X has 5"),
        (lambda: region_means(X, VALENCE, FACED_SCALP, BANDS), "30 channels are named, X has 32"),
        (lambda: region_contrast(X, VALENCE, FACED, FACED_CHANNELS, "insular"), "'insular'.*frontal"),
        (lambda: band_contrast(X, VALENCE, FACED, BANDS, "mu"), "no band 'mu': there are delta"),
        (lambda: band_contrast(X[..., :1], VALENCE, FACED, ["alpha"]), "contrast needs two"),
        (
            lambda: asymmetry(X, VALENCE, FACED, FACED_CHANNELS, BANDS, [("AF3", "AF4"), ("F3", "F4")]),
            r"electrodes \['AF3'\] are missing",
        ),
        (lambda: nine_clips(X, VALENCE, FACED, 9), "between 2 and 8, got 9"),
        (lambda: nine_clips(X, VALENCE, None), "permute='clips'"),
        (lambda: nine_clips(X, VALENCE, FACED, permute="films"), "got 'films'"),
        (lambda: weighted_gain(X, VALENCE, FACED, (5, 0)), r"positive, got \(5, 0\)"),
        (lambda: weighted_gain(X, VALENCE, FACED, (5,)), "2 to 10 numbers"),
        (lambda: subject_correlations(HOLED, VALENCE), "NaN in part"),
        (lambda: subject_correlations(FEATURES, VALENCE[:4]), r"28 clips, y has shape \(4,\)"),
        (
            lambda: subject_correlations(TWO_TRIALS, VALENCE),
            "place 0 has 2 trials",
        ),
        (
            lambda: subject_correlations(THREE_TRIALS, VALENCE),
            "y is constant over the trials of the subject at place 0",
        ),
        (lambda: simpson(FEATURES, VALENCE, n_channels=5), "5 channels"),
        (lambda: subject_oracle(FEATURES[0], VALENCE, FACED), "got shape"),
        (
            lambda: cluster_test(FEATURES, VALENCE, scalp_info(FACED_SCALP, sfreq=1.0)),
            "info has 30 channels, features have 4",
        ),
        (
            lambda: cluster_test(FEATURES, VALENCE, scalp_info(FACED_SCALP[:4], sfreq=1.0), threshold="t"),
            "got 't'",
        ),
        (lambda: time_course(COHORT, np.ones(28), FACED), "y is constant"),
        (lambda: connectivity(COHORT, VALENCE, FACED, band="mu"), "no band 'mu'"),
        (lambda: connectivity(COHORT, VALENCE, FACED, n_channels=32), "between 2 and 31, got 32"),
        (lambda: connectivity(COHORT, VALENCE, FACED, n_channels=1), "between 2 and 31, got 1"),
        (lambda: connectivity(simulated(0, "null", 2), VALENCE, FACED), "one window a trial"),
    ],
)
def test_errors_name_the_value_and_the_cure(call, message):
    with pytest.raises(ValueError, match=message):
        call()
