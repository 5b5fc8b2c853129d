"""The recipe of a data set: all that it depends on besides the code; every choice is ours, see the declared choices."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from forwardecg.contract import count, flag, instance, number, one_of
from forwardecg.ecg.electrodes import Electrodes, bank_electrodes, center_electrode
from forwardecg.paths import file_path
from forwardecg.tissue.cell import FK_CAF, FKParams
from forwardecg.tissue.grid import Grid
from forwardecg.tissue.sheet import CONDITIONS

CONDITION_CYCLE = ("healthy", "gap_junction", "fibrotic", "fibrotic", "combined")  # 60 / 60 / 120 / 60 in the paper
STIMULI = ("edge", "corner", "focal", "two_foci", "s1_s2")
PROTOCOLS = {"single": STIMULI[:3], "two_foci": ("two_foci",), "reentry": ("s1_s2",), "paced": STIMULI[:3]}
REJECTIONS = ("site", "activation", "reentry")  # why a draw was not kept
_COUNTS = (
    ("n_sim", 1, 10**6),
    ("n_cells", 2, 10**4),
    ("pool", 1, 10**4),
    ("max_draws", 1, 10**4),
    ("seed", 0, 2**63 - 1),
)
_LENGTHS = (
    ("dx", 10.0, "mm"), ("dt", 10.0, "ms"), ("t_end", 1e6, "ms"), ("frame_interval", 1e4, "ms"), ("ecg_interval", 1e4, "ms"),
    ("z_mm", 1e4, "mm"), ("D0_low", 100.0, "mm^2/ms"), ("D0_high", 100.0, "mm^2/ms"),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that a data set depends on besides the code: lengths in mm, times in ms, D in mm^2/ms.

    Args:
        n_sim, seed: tissues, and what they are drawn from; a larger set begins with the tissues of a smaller one.
        n_cells, dx, pool: cells along the side of the sheet, their side, and how many along the side of a map's pixel.
        dt, t_end, frame_interval, ecg_interval: the time step, the end, the time between maps and between ECG samples.
        conditions: repeated in this order along the set.
        D0_low, D0_high: range of the healthy D.
        fibrosis: usual; dense, above the usual shares, or with more scars; partial, whose cells conduct at 5-30 % of D;
            or percolating, near the share at which no path is left.
        protocol: single, one stimulus along part of an edge, near a corner or at a point; paced, twice at that site;
            two_foci; or reentry, S1-S2, kept if it lasts.
        z_mm, bank: height of the electrode above the center; whether the 36 others of `bank_electrodes` are added.
        min_activated, max_draws: a draw that activates a smaller share of conductive cells is drawn again; so often.
        mild_density: fibrosis below which a tissue counts as mild, unless it is interstitial.
        cell: cell model.

    Raises:
        ValueError: A field of another type, out of range or none of its words.

    Examples:
        >>> recipe = Recipe(n_sim=10, t_end=600.0)
        >>> recipe.shape, len(recipe.electrodes.names)
        ((400, 400), 37)
    """

    n_sim: int
    n_cells: int = 400
    dx: float = 0.5
    dt: float = 0.1
    t_end: float = 900.0
    frame_interval: float = 5.0
    ecg_interval: float = 1.0
    pool: int = 4
    conditions: tuple[str, ...] = CONDITION_CYCLE
    D0_low: float = 0.10
    D0_high: float = 0.16
    fibrosis: str = "usual"
    protocol: str = "single"
    z_mm: float = 40.0
    bank: bool = True
    min_activated: float = 0.5
    max_draws: int = 20
    mild_density: float = 0.2
    seed: int = 0
    cell: FKParams = FK_CAF

    def __post_init__(self) -> None:
        for name, least, most in _COUNTS:
            self._set(name, count(name, getattr(self, name), least, most))
        ranges = [*_LENGTHS, ("min_activated", 1.0, ""), ("mild_density", 1.0, "")]
        for name, high, unit in ranges:
            came = getattr(self, name)
            value = number(name, came, 0, high, unit=unit, above=bool(unit))
            self._set(name, came if type(came) is int else value)  # in a json 60 stays 60
        for name, words in (("fibrosis", ("usual", "dense", "partial", "percolating")), ("protocol", tuple(PROTOCOLS))):
            self._set(name, one_of(name, getattr(self, name), words))
        self._set("bank", flag("bank", self.bank))
        instance("cell", self.cell, FKParams, "such as FK_CAF")
        conditions = instance("conditions", self.conditions, (tuple, list, np.ndarray))
        self._set("conditions", tuple(one_of("conditions", word, CONDITIONS) for word in conditions))
        if not self.conditions:
            raise ValueError(f"conditions: expected some of {CONDITIONS}, got {self.conditions}")
        if self.D0_low > self.D0_high:
            raise ValueError(f"D0_low, D0_high: expected 0 < D0_low <= D0_high, got {self.D0_low}, {self.D0_high}")
        if self.n_cells % self.pool:
            raise ValueError(f"pool: expected a divisor of n_cells = {self.n_cells}, got {self.pool}")

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    @property
    def shape(self) -> tuple[int, int]:
        """Cells (y, x) of the sheet."""
        return self.n_cells, self.n_cells

    @property
    def grid(self) -> Grid:
        """The cells of the sheet."""
        return Grid(self.shape, self.dx)

    @property
    def electrodes(self) -> Electrodes:
        """Where phi_e is taken: above the center, and at the places of the bank."""
        return (bank_electrodes if self.bank else center_electrode)(self.grid, self.z_mm)


def read_recipe(path: Path | str) -> Recipe:
    """The recipe that `write_recipe` wrote.

    Args:
        path: json file.

    Returns:
        A recipe equal to the one that was written.

    Raises:
        ValueError: A field is missing or unknown; no json, or no file.

    Examples:
        >>> write_recipe(Recipe(n_sim=2), Path("recipe.json"))
        >>> read_recipe(Path("recipe.json")) == Recipe(n_sim=2)
        True
    """
    path = file_path("path", path)
    if not path.is_file():
        raise ValueError(f"path: expected a json file that is there, got {path}")
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        return Recipe(**entries | {"cell": FKParams(**entries["cell"])})
    except (TypeError, KeyError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path.name}: expected a recipe with the fields of Recipe: {error}") from None


def write_recipe(recipe: Recipe, path: Path | str) -> None:
    """Write the recipe as json: all that is needed to simulate the same tissues again.

    Args:
        recipe: to write.
        path: json file, overwritten.

    Raises:
        ValueError: No `Recipe`, or no path.

    Examples:
        >>> write_recipe(Recipe(n_sim=2), Path("recipe.json"))
        >>> Path("recipe.json").read_text().splitlines()[1]
        ' "n_sim": 2,'
    """
    path = file_path("path", path, new=True)
    path.write_text(json.dumps(asdict(instance("recipe", recipe, Recipe)), indent=1) + "\n")
