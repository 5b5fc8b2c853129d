"""What a tissue of the data set costs beside the time loop alone: ``data/results/runs/dataset_cost.csv``, in a minute.

The base recipe with its 37 electrodes, one tissue of each condition; in turns the whole that a worker does and its parts by
themselves. Seconds are of the processor and of all threads of this process, so that work beside counts little; ratios
within one run are what to read.
"""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time

import pandas as pd
from llvmlite.binding import get_host_cpu_name
from threadpoolctl import threadpool_limits

from forwardecg.data import layout
from forwardecg.data.draw import draw_tissue, simulate_one
from forwardecg.data.recipe import Recipe, read_recipe
from forwardecg.data.store import prepare_store, simulate_into, store_path
from forwardecg.ecg.leadfield import lead_field
from forwardecg.paths import RESULTS
from forwardecg.solver.simulation import simulate, solve

SIMS, TURNS = (0, 1, 2, 4), 3  # healthy, remodeled, fibrotic and both
WHOLE, KERNEL, RUN = "a tissue, all that a worker does", "time loop alone", "with lead field, ECG and maps"


def parts_of(recipe: Recipe, location: Path, sim: int) -> dict[str, Callable[[], object]]:
    """What a worker does for a tissue, and each part of it by itself."""
    drawn, found, arrays = draw_tissue(recipe, sim), simulate_one(recipe, sim), layout.open_arrays(location)
    assert found.attempt == 0
    until = {"t_end": recipe.t_end, "cell": recipe.cell, "dt": recipe.dt, "stop_at_rest": True}
    run = until | {"frame_interval": recipe.frame_interval, "ecg_interval": recipe.ecg_interval}
    run |= {"electrodes": recipe.electrodes, "pool": recipe.pool}

    def whole() -> None:
        (location / layout.chunk_names(sim)[-1]).unlink(missing_ok=True)  # the mark that it is finished
        simulate_into(location, recipe, sim, True, "")

    return {
        WHOLE: whole,
        KERNEL: lambda: [state.t for state in solve(drawn.tissue, drawn.stimuli, every=recipe.ecg_interval, **until)],
        RUN: lambda: simulate(drawn.tissue, drawn.stimuli, **run),
        "drawing": lambda: draw_tissue(recipe, sim),
        "lead field": lambda: lead_field(drawn.tissue, recipe.electrodes),
        "writing: compression, checksums, files": lambda: layout.write_tissue(arrays, sim, found),
    }


def measure(sims: Iterable[int], turns: int = TURNS) -> dict[str, list[float]]:
    """Core seconds of the whole and of its parts by tissue, each the least of the turns."""
    recipe = read_recipe(RESULTS / "07_dataset.json")
    took: dict[str, list[float]] = {}
    with threadpool_limits(1), TemporaryDirectory() as folder:
        location = Path(store_path(recipe, folder))
        prepare_store(location, recipe, True)
        for sim in sims:
            ways = parts_of(recipe, location, sim)
            seconds: dict[str, list[float]] = {name: [] for name in ways}
            for _ in range(turns):
                for name, call in ways.items():
                    start = process_time()
                    call()
                    seconds[name].append(process_time() - start)
            for name, each in seconds.items():
                took.setdefault(name, []).append(min(each))
    return took


def write(took: dict[str, list[float]]) -> None:
    """The table of means over tissues, printed and written whole or not at all."""
    n = len(took[WHOLE])
    mean = {name: sum(seconds) / n for name, seconds in took.items()}
    mean["ECG product, maps"] = mean.pop(RUN) - mean[KERNEL] - mean["lead field"]
    mean["locks, checks of what is there"] = 2 * mean[WHOLE] - sum(mean.values())  # what is left
    table = pd.DataFrame({"part": mean.keys(), "core_seconds": mean.values()}).round(4)
    table = table.assign(share=(table.core_seconds / mean[WHOLE]).round(3), tissues=n, machine=get_host_cpu_name())
    path = RESULTS / "runs" / "dataset_cost.csv"
    table.to_csv(path.with_suffix(".part"), index=False, lineterminator="\n")
    os.replace(path.with_suffix(".part"), path)
    print(
        f"{table.to_string(index=False)}\na tissue over its time loop: {mean[WHOLE] / mean[KERNEL]:.3f}\nwrote {path.name}"
    )


if __name__ == "__main__":
    write(measure(SIMS))
