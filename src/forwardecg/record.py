"""What a notebook leaves behind beside its results: its headline numbers and one line of provenance."""

import ast
import hashlib
import json
import math
import os
import platform
import sys
from pathlib import Path

from forwardecg.paths import PACKAGE, ROOT, result_file

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


def files_hash(*paths: Path) -> str:
    """Hash of source files without docstrings, blank and comment lines, the same under every version of Python.

    Parameters
    ----------
    *paths : Python files, in any order

    Returns
    -------
    hash : 16 hexadecimal digits

    Examples
    --------
    >>> one, other = PACKAGE / "cell.py", PACKAGE / "tissue.py"
    >>> files_hash(one, other) == files_hash(other, one) != files_hash(one)
    True
    """
    digest = hashlib.sha256()
    for path in sorted(paths):
        text = path.read_text(encoding="utf-8")
        words = _docstring_lines(text)
        lines = [line.rstrip() for number, line in enumerate(text.splitlines(), 1) if number not in words]
        code = [line for line in lines if line and not line.lstrip().startswith("#")]
        digest.update("\n".join([path.name, *code, ""]).encode())
    return digest.hexdigest()[:16]


def _docstring_lines(text: str) -> set[int]:
    """Numbers of the lines that are docstrings; not by `ast.unparse`, which differs between versions of Python."""
    nodes = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Module | ast.ClassDef | ast.FunctionDef)]
    found = [node.body[0] for node in nodes if ast.get_docstring(node, clean=False) is not None]
    return {number for one in found for number in range(one.lineno, (one.end_lineno or one.lineno) + 1)}


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
    code = files_hash(source, *closure(source))
    return f"{notebook} · source {code} · " + ", ".join([f"Python {platform.python_version()}", *versions])


def _imported(source: Path) -> set[Path]:
    """Modules of this package that one file imports anywhere, also inside its functions."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            # module first in `from forwardecg.ecg import x`, second in `from forwardecg import ecg`
            base = node.module if not node.level else ".".join(filter(None, ["forwardecg", node.module]))
            names |= {str(base)} | {f"{base}.{alias.name}" for alias in node.names}
    inside = {name.partition(".")[2] for name in names if name.startswith("forwardecg.")}
    files = {PACKAGE / f"{name.replace('.', '/')}.py" for name in inside}
    if any(name.partition(".")[0] == "forwardecg" for name in names):
        files.add(PACKAGE / "__init__.py")
    return {path for path in files if path.is_file()}
