"""Maps out of the data contract and into it: what comes in is checked once, here.

No unit and no order of axes is guessed: it is read or given, and both must agree.
"""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from forwardecg.contract import CONTRACT, UNIT_WORDS, array, as_variable, corner, count, flag, instance, unit_of
from forwardecg.data.formats import as_dataset
from forwardecg.data.labels import find_axis, find_step, from_counts, millivolts
from forwardecg.data.lost import fill_lost as fill_lost
from forwardecg.data.lost import fill_missing
from forwardecg.data.readers import read
from forwardecg.ecg.electrodes import by_xyz
from forwardecg.measure.scores import agree
from forwardecg.paths import SMALL, file_path

Source = xr.Dataset | xr.DataArray | str | os.PathLike | ArrayLike

SMALL_SET = SMALL / "tissues.zarr.zip"
_MAP_DIMS = CONTRACT["V_m"][0]
_AXES = {
    "time": "time",
    "t": "time",
    "time_ecg": "time",
    "y": "y_map",
    "y_map": "y_map",
    "x": "x_map",
    "x_map": "x_map",
}
# V_m in exported files, in steps of 0.01 mV; the halves of the store have steps of up to 0.05 mV
_PACKED = {"dtype": "int16", "scale_factor": np.float32(0.01), "_FillValue": np.int16(-32768)}


def export_tissue(ds: xr.Dataset, path: Path | str, sim: int | None = None) -> None:
    """Write one tissue as NetCDF 3 (CF), V_m in steps of 0.01 mV, columns as attributes; `import_maps` gives it back.

    Args:
        ds: one tissue, of `simulate` or `import_maps`; or a data set.
        path: file, overwritten.
        sim: place of the tissue in a data set.

    Raises:
        ValueError: ``sim`` missing, without use or out of range; or what `import_maps` refuses.

    Examples:
        >>> export_tissue(load_small(), "tissue.nc", sim=2)
        >>> import_maps("tissue.nc").attrs["condition"]
        'fibrotic'
    """
    n_sim = instance("ds", ds, xr.Dataset).sizes.get("sim", 0)
    if "sim" not in ds.dims and sim is not None:
        raise ValueError(f"sim: expected None, got {sim!r}")
    sim = count("sim", sim, 0, n_sim - 1) if "sim" in ds.dims else None
    path = file_path("path", path, new=True)
    tissue = ds if sim is None else ds.isel(sim=sim)
    columns = {str(name): value.values.item() for name, value in tissue.variables.items() if value.ndim == 0}
    recipe = json.loads(tissue.attrs.get("recipe", "{}"))  # of a data set: it knows the sides of cells and pixels, mm
    sizes = {"dx": recipe["dx"], "dx_map": recipe["dx"] * recipe["pool"]} if recipe else {}
    tissue = import_maps(tissue.drop_vars(columns).assign_attrs(sizes | tissue.attrs | columns)).drop_encoding()
    part = Path(f"{path}.part")
    try:
        tissue.assign_attrs(Conventions="CF-1.10").to_netcdf(part, engine="scipy", encoding={"V_m": _PACKED})
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def import_maps(
    source: Source, *, dx: float | None = None, dt: float | None = None, unit: str | None = None,
    variable: str | None = None, dims: tuple[str, str, str] | None = None, fill: bool = False,
    mask: ArrayLike | None = None, counts: tuple[ArrayLike, ArrayLike] | None = None,
) -> xr.Dataset:  # fmt: skip
    """One's own maps in the data contract: V_m (time, y_map, x_map) in mV, its times in ms, and ``dx_map``.

    Args:
        source: file (.nc, .h5, .npy, .npz, .mat, .tif, .igb, zipped Zarr), folder (Zarr), array (time, y, x), xr.DataArray
            or xr.Dataset. Of TIFF a stack of gray frames, which needs the extra [files].
        dx: mm, side of a pixel; not needed where coordinates y and x have a unit, or an attribute ``dx_map`` says it.
        dt: ms between frames; not needed where the coordinate time has a unit or ``frame_interval`` says it.
        unit: mV, V, or u (0 at rest, 1 at the peak: -85 .. 15 mV); not needed where the maps have ``units``.
        variable: name of the maps, in HDF5 also group/name; needed where several could be meant and none is called V_m.
        dims: the words time, y, x in the order of the axes; needed where the axes are named otherwise, and for every .mat:
            there in the order in which MATLAB shows them.
        fill: missing values (NaN, masked) are filled in: up to `lost.MOST_FRAMES` frames in a row from those beside them in
            time, other pixels, up to `lost.MOST_LOST` of them, by the mean of their neighbors; False: they are refused.
        mask: (y, x) bool, True where there is tissue. What lies outside is taken for no tissue, whatever its values: it
            comes back at rest, which gives no ECG, and counts neither as lost nor as a neighbor. None: all is tissue.
        counts: (rest, amplitude) of a camera, numbers or (y, x): what a pixel counts at rest, and by how much more at the peak,
            negative where the dye gets darker. They become u, so that a ``unit`` other than u is refused.

    Returns:
        V_m, and what else the source has under names of the contract: D, conductive, electrodes and so on. A D on the
        pixels of the maps comes back on the grid (y, x) with dx = dx_map. Coordinates y, x with a unit come back as
        those of the centers of the pixels, y_map and x_map in mm, and electrodes are in their frame; a mask as the
        coordinate ``tissue``. What was filled in is in the attributes ``filled`` (words), ``filled_share`` of the
        values and ``largest_hole``, mm, the side of the largest square without a value.

    Raises:
        ValueError: Anything missing, contradictory, not finite, or not plausible in its unit.

    Examples:
        >>> u = np.zeros((3, 8, 8))  # time, y, x
        >>> u[1:, :, :4] = 1.0
        >>> ds = import_maps(u, dx=2.0, dt=5.0, unit="u")
        >>> ds.V_m.values[1, 0, [0, 7]].tolist(), ds.time.values.tolist(), ds.attrs
        ([15.0, -85.0], [0.0, 5.0, 10.0], {'dx_map': 2.0})
    """
    fill = flag("fill", fill)
    ds = _open(source, variable)
    name = _name_of_maps(ds, variable)
    V_m, given = _in_order(name, ds[name], dims), ds.attrs | ds[name].attrs
    if "time" not in V_m.coords and "time" in ds.variables and ds["time"].ndim == 1:
        V_m["time"] = ("time", ds["time"].values, ds["time"].attrs)  # of an .npz, or of an axis of another name
    step = {argument: find_step(argument, value, V_m, given) for argument, value in (("dx", dx), ("dt", dt))}
    values = array(name, V_m, _MAP_DIMS, finite=False)
    tissue = _tissue(ds.get("tissue") if mask is None else mask, values.shape[1:])
    corner("mask", mask, step["dx"])
    agree((name, "mask"), V_m, mask)
    filled, own = dict[str, Any](), unit_of(given)
    if counts is not None:
        values, unit, own = from_counts(name, values, tissue, counts, unit, own), "u", None
    if fill:
        values, filled = fill_missing(name, values, tissue, step["dx"])
    mv = millivolts(name, values, tissue, unit, own)
    time = step["dt"] * np.arange(len(V_m))
    if (axis := find_axis(V_m, "time", "ms")) is not None:
        time = axis
    maps = xr.Dataset({"V_m": as_variable("V_m", mv)}, {"time": as_variable("time", time)})
    for dim in _MAP_DIMS[1:]:
        if (axis := find_axis(V_m, dim, "mm")) is not None:
            maps[dim] = dim, axis, {"units": "mm", "long_name": "centers of the pixels"}
    if tissue is not None:
        maps = maps.assign_coords(tissue=(_MAP_DIMS[1:], tissue))
    others = {key: value for key, value in ds.attrs.items() if key != "Conventions"}
    maps.attrs = others | {"dx_map": step["dx"]} | filled
    for other in ("time_ecg", *CONTRACT):  # the axis before what lies along it
        if other in ds.variables and other not in (name, "V_m", "time", *maps.variables):
            maps[other] = _keep(other, ds[other], maps)
    return maps


def load_small() -> xr.Dataset:
    """The four tissues that come with the package, one of each condition.

    Returns:
        V_m, lat, phi_e, D, conductive and what was drawn, with a leading dim ``sim``.

    Examples:
        >>> load_small().condition.values.tolist()
        ['healthy', 'gap_junction', 'fibrotic', 'combined']
    """
    ds = read(SMALL_SET, everything=True)
    for name in [name for name in ds.variables if "flag_meanings" in ds[name].attrs]:
        ds[name] = ds[name].dims, np.array(ds[name].attrs["flag_meanings"].split())[ds[name].values]
    return ds


def _open(source: Source, variable: str | None) -> xr.Dataset:
    """Whatever holds the maps as a data set, with the names and units of the source; ValueError if unreadable."""
    source = xr.DataArray(source) if isinstance(source, xr.Variable) else source
    if isinstance(source, xr.Dataset | xr.DataArray):
        return source if isinstance(source, xr.Dataset) else source.to_dataset(name=source.name or "V_m")
    if isinstance(source, str | os.PathLike):
        return read(file_path("source", source), variable)
    return as_dataset({"V_m": array("V_m", source, ("time", "y", "x"), finite=False)})


def _in_order(name: str, V_m: xr.DataArray, dims: tuple[str, str, str] | None) -> xr.DataArray:
    """The maps (time, y_map, x_map), by the names of their axes or, where these say nothing, by ``dims``."""
    if V_m.ndim != 3:
        raise ValueError(f"{name}: expected maps (time, y, x) of one tissue, got {V_m.dtype} {V_m.dims}")
    if dims is None and V_m.dims == ("dim_0", "dim_1", "dim_2"):  # names of xarray's own
        dims = ("time", "y", "x")
    words = [*instance("dims", V_m.dims if dims is None else dims, (tuple, list))]
    axes = [_AXES.get(str(axis).rpartition("/")[2]) for axis in words]
    if sorted(map(str, axes)) != sorted(_MAP_DIMS):
        known = [_AXES.get(str(axis).rpartition("/")[2], "").removesuffix("_map") for axis in V_m.dims]
        free = [word for word in ("y", "x", "time") if word not in known]
        there = f"the axes {V_m.dims} of sizes {V_m.shape}, such as dims={tuple(one or free.pop(0) for one in known)}"
        raise ValueError(f"dims: expected the words time, y and x in the order of {there}, got {dims}")
    for label, axis in zip(V_m.dims, axes, strict=True):
        if _AXES.get(str(label), axis) != axis:
            raise ValueError(f"dims: expected an order that agrees with the names of the axes {V_m.dims}, got {dims}")
    V_m = V_m.drop_vars([label for label in V_m.coords if label not in V_m.dims])
    return V_m.rename(dict(zip(V_m.dims, axes, strict=True))).transpose(*_MAP_DIMS)


def _tissue(mask: ArrayLike | xr.DataArray | None, shape: tuple[int, ...]) -> np.ndarray | None:
    """The mask (y, x), some of it True; of a file that knows no bool, 0 and 1."""
    if mask is None:
        return None
    kinds = "bui" if isinstance(mask, xr.DataArray) and mask.name == "tissue" else "b"
    if isinstance(mask, xr.DataArray) and mask.dims == ("tissue/0", "tissue/1"):  # of an .npz
        mask = mask.values
    tissue = array("mask", mask, ("y", "x"), shape=shape, kinds=kinds).astype(bool)
    if not tissue.any():
        raise ValueError("mask: expected True where there is tissue, got False everywhere")
    return tissue


def _keep(name: str, values: xr.DataArray, maps: xr.Dataset) -> xr.DataArray:
    """Another variable of the source, if it fits the contract and the maps."""
    dims, units, _ = CONTRACT[name]
    placed = [str(dim) for dim in values.dims if _AXES.get(str(dim)) in _MAP_DIMS[1:]]
    centers = {_AXES[dim]: find_axis(values, dim, "mm") for dim in placed}
    if name != "phi_e" and units != "1" and unit_of(values.attrs) is None:  # that of phi_e depends on the conductor
        raise ValueError(f"{name}: expected an attribute units, such as {units}, got none")
    if "xyz" in values.coords:
        values = by_xyz(name, values)
    own, kinds = None if name == "phi_e" else units, "iufb" if name == "conductive" else "iuf"
    data = array(name, values, dims, own, finite=name not in ("lat", "recovery"), kinds=kinds)
    for dim in (f"{dim}_map" for dim in dims if dims == ("y", "x")):
        at, n, side = centers.get(dim), data.shape[_MAP_DIMS.index(dim) - 1], maps.dx_map
        dx = maps.attrs.setdefault("dx", side) if at is None else float(np.diff(at).mean())
        size = maps.sizes[dim] * side
        if not np.isclose(n * dx, size, rtol=1e-3):
            raise ValueError(f"{name}: expected {dim[0]} to cover the {size:g} mm of the maps, got {n * dx:g} mm")
        begin = at[0] - dx / 2 - (float(maps[dim][0]) - side / 2) if at is not None and dim in maps.coords else 0.0
        if abs(begin) > 0.01 * side:
            raise ValueError(f"{name}: expected {dim[0]} to begin where the maps do, got {begin:g} mm beside it")
    if name == "conductive" and not np.isin(data, (0, 1)).all():
        raise ValueError("conductive: expected 0 or 1 in every cell, got other numbers")
    if name in ("D", "D_across") and (data < 0).any():
        raise ValueError(f"{name}: expected values >= 0 mm^2/ms, got a minimum of {float(data.min()):.4g}")
    if name == "fiber_angle" and (turn := float(np.abs(data).max())) > 2 * np.pi:
        raise ValueError(f"fiber_angle: expected radians within 2 pi, got {turn:.4g}, as in degrees")
    coords = {label: values[label] for label in ("lead", "xyz") if label in values.coords and label in dims}
    data = data.astype(bool) if name == "conductive" else data
    attrs = {key: value for key, value in values.attrs.items() if own is None or key not in UNIT_WORDS}
    return xr.DataArray(data, coords, dims, attrs=attrs | ({"units": own} if own and attrs != values.attrs else {}))


def _name_of_maps(ds: xr.Dataset, variable: str | None) -> str:
    """Name of the maps: the one given, else V_m, else the only variable with three dims."""
    candidates = ["V_m"] if "V_m" in ds else [name for name, values in ds.data_vars.items() if values.ndim == 3]
    named = [variable] if isinstance(variable, str) and variable in ds.data_vars else []
    chosen = candidates if variable is None else named
    if len(chosen) != 1:
        raise ValueError(f"variable: expected the name of the maps, one of {[*ds.data_vars]}, got {variable}")
    return chosen[0]  # type: ignore[return-value]
