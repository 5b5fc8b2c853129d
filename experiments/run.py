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
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Any

import pandas as pd

from experiments import ablations, cross_validation, data_efficiency, readings, scaling, shifts, supervision
from experiments.common import Run, networks
from experiments.files import training_row, write_table
from experiments.score import tables
from experiments.tissues import KINDS, kinds
from forwardecg.paths import RESULTS, progress

RUNS = RESULTS / "runs"
EXPERIMENTS: dict[str, Callable[[], list[Run]]] = {
    make.__name__: make
    for make in (
        *(cross_validation.structured_cv, cross_validation.structured_left_out, cross_validation.structured_data),
        *(cross_validation.baselines_cv, cross_validation.frame_cnn_cv),
        *(cross_validation.seq2seq_search, cross_validation.seq2seq_cv),
        *(ablations.ablations, ablations.ablations_lr, ablations.ablations_tuned, ablations.ablations_attention),
        *(ablations.ablations_known_d, ablations.spectral_terms, ablations.ablations_budget),
        *(shifts.sensitivity, data_efficiency.data_efficiency, shifts.shifted, shifts.left_out, shifts.readable),
        *(readings.splits, scaling.law, scaling.sizes, ablations.ablations_time_aware, ablations.ablations_encoder),
        *(supervision.supervision, supervision.label_weights, supervision.structured_parts),
    )
}


def training_labels(run: Run) -> dict[str, Any]:
    """What names a training in the table of trainings: of the labels, those that say how it was scored are left out."""
    return {name: value for name, value in run.labels.items() if name not in ("maps", "set", "part")}


def run(name: str) -> str:
    """One experiment from its first training to its two tables."""
    rows, trainings = [], {}
    for one in EXPERIMENTS[name]():
        for own, table in tables(one):
            rows.append(table.join(kinds(own)[[*KINDS]], on="sim"))
            progress(
                f"{name}: {own}, {dict(one.labels)}, mean R2 {table.r2.mean():.4f}, median {table.r2.median():.4f}"
            )
        labels = training_labels(one)
        for _, _, history in networks(one) if one.counted else ():
            trainings[json.dumps(labels)] = training_row(labels, history, "val_r2")
    for end, whole in {"": pd.concat(rows), "_trainings": pd.DataFrame(trainings.values())}.items():
        if not whole.empty:
            write_table(whole, RUNS / f"{name}{end}.csv")
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
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
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
