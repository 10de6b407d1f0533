"""The classifier study: its design, its tables against scikit-learn, and a control that must fail."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, confusion_matrix

from kernel.brain.cohort import make_split, standardise
from kernel.brain.simulate import Settings, simulate_cohort
from kernel.decoding import study
from kernel.decoding.bank import TrainingSpec, train_bank

FEW = [TrainingSpec(epochs=6, warmup_epochs=1, seed=seed) for seed in range(2)]


@pytest.fixture(scope="module")
def bank(tmp_path_factory):
    cohort = simulate_cohort(0, n_subjects=25, window=10.0)[0]
    split = make_split(cohort, "leave_subjects_out")
    return train_bank(FEW, cohort, split, folder=tmp_path_factory.mktemp("bank"), n_jobs=1, progress=False)


def test_thirty_six_different_trainings_that_share_their_start():
    specs = study.checkpoint_specs(seed=4)
    assert len(specs) == 36
    assert len({(s.network, s.epochs, s.recipe) for s in specs}) == 36
    assert Counter(s.network for s in specs) == {"mlp": 18, "axial": 18}
    assert {s.seed for s in specs} == {4}
    assert {s.kd for s in specs} == {None, "llm", "random"}


def test_members_are_sorted_and_their_intervals_hold_them(bank):
    table = study.members_table(bank, n_resamples=200)
    assert len(table) == 4 and table["test"].is_monotonic_decreasing
    assert ((table["test_low"] <= table["test"]) & (table["test"] <= table["test_high"])).all()
    own = table.query("recipe != 'baseline'").sort_values("seed")["test"]
    np.testing.assert_allclose(own, bank.bacc("test"))


def test_confusion_and_subjects_agree_with_scikit_learn(bank):
    rows = bank.rows("test")
    y, called = bank.trials["y"].to_numpy()[rows], bank.scores("lda")[rows].argmax(1)
    np.testing.assert_allclose(study.confusion(bank, "lda"), confusion_matrix(y, called, normalize="true"))
    subject = bank.trials["subject"].to_numpy()[rows]
    found = study.by_subject(bank, "lda")
    for person in np.unique(subject):
        own = subject == person
        assert found[person] == pytest.approx(balanced_accuracy_score(y[own], called[own]))


@pytest.mark.parametrize(("classes", "clips", "survives"), [(0.0, 0.12, False), (0.12, 0.0, True)])
def test_new_clips_tell_clips_from_classes(classes, clips, survives):
    truth = Settings(valence=0.0, classes=classes, clips=clips, trial=0.1)
    cohort = simulate_cohort(1, truth, n_subjects=30, window=10.0)[0]
    table = study.split_table(
        cohort, [("cohort_matched", 0), ("leave_clips_out", 0)], FEW[:1], progress=False
    ).query("method == 'lda'").set_index("split")  # fmt: skip
    assert table.loc["cohort_matched", "low"] > 0.3
    assert table.loc["leave_clips_out", "new_clips"] and not table.loc["cohort_matched", "new_clips"]
    assert (table.loc["leave_clips_out", "low"] > 0.3) == survives
    if not survives:
        assert table.loc["leave_clips_out", "bacc"] < 0.25
    assert table.loc["leave_clips_out", "n_subjects"] == len(
        np.unique(np.nonzero(make_split(standardise(cohort), "leave_clips_out").test)[0])
    )
