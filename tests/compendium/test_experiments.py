"""The driver of the trainings: what it writes, and that the notebooks' inputs are what it makes."""

import subprocess
import sys

import pandas as pd
import pytest

from compendium.registry import ROOT, RUNS
from experiments.run import run as experiments


def test_every_input_of_the_notebooks_is_made_by_an_experiment():
    made = {f"results/runs/{name}{end}.csv" for name in experiments.EXPERIMENTS for end in ("", "_trainings")}
    assert {*RUNS} <= made | {"results/runs/cost.csv", "results/runs/repeat.csv"}
    assert {f"results/runs/{path.name}" for path in (ROOT / "data" / "results" / "runs").glob("*.csv")} <= made | {
        *RUNS
    }


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """An experiment of two folds that trains nothing."""

    def rows():
        history = pd.DataFrame({"epoch": [0, 1], "val_r2": [0.5, 0.7], "seconds": [30.0, 30.0]})
        for fold in (0, 1):
            for maps in ("a", "b"):
                yield (
                    pd.DataFrame({"r2": [0.9, 0.8], "sim": [2 * fold, 2 * fold + 1]}),
                    {"fold": fold, "maps": maps},
                    history,
                )

    table = pd.DataFrame(
        {"condition": list("hgfc"), "texture": "none", "fibrosis_density": 0.0, "mild": [True, True, False, False]}
    )
    monkeypatch.setattr(experiments, "RUNS", tmp_path / "runs")
    monkeypatch.setattr(experiments, "kinds", lambda name: table)
    monkeypatch.setitem(experiments.EXPERIMENTS, "fake", rows)
    return tmp_path / "runs"


def test_one_row_a_tissue_and_one_a_training(fake):
    experiments.run("fake")
    scores, trainings = (pd.read_csv(fake / f"fake{end}.csv") for end in ("", "_trainings"))
    assert len(scores) == 8 and scores.mild.tolist() == [True, True, True, True, False, False, False, False]
    assert trainings[["fold", "epochs", "val_r2", "minutes"]].to_numpy().tolist() == [[0, 2, 0.7, 1], [1, 2, 0.7, 1]]
    assert sorted(path.name for path in fake.iterdir()) == ["fake.csv", "fake_trainings.csv"]


def test_an_interrupted_experiment_leaves_no_table(fake, monkeypatch):
    def stops():
        yield next(iter(experiments.EXPERIMENTS["fake"]()))
        raise KeyboardInterrupt

    monkeypatch.setitem(experiments.EXPERIMENTS, "stops", stops)
    with pytest.raises(KeyboardInterrupt):
        experiments.run("stops")
    assert not fake.exists()


def test_an_unknown_name_is_refused():
    command = [sys.executable, str(ROOT / "tools" / "experiments.py"), "no_such"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1 and "names: expected some of" in done.stderr and "got no_such" in done.stderr


def test_a_number_of_jobs_below_one_is_refused():
    command = [sys.executable, str(ROOT / "tools" / "experiments.py"), "seq2seq_cv", "--jobs", "0"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1 and "--jobs: expected at least 1, got 0" in done.stderr
