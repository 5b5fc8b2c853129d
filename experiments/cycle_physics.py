"""Activation maps by the physical inversion on tissues of the cycle: ``data/results/runs/cycle_physics.csv``.

    python -m experiments.cycle_physics                 twenty tissues; those in the table already are passed over
    python -m experiments.cycle_physics --tissues 2     a first look, its table in data/cache

The tissues are the test tissues of the split, seen by the same 16 electrodes, and scored by `cycle.score`. No label is used.
Told is only that the wave begins in a disc of `RADIUS`, or along a straight part of a side of the sheet. Which of the two, and
where and when, is found from the ECG, as are log D on 6 x 6 places and one gain. Seconds are those of the processor."""

from pathlib import Path
from time import process_time

import numpy as np
import pandas as pd
import torch
import xarray as xr
from torch import Tensor

from experiments import cycle
from experiments.files import ask_tissues, score_tissues
from experiments.tissues import recipe
from forwardecg.ecg.electrodes import Electrodes
from forwardecg.inverse import models
from forwardecg.inverse.estimate import N_SITES, read
from forwardecg.tissue.grid import Grid, blocks

RADIUS, FIELD = 5.0, 6  # mm, of the disc; places along a side of the sheet on which log D is free
STARTS = 3  # discs that are polished
ON_SIDE, ALONG = 50, 3.0  # discs that stand for a part of a side, and their radius in mm
SIDES = ("left", "right", "bottom", "top")


def discs(side: str, length: float, part: Tensor) -> Tensor:
    """Sites (n, xy) from one to the other end (2,) of a part of a side of the sheet, all in mm."""
    ends = part.clamp(0, length)  # a descent may leave the sheet
    along = ends[0] + (ends[1] - ends[0]) * torch.linspace(0, 1, ON_SIDE, dtype=part.dtype)
    fixed = torch.full_like(along, length if side in ("right", "top") else 0.0)
    return torch.stack((fixed, along) if side in ("left", "right") else (along, fixed), -1)


def from_disc(one: models.Setting) -> tuple[float, np.ndarray]:
    """Misfit, and x, y, onset, log D and log gain, of the wave from a disc in uniform tissue that fits best."""
    side = (np.arange(N_SITES) + 0.5) / N_SITES * one.grid.size[0]
    y, x = (at.ravel() for at in np.meshgrid(side, side, indexing="ij"))
    misfit, start = models.scan(one, x, y)
    found = [
        models.polish(one, x[k], y[k], start[k], lambda D: models.weights(one, D)) for k in misfit.argsort()[:STARTS]
    ]
    least, p, _ = min(found, key=lambda one: one[0])
    return least, p


def from_side(one: models.Setting, side: str) -> tuple[float, np.ndarray]:
    """The same of the wave from a whole side; its ends along the side stand for x and y."""
    y, x = one.grid.centers
    length = one.grid.size[0]
    away = {"left": x, "right": length - x, "bottom": y, "top": length - y}[side]
    L, factor = models.weights(one, models.nearest(models.D_REFERENCE))
    H = models.in_rings(one, L, np.broadcast_to(away * factor[0], one.grid.shape))
    misfit, at = models.match(one, H[None])
    return misfit[0], np.array([0.0, length, *at[0]])


def invert(phi_e: xr.DataArray, places: Electrodes, grid: Grid) -> tuple[str, np.ndarray, np.ndarray]:
    """Where the wave is said to begin, activation times in ms and effective D in mm^2/ms (y, x) of coarse cells."""
    one = read(phi_e, places, grid, 1, RADIUS, recipe().cell, recipe().dt)
    one = one._replace(grid=models.coarser(one.grid))
    starts = {"disc": from_disc(one)} | {side: from_side(one, side) for side in SIDES}
    begin = min(starts, key=lambda name: starts[name][0])
    *at, onset, log_D, log_gain = starts[begin][1]
    D = float(np.exp(log_D))
    length = one.grid.size[0]
    if begin == "disc":
        ecg = models.varied(one, D, FIELD, lambda at: at.clamp(0, length)[None])  # a descent may leave the sheet
    else:
        ecg = models.varied(one._replace(radius=ALONG), D, FIELD, lambda part: discs(begin, length, part))
    p = models.descend(ecg, np.array([*at, onset, *np.full(FIELD**2, log_D), log_gain]))
    with torch.no_grad():
        _, _, T, field, gain = ecg(torch.from_numpy(p))
    return begin, one.t[0] + T.numpy(), (field * gain).numpy()


def score(sim: int, data: cycle.Data) -> pd.DataFrame:
    """The row of a test tissue."""
    test, ds, started = data.tests["base"], cycle.opened("base"), process_time()
    phi_e = ds.phi_e[sim].sel(lead=[*cycle.LEADS])
    phi_e = phi_e.isel(time_ecg=slice(int(np.isfinite(phi_e.values).all(0).sum())))
    places = Electrodes(ds.electrodes.sel(lead=[*cycle.LEADS]).values, cycle.LEADS)
    begin, T, D = invert(phi_e.astype(float), places, recipe().grid)
    seconds, pool = process_time() - started, len(T) // cycle.PIXELS
    lat, log_D = (
        torch.from_numpy(z).float()[None]
        for z in (blocks(T, pool).mean((1, 3)), np.log(np.maximum(blocks(D, pool).mean((1, 3)), cycle.ZERO_D)))
    )
    row = test.take(np.flatnonzero(np.array(test.sims) == sim))
    return cycle.score((lat, log_D), row, data).assign(set="base", begin=begin, seconds=seconds)


def main(tissues: int, folder: Path) -> None:
    """All of it, and the table."""
    torch.set_num_threads(1)
    data = cycle.load(0)
    sims = data.tests["base"].sims[:tissues]
    score_tissues(folder / "cycle_physics.csv", sims, lambda sim: score(sim, data), digits=4)


if __name__ == "__main__":
    main(*ask_tissues(__doc__, 20))
