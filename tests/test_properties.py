"""What the numerical core promises for every input, not only for the examples: invariance, ranges, errors.

Data come from a seed that hypothesis draws, so that values are typical and shapes are varied; what must hold
for ugly values (p-values, single bad entries) is drawn number by number.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import ortho_group

from kernel import stats
from kernel.brain.cohort import Cohort, cohort_tensor, segments, standardise, trial_features
from kernel.brain.features import differential_entropy
from kernel.brain.ridge import RidgeFolds
from kernel.decoding import ablation, ensemble, geometry
from kernel.language.axis import ValenceAxis
from kernel.metrics import balanced_accuracy, score_accuracy

SEEDS = st.integers(0, 2**32 - 1)
SCALES = st.floats(1e-3, 1e3)
BAD = st.sampled_from([np.nan, np.inf, -np.inf])
EMOTIONS = ["anger", "sadness", "neutral", "amusement", "joy"]


def check(examples):
    """The same examples in every run, and few: the module is part of every test run."""
    return settings(deadline=None, derandomize=True, max_examples=examples, database=None)


def rotation(rng, d):
    return ortho_group.rvs(d, random_state=rng) if d > 1 else np.ones((1, 1))


# The axis


def texts(rng, n_per=3, d=6):
    """Hidden states with an axis in them, so that the first component is well apart from the second."""
    y = EMOTIONS * n_per
    level = np.tile(np.linspace(-1, 1, len(EMOTIONS)), n_per)
    return 4 * np.outer(level, rng.standard_normal(d)) + rng.standard_normal((len(y), d)), np.array(y)


@check(30)
@given(SEEDS, SCALES, st.integers(2, 9))
def test_the_axis_turns_and_scales_with_the_states_and_its_positions_only_scale(seed, scale, d):
    rng = np.random.default_rng(seed)
    X, y = texts(rng, d=d)
    Q, shift, order = rotation(rng, d), 10 * rng.standard_normal(d), rng.permutation(len(y))
    one, other = ValenceAxis().fit(X, y), ValenceAxis().fit((scale * X @ Q + shift)[order], y[order])
    assert other.classes_ == one.classes_
    np.testing.assert_allclose(other.direction_, one.direction_ @ Q, atol=1e-6)
    np.testing.assert_allclose(other.positions_, scale * one.positions_, atol=1e-6 * scale)
    np.testing.assert_allclose(other.explained_variance_ratio_, one.explained_variance_ratio_, rtol=1e-6)
    np.testing.assert_allclose(
        other.project(scale * X @ Q + shift), scale * one.project(X), atol=1e-5 * scale
    )


@check(30)
@given(SEEDS, st.integers(1, 4))
def test_ablating_an_axis_twice_is_ablating_it_once_and_leaves_the_rest(seed, n_components):
    rng = np.random.default_rng(seed)
    X, y = texts(rng)
    axis = ValenceAxis(n_components).fit(X, y)
    once = axis.ablate(X)
    np.testing.assert_allclose(axis.ablate(once), once, atol=1e-10)
    np.testing.assert_allclose(once @ axis.components_.T, 0, atol=1e-10)
    removed = (X - once) @ axis.components_.T
    np.testing.assert_allclose(removed, X @ axis.components_.T, atol=1e-10)


# Statistics


P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=12)


@check(90)
@given(P_VALUES, st.randoms(use_true_random=False))
def test_corrections_never_lower_a_p_value_keep_its_order_and_do_not_know_places(p, random):
    order = random.sample(range(len(p)), len(p))
    p = np.array(p)
    for correct in (stats.holm, stats.benjamini_hochberg):
        adjusted = correct(p)
        assert (adjusted >= p).all() and (adjusted <= 1).all()
        ranks = np.argsort(p, kind="stable")
        assert (np.diff(adjusted[ranks]) >= 0).all()
        np.testing.assert_array_equal(correct(p[order]), adjusted[order])
    assert (stats.holm(p) >= stats.benjamini_hochberg(p) * (1 - 1e-15)).all()


@check(60)
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30), st.floats(-1e6, 1e6), st.randoms())
def test_permutation_p_lies_between_one_over_n_plus_one_and_one(null, observed, random):
    for alternative in ("two-sided", "greater", "less"):
        p = stats.permutation_p(observed, null, alternative=alternative)
        assert 1 / (len(null) + 1) <= p <= 1
        shuffled = random.sample(null, len(null))
        assert stats.permutation_p(observed, shuffled, alternative=alternative) == p
    less, greater = (stats.permutation_p(observed, null, alternative=a) for a in ("less", "greater"))
    mirrored = stats.permutation_p(-observed, [-value for value in null], alternative="greater")
    assert mirrored == less
    assert less + greater >= 1


@check(45)
@given(SEEDS, st.floats(1e-2, 1e2), st.floats(-100, 100), st.integers(4, 10))
def test_a_permutation_test_of_a_correlation_does_not_know_the_unit(seed, scale, shift, n):
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((2, n))
    one, other = (
        stats.permutation_test(stats.pearson, x, target, n_permutations=150, random_state=0)
        for target in (y, scale * y + shift)
    )
    assert 1 / (len(one.null) + 1) <= one.p <= 1
    assert other.p == one.p
    assert other.observed == pytest.approx(one.observed, abs=1e-9)


@check(45)
@given(SEEDS, SCALES, st.integers(3, 20))
def test_auc_and_spearman_know_ranks_only(seed, scale, n):
    rng = np.random.default_rng(seed)
    scores, other = rng.integers(-4, 5, n).astype(float), rng.standard_normal(n)  # with ties
    labels = np.arange(n) % 2 == 0
    area = stats.auc(scores, labels)
    assert 0 <= area <= 1
    assert stats.auc(np.exp(scores) * scale, labels) == area
    assert stats.auc(-scores, labels) == pytest.approx(1 - area, abs=1e-12)
    assert stats.auc(scores, ~labels) == pytest.approx(1 - area, abs=1e-12)
    assume(np.ptp(scores) > 0)
    rho = stats.spearman(scores, other)
    assert stats.spearman(scores**3, np.exp(other) * scale) == pytest.approx(rho, abs=1e-12)


@check(22)
@given(SEEDS, SCALES, st.booleans())
def test_a_bootstrap_of_a_mean_moves_with_the_data(seed, scale, grouped):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(24)
    options = {"groups": np.repeat(np.arange(8), 3)} if grouped else {}

    def mean(values):
        return values.mean(-1)

    one, other = (
        stats.bootstrap_interval(mean, values, n_resamples=50, random_state=0, **options)
        for values in (x, scale * x + 7)
    )
    np.testing.assert_allclose(other, scale * np.array(one) + 7, rtol=1e-9, atol=1e-9)
    assert one.low <= one.high


# Differential entropy


def signals(rng, n_channels=2, seconds=4, sfreq=128):
    return rng.standard_normal((n_channels, seconds * sfreq))


@check(15)
@given(SEEDS, BAD, st.integers(0, 2), st.integers(0, 511))
def test_a_bad_sample_spoils_its_own_signal_only_and_a_cohort_refuses_it(seed, bad, channel, sample):
    x = signals(np.random.default_rng(seed), n_channels=3)
    clean = differential_entropy(x, 128)
    x[channel, sample] = bad
    found = differential_entropy(x, 128)
    assert np.isnan(found[channel]).all()
    others = np.arange(3) != channel
    np.testing.assert_array_equal(found[others], clean[others])
    de = np.broadcast_to(found.swapaxes(0, 1), (1, 2, *found.swapaxes(0, 1).shape))
    names = {"emotions": ["joy", "fear"], "channels": ["Fz", "Cz", "Pz"]}
    with pytest.raises(ValueError, match=r"nan in .*" + names["channels"][channel]):
        Cohort.from_arrays(de, subjects=[0], dataset="d", provenance="p", **names)


# Cohorts


def make_cohort(rng, n_subjects=6, n_windows=4, **options):
    emotions = ["joy", "fear", "joy", "fear", "neutral", "neutral"]
    de = rng.standard_normal((n_subjects, len(emotions), n_windows, 3, 2)).astype(np.float32)
    return Cohort.from_arrays(
        de, subjects=range(n_subjects), emotions=emotions, channels=["Fz", "Cz", "Pz"],
        bands={"low": (1, 4), "high": (4, 8)}, dataset="d", provenance="p", **options,
    )  # fmt: skip


@check(22)
@given(SEEDS, st.floats(0.01, 100), st.floats(-100, 100))
def test_standardising_forgets_unit_and_level_of_each_person_and_is_its_own_repeat(seed, scale, shift):
    rng = np.random.default_rng(seed)
    cohort = make_cohort(rng)
    size = 10 ** rng.uniform(-1, 1, (6, 1, 1, 3, 2)) * scale
    moved = cohort.with_de(cohort.de * size + shift * rng.standard_normal((6, 1, 1, 3, 2)))
    one, other = standardise(cohort), standardise(moved)
    # what float32 keeps of a spread beside its level
    precision = 1e-6 * (1 + abs(shift) * 4 / size.min())
    assume(precision < 0.01)
    np.testing.assert_allclose(other.de, one.de, atol=10 * precision)
    np.testing.assert_allclose(standardise(one).de, one.de, atol=1e-5)
    assert one.de.dtype == np.float32 and one.data.attrs["unit"] == "z"


@check(22)
@given(SEEDS, st.integers(0, 5), st.integers(0, 5), st.integers(0, 3))
def test_missing_windows_are_left_out_of_means_and_nothing_else_changes(seed, subject, clip, kept):
    cohort = make_cohort(np.random.default_rng(seed))
    de = cohort.de.copy()
    de[subject, clip, kept:] = np.nan
    short = cohort.with_de(de)
    found, whole = trial_features(short), trial_features(cohort)
    own = np.zeros((6, 6), dtype=bool)
    own[subject, clip] = True
    np.testing.assert_array_equal(found[~own], whole[~own])
    if kept:
        np.testing.assert_allclose(found[subject, clip], cohort.de[subject, clip, :kept].mean(0), atol=1e-6)
    else:
        assert np.isnan(found[subject, clip]).all() and not short.present[subject, clip]
        assert np.isfinite(cohort_tensor(short)).all()
    cut = segments(short, length=1.0)
    assert np.isfinite(cut.X).all() and cut.X.dtype == np.float32
    assert len(cut.X) == 6 * 6 * 4 - (4 - kept)


# Ridge


def ridge_problem(rng, n=12, d=5):
    X = rng.standard_normal((n, d))
    return X, X @ rng.standard_normal(d) + 0.5 * rng.standard_normal(n), np.repeat(list("abcdef"), n // 6)


@check(22)
@given(SEEDS, SCALES, st.booleans())
def test_ridge_predictions_do_not_know_basis_unit_or_origin_of_the_features(seed, scale, grouped):
    rng = np.random.default_rng(seed)
    X, y, groups = ridge_problem(rng)
    groups = groups if grouped else None
    moved = scale * X @ rotation(rng, X.shape[1]) + 10
    one, other = RidgeFolds(X, groups), RidgeFolds(moved, groups)
    np.testing.assert_allclose(other.held_out(y), one.held_out(y), atol=1e-6)
    np.testing.assert_allclose(other.in_sample(y), one.in_sample(y), atol=1e-6)
    np.testing.assert_allclose(one.held_out(scale * y + 3), scale * one.held_out(y) + 3, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(other.weights(y)[2], scale**2 * one.weights(y)[2], rtol=1e-6)


@check(22)
@given(SEEDS, st.booleans())
def test_ridge_predictions_move_with_their_rows_and_do_not_see_their_own_target(seed, grouped):
    rng = np.random.default_rng(seed)
    X, y, groups = ridge_problem(rng)
    order = rng.permutation(len(y))
    folds = RidgeFolds(X, groups if grouped else None)
    again = RidgeFolds(X[order], groups[order] if grouped else None)
    np.testing.assert_allclose(again.held_out(y[order]), folds.held_out(y)[order], atol=1e-8)
    changed = y.copy()
    own = groups == "c" if grouped else np.arange(len(y)) == 4
    changed[own] += 100
    np.testing.assert_allclose(folds.held_out(changed)[own], folds.held_out(y)[own], atol=1e-6)
    assert not np.allclose(folds.held_out(changed)[~own], folds.held_out(y)[~own], atol=1e-3)


# Geometry


def trials(rng, d=8, n_subjects=4, n_classes=4, clips_per_class=3):
    n_clips = n_classes * clips_per_class
    clip = np.tile(np.arange(n_clips), n_subjects)
    means = 3 * rng.standard_normal((n_classes, d))
    Z = means[clip // clips_per_class] + rng.standard_normal((n_clips, d))[clip]
    Z = Z + 0.3 * rng.standard_normal((len(clip), d))
    return Z, clip // clips_per_class, clip, np.repeat(np.arange(n_subjects), n_clips)


@check(22)
@given(SEEDS, SCALES)
def test_class_alignment_does_not_know_basis_unit_origin_or_order(seed, scale):
    rng = np.random.default_rng(seed)
    Z, y, _, _ = trials(rng)
    target = rng.standard_normal(4)
    order = rng.permutation(len(y))
    moved = (scale * Z @ rotation(rng, Z.shape[1]) + 5)[order]
    one = geometry.class_pc1_alignment(Z, y, target)
    other = geometry.class_pc1_alignment(moved, y[order], -scale * target + 1)
    assert other.score == pytest.approx(one.score, abs=1e-6)
    assert other.p == one.p and one.exact
    assert 1 / len(one.null) <= one.p <= 1
    renamed = np.array([2, 0, 3, 1])  # class k becomes renamed[k], its target with it
    again = geometry.class_pc1_alignment(Z, renamed[y], target[np.argsort(renamed)])
    assert again.score == pytest.approx(one.score, abs=1e-9)


@check(12)
@given(SEEDS, SCALES, st.just("permute"))
def test_residual_alignment_does_not_know_basis_unit_class_means_or_target_means(seed, scale, null):
    rng = np.random.default_rng(seed)
    Z, y, clip, subject = trials(rng)
    target = rng.standard_normal(12)
    options = {"validation": [0, 1], "test": [2, 3], "n_splits": 3, "n_null": 15, "null": null}
    one = geometry.residual_alignment(Z, y, clip, subject, target, **options)
    moved = scale * (Z + 9 * rng.standard_normal((4, 8))[y]) @ rotation(rng, 8)
    other = geometry.residual_alignment(
        moved, y, clip, subject, scale * target + 3 * (np.arange(12) // 3), **options
    )
    for field in ("selected", "held_out", "null_selected", "null_held_out"):
        np.testing.assert_allclose(getattr(other, field), getattr(one, field), atol=1e-6, err_msg=field)
    assert other.p_selected == one.p_selected and other.p_held_out == one.p_held_out
    assert 1 / 16 <= one.p_selected <= 1 and 1 / 16 <= one.p_held_out <= 1
    assert 0 <= one.selected <= 1 and -1 <= one.held_out <= 1


@check(12)
@given(SEEDS, SCALES)
def test_the_effect_of_an_ablation_does_not_know_the_length_of_the_direction(seed, scale):
    rng = np.random.default_rng(seed)
    Z, y, _, _ = trials(rng)
    head, u = (rng.standard_normal((8, 4)), rng.standard_normal(4)), rng.standard_normal(8)
    one, other = (
        ablation._directional_ablation(Z, y, head, direction, n_directions=10, random_state=0)
        for direction in (u, -scale * u)
    )
    for field in ("baseline", "drops", "share_in_basin"):
        assert getattr(other, field) == pytest.approx(getattr(one, field), abs=1e-9), field
    assert 0 <= one.share_in_basin <= 1 + 1e-12
    for kind in ablation.KINDS:
        assert 1 / 11 <= one.p(kind) <= 1


# Accuracy and ensembles


def probabilities(rng, n_members=4, n_trials=15, n_classes=3):
    return rng.dirichlet(np.ones(n_classes), (n_members, n_trials))


@check(45)
@given(SEEDS, st.integers(2, 5), st.integers(1, 30))
def test_balanced_accuracy_does_not_know_names_of_classes_nor_how_often_they_come(seed, n_classes, n):
    rng = np.random.default_rng(seed)
    y, called = rng.integers(0, n_classes, (2, n))
    found = balanced_accuracy(y, called)
    assert 0 <= found <= 1
    names, order = rng.permutation(n_classes), rng.permutation(n)
    assert balanced_accuracy(names[y][order], names[called][order]) == pytest.approx(found, abs=1e-12)
    repeats = np.where(y == y[0], 3, 1)  # one class three times as often
    again = balanced_accuracy(np.repeat(y, repeats), np.repeat(called, repeats))
    assert again == pytest.approx(found, abs=1e-12)
    logits = np.eye(n_classes)[called]
    assert score_accuracy(logits, y) == pytest.approx(found, abs=1e-12)


@check(30)
@given(SEEDS, SCALES)
def test_an_ensemble_knows_shares_of_weight_only_and_stays_within_its_members(seed, scale):
    rng = np.random.default_rng(seed)
    P, weights, order = probabilities(rng), rng.uniform(0, 1, 4), rng.permutation(4)
    mean = ensemble.softmax_ensemble(P, weights=weights)
    np.testing.assert_allclose(mean.sum(-1), 1)
    assert (mean >= P.min(0) - 1e-12).all() and (mean <= P.max(0) + 1e-12).all()
    np.testing.assert_allclose(ensemble.softmax_ensemble(P, weights=scale * weights), mean)
    np.testing.assert_allclose(ensemble.softmax_ensemble(P[order], weights=weights[order]), mean)
    np.testing.assert_allclose(
        ensemble.softmax_ensemble(P), ensemble.softmax_ensemble(P, weights=[scale] * 4)
    )
    np.testing.assert_allclose(ensemble.softmax_ensemble(P, weights=[0, scale, 0, 0]), P[1])


@check(22)
@given(SEEDS)
def test_calibration_does_not_know_the_order_of_trials_or_names_of_classes(seed):
    rng = np.random.default_rng(seed)
    p, y = probabilities(rng)[0], rng.integers(0, 3, 15)
    order, names = rng.permutation(15), rng.permutation(3)
    renamed = np.empty_like(p)
    renamed[:, names] = p
    one = ensemble.calibration(p, y)
    assert ensemble.calibration(renamed[order], names[y][order]) == pytest.approx(one, abs=1e-12)
    assert 0 <= one["ece"] <= 1 and one["nll"] >= 0
