"""Merge the headline numbers of all notebooks; write them into the README's table."""

import hashlib
import json
from pathlib import Path

from compendium.record import write_json
from compendium.registry import NOTEBOOKS

BEGIN, END = "<!-- headline:begin -->", "<!-- headline:end -->"


def merged(data: Path) -> dict[str, dict]:
    """The headline numbers below ``data``: key -> value, unit, tolerance, scale, notebook."""
    entries: dict[str, dict] = {}
    for notebook in NOTEBOOKS:
        own = json.loads((data / notebook.headline).read_text(encoding="utf-8"))
        if twice := entries.keys() & own.keys():
            raise ValueError(f"{notebook.headline}: {sorted(twice)} came from an earlier notebook already")
        entries |= {key: {**entry, "notebook": notebook.name} for key, entry in own.items()}
    return entries


def _cell(text: str) -> str:
    return text.replace("|", r"\|")  # a bar would end the cell


def table(entries: dict[str, dict]) -> str:
    """The numbers as a markdown table."""
    rows = ["| headline number | value | unit | measured on | notebook |", "|---|---:|---|---|---|"]
    rows += [
        f"| `{key}` | {entry['value']:.4g} | {entry['unit']} | {_cell(entry['scale'])} | {entry['notebook']} |"
        for key, entry in entries.items()
    ]
    return "\n".join(rows)


def readme_table(readme: Path) -> str:
    """What stands between the two markers of the README."""
    return readme.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0].strip()


def table_hash(readme: Path) -> str:
    return hashlib.sha256(readme_table(readme).encode()).hexdigest()


def publish(data: Path, readme: Path) -> None:
    """Write ``headline.json`` and the table in the README."""
    entries = merged(data)
    write_json(data / "results" / "headline.json", entries)
    text = readme.read_text(encoding="utf-8")
    if BEGIN not in text or END not in text:
        raise ValueError(f"{readme.name} lacks the markers {BEGIN} and {END}")
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    readme.write_text(f"{before}{BEGIN}\n{table(entries)}\n{END}{after}", encoding="utf-8", newline="\n")
