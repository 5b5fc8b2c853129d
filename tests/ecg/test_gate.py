"""The ECG reads what labels say: dims, units, times, masks, and where maps lie; what it cannot read it refuses."""

import itertools

import numpy as np
import pytest
import torch
import xarray as xr

from forwardecg.ecg.electrodes import Electrodes, center_electrode, grid_electrodes, standard_electrodes
from forwardecg.ecg.leadfield import lead_field, pseudo_ecg, source_sum_ecg
from forwardecg.ecg.leads import bipolar, combine, twelve_leads
from forwardecg.ecg.torso import Disc, Sphere
from forwardecg.solver.simulation import solve
from forwardecg.tissue.grid import Grid
from forwardecg.tissue.sheet import Tissue, healthy
from forwardecg.tissue.stimulus import edge_stimulus

N, DX = 12, 0.5
SHEET = healthy((N, N), DX, 0.1)
PLACE = Electrodes([[7.0, 2.0, 5.0], [1.0, 4.0, 9.0]], ("a", "b"))
rng = np.random.default_rng(0)
V = rng.uniform(-85, 15, (3, N, N)) * np.linspace(0.5, 1, N)[:, None]
TIME = ("time", [0.0, 5.0, 10.0], {"units": "ms"})


def maps(values=V, units="mV", **coords):
    return xr.DataArray(values, coords, ("time", "y", "x"), attrs={"units": units})


def at(corner, step=DX, units="mm", factor=1.0):
    return {dim: (dim, factor * (corner + step * (np.arange(N) + 0.5)), {"units": units}) for dim in "yx"}


RIGHT = pseudo_ecg(V, SHEET, PLACE)
EQUIVALENT = {
    "list": V.tolist(),
    "column by column": np.asfortranarray(V),
    "another byte order": V.astype(">f8"),
    "long double": V.astype(np.longdouble),
    "tensor": torch.tensor(V),
    "nothing masked": np.ma.array(V, mask=False),
    "volts": maps(V / 1000, "V"),
    "millivolts, spelled out": maps(units="millivolts"),
    "u": maps((V + 85) / 100, "1"),
    "names of maps": maps().rename(y="y_map", x="x_map"),
    "frames in t": maps().rename(time="t"),
    "at the corner, in um": maps(**at(0, units="um", factor=1e3)),
    "numbered pixels": maps(y=("y", np.arange(N)), x=("x", np.arange(N))),
} | {" ".join(dims): maps().transpose(*dims) for dims in itertools.permutations(("time", "y", "x"))}


@pytest.mark.parametrize("container", EQUIVALENT)
@pytest.mark.parametrize("way", [pseudo_ecg, source_sum_ecg])
def test_the_ecg_is_the_same_for_any_order_of_axes_unit_and_container(container, way):
    phi_e = way(EQUIVALENT[container], SHEET, PLACE)
    assert np.allclose(phi_e, RIGHT, rtol=1e-9, atol=1e-12) and phi_e.dims == RIGHT.dims


@pytest.mark.parametrize("corner", [300.0, -3.0, 0.125])
@pytest.mark.parametrize("way", [pseudo_ecg, source_sum_ecg])
def test_electrodes_and_conductors_are_in_the_frame_of_the_maps(corner, way):
    """Moving maps, electrodes and conductor together changes nothing."""
    moved, there = maps(**at(corner)), Electrodes(PLACE.positions + [corner, corner, 0], PLACE.names)
    assert np.allclose(way(moved, SHEET, there), RIGHT, rtol=1e-9, atol=1e-12)
    assert np.allclose(way(maps(**at(corner / 10, 0.05, "cm")), SHEET, there), RIGHT, rtol=1e-9, atol=1e-12)
    for kind, center in ((Sphere, (3.0, 3.0, 0.0)), (Disc, (3.0, 3.0))):
        here, away = kind(30.0, center), kind(30.0, (*(corner + np.array(center[:2])), *center[2:]))
        rim = Electrodes([[33.0, 3.0, 0.0]], ("rim",)), Electrodes([[33.0 + corner, 3.0 + corner, 0.0]], ("rim",))
        assert np.allclose(pseudo_ecg(moved, SHEET, rim[1], away), pseudo_ecg(V, SHEET, rim[0], here), rtol=1e-9)


def test_times_come_out_in_ms():
    seconds = maps(time=("time", [0.0, 0.005, 0.01], {"units": "s"}))
    for labeled in (seconds, maps(time=TIME), maps(time=("time", [0.0, 5.0, 10.0]))):
        phi_e = pseudo_ecg(labeled, SHEET, PLACE)
        assert np.allclose(phi_e.time_ecg, [0, 5, 10], rtol=1e-12) and phi_e.time_ecg.attrs["units"] == "ms"


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (maps(**at(0, 1.0)), "V_m.y: expected steps of dx = 0.5 mm upward"),
        (maps(**at(0)).isel(y=slice(None, None, -1)), "V_m.y: expected steps of dx"),
        (maps(**at(0, units="inch")), "V_m.y: expected a unit such as mm"),
        (maps(units="A"), "V_m: expected a unit such as mV"),
        (np.ma.array(V, mask=V > 10), "V_m: expected finite values in mV"),
        (maps(np.where(V > 10, np.nan, V)), "V_m: expected finite values in mV"),
        (V + 0j, "V_m: expected real numbers"),
        (V.astype("timedelta64[ms]"), "V_m: expected real numbers"),
        (V.astype(object), "V_m: expected real numbers"),
        (maps(time=("time", [0.0, 5.0, 5.0])), "V_m.time: expected at least 1 increasing times"),
        (maps(time=("time", np.array([0, 5, 9], "datetime64[ms]"))), "V_m.time: expected"),
        (maps().to_dataset(name="V_m"), "V_m: expected"),
        ("V_m", "V_m: expected"),
    ],
)
def test_maps_that_contradict_the_tissue_or_are_no_voltage_are_refused(bad, message):
    for way in (pseudo_ecg, source_sum_ecg):
        with pytest.raises(ValueError, match=message):
            way(bad, SHEET, PLACE)


@pytest.mark.parametrize("z", [0.0, 1e-300, 1e-12])
def test_an_electrode_in_the_plane_over_a_scar_cell_has_the_ecg_of_a_place_beside_it(z):
    conductive = np.ones((20, 20), bool)
    conductive[5:12, 5:12] = False
    sheet = Tissue(D=np.full((20, 20), 0.13), conductive=conductive, dx=0.5)
    on, beside = Electrodes([[4.25, 4.25, z]], ("a",)), Electrodes([[4.25, 4.25, 1e-4]], ("a",))
    u = np.array([state.u for state in solve(sheet, edge_stimulus(sheet), t_end=5.0, calibrated=False)])
    for way in (pseudo_ecg, source_sum_ecg):
        assert np.allclose(way(u, sheet, on), way(u, sheet, beside), rtol=1e-5, atol=1e-12)
    assert np.isfinite(lead_field(sheet, on)).all()


def test_electrodes_are_the_same_in_any_container_and_do_not_change():
    positions, names = np.array([[1.0, 2.0, 9.0], [3.0, 4.0, 8.0]]), ["a", "b"]
    dims = {"dims": ("lead", "xyz"), "coords": {"lead": names, "xyz": list("xyz")}}
    for same in (
        Electrodes(positions.tolist(), names),
        Electrodes(positions, np.array(names)),
        Electrodes(xr.DataArray(positions, **dims).T, xr.DataArray(names, dims="lead")),
        Electrodes(xr.DataArray(positions / 10, attrs={"units": "cm"}, **dims).isel(xyz=[2, 0, 1]), names),
        Electrodes(torch.tensor(positions), tuple(names)),
    ):
        assert np.allclose(same.positions, positions, rtol=1e-14) and same.names == ("a", "b")
    positions[:] = 0
    with pytest.raises(ValueError, match="read-only"):
        same.positions[0] = 0
    with pytest.raises(ValueError, match=r"electrodes: expected the names \('a', 'b'\), in the order of the positions"):
        Electrodes(xr.DataArray(same.positions, **dims), ("b", "a"))


def test_leads_are_those_of_the_values_whatever_holds_them_and_keep_what_is_missing():
    nine = standard_electrodes(SHEET)
    phi_e = rng.standard_normal((9, 4))
    right = twelve_leads(phi_e, nine)
    for same in (phi_e.tolist(), torch.tensor(phi_e), phi_e.astype(">f8"), np.ma.array(phi_e), xr.DataArray(phi_e)):
        assert np.array_equal(twelve_leads(same, nine), right)
    lost = np.ma.array(phi_e, mask=np.zeros((9, 4), bool))
    lost.mask[8, 0] = True  # V6 at the first sample
    assert np.argwhere(np.isnan(bipolar(lost, "V6", "V5", nine))).tolist() == [[0, 0]]
    assert np.isfinite(twelve_leads(lost, nine)[:, 1:]).all()
    for bad in (phi_e + 1j, phi_e.astype(object), "phi_e", None):
        with pytest.raises(ValueError, match="phi_e: expected"):
            twelve_leads(bad, nine)
    with pytest.raises(ValueError, match="matrix: expected"):
        combine(phi_e, ("a",), np.ones((1, 8)), nine)


REFUSED = {
    "array for a tissue": (lambda: pseudo_ecg(V, np.zeros((N, N)), PLACE), "tissue"),
    "positions for electrodes": (lambda: lead_field(SHEET, PLACE.positions), "electrodes"),
    "word for a conductor": (lambda: lead_field(SHEET, PLACE, "sphere"), "conductor"),
    "no names": (lambda: Electrodes(np.ones((1, 3)), None), "electrodes"),
    "a number for a name": (lambda: Electrodes(np.ones((1, 3)), (1,)), "electrodes"),
    "places without end": (lambda: Electrodes([[np.inf, 0, 1]], ("a",)), "electrodes"),
    "places beyond reach": (lambda: Electrodes([[1e300, 0, 1]], ("a",)), "electrodes"),
    "masked places": (lambda: Electrodes(np.ma.masked_less(np.ones((1, 3)), 2), ("a",)), "electrodes"),
    "text for z": (lambda: center_electrode(SHEET, "40"), "z"),
    "endless electrodes": (lambda: grid_electrodes(SHEET, 10**30, 1), "n_y"),
    "electrodes in parts": (lambda: grid_electrodes(Grid((4, 4), 1.0), 2.0, 1), "n_y"),
    "text for a radius": (lambda: Disc("30", (0.0, 0.0)), "radius"),
    "a center in space of a disc": (lambda: Disc(30.0, (0.0, 0.0, 0.0)), "center"),
    "complex center": (lambda: Sphere(30.0, (0.0, 0.0, 1j)), "center"),
    "text for points": (lambda: Sphere(30.0, (0.0, 0.0, 0.0)).project("a"), "points"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_other_input_is_refused_by_name(case):
    call, name = REFUSED[case]
    with pytest.raises(ValueError, match=f"^{name}: expected .*got"):
        call()
