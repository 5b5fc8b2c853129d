"""What a tissue of a data set costs over the time loop alone, and how a data set grows with tissues and worker processes.

``data/results/bench_dataset.csv``; `dataset.py` has the parts of a tissue. The ratio to the time loop
is of processor time, in turns. A data set is built whole, by `load_or_simulate`, in worker processes that have loaded
the compiled code; it is timed by the wall, and what is compared in turns.
"""

import os
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time

import numpy as np
from common import QUICK, ROOT, record, save_rows
from dataset import KERNEL, SIMS, WHOLE, parts_of
from threadpoolctl import threadpool_limits

from forwardecg.data.recipe import Recipe, read_recipe
from forwardecg.data.store import load_or_simulate, prepare_store, store_path

TURNS = 1 if QUICK else 3
COUNTS = (1, 2, 4) if QUICK else (4, 8, 24)  # tissues of a data set
N_SHARED = COUNTS[1]  # tissues that one worker simulates, and more


def over_kernel(recipe: Recipe) -> None:
    """All that a worker does for a tissue over the time loop of it, one number a turn: the mean over tissues."""
    ratios = []
    with threadpool_limits(1), TemporaryDirectory() as folder:
        location = Path(store_path(recipe, folder))
        prepare_store(location, recipe, True)
        ways = [parts_of(recipe, location, sim) for sim in (SIMS[:1] if QUICK else SIMS)]
        for _ in range(TURNS):
            took = dict.fromkeys((WHOLE, KERNEL), 0.0)
            for of_tissue in ways:
                for name in took:
                    start = process_time()
                    of_tissue[name]()
                    took[name] += process_time() - start
            ratios.append(took[WHOLE] / took[KERNEL])
    record("tissue of the data set over its time loop", 0, len(ways), "ratio", ratios, "1")


def per_tissue(recipe: Recipe, n: int, pool: Executor) -> float:
    """Seconds by the wall of a data set of n tissues, over n."""
    with TemporaryDirectory() as folder:
        start = perf_counter()
        load_or_simulate(replace(recipe, n_sim=n), pool, folder=folder).close()
        return (perf_counter() - start) / n


def growth(recipe: Recipe) -> None:
    """One data set by one worker and by more, and smaller and larger ones by all workers."""
    workers = [1, *(count for count in (2, 4, 8, 16) if count <= (os.cpu_count() or 1))]
    most = workers[-1]
    sets = [*((N_SHARED, count) for count in workers), *((n, most) for n in COUNTS if n != N_SHARED)]
    with ExitStack() as stack:
        pools = {k: stack.enter_context(ProcessPoolExecutor(k, get_context("spawn"))) for k in workers}
        for count, pool in pools.items():
            per_tissue(recipe, 2 * count, pool)  # the processes start, and load the compiled code
        turns = [[per_tissue(recipe, n, pools[count]) for n, count in sets] for _ in range(TURNS)]
    seconds = dict(zip(sets, np.array(turns).T, strict=True))
    for (n, count), of in seconds.items():
        record("data set", n, count, "seconds_per_tissue", of, "s")
    for count in workers[1:]:
        ratio = seconds[N_SHARED, 1] / seconds[N_SHARED, count]
        record("data set, one worker over workers", N_SHARED, count, "ratio", ratio, "1")
    largest = COUNTS[-1]
    ratio = seconds[largest, most] / seconds[N_SHARED, most]
    record(f"data set, a tissue of {largest} over one of {N_SHARED}", largest, most, "ratio", ratio, "1")


if __name__ == "__main__":
    base = read_recipe(ROOT / "data" / "results" / "07_dataset.json")
    over_kernel(base)
    growth(base)
    save_rows("bench_dataset.csv")
