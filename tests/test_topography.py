"""Maps and people: numbers against independent oracles, searches against planted truths and their absence."""

from __future__ import annotations

from itertools import combinations, permutations

import numpy as np
import pytest
from scipy.stats import binom, pearsonr
from scipy.stats import t as student_t

from kernel import stats
from kernel.brain import topography as tp
from kernel.brain.cohort import Cohort, cohort_tensor, standardise, trial_features
from kernel.brain.designs import (
    CLASS_VALENCE,
    FACED_CHANNELS,
    FACED_CLASSES,
    FACED_CLIP_EMOTIONS,
    FACED_SCALP,
    scalp_info,
)
from kernel.brain.people import ClusterTest, _subject_correlations, cluster_test, simpson, subject_oracle
from kernel.brain.seedv import SEED_V_CHANNELS
from kernel.brain.simulate import simulate_cohort

FACED = np.array(FACED_CLIP_EMOTIONS)
VALENCE = np.array([CLASS_VALENCE[FACED_CLASSES.index(emotion)] for emotion in FACED])
Z = (VALENCE - VALENCE.mean()) / VALENCE.std()
FIVE = np.repeat(list("abcde"), 9)  # the make-up of SEED-V
FIVE_POSITIONS = np.repeat([-1.3, -0.8, -0.4, 0.6, 1.9], 9)
ORDERS = np.array(list(permutations(np.unique(FIVE_POSITIONS)))).repeat(9, axis=1)


def corrcoef(x, y):
    return np.corrcoef(x, y)[0, 1]


def best_column(X, y):
    """The cell with the largest correlation."""
    return max(X.reshape(len(X), -1).T, key=lambda column: abs(corrcoef(column, y)))


def simulated(seed, preset, n_subjects=123):
    cohort, _ = simulate_cohort(seed, preset, window=30.0, n_subjects=n_subjects)
    return standardise(cohort.select(channels=FACED_SCALP))


def make_cohort(de):
    return Cohort.from_arrays(
        de,
        subjects=range(len(de)),
        emotions=FACED,
        channels=FACED_CHANNELS,
        bands="official",
        dataset="none",
        provenance="a test",
        simulated=True,
    )


# The map


def test_correlations_are_those_of_numpy(rng):
    X, y = rng.standard_normal((28, 4, 5)), rng.standard_normal((3, 28))
    batch = tp.cell_correlations(X, y)
    assert batch.shape == (3, 4, 5)
    for target, r in zip(y, batch, strict=True):
        np.testing.assert_allclose(r, tp.cell_correlations(X, target))
        assert r[2, 3] == pytest.approx(corrcoef(X[:, 2, 3], target))
    assert tp.cell_correlations(1e8 + 1e-2 * y[0][:, None], y[0]) == pytest.approx(1, abs=1e-6)


def test_the_map_agrees_with_scipy_and_with_single_tests_in_pieces_of_orders_too(rng, monkeypatch):
    X = rng.standard_normal((28, 3, 2))
    options = {"n_permutations": 300, "random_state": 3}
    cells = tp.cell_map(X, VALENCE, FACED, **options)
    for cell in np.ndindex(3, 2):
        r, p = pearsonr(X[:, *cell], VALENCE)
        assert cells.r[cell] == pytest.approx(r) and cells.p_parametric[cell] == pytest.approx(p)
        single = stats.permutation_test(stats.pearson, X[:, *cell], VALENCE, groups=FACED, **options)
        assert cells.p[cell] == pytest.approx(single.p)
        corrected = stats.permutation_p(abs(r), cells.null, alternative="greater")
        assert cells.p_max[cell] == pytest.approx(corrected) and corrected >= cells.p[cell]
    assert cells.best == np.unravel_index(np.abs(cells.r).argmax(), (3, 2)) and not cells.exact
    assert cells.p_best == cells.p_max[cells.best] == cells.p_max.min()
    table = cells.table("abc", ["low", "high"])
    assert table["r"].iloc[0] == cells.r_best and table.loc[("c", "low"), "p"] == cells.p[2, 0]
    monkeypatch.setattr(tp, "_CHUNK", 7 * 6)
    pieces = tp.cell_map(X, VALENCE, FACED, **options)
    np.testing.assert_allclose(pieces.null, cells.null)
    np.testing.assert_array_equal(pieces.p, cells.p)


def test_positions_that_vary_within_emotions_permute_clips(rng):
    X, y = rng.standard_normal((28, 3, 2)), rng.standard_normal(28)
    X[:, 1, 1] = y
    assert tp.cell_map(X, y, None, n_permutations=999).p_best == 1 / 1000


def test_the_maximum_finds_strong_valence_where_it_was_planted():
    _, truth = simulate_cohort(0, "strong_valence", n_subjects=1, window=30.0)
    cells = tp.cell_map(cohort_tensor(simulated(0, "strong_valence")), VALENCE, FACED, n_permutations=1000)
    pattern = truth.valence_pattern[: len(FACED_SCALP)]
    assert cells.p_best < 0.02 and cells.r_best > 0.6
    assert pattern[cells.best] > np.quantile(np.abs(pattern), 0.5)  # with its sign


def test_the_maximum_holds_its_level_without_valence_and_clips_as_units_do_not():
    rejected = {"null": [], "no_valence": [], "clips": []}
    for seed in range(60):
        for preset in ("null", "no_valence"):
            X = cohort_tensor(simulated(seed, preset, n_subjects=12))
            cells = tp.cell_map(X, VALENCE, FACED, n_permutations=99, random_state=seed)
            rejected[preset].append(cells.p_best <= 0.05)
        by_clip = tp.cell_map(X, VALENCE, None, n_permutations=99, random_state=seed)
        rejected["clips"].append(by_clip.p_best <= 0.05)  # of the cohort without valence
    high = binom.ppf(0.998, 60, 0.05)
    assert sum(rejected["null"]) <= high and sum(rejected["no_valence"]) <= high
    assert sum(rejected["clips"]) > high  # ... though nothing in it is ordered by valence


# Regions, bands, asymmetry


@pytest.mark.parametrize("channels", [FACED_SCALP, SEED_V_CHANNELS], ids=["FACED", "SEED-V"])
def test_every_scalp_electrode_has_one_region(channels):
    members = tp.regions(channels)
    assert sorted(name for names in members.values() for name in names) == sorted(channels)
    assert list(members) == ["frontal", "central", "parietal", "occipital", "temporal"]


def test_regions_go_by_name():
    assert tp.regions("fpz FCz FC5 CP1 Cz T5 TP8 PO3 CB1 P7 Oz A1 M2".split()) == {
        "frontal": ["fpz", "FCz", "FC5"],
        "central": ["CP1", "Cz"],
        "parietal": ["P7"],
        "occipital": ["PO3", "CB1", "Oz"],
        "temporal": ["T5", "TP8"],
    }


def test_contrasts_find_what_is_planted_and_nothing_elsewhere(rng):
    X, members = rng.standard_normal((28, 30, 5)), tp.regions(FACED_SCALP)
    masks = {part: np.tile(np.isin(FACED_SCALP, members[part])[:, None], 5) for part in members}
    back, front, alpha = masks["occipital"], masks["frontal"], np.tile(np.arange(5) == 2, (30, 1))
    at_back, in_alpha = X + Z[:, None, None] * back, X + Z[:, None, None] * alpha

    def p(X, first, second):
        return tp.cell_contrast(X, VALENCE, FACED, first, second, n_permutations=500).p

    assert p(at_back, back, front) < 0.02 and p(at_back, front, back) > 0.95
    assert p(in_alpha, back, front) > 0.05 and p(at_back, alpha, ~alpha) > 0.05
    assert p(in_alpha, alpha, ~alpha) < 0.02
    size = np.abs(tp.cell_correlations(X, VALENCE))
    level = size[back].mean()
    for second, expected in ((None, level), (front, level - size[front].mean())):
        contrast = tp.cell_contrast(X, VALENCE, FACED, back, second, n_permutations=50)
        assert contrast.observed == pytest.approx(expected)


def test_asymmetry_is_right_minus_left(rng):
    X = rng.standard_normal((28, 32, 1))
    f3, f4, f7, f8, fp1, fp2 = (FACED_CHANNELS.index(name) for name in "F3 F4 F7 F8 Fp1 Fp2".split())
    assert tp.asymmetry(X, VALENCE, FACED, FACED_CHANNELS, n_permutations=500).p > 0.05
    X[:, f4] += 9 * VALENCE[:, None]
    planted = tp.asymmetry(X, VALENCE, FACED, [name.lower() for name in FACED_CHANNELS], n_permutations=500)
    difference = (X[:, [f4, f8, fp2], 0] - X[:, [f3, f7, fp1], 0]).mean(1)
    assert planted.observed == pytest.approx(corrcoef(difference, VALENCE)) and planted.p == 1 / 501


# Which emotions carry it


def test_the_search_for_emotions_is_the_brute_force_one(rng):
    X = rng.standard_normal((28, 6, 2))
    search = tp.nine_clips(X, VALENCE, FACED, n_permutations=50)
    x = best_column(X, VALENCE)
    sets = {
        frozenset(chosen): corrcoef(x[inside], VALENCE[inside])
        for chosen in combinations(FACED_CLASSES, 3)
        for inside in [np.isin(FACED, chosen)]
    }
    best = max(sets, key=lambda chosen: abs(sets[chosen]))
    assert set(search.best.emotions) == best and set(search.named.emotions) == set(tp.PAPER_EMOTIONS)
    assert search.best.r_in == pytest.approx(sets[best])
    assert search.named.r_in == pytest.approx(sets[frozenset(tp.PAPER_EMOTIONS)])


def test_weights_are_those_of_a_weighted_correlation(rng):
    X = rng.standard_normal((28, 6, 2))
    search = tp.weighted_gain(X, VALENCE, FACED, n_permutations=50)
    x = best_column(X, VALENCE)
    tried = {}
    for first in FACED_CLASSES:
        for pair in combinations([emotion for emotion in FACED_CLASSES if emotion != first], 2):
            weights = np.where(FACED == first, 5, np.where(np.isin(FACED, pair), 3, 1))
            c = np.cov(x, VALENCE, aweights=weights)
            tried[first, pair] = c[0, 1] / np.sqrt(c[0, 0] * c[1, 1])
    first, pair = max(tried, key=lambda key: abs(tried[key]))
    assert search.best.weights == {
        emotion: 5 if emotion == first else 3 if emotion in pair else 1 for emotion in FACED_CLASSES
    }
    assert search.best.r_in == pytest.approx(tried[first, pair])
    assert search.best.gain == pytest.approx(abs(tried[first, pair]) - abs(corrcoef(x, VALENCE)))
    assert search.named.r_in == pytest.approx(tried["anger", ("amusement", "tenderness")])
    assert search.named.gain <= search.best.gain and search.named.weights["anger"] == 5
    flat = tp.weighted_gain(X, VALENCE, FACED, (2, 2), named={}, n_permutations=20)
    assert flat.best.gain == flat.named.gain == pytest.approx(0, abs=1e-12)


def test_the_null_of_the_search_searches_again(rng):
    X = rng.standard_normal((45, 4, 2))
    search, null = tp.nine_clips(X, FIVE_POSITIONS, FIVE), []
    for y in ORDERS:
        x = best_column(X, y)
        inside = [np.isin(FIVE, chosen) for chosen in combinations("abcde", 3)]
        null.append(max(abs(corrcoef(x[clips], y[clips])) for clips in inside))
    np.testing.assert_allclose(np.sort(search.null), np.sort(null))
    assert search.named is None


def test_planted_emotions_and_weights_come_back(rng):
    planted = np.isin(FACED, ("anger", "joy", "neutral"))
    X = 0.5 * rng.standard_normal((28, 6, 2))
    X[planted, 4, 1] = 3 * (VALENCE - VALENCE.mean())[planted]
    search = tp.nine_clips(X, VALENCE, FACED, n_permutations=500)
    assert set(search.best.emotions) == {"anger", "neutral", "joy"}
    assert search.best.r_in == pytest.approx(1) and search.best.p < 0.02
    weights = dict.fromkeys(("anger", "joy", "neutral"), 9)
    gain = tp.weighted_gain(X, VALENCE, FACED, (9, 9, 9, 1), named=weights, n_permutations=100)
    assert gain.best.weights == dict.fromkeys(FACED_CLASSES, 1) | weights
    assert gain.best.gain == gain.named.gain > 0.02


def test_what_searches_find_in_noise_looks_strong_and_is_not(rng):
    naive, honest, gains = [], [], []
    for _ in range(60):
        X = rng.standard_normal((45, 10, 2)) + np.repeat(rng.standard_normal((5, 10, 2)), 9, axis=0)
        few, weighted = (search(X, FIVE_POSITIONS, FIVE).best for search in (tp.nine_clips, tp.weighted_gain))
        r, n = abs(few.r_in), 27
        naive.append(2 * student_t.sf(r * np.sqrt((n - 2) / (1 - r**2)), n - 2) < 0.05)
        honest.append((few.p <= 0.05, weighted.p <= 0.05))
        gains.append(weighted.gain)
    assert sum(naive) > 50 and np.mean(gains) > 0.05  # the best of thirty assignments gains anyhow
    assert np.sum(honest, axis=0).max() <= binom.ppf(0.995, 60, 0.05)


def test_emotions_at_one_position_carry_nothing(rng):
    code = np.sign(VALENCE - 3.18)  # six and three emotions share a position, neutral has its own
    X = rng.standard_normal((28, 3, 2))
    search = tp.nine_clips(X, code, FACED, n_permutations=200, named=FACED_CLASSES[:3])
    assert np.isnan(search.named.r_in) and search.named.p == 1
    assert abs(search.best.r_in) > 0 and np.isfinite(search.null).all()


# Subjects


def test_subjects_are_correlated_over_the_clips_they_have(rng):
    features, y = rng.standard_normal((4, 28, 3, 2)), rng.standard_normal((2, 28))
    features[1, :20], features[3, 5] = np.nan, np.nan
    batch = _subject_correlations(features, y)
    for target, maps in zip(y, batch, strict=True):
        np.testing.assert_allclose(maps, _subject_correlations(features, target))
        for trials, r in zip(features, maps, strict=True):
            there = np.isfinite(trials[:, 0, 0])
            assert r[2, 1] == pytest.approx(corrcoef(trials[there, 2, 1], target[there]))


def test_simpson_compares_the_cohort_with_its_subjects(rng):
    y, features = rng.standard_normal(28), 0.1 * rng.standard_normal((100, 28, 12, 5))
    strong = np.array([1, 4, 5, 7, 8, 9, 10, 11])
    far = np.arange(100) // 2 % 5 == 0  # one in five goes far one way, the others a little the other way
    features[:, :, strong] += (np.where(far, 20.0, -1.0)[:, None] * y)[..., None, None]
    features[1, 3] = np.nan
    result = simpson(features, y, n_resamples=500)
    judged = features[1::2][:, :, strong].mean((2, 3))
    r = [corrcoef(x[np.isfinite(x)], y[np.isfinite(x)]) for x in judged]
    assert set(result.channels) == set(strong)
    assert result.cohort.value == pytest.approx(corrcoef(np.nanmean(judged, 0), y))
    assert result.subjects.value == pytest.approx(np.mean(r))
    assert result.opposed.value == pytest.approx(min(result.cohort.value, -result.subjects.value))
    assert result.subjects.high < 0 < result.cohort.low and result.opposed.low > 0
    assert simpson(features, y, n_resamples=500).opposed == result.opposed
    features[1::2, 7] = np.nan  # a clip that no judge has
    others = np.arange(28) != 7
    without = simpson(features, y, n_resamples=20).cohort.value
    assert without == pytest.approx(corrcoef(np.nanmean(judged, 0)[others], y[others]))


def test_averaging_alone_is_no_paradox_and_those_who_choose_channels_do_not_judge_them(rng):
    y, noise = rng.standard_normal(28), rng.standard_normal((40, 28, 12, 5))
    shared = simpson(noise + 0.1 * y[:, None, None], y, n_resamples=200)
    assert shared.cohort.value > shared.subjects.value  # the mean over subjects has less noise
    assert shared.opposed.high < 0 < shared.subjects.low and shared.cohort.low > 0  # but the sign is one
    noise[::2, :, 2:4] += y[:, None, None]
    noise[1::2, :, 7:9] += y[:, None, None]
    halves = simpson(noise, y, n_channels=2, n_resamples=200)
    assert set(halves.channels) == {2, 3} and halves.subjects.low < 0 < halves.subjects.high
    noise[[1, 3, 5], 4] = np.nan  # of four judges one has the clip: every third sample lacks it
    few = simpson(noise[:8], y, n_resamples=200)
    assert np.isfinite([*few.cohort, *few.subjects, *few.opposed]).all()


def test_the_oracle_is_the_best_of_each_subject(rng):
    features = rng.standard_normal((6, 28, 4, 3))
    features[2, 7] = np.nan
    oracle = subject_oracle(features, VALENCE, FACED, n_permutations=30, random_state=1)
    by_band = np.abs(_subject_correlations(features, VALENCE)).max(1)
    assert oracle.channel.observed == pytest.approx(by_band.mean(0).max())
    orders = stats.permutation_test(
        lambda _, Y: np.abs(_subject_correlations(features, Y)).max((-2, -1)).mean(-1),
        np.arange(28), VALENCE, groups=FACED, n_permutations=30, random_state=1, alternative="greater",
    )  # fmt: skip
    assert oracle.cell.observed == pytest.approx(orders.observed) and oracle.cell.p == orders.p
    np.testing.assert_allclose(oracle.cell.null, orders.null)


def test_the_oracle_of_noise_is_high_and_within_its_null(rng):
    features = rng.standard_normal((20, 28, 30, 5))
    noise = subject_oracle(features, VALENCE, FACED, n_permutations=100)
    assert noise.cell.observed > 0.4 and noise.cell.p > 0.05 and noise.channel.p > 0.05
    features[np.arange(20), :, rng.integers(30, size=20), 3] += 2 * Z  # everyone has a channel of their own
    planted = subject_oracle(features, VALENCE, FACED, n_permutations=100)
    assert planted.channel.p == planted.cell.p == 1 / 101


def test_subjects_agree_wherever_emotions_are_decodable_whether_or_not_valence_plays_a_part():
    p, maxima = {"no_valence": [], "null": []}, []
    for seed in range(3):
        for preset, values in p.items():
            cohort = simulated(seed, preset, n_subjects=80)
            features = trial_features(cohort)
            test = cluster_test(features, VALENCE, cohort.info(), n_permutations=100, random_state=seed)
            values.append(test.p_min)
            if preset == "no_valence":
                maxima.append(tp.cell_map(features.mean(0), VALENCE, FACED, n_permutations=200).p_best)
    assert max(p["no_valence"]) < 0.05 < min(maxima) and min(p["null"]) > 0.05


def test_clusters_are_the_planted_cells_and_their_neighbours(rng):
    info = scalp_info(FACED_SCALP, sfreq=1.0)
    features = rng.standard_normal((20, 28, 30, 5))
    features[:, :, :2, 1:3] += 4 * Z[:, None, None]  # Fp1 and Fp2, theta and alpha
    features[3, 5] = np.nan
    one, same = (cluster_test(features, VALENCE, info, n_permutations=100) for _ in range(2))
    r = np.arctanh(_subject_correlations(features, VALENCE))
    np.testing.assert_allclose(one.t, r.mean(0) / (r.std(0, ddof=1) / np.sqrt(20)))
    best = one.clusters[one.p.argmin()]
    assert best[:2, 1:3].all() and best.sum() < 15 and one.p_min <= 0.01
    np.testing.assert_array_equal(same.p, one.p)
    assert ClusterTest(one.t, one.clusters[:0], one.p[:0]).p_min == 1


# Time and connectivity


def test_the_peak_is_where_it_was_planted_and_ears_do_not_count(rng):
    de = rng.standard_normal((5, 28, 12, 32, 5)).astype(np.float32)
    noise = tp.scalp_time_course(make_cohort(de), VALENCE, FACED, n_permutations=200)
    assert (noise.p > 0.02).all() and noise.bands[-1] == "gamma"
    de[:, :, 7, :30, 2] += Z[:, None]
    de[:, :, 3, 30:] += 1000 * Z[:, None, None]  # on the ears
    de[2, 4] = np.nan
    course = tp.scalp_time_course(make_cohort(de), VALENCE, FACED, n_permutations=200)
    assert course.peak[2] == 7 and course.p[2] == 1 / 201 and (np.delete(course.p, 2) > 0.02).all()
    x = np.nanmean(de[:, :, 7, :30, 2].mean(-1, dtype=float), axis=0)
    assert course.r[2, 7] == pytest.approx(corrcoef(x, VALENCE))
    de[:, 9, 10:] = np.nan  # one clip is shorter
    assert tp.scalp_time_course(make_cohort(de), VALENCE, FACED, n_permutations=20).seconds.tolist() == list(
        range(10)
    )


NETWORK = ["Fp1", "F7", "C3", "Pz", "O2", "T8", "FC2", "CP6"]


def test_connectivity_is_the_correlation_within_trials(rng):
    de = rng.standard_normal((1, 28, 10, 32, 5)).astype(np.float32)
    eight = [FACED_CHANNELS.index(name) for name in NETWORK]
    de[..., eight, 4] += 9 * Z[None, :, None, None]  # these follow the axis
    network = tp.connectivity(make_cohort(de), VALENCE, FACED, n_permutations=50)
    rows = (de[0, ..., 4] - de[0, ..., 4].mean(1, keepdims=True)).reshape(-1, 32)
    among = np.corrcoef(rows[:, eight].T)[np.triu_indices(8, 1)]
    assert set(network.channels) == set(NETWORK)
    assert network.mean == pytest.approx(among.mean(), abs=1e-5)


def test_a_planted_network_is_found_and_independent_channels_are_none(rng):
    eight = [FACED_CHANNELS.index(name) for name in NETWORK]
    de = rng.standard_normal((4, 28, 10, 32, 5)).astype(np.float32)
    code = np.unique(FACED, return_inverse=True)[1]
    de[..., 4] += 9 * rng.standard_normal((9, 32))[code][None, :, None]  # every channel follows some axis
    de[..., eight, 4] += 99 * (VALENCE - VALENCE.mean())[None, :, None, None]  # eight of them this one
    alone = tp.connectivity(make_cohort(de), VALENCE, FACED, n_permutations=999)
    assert set(alone.channels) == set(NETWORK) and abs(alone.mean) < 0.05 < alone.p
    shared = rng.standard_normal((4, 28, 10)).astype(np.float32)
    de[..., eight, 4] += shared[..., None]
    de[3, 2], de[2, 5, 6:] = np.nan, np.nan
    network = tp.connectivity(make_cohort(de), VALENCE, FACED, n_permutations=999)
    assert network.p < 0.05 and network.difference > 0.2


def test_neighbours_that_follow_no_axis_are_no_network():
    """Ten cohorts coupled by geometry alone; 4 or more of 10 at .05 have probability .001."""
    networks = [
        tp.connectivity(
            standardise(simulate_cohort(seed, "no_valence", n_subjects=6, window=3.0)[0]),
            VALENCE, FACED, n_permutations=99,
        )
        for seed in range(10)
    ]  # fmt: skip
    assert sum(network.p <= 0.05 for network in networks) < 4
    assert np.std([network.difference for network in networks]) > 0.01  # geometry does couple some choices


# Errors name the value and the cure

X = np.random.default_rng(0).standard_normal((28, 32, 5))
FEATURES = np.random.default_rng(0).standard_normal((6, 28, 4, 2))
HOLED = np.where(np.arange(4)[:, None] == 2, np.nan, FEATURES)
TWO_TRIALS, THREE_TRIALS = (np.where(np.arange(28)[:, None, None] < n, FEATURES, np.nan) for n in (2, 3))
FLAT = np.where(np.arange(32)[:, None] == 3, 1.0, X)
COHORT = make_cohort(np.random.default_rng(0).standard_normal((2, 28, 3, 32, 5)))
AXIS = (VALENCE, FACED)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: tp.cell_correlations(X, VALENCE[:5]), r"got \(28, 32, 5\) and \(5,\)"),
        (lambda: tp.cell_map(np.where(X > 3, np.nan, X), *AXIS), "X holds NaN or inf"),
        (lambda: tp.cell_map(FLAT, *AXIS), r"X is constant at 1 at \[3, 0\]"),
        (lambda: tp.cell_map(X, np.ones(28), FACED), "y is constant at 1"),
        (lambda: tp.cell_map(X, np.arange(28.0), FACED), "varies within a group"),
        (lambda: tp.cell_map(X[:, 0], *AXIS), r"n_channels, n_bands\), got \(28, 5\)"),
        (lambda: tp.cell_map(X, VALENCE, FACED[:3]), r"emotions must have shape \(28,\)"),
        (lambda: tp.cell_contrast(X, *AXIS, np.zeros((32, 5), bool)), "a set of cells is empty"),
        (lambda: tp.cell_contrast(X, *AXIS, np.ones((30, 5), bool)), r"shape \(32, 5\), got \(30, 5\)"),
        (lambda: tp.regions(["Fz", "HEOR", "X7"]), r"\['HEOR', 'X7'\].*drop them"),
        (lambda: tp.asymmetry(X[:, 3:, :1], *AXIS, FACED_CHANNELS[3:]), r"\['Fp1', 'Fp2'\] are missing"),
        (lambda: tp.weighted_gain(X, *AXIS, (5, 0)), r"positive, got \(5, 0\)"),
        (lambda: tp.weighted_gain(X, *AXIS, (5,)), "from 2 to 10, got 1"),
        (lambda: _subject_correlations(HOLED, VALENCE), "NaN in part"),
        (lambda: _subject_correlations(FEATURES, VALENCE[:4]), r"28 clips, y has shape \(4,\)"),
        (lambda: _subject_correlations(FEATURES[0, 0], VALENCE), r"features must be \(n_subjects"),
        (lambda: _subject_correlations(TWO_TRIALS, VALENCE), "place 0 has 2 trials"),
        (
            lambda: _subject_correlations(THREE_TRIALS, VALENCE),
            "y over the trials .* place 0 is const",
        ),
        (lambda: simpson(FEATURES, VALENCE, n_channels=5), "5 channels"),
        (lambda: subject_oracle(FEATURES[0], *AXIS), r"features must have shape \(n_subjects"),
        (lambda: cluster_test(FEATURES, VALENCE, scalp_info(FACED_SCALP, sfreq=1.0)), "info has 30 channels"),
        (lambda: tp.scalp_time_course(COHORT, np.ones(28), FACED), "y is constant"),
        (lambda: tp.connectivity(COHORT.select(bands=["alpha"]), *AXIS), r"gamma .*got \['alpha'\] and 32"),
        (
            lambda: tp.connectivity(COHORT.select(channels=FACED_CHANNELS[:8]), *AXIS),
            "nine channels, .* and 8",
        ),
        (lambda: tp.connectivity(simulated(0, "null", 2), *AXIS), "one window a trial"),
    ],
)
def test_errors_name_the_value_and_the_cure(call, message):
    with pytest.raises(ValueError, match=message):
        call()
