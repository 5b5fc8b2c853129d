"""The resumable Zarr store of simulated tissues, in a folder that the recipe and VERSION name.

A tissue is finished when the mark that is written last is there, so that no stop at any moment can leave a wrong one.
"""

import errno
import os
import signal
import sys
import time
import uuid
from collections.abc import Collection, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, as_completed, wait
from contextlib import contextmanager
from dataclasses import asdict, fields
from multiprocessing import current_process, get_context, parent_process
from pathlib import Path
from threading import Thread

import xarray as xr
from filelock import Timeout
from threadpoolctl import threadpool_limits
from zarr.errors import BaseZarrError

from forwardecg.cache import key
from forwardecg.contract import flag, instance
from forwardecg.data import layout
from forwardecg.data.draw import draw_tissue, simulate_one
from forwardecg.data.recipe import Recipe
from forwardecg.ecg.leadfield import distances
from forwardecg.paths import CACHE, progress
from forwardecg.solver.simulation import solve
from forwardecg.tissue.sheet import healthy

VERSION = 1  # of a simulated tissue: raised when tests/versions says that tissues have changed; CHANGELOG says why
PROGRESS_S = 10.0  # s between lines of progress


def store_path(recipe: Recipe, folder: Path | str | None = None) -> Path | str:
    """Where the recipe's store is in a folder.

    Args:
        recipe, folder: as `load_or_simulate` takes them.

    Returns:
        A path, or a URL as a string.

    Raises:
        ValueError: ``recipe`` is no `Recipe`, ``folder`` no path.

    Examples:
        >>> store_path(Recipe(n_sim=4), "data").suffix
        '.zarr'
    """
    instance("recipe", recipe, Recipe)
    values = asdict(recipe)
    values |= {field.name: float(values[field.name]) for field in fields(recipe) if field.type is float}  # 60 is 60.0
    name = f"{key('tissues', VERSION, values, layout.KINDS, layout.TISSUE_COLUMNS, layout.COMPRESSION)}.zarr"
    if folder is None:
        return CACHE / "datasets" / name
    place = str(instance("folder", folder, (str, os.PathLike))).removeprefix("file://")
    return f"{place.removesuffix('/')}/{name}" if "://" in place else Path(place).expanduser() / name


def stored_bytes(recipe: Recipe, folder: Path | str | None = None) -> int:
    """Size of the recipe's store in ``folder`` in bytes, 0 where there is none."""
    fs, root = layout.place_of(store_path(recipe, folder))
    fs.invalidate_cache()
    return fs.du(root)


def load_or_simulate(
    recipe: Recipe, executor: Executor | None = None, *, folder: Path | str | None = None, verify: bool = True
) -> xr.Dataset:
    """The data set of the recipe, opened lazily; what is missing or damaged of it is simulated first, in parallel.

    Args:
        recipe: of the data set.
        executor: any `concurrent.futures.Executor`, also of a cluster (``get_executor`` of a Dask client); its workers
            all reach ``folder``. None: one local process a core. Stopped at any moment, it loses the tissues in work.
        folder: where stores are kept; None: the cache of this package. In a local folder several processes may build
            the same store and share the work; at a URL of fsspec, such as s3://bucket/sets, only one may.
        verify: read all that is there, so that a damaged tissue is found and simulated again; False: only the marks of
            what is finished. A chunk that was altered then raises ValueError when it is read.

    Returns:
        The arrays of the data contract with a leading dim ``sim``, and per tissue what was drawn, rejected and reached.

    Raises:
        ValueError: The recipe cannot be simulated, see `simulate`; nothing is written then.
        OSError, RuntimeError: The disk is full, or a worker died. What is finished is kept, and the next call goes on.

    Examples:
        >>> from concurrent.futures import ThreadPoolExecutor
        >>> tiny = Recipe(n_sim=2, n_cells=40, t_end=100.0, bank=False)
        >>> ds = load_or_simulate(tiny, ThreadPoolExecutor(1), folder="sets")
        >>> ds.condition.values.tolist(), dict(ds.V_m.sizes)
        (['healthy', 'gap_junction'], {'sim': 2, 'time': 21, 'y_map': 10, 'x_map': 10})
    """
    location, n_sim, verify = store_path(recipe, folder), recipe.n_sim, flag("verify", verify)
    check_workers(executor)
    check_folder(location)
    missing: dict[int, bool] = {}

    def status() -> str:
        n = n_sim - len(layout.missing_tissues(location, n_sim, False)) if layout.list_files(location) else 0
        return f"{n} of {n_sim} tissues are finished and kept in {location}; the next call goes on from there"

    try:
        missing = prepare_store(location, recipe, verify)
        if missing:
            # one thread also in workers that are threads of a process in which this one holds the limit
            with threadpool_limits(1):
                fill_store(location, recipe, [*missing], executor)
    except BrokenExecutor:
        why = 'killed, out of memory, or started by a script without if __name__ == "__main__"'
        raise RuntimeError(f"data set: a worker process died: {why}. {status()}") from None
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"data set: stopped. {status()}") from None
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise OSError(error.errno, f"data set: no space left on the disk, free some. {status()}") from error
        if error.errno is None or error.filename is None:
            raise
        raise OSError(error.errno, f"data set: {error.strerror}: {error.filename}, in the store {location}") from error
    if missing and (absent := layout.missing_tissues(location, n_sim, False)):
        lack = f"{location}, which lacks {len(absent)} tissues: do they reach it?"
        raise OSError(f"data set: expected the workers to write to {lack}")
    return layout.open_store(location)


def check_workers(executor: Executor | None) -> None:
    """ValueError for what is no executor, and for a script that no process could read again."""
    if executor is not None:
        instance("executor", executor, Executor, "such as ThreadPoolExecutor(1), or None")
    elif getattr(current_process(), "_inheriting", False):  # a worker that reads a script without if __name__
        raise SystemExit(1)  # the first process says so
    elif (script := getattr(sys.modules["__main__"], "__file__", None)) and not Path(script).exists():
        wanted = "a script in a file, which each process reads again, or an executor such as ThreadPoolExecutor(1)"
        raise ValueError(f"executor: expected {wanted}, got None in a script from {script}")


def check_folder(location: Path | str) -> None:
    """ValueError where a file is in place of a folder."""
    if isinstance(location, Path):
        there = next(place for place in (location, *location.absolute().parents) if os.path.lexists(place))
        if not there.is_dir():
            raise ValueError(f"folder: expected a folder, got {there}, which is none")


def prepare_store(location: Path | str, recipe: Recipe, verify: bool) -> dict[int, bool]:
    """The store made or mended, and its tissues that are missing, as `layout.missing_tissues` gives them."""
    empty = layout.skeleton(recipe)
    if not (there := layout.list_files(location)):
        check_recipe(recipe)
    if (lost := layout.restore(location, empty)) and there:
        progress(f"data set: {len(lost)} missing or altered files of its description were written again")
    layout.sweep(location, there)
    missing = layout.missing_tissues(location, recipe.n_sim, verify)
    if damaged := [str(sim) for sim, in_part in missing.items() if in_part]:
        more = f" and {len(damaged) - 20} more" if len(damaged) > 20 else ""
        progress(f"data set: incomplete or altered, to be simulated again: {', '.join(damaged[:20])}{more}")
    return missing


def check_recipe(recipe: Recipe) -> None:
    """ValueError if the solver does not run this recipe's best conducting sheet, or the electrodes touch it."""
    sheet, stimuli = healthy(recipe.shape, recipe.dx, recipe.D0_high), draw_tissue(recipe, 0).stimuli
    distances(sheet, recipe.electrodes)
    next(solve(sheet, stimuli, t_end=recipe.t_end, every=recipe.ecg_interval, cell=recipe.cell, dt=recipe.dt))


def simulate_into(location: Path | str, recipe: Recipe, sim: int, patient: bool, call: str) -> bool:
    """Simulate and write one tissue, unless it is finished by now; False if another is at it, and not ``patient``."""
    fs, root = layout.place_of(location)
    fs.invalidate_cache()
    problem = None
    try:
        with layout.lock(location, str(sim), patient):
            arrays = layout.open_arrays(location)
            there = [name for name in layout.chunk_names(sim) if fs.exists(f"{root}/{name}")]
            if not layout.is_finished(arrays, sim, there, True):
                layout.write_tissue(arrays, sim, simulate_one(recipe, sim))
    except Timeout:
        return False
    except BaseZarrError as error:
        problem = str(error)
    if problem:  # raised here, since the error of zarr, as its context, would not survive the way to another process
        raise OSError(f"data set: expected the store at {location}, where a worker found none: {problem}")
    return True


def _cores() -> int:
    """Cores that this process may use: fewer than there are, on a shared machine."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _end_with_parent() -> None:
    """A worker whose parent was killed would wait for work for ever."""
    Thread(target=lambda: (parent_process().join(), os._exit(1)), daemon=True).start()  # type: ignore[union-attr]


@contextmanager
def _no_interrupt() -> Iterator[None]:
    """Ctrl-C waits meanwhile; processes that are begun in here never get one, which is their parent's to answer."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def fill_store(location: Path | str, recipe: Recipe, sims: Collection[int], executor: Executor | None) -> None:
    """Simulate the tissues ``sims`` into the store."""
    started = spoke = counted = time.monotonic()
    total, n = len(sims), 0
    running: dict[Future, int] = {}
    call = uuid.uuid4().hex  # Dask answers a call like an earlier one from memory, though its chunks may be gone
    progress(f"data set: {recipe.n_sim - total} of {recipe.n_sim} tissues are there, simulating {total}")
    pool = executor if executor is not None else ProcessPoolExecutor(_cores(), get_context("spawn"), _end_with_parent)
    try:
        for patient in (False, True):  # what another process has in work comes again after all others
            with _no_interrupt():
                for sim in sims:
                    running[pool.submit(simulate_into, location, recipe, sim, patient, call)] = sim
            sims = []
            for future in as_completed(running):
                if not future.result():
                    sims.append(running[future])
                    continue
                n += 1
                if (now := time.monotonic()) - spoke > PROGRESS_S:
                    spoke, rate = now, n / (now - started)
                    speed = f"{60 * rate:.0f} per minute, about {(total - n) / rate:.0f} s left"
                    progress(f"data set: {recipe.n_sim - total + n} of {recipe.n_sim} tissues, {speed}")
                    if isinstance(location, Path):
                        _count_seconds(location, now - counted, pool)
                        counted = now
            running = {}
    except KeyboardInterrupt:  # at once: what a killed worker has in work is simulated again
        for worker in [*(getattr(pool, "_processes", None) or {}).values()] if executor is None else ():
            worker.terminate()
        _ = [future.cancel() for future in running]
        running = {}
        raise
    finally:
        wait([future for future in running if not future.cancel()])  # until those in work have ended
        if executor is None:
            pool.shutdown(cancel_futures=True)
        _count_seconds(location, time.monotonic() - counted, pool)
    progress(f"data set: all {recipe.n_sim} tissues, {total} of them in {time.monotonic() - started:.0f} s")


def _count_seconds(location: Path | str, seconds: float, pool: Executor) -> None:
    """Add to the wall time that this store has taken so far, over all the calls that built it."""
    layout.update(location, seconds, getattr(pool, "_max_workers", None) or 0)  # a cluster has no fixed number
