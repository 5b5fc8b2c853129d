"""The check before a commit that no library offers: ``python tools/hooks.py FILE...`` of notebooks, by either of their names.

``.pre-commit-config.yaml`` runs it beside those of pre-commit-hooks, check-jsonschema and validate-pyproject.
"""

import sys
from pathlib import Path

import nbformat
from jupytext.compare import NotebookDifference, compare_notebooks

from compendium.normalize import read_source


def pair(path: Path) -> str | None:
    """Why a notebook, named by either of its files, is not its source, executed; None if it is."""
    source, executed = path.with_suffix(".py"), path.with_suffix(".ipynb")
    for one in (source, executed):
        if not one.is_file():
            return f"has no {one.name} beside it"
    try:
        compare_notebooks(nbformat.read(executed, as_version=4), read_source(source), fmt="py:percent")
    except NotebookDifference as error:
        return f"is not its pair, executed (make book): {str(error).splitlines()[0]}"
    return None


def main(names: list[str]) -> int:
    found = [f"{name} {problem}" for name in names if (problem := pair(Path(name)))]
    print(*found, sep="\n", end="\n" if found else "")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
