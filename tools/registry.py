"""Which notebook needs what and makes what: the one list that the pipeline, the tests and `make reproduce` read."""

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
INPUTS = ("results/bench_speed.csv", "results/bench_nversion.csv")  # made by `make bench`, on a quiet machine


@dataclass(frozen=True)
class Notebook:
    """One notebook; paths are relative to ``data/``. The order of the list is the order of execution."""

    name: str
    needs: tuple[str, ...] = ()  # results of earlier notebooks
    makes: tuple[str, ...] = ()  # beside its headline numbers

    @property
    def headline(self) -> str:
        return f"results/{self.name}.headline.json"

    @property
    def results(self) -> tuple[str, ...]:
        return (*self.makes, self.headline)

    @property
    def source(self) -> Path:
        return ROOT / "notebooks" / f"{self.name}.py"

    @property
    def published(self) -> Path:
        return ROOT / "notebooks" / f"{self.name}.ipynb"


NOTEBOOKS = [
    Notebook("01_action_potential", makes=("results/01_action_potential.csv",)),
    Notebook("02_tissue_wave", makes=("results/02_tissue_wave.csv",)),
    Notebook("03_ecg", makes=("results/03_ecg.csv",)),
    Notebook("05_reentry", makes=("results/05_reentry.csv",)),
    Notebook(
        "04_verification",
        needs=("results/05_reentry.headline.json", "results/bench_nversion.csv"),
        makes=("results/04_verification.csv", "results/04_verification_grids.csv"),
    ),
    Notebook("18_cost", needs=INPUTS),
    Notebook(
        "06_dataset",
        makes=("results/06_dataset.csv", "results/06_dataset.json", "results/06_dataset_sets.csv"),
    ),
    Notebook(
        "08_training",
        needs=("results/06_dataset.csv", "results/06_dataset.json"),
        makes=(
            "results/08_training.csv",
            "results/08_training_history.csv",
            "results/08_training_ecg.nc",
            "models/seq2seq.safetensors",
            "models/seq2seq.json",
        ),
    ),
    Notebook(
        "16_results",
        needs=(
            "results/06_dataset.csv",
            "results/06_dataset.json",
            "results/08_training_ecg.nc",
        ),
        makes=("results/16_results.csv", "results/16_results_table.csv", "results/16_results.png"),
    ),
]
BY_NAME = {notebook.name: notebook for notebook in NOTEBOOKS}
