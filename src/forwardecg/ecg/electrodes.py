"""Electrodes and leads: where the potential is taken, and which differences of it are called a lead.

A lead is a linear combination of electrodes, sum_e M_le phi_e: a matrix M, that works on potentials (lead, time) and on
lead fields (lead, y, x) alike. Positions in mm from the corner of the sheet, x along columns, y along rows, z above it.
"""

from dataclasses import dataclass

import numpy as np
import xarray as xr

LIMBS = ("RA", "LA", "LL")
CHEST = ("V1", "V2", "V3", "V4", "V5", "V6")
TWELVE = ("I", "II", "III", "aVR", "aVL", "aVF", *CHEST)
STANDARD = {  # fractions (x, y) of the sheet, seen from the front: the right arm of the body is on the viewer's left
    "RA": (0.0, 1.0), "LA": (1.0, 1.0), "LL": (1.0, 0.0),
    "V1": (0.40, 0.60), "V2": (0.52, 0.60), "V3": (0.62, 0.52),
    "V4": (0.72, 0.44), "V5": (0.84, 0.42), "V6": (0.96, 0.42),
}  # fmt: skip


@dataclass(frozen=True)
class Electrodes:
    """Points ``positions`` (lead, xyz) in mm from the corner of the sheet (which lies in z = 0), and their ``names``.

    Parameters
    ----------
    positions : (lead, xyz), mm
    names : one a position, all different

    Raises
    ------
    ValueError
        Positions of another shape, or not finite; names that are not as many, or not distinct.

    Examples
    --------
    >>> Electrodes(np.array([[10.0, 10.0, 40.0]]), ("above",)).names
    ('above',)
    """

    positions: np.ndarray
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        shape = np.shape(self.positions)
        if len(shape) != 2 or shape[0] == 0 or shape[1] != 3:
            raise ValueError(f"electrodes: expected positions of shape (lead, 3) in mm, got {shape}")
        if not np.isfinite(self.positions).all():
            raise ValueError("electrodes: expected finite positions in mm, got some that are not")
        if len(self.names) != shape[0] or len(set(self.names)) != shape[0]:
            raise ValueError(f"electrodes: expected {shape[0]} distinct names, got {self.names}")


def center_electrode(shape: tuple[int, int], dx: float, z: float = 40.0) -> Electrodes:
    """One electrode ``z`` mm above the center of a sheet of ``shape`` (y, x) cells of ``dx`` mm.

    Parameters
    ----------
    shape : cells (y, x)
    dx, z : mm

    Returns
    -------
    electrodes : one, called center

    Examples
    --------
    >>> center_electrode((40, 60), 0.5).positions.tolist()
    [[15.0, 10.0, 40.0]]
    """
    return Electrodes(np.array([[shape[1] * dx / 2, shape[0] * dx / 2, z]]), ("center",))


def grid_electrodes(shape: tuple[int, int], dx: float, n_y: int, n_x: int, z: float = 40.0) -> Electrodes:
    """``n_y`` x ``n_x`` electrodes ``z`` mm above the middles of as many equal parts of the sheet: y1x1, y1x2, ...

    Parameters
    ----------
    shape : cells (y, x)
    dx, z : mm
    n_y, n_x : rows and columns of electrodes

    Returns
    -------
    electrodes : row by row

    Raises
    ------
    ValueError
        n_y or n_x below 1.

    Examples
    --------
    >>> places = grid_electrodes((40, 40), 0.5, n_y=1, n_x=2)
    >>> places.names, places.positions[:, 0].tolist()
    (('y1x1', 'y1x2'), [5.0, 15.0])
    """
    for name, n in (("n_y", n_y), ("n_x", n_x)):
        if n < 1:
            raise ValueError(f"{name}: expected at least 1 electrode, got {n}")
    x, y = ((np.arange(n) + 0.5) * length * dx / n for n, length in ((n_x, shape[1]), (n_y, shape[0])))
    positions = [(at_x, at_y, z) for at_y in y for at_x in x]
    return Electrodes(np.array(positions), tuple(f"y{i + 1}x{j + 1}" for i in range(n_y) for j in range(n_x)))


def ring_electrodes(shape: tuple[int, int], dx: float, n: int, radius: float, z: float = 40.0) -> Electrodes:
    """``n`` electrodes on a circle of ``radius`` mm, ``z`` mm above the center of the sheet, from x toward y.

    Parameters
    ----------
    shape : cells (y, x)
    dx, z : mm
    n, radius : how many, and mm

    Returns
    -------
    electrodes : ring1, ring2, ...

    Raises
    ------
    ValueError
        n below 1; radius not above 0.

    Examples
    --------
    >>> ring_electrodes((40, 40), 0.5, n=4, radius=5.0).positions[1].round(3).tolist()
    [10.0, 15.0, 40.0]
    """
    if n < 1:
        raise ValueError(f"n: expected at least 1 electrode, got {n}")
    if not radius > 0:
        raise ValueError(f"radius: expected a length > 0 mm, got {radius}")
    angle = 2 * np.pi * np.arange(n) / n
    circle = radius * np.stack([np.cos(angle), np.sin(angle), np.zeros(n)], axis=1)
    return Electrodes(circle + center_electrode(shape, dx, z).positions, tuple(f"ring{k + 1}" for k in range(n)))


def standard_electrodes(shape: tuple[int, int], dx: float, z: float = 40.0) -> Electrodes:
    """RA, LA, LL and V1 to V6 in one plane ``z`` mm above the sheet: our stylized arrangement, not an anatomy.

    The sheet is looked at as the front of a body is, y upward. The limb electrodes are above three of its corners; the
    chest electrodes run from left of the middle down to the side below LA (`STANDARD`, in fractions of the sheet). A
    body is neither flat nor the size of its heart. The right leg carries only the ground and has no electrode.

    Parameters
    ----------
    shape : cells (y, x)
    dx, z : mm

    Returns
    -------
    electrodes : nine, in the order of `STANDARD`

    Examples
    --------
    >>> standard_electrodes((40, 40), 0.5).names
    ('RA', 'LA', 'LL', 'V1', 'V2', 'V3', 'V4', 'V5', 'V6')
    """
    size = np.array([shape[1], shape[0]]) * dx
    return Electrodes(np.array([(*(size * at), z) for at in STANDARD.values()]), tuple(STANDARD))


def bank_electrodes(shape: tuple[int, int], dx: float, z: float = 40.0, seed: int = 0) -> Electrodes:
    """37 electrodes of a square sheet: the center one and 36 seeded ones in three roles, which the names begin with.

    train: 24 at heights of 12-96 mm; unseen: 8 at 12-96 mm; near: 4 at 5-8 mm. They come in whole orbits of the eight
    symmetries of the square, so that a turned or mirrored sheet permutes the bank (`symmetry_permutations`).

    Parameters
    ----------
    shape : cells (y, x), as many in y as in x
    dx, z : mm; z of the center one
    seed : of the places

    Returns
    -------
    electrodes : center, then train1, ..., unseen1, ..., near1, ...

    Raises
    ------
    ValueError
        A sheet that is no square.

    Examples
    --------
    >>> bank = bank_electrodes((40, 40), 0.5)
    >>> len(bank.names), bank.names[:2], bank.names[-1]
    (37, ('center', 'train1'), 'near4')
    """
    if shape[0] != shape[1]:
        raise ValueError(f"shape: expected a square sheet, got {shape[0]} x {shape[1]} cells")
    rng, half = np.random.default_rng([seed, 37]), shape[0] * dx / 2
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


def symmetry_permutations(positions: np.ndarray, size: float) -> np.ndarray:
    """Indices (8, lead): under symmetry n of the sheet the ECG of electrode k is the former one of electrode [n, k].

    Symmetry n turns arrays (..., y, x) by n % 4 quarter turns as `np.rot90` does, and from n = 4 on mirrors x then
    (`dataset.symmetry`). positions (lead, xyz) and the side ``size`` of the sheet in mm.

    Parameters
    ----------
    positions : (lead, xyz), mm
    size : mm, side of the sheet

    Returns
    -------
    indices : (8, lead)

    Raises
    ------
    ValueError
        A symmetry takes an electrode to a place where there is none.

    Examples
    --------
    >>> square = np.array([[1.0, 1.0, 9.0], [3.0, 1.0, 9.0], [3.0, 3.0, 9.0], [1.0, 3.0, 9.0]])
    >>> symmetry_permutations(square, size=4.0)[:2].tolist()
    [[0, 1, 2, 3], [1, 2, 3, 0]]
    """
    positions = np.asarray(positions, float)
    offset, found = positions[:, :2] - size / 2, []
    for n in range(8):
        x, y = offset.T * ([[-1], [1]] if n >= 4 else [[1], [1]])  # undo the mirror, then the turns
        for _ in range(n % 4):
            x, y = -y, x
        gaps = np.abs(np.stack([x, y, positions[:, 2]], 1)[:, None] - np.column_stack([offset, positions[:, 2]])).max(
            -1
        )
        found.append(gaps.argmin(1))
        if gaps.min(1).max() > 1e-6 * size:
            k = int(gaps.min(1).argmax())
            raise ValueError(
                f"electrodes: expected places that the symmetries of the sheet map onto each other, got {positions[k]} mm "
                f"with no partner under symmetry {n}"
            )
    return np.array(found)


def lead_matrix(names: tuple[str, ...]) -> tuple[tuple[str, ...], np.ndarray]:
    """Names and matrix (12, len(names)) of the twelve standard leads; electrodes that they do not need get zeros.

    I = LA - RA, II = LL - RA, III = LL - LA; aVR = RA - (LA + LL)/2, and so on; V_k minus the mean of RA, LA and LL.
    Einthoven; the augmented leads are Goldberger's, the mean of the three limbs is Wilson's central terminal.

    Parameters
    ----------
    names : of the electrodes, in any order

    Returns
    -------
    leads, matrix : twelve names, and (12, len(names))

    Raises
    ------
    ValueError
        An electrode of the nine is missing.

    Examples
    --------
    >>> leads, matrix = lead_matrix(tuple(STANDARD))
    >>> leads[0], dict(zip(STANDARD, matrix[0].tolist()))["LA"]
    ('I', 1.0)
    """
    rows = dict(zip(names, np.eye(len(names)), strict=True))
    missing = [name for name in (*LIMBS, *CHEST) if name not in rows]
    if missing:
        raise ValueError(f"electrodes: expected RA, LA, LL and V1 to V6, got none named {', '.join(missing)}")
    RA, LA, LL = (rows[name] for name in LIMBS)
    terminal = (RA + LA + LL) / 3
    limb_leads = [LA - RA, LL - RA, LL - LA, RA - (LA + LL) / 2, LA - (RA + LL) / 2, LL - (RA + LA) / 2]
    return TWELVE, np.array(limb_leads + [rows[name] - terminal for name in CHEST])


def combine(phi_e, electrodes: Electrodes, leads: tuple[str, ...], matrix: np.ndarray):
    """Leads (lead, ...) of potentials or lead fields (lead, ...): sum over the electrodes of matrix times phi_e.

    Parameters
    ----------
    phi_e : (lead, ...) array, one entry per electrode; or an xr.DataArray with the dim lead, which stays one, renamed
    electrodes : those that phi_e was taken at, in its order
    leads, matrix : names, and one row per name with one weight per electrode

    Returns
    -------
    combined : (lead, ...), an array or an xr.DataArray as phi_e is, in its unit

    Raises
    ------
    ValueError
        No dim lead, another number of entries than of electrodes, or other names on the dim lead.

    Examples
    --------
    >>> two = Electrodes(np.array([[0.0, 0.0, 9.0], [9.0, 0.0, 9.0]]), ("a", "b"))
    >>> combine(np.array([[1.0], [3.0]]), two, ("mean",), np.array([[0.5, 0.5]])).tolist()
    [[2.0]]
    """
    labeled = isinstance(phi_e, xr.DataArray)
    if labeled and "lead" not in phi_e.dims:
        raise ValueError(f"phi_e: expected the dim 'lead', got dims {phi_e.dims}")
    n = phi_e.sizes["lead"] if labeled else (np.shape(phi_e) or (0,))[0]
    if n != len(electrodes.names):
        raise ValueError(f"phi_e: expected {len(electrodes.names)} leads, one per electrode, got {n}")
    if not labeled:
        return np.tensordot(matrix, phi_e, axes=1)
    found = tuple(map(str, phi_e["lead"].values)) if "lead" in phi_e.coords else electrodes.names
    if found != tuple(electrodes.names):
        raise ValueError(f"phi_e: expected the leads {tuple(electrodes.names)}, got {found}")
    weights = xr.DataArray(matrix, dims=("combined", "lead"), coords={"combined": list(leads)})
    total = xr.dot(weights, phi_e, dim="lead").rename(combined="lead").transpose(*phi_e.dims)
    return total.rename(phi_e.name).assign_attrs(phi_e.attrs)


def bipolar(phi_e, electrodes: Electrodes, plus: str, minus: str):
    """One lead (1, ...), potential at ``plus`` minus potential at ``minus``, by `combine`.

    Parameters
    ----------
    phi_e : (lead, ...) as `combine` takes it
    electrodes : those that phi_e was taken at
    plus, minus : names of two of them

    Returns
    -------
    lead : (1, ...), called plus-minus where phi_e has names

    Raises
    ------
    ValueError
        No electrode of that name; what `combine` refuses.

    Examples
    --------
    >>> two = Electrodes(np.array([[0.0, 0.0, 9.0], [9.0, 0.0, 9.0]]), ("a", "b"))
    >>> bipolar(np.array([[1.0], [3.0]]), two, "b", "a").tolist()
    [[2.0]]
    """
    for name in (plus, minus):
        if name not in electrodes.names:
            raise ValueError(f"electrodes: expected one named {name!r}, got {electrodes.names}")
    row = [(name == plus) - (name == minus) for name in electrodes.names]
    return combine(phi_e, electrodes, (f"{plus}-{minus}",), np.array([row], float))


def twelve_leads(phi_e, electrodes: Electrodes):
    """The leads I, II, III, aVR, aVL, aVF, V1 to V6 (12, ...) of the nine electrodes, by `combine`.

    Parameters
    ----------
    phi_e : (lead, ...) as `combine` takes it
    electrodes : those that phi_e was taken at, the nine of `STANDARD` among them

    Returns
    -------
    leads : (12, ...)

    Raises
    ------
    ValueError
        An electrode of the nine is missing; what `combine` refuses.

    Examples
    --------
    >>> nine = standard_electrodes((40, 40), 0.5)
    >>> I, II, III = twelve_leads(np.arange(9.0), nine)[:3]
    >>> bool(np.isclose(I + III, II))  # Einthoven
    True
    """
    return combine(phi_e, electrodes, *lead_matrix(electrodes.names))
