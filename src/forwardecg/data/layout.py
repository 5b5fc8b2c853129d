"""How the tissues lie in a store: one chunk a tissue of every array, each with its checksum, and a mark written last.

A chunk that was altered raises when zarr reads it; one never written would read as zeros, so that names count, too.
"""

import json
import os
import shutil
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
import zarr
from filelock import FileLock
from fsspec import AbstractFileSystem
from fsspec.core import url_to_fs
from zarr.codecs import BloscCodec, Crc32cCodec
from zarr.storage import MemoryStore

from forwardecg import __version__
from forwardecg.cache import code_hash, made_with
from forwardecg.contract import V_REST, V_SPAN, as_variable, to_u, whole_steps
from forwardecg.data.recipe import REJECTIONS, STIMULI, Recipe
from forwardecg.ecg.leadfield import phi_e_attrs
from forwardecg.tissue.sheet import CONDITIONS, TEXTURES

if TYPE_CHECKING:
    from zarr.core.buffer import Buffer

SIMULATES = (  # the modules that a simulated tissue rests on
    "contract", "data/draw", "data/recipe", "ecg/electrodes", "ecg/leadfield", "solver/calibration", "solver/kernel",
    "solver/simulation", "tissue/cell", "tissue/diffusion", "tissue/grid", "tissue/sheet", "tissue/stimulus",
)  # fmt: skip
KINDS = {"V_m": "float16", "lat": "float32", "D": "float32", "conductive": "bool", "phi_e": "float64"}
TISSUE_COLUMNS: dict[str, tuple[str, tuple[str, ...]]] = {  # per tissue: type, and the words that its codes stand for
    "condition": ("int8", CONDITIONS),
    "texture": ("int8", ("none", *TEXTURES)),
    "stimulus": ("int8", STIMULI),
    "attempt": ("int16", ()),
    **{f"rejected_{why}": ("int16", ()) for why in REJECTIONS},
    "mild": ("bool", ()),
    **dict.fromkeys(("activated", "fibrosis_density", "gj_scale", "D0"), ("float64", ())),
    **dict.fromkeys(("last_activation", "last_recovery", "apd", "rest_time"), ("float64", ())),  # ms
}
_DONE = "done"  # the column written last: this tissue is finished
_COLUMNS = {**{name: (kind, ()) for name, kind in KINDS.items()}, **TISSUE_COLUMNS, _DONE: ("bool", ())}
# Level 9 saves another 8 % in 20 times the time. Bytes are shuffled, which is better here than bits; of bool, bits.
COMPRESSION = {"cname": "zstd", "clevel": 5}
_READERS = 8  # tissues read at a time: a place far away answers late

Arrays = Mapping[str, zarr.Array]


def chunk_names(sim: int) -> list[str]:
    """Names of the chunks of tissue ``sim`` in the order in which they are written, relative to the store."""
    inner = {name: "/0" * len(as_variable(name, None)[0]) for name in KINDS}
    return [f"{name}/c/{sim}{inner.get(name, '')}" for name in _COLUMNS]


def skeleton(recipe: Recipe) -> dict[str, bytes]:
    """All files of the recipe's empty store by name, metadata and axes; ValueError for intervals that do not divide."""
    ecg, frame = recipe.ecg_interval, recipe.frame_interval
    whole_steps("frame_interval", frame, ecg, "ecg_interval")
    axes = {
        "time": frame * np.arange(whole_steps("t_end", recipe.t_end, frame, "frame_interval") + 1),
        "time_ecg": ecg * np.arange(whole_steps("t_end", recipe.t_end, ecg, "ecg_interval") + 1),
        "electrodes": recipe.electrodes.positions,
    }
    sizes = {"time": len(axes["time"]), "time_ecg": len(axes["time_ecg"]), "lead": len(axes["electrodes"])}
    sizes |= dict.fromkeys("yx", recipe.n_cells) | dict.fromkeys(("y_map", "x_map"), recipe.n_cells // recipe.pool)
    more = {
        "V_m": {"scale_factor": V_SPAN, "add_offset": V_REST},  # as u: float16 of mV near -85 has steps of 0.06 mV
        "phi_e": phi_e_attrs(),
        "electrodes": {"lead": list(recipe.electrodes.names)},
    }
    attributes = {
        "title": "Simulated cardiac tissue: maps of the transmembrane voltage, and ECGs", "license": "CC-BY-4.0",
        "recipe": json.dumps(asdict(recipe)), "code": code_hash(SIMULATES), "forwardecg": __version__,
        "made_with": made_with("numpy", "numba", "zarr"),
    }  # fmt: skip
    files: dict[str, Buffer] = {}
    group = zarr.create_group(MemoryStore(files), attributes=attributes)
    for name, (kind, words) in _COLUMNS.items():
        flags = {"flag_values": list(range(len(words))), "flag_meanings": " ".join(words)} if words else {}
        dims, _, attributes = as_variable(name, None) if name in KINDS else ((), None, flags)
        shape = tuple(sizes[dim] for dim in dims)
        group.create_array(
            name, shape=(recipe.n_sim, *shape), chunks=(1, *shape), dtype=kind, dimension_names=("sim", *dims),
            fill_value=np.nan if kind.startswith("float") else 0, attributes=attributes | more.get(name, {}),
            compressors=(BloscCodec(**COMPRESSION), Crc32cCodec()),  # type: ignore[arg-type]
        )  # fmt: skip
    for name, values in axes.items():
        dims, _, attributes = as_variable(name, None)
        group.create_array(
            name, data=values, chunks=values.shape, dimension_names=dims, attributes=attributes | more.get(name, {}),
            compressors=(Crc32cCodec(),),
        )  # fmt: skip
    return {name: buffer.to_bytes() for name, buffer in files.items()}


def open_arrays(location: Path | str) -> Arrays:
    """The arrays of the store at a folder or URL by name, to be read and written."""
    group = zarr.open_group(location, mode="r+")
    return {name: group[name] for name in _COLUMNS}  # type: ignore[misc]


def write_tissue(arrays: Arrays, sim: int, ds: xr.Dataset) -> None:
    """The tissue of `simulate_one` into its own chunks, the mark that it is finished last."""
    values = {name: ds[name].values for name in KINDS} | {"V_m": to_u(ds.V_m.values)}
    for name, (_, words) in TISSUE_COLUMNS.items():
        values[name] = words.index(ds.attrs[name]) if words else ds.attrs[name]
    for name, value in (values | {_DONE: True}).items():
        array = arrays[name].with_config({"write_empty_chunks": True})  # also of zeros alone: all are counted
        array[sim] = np.asarray(value, array.dtype)


def is_finished(arrays: Arrays, sim: int, there: Collection[str], verify: bool) -> bool:
    """Whether tissue ``sim`` is marked, its chunks are among the files ``there`` and, with ``verify``, can be read."""
    try:
        if not all(name in there for name in chunk_names(sim)) or not arrays[_DONE][sim]:
            return False
        for name in _COLUMNS if verify else ():
            _ = arrays[name][sim]
    except (ValueError, RuntimeError):  # of the checksum, or of what undoes the compression
        return False
    return True


def open_store(location: Path | str) -> xr.Dataset:
    """The store at a folder or URL as a lazy data set, words and names in place of codes and numbers."""
    ds = xr.open_zarr(str(location), chunks=None, consolidated=False, drop_variables=_DONE)
    ds = ds.assign_attrs(store=str(location).rsplit("/", 1)[-1])
    ds = ds.assign_coords(lead=ds.variables["electrodes"].attrs.pop("lead"), xyz=list("xyz"))
    for name, (_, words) in TISSUE_COLUMNS.items():
        if words:
            ds[name] = ("sim", np.array(words)[ds[name].values])
    return ds


@contextmanager
def locked(location: Path | str, name: str, wait: bool = True) -> Iterator[None]:
    """Hold a lock of a store on a disk until the process ends; filelock.Timeout if another does, and not ``wait``."""
    if isinstance(location, str):  # elsewhere there is none to hold
        yield
        return
    folder = location.with_name(f"{location.name}.locks")
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / f"{name}.lock", timeout=-1 if wait else 0) as lock:
        try:
            yield
        finally:
            with suppress(OSError):  # while it is held: who waits for it sees that it is gone, and makes another
                os.unlink(lock.lock_file)


def listing(location: Path | str) -> set[str]:
    """Names of all files of a store, relative to it; none where there is no store."""
    fs, root = url_to_fs(str(location))
    fs.invalidate_cache()  # of listings, which some places keep
    return {file.removeprefix(f"{root}/") for file in fs.find(root)}


def unfinished(location: Path | str, n_sim: int, verify: bool) -> dict[int, bool]:
    """The tissues that are not finished or, with ``verify``, altered -> whether any chunk of them is there."""
    there, arrays = listing(location), open_arrays(location)
    with ThreadPoolExecutor(_READERS) as readers:
        finished = list(readers.map(lambda sim: is_finished(arrays, sim, there, verify), range(n_sim)))
    return {sim: not there.isdisjoint(chunk_names(sim)) for sim in range(n_sim) if not finished[sim]}


def sweep(location: Path | str, there: set[str]) -> None:
    """Remove the halves of files that killed processes left on a disk; those of a tissue in work are let be."""
    for name in (name for name in there if name.endswith(".partial")):
        parts = name.split("/")  # such as V_m/c/17/0/0/0.<digits>.partial, of tissue 17
        lock = parts[2].split(".")[0] if len(parts) > 2 else "store"
        with suppress(OSError), locked(location, lock, wait=False):
            (Path(location) / name).unlink(missing_ok=True)


def restore(location: Path | str, empty: Mapping[str, bytes]) -> list[str]:
    """Write what is missing or altered of the ``empty`` store's files and return their names; a new one in one move."""
    fs, root = url_to_fs(str(location))

    def altered() -> list[str]:
        return [name for name in empty if not _same(fs, f"{root}/{name}", empty[name])]

    if not (lost := altered()):
        return []
    if isinstance(location, str):
        for name in sorted(lost, key=len):
            fs.pipe_file(f"{root}/{name}", empty[name])
        return lost
    with locked(location, "store"):
        lost = altered()  # another process may have been faster
        scratch = location.with_name(f"{location.name}.tmp")
        try:
            for name in lost:
                (scratch / name).parent.mkdir(parents=True, exist_ok=True)
                (scratch / name).write_bytes(empty[name])
            if not location.exists():
                os.replace(scratch, location)
                return lost
            for name in lost:
                (location / name).parent.mkdir(parents=True, exist_ok=True)
                os.replace(scratch / name, location / name)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return lost


def _same(fs: AbstractFileSystem, path: str, expected: bytes) -> bool:
    """Equal, or metadata of the same group, whose recipe says what it is, its other attributes how it was made."""
    try:
        if (found := fs.cat_file(path)) == expected:
            return True
        one, other = json.loads(found), json.loads(expected)
        for entries in (one, other):
            if entries["node_type"] == "group":
                entries["attributes"] = {"recipe": entries["attributes"]["recipe"]}
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return False
    return one == other
