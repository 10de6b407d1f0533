"""One call from a cohort to its tests: it agrees with its parts and says what a cohort cannot serve."""

from __future__ import annotations

import numpy as np
import pytest
from eeg_files import write_seed_v_de
from scipy.stats import pearsonr

from kernel.brain import study, topography
from kernel.brain.cohort import Cohort, cohort_tensor, standardise
from kernel.brain.projection import ProjectionModel, track
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
    return study.project_vaxis(strong[0], VALENCE, valence=VALENCE, **FEW)


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


def test_finds_planted_valence_and_its_pattern(strong, mapped):
    assert mapped.tracking.p < 0.05 and mapped.order_removed.p < 0.05 and mapped.against_order.p < 0.05
    assert mapped.classes.p < 0.05 and mapped.reliability.low > 0.5
    assert np.corrcoef(mapped.pattern.ravel(), strong[1].valence_pattern.ravel())[0, 1] > 0.8


def test_finds_nothing_where_there_is_nothing_more_often_than_chance_allows():
    """Twelve cohorts; 4 or more of 12 at .05 have probability .002."""
    found = []
    for seed in range(12):
        cohort, _ = simulate_cohort(seed, "null", n_subjects=24, window=30.0)
        a = study.project_vaxis(cohort, VALENCE, valence=VALENCE, n_permutations=99, n_slow=39)
        found.append(
            [t.p <= 0.05 for t in (a.tracking, a.order_removed, a.against_order, a.classes, a.trials)]
        )
    assert np.sum(found, axis=0).max() < 4


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
    nats = cohort_tensor(cohort)  # nobody misses a clip here
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
    a = study.project_vaxis(cohort, positions, **FEW)
    assert a.tracking.exact and len(a.tracking.values) == 120
    assert a.classes is None and a.reliability is None
    assert a.pattern.shape == (62, 5)
    scalp = study.map_vaxis_to_scalp(cohort, positions, **FEW)
    assert set(cohort.channels) - set(scalp.channels) == {"CB1", "CB2"}
    assert scalp.cells.exact


def test_names_an_emotion_without_a_position(strong):
    with pytest.raises(KeyError, match="no position for joy"):
        study.project_vaxis(strong[0], {k: v for k, v in VALENCE.items() if k != "joy"})
    with pytest.raises(KeyError, match="no valence for fear"):
        study.project_vaxis(strong[0], VALENCE, valence={k: v for k, v in VALENCE.items() if k != "fear"})


def altered(cohort, de=None, *, bands=None, order=None):
    """The cohort with other numbers, band names or orders."""
    return Cohort.from_arrays(
        cohort.de if de is None else de,
        subjects=cohort.subjects,
        emotions=cohort.emotions,
        channels=cohort.channels,
        bands=bands or dict(zip(cohort.bands, [(1, 4), (4, 8), (8, 14), (14, 30), (30, 47)], strict=False)),
        window=cohort.window,
        classes=cohort.classes,
        order=cohort.order if order is None else order,
        hardware=cohort.hardware,
        dataset="FACED",
        provenance="simulated: altered",
        simulated=True,
    )


@pytest.fixture(scope="module")
def small():
    return simulate_cohort(1, "strong_valence", n_subjects=12, window=15.0)[0]


def test_chosen_clips_keep_their_sequence(small):
    part = small.select(clips=[1, 2, 4, 5, 8, 11, 14, 18, 20, 23, 24, 26])
    a = study.project_vaxis(part, VALENCE, **FEW)
    assert a.order_removed is not None and a.against_order is not None


@pytest.mark.parametrize("same", ["one order", "one order and its reverse", "unknown"])
def test_orders_that_say_nothing_leave_their_tests_out(small, same):
    order = np.tile(np.arange(1.0, 29), (12, 1))
    if same == "unknown":
        order[3, 3] = np.nan
    elif same != "one order":
        order[::2] = order[::2, ::-1]
    a = study.project_vaxis(altered(small, order=order), VALENCE, **FEW)
    assert a.order_removed is None and a.against_order is None and a.tracking.p <= 1


def test_few_people_who_miss_clips_are_served_in_part(small):
    de = small.de[:8].copy()
    de[0, 3], de[5, 3], de[6, 3] = np.nan, np.nan, np.nan
    few = altered(small.select(subjects=range(8)), de)
    a = study.project_vaxis(few, VALENCE, **FEW)
    assert a.reliability is None and a.against_order is None and a.order_removed is not None
    scalp = study.map_vaxis_to_scalp(few, VALENCE, **FEW)
    assert np.isfinite(scalp.simpson.cohort).all() and np.isfinite(scalp.asymmetry.mean).all()


def test_who_misses_a_clip_does_not_move_its_asymmetry(small):
    """Levels in nats differ by person: without one of the clips a person still counts whole."""
    de = small.de.copy()
    right = small.channels.index("F4")
    de[0, :, :, right] += 100.0
    whole = study.map_vaxis_to_scalp(altered(small, de), VALENCE, **FEW).asymmetry
    de[0, 5] = np.nan
    holed = study.map_vaxis_to_scalp(altered(small, de), VALENCE, **FEW).asymmetry
    np.testing.assert_allclose(holed.r, whole.r, atol=0.2)


def test_the_scalp_leaves_out_what_a_cohort_cannot_serve(small):
    renamed = altered(small, bands={f"b{k}": (k + 1.0, k + 2.0) for k in range(5)})
    a = study.map_vaxis_to_scalp(renamed, VALENCE, **FEW)
    assert a.alpha is None and a.asymmetry is None and a.connectivity is None and a.oracle is not None
    front = study.map_vaxis_to_scalp(
        small.select(channels=["Fp1", "Fp2", "F3", "Fz", "F4", "Cz"]), VALENCE, **FEW
    )
    assert front.occipital is None and front.simpson is None and front.connectivity is None
    three = small.select(clips=[1, 2, 3, 13, 14, 20, 21, 22])
    a = study.map_vaxis_to_scalp(three, VALENCE, **FEW)
    assert a.few_emotions is None and a.weighted is None and a.cells.exact
    de = small.de.copy()
    de[2, 2:] = np.nan
    a = study.map_vaxis_to_scalp(altered(small, de), VALENCE, **FEW)
    assert a.oracle is None and a.clusters is None and a.simpson is None and a.time is not None


# From one cohort to another


def seed_v(seed, preset):
    return simulate_cohort(seed, preset, design="SEED-V", window=20.0)[0]


def test_the_order_of_classes_transfers_where_valence_is_shared_and_not_where_it_is_absent():
    rejected = {}
    for preset in ("strong_valence", "no_valence"):
        found = [
            study.transfer_class_order(
                simulate_cohort(seed, preset, n_subjects=40, window=30.0)[0],
                seed_v(seed + 50, preset),
                VALENCE,
            ).test
            for seed in range(12)
        ]
        assert all(test.exact and len(test.null) == 120 for test in found)
        rejected[preset] = sum(test.p <= 0.05 for test in found)
    assert rejected["strong_valence"] >= 8
    assert rejected["no_valence"] < 4  # 4 or more of 12 at .05 have probability .002


def test_the_transfer_is_a_fit_there_and_a_prediction_here(small):
    target = seed_v(3, "strong_valence")
    five = {emotion: VALENCE[emotion] + 1 for emotion in target.classes}
    found = study.transfer_class_order(small, target, VALENCE, five)
    assert found.classes == target.classes and found.positions.tolist() == list(five.values())
    assert {name.lower() for name in found.channels} <= {name.lower() for name in target.channels}
    X, Z = (
        cohort_tensor(standardise(c.select(channels=found.channels))).reshape(len(c.clips), -1)
        for c in (small, target)
    )
    model = ProjectionModel().fit(X, study.clip_values(small, VALENCE), small.emotions)
    joy = model.predict(Z)[target.emotions == "joy"].mean()
    assert found.predicted[list(found.classes).index("joy")] == pytest.approx(joy)


def test_names_cohorts_that_do_not_fit_together(small):
    target = seed_v(3, "null")
    with pytest.raises(ValueError, match=r"share the electrodes \['Fz'\]"):
        study.transfer_class_order(
            small.select(channels=["Fz", "F3"]), target.select(channels=["Fz", "O1"]), VALENCE
        )
    with pytest.raises(ValueError, match="bands must agree by name"):
        study.transfer_class_order(
            altered(small, bands={f"b{k}": (k + 1.0, k + 2.0) for k in range(5)}), target, VALENCE
        )
    with pytest.raises(KeyError, match="no position for joy"):
        study.transfer_class_order(small, target, VALENCE, {k: v for k, v in VALENCE.items() if k != "joy"})
