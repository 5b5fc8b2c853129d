"""Maps into the contract and out of it, the tissues that are shipped, and the page about both."""

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from os import PathLike
from types import SimpleNamespace

import numpy as np
import pytest
import small
import xarray as xr
from conftest import TIMES, toy_maps

from forwardecg.contract import CONTRACT, as_variable
from forwardecg.data import maps
from forwardecg.data.draw import simulate_one
from forwardecg.data.layout import TISSUE_COLUMNS
from forwardecg.data.maps import export_tissue, import_maps, load_small
from forwardecg.data.store import load_or_simulate
from forwardecg.ecg.electrodes import center_electrode
from forwardecg.paths import ROOT
from forwardecg.tissue.grid import Grid

U = toy_maps(1)[0].astype(float)
V_M = -85.0 + 100.0 * U
GIVEN = {"dx": 2.0, "dt": 5.0, "unit": "mV"}
TINY = replace(small.RECIPE, n_cells=40, dx=1.0, t_end=600.0)  # 40 mm


def own(values=V_M, dims=("time", "y", "x"), units="mV", y=2.0, x=2.0, time=5.0, length="mm", span="ms") -> xr.Dataset:
    """Labeled maps as somebody else might have them."""
    axes = {"time": (time, span), "y": (y, length), "x": (x, length)}
    coords = {dim: (dim, step * np.arange(20), {"units": unit}) for dim, (step, unit) in axes.items()}
    return xr.Dataset({"V_m": (dims, values, {"units": units})}, coords)


def assert_is_the_wave(ds: xr.Dataset, atol: float = 1e-9) -> None:
    assert ds.V_m.dims == CONTRACT["V_m"][0] and ds.V_m.attrs == as_variable("V_m", V_M)[-1]
    np.testing.assert_allclose(ds.V_m, V_M, atol=atol)
    np.testing.assert_allclose(ds.time, TIMES)
    assert ds.time.attrs["units"] == "ms" and ds.dx_map == pytest.approx(2.0)


@pytest.fixture(scope="module")
def tissue():
    return simulate_one(TINY, 4)


@pytest.fixture(scope="module")
def shipped():
    return load_small()


# Out and in again


def test_an_exported_tissue_comes_back(tissue, tmp_path):
    export_tissue(tissue, tmp_path / "a.nc")
    back = import_maps(tmp_path / "a.nc")
    xr.testing.assert_identical(back.drop_vars("V_m"), tissue.drop_vars("V_m"))
    assert back.V_m.attrs == tissue.V_m.attrs and 0 < abs(back.V_m - tissue.V_m).max() < 0.0051
    assert [path.name for path in tmp_path.iterdir()] == ["a.nc"]
    xr.testing.assert_identical(import_maps(tissue), tissue)  # in memory nothing is packed


def test_an_exported_file_says_what_it_holds_without_this_package(tissue, tmp_path):
    export_tissue(tissue, tmp_path / "a.nc")
    with xr.open_dataset(tmp_path / "a.nc", engine="scipy", decode_times=False) as ds:
        assert ds.attrs["Conventions"] == "CF-1.10" and ds.attrs["condition"] == "combined"
        assert {*tissue.variables} == {*ds.variables} and ds.lead.values.tolist() == tissue.lead.values.tolist()
        for name in CONTRACT.keys() & ds.variables.keys():
            assert ds[name].attrs["units"] == CONTRACT[name][1] and ds[name].attrs["long_name"], name
        assert ds.V_m.encoding["scale_factor"] == pytest.approx(0.01)


def test_a_tissue_of_a_data_set_is_exported_with_its_columns(shipped, tmp_path):
    export_tissue(shipped, tmp_path / "b.nc", sim=2)
    back, one = import_maps(tmp_path / "b.nc"), shipped.isel(sim=2)
    for name in ("D", "conductive", "lat", "phi_e", "electrodes", "time", "time_ecg"):
        np.testing.assert_array_equal(back[name], one[name])
    assert abs(back.V_m - one.V_m).max() < 1e-4  # 0.05 mV are five steps
    assert back.attrs["condition"] == "fibrotic" and back.attrs["D0"] == one.D0.item() and back.attrs["sim"] == 2


def test_a_tissue_of_the_store_is_exported_as_it_was_simulated(tmp_path):
    recipe = replace(TINY, n_sim=1, conditions=("combined",))
    with ThreadPoolExecutor(1) as executor:
        ds = load_or_simulate(recipe, executor, folder=tmp_path / "sets")
    export_tissue(ds, tmp_path / "a.nc", sim=0)
    back, simulated = import_maps(tmp_path / "a.nc"), simulate_one(recipe, 0)
    assert back.dx == simulated.dx and back.dx_map == simulated.dx_map
    assert {name: back.attrs[name] for name in TISSUE_COLUMNS} == {
        name: simulated.attrs[name] for name in TISSUE_COLUMNS
    }
    assert abs(back.V_m - simulated.V_m).max() < 0.03 and back.conductive.identical(simulated.conductive)
    np.testing.assert_allclose(back.phi_e, simulated.phi_e)


@pytest.mark.parametrize("sim", [None, 4, -1, "healthy"])
def test_export_of_a_data_set_needs_to_know_which_tissue(shipped, sim, tmp_path):
    with pytest.raises(ValueError, match="sim: expected a whole number in 0 .. 3, got"):
        export_tissue(shipped, tmp_path / "b.nc", sim=sim)
    with pytest.raises(ValueError, match="sim: expected None, got 0"):
        export_tissue(shipped.isel(sim=0), tmp_path / "b.nc", sim=0)
    assert not [*tmp_path.iterdir()]


def test_an_export_that_fails_leaves_the_file_as_it_was(tissue, tmp_path, monkeypatch):
    path = tmp_path / "a.nc"
    export_tissue(tissue, path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="finite"):
        export_tissue(tissue.assign(V_m=tissue.V_m.where(tissue.time > 50)), path)
    with pytest.raises((ValueError, TypeError)):  # NetCDF has no such attribute
        export_tissue(tissue.assign_attrs(mild={"a": 1}), path)

    def full(*_):
        raise OSError("no space left")

    monkeypatch.setattr(maps, "os", SimpleNamespace(replace=full, PathLike=PathLike))
    with pytest.raises(OSError, match="no space left"):
        export_tissue(tissue.assign_attrs(mild=7), path)
    assert path.read_bytes() == before and [one.name for one in tmp_path.iterdir()] == ["a.nc"]


# In


@pytest.mark.parametrize("kind", ["npy", "npz", "nc", "zarr", "array", "list", "dataarray", "dataset"])
def test_maps_come_from_a_file_of_any_kind_or_from_memory(kind, tmp_path):
    path, ds = tmp_path / f"maps.{kind}", own()
    if kind == "npy":
        np.save(path, V_M)
    elif kind == "npz":
        np.savez(path, V_m=V_M, dx_map=2.0, frame_interval=5.0, units="mV")
    elif kind == "nc":
        ds.to_netcdf(path, engine="scipy")
    elif kind == "zarr":
        ds.to_zarr(path, consolidated=False)
    memory = {"array": V_M, "list": V_M.tolist(), "dataarray": ds.V_m, "dataset": ds}
    source = memory.get(kind, path)
    assert_is_the_wave(import_maps(source, **(GIVEN if kind in ("npy", "array", "list") else {})))
    assert_is_the_wave(import_maps(str(source) if kind in ("npy", "nc", "zarr") else source, **GIVEN))


@pytest.mark.parametrize("unit, values", [("mV", V_M), ("V", V_M / 1000), ("u", U), ("1", U)])
def test_voltage_in_every_unit(unit, values):
    assert_is_the_wave(import_maps(values, dx=2.0, dt=5.0, unit=unit))
    assert_is_the_wave(import_maps(own(values, units=unit)))


@pytest.mark.parametrize("length, per_mm", [("mm", 1), ("cm", 0.1), ("m", 1e-3), ("um", 1e3)])
@pytest.mark.parametrize("span, per_ms", [("ms", 1), ("s", 1e-3), ("us", 1e3)])
def test_lengths_and_times_in_every_unit(length, per_mm, span, per_ms):
    assert_is_the_wave(import_maps(own(y=2 * per_mm, x=2 * per_mm, time=5 * per_ms, length=length, span=span)))


def test_times_start_where_they_do():
    ds = import_maps(own().assign_coords(time=("time", 0.1 + 0.005 * np.arange(20), {"units": "s"})))
    np.testing.assert_allclose(ds.time, 100.0 + TIMES)


def test_named_axes_come_in_any_order_and_unnamed_ones_as_they_are_said_to():
    assert_is_the_wave(import_maps(own(V_M.transpose(2, 0, 1), ("x", "time", "y"))))
    assert_is_the_wave(import_maps(V_M.transpose(1, 2, 0), dims=("y", "x", "time"), **GIVEN))
    other = xr.DataArray(V_M.transpose(1, 2, 0), dims=("row", "column", "frame"))
    assert_is_the_wave(import_maps(other, dims=("y", "x", "time"), **GIVEN))
    turned = import_maps(V_M.transpose(0, 2, 1), **GIVEN)  # nothing can tell
    assert not np.allclose(turned.V_m, V_M)


def test_times_of_a_numpy_archive_are_read(tmp_path):
    np.savez(tmp_path / "a.npz", film=V_M, time=TIMES, units="mV")
    assert_is_the_wave(import_maps(tmp_path / "a.npz", dx=2.0))
    np.savez(tmp_path / "b.npz", film=V_M, time=TIMES[:-1], units="mV")
    with pytest.raises(ValueError, match="time"):
        import_maps(tmp_path / "b.npz", dx=2.0)


def test_single_precision_stays_single():
    assert import_maps(V_M.astype(np.float32), **GIVEN).V_m.dtype == np.float32
    assert import_maps(V_M, **GIVEN).V_m.dtype == np.float64
    assert_is_the_wave(import_maps(U.astype(np.float16), dx=2.0, dt=5.0, unit="u"), atol=1e-5)


def test_a_known_conductivity_and_electrodes_are_kept(tmp_path):
    D, at = np.full((20, 20), 0.1), center_electrode(Grid((20, 20), 2.0)).positions
    np.savez(tmp_path / "a.npz", V_m=V_M, D=D, conductive=np.ones((20, 20), int), electrodes=at)
    ds = import_maps(tmp_path / "a.npz", **GIVEN)
    assert ds.D.dims == ("y", "x") and ds.dx == 2.0 and ds.conductive.dtype == bool
    np.testing.assert_array_equal(ds.electrodes, at)
    on_pixels = own().assign(D=(("y", "x"), D, {"units": "mm2 ms-1"}))
    np.testing.assert_array_equal(import_maps(on_pixels).D, D)
    named = xr.Dataset({"V_m": own().V_m.rename(y="y_map", x="x_map"), "D": (("y_map", "x_map"), D, on_pixels.D.attrs)})
    xr.testing.assert_identical(import_maps(named).D, import_maps(on_pixels).D)


def bad(values, at=(3, 4, 5)):
    spoiled = V_M.copy()
    spoiled[at] = values
    return spoiled


def without_units(dim: str) -> xr.Dataset:
    ds = own()
    ds[dim].attrs = {}
    return ds


REFUSED = {
    "NaN": (bad(np.nan), GIVEN, r"V_m: expected finite values, got 1 that are not, 0.01% of all"),
    "infinity": (bad(np.inf, np.s_[:, 0]), GIVEN, r"got 400 that are not, 5.00% of all"),
    "two dims": (V_M[0], GIVEN, r"V_m: expected \(time, y, x\), got an array of shape \(20, 20\)"),
    "four dims": (V_M[None], GIVEN, r"V_m: expected \(time, y, x\), got"),
    "a data set": (own().expand_dims("sim"), {}, r"of one tissue, got float64 \('sim', 'time', 'y', 'x'\)"),
    "complex": (V_M + 0j, GIVEN, "complex128"),
    "objects": (V_M.astype(object), GIVEN, "object"),
    "words": (V_M.astype(str), GIVEN, "<U"),
    "nothing": (None, GIVEN, "object"),
    "one frame": (V_M[:1], GIVEN, "V_m: expected at least 2 frames, got 1"),
    "no wave": (np.minimum(V_M, -40), GIVEN, "a wave that rises.*values from -85 to -40 in mV: the mean of no pixel rises"),
    "u as mV": (U, GIVEN, "V_m: expected a wave.*in mV, plausible in u"),
    "V as mV": (V_M / 1000, GIVEN, "in mV, plausible in V"),
    "mV as u": (V_M, GIVEN | {"unit": "u"}, "in u, plausible in mV"),
    "V as u": (V_M / 1000, GIVEN | {"unit": "u"}, "in u, plausible in V"),
    "mV as V": (V_M, GIVEN | {"unit": "V"}, "in V, plausible in mV"),
    "u as V": (U, GIVEN | {"unit": "V"}, "in V, plausible in u"),
    "u labeled mV": (own(U), {}, "in mV, plausible in u"),
    "no unit": (V_M, {"dx": 2.0, "dt": 5.0}, "unit: expected one of mV, V, u, 1 for V_m, got None"),
    "unknown unit": (V_M, GIVEN | {"unit": "counts"}, "unit: expected a unit such as mV, .* got 'counts'"),
    "unknown label": (own(units="counts"), {}, "unit: expected a unit such as mV, .* got 'counts'"),
    "two units": (own(), {"unit": "u"}, "unit: .* got u, with attribute units mV"),
    "no dx": (V_M, {"dt": 5.0, "unit": "mV"}, "dx: expected it in mm"),
    "no dt": (V_M, {"dx": 2.0, "unit": "mV"}, "dt: expected it in ms"),
    "time without a unit": (without_units("time"), {}, "dt: expected it in ms, or coordinates .* with a unit"),
    "two dx": (own(), {"dx": 1.0}, "dx: expected one value .*1 from the argument dx, 2 from the coordinate y_map"),
    "dx and its attribute": (own().assign_attrs(dx_map=1.0), {}, "dx: .*1 from the attribute dx_map, 2 from"),
    "two dt": (own(), {"dt": 1.0}, "dt: expected one value in .*1 from the argument dt, 5 from the coordinate time"),
    "pixels not square": (own(x=3.0), {}, "dx: .*square pixels.* 2 from the coordinate y_map, 3 from the coordinate x_map"),
    "dx in m": (V_M, GIVEN | {"dx": 0.002}, "dx: expected a number in 0.05 .. 20 mm, got 0.002"),
    "dx NaN": (V_M, GIVEN | {"dx": np.nan}, "dx: .* got nan"),
    "dt in s": (V_M, GIVEN | {"dt": 0.005}, "dt: expected a number in 0.05 .. 50 ms, got 0.005"),
    "dt in us": (V_M, GIVEN | {"dt": 5000.0}, "dt: .* got 5000"),
    "x in inch": (own(length="inch"), {}, "y_map: expected a unit such as mm, cm, m, um, got 'inch'"),
    "rows downward": (own(y=-2.0), {}, "y_map: expected equal steps upward, got steps from -2 to -2"),
    "a frame lost": (own().isel(time=[0, 1, 2, *range(4, 20)]), {}, "time: expected equal steps upward, .* from 5 to 10"),
    "time backward": (own().isel(time=slice(None, None, -1)), {}, "time: expected equal steps upward"),
    "other names": (own().rename(y="row"), {}, "dims: expected the words time, y and x"),
    "dims twice": (V_M, GIVEN | {"dims": ("time", "y", "y")}, "dims: expected the words time, y and x"),
    "two dims given": (V_M, GIVEN | {"dims": ("time", "y")}, "dims: expected the words time, y and x"),
    "no such variable": (own(), {"variable": "Vm"}, r"variable: expected .* one of \['V_m'\], got Vm"),
    "two candidates": (own().rename(V_m="a").assign(b=own().V_m), {}, r"one of \['a', 'b'\], got None"),
    "D in other units": (own().assign(D=(("y", "x"), U[0], {"units": "inch2 ms-1"})), {}, "D: expected a unit such as mm2 ms-1, .* got 'inch2 ms-1'"),
    "D in no units": (own().assign(D=(("y", "x"), U[0])), {}, "D: expected an attribute units, such as mm2 ms-1, got none"),
    "D NaN": (own().assign(D=(("y", "x"), U[0] * np.nan, {"units": "mm2 ms-1"})), {}, "D: expected finite values in mm2 ms-1, got 400 that are not"),
    "D in time": (own().assign(D=(("time", "y", "x"), U, {"units": "mm2 ms-1"})), {}, r"D: expected dims \(y, x\), got \('time', 'y', 'x'\)"),
    "D of another sheet": (
        own().rename(y="y_map", x="x_map").assign(D=(("y", "x"), np.ones((40, 40)), {"units": "mm2 ms-1"})),
        {},
        "D: expected y to cover the 40 mm of the maps, got 80 mm",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_maps_are_refused(case):
    source, given, message = REFUSED[case]
    with pytest.raises(ValueError, match=message) as refusal:
        import_maps(source, **given)
    assert "\n" not in str(refusal.value)


def test_files_are_refused(tmp_path):
    with pytest.raises(ValueError, match="source: expected a file or folder that is there, got none.nc"):
        import_maps(tmp_path / "none.nc")
    (tmp_path / "a.doc").touch()
    with pytest.raises(
        ValueError,
        match=r"source: expected a file ending in .nc, .nc4, .cdf, .h5, .hdf5, .npy, .npz, .zip, .mat, .tif, .tiff, .igb, or a folder of Zarr, got a.doc",
    ):
        import_maps(tmp_path / "a.doc")
    (tmp_path / "empty").mkdir()
    np.save(tmp_path / "objects.npy", np.array([{}], object), allow_pickle=True)
    np.savez(tmp_path / "objects.npz", V_m=np.array([{}], object))
    for name in ("a.nc", "a.npy", "a.npz", "a.zip"):
        (tmp_path / name).write_bytes(b"no such file")
    for name in ("empty", "objects.npy", "objects.npz", "a.nc", "a.npy", "a.npz", "a.zip"):
        with pytest.raises(ValueError, match=f"source: expected a readable file, got {name}: "):
            import_maps(tmp_path / name, **GIVEN)


def test_the_tool_writes_the_same_bytes_twice(tissue, tmp_path, monkeypatch):
    sims = (4, 9)
    ds = small.assemble([tissue, tissue.assign_attrs(condition="healthy")], sims, TINY)
    for name in ("a.zarr.zip", "b.zarr.zip"):
        small.write(ds, tmp_path / name)
    assert (tmp_path / "a.zarr.zip").read_bytes() == (tmp_path / "b.zarr.zip").read_bytes()
    monkeypatch.setattr(maps, "SMALL_SET", tmp_path / "a.zarr.zip")
    back = load_small()
    assert back.sim.values.tolist() == [*sims] and back.condition.values.tolist() == ["combined", "healthy"]
    assert abs(back.V_m - tissue.V_m).max() < 0.0251 and abs(back.lat - tissue.lat).max() < 0.051
    np.testing.assert_array_equal(np.isnan(back.lat[0]), np.isnan(tissue.lat))


def labeled_maps(**more) -> xr.Dataset:
    """A wave on 6 x 8 pixels of 2 mm with labeled axes, and other variables."""
    u = np.zeros((4, 6, 8))
    u[1:3, :, :4] = 1
    axes = {"y": ("y", 2.0 * np.arange(6), {"units": "mm"}), "x": ("x", 2.0 * np.arange(8), {"units": "mm"})}
    axes["time"] = ("time", 5.0 * np.arange(4), {"units": "ms"})
    return xr.Dataset({"V_m": (("time", "y", "x"), -85 + 100 * u, {"units": "mV"})} | more, coords=axes)


def on_pixels(value, units):
    return (("y", "x"), np.full((6, 8), value), {"units": units})


def test_the_order_of_named_axes_is_not_overruled():
    assert import_maps(labeled_maps(), dims=("time", "y", "x")).V_m.shape == (4, 6, 8)
    with pytest.raises(ValueError, match="dims: expected an order that agrees with the names"):
        import_maps(labeled_maps(), dims=("time", "x", "y"))


@pytest.mark.parametrize(
    ("name", "variable", "message"),
    [
        ("conductive", on_pixels(0.1, "1"), "conductive: expected 0 or 1"),
        ("D", on_pixels(-0.15, "mm2 ms-1"), "D: expected values >= 0"),
    ],
)
def test_a_share_is_no_mask_and_no_diffusivity_is_negative(name, variable, message):
    with pytest.raises(ValueError, match=message):
        import_maps(labeled_maps(**{name: variable}))


def test_another_variable_upside_down_or_of_another_spacing_is_refused():
    D = xr.DataArray(np.full((6, 8), 0.1), dims=("y", "x"), attrs={"units": "mm2 ms-1"})
    for y, message in (
        (2.0 * np.arange(6)[::-1], "y: expected equal steps upward"),
        (14.0 * np.arange(6), "D: expected y to cover"),
    ):
        maps = labeled_maps().drop_vars("y")
        maps["y"] = ("y", y, {"units": "mm"})
        own = maps.drop_vars("V_m").assign(D=D)
        both = xr.Dataset(
            {"V_m": labeled_maps().V_m.drop_vars("y").rename(y="y_map", x="x_map"), "D": own.D.assign_coords(y=maps.y)}
        )
        both.V_m.attrs["units"] = "mV"
        with pytest.raises(ValueError, match=message):
            import_maps(both, dx=2.0)


def test_netcdf_4_is_read(tmp_path):
    labeled_maps().to_netcdf(tmp_path / "four.nc", engine="h5netcdf")
    assert np.array_equal(import_maps(tmp_path / "four.nc").V_m, labeled_maps().V_m)


# The page


PAGE = (ROOT / "book" / "data.md").read_text(encoding="utf-8")


def test_the_page_names_every_column(shipped):
    section = PAGE.partition("(store)=")[2].partition("**Leads.**")[0]
    named = {
        name for row in re.findall(r"^\| (`.*?) \|", section, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)
    }
    assert named == {name for name, column in shipped.data_vars.items() if column.dims == ("sim",)}
