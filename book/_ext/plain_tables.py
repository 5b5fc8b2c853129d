"""Tables of notebooks as readers want them, also those of notebooks that were executed before their tables were made plain."""

from sphinx.application import Sphinx

from compendium.tables import plain


def mend(app: Sphinx, pagename: str, templatename: str, context: dict, doctree) -> None:
    if "body" in context:
        context["body"] = plain(context["body"])


def setup(app: Sphinx) -> dict:
    app.connect("html-page-context", mend)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
