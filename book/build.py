"""Compute the book: execute the chapters that changed, generate the ledger page, render everything.

A chapter is executed again whenever its code, any source of the package, the pinned or installed versions,
the stored tables or the data at hand change; then every page is rendered anew. All goes to ``_build``, except
for ``--in-place``, which writes ``notebooks/*.ipynb`` and ``book/claims.json``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from importlib.metadata import distributions
from multiprocessing import get_context, parent_process
from pathlib import Path

import jupytext
import nbformat
import yaml
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parents[1]
EXECUTED = ROOT / "_build" / "executed"
LEDGER = ROOT / "book" / "claims.json"
MOST_LINES, MOST_WIDE = 8, 76  # of code that a page shows unfolded
RESULTS = ROOT / "book" / "results"
#: Begun first, so that no process is left with a long chapter at the end; when 02 begins, 01 has stored the
#: states of language models that both read.
LONGEST = tuple(
    "01_axis 14_seed_v 07_classifiers 15_online 02_sentiment 11_saturation 00_quickstart 08_rediscovery "
    "10_alignment 12_ensemble 05_projection 13_two_tier".split()
)
STAGED = ("_config.yml", "_toc.yml", "CHANGELOG.md")

# the last says that joblib has replaced a worker, which depends on the machine and changes no result
QUIET_WARNINGS = ("ignore::DeprecationWarning", "ignore:IProgress not found", "ignore:A worker stopped while")

sys.path.insert(0, str(ROOT))  # the package of this very tree, whatever else is installed
from kernel import files  # noqa: E402


class BuildError(RuntimeError):
    """The book could not be built."""


# ---- what belongs to the book


def pages(toc: Path = ROOT / "_toc.yml") -> list[str]:
    """Every page of the table of contents, root first, as paths without ending."""

    def walk(node: object) -> Iterator[str]:
        if isinstance(node, dict):
            yield from (str(node[key]) for key in ("root", "file") if key in node)
            for key in ("parts", "chapters", "sections"):
                yield from walk(node.get(key))
        elif isinstance(node, list):
            for child in node:
                yield from walk(child)

    return list(walk(yaml.safe_load(toc.read_text(encoding="utf-8"))))


def chapters(names: Iterable[str] = ()) -> list[Path]:
    """The percent scripts of the table of contents, or those whose name holds one of `names`."""
    scripts = [ROOT / f"{page}.py" for page in pages() if page.startswith("notebooks/")]
    missing = [str(script.relative_to(ROOT)) for script in scripts if not script.is_file()]
    if missing:
        raise BuildError(f"_toc.yml names chapters that do not exist: {', '.join(missing)}")
    names = list(names)
    chosen = [script for script in scripts if not names or any(name in script.stem for name in names)]
    if not chosen:
        raise BuildError(f"no chapter matches {names}: choose from {[script.stem for script in scripts]}")
    return chosen


# ---- executing chapters


def read_chapter(script: Path) -> NotebookNode:
    """A percent script as a notebook whose identifiers depend on position alone, so that diffs stay small."""
    notebook = jupytext.read(script, fmt="py:percent")
    for index, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{index:02d}"
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    notebook.metadata["language_info"] = {"name": "python", "pygments_lexer": "ipython3"}
    return notebook


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def environment_digest() -> str:
    """Digest of all that can change a number besides a chapter's own code."""
    versions = sorted(f"{d.metadata['Name']}=={d.version}" for d in distributions())
    lock = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    return _sha256(
        files.source_digest(), lock, *versions, platform.python_version(), platform.machine(),
        os.environ.get("KERNEL_DEVICE", ""), *_data(),
    )  # fmt: skip


def _data() -> Iterator[str]:
    """Digests of the stored tables; names, sizes and times of data at hand, too large to hash each time."""
    for path in sorted(path for path in RESULTS.rglob("*") if path.is_file()):
        yield f"{path.relative_to(RESULTS)} {hashlib.sha256(path.read_bytes()).hexdigest()}"
    fetched = files.cache_dir("assets", create=False).glob("*/manifest.json")
    yield from sorted(path.parent.name for path in fetched)
    for name in ("KERNEL_DATA", "KERNEL_MIRROR"):
        place = files.places().get(name, "")
        yield place
        if place and not place.lower().startswith("http"):
            yield from files.state(place)


def _sha256(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def executed_chapter(
    script: Path, environment: str, *, so_far: str | None = None, force: bool = False
) -> NotebookNode:
    """A chapter with its outputs, from the cache if nothing that counts has changed.

    The rows that it adds to the ledger are in the metadata under ``build``. Text cells are always current:
    only code enters the key, and for a chapter that reads the book's ledger the text of that, `so_far`.
    """
    notebook = read_chapter(script)
    code = [cell.source + json.dumps(cell.metadata, sort_keys=True) for cell in code_cells(notebook)]
    # rows come sorted from the cache
    known = "" if so_far is None else json.dumps(json.loads(so_far), sort_keys=True)
    key = _sha256(environment, *code, known)
    stored = EXECUTED / f"{script.stem}.ipynb"
    if not force and stored.is_file():
        cached = nbformat.read(stored, as_version=4)
        if cached.metadata.get("build", {}).get("key") == key:
            for cell, done in zip(code_cells(notebook), code_cells(cached), strict=True):
                cell.outputs, cell.execution_count = done.outputs, done.execution_count
            notebook.metadata["build"] = cached.metadata["build"]
            print(f"  {script.stem}: unchanged", flush=True)
            return notebook
    started = time.monotonic()
    print(f"  {script.stem}: executing ...", flush=True)
    if so_far is not None:
        write_atomically(EXECUTED / f"{script.stem}.so_far.json", so_far)
    notebook.metadata["build"] = {"key": key, "claims": execute(notebook, script)}
    write_atomically(stored, nbformat.writes(notebook))
    print(f"  {script.stem}: {time.monotonic() - started:.0f} s", flush=True)
    return notebook


def execute(notebook: NotebookNode, script: Path) -> list[dict]:
    """Run all cells where the chapter lies, with a ledger of its own; returns the rows written there."""
    EXECUTED.mkdir(parents=True, exist_ok=True)
    ledger = EXECUTED / f"{script.stem}.claims.json"
    ledger.unlink(missing_ok=True)
    environment = {
        **_child_environment(),
        "KERNEL_LEDGER": str(ledger),
        "KERNEL_BOOK_LEDGER": str(EXECUTED / f"{script.stem}.so_far.json"),
    }
    client = NotebookClient(
        notebook,
        timeout=None,
        kernel_name="python3",
        record_timing=False,
        extra_arguments=["--log-level=40"],  # errors only: a notice at each start would bury the progress
        resources={"metadata": {"path": str(script.parent)}},
    )
    try:
        client.execute(env=environment)
    except CellExecutionError as error:
        raise BuildError(_failure(notebook, script, error)) from None
    notebook.metadata["language_info"] = {"name": "python", "pygments_lexer": "ipython3"}
    return json.loads(ledger.read_text(encoding="utf-8")) if ledger.is_file() else []


def _child_environment() -> dict[str, str]:
    """That of this process for one that works in another folder."""
    quiet = {
        "TOKENIZERS_PARALLELISM": "false",
        "TQDM_DISABLE": "1",  # one line a chapter is progress enough; bars would be stored as outputs
        "PYTHONWARNINGS": ",".join(QUIET_WARNINGS),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        "JUPYTER_PREFER_ENV_PATH": "1",
    }
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return {**os.environ, **files.places(), **quiet, "PYTHONPATH": path}


def longest_first(scripts: Iterable[Path]) -> list[Path]:
    """Chapters in the order in which they should be begun."""
    place = {name: number for number, name in enumerate(LONGEST)}
    return sorted(scripts, key=lambda script: place.get(script.stem, len(place)))


def _failure(notebook: NotebookNode, script: Path, error: CellExecutionError) -> str:
    for index, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                traceback = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(output.traceback))
                return f"{script.relative_to(ROOT)} failed in cell {index}:\n\n{cell.source}\n\n{traceback}"
    return f"{script.relative_to(ROOT)} failed:\n{error}"


def shares(workers: int) -> dict[str, str]:
    """What chapters side by side may use each: more processes than processors would only get in their way."""
    each = str(max(1, (os.cpu_count() or 1) // workers))
    return {name: os.environ.get(name, each) for name in ("KERNEL_PROCESSES", "OMP_NUM_THREADS")}


def _begin(workers: int) -> None:
    """Take a share of the processors; end with the build if that is killed, together with the own kernel."""
    os.environ.update(shares(workers))

    def watch() -> None:
        build = parent_process()
        if build is not None:
            build.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def execute_all(
    scripts: Iterable[Path], *, force: bool = False, kept: Iterable[dict] = (), workers: int = 1
) -> dict[Path, NotebookNode]:
    """All chapters executed, some side by side; those that fail are reported together at the end.

    A chapter that reads the book's ledger waits for those that do not, whose rows it finds on top of `kept`.
    """
    environment, kept = environment_digest(), list(kept)
    scripts = sorted(longest_first(scripts), key=_reads_ledger)  # the story is told first and known last
    done: dict[Path, NotebookNode] = {}
    failures: dict[Path, str] = {}

    def settle(waiting: dict[Path, Future]) -> None:
        for script, future in waiting.items():
            try:
                done[script] = future.result()
            except BuildError as error:
                failures[script] = str(error)
                print(f"  {script.stem}: FAILED", flush=True)
            except BrokenProcessPool:
                raise BuildError(
                    f"the process of {script.stem} or of a chapter beside it was killed, which happens where "
                    "memory runs out: free some, or build with --workers 1"
                ) from None
        waiting.clear()

    # processes, not threads: an interruption reaches each, and each stops its own kernel
    with ProcessPoolExecutor(workers, get_context("spawn"), initializer=_begin, initargs=(workers,)) as pool:
        waiting: dict[Path, Future] = {}
        for script in scripts:
            so_far = None
            if _reads_ledger(script):
                settle(waiting)
                so_far = merge_ledgers(done.values(), into=kept)
            waiting[script] = pool.submit(executed_chapter, script, environment, so_far=so_far, force=force)
        settle(waiting)
    if failures:
        raise BuildError("\n\n".join(failures.values()))
    return done


def _reads_ledger(script: Path) -> bool:
    return "book_ledger" in script.read_text(encoding="utf-8")


def merge_ledgers(notebooks: Iterable[NotebookNode], *, into: Iterable[dict] = ()) -> str:
    """One ledger of all chapters' rows; the later wins where two judge one claim on the same data."""
    rows = {(row["id"], row["data"]): row for row in into}
    for notebook in notebooks:
        rows.update({(row["id"], row["data"]): row for row in notebook.metadata["build"]["claims"]})
    return json.dumps([rows[key] for key in sorted(rows)], indent=1, ensure_ascii=False) + "\n"


# ---- writing


def write_atomically(target: Path, text: str) -> None:
    """Write a text file in one step, and not at all if it holds that text already."""
    if target.is_file() and target.read_text(encoding="utf-8") == text:
        return
    with files.atomic_path(target) as temporary:
        temporary.write_text(text, encoding="utf-8")


def publishable(notebook: NotebookNode) -> str:
    """A notebook as it is committed and rendered: without the build's own notes."""
    notebook = nbformat.from_dict({**notebook, "metadata": {**notebook.metadata}})
    notebook.metadata.pop("build", None)
    nbformat.validate(notebook)
    return nbformat.writes(notebook)


def folded(notebook: NotebookNode) -> NotebookNode:
    """A notebook whose long or wide code is folded on the page: what is shown fits the page and is read."""
    copy = nbformat.from_dict(notebook)
    for cell in copy.cells:
        lines = cell.source.splitlines()
        if cell.cell_type == "code" and (len(lines) > MOST_LINES or any(len(x) > MOST_WIDE for x in lines)):
            tags = cell.metadata.setdefault("tags", [])
            if not {"hide-input", "hide-cell", "remove-input", "remove-cell"} & set(tags):
                tags.append("hide-input")
    return copy


def run_in_place(names: Iterable[str], *, workers: int) -> None:
    """Execute chapters again and write the committed pairs and the committed ledger."""
    names = list(names)
    kept = json.loads(LEDGER.read_text(encoding="utf-8")) if names and LEDGER.is_file() else []
    done = execute_all(chapters(names), force=True, kept=kept, workers=workers)
    for script, notebook in done.items():
        write_atomically(script.with_suffix(".ipynb"), publishable(notebook) + "\n")
    write_atomically(LEDGER, merge_ledgers(done.values(), into=kept))


# ---- rendering


def committed() -> tuple[dict[Path, NotebookNode], str]:
    """The chapters and the ledger as they are stored in ``notebooks/`` and ``book/``; nothing is executed."""
    scripts = chapters()
    stored = [*(script.with_suffix(".ipynb") for script in scripts), LEDGER]
    if missing := [str(path.relative_to(ROOT)) for path in stored if not path.is_file()]:
        raise BuildError(
            f"not there to be rendered: {', '.join(missing)}; run `make notebooks` to compute them"
        )
    done = {script: nbformat.read(script.with_suffix(".ipynb"), as_version=4) for script in scripts}
    return done, LEDGER.read_text(encoding="utf-8")


def stage(target: Path, done: dict[Path, NotebookNode], rows: str) -> str:
    """Lay out the sources of the pages with the ledger's `rows`; returns the digest of all of them."""
    ledger, source = target / "claims.json", target / "source"
    write_atomically(ledger, rows)
    shutil.rmtree(source, ignore_errors=True)
    source.mkdir(parents=True)
    for name in STAGED:
        if (ROOT / name).is_file():
            shutil.copy2(ROOT / name, source / name)
    shutil.copytree(
        ROOT / "book",
        source / "book",
        ignore=shutil.ignore_patterns("build.py", "*.json", "results", "__pycache__"),
    )
    for script, notebook in done.items():
        write_atomically(source / "notebooks" / f"{script.stem}.ipynb", publishable(folded(notebook)))
        shutil.copy2(script, source / "notebooks" / script.name)  # to be downloaded
    page = source / "book" / "claims.md"
    if page.is_file():
        from ledger import ledger_markdown  # beside this script

        text = page.read_text(encoding="utf-8")
        page.write_text(f"{text}\n{ledger_markdown(ledger)}", encoding="utf-8")
    found = sorted(path for path in source.rglob("*") if path.is_file())
    contents = (f"{p.relative_to(source)} {hashlib.sha256(p.read_bytes()).hexdigest()}" for p in found)
    return _sha256(*contents)


def render(target: Path, key: str, *, strict: bool) -> None:
    """Run Jupyter Book on the staged sources, in full unless nothing has changed since the last success.

    A partial render is never attempted: it would be silent about warnings that an earlier one has told.
    """
    rendered, source, html = (target / name for name in ("rendered.txt", "source", "html"))
    if rendered.is_file() and rendered.read_text(encoding="utf-8") == key and not missing_pages(html):
        print("  pages: unchanged", flush=True)
        return
    rendered.unlink(missing_ok=True)
    shutil.rmtree(html, ignore_errors=True)
    shutil.rmtree(target / ".doctrees", ignore_errors=True)
    started = time.monotonic()
    options = ["-W", "-n", "--keep-going"] if strict else []
    code = "from jupyter_book.cli.main import main; main()"
    command = [sys.executable, "-c", code, "build", str(source), "--path-output", str(target.parent), "-q"]
    finished = subprocess.run(
        [*command, *options],
        cwd=source,
        env={
            **_child_environment(),
            "PYTHONWARNINGS": "ignore",
            "KERNEL_BOOK_LEDGER": str((target / "claims.json").resolve()),
        },
        check=False,
    )
    if finished.returncode:
        raise BuildError("the pages could not be rendered cleanly: the warnings above name the places")
    if missing := missing_pages(html):
        raise BuildError(f"rendered, but these pages are missing: {', '.join(missing)}")
    write_atomically(rendered, key)
    print(f"  pages: {time.monotonic() - started:.0f} s", flush=True)


def missing_pages(html: Path) -> list[str]:
    """Pages that the table of contents promises and the built book does not hold."""
    wanted = ["index.html", *(f"{page}.html" for page in pages())]
    return [page for page in wanted if not (html / page).is_file() or not (html / page).stat().st_size]


def build(*, strict: bool, workers: int) -> None:
    done = execute_all(chapters(), workers=workers)
    lay_out(ROOT / "_build", done, merge_ledgers(done.values()), strict=strict)


def lay_out(target: Path, done: dict[Path, NotebookNode], rows: str, *, strict: bool) -> None:
    staged = stage(target, done, rows)
    settings = [os.environ.get(name, "") for name in ("KERNEL_REPOSITORY", "KERNEL_INVENTORIES")]
    render(target, _sha256(staged, environment_digest(), str(strict), *settings), strict=strict)
    print(f"The book is at {target / 'html' / 'index.html'}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description="Compute the book.")
    for flag, text in {
        "--strict": "treat every warning as an error",
        "--in-place": "execute notebooks/*.ipynb and book/claims.json anew",
        "--as-committed": "render the stored outputs and ledger, execute nothing",
        "--list": "print the chapters, the longest first, and do nothing",
        "--shares": "print what each of --workers may use, and do nothing",
    }.items():
        parser.add_argument(flag, action="store_true", help=text)
    elsewhere = "with --as-committed: render to DIR/_build/html"
    parser.add_argument("--output", type=Path, metavar="DIR", help=elsewhere)
    some = "with --in-place: only chapters whose name holds one of these"
    parser.add_argument("names", nargs="*", help=some)
    parser.add_argument("--workers", type=int, default=2, help="chapters side by side, of up to 3 GB each")
    options = parser.parse_args()
    if options.list:
        print(*(script.with_suffix(".ipynb").relative_to(ROOT) for script in longest_first(chapters())))
        return 0
    if options.workers < 1:
        parser.error(f"--workers must be at least 1, got {options.workers}")
    if options.shares:
        print(*(f"{name}={value}" for name, value in shares(options.workers).items()))
        return 0
    if options.names and not options.in_place:
        parser.error("names are for --in-place")
    if options.in_place and options.as_committed:
        parser.error("--in-place executes and --as-committed does not: choose one")
    if options.output and not options.as_committed:
        parser.error("--output is for --as-committed")
    try:
        if options.in_place:
            run_in_place(options.names, workers=options.workers)
        elif options.as_committed:
            target = files.absolute(options.output or ROOT).resolve() / "_build"
            lay_out(target, *committed(), strict=options.strict)
        else:
            build(strict=options.strict, workers=options.workers)
    except BuildError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
