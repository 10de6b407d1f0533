"""The rendered book as one PDF, and its summary as another, one page of A4, printed by Chromium.

The book has a title page, contents, page numbers and links within the file. What is on the pages is printed.
"""

from __future__ import annotations

import argparse
import os
import posixpath
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urldefrag, urlsplit

import yaml
from bs4 import BeautifulSoup, Tag

if TYPE_CHECKING:
    from playwright.sync_api import Browser

sys.path.insert(0, str(Path(__file__).resolve().parent))
import build

from kernel.files import absolute, atomic_path

ROOT = build.ROOT
PATIENCE = 300_000  # ms; formulas of the whole book are set at once
NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


def find_chromium() -> str | None:
    """Path of the Chromium that CHROMIUM names, or of the first on the PATH; None without one."""
    named = os.environ.get("CHROMIUM")
    return shutil.which(named) if named else next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def chromium(executable: str) -> Iterator[Browser]:
    """A headless browser that asks nothing of the network by itself."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=executable,
            chromium_sandbox=False,  # containers seldom allow one; only our own pages are opened
            args=list(FLAGS),
        )
        try:
            yield browser
        finally:
            browser.close()


# ---- one page of all pages


def one_page(html: Path, names: Sequence[str], title: str, subtitle: str) -> str:
    """Pages as one, in their order; links between them lead to places within it. One alone has no title page.

    `html` is the folder of the pages, to whose parent addresses in the result are relative; `names` are as in
    the table of contents, without ending; `title` and `subtitle` stand on the title page.
    """
    first = BeautifulSoup((html / f"{names[0]}.html").read_text(encoding="utf-8"), "html.parser")
    parts, contents = [], []
    for name in names:
        article = _article(html, name, names)
        heading = article.find("h1")
        contents.append(f'<li><a href="#{_place(name)}">{escape(heading.get_text())}</a></li>')
        parts.append(f'<section class="page" id="{_place(name)}">{article.decode_contents()}</section>')
    style = (Path(__file__).parent / "pdf.css").read_text(encoding="utf-8")
    front = (
        f'<header class="title"><h1>{escape(title)}</h1><p>{escape(subtitle)}</p>'
        f'<nav aria-label="Contents"><ol>{"".join(contents)}</ol></nav></header>'
    )
    return (
        f'<!doctype html><html lang="en" data-theme="light"><head><meta charset="utf-8">'
        f"<title>{escape(title)}</title>{_head(first, html, names[0])}<style>{style}</style></head><body>"
        f"{front if len(names) > 1 else ''}{''.join(parts)}</body></html>"
    )


def _place(name: str, anchor: str = "") -> str:
    return f"{name.replace('/', '-')}--{anchor}" if anchor else name.replace("/", "-")


def _article(html: Path, name: str, names: Sequence[str]) -> Tag:
    """The text of a page, with anchors that are unique in the whole and addresses that hold from outside."""
    page = BeautifulSoup((html / f"{name}.html").read_text(encoding="utf-8"), "html.parser")
    article = page.find("article")
    for tag in article.select(".headerlink, script, button"):
        tag.decompose()
    for tag in article.find_all(id=True):
        tag["id"] = _place(name, tag["id"])
    for tag in article.find_all("a", href=True):
        address, anchor = urldefrag(tag["href"])
        if urlsplit(address).scheme:
            continue
        target = _join(name, address).removesuffix(".html") if address else name
        if target in names:
            tag["href"] = f"#{_place(target, anchor)}"
        else:
            del tag["href"]  # an index or a source: not in the file
    for tag in article.find_all(src=True):
        if not urlsplit(tag["src"]).scheme:
            tag["src"] = f"{html.name}/{_join(name, tag['src'])}"
    return article


def _head(page: BeautifulSoup, html: Path, name: str) -> str:
    """Stylesheets of a page, and the scripts that set its formulas."""
    for tag in page.find_all("link", rel="stylesheet"):
        tag["href"] = f"{html.name}/{_join(name, tag['href'].split('?')[0])}"
    formulas = [
        tag for tag in page.find_all("script") if "mathjax" in f"{tag.get('src')}{tag.string}".lower()
    ]
    for tag in formulas:
        if tag.get("src"):
            tag["src"] = f"{html.name}/{_join(name, tag['src'].split('?')[0])}"
    return "".join(map(str, [*page.find_all("link", rel="stylesheet"), *formulas]))


def _join(name: str, address: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(name), unquote(address)))


# ---- printing


def make_pdf(browser: Browser, html: Path, target: Path, names: Sequence[str] | None = None) -> None:
    """Print the pages in a folder to a file: all of the table of contents, or those of some names."""
    title = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["title"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    subtitle = f"A companion to arXiv:2606.00129. Version {citation['version']}."
    source = html.parent / "print.html"
    options = {"prefer_css_page_size": True, "print_background": True, "outline": True, "tagged": True}
    try:
        source.write_text(one_page(html, names or build.pages(), title, subtitle), encoding="utf-8")
        page = browser.new_page()
        page.set_default_timeout(PATIENCE)
        page.goto(source.as_uri(), wait_until="load")
        page.evaluate("() => window.MathJax?.startup?.promise?.then(() => true)")
        with atomic_path(target) as temporary:
            page.pdf(path=temporary, **options)
        page.close()
    finally:
        source.unlink(missing_ok=True)


def main() -> int:
    parser = argparse.ArgumentParser(description="Print the rendered book to one PDF.")
    parser.add_argument("--html", type=Path, default=ROOT / "_build" / "html", help="the rendered pages")
    parser.add_argument("--output", type=Path, default=ROOT / "_build" / "valence_axis.pdf", metavar="FILE")
    options = parser.parse_args()
    html, executable = absolute(options.html), find_chromium()
    if missing := build.missing_pages(html):
        print(f"not rendered: {', '.join(missing)}; run `make book` first", file=sys.stderr)
        return 1
    if executable is None:
        print(f"no Chromium: install one of {', '.join(NAMES)}, or name it in CHROMIUM", file=sys.stderr)
        return 1
    with chromium(executable) as browser:
        target = absolute(options.output)
        make_pdf(browser, html, target)
        make_pdf(browser, html, target.with_name("summary.pdf"), ["book/summary"])
    print(f"The PDF is {options.output}, with summary.pdf beside it", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
