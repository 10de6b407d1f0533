"""What tables of results are computed from: one cohort in the forms that analyses take, each made once.

In:  a cohort in nats; positions of its clips on several axes.
Out: the same cohort on the scalp, standardised, and as means of trials.
Never: reads a file, or holds a result.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
import pandas as pd

from kernel.brain.cohort import FACED_SCALP, Cohort, standardise, trial_features


class Material:
    """A cohort in the forms that tables need.

    Parameters
    ----------
    cohort : Cohort
        In nats, with the channels of FACED's scalp at least.
    axes : DataFrame, optional
        Positions of the clips, index ``clip``, one column for each axis; needed by most tables.

    Attributes
    ----------
    cohort, scalp : Cohort
        All channels, and those on the scalp.
    z : Cohort
        `scalp`, each feature of each person with mean 0 and standard deviation 1.
    trials : ndarray, shape (n_subjects, n_clips, n_channels, n_bands)
        Means of `z` over the seconds of each trial.
    """

    def __init__(self, cohort: Cohort, axes: pd.DataFrame | None = None) -> None:
        self.cohort = cohort
        self._axes = axes

    @property
    def axes(self) -> pd.DataFrame:
        """Positions of the clips; ValueError if there are none."""
        if self._axes is None:
            raise ValueError("this table needs positions of the clips: pass axes=")
        return self._axes

    @cached_property
    def scalp(self) -> Cohort:
        return self.cohort.select(channels=FACED_SCALP)

    @cached_property
    def z(self) -> Cohort:
        return standardise(self.scalp)

    @cached_property
    def trials(self) -> np.ndarray:
        return trial_features(self.z)
