"""``make experiments``: all trainings behind the tables of the book, run by run; what is done is found in the cache.

Each experiment writes ``data/results/runs/NAME.csv``, one row a tissue, fold and seed, and NAME_trainings.csv, one row a
training. Notebooks read these files. Validation tissues choose, test tissues are only scored. Stopping it loses at most
the epochs in work; the next call goes on from there.

    python -m experiments.run                    all
    python -m experiments.run structured_cv      one of them
    python -m experiments.run --jobs 1           one after the other; by default as many side by side as there are cores
"""

import argparse
import json
import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed

import pandas as pd
import torch

from experiments import ablations
from experiments import cross_validation as ladder
from experiments import shifts as conditions
from experiments.common import KINDS, kinds
from forwardecg.paths import RESULTS, progress

RUNS = RESULTS / "runs"
EXPERIMENTS = {
    f.__name__: f
    for f in (
        ladder.structured_cv,
        ladder.structured_left_out,
        ladder.structured_data,
        ladder.baselines_cv,
        ladder.frame_cnn_cv,
        ladder.seq2seq_search,
        ladder.seq2seq_cv,
        ablations.ablations,
        ablations.ablations_lr,
        ablations.ablations_tuned,
        ablations.ablations_attention,
        ablations.ablations_known_d,
        ablations.spectral_terms,
        ablations.ablations_budget,
        conditions.sensitivity,
        conditions.data_efficiency,
        conditions.shifted,
        conditions.left_out,
        conditions.readable,
    )
}


def run(name: str) -> str:
    """One experiment from its first training to its two tables."""
    rows, trainings = [], {}
    for scored, labels, history in EXPERIMENTS[name]():
        own = labels.get("set", "base")
        rows.append(scored.assign(**labels).join(kinds(own)[[*KINDS]], on="sim"))
        progress(f"{name}: {labels}, mean R2 {scored.r2.mean():.4f}, median {scored.r2.median():.4f}")
        if history is None:
            continue
        one = {key: value for key, value in labels.items() if key not in ("maps", "set")}
        trainings[json.dumps(one)] = one | {
            "epochs": len(history), "val_r2": history.val_r2.max(), "minutes": history.seconds.sum() / 60, "threads": torch.get_num_threads()
        }  # fmt: skip
    RUNS.mkdir(parents=True, exist_ok=True)
    for file, table in {
        f"{name}.csv": pd.concat(rows),
        f"{name}_trainings.csv": pd.DataFrame(trainings.values()),
    }.items():
        if table.empty:
            continue
        part = RUNS / f"{file}.part"
        table.round(6).to_csv(part, index=False, lineterminator="\n")
        os.replace(part, RUNS / file)
    return name


def main(names: list[str], jobs: int) -> None:
    """Experiments in the order given, ``jobs`` of them side by side."""
    if jobs == 1:
        for name in names:
            run(name)
        return
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), max_tasks_per_child=1) as pool:
        running = [pool.submit(run, name) for name in names]
        try:
            for done in as_completed(running):
                progress(f"{done.result()}: done")
        except BaseException:
            pool.shutdown(cancel_futures=True)  # what runs is finished, and kept
            raise


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", help=f"which of {', '.join(EXPERIMENTS)}; all without any")
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, help="experiments side by side, on one thread each"
    )
    given = parser.parse_args()
    if unknown := {*given.names} - {*EXPERIMENTS}:
        sys.exit(f"names: expected some of {', '.join(EXPERIMENTS)}, got {', '.join(sorted(unknown))}")
    if given.jobs < 1:
        sys.exit(f"--jobs: expected at least 1, got {given.jobs}")
    main(given.names or [*EXPERIMENTS], given.jobs)
