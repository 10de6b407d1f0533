"""The linear projection: closed form against scikit-learn, planted axes and their absence, every null."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from scipy.stats import binomtest
from sklearn.linear_model import Ridge
from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict, permutation_test_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from kernel import stats
from kernel.brain import projection as pj
from kernel.brain.cohort import FACED_CLIP_EMOTIONS, standardise, trial_features
from kernel.brain.simulate import CLASS_VALENCE, simulate_cohort

EMOTIONS = np.array(FACED_CLIP_EMOTIONS)
ORDERED = list(dict.fromkeys(FACED_CLIP_EMOTIONS))
POSITION = dict(zip(ORDERED, CLASS_VALENCE, strict=True))
Y = np.array([POSITION[emotion] for emotion in EMOTIONS])
ALPHAS = (3.0, 30.0, 300.0)


def features(seed, preset):
    """Standardised trials of a simulated cohort (123, 28, 160), and its orders."""
    cohort, truth = simulate_cohort(seed, preset, window=30.0)
    return trial_features(standardise(cohort)).reshape(123, 28, 160), cohort.order, truth


@pytest.fixture(scope="module")
def strong():
    return features(0, "strong_valence")


@pytest.fixture(scope="module")
def no_valence():
    return features(0, "no_valence")


def nested_with_sklearn(X, y, groups):
    """What the closed form must equal: refit for every fold within every fold."""
    predictions, chosen = np.empty(len(y)), []
    for train, test in LeaveOneGroupOut().split(X, y, groups):
        errors = []
        for alpha in ALPHAS:
            inner = cross_val_predict(
                Ridge(alpha=alpha), X[train], y[train], groups=groups[train], cv=LeaveOneGroupOut()
            )
            errors.append(((inner - y[train]) ** 2).sum())
        chosen.append(ALPHAS[int(np.argmin(errors))])
        predictions[test] = Ridge(alpha=chosen[-1]).fit(X[train], y[train]).predict(X[test])
    return predictions, chosen


# The closed form


@pytest.mark.parametrize("n_features", [5, 160])
@pytest.mark.parametrize("groups", ["clips", "emotions", "uneven"])
def test_held_out_predictions_equal_refitting(rng, n_features, groups):
    groups = {"clips": np.arange(28), "emotions": EMOTIONS, "uneven": np.repeat([0, 1, 2, 3], [1, 2, 9, 16])}[
        groups
    ]
    X = rng.standard_normal((28, n_features)) + 3
    y = X[:, :3].sum(1) + rng.standard_normal(28)
    expected, chosen = nested_with_sklearn(X, y, groups)
    folds = pj.RidgeFolds(X, groups, ALPHAS)
    np.testing.assert_allclose(folds.held_out(y), expected, atol=1e-9)
    coef, intercept, alpha = folds.fold_weights(y)
    np.testing.assert_array_equal(alpha, chosen)
    code = np.unique(groups, return_inverse=True)[1]
    np.testing.assert_allclose((X * coef[code]).sum(1) + intercept[code], expected, atol=1e-9)
    np.testing.assert_allclose(folds.held_out_rows(X, groups, y), expected, atol=1e-9)


def test_names_of_single_rows_change_nothing_whatever_their_order(rng):
    """Clips left out one by one under names that do not sort as the rows do."""
    X, y = rng.standard_normal((12, 6)), rng.standard_normal(12)
    names = [f"film {k}" for k in rng.permutation(12)]
    left_out = [pj.RidgeFolds(X, groups, ALPHAS).held_out(y) for groups in (None, names)]
    assert left_out[1] == pytest.approx(left_out[0], abs=1e-12)
    assert left_out[0] == pytest.approx(nested_with_sklearn(X, y, np.arange(12))[0], abs=1e-8)


def test_the_choice_of_penalty_varies_in_that_test(rng):
    chosen = set()
    for noise in (0.01, 1, 30):
        X = rng.standard_normal((28, 5)) + 3
        chosen |= set(nested_with_sklearn(X, X[:, 0] + noise * rng.standard_normal(28), EMOTIONS)[1])
    assert len(chosen) > 1


def test_batches_of_targets_and_of_features_equal_one_at_a_time(rng):
    X, targets = rng.standard_normal((4, 28, 12)), rng.standard_normal((7, 28))
    together = pj.RidgeFolds(X, EMOTIONS)
    for i in range(4):
        alone = pj.RidgeFolds(X[i], EMOTIONS)
        np.testing.assert_allclose(together.held_out(targets)[i], alone.held_out(targets), atol=1e-9)
        np.testing.assert_allclose(together.in_sample(targets)[i], alone.in_sample(targets), atol=1e-9)
        np.testing.assert_allclose(
            together.weights(targets[0])[0][i], alone.weights(targets[0])[0], atol=1e-9
        )
        np.testing.assert_allclose(
            together.fold_weights(targets[0])[0][i], alone.fold_weights(targets[0])[0], atol=1e-9
        )
    for target, row in zip(targets, alone.held_out(targets), strict=True):
        np.testing.assert_allclose(alone.held_out(target), row, atol=1e-12)
    trials = rng.standard_normal((50, 12))
    names = rng.choice(EMOTIONS, 50)
    one_each = [alone.held_out_rows(trials, names, target) for target in targets]
    np.testing.assert_allclose(alone.held_out_rows(trials, names, targets), one_each, atol=1e-12)


def test_small_chunks_change_nothing(rng, monkeypatch):
    folds, targets = pj.RidgeFolds(rng.standard_normal((28, 12))), rng.standard_normal((9, 28))
    whole = folds.held_out(targets)
    monkeypatch.setattr(pj, "_CHUNK", 1)
    np.testing.assert_allclose(folds.held_out(targets), whole, atol=1e-12)


def test_every_device_gives_the_same(rng, device):
    X, y = rng.standard_normal((28, 20)), rng.standard_normal(28)
    expected = pj.RidgeFolds(X, EMOTIONS).held_out(y)
    found = pj.RidgeFolds(torch.as_tensor(X, dtype=torch.float32).to(device), EMOTIONS).held_out(y)
    np.testing.assert_allclose(found, expected, atol=1e-3 if device == "mps" else 1e-5)


def test_equals_permutation_test_score_order_by_order(rng):
    X, y = rng.standard_normal((28, 160)), rng.standard_normal(28)
    cv = list(LeaveOneGroupOut().split(X, y, EMOTIONS))  # given as groups= it would permute within emotions
    score, null, _ = permutation_test_score(
        Ridge(alpha=30.0), X, y, cv=cv, scoring="neg_mean_squared_error", n_permutations=30, random_state=7
    )
    shuffle = np.random.RandomState(7)
    orders = np.array([np.arange(28)] + [shuffle.permutation(28) for _ in range(30)])
    targets = y[orders]
    squared = (pj.RidgeFolds(X, EMOTIONS, [30.0]).held_out(targets) - targets) ** 2
    ours = -np.mean([squared[:, test].mean(1) for _, test in cv], axis=0)
    np.testing.assert_allclose(ours, [score, *null], atol=1e-8)


@parametrize_with_checks([pj.ProjectionModel()])
def test_is_a_scikit_learn_estimator(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(estimator)


def test_the_model_agrees_with_its_parts(rng):
    X, y = rng.standard_normal((28, 160)), rng.standard_normal(28)
    model = pj.ProjectionModel(alphas=ALPHAS).fit(X, y, EMOTIONS)
    reference = Ridge(alpha=model.alpha_).fit(X, y)
    np.testing.assert_allclose(model.coef_, reference.coef_, atol=1e-9)
    np.testing.assert_allclose(model.predict(X), reference.predict(X), atol=1e-9)
    np.testing.assert_allclose(model.held_out_, nested_with_sklearn(X, y, EMOTIONS)[0], atol=1e-9)
    assert model.held_out_r_ == pytest.approx(stats.pearson(model.held_out_, y))


# Planted truth and its absence


def test_a_planted_axis_comes_back(strong):
    trials, _, truth = strong
    found = pj.track(trials.mean(0), Y, EMOTIONS, n_permutations=2000)
    assert found.p <= 0.01
    assert found.r > 0.7
    # Haufe's pattern of the weights, since weights themselves are no pattern
    X = trials.mean(0) - trials.mean((0, 1))
    pattern = X.T @ (X @ pj.RidgeFolds(X, EMOTIONS).weights(Y)[0])
    assert stats.pearson(pattern, truth.valence_pattern.ravel()) > 0.7


def test_classes_without_valence_fool_every_test_but_one(no_valence):
    X = no_valence[0].mean(0)
    fooled = pj.track(X, Y, EMOTIONS, scheme="leave_one_clip_out", null="clips", n_permutations=500)
    assert fooled.p < 0.01 and fooled.r > 0.5
    assert pj.track(X, Y, EMOTIONS, n_permutations=500).p > 0.05


def test_permuted_emotions_reject_noise_at_the_nominal_rate(rng):
    p = [
        pj.track(rng.standard_normal((28, 40)), Y, EMOTIONS, n_permutations=99, random_state=rng).p
        for _ in range(300)
    ]
    assert binomtest(int(np.sum(np.array(p) <= 0.05)), 300, 0.05).pvalue > 0.001


@pytest.mark.parametrize("scheme", pj.SCHEMES)
def test_noise_looks_like_a_fit_and_not_like_a_prediction(rng, scheme):
    r = [
        pj.track(rng.standard_normal((28, 160)), Y, EMOTIONS, scheme=scheme, null="free", n_permutations=20).r
        for _ in range(20)
    ]
    assert np.median(r) > 0.7 if scheme == "in_sample" else np.median(r) < 0


def test_enumerates_the_orders_of_few_emotions(rng):
    names = np.repeat(["sadness", "neutral", "joy", "fear"], 3)
    y = np.repeat([-1.0, 0.0, 1.0, -0.5], 3)
    found = pj.track(rng.standard_normal((12, 6)), y, names)
    assert found.exact and len(found.values) == 24
    assert found.p * 24 == pytest.approx(round(found.p * 24))


def test_null_targets_are_constant_where_they_should_be():
    constant = pj.null_targets(EMOTIONS, "class_constant", 5, 0)
    free = pj.null_targets(EMOTIONS, "free", 5, 0)
    assert constant.shape == free.shape == (5, 28)
    for emotion in ORDERED:
        assert np.ptp(constant[:, emotion == EMOTIONS], axis=1).max() == 0
        assert np.ptp(free[:, emotion == EMOTIONS], axis=1).min() > 0


def test_single_trials(strong, no_valence):
    found = pj.trial_level(strong[0], Y, EMOTIONS, n_permutations=300)
    assert found.p <= 0.01 and found.observed > 0.1
    assert pj.trial_level(no_valence[0], Y, EMOTIONS, n_permutations=300).p > 0.05
    coef, intercept, _ = pj.RidgeFolds(strong[0].mean(0), EMOTIONS).fold_weights(Y)
    emotion = np.unique(EMOTIONS, return_inverse=True)[1]
    predicted = np.einsum("scf,cf->sc", strong[0], coef[emotion]) + intercept[emotion]
    assert stats.pearson(predicted.ravel(), np.tile(Y, 123)) == pytest.approx(found.observed)


def test_missing_trials_are_left_out(strong):
    trials = strong[0][:10].copy()
    trials[0, 3] = np.nan
    with_any_number = np.where(np.isnan(trials), 0, trials)
    found = pj.trial_level(trials, Y, EMOTIONS, n_permutations=20).observed
    assert np.isfinite(found)
    assert found != pj.trial_level(with_any_number, Y, EMOTIONS, n_permutations=20).observed


def test_class_means_against_valence_carry_their_agreement_through_the_null(strong, no_valence):
    assert pj.class_level(strong[0].mean(0), Y, EMOTIONS, Y, n_permutations=500).p <= 0.01
    assert pj.class_level(no_valence[0].mean(0), Y, EMOTIONS, Y, n_permutations=500).p > 0.05


# Order


def test_clip_effects_are_least_squares_made_equally_certain(rng):
    order = np.array([rng.permutation(7) + 1.0 for _ in range(9)])
    trials = rng.standard_normal((9, 7, 2))
    trials[2, 5] = np.nan
    subject, clip = np.nonzero(np.isfinite(trials[..., 0]))
    design = np.column_stack(
        [np.eye(9)[subject], np.eye(7)[clip][:, 1:], np.eye(9)[subject] * order[subject, clip][:, None]]
    )
    fitted = np.linalg.lstsq(design, trials[subject, clip], rcond=None)[0][9:15]
    gamma = np.vstack([np.zeros(2), fitted])
    gamma -= gamma.mean(0)
    found = pj.clip_effects(trials, order)
    # the covariance of the estimates, from the design alone, becomes a multiple of the identity
    covariance = np.zeros((7, 7))
    covariance[1:, 1:] = np.linalg.pinv(design.T @ design)[9:15, 9:15]
    centre = np.eye(7) - 1 / 7
    values, vectors = np.linalg.eigh(centre @ covariance @ centre)
    whiten = vectors[:, 1:] @ np.diag(values[1:] ** -0.5) @ vectors[:, 1:].T / 3
    np.testing.assert_allclose(found, whiten @ gamma, atol=1e-9)


def test_clip_effects_forget_any_linear_drift(rng):
    order = np.array([rng.permutation(28) + 1.0 for _ in range(20)])
    trials = rng.standard_normal((20, 28, 3))
    slopes = rng.standard_normal((20, 1, 3))
    drifting = trials + slopes * order[..., None] + 7
    np.testing.assert_allclose(pj.clip_effects(drifting, order), pj.clip_effects(trials, order), atol=1e-9)
    assert np.abs(drifting.mean(0) - trials.mean(0) - 7).max() > 1


def test_order_surrogates_keep_order_and_lose_clips(rng):
    order = np.array([rng.permutation(28) + 1 for _ in range(200)])
    by_position = np.broadcast_to(np.sin(order / 4.0)[..., None], (200, 28, 1))  # nothing but the sequence
    mean = by_position.mean(0)
    drawn = pj.order_surrogates(by_position, order, 200, random_state=0)
    np.testing.assert_allclose(drawn[:, :, 0], np.broadcast_to(mean[:, 0], (200, 28)), atol=1e-5)

    by_clip = np.broadcast_to(np.linspace(-1, 1, 28)[:, None], (200, 28, 1))
    drawn = pj.order_surrogates(by_clip, order, 200, random_state=0)
    assert drawn.std(1).max() < 0.3 * by_clip[0].std()


def test_drift_alone_is_explained_by_order_and_clips_are_not():
    trials, order, _ = features(1, "order_drift")
    assert pj.track_against_order(trials, order, Y, EMOTIONS, n_surrogates=200).p > 0.05
    trials, order, _ = features(1, "strong_valence")
    assert pj.track_against_order(trials, order, Y, EMOTIONS, n_surrogates=200).p < 0.05


# Reliability


def test_order_surrogates_need_ranks_only(rng):
    order = np.array([rng.permutation(28) + 1 for _ in range(20)])
    trials = rng.standard_normal((20, 28, 2))
    drawn = pj.order_surrogates(trials, order, 5, random_state=0)
    np.testing.assert_array_equal(pj.order_surrogates(trials, 3.0 * order + 7, 5, random_state=0), drawn)


@pytest.mark.parametrize(
    ("orders", "removable"), [("own", True), ("one", False), ("reverse", False), ("nan", False)]
)
def test_says_whether_order_can_be_removed(rng, orders, removable):
    order = np.tile(np.arange(1.0, 29), (10, 1))
    if orders == "own":
        order = rng.permuted(order, axis=1)
    elif orders == "reverse":
        order[::2] = order[::2, ::-1]
    elif orders == "nan":
        order[0, 0] = np.nan
    assert pj.order_is_removable(np.ones((10, 28), bool), order) == removable


def test_reliability_of_shared_and_of_unshared_responses(rng):
    shared = rng.standard_normal((28, 20))
    planted = shared + rng.standard_normal((80, 28, 20))
    found = pj.projection_reliability(planted, shared[:, 0], n_splits=30, random_state=0)
    assert found.low > 0.9 and found.low < found.value < found.high
    noise = [
        pj.projection_reliability(rng.standard_normal((40, 28, 20)), Y, n_splits=20, n_blocks=4).value
        for _ in range(20)
    ]
    assert abs(np.mean(noise)) < 4 * np.std(noise) / np.sqrt(20)


# Errors


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scheme": "kfold"}, "scheme must be one of .*'kfold'"),
        ({"null": "labels"}, "null must be one of .*'labels'"),
        ({"y": np.ones(28)}, "constant at 1"),
        ({"y": np.r_[np.nan, Y[1:]]}, "y holds NaN or inf at 0"),
        ({"y": Y[:5]}, "one row per clip"),
        ({"y": np.arange(28.0)}, "varies within a group"),
        ({"X": np.full((28, 3), np.nan)}, "NaN or inf"),
        ({"X": np.ones((28, 3))}, "does not vary"),
        ({"emotions": ["joy"] * 14 + ["fear"] * 14, "null": "free"}, "2 groups"),
        ({"alphas": [0.0]}, "positive"),
        ({"alphas": []}, "positive"),
    ],
)
def test_names_what_it_cannot_use(rng, change, message):
    given = {"X": rng.standard_normal((28, 4)), "y": Y, "emotions": EMOTIONS, "n_permutations": 20} | change
    with pytest.raises(ValueError, match=message):
        pj.track(given.pop("X"), given.pop("y"), given.pop("emotions"), **given)


def test_names_bad_trials(rng):
    trials, order = rng.standard_normal((10, 28, 2)), np.tile(np.arange(1.0, 29), (10, 1))
    with pytest.raises(ValueError, match="no presentation position"):
        pj.clip_effects(trials, np.where(order == 3, np.nan, order))
    with pytest.raises(ValueError, match="n_subjects, n_clips"):
        pj.clip_effects(trials, order[:5])
    with pytest.raises(ValueError, match="one order"):
        pj.clip_effects(trials, order)
    with pytest.raises(ValueError, match="1 trials"):
        pj.clip_effects(np.where(np.arange(28)[:, None] == 4, trials, np.nan), order)
    with pytest.raises(ValueError, match="28 different positions"):
        pj.order_surrogates(trials, np.ones((10, 28)), 3)
    with pytest.raises(ValueError, match="every trial"):
        pj.order_surrogates(np.where(trials > 9, 0, np.nan), order, 3)
    with pytest.raises(ValueError, match="3 subjects miss a clip and a quarter has 2"):
        pj.projection_reliability(
            np.where((np.arange(28) == 4)[:, None] & (np.arange(10) < 3)[:, None, None], np.nan, trials), Y
        )
    with pytest.raises(ValueError, match="eight"):
        pj.projection_reliability(trials[:5], Y)
    with pytest.raises(ValueError, match="nobody"):
        pj.trial_level(np.where(np.arange(28)[:, None] == 4, np.nan, trials), Y, EMOTIONS)
