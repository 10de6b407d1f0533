"""The audit of real EEG: tables from FACED, stored with the book, checked where FACED is at hand.

In:  FACED's features and ratings (`KERNEL_DATA`, or the asset ``faced``); the tables of
     ``book/results/faced``.
Out: tidy tables as CSV files with a manifest that says from what, when and with what they were computed; the
     same tables for a chapter, after a part of each has been computed again where that is possible.
Never: changes a recording, serves a table that was edited by hand, or hides that a result is a stored one.

A table is computed in parts. A finished part is kept in the cache under a digest of the recordings and of the
code that computes it, so that an interrupted run goes on where it stopped and gives the same tables.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from joblib import delayed
from threadpoolctl import threadpool_limits

from kernel import files
from kernel.brain import calibration, components, specifications, within_clip
from kernel.brain.cohort import FACED_CLASSES, FACED_CLIP_EMOTIONS
from kernel.brain.faced import read_faced
from kernel.brain.material import Material
from kernel.brain.sources import faced_folder
from kernel.brain.specifications import MAP_AXES, WHOLE
from kernel.decoding import simulated, smoothing, stimuli, trained
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
CREDIT = "Computed from FACED: Chen et al. (2023), Scientific Data 10:740, doi:10.1038/s41597-023-02650-w"
N_PEOPLE = 123
#: What decides the numbers: parts of the package, and libraries.
_CODE = ("arrays", "brain", "decoding", "language", "ratings", "stats")
_LIBRARIES = ("numpy", "scipy", "scikit-learn", "torch", "pandas", "xarray")
_MANIFEST = "manifest.json"


class StoredResultError(ValueError):
    """A stored table is missing, was edited, or does not belong to its manifest."""


class SpotCheckError(RuntimeError):
    """A part of a stored table came out differently when it was computed again."""


@dataclass(frozen=True)
class Table:
    """A table of the audit.

    Attributes
    ----------
    compute : callable
        ``compute(material, part)`` gives the rows of one part.
    parts : tuple of str
        All parts, in the order of the stored rows.
    quick : tuple of str, optional
        Parts that take seconds: one of them is computed again when a chapter reads the table. By default all.
    check : callable, optional
        ``check(material, part)`` gives some rows of a part, where all of them would take long.
    trained : bool
        Whether numbers come from trained networks: see `TRAINED_TOLERANCE`.
    """

    compute: Callable[[Material, str], pd.DataFrame]
    parts: tuple[str, ...]
    quick: tuple[str, ...] | None = None
    check: Callable[[Material, str], pd.DataFrame] | None = None
    trained: bool = False


def axes_of_clips(material: Material, part: str) -> pd.DataFrame:
    """Positions of the 28 clips on the axes that the audit asks about; `part` is not used.

    Two language models' axes, mean valence ratings of emotions and of clips, the code -1, 0, +1, and the axis
    recovered from the paper's printed figures.
    """
    from kernel.brain.faced_table import load_faced_table
    from kernel.brain.reconstruction import recover_axis
    from kernel.language.stories import VALENCE_CODE
    from kernel.language.study import axis_positions
    from kernel.ratings import load_ratings

    emotions = pd.Series(FACED_CLIP_EMOTIONS, index=range(1, len(FACED_CLIP_EMOTIONS) + 1))
    valence = load_ratings()["valence_mean"]
    means = load_faced_table()["raw_mean"].sel(people="all")
    models = {"language model": "SmolLM2-135M-Instruct", "second model": "Gemma-3-270M"}
    return pd.DataFrame(
        {
            "clip": emotions.index,
            "emotion": emotions.to_numpy(),
            **{
                name: emotions.map(axis_positions(model, FACED_CLASSES)).to_numpy()
                for name, model in models.items()
            },
            "class ratings": valence.groupby(emotions).transform("mean").to_numpy(),
            "clip ratings": valence.to_numpy(),
            "sign code": emotions.map(VALENCE_CODE).to_numpy(dtype=float),
            "recovered": recover_axis(
                means.values,
                means["channel"].values.tolist(),
                means["band"].values.tolist(),
                emotions.to_numpy(),
            ).axis,
        }
    )


def _simulated_tests(material: Material, part: str) -> pd.DataFrame:
    """Of the 20 cohorts of a part of `faced_calibration`: how many each test rejects, and its mean value."""
    table = calibration.faced_calibration(part).assign(cohorts=1)
    table["rejected"] = table["p"] <= 0.05 + 1e-12
    by_test = table.groupby(["truth", "estimator", "null"], sort=False)
    return by_test.agg({"cohorts": "sum", "rejected": "sum", "value": "mean"}).reset_index()


def simulator_check(material: Material, part: str) -> pd.DataFrame:
    """The real cohort beside a simulated one of its sizes: `profile`, and how well clips are identified."""
    simulated, _ = components.simulate_components(0)
    columns = {}
    for name, cohort in {"real": material.scalp, "simulated": simulated}.items():
        identified = stimuli.identification(Material(cohort), "correlation")["accuracy"].mean()
        columns[name] = pd.concat(
            [components.profile(cohort), pd.Series({"clips identified, of 28": identified})]
        )
    return pd.DataFrame(columns).rename_axis("quantity").reset_index()


def _power_of_axes(material: Material, part: str) -> pd.DataFrame:
    """`axis_power` for the axes that have one position for each emotion."""
    names = ["class ratings", "language model", "second model"]
    return calibration.axis_power(part, {name: np.array(material.axes[name], dtype=float) for name in names})


# Running


def run(
    folder: str | Path | None = None,
    names: Iterable[str] = (),
    *,
    target: str | Path | None = None,
    n_jobs: int = 2,
    client: Any = None,
    progress: bool = True,
) -> Path:
    """Compute tables from FACED and store them with their manifest.

    Parameters
    ----------
    folder : path-like, optional
        FACED's official release; by default what `KERNEL_DATA` names, or the asset ``faced``.
    names : iterable of str
        Tables; all by default. Other stored tables stay as they are.
    target : path-like, optional
        Where to; by default ``book/results/faced`` of the book around the working directory.
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
        If there is no FACED, a name is unknown, or ``axes`` is neither stored nor asked for.
    """
    source = _source(folder)
    if not _is_whole(source):
        raise StoredResultError(
            f"{source} does not hold the features and After_remarks of all {N_PEOPLE} people: "
            "stored tables are of everybody"
        )
    target = results_folder() if target is None else Path(target).expanduser().absolute()
    names = list(names) or list(TABLES)
    if unknown := sorted(set(names) - set(TABLES)):
        raise StoredResultError(f"no table {unknown}: choose from {', '.join(TABLES)}")
    data = _digest_of_recordings(source)
    for stage in (["axes"], [name for name in TABLES if name != "axes"]):  # the others need the axes
        chosen = [name for name in stage if name in names]
        axes = _axes(target) if chosen and stage != ["axes"] else None
        calls = [(name, part) for name in chosen for part in TABLES[name].parts]
        done = side_by_side(
            [delayed(_finished_part)(name, part, source, axes, data) for name, part in calls],
            n_jobs=n_jobs,
            label="parts of tables from FACED",
            progress=progress and bool(calls),
            client=client,
        )
        parts: dict[str, list[tuple[pd.DataFrame, dict[str, Any]]]] = {}
        for (name, _), result in zip(calls, done, strict=True):
            parts.setdefault(name, []).append(result)
            if len(parts[name]) == len(TABLES[name].parts):
                _store(target, name, parts.pop(name), data)
    return target


def plan(names: Iterable[str] = (), *, folder: str | Path | None = None) -> pd.DataFrame:
    """Parts of tables, and the hours of one core that they took when they were stored (missing if never).

    Parameters
    ----------
    names : iterable of str
        Tables; all by default.
    folder : path-like, optional
        Of stored tables; `results_folder` by default.
    """
    folder = results_folder() if folder is None else Path(folder)
    entries = _manifest(folder)["tables"] if (folder / _MANIFEST).is_file() else {}
    rows = [
        {"table": name, "parts": len(TABLES[name].parts), "hours": entries.get(name, {}).get("hours", np.nan)}
        for name in (list(names) or TABLES)
    ]
    return pd.DataFrame(rows).set_index("table")


def _source(folder: str | Path | None) -> Path:
    source = faced_folder() if folder is None else Path(folder).expanduser().absolute()
    if source is None:
        raise StoredResultError(
            "FACED's features are not at hand: set KERNEL_DATA to the folder of the official release, or run "
            "`python -m kernel.assets fetch faced` after reading its terms"
        )
    return source


def _recordings(source: Path) -> list[Path]:
    """Files of features and ratings."""
    return sorted([*source.rglob("sub*.pkl.pkl"), *source.rglob("After_remarks.mat")])


def _state_of_recordings(source: Path) -> list[str]:
    """Names, sizes and times of the files, which change where a file does."""
    states = [(path, path.stat()) for path in _recordings(source)]
    return [f"{path} {state.st_size} {state.st_mtime_ns}" for path, state in states]


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
    name: str, part: str, source: Path, axes: pd.DataFrame | None, data: str
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Rows of a part and how they came about, from the cache if they have been computed before."""
    positions, versions = _positions(axes), _versions()
    key = files.digest(name, part, data, positions, *_code())
    place = files.cache_dir("audit") / f"{key}.csv"
    with files.one_at_a_time(place):
        if not place.is_file():
            start = time.monotonic()
            rows = _computed(name, part, _material(source, positions))
            origin = {
                "seconds": round(time.monotonic() - start, 1),
                "date": datetime.now(UTC).date().isoformat(),
                "package": files.source_digest(),
                "versions": versions,
            }
            with files.atomic_path(place) as temporary:
                temporary.write_text(f"{json.dumps(origin)}\n{_as_csv(rows)}", encoding="utf-8")
    first, _, text = place.read_text(encoding="utf-8").partition("\n")
    return _from_csv(text), json.loads(first)


def _code() -> tuple[str, dict[str, str]]:
    """What decides numbers besides the recordings."""
    return files.source_digest(*_CODE), _versions()


def _versions() -> dict[str, str]:
    return {name: version(name) for name in _LIBRARIES} | {"python": platform.python_version()}


@lru_cache(maxsize=1)
def _material(source: Path, positions: str) -> Material:
    """One for all parts that a process computes; `positions` is what `_positions` gives."""
    cohort = read_faced(source, source="de", channels="all", progress=False)
    return Material(cohort, pd.read_csv(io.StringIO(positions), index_col="clip") if positions else None)


def _positions(axes: pd.DataFrame | None) -> str:
    """The table of axes as text, or nothing where there is none."""
    return "" if axes is None else axes.to_csv(float_format="%.6g")


def _computed(name: str, part: str, material: Material, *, checking: bool = False) -> pd.DataFrame:
    table = TABLES[name]
    compute = table.check if checking and table.check is not None else table.compute
    with threadpool_limits(1):
        rows = compute(material, part)
    return _from_csv(_as_csv(rows.assign(part=part)))  # rounded as it will be stored


def _as_csv(rows: pd.DataFrame) -> str:
    return rows.to_csv(index=False, float_format="%.6g", lineterminator="\n")


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
        "axes": "" if name == "axes" else _axes_digest(target),
        "packages": sorted({origin["package"] for origin in origins}),
        "versions": origins[-1]["versions"],  # they enter the key of each part: all have the same
    }
    target.mkdir(parents=True, exist_ok=True)
    with files.one_at_a_time(target / _MANIFEST):
        entries = _manifest(target)["tables"] if (target / _MANIFEST).is_file() else {}
        manifest = {"credit": CREDIT, "tables": dict(sorted((entries | {name: entry}).items()))}
        with files.atomic_path(target / f"{name}.csv") as temporary:
            temporary.write_text(text, encoding="utf-8")
        with files.atomic_path(target / _MANIFEST) as temporary:
            temporary.write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")


def _axes_digest(folder: Path) -> str:
    entries = _manifest(folder)["tables"] if (folder / _MANIFEST).is_file() else {}
    return entries.get("axes", {}).get("sha256", "")


# Reading


def results_folder() -> Path:
    """``book/results/faced`` of the book around the working directory."""
    book = files.book_folder()
    if book is None:
        raise StoredResultError(
            f"no book around {Path.cwd()}: work in a clone of the repository, or pass target="
        )
    return book / "results" / "faced"


def load(name: str, *, folder: str | Path | None = None, check: bool = True) -> pd.DataFrame:
    """A stored table; where FACED is at hand, after one of its quick parts has been computed again.

    Parameters
    ----------
    name : str
        A key of `TABLES`.
    folder : path-like, optional
        Of the stored tables; `results_folder` by default.
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
    folder = results_folder() if folder is None else Path(folder)
    entry = _entry(folder, name)
    text = (folder / f"{name}.csv").read_text(encoding="utf-8")
    if hashlib.sha256(text.encode()).hexdigest() != entry["sha256"]:
        raise StoredResultError(
            f"{folder / name}.csv was edited after it was computed: run `make results` to mend it"
        )
    stored = _from_csv(text)
    if stored["part"].drop_duplicates().tolist() != list(TABLES[name].parts):
        raise StoredResultError(
            f"{folder / name}.csv does not hold the parts that it should: run `make results`"
        )
    source, table = faced_folder(), TABLES[name]
    quick = table.parts if table.quick is None else table.quick
    note = f"{name}: stored run of {entry['date']}"
    if check and quick and source is not None and _is_whole(source):
        part = quick[(int(entry["sha256"], 16) + datetime.now(UTC).toordinal()) % len(quick)]
        axes = None if name == "axes" else _axes(folder)
        material = _material(source, _positions(axes))
        expected = stored[stored["part"] == part].reset_index(drop=True)
        checked = files.digest("checked", name, part, entry["sha256"], _state_of_recordings(source), *_code())
        place = files.cache_dir("audit") / f"{checked}.checked"
        if not place.is_file():  # the same code has come to the same rows from the same recordings before
            again = _computed(name, part, material, checking=True)
            if table.check is not None:
                keys = [column for column in again if not pd.api.types.is_float_dtype(again[column])]
                expected = again[keys].merge(expected, on=keys, how="left")[list(again)]
            alike = stored[stored["part"].str.split(",").str[0] == part.split(",")[0]]
            spot_check(name, expected, again, alike if table.trained else None)
            place.touch()
        note += f", part {part!r} computed again and equal"
    stored.attrs["source"] = note
    return stored


def spot_check(
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
        if pd.api.types.is_float_dtype(old) and pd.api.types.is_numeric_dtype(new):
            probability = str(column) == "p" or str(column).startswith("p_")
            absolute, relative = P_TOLERANCE if probability else TOLERANCE
            if trained is not None:
                spread = 0.0 if column in _ACCURACIES else TRAINED_SDS * float(trained[column].std())
                absolute, relative = max(TRAINED_TOLERANCE, spread), 0.0
            near = (old - new).abs() <= absolute + relative * old.abs()
            if probability and trained is None:
                near &= (old <= 0.05) == (new <= 0.05)
            differs = ~near & ~(old.isna() & new.isna())
        else:
            differs = (old != new) & ~(old.isna() & new.isna())
        if differs.any():
            row = int(np.flatnonzero(differs)[0])
            raise SpotCheckError(
                f"{name}, part {stored['part'].iloc[row]!r}, {column} of row {row}: stored "
                f"{old.iloc[row]!r}, computed {new.iloc[row]!r}. Either these are other recordings than "
                "those of the stored run, or the code has changed: run `make results`."
            )


def sources(*stored: pd.DataFrame) -> str:
    """Where the numbers of stored tables come from, one line each, under the credit of the data."""
    return "\n".join([CREDIT, *(table.attrs["source"] for table in stored)])


def _axes(folder: Path) -> pd.DataFrame:
    return load("axes", folder=folder, check=False).set_index("clip").drop(columns=["emotion", "part"])


def _entry(folder: Path, name: str) -> dict[str, Any]:
    if name not in TABLES:
        raise StoredResultError(f"no table {name!r}: choose from {', '.join(TABLES)}")
    entries = _manifest(folder)["tables"]
    entry = entries.get(name)
    if entry is None or not (folder / f"{name}.csv").is_file():
        raise StoredResultError(f"{folder} holds no table {name!r}: run `make results` with FACED at hand")
    if len({other["recordings"] for other in entries.values()}) > 1:
        raise StoredResultError(f"{folder} holds tables of different recordings: run `make results`")
    if entry["axes"] not in ("", _axes_digest(folder)):
        raise StoredResultError(
            f"table {name!r} was computed with other axes than those stored: run `make results`"
        )
    return entry


def _manifest(folder: Path) -> dict[str, Any]:
    path = folder / _MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        asked = {"sha256", "date", "recordings", "axes"}
        if lacking := [name for name, entry in manifest["tables"].items() if not asked <= set(entry)]:
            raise ValueError(f"entries {lacking} lack digests or a date")
        return manifest
    except FileNotFoundError:
        raise StoredResultError(
            f"no stored results at {folder}: run `make results` with FACED at hand"
        ) from None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise StoredResultError(
            f"{path} is no manifest of stored results ({error}): run `make results`"
        ) from error


# The tables

_TRUTHS = tuple(f"{preset} 0" for preset in simulated.PRESETS)


def _networks(
    compute: Callable[..., pd.DataFrame],
    parts: Sequence[str],
    quick: Sequence[str] | None = None,
    **check: Any,
) -> Table:
    """A table of trained networks; `check` are options of `compute` that leave a few trainings of a part."""
    quick = parts[:1] if quick is None else quick
    some = partial(compute, **check) if check else None
    return Table(compute, tuple(parts), tuple(quick), some, trained=True)


def _control(compute: Callable[..., pd.DataFrame], parts: Iterable[str], *truths: str, **check: Any) -> Table:
    """The same of simulated cohorts; without `truths` the parts name them."""
    own = simulated.parts_of(parts, *truths) if truths else tuple(parts)
    return _networks(partial(simulated.on_simulated, compute), own, **check)


TABLES: Mapping[str, Table] = {
    "axes": Table(axes_of_clips, WHOLE, quick=()),
    "variance": Table(components.variance, WHOLE),
    "simulator_check": Table(simulator_check, WHOLE),
    "calibration": Table(_simulated_tests, calibration.FACED_CALIBRATION_PARTS, quick=()),
    "power_of_axes": Table(_power_of_axes, calibration.FACED_CALIBRATION_PARTS, quick=()),
    "reliability": Table(specifications.reliability, WHOLE),
    "tests_of_projection": Table(specifications.tests_of_projection, specifications.TEST_AXES),
    "held_out": Table(specifications.held_out, specifications.TEST_AXES),
    "specifications": Table(specifications.specifications, specifications.AVERAGINGS),
    "specification_share": Table(specifications.specification_share, WHOLE, quick=()),
    "jackknife": Table(specifications.jackknife, WHOLE),
    "greedy_removal": Table(specifications.greedy_removal, specifications.REMOVALS),
    "topography_tests": Table(specifications.topography_tests, specifications.TEST_AXES),
    "cells": Table(specifications.cells, tuple(MAP_AXES)),
    "map_means": Table(specifications.map_means, tuple(MAP_AXES)),
    "map_choices": Table(specifications.map_choices, specifications.AVERAGINGS),
    "accuracy_by_split": Table(stimuli.accuracy_by_split, stimuli.ACCURACY_PARTS),
    "identification": Table(stimuli.identification, stimuli.IDENTIFICATION_PARTS),
    "pseudo_emotions": Table(stimuli.pseudo_emotions, stimuli.PSEUDO_PARTS),
    "time_course": Table(stimuli.time_course, stimuli.TIME_PARTS),
    "smoothing": Table(smoothing.smoothing, smoothing.SMOOTHING_PARTS, quick=("none", "valence, none")),
    "pseudo_smoothing": Table(smoothing.pseudo_smoothing, smoothing.PSEUDO_SMOOTHING_PARTS, quick=("0",)),
    "within_clip": Table(within_clip.within_clip, within_clip.CLIP_PARTS),
    "within_people": Table(within_clip.within_people, within_clip.ITEMS),
    "within_cells": Table(within_clip.within_cells, within_clip.ITEMS),
    "within_eyes": Table(within_clip.within_eyes, within_clip.EYE_SETS),
    "within_placebo": Table(within_clip.within_placebo, within_clip.PLACEBO_PARTS),
    "within_controls": Table(within_clip.within_controls, within_clip.CONTROL_PARTS),
    "within_bands": Table(within_clip.within_bands, within_clip.BAND_PARTS),
    "within_hard_placebo": Table(within_clip.within_hard_placebo, within_clip.PLACEBO_PARTS),
    "within_rates": Table(within_clip.within_rates, within_clip.RATES_PARTS, quick=()),
    "decoders": _networks(
        trained.decoders,
        trained.DECODER_PARTS,
        ("means, emotions, seen", "means, moments, seen"),
        seeds=(0,),
    ),
    "checkpoints": _networks(trained.checkpoints, trained.CHECKPOINT_PARTS, recipes=("plain",)),
    "ablation": _networks(trained.ablation, trained.CHECKPOINT_PARTS, recipes=("plain",)),
    "ablation_nulls": _networks(trained.ablation_nulls, trained.CHECKPOINT_PARTS, recipes=("plain",)),
    "alignment": _networks(
        trained.alignment, trained.ALIGNMENT_PARTS, trained.ALIGNMENT_PARTS[:10], seeds=(0,)
    ),
    "few_people": _networks(trained.few_people, trained.FEW_PARTS, trained.FEW_PARTS[:2], seeds=(0,)),
    "contest": _networks(trained.contest, trained.CONTEST_PARTS, ("means, bagging",)),
    "pools": _networks(trained.pools, trained.POOL_PARTS),
    "pool_ends": _networks(trained.pool_ends, trained.POOL_PARTS),
    "pool_growth": _networks(trained.pool_growth, trained.POOL_PARTS),
    "comparisons": _networks(trained.comparisons, trained.COMPARISON_PARTS, ("means, depths",)),
    "headroom": _networks(trained.headroom, trained.RECIPE_PARTS),
    "online": _networks(trained.online, trained.ONLINE_PARTS, people=(100, 111)),
    "simulated_rates": _networks(simulated.rediscovery_rates, simulated.PRESETS, seeds=(0,)),
    "simulated_checkpoints": _control(
        trained.checkpoints, trained.CHECKPOINT_PARTS, *_TRUTHS, recipes=("plain",)
    ),
    "simulated_ablation": _control(trained.ablation, trained.CHECKPOINT_PARTS, *_TRUTHS, recipes=("plain",)),
    "simulated_ablation_nulls": _control(
        trained.ablation_nulls, trained.CHECKPOINT_PARTS, *_TRUTHS, recipes=("plain",)
    ),
    "simulated_alignment": _control(trained.alignment, trained.ALIGNMENT_PARTS, "default 0", seeds=(0,)),
    "simulated_transfer": _networks(simulated.transfer, ("default 0",), seeds=(0,)),
    "simulated_contest": _networks(
        simulated.contest_cohorts, simulated.CONTEST_PARTS, methods=("bagged subjects",)
    ),
    "simulated_headroom": _networks(simulated.headroom_cohorts, simulated.HEADROOM_PARTS),
    "simulated_pools": _control(trained.pools, simulated.POOL_PARTS),
    "simulated_pool_ends": _control(trained.pool_ends, simulated.POOL_PARTS),
    "simulated_pool_growth": _control(trained.pool_growth, simulated.POOL_PARTS),
    "simulated_comparisons": _control(trained.comparisons, trained.COMPARISON_PARTS, "default 0"),
    "replication_rates": Table(
        simulated.replication_rates,
        simulated.DESIGN_PARTS,
        check=partial(simulated.replication_rates, n_cohorts=2),
    ),
    "replication_checkpoints": _networks(simulated.replication_checkpoints, simulated.OTHERS, n_networks=3),
    "replication_tests": _networks(simulated.replication_tests, simulated.OTHERS, ()),
}
"""Every table of the audit by name; ``axes`` comes first, because others need it."""
