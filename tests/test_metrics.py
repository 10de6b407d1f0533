"""Balanced accuracy, against scikit-learn and by hand."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from kernel.metrics import balanced_accuracy, mean_recall, score_accuracy


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
def test_it_is_that_of_scikit_learn_for_many_predictions_at_once(rng):
    y = np.repeat([0, 1, 4], [5, 9, 2])
    scores = rng.standard_normal((3, 2, len(y), 5))
    predicted = scores.argmax(-1)
    expected = [[balanced_accuracy_score(y, one) for one in some] for some in predicted]
    np.testing.assert_allclose(balanced_accuracy(y, predicted), expected)
    np.testing.assert_allclose(score_accuracy(scores, y), expected)
    assert balanced_accuracy(y, y) == pytest.approx(1) and balanced_accuracy(y, y + 1) == 0
    assert score_accuracy(np.zeros((3, 2)), [0, 0, 1]) == 0.5  # of equal scores the first class


def test_recall_is_over_people_and_leaves_out_classes_without_a_trial():
    counts, hits = np.array([[4, 0, 2], [0, 0, 2]]), np.array([[1, 0, 2], [0, 0, 0]])
    assert mean_recall(counts, hits) == pytest.approx((1 / 4 + 2 / 4) / 2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: balanced_accuracy([0, 1], [0, 1, 1]), r"one length, got \(2,\) and \(3,\)"),
        (lambda: balanced_accuracy([], []), r"one length, got \(0,\)"),
        (lambda: score_accuracy(np.ones(3), [0, 1, 1]), r"\(\.\.\., n_trials, n_classes\), got shape \(3,\)"),
        (lambda: score_accuracy(np.ones((3, 0)), [0, 1, 1]), r"n_classes\), got shape \(3, 0\)"),
    ],
)
def test_other_shapes_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
