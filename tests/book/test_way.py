"""The way through the book: every page has its question, answer and next step, and the pages about use say what is true."""

import ast
import json
import re
import sys
import tomllib
from base64 import b64decode
from itertools import pairwise

import jupytext
import nbformat
import numpy as np
import pytest
import yaml
from bs4 import BeautifulSoup

from compendium import render
from compendium.claims import VERDICTS
from compendium.header import read_page
from compendium.registry import NOTEBOOKS, ROOT
from forwardecg.contract import CONTRACT

sys.path.insert(0, str(ROOT / "book" / "_ext"))

import made  # noqa: E402
import way  # noqa: E402
from forwardecg_book import HEADLINE, headline_text, setting_source, source_default  # noqa: E402

BOOK = ROOT / "book"
ORDER = [page for _, pages in way.toc(ROOT) for page in pages]
PAGES = {page: read_page(path) for page in ORDER if (path := way.header_file(ROOT, page))}
LISTS = {  # of the page downloads: kind -> file -> what it holds
    kind: yaml.safe_load(content) or {}
    for kind, content in re.findall(
        r"^```\{download-list\} (\w+)\n(.*?)^```$", (BOOK / "downloads.md").read_text(encoding="utf-8"), re.M | re.S
    )
}
MADE = {f"data/{path}": words for notebook in NOTEBOOKS for path, words in notebook.makes.items()}
FILES = {path: words for files in (MADE, *LISTS.values()) for path, words in files.items()}
# what else has a digit in an answer is a number, and nobody types those
NAMES_WITH_DIGITS = re.compile(r"\b(R2|F1|S1|S2)\b")
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


# The headers


def test_every_page_of_the_book_has_a_header_and_every_header_a_page():
    assert [*PAGES] == ORDER
    for page in ORDER:
        assert any((ROOT / f"{page}{suffix}").is_file() for suffix in (".md", ".ipynb")), page
    files = [*BOOK.rglob("*.md"), *(ROOT / "notebooks").glob("*.py")]
    assert {path.relative_to(ROOT).with_suffix("").as_posix() for path in files if read_page(path)} == {*ORDER}


@pytest.mark.parametrize("page", PAGES)
def test_a_header_has_a_question_a_sentence_and_a_step(page):
    entry = PAGES[page]
    of_notebooks = {"needs", "makes", "draws", "smoke"} if page.startswith("notebooks/") else set()
    assert {"question", "answer", "next"} <= {*entry} <= {"question", "answer", "next"} | of_notebooks
    assert {*entry["next"]} == {"page", "why"}
    assert entry["question"].endswith("?") and entry["question"].count("?") == 1
    words = way.PLACEHOLDER.sub("0", entry["answer"])
    assert words.endswith(".") and not re.search(r"[.!?]\s", words), "one sentence"
    assert not entry["next"]["why"].endswith(".")


@pytest.mark.parametrize("page", PAGES)
def test_numbers_of_an_answer_come_from_the_results(page):
    headlines = json.loads((ROOT / HEADLINE).read_text(encoding="utf-8"))
    for text in (PAGES[page]["question"], PAGES[page]["answer"], PAGES[page]["next"]["why"]):
        for kind, name in way.PLACEHOLDER.findall(text):
            if kind == "headline":
                assert name.partition(".")[0] in headlines
            else:
                path, names = setting_source(ROOT, name)
                source_default(path.read_text(encoding="utf-8"), names)
        assert not re.search(r"\d", NAMES_WITH_DIGITS.sub("", way.PLACEHOLDER.sub("", text))), text


@pytest.mark.parametrize(
    ("value", "field", "shown"),
    [
        (207687.67, "1", "200000 ms"),
        (207687.67, "3", "208000 ms"),
        (40.214, "2", "40 ms"),
        (-31.796, "2", "\N{MINUS SIGN}32 ms"),
        (0.0799, "1", "0.08 ms"),
        (1.9996, "3", "2.00 ms"),
        (0, "2", "0.0 ms"),
        (0.12345, "value", "0.123 ms"),
        (207687.67, "value", "207688 ms"),
        (-3.8e-05, "value", "\N{MINUS SIGN}0.00004 ms"),
        (0.0, "value", "0 ms"),
        (0.9300, "value", "0.930 ms"),
        (0.99997, "value", "1.000 ms"),
        (26.0, "value", "26 ms"),
        (0.0461, "signed", "+0.046 ms"),
        (-0.0151, "signed", "\N{MINUS SIGN}0.015 ms"),
        (0.00013, "signed", "+0.0001 ms"),
        (0.0, "signed", "0 ms"),
        (1, "scale", "a cable"),
    ],
)
def test_a_headline_number_has_the_digits_that_are_asked_for(value, field, shown):
    assert headline_text({"value": value, "unit": "ms", "scale": "a cable"}, field) == shown


def test_the_tour_is_read_in_five_minutes_and_has_no_equations():
    """A reader takes in some 240 words a minute; addresses and the frames of figures are not read."""
    text = re.sub(
        r"^(```|:name:|:width:|:alt:).*$|<[^>`]*>", "", (BOOK / "tour.md").read_text(encoding="utf-8"), flags=re.M
    )
    assert not re.search(r"\$|\{math\}|\\\\", text)
    assert 500 < len(text.split()) < 1200


def test_the_steps_lead_through_the_book_in_its_order_and_back():
    steps = [(page, PAGES[page]["next"]["page"]) for page in ORDER]
    assert steps == [*pairwise(ORDER), (ORDER[-1], ORDER[0])]


def test_every_result_has_a_line_that_says_what_it_holds():
    figures = {f"data/{one}" for notebook in NOTEBOOKS for one in notebook.draws}
    merged = {f"data/{notebook.headline}" for notebook in NOTEBOOKS}  # into headline.json
    kept = {path.relative_to(ROOT).as_posix() for path in (ROOT / "data" / "results").glob("*") if path.is_file()}
    offered = kept - figures - merged
    offered |= {
        f"data/results/runs/{path.name}"
        for path in (ROOT / made.RUNS).glob("*.csv")
        if not path.stem.endswith("_trainings")
    }
    offered |= {
        path.relative_to(ROOT).as_posix() for path in (ROOT / "data" / "models").iterdir() if path.suffix != ".md"
    }
    # in the package alone: the book stays small
    offered -= {"data/models/paper.safetensors"}
    offered |= {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "data" / "small").iterdir()
        if path.stat().st_size <= made.MOST_BYTES and path.name != "finitewave.npz"
    }
    assert offered <= {*FILES} and len(FILES) == len(MADE) + sum(map(len, LISTS.values())), "each of them once"
    assert all((ROOT / name).is_file() and words for name, words in FILES.items())
    assert {*LISTS} == {"notebooks", "results", "figures", "runs", "other"}
    assert all(name.startswith(made.RUNS) for name in LISTS["runs"]) and not LISTS["notebooks"] | LISTS["figures"]


def test_no_source_gives_the_paper_a_split():
    """It states none; 80/10/10 is that of its authors' later paper."""
    files = [*BOOK.rglob("*.md"), ROOT / "README.md"]
    for folder in ("notebooks", "experiments", "src"):
        files += (ROOT / folder).rglob("*.py")
    texts = {path: re.sub(r"[\s#]+", " ", path.read_text(encoding="utf-8")) for path in files}
    assert len(texts) > 100
    assert not [path.name for path, text in texts.items() if re.search(r"\bown (split|80/10/10)", text)]


def test_the_pages_of_evidence_use_the_words_of_the_verdicts():
    """One set of words, that of `compendium.claims`; no number of tissues is extrapolated."""
    pages = ["book/reproduction.md", "book/results.md", "book/index.md", "book/tour.md", "README.md"]
    pages += [f"notebooks/{name}.py" for name in ("14_undeclared_choices", "15_ablations", "17_data_efficiency")]
    for page in pages:
        text = re.sub(r"[\s#]+", " ", (ROOT / page).read_text(encoding="utf-8"))
        assert not re.search("not reproduced|cannot be tested|tissues_needed", text, re.IGNORECASE), page
    rules = (BOOK / "reproduction.md").read_text(encoding="utf-8").lower()
    assert all(f"*{verdict}*" in rules for verdict in VERDICTS)


# On the pages


def toy_book(folder, page: nbformat.NotebookNode, asked: dict) -> BeautifulSoup:
    """A book of one notebook with a header of its own; the built page."""
    (folder / "book").mkdir()
    (folder / "book" / "_ext").symlink_to(BOOK / "_ext")
    header = nbformat.v4.new_notebook(metadata={"page": asked, "jupytext": {"notebook_metadata_filter": "page"}})
    jupytext.write(header, folder / "toy.py", fmt="py:percent")
    (folder / HEADLINE).parent.mkdir(parents=True)
    (folder / HEADLINE).write_text("{}", encoding="utf-8")
    nbformat.write(page, folder / "toy.ipynb")
    (folder / "_toc.yml").write_text("format: jb-book\nroot: toy\n", encoding="utf-8")
    sphinx = {"local_extensions": {name: "book/_ext" for name in ("forwardecg_book", "made", "way", "alt")}}
    config = {"title": "toy", "only_build_toc_files": True, "execute": {"execute_notebooks": "off"}, "sphinx": sphinx}
    (folder / "_config.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    done = render.build(folder, "-W", "--keep-going")
    assert done.returncode == 0, done.stderr
    return BeautifulSoup((folder / "_build" / "html" / "toy.html").read_text(encoding="utf-8"), "html.parser")


def image(kind: str, data: str, alt: str | None) -> nbformat.NotebookNode:
    return nbformat.v4.new_output("display_data", {kind: data}, metadata={kind: {"alt": alt}} if alt else {})


def test_figures_of_a_notebook_are_told_in_words(tmp_path):
    svg = '<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"><title>n</title></svg>'
    html = f'<img src="data:image/png;base64,{PIXEL}" alt="as it was">'
    outputs = [
        image("image/png", PIXEL, "a wave"),
        image("image/svg+xml", svg, "a trace"),
        image("text/html", html, "nothing"),
    ]
    page = nbformat.v4.new_notebook(
        metadata={"language_info": {"name": "python", "pygments_lexer": "ipython3"}},
        cells=[
            nbformat.v4.new_markdown_cell("# Toy\n\nWords."),
            nbformat.v4.new_code_cell("two", outputs=outputs, execution_count=1),
            nbformat.v4.new_code_cell("none", outputs=[image("image/png", PIXEL, None)], execution_count=2),
        ],
    )
    asked = {"question": "What is it?", "answer": "It is a xylophone.", "next": {"page": "nowhere", "why": "to go"}}
    built = toy_book(tmp_path, page, asked)
    article = built.find("article")
    alts = [one.get("alt") for one in article.find_all("img")]
    assert alts[:3] == ["a wave", "a trace", "as it was"] and alts[3] not in {"a wave", "a trace"}
    box = article.find("aside", attrs={"aria-label": "Question and answer of this page"})
    assert [part.get_text() for part in box.find_all("p")] == ["Question What is it?", "Answer It is a xylophone."]
    assert box.find_previous_sibling("h1") is not None and article.find("section", class_="way") is None
    index = (tmp_path / "_build" / "html" / "searchindex.js").read_text(encoding="utf-8")
    assert "xylophon" in index, "the box is searched as well"
    assert b64decode(PIXEL) == next((tmp_path / "_build" / "html" / "_images").glob("*.png")).read_bytes()


def read(html, page: str) -> BeautifulSoup:
    path = html / f"{page}.html"
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser").find("article")


def test_every_page_shows_its_answer_and_leads_on(html):
    for page in ORDER:
        article = read(html, page)
        asides = article.find_all("aside", class_="way")
        assert len(asides) == 1 and "Answer" in asides[0].get_text(), page
        assert "[" not in asides[0].get_text() and "`" not in asides[0].get_text(), page
        assert "Question" in article.get_text()
        step = article.find("section", attrs={"aria-label": "Next step"})
        target = (html / f"{page}.html").parent / step.find("a")["href"]
        assert target.resolve() == (html / f"{PAGES[page]['next']['page']}.html").resolve(), page


def test_what_a_notebook_makes_can_be_taken_from_its_page(html):
    for notebook in NOTEBOOKS:
        step = read(html, f"notebooks/{notebook.name}").find("section", attrs={"aria-label": "Next step"})
        links = {link.get_text(strip=True): link["href"] for link in step.find_all("a", attrs={"download": True})}
        wanted = {path.name: path for path in made.files_of(notebook.name, ROOT)}
        assert {*links} == {*wanted} and {f"{notebook.name}.ipynb", f"{notebook.name}.py"} <= {*links}
        for name, href in links.items():
            given, kept = (path.read_bytes() for path in ((html / "notebooks" / href).resolve(), ROOT / wanted[name]))
            if name.endswith(".ipynb"):  # without the spaces that its format allows
                given, kept = json.loads(given), json.loads(kept)
            assert given == kept, name


def test_every_file_of_the_downloads_is_in_the_book(html):
    page = read(html, "book/downloads")
    named = {link.get_text(strip=True) for link in page.find_all("a", attrs={"download": True})}
    drawn = {one.rpartition("/")[2] for notebook in NOTEBOOKS for one in notebook.draws}
    small = [name for name in FILES if (ROOT / name).stat().st_size <= made.MOST_BYTES]
    kept = {name.rpartition("/")[2] for name in small if not name.startswith(made.RUNS)}
    assert named == kept | drawn | {f"{one.name}.{end}" for one in NOTEBOOKS for end in ("ipynb", "py")} | {"runs.zip"}
    for link in page.find_all("a", attrs={"download": True}):
        assert (html / "book" / link["href"]).resolve().is_file(), link
    assert sum(path.stat().st_size for path in html.rglob("*") if path.is_file()) < 45e6


def test_provenance_names_what_made_the_book(html):
    rows = {
        row[0]: row[1]
        for row in (
            [cell.get_text(" ", strip=True) for cell in tr.find_all("td")]
            for tr in read(html, "book/provenance").find_all("tr")
        )
        if len(row) == 2
    }
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert rows["package"] == f"forwardecg {version}"
    assert re.search(r"torch \d", next(value for key, value in rows.items() if key.startswith("libraries")))
    assert re.match(r"[0-9a-f]{7,} of \d{4}-\d\d-\d\d|not known", rows["commit of the rendered files"])
    assert rows["lock of the pipeline"].startswith(f"{len(NOTEBOOKS)} notebooks with ")
    tables = [
        [cell.get_text(" ", strip=True) for cell in tr.find_all("td")]
        for tr in read(html, "book/provenance").find_all("tr")
    ]
    of_notebooks = [row for row in tables if len(row) == 5 and re.fullmatch("[0-9a-f]{16}", row[-1])]
    assert [row[3] for row in of_notebooks] == ["yes"] * len(NOTEBOOKS)
    # a page that is younger than the last whole reproduction says so
    took = r"[\d.]+ min|not measured"
    assert all(
        re.fullmatch(took, row[1]) and re.fullmatch(r"\d+ of \d+|–|not measured", row[2]) for row in of_notebooks
    )


def test_without_git_the_commit_is_not_known(tmp_path):
    directive = object.__new__(made.Provenance)
    directive.root = tmp_path
    assert directive.commit().startswith("not known")
    assert directive.lock().startswith("0 notebooks")


# Notation


def rows_of_notation() -> list[list[str]]:
    text = (BOOK / "notation.md").read_text(encoding="utf-8")
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows if not row[0].strip().startswith(("symbol", "---"))]


def identifiers() -> set[str]:
    """Every name, attribute, argument, and string that is a name, in the code of the package."""
    found = set()
    for path in (ROOT / "src" / "forwardecg").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            found |= {
                getattr(node, key) for key in ("id", "attr", "arg", "name") if isinstance(getattr(node, key, None), str)
            }
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isidentifier():
                found.add(node.value)  # variables of a Dataset
    return found


def test_code_names_of_the_notation_exist():
    names = {name for row in rows_of_notation() for name in re.findall(r"`(\w+)`", row[3])}
    assert len(names) > 60
    assert names - identifiers() == set()


def test_units_of_the_notation_are_those_of_the_contract():
    plain = {"mm²/ms": "mm2 ms-1", "mV mm/ms": "mV mm ms-1", "true or false": "1"}
    seen = set()
    for row in rows_of_notation():
        for name in {*re.findall(r"`(\w+)`", row[3])} & {*CONTRACT}:
            unit = row[2].partition(",")[0]
            if not unit.startswith("as "):
                seen.add(name)
                assert plain.get(unit, unit) == CONTRACT[name][1], (name, unit)
    assert {
        "V_m",
        "D",
        "D_across",
        "fiber_angle",
        "lat",
        "recovery",
        "conductive",
        "phi_e",
        "electrodes",
        "time",
    } <= seen


def test_a_symbol_is_defined_once():
    symbols = [symbol for row in rows_of_notation() for symbol in re.findall(r"\$([^$]+)\$", row[0])]
    assert len(symbols) == len({*symbols}), sorted({one for one in symbols if symbols.count(one) > 1})


def letters(text: str) -> set[str]:
    """The letters, Latin and Greek, that stand for something in the formulas of a page, without what hangs on them."""
    formulas = re.findall(
        r"\$\$(.*?)\$\$|(?<![\\$])\$([^$`]+)\$", re.sub(r"```python.*?```", "", text, flags=re.DOTALL), re.DOTALL
    )
    found = set()
    for formula in ("".join(pair) for pair in formulas):
        plain = re.sub(
            r"\\(begin|end)\{\w+\}|\\(text|mathrm|operatorname)\{[^}]*\}|\\[,;!\s]|\\\\\[\w+\]", " ", formula
        )
        plain = re.sub(r"_\{[^}]*\}|_\\?\w|(?<!\w)d(?=[xytuvwA]\b)", " ", plain)  # indices and differentials
        found |= {*re.findall(r"\\[a-zA-Z]+|(?<![\\a-zA-Z])[A-Za-z]", plain)}
    return found


OPERATORS = {
    *re.findall(
        r"\S+",
        r"""\approx \bar \big \cdot \cos \dots \downarrow \exp \frac \ge \hat \iff \in \infty \int \langle \lceil \le \left \leftarrow \ln
        \log \lvert \mapsto \mathbf \mathcal \mathsf \max \min \nabla \overline \partial \pi \pm \propto \qquad \quad \rangle \rceil \Rightarrow \right \rvert
        \sin \sqrt \sum \tanh \tfrac \tilde \times \to \uparrow i j f d e""",
    )
}


def test_no_page_uses_a_letter_that_is_not_defined():
    defined = letters("\n".join(" ".join(row[:2]) for row in rows_of_notation())) | OPERATORS
    pages = {
        path: path.read_text(encoding="utf-8") for path in BOOK.glob("*.md") if path.stem not in ("notation", "index")
    }
    for notebook in NOTEBOOKS:
        cells = nbformat.read(notebook.ipynb, as_version=4).cells
        pages[notebook.ipynb] = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    assert letters(r"with $\omega_i$ and $Z$") - defined == {r"\omega", "Z"}
    unknown = {path.stem: letters(text) - defined for path, text in pages.items()}
    assert {page: found for page, found in unknown.items() if found} == {}


# Glossary and use


def test_glossary_terms_are_sorted_and_lead_somewhere():
    text = (BOOK / "glossary.md").read_text(encoding="utf-8").partition("```{glossary}")[2]
    entries = re.findall(r"^([A-Za-z].*)\n  (.+)$", text, re.MULTILINE)
    terms = [term for term, _ in entries]
    assert terms == sorted(terms, key=str.lower) and len(terms) >= 50
    assert all(re.search(r"\{(doc|ref|term)\}`", words) for _, words in entries)


def test_the_examples_of_the_page_about_use_run_in_order(tmp_path, monkeypatch, one_thread):
    plt = pytest.importorskip("matplotlib.pyplot")
    plt.switch_backend("Agg")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("forwardecg.data.store.CACHE", tmp_path / "cache")
    text = (BOOK / "use.md").read_text(encoding="utf-8")
    blocks, names = re.findall(r"```python\n(.*?)```", text, re.DOTALL), {}
    for block in blocks:
        exec(compile(block, "use.md", "exec"), names)
    plt.close("all")
    assert len(blocks) >= 10 and names["again"].sizes == names["ds"].sizes
    assert names["tissues"].sizes["sim"] == 4
    np.testing.assert_array_equal(names["same"].V_m, names["own"].V_m)
    np.testing.assert_allclose(names["own"].V_m, names["ds"].V_m, atol=1e-4)
    center = names["ds"].phi_e.sel(lead="center", time_ecg=names["ds"].time.values)
    assert np.corrcoef(names["phi_e"][0], center)[0, 1] > 0.99
    kept = names["fibrotic"].phi_e.sel(lead="center", time_ecg=names["ecg"].time_ecg.values)
    assert np.corrcoef(names["ecg"], kept)[0, 1] > 0.8


def test_the_page_about_use_names_extras_that_exist():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    named = re.findall(r'pip install -e "\.\[(\w+)\]"', (BOOK / "use.md").read_text(encoding="utf-8"))
    assert {"plot", "book"} <= {*named} <= {*extras}


def test_the_page_about_use_names_every_command():
    targets = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)[1].split()
    named = re.findall(r"^\| `make ([\w-]+)", (BOOK / "use.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert {*named, "help"} == {*targets}
