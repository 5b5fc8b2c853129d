"""Who wrote the book, which version it is, how to cite it, and where it lives: from ``CITATION.cff`` and one setting.

Under the title of the front page and in the footer of every page stand authors, version and date. ``how-to-cite`` writes the
citation as text and as BibTeX, ``changelog`` the changelog of the project. Pages tell search engines and shared links what
they are about, by their question and answer.

The setting is ``repository: url`` of ``_config.yml``. Where it is empty, no page leads out of the book to edit, to ask or to
run it. Where it has the address of a repository, every page does, and notebooks that need no data set have buttons for
Binder and Colab.
"""

import ast
import re
from datetime import date
from html import escape, unescape
from pathlib import Path
from typing import Any

import yaml
from docutils import nodes
from made import FromFiles
from sphinx.application import Sphinx
from way import link, way_box

from compendium.registry import ROOT

HEAVY = {"forwardecg.data.store", "forwardecg.data.sets", "compendium.external"}  # what brings data to a notebook
ABOUT = "about"  # entry of a page's metadata: its question and answer


def read_citation(root: Path = ROOT) -> dict[str, Any]:
    """``CITATION.cff``: the one place of authors, version and date."""
    return yaml.safe_load((root / "CITATION.cff").read_text(encoding="utf-8"))


def names(authors: list[dict], last_first: bool = False) -> list[str]:
    """Authors as they are printed, or as BibTeX wants them; a group is one name."""
    found = []
    for one in authors:
        parts = (one.get("given-names", ""), one.get("family-names", ""))
        whole = f"{parts[1]}, {parts[0]}" if last_first else " ".join(parts)
        found.append(one.get("name") and (f"{{{one['name']}}}" if last_first else one["name"]) or whole)
    return found


def edition(citation: dict) -> str:
    day: date = citation["date-released"]
    return f"Version {citation['version']}, {day.day} {day:%B %Y}"


def as_text(entry: dict) -> str:
    """One reference in a line."""
    when = entry["date-released"].year if "date-released" in entry else entry["year"]
    rest = [entry["conference"]["name"]] if "conference" in entry else [f"Version {entry['version']}"]
    rest += [one["value"] for one in entry.get("identifiers", ())]
    rest += [f"<{entry['url']}>"] if "url" in entry else []
    return f"{', '.join(names(entry['authors']))} ({when}). {entry['title']}. {', '.join(rest)}."


def as_bibtex(entry: dict, key: str) -> str:
    kind = "software" if "version" in entry else "inproceedings"
    fields = {
        "author": " and ".join(names(entry["authors"], last_first=True)),
        "title": f"{{{entry['title']}}}",
        "year": entry["date-released"].year if "date-released" in entry else entry["year"],
        "booktitle": entry.get("conference", {}).get("name"),
        "version": entry.get("version"),
        "note": ", ".join(one["value"] for one in entry.get("identifiers", ())) or None,
        "doi": entry.get("doi"),
        "url": entry.get("url"),
    }
    lines = [f"  {name:9} = {{{value}}}," for name, value in fields.items() if value]
    return "\n".join([f"@{kind}{{{key},", *lines, "}"])


class HowToCite(FromFiles):
    """This book, and the papers that it names, each as text and as BibTeX."""

    def lines(self) -> list[str]:
        self.env.note_dependency(str(ROOT / "CITATION.cff"))
        citation = read_citation()
        out = []
        for entry in (citation, *citation["references"]):
            first = entry["authors"][0]
            key = f"{first['family-names'].replace('-', '')}{entry['year']}" if "year" in entry else "forwardecg"
            title = "This book" if entry is citation else entry["scope"]
            out += ["", f"**{title}**", "", as_text(entry), "", "```bibtex", *as_bibtex(entry, key).splitlines(), "```"]
        return out


class Changelog(FromFiles):
    """``CHANGELOG.md`` without its title; what looks like a role of MyST there is meant as text."""

    def lines(self) -> list[str]:
        path = ROOT / "CHANGELOG.md"
        self.env.note_dependency(str(path))
        text = path.read_text(encoding="utf-8").split("\n", 1)[1]
        text = re.sub(r"(?<!`)\{(?=[\w-]+\}`)", r"\\{", text)
        return re.sub(
            r"^##+ (.+)$", lambda head: f"\n**{head[1].strip('[]')}**\n", text, flags=re.MULTILINE
        ).splitlines()


# The one setting


def open_to_the_world(app: Sphinx, config) -> None:
    """The name beside the logo; buttons to edit, to ask and to run, if there is a repository that they can lead to."""
    config.author = ", ".join(names(read_citation()["authors"]))
    options = config.html_theme_options
    options["logo"] = {"text": config.html_title, "alt_text": "The mark of this book, a trace of an ECG"}
    if options.get("repository_url"):
        options |= dict.fromkeys(("use_repository_button", "use_issues_button", "use_edit_page_button"), True)
        options["launch_buttons"] = {
            "notebook_interface": "jupyterlab",
            "binderhub_url": "https://mybinder.org",
            "colab_url": "https://colab.research.google.com",
        }


def is_light(source: Path) -> bool:
    """Whether a notebook runs without a data set, and so on a small machine of others: it imports nothing that brings one."""
    imports = [
        node for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))) if isinstance(node, ast.ImportFrom)
    ]
    brought = {str(node.module) for node in imports} | {
        f"{node.module}.{one.name}" for node in imports for one in node.names
    }
    trains = any(name.partition(".")[0] == "experiments" for name in brought)  # which is no installed package
    return not (brought & HEAVY or trains)


def source_of(app: Sphinx, page: str) -> Path | None:
    """The source of a notebook's page; nothing for other pages."""
    path = Path(app.srcdir) / f"{page}.py"
    return path if path.is_file() else None


def first_cell(url: str, branch: str) -> str:
    """What Colab, which has the notebook alone, is told to do first."""
    name = url.rstrip("/").rpartition("/")[2]
    return "\n".join([
        f"!git clone --quiet --depth 1 --branch {branch} {url}",
        f"%cd {name}",
        '%pip install --quiet ".[plot]"',
        'import sys; sys.path.insert(0, "src")',
    ])  # fmt: skip


def keep_light_buttons(app: Sphinx, pagename: str, templatename: str, context: dict, doctree) -> None:
    """Launch buttons for light notebooks alone; the source of a notebook is edited, not its output."""
    source = source_of(app, pagename)
    groups = context.get("header_buttons", [])
    if source is None or not is_light(source):
        context["header_buttons"] = groups = [one for one in groups if one.get("label") != "launch-buttons"]
    for button in [button for group in groups for button in group.get("buttons", ())]:
        if source is not None and button.get("label") == "source-edit-button":
            button["url"] = re.sub(r"\.ipynb$", ".py", button["url"])


# On the pages


def put_on_page(app: Sphinx, doctree: nodes.document) -> None:
    """The line of the front page, the help for Colab, and the words by which a page is found."""
    env, here = app.env, app.env.docname
    page = next(doctree.findall(nodes.section), None)
    if page is None:
        return
    env.note_dependency(__file__)
    if here == app.config.root_doc and "book/cite" in env.found_docs:
        env.note_dependency(str(ROOT / "CITATION.cff"))
        citation = read_citation()
        words = f"{', '.join(names(citation['authors']))}. {edition(citation)}. "
        page.insert(1, nodes.paragraph("", words, link("book/cite", here), classes=["edition"]))
    boxes = [one for one in doctree.findall(way_box) if one["element"] == "aside"]
    if boxes:
        said = ["".join(part.astext() for part in line.children[1:]).strip() for line in boxes[0].children]
        env.metadata[here][ABOUT] = " ".join(said)
    source, options = source_of(app, here), app.config.html_theme_options
    if options.get("repository_url") and source is not None and is_light(source):
        cell = first_cell(options["repository_url"], options["repository_branch"])
        words = "The rocket above opens this notebook on Binder or on Colab. On Colab, run these lines in a cell of their own first:"
        code = nodes.literal_block(cell, cell, language="text")
        after = [one for one in doctree.findall(way_box) if one["element"] == "section"]
        (after[0] if after else page).extend([nodes.paragraph("", words), code])


def describe(app: Sphinx, pagename: str, templatename: str, context: dict, doctree) -> None:
    """Description, card of shared links, and footer."""
    citation = read_citation()
    title = unescape(re.sub("<[^>]*>", "", context.get("title") or app.config.html_title))
    about = app.env.metadata.get(pagename, {}).get(ABOUT) or citation["title"]
    base = app.config.html_baseurl
    # most readers of cards want a full address, which there is only where the address of the book is known
    image = f"{base.rstrip('/')}/_static/card.png" if base else context["pathto"]("_static/card.png", 1)
    tags = {
        "og:title": title, "og:description": about, "og:type": "article", "og:image": image,
        "og:image:alt": "A wave, its ECG exact and predicted, and the conductivity that was inferred",
        "og:site_name": app.config.html_title,
    }  # fmt: skip
    lines = [f'<meta name="description" content="{escape(about)}">']
    lines += [f'<meta property="{name}" content="{escape(value)}">' for name, value in tags.items()]
    lines.append('<meta name="twitter:card" content="summary_large_image">')
    kept = re.sub('<meta name="viewport"[^>]*>\n?', "", context.get("metatags", ""))  # the theme has one of its own
    context["metatags"] = kept + "\n" + "\n".join(lines) + "\n"
    footer = edition(citation) + "."
    if "book/cite" in app.env.found_docs:
        footer += f' <a href="{context["pathto"]("book/cite")}">How to cite</a>.'
    context["theme_extra_footer"] = f'<p class="edition">{footer}</p>'


def setup(app: Sphinx) -> dict:
    app.add_directive("how-to-cite", HowToCite)
    app.add_directive("changelog", Changelog)
    app.connect("config-inited", open_to_the_world)
    app.connect("doctree-read", put_on_page, priority=400)  # after the box with question and answer
    app.connect("html-page-context", describe)
    app.connect("html-page-context", keep_light_buttons, priority=900)  # after the theme has put its buttons there
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
