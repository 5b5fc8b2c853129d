"""The named sets, tissues that may be in one part only, and splits by tissue."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from forwardecg.data.draw import draw_tissue
from forwardecg.data.recipe import Recipe
from forwardecg.data.sets import HELD_OUT, collection
from forwardecg.data.split import check_disjoint, folds_by_tissue, sheet_hash, split_by_tissue
from forwardecg.tissue.cell import FK_MLR1
from forwardecg.tissue.sheet import CONDITIONS, fibrotic, healthy
from forwardecg.tissue.symmetry import apply_symmetry

RECIPE = Recipe(n_sim=30, n_cells=40, dx=1.0, t_end=60, min_activated=0.05, z_mm=20)
CONDITION = [RECIPE.conditions[sim % 5] for sim in range(60)]


def test_the_named_sets_are_what_they_are_called():
    base = Recipe(n_sim=300, seed=7)
    sets = collection(base)
    assert list(sets) == ["calibration", "test", *HELD_OUT] and len(HELD_OUT) == 8
    seeds = [base.seed, *(recipe.seed for recipe in sets.values())]
    assert len(set(seeds)) == 11 and seeds[:3] == [7, 8001, 8002]
    assert not {*seeds[1:]} & {*range(1000)}, "whoever trains on small seeds never meets a set for testing"
    for name in ("calibration", "test"):
        assert replace(sets[name], seed=7) == base
    assert {name: recipe.n_sim for name, recipe in sets.items() if name in HELD_OUT} == {
        name: 16 if name == "reentry" else 20 for name in HELD_OUT
    }
    longer = {"reentry": 1200, "unseen_D_low": 1800, "dense_fibrosis": 1800}
    longer |= {"unseen_cell_mbr": 1300, "partial_fibrosis": 1300}
    assert {name: recipe.t_end for name, recipe in sets.items()} == {name: longer.get(name, 900) for name in sets}
    assert sets["unseen_D_low"].D0_high < base.D0_low and base.D0_high < sets["unseen_D_high"].D0_low
    assert len({base.cell, sets["unseen_cell"].cell, sets["unseen_cell_mbr"].cell}) == 3
    with pytest.raises(TypeError):
        HELD_OUT["two_foci"] = {}


def test_diffusivities_held_out_are_those_of_no_usual_tissue():
    """Not the healthy D0 alone: remodeling and the rim of fibrosis lower it, tissue by tissue."""

    def medians(recipe: Recipe, n: int) -> np.ndarray:
        tissues = [draw_tissue(recipe, sim).tissue for sim in range(n)]
        return np.array([np.median(tissue.D[tissue.conductive]) for tissue in tissues])

    sets, usual = collection(RECIPE), medians(RECIPE, 400)
    low, high = (medians(sets[name], 100) for name in ("unseen_D_low", "unseen_D_high"))
    assert low.max() < usual.min() and usual.max() < high.min()


@pytest.mark.parametrize(
    "change",
    [
        {"cell": FK_MLR1},
        {"D0_high": 0.25},
        {"protocol": "reentry"},
        {"fibrosis": "dense"},
        {"conditions": ("healthy",)},
    ],
)
def test_held_out_sets_of_a_base_that_has_them_already_are_refused(change):
    with pytest.raises(ValueError, match="base: expected .* held out"):
        collection(replace(RECIPE, **change))


def test_the_named_sets_of_a_small_recipe_are_small():
    for recipe in collection(replace(RECIPE, n_sim=3, t_end=95)).values():
        assert recipe.n_sim == 3 and recipe.t_end % recipe.frame_interval == 0 and 95 <= recipe.t_end <= 190


def test_no_tissue_is_in_two_of_the_named_sets():
    sets = {"base": RECIPE, **collection(RECIPE)}
    prints = {}
    for name, recipe in sets.items():
        tissues = [draw_tissue(recipe, sim).tissue for sim in range(10)]
        prints[name] = [sheet_hash(tissue.D, tissue.conductive) for tissue in tissues]
    check_disjoint(prints)
    assert len({one for part in prints.values() for one in part}) == 110
    copy = draw_tissue(RECIPE, 4).tissue
    prints["test"][6] = sheet_hash(copy.D[::-1].T, copy.conductive[::-1].T)
    with pytest.raises(ValueError, match="in one part only, got tissue 4 of 'base' again, as tissue 6 of 'test'"):
        check_disjoint(prints)


def test_a_hash_is_that_of_the_eight_copies_and_of_no_other_tissue():
    tissue = fibrotic(healthy((24, 24), 0.5, 0.12), "patchy", seed=5)
    D, conductive = torch.tensor(tissue.D), torch.tensor(tissue.conductive)
    own = sheet_hash(tissue.D, tissue.conductive)
    for n in range(8):
        assert sheet_hash(apply_symmetry(D, n).numpy(), apply_symmetry(conductive, n).numpy()) == own
    assert sheet_hash(tissue.D.astype(np.float32), tissue.conductive) == own, "as stored"
    assert sheet_hash(np.where(tissue.conductive, tissue.D, 0.7), tissue.conductive) == own, (
        "D of dead cells is nothing"
    )
    other = tissue.D.copy()
    y, x = np.argwhere(tissue.conductive)[0]
    other[y, x] *= 1.001
    assert sheet_hash(other, tissue.conductive) != own
    assert sheet_hash(tissue.D * 1.001, tissue.conductive) != own
    assert sheet_hash(np.roll(tissue.D, 1, 0), np.roll(tissue.conductive, 1, 0)) != own, "a shift is another tissue"
    with pytest.raises(ValueError, match="D, conductive: expected one shape"):
        sheet_hash(tissue.D, tissue.conductive[:5])


def test_a_tissue_twice_in_one_part_is_no_leak():
    check_disjoint({"train": ["a", "b", "a"], "val": ["c"], "test": []})
    with pytest.raises(ValueError, match="tissue 1 of 'train' again, as tissue 0 of 'val'"):
        check_disjoint({"train": ["a", "b"], "val": ["b"]})


def test_split_has_every_tissue_once():
    parts = split_by_tissue(CONDITION, seed=3)
    assert sorted(np.concatenate(list(parts.values()))) == list(range(60))
    assert all((np.diff(part) > 0).all() for part in parts.values())


def test_split_holds_every_condition_in_its_share():
    parts = split_by_tissue(CONDITION * 5, test=0.1, val=0.2)
    count = {name: Counter(np.array(CONDITION * 5)[part]) for name, part in parts.items()}
    assert count["test"] == {"healthy": 6, "gap_junction": 6, "fibrotic": 12, "combined": 6}
    assert count["val"] == {name: 2 * n for name, n in count["test"].items()}
    small = split_by_tissue(CONDITION[:15])
    for part in small.values():
        assert set(np.array(CONDITION)[part]) == set(CONDITIONS), "also where a tenth is less than one"


def test_split_is_seeded():
    a, b, other = (split_by_tissue(CONDITION, seed=seed) for seed in (1, 1, 2))
    assert all(np.array_equal(a[name], b[name]) for name in a)
    assert not np.array_equal(a["test"], other["test"])


def test_split_of_too_few_tissues_is_refused():
    with pytest.raises(ValueError, match="condition: expected at least 3 tissues of 'rare', got 2"):
        split_by_tissue([*CONDITION, "rare", "rare"])
    with pytest.raises(ValueError, match="condition: expected one name per tissue"):
        split_by_tissue([])
    with pytest.raises(ValueError, match="test.*: expected"):
        split_by_tissue(CONDITION, test=-0.1)


def test_every_tissue_is_tested_once_in_five_folds():
    condition = np.array(["healthy", "fibrotic", "fibrotic", "combined", "gap_junction"] * 12)
    folds = folds_by_tissue(condition, seed=3)
    assert np.array_equal(np.sort(np.concatenate([fold["test"] for fold in folds])), np.arange(60))
    for fold in folds:
        parts = [set(part.tolist()) for part in fold.values()]
        assert set.union(*parts) == set(range(60)) and sum(map(len, parts)) == 60, "no tissue in two parts"
        for part in fold.values():
            assert {*condition[part]} == {*condition}
        names, counts = np.unique(condition[fold["test"]], return_counts=True)
        assert counts[names == "fibrotic"] == pytest.approx(2 * counts[names == "healthy"], abs=2)
    again, other = folds_by_tissue(condition, seed=3), folds_by_tissue(condition, seed=4)
    assert all(np.array_equal(a["test"], b["test"]) for a, b in zip(folds, again, strict=True))
    assert not np.array_equal(folds[0]["test"], other[0]["test"])


@pytest.mark.parametrize(("n_folds", "n"), [(2, 60), (5, 9)])
def test_folds_that_cannot_be_made_are_refused(n_folds, n):
    with pytest.raises(ValueError, match="n_folds: expected at least 3, and two tissues of each condition"):
        folds_by_tissue(["healthy"] * n, n_folds=n_folds)
