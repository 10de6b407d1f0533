"""Execute the chapters and render the book; nothing served is ever staler than its sources.

A chapter is executed again when its own code, the package's source and data, the lock, or the interpreter changes.
Executed copies, the ledger and the rendered pages live in ``_build``; the working tree is only written by
``--in-place``, which refreshes the committed notebooks and the committed ledger.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

import jupytext
import nbformat
import yaml
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from kernel import files

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "_build"
EXECUTED, STAGE, HTML = BUILD / "executed", BUILD / "source", BUILD / "html"
CELL_TIMEOUT = 1800


class BuildError(RuntimeError):
    """The book could not be built; the message says where and why."""


def chapters() -> list[Path]:
    """The notebooks' scripts, in order."""
    return sorted((ROOT / "notebooks").glob("*.py"))


def chapter_digest(script: Path) -> str:
    """What the output of a chapter depends on: its code, the package, the lock and the interpreter."""
    lock = (ROOT / "constraints.txt").read_bytes()
    return files.digest(files.source_digest(), lock, script.read_bytes(), platform.python_version())


def execute(script: Path, ledger: Path) -> nbformat.NotebookNode:
    """Run a percent script as a notebook, with results recorded in `ledger`."""
    notebook = jupytext.read(script)
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"{script.stem.replace('_', '-')}-{number}"  # stable, so that diffs are small
    client = NotebookClient(notebook, timeout=CELL_TIMEOUT, kernel_name="python3", record_timing=False)
    environment = {**os.environ, "KERNEL_LEDGER": str(ledger), "TOKENIZERS_PARALLELISM": "false"}
    try:
        client.execute(cwd=str(script.parent), env=environment)
    except CellExecutionError as error:
        raise BuildError(f"notebooks/{script.name} failed:\n{error}") from error
    notebook.metadata.pop("widgets", None)
    notebook.metadata["language_info"] = {"name": "python"}  # the version would differ between machines
    return notebook


def write_notebook(notebook: nbformat.NotebookNode, target: Path) -> None:
    """Write atomically."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with files.atomic_path(target) as temporary:
        nbformat.write(notebook, temporary)


def run_chapters() -> bool:
    """Execute what is out of date into ``_build``; True if anything was executed."""
    ledger = BUILD / "claims.json"
    changed = False
    EXECUTED.mkdir(parents=True, exist_ok=True)
    for script in chapters():
        target, stamp = EXECUTED / f"{script.stem}.ipynb", EXECUTED / f"{script.stem}.digest"
        digest = chapter_digest(script)
        if target.exists() and stamp.exists() and stamp.read_text() == digest:
            print(f"{script.stem}: up to date", flush=True)
            continue
        print(f"{script.stem}: executing ...", end=" ", flush=True)
        start = time.monotonic()
        stamp.unlink(missing_ok=True)
        write_notebook(execute(script, ledger), target)
        stamp.write_text(digest)
        print(f"{time.monotonic() - start:.0f} s", flush=True)
        changed = True
    return changed


def run_in_place() -> None:
    """Refresh the committed notebooks and the committed ledger."""
    ledger = ROOT / "book" / "claims.json"
    for script in chapters():
        print(f"{script.stem}: executing ...", end=" ", flush=True)
        start = time.monotonic()
        write_notebook(execute(script, ledger), script.with_suffix(".ipynb"))
        print(f"{time.monotonic() - start:.0f} s", flush=True)


def stage() -> None:
    """Lay out the book's sources with the executed chapters in place."""
    from kernel import claims

    shutil.rmtree(STAGE, ignore_errors=True)
    STAGE.mkdir(parents=True)
    for name in ("_config.yml", "_toc.yml", "CHANGELOG.md"):
        shutil.copy2(ROOT / name, STAGE / name)
    shutil.copytree(ROOT / "book", STAGE / "book", ignore=shutil.ignore_patterns("*.py", "*.json", "__pycache__"))
    (STAGE / "notebooks").mkdir()
    for script in chapters():
        shutil.copy2(EXECUTED / f"{script.stem}.ipynb", STAGE / "notebooks" / f"{script.stem}.ipynb")
    page = STAGE / "book" / "claims.md"
    page.write_text(page.read_text() + "\n" + claims.ledger_markdown(BUILD / "claims.json"))


def render(strict: bool) -> None:
    """Run Jupyter Book on the staged sources."""
    command = [sys.executable, "-m", "jupyter_book", "build", str(STAGE), "--path-output", str(BUILD / "book"), "--all"]
    command += ["-W", "-n", "--keep-going"] if strict else []
    if subprocess.run(command, cwd=ROOT).returncode:
        raise BuildError("Jupyter Book failed; its messages are above")
    built = BUILD / "book" / "_build" / "html"
    missing = [page for page in pages() if not (built / f"{page}.html").exists()]
    if missing or not (built / "index.html").exists():
        raise BuildError(f"pages are missing from the book: {missing or ['index']}")
    shutil.rmtree(HTML, ignore_errors=True)
    shutil.copytree(built, HTML)


def pages() -> list[str]:
    """Every page named in the table of contents, without suffix."""

    def walk(node):
        if isinstance(node, dict):
            for key, value in node.items():
                if key in ("root", "file"):
                    yield value
                else:
                    yield from walk(value)
        elif isinstance(node, list):
            for item in node:
                yield from walk(item)

    return list(walk(yaml.safe_load((ROOT / "_toc.yml").read_text())))


def page_digest() -> str:
    """What the rendered pages depend on besides the executed chapters."""
    sources = [p for p in sorted((ROOT / "book").rglob("*")) if p.is_file() and "__pycache__" not in p.parts]
    sources += [ROOT / name for name in ("_config.yml", "_toc.yml", "CHANGELOG.md", "constraints.txt")]
    executed = sorted(EXECUTED.glob("*.digest"))
    ledger = BUILD / "claims.json"
    return files.digest(
        files.source_digest(),
        [(str(p.relative_to(ROOT)), p.read_bytes()) for p in sources + executed],
        ledger.read_bytes() if ledger.exists() else b"",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--strict", action="store_true", help="treat every warning of the book as an error")
    parser.add_argument("--in-place", action="store_true", help="refresh the committed notebooks and ledger, no book")
    options = parser.parse_args()
    try:
        if options.in_place:
            run_in_place()
            return
        run_chapters()
        stamp, digest = BUILD / "book.json", page_digest()
        wanted = {"digest": digest, "strict": options.strict}
        if (HTML / "index.html").exists() and stamp.exists() and json.loads(stamp.read_text()) == wanted:
            print("the book is up to date")
            return
        stamp.unlink(missing_ok=True)
        stage()
        render(options.strict)
        stamp.write_text(json.dumps(wanted))
    except BuildError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
