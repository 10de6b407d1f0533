"""The simulation: what is planted comes back, what is not does not, and two roads lead to one result."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from eeg_files import write_emoeeg_mc, write_seed_v_de
from scipy.special import digamma, polygamma
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics import balanced_accuracy_score

from kernel.brain import components, simulate
from kernel.brain.cohort import cohort_tensor, segments, standardise
from kernel.brain.designs import SEED_V_TIMES
from kernel.brain.emoeegmc import read_emoeeg_mc
from kernel.brain.features import differential_entropy
from kernel.brain.patterns import LEAD
from kernel.brain.ratings import BLOCKS, draw_orders, load_order, load_ratings
from kernel.brain.seedv import read_seed_v
from kernel.brain.simulate import Settings, simulate_cohort, simulate_raw
from kernel.brain.splits import make_split

NOTHING = Settings(valence=0, classes=0, clips=0, trial=0, slow=0, base=0)


def decode(preset, split, seed=0, **options):
    """Balanced accuracy of shrinkage LDA on the test trials of a split."""
    cohort, _ = simulate_cohort(seed, preset, **({"window": 15.0} | options))
    rows, split = segments(standardise(cohort)), make_split(cohort, split)
    train, test = rows.rows(split.train), rows.rows(split.test)
    model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto").fit(rows.X[train], rows.y[train])
    return balanced_accuracy_score(rows.y[test], model.predict(rows.X[test]))


def pattern_of(target, cohort):
    """Covariance of the standardised cohort tensor with a value per clip: (n_channels, n_bands)."""
    return np.tensordot(target - target.mean(), cohort_tensor(standardise(cohort)), axes=1)


def correlation(a, b):
    return np.corrcoef(np.ravel(a), np.ravel(b))[0, 1]


# Reproducible, marked, shared noise


def test_a_seed_gives_one_cohort_whatever_follows_and_another_seed_another():
    one, truth = simulate_cohort(4, n_subjects=3)
    many, _ = simulate_cohort(4, n_subjects=5)
    assert one.data.identical(many.select(subjects=range(3)).data)
    assert not np.allclose(one.de, simulate_cohort(5, n_subjects=3)[0].de)
    assert one.de.shape == (3, 28, 30, 32, 5) and np.isfinite(one.de).all()
    shown = np.argsort(one.order).reshape(21, 4) + 1
    assert {tuple(sorted(block)) for block in shown.tolist()} == set(BLOCKS)
    assert one.label == "simulated cohort, seed 4, default"
    assert simulate_cohort(np.random.default_rng(4), n_subjects=3)[0].label == "simulated cohort, default"
    assert truth.valence.mean() == pytest.approx(0) and truth.valence.std() == pytest.approx(1)
    assert correlation(one.rating("valence"), truth.valence) == pytest.approx(1)
    assert ((one.rating("valence") > 0) & (one.rating("valence") < 7)).all()
    with pytest.raises(KeyError):
        one.rating("arousal")


def test_presets_differ_by_their_amplitudes_alone():
    strong, truth = simulate_cohort(2, "strong_valence", n_subjects=4)
    without, _ = simulate_cohort(2, "no_valence", n_subjects=4)
    added = (strong.de.astype(float) - without.de).mean(2)  # the time course has mean 1
    for subject, gain in zip(added, truth.gain, strict=True):
        own = np.tensordot(truth.valence, subject, axes=1) / 28  # this subject's version of the pattern
        np.testing.assert_allclose(subject, truth.valence[:, None, None] * own, atol=1e-4)
        # the shared part has root mean square .03 x gain; the subject's own half of it is independent
        assert (own * truth.valence_pattern).mean() / (0.03 * gain) == pytest.approx(1, abs=0.5)


def test_effects_have_the_size_that_the_settings_say():
    _, truth = simulate_cohort(0, n_subjects=1)
    assert np.sqrt((truth.valence_pattern**2).mean()) == pytest.approx(1)
    expected = np.sqrt(0.008**2 + 0.026**2 + 0.03**2)
    assert np.sqrt((truth.effect**2).mean()) == pytest.approx(expected, rel=0.15)
    posterior, frontal = truth.valence_pattern[[25, 26, 27, 28, 29]], truth.valence_pattern[:7]
    assert np.abs(posterior).mean() > 3 * np.abs(frontal).mean()
    assert (posterior[:, 4] > 0).all() and (posterior[:, 2] < 0).all()  # gamma up, alpha down


# Truth and its absence


def test_strong_valence_comes_back_at_its_place_and_absent_valence_does_not():
    found = {"strong_valence": [], "no_valence": [], "null": []}
    for preset, values in found.items():
        for seed in range(8):
            cohort, truth = simulate_cohort(seed, preset, window=30.0, n_subjects=40)
            values.append(correlation(pattern_of(truth.valence, cohort), truth.valence_pattern))
    assert np.min(found["strong_valence"]) > 0.7
    for preset in ("no_valence", "null"):
        assert abs(np.mean(found[preset])) < 3 * np.std(found[preset], ddof=1) / np.sqrt(8)


def test_which_presets_can_be_decoded_and_from_what():
    # chance is 1/9; 23 subjects x 28 clips as independent trials have a standard error of .0124
    chance = pytest.approx(1 / 9, abs=4 * 0.0124)
    assert decode("null", "standard") == chance
    assert decode("order_drift", "standard") < 0.2
    assert decode("identity_only", "standard") > 0.4  # the same clips in train and test
    new_clips = decode("identity_only", "leave_clips_out")
    assert new_clips == pytest.approx(1 / 9, abs=0.08)  # nine clips, not 207 trials
    assert decode("no_valence", "leave_clips_out") > 0.3


def test_people_share_a_drift_along_the_order_only_where_planted():
    alike = {"order_drift": [], "null": []}
    for preset, values in alike.items():
        for seed in range(6):
            cohort, _ = simulate_cohort(seed, preset, n_subjects=40, window=30.0)
            trials = standardise(cohort).de[:, :, 0].astype(float)
            slopes = np.einsum("sc...,sc->s...", trials, cohort.order - cohort.order.mean())
            values.append(correlation(slopes[::2].mean(0), slopes[1::2].mean(0)))
    assert np.min(alike["order_drift"]) > 0.8
    assert abs(np.mean(alike["null"])) < 4 * np.std(alike["null"], ddof=1) / np.sqrt(6)


# Presentation order


def test_order_statistics_are_those_of_faced():
    orders = draw_orders(123 * 40, lead=LEAD, random_state=1).reshape(40, 123, 28)
    side = np.repeat([-1, 0, 1], [12, 4, 12])
    shown = side[np.argsort(orders.reshape(-1, 28), axis=1)]
    same = (shown[:, 1:] == shown[:, :-1]).mean()
    # 21 of 27 steps stay in a block; of the five or four between blocks that have a side, two in five agree
    assert same == pytest.approx((21 + 5 / 6 * 4 * 0.4 + 1 / 6 * 5 * 0.4) / 27, abs=0.003)
    assert same == pytest.approx(load_order().same_valence, abs=0.01)
    valence = load_ratings()["valence_mean"]
    real = np.corrcoef(load_order().clips["mean"], valence)[0, 1]
    lean = [np.corrcoef(cohort.mean(0), valence)[0, 1] for cohort in orders]
    assert np.mean(lean) == pytest.approx(real, abs=3 * np.std(lean) / np.sqrt(40))


@pytest.mark.parametrize("preset", ["null", pytest.param("faced", id="components")])
def test_orders_follow_the_block_rule_and_their_lead(monkeypatch, preset):
    def drawn(seed):
        order = simulate_cohort(seed, preset, n_subjects=30, window=30.0)[0].order
        shown = (np.argsort(order) + 1).reshape(30, 7, 4)
        assert {tuple(sorted(block)) for block in shown.reshape(-1, 4).tolist()} == set(BLOCKS)
        assert len(np.unique(order, axis=0)) == 30  # an order each
        side = np.repeat([-1, 0, 1], [12, 4, 12])[shown[:, :, 0] - 1]
        assert side[:, 0].all()  # nobody begins with neutral clips
        return order, side

    (one, side), (other, _) = drawn(0), drawn(1)
    assert (one != other).any() and np.ptp(side[:, 0]) == 2
    for module in (simulate, components):
        monkeypatch.setattr(module, "LEAD", 50.0)  # standard deviations: positive blocks first, without fail
    assert all(row[row != 0].tolist() == [1, 1, 1, -1, -1, -1] for row in drawn(0)[1])


# Two roads: features planted directly, and raw signals through head, filters and windows


@pytest.fixture(scope="module")
def noise():
    """Log-variance noise of both roads, (840, 32, 5), with nothing else in them."""
    raw, truth = simulate_raw(0, NOTHING)
    by_signal = differential_entropy(raw, 250.0).swapaxes(-3, -2) - truth.expected
    cohort, _ = simulate_cohort(0, NOTHING, n_subjects=1)
    level = truth.expected[0, 0, 0]
    np.testing.assert_allclose(truth.expected, np.broadcast_to(level, truth.expected.shape))
    return by_signal.reshape(-1, 32, 5), (cohort.de - level).reshape(-1, 32, 5)


def test_both_roads_have_the_same_mean_and_spread(noise):
    by_signal, by_feature = noise
    for band in range(5):
        a, b = by_signal[..., band], by_feature[..., band]
        # 840 windows; channels are correlated, so that all 32 count as no more than one
        error = np.sqrt((a.var() + b.var()) / 840)
        assert abs(a.mean() - b.mean()) < 4 * error
        assert a.std() == pytest.approx(b.std(), rel=0.08)


def test_both_roads_correlate_channels_alike(noise):
    upper = np.triu_indices(32, 1)
    for band in range(5):
        a, b = (np.corrcoef(road[..., band].T)[upper] for road in noise)
        # either is known to 1 / sqrt(840) = .035
        assert np.sqrt(np.mean((a - b) ** 2)) < 2 * np.sqrt(2 / 840)
        # values spread by .15 or more: reliability .95 of either
        assert correlation(a, b) > 0.9


def test_raw_amplitudes_carry_what_was_planted():
    settings = replace(NOTHING, valence=0.3, gain=0.0, mixing=0.0)
    raw, truth = simulate_raw(1, settings)
    assert raw.shape == (1, 28, 32, 7500) and raw.dtype == np.float32
    np.testing.assert_allclose(raw.mean(2), 0, atol=1e-3)  # average reference
    assert 5 < raw.std() < 20  # µV
    found = differential_entropy(raw, 250.0).swapaxes(-3, -2).mean(2)[0]
    expected = truth.expected.mean(2)[0]
    slopes, planted = (np.tensordot(truth.valence, de, axes=1) for de in (found, expected))
    assert correlation(slopes, planted) > 0.98
    assert correlation(planted[:, 4], planted[:, 2]) < -0.9  # alpha falls where gamma rises


def test_noise_has_the_moments_of_a_log_chi_square(noise):
    spread = noise[1].std((0, 1))
    for value, (low, high) in zip(spread, ((4, 12), (8, 16), (12, 24), (30, 50), (30, 50)), strict=True):
        few, many = (0.5 * np.sqrt(polygamma(1, nu / 2)) for nu in (low, high))
        assert many < value < few
    # mean and spread must name the same degrees of freedom
    for band in range(5):
        grid = np.arange(3, 80)
        nu = grid[np.argmin(np.abs(0.5 * np.sqrt(polygamma(1, grid / 2)) - spread[band]))]
        mean = 0.5 * (digamma(nu / 2) - np.log(nu / 2))
        assert noise[1][..., band].mean() == pytest.approx(mean, abs=4 * spread[band] / np.sqrt(840) + 0.005)


def test_one_window_of_30_s_is_worth_thirty_of_1_s():
    fine, fine_truth = simulate_cohort(3, "null", n_subjects=20)
    coarse, coarse_truth = simulate_cohort(3, "null", n_subjects=20, window=30.0)
    assert coarse.de.shape == (20, 28, 1, 32, 5)
    a, b = fine.de.mean(2), coarse.de[:, :, 0]
    # 20 x 27 trials, smooth over places: the spread is known to about 1 / sqrt(2 * 540) = 3 %
    np.testing.assert_allclose(a.std(1).mean((0, 1)), b.std(1).mean((0, 1)), rtol=0.1)
    assert abs((a - b).mean((0, 1, 2))).max() < 0.1
    np.testing.assert_array_equal(fine.order, coarse.order)
    np.testing.assert_array_equal(fine_truth.effect, coarse_truth.effect)


# Other designs


def test_the_design_of_seed_v_is_that_of_its_reader(tmp_path):
    cohort, _ = simulate_cohort(0, "strong_valence", design="SEED-V", n_subjects=4)
    write_seed_v_de(tmp_path, (1, 2))
    real = read_seed_v(tmp_path, progress=False)
    assert cohort.simulated and cohort.label == "simulated cohort, seed 0, strong valence, SEED-V design"
    for name in ("classes", "channels", "bands", "window"):
        assert getattr(cohort, name) == getattr(real, name)
    assert cohort.emotions.tolist() == real.emotions.tolist()
    np.testing.assert_array_equal(cohort.order[:2], real.order)
    assert cohort.subjects.tolist() == [1, 2, 3, 4]
    longest = [(stop - start) // 4 for start, stop in SEED_V_TIMES]
    np.testing.assert_array_equal(cohort.n_windows, np.tile(longest, (4, 1)))


def test_the_design_of_emoeeg_mc_is_that_of_its_reader(tmp_path):
    cohort, truth = simulate_cohort(0, "strong_valence", design="EmoEEG-MC", n_subjects=4)
    write_emoeeg_mc(tmp_path, (1, 2))
    real = read_emoeeg_mc(tmp_path, progress=False)
    assert cohort.label.endswith("EmoEEG-MC design") and cohort.present.all()
    for name in ("classes", "channels", "bands", "window"):
        assert getattr(cohort, name) == getattr(real, name)
    assert cohort.emotions.tolist() == real.emotions.tolist() and cohort.de.shape[1:] == real.de.shape[1:]
    assert len(np.unique(cohort.order, axis=0)) == 4  # an order each
    by_class = [set(truth.valence[cohort.emotions == name]) for name in cohort.classes]
    assert all(len(values) == 3 for values in by_class)


def test_its_classes_are_decoded_where_planted_and_not_elsewhere():
    options = {"design": "SEED-V", "window": 26.0}
    assert decode("strong_valence", "cbramod", **options) > 0.4
    empty = [decode("null", "cbramod", seed, **options) for seed in range(6)]
    assert abs(np.mean(empty) - 0.2) < 4 * np.std(empty, ddof=1) / np.sqrt(6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"preset": "strong"}, "preset must be one of default, .*faced; got 'strong'"),
        ({"preset": "faced", "design": "SEED-V"}, "'faced' has FACED's sizes .*, not SEED-V's"),
        ({"n_subjects": 0}, "n_subjects must be a whole number of 1 or more, got 0"),
        ({"design": "DEAP"}, "design must be one of FACED, SEED-V, EmoEEG-MC; got 'DEAP'"),
        ({"design": "SEED-V", "window": 60.0}, "window must fit into 52 s, got 60.0"),
        *(({"window": wrong}, f"divide the trial of 30 s, got {wrong}") for wrong in (7.0, 0.0, -1.0, 60.0)),
    ],
)
def test_names_what_cannot_be(options, message):
    with pytest.raises(ValueError, match=message):
        simulate_cohort(0, **options)
    with pytest.raises(ValueError, match=r"preset must be one of default, .*got .faced."):
        simulate_raw(0, "faced")
