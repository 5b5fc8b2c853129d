"""What a page says of itself: the entry ``page`` in the header of a notebook's source, or of a Markdown page."""

import hashlib
import re
from pathlib import Path
from typing import Any

import yaml

_OF_EVERY_PAGE = {"question", "answer", "next"}
_OF_NOTEBOOKS = _OF_EVERY_PAGE | {"needs", "makes", "draws", "smoke"}
_HEADER = re.compile(r"(?P<mark>(?:# )?)---\n(?P<lines>.*?)^(?P=mark)---\n", re.DOTALL | re.MULTILINE)
_ENTRY = re.compile(r"^#   page:\n(?:#(?: {4,}.*)?\n)*", re.MULTILINE)  # of a notebook
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, where libyaml is there


def read_page(path: Path) -> dict[str, Any]:
    """The entry ``page`` of a notebook (.py) or a Markdown page (.md); empty where the header has none.

    Raises:
        ValueError: A key that no page has.
    """
    found = _HEADER.match(path.read_text(encoding="utf-8"))
    if found is None:
        return {}
    lines = re.sub("^# ?", "", found["lines"], flags=re.MULTILINE) if found["mark"] else found["lines"]
    header = yaml.load(lines, _LOADER)
    entry: dict[str, Any] = header.get("jupyter", header).get("page", {})
    if unknown := entry.keys() - (_OF_NOTEBOOKS if path.suffix == ".py" else _OF_EVERY_PAGE):
        raise ValueError(
            f"{path.name}: page: expected no other keys than {sorted(_OF_NOTEBOOKS)}, got {sorted(unknown)}"
        )
    return entry


def hash_without_page(source: Path) -> str:
    """Hash of a notebook's source without what its header says of the page: none of that changes what it computes."""
    text = _ENTRY.sub("", source.read_text(encoding="utf-8"), count=1)
    return hashlib.sha256(text.encode()).hexdigest()
