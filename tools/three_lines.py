"""The picture of the page about use, ``book/assets/three_lines.svg``: what the three lines give, beside what is true.

    python tools/three_lines.py

A tissue that comes with the package, and the published surrogate: nothing is simulated. On a dark page its ink is light.
"""

import re
from collections.abc import Mapping
from io import BytesIO
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from compendium.figures import METHOD_COLORS, PHI_E_LABEL, dark_aware, map_axes, set_style
from compendium.registry import ROOT
from forwardecg.contract import V_REST, V_SPAN
from forwardecg.data.maps import load_small
from forwardecg.measure.scores import r2
from forwardecg.surrogates.predict import load_surrogate

PATH = ROOT / "book" / "assets" / "three_lines.svg"
SIM, LEAD = 2, "center"  # as in the three lines
WIDTH, HEIGHT = 360, 378  # points of the picture: that of a phone, on which its words stay as they are
MAP, GAP, LEFT = 86, 20, 46  # points: side of a map, from one to the next, and left of them
LEVELS = 32  # colors of a map: few compress well


class Found(NamedTuple):
    """What is drawn: maps (y, x) and, at times in ms, traces in mV mm/ms."""

    frame: float  # ms, when half of the tissue was activated
    V_m: np.ndarray
    D: np.ndarray  # inferred, of the pixels; NaN where less than half of a pixel conducts
    D_true: np.ndarray  # of the cells; NaN where they do not conduct
    dx_map: float
    dx: float
    time: np.ndarray
    exact: np.ndarray
    predicted: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @property
    def r2(self) -> float:
        return float(r2(self.exact[None], self.predicted[None])[0])

    @property
    def inside(self) -> float:
        """Share of the samples whose exact value is in the band."""
        return float(np.mean((self.exact >= self.low) & (self.exact <= self.high)))


def numbers() -> Found:
    maps = load_small().isel(sim=SIM)
    found = load_surrogate("structured").predict(maps)
    ecg = found.sel(lead=LEAD)
    frame = maps.V_m.sel(time=float(np.nanmedian(maps.lat)), method="nearest")
    return Found(
        frame=float(frame.time),
        V_m=frame.values,
        D=np.where(found.share > 0.5, found.D, np.nan),
        D_true=np.where(maps.conductive, maps.D, np.nan),
        dx_map=found.attrs["dx_map"],
        dx=maps.attrs["dx"],
        time=found.time_ecg.values,
        exact=maps.phi_e.sel(lead=LEAD, time_ecg=found.time_ecg).values.astype(float),
        predicted=ecg.phi_e.values,
        low=ecg.phi_e_low.values,
        high=ecg.phi_e_high.values,
    )


def said(found: Found) -> dict[str, str]:
    """The numbers in words, as the picture has them."""
    return {"score": f"R² {found.r2:.3f}", "inside": f"{100 * found.inside:.0f} % of the samples in the band"}


def draw(found: Found) -> str:
    """The picture as SVG."""
    set_style()
    plt.rcParams.update(
        {
            "font.size": 10,
            "axes.labelsize": 10,
            "axes.titlesize": 10,
            "xtick.labelsize": 10,
            "ytick.labelsize": 10,
            "axes.linewidth": 0.8,
            "path.simplify": False,
            "figure.constrained_layout.use": False,
        }
    )
    fig = plt.figure(figsize=(WIDTH / 72, HEIGHT / 72))

    def axes(left: float, bottom: float, width: float, height: float) -> Axes:
        return fig.add_axes((left / WIDTH, bottom / HEIGHT, width / WIDTH, height / HEIGHT))

    voltage: dict[str, Any] = {"vmin": V_REST, "vmax": V_REST + V_SPAN, "cmap": plt.get_cmap("viridis", LEVELS)}
    top = max(float(np.nanmax(D)) for D in (found.D, found.D_true))
    conducts: dict[str, Any] = {"vmin": 0, "vmax": top, "cmap": plt.get_cmap("cividis", LEVELS)}
    bottom = HEIGHT - 24 - MAP
    for i, (name, field, dx, colors) in enumerate(
        (
            (f"$V_m$ at {found.frame:.0f} ms", found.V_m, found.dx_map, voltage),
            ("inferred $D$", found.D, found.dx_map, conducts),
            ("true $D$", found.D_true[::2, ::2], 2 * found.dx, conducts),
        )
    ):
        ax = axes(LEFT + i * (MAP + GAP), bottom, MAP, MAP)
        map_axes(ax, field, dx, interpolation="none", **colors)
        ax.set(title=name, xticks=(0, 100, 200), yticks=(0, 100, 200), xlabel="x (mm)", ylabel="" if i else "y (mm)")
        ax.tick_params(length=3, pad=2, labelleft=not i)
        ax.xaxis.labelpad = ax.yaxis.labelpad = 1
        ax.xaxis.get_majorticklabels()[-1].set_horizontalalignment("right")
        if i < 2:
            bar = axes(LEFT + i * (MAP + GAP), bottom - 50, MAP + i * (MAP + GAP), 8)
            limits = (colors["vmin"], colors["vmax"])
            bar.imshow(np.arange(LEVELS)[None], colors["cmap"], extent=(*limits, 0, 1), aspect="auto")
            bar.set(xlabel="mm²/ms; blank: does not conduct" if i else "mV", yticks=())
            bar.set_xticks((0, 0.05, 0.1, 0.15), ("0", "0.05", "0.10", "0.15")) if i else bar.set_xticks((-85, -35, 15))
            bar.tick_params(length=3, pad=2)
            bar.xaxis.labelpad = 1
    _traces(axes(LEFT, 34, WIDTH - LEFT - 14, 130), found)
    out, words = BytesIO(), said(found)
    about: Mapping[str, str | None] = {"Date": None, "Title": "Three lines", "Description": ", ".join(words.values())}
    fig.savefig(out, format="svg", metadata=about)
    plt.close(fig)
    # a hundredth of a point is fine enough
    svg = re.sub(r"(?<=[1-9]\.\d\d)\d+", "", out.getvalue().decode())
    return dark_aware(svg)


def _traces(ax: Axes, found: Found) -> None:
    color = METHOD_COLORS["structured"]
    band = ax.fill_between(found.time, found.low, found.high, color=color, alpha=0.4, lw=0, label="band of 90 %")
    (predicted,) = ax.plot(found.time, found.predicted, color=color, lw=1.6, label="predicted")
    (exact,) = ax.plot(found.time, found.exact, ":", color="black", lw=1.8, label="exact")
    for name, line in {"band": band, "predicted": predicted, "exact": exact}.items():
        line.set_gid(name)
    ax.set(xlabel="time (ms)", xlim=(0, found.time[-1]))
    ax.set_title(PHI_E_LABEL, loc="left")
    ax.tick_params(length=3, pad=2)
    ax.legend(loc="lower right", frameon=False, fontsize=10, handlelength=1.4, labelspacing=0.2, borderaxespad=0)
    ax.text(1, 1.03, "\n".join(said(found).values()), transform=ax.transAxes, ha="right", va="top")


def main() -> None:
    found = numbers()
    PATH.write_text(draw(found), encoding="utf-8")
    print(f"{PATH.name}: {', '.join(said(found).values())}")


if __name__ == "__main__":
    main()
