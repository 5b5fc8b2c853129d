"""The driver of the trainings: what it writes, and what it refuses."""

import subprocess
import sys

import pandas as pd
import pytest

from compendium.registry import ROOT
from experiments import run as experiments
from experiments.common import PAPER, Network


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """An experiment of two folds that trains nothing."""

    def networks(run):
        return [Network(None, 1.0, pd.DataFrame({"epoch": [0, 1], "val_r2": [0.5, 0.7], "seconds": [30.0, 30.0]}))]

    def tables(run):
        fold = run.labels["fold"]
        yield "base", pd.DataFrame({"r2": [0.9, 0.8], "sim": [2 * fold, 2 * fold + 1]}).assign(**run.labels)

    table = pd.DataFrame(
        {"condition": list("hgfc"), "texture": "none", "fibrosis_density": 0.0, "mild": [True, True, False, False]}
    )
    runs = [PAPER.label(fold=fold, seed=0, maps=maps) for fold in (0, 1) for maps in ("a", "b")]
    monkeypatch.setattr(experiments, "RUNS", tmp_path / "runs")
    monkeypatch.setattr(experiments, "kinds", lambda name: table)
    monkeypatch.setattr(experiments, "networks", networks)
    monkeypatch.setattr(experiments, "tables", tables)
    monkeypatch.setitem(experiments.EXPERIMENTS, "fake", lambda: runs)
    return tmp_path / "runs"


def test_one_row_a_tissue_and_one_a_training(fake):
    experiments.run("fake")
    scores, trainings = (pd.read_csv(fake / f"fake{end}.csv") for end in ("", "_trainings"))
    assert len(scores) == 8 and scores.mild.tolist() == [True, True, True, True, False, False, False, False]
    assert trainings[["fold", "epochs", "val_r2", "minutes"]].to_numpy().tolist() == [[0, 2, 0.7, 1], [1, 2, 0.7, 1]]
    assert sorted(path.name for path in fake.iterdir()) == ["fake.csv", "fake_trainings.csv"]


def test_an_interrupted_experiment_leaves_no_table(fake, monkeypatch):
    tables = experiments.tables

    def stops(run):
        if run.labels["fold"] == 1:
            raise KeyboardInterrupt
        yield from tables(run)

    monkeypatch.setattr(experiments, "tables", stops)
    with pytest.raises(KeyboardInterrupt):
        experiments.run("fake")
    assert not fake.exists()


def test_an_unknown_name_is_refused():
    command = [sys.executable, "-m", "experiments.run", "no_such"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1 and "names: expected some of" in done.stderr and "got no_such" in done.stderr


def test_a_number_of_jobs_below_one_is_refused():
    command = [sys.executable, "-m", "experiments.run", "seq2seq_cv", "--jobs", "0"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1 and "--jobs: expected at least 1, got 0" in done.stderr
