"""The book survives its wrapper: Jupyter Book writes the configuration of Sphinx, and Sphinx alone renders the pages.

jupyter-book config sphinx .                           # conf.py, from _config.yml
PYTHONPATH=book/_ext python -m sphinx . _build/plain   # no Jupyter Book
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from bs4 import BeautifulSoup, Tag

from compendium.registry import ROOT

pytestmark = pytest.mark.slow
PAGES = ("book/cell", "notebooks/01_action_potential", "book/tissue")
DEADLINE = 1200  # s; it takes some ten seconds


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("plain")
    for name in ("book", "notebooks", "data", "src"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "_config.yml").write_text((ROOT / "_config.yml").read_text(encoding="utf-8"), encoding="utf-8")
    toc = {"format": "jb-book", "root": PAGES[0], "chapters": [{"file": page} for page in PAGES[1:]]}
    (folder / "_toc.yml").write_text(yaml.safe_dump(toc), encoding="utf-8")
    write = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()", "config", "sphinx", "."]
    wrote = subprocess.run(write, cwd=folder, capture_output=True, text=True, timeout=DEADLINE)
    assert wrote.returncode == 0, wrote.stdout + wrote.stderr
    (folder / "_config.yml").unlink()
    with (folder / "conf.py").open("a", encoding="utf-8") as conf:
        conf.write('extensions.remove("jupyter_book")\n')  # its part in Sphinx, which the pages do not need
    # a Python that cannot import the wrapper
    code = "import sys; sys.modules['jupyter_book'] = None; from sphinx.cmd.build import main; sys.exit(main(sys.argv[1:]))"
    build = [sys.executable, "-c", code, "-q", "-b", "html", ".", "_build/plain"]
    environment = os.environ | {"PYTHONPATH": str(folder / "book" / "_ext")}
    built = subprocess.run(build, cwd=folder, capture_output=True, text=True, timeout=DEADLINE, env=environment)
    assert built.returncode == 0, built.stderr
    return folder


def article(path: Path) -> Tag:
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser").find("article")


def test_the_configuration_is_that_of_the_book(plain):
    config: dict = {}
    exec(compile((plain / "conf.py").read_text(encoding="utf-8"), "conf.py", "exec"), config)
    book = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    assert config["html_title"] == book["title"]
    assert {*book["sphinx"]["local_extensions"], "myst_nb"} <= {*config["extensions"]}
    assert config["nb_execution_mode"] == "off" and config["bibtex_bibfiles"] == book["bibtex_bibfiles"]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_has_all_that_it_has_in_the_book(plain, html, page):
    ours, theirs = (article(folder / f"{page}.html") for folder in (html, plain / "_build" / "plain"))
    kinds = {
        "heading": "h1, h2", "equation": "div.math", "figure": "img", "table": "table", "cell": "div.cell",
        "answer": "aside.way", "number": ".headline",
    }  # fmt: skip
    counts = {kind: (len(ours.select(selector)), len(theirs.select(selector))) for kind, selector in kinds.items()}
    assert all(mine == other for mine, other in counts.values()), counts
    assert counts["heading"][0] > 3 and counts["answer"][0] == 1
    assert counts["equation" if page.startswith("book") else "cell"][0] > 2
    assert ours.find("aside", class_="way").get_text() == theirs.find("aside", class_="way").get_text()
