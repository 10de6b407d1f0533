"""One call from a cohort to its tests: it agrees with its parts and says what a cohort cannot serve."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from eeg_files import write_seed_v_de
from scipy.stats import pearsonr

from kernel.brain import tracking
from kernel.brain.cohort import Cohort, cohort_tensor, standardise
from kernel.brain.designs import CLASS_VALENCE, FACED_CLASSES
from kernel.brain.projection import ProjectionModel, track
from kernel.brain.seedv import read_seed_v
from kernel.brain.simulate import simulate_cohort

PAIRS = (("F4", "F3"), ("F8", "F7"), ("Fp2", "Fp1"))
VALENCE = dict(zip(FACED_CLASSES, CLASS_VALENCE, strict=True))
FEW = {"n_permutations": 100, "n_slow": 40}
PARTS = ("order_removed", "against_order", "classes", "reliability")


@pytest.fixture(scope="module")
def strong():
    return simulate_cohort(0, "strong_valence", n_subjects=60, window=15.0)


@pytest.fixture(scope="module")
def projected(strong):
    return tracking.project_vaxis(strong[0], VALENCE, valence=VALENCE, device="cpu", **FEW)


@pytest.fixture(scope="module")
def small():
    return simulate_cohort(1, "strong_valence", n_subjects=12, window=15.0)[0]


def renamed(cohort):
    return Cohort(cohort.data.assign_coords(band=[f"b{k}" for k in range(5)]))


def numbered(cohort):
    """Channels by number, as EGI's nets have them: places on the scalp are not known."""
    return Cohort(cohort.data.assign_coords(channel=[f"E{k}" for k in range(len(cohort.channels))]))


def reordered(cohort, change):
    """The cohort with other orders, a function of positions (n_subjects, n_clips); -1 is unknown."""
    return Cohort(cohort.data.assign_coords(order=change(cohort.data["order"])))


def without(cohort, subjects, clips):
    de = cohort.de.copy()
    de[np.ix_(subjects, clips)] = np.nan
    return cohort.with_de(de)


# Projection


def test_agrees_with_its_parts(strong, projected):
    X = cohort_tensor(standardise(strong[0]))
    assert projected.simulated and "simulated" in projected.label and len(projected.tests) == 12
    for row in projected.tests.itertuples():
        options = {"scheme": row.scheme, "null": row.null, "n_permutations": 100}
        expected = track(X, projected.positions, projected.emotions, **options)
        assert row.r == pytest.approx(expected.r) and row.p == expected.p
    assert projected.tracking.r == projected.model.held_out_r_


def test_finds_planted_valence(projected):
    tests = (projected.tracking, projected.order_removed, projected.against_order, projected.classes)
    assert all(test.p < 0.05 for test in tests) and projected.reliability.low > 0.5


def test_finds_nothing_where_there_is_nothing_more_often_than_chance_allows():
    """Twelve cohorts; 4 or more of 12 at .05 have probability .002."""
    rejected = []
    for seed in range(12):
        cohort, _ = simulate_cohort(seed, "null", n_subjects=7, window=30.0)
        cohort = cohort.select(channels=cohort.channels[::3])
        a = tracking.project_vaxis(cohort, VALENCE, valence=VALENCE, n_permutations=39, n_slow=39)
        tests = (a.tracking, a.order_removed, a.against_order, a.classes, a.trials)
        rejected.append([test.p <= 0.05 for test in tests])
    assert np.sum(rejected, axis=0).max() < 4


@pytest.mark.parametrize(
    ("change", "absent"),
    [
        (lambda c: c.select(clips=[1, 2, 4, 5, 8, 11, 14, 18, 20, 23, 24, 26]), ()),
        (lambda c: reordered(c, lambda order: order * 0 + c.data["clip"]), PARTS[:2]),
        (lambda c: reordered(c, lambda order: order.where(order != 3, -1)), PARTS[:2]),
        (lambda c: without(c.select(subjects=range(8)), [0, 5, 6], [3]), ("against_order", "reliability")),
    ],
    ids=["chosen clips keep their sequence", "one order", "unknown order", "few people miss a clip"],
)
def test_a_cohort_is_served_in_part(small, change, absent):
    a = tracking.project_vaxis(change(small), VALENCE, valence=VALENCE, n_permutations=20, n_slow=20)
    assert {part for part in PARTS if getattr(a, part) is None} == set(absent) and a.tracking.p <= 1


# The scalp


def test_the_scalp_agrees_with_its_parts(strong):
    cohort, truth = strong
    a = tracking.map_vaxis_to_scalp(cohort, VALENCE, n_permutations=200, n_slow=50)
    X, y = cohort_tensor(standardise(cohort)), tracking.clip_values(cohort, VALENCE)
    np.testing.assert_array_equal(tracking.clip_values(cohort, pd.Series(VALENCE)), y)
    assert a.cells.r[3, 2] == pytest.approx(pearsonr(X[:, 3, 2], y)[0]) and a.cells.p_best < 0.05
    assert np.corrcoef(a.cells.r.ravel(), truth.valence_pattern.ravel())[0, 1] > 0.7
    size, alpha = np.abs(a.cells.r), a.bands.index("alpha")
    assert a.alpha.observed == pytest.approx(size[:, alpha].mean() - np.delete(size, alpha, axis=1).mean())
    nats = cohort_tensor(cohort)[..., alpha]  # nobody misses a clip here
    right, left = ([a.channels.index(name) for name in names] for names in zip(*PAIRS, strict=True))
    difference = (nats[:, right] - nats[:, left]).mean(1)
    assert a.asymmetry.observed == pytest.approx(pearsonr(difference, y)[0])
    gamma = np.abs(a.cells.r[:, a.bands.index("gamma")])
    assert set(a.connectivity.channels) == {a.channels[i] for i in np.argsort(-gamma)[:8]}
    assert a.clusters.t.shape == a.cells.r.shape and a.time.r.shape == (5, 2)


def test_five_classes_and_sixty_two_channels(tmp_path):
    write_seed_v_de(tmp_path, range(1, 5))
    cohort = read_seed_v(tmp_path, progress=False)
    positions = {emotion: VALENCE[emotion] for emotion in cohort.classes}
    a = tracking.project_vaxis(cohort, positions, n_permutations=200, n_slow=40)
    assert a.tracking.exact and len(a.tracking.values) == 120
    assert a.classes is None and a.reliability is None
    scalp = tracking.map_vaxis_to_scalp(cohort, positions, n_permutations=200, n_slow=20)
    assert set(cohort.channels) - set(scalp.channels) == {"CB1", "CB2"} and scalp.cells.exact


SCALP = ("occipital", "alpha", "asymmetry", "few_emotions", "weighted", "simpson", "oracle", "clusters")
SCALP += ("time", "connectivity")


@pytest.mark.parametrize(
    ("change", "absent"),
    [
        (renamed, ("alpha", "asymmetry", "connectivity")),
        (
            lambda c: c.select(channels=["Fp1", "Fp2", "F3", "Fz", "F4", "Cz"]),
            ("occipital", "asymmetry", "simpson", "connectivity"),
        ),
        (lambda c: c.select(clips=[1, 2, 3, 13, 14, 20, 21, 22]), ("few_emotions", "weighted")),
        (lambda c: without(c, [2], range(2, 28)), ("simpson", "oracle", "clusters")),
        (lambda c: without(c.select(subjects=range(8)), [0, 5, 6], [3]), ()),
    ],
    ids=["other bands", "front only", "three emotions", "two trials", "few people miss a clip"],
)
def test_the_scalp_leaves_out_what_a_cohort_cannot_serve(small, change, absent):
    a = tracking.map_vaxis_to_scalp(change(small), VALENCE, n_permutations=20, n_slow=20)
    assert {part for part in SCALP if getattr(a, part) is None} == set(absent)
    assert a.simpson is None or np.isfinite(a.simpson.cohort).all()


def test_who_misses_a_clip_does_not_move_its_asymmetry(small):
    """Levels in nats differ by person: without one of the clips a person still counts whole."""
    de = small.de.copy()
    de[0, :, :, small.channels.index("F4")] += 100.0
    whole, holed = (
        tracking.map_vaxis_to_scalp(cohort, VALENCE, n_permutations=20, n_slow=20).asymmetry.observed
        for cohort in (small.with_de(de), without(small.with_de(de), [0], [5]))
    )
    assert holed == pytest.approx(whole, abs=0.2)


# From one cohort to another


def seed_v(seed, preset):
    return simulate_cohort(seed, preset, design="SEED-V", n_subjects=12, window=20.0)[0]


def test_the_order_of_classes_transfers_where_valence_is_shared_and_not_where_it_is_absent():
    rejected = {}
    for preset in ("strong_valence", "no_valence"):
        tests = [
            tracking.transfer_class_order(
                simulate_cohort(seed, preset, n_subjects=24, window=30.0)[0],
                seed_v(seed + 50, preset),
                VALENCE,
            ).test
            for seed in range(8)
        ]
        assert all(test.exact and len(test.null) == 120 for test in tests)
        rejected[preset] = sum(test.p <= 0.05 for test in tests)
    assert rejected["strong_valence"] >= 4
    assert rejected["no_valence"] < 4  # 4 or more of 8 at .05 have probability .0004


def test_the_transfer_is_a_fit_there_and_a_prediction_here(small):
    target = seed_v(3, "strong_valence")
    order = tracking.transfer_class_order(small, target, VALENCE)
    assert order.classes == target.classes
    assert order.positions.tolist() == pytest.approx([VALENCE[emotion] for emotion in target.classes])
    assert {name.lower() for name in order.channels} <= {name.lower() for name in target.channels}
    X, Z = (
        cohort_tensor(standardise(c.select(channels=order.channels))).reshape(len(c.clips), -1)
        for c in (small, target)
    )
    model = ProjectionModel().fit(X, tracking.clip_values(small, VALENCE), small.emotions)
    joy = model.predict(Z)[target.emotions == "joy"].mean()
    assert order.predicted[list(order.classes).index("joy")] == pytest.approx(joy)


def test_errors_name_the_value(small):
    other = small.select(clips=range(1, 16))
    no_joy, no_fear = ({k: v for k, v in VALENCE.items() if k != name} for name in ("joy", "fear"))

    def project(positions, **options):
        return lambda: tracking.project_vaxis(small, positions, **options)

    calls = {
        "no position for joy": lambda: tracking.project_vaxis(small, no_joy),
        "no valence for fear": lambda: tracking.project_vaxis(small, VALENCE, valence=no_fear),
        r"share the electrodes \['Fz'\]": lambda: tracking.transfer_class_order(
            small.select(channels=["Fz", "F3"]), other.select(channels=["Fz", "O1"]), VALENCE
        ),
        "bands must agree by name": lambda: tracking.transfer_class_order(renamed(small), other, VALENCE),
        "no position for fear": lambda: tracking.transfer_class_order(other, other, no_fear),
        r"position of joy must lie in \(-inf, inf\), got nan": project(VALENCE | {"joy": np.nan}),
        "valence of joy must lie in .* got 'high'": project(VALENCE, valence=VALENCE | {"joy": "high"}),
        r"mapping of emotion to number, got ndarray: of an axis, dict\(zip": project(np.arange(9.0)),
        "mapping of emotion to number, got DataFrame": project(pd.DataFrame({"position": VALENCE})),
        "position is 1 for every emotion: values must differ": project(dict.fromkeys(VALENCE, 1)),
        "none of the channels E0, E1, E2, ... has a place in the 10-05 system: rename": lambda: (
            tracking.map_vaxis_to_scalp(numbered(small), VALENCE)
        ),
    }
    for message, call in calls.items():
        with pytest.raises((KeyError, ValueError), match=message):
            call()
