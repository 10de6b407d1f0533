"""Chapters on FACED show stored results whatever lies at hand; the calls they teach run on every format."""

from __future__ import annotations

import json
from pathlib import Path

import jupytext
import matplotlib.pyplot as plt
import pytest
from eeg_files import (
    write_emoeeg_mc,
    write_faced_bids,
    write_faced_de,
    write_faced_processed,
    write_seed_v_de,
)

from kernel import load_cohort
from kernel.brain.simulate import simulate_cohort
from kernel.brain.tracking import map_vaxis_to_scalp, project_vaxis

ROOT = Path(__file__).resolve().parents[1]


SOURCES = {
    "FACED, BIDS": write_faced_bids,
    "FACED, DE": lambda folder: write_faced_de(folder, range(12)),
    "FACED, processed": lambda folder: write_faced_processed(folder, (0, 61)),
    "SEED-V": lambda folder: write_seed_v_de(folder, range(1, 10)),
    "EmoEEG-MC": write_emoeeg_mc,
    "saved": lambda folder: simulate_cohort(5, n_subjects=12)[0].save(folder / "cohort.nc"),
}


def written(source, folder):
    """Path of a small cohort in one of the formats."""
    path = SOURCES[source](folder)
    return path if source == "saved" else folder


@pytest.mark.parametrize("source", SOURCES)
def test_projection_and_maps_run_on_files(source, tmp_path):
    cohort = load_cohort(written(source, tmp_path), progress=False)
    assert cohort.simulated == (source == "saved")
    positions = {emotion: float(place) for place, emotion in enumerate(cohort.classes)}
    few = {"n_permutations": 20, "n_slow": 5}
    projection, maps = project_vaxis(cohort, positions, **few), map_vaxis_to_scalp(cohort, positions, **few)
    assert projection.label == maps.label == cohort.label
    assert projection.simulated == maps.simulated == cohort.simulated
    assert set(projection.tests["scheme"]) == {"in_sample", "leave_one_clip_out", "leave_one_emotion_out"}
    assert maps.cells.r.shape == (len(maps.channels), len(maps.bands))


@pytest.mark.assets
@pytest.mark.parametrize("source", ["FACED, DE", "SEED-V"])
def test_stored_results_are_shown_whatever_lies_at_hand(source, tmp_path, monkeypatch):
    ledger = tmp_path / "claims.json"
    monkeypatch.setenv("KERNEL_DATA", str(written(source, tmp_path / "data")))
    monkeypatch.setenv("KERNEL_LEDGER", str(ledger))
    monkeypatch.chdir(ROOT / "notebooks")
    notebook = jupytext.read("04_eeg.py", fmt="py:percent")
    names = {"__name__": "04_eeg", "display": lambda *a: None}
    plt.switch_backend("agg")
    try:
        for cell in notebook.cells:
            if cell.cell_type == "code":
                exec(compile(cell.source, "04_eeg.py", "exec"), names)
    finally:
        plt.close("all")
    rows = {(row["id"], row["data"]): row for row in json.loads(ledger.read_text())}
    kept = json.loads((ROOT / "book" / "claims.json").read_text())
    committed = {(row["id"], row["data"]): row["verdict"] for row in kept}
    assert {key: row["verdict"] for key, row in rows.items()} == {key: committed[key] for key in rows}
    assert not rows["C4.reliability_clips", "FACED"]["simulated"]
