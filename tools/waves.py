"""The moving pictures of the pages, ``book/assets/waves``: a wave on a sheet of 100 mm and, below it, its ECG as it grows.

    python tools/waves.py [name ...]

Each has a still for those who print it, stop it or asked for less motion: one map, and the whole ECG. Both are drawn twice, on
the white page and on the dark one.
"""

import sys
from collections.abc import Callable
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from PIL import Image

from compendium.figures import DARK_INK, PHI_E_LABEL
from compendium.registry import ROOT
from forwardecg.contract import V_REST, V_SPAN
from forwardecg.ecg.electrodes import center_electrode
from forwardecg.solver.simulation import simulate
from forwardecg.tissue.sheet import Tissue, fibrotic, healthy
from forwardecg.tissue.stimulus import Stimulus, edge_stimulus, s1_s2

FOLDER = ROOT / "book" / "assets" / "waves"
MOST_BYTES = 120_000  # of a file
SIDE, DX, POOL, Z = 200, 0.5, 4, 20.0  # cells, mm, cells of a pixel, mm above the center
WIDTH, HEIGHT = 720, 840  # pixels of the picture, two for each of the page
LEFT, TOP, SCALE = 104, 24, 8  # where the map lies in it, and the pixels of the picture for one of the map
LEVELS = 16  # colors of the map: few compress well
HOLD, STEP = 2000, 110  # ms of showing the last frame, and the others
LIGHT = {"paper": "#ffffff", "trace": "#000000", "words": "#262626", "zero": "#cccccc"}
LOOKS = {"": LIGHT, "_dark": {of: DARK_INK[color] for of, color in LIGHT.items()}}  # what ends the name, and its colors


def front() -> tuple[Tissue, xr.Dataset, float]:
    """A plane wave in healthy tissue."""
    sheet = healthy((SIDE, SIDE), DX, 0.13)
    return sheet, run(sheet, [edge_stimulus(sheet)], 270.0), 40.0


def scar() -> tuple[Tissue, xr.Dataset, float]:
    """A wave that finds its way around patches of fibrosis."""
    sheet = fibrotic(healthy((SIDE, SIDE), DX, 0.13), "compact", seed=10)
    return sheet, run(sheet, [edge_stimulus(sheet)], 300.0), 60.0


def spiral() -> tuple[Tissue, xr.Dataset, float]:
    """The cross-field protocol of the page about re-entry, and the first turns of the spiral."""
    sheet = healthy((SIDE, SIDE), DX, 0.1)
    lower = np.arange(SIDE)[:, None] * np.ones(SIDE) < SIDE / 2
    stimuli = s1_s2(edge_stimulus(sheet), 130.0, 1, [130.0], site=Stimulus(mask=lower))
    return sheet, run(sheet, stimuli, 580.0, frame_interval=10.0), 350.0


WAVES: dict[str, Callable[[], tuple[Tissue, xr.Dataset, float]]] = {"scar": scar, "front": front, "spiral": spiral}


def run(sheet: Tissue, stimuli: list[Stimulus], t_end: float, frame_interval: float = 5.0) -> xr.Dataset:
    above = center_electrode(sheet, Z)
    return simulate(sheet, stimuli, t_end=t_end, electrodes=above, frame_interval=frame_interval, pool=POOL)


def colors(V_m: np.ndarray, sheet: Tissue) -> np.ndarray:
    """A map (y, x) in mV as a picture, rows downward: viridis in steps, and gray where most cells do not conduct."""
    step = np.clip((V_m - V_REST) / V_SPAN * LEVELS, 0, LEVELS - 1).astype(int)
    n_y, n_x = V_m.shape
    share = sheet.conductive.reshape(n_y, POOL, n_x, POOL).mean((1, 3))
    picture = plt.get_cmap("viridis", LEVELS)(step, bytes=True)[..., :3]
    return np.where(share[..., None] < 0.5, np.uint8(153), picture)[::-1]


def axes(sheet: Tissue, ds: xr.Dataset, look: dict[str, str]) -> tuple[Figure, Callable[[int, bool], Image.Image]]:
    """The picture without its contents, and what draws frame k into it, the ECG up to then or as a whole."""
    inked = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
    plt.rcParams.update(dict.fromkeys(inked, look["words"]) | {"axes.facecolor": look["paper"]})  # type: ignore[arg-type]
    plt.rcParams.update({"font.size": 8.5, "axes.linewidth": 0.7})
    fig = plt.figure(figsize=(WIDTH / 200, HEIGHT / 200), dpi=200, facecolor=look["paper"])
    side = SIDE // POOL * SCALE
    box = [LEFT / WIDTH, 1 - (TOP + side) / HEIGHT, side / WIDTH, side / HEIGHT]
    sheet_ax = fig.add_axes((box[0], box[1], box[2], box[3]))
    extent = (0.0, SIDE * DX, 0.0, SIDE * DX)
    image = sheet_ax.imshow(np.zeros((2, 2, 3), np.uint8), extent=extent, aspect="auto", interpolation="nearest")
    sheet_ax.set(xlabel="x (mm)", ylabel="y (mm)", xticks=range(0, 101, 25), yticks=range(0, 101, 25))
    sheet_ax.plot(SIDE * DX / 2, SIDE * DX / 2, "o", ms=6, mfc="white", mec="black", mew=1.2)
    clock = fig.text(0.76, 0.95, "", fontsize=11)
    bar_ax = fig.add_axes((0.76, box[1], 0.028, 0.7 * box[3]))
    scale = plt.cm.ScalarMappable(plt.Normalize(V_REST, V_REST + V_SPAN), plt.get_cmap("viridis", LEVELS))
    fig.colorbar(scale, cax=bar_ax, label=r"$V_m$ (mV)", ticks=[-85, -35, 15])
    ecg_ax = fig.add_axes((LEFT / WIDTH, 0.09, 0.96 - LEFT / WIDTH, 0.22))
    t, ecg = ds.time_ecg.values, ds.phi_e.values[0]
    ecg_ax.axhline(0, color=look["zero"], lw=0.7)
    (trace,), (dot,) = (
        ecg_ax.plot([], [], color=look["trace"], lw=1.4),
        ecg_ax.plot([], [], "o", ms=4.5, color="#c8102e"),
    )
    margin = 0.1 * float(np.ptp(ecg))
    ecg_ax.set(xlim=(0, t[-1]), ylim=(ecg.min() - margin, ecg.max() + margin), xlabel="time (ms)")
    ecg_ax.set_title(PHI_E_LABEL, loc="left", fontsize=8.5)
    for side_of in ("top", "right"):
        ecg_ax.spines[side_of].set_visible(False)

    def draw(k: int, whole: bool) -> Image.Image:
        now = float(ds.time[k])
        at = int(np.searchsorted(t, now))
        image.set_data(colors(ds.V_m.values[k], sheet))
        clock.set_text(f"{now:.0f} ms")
        trace.set_data(t[: None if whole else at + 1], ecg[: None if whole else at + 1])
        dot.set_data(t[at : at + 1], ecg[at : at + 1])
        fig.canvas.draw()
        return Image.fromarray(np.asarray(fig.canvas.buffer_rgba())[..., :3].copy())  # type: ignore[attr-defined]

    return fig, draw


def save(name: str, frames: list[Image.Image], still: Image.Image) -> None:
    options: dict[str, Any] = {"lossless": True, "quality": 75, "method": 4}
    # no frames that are stored whole: they would be most of the file
    moves: dict[str, Any] = {
        "append_images": frames[1:],
        "duration": [STEP] * (len(frames) - 1) + [HOLD],
        "loop": 0,
        "kmin": 10**5,
        "kmax": 10**6,
    }
    moving = FOLDER / f"{name}.webp"
    frames[0].save(moving, save_all=True, **options, **moves)
    still.save(FOLDER / f"{name}_still.webp", **options)
    if (size := moving.stat().st_size) > MOST_BYTES:
        raise SystemExit(f"{moving.name}: expected at most {MOST_BYTES} bytes, got {size}")


def main() -> None:
    plt.switch_backend("agg")
    for name in sys.argv[1:] or WAVES:
        sheet, ds, shown = WAVES[name]()
        for end, look in LOOKS.items():
            fig, draw = axes(sheet, ds, look)
            frames = [draw(k, False) for k in range(ds.sizes["time"])]
            still = draw(int(np.abs(ds.time.values - shown).argmin()), True)
            plt.close(fig)
            save(f"{name}{end}", frames, still)


if __name__ == "__main__":
    main()
