"""The weights that `load_surrogate("paper")` gives: of all trainings on most tissues, the one that validation tissues choose.

python -m experiments.publish      after experiments.run law sizes; the training is found in the cache, else made again
"""

from dataclasses import asdict
from typing import Any

import pandas as pd

from experiments import scaling
from experiments.common import Run, networks, sequences
from experiments.run import RUNS, training_labels
from experiments.tissues import LARGE_VAL, parts, recipe
from forwardecg.paths import MODELS, progress
from forwardecg.surrogates.weights import save_models


def chosen() -> tuple[Run, float]:
    """The training on most tissues with the best validation score of the published tables, and its mean R2 in test."""
    found = []
    for name, runs in {"law": scaling.law(), "sizes": scaling.sizes()}.items():
        tables = {end: pd.read_csv(RUNS / f"{name}{end}.csv") for end in ("_trainings", "")}
        for run in (run for run in runs if run.counted and run.tissues.large == scaling.MOST):
            trainings, rows = (_of(table, training_labels(run)) for table in tables.values())
            found.append((trainings.val_r2.item(), run, float(rows.r2[rows.part == "test"].mean())))
    _, run, score = max(found, key=lambda one: one[0])
    return run, score


def _of(table: pd.DataFrame, labels: dict[str, Any]) -> pd.DataFrame:
    """The rows with these labels."""
    return table[(table[[*labels]] == pd.Series(labels)).all(axis=1)]


def main() -> None:
    """Write the chosen network with its card."""
    run, score = chosen()
    ((model, scale, history),) = networks(run)
    of = parts(run.tissues)
    n = {part: sum(len(sims) for _, sims in groups) for part, groups in of.items()}
    save_models(
        [model], MODELS / "paper.safetensors", scale=scale, time=sequences(of["val"], run.maps).t.tolist(),
        seeds=[*run.seeds], train=asdict(run.config) | {"seed": run.seeds[0]}, loss=asdict(run.loss),
        data=asdict(recipe("large")) | {"cell": recipe().cell.name},
        split=f"{n['train']} tissues of the large and the calibration set train, {LARGE_VAL} others choose",
        best_epoch=int(history.val_r2.to_numpy().argmax()), val_r2=round(float(history.val_r2.max()), 4),
        test_r2_mean=round(score, 4), tested_on=f"{n['test']} tissues of the base and the test set",
    )  # fmt: skip
    progress(f"paper.safetensors: {dict(run.labels)}, mean R2 {score:.4f}")


if __name__ == "__main__":
    main()
