"""How the tables are written."""

import os
from pathlib import Path

import pandas as pd


def write_table(table: pd.DataFrame, path: Path, digits: int | None = 6, index: bool = False) -> None:
    """Write a table at once, so that nothing half-written is ever read; ``digits`` None: all of them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    (table if digits is None else table.round(digits)).to_csv(part, index=index, lineterminator="\n")
    os.replace(part, path)
