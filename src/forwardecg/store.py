"""The resumable Zarr store of simulated tissues, one entry a tissue.

Its folder is named by the hash of the recipe and of the code that simulates (a content-addressed cache): finished, it is
opened; partial, it is resumed; absent, it is built.
"""

import hashlib
import json
import os
import shutil
import time
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import xarray as xr
import zarr

from forwardecg.cell import V_REST, V_SPAN
from forwardecg.paths import CACHE, code_hash, progress
from forwardecg.recipe import STIMULI, Recipe, simulate_one
from forwardecg.tissue import CONDITIONS, TEXTURES

SIMULATES = (  # the modules that a simulated tissue rests on
    "calibration", "cell", "contract", "diffusion", "ecg", "electrodes", "kernel", "march", "recipe", "solver", "stimulus",
    "tissue", "torso",
)  # fmt: skip
KINDS = {"V_m": "float16", "lat": "float32", "D": "float32", "conductive": "bool", "phi_e": "float64"}
TISSUE_COLUMNS = {  # per tissue: type, and the meanings of its codes where it is a word
    "condition": ("int8", CONDITIONS),
    "texture": ("int8", ("none", *TEXTURES)),
    "attempt": ("int16", ()),
    "activated": ("float64", ()),
    "fibrosis_density": ("float64", ()),
    "gj_scale": ("float64", ()),
}


def store_path(recipe: Recipe) -> Path:
    """Folder of the recipe's store, named by the hash of the recipe and of the code that simulates."""
    key = json.dumps([asdict(recipe), KINDS, TISSUE_COLUMNS], sort_keys=True) + code_hash(*SIMULATES)
    return CACHE / "datasets" / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.zarr"


def _create_store(path: Path, recipe: Recipe, first: xr.Dataset) -> None:
    """An empty store shaped by one simulated tissue, put in place in one move."""
    scratch = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    shutil.rmtree(scratch, ignore_errors=True)
    group = zarr.create_group(
        scratch, attributes={"recipe": json.dumps(asdict(recipe)), "forwardecg": first.forwardecg}
    )
    for name, kind in KINDS.items():
        array, attributes = first[name], dict(first[name].attrs)
        if name == "V_m":  # stored as u: float16 of mV near -85 would have steps of 0.06 mV
            attributes |= {"scale_factor": V_SPAN, "add_offset": V_REST}
        group.create_array(
            name, shape=(recipe.n_sim, *array.shape), chunks=(1, *array.shape), dtype=kind,
            dimension_names=("sim", *array.dims), attributes=attributes,
        )  # fmt: skip
    for name in ("time", "time_ecg", "electrodes"):
        group.create_array(
            name, data=first[name].values, dimension_names=first[name].dims, attributes=dict(first[name].attrs)
        )
    for name, (kind, meanings) in TISSUE_COLUMNS.items():
        attributes = (
            {"flag_values": list(range(len(meanings))), "flag_meanings": " ".join(meanings)} if meanings else {}
        )
        group.create_array(
            name, shape=(recipe.n_sim,), chunks=(1,), dtype=kind, dimension_names=("sim",), attributes=attributes
        )
    group.create_array("done", shape=(recipe.n_sim,), chunks=(1,), dtype="bool", dimension_names=("sim",))
    path.parent.mkdir(parents=True, exist_ok=True)
    os.replace(scratch, path)


def _write(path: Path, sim: int, ds: xr.Dataset) -> None:
    """One tissue into its own chunks; ``done`` last, so that an interrupted tissue is simulated again."""
    group = zarr.open_group(path, mode="r+")
    group["V_m"][sim] = ((ds.V_m.values - V_REST) / V_SPAN).astype(np.float16)
    for name in [name for name in KINDS if name != "V_m"]:
        group[name][sim] = ds[name].values
    for name, (_, meanings) in TISSUE_COLUMNS.items():
        group[name][sim] = meanings.index(ds.attrs[name]) if meanings else ds.attrs[name]
    group["done"][sim] = True


def _count_seconds(path: Path, seconds: float) -> None:
    """Add to the wall time that this store has taken so far, over all the calls that built it."""
    group = zarr.open_group(path, mode="r+")
    group.attrs["seconds"] = group.attrs.get("seconds", 0.0) + seconds


def load_or_simulate(recipe: Recipe, executor: Executor | None = None) -> xr.Dataset:
    """The data set of the recipe, opened lazily; what is missing of it is simulated first, in parallel processes.

    Parameters
    ----------
    executor : any `concurrent.futures.Executor`; by default one local process a core. Stopping it at any moment loses
        at most the tissues in work: the next call goes on from there.

    Returns
    -------
    The arrays of the data contract with a leading dim ``sim``, and per tissue its condition, texture, seed and shares.
    """
    path = store_path(recipe)
    if not path.exists():
        _create_store(path, recipe, simulate_one(recipe, 0))
    missing = np.flatnonzero(~zarr.open_group(path, mode="r")["done"][:]).tolist()
    if missing:
        started, counted, total = time.monotonic(), 0.0, len(missing)
        progress(f"data set: {recipe.n_sim - total} of {recipe.n_sim} tissues are there, simulating {total}")
        pool = executor or ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn"))
        try:
            running = {pool.submit(simulate_one, recipe, sim): sim for sim in missing}
            for n, future in enumerate(as_completed(running), 1):
                _write(path, running.pop(future), future.result())
                _count_seconds(path, time.monotonic() - started - counted)
                counted = time.monotonic() - started
                if n % 10 == 0 or n == total:
                    left = (time.monotonic() - started) / n * (total - n)
                    progress(f"data set: {recipe.n_sim - total + n} of {recipe.n_sim} tissues, about {left:.0f} s left")
        finally:
            if executor is None:
                pool.shutdown(cancel_futures=True)
    ds = xr.open_zarr(path, chunks=None, consolidated=False).assign_attrs(store=path.name)
    for name, (_, meanings) in TISSUE_COLUMNS.items():
        if meanings:
            ds[name] = ("sim", np.array(meanings)[ds[name].values])
    return ds
