"""The tissues of a recipe, drawn and simulated: each a pure function of (recipe, index), whatever the order of work."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from threadpoolctl import threadpool_limits

from forwardecg.contract import V_REST, V_THRESHOLD, count, instance
from forwardecg.data.recipe import PROTOCOLS, REJECTIONS, Recipe
from forwardecg.solver.simulation import simulate
from forwardecg.tissue.sheet import PERCOLATING, Tissue, fibrotic, gap_junction, healthy
from forwardecg.tissue.stimulus import Stimulus, edge_stimulus, focal_stimulus

_SIDES = ("left", "right", "bottom", "top")
_TURNS = 5  # activations of one cell: three of them by re-entry, for S1 and S2 alone give two at most
_PACING = 150.0, 400.0  # ms from the first to the second beat of a paced tissue
_RECENT = 150.0  # ms before the end in which a sustained re-entry must still activate cells

_gate = Lock()
_inside: list[threadpool_limits] = []  # the one limit of this process, once for each thread that simulates


class Draw(NamedTuple):
    """A drawn tissue: its stimuli and their kind, the healthy D0 (mm^2/ms) it came from, share of fibrotic cells."""

    tissue: Tissue
    stimuli: list[Stimulus]
    stimulus: str
    D0: float
    fibrosis_density: float


def draw_tissue(recipe: Recipe, sim: int, attempt: int = 0) -> Draw:
    """Tissue number ``sim`` of the recipe and its stimuli, the same for the same arguments.

    Args:
        recipe, sim: says how; number of the tissue.
        attempt: 0 at first, then counts redraws.

    Returns:
        tissue, stimuli and their kind, the healthy D0 (mm^2/ms) it came from, and its share of fibrotic cells.

    Examples:
        >>> draw = draw_tissue(Recipe(n_sim=5, n_cells=40), sim=2)
        >>> draw.tissue.condition, draw.tissue.D.shape, draw.stimulus in ("edge", "corner", "focal")
        ('fibrotic', (40, 40), True)
    """
    sim, attempt = count("sim", sim, 0), count("attempt", attempt, 0)
    rng = np.random.default_rng([instance("recipe", recipe, Recipe).seed, sim, attempt])
    D0 = rng.uniform(recipe.D0_low, recipe.D0_high)
    tissue = healthy(recipe.shape, recipe.dx, D0, seed=sim)
    condition = recipe.conditions[sim % len(recipe.conditions)]
    if condition in ("gap_junction", "combined"):
        tissue = gap_junction(tissue, seed=rng)
    if condition in ("fibrotic", "combined"):
        texture = PERCOLATING if recipe.fibrosis == PERCOLATING else None
        tissue = replace(fibrotic(tissue, texture, rng, dense=recipe.fibrosis == "dense"), condition=condition)
        if texture:  # the words of the store name every set, and its patches are what comes nearest
            tissue = replace(tissue, texture="patchy")
    density = tissue.fibrosis_density
    if recipe.fibrosis == "partial":  # all cells conduct, the fibrotic ones badly
        D = np.where(tissue.conductive, tissue.D, tissue.D * rng.uniform(0.05, 0.3))
        tissue = replace(tissue, D=D, conductive=np.ones(recipe.shape, bool))
    # A fixed site would make the ECG a function of the condition alone.
    kind = str(rng.choice(PROTOCOLS[recipe.protocol]))
    stimuli = _draw_stimuli(kind, tissue, rng)
    if recipe.protocol == "paced":
        stimuli.append(replace(stimuli[0], start=float(np.round(rng.uniform(*_PACING)))))
    return Draw(tissue, stimuli, kind, D0, density)


def _draw_stimuli(kind: str, tissue: Tissue, rng: np.random.Generator) -> list[Stimulus]:
    shape, dx = tissue.D.shape, tissue.dx
    length = shape[0] * dx
    if kind == "edge":  # a part of it: from the whole edge healthy waves would differ in D0 alone
        side, strip = str(rng.choice(_SIDES)), edge_stimulus(tissue, "left")
        along = (np.arange(shape[0]) + 0.5) / shape[0]
        strip = strip.mask & (along > rng.uniform(0, 0.35))[:, None] & (along < rng.uniform(0.65, 1))[:, None]
        return [Stimulus(mask=_beside(strip, side))]
    if kind == "corner":  # near it, on the rim
        disc = focal_stimulus(tissue, 0.0, rng.uniform(0, 0.2 * length), radius=8.0).mask
        disc = disc[::-1] if rng.random() < 0.5 else disc
        return [Stimulus(mask=_beside(disc, str(rng.choice(_SIDES))))]
    if kind == "s1_s2":
        return _draw_s1_s2(tissue, rng)
    x, y = rng.uniform(0.1 * length, 0.9 * length, 2)
    first = focal_stimulus(tissue, x, y, radius=5.0)
    if kind == "focal":
        return [first]
    far = np.array([x, y])  # the second site is not reached by the first wave before it fires
    while np.hypot(*(far - (x, y))) < 0.3 * length:
        far = rng.uniform(0.1 * length, 0.9 * length, 2)
    start = float(np.round(rng.uniform(0, 0.2 * length)))  # ms, a front needs more than 1 ms per mm
    return [first, focal_stimulus(tissue, *far, radius=5.0, start=start)]  # type: ignore[misc]


def _beside(mask: np.ndarray, side: str) -> np.ndarray:
    """A mask (y, x) drawn beside the left edge, turned to another side of the square sheet."""
    return np.ascontiguousarray({"left": mask, "right": mask[:, ::-1], "bottom": mask.T, "top": mask.T[::-1]}[side])


def _draw_s1_s2(tissue: Tissue, rng: np.random.Generator) -> list[Stimulus]:
    """S1 along an edge, S2 over a corner region while the tail of S1 passes there: half of its front is blocked."""
    shape, dx = tissue.D.shape, tissue.dx
    side = str(rng.choice(_SIDES))
    depth, part = round(rng.uniform(0.3, 0.6) * shape[0]), round(rng.uniform(0.4, 0.6) * shape[0])
    mask = np.zeros(shape, bool)
    mask[:part, :depth] = True  # beside the left edge
    turned = _beside(mask[::-1] if rng.random() < 0.5 else mask, side)  # at one or the other end of the edge
    velocity = 0.65 * np.sqrt(np.median(tissue.D[tissue.conductive]) / 0.1)  # mm/ms, of FK_CAF: for the timing alone
    tail = 105.0 + rng.uniform(0.2, 0.9) * depth * dx / velocity
    return [edge_stimulus(tissue, side), Stimulus(mask=turned, start=float(np.round(tail)))]


def is_sustained(V_m: xr.DataArray) -> bool:
    """Whether re-entry lasts to the end of V_m (time, y_map, x_map): a pixel activated `_TURNS` times, one recently."""
    above = V_m.values > V_THRESHOLD
    upward = above[1:] & ~above[:-1]
    recent = V_m.time.values[1:] > float(V_m.time[-1]) - _RECENT
    return bool(upward.sum(0).max() >= _TURNS and upward[recent].any())


@contextmanager
def _one_thread() -> Iterator[None]:
    """One thread for the matrix products of this process, until the last of the threads in here has left it."""

    # More would add in another order. Were the limit each thread's own, the first to leave would lift it for the
    # others. OpenBLAS obeys the thread that limited it first, as long as that lives
    def aside(call: Callable, *args: int) -> Any:
        with ThreadPoolExecutor(1) as short_lived:
            return short_lived.submit(call, *args).result()

    with _gate:
        _inside.append(_inside[0] if _inside else aside(threadpool_limits, 1))
    try:
        # where that thread is this one, or where each has a limit of its own, as with OpenMP
        with threadpool_limits(1):
            yield
    finally:
        with _gate:
            limit = _inside.pop()
            if not _inside:
                aside(limit.restore_original_limits)


def simulate_one(recipe: Recipe, sim: int) -> xr.Dataset:
    """Simulate tissue ``sim``, redrawn until at least ``min_activated`` of its conductive cells are activated.

    Args:
        recipe, sim: says how; number of the tissue.

    Returns:
        As from `simulate`, but once the sheet is at rest (`simulation.AT_REST`) rest and a potential of zero are filled
        in; its attributes say what was drawn and rejected, and in ms the last activation and recovery of the first
        beat, its median duration and the time of rest.

    Raises:
        ValueError: What `simulate` refuses.
        RuntimeError: None of ``max_draws`` draws was kept.
        FloatingPointError: The solution left the finite numbers.

    Examples:
        >>> ds = simulate_one(Recipe(n_sim=1, n_cells=40, t_end=100.0, bank=False), sim=0)
        >>> ds.attrs["condition"], dict(ds.V_m.sizes), ds.attrs["activated"] > 0.5
        ('healthy', {'time': 21, 'y_map': 10, 'x_map': 10}, True)
    """
    rejected = dict.fromkeys(REJECTIONS, 0)
    for attempt in range(instance("recipe", recipe, Recipe).max_draws):
        draw = draw_tissue(recipe, sim, attempt)
        live = draw.tissue.live
        if not all((stimulus.mask & live).any() for stimulus in draw.stimuli):
            rejected["site"] += 1
            continue
        with _one_thread():
            ds = simulate(
                draw.tissue, draw.stimuli, t_end=recipe.t_end, electrodes=recipe.electrodes, pool=recipe.pool,
                frame_interval=recipe.frame_interval, ecg_interval=recipe.ecg_interval, cell=recipe.cell, dt=recipe.dt,
                stop_at_rest=True,
            )  # fmt: skip
        activated = float(np.isfinite(ds.lat.values[live]).mean())
        if activated < recipe.min_activated:
            rejected["activation"] += 1
        elif recipe.protocol == "reentry" and not (ds.time_ecg[-1] >= recipe.t_end and is_sustained(ds.V_m)):
            rejected["reentry"] += 1
        else:
            break
    else:
        came = f"rejected for site, activated share and re-entry: {', '.join(map(str, rejected.values()))}"
        raise RuntimeError(f"tissue {sim}: none of {recipe.max_draws} draws was kept; {came}")
    end = float(ds.time_ecg[-1])  # of the recipe's time, or before it, at rest
    mild = draw.fibrosis_density < recipe.mild_density and draw.tissue.texture != "interstitial"
    apd = (ds.recovery - ds.lat).values
    apd = apd[np.isfinite(apd)]
    return _to_the_end(ds, recipe).assign_attrs(
        stimulus=draw.stimulus, attempt=attempt, activated=activated, D0=draw.D0, gj_scale=draw.tissue.gj_scale,
        fibrosis_density=draw.fibrosis_density, mild=int(mild), **{f"rejected_{why}": n for why, n in rejected.items()},
        last_activation=float(ds.lat.max()), last_recovery=float(ds.recovery.max()),
        apd=float(np.median(apd)) if apd.size else np.nan, rest_time=end if end < recipe.t_end else np.nan,
    )  # fmt: skip


def _to_the_end(ds: xr.Dataset, recipe: Recipe) -> xr.Dataset:
    """Frames at rest and samples of zero from the end of the run to ``t_end``."""
    axes = {"time": recipe.frame_interval, "time_ecg": recipe.ecg_interval}
    full = {name: step * np.arange(round(recipe.t_end / step) + 1) for name, step in axes.items()}
    whole = ds.reindex(full, fill_value={"V_m": V_REST, "phi_e": 0.0})
    for name in axes:
        whole[name].attrs = ds[name].attrs
    return whole
