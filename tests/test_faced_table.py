"""The cohort table of FACED: its arithmetic on a small cohort, and the shipped one against the data."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from eeg_files import write_faced_de, write_faced_remarks
from scipy.stats import zscore

import kernel
from kernel.brain.cohort import standardise
from kernel.brain.designs import FACED_FILMS
from kernel.brain.faced import read_faced
from kernel.brain.faced_table import PEOPLE, load_faced_table

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "book" / "studies"))
from make_faced_table import faced_table, write_faced_table

SUBJECTS = (0, 1, 2, 3, 4, 61, 62, 63)


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    root = tmp_path_factory.mktemp("release")
    truth = write_faced_de(root, SUBJECTS)
    write_faced_remarks(root, SUBJECTS)
    return root, np.stack(list(truth.values()))  # (subject, clip, channel, second, band)


def test_means_and_deviations_are_those_over_people(release):
    root, de = release
    table = faced_table(read_faced(root, channels="all", progress=False))
    odd = [1, 3, 5, 7]
    assert table["n"].values.tolist() == [8, 4, 4, 5, 3]
    raw = de.mean(3)
    np.testing.assert_allclose(table["raw_mean"].sel(people="odd"), raw[odd].mean(0), atol=1e-6)
    np.testing.assert_allclose(table["raw_sd"].sel(people="cohort 2"), raw[5:].std(0, ddof=1), atol=1e-6)
    z = zscore(np.moveaxis(de, 3, 2).reshape(8, 28 * 30, 32, 5), axis=1).reshape(8, 28, 30, 32, 5).mean(2)
    np.testing.assert_allclose(table["z_mean"].sel(people="all"), z.mean(0), atol=1e-5)
    np.testing.assert_allclose(table["z_sd"].sel(people="even"), z[[0, 2, 4, 6]].std(0, ddof=1), atol=1e-5)
    assert table["raw_mean"].dims == ("people", "clip", "channel", "band")
    assert table["raw_mean"].dtype == np.float32
    assert tuple(table["film"].values) == FACED_FILMS and table["channel"].size == 32


def test_what_would_make_another_table_is_refused(release):
    cohort = read_faced(release[0], channels="all", progress=False)
    with pytest.raises(ValueError, match="unit 'z' and 0 missing"):
        faced_table(standardise(cohort))
    gap = cohort.de.copy()
    gap[0, 3] = np.nan
    with pytest.raises(ValueError, match="1 missing"):
        faced_table(cohort.with_de(gap))
    with pytest.raises(ValueError, match=r"two people, got \{'cohort 2': 1\}"):
        faced_table(cohort.select(subjects=[0, 1, 2, 3, 61]))


def test_a_written_table_comes_back_and_a_damaged_one_does_not(release, tmp_path):
    target = write_faced_table(release[0], tmp_path / "table.nc")
    expected = faced_table(read_faced(release[0], channels="all", progress=False))
    xr.testing.assert_equal(load_faced_table(target), expected)
    content = target.read_bytes()
    changed = content[:-5000] + b"\x40" + content[-4999:]
    for damaged in (content[:-9], content[: len(content) // 2], b"", b"no netCDF", changed):
        target.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"table\.nc (is no readable table|differs from what)"):
            load_faced_table(target)
    with pytest.raises(FileNotFoundError):
        load_faced_table(tmp_path / "absent.nc")


def test_the_shipped_table_adds_up():
    table = kernel.load_faced_table()
    n = dict(zip(PEOPLE, table["n"].values.tolist(), strict=True))
    assert table["people"].values.tolist() == list(PEOPLE)
    assert n["odd"] + n["even"] == n["cohort 1"] + n["cohort 2"] == n["all"] == 123
    assert dict(table.sizes) == {"people": 5, "clip": 28, "channel": 32, "band": 5}
    assert table.attrs["simulated"] == 0 and "10.1038/s41597-023-02650-w" in table.attrs["credit"]
    for kind in ("raw_mean", "z_mean"):
        for halves in (("odd", "even"), ("cohort 1", "cohort 2")):
            together = sum(n[half] * table[kind].sel(people=half).astype(float) for half in halves) / 123
            np.testing.assert_allclose(together, table[kind].sel(people="all"), atol=1e-6)
    assert all(np.isfinite(table[name]).all() for name in table.data_vars)
    np.testing.assert_allclose(table["z_mean"].mean("clip"), 0, atol=1e-6)  # each person's mean is 0


def test_the_shipped_table_gives_the_asymmetries_that_the_paper_prints():
    alpha = kernel.load_faced_table()["raw_mean"].sel(people="all", band="alpha").astype(float)
    contrast = alpha.sel(clip=slice(17, 28)).mean("clip") - alpha.sel(clip=slice(1, 12)).mean("clip")
    pairs = {("F4", "F3"): 0.0062, ("F8", "F7"): 0.0155, ("Fp2", "Fp1"): 0.0116}
    for (right, left), printed in pairs.items():
        assert round(float(contrast.sel(channel=right) - contrast.sel(channel=left)), 4) == printed


@pytest.mark.faced
def test_the_shipped_table_is_that_of_the_data(faced):
    made, shipped = faced_table(faced), load_faced_table()
    for name in made.variables:
        if made[name].dtype.kind == "f":
            np.testing.assert_allclose(shipped[name], made[name], atol=1e-6)
        else:
            np.testing.assert_array_equal(shipped[name], made[name])
    assert made.attrs.items() <= shipped.attrs.items()
