"""Files of strangers as data sets: what they declare is looked at before anything of it is read, decoded or followed.

Refused in one sentence: more than `MOST_BYTES`, lost or damaged chunks, codecs that run code, links to other files.
"""

import json
import math
import os
from collections.abc import Callable, Iterable, Iterator
from itertools import product
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import h5py  # type: ignore[import-untyped]
import numpy as np
import xarray as xr
from zarr.storage import ZipStore

from forwardecg.contract import CONTRACT, as_variable
from forwardecg.data.formats import READERS, Choose, Declaration, as_dataset, datasets, declaration_of, nameless

MOST_BYTES = 4 * 2**30  #: that a file may declare, for all that is read of it
_MOST_META = 2**26  # bytes of one file of metadata
_CODECS = {  # of Zarr 2 and 3 that hold numbers, words or checksums, and nothing that is executed
    "bytes", "endian", "transpose", "sharding_indexed", "blosc", "zstd", "gzip", "zlib", "bz2", "lz4", "lzma", "shuffle", "delta",
    "fixedscaleoffset", "quantize", "bitround", "astype", "packbits", "crc32", "crc32c", "adler32", "fletcher32", "vlen-utf8",
    "scale_offset", "cast_value",
}  # fmt: skip


def read(path: Path, variable: str | None = None, everything: bool = False) -> xr.Dataset:
    """What a file or folder holds of the maps and of the names of the contract; ValueError, in one sentence, if unreadable."""
    reader = _READERS.get("folder" if path.is_dir() else path.suffix.lower())
    if not path.exists() or reader is None:
        kinds = f"a file ending in {', '.join([*_READERS][:-1])}, or a folder of Zarr"
        wanted = kinds if path.exists() else "a file or folder that is there"
        raise ValueError(f"source: expected {wanted}, got {path.name}")

    wrong: list[str] = []

    def choose(declared: dict[str, Declaration]) -> list[str]:
        maps = [name for name, one in declared.items() if len(one.shape) == 3]
        several = variable is None and "V_m" not in declared and len(maps) > 1
        if not everything and (several or isinstance(variable, str) and variable not in declared):
            wrong.append(f"variable: expected the name of the maps, one of {maps or [*declared]}, got {variable}")
            return []
        kept = [name for name, one in declared.items() if everything or _is_wanted(name, one, variable, declared)]
        total = sum(declared[name].bytes for name in kept)
        if total > MOST_BYTES:
            limit = f"at most {MOST_BYTES / 2**30:.3g} GiB"
            raise ValueError(f"{limit}, got a file that declares {total / 2**30:.3g} GiB")
        return kept

    try:
        ds = reader(path, choose)
    except Exception as error:  # decoders raise what they like, of zarr, blosc, HDF5 and zip
        why = " ".join(str(error).split())[:300]
        raise ValueError(f"source: expected a readable file, got {path.name}: {why or type(error).__name__}") from None
    if wrong:
        raise ValueError(wrong[0])
    return ds


def _is_wanted(name: str, one: Declaration, variable: str | None, declared: dict[str, Declaration]) -> bool:
    maps = variable or ("V_m" if "V_m" in declared else None)
    return name in (*CONTRACT, "tissue") or len(one.shape) < 2 or name == maps or maps is None and len(one.shape) == 3


def _read_npy(path: Path, choose: Choose) -> xr.Dataset:
    values = np.load(path, mmap_mode="r", allow_pickle=False)  # a file that is shorter than it declares is refused
    choose({"V_m": Declaration(values.shape, values.nbytes)})
    return as_dataset({"V_m": np.array(values)})


def _read_npz(path: Path, choose: Choose) -> xr.Dataset:
    """Single numbers and words are attributes; names of the contract have its dims and units, but V_m its own unit."""
    declared = {}
    with ZipFile(path) as archive:
        for entry in (entry for entry in archive.infolist() if entry.filename.endswith(".npy")):
            with archive.open(entry) as file:
                version = np.lib.format.read_magic(file)
                header = "read_array_header_1_0" if version == (1, 0) else "read_array_header_2_0"
                shape, _, kind = getattr(np.lib.format, header)(file)
            size = max(math.prod(shape) * kind.itemsize, entry.file_size)
            declared[entry.filename.removesuffix(".npy")] = Declaration(shape, size)
    with np.load(path, allow_pickle=False) as file:
        entries = {name: file[name] for name in choose(declared)}
    attributes = {name: entries.pop(name).item() for name in [*entries] if entries[name].ndim == 0}
    known = {name: as_variable(name, entries.pop(name)) for name in CONTRACT if name in entries and name != "V_m"}
    return as_dataset(entries).assign(known).assign_attrs(attributes)


def _read_netcdf(path: Path, choose: Choose) -> xr.Dataset:
    """NetCDF 3, or HDF5, whatever the ending says."""
    with path.open("rb") as file:
        start = file.read(8)
    if start == b"\x89HDF\r\n\x1a\n":
        return _read_hdf5(path, choose)
    if not start.startswith(b"CDF"):
        raise ValueError(f"neither NetCDF nor HDF5, it begins with {start[:4]!r}")
    # mapped into memory: more than the file holds cannot be read of it
    with xr.open_dataset(path, engine="scipy", decode_times=False) as ds:
        declared = {str(name): Declaration(values.shape, values.nbytes) for name, values in ds.variables.items()}
        return ds.drop_vars({*declared} - {*choose(declared)}).load()


def _read_hdf5(path: Path, choose: Choose) -> xr.Dataset:
    """With the dims of NetCDF 4, or else those that the labels of the axes name."""
    labels = {}
    with h5py.File(path, "r") as file:
        found = datasets(file)
        for name, one in found.items():
            names = [axis.label for axis in one.dims]
            if names and all(names) and not any(len(axis) for axis in one.dims):
                labels[name] = names
        declared = {name: declaration_of(one) for name, one in found.items()}
        kept = choose(declared)
        deep = {name: nameless(name, found[name][()]) for name in kept if "/" in name}
        for name, values in deep.items():
            values.attrs.update({key: file[name].attrs[key] for key in ("units",) if key in file[name].attrs})
    options = {"engine": "h5netcdf", "phony_dims": "sort", "decode_times": False}
    with xr.open_dataset(path, drop_variables={*declared} - {*kept}, **options) as ds:  # type: ignore[arg-type]
        ds = ds.assign(deep)
        for name in labels.keys() & ds.variables.keys():
            values = ds.variables[name]
            ds = ds.drop_vars(name).assign({name: xr.Variable(labels[name], values.values, values.attrs)})
        return ds.load()


def _read_zarr(path: Path, choose: Choose) -> xr.Dataset:
    archive = None if path.is_dir() else ZipFile(path)
    sizes = dict(_files(path)) if archive is None else {one.filename: one.file_size for one in archive.infolist()}
    group, declared, chunks = _group(sizes), dict[str, Declaration](), dict[str, Iterable[str]]()
    below = f"{group}/" if group else ""
    for name, size in sizes.items():
        parts = name.removeprefix(below).split("/")
        about = parts[-1] in ("zarr.json", ".zarray", ".zgroup", ".zattrs", ".zmetadata")
        if size > (_MOST_META if about else MOST_BYTES):
            raise ValueError(f"{name} is too large: {size} bytes")
        if name.startswith(below) and (len(parts), parts[-1]) in ((1, "zarr.json"), (2, "zarr.json"), (2, ".zarray")):
            meta = json.loads((path / name).read_bytes() if archive is None else archive.read(name))
            if meta.get("node_type", "array") == "array":
                if len(parts) == 1:
                    raise ValueError("expected a Zarr group, got a single array")
                declared[parts[0]], chunks[parts[0]] = _declare(parts[0], meta, len(sizes))
    kept = choose(declared)
    for array in (name for name in kept if len(declared[name].shape) == 3):  # columns of zeros alone may have none
        if missing := next((chunk for chunk in chunks[array] if f"{below}{array}/{chunk}" not in sizes), ""):
            why = "lost, or not written as they are empty, which to_zarr(..., write_empty_chunks=True) does"
            raise ValueError(f"chunks of {array} are missing, such as {missing}: {why}")
    store = path if archive is None else ZipStore(path, mode="r")  # no `with`: one that was not opened cannot be closed
    options = {"chunks": None, "consolidated": False, "decode_times": False, "drop_variables": {*declared} - {*kept}}
    ds = xr.open_zarr(store, group=group or None, **options).load()  # type: ignore[arg-type]
    if isinstance(store, ZipStore):
        store.close()
    return ds


def _files(folder: Path) -> Iterator[tuple[str, int]]:
    """Names of all files of a folder, relative to it, and their sizes; a link out of it is refused."""
    home = folder.resolve()
    for here, folders, files in os.walk(folder):
        for one in (Path(here, name) for name in (*folders, *files)):
            if one.is_symlink() and (one.is_dir() or not one.resolve().is_relative_to(home)):
                raise ValueError(f"{one.relative_to(folder)} lies in another place, and links are not followed")
        found = (Path(here, name) for name in files)
        yield from ((one.relative_to(folder).as_posix(), one.stat().st_size) for one in found)


def _group(names: Iterable[str]) -> str:
    """Where the one Zarr group is: at the top, or in the one folder that was zipped with its name."""
    roots = {"/".join(name.split("/")[:-1]) for name in names if name.split("/")[-1] in ("zarr.json", ".zgroup")}
    top = sorted(root for root in roots if root.count("/") == min(one.count("/") for one in roots))
    if "" in roots or len(top) == 1:
        return "" if "" in roots else top[0]
    raise ValueError(f"expected one Zarr group at the top or in one folder, got {', '.join(top) or 'none'}")


def _declare(name: str, meta: dict[str, Any], n_files: int) -> tuple[Declaration, Iterable[str]]:
    """What the metadata of a Zarr array declare, once its codecs are known to be harmless, and the names of its chunks."""
    shape = tuple(meta["shape"])
    if meta["zarr_format"] == 2:
        codecs = [*(meta.get("filters") or []), *([meta["compressor"]] if meta.get("compressor") else [])]
        chunk, separator, prefix = meta["chunks"], meta.get("dimension_separator", "."), ""
        width = 8 if meta["dtype"] == "|O" else np.dtype(meta["dtype"]).itemsize
        if meta["dtype"] == "|O" and [one["id"] for one in codecs[:1]] != ["vlen-utf8"]:
            raise ValueError(f"{name} holds objects")
    else:
        codecs, kind = meta["codecs"], meta["data_type"]
        chunk = meta["chunk_grid"]["configuration"]["chunk_shape"]
        encoding = meta["chunk_key_encoding"]
        new = encoding["name"] == "default"
        separator = encoding.get("configuration", {}).get("separator", "/" if new else ".")
        prefix = "c" if new else ""
        digits = "".join(filter(str.isdigit, kind)) if isinstance(kind, str) else ""
        more = {} if isinstance(kind, str) else kind.get("configuration", {})
        width = int(digits or 8) // 8 or 1 if isinstance(kind, str) else more.get("length_bytes", 16)
    _check_codecs(name, codecs)
    grid = [
        min(-(-n // m), n_files + 1) for n, m in zip(shape, chunk, strict=True)
    ]  # no more than it takes to miss one
    biggest = width * max(math.prod(shape), math.prod(chunk) if math.prod(shape) else 0)
    if str(meta.get("fill_value")).lower() == "nan":  # what is lost is a missing value, and read as one
        return Declaration(shape, biggest), ()
    places = product(*map(range, grid))
    return Declaration(shape, biggest), (separator.join([*prefix, *map(str, at)]) or "0" for at in places)


def _check_codecs(name: str, codecs: list[Any]) -> None:
    """ValueError for a codec, also one inside another, that is not among the harmless ones."""
    for codec in (one if isinstance(one, dict) else {"name": one} for one in codecs):
        word = str(codec.get("id") or codec.get("name")).removeprefix("numcodecs.")
        if word not in _CODECS:
            raise ValueError(f"{name} has the codec {word}, which is none of {', '.join(sorted(_CODECS))}")
        inner = codec.get("configuration", {})
        _check_codecs(name, [*inner.get("codecs", ()), *inner.get("index_codecs", ())])


_READERS: dict[str, Callable[[Path, Choose], xr.Dataset]] = {  # times stay the numbers that they are
    ".nc": _read_netcdf,
    ".nc4": _read_netcdf,
    ".cdf": _read_netcdf,
    ".h5": _read_netcdf,
    ".hdf5": _read_netcdf,
    ".npy": _read_npy,
    ".npz": _read_npz,
    ".zip": _read_zarr,
    **READERS,
    "folder": _read_zarr,
}
