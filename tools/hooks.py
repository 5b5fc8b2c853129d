"""Checks before a commit, of the files that are named: ``python tools/hooks.py text|pairs|size FILE...``.

``.pre-commit-config.yaml`` runs them. They use this project's own environment and fetch nothing.
"""

import json
import re
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import yaml

MEBI = 2**20
LIMITS = {"data/results/runs/": 3.0, "data/": 2.0, "book/assets/mathjax/": 2.1}  # MiB; all else: 1
PARSERS: dict[str, Callable[[str], object]] = {
    ".yml": yaml.safe_load,
    ".yaml": yaml.safe_load,
    ".cff": yaml.safe_load,
    ".toml": tomllib.loads,
}
PARSERS |= {".json": json.loads, ".ipynb": json.loads}


def text(path: Path) -> Iterator[str]:
    """What is wrong with a text file: its ends of lines, its end, marks of a merge, or that it does not parse."""
    content = path.read_bytes().decode("utf-8")
    if content and (not content.endswith("\n") or content.endswith("\n\n")):
        yield "does not end in one newline"
    if "\r" in content:
        yield "has ends of lines of Windows"
    for number, line in enumerate(content.split("\n"), 1):
        if line != line.rstrip() and path.suffix not in {".ipynb", ".svg"}:  # as their programs write them
            yield f"line {number} ends in a space"
        if re.match(r"(<<<<<<<|>>>>>>>) ", line):
            yield f"line {number} is left of a merge"
    if parse := PARSERS.get(path.suffix):
        try:
            parse(content)
        except (yaml.YAMLError, ValueError) as error:  # those of toml and json are ValueErrors
            yield f"does not parse: {' '.join(str(error).split())}"


def pairs(path: Path) -> Iterator[str]:
    """Whether a notebook, named by either of its files, is its source, executed."""
    import jupytext  # slow to import, and of this check alone
    import nbformat
    from jupytext.compare import NotebookDifference, compare_notebooks

    source, executed = path.with_suffix(".py"), path.with_suffix(".ipynb")
    for one in (source, executed):
        if not one.is_file():
            yield f"has no {one.name} beside it"
            return
    try:
        compare_notebooks(nbformat.read(executed, as_version=4), jupytext.read(source), fmt="py:percent")
    except NotebookDifference as error:
        yield f"is not its pair, executed (make book): {str(error).splitlines()[0]}"


def size(path: Path) -> Iterator[str]:
    """Whether a file is too large to be kept for ever."""
    limit = next((limit for start, limit in LIMITS.items() if path.as_posix().startswith(start)), 1.0)
    if path.stat().st_size > limit * MEBI:
        yield f"has {path.stat().st_size / MEBI:.1f} MiB, at most {limit:g} are allowed here"


CHECKS = {"text": text, "pairs": pairs, "size": size}


def main(check: str, names: list[str]) -> int:
    found = [f"{name} {problem}" for name in names for problem in CHECKS[check](Path(name))]
    print(*found, sep="\n", end="\n" if found else "")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
