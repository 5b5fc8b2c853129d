"""The large set, which is not shipped: what was drawn for each tissue with a fingerprint of its sheet, and what a tissue costs.

``data/results/runs/large.csv`` has one row a tissue, ``large_cost.csv`` the seconds of some of them, simulated anew in one
process on a machine that should do nothing else. A tissue that is also in a set that is scored stops it.

    python -m experiments.large
"""

import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import pandas as pd

from experiments.files import write_table
from experiments.tissues import KINDS, POOL, open_set, recipe
from forwardecg.data.split import check_disjoint, sheet_hash
from forwardecg.data.store import load_or_simulate, store_path
from forwardecg.paths import RESULTS, progress

TIMED = 25  # tissues: five of each place in the cycle of conditions
DRAWN = ("D0", "gj_scale", "stimulus", *KINDS)


def fingerprints(name: str) -> list[str]:
    """`sheet_hash` of each tissue of a set."""
    progress(f"large: fingerprints of {name}")
    ds = open_set(name)
    return [sheet_hash(ds.D[k].values, ds.conductive[k].values) for k in range(ds.sizes["sim"])]


def tissues() -> pd.DataFrame:
    """One row a tissue; ValueError if one of them is in another set, turned or mirrored or not."""
    found = {name: fingerprints(name) for name in ("large", *POOL)}
    check_disjoint(found)
    ds = open_set("large")
    table = pd.DataFrame({name: ds[name].values for name in DRAWN}).rename_axis("sim")
    return table.assign(fingerprint=[one[:16] for one in found["large"]])


def cost() -> pd.DataFrame:
    """Seconds of so many tissues in one process, after a first one that compiles; and the bytes of the whole set."""
    stored = Path(store_path(recipe("large")))
    size = sum(file.stat().st_size for file in stored.rglob("*") if file.is_file())
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(1, get_context("spawn")) as one:
        load_or_simulate(replace(recipe("large"), n_sim=1, seed=0), one, folder=folder)
        started = time.perf_counter()
        load_or_simulate(replace(recipe("large"), n_sim=TIMED), one, folder=folder)
        seconds = time.perf_counter() - started
    return pd.DataFrame([{"tissues": TIMED, "seconds": round(seconds, 2), "set_bytes": size}])


if __name__ == "__main__":
    write_table(tissues(), RESULTS / "runs" / "large.csv", index=True)  # first: it simulates what is not there
    write_table(cost(), RESULTS / "runs" / "large_cost.csv")
