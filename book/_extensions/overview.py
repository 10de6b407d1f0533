"""The five claims in a row: on the cover with what is asked of each, on chapters as a small map.

Marks and answers are outcomes on real data, read from the ledger.
"""

from __future__ import annotations

from html import escape
from pathlib import Path

import yaml
from docutils import nodes
from docutils.parsers.rst import Directive

from kernel import claims

HERE = Path(__file__).parent
STEPS = yaml.safe_load((HERE / "overview.yml").read_text(encoding="utf-8"))
GLYPHS = {
    "held": '<circle cx="8" cy="8" r="7"/><path class="ink" d="M4.5 8.5l2.5 2.5 4.5-5.5"/>',
    "held in part": '<circle class="ring" cx="8" cy="8" r="6.2"/><path d="M8 1.8a6.2 6.2 0 0 1 0 12.4z"/>',
    "failed": '<circle class="ring" cx="8" cy="8" r="6.2"/><path class="ring" d="M5.5 5.5l5 5m0-5l-5 5"/>',
    "could not be decided": '<circle class="ring" cx="8" cy="8" r="6.2"/><path class="ring" d="M5 8h6"/>',
}


def mark(headline: str, ledger: Path) -> str:
    """What became of a headline on real data: one word for all of its claims."""
    words = set(claims.outcomes(claims.HEADLINES[headline], ledger)["real"]) & set(GLYPHS)
    if not words:
        raise ValueError(f"{ledger} has no real result of {headline!r}: run `make notebooks` first")
    if len(words) == 1:
        return words.pop()
    if {"held", "held in part"} & words:
        return "held in part"
    return "failed"  # two words are left, and the other is that it could not be decided


def answer(question: dict[str, str], ledger: Path) -> str:
    """What the verdicts of a question's claim say to it."""
    rows = [row for row in claims.read_ledger(ledger) if row.id == question["claim"]]
    real = [row for row in rows if not row.simulated] or rows
    words = {question.get(claims.plain_verdict(row.verdict), "Undecided.") for row in real}
    return words.pop() if len(words) == 1 else "In part."


def glyph(word: str) -> str:
    return f'<svg class="outcome-mark" viewBox="0 0 16 16" aria-hidden="true">{GLYPHS[word]}</svg>'


def steps(ledger: Path, address, *, small: bool = False, here: str = "") -> str:
    """The list of steps; `address` turns a page's name into a link, `here` is the page that is read."""
    items = []
    for step in STEPS:
        word = mark(step["headline"], ledger)
        title = f'<a href="{escape(address(step["pages"][0]))}">{escape(step["title"])}</a>'
        if small:
            now = ' aria-current="true"' if here in step["pages"] else ""
            items.append(f'<li{now}>{title} {glyph(word)}<span class="sr-only">, {word}</span></li>')
            continue
        asked = [(escape(one["ask"]), escape(answer(one, ledger))) for one in step["questions"]]
        items.append(
            f'<li><div class="icon"><svg viewBox="0 0 80 48" aria-hidden="true">{step["icon"]}</svg></div>'
            f'<p class="step">{title}</p><p>{escape(step["claim"])}</p>'
            + "".join(f'<p><span class="ask">{question}</span> {said}</p>' for question, said in asked)
            + f'<p class="outcome">{glyph(word)} The claim {word}</p></li>'
        )
    kind, label = (
        ("overview small", "Where this chapter stands") if small else ("overview", "The five claims")
    )
    return f'<ol class="{kind}" aria-label="{label}">{"".join(items)}</ol>'


class Overview(Directive):
    """``{overview}`` on the cover."""

    def run(self):
        env = self.state.document.settings.env
        env.note_dependency(str(claims.book_ledger()))

        def address(page):
            return env.app.builder.get_relative_uri(env.docname, page)

        return [nodes.raw("", steps(claims.book_ledger(), address), format="html")]


def small_map(app, pagename, templatename, context, doctree):
    """Put the map under the title of each chapter that belongs to a step."""
    if "body" not in context or not any(pagename in step["pages"] for step in STEPS):
        return

    def address(page):
        return app.builder.get_relative_uri(pagename, page)

    html = steps(claims.book_ledger(), address, small=True, here=pagename)
    context["body"] = context["body"].replace("</h1>", f"</h1>\n{html}", 1)


def setup(app):
    app.add_directive("overview", Overview)
    app.connect("html-page-context", small_map)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
