"""A figure says what it shows and fits a dark page. The animation: a still and a loop, small, the same bytes each time, readable without sight."""

import ast
import re
from base64 import b64decode
from io import BytesIO
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.colors import to_rgb
from PIL import Image

from compendium import figures
from compendium.figures import animation
from compendium.registry import ROOT

N = 100
Y, X = np.meshgrid(np.arange(N) - 50.0, np.arange(N) - 50.0, indexing="ij")
ALT = 'A spiral wave; its tip is at "the center"'


def spiral(n_t=60):
    phase = np.arctan2(Y, X) - np.hypot(X, Y) / 16 - np.linspace(0, 12, n_t)[:, None, None]
    return xr.DataArray(
        np.clip(-55 + 100 * np.sin(phase), -85, 15),
        dims=("time", "y_map", "x_map"),
        coords={"time": 10.0 * np.arange(n_t)},
    )


def pictures(html):
    """The still and the animated picture, in the order of the markup."""
    return [Image.open(BytesIO(b64decode(data))) for data in re.findall(r'"data:image/webp;base64,([^"]+)"', html)]


def shown(monkeypatch, draw):
    import IPython.display
    import matplotlib.pyplot as plt

    found = {}
    monkeypatch.setattr(
        IPython.display, "display", lambda data, raw, metadata: found.update(data=data, metadata=metadata)
    )
    fig, ax = plt.subplots(figsize=(2, 2))
    draw(ax)
    figures.show(fig, ALT)
    assert not plt.fignum_exists(fig.number)
    (kind,) = {*found["data"]} - {"text/plain"}
    assert found["metadata"][kind]["alt"] == ALT
    return kind, found["data"][kind]


def test_lines_are_shown_as_vectors_and_maps_as_pixels(monkeypatch):
    figures.set_style()
    kind, svg = shown(monkeypatch, lambda ax: ax.plot([0, 1], color="black"))
    assert kind == "image/svg+xml" and "date" not in svg.lower()
    assert (kind, svg) == shown(monkeypatch, lambda ax: ax.plot([0, 1], color="black")), "the same bytes each time"
    assert "prefers-color-scheme: dark" in svg and 'stroke: #000000"] {stroke: #f0f0f0' in svg
    kinds = [shown(monkeypatch, draw)[0] for draw in (
        lambda ax: ax.imshow(np.eye(3)), lambda ax: ax.pcolormesh(np.eye(3)),
        lambda ax: ax.scatter(*np.random.default_rng(0).random((2, 20_000))),
    )]  # fmt: skip
    assert kinds == ["image/png"] * 3


def test_a_map_keeps_its_colors_in_a_third_of_the_bytes():
    """The colors of viridis, read off the picture of a ramp."""
    import matplotlib.pyplot as plt

    figures.set_style()
    fig = plt.figure(figsize=(5, 5))
    fig.set_layout_engine("none")
    fig.add_axes((0, 0, 1, 1)).imshow(np.linspace(0, 1, 250_000).reshape(500, 500))
    png, width = figures._pixels(fig)
    raw = BytesIO()
    fig.savefig(raw, format="png", bbox_inches="tight", dpi=figures.SHARPNESS * 100)
    plt.close(fig)
    ours, theirs = (np.asarray(Image.open(BytesIO(one)).convert("RGB")).astype(int) for one in (png, raw.getvalue()))
    assert width == round(ours.shape[1] / figures.SHARPNESS)
    assert np.abs(ours - theirs).max() <= 12 and len(png) < len(raw.getvalue()) / 2


def test_recurring_figures_have_their_axes_and_names():
    """Of ones and zeros: what a reader of the axes finds there."""
    import matplotlib.pyplot as plt

    figures.set_style()
    fig, axes = plt.subplots(1, 5)
    figures.map_axes(axes[0], np.eye(4), dx=0.5)
    assert axes[0].get_xlabel() == "x (mm)" and [*axes[0].get_xlim()] == [0.0, 2.0]
    assert axes[0].get_images()[0].origin == "lower"
    image = figures.activation_map(axes[1], np.add.outer(np.arange(8.0), np.arange(8.0)), dx=0.5, step=5.0)
    assert float(image.get_array().max()) == 14.0 and axes[1].collections, "isochrones"
    assert not np.isfinite(
        figures.activation_map(axes[1], np.full((4, 4), np.nan), dx=0.5).get_array().filled(np.nan)
    ).any()
    figures.ecg_traces(axes[2], [0, 1, 2], [0.0, 1.0, 0.0], {"half": [0.0, 0.5, 0.0]})
    assert axes[2].get_legend_handles_labels()[1] == ["solver", "half"]
    table = pd.DataFrame({"method": ["mean"] * 2, "condition": ["healthy"] * 2, "r2": [0.4, -7.0]})
    figures.ladder(axes[3], table, order=["mean"])
    assert [label.get_text() for label in axes[3].get_yticklabels()] == ["mean"]
    assert min(axes[3].collections[1].get_offsets()[:, 0]) == -1.0, "a triangle on the floor"
    rows = pd.DataFrame(
        {"difference": 0.1, "low": 0.0, "high": 0.2, "p_holm": [0.04, 0.06]}, index=["a part", "a choice"]
    )
    figures.forest(axes[4], rows)
    assert [label.get_text() for label in axes[4].get_yticklabels()] == ["a part", "a choice"]
    (marks,) = [one for one in axes[4].collections if len(one.get_offsets()) == 2]
    assert [color[:3].sum() for color in marks.get_facecolor()] == [0.0, 3.0], "filled where the difference is shown"
    plt.close(fig)


def test_a_figure_without_words_is_refused():
    with pytest.raises(ValueError, match="alt: expected a sentence"):
        figures.show(None, " ")


def test_markup_holds_a_still_and_a_loop_and_is_small():
    html = animation(spiral(), 0.5, ALT).data
    assert len(html) < 150_000
    assert re.search(r'<picture><source media="\(prefers-reduced-motion: reduce\)" srcset="data:', html)
    assert 'alt="A spiral wave; its tip is at &quot;the center&quot;"' in html and "max-width: 100%" in html
    assert "50 mm × 50 mm, 0 to 590 ms" in html and "http" not in html
    still, loop, stopped = pictures(html)
    assert stopped == still and 'type="checkbox"> stop</label>' in html
    assert (still.n_frames, loop.n_frames) == (1, 60) and loop.info["loop"] == 0
    assert still.size == loop.size == (300, 300)


def test_the_same_maps_give_the_same_bytes():
    assert animation(spiral(8), 0.5, ALT).data == animation(spiral(8), 0.5, ALT).data


def test_colors_are_those_of_the_scale_and_the_first_row_is_at_the_bottom():
    V_m = spiral(3)
    V_m[:, :50], V_m[:, 50:] = -85.0, 15.0
    conductive = np.ones((N, N), bool)
    conductive[:50, 50:] = False
    loop = pictures(animation(V_m, 0.5, ALT, conductive=conductive).data)[1].convert("RGB")
    for place, color in {(60, 250): (68, 1, 84), (240, 250): (153, 153, 153), (150, 100): (253, 231, 37)}.items():
        assert np.abs(np.subtract(loop.getpixel(place), color)).max() < 12, place


def test_bad_input_is_refused():
    V_m = spiral(2)
    with pytest.raises(ValueError, match=r"V_m: expected dims \(time, y, x\)"):
        animation(V_m[0], 0.5, ALT)
    with pytest.raises(ValueError, match="V_m: expected finite values"):
        animation(V_m.where(V_m > 0), 0.5, ALT)
    with pytest.raises(ValueError, match="alt: expected a sentence"):
        animation(V_m, 0.5, " ")
    with pytest.raises(ValueError, match=r"conductive: expected shape \(100, 100\), got \(3, 3\)"):
        animation(V_m, 0.5, ALT, conductive=np.ones((3, 3), bool))


# Color vision without one kind of cone: linear RGB to linear RGB (Machado, Oliveira and Fernandes 2009, severity 1).
VISION = {
    "all cones": (np.eye(3), 25),
    "protan": ([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]], 25),
    "deutan": ([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]], 25),
    "tritan": ([[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]], 15),
}
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def linear(color) -> np.ndarray:
    """sRGB without its transfer curve."""
    c = np.array(color)
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def cielab(rgb: np.ndarray) -> np.ndarray:
    x = XYZ @ np.clip(rgb, 0, 1) / XYZ.sum(1)
    f = np.where(x > 0.008856, np.cbrt(x), 7.787 * x + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize(
    ("colors", "of_least"), [(figures.COLORS.values(), 1), (figures.METHOD_COLORS.values(), 0.95), (figures.SERIES, 1)]
)
def test_colors_are_told_apart_by_every_kind_of_color_vision(vision, colors, of_least):
    """Distances in CIELAB: about 2 is just seen side by side, small marks apart need ten times that."""
    matrix, least = VISION[vision]
    seen = [cielab(np.array(matrix) @ linear(to_rgb(color))) for color in colors]
    assert min(np.linalg.norm(a - b) for a, b in combinations(seen, 2)) > least * of_least


def test_a_color_has_one_meaning():
    """Conditions, methods and the cycle, which is for everything else, share no color, nor near ones."""
    groups = [[cielab(linear(to_rgb(one))) for one in colors] for colors in (
        figures.COLORS.values(), figures.METHOD_COLORS.values(), figures.SERIES
    )]  # fmt: skip
    for one, other in combinations(groups, 2):
        assert min(np.linalg.norm(a - b) for a in one for b in other) > 25
    css = (ROOT / "book" / "assets" / "demo" / "demo.css").read_text(encoding="utf-8").partition("data-theme")[0]
    for name, method in {"surrogate": "structured", "formula": "training-free D", "paper": "paper's seq2seq"}.items():
        assert f"--demo-{name}: {figures.METHOD_COLORS[method]};" in css, "the demo uses the colors of the figures"


def contrast(one, other) -> float:
    """Contrast of WCAG 2, which asks for 3 of graphics."""
    low, high = sorted(float(XYZ[1] @ linear(to_rgb(color))) + 0.05 for color in (one, other))
    return high / low


PAPERS = ("#ffffff", figures.DARK_INK["#ffffff"])
EVERY = (*figures.COLORS.values(), *figures.METHOD_COLORS.values(), *figures.SERIES)


@pytest.mark.parametrize("paper", PAPERS)
def test_every_color_stands_out_from_light_and_dark_paper(paper):
    """Black is light on dark paper."""
    shown = [figures.DARK_INK.get(one, one) if paper != "#ffffff" else one for one in EVERY]
    assert {one: round(contrast(one, paper), 2) for one in shown if contrast(one, paper) < 3} == {}


def test_ink_of_a_drawing_stands_out_on_both_papers(monkeypatch):
    """Of the picture as a page has it: each color of a line or a mark, and what the rules for dark pages make of it."""
    import matplotlib.pyplot as plt

    figures.set_style()

    def draw(ax):
        for k, color in enumerate(EVERY):
            ax.plot([0, 1], [k, k], "o-", color=color)
        for k in range(len(figures.SERIES)):
            ax.plot([0, 1], [-k, k])
        ax.legend([str(k) for k in range(9)])
        plt.setp(ax, xlabel="words")

    kind, svg = shown(monkeypatch, draw)
    assert kind == "image/svg+xml"
    inks = {*re.findall(r"(?:fill|stroke): (#[0-9a-f]{6})", svg.partition("</style>")[2])}
    assert {*EVERY} <= inks
    ground = {"#ffffff", "#cccccc"}  # the paper, and the frame of the key
    for paper in PAPERS:
        seen = {ink: figures.DARK_INK.get(ink, ink) if paper != "#ffffff" else ink for ink in inks - ground}
        assert not {ink for ink, color in seen.items() if contrast(color, paper) < 3}, paper


DRAWING = {"plot", "semilogx", "semilogy", "loglog", "scatter", "errorbar", "hist", "step", "hlines", "vlines"}


def test_colors_of_notebooks_stand_out():
    """Those that a notebook names itself for lines and marks; not of the grid or of shaded grounds."""
    from matplotlib.colors import is_color_like

    pale = []
    for path in sorted((ROOT / "notebooks").glob("[0-9]*.py")):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(call, ast.Call) or getattr(call.func, "attr", None) not in DRAWING:
                continue
            named = {one.arg: getattr(one.value, "value", None) for one in call.keywords}
            color = named.get("color")
            if not isinstance(color, str) or not is_color_like(color) or re.fullmatch("C[0-9]", color):
                continue
            if named.get("zorder") != 0 and color != "white" and contrast(color, "#ffffff") < 3:
                pale.append(f"{path.name} {color}")
    assert not pale
