"""What the theme leaves on every page and the book does not want: errors in the console, a server to call.

The script of live cells, which this book does not have, is set up twice over, which is an error, and names a
server. The theme's mode is empty on a reader's first visit, which its own script then reports as an error.
"""

from __future__ import annotations


def without_live_cells(app, pagename, templatename, context, doctree):
    """Leave out the scripts of sphinx-thebe."""
    context["script_files"] = [
        script
        for script in context.get("script_files", ())
        if "THEBE_JS_URL" not in (getattr(script, "attributes", {}).get("body") or "")
        and "sphinx-thebe" not in str(getattr(script, "filename", script))
    ]


def setup(app):
    app.connect("html-page-context", without_live_cells, priority=900)  # after all scripts are known
    app.add_js_file(None, body='document.documentElement.dataset.mode ||= "auto"')
    return {"parallel_read_safe": True, "parallel_write_safe": True}
