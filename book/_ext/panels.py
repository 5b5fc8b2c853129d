"""Panels of a figure that stand side by side stand below each other on a phone, where the whole figure would be swiped.

Beside the whole picture the page has its parts, which are windows on the same file; the style sheet shows the one or the
other, and print always the whole. Panels that share the y axis of one on their left get its labels again. A picture that
cannot be cut (``columns.py``) is swiped; one that is narrow as a whole, class ``single``, is read as it fits.
"""

import functools
import re
from itertools import accumulate, pairwise, product
from pathlib import Path

import columns
from columns import POINT, Column
from PIL import Image
from sphinx.application import Sphinx

SINGLE, WIDEST, LEAST = 600, 640, 140  # pixels on the page: a whole picture, and parts of one
TOGETHER = 480  # up to here, columns stay side by side in one part
PHONE, WORDS = 342, 7  # pixels: width of the article on a phone, and the least size of type there
IMAGE = re.compile(r'<img (?P<rest>[^>]*?src="[^"]*_images/(?P<name>[^"/]+\.(?:svg|png))"[^>]*?) ?/?>')
Part = list[tuple[float, float]]  # pieces side by side, in shares of the width of the picture


def parts(found: list[Column], width: float, page_width: float, widest: float = WIDEST) -> list[Part]:
    """As few parts as fit on a phone, of widths as even as can be; none, where the picture cannot be cut."""
    gaps = list(pairwise(found))
    if any(a.right >= b.left for a, b in gaps):
        return []
    cuts = [0.0, *((a.right + b.left) / 2 for a, b in gaps), width]
    labels = list(accumulate(range(len(found)), lambda last, k: k if found[k].labeled else last))
    choices = []
    for where in product((False, True), repeat=len(gaps)):
        part = []
        for first, last in pairwise([0, *(k for k, cut in enumerate(where, 1) if cut), len(found)]):
            axis = labels[first]
            again = [(cuts[axis], found[axis].labels)] if axis < first and found[axis].labeled else []
            part.append([(a / width, b / width) for a, b in [*again, (cuts[first], cuts[last])]])
            size = page_width * sum(b - a for a, b in part[-1])
            if not LEAST <= size <= min(widest, TOGETHER if last - first > 1 else WIDEST) or part[-1][0][1] == 0:
                break
        else:
            choices.append((len(part), max(sum(b - a for a, b in one) for one in part), part))
    return min(choices)[2] if choices and len(found) > 1 else []


@functools.cache
def look(path: Path, page_width: float | None) -> tuple[float, float, list[Part]]:
    """Width on the page, which is its own unless it is given; width over height; and the parts of a picture."""
    if path.suffix == ".png":
        with Image.open(path) as picture:
            wide, high = picture.size
            page_width = page_width or wide
            return page_width, wide / high, parts(columns.of_pixels(picture, page_width), wide, page_width)
    svg = path.read_text(encoding="utf-8")
    size = re.search(r'width="([\d.]+)pt" height="([\d.]+)pt"', svg)
    if not size or '<g id="figure_1">' not in svg:
        return page_width or float("inf"), 1, []  # not drawn by matplotlib
    wide, high = map(float, size.groups())
    types = [100 * float(one) for one in re.findall(r"scale\(([\d.]+) -\1\)", svg)]
    types += map(float, re.findall(r'<text style="font-size: ([\d.]+)px', svg))
    widest = PHONE / WORDS * POINT * min(types, default=WORDS)
    return POINT * wide, wide / high, parts(columns.of_lines(svg), wide, POINT * wide, widest)


def stacked(image: re.Match, path: Path) -> str:
    """The tag of an image, with its parts after it."""
    given = re.search(r"width: ([\d.]+)px", image["rest"])
    page_width, shape, found = look(path, float(given[1]) if given else None)
    classes, words, source = (re.search(rf'{key}="[^"]*"', image["rest"]) for key in ("class", "alt", "src"))
    names = classes[0][7:-1].split() if classes else []
    if page_width <= SINGLE:
        rest = image["rest"].replace(f"{classes[0]} " if classes else "", "")
        return f'<img class="{" ".join([*names, "single"])}" {rest} />'
    if not found:
        return image[0]
    name = " ".join([*names, "dark-light"])  # the theme puts no ground under it: its part has one
    html = ""
    for part in found:
        html += f'<span class="panel" style="max-width: {page_width * sum(b - a for a, b in part):.0f}px">'
        for a, b in part:
            window = f"flex-grow: {100 * (b - a):.3f}; aspect-ratio: {(b - a) * shape:.5f}"
            place = f"width: {100 / (b - a):.3f}%; margin-left: {-100 * a / (b - a):.3f}%"
            html += f'<span style="{window}"><img alt="" class="{name}" loading="lazy" {source[0]} style="{place}" /></span>'
        html += "</span>"
    label = f"aria-label={words[0][4:]}" if words else ""
    return f'{image[0]}<span class="panels" role="img" {label}>{html}</span>'


def stack(app: Sphinx, pagename: str, templatename: str, context: dict, doctree) -> None:
    if "body" in context:
        paths = {name: Path(app.srcdir) / source for source, name in app.builder.images.items()}
        context["body"] = IMAGE.sub(
            lambda image: stacked(image, paths[image["name"]]) if image["name"] in paths else image[0], context["body"]
        )


def setup(app: Sphinx) -> dict:
    app.connect("html-page-context", stack, priority=910)  # after the figures have their boxes (accessible.py)
    app.add_css_file("panels.css")
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
