"""Insulated homogeneous conductors about the sheet: phi_e = sum_i (A V_m)_i g(r_e, r_i) = L . V_m,  L = A g.

g, in place of 1/r, is the potential at r_e of a unit source at r_i, with mean zero over the boundary, as phi_e has.
"""

# The current of a unit source leaves evenly through the boundary: all the same for sources that add up to zero, as
# those of a sheet do. The electrode must be on the surface of the sphere; it may be anywhere in the disc.

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from forwardecg.contract import array
from forwardecg.ecg.electrodes import Electrodes, by_xyz, check_far
from forwardecg.tissue.grid import LONGEST, length
from forwardecg.tissue.sheet import Tissue

ON_SURFACE = 1e-6  # how far from the boundary an electrode on it may be, in radii


@dataclass(frozen=True)
class Disc:
    """An insulated disc in the plane of the sheet: a 2-D conductor.

    Args:
        radius: mm.
        center: (x, y), mm from the corner of the sheet.

    Raises:
        ValueError: A radius not above 0; a center that is not two finite numbers.

    Examples:
        >>> Disc(radius=50.0, center=(10.0, 10.0)).radius
        50.0
    """

    radius: float
    center: tuple[float, float]

    def __post_init__(self) -> None:
        _check_geometry(self, ("x", "y"))

    def potential(self, at: np.ndarray, source: np.ndarray) -> np.ndarray:
        """g (...), without unit, at points (..., 2) in mm, of unit sources (..., 2), without 1/(2 pi sigma)."""
        # Method of images: g = -ln |r - r0| - ln(|r - r0*| |r0| / R) + 2 ln R, r from the center, r0* = r0 R^2 /
        # |r0|^2. The second distance is sqrt(R^2 - 2 r.r0 + |r|^2 |r0|^2 / R^2), which has no singularity. The normal
        # derivative is -1/R everywhere on the rim, and the mean over the rim is zero.
        r, r0 = (np.asarray(point, float) - self.center for point in (at, source))
        r_r, r_r0, r0_r0 = ((a * b).sum(-1) / self.radius**2 for a, b in ((r, r), (r, r0), (r0, r0)))
        return -np.log(np.linalg.norm(r - r0, axis=-1) / self.radius * np.sqrt(1 - 2 * r_r0 + r_r * r0_r0))

    def weight(self, tissue: Tissue, electrodes: Electrodes) -> np.ndarray:
        """g (lead, y, x), without unit, of each electrode and cell, 0 in those that do not conduct."""
        at = electrodes.positions
        from_center = np.linalg.norm(at[:, :2] - self.center, axis=1)
        outside = (at[:, 2] != 0) | (from_center > self.radius * (1 + ON_SURFACE))
        if outside.any():
            lead, wanted = int(outside.argmax()), f"z = 0 and at most {self.radius} mm from the center of the disc"
            came = f"{electrodes.names[lead]!r} at z = {at[lead, 2]:.4g} mm, {from_center[lead]:.6g} mm from it"
            raise ValueError(f"electrodes: expected {wanted}, got {came}")
        return _weight(self, tissue, electrodes, at[:, :2])


@dataclass(frozen=True)
class Sphere:
    """An insulated sphere with the sheet inside it at z = 0.

    Args:
        radius: mm.
        center: (x, y, z), mm from the corner of the sheet.

    Raises:
        ValueError: A radius not above 0; a center that is not three finite numbers.

    Examples:
        >>> Sphere(radius=50.0, center=(10.0, 10.0, 0.0)).project([10.0, 10.0, 4.0]).tolist()
        [10.0, 10.0, 50.0]
    """

    radius: float
    center: tuple[float, float, float]

    def __post_init__(self) -> None:
        _check_geometry(self, ("x", "y", "z"))

    def project(self, points: np.ndarray) -> np.ndarray:
        """Points (..., 3) in mm moved away from the center onto the surface."""
        points = by_xyz("points", points) if isinstance(points, xr.DataArray) else points
        points = array("points", points, (..., "xyz"), "mm").astype(float)
        if points.shape[-1] != 3:
            raise ValueError(f"points: expected (..., 3) in mm, got an array of shape {points.shape}")
        from_center = points - self.center
        length = np.linalg.norm(from_center, axis=-1, keepdims=True)
        if not (length > 0).all():
            raise ValueError(f"points: expected points away from the center {self.center}, got the center")
        return self.center + self.radius * from_center / length

    def potential(self, at: np.ndarray, source: np.ndarray) -> np.ndarray:
        """g (...) in 1/mm at surface points (..., 3) in mm, of unit sources inside (..., 3), without 1/(4 pi sigma)."""
        # g = [2 (1/d - 1) + ln(2/(1 - x c + d))] / R, d = sqrt(1 - 2 x c + x^2), x = |r0|/R, c = cos of the angle
        # between them: the sum over n >= 1 of (2 n + 1)/n x^n P_n(c), divided by R. Wilson and Bayley, Circulation 1:84
        # (1950); Frank, J. Appl. Phys. 23:1225 (1952).
        r, r0 = ((np.asarray(point, float) - self.center) / self.radius for point in (at, source))
        d = np.linalg.norm(r - r0, axis=-1)
        return (2 * (1 / d - 1) + np.log(2 / (1 - (r * r0).sum(-1) + d))) / self.radius

    def weight(self, tissue: Tissue, electrodes: Electrodes) -> np.ndarray:
        """g (lead, y, x) in 1/mm of each electrode and cell, 0 in those that do not conduct."""
        at = electrodes.positions
        from_center = np.linalg.norm(at - self.center, axis=1)
        off = np.abs(from_center - self.radius)
        if (off > ON_SURFACE * self.radius).any():
            lead = int(off.argmax())
            wanted = f"{self.radius} mm from the center of the sphere, as Sphere.project moves them"
            came = f"{electrodes.names[lead]!r} at {from_center[lead]:.6g} mm"
            raise ValueError(f"electrodes: expected {wanted}, got {came}")
        return _weight(self, tissue, electrodes, at)


def _check_geometry(conductor: Disc | Sphere, axes: tuple[str, ...]) -> None:
    object.__setattr__(conductor, "radius", length("radius", conductor.radius))
    given = conductor.center
    given = given.rename_axis("xyz").to_xarray() if isinstance(given, pd.Series) else given
    if isinstance(given, xr.DataArray) and given.ndim == 1:
        given = by_xyz("center", given, "".join(axes), str(given.dims[0]))
    center = array("center", given, (...,), "mm", shape=[len(axes)]).astype(float)
    if (np.abs(center) > LONGEST).any():
        raise ValueError(f"center: expected ({', '.join(axes)}) within {LONGEST:g} mm, got {center.tolist()}")
    object.__setattr__(conductor, "center", tuple(center.tolist()))


def _weight(conductor: Disc | Sphere, tissue: Tissue, electrodes: Electrodes, at: np.ndarray) -> np.ndarray:
    """g of every electrode and conductive cell, checked; zero at the others, whose faces are closed."""
    rows, columns = np.nonzero(tissue.conductive)
    cells = np.stack([columns + 0.5, rows + 0.5, np.zeros(rows.size)], axis=1)[:, : at.shape[1]] * tissue.dx
    reach = np.linalg.norm(cells - conductor.center, axis=1).max() + tissue.dx / np.sqrt(2)
    if reach > conductor.radius:
        wanted = f"within {conductor.radius} mm of the center {conductor.center} of the conductor"
        raise ValueError(f"sheet: expected every conductive cell {wanted}, got one that reaches to {reach:.6g} mm")
    nearest = np.array([np.linalg.norm(cells - point, axis=1).min() for point in at])
    check_far(electrodes, nearest, tissue.dx, f"dx = {tissue.dx} mm from conductive cells")
    weight = np.zeros((len(at), *tissue.D.shape))
    for lead, point in enumerate(at):
        weight[lead, rows, columns] = conductor.potential(point, cells)
    return weight
