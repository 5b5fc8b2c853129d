"""Figures of notebooks are told to those who do not see them: ``figures.show`` leaves words in the metadata of the output.

MyST-NB takes the words for an image from the metadata of the *cell* alone, one text for all figures in it. Here each
image gets those of its own output.
"""

from docutils import nodes
from myst_nb.core.render import MimeData, NbElementRenderer
from sphinx.application import Sphinx

_render_image = NbElementRenderer.render_image


def render_image(self: NbElementRenderer, data: MimeData) -> list[nodes.Element]:
    found = _render_image(self, data)
    words = data.output_metadata.get(data.mime_type, {}).get("alt")
    for image in found:
        if words and "alt" not in image:
            image["alt"] = words
    return found


def setup(app: Sphinx) -> dict:
    NbElementRenderer.render_image = render_image
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
