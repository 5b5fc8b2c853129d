"""The strip of the front page, ``book/assets/front.webp`` and ``front.json``: a wave that crosses a sheet, frame by frame, and its ECG.

    python tools/strip.py

Solver, cell, grid and lead field are those of the data set; the sheet is as large as that of the live demo.
"""

import json

import matplotlib
import numpy as np
from PIL import Image

from compendium.registry import ROOT
from forwardecg.contract import to_u
from forwardecg.ecg.electrodes import center_electrode
from forwardecg.solver.simulation import simulate
from forwardecg.tissue.sheet import fibrotic, healthy
from forwardecg.tissue.stimulus import edge_stimulus

ASSETS = ROOT / "book" / "assets"
SEED, N_CELLS, COLUMNS = 77, 200, 8
STEP, STILL = 5.0, 80.0  # ms: between frames; the frame for readers who want no motion
T_END = 300.0  # ms; by then hardly anything is left of the beat
GRAY = 153  # of cells that do not conduct, as in the movies of the notebooks


def record() -> tuple[Image.Image, dict]:
    """All frames side by side, row by row, and what the page has to know of them."""
    sheet = fibrotic(healthy((N_CELLS, N_CELLS), 0.5, 0.13), "patchy", seed=SEED)
    above = center_electrode(sheet, z=40.0)
    ds = simulate(sheet, edge_stimulus(sheet, "left"), t_end=T_END, electrodes=above, frame_interval=STEP)
    colors = matplotlib.colormaps["viridis"](to_u(ds.V_m.values), bytes=True)[..., :3]
    colors = np.where(sheet.conductive[..., None], colors, np.uint8(GRAY))[:, ::-1]  # rows of a picture run downward
    n, side = len(colors), colors.shape[1]
    rows = -(-n // COLUMNS)
    tiles = np.zeros((rows * COLUMNS, side, side, 3), np.uint8)
    tiles[:n] = colors
    board = tiles.reshape(rows, COLUMNS, side, side, 3).swapaxes(1, 2).reshape(rows * side, COLUMNS * side, 3)
    ecg = ds.phi_e.sel(lead="center")
    known = {"frames": n, "columns": COLUMNS, "rows": rows, "still": round(STILL / STEP), "step": STEP}
    return Image.fromarray(board), known | {
        "t_end": round(float(ds.time[-1])),
        "ecg": [round(float(value), 5) for value in ecg.values],
    }


def main() -> None:
    image, known = record()
    image.save(ASSETS / "front.webp", quality=40, method=6)
    (ASSETS / "front.json").write_text(json.dumps(known) + "\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
