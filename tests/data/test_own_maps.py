"""Maps of other people: masks, frames of reference, lost frames and units mean what they say."""

import numpy as np
import pytest
import torch
import xarray as xr

from forwardecg.contract import corner
from forwardecg.data.maps import export_tissue, import_maps

U = np.zeros((12, 20, 24))
for _k in range(12):
    U[_k, :, : 2 * _k] = 1.0
V_M = 100 * U - 85
GIVEN = {"dx": 2.0, "dt": 5.0, "unit": "u"}


def labeled(unit="mV", time="ms", length="mm", begin=1.0, steps=(5.0, 2.0)) -> xr.Dataset:
    dt, dx = steps
    coords = {dim: (dim, begin + dx * np.arange(n), {"units": length}) for dim, n in (("y", 20), ("x", 24))}
    coords["time"] = ("time", dt * np.arange(12), {"units": time})
    return xr.Dataset({"V_m": (("time", "y", "x"), V_M, {"units": unit})}, coords)


@pytest.mark.parametrize(
    ("unit", "time", "length", "steps"),
    [
        ("mV", "milliseconds", "mm", (5.0, 2.0)),
        ("mV", "msec", "mm", (5.0, 2.0)),
        ("mV", "seconds", "mm", (5e-3, 2.0)),
        ("millivolt", "ms", "mm", (5.0, 2.0)),
        ("millivolts", "ms", "millimeter", (5.0, 2.0)),
        ("mV", "ms", "micrometer", (5.0, 2000.0)),
        ("mV", "ms", "µm", (5.0, 2000.0)),
        ("mV", "ms", "cm", (5.0, 0.2)),
    ],
)
def test_units_are_read_in_any_usual_spelling(unit, time, length, steps):
    ds = import_maps(labeled(unit, time, length, 0.0, steps))
    np.testing.assert_allclose(ds.V_m, V_M)
    np.testing.assert_allclose(ds.time, 5.0 * np.arange(12))
    assert ds.dx_map == pytest.approx(2.0) and ds.x_map.values[-1] == pytest.approx(46.0)


def test_other_variables_come_in_the_units_of_the_contract():
    D = np.full((20, 24), 1.3)
    own = labeled().assign(
        D=(("x", "y"), D.T, {"units": "cm^2/s"}), time_ecg=("time_ecg", [0.0, 0.001], {"units": "s"})
    )
    own = own.assign(phi_e=(("time_ecg", "lead"), [[1.0], [2.0]]))
    ds = import_maps(own)
    np.testing.assert_allclose(ds.D, 0.13)
    assert ds.D.attrs["units"] == "mm2 ms-1" and ds.time_ecg.values.tolist() == [0.0, 1.0] and ds.phi_e.shape == (1, 2)


def test_coordinates_come_back_as_the_centers_of_the_pixels_in_mm(tmp_path):
    ds = import_maps(labeled(begin=301.0))
    np.testing.assert_array_equal(ds.y_map, 301 + 2.0 * np.arange(20))
    assert ds.x_map.attrs["units"] == "mm" and corner("maps", ds.V_m, ds.dx_map) == (300.0, 300.0)
    np.testing.assert_allclose(import_maps(labeled(length="cm", begin=-1.0, steps=(5.0, 0.2))).y_map[:2], [-10.0, -8.0])
    export_tissue(ds, tmp_path / "a.nc")
    xr.testing.assert_allclose(import_maps(tmp_path / "a.nc"), ds, atol=0.006)
    assert corner("maps", import_maps(U, **GIVEN).V_m, 2.0) == (0.0, 0.0)


def test_a_diffusivity_of_another_place_is_refused():
    maps = labeled().rename(y="y_map", x="x_map")
    D = xr.DataArray(np.ones((20, 24)), labeled(begin=11.0).V_m[0].drop_vars("time").coords, attrs={"units": "mm2/ms"})
    with pytest.raises(ValueError, match="D: expected y to begin where the maps do, got 10 mm beside it"):
        import_maps(maps.assign(D=D))


def test_a_masked_value_is_a_missing_one():
    lost = np.broadcast_to(np.arange(24) < 3, U.shape)
    masked = np.ma.masked_array(np.where(lost, 0.7, U), mask=lost)
    with pytest.raises(ValueError, match="V_m: expected finite values, got 720 that are not"):
        import_maps(masked, **GIVEN)
    filled = import_maps(masked, **GIVEN, fill=True)
    assert (
        float(filled.V_m[0, 0, 0]) == -85 and filled.largest_hole == 6.0 and filled.filled_share == pytest.approx(1 / 8)
    )
    same = import_maps(np.where(lost, np.nan, U), **GIVEN, fill=True)
    xr.testing.assert_identical(filled, same)
    empty = import_maps(np.ma.masked_array(U, mask=False), **GIVEN)
    xr.testing.assert_identical(empty, import_maps(U, **GIVEN))


@pytest.mark.parametrize("make", [np.asfortranarray, lambda u: u.astype(">f8"), torch.tensor, list, xr.DataArray])
def test_layout_byte_order_and_container_change_nothing(make):
    xr.testing.assert_identical(import_maps(make(U), **GIVEN), import_maps(U, **GIVEN))


def test_numbers_of_numpy_are_numbers_and_other_things_are_not():
    given = {"dx": np.float32(2), "dt": np.array(5), "unit": np.str_("u")}
    xr.testing.assert_identical(import_maps(U, **given, fill=np.bool_(False)), import_maps(U, **GIVEN))
    for bad in ({"dx": (2, 1)}, {"dx": True}, {"dt": "5"}, {"dt": np.array([5.0, 5.0])}, {"fill": 1}, {"unit": 5}):
        with pytest.raises(ValueError, match=f"{[*bad][0]}: expected"):
            import_maps(U, **GIVEN | bad)
    with pytest.raises(ValueError, match="dims: expected tuple or list"):
        import_maps(U, **GIVEN, dims=5)
    with pytest.raises(ValueError, match="variable: expected"):
        import_maps(U, **GIVEN, variable=["V_m"])


def test_an_error_of_dt_does_not_speak_of_square_pixels():
    with pytest.raises(ValueError, match="dt: expected one value in 0.05 .. 50 ms, got 1 from the argument dt, 5 from"):
        import_maps(labeled(), dt=1.0)


# What is filled in


def test_a_lost_frame_is_the_mean_of_those_beside_it():
    lost = U.copy()
    lost[5] = np.nan
    ds = import_maps(lost, **GIVEN, fill=True)
    np.testing.assert_allclose(ds.V_m[5], -85 + 50 * (U[4] + U[6]), atol=1e-4)
    np.testing.assert_allclose(np.delete(ds.V_m.values, 5, 0), np.delete(V_M, 5, 0), atol=1e-4)
    assert ds.filled.startswith("0.00% of the pixels, the largest hole 0 mm; 1 frames") and ds.largest_hole == 0
    with pytest.raises(ValueError, match="got 480 that are not, 8.33% of all, 1 frames wholly, the first of them 5"):
        import_maps(lost, **GIVEN)
    lost[4:7] = np.nan
    with pytest.raises(
        ValueError, match="at most 2 frames in a row and 20% of the frames to be lost, got the frames 4, 5, 6"
    ):
        import_maps(lost, **GIVEN, fill=True)


def test_values_lost_now_and_then_are_those_before_and_after():
    lost = U.copy()
    lost[3, 2, 5], lost[7, 9, 1], lost[0, 0, 0] = np.nan, np.inf, np.nan
    ds = import_maps(lost, **GIVEN, fill=True)
    assert ds.V_m[3, 2, 5] == -35.0 and ds.V_m[7, 9, 1] == 15.0 and ds.V_m[0, 0, 0] == 15.0  # the last: as the next
    assert ds.filled_share == pytest.approx(3 / U.size)


@pytest.mark.parametrize(("side", "where"), [(1, 9), (4, 9), (5, 0)])
def test_a_hole_has_the_side_of_the_largest_square_in_it(side, where):
    lost = U.copy()
    lost[:, where : where + side, where : where + side] = np.nan
    lost[:, 19, :3] = np.nan
    ds = import_maps(lost, **GIVEN, fill=True)
    assert ds.largest_hole == 2.0 * side and np.isfinite(ds.V_m).all()


def test_nothing_is_said_where_nothing_was_filled():
    xr.testing.assert_identical(import_maps(U, **GIVEN, fill=True), import_maps(U, **GIVEN))


# What is no tissue


def test_what_lies_outside_of_the_mask_is_at_rest_whatever_it_holds(tmp_path):
    mask = np.zeros((20, 24), bool)
    mask[3:17, 2:22] = True
    expected = np.where(mask, V_M, -85.0)
    for outside in (0.0, np.nan, 1e9):
        ds = import_maps(np.where(mask, V_M, outside), dx=2.0, dt=5.0, unit="mV", mask=mask)
        np.testing.assert_array_equal(ds.V_m, expected)
        np.testing.assert_array_equal(ds.tissue, mask)
    export_tissue(ds, tmp_path / "a.nc")
    back = import_maps(tmp_path / "a.nc")
    np.testing.assert_array_equal(back.tissue, mask)
    np.testing.assert_allclose(back.V_m, expected, atol=0.006)
    turned = import_maps(U, **GIVEN, mask=xr.DataArray(mask.T, dims=("x", "y")))
    np.testing.assert_array_equal(turned.tissue, mask)


def test_what_lies_outside_is_no_neighbor_of_a_lost_pixel():
    mask = np.ones((20, 24), bool)
    mask[:, 20:] = False
    lost = np.where(mask, U, 1e6)
    lost[:, 10:13, 19] = np.nan
    ds = import_maps(lost, **GIVEN, mask=mask, fill=True)
    assert ds.V_m.min() >= -85 and ds.V_m.max() <= 15 and ds.largest_hole == 2.0


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.ones((20, 20), bool), r"mask: expected \(y, x\) of shape \(20, 24\)"),
        (np.ones((20, 24)), "mask: expected bool"),
        (np.zeros((20, 24), bool), "mask: expected True where there is tissue"),
        ("heart", "mask: expected"),
    ],
)
def test_another_mask_is_refused(mask, message):
    with pytest.raises(ValueError, match=message):
        import_maps(U, **GIVEN, mask=mask)


def test_an_export_into_no_folder_is_one_sentence(tmp_path):
    ds = import_maps(U, **GIVEN)
    with pytest.raises(ValueError, match="path: expected a file in a folder that is there"):
        export_tissue(ds, tmp_path / "none" / "a.nc")
    with pytest.raises(ValueError, match="ds: expected Dataset, got ndarray"):
        export_tissue(U, tmp_path / "a.nc")
    with pytest.raises(ValueError, match="sim: expected a whole number in 0 .. 1, got True"):
        export_tissue(ds.expand_dims(sim=2), tmp_path / "a.nc", sim=True)
