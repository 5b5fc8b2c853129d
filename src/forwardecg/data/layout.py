"""How the tissues lie in a store: one chunk a tissue of every array, each with its checksum, and a mark written last.

A chunk that was altered raises when zarr reads it; one never written would read as zeros, so that names count, too.
"""

import hashlib
import json
import os
import shutil
import zlib
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
import zarr
from filelock import FileLock
from fsspec import AbstractFileSystem
from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem
from zarr.codecs import BloscCodec, Crc32cCodec
from zarr.storage import LocalStore, MemoryStore

from forwardecg import __version__
from forwardecg.cache import code_hash, versions_of
from forwardecg.contract import V_REST, V_SPAN, as_variable, to_u
from forwardecg.data.recipe import REJECTIONS, STIMULI, Recipe
from forwardecg.ecg.leadfield import phi_e_attrs
from forwardecg.tissue.sheet import CONDITIONS, TEXTURES
from forwardecg.tissue.stimulus import whole_steps

if TYPE_CHECKING:
    from zarr.core.buffer import Buffer

SIMULATES = (  # the modules that a simulated tissue rests on
    "contract", "data/draw", "data/recipe", "ecg/electrodes", "ecg/leadfield", "solver/calibration", "solver/fibers", "solver/kernel",
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
DIGEST = "digest"  # the column before it: of a tissue's number and all else of it, so that each chunk knows its place
_COLUMNS: dict[str, tuple[str, tuple[str, ...]]] = {
    **{name: (kind, ()) for name, kind in KINDS.items()}, **TISSUE_COLUMNS, DIGEST: ("uint32", ()), _DONE: ("bool", ()),
}  # fmt: skip
_GROUP, _COPY = "zarr.json", f"{DIGEST}/zarr.json"  # the second has a copy of the store's attributes, as ``made``
_GROW = ("seconds", "workers")  # attributes that no checksum holds
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
        "made_with": versions_of("numpy", "numba", "zarr"),
    }  # fmt: skip
    attributes["checksum"] = _checksum(attributes)
    more[DIGEST] = {"made": attributes}
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
    """The arrays of the store at a folder or URL by name, to be read and written; older stores have no `DIGEST`."""
    group = zarr.open_group(location, mode="r+")
    return {name: group[name] for name in _COLUMNS if name != DIGEST or name in group}  # type: ignore[misc]


def write_tissue(arrays: Arrays, sim: int, ds: xr.Dataset) -> None:
    """The tissue of `simulate_one` into its own chunks, the mark that it is finished last."""
    values = {name: ds[name].values for name in KINDS} | {"V_m": to_u(ds.V_m.values)}
    for name, (_, words) in TISSUE_COLUMNS.items():
        values[name] = words.index(ds.attrs[name]) if words else ds.attrs[name]
    stored = {name: np.asarray(value, arrays[name].dtype) for name, value in values.items()}
    if DIGEST in arrays:
        stored[DIGEST] = np.asarray(_digest(sim, stored), arrays[DIGEST].dtype)
    stored[_DONE] = np.asarray(True)
    for name, value in stored.items():
        arrays[name].with_config({"write_empty_chunks": True})[sim] = value  # also zeros alone: all chunks are counted


def _digest(sim: int, values: Mapping[str, np.ndarray]) -> int:
    """Checksum of a tissue: its number, and what all other columns hold of it."""
    digest = zlib.crc32(str(sim).encode())
    for name in (name for name in _COLUMNS if name not in (DIGEST, _DONE)):
        digest = zlib.crc32(name.encode() + np.ascontiguousarray(values[name]).tobytes(), digest)
    return digest


def is_finished(arrays: Arrays, sim: int, there: Collection[str], verify: bool) -> bool:
    """Whether tissue ``sim`` is marked, its chunks are among the files ``there`` and, with ``verify``, can be read."""
    try:
        names = [name for name in chunk_names(sim) if name.split("/")[0] in arrays]
        if not all(name in there for name in names) or not arrays[_DONE][sim]:
            return False
        values = {name: np.asarray(arrays[name][sim]) for name in arrays if verify}
    except (ValueError, RuntimeError):  # of the checksum, or of what undoes the compression
        return False
    return not (verify and DIGEST in arrays) or int(values[DIGEST]) == _digest(sim, values)


def open_store(location: Path | str) -> xr.Dataset:
    """The store at a folder or URL as a lazy data set, words and names in place of codes and numbers."""
    place = LocalStore(location, read_only=True) if isinstance(location, Path) else location
    ds = xr.open_zarr(place, chunks=None, consolidated=False, drop_variables=[_DONE, DIGEST])
    ds = ds.assign_attrs(store=str(location).rsplit("/", 1)[-1])
    ds.attrs.pop("checksum", None)
    ds = ds.assign_coords(lead=ds.variables["electrodes"].attrs.pop("lead"), xyz=list("xyz"))
    for name, (_, words) in TISSUE_COLUMNS.items():
        if words:
            ds[name] = ("sim", np.array(words)[ds[name].values])
    return ds


@contextmanager
def lock(location: Path | str, name: str, wait: bool = True) -> Iterator[None]:
    """Hold a lock of a store on a disk until the process ends; filelock.Timeout if another does, and not ``wait``."""
    if isinstance(location, str):  # elsewhere there is none to hold
        yield
        return
    folder = location.with_name(f"{location.name}.locks")
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / f"{name}.lock", timeout=-1 if wait else 0) as held:
        try:
            yield
        finally:
            with suppress(OSError):  # while it is held: who waits for it sees that it is gone, and makes another
                os.unlink(held.lock_file)


def place_of(location: Path | str) -> tuple[AbstractFileSystem, str]:
    """The file system of a folder or URL, and its place there; in the name of a folder "::" is nothing special."""
    return (LocalFileSystem(), os.path.abspath(location)) if isinstance(location, Path) else url_to_fs(location)


def list_files(location: Path | str) -> set[str]:
    """Names of all files of a store, relative to it; none where there is no store."""
    fs, root = place_of(location)
    fs.invalidate_cache()  # of listings, which some places keep
    return {file.removeprefix(f"{root}/") for file in fs.find(root)}


def missing_tissues(location: Path | str, n_sim: int, verify: bool) -> dict[int, bool]:
    """The tissues that are not finished or, with ``verify``, altered -> whether any chunk of them is there."""
    there, arrays = list_files(location), open_arrays(location)
    with ThreadPoolExecutor(_READERS) as readers:
        finished = list(readers.map(lambda sim: is_finished(arrays, sim, there, verify), range(n_sim)))
    return {sim: not there.isdisjoint(chunk_names(sim)) for sim in range(n_sim) if not finished[sim]}


def sweep(location: Path | str, there: set[str]) -> None:
    """Remove the halves of files that killed processes left on a disk; those of a tissue in work are let be."""
    for name in (name for name in there if name.endswith(".partial")):
        parts = name.split("/")  # such as V_m/c/17/0/0/0.<digits>.partial, of tissue 17
        mine = parts[2].split(".")[0] if len(parts) > 2 else "store"
        with suppress(OSError), lock(location, mine, wait=False):
            (Path(location) / name).unlink(missing_ok=True)


def restore(location: Path | str, empty: Mapping[str, bytes]) -> list[str]:
    """Write what is missing or altered of the ``empty`` store's files and return their names; a new one in one move."""
    fs, root = place_of(location)

    def find_altered() -> list[str]:
        nonlocal empty
        empty = _describe(fs, root, empty)
        found = {name: _content(fs, f"{root}/{name}") for name in empty}
        return [name for name in empty if found[name] != (json.loads if name.endswith(".json") else bytes)(empty[name])]

    if not (lost := find_altered()):
        return []
    if isinstance(location, str):
        for name in sorted(lost, key=len):
            fs.pipe_file(f"{root}/{name}", empty[name])
        return lost
    with lock(location, "store"):
        lost = find_altered()  # another process may have been faster
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


def _checksum(attributes: Mapping[str, Any]) -> str:
    own = {name: value for name, value in attributes.items() if name not in (*_GROW, "checksum")}
    return hashlib.sha256(json.dumps(own, sort_keys=True).encode()).hexdigest()


def _content(fs: AbstractFileSystem, path: str) -> Any:
    """The bytes of a file, or what the json in it says; None if there is none that can be read."""
    try:
        data = fs.cat_file(path)
        return json.loads(data) if path.endswith("zarr.json") else data
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError, ValueError):
        return None


def _describe(fs: AbstractFileSystem, root: str, empty: Mapping[str, bytes]) -> dict[str, bytes]:
    """The files of the empty store as they should be in one that is there: it says how it was made, in two places."""
    expected = json.loads(empty[_GROUP])
    group, copy = (_content(fs, f"{root}/{name}") for name in (_GROUP, _COPY))
    for made in (group.get("attributes") if isinstance(group, dict) else None, _attributes_of(copy)):
        if not isinstance(made, dict) or made.get("recipe") != expected["attributes"]["recipe"]:
            continue
        if "checksum" not in made and copy is None or made.get("checksum") == _checksum(made):  # older stores have none
            break
    else:
        made = expected["attributes"]
    files = {**empty, _GROUP: json.dumps({**expected, "attributes": made}, indent=2).encode()}
    if copy is None and fs.exists(f"{root}/{_DONE}") and not fs.exists(f"{root}/{DIGEST}"):  # of an older store
        del files[_COPY]
        return files
    second = _attributes_of(copy) or made
    steady = {name: value for name, value in made.items() if name not in _GROW}
    held = {"made": steady | {name: second[name] for name in _GROW if name in second}}
    return files | {_COPY: json.dumps(json.loads(empty[_COPY]) | {"attributes": held}, indent=2).encode()}


def _attributes_of(copy: Any) -> dict | None:
    """The second copy of the attributes of a store."""
    attributes = copy.get("attributes") if isinstance(copy, dict) else None
    made = attributes.get("made") if isinstance(attributes, dict) else None
    return made if isinstance(made, dict) else None


def update(location: Path | str, seconds: float, workers: int) -> None:
    """Add to the seconds that a store has taken, over all calls that built it; the most workers count."""
    with lock(location, "store"):
        group = zarr.open_group(location, mode="r+")
        known = {name: group.attrs.get(name) for name in _GROW}
        before = {name: value if isinstance(value, int | float) else 0 for name, value in known.items()}
        grown = {"seconds": before["seconds"] + seconds, "workers": max(before["workers"], workers)}
        group.update_attributes(grown := {name: value for name, value in grown.items() if value})
        if DIGEST in group:
            made = group[DIGEST].attrs.get("made")
            group[DIGEST].update_attributes({"made": (made if isinstance(made, dict) else {}) | grown})
