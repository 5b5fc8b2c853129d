"""Versions name cached work: what an edit may do to it, and when a VERSION has to be raised.

A stage has a canonical run (`canonical`). Its values stand in ``values.json`` with the version that they belong to.
"""

import json
import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from versions import canonical

from compendium.record import closure
from forwardecg.paths import PACKAGE

ROOT = canonical.ROOT
VALUES = Path(__file__).with_name("values.json")


def ran(stage: str, source: Path = ROOT / "src") -> dict:
    """The canonical run of a stage with the package in ``source``, in a process of its own."""
    environment = os.environ | {"PYTHONPATH": str(source), "FORWARDECG_DATA": str(ROOT / "data")}
    done = subprocess.run(
        [sys.executable, canonical.__file__, stage, str(source)], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def verdict(stage: str, kept: dict, now: dict) -> str:
    """What is to be done about a stage; nothing if its values are those of its version."""
    moved = [
        name for name in kept["values"].keys() | now["values"].keys()
        if not np.allclose(kept["values"].get(name, []), now["values"].get(name, [np.nan]), rtol=1e-4, atol=1e-6)
    ] if kept["values"].keys() == now["values"].keys() else [*kept["values"].keys() ^ now["values"].keys()]  # fmt: skip
    renew = "then `.venv/bin/python -m pytest tests/versions --renew`"
    if moved and kept["version"] == now["version"]:
        return (
            f"{stage}: {len(moved)} results have changed ({sorted(moved)[0]}): raise VERSION in {' or '.join(canonical.STAGES[stage].versions)}, "
            f"say why in CHANGELOG.md, {renew}"
        )
    return f"{stage}: the version is {now['version']}, the values are of {kept['version']}: {renew}" * (
        kept["version"] != now["version"]
    )


@pytest.mark.parametrize("stage", canonical.STAGES)
def test_results_are_those_of_the_version(stage, request):
    now, kept = ran(stage), json.loads(VALUES.read_text(encoding="utf-8")) if VALUES.exists() else {}
    told = verdict(stage, kept[stage], now) if stage in kept else f"{stage}: new"
    if told and request.config.getoption("--renew") and "raise VERSION" not in told:
        kept[stage] = {"version": now["version"], "values": now["values"]}
        VALUES.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8", newline="\n")
    else:
        assert not told, told
    for module, (share, missing) in now["ran"].items():
        assert share >= 0.95, f"{module}: the canonical run of {stage} leaves out lines {missing}"


def test_no_module_that_a_stage_imports_is_forgotten():
    """What is imported is listed, or in the list of the tissues that all else is made from, or changes no result."""
    of_tissues = {*canonical.STAGES["tissues"].modules()}
    reached = dict[str, set[str]]()
    for name, stage in canonical.STAGES.items():
        files = [PACKAGE / f"{module}.py" for module in stage.modules()]
        found = {path.relative_to(PACKAGE) for file in files for path in (file, *closure(file))}
        reached[name] = {path.with_suffix("").as_posix() for path in found if path.stem != "__init__"}
        assert reached[name] - {*stage.modules()} <= of_tissues | {*canonical.NO_RESULT}, (
            f"{name}: list it in {stage.listed}"
        )
        assert {*stage.partly} < {*stage.modules()}, name
    assert {*canonical.NO_RESULT} <= set.union(*reached.values()), "an exemption is out of date"


NAMES = """
from forwardecg.data.maps import load_small
from forwardecg.data.recipe import Recipe
from forwardecg.data.store import store_path
from forwardecg.surrogates import train
from forwardecg.surrogates.paper.data import Sequences
from forwardecg.surrogates.paper.model import Seq2Seq, Seq2SeqConfig
from forwardecg.surrogates.paper.task import Seq2SeqTask

named = [store_path(Recipe(n_sim=4)).name]
train.fit = lambda model, task, config, path, report: named.append(path.name)
some = [Sequences(load_small(), [sim], 10, 25.0) for sim in (0, 1)]
train.load_or_fit(Seq2Seq(Seq2SeqConfig(pixels=10, channels=(4,), width=8, heads=2)), Seq2SeqTask(*some), train.TrainConfig())
print(*named)
"""
SWAPPED = r"\2\n\n\1"  # two neighbors in the other order
HARMLESS = {  # file: a docstring added and one changed, a hint, a private name, something moved: no result changes
    "tissue/cell.py": [
        (r'"""Fenton-Karma cell', '"""The Fenton-Karma cell'),
        (r"def constants\((.*?)\) -> Constants:", r"def constants(\1) -> 'Constants':"),
        (r"(def __post_init__\(self\) -> None:\n)", r'\1        """Refuse what is no set."""\n'),
        (r"\bresting\b", "_at_rest"),
        (r"(@jit\ndef currents.*?)\n\n\n(@jit\ndef gates.*?)\Z", SWAPPED),
    ],
    "surrogates/train.py": [
        (r'"""Training as one', '"""Training, as one'),
        (r"started, total = time.monotonic\(\),", "started: float\n        started, total = time.monotonic(),"),
        (r"(def _copy\(.*?:\n)", r'\1    """Weights by name."""\n'),
        (r"\b_stale\b", "_too_old"),
        (r"(def _copy.*?)\n\n\n(def _too_old.*?\n)\Z", SWAPPED),
    ],
    "surrogates/paper/model.py": [
        (r'\A"""', '"""Here: '),
        (r"(def forward\(self, .*?\)) -> Tensor:", r"\1 -> 'Tensor':"),
        (r"(class TCN\(nn.Module\):\n.*?def __init__\(.*?:\n)", r'\1        """One block."""\n'),
        (r"\A", "# A comment.\n"),
        (r"(class LearnedTime.*?)\n\n\n(class TCN.*?\n)(?=\n\nclass )", SWAPPED),
    ],
}
HARMFUL = {  # stage: a constant of what it rests on
    "tissues": ("solver/kernel.py", r"(?m)^(RECOVERED = )[\d.]+", r"\g<1>0.2"),
    "paper": ("surrogates/paper/losses.py", r"(?m)^(SILENCE = )\S+", r"\g<1>1e-1"),
}


def edited(folder: Path, edits: dict[str, list[tuple[str, str]]]) -> Path:
    """A copy of the sources with these edits, each of which has to find its place."""
    source = folder / "src"
    shutil.copytree(ROOT / "src", source, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "data" / "small", source / "forwardecg" / "small")  # where a wheel has it
    for name, pairs in edits.items():
        path = source / "forwardecg" / name
        for old, new in pairs:
            text, n = re.subn(old, new, path.read_text(encoding="utf-8"), flags=re.DOTALL)
            assert n, f"{name} has no {old}"
            path.write_text(text, encoding="utf-8")
    return source


def names(source: Path, data: Path) -> str:
    environment = os.environ | {"PYTHONPATH": str(source), "FORWARDECG_DATA": str(data)}
    (data / "small").mkdir(parents=True, exist_ok=True)
    for path in (ROOT / "data" / "small").iterdir():
        shutil.copy(path, data / "small")
    done = subprocess.run([sys.executable, "-c", NAMES], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_an_edit_without_a_result_renames_no_cached_work(tmp_path):
    """Neither the data set nor the training has another name."""
    assert names(edited(tmp_path, HARMLESS), tmp_path) == names(ROOT / "src", tmp_path) != ""


@pytest.mark.parametrize("stage", HARMFUL)
def test_a_changed_constant_asks_for_a_version(stage, tmp_path):
    file, old, new = HARMFUL[stage]
    kept, now = (
        json.loads(VALUES.read_text(encoding="utf-8"))[stage],
        ran(stage, edited(tmp_path, {file: [(old, new)]})),
    )
    told = verdict(stage, kept, now)
    assert "results have changed" in told and canonical.STAGES[stage].versions[0] in told, told
    assert "--renew" in verdict(stage, kept, now | {"version": "another"})


def test_a_raised_version_is_another_name(tmp_path):
    raised = edited(
        tmp_path,
        {
            "data/store.py": [(r"(?m)^VERSION = \d+", "VERSION = 99")],
            "surrogates/train.py": [(r"(?m)^VERSION = \d+", "VERSION = 99")],
        },
    )
    before, after = names(ROOT / "src", tmp_path).split(), names(raised, tmp_path).split()
    assert len(before) == len(after) == 2 and not {*before} & {*after} and "v99" in after[0]


KEY = "import runpy, sys; key = runpy.run_path(sys.argv[1])['key']; print(key('s', 1, {'b': [1, 0.1, 1e-7], 'a': None}, 'x', b'y', True))"


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13", "3.14"])
def test_the_key_is_the_same_under_every_python(version):
    cache = ROOT / "src" / "forwardecg" / "cache.py"
    kept = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser() / "versions"  # where pyenv has them
    at_hand = [shutil.which(f"python{version}"), *map(str, kept.glob(f"{version}.*/bin/python"))]
    for python in filter(None, at_hand):
        done = subprocess.run([python, "-I", "-c", KEY, str(cache)], capture_output=True, text=True)
        if done.returncode != 127:  # a shim without its interpreter
            here = runpy.run_path(str(cache))["key"]("s", 1, {"b": [1, 0.1, 1e-7], "a": None}, "x", b"y", True)
            assert done.stdout.strip() == here, done.stderr
            return
    pytest.skip(f"no Python {version} here")
