"""Which notebook needs what and makes what, read from the headers, and the tables that no notebook makes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import filter as matching
from pathlib import Path
from typing import Any

from compendium.header import read_page

ROOT = Path(__file__).resolve().parents[2]
TRAINED = (  # by `make experiments`: every fold and seed, hours of training; each with a table of its trainings
    "frame_cnn_cv", "seq2seq_cv", "seq2seq_search", "structured_cv", "structured_left_out", "structured_data",
    "ablations", "ablations_lr", "ablations_tuned", "ablations_attention", "ablations_budget", "ablations_known_d",
    "spectral_terms", "sensitivity", "data_efficiency", "shifted", "left_out", "splits", "law", "sizes",
    "ablations_time_aware", "ablations_encoder", "supervision", "label_weights", "structured_parts",
)  # fmt: skip
EXPERIMENTS = (
    "baselines_cv",
    "readable",
    "repeat",
    "cost",
    "growth",
    "dataset_cost",
    "gold",
    "mesh_cost",
    "large",
    "large_cost",
    "activation_constants",
    "eikonal",
    "eikonal_grid",
    "inverse",
    "inverse_regions",
    "inverse_remodeled",
    "inverse_porosity",
    "inverse_gradients",
    "cycle",
    "cycle_physics",
    "cycle_trainings",
    "reduced",
    "reduced_modes",
    "reduced_cost",
    "delineation",
    "delineation_errors",
    "delineation_traces",
    "delineation_marks",
    "delineation_patient",
    "delineation_composed",
    "delineation_levels",
    "delineation_trainings",
    "diagnosis",
    "diagnosis_r2",
    "diagnosis_deletion",
    "diagnosis_examples",
    "diagnosis_trainings",
    "gaps",
    "gaps_prior",
    "gaps_periods",
    "gaps_examples",
    "gaps_trainings",
    "population",
    "population_traces",
    "population_cost",
    "population_calls",
    "population_trainings",
    "anomaly",
    "anomaly_maps",
    "anomaly_trainings",
    "wide",
    "wide_gold",
    "wide_trainings",
    "steps",
    "misuse",
    "blind",
    "edges",
    *TRAINED,
    *(f"{name}_trainings" for name in TRAINED),
)
RUNS = tuple(f"results/runs/{name}.csv" for name in EXPERIMENTS)
INPUTS = (
    *(f"results/bench_{name}.csv" for name in ("speed", "nversion", "dataset", "predict")),  # by `make bench`
    "results/bench_reproduce.csv",  # by `make reproduce`
    *(f"results/demo{name}.csv" for name in ("", "_table", "_agreement")),  # by `tools/demo.py`
    *RUNS,
    *(f"results/runs/{name}.nc" for name in ("cycle_maps", "reduced_frames")),
    "models/structured.safetensors",  # by experiments.wide
)


@dataclass(frozen=True)
class Notebook:
    """One notebook; names of files are relative to ``data/``."""

    name: str
    needs: tuple[str, ...] = ()  # results of other notebooks, or INPUTS
    makes: Mapping[str, str] = field(default_factory=dict)  # file -> what it holds; headline numbers apart
    draws: tuple[str, ...] = ()  # pictures
    smoke: Mapping[str, Any] = field(default_factory=dict)  # parameters of the small scale of the tests

    @property
    def headline(self) -> str:
        return f"results/{self.name}.headline.json"

    @property
    def results(self) -> tuple[str, ...]:
        return (*self.makes, *self.draws, self.headline)

    @property
    def source(self) -> Path:
        return ROOT / "notebooks" / f"{self.name}.py"

    @property
    def ipynb(self) -> Path:
        return ROOT / "notebooks" / f"{self.name}.ipynb"


def read_notebook(source: Path) -> Notebook:
    """What the header of a source says; a need such as ``results/runs/*_trainings.csv`` stands for all INPUTS like it."""
    page = read_page(source)
    needs = [name for need in page.get("needs", ()) for name in (matching(INPUTS, need) if "*" in need else [need])]
    return Notebook(
        source.stem, tuple(needs), page.get("makes", {}), tuple(page.get("draws", ())), page.get("smoke", {})
    )


def in_order(notebooks: Iterable[Notebook]) -> list[Notebook]:
    """By name, but each after those whose results it needs: the order of execution.

    Raises:
        ValueError: Notebooks that need each other.
    """
    by_name = sorted(notebooks, key=lambda one: one.name)
    makers = {result: one for one in by_name for result in one.results}
    found: dict[str, Notebook] = {}

    def put(one: Notebook, waiting: tuple[str, ...]) -> None:
        if one.name in waiting:
            raise ValueError(f"needs: expected an order, got {' > '.join([*waiting, one.name])}")
        if one.name not in found:
            for need in sorted(one.needs):
                if need in makers:
                    put(makers[need], (*waiting, one.name))
            found[one.name] = one

    for one in by_name:
        put(one, ())
    return [*found.values()]


NOTEBOOKS = in_order(read_notebook(source) for source in (ROOT / "notebooks").glob("*.py"))
BY_NAME = {notebook.name: notebook for notebook in NOTEBOOKS}
