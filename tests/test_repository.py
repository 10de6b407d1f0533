"""The repository agrees with itself: dependencies, versions, floors, workflows, no trace of a machine."""

from __future__ import annotations

import ast
import inspect
import os
import pkgutil
import re
import shutil
import subprocess
import sys
import tomllib
from functools import partial
from graphlib import CycleError, TopologicalSorter
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import mne
import numpy as np
import pandas as pd
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from sklearn.linear_model import LogisticRegression

import kernel
from kernel.brain.cohort import Cohort
from kernel.brain.simulate import simulate_cohort

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
MADE_WITH = ("hub", "book", "test", "cluster")
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FLOORS = {
    **dict.fromkeys(["arrays", "checks"], 0),
    **dict.fromkeys(["metrics", "stats", "files", "threads", "assets"], 1),
    **dict.fromkeys(["language", "brain"], 2),
    "decoding": 3,
    **dict.fromkeys(["audit", "claims", "interactive", "plots", "style"], 4),
    "plans": 5,
    "tasks": 6,
    "studies": 7,
    "report": 8,
    "cli": 9,
    "__main__": 10,
}


def pins():
    lines = [line.split("#")[0].strip() for line in (ROOT / "constraints.txt").read_text().splitlines()]
    return {canonicalize_name(name): version for name, _, version in (x.partition("==") for x in lines if x)}


def requirements(extras):
    return [*PROJECT["dependencies"], *(entry for extra in extras for entry in EXTRAS[extra])]


# ---- dependencies


def test_makefile_installs_the_extras_that_are_checked_here():
    assert f"-e '.[{','.join(MADE_WITH)}]'" in (ROOT / "Makefile").read_text()


def test_environment_equals_pyproject():
    dependencies = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    (entries,) = [entry["pip"] for entry in dependencies if isinstance(entry, dict)]
    options = [entry for entry in entries if entry.startswith("-")]
    assert options == ["-c constraints.txt", "-e ."]
    assert sorted(set(entries) - set(options)) == sorted(requirements(MADE_WITH))


@pytest.mark.parametrize("requirement", sorted(set(requirements(EXTRAS))))
def test_constraints_pin_every_requirement_of_every_extra(requirement):
    wanted = Requirement(requirement)
    pinned = pins().get(canonicalize_name(wanted.name))
    assert pinned, f"constraints.txt has no pin for {wanted.name}"
    assert wanted.specifier.contains(pinned, prereleases=True), f"{wanted} excludes the pinned {pinned}"


def test_no_requirement_is_listed_twice():
    for group in (PROJECT["dependencies"], *EXTRAS.values()):
        names = [canonicalize_name(Requirement(entry).name) for entry in group]
        assert sorted(names) == sorted(set(names))


def test_constraints_pin_whatever_the_installed_requirements_pull_in():
    pinned, seen, queue = pins(), set(), [Requirement(entry) for entry in requirements(MADE_WITH)]
    while queue:
        requirement = queue.pop()
        name = canonicalize_name(requirement.name)
        if (name, frozenset(requirement.extras)) in seen or re.match("nvidia|cuda|triton", name):
            continue  # the CUDA libraries of some torch builds are torch's own affair
        seen.add((name, frozenset(requirement.extras)))
        try:
            needs = distribution(name).requires or []
        except PackageNotFoundError:
            continue  # needed on other platforms only
        assert name in pinned, f"{name} is installed but not pinned"
        for entry in map(Requirement, needs):
            extras = requirement.extras or {""}
            if entry.marker is None or any(entry.marker.evaluate({"extra": extra}) for extra in extras):
                queue.append(entry)
    assert len(seen) > 100  # a walk that stopped early would prove nothing


def test_constraints_are_portable():
    for name, version in pins().items():
        assert Version(version).local is None and not re.match("nvidia|cuda|triton", name), name


# ---- versions


def test_versions_agree():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    latest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.M)[1]
    assert kernel.__version__ == citation["version"] == latest


def test_citation_names_the_paper():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["cff-version"] == "1.2.0"
    assert [author["name"] for author in citation["authors"]] == ["The valence-axis developers"]
    (paper,) = citation["references"]
    assert paper["identifiers"] == [{"type": "doi", "value": "10.48550/arXiv.2606.00129"}]


# ---- floors


def home(module):
    """The part of the package that a dotted name belongs to: ``kernel.language.axis`` -> ``language``."""
    parts = module.split(".")
    return parts[1] if parts[0] == "kernel" and len(parts) > 1 else None


def dotted(source, package):
    """Dotted names that a source imports, also inside functions; relative names are resolved."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            names |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    return names


def imported(source, package):
    """Parts of the package that a source imports."""
    return {home(name) for name in dotted(source, package)} - {None}


def trespasses(part, source, package):
    """Imports of `source` that do not lead to a floor below, or stay within the part."""
    return {
        other
        for other in imported(source, package)
        if other != part
        and not (FLOORS[other] < FLOORS[part] or (FLOORS[other] == FLOORS[part] and FLOORS[part] in (1, 4)))
    }


MODULES = [path for path in sorted((ROOT / "kernel").rglob("*.py")) if path != ROOT / "kernel/__init__.py"]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_imports_go_one_way(path):
    relative = path.relative_to(ROOT).with_suffix("")
    part = relative.parts[1]
    assert part in FLOORS, f"give {part} a floor in this test"
    assert not trespasses(part, path.read_text(), ".".join(relative.parts[:-1]))


@pytest.mark.parametrize(
    ("part", "source", "bad"),
    [
        ("language", "from kernel.brain.cohort import Cohort", {"brain"}),
        ("brain", "def f():\n    from kernel import language", {"language"}),
        ("stats", "import kernel.language.axis", {"language"}),
        ("language", "from ..claims import record", {"claims"}),
        ("language", "from . import axis\nfrom kernel import stats, files", set()),
        ("decoding", "from kernel.brain import cohort\nfrom kernel.language import axis", set()),
    ],
)
def test_the_floor_test_can_fail(part, source, bad):
    assert trespasses(part, source, f"kernel.{part}") == bad


NAMES = {".".join(path.relative_to(ROOT).with_suffix("").parts) for path in MODULES}


def needed(name, source):
    """Files of the package that a file needs when it runs, but not to check its types."""
    tree = ast.parse(source)
    for block in ast.walk(tree):
        if isinstance(block, ast.If) and ast.unparse(block.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            block.body = [ast.Pass()]
    return (dotted(ast.unparse(tree), name.rpartition(".")[0]) & NAMES) - {name}


CLOSING = (
    "import kernel.brain.tracking",
    "def f():\n    from kernel.brain import tracking",
    "from . import tracking",
)


def test_no_files_import_each_other_in_a_circle():
    sources = {name: (ROOT / name.replace(".", "/")).with_suffix(".py").read_text() for name in NAMES}
    graph = {name: needed(name, source) for name, source in sources.items()}
    assert len(list(TopologicalSorter(graph).static_order())) == len(NAMES)
    for line in CLOSING:
        with pytest.raises(CycleError):
            closed = needed("kernel.brain.cohort", line)
            list(TopologicalSorter(graph | {"kernel.brain.cohort": closed}).static_order())
    assert needed("kernel.brain.cohort", f"if TYPE_CHECKING:\n    {CLOSING[0]}") == set()


# ---- scripts of the book


def refused(source):
    """Calls of the package in `source` that its functions would refuse, and how many there are in all."""
    names, errors, n = {}, [], 0
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module.partition(".")[0] == "kernel":
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call):
            head, *rest = ast.unparse(node.func).split(".")
            if head not in names or not all(map(str.isidentifier, rest)):
                continue
            n, starred = n + 1, any(isinstance(value, ast.Starred) for value in node.args)
            named = dict.fromkeys(word.arg for word in node.keywords if word.arg)
            whole = not starred and len(named) == len(node.keywords)
            try:
                signature = inspect.signature(pkgutil.resolve_name(".".join([names[head], *rest])))
                bind = signature.bind if whole else signature.bind_partial
                bind(*[None] * (0 if starred else len(node.args)), **named)
            except (AttributeError, TypeError) as error:
                errors.append(f"line {node.lineno}, {ast.unparse(node.func)}: {error}")
    return errors, n


@pytest.mark.parametrize(
    "name", ["build.py", "grid.py", "ledger.py", "pdf.py", "studies/make_report_pictures.py"]
)
def test_scripts_of_the_book_call_the_package_as_it_is(name):
    errors, n = refused((ROOT / "book" / name).read_text(encoding="utf-8"))
    assert not errors and n


@pytest.mark.parametrize("call", ["digest(1, unit=2)", "atomic_path()", "no_such()", "digest(*a, unit=1)"])
def test_the_test_of_calls_can_fail(call):
    assert len(refused(f"from kernel import files\nfiles.{call}")[0]) == 1


# ---- workflows


def test_workflows_follow_the_schema():
    schema = ["--builtin-schema", "vendor.github-workflows"]
    command = [sys.executable, "-m", "check_jsonschema", *schema, *map(str, WORKFLOWS)]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert len(WORKFLOWS) == 3
    assert finished.returncode == 0, finished.stdout + finished.stderr


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_ask_for_little_and_end(path):
    workflow = yaml.safe_load(path.read_text())
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 60
        for step in job["steps"]:
            assert re.fullmatch(r"actions/[\w-]+@v\d+", step.get("uses", "actions/none@v1"))


@pytest.mark.skipif(not shutil.which("actionlint"), reason="no actionlint here; the CI workflow installs it")
def test_workflows_pass_actionlint():
    command = ["actionlint", *map(str, WORKFLOWS)]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr


# ---- no trace of a machine

# hosts in two parts, so that this file names none of them either
TRACES = re.compile(
    r"(?<![\w.:/~])/(?:root|home|tmp|Users)/|"
    r"(?:py(?:pi|thonhosted)|ana(?:conda)|npm(?:js)|download\.py(?:torch))\.org"
)


def tracked_files():
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [path for line in listed.stdout.splitlines() if (path := ROOT / line).is_file()]


def test_no_file_names_a_machine_path_or_a_registry():
    found = []
    for path in tracked_files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # a picture
        found += [f"{path.relative_to(ROOT)}: {match[0]}" for match in TRACES.finditer(text)]
    assert not found


@pytest.mark.parametrize(
    "text", ["see " + "/root" + "/x", "https://pypi" + ".org/simple", "'" + "/tmp" + "/a'"]
)
def test_the_trace_test_can_fail(text):
    assert TRACES.search(text)


def test_the_wheel_serves_another_folder(tmp_path):
    source = tmp_path / "source"
    shutil.copytree(ROOT / "kernel", source / "kernel", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    wheel = [*pip, "wheel", "--no-deps", "--no-build-isolation", "--quiet", "-w", str(tmp_path), str(source)]
    subprocess.run(wheel, check=True)
    (built,) = tmp_path.glob("*.whl")
    shutil.unpack_archive(built, tmp_path / "site", "zip")
    paths = [path for path in (ROOT / "kernel").rglob("*") if "__pycache__" not in path.parts]
    tracked = {path.relative_to(ROOT) for path in paths}
    there = {path.relative_to(tmp_path / "site") for path in (tmp_path / "site" / "kernel").rglob("*")}
    assert tracked == there
    code = "import kernel; from kernel import brain, claims; from kernel.brain import simulate;"
    code += "print(kernel.__file__); claims.load_claims(), kernel.load_faced_table();"
    code += "simulate.simulate_cohort(0, n_subjects=2)"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("KERNEL_")}
    environment["PYTHONPATH"] = str(tmp_path / "site")
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(tmp_path / "site" / "kernel"))


DRAWS = {"n_permutations": 199, "n_slow": 19}


@pytest.mark.assets
def test_the_examples_of_the_readme_run(monkeypatch):
    """As printed, on one bundled model, few texts and draws, simulated people and a quick classifier."""
    construct = kernel.construct_valence_axis
    cohort = simulate_cohort(0, n_subjects=12, window=10.0)[0]
    few = {"n_texts": 30, "progress": False}
    monkeypatch.setattr(kernel, "construct_valence_axis", lambda _: construct("SmolLM2-135M-Instruct", **few))
    monkeypatch.setattr(kernel, "load_cohort", lambda _: cohort)
    monkeypatch.setattr(kernel, "map_vaxis_to_eeg", partial(kernel.map_vaxis_to_eeg, **DRAWS))
    rng = np.random.default_rng(0)
    y, subject = np.tile(np.arange(3), 40), np.repeat(np.arange(10), 12)
    names = {
        "states": rng.standard_normal((2, 576)),
        "classifier": LogisticRegression(),
        "X": np.eye(3)[y] + rng.standard_normal((120, 3)),
        "y": y,
        "X_test": rng.standard_normal((5, 3)),
        "subject": subject,
    }
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.S)
    assert len(blocks) == 3
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)
    assert names["decoding"].predictions.shape == (5,)


@pytest.mark.assets
def test_the_recipes_run_as_printed(tmp_path, monkeypatch):
    """In one go, from top to bottom, on five simulated people in whom pleasant clips are louder."""
    rng = np.random.default_rng(0)
    kinds = ["happy", "proud", "calm", "sad", "afraid", "angry"]
    clips = dict(zip("abcdefghijkl", 2 * kinds, strict=True))

    def epochs(valence):
        order = rng.permutation(list(clips))
        emotions = [clips[c] for c in order]
        loud = np.exp(valence * np.array([-kinds.index(e) for e in emotions]))
        data = 1e-5 * loud[:, None, None] * rng.standard_normal((len(order), 3, 601))
        table = pd.DataFrame({"emotion": emotions, "clip": order})
        events = np.array([[1000 * k, 0, 1] for k in range(len(order))])
        info = mne.create_info(["Fz", "Cz", "Pz"], 200.0, "eeg")
        return mne.EpochsArray(data, info, events, metadata=table, verbose="error")

    names = {name: epochs(0.3) for name in ("anna", "ben", "chris", "dora", "emil")}
    few = partial(kernel.construct_valence_axis, n_texts=30, progress=False)
    monkeypatch.setattr(kernel, "construct_valence_axis", few)
    monkeypatch.setattr(kernel, "map_vaxis_to_eeg", partial(kernel.map_vaxis_to_eeg, **DRAWS))
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "book" / "howto.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, flags=re.S)
    assert len(blocks) == 9
    for block in blocks:
        assert len(block.splitlines()) <= 20 and max(map(len, block.splitlines())) <= 75
        exec(compile(block, "howto.md", "exec"), names)
    assert names["scores"].shape == (2,) and names["axis"].positions["happy"] > 0
    assert names["states"].shape == (1, 1, 576) and (tmp_path / "my_study.nc").is_file()
    assert names["diverse"].predictions.shape == (12 * 3,)
    assert names["projection"].tracking.p < 0.05 and names["projection"].order_removed.p < 0.05
    noise = Cohort.from_epochs([epochs(0) for _ in range(5)])
    assert kernel.map_vaxis_to_eeg(noise, names["positions"]).projection.tracking.p > 0.05


# ---- the size of the house: budgets to be lowered. Checks before long work raised that of lines once, by 250

BUDGET = {"lines": 23_900, "public names": 500, "private names of several files": 4}
#: Functions of more than eight parameters: calls that lead in, and what they hand on.
WIDE = {
    ("ablation", "_directional_ablation"),
    ("bank", "train_bank"),
    ("claims", "record"),
    ("cohort", "from_arrays"),
    ("contest", "contest"),
    ("geometry", "residual_alignment"),
    ("interventions", "run_interventions"),
    ("members", "fit_members"),
    ("networks", "__init__"),
    ("residual", "__init__"),
    ("residual", "residual_ensemble_decoding"),
    ("construct", "construct_valence_axis"),
    ("rediscovery", "map_vaxis_to_eeg"),
    ("training", "optimise"),
}


def test_no_file_is_longer_than_a_reader_can_hold():
    lengths = {path.relative_to(ROOT): len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    assert {name: n for name, n in lengths.items() if n > 600} == {}
    assert sum(lengths.values()) <= BUDGET["lines"]


def test_names_are_few_and_stand_in_one_place():
    public, private = set(), {}
    for path in MODULES:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                if node.name.startswith("_"):
                    private.setdefault(node.name, []).append(path.stem)
                else:
                    public.add(node.name)
    several = [name for name, places in private.items() if len(places) > 1]
    assert len(public) <= BUDGET["public names"]
    assert len(several) <= BUDGET["private names of several files"], sorted(several)


def test_functions_take_few_parameters():
    wide = set()
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                names = [a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
                if len([name for name in names if name not in ("self", "cls")]) > 8:
                    wide.add((path.stem, node.name))
    assert wide == WIDE
