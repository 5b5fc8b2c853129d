"""Tissue sheets: diffusivity, fibers, fibrosis.

Four conditions, each drawn from a seed: healthy, gap-junction remodelled (lower D), fibrotic (non-conductive cells in
four textures, D lowered around them) and combined. Sizes in mm, D in mm^2/ms, arrays (y, x).
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import distance_transform_edt

CONDITIONS = ("healthy", "gap_junction", "fibrotic", "combined")
TEXTURES = ("diffuse", "patchy", "compact", "interstitial")
SHARES = {  # ranges of the share of fibrotic cells
    "usual": {"diffuse": (0.05, 0.28), "patchy": (0.08, 0.35), "interstitial": (0.05, 0.25)},
    "dense": {"diffuse": (0.28, 0.36), "patchy": (0.35, 0.45), "interstitial": (0.25, 0.35)},
}
ELLIPSES = {"usual": (1, 4), "dense": (5, 7)}  # fewest and most scars of compact fibrosis
RIM_MM = 2.0  # distance over which D recovers around fibrosis


@dataclass(frozen=True, kw_only=True)
class Tissue:
    """A square-pixel sheet: ``D`` (y, x) in mm^2/ms, ``conductive`` (y, x) bool, ``dx`` in mm, and how it came about.

    With fibers, ``D`` is the diffusivity along them, ``D_across`` (y, x) the one across, and ``fiber_angle`` (y, x) their
    direction in rad from the x axis; without, both are None and D holds for all directions.

    Parameters
    ----------
    D : (y, x), mm^2/ms
    conductive : (y, x) bool; False: fibrosis
    dx : mm, side of a cell
    D_across : (y, x), mm^2/ms, across the fibers; None: no fibers
    fiber_angle : (y, x), rad from the x axis; None: no fibers
    condition, texture : one of `CONDITIONS`, and one of `TEXTURES` or none
    gj_scale : factor of D by gap-junction remodelling
    seed : what the tissue was drawn from

    Raises
    ------
    ValueError
        D or D_across not 2-D, not finite or negative; conductive of another shape or type, or nowhere true; dx not
        positive; only one of D_across and fiber_angle.

    Examples
    --------
    >>> sheet = Tissue(D=[[0.1, 0.1], [0.1, 0.0]], conductive=np.ones((2, 2), bool), dx=0.5)
    >>> sheet.D.shape, sheet.conducting.tolist()
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
        if not (np.isfinite(self.dx) and self.dx > 0):
            raise ValueError(f"dx: expected a length > 0 mm, got {self.dx}")
        if self.D.ndim != 2:
            raise ValueError(f"D: expected dims (y, x), got an array of shape {self.D.shape}")
        if not np.isfinite(self.D).all():
            raise ValueError(f"D: expected finite values in mm^2/ms, got {np.sum(~np.isfinite(self.D))} that are not")
        if (self.D < 0).any():
            raise ValueError(f"D: expected values >= 0 mm^2/ms, got a minimum of {self.D.min()}")
        if (self.D_across is None) != (self.fiber_angle is None):
            raise ValueError("D_across, fiber_angle: expected both or neither, got one of them")
        for name in ("D_across", "fiber_angle"):
            part = getattr(self, name)
            if part is not None and (np.shape(part) != self.D.shape or not np.isfinite(part).all()):
                raise ValueError(f"{name}: expected finite values of shape {self.D.shape}, got shape {np.shape(part)}")
        if self.D_across is not None and (self.D_across < 0).any():
            raise ValueError(f"D_across: expected values >= 0 mm^2/ms, got a minimum of {self.D_across.min()}")
        if self.conductive.shape != self.D.shape or self.conductive.dtype != bool:
            raise ValueError(
                f"conductive: expected bool of shape {self.D.shape}, got {self.conductive.dtype} {self.conductive.shape}"
            )
        if not self.conducting.any():
            raise ValueError(
                "conductive: expected at least one conductive cell with D (and D_across) > 0, got an empty sheet"
            )

    @property
    def conducting(self) -> np.ndarray:
        """Cells (y, x) that take part: conductive, and with a diffusivity above 0.

        Examples
        --------
        >>> sheet = Tissue(D=[[0.1, 0.0, 0.1]], conductive=np.array([[True, True, False]]), dx=0.5)
        >>> sheet.conducting.tolist()
        [[True, False, False]]
        """
        across = self.D if self.D_across is None else self.D_across
        return self.conductive & (self.D > 0) & (across > 0)

    @property
    def fibrosis_density(self) -> float:
        """Share of non-conductive cells.

        Examples
        --------
        >>> Tissue(D=[[0.1, 0.1]], conductive=np.array([[True, False]]), dx=0.5).fibrosis_density
        0.5
        """
        return float(1 - self.conductive.mean())


def _scaled(tissue: Tissue, factor) -> dict[str, np.ndarray]:
    """D, and D_across where there are fibers, times ``factor``: remodeling does not turn the fast axis."""
    across = tissue.D_across
    return {"D": tissue.D * factor, "D_across": None if across is None else across * factor}


def smooth_noise(
    shape, dx: float, rng: np.random.Generator, along: float, across: float, angle: float = 0.0
) -> np.ndarray:
    """Gaussian noise with correlation lengths ``along``, ``across`` (mm) at ``angle`` (rad), ranked to be uniform in 0..1.

    Parameters
    ----------
    shape : cells (y, x)
    dx : mm
    rng : where its chance comes from
    along, across : mm, correlation lengths
    angle : rad from the x axis, direction of ``along``

    Returns
    -------
    noise : (y, x), equally spaced values in 0 .. 1, each of them once

    Examples
    --------
    >>> noise = smooth_noise((20, 30), 0.5, np.random.default_rng(0), along=5.0, across=1.0)
    >>> noise.shape, round(float(noise.mean()), 3), round(float((noise < 0.3).mean()), 3)
    ((20, 30), 0.5, 0.3)
    """
    k_y, k_x = np.meshgrid(*(2 * np.pi * np.fft.fftfreq(n, dx) for n in shape), indexing="ij")
    k_along, k_across = k_x * np.cos(angle) + k_y * np.sin(angle), k_y * np.cos(angle) - k_x * np.sin(angle)
    smoothing = np.exp(-0.5 * ((k_along * along) ** 2 + (k_across * across) ** 2))
    noise = np.fft.ifft2(np.fft.fft2(rng.standard_normal(shape)) * smoothing).real
    return (noise.ravel().argsort().argsort().reshape(shape) + 0.5) / noise.size


def healthy(shape: tuple[int, int], dx: float, D0: float, seed: int | None = None) -> Tissue:
    """Uniform diffusivity ``D0`` everywhere.

    Parameters
    ----------
    shape : cells (y, x)
    dx : mm
    D0 : mm^2/ms
    seed : kept as a note

    Returns
    -------
    tissue : every cell conducts

    Raises
    ------
    ValueError
        What `Tissue` refuses.

    Examples
    --------
    >>> sheet = healthy((4, 6), 0.5, D0=0.13)
    >>> sheet.D.shape, float(sheet.D[0, 0]), sheet.condition
    ((4, 6), 0.13, 'healthy')
    """
    return Tissue(D=np.full(shape, float(D0)), conductive=np.ones(shape, bool), dx=dx, seed=seed)


def with_fibers(tissue: Tissue, angle, ratio: float) -> Tissue:
    """The tissue with fibers at ``angle`` (rad from the x axis; a number or (y, x)), and D_across = D / ``ratio``.

    Parameters
    ----------
    tissue : sheet; its D becomes the one along the fibers
    angle : rad from the x axis, a number or (y, x)
    ratio : D over D_across

    Returns
    -------
    tissue : the same cells with fibers

    Raises
    ------
    ValueError
        ratio not at least 1.

    Examples
    --------
    >>> sheet = with_fibers(healthy((4, 6), 0.5, D0=0.12), angle=np.pi / 6, ratio=4.0)
    >>> round(float(sheet.D_across[0, 0]), 3)
    0.03
    """
    if not (np.isfinite(ratio) and ratio >= 1):
        raise ValueError(f"ratio: expected D / D_across >= 1, got {ratio}")
    angle = np.broadcast_to(np.asarray(angle, float), tissue.D.shape).copy()
    return replace(tissue, D_across=tissue.D / ratio, fiber_angle=angle)


def gap_junction(tissue: Tissue, rng: np.random.Generator) -> Tissue:
    """Gap-junction remodelling: D times U(.3, .75), over the whole sheet or (one half) in smooth regions of 20 mm.

    Parameters
    ----------
    tissue : sheet to start from
    rng : where its chance comes from

    Returns
    -------
    tissue : with lower D, and ``gj_scale``, the factor drawn

    Examples
    --------
    >>> sheet = gap_junction(healthy((40, 40), 0.5, D0=0.1), np.random.default_rng(0))
    >>> sheet.condition, 0.3 <= sheet.gj_scale < 0.75, bool(sheet.D.max() <= 0.1)
    ('gap_junction', True, True)
    """
    gj_scale = rng.uniform(0.3, 0.75)
    if rng.random() < 0.5:
        factor = gj_scale
    else:
        region = smooth_noise(tissue.D.shape, tissue.dx, rng, 20.0, 20.0)
        factor = 1 - (1 - gj_scale) * np.clip(2 * region - 0.5, 0, 1)  # type: ignore[assignment]
    return replace(tissue, **_scaled(tissue, factor), condition="gap_junction", gj_scale=gj_scale)  # type: ignore[arg-type]


def fibrotic(tissue: Tissue, rng: np.random.Generator, texture: str | None = None, dense: bool = False) -> Tissue:
    """Fibrosis: non-conductive cells in one of four textures, and D lowered by up to one half around them.

    diffuse: single cells; patchy: blobs of 1.5-4 mm; compact: `ELLIPSES` with noisy rims; interstitial: strands. Their
    shares are drawn from `SHARES`; ``dense`` takes the ranges above those of the usual fibrosis.

    Parameters
    ----------
    tissue : sheet to start from
    rng : where its chance comes from
    texture : one of `TEXTURES`; None: drawn
    dense : take the shares above the usual ones

    Returns
    -------
    tissue : with cells that do not conduct

    Raises
    ------
    ValueError
        texture is none of `TEXTURES`.

    Examples
    --------
    >>> sheet = fibrotic(healthy((40, 40), 0.5, D0=0.1), np.random.default_rng(0), "diffuse")
    >>> sheet.texture, 0.05 < sheet.fibrosis_density < 0.3
    ('diffuse', True)
    """
    shape, dx = tissue.D.shape, tissue.dx
    texture, amount = texture or str(rng.choice(TEXTURES)), "dense" if dense else "usual"
    share = SHARES[amount].get(texture)
    if texture == "diffuse":
        fibrosis = rng.random(shape) < rng.uniform(*share)  # type: ignore[misc]
    elif texture == "patchy":
        length = rng.uniform(1.5, 4.0)
        fibrosis = smooth_noise(shape, dx, rng, length, length) < rng.uniform(*share)  # type: ignore[misc]
    elif texture == "compact":
        fibrosis = _ellipses(shape, dx, rng, *ELLIPSES[amount])
    elif texture == "interstitial":
        strands = smooth_noise(shape, dx, rng, 5.0, 0.5, rng.uniform(0, np.pi))
        fibrosis = strands < rng.uniform(*share)  # type: ignore[misc]
    else:
        raise ValueError(f"texture: expected one of {TEXTURES}, got {texture!r}")
    lowering = rng.uniform(0, 0.5) * np.exp(-distance_transform_edt(~fibrosis, sampling=dx) / RIM_MM)
    return replace(tissue, **_scaled(tissue, 1 - lowering), conductive=~fibrosis, condition="fibrotic", texture=texture)  # type: ignore[arg-type]


def combined(tissue: Tissue, rng: np.random.Generator) -> Tissue:
    """Gap-junction remodelling and fibrosis in one sheet.

    Parameters
    ----------
    tissue : sheet to start from
    rng : where its chance comes from

    Returns
    -------
    tissue : as from `gap_junction`, then `fibrotic`

    Examples
    --------
    >>> sheet = combined(healthy((40, 40), 0.5, D0=0.1), np.random.default_rng(0))
    >>> sheet.condition, sheet.gj_scale < 0.75, sheet.fibrosis_density > 0
    ('combined', True, True)
    """
    return replace(fibrotic(gap_junction(tissue, rng), rng), condition="combined")


def _ellipses(shape: tuple[int, int], dx: float, rng: np.random.Generator, fewest: int, most: int) -> np.ndarray:
    """Ellipses with half-axes of 4 to 15 % of the longer side and a noisy rim."""
    y, x = np.meshgrid(*((np.arange(n) + 0.5) * dx for n in shape), indexing="ij")
    inside = np.zeros(shape, bool)
    rim = 0.6 * (smooth_noise(shape, dx, rng, 3.0, 3.0) - 0.5)
    for _ in range(rng.integers(fewest, most + 1)):
        center_y, center_x = rng.uniform(0.1, 0.9, 2) * np.array(shape) * dx
        angle, half_axes = rng.uniform(0, np.pi), rng.uniform(0.04, 0.15, 2) * max(shape) * dx
        along = (x - center_x) * np.cos(angle) + (y - center_y) * np.sin(angle)
        across = (y - center_y) * np.cos(angle) - (x - center_x) * np.sin(angle)
        inside |= (along / half_axes[0]) ** 2 + (across / half_axes[1]) ** 2 < 1 + rim
    return inside
