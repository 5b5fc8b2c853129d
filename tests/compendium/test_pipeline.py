"""The pipeline: what it publishes, what it refuses, and that what is published is fresh and whole."""

import json
import os
import subprocess
import sys
import uuid

import hooks
import nbformat
import pytest

from compendium import execute as driver
from compendium import headline, record, registry, reproduce
from compendium.normalize import normalize
from compendium.parameters import ParameterError, check, from_text
from compendium.registry import BY_NAME, INPUTS, NOTEBOOKS, ROOT, Notebook
from forwardecg.cache import code_hash

MEBI = 2**20
TOY = """# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A toy

# %%
import uuid

from IPython.display import HTML

from forwardecg.paths import progress
from compendium.record import result_file

# %% tags=["parameters"]
dx = 0.25  # mm, grid spacing
n_x = 4  # cells
times = [10.0, 20.0]  # ms

# %%
progress("half way")
_ = result_file("99_toy.headline.json").write_text("{}")
print(object())
HTML(f"<div id='{uuid.uuid4()}'>{dx}</div>")

# %%
assert n_x > 1, "a sheet has cells"
"""


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """A notebook in a scratch tree that the registry takes for its own."""
    monkeypatch.setattr(registry, "ROOT", tmp_path)
    (tmp_path / "notebooks").mkdir()
    notebook = Notebook("99_toy")
    notebook.source.write_text(TOY, encoding="utf-8")
    return notebook


def test_a_second_execution_publishes_the_same_bytes(toy, tmp_path):
    lines = []
    first = driver.execute(toy, home=tmp_path, say=lines.append).read_bytes()
    assert driver.execute(toy, home=tmp_path).read_bytes() == first
    assert (tmp_path / "data" / toy.headline).read_text() == "{}"
    assert any("half way" in line for line in lines)
    notebook = nbformat.read(toy.published, as_version=4)
    assert normalize(notebook, tmp_path) == nbformat.reads(first.decode(), as_version=4)
    outputs = [output for cell in notebook.cells[1:] for output in cell.outputs]
    assert [output.get("text") for output in outputs] == ["<object object at 0x0>\n", None]


def test_a_failed_notebook_replaces_nothing(toy, tmp_path):
    before = driver.execute(toy, home=tmp_path).read_bytes()
    toy.source.write_text(TOY.replace("n_x = 4", "n_x = 1").replace('"{}"', '"{1}"'), encoding="utf-8")
    with pytest.raises(driver.NotebookError) as raised:
        driver.execute(toy, home=tmp_path)
    for told in ("99_toy", "code cell 4: assert n_x > 1", "a sheet has cells", "_run/99_toy.ipynb", "Mend"):
        assert told in str(raised.value).replace(os.sep, "/")
    assert toy.published.read_bytes() == before
    assert (tmp_path / "data" / toy.headline).read_text() == "{}"


@pytest.mark.parametrize("name", ["stray.csv", "sub/stray.csv"])
def test_an_undeclared_result_is_refused(toy, tmp_path, name):
    text = f"_ = result_file('sub').mkdir()\n_ = result_file({name!r}).write_text('1')\n"
    toy.source.write_text(TOY.replace("# %%\nassert", f"# %%\n{text}assert"), encoding="utf-8")
    with pytest.raises(driver.NotebookError, match=f"results/{name}, which src/compendium/registry.py does not declare"):
        driver.execute(toy, home=tmp_path)
    assert not toy.published.exists() and not (tmp_path / "data").exists()


def test_a_missing_result_is_refused(toy, tmp_path):
    declared = Notebook("99_toy", makes=("results/99_toy.csv",))
    with pytest.raises(driver.NotebookError, match=r"did not write results/99_toy\.csv"):
        driver.execute(declared, home=tmp_path)
    assert not toy.published.exists()


def test_two_runs_in_one_folder_are_refused(tmp_path):
    code = "import sys; from pathlib import Path; from driver import hold_lock; hold_lock(Path(sys.argv[1]))"
    command = [sys.executable, "-c", code, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "tools"), str(ROOT / "src")])}
    driver.hold_lock(tmp_path).release()
    assert subprocess.run(command, env=environment).returncode == 0
    driver.hold_lock(tmp_path).acquire()
    second = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert second.returncode == 1 and "another run is at work" in second.stderr


def test_random_ids_become_numbered_and_stay_distinct():
    one, other = uuid.uuid4(), uuid.uuid4().hex
    output = nbformat.v4.new_output("display_data", {"text/html": f"{one} {other} {one}", "image/png": other})
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(outputs=[output])])
    data = normalize(notebook, ROOT).cells[0].outputs[0].data
    first, second, third = data["text/html"].split()
    assert first == third != second and str(one) not in first
    assert data["image/png"] == other


@pytest.mark.parametrize("text", ["dz=1", "n_x=2.5", "n_x=true", "dx=wide", "times=5", "times=[1,x]", "dx"])
def test_a_parameter_of_the_wrong_name_or_type_is_refused(toy, text):
    with pytest.raises(ParameterError) as raised:
        from_text(toy.source, text)
    assert text == "dx" or "dx = 0.25  mm, grid spacing" in str(raised.value)


def test_parameters_take_the_type_of_their_default(toy):
    assert from_text(toy.source, "dx=1e-1 n_x=3 times=[1,2]") == {"dx": 0.1, "n_x": 3, "times": [1.0, 2.0]}
    assert type(from_text(toy.source, "dx=1")["dx"]) is float
    assert from_text(toy.source, "") == {}


def test_closure_follows_imports_of_imports(tmp_path, monkeypatch):
    monkeypatch.setattr(record, "PACKAGE", tmp_path)
    for name, text in {
        "__init__": "",
        "cell": "",
        "solver": "from forwardecg.cell import currents",
        "ecg": "import numpy",
        "dataset": "def load():\n    from forwardecg import solver",
        "plot": "",
    }.items():
        (tmp_path / f"{name}.py").write_text(text)
    source = tmp_path / "notebook.txt"
    source.write_text(
        "import forwardecg.ecg.leadfield\nfrom forwardecg.dataset import load\n# from forwardecg.plot import x"
    )
    assert [path.stem for path in record.closure(source)] == ["__init__", "cell", "dataset", "ecg", "solver"]


def test_hash_sees_code_and_neither_comments_nor_docstrings(tmp_path):
    source = tmp_path / "losses.py"
    hashes = []
    same = ("delta = 1.0\n", "# why\n\ndelta = 1.0   \n", '"""Words,\n\nmore words."""\n\ndelta = 1.0\n')
    for text in (*same, "delta = 2.0\n", 'delta = """words"""\n'):
        source.write_text(text)
        hashes.append(code_hash([source]))
    assert len({*hashes[:3]}) == 1 and len({*hashes}) == 3


def test_headline_entries_are_checked():
    good = {"value": 1.0, "unit": "ms", "tolerance": None, "scale": "toy"}
    for bad in ({**good, "value": float("nan")}, {"value": 1.0}):
        with pytest.raises(ValueError, match="cv"):
            record.save_headline("99_toy", {"cv": bad})


def test_comparison_judges_by_tolerance():
    def entry(value, tolerance):
        return {"value": value, "unit": "", "tolerance": tolerance, "scale": ""}

    published = {"a": entry(1.0, 0.1), "b": entry(1.0, 0.1), "c": entry(60.0, None), "d": entry(0.0, 0.1)}
    reproduced = {"a": entry(1.05, 0.1), "b": entry(0.8, 0.1), "c": entry(90.0, None), "e": entry(0.0, 0.1)}
    verdicts = {row[0]: row[-1] for row in reproduce.compare(published, reproduced)}
    assert verdicts == {"a": "ok", "b": "OUTSIDE", "c": "not judged", "d": "NOT REPRODUCED", "e": "NOT PUBLISHED"}

    makers, seconds = {key: "01_x" if key in "ab" else "02_y" for key in "abcde"}, {"01_x": 90.0, "02_y": 3.0}
    table = reproduce.by_notebook(reproduce.compare(published, reproduced), makers, seconds).set_index("notebook")
    assert table[["judged", "as_published"]].to_numpy().tolist() == [[2, 1], [2, 0]]
    assert table.minutes.tolist() == ["1.50", "0.05"]


# What is published


def test_registry_and_files_agree():
    assert {path.stem for path in (ROOT / "notebooks").glob("*.py")} == {*BY_NAME}
    declared = {name for notebook in NOTEBOOKS for name in notebook.results} | {
        "results/headline.json",
        "results/reproduction.csv",
        *INPUTS,
    }
    data = ROOT / "data"
    found = {path for folder in ("results", "models") for path in (data / folder).rglob("*") if path.is_file()}
    assert {path.relative_to(data).as_posix() for path in found if path.suffix != ".md"} == declared
    made = {*INPUTS}
    for notebook in NOTEBOOKS:
        assert {*notebook.needs} <= made, f"{notebook.name} needs what no earlier notebook makes"
        made |= {*notebook.results}


def test_published_notebooks_are_fresh():
    """The lock file knows the hashes of every source, module and result; an edited or tampered one shows up here."""
    code = (
        "import sys, pytask; from pathlib import Path;"
        "session = pytask.build(paths=[Path('task_notebooks.py')], config=Path('pyproject.toml'), dry_run=True);"
        "outcome = pytask.TaskOutcome.WOULD_BE_EXECUTED;"
        "reports = [report for report in session.execution_reports if report.task.path.stem == 'task_notebooks'];"
        "stale = [report.task.name for report in reports if report.outcome == outcome];"
        "sys.exit(f'stale: {stale}; make book' if stale or session.exit_code else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda notebook: notebook.name)
def test_published_notebook_is_whole(notebook):
    published = nbformat.read(notebook.published, as_version=4)
    assert not [*hooks.pairs(notebook.source)]
    text = notebook.published.read_text(encoding="utf-8")
    assert normalize(nbformat.reads(text, as_version=4), ROOT) == published
    cells = [cell for cell in published.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == [*range(1, len(cells) + 1)]
    assert not any(output.output_type == "error" for cell in cells for output in cell.outputs)
    assert len(text.encode()) <= MEBI


def test_headline_numbers_are_those_of_the_notebooks():
    merged = headline.merged(ROOT / "data")
    assert json.loads((ROOT / "data" / "results" / "headline.json").read_text(encoding="utf-8")) == merged
    assert headline.readme_table(ROOT / "README.md") == headline.table(merged)


def test_changed_parameters_exist():
    for notebook, values in driver.overrides(ROOT / "notebooks" / "smoke.yaml").items():
        check(BY_NAME[notebook].source, values)


def test_smoke_claims_still_refute_a_constant_prediction():
    """A constant scores R2 <= 0 and a relative error >= 1: no threshold may be lowered to that."""
    for values in driver.overrides(ROOT / "notebooks" / "smoke.yaml").values():
        for name, value in values.items():
            if name.startswith("claim_"):
                # a wave that runs off does not turn at all; a band of no width covers nothing, and is off by 0.9
                least = ("r2_min" in name or "rotations_min" in name) and value > 0
                most = ("rrmse_max" in name and value < 1) or ("coverage_error_max" in name and value < 0.9)
                assert least or most, name


def test_tracked_tree_is_small():
    sizes = {name: (ROOT / name).stat().st_size for name in reproduce.tracked()}
    assert sum(sizes.values()) <= 80 * MEBI
    assert sum(size for name, size in sizes.items() if name.startswith("data/results/")) <= 20 * MEBI
