"""Make the table of FACED's cohort means that the package ships, from the official release.

python book/studies/make_faced_table.py FOLDER_OF_FACED TARGET.nc
"""

from __future__ import annotations

import hashlib
import sys
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from kernel import files  # noqa: E402
from kernel.brain.cohort import Cohort, standardise, trial_features  # noqa: E402
from kernel.brain.faced import read_faced  # noqa: E402
from kernel.brain.faced_table import PEOPLE, table_digest  # noqa: E402

_ABOUT = {
    "title": "FACED: means over people of differential entropies per clip, channel and band",
    "credit": (
        "Chen et al. (2023), A large finer-grained affective computing EEG dataset, Scientific Data 10, 740, "
        "doi:10.1038/s41597-023-02650-w; open copy of the raw data and ratings: NEMAR nm000112, "
        "doi:10.82901/nemar.nm000112; primary source: Synapse syn50614194, doi:10.7303/syn50614194"
    ),
    "licence": (
        "Figures computed from FACED, no person's data. NEMAR states CC-BY-4.0 for the raw data and ratings "
        "of the release; the copy of the features that was read states no licence of its own."
    ),
    "method": (
        "raw: mean over the seconds of a clip per person, nats; z: the same once every channel and band of a "
        "person was z-scored over that person's own clips and seconds. mean and sd (n - 1) are over people: "
        "all, odd and even subject numbers, recording cohorts 1 (0-60) and 2 (61-122)."
    ),
}


def faced_table(cohort: Cohort) -> xr.Dataset:
    """What :func:`kernel.load_faced_table` reads, of a cohort in nats with every trial present."""
    if cohort.data.attrs["unit"] != "nats" or not cohort.present.all():
        missing = int((~cohort.present).sum())
        found = f"unit {cohort.data.attrs['unit']!r} and {missing} missing trials"
        raise ValueError(f"the table is made of every trial in nats, got {found}: pass the cohort as read")
    odd = cohort.subjects % 2 == 1
    hardware = [cohort.hardware == name for name in PEOPLE[3:]]
    masks = dict(zip(PEOPLE, [odd | True, odd, ~odd, *hardware], strict=True))
    small = {name: int(mask.sum()) for name, mask in masks.items() if mask.sum() < 2}
    if small:
        raise ValueError(f"a standard deviation needs two people, got {small}: pass the whole of FACED")
    axes = ("people", "clip", "channel", "band")
    variables: dict[str, Any] = {"n": ("people", np.array([mask.sum() for mask in masks.values()], np.int32))}
    for kind, features in {"raw": trial_features(cohort), "z": trial_features(standardise(cohort))}.items():
        parts = [features[mask] for mask in masks.values()]
        means, deviations = [part.mean(0) for part in parts], [part.std(0, ddof=1) for part in parts]
        variables[f"{kind}_mean"] = (axes, np.array(means, np.float32))
        variables[f"{kind}_sd"] = (axes, np.array(deviations, np.float32))
    names = ("clip", "channel", "band", "low", "high", "emotion")
    places = {name: cohort.data[name].variable for name in names}
    table = xr.Dataset(variables, places | {"people": list(PEOPLE), "film": ("clip", cohort.films)})
    about = {"simulated": int(cohort.simulated), "source": cohort.data.attrs["provenance"]}
    return table.assign_attrs(_ABOUT | about)


def write_faced_table(path_to_faced: str | PathLike[str], target: str | PathLike[str]) -> Path:
    """Make the table from the folder of the official release and write it as netCDF 3, whole or not at all.

    Its attribute ``source_sha256`` is the SHA-256 of the lines ``<SHA-256 of a file>  <its name>`` of all
    files of features, sorted by name.
    """
    target, folder = files.absolute(target), files.absolute(path_to_faced) / "EEG_Features" / "DE"
    files.writable_folder(target.parent)
    table = faced_table(read_faced(folder, channels="all", progress=False))
    features = sorted(folder.glob("sub*.pkl.pkl"))
    lines = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in features]
    source = hashlib.sha256("".join(lines).encode()).hexdigest()
    table = table.assign_attrs(source_sha256=source, sha256=table_digest(table))
    with files.atomic_path(target) as part:
        table.to_netcdf(part, engine="scipy")
    return target


if __name__ == "__main__":
    print(write_faced_table(*sys.argv[1:]))
