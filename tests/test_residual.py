"""The residual ensemble: a scikit-learn citizen, its views exact, its gain real, its refusals specific."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.optimize import minimize
from scipy.special import softmax
from scipy.stats import binom
from sklearn.base import clone
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import Perceptron
from sklearn.metrics import balanced_accuracy_score
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.estimator_checks import parametrize_with_checks

from kernel.brain.cohort import segments, standardise
from kernel.brain.projection import ProjectionModel
from kernel.brain.simulate import simulate_cohort
from kernel.brain.splits import make_split
from kernel.decoding import ensemble, members
from kernel.decoding.bank import train_bank
from kernel.decoding.members import _input_basin, _make_views, aggregate, validation_weights
from kernel.decoding.residual import (
    NetworkClassifier,
    ResidualEnsembleClassifier,
    _hold_out,
    residual_ensemble_decoding,
)
from kernel.decoding.training import TrainingSpec


def make_data(seed=0, n_subjects=12, each=5, k=4, d=12, strength=1.2):
    """Classes with means of their own, and a shift of every subject."""
    rng = np.random.default_rng(seed)
    y = np.tile(np.repeat(np.arange(k), each), n_subjects)
    subject = np.repeat(np.arange(n_subjects), k * each)
    means = strength * rng.standard_normal((k, d))
    X = means[y] + rng.standard_normal((len(y), d)) + 0.3 * rng.standard_normal((n_subjects, d))[subject]
    return X, y, subject


# A citizen of scikit-learn


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(
    [
        ResidualEnsembleClassifier(GaussianNB(), n_members=3, random_state=0),
        NetworkClassifier(epochs=15, learning_rate=3e-3, random_state=0),
    ]
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


# Views


def test_basin_of_the_input_is_the_span_of_the_class_means(rng):
    X, y, _ = make_data()
    basis = _input_basin(X, y)
    assert basis.shape == (3, 12)
    np.testing.assert_allclose(basis @ basis.T, np.eye(3), atol=1e-12)
    means = np.stack([X[y == c].mean(0) for c in range(4)])
    centred = means - means.mean(0)
    np.testing.assert_allclose(centred @ basis.T @ basis, centred, atol=1e-12)
    line = X - X @ basis.T @ basis + np.outer(y, rng.standard_normal(12))  # means on a line
    assert len(_input_basin(line, y)) == 1


def test_views_remove_what_they_say(rng):
    X, y, _ = make_data()
    basis = _input_basin(X, y)
    state = np.random.RandomState(0)
    for view in _make_views("residual_complement", X, y, 2, state):
        np.testing.assert_allclose(view(X) @ basis.T, 0, atol=1e-12)
        np.testing.assert_allclose(X - view(X), X @ basis.T @ basis, atol=1e-12)
    dropped = _make_views("drop_basin", X, y, 7, state)
    for view, direction in zip(dropped, basis, strict=False):  # the principal ones first
        np.testing.assert_allclose(view.removed[0], direction)
    for view in dropped:
        (u,) = view.removed
        assert np.linalg.norm(u) == pytest.approx(1)
        np.testing.assert_allclose(u @ basis.T @ basis, u, atol=1e-12)  # inside the basin
        np.testing.assert_allclose(view(X) @ u, 0, atol=1e-12)
    assert len({view.removed.tobytes() for view in dropped}) == 7
    for view in _make_views("drop_random", X, y, 3, state):
        np.testing.assert_allclose(view(X) @ view.removed[0], 0, atol=1e-12)
        assert np.linalg.norm(view.removed @ basis.T) < 0.99  # of the input, not of the basin
    for view in _make_views("residual_subspaces", X, y, 3, state):
        np.testing.assert_allclose(view(X) @ basis.T, X @ basis.T, atol=1e-12)  # the basin stays
        assert np.linalg.matrix_rank(view(X)) == 12 - 4  # of nine residual dimensions four go
    for view in _make_views("random_subspaces", X, y, 3, state):
        np.testing.assert_array_equal(view(X), X[:, view.columns])
        assert len(np.unique(view.columns)) == 6
    assert _make_views("seeds", X, y, 1, state)[0](X) is X
    with pytest.warns(UserWarning, match="span one direction"):  # which nobody can do without
        assert len(_make_views("drop_basin", X, y % 2, 3, state)) == 3


# Aggregation


@pytest.mark.parametrize("diversity", ["drop_basin", "random_subspaces", "bagging"])
def test_uniform_and_half_base_are_the_means_they_say(diversity):
    X, y, subject = make_data()
    model = ResidualEnsembleClassifier(diversity=diversity, n_members=4, random_state=3)
    P = model.fit(X, y, groups=subject).members_proba(X)
    np.testing.assert_allclose(model.predict_proba(X), P[1:].mean(0))
    half = clone(model).set_params(aggregation="half_base").fit(X, y, groups=subject)
    np.testing.assert_allclose(half.predict_proba(X), 0.5 * P[0] + 0.5 * P[1:].mean(0))
    alone = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto").fit(
        X[~model.validation_], y[~model.validation_]
    )
    np.testing.assert_allclose(P[0], alone.predict_proba(X))
    far = clone(model).fit(X + 1e8, y, groups=subject)  # an offset neither hides the basin nor swamps LDA
    # members that drop a random direction of the basin depend on the signs of its vectors
    same = 1 + len(_input_basin(X, y)) if diversity == "drop_basin" else 5
    np.testing.assert_allclose(far.members_proba(X + 1e8)[:same], P[:same], atol=1e-5)


def test_a_training_that_diverges_is_named():
    X, y, _ = make_data()
    with pytest.raises(ValueError, match=r"member 0 diverged, .* standardise .* learning_rate=0\.001"):
        NetworkClassifier(epochs=4, device="cpu").fit(1e38 * X, y)


def test_held_out_samples_leave_every_class_behind():
    y = np.array([0] * 10 + [1] * 3 + [2])
    for seed in range(10):
        held = _hold_out(y, None, 0.3, np.random.RandomState(seed))
        assert set(y[~held]) == {0, 1, 2} and held.sum() == 4
        groups = np.array([0] * 5 + [1] * 5 + [2] * 3 + [3])  # only 0 or 1 can go
        held = _hold_out(y, groups, 0.3, np.random.RandomState(seed))
        assert set(groups[held]) in ({0}, {1})
    with pytest.raises(ValueError, match="no group of 3 can be held out"):
        _hold_out(np.arange(3), np.arange(3), 0.3, np.random.RandomState(0))


def test_weights_maximise_the_likelihood_of_the_mixture(rng):
    y = rng.integers(0, 3, 300)
    strength = np.array([2.0, 1.0, 0.0, 1.5])[:, None, None]
    P = softmax(strength * np.eye(3)[y] + 0.8 * rng.standard_normal((4, 300, 3)), axis=-1)
    found = validation_weights(P, y, n_iterations=5000)
    p = P[:, np.arange(300), y]

    def loss(w):
        return -np.log(w @ p).mean()

    best = minimize(
        loss, np.full(4, 0.25), bounds=[(0, 1)] * 4, constraints={"type": "eq", "fun": lambda w: w.sum() - 1}
    )
    assert found.sum() == pytest.approx(1) and (found >= 0).all()
    assert loss(found) == pytest.approx(best.fun, abs=1e-6)
    np.testing.assert_allclose(validation_weights(P[[0, 0, 0]], y), 1 / 3)


def test_weights_and_stacking_use_the_held_out_samples_only():
    X, y, subject = make_data(strength=0.7)
    everyone = ResidualEnsembleClassifier(n_members=2, validation_fraction=None).fit(X, y)
    assert everyone.contributions_ is None and everyone.validation_ is None
    for aggregation in ("validation", "stacked"):
        model = ResidualEnsembleClassifier(n_members=3, aggregation=aggregation, random_state=0)
        model.fit(X, y, groups=subject)
        held = model.validation_
        assert 0.15 < held.mean() < 0.35 and not set(subject[held]) & set(subject[~held])
        P = model.members_proba(X)
        expected = ensemble.contributions(P[1:, held], y[held])
        np.testing.assert_allclose(model.contributions_.shapley, expected.shapley)
        np.testing.assert_allclose(model.contributions_.leave_one_out, expected.leave_one_out)
        if aggregation == "validation":
            np.testing.assert_allclose(model.weights_, validation_weights(P[:, held], y[held]))
            expected = np.tensordot(model.weights_, P, axes=1)
        else:
            expected = aggregate("stacked", P[1:, held], y[held], P[1:])
        np.testing.assert_allclose(model.predict_proba(X), expected)


# What it gains


def test_gains_over_single_members_where_they_err_apart_and_not_at_chance():
    wins, null = 0, []
    for seed in range(12):
        X, y, subject = make_data(seed, n_subjects=16, strength=0.5)
        shuffled = np.random.default_rng(seed).permutation(y)
        for labels in (y, shuffled):
            train = subject < 10
            model = ResidualEnsembleClassifier(
                DecisionTreeClassifier(max_depth=6), "bagging", n_members=8, random_state=seed
            ).fit(X[train], labels[train], groups=subject[train])
            P = model.members_proba(X[~train])[1:]
            found = ensemble.contributions(P, labels[~train])
            if labels is y:
                wins += found.gain > 0
            else:
                null.append(found.ensemble - 0.25)
    assert binom.sf(wins - 1, 12, 0.5) < 0.001
    assert abs(np.mean(null)) < 3.5 * np.std(null, ddof=1) / np.sqrt(12)


# The same every time


@pytest.mark.parametrize(
    ("base", "diversity"),
    [
        (make_pipeline(StandardScaler(), RandomForestClassifier(n_estimators=3)), "length"),
        (NetworkClassifier(epochs=4, batch_size=32), "seeds"),
    ],
)
def test_one_process_or_two_give_the_same_and_another_seed_another(base, diversity):
    X, y, subject = make_data(strength=0.5)
    model = ResidualEnsembleClassifier(base, diversity, n_members=4, random_state=0, n_jobs=1)
    before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    one = model.fit(X, y, groups=subject).members_proba(X)
    np.testing.assert_array_equal(np.random.get_state()[1], before[0])  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[1])
    np.random.rand(3)  # noqa: NPY002
    torch.rand(3)
    two = clone(model).set_params(n_jobs=2).fit(X, y, groups=subject).members_proba(X)
    np.testing.assert_array_equal(one, two)
    other = clone(model).set_params(random_state=1).fit(X, y, groups=subject).members_proba(X)
    assert np.abs(one - other).max() > 1e-6


def test_members_of_different_diversity_share_their_seeds():
    X, y, _ = make_data()
    base = DecisionTreeClassifier(max_depth=2, max_features=1)
    seeds = []
    for diversity in ("seeds", "drop_basin", "bagging"):
        trained = members.fit_members(base, diversity, X, y, n_members=3, random_state=0)
        seeds.append([member.estimator.random_state for member in trained])
    assert seeds[0] == seeds[1] == seeds[2] and len(set(seeds[0])) == 3


def test_lengths_come_in_pairs_of_one_seed():
    X, y, _ = make_data()
    base = make_pipeline(StandardScaler(), MLPClassifier((8,), max_iter=10))
    with pytest.warns(UserWarning, match="Maximum iterations"):
        model = ResidualEnsembleClassifier(base, "length", n_members=5, random_state=0).fit(X, y)
    steps = [member.estimator[-1] for member in model.members_]
    assert [step.max_iter for step in steps] == [8, 12, 8, 12, 8]
    seeds = [step.random_state for step in steps]
    assert seeds[0] == seeds[1] != seeds[2] == seeds[3] != seeds[4]


def test_snapshots_are_stations_of_one_training():
    X, y, _ = make_data(strength=0.5)
    base = NetworkClassifier(epochs=5, batch_size=32)
    model = ResidualEnsembleClassifier(base, "snapshots", n_members=3, random_state=0).fit(X, y)
    weights = [member.estimator.network_.head.weight for member in model.members_]
    assert not torch.equal(weights[0], weights[1]) and not torch.equal(weights[1], weights[2])
    train = X[~model.validation_], y[~model.validation_]
    seed = model.members_[0].estimator.random_state
    first = NetworkClassifier(epochs=5, batch_size=32, random_state=seed).fit(*train)
    torch.testing.assert_close(first.network_.head.weight, weights[0], rtol=0, atol=0)


def test_bagging_draws_whole_groups():
    _, y, subject = make_data()
    rows = members._bootstrap(y, subject, np.random.RandomState(0))
    counts = np.bincount(rows, minlength=len(y)).reshape(12, 20)
    assert (counts == counts[:, :1]).all() and counts[:, 0].sum() == 12 and counts.max() > 1


# Networks


def test_network_classifier_learns_and_can_be_stored():
    X, y, subject = make_data(strength=0.8)
    train = subject < 9
    for options in ({}, {"network": "axial", "shape": (4, 3), "learning_rate": 5e-3}):
        model = NetworkClassifier(epochs=30, batch_size=32, random_state=0, **options).fit(X[train], y[train])
        assert balanced_accuracy_score(y[~train], model.predict(X[~train])) > 0.6, options
        again = pickle.loads(pickle.dumps(model))
        np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))


def test_an_estimator_is_a_member_of_a_bank():
    cohort, _ = simulate_cohort(0, "strong_valence", n_subjects=10, window=10.0)
    split = make_split(cohort, "leave_subjects_out")
    spec = TrainingSpec(epochs=1, warmup_epochs=0, batch_size=64, seed=3)  # the best epoch is the last
    bank = train_bank([spec], cohort, split, n_jobs=1, baselines=False, progress=False)
    cut = segments(standardise(cohort))
    rows = cut.rows(split.train)
    alike = {"shape": (32, 5), "epochs": 1, "warmup_epochs": 0, "batch_size": 64}
    model = NetworkClassifier(**alike, random_state=3).fit(cut.X[rows], cut.y[rows])
    for name, value in model.network_.state_dict().items():
        np.testing.assert_allclose(value, bank.checkpoints[0].state[name], atol=1e-6)
    other = NetworkClassifier(**alike, random_state=4).fit(cut.X[rows], cut.y[rows])
    assert np.abs(other.predict_proba(cut.X) - model.predict_proba(cut.X)).max() > 1e-3


def test_networks_are_computed_where_they_are_told(device):
    X, y, _ = make_data()
    base = NetworkClassifier(epochs=4)
    model = ResidualEnsembleClassifier(base, n_members=2, random_state=0, device=device).fit(X, y)
    for member in (model.base_, *model.members_):
        assert next(member.estimator.network_.parameters()).device.type == device
    assert isinstance(model.predict_proba(X), np.ndarray) and base.device is None
    with pytest.raises(ValueError, match="cannot be used here"):
        NetworkClassifier(device="nowhere").fit(X, y)


# One call


def test_one_call_is_the_estimator_s():
    X, y, subject = make_data()
    names = np.array(["a", "b", "c", "d"])
    train = subject < 9
    data = X[train], names[y[train]], X[~train]
    found = residual_ensemble_decoding(None, "drop_basin", *data, groups=subject[train], n_members=4)
    model = ResidualEnsembleClassifier(n_members=4, random_state=0)
    model.fit(*data[:2], groups=subject[train])
    np.testing.assert_allclose(found.probabilities, model.predict_proba(data[2]))
    np.testing.assert_array_equal(found.predictions, model.predict(data[2]))
    np.testing.assert_allclose(found.member_probabilities.mean(0), found.probabilities)
    np.testing.assert_allclose(found.contributions.shapley, model.contributions_.shapley)
    assert len(found.members) == 4 and found.classes.tolist() == list("abcd")


# What it refuses


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_members": 1}, "n_members must be a whole number of 2 or more"),
        ({"diversity": "luck"}, "diversity must be one of seeds"),
        ({"diversity": "seeds"}, "all 10 members are identical"),
        ({"diversity": "length"}, "its training has no length"),
        ({"diversity": "snapshots"}, "keeps no snapshots"),
        ({"diversity": [GaussianNB()]}, "number of estimators in diversity must be"),
        ({"diversity": [GaussianNB(), GaussianNB()]}, "all 2 members are identical"),
        ({"estimator": Perceptron()}, "Perceptron has no predict_proba"),
        ({"estimator": GaussianNB}, r"estimator is the class GaussianNB: give an object, GaussianNB\(\)"),
        ({"estimator": NetworkClassifier(shape=(5, 3))}, r"shape \(5, 3\) is not .* of 12 features"),
        ({"estimator": NetworkClassifier(shape=12)}, r"shape 12 is not \(channels, bands\) of 12 features"),
        (
            {"estimator": NetworkClassifier(options={"hidden": 8})},
            "hidden is empty, or no list of widths: .*, got 8",
        ),
        ({"estimator": NetworkClassifier(epochs=2)}, "warmup_epochs"),
        ({"aggregation": "best"}, "aggregation must be one of uniform"),
        ({"aggregation": "stacked", "validation_fraction": None}, "needs a validation_fraction"),
        ({"validation_fraction": 1.0}, "must lie in .0, 1."),
    ],
)
def test_refuses_options_and_says_why(options, message):
    X, y, _ = make_data()
    with pytest.raises(ValueError, match=message):
        ResidualEnsembleClassifier(**options).fit(X, y)


class Untouched(GaussianNB):
    """Nothing is to be trained."""

    def fit(self, X, y):
        raise AssertionError("trained")


@pytest.mark.parametrize(
    ("diversity", "options", "change", "message"),
    [
        ("bagging", {}, lambda X: X[:, 1:], "X_test: X has 11 features, but .* is expecting 12"),
        ("bagging", {}, lambda X: np.where(X > 2, np.nan, X), "X_test: Input X contains NaN"),
        ("bagging", {}, lambda X: X[:0], r"X_test: Found array with 0 sample\(s\)"),
        ("bagging", {}, lambda X: X[0], "X_test: Expected 2D array, got 1D"),
        ("baging", {}, None, r"diversity must be one of .*; got 'baging' \(did you mean bagging"),
        (None, {}, None, "diversity must be one of .*; got None"),
        ("bagging", {"n_members": 1}, None, "n_members must be a whole number of 2 or more, got 1"),
        ("bagging", {"n_members": 4.0}, None, r"n_members must be .*, got 4\.0"),
        ("length", {}, None, "Untouched has none of epochs"),
        ("snapshots", {}, None, "Untouched keeps no snapshots"),
        ([Untouched()], {}, None, "number of estimators in diversity must be"),
        ([Untouched(), SVC()], {}, None, "SVC has no predict_proba: wrap it in CalibratedClassifierCV"),
        ([Untouched(), GaussianNB], {}, None, r"estimator is the class GaussianNB: give an object"),
    ],
)
def test_what_cannot_be_decoded_is_refused_before_anything_is_trained(diversity, options, change, message):
    X, y, _ = make_data()
    with pytest.raises(ValueError, match=message):
        residual_ensemble_decoding(Untouched(), diversity, X, y, change(X) if change else X, **options)
    with pytest.raises(AssertionError, match="trained"):
        residual_ensemble_decoding(Untouched(), "bagging", X, y, X)


def test_too_few_samples_are_named_as_such():
    X, y, _ = make_data()
    message = "GaussianNB trained on 4 samples; choose .*, or a smaller validation_fraction"
    with pytest.raises(ValueError, match=message):
        residual_ensemble_decoding(GaussianNB(), "bagging", X, y, X, validation_fraction=0.99)
    residual_ensemble_decoding(GaussianNB(), "bagging", X, y, X, n_members=2, validation_fraction=0.5)


@pytest.mark.parametrize(
    ("options", "change", "message"),
    [
        ({}, lambda X, y, g: (X, y, g[:-1]), r"groups must have shape \(240,\), one for each row"),
        ({}, lambda X, y, g: (X, 0 * y, g), "y holds one class only"),
        ({}, lambda X, y, g: (X[:, :1], y, g), "n_features = 1"),
        ({"diversity": "residual_complement"}, lambda X, y, g: (X[:, :3], y, g), "leave 0 of 3 features"),
        ({"diversity": "residual_subspaces"}, lambda X, y, g: (X[:, :4], y, g), "leave 1 of 4 features"),
        (
            {"diversity": "bagging", "validation_fraction": None},
            lambda *_: (*make_data(k=12)[:2], make_data(k=12)[1]),
            "all lack a class",
        ),
    ],
)
def test_refuses_data_and_says_why(options, change, message):
    X, y, groups = change(*make_data())
    with pytest.raises(ValueError, match=message):
        ResidualEnsembleClassifier(n_members=2, random_state=0, **options).fit(X, y, groups=groups)


MASKED = np.ma.masked_array(make_data()[0], make_data()[0] > 2)  # scikit-learn would not see the mask


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X, y: (MASKED, y), r"X holds masked values at \[\d+, \d+\] and \d+ more: drop or mend"),
        (lambda X, y: (list(MASKED), y), "X holds masked values at"),
        (lambda X, y: (X, np.ma.masked_array(y, y == 3)), "y holds masked values at 15 and 59 more"),
        (
            lambda X, y: (X, pd.Series(y, dtype="Int64").where(y != 2)),
            "y holds NaN or None at 10 and 59 more",
        ),
        (lambda X, y: (X, [None, *y[1:]]), "y holds NaN or None at 0"),
    ],
)
def test_what_is_hidden_or_missing_is_named(change, message):
    X, y, _ = make_data()
    model = ResidualEnsembleClassifier(GaussianNB(), n_members=2, random_state=0)
    network, projection = NetworkClassifier(epochs=4), ProjectionModel()
    for call in (model.fit, network.fit, projection.fit):
        with pytest.raises(ValueError, match=message):
            call(*change(X, y))
    for fitted in (model.fit(X, y), network.fit(X, y), projection.fit(X, y)):
        with pytest.raises(ValueError, match="X holds masked values"):
            fitted.predict(MASKED)


def test_tensors_and_whole_masks_are_what_their_numbers_are():
    X, y, subject = make_data()
    for model in (ResidualEnsembleClassifier(n_members=2, random_state=0), ProjectionModel()):
        expected = model.fit(X, y, groups=subject).predict(X)
        wide = torch.tensor(X, requires_grad=True)
        for labels in (
            torch.tensor(y * 1.0, requires_grad=True),
            np.ma.masked_array(y),
            pd.Series(y, dtype="Int64"),
        ):
            found = clone(model).fit(wide, labels, groups=subject).predict(wide)
            np.testing.assert_allclose(found, expected)


def test_stacking_needs_every_class_on_held_out_samples():
    P = np.full((2, 5, 3), 1 / 3)
    with pytest.raises(ValueError, match="no held-out sample has class number"):
        aggregate("stacked", P, np.zeros(5, dtype=int), P)
