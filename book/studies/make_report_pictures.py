"""Draw the pictures of a report that the page of recipes explains: book/_static/report_*.png.

    python book/studies/make_report_pictures.py

In:  nothing; a tiny study of 20 simulated people is computed in a temporary folder, in about a minute.
Out: one picture for each entry of `PARTS`, in which the parts of the report bear the numbers of the page.
Needs a Chromium on the PATH, or one that CHROMIUM names.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "book")]

import pdf  # noqa: E402

from kernel.plans import Study  # noqa: E402
from kernel.report import write_report  # noqa: E402
from kernel.studies import run_study  # noqa: E402

#: Large enough for every part of a report, and far too small for a finding.
TINY = Study(
    preset="strong_valence", subjects=20, split="leave_subjects_out", models=("SmolLM2-135M-Instruct",),
    texts=50, checkpoints="short", strategies=(7, 11, 14, 16), seeds=2, epochs=3, members=3,
    permutations=200, slow_permutations=50,
)  # fmt: skip
#: Name of a picture: the number of the part it shows, after how many rows of its table it ends, its width.
#: A phone shows the whole width of the tables, with text of 9 px; the figure needs a little more for that.
PARTS = {"head": (1, 9, 504), "verdicts": (2, 5, 504), "alignment": (9, 0, 550)}
NUMBERS = """
h1, h2 { counter-increment: part; margin-top: 1rem; }
:is(h1, h2)::before { content: counter(part); display: inline-block; min-width: 1.6em; margin-right: .5em;
  border-radius: 1em; background: #00558c; color: white; font-size: 1.1rem; line-height: 1.6em;
  text-align: center; vertical-align: middle; }
"""
#: Tables on a narrow page: less room between columns, and no column of models, since there is only one.
NARROW = """
body { padding: 0 .5rem; } th, td { padding: .25rem .2rem; } :is(th, td):nth-child(7) { display: none; }
"""
# Names of claims may break after an underscore.
BREAKS = """() => document.querySelectorAll('td:first-child')
  .forEach(cell => cell.innerHTML = cell.innerHTML.replaceAll('_', '_<wbr>'))"""
# The box around a part: from its heading to the end of so many rows, or to the next heading.
BOX = """([part, rows]) => {
  const heads = [...document.querySelectorAll('h1, h2')], head = heads[part - 1].getBoundingClientRect();
  const below = [...document.querySelectorAll('tbody tr')].map(row => row.getBoundingClientRect())
    .filter(row => row.top > head.top);
  const end = rows ? below[rows - 1].bottom : heads[part].getBoundingClientRect().top;
  return { x: 0, y: head.top - 8, width: innerWidth, height: end - head.top + 12 };
}"""


def main() -> int:
    executable = pdf.find_chromium()
    if executable is None:
        print("no Chromium on this machine: install it, or name one in CHROMIUM", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder, pdf.chromium(executable) as browser:
        run_study(TINY, folder, n_jobs=1, progress=False)
        page = browser.new_page()
        page.goto(write_report(folder).as_uri())
        page.add_style_tag(content=NUMBERS + NARROW)
        page.evaluate(BREAKS)
        for name, (part, rows, width) in PARTS.items():
            target = ROOT / "book" / "_static" / f"report_{name}.png"
            page.set_viewport_size({"width": width, "height": 900})
            page.screenshot(path=target, full_page=True, clip=page.evaluate(BOX, [part, rows]))
            print(target.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
