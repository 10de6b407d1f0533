"""One call from a cohort to its tests: it agrees with its parts and says what a cohort cannot serve."""

from __future__ import annotations

import numpy as np
import pytest
from eeg_files import write_seed_v_de
from scipy.stats import pearsonr

import kernel
from kernel.brain import study, topography
from kernel.brain.cohort import cohort_tensor, standardise
from kernel.brain.projection import track
from kernel.brain.seedv import read_seed_v
from kernel.brain.simulate import CLASS_VALENCE, FACED_CLASSES, simulate_cohort

VALENCE = dict(zip(FACED_CLASSES, CLASS_VALENCE, strict=True))
FEW = {"n_permutations": 200, "n_slow": 50}


@pytest.fixture(scope="module")
def strong():
    cohort, truth = simulate_cohort(0, "strong_valence", n_subjects=60, window=15.0)
    return cohort, truth


@pytest.fixture(scope="module")
def mapped(strong):
    return kernel.map_vaxis_to_eeg(strong[0], VALENCE, valence=VALENCE, **FEW)


def test_agrees_with_its_parts(strong, mapped):
    X = cohort_tensor(standardise(strong[0]))
    assert mapped.simulated and "simulated" in mapped.label
    assert len(mapped.tests) == 12
    for row in mapped.tests.itertuples():
        expected = track(
            X, mapped.positions, mapped.emotions, scheme=row.scheme, null=row.null, n_permutations=200
        )
        assert row.r == pytest.approx(expected.r) and row.p == expected.p
    assert mapped.tracking.r == mapped.model.held_out_r_


def test_finds_planted_valence_and_its_pattern_and_not_where_there_is_none(strong, mapped):
    assert mapped.tracking.p < 0.05 and mapped.order_removed.p < 0.05 and mapped.against_order.p < 0.05
    assert mapped.classes.p < 0.05 and mapped.reliability.low > 0.5
    assert np.corrcoef(mapped.pattern.ravel(), strong[1].valence_pattern.ravel())[0, 1] > 0.8
    empty = kernel.map_vaxis_to_eeg(
        simulate_cohort(0, "null", n_subjects=60, window=15.0)[0], VALENCE, valence=VALENCE, **FEW
    )
    assert min(empty.tracking.p, empty.order_removed.p, empty.against_order.p, empty.classes.p) > 0.05
    assert abs(np.corrcoef(empty.pattern.ravel(), strong[1].valence_pattern.ravel())[0, 1]) < 0.5


def test_mutual_information_sees_a_link_and_its_absence(strong):
    cohort = strong[0]
    X = cohort_tensor(standardise(cohort)).reshape(28, -1)
    y = study.clip_values(cohort, VALENCE)
    assert study.mutual_information(X, y, cohort.emotions, n_permutations=60).observed > 0.3
    noise = np.random.default_rng(0).standard_normal((28, 40))
    assert study.mutual_information(noise, y, cohort.emotions, n_permutations=60).p > 0.05


def test_the_pattern_is_the_covariance_with_the_projection(rng):
    X, w = rng.standard_normal((50, 6)), rng.standard_normal(6)
    slopes = [np.polyfit(X @ w, column, 1)[0] for column in X.T]
    np.testing.assert_allclose(study.activation_pattern(X, w), slopes, atol=1e-12)


def test_the_scalp_agrees_with_its_parts(strong):
    cohort, truth = strong
    a = study.map_vaxis_to_scalp(cohort, VALENCE, **FEW)
    X, y = cohort_tensor(standardise(cohort)), study.clip_values(cohort, VALENCE)
    assert a.cells.r[3, 2] == pytest.approx(pearsonr(X[:, 3, 2], y)[0])
    assert a.cells.p_best < 0.05
    assert np.corrcoef(a.cells.r.ravel(), truth.valence_pattern.ravel())[0, 1] > 0.7
    assert a.few_emotions.r_all == pytest.approx(a.cells.r_best)
    nats = cohort_tensor(cohort)
    right, left = (a.channels.index(name) for name in ("F4", "F3"))
    alpha = a.bands.index("alpha")
    assert a.asymmetry.mean[0] == pytest.approx((nats[:, right, alpha] - nats[:, left, alpha]).mean())
    gamma = np.abs(a.cells.r[:, a.bands.index("gamma")])
    assert set(a.connectivity.channels) == {a.channels[i] for i in np.argsort(-gamma)[:8]}
    assert isinstance(a.clusters, topography.ClusterTest) and isinstance(a.time, topography.TimeCourse)


def test_five_classes_and_sixty_two_channels(tmp_path):
    write_seed_v_de(tmp_path, range(1, 5))
    cohort = read_seed_v(tmp_path, progress=False)
    positions = {emotion: VALENCE[emotion] for emotion in cohort.classes}
    a = kernel.map_vaxis_to_eeg(cohort, positions, **FEW)
    assert a.tracking.exact and len(a.tracking.values) == 120
    assert a.classes is None and a.reliability is None
    assert a.pattern.shape == (62, 5)
    scalp = study.map_vaxis_to_scalp(cohort, positions, **FEW)
    assert set(cohort.channels) - set(scalp.channels) == {"CB1", "CB2"}
    assert scalp.cells.exact


def test_names_an_emotion_without_a_position(strong):
    with pytest.raises(KeyError, match="no position for joy"):
        kernel.map_vaxis_to_eeg(strong[0], {k: v for k, v in VALENCE.items() if k != "joy"})
    with pytest.raises(KeyError, match="no valence for fear"):
        kernel.map_vaxis_to_eeg(strong[0], VALENCE, valence={k: v for k, v in VALENCE.items() if k != "fear"})
