"""All ratios of `make bench` in one list, from the tables that its parts wrote, with the limits of the processor."""

from pathlib import Path

import pandas as pd
from common import RESULTS

TABLES = ("bench_speed.csv", "runs/growth.csv", "bench_dataset.csv", "bench_predict.csv")
SHOWN = {  # what is printed of a table, beside ratios
    "fraction_of_limit": "of the limit of the multiply-adds",
    "fraction_counting_all": "of the limit, all instructions counted",
    "lane_fma_per_ns": "multiply-adds per ns",
    "bytes_per_ns": "bytes per ns",
    "width": "bits of a vector",
    "relative_error": "relative error",
    "per_second": "per second",
}


def ratios(results: Path) -> pd.DataFrame:
    """What was compared and what limits it, one row each: where it was measured, the case, its size, the value and its range."""
    found = [pd.read_csv(results / name).assign(table=name) for name in TABLES]
    table = pd.concat(found, ignore_index=True)
    table = table[(table.quantity == "ratio") | table.quantity.isin(SHOWN)]
    words = table.quantity.map(SHOWN).fillna("")
    size = table.n.map(lambda n: f"n {n}" if n else "") + table["count"].map(lambda k: f" x {k:.0f}" if k > 1 else "")
    return pd.DataFrame({
        "table": table.table, "what": table.case, "precision": table.precision.fillna(""), "size": size, "in": words,
        "value": table.value, "low": table.low, "high": table.high, "machine": table.machine,
    })  # fmt: skip


def main() -> None:
    table = ratios(RESULTS)
    for name, rows in table.groupby("table", sort=False):
        (processor,) = rows.machine.unique()
        print(f"\n{name}: {processor}")
        for row in rows.itertuples(index=False):
            what = " ".join(word for word in (row.what, row.precision, row.size, row[4]) if word)
            print(f"  {what:78} {row.value:8.4g}  ({row.low:.4g} to {row.high:.4g})")


if __name__ == "__main__":
    main()
