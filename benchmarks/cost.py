"""What the surrogates cost beside the exact lead field and the simulation: ``data/results/runs/cost.csv``, on a quiet machine.

Times are medians of 20 calls after a warm-up (of the simulation: 3), on one thread unless a row says otherwise. Ratios within one run are what
to read; the machine is named in every row.
"""

import os
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
import pandas as pd
import torch
from llvmlite.binding import get_host_cpu_name

from compendium.networks import papers_network
from forwardecg.contract import to_u
from forwardecg.data.draw import draw_tissue
from forwardecg.data.recipe import read_recipe
from forwardecg.data.store import load_or_simulate
from forwardecg.ecg.electrodes import Electrodes
from forwardecg.ecg.leadfield import lead_field
from forwardecg.ecg.pixels import map_lead_field, upscale_faces
from forwardecg.paths import RESULTS, progress
from forwardecg.solver.simulation import simulate
from forwardecg.surrogates.predict import load_surrogate
from forwardecg.surrogates.structured.data import MapSet
from forwardecg.surrogates.structured.fronts import read_fronts
from forwardecg.surrogates.structured.model import (
    Inputs,
    Structured,
    StructuredConfig,
    batched_lead_field,
    inner_gradients,
    make_inputs,
)
from forwardecg.surrogates.structured.task import StructuredTask
from forwardecg.surrogates.train import TrainConfig, fit, initialize
from forwardecg.tissue.grid import Grid
from forwardecg.tissue.sheet import Tissue

N_CALLS, N_FRAMES, N_LEADS = 20, 160, 16


def time_calls(f, calls: int = N_CALLS) -> float:
    """Median seconds of a call."""
    f()
    seconds = []
    for _ in range(calls):
        start = perf_counter()
        f()
        seconds.append(perf_counter() - start)
    return median(seconds)


def inference(ds, recipe) -> dict[str, float]:
    """Seconds for one tissue, 100 x 100 maps of 160 frames, 16 electrodes."""
    V_m, dx = ds.V_m[0, :N_FRAMES].load(), recipe.dx * recipe.pool
    places = Electrodes(recipe.electrodes.positions[1 : 1 + N_LEADS], recipe.electrodes.names[1 : 1 + N_LEADS])
    surrogate, u = load_surrogate(), torch.from_numpy(to_u(V_m.values.astype(np.float32)))
    seen = Inputs(*(z[None] for z in make_inputs(read_fronts(u, dx, 5.0), dx, 5.0)))
    D, conductive = ds.D[0].values.astype(float), ds.conductive[0].values
    tissue, (n_y, n_x) = Tissue(D=D, conductive=conductive, dx=recipe.dx), u.shape[1:]
    fine = np.random.default_rng(0).random((N_FRAMES, *recipe.shape), np.float32)
    L, known = lead_field(tissue, places).astype(np.float32), upscale_faces(D, conductive, recipe.pool)
    weights = map_lead_field(known.D_x, known.D_y, np.ones((n_y, n_x)), dx, places).astype(np.float32)
    D_pixels = surrogate.models[0](seen)
    paper = papers_network()
    seq2seq, card = paper.model, paper.card
    pooled = torch.nn.functional.avg_pool2d(u, 2)[None, ::2]
    pooled = torch.nn.functional.pad(pooled, (0, 0, 0, 0, 0, len(card["time"]) - pooled.shape[1]))
    t = torch.tensor(card["time"])
    with torch.no_grad():
        return {
            "predict, 5 networks, bands": time_calls(
                lambda: surrogate.predict(V_m, dx=dx, dt=5.0, electrodes=places, unit="mV")
            ),
            "fronts and inputs": time_calls(lambda: make_inputs(read_fronts(u, dx, 5.0), dx, 5.0)),
            "one network": time_calls(lambda: surrogate.models[0](seen)),
            "one network, 64 tissues, each": time_calls(
                lambda: surrogate.models[0](Inputs(*(z.expand(64, *z.shape[1:]) for z in seen))), 20
            )
            / 64,
            "operator on the pixels": time_calls(
                lambda: batched_lead_field(D_pixels, *inner_gradients(Grid((n_y, n_x), dx), places))
            ),
            "product on the pixels": time_calls(lambda: np.tensordot(weights, u.numpy(), ((1, 2), (1, 2)))),
            "exact lead field, known D: build": time_calls(lambda: lead_field(tissue, places)),
            "exact lead field, known D: product": time_calls(lambda: np.tensordot(L, fine, ((1, 2), (1, 2)))),
            "paper's seq2seq, one lead": time_calls(lambda: seq2seq(pooled, t)),
            "paper's seq2seq, one lead, 64 tissues, each": time_calls(
                lambda: seq2seq(pooled.expand(64, *pooled.shape[1:]), t)
            )
            / 64,
            "simulation of the tissue": time_calls(lambda: simulate_tissue(recipe, places), 3),
        }


def simulate_tissue(recipe, places):
    drawn = draw_tissue(recipe, 0)
    return simulate(drawn.tissue, drawn.stimuli, t_end=800.0, electrodes=places, pool=recipe.pool, stop_at_rest=True)


def training(ds) -> dict[str, float]:
    """Seconds of an epoch of 32 tissues, and of the compiled network beside the plain one."""
    part, found = MapSet(ds, range(32)), {}
    for threads in (1, 2):
        torch.set_num_threads(threads)
        for precision in ("float32", "bfloat16"):
            model, task = initialize(lambda: Structured(StructuredConfig()), 0), StructuredTask(part, part.subset([0]))
            history = fit(model, task, TrainConfig(epochs=5, lr=8e-3, ema=0.98, precision=precision))
            found[f"epoch of 32 tissues, {precision}, {threads} thread{'s' * (threads > 1)}"] = history.seconds[
                1:
            ].median()
    torch.set_num_threads(1)
    batch = Inputs(*(z[:8] for z in part.inputs[0]))
    compiled = torch.compile(model)
    for name, network in (("plain", model), ("compiled", compiled)):
        found[f"forward and backward of 8 tissues, {name}"] = time_calls(
            lambda net=network: net(batch).D_xx.sum().backward()
        )
    return found


if __name__ == "__main__":
    torch.set_num_threads(1)
    recipe = read_recipe(RESULTS / "07_dataset.json")
    ds = load_or_simulate(recipe, verify=False)
    progress("timing inference")
    rows = inference(ds, recipe)
    progress("timing training")
    rows |= training(ds)
    table = pd.DataFrame({"what": rows.keys(), "seconds": rows.values(), "machine": get_host_cpu_name()})
    target = RESULTS / "runs" / "cost.csv"
    part = Path(f"{target}.part")
    table.to_csv(part, index=False, float_format="%.6g", lineterminator="\n")
    os.replace(part, target)
    print(table.to_string())
