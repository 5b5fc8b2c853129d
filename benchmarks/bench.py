"""Speed of the kernel and of the ECG beside Finitewave and beside the hardware limit: `make bench`.

One process, one thread, and what is compared is timed in turns, so that a neighbor on the machine slows both; a ratio is
the median over the repeats of the ratio within a repeat. Compilation is in no time on either side. All sheets: dx 0.5 mm,
dt 0.1 ms, D 0.1 mm^2/ms, MLR-I, a wave from the left edge, timed while it crosses the sheet.
"""

import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from time import perf_counter

import numba
import numpy as np
import pandas as pd
from common import QUICK, machine, rounded, save, versions
from limit import Peak, kernel_counts

from forwardecg.ecg.electrodes import center_electrode, grid_electrodes
from forwardecg.ecg.leadfield import lead_field
from forwardecg.solver.kernel import advance
from forwardecg.solver.simulation import simulate, solve
from forwardecg.tissue.cell import FK_MLR1
from forwardecg.tissue.grid import Grid
from forwardecg.tissue.sheet import healthy, with_fibers
from forwardecg.tissue.stimulus import edge_stimulus

DX, DT, D = 0.5, 0.1, 0.1  # mm, ms, mm^2/ms
WARM, WINDOW = 400, 400  # steps before the timed ones, and timed: 40 ms each
FW_WINDOW = 40  # steps of Finitewave, from the same state on
REPEATS = 2 if QUICK else 7
SIZES = [200, 400] if QUICK else [200, 400, 667]  # cells along a side, compared with Finitewave
ELECTRODES = [1, 4, 8]  # along a side
FRAMES = 16  # frames per matrix product
N_TISSUES = 2 if QUICK else 16
rows = []


def record(case, precision, n, quantity, values, unit):
    """One row: the median of the repeats, and the smallest and largest of them."""
    values = np.atleast_1d(values)
    rows.append((case, precision, n, quantity, np.median(values), values.min(), values.max(), unit))
    print(f"{case:32} {precision:8} {n:5} {quantity:24} {rows[-1][4]:10.4g} {unit}", flush=True)


def ours(n: int, real, tissue=None) -> float:
    """ns per node-update of our kernel."""
    tissue = tissue or healthy((n, n), DX, D)
    stimulus, every = edge_stimulus(Grid((n, n), DX)), WARM * DT
    states = solve(tissue, [stimulus], t_end=2 * every, every=every, cell=FK_MLR1, dt=DT, calibrated=False, dtype=real)
    next(states), next(states)
    start = perf_counter()
    next(states)
    return 1e9 * (perf_counter() - start) / (n * n * WINDOW)


class Theirs:
    """Finitewave on the same sheet: compiled and brought to the state where the timed steps begin, once."""

    def __init__(self, n: int, npfloat: str):
        import fw  # here, since the worker processes do without it

        self.advance, self.n = fw.advance, n
        grid = Grid((n, n), DX)
        self.model = fw.build(grid, DT, D, FK_MLR1, [edge_stimulus(grid)], npfloat)
        self.advance(self.model, WARM, initialize=True)
        self.state = {name: getattr(self.model, name).copy() for name in "uvw"} | {"t": self.model.t, "step": WARM}
        self.advance(self.model, 2)

    def __call__(self) -> float:
        for name, value in self.state.items():
            setattr(self.model, name, np.copy(value) if name in "uvw" else value)
        start = perf_counter()
        self.advance(self.model, FW_WINDOW)
        return 1e9 * (perf_counter() - start) / (self.n**2 * FW_WINDOW)


def compare(n: int) -> Theirs:
    """Ours and Finitewave in turns, each in both precisions."""
    theirs = {name: Theirs(n, name) for name in ("float64", "float32")}
    turns = [
        (ours(n, np.float32), ours(n, np.float64), theirs["float64"](), theirs["float32"]()) for _ in range(1 + REPEATS)
    ]
    f32, f64, fw64, fw32 = np.array(turns[1:]).T  # the first turn has compiled ours
    for case, values in (("ours", {"f32": f32, "f64": f64}), ("finitewave", {"f64": fw64, "f32": fw32})):
        for precision, ns in values.items():
            record(case, precision, n, "time_per_update", ns, "ns")
    for precision, ratio in {"f32": fw64 / f32, "f64": fw64 / f64}.items():
        record("finitewave f64 / ours", precision, n, "ratio", ratio, "1")
    record("finitewave f32 / ours", "f32", n, "ratio", fw32 / f32, "1")
    record("ours f64 / f32", "f64", n, "ratio", f64 / f32, "1")
    return theirs["float64"]


def limit(n: int = 400):
    """Our isotropic and anisotropic kernel and the peak rate of multiply-adds, in turns."""
    fibers = with_fibers(healthy((n, n), DX, D), 0.3, 7.6)
    ours(n, np.float32, fibers)
    (asm,) = [asm for types, asm in advance.inspect_asm().items() if types[1].dtype == numba.float32]
    counts = kernel_counts(asm)
    peak = Peak(counts["isotropic"].bits)
    turns = [(ours(n, np.float32), ours(n, np.float32, fibers), peak.rate()) for _ in range(REPEATS)]
    isotropic, anisotropic, rate = np.array(turns).T
    lanes = counts["isotropic"].bits // 32
    record("multiply-add", "f32", 0, "vector_fma_per_ns", rate, "1/ns")
    record("multiply-add", "f32", 0, "lane_fma_per_ns", rate * lanes, "1/ns")
    for case, ns in (("isotropic", isotropic), ("anisotropic", anisotropic)):
        record(case, "f32", n, "time_per_update", ns, "ns")
        for kind in ("port", "div", "all"):
            record(case, "f32", n, f"vector_{kind}_per_node", getattr(counts[case], kind), "1")
        record(case, "f32", n, "limit", counts[case].port / rate, "ns")
        record(case, "f32", n, "fraction_of_limit", counts[case].port / rate / ns, "1")
        record(case, "f32", n, "fraction_counting_all", counts[case].all / rate / ns, "1")
    record("anisotropic / isotropic", "f32", n, "ratio", anisotropic / isotropic, "1")


def ecg(theirs):
    """Cost of one ECG sample of all electrodes. Their weight is 1/r^2, times dt: comparable in cost, not in value."""
    import finitewave

    n = theirs.n
    u = theirs.model.u[1:-1, 1:-1].astype(np.float32)
    block = np.zeros((FRAMES, *u.shape))
    for side in ELECTRODES:
        electrodes = grid_electrodes(Grid((n, n), DX), side, side)
        start = perf_counter()
        field = lead_field(healthy((n, n), DX, D), electrodes).reshape(-1, n * n)
        setup = perf_counter() - start
        x, y, z = electrodes.positions.T / DX
        tracker = finitewave.ECGTracker(np.stack([y + 0.5, x + 0.5, z], axis=1))  # in nodes, border included
        tracker.initialize(theirs.model)
        tracker.calc_ecg()
        turns = []
        for _ in range(REPEATS):
            start = perf_counter()
            for k in range(FRAMES):
                block[k] = u  # as `simulate` gathers them
            frames = block.reshape(FRAMES, -1).T
            gathered = perf_counter()
            field @ frames
            done = perf_counter()
            tracker.calc_ecg()
            turns.append(((gathered - start) / FRAMES, (done - gathered) / FRAMES, perf_counter() - done))
        gather, product, other = 1e6 * np.array(turns).T
        electrodes = f"{side**2} electrodes" if side > 1 else "1 electrode"
        record(f"ecg ours, {electrodes}", "f64", n, "time_per_frame", gather + product, "us")
        record(f"ecg ours, {electrodes}", "f64", n, "product_per_frame", product, "us")
        record(f"ecg finitewave, {electrodes}", "f64", n, "time_per_frame", other, "us")
        record(f"ecg finitewave / ours, {electrodes}", "f64", n, "ratio", other / (gather + product), "1")
        record(f"ecg ours, {electrodes}", "f64", n, "lead_field_once", 1e3 * setup, "ms")


def one_tissue(_=None, n: int = 200) -> None:
    """A tissue from rest to the end of its beat, with one electrode, as the data set has it."""
    tissue, electrode = healthy((n, n), DX, D), center_electrode(Grid((n, n), DX))
    simulate(tissue, [edge_stimulus(Grid((n, n), DX))], t_end=700.0, electrodes=electrode)


def ready(barrier) -> None:
    """What a worker process does first: load the compiled code, calibrate, and wait for the others."""
    one_tissue()
    barrier.wait()


def processes():
    """Tissues per minute of 1 and 2 processes."""
    one_tissue()  # compiles
    rates = []
    for workers in (1, 2):
        context = get_context("spawn")
        barrier = context.Barrier(workers + 1)
        with ProcessPoolExecutor(workers, context, initializer=ready, initargs=(barrier,)) as pool:
            pool.map(one_tissue, range(workers))  # starts the processes
            barrier.wait()
            list(pool.map(one_tissue, range(workers)))
            start = perf_counter()
            list(pool.map(one_tissue, range(N_TISSUES)))
            rates.append(60 * N_TISSUES / (perf_counter() - start))
        record(f"{workers} processes", "f32", 200, "tissues_per_minute", rates[-1], "1/min")
    record("2 processes / 1", "f32", 200, "ratio", rates[1] / rates[0], "1")


def main():
    if numba.config.NUMBA_NUM_THREADS != 1:
        sys.exit("bench.py: expected one thread; benchmarks/run.py starts it so")
    start = perf_counter()
    models = {n: compare(n) for n in SIZES}
    limit()
    ecg(models[400])
    processes()
    table = pd.DataFrame(rows, columns=["case", "precision", "n", "quantity", "value", "low", "high", "unit"])
    save("bench_speed.csv", rounded(table).assign(machine=machine(), versions=versions()))
    print(f"{(perf_counter() - start) / 60:.1f} minutes")


if __name__ == "__main__":
    main()
