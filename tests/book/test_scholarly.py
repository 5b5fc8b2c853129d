"""The book as a scholarly work: who, which version, how to cite, what others did, and one setting for all links to a repository."""

import re
import subprocess
import sys
import sysconfig
import tomllib
from ast import Import, ImportFrom, parse
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path
from shutil import which

import numpy as np
import pytest
import yaml
from bs4 import BeautifulSoup, Tag
from PIL import Image

from compendium import render
from compendium.registry import NOTEBOOKS, ROOT

sys.path.insert(0, str(ROOT / "book" / "_ext"))
sys.path.insert(0, str(ROOT / "tools"))

import card  # noqa: E402
import scholarly  # noqa: E402
import way  # noqa: E402

BOOK = ROOT / "book"
CITATION = scholarly.read_citation()
URL = "https://github.com/someone/some-book"
HOME = "https://example.org/book/"
LIGHT = ["01", "02", "03", "04", "05", "06", "14", "15", "16", "17", "18", "19", "20", *map(str, range(22, 27))]
ENTRIES = dict(
    re.findall(r"^@\w+\{(\w+),\n(.*?)^\}$", (BOOK / "references.bib").read_text(encoding="utf-8"), re.M | re.S)
)


def soup(path: Path) -> BeautifulSoup:
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


def article(path: Path) -> Tag:
    return soup(path).find("article")


# Who, which version, how to cite


def test_authors_and_version_have_one_source():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert [one["name"] for one in project["authors"]] == scholarly.names(CITATION["authors"])
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    assert "author" not in config and "version" not in config["sphinx"]["config"]


def test_a_citation_in_text_and_in_bibtex():
    group = {
        "authors": [{"name": "The group"}], "title": "a Title", "version": "1.2.3", "date-released": CITATION["date-released"],
    }  # fmt: skip
    year = CITATION["date-released"].year
    assert scholarly.as_text(group) == f"The group ({year}). a Title. Version 1.2.3."
    assert scholarly.as_bibtex(group, "key").splitlines() == [
        "@software{key,",
        "  author    = {{The group}},",
        "  title     = {{a Title}},",
        f"  year      = {{{year}}},",
        "  version   = {1.2.3},",
        "}",
    ]
    (paper,) = CITATION["references"]
    assert scholarly.as_text(paper).startswith("Shaheim Ogbomo-Harmitt, Cesare Magnetti, ")
    assert scholarly.as_text(paper).endswith(
        "Computing in Cardiology 2025, arXiv:2512.13765, <https://arxiv.org/abs/2512.13765>."
    )
    assert "author    = {Ogbomo-Harmitt, Shaheim and Magnetti, Cesare and " in scholarly.as_bibtex(paper, "key")


def test_the_front_and_every_foot_name_authors_version_and_date(html):
    said = scholarly.edition(CITATION)
    assert CITATION["version"] in said and str(CITATION["date-released"].year) in said
    for _, pages in way.toc(ROOT):
        for page in pages:
            foot = soup(html / f"{page}.html").find(class_="bd-footer-content")
            assert all(name in foot.get_text() for name in scholarly.names(CITATION["authors"])), page
            assert said in foot.get_text(), page
            target = foot.find("a", string="How to cite")["href"]
            here = html / f"{page}.html"
            target = here if target == "#" else here.parent / target
            assert target.resolve() == (html / "book" / "cite.html").resolve(), page
    front = article(html / "book" / "index.html")
    (line,) = front.find_all("p", class_="edition")
    assert line.find_previous_sibling("h1") and said in line.get_text() and line.find("a")["href"] == "cite.html"


def test_the_page_to_cite_has_the_book_and_the_paper(html):
    page = article(html / "book" / "cite.html")
    entries = [block.get_text().strip() for block in page.find_all("pre")]
    assert entries == [
        scholarly.as_bibtex(CITATION, "forwardecg"),
        scholarly.as_bibtex(CITATION["references"][0], "OgbomoHarmitt2025"),
    ]
    assert CITATION["title"] in page.get_text() and ("doi" in CITATION) == ("doi.org" in str(page))


def test_the_changelog_is_in_the_book(html):
    text = article(html / "book" / "changelog.html").get_text()
    log = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    entries = re.findall(r"^- (.+)$", log, re.MULTILINE)
    words = lambda line: " ".join(re.findall(r"[^\W_]+", line))  # noqa: E731
    found = words(text)
    assert len(entries) > 50
    missing = [one for one in entries if "](" not in one and words(one)[:40] not in found]
    assert not missing
    assert all(head.strip("[]") in found for head in re.findall(r"^##+ (.+)$", log, re.MULTILINE))


# How a page is found and shared


def test_every_page_says_what_it_is_about(html):
    seen = set()
    for _, pages in way.toc(ROOT):
        for page in pages:
            path = html / f"{page}.html"
            (described,) = soup(path).find_all("meta", attrs={"name": "description"})
            box = article(path).find("aside", class_="way")
            answer = box.find_all("p")[-1].get_text().removeprefix("Answer ").strip()
            assert described["content"].endswith(answer) and described["content"] not in seen, page
            seen.add(described["content"])
            tags = {one["property"]: one["content"] for one in soup(path).find_all("meta", property=re.compile("^og:"))}
            assert tags["og:description"] == described["content"]
            assert tags["og:title"] in soup(path).title.get_text()
            assert (path.parent / tags["og:image"]).resolve() == (html / "_static" / "card.png").resolve()
            icons = soup(path).find_all("link", rel="icon")
            assert [(path.parent / one["href"]).resolve() for one in icons] == [
                (html / "_static" / "favicon.svg").resolve()
            ]
    assert (html / "_static" / "card.png").is_file() and (html / "_static" / "favicon.svg").is_file()


def test_the_card_is_the_picture_of_the_project(tmp_path):
    card.draw(tmp_path / "card.png")
    with Image.open(card.CARD) as kept, Image.open(tmp_path / "card.png") as drawn:
        assert kept.size == card.SIZE
        np.testing.assert_array_equal(np.asarray(kept.convert("RGB")), np.asarray(drawn.convert("RGB")))
    assert card.CARD.stat().st_size <= 100_000


# The one setting


def small_copy(folder: Path, *pages: str, url: str = "") -> Path:
    """The book with some of its pages, the first as its root, and a repository if there is one."""
    for name in ("book", "notebooks", "data", "src"):
        (folder / name).symlink_to(ROOT / name)
    chapters = [{"file": page} for page in pages[1:]]
    toc = {"format": "jb-book", "root": pages[0], "chapters": chapters}
    (folder / "_toc.yml").write_text(yaml.safe_dump(toc), encoding="utf-8")
    config = (ROOT / "_config.yml").read_text(encoding="utf-8")
    assert config.count('repository: {url: "",') == 1
    config = config.replace('repository: {url: "",', f'repository: {{url: "{url}",')
    if url:
        for off, on in (('baseurl: ""', f'baseurl: "{HOME}"'), ("{hypothesis: false,", "{hypothesis: true,")):
            assert config.count(off) == 1
            config = config.replace(off, on)
    (folder / "_config.yml").write_text(config, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def opened(tmp_path_factory) -> Path:
    """Four pages of the book as they are once it and its repository have addresses, and readers may comment."""
    pages = ("book/cell", "notebooks/01_action_potential", "notebooks/08_baselines", "book/downloads")
    folder = small_copy(tmp_path_factory.mktemp("opened"), *pages, url=URL)
    done = render.build(folder)
    assert done.returncode == 0, done.stderr
    return folder / "_build" / "html"


def addresses(path: Path) -> set[str]:
    return {link["href"] for link in soup(path).find_all("a", href=True)}


def test_without_an_address_no_page_leads_to_a_repository(html):
    for _, pages in way.toc(ROOT):
        for page in pages:
            text = (html / f"{page}.html").read_text(encoding="utf-8")
            assert not re.search(
                r"mybinder|colab|source-(repository|edit|issues)-button|executablebooks/jupyter-book", text
            ), page


def test_one_address_makes_links_to_edit_and_to_ask(opened):
    for page, source in {"book/cell": "book/cell.md", "notebooks/08_baselines": "notebooks/08_baselines.py"}.items():
        found = addresses(opened / f"{page}.html")
        assert {URL, f"{URL}/edit/main/{source}"} <= found and (ROOT / source).is_file()
        assert any(one.startswith(f"{URL}/issues/new?") and page.rpartition("/")[2] in one for one in found)


def test_comments_are_one_switch(html, opened):
    """One script of another host on every page, and none while the switch is off."""
    for page in ("book/cell", "notebooks/08_baselines"):
        scripts = [tag.get("src", "") for tag in soup(opened / f"{page}.html").find_all("script")]
        assert scripts.count("https://hypothes.is/embed.js") == 1
        assert "hypothes.is" not in (html / f"{page}.html").read_text(encoding="utf-8")


def test_the_pdf_is_named_where_the_book_is_published(html, opened):
    assert f"{HOME}forwardecg.pdf" in addresses(opened / "book" / "downloads.html")
    assert not [one for one in addresses(html / "book" / "downloads.html") if one.endswith(".pdf")]
    workflow = (ROOT / ".github" / "workflows" / "book.yml").read_text(encoding="utf-8")
    assert "make pdf && mv _build/forwardecg.pdf _build/html/" in workflow


def test_light_notebooks_have_launch_buttons_and_the_others_none(opened):
    name = "notebooks/01_action_potential"
    page = addresses(opened / f"{name}.html")
    assert f"https://mybinder.org/v2/gh/someone/some-book/main?urlpath=lab/tree/{name}.ipynb" in page
    assert f"https://colab.research.google.com/github/someone/some-book/blob/main/{name}.ipynb" in page
    assert (ROOT / f"{name}.ipynb").is_file()
    assert scholarly.first_cell(URL, "main") in article(opened / f"{name}.html").get_text()
    for heavy in ("book/cell", "notebooks/08_baselines"):
        text = (opened / f"{heavy}.html").read_text(encoding="utf-8")
        assert "mybinder" not in text and "colab" not in text.lower()


def test_light_are_the_notebooks_without_a_data_set():
    assert sorted(one.name[:2] for one in NOTEBOOKS if scholarly.is_light(one.source)) == LIGHT


def imported(path: Path) -> set[str]:
    """Names of modules that a source imports as it is imported; what a function imports is for other files and pages."""
    found = set()
    for node in parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, Import):
            found |= {one.name for one in node.names}
        elif isinstance(node, ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{one.name}" for one in node.names)}
    return found


def needed(path: Path, seen: set[Path]) -> set[str]:
    """Packages of others that a notebook imports, itself or by what it takes from the project's own."""
    found = set()
    for name in imported(path):
        parts = name.split(".")
        if parts[0] in ("compendium", "forwardecg"):
            own = ROOT / "src" / Path(*parts)
            for inner in (own.with_suffix(".py"), own / "__init__.py"):
                if inner.is_file() and inner not in seen:
                    seen.add(inner)
                    found |= needed(inner, seen)
        elif parts[0] not in sys.stdlib_module_names:
            found.add(parts[0])
    return found


def binder() -> dict[str, str]:
    listed = yaml.safe_load((ROOT / "binder" / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
    pinned = dict(line.split("=") for line in listed if "=" in line)
    del pinned["python"]
    return {{"pytorch": "torch"}.get(name, name): version for name, version in pinned.items()}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def asked_by(name: str) -> list[str]:
    """What an installed package asks for, extras apart."""
    try:
        found = requires(name) or []
    except PackageNotFoundError:
        return []  # of another system
    return [re.match(r"[\w.-]+", line)[0] for line in found if "extra ==" not in line]


def pip_would_install(pinned: dict[str, str]) -> subprocess.CompletedProcess:
    """Whether what is installed here, which is the lock, is an answer to these versions and to all that they ask for."""
    wanted = [f"{name}=={version}" for name, version in pinned.items()]
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--dry-run",
        "--no-index",
        "--disable-pip-version-check",
        *wanted,
    ]
    return subprocess.run(command, capture_output=True, text=True)


def test_the_environment_of_binder_resolves():
    """Offline, with the versions of the lock in place of conda's channels; a wrong pin is seen."""
    done = pip_would_install(binder())
    assert done.returncode == 0 and "Would install" not in done.stdout, done.stdout + done.stderr
    assert pip_would_install(binder() | {"xarray": "2020.1.0"}).returncode


@pytest.mark.parametrize("name", [one.name for one in NOTEBOOKS if one.name[:2] in LIGHT])
def test_binder_has_what_a_light_notebook_imports(name):
    """Some come with those that are named, such as llvmlite with numba or yaml with jupytext."""
    asked, closed = list(binder()), set()
    while asked:
        one = canonical(asked.pop())
        if one not in closed:
            closed.add(one)
            asked += asked_by(one)
    providers = packages_distributions()
    missing = {
        module
        for module in needed(ROOT / "notebooks" / f"{name}.py", set())
        if not {canonical(one) for one in providers.get(module, [])} & closed
    }
    assert not missing


def test_the_first_cell_of_colab_finds_the_project(tmp_path):
    """Its clone on a repository that is made here; its path in a Python that knows installed packages alone."""
    if which("git") is None:
        pytest.skip("the cell clones with git")
    git = ["git", "-c", "user.name=n", "-c", "user.email=e", "-C", str(tmp_path / "some-book")]
    subprocess.run(["git", "init", "-q", "-b", "main", str(tmp_path / "some-book")], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "m"], check=True)
    (tmp_path / "there").mkdir()
    clone, cd, install, path = scholarly.first_cell(f"file://{tmp_path}/some-book", "main").splitlines()
    subprocess.run(clone.removeprefix("!"), shell=True, cwd=tmp_path / "there", check=True)
    assert (tmp_path / "there" / cd.removeprefix("%cd ") / ".git").is_dir()
    extra = re.fullmatch(r'%pip install --quiet "\.\[(\w+)\]"', install)[1]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert extra in project["optional-dependencies"]
    site = sysconfig.get_path("purelib")  # without -S an editable installation would find the project anyway
    code = f"import sys; sys.path.append({site!r})\n{{}}\nimport compendium.record, forwardecg.contract"
    run = [sys.executable, "-S", "-c"]
    assert subprocess.run([*run, code.format(path)], cwd=ROOT, capture_output=True).returncode == 0
    assert subprocess.run([*run, code.format("")], cwd=tmp_path, capture_output=True).returncode


# Related work


def test_related_work_is_short_and_its_table_says_what_runs():
    text = (BOOK / "related.md").read_text(encoding="utf-8").split("---\n", 2)[2]
    words = re.sub(r"\{[\w:-]+\}`[^`]*`|^```.*$|^:.*$|^\(.*\)=$", " ", text, flags=re.MULTILINE)
    assert 1200 <= len(words.split()) <= 2000
    rows = re.findall(r"^\* - (.+)\n  - (.+)\n  - (.+)$", text, re.MULTILINE)[1:]
    assert len(rows) == 26 and len({row[0] for row in rows}) == 26
    for system, did, here in rows:
        assert did and re.search(r"\{(doc|ref)\}`", here) or here == "not yet", system


def test_every_reference_is_cited_and_says_where_to_find_it():
    sources = [*BOOK.rglob("*.md"), *(ROOT / "notebooks").glob("*.py")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    cited = {key.strip() for keys in re.findall(r"\{cite(?::t)?\}`([^`]+)`", text) for key in keys.split(",")}
    assert cited == {*ENTRIES}
    for key, fields in ENTRIES.items():
        assert re.search(r"^\s+year\s+= \{\d{4}\}", fields, re.MULTILINE), key
        assert re.search(r"^\s+(journal|booktitle|publisher|note)\s+=", fields, re.MULTILINE), key


@pytest.mark.parametrize(
    ("page", "label", "keys"),
    [
        ("tissue", "monodomain", {"Clayton2011"}),
        ("forward", "forward", {"PlonseyBarr2007", "Gulrajani1998"}),
        ("forward", "phi-constant", {"Clayton2011", "Potse2006"}),
    ],
)
def test_the_equations_have_their_sources(page, label, keys):
    text = (BOOK / f"{page}.md").read_text(encoding="utf-8")
    section = text.partition(f"\n({label})=\n")[2]
    section = re.split(r"^\([\w-]+\)=$", section, maxsplit=1, flags=re.MULTILINE)[0]
    assert keys <= {key for found in re.findall(r"\{cite(?::t)?\}`([^`]+)`", section) for key in found.split(",")}


def test_the_factor_of_a_monodomain_that_stems_from_a_bidomain():
    """In one dimension: the potential outside follows from the voltage, and with it the diffusivity and the source."""
    x = np.linspace(0.0, 20.0, 401)  # mm
    V = np.tanh(x - 10) * 50  # mV
    sigma_i, sigma_e, beta, C_m = 0.17, 0.62, 140.0, 0.01
    second = lambda u: np.diff(u, 2) / (x[1] - x[0]) ** 2  # noqa: E731
    phi = np.zeros_like(x)  # (sigma_i phi' + sigma_e phi') + sigma_i V' = 0: no current leaves
    phi[1:] = -np.cumsum(sigma_i * np.diff(V)) / (sigma_i + sigma_e)
    membrane = sigma_i * second(V + phi)  # what charges and feeds the membrane, beta (C_m dV/dt + I)
    D = sigma_i * sigma_e / ((sigma_i + sigma_e) * beta * C_m)
    np.testing.assert_allclose(membrane, beta * C_m * D * second(V), atol=1e-9)
    np.testing.assert_allclose(sigma_i * second(V), beta * C_m * D * (1 + sigma_i / sigma_e) * second(V), atol=1e-9)
    assert abs(1 + sigma_i / sigma_e - 1) > 0.2, "a factor that matters"
