"""What training tissues show at the ends of the sheet and at the beginning of a recording: ``data/results/runs/edges.csv``.

    python -m experiments.edges

It checks the constants `ENDS`, `ENDS_TIME` and `BEGUN` of `surrogates.trust`, which were set before. Where a front runs into an end of the sheet,
action potentials are shorter, by `trust.shorter` of the depth and the reach. ENDS and ENDS_TIME are fitted by least squares
to the medians of the first `DEPTHS` pixels of each edge, on the stored maps of the training tissues of the split and on maps
of 4 mm of the same ones. Intervals are percentiles over draws of tissues. ``begun`` is the largest share of a tissue that is
depolarized in the first frame and passed by no front; a recording that begins with the stimulus must stay below BEGUN.
"""

import functools
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from scipy.optimize import least_squares

from experiments.files import write_table
from experiments.tissues import kinds, open_set
from forwardecg.contract import to_u
from forwardecg.paths import RESULTS, progress
from forwardecg.surrogates.structured.data import coarsen
from forwardecg.surrogates.structured.fronts import read_fronts
from forwardecg.surrogates.structured.model import KAPPA
from forwardecg.surrogates.trust import BEGUN, ENDS, ENDS_TIME, at_ends, crossing_times, share_begun, shorter

DX, DT = 2.0, 5.0  # mm, ms, of the stored maps
POOLS = (1, 2)  # pixels of 2 and of 4 mm
DEPTHS = 2  # pixels from an edge that are compared with those far from it
EVERY = 2  # one in so many training tissues
DRAWS = 200  # of tissues, for the interval


class Edge(NamedTuple):
    """An edge of a training tissue that fronts run into."""

    sim: int
    pixel: float  # mm
    slowness: float  # ms a pixel
    shorter: np.ndarray  # (DEPTHS,) ms, medians


def edges_of(u: torch.Tensor, sim: int, dx: float) -> tuple[list[Edge], float]:
    """The edges of maps u (time, y, x) that fronts run into, and the share of the tissue that begins depolarized."""
    f = read_fronts(u, dx, DT)
    once = ((f.number == 1) & (f.duration > 0)).numpy()
    times = crossing_times(u.numpy(), DT)
    found = at_ends(np.where(once, f.duration.numpy(), np.nan), times, dx)
    edges = [Edge(sim, dx, slowness, np.nanmedian(earlier[:DEPTHS], axis=1)) for earlier, slowness in found]
    return edges, share_begun(u.numpy(), f.number.numpy(), np.ones(times.shape, bool))


def fitted(edges: list[Edge]) -> tuple[float, float]:
    """ENDS and ENDS_TIME in ms of edges, by least squares."""
    slowness, found = np.array([one.slowness for one in edges]), np.array([one.shorter for one in edges])

    def misfit(logs: np.ndarray) -> np.ndarray:
        ends, time = np.exp(logs)
        return (shorter(np.arange(DEPTHS), np.sqrt(time * KAPPA) / slowness[:, None], ends) - found).ravel()

    return tuple(np.exp(least_squares(misfit, np.log([ENDS, ENDS_TIME])).x))


def row_of(pixels: str, edges: list[Edge], begun: float) -> dict[str, Any]:
    """The constants of some edges with their intervals over tissues, beside those of the code."""
    own = {sim: [one for one in edges if one.sim == sim] for sim in {one.sim for one in edges}}
    rng, sims = np.random.default_rng(0), sorted(own)
    draws = [fitted([one for sim in rng.choice(sims, len(sims)) for one in own[sim]]) for _ in range(DRAWS)]
    row: dict[str, Any] = {"pixels": pixels, "tissues": len(sims), "edges": len(edges)}
    for k, name in enumerate(("ends", "ends_time")):
        low, high = np.percentile([draw[k] for draw in draws], [2.5, 97.5])
        row |= {name: fitted(edges)[k], f"{name}_low": low, f"{name}_high": high}
    return row | {"ends_of_code": ENDS, "ends_time_of_code": ENDS_TIME, "begun": begun, "begun_of_code": BEGUN}


@functools.cache
def measured(pool: int) -> tuple[list[Edge], float]:
    """All edges of the training tissues on maps of so many stored pixels, and the largest share that begins depolarized."""
    ds, table = open_set("base"), kinds()
    edges, begun = list[Edge](), 0.0
    for sim in np.flatnonzero(table.part == "train")[::EVERY].tolist():
        u = coarsen(to_u(torch.from_numpy(ds.V_m[sim].values.astype(np.float32))), pool)
        found, share = edges_of(u, sim, DX * pool)
        edges, begun = edges + found, max(begun, share)
    progress(f"edges: {len(edges)} on pixels of {DX * pool:g} mm")
    return edges, begun


if __name__ == "__main__":
    torch.set_num_threads(1)
    parts = {f"{DX * pool:g} mm": measured(pool) for pool in POOLS}
    parts["both"] = ([one for edges, _ in parts.values() for one in edges], max(begun for _, begun in parts.values()))
    write_table(pd.DataFrame([row_of(pixels, *part) for pixels, part in parts.items()]), RESULTS / "runs" / "edges.csv")
