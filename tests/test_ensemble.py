"""Scores of ensembles: equal to a loop, right on known games; a gain where errors are independent only."""

import itertools
import math

import numpy as np
import pytest
from scipy.special import softmax
from scipy.stats import binom
from sklearn.metrics import balanced_accuracy_score, cohen_kappa_score, log_loss

from kernel import stats
from kernel.decoding import ensemble
from kernel.decoding.ensemble import (
    accuracy_difference,
    all_subset_accuracies,
    calibration,
    contributions,
    gain_against_headroom,
    kappa_matrix,
    softmax_ensemble,
    subset_accuracies,
    subsets_of,
)

# the loops score trials without some of the classes that members call
pytestmark = pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")


ALL = np.ones((1, 5), dtype=bool)


def make_members(rng, n_members=5, n=300, k=4, own=1.0, shared=0.0):
    """Members with errors of their own and errors they share."""
    y = rng.integers(0, k, n)
    signal = 1.5 * np.eye(k)[y] + shared * rng.standard_normal((n, k))
    return softmax(signal + own * rng.standard_normal((n_members, n, k)), axis=-1), y


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


# Subsets


@pytest.mark.parametrize(("own", "shared", "k"), [(1, 0, 4), (0.3, 1, 9), (3, 0, 2), (0.01, 2, 3)])
def test_all_subsets_equal_a_loop(rng, own, shared, k, monkeypatch):
    P, y = make_members(rng, n_members=6, k=k, own=own, shared=shared)
    monkeypatch.setattr(ensemble, "_CHUNK", 1000)  # several chunks
    y = y % max(2, k - 2)  # classes that the trials lack do not count
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


def test_sixteen_members_are_scored_and_seventeen_refused(rng):
    P, y = make_members(rng, n_members=17, n=60)
    values = all_subset_accuracies(P[:16], y)
    assert values.shape == (65536,)
    some = rng.integers(1, 65536, 20)
    expected = [balanced_accuracy_score(y, P[:16][row].mean(0).argmax(1)) for row in subsets_of(16)[some]]
    np.testing.assert_allclose(values[some], expected, atol=1e-12)
    with pytest.raises(ValueError, match="from 1 to 16, got 17"):
        all_subset_accuracies(P, y)
    found = contributions(P, y)  # without Shapley values, but with the rest
    assert found.shapley is None
    rest = balanced_accuracy_score(y, np.delete(P, 3, axis=0).mean(0).argmax(1))
    assert found.leave_one_out[3] == pytest.approx(found.ensemble - rest)


# Contributions


def test_shapley_equals_the_mean_over_orders(rng):
    P, y = make_members(rng, n_members=4)
    values, expected = loop_values(P, y), np.zeros(4)
    for order in itertools.permutations(range(4)):
        seen = 0
        for player in order:
            expected[player] += values[seen | 1 << player] - values[seen]
            seen |= 1 << player
    np.testing.assert_allclose(contributions(P, y).shapley, expected / math.factorial(4), atol=1e-12)


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
    assert subsets_of(10, 7).shape == (120, 10) and (subsets_of(10, 7).sum(1) == 7).all()


def test_independent_errors_gain_and_identical_members_do_not():
    gains, shares = [], []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        P, y = make_members(rng, n_members=6)
        gains.append(contributions(P, y).gain)
        same = contributions(np.repeat(P[:1], 6, axis=0), y)
        assert same.gain == pytest.approx(0, abs=1e-12)
        np.testing.assert_allclose(same.leave_one_out, 0, atol=1e-12)
        shares.append(np.ptp(same.shapley))
        # at half of the seeds by chance: forty of forty
    assert binom.sf(np.sum(np.array(gains) > 0.05) - 1, 40, 0.5) < 1e-9
    assert max(shares) < 1e-12


def test_members_without_signal_stay_at_chance():
    values = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        P, _ = make_members(rng, n_members=6, n=200)
        y = rng.integers(0, 4, 200)
        values.append([contributions(P, y).gain, contributions(P, y).ensemble - 0.25])
    z = np.mean(values, axis=0) / (np.std(values, axis=0, ddof=1) / np.sqrt(30))
    assert (np.abs(z) < 3.3).all()


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


def test_calibration_of_honest_and_boastful_probabilities(rng):
    p = softmax(rng.standard_normal((40_000, 4)), axis=-1)
    y = (p.cumsum(1) > rng.random((40_000, 1))).argmax(1)
    honest, boastful = calibration(p, y), calibration(softmax(4 * np.log(p), axis=-1), y)
    assert honest["ece"] < 0.015 < 0.2 < boastful["ece"]
    assert honest["nll"] < boastful["nll"] and honest["nll"] == pytest.approx(log_loss(y, p))


def test_ece_by_hand():
    p = np.array([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [0.3, 0.7]])
    # bins of a fifteenth: .9 twice, half right; .6 and .7 once each, both right
    assert calibration(p, [0, 1, 1, 1])["ece"] == pytest.approx((2 * 0.4 + 0.4 + 0.3) / 4)
    # .61 and .66 share the bin from .6 to .667: one is right, which makes up for the other
    p = np.array([[0.61, 0.39], [0.34, 0.66]])
    assert calibration(p, [0, 0])["ece"] == pytest.approx(0.135)


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
    for seed in range(100):
        rng = np.random.default_rng(seed)
        person = subjects(600, 20)
        y = rng.integers(0, 3, 600)
        lean = rng.standard_normal(30)[person][:, None]
        signal = np.eye(3)[y]
        first = softmax((1 + lean) * signal + rng.standard_normal((600, 3)), axis=-1)
        second = softmax((1 - lean) * signal + rng.standard_normal((600, 3)), axis=-1)
        interval = accuracy_difference(first, second, y, person, n_resamples=200, random_state=seed)
        held += interval.low <= 0 <= interval.high
    # nominal .95; a percentile interval over 30 people may fall a little short of it
    assert binom.cdf(held, 100, 0.91) > 0.001 and binom.sf(held - 1, 100, 0.97) > 0.001


def test_headroom_is_found_where_planted_only():
    planted, absent = 0, 0
    for seed in range(50):
        rng = np.random.default_rng(seed)
        single = rng.uniform(0.4, 1, 8)
        gain = 0.1 * (1 - single) + 0.005 * rng.standard_normal(8)
        planted += gain_against_headroom(single, gain, n_permutations=199, random_state=seed).p < 0.05
        other = gain_against_headroom(single, rng.permutation(gain), n_permutations=199, random_state=seed)
        absent += other.p < 0.05
    assert planted > 43 and binom.sf(absent - 1, 50, 0.05) > 0.001
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
        (lambda P: spoiled(P, 1, 3, 0.5), "member 1 has values .* do not sum to one at trial 3"),
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


@pytest.mark.parametrize(
    ("message", "call"),
    {
        "integers from 0 to 3, columns of the scores; got .*4": lambda P, y: subset_accuracies(P, y + 1, ALL),
        r"y must have shape \(300,\), one for each row": lambda P, y: subset_accuracies(P, y[:-1], ALL),
        "none of them empty": lambda P, y: subset_accuracies(P, y, ~ALL),
        "subsets must be bool": lambda P, y: subset_accuracies(P, y, ALL.astype(int)),
        "size must be": lambda P, y: subsets_of(4, 5),
        r"weights must have shape \(5 members,\)": lambda P, y: softmax_ensemble(P, weights=[1, 1]),
        "not negative": lambda P, y: softmax_ensemble(P, weights=[1, -1, 1, 1, 1]),
        "take the argmax": lambda P, y: kappa_matrix(P),
        "subjects must be": lambda P, y: accuracy_difference(P[0], P[1], y, np.zeros(300)),
        "second must have": lambda P, y: accuracy_difference(P[0], P[1, :9], y, np.arange(300) % 2),
        "of 3 or more, got 2": lambda P, y: gain_against_headroom([1, 2], [1, 2]),
    }.items(),
)
def test_refuses_other_arguments_and_says_why(rng, message, call):
    with pytest.raises(ValueError, match=message):
        call(*make_members(rng))
