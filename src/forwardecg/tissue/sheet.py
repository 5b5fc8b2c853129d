"""Tissue sheets: diffusivity, fibers, fibrosis; in four conditions, each drawn from a seed."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.ndimage import distance_transform_edt

from forwardecg.tissue.grid import Grid, check_positive

#: What a tissue can be.
CONDITIONS = ("healthy", "gap_junction", "fibrotic", "combined")
#: Fibrosis as single cells, blobs of 1.5-4 mm, ellipses with noisy rims, strands.
TEXTURES = ("diffuse", "patchy", "compact", "interstitial")
SHARES = {  # ranges of the share of fibrotic cells
    "usual": {"diffuse": (0.05, 0.28), "patchy": (0.08, 0.35), "interstitial": (0.05, 0.25)},
    "dense": {"diffuse": (0.28, 0.36), "patchy": (0.35, 0.45), "interstitial": (0.25, 0.35)},
}
ELLIPSES = {"usual": (1, 4), "dense": (5, 7)}  # fewest and most scars of compact fibrosis
RIM_MM = 2.0  # distance over which D recovers around fibrosis


@dataclass(frozen=True, kw_only=True)
class Tissue:
    """A sheet of square cells, with or without fibers, and how it came about.

    Args:
        D: (y, x), mm^2/ms; with fibers the diffusivity along them.
        conductive: (y, x) bool; False: fibrosis.
        dx: side of a cell, mm.
        D_across, fiber_angle: (y, x), mm^2/ms across the fibers, and their rad from the x axis; None: no fibers.
        condition, texture: one of `CONDITIONS`, and one of `TEXTURES` or none.
        gj_scale, seed: factor of D by gap-junction remodeling, and what the tissue was drawn from.

    Raises:
        ValueError: A field of another shape or type, negative or not finite; no live cell; half of what fibers need.

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
        for name, kind in (("D", float), ("conductive", None), ("D_across", float), ("fiber_angle", float)):
            if getattr(self, name) is not None:  # lists are welcome
                object.__setattr__(self, name, np.asarray(getattr(self, name), kind))
        check_positive("dx", self.dx)
        if self.D.ndim != 2:
            raise ValueError(f"D: expected dims (y, x), got an array of shape {self.D.shape}")
        if not np.isfinite(self.D).all():
            raise ValueError(f"D: expected finite values in mm^2/ms, got {np.sum(~np.isfinite(self.D))} that are not")
        if (self.D_across is None) != (self.fiber_angle is None):
            raise ValueError("D_across, fiber_angle: expected both or neither, got one of them")
        for name in ("D", "D_across", "fiber_angle"):
            part = getattr(self, name)
            if part is not None and (part.shape != self.D.shape or not np.isfinite(part).all()):
                came = f"shape {part.shape} with {np.count_nonzero(~np.isfinite(part))} that are not"
                raise ValueError(f"{name}: expected finite values of shape {self.D.shape}, got {came}")
            if part is not None and name != "fiber_angle" and (part < 0).any():
                raise ValueError(f"{name}: expected values >= 0 mm^2/ms, got a minimum of {part.min()}")
        if self.conductive.shape != self.D.shape or self.conductive.dtype != bool:
            came = f"{self.conductive.dtype} {self.conductive.shape}"
            raise ValueError(f"conductive: expected bool of shape {self.D.shape}, got {came}")
        if not self.live.any():
            raise ValueError("conductive: expected at least one cell with D (and D_across) > 0, got an empty sheet")

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
    if not isinstance(sheet, Grid):
        raise ValueError(f"sheet: expected a Tissue or a Grid, got {type(sheet).__name__}")
    return sheet


def healthy(shape: tuple[int, int], dx: float, D0: float, seed: int | None = None) -> Tissue:
    """Uniform diffusivity ``D0`` everywhere.

    Args:
        shape, dx: cells (y, x), and the side of a cell in mm.
        D0: mm^2/ms.
        seed: kept as a note.

    Returns:
        A tissue in which every cell conducts.

    Examples:
        >>> sheet = healthy((4, 6), 0.5, D0=0.13)
        >>> sheet.D.shape, float(sheet.D[0, 0]), sheet.condition
        ((4, 6), 0.13, 'healthy')
    """
    return Tissue(D=np.full(shape, float(D0)), conductive=np.ones(shape, bool), dx=dx, seed=seed)


def with_fibers(tissue: Tissue, angle: float | np.ndarray, ratio: float) -> Tissue:
    """The tissue with fibers: its D is the one along them, and D_across = D / ratio.

    Args:
        tissue: sheet to start from.
        angle: rad from the x axis, a number or (y, x).
        ratio: D over D_across.

    Returns:
        The same cells with fibers.

    Raises:
        ValueError: ratio not at least 1.

    Examples:
        >>> sheet = with_fibers(healthy((4, 6), 0.5, D0=0.12), angle=np.pi / 6, ratio=4.0)
        >>> round(float(sheet.D_across[0, 0]), 3)
        0.03
    """
    if not (np.isfinite(ratio) and ratio >= 1):
        raise ValueError(f"ratio: expected D / D_across >= 1, got {ratio}")
    angle = np.broadcast_to(np.asarray(angle, float), tissue.D.shape).copy()
    return replace(tissue, D_across=tissue.D / ratio, fiber_angle=angle)


def gap_junction(tissue: Tissue, seed: int | np.random.Generator = 0) -> Tissue:
    """Gap-junction remodeling: D times U(.3, .75), over the whole sheet or (one half) in smooth regions of 20 mm."""
    rng = np.random.default_rng(seed)
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
        texture: one of `TEXTURES`; None: drawn.
        seed: of its chance, or a generator that goes on.
        dense: take the ranges of `SHARES` above the usual ones.

    Returns:
        The tissue with cells that do not conduct.

    Raises:
        ValueError: texture is none of `TEXTURES`.

    Examples:
        >>> sheet = fibrotic(healthy((40, 40), 0.5, D0=0.1), "diffuse", seed=0)
        >>> sheet.texture, 0.05 < sheet.fibrosis_density < 0.3
        ('diffuse', True)
    """
    rng = np.random.default_rng(seed)
    texture = texture or str(rng.choice(TEXTURES))
    if texture not in TEXTURES:
        raise ValueError(f"texture: expected one of {TEXTURES}, got {texture!r}")
    fibrosis = _draw_fibrosis(tissue.grid, texture, "dense" if dense else "usual", rng)
    lowering = rng.uniform(0, 0.5) * np.exp(-distance_transform_edt(~fibrosis, sampling=tissue.dx) / RIM_MM)
    return _lower(tissue, 1 - lowering, conductive=~fibrosis, condition="fibrotic", texture=texture)


def combined(tissue: Tissue, seed: int | np.random.Generator = 0) -> Tissue:
    """Gap-junction remodeling and fibrosis in one sheet: `gap_junction`, then `fibrotic`, from one generator."""
    rng = np.random.default_rng(seed)
    return replace(fibrotic(gap_junction(tissue, rng), seed=rng), condition="combined")


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
