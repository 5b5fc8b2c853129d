"""The operator on meshes against closed forms, against the operator of the grid, and against scikit-fem."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from compendium.shapes import ball, cut_in_four, slab, sphere
from forwardecg.contract import V_REST
from forwardecg.ecg.electrodes import Electrodes, center_electrode
from forwardecg.ecg.leadfield import lead_field, pseudo_ecg
from forwardecg.ecg.mesh import Mesh, mesh_of
from forwardecg.ecg.torso import Sphere
from forwardecg.tissue.sheet import Tissue, healthy, with_fibers

R, D = 20.0, 0.1  # mm, mm^2/ms


def at(*places: tuple[float, float, float]) -> Electrodes:
    return Electrodes(np.array(places, float), tuple(f"e{k}" for k in range(len(places))))


def on_axis(d: float) -> Electrodes:
    return at((0.0, 0.0, d))


def wave(x: np.ndarray, middle: float, width: float = 2.0) -> np.ndarray:
    """mV of a front and a tail that are far from the rim."""
    return V_REST + 50 * (np.tanh((x - middle + 12) / width) - np.tanh((x - middle - 12) / width))


def order(error: Callable[[int], float], *refined: int) -> list[float]:
    """Orders of convergence between meshes whose edges are halved."""
    errors = [error(n) for n in refined]
    return [float(np.log2(a / b)) for a, b in zip(errors, errors[1:], strict=False)]


@pytest.mark.parametrize("d", [25.0, 40.0, 80.0])
def test_of_a_dipole_on_a_sphere(d):
    """V = cos(theta): phi_e = -(8 pi / 3) D R / d^2 on the axis outside."""

    def error(refined):
        points, cells = sphere(refined, R)
        phi_e = lead_field(Mesh(points, cells, D=D), on_axis(d))[0] @ points[:, 2] / R
        return abs(phi_e / (-8 * np.pi / 3 * D * R / d**2) - 1)

    assert error(4) < 1.5e-3
    assert min(order(error, 3, 4, 5)) > 1.8


def test_of_a_dipole_within_the_sphere():
    """-(8 pi / 3) D z / R^2: a field that is uniform, and zero in the center."""
    points, cells = sphere(4, R)
    L = lead_field(Mesh(points, cells, D=D), at((0, 0, 10), (0, 0, 0), (5, 0, 10), (0, 12, -7)))
    expected = -8 * np.pi / 3 * D / R**2 * np.array([10, 0, 10, -7])
    assert L @ points[:, 2] / R == pytest.approx(expected, rel=3e-3, abs=1e-12)


def test_of_a_quadrupole_on_a_sphere():
    """V = P2(cos(theta)): -6 D / R^2 times (4 pi / 5) R^4 / d^3, and it falls with the cube of the distance."""
    points, cells = sphere(4, R)
    cos = points[:, 2] / R
    phi_e = lead_field(Mesh(points, cells, D=D), at((0, 0, 40), (0, 0, 400), (0, 0, 800))) @ ((3 * cos**2 - 1) / 2)
    assert phi_e[0] == pytest.approx(-6 * D * 4 * np.pi / 5 * R**2 / 40**3, rel=6e-3)
    assert phi_e[1] / phi_e[2] == pytest.approx(8, rel=1e-2)


def test_near_electrodes_need_gauss_points():
    """A quarter of an edge above nodes, sides and middles of triangles: 1/r at the nodes alone is five times as far off."""
    points, cells = sphere(4, R)
    some = points[cells[100:130]]  # (cell, corner, xyz)
    above = np.concatenate([some[:, 0], some[:, :2].mean(1), some.mean(1)])
    places = above / np.linalg.norm(above, axis=1, keepdims=True) * (R + 0.25)
    phi_e = lead_field(Mesh(points, cells, D=D), at(*places)) @ points[:, 2] / R
    exact = -8 * np.pi / 3 * D * R * places[:, 2] / np.linalg.norm(places, axis=1) ** 3
    assert np.abs(phi_e - exact).max() < 2e-2 * 8 * np.pi / 3 * D / R


def test_a_closed_front_has_a_far_field_without_a_net_source():
    """On a closed surface the fluxes sum to zero, and the far field is a dipole's."""
    points, cells = sphere(4, R)
    V_m = V_REST + 50 * (1 + np.tanh((points @ [0.2, 0.3, 0.9] - 5) / 3))
    mesh = Mesh(points, cells, D=D)
    phi_e = lead_field(mesh, at((0, 0, 1000), (0, 0, 2000))) @ V_m
    assert phi_e[0] / phi_e[1] == pytest.approx(4, rel=5e-2)
    assert np.abs(lead_field(mesh, at((3, 4, 50))).sum()) < 1e-12


def test_of_a_ball_of_tetrahedra():
    """V = z: -(4 / 3) pi D R^3 z / r^3, and most of what is missing is the volume of the facets."""

    def error(n):
        points, cells = ball(n, R)
        mesh, place = Mesh(points, cells, D=D), np.array([20.0, 10.0, 50.0])
        phi_e = lead_field(mesh, at((*place,)))[0] @ points[:, 2]
        exact = -4 / 3 * np.pi * R**3 * D * place[2] / np.linalg.norm(place) ** 3
        share = mesh.size.sum() / (4 / 3 * np.pi * R**3)
        assert abs(phi_e / exact / share - 1) < 0.05 / n**2
        return abs(phi_e / exact - 1)

    assert min(order(error, 4, 8, 16)) > 1.8


def test_of_a_rod_as_in_one_dimension():
    """V = x and V = x^2 along a thin rod, electrode on its axis: integrals in closed form, as Chaste tests its own."""
    points, cells = slab((200, 1, 1), (10.0, 0.1, 0.1))
    x, x_0, area = points[:, 0], 15.0, 0.01
    L = lead_field(Mesh(points, cells, D=D), at((x_0, 0.05, 0.05)))[0]
    assert L @ x == pytest.approx(-D * area * (1 / (x_0 - 10) - 1 / x_0), rel=1e-3)
    # -integral of 2 x / (x_0 - x)^2
    exact = -2 * D * area * (x_0 / (x_0 - 10) - 1 + np.log((x_0 - 10) / x_0))
    assert L @ x**2 == pytest.approx(exact, rel=1e-3)


def test_of_a_thin_slab_is_the_sheet_times_its_thickness():
    n, size, h = 40, 40.0, 0.2
    points, cells = slab((n, n, 1), (size, size, h))
    flat = points[::2]
    grid = np.arange((n + 1) ** 2).reshape(n + 1, n + 1)
    corners = [grid[i : n + i, j : n + j].ravel() for i, j in ((0, 0), (1, 0), (1, 1), (0, 1))]
    triangles = np.concatenate([np.stack([corners[k] for k in some], 1) for some in ((0, 1, 2), (0, 2, 3))])
    place = at((25, 18, 15))
    volume = lead_field(Mesh(points, cells, D=D), place)[0] @ wave(points[:, 0], 20)
    sheet = lead_field(Mesh(flat, triangles, D=D), place)[0] @ wave(flat[:, 0], 20)
    assert volume == pytest.approx(h * sheet, rel=2e-2)


@pytest.fixture(scope="module")
def sheet() -> Tissue:
    tissue = healthy((120, 120), 0.5, D0=D)
    live = np.ones((120, 120), bool)
    live[50:70, 40:50] = False  # a cut
    return replace(tissue, conductive=live)


@pytest.mark.parametrize("cut", [False, True])
def test_equals_the_grid(sheet, cut):
    """The same stencil within, and only the rim, which the wave does not reach, is another."""
    tissue = sheet if cut else healthy((120, 120), 0.5, D0=D)
    y, x = tissue.grid.centers
    r = np.hypot(x - 30, y - 30)
    V_m = np.stack([wave(r, 6.0), wave(r, 8.0)])  # rings
    electrodes = center_electrode(tissue, z=20.0)
    expected = pseudo_ecg(V_m, tissue, electrodes)
    obtained = pseudo_ecg(V_m.reshape(2, -1), mesh_of(tissue), electrodes)
    # along the cut a cell of the grid reaches half a cell farther than the centers that are the nodes
    np.testing.assert_allclose(obtained, expected, rtol=8e-2 if cut else 1e-5)


def test_of_fibers_is_the_tensor():
    """V of x alone: D along fibers in x; V of y alone: D across. To rounding, for the gradients are along the axes."""
    tissue = healthy((60, 60), 0.5, D0=D)
    plain = mesh_of(tissue)
    fibers = np.tile([3.0, 0.0, 0.0], (len(plain.cells), 1))  # of any length
    mesh = Mesh(plain.points, plain.cells, D=D, D_across=D / 4, fibers=fibers)
    place = at((11, 17, 20))
    (L,), (L_plain,) = lead_field(mesh, place), lead_field(plain, place)
    for axis, ratio in ((0, 1.0), (1, 0.25)):
        V_m = wave(plain.points[:, axis], 15)
        assert L @ V_m == pytest.approx(ratio * (L_plain @ V_m), rel=1e-9)


def test_of_oblique_fibers_equals_the_grid():
    tissue = with_fibers(healthy((120, 120), 0.25, D0=D), angle=0.5, ratio=4.0)
    y, x = tissue.grid.centers
    V_m = wave(np.hypot(x - 15, y - 15), 4.0, width=1.0)[None]
    electrodes = at((12, 20, 10))
    expected = pseudo_ecg(V_m, tissue, electrodes)
    np.testing.assert_allclose(pseudo_ecg(V_m.reshape(1, -1), mesh_of(tissue), electrodes), expected, rtol=1e-2)


def test_fibers_are_projected_into_their_triangles():
    """A fiber that leaves the surface counts as its projection, of length one; how far it left is kept."""
    points, cells = sphere(3, R)
    corners = points[cells]
    along = corners[:, 1] - corners[:, 0]
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    normal = np.cross(along, corners[:, 2] - corners[:, 0])
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    meshes = [
        Mesh(points, cells, D=D, D_across=D / 9, fibers=np.cos(tilt) * along + np.sin(tilt) * normal) for tilt in (0, 1)
    ]
    place, V_m = at((3, 50, 10)), wave(points[:, 1], 2)
    first, second = (lead_field(mesh, place)[0] @ V_m for mesh in meshes)
    assert second == pytest.approx(first, rel=1e-9)
    assert [mesh.fiber_tilt for mesh in meshes] == pytest.approx([0, np.sin(1)], abs=1e-9)
    assert pseudo_ecg(V_m[None], meshes[1], place).attrs["fiber_tilt"] == pytest.approx(np.sin(1), abs=1e-3)


def test_turned_and_shifted_it_is_the_same(rotation):
    points, cells = ball(6, R)
    V_m, fibers = wave(points[:, 0], 3), np.tile([0.6, 0.8, 0.0], (len(cells), 1))
    place, shift = np.array([[5.0, 40.0, 9.0]]), [3.0, -7.0, 2.0]
    here = Mesh(points, cells, D=D, D_across=D / 4, fibers=fibers)
    there = Mesh(points @ rotation.T + shift, cells, D=D, D_across=D / 4, fibers=fibers @ rotation.T)
    first = lead_field(here, Electrodes(place, ("a",)))[0] @ V_m
    assert lead_field(there, Electrodes(place @ rotation.T + shift, ("a",)))[0] @ V_m == pytest.approx(first, rel=1e-10)


@pytest.fixture
def rotation() -> np.ndarray:
    q, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))
    return q * np.sign(np.linalg.det(q))


def test_two_triangulations_of_one_sheet_agree():
    """The second is drawn out of shape within: the elements are of second order, on crooked cells too."""
    differences = []
    for n in (40, 80):
        tissue = healthy((n, n), 40 / n, D0=D)
        mesh = mesh_of(tissue)
        wanted = np.sin(np.pi * mesh.points[:, :2] / 40) ** 2
        drawn = mesh.points + np.pad(3.0 * np.sin(mesh.points[:, 1::-1] / 3) * wanted, ((0, 0), (0, 1)))
        crooked = replace(mesh, points=drawn)
        traces = []
        for one in (mesh, crooked):
            V_m = wave(np.hypot(*(one.points[:, :2] - 20).T), 3.0)
            traces.append(lead_field(one, at((11, 17, 9)))[0] @ V_m)
        differences.append(abs(traces[0] / traces[1] - 1))
    assert 1e-5 < differences[0] < 3e-2 and differences[1] < differences[0] / 3


def test_scikit_fem_assembles_the_same_matrix():
    """An independent code: L = -K (1/r), K from scikit-fem, on tetrahedra with a tensor."""
    fem = pytest.importorskip("skfem")
    points, cells = ball(6, R)
    rng = np.random.default_rng(1)
    fibers = rng.normal(size=(len(cells), 3))
    fibers /= np.linalg.norm(fibers, axis=1, keepdims=True)
    along, across = rng.uniform(0.05, 0.2, (2, len(cells)))
    tensor = across[:, None, None] * np.eye(3) + (along - across)[:, None, None] * fibers[:, :, None] * fibers[:, None]
    basis = fem.Basis(fem.MeshTet(points.T, cells.T, sort_t=False), fem.ElementTetP1())
    flux = fem.BilinearForm(lambda u, v, w: np.einsum("cij,jcq,icq->cq", tensor, u.grad, v.grad))
    places = np.array([[0.0, 0.0, 120.0], [90.0, 40.0, -80.0]])
    weight = 1 / np.linalg.norm(points[:, None] - places, axis=2)  # (node, lead)
    expected = -(flux.assemble(basis) @ weight).T
    mesh = Mesh(points, cells, D=along, D_across=across, fibers=fibers)
    np.testing.assert_allclose(lead_field(mesh, Electrodes(places, ("a", "b"))), expected, rtol=1e-9, atol=1e-12)


def test_regions_and_cells_have_conductivities_of_their_own():
    points, cells = sphere(2, R)
    regions = (points[cells].mean(1)[:, 2] > 0).astype(int) + 3
    by_region = Mesh(points, cells, D={3: 0.1, 4: 0.0}, regions=regions)
    by_cell = Mesh(points, cells, D=np.where(regions == 3, 0.1, 0.0))
    half = Mesh(points, cells[regions == 3], D=0.1)
    place = at((1, 2, 40))
    L = lead_field(by_region, place)
    np.testing.assert_array_equal(L, lead_field(by_cell, place))
    np.testing.assert_allclose(L, lead_field(half, place), rtol=1e-12, atol=1e-15)


def test_long_runs_are_read_in_blocks(tmp_path, monkeypatch):
    """From the disk, in any order of the dims and in volts, the ECG is that of the whole array."""
    from forwardecg.ecg import leadfield

    points, cells = sphere(2, R)
    mesh, place = Mesh(points, cells, D=D), at((0, 0, 50), (10, 0, 40))
    V_m = np.stack([wave(points[:, 2], middle) for middle in np.linspace(-10, 10, 23)])
    whole = pseudo_ecg(V_m, mesh, place)
    np.save(tmp_path / "V.npy", V_m)
    monkeypatch.setattr(leadfield, "_BLOCK", 5 * len(points))
    np.testing.assert_allclose(pseudo_ecg(np.load(tmp_path / "V.npy", mmap_mode="r"), mesh, place), whole, rtol=1e-12)
    time = ("t", 0.002 * np.arange(23), {"units": "s"})
    labeled = xr.DataArray(V_m.T / 1000, {"t": time}, ("node", "t"), attrs={"units": "V"})
    phi_e = pseudo_ecg(labeled, mesh, place)
    np.testing.assert_allclose(phi_e, whole, rtol=1e-10)
    assert phi_e.time_ecg.values == pytest.approx(2.0 * np.arange(23)) and phi_e.attrs["units"] == "mV mm ms-1"


SQUARE = {"points": [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], "cells": [[0, 1, 2], [0, 2, 3]], "D": 0.1}
FIBERS = [[1, 0, 0], [1, 0, 0]]
WRONG = {
    "points": [{"points": np.zeros((4, 2))}, {"points": [[0, 0, 0], [1, 0, 0], [1, 1, np.nan], [0, 1, 0]]}],
    "cells": [
        {"cells": [[0, 1, 4]]}, {"cells": [[0, 1]]}, {"cells": [[0, 1, -1]]}, {"cells": [[0.0, 1.0, 2.0]]},
        {"cells": [[0, 1, 1]]}, {"points": [[0, 0, 0], [1, 0, 0], [2, 0, 0], [0, 1, 0]]},
    ],
    "D": [{"D": -0.1}, {"D": 0.0}, {"D": [0.1]}, {"D": {1: 0.1}}, {"D": "0.1"}, {"D": np.nan},
          {"D": {1: 0.1}, "regions": [1, 2]}],
    "D_across": [{"D_across": 0.1}, {"fibers": FIBERS}, {"D_across": -1.0, "fibers": FIBERS}],
    "fibers": [{"D_across": 0.1, "fibers": [[1, 0, 0]]}, {"D_across": 0.1, "fibers": [[0, 0, 1], [1, 0, 0]]},
               {"D_across": 0.1, "fibers": [[0, 0, 0], [1, 0, 0]]}],
    "regions": [{"regions": [1]}, {"regions": [1.5, 2.0]}],
}  # fmt: skip


@pytest.mark.parametrize(("name", "change"), [(name, one) for name, some in WRONG.items() for one in some])
def test_refuses_by_name(name, change):
    with pytest.raises(ValueError, match=rf"^{name}\b"):
        Mesh(**(SQUARE | change))


def test_refuses_electrodes_within_the_tissue_and_voltages_of_another_mesh():
    mesh, above = Mesh(**SQUARE), at((0.5, 0.5, 3.0))
    with pytest.raises(ValueError, match="electrodes: expected every electrode at least 0.1 of an edge"):
        lead_field(mesh, at((0.5, 0.5, 3.0), (0.4, 0.3, 0.05)))
    for V_m in (
        np.zeros((2, 5)),
        np.zeros(4),
        np.full((2, 4), np.nan),
        xr.DataArray(np.zeros((2, 4)), dims=("a", "node")),
    ):
        with pytest.raises(ValueError, match="^V_m: expected"):
            pseudo_ecg(V_m, mesh, above)
    with pytest.raises(ValueError, match="^tissue: expected Tissue, for a conductor"):
        lead_field(mesh, above, Sphere(center=(0.0, 0.0, 0.0), radius=50.0))


def test_cut_in_four_keeps_the_area():
    points, cells = cut_in_four(np.array(SQUARE["points"], float), np.array(SQUARE["cells"]))
    assert len(cells) == 8 and Mesh(points, cells, D=D).size.sum() == pytest.approx(1.0)
