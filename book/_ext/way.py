"""The way through the book: what each page asks, what it answers, where to go next, as the headers of the pages say.

Under the title of a page stands its question with the answer, or where the page has the comment ``% way``; at its end the
next page, and for a notebook what can be taken from it. They are put into the document after it was read, so that no notebook has to carry them. The directive
``reading-list`` writes the questions of all pages, part by part.
"""

import re
from pathlib import Path
from typing import Any

import yaml
from docutils import nodes
from docutils.statemachine import StringList
from forwardecg_book import HEADLINE, headline_node, setting_node
from made import files_of
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from compendium.header import read_page

PLACEHOLDER = re.compile(r"\{(headline|setting)\}`([^`]+)`")
MARKUP = re.compile(rf"{PLACEHOLDER.pattern}|`([^`]+)`")


class way_box(nodes.General, nodes.Element):
    """An ``aside`` or a ``section`` of html with a label of its own."""


def header_file(srcdir, page: str) -> Path | None:
    """The file whose header speaks of a page: a Markdown page itself, or the source of a notebook."""
    paths = (Path(srcdir) / f"{page}{suffix}" for suffix in (".md", ".py"))
    return next((path for path in paths if path.is_file()), None)


def entry_of(env, page: str) -> dict[str, Any]:
    """What the header of a page says; an edit of it is one of the page that is being read, too."""
    path = header_file(env.srcdir, page)
    if path is None:
        return {}
    env.note_dependency(str(path))
    return read_page(path)


def toc(srcdir) -> list[tuple[str, list[str]]]:
    """The parts of the book, each with its pages in the order in which they are read; the root is the first of them."""

    def pages(entries: list[dict]) -> list[str]:
        return [name for one in entries if "file" in one for name in (one["file"], *pages(one.get("sections", [])))]

    content = yaml.safe_load((Path(srcdir) / "_toc.yml").read_text(encoding="utf-8"))
    parts = [(part["caption"], pages(part["chapters"])) for part in content.get("parts", [])]
    return [("", [content["root"]]), *parts]


def sentence(env, text: str) -> list[nodes.Node]:
    """Words as they are, names of code as such, numbers from the results or the settings that they name."""
    found: list[nodes.Node] = []
    end = 0
    for match in MARKUP.finditer(text):
        kind, key, code = match.groups()
        number = {"headline": headline_node, "setting": setting_node}.get(kind)
        found += [nodes.Text(text[end : match.start()]), number(env, key) if number else nodes.literal(text=code)]
        end = match.end()
    return [*found, nodes.Text(text[end:])]


def labeled(word: str, *rest: nodes.Node) -> nodes.paragraph:
    return nodes.paragraph("", "", nodes.strong(text=word), nodes.Text(" "), *rest)


def link(docname: str, here: str) -> addnodes.pending_xref:
    return addnodes.pending_xref(
        "",
        nodes.inline(),
        refdomain="std",
        reftype="doc",
        reftarget=f"/{docname}",
        refexplicit=False,
        refwarn=True,
        refdoc=here,
    )


def downloads(env, name: str) -> nodes.paragraph | None:
    """What can be taken from a notebook: itself, its source, and the tables that it makes."""
    parts: list[nodes.Node] = []
    for path in files_of(name, Path(env.srcdir)):
        text = nodes.literal(text=path.name)
        if path.suffix == ".ipynb":
            parts.append(built_file("", "", text, docname=env.docname, target=f"_sources/{path.as_posix()}"))
        else:
            parts.append(addnodes.download_reference("", "", text, refdoc=env.docname, reftarget=f"/{path.as_posix()}"))
        parts.append(nodes.Text(", "))
    return labeled("Take it with you:", *parts[:-1]) if parts else None


def put_on_page(app: Sphinx, doctree: nodes.document) -> None:
    env, here = app.env, app.env.docname
    env.note_dependency(__file__)
    entry = entry_of(env, here)
    page = next(doctree.findall(nodes.section), None)
    if not entry or page is None or not (Path(env.srcdir) / HEADLINE).is_file():
        return  # a notebook that is rendered alone ran with other parameters, and may have another answer
    answer = labeled("Answer", *sentence(env, entry["answer"]))
    asked = (
        at
        for at, one in enumerate(page.children)
        if isinstance(one, nodes.paragraph) and one.astext().startswith("Question.")
    )
    place = next((one for one in page.findall(nodes.comment) if one.astext() == "way"), None)
    if (at := next(asked, None)) is not None:
        # the page asks in its own words, at more length: the answer follows them
        page.insert(at + 1, way_box("", answer, element="aside", label="Answer of this page"))
    else:
        question = labeled("Question", *sentence(env, entry["question"]))
        box = way_box("", question, answer, element="aside", label="Question and answer of this page")
        page.insert(1, box) if place is None else place.replace_self(box)
    after = way_box("", element="section", label="Next step")
    if entry["next"]["page"] in env.found_docs:
        after += labeled("Next", link(entry["next"]["page"], here), *sentence(env, f": {entry['next']['why']}."))
    if taken := downloads(env, here.partition("/")[2]):
        after += taken
    if after.children:
        page.append(after)


class built_file(nodes.General, nodes.Inline, nodes.TextElement):
    """A link to a file that is in the built book anyway, such as the copy of a notebook that the theme offers."""


def built_role(name, rawtext, text, lineno, inliner, options=None, content=None):
    here = inliner.document.settings.env.docname
    return [built_file(rawtext, "", nodes.literal(text=Path(text).name), docname=here, target=text)], []


def visit_built_file(self, node) -> None:
    up = "../" * node["docname"].count("/")
    self.body.append(
        self.starttag(node, "a", "", href=f"{up}{node['target']}", download="", CLASS="reference download internal")
    )


def depart_built_file(self, node) -> None:
    self.body.append("</a>")


class ReadingList(SphinxDirective):
    """All pages with their questions, one table a part."""

    def run(self) -> list[nodes.Node]:
        lines = []
        for caption, pages in toc(self.env.srcdir)[1:]:
            asked = {page: entry["question"] for page in pages if (entry := entry_of(self.env, page))}
            rows = [
                f"| {{doc}}`/{page}`{' *(notebook)*' * page.startswith('notebooks')} | {question} |"
                for page, question in asked.items()
            ]
            lines += ["", f"**{caption}**", "", "| page | question |", "|---|---|", *rows]
        found = nodes.container(classes=["reading-list"])
        self.state.nested_parse(StringList(lines, source=self.env.docname), 0, found)
        return [found]


def visit_box(self, node) -> None:
    extra = {"aria-label": node["label"]}
    self.body.append(self.starttag(node, node["element"], CLASS=f"way way-{node['element']}", **extra))


def depart_box(self, node) -> None:
    self.body.append(f"</{node['element']}>\n")


def ignore(self, node) -> None:
    """Its text is all that another writer can use."""


def setup(app: Sphinx) -> dict:
    others = {writer: (ignore, ignore) for writer in ("latex", "text", "man", "texinfo")}
    app.add_node(way_box, html=(visit_box, depart_box), **others)
    app.add_node(built_file, html=(visit_built_file, depart_built_file), **others)
    app.add_role("built", built_role)
    app.add_directive("reading-list", ReadingList)
    app.add_css_file("way.css")
    # before Sphinx collects the downloads and the titles of the page
    app.connect("doctree-read", put_on_page, priority=300)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
