"""Which notebook needs what and makes what: the one list that the pipeline, the tests and `make reproduce` read."""

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TRAINED = (  # each with a table of its trainings
    *("frame_cnn_cv", "seq2seq_cv", "seq2seq_search", "structured_cv", "structured_left_out", "structured_data"),
    *(
        "ablations",
        "ablations_lr",
        "ablations_tuned",
        "ablations_attention",
        "ablations_budget",
        "ablations_known_d",
        "spectral_terms",
    ),
    *("sensitivity", "data_efficiency", "shifted", "left_out"),
)
EXPERIMENTS = ("baselines_cv", "readable", "repeat", "cost", *TRAINED, *(f"{name}_trainings" for name in TRAINED))
RUNS = tuple(
    f"results/runs/{name}.csv" for name in EXPERIMENTS
)  # by `make experiments`: every fold and seed, hours of training
DEMO = (
    "results/demo.csv",
    "results/demo_table.csv",
    "results/demo_agreement.csv",
)  # by tools/demo.py, for the page demo
INPUTS = (
    *("results/bench_speed.csv", "results/bench_nversion.csv"),  # by `make bench`, on a quiet machine
    "results/bench_reproduce.csv",  # by `make reproduce`
    *DEMO,
    *RUNS,
)


def runs(*names: str) -> tuple[str, ...]:
    """The tables of experiments that a notebook reads."""
    return tuple(f"results/runs/{name}.csv" for name in names)


DATASET = ("results/06_dataset.csv", "results/06_dataset.json")


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
    Notebook(
        "06_dataset",
        makes=("results/06_dataset.csv", "results/06_dataset.json", "results/06_dataset_sets.csv"),
    ),
    Notebook(
        "07_baselines",
        needs=(*DATASET, "results/runs/baselines_cv.csv", "results/runs/frame_cnn_cv.csv"),
        makes=("results/07_baselines.csv",),
    ),
    Notebook(
        "08_training",
        needs=(
            *DATASET,
            *(f"results/runs/{name}.csv" for name in ("seq2seq_cv", "seq2seq_search", "seq2seq_search_trainings")),
        ),
        makes=(
            "results/08_training.csv",
            "results/08_training_history.csv",
            "results/08_training_ecg.nc",
            "models/seq2seq.safetensors",
            "models/seq2seq.json",
        ),
    ),
    Notebook(
        "09_structured",
        needs=(
            *DATASET,
            *(f"results/runs/structured_{name}.csv" for name in ("cv", "cv_trainings", "left_out", "data")),
        ),
        makes=("results/09_structured_history.csv", "models/structured.safetensors", "models/structured.json"),
    ),
    Notebook(
        "10_generality",
        needs=(*DATASET, "models/structured.safetensors", "models/structured.json"),
        makes=("results/10_generality.csv", "results/10_generality_table.csv", "results/10_generality_maps.csv"),
    ),
    Notebook(
        "11_uncertainty",
        needs=(*DATASET, "models/structured.safetensors", "models/structured.json"),
        makes=("results/11_uncertainty.csv", "results/11_uncertainty_table.csv", "models/structured_bands.json"),
    ),
    Notebook(
        "12_ablations",
        needs=runs(
            "ablations",
            "ablations_lr",
            "ablations_tuned",
            "ablations_attention",
            "ablations_budget",
            "ablations_known_d",
        ),
        makes=("results/12_ablations.csv", "results/12_ablations.png"),
    ),
    Notebook("13_spectral_loss", needs=runs("spectral_terms"), makes=("results/13_spectral_loss.csv",)),
    Notebook(
        "14_data_efficiency",
        needs=runs("data_efficiency"),
        makes=("results/14_data_efficiency.csv", "results/14_data_efficiency.png"),
    ),
    Notebook(
        "15_shifted",
        needs=(
            *runs("shifted", "left_out", "structured_left_out", "seq2seq_cv", "structured_cv", "baselines_cv"),
            *(f"models/structured{end}" for end in (".safetensors", ".json", "_bands.json")),
        ),
        makes=("results/15_shifted.csv",),
    ),
    Notebook(
        "16_results",
        needs=(
            *(*DATASET, *runs("baselines_cv", "frame_cnn_cv", "seq2seq_cv", "structured_cv", "readable", "repeat")),
            *runs(*(f"{name}_trainings" for name in TRAINED)),
        ),
        makes=("results/16_results.csv", "results/16_results_table.csv", "results/16_results.png"),
    ),
    Notebook(
        "20_undeclared_choices",
        needs=runs("seq2seq_cv", "sensitivity", "readable"),
        makes=("results/20_undeclared_choices.csv", "results/20_undeclared_choices.png"),
    ),
    Notebook(
        "17_figures",
        needs=tuple(
            f"results/{name}"
            for name in (
                *("06_dataset.csv", "08_training_ecg.nc", "08_training_history.csv", "12_ablations.csv"),
                *("14_data_efficiency.csv", "16_results.csv", "20_undeclared_choices.csv"),
            )
        ),
        makes=tuple(f"results/17_figures_{k}.{kind}" for k in range(1, 8) for kind in ("svg", "png")),
    ),
    Notebook(
        "18_cost",
        needs=(
            "results/bench_speed.csv",
            "results/bench_nversion.csv",
            "results/runs/cost.csv",
        ),
    ),
    Notebook(
        "19_your_own_maps",
        needs=("models/structured.safetensors", "models/structured.json", "models/structured_bands.json"),
    ),
]
BY_NAME = {notebook.name: notebook for notebook in NOTEBOOKS}
