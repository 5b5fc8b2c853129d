"""The system's Chromium, driven by Playwright: nothing is ever downloaded."""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MISSING = "no Chromium: install the system's package (Debian, Ubuntu: chromium), or name one in the variable CHROMIUM"
OPTIONS = [
    "--no-sandbox",  # it opens this book's own pages only, and containers often cannot give it a sandbox
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


def find() -> str | None:
    """Return the path of a Chromium, or None: the variable ``CHROMIUM`` first, which has to name one, then what the system has."""
    if (named := os.environ.get("CHROMIUM")) and not shutil.which(named):
        sys.exit(f"CHROMIUM: expected a program, got {named}, which is none")
    return named or next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def browser(path: str) -> Iterator[Browser]:
    """Run the Chromium at ``path`` without a window."""
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=OPTIONS)
        try:
            yield running
        finally:
            running.close()
