"""Every method and every measure on the shipped tissues: their order, and the columns of the published tables."""

import numpy as np
import pandas as pd
import pytest
import torch

from compendium.registry import ROOT
from experiments import common, formulas, score
from experiments.common import STRUCTURED, Maps, Run, networks
from forwardecg.data.maps import load_small
from forwardecg.data.recipe import Recipe
from forwardecg.surrogates.paper.model import Seq2SeqConfig
from forwardecg.surrogates.structured.data import View
from forwardecg.surrogates.structured.model import StructuredConfig

NETWORKS = {
    "paper": Run(net=Seq2SeqConfig(channels=(4,), width=8, heads=2), maps=Maps(pixels=10)),
    "structured": Run(net=StructuredConfig(width=1), loss=STRUCTURED.loss, seeds=(0, 1)),
}


def no_training(model, task, config):
    """Weights that depend on the seed: the structured network starts with those of its prior."""
    with torch.no_grad():
        for weights in model.parameters():
            weights.add_(0.01 * (1 + config.seed))
    model.eval()


@pytest.fixture(scope="module", autouse=True)
def small():
    """The shipped tissues in place of the base set, two to train on, one to choose and one to test; nothing is trained."""
    ds, groups = load_small(), {"train": (0, 1), "val": (2,), "test": (3,)}
    replaced = {
        "open_set": lambda name="base": ds,
        "parts": lambda tissues: {part: (("base", sims),) for part, sims in groups.items()},
        "recipe": lambda name="base": Recipe(n_sim=ds.sizes["sim"]),
        "load_or_fit": no_training,
        "VIEWS": [View()],
    }
    caches = common.sequences, common._prepare, common._network, formulas.formulas
    for cache in caches:
        cache.cache_clear()
    with pytest.MonkeyPatch.context() as patch:
        for module in (common, formulas, score):
            for name, value in replaced.items():
                if hasattr(module, name):
                    patch.setattr(module, name, value)
        yield
    for cache in caches:
        cache.cache_clear()


def r2(method: str, maps: Maps) -> float:
    ((_, table),) = score.tables(Run(net=method, maps=maps, measures="few").label(seed=0))
    return table.r2.item()


def test_what_is_known_of_the_tissue_makes_the_methods_better():
    maps = Maps(pixels=50, frame_interval=5.0)
    mean, blind, pooled, upscaled = (
        r2(name, maps) for name in ("mean ECG", "blind lead field", "true D, pooled maps", "true D, upscaled maps")
    )
    assert mean < blind < upscaled and pooled < upscaled and upscaled > 0.99
    assert r2("training-free D", maps) > 0.9 > r2("ridge", maps) > mean
    known = Maps(pixels=25, known_D=True)
    assert 0.9 < r2("truth, every 10 ms", known) < 1 and 0.5 < r2("lead field on the same input", known) < 1


def test_a_method_that_is_none_is_refused():
    with pytest.raises(ValueError, match="method: expected one without a network, got 'none'"):
        r2("none", Maps())


@pytest.mark.parametrize(
    ("name", "measures", "network"),
    [
        ("seq2seq_cv", "all", "paper"),
        ("baselines_cv", "single", "paper"),
        ("structured_cv", "leads", "structured"),
        ("shifted", "few", "structured"),
        ("spectral_terms", "spectral", "paper"),
        ("readable", "readable", "structured"),
    ],
)
def test_measures_have_the_columns_of_the_published_tables(name, measures, network):
    published = pd.read_csv(ROOT / "data" / "results" / "runs" / f"{name}.csv", nrows=1).columns.tolist()
    ((own, table),) = score.tables(common.replace(NETWORKS[network], measures=measures))
    assert own == "base" and table.sim.tolist() == [3] and np.isfinite(table.r2).all()
    assert published[: table.shape[1]] == table.columns.tolist()


def test_several_seeds_are_several_networks_and_their_mean_is_scored():
    run = NETWORKS["structured"]
    ((*_, together),) = score.ecgs(run)
    alone = [next(score.ecgs(common.replace(run, seeds=(seed,))))[-1] for seed in run.seeds]
    assert len(networks(run)) == 2 and not np.allclose(*alone, rtol=1e-6, atol=0)
    assert np.allclose(together, np.mean(alone, 0), rtol=1e-6, atol=0)
