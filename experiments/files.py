"""How the tables are written, and where."""

import os
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from forwardecg.paths import CACHE, RESULTS


def write_table(table: pd.DataFrame, path: Path, digits: int | None = 6, index: bool = False) -> None:
    """Write a table at once, so that nothing half-written is ever read; ``digits`` None: all of them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    (table if digits is None else table.round(digits)).to_csv(part, index=index, lineterminator="\n")
    os.replace(part, path)


def training_row(labels: dict[str, Any], history: pd.DataFrame, score: str = "val_score") -> dict[str, Any]:
    """A row of a table of trainings: what names it, and what `load_or_fit` says of it; minutes are those of the training."""
    return labels | {
        "epochs": len(history), score: history.val_r2.max(), "minutes": history.seconds.sum() / 60,
        "threads": torch.get_num_threads(),
    }  # fmt: skip


def tables_folder(parser: ArgumentParser, **given: object) -> Path:
    """That of the published tables; for a run with other options than the usual ones a folder in the cache, named by them."""
    changed = [f"{name}_{value}" for name, value in given.items() if value != parser.get_default(name)]
    return CACHE / "first_look" / "-".join(changed) if changed else RESULTS / "runs"
