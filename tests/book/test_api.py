"""The API reference says what the code does: every example runs, every argument is named, every page holds what it shows.

Public is what is defined in a module of the package under a name without a leading underscore.
"""

import ast
import doctest
import functools
import importlib
import inspect
import os
import re
import sys
import textwrap

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
import yaml
from numpydoc.docscrape import NumpyDocString

from compendium.registry import ROOT
from forwardecg.data.maps import load_small
from forwardecg.paths import PACKAGE

MODULES = sorted(path.stem for path in PACKAGE.glob("*.py") if path.stem != "__init__")
PAGES = sorted((ROOT / "book" / "api").glob("*.md"))
sys.path.insert(0, os.fspath(ROOT / "book" / "_ext"))
docstrings = importlib.import_module("docstrings")
GIVEN = {"np": np, "pd": pd, "torch": torch, "xr": xr}  # what `book/api.md` says that examples take as imported

RECORD = "a record of named fields; the example of the function that makes it shows it"
PROTOCOL = "part of the task protocol, which the module `train` and the text of the class say; the example of the class calls it"
FORWARD = "called through the network, as the example of the class does; the text of the class says what it takes"
# A docstring on the methods marked FORWARD and PROTOCOL would rename the cached trainings of hours: `paths.code_text`.
NO_EXAMPLE = {
    "cell.Constants": RECORD,
    "diffusion.Couplings": RECORD,
    "fronts.Fronts": RECORD,
    "kernel.advance": "the compiled loop itself, with thirteen flat arrays: `march.march` calls it, and has an example",
    "mapset.View": RECORD,
    "march.Pulse": RECORD,
    "march.State": RECORD,
    "plot.show": "it needs a notebook to show the figure in",
    "sampling.Draw": RECORD,
    "structured.Conductivity": RECORD,
    "structured.Inputs": RECORD,
    "surrogate.Seen": RECORD,
    "train.load_or_fit": "`fit` has the example; this one writes to the cache of the machine",
}
NO_DOCSTRING = {
    "model.LearnedTime.forward": FORWARD,
    "model.TCN.forward": FORWARD,
    "model.TimeEmbedding.forward": FORWARD,
    "sequence_task.SequenceTask.draw": PROTOCOL,
    "sequence_task.SequenceTask.fingerprint": PROTOCOL,
    "sequence_task.SequenceTask.loss": PROTOCOL,
    "sequence_task.SequenceTask.score": PROTOCOL,
    "structured_task.StructuredTask.draw": PROTOCOL,
    "structured_task.StructuredTask.fingerprint": PROTOCOL,
    "structured_task.StructuredTask.loss": PROTOCOL,
    "symmetric.GroupConv.forward": FORWARD,
    "symmetric.Lifting.forward": FORWARD,
    "symmetric.Pooling.forward": FORWARD,
}
DEFINITIONS = (ast.FunctionDef, ast.ClassDef)


def public(module: str) -> dict[str, ast.FunctionDef | ast.ClassDef]:
    """Functions, classes and methods of a module by their names."""
    found = {}
    for node in ast.parse((PACKAGE / f"{module}.py").read_text(encoding="utf-8")).body:
        if isinstance(node, DEFINITIONS) and not node.name.startswith("_"):
            found[node.name] = node
            inner = [one for one in getattr(node, "body", []) if isinstance(node, ast.ClassDef)]
            found |= {
                f"{node.name}.{one.name}": one
                for one in inner
                if isinstance(one, DEFINITIONS) and not one.name.startswith("_")
            }
    return found


NAMES = [(module, name) for module in MODULES for name in public(module)]


def member(module: str, name: str):
    found = importlib.import_module(f"forwardecg.{module}")
    for part in name.split("."):
        found = inspect.getattr_static(found, part) if part.islower() and "." in name else getattr(found, part)
    return found


def arguments(node: ast.FunctionDef | ast.ClassDef) -> set[str]:
    """Names of the signature: of a class those of its fields or of its __init__."""
    if isinstance(node, ast.ClassDef):
        init = [one for one in node.body if isinstance(one, ast.FunctionDef) and one.name == "__init__"]
        if not init:
            return {one.target.id for one in node.body if isinstance(one, ast.AnnAssign)}
        node = init[0]
    names = [one.arg for one in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
    names += [f"*{node.args.vararg.arg}"] if node.args.vararg else []
    names += [f"**{node.args.kwarg.arg}"] if node.args.kwarg else []
    return {*names} - {"self", "cls"}


def raised(node: ast.FunctionDef | ast.ClassDef) -> bool:
    """Whether its own code raises a ValueError: of a class, when one is made."""
    if isinstance(node, ast.ClassDef):
        makes = ("__init__", "__post_init__")
        return any(raised(one) for one in node.body if isinstance(one, ast.FunctionDef) and one.name in makes)
    calls = (one.exc for one in ast.walk(node) if isinstance(one, ast.Raise))
    return any(isinstance(one, ast.Call) and getattr(one.func, "id", "") == "ValueError" for one in calls)


def documented(section: list) -> set[str]:
    """Names of a section, those of `a, b : text` one by one."""
    return {name.strip() for entry in section for name in entry.name.split(",")}


@functools.cache
def small() -> xr.Dataset:
    return load_small()


@pytest.mark.parametrize("module", ["__init__", *MODULES])
def test_examples_run(module, tmp_path, monkeypatch, capsys, one_thread):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "forwardecg.data.maps.load_small", lambda: small().copy()
    )  # read once, two dozen examples take it
    monkeypatch.setattr("forwardecg.paths._STAGE", tmp_path)
    monkeypatch.setenv("FORWARDECG_PROGRESS", os.fspath(tmp_path / "progress"))
    mpl.use("agg")
    loaded = importlib.import_module("forwardecg" if module == "__init__" else f"forwardecg.{module}")
    finder, runner = doctest.DocTestFinder(recurse=False), doctest.DocTestRunner(verbose=False)
    with mpl.rc_context():
        for name in ("", *public(module)):
            found = member(module, name) if name else loaded
            shown = f"forwardecg.{module}.{name}"
            for test in finder.find(
                inspect.unwrap(found) if callable(found) else found, shown, loaded, {**vars(loaded), **GIVEN}
            ):
                runner.run(test)
        plt.close("all")
    assert runner.failures == 0, capsys.readouterr().out


@pytest.mark.parametrize("module", MODULES)
def test_every_public_name_has_a_docstring_that_fits_it(module):
    problems = []
    for name, node in public(module).items():
        full, words = f"{module}.{name}", ast.get_docstring(node)
        if words is None:
            problems += [] if full in NO_DOCSTRING else [f"{full}: no docstring"]
            continue
        doc = NumpyDocString(words)
        is_property = any(getattr(one, "id", "") == "property" for one in node.decorator_list)
        if (said := documented(doc["Parameters"])) != (taken := arguments(node)) and not is_property:
            problems.append(
                f"{full}: documents {sorted(said - taken)} that it does not take, lacks {sorted(taken - said)}"
            )
        if bool(re.search(r"^>>> ", words, re.M)) == (full in NO_EXAMPLE):
            problems.append(f"{full}: an example is missing, or its exemption is out of date")
        if doc["Examples"] == [] and full not in NO_EXAMPLE:
            problems.append(f"{full}: no section Examples")
        if raised(node) and "ValueError" not in {one.type for one in doc["Raises"]}:
            problems.append(f"{full}: raises ValueError, and does not say when")
        if not words.partition("\n\n")[0].rstrip().endswith((".", "::")):
            problems.append(f"{full}: does not begin with a sentence")
    assert not problems, "\n".join(problems)


def test_signatures_are_those_of_the_source():
    """What is read off the source above is what Python sees, through the decorators of numba and of caches."""
    for module, name in NAMES:
        node = public(module)[name]
        if isinstance(node, ast.FunctionDef) and "." not in name:
            seen = {*inspect.signature(member(module, name)).parameters}
            assert {one.lstrip("*") for one in arguments(node)} == seen, f"{module}.{name}"


def test_exemptions_are_of_names_that_are_there():
    names = {f"{module}.{name}" for module, name in NAMES}
    assert {*NO_EXAMPLE, *NO_DOCSTRING} <= names
    for full in NO_DOCSTRING:
        module, _, name = full.partition(".")
        assert ast.get_docstring(public(module)[name]) is None, full


def test_every_module_is_on_one_page_and_every_page_in_the_book():
    shown = [
        name
        for page in PAGES
        for name in re.findall(r"automodule:: forwardecg\.(\w+)", page.read_text(encoding="utf-8"))
    ]
    assert sorted(shown) == MODULES
    overview = (ROOT / "book" / "api.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^   forwardecg\.(\w+)$", overview, re.M)) == MODULES
    assert sorted(re.findall(r"\]\(api/(\w+)\)", overview)) == [page.stem for page in PAGES]
    stub = (PACKAGE / "__init__.pyi").read_text(encoding="utf-8")
    top = re.findall(r"`~forwardecg\.(\w+)\.(\w+)`", overview)
    assert [name for _, name in top] == re.findall(r"^from \.\w+ import (\w+)", stub, re.M)
    assert all(name in public(module) for module, name in top)
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    chapters = [one for part in toc["parts"] for one in part["chapters"] if one["file"] == "book/api"]
    assert sorted(one["file"] for one in chapters[0]["sections"]) == [f"book/api/{page.stem}" for page in PAGES]


def test_overview_groups_as_the_pages_do():
    overview = (ROOT / "book" / "api.md").read_text(encoding="utf-8")
    groups = re.findall(r"\]\(api/(\w+)\)(.*?)(?=\n## |\Z)", overview, re.S)
    for page, words in groups:
        of_page = re.findall(r"automodule:: (\S+)", (ROOT / "book" / "api" / f"{page}.md").read_text(encoding="utf-8"))
        assert re.findall(r"^   (forwardecg\S+)$", words, re.M) == of_page, page


def test_names_in_backticks_are_links_or_names_of_the_code():
    """`name` in a docstring is something that is there: a documented name, a constant, an argument, or of a library."""
    lost = []
    for module in MODULES:
        source = (PACKAGE / f"{module}.py").read_text(encoding="utf-8")
        tree, loaded = ast.parse(source), importlib.import_module(f"forwardecg.{module}")
        nodes = [one for one in ast.walk(tree) if isinstance(one, ast.Module | ast.FunctionDef | ast.ClassDef)]
        for words in filter(None, map(ast.get_docstring, nodes)):
            words = re.sub(r"``.+?``|^\s*(>>>|\.\.\.) .*$", "", words, flags=re.M)
            for name in re.findall(r"`([^`]+)`", words):
                head, _, rest = name.partition(".")
                there = (
                    docstrings.target(name, module)
                    or hasattr(loaded, head)
                    or head in (*GIVEN, "concurrent", "Axes", "filelock")
                )
                if not there and head in MODULES:
                    there = hasattr(importlib.import_module(f"forwardecg.{head}"), rest)
                if not there:
                    lost.append(f"forwardecg.{module}: `{name}`")
    assert not lost, "\n".join(lost)


def test_equations_become_literal_blocks_and_names_links():
    words = textwrap.dedent(
        """\
        The error |e| of `simulate`.

            e = a - b

        Parameters
        ----------
        a, b : (n,), mV,
            see `nothing_of_ours`
        """
    ).splitlines()
    assert docstrings.rewrite(words, "ecg") == [
        r"The error \|e\| of :py:obj:`simulate <forwardecg.solver.simulation.simulate>`.",
        "",
        ".. code-block:: text",
        "",
        "    e = a - b",
        "",
        "Parameters",
        "----------",
        "a, b",
        "    (n,), mV,",
        "    see ``nothing_of_ours``",
    ]


def test_constants_are_shown_as_they_stand():
    assert docstrings.constants("torso") == [
        "ON_SURFACE = 1e-6  # how far from the boundary an electrode on it may be, in radii"
    ]
    assert "FK_SETS = (FK_CAF, FK_MLR1, FK_MBR, FK_BR, FK_GP)" in docstrings.constants("cell")
    assert not any(line.startswith("_") for module in MODULES for line in docstrings.constants(module))
