"""Stored tables: computed part by part, resumable, refused when edited, checked where data are at hand."""

from __future__ import annotations

import json
import os
import shutil
import warnings
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from eeg_files import write_faced_de, write_faced_remarks

from kernel import plans
from kernel.audit import store, tables
from kernel.audit.store import SpotCheckError, StoredResultError
from kernel.audit.tables import Table
from kernel.brain.faced import read_faced

ROOT = Path(__file__).resolve().parents[1]


def levels(material, part):
    """Mean of a band over everything: small, but it needs the recordings."""
    calls = Path(os.environ["KERNEL_COUNT"])
    calls.write_text(calls.read_text() + f"{part}\n")
    if os.environ.get("KERNEL_STOP") == part:
        raise KeyboardInterrupt
    band = list(material.cohort.bands).index(part)
    mean = material.cohort.de[..., band].mean((1, 2, 3), dtype=float)
    return pd.DataFrame({"subject": material.cohort.subjects, "nats": mean, "what": f"mean of {part}"})


BANDS = ("delta", "theta", "alpha")


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A registry of one table, recordings of three people, and a record of what was computed."""
    registry = {"levels": Table(levels, BANDS, quick=("alpha",))}
    for module in (store, plans):
        monkeypatch.setattr(module, "TABLES", registry)
    axes = pd.DataFrame({"sign": np.ones(28)}).rename_axis("clip").to_csv()
    monkeypatch.setattr(store, "_axes", lambda folder: axes)
    monkeypatch.setattr(store, "N_PEOPLE", 3)
    write_faced_de(tmp_path / "faced", range(3))
    write_faced_remarks(tmp_path / "faced", range(3))
    (tmp_path / "count").write_text("")
    monkeypatch.setenv("KERNEL_COUNT", str(tmp_path / "count"))
    return tmp_path


def run(study, **options):
    return store.run(study / "faced", target=study / "results", n_jobs=1, progress=False, **options)


def computed(study):
    return (study / "count").read_text().split()


def test_a_table_comes_back_as_it_was_computed_with_its_origin(study):
    table = store.load("levels", folder=run(study))
    assert computed(study) == list(BANDS)
    assert table["part"].tolist() == [band for band in BANDS for _ in range(3)]
    cohort = read_faced(study / "faced", source="de", channels="all", progress=False)
    expected = cohort.de[..., 2].mean((1, 2, 3), dtype=float)
    assert table.loc[table["part"] == "alpha", "nats"].to_numpy() == pytest.approx(expected, rel=1e-5)
    entry = json.loads((study / "results" / "manifest.json").read_text())["tables"]["levels"]
    assert {"sha256", "date", "hours", "recordings", "packages", "versions"} <= set(entry)
    text = store.sources(table)
    assert f"stored run of {entry['date']}" in text and "Chen et al. (2023)" in text


def test_an_interrupted_run_goes_on_and_gives_the_same_table(study, monkeypatch):
    monkeypatch.setenv("KERNEL_STOP", "alpha")
    with pytest.raises(KeyboardInterrupt):
        run(study)
    table = study / "results" / "levels.csv"
    assert not table.exists()
    monkeypatch.delenv("KERNEL_STOP")
    run(study)
    assert computed(study) == ["delta", "theta", "alpha", "alpha"]
    resumed = table.read_bytes()
    monkeypatch.setenv("KERNEL_CACHE", str(study / "another cache"))
    run(study)
    assert table.read_bytes() == resumed


def test_a_part_is_computed_again_where_recordings_are_and_once_while_nothing_changes(study, monkeypatch):
    folder = run(study)
    again = "part 'alpha' computed again and equal"
    assert again not in store.load("levels", folder=folder).attrs["source"]
    monkeypatch.setenv("KERNEL_DATA", str(study / "faced"))
    (study / "count").write_text("")
    assert again not in store.load("levels", folder=folder, check=False).attrs["source"]
    for _ in range(2):
        assert again in store.load("levels", folder=folder).attrs["source"]
    assert computed(study) == ["alpha"]
    next((study / "faced").rglob("sub*.pkl.pkl")).touch()
    store.load("levels", folder=folder)
    assert computed(study) == ["alpha"] * 2
    monkeypatch.setattr(store.files, "source_digest", lambda *names: "f" * 64)
    assert again in store.load("levels", folder=folder).attrs["source"]  # new code alone makes nothing stale
    assert computed(study) == ["alpha"] * 3
    monkeypatch.setattr(store, "N_PEOPLE", 4)  # recordings in part
    assert again not in store.load("levels", folder=folder).attrs["source"]
    with pytest.raises(StoredResultError, match=r"does not hold .* of all 4 people"):
        run(study)


def test_a_part_has_a_key_of_its_table_its_functions_their_code_and_libraries(monkeypatch):
    keys = {name: store._key(name, "all", "data") for name in store.TABLES}
    assert len(set(keys.values())) == len(keys)
    name, table = "smoothing", store.TABLES["smoothing"]
    hashes = dict(store.files._source_hashes(store.files._PACKAGE))
    for path, changed in {
        "audit/smoothing.py": True,
        "brain/faced.py": True,
        "audit/store.py": False,
    }.items():
        monkeypatch.setattr(store.files, "_source_hashes", lambda _, path=path: hashes | {path: "0"})
        assert (store._key(name, "all", "data") != keys[name]) == changed, path
        monkeypatch.undo()
    monkeypatch.setattr(store.files, "VERSIONS", {**store.files.VERSIONS, "torch": "0"})
    assert store._key(name, "all", "data") != keys[name]
    monkeypatch.undo()
    assert store._key(name, "all", "other data") != keys[name] != store._key(name, "none", "data")
    for other in (replace(table, compute=partial(table.compute, n=1)), replace(table, compute=half)):
        monkeypatch.setattr(store, "TABLES", {name: other})
        assert store._key(name, "all", "data") != keys[name]


def half(material, part):
    return levels(material, part).iloc[1:]


def test_a_check_of_some_rows_is_compared_with_these(study, monkeypatch):
    def with_a_gap(material, part):
        return levels(material, part).assign(count=[np.nan, 3, 4])  # counts beside a gap are read as floats

    def counted(material, part):
        return with_a_gap(material, part).iloc[1:].astype({"count": int})

    monkeypatch.setattr(store, "TABLES", {"levels": Table(with_a_gap, BANDS, ("alpha",), counted)})
    folder = run(study)
    monkeypatch.setenv("KERNEL_DATA", str(study / "faced"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = "2 of 3 rows of part 'alpha' computed again and equal"
        assert store.load("levels", folder=folder).attrs["source"].endswith(again)
    fewer = Table(with_a_gap, BANDS, ("alpha",), lambda *given: with_a_gap(*given).drop(columns="nats"), True)
    monkeypatch.setattr(store, "TABLES", {"levels": fewer})
    monkeypatch.setattr(store.files, "source_digest", lambda *names: "e" * 64)
    again = "part 'alpha' without 'nats' computed again and equal, as far as two trainings agree"
    assert store.load("levels", folder=folder).attrs["source"].endswith(again)
    wrong = Table(with_a_gap, BANDS, ("alpha",), lambda *given: counted(*given).assign(nats=9.5))
    monkeypatch.setattr(store, "TABLES", {"levels": wrong})
    monkeypatch.setattr(store.files, "source_digest", lambda *names: "f" * 64)
    with pytest.raises(SpotCheckError, match="nats of row 0"):
        store.load("levels", folder=folder)


def test_other_recordings_are_noticed_and_read_again(study, monkeypatch):
    folder = run(study)
    write_faced_de(study / "others", range(3, 6))
    write_faced_remarks(study / "others", range(3, 6))
    monkeypatch.setenv("KERNEL_DATA", str(study / "others"))
    message = r"levels, part 'alpha', subject of row 0: stored .*0.*, computed .*3"
    with pytest.raises(SpotCheckError, match=message):
        store.load("levels", folder=folder)
    shutil.rmtree(study / "faced")
    (study / "others").rename(study / "faced")
    assert set(pd.read_csv(run(study) / "levels.csv")["subject"]) == {3, 4, 5}


def test_text_stays_text_and_numbers_numbers():
    table = pd.DataFrame({"part": ["0", "true"], "kind": ["true", "free"], "r": [0.1, np.nan], "n": [1, 2]})
    pd.testing.assert_frame_equal(store._from_csv(store._as_csv(table)), table)
    one = store._from_csv(store._as_csv(table.iloc[1:])).iloc[0]
    assert (one["part"], one["kind"]) == ("true", "free") and np.isnan(one["r"])


# ---- checks


@pytest.mark.parametrize(
    ("old", "new", "passes"),
    [
        ({"r": 0.5}, {"r": 0.5001}, True),
        ({"r": 0.5}, {"r": 0.51}, False),
        ({"p": 0.5}, {"p": 0.52}, True),
        ({"p": 0.5}, {"p": 0.55}, False),
        ({"p_clips": 0.5}, {"p_clips": 0.55}, False),
        ({"p": 0.0512}, {"p": 0.0463}, False),  # on the other side of .05
        ({"p_b": 4.5e-6}, {"p_b": 0.0049}, False),
        ({"share": 0.00078}, {"share": 0.0}, False),  # a small number gone
        ({"n": 3444}, {"n": 3441}, False),
        ({"r": np.nan}, {"r": np.nan}, True),
        ({"r": 0.5}, {"r": np.nan}, False),
        ({"r": np.nan}, {"r": 0.5}, False),
        ({"name": "x"}, {"name": "z"}, False),
    ],
)
def test_a_spot_check_allows_for_another_processor_only(old, new, passes):
    tables = [pd.DataFrame([{"part": "a", **row}, {"part": "a", **row}]) for row in (old, new)]
    if passes:
        store._spot_check("t", *tables)
    else:
        with pytest.raises(SpotCheckError, match=f"t, part 'a', {next(iter(old))} of row 0"):
            store._spot_check("t", *tables)
    for other in (tables[1].iloc[:1], tables[1].rename(columns={"part": "parts"})):
        with pytest.raises(SpotCheckError, match="rows of"):
            store._spot_check("t", tables[0], other)


def test_numbers_of_networks_may_differ_as_seeds_do():
    stored = pd.DataFrame(
        {"seed": range(6), "bacc": [0.24, 0.25, 0.26] * 2, "z": [1.0, 3.0, 5.0] * 2, "part": "a"}
    )
    near = stored.assign(bacc=stored["bacc"] + 0.03, z=stored["z"] - 6.0)
    store._spot_check("t", stored, near, stored)
    for column, step in (("bacc", 0.05), ("z", 8.0)):
        with pytest.raises(SpotCheckError, match=column):
            store._spot_check("t", stored, stored.assign(**{column: stored[column] + step}), stored)
    with pytest.raises(SpotCheckError, match="bacc"):
        store._spot_check("t", stored, near)


# ---- what is refused


def forged(study, change):
    """The results with a manifest, or a table and its digest, changed by somebody who knows how."""
    folder = run(study)
    manifest = json.loads((folder / "manifest.json").read_text())
    text = (folder / "levels.csv").read_text()
    text = change(manifest["tables"], text) or text
    manifest["tables"]["levels"]["sha256"] = store.hashlib.sha256(text.encode()).hexdigest()
    (folder / "levels.csv").write_text(text)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda t, text: "\n".join(row for row in text.split("\n") if "theta" not in row),
            "the parts that it",
        ),
        (lambda t, _: t.update(other=t["levels"] | {"recordings": "f" * 64}), "of different recordings"),
        (lambda t, _: t["levels"].update(axes="f" * 64), "with other axes than those stored"),
        (lambda t, _: t["levels"].pop("date") and None, "lack digests or a date"),
    ],
)
def test_a_table_that_does_not_belong_is_refused(study, change, message):
    with pytest.raises(StoredResultError, match=message):
        store.load("levels", folder=forged(study, change))


def test_what_is_edited_or_missing_is_named_with_its_cure(study):
    with pytest.raises(StoredResultError, match=r"no stored results at .*make results"):
        store.load("levels", folder=study)
    folder = run(study)
    for call in (lambda: store.load("levls", folder=folder), lambda: run(study, names=["levls"])):
        with pytest.raises(StoredResultError, match=r"one of levels; got 'levls' \(did you mean levels"):
            call()
    with pytest.raises(StoredResultError, match="set KERNEL_DATA"):
        store.run(target=study / "results", n_jobs=1, progress=False)
    path = folder / "levels.csv"
    path.write_text(path.read_text().replace("mean of alpha", "mean of ALPHA", 1))
    with pytest.raises(StoredResultError, match=r"levels\.csv was edited .* `make results`"):
        store.load("levels", folder=folder)
    path.unlink()
    with pytest.raises(StoredResultError, match="holds no table 'levels'"):
        store.load("levels", folder=folder)
    (folder / "manifest.json").write_text("{")
    with pytest.raises(StoredResultError, match="is no manifest"):
        store.load("levels", folder=folder)


def test_outside_a_book_the_cure_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StoredResultError, match=r"no book around .*: work in a clone"):
        store.load("axes")


# ---- the book's own


def test_every_table_is_stored_with_the_book_and_intact():
    results = ROOT / "book" / "results"
    for name, table in store.TABLES.items():
        stored = store.load(name, folder=results / table.source, check=False)
        assert stored["part"].drop_duplicates().tolist() == list(table.parts), name
        assert set(table.quick or ()) <= set(table.parts), name
    for source in store.CREDIT:
        names = {name for name, table in store.TABLES.items() if table.source == source}
        assert {path.stem for path in (results / source).glob("*.csv")} == names


def disagreements(tables):
    """How far the tables of ensembles are from what follows from one another, each as the largest gap."""
    members, ends = tables["pools"].groupby("part", sort=False), tables["pool_ends"].set_index("part")
    size = tables["pool_growth"].set_index(["part", "size"])["mean"].unstack()
    grown = tables["axis_members"].groupby("part")[["bacc", "gain"]]
    contest = tables["contest"]
    cohort = contest["part"] if "preset" in contest else contest["regime"]
    deep = cohort.map(contest[contest["method"] == "deep ensemble"].set_index(cohort.name)["bacc"])
    gaps = {
        "single members": members["bacc"].mean() - size[1],
        "all ten": ends["all"] - size[10],
        "contributions": members["contribution"].mean() - (size[10] - size[9]),
        "top and bottom": ends["difference"] - (ends["top"] - ends["bottom"]),
        "ensembles without added members": grown.apply(lambda t: np.ptp(t["bacc"] - t["gain"])),
        "deep ensemble": contest["difference"] - (contest["bacc"] - deep),
    }
    return {name: float(gap.abs().max()) for name, gap in gaps.items()}


@pytest.mark.parametrize("prefix", ["", "simulated_"])
def test_tables_of_ensembles_agree_with_one_another_and_would_not_if_one_were_edited(prefix):
    folder = ROOT / "book" / "results" / "faced"
    names = ("pools", "pool_ends", "pool_growth", "axis_members", "contest")
    tables = {name: store.load(prefix + name, folder=folder, check=False) for name in names}
    rounding = 2e-6
    assert max(disagreements(tables).values()) < rounding
    for name, column in zip(names, ("bacc", "all", "mean", "gain", "bacc"), strict=True):
        edited = tables[name].copy()
        edited.loc[edited.index[-1], column] += 1e-3
        assert max(disagreements(tables | {name: edited}).values()) > rounding, name


@pytest.mark.faced
@pytest.mark.assets
@pytest.mark.parametrize("name", [name for name, table in store.TABLES.items() if table.quick != ()])
def test_a_part_of_every_stored_table_comes_out_again(name, monkeypatch):
    from conftest import FACED

    monkeypatch.setenv("KERNEL_DATA", str(FACED))
    table = store.TABLES[name]
    if table.needs and all(store._not_fetched(table.assets([part])) for part in table.quick):
        pytest.skip("the texts of this table have not been fetched")
    stored = store.load(name, folder=ROOT / "book" / "results" / table.source)
    assert "computed again and equal" in stored.attrs["source"]


def test_the_command_line_computes_tables_and_names_what_is_missing(study, capsys):
    from kernel.cli import main

    (study / "tables.yaml").write_text("path: faced\ntables: [levels]\n")
    options = ["--folder", str(study / "results"), "--jobs", "1", "--quiet"]
    assert main(["run", str(study / "tables.yaml"), *options]) == 0
    assert capsys.readouterr().out.strip() == str(study / "results")
    assert store.load("levels", folder=study / "results")["part"].nunique() == 3
    (study / "tables.yaml").write_text("tables: faced\n")
    assert main(["run", str(study / "tables.yaml"), *options]) == 1
    assert "set KERNEL_DATA" in capsys.readouterr().err


def test_a_dask_cluster_computes_the_same_tables(study):
    distributed = pytest.importorskip("distributed")
    alone = (run(study) / "levels.csv").read_bytes()
    (study / "count").write_text("")
    for part in (store.files.cache_dir("audit")).glob("*.csv"):
        part.unlink()
    options = {"n_workers": 1, "threads_per_worker": 1, "processes": False, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client:
        again = store.run(study / "faced", target=study / "dask", client=client, progress=False)
    assert (again / "levels.csv").read_bytes() == alone
    assert sorted(computed(study)) == sorted(BANDS)


def test_the_plan_tells_parts_and_hours(study):
    folder = study / "results"
    assert store.table_costs(folder=folder).loc["levels"].isna()["hours"]
    run(study)
    assert store.table_costs(["levels"], folder=folder).loc["levels", "parts"] == 3
    assert store.table_costs(folder=folder).loc["levels", "hours"] >= 0


def test_a_table_of_words_has_assets_in_place_of_recordings(tmp_path, monkeypatch):
    def one(material, part):
        assert material is None
        return pd.DataFrame({"what": [part], "value": [len(part) / 2]})

    table = Table(
        one, ("first", "second"), needs=lambda part: ["sst2"] if part == "second" else ["vader-lexicon"]
    )
    monkeypatch.setattr(store, "TABLES", {"counts": table, "levels": Table(levels, BANDS)})
    places = {"sst2": tmp_path}
    monkeypatch.setattr(store.assets, "path", lambda name: places[name] if name in places else missing(name))

    def missing(name):
        raise store.assets.AssetMissingError(name)

    options = {"target": tmp_path / "results", "n_jobs": 1, "progress": False}
    with pytest.raises(StoredResultError, match=r"need vader-lexicon: run .* fetch vader-lexicon"):
        store.run(names=["counts"], **options)
    with pytest.raises(StoredResultError, match="cannot be computed in one run"):
        store.run(names=["counts", "levels"], **options)
    places["vader-lexicon"] = tmp_path
    folder = store.run(names=["counts"], **options)
    stored = store.load("counts", folder=folder)
    assert "computed again and equal" in stored.attrs["source"] and stored["value"].tolist() == [2.5, 3]
    assert "rated texts" in store.sources(stored) and "FACED" not in store.sources(stored)
    del places["vader-lexicon"]  # then only the other part can be checked
    assert "part 'second' computed again" in store.load("counts", folder=folder).attrs["source"]
    places.clear()
    assert "again" not in store.load("counts", folder=folder).attrs["source"]


@pytest.mark.assets
def test_the_stored_axes_are_those_of_the_models_and_ratings():
    """Chapters check the other columns alone: the language models take minutes the first time."""
    stored = store.load("axes", folder=ROOT / "book" / "results" / "faced", check=False).drop(columns="part")
    again = tables._axes_of_clips(None, "all")
    assert (stored["emotion"] == again["emotion"]).all()
    numbers = stored.columns.drop("emotion")
    np.testing.assert_allclose(stored[numbers], again[numbers], atol=0.02)
