"""Pseudo-ECG on meshes of triangles or tetrahedra: phi_e = -integral D grad V_m . grad(1/r) = L . V_m with L = -K (1/r).

Linear elements: K_ij = sum over cells of |cell| grad_i . D grad_j, no flux through the rim. Near an electrode 1/r is no
linear function of a cell, and grad(1/r) is integrated at Gauss points.
"""

from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from forwardecg.contract import array, instance
from forwardecg.ecg.electrodes import Electrodes, check_far
from forwardecg.tissue.grid import freeze
from forwardecg.tissue.sheet import Tissue

NEAR = 4.0  # cells nearer to an electrode than so many of their longest edges are integrated at Gauss points
LEAST = 0.1  # electrodes are at least so many of the nearest cell's longest edge away from where tissue conducts
_GAUSS = 8  # points along each direction of a near cell
_AT_A_TIME = 2**16  # cells
_MOST_D = 1e6  # mm^2/ms

Conductivity = float | ArrayLike | Mapping[int, float]


@dataclass(frozen=True)
class Mesh:
    """Tissue as triangles of a surface, or as tetrahedra of a wall, with voltages at the nodes.

    Args:
        points: (node, xyz), mm; labeled arrays are read by their dims and units.
        cells: (cell, 3 or 4), the nodes of each triangle or tetrahedron.
        D: mm^2/ms; one for all, one a cell (cell,), or one a region {region: D}; along the fibers, if there are some. 0:
            a bath, which has no voltage of its own.
        D_across: the same across the fibers; None: no fibers.
        fibers: (cell, xyz), directions; those of triangles are projected into them, and of length one again.
        regions: (cell,), the number of each cell's region.

    Further attributes: ``fiber_tilt``, the mean sine of the angle between fibers and triangles before the projection.

    Raises:
        ValueError: A field of another shape or type, negative or not finite; nodes that are not there; cells without an
            extent; a region without a D; half of what fibers need; a fiber of no direction, or along the normal.

    Examples:
        >>> square = Mesh([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], [[0, 1, 2], [0, 2, 3]], D=0.1)
        >>> square.size.tolist(), square.D.tolist()  # mm^2, mm^2/ms
        ([0.5, 0.5], [0.1, 0.1])
    """

    points: np.ndarray
    cells: np.ndarray
    _: KW_ONLY
    D: Conductivity
    D_across: Conductivity | None = None
    fibers: np.ndarray | None = None
    regions: np.ndarray | None = None
    fiber_tilt: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        points = array("points", self.points, ("node", "xyz"), "mm", shape=(None, 3)).astype(float)
        cells = array("cells", self.cells, ("cell", "corner"), kinds="iu")
        if cells.shape[1] not in (3, 4):
            raise ValueError(f"cells: expected triangles (cell, 3) or tetrahedra (cell, 4), got shape {cells.shape}")
        if cells.min() < 0 or cells.max() >= len(points):
            came = f"{cells.min()} .. {cells.max()}"
            raise ValueError(f"cells: expected nodes in 0 .. {len(points) - 1}, got {came}")
        self._keep(points=points, cells=cells.astype(np.int64))
        if (thin := np.flatnonzero(~(self.size > 1e-12 * _longest(points, cells) ** (cells.shape[1] - 1)))).size:
            raise ValueError(f"cells: expected cells of an extent above 0, got {thin.size} without, such as {thin[0]}")
        if self.regions is not None:
            self._keep(regions=array("regions", self.regions, ("cell",), shape=(len(cells),), kinds="iu"))
        if (self.D_across is None) != (self.fibers is None):
            raise ValueError("D_across, fibers: expected both or neither, got one of them")
        self._keep(D=self._by_cell("D", self.D))
        if self.D_across is not None:
            self._keep(D_across=self._by_cell("D_across", self.D_across))
            self._align(array("fibers", self.fibers, ("cell", "xyz"), shape=(len(cells), 3)).astype(float))

    def _keep(self, **values: np.ndarray) -> None:
        for name, one in values.items():
            object.__setattr__(self, name, freeze(one))

    def _by_cell(self, name: str, D: Any) -> np.ndarray:
        """A conductivity (cell,) in mm^2/ms from one for all, for each cell or for each region."""
        if isinstance(D, Mapping):
            if self.regions is None:
                raise ValueError(
                    f"{name}: expected a number or one a cell, for there are no regions, got {{region: D}}"
                )
            known, at = np.unique(self.regions, return_inverse=True)
            if lost := {*known.tolist()} - {*D}:
                raise ValueError(f"{name}: expected one for each region, got none for {sorted(lost)}")
            D = np.array([array(f"{name}[{one}]", D[one], (), "mm2 ms-1") for one in known.tolist()], float)[at]
        elif np.ndim(D) == 0:
            D = np.full(len(self.cells), array(name, D, (), "mm2 ms-1"), float)
        D = array(name, D, ("cell",), "mm2 ms-1", shape=(len(self.cells),)).astype(float)
        if not (D.min() >= 0 and 0 < D.max() <= _MOST_D):
            wanted = f"values >= 0 mm^2/ms, up to {_MOST_D:g}, some above 0"
            raise ValueError(f"{name}: expected {wanted}, got {D.min():g} .. {D.max():g}")
        return D

    def _align(self, fibers: np.ndarray) -> None:
        """Keep fibers of length one, in the plane of their triangle, and how far they were from it."""
        live, tilt = self.live, 0.0
        length = np.linalg.norm(fibers, axis=1)
        along = np.divide(fibers, length[:, None], out=np.zeros(fibers.shape), where=length[:, None] > 0)
        if self.cells.shape[1] == 3:
            a, b, c = (self.points[self.cells[:, k]] for k in range(3))
            normal = np.cross(b - a, c - a)
            normal /= np.linalg.norm(normal, axis=1, keepdims=True)
            off = np.einsum("cx,cx->c", along, normal)
            tilt = float(np.abs(off[live]).mean())
            along -= off[:, None] * normal
            length = np.linalg.norm(along, axis=1)
            along = np.divide(along, length[:, None], out=along, where=length[:, None] > 0)
        if (lost := np.flatnonzero(live & (length < 1e-6))).size:
            wanted = "a direction for each cell that conducts, and not the normal of its triangle"
            raise ValueError(f"fibers: expected {wanted}, got {lost.size} without, such as that of cell {lost[0]}")
        self._keep(fibers=along)
        object.__setattr__(self, "fiber_tilt", tilt)

    @property
    def size(self) -> np.ndarray:
        """Areas (cell,) in mm^2, or volumes in mm^3."""
        return np.concatenate([part.size for part in _elements(self)])

    @property
    def live(self) -> np.ndarray:
        """Cells (cell,) that conduct."""
        D = np.asarray(self.D)
        return D > 0 if self.D_across is None else (D > 0) | (np.asarray(self.D_across) > 0)


def mesh_of(tissue: Tissue) -> Mesh:
    """A sheet as triangles, two on each four neighbors that are live, with nodes at the centers of all its cells.

    Args:
        tissue: the sheet, of (y, x) cells; its fibers come along.

    Returns:
        A mesh whose node y n_x + x is the cell (y, x), so that V_m is ``V_m.reshape(time, -1)``.

    Raises:
        ValueError: No tissue, or no four neighbors that are live.

    Examples:
        >>> from forwardecg.tissue.sheet import healthy
        >>> len(mesh_of(healthy((4, 6), 0.5, D0=0.1)).cells)
        30
    """
    n_y, n_x = instance("tissue", tissue, Tissue).D.shape
    y, x = tissue.grid.centers
    points = np.stack([*np.broadcast_arrays(x, y, 0.0)], -1).reshape(-1, 3)
    node = np.arange(n_y * n_x).reshape(n_y, n_x)
    square = np.stack([node[:-1, :-1], node[:-1, 1:], node[1:, 1:], node[1:, :-1]], -1)  # round about
    live = tissue.live.ravel()[square].all(-1)
    turned = (np.indices(live.shape).sum(0) % 2 == 1)[..., None]  # alternating diagonals favor no direction
    square = np.where(turned, np.roll(square, 1, -1), square)[live]
    if not square.size:
        raise ValueError("tissue: expected four live cells in a square somewhere, got none")
    cells = np.concatenate([square[:, [0, 1, 2]], square[:, [0, 2, 3]]])
    if tissue.fiber_angle is None:
        return Mesh(points, cells, D=tissue.D.ravel()[cells].mean(1))
    twice = 2 * tissue.fiber_angle.ravel()[cells]  # an axis has no sense: angles are averaged as their doubles
    angle = np.arctan2(np.sin(twice).mean(1), np.cos(twice).mean(1)) / 2
    fibers = np.stack([np.cos(angle), np.sin(angle), np.zeros(len(cells))], 1)
    D, D_across = (np.asarray(one).ravel()[cells].mean(1) for one in (tissue.D, tissue.D_across))
    return Mesh(points, cells, D=D, D_across=D_across, fibers=fibers)


class _Elements(NamedTuple):
    """Some cells: their nodes, where these are, the gradients (cell, corner, xyz) of their linear functions, their size."""

    rows: slice
    nodes: np.ndarray
    corners: np.ndarray
    gradients: np.ndarray  # 1/mm
    size: np.ndarray


def _elements(mesh: Mesh) -> Iterator[_Elements]:
    for start in range(0, len(mesh.cells), _AT_A_TIME):
        rows = slice(start, start + _AT_A_TIME)
        corners = mesh.points[mesh.cells[rows]]
        a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
        normal = _cross(a, b)
        if corners.shape[1] == 3:
            square = np.einsum("cx,cx->c", normal, normal)[:, None]
            others = np.stack([_cross(b, normal), _cross(normal, a)], 1)
            size = np.sqrt(square[:, 0]) / 2
        else:
            c = corners[:, 3] - corners[:, 0]
            square = np.einsum("cx,cx->c", normal, c)[:, None]  # six times the volume, with its sign
            others = np.stack([_cross(b, c), _cross(c, a), normal], 1)
            size = np.abs(square[:, 0]) / 6
        with np.errstate(divide="ignore", invalid="ignore"):
            others = others / square[..., None]
        yield _Elements(rows, mesh.cells[rows], corners, np.concatenate([-others.sum(1)[:, None], others], 1), size)


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The cross product a x b (cell, xyz)."""
    (ax, ay, az), (bx, by, bz) = a.T, b.T
    return np.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], 1)


def _longest(points: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """The longest edge (cell,) in mm."""
    corners, n = points[cells], cells.shape[1]
    edges = (corners[:, i] - corners[:, j] for i in range(n) for j in range(i))
    return np.sqrt(np.max([np.einsum("cx,cx->c", edge, edge) for edge in edges], axis=0))


def _gauss(dim: int) -> tuple[np.ndarray, np.ndarray]:
    """Barycentric coordinates (point, dim + 1) and weights (point,) of a rule on a triangle or tetrahedron.

    The conical product of Gauss and Jacobi rules: Stroud, Approximate Calculation of Multiple Integrals (1971).
    """
    from scipy.special import roots_jacobi

    one = [roots_jacobi(_GAUSS, k, 0) for k in range(dim - 1, -1, -1)]
    at = np.stack(np.meshgrid(*((1 + x) / 2 for x, _ in one), indexing="ij"), -1).reshape(-1, dim)
    weights = np.prod(np.meshgrid(*(w / w.sum() for _, w in one), indexing="ij"), axis=0).ravel()
    left, coordinates = np.ones(len(at)), []
    for k in range(dim):
        coordinates.append(left * at[:, k])
        left = left * (1 - at[:, k])
    return np.stack([*coordinates, left], 1), weights


def mesh_lead_field(mesh: Mesh, electrodes: Electrodes) -> np.ndarray:
    """L (lead, node) = -K (1/r), in mm/ms on triangles and mm^2/ms on tetrahedra: phi_e is the sum over nodes of L V_m."""
    places, L = electrodes.positions, np.zeros((len(electrodes.positions), len(mesh.points)))
    nearest, edges = (
        np.full(len(places), np.inf),
        np.ones(len(places)),
    )  # of the cell nearest by its own longest edge, mm
    rule = _gauss(mesh.cells.shape[1] - 1)
    r = np.stack([np.linalg.norm(mesh.points - place, axis=1) for place in places])  # (lead, node)
    with np.errstate(divide="ignore"):
        weight = 1 / r  # where it is infinite the cells are near
    D, D_across = (None if one is None else np.asarray(one) for one in (mesh.D, mesh.D_across))
    for part in _elements(mesh):
        rows, live = part.rows, mesh.live[part.rows]
        edge = _longest(mesh.points, part.nodes)
        for lead, place in enumerate(places):
            close = live & (r[lead][part.nodes].min(1) < NEAR * edge)
            far = np.where(close[:, None], 0.0, weight[lead][part.nodes])
            field_ = np.einsum("ck,ckx->cx", far, part.gradients)  # grad(1/r), 1/mm^2
            if close.any():
                at = np.einsum("pk,ckx->cpx", rule[0], part.corners[close]) - place
                distance = np.linalg.norm(at, axis=2)
                field_[close] = -np.einsum("p,cpx->cx", rule[1], at / distance[..., None] ** 3)
                k = (distance.min(1) / edge[close]).argmin()
                if distance[k].min() / edge[close][k] < nearest[lead] / edges[lead]:
                    nearest[lead], edges[lead] = distance[k].min(), edge[close][k]
            if D_across is None:
                flux = D[rows, None] * field_  # type: ignore[index]
            else:
                fiber = mesh.fibers[rows]  # type: ignore[index]
                along = ((D - D_across)[rows] * np.einsum("cx,cx->c", fiber, field_))[:, None]
                flux = D_across[rows, None] * field_ + along * fiber
            share = -part.size[:, None] * np.einsum("ckx,cx->ck", part.gradients, flux)
            L[lead] += np.bincount(part.nodes.ravel(), share.ravel(), len(mesh.points))
    check_far(electrodes, nearest, LEAST * edges, f"{LEAST:g} of an edge from cells that conduct")
    return L
