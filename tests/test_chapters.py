"""Chapters on FACED show stored results whatever lies at hand; the calls they teach run on every format."""

from __future__ import annotations

import json
import re
import shlex
from importlib import import_module
from pathlib import Path

import jupytext
import matplotlib.pyplot as plt
import numpy as np
import pytest
from eeg_files import (
    write_emoeeg_mc,
    write_faced_bids,
    write_faced_de,
    write_faced_processed,
    write_seed_v_de,
)

from kernel import claims, cli, load_cohort
from kernel.brain.cohort import Cohort, segments, standardise
from kernel.brain.simulate import simulate_cohort
from kernel.brain.splits import usual_split
from kernel.brain.tracking import map_vaxis_to_scalp, project_vaxis
from kernel.decoding.bank import train_bank
from kernel.decoding.networks import linear_baseline
from kernel.decoding.training import TrainingSpec
from kernel.plans import load_study

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


OWN = "**On your own data.**"


def own_data(path, language):
    """What a chapter says under "On your own data" in a language."""
    cells = jupytext.read(path, fmt="py:percent").cells
    (text,) = [cell.source.partition(OWN)[2] for cell in cells if OWN in cell.source]
    return "\n".join(re.findall(rf"```{language}\n(.*?)```", text, flags=re.S))


CHAPTERS = [p for p in sorted((ROOT / "notebooks").glob("*.py")) if OWN in p.read_text(encoding="utf-8")]


@pytest.fixture(scope="module")
def mine():
    """Twenty people who rated eighteen clips, as a cohort of no known data set, and what comes of it."""
    whole, _ = simulate_cohort(0, "faced", n_subjects=20, window=5.0)
    clips = [int(np.flatnonzero(whole.y == k)[n]) + 1 for k in range(9) for n in (0, 1)]
    cohort = whole.select(clips=clips, channels=whole.channels[:8])
    cohort = Cohort(cohort.data.assign_attrs(dataset="my study"))
    z = standardise(cohort)
    specs = [
        TrainingSpec(epochs=3, warmup_epochs=1, recipe=recipe, seed=seed)
        for seed, recipe in enumerate("aabbcc")
    ]
    bank = train_bank(specs, z, usual_split(z), n_jobs=1, progress=False)
    rows = segments(z)
    train, test = rows.subject > 4, rows.subject <= 4
    features = np.stack([checkpoint.kept_features for checkpoint in bank.checkpoints])
    return {
        "cohort": cohort,
        "bank": bank,
        "positions": dict(zip(cohort.classes, np.linspace(-1, 1, 9), strict=True)),
        "positions_of_clips": np.linspace(-1, 1, 9)[cohort.y],
        "features": features,
        "y": bank.trials["y"].to_numpy(),
        "axis": np.linspace(-1, 1, 9),
        "accuracy": bank.bacc("test"),
        "recipe": [spec.recipe for spec in bank.specs],
        "names": [f"channel {n}" for n in range(8)],
        "leak": lambda cohort: None,
        "my_classifier": linear_baseline("lda"),
        "trials": {"X": rows.X[train], "y": rows.y[train], "X_test": rows.X[test]},
        "subject": rows.subject[train],
    }


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_what_a_chapter_says_of_your_own_data_runs(path, mine, tmp_path, monkeypatch):
    def loaded(place, **options):
        if "FACED" in place:
            return simulate_cohort(1, n_subjects=12)[0]
        if "SEED-V" in place:
            return simulate_cohort(1, design="SEED-V", window=4.0)[0]
        return mine["cohort"]

    def amplifier(name):
        return (np.random.default_rng(k).normal(0, 1e-5, (8, 250)) for k in range(12))

    def positions(model, classes):
        return mine["positions"]

    monkeypatch.chdir(tmp_path)
    mine["cohort"].save(tmp_path / "my_study.nc")
    for home, names in {
        "kernel": {"load_cohort": loaded, "axis_positions": positions},
        "kernel.brain.sources": {"load_cohort": loaded},
        "kernel.language.construct": {"axis_positions": positions},
        "kernel.decoding.streams": {"stream_lsl": amplifier},
    }.items():
        for name, stand_in in names.items():
            monkeypatch.setattr(import_module(home), name, stand_in, raising=False)
    names = mine | mine["trials"] if path.stem == "12_ensemble" else dict(mine)
    exec(compile(own_data(path, "python"), path.name, "exec"), names)


def test_what_a_chapter_says_of_your_own_data_in_a_shell_can_be_typed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    makefile, n = (ROOT / "Makefile").read_text(encoding="utf-8"), 0
    for line in "\n".join(own_data(path, "bash") for path in CHAPTERS).splitlines():
        words = [word for word in shlex.split(line, comments=True) if not word.startswith("KERNEL_DATA=")]
        match words:
            case ["echo", text, ">", place]:
                Path(place).write_text(text, encoding="utf-8")
            case ["make", target]:
                assert re.search(rf"(?m)^{target}:", makefile), line
            case ["kernel", *arguments]:
                options = cli._parser().parse_args(arguments)
                if arguments[0] == "run":
                    assert load_study(options.study).tables
                else:
                    assert arguments[0] == "claims" and claims.load_claim(options.id)
            case _:
                assert not words, line
        n += bool(words)
    assert n >= 5
