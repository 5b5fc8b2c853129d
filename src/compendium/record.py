"""What a notebook leaves behind: its results, its headline numbers and one line of provenance."""

import ast
import json
import math
import os
import platform
import sys
from pathlib import Path
from typing import Any

from forwardecg.cache import code_hash
from forwardecg.paths import DATA, PACKAGE, STAGE

SOURCES, OURS = PACKAGE.parent, ("forwardecg", "compendium")
NOTEBOOKS = SOURCES.parent / "notebooks"


class Headline:
    """The headline numbers of one notebook, which the book, the README and ``make reproduce`` quote.

    Each call keeps one number and writes all so far, so that ``NN_name.headline.json`` is whole after the last. A run of
    the pipeline begins with none; a session in a notebook goes on from the published ones, and replaces what it keeps again.

    Args:
        notebook: its name, such as 03_ecg.

    Examples:
        >>> headline = Headline("00_example")
        >>> headline("cv_mm_ms", 0.65, unit="mm/ms", tolerance=0.01, on="one cable")
        >>> json.loads(result_file("00_example.headline.json").read_text())["cv_mm_ms"]["value"]
        0.65
    """

    def __init__(self, notebook: str) -> None:
        self.notebook, self._file = notebook, result_file(f"{notebook}.headline.json")
        self._kept = json.loads(self._file.read_text(encoding="utf-8")) if self._file.is_file() else {}

    def __call__(self, key: str, value: float, *, tolerance: float | None, on: str, unit: str = "1") -> None:
        """Keep one number.

        Args:
            key: its name, the same in the whole book.
            value: in the unit.
            tolerance: by which a reproduced value may differ, in the unit; None for what is printed but never judged, as times are.
            on: what it was measured on, in words ("60 tissues, 1 seed").
            unit: 1 for none.

        Raises:
            ValueError: Not finite, a tolerance below zero, no words, or kept before with something else in a run of the pipeline.
        """
        if not math.isfinite(value):
            raise ValueError(f"{key}: expected a finite value, got {value}")
        if tolerance is not None and not tolerance >= 0:
            raise ValueError(f"{key}: expected a tolerance of zero or more, or None, got {tolerance}")
        if not (on.strip() and unit.strip()):
            raise ValueError(f"{key}: expected words for unit and on, got {unit!r} and {on!r}")
        # float(): numpy's scalars are no JSON
        entry = {"value": float(value), "unit": unit, "tolerance": tolerance, "scale": on}
        if STAGE != DATA and self._kept.get(key, entry) != entry:
            raise ValueError(f"{key}: expected to be kept once, got {self._kept[key]} and {entry}")
        self._kept[key] = entry
        write_json(self._file, self._kept)

    def provenance(self) -> str:
        """One line: what code made this page. No time and no commit, so that a repeated run prints the same."""
        libraries = [name for name in ("numpy", "numba", "torch", "xarray") if name in sys.modules]
        versions = [f"{name} {sys.modules[name].__version__.partition('+')[0]}" for name in libraries]
        source = NOTEBOOKS / f"{self.notebook}.py"
        code = code_hash([source, *closure(source)])
        return f"{self.notebook} · source {code} · " + ", ".join([f"Python {platform.python_version()}", *versions])


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write what json can hold, atomically: a killed run leaves the old file or the new one, never half of it."""
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8", newline="\n")
    os.replace(part, path)


def closure(source: Path) -> list[Path]:
    """Every module of ``src`` that a Python file imports, directly or through other modules, sorted."""
    found: set[Path] = set()
    todo = [source]
    while todo:
        for module in _imports(todo.pop()) - found:
            found.add(module)
            todo.append(module)
    return sorted(found)


def _imports(source: Path) -> set[Path]:
    """Modules of the package and of the book's machinery that one file imports anywhere, also inside its functions."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            # module first in `from forwardecg.ecg.torso import Disc`, second in `from forwardecg.ecg import torso`
            names |= {str(node.module)} | {f"{node.module}.{alias.name}" for alias in node.names}
    ours = {name for name in names if name.partition(".")[0] in OURS}
    files = {SOURCES / f"{name.replace('.', '/')}.py" for name in ours}
    files |= {SOURCES / name.partition(".")[0] / "__init__.py" for name in ours}
    return {path for path in files if path.is_file()}


def result_file(name: str) -> Path:
    """Path to write the results file ``name`` to, its folder made; read published ones from ``RESULTS``."""
    (STAGE / "results").mkdir(parents=True, exist_ok=True)
    return STAGE / "results" / name


def model_file(name: str) -> Path:
    """Path to write the weights or model card ``name`` to, its folder made; read published ones from ``MODELS``."""
    (STAGE / "models").mkdir(parents=True, exist_ok=True)
    return STAGE / "models" / name
