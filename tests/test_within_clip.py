"""Own ratings and own EEG of the same clip: residuals, ridge, exchange null, and what each must not see."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.linalg import block_diag
from scipy.stats import binom
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.preprocessing import PolynomialFeatures

from kernel.audit import same_clip, store
from kernel.brain import within_clip as module
from kernel.brain.cohort import standardise, trial_features
from kernel.brain.components import simulate_components
from kernel.brain.within_clip import PeopleRidge, drift_free, placebo_ratings, residuals, within_clip_test

HARDWARE = np.repeat(["first", "second"], [10, 14])


def people(rng, n=24, n_clips=16, n_features=6, within=0.0, clip=3.0):
    """Features and ratings with persons, slopes and clips of their own, and a shared part within clips."""
    order = np.array([rng.permutation(n_clips) + 1 for _ in range(n)])

    def drifting(k):
        person, slope = rng.normal(0, 5, (2, n, 1, k))
        return person + slope * order[..., None] / n_clips + clip * rng.normal(0, 1, (n_clips, k))

    own = rng.normal(0, 1, (n, n_clips))
    pattern = within * rng.normal(0, 1, n_features)
    noise = rng.normal(0, 1, (n, n_clips, n_features))
    features = drifting(n_features) + noise + pattern * own[..., None]
    return features, drifting(1)[..., 0] + own, order


@pytest.mark.parametrize("size", [{}, {"n": 123, "n_clips": 28, "n_features": 2}])  # the latter is FACED's
@pytest.mark.parametrize("drift", module.DRIFTS)
def test_residuals_are_those_of_one_regression_on_persons_drift_and_clips(rng, drift, size):
    features, _, order = people(rng, **size)
    n, n_clips, k = features.shape
    if drift == "blocks":
        basis = ((order - 1) // 4)[..., None] == np.arange(n_clips // 4)
    else:
        square = PolynomialFeatures(1 + (drift == "quadratic"))
        basis = square.fit_transform(order.reshape(-1, 1)).reshape(n, n_clips, -1)
    design = block_diag(*basis.astype(float)).reshape(n, n_clips, -1)
    design = np.concatenate([design, np.tile(np.eye(n_clips), (n, 1, 1))], -1).reshape(n * n_clips, -1)
    y = features.reshape(n * n_clips, k)
    expected = y - LinearRegression(fit_intercept=False).fit(design, y).predict(design)
    np.testing.assert_allclose(
        residuals(features, drift_free(order, drift)).reshape(y.shape), expected, atol=1e-8
    )


def test_held_out_correlations_are_those_of_a_ridge_with_generalised_cross_validation(rng):
    features, ratings, order = people(rng, within=0.3)
    model = PeopleRidge(features, order, HARDWARE)
    x, y = model.features, model.residuals(ratings[..., None])[..., 0]
    expected = np.empty(len(x))
    for fold in model.folds:
        X, Y = (np.delete(a, fold, 0).reshape(-1, *a.shape[2:]) for a in (x, y))
        alphas = np.mean(np.linalg.svd(X, compute_uv=False) ** 2) * np.array(module.RELATIVE_ALPHAS)
        fits = [Ridge(alpha, fit_intercept=False).fit(X, Y) for alpha in alphas]
        hats = [np.trace(X @ np.linalg.solve(X.T @ X + a * np.eye(X.shape[1]), X.T)) for a in alphas]
        errors = [
            np.mean((Y - fit.predict(X)) ** 2) / (1 - hat / len(Y)) ** 2
            for fit, hat in zip(fits, hats, strict=True)
        ]
        best = fits[int(np.argmin(errors))]
        expected[fold] = [np.corrcoef(best.predict(x[s]), y[s])[0, 1] for s in fold]
    np.testing.assert_allclose(model.people(ratings), expected, atol=1e-8)


def test_many_sets_at_once_are_each_set_alone(rng):
    features, ratings, order = people(rng, within=0.3)
    model = PeopleRidge(features, order, HARDWARE)
    sets = np.stack([ratings, ratings[::-1], rng.normal(0, 1, ratings.shape)], -1)
    together = model.correlations(model.residuals(sets))
    np.testing.assert_allclose(together, np.transpose([model.people(s) for s in np.moveaxis(sets, -1, 0)]))


def test_exchange_moves_whole_rating_vectors_within_groups_and_frees_them_again(rng):
    features, ratings, order = people(rng)
    model, seen = PeopleRidge(features, order, HARDWARE), []
    assert sorted(np.concatenate(model.folds)) == list(range(24))
    assert all((HARDWARE[fold] == "first").sum() == 1 for fold in model.folds)
    model.null(lambda sets: seen.append(sets) or np.zeros(sets.shape[2]), ratings, 7, 0)
    sets = np.concatenate(seen, -1)
    assert sets.shape == (*ratings.shape, 7)
    np.testing.assert_allclose(sets, model.residuals(sets), atol=1e-9)  # nothing of drift or clip is left
    marks = np.zeros_like(ratings)
    marks[HARDWARE == "first"] = rng.normal(0, 1, ratings.shape[1])  # differs between groups alone
    model.null(lambda sets: seen.append(sets) or np.zeros(sets.shape[2]), marks, 7, 0)
    alone = np.repeat(model.residuals(marks[..., None]), 7, -1)
    np.testing.assert_allclose(seen[-1], alone, atol=1e-9)


@pytest.mark.parametrize("drift", module.DRIFTS)
def test_persons_drifts_and_clips_of_any_size_change_nothing(rng, drift):
    features, ratings, order = people(rng, within=0.3)
    _, n_clips, k = features.shape
    removed = np.eye(n_clips) - drift_free(order, drift)
    shared = rng.normal(0, 50, (n_clips, k)) + removed @ (50 * features)
    options = {"drift": drift, "n_exchanges": 19}
    plain = within_clip_test(features, ratings, order, HARDWARE, **options)
    moved = within_clip_test(features + shared, ratings + shared[..., 0], order, HARDWARE, **options)
    np.testing.assert_allclose(moved.people, plain.people, atol=1e-8)


def test_a_planted_effect_comes_back_and_its_absence_does_not(rng):
    planted = within_clip_test(*people(rng, within=0.5), HARDWARE, n_exchanges=99)
    assert planted.r > planted.detectable > planted.limit > 0 and planted.p == 0.01
    assert planted.r == pytest.approx(planted.people.mean())
    absent = [within_clip_test(*people(rng), HARDWARE, n_exchanges=19) for _ in range(60)]
    rejected = sum(result.p <= 0.05 for result in absent)
    assert rejected <= binom.ppf(0.999, 60, 0.05)
    r = [result.r for result in absent]
    assert np.mean(r) < 3 * np.std(r) / np.sqrt(60)


def test_the_test_keeps_its_level_and_power_at_the_sizes_of_faced():
    def study(seed, **options):
        cohort, _ = simulate_components(seed, n_subjects=24, window=30.0, **options)
        cohort = cohort.select(channels=cohort.channels[::10])
        model = PeopleRidge(trial_features(standardise(cohort)), cohort.order, cohort.hardware)
        return model, cohort.person_rating("valence")

    absent, placebo, planted = [], [], []
    for seed in range(24):
        model, ratings = study(seed)
        absent.append(model.test(ratings, 19, seed).p)
        placebo.append(model.test(placebo_ratings(ratings, seed), 19, seed).p)
        if seed < 8:
            model, ratings = study(seed, within=0.5)
            planted.append(model.test(ratings, 19, seed).p)
    for p in (absent, placebo):
        assert sum(np.array(p) <= 0.05) <= binom.ppf(0.999, 24, 0.05)
    assert sum(np.array(planted) <= 0.05) >= binom.ppf(0.001, 8, 0.8)


def test_the_naive_way_finds_clips_in_placebo_ratings_where_the_joint_way_does_not(rng):
    joint, naive = [], []
    for _ in range(20):
        features, _, order = people(rng, clip=10.0)
        placebo = 10 * rng.normal(0, 1, 16) + rng.normal(0, 1, order.shape)
        joint.append(PeopleRidge(features, order, HARDWARE).people(placebo).mean())
        naive.append(PeopleRidge(features, order, HARDWARE, jointly=False).people(placebo).mean())
    assert abs(np.mean(joint)) < 3 * np.std(joint) / np.sqrt(20)
    assert np.mean(naive) > 0.05


def test_placebo_ratings_keep_the_clips_and_lose_the_people(rng):
    _, ratings, _ = people(rng, n=400)
    placebo = placebo_ratings(ratings, 0)
    spread = np.sqrt(ratings.var(0).mean())
    np.testing.assert_allclose(placebo.mean(0), ratings.mean(0), atol=5 * spread / 20)
    assert np.sqrt(placebo.var(0).mean()) == pytest.approx(spread, rel=0.05)
    assert placebo.mean(1).std() < 2 * spread / np.sqrt(16) < ratings.mean(1).std()


def test_noise_of_hard_placebos_goes_on_along_each_persons_order_alone(rng):
    _, ratings, order = people(rng, n=2000)
    for along, rho in ((order, 0.6), (None, 0.0)):
        placebo = placebo_ratings(ratings, 0, order=along)
        noise = (placebo - ratings.mean(0)) / np.sqrt(ratings.var(0, ddof=1).mean())
        by_position = np.take_along_axis(noise, order.argsort(1), 1)
        for lag in (1, 2):
            product = np.mean(by_position[:, lag:] * by_position[:, :-lag])
            assert product == pytest.approx(rho**lag, abs=0.03)
        np.testing.assert_allclose(by_position.var(0), 1, atol=6 * np.sqrt(2 / 2000))  # stationary
        assert abs(np.mean(noise[:, 1:] * noise[:, :-1]) - rho * 2 / 16) < 0.15


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"features": lambda x: x[:, :, 0]}, r"features must be \(n_subjects"),
        ({"features": lambda x: x * np.nan}, r"features\[0, 0\] is missing"),
        ({"features": lambda x: x * 0 + 1}, "features do not vary between people"),
        ({"ratings": lambda x: x[:, :5]}, r"ratings must be \(n_subjects, n_clips\) = \(24, 16\)"),
        ({"ratings": lambda x: x * np.nan}, r"ratings\[0, 0\] is missing"),
        ({"ratings": lambda x: np.tile(x[0], (24, 1))}, "ratings do not vary between people"),
        ({"order": lambda x: np.where(x == 7, -1, x)}, "order must be positions from 1, got -1"),
        ({"hardware": lambda x: x[:5]}, r"hardware must have shape \(24,\)"),
        ({"hardware": lambda x: np.where(np.arange(24) < 2, "rare", x)}, "'rare' has 2 people"),
        ({"drift": lambda x: "cubic"}, "drift must be one of linear, quadratic, blocks; got 'cubic'"),
        ({"n_exchanges": lambda x: 0}, "n_exchanges must be .* 1 or more, got 0"),
        (dict.fromkeys(("hardware", "features", "order"), lambda x: x[:12]), "12 people: 10 folds"),
        (
            dict.fromkeys(("features", "order"), lambda x: x[:, :4]),
            "4 clips are too few for linear drift of 2",
        ),
    ],
)
def test_what_cannot_be_tested_is_named(rng, change, message):
    features, ratings, order = people(rng)
    arguments = {"features": features, "ratings": ratings, "order": order, "hardware": HARDWARE}
    arguments |= {"drift": "linear", "n_exchanges": 9}
    arguments |= {name: make(arguments[name]) for name, make in change.items()}
    with pytest.raises(ValueError, match=message):
        within_clip_test(**arguments)


# Tables


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(same_clip, "_EXCHANGES", 49)
    monkeypatch.setattr(same_clip, "_FEWER_EXCHANGES", 19)


def material(n_subjects=24, n_channels=6, effect=None, seed=0, **options):
    """A small simulated study; `effect` is added to trials along own valence, net of person and clip."""
    cohort, _ = simulate_components(seed, n_subjects=n_subjects, window=30.0, **options)
    cohort = cohort.select(channels=cohort.channels[:n_channels])
    trials = trial_features(standardise(cohort))
    if effect is not None:
        own = residuals(cohort.person_rating("valence")[..., None].astype(float), drift_free(cohort.order))
        trials = trials + effect * own[..., None]
    return SimpleNamespace(cohort=cohort, scalp=cohort, trials=trials)


def test_tables_of_one_study_agree_and_repeat(quick):
    study = material(within=0.3)
    table = same_clip.within_clip(study, "valence | linear")
    pd.testing.assert_frame_equal(table, same_clip.within_clip(study, "valence | linear"))
    each = same_clip.within_people(study, "valence")
    assert each["r"].mean() == pytest.approx(table["r"][0]) and table["n"][0] == len(each) == 24
    everything = same_clip.within_eyes(study, "all cells")
    assert everything["r"][0] == pytest.approx(table["r"][0]) and everything["n_cells"][0] == 30
    direct = within_clip_test(
        study.trials, study.scalp.person_rating(), study.scalp.order, study.scalp.hardware, n_exchanges=19
    )
    assert direct.r == pytest.approx(table["r"][0])
    naive = same_clip.within_clip(study, "valence | naive")
    assert list(naive) == list(table) and naive["r"][0] != table["r"][0]


def test_a_cell_is_found_where_it_was_planted_and_nowhere_else(quick):
    effect = np.zeros((6, 5))
    effect[4, 2] = 1.0
    study = material(effect=effect)
    table = same_clip.within_cells(study, "valence").set_index(["channel", "band"])
    cell = (study.scalp.channels[4], "alpha")
    assert table["r"].idxmax() == cell and table["p"][cell] == pytest.approx(0.02)
    assert (table.loc[table["p"] <= 0.05, "r"].abs() >= table["limit"].iloc[0]).all()
    ratings = study.scalp.person_rating("valence")[..., None].astype(float)
    model = PeopleRidge(study.trials, study.scalp.order, study.scalp.hardware)
    x, y = model.features[:, :, 4 * 5 + 2], model.residuals(ratings)[..., 0]
    assert table["r"][cell] == pytest.approx(
        np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(x, y, strict=True)])
    )
    absent = same_clip.within_cells(material(), "valence")
    assert (absent["p"] > 0.02).all()


def test_an_effect_of_the_eyes_is_told_from_one_of_the_brain(quick):
    eyes, brain = np.zeros((6, 5)), np.zeros((6, 5))
    eyes[0] = 2.0  # Fp1
    brain[4, 2] = 2.0
    for effect, explained in ((eyes, True), (brain, False)):
        study = material(effect=effect)
        table = pd.concat([same_clip.within_eyes(study, part) for part in same_clip.EYE_SETS]).set_index(
            "cells"
        )
        assert table.loc["eyes", "n_cells"] + table.loc["other cells", "n_cells"] == 30
        assert (table.loc["eyes", "r"] > 0.5) == explained
        assert (table.loc["other cells, eyes regressed out", "r"] < 0.2) == explained


def test_an_effect_in_one_band_comes_back_in_that_band_alone(quick):
    effect = np.zeros((6, 5))
    effect[:, 1] = 1.0
    study = material(effect=effect)
    table = pd.concat([same_clip.within_bands(study, part) for part in same_clip.BAND_PARTS[:5]])
    assert table["drift"].tolist() == 5 * list(module.DRIFTS) and set(table["n_cells"]) == {6}
    rest = table[table["cells"] != "theta"]
    assert (table.loc[table["cells"] == "theta", "r"] > 0.5).all() and (rest["r"] < 0.3).all()


def test_controls_are_the_eyes_rows_for_other_cells(quick):
    study = material(n_channels=30, effect=None)
    rows = same_clip.within_controls(study, "Fp1 Fp2, delta").set_index("kind")
    eyes = pd.concat([same_clip.within_eyes(study, part) for part in same_clip.EYE_SETS[1:]]).set_index(
        "cells"
    )
    same = {"alone": "eyes", "left out": "other cells", "regressed out": "other cells, eyes regressed out"}
    for kind, name in same.items():
        columns = ["n_cells", "r", "p", "limit"]
        pd.testing.assert_series_equal(rows.loc[kind, columns], eyes.loc[name, columns], check_names=False)
    assert set(rows["n_cells"]) == {38, 112}
    posterior = same_clip.within_bands(study, same_clip.BAND_PARTS[-1])
    n_posterior = sum(name[0] in "PO" for name in study.scalp.channels)
    assert set(posterior["n_cells"]) == {n_posterior} and 8 <= n_posterior <= 10
    assert {len(part.split()) for part in same_clip.CONTROL_PARTS} == {3}


def test_placebos_and_rates_come_in_blocks_with_both_ways(quick, monkeypatch):
    monkeypatch.setitem(same_clip._BLOCKS, "3-4", range(3, 5))
    table = same_clip.within_placebo(material(), "25-49")
    assert table["set"].tolist() == list(range(25, 50))
    assert list(table) == ["set", "r", "p", "r_naive", "p_naive"] and table["r"].nunique() == 25
    hard = same_clip.within_placebo(material(), same_clip.PLACEBO_PARTS[1], hard=True)
    assert hard["set"].tolist() == table["set"].tolist() and (hard["r"] != table["r"]).all()
    rates = pd.concat([same_clip.within_rates(None, f"{truth} | 3-4") for truth in ("within 0.4", "placebo")])
    assert rates.groupby("truth")["r"].min()["within 0.4"] > 0.5
    assert rates.groupby("truth")["r"].max()["placebo"] < 0.2


@pytest.mark.faced
def test_on_faced_the_eyes_come_out_as_stored_and_clips_leave_nothing_for_placebo_ratings(faced):
    scalp = faced.select(channels=faced.channels[:30])
    study = SimpleNamespace(scalp=scalp, trials=trial_features(standardise(scalp)))
    placebos = same_clip.within_placebo(study, "0-24")
    assert (placebos["p"] <= 0.05).sum() <= binom.ppf(0.999, 25, 0.05)
    stored = store.load("within_eyes", check=False).set_index("cells")
    for part in same_clip.EYE_SETS:
        row = same_clip.within_eyes(study, part).iloc[0]
        assert row["r"] == pytest.approx(stored.loc[part, "r"], abs=1e-6)
        assert row["p"] == pytest.approx(stored.loc[part, "p"], abs=1e-3)
