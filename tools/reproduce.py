"""``make reproduce``: execute everything from nothing in a copy of this tree, and compare the headline numbers.

The copy has no lock file, results, weights, caches or notebook outputs. It runs its own code. Nothing is published.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import headline
from driver import NotebookError, hold_lock
from registry import INPUTS, ROOT

COPY = ROOT / "_run" / "reproduce"


def tracked(root: Path = ROOT) -> list[str]:
    """The files of this tree that belong to the compendium; without git (an archive), all but what was built."""
    if (root / ".git").exists():
        command = ["git", "ls-files", "-z"]
        listed = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout
        return sorted(name for name in listed.split("\0") if name and (root / name).is_file())
    built = {".venv", ".venv-bench", "_build", "_run", "cache", "__pycache__"}
    paths = (path.relative_to(root) for path in root.rglob("*") if path.is_file())
    return sorted(path.as_posix() for path in paths if not built & {*path.parts})


def is_outcome(name: str) -> bool:
    """Whether a file is what a run makes: the lock file, results (but not those of the benchmark), weights, notebooks."""
    if name.removeprefix("data/") in INPUTS:
        return False
    made = name.startswith(("data/results/", "data/models/")) and not name.endswith(".md")
    return made or name == "pytask.lock" or (name.startswith("notebooks/") and name.endswith(".ipynb"))


def compare(published: dict[str, dict], reproduced: dict[str, dict]) -> list[tuple[str, str, str, str, str]]:
    """Rows of key, published, reproduced, tolerance and verdict; capitals are failures."""
    rows = []
    for key in [*published, *(reproduced.keys() - published.keys())]:
        old, new = published.get(key), reproduced.get(key)
        if old is None or new is None:
            verdict = "NOT PUBLISHED" if old is None else "NOT REPRODUCED"
        elif old["tolerance"] is None:
            verdict = "not judged"
        else:
            verdict = "ok" if abs(new["value"] - old["value"]) <= old["tolerance"] else "OUTSIDE"
        values = [f"{entry['value']:.4g}" if entry else "-" for entry in (old, new)]
        tolerance = (old or new)["tolerance"]
        rows.append((key, *values, "-" if tolerance is None else f"{tolerance:g}", verdict))
    return rows


def table(rows: list[tuple[str, ...]]) -> str:
    rows = [("headline number", "published", "reproduced", "tolerance", "verdict"), *rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)


def main() -> int:
    hold_lock(ROOT / "_run")
    shutil.rmtree(COPY, ignore_errors=True)
    for name in tracked():
        if not is_outcome(name):
            (COPY / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, COPY / name)
    print(f"Executing every notebook from nothing in {COPY.relative_to(ROOT)}", flush=True)
    start = time.monotonic()
    # the copy's package goes before the installed one
    environment = {**os.environ, "PYTHONPATH": str(COPY / "src"), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, str(COPY / "tools" / "driver.py"), str(COPY / "notebooks" / "reproduce.yaml")]
    if subprocess.run(command, cwd=COPY, env=environment).returncode:
        return 1
    minutes = (time.monotonic() - start) / 60
    published = json.loads((ROOT / "data" / "results" / "headline.json").read_text(encoding="utf-8"))
    rows = compare(published, headline.merged(COPY / "data"))
    judged = [row for row in rows if row[-1] != "not judged"]
    failed = [row for row in judged if row[-1] != "ok"]
    print(f"\n{table(rows)}\n\n{len(judged) - len(failed)} of {len(judged)} as published, in {minutes:.1f} minutes")
    (ROOT / "_run" / "reproduce.json").write_text(json.dumps({"minutes": minutes}) + "\n", encoding="utf-8")
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except NotebookError as error:
        sys.exit(str(error))
