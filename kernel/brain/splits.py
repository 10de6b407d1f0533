"""Divisions of a cohort's trials into train, validation and test, as boolean masks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from kernel.checks import choice, count

if TYPE_CHECKING:
    from kernel.brain.cohort import Cohort

Parts = tuple[np.ndarray, ...]  # train, validation, test


@dataclass(frozen=True, eq=False)
class Split:
    """Three disjoint sets of trials: boolean masks (n_subjects, n_clips)."""

    name: str
    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray

    def require_test_subjects(self) -> Split:
        """Itself; ValueError if fewer than two subjects test."""
        n = int(self.test.any(1).sum())
        if n < 2:
            raise ValueError(
                f"test of split {self.name!r} holds {n} subject: an interval over subjects needs two, "
                "choose another fold or split, or add subjects"
            )
        return self

    @property
    def shares_subjects(self) -> bool:
        """True if some subject is both in train and in test."""
        return bool((self.train.any(1) & self.test.any(1)).any())

    @property
    def shares_clips(self) -> bool:
        """True if some clip is both in train and in test."""
        return bool((self.train.any(0) & self.test.any(0)).any())


def make_split(
    cohort: Cohort, name: str, *, fold: int = 0, random_state: int | np.random.Generator | None = 0
) -> Split:
    """Divide the trials of a cohort into train, validation and test; missing trials belong to none.

    Parameters
    ----------
    cohort : Cohort
        What to divide.
    name : str
        - ``standard``: FACED subjects 0-79 / 80-99 / 100-122, all clips. New subjects, the *same clips*;
          validation and test are all of the second recording cohort. Fixed.
        - ``cohort_matched``: the same proportions of subjects, drawn within each recording cohort, so that
          train and test share their mix of hardware. All clips.
        - ``leave_clips_out``: new subjects *and* new clips: in each class one clip is kept for the test
          subjects. Subjects are divided as in ``cohort_matched``.
        - ``leave_subjects_out``: five folds of subjects; one tests, the next validates. All clips.
        - ``cbramod``: SEED-V trials 0-4 / 5-9 / 10-14 of each session, as CBraMod does (arXiv:2412.07236). It
          *shares all its subjects* between train and test.
    fold : int
        The clip of each class (``leave_clips_out``) or fifth of subjects (``leave_subjects_out``) to test.
    random_state : int, Generator or None
        Seed or generator of the draws; fixed by default because a split is part of a protocol.
    """
    choice("split", name, SPLITS)
    parts = SPLITS[name](cohort, count("fold", fold, 0), np.random.default_rng(random_state))
    train, validation, test = (part & cohort.present for part in parts)
    for which, part in {"train": train, "validation": validation, "test": test}.items():
        if not part.any():
            raise ValueError(f"split {name!r} leaves {which} empty in {cohort.label}: try leave_subjects_out")
    return Split(name, train, validation, test)


def usual_split(cohort: Cohort, split: str | Split | None = None) -> Split:
    """A split, as it is or by name; by default that of the paper for FACED's people, else folds."""
    if split is None:
        whole = cohort.data.attrs["dataset"] == "FACED" and len(cohort.subjects) > 100
        split = "standard" if whole else "leave_subjects_out"
    return split if isinstance(split, Split) else make_split(cohort, split)


def _released_split(cohort: Cohort, fold: int, rng: np.random.Generator) -> Parts:
    _require_dataset(cohort, "FACED", "standard")
    return _by_subject(cohort, np.digitize(cohort.subjects, (80, 100)))


def _cohort_matched(cohort: Cohort, fold: int, rng: np.random.Generator) -> Parts:
    return _by_subject(cohort, _matched_sets(cohort, rng))


def _leave_clips_out(cohort: Cohort, fold: int, rng: np.random.Generator) -> Parts:
    train, validation, test = _by_subject(cohort, _matched_sets(cohort, rng))
    held_out = np.zeros(len(cohort.clips), dtype=bool)
    for index, emotion in enumerate(cohort.classes):
        members = np.flatnonzero(cohort.y == index)
        if len(members) < 2:
            raise ValueError(f"leave_clips_out needs two clips of {emotion!r}, the cohort has {len(members)}")
        held_out[rng.permutation(members)[fold % len(members)]] = True
    # validation sees new subjects on the training clips
    return train & ~held_out, validation & ~held_out, test & held_out


def _leave_subjects_out(cohort: Cohort, fold: int, rng: np.random.Generator) -> Parts:
    n_folds, n_subjects = 5, len(cohort.subjects)
    if n_subjects < n_folds:
        raise ValueError(f"leave_subjects_out needs {n_folds} subjects, the cohort has {n_subjects}")
    turn = (rng.permutation(n_subjects) - fold) % n_folds  # 0 tests, 1 validates, the rest trains
    return _by_subject(cohort, np.select([turn == 0, turn == 1], [2, 1], 0))


def _cbramod(cohort: Cohort, fold: int, rng: np.random.Generator) -> Parts:
    _require_dataset(cohort, "SEED-V", "cbramod")
    grid = np.broadcast_to((cohort.clips - 1) % 15 // 5, (len(cohort.subjects), len(cohort.clips)))
    return tuple(grid == part for part in range(3))


SPLITS = {
    "standard": _released_split,
    "cohort_matched": _cohort_matched,
    "leave_clips_out": _leave_clips_out,
    "leave_subjects_out": _leave_subjects_out,
    "cbramod": _cbramod,
}


def _require_dataset(cohort: Cohort, dataset: str, name: str) -> None:
    other = cohort.data.attrs["dataset"]
    if other != dataset:
        raise ValueError(f"split {name!r} is for {dataset}, this cohort is {other}: try leave_subjects_out")


def _by_subject(cohort: Cohort, sets: np.ndarray) -> Parts:
    """Masks (n_subjects, n_clips) of the subjects whose set is 0, 1, 2."""
    return tuple(np.repeat(sets[:, None] == part, len(cohort.clips), axis=1) for part in range(3))


def _matched_sets(cohort: Cohort, rng: np.random.Generator) -> np.ndarray:
    """Set 0, 1 or 2 of each subject in the proportions 80 : 20 : 23 within each recording cohort."""
    sets = np.zeros(len(cohort.subjects), dtype=int)
    for hardware in np.unique(cohort.hardware):
        members = rng.permutation(np.flatnonzero(cohort.hardware == hardware))
        edges = np.rint(np.array([80, 100]) / 123 * len(members)).astype(int)
        for part, chosen in enumerate(np.split(members, edges)):
            sets[chosen] = part
    return sets
