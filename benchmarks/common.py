"""What the benchmarks share: the names of machine and versions, rows of a table, one way to write a csv, and the option --quick.

With ``--quick`` everything runs on small sheets and few repetitions, and its tables go to ``_run/bench``: it shows that
all works and says nothing of speed.
"""

import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
from llvmlite.binding import get_host_cpu_name

ROOT = Path(__file__).resolve().parents[1]
QUICK = "--quick" in sys.argv
RESULTS = ROOT / ("_run/bench" if QUICK else "data/results")
COLUMNS = ["case", "n", "count", "quantity", "value", "low", "high", "unit"]
rows: list[tuple] = []  # of this process, see `record`


def machine() -> str:
    """The processor as the system names it, and as LLVM does."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        name = platform.processor() or platform.machine()
    return f"{name} ({get_host_cpu_name()})"


def versions() -> str:
    """What was compared, and what it ran on."""
    names = ("finitewave", "numba", "llvmlite", "numpy")
    return ", ".join([f"Python {platform.python_version()}", *(f"{name} {version(name)}" for name in names)])


def record(case: str, n: int, count: int, quantity: str, values, unit: str) -> None:
    """One row: the median of the repeats, and the smallest and largest of them.

    Args:
        case: what was measured.
        n, count: how large it was, and how many there were; 0 and 1 where this means nothing.
        quantity: what was measured of it; ratio for what is compared.
        values: one for each repeat.
        unit: of the values.
    """
    values = np.atleast_1d(values)
    rows.append((case, n, count, quantity, np.median(values), values.min(), values.max(), unit))
    print(f"{case:42} {n:5} {count:3} {quantity:18} {rows[-1][4]:8.4g} {unit}", flush=True)


def save(name: str, table: pd.DataFrame) -> None:
    """Write a table among the results whole or not at all."""
    target = RESULTS / name
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    table.to_csv(part, index=False, lineterminator="\n")
    os.replace(part, target)
    print(f"wrote {target.relative_to(ROOT)}", flush=True)


def save_rows(name: str) -> None:
    """What `record` kept, with five digits and the machine, in a table of the results."""
    table = pd.DataFrame(rows, columns=COLUMNS)
    save(name, rounded(table).assign(machine=machine()))


def rounded(table: pd.DataFrame) -> pd.DataFrame:
    """Value, low and high with five digits."""
    numbers = ["value", "low", "high"]
    return table.assign(**table[numbers].map(lambda value: float(f"{value:.5g}")))
