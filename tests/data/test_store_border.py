"""The border of the store: chunks out of place, descriptions with flipped bits, what is refused before anything is written."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from forwardecg.data import layout, store
from forwardecg.data.draw import simulate_one
from forwardecg.data.recipe import Recipe, read_recipe, write_recipe
from forwardecg.data.store import load_or_simulate, store_path

RECIPE = Recipe(n_sim=3, n_cells=40, dx=1.0, t_end=60, min_activated=0.05, z_mm=20, bank=False)


def build(folder: Path, recipe=RECIPE):
    with ThreadPoolExecutor(1) as executor:
        return load_or_simulate(recipe, executor, folder=folder).load()


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("built")
    return folder, build(folder)


@pytest.fixture
def copy(built, tmp_path, monkeypatch):
    """A copy of the build, and the numbers of the tissues that are simulated again."""
    sims: list[int] = []
    monkeypatch.setattr(store, "simulate_one", lambda recipe, sim: sims.append(sim) or simulate_one(recipe, sim))
    shutil.copytree(built[0], tmp_path / "copy")
    return tmp_path / "copy", Path(store_path(RECIPE, tmp_path / "copy")), sims


@pytest.mark.parametrize("what", ["phi_e/c/{}/0/0", "D0/c/{}", "digest/c/{}", None])
def test_what_is_of_another_tissue_is_found(what, copy, built):
    folder, place, sims = copy
    for name in layout.chunk_names(0) if what is None else [what.format(0)]:
        parts = name.split("/")
        shutil.copy(place / name, place / "/".join([*parts[:2], "1", *parts[3:]]))
    assert build(folder).identical(built[1].assign_attrs(seconds=build(folder).seconds)) and sims == [1]


def test_an_older_store_without_that_column_is_opened_as_it_is(copy, built):
    folder, place, sims = copy
    shutil.rmtree(place / "digest")
    group = json.loads((place / "zarr.json").read_text())
    del group["attributes"]["checksum"]
    (place / "zarr.json").write_text(json.dumps(group))
    assert build(folder).identical(built[1]) and not sims and not (place / "digest").exists()
    (place / "phi_e/c/2/0/0").unlink()
    build(folder)
    assert sims == [2] and np.array_equal(build(folder).phi_e, built[1].phi_e)


@pytest.mark.parametrize("name", ["title", "license", "made_with", "forwardecg", "code", "checksum"])
@pytest.mark.parametrize("file", ["zarr.json", "digest/zarr.json"])
def test_a_flipped_bit_in_a_description_is_repaired_as_it_was_made(name, file, copy, built, monkeypatch):
    folder, place, sims = copy
    monkeypatch.setattr(layout, "versions_of", lambda *_: "Python 4.0")  # other code repairs it
    before = [json.loads((place / one).read_text()) for one in ("zarr.json", "digest/zarr.json")]
    text = (place / file).read_text()
    at = text.index(f'"{name}": "') + len(name) + 5
    (place / file).write_text(text[:at] + chr(ord(text[at]) ^ 1) + text[at + 1 :])
    assert build(folder).identical(built[1]) and not sims
    assert [json.loads((place / one).read_text()) for one in ("zarr.json", "digest/zarr.json")] == before


@pytest.mark.parametrize("file", ["zarr.json", "digest/zarr.json"])
@pytest.mark.parametrize("content", ["{", "", "[]", None])
def test_seconds_and_workers_survive_a_repair(file, content, copy, built):
    folder, place, sims = copy
    (place / file).unlink() if content is None else (place / file).write_text(content)
    assert build(folder).identical(built[1]) and not sims


@pytest.mark.parametrize("executor", [5, "x", [], ThreadPoolExecutor])
def test_what_is_no_executor_is_refused_first(executor, tmp_path):
    with pytest.raises(ValueError, match="executor: expected Executor"):
        load_or_simulate(RECIPE, executor, folder=tmp_path)
    assert not [*tmp_path.iterdir()]


def test_what_is_no_folder_is_refused_first(tmp_path):
    for folder in ({}, 5, True):
        with pytest.raises(ValueError, match="folder: expected str or PathLike"):
            store_path(RECIPE, folder)
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ValueError, match="folder: expected a folder, got .*file, which is none"):
            build(folder)
    with pytest.raises(ValueError, match="verify: expected"):
        load_or_simulate(RECIPE, ThreadPoolExecutor(1), folder=tmp_path, verify="yes")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_file_in_place_of_the_locks_is_one_sentence(tmp_path):
    location = Path(store_path(RECIPE, tmp_path))
    location.with_name(f"{location.name}.locks").touch()
    with pytest.raises(OSError, match="data set: File exists: .*locks, in the store"):
        build(tmp_path)


def test_a_folder_may_have_two_colons_in_its_name(tmp_path, built):
    ds = build(tmp_path / "run::1")
    assert np.array_equal(ds.phi_e, built[1].phi_e) and store.stored_bytes(RECIPE, tmp_path / "run::1") > 0


SCRIPT = """
import sys
from pathlib import Path
from forwardecg.data import store
from forwardecg.data.recipe import Recipe
store._cores = lambda: 2
recipe = Recipe(n_sim=200, n_cells=400, t_end=900.0, bank=False)
{guard}store.load_or_simulate(recipe, folder=sys.argv[1])
"""


@pytest.mark.slow
def test_a_stop_by_hand_is_quick_and_says_what_is_kept(tmp_path):
    (tmp_path / "a.py").write_text(SCRIPT.format(guard="if __name__ == '__main__': "))
    command = [sys.executable, "-u", str(tmp_path / "a.py"), str(tmp_path / "sets")]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(
            signal.SIGINT, signal.SIG_DFL
        ),  # a job in the background of a shell ignores it
    )
    try:
        assert "simulating 200" in process.stdout.readline()
        time.sleep(5)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does, to the workers too
        _, errors = process.communicate(timeout=60)  # 1 s here
    finally:
        process.kill()
    # Python's resource tracker may add a line after it
    assert re.search(r"^KeyboardInterrupt: data set: stopped. \d+ of 200 tissues are finished and kept", errors, re.M)
    assert errors.count("Traceback") == 1


@pytest.mark.slow
def test_a_script_without_its_guard_and_one_from_stdin_are_told_so_in_one_line(tmp_path):
    (tmp_path / "a.py").write_text(SCRIPT.format(guard=""))
    run = {"capture_output": True, "text": True, "timeout": 1200}
    done = subprocess.run([sys.executable, str(tmp_path / "a.py"), str(tmp_path / "sets")], **run)
    assert 'without if __name__ == "__main__"' in done.stderr.splitlines()[-1] and done.stderr.count("Traceback") == 1
    done = subprocess.run([sys.executable, "-", str(tmp_path / "none")], input=SCRIPT.format(guard=""), **run)
    assert "executor: expected a script in a file" in done.stderr.splitlines()[-1] and not (tmp_path / "none").exists()


# The recipe


def test_numbers_of_numpy_name_the_same_store():
    plain = Recipe(n_sim=300)
    same = Recipe(n_sim=np.int64(300), dx=np.float64(0.5), t_end=np.array(900.0), bank=np.bool_(True), seed=np.uint8(0))
    assert same == plain and store_path(same) == store_path(plain) == store_path(Recipe(n_sim=300, t_end=900))
    assert store_path(plain).name == "tissues-v1-c1035c335842f2f0.zarr", "stores that are there keep their names"


@pytest.mark.parametrize(
    "change",
    [
        {"n_sim": True}, {"n_sim": 10**9}, {"n_sim": 2.0}, {"n_cells": 1, "pool": 1}, {"D0_high": np.inf}, {"D0_low": "a"},
        {"cell": None}, {"conditions": 5}, {"conditions": "healthy"}, {"t_end": 1e300}, {"dt": True}, {"fibrosis": ["usual"]},
    ],
)  # fmt: skip
def test_no_other_thing_is_a_field_of_a_recipe(change):
    with pytest.raises(ValueError, match=f"{[*change][0]}: expected"):
        Recipe(**{"n_sim": 1} | change)


def test_a_recipe_is_read_from_a_path_in_words(tmp_path):
    write_recipe(RECIPE, str(tmp_path / "a.json"))
    assert read_recipe(str(tmp_path / "a.json")) == RECIPE
    for path in (tmp_path, tmp_path / "none.json"):
        with pytest.raises(ValueError, match="path: expected a json file that is there"):
            read_recipe(path)
    (tmp_path / "b.json").write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match="b.json: expected a recipe"):
        read_recipe(tmp_path / "b.json")
    with pytest.raises(ValueError, match="path: expected str, a path, got 5"):
        read_recipe(5)
