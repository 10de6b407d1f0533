"""What tables of results are computed from: one cohort in the forms that analyses take, each made once."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import pandas as pd

from kernel.brain.cohort import Cohort, standardise, trial_features
from kernel.brain.designs import FACED_SCALP


class Material:
    """A cohort in nats, with FACED's scalp channels at least, in the forms that tables need.

    `axes` holds positions of the clips, index ``clip``, one column for each axis.
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

    def values(self, axis: str) -> np.ndarray:
        """Position of each clip on an axis (n_clips,)."""
        return self.axes[axis].to_numpy(dtype=float)

    def positions(self, axis: str) -> dict[str, float]:
        """Position of each emotion on an axis that has one for each."""
        return dict(zip(self.cohort.emotions.tolist(), self.values(axis).tolist(), strict=True))

    @cached_property
    def scalp(self) -> Cohort:
        """The channels on the scalp."""
        return self.cohort.select(channels=FACED_SCALP)

    @cached_property
    def z(self) -> Cohort:
        """`scalp`, each feature of each person with mean 0 and standard deviation 1."""
        return standardise(self.scalp)

    @cached_property
    def trials(self) -> np.ndarray:
        """Means of `z` over the seconds of each trial (n_subjects, n_clips, n_channels, n_bands)."""
        return trial_features(self.z)
