"""The book: merge the headline numbers, judge the claims of the paper, then render pages and executed notebooks to ``_build/html/index.html``."""

import sys
from pathlib import Path

from pytask import PythonNode, task

sys.path.insert(0, str(Path(__file__).parent / "src"))

from compendium import claims, headline, render
from compendium.execute import NotebookError, hold_lock
from compendium.record import closure
from compendium.registry import NOTEBOOKS, ROOT, RUNS

RESULTS = ROOT / "data" / "results"
HTML = ROOT / "_build" / "html"
try:
    hold_lock(ROOT / "_run")  # as the tasks are collected: two builds would write one database of pytask
except NotebookError as busy:
    raise SystemExit(f"make book: {busy}") from None
MERGED, JUDGED = RESULTS / "headline.json", RESULTS / "reproduction.csv"


@task(
    kwargs={
        "headlines": [ROOT / "data" / notebook.headline for notebook in NOTEBOOKS],
        # only the table between the markers: other edits of the README are none of this task's business
        "readme": PythonNode(value=ROOT / "README.md", hash=headline.table_hash),
        "produces": MERGED,
    }
)
def task_headline(headlines, readme, produces):
    headline.publish(ROOT / "data", readme)


@task(
    kwargs={
        "runs": [*(ROOT / "data" / name for name in RUNS), RESULTS / "bench_predict.csv"],
        "code": [Path(claims.__file__), *closure(Path(claims.__file__))],
        "produces": JUDGED,
    }
)
def task_claims(runs, code, produces):
    claims.publish(RESULTS)


@task(
    kwargs={
        "pages": sorted(path for path in (ROOT / "book").rglob("*.*") if path.suffix != ".pyc"),
        "settings": [
            ROOT / name for name in ("_config.yml", "_toc.yml", "requirements.lock", "pyproject.toml", "CITATION.cff")
        ],
        # the reference is made of its docstrings
        "package": sorted(path for path in (ROOT / "src").rglob("*.py*") if path.suffix != ".pyc"),
        "notebooks": [notebook.ipynb for notebook in NOTEBOOKS],
        "numbers": [MERGED, JUDGED],
        # pictures, and what can be downloaded
        "files": [path for path in sorted(RESULTS.rglob("*.*")) if path not in (MERGED, JUDGED)] or None,
        "sources": [notebook.source for notebook in NOTEBOOKS],  # their headers speak of the pages
        "produces": {"page": HTML / "index.html", "stamp": HTML / "made_from.txt"},
    }
)
def task_book(pages, settings, package, notebooks, numbers, files, sources, produces):
    __tracebackhide__ = True
    done = render.build(ROOT, *render.STRICT)
    if done.returncode:
        raise NotebookError(f"the book was not built:\n{done.stderr}")
    made_from = [*pages, *settings, *package, *notebooks, *numbers, *(files or ()), *sources]
    produces["stamp"].write_text(render.fingerprint(made_from), encoding="utf-8", newline="\n")
