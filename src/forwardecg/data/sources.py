"""Files, folders and arrays that hold maps, read as a Dataset with whatever names and units they have: see `maps`."""

import os
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike
from zarr.storage import ZipStore

from forwardecg.contract import CONTRACT, as_variable

Source = xr.Dataset | xr.DataArray | str | os.PathLike | ArrayLike


def opened(source: Source) -> xr.Dataset:
    """Whatever holds the maps as a Dataset.

    Parameters
    ----------
    source : path of a file (.nc, .npy, .npz, .zip) or folder (Zarr), array, xr.DataArray or xr.Dataset

    Returns
    -------
    ds : with the names and units of the source; axes without names are called V_m/time, V_m/y, V_m/x

    Raises
    ------
    ValueError
        No such file, an ending that is not known, or a file that cannot be read.

    Examples
    --------
    >>> dict(opened(np.zeros((3, 4, 5))).sizes)
    {'V_m/time': 3, 'V_m/y': 4, 'V_m/x': 5}
    """
    if isinstance(source, xr.Dataset | xr.DataArray):
        return source if isinstance(source, xr.Dataset) else source.to_dataset(name=source.name or "V_m")
    if not isinstance(source, str | os.PathLike):
        return _unnamed({"V_m": np.asarray(source)})
    path = Path(source)
    read = READERS.get("folder" if path.is_dir() else path.suffix.lower())
    if not path.exists() or read is None:
        wanted = f"a file ending in {', '.join(READERS)}" if path.exists() else "a file or folder that is there"
        raise ValueError(f"source: expected {wanted}, got {path.name}")
    try:
        return read(path)
    except (OSError, ValueError, TypeError, KeyError, EOFError, BadZipFile) as error:
        raise ValueError(f"source: expected a readable file, got {path.name}: {error}") from None


def _unnamed(arrays: dict[str, np.ndarray]) -> xr.Dataset:
    """Arrays as variables; their axes are called name/time, name/y, name/x, for several may differ in size."""
    axes = {3: ("time", "y", "x")}
    named = {
        name: ([f"{name}/{axis}" for axis in axes.get(values.ndim, range(values.ndim))], values)
        for name, values in arrays.items()
    }
    return xr.Dataset(named)


def _read_npz(path: Path) -> xr.Dataset:
    """Single numbers and words are attributes; names of the contract have its dims and units, but V_m its own unit."""
    with np.load(path, allow_pickle=False) as file:
        entries = {name: file[name] for name in file.files}
    attributes = {name: entries.pop(name).item() for name in [*entries] if entries[name].ndim == 0}
    known = {name: as_variable(name, entries.pop(name)) for name in CONTRACT if name in entries and name != "V_m"}
    return _unnamed(entries).assign(known).assign_attrs(attributes)


def _read_zip(path: Path) -> xr.Dataset:
    store = ZipStore(path, mode="r")  # no `with`: a store that could not be opened cannot be closed
    ds = xr.open_zarr(store, chunks=None, consolidated=False, decode_times=False).load()
    store.close()
    return ds


READERS = {  # times stay the numbers that they are
    ".nc": lambda path: xr.load_dataset(path, decode_times=False),
    ".npy": lambda path: _unnamed({"V_m": np.load(path, allow_pickle=False)}),
    ".npz": _read_npz,
    ".zip": _read_zip,
    "folder": lambda path: xr.open_zarr(path, chunks=None, consolidated=False, decode_times=False),
}
