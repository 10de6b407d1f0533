"""The rendered book in a real browser: pages load alone, fit a phone, read in the dark and by keyboard.

The book is rendered as committed, served on this machine, and visited by Chromium, which is found on the PATH
or named by the environment variable CHROMIUM. Without one, these tests are skipped. Screenshots and the list
of external links are left in ``_build``; external links are not followed.
"""

from __future__ import annotations

import contextlib
import http.server
import importlib.util
import io
import re
import shutil
import subprocess
import sys
import threading
import unicodedata
from functools import cache, partial
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import numpy as np
import pytest
from bs4 import BeautifulSoup, SoupStrainer
from PIL import Image
from pypdf import PdfReader
from test_interactive import (
    NASTY,
    NOISE,
    axis_frames,
    clips_to_choose,
    noise_frames,
    recall_of_people,
    shuffle_inputs,
    words_on_the_axis,
)

import kernel
from kernel import interactive

ROOT = Path(__file__).resolve().parents[1]
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
WAIT = 60_000  # ms; generous, for other tests may run beside these


def load(name):
    spec = importlib.util.spec_from_file_location(f"book_{name}", ROOT / "book" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PDF = load("pdf")
PAGES = load("build").pages()
CHROMIUM = PDF.find_chromium()

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium on this machine: install it, or name one in CHROMIUM"
)
every_page = pytest.mark.parametrize("name", PAGES)

# What one page holds; pixels are those of CSS.
FACTS = """() => {
  const images = [...document.images].map(i => ({
    src: i.getAttribute('src'), width: i.naturalWidth, alt: i.getAttribute('alt'),
    shown: getComputedStyle(i).display !== 'none' }));
  const links = [...document.querySelectorAll('a[href]')].map(a => a.href);
  const unnamed = [...document.querySelectorAll('button, a[href], input, select')].filter(e => {
    const text = [e.textContent, e.getAttribute('aria-label'), e.title, e.placeholder,
                  ...[...e.querySelectorAll('img')].map(i => i.alt),
                  ...[...(e.labels || [])].map(l => l.textContent)];
    return e.getClientRects().length && !text.some(t => t && t.trim());
  }).map(e => e.outerHTML.slice(0, 120));
  const way = side => document.querySelector(`.prev-next-area a.${side}`)?.href;
  return { images, links, unnamed, next: way('right-next'), previous: way('left-prev'),
           title: document.title, language: document.documentElement.lang,
           headings: document.querySelectorAll('article h1').length };
}"""

OVERFLOW = """() => {
  document.getAnimations().forEach(a => { try { a.finish(); } catch {} });
  const wide = [...document.querySelectorAll('article *')].filter(e => {
    if (e.getBoundingClientRect().right <= innerWidth + 1) return false;
    for (let up = e.parentElement; up && up !== document.body; up = up.parentElement)
      if (getComputedStyle(up).overflowX !== 'visible') return false;
    return true;
  });
  return { width: document.scrollingElement.scrollWidth,
           wide: wide.slice(0, 5).map(e => e.outerHTML.slice(0, 160)) };
}"""

# Contrast as WCAG 2 defines it, of every piece of text in the article, each pair of colours once.
CONTRAST = """() => {
  const parse = text => {
    const c = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
    c.fillStyle = text; c.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = c.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const known = new Map();
  const colour = text => known.get(text) || known.set(text, parse(text)).get(text);
  const over = (top, below) => top.slice(0, 3).map((v, i) => v * top[3] + below[i] * (1 - top[3])).concat(1);
  const behind = e => {
    const layers = [];
    for (let up = e; up; up = up.parentElement) {
      const c = colour(getComputedStyle(up).backgroundColor);
      if (c[3] > 0) layers.push(c);
      if (c[3] === 1) break;
    }
    return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255, 1]);
  };
  const luminance = c => c.slice(0, 3).map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const seen = new Map();
  for (const e of document.querySelectorAll('article *, .bd-sidebar-primary a, .bd-toc a')) {
    if (e.closest('mjx-container, svg, canvas, script, style, .headerlink, [aria-hidden=true]')) continue;
    if (![...e.childNodes].some(n => n.nodeType === 3 && n.data.trim())) continue;
    if (!e.getClientRects().length) continue;
    const style = getComputedStyle(e);
    if (style.visibility === 'hidden') continue;
    const back = behind(e), front = over(colour(style.color), back);
    const [dark, light] = [luminance(front), luminance(back)].sort((a, b) => a - b);
    const ratio = (light + 0.05) / (dark + 0.05);
    const key = front.map(Math.round) + '|' + back.map(Math.round);
    if (!seen.has(key)) seen.set(key, { ratio, kind: e.tagName, html: e.outerHTML.slice(0, 120) });
  }
  return [...seen.values()].sort((a, b) => a.ratio - b.ratio);
}"""

# The theme that the page has once it has heard of the reader's wish, and after every transition.
THEME = """async () => {
  const theme = () => document.documentElement.dataset.theme;
  for (let i = 0; i < 40 && theme() !== 'dark'; i++) await new Promise(r => setTimeout(r, 50));
  document.getAnimations().forEach(a => { try { a.finish(); } catch {} });
  return theme();
}"""

FOCUS = """() => {
  const e = document.activeElement;
  if (!e || e === document.body) return null;
  const look = s => [s.outlineStyle, s.outlineWidth, s.outlineColor, s.boxShadow, s.borderBottom,
                     s.backgroundColor, s.color, s.textDecorationLine, s.textDecorationThickness].join('|');
  const still = () => document.getAnimations().forEach(a => { try { a.finish(); } catch {} });
  still();
  const box = e.getBoundingClientRect(), focused = look(getComputedStyle(e));
  e.blur();
  still();
  const plain = look(getComputedStyle(e));
  e.focus({ preventScroll: true });
  return { html: e.outerHTML.slice(0, 120), marked: focused !== plain,
           inside: box.width > 0 && box.height > 0 && box.bottom > 0 && box.top < innerHeight
                   && box.right > 0 && box.left < innerWidth };
}"""


class Visitor:
    """A browser page that notes what goes wrong and lets no request out of one origin."""

    def __init__(self, context, origin):
        self.origin, self.page = origin, context.new_page()
        self.page.set_default_timeout(WAIT)
        self.errors, self.outside = [], []
        self.page.on("console", lambda said: self.errors.append(said.text) if said.type == "error" else None)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.route("**/*", self._let)

    def _let(self, route):
        if route.request.url.startswith((self.origin, "data:", "blob:")):
            route.continue_()
        else:
            self.outside.append(route.request.url)
            route.abort()

    def open(self, address):
        self.errors.clear()
        self.outside.clear()
        self.page.goto(self.origin + address, wait_until="load")
        self.settle()
        return self.page

    def settle(self):
        """Wait until formulas are set, which changes widths."""
        self.page.wait_for_load_state("load")
        self.page.evaluate("() => window.MathJax?.startup?.promise?.then(() => true)")

    def inspect(self, address):
        """Everything that the tests below ask of one page."""
        page = self.open(address)
        facts = page.evaluate(FACTS)
        facts["light"] = page.evaluate(CONTRAST)
        page.emulate_media(color_scheme="dark")
        facts["theme"] = page.evaluate(THEME)
        facts["dark"] = page.evaluate(CONTRAST)
        page.emulate_media(color_scheme="light")
        facts["focus"] = []
        for _ in range(8):
            page.keyboard.press("Tab")
            facts["focus"].append(page.evaluate(FOCUS))
        page.set_viewport_size(PHONE)
        facts["overflow"] = page.evaluate(OVERFLOW)
        page.set_viewport_size(DESK)
        return facts | {"errors": list(self.errors), "outside": list(self.outside)}


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@contextlib.contextmanager
def serve(folder):
    """The folder on a free port of this machine; yields its origin."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="module")
def html(tmp_path_factory):
    """The book as committed; a copy of the pages in `_build` if they are just that."""
    folder, rendered = tmp_path_factory.mktemp("book"), ROOT / "_build" / "rendered.txt"
    if rendered.is_file() and rendered.with_name("html").is_dir():
        shutil.copytree(rendered.with_name("html"), folder / "_build" / "html")
        shutil.copy2(rendered, folder / "_build")
    command = [sys.executable, "book/build.py", "--as-committed", "--strict", "--output", str(folder)]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return folder / "_build" / "html"


@pytest.fixture(scope="module")
def origin(html):
    with serve(html) as found:
        yield found


@pytest.fixture(scope="module")
def browser():
    with PDF.chromium(CHROMIUM) as found:
        yield found


@pytest.fixture(scope="module")
def context(browser):
    with contextlib.closing(browser.new_context(viewport=DESK, color_scheme="light")) as found:
        yield found


@pytest.fixture(scope="module")
def visitor(context, origin):
    return Visitor(context, origin)


@pytest.fixture(scope="module")
def found(visitor):
    """Facts on every page, from one visit each."""
    return {name: visitor.inspect(f"{name}.html") for name in PAGES}


# ---- every page


def faults(facts):
    """What is wrong with a page, by kind."""
    images = [image | {"alt": (image["alt"] or "").strip()} for image in facts["images"] if image["shown"]]
    undescribed = [image for image in images if not image["alt"] or image["alt"].endswith((".png", ".svg"))]
    texts = [*facts["light"], *facts["dark"]]
    stops = [stop for stop in facts["focus"] if stop]
    kinds = {
        "errors": facts["errors"],
        "asked of other servers": facts["outside"],
        "images that are not there": [image["src"][-60:] for image in images if not image["width"]],
        "images that nobody describes": [image["src"][-60:] for image in undescribed],
        "wider than a phone": [facts["overflow"]] if facts["overflow"]["width"] > PHONE["width"] else [],
        "text that does not stand out": [text for text in texts if text["ratio"] < 4.5],
        "stops of the Tab key that do not show": [
            s["html"] for s in stops if not (s["marked"] and s["inside"])
        ],
        "what can be pressed and has no name": facts["unnamed"],
    }
    return {kind: found for kind, found in kinds.items() if found}


@every_page
def test_a_page_has_no_fault(found, name):
    facts = found[name]
    assert faults(facts) == {}
    assert facts["title"].strip() and facts["language"] == "en" and facts["headings"] >= 1
    assert facts["theme"] == "dark", "as the reader asked for"
    assert min(len(facts["light"]), len(facts["dark"])) >= 2
    assert None not in facts["focus"][:4] and len({stop["html"] for stop in facts["focus"] if stop}) >= 4


# ---- links


class Anchors(HTMLParser):
    """What a link to a page may end in."""

    def __init__(self):
        super().__init__()
        self.names = set()

    def handle_starttag(self, tag, attrs):
        self.names |= {value for key, value in attrs if key in ("id", "name")}


@cache
def anchors(page):
    reader = Anchors()
    reader.feed(page.read_text(encoding="utf-8"))
    return reader.names


def dead(links, origin, html):
    """Links of this origin without a file, or with an anchor that its page does not have."""
    lost = []
    for link in sorted(set(links)):
        address, fragment = urldefrag(link)
        if not link.startswith(origin):
            continue
        path = unquote(urlsplit(address).path).lstrip("/") or "index.html"
        there, page = (html / path).is_file(), path.endswith(".html")
        if not there or (page and fragment and unquote(fragment) not in anchors(html / path)):
            lost.append(link.removeprefix(origin))
    return lost


@every_page
def test_internal_links_and_anchors_lead_somewhere(found, origin, html, name):
    assert dead(found[name]["links"], origin, html) == []


def test_the_api_leads_to_its_three_calls_and_documents_each_name_once(html):
    page = BeautifulSoup((html / "book" / "api.html").read_text(), "html.parser")
    leads = {a["href"].partition("#")[2] for a in page.select("#api > ul a[href*='#kernel']")}
    assert {name.rpartition(".")[2] for name in leads} == {
        "construct_valence_axis", "map_vaxis_to_eeg", "residual_ensemble_decoding"
    }  # fmt: skip
    tasks = "".join(path.read_text() for path in html.glob("book/api_*.html"))
    names = re.findall(r'<dt class="sig[^>]* id="(kernel[^"]*)"', tasks)
    assert len(names) > 500 and len(names) == len(set(names)), "each name once"
    public = {f"{home}.{name}" for name, home in kernel._HOMES.items()}
    listed = [link["title"] for link in page.select("td:first-child a[title]")]
    assert leads <= public <= set(names) and public <= set(listed)
    assert len(listed) == len(set(listed)) and all(
        row.select("td")[1].text.strip() for row in page.select("tbody tr")
    )
    assert "Alias for field number" not in tasks


def test_code_of_chapters_leads_to_the_api(html):
    """Each function and class that a cell takes from the package is a link to where the API explains it."""
    for path in [*sorted((html / "notebooks").glob("*.html")), html / "book" / "howto.html"]:
        page = BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser", parse_only=SoupStrainer("pre"))
        linked = {link.get_text() for link in page.select("a.sphinx-codeautolink-a[href*='api_']")}
        code = page.get_text()
        used = set(re.findall(r"\bkernel\.[a-z_]+(?=\()", code))
        for line in re.findall(r"^from kernel[\w.]* import ([\w, ]+)$", code, re.MULTILINE):
            used |= {name for name in line.split(", ") if not name.isupper()}
        assert used <= linked, path.name
        assert used or not re.search(r"^(import|from) kernel", code, re.MULTILINE), path.name


def test_external_links_are_listed_and_safe(found, origin):
    links = {link for facts in found.values() for link in facts["links"]}
    external = sorted(link for link in links if not link.startswith((origin, "javascript:", "mailto:")))
    listed = ROOT / "_build" / "external_links.txt"
    listed.parent.mkdir(exist_ok=True)
    listed.write_text("\n".join(external) + "\n", encoding="utf-8")
    assert any("2606.00129" in link for link in external), "the paper is linked"
    assert [link for link in external if not link.startswith(("https://", "http://"))] == []


# ---- ways through the book


def test_next_and_previous_lead_through_the_whole_book(found, origin):
    def page(address):
        return address and address.removeprefix(origin).removesuffix(".html")

    assert [page(found[name].get("next")) for name in PAGES] == [*PAGES[1:], None]
    assert [page(found[name].get("previous")) for name in PAGES] == [None, *PAGES[:-1]]


def on_screen(locator):
    box = locator.bounding_box()
    return bool(box) and box["x"] >= 0 and box["x"] + box["width"] <= PHONE["width"] and locator.is_visible()


def test_the_sidebar_opens_on_a_phone(visitor):
    page = visitor.open("notebooks/01_axis.html")
    page.set_viewport_size(PHONE)
    try:
        link = page.locator(
            ".bd-sidebar-primary a[href*='02_sentiment'], dialog a[href*='02_sentiment']"
        ).first
        assert not on_screen(link)
        page.locator("button.primary-toggle:visible").first.click()
        page.wait_for_timeout(600)  # it slides in
        assert on_screen(link)
    finally:
        page.set_viewport_size(DESK)


def test_a_verdict_stays_in_sight_on_a_phone(visitor):
    page = visitor.open("notebooks/08_rediscovery.html")
    page.set_viewport_size(PHONE)
    right = "cells => cells.filter(c => c.offsetWidth).map(c => c.getBoundingClientRect().right)"
    try:
        cells = page.locator("table.verdicts tbody td:last-child")
        tables = page.locator("table.verdicts")
        assert max(tables.evaluate_all("all => all.map(t => t.scrollWidth)")) > PHONE["width"]
        edges = cells.evaluate_all(right)
        assert len(edges) > 5 and max(edges) <= PHONE["width"]
    finally:
        page.set_viewport_size(DESK)


@pytest.mark.parametrize(("word", "some"), [("valence", True), ("qqxzzy", False)])
def test_search_finds_what_is_there_and_only_that(visitor, word, some):
    page = visitor.open("notebooks/01_axis.html")
    page.locator("button.search-button-field:visible, button.search-button:visible").first.click()
    field = page.locator("input[type=search]:visible").first
    field.fill(word)
    field.press("Enter")
    page.wait_for_url("**/search.html?q=*")
    page.wait_for_function(
        "() => /finished|did not match/.test(document.querySelector('#search-results').innerText)"
    )
    results = page.locator("#search-results ul.search li")
    assert (results.count() >= 5) if some else (results.count() == 0)
    assert visitor.errors == [] and visitor.outside == []


def test_the_button_turns_the_lights_off_and_it_stays_so(context, origin):
    visitor = Visitor(context, origin)
    page = visitor.open("notebooks/01_axis.html")
    background = (
        "() => getComputedStyle(document.body).backgroundColor.match(/[0-9.]+/g).slice(0, 3).map(Number)"
    )
    assert min(page.evaluate(background)) > 200
    button = page.locator("button.theme-switch-button:visible").first
    for _ in range(3):
        button.click()
        if page.evaluate("() => document.documentElement.dataset.mode") == "dark":
            break
    assert max(page.evaluate(background)) < 80
    visitor.open("notebooks/02_sentiment.html")
    assert max(page.evaluate(background)) < 80, "the choice holds on the next page"
    page.evaluate("() => localStorage.clear()")
    page.close()


def test_the_book_reads_from_a_folder_without_a_server(context, html):
    visitor = Visitor(context, html.as_uri() + "/")
    for name in (PAGES[0], "notebooks/01_axis", "book/api"):
        page = visitor.open(f"{name}.html")
        facts = page.evaluate(FACTS)
        assert visitor.errors == [] and visitor.outside == [] and facts["headings"] >= 1
        assert all(image["width"] for image in facts["images"] if image["shown"])
    page.close()


def test_a_card_of_the_ledger_unfolds_where_it_is_asked_for(visitor):
    page = visitor.open("book/claims.html")
    rows = page.locator("#c1-pc1-share tbody tr")
    assert page.locator(".claim[open]").count() == 0 and not rows.first.is_visible()
    page.locator("#c1-pc1-share summary").press("Enter")
    assert rows.first.is_visible() and page.locator(".claim[open]").count() == 1
    page = visitor.open("book/claims.html#c6-residual")
    opened = page.locator("[id^=c6-][open]")
    assert opened.evaluate_all("all => all.map(card => card.id)") == ["c6-residual"]
    page.get_by_label("Claim").select_option(index=1)
    page.evaluate("location.hash = '#c4-tracked'")  # which the filter hides
    page.locator("#c4-tracked[open] tbody tr").first.wait_for()
    assert page.get_by_label("Claim").input_value() == "all"


def test_the_ledger_is_filtered_by_claim_verdict_and_data(visitor, browser, origin):
    page = visitor.open("book/claims.html")
    cards, rows, told = (page.locator(one) for one in (".claim", ".claim tbody tr", ".ledger-filters output"))
    n_cards, n_rows = cards.count(), rows.count()
    verdicts = [text.strip() for text in page.locator(".claim td:last-child").all_text_contents()]
    assert told.inner_text() == f"{n_rows} rows, {n_cards} claims" and n_rows > n_cards > 50

    def shown():
        return rows.evaluate_all("all => all.filter(row => row.checkVisibility()).length")

    cards.evaluate_all("all => all.forEach(card => card.open = true)")
    page.get_by_label("Verdict").select_option("supported")
    assert shown() == sum(v.startswith("supported") for v in verdicts)
    page.get_by_label("Data").select_option("simulated")
    wanted = sum(v.startswith("supported") and "simulated" in v for v in verdicts)
    assert shown() == wanted > 0 and told.inner_text().startswith(f"{wanted} row")
    page.get_by_label("Claim").focus()
    page.keyboard.press("ArrowDown")  # C1, on real models only: nothing is left, and that is told
    assert shown() == 0 and told.inner_text() == "0 rows, 0 claims"
    assert page.locator("section > section:visible").count() == 0
    with contextlib.closing(browser.new_context(java_script_enabled=False)) as context:
        plain = context.new_page()
        plain.goto(f"{origin}book/claims.html")
        assert plain.locator(".ledger-filters").count() == 0
        assert plain.locator(".claim:visible").count() == n_cards


# ---- what a reader can turn over


def explorables():
    """One of each kind, of invented numbers, with a text that would end a script."""
    rng = np.random.default_rng(0)
    return [
        interactive.explore_axis(*axis_frames(), title="texts"),
        interactive.explore_noise(*noise_frames(rng), **NOISE, title="noise"),
        interactive.explore_shuffle(*shuffle_inputs(), title="shuffles"),
        interactive.explore_words(words_on_the_axis(), title="words"),
        interactive.explore_choice(clips_to_choose(rng), ["joy"], title="clips"),
        interactive.explore_people(recall_of_people(), start=4, title="people"),
    ]


@pytest.fixture(scope="module")
def explorer(html):
    """Address of a page of the book whose text is replaced by explorables."""
    page = BeautifulSoup((html / "book" / "bibliography.html").read_text(encoding="utf-8"), "html.parser")
    section = page.find("article").find("section")
    shown = "".join(item._repr_html_() for item in explorables())
    section.clear()
    section.append(BeautifulSoup(f"<h1>Explorables</h1>{shown}", "html.parser"))
    (html / "book" / "explorables.html").write_text(str(page), encoding="utf-8")
    return "book/explorables.html"


def test_explorables_are_pages_like_any_other(visitor, explorer):
    assert faults(visitor.inspect(explorer)) == {}


def test_a_model_a_layer_and_each_text_are_reached_by_keyboard(visitor, explorer):
    figure = visitor.open(explorer).locator("figure[data-explore=axis]")
    said, marks = figure.locator(".explore-result"), figure.locator("circle[role=img]")
    places = "all => all.map(c => Number(c.getAttribute('cx')))"
    assert "A, layer 2 of 3" in said.inner_text() and "0.50" in said.inner_text()
    before = marks.evaluate_all(places)
    figure.get_by_label("Layer").focus()
    visitor.page.keyboard.press("ArrowRight")
    assert "A, layer 3 of 3" in said.inner_text() and "0.75" in said.inner_text()
    assert marks.evaluate_all(places) != before
    figure.get_by_label("Model").focus()
    visitor.page.keyboard.press("ArrowDown")
    assert "B, layer 2 of 3" in said.inner_text()

    stops = "all => all.filter(c => c.tabIndex === 0).length"
    assert marks.evaluate_all(stops) == 1, "one stop of the Tab key"
    marks.first.focus()
    assert "awful" in said.inner_text() and "\u22123.0" in said.inner_text()
    for _ in range(3):
        visitor.page.keyboard.press("ArrowRight")
    assert NASTY.split("\u2028")[0].strip() in said.inner_text()
    assert visitor.errors == []


def test_what_can_be_touched_measures_24_pixels(visitor, explorer):
    page = visitor.open(explorer)
    sizes = page.locator(".explore-live :is(button, select, input)").evaluate_all(
        "all => all.map(e => [e.getBoundingClientRect().width, e.getBoundingClientRect().height])"
    )
    assert len(sizes) > 8 and np.min(sizes) >= 24


def test_features_of_noise_and_new_noise_move_what_is_said_and_drawn(visitor, explorer):
    curve, _ = noise_frames(np.random.default_rng(0))
    figure = visitor.open(explorer).locator("figure[data-explore=noise]")
    said, circles = figure.locator(".explore-result"), figure.locator(".explore-plot circle")
    heights = "all => all.map(c => c.getAttribute('cy'))"
    median = curve.query("features == 20 and kind == 'in sample'")["r"].median()
    assert said.inner_text().startswith("20 features of noise, draw 1 of 2: in sample r 1.00;")
    assert f"Medians: {median:.2f} (".replace("-", "\u2212") in said.inner_text()
    assert "the paper: 0.50" in figure.locator(".explore-plot svg").first.text_content()
    before = circles.evaluate_all(heights)
    figure.get_by_label("Features of noise").press("ArrowLeft")
    assert said.inner_text().startswith("5 features of noise, draw 1 of 2:")
    drawn = circles.evaluate_all(heights)
    assert drawn != before
    figure.get_by_role("button", name="New noise").press("Enter")
    assert "draw 2 of 2: in sample r \u22121.00;" in said.inner_text()
    assert circles.evaluate_all(heights) != drawn


def test_shuffles_are_counted_and_give_a_running_p_value(visitor, explorer):
    figure = visitor.open(explorer).locator("figure[data-explore=shuffle]")
    said, press = figure.locator(".explore-result"), lambda name: figure.get_by_role("button", name=name)
    bars = figure.locator(".explore-plot rect")

    def p():
        """Shuffles so far, those that reach the true order, and p, as they are told."""
        found = re.search(r"(\d+) of (\d+) shuffles reach.*= ([\d.]+)\.$", said.inner_text())
        reach, n, value = int(found[1]), int(found[2]), float(found[3])
        assert value == pytest.approx((reach + 1) / (n + 1), abs=5e-4)
        return n, reach, value

    assert said.inner_text().startswith("The true order gives r = 1.00") and bars.count() == 0
    press("Shuffle").first.press("Enter")
    assert p()[0] == 1 and bars.count() == 1
    press("10 shuffles").click()
    for _ in range(5):
        press("100 shuffles").click()
    assert p() == (511, 511, 1)  # a fit that meets any order: no order is special
    figure.get_by_label("Fit").select_option("knows the true order")
    n, reach, value = p()
    assert (
        n == 511 and reach < n and value == pytest.approx(1 / 3, abs=0.07)
    )  # two of six orders lie on the line
    press("True order").click()
    assert said.inner_text().startswith("The true order gives r = 1.00") and bars.count() == 0
    assert visitor.errors == []


def test_a_word_is_placed_and_an_unknown_one_is_told(visitor, explorer):
    figure = visitor.open(explorer).locator("figure[data-explore=words]")
    said, field = figure.locator(".explore-result"), figure.get_by_label("Your word")
    marks = figure.locator(".explore-plot circle")
    assert marks.count() == 2, "the lowest and the highest word"
    field.fill(" Fine ")
    field.press("Enter")
    assert said.inner_text().startswith(
        "\u201cfine\u201d lies at 0.50 sd, above 60 % of the words. People rate it 1.0"
    )
    assert marks.count() == 3 and field.input_value() == ""
    field.fill("zebra")
    figure.get_by_role("button", name="Place it").click()
    assert "\u201czebra\u201d is not among the 5 words" in said.inner_text() and marks.count() == 3
    figure.get_by_role("button", name="Clear").click()
    assert marks.count() == 0 and visitor.errors == []


def test_clips_are_chosen_by_key_and_pointer_and_the_best_beats_the_rest(visitor, explorer):
    page = visitor.open(explorer)
    figure = page.locator("figure[data-explore=choice]")
    said, marks = figure.locator(".explore-result"), figure.locator("circle[role=img]")

    def r():
        return float(re.search(r"chosen: r = (\S+?)\. Of", said.inner_text())[1].replace("\u2212", "-"))

    def press(name):
        figure.get_by_role("button", name=name).click()

    assert said.inner_text().startswith("0 of 3 clips chosen. Of 2000 random choices the middle one gives ")
    marks.first.focus()
    for _ in range(3):
        page.keyboard.press("Enter")
        page.keyboard.press("ArrowRight")
    assert "3 of 3 clips chosen: r = " in said.inner_text() and -1 <= r() <= 1
    marks.nth(5).click()
    assert figure.locator("circle[aria-label$=', chosen']").count() == 3, "no more than somebody else chose"
    marks.nth(0).click()
    assert said.inner_text().count("2 of 3 clips chosen.") == 1
    press("The paper")
    assert r() == 1, "three clips on a line"
    press("The best")
    assert r() >= 0.999
    found = []
    for _ in range(9):
        press("Random")
        found.append(r())
    assert len(set(found)) > 5 and min(found) < 0.9
    assert visitor.errors == []


def test_more_people_and_other_people_move_what_is_said_and_drawn(visitor, explorer):
    figure = visitor.open(explorer).locator("figure[data-explore=people]")
    said, marks = figure.locator(".explore-result"), figure.locator(".explore-plot :is(circle, rect)")
    people, others = (
        figure.get_by_role("slider", name="People in training"),
        figure.get_by_role("button", name="Other people"),
    )
    places = "all => all.map(m => m.getAttribute('cx') + m.getAttribute('cy') + m.getAttribute('x'))"
    told = "4 people in training, draw 1 of 2: seen clips 0.560; unseen clips 0.500; chance 0.500."
    assert (
        said.inner_text()
        == f"{told} From 1 to 9 people: seen clips 0.490 to 0.760; unseen clips 0.500 to 0.500."
    )
    assert marks.count() == 6, "two emotions and a mean, on seen and unseen clips"
    before = marks.evaluate_all(places)
    others.press("Enter")
    assert "draw 2 of 2: seen clips 0.660; unseen" in said.inner_text()
    assert marks.evaluate_all(places) != before
    people.press("ArrowRight")
    assert said.inner_text().startswith("9 people in training, draw 1 of 1: seen clips 0.760;")
    assert others.is_disabled()
    people.press("Home")
    assert said.inner_text().startswith("1 person in training, draw 2 of 2:")
    assert people.get_attribute("aria-valuetext") == "1 person"


def test_print_and_a_button_show_the_table(visitor, explorer):
    page = visitor.open(explorer)
    tables, live = page.locator(".explore-static table"), page.locator(".explore-live")
    assert tables.count() == len(explorables()) and not tables.first.is_visible() and live.first.is_visible()
    button = page.locator("figure[data-explore=axis]").get_by_role("button", name="Show as a")
    button.press("Enter")
    assert tables.first.is_visible() and not live.first.is_visible()
    button.press("Enter")
    assert not tables.first.is_visible() and live.first.is_visible()
    page.emulate_media(media="print")
    assert all(tables.nth(i).is_visible() and not live.nth(i).is_visible() for i in range(tables.count()))
    page.emulate_media(media="screen")


def test_without_scripts_the_table_is_there(browser, origin, explorer):
    with contextlib.closing(browser.new_context(java_script_enabled=False)) as context:
        page = context.new_page()
        page.goto(origin + explorer)
        assert page.locator(".explore-static table").first.is_visible()
        assert NASTY.split("\u2028")[0].strip() in page.locator("figure[data-explore=axis]").inner_text()
        assert page.locator(".explore-live").count() == 0


# ---- the cover and the figures


@pytest.mark.parametrize("size", [{"width": 1280, "height": 800}, PHONE], ids=["desk", "phone"])
def test_the_cover_answers_on_its_first_screen(visitor, size):
    page = visitor.open(f"{PAGES[0]}.html")
    try:
        page.set_viewport_size(size)
        answer = page.locator("article p strong").first
        paragraph = answer.locator("xpath=..").bounding_box()
        assert answer.inner_text().startswith("The evidence does not show it")
        assert paragraph["y"] > 0 and paragraph["y"] + paragraph["height"] <= size["height"]
    finally:
        page.set_viewport_size(DESK)


def test_every_chapter_opens_with_a_card(html):
    for name in PAGES:
        article = BeautifulSoup((html / f"{name}.html").read_text(encoding="utf-8"), "html.parser").article
        asks = article.find("strong", string="The answer in short.") is not None
        assert len(article.select(".chapter-card")) == asks, name
        folds = len(article.find_all("summary", string="Where these numbers come from"))
        assert len(article.select("details.provenance pre")) == folds


@pytest.mark.parametrize("drawn", ["notebooks/05_projection", "notebooks/17_story"], ids=["png", "svg"])
def test_figures_are_dark_in_the_dark_and_stand_out(visitor, drawn):
    page = visitor.open(f"{drawn}.html")
    figure, light = page.locator(".cell_output img").first, {}
    try:
        for mode in ("light", "dark"):
            page.emulate_media(color_scheme=mode)
            page.evaluate(THEME if mode == "dark" else "() => true")
            with Image.open(io.BytesIO(figure.screenshot(animations="disabled"))) as image:
                light[mode] = np.quantile(np.asarray(image.convert("L")), [0.001, 0.5, 0.999])
    finally:
        page.emulate_media(color_scheme="light")
    assert light["light"][1] > 240 and light["light"][0] < 60
    assert light["dark"][1] < 40 and light["dark"][2] > 190


# ---- pictures of the book

SHOWN = {"cover": PAGES[0], "chapter": "notebooks/01_axis", "ledger": "book/claims", "api": "book/api_axis"}


@pytest.mark.parametrize("name", SHOWN)
def test_screenshots_are_light_and_dark(visitor, name):
    folder = ROOT / "_build" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    page, brightness = visitor.open(f"{SHOWN[name]}.html"), {}
    try:
        for width, size in (("desk", DESK), ("phone", PHONE)):
            page.set_viewport_size(size)
            for mode in ("light", "dark"):
                page.emulate_media(color_scheme=mode)
                target = folder / f"{name}_{width}_{mode}.png"
                page.wait_for_timeout(300)  # sidebars slide away
                page.screenshot(path=target, animations="disabled")
                with Image.open(target) as image:
                    brightness[width, mode] = float(np.asarray(image.convert("L")).mean())
    finally:
        page.emulate_media(color_scheme="light")
        page.set_viewport_size(DESK)
    assert all(brightness[width, "light"] > brightness[width, "dark"] + 60 for width in ("desk", "phone"))


# ---- on paper


@pytest.fixture(scope="module")
def paper(browser, html, tmp_path_factory):
    target = tmp_path_factory.mktemp("paper") / "book.pdf"
    PDF.make_pdf(browser, html, target)
    assert [path.name for path in target.parent.iterdir()] == ["book.pdf"] and not list(
        html.parent.glob("print*")
    )
    return PdfReader(target)


def test_the_pdf_holds_every_page_in_order_and_can_be_leafed_through(paper, html):
    def words(text):
        return "".join(unicodedata.normalize("NFKC", text).split())

    first = paper.get_destination_page_number(paper.named_destinations[f"/{PAGES[0].replace('/', '-')}"])
    front = "".join(words(page.extract_text()) for page in paper.pages[:first])
    assert paper.metadata.title == "A shared valence axis, audited"
    assert front.startswith(words(paper.metadata.title)) and "arXiv:2606.00129" in front
    places, at = paper.named_destinations, [0]
    marked = [words(item.title) for item in paper.outline if not isinstance(item, list)]
    for name in PAGES:
        text = (html / f"{name}.html").read_text(encoding="utf-8")
        article = BeautifulSoup(text, "html.parser", parse_only=SoupStrainer("article"))
        heading = words(article.find("h1").find(string=True))
        at.append(paper.get_destination_page_number(places[f"/{name.replace('/', '-')}"]))
        text = words(paper.pages[at[-1]].extract_text())
        assert text.startswith(str(at[-1] + 1)) and heading in text, "number and heading of the page"
        assert words(article.find("p").get_text()[:60]) in text
        assert heading in front and heading in marked
    assert at == sorted(set(at)), "in the order of the contents, each on a page of its own"


def test_the_summary_is_one_sheet(browser, html, tmp_path):
    PDF.make_pdf(browser, html, tmp_path / "summary.pdf", ["book/summary"])
    (sheet,) = PdfReader(tmp_path / "summary.pdf").pages
    text = " ".join(sheet.extract_text().split())
    assert "The audit on one page" in text and text.count("The claim ") == 5, "a mark for each claim"
    assert "arXiv:2606.00129" in text and "Contents" not in text


def test_the_pdf_keeps_pictures_and_leads_within_itself(paper, html):
    def drawn(page):
        objects = page["/Resources"].get_object().get("/XObject", {})
        return sum(item.get_object().get("/Subtype") == "/Image" for item in objects.values())

    assert sum(map(drawn, paper.pages)) >= len(list((html / "_images").glob("*.png"))) > 20
    told = "".join(page.extract_text() for page in paper.pages).replace("\n", " ")
    ledger = (html / "book/claims.html").read_text(encoding="utf-8")
    assert told.count("We measure:") >= ledger.count("<em>We measure:</em>") > 100, "cards are unfolded"
    links = [note.get_object() for page in paper.pages for note in page.get("/Annots") or ()]
    away = [str(link["/A"]["/URI"]) for link in links if "/URI" in link.get("/A", {})]
    assert len(links) > len(away) > 0
    assert [address for address in away if not address.startswith("http")] == []


# ---- these checks can fail

BROKEN = """<!doctype html><html lang="en"><head><title>Broken</title></head><body><article><h1>Broken</h1>
<img src="nowhere.png" alt="lost"><img src="data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA=">
<p style="color: #999; background: #fff">pale</p><p style="color: #000; background: #ffe">clear</p>
<div style="width: 900px">wide</div><button style="outline: none"></button>
<a href="gone.html">gone</a><a href="#nowhere">no such place</a><a href="#here" id="here">here</a>
<script src="https://elsewhere.invalid/x.js"></script><script>undefinedFunction()</script>
</article></body></html>"""


def test_each_fault_is_found_on_a_page_that_has_it(browser, tmp_path):
    (tmp_path / "broken.html").write_text(BROKEN)
    with serve(tmp_path) as origin, contextlib.closing(browser.new_context(viewport=DESK)) as context:
        facts = Visitor(context, origin).inspect("broken.html")
    wrong = faults(facts)
    assert any("undefinedFunction" in error for error in wrong["errors"])
    assert wrong["asked of other servers"] == ["https://elsewhere.invalid/x.js"]
    assert wrong["images that are not there"] == ["nowhere.png"]
    assert len(wrong["images that nobody describes"]) == 1
    assert "wide" in wrong["wider than a phone"][0]["wide"][0]
    assert any("pale" in text["html"] for text in wrong["text that does not stand out"])
    (clear,) = (text["ratio"] for text in facts["light"] if "clear" in text["html"])
    assert clear == pytest.approx(20.8, abs=0.1)
    assert any("button" in stop for stop in wrong["stops of the Tab key that do not show"])
    assert len(wrong["what can be pressed and has no name"]) == 1
    lost = dead(facts["links"], origin, tmp_path)
    assert lost == ["broken.html#nowhere", "gone.html"]
