"""How a chapter looks on a page: a card at the top, provenance folded, tables and pictures that fit.

Only the pages change: notebooks keep what their cells gave. Nothing is added that is not in the chapter.
"""

from __future__ import annotations

import re
import struct
from pathlib import Path

from docutils import nodes

VERDICTS = re.compile(r"<th>verdict</th>\s*</tr>\s*</thead>")
CELL = re.compile(r"<th[^>]*>(.*?)</th>", re.DOTALL)
CLAIM = re.compile(r"(?<=<th>)C\d\.\w+(?=</th>)")
PICTURE = re.compile(r'<img ([^>]*)src="([^"]*_images/([^"]+\.png))"')


def one_header(html: str) -> str:
    """A pandas table with a single line of names: those of rows, a slash, and the name of the columns."""

    def merge(head: re.Match[str]) -> str:
        lines = re.findall(r"<tr[^>]*>.*?</tr>", head[0], re.DOTALL)
        above, below = ([], []) if len(lines) < 2 else (CELL.findall(line) for line in lines[-2:])
        n_names = next((place for place, name in enumerate(below) if not name), len(below))
        if not 0 < n_names < len(below) or len(above) != len(below) or any(below[n_names:]):
            return head[0]
        names = [" / ".join(filter(None, pair)) for pair in zip(below, above, strict=True)][:n_names]
        cells = "".join(f"<th>{text}</th>" for text in [*names, *above[n_names:]])
        return f"<thead>{''.join(lines[:-2])}<tr>{cells}</tr></thead>"

    return re.sub(r"<thead>.*?</thead>", merge, html, flags=re.DOTALL)


def top_card(doctree: nodes.document) -> None:
    """Put the paragraphs under a chapter's title, its question and answer and what follows, into one box."""
    section = next(iter(doctree.findall(nodes.section)), None)
    if section is None:
        return
    title = section.first_child_matching_class(nodes.title)
    start = None if title is None else title + 1
    opening = [] if start is None else [node.astext() for node in section[start : start + 2]]
    if not " ".join(opening).startswith("The question.") or "The answer in short." not in opening[-1]:
        return
    paragraphs = []
    while start < len(section) and isinstance(section[start], nodes.paragraph):
        paragraphs.append(section.pop(start))
    section.insert(start, nodes.container("", *paragraphs, classes=["chapter-card"]))


def folded_provenance(doctree: nodes.document) -> None:
    """Fold the lists of stored tables, which say where numbers come from and when they were computed."""
    for block in list(doctree.findall(nodes.literal_block)):
        if ": stored run of " in block.astext():
            fold = '<details class="provenance"><summary>Where these numbers come from</summary>'
            place = block.parent.index(block)
            block.parent.insert(place + 1, nodes.raw("", "</details>", format="html"))
            block.parent.insert(place, nodes.raw("", fold, format="html"))


def arrange(app, doctree):
    """All of this, once a page has been read."""
    top_card(doctree)
    folded_provenance(doctree)
    for raw in doctree.findall(nodes.raw):
        if 'class="dataframe' in raw.astext():
            html = one_header(raw.astext())
            if VERDICTS.search(html):  # the style keeps its last column in sight on a phone
                html = html.replace('class="dataframe', 'class="verdicts dataframe', 1)
            html = CLAIM.sub(lambda name: re.sub(r"[._]", r"\g<0><wbr>", name[0]), html)  # may break
            raw.children = [nodes.Text(html)]


def sized_pictures(app, pagename, templatename, context, doctree):
    """Tell the browser how large each figure is: nothing jumps, and the style knows what fits a phone."""
    files = {name: Path(app.srcdir) / path for path, name in app.builder.images.items()}

    def size(found: re.Match[str]) -> str:
        with files[found[3]].open("rb") as file:
            width, height = struct.unpack(">II", file.read(24)[16:])
        look = f'width="{width}" height="{height}" style="--drawn: {width}px"'
        return f'<img {look} {found[1]}src="{found[2]}"'

    if "body" in context:
        context["body"] = PICTURE.sub(size, context["body"])


def setup(app):
    app.connect("doctree-read", arrange)
    app.connect("html-page-context", sized_pictures)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
