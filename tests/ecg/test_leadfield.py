"""The forward operator: three forms of the same sum (W1), the plane front (W2, short), signs and symmetry (W4)."""

import itertools

import numpy as np
import pytest
import xarray as xr

from forwardecg.ecg.electrodes import Electrodes, center_electrode
from forwardecg.ecg.leadfield import lead_field, phi_e_attrs, pseudo_ecg, source_sum_ecg
from forwardecg.ecg.torso import Sphere
from forwardecg.tissue.diffusion import couplings, face_diffusivity, net_flux
from forwardecg.tissue.grid import Grid
from forwardecg.tissue.sheet import Tissue, fibrotic, healthy

SHAPE, DX = (40, 50), 0.5
GRID = Grid(SHAPE, DX)
ELECTRODES = Electrodes(
    np.array([[12.5, 10.0, 40.0], [3.0, 4.0, 6.0], [-5.0, 25.0, 12.0]]), ("center", "near", "outside")
)


@pytest.fixture(params=range(3))
def tissue(request):
    return fibrotic(healthy(SHAPE, DX, 0.12), seed=request.param)


@pytest.fixture
def V_m():
    return -85 + 100 * np.random.default_rng(9).random((6, *SHAPE))


def test_the_planes_are_those_of_the_whole_stack_to_the_last_bit(tissue):
    """A tissue of a data set that is simulated again must be the same, however the sum is cut to fit the cache."""
    at_x, at_y, at_z = (ELECTRODES.positions[:, k, None, None] for k in range(3))
    y, x = GRID.centers
    r = np.sqrt((x - at_x) ** 2 + (y - at_y) ** 2 + at_z**2)
    assert np.array_equal(lead_field(tissue, ELECTRODES), net_flux(1 / r, *couplings(tissue)))


def test_source_sum_flux_form_and_lead_field_agree(tissue, V_m):
    """W1: sum of sources over r, the Green form over faces, and the adjoint lead field, to 1e-12 of sum |L| |V|."""
    L = lead_field(tissue, ELECTRODES)
    bound = 1e-12 * np.einsum("lyx,tyx->lt", np.abs(L), np.abs(V_m))
    by_lead_field = pseudo_ecg(V_m, tissue, ELECTRODES).values
    by_source = source_sum_ecg(V_m, tissue, ELECTRODES).values
    D_x, D_y = face_diffusivity(tissue.D, tissue.conductive)[:2]
    y, x = ((np.arange(n) + 0.5) * DX for n in SHAPE)
    by_flux = np.zeros((3, 6))
    for lead, (at_x, at_y, at_z) in enumerate(ELECTRODES.positions):
        weight = 1 / np.sqrt((x - at_x) ** 2 + (y[:, None] - at_y) ** 2 + at_z**2)
        by_flux[lead] = -(D_x[:, 1:-1] * np.diff(V_m, axis=2) * np.diff(weight, axis=1)).sum((1, 2))
        by_flux[lead] -= (D_y[1:-1] * np.diff(V_m, axis=1) * np.diff(weight, axis=0)).sum((1, 2))
    assert (np.abs(by_lead_field - by_source) <= bound).all()
    assert (np.abs(by_lead_field - by_flux) <= bound).all()


def test_operator_is_symmetric_and_conserves(tissue):
    """V3: the net flux sums to zero, and a.(A b) = b.(A a)."""
    D_x, D_y = face_diffusivity(tissue.D, tissue.conductive)[:2]
    a, b = np.random.default_rng(1).standard_normal((2, *SHAPE))
    A_a, A_b = net_flux(a, D_x, D_y), net_flux(b, D_x, D_y)
    assert abs(A_a.sum()) < 1e-12 * np.abs(A_a).sum()
    assert (a * A_b).sum() == pytest.approx((b * A_a).sum(), rel=1e-12)
    assert not A_a[~tissue.conductive].any()


def test_constant_voltage_gives_zero(tissue):
    V_m = np.full((2, *SHAPE), -85.0)
    scale = 85 * np.abs(lead_field(tissue, ELECTRODES)).sum((1, 2)).max()
    assert np.abs(pseudo_ecg(V_m, tissue, ELECTRODES)).max() < 1e-13 * scale


def test_mirrored_sheet_and_electrode_give_the_same_ecg(tissue, V_m):
    mirrored = Tissue(D=tissue.D[:, ::-1], conductive=tissue.conductive[:, ::-1], dx=DX)
    positions = ELECTRODES.positions * [-1, 1, 1] + [SHAPE[1] * DX, 0, 0]
    a = pseudo_ecg(V_m, tissue, ELECTRODES).values
    b = pseudo_ecg(V_m[..., ::-1], mirrored, Electrodes(positions, ELECTRODES.names)).values
    assert np.allclose(a, b, rtol=1e-10, atol=1e-10 * np.abs(a).max())


def test_symmetric_electrodes_agree_and_farther_is_smaller():
    sheet = healthy((60, 60), DX, 0.1)
    front = np.where(np.arange(60) < 30, 15.0, -85.0) * np.ones((1, 60, 1))
    at = Electrodes(np.array([[20.0, 10, 10], [20, 20, 10], [20, 15, 20], [20, 15, 40]]), ("a", "b", "far", "farther"))
    a, b, far, farther = pseudo_ecg(front, sheet, at).values[:, 0]
    assert a == pytest.approx(b, rel=1e-12)
    assert a > far > farther > 0  # the wave comes toward the electrode: positive


def test_plane_front_collapses_to_one_dimension():
    """W2: phi = integral D V'' K dx with K = asinh((L/2 - y)/a) + asinh((L/2 + y)/a), a^2 = (x - x_e)^2 + z^2."""
    n, dx, D, z = 800, 0.25, 0.1, 10.0
    L, s = n * dx, 103.7
    x = (np.arange(n) + 0.5) * dx
    at = Electrodes(np.array([[s + 3.7, L / 2, z]]), ("e",))
    V = (1 + np.tanh((s - x) / 0.6)) / 2
    sheet = healthy((n, n), dx, D)
    by_sheet = float(pseudo_ecg(np.broadcast_to(V, (1, n, n)), sheet, at)[0, 0])
    fine = np.linspace(s - 12, s + 12, 200_001)
    th = np.tanh((s - fine) / 0.6)
    V_xx = -th * (1 - th**2) / 0.6**2
    by_line = np.trapezoid(D * V_xx * 2 * np.arcsinh((L / 2) / np.hypot(fine - at.positions[0, 0], z)), fine)
    assert by_sheet == pytest.approx(by_line, rel=2e-3)  # the sheet differentiates on its 0.25 mm grid
    assert by_sheet == pytest.approx(0.0064287, abs=1e-6)
    assert 2 * D * 3.7 / (3.7**2 + z**2) == pytest.approx(0.0065089, abs=1e-7)  # sharp front, L -> infinity


@pytest.mark.parametrize("place", [("y", "x"), ("y_map", "x_map")])
def test_labels_come_in_by_name_and_go_out(tissue, V_m, place):
    plain = pseudo_ecg(V_m, tissue, ELECTRODES)
    assert plain.dims == ("lead", "time_ecg") and plain.name == "phi_e" and "time_ecg" not in plain.coords
    assert plain.lead.values.tolist() == list(ELECTRODES.names) and plain.attrs == phi_e_attrs()
    labeled = xr.DataArray(V_m, {"time": 2.5 * np.arange(6)}, ("time", *place))
    for way in (pseudo_ecg, source_sum_ecg):
        expected = way(V_m, tissue, ELECTRODES)
        for dims in itertools.permutations(labeled.dims):
            phi_e = way(labeled.transpose(*dims), tissue, ELECTRODES)
            assert np.allclose(phi_e, expected, rtol=1e-12, atol=1e-12 * np.abs(expected.values).max())
            assert phi_e.attrs == phi_e_attrs() and phi_e.time_ecg.attrs["units"] == "ms"
            assert np.array_equal(phi_e.time_ecg, labeled.time)
        assert np.array_equal(way(labeled, tissue, ELECTRODES), expected)
    sphere = Sphere(60.0, (12.5, 10.0, 0.0))
    above = Electrodes(sphere.project([[12.5, 10.0, 1.0]]), ("above",))
    assert pseudo_ecg(labeled, tissue, above, sphere).attrs == phi_e_attrs(sphere)


def test_other_labels_are_refused(tissue, V_m):
    for dims in (("time", "x", "row"), ("frame", "y", "x"), ("time", "y_map", "x")):
        with pytest.raises(ValueError, match=r"V_m: expected dims \(time, y, x\), got \('"):
            pseudo_ecg(xr.DataArray(V_m, dims=dims), tissue, ELECTRODES)
    with pytest.raises(ValueError, match=r"V_m: expected dims \(time, y, x\), got \('time', 'y'\)"):
        pseudo_ecg(xr.DataArray(V_m[..., 0], dims=("time", "y")), tissue, ELECTRODES)
    with pytest.raises(ValueError, match=r"of shape \(any, 40, 50\), got an array of shape \(6, 50, 40\)"):
        pseudo_ecg(xr.DataArray(V_m, dims=("time", "x", "y")), tissue, ELECTRODES)


def test_bad_input_is_refused(tissue, V_m):
    with pytest.raises(ValueError, match=r"V_m: expected \(time, y, x\)"):
        pseudo_ecg(V_m[0], tissue, ELECTRODES)
    with pytest.raises(ValueError, match="V_m: expected finite"):
        pseudo_ecg(np.where(V_m > 14, np.nan, V_m), tissue, ELECTRODES)
    with pytest.raises(ValueError, match="at least dx = 0.5 mm from conductive cells, got 'e' at"):
        lead_field(healthy(SHAPE, DX, 0.1), Electrodes(np.array([[5.0, 5.0, 0.1]]), ("e",)))
    with pytest.raises(ValueError, match=r"electrodes: expected \(lead, xyz\) of shape \(any, 3\)"):
        Electrodes(np.zeros(3), ("e",))
    with pytest.raises(ValueError, match="distinct names"):
        Electrodes(np.zeros((2, 3)), ("e", "e"))
    assert center_electrode(GRID).positions.tolist() == [[12.5, 10.0, 40.0]]
