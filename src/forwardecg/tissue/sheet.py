"""Tissue sheets: diffusivity, fibers, fibrosis; in four conditions, each drawn from a seed."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr
from scipy.ndimage import distance_transform_edt

from forwardecg.contract import array, corner, count, flag, instance, number, one_of
from forwardecg.tissue.grid import Grid, cells, freeze, length

#: What a tissue can be.
CONDITIONS = ("healthy", "gap_junction", "fibrotic", "combined")
#: Fibrosis as single cells, blobs of 1.5-4 mm, ellipses with noisy rims, strands.
TEXTURES = ("diffuse", "patchy", "compact", "interstitial")
#: Patches of 0.5-1.2 mm, so many that paths between them are long and thin; drawn only where it is named.
PERCOLATING = "percolating"
PERCOLATING_SHARE = (0.30, 0.45)  # smooth noise leaves no path through the sheet from one half on
SHARES = {  # ranges of the share of fibrotic cells
    "usual": {"diffuse": (0.05, 0.28), "patchy": (0.08, 0.35), "interstitial": (0.05, 0.25)},
    "dense": {"diffuse": (0.28, 0.36), "patchy": (0.35, 0.45), "interstitial": (0.25, 0.35)},
}
ELLIPSES = {"usual": (1, 4), "dense": (5, 7)}  # fewest and most scars of compact fibrosis
RIM_MM = 2.0  # distance over which D recovers around fibrosis
_WHOLE_TURN = 2 * np.pi * (1 + 1e-9)  # rad: an angle beyond it is in degrees
_MOST_D = 1e6  # mm^2/ms, and the most by which D is larger along fibers than across them


@dataclass(frozen=True, kw_only=True)
class Tissue:
    """A sheet of square cells, with or without fibers, and how it came about.

    It counts mm from its corner. Labeled arrays are read by their dims and units, and kept as copies that do not change.

    Args:
        D: (y, x), mm^2/ms or in another unit that it names; with fibers the diffusivity along them.
        conductive: (y, x) bool; False: fibrosis.
        dx: side of a cell, mm.
        D_across, fiber_angle: (y, x), mm^2/ms across the fibers, and their rad from the x axis (degrees where they are
            labeled so); None: no fibers.
        condition, texture: one of `CONDITIONS`, and one of `TEXTURES`, `PERCOLATING` or none.
        gj_scale, seed: factor of D by gap-junction remodeling, and what the tissue was drawn from.

    Raises:
        ValueError: A field of another shape or type, negative or not finite; no live cell; half of what fibers need;
            angles beyond one turn; coordinates in mm that are not those of cells of dx counted from the corner.

    Examples:
        >>> sheet = Tissue(D=[[0.1, 0.1], [0.1, 0.0]], conductive=np.ones((2, 2), bool), dx=0.5)
        >>> sheet.D.shape, sheet.live.tolist()
        ((2, 2), [[True, True], [True, False]])
    """

    D: np.ndarray
    conductive: np.ndarray
    dx: float
    D_across: np.ndarray | None = None
    fiber_angle: np.ndarray | None = None
    condition: str = "healthy"
    texture: str = "none"
    gj_scale: float = 1.0
    seed: int | None = None

    def __post_init__(self) -> None:
        shape = self._keep("D", "mm2 ms-1")
        for name in ("dx", "gj_scale"):
            object.__setattr__(self, name, length(name, self.dx) if name == "dx" else number(name, self.gj_scale, 0, 1))
        self._keep("conductive", None, shape, "b")
        if (self.D_across is None) != (self.fiber_angle is None):
            raise ValueError("D_across, fiber_angle: expected both or neither, got one of them")
        if self.D_across is not None:
            self._keep("D_across", "mm2 ms-1", shape)
            self._keep("fiber_angle", "rad", shape)
        one_of("condition", self.condition, CONDITIONS)
        one_of("texture", self.texture, ("none", *TEXTURES, PERCOLATING))
        if self.seed is not None:
            object.__setattr__(self, "seed", count("seed", self.seed, -(2**63), 2**128))
        if not self.live.any():
            raise ValueError("conductive: expected at least one cell with D (and D_across) > 0, got an empty sheet")

    def _keep(self, name: str, unit: str | None, shape: tuple[int, int] | None = None, kinds: str = "iuf") -> tuple:
        """The shape of a field, which is checked and kept as a copy that cannot be changed."""
        given = getattr(self, name)
        values = array(name, given, ("y", "x"), unit, shape=shape, kinds=kinds)
        if (at := corner(name, given, length("dx", self.dx))) != (0, 0):
            raise ValueError(f"{name}: expected x and y in mm from the corner of the sheet, got a corner at {at}")
        if unit is not None:
            values = values.astype(float, copy=False)
        low, high = (-_WHOLE_TURN, _WHOLE_TURN) if unit == "rad" else (0, _MOST_D)
        if unit is not None and not (low <= values.min() and values.max() <= high):
            wanted = "rad within one turn, not degrees" if unit == "rad" else f"values >= 0 mm^2/ms, up to {_MOST_D:g}"
            raise ValueError(f"{name}: expected {wanted}, got {values.min():g} .. {values.max():g}")
        object.__setattr__(self, name, freeze(values))
        return cells(name, values.shape)

    @property
    def grid(self) -> Grid:
        """The cells alone."""
        return Grid(self.D.shape, self.dx)

    @property
    def live(self) -> np.ndarray:
        """Cells (y, x) that take part: conductive, and with a diffusivity above 0."""
        across = self.D if self.D_across is None else self.D_across
        return self.conductive & (self.D > 0) & (across > 0)

    @property
    def fibrosis_density(self) -> float:
        """Share of non-conductive cells."""
        return float(1 - self.conductive.mean())


def grid_of(sheet: Tissue | Grid) -> Grid:
    """The grid of a tissue, or the grid as it came; ValueError for all else."""
    if isinstance(sheet, Tissue):
        return sheet.grid
    return instance("sheet", sheet, Grid, "or a Tissue")


def healthy(shape: tuple[int, int], dx: float, D0: float, seed: int | None = None) -> Tissue:
    """Uniform diffusivity ``D0`` everywhere.

    Args:
        shape, dx: cells (y, x), and the side of a cell in mm, above 0.
        D0: mm^2/ms, above 0.
        seed: kept as a note.

    Returns:
        A tissue in which every cell conducts.

    Examples:
        >>> sheet = healthy((4, 6), 0.5, D0=0.13)
        >>> sheet.D.shape, float(sheet.D[0, 0]), sheet.condition
        ((4, 6), 0.13, 'healthy')
    """
    shape, D0 = cells("shape", shape), number("D0", D0, 0, unit="mm2 ms-1", above=True)
    return Tissue(D=np.full(shape, D0), conductive=np.ones(shape, bool), dx=dx, seed=seed)


def with_fibers(tissue: Tissue, angle: float | np.ndarray | xr.DataArray, ratio: float) -> Tissue:
    """The tissue with fibers: its D is the one along them, and D_across = D / ratio.

    Args:
        tissue: sheet to start from.
        angle: rad from the x axis, a number or (y, x), within one turn; degrees where it is labeled so.
        ratio: D over D_across.

    Returns:
        The same cells with fibers.

    Raises:
        ValueError: ratio not at least 1; an angle beyond plus or minus 2 pi.

    Examples:
        >>> sheet = with_fibers(healthy((4, 6), 0.5, D0=0.12), angle=np.pi / 6, ratio=4.0)
        >>> round(float(sheet.D_across[0, 0]), 3)
        0.03
    """
    instance("tissue", tissue, Tissue)
    ratio = number("ratio", ratio, 1, _MOST_D, unit="(D / D_across)")
    if getattr(angle, "ndim", int(hasattr(angle, "__len__"))) == 0:  # one for all, in its unit
        one: Any = angle if isinstance(angle, xr.DataArray) else xr.DataArray(number("angle", angle, unit="rad"))
        one = one.expand_dims(y=tissue.D.shape[0], x=tissue.D.shape[1])
    else:
        one = angle
    return replace(tissue, D_across=tissue.D / ratio, fiber_angle=one)


def gap_junction(tissue: Tissue, seed: int | np.random.Generator = 0) -> Tissue:
    """Gap-junction remodeling: D times U(.3, .75), over the whole sheet or (one half) in smooth regions of 20 mm."""
    instance("tissue", tissue, Tissue)
    rng = _generator(seed)
    factor: Any = (gj_scale := rng.uniform(0.3, 0.75))
    if rng.random() >= 0.5:
        region = smooth_noise(tissue.grid, rng, 20.0, 20.0)
        factor = 1 - (1 - gj_scale) * np.clip(2 * region - 0.5, 0, 1)
    return _lower(tissue, factor, condition="gap_junction", gj_scale=gj_scale)


def fibrotic(
    tissue: Tissue, texture: str | None = None, seed: int | np.random.Generator = 0, dense: bool = False
) -> Tissue:
    """Fibrosis: non-conductive cells in one of four textures, and D lowered by up to one half around them.

    Args:
        tissue: sheet to start from.
        texture: one of `TEXTURES` or `PERCOLATING`; None: one of `TEXTURES` is drawn.
        seed: of its chance, or a generator that goes on.
        dense: take the ranges of `SHARES` above the usual ones; `PERCOLATING` has one range.

    Returns:
        The tissue with cells that do not conduct.

    Raises:
        ValueError: texture is none of `TEXTURES`.

    Examples:
        >>> sheet = fibrotic(healthy((40, 40), 0.5, D0=0.1), "diffuse", seed=0)
        >>> sheet.texture, 0.05 < sheet.fibrosis_density < 0.3
        ('diffuse', True)
    """
    instance("tissue", tissue, Tissue)
    rng = _generator(seed)
    texture = str(rng.choice(TEXTURES)) if texture is None else one_of("texture", texture, (*TEXTURES, PERCOLATING))
    fibrosis = _draw_fibrosis(tissue.grid, texture, "dense" if flag("dense", dense) else "usual", rng)
    lowering = rng.uniform(0, 0.5) * np.exp(-distance_transform_edt(~fibrosis, sampling=tissue.dx) / RIM_MM)
    return _lower(tissue, 1 - lowering, conductive=~fibrosis, condition="fibrotic", texture=texture)


def combined(tissue: Tissue, seed: int | np.random.Generator = 0) -> Tissue:
    """Gap-junction remodeling and fibrosis in one sheet: `gap_junction`, then `fibrotic`, from one generator."""
    rng = _generator(seed)
    return replace(fibrotic(gap_junction(tissue, rng), seed=rng), condition="combined")


def _generator(seed: Any) -> np.random.Generator:
    """A generator as it came, or one of a seed."""
    if isinstance(seed, np.random.Generator):
        return seed
    return np.random.default_rng(count("seed", seed, 0, 2**128))


def _lower(tissue: Tissue, factor: float | np.ndarray, **changes: Any) -> Tissue:
    """D, and D_across where there are fibers, times ``factor``: remodeling does not turn the fast axis."""
    across = None if tissue.D_across is None else tissue.D_across * factor
    return replace(tissue, D=tissue.D * factor, D_across=across, **changes)


def smooth_noise(grid: Grid, rng: np.random.Generator, along: float, across: float, angle: float = 0.0) -> np.ndarray:
    """Noise (y, x) with correlation lengths ``along`` and ``across`` (mm) at ``angle`` (rad), ranked: uniform."""
    k_y, k_x = np.meshgrid(*(2 * np.pi * np.fft.fftfreq(n, grid.dx) for n in grid.shape), indexing="ij")
    k_along, k_across = k_x * np.cos(angle) + k_y * np.sin(angle), k_y * np.cos(angle) - k_x * np.sin(angle)
    smoothing = np.exp(-0.5 * ((k_along * along) ** 2 + (k_across * across) ** 2))
    noise = np.fft.ifft2(np.fft.fft2(rng.standard_normal(grid.shape)) * smoothing).real
    return (noise.ravel().argsort().argsort().reshape(grid.shape) + 0.5) / noise.size


def _draw_fibrosis(grid: Grid, texture: str, amount: str, rng: np.random.Generator) -> np.ndarray:
    """Fibrotic cells (y, x) of a texture; ``amount`` is a key of `SHARES` and `ELLIPSES`."""
    if texture == PERCOLATING:
        length = rng.uniform(0.5, 1.2)
        return smooth_noise(grid, rng, length, length) < rng.uniform(*PERCOLATING_SHARE)
    if texture == "compact":
        return _draw_ellipses(grid, *ELLIPSES[amount], rng)
    if texture == "diffuse":
        noise = rng.random(grid.shape)
    elif texture == "patchy":
        length = rng.uniform(1.5, 4.0)
        noise = smooth_noise(grid, rng, length, length)
    else:
        noise = smooth_noise(grid, rng, 5.0, 0.5, angle=rng.uniform(0, np.pi))
    return noise < rng.uniform(*SHARES[amount][texture])


def _draw_ellipses(grid: Grid, fewest: int, most: int, rng: np.random.Generator) -> np.ndarray:
    """Ellipses (y, x) with half-axes of 4 to 15 % of the longer side and a noisy rim."""
    y, x = grid.centers
    inside = np.zeros(grid.shape, bool)
    rim = 0.6 * (smooth_noise(grid, rng, 3.0, 3.0) - 0.5)
    for _ in range(rng.integers(fewest, most + 1)):
        center_y, center_x = rng.uniform(0.1, 0.9, 2) * np.array(grid.shape) * grid.dx
        angle, half_axes = rng.uniform(0, np.pi), rng.uniform(0.04, 0.15, 2) * max(grid.shape) * grid.dx
        along = (x - center_x) * np.cos(angle) + (y - center_y) * np.sin(angle)
        across = (y - center_y) * np.cos(angle) - (x - center_x) * np.sin(angle)
        inside |= (along / half_axes[0]) ** 2 + (across / half_axes[1]) ** 2 < 1 + rim
    return inside
