"""Meshes of files: openCARP's .pts, .elem and .lon, and VTK's .vtk, .vtu and .vtp."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from forwardecg.contract import instance, unit_factor
from forwardecg.ecg.mesh import Conductivity, Mesh
from forwardecg.paths import file_path, progress

_VTK = (".vtk", ".vtu", ".vtp")
_PARTS = {  # nodes of each kind of cell of openCARP, and the triangles or tetrahedra that it is cut into
    "Tr": (3, ((0, 1, 2),)),
    "Qd": (4, ((0, 1, 2), (0, 2, 3))),
    "Tt": (4, ((0, 1, 2, 3),)),
    "Py": (5, ((0, 1, 2, 4), (0, 2, 3, 4))),
    "Pr": (6, ((0, 1, 2, 5), (0, 1, 5, 4), (0, 4, 5, 3))),
    "Hx": (8, ((0, 1, 2, 6), (0, 2, 3, 6), (0, 3, 7, 6), (0, 7, 4, 6), (0, 4, 5, 6), (0, 5, 1, 6))),
}
_SKIPPED = ("Ln", "Pt")  # without an area: fibers and points


def read_mesh(
    path: Path | str, *, D: Conductivity, D_across: Conductivity | None = None, unit: str | None = None,
    fibers: str = "fiber", regions: str = "region",
) -> Mesh:  # fmt: skip
    """The mesh of a file, with conductivities.

    Where there are tetrahedra, or cells that are cut into some, triangles are taken for their surface and left out.

    Args:
        path: of openCARP, the name that .pts, .elem and .lon share, or one of these files; or .vtk, .vtu, .vtp, for which the
            extra mesh has to be installed.
        D: mm^2/ms; one for all, one a cell, or one a region: {region: D}; along the fibers, if there are some. D is
            sigma / (beta C_m): .1 mm^2/ms is sigma .14 S/m with beta 1400 /cm and C_m 1 uF/cm^2. 0: a bath.
        D_across: the same across the fibers; None: the fibers are not used.
        unit: of the points of a VTK file: mm, cm, m, um; openCARP has micrometers.
        fibers, regions: of a VTK file the names of these cell data.

    Returns:
        A mesh; its nodes are those of the file in their order, also those that no cell has.

    Raises:
        ValueError: A file that is not there, cannot be read or does not fit the others; no triangles or tetrahedra; fibers or
            regions that are asked for and not there; what `Mesh` refuses.
        ImportError: A VTK file without the extra mesh.

    Examples:
        >>> _ = Path("square.pts").write_text("4\\n0 0 0\\n1000 0 0\\n1000 1000 0\\n0 1000 0\\n")
        >>> _ = Path("square.elem").write_text("2\\nTr 0 1 2 7\\nTr 0 2 3 8\\n")
        >>> mesh = read_mesh("square", D={7: 0.1, 8: 0.05})
        >>> mesh.points[2].tolist(), mesh.D.tolist()
        ([1.0, 1.0, 0.0], [0.1, 0.05])
    """
    path, with_fibers = file_path("path", path), D_across is not None
    if path.suffix.lower() in _VTK:
        if not path.is_file():
            raise ValueError(f"path: expected a file that is there, got {path}")
        factor, _ = unit_factor("unit", instance("unit", unit, str, "the unit of the points"), "mm")
        points, cells, along, tags = _read_vtk(path, fibers if with_fibers else "", regions)
    else:
        if unit is not None:
            raise ValueError(f"unit: expected None for openCARP, whose points are in um, got {unit!r}")
        factor, stem = 1e-3, path.with_suffix("") if path.suffix in (".pts", ".elem", ".lon") else path
        points, cells, along, tags = _read_opencarp(stem, with_fibers)
    return Mesh(factor * points, cells, D=D, D_across=D_across, fibers=along, regions=tags)


def _read_opencarp(stem: Path, with_fibers: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, np.ndarray]:
    """Points, cells, fibers and regions."""
    points = _table(stem, ".pts", [*range(3)]).to_numpy(float)
    elements = _table(stem, ".elem", [*range(10)], words=True)
    kind = elements[0].to_numpy()
    if unknown := {*kind} - {*_PARTS, *_SKIPPED}:
        raise ValueError(
            f"{stem.name}.elem: expected cells of {', '.join((*_PARTS, *_SKIPPED))}, got {sorted(unknown)}"
        )
    volume = bool({*kind} - {"Tr", "Qd", *_SKIPPED})
    numbers = elements[[*range(1, 10)]].to_numpy(float)
    cells, rows = [], []
    for name, (n, parts) in _PARTS.items():
        at = np.flatnonzero(kind == name)
        if not at.size or (len(parts[0]) == 4) != volume:
            continue
        nodes = numbers[at, :n]
        if not (np.isfinite(nodes).all() and (nodes >= 0).all() and (nodes < len(points)).all()):
            wanted = f"{n} nodes in 0 .. {len(points) - 1} for each {name}"
            raise ValueError(f"{stem.name}.elem: expected {wanted}, got others, or fewer")
        nodes = _upright(points, nodes.astype(np.int64), n)
        for part in parts:
            cells.append(nodes[:, part])
            rows.append(at)
    if not cells:
        raise ValueError(
            f"{stem.name}.elem: expected triangles or tetrahedra, got {', '.join(sorted({*kind})) or 'none'}"
        )
    if left := len(kind) - len(np.unique(np.concatenate(rows))):
        progress(
            f"{stem.name}.elem: {left} cells of {len(kind)} have no {'volume' if volume else 'area'}, and are left out"
        )
    of, order = np.concatenate(rows), np.argsort(np.concatenate(rows), kind="stable")
    of = of[order]
    tag = numbers[of, np.array([_PARTS[name][0] if name in _PARTS else 0 for name in kind])[of]]
    along = None
    if with_fibers:
        along = _table(stem, ".lon", [*range(6)]).to_numpy(float)[:, :3]  # the sheets' directions may follow
        if len(along) != len(kind):
            raise ValueError(f"{stem.name}.lon: expected a fiber for each of {len(kind)} cells, got {len(along)}")
        along = along[of]
    return points, np.concatenate(cells)[order], along, np.nan_to_num(tag).astype(np.int64)


def _table(stem: Path, ending: str, columns: list[int], words: bool = False) -> pd.DataFrame:
    """The rows of a text file of openCARP, whose first line says how many there are."""
    path = Path(f"{stem}{ending}")
    if not path.is_file():
        raise ValueError(f"path: expected a file {path.name} that is there, got none in {path.absolute().parent}")
    try:
        with path.open(encoding="utf-8") as file:
            n = int(file.readline().split()[0])
            kinds: Any = {0: str} | dict.fromkeys(columns[1:], float) if words else float
            table = pd.read_csv(file, sep=r"\s+", header=None, names=columns, dtype=kinds, comment="#")
    except (ValueError, IndexError, UnicodeDecodeError, pd.errors.ParserError) as error:
        why = " ".join(str(error).split())[:200]
        raise ValueError(f"{path.name}: expected the count of rows, and rows of numbers: {why}") from None
    least = len(table)
    if ending != ".lon":  # whose first line says how many directions each cell has
        least = n
    if len(table) != least or not len(table) or table[columns[1:3]].isna().to_numpy().any():
        raise ValueError(
            f"{path.name}: expected {least or 'some'} rows of numbers, got {len(table)}, or some cut short"
        )
    return table


def _upright(points: np.ndarray, nodes: np.ndarray, n: int) -> np.ndarray:
    """Prisms and hexahedra with the nodes of their tops above those of their bottoms; openCARP turns the tops around."""
    if n not in (6, 8):
        return nodes
    first, swapped = (4, [0, 1, 2, 3, 5, 4]) if n == 6 else (5, [0, 1, 2, 3, 4, 7, 6, 5])
    low, high = points[nodes[:, 1]] - points[nodes[:, 0]], points[nodes[:, first]] - points[nodes[:, first - 1]]
    other = points[nodes[:, swapped[first]]] - points[nodes[:, first - 1]]
    turned = np.linalg.norm(high - low, axis=1) > np.linalg.norm(other - low, axis=1)
    return np.where(turned[:, None], nodes[:, swapped], nodes)


def _read_vtk(
    path: Path, fibers: str, regions: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, np.ndarray | None]:
    """Points, cells, and of the cell data fibers and regions."""
    try:
        import pyvista
    except ImportError as error:
        raise ImportError('VTK files need pyvista: pip install "forwardecg[mesh]"') from error
    try:
        with warnings.catch_warnings(record=True) as said:  # VTK's readers warn, and go on with nothing
            warnings.simplefilter("always")
            grid = pyvista.read(path).triangulate()
        cells = grid.regular_faces if isinstance(grid, pyvista.PolyData) else None
        kept = np.arange(grid.n_cells)
        if cells is None:
            kept = np.flatnonzero(grid.celltypes == (10 if 10 in grid.celltypes else 5))  # tetrahedra, or triangles
            cells = grid.cells_dict[10 if 10 in grid.celltypes else 5] if kept.size else np.zeros((0, 3), int)
    except Exception as error:  # readers of VTK raise what they like
        why = " ".join(str(error).split())[:200] or type(error).__name__
        raise ValueError(f"path: expected a mesh of VTK, got {path.name}: {why}") from None
    if not len(cells):
        why = "".join(f": {' '.join(str(one.message).split())[:200]}" for one in said[:1])
        raise ValueError(f"path: expected triangles or tetrahedra, got none in {path.name}{why}")
    if fibers and fibers not in grid.cell_data:
        known = ", ".join(grid.cell_data.keys()) or "none"
        raise ValueError(f"fibers: expected the name of cell data of {path.name}, which has {known}, got {fibers!r}")
    along = np.array(grid.cell_data[fibers], float)[kept] if fibers else None
    tags = np.array(grid.cell_data[regions])[kept] if regions in grid.cell_data else None
    if tags is not None and tags.dtype.kind == "f" and (tags == np.round(tags)).all():
        tags = tags.astype(np.int64)  # some programs write whole numbers as floats
    return np.array(grid.points, float), np.array(cells), along, tags
