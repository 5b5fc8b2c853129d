"""What an executed notebook keeps of its source, and of its run: a repeated run has the same bytes."""

import os
import re
import sys
from pathlib import Path

import jupytext
from nbformat import NotebookNode

# An id that a library draws at random (xarray and pandas do so in their html), in the text where it stands
RANDOM_ID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b|\b[0-9a-f]{32}\b")
ADDRESS = re.compile(r"\bat 0x[0-9a-f]{6,}")
# from the start of a word: looked for at every letter, a picture of 100 kB in one word would take minutes
CELL_FILE = re.compile(r"(?<![^\s\"'])[^\s\"']*ipykernel_\d+[/\\]\d+\.py")
TEXT_TYPES = ("text/", "image/svg+xml")


def read_source(source: Path) -> NotebookNode:
    """A notebook's source as its executed pair has it: the entry ``page`` of the header is the source's alone.

    So other words there, or another small scale of the tests, ask for no execution.
    """
    notebook = jupytext.read(source)
    notebook.metadata.pop("page", None)
    notebook.metadata.get("jupytext", {}).pop("notebook_metadata_filter", None)  # added by jupytext, to keep it
    return notebook


def normalize(notebook: NotebookNode, root: Path) -> NotebookNode:
    """Fixed cell ids, no timings, no addresses, no paths of this machine. Changes ``notebook`` and returns it."""
    kept = {key: notebook.metadata[key] for key in ("kernelspec", "jupytext") if key in notebook.metadata}
    notebook.metadata = NotebookNode(**kept, language_info={"name": "python", "pygments_lexer": "ipython3"})
    seen: dict[str, str] = {}
    for number, cell in enumerate(notebook.cells, start=1):
        cell.id = f"cell-{number:02d}"
        cell.metadata = NotebookNode({"tags": cell.metadata.tags} if cell.metadata.get("tags") else {})
        for output in cell.get("outputs", []):
            output.get("metadata", {}).pop("execution", None)
            if "text" in output:
                output.text = _stable(output.text, root, seen)
            for kind, text in output.get("data", {}).items():
                if kind.startswith(TEXT_TYPES):
                    output.data[kind] = _stable(text, root, seen)
    return notebook


def _stable(text: str, root: Path, seen: dict[str, str]) -> str:
    home = os.path.expanduser("~")  # "~" again for a user without one
    for path, name in ((str(root), "."), (sys.prefix, "<environment>"), (home, "~")):
        text = text.replace(path, name) if len(path) > 1 else text  # no "/", the home of some containers
    text = ADDRESS.sub("at 0x0", CELL_FILE.sub("<cell>", text))
    # numbered by first appearance: two mentions of one id stay one id, and the second pass changes nothing
    return RANDOM_ID.sub(lambda found: seen.setdefault(found[0], _numbered_id(len(seen))), text)


def _numbered_id(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"
