"""The audit's tables, from FACED and from language models on rated texts, stored with the book and checked.

A table is a function of the recordings (None for texts) and the name of a part. `run` computes the parts,
each kept in the cache under a digest of recordings and code, so that an interrupted run goes on where it
stopped, and stores CSV files with a manifest. `load` reads them, refuses what was edited, and computes a part
again where it can.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from joblib import delayed
from threadpoolctl import threadpool_limits

from kernel import assets, checks, files
from kernel.audit.material import Material
from kernel.audit.tables import CREDIT, TABLES
from kernel.brain.faced import read_faced
from kernel.brain.sources import faced_folder
from kernel.threads import side_by_side

#: What a number of a stored table may differ by when it is computed again on another processor: absolute and
#: relative. P-values may differ by more, since permutations may tie differently, but not across .05.
TOLERANCE, P_TOLERANCE = (1e-5, 1e-3), (1e-3, 0.05)
#: The same for accuracies of trained networks: another order of sums is a small change at every step, after
#: which a training ends as with another seed. Over seeds the accuracy has a standard deviation of .004 to
#: .006, of which this is six. Other numbers of trained networks may differ by four standard deviations over
#: the stored rows of their regime.
TRAINED_TOLERANCE, TRAINED_SDS = 0.04, 4.0
_ACCURACIES = ("bacc", "validation", "single", "single_validation", "ensemble", "gain", "difference", "value")
N_PEOPLE = 123
_MANIFEST = "manifest.json"
_FORMAT = "%.6g"  # of numbers in tables


class StoredResultError(ValueError):
    """A stored table is missing, was edited, or does not belong to its manifest."""


class SpotCheckError(RuntimeError):
    """A part of a stored table came out differently when it was computed again."""


# ---- running


def run(
    folder: str | Path | None = None,
    names: Iterable[str] = (),
    *,
    target: str | Path | None = None,
    n_jobs: int = 2,
    client: Any = None,
    progress: bool = True,
) -> Path:
    """Compute tables and store them with their manifest.

    Parameters
    ----------
    folder : path-like, optional
        FACED's official release; by default what `KERNEL_DATA` names, or the asset ``faced``.
    names : iterable of str
        Tables from FACED, or tables of words; all from FACED by default. Other stored tables stay.
    target : path-like, optional
        Where to; by default ``book/results`` of the book around the working directory.
    n_jobs : int
        Processes of one thread each; up to 2 GB each.
    client : dask.distributed.Client, optional
        Its cluster gets the parts instead; workers must see recordings and cache under the same paths.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Path
        The folder of the tables.

    Raises
    ------
    StoredResultError
        If there is no FACED, an asset is missing, a name is unknown or the names are of both kinds, or
        ``axes`` is neither stored nor asked for.
    """
    names = checks.choices("tables", list(names) or _names_of("faced"), TABLES, error=StoredResultError)
    kind, *other = {TABLES[name].source for name in names}
    if other:
        raise StoredResultError(
            "tables from FACED and tables of words cannot be computed in one run: split them"
        )
    source = _faced_of_all(folder) if kind == "faced" else None
    if source is None and (missing := _not_fetched(_assets_of(names))):
        raise StoredResultError(
            f"tables of words need {', '.join(missing)}: "
            f"run `python -m kernel.assets fetch {' '.join(missing)}`"
        )
    target = files.writable_folder(_results_folder(kind) if target is None else target)
    data = _digest_of_assets() if source is None else _digest_of_recordings(source)
    parts: dict[str, list[tuple[pd.DataFrame, dict[str, Any]]]] = {}
    for stage in ([name for name in names if name == "axes"], [name for name in names if name != "axes"]):
        axes = _axes(target) if source and stage and stage != ["axes"] else ""  # the others need the axes
        calls = [(name, part) for name in stage for part in TABLES[name].parts]
        tasks = [delayed(_finished_part)(name, part, source, axes, data) for name, part in calls]
        done = side_by_side(tasks, label="parts of tables", n_jobs=n_jobs, client=client, progress=progress)
        for (name, _), result in zip(calls, done if calls else (), strict=True):
            parts.setdefault(name, []).append(result)
            if len(parts[name]) == len(TABLES[name].parts):
                _store(target, name, parts.pop(name), data)
    return target


def _faced_of_all(folder: str | Path | None) -> Path:
    """A folder of FACED with everybody's features and ratings, by default the one at hand."""
    source = faced_folder() if folder is None else files.absolute(folder)
    if source is None:
        raise StoredResultError(
            "FACED's features are not at hand: set KERNEL_DATA to the folder of the official release, or run "
            "`python -m kernel.assets fetch faced` after reading its terms"
        )
    if not _is_whole(source):
        raise StoredResultError(
            f"{source} does not hold the features and After_remarks of all {N_PEOPLE} people: "
            "stored tables are of everybody"
        )
    return source


def _names_of(source: str) -> list[str]:
    """Names of the tables from ``faced``, or of those of ``words``."""
    return [name for name, table in TABLES.items() if table.source == source]


def _assets_of(names: Iterable[str]) -> list[str]:
    """Assets that these tables of words are computed from."""
    return sorted({asset for name in names for asset in TABLES[name].assets(TABLES[name].parts)})


def _not_fetched(names: Iterable[str]) -> list[str]:
    """Assets that have not been fetched."""
    absent = []
    for name in names:
        try:
            assets.path(name)
        except assets.AssetError:
            absent.append(name)
    return absent


def _digest_of_assets() -> str:
    """SHA-256 over the registered contents of all assets that tables of words are computed from."""
    names = _assets_of(_names_of("words"))
    return files.digest([(name, [(f.path, f.sha256) for f in assets.ASSETS[name].files]) for name in names])


def table_costs(names: Iterable[str] = (), *, folder: str | Path | None = None) -> pd.DataFrame:
    """Parts of tables, all by default, and the hours of one core that they took when stored, NaN if never."""
    names = list(names) or list(TABLES)
    folders = {_results_folder(TABLES[name].source) for name in names} if folder is None else {folder}
    entries = {name: entry for place in folders for name, entry in _entries(files.absolute(place)).items()}
    columns = {
        "parts": [len(TABLES[name].parts) for name in names],
        "hours": [entries.get(name, {}).get("hours", np.nan) for name in names],
    }
    return pd.DataFrame(columns, index=pd.Index(names, name="table"))


def _recordings(source: Path) -> list[Path]:
    """Files of features and ratings."""
    return sorted([*source.rglob("sub*.pkl.pkl"), *source.rglob("After_remarks.mat")])


def _digest_of_recordings(source: Path) -> str:
    """SHA-256 over the names and contents of the features and ratings."""
    hasher = hashlib.sha256()
    for path in _recordings(source):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        hasher.update(f"{path.relative_to(source).as_posix()} {content}\n".encode())
    return hasher.hexdigest()


def _is_whole(source: Path) -> bool:
    """Whether everybody's features and ratings are there."""
    patterns = ("**/sub[0-9][0-9][0-9].pkl.pkl", "After_remarks/*/After_remarks.mat")
    return all(len(list(source.glob(pattern))) == N_PEOPLE for pattern in patterns)


def _finished_part(
    name: str, part: str, source: Path | None, axes: str, data: str
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Rows of a part and how they came about, from the cache if they have been computed before."""
    place = files.cache_dir("audit", f"{_key(name, part, data, axes)}.csv", create=False)
    with files.one_at_a_time(place):
        if not place.is_file():
            files.writable_folder(place.parent)
            start = time.monotonic()
            material = None if source is None else _material(source, axes, data)
            rows = _computed(TABLES[name].compute, part, material)
            origin = {
                "seconds": round(time.monotonic() - start, 1),
                "date": datetime.now(UTC).date().isoformat(),
                "package": files.source_digest(),
                "versions": dict(files.VERSIONS) | {"python": platform.python_version()},
            }
            with files.atomic_path(place) as temporary:
                temporary.write_text(f"{json.dumps(origin)}\n{_as_csv(rows)}", encoding="utf-8")
    first, _, text = place.read_text(encoding="utf-8").partition("\n")
    return _from_csv(text), json.loads(first)


def _key(name: str, part: str, *inputs: Any) -> str:
    """Key of a part: the recordings and what else goes in, the functions of the table and their code."""
    table = TABLES[name]
    named = [_parts_of(function) for function in (table.compute, table.check) if function is not None]
    modules = {kind.partition(":")[0] for kinds in named for kind in kinds if isinstance(kind, str)}
    readers = {read_faced.__module__, Material.__module__} if table.source == "faced" else set()
    code = sorted(module for module in modules | readers if module.startswith("kernel."))
    return files.cache_key(code, "audit", name, part, named, _FORMAT, *inputs)


def _parts_of(function: Callable[..., Any]) -> list[Any]:
    """Module and name of a function; of a partial one those of all functions in it, and its options."""
    if isinstance(function, partial):
        inner = [_parts_of(argument) for argument in (function.func, *function.args)]
        return [*(kind for kinds in inner for kind in kinds), function.keywords]
    return [f"{function.__module__}:{function.__qualname__}"]


@lru_cache(maxsize=1)
def _material(source: Path, axes: str, recordings: str) -> Material:
    """One for all parts that a process computes; `recordings` tells those of today from yesterday's."""
    cohort = read_faced(source, source="de", channels="all", progress=False)
    return Material(cohort, pd.read_csv(io.StringIO(axes), index_col="clip") if axes else None)


def _computed(
    compute: Callable[[Any, str], pd.DataFrame], part: str, material: Material | None
) -> pd.DataFrame:
    """Rows of a part, rounded as they will be stored."""
    with threadpool_limits(1):
        rows = compute(material, part)
    return _from_csv(_as_csv(rows.assign(part=part)))


def _as_csv(rows: pd.DataFrame) -> str:
    return rows.to_csv(index=False, float_format=_FORMAT, lineterminator="\n")


def _from_csv(text: str) -> pd.DataFrame:
    """Columns of numbers as numbers, with NaN where nothing stands; all others, and ``part``, as text."""
    table = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)
    for column in table.columns.drop("part", errors="ignore"):
        numbers = pd.to_numeric(table[column].where(table[column] != ""), errors="coerce")
        if (numbers.notna() == (table[column] != "")).all():
            table[column] = numbers
    return table


def _store(target: Path, name: str, parts: Sequence[tuple[pd.DataFrame, dict[str, Any]]], data: str) -> None:
    """Write one table and enter it into the manifest; runs side by side wait for one another."""
    text = _as_csv(pd.concat([rows for rows, _ in parts], ignore_index=True))
    origins = [origin for _, origin in parts]
    entry: dict[str, Any] = {
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
        "parts": len(parts),
        "hours": round(sum(origin["seconds"] for origin in origins) / 3600, 4),
        "seeds": "constants of the code",
        "date": max(origin["date"] for origin in origins),
        "recordings": data,
        "axes": "" if name == "axes" or TABLES[name].needs else _axes_digest(_entries(target)),
        "packages": sorted({origin["package"] for origin in origins}),
        "versions": origins[-1]["versions"],  # they enter the key of each part: all have the same
    }
    with files.one_at_a_time(target / _MANIFEST):
        manifest = {
            "credit": CREDIT[TABLES[name].source],
            "tables": dict(sorted((_entries(target) | {name: entry}).items())),
        }
        for file, content in {f"{name}.csv": text, _MANIFEST: json.dumps(manifest, indent=1) + "\n"}.items():
            with files.atomic_path(target / file) as temporary:
                temporary.write_text(content, encoding="utf-8")


# ---- reading


def _results_folder(source: str = "faced") -> Path:
    """``book/results/faced``, or ``words``, of the book around the working directory."""
    book = files.book_folder()
    if book is None:
        raise StoredResultError(
            f"no book around {Path.cwd()}: work in a clone of the repository, or pass target="
        )
    return book / "results" / source


def load(name: str, *, folder: str | Path | None = None, check: bool = True) -> pd.DataFrame:
    """A stored table; where what it needs is at hand, after one of its quick parts has been computed again.

    Parameters
    ----------
    name : str
        A key of `TABLES`.
    folder : path-like, optional
        Of the stored tables; by default as for `run`.
    check : bool
        Compute a part again if that is possible: another one each day, by the table's digest and the date.

    Returns
    -------
    DataFrame
        ``attrs["source"]`` says in words where the numbers come from.

    Raises
    ------
    StoredResultError
        If the table is missing or was edited by hand.
    SpotCheckError
        If the part computed again disagrees by more than `TOLERANCE`.
    """
    checks.choice("table", name, TABLES, error=StoredResultError)
    folder = _results_folder(TABLES[name].source) if folder is None else files.absolute(folder)
    entry, path = _manifest_entry(folder, name), folder / f"{name}.csv"
    text = path.read_text(encoding="utf-8")
    if hashlib.sha256(text.encode()).hexdigest() != entry["sha256"]:
        raise StoredResultError(f"{path} was edited after it was computed: run `make results` to mend it")
    stored = _from_csv(text)
    if stored["part"].drop_duplicates().tolist() != list(TABLES[name].parts):
        raise StoredResultError(f"{path} does not hold the parts that it should: run `make results`")
    again = _check_a_part(name, stored, entry, folder) if check else ""
    stored.attrs["source"] = f"{name}: stored run of {entry['date']}{again and f', {again}'}"
    stored.attrs["credit"] = CREDIT[TABLES[name].source]
    return stored


def _check_a_part(name: str, stored: pd.DataFrame, entry: Mapping[str, Any], folder: Path) -> str:
    """Compute the quick part of the day again, unless the same code has; says what it could compare."""
    table = TABLES[name]
    source = faced_folder() if table.source == "faced" else None
    quick = table.parts if table.quick is None else table.quick
    if table.source == "faced":
        quick = quick if source is not None and _is_whole(source) else ()
    else:
        quick = tuple(part for part in quick if not _not_fetched(table.assets([part])))
    if not quick:
        return ""
    part = quick[(int(entry["sha256"], 16) + datetime.now(UTC).toordinal()) % len(quick)]
    if source is None:
        axes, recordings = "", _digest_of_assets()
    else:
        axes = "" if name == "axes" else _axes(folder)
        recordings = files.digest([(str(path), files.state(path)) for path in _recordings(source)])
    key = _key(name, part, "checked", entry["sha256"], recordings, axes)
    place = files.cache_dir("audit", f"{key}.compared", create=False)
    with suppress(OSError, UnicodeDecodeError):
        return place.read_text(encoding="utf-8")
    material = None if source is None else _material(source, axes, recordings)
    again = _computed(table.check or table.compute, part, material)
    expected = whole = stored[stored["part"] == part].reset_index(drop=True)
    if table.check is not None:
        keys = [column for column in again if not pd.api.types.is_float_dtype(again[column])]
        expected = again[keys].astype(whole[keys].dtypes).merge(whole, on=keys, how="left")[list(again)]
    regime = stored[stored["part"].str.split(",").str[0] == part.split(",")[0]]
    _spot_check(name, expected, again, regime if table.trained else None)
    told = _compared(part, whole, again, table.trained)
    with suppress(OSError):  # without a cache it is checked each time
        files.writable_folder(place.parent)
        with files.atomic_path(place) as path:
            path.write_text(told, encoding="utf-8")
    return told


def _compared(part: str, whole: pd.DataFrame, again: pd.DataFrame, trained: bool) -> str:
    """How much of a part was computed again, and what it is equal within."""
    rows = "" if len(again) == len(whole) else f"{len(again)} of {len(whole)} rows of "
    absent = ", ".join(f"{column!r}" for column in whole if column not in again)
    columns = f" without {absent}" if absent else ""
    within = ", as far as two trainings agree" if trained else ""
    return f"{rows}part {part!r}{columns} computed again and equal{within}"


def _spot_check(
    name: str, stored: pd.DataFrame, again: pd.DataFrame, trained: pd.DataFrame | None = None
) -> None:
    """Compare rows of a table with the same computed again; SpotCheckError names the first that differs.

    Of networks, `trained` are the stored rows that tell how far they vary; for others it is None.
    """
    if list(stored) != list(again) or len(stored) != len(again):
        raise SpotCheckError(
            f"{name}: stored are {len(stored)} rows of {list(stored)}, "
            f"computed now {len(again)} of {list(again)}"
        )
    for column in stored:
        old, new = stored[column], again[column]
        differs = (old != new) & ~(old.isna() & new.isna())
        if pd.api.types.is_float_dtype(old) and pd.api.types.is_numeric_dtype(new):
            probability = str(column) == "p" or str(column).startswith("p_")
            absolute, relative = P_TOLERANCE if probability else TOLERANCE
            if trained is not None:
                spread = 0.0 if column in _ACCURACIES else TRAINED_SDS * float(trained[column].std())
                absolute, relative = max(TRAINED_TOLERANCE, spread), 0.0
            far = ~((old - new).abs() <= absolute + relative * old.abs())
            if probability and trained is None:
                far |= (old <= 0.05) != (new <= 0.05)
            differs &= far
        if differs.any():
            row = int(np.flatnonzero(differs)[0])
            raise SpotCheckError(
                f"{name}, part {stored['part'].iloc[row]!r}, {column} of row {row}: stored "
                f"{old.iloc[row]!r}, computed {new.iloc[row]!r}. Either these are other recordings than "
                "those of the stored run, or the code has changed: run `make results`."
            )


def sources(*stored: pd.DataFrame) -> str:
    """Where the numbers of stored tables come from, one line each, under the credit of the data."""
    credits = dict.fromkeys(table.attrs["credit"] for table in stored)
    return "\n".join([*credits, *(table.attrs["source"] for table in stored)])


def _axes(folder: Path) -> str:
    """The stored table of axes as text, which goes into other tables."""
    table = load("axes", folder=folder, check=False).set_index("clip").drop(columns=["emotion", "part"])
    return table.to_csv(float_format=_FORMAT)


def _axes_digest(entries: Mapping[str, Any]) -> str:
    return entries.get("axes", {}).get("sha256", "")


def _manifest_entry(folder: Path, name: str) -> dict[str, Any]:
    """What the manifest says of a table that belongs to it."""
    if not (folder / _MANIFEST).is_file():
        raise StoredResultError(f"no stored results at {folder}: run `make results` with FACED at hand")
    entries = _entries(folder)
    entry = entries.get(name)
    if entry is None or not (folder / f"{name}.csv").is_file():
        raise StoredResultError(f"{folder} holds no table {name!r}: run `make results` with FACED at hand")
    if len({other["recordings"] for other in entries.values()}) > 1:
        raise StoredResultError(f"{folder} holds tables of different recordings: run `make results`")
    if entry["axes"] not in ("", _axes_digest(entries)):
        raise StoredResultError(
            f"table {name!r} was computed with other axes than those stored: run `make results`"
        )
    return entry


def _entries(folder: Path) -> dict[str, Any]:
    """The manifest's entries by table; none where there is no manifest."""
    path = folder / _MANIFEST
    try:
        entries: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["tables"]
        needed = {"sha256", "date", "recordings", "axes"}
        if lacking := [name for name, entry in entries.items() if not needed <= set(entry)]:
            raise ValueError(f"entries {lacking} lack digests or a date")
        return entries
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise StoredResultError(
            f"{path} is no manifest of stored results ({error}): run `make results`"
        ) from error
