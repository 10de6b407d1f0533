"""The contest is fair and resumable; the two-tier study finds what is planted and nothing else."""

import functools
import itertools
from dataclasses import replace
from unittest import mock

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax
from scipy.stats import binom, ttest_1samp
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, cohen_kappa_score

from kernel import files, stats
from kernel.brain.cohort import segments, standardise
from kernel.brain.simulate import Settings, simulate_cohort
from kernel.brain.splits import make_split
from kernel.decoding import members, networks
from kernel.decoding.bank import train_bank
from kernel.decoding.contest import (
    METHODS,
    RESIDUAL_METHODS,
    contest,
    contest_summary,
    gains_in_context,
)
from kernel.decoding.residual import NetworkClassifier
from kernel.decoding.two_tier import (
    Pool,
    length_agreement,
    lengths_against_seeds,
    make_pools,
    pool_specs,
    residual_against_contribution,
)

STRONG = Settings(classes=0.08)
TINY = NetworkClassifier(
    options={"hidden": (16,)}, epochs=4, batch_size=64, learning_rate=5e-3, warmup_epochs=1
)
LDA = networks.linear_baseline("lda")


@pytest.fixture(scope="module")
def cohort():
    return simulate_cohort(3, STRONG, n_subjects=10, window=10.0)[0]


@pytest.fixture(scope="module")
def split(cohort):
    return make_split(cohort, "leave_subjects_out")


def run(cohort, split, folder, **options):
    shared = {"n_members": 4, "n_resamples": 200, "progress": False, "folder": folder}
    return contest(cohort, split, **{**shared, **options})


@pytest.fixture(scope="module")
def table(cohort, split, tmp_path_factory):
    return run(cohort, split, tmp_path_factory.mktemp("contest"), estimator=TINY).set_index("method")


# The contest


def test_every_contestant_has_the_same_trainings_and_trials(table):
    names = [name for name in METHODS if name != "base alone"]
    assert list(table.index) == [*names, "lda", "logistic"]
    assert set(table.loc[names, "trainings"]) == {4}
    assert table.loc["deep ensemble", ["difference", "low", "high"]].tolist() == [0, 0, 0]
    np.testing.assert_allclose(
        table["bacc"] - table.loc["deep ensemble", "bacc"], table["difference"], atol=1e-12
    )
    assert (table["low"] <= table["difference"]).all() and (table["difference"] <= table["high"]).all()
    assert table.loc["deep ensemble", "single"] == pytest.approx(table.loc["single network", "bacc"])
    assert table.loc[names, "single_validation"].between(0.05, 1).all()
    context = gains_in_context(table.reset_index()).set_index("reference")
    assert context.loc["lda", "gain"] == pytest.approx(-table.loc["lda", "difference"])
    assert context.loc["lda", "relative"] == pytest.approx(
        -table.loc["lda", "difference"] / table.loc["lda", "bacc"]
    )


def on_every_trial(cohort, split, estimator, family):
    """Members of a family by a call of their own, and the rows of each set."""
    whole = segments(standardise(cohort))
    train, held, test = (whole.rows(part) for part in (split.train, split.validation, split.test))
    options = {"n_members": 4, "groups": whole.subject[train], "random_state": 0}
    trained = members.fit_members(estimator, family, whole.X[train], whole.y[train], **options)
    P = np.stack([one.predict_proba(whole.X) for one in trained]).astype(np.float32).astype(float)
    return whole, P, train, held, test


def test_equals_the_same_steps_by_hand(cohort, split, tmp_path):
    table = run(cohort, split, tmp_path, estimator=LDA).set_index("method")
    assert table.loc["base alone", "bacc"] == pytest.approx(table.loc["lda", "bacc"])
    whole, P, train, held, test = on_every_trial(cohort, split, LDA, "drop_basin")
    base = networks.linear_baseline("lda").fit(whole.X[train], whole.y[train]).predict_proba(whole.X)[None]
    score = lambda p: balanced_accuracy_score(whole.y[test], p[test].argmax(1))  # noqa: E731
    assert table.loc["drop basin", "bacc"] == pytest.approx(score(P.mean(0)))
    assert table.loc["drop basin + base", "bacc"] == pytest.approx(score(0.5 * base[0] + 0.5 * P[:3].mean(0)))
    four = np.concatenate([base, P[:3]])
    weights = members.validation_weights(four[:, held], whole.y[held])
    assert table.loc["drop basin, weighted", "bacc"] == pytest.approx(score(np.tensordot(weights, four, 1)))


def test_choices_are_made_on_validation(cohort, split, table):
    whole, P, _, held, test = on_every_trial(cohort, split, TINY, "seeds")
    on = lambda rows, p: balanced_accuracy_score(whole.y[rows], p[rows].argmax(1))  # noqa: E731
    order = np.argsort([-on(held, p) for p in P], kind="stable")
    assert table.loc["best single", "bacc"] == pytest.approx(on(test, P[order[0]]))
    assert table.loc["top half", "bacc"] == pytest.approx(on(test, P[order[:2]].mean(0)))
    assert table.loc["single network", "bacc"] == pytest.approx(np.mean([on(test, p) for p in P]))


def test_time_steps_stand_side_by_side_in_the_features(tmp_path):
    fine = simulate_cohort(3, STRONG, n_subjects=10, window=5.0)[0]
    fold = make_split(fine, "leave_subjects_out")
    options = {"estimator": LDA, "methods": ["base alone"], "segment": 10.0, "n_resamples": 20}
    bacc, whole = (run(fine, fold, tmp_path, n_windows=n, **options)["bacc"].iloc[-2] for n in (2, 1))
    halves = segments(standardise(fine), length=5.0)
    X, y = halves.X.reshape(len(halves.X) // 2, -1), halves.y[::2]
    train, test = (halves.rows(part)[::2] for part in (fold.train, fold.test))
    called = networks.linear_baseline("lda").fit(X[train], y[train]).predict(X[test])
    assert bacc == pytest.approx(balanced_accuracy_score(y[test], called)) and bacc != whole
    for name in ("train", "validation", "test"):
        with pytest.raises(ValueError, match=r"a set of split .* is empty: choose another"):
            run(fine, replace(fold, **{name: np.zeros_like(fold.test)}), tmp_path, **options)


class Strangers(LinearDiscriminantAnalysis):
    """A base whose source is in no key."""


@pytest.mark.parametrize("change", ["version", "a late prior", "a stranger's base"])
def test_probabilities_are_loaded_only_for_what_gave_them(change, cohort, split, tmp_path, monkeypatch):
    trained, fit = [], LinearDiscriminantAnalysis.fit
    monkeypatch.setattr(
        LinearDiscriminantAnalysis, "fit", lambda self, *data: trained.append(0) or fit(self, *data)
    )
    estimator = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.5, priors=np.full(9, 1 / 9))
    if change == "a stranger's base":
        estimator = Strangers(solver="lsqr", shrinkage=0.5)

    def again():
        before = len(trained)
        run(cohort, split, tmp_path, estimator=estimator, methods=["base alone"], n_resamples=20)
        return len(trained) > before

    assert again() and again() == (change == "a stranger's base")
    if change == "version":
        monkeypatch.setattr(files, "VERSIONS", {**files.VERSIONS, "scikit-learn": "0"})
    else:
        estimator.priors = np.full(9, 1 / 9) + 1e-12 * np.arange(9)  # alike when printed
    assert again()


def test_members_of_another_device_are_stored_beside(cohort, split, tmp_path):
    for device, n_files in (("cpu", 3), ("meta", 4), ("cpu", 4)):  # LDA runs on the CPU anyway
        run(cohort, split, tmp_path, estimator=LDA, methods=["base alone"], device=device, n_resamples=20)
        assert len(list(tmp_path.iterdir())) == n_files


def test_an_interrupted_contest_goes_on_where_it_stopped(cohort, split, tmp_path, monkeypatch):
    methods = ["deep ensemble", "drop basin", "bagged subjects"]
    options = {"estimator": TINY, "methods": methods}
    whole = run(cohort, split, tmp_path / "a", **options)
    trained, fit_members = [], members.fit_members

    def interrupted(estimator, diversity, *args, **kwargs):
        if diversity == "bagging" and len(trained) == 2:
            trained.append("stop")
            raise KeyboardInterrupt
        trained.append(diversity)
        return fit_members(estimator, diversity, *args, **kwargs)

    monkeypatch.setattr(members, "fit_members", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(cohort, split, tmp_path / "b", **options)
    again = run(cohort, split, tmp_path / "b", **options)
    assert trained == ["seeds", "drop_basin", "stop", "bagging"]
    pd.testing.assert_frame_equal(again, whole)


def test_a_base_without_seeds_meets_those_it_can(cohort, split, tmp_path):
    def possible(estimator):
        with pytest.raises(ValueError, match=r"must be one of (.*); got 'luck'") as refused:
            run(cohort, split, tmp_path, estimator=estimator, methods=["luck"])
        return str(refused.value)

    without_seeds = [
        "base alone", "bagged subjects", "random subspaces", "residual subspaces", "drop random",
        "drop basin", "drop basin + base", "drop basin, weighted", "drop basin, stacked",
    ]  # fmt: skip
    assert f"one of {', '.join(without_seeds)}; got" in possible(LDA)
    assert f"one of {', '.join(name for name in METHODS if name != 'base alone')}; got" in possible(TINY)
    seeded = possible(LogisticRegression(max_iter=50))
    assert "deep ensemble" in seeded and "two lengths" in seeded and "snapshots" not in seeded
    assert set(RESIDUAL_METHODS) < set(METHODS) and not {"deep ensemble", "drop random"} & set(
        RESIDUAL_METHODS
    )


def test_refuses_contestants_and_says_why(cohort, split, tmp_path):
    for estimator, name in ((TINY, "luck"), (LDA, "snapshots")):
        with pytest.raises(ValueError, match=f"a contestant with .* must be one of .* got '{name}'"):
            run(cohort, split, tmp_path, estimator=estimator, methods=[name])
    five = cohort.select(subjects=cohort.subjects[:5])  # one of whom tests
    with (
        mock.patch.object(members, "fit_members", None),
        pytest.raises(
            ValueError, match=r"test of split 'leave_subjects_out' holds 1 subject: .* add subjects"
        ),
    ):
        run(five, "leave_subjects_out", tmp_path)
    with pytest.raises(ValueError, match="the table lacks deep ensemble, single network"):
        gains_in_context(run(cohort, split, tmp_path, estimator=LDA, methods=["drop basin"]))


def test_several_cohorts_and_their_summary(tmp_path):
    options = {"estimator": LDA, "n_members": 3, "methods": ["base alone", "drop basin"], "n_resamples": 50}
    tables = []
    for preset in (STRONG, "null"):
        for seed in range(3):
            part, _ = simulate_cohort(seed, preset, n_subjects=10, window=10.0)
            own = contest(
                part, make_split(part, "leave_subjects_out"), folder=tmp_path, progress=False, **options
            )
            name = preset if isinstance(preset, str) else "strong"
            tables.append(own.assign(preset=name, cohort_seed=seed))
    table = pd.concat(tables, ignore_index=True)
    assert len(table) == 3 * 2 * 4 and table["cohort_seed"].nunique() == 3
    found = contest_summary(table).set_index(["preset", "method"])
    part = table[(table["preset"] == "null") & (table["method"] == "drop basin")]["difference"]
    row = found.loc[("null", "drop basin")]
    interval = ttest_1samp(part, 0).confidence_interval()
    assert (row["low"], row["high"]) == pytest.approx((interval.low, interval.high))
    assert row["wins"] == (part > 0).sum() and row["cohorts"] == 3
    assert found.index.unique("preset").tolist() == ["strong", "null"]
    assert all(found.loc[name, "bacc"].is_monotonic_decreasing for name in ("strong", "null"))
    strong = table[table["preset"] == "strong"].groupby("method")["bacc"].mean()
    null = table[table["preset"] == "null"].groupby("method")["bacc"].mean()
    assert (strong > 0.3).all() and null.between(0.06, 0.17).all()
    with pytest.raises(ValueError, match="needs one row each of two or more"):
        contest_summary(table[table["cohort_seed"] == 0])


# The two-tier study


def make_pool(seed, effect=0.0, n_members=8, n=300, k=4):
    """Members of unequal strength whose alignment follows it if there is an effect."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, k, n)
    strength = rng.uniform(0.2, 1.6, n_members)
    P = softmax(strength[:, None, None] * np.eye(k)[y] + rng.standard_normal((n_members, n, k)), axis=-1)
    noise = rng.standard_normal((101, n_members))
    aligned = effect * (strength - 0.9) / 0.4 + noise[0]
    subject = np.arange(n) // 30
    lengths = np.tile([20, 30], n_members // 2)
    seeds = np.arange(n_members) // 2
    return Pool(f"pool {seed}", P, y, subject, lengths, seeds, aligned, noise[0], noise[1:])


def test_alignment_predicts_contribution_where_planted_only():
    planted = residual_against_contribution([make_pool(s, 3.0) for s in range(12)], n_permutations=400)
    assert planted.mean > 0.3 and planted.p < 0.01 and planted.p_target < 0.02
    found = [
        residual_against_contribution([make_pool(100 + 5 * r + i) for i in range(5)], n_permutations=99)
        for r in range(50)
    ]
    for name in ("p", "p_target"):
        p = np.array([getattr(one, name) for one in found])
        assert binom.sf((p <= 0.05).sum() - 1, 50, 0.05) > 0.001, name
        assert abs(p.mean() - 0.5) < 3.5 * np.sqrt(1 / 12 / 50), name
    assert np.mean([one.null_sd for one in found]) == pytest.approx(1 / np.sqrt(7), abs=0.015)


def test_the_table_of_pools_is_what_a_loop_gives():
    pools = [make_pool(seed, 1.0) for seed in range(3)]
    found = residual_against_contribution(pools, n_permutations=50)
    targets = []
    for pool, row in zip(pools, found.table.itertuples(), strict=True):
        full = balanced_accuracy_score(pool.y, pool.probabilities.mean(0).argmax(1))
        rest = [np.delete(pool.probabilities, i, axis=0).mean(0).argmax(1) for i in range(8)]
        gain = [full - balanced_accuracy_score(pool.y, one) for one in rest]
        assert row.r == pytest.approx(np.corrcoef(pool.residual, gain)[0, 1])
        assert row.slope == pytest.approx(np.polyfit(pool.residual, gain, 1)[0])
        targets.append([np.corrcoef(drawn, gain)[0, 1] for drawn in pool.null_residual])
    assert found.mean == pytest.approx(found.table["r"].mean())
    for p, null in ((found.p, found.null), (found.p_target, np.mean(targets, axis=0))):
        assert p == stats.permutation_p(found.mean, null, alternative="greater")


def test_constant_alignment_counts_as_no_correlation():
    pools = [make_pool(0), make_pool(1)]
    pools[0] = pools[0]._replace(residual=np.full(8, 0.3))
    found = residual_against_contribution(pools, n_permutations=50)
    assert found.table["r"][0] == found.table["slope"][0] == 0


def test_top_and_bottom_where_planted_only():
    planted, absent = (
        np.array(
            [make_pool(seed, effect).top_and_bottom(size=5, n_permutations=1)[0]["p"] for seed in range(60)]
        )
        for effect in (3.0, 0.0)
    )
    assert binom.sf((planted <= 0.05).sum() - 1, 60, 0.05) < 1e-3 and planted.mean() < 0.3
    assert binom.sf((absent <= 0.05).sum() - 1, 60, 0.05) > 1e-3 and abs(absent.mean() - 0.5) < 0.15


def test_top_and_bottom_are_exact():
    pool = make_pool(3, 1.0, n_members=6)
    row, null = pool.top_and_bottom(size=4, n_permutations=5000)

    @functools.cache
    def score(members):
        return balanced_accuracy_score(pool.y, pool.probabilities[list(members)].mean(0).argmax(1))

    order = np.argsort(pool.residual).tolist()
    ends = {"top": score(frozenset(order[2:])), "bottom": score(frozenset(order[:4])), "all": score(range(6))}
    assert {name: row[name] for name in ends} == pytest.approx(ends)
    orders = itertools.permutations(range(6))
    differences = [score(frozenset(o[2:])) - score(frozenset(o[:4])) for o in orders]
    assert row["p"] == pytest.approx(np.mean(np.array(differences) >= row["difference"] - 1e-9))
    assert null.std() == pytest.approx(np.std(differences), rel=0.05)


def test_growth_is_the_mean_over_subsets():
    pool = make_pool(1, n_members=6)
    table = pool.growth().set_index("size")
    pairs = [
        balanced_accuracy_score(pool.y, pool.probabilities[list(c)].mean(0).argmax(1))
        for c in itertools.combinations(range(6), 2)
    ]
    row = table.loc[2]
    assert row["subsets"] == 15 and row["mean"] == pytest.approx(np.mean(pairs))
    assert (row["worst"], row["best"], row["sd"]) == pytest.approx((min(pairs), max(pairs), np.std(pairs)))
    assert table["mean"].is_monotonic_increasing and table.loc[6, "sd"] == 0


def test_lengths_agree_less_where_planted_only():
    def members(own):
        rng = np.random.default_rng(0)
        y = rng.integers(0, 3, 600)
        kinds = own * rng.standard_normal((2, 600, 3))  # what members of one length have in common
        P = np.eye(3)[y] + kinds[[0, 0, 0, 1, 1, 1]] + 0.7 * rng.standard_normal((6, 600, 3))
        return softmax(P, axis=-1)

    lengths, subject = [20] * 3 + [30] * 3, np.arange(600) // 30
    planted = length_agreement(members(1.0), lengths, range(6), subject, n_resamples=300)
    absent = length_agreement(members(0.0), lengths, range(6), subject, n_resamples=300)
    assert planted.high < -0.1 and absent.low < 0 < absent.high
    called = members(1.0).argmax(-1)
    kappas = {True: [], False: []}
    for i, j in itertools.combinations(range(6), 2):
        kappas[lengths[i] != lengths[j]].append(cohen_kappa_score(called[i], called[j]))
    assert planted.value == pytest.approx(np.mean(kappas[True]) - np.mean(kappas[False]))
    # twins of one seed agree across lengths, which hides the difference unless they are left out
    twins = members(1.0)
    twins[3] = twins[0]
    with_twins = length_agreement(twins, lengths, range(6), subject, n_resamples=300)
    without = length_agreement(twins, lengths, [0, 1, 2, 0, 3, 4], subject, n_resamples=300)
    assert without.value < with_twins.value
    with pytest.raises(ValueError, match="leave no pair across"):
        length_agreement(members(0.0), [20] * 6, range(6), subject)


# On a bank


def test_pools_of_a_bank(cohort, split):
    quick = {"batch_size": 64, "warmup_epochs": 1, "options": {"hidden": (12,)}}
    specs = pool_specs(2, n_seeds=2, lengths=(2, 4), **quick)
    assert [spec.recipe for spec in specs] == ["pool 0"] * 4 + ["pool 1"] * 4
    assert [spec.seed for spec in specs] == [0, 1, 0, 1, 2, 3, 2, 3]
    bank = train_bank(specs, cohort, split, n_jobs=1, progress=False)
    first, second = make_pools(bank, cohort.rating(), n_null=20)
    assert first.name == "pool 0" and second.lengths.tolist() == [2, 2, 4, 4]
    test = bank.rows("test")
    single = [balanced_accuracy_score(second.y, p.argmax(1)) for p in second.probabilities]
    np.testing.assert_allclose(single, bank.bacc("test")[4:])
    assert second.seeds.tolist() == [2, 3, 2, 3]
    assert first.null_residual.shape == (20, 4) and len(first.y) == test.sum()
    assert (first.residual >= 0).all() and (first.residual <= 1).all()
    assert len(residual_against_contribution([first, second], n_permutations=20).table) == 2

    P = softmax(np.stack([bank.scores(i)[test] for i in range(8)]), axis=-1)
    lengths, seeds = (np.array([getattr(s, name) for s in specs]) for name in ("epochs", "seed"))
    mixed, longer = (
        balanced_accuracy_score(first.y, P[rows].mean(0).argmax(1)) for rows in (seeds < 2, lengths == 4)
    )
    backwards = train_bank(specs[::-1], cohort, split, n_jobs=1, baselines=False, progress=False)
    for one in (bank, backwards):
        assert lengths_against_seeds(one, n_members=4).value == pytest.approx(mixed - longer)
    with pytest.raises(ValueError, match="must hold 10"):
        lengths_against_seeds(bank)
    few = train_bank(specs[:2], cohort, split, n_jobs=1, progress=False)
    with pytest.raises(ValueError, match="recipe 'pool 0' has 2 members"):
        make_pools(few, cohort.rating())


@pytest.mark.parametrize(
    ("message", "call"),
    {
        "number of pools must be": lambda pools: residual_against_contribution(pools[:1]),
        "size must be a whole number from 1 to 7": lambda pools: pools[0].top_and_bottom(size=8),
        "lengths must have": lambda pools: length_agreement(
            pools[0].probabilities, [1, 2], [0, 1], pools[0].subject
        ),
    }.items(),
)
def test_refuses_pools_and_says_why(message, call):
    with pytest.raises(ValueError, match=message):
        call([make_pool(0), make_pool(1)])
