"""Where things go: what the two environment variables move, what an installed package uses, and who has no home."""

import json
import os
import subprocess
import sys
from tempfile import gettempdir

import pytest

from forwardecg import paths
from forwardecg.paths import progress

NAMES = ("ROOT", "DATA", "RESULTS", "MODELS", "SMALL", "CACHE")
ASK = """
import json
from forwardecg import paths
print(json.dumps({name: str(getattr(paths, name)) for name in %s}))
"""
WRITES = """
from compendium.record import model_file, result_file
print(json.dumps([str(result_file("a.csv")), str(model_file("a.json"))]))
"""
NO_CACHE = "import platformdirs; platformdirs.user_cache_path = None\n"  # fails where it is asked for
HOMELESS = """
import os, pwd
def getpwuid(uid):
    raise KeyError(uid)
pwd.getpwuid = getpwuid
"""


def ask(package=None, before="", after="", **environment):
    """The paths as a fresh process with this environment sees them; with ``after``, what that prints."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FORWARDECG_", "XDG_"))}
    kept |= environment | ({"PYTHONPATH": str(package)} if package else {})
    kept = {name: value for name, value in kept.items() if value}
    code = before + ASK % (NAMES,) + after
    done = subprocess.run([sys.executable, "-c", code], env=kept, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def installed(tmp_path):
    """The folder of an installed package, as far as the paths see it."""
    package = tmp_path / "site" / "forwardecg"
    package.mkdir(parents=True)
    for name in ("__init__.py", "__init__.pyi", "paths.py"):
        (package / name).write_text((paths.PACKAGE / name).read_text())
    return package


def test_data_variable_moves_everything_but_what_ships_with_the_code(tmp_path):
    at = ask(FORWARDECG_DATA=str(tmp_path), before=NO_CACHE)
    assert at.pop("ROOT") == str(paths.ROOT) and at.pop("SMALL") == str(paths.ROOT / "data" / "small")
    assert at.pop("DATA") == str(tmp_path) and at.pop("MODELS") == str(paths.ROOT / "data" / "models")
    assert at == {name.upper(): str(tmp_path / name) for name in ("results", "cache")}
    writes = ask(FORWARDECG_DATA=str(tmp_path), after=WRITES)
    assert writes == [str(tmp_path / "results" / "a.csv"), str(tmp_path / "models" / "a.json")]
    assert (tmp_path / "results").is_dir() and (tmp_path / "models").is_dir()


def test_stage_variable_moves_only_what_is_written(tmp_path):
    moved = {"FORWARDECG_DATA": str(tmp_path / "data"), "FORWARDECG_STAGE": str(tmp_path / "stage")}
    writes, at = ask(**moved, after=WRITES), ask(**moved)
    assert writes == [str(tmp_path / "stage" / "results" / "a.csv"), str(tmp_path / "stage" / "models" / "a.json")]
    for name in ("RESULTS", "CACHE"):
        assert at[name] == str(tmp_path / "data" / name.lower())
    assert not (tmp_path / "data").exists()


def test_weights_are_those_that_ship_unless_the_data_folder_has_its_own(installed, tmp_path):
    """Of a reproduction, that is; an empty variable names no folder, and "~" is the home."""
    (tmp_path / "models").mkdir()
    shipped = str(paths.ROOT / "data" / "models")
    assert ask(FORWARDECG_DATA=str(tmp_path))["MODELS"] == shipped
    assert ask(installed.parent, FORWARDECG_DATA=str(tmp_path))["MODELS"] == str(installed / "models")
    (tmp_path / "models" / "paper.safetensors").touch()
    assert ask(FORWARDECG_DATA=str(tmp_path))["MODELS"] == str(tmp_path / "models")
    assert ask(before="import os; os.environ['FORWARDECG_DATA'] = ' '\n")["MODELS"] == shipped
    assert ask(FORWARDECG_DATA="~/sets", HOME=str(tmp_path))["CACHE"] == str(tmp_path / "sets" / "cache")


NOWHERE = """
import numba.core.caching as caching
def refuse(self):
    raise PermissionError("read-only")
for cls in [*vars(caching).values()]:
    if isinstance(cls, type) and hasattr(cls, "ensure_cache_path"):
        cls.ensure_cache_path = refuse
"""
COMPILES = """
import numba
from forwardecg.tissue.cell import FK_CAF, constants, slow_inward_rate
rate = slow_inward_rate(0.5, constants(FK_CAF, 0.1, float))
print(json.dumps([rate > 0, numba.config.CACHE_DIR]))
"""


def test_the_solver_runs_where_no_folder_can_be_written_to_and_keeps_its_code_where_numba_is_told_to(tmp_path):
    assert ask(before=NOWHERE, after=COMPILES, NUMBA_CACHE_DIR="")[0]
    assert ask(after=COMPILES, NUMBA_CACHE_DIR=str(tmp_path)) == [True, str(tmp_path)]
    assert [*tmp_path.rglob("*.nbi")]


def test_an_installed_wheel_reads_its_own_weights_and_tissues_and_writes_to_the_user_cache(installed, tmp_path):
    at = ask(installed.parent, XDG_CACHE_HOME=str(tmp_path / "user"))
    assert at["ROOT"] == "None"
    assert at["MODELS"] == str(installed / "models") and at["SMALL"] == str(installed / "small")
    assert at["DATA"] == str(tmp_path / "user" / "forwardecg"), "never into the installed package"
    assert at["CACHE"] == str(tmp_path / "user" / "forwardecg" / "cache")


def test_the_user_cache_is_asked_for_only_where_it_is_needed(installed, tmp_path):
    assert ask(before=NO_CACHE)["DATA"] == str(paths.ROOT / "data")
    assert ask(installed.parent, before=NO_CACHE, FORWARDECG_DATA=str(tmp_path))["DATA"] == str(tmp_path)
    with pytest.raises(subprocess.CalledProcessError):
        ask(installed.parent, before=NO_CACHE)


def test_a_user_without_a_home_has_a_temporary_cache(installed, tmp_path):
    at = ask(installed.parent, before=HOMELESS, HOME="")
    assert at["DATA"] == os.path.join(gettempdir(), "forwardecg")
    assert ask(before=HOMELESS, HOME="")["DATA"] == str(paths.ROOT / "data")


def test_progress_goes_to_the_listener_where_there_is_one(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("FORWARDECG_PROGRESS", str(tmp_path / "lines.txt"))
    progress("one")
    progress("two")
    assert [line.split(maxsplit=1)[1] for line in (tmp_path / "lines.txt").read_text().splitlines()] == ["one", "two"]
    assert capsys.readouterr().out == ""
    monkeypatch.delenv("FORWARDECG_PROGRESS")
    progress("three")
    assert capsys.readouterr().out.endswith("three\n")
