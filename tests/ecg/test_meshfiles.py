"""Meshes of openCARP and VTK: every kind of cell, micrometers, fibers, regions; and what is refused."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from compendium.shapes import slab, sphere
from forwardecg.ecg.electrodes import Electrodes
from forwardecg.ecg.leadfield import lead_field
from forwardecg.ecg.mesh import Mesh
from forwardecg.ecg.meshfiles import read_mesh

ABOVE = Electrodes(np.array([[5.0, 9.0, 40.0]]), ("above",))
CUBE = [(x, y, z) for z in (0, 1) for x, y in ((0, 0), (1, 0), (1, 1), (0, 1))]


def write_opencarp(stem, points, elements, fibers=None):
    """The three text files; ``elements`` are lines such as "Tr 0 1 2 7", points in micrometers."""
    rows = [" ".join(map(str, point)) for point in points]
    files = {".pts": [str(len(rows)), *rows], ".elem": [str(len(elements)), *elements]}
    if fibers is not None:
        n = len(fibers[0]) // 3
        files[".lon"] = [str(n), *(" ".join(map(str, f)) for f in fibers)]
    for ending, lines in files.items():
        Path(f"{stem}{ending}").write_text("\n".join(lines) + "\n")
    return stem


def test_of_opencarp_is_in_micrometers_with_fibers_and_regions(tmp_path):
    points, cells = sphere(2, 20.0)
    centers = points[cells].mean(1)
    fibers = np.cross(centers, [0.0, 0.0, 1.0]) + [0.001, 0, 0]
    regions = 3 + (centers[:, 2] > 0)
    elements = [f"Tr {a} {b} {c} {tag}" for (a, b, c), tag in zip(cells, regions, strict=True)]
    stem = write_opencarp(tmp_path / "run.1", 1000 * points, elements, [[*f, 0, 0, 1] for f in fibers])
    D, D_across = {3: 0.1, 4: 0.2}, {3: 0.02, 4: 0.02}
    expected = Mesh(points, cells, D=D, D_across=D_across, fibers=fibers, regions=regions)
    for path in (stem, str(stem) + ".elem", tmp_path / "run.1.pts"):
        mesh = read_mesh(path, D=D, D_across=D_across)
        np.testing.assert_allclose(lead_field(mesh, ABOVE), lead_field(expected, ABOVE), rtol=1e-9)
    isotropic = read_mesh(stem, D=0.1)
    assert isotropic.fibers is None and isotropic.regions.tolist() == regions.tolist()


@pytest.mark.parametrize(
    ("element", "points", "size"),
    [
        ("Tr 0 1 2 1", [(0, 0, 0), (1, 0, 0), (0, 1, 0)], 1 / 2),
        ("Qd 0 1 2 3 1", CUBE[:4], 1),
        ("Tt 0 1 3 4 1", CUBE, 1 / 6),
        ("Py 0 1 2 3 4 1", CUBE, 1 / 3),
        ("Pr 0 1 3 4 5 7 1", CUBE, 1 / 2),
        ("Pr 0 1 3 4 7 5 1", CUBE, 1 / 2),  # as openCARP itself turns it
        ("Hx 0 1 2 3 4 5 6 7 1", CUBE, 1),
        ("Hx 0 1 2 3 4 7 6 5 1", CUBE, 1),
    ],
)
def test_every_kind_of_cell_keeps_its_extent(tmp_path, element, points, size):
    mesh = read_mesh(write_opencarp(tmp_path / "one", 1000 * np.array(points), [element]), D=0.1)
    assert mesh.size.sum() == pytest.approx(size) and set(mesh.regions) == {1}


def test_mixed_cells_keep_their_fibers_and_surfaces_are_left_out(tmp_path, capsys):
    points = [*CUBE, (2, 0, 0), (2, 1, 0)]
    elements = ["Ln 0 1 9", "Hx 0 1 2 3 4 5 6 7 5", "Tr 0 1 2 8", "Tt 1 8 2 5 6"]
    fibers = [(0, 0, 0), (1, 0, 0), (0, 0, 0), (0, 1, 0)]
    stem = write_opencarp(tmp_path / "mixed", 1000 * np.array(points), elements, fibers)
    mesh = read_mesh(stem, D={5: 0.1, 6: 0.2}, D_across=0.02)
    assert mesh.regions.tolist() == [5] * 6 + [6] and mesh.D.tolist() == [0.1] * 6 + [0.2]
    assert mesh.fibers.tolist() == [[1, 0, 0]] * 6 + [[0, 1, 0]]
    assert "2 cells of 4 have no volume, and are left out" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("ending", "volume"), [(".vtk", False), (".vtu", False), (".vtp", False), (".vtk", True), (".vtu", True)]
)
def test_of_vtk(tmp_path, ending, volume):
    """Polydata, .vtp, have no tetrahedra."""
    pyvista = pytest.importorskip("pyvista")
    points, cells = slab((3, 2, 2), (6.0, 4.0, 3.0)) if volume else sphere(2, 20.0)
    fibers = np.cross(points[cells].mean(1), [0.1, 0.2, 1.0])
    regions = np.arange(len(cells)) % 2
    if not volume:
        grid = pyvista.PolyData.from_regular_faces(points / 10, cells)
        grid = grid if ending != ".vtu" else grid.cast_to_unstructured_grid()
    else:
        grid = pyvista.UnstructuredGrid({pyvista.CellType.TETRA: cells}, points / 10)
    grid.cell_data["fiber"], grid.cell_data["region"] = fibers, regions.astype(float)
    grid.save(tmp_path / f"a{ending}")
    D = {0: 0.1, 1: 0.2}
    mesh = read_mesh(tmp_path / f"a{ending}", D=D, D_across=0.02, unit="cm")
    expected = Mesh(points, cells, D=D, D_across=0.02, fibers=fibers, regions=regions)
    np.testing.assert_allclose(lead_field(mesh, ABOVE), lead_field(expected, ABOVE), rtol=1e-5)
    with pytest.raises(ValueError, match="unit: expected str, the unit of the points"):
        read_mesh(tmp_path / f"a{ending}", D=0.1)
    with pytest.raises(ValueError, match="fibers: expected the name of cell data"):
        read_mesh(tmp_path / f"a{ending}", D=0.1, D_across=0.1, unit="cm", fibers="lost")


def test_without_the_extra_a_vtk_file_says_what_to_install(tmp_path):
    (tmp_path / "a.vtk").write_text("# vtk DataFile Version 3.0\n")
    code = "import sys; sys.modules['pyvista'] = None; import forwardecg as fe; fe.read_mesh('a.vtk', D=0.1, unit='mm')"
    run = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=os.environ, capture_output=True, text=True)
    assert run.stderr.splitlines()[-1] == 'ImportError: VTK files need pyvista: pip install "forwardecg[mesh]"'


def _cut(path, n):
    path.write_text("\n".join(path.read_text().splitlines()[:-n]) + "\n")


WRONG = {
    "no such file": (lambda stem: stem.with_suffix(".elem").unlink(), "path: expected a file run.elem that is there"),
    "points cut short": (lambda stem: _cut(stem.with_suffix(".pts"), 1), "run.pts: expected 8 rows of numbers, got 7"),
    "cells cut short": (lambda stem: _cut(stem.with_suffix(".elem"), 1), "run.elem: expected 2 rows"),
    "fibers cut short": (lambda stem: _cut(stem.with_suffix(".lon"), 1), "run.lon: expected a fiber for each of 2"),
    "text": (lambda stem: stem.with_suffix(".pts").write_text("2\na b c\n0 0 0\n"), "run.pts: expected the count"),
    "empty": (lambda stem: stem.with_suffix(".pts").write_text(""), "run.pts: expected the count"),
    "unknown cell": (
        lambda stem: stem.with_suffix(".elem").write_text("1\nXx 0 1 2 1\n"),
        "run.elem: expected cells of",
    ),
    "lines alone": (lambda stem: stem.with_suffix(".elem").write_text("1\nLn 0 1 1\n"), "run.elem: expected triangles"),
    "lost node": (
        lambda stem: stem.with_suffix(".elem").write_text("1\nTr 0 1 9 1\n"),
        "run.elem: expected 3 nodes in",
    ),
    "binary": (lambda stem: stem.with_suffix(".pts").write_bytes(b"\xff\xfe\x00"), "run.pts: expected the count"),
}


@pytest.mark.parametrize("case", WRONG)
def test_refuses_files_in_one_sentence(tmp_path, case):
    fibers = [(1, 0, 0), (0, 1, 0)]
    stem = write_opencarp(tmp_path / "run", 1000 * np.array(CUBE), ["Tr 0 1 2 1", "Tr 0 2 3 1"], fibers)
    spoil, sentence = WRONG[case]
    spoil(stem)
    with pytest.raises(ValueError, match=sentence) as caught:
        read_mesh(stem, D=0.1, D_across=0.02)
    assert len(str(caught.value).splitlines()) == 1


def test_refuses_a_vtk_file_that_is_none(tmp_path):
    pytest.importorskip("pyvista")
    (tmp_path / "a.vtu").write_text("nothing")
    with pytest.raises(ValueError, match="path: expected"):
        read_mesh(tmp_path / "a.vtu", D=0.1, unit="mm")
    with pytest.raises(ValueError, match="path: expected a file that is there"):
        read_mesh(tmp_path / "b.vtk", D=0.1, unit="mm")
    with pytest.raises(ValueError, match="unit: expected None for openCARP"):
        read_mesh(tmp_path / "b", D=0.1, unit="mm")
