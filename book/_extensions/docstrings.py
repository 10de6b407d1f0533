"""Docstrings of the package on one page: numbered references as lists, the contract of a module as bullets.

Sphinx would take the ``.. [1]`` of every docstring for one and the same footnote of the page, what stands
before a colon for the type of a constant or a property, and would describe each field of a named tuple by its
number.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_CONTRACT = ("In:", "Out:", "Never")


def readable(app, what, name, obj, options, lines):
    """Rewrite the lines of a docstring in place, before napoleon reads them."""
    lines[:] = _references(_contract(lines) if what == "module" else lines)
    if what in ("attribute", "data", "property"):
        lines[:0] = ["..", ""]  # napoleon seeks a type in the first line alone: give it an empty comment


def _contract(lines: list[str]) -> Iterator[str]:
    """One bullet for each of In, Out and Never, with its continuation lines."""
    inside = False
    for line in lines:
        if line.startswith(_CONTRACT):
            inside = True
            yield f"* {line}"
        else:
            inside = inside and bool(line)
            yield f"  {line.strip()}" if inside else line


def _references(lines: list[str]) -> Iterator[str]:
    """``.. [1] Text`` as an item of a numbered list, ``[1]_`` as plain ``[1]``."""
    inside = False
    for line in lines:
        item = re.match(r"\s*\.\. \[(\d+)\] (.*)", line)
        if item:
            inside = True
            yield f"{item[1]}. {item[2]}"
        else:
            inside = inside and line.startswith(" ")
            yield f"   {line.strip()}" if inside else re.sub(r"\[(\d+)\]_", r"[\1]", line)


def numbered_field(app, what, name, obj, skip, options):
    """Leave out fields of a named tuple: the class names them."""
    return True if (getattr(obj, "__doc__", None) or "").startswith("Alias for field number") else None


def setup(app):
    app.connect("autodoc-skip-member", numbered_field)
    app.connect("autodoc-process-docstring", readable, priority=400)  # napoleon has 500
    return {"parallel_read_safe": True, "parallel_write_safe": True}
