"""Every chapter is a reviewed script and its executed pair, checked against what the code gives today."""

from __future__ import annotations

import base64
import re
import subprocess
import sys
from pathlib import Path

import jupytext
import nbformat
import pytest

from kernel import claims

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = sorted((ROOT / "notebooks").glob("*.py"))
CHECKED = "nbval-check-output"
# what would differ on another machine: paths, addresses of objects, the names of temporary cells
MACHINE = re.compile(
    r"(?<![\w.:/~])/(?:root|home|tmp|Users)/\w|\bat 0x[0-9a-f]{6,}|ipykernel_\d+|[A-Z]:\\Users"
)

every_chapter = pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)


def executed(script):
    pair = script.with_suffix(".ipynb")
    if not pair.is_file():
        pytest.fail(f"notebooks/{pair.name} is missing: run `make notebooks` and commit it", pytrace=False)
    return nbformat.read(pair, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]


def content(notebook):
    """What a percent script and its pair share: kind, text and tags of every cell."""
    return [(cell.cell_type, cell.source, cell.metadata.get("tags", [])) for cell in notebook.cells]


def texts(cell):
    """All text that a cell has put out."""
    for output in cell.outputs:
        yield output.get("text", "")
        yield from output.get("traceback", [])
        yield from (value for kind, value in output.get("data", {}).items() if kind.startswith("text/"))


def test_there_are_chapters():
    assert SCRIPTS, "notebooks/ holds no chapter"
    strays = {p.stem for p in (ROOT / "notebooks").glob("*.ipynb")} - {p.stem for p in SCRIPTS}
    assert not strays, f"notebooks without a percent script: {sorted(strays)}"


@every_chapter
def test_pairs_hold_the_same_cells(script):
    as_script = jupytext.reads(jupytext.writes(executed(script), fmt="py:percent"), fmt="py:percent")
    assert content(as_script) == content(jupytext.read(script, fmt="py:percent"))


@every_chapter
def test_every_cell_has_run_in_order(script):
    cells = code_cells(executed(script))
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))


@every_chapter
def test_no_output_is_an_error_or_noise_or_tells_of_a_machine(script):
    for cell in code_cells(executed(script)):
        kinds = [output.get("name") or output.output_type for output in cell.outputs]
        assert not {"error", "stderr"} & set(kinds), f"{cell.source}\n{''.join(texts(cell))}"
        for text in texts(cell):
            found = MACHINE.search(text)
            assert not found, f"{found[0]!r} in the output of:\n{cell.source}"


@every_chapter
def test_some_output_is_checked_and_every_checked_output_is_stored(script):
    # nbval passes a checked cell without stored output, so such a cell would check nothing
    checked = [cell for cell in code_cells(executed(script)) if CHECKED in cell.metadata.get("tags", [])]
    assert checked, f"tag a cell of {script.name} with {CHECKED}"
    for cell in checked:
        assert any(text.strip() for text in texts(cell)), f"nothing stored to compare:\n{cell.source}"


@every_chapter
def test_every_chapter_ends_in_ledger_rows(script):
    notebook = executed(script)
    sources = [cell.source for cell in code_cells(notebook)]
    # the tour judges nothing; the verdict and the story read what others have recorded
    if script.stem.startswith("00_") or any("book_ledger" in source for source in sources):
        assert not any("claims.record(" in source for source in sources)
        return
    exercises = [n for n, cell in enumerate(notebook.cells) if re.search("(?m)^## Try it$", cell.source)]
    before, after = notebook.cells[: exercises[0]], notebook.cells[exercises[0] :]
    assert "claims.show(" in [cell for cell in before if cell.cell_type == "code"][-1].source
    assert not any("claims." in cell.source for cell in after if cell.cell_type == "code")
    rows = claims.read_ledger(ROOT / "book" / "claims.json")
    assert script.stem in {claims.load_claim(row.id).chapter for row in rows}


def prose(notebook):
    """Words of a chapter's text, without headings, addresses and numbers."""
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    text = re.sub(r"(?m)^#.*$|\]\([^)]*\)|\{\w[\w:]*\}`[^`]*`", "", text)
    return re.findall(r"[^\W\d_][\w'\u2019-]*", text)


def test_the_story_is_read_in_five_minutes_and_shows_five_pictures_and_no_code():
    notebook = executed(ROOT / "notebooks" / "17_story.py")
    assert 600 <= len(prose(notebook)) <= 900
    cells = code_cells(notebook)
    assert all({"remove-cell", "remove-input"} & set(cell.metadata["tags"]) for cell in cells)
    shown = [cell for cell in cells if "remove-cell" not in cell.metadata["tags"]]
    assert [set(cell.outputs[0].data) for cell in shown] == [{"image/svg+xml", "text/plain"}] * 5
    captions = [cell.metadata["mystnb"]["figure"]["caption"] for cell in shown]
    assert all(re.match(r"\*\*[A-Z][^*]+[.)]\*\*", caption) for caption in captions), "each has its sentence"


def test_words_are_counted_without_headings_addresses_and_numbers():
    text = "# Title\n\nIt's [so-called](a b.md) .87 {cite:p}`x2020` **text**."
    assert prose(nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(text)])) == [
        "It's",
        "so-called",
        "text",
    ]


@every_chapter
def test_figures_keep_text_of_eleven_pixels(script):
    widest = 688 * (9 * 110 / 72) / 11  # of a column of 688 pixels, and text of 9 points at 110 dots an inch
    cells = code_cells(executed(script))
    shown = [output.get("data", {}) for cell in cells for output in cell.outputs]
    pictures = [base64.b64decode(data["image/png"]) for data in shown if "image/png" in data]
    widths = [int.from_bytes(picture[16:20], "big") for picture in pictures]
    assert max(widths, default=0) <= widest


@every_chapter
def test_a_chapter_is_a_small_file(script):
    size = script.with_suffix(".ipynb").stat().st_size
    assert size <= 2**20, f"{size / 2**20:.1f} MiB: draw its figures smaller"


def tiny_notebook(path, stored):
    cell = nbformat.v4.new_code_cell(
        "6 * 7",
        execution_count=1,
        metadata={"tags": [CHECKED]},
        outputs=[nbformat.v4.new_output("execute_result", {"text/plain": stored}, execution_count=1)],
    )
    kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(nbformat.v4.new_notebook(cells=[cell], metadata={"kernelspec": kernelspec}), path)


@pytest.mark.parametrize(("stored", "passes"), [("42", True), ("43", False)])
def test_validation_fails_on_a_wrong_number_and_only_then(tmp_path, stored, passes):
    tiny_notebook(tmp_path / "tiny.ipynb", stored)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")  # a root of its own: nothing is inherited
    options = ["--nbval-lax", "--nbval-current-env", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", *options, "tiny.ipynb"]
    finished = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (finished.returncode == 0) is passes, finished.stdout + finished.stderr
    assert ("1 passed" if passes else "1 failed") in finished.stdout
