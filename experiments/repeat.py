"""Are results repeatable? Some trainings once more, on this machine and with the vector instructions of an older one.

Each is trained anew, in a cache of its own, and scored on the 300 test tissues; ``data/results/runs/repeat.csv`` has one row a tissue,
training and way: first (as in the tables of the book), again (the same machine), avx2 (no AVX-512, no AMX).

    python -m experiments.repeat
"""

import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pandas as pd
import torch

from experiments.ablations import SHORT
from experiments.common import SEEDS, STRUCTURED
from experiments.files import write_table
from experiments.score import tables
from experiments.tissues import Tissues
from forwardecg.paths import RESULTS, ROOT, progress
from forwardecg.surrogates import train

OLDER = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"}
WAYS = {"first": None, "again": {}, "avx2": OLDER}
# an older processor has no bfloat16, and emulates it at a tenth of the speed
IN_FULL = replace(STRUCTURED.config, precision="float32")
FEW = replace(STRUCTURED, config=IN_FULL, tissues=Tissues(few=30), other="test", measures="few")
RUNS = [*(SHORT.label(model="paper's seq2seq", seed=seed) for seed in SEEDS[:2]), FEW.label(model="structured", seed=0)]


def scores() -> pd.DataFrame:
    """One row a test tissue and training."""
    rows = [table for run in RUNS for _, table in tables(run)]
    vector = torch.backends.cpu.get_cpu_capability()  # what PyTorch's own kernels use here
    return pd.concat(rows)[["model", "seed", "sim", "r2"]].assign(vector=vector)


def elsewhere(change: dict, folder: str) -> pd.DataFrame:
    """The same in another process, with no training found in the cache."""
    file = Path(folder) / "scores.csv"
    subprocess.run([sys.executable, "-m", "experiments.repeat", folder], env=os.environ | change, cwd=ROOT, check=True)
    return pd.read_csv(file)


def main() -> None:
    rows = []
    for way, change in WAYS.items():
        progress(f"repeat: {way}")
        with tempfile.TemporaryDirectory() as folder:
            rows.append((scores() if change is None else elsewhere(change, folder)).assign(way=way))
    # all digits: identical has to mean identical
    write_table(pd.concat(rows), RESULTS / "runs" / "repeat.csv", digits=None)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        train.CACHE = Path(sys.argv[1])
        scores().to_csv(train.CACHE / "scores.csv", index=False, lineterminator="\n")
    else:
        main()
