"""The grid of a sheet: square cells, sizes in mm."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Grid:
    """Square cells: all that stimuli and electrodes need to know of a sheet.

    Args:
        shape: cells (y, x).
        dx: side of a cell, mm.

    Raises:
        ValueError: A shape without cells (y, x); dx not above 0.

    Examples:
        >>> Grid((40, 60), dx=0.5).size
        (20.0, 30.0)
    """

    shape: tuple[int, int]
    dx: float

    def __post_init__(self) -> None:
        if len(self.shape) != 2 or min(self.shape) < 1:
            raise ValueError(f"shape: expected at least one cell (y, x), got {self.shape}")
        check_positive("dx", self.dx)

    @property
    def size(self) -> tuple[float, float]:
        """Height and width in mm."""
        return self.shape[0] * self.dx, self.shape[1] * self.dx

    @property
    def centers(self) -> tuple[np.ndarray, np.ndarray]:
        """y (y, 1) and x (x,) in mm of the cell centers, from the corner of the sheet."""
        y, x = ((np.arange(n) + 0.5) * self.dx for n in self.shape)
        return y[:, None], x


def check_positive(name: str, value: float, what: str = "a length > 0 mm") -> None:
    """ValueError, which says ``what`` was expected, unless ``value`` is a finite number above 0."""
    if not (np.isfinite(value) and value > 0):
        raise ValueError(f"{name}: expected {what}, got {value}")


def blocks(a: np.ndarray, pool: int) -> np.ndarray:
    """Values (y, x) as (y_map, pool, x_map, pool), a view: pixels of pool x pool cells, which must fit."""
    n_y, n_x = a.shape
    if not isinstance(pool, int | np.integer) or pool < 1 or n_y % pool or n_x % pool:
        raise ValueError(f"pool: expected a divisor of the grid {n_y} x {n_x}, got {pool}")
    return a.reshape(n_y // pool, pool, n_x // pool, pool)
