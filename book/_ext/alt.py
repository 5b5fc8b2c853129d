"""Figures of notebooks are told to those who do not see them, and those that are mostly paper have dark paper in the dark.

``figures.show`` leaves words in the metadata of the output. MyST-NB takes the words for an image from the metadata of the
*cell* alone, one text for all figures in it; here each image gets those of its own output. A plot with too many marks for
lines is a picture of pixels. It is told from a map by its paper, and the style sheet turns its lightness around on a
dark page; the colors of a map stay as they are.
"""

from binascii import a2b_base64
from io import BytesIO

import numpy as np
from docutils import nodes
from myst_nb.core.render import MimeData, NbElementRenderer
from PIL import Image
from sphinx.application import Sphinx

PAPER = 0.85  # the least share of white: plots have 0.89 and more, maps 0.83 and less

_render_image = NbElementRenderer.render_image


def mostly_paper(png: bytes) -> bool:
    """Whether a picture is drawn on paper, and is none of a sheet of tissue."""
    return bool((np.asarray(Image.open(BytesIO(png)).convert("L")) > 250).mean() > PAPER)


def render_image(self: NbElementRenderer, data: MimeData) -> list[nodes.Element]:
    found = _render_image(self, data)
    words = data.output_metadata.get(data.mime_type, {}).get("alt")
    plot = data.mime_type == "image/png" and mostly_paper(a2b_base64(data.content))
    for image in found:
        if words and "alt" not in image:
            image["alt"] = words
        if plot:
            image["classes"].append("on-paper")
    return found


def setup(app: Sphinx) -> dict:
    NbElementRenderer.render_image = render_image
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
