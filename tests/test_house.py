"""The house: a thin package of a few rooms, whose arrows run one way, and whose doors open on what they promise."""

import ast
import importlib
from pathlib import Path

import pytest

from compendium.registry import ROOT
from forwardecg.paths import PACKAGE

LEVELS = {"ground": 0, "tissue": 1, "measure": 1, "ecg": 2, "solver": 3, "surrogates": 5, "inverse": 5}
LEVELS |= {"data": 4, "signals": 4, "activation": 4}
ROOMS = sorted(path.parent for path in PACKAGE.rglob("__init__.pyi"))
FILES = sorted(PACKAGE.rglob("*.py"))
TEXTS = {path: path.read_text(encoding="utf-8") for path in FILES}
TREES = {path: ast.parse(text) for path, text in TEXTS.items()}


def name_of(path: Path) -> str:
    """forwardecg, forwardecg.tissue or forwardecg.tissue.cell, of a folder or a file."""
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


def room_of(module: str) -> str:
    """tissue for forwardecg.tissue.cell, ground for forwardecg.contract."""
    name = module.split(".")[1] if "." in module else ""
    return name if (PACKAGE / name / "__init__.pyi").is_file() and name else "ground"


def imports(path: Path) -> set[str]:
    """Modules that a file imports, wherever in it the line stands."""
    found: set[str] = set()
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: a relative import"
            found |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def exports(room: Path) -> list[tuple[str, str]]:
    """(file, name) of what the stub of a room exports; names of rooms have no file."""
    lines = [node for node in ast.parse((room / "__init__.pyi").read_text(encoding="utf-8")).body]
    froms = [node for node in lines if isinstance(node, ast.ImportFrom)]
    return [(node.module or "", alias.name) for node in froms for alias in node.names]


def docstring_lines(tree: ast.Module) -> int:
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)]
    words = [node.body[0] for node in nodes if ast.get_docstring(node) is not None]
    return sum((one.end_lineno or one.lineno) - one.lineno + 1 for one in words)


def test_the_package_is_thin():
    lines = {name_of(path): len(text.splitlines()) for path, text in TEXTS.items()}
    assert len([path for path in PACKAGE.iterdir() if path.name != "__pycache__"]) <= 15
    assert {name: n for name, n in lines.items() if n > 300} == {}
    # the house wanted 5500; borders that refuse by name took 1300 more, meshes and files of other programs 1100, the reading of
    # ECGs and tests of two samples 950, the solver in torch 260, activation without a simulation and back 1400, parts of a set 150,
    # wider tissue with its cells 200, bands and flags that say why 300, blocking over time 90, fronts in fewer passes 60
    assert sum(lines.values()) <= 11960
    assert sum(map(docstring_lines, TREES.values())) <= 0.3 * sum(lines.values())


def test_arrows_run_one_way():
    """A file imports from its own room and from those below it: measure stands beside the tissue, on the ground alone."""
    wrong = []
    for path in FILES:
        room = room_of(name_of(path))
        for module in imports(path):
            if module.partition(".")[0] == "forwardecg" and module != "forwardecg":
                other = room_of(module)
                if other != room and LEVELS[other] >= LEVELS[room]:
                    wrong.append(f"{name_of(path)} imports {module}")
            if module.partition(".")[0] in ("compendium", "experiments", "benchmarks"):
                wrong.append(f"{name_of(path)} imports {module}")
            if room == "measure" and module.partition(".")[0] == "torch":
                wrong.append(f"{name_of(path)} imports torch")
    assert not wrong, "\n".join(wrong)


def private(tree: ast.Module) -> set[str]:
    """Names with a leading underscore that a file takes from another module, by import or as ``module._name``."""
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    aliases = [alias for node in imports for alias in node.names]
    found = {part for alias in aliases for part in alias.name.split(".")}
    found |= {part for node in imports if isinstance(node, ast.ImportFrom) for part in (node.module or "").split(".")}
    taken = {alias.asname or alias.name.partition(".")[0] for alias in aliases}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value).partition(".")[0] in taken:
            found.add(node.attr)
    of_python = {"_exit", "_fields"}  # documented: of os, and of named tuples
    return {name for name in found - of_python if name.startswith("_") and not name.endswith("__")}


def test_no_file_takes_a_private_name_of_another():
    files = [path for folder in ("src", "experiments", "benchmarks", "tools") for path in (ROOT / folder).rglob("*.py")]
    found = {path: private(ast.parse(path.read_text(encoding="utf-8"))) for path in files}
    assert len(files) > len(FILES)
    assert not {path.relative_to(ROOT).as_posix(): names for path, names in found.items() if names}


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("from forwardecg.a import b, _c as c", {"_c"}), ("import a._b", {"_b"}), ("from a._b import c", {"_b"}),
        ("import a as b\nb._c()", {"_c"}), ("from a import b\nb._c", {"_c"}), ("import a.b\na.b._c", {"_c"}),
        ("from a import __version__", set()), ("import os\nos._exit(1)", set()), ("def _a(): ...\n_a().b", set()),
    ],
)  # fmt: skip
def test_private_names_are_found(line, names):
    assert private(ast.parse(line)) == names


@pytest.mark.parametrize(("wing", "other"), [("paper", "structured"), ("structured", "paper")])
def test_the_wings_of_the_surrogates_do_not_know_each_other(wing, other):
    files = [path for path in FILES if name_of(path).startswith(f"forwardecg.surrogates.{wing}")]
    found = {module for path in files for module in imports(path)}
    assert files and not [module for module in found if module.startswith(f"forwardecg.surrogates.{other}")]


@pytest.mark.parametrize("room", ROOMS, ids=name_of)
def test_a_room_exports_what_is_there_and_no_name_twice(room):
    """A module of the name of a function would stand in its place once it is imported."""
    loaded = importlib.import_module(name_of(room))
    names = [name for file, name in exports(room) if file]
    for file, name in exports(room):
        there = importlib.import_module(f"{name_of(room)}.{file or name}")
        assert getattr(loaded, name) is (getattr(there, name) if file else there), name
    assert len({*names}) == len(names)
    assert not {*names} & {path.stem for path in room.iterdir()}
    assert {*dir(loaded)} - {"__version__"} == {name for _, name in exports(room)}


def test_every_room_has_its_place():
    assert {room_of(name_of(path)) for path in FILES} == {*LEVELS}
