"""Files of openCARP, .igb: a header of 1024 bytes in ASCII, then the frames, x fastest, then y, z and time."""

import math
import os
import re
from pathlib import Path

import numpy as np
import xarray as xr

from forwardecg.contract import count, number
from forwardecg.paths import file_path

_HEADER = 1024  # bytes, of every file: the frames begin there even where the header says that it is longer
_TYPES = {
    "byte": "u1", "char": "i1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4", "long": "i8",
    "hfloat": "f2", "float": "f4", "double": "f8",
}  # fmt: skip
_ORDERS = {"little_endian": "<", "big_endian": ">"}


def read_igb(path: str | os.PathLike) -> xr.DataArray:
    """The frames of an .igb file of openCARP, left on the disk until they are used.

    Args:
        path: file, not compressed.

    Returns:
        (time, node) where y and z of the header are 1, as in the runs on meshes; else (time, y, x), and (time, z, y, x) where
        z is not 1. Its ``units`` are those of the header, mV where it names none. The coordinate time has the unit of the
        header, ms where it names none; there is none if the header has neither inc_t nor dim_t. Coordinates y and x are
        there if the header has their steps and their units. The values are a read-only view of the file where facteur is
        1 and zero is 0; else they are read, as facteur times the number in the file plus zero.

    Raises:
        ValueError: A file that is not there, is no .igb, holds more or less than its header says, or vectors and other
            types than plain numbers.

    Examples:
        >>> header = b"x:2 y:1 z:1 t:3 type:float systeme:little_endian inc_t:5 unites_t:ms unites:mV".ljust(1023) + b"\\f"
        >>> with open("vm.igb", "wb") as file:
        ...     _ = file.write(header + np.arange(6, dtype="<f4").tobytes())
        >>> vm = read_igb("vm.igb")
        >>> dict(vm.sizes), vm.units, vm.time.values.tolist(), vm[1].values.tolist()
        ({'time': 3, 'node': 2}, 'mV', [0.0, 5.0, 10.0], [2.0, 3.0])
    """
    path = file_path("path", path)
    if not path.is_file():
        raise ValueError(f"path: expected a file that is there, got {path.name}")
    header = _read_header(path)
    for key, known in (("type", _TYPES), ("systeme", _ORDERS)):
        if header.get(key) not in known:
            raise ValueError(f"{key} of {path.name}: expected one of {', '.join(known)}, got {header.get(key)}")
    n_x, n_y, n_z, n_t = (_whole(path, header, key) for key in "xyzt")
    dtype = np.dtype(_ORDERS[header["systeme"]] + _TYPES[header["type"]])
    frame, size = n_x * n_y * n_z * dtype.itemsize, path.stat().st_size - _HEADER
    if size != n_t * frame:
        came = f"{size} bytes, {size / frame:.6g} frames"
        raise ValueError(f"{path.name}: expected {n_t} frames of {frame} bytes after the header, got {came}")
    sizes = {"time": n_t, "z": n_z, "y": n_y, "x": n_x} if n_z > 1 else {"time": n_t, "y": n_y, "x": n_x}
    if n_y == n_z == 1:
        sizes = {"time": n_t, "node": n_x}
    values: np.ndarray = np.memmap(path, dtype, mode="r", offset=_HEADER, shape=tuple(sizes.values()))
    factor, zero = (_real(path, header, key, default) for key, default in (("facteur", 1.0), ("zero", 0.0)))
    if factor == 0:
        raise ValueError(f"facteur of {path.name}: expected a number other than 0, got 0")
    if (factor, zero) != (1.0, 0.0):
        values = factor * values.astype(np.result_type(dtype.newbyteorder("="), np.float32)) + zero
    axes = {dim: _axis(path, header, dim, sizes[dim]) for dim in ("time", "y", "x") if dim in sizes}
    coords = {dim: axis for dim, axis in axes.items() if axis is not None}
    unit = header.get("unites", "mV")
    return xr.DataArray(values, coords, [*sizes], attrs={"units": "mV" if unit == "mv" else unit})


def _read_header(path: Path) -> dict[str, str]:
    """The words key:value of the header."""
    with path.open("rb") as file:
        head = file.read(_HEADER)
    text = head.partition(b"\f")[0].replace(b"\0", b" ").decode("ascii", "replace")
    lines = [re.split("[#*]", line)[0] for line in re.split("[\r\n]+", text)]  # without comments
    words = [word.partition(":") for line in lines for word in re.split(r"[ ,;\t]+", line) if word]
    if len(head) < _HEADER or not all(key and colon and text.isprintable() for key, colon, text in words):
        raise ValueError(f"path: expected an igb file with words key:value in {_HEADER} bytes, got {path.name}")
    header = {key.lower(): value for key, _, value in words if value}
    if lost := [key for key in ("x", "y", "type", "systeme") if key not in header]:
        raise ValueError(f"path: expected an igb file with x, y, type and systeme, got {path.name} without {lost[0]}")
    return header


def _whole(path: Path, header: dict[str, str], key: str) -> int:
    """A size of the header; 1 if it is not there, which z and t may be."""
    word = header.get(key, "1")
    return count(f"{key} of {path.name}", int(word) if re.fullmatch(r"\d{1,12}", word) else word, 1, 10**12)


def _real(path: Path, header: dict[str, str], key: str, default: float = math.nan) -> float:
    """A number of the header."""
    word = header.get(key)
    if word is None:
        return default
    try:
        return number(f"{key} of {path.name}", float(word))
    except ValueError:
        raise ValueError(f"{key} of {path.name}: expected a number, got {word}") from None


def _axis(path: Path, header: dict[str, str], dim: str, n: int) -> tuple | None:
    """Dim, values and unit of a coordinate; None where the header does not say its step, or in which unit a length is."""
    key = "t" if dim == "time" else dim
    unit = header.get(f"unites_{key}", "ms" if key == "t" else None)
    step = _real(path, header, f"inc_{key}")
    if math.isnan(step) and key == "t" and n > 1:  # the programs do not agree on what dim_x and dim_y span
        step = _real(path, header, "dim_t") / (n - 1)
    if unit is None or math.isnan(step):
        return None
    if step <= 0:
        raise ValueError(f"inc_{key} of {path.name}: expected a number > 0, got {step:g}")
    return dim, _real(path, header, f"org_{key}", 0.0) + step * np.arange(n), {"units": unit}
