"""Statistics against independent libraries, exact enumeration, and truths planted and absent."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from scipy import stats as oracle
from sklearn.metrics import roc_auc_score
from statsmodels.stats.multitest import multipletests

from kernel import stats
from kernel.stats import auc, bootstrap_interval, pearson, permutation_p, permutation_test, spearman

CLASSES = np.repeat(np.arange(9), [3, 3, 3, 3, 4, 3, 3, 3, 3])


def mean(x):
    return x.mean(-1)


# --- AUC and correlations ---------------------------------------------------------------------------------


def test_auc_is_that_of_scikit_learn_over_any_leading_axes_and_with_ties(rng):
    scores = rng.integers(0, 6, (4, 5, 40)).astype(float)
    labels = rng.permutation(np.repeat([0, 1], [15, 25]))
    ours = auc(scores, labels)
    assert ours.shape == (4, 5)
    for at in np.ndindex(4, 5):
        assert ours[at] == pytest.approx(roc_auc_score(labels, scores[at]), abs=1e-12)
    each = rng.permuted(np.tile(labels, (6, 1)), axis=1)  # labels of each row
    np.testing.assert_allclose(auc(scores[0, 0], each), [roc_auc_score(y, scores[0, 0]) for y in each])


def test_auc_of_one_row_is_a_plain_float_and_of_constant_scores_one_half():
    value = auc([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1])
    assert type(value) is float
    assert value == 0.75
    assert auc([2, 2, 2, 2], [True, False, True, False]) == 0.5


def test_correlations_are_those_of_scipy(rng):
    x, y = rng.integers(0, 5, (7, 30)).astype(float), rng.standard_normal((3, 7, 30))
    r, rho = pearson(x, y), spearman(x, y)
    assert r.shape == rho.shape == (3, 7)
    for i, j in np.ndindex(3, 7):
        assert r[i, j] == pytest.approx(oracle.pearsonr(x[j], y[i, j]).statistic, abs=1e-12)
        assert rho[i, j] == pytest.approx(oracle.spearmanr(x[j], y[i, j]).statistic, abs=1e-12)
    assert type(pearson(x[0], y[0, 0])) is float


# --- bootstrap ---------------------------------------------------------------------------------------------


def test_percentile_interval_is_that_of_scipy(rng):
    """A limit at tail q of B samples has standard error sqrt(q (1 - q) / B) / density, here .019 sd."""
    x, y = rng.standard_normal((2, 60)) + rng.standard_normal(60)
    ours = bootstrap_interval(pearson, x, y, n_resamples=20_000, random_state=0)
    options = {"paired": True, "vectorized": True, "n_resamples": 20_000, "method": "percentile"}
    theirs = oracle.bootstrap((x, y), lambda a, b, axis=-1: pearson(a, b), **options, rng=1)
    tolerance = 4 * np.sqrt(2) * 0.019 * theirs.standard_error
    assert ours.value == pytest.approx(pearson(x, y))
    assert ours.low == pytest.approx(theirs.confidence_interval.low, abs=tolerance)
    assert ours.high == pytest.approx(theirs.confidence_interval.high, abs=tolerance)


def test_small_bootstrap_agrees_with_enumeration():
    """Four items have 256 samples; no rank near a limit is so close to it that 20,000 draws may miss it."""
    x = np.array([0.0, 1.0, 5.0, 20.0])
    every = [np.mean(s) for s in itertools.product(x, repeat=4)]
    ours = bootstrap_interval(mean, x, n_resamples=20_000, random_state=0)
    assert ours[1:] == pytest.approx(np.quantile(every, [0.025, 0.975], method="inverted_cdf"))


def test_strata_keep_an_auc_defined_where_plain_resampling_fails(rng):
    scores, labels = rng.standard_normal(12), np.arange(12) < 2
    with pytest.raises(ValueError, match="strata=labels"):
        bootstrap_interval(auc, scores, labels, random_state=0)
    interval = bootstrap_interval(auc, scores, labels, strata=labels, random_state=0)
    assert 0 <= interval.low <= interval.value <= interval.high <= 1
    share = bootstrap_interval(lambda y: y.mean(-1), labels, strata=labels, random_state=0)
    assert share.low == share.high == pytest.approx(2 / 12)


@pytest.mark.parametrize("sizes", [[10] * 40, [5, 15] * 20], ids=["equal", "unequal"])
def test_groups_widen_the_interval_by_the_design_effect(rng, sizes):
    """Items that repeat their group's value say nothing beyond it: the interval is that of groups."""
    level = rng.standard_normal(40)
    groups = np.repeat(np.arange(40), sizes)
    x = level[groups]
    by_group = bootstrap_interval(mean, x, groups=groups, n_resamples=2000, random_state=0)
    by_item = bootstrap_interval(mean, x, n_resamples=2000, random_state=0)
    ratio = (by_group.high - by_group.low) / (by_item.high - by_item.low)
    # the mean's variance is the weighted sum of squares: over groups w_g^2, over items w_g / n
    weights = np.array(sizes) / sum(sizes)
    deviation = level - weights @ level
    expected = np.sqrt((weights**2 @ deviation**2) * sum(sizes) / (weights @ deviation**2))
    assert ratio == pytest.approx(expected, rel=0.15)  # each width is good to 4 % at 2000 samples


def test_groups_stay_whole_and_within_their_strata(rng):
    groups = np.repeat(np.arange(12), 3)
    cohort = groups >= 4

    place = np.tile([0, 1, 2], 12)

    def off_by(g, c, k):
        seen = 3 * g + k  # each group brings its three places equally often
        counts = (seen[..., None] == np.arange(36)).sum(-2).reshape(*seen.shape[:-1], 12, 3)
        return np.ptp(counts, axis=-1).sum(-1) + np.abs(c.sum(-1) - 24)

    whole = bootstrap_interval(off_by, groups, cohort, place, groups=groups, strata=cohort, random_state=0)
    assert whole.high == 0
    with pytest.raises(ValueError, match="strata vary within a group"):
        bootstrap_interval(mean, groups, groups=groups, strata=np.arange(36) % 2, random_state=0)


def test_intervals_cover_the_truth_at_their_nominal_rate(rng):
    """300 samples of 100: nominal .95, binomial standard error .013, percentile intervals some .01 short."""
    samples = enumerate(rng.standard_normal((300, 100)))
    intervals = [bootstrap_interval(mean, x, n_resamples=500, random_state=i) for i, x in samples]
    covered = [low <= 0 <= high for _, low, high in intervals]
    assert 0.94 - 4 * 0.013 < np.mean(covered) < 0.95 + 4 * 0.013


def test_bootstrap_is_seeded_and_does_not_depend_on_its_batches(rng, monkeypatch):
    x = rng.standard_normal(30)
    first = bootstrap_interval(mean, x, random_state=7)
    assert bootstrap_interval(mean, x, random_state=7) == first
    monkeypatch.setattr(stats, "_CHUNK", 100)
    assert bootstrap_interval(mean, x, random_state=7) == first


# --- permutation -------------------------------------------------------------------------------------------


def test_plus_one_rule():
    null = np.array([-3.0, -1.0, 0.0, 1.0, 2.0])
    assert permutation_p(2, null, alternative="greater") == 2 / 6
    assert permutation_p(2, null, alternative="less") == 1.0
    assert permutation_p(-2, null) == 3 / 6
    assert permutation_p(9, null) == 1 / 6


def test_permutation_p_counts_ties_that_rounding_split():
    assert permutation_p(0.3, [0.1 + 0.2, 0.0, 0.0], alternative="greater") == 2 / 4
    assert permutation_p(0.1 + 0.2, [0.3, 0.0, 0.0], alternative="greater") == 2 / 4


@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
def test_all_orders_are_enumerated_when_they_are_few(rng, alternative):
    x, y = rng.standard_normal(6), rng.standard_normal(6)
    every = np.array([np.corrcoef(x, order)[0, 1] for order in itertools.permutations(y)])
    r = np.corrcoef(x, y)[0, 1]
    extreme = {"two-sided": np.abs(every) >= abs(r), "greater": every >= r, "less": every <= r}[alternative]
    result = permutation_test(pearson, x, y, alternative=alternative, n_permutations=720)
    assert result.exact
    assert result.p == pytest.approx(np.mean(extreme | np.isclose(every, r)))
    np.testing.assert_allclose(np.sort(result.null), np.sort(every))


def test_tied_values_are_enumerated_once(rng):
    code = np.array([-1, -1, -1, -1, 0, 1, 1, 1, 1])
    positions = rng.standard_normal(9)
    result = permutation_test(spearman, positions, code)
    every = {order for order in itertools.permutations(code)}
    assert result.exact
    assert len(result.null) == len(every) == 630
    np.testing.assert_allclose(np.sort(result.null), np.sort(spearman(positions, np.array(list(every)))))


def test_one_order_too_many_makes_it_random_with_the_plus_one_rule(rng):
    x, y = rng.standard_normal(6), rng.standard_normal(6)
    exact = permutation_test(pearson, x, y, n_permutations=720)
    drawn = permutation_test(pearson, x, y, n_permutations=719, random_state=0)
    assert not drawn.exact
    assert len(drawn.null) == 719
    assert drawn.p == permutation_p(drawn.observed, drawn.null)
    assert drawn.p == pytest.approx(exact.p, abs=4 * np.sqrt(exact.p * (1 - exact.p) / 719) + 1 / 720)


def test_an_exact_p_counts_the_observed_order_even_where_a_batch_rounds_otherwise():
    def mean_product(x, y):
        return (x * y).mean(-1) - 1e-9 * (np.ndim(y) == 2)

    result = permutation_test(mean_product, np.arange(3.0), np.arange(3.0), alternative="greater")
    assert result.exact and result.p == 1 / 6


def test_random_permutations_agree_with_scipy(rng):
    x = rng.standard_normal(25)
    y = 0.3 * x + rng.standard_normal(25)
    ours = permutation_test(pearson, x, y, n_permutations=4999, random_state=0)
    options = {"permutation_type": "pairings", "vectorized": True, "n_resamples": 4999}
    theirs = oracle.permutation_test((y,), lambda b, axis=-1: np.asarray(pearson(x, b)), **options, rng=1)
    assert ours.p == pytest.approx(theirs.pvalue, abs=4 * np.sqrt(2 * theirs.pvalue / 4999))


def test_groups_move_as_wholes(rng):
    """A permutation of emotions over clips, against a loop over all orders of three emotions."""
    emotion = np.array(["joy", "anger", "joy", "fear", "fear", "joy"])
    level = {"joy": 2.0, "anger": -1.0, "fear": -0.5}
    x, y = rng.standard_normal(6), np.array([level[e] for e in emotion])
    every = []
    for order in itertools.permutations(level.values()):
        moved = dict(zip(level, order, strict=True))
        every.append(np.corrcoef(x, [moved[e] for e in emotion])[0, 1])
    result = permutation_test(pearson, x, y, groups=emotion)
    assert result.exact
    np.testing.assert_allclose(np.sort(result.null), np.sort(every))
    with pytest.raises(ValueError, match="y varies within a group"):
        permutation_test(pearson, x, rng.standard_normal(6), groups=emotion)


def test_group_permutation_holds_its_level_where_items_are_not_exchangeable(rng):
    """Noise shared by the clips of a class: permuting clips finds effects that are not there."""
    target = np.linspace(-1, 1, 9)[CLASSES]
    noise = rng.standard_normal((200, 9))[:, CLASSES] + 0.1 * rng.standard_normal((200, 28))
    options = {"n_permutations": 199, "random_state": 0}
    by_class = [permutation_test(pearson, x, target, groups=CLASSES, **options).p for x in noise]
    by_clip = [permutation_test(pearson, x, target, **options).p for x in noise]
    error = np.sqrt(0.05 * 0.95 / 200)
    assert np.mean(np.array(by_class) <= 0.05) < 0.05 + 3 * error
    assert np.mean(np.array(by_clip) <= 0.05) > 0.2


def test_permutations_are_seeded_and_uniform(rng):
    x, y = np.arange(10.0), np.arange(10.0)
    draws = permutation_test(lambda x, y: y[..., 0], x, y, n_permutations=20_000, random_state=5)
    again = permutation_test(lambda x, y: y[..., 0], x, y, n_permutations=20_000, random_state=5)
    np.testing.assert_array_equal(draws.null, again.null)
    assert oracle.chisquare(np.bincount(draws.null.astype(int))).pvalue > 1e-4


@pytest.mark.parametrize(("ours", "method"), [(stats.holm, "holm"), (stats.benjamini_hochberg, "fdr_bh")])
def test_adjusted_p_values_are_those_of_statsmodels(rng, ours, method):
    for p in (rng.uniform(size=25), rng.uniform(size=25) ** 4, [0.01, 0.01, 0.03, 1.0, 0.0], [0.2]):
        np.testing.assert_allclose(ours(p), multipletests(p, method=method)[1], atol=1e-12)


# --- random directions -------------------------------------------------------------------------------------


def planted(rng, n=200, d=30, strength=3.0):
    labels = rng.permutation(np.repeat([False, True], n // 2))
    features = rng.standard_normal((n, d))
    features[:, 0] += strength * (labels - 0.5)
    return features, labels


def test_spread_null_ranks_a_planted_axis_first(rng):
    features, labels = planted(rng)
    result = stats.spread_null(features, labels, np.eye(30)[0], n_directions=999, random_state=0)
    assert result.observed == pytest.approx(roc_auc_score(labels, features[:, 0]))
    assert result.p == 1 / 1000
    down = stats.spread_null(features, labels, -np.eye(30)[0], n_directions=999, random_state=0)
    assert down.observed == pytest.approx(1 - result.observed) and (down.p, down.sd) == (1 / 1000, result.sd)


def test_a_random_axis_has_a_uniform_rank(rng):
    """The axis is drawn as the null is: its p-value is uniform, in a space of strong sentiment or of none."""
    for strength in (3.0, 0.0):
        features, labels = planted(rng, n=80, d=10, strength=strength)
        p = [
            stats.spread_null(features, labels, axis, n_directions=99, random_state=i).p
            for i, axis in enumerate(rng.standard_normal((150, 10)))
        ]
        assert oracle.kstest(p, "uniform").pvalue > 1e-3


def test_the_spread_has_its_theoretical_width(rng):
    """Without sentiment an AUC has variance (n + 1) / (12 n_1 n_0); directions sample it."""
    axis, spreads = np.eye(200)[0], []
    for i in range(20):
        features, labels = planted(rng, n=100, d=200, strength=0.0)
        spreads.append(stats.spread_null(features, labels, axis, n_directions=200, random_state=i).sd)
    expected = np.sqrt(101 / (12 * 50 * 50))
    assert np.sqrt(np.mean(np.square(spreads))) == pytest.approx(expected, rel=0.06)


def test_matched_directions_follow_the_covariance_of_the_features(rng):
    """One strong feature carries the label: matched directions load on it, isotropic ones less."""
    features, labels = planted(rng, d=100, strength=3.0)
    features[:, 0] *= 5
    isotropic, matched = (
        stats.spread_null(features, labels, np.eye(100)[0], n_directions=500, covariance=c, random_state=0).sd
        for c in (None, "matched")
    )
    # matched loadings are in proportion to the variance, isotropic ones are not
    assert matched > 1.5 * isotropic


def test_spread_null_takes_tensors_and_any_batch(rng, device, monkeypatch):
    features, labels = planted(rng)
    plain = stats.spread_null(features, labels, np.ones(30), n_directions=50, random_state=0)
    monkeypatch.setattr(stats, "_CHUNK", 700)
    tensors = (torch.as_tensor(a, dtype=torch.float32, device=device) for a in (features, np.ones(30)))
    features32, axis32 = tensors
    again = stats.spread_null(features32, labels, axis32, n_directions=50, random_state=0)
    np.testing.assert_allclose(again.null, plain.null, atol=2e-4)  # a swap of two neighbours moves 1e-4


# --- class-constant null -----------------------------------------------------------------------------------


def test_free_null_is_the_textbook_one(rng):
    """A Gaussian vector against any target: r has the null distribution of a correlation, t with n - 2."""
    null = stats.class_constant_null(rng.standard_normal(28), CLASSES, random_state=0)
    t = oracle.t.ppf(0.975, 26)
    assert null.free_quantile_95 == pytest.approx(t / np.sqrt(26 + t**2), abs=0.012)


def test_class_constant_null_follows_its_theory(rng):
    """With classes of equal size r = R r', with R the ceiling and r' a free correlation over the classes."""
    classes = np.repeat(np.arange(9), 5)
    target = rng.standard_normal(9)[classes] + 0.5 * rng.standard_normal(45)
    null = stats.class_constant_null(target, classes, n_directions=20_000, random_state=0)
    means = target.reshape(9, 5).mean(1)[classes]
    assert null.ceiling == pytest.approx(np.sqrt(means.var() / target.var()))  # the correlation ratio
    assert null.ceiling == pytest.approx(np.corrcoef(means, target)[0, 1])
    assert null.null.max() <= null.ceiling
    t = oracle.t.ppf(0.975, 7)
    assert null.quantile_95 == pytest.approx(null.ceiling * t / np.sqrt(7 + t**2), abs=0.012)


def test_class_constant_p_is_uniform_for_random_axes_and_small_for_the_class_means(rng):
    target = rng.standard_normal(9)[CLASSES] + 0.2 * rng.standard_normal(28)
    null = stats.class_constant_null(target, CLASSES, random_state=0)
    p = [null.p(pearson(axis[CLASSES], target)) for axis in rng.standard_normal((300, 9))]
    assert oracle.kstest(p, "uniform").pvalue > 1e-3
    assert null.p(null.ceiling) < 0.01
    assert null.p(-0.4) == null.p(0.4) == permutation_p(0.4, null.null)


@pytest.mark.parametrize("n", [3, 9, 28])
def test_the_textbook_p_is_scipys(rng, n):
    x, y = rng.standard_normal((2, n))
    r = stats.pearson(x, y)
    for alternative in ("two-sided", "greater"):
        expected = oracle.pearsonr(x, y, alternative=alternative).pvalue
        assert stats.textbook_p(r, n, alternative=alternative) == pytest.approx(expected)
    np.testing.assert_allclose(stats.textbook_p([0.0, 1.0, -1.0], n), [1, 0, 0], atol=1e-12)


# --- what cannot be used -----------------------------------------------------------------------------------

FEATURES, LABELS = planted(np.random.default_rng(0), n=20)


def last_mean(*arrays):
    return arrays[0].mean(-1)


def boot(*arrays, **options):
    return bootstrap_interval(last_mean, *arrays, **options)


def permuted(x, y, **options):
    return permutation_test(pearson, x, y, **options)


def spread(**changed):
    return stats.spread_null(**({"features": FEATURES, "labels": LABELS, "direction": np.ones(30)} | changed))


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: auc([1, 2, 3], [1, 1, 1]), "one class only"),
        (lambda: auc([1, 2, np.nan], [0, 1, 1]), "scores holds NaN"),
        (lambda: auc([1, 2, 3], [-1, 1, 1]), "got .*-1"),
        (lambda: auc([1, 2, 3], [0, 1, np.nan]), "labels holds NaN or inf at 2"),
        (lambda: auc([1, 2, 3], [0, 1]), "one length"),
        (lambda: pearson([1, 2, 3], [1, 2]), "one length"),
        (lambda: pearson([1], [1]), "two or more"),
        (lambda: pearson(np.arange(28), np.zeros(28)), "y is constant at 0"),
        (lambda: pearson(np.arange(28), np.full(28, 0.1)), r"y is constant at 0\.1"),
        (lambda: pearson(np.full(28, 1e9), np.arange(28)), r"x is constant at 1e\+09"),
        (lambda: boot(np.arange(5), np.arange(4)), "one length"),
        (lambda: boot(np.float64(3)), "one length"),
        (lambda: boot(np.arange(5), n_resamples=0), "n_resamples .* got 0"),
        (lambda: boot(np.arange(5), groups=np.zeros(5)), "nothing can be resampled"),
        (lambda: boot(np.arange(5), strata=np.arange(5)), "nothing can be resampled"),
        (lambda: boot(np.arange(5), groups=np.zeros(4)), r"groups must have shape \(5,\)"),
        (lambda: boot(np.array([1.0, np.nan, 3.0])), "not finite"),
        (lambda: bootstrap_interval(np.mean, np.arange(5.0)), r"gave shape \(\) .* the last axis only"),
        (lambda: permutation_p(np.nan, [1.0]), "observed must be finite, got nan"),
        (lambda: permutation_p(0, [1.0, np.nan]), "null holds NaN"),
        (lambda: permutation_p(0, []), "null is empty"),
        (lambda: permutation_p(0, [1.0], alternative="both"), "got 'both'"),
        (lambda: permuted([1, 2, 3], [1, 2]), "one length"),
        (lambda: permuted([1], [1]), "one unit only"),
        (lambda: permuted([1, 2], [1, 1], groups=["a", "a"]), "one unit only"),
        (lambda: permuted([1, 2, 3], [1, 2, 3], n_permutations=0), "got 0"),
        (lambda: permuted([1, 2, 3], [1, 2, 3], alternative="more"), "got 'more'"),
        (lambda: stats.holm([0.1, np.nan]), "got nan"),
        (lambda: stats.benjamini_hochberg([1.2]), r"got 1\.2"),
        (lambda: stats.holm([-0.1]), r"got -0\.1"),
        (lambda: stats.benjamini_hochberg([]), "non-empty"),
        (lambda: spread(direction=np.ones(5)), r"got \(5,\)"),
        (lambda: spread(direction=np.zeros(30)), "direction is zero"),
        (lambda: spread(direction=np.full(30, np.nan)), "direction holds NaN"),
        (lambda: spread(features=np.ones((20, 30))), "equal rows"),
        (lambda: spread(labels=np.ones(20)), "one class only"),
        (lambda: spread(covariance="full"), "got 'full'"),
        (lambda: spread(n_directions=0), "got 0"),
        (lambda: stats.class_constant_null(np.arange(4.0), [0, 0, 0, 0]), "one class only"),
        (lambda: stats.class_constant_null(np.arange(4.0), [0, 1]), r"shape \(4,\)"),
        (lambda: stats.class_constant_null(np.ones(4), [0, 0, 1, 1]), "constant at 1"),
        (lambda: stats.class_constant_null(np.ones((2, 2)), [0, 1]), r"got \(2, 2\)"),
        (lambda: stats.textbook_p(0.5, 2), "n must be a whole number of 3 or more, got 2"),
        (lambda: stats.textbook_p(1.5, 9), "got 1.5"),
        (lambda: stats.textbook_p([0.1, np.nan], 9), "NaN"),
    ],
)
def test_what_cannot_be_used_is_named(call, match):
    with pytest.raises(ValueError, match=match):
        call()
