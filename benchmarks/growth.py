"""How the solver's cost grows with nodes, threads and batch: ``data/results/runs/growth.csv``, in about two minutes.

What is compared is timed in turns in one process; a ratio is the median over the repeats of the ratio within a repeat. The
clock of one thread counts the processor time of that thread, so that other work on the machine takes the cache and the
memory from it, but no turn; several threads are timed by the wall, and their processor time beside it. Sheets as in ``bench.py``: dx 0.5 mm, dt 0.1 ms, D 0.1
mm^2/ms, MLR-I, a wave from the left edge, timed while it crosses the sheet, states each 1 ms.
"""

import os
from collections.abc import Callable, Iterator
from time import perf_counter, process_time, thread_time

import numpy as np
import torch
from common import QUICK, record, save_rows
from limit import kernel_counts

from forwardecg.solver import kernel
from forwardecg.solver.batched import solve_batch
from forwardecg.solver.simulation import solve
from forwardecg.tissue.cell import FK_CAF, FK_MLR1
from forwardecg.tissue.sheet import healthy
from forwardecg.tissue.stimulus import edge_stimulus

DX, DT, D = 0.5, 0.1, 0.1  # mm, ms, mm^2/ms
WARM, TIMED = (2, 2) if QUICK else (20, 20)  # states of 1 ms, ten steps each, before the timed ones and among them
REPEATS = 1 if QUICK else 5
SIZES = [200, 400, 1600] if QUICK else [200, 400, 667, 1000, 1600]  # cells along a side
BATCHES = [1, 4] if QUICK else [1, 4, 16]  # sheets of N_BATCHED^2 cells in one tensor
N_BATCHED = 200
COPIED = 2**24  # numbers of an array, far more than a cache holds
NUMBERS = (
    9  # of 4 bytes that a step moves per node from and to the memory: 6 read, with what is overwritten, and 3 written
)


def per_update(states: Iterator, nodes: int, clock: Callable[[], float], warm: int, timed: int) -> float:
    """ns per node-update of the states that follow the first ``warm`` ones."""
    for _ in range(warm + 1):
        next(states)
    start = clock()
    for _ in range(timed):
        next(states)
    return 1e9 * (clock() - start) / (nodes * timed * round(1 / DT))


def ours(n: int, threads: int = 1, bands: bool = True, clock: Callable[[], float] = thread_time) -> float:
    """Of the kernel; without bands a step of the whole sheet follows the other."""
    sheet, small = healthy((n, n), DX, D), kernel.SMALL_BYTES
    kernel.SMALL_BYTES = small if bands else 2**40
    try:
        run = {"cell": FK_MLR1, "dt": DT, "calibrated": False, "threads": threads}
        return per_update(solve(sheet, edge_stimulus(sheet), t_end=100.0, **run), n * n, clock, WARM, TIMED)
    finally:
        kernel.SMALL_BYTES = small


def batched(count: int) -> float:
    """Of the torch solver on one thread, not compiled, per node of all sheets together."""
    sheet = healthy((N_BATCHED, N_BATCHED), DX, D)
    run = {"cell": FK_MLR1, "dt": DT, "calibrated": False}
    states = solve_batch([sheet] * count, [edge_stimulus(sheet)] * count, t_end=100.0, **run)
    return per_update(states, count * N_BATCHED**2, thread_time, 2, 4)


def copying() -> float:
    """Bytes per ns that one thread copies from memory to memory, what is overwritten counted as read."""
    a, b = np.ones(COPIED, np.float32), np.ones(COPIED, np.float32)
    start = thread_time()
    np.copyto(a, b)
    return 3 * a.nbytes / (1e9 * (thread_time() - start))


def growth() -> None:
    """One thread and sheets of all sizes, in bands and as the plain loop; the memory; the width of the vectors."""
    ours(200), copying()  # the first has compiled
    turns = [[copying(), *(ours(n, bands=bands) for bands in (True, False) for n in SIZES)] for _ in range(REPEATS)]
    bandwidth, *times = np.array(turns).T
    by_case = dict(zip(("in bands", "plain loop"), np.split(np.array(times), 2), strict=True))
    for case, of_sizes in by_case.items():
        for n, ns in zip(SIZES, of_sizes, strict=True):
            record(case, n, 1, "time_per_update", ns, "ns")
        record(f"{case}, 1600 over 400", 1600, 1, "ratio", of_sizes[-1] / of_sizes[SIZES.index(400)], "1")
    record("memory, copied", 0, 1, "bytes_per_ns", bandwidth, "1/ns")
    moved = 4 * NUMBERS / by_case["plain loop"][-1]
    record("plain loop", 1600, 1, "bytes_per_ns", moved, "1/ns")
    record("plain loop over copying", 1600, 1, "ratio", moved / bandwidth, "1")
    fresh = type(kernel.advance)(kernel.advance.py_func, targetoptions={"fastmath": True, "error_model": "numpy"})
    fresh.compile(kernel.advance.signatures[0])  # numba tells no assembly of what it has loaded
    (asm,) = fresh.inspect_asm().values()
    record("vectors", 0, 1, "width", kernel_counts(asm)["isotropic"].bits, "bit")


def cores() -> None:
    """The largest sheet on one thread and on more, by the wall; and the processor time of two threads together."""
    counts = [1, *(count for count in (2, 4, 8, 16) if count <= (os.cpu_count() or 1))]
    n = SIZES[-1]
    turns = [[ours(n, threads, clock=perf_counter) for threads in counts] for _ in range(REPEATS)]
    for threads, ns in zip(counts, np.array(turns).T, strict=True):
        record("threads", n, threads, "time_per_update", ns, "ns")
        if threads > 1:
            record("one thread over threads", n, threads, "ratio", np.array(turns)[:, 0] / ns, "1")
    turns = [[ours(n, threads, clock=process_time) for threads in (1, 2)] for _ in range(REPEATS)]
    one, two = np.array(turns).T
    record("processor time, threads over one", n, 2, "ratio", two / one, "1")


def batches() -> None:
    """The torch solver beside the kernel, on one thread."""
    turns = [[ours(N_BATCHED), *(batched(count) for count in BATCHES)] for _ in range(REPEATS)]
    one, *times = np.array(turns).T
    for count, ns in zip(BATCHES, times, strict=True):
        record("batched", N_BATCHED, count, "time_per_update", ns, "ns")
        record("batched over kernel", N_BATCHED, count, "ratio", ns / one, "1")


def gradients() -> None:
    """Relative errors of the derivatives of an activation time, against differences."""
    sheet, double = healthy((4, 40), DX, 0.13), {"dtype": torch.float64}

    def arrival(node: int, **given: torch.Tensor) -> torch.Tensor:
        *_, last = solve_batch(
            [sheet], [edge_stimulus(sheet)], t_end=30.0, every=30.0, dt=0.05, precision="float64", smooth=0.4, **given
        )
        return last.lat[0, 2, node]

    cases = {  # of a number x to an argument, its value, half the difference, and where the wave is timed
        "D": (lambda x: {"D": x * torch.ones(1, *sheet.D.shape, **double)}, 0.13, 1e-3, 30),
        "amplitude": (lambda x: {"amplitude": x * torch.ones(1, **double)}, 0.3, 2e-3, 10),
        "tau_d": (lambda x: {"parameters": {"tau_d": x}}, FK_CAF.tau_d, 1e-4, 30),
    }
    for name, (argument, value, half, node) in cases.items():
        x = torch.tensor(value, **double, requires_grad=True)
        arrival(node, **argument(x)).backward()
        with torch.no_grad():
            slope = (arrival(node, **argument(x + half)) - arrival(node, **argument(x - half))) / (2 * half)
        record(f"gradient, {name}", 40, 1, "relative_error", float((x.grad / slope - 1).abs()), "1")


if __name__ == "__main__":
    torch.set_num_threads(1)
    for part in (growth, cores, batches, gradients):
        part()
    save_rows("runs/growth.csv")
