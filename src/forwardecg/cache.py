"""Names of cached work: a stage, its version, and a hash of what it was made from, which the code is not part of.

An edit that changes a result raises the VERSION of its stage, as ``tests/versions`` demands. Frozen records, which such
names are made from, keep plain numbers.
"""

import ast
import hashlib
import json
import platform
from collections.abc import Iterable
from dataclasses import asdict, is_dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).resolve().parent


def key(stage: str, version: int, *parts: Any) -> str:
    """``stage-v<version>-<first 16 digits of the sha256 of the json of the parts>``; TypeError where json fails.

    Examples:
        >>> key("tissues", 1, {"n_sim": 300}, (0.5, 0.1))
        'tissues-v1-803a351d2bbb2ff3'
    """
    text = json.dumps(parts, sort_keys=True, default=_plain)
    return f"{stage}-v{version}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _plain(part: Any) -> Any:  # of bytes their own hash stands, of a dataclass its fields
    if isinstance(part, bytes):
        return hashlib.sha256(part).hexdigest()
    if is_dataclass(part) and not isinstance(part, type):
        return asdict(part)
    raise TypeError(f"key: expected what json knows, dataclasses or bytes, got {type(part).__name__}")


def versions_of(*libraries: str) -> str:
    """Versions of Python, of these libraries and of the processor's kind, for the attributes of what is made."""
    found = [f"{library} {version(library).partition('+')[0]}" for library in libraries]
    return ", ".join([f"Python {platform.python_version()}", *found, platform.machine()])


def code_hash(paths: Iterable[Path | str]) -> str:
    """Hash of files, or names below this package such as tissue/cell, without docstrings, blank and comment lines."""
    digest = hashlib.sha256()
    for path in sorted(PACKAGE / f"{path}.py" if isinstance(path, str) else path for path in paths):
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


def settle(record: Any, **checked: Any) -> None:
    """Put checked values in the place of numpy's in a frozen record; numbers of Python stay: names of cached work hold them."""
    for name, value in checked.items():
        if type(getattr(record, name)) not in (int, float, bool):
            object.__setattr__(record, name, value)
