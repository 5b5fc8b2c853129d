"""What both benchmarks share: the names of machine and versions, and one way to write a csv."""

import os
import platform
from importlib.metadata import version
from pathlib import Path

import pandas as pd
from llvmlite.binding import get_host_cpu_name

RESULTS = Path(__file__).resolve().parents[1] / "data" / "results"


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


def save(name: str, table: pd.DataFrame) -> None:
    """Write ``data/results/<name>`` whole or not at all."""
    part = RESULTS / f"{name}.part"
    table.to_csv(part, index=False, lineterminator="\n")
    os.replace(part, RESULTS / name)
    print(f"wrote data/results/{name}", flush=True)
