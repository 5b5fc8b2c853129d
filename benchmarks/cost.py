"""What training the structured surrogate costs: ``data/results/runs/cost.csv``, on a quiet machine.

Times are medians over epochs, or of 20 calls after a warm-up. One thread unless a row says otherwise. Ratios within one run
are what to read; the machine is named in every row.
"""

from statistics import median
from time import perf_counter

import pandas as pd
import torch
from common import save
from llvmlite.binding import get_host_cpu_name

from forwardecg.data.recipe import read_recipe
from forwardecg.data.store import load_or_simulate
from forwardecg.paths import RESULTS
from forwardecg.surrogates.structured.data import MapSet
from forwardecg.surrogates.structured.model import Inputs, Structured, StructuredConfig
from forwardecg.surrogates.structured.task import StructuredTask
from forwardecg.surrogates.train import TrainConfig, fit, initialize

N_CALLS = 20


def time_calls(f, calls: int = N_CALLS) -> float:
    """Median seconds of a call."""
    f()
    seconds = []
    for _ in range(calls):
        start = perf_counter()
        f()
        seconds.append(perf_counter() - start)
    return median(seconds)


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
    rows = training(load_or_simulate(read_recipe(RESULTS / "07_dataset.json"), verify=False))
    seconds = [float(f"{value:.6g}") for value in rows.values()]
    table = pd.DataFrame({"what": rows.keys(), "seconds": seconds, "machine": get_host_cpu_name()})
    save("runs/cost.csv", table)
    print(table.to_string())
