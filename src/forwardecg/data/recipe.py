"""The recipe of a data set: all that it depends on besides the code; every choice is ours, see the declared choices."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from forwardecg.ecg.electrodes import Electrodes, bank_electrodes, center_electrode
from forwardecg.tissue.cell import FK_CAF, FKParams
from forwardecg.tissue.grid import Grid
from forwardecg.tissue.sheet import CONDITIONS

CONDITION_CYCLE = ("healthy", "gap_junction", "fibrotic", "fibrotic", "combined")  # 60 / 60 / 120 / 60 in the paper
STIMULI = ("edge", "corner", "focal", "two_foci", "s1_s2")
PROTOCOLS = {"single": STIMULI[:3], "two_foci": ("two_foci",), "reentry": ("s1_s2",)}
REJECTIONS = ("site", "activation", "reentry")  # why a draw was not kept


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that a data set depends on besides the code: lengths in mm, times in ms, D in mm^2/ms.

    Args:
        n_sim, seed: tissues, and what they are drawn from; a larger set begins with the tissues of a smaller one.
        n_cells, dx, pool: cells along the side of the sheet, their side, and how many along the side of a map's pixel.
        dt, t_end, frame_interval, ecg_interval: the time step, the end, the time between maps and between ECG samples.
        conditions: repeated in this order along the set.
        D0_low, D0_high: range of the healthy D.
        fibrosis: usual; dense, above the usual shares, or with more scars; partial, whose cells conduct at 5-30 % of D.
        protocol: single, one stimulus along part of an edge, near a corner or at a point; two_foci; or reentry, S1-S2,
            kept if it lasts.
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
        for name in ("n_sim", "n_cells", "pool", "max_draws", "seed"):
            value, least = getattr(self, name), 0 if name == "seed" else 1
            if not isinstance(value, int) or value < least:
                raise ValueError(f"{name}: expected a whole number of at least {least}, got {value!r}")
        for name in ("dx", "dt", "t_end", "frame_interval", "ecg_interval", "z_mm"):
            value = getattr(self, name)
            if not (isinstance(value, int | float) and np.isfinite(value) and value > 0):
                raise ValueError(f"{name}: expected a finite number > 0, got {value!r}")
        for name in ("min_activated", "mild_density"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}: expected a share in 0 .. 1, got {getattr(self, name)}")
        if not 0 < self.D0_low <= self.D0_high:
            raise ValueError(f"D0_low, D0_high: expected 0 < D0_low <= D0_high, got {self.D0_low}, {self.D0_high}")
        if self.n_cells % self.pool:
            raise ValueError(f"pool: expected a divisor of n_cells = {self.n_cells}, got {self.pool}")
        for name, allowed in (("fibrosis", ("usual", "dense", "partial")), ("protocol", tuple(PROTOCOLS))):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name}: expected one of {allowed}, got {getattr(self, name)!r}")
        if not isinstance(self.bank, bool):
            raise ValueError(f"bank: expected True or False, got {self.bank!r}")
        object.__setattr__(self, "conditions", tuple(self.conditions))
        if not self.conditions or not set(self.conditions) <= set(CONDITIONS):
            raise ValueError(f"conditions: expected some of {CONDITIONS}, got {self.conditions}")

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


def read_recipe(path: Path) -> Recipe:
    """The recipe that `write_recipe` wrote.

    Args:
        path: json file.

    Returns:
        A recipe equal to the one that was written.

    Raises:
        ValueError: A field is missing or unknown, or no json.

    Examples:
        >>> write_recipe(Recipe(n_sim=2), Path("recipe.json"))
        >>> read_recipe(Path("recipe.json")) == Recipe(n_sim=2)
        True
    """
    try:
        entries = json.loads(path.read_text())
        return Recipe(**entries | {"cell": FKParams(**entries["cell"])})
    except (TypeError, KeyError, json.JSONDecodeError) as error:
        raise ValueError(f"{path.name}: expected a recipe with the fields of Recipe: {error}") from None


def write_recipe(recipe: Recipe, path: Path) -> None:
    """Write the recipe as json: all that is needed to simulate the same tissues again.

    Args:
        recipe: to write.
        path: json file, overwritten.

    Examples:
        >>> write_recipe(Recipe(n_sim=2), Path("recipe.json"))
        >>> Path("recipe.json").read_text().splitlines()[1]
        ' "n_sim": 2,'
    """
    path.write_text(json.dumps(asdict(recipe), indent=1) + "\n")
