"""What must not know of each other: test tissues and normalization, early stopping, augmentation, the search for settings."""

import numpy as np
import pandas as pd
import pytest
import torch

from compendium.registry import ROOT
from experiments import common, score, tissues
from forwardecg.data.recipe import Recipe, read_recipe
from forwardecg.data.sets import collection
from forwardecg.data.split import check_disjoint, folds_by_tissue, sheet_hash
from forwardecg.data.store import load_or_simulate
from forwardecg.surrogates.paper.data import Sequences, batch_of
from forwardecg.surrogates.paper.model import Seq2Seq, Seq2SeqConfig
from forwardecg.surrogates.paper.task import Seq2SeqTask
from forwardecg.surrogates.train import TrainConfig, fit, initialize
from forwardecg.tissue.symmetry import apply_symmetry

RUNS = ROOT / "data" / "results" / "runs"
NET = Seq2SeqConfig(pixels=10, channels=(4, 8), width=16, heads=2)
SHORT = TrainConfig(epochs=3, batch=2)


@pytest.fixture(scope="module")
def ds(tmp_path_factory):
    recipe = Recipe(n_sim=10, n_cells=40, dx=1.0, pool=2, t_end=60.0, z_mm=10.0, min_activated=0.0, bank=False)
    return load_or_simulate(recipe, folder=tmp_path_factory.mktemp("sets"))


@pytest.fixture
def parts(ds):
    return {
        name: Sequences(ds, sims, 10, 10.0) for name, sims in {"train": range(6), "val": (6, 7), "test": (8, 9)}.items()
    }


def train(train, val):
    task, model = Seq2SeqTask(train, val), initialize(lambda: Seq2Seq(NET), 0)
    return task, model, fit(model, task, SHORT)


def test_normalization_is_that_of_the_training_tissues(parts):
    """ECGs of validation tissues a thousand times larger: the scale and every step of the training stay the same."""
    scale, first = Seq2SeqTask(parts["train"], parts["val"]).scale, train(parts["train"], parts["val"])[2]
    parts["val"].ecg *= 1000
    task, _, second = train(parts["train"], parts["val"])
    assert task.scale == scale == float(parts["train"].ecg.std())
    assert first.loss.tolist() == second.loss.tolist() and first.val_r2.tolist() != second.val_r2.tolist()


def test_the_epoch_is_chosen_by_validation_tissues_only(parts):
    """The weights kept are those of the epoch with the best validation score; for other validation tissues, perhaps others."""
    task, model, history = train(parts["train"], parts["val"])
    assert task.score(model) == pytest.approx(history.val_r2.max(), abs=1e-6)
    other = Sequences.__new__(Sequences)
    other.__dict__ |= parts["test"].__dict__ | {"ecg": -parts["test"].ecg}  # where every epoch makes it worse
    again, model, history_again = train(parts["train"], other)
    assert history_again.loss.tolist() == history.loss.tolist(), "what is learned does not depend on them"
    assert again.score(model) == pytest.approx(history_again.val_r2.max(), abs=1e-6)


@pytest.mark.parametrize("known_D", [False, True])
def test_an_experiment_asks_for_test_tissues_only_to_score_them(ds, monkeypatch, known_D):
    asked, table = [], pd.DataFrame({"part": ["train"] * 6 + ["val"] * 2 + ["test"] * 2, "condition": "healthy"})

    def sequences(groups, maps):
        asked.append(groups)
        return Sequences(ds, groups[0][1], maps.pixels, maps.frame_interval, known_D=maps.known_D)

    for module in (common, score):
        monkeypatch.setattr(module, "sequences", sequences)
        monkeypatch.setattr(module, "open_set", lambda name="base": ds)
    monkeypatch.setattr(tissues, "kinds", lambda name="base": table)
    monkeypatch.setattr(common, "load_or_fit", lambda model, task, config: fit(model, task, SHORT))
    run = common.Run(net=NET, maps=common.Maps(pixels=10, known_D=known_D))
    common.networks(run)
    assert asked == [(("base", tuple(range(6))),), (("base", (6, 7)),)]
    ((name, sims, true, predicted),) = score.ecgs(run)
    assert asked[2:] == [(("base", (8, 9)),)] and (name, sims) == ("base", (8, 9))
    assert true.shape == predicted.shape == (2, ds.sizes["time"])


def test_augmented_copies_are_made_of_the_tissues_of_the_batch(parts):
    members = torch.tensor([1, 4])
    u, ecg = batch_of(parts["train"], members, torch.Generator().manual_seed(0), np.zeros((8, 1), int))
    for k, member in enumerate(members):
        images = torch.stack([apply_symmetry(parts["train"].u[member].float(), n) for n in range(8)])
        assert (images == u[k]).flatten(1).all(1).any() and torch.equal(ecg[k], parts["train"].ecg[member])


def test_a_mirror_image_of_a_training_tissue_among_the_test_tissues_is_found(ds):
    prints = {k: sheet_hash(ds.D[k].values, ds.conductive[k].values) for k in range(10)}
    check_disjoint({"train": [prints[k] for k in range(8)], "test": [prints[8], prints[9]]})
    turned = sheet_hash(np.rot90(ds.D[2].values)[:, ::-1], np.rot90(ds.conductive[2].values)[:, ::-1])
    with pytest.raises(ValueError, match="tissue 2 of 'train' again"):
        check_disjoint({"train": [prints[k] for k in range(8)], "test": [turned]})


# The published tables


def read(name: str) -> pd.DataFrame:
    return pd.read_csv(RUNS / f"{name}.csv", keep_default_na=False)


def split() -> dict[str, set]:
    table = pd.read_csv(ROOT / "data" / "results" / "07_dataset.csv", keep_default_na=False)
    return {part: set(rows.sim) for part, rows in table.groupby("part")}


def test_settings_were_chosen_on_validation_tissues_and_by_them_alone():
    for name in ("ablations_lr", "seq2seq_search"):
        assert set(read(name).sim) == split()["val"], name
    best = read("ablations_lr").groupby(["variant", "lr"]).r2.mean().unstack()
    chosen = read("ablations_tuned").groupby("variant").lr.unique()
    for variant, rates in chosen.items():
        assert [*rates] == [best.loc[variant].idxmax()], variant


@pytest.mark.parametrize(
    "name",
    [
        "ablations",
        "ablations_tuned",
        "ablations_known_d",
        "ablations_attention",
        "ablations_budget",
        "spectral_terms",
        "data_efficiency",
    ],
)
def test_ablations_are_scored_on_a_set_of_its_own(name):
    """300 tissues drawn with another seed than the base set, every one of them for each variant and seed."""
    rows = read(name)
    assert set(rows["set"]) == {"test"}
    labels = [
        label
        for label in ("variant", "decoder", "attention", "term", "weight", "budget", "method", "tissues", "lr", "seed")
        if label in rows
    ]
    assert set(rows.groupby(labels).sim.agg(lambda sims: (len(sims), sims.nunique()))) == {(300, 300)}
    base = read_recipe(ROOT / "data" / "results" / "07_dataset.json")
    assert collection(base)["test"].seed != base.seed


def test_every_tissue_of_the_folds_was_tested_once_and_not_by_a_network_that_had_seen_it():
    table = pd.read_csv(ROOT / "data" / "results" / "07_dataset.csv", keep_default_na=False)
    folds = folds_by_tissue(table.condition, tissues.FOLD_SEED)
    for name in ("seq2seq_cv", "structured_cv", "frame_cnn_cv", "baselines_cv", "readable"):
        rows = read(name)
        for k, rows_of_fold in rows.groupby("fold"):
            assert set(rows_of_fold.sim) == set(folds[k]["test"]), (name, k)
            assert not set(rows_of_fold.sim) & (set(folds[k]["train"]) | set(folds[k]["val"]))
    for condition, rows in read("left_out").groupby("left_out"):
        assert set(rows.condition) == {condition}


def test_tissues_for_few_are_training_tissues_in_proportion(monkeypatch):
    table = pd.read_csv(ROOT / "data" / "results" / "07_dataset.csv", index_col="sim", keep_default_na=False)
    monkeypatch.setattr(tissues, "kinds", lambda: table)
    some, others = tissues.few(40, 0), tissues.few(40, 1)
    assert set(some) <= split()["train"] and len(set(some)) == 40 and set(some) != set(others)
    assert table.condition[some].value_counts().to_dict() == {
        "fibrotic": 16,
        "healthy": 8,
        "gap_junction": 8,
        "combined": 8,
    }
    assert set(tissues.few(240, 3)) == split()["train"]
