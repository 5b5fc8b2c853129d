"""The API reference says what the code does: examples run, every argument of what a room exports is named, every page is whole.

What the stub of a room exports has a docstring in full. All else that is public says in one sentence what it is.
"""

import ast
import doctest
import importlib
import inspect
import os
import re
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
import yaml
from sphinx.ext.napoleon import Config
from sphinx.ext.napoleon.docstring import GoogleDocstring

import forwardecg
from compendium.registry import ROOT
from forwardecg.paths import PACKAGE

MODULES = sorted(
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
    for path in PACKAGE.rglob("*.py")
    if path.stem != "__init__"
)
ROOMS = sorted(path.parent for path in PACKAGE.rglob("__init__.pyi") if path.parent != PACKAGE)
PAGES = sorted((ROOT / "book" / "api").glob("*.md"))
GIVEN = {
    "np": np,
    "pd": pd,
    "torch": torch,
    "xr": xr,
    "fe": forwardecg,
}  # what `book/api.md` says that examples take as imported
GOOGLE = Config(napoleon_use_param=True, napoleon_use_rtype=False, napoleon_use_ivar=True)
DEFINITIONS = ast.FunctionDef | ast.ClassDef
NO_EXAMPLE = {
    "forwardecg.surrogates.train.load_or_fit": "`fit` has the example; this one writes to the cache of the machine",
}


def tree(module: str) -> ast.Module:
    path = PACKAGE.parent / Path(*module.split("."))
    return ast.parse((path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text(encoding="utf-8"))


def public(module: str) -> dict[str, ast.FunctionDef | ast.ClassDef]:
    """Functions, classes and methods of a module by their names."""
    found: dict[str, ast.FunctionDef | ast.ClassDef] = {}
    for node in tree(module).body:
        if isinstance(node, DEFINITIONS) and not node.name.startswith("_"):
            found[node.name] = node
            inner = node.body if isinstance(node, ast.ClassDef) else []
            found |= {
                f"{node.name}.{one.name}": one for one in inner if isinstance(one, DEFINITIONS) and one.name[0] != "_"
            }
    return found


def exported() -> dict[str, list[str]]:
    """The names that rooms export, by the module that defines them."""
    found: dict[str, list[str]] = {}
    for room in ROOMS:
        package = ".".join(room.relative_to(PACKAGE.parent).parts)
        for node in ast.parse((room / "__init__.pyi").read_text(encoding="utf-8")).body:
            assert isinstance(node, ast.ImportFrom)
            found.setdefault(f"{package}.{node.module}", []).extend(alias.name for alias in node.names)
    return found


EXPORTED = exported()
IN_FULL = [
    (module, name) for module, names in EXPORTED.items() for name in names if name in public(module)
]  # constants apart


def member(module: str, name: str):
    found = importlib.import_module(module)
    for part in name.split("."):
        found = inspect.getattr_static(found, part) if part.islower() and "." in name else getattr(found, part)
    return found


def _is_taken(field: ast.AnnAssign) -> bool:
    """Whether a field is one of the arguments: neither the mark KW_ONLY, nor one that is found when a record is made."""
    options = field.value.keywords if isinstance(field.value, ast.Call) else []
    made = any(one.arg == "init" and ast.unparse(one.value) == "False" for one in options)
    return ast.unparse(field.annotation) != "KW_ONLY" and not made


def arguments(node: ast.FunctionDef | ast.ClassDef) -> set[str]:
    """Names of the signature: of a class those of its fields or of its __init__."""
    if isinstance(node, ast.ClassDef):
        init = [one for one in node.body if isinstance(one, ast.FunctionDef) and one.name == "__init__"]
        if not init:
            return {
                one.target.id
                for one in node.body
                if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name) and _is_taken(one)
            }
        node = init[0]
    taken = node.args
    names = [one.arg for one in (*taken.posonlyargs, *taken.args, *taken.kwonlyargs, taken.vararg, taken.kwarg) if one]
    return {*names} - {"self", "cls"}


def raised(node: ast.FunctionDef | ast.ClassDef) -> bool:
    """Whether its own code raises a ValueError: of a class, when one is made."""
    if isinstance(node, ast.ClassDef):
        makes = ("__init__", "__post_init__")
        return any(raised(one) for one in node.body if isinstance(one, ast.FunctionDef) and one.name in makes)
    calls = (one.exc for one in ast.walk(node) if isinstance(one, ast.Raise))
    return any(isinstance(one, ast.Call) and getattr(one.func, "id", "") == "ValueError" for one in calls)


def gives(node: ast.FunctionDef | ast.ClassDef) -> bool:
    """Whether a function is said to return something."""
    return isinstance(node, ast.FunctionDef) and node.returns is not None and ast.unparse(node.returns) != "None"


def fields(words: str) -> list[tuple[str, str]]:
    """(kind, name) of the fields that a docstring in Google style is to Sphinx: ("param", "V_m"), ("returns", "")."""
    text = str(GoogleDocstring(words, GOOGLE))
    return re.findall(r"^:(param|ivar|returns|Yields|raises)\s*\\?\*{0,2}(?:\\\*)?([\w., ]*):", text, re.M | re.I)


def named(words: str) -> set[str]:
    """Arguments that a docstring describes, those of `a, b: text` one by one."""
    return {one.strip() for kind, names in fields(words) if kind in ("param", "ivar") for one in names.split(",")}


@pytest.mark.parametrize("module", ["forwardecg", *MODULES])
def test_examples_run(module, tmp_path, monkeypatch, capsys, one_thread):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FORWARDECG_PROGRESS", os.fspath(tmp_path / "progress"))
    mpl.use("agg")
    loaded = importlib.import_module(module)
    finder, runner = doctest.DocTestFinder(recurse=False), doctest.DocTestRunner(verbose=False)
    with mpl.rc_context():
        for name in ("", *public(module)):
            found = member(module, name) if name else loaded
            found = inspect.unwrap(found) if callable(found) else found
            for test in finder.find(found, f"{module}.{name}", loaded, {**vars(loaded), **GIVEN}):
                runner.run(test)
        plt.close("all")
    assert runner.failures == 0, capsys.readouterr().out


@pytest.mark.parametrize("module", MODULES)
def test_every_public_name_says_what_it_is(module):
    """In a sentence; what it says of arguments holds for all of them, and for none that is not there."""
    problems = [] if ast.get_docstring(tree(module)) else [f"{module}: no docstring"]
    for name, node in public(module).items():
        words = ast.get_docstring(node) or ""
        if not words and name.endswith(".forward"):
            continue  # called through the network, whose own docstring says what it takes
        if not words.partition("\n\n")[0].rstrip().endswith((".", ":", "?")):
            problems.append(f"{module}.{name}: does not begin with a sentence")
        if (said := named(words)) and said != (taken := arguments(node)):
            problems.append(
                f"{module}.{name}: describes {sorted(said - taken)} that it does not take, lacks {sorted(taken - said)}"
            )
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize(("module", "name"), IN_FULL, ids=lambda one: one.rpartition(".")[2])
def test_what_a_room_exports_is_documented_in_full(module, name):
    node, full = public(module)[name], f"{module}.{name}"
    words = ast.get_docstring(node) or ""
    kinds = {kind.lower() for kind, _ in fields(words)}
    assert named(words) == arguments(node)
    assert not gives(node) or kinds & {"returns", "yields"}, "says not what comes back"
    assert not raised(node) or ("raises", "ValueError") in fields(words), "raises ValueError, and does not say when"
    assert bool(re.search(r"^\s*>>> ", words, re.M)) != (full in NO_EXAMPLE), (
        "no example, or its exemption is out of date"
    )
    assert "Examples:" in words or full in NO_EXAMPLE


def test_signatures_are_those_of_the_source():
    """What is read off the source above is what Python sees, through the decorators of numba and of caches."""
    for module in MODULES:
        for name, node in public(module).items():
            if isinstance(node, ast.FunctionDef) and "." not in name:
                seen = {*inspect.signature(member(module, name)).parameters}
                assert arguments(node) == seen, f"{module}.{name}"


def test_exemptions_are_of_names_that_are_there():
    assert {*NO_EXAMPLE} <= {f"{module}.{name}" for module, name in IN_FULL}


def documented(page: Path) -> dict[str, list[str]]:
    """Modules of a page, and the names of each that it shows."""
    text = page.read_text(encoding="utf-8")
    found = re.findall(r"automodule:: (forwardecg\S+)\n   :(?:no-members:|members: (.+))", text)
    return {module: names.split(", ") if names else [] for module, names in found}


def test_every_module_is_on_one_page_with_what_its_room_exports():
    """And with classes beside it, that the hints of what is exported name."""
    shown = [pair for page in PAGES for pair in documented(page).items()]
    assert sorted(module for module, _ in shown) == MODULES
    for module, names in shown:
        if module.count(".") == 1:  # the ground is no room: its modules show all that they have
            assert {*names} >= {name for name in public(module) if "." not in name}, module
        else:
            beside = {*names} - {*EXPORTED.get(module, ())}
            assert {*names} >= {*EXPORTED.get(module, ())}, module
            assert all(isinstance(public(module)[name], ast.ClassDef) for name in beside), module


def test_the_overview_lists_what_the_rooms_export():
    overview = (ROOT / "book" / "api.md").read_text(encoding="utf-8")
    groups = dict(re.findall(r"\]\(api/(\w+)\)(.*?)(?=\n## |\Z)", overview, re.S))
    assert {*groups} == {page.stem for page in PAGES}
    for page in PAGES:
        listed = re.findall(r"^   ~(forwardecg\S+)$", groups[page.stem], re.M)
        of_page = documented(page).items()
        here = {module: [one for one in names if one in EXPORTED.get(module, names)] for module, names in of_page}
        assert listed == [f"{module}.{name}" for module, names in here.items() for name in names], page.stem
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    chapters = [one for part in toc["parts"] for one in part["chapters"] if one["file"] == "book/api"]
    assert [one["file"] for one in chapters[0]["sections"]] == [f"book/api/{name}" for name in groups]


def test_the_overview_lists_the_names_of_the_package():
    overview = (ROOT / "book" / "api.md").read_text(encoding="utf-8")
    stub = ast.parse((PACKAGE / "__init__.pyi").read_text(encoding="utf-8"))
    froms = [node for node in stub.body if isinstance(node, ast.ImportFrom) and node.module]
    there = [f"forwardecg.{node.module}.{alias.name}" for node in froms for alias in node.names]
    assert sorted(re.findall(r"`~(forwardecg\.[\w.]+)`", overview)) == sorted(there)


def test_names_in_backticks_are_names_of_the_code():
    """`name` in a docstring is something that is there: of the package, an argument, or of a library."""
    of_package = {part for module in MODULES for part in (module, *module.split("."))}
    for module in MODULES:
        names = {*public(module), *vars(importlib.import_module(module))}
        of_package |= {f"{module.rpartition('.')[2]}.{name}" for name in names}
        of_package |= {part for name in public(module) for part in (name, name.rpartition(".")[2])}
    lost = []
    for module in MODULES:
        loaded = importlib.import_module(module)
        nodes = [one for one in ast.walk(tree(module)) if isinstance(one, ast.Module | DEFINITIONS)]
        for words in filter(None, map(ast.get_docstring, nodes)):
            words = re.sub(r"``.+?``|^\s*(>>>|\.\.\.) .*$", "", words, flags=re.M)
            for name in re.findall(r"(?<!:)`([^`<]+)`", words):
                head = name.partition(".")[0]
                known = name in of_package or name.removeprefix("forwardecg.") in of_package
                if not (known or hasattr(loaded, head) or head in (*GIVEN, "concurrent", "Axes", "filelock")):
                    lost.append(f"{module}: `{name}`")
    assert not lost, "\n".join(lost)


def test_equations_become_literal_blocks_and_bars_are_no_markup(monkeypatch):
    monkeypatch.syspath_prepend(os.fspath(ROOT / "book" / "_ext"))
    lines = [
        "The error |e| of `fit`, with ``a|b``:",
        "",
        "    e = |a - b|",
        "",
        "Args:",
        "    *parts: (n,), a * b.",
        "",
        "Examples:",
        "    >>> 2 * 3",
    ]
    importlib.import_module("reference").as_written(None, "function", "f", None, None, lines)
    assert lines == [
        r"The error \|e\| of `fit`, with ``a|b``:", "", ".. code-block:: text", "", "    e = |a - b|", "",
        "Args:", r"    \*parts: (n,), a \* b.", "", "Examples:", "    >>> 2 * 3",
    ]  # fmt: skip
