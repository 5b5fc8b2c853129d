"""The weights that ship are those that validation tissues choose."""

import pandas as pd
import pytest

from experiments import scaling
from experiments.publish import chosen
from experiments.run import RUNS
from forwardecg.paths import MODELS
from forwardecg.surrogates.weights import read_card


def test_the_published_network_is_the_best_on_validation_tissues_of_all_with_most_tissues():
    run, score = chosen()
    trainings = pd.concat([pd.read_csv(RUNS / f"{name}_trainings.csv") for name in ("law", "sizes")])
    best = trainings[trainings.tissues == scaling.MOST].val_r2.max()
    card = read_card(MODELS / "paper.safetensors")
    assert card["val_r2"] == pytest.approx(best, abs=6e-5) and card["seeds"] == [*run.seeds]
    assert card["config"]["layers"] == run.net.layers and card["train"]["epochs"] == run.config.epochs
    assert card["test_r2_mean"] == pytest.approx(score, abs=6e-5)
    assert (MODELS / "paper.safetensors").stat().st_size < 8e6
