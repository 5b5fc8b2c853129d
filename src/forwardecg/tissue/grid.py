"""The grid of a sheet: square cells, sizes in mm."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from forwardecg.contract import count, counts, number

MOST_CELLS, LONGEST = 10**8, 10**6  # of a sheet (0.8 GB an array), and mm of a side or a distance


@dataclass(frozen=True)
class Grid:
    """Square cells: all that stimuli and electrodes need to know of a sheet.

    Args:
        shape: cells (y, x), at most `MOST_CELLS`.
        dx: side of a cell, mm.

    Raises:
        ValueError: A shape that is not two whole numbers of cells; dx not above 0.

    Examples:
        >>> Grid((40, 60), dx=0.5).size
        (20.0, 30.0)
    """

    shape: tuple[int, int]
    dx: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", cells("shape", self.shape))
        object.__setattr__(self, "dx", length("dx", self.dx))

    @property
    def size(self) -> tuple[float, float]:
        """Height and width in mm."""
        return self.shape[0] * self.dx, self.shape[1] * self.dx

    @property
    def centers(self) -> tuple[np.ndarray, np.ndarray]:
        """y (y, 1) and x (x,) in mm of the cell centers, from the corner of the sheet."""
        y, x = ((np.arange(n) + 0.5) * self.dx for n in self.shape)
        return y[:, None], x


def length(name: str, value: Any) -> float:
    """A length in mm above 0, up to `LONGEST`; ValueError for all else."""
    return number(name, value, 0, LONGEST, unit="mm", above=True)


def cells(name: str, shape: Any) -> tuple[int, int]:
    """A shape as two whole numbers of cells (y, x); ValueError for all else, and for more than `MOST_CELLS`."""
    sides = counts(name, shape, 1, MOST_CELLS)
    if len(sides) != 2:
        raise ValueError(f"{name}: expected two whole numbers (y, x) of cells, got {shape!r:.60}")
    n_y, n_x = sides
    if n_y * n_x > MOST_CELLS:
        raise ValueError(f"{name}: expected at most {MOST_CELLS} cells, got {n_y} x {n_x}")
    return n_y, n_x


def blocks(a: np.ndarray, pool: int) -> np.ndarray:
    """Values (y, x) as (y_map, pool, x_map, pool), a view: pixels of pool x pool cells, which must fit."""
    n_y, n_x = a.shape
    pool = count("pool", pool, 1, max(n_y, n_x))
    if n_y % pool or n_x % pool:
        raise ValueError(f"pool: expected a divisor of the grid {n_y} x {n_x}, got {pool}")
    return a.reshape(n_y // pool, pool, n_x // pool, pool)


def freeze(values: np.ndarray) -> np.ndarray:
    """A copy that cannot be written to, or the values themselves if they cannot: what a frozen record keeps."""
    if type(values) is np.ndarray and values.flags.owndata and not values.flags.writeable:
        return values
    values = np.array(values)
    values.flags.writeable = False
    return values
