"""The store on a cluster: a worker that is killed in the middle of a tissue costs that tissue once, and nothing else."""

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from forwardecg.data.recipe import Recipe
from forwardecg.data.store import load_or_simulate, store_path

distributed = pytest.importorskip(
    "distributed", reason="the cluster is Dask's, an optional package: pip install distributed"
)

pytestmark = pytest.mark.slow

RECIPE = Recipe(n_sim=12, n_cells=40, dx=1.0, t_end=60, min_activated=0.05, z_mm=20)


@pytest.fixture
def client(tmp_path):
    options = dict(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1")
    with (
        distributed.LocalCluster(local_directory=str(tmp_path / "dask"), **options) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def halt(mark: Path) -> None:
    """In a worker: it begins its second tissue, writes V_m of it, leaves a mark, and gets no further."""
    import zarr

    set_item, calls = zarr.Array.__setitem__, []

    def set_some(array, *at):
        calls.append(array.basename)
        if calls.count("V_m") == 2 and array.basename != "V_m":
            mark.touch()
            time.sleep(600)
        set_item(array, *at)

    zarr.Array.__setitem__ = set_some


def chunks(folder: Path) -> dict[str, bytes]:
    """The content of every file of the store but the group's attributes, which hold the time it took."""
    location = store_path(RECIPE, folder)
    found = {file.relative_to(location).as_posix(): file for file in location.rglob("*") if file.is_file()}
    return {name: file.read_bytes() for name, file in found.items() if name not in ("zarr.json", "digest/zarr.json")}


def test_a_worker_killed_in_the_middle_of_a_tissue_changes_no_byte(client, tmp_path):
    with ThreadPoolExecutor(1) as executor:
        plain = load_or_simulate(RECIPE, executor, folder=tmp_path / "plain")
    victim, pid = next(iter(client.run(os.getpid).items()))
    mark = tmp_path / "halted"
    client.run(halt, mark, workers=[victim])
    half_written = []

    def kill():
        while not mark.exists():
            time.sleep(0.05)
        location = store_path(RECIPE, tmp_path / "cluster")
        half_written.extend(
            k for k in range(12) if (location / f"V_m/c/{k}").exists() > (location / f"mild/c/{k}").exists()
        )
        os.kill(pid, signal.SIGKILL)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    ds = load_or_simulate(RECIPE, client.get_executor(), folder=tmp_path / "cluster")
    killer.join(1)
    assert half_written and pid not in client.run(os.getpid).values(), "it was killed, and in the middle of a tissue"
    assert chunks(tmp_path / "cluster") == chunks(tmp_path / "plain")
    assert ds.drop_attrs(deep=False).identical(plain.drop_attrs(deep=False)) and ds.seconds > 0

    damaged = store_path(RECIPE, tmp_path / "cluster") / "phi_e" / "c" / "3" / "0" / "0"
    damaged.write_bytes(b"half")  # the same call again, which Dask must not answer from memory
    load_or_simulate(RECIPE, client.get_executor(), folder=tmp_path / "cluster")
    assert chunks(tmp_path / "cluster") == chunks(tmp_path / "plain")
