"""Scores of ensembles: equal to a loop, right on known games; a gain where errors are independent only."""

import itertools
import math

import numpy as np
import pytest
from scipy.stats import binom
from sklearn.metrics import balanced_accuracy_score, cohen_kappa_score, log_loss

from kernel import stats
from kernel.decoding import ensemble
from kernel.decoding.ensemble import (
    accuracy_difference,
    align_classes,
    all_subset_accuracies,
    calibration,
    contributions,
    disagreement,
    gain_against_headroom,
    kappa_matrix,
    relative_gains,
    shapley_values,
    softmax,
    softmax_ensemble,
    subset_accuracies,
    subsets_of,
    top_k,
)

# the loops score trials without some of the classes that members call
pytestmark = pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")


def make_members(rng, n_members=5, n=300, k=4, own=1.0, shared=0.0):
    """Members with errors of their own and errors they share."""
    y = rng.integers(0, k, n)
    signal = 1.5 * np.eye(k)[y] + shared * rng.standard_normal((n, k))
    return softmax(signal + own * rng.standard_normal((n_members, n, k))), y


def loop_values(P, y):
    """Accuracy of every subset, one after the other; the empty one guesses."""
    values = [1 / len(np.unique(y))]
    for chosen in subsets_of(len(P))[1:]:
        values.append(balanced_accuracy_score(y, P[chosen].mean(0).argmax(1)))
    return np.array(values)


# Combining


def test_mean_of_probabilities_by_weights(rng):
    P, _ = make_members(rng)
    np.testing.assert_allclose(softmax_ensemble(P), P.mean(0))
    np.testing.assert_allclose(softmax_ensemble(P, weights=[0, 0, 3, 0, 1]), 0.75 * P[2] + 0.25 * P[4])
    np.testing.assert_allclose(softmax_ensemble(np.log(P) + 7, logits=True), P.mean(0))
    np.testing.assert_allclose(softmax(np.log(P), temperature=1e9), 1 / 4, atol=1e-6)


def test_columns_of_members_are_brought_into_one_order(rng):
    P, _ = make_members(rng, n_members=2)
    shuffled = [P[0][:, [2, 0, 1, 3]], P[1]]
    names = np.array(list("abcd"))
    found = align_classes(shuffled, [names[[2, 0, 1, 3]], names], names)
    np.testing.assert_array_equal(found, P)
    few = softmax(np.log(P[0][:, :3]))
    with pytest.raises(ValueError, match="member 1 has never seen class d"):
        align_classes([P[0], few], [names, names[:3]], names)
    found = align_classes([P[0], few], [names, names[:3]], names, unseen="zero")
    np.testing.assert_array_equal(found[1, :, 3], 0)
    with pytest.raises(ValueError, match="member 0 knows class d"):
        align_classes([P[0]], [names], names[:3])


# Subsets


@pytest.mark.parametrize(("own", "shared", "k"), [(1, 0, 4), (0.3, 1, 9), (3, 0, 2), (0.01, 2, 3)])
def test_all_subsets_equal_a_loop(rng, own, shared, k):
    P, y = make_members(rng, n_members=6, k=k, own=own, shared=shared)
    np.testing.assert_allclose(all_subset_accuracies(P, y), loop_values(P, y), atol=1e-12)


def test_ties_of_hard_votes_fall_as_argmax_lets_them(rng):
    votes = rng.integers(0, 3, (6, 200))
    P, y = np.eye(3)[votes], rng.integers(0, 3, 200)
    np.testing.assert_allclose(all_subset_accuracies(P, y), loop_values(P, y), atol=1e-12)
    # both classes sum to 1.5 but for rounding: the first wins in any order of the members
    tied = np.array([[[0.1, 0.9]], [[0.6, 0.4]], [[0.8, 0.2]]])
    for order in itertools.permutations(range(3)):
        values = [
            subset_accuracies(tied[list(order)], [true], np.ones((1, 3), dtype=bool)) for true in (0, 1)
        ]
        assert values == [1, 0]


def test_a_class_that_the_trials_lack_does_not_count(rng):
    P, _ = make_members(rng, k=5)
    y = rng.integers(0, 3, P.shape[1])
    np.testing.assert_allclose(all_subset_accuracies(P, y), loop_values(P, y), atol=1e-12)


def test_chunks_change_nothing(rng, monkeypatch):
    P, y = make_members(rng, n_members=7)
    whole = all_subset_accuracies(P, y)
    monkeypatch.setattr(ensemble, "_CHUNK", 1000)
    np.testing.assert_allclose(all_subset_accuracies(P, y), whole, atol=1e-14)


def test_sixteen_members_are_scored_and_seventeen_refused(rng):
    P, y = make_members(rng, n_members=17, n=60)
    values = all_subset_accuracies(P[:16], y)
    assert values.shape == (65536,)
    some = rng.integers(1, 65536, 20)
    expected = [balanced_accuracy_score(y, P[:16][row].mean(0).argmax(1)) for row in subsets_of(16)[some]]
    np.testing.assert_allclose(values[some], expected, atol=1e-12)
    with pytest.raises(ValueError, match="1 to 16 members, got 17"):
        all_subset_accuracies(P, y)
    found = contributions(P, y)  # without Shapley values, but with the rest
    assert found.shapley is None and found.table()["shapley"].isna().all()
    rest = balanced_accuracy_score(y, np.delete(P, 3, axis=0).mean(0).argmax(1))
    assert found.leave_one_out[3] == pytest.approx(found.ensemble - rest)


def test_subsets_of_a_size():
    assert subsets_of(10, 7).shape == (120, 10) and (subsets_of(10, 7).sum(1) == 7).all()
    np.testing.assert_array_equal(subsets_of(3)[5], [True, False, True])


# Contributions


def test_shapley_of_games_with_known_values():
    size = np.bitwise_count(np.arange(8))
    np.testing.assert_allclose(shapley_values(size**2), [3, 3, 3])  # symmetric players share 9
    np.testing.assert_allclose(shapley_values(np.arange(8)), [1, 2, 4])  # an additive game
    unanimous = (np.arange(8) & 0b011 == 0b011).astype(float)  # the third is a dummy
    np.testing.assert_allclose(shapley_values(unanimous), [0.5, 0.5, 0], atol=1e-15)
    left, right = np.arange(8) & 1, np.arange(8) >> 1  # gloves: one left, two right ones
    np.testing.assert_allclose(
        shapley_values(((left > 0) & (right > 0)).astype(float)), [2 / 3, 1 / 6, 1 / 6]
    )


def test_shapley_equals_the_mean_over_orders(rng):
    values = rng.standard_normal(16)
    expected = np.zeros(4)
    for order in itertools.permutations(range(4)):
        seen = 0
        for player in order:
            expected[player] += values[seen | 1 << player] - values[seen]
            seen |= 1 << player
    np.testing.assert_allclose(shapley_values(values), expected / math.factorial(4), atol=1e-14)


def test_contributions_are_exact_and_efficient(rng):
    P, y = make_members(rng, n_members=6)
    found = contributions(P, y)
    full = balanced_accuracy_score(y, P.mean(0).argmax(1))
    for member in range(6):
        rest = balanced_accuracy_score(y, np.delete(P, member, axis=0).mean(0).argmax(1))
        assert found.leave_one_out[member] == pytest.approx(full - rest, abs=1e-12)
        alone = balanced_accuracy_score(y, P[member].argmax(1))
        assert found.single[member] == pytest.approx(alone)
    assert found.ensemble == pytest.approx(full)
    assert found.shapley.sum() == pytest.approx(full - 1 / 4, abs=1e-12)
    assert found.gain == pytest.approx(full - found.single.mean())
    assert list(found.table()) == ["member", "single", "leave_one_out", "shapley"]


def test_order_of_members_and_names_of_classes_do_not_matter(rng):
    P, y = make_members(rng, n_members=5)
    found, order = contributions(P, y), rng.permutation(5)
    turned = contributions(P[order], y)
    np.testing.assert_allclose(turned.shapley, found.shapley[order], atol=1e-12)
    np.testing.assert_allclose(turned.leave_one_out, found.leave_one_out[order], atol=1e-12)
    names = rng.permutation(4)
    renamed = contributions(P[..., np.argsort(names)], names[y])
    np.testing.assert_allclose(renamed.shapley, found.shapley, atol=1e-12)


def test_a_clone_shares_what_its_twin_adds(rng):
    P, y = make_members(rng, n_members=5)
    found = contributions(np.concatenate([P, P[:1]]), y)
    assert found.shapley[0] == pytest.approx(found.shapley[5], abs=1e-12)
    assert found.leave_one_out[0] == pytest.approx(found.leave_one_out[5], abs=1e-12)


def test_independent_errors_gain_and_identical_members_do_not():
    gains, shares = [], []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        P, y = make_members(rng, n_members=8)
        gains.append(contributions(P, y).gain)
        same = contributions(np.repeat(P[:1], 8, axis=0), y)
        assert same.gain == pytest.approx(0, abs=1e-12)
        np.testing.assert_allclose(same.leave_one_out, 0, atol=1e-12)
        shares.append(np.ptp(same.shapley))
        wrong = disagreement(np.repeat(P[:1], 8, axis=0), y)
        assert wrong.share == wrong.pairwise == 0 and np.isnan(wrong.gain)
    # at half of the seeds by chance: forty of forty
    assert binom.sf(np.sum(np.array(gains) > 0.05) - 1, 40, 0.5) < 1e-9
    assert max(shares) < 1e-12


def test_members_without_signal_stay_at_chance():
    values = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        P, _ = make_members(rng, n_members=6, n=200)
        y = rng.integers(0, 4, 200)
        values.append([contributions(P, y).gain, contributions(P, y).ensemble - 0.25])
    z = np.mean(values, axis=0) / (np.std(values, axis=0, ddof=1) / np.sqrt(60))
    assert (np.abs(z) < 3.3).all()


# Choice


def test_top_k_chooses_on_validation_and_scores_on_test(rng):
    P, y = make_members(rng, n_members=6, n=400)
    validation = np.arange(400) < 200
    found = top_k(P, y, validation=validation, test=~validation, k=3)
    single = [balanced_accuracy_score(y[:200], p[:200].argmax(1)) for p in P]
    assert set(found.chosen) == set(np.argsort(single)[-3:])
    expected = balanced_accuracy_score(y[200:], P[found.chosen, 200:].mean(0).argmax(1))
    assert found.test == pytest.approx(expected)
    with pytest.raises(ValueError, match="trial 199 chooses and scores"):
        top_k(P, y, validation=validation, test=np.arange(400) > 198, k=3)
    with pytest.raises(ValueError, match="k must lie between 1 and 6"):
        top_k(P, y, validation=validation, test=~validation, k=7)


def test_the_choice_gives_no_optimism_on_test_but_on_validation():
    """Without signal the best of thirty looks good where it was chosen and nowhere else."""
    found = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        P, _ = make_members(rng, n_members=30, n=200)
        y = rng.integers(0, 4, 200)
        one = top_k(P, y, validation=np.arange(200) < 100, test=np.arange(200) >= 100, k=1)
        found.append([one.validation - 0.25, one.test - 0.25])
    mean, error = np.mean(found, axis=0), np.std(found, axis=0, ddof=1) / np.sqrt(60)
    assert mean[0] > 10 * error[0] and abs(mean[1]) < 3.3 * error[1]


# Agreement and calibration


def test_kappa_equals_scikit_learn(rng):
    P, _ = make_members(rng, n_members=4, k=5)
    called = P.argmax(-1)
    found = kappa_matrix(called)
    for i, j in itertools.product(range(4), repeat=2):
        assert found[i, j] == pytest.approx(cohen_kappa_score(called[i], called[j]))
    noise = kappa_matrix(rng.integers(0, 3, (2, 20_000)))
    assert abs(noise[0, 1]) < 0.03
    np.testing.assert_array_equal(kappa_matrix(np.ones((2, 9), dtype=int)), 1)


def test_the_gain_comes_from_where_members_disagree(rng):
    P, y = make_members(rng, n_members=5, own=0.7)
    found, called = disagreement(P, y), P.argmax(-1)
    differ = np.ptp(called, axis=0) > 0
    assert found.share == pytest.approx(differ.mean())
    pairs = [np.mean(a != b) for a, b in itertools.combinations(called, 2)]
    assert found.pairwise == pytest.approx(np.mean(pairs))
    total = (P.mean(0).argmax(-1) == y).mean() - (called == y).mean()
    assert found.share * found.gain == pytest.approx(total, abs=1e-12)
    assert found.elsewhere == pytest.approx((called[0] == y)[~differ].mean())


def test_calibration_of_honest_and_boastful_probabilities(rng):
    p = softmax(rng.standard_normal((40_000, 4)))
    y = (p.cumsum(1) > rng.random((40_000, 1))).argmax(1)
    honest, boastful = calibration(p, y), calibration(softmax(4 * np.log(p)), y)
    assert honest.ece < 0.015 < 0.2 < boastful.ece
    assert honest.nll < boastful.nll and honest.brier < boastful.brier
    assert honest.nll == pytest.approx(log_loss(y, p))
    assert honest.bins["n"].sum() == 40_000


def test_ece_by_hand():
    p = np.array([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [0.3, 0.7]])
    # bins (.5, 1]: all four in one; confidence .775, accuracy .75
    assert calibration(p, [0, 1, 1, 1], n_bins=2).ece == pytest.approx(0.025)
    # bins of a tenth: .9 twice, half right; .6 and .7 once each, both right
    assert calibration(p, [0, 1, 1, 1], n_bins=10).ece == pytest.approx((2 * 0.4 + 0.4 + 0.3) / 4)


# Comparisons


def subjects(n, each=25):
    return np.repeat(np.arange(n // each), each)


def test_difference_equals_the_difference_of_accuracies(rng):
    P, y = make_members(rng, n_members=6)
    person = subjects(300)
    found = accuracy_difference(P.mean(0), P[0], y, person)
    expected = balanced_accuracy_score(y, P.mean(0).argmax(1)) - balanced_accuracy_score(y, P[0].argmax(1))
    assert found.value == pytest.approx(expected)
    assert found.low < found.value < found.high
    mean = accuracy_difference(P.mean(0), P, y, person)
    singles = np.mean([balanced_accuracy_score(y, p.argmax(1)) for p in P])
    assert mean.value == pytest.approx(balanced_accuracy_score(y, P.mean(0).argmax(1)) - singles)
    same = accuracy_difference(P[0], P[0], y, person)
    assert same == (0, 0, 0)
    back = accuracy_difference(P[0], P.mean(0), y, person)
    np.testing.assert_allclose([back.value, back.low, back.high], [-found.value, -found.high, -found.low])


def test_intervals_of_no_difference_hold_zero_at_their_rate_with_clustered_errors():
    """Two equal members whose advantage belongs to the person: trials of a person go together."""
    held = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        person = subjects(600, 20)
        y = rng.integers(0, 3, 600)
        lean = rng.standard_normal(30)[person][:, None]
        signal = np.eye(3)[y]
        first = softmax((1 + lean) * signal + rng.standard_normal((600, 3)))
        second = softmax((1 - lean) * signal + rng.standard_normal((600, 3)))
        interval = accuracy_difference(first, second, y, person, n_resamples=400, random_state=seed)
        held += interval.low <= 0 <= interval.high
    # nominal .95; a percentile interval over 30 people may fall a little short of it
    assert binom.cdf(held, 200, 0.91) > 0.001 and binom.sf(held - 1, 200, 0.97) > 0.001


def test_relative_gains_depend_on_their_reference():
    found = relative_gains(0.6948, {"mean single": 0.658, "best single": 0.6755, "another work": 0.6287})
    np.testing.assert_allclose(found["relative"], [0.0559, 0.0286, 0.1051], atol=1e-4)
    with pytest.raises(ValueError, match="positive"):
        relative_gains(0.5, {"nothing": 0.0})


def test_headroom_is_found_where_planted_only():
    planted, absent = 0, 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        single = rng.uniform(0.4, 1, 8)
        gain = 0.1 * (1 - single) + 0.005 * rng.standard_normal(8)
        planted += gain_against_headroom(single, gain, n_permutations=999, random_state=seed).p < 0.05
        other = gain_against_headroom(single, rng.permutation(gain), n_permutations=999, random_state=seed)
        absent += other.p < 0.05
    assert planted > 90 and binom.sf(absent - 1, 100, 0.05) > 0.001
    exact = gain_against_headroom([0.3, 0.6, 0.9], [0.3, 0.2, 0.1])
    assert exact.exact and exact.observed == pytest.approx(-1) and exact.p == pytest.approx(1 / 6)
    assert isinstance(exact, stats.PermutationResult)


# What cannot be scored


def spoiled(P, member, trial, value):
    P = P.copy()
    P[member, trial] = value
    return P


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda P: P[:1], "2 members or more, got 1"),
        (lambda P: P[0], "n_members, n_trials, n_classes"),
        (lambda P: spoiled(P, 2, 7, np.nan), "member 2 has NaN or inf at trial 7"),
        (lambda P: spoiled(P, 1, 3, 0.5), "member 1 at trial 3 .* sum to 2"),
        (lambda P: np.log(P), "take the softmax"),
        (lambda P: P[..., :0], "got shape"),
    ],
)
def test_refuses_members_and_says_why(rng, change, message):
    P, y = make_members(rng)
    with pytest.raises(ValueError, match=message):
        contributions(change(P), y)
    with pytest.raises(ValueError, match=message):
        softmax_ensemble(change(P))


def test_refuses_other_arguments_and_says_why(rng):
    P, y = make_members(rng)
    whole = np.ones((1, 5), dtype=bool)
    for call, message in [
        (lambda: subset_accuracies(P, y + 1, whole), "integers from 0 to 3, columns of the scores; got .*4"),
        (lambda: subset_accuracies(P, y[:-1], whole), r"y must have shape \(300,\), one for each row"),
        (lambda: subset_accuracies(P, y, ~whole), "subset 0 is empty"),
        (lambda: subset_accuracies(P, y, whole.astype(int)), "subsets must be bool"),
        (lambda: softmax_ensemble(P, weights=[1, 1]), "one value for each of 5 members"),
        (lambda: softmax_ensemble(P, weights=[1, -1, 1, 1, 1]), "not negative"),
        (lambda: softmax([np.inf, 0]), "logits holds NaN or inf at 0"),
        (lambda: shapley_values(np.zeros(6)), r"2 \*\* m entries"),
        (lambda: kappa_matrix(P), "take the argmax"),
        (lambda: accuracy_difference(P[0], P[1], y, np.zeros(300)), "two or more people"),
        (lambda: gain_against_headroom([1, 2], [1, 2]), "three or more, got 2"),
        (lambda: calibration(P[0], y, n_bins=0), "n_bins must be at least 1"),
    ]:
        with pytest.raises(ValueError, match=message):
            call()
