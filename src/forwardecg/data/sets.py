"""The named data sets: those that are drawn like the base one, and those of kinds that are in no training."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from forwardecg.contract import instance
from forwardecg.data.recipe import CONDITION_CYCLE, Recipe
from forwardecg.tissue.cell import FK_BR, FK_CAF, FK_GP, FK_MBR, FK_MLR1

_EXTRA = 300  # tissues for calibration and for testing, at most
_LONGER, _LONGEST = 13 / 9, 2.0  # of the base's t_end, for slow waves: 1300 and 1800 ms at paper scale
_FIBROTIC, _UNIFORM = ("fibrotic", "combined"), ("healthy", "fibrotic")  # remodeling would bring D back into the range
#: Sets of kinds that are in no training, as what differs from the base recipe, t_end as a multiple of its own.
HELD_OUT: Mapping[str, dict[str, Any]] = MappingProxyType({
    "two_foci": {"protocol": "two_foci"},
    "reentry": {"protocol": "reentry", "n_sim": 16, "t_end": 4 / 3, "max_draws": 60},
    "unseen_cell": {"cell": FK_MLR1},
    "unseen_cell_mbr": {"cell": FK_MBR, "t_end": _LONGER},
    "unseen_D_high": {"D0_low": 0.27, "D0_high": 0.35, "conditions": _UNIFORM},
    "unseen_D_low": {"D0_low": 0.02, "D0_high": 0.03, "conditions": _UNIFORM, "t_end": _LONGEST},
    "partial_fibrosis": {"fibrosis": "partial", "conditions": _FIBROTIC, "t_end": _LONGER},
    "dense_fibrosis": {"fibrosis": "dense", "conditions": _FIBROTIC, "t_end": _LONGEST},
})  # fmt: skip
#: Sets of wider tissue that the published surrogate learns from, told in the same way.
WIDE: Mapping[str, dict[str, Any]] = MappingProxyType({
    "wide_dense": {"fibrosis": "dense", "conditions": _FIBROTIC, "t_end": _LONGEST},
    "wide_percolating": {"fibrosis": "percolating", "conditions": _FIBROTIC, "t_end": _LONGEST},
    "wide_slow": {"D0_low": 0.006, "D0_high": 0.03, "conditions": _UNIFORM, "t_end": _LONGEST},
    "wide_fast": {"D0_low": 0.16, "D0_high": 0.36},
    "wide_gp": {"cell": FK_GP, "t_end": _LONGER},
    "wide_br": {"cell": FK_BR, "t_end": _LONGER},
    "wide_paced": {"protocol": "paced", "t_end": _LONGER},
})  # fmt: skip
#: Tissues of each set of `WIDE`: the last `WIDE_VAL` of the first ones choose the epoch.
WIDE_PARTS: Mapping[str, int] = MappingProxyType({"": 30, "_calibration": 12, "_test": 6})
WIDE_VAL = 4
_WIDE_SEED = 50_000  # and on: far from those of all other sets


def collection(base: Recipe) -> dict[str, Recipe]:
    """The sets beside the base one: calibration and test, drawn like it, and the smaller ones of `HELD_OUT`.

    Args:
        base: recipe of the base set; no other set has more tissues.

    Returns:
        Recipes by name, each with a seed of its own, 1000 (seed + 1) + 1 and on, away from the small ones of trainings.

    Raises:
        ValueError: The base already has what the held-out sets are meant to be unseen for.

    Examples:
        >>> sets = collection(Recipe(n_sim=300))
        >>> sets["test"].seed, sets["reentry"].protocol, sets["reentry"].n_sim
        (1002, 'reentry', 16)
    """
    usual = {"cell": FK_CAF, "protocol": "single", "fibrosis": "usual", "conditions": CONDITION_CYCLE}
    for name, value in usual.items():
        if getattr(instance("base", base, Recipe), name) != value:
            raise ValueError(f"base: expected {name} = {value}, for others are held out, got {getattr(base, name)}")
    if not (base.D0_low >= 0.1 and base.D0_high <= 0.16):
        came = f"{base.D0_low} .. {base.D0_high}"
        raise ValueError(f"base: expected D0 in 0.1 .. 0.16, for others are held out, got {came}")
    changes = {"calibration": {}, "test": {}, **HELD_OUT}
    most = {name: change.get("n_sim", 20 if name in HELD_OUT else _EXTRA) for name, change in changes.items()}
    return _recipes(base, changes, most, 1000 * (base.seed + 1) + 1)


def wide_collection(base: Recipe) -> dict[str, Recipe]:
    """The sets of wider tissue: for each kind of `WIDE` one to learn from, one for calibration and one for testing.

    Args:
        base: recipe of the base set, as `collection` takes it.

    Returns:
        Recipes by name, such as wide_dense, wide_dense_calibration and wide_dense_test, each with a seed of its own.

    Raises:
        ValueError: What `collection` refuses.

    Examples:
        >>> sets = wide_collection(Recipe(n_sim=300))
        >>> len(sets), sets["wide_slow"].D0_low, sets["wide_gp_test"].cell.name
        (21, 0.006, 'FK-GP')
    """
    collection(base)
    changes = {kind + part: change for kind, change in WIDE.items() for part in WIDE_PARTS}
    most = {kind + part: n for kind in WIDE for part, n in WIDE_PARTS.items()}
    return _recipes(base, changes, most, _WIDE_SEED + 1000 * base.seed)


def _recipes(
    base: Recipe, changes: dict[str, dict[str, Any]], most: dict[str, int], first_seed: int
) -> dict[str, Recipe]:
    """The base recipe with each of the changes, seeds from the first one on, no more tissues than it has."""
    sets = {}
    for seed, (name, change) in enumerate(changes.items(), first_seed):
        # a multiple of the frame interval
        t_end = base.frame_interval * round(change.get("t_end", 1) * base.t_end / base.frame_interval)
        own = {"seed": seed, "n_sim": min(most[name], base.n_sim), "t_end": t_end}
        sets[name] = replace(base, **change | own)
    return sets
