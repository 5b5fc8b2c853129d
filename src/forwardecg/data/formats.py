"""Files that other programs write on a regular grid: MATLAB's .mat, stacks of TIFF, the .igb of openCARP.

What a file says of its axes is kept, and what it leaves open is left to who reads it: no axis of a .mat has a name.
"""

import logging
import math
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import h5py  # type: ignore[import-untyped]
import numpy as np
import xarray as xr
from scipy.io import loadmat, whosmat
from scipy.io.matlab import matfile_version

from forwardecg.contract import CONTRACT
from forwardecg.data.igb import read_igb

_NUMBERS: dict[str, np.dtype] = {f"{u}int{n}": np.dtype(f"{u}int{n}") for u in ("", "u") for n in (8, 16, 32, 64)}
_NUMBERS |= {"double": np.dtype("f8"), "single": np.dtype("f4"), "logical": np.dtype(bool)}  # classes of MATLAB
_SINGLE = ("dx_map", "frame_interval", "units")  # what a .mat may say of its maps, as an .npz does
_PACKINGS = ("NONE", "LZW", "PACKBITS", "DEFLATE", "ADOBE_DEFLATE")  # of TIFF, whose frames cannot grow without a limit
_MOST_GROWN = 1032  # bytes that deflate makes of one, at most
_AXES = {"T": "time", "I": "time", "Q": "time", "Y": "y", "X": "x"}  # of tifffile; I and Q are pages without a name


class Declaration(NamedTuple):
    """What a file says of one of its arrays."""

    shape: tuple[int, ...]
    bytes: int


Choose = Callable[[dict[str, Declaration]], list[str]]


def as_dataset(arrays: dict[str, Any]) -> xr.Dataset:
    """Arrays as variables; their axes are called name/time, name/y, name/x, for several may differ in size."""
    axes = {name: ("time", "y", "x") if values.ndim == 3 else range(values.ndim) for name, values in arrays.items()}
    return xr.Dataset({name: ([f"{name}/{axis}" for axis in axes[name]], values) for name, values in arrays.items()})


def nameless(name: str, values: np.ndarray) -> xr.Variable:
    """An array whose axes may be any: they are called by their number, which is none of the words time, y and x."""
    return xr.Variable([f"{name}/axis {k + 1}" for k in range(values.ndim)], values)


def datasets(file: h5py.File) -> dict[str, h5py.Dataset]:
    """The arrays of an HDF5 file, those of groups by path if they have three axes; none may lie in another file."""
    links: list[str] = []
    deep: dict[str, h5py.Dataset] = {}
    file.visititems_links(lambda name, link: links.append(name) if isinstance(link, h5py.ExternalLink) else None)
    file.visititems(lambda name, one: deep.update({name: one}) if "/" in name and _is_stack(one) else None)
    found = {name: file[name] for name in file if name not in links}
    found = {name: one for name, one in found.items() if isinstance(one, h5py.Dataset)} | deep
    links += [name for name, one in found.items() if one.is_virtual or one.external]
    if links:
        raise ValueError(f"{links[0]} lies in another file, and links are not followed")
    return found


def _is_stack(one: Any) -> bool:
    return isinstance(one, h5py.Dataset) and one.ndim == 3 and one.dtype.kind in "iuf"


def declaration_of(one: h5py.Dataset) -> Declaration:
    """Shape and bytes of an array of HDF5; an empty one has neither."""
    return Declaration(one.shape or (), one.size * one.dtype.itemsize if one.shape is not None else 0)


def _read_mat(path: Path, choose: Choose) -> xr.Dataset:
    """The arrays of numbers, in the axes that MATLAB shows."""
    with path.open("rb") as file:
        start = file.read(19)
    if start == b"MATLAB 7.3 MAT-file":
        return _read_mat73(path, choose)
    if start.startswith(b"\x89HDF"):
        raise ValueError("HDF5 without MATLAB's header, whose axes may be in either order: read it as .h5")
    if matfile_version(path, appendmat=False)[0] != 1:
        raise ValueError("neither version 5 nor 7.3 of MATLAB's files")
    there = {name: (shape, kind) for name, shape, kind in whosmat(path, appendmat=False)}
    arrays = {
        name: Declaration(tuple(shape), _NUMBERS[kind].itemsize * math.prod(shape))
        for name, (shape, kind) in there.items()
        if kind in _NUMBERS
    }
    kept = _of_maps(arrays, {name: kind for name, (_, kind) in there.items()}, choose)
    single = [name for name in _SINGLE if name in there and math.prod(there[name][0]) <= 64]
    if not kept + single:
        return xr.Dataset()  # no names would be all names
    came = loadmat(path, appendmat=False, variable_names=kept + single)
    for name in (name for name in kept if not np.iscomplexobj(came[name])):  # whole numbers are kept in fewer bytes
        came[name] = came[name].astype(_NUMBERS[there[name][1]], copy=False)
    return _of_matlab({name: came[name] for name in kept}, {name: came[name] for name in single})


def _read_mat73(path: Path, choose: Choose) -> xr.Dataset:
    """HDF5 behind a header of 512 bytes: it counts the axes from the other end."""
    with h5py.File(path, "r") as file:
        found = {name: one for name, one in datasets(file).items() if "/" not in name}
        kinds = {name: _matlab_class(one) for name, one in found.items()}
        arrays = {
            name: Declaration(declaration_of(one).shape[::-1], declaration_of(one).bytes)
            for name, one in found.items()
            if kinds[name] in _NUMBERS
        }
        kept = _of_maps(arrays, kinds | {name: "struct" for name in file if name not in found}, choose)
        single = {name: found[name][()] for name in _SINGLE if name in found and found[name].size <= 64}
        for name in single.keys() & {name for name, kind in kinds.items() if kind == "char"}:
            single[name] = np.array("".join(map(chr, single[name].T.ravel("F"))))
        return _of_matlab({name: found[name][()].T for name in kept}, single)


def _matlab_class(one: h5py.Dataset) -> str:
    kind = one.attrs.get("MATLAB_class", b"")
    return kind.decode() if isinstance(kind, bytes) else str(kind)


def _of_maps(arrays: dict[str, Declaration], kinds: dict[str, str], choose: Choose) -> list[str]:
    """Names of what is read; other names of the contract are not, for a .mat does not say what it means by them."""
    if not any(len(one.shape) > 2 for one in arrays.values()):
        there = ", ".join(f"{name} ({kind})" for name, kind in [*kinds.items()][:9])
        raise ValueError(f"no array of numbers with three axes at its top, but {there or 'nothing'}")
    return choose({name: one for name, one in arrays.items() if name not in {*CONTRACT, "tissue"} - {"V_m"}})


def _of_matlab(arrays: dict[str, np.ndarray], single: dict[str, np.ndarray]) -> xr.Dataset:
    attributes = {name: value.item() for name, value in single.items() if value.size == 1}
    return xr.Dataset({name: nameless(name, values) for name, values in arrays.items()}, attrs=attributes)


def _read_tiff(path: Path, choose: Choose) -> xr.Dataset:
    """One stack of gray frames; what tifffile only warns of, such as frames that are missing, is an error."""
    try:
        import tifffile
    except ImportError:
        raise ValueError("TIFF needs the package tifffile, of the extra [files]") from None
    told: list[str] = []
    here = threading.get_ident()

    def listen(record: logging.LogRecord) -> bool:
        if mine := record.thread == here:  # another thread may read another file
            told.append(record.getMessage())
        return not mine

    logger = logging.getLogger("tifffile")
    logger.addFilter(listen)
    try:
        with tifffile.TiffFile(path, _multifile=False) as file:  # frames in other files are not looked for
            stacks = file.series
            if _after_last(file):
                told.append("frames are missing after the last that is there")
            if told or len(stacks) != 1:
                shapes = ", ".join(str(one.shape) for one in stacks[:9])
                raise ValueError(told[0] if told else f"expected one stack of frames, got {len(stacks)}: {shapes}")
            (stack,) = stacks
            if stack.ndim != 3 or "S" in stack.axes:
                raise ValueError(f"expected gray frames (time, y, x), got {stack.shape} with the axes {stack.axes}")
            pages = [page for page in stack.pages if page is not None]
            packings = {tifffile.COMPRESSION(page.compression).name for page in pages}
            if odd := packings - {*_PACKINGS}:
                raise ValueError(f"frames are packed by {odd.pop()}, which is none of {', '.join(_PACKINGS)}")
            longest = max(max(page.databytecounts, default=0) for page in pages)
            grown = _MOST_GROWN * longest if packings != {"NONE"} else 0
            kept = choose({"movie": Declaration(stack.shape, max(stack.nbytes, grown))})
            values = stack.asarray(maxworkers=1) if kept else np.empty((0, 0, 0))
            if told:
                raise ValueError(told[0])
            dims = [_AXES.get(axis, f"movie/axis {axis}") for axis in stack.axes]
    finally:
        logger.removeFilter(listen)
    return xr.Dataset({"movie": (dims, values)} if kept else {})


def _after_last(file: Any) -> int:
    """Where the frame after the last that was found is said to be; 0 for none, 1 for a cut file. A log may be switched off."""
    form, stream = file.tiff, file.filehandle
    stream.seek(file.pages[-1].offset)
    (tags,) = struct.unpack(form.tagnoformat, stream.read(form.tagnosize))
    stream.seek(tags * form.tagsize, 1)
    end = stream.read(form.offsetsize)
    return int(struct.unpack(form.offsetformat, end)[0]) if len(end) == form.offsetsize else 1


def _read_igb(path: Path, choose: Choose) -> xr.Dataset:
    kept = choose({"V_m": Declaration((1, 1, 1), path.stat().st_size)})
    V_m = read_igb(path)
    if "node" in V_m.dims:
        rows = f"all {V_m.sizes['node']} nodes in one row"
        raise ValueError(f"{rows}, as on a mesh: read_igb(path).values.reshape(-1, n_y, n_x), if they are a grid")
    return V_m.to_dataset(name="V_m") if kept else xr.Dataset()


READERS: dict[str, Callable[[Path, Choose], xr.Dataset]] = {
    ".mat": _read_mat,
    ".tif": _read_tiff,
    ".tiff": _read_tiff,
    ".igb": _read_igb,
}
