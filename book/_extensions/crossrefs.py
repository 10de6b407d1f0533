"""Types in docstrings as links: our own to the page itself, those of other projects through intersphinx.

Intersphinx wants an inventory of each project, which is fetched from its site. The book is built without a
network, so inventories with the few names that we use are written from ``book/crossrefs.yml`` at each build;
set ``KERNEL_INVENTORIES=online`` to fetch the projects' own.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import yaml
from sphinx.util.inventory import InventoryFile

TABLE = Path(__file__).resolve().parents[1] / "crossrefs.yml"
# sections of a docstring whose lines without indent name a type, and whether a name stands before it
_TYPED = {"Parameters": True, "Attributes": True, "Other Parameters": True, "Returns": False, "Yields": False}
_WORD = re.compile(r"(?<![\w.`\"'/])(path-like|[A-Za-z_][\w.]*)(?![\w`\"'])")
_NOT_TYPES = {"None", "True", "False"}


def read_table(path: Path = TABLE) -> dict:
    """Projects with their address and names."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def short_names(table: dict) -> dict[str, tuple[str, str]]:
    """What docstrings say for a name: (role, full name)."""
    found = {}
    for project in table.values():
        for name, entry in project["names"].items():
            role = {"exception": "exc", "function": "func"}.get(entry["kind"], entry["kind"])
            for short in (name, *entry.get("short", ())):
                found[short] = role, name
    return found


def write_inventory(target: Path, project: str, names: dict) -> None:
    """An ``objects.inv`` of the names, as the project's own build would write it."""

    def objects() -> Iterator[tuple]:
        for name, entry in names.items():
            page, _, anchor = entry["page"].partition("#")
            yield name, name, entry["kind"], page, anchor, 1

    environment = SimpleNamespace(
        config=SimpleNamespace(project=project, version=""),
        domains={"py": SimpleNamespace(get_objects=objects)},
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    InventoryFile.dump(str(target), environment, SimpleNamespace(get_target_uri=lambda page: page))


def map_projects(app, config):
    """Write the inventories and tell intersphinx of them."""
    online = os.environ.get("KERNEL_INVENTORIES", "") == "online"
    for project, entry in read_table().items():
        inventory = Path(app.doctreedir) / "inventories" / f"{project}.inv"
        if not online:
            write_inventory(inventory, project, entry["names"])
        config.intersphinx_mapping[project] = (entry["url"], None if online else str(inventory))


def link_types(lines: list[str], known: dict[str, tuple[str, str]]) -> list[str]:
    """The lines of a docstring with the types of its parameters and results as references."""
    section, result = None, []
    for line, after in zip(lines, [*lines[1:], ""], strict=True):
        if re.fullmatch(r"-{3,}", after.strip()) and line.strip():
            section = line.strip()
        elif line and not line[0].isspace() and section in _TYPED and not re.fullmatch(r"-{3,}", line):
            name, colon, kind = line.partition(" : ")
            if colon:
                line = f"{name} : {_linked(kind, known)}"
            elif not _TYPED[section]:
                line = _linked(line, known)
        result.append(line)
    return result


def _linked(kind: str, known: dict[str, tuple[str, str]]) -> str:
    kind, brace, rest = kind.partition(", shape ")  # what follows are lengths

    def reference(match: re.Match) -> str:
        word = match[1]
        if word in known:
            role, name = known[word]
            return f":py:{role}:`{word} <{name}>`"
        if re.fullmatch(r"[A-Z][A-Za-z]*[a-z][A-Za-z]*", word) and word not in _NOT_TYPES:
            return f":py:class:`.{word}`"  # the one of ours that has this name
        return word

    return _WORD.sub(reference, kind) + brace + rest


def setup(app):
    known = short_names(read_table())

    def process(app, what, name, obj, options, lines):
        lines[:] = link_types(lines, known)

    app.connect("config-inited", map_projects, priority=300)  # intersphinx reads its mapping at 800
    app.connect("autodoc-process-docstring", process, priority=450)  # napoleon has 500
    return {"parallel_read_safe": True, "parallel_write_safe": True}
