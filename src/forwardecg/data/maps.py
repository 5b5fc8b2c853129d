"""Maps out of the data contract and into it: what comes in is checked once, here.

No unit and no order of axes is guessed: it is read or given, and both must agree.
"""

import json
import os
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
import xarray as xr
from numpy.typing import ArrayLike
from torch import Tensor
from torch.nn import functional as F
from zarr.storage import ZipStore

from forwardecg.contract import CONTRACT, V_REST, V_SPAN, V_THRESHOLD, as_variable
from forwardecg.paths import SMALL

Source = xr.Dataset | xr.DataArray | str | os.PathLike | ArrayLike

SMALL_SET = SMALL / "tissues.zarr.zip"
_MAP_DIMS = CONTRACT["V_m"][0]
_AXES = {"time": "time", "t": "time", "y": "y_map", "y_map": "y_map", "x": "x_map", "x_map": "x_map"}
_TO_MV = {"mV": (1.0, 0.0), "V": (1000.0, 0.0), "u": (V_SPAN, V_REST), "1": (V_SPAN, V_REST)}  # factor, offset
_LOWEST, _REST, _HIGHEST = -200.0, -50.0, 200.0  # mV: the minimum lies between the first two, the maximum below 200
_STEPS = {  # argument: unit, sane range, attribute of the same meaning, coordinates that show it, their units
    "dx": ("mm", 0.05, 20.0, "dx_map", ("y_map", "x_map"), {"mm": 1.0, "cm": 10.0, "m": 1000.0, "um": 1e-3}),
    "dt": ("ms", 0.05, 50.0, "frame_interval", ("time",), {"ms": 1.0, "s": 1000.0, "us": 1e-3}),
}
# V_m in exported files, in steps of 0.01 mV; the halves of the store have steps of up to 0.05 mV
_PACKED = {"dtype": "int16", "scale_factor": np.float32(0.01), "_FillValue": np.int16(-32768)}
MOST_LOST = 0.2  # share of the pixels


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
    n_sim = ds.sizes.get("sim", 0)
    if sim not in (range(n_sim) if "sim" in ds.dims else [None]):
        raise ValueError(f"sim: expected {f'a place in 0 .. {n_sim - 1}' if n_sim else 'None'}, got {sim}")
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
) -> xr.Dataset:  # fmt: skip
    """One's own maps in the data contract: V_m (time, y_map, x_map) in mV, its times in ms, and ``dx_map``.

    Args:
        source: file (.nc, .npy, .npz, zipped Zarr), folder (Zarr), array (time, y, x), xr.DataArray or xr.Dataset.
        dx: mm, side of a pixel; not needed where coordinates y and x have a unit, or an attribute ``dx_map`` says it.
        dt: ms between frames; not needed where the coordinate time has a unit or ``frame_interval`` says it.
        unit: mV, V, or u (0 at rest, 1 at the peak: -85 .. 15 mV); not needed where the maps have ``units``.
        variable: name of the maps; needed where several could be meant and none is called V_m.
        dims: the words time, y, x in the order of the axes; needed where the axes are named otherwise.
        fill: pixels with a missing value (NaN), up to `MOST_LOST`, become the mean of their neighbors; False: no.

    Returns:
        V_m, and what else the source has under names of the contract: D, conductive, electrodes and so on. A D on the
        pixels of the maps comes back on the grid (y, x) with dx = dx_map.

    Raises:
        ValueError: Anything missing, contradictory, not finite, or not plausible in its unit.

    Examples:
        >>> u = np.zeros((3, 8, 8))  # time, y, x
        >>> u[1:, :, :4] = 1.0
        >>> ds = import_maps(u, dx=2.0, dt=5.0, unit="u")
        >>> ds.V_m.values[1, 0, [0, 7]].tolist(), ds.time.values.tolist(), ds.attrs
        ([15.0, -85.0], [0.0, 5.0, 10.0], {'dx_map': 2.0})
    """
    ds = _open(source)
    name = _chosen(ds, variable)
    V_m, given = ds[name], ds.attrs | ds[name].attrs
    if V_m.dtype.kind not in "fiu" or V_m.ndim != 3:
        raise ValueError(f"{name}: expected real numbers (time, y, x) of one tissue, got {V_m.dtype} {V_m.dims}")
    axes = [_AXES.get(str(axis).rpartition("/")[2]) for axis in (dims or V_m.dims)]
    if sorted(map(str, axes)) != sorted(_MAP_DIMS):
        raise ValueError(f"dims: expected the words time, y and x in the order of the axes {V_m.dims}, got {dims}")
    for label, axis in zip(V_m.dims, axes, strict=True):
        if _AXES.get(str(label), axis) != axis:
            raise ValueError(f"dims: expected an order that agrees with the names of the axes {V_m.dims}, got {dims}")
    V_m = V_m.drop_vars([label for label in V_m.coords if label not in V_m.dims])
    V_m = V_m.rename(dict(zip(V_m.dims, axes, strict=True))).transpose(*_MAP_DIMS)
    if "time" not in V_m.coords and "time" in ds.variables and ds["time"].ndim == 1:
        V_m["time"] = ("time", ds["time"].values, ds["time"].attrs)  # of an .npz, or of an axis of another name
    values = _fill(name, V_m.values) if fill else V_m.values
    mv = _millivolts(name, values, unit, given.get("units"))
    step = {argument: _step(argument, value, V_m, given) for argument, value in (("dx", dx), ("dt", dt))}
    time = step["dt"] * np.arange(len(V_m))
    if "time" in V_m.coords and (own := V_m["time"].attrs.get("units")):
        time = _STEPS["dt"][-1][own] * V_m["time"].values
    maps = xr.Dataset({"V_m": as_variable("V_m", mv)}, {"time": as_variable("time", time)})
    maps.attrs = {key: value for key, value in ds.attrs.items() if key != "Conventions"} | {"dx_map": step["dx"]}
    for other in [other for other in CONTRACT if other in ds.variables and other not in (name, "V_m", "time")]:
        maps[other] = _kept(other, ds[other], maps)
    return maps


def load_small() -> xr.Dataset:
    """The four tissues that come with the package, one of each condition.

    Returns:
        V_m, lat, phi_e, D, conductive and what was drawn, with a leading dim ``sim``.

    Examples:
        >>> load_small().condition.values.tolist()
        ['healthy', 'gap_junction', 'fibrotic', 'combined']
    """
    ds = _open(SMALL_SET)
    for name in [name for name in ds.variables if "flag_meanings" in ds[name].attrs]:
        ds[name] = ds[name].dims, np.array(ds[name].attrs["flag_meanings"].split())[ds[name].values]
    return ds


def _open(source: Source) -> xr.Dataset:
    """Whatever holds the maps as a data set, with the names and units of the source; ValueError if unreadable."""
    if isinstance(source, xr.Dataset | xr.DataArray):
        return source if isinstance(source, xr.Dataset) else source.to_dataset(name=source.name or "V_m")
    if not isinstance(source, str | os.PathLike):
        return _unnamed({"V_m": np.asarray(source)})
    path = Path(source)
    read = _READERS.get("folder" if path.is_dir() else path.suffix.lower())
    if not path.exists() or read is None:
        wanted = f"a file ending in {', '.join(_READERS)}" if path.exists() else "a file or folder that is there"
        raise ValueError(f"source: expected {wanted}, got {path.name}")
    try:
        return read(path)
    except (OSError, ValueError, TypeError, KeyError, EOFError, BadZipFile) as error:
        raise ValueError(f"source: expected a readable file, got {path.name}: {error}") from None


def _unnamed(arrays: dict[str, np.ndarray]) -> xr.Dataset:
    """Arrays as variables; their axes are called name/time, name/y, name/x, for several may differ in size."""
    axes = {name: ("time", "y", "x") if values.ndim == 3 else range(values.ndim) for name, values in arrays.items()}
    return xr.Dataset({name: ([f"{name}/{axis}" for axis in axes[name]], values) for name, values in arrays.items()})


def _read_npz(path: Path) -> xr.Dataset:
    """Single numbers and words are attributes; names of the contract have its dims and units, but V_m its own unit."""
    with np.load(path, allow_pickle=False) as file:
        entries = {name: file[name] for name in file.files}
    attributes = {name: entries.pop(name).item() for name in [*entries] if entries[name].ndim == 0}
    known = {name: as_variable(name, entries.pop(name)) for name in CONTRACT if name in entries and name != "V_m"}
    return _unnamed(entries).assign(known).assign_attrs(attributes)


def _read_zarr(path: Path) -> xr.Dataset:
    store = path if path.is_dir() else ZipStore(path, mode="r")  # no `with`: one that was not opened cannot be closed
    ds = xr.open_zarr(store, chunks=None, consolidated=False, decode_times=False)
    if isinstance(store, ZipStore):
        ds.load()
        store.close()
    return ds


_READERS = {  # times stay the numbers that they are
    ".nc": lambda path: xr.load_dataset(path, decode_times=False),
    ".npy": lambda path: _unnamed({"V_m": np.load(path, allow_pickle=False)}),
    ".npz": _read_npz,
    ".zip": _read_zarr,
    "folder": _read_zarr,
}


def _millivolts(name: str, values: np.ndarray, unit: str | None, own: str | None) -> np.ndarray:
    """Values in mV, once they are known to be finite, and plausible in their unit."""
    words = [word for word in (unit, own) if word is not None]
    if not words or len({_TO_MV.get(word, word) for word in words}) > 1 or words[0] not in _TO_MV:
        came = f"{unit}, with attribute units {own}"
        raise ValueError(f"unit: expected one of {', '.join(_TO_MV)} for {name}, got {came}")
    values = values.astype(np.result_type(values.dtype, np.float32))
    if len(values) < 2:
        raise ValueError(f"{name}: expected at least 2 frames, got {len(values)}")
    if n := np.count_nonzero(~np.isfinite(values)):
        raise ValueError(f"{name}: expected finite values, got {n} that are not, {n / values.size:.2%} of all")
    low, high = float(values.min()), float(values.max())
    fitting = [
        word for word, (factor, offset) in _TO_MV.items()
        if _LOWEST <= factor * low + offset <= _REST and V_THRESHOLD < factor * high + offset <= _HIGHEST
    ]  # fmt: skip
    if words[0] not in fitting:
        wanted = f"a wave that rises from rest near {V_REST:g} mV above {V_THRESHOLD:g} mV"
        came = f"values from {low:.4g} to {high:.4g} in {words[0]}, plausible in {', '.join(fitting) or 'no unit'}"
        raise ValueError(f"{name}: expected {wanted}, got {came}")
    factor, offset = _TO_MV[words[0]]
    return factor * values + offset


def _fill(name: str, values: np.ndarray) -> np.ndarray:
    """Values (time, y, x) with lost pixels replaced by the mean of their neighbors."""
    lost = ~np.isfinite(values).all(0)
    if lost.mean() > MOST_LOST:
        raise ValueError(f"{name}: expected at most {MOST_LOST:.0%} of the pixels to be lost, got {lost.mean():.0%}")
    return fill_lost(torch.from_numpy(values.astype(np.float32)), torch.from_numpy(lost)).numpy()


def _step(argument: str, value: float | None, V_m: xr.DataArray, given: dict) -> float:
    """Pixel size in mm, or time between frames in ms: the one that argument, attribute and coordinates agree on."""
    unit, low, high, attribute, coordinates, _ = _STEPS[argument]
    found = {f"the argument {argument}": value, f"the attribute {attribute}": given.get(attribute)}
    found |= {f"the coordinate {dim}": _spacing(V_m[dim], argument) for dim in coordinates if dim in V_m.coords}
    found = {origin: float(step) for origin, step in found.items() if step is not None}
    if not found:
        raise ValueError(f"{argument}: expected it in {unit}, or coordinates {coordinates} with a unit, got neither")
    steps = np.array([*found.values()])
    if not (np.allclose(steps, steps[0], rtol=1e-3, atol=0) and low <= steps[0] <= high):
        came = ", ".join(f"{step:g} from {origin}" for origin, step in found.items())
        raise ValueError(f"{argument}: expected one value (square pixels) in {low:g} .. {high:g} {unit}, got {came}")
    return float(steps[0])


def _spacing(coordinate: xr.DataArray, argument: str) -> float | None:
    """The equal, upward steps of a coordinate in mm or ms; None if it has no unit, or only one value."""
    name, unit, factors = coordinate.name, coordinate.attrs.get("units"), _STEPS[argument][-1]
    if coordinate.dtype.kind not in "fiu" or unit is not None and unit not in factors:
        raise ValueError(f"{name}: expected numbers in one of {', '.join(factors)}, got {coordinate.dtype} in {unit}")
    steps = np.diff(coordinate.values.astype(float))
    if not (np.all(steps > 0) and np.allclose(steps, steps[:1], rtol=1e-2, atol=0)):
        raise ValueError(f"{name}: expected equal steps upward, got steps from {steps.min():g} to {steps.max():g}")
    return None if unit is None or not steps.size else factors[unit] * steps.mean()


def _kept(name: str, values: xr.DataArray, maps: xr.Dataset) -> xr.DataArray:
    """Another variable of the source, if it fits the contract and the maps."""
    dims, units, _ = CONTRACT[name]
    along = [dim for dim in values.dims if dim in values.coords and _AXES.get(str(dim)) in _MAP_DIMS[1:]]
    spacing = {_AXES[str(dim)][0]: _spacing(values[dim], "dx") for dim in along}
    values = values.drop_vars([label for label in values.coords if label not in ("lead", "xyz", "time_ecg")])
    if values.dims == _MAP_DIMS[1:] and dims == ("y", "x"):
        values = values.rename(y_map="y", x_map="x")
    came = units if name == "phi_e" else values.attrs.get("units", "1")  # that of phi_e depends on the conductor
    finite = name in ("lat", "recovery") or values.dtype.kind in "fiub" and np.isfinite(values.values).all()
    if values.dims != dims or came != units or not finite:
        raise ValueError(f"{name}: expected finite {dims} in {units}, got {values.dims} in {came}, finite: {finite}")
    for dim in dims if dims == ("y", "x") else ():
        covered = values.sizes[dim] * (spacing.get(dim) or maps.attrs.setdefault("dx", maps.dx_map))
        size = maps.sizes[f"{dim}_map"] * maps.dx_map
        if not np.isclose(covered, size, rtol=1e-3):
            raise ValueError(f"{name}: expected {dim} to cover the {size:g} mm of the maps, got {covered:g} mm")
    if name == "conductive" and not np.isin(values, (0, 1)).all():
        raise ValueError("conductive: expected 0 or 1 in every cell, got other numbers")
    if name in ("D", "D_across") and (values < 0).any():
        raise ValueError(f"{name}: expected values >= 0 mm^2/ms, got a minimum of {float(values.min()):.4g}")
    return values.astype(bool) if name == "conductive" else values


def _chosen(ds: xr.Dataset, variable: str | None) -> str:
    """Name of the maps: the one given, else V_m, else the only variable with three dims."""
    candidates = ["V_m"] if "V_m" in ds else [name for name, values in ds.data_vars.items() if values.ndim == 3]
    chosen = [variable] if variable in ds.data_vars else candidates if variable is None else []
    if len(chosen) != 1:
        raise ValueError(f"variable: expected the name of the maps, one of {[*ds.data_vars]}, got {variable}")
    return chosen[0]  # type: ignore[return-value]


def fill_lost(u: Tensor, lost: Tensor) -> Tensor:
    """Maps (time, y, x) whose pixels ``lost`` (y, x), not all, are the mean of their neighbors, from the rim inward."""
    u, known = torch.where(lost, 0.0, u), (~lost).to(u.dtype)
    while not known.all():
        total, weight = (9 * F.avg_pool2d(z[:, None], 3, 1, 1)[:, 0] for z in (u, known[None]))
        new = (known == 0) & (weight[0] > 0)
        u, known = torch.where(new, total / weight.clamp(min=1), u), known + new
    return u
