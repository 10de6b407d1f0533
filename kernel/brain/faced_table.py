"""Cohort means of FACED: what 123 people's differential entropies give together, and nobody's own.

`book/studies/make_faced_table.py` makes the table that is read here.
"""

from __future__ import annotations

import io
from importlib import resources
from os import PathLike

import xarray as xr

from kernel import files

PEOPLE = ("all", "odd", "even", "cohort 1", "cohort 2")
_TEXT = ("people", "emotion", "film", "channel", "band")


def load_faced_table(path: str | PathLike[str] | None = None) -> xr.Dataset:
    """Means and standard deviations over people of every clip's differential entropy in FACED.

    Variables ``raw_mean``, ``raw_sd`` (nats), ``z_mean`` and ``z_sd`` (a person's own standard deviations)
    over (people, clip, channel, band), and ``n`` (people). People are `PEOPLE`: all, odd and even subject
    numbers, both recording cohorts. Attributes say what was computed, from what, and whom to credit.

    By default the table shipped with the package is read. ValueError if the file is damaged: its numbers are
    compared with the digest they were written with.
    """
    place = resources.files("kernel") / "data" / "faced_table.nc" if path is None else files.absolute(path)
    try:
        table = xr.load_dataset(io.BytesIO(place.read_bytes()), engine="scipy")
        table = table.assign_coords({name: table[name].astype(str) for name in _TEXT})
        intact = table.attrs["sha256"] == table_digest(table)
    except FileNotFoundError:
        raise
    except Exception as error:  # xarray and scipy raise many kinds for a damaged file
        raise ValueError(f"{place} is no readable table ({error}): install or write it again") from error
    if not intact:
        raise ValueError(f"{place} differs from what was written: install or write it again")
    return table


def table_digest(table: xr.Dataset) -> str:
    """Digest of all numbers and names."""
    parts = {name: table[name].values for name in sorted(map(str, table.variables))}
    texts = {name: part.tolist() if part.dtype.kind in "UO" else part for name, part in parts.items()}
    return files.digest(texts)
