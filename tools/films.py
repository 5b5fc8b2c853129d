"""What the moving pictures of ``tools/waves.py`` show: simulations on sheets of 100 mm, and what the networks make of one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import matplotlib.pyplot as plt
import numpy as np
import torch
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy.ndimage import distance_transform_edt

from compendium.figures import COLORS, LABELS, METHOD_COLORS
from forwardecg.contract import V_REST, V_SPAN
from forwardecg.ecg.electrodes import center_electrode
from forwardecg.ecg.pixels import conductive_share, upscale_faces
from forwardecg.measure.scores import r2
from forwardecg.solver.simulation import simulate
from forwardecg.surrogates.predict import load_surrogate
from forwardecg.surrogates.structured.model import mean_of_faces
from forwardecg.tissue.sheet import Tissue, combined, fibrotic, gap_junction, healthy
from forwardecg.tissue.stimulus import Stimulus, edge_stimulus, s1_s2

SIDE, DX, POOL, Z = 200, 0.5, 4, 20.0  # cells, mm, cells of a pixel, mm above the center
WIDTH = 720  # pixels of the picture, two for each of the page
LEVELS = 16  # colors of a map: few compress well
PALE = 212  # the gray of what does not conduct, where a color map has a gray like the usual one
PLAIN: dict[str, Any] = {
    "frameon": False,
    "borderpad": 0,
    "borderaxespad": 0.3,
    "handlelength": 1.3,
    "handletextpad": 0.5,
}


@dataclass(frozen=True)
class Layout:
    """Height of a picture in pixels, left and top of its maps, pixels of it for one of a map; in shares ECG and clock."""

    height: int
    maps: tuple[tuple[int, int], ...]
    scale: int
    ecg: tuple[float, float, float, float]
    clock: tuple[float, float, str]

    @property
    def side(self) -> int:
        return SIDE // POOL * self.scale

    def box(self, left: float, top: float, width: float, height: float) -> tuple[float, float, float, float]:
        """What matplotlib calls the place of these pixels."""
        return left / WIDTH, 1 - (top + height) / self.height, width / WIDTH, height / self.height


ONE = Layout(840, ((104, 24),), 8, (104 / WIDTH, 0.09, 0.96 - 104 / WIDTH, 0.22), (0.76, 0.95, "left"))
CORNERS = ((44, 44), (392, 44), (44, 396), (392, 396))
FOUR = Layout(1150, CORNERS, 6, (104 / WIDTH, 0.07, 0.96 - 104 / WIDTH, 0.185), (0.96, 0.266, "right"))


@dataclass(frozen=True)
class Film:
    """Maps (time, row, column, color) by place, traces by color, the ms of the still, and what draws all that stays."""

    time: np.ndarray
    maps: dict[int, np.ndarray]
    t: np.ndarray
    traces: dict[str, np.ndarray]
    shown: float
    furnish: Callable[[Figure, dict[int, Axes], Axes], None]
    layout: Layout = FOUR


def front() -> Film:
    """A plane wave in healthy tissue."""
    sheet = healthy((SIDE, SIDE), DX, 0.13)
    return alone(sheet, run(sheet, [edge_stimulus(sheet)], 270.0), 40.0)


def scar() -> Film:
    """A wave that finds its way around patches of fibrosis."""
    sheet = fibrotic(healthy((SIDE, SIDE), DX, 0.13), "compact", seed=10)
    return alone(sheet, run(sheet, [edge_stimulus(sheet)], 300.0), 60.0)


def spiral() -> Film:
    """The cross-field protocol of the page about re-entry, and the first turns of the spiral."""
    sheet = healthy((SIDE, SIDE), DX, 0.1)
    lower = np.arange(SIDE)[:, None] * np.ones(SIDE) < SIDE / 2
    stimuli = s1_s2(edge_stimulus(sheet), 130.0, 1, [130.0], site=Stimulus(mask=lower))
    return alone(sheet, run(sheet, stimuli, 580.0, frame_interval=10.0), 350.0)


def alone(sheet: Tissue, ds: xr.Dataset, shown: float) -> Film:
    def furnish(fig: Figure, axes: dict[int, Axes], ecg: Axes) -> None:
        axes[0].set(xlabel="x (mm)", ylabel="y (mm)", xticks=range(0, 101, 25), yticks=range(0, 101, 25))
        electrode(axes[0], 6)
        box = axes[0].get_position()
        bar(fig, (0.76, box.y0, 0.028, 0.7 * box.height), "viridis", V_REST, V_SPAN, r"$V_m$ (mV)")

    traces = {"trace": ds.phi_e.values[0]}
    return Film(ds.time.values, {0: maps_of(sheet, ds)}, ds.time_ecg.values, traces, shown, furnish, ONE)


def four_tissues() -> dict[str, Tissue]:
    """One sheet without and with weak coupling, and both with the same patches of fibrosis."""
    sheet = healthy((SIDE, SIDE), DX, 0.13)
    weak = gap_junction(sheet, seed=2)
    patchy = {name: fibrotic(one, "patchy", seed=4) for name, one in (("fibrotic", sheet), ("combined", weak))}
    return {"healthy": sheet, "gap_junction": weak} | patchy


def conditions() -> Film:
    """The same stimulus in four kinds of tissue."""
    sheets = four_tissues()
    runs = {name: run(one, [edge_stimulus(one)], 340.0, frame_interval=10.0) for name, one in sheets.items()}

    def furnish(fig: Figure, axes: dict[int, Axes], ecg: Axes) -> None:
        for ax, name in zip(axes.values(), sheets, strict=True):
            line = Line2D([], [], color=COLORS[name], lw=2.5)
            ax.legend([line], [LABELS[name]], loc="lower left", bbox_to_anchor=(0, 1), **PLAIN)
            electrode(ax, 4.5)
        axes[2].set(xlabel="x (mm)", xticks=(0, 50, 100))
        box = FOUR.box(CORNERS[3][0], CORNERS[3][1] + FOUR.side + 14, FOUR.side, 14)
        bar(fig, box, "viridis", V_REST, V_SPAN, r"$V_m$ (mV)", "horizontal")

    maps = {place: maps_of(sheets[name], ds) for place, (name, ds) in enumerate(runs.items())}
    traces = {COLORS[name]: ds.phi_e.values[0] for name, ds in runs.items()}
    first = runs["healthy"]
    return Film(first.time.values, maps, first.time_ecg.values, traces, 80.0, furnish)


def surrogate() -> Film:
    """What the published networks make of the maps of a tissue that is drawn here, by a seed of its own."""
    sheet = combined(healthy((SIDE, SIDE), DX, 0.13), seed=77)
    ds = run(sheet, [edge_stimulus(sheet)], 300.0)
    found = load_surrogate("structured").predict(ds.V_m.values, POOL * DX, 5.0, center_electrode(sheet, Z), unit="mV")
    t, exact = found.time_ecg.values, ds.phi_e.sel(time_ecg=found.time_ecg).values
    score = r2(exact, found.phi_e.values)[0]
    faces = upscale_faces(sheet.D, sheet.conductive, POOL)
    D = mean_of_faces(torch.from_numpy(faces.D_x[:, 1:-1]), torch.from_numpy(faces.D_y[1:-1])).numpy()
    top = float(max(D.max(), found.D.max()))

    def furnish(fig: Figure, axes: dict[int, Axes], ecg: Axes) -> None:
        for place, words in {0: "$V_m$, given", 1: "$D$, inferred", 3: "$D$, true"}.items():
            axes[place].set_title(words, loc="left", fontsize=8.5)
        electrode(axes[0], 4.5)
        axes[3].set(xlabel="x (mm)", xticks=(0, 50, 100))
        left, below = CORNERS[2][0], CORNERS[2][1]
        bar(fig, FOUR.box(left, below - 38, FOUR.side, 14), "viridis", V_REST, V_SPAN, r"$V_m$ (mV)", "horizontal")
        bar(fig, FOUR.box(left, below + 130, FOUR.side, 14), "cividis", 0, top, "$D$ (mm² ms$^{-1}$)", "horizontal")
        ecg.legend(ecg.lines[1:4:2], ["exact", f"predicted, R² {score:.3f}"], loc="lower right", **PLAIN)

    V, highest = ds.V_m.values, ds.V_m.values.max(0)
    passed = np.maximum.accumulate(V) >= 0.5 * (V_REST + highest)  # half of what the pixel will reach
    # what is never excited is seen when its neighbor is
    nearest = distance_transform_edt(highest < V_REST + 0.05 * V_SPAN, return_distances=False, return_indices=True)
    seen = np.where(passed[:, *nearest][:, ::-1, :, None], np.uint8(255), np.uint8(0))
    inferred = colors(found.D.values, found.share.values, 0, top, "cividis", PALE)
    true = colors(D, conductive_share(sheet.conductive, POOL), 0, top, "cividis", PALE)
    given = colors(V, np.ones(highest.shape), V_REST, V_SPAN, "viridis")  # no gray: the networks are not told
    every = (len(V), *true.shape)
    maps = {0: given, 1: np.concatenate([np.broadcast_to(inferred, every), seen], -1), 3: np.broadcast_to(true, every)}
    traces = {"trace": exact[0], METHOD_COLORS["structured"]: found.phi_e.values[0]}
    return Film(ds.time.values, maps, t, traces, 90.0, furnish)


def run(sheet: Tissue, stimuli: list[Stimulus], t_end: float, frame_interval: float = 5.0) -> xr.Dataset:
    above = center_electrode(sheet, Z)
    return simulate(sheet, stimuli, t_end=t_end, electrodes=above, frame_interval=frame_interval, pool=POOL)


def maps_of(sheet: Tissue, ds: xr.Dataset) -> np.ndarray:
    """The voltages of a run in colors, and gray where most cells do not conduct."""
    return colors(ds.V_m.values, conductive_share(sheet.conductive, POOL), V_REST, V_SPAN, "viridis")


def colors(field: np.ndarray, share: np.ndarray, low: float, span: float, name: str, gray: int = 153) -> np.ndarray:
    """Fields (..., y, x) as pictures, rows downward: a color map in steps, gray where less than half of a pixel conducts."""
    step = np.clip((field - low) / span * LEVELS, 0, LEVELS - 1).astype(int)
    picture = plt.get_cmap(name, LEVELS)(step, bytes=True)[..., :3]
    return np.where(share[..., None] < 0.5, np.uint8(gray), picture)[..., ::-1, :, :]


def electrode(ax: Axes, size: float) -> None:
    ax.plot(SIDE * DX / 2, SIDE * DX / 2, "o", ms=size, mfc="white", mec="black", mew=1.2)


def bar(
    fig: Figure,
    box: tuple,
    name: str,
    low: float,
    span: float,
    words: str,
    lies: Literal["vertical", "horizontal"] = "vertical",
) -> None:
    scale = plt.cm.ScalarMappable(plt.Normalize(low, low + span), plt.get_cmap(name, LEVELS))
    ticks = [-85, -35, 15] if low else [0, 0.05, 0.1]
    fig.colorbar(scale, cax=fig.add_axes(box), label=words, ticks=ticks, orientation=lies)
