"""Merge the headline numbers of all notebooks; write the five findings into the README."""

import hashlib
import json
from pathlib import Path

from compendium.record import write_json
from compendium.registry import NOTEBOOKS

BEGIN, END = "<!-- findings:begin -->", "<!-- findings:end -->"
FINDINGS = {  # headline number: what reached it
    "blind_leadfield_r2_mean": "a lead field that assumes one conductivity for all tissue",
    "seq2seq_r2_mean": "the paper's architecture, as we read it (the paper: 0.99)",
    "choice_no_fibrosis": "the same, on the 120 of them without fibrosis",
    "training_free_r2_mean": "a formula that reads the conductivity off the speed of the wave, one constant fitted",
    "structured_r2_mean": "the structured surrogate",
}


def merge(data: Path) -> dict[str, dict]:
    """The headline numbers below ``data``: key -> value, unit, tolerance, scale, notebook."""
    entries: dict[str, dict] = {}
    for notebook in NOTEBOOKS:
        own = json.loads((data / notebook.headline).read_text(encoding="utf-8"))
        if twice := entries.keys() & own.keys():
            raise ValueError(f"{notebook.headline}: {sorted(twice)} came from an earlier notebook already")
        entries |= {key: {**entry, "notebook": notebook.name} for key, entry in own.items()}
    return entries


def table(entries: dict[str, dict]) -> str:
    """The findings as a markdown table."""
    rows = ["| mean R² of raw ECGs over 300 tissues, none of them seen in training | |", "|---|---:|"]
    return "\n".join([*rows, *(f"| {what} | {entries[key]['value']:.3f} |" for key, what in FINDINGS.items())])


def readme_table(readme: Path) -> str:
    """What stands between the two markers of the README."""
    return readme.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0].strip()


def table_hash(readme: Path) -> str:
    return hashlib.sha256(readme_table(readme).encode()).hexdigest()


def publish(data: Path, readme: Path) -> None:
    """Write ``headline.json`` and the table of findings in the README."""
    entries = merge(data)
    write_json(data / "results" / "headline.json", entries)
    text = readme.read_text(encoding="utf-8")
    if BEGIN not in text or END not in text:
        raise ValueError(f"{readme.name} lacks the markers {BEGIN} and {END}")
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    readme.write_text(f"{before}{BEGIN}\n{table(entries)}\n{END}{after}", encoding="utf-8", newline="\n")
