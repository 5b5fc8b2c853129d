"""Figures of several panels: cut where they are white, with all that belongs to a panel, or not at all."""

import re
import sys
from io import BytesIO

import matplotlib.pyplot as plt
import numpy as np
import pytest
from bs4 import BeautifulSoup
from matplotlib.figure import Figure
from PIL import Image

from compendium import figures
from compendium.registry import ROOT

sys.path.insert(0, str(ROOT / "book" / "_ext"))

import columns  # noqa: E402
import panels  # noqa: E402

DPI = 96  # of pixels on the page
FORMATS = ("svg", "svg with text", "png")


@pytest.fixture(autouse=True)
def style():
    with plt.rc_context():
        figures.set_style()
        yield
    plt.close("all")


def drawn(fig: Figure, kind: str) -> tuple[list[panels.Part], np.ndarray]:
    """The parts of a figure in a format, and where the same figure has ink, as pixels of the page (y, x)."""
    out = BytesIO()
    fig.savefig(out, dpi=DPI)
    with Image.open(out) as picture:
        ink = np.asarray(picture.convert("L")) < 250
        if kind == "png":
            return panels.parts(columns.of_pixels(picture, picture.width), picture.width, picture.width), ink
    text = BytesIO()
    with plt.rc_context({"svg.fonttype": "none" if "text" in kind else "path"}):
        fig.savefig(text, format="svg")
    width = fig.get_figwidth() * 72
    return panels.parts(columns.of_lines(text.getvalue().decode()), width, width * columns.POINT), ink


def plots(n: int, **options) -> tuple[Figure, list]:
    fig, axes = plt.subplots(1, n, figsize=(4.5 * n, 3.5), **options)
    for k, ax in enumerate(axes):
        ax.plot(np.arange(5) * 10.0**k)
        ax.set(title=f"panel {k}", xlabel="time (ms)")
    axes[0].set_ylabel("voltage")
    return fig, axes


def assert_white(parts: list[panels.Part], ink: np.ndarray) -> None:
    width = ink.shape[1]
    for edge in {int(edge * width) for part in parts for piece in part for edge in piece} - {0, width}:
        assert not ink[:, edge].any(), edge


@pytest.mark.parametrize("kind", FORMATS)
def test_panels_are_cut_where_it_is_white_and_keep_their_words(kind):
    fig, axes = plots(3)
    axes[1].set_ylabel("another voltage")
    parts, ink = drawn(fig, kind)
    width = ink.shape[1]
    assert [len(part) for part in parts] == [1, 1, 1]
    assert parts[0][0][0] == 0 and parts[-1][0][1] == 1
    assert all(a[0][1] == b[0][0] for a, b in zip(parts, parts[1:], strict=False)), "nothing is left out"
    assert_white(parts, ink)
    for ((left, right),), ax in zip(parts, axes, strict=True):
        box = ax.get_tightbbox()
        begins, ends = box.x0 * DPI / fig.dpi, box.x1 * DPI / fig.dpi
        assert left * width <= begins + 1 and ends <= right * width + 1, "labels of y, title and all"


@pytest.mark.parametrize("kind", FORMATS)
def test_a_panel_that_shares_the_axis_of_another_gets_its_labels(kind):
    fig, axes = plots(2, sharey=True)
    parts, ink = drawn(fig, kind)
    width = ink.shape[1]
    (whole,), (labels, panel) = parts
    assert_white(parts, ink)
    frame = axes[0].get_window_extent().x0 * DPI / fig.dpi
    assert labels[0] == 0 and frame - 16 < labels[1] * width < frame - 6, "the labels, without their ticks"
    assert whole[1] == panel[0] and panel[1] == 1


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("what", ["title", "legend", "label"])
def test_what_is_of_the_whole_figure_is_never_cut(kind, what):
    fig, axes = plots(2)
    assert drawn(fig, kind)[0]
    if what == "title":
        fig.suptitle("a title of the figure that stands over both of its panels")
    elif what == "legend":
        fig.legend(handles=axes[0].lines, labels=["a curve of both of the panels and more"], loc="outside lower center")
    else:
        axes[0].set_xlabel("a label of the first of the panels that reaches below the second one, as it is long")
    assert drawn(fig, kind)[0] == []


def test_a_color_bar_stays_with_its_map():
    fig, axes = plt.subplots(1, 2, figsize=(10, 3.5))
    for ax in axes:
        image = figures.map_axes(ax, np.random.default_rng(0).random((40, 40)) / 2, 1.0)
        fig.colorbar(image, ax=ax, label="a scale")
    parts, ink = drawn(fig, "png")
    assert len(parts) == 2
    assert_white(parts, ink)
    first, second = fig.axes[2], fig.axes[1]  # the first color bar, and the map behind it
    cut = parts[0][0][1] * ink.shape[1] * fig.dpi / DPI
    assert first.get_tightbbox().x1 <= cut + 1 and cut <= second.get_tightbbox().x0 + 1


@pytest.mark.parametrize("kind", FORMATS)
def test_one_panel_is_not_cut(kind):
    fig, ax = plt.subplots(figsize=(9, 4))
    ax.plot([0, 1], label="a curve")
    fig.legend(loc="outside right upper")
    assert drawn(fig, kind)[0] == []


def test_columns_that_fit_beside_each_other_stay_so():
    found = [columns.Column(200 * k + 5, 200 * k + 195, True, 40) for k in range(4)]
    assert panels.parts(found, 800, 800) == [[(0, 0.5)], [(0.5, 1)]]
    assert [len(part) for part in panels.parts(found, 800, 2000)] == [1] * 4
    assert panels.parts(found, 800, 3000) == [], "too wide for a phone"


def test_a_picture_with_small_type_is_not_made_smaller(tmp_path):
    fig, axes = plots(2)
    large, small = tmp_path / "large.svg", tmp_path / "small.svg"
    fig.savefig(large)
    axes[0].set_title("tiny", fontsize=3)
    fig.savefig(small)
    assert len(panels.look(large, None)[2]) == 2 and panels.look(small, None)[2] == []


def test_the_page_has_the_picture_its_words_and_its_parts(tmp_path):
    fig, _ = plots(2, sharey=True)
    path = tmp_path / "a.svg"
    fig.savefig(path)
    tag = '<img alt="Two &quot;panels&quot;" class="on-paper" src="../_images/a.svg" />'
    html = panels.stacked(panels.IMAGE.fullmatch(tag), path)
    whole, stack = BeautifulSoup(html, "html.parser").contents
    assert html.startswith(tag) and stack["role"] == "img" and stack["aria-label"] == whole["alt"] == 'Two "panels"'
    pieces = stack.select(".panel > span > img")
    assert len(pieces) == 3 and len(stack.select(".panel")) == 2
    for piece in pieces:
        assert piece["src"] == "../_images/a.svg" and piece["alt"] == "" and "on-paper" in piece["class"]
    # the window is as wide as the piece: what is left of it, the picture in it, and what is right of it
    size, start = (float(re.search(rf"{key}: (-?[\d.]+)%", pieces[-1]["style"])[1]) for key in ("width", "margin-left"))
    assert start + size == pytest.approx(100, abs=0.01), "the last piece ends where the picture does"


def test_a_narrow_picture_is_read_as_it_fits(tmp_path):
    fig, _ = plots(2)
    path = tmp_path / "a.png"
    fig.savefig(path)
    tag = '<img alt="Two panels" src="_images/a.png" style="width: 500px;" />'
    assert panels.stacked(panels.IMAGE.fullmatch(tag), path) == tag.replace("<img", '<img class="single"')


def test_pictures_of_the_book_are_cut_in_the_white(html):
    """Those of pixels; and most figures of several panels are among those that are cut."""
    stacks, edges = 0, 0
    for page in sorted(html.glob("*/*.html")):
        for stack in BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser").select(".panels"):
            stacks += 1
            assert len(stack["aria-label"]) > 10 and stack.find_previous("img")["alt"] == stack["aria-label"]
            for piece in stack.select('img[src$=".png"]'):
                with Image.open(page.parent / piece["src"]) as picture:
                    ink = np.asarray(picture.convert("L")) < 250
                size, start = (float(re.search(rf"{key}: (-?[\d.]+)%", piece["style"])[1]) for key in ("width", "left"))
                for edge in (-start / size, (100 - start) / size):
                    column = round(edge * picture.width)
                    if 0 < column < picture.width:
                        edges += 1
                        assert not ink[:, column].any(), (page.name, piece["src"], edge)
    assert stacks >= 50 and edges >= 50, (stacks, edges)
