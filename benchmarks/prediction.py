"""What a prediction costs beside the exact lead field and the simulation: ``data/results/bench_predict.csv``.

One thread, and its processor time, so that other work on the machine counts little. The ways are called in turns, each a few
times a turn; a time is the median over the turns of the median within a turn, a ratio the median of the ratio within a turn.
Maps of 100 x 100 pixels, 160 frames, 16 electrodes.
"""

from collections.abc import Callable, Sequence
from time import process_time

import numpy as np
import torch
import xarray as xr
from common import QUICK, ROOT, record, save_rows
from threadpoolctl import threadpool_limits
from torch import Tensor

from compendium.networks import papers_network
from forwardecg.contract import V_SPAN, to_u
from forwardecg.data.draw import draw_tissue, simulate_one
from forwardecg.data.recipe import Recipe, read_recipe
from forwardecg.ecg.electrodes import Electrodes
from forwardecg.ecg.leadfield import lead_field
from forwardecg.ecg.pixels import map_lead_field, upscale_faces
from forwardecg.solver.simulation import simulate
from forwardecg.surrogates.predict import StructuredSurrogate, load_surrogate
from forwardecg.surrogates.seen import read_tissue
from forwardecg.surrogates.structured.fronts import read_fronts
from forwardecg.surrogates.structured.model import (
    Conductivity,
    Inputs,
    batched_lead_field,
    inner_gradients,
    make_inputs,
)
from forwardecg.tissue.grid import Grid

N_FRAMES, N_LEADS, DT = 160, 16, 5.0  # DT: ms between maps
SIMS = (0, 1, 2, 4)  # tissues: healthy, remodeled, fibrotic and both
N_BATCH = 4 if QUICK else 64
TURNS, CALLS, FEW = (1, 1, 1) if QUICK else (7, 3, 3)  # FEW: turns of what takes a second or more
PREDICT, SIMULATION = "predict, 5 networks, bands", "simulation of the tissue"
BUILD, PRODUCT = "exact lead field, known D: build", "exact lead field, known D: product"
APART, AT_ONCE = "products of 5 networks, one by one", "products of 5 networks, at once"
PLAIN, COMPILED, EXPORTED = "one network", "one network, compiled", "one network, exported"
ALONE, TOGETHER = "recordings one by one", "recordings in a batch"
Ways = dict[str, Callable[[], object]]


def leads_of(recipe: Recipe) -> Electrodes:
    """Sixteen of its electrodes."""
    return Electrodes(recipe.electrodes.positions[1 : 1 + N_LEADS], recipe.electrodes.names[1 : 1 + N_LEADS])


def traces_apart(found: Sequence[Conductivity], G: tuple[Tensor, Tensor], u: Tensor) -> Tensor:
    """ECGs (network, lead, time) over `V_SPAN` of maps u (time, pixel), a product a network: as predictions were once."""
    return torch.stack([batched_lead_field(D, *G)[0].flatten(1) @ u.T for D in found])


def traces_at_once(found: Sequence[Conductivity], G: tuple[Tensor, Tensor], u: Tensor) -> Tensor:
    """The same by one product, as predictions are now."""
    weights = torch.cat([batched_lead_field(D, *G) for D in found])
    return (weights.flatten(0, 1).flatten(1) @ u.T).unflatten(0, weights.shape[:2])


def predict_batch(surrogate: StructuredSurrogate, movies: Sequence[Tensor], dx: float, places: Electrodes) -> Tensor:
    """Mean ECGs (recording, lead, time) in mV mm/ms of maps u (time, y, x): one pass of each network for all."""
    inputs = [read_tissue(u, dx, DT, surrogate.card).inputs for u in movies]
    batch = Inputs(*(torch.stack(fields) for fields in zip(*inputs, strict=True)))
    G = inner_gradients(Grid((*movies[0].shape[1:],), dx), places)
    u = torch.stack([*movies]).flatten(2)
    traces = [batched_lead_field(model(batch), *G).flatten(2) @ u.mT for model in surrogate.models]
    return V_SPAN * torch.stack(traces).mean(0)


def simulate_again(recipe: Recipe, places: Electrodes) -> None:
    drawn = draw_tissue(recipe, 0)
    simulate(drawn.tissue, drawn.stimuli, t_end=800.0, electrodes=places, pool=recipe.pool, stop_at_rest=True)


def ways(recipe: Recipe, movies: Sequence[xr.DataArray]) -> tuple[Ways, Ways]:
    """What is timed, quick and slow; everything but the last two for the first of the movies."""
    dx, places, surrogate = recipe.dx * recipe.pool, leads_of(recipe), load_surrogate()
    grid, tissue = Grid((*movies[0].shape[1:],), dx), draw_tissue(recipe, 0).tissue
    u_of = [torch.from_numpy(to_u(V_m.values.astype(np.float32))) for V_m in movies]
    u, G = u_of[0], inner_gradients(grid, places)
    seen = Inputs(*(z[None] for z in make_inputs(read_fronts(u, dx, DT), dx, DT)))
    compiled = torch.compile(surrogate.models[0])
    exported = torch.export.export(surrogate.models[0], (seen,)).module()
    many = Inputs(*(z.expand(N_BATCH, *z.shape[1:]) for z in seen))
    found = [model(seen) for model in surrogate.models]
    fine = np.random.default_rng(0).random((N_FRAMES, *recipe.shape), np.float32)
    L = lead_field(tissue, places).astype(np.float32)
    known = upscale_faces(tissue.D, tissue.conductive, recipe.pool)
    weights = map_lead_field(known.D_x, known.D_y, np.ones(grid.shape), dx, places).astype(np.float32)
    paper = papers_network()
    t = torch.tensor(paper.card["time"])
    pooled = torch.nn.functional.avg_pool2d(u, 2)[None, ::2]
    pooled = torch.nn.functional.pad(pooled, (0, 0, 0, 0, 0, len(t) - pooled.shape[1]))

    def predict(V_m: xr.DataArray) -> xr.Dataset:
        return surrogate.predict(V_m, dx=dx, dt=DT, electrodes=places, unit="mV")

    quick = {
        PREDICT: lambda: predict(movies[0]),
        "fronts and inputs": lambda: make_inputs(read_fronts(u, dx, DT), dx, DT),
        PLAIN: lambda: surrogate.models[0](seen),
        COMPILED: lambda: compiled(seen),
        EXPORTED: lambda: exported(seen),
        "operator on the pixels": lambda: batched_lead_field(found[0], *G),
        "product on the pixels": lambda: np.tensordot(weights, u.numpy(), ((1, 2), (1, 2))),
        APART: lambda: traces_apart(found, G, u.flatten(1)),
        AT_ONCE: lambda: traces_at_once(found, G, u.flatten(1)),
        BUILD: lambda: lead_field(tissue, places),
        PRODUCT: lambda: np.tensordot(L, fine, ((1, 2), (1, 2))),
        "paper's seq2seq, one lead": lambda: paper.model(pooled, t),
    }
    batch = [k % len(movies) for k in range(N_BATCH)]
    slow = {
        SIMULATION: lambda: simulate_again(recipe, places),
        f"one network, {N_BATCH} tissues, each": lambda: surrogate.models[0](many),
        f"paper's seq2seq, one lead, {N_BATCH} tissues, each": lambda: paper.model(
            pooled.expand(N_BATCH, *pooled.shape[1:]), t
        ),
        ALONE: lambda: [predict(movies[k]) for k in batch],
        TOGETHER: lambda: predict_batch(surrogate, [u_of[k] for k in batch], dx, places),
    }
    return quick, slow


def in_turns(calls: Ways, turns: int, times: int) -> dict[str, np.ndarray]:
    """Seconds of the processor of a call of each, one number a turn: the median of so many calls."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(turns):
        for name, call in calls.items():
            took = []
            for _ in range(times):
                start = process_time()
                call()
                took.append(process_time() - start)
            seconds[name].append(float(np.median(took)))
    return {name: np.array(of) for name, of in seconds.items()}


@torch.no_grad()
def measure() -> dict[str, np.ndarray]:
    """Seconds of all ways by turn; of a batch for each of its tissues, but for whole recordings."""
    recipe = read_recipe(ROOT / "data" / "results" / "07_dataset.json")
    movies = [simulate_one(recipe, sim).V_m[:N_FRAMES] for sim in (SIMS[:1] if QUICK else SIMS)]
    with threadpool_limits(1):
        quick, slow = ways(recipe, movies)
        in_turns(quick, 1, 1)  # warm
        seconds = in_turns(quick, TURNS, CALLS) | in_turns(slow, FEW, 1)
    return {name: of / N_BATCH if name.endswith(", each") else of for name, of in seconds.items()}


def write(seconds: dict[str, np.ndarray]) -> None:
    """All times and the ratios of what is compared."""
    for name, of in seconds.items():
        record(name, 0, N_BATCH if name in (ALONE, TOGETHER) else 1, "seconds", of, "s")
    now = seconds[PREDICT]
    once = now + seconds[APART] - seconds[AT_ONCE]
    record("predict over exact lead field", 0, 1, "ratio", now / (seconds[BUILD] + seconds[PRODUCT]), "1")
    record("predict, products one by one, over predict", 0, 1, "ratio", once / now, "1")
    for name in (COMPILED, EXPORTED):
        record(f"{PLAIN}, over it {name.split(', ')[1]}", 0, 1, "ratio", seconds[PLAIN] / seconds[name], "1")
    for name in (ALONE, TOGETHER):
        record(name, 0, N_BATCH, "per_second", N_BATCH / seconds[name], "1/s")
    record("recordings one by one over in a batch", 0, N_BATCH, "ratio", seconds[ALONE] / seconds[TOGETHER], "1")
    save_rows("bench_predict.csv")


if __name__ == "__main__":
    torch.set_num_threads(1)
    write(measure())
