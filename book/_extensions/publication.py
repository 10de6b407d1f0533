"""Buttons and looks of the pages: launch on Binder or Colab, download as script, the book's own style.

One setting says where the repository is: ``repository.url`` in ``_config.yml``, or KERNEL_REPOSITORY in the
environment. Without it nothing could be launched, so there are no buttons for it.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path


def set_repository(app, config):
    """Take the repository from the environment or the configuration; without one, drop the launch buttons."""
    options = config.html_theme_options
    url = (os.environ.get("KERNEL_REPOSITORY") or options.get("repository_url") or "").rstrip("/")
    if url and not re.fullmatch(r"https://[^/\s]+/[^\s?#]+/[^/\s?#]+", url):
        raise ValueError(
            f"repository {url!r} is not an address like https://github.com/owner/name: "
            "set KERNEL_REPOSITORY, or repository.url in _config.yml"
        )
    options["repository_url"] = url
    if not url:
        options.pop("launch_buttons", None)
    elif "github.com" not in url and "launch_buttons" in options:
        options["launch_buttons"].pop("colab_url", None)  # Colab opens files of GitHub only


def offer_script(app, pagename, templatename, context, doctree):
    """Put the percent script of a chapter into the download menu, beside its notebook."""
    if not (Path(app.srcdir) / f"{pagename}.py").is_file():
        return
    for group in context.get("header_buttons", ()):
        if group.get("label") == "download-buttons":
            address = f"{context['pathto']('_sources', 1)}/{pagename}.py"
            script = {"type": "link", "url": address, "text": ".py", "icon": "fas fa-code",
                      "tooltip": "Download as a script", "label": "download-script-button"}  # fmt: skip
            group["buttons"].insert(1, script)


def copy_scripts(app, exception):
    """Lay the scripts of the chapters beside their notebooks, from where both are downloaded."""
    if exception is None and app.builder.format == "html":
        for script in sorted(Path(app.srcdir).glob("notebooks/*.py")):
            target = Path(app.outdir) / "_sources" / "notebooks" / script.name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(script, target)


def setup(app):
    app.connect("config-inited", set_repository, priority=100)
    app.connect("html-page-context", offer_script, priority=900)  # once the theme has laid out its buttons
    app.connect("build-finished", copy_scripts)
    app.add_css_file("book.css", priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
