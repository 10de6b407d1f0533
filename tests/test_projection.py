"""The linear projection: closed form against scikit-learn, planted axes and their absence, every null."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from scipy.stats import binomtest
from sklearn.linear_model import Ridge
from sklearn.model_selection import LeaveOneGroupOut, permutation_test_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from kernel import stats
from kernel.brain import projection as pj
from kernel.brain import ridge
from kernel.brain.cohort import standardise, trial_features
from kernel.brain.designs import CLASS_VALENCE, FACED_CLIP_EMOTIONS
from kernel.brain.ridge import RidgeFolds
from kernel.brain.simulate import simulate_cohort

EMOTIONS = np.array(FACED_CLIP_EMOTIONS)
ORDERED = list(dict.fromkeys(FACED_CLIP_EMOTIONS))
Y = np.array([CLASS_VALENCE[ORDERED.index(emotion)] for emotion in EMOTIONS])
ALPHAS = (3.0, 30.0, 300.0)
GROUPS = {
    "names that do not sort as rows do": [f"film {k}" for k in (7, 2, 10, 1, 0, 11, 9, 3, 8, 6, 5, 4)],
    "equal": np.repeat(list("bdac"), 3),
    "uneven": np.repeat([0, 1, 2, 3], [1, 2, 4, 5]),
}


@pytest.fixture(scope="module")
def cohorts():
    """Standardised trials (60, 28, 160), orders and truths."""
    made = {}
    for preset in ("strong_valence", "no_valence", "order_drift"):
        cohort, truth = simulate_cohort(1, preset, n_subjects=60, window=30.0)
        made[preset] = trial_features(standardise(cohort)).reshape(60, 28, 160), cohort.order, truth
    return made


def refitted(X, y, alpha, rows):
    """Predictions of other rows by a ridge with an intercept, from the normal equations."""
    mean, centred = X.mean(0), X - X.mean(0)
    gram = centred.T @ centred + alpha * np.eye(X.shape[1])
    return (rows - mean) @ np.linalg.solve(gram, centred.T @ (y - y.mean())) + y.mean()


def nested(X, y, groups):
    """What the closed form must equal: refit for every fold within every fold."""
    predictions, chosen, groups = np.empty(len(y)), [], np.asarray(groups)
    for name in np.unique(groups):
        train = groups != name
        errors = np.zeros(len(ALPHAS))
        for other in np.unique(groups[train]):
            inner, left = train & (groups != other), groups == other
            fits = [refitted(X[inner], y[inner], alpha, X[left]) for alpha in ALPHAS]
            errors += [((fit - y[left]) ** 2).sum() for fit in fits]
        chosen.append(ALPHAS[int(np.argmin(errors))])
        predictions[~train] = refitted(X[train], y[train], chosen[-1], X[~train])
    return predictions, chosen


# The closed form


@pytest.mark.parametrize("n_features", [5, 40])
@pytest.mark.parametrize("groups", GROUPS.values(), ids=GROUPS)
def test_held_out_predictions_equal_refitting(rng, n_features, groups):
    chosen = set()
    for noise in (0.01, 30):
        X = rng.standard_normal((12, n_features)) + 3
        y = X[:, :3].sum(1) + noise * rng.standard_normal(12)
        expected, penalties = nested(X, y, groups)
        folds = RidgeFolds(X, groups, ALPHAS)
        np.testing.assert_allclose(folds.held_out(y), expected, atol=1e-9)
        np.testing.assert_allclose(folds.held_out_rows(X, groups, y), expected, atol=1e-9)
        chosen |= set(penalties)
    assert len(chosen) > 1 or n_features > 5  # the penalty is not the same throughout


def test_a_set_of_tiny_features_is_judged_by_its_own_scale(rng):
    X, y = rng.standard_normal((28, 12)), rng.standard_normal(28)
    one, tiny = RidgeFolds(np.stack([X, 1e-12 * X]), EMOTIONS).held_out(y)
    np.testing.assert_allclose(tiny, one, atol=1e-9)


def test_batches_and_small_chunks_equal_one_at_a_time(rng, monkeypatch):
    X, targets = rng.standard_normal((3, 28, 12)), rng.standard_normal((4, 28))
    together = RidgeFolds(X, EMOTIONS)
    whole = together.held_out(targets)
    for i in range(3):
        alone = RidgeFolds(X[i], EMOTIONS)
        np.testing.assert_allclose(whole[i], [alone.held_out(y) for y in targets], atol=1e-9)
        np.testing.assert_allclose(together.in_sample(targets)[i], alone.in_sample(targets), atol=1e-9)
        np.testing.assert_allclose(
            together.weights(targets[0])[0][i], alone.weights(targets[0])[0], atol=1e-9
        )
    rows, names = rng.standard_normal((50, 12)), rng.choice(EMOTIONS, 50)
    one_each = [alone.held_out_rows(rows, names, target) for target in targets]
    np.testing.assert_allclose(alone.held_out_rows(rows, names, targets), one_each, atol=1e-12)
    monkeypatch.setattr(ridge, "_CHUNK", 1)
    np.testing.assert_allclose(together.held_out(targets), whole, atol=1e-12)


def test_every_device_gives_the_same(rng, device, monkeypatch):
    X, y = rng.standard_normal((28, 20)), rng.standard_normal(28)
    expected, near = RidgeFolds(X, EMOTIONS, device="cpu").held_out(y), 1e-3 if device == "mps" else 1e-5
    single = torch.as_tensor(X, dtype=torch.float32).to(device)
    monkeypatch.setenv("KERNEL_DEVICE", "cpu")
    assert RidgeFolds(single).alphas.device == single.device  # a tensor stays where it is
    for folds in (RidgeFolds(single, EMOTIONS), RidgeFolds(X, EMOTIONS, device=device)):
        assert folds.alphas.device.type == device
        np.testing.assert_allclose(folds.held_out(y), expected, atol=near)
    options = {"n_permutations": 20, "random_state": 0}
    one, other = (pj.track(X, Y, EMOTIONS, device=place, **options) for place in ("cpu", device))
    np.testing.assert_allclose(other.values, one.values, atol=near)
    monkeypatch.setenv("KERNEL_DEVICE", "abacus")
    with pytest.raises(ValueError, match="'abacus' cannot be used here"):
        pj.track(X, Y, EMOTIONS)


def test_equals_permutation_test_score_order_by_order(rng):
    X, y = rng.standard_normal((28, 160)), rng.standard_normal(28)
    cv = list(LeaveOneGroupOut().split(X, y, EMOTIONS))  # given as groups= it would permute within emotions
    score, null, _ = permutation_test_score(
        Ridge(alpha=30.0), X, y, cv=cv, scoring="neg_mean_squared_error", n_permutations=10, random_state=7
    )
    shuffle = np.random.RandomState(7)
    targets = y[np.array([np.arange(28)] + [shuffle.permutation(28) for _ in range(10)])]
    squared = (RidgeFolds(X, EMOTIONS, [30.0]).held_out(targets) - targets) ** 2
    ours = -np.mean([squared[:, test].mean(1) for _, test in cv], axis=0)
    np.testing.assert_allclose(ours, [score, *null], atol=1e-8)


@pytest.mark.parametrize(("size", "positions"), [(0, [-1, 0, 1]), (0, [0, 0, 1]), (30, [-1, 0, 1])])
def test_with_three_emotions_rounding_chooses_nothing(size, positions):
    """All penalties tie: the order of rows and columns, and a batch, must not choose between them."""
    found = []
    for seed in range(40):
        rng, n = np.random.default_rng(seed), 3 * (1 + seed % 5)
        y, names = np.repeat(np.array(positions, float), n // 3), np.repeat(list("abc"), n // 3)
        X = rng.standard_normal((n, 40)) + size * np.outer(y, rng.standard_normal(40))
        test, clips, columns = pj.track(X, y, names), rng.permutation(n), rng.permutation(40)
        assert test.exact and test.p >= 1 / len(test.values) and abs(test.values - test.r).min() < 1e-8
        moved = pj.track(7 * X[clips][:, columns], y[clips], names[clips])
        assert (moved.r, moved.p) == pytest.approx((test.r, test.p), abs=1e-8)
        for judged in (
            pj.class_level(X, y, names, y, n_permutations=10),
            pj.trial_level(X + rng.standard_normal((2, n, 40)), y, names, n_permutations=10),
        ):
            assert judged.exact and judged.p >= 1 / len(judged.null)
        found.append(test.p == 1 / 3)  # an axis and its reverse fit alike
    assert np.mean(found) > 0.9 if size else np.mean(found) < 0.6


def test_four_to_nine_emotions_choose_as_they_did():
    """Figures from before ties were broken by rule."""
    before = [-0.936412606, -0.999998268, -0.694022108, -0.578171811, 0.278477577, 0.400078464]
    for n, r in enumerate(before, start=4):
        X, y = np.random.default_rng(n).standard_normal((3 * n, 40)), np.repeat(np.arange(n) - 1.0, 3)
        assert pj.track(X, y, y.astype(str), n_permutations=19).r == pytest.approx(r, abs=1e-8)


@parametrize_with_checks([pj.ProjectionModel()])
def test_is_a_scikit_learn_estimator(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(estimator)


def test_the_model_agrees_with_its_parts(rng):
    X, y = rng.standard_normal((28, 160)), rng.standard_normal(28)
    model = pj.ProjectionModel().fit(X, y, EMOTIONS)
    reference = Ridge(alpha=model.alpha_).fit(X, y)
    np.testing.assert_allclose(model.coef_, reference.coef_, atol=1e-9)
    np.testing.assert_allclose(model.predict(X), reference.predict(X), atol=1e-9)
    np.testing.assert_allclose(model.held_out_, RidgeFolds(X, EMOTIONS).held_out(y))
    assert model.held_out_r_ == pytest.approx(stats.pearson(model.held_out_, y))


# Planted truth and its absence


def test_a_planted_axis_comes_back_by_clips_trials_and_emotion_means(cohorts):
    trials, _, truth = cohorts["strong_valence"]
    X = trials.mean(0) - trials.mean((0, 1))
    tracked = pj.track(X, Y, EMOTIONS, n_permutations=500)
    assert tracked.p <= 0.01 and tracked.r > 0.7
    # Haufe's pattern of the weights, since weights themselves are no pattern
    pattern = X.T @ (X @ RidgeFolds(X, EMOTIONS).weights(Y)[0])
    assert stats.pearson(pattern, truth.valence_pattern.ravel()) > 0.7
    single = pj.trial_level(trials, Y, EMOTIONS, n_permutations=300)
    assert single.p <= 0.01 and single.observed > 0.1
    predicted = RidgeFolds(trials.mean(0), EMOTIONS).held_out_rows(
        trials.reshape(-1, 160), np.tile(EMOTIONS, 60), Y
    )
    assert stats.pearson(predicted, np.tile(Y, 60)) == pytest.approx(single.observed)
    assert pj.class_level(X, Y, EMOTIONS, Y, n_permutations=300).p <= 0.01


def test_classes_without_valence_fool_every_test_but_those_that_leave_emotions_out(cohorts):
    trials = cohorts["no_valence"][0]
    X, options = trials.mean(0), {"n_permutations": 300}
    fooled = pj.track(X, Y, EMOTIONS, scheme="leave_one_clip_out", null="clips", **options)
    assert fooled.p < 0.01 and fooled.r > 0.5
    assert pj.track(X, Y, EMOTIONS, **options).p > 0.05
    assert pj.trial_level(trials, Y, EMOTIONS, **options).p > 0.05
    assert pj.class_level(X, Y, EMOTIONS, Y, **options).p > 0.05


def test_permuted_emotions_reject_noise_at_the_nominal_rate(rng):
    p = [
        pj.track(rng.standard_normal((28, 5)), Y, EMOTIONS, n_permutations=39, random_state=rng).p
        for _ in range(200)
    ]
    assert binomtest(int(np.sum(np.array(p) <= 0.05)), 200, 0.05).pvalue > 0.001


@pytest.mark.parametrize("scheme", pj.SCHEMES)
def test_noise_looks_like_a_fit_and_not_like_a_prediction(rng, scheme):
    r = [
        pj.track(rng.standard_normal((28, 160)), Y, EMOTIONS, scheme=scheme, null="free", n_permutations=2).r
        for _ in range(12)
    ]
    assert np.median(r) > 0.7 if scheme == "in_sample" else np.median(r) < 0


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
    # the covariance of the estimates, from the design alone, becomes a multiple of the identity
    covariance = np.zeros((7, 7))
    covariance[1:, 1:] = np.linalg.pinv(design.T @ design)[9:15, 9:15]
    centre = np.eye(7) - 1 / 7
    values, vectors = np.linalg.eigh(centre @ covariance @ centre)
    whiten = vectors[:, 1:] @ np.diag(values[1:] ** -0.5) @ vectors[:, 1:].T / 3
    effects = pj.clip_effects(trials, order)
    np.testing.assert_allclose(effects, whiten @ gamma, atol=1e-9)
    drifting = trials + rng.standard_normal((9, 1, 2)) * order[..., None] + 7
    np.testing.assert_allclose(pj.clip_effects(drifting, order), effects, atol=1e-9)


def test_order_surrogates_keep_order_and_lose_clips(rng):
    order = np.array([rng.permutation(28) + 1 for _ in range(200)])
    by_position = np.broadcast_to(np.sin(order / 4.0)[..., None], (200, 28, 1))  # nothing but the sequence
    mean = by_position.mean(0)
    drawn = pj._order_surrogates(by_position, order, 50, random_state=0)
    np.testing.assert_allclose(drawn[:, :, 0], np.broadcast_to(mean[:, 0], (50, 28)), atol=1e-5)
    by_clip = np.broadcast_to(np.linspace(-1, 1, 28)[:, None], (200, 28, 1))
    drawn = pj._order_surrogates(by_clip, order, 50, random_state=0)
    assert drawn.std(1).max() < 0.3 * by_clip[0].std()
    ranks = pj._order_surrogates(by_clip, 3.0 * order + 7, 50, random_state=0)  # they are all that counts
    np.testing.assert_array_equal(ranks, drawn)


def test_drift_alone_is_explained_by_order_and_clips_are_not(cohorts):
    for preset, explained in {"order_drift": True, "strong_valence": False}.items():
        trials, order, _ = cohorts[preset]
        p = pj.track_against_order(trials, order, Y, EMOTIONS, n_surrogates=100).p
        assert (p > 0.05) == explained


# Reliability


def test_reliability_of_shared_and_of_unshared_responses(rng, monkeypatch):
    shared = rng.standard_normal((28, 20))
    planted = shared + rng.standard_normal((80, 28, 20))
    reliability = pj.projection_reliability(planted, shared[:, 0], n_splits=10)
    assert 0.9 < reliability.low < reliability.value < reliability.high
    monkeypatch.setattr(pj, "_BLOCKS", 4)
    noise = [
        pj.projection_reliability(rng.standard_normal((40, 28, 20)), Y, n_splits=10).value for _ in range(20)
    ]
    assert abs(np.mean(noise)) < 4 * np.std(noise) / np.sqrt(20)


# Errors name the value and the cure

X = np.random.default_rng(0).standard_normal((28, 4))
TRIALS = np.random.default_rng(0).standard_normal((10, 28, 2))
ORDER = np.tile(np.arange(1.0, 29), (10, 1))
OWN = np.random.default_rng(0).permuted(ORDER, axis=1)
CLIP, PERSON = np.arange(28)[:, None], np.arange(10)[:, None, None]
RARE = np.where((CLIP == 4) & (PERSON < 3), np.nan, TRIALS)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: pj.track(X, Y, EMOTIONS, scheme="kfold"), "scheme must be one of .*'kfold'"),
        (lambda: pj.track(X, Y, EMOTIONS, null="labels"), "null must be one of .*'labels'"),
        (lambda: pj.track(X, np.ones(28), EMOTIONS), "constant at 1"),
        (lambda: pj.track(X, np.r_[np.nan, Y[1:]], EMOTIONS), "y holds NaN or inf at 0"),
        (lambda: pj.track(X, Y[:5], EMOTIONS), "one row per clip"),
        (lambda: pj.track(X, np.arange(28.0), EMOTIONS), "varies within a group"),
        (lambda: pj.track(X * np.nan, Y, EMOTIONS), "NaN or inf"),
        (lambda: pj.track(X * 0 + 1, Y, EMOTIONS), "does not vary"),
        (
            lambda: pj.track(X, Y, ["joy"] * 14 + ["fear"] * 14, null="free"),
            r"2 groups \(fear, joy\): one is left out .* takes three emotions or clips",
        ),
        (lambda: RidgeFolds(X[0]), r"got shape \(4,\)"),
        (lambda: RidgeFolds(X, alphas=[0.0]), r"positive numbers, got \[0.0\]"),
        (lambda: RidgeFolds(X, alphas=[]), "positive"),
        (lambda: RidgeFolds(X, alphas=1.0), r"a list of positive numbers, got 1\.0"),
        (lambda: RidgeFolds(X * 1e200), "too large or small to square"),
        (lambda: RidgeFolds(X * 1e-200), "too large or small to square"),
        (lambda: RidgeFolds(X, EMOTIONS).held_out_rows(X[:, :3], EMOTIONS, Y), r"rows must .* \(any, 4\)"),
        (lambda: RidgeFolds(X, EMOTIONS).held_out_rows(X, EMOTIONS[:3], Y), r"groups must .* \(28,\)"),
        (lambda: pj.class_level(X, Y, EMOTIONS, Y[:5]), r"valence must have shape \(n_clips,\), got \(5,\)"),
        (lambda: pj._order_surrogates(TRIALS, ORDER, 0), "surrogates must be a whole number of 1 or more"),
        (lambda: pj.projection_reliability(TRIALS, Y, n_splits=0), "n_splits must be a whole number of 1"),
        (lambda: RidgeFolds(X).held_out(Y[:5]), r"targets must be \(28,\)"),
        (lambda: RidgeFolds(X, EMOTIONS).held_out_rows(X[:1], ["awe"], Y), r"not among them: \['awe'\]"),
        (lambda: pj.clip_effects(TRIALS, np.where(OWN == 3, np.nan, OWN)), "no presentation position"),
        (lambda: pj.clip_effects(TRIALS, OWN[:5]), "n_subjects, n_clips"),
        (lambda: pj.clip_effects(TRIALS, ORDER), "one order, or it and its reverse"),
        (lambda: pj.clip_effects(TRIALS, np.where(PERSON[:, 0] % 2, ORDER, 29 - ORDER)), "one order"),
        (lambda: pj.clip_effects(np.where(CLIP == 4, TRIALS, np.nan), OWN), "1 trials"),
        (lambda: pj.clip_effects(TRIALS[0], OWN), r"features must be \(n_subjects"),
        (lambda: pj._order_surrogates(TRIALS, ORDER * 0, 3), "28 different positions"),
        (lambda: pj._order_surrogates(RARE, ORDER, 3), "every trial"),
        (lambda: pj.projection_reliability(RARE, Y), "3 subjects miss a clip and a quarter has 2"),
        (lambda: pj.projection_reliability(TRIALS[:5], Y), "eight"),
        (lambda: pj.trial_level(np.where(CLIP == 4, np.nan, TRIALS), Y, EMOTIONS), "nobody"),
    ],
)
def test_errors_name_the_value_and_the_cure(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("change", [lambda X: 1e-12 * X, lambda X: X + 1e8], ids=["tiny", "offset"])
def test_neither_unit_nor_offset_changes_a_prediction(change):
    expected = RidgeFolds(X, EMOTIONS).held_out(Y)
    np.testing.assert_allclose(RidgeFolds(change(X), EMOTIONS).held_out(Y), expected, atol=1e-6)


def test_says_what_can_be_done():
    assert pj.order_problem(np.ones((10, 28), bool), OWN) == "" == pj.reliability_problem(TRIALS)
