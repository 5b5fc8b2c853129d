"""The store: what is in it is what was simulated, and an interrupted build goes on where it stopped."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr
import zarr

from forwardecg import dataset, paths, store
from forwardecg.cell import FK_MLR1
from forwardecg.dataset import Recipe, simulate_one
from forwardecg.store import load_or_simulate, store_path

RECIPE = Recipe(n_sim=6, n_cells=40, dx=1.0, t_end=60, min_activated=0.05, z_mm=20)

BUILD = """
import sys, time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from forwardecg import store
from forwardecg.dataset import Recipe
store.CACHE = Path(sys.argv[1])
write = store._write
def slow_write(path, sim, ds):
    write(path, sim, ds)
    print("wrote", sim, flush=True)
    time.sleep(60 if sim == 2 else 0)
store._write = slow_write
store.load_or_simulate(Recipe(n_sim=6, n_cells=40, dx=1.0, t_end=60, min_activated=0.05, z_mm=20), ThreadPoolExecutor(1))
"""


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "CACHE", tmp_path)
    return tmp_path


@pytest.fixture
def simulated(monkeypatch):
    """The numbers of the tissues that were simulated, in order."""
    sims, draw_tissue = [], dataset.draw_tissue

    def counting(recipe, sim, attempt=0):
        if not attempt:
            sims.append(sim)
        return draw_tissue(recipe, sim, attempt)

    monkeypatch.setattr(dataset, "draw_tissue", counting)  # not in `store`, whose path holds the text of its own
    return sims


def build(recipe=RECIPE) -> xr.Dataset:
    """The data set, without the time that it took."""
    with ThreadPoolExecutor(1) as executor:
        return without_time(load_or_simulate(recipe, executor))


def without_time(ds: xr.Dataset) -> xr.Dataset:
    return (
        ds.load().drop_attrs(deep=False).assign_attrs({name: ds.attrs[name] for name in ds.attrs if name != "seconds"})
    )


def test_what_is_read_is_what_was_simulated():
    """V_m to float16 of u, which is 5e-4 of the 100 mV span at most; phi_e exactly; the rest in single precision."""
    ds, one = build(), simulate_one(RECIPE, 3)
    stored = ds.isel(sim=3)
    u = ((one.V_m + 85) / 100).astype(np.float16).astype(float)
    assert np.allclose(stored.V_m, -85 + 100 * u, atol=1e-4)
    assert np.abs(stored.V_m - one.V_m).max() < 0.05
    assert np.array_equal(stored.phi_e, one.phi_e)
    assert np.array_equal(stored.lat, one.lat.astype(np.float32), equal_nan=True)
    assert np.array_equal(stored.D, one.D.astype(np.float32)) and np.array_equal(stored.conductive, one.conductive)
    for name in ("time", "time_ecg", "electrodes"):
        assert np.array_equal(stored[name], one[name])
    for name in store.TISSUE_COLUMNS:
        assert stored[name] == one.attrs[name]


def test_stored_data_set_keeps_the_contract():
    ds = build()
    assert ds.V_m.dims == ("sim", "time", "y_map", "x_map") and ds.phi_e.dims == ("sim", "lead", "time_ecg")
    assert ds.lat.dims == ds.D.dims == ds.conductive.dims == ("sim", "y", "x") and ds.conductive.dtype == bool
    assert all(
        "units" in ds[name].attrs and "long_name" in ds[name].attrs
        for name in ("V_m", "lat", "D", "conductive", "phi_e", "electrodes")
    )
    assert ds.V_m.attrs["units"] == "mV" and float(ds.V_m.min()) < -80 and ds.lat.isnull().any()
    assert {"recipe", "forwardecg", "store"} <= {*ds.attrs}


def test_a_finished_store_is_opened_and_not_simulated(simulated):
    first = build()
    simulated.clear()
    assert build().identical(first) and not simulated


@pytest.mark.parametrize("kind", [KeyboardInterrupt, ValueError])
def test_a_build_that_stops_is_continued_and_equals_an_uninterrupted_one(kind, simulated, monkeypatch, tmp_path):
    class Stopping(ThreadPoolExecutor):
        """Runs each task at once, and stops at the fourth."""

        def submit(self, task, recipe, sim):
            future = super().submit(task, recipe, sim)
            future.result()
            return future

    write = store._write

    def stop_at_three(path, sim, ds):
        if sim == 3:
            raise kind
        write(path, sim, ds)

    monkeypatch.setattr(store, "_write", stop_at_three)
    monkeypatch.setattr(store, "as_completed", lambda running: list(running))
    with Stopping(1) as executor, pytest.raises(kind):
        load_or_simulate(RECIPE, executor)
    monkeypatch.setattr(store, "_write", write)
    assert zarr.open_group(store_path(RECIPE), mode="r")["done"][:].tolist() == [True] * 3 + [False] * 3
    simulated.clear()
    resumed = build()
    assert simulated == [3, 4, 5], "what was done is not simulated again"
    monkeypatch.setattr(store, "CACHE", tmp_path / "other")
    assert resumed.identical(build())


def test_a_tissue_half_written_is_simulated_again(simulated):
    whole = build()
    group = zarr.open_group(store_path(RECIPE), mode="r+")
    group["V_m"][4] = 0
    group["done"][4] = False
    simulated.clear()
    assert build().identical(whole) and simulated == [4]


def test_done_is_written_last(monkeypatch):
    """A kill between two arrays of a tissue must leave it undone."""
    written = []
    set_item = zarr.Array.__setitem__
    monkeypatch.setattr(
        zarr.Array, "__setitem__", lambda array, *at: written.append(array.basename) or set_item(array, *at)
    )
    build(replace(RECIPE, n_sim=1))
    assert written[-1] == "done" and set(written) >= {"V_m", "phi_e", "lat", "D", "conductive", *store.TISSUE_COLUMNS}


def test_a_killed_build_is_completed_by_the_next_call(cache, simulated, monkeypatch, tmp_path):
    process = subprocess.Popen([sys.executable, "-c", BUILD, str(cache)], stdout=subprocess.PIPE, text=True)
    try:
        for line in process.stdout:
            if line == "wrote 2\n":
                break
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait(10) == -signal.SIGKILL
    finally:
        process.kill()
        process.stdout.close()
    assert zarr.open_group(store_path(RECIPE), mode="r")["done"][:].tolist() == [True] * 3 + [False] * 3
    resumed = build()
    assert simulated == [3, 4, 5]
    monkeypatch.setattr(store, "CACHE", tmp_path / "other")
    assert resumed.identical(build())


def test_a_build_killed_before_its_first_tissue_leaves_no_store(simulated, monkeypatch):
    """The empty store comes into place in one move."""

    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(store, "os", SimpleNamespace(replace=interrupt, getpid=os.getpid))
        with pytest.raises(KeyboardInterrupt):
            build()
    assert not store_path(RECIPE).exists()
    assert build().sizes["sim"] == 6


def test_local_processes_give_what_a_thread_gives(monkeypatch, tmp_path):
    recipe = replace(RECIPE, n_sim=2)
    monkeypatch.setattr(store.os, "cpu_count", lambda: 1)
    by_process = without_time(load_or_simulate(recipe))
    monkeypatch.setattr(store, "CACHE", tmp_path / "other")
    assert by_process.identical(build(recipe))


@pytest.mark.parametrize(
    "change",
    [
        {"n_sim": 7},
        {"seed": 1},
        {"dx": 0.5},
        {"dt": 0.05},
        {"D0_high": 0.2},
        {"fk": FK_MLR1},
        {"z_mm": 21},
        {"min_activated": 0.1},
    ],
)
def test_another_recipe_is_another_store(change):
    assert store_path(RECIPE) == store_path(replace(RECIPE))
    assert store_path(replace(RECIPE, **change)) != store_path(RECIPE)


def test_an_edit_of_the_solver_is_another_store_and_one_of_a_comment_is_not(tmp_path, monkeypatch):
    before = store_path(RECIPE)
    for file in paths.PACKAGE.glob("*.py"):
        (tmp_path / file.name).write_text(file.read_text())
    monkeypatch.setattr(paths, "PACKAGE", tmp_path)
    assert store_path(RECIPE) == before
    for name in ("cell", "kernel", "solver", "tissue", "ecg"):
        text = (paths.PACKAGE / f"{name}.py").read_text()
        (tmp_path / f"{name}.py").write_text(text + "\n# an afterthought\n")
        assert store_path(RECIPE) == before
        (tmp_path / f"{name}.py").write_text(text + "\nAFTERTHOUGHT = 1\n")
        assert store_path(RECIPE) != before
        (tmp_path / f"{name}.py").write_text(text)
    (tmp_path / "plot.py").write_text("x = 1\n")
    assert store_path(RECIPE) == before, "an edit of the plots never simulates"


def test_an_edit_of_the_drawing_is_another_store(monkeypatch):
    before = store_path(RECIPE)

    def draw_tissue(recipe, sim, attempt=0):
        return dataset.draw_tissue(recipe, sim, attempt)

    monkeypatch.setattr(store, "draw_tissue", draw_tissue)
    assert store_path(RECIPE) != before
