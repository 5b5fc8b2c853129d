"""A data set in parts: the arrays of one process, whoever simulated which part, when, and however often it was killed."""

import csv
import hashlib
import io
import json
import os
import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import chain
from pathlib import Path
from zipfile import ZipFile

import archive
import numpy as np
import pytest
import xarray as xr

from compendium.registry import ROOT
from forwardecg.contract import CONTRACT
from forwardecg.data import layout, parts, store
from forwardecg.data.__main__ import _output_to_stderr, main
from forwardecg.data.draw import simulate_one
from forwardecg.data.parts import simulate_part, tissues_of
from forwardecg.data.recipe import Recipe, read_recipe, write_recipe
from forwardecg.data.store import load_or_simulate, store_path

pytestmark = pytest.mark.slow

RECIPE = Recipe(n_sim=4, n_cells=24, t_end=60.0, min_activated=0.05, z_mm=20.0, bank=False)
PAGE = (ROOT / "book" / "clusters.md").read_text(encoding="utf-8")
KILLED = """
import os, signal, sys
from concurrent.futures import ThreadPoolExecutor
import zarr
from forwardecg.data.parts import simulate_part
from forwardecg.data.recipe import read_recipe

write, left = zarr.Array.__setitem__, int(sys.argv[3])

def write_or_die(array, *at):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    write(array, *at)

zarr.Array.__setitem__ = write_or_die
simulate_part(read_recipe(sys.argv[1]), 1, 2, ThreadPoolExecutor(1), folder=sys.argv[2])
"""


@pytest.fixture
def recipe_file(tmp_path) -> Path:
    write_recipe(RECIPE, tmp_path / "recipe.json")
    return tmp_path / "recipe.json"


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """The folder of a set that one call simulated with one thread, not to be changed."""
    folder = tmp_path_factory.mktemp("whole")
    with ThreadPoolExecutor(1) as executor:
        load_or_simulate(RECIPE, executor, folder=folder)
    return folder


@pytest.fixture
def simulated(monkeypatch) -> list[int]:
    """The numbers of the tissues that were simulated in this process, in order."""
    sims: list[int] = []
    monkeypatch.setattr(store, "simulate_one", lambda recipe, sim: sims.append(sim) or simulate_one(recipe, sim))
    return sims


def files(folder: Path, recipe: Recipe = RECIPE) -> dict[str, bytes]:
    """The content of every file of the store but the two that hold the time it took."""
    location = Path(store_path(recipe, folder))
    found = {file.relative_to(location).as_posix(): file for file in location.rglob("*") if file.is_file()}
    return {name: file.read_bytes() for name, file in found.items() if name not in ("zarr.json", "digest/zarr.json")}


def opened(folder: Path, recipe: Recipe = RECIPE) -> xr.Dataset:
    """The set, without the time it took."""
    ds = layout.open_store(store_path(recipe, folder)).load()
    assert ds.attrs.pop("seconds") > 0 and ds.attrs.pop("workers", 1) >= 1  # a cluster has no fixed number
    return ds


def one_part(part: int, of: int, folder: Path) -> int:
    with ThreadPoolExecutor(1) as executor:
        return simulate_part(RECIPE, part, of, executor, folder=folder)


def start(*arguments: object, folder: Path) -> subprocess.Popen:
    command = [sys.executable, *map(str, arguments)]
    kept = {name: value for name, value in os.environ.items() if name != "FORWARDECG_PROGRESS"}
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=folder, env=kept, stdout=pipe, stderr=pipe, text=True)


# Parts


@pytest.mark.parametrize(("n_sim", "n"), [(4, 1), (4, 2), (4, 3), (4, 4), (300, 7), (300, 16), (10**6, 999)])
def test_each_tissue_is_in_one_part_and_all_parts_are_nearly_equal(n_sim, n):
    found = [tissues_of(n_sim, part, n) for part in range(1, n + 1)]
    assert [*chain(*found)] == [*range(n_sim)]
    assert {len(one) for one in found} <= {n_sim // n, -(-n_sim // n)}
    cycle = len(RECIPE.conditions)
    assert all({sim % cycle for sim in one} == {*range(cycle)} for one in found if len(one) >= cycle)


def test_two_parts_at_a_time_in_two_processes_give_the_arrays_and_attributes_of_one(whole, recipe_file, tmp_path):
    command = ("-m", "forwardecg.data", "--recipe", recipe_file, "--folder", tmp_path / "sets", "--part")
    running = [start(*command, f"{part}/2", folder=tmp_path) for part in (1, 2)]
    ended = [process.communicate(timeout=1200) for process in running]
    assert [process.returncode for process in running] == [0, 0], ended
    assert files(tmp_path / "sets") == files(whole)
    assert opened(tmp_path / "sets").identical(opened(whole))
    for (_, err), tissues in zip(ended, ("0 to 1", "2 to 3"), strict=True):
        assert f"tissues {tissues} of 4" in err and "0 of 2 tissues are there" in err
    complete = [(out, err) for out, err in ended if out]
    assert complete, "the last one reads the whole set"
    for out, err in complete:
        assert out == f"{store_path(RECIPE, tmp_path / 'sets')}\n" and "4 tissues were read" in err


def test_parts_in_any_order_and_with_other_numbers_of_parts(whole, simulated, tmp_path):
    assert one_part(2, 2, tmp_path) == 2 and simulated == [2, 3]
    assert one_part(1, 4, tmp_path) == 1 and simulated == [2, 3, 0]
    assert one_part(1, 2, tmp_path) == 0 and simulated == [2, 3, 0, 1], "what another part has finished is kept"
    assert one_part(2, 3, tmp_path) == 0 and len(simulated) == 4
    assert files(tmp_path) == files(whole) and opened(tmp_path).identical(opened(whole))


def test_a_call_for_the_whole_set_completes_what_parts_have_begun(whole, simulated, tmp_path):
    assert one_part(2, 4, tmp_path) == 3
    with ThreadPoolExecutor(1) as executor:
        load_or_simulate(RECIPE, executor, folder=tmp_path)
    assert simulated == [1, 0, 2, 3] and files(tmp_path) == files(whole)


def test_a_part_killed_in_the_middle_of_a_tissue_goes_on(whole, recipe_file, simulated, tmp_path):
    script, folder = tmp_path / "killed.py", tmp_path / "sets"
    script.write_text(KILLED)
    process = start(script, recipe_file, folder, len(layout.chunk_names(0)) + 3, folder=tmp_path)
    _, err = process.communicate(timeout=1200)
    assert process.returncode == -signal.SIGKILL, err
    begun = {name for name in layout.chunk_names(1) if (Path(store_path(RECIPE, folder)) / name).exists()}
    assert len(begun) == 3, "its second tissue was begun and not finished"
    assert one_part(1, 2, folder) == 2 and simulated == [1]
    assert one_part(2, 2, folder) == 0 and simulated == [1, 2, 3]
    assert files(folder) == files(whole)


def test_damage_is_mended_in_ones_own_part_and_by_the_last_one_in_all(whole, simulated, tmp_path):
    one_part(1, 2, tmp_path)
    for sim in (0, 1):
        chunk = Path(store_path(RECIPE, tmp_path)) / layout.chunk_names(sim)[0]
        chunk.write_bytes(bytes([chunk.read_bytes()[0] ^ 1]) + chunk.read_bytes()[1:])
    simulated.clear()
    assert one_part(2, 4, tmp_path) == 2 and simulated == [1], "of part 1 of 2, and of part 2 of 4"
    assert one_part(2, 2, tmp_path) == 0 and simulated == [1, 2, 3, 0]
    assert files(tmp_path) == files(whole)


# The command


@pytest.mark.parametrize(
    ("part", "says"),
    [
        ("0/3", "part: expected a whole number in 1 .. 3, got 0"),
        ("4/3", "part: expected a whole number in 1 .. 3, got 4"),
        ("1/5", "parts: expected a whole number in 1 .. 4, got 5"),
        ("1/0", "parts: expected a whole number in 1 .. 4, got 0"),
        *((word, f"part: expected I/N, such as 3/16, got '{word}'") for word in ("a/b", "3", "", "1/2/3", "-1/3", "1.0/2")),
    ],
)  # fmt: skip
def test_a_wrong_part_is_one_line(part, says, recipe_file, tmp_path, capsys):
    code = main(["--recipe", str(recipe_file), f"--part={part}", "--folder", str(tmp_path / "sets")])
    out, err = capsys.readouterr()
    assert code == 2 and out == "" and err == f"python -m forwardecg.data: {says}\n"
    assert not (tmp_path / "sets").exists()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "path: expected a json file that is there, got .*recipe.json"),
        ("{", "recipe.json: expected a recipe with the fields of Recipe: .*"),
        ("[]", "recipe.json: expected a recipe with the fields of Recipe: .*"),
        ('{"n_sim": 4}', "recipe.json: expected a recipe with the fields of Recipe: 'cell'"),
        ("pool", "pool: expected a divisor of n_cells = 24, got 5"),
        ("n_tissues", "recipe.json: expected a recipe with the fields of Recipe: .*n_tissues.*"),
        ("t_end", "t_end: .*"),
    ],
)
@pytest.mark.parametrize("part", [[], ["--part", "1/2"]])
def test_a_wrong_recipe_is_one_line(text, says, part, recipe_file, tmp_path, capsys):
    right = json.loads(recipe_file.read_text())
    changed = {"pool": {"pool": 5}, "n_tissues": {"n_tissues": 4}, "t_end": {"t_end": 62.5}}
    if text is None:
        recipe_file.unlink()
    else:
        recipe_file.write_text(json.dumps(right | changed[text]) if text in changed else text)
    code = main(["--recipe", str(recipe_file), "--folder", str(tmp_path / "sets"), *part])
    out, err = capsys.readouterr()
    assert code == 2 and out == "" and re.fullmatch(f"python -m forwardecg.data: {says}\n", err), err
    assert not (tmp_path / "sets").exists()


def test_a_folder_that_is_none_is_one_line(recipe_file, tmp_path, capsys):
    for folder, says in (
        (str(recipe_file), "which is none"),
        ("memory://sets", "that all nodes share, got memory://sets/"),
    ):
        assert main(["--recipe", str(recipe_file), "--part", "1/2", "--folder", folder]) == 2
        assert re.fullmatch(
            f"python -m forwardecg.data: folder: expected a folder.*{says}.*\n", capsys.readouterr().err
        )


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (
            RuntimeError("tissue 0: none of 20 draws was kept"),
            1,
            "tissue 0: none of 20 draws was kept. What is finished",
        ),
        (OSError(28, "No space left on device"), 1, r"\[Errno 28\] No space left on device. What is finished"),
        (KeyboardInterrupt(), 130, "stopped. What is finished"),
    ],
)
def test_what_stops_it_on_the_way_is_one_line(error, code, says, recipe_file, tmp_path, monkeypatch, capsys):
    def build(*_):
        raise error

    monkeypatch.setattr(parts, "fill_store", build)
    assert main(["--recipe", str(recipe_file), "--part", "1/2", "--folder", str(tmp_path)]) == code
    lines = capsys.readouterr().err.splitlines()
    assert re.match(f"python -m forwardecg.data: {says} is kept; the same command goes on", lines[-1]), lines


def test_progress_with_rate_and_time_left_goes_to_stderr(recipe_file, tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("FORWARDECG_PROGRESS", raising=False)
    monkeypatch.setattr(store, "PROGRESS_S", 0.0)
    monkeypatch.setattr(store, "_cores", lambda: 1)
    assert main(["--recipe", str(recipe_file), "--part", "1/1", "--folder", str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    assert out == f"{store_path(RECIPE, tmp_path)}\n"
    assert len(re.findall(r"data set: \d of 4 tissues, \d+ per minute, about \d+ s left", err)) == 4
    assert main(["--recipe", str(recipe_file), "--folder", str(tmp_path)]) == 0
    assert capsys.readouterr().out == out, "and a call for the whole set says where it is"


def test_what_a_worker_process_prints_is_no_output(capfd):
    """Long simulations say how far they are, in the process that runs them."""
    with _output_to_stderr():
        subprocess.run([sys.executable, "-c", "print('of a worker')"], check=True)
    print("the folder")
    assert capfd.readouterr() == ("the folder\n", "of a worker\n")


def test_help_says_what_a_part_is_and_what_the_exit_codes_are(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    text = capsys.readouterr().out
    assert ended.value.code == 0
    assert all(words in text for words in ("--recipe FILE", "--part I/N", "--folder DIR", "exit code: 0", "stderr"))
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 2 and "--recipe" in capsys.readouterr().err


# The page on clusters


def block(name: str) -> str:
    (text,) = re.findall(rf"```\{{code-block\}} \w+\n:name: {name}\n\n(.*?)```", PAGE, re.DOTALL)
    return text


def test_the_job_script_of_the_page_builds_the_set_task_by_task(whole, recipe_file, tmp_path):
    """As SLURM runs it: the script once for each number of the array, with fewer parts; then the last job."""
    script = block("clusters-job")
    first, last = map(int, re.search(r"--array=(\d+)-(\d+)", script).groups())
    assert first == 1 and script.count(f"/{last}") == 1, "the parts are as many as the tasks"
    (tmp_path / "job.sh").write_text(script.replace(f"/{last}", "/2"))
    (tmp_path / "last.sh").write_text(block("clusters-last"))
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    out: list[str] = []
    for task, name in (("1", "job.sh"), ("2", "job.sh"), ("", "last.sh")):
        given = os.environ | {"SCRATCH": str(tmp_path), "SLURM_ARRAY_TASK_ID": task, "PATH": path}
        done = subprocess.run(
            ["bash", "-eu", name], cwd=tmp_path, env=given, capture_output=True, text=True, timeout=1200
        )
        assert done.returncode == 0, done.stderr
        out.append(done.stdout)
    assert out == ["", *2 * [f"{store_path(RECIPE, tmp_path / 'sets')}\n"]]
    assert opened(tmp_path / "sets").identical(opened(whole))


def test_the_dask_script_of_the_page_builds_the_set(whole, recipe_file, tmp_path):
    pytest.importorskip("distributed", reason="the extra distributed is not installed")
    (tmp_path / "script.py").write_text(block("clusters-with-dask"))
    process = start("script.py", folder=tmp_path)
    out, err = process.communicate(timeout=1200)
    assert process.returncode == 0 and out.endswith("4 tissues\n"), err
    assert opened(tmp_path / "sets").identical(opened(whole))


def test_the_recipe_of_the_page_is_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (text,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict = {}
    exec(compile(text, "clusters.md", "exec"), names)
    assert read_recipe("recipe.json") == names["recipe"] and names["recipe"].n_sim > 1000


# The archive


def unzip(path: Path, folder: Path) -> dict[str, bytes]:
    with ZipFile(path) as file:
        file.extractall(folder)
        return {name: file.read(name) for name in file.namelist()}


DOCUMENTS = {"README.md", "recipe.json", "tissues.csv", "croissant.json", "LICENSE", "CITATION.cff", "SHA256SUMS"}


def test_the_archive_is_the_set_with_all_that_is_said_of_it(whole, simulated, tmp_path):
    archive.write_archive(RECIPE, tmp_path / "set.zip", whole)
    found = unzip(tmp_path / "set.zip", tmp_path / "unpacked")
    location = Path(store_path(RECIPE, whole))
    held = {f"{location.name}/{name}" for name in layout.list_files(location)}
    assert {*found} == DOCUMENTS | held and [*tmp_path.glob("*.part")] == []
    sums = dict(line.split("  ")[::-1] for line in found["SHA256SUMS"].decode().splitlines())
    assert sums == {name: hashlib.sha256(found[name]).hexdigest() for name in {*found} - {"SHA256SUMS"}}
    recipe = read_recipe(tmp_path / "unpacked" / "recipe.json")
    with ThreadPoolExecutor(1) as executor:
        ds = load_or_simulate(recipe, executor, folder=tmp_path / "unpacked")
    assert simulated == [] and ds.load().drop_attrs(deep=False).identical(opened(whole).drop_attrs(deep=False))
    archive.write_archive(RECIPE, tmp_path / "again.zip", whole)
    assert (tmp_path / "again.zip").read_bytes() == (tmp_path / "set.zip").read_bytes()


def test_what_the_archive_says_is_what_the_set_holds(whole, tmp_path):
    archive.write_archive(RECIPE, tmp_path / "set.zip", whole)
    found, ds = unzip(tmp_path / "set.zip", tmp_path), opened(whole)
    rows = [*csv.DictReader(io.StringIO(found["tissues.csv"].decode()))]
    assert [int(row["sim"]) for row in rows] == [0, 1, 2, 3]
    for name in ("condition", "texture", "stimulus"):
        assert [row[name] for row in rows] == ds[name].values.tolist()
    np.testing.assert_allclose([float(row["D0"]) for row in rows], ds.D0, rtol=1e-15)
    digests = layout.open_arrays(store_path(RECIPE, whole))[layout.DIGEST][:]
    assert [int(row["digest"]) for row in rows] == digests.tolist() and len({*digests.tolist()}) == 4
    card = found["README.md"].decode()
    assert f"| V_m | sim, time, y_map, x_map | 4 x 13 x 6 x 6 | mV | float16 | {CONTRACT['V_m'][2]} |" in card
    assert f"code {ds.code}" in card and ds.store in card and "| fibrotic |" in card
    assert all(f"`{name}`" in card for name in rows[0]) and "{" not in card


def test_the_croissant_description_is_that_of_the_contract(whole, tmp_path):
    archive.write_archive(RECIPE, tmp_path / "set.zip", whole)
    found, ds = unzip(tmp_path / "set.zip", tmp_path), opened(whole)
    said = json.loads(found["croissant.json"])
    assert said["conformsTo"] == "http://mlcommons.org/croissant/1.0" and said["version"] == ds.forwardecg
    variables, tissues = said["recordSet"]
    came = {one["variables/name"]: one for one in variables["data"]}
    assert {*came} == {*CONTRACT} & {*ds.variables} and {*layout.KINDS, "electrodes", "time", "time_ecg"} == {*came}
    for name, one in came.items():
        dims, unit, words = CONTRACT[name]
        assert one["variables/dims"] == ", ".join(ds[name].dims) and ds[name].dims[-len(dims) :] == dims
        assert (one["variables/unit"], one["variables/meaning"]) == (unit, words)
        assert one["variables/size"] == " x ".join(map(str, ds[name].shape))
    header = found["tissues.csv"].decode().partition("\n")[0].split(",")
    assert [field["name"] for field in tissues["field"]] == header == [*archive.COLUMNS]
    assert {*header} == {"sim", *layout.TISSUE_COLUMNS, layout.DIGEST}
    kinds = {field["name"]: field["dataType"] for field in tissues["field"]}
    assert [kinds[name] for name in ("sim", "condition", "mild", "D0")] == [
        "sc:Integer",
        "sc:Text",
        "sc:Boolean",
        "sc:Float",
    ]
    for one in said["distribution"][:2]:
        assert one["sha256"] == hashlib.sha256(found[one["contentUrl"]]).hexdigest()
    assert said["distribution"][2]["includes"] == f"{ds.store}/**"


def test_an_archive_without_data_has_the_recipe_and_the_digests(whole, tmp_path):
    archive.write_archive(RECIPE, tmp_path / "set.zip", whole, data=False)
    found = unzip(tmp_path / "set.zip", tmp_path)
    assert {*found} == DOCUMENTS and read_recipe(tmp_path / "recipe.json") == RECIPE
    assert len(json.loads(found["croissant.json"])["distribution"]) == 2
    assert b"python -m forwardecg.data --recipe recipe.json" in found["README.md"] and b"digest" in found["README.md"]


@pytest.mark.parametrize("data", [True, False])
def test_a_set_that_is_not_complete_is_refused(data, tmp_path):
    (tmp_path / "set.zip").write_text("an older one")

    def refused(n: int, first: int) -> None:
        with pytest.raises(ValueError, match=f"but {n} of 4 tissues are missing or damaged, the first is {first}:"):
            archive.write_archive(RECIPE, tmp_path / "set.zip", tmp_path, data)
        assert (tmp_path / "set.zip").read_text() == "an older one" and [*tmp_path.glob("*.part")] == []

    refused(4, 0)
    one_part(1, 2, tmp_path)
    refused(2, 2)
    one_part(2, 2, tmp_path)
    chunk = Path(store_path(RECIPE, tmp_path)) / layout.chunk_names(3)[0]
    chunk.write_bytes(chunk.read_bytes()[:-1])
    refused(1, 3)


def test_an_archive_that_cannot_be_finished_leaves_the_old_one(whole, tmp_path, monkeypatch):
    (tmp_path / "set.zip").write_text("an older one")
    add, calls = archive._add, []

    def fail(*given):
        calls.append(given)
        if len(calls) > 9:
            raise OSError(28, "No space left on device")
        add(*given)

    monkeypatch.setattr(archive, "_add", fail)
    with pytest.raises(OSError, match="No space left"):
        archive.write_archive(RECIPE, tmp_path / "set.zip", whole)
    assert (tmp_path / "set.zip").read_text() == "an older one" and [*tmp_path.glob("*.part")] == []


def test_make_archive_runs_the_tool(whole, recipe_file, tmp_path, monkeypatch, capsys):
    """What make would run, run here."""
    given = [f"RECIPE={recipe_file}", f"FOLDER={whole}", "DATA=0", f"OUT={tmp_path / 'set.zip'}"]
    told = subprocess.run(
        ["make", "-n", "archive", *given], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    (words,) = re.findall(r"tools/archive\.py (.+)$", told, re.MULTILINE)
    monkeypatch.setattr(sys, "argv", ["archive.py", *words.replace('"', "").split()])
    archive.main()
    with ZipFile(tmp_path / "set.zip") as file:
        assert {*file.namelist()} == DOCUMENTS
    write_recipe(replace(RECIPE, seed=1), recipe_file)
    with pytest.raises(SystemExit, match="make archive: expected a complete data set in .*, but 4 of 4 tissues"):
        archive.main()
