"""Tissues of the base recipe on maps of other pixels and intervals than those of the training, kept in data/cache.

The stored sets have pixels of 2 mm every 5 ms. A few tissues are simulated once more with frames every 1 ms and pixels of
1 mm, and seen as maps of `GRIDS`: pixels of other sides are means over their area.

python -m experiments.steps             simulates those that are not there, about twenty seconds each
"""

import os
from dataclasses import replace

import numpy as np

from experiments.tissues import kinds, recipe
from forwardecg.cache import key
from forwardecg.data.draw import simulate_one
from forwardecg.paths import CACHE, progress

VERSION = 1
#: Pixels in mm and intervals in ms: faster frames than 5 ms are thinned to 6 to 8 ms, finer pixels averaged to 1.5 to 3 mm
GRIDS = tuple((2.0, float(dt)) for dt in (5, 6, 7, 8, 9, 10)) + (
    (1.5, 5.0), (3.0, 5.0), (4.0, 5.0), (4.5, 5.0), (3.0, 7.0), (4.0, 10.0)
)  # fmt: skip
PARTS = {"train": 10, "test": 6}  # tissues: the first give what changes with the grid, the others are scored


def sims_of(part: str) -> list[int]:
    """Tissues of the split of 07_dataset, spread over it."""
    sims = np.flatnonzero(kinds().part == part)
    return sims[:: len(sims) // PARTS[part]][: PARTS[part]].tolist()


def resample(V: np.ndarray, fine: float, coarse: float) -> np.ndarray:
    """Means of maps (time, y, x) over squares of ``coarse`` mm, of pixels of ``fine`` mm."""
    for axis in (1, 2):
        total = np.concatenate([np.zeros_like(V.take([0], axis)), V.cumsum(axis)], axis)
        edges = np.arange(0, V.shape[axis] * fine + 1e-6, coarse) / fine
        low = np.minimum(edges.astype(int), V.shape[axis] - 1)
        w = (edges - low).reshape([-1 if k == axis else 1 for k in range(3)])
        V = np.diff((1 - w) * total.take(low, axis) + w * total.take(low + 1, axis), axis=axis) * (fine / coarse)
    return V


def maps_of(sim: int) -> dict[str, np.ndarray]:
    """Maps V_m (time, y, x) of a tissue of the base set in mV by pixel and interval, and its ECG ``phi_e`` every 1 ms."""
    own = replace(recipe("base"), pool=2, frame_interval=1.0, bank=False)
    path = CACHE / "steps" / f"{key('steps', VERSION, own, sim, GRIDS)}.npz"
    if not path.exists():
        progress(f"tissue {sim} every 1 ms")
        ds = simulate_one(own, sim)
        V = ds.V_m.values.astype(np.float32)
        found = {f"{dx:g} mm {dt:g} ms": resample(V[:: int(dt)], 1.0, dx).astype(np.float16) for dx, dt in GRIDS}
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.stem}.{os.getpid()}.part.npz")
        np.savez(part, allow_pickle=False, phi_e=ds.phi_e.values, **found)
        os.replace(part, path)
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


if __name__ == "__main__":
    for part in PARTS:
        for sim in sims_of(part):
            maps_of(sim)
