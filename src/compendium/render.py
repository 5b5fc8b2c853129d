"""Render with Jupyter Book: the whole book, or one executed notebook in its dress."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from compendium.registry import ROOT

STRICT = ("-W", "-n", "--keep-going")  # a warning, or a reference that leads nowhere, is an error


def build(source: Path, *options: str, output: Path | None = None) -> subprocess.CompletedProcess:
    """Render ``source`` to ``_build/html`` in ``output``, or in itself; the warnings are in ``stderr``."""
    module = "from jupyter_book.cli.main import main; main()"  # jupyter_book has no __main__
    command = [sys.executable, "-c", module, "build", ".", "--quiet", *options]
    command += ["--path-output", str(output)] if output else []
    done = subprocess.run(command, cwd=source, capture_output=True, text=True)
    if done.returncode:
        # else the next build would read only what has changed since, and find nothing to warn of
        shutil.rmtree((output or source) / "_build" / ".doctrees", ignore_errors=True)
    return done


def fingerprint(sources: list[Path]) -> str:
    """One line that is another one if any of the files is, on every machine the same.

    The first page of the book is a redirect whose bytes never change: without this line beside it, a book that was built
    before a ``git pull`` would pass for what the new lock file has recorded.
    """
    digest = hashlib.sha256()
    for path in sorted(sources):
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest() + "\n"


def page(executed: Path) -> Path:
    """Render one notebook as a book of one page in ``_run/page``; return the path of the page."""
    source = ROOT / "_run" / "page"
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(ROOT / "book", source / "book")
    shutil.copy(ROOT / "_config.yml", source)
    (source / "notebooks").mkdir()
    shutil.copy(executed, source / "notebooks")
    (source / "_toc.yml").write_text(f"format: jb-book\nroot: notebooks/{executed.stem}\n", encoding="utf-8")
    done = build(source)  # not strict: links to the other pages lead nowhere here
    if done.returncode:
        raise RuntimeError(f"{executed.name} ran, but could not be rendered:\n{done.stderr}")
    return source / "_build" / "html" / "notebooks" / f"{executed.stem}.html"
