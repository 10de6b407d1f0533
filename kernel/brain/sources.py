"""One door to every cohort: a folder of a data set, a saved cohort, or a simulation.

In:  a path, or the environment variable KERNEL_DATA, or neither.
Out: a :class:`~kernel.brain.cohort.Cohort`, whose ``label`` and ``provenance`` say what it is.
Never: tries reader after reader, hides what a reader complains about, writes or fetches, or passes a
       simulation off as data.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np

from kernel.brain.cohort import Cohort
from kernel.brain.emoeegmc import read_emoeeg_mc
from kernel.brain.faced import read_faced
from kernel.brain.pickles import unexpected
from kernel.brain.seedv import read_seed_v
from kernel.brain.simulate import Settings, simulate_cohort

VARIABLE = "KERNEL_DATA"
#: A file of this name says that the files beside it were generated: what is read is labelled as simulated.
GENERATED = "GENERATED.txt"


@dataclass(frozen=True)
class Layout:
    """Where a data set keeps the files its reader takes.

    Attributes
    ----------
    dataset, what : str
        The data set, and which copy of it this is.
    patterns : tuple of str
        Globs below the folder, the most usual place first; any match will do.
    read : callable
        ``read(path, progress=...)`` gives the cohort.
    """

    dataset: str
    what: str
    patterns: tuple[str, ...]
    read: Callable[..., Cohort]


_BDF = "sub-[0-9][0-9][0-9]/eeg/sub-*_task-watchingVideoClips_*"
_NUMBER = "sub[0-9][0-9][0-9]"
_DE = "sub-*/ses-vid/eeg/sub-*_ses-vid_task-emotion_de.npy"

LAYOUTS = (
    Layout(
        "FACED",
        "features of the official release",
        tuple(f"{place}{_NUMBER}.pkl.pkl" for place in ("EEG_Features/DE/", "DE/", "")),
        read_faced,
    ),
    Layout(
        "FACED",
        "signals of the official release",
        tuple(f"{place}{_NUMBER}.pkl" for place in ("Processed_data/", "")),
        read_faced,
    ),
    Layout("FACED", "BIDS copy", (_BDF, f"*/{_BDF}"), read_faced),
    Layout("SEED-V", "features", ("EEG_DE_features/[0-9]*_123.npz", "[0-9]*_123.npz"), read_seed_v),
    Layout(
        "SEED-V", "recordings", ("EEG_raw/[0-9]*_[123]_[0-9]*.cnt", "[0-9]*_[123]_[0-9]*.cnt"), read_seed_v
    ),
    Layout("EmoEEG-MC", "features", (f"derivatives/{_DE}", _DE), read_emoeeg_mc),
)
"""Every folder that :func:`load_cohort` knows."""


def load_cohort(
    path: str | PathLike[str] | None = None,
    *,
    preset: str | Settings = "default",
    random_state: int | np.random.Generator | None = 0,
    n_subjects: int = 123,
    window: float = 1.0,
    progress: bool = True,
) -> Cohort:
    """Read whatever cohort lies at a path, or simulate one if there is no path.

    Parameters
    ----------
    path : path-like, optional
        A folder of FACED (any copy), SEED-V or EmoEEG-MC as :data:`LAYOUTS` lists them, or a file written by
        :meth:`Cohort.save`. A folder with a file ``GENERATED.txt`` gives a cohort that counts as simulated.
        Without a path the environment variable ``KERNEL_DATA`` counts; if that is unset or
        empty too, the cohort is simulated. Each reader runs with its defaults: call it by itself for others.
    preset, random_state, n_subjects, window
        Of the simulation, as for :func:`~kernel.brain.simulate.simulate_cohort`; files are read as they are.
    progress : bool
        Show a reader's progress bar.

    Returns
    -------
    Cohort
        Ask its ``simulated`` flag, or print its ``label``.

    Raises
    ------
    EEGFileError
        If there is nothing at the path, or nothing that is known, or more than one data set.
    Exception
        Whatever the chosen reader raises, as it raises it.
    """
    given = os.environ.get(VARIABLE, "") if path is None else path
    if given == "":
        cohort, _ = simulate_cohort(random_state, preset, n_subjects=n_subjects, window=window)
        return cohort
    where = Path(given).expanduser().absolute()  # an error about a relative path then says from where
    if not where.exists():
        cure = f"The path came from the environment variable {VARIABLE}: correct or unset it."
        raise unexpected(
            where, found="nothing", expected="a folder or a file", cure=cure if path is None else ""
        )
    if where.is_dir():
        cohort = recognise(where).read(where, progress=progress)
        return _labelled_as_simulated(cohort) if (where / GENERATED).is_file() else cohort
    _check_saved(where)
    return Cohort.load(where)


def _labelled_as_simulated(cohort: Cohort) -> Cohort:
    provenance = f"simulated: generated files, {cohort.data.attrs['provenance']}"
    return Cohort(cohort.data.assign_attrs(simulated=1, provenance=provenance))


def recognise(folder: str | PathLike[str]) -> Layout:
    """Which data set a folder holds, by the names of its files alone.

    Parameters
    ----------
    folder : path-like
        An existing folder.

    Returns
    -------
    Layout
        Of several copies of one data set the first of :data:`LAYOUTS`: its reader chooses among them.

    Raises
    ------
    EEGFileError
        If the folder holds none of the data sets, or several.
    """
    folder = Path(folder)
    held = [layout for layout in LAYOUTS if any(_matches(folder, pattern) for pattern in layout.patterns)]
    if not held:
        entries = sorted(entry.name for entry in folder.iterdir())
        shown = f"{entries[:5]}{' and more' if len(entries) > 5 else ''}" if entries else "an empty folder"
        raise unexpected(folder, found=shown, expected=_known())
    datasets = list(dict.fromkeys(layout.dataset for layout in held))
    if len(datasets) > 1:
        raise unexpected(
            folder,
            found=" and ".join(datasets),
            expected="one data set",
            cure="Pass the folder of one of them.",
        )
    return held[0]


def _matches(folder: Path, pattern: str) -> bool:
    """Whether some name fits; links to files that were not fetched count, so that the reader can say so."""
    return next(folder.glob(pattern), None) is not None


def _known() -> str:
    layouts = [f"{layout.dataset}, {layout.what}: {layout.patterns[0]}" for layout in LAYOUTS]
    return "one of " + "; ".join([*layouts, "or a file written by Cohort.save"])


def _check_saved(path: Path) -> None:
    with path.open("rb") as file:
        start = file.read(4)
    if start[:3] != b"CDF":
        found = f"a file that starts with {start!r}" if start else "an empty file"
        raise unexpected(
            path,
            found=found,
            expected="a cohort written by Cohort.save (netCDF 3), or the folder of a data set",
        )
