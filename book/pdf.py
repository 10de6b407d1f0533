"""The rendered book as one PDF, printed by Chromium.

In:  the rendered pages (``_build/html``, from ``book/build.py``) and the order of the table of contents.
Out: ``_build/valence_axis.pdf``, with a title page, contents, page numbers and links within the file.
Never renders or computes anything: what is on the pages is what is printed.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser

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
