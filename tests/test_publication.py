"""The book as a publication: texts of figures, links to others, buttons that work, references to look up."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from types import SimpleNamespace

import jupytext
import nbformat
import pandas as pd
import pytest
import yaml
from bs4 import BeautifulSoup
from docutils import nodes
from docutils.utils import new_document
from jupyter_book.config import get_final_config
from PIL import Image
from sphinx.util.inventory import InventoryFile

from kernel import claims

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = sorted((ROOT / "notebooks").glob("*.py"))


def extension(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "book" / "_extensions" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# ---- figures

DRAWS = re.compile(r"\bplots\.plot_\w+\(|\bplt\.(?:subplots|figure)\(|^fig = ", re.M)
# what a function draws is shown by the cell that calls it
INSIDE_FUNCTION = re.compile(r"^(?:def |    ).*", re.M)


def drawing_cells(script):
    """Code cells that put out a figure: by what they call, or by an image that the stored pair holds."""
    pair = script.with_suffix(".ipynb")
    stored = nbformat.read(pair, as_version=4).cells if pair.is_file() else []
    pictures = {
        cell.source
        for cell in stored
        for output in cell.get("outputs", [])
        if any(kind.startswith("image/") for kind in output.get("data", {}))
    }
    for cell in jupytext.read(script, fmt="py:percent").cells:
        top = INSIDE_FUNCTION.sub("", cell.source) if cell.source.startswith("def ") else cell.source
        if cell.cell_type == "code" and (DRAWS.search(top) or cell.source in pictures):
            yield cell


def shortcomings(cell):
    """What a reader who cannot see the figure, or who sees nothing but the figure, would miss."""
    options = cell.metadata.get("mystnb", {})
    alt, caption = options.get("image", {}).get("alt", ""), options.get("figure", {}).get("caption", "")
    if len(alt) < 80:
        yield "no text that says what is drawn: axes, groups, marks"
    if not re.search(r"\b(?:simulated|real|paper)\b", f"{alt} {caption}"):
        yield "neither text nor caption says whether data are simulated or real"
    if len(caption) < 20:
        yield "no caption"
    if re.search(r"^\W*(?:image|figure|picture) of", alt, re.I):
        yield "the text begins with what a screen reader says anyway"


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_every_figure_has_a_text_and_a_caption(script):
    cells = list(drawing_cells(script))
    assert cells, "a chapter without a figure"
    found = [f"{missing}:\n{cell.source}" for cell in cells for missing in shortcomings(cell)]
    assert not found, "\n\n".join(found)


@pytest.mark.parametrize(
    ("code", "draws"),
    [
        ("fig = plots.plot_forest(table)", True),
        ("if x:\n    fig = plots.plot_forest(table)", True),
        ("fig, ax = plt.subplots()", True),
        ("def draw(x):\n    return plots.plot_forest(x)", False),
        ("def draw(x):\n    return plots.plot_forest(x)\n\n\nfig = draw(1)", True),
        ("print('a figure')", False),
    ],
)
def test_drawing_cells_are_found(tmp_path, code, draws):
    script = tmp_path / "chapter.py"
    script.write_text(f"# %%\n{code}\n")
    cells = list(drawing_cells(script))
    assert bool(cells) is draws
    for cell in cells:
        assert len(list(shortcomings(cell))) == 3


# ---- links to other projects


@pytest.fixture(scope="module")
def crossrefs():
    return extension("crossrefs")


def test_inventories_can_be_read_by_intersphinx(crossrefs, tmp_path):
    table = crossrefs.read_table()
    assert {"numpy", "sklearn", "pandas", "torch", "mne", "xarray", "python"} <= set(table)
    for project, entry in table.items():
        target = tmp_path / project / "objects.inv"
        crossrefs.write_inventory(target, project, entry["names"])
        with target.open("rb") as stream:
            found = InventoryFile.load(stream, entry["url"], lambda base, page: base + page)
        loaded = {name: item for kind in found.values() for name, item in kind.items()}
        assert set(loaded) == set(entry["names"])
        for name, given in entry["names"].items():
            assert loaded[name][2] == entry["url"] + given["page"]


def test_addresses_are_whole_and_short_names_are_of_one_thing(crossrefs):
    short = []
    for entry in crossrefs.read_table().values():
        assert re.fullmatch(r"https://[\w./-]+/", entry["url"])
        for name, place in entry["names"].items():
            page, _, anchor = place["page"].partition("#")
            assert page.endswith(".html") and anchor == name
            short += place.get("short", ())
    assert len(short) == len(set(short))


def test_types_become_links_and_nothing_else_does(crossrefs):
    known = {"ndarray": ("class", "numpy.ndarray"), "path-like": ("class", "os.PathLike")}
    lines = """Mean of an ndarray.

Parameters
----------
x : ndarray or None, shape (n, ndarray)
    An ndarray.
kind : {"ndarray", "Other"}
cohort, other : Cohort, optional
where : path-like

Returns
-------
tuple of ndarray
    Two.

Raises
------
ValueError
    If x is no ndarray.""".split("\n")
    found = crossrefs.link_types(lines, known)
    assert [new for old, new in zip(lines, found, strict=True) if old != new] == [
        "x : :py:class:`ndarray <numpy.ndarray>` or None, shape (n, ndarray)",
        "cohort, other : :py:class:`.Cohort`, optional",
        "where : :py:class:`path-like <os.PathLike>`",
        "tuple of :py:class:`ndarray <numpy.ndarray>`",
    ]


def test_inventories_are_local_unless_asked_for(crossrefs, tmp_path, monkeypatch):
    app = SimpleNamespace(doctreedir=str(tmp_path))
    monkeypatch.delenv("KERNEL_INVENTORIES", raising=False)
    config = SimpleNamespace(intersphinx_mapping={})
    crossrefs.map_projects(app, config)
    assert all(Path(inventory).is_file() for _, inventory in config.intersphinx_mapping.values())
    monkeypatch.setenv("KERNEL_INVENTORIES", "online")
    crossrefs.map_projects(app, config)
    assert all(inventory is None for _, inventory in config.intersphinx_mapping.values())


# ---- buttons


def options_for(url, monkeypatch, environment=None):
    monkeypatch.delenv("KERNEL_REPOSITORY", raising=False)
    if environment:
        monkeypatch.setenv("KERNEL_REPOSITORY", environment)
    launch = {"binderhub_url": "https://mybinder.org", "colab_url": "https://colab.research.google.com"}
    config = SimpleNamespace(html_theme_options={"repository_url": url, "launch_buttons": launch})
    extension("publication").set_repository(None, config)
    return config.html_theme_options


def test_the_configuration_reaches_the_theme():
    """Options given as Sphinx's own would replace those that Jupyter Book makes of the rest."""
    found, _ = get_final_config(user_yaml=ROOT / "_config.yml", cli_config={"latex_individualpages": False})
    options = found["html_theme_options"]
    assert options["repository_url"] == "" and options["repository_branch"] == "main"
    assert {"binderhub_url", "colab_url"} <= set(options["launch_buttons"])
    assert "CC BY" in options["extra_footer"]


def test_one_setting_turns_the_launch_buttons_on(monkeypatch):
    address = "https://github.com/owner/name"
    for url, environment in (
        (f"{address}/", None),
        ("", address),
        ("https://github.com/else/where", address),
    ):
        options = options_for(url, monkeypatch, environment)
        assert options["repository_url"] == address
        assert set(options["launch_buttons"]) == {"binderhub_url", "colab_url"}
    elsewhere = options_for("https://gitlab.com/owner/name", monkeypatch)
    assert set(elsewhere["launch_buttons"]) == {"binderhub_url"}  # Colab knows GitHub only
    assert "launch_buttons" not in options_for("", monkeypatch)
    for url in ("owner/name", "http://github.com/owner/name", "https://github.com/owner"):
        with pytest.raises(ValueError, match="set KERNEL_REPOSITORY"):
            options_for(url, monkeypatch)


def test_a_chapter_is_offered_as_script_and_other_pages_are_not(tmp_path):
    publication = extension("publication")
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "01_axis.py").write_text("# %%\n")
    for page, offered in (("notebooks/01_axis", True), ("book/index", False)):
        group = {"label": "download-buttons", "buttons": [{"text": ".ipynb"}, {"text": ".pdf"}]}
        context = {"header_buttons": [group], "pathto": lambda name, resource: f"../{name}"}
        publication.offer_script(SimpleNamespace(srcdir=str(tmp_path)), page, "page.html", context, None)
        texts = [button["text"] for button in group["buttons"]]
        assert texts == ([".ipynb", ".py", ".pdf"] if offered else [".ipynb", ".pdf"])
        if offered:
            assert group["buttons"][1]["url"] == "../_sources/notebooks/01_axis.py"
    html = tmp_path / "html"
    app = SimpleNamespace(srcdir=str(tmp_path), outdir=str(html), builder=SimpleNamespace(format="html"))
    publication.copy_scripts(app, None)
    assert (html / "_sources" / "notebooks" / "01_axis.py").read_text() == "# %%\n"


def test_binder_finds_environment_and_assets():
    script = ROOT / "postBuild"
    assert script.stat().st_mode & 0o111 and "kernel.assets fetch" in script.read_text()
    assert not (ROOT / "binder").exists() and not (ROOT / ".binder").exists()  # would hide environment.yml


# ---- references


def entries(text):
    for entry in re.split(r"^@", text, flags=re.M)[1:]:
        fields = re.findall(r"^\s*(\w+)\s*=\s*[{\"](.*)[}\"],?\s*$", entry, re.M)
        yield re.match(r"\w+\{([^,]+),", entry)[1], {name.lower(): value for name, value in fields}


def lost(text):
    """Entries that nobody could look up."""
    for name, fields in entries(text):
        doi = re.fullmatch(r"10\.\d{4,9}/\S+", fields.get("doi", ""))
        eprint = re.fullmatch(r"\d{4}\.\d{4,5}", fields.get("eprint", ""))
        if not (doi or eprint or re.match(r"https://\S+", fields.get("url", ""))):
            yield name


def test_every_reference_can_be_looked_up():
    text = (ROOT / "book" / "references.bib").read_text(encoding="utf-8")
    assert len(list(entries(text))) == len(re.findall(r"^@\w+\{", text, re.M)) > 20
    assert list(lost(text)) == []


def test_a_reference_without_an_address_would_be_found():
    good = "@misc{a,\n  title = {A},\n  doi = {10.1000/182}\n}\n@misc{b,\n  eprint = {2606.00129},\n}\n"
    assert list(lost(good + "@misc{c,\n  title = {C},\n  doi = {none}\n}\n")) == ["c"]


def test_how_to_cite_agrees_with_the_citation_file():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    page = (ROOT / "book" / "citing.md").read_text(encoding="utf-8")
    quoted = dict(entries("".join(re.findall(r"```bibtex\n(.*?)```", page, re.S))))
    own, (paper,) = quoted["valence_axis"], citation["references"]
    (author,) = citation["authors"]
    assert own["title"] == citation["title"] and own["author"].strip("{}") == author["name"]
    assert (own["version"], own["date"]) == (citation["version"], citation["date-released"])
    assert own["license"] == citation["license"]

    theirs = quoted["radwan2026shared"]
    assert theirs["title"] == paper["title"] and theirs["year"] == str(paper["year"])
    assert theirs["author"] == " and ".join(author["family-names"] for author in paper["authors"])
    assert theirs["doi"] == paper["identifiers"][0]["value"]
    listed = dict(entries((ROOT / "book" / "references.bib").read_text(encoding="utf-8")))["radwan2026shared"]
    assert {key: value.replace("{", "").replace("}", "") for key, value in listed.items()} == theirs


# ---- the five claims in a row


def test_marks_on_the_cover_follow_the_ledger(tmp_path):
    overview, ledger = extension("overview"), tmp_path / "claims.json"
    rows = [row for row in claims.read_ledger(claims.book_ledger()) if not row.simulated]
    headline = "Residual diversity helps"
    gains = [row for row in rows if row.id in claims.HEADLINES[headline] and row.verdict == "supported"]
    failures = [row for row in rows if row.id == "C8.relative_gain"]
    marks = {}
    for name, stored in (("gains", gains), ("failures", failures), ("both", [*gains, *failures])):
        ledger.write_text(json.dumps([row._asdict() for row in stored]))
        marks[name] = overview.mark(headline, ledger)
    assert marks == {"gains": "held", "failures": "failed", "both": "held in part"}
    ledger.write_text("[]")
    with pytest.raises(ValueError, match="no real result of 'Residual diversity helps'"):
        overview.mark(headline, ledger)


def test_answers_on_the_cover_follow_the_ledger(tmp_path):
    overview, ledger = extension("overview"), tmp_path / "claims.json"
    (row,) = [
        row
        for row in claims.read_ledger(claims.book_ledger())
        if (row.id, row.data) == ("C4.tracked", "FACED")
    ]
    (step,) = [step for step in overview.STEPS if step["title"] == "2. Brain"]
    answers = {}
    for verdicts in (["not supported"], ["supported"], ["supported", "not supported (exploratory)"]):
        rows = [row._replace(verdict=word, data=f"FACED, {n}") for n, word in enumerate(verdicts)]
        rows.append(row._replace(verdict="supported (simulated)", data="made up", simulated=True))
        ledger.write_text(json.dumps([one._asdict() for one in rows]))
        answers[verdicts[-1]] = overview.answer(step["questions"][0], ledger)
    assert answers == {"not supported": "No.", "supported": "Yes.", "not supported (exploratory)": "In part."}
    html = overview.steps(claims.book_ledger(), str)
    assert all(question["ask"] in html for step in overview.STEPS for question in step["questions"])


def test_every_step_names_a_headline_and_pages_of_the_contents():
    overview = extension("overview")
    contents = (ROOT / "_toc.yml").read_text()
    pages = [page for step in overview.STEPS for page in step["pages"]]
    assert len(set(pages)) == len(pages) and all(f"file: {page}\n" in contents for page in pages)
    assert {step["headline"] for step in overview.STEPS} < set(claims.HEADLINES)
    html = overview.steps(claims.book_ledger(), lambda page: f"{page}.html", small=True, here=pages[1])
    assert html.count("<li") == len(overview.STEPS) and html.count("aria-current") == 1


# ---- how a docstring looks on a page


@pytest.mark.parametrize("what", ["attribute", "data", "property", "function"])
def test_what_stands_before_a_colon_is_no_type(what):
    from sphinx.ext.napoleon import Config, NumpyDocstring

    lines = ["Base of the contest: a flat perceptron."]
    untold = NumpyDocstring(lines, Config(), what=what, name="BASE").lines()
    assert any(line.startswith(":type:") for line in untold) == (what != "function")
    extension("docstrings").readable(None, what, "BASE", None, None, lines)
    told = NumpyDocstring(lines, Config(), what=what, name="BASE").lines()
    assert [line for line in told if line not in ("", "..")] == ["Base of the contest: a flat perceptron."]


# ---- how a chapter looks on a page


def test_names_of_rows_and_columns_share_a_line():
    one_header = extension("reading").one_header
    rows, columns = pd.Index(["a", "b"], name="axis"), pd.Index(["x", "y"], name="null")
    table = pd.DataFrame([[1, 2], [3, 4]], rows, columns)

    def head(table):
        html = one_header(table.to_html())
        lines = BeautifulSoup(html, "html.parser").thead.find_all("tr")
        assert html.partition("<tbody>")[2] == table.to_html().partition("<tbody>")[2]
        return [[cell.text for cell in line.find_all("th")] for line in lines]

    assert head(table) == [["axis / null", "x", "y"]]
    assert head(table.rename_axis(columns=None)) == [["axis", "x", "y"]]
    assert head(table.rename_axis(index=None)) == [["null", "x", "y"]], "nothing to merge"
    deep = pd.concat({"p": table, "q": table}, axis=1, names=["kind", None])
    assert head(deep)[-1] == ["axis", "x", "y", "x", "y"] and len(head(deep)) == 2
    numbered = pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("p", "x"), ("p", "y")]))
    assert one_header(numbered.to_html()) == numbered.to_html()


def page_of(*parts):
    """A page with a title, whose paragraphs and outputs are given."""
    document = new_document("page")
    document += nodes.section("", nodes.title("", "A chapter"), *parts, ids=["a-chapter"])
    return document


def test_question_and_answer_stand_in_a_card_and_provenance_is_folded():
    reading = extension("reading")
    question, answer, later = (
        nodes.paragraph("", text) for text in ("The question. Why?", "The answer in short. So.", "Later.")
    )
    stored, told = (nodes.literal_block("", text) for text in ("axes: stored run of 2026-11-28", "r 0.5"))
    page = page_of(question, answer, stored, told, later)
    reading.arrange(None, page)
    (card,) = page.findall(nodes.container)
    assert card["classes"] == ["chapter-card"] and card.children == [question, answer]
    assert [type(node).__name__ for node in page[0]] == [
        "title", "container", "raw", "literal_block", "raw", "literal_block", "paragraph"
    ]  # fmt: skip
    assert page[0][2].astext().startswith("<details") and page[0][4].astext() == "</details>"


def test_a_table_of_verdicts_is_marked_and_its_long_names_may_break():
    table = pd.DataFrame({"ours": "1", "verdict": "supported"}, index=pd.Index(["C7.count_own"], name="id"))
    for shown, marked in ((table, True), (table[["ours"]], False)):
        output = nodes.raw("", shown.to_html(), format="html")
        extension("reading").arrange(None, page_of(output))
        assert ('class="verdicts dataframe' in output.astext()) is marked
        assert "<th>C7.<wbr>count_<wbr>own</th>" in output.astext()


def test_a_page_without_a_question_has_no_card():
    for texts in (["A page of the guide."], ["The question. Why?", "A list follows."], []):
        page = page_of(*(nodes.paragraph("", text) for text in texts))
        extension("reading").arrange(None, page)
        assert not list(page.findall(nodes.container)) and len(page[0]) == 1 + len(texts)


def test_the_name_of_a_claim_may_be_broken_and_no_other_name():
    table = pd.DataFrame({"verdict": ["x_y"] * 2}, ["C4.order_valence", "order_valence"])
    page = page_of(nodes.raw("", table.to_html(), format="html"))
    extension("reading").arrange(None, page)
    html = page[0][1].astext()
    assert html.replace("<wbr>", "", 2) == table.to_html().replace('class="', 'class="verdicts ', 1)
    assert "<th>C4.<wbr>order_<wbr>valence</th>" in html


def test_pictures_tell_their_size(tmp_path):
    Image.new("RGB", (86, 40)).save(tmp_path / "figure.png")
    builder = SimpleNamespace(images={"figure.png": "abc.png"})
    context = {"body": '<p><img alt="a" src="../_images/abc.png"/><img src="../_images/drawing.svg"/></p>'}
    app = SimpleNamespace(srcdir=tmp_path, builder=builder)
    extension("reading").sized_pictures(app, "page", "page.html", context, None)
    sized, drawing = BeautifulSoup(context["body"], "html.parser").find_all("img")
    assert (sized["width"], sized["height"], sized["style"]) == ("86", "40", "--drawn: 86px")
    assert sized["alt"] == "a" and set(drawing.attrs) == {"src"}
