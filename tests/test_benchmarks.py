"""Every benchmark runs, in small, and computes what its references compute."""

import importlib.util
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kernel import files, plans

FOLDER = Path(__file__).parent / "benchmarks"
NAMES = sorted(path.stem for path in FOLDER.glob("bench_*.py"))
WITH_MODELS = {"bench_hidden"}
MARKED = [pytest.param(name, marks=pytest.mark.assets if name in WITH_MODELS else ()) for name in NAMES]


def load(name):
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", MARKED)
def test_a_benchmark_runs_and_agrees_with_its_reference(name, tmp_path, capsys):
    target = tmp_path / "benchmarks.json"
    load("run").main(["--small", "--output", str(target), name])
    stored, printed = json.loads(target.read_text()), capsys.readouterr().out
    assert stored["small"] and stored["benchmarks"]
    for row in stored["benchmarks"]:
        assert row["name"] in printed
        assert math.isfinite(row["ratio"]) and row["reference"] and row["sizes"]
        assert row.get("largest_difference", 0) <= 1e-5 * row.get("largest_state", 1)
        assert row.get("agreement", 1) > 0.9


def test_a_benchmark_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(SystemExit, match="no benchmark matches"):
        load("run").main(["--output", str(tmp_path / "x.json"), "bench_of_nothing"])


@pytest.mark.assets
def test_the_costs_of_a_study_are_measured_for_every_unit():
    units = load("unit_costs")
    few = {"subjects": 12, "texts": 20, "permutations": 19, "slow_permutations": 19, "seeds": 2, "members": 2}
    small = replace(units.STUDY, segment=30.0, **few)
    cache = files.cache_dir()
    table = units.costs(small).set_index("unit")["cpu_s"]
    assert set(table.index) == set(plans._unit_costs())
    assert np.isfinite(table).all() and (table > 0).all()
    assert files.cache_dir() == cache


def test_the_comparison_with_a_graphics_card_runs_in_small(tmp_path, capsys):
    target = tmp_path / "gpu.json"
    load("gpu").main(["--small", "--device", "cpu", "--output", str(target)])
    stored = json.loads(target.read_text())
    assert stored["device"] == "cpu" and stored["small"] and len(stored["results"]) == 5
    assert all(row["equal"] and row["seconds"] > 0 for row in stored["results"])
    assert capsys.readouterr().out.count(": equal (") == 5


def test_the_comparison_tells_equal_from_different():
    gpu = load("gpu")
    assert gpu.equality([1.0, 2.0], [1.0, 2.0001], "float32")["equal"]
    assert not gpu.equality([1.0, 2.0], [1.0, 2.01], "float32")["equal"]
    assert not gpu.equality([1.0, 2.0], [1.0, 2.0001], "float64")["equal"]
