"""Every notebook at a small scale, through the pipeline's own driver; then a strict replay of what it printed."""

import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from compendium.execute import execute
from compendium.registry import BY_NAME, INPUTS, NOTEBOOKS, ROOT

every_notebook = pytest.mark.parametrize("name", BY_NAME)


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    """Execute a notebook as its header says, after those whose results it needs, each once, below one scratch folder."""
    home = tmp_path_factory.mktemp("smoke")
    (home / "data" / "results").mkdir(parents=True)
    for name in INPUTS:
        (home / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "data" / name, home / "data" / name)

    @functools.cache
    def run(name: str) -> Path:
        needs = {*BY_NAME[name].needs}
        for upstream in NOTEBOOKS:
            if needs & {*upstream.results}:
                run(upstream.name)
        return execute(BY_NAME[name], home=home, parameters=BY_NAME[name].smoke)

    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
    with pytest.MonkeyPatch.context() as patch:
        # one thread and one process each: the order of a sum, and so the last digits, then stays the same; the other
        # stream of tests needs a core, too; and a worker takes longer to start than its tissues to simulate
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("NUMBA_NUM_THREADS", "1")
        if cores:
            os.sched_setaffinity(0, [max(cores)])
        yield run
        if cores:
            os.sched_setaffinity(0, cores)


@pytest.fixture(scope="module")
def second_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("replay")


@every_notebook
def test_notebook_runs_at_a_small_scale(name, smoke):
    executed = smoke(name)
    results = [executed.parents[1] / "data" / result for result in BY_NAME[name].results]
    assert all(path.is_file() for path in results)
    cells = [cell for cell in nbformat.read(executed, as_version=4).cells if cell.cell_type == "code"]
    assert any(cell.outputs for cell in cells)


@every_notebook
def test_replay_prints_the_same(name, smoke, second_folder):
    """In a second folder with an empty cache; a full one would hide what a notebook does not make itself."""
    executed = smoke(name)
    data = second_folder / "data"
    for need in BY_NAME[name].needs:
        (data / need).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(executed.parents[1] / "data" / need, data / need)
    shutil.copy(executed, second_folder)
    options = ["--nbval", "--nbval-current-env", "--nbval-cell-timeout=1800", "-p", "no:cacheprovider", "-q"]
    options.append(f"--nbval-sanitize-with={ROOT / 'tests' / 'nbval_sanitize.cfg'}")
    environment = {
        **os.environ,
        "FORWARDECG_DATA": str(data),
        "FORWARDECG_PROGRESS": str(second_folder / "progress.txt"),  # printed, it would differ by its times
        "PYTHONPATH": str(ROOT / "src"),
    }
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, executed.name],
        cwd=second_folder,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
