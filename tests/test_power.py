"""Power on one's own design: false alarms at their level, large effects found, errors with their cure."""

from types import SimpleNamespace

import numpy as np
import pytest

from kernel.brain.cohort import cohort_tensor, standardise
from kernel.brain.designs import CLASS_VALENCE, FACED_CLASSES
from kernel.brain.power import power
from kernel.brain.simulate import simulate_cohort

VALENCE = dict(zip(FACED_CLASSES, CLASS_VALENCE, strict=True))


@pytest.fixture(scope="module")
def cohort():
    return simulate_cohort(0, n_subjects=10, window=10.0)[0]


def test_nothing_is_found_where_nothing_is_planted_and_much_where_much_is(cohort):
    table = power(cohort, VALENCE, sizes=(0, 0.3, 3), n_draws=60, n_permutations=99)
    assert list(table["size"]) == [0, 0.3, 3] and (table["draws"] == 60).all()
    none, some, much = table["found"]
    assert table["low"][0] <= 0.05 <= max(table["high"][0], 0.06) and none < 0.2
    assert none <= some + 0.1 and much > 0.9
    assert ((table["low"] <= table["found"]) & (table["found"] <= table["high"])).all()


def test_each_draw_deals_the_positions_out_anew_and_plants_by_the_spread_of_features(cohort, monkeypatch):
    seen = []

    def spy(X, y, emotions, *, random_state, **options):
        seen.append((X, y, random_state))
        return SimpleNamespace(p=1.0)

    monkeypatch.setattr("kernel.brain.power.track", spy)
    power(cohort, VALENCE, sizes=(0, 2), n_draws=400)
    X = cohort_tensor(standardise(cohort)).reshape(28, -1)
    bare, planted = seen[::2], seen[1::2]
    assert all((features == X).all() for features, *_ in bare)
    dealt = np.array([[y[cohort.emotions == name] for name in ("anger", "fear")] for _, y, _ in bare])
    assert np.ptp(dealt, axis=2).max() == 0 and len(np.unique(dealt[:, 0, 0])) == 9
    for _, y, _ in bare:
        assert sorted(set(y)) == sorted(CLASS_VALENCE)
    assert len({seed for *_, seed in bare}) == 400 and [d[2] for d in bare] == [d[2] for d in planted]
    # weights have size 1, known from 400 draws to 1 / sqrt(800) = 3.5 %; the positions are of size 1 as well
    size = np.sqrt(np.mean([(features - X).var(0) for features, _, _ in planted], axis=0))
    np.testing.assert_allclose(size / X.std(0), 2, rtol=0.14)


def test_the_seed_decides(cohort):
    one, same, other = (
        power(cohort, VALENCE, sizes=[0.5], n_draws=10, n_permutations=19, random_state=seed)
        for seed in (1, 1, 2)
    )
    assert one.equals(same) and other["draws"][0] == 10


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sizes": [-0.1]}, r"size must lie in \[0, inf\), got -0.1"),
        ({"sizes": []}, "sizes is empty"),
        ({"n_draws": 5}, "n_draws must be a whole number of 10 or more, got 5"),
        ({"n_permutations": 9}, "n_permutations must be a whole number of 19 or more"),
        ({"level": 1.5}, "level must lie in"),
        ({"positions": VALENCE | {"awe": 0, "joy": np.nan}}, "position of joy must lie in .* got nan"),
        ({"positions": dict.fromkeys(VALENCE, 1)}, "position is 1 for every emotion: values must differ"),
    ],
)
def test_bad_options_are_named(cohort, options, message):
    with pytest.raises(ValueError, match=message):
        power(cohort, **{"positions": VALENCE} | options)
