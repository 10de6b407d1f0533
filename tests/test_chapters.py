"""The chapters on EEG run unchanged on any cohort that KERNEL_DATA names: here, on generated files."""

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

from kernel.brain.simulate import simulate_cohort

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"

pytestmark = pytest.mark.assets


def write_saved(folder):
    simulate_cohort(5, n_subjects=12)[0].save(folder / "cohort.nc")
    return folder / "cohort.nc"


SOURCES = {
    "FACED, BIDS": lambda folder: write_faced_bids(folder),
    "FACED, DE": lambda folder: write_faced_de(folder, range(12)),
    "FACED, processed": lambda folder: write_faced_processed(folder, (0, 61)),
    "SEED-V": lambda folder: write_seed_v_de(folder, range(1, 10)),
    "EmoEEG-MC": lambda folder: write_emoeeg_mc(folder),
    "saved": write_saved,
}


def run(chapter, folder, source, monkeypatch):
    """Execute a chapter's cells on a data set; what it printed of its data, and the ledger rows it wrote."""
    data = SOURCES[source](folder)
    ledger = folder / "claims.json"
    monkeypatch.setenv("KERNEL_DATA", str(data if source == "saved" else folder))
    monkeypatch.setenv("KERNEL_LEDGER", str(ledger))
    notebook = jupytext.read(NOTEBOOKS / f"{chapter}.py", fmt="py:percent")
    names = {"__name__": chapter, "display": lambda *a: None}
    plt.switch_backend("agg")
    try:
        for cell in notebook.cells:
            if cell.cell_type == "code":
                exec(compile(cell.source, f"{chapter}.py", "exec"), names)
    finally:
        plt.close("all")
    return names["cohort"], json.loads(ledger.read_text())


@pytest.mark.parametrize(
    ("chapter", "source"),
    [
        *(("04_eeg", source) for source in SOURCES),
        ("05_projection", "FACED, DE"),
        ("05_projection", "SEED-V"),
        ("05_projection", "saved"),
        ("06_topography", "FACED, BIDS"),
        ("06_topography", "SEED-V"),
        ("06_topography", "EmoEEG-MC"),
    ],
)
def test_a_chapter_runs_on_files(chapter, source, tmp_path, monkeypatch):
    cohort, rows = run(chapter, tmp_path, source, monkeypatch)
    assert cohort.simulated == (source == "saved")
    assert rows
    if chapter != "04_eeg":
        own = [row for row in rows if row["data"].startswith(cohort.label)]
        assert own and all(row["simulated"] == cohort.simulated for row in own)
        controls = [row for row in rows if row not in own]
        assert controls and all(row["simulated"] for row in controls)
    if cohort.simulated:
        assert cohort.label == "simulated cohort, seed 5, default"
