"""How the tissues lie in a store: its arrays, their chunks, types, compression and attributes, one chunk a tissue."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
import zarr
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
    "solver/simulation", "tissue/cell", "tissue/diffusion", "tissue/sheet", "tissue/stimulus",
)  # fmt: skip
KINDS = {"V_m": "float16", "lat": "float32", "D": "float32", "conductive": "bool", "phi_e": "float64"}
TISSUE_COLUMNS = {  # per tissue: type, and the meanings of its codes where it is a word
    "condition": ("int8", CONDITIONS),
    "texture": ("int8", ("none", *TEXTURES)),
    "stimulus": ("int8", STIMULI),
    "attempt": ("int16", ()),
    **{f"rejected_{why}": ("int16", ()) for why in REJECTIONS},
    "mild": ("bool", ()),
    **dict.fromkeys(("activated", "fibrosis_density", "gj_scale", "D0"), ("float64", ())),
    **dict.fromkeys(("last_activation", "last_recovery", "apd", "rest_time"), ("float64", ())),  # ms
}
# Level 9 saves another 8 % in 20 times the time. Bytes are shuffled, which is better here than bits; of bool, bits.
COMPRESSION = {"cname": "zstd", "clevel": 5}
EVERY_CHUNK = {"write_empty_chunks": True}  # also one that holds nothing but the fill value: all are counted


def chunks(sim: int) -> list[str]:
    """Names of the chunks of one tissue.

    Parameters
    ----------
    sim : number of the tissue

    Returns
    -------
    names : relative to the store

    Examples
    --------
    >>> chunks(17)[0]
    'V_m/c/17/0/0/0'
    """
    maps = [f"{name}/c/{sim}" + "/0" * len(as_variable(name, None)[0]) for name in KINDS]
    return maps + [f"{name}/c/{sim}" for name in TISSUE_COLUMNS]


def skeleton(recipe: Recipe) -> dict[str, bytes]:
    """All files of the empty store by name: metadata, time axes, electrodes. Nothing is simulated.

    Parameters
    ----------
    recipe : of the data set

    Returns
    -------
    files : name -> content

    Raises
    ------
    ValueError
        Intervals of the recipe that do not divide each other.

    Examples
    --------
    >>> files = skeleton(Recipe(n_sim=2, n_cells=40))
    >>> json.loads(files["V_m/zarr.json"])["shape"]
    [2, 181, 10, 10]
    """
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
    columns = {name: ((), kind, _flags(meanings)) for name, (kind, meanings) in TISSUE_COLUMNS.items()}
    maps = {name: (as_variable(name, None)[0], kind, as_variable(name, None)[2]) for name, kind in KINDS.items()}
    for name, (dims, kind, attributes) in (maps | columns).items():
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


def _flags(meanings: tuple[str, ...]) -> dict:
    return {"flag_values": list(range(len(meanings))), "flag_meanings": " ".join(meanings)} if meanings else {}


def write_tissue(location: Path | str, sim: int, ds: xr.Dataset) -> None:
    """One tissue into its own chunks.

    Parameters
    ----------
    location : folder or URL of a store that is there
    sim : number of the tissue
    ds : of `sampling.simulate_one`, with the recipe of the store

    Examples
    --------
    >>> from forwardecg.data.integrity import restore
    >>> from forwardecg.data.draw import simulate_one
    >>> tiny = Recipe(n_sim=2, n_cells=40, t_end=100.0, bank=False)
    >>> _ = restore(Path("tiny.zarr"), skeleton(tiny))
    >>> write_tissue(Path("tiny.zarr"), 0, simulate_one(tiny, 0))
    >>> np.isfinite(opened(Path("tiny.zarr")).phi_e.values).all(axis=(1, 2)).tolist()
    [True, False]
    """
    group = zarr.open_group(location, mode="r+")
    values = {name: ds[name].values for name in KINDS} | {"V_m": to_u(ds.V_m.values)}
    for name, (_, meanings) in TISSUE_COLUMNS.items():
        values[name] = meanings.index(ds.attrs[name]) if meanings else ds.attrs[name]
    for name, value in values.items():
        array = group[name].with_config(EVERY_CHUNK)  # type: ignore[call-overload, union-attr]
        array[sim] = np.asarray(value, array.dtype)


def opened(location: Path | str) -> xr.Dataset:
    """The store as a data set, words and names in place of codes and numbers.

    Parameters
    ----------
    location : folder or URL of a store

    Returns
    -------
    ds : lazy, with a leading dim ``sim``

    Examples
    --------
    >>> from forwardecg.data.integrity import restore
    >>> _ = restore(Path("empty.zarr"), skeleton(Recipe(n_sim=2, n_cells=40)))
    >>> dict(opened(Path("empty.zarr")).V_m.sizes)
    {'sim': 2, 'time': 181, 'y_map': 10, 'x_map': 10}
    """
    ds = xr.open_zarr(str(location), chunks=None, consolidated=False)
    ds = ds.assign_attrs(store=str(location).rsplit("/", 1)[-1])
    ds = ds.assign_coords(lead=ds.variables["electrodes"].attrs.pop("lead"), xyz=list("xyz"))
    for name, (_, meanings) in TISSUE_COLUMNS.items():
        if meanings:
            ds[name] = ("sim", np.array(meanings)[ds[name].values])
    return ds
