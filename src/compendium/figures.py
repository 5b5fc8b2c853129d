"""One style, one color per condition, one function per recurring figure."""

from base64 import b64encode
from html import escape
from io import BytesIO
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

try:
    import matplotlib as mpl
    import matplotlib.pyplot as plt
    import seaborn as sns
    from matplotlib.axes import Axes
    from matplotlib.collections import QuadMesh
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage
    from PIL import Image, ImageDraw
except ModuleNotFoundError as error:
    missing = f'compendium.figures needs {error.name}: pip install "forwardecg[plot]"'
    raise ModuleNotFoundError(missing, name=error.name) from None

from compendium import tables
from forwardecg.contract import to_u
from forwardecg.tissue.sheet import CONDITIONS

if TYPE_CHECKING:
    from IPython.display import HTML

# What carries meaning has at least 3 of contrast on the white page and on the dark one, and one meaning in the whole book:
# conditions, methods and everything else (the cycle, C0 to C4: textures, parameter sets; red for what stands out) are apart.
COLORS = dict(zip(CONDITIONS, ("#0f7a34", "#0c84fc", "#a8900c", "#b43090"), strict=True))
METHOD_COLORS = {
    "blind lead field": "#000000",
    "ridge": "#767676",
    "training-free D": "#0c9cc0",
    "paper's seq2seq": "#7c50d0",
    "structured": "#c35a00",
    "structured, five together": "#9c543c",
}
SERIES = ("#603cfc", "#609c78", "#d848e4", "#c8102e", "#846090")
LABELS = {"healthy": "healthy", "gap_junction": "gap junction", "fibrotic": "fibrotic", "combined": "combined"}
PHI_E_LABEL = r"$\phi_e$ (mV mm ms$^{-1}$)"


def set_style() -> None:
    """The book's style, of its tables too; called once at the top of every notebook."""
    tables.show_plainly()
    sns.set_theme(context="notebook", style="ticks", palette=SERIES)
    mpl.rcParams |= {
        "figure.dpi": 100,
        "savefig.dpi": 100,
        "figure.constrained_layout.use": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlesize": "medium",
        "image.origin": "lower",
        "image.interpolation": "nearest",
        "figure.facecolor": "white",  # also on a dark page
        "svg.hashsalt": "forwardecg",
    }


# Rules inside a picture made of lines: on a dark page its paper is dark, and what is drawn in black is light. Browsers
# take the scheme of the page that shows the picture.
DARK_INK = {"#ffffff": "#121212", "#000000": "#f0f0f0", "#262626": "#ced6dd", "#cccccc": "#4a5058"}
SHARPNESS = 1.5  # pixels of a map for each on the page: screens have two or three
MOST_VECTOR = 160_000  # bytes; a picture of more marks than that is smaller as pixels


def show(fig: Figure, alt: str) -> None:
    """Show a figure in a notebook, as lines (SVG) where it holds no map and is small, else as pixels (PNG); then close it.

    Raises:
        ValueError: No words (alt) that say what it shows to those who do not see it.
    """
    from IPython.display import display

    if not alt.strip():
        raise ValueError("alt: expected a sentence that says what the figure shows, got none")
    maps = any(ax.images or any(isinstance(one, QuadMesh) for one in ax.collections) for ax in fig.axes)
    svg = "" if maps else _vector(fig)
    if svg and len(svg) <= MOST_VECTOR:
        display({"image/svg+xml": svg, "text/plain": alt}, raw=True, metadata={"image/svg+xml": {"alt": alt}})
    else:
        png, width = _pixels(fig)
        data = {"image/png": b64encode(png).decode(), "text/plain": alt}
        display(data, raw=True, metadata={"image/png": {"alt": alt, "width": width}})
    plt.close(fig)


def dark_aware(svg: str) -> str:
    """A picture of matplotlib (SVG) with the rules of `DARK_INK` in its style."""
    rules = " ".join(
        f'[style*="{what}: {ink}"] {{{what}: {dark} !important}}'
        for ink, dark in DARK_INK.items()
        for what in ("fill", "stroke")
    )
    # what is filled with black, and text, has no color of its own
    rules += " svg {fill: " + DARK_INK["#000000"] + "}"
    return svg.replace("</style>", f"@media (prefers-color-scheme: dark) {{{rules}}}</style>", 1)


def _vector(fig: Figure) -> str:
    out = BytesIO()
    fig.savefig(out, format="svg", bbox_inches="tight", metadata={"Date": None})
    return dark_aware(out.getvalue().decode())


def _pixels(fig: Figure) -> tuple[bytes, int]:
    """A PNG of 256 colors, off by at most a few hundredths of full scale and a third of the size; and its width on the page."""
    out, small = BytesIO(), BytesIO()
    dpi = mpl.rcParams["savefig.dpi"]
    fig.savefig(out, format="png", bbox_inches="tight", dpi=SHARPNESS * (fig.dpi if dpi == "figure" else dpi))
    image = Image.open(out).convert("RGB").quantize(256, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    image.save(small, "PNG", optimize=True)
    return small.getvalue(), round(image.width / SHARPNESS)


def _extent(array: np.ndarray, dx: float) -> tuple[float, float, float, float]:
    n_y, n_x = array.shape[-2:]
    return 0, n_x * dx, 0, n_y * dx


def map_axes(ax: Axes, field: np.ndarray, dx: float, **kwargs: Any) -> AxesImage:
    """One field (y, x), its values dx mm apart, with axes in mm; returns the image for a color bar."""
    image = ax.imshow(field, extent=_extent(field, dx), **kwargs)
    ax.set(xlabel="x (mm)", ylabel="y (mm)")
    return image


def animation(
    V_m: xr.DataArray,
    dx: float,
    alt: str,
    *,
    conductive: np.ndarray | None = None,
    interval: int = 80,
    pixels: int = 300,
    quality: int = 20,
) -> "HTML":
    """V_m maps as a looping picture for a notebook; readers who stop it, or who asked for less motion, get the middle frame.

    Args:
        V_m: (time, y, x) in mV, on the fixed scale from rest to peak; 60 frames make about 130 kB.
        dx: mm between neighboring values of the map.
        alt: what the picture shows, for those who do not see it.
        conductive: (y, x) bool; other cells are gray; None: all conduct.
        interval: ms of showing each frame.
        pixels: width on the page.
        quality: of the compression, 0 to 100.

    Raises:
        ValueError: Wrong dims, values that are not finite, no alt text, conductive of another shape.
    """
    from IPython.display import HTML

    if V_m.ndim != 3 or V_m.dims[0] != "time" or "time" not in V_m.coords or not V_m.sizes["time"]:
        raise ValueError(f"V_m: expected dims (time, y, x) with a coordinate 'time' in ms, got dims {V_m.dims}")
    if not np.isfinite(V_m.values).all():
        raise ValueError("V_m: expected finite values in mV, got NaN or infinity")
    if not alt.strip():
        raise ValueError("alt: expected a sentence that says what the picture shows, got none")
    n_y, n_x = V_m.shape[1:]
    alive = np.ones((n_y, n_x), bool) if conductive is None else conductive
    if alive.shape != (n_y, n_x):
        raise ValueError(f"conductive: expected shape {(n_y, n_x)}, got {alive.shape}")
    colors = plt.get_cmap("viridis")(to_u(V_m.values), bytes=True)[..., :3]
    colors = np.where(alive[..., None], colors, np.uint8(153))[:, ::-1]  # rows of a picture run downward
    size = pixels, round(pixels * n_y / n_x)
    frames = [
        _print_time(Image.fromarray(map_).resize(size), t) for map_, t in zip(colors, V_m.time.values, strict=True)
    ]
    still = _webp([frames[len(frames) // 2]], quality, interval)
    first, last = float(V_m.time[0]), float(V_m.time[-1])
    words = f'alt="{escape(alt)}" width="{size[0]}" height="{size[1]}" style="max-width: 100%; height: auto"'
    return HTML(
        "<style>.movie:has(:checked) > picture, .movie:not(:has(:checked)) > img {display: none}</style>"
        '<figure class="movie" style="display: inline-block; margin: 0">'
        f'<picture><source media="(prefers-reduced-motion: reduce)" srcset="{still}">'
        f'<img src="{_webp(frames, quality, interval)}" {words}></picture><img src="{still}" {words}>'
        f"<figcaption>{n_x * dx:g} mm × {n_y * dx:g} mm, {first:g} to {last:g} ms "
        '<label style="white-space: nowrap"><input type="checkbox"> stop</label></figcaption></figure>'
    )


def _print_time(image: Image.Image, t: float) -> Image.Image:
    place = (0.02 * image.width, 0.02 * image.width)
    ImageDraw.Draw(image).text(place, f"{t:g} ms", fill="white", stroke_width=2, stroke_fill="black", font_size=18)
    return image


def _webp(frames: list[Image.Image], quality: int, interval: int) -> str:
    """A data address of the frames as one looping picture."""
    out = BytesIO()
    frames[0].save(
        out, "WEBP", save_all=True, append_images=frames[1:], duration=interval, loop=0, quality=quality, method=4
    )
    return "data:image/webp;base64," + b64encode(out.getvalue()).decode()


def activation_map(ax: Axes, lat: np.ndarray, dx: float, step: float = 20.0) -> AxesImage:
    """Activation times (y, x) in color with isochrones every ``step`` ms; never-activated cells (NaN) in gray."""
    ax.set_facecolor("0.6")
    image = map_axes(ax, lat, dx, cmap="viridis")
    n_y, n_x = lat.shape
    if not np.isfinite(lat).any():
        return image
    levels = np.arange(step, np.nanmax(lat), step)
    x, y = (np.arange(n_x) + 0.5) * dx, (np.arange(n_y) + 0.5) * dx
    ax.contour(x, y, lat, levels=levels, colors="white", linewidths=0.5)
    return image


def ecg_traces(
    ax: Axes, t: np.ndarray, ecg_true: np.ndarray, predictions: dict[str, np.ndarray], title: str = ""
) -> None:
    """A true ECG (T,) in black and named predictions over it, all in mV mm/ms, against time in ms."""
    ax.plot(t, ecg_true, color="black", lw=2, label="solver")
    for (name, ecg), style in zip(predictions.items(), cycle(("-", "--", ":", "-.")), strict=False):
        ax.plot(t, ecg, style, lw=1.3, label=name)
    ax.axhline(0, color="0.8", lw=0.6, zorder=0)
    ax.set(xlabel="time (ms)", ylabel=PHI_E_LABEL, title=title)


def ladder(ax: Axes, table: pd.DataFrame, order: list[str], floor: float = -1.0) -> None:
    """R2 of every tissue (columns method, condition, r2) by method from the bottom up; below ``floor`` as triangles on it."""
    rng = np.random.default_rng(0)
    for row, method in enumerate(order):
        rows = table[table.method == method]
        for condition, color in COLORS.items():
            r2 = rows.r2[rows.condition == condition].to_numpy()
            height, low = row + rng.uniform(-0.25, 0.25, r2.size), r2 < floor
            label = LABELS[condition] if row == 0 else None
            ax.scatter(r2[~low], height[~low], s=18, color=color, alpha=0.8, lw=0, label=label)
            ax.scatter(np.full(low.sum(), floor), height[low], s=26, marker="<", color=color, alpha=0.8, lw=0)
        ax.plot([rows.r2.median()] * 2, [row - 0.35, row + 0.35], color="black", lw=2)
    ax.axvline(1, color="0.8", lw=0.8, zorder=0)
    ax.set(yticks=range(len(order)), yticklabels=order, xlim=(floor - 0.05, 1.04), xlabel=r"$R^2$ of the raw ECG")
    ax.legend(loc="upper left", frameon=True, fontsize="small")


def forest(ax: Axes, table: pd.DataFrame, color: str = "black", offset: float = 0.0, label: str | None = None) -> None:
    """Differences with their intervals (columns difference, low, high, p_holm), first row on top; filled where p_holm < 0.05."""
    y = np.arange(len(table)) + offset
    error = [table.difference - table.low, table.high - table.difference]
    ax.errorbar(table.difference, y, xerr=error, fmt="none", ecolor=color, lw=1.2, capsize=2)
    face = [color if p < 0.05 else "white" for p in table.p_holm]
    ax.scatter(table.difference, y, s=28, c=face, edgecolors=color, zorder=3, label=label)
    ax.axvline(0, color="0.5", lw=0.8, zorder=0)
    ax.locator_params(axis="x", nbins=5)
    ax.set_yticks(range(len(table)), table.index)
    if not ax.yaxis_inverted():
        ax.invert_yaxis()
