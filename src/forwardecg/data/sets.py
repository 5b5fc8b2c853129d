"""The named data sets: those that are drawn like the base one, and those of kinds that are in no training."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from forwardecg.contract import instance
from forwardecg.data.recipe import CONDITION_CYCLE, Recipe
from forwardecg.tissue.cell import FK_CAF, FK_MBR, FK_MLR1

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
    sets = {}
    for k, (name, change) in enumerate({"calibration": {}, "test": {}, **HELD_OUT}.items(), 1):
        most = change.get("n_sim", 20 if name in HELD_OUT else _EXTRA)
        # a multiple of the frame interval
        t_end = base.frame_interval * round(change.get("t_end", 1) * base.t_end / base.frame_interval)
        own = {"seed": 1000 * (base.seed + 1) + k, "n_sim": min(most, base.n_sim), "t_end": t_end}
        sets[name] = replace(base, **change | own)
    return sets
