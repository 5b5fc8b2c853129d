"""The minutes of a whole run of ``make reproduce``: from its table, and in the words of the README."""

import re
from pathlib import Path

import pandas as pd


def whole_minutes(table: pd.DataFrame) -> float:
    """The minutes of a whole run from its table; in older ones the notebooks ran one after the other."""
    return float(table["whole"].iloc[0]) if "whole" in table else float(table.minutes.astype(float).sum())


TOLD = re.compile(r"\(\d+ minutes for \d+ pages on \d+ cores of [^()]+\)")


def told(table: pd.DataFrame) -> str:
    """What the README says of a whole run."""
    where = f"{table.cores.iloc[0]} cores of {table.machine.iloc[0]}"
    return f"({whole_minutes(table):.0f} minutes for {len(table)} pages on {where})"


def tell(readme: Path, table: pd.DataFrame) -> None:
    """Put the minutes of this run in the place of those that the README tells.

    Raises:
        ValueError: It does not tell them once.
    """
    text, places = TOLD.subn(lambda _: told(table), readme.read_text(encoding="utf-8"))
    if places != 1:
        raise ValueError(f"{readme.name}: expected one place such as {told(table)}, got {places}")
    readme.write_text(text, encoding="utf-8", newline="\n")
