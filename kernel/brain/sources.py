"""One door to every cohort: a folder of a data set, a saved cohort, or a simulation.

What is read says what it is by its ``label``: a simulation is never passed off as data.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path
from typing import NamedTuple

import numpy as np

from kernel import assets, files
from kernel.brain.cohort import Cohort
from kernel.brain.emoeegmc import read_emoeeg_mc
from kernel.brain.faced import read_faced
from kernel.brain.releases import nothing_known, unexpected
from kernel.brain.seedv import read_seed_v
from kernel.brain.simulate import Settings, simulate_cohort

VARIABLE = "KERNEL_DATA"
#: A file of this name says that the files beside it were generated: what is read is labelled as simulated.
GENERATED = "GENERATED.txt"


class Layout(NamedTuple):
    """Where a data set keeps the files its reader takes, as globs below a folder; any match will do."""

    dataset: str
    what: str
    patterns: tuple[str, ...]
    read: Callable[..., Cohort]


_DE, _SIGNALS = "sub[0-9][0-9][0-9].pkl.pkl", "sub[0-9][0-9][0-9].pkl"
_BDF = "sub-[0-9][0-9][0-9]/eeg/sub-*_task-watchingVideoClips_*"
_NPZ, _CNT = "[0-9]*_123.npz", "[0-9]*_[123]_[0-9]*.cnt"
_NPY = "sub-*/ses-vid/eeg/sub-*_ses-vid_task-emotion_de.npy"
LAYOUTS = (
    Layout(
        "FACED", "features of the official release", (f"EEG_Features/DE/{_DE}", f"DE/{_DE}", _DE), read_faced
    ),
    Layout("FACED", "signals of the official release", (f"Processed_data/{_SIGNALS}", _SIGNALS), read_faced),
    Layout("FACED", "BIDS copy", (_BDF, f"*/{_BDF}"), read_faced),
    Layout("SEED-V", "features", (f"EEG_DE_features/{_NPZ}", _NPZ), read_seed_v),
    Layout("SEED-V", "recordings", (f"EEG_raw/{_CNT}", _CNT), read_seed_v),
    Layout("EmoEEG-MC", "features", (f"derivatives/{_NPY}", _NPY), read_emoeeg_mc),
)
"""Every folder that :func:`load_cohort` knows; of several copies of one data set the first counts."""


def load_cohort(
    path: str | PathLike[str] | None = None,
    *,
    preset: str | Settings = "default",
    random_state: int | np.random.Generator | None = 0,
    n_subjects: int = 123,
    window: float = 1.0,
    skip: Sequence[str] = (),
    progress: bool = True,
) -> Cohort:
    """Read whatever cohort is at hand, or simulate one if there is none; its ``label`` says which.

    Parameters
    ----------
    path : path-like, optional
        A folder of FACED (any copy), SEED-V or EmoEEG-MC as :data:`LAYOUTS` lists them, or a file written by
        :meth:`Cohort.save`. A folder with a file ``GENERATED.txt`` gives a cohort that counts as simulated.
        Without a path the environment variable ``KERNEL_DATA`` counts; if that is unset or empty too, FACED
        where it was fetched whole with ``python -m kernel.assets fetch faced``; else the cohort is simulated.
        Each reader runs with its defaults: call it by itself for others.
    preset, random_state, n_subjects, window
        Of the simulation, as for :func:`~kernel.brain.simulate.simulate_cohort`; files are read as they are.
    skip : sequence of str
        Data sets, such as ``"FACED"``, whose recordings are passed over where no path asks for them: the
        cohort is then simulated. It keeps analyses whose published results are of a simulation what they are
        on a machine that holds recordings, while a data set of a reader's own is still read.
    progress : bool
        Show a reader's progress bar.

    Raises
    ------
    EEGFileError
        If there is nothing at the path, or nothing that is known, or more than one data set; and whatever
        the chosen reader raises, as it raises it.
    """
    datasets = {layout.dataset for layout in LAYOUTS}
    if isinstance(skip, str) or not set(skip) <= datasets:
        raise ValueError(f"skip must be a sequence of {', '.join(sorted(datasets))}, got {skip!r}")
    passed_over = set(skip) if path is None else set()
    where = _variable() or _fetched() if path is None else files.absolute(path)
    if where is not None and not where.exists():
        cure = f"The path came from the environment variable {VARIABLE}: correct or unset it."
        raise unexpected(where, "nothing", "a folder or a file", cure if path is None else "")
    if where is not None and where.is_dir():
        layout, generated = recognise(where), (where / GENERATED).is_file()
        if generated or layout.dataset not in passed_over:
            cohort = layout.read(where, progress=progress)
            provenance = f"simulated: generated files, {cohort.data.attrs['provenance']}"
            marks = {"simulated": 1, "provenance": provenance} if generated else {}
            return Cohort(cohort.data.assign_attrs(marks))
    elif where is not None:
        cohort = _load_saved(where)
        if cohort.simulated or cohort.data.attrs["dataset"] not in passed_over:
            return cohort
    cohort, _ = simulate_cohort(random_state, preset, n_subjects=n_subjects, window=window)
    return cohort


def faced_folder() -> Path | None:
    """Folder of FACED's released features, for :func:`~kernel.brain.faced.read_faced`; None if not at hand.

    It is what ``KERNEL_DATA`` names if that holds these files and they were not generated, else what was
    fetched with ``python -m kernel.assets fetch faced``.
    """
    folder = _variable()
    if folder is not None and folder.is_dir() and not (folder / GENERATED).is_file():
        if _holds(folder, LAYOUTS[0]):
            return folder
    return _fetched()


def recognise(folder: str | PathLike[str]) -> Layout:
    """Which data set a folder holds, by the names of its files alone; EEGFileError for none or several."""
    folder = files.absolute(folder)
    held = [layout for layout in LAYOUTS if _holds(folder, layout)]
    if not held:
        known = [f"{layout.dataset}, {layout.what}: {layout.patterns[0]}" for layout in LAYOUTS]
        raise nothing_known(folder, "one of " + "; ".join([*known, "or a file written by Cohort.save"]))
    datasets = list(dict.fromkeys(layout.dataset for layout in held))
    if len(datasets) > 1:
        raise unexpected(folder, " and ".join(datasets), "one data set", "Pass the folder of one of them.")
    return held[0]


def _holds(folder: Path, layout: Layout) -> bool:
    """Whether some name fits; links to files that were not fetched count, so that the reader can say so."""
    return any(next(folder.glob(pattern), None) is not None for pattern in layout.patterns)


def _variable() -> Path | None:
    place = files.places().get(VARIABLE)
    return Path(place) if place else None


def _fetched() -> Path | None:
    try:
        return assets.path("faced")
    except assets.AssetMissingError:
        return None


def _load_saved(path: Path) -> Cohort:
    with path.open("rb") as file:
        start = file.read(4)
    if start[:3] != b"CDF":
        found = f"a file that starts with {start!r}" if start else "an empty file"
        expected = "a cohort written by Cohort.save (netCDF 3), or the folder of a data set"
        raise unexpected(path, found, expected)
    return Cohort.load(path)
