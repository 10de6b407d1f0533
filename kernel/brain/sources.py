"""One door to every cohort: a folder of a data set, a saved cohort, or a simulation.

What is read says what it is by its ``label``: a simulation is never passed off as data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from pathlib import Path

from kernel import assets, files
from kernel.brain import emoeegmc, faced, seedv
from kernel.brain.cohort import Cohort
from kernel.brain.readers import nothing_known, unexpected
from kernel.brain.simulate import simulate_cohort

VARIABLE = "KERNEL_DATA"
#: A file of this name says that the files beside it were generated: what is read is labelled as simulated.
GENERATED = "GENERATED.txt"
#: Reader of each data set, the files of each copy that a folder holds, and what these are called.
_DATASETS: dict[str, tuple[Callable[..., Cohort], Callable[[Path], Mapping[str, object]], str]] = {
    "FACED": (faced.read_faced, faced.copies, faced.FILES),
    "SEED-V": (seedv.read_seed_v, seedv.copies, seedv.FILES),
    "EmoEEG-MC": (emoeegmc.read_emoeeg_mc, emoeegmc.copies, emoeegmc.FILES),
}


def load_cohort(
    path: str | PathLike[str] | None = None, *, skip: Sequence[str] = (), progress: bool = True
) -> Cohort:
    """Read whatever cohort is at hand, or simulate one if there is none; its ``label`` says which.

    Parameters
    ----------
    path : path-like, optional
        A folder of FACED (any copy), SEED-V or EmoEEG-MC, or a file written by :meth:`Cohort.save`. A folder
        with a file ``GENERATED.txt`` gives a cohort that counts as simulated.
        Without a path the environment variable ``KERNEL_DATA`` counts; if that is unset or empty too, FACED
        where it was fetched whole with ``python -m kernel.assets fetch faced``; else the cohort is simulated.
        Readers and :func:`~kernel.brain.simulate.simulate_cohort` run with their defaults.
    skip : sequence of str
        Data sets, such as ``"FACED"``, whose recordings are passed over where no path asks for them: the
        cohort is then simulated. It keeps analyses whose published results are of a simulation what they are
        on a machine that holds recordings, while a data set of a reader's own is still read.
    progress : bool
        Show a reader's progress bar.

    Raises
    ------
    EEGFileError
        If there is nothing at the path, or nothing that is known, or more than one data set; and whatever the
        chosen reader raises, such as the ValueError of :meth:`Cohort.load`.
    """
    if isinstance(skip, str) or not set(skip) <= set(_DATASETS):
        raise ValueError(f"skip must be a sequence of {', '.join(sorted(_DATASETS))}, got {skip!r}")
    passed_over = set(skip) if path is None else set()
    where = _named_folder() or _fetched() if path is None else files.absolute(path)
    if where is not None and not where.exists():
        cure = f"The path came from the environment variable {VARIABLE}: correct or unset it."
        raise unexpected(where, "nothing", "a folder or a file", cure if path is None else "")
    if where is not None and where.is_dir():
        dataset, generated = _recognise(where), (where / GENERATED).is_file()
        if generated or dataset not in passed_over:
            cohort = _DATASETS[dataset][0](where, progress=progress)
            provenance = f"simulated: generated files, {cohort.data.attrs['provenance']}"
            marks = {"simulated": 1, "provenance": provenance} if generated else {}
            return Cohort(cohort.data.assign_attrs(marks))
    elif where is not None:
        cohort = Cohort.load(where)
        if cohort.simulated or cohort.data.attrs["dataset"] not in passed_over:
            return cohort
    return simulate_cohort()[0]


def faced_folder() -> Path | None:
    """Folder of FACED's released features, for :func:`~kernel.brain.faced.read_faced`; None if not at hand.

    It is what ``KERNEL_DATA`` names if that holds these files and they were not generated, else what was
    fetched with ``python -m kernel.assets fetch faced``.
    """
    folder = _named_folder()
    if folder is None or not folder.is_dir() or (folder / GENERATED).is_file():
        return _fetched()
    return folder if faced.copies(folder)["de"] else _fetched()


def _recognise(folder: str | PathLike[str]) -> str:
    """Which data set a folder holds, by the names of its files alone; EEGFileError for none or several.

    Links to files that were not fetched count, so that the reader can say so.
    """
    folder = files.absolute(folder)
    held = [dataset for dataset, (_, copies, _) in _DATASETS.items() if any(copies(folder).values())]
    if not held:
        known = [f"{dataset}: {names}" for dataset, (_, _, names) in _DATASETS.items()]
        raise nothing_known(folder, "one of " + "; ".join([*known, "or a file written by Cohort.save"]))
    if len(held) > 1:
        raise unexpected(folder, " and ".join(held), "one data set", "Pass the folder of one of them.")
    return held[0]


def _named_folder() -> Path | None:
    place = files.places().get(VARIABLE)
    return Path(place) if place else None


def _fetched() -> Path | None:
    try:
        return assets.path("faced")
    except assets.AssetMissingError:
        return None
