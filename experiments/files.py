"""How the tables are written, and where."""

import os
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from forwardecg.paths import CACHE, RESULTS, progress


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


def ask_tissues(about: str | None, usual: int) -> tuple[int, Path]:
    """How many tissues the command line asks for, and the folder of the tables."""
    parser = ArgumentParser(description=about, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument("--tissues", type=int, default=usual, help="so many of them")
    given = vars(parser.parse_args())
    return given["tissues"], tables_folder(parser, **given)


def score_tissues(path: Path, sims: Iterable[int], score: Callable[[int], pd.DataFrame], digits: int) -> None:
    """Rows of each tissue in a table, written after each; those in the table already are passed over."""
    table = pd.read_csv(path) if path.is_file() else pd.DataFrame(columns=["sim"])
    for sim in sims:
        if sim not in {*table.sim}:
            rows = score(sim)
            table = pd.concat([table, rows]) if len(table) else rows
            write_table(table.sort_values("sim", kind="stable"), path, digits)
            progress(rows.to_string(index=False))
