"""Where things go: what the two environment variables move, what a code hash sees."""

import json
import os
import subprocess
import sys
from inspect import getsource

import pytest

from forwardecg import paths
from forwardecg.cache import code_hash, code_text
from forwardecg.data import draw as sampling
from forwardecg.paths import progress

ASK = """
import json
from forwardecg import paths
names = {name: str(getattr(paths, name)) for name in ("ROOT", "DATA", "RESULTS", "MODELS", "CACHE")}
print(json.dumps(names | {"result": str(paths.result_file("a.csv")), "model": str(paths.model_file("a.json"))}))
"""


def ask(package=None, **environment):
    """The paths as a fresh process with this environment sees them."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FORWARDECG_")}
    kept |= environment | ({"PYTHONPATH": str(package)} if package else {})
    done = subprocess.run([sys.executable, "-c", ASK], env=kept, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_data_variable_moves_everything(tmp_path):
    at = ask(FORWARDECG_DATA=str(tmp_path))
    assert at.pop("ROOT") == str(paths.ROOT)
    assert at.pop("DATA") == str(tmp_path)
    assert at == {
        "RESULTS": str(tmp_path / "results"),
        "MODELS": str(tmp_path / "models"),
        "CACHE": str(tmp_path / "cache"),
        "result": str(tmp_path / "results" / "a.csv"),
        "model": str(tmp_path / "models" / "a.json"),
    }
    assert (tmp_path / "results").is_dir() and (tmp_path / "models").is_dir()


def test_stage_variable_moves_only_what_is_written(tmp_path):
    data, stage = tmp_path / "data", tmp_path / "stage"
    at = ask(FORWARDECG_DATA=str(data), FORWARDECG_STAGE=str(stage))
    assert at["result"] == str(stage / "results" / "a.csv") and at["model"] == str(stage / "models" / "a.json")
    assert (
        at["RESULTS"] == str(data / "results")
        and at["MODELS"] == str(data / "models")
        and at["CACHE"] == str(data / "cache")
    )
    assert not data.exists()


def test_an_installed_wheel_reads_its_own_weights_and_writes_to_the_user_cache(tmp_path):
    package = tmp_path / "site" / "forwardecg"
    package.mkdir(parents=True)
    for name in ("__init__.py", "__init__.pyi", "paths.py"):
        (package / name).write_text((paths.PACKAGE / name).read_text())
    at = ask(package.parent, XDG_CACHE_HOME=str(tmp_path / "user"))
    assert at["ROOT"] == "None"
    assert at["MODELS"] == str(package / "models")
    assert at["CACHE"] == str(tmp_path / "user" / "forwardecg" / "cache")
    assert at["model"] == str(tmp_path / "user" / "forwardecg" / "models" / "a.json"), (
        "never into the installed package"
    )


SOURCE = '''
"""About."""
def f(x):
    """Twice."""
    return 2 * x  # double
'''


@pytest.fixture
def package(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "PACKAGE", tmp_path)
    (tmp_path / "a.py").write_text(SOURCE)
    (tmp_path / "b.py").write_text("y = 1\n")
    return tmp_path


@pytest.mark.parametrize(
    ("old", "new"),
    [("# double", "# the double"), ("Twice", "Double"), ("About", "On"), ("2 * x", "2*x"), ("def f", "\n\ndef f")],
)
def test_code_hash_is_blind_to_comments_docstrings_and_layout(package, old, new):
    before = code_hash("a", "b")
    (package / "a.py").write_text(SOURCE.replace(old, new))
    assert code_hash("a", "b") == before


@pytest.mark.parametrize(
    ("old", "new"), [("2 * x", "3 * x"), ("f(x)", "f(x, y=0)"), ("return 2 * x", "return 'Twice.'")]
)
def test_code_hash_sees_an_edit_of_the_code(package, old, new):
    before = code_hash("a", "b")
    (package / "a.py").write_text(SOURCE.replace(old, new))
    assert code_hash("a", "b") != before


def test_code_hash_is_of_the_named_modules_in_any_order(package):
    assert code_hash("a", "b") == code_hash("b", "a") != code_hash("a")
    before = code_hash("a")
    (package / "b.py").write_text("y = 2\n")
    assert code_hash("a") == before


def test_code_text_takes_an_indented_function():
    assert "simulate(" in code_text(getsource(sampling.simulate_one))
    assert "redrawn" not in code_text(getsource(sampling.simulate_one))


def test_progress_goes_to_the_listener_where_there_is_one(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("FORWARDECG_PROGRESS", str(tmp_path / "lines.txt"))
    progress("one")
    progress("two")
    assert [line.split(maxsplit=1)[1] for line in (tmp_path / "lines.txt").read_text().splitlines()] == ["one", "two"]
    assert capsys.readouterr().out == ""
    monkeypatch.delenv("FORWARDECG_PROGRESS")
    progress("three")
    assert capsys.readouterr().out.endswith("three\n")
