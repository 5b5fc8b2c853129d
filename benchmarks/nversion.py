"""Two codes, one wave: activation times of a 20 x 7 mm sheet in ours and in Finitewave, on finer and finer grids.

After the N-version benchmark of Niederer et al. (2011) in two dimensions: diffusivities 0.0953 and 0.0126 mm^2/ms along and
across the fibers (which run along x), and an isotropic twin; a stimulus on 1.5 x 1.5 mm in a corner; MLR-I cells. Raw grids:
calibration would hide what is to be compared. Activation is the upward crossing of u = 1/2, linear between steps in both
codes (Finitewave's own tracker records the first step after it, so `fw.Activation` takes its place).
"""

import fw
import numpy as np
import pandas as pd
from common import QUICK, save
from scipy.ndimage import map_coordinates

from forwardecg.solver.simulation import solve
from forwardecg.tissue.cell import FK_MLR1
from forwardecg.tissue.grid import Grid
from forwardecg.tissue.sheet import healthy, with_fibers
from forwardecg.tissue.stimulus import Stimulus

SIZE_X, SIZE_Y, CORNER = 20.0, 7.0, 1.5  # mm
D_ALONG, D_ACROSS = 0.0953, 0.0126  # mm^2/ms
SPACINGS, DT = [0.2] if QUICK else [0.2, 0.1, 0.05], 0.005  # mm, ms
T_END = {"isotropic": 36.0, "anisotropic": 46.0}  # ms
AMPLITUDE, DURATION = 0.5, 2.0  # 1/ms, ms
POINTS = [*((4.0 * k, 1.4 * k) for k in range(1, 6)), (20.0, 0.0), (0.0, 7.0)]  # mm: the diagonal, and two corners


def stimuli(edges_x: np.ndarray, edges_y: np.ndarray) -> list[Stimulus]:
    """The corner current; a control volume that is covered in part gets its part. Edges of the volumes in mm."""
    covered_x, covered_y = (np.diff(np.clip(edges, 0, CORNER)) / np.diff(edges) for edges in (edges_x, edges_y))
    share = np.round(np.outer(covered_y, covered_x), 9)
    parts = np.unique(share[share > 0])
    return [Stimulus(mask=share == part, duration=DURATION, amplitude=AMPLITUDE * part) for part in parts]


def cells(length: float, dx: float) -> np.ndarray:
    """Edges of the volumes of cells that fill the length."""
    return np.arange(round(length / dx) + 1) * dx


def nodes(length: float, dx: float) -> np.ndarray:
    """Edges of the volumes of nodes from one end to the other; the first and the last are half as long."""
    return np.clip((np.arange(round(length / dx) + 2) - 0.5) * dx, 0, length)


def ours(tensor: str, dx: float) -> np.ndarray:
    edges_x, edges_y = cells(SIZE_X, dx), cells(SIZE_Y, dx)
    tissue = healthy((edges_y.size - 1, edges_x.size - 1), dx, D_ALONG)
    tissue = with_fibers(tissue, 0.0, D_ALONG / D_ACROSS) if tensor == "anisotropic" else tissue
    run = dict(t_end=T_END[tensor], every=T_END[tensor], cell=FK_MLR1, dt=DT, calibrated=False, dtype=np.float64)
    *_, last = solve(tissue, stimuli(edges_x, edges_y), **run)
    return np.where(last.lat < 0, np.nan, last.lat)


def theirs(tensor: str, dx: float) -> np.ndarray:
    """Without its border. Its isotropic stencil has nodes on the edges of the sheet, the one for fibers has cells."""
    volumes = nodes if tensor == "isotropic" else cells
    edges_x, edges_y = volumes(SIZE_X, dx), volumes(SIZE_Y, dx)
    across = D_ACROSS if tensor == "anisotropic" else None
    grid = Grid((edges_y.size - 1, edges_x.size - 1), dx)
    model = fw.build(grid, DT, D_ALONG, FK_MLR1, stimuli(edges_x, edges_y), D_across=across)
    activation = fw.Activation()
    model.tracker_sequence = fw.finitewave.TrackerSequence()
    model.tracker_sequence.add_tracker(activation)
    fw.advance(model, round(T_END[tensor] / DT), initialize=True)
    return activation.lat[1:-1, 1:-1]


def at_points(lat: np.ndarray, dx: float) -> np.ndarray:
    """Bilinear between the places where u is known: nodes, or centers of cells with their mirror images outside."""
    x, y = np.array(POINTS).T / dx
    on_nodes = lat.shape[1] == round(SIZE_X / dx) + 1
    at, mode = ([y, x], "mirror") if on_nodes else ([y - 0.5, x - 0.5], "reflect")
    return map_coordinates(lat, at, order=1, mode=mode)


def main():
    rows = []
    for tensor in T_END:
        for dx in SPACINGS:
            for code, solver in {"forwardecg": ours, "finitewave": theirs}.items():
                lat = at_points(solver(tensor, dx), dx)
                if not np.isfinite(lat).all():
                    raise RuntimeError(f"{code}, {tensor}, dx {dx}: a point was not activated: {lat}")
                rows += [(tensor, code, dx, DT, *at, round(time, 6)) for at, time in zip(POINTS, lat, strict=True)]
                print(f"{tensor:12} dx {dx:4} {code:10}", *(f"{time:7.3f}" for time in lat), "ms", flush=True)
    save("bench_nversion.csv", pd.DataFrame(rows, columns=["tensor", "code", "dx", "dt", "x", "y", "lat"]))


if __name__ == "__main__":
    main()
