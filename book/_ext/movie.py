"""A moving picture that can be stopped: ``{movie} front`` is a figure of ``book/assets/waves/front.webp`` with its still.

The still is what print shows, and those who stop the picture or asked their system for less motion. Dark pages have a picture
and a still of their own, ``front_dark``; what is hidden is not loaded. Options and caption are those of a figure.
"""

from html import escape

import imagesize
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.directives.patches import Figure

FOLDER = "book/assets/waves"  # a copy of it is in _static
SHARPNESS = 2  # pixels of the picture for each on the page


class Movie(Figure):
    def run(self) -> list[nodes.Node]:
        env = self.state.document.settings.env
        name = self.arguments[0]
        self.arguments[0] = f"/{FOLDER}/{name}_still.webp"
        self.options["figclass"], self.options["class"] = ["movie"], ["movie-light"]
        found = super().run()
        figure = next(node for node in found if isinstance(node, nodes.figure))
        path = env.srcdir / FOLDER / f"{name}.webp"
        env.note_dependency(str(path))
        width, height = (n // SHARPNESS for n in imagesize.get(str(path)))
        at = f"{'../' * env.docname.count('/')}_static/{FOLDER.rpartition('/')[2]}/{name}"
        words = f'alt="{escape(self.options["alt"])}" width="{width}" height="{height}" loading="lazy"'

        def picture(look: str, drawn: str) -> str:
            return (
                f'<picture class="movie-{look}"><source media="(prefers-reduced-motion: reduce)" srcset="{drawn}_still.webp">'
                f'<img src="{drawn}.webp" {words} class="dark-light"></picture>'
            )

        # dark-light: the theme puts no white ground under it
        dark = f'<img src="{at}_dark_still.webp" {words} class="movie-dark dark-light">'
        stop = f'<label class="movie-stop"><input type="checkbox" name="stop-{name}"> stop</label>'
        figure.insert(0, nodes.raw("", picture("light", at) + picture("dark", f"{at}_dark"), format="html"))
        figure.insert(2, nodes.raw("", dark + stop, format="html"))
        return found


def setup(app: Sphinx) -> dict:
    app.add_directive("movie", Movie)
    app.add_css_file("movie.css")
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
