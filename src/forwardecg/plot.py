"""One style, one color per condition, one function per recurring figure. Every function returns the matplotlib figure."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import xarray as xr
from matplotlib.figure import Figure

from forwardecg.cell import V_REST, V_SPAN
from forwardecg.tissue import CONDITIONS

_palette = sns.color_palette("colorblind")
COLORS = dict(zip(CONDITIONS, (_palette[2], _palette[0], _palette[1], _palette[3]), strict=True))
LABELS = {"healthy": "healthy", "gap_junction": "gap junction", "fibrotic": "fibrotic", "combined": "combined"}
PHI_E_LABEL = r"$\phi_e$ (mV mm ms$^{-1}$)"


def set_style() -> None:
    """The book's style; called once at the top of every notebook."""
    sns.set_theme(context="notebook", style="ticks", palette="colorblind")
    mpl.rcParams |= {
        "figure.dpi": 110,
        "savefig.dpi": 110,
        "figure.constrained_layout.use": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlesize": "medium",
        "image.origin": "lower",
        "image.interpolation": "nearest",
        "figure.facecolor": "white",  # also on a dark page
        "svg.hashsalt": "forwardecg",
    }


def _extent(array: xr.DataArray, dx: float) -> tuple[float, float, float, float]:
    n_y, n_x = array.shape[-2:]
    return 0, n_x * dx, 0, n_y * dx


def map_axes(ax, field: np.ndarray, dx: float, **kwargs):
    """One field (y, x) with axes in mm; returns the image for a color bar."""
    image = ax.imshow(field, extent=_extent(field, dx), **kwargs)
    ax.set(xlabel="x (mm)", ylabel="y (mm)")
    return image


def voltage_frames(V_m: xr.DataArray, times, dx: float) -> Figure:
    """V_m maps at the given ``times`` (ms) side by side, one color bar."""
    fig, axes = plt.subplots(1, len(times), figsize=(2.6 * len(times) + 0.8, 2.9), sharex=True, sharey=True)
    for ax, time in zip(np.atleast_1d(axes), times, strict=True):
        frame = V_m.sel(time=time, method="nearest")
        image = map_axes(ax, frame.values, dx, vmin=V_REST, vmax=V_REST + V_SPAN, cmap="viridis")
        ax.set_title(f"{float(frame.time):g} ms")
        ax.label_outer()
    fig.colorbar(image, ax=axes, label=r"$V_m$ (mV)", shrink=0.85)
    return fig


def activation_map(ax, lat: np.ndarray, dx: float, step: float = 20.0):
    """Activation times (y, x) in color with isochrones every ``step`` ms; never-activated cells in gray."""
    ax.set_facecolor("0.6")
    image = map_axes(ax, lat, dx, cmap="viridis")
    n_y, n_x = lat.shape
    levels = np.arange(step, np.nanmax(lat), step)
    x, y = (np.arange(n_x) + 0.5) * dx, (np.arange(n_y) + 0.5) * dx
    ax.contour(x, y, lat, levels=levels, colors="white", linewidths=0.5)
    return image


def ecg_traces(ax, t, ecg_true, predictions: dict[str, np.ndarray], title: str = "") -> None:
    """A true ECG in black and named predictions over it, against time in ms."""
    ax.plot(t, ecg_true, color="black", lw=2, label="solver")
    for (name, ecg), style in zip(predictions.items(), ("-", "--", ":", "-."), strict=False):
        ax.plot(t, ecg, style, lw=1.3, label=name)
    ax.axhline(0, color="0.8", lw=0.6, zorder=0)
    ax.set(xlabel="time (ms)", ylabel=PHI_E_LABEL, title=title)


def ladder(ax, table: pd.DataFrame, order: list[str], floor: float = -1.0) -> None:
    """R2 of every test tissue under every method, colored by condition; values below ``floor`` sit on it as triangles.

    Parameters
    ----------
    table : long table with columns method, condition, r2
    order : methods from the bottom of the ladder to its top
    """
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
