"""The store: what is in it is what was simulated, whatever happened while it was built or to its files since."""

import errno
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from functools import cache as cached
from multiprocessing import get_context
from pathlib import Path

import google_crc32c
import numpy as np
import pytest
import xarray as xr
import zarr
from threadpoolctl import threadpool_limits
from versions.canonical import NO_RESULT

from compendium.record import closure
from forwardecg import cache as naming
from forwardecg.data import layout, store
from forwardecg.data.draw import simulate_one
from forwardecg.data.recipe import Recipe
from forwardecg.data.store import load_or_simulate, store_path, stored_bytes
from forwardecg.paths import PACKAGE
from forwardecg.tissue.cell import FK_MLR1

pytestmark = pytest.mark.slow

CODE_HASH = cached(naming.code_hash)  # asked for at every call, a tenth of a second each
RECIPE = Recipe(n_sim=6, n_cells=40, dx=1.0, t_end=60, min_activated=0.05, z_mm=20)

BUILD = """
import multiprocessing, os, signal, sys, time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
import zarr
from forwardecg.data import layout, store
from forwardecg.data.recipe import Recipe

if __name__ == "__main__":
    store.CACHE, how, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    executor = ThreadPoolExecutor(1)

    def counted(f):
        def call(*args, **kwargs):
            global count
            count -= 1
            if count < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return f(*args, **kwargs)
        return call

    simulate_one, as_completed = store.simulate_one, store.as_completed
    def slow(recipe, sim):
        print("simulates", sim, flush=True)
        time.sleep(0.2)
        return simulate_one(recipe, sim)
    def telling(running):
        for n, future in enumerate(as_completed(running)):
            if n == 0:
                print("workers", *[child.pid for child in multiprocessing.active_children()], flush=True)
            yield future

    if how == "in the skeleton":
        layout.os = type("os", (), {**vars(os), "replace": counted(os.replace)})
    elif how == "between chunks":
        zarr.Array.__setitem__ = counted(zarr.Array.__setitem__)
    elif how == "in a chunk":
        Path.replace = counted(Path.replace)
    elif how == "slow":
        store.simulate_one = slow
    elif how == "pool":
        executor, store._cores, store.as_completed = None, lambda: 2, telling
    store.load_or_simulate(Recipe(n_sim=count if how == "pool" else 6, n_cells=40, dx=1.0, t_end=60, min_activated=0.05, z_mm=20), executor)
"""


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "CACHE", tmp_path)
    monkeypatch.setattr(layout, "code_hash", CODE_HASH)
    return tmp_path


@pytest.fixture
def simulated(monkeypatch):
    """The numbers of the tissues that were simulated, in order."""
    sims = []
    monkeypatch.setattr(store, "simulate_one", lambda recipe, sim: sims.append(sim) or simulate_one(recipe, sim))
    return sims


@pytest.fixture
def told(monkeypatch):
    """The lines of progress."""
    lines = []
    monkeypatch.setattr(store, "progress", lines.append)
    return lines


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """The folder of a build by one thread, not to be changed, and all files of its store."""
    folder = tmp_path_factory.mktemp("plain")
    build(folder=folder)
    return folder, files(folder)


@pytest.fixture(scope="module")
def spare(tmp_path_factory):
    return tmp_path_factory.mktemp("spare")


@pytest.fixture
def copy(plain, spare, monkeypatch):
    """A copy of the plain build, as the store that `build` finds; the same one again where a test has mended it."""
    monkeypatch.setattr(store, "CACHE", spare)
    if not store_path(RECIPE).exists() or files() != plain[1]:
        shutil.rmtree(spare)
        shutil.copytree(plain[0], spare / "datasets")
    return store_path(RECIPE)


def build(recipe=RECIPE, **options) -> xr.Dataset:
    with ThreadPoolExecutor(1) as executor:
        return load_or_simulate(recipe, executor, **options)


def files(folder: Path | None = None) -> dict[str, bytes]:
    """The content of every file of the store but the group's attributes, which hold the time it took."""
    location = store_path(RECIPE, folder)
    names = sorted(str(file.relative_to(location)) for file in location.rglob("*") if file.is_file())
    return {name: (location / name).read_bytes() for name in names if name not in ("zarr.json", "digest/zarr.json")}


def start(cache, how, count=0):
    script = cache / "build.py"
    script.write_text(BUILD)
    command = [sys.executable, str(script), str(cache), how, str(count)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, preexec_fn=hear_interrupt
    )


def hear_interrupt() -> None:
    """A job in the background of a shell ignores Ctrl-C, and so would all that it starts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def finished(recipe=RECIPE) -> list[int]:
    location, sims = store_path(recipe), {*range(recipe.n_sim)}
    return sorted(sims - {*layout.missing_tissues(location, recipe.n_sim, True)}) if location.exists() else []


def test_what_is_read_is_what_was_simulated(plain):
    """V_m to float16 of u, which is 5e-4 of the 100 mV span at most; phi_e exactly; the rest in single precision."""
    ds, one = build(folder=plain[0]), simulate_one(RECIPE, 3)
    stored = ds.isel(sim=3)
    u = ((one.V_m + 85) / 100).astype(np.float16).astype(float)
    assert np.allclose(stored.V_m, -85 + 100 * u, atol=1e-4)
    assert np.abs(stored.V_m - one.V_m).max() < 0.05
    assert np.array_equal(stored.phi_e, one.phi_e)
    assert np.array_equal(stored.lat, one.lat.astype(np.float32), equal_nan=True)
    assert np.array_equal(stored.D, one.D.astype(np.float32)) and np.array_equal(stored.conductive, one.conductive)
    for name in ("time", "time_ecg", "electrodes", "lead", "xyz"):
        assert np.array_equal(stored[name], one[name])
    for name in (*layout.KINDS, "time", "time_ecg", "electrodes"):
        assert stored[name].attrs == one[name].attrs and stored[name].dims == one[name].dims
    for name in layout.TISSUE_COLUMNS:
        np.testing.assert_equal(stored[name].item(), one.attrs[name])
    assert np.array_equal(ds.phi_e.sel(lead="center")[3], one.phi_e[0])


def test_stored_data_set_keeps_the_contract(plain):
    ds = build(folder=plain[0])
    assert ds.V_m.dims == ("sim", "time", "y_map", "x_map") and ds.phi_e.dims == ("sim", "lead", "time_ecg")
    assert ds.lat.dims == ds.D.dims == ds.conductive.dims == ("sim", "y", "x") and ds.conductive.dtype == bool
    assert ds.mild.dtype == bool and set(ds.stimulus.values) <= {"edge", "corner", "focal"}
    assert ds.V_m.attrs["units"] == "mV" and float(ds.V_m.min()) < -80 and ds.lat.isnull().any()
    assert json.loads(ds.recipe)["n_sim"] == 6 and ds.license == "CC-BY-4.0" and "zarr" in ds.made_with
    assert ds.workers == 1 and ds.seconds > 0 and ds.store == store_path(RECIPE).name


def test_it_is_read_when_it_is_used(plain, monkeypatch):
    reads, get = [], zarr.storage.LocalStore.get
    monkeypatch.setattr(zarr.storage.LocalStore, "get", lambda *a, **k: reads.append(a[1]) or get(*a, **k))
    ds = build(folder=plain[0], verify=False)
    assert not [name for name in reads if name.startswith(("V_m/c", "phi_e/c"))]
    ds.V_m[4].load()
    assert [name for name in reads if name.startswith("V_m/c")] == ["V_m/c/4/0/0/0"]


def test_every_chunk_ends_with_its_checksum_and_is_there_even_if_it_is_all_zeros(plain):
    chunks = {name: data for name, data in plain[1].items() if "/c/" in name}
    axes = {"time/c/0", "time_ecg/c/0", "electrodes/c/0/0"}
    assert {*chunks} == {name for sim in range(6) for name in layout.chunk_names(sim)} | axes
    assert not build(folder=plain[0]).rejected_site.any()
    for name, data in chunks.items():
        assert google_crc32c.value(data[:-4]).to_bytes(4, "little") == data[-4:], name


def test_size_of_the_store(plain, tmp_path):
    at = store_path(RECIPE, plain[0])
    held = sum(map(len, plain[1].values())) + sum(
        (at / name).stat().st_size for name in ("zarr.json", "digest/zarr.json")
    )
    assert stored_bytes(RECIPE, plain[0]) == held and stored_bytes(RECIPE, tmp_path / "none") == 0


def test_a_finished_store_is_opened_and_not_changed(copy, simulated, told):
    before = {file: file.stat().st_mtime_ns for file in copy.parent.rglob("*")}
    assert build().identical(build(verify=False)) and not simulated and not told
    assert {file: file.stat().st_mtime_ns for file in copy.parent.rglob("*")} == before


def test_killed_three_times_and_resumed_is_the_same_bit_for_bit(cache, plain, simulated):
    """As the empty store is put in place, between two chunks of tissue 1, and in the middle of a file of tissue 2."""
    n = len(layout.chunk_names(0))
    for how, count, done in (("in the skeleton", 0, []), ("between chunks", n + 3, [0]), ("in a chunk", n, [0, 1])):
        with start(cache, how, count) as process:
            assert process.wait(600) == -signal.SIGKILL
        assert store_path(RECIPE).exists() == (how != "in the skeleton")
        assert finished() == done
    assert [name for name in files() if "partial" in name] and simulated == []
    build()
    assert simulated == [2, 3, 4, 5], "what was finished is not simulated again"
    assert files() == plain[1], "nothing half-written is left, all bytes are the same"
    assert not list(cache.rglob("*.tmp"))


@pytest.mark.parametrize("kind", [signal.SIGKILL, signal.SIGINT])
def test_a_stopped_build_leaves_no_process(kind, cache, plain):
    """Its finished tissues are those of the one thread, although two processes made them, in a larger set."""
    process = start(cache, "pool", 400)
    try:
        line = next(line for line in process.stdout if line.startswith("workers"))
    finally:
        process.send_signal(kind)
        process.wait(300)
        process.stdout.close()
    workers, until = [int(pid) for pid in line.split()[1:]], time.monotonic() + 100
    while any(map(alive, workers)) and time.monotonic() < until:
        time.sleep(0.05)
    assert len(workers) == 2 and not any(map(alive, workers)) and process.returncode != 0
    large = replace(RECIPE, n_sim=400)
    location = store_path(large)
    done = finished(large)
    assert {0, 1} & {*done} and len(done) < 400
    for name in [name for sim in done if sim < 6 for name in layout.chunk_names(sim)]:
        assert (location / name).read_bytes() == plain[1][name]


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_two_local_processes_give_what_a_thread_gives(plain, monkeypatch):
    monkeypatch.setattr(store, "_cores", lambda: 2)
    ds = load_or_simulate(RECIPE)
    assert files() == plain[1] and ds.workers == 2


def test_threads_give_what_one_gives_also_where_more_are_asked_of_blas(plain):
    with threadpool_limits(2), ThreadPoolExecutor(3) as executor:
        ds = load_or_simulate(RECIPE, executor)
    assert files() == plain[1] and ds.workers == 3


DAMAGE = {
    "one bit": lambda file: file.write_bytes(flipped(file.read_bytes())),
    "truncated": lambda file: file.write_bytes(file.read_bytes()[:-7]),
    "empty": lambda file: file.write_bytes(b""),
    "missing": lambda file: file.unlink(),
    "zeros": lambda file: file.write_bytes(bytes(file.stat().st_size)),
}


def flipped(data: bytes, at: int | None = None) -> bytes:
    at = len(data) // 2 if at is None else at
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        *itertools.product((*layout.KINDS, "mild", "rest_time", "digest", "done"), ["one bit"]),
        *itertools.product(("V_m", "condition", "done"), [*DAMAGE][1:]),
    ],
)
def test_a_damaged_tissue_is_found_and_only_that_one_is_simulated_again(name, damage, copy, plain, simulated, told):
    [chunk] = [chunk for chunk in layout.chunk_names(4) if chunk.startswith(f"{name}/")]
    DAMAGE[damage](copy / chunk)
    assert files() != plain[1]
    build()
    assert simulated == [4] and files() == plain[1]
    assert told[0].endswith("simulated again: 4") and "5 of 6 tissues are there" in told[1]


def test_a_bit_flipped_anywhere_is_seen(copy):
    arrays, names = layout.open_arrays(copy), layout.chunk_names(4)
    for name in names:
        whole = (copy / name).read_bytes()
        places = {0, 1, len(whole) // 3, len(whole) - 5, len(whole) - 1} | {*range(len(whole) if "done" in name else 0)}
        for place in places:
            (copy / name).write_bytes(flipped(whole, place))
            assert not layout.is_finished(arrays, 4, names, True), (name, place)
        (copy / name).write_bytes(whole)
    assert layout.is_finished(arrays, 4, names, True)


def test_a_tissue_is_finished_by_its_mark_alone(copy, plain, simulated):
    """One killed between its last number and its mark is simulated again; a mark without the numbers counts for nothing."""
    (copy / "done/c/1").unlink()
    for chunk in layout.chunk_names(2)[:-1]:
        (copy / chunk).unlink()
    build(verify=False)
    assert simulated == [1, 2] and files() == plain[1]


def test_a_lost_tissue_is_simulated_again(copy, plain, simulated):
    for chunk in layout.chunk_names(2):
        (copy / chunk).unlink()
    build(verify=False)
    assert simulated == [2] and files() == plain[1]


def test_an_unchecked_damage_is_an_error_and_not_a_wrong_number(copy, simulated):
    for name in ("V_m/c/4/0/0/0", "rest_time/c/4"):
        DAMAGE["one bit"](copy / name)
    ds = build(verify=False)
    assert not simulated and ds.V_m[3].notnull().all()
    for values in (ds.V_m, ds.rest_time):
        with pytest.raises(ValueError, match="checksum"):
            values.load()


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        *itertools.product(("zarr.json", "V_m/zarr.json", "digest/zarr.json"), DAMAGE),
        *itertools.product(("electrodes/zarr.json", "time/c/0", "electrodes/c/0/0"), ["one bit", "missing"]),
    ],
)
def test_a_damaged_description_is_written_again_and_no_tissue_lost(name, damage, copy, plain, simulated, told):
    expected = (copy / name).read_bytes()
    DAMAGE[damage](copy / name)
    build(verify=False).load()
    assert not simulated and files() == plain[1] and len(told) == 1 and "description" in told[0]
    assert name in ("zarr.json", "digest/zarr.json") or (copy / name).read_bytes() == expected


def test_an_edited_shape_is_seen(copy, simulated):
    file = copy / "lat" / "zarr.json"
    file.write_text(file.read_text().replace("40", "80"))
    assert build().lat.shape == (6, 40, 40) and not simulated


def test_metadata_that_only_looks_different_is_let_be(copy, told):
    for file in (copy / "zarr.json", copy / "V_m" / "zarr.json"):
        file.write_text(json.dumps(json.loads(file.read_text()), indent=7))
    build()
    assert not told


def test_two_builds_at_a_time_share_the_work(cache, plain, monkeypatch):
    other, sims = start(cache, "slow"), []

    def slow(recipe, sim):
        sims.append(sim)
        time.sleep(0.2)
        return simulate_one(recipe, sim)

    monkeypatch.setattr(store, "simulate_one", slow)
    try:
        lines = [next(line for line in other.stdout if line.startswith("simulates"))]
        build()
        lines += [line for line in other.stdout if line.startswith("simulates")]
        assert other.wait(300) == 0
    finally:
        other.kill()
        other.stdout.close()
    theirs = [int(line.split()[1]) for line in lines]
    assert sims and theirs and sorted(sims + theirs) == [0, 1, 2, 3, 4, 5], "each tissue is simulated once"
    assert files() == plain[1]


def test_a_tissue_that_another_has_in_work_comes_last_and_is_waited_for(simulated, plain, monkeypatch):
    location, held, go = store_path(RECIPE), threading.Event(), threading.Event()

    def hold():
        with layout.lock(location, "2"):
            held.set()
            assert go.wait(300)

    monkeypatch.setattr(
        layout,
        "write_tissue",
        lambda *args, write=layout.write_tissue: (write(*args), go.set() if args[1] == 5 else None),
    )
    other = threading.Thread(target=hold)
    other.start()
    assert held.wait(100)
    build()
    other.join()
    assert simulated == [0, 1, 3, 4, 5, 2] and files() == plain[1]


def test_many_that_create_a_store_at_once_do_not_collide(plain):
    location, skeleton = store_path(RECIPE), layout.skeleton(RECIPE)
    with ThreadPoolExecutor(8) as several:
        assert sum(map(bool, several.map(lambda _: layout.restore(location, skeleton), range(16)))) == 1
    assert {name: data for name, data in plain[1].items() if name in skeleton} == files()
    assert not list(location.parent.glob("*.tmp"))


def test_leftovers_go_but_not_those_of_a_tissue_in_work(copy, plain):
    for name in ("V_m/c/1/0/0/0", "lat/c/3/0/0", "mild/c/1", "zarr"):
        (copy / f"{name}.0123.partial").write_text("half")
    with layout.lock(copy, "3"):
        build()
    assert files() == plain[1] | {"lat/c/3/0/0.0123.partial": b"half"}
    build()
    assert files() == plain[1]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device that is always full")
def test_a_full_disk_ends_the_build_and_keeps_what_is_finished(plain, simulated, monkeypatch):
    opened = Path.open

    def full(path, *args, **kwargs):
        inside = str(path).endswith(".partial") and "/lat/c/3/" in str(path)
        return opened(Path("/dev/full") if inside else path, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", full)
        with pytest.raises(OSError, match=f"no space left.* of 6 .* in {store_path(RECIPE)}") as caught:
            build()
    done = finished()  # the thread may have begun the next one meanwhile
    assert caught.value.errno == errno.ENOSPC and f"{len(done)} of 6 tissues are finished" in str(caught.value)
    assert done[:3] == [0, 1, 2] and 3 not in done and not [name for name in files() if "partial" in name]
    simulated.clear()
    build()
    assert simulated == [sim for sim in range(6) if sim not in done] and files() == plain[1]


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(errno.EDQUOT, "quota"), "no space left.*[2-5] of 6"),
        (OSError(errno.EACCES, "denied"), "denied"),
        (ValueError("a bad tissue"), "a bad tissue"),
        (KeyboardInterrupt("stop"), "stop"),
    ],
)
def test_a_build_that_stops_keeps_what_is_finished(error, message, plain, simulated, monkeypatch):
    def stop(arrays, sim, ds, write=layout.write_tissue):
        if sim == 2:
            raise error
        write(arrays, sim, ds)

    with monkeypatch.context() as patch:
        patch.setattr(layout, "write_tissue", stop)
        with ThreadPoolExecutor(1) as executor, pytest.raises(type(error), match=message):
            load_or_simulate(RECIPE, executor)
    done, seconds = finished(), zarr.open_group(store_path(RECIPE)).attrs["seconds"]
    assert done[:2] == [0, 1] and 2 not in done and seconds > 0
    simulated.clear()
    assert build().seconds > seconds
    assert simulated == [sim for sim in range(6) if sim not in done] and files() == plain[1]


def dies_at_three():
    """In a worker: the tissue 3 kills it."""

    def deadly(recipe, sim):
        if sim == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return simulate_one(recipe, sim)

    store.simulate_one = deadly


def test_a_dead_worker_is_one_clear_error(plain, simulated):
    with (
        ProcessPoolExecutor(1, get_context("spawn"), dies_at_three) as executor,
        pytest.raises(RuntimeError, match="worker process died.*3 of 6 tissues are finished"),
    ):
        load_or_simulate(RECIPE, executor)
    build()
    assert simulated == [3, 4, 5] and files() == plain[1]


def test_a_url_gives_the_same_and_is_resumed(plain, tmp_path, simulated):
    fs, root = layout.place_of(url := f"memory://{tmp_path.name}/sets")
    with ThreadPoolExecutor(2) as executor:
        ds = load_or_simulate(RECIPE, executor, folder=url)
    there = build(folder=plain[0])
    assert ds.drop_attrs(deep=False).identical(there.drop_attrs(deep=False)) and sorted(simulated) == [*range(6)]
    assert store_path(RECIPE, url) == f"{url}/{there.store}" and ds.store == there.store and ds.seconds > 0
    assert stored_bytes(RECIPE, url) == pytest.approx(stored_bytes(RECIPE, plain[0]), abs=100)
    simulated.clear()
    fs.pipe_file(f"{root}/{ds.store}/V_m/c/1/0/0/0", b"half")
    fs.rm_file(f"{root}/{ds.store}/mild/c/5")
    fs.pipe_file(f"{root}/{ds.store}/D/zarr.json", b"{")
    build(folder=url)
    assert simulated == [1, 5]
    for name, data in plain[1].items():
        assert fs.cat_file(f"{root}/{ds.store}/{name}") == data


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"t_end": 62}, "t_end: expected a positive multiple of frame_interval = 5 ms, got 62 ms"),
        ({"frame_interval": 2.5}, "frame_interval: expected a positive multiple of ecg_interval"),
        ({"ecg_interval": 0.25, "frame_interval": 5}, "every: expected a positive multiple of dt"),
        ({"dt": 5.0, "ecg_interval": 5.0}, "dt: expected at most 0.25 ms"),
        ({"z_mm": 0.5}, "electrodes: expected every electrode at least dx"),
        ({"protocol": "reentry"}, "stimulus start: expected a time before t_end = 60 ms"),
        ({"D0_high": 3.0}, "dt: expected at most 0.08333 ms"),
    ],
)
def test_a_recipe_that_cannot_be_simulated_leaves_nothing(change, message, cache):
    with pytest.raises(ValueError, match=message):
        build(replace(RECIPE, **change))
    assert not list(cache.iterdir())


def test_whole_numbers_and_real_ones_name_the_same_store():
    assert store_path(replace(RECIPE, t_end=60, dx=1)) == store_path(replace(RECIPE, t_end=60.0, dx=1.0))
    with pytest.raises(ValueError, match="recipe: expected Recipe, got dict"):
        store_path({"n_sim": 6})


def test_workers_that_write_elsewhere_are_noticed(monkeypatch):
    """As those of a cluster whose machines have disks of their own under the same name."""
    monkeypatch.setattr(store, "simulate_into", lambda *_: True)
    with pytest.raises(OSError, match="expected the workers to write to .* which lacks 6 tissues"):
        build()


def test_a_worker_that_finds_no_store_says_so():
    with pytest.raises(OSError, match="expected the store at memory://.* where a worker found none"):
        load_or_simulate(replace(RECIPE, n_sim=1), folder="memory://of-this-process-alone")


def test_a_repair_keeps_the_number_of_workers_of_the_build(monkeypatch):
    with ThreadPoolExecutor(3) as executor:
        load_or_simulate(RECIPE, executor)
    (store_path(RECIPE) / "phi_e" / "c" / "3" / "0" / "0").unlink()
    assert build().workers == 3


def test_progress_is_told_by_the_clock(told, monkeypatch):
    build(replace(RECIPE, n_sim=3))
    first, last = told
    assert first == "data set: 0 of 3 tissues are there, simulating 3" and last.startswith("data set: all 3 tissues")
    told.clear()
    monkeypatch.setattr(store, "PROGRESS_S", 0.0)
    monkeypatch.setattr(store, "simulate_one", lambda *args: time.sleep(0.1) or simulate_one(*args))
    started = time.monotonic()
    ds = build(replace(RECIPE, n_sim=4))
    assert len(told) == 6 and told[2].startswith("data set: 2 of 4 tissues, ") and "per minute, about" in told[2]
    assert 0.4 < ds.seconds < time.monotonic() - started, "what was counted at a line is not counted again"


def test_workers_load_no_torch():
    subprocess.run(
        [sys.executable, "-c", "import forwardecg.data.store, sys; sys.exit('torch' in sys.modules)"], check=True
    )


@pytest.mark.parametrize(
    "change",
    [
        {"n_sim": 7},
        {"seed": 1},
        {"dx": 0.5},
        {"dt": 0.05},
        {"D0_high": 0.2},
        {"cell": FK_MLR1},
        {"z_mm": 21},
        {"min_activated": 0.1},
        {"bank": False},
    ],
)
def test_another_recipe_is_another_store(change):
    assert store_path(RECIPE) == store_path(replace(RECIPE))
    assert store_path(replace(RECIPE, **change)) != store_path(RECIPE)


def test_an_edit_of_the_code_renames_nothing_and_a_raised_version_does(
    copy, plain, simulated, told, tmp_path, monkeypatch
):
    """What the store was made with stays written in it, also when it is repaired by other code."""
    before, location = build(), store_path(RECIPE)
    shutil.copytree(PACKAGE, tmp_path / "edited", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("tissue/cell", "data/draw"):
        with (tmp_path / "edited" / f"{name}.py").open("a") as file:
            file.write("\nAFTERTHOUGHT = 1\n")
    monkeypatch.setattr(naming, "PACKAGE", tmp_path / "edited")
    monkeypatch.setattr(layout, "code_hash", naming.code_hash)
    monkeypatch.setattr(layout, "versions_of", lambda *_: "Python 4.0")
    monkeypatch.setattr(layout, "__version__", "9.9")
    assert naming.code_hash(layout.SIMULATES) != before.code
    assert store_path(RECIPE) == location and build().identical(before) and not simulated and not told
    (copy / "V_m/c/4/0/0/0").unlink()
    after = build()
    assert simulated == [4] and files() == plain[1]
    made = ("code", "made_with", "forwardecg", "recipe", "store")
    assert [after.attrs[name] for name in made] == [before.attrs[name] for name in made]
    monkeypatch.setattr(store, "VERSION", store.VERSION + 1)
    assert store_path(RECIPE) != location


def test_the_code_that_a_store_notes_is_all_that_simulates():
    simulates = {path.relative_to(PACKAGE).with_suffix("").as_posix() for path in closure(PACKAGE / "data" / "draw.py")}
    assert {*layout.SIMULATES} == simulates - {"__init__", *NO_RESULT} | {"data/draw"}


def test_another_compression_is_another_store(monkeypatch):
    before = store_path(RECIPE)
    monkeypatch.setitem(layout.COMPRESSION, "clevel", 6)
    assert store_path(RECIPE) != before
