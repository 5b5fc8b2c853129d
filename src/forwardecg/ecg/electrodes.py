"""Electrodes: where the potential is taken, in mm from the corner of the sheet, x along columns, y along rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from forwardecg.contract import array, count, number
from forwardecg.tissue.grid import LONGEST, Grid, freeze, length
from forwardecg.tissue.sheet import Tissue, grid_of

# Fractions (x, y) of the sheet, looked at as the front of a body is: the right arm is on the viewer's left. The limbs
# are above three corners; the chest runs from left of the middle down to the side below LA. The right leg is only the
# ground.
STANDARD = {
    "RA": (0.0, 1.0), "LA": (1.0, 1.0), "LL": (1.0, 0.0),
    "V1": (0.40, 0.60), "V2": (0.52, 0.60), "V3": (0.62, 0.52),
    "V4": (0.72, 0.44), "V5": (0.84, 0.42), "V6": (0.96, 0.42),
}  # fmt: skip
MOST = 1000  # electrodes along one side of a grid, or on a ring


@dataclass(frozen=True)
class Electrodes:
    """Points in space and what they are called.

    Args:
        positions: (lead, xyz), mm from the corner of the sheet, which lies in z = 0, or in the frame of a mesh, or of
            maps with coordinates in mm; labeled arrays are read by their dims, units and names. Kept as a copy that does not change.
        names: one a position, all different: any sequence of words.

    Raises:
        ValueError: Positions of another shape, or not finite; names that are not as many, not distinct, or not those of
            labeled positions in their order; labels along xyz other than x, y and z.

    Examples:
        >>> Electrodes(np.array([[10.0, 10.0, 40.0]]), ("above",)).names
        ('above',)
    """

    positions: np.ndarray
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        given, names = self.positions, words("electrodes", self.names)
        given = of_table(given, "xyz") if isinstance(given, pd.DataFrame) else given
        if isinstance(given, xr.DataArray):
            given, own = by_xyz("electrodes", given), names_of(given)
            if own not in (None, names):
                raise ValueError(f"electrodes: expected the names {own}, in the order of the positions, got {names}")
        at = array("electrodes", given, ("lead", "xyz"), "mm", shape=(None, 3)).astype(float)
        if (np.abs(at) > LONGEST).any():
            raise ValueError(f"electrodes: expected positions within {LONGEST:g} mm, got {np.abs(at).max():g} mm")
        if len(names) != len(at) or len(set(names)) != len(at):
            raise ValueError(f"electrodes: expected {len(at)} distinct names, got {names}")
        object.__setattr__(self, "positions", freeze(at))
        object.__setattr__(self, "names", names)


def by_xyz(name: str, values: xr.DataArray, axes: str = "xyz", dim: str = "xyz") -> xr.DataArray:
    """Positions with their ``axes`` in this order, if a dim has labels; ValueError for labels that are no x, y and z."""
    if dim not in values.dims or dim not in values.coords or values[dim].values.tolist() == [*range(values.sizes[dim])]:
        return values
    labels = [str(one).lower() for one in values[dim].values]
    if sorted(labels) != [*axes]:
        raise ValueError(f"{name}: expected {', '.join(axes)} along {dim}, in any order, got {labels}")
    return values.isel({dim: [labels.index(one) for one in axes]})


def names_of(values: xr.DataArray) -> tuple[str, ...] | None:
    """The words along the dim lead; None if there are none, or they are numbers."""
    found = values["lead"].values.tolist() if "lead" in values.coords and values["lead"].ndim else []
    return tuple(found) if found and all(isinstance(one, str) for one in found) else None


def of_table(table: pd.DataFrame, other: str) -> xr.DataArray:
    """A table of pandas by the words that stand along its axes: those of ``lead``, and of columns that are called x, y, z."""
    named = [all(isinstance(one, str) for one in axis) for axis in table.axes]
    across = table.columns.name == "lead" or named == [False, True] and other != "xyz"  # the columns are leads
    coords = {dim: [*axis] for dim, axis, words in zip(("lead", other), table.axes, named, strict=True) if words}
    return of_table(table.T, other) if across else xr.DataArray(table.to_numpy(), coords, ("lead", other))


def words(name: str, names: Any) -> tuple[str, ...]:
    """Names as a tuple of plain words, of any sequence or array of words; ValueError for all else."""
    found = names if isinstance(names, np.ndarray) or not hasattr(names, "dtype") else np.asarray(names)
    found = found.tolist() if isinstance(found, np.ndarray) else found
    if isinstance(found, str) or not isinstance(found, Sequence) or not all(isinstance(word, str) for word in found):
        raise ValueError(f"{name}: expected names that are a sequence of words, got {names!r:.60}")
    return tuple(map(str, found))


def check_far(electrodes: Electrodes, nearest: np.ndarray, least: float | np.ndarray, what: str) -> None:
    """ValueError if an electrode is nearer, ``nearest`` (lead,) in mm, than ``least`` mm; ``what`` says to what."""
    if (nearest < least).any():
        lead = int((nearest - least).argmin())
        came = f"{electrodes.names[lead]!r} at {nearest[lead]:.3g} mm"
        raise ValueError(f"electrodes: expected every electrode at least {what}, got {came}")


def _height(z: Any) -> float:
    return number("z", z, -LONGEST, LONGEST, unit="mm")


def center_electrode(sheet: Tissue | Grid, z: float = 40.0) -> Electrodes:
    """One electrode above the center of the sheet.

    Args:
        sheet: the tissue, or its grid.
        z: mm above the sheet, or below where it is negative.

    Returns:
        The electrode, called center.

    Examples:
        >>> center_electrode(Grid((40, 60), dx=0.5)).positions.tolist()
        [[15.0, 10.0, 40.0]]
    """
    height, width = grid_of(sheet).size
    z = _height(z)
    return Electrodes(np.array([[width / 2, height / 2, z]]), ("center",))


def grid_electrodes(sheet: Tissue | Grid, n_y: int, n_x: int, z: float = 40.0) -> Electrodes:
    """``n_y`` x ``n_x`` electrodes ``z`` mm above the middles of as many equal parts of the sheet: y1x1, y1x2, ..."""
    n_y, n_x, z = count("n_y", n_y, 1, MOST), count("n_x", n_x, 1, MOST), _height(z)
    grid = grid_of(sheet)
    x, y = ((np.arange(n) + 0.5) * length * grid.dx / n for n, length in zip((n_x, n_y), grid.shape[::-1], strict=True))
    positions = [(at_x, at_y, z) for at_y in y for at_x in x]
    return Electrodes(np.array(positions), tuple(f"y{i + 1}x{j + 1}" for i in range(n_y) for j in range(n_x)))


def ring_electrodes(sheet: Tissue | Grid, n: int, radius: float, z: float = 40.0) -> Electrodes:
    """``n`` electrodes on a circle of ``radius`` mm, ``z`` mm above the center, from x toward y: ring1, ring2, ..."""
    n, radius = count("n", n, 1, MOST), length("radius", radius)
    angle = 2 * np.pi * np.arange(n) / n
    circle = radius * np.stack([np.cos(angle), np.sin(angle), np.zeros(n)], axis=1)
    return Electrodes(circle + center_electrode(sheet, z).positions, tuple(f"ring{k + 1}" for k in range(n)))


def standard_electrodes(sheet: Tissue | Grid, z: float = 40.0) -> Electrodes:
    """RA, LA, LL and V1 to V6 in one plane above the sheet: our stylized arrangement, not an anatomy.

    Args:
        sheet: the tissue, or its grid.
        z: mm above the sheet, or below where it is negative.

    Returns:
        The nine electrodes at the places of `STANDARD`, in its order.

    Examples:
        >>> standard_electrodes(Grid((40, 40), dx=0.5)).names
        ('RA', 'LA', 'LL', 'V1', 'V2', 'V3', 'V4', 'V5', 'V6')
    """
    size, z = np.array(grid_of(sheet).size[::-1]), _height(z)
    return Electrodes(np.array([(*(size * at), z) for at in STANDARD.values()]), tuple(STANDARD))


def bank_electrodes(sheet: Tissue | Grid, z: float = 40.0, seed: int = 0) -> Electrodes:
    """37 electrodes of a square sheet: the center one at ``z`` mm, and 36 seeded ones, named by one of three roles."""
    # They come in whole orbits of the eight symmetries of the square, so that a turned or mirrored sheet permutes the
    # bank: train, 24 at heights of 12-96 mm; unseen, 8 at 12-96 mm; near, 4 at 5-8 mm.
    grid, z, seed = grid_of(sheet), _height(z), count("seed", seed, 0, 2**128)
    if grid.shape[0] != grid.shape[1]:
        raise ValueError(f"shape: expected a square sheet, got {grid.shape[0]} x {grid.shape[1]} cells")
    rng, half = np.random.default_rng([seed, 37]), grid.size[0] / 2
    heights = np.geomspace(12.0, 96.0, 5)  # four layers, so that the heights of training are spread
    layers = {"train": zip(heights[:-1], heights[1:], strict=True), "unseen": ((12, 34), (34, 96)), "near": ((5, 8),)}
    positions, names = [(half, half, z)], ["center"]
    for role, ranges in layers.items():
        orbit = []
        for n, (low, high) in enumerate(ranges):
            a, b = rng.uniform(0.1, 0.9, 2) * half  # offsets from the center
            # a general place has eight images, one on an axis or on a diagonal four
            offset = (a, b) if role == "train" and n % 2 else (a, 0.0) if role != "near" and n % 4 == 0 else (a, a)
            orbit += [(half + x, half + y, height) for height in [rng.uniform(low, high)] for x, y in _images(*offset)]
        positions += orbit
        names += [f"{role}{k + 1}" for k in range(len(orbit))]
    return Electrodes(np.array(positions), tuple(names))


def _images(x: float, y: float) -> list[tuple[float, float]]:
    """Distinct images of the point (x, y) under the eight symmetries of the square about the origin."""
    turned = [(x, y), (-y, x), (-x, -y), (y, -x)]
    return list(dict.fromkeys((a + 0.0, b + 0.0) for a, b in turned + [(-x, y) for x, y in turned]))


def match_electrodes(positions: np.ndarray, size: float) -> np.ndarray:
    """Indices (8, lead) of ``positions`` (lead, xyz) over a square sheet of ``size`` mm, by symmetry of the sheet."""
    # under symmetry n, as `apply_symmetry` numbers them, the ECG of electrode k is the former one of electrode [n, k]
    positions = array("positions", positions, ("lead", "xyz"), "mm", shape=(None, 3)).astype(float)
    size = length("size", size)
    offset, found = positions[:, :2] - size / 2, []
    places = np.column_stack([offset, positions[:, 2]])
    for n in range(8):
        x, y = offset.T * ([[-1], [1]] if n >= 4 else [[1], [1]])  # undo the mirror, then the turns
        for _ in range(n % 4):
            x, y = -y, x
        gaps = np.abs(np.stack([x, y, positions[:, 2]], 1)[:, None] - places).max(-1)
        found.append(gaps.argmin(1))
        if gaps.min(1).max() > 1e-6 * size:
            came = f"{positions[gaps.min(1).argmax()]} mm with no partner under symmetry {n}"
            wanted = "places that the symmetries of the sheet map onto each other"
            raise ValueError(f"electrodes: expected {wanted}, got {came}")
    return np.array(found)
