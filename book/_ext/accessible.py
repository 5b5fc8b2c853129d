"""What a screen reader needs and the theme leaves out; none of it can be mended by a style sheet.

The arrows that fold the chapters of the sidebar are buttons without a name: each gets that of its chapter. The list of
references calls itself a list and holds no list items: it is left a plain block, its entries say themselves what they are.
The figures of notebooks stand in no box: each gets one of the kind that the theme's script makes reachable by the keyboard
where it scrolls.
"""

import re

from bs4 import BeautifulSoup
from sphinx.application import Sphinx

# an output of a cell, with a link to its full size where it has a width; images of the text stand in paragraphs or figures
FIGURE = re.compile(
    r'(<figure[^>]*>\n)?^(<a class="[^"]*image-reference[^"]*"[^>]*>)?<img [^>]*>(?(2)\s*</a>)$', re.MULTILINE
)


def boxed(found: re.Match) -> str:
    return found[0] if found[1] else f'<div class="output figure">{found[0]}</div>'


def name_the_arrows(tree: BeautifulSoup | str) -> BeautifulSoup | str:
    if isinstance(tree, BeautifulSoup):
        for summary in tree.select("li.has-children > details > summary"):
            chapter = summary.find_parent("li").find("a").get_text(strip=True)
            summary["aria-label"] = f"Pages under {chapter}"
    return tree


def mend(app: Sphinx, pagename: str, templatename: str, context: dict, doctree) -> None:
    if "generate_toctree_html" in context:
        toctree = context["generate_toctree_html"]
        context["generate_toctree_html"] = lambda *args, **options: name_the_arrows(toctree(*args, **options))
    if "body" in context:
        context["body"] = FIGURE.sub(boxed, context["body"])
        context["body"] = context["body"].replace(
            '<div role="list" class="citation-list">', '<div class="citation-list">'
        )


def setup(app: Sphinx) -> dict:
    app.connect("html-page-context", mend, priority=900)  # after the theme has put its functions there
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
