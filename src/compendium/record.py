"""What a notebook leaves behind beside its results: its headline numbers and one line of provenance."""

import ast
import json
import math
import os
import platform
import sys
from pathlib import Path

from forwardecg.cache import code_hash
from forwardecg.paths import PACKAGE, ROOT, STAGE

SOURCES, OURS = PACKAGE.parent, ("forwardecg", "compendium")
HEADLINE_FIELDS = {"value", "unit", "tolerance", "scale"}


def save_headline(notebook: str, entries: dict[str, dict]) -> None:
    """Write ``NN_name.headline.json``: the numbers that the book, the README and ``make reproduce`` quote.

    Parameters
    ----------
    notebook : its name, such as 03_ecg
    entries : key -> {"value", "unit", "tolerance", "scale"}
        ``tolerance`` is absolute, in the unit of the value; None for what is printed but never judged, as times are.
        ``scale`` says in words what the number was measured on ("60 tissues, 1 seed").

    Raises
    ------
    ValueError
        An entry with other fields, or a value that is not finite.

    Examples
    --------
    >>> entry = {"value": 0.65, "unit": "mm/ms", "tolerance": 0.01, "scale": "one cable"}
    >>> save_headline("00_example", {"cv": entry})
    >>> json.loads(result_file("00_example.headline.json").read_text())["cv"]["value"]
    0.65
    """
    for key, entry in entries.items():
        if set(entry) != HEADLINE_FIELDS:
            raise ValueError(f"entries[{key!r}]: expected the fields {sorted(HEADLINE_FIELDS)}, got {sorted(entry)}")
        if not math.isfinite(entry["value"]):
            raise ValueError(f"entries[{key!r}]: value {entry['value']} is not finite")
    # float() and so on: numpy scalars are no JSON
    plain = {key: {**entry, "value": float(entry["value"])} for key, entry in entries.items()}
    write_json(result_file(f"{notebook}.headline.json"), plain)


def write_json(path: Path, content: dict) -> None:
    """Write ``content`` atomically: a killed run leaves the old file or the new one, never half of it.

    Parameters
    ----------
    path : file, overwritten
    content : what json can hold

    Examples
    --------
    >>> write_json(Path("card.json"), {"n": 3})
    >>> json.loads(Path("card.json").read_text())
    {'n': 3}
    """
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8", newline="\n")
    os.replace(part, path)


def closure(source: Path) -> list[Path]:
    """Every module of this package that ``source`` imports, directly or through other modules, sorted.

    Parameters
    ----------
    source : Python file

    Returns
    -------
    modules : paths, sorted

    Examples
    --------
    >>> [path.name for path in closure(PACKAGE / "diffusion.py")]
    ['__init__.py', 'tissue.py']
    """
    found: set[Path] = set()
    todo = [source]
    while todo:
        for module in _imported(todo.pop()) - found:
            found.add(module)
            todo.append(module)
    return sorted(found)


def provenance(notebook: str) -> str:
    """One line: what code made this page. No time and no commit, so that a repeated run prints the same.

    Parameters
    ----------
    notebook : its name, such as 03_ecg

    Returns
    -------
    line : name, hash of the source, versions of Python and libraries

    Raises
    ------
    FileNotFoundError
        No notebook of that name.

    Examples
    --------
    >>> provenance("03_ecg").split(" · ")[0]
    '03_ecg'
    """
    libraries = [name for name in ("numpy", "numba", "torch", "xarray") if name in sys.modules]
    versions = [f"{name} {sys.modules[name].__version__.partition('+')[0]}" for name in libraries]
    source = ROOT / "notebooks" / f"{notebook}.py"  # type: ignore[operator]  # notebooks run in a checkout
    code = code_hash([source, *closure(source)])
    return f"{notebook} · source {code} · " + ", ".join([f"Python {platform.python_version()}", *versions])


def _imported(source: Path) -> set[Path]:
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
    """Path to write the results file ``name`` to; read published ones from ``RESULTS``.

    Parameters
    ----------
    name : of the file

    Returns
    -------
    path : its folder is there

    Examples
    --------
    >>> result_file("09_mine.csv").name
    '09_mine.csv'
    """
    (STAGE / "results").mkdir(parents=True, exist_ok=True)
    return STAGE / "results" / name


def model_file(name: str) -> Path:
    """Path to write the weights or model card ``name`` to; read published ones from ``MODELS``.

    Parameters
    ----------
    name : of the file

    Returns
    -------
    path : its folder is there

    Examples
    --------
    >>> model_file("mine.safetensors").name
    'mine.safetensors'
    """
    (STAGE / "models").mkdir(parents=True, exist_ok=True)
    return STAGE / "models" / name
