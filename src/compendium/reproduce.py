"""``make reproduce``: execute everything from nothing in a copy of this tree, and compare the headline numbers.

The copy has no lock file, results, weights, caches or notebook outputs. It runs its own code. Nothing is published. Tables that take
hours of training are taken as they are committed, one row a tissue and seed, and everything is computed from them again.
Notebooks run side by side, as many as there are cores, each on one thread and after those whose results it needs.
``_run/reproduce.csv`` then says what each notebook and the whole took and how many of its numbers came back; ``--keep``
puts it in the place of the committed one, ``data/results/bench_reproduce.csv``, which the page *provenance* shows, and its minutes
into the README. A processor
without bfloat16 emulates it at a tenth of the speed: there the structured networks are trained in float32, and the table says so.

``make reproduce-all`` trains those as well - every seed, fold and variant - and compares them row by row. It keeps its caches: stopped
and repeated, it goes on from the last finished epoch.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import torch
from llvmlite.binding import get_host_cpu_name

from compendium import headline
from compendium.execute import SECONDS, NotebookError, hold_lock
from compendium.minutes import tell
from compendium.registry import INPUTS, ROOT, TRAINED

SCORED = ("baselines_cv", "readable", *TRAINED)
EMULATED: dict[str, dict] = {"10_structured": {"precision": "float32"}}  # where there is no bfloat16
ON_ANOTHER_CPU = 0.01  # by which the mean R2 of one training may differ there (`experiments/repeat.py`)


def tracked_files(root: Path = ROOT) -> list[str]:
    """The files of this tree that belong to the compendium; without git (an archive), all but what was built."""
    if (root / ".git").exists():
        command = ["git", "ls-files", "-z"]
        listed = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout
        return sorted(name for name in listed.split("\0") if name and (root / name).is_file())
    built = {".venv", ".venv-bench", "_build", "_run", "cache", "__pycache__"}
    paths = (path.relative_to(root) for path in root.rglob("*") if path.is_file())
    return sorted(path.as_posix() for path in paths if not built & {*path.parts})


def is_outcome(name: str, trained: bool = False) -> bool:
    """Whether a file is what a run makes: the lock file, results, weights, notebooks; not timings, nor hours of training
    unless they are ``trained`` again."""
    if name.removeprefix("data/") in INPUTS:
        return trained and Path(name).stem.removesuffix("_trainings") in SCORED
    made = name.startswith(("data/results/", "data/models/")) and not name.endswith(".md")
    return made or name == "pytask.lock" or (name.startswith("notebooks/") and name.endswith(".ipynb"))


def compare(published: dict[str, dict], reproduced: dict[str, dict]) -> list[tuple[str, ...]]:
    """Rows of key, published, reproduced, tolerance and verdict; capitals are failures."""
    either, rows = reproduced | published, []
    for key in [*published, *(reproduced.keys() - published.keys())]:
        old, new = published.get(key), reproduced.get(key)
        if old is None or new is None:
            verdict = "NOT PUBLISHED" if old is None else "NOT REPRODUCED"
        elif old["tolerance"] is None:
            verdict = "not judged"
        else:
            verdict = "ok" if abs(new["value"] - old["value"]) <= old["tolerance"] else "OUTSIDE"
        values = [f"{entry['value']:.4g}" if entry else "-" for entry in (old, new)]
        tolerance = either[key]["tolerance"]
        rows.append((key, *values, "-" if tolerance is None else f"{tolerance:g}", verdict))
    return rows


HEADER = ("headline number", "published", "reproduced", "tolerance", "verdict")


def table(rows: list[tuple[str, ...]], header: tuple[str, ...] = HEADER) -> str:
    rows = [header, *rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)


LABELS = (  # what names a row of a table of scores; all else is measured, or known of the tissue
    "method", "maps", "variant", "decoder", "attention", "lr", "budget", "term", "weight", "choice", "reading", "tissues",
    "aware", "encoder", "size", "passes", "pixels", "left_out", "fold", "seed", "set", "sim",
)  # fmt: skip


def compare_runs(published: pd.DataFrame, reproduced: pd.DataFrame) -> tuple[str, str, str]:
    """Rows in common, largest difference in R2 of a tissue and of a training's mean, and a verdict."""
    labels = [name for name in LABELS if name in published]
    both = published.merge(reproduced, on=labels, suffixes=("", "_again"), validate="1:1")
    if not len(both) == len(published) == len(reproduced):
        return f"{len(both)} of {len(published)} rows", "-", "OTHER ROWS"
    trainings = both.groupby([name for name in labels if name != "sim"], dropna=False)[["r2", "r2_again"]].mean()
    tissue, training = ((table.r2 - table.r2_again).abs().max() for table in (both, trainings))
    verdict = "identical" if tissue == 0 else "ok" if training <= ON_ANOTHER_CPU else "OUTSIDE"
    return f"{len(both)} rows", f"{tissue:.2g} a tissue, {training:.2g} a training", verdict


def without_bfloat16() -> dict[str, dict]:
    """The parameters to change on this processor."""
    features = torch.cpu.get_capabilities()
    return {} if any(features.get(name) for name in ("amx_bf16", "avx512_bf16", "bf16")) else EMULATED


def by_notebook(
    rows: list[tuple[str, ...]],
    makers: dict[str, str],
    seconds: dict[str, float],
    changes: dict[str, dict],
    whole: float,
    jobs: int,
) -> pd.DataFrame:
    """One row a notebook: its minutes, how many of its headline numbers are judged and how many came back, what was changed.

    Each row also has the minutes of the whole run with ``jobs`` notebooks side by side; what comes in is in seconds.
    """
    judged = [(makers[row[0]], row[-1] == "ok") for row in rows if row[-1] != "not judged"]
    counts = {name: [ok for maker, ok in judged if maker == name] for name in sorted(seconds)}
    return pd.DataFrame(
        {
            "notebook": list(counts),
            "minutes": [f"{seconds[name] / 60:.2f}" for name in counts],
            "judged": [len(ok) for ok in counts.values()],
            "as_published": [sum(ok) for ok in counts.values()],
            "changed": [" ".join(f"{key}={value}" for key, value in changes.get(name, {}).items()) for name in counts],
            "machine": get_host_cpu_name(),
            "cores": os.cpu_count(),
            "side_by_side": jobs,
            "whole": f"{whole / 60:.2f}",
        }
    )


def _copy_tree(folder: Path, trained: bool) -> None:
    """Copy the tracked tree without what is to be made into ``folder``."""
    for name in tracked_files():
        if not is_outcome(name, trained):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)


def main(everything: bool, jobs: int, keep: bool) -> int:
    hold_lock(ROOT / "_run")
    copy = ROOT / "_run" / ("reproduce-all" if everything else "reproduce")
    if not everything:
        shutil.rmtree(copy, ignore_errors=True)
    _copy_tree(copy, everything)
    print(f"Executing everything from nothing in {copy.relative_to(ROOT)}", flush=True)
    start, outside, stopped = time.monotonic(), 0, 0
    # the copy's package goes before the installed one, and the copy's data before any that the user has set
    environment = {
        **os.environ,
        "PYTHONPATH": str(copy / "src"),
        "PYTHONUNBUFFERED": "1",
        "FORWARDECG_DATA": str(copy / "data"),
    }
    changes = without_bfloat16()
    if changes:
        print(f"This processor has no bfloat16; changed parameters: {changes}", flush=True)
    driver = [sys.executable, "-m", "compendium.execute", "--jobs", str(jobs), "--changes", json.dumps(changes)]
    steps = [driver]
    if everything:  # the tissues first, then all that is trained on them
        steps = [[*driver, "07_dataset"], [sys.executable, "-m", "experiments.run"], driver]
    for step in steps:
        if stopped := subprocess.run(step, cwd=copy, env=environment).returncode:
            if step is not steps[-1]:
                return 1
            print("\nSome notebooks failed, as said above; their numbers are not reproduced.", flush=True)
    minutes = (time.monotonic() - start) / 60
    if everything:
        runs = [folder / "data" / "results" / "runs" for folder in (ROOT, copy)]
        rows: list[tuple[str, ...]] = [
            (name, *compare_runs(*(pd.read_csv(folder / f"{name}.csv", keep_default_na=False) for folder in runs)))
            for name in SCORED
        ]
        print(f"\n{table(rows, ('table of trainings', 'rows', 'largest difference in R2', 'verdict'))}")
        outside = sum(row[-1].isupper() for row in rows)
    published = json.loads((ROOT / "data" / "results" / "headline.json").read_text(encoding="utf-8"))
    reproduced = headline.merge(copy / "data")
    rows = compare(published, reproduced)
    judged = [row for row in rows if row[-1] != "not judged"]
    failed = [row for row in judged if row[-1] != "ok"]
    print(f"\n{table(rows)}\n\n{len(judged) - len(failed)} of {len(judged)} as published, in {minutes:.1f} minutes")
    if not everything:  # there the tissues come from the cache by the time the notebooks run
        makers = {key: entry["notebook"] for key, entry in {**reproduced, **published}.items()}
        seconds = json.loads((copy / "_run" / SECONDS).read_text(encoding="utf-8"))
        found = by_notebook(rows, makers, seconds, changes, 60 * minutes, jobs)
        found.to_csv(ROOT / "_run" / "reproduce.csv", index=False, lineterminator="\n")
        if keep and not stopped:
            shutil.copy2(ROOT / "_run" / "reproduce.csv", ROOT / "data" / "results" / "bench_reproduce.csv")
            tell(ROOT / "README.md", found)
    return 1 if failed or outside or stopped else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--all", action="store_true", help="train every seed, fold and variant as well: hours, resumable"
    )
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, help="notebooks side by side; by default one a core"
    )
    parser.add_argument(
        "--keep",
        action="store_true",
        help="put the table of minutes in the place of the committed one, and the whole into the README",
    )
    given = parser.parse_args()
    try:
        sys.exit(main(given.all, given.jobs, given.keep))
    except NotebookError as error:
        sys.exit(str(error))
