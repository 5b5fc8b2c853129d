"""Which tissues an experiment trains, chooses and tests on, by name: the split, folds, few of them, those of one kind."""

import functools
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
import xarray as xr

from forwardecg.data.recipe import Recipe, read_recipe
from forwardecg.data.sets import collection, wide_collection
from forwardecg.data.split import folds_by_tissue
from forwardecg.data.store import load_or_simulate
from forwardecg.paths import RESULTS

FOLD_SEED, N_FOLDS = 0, 5
KINDS = ("condition", "texture", "fibrosis_density", "mild")  # of a tissue
N_LARGE, LARGE_SEED, LARGE_VAL = 3000, 1100, 300  # of the large set: tissues, seed, and the last ones, which choose
LEARNED = 240  # training tissues that are scored where a score in training is asked for
HEIGHTS = {"z20": 20.0, "z80": 80.0}  # mm, of the electrode: the base set once more
CONDITIONS = ("healthy", "gap_junction", "fibrotic", "combined")
POOL = ("base", "calibration", "test")  # 900 tissues of one recipe: enough to keep those of one kind only

Groups = tuple[tuple[str, tuple[int, ...]], ...]  # names of sets, each with the numbers of some of its tissues


@dataclass(frozen=True, kw_only=True)
class Tissues:
    """Tissues to train, to choose and to test on: the split of 07_dataset, 80/10/10, where nothing else is said."""

    name: str = "base"  # of the set
    fold: int | None = None  # of the cross-validation, in place of the split
    left_out: str = ""  # a condition that is in no training: its tissues are the test
    every: int = 1  # one in so many training tissues
    few: int | None = None  # so many training tissues, conditions in proportion
    draw: int = 0  # which few, or which of the large set
    more: int = 0  # training tissues from the calibration set, beside them
    large: int = 0  # so many of the large set in place of the split; base and test set are then tested whole
    everyone: bool = False  # all tissues train: a split through each of them; those of the test are all but val
    kind: str = ""  # a fold of the tissues of this kind in all sets of `POOL`
    of_kind: int = 0  # how many there are of them


def recipe(name: str = "base") -> Recipe:
    """The recipe of the base set, of one of `sets.collection` and `sets.wide_collection`, of the large one, or of the base set from another height.

    The large set is drawn as the base set is, with a seed of its own; its maps have 50 x 50 pixels, and one electrode.
    """
    own = read_recipe(RESULTS / "07_dataset.json")
    if name == "large":
        return replace(own, n_sim=N_LARGE, seed=LARGE_SEED, pool=2 * own.pool, bank=False)
    if name in HEIGHTS:
        return replace(own, z_mm=HEIGHTS[name], bank=False)
    return own if name == "base" else (collection(own) | wide_collection(own))[name]


@functools.cache
def open_set(name: str = "base") -> xr.Dataset:
    """A data set, opened."""
    torch.set_num_threads(1)  # two experiments side by side are faster than one with two threads
    return load_or_simulate(recipe(name))


@functools.cache
def kinds(name: str = "base") -> pd.DataFrame:
    """What kind of tissue each one of a set is, and where it belongs in the split of 07_dataset."""
    if name in ("base", *HEIGHTS):
        table = pd.read_csv(RESULTS / "07_dataset.csv", index_col="sim", keep_default_na=False)
        return table[[*KINDS, "part"]]
    ds = open_set(name)
    return pd.DataFrame({kind: ds[kind].values for kind in KINDS}).rename_axis("sim").assign(part="test")


def whole(name: str) -> Groups:
    """All tissues of a set."""
    return ((name, tuple(range(recipe(name).n_sim))),)


def parts(tissues: Tissues) -> dict[str, Groups]:
    """The train, val and test tissues."""
    if tissues.large:
        return _of_large(tissues.large, tissues.draw)
    if tissues.kind:
        rows = _of_kind(tissues.kind, tissues.of_kind)
        fold = folds_by_tissue(rows.condition, FOLD_SEED, N_FOLDS)[tissues.fold or 0]
        return {part: _groups(rows.loc[at]) for part, at in fold.items()}
    table = kinds()
    if tissues.fold is None:
        found = {part: np.flatnonzero(table.part == part) for part in ("train", "val", "test")}
    else:
        found = folds_by_tissue(table.condition, FOLD_SEED, N_FOLDS)[tissues.fold]
    if tissues.left_out:
        found = {part: sims[table.condition[sims] != tissues.left_out] for part, sims in found.items()}
        found["test"] = np.flatnonzero(table.condition == tissues.left_out)
    if tissues.everyone:
        found["test"] = np.setdiff1d(table.index, found["val"])
        found["train"] = table.index.to_numpy()
    found["train"] = found["train"][:: tissues.every]
    if tissues.few is not None:
        found["train"] = few(tissues.few, tissues.draw)
    groups: dict[str, Groups] = {part: ((tissues.name, tuple(sims.tolist())),) for part, sims in found.items()}
    if tissues.more:
        groups["train"] += (("calibration", tuple(range(tissues.more))),)
    return groups


def _of_large(n: int, draw: int) -> dict[str, Groups]:
    """n training tissues of the large set, in a row that starts elsewhere for each draw; beyond them the calibration set."""
    most = N_LARGE - LARGE_VAL
    first, own = draw * most // 3, min(n, most)
    train: Groups = (("large", tuple((first + k) % most for k in range(own))),)
    if n > most:
        train += (("calibration", tuple(range(n - most))),)
    return {
        "train": train,
        "learned": (("large", train[0][1][:LEARNED]),),
        "val": (("large", tuple(range(most, N_LARGE))),),
        "test": whole("base") + whole("test"),
    }


def few(n: int, draw: int) -> np.ndarray:
    """Numbers of n training tissues of the split, conditions in proportion, drawn with a seed of their own."""
    rng, table = np.random.default_rng([draw, 14]), kinds()
    train = np.flatnonzero(table.part == "train")
    condition = table.condition[train].to_numpy()
    own = {name: iter(rng.permutation(train[condition == name])) for name in np.unique(condition)}
    cycle = recipe().conditions
    return np.sort([next(own[cycle[k % len(cycle)]]) for k in range(n)])


@functools.cache
def _pool() -> pd.DataFrame:
    """All tissues of `POOL`, with what was drawn for each."""
    tables = []
    for name in POOL:
        ds = open_set(name)
        drawn = {key: ds[key].values for key in ("stimulus", "D0", "gj_scale")}
        tables.append(kinds(name).reset_index().assign(set=name, **drawn))
    return pd.concat(tables, ignore_index=True)


def _of_kind(kind: str, n: int) -> pd.DataFrame:
    """n tissues of `POOL`: of one D, or six in ten with fibrosis of a kind, and healthy and remodeled ones as many."""
    everyone = _pool()
    fibrotic, D = everyone.texture != "none", everyone.D0 * everyone.gj_scale
    chosen = {
        "other": everyone.set != "base",
        "edge": everyone.stimulus == "edge",
        "mild": ~fibrotic | (everyone.fibrosis_density < 0.1),
        "any": everyone.sim >= 0,
        "D": (D > 0.115) & (D < 0.145) & (everyone.gj_scale == 1),
    }
    at = chosen[kind] if kind in chosen else ~fibrotic | (everyone.texture == kind)
    if kind == "D":
        return everyone[at].sample(n, random_state=0).sort_index().reset_index(drop=True)
    some = [everyone[at & fibrotic].sample(6 * n // 10, random_state=0)]
    for name in ("healthy", "gap_junction"):
        some.append(everyone[at & (everyone.condition == name)].sample(2 * n // 10, random_state=0))
    return pd.concat(some).sort_index().reset_index(drop=True)


def _groups(rows: pd.DataFrame) -> Groups:
    return tuple((str(name), tuple(some.sim.tolist())) for name, some in rows.groupby("set"))
