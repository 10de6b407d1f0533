"""The build on a miniature project: never stale, loud when a chapter fails; and the real contents."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import nbformat
import psutil
import pytest

import kernel
from kernel import report

ROOT = Path(__file__).resolve().parents[1]
#: The command line is described by its own help, and in the walk.
NO_PAGE = {"kernel.cli"}

CHAPTER = """\
# %% [markdown]
# # Toy
#
# Some words.

# %% tags=["nbval-check-output"]
import json, os
from pathlib import Path

from kernel.deep.below import answer

with open("runs.txt", "a") as file:
    file.write("x")
Path(os.environ["KERNEL_LEDGER"]).write_text(json.dumps([{"id": "C1.toy", "data": "toy", "value": answer()}]))
print("the answer is", answer())
"""

FILES = {
    "_toc.yml": "format: jb-book\nroot: book/index\nchapters:\n  - file: notebooks/00_toy\n",
    "_config.yml": "title: Toy\nonly_build_toc_files: true\nexecute:\n  execute_notebooks: 'off'\n",
    "constraints.txt": "torch==2.13.0\n",
    "book/index.md": "# Toy book\n\nSee [the chapter](../notebooks/00_toy.ipynb).\n",
    "notebooks/00_toy.py": CHAPTER,
    "kernel/__init__.py": '__version__ = "0"\n',
    "kernel/deep/__init__.py": "",
    "kernel/deep/below.py": "def answer():\n    return 41\n",
}


class Project:
    """A small book with the real build script and the real digests."""

    def __init__(self, folder):
        self.folder = folder
        for name, text in FILES.items():
            self.write(name, text)
        shutil.copy2(ROOT / "book" / "build.py", folder / "book" / "build.py")
        shutil.copy2(ROOT / "kernel" / "files.py", folder / "kernel" / "files.py")

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def read(self, name):
        return (self.folder / name).read_text()

    def build(self, *options):
        started = self.start(*options)
        said, complaints = started.communicate()
        return subprocess.CompletedProcess(started.args, started.returncode, said, complaints)

    def start(self, *options):
        ours = ("KERNEL_LEDGER", "KERNEL_DATA", "PYTHONPATH")
        environment = {name: value for name, value in os.environ.items() if name not in ours}
        return subprocess.Popen(
            [sys.executable, "book/build.py", *options],
            cwd=self.folder,
            env={**environment, "PYTHONDONTWRITEBYTECODE": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @property
    def runs(self):
        return len(self.read("notebooks/runs.txt"))

    def served(self):
        return re.search(r"the answer is (\d+)", self.read("_build/html/notebooks/00_toy.html"))[1]

    def sources(self):
        found = (path for path in self.folder.rglob("*") if path.is_file() and path.name != "runs.txt")
        relative = (path.relative_to(self.folder) for path in found)
        return {path.as_posix(): self.read(path) for path in relative if path.parts[0] != "_build"}


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path)


def ok(finished):
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


READER = """\
# %% [markdown]
# # Reader

# %%
import json, os
from pathlib import Path

book_ledger = Path(os.environ["KERNEL_BOOK_LEDGER"])
print("read", [row["value"] for row in json.loads(book_ledger.read_text())])
Path(os.environ["KERNEL_LEDGER"]).write_text("[]")
"""


def test_a_build_is_incremental_and_never_stale_and_what_reads_the_ledger_is_done_last(project):
    project.write("notebooks/01_reader.py", READER)
    project.write("_toc.yml", FILES["_toc.yml"] + "  - file: notebooks/01_reader\n")
    before = project.sources()
    ok(project.build("--strict"))
    assert project.served() == "41"
    assert (project.folder / "_build/html/index.html").is_file()
    reader = "_build/html/notebooks/01_reader.html"
    assert "read [41]" in project.read(reader)

    again = ok(project.build("--strict"))
    assert project.runs == 1
    assert all(f"{name}: unchanged" in again for name in ("00_toy", "01_reader", "pages"))
    assert project.sources() == before, "a build writes below _build only"

    project.write("notebooks/00_toy.py", CHAPTER.replace("Some words", "Other words"))
    ok(project.build("--strict"))
    assert project.runs == 1, "words alone need no execution"
    assert "Other words" in project.read("_build/html/notebooks/00_toy.html")

    project.write("kernel/deep/below.py", "def answer():\n    return 43\n")
    ok(project.build("--strict"))
    assert project.runs == 2
    assert project.served() == "43" and "read [43]" in project.read(reader)
    assert [row["value"] for row in json.loads(project.read("_build/claims.json"))] == [43]

    contents = FILES["_toc.yml"].replace("00_toy", "01_reader") + "  - file: notebooks/00_toy\n"
    project.write("_toc.yml", contents)
    project.write("notebooks/00_toy.py", CHAPTER.replace("answer()}]", "answer() + 1}]"))
    ok(project.build("--strict"))  # told first, known last
    assert "read [44]" in project.read(reader)

    ok(project.build("--in-place", "01_reader"))  # alone it reads what was committed
    assert "read []" in project.read("notebooks/01_reader.ipynb")
    ok(project.build("--in-place"))
    ok(project.build("--in-place", "01_reader"))
    assert "read [44]" in project.read("notebooks/01_reader.ipynb")
    assert [row["value"] for row in json.loads(project.read("book/claims.json"))] == [44]


SIDE = """\
# %%
import json, os, time
from pathlib import Path

Path(os.environ["KERNEL_LEDGER"]).write_text("[]")
Path("NAME").touch()
for _ in range(600):
    if Path("OTHER").exists():
        break
    time.sleep(0.1)
else:
    raise RuntimeError("alone")
"""


def test_chapters_run_side_by_side(project):
    pair = ("01_left", "02_right")
    for name, other in (pair, pair[::-1]):  # each waits until the other has begun
        project.write(f"notebooks/{name}.py", SIDE.replace("NAME", name).replace("OTHER", other))
    project.write("_toc.yml", FILES["_toc.yml"] + "".join(f"  - file: notebooks/{name}\n" for name in pair))
    ok(project.build("--in-place"))


def test_a_killed_chapter_names_the_cure(project):
    kill = "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)\n"
    project.write("notebooks/00_toy.py", CHAPTER + "\n# %%\n" + kill)
    finished = project.build()
    assert finished.returncode == 1 and "--workers 1" in finished.stderr
    assert "Traceback" not in finished.stderr.split("\n\n")[-1]


def test_inputs_count_as_well(project):
    def digest():
        # of another process: in this one, the package has been imported from elsewhere
        code = "import sys; sys.path.insert(0, 'book'); import build; print(build.environment_digest())"
        command = [sys.executable, "-c", code]
        return subprocess.run(command, cwd=project.folder, capture_output=True, check=True).stdout

    digests = [digest()]
    for name, text in (("constraints.txt", "torch==2.13.1\n"), ("kernel/data/rules.yaml", "rule: other\n")):
        project.write(name, text)
        digests.append(digest())
    assert len(set(digests)) == 3


def test_a_failing_chapter_fails_the_build_by_name(project):
    project.write("notebooks/00_toy.py", CHAPTER + "\n# %%\n1 / 0\n")
    finished = project.build("--strict")
    assert finished.returncode == 1
    assert "notebooks/00_toy.py failed in cell 2" in finished.stderr
    assert "ZeroDivisionError: division by zero" in finished.stderr
    assert not (project.folder / "_build/html/index.html").exists()


def test_a_warning_fails_the_strict_build_each_time(project):
    project.write("book/index.md", "# Toy book\n\nSee [nothing](nowhere.md).\n")
    for _ in range(2):
        finished = project.build("--strict")
        assert finished.returncode == 1
        assert "nowhere.md" in finished.stdout + finished.stderr


def test_in_place_writes_the_same_bytes_each_time(project):
    ok(project.build("--in-place"))
    first = project.sources()
    notebook = json.loads(first["notebooks/00_toy.ipynb"])
    assert [cell["id"] for cell in notebook["cells"]] == ["cell-00", "cell-01"]
    assert "build" not in notebook["metadata"] and "version" not in notebook["metadata"]["language_info"]
    assert json.loads(first["book/claims.json"]) == [{"id": "C1.toy", "data": "toy", "value": 41}]
    ok(project.build("--in-place"))
    assert project.runs == 2
    assert project.sources() == first


def test_a_killed_build_leaves_nothing_computing(project):
    slow = "# %% [markdown]\n# # Slow\n\n# %%\nimport time\n\ntime.sleep(300)\n"
    project.write("notebooks/00_toy.py", slow)
    with project.start() as build:
        try:
            below, end = [], time.monotonic() + 60
            while not any("ipykernel" in " ".join(one.cmdline()) for one in below):
                assert time.monotonic() < end, "no kernel was started"
                time.sleep(0.1)
                below = psutil.Process(build.pid).children(recursive=True)
            time.sleep(3)  # into the cell
            below = psutil.Process(build.pid).children(recursive=True)
        finally:
            build.kill()
        assert psutil.wait_procs(below, timeout=60)[1] == []


def test_as_committed_renders_what_is_stored_and_executes_nothing(project, tmp_path_factory):
    missing = project.build("--as-committed")
    assert missing.returncode == 1
    assert "notebooks/00_toy.ipynb, book/claims.json" in missing.stderr and "make notebooks" in missing.stderr

    ok(project.build("--in-place"))
    project.write("kernel/deep/below.py", "def answer():\n    return 43\n")
    ledger = project.folder / "book" / "claims.json"
    ledger.write_text(ledger.read_text().replace("41", "40"))
    before = project.sources()

    ok(project.build("--as-committed", "--strict"))
    assert project.runs == 1 and project.served() == "41"
    assert json.loads(project.read("_build/claims.json"))[0]["value"] == 40

    elsewhere = tmp_path_factory.mktemp("elsewhere")
    ok(project.build("--as-committed", "--output", str(elsewhere)))
    assert (elsewhere / "_build/html/notebooks/00_toy.html").is_file()
    assert project.runs == 1
    assert project.sources() == before, "rendering writes below _build only"


def test_options_that_exclude_one_another_are_refused(project, monkeypatch, capsys):
    ask = partial(answer, load_build(project.folder), monkeypatch, capsys)
    for options, message in {
        ("--as-committed", "--in-place"): "choose one",
        ("--output", "elsewhere"): "--output is for --as-committed",
        ("--workers", "0"): "at least 1, got 0",
    }.items():
        code, told = ask(*options)
        assert code == 2 and message in told.err
    assert not (project.folder / "_build").exists()


# ---- the real book


def load_build(folder):
    spec = importlib.util.spec_from_file_location("book_build", folder / "book" / "build.py")
    module = importlib.util.module_from_spec(spec)
    path = sys.path.copy()
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path[:] = path
    return module


def answer(build, monkeypatch, capsys, *options):
    """Code and texts of the command line, asked in this process."""
    monkeypatch.setattr(sys, "argv", ["build.py", *options])
    try:
        return build.main(), capsys.readouterr()
    except SystemExit as ended:
        return ended.code, capsys.readouterr()


def test_the_contents_are_the_pages_there_are():
    """The notebook of a chapter is made by executing its script."""
    sources = [*(ROOT / "notebooks").glob("*.py"), *(ROOT / "book").glob("*.md"), ROOT / "CHANGELOG.md"]
    pages = {path.relative_to(ROOT).with_suffix("").as_posix() for path in sources}
    assert set(load_build(ROOT).pages()) == pages


def test_every_chapter_is_validated_once_and_the_long_ones_are_begun_first(monkeypatch, capsys):
    listed = answer(load_build(ROOT), monkeypatch, capsys, "--list")[1].out.split()
    assert sorted(listed) == sorted(f"notebooks/{p.stem}.ipynb" for p in (ROOT / "notebooks").glob("*.py"))
    longest = load_build(ROOT).LONGEST
    assert [Path(name).stem for name in listed[: len(longest)]] == list(longest)


@pytest.mark.parametrize(
    ("processors", "workers", "each"), [(2, 2, "1"), (8, 2, "4"), (1, 4, "1"), (2, 1, "2")]
)
def test_chapters_side_by_side_share_the_processors(monkeypatch, processors, workers, each):
    build = load_build(ROOT)
    monkeypatch.setattr(build.os, "cpu_count", lambda: processors)
    for name in ("KERNEL_PROCESSES", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    assert build.shares(workers) == {"KERNEL_PROCESSES": each, "OMP_NUM_THREADS": each}
    monkeypatch.setenv("KERNEL_PROCESSES", "7")
    assert build.shares(workers)["KERNEL_PROCESSES"] == "7"


def test_their_settings_are_printed_for_the_shell(monkeypatch, capsys):
    monkeypatch.setenv("KERNEL_PROCESSES", "3")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    told = answer(load_build(ROOT), monkeypatch, capsys, "--shares", "--workers", "1")[1]
    assert told.out.split() == ["KERNEL_PROCESSES=3", f"OMP_NUM_THREADS={os.cpu_count()}"]


def test_every_module_has_one_page_of_the_api_and_every_public_name_a_line():
    pages = {path: path.read_text(encoding="utf-8") for path in (ROOT / "book").glob("api*.md")}
    overview = pages.pop(ROOT / "book" / "api.md")
    documented = re.findall(r"^\.\. automodule:: (\S+)$", "".join(pages.values()), re.M)
    modules = [path.relative_to(ROOT).with_suffix("") for path in (ROOT / "kernel").rglob("*.py")]
    names = {".".join(path.parts) for path in modules if not path.name.startswith("__")}
    assert names - set(documented) == NO_PAGE and len(documented) == len(set(documented))
    listed = re.findall(r"^   ~?(kernel\S+)$", overview, re.M)
    public = {f"{home}.{name}" for name, home in kernel._HOMES.items()}
    assert sorted(listed) == sorted({*documented, *public}), "each name once, with its task"


def test_every_part_of_a_report_is_explained():
    explained = re.findall(r"\*\*(.+?)\*\*", (ROOT / "book" / "howto.md").read_text(encoding="utf-8"))
    headings = re.findall(r"<h[12]>([^<{]+)<", (ROOT / "kernel" / "report.py").read_text(encoding="utf-8"))
    titles = {*headings, *report._TITLES.values()}
    assert len(titles) == len(report._TITLES) + 6 and titles <= set(explained)


SOURCES = [*ROOT.glob("*.md"), *(ROOT / "book").glob("*.md"), *(ROOT / "notebooks").glob("*.py")]


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_internal_links_lead_somewhere(source):
    """To a file, or to a notebook, which is made by executing its script."""
    targets = re.findall(r"\]\(([^)\s#]+)(?:#[^)]*)?\)", source.read_text(encoding="utf-8"))
    internal = [source.parent / target for target in targets if not re.match(r"[a-z]+:", target)]
    assert [path for path in internal if not (path.exists() or path.with_suffix(".py").is_file())] == []


def test_every_citation_is_in_the_bibliography():
    known = set(re.findall(r"^@\w+\{([^,]+),", (ROOT / "book" / "references.bib").read_text(), re.M))
    cited = set()
    for source in SOURCES:
        for keys in re.findall(r"\{cite:\w+\}`([^`]+)`", source.read_text(encoding="utf-8")):
            cited |= {key.strip() for key in keys.split(",")}
    assert cited and cited <= known, f"not in references.bib: {sorted(cited - known)}"


def test_stored_tables_and_data_at_hand_enter_the_digest(tmp_path, monkeypatch):
    """A single file under KERNEL_DATA counts as well as a folder of them, and so do tables and the mirror."""
    build = load_build(ROOT)
    monkeypatch.setattr(build, "RESULTS", tmp_path / "results")
    seen = [build.environment_digest()]

    def changed():
        seen.append(build.environment_digest())
        return len(set(seen)) == len(seen)

    def write(name, text):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    for name, text in (("cells.csv", "r\n0.1\n"), ("cells.csv", "r\n0.2\n"), ("manifest.json", "{}")):
        write(f"results/faced/{name}", text)
        assert changed()
    write("cohort.nc", "one")
    write("mirror/faced/sub000.pkl.pkl", "one")
    for name, place, file in (
        ("KERNEL_DATA", "cohort.nc", "cohort.nc"),
        ("KERNEL_DATA", "mirror", "mirror/faced/sub000.pkl.pkl"),
        ("KERNEL_MIRROR", "mirror", "mirror/faced/sub000.pkl.pkl"),
    ):
        monkeypatch.setenv(name, os.path.relpath(tmp_path / place))
        assert changed()
        write(file, name + place)
        assert changed()
    monkeypatch.setenv("KERNEL_DEVICE", "meta")
    assert changed()
    monkeypatch.setenv("KERNEL_CACHE", str(tmp_path / "assets"))
    write("assets/assets/faced-1/manifest.json", "{}")
    assert changed()
    assert build.environment_digest() == seen[-1]


def test_chapters_find_what_was_named_from_another_folder(tmp_path, monkeypatch):
    build = load_build(ROOT)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("KERNEL_DATA", "own.nc")
    monkeypatch.setenv("KERNEL_CACHE", "~/cache")
    monkeypatch.setenv("KERNEL_MIRROR", "https://example.org/mirror")
    found = build._child_environment()
    assert found["KERNEL_DATA"] == str(tmp_path / "own.nc")
    assert found["KERNEL_CACHE"] == str(tmp_path / "home" / "cache")
    assert found["KERNEL_MIRROR"] == "https://example.org/mirror"


@pytest.mark.parametrize(
    ("named", "told"), [("my data/own.nc", "{here}/my data/own.nc"), ("/a b/c", "/a b/c"), ("", "")]
)
def test_make_names_places_as_its_caller_does(named, told):
    text = (ROOT / "Makefile").read_text().split("\n.PHONY")[0] + '\ntell:\n\t@echo "$$KERNEL_DATA"\n'
    done = subprocess.run(
        ["make", "-s", "-f", "-", "tell"], input=text, cwd=ROOT, capture_output=True, text=True, check=True,
        env=os.environ | {"KERNEL_DATA": named},
    )  # fmt: skip
    assert done.stdout == told.format(here=ROOT) + "\n"


def test_make_help_lists_every_target():
    done = subprocess.run(["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    targets = re.search(r"\.PHONY: (.*)", (ROOT / "Makefile").read_text()).group(1).split()
    assert [line.split()[:2] for line in done.stdout.splitlines()] == [["make", name] for name in targets]
    assert done.stdout == subprocess.run(["make", "-s"], cwd=ROOT, capture_output=True, text=True).stdout


# ---- what a page shows of code


def test_long_and_wide_code_is_folded_and_short_code_is_not():
    build = load_build(ROOT)
    sources = ["x = 1", "x = 1\n" * 9, "y = " + "1" * 80, "z = 1\n" * 9]
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    cells[3].metadata["tags"] = ["remove-input"]
    notebook = nbformat.v4.new_notebook(cells=[*cells, nbformat.v4.new_markdown_cell("long " * 40)])
    tags = [cell.metadata.get("tags", []) for cell in build.folded(notebook).cells]
    assert tags == [[], ["hide-input"], ["hide-input"], ["remove-input"], []]
    assert "tags" not in notebook.cells[1].metadata
