"""The thin package: what the wheel holds, and that it works outside the repository with nothing but what it declares."""

import ast
import importlib.metadata
import json
import os
import statistics
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from pathlib import Path
from shutil import copy2

import numpy as np
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import forwardecg
from compendium.record import closure
from compendium.registry import NOTEBOOKS, ROOT
from compendium.reproduce import tracked_files
from forwardecg.paths import PACKAGE

SITE = Path(sysconfig.get_path("purelib"))
HEAVY = ("torch", "numba", "scipy", "xarray", "pandas", "zarr", "matplotlib", "numpy")
FILES = sorted(path for path in PACKAGE.rglob("*.py") if path.stem != "__init__")
MODULES = [".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts) for path in FILES]
ROOMS = {".".join(path.relative_to(PACKAGE.parent).parent.parts) for path in PACKAGE.rglob("__init__.pyi")}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Wheel and source distribution, built without a network from the tracked files alone."""
    tree, out = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("dist")
    for name in tracked_files():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        copy2(ROOT / name, tree / name)
    build(tree, out, "wheel", "sdist")
    (wheel,), (sdist,) = out.glob("*.whl"), out.glob("*.tar.gz")
    return wheel, sdist


def build(tree: Path, out: Path, *targets: str) -> None:
    chosen = [word for target in targets for word in ("-t", target)]
    run = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", *chosen, "-d", out], cwd=tree, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stdout + run.stderr


def needed(requirements: list[str]) -> dict[str, importlib.metadata.Distribution]:
    """The distributions that these requirements bring, theirs included, as an installer reads the markers."""
    found, todo = {}, [(Requirement(line), "") for line in requirements]
    while todo:
        requirement, extra = todo.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        dist = importlib.metadata.distribution(name)
        assert requirement.specifier.contains(dist.version, prereleases=True), f"{requirement} and {dist.version}"
        extras = {"", *requirement.extras}
        if extras <= found.get(name, (None, set()))[1]:
            continue
        found[name] = dist, extras | found.get(name, (None, set()))[1]
        todo += [(Requirement(line), one) for line in dist.requires or [] for one in extras]
    return {name: dist for name, (dist, _) in found.items()}


def link(dists: list[importlib.metadata.Distribution], target: Path) -> None:
    """Put these distributions, and nothing of any other, into the folder ``target``."""
    ours = {str(file) for dist in dists for file in dist.files or [] if ".." not in file.parts}
    others = {
        str(file)
        for dist in importlib.metadata.distributions(path=[str(SITE)])
        for file in dist.files or []
        if ".." not in file.parts
    } - ours
    shared = {str(parent) for name in others for parent in Path(name).parents}
    made = set()
    for name in sorted(ours):
        path = Path(name)
        # the outermost folder that no other distribution writes into, or the file itself
        whole = next((p for p in [*reversed(path.parents)][1:] if str(p) not in shared), path)
        if whole in made or "__pycache__" in whole.parts:
            continue
        made.add(whole)
        (target / whole).parent.mkdir(parents=True, exist_ok=True)
        (target / whole).symlink_to(SITE / whole)


@pytest.fixture(scope="module")
def clean(built, tmp_path_factory):
    """A run of Python outside the repository, where only the wheel and what it requires are installed."""
    wheel, _ = built
    home = tmp_path_factory.mktemp("clean")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home / "venv"], check=True)
    variables = {"base": str(home / "venv"), "platbase": str(home / "venv")}
    site = Path(sysconfig.get_path("purelib", vars=variables))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    (metadata,) = importlib.metadata.distributions(name="forwardecg", path=[str(site)])
    link([*needed(metadata.requires).values()], site)
    python = Path(sysconfig.get_path("scripts", vars=variables)) / Path(sys.executable).name
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "FORWARDECG"))}

    def run(code: str, *arguments: object) -> str:
        done = subprocess.run(
            [python, "-c", code, *map(str, arguments)],
            cwd=home,
            env=kept | {"XDG_CACHE_HOME": str(home / "cache")},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return run


def test_the_wheel_holds_the_package_its_weights_and_tissues_and_nothing_else(built):
    wheel, _ = built
    with zipfile.ZipFile(wheel) as archive:
        names = {*archive.namelist()}
    folder = f"forwardecg-{forwardecg.__version__}.dist-info"
    source = {name.removeprefix("src/") for name in tracked_files() if name.startswith("src/forwardecg/")}
    shipped = {name for name in tracked_files() if name.startswith(("data/models/", "data/small/"))}
    files = {f"forwardecg/{name.removeprefix('data/')}" for name in shipped}
    about = {f"{folder}/{name}" for name in ("METADATA", "RECORD", "WHEEL", "licenses/LICENSE")}
    assert names == source | files | about
    assert {"forwardecg/py.typed", "forwardecg/__init__.pyi", "forwardecg/models/structured.safetensors"} <= names
    assert "forwardecg/small/tissues.zarr.zip" in names
    assert wheel.stat().st_size < 12e6


def test_the_source_distribution_gives_the_same_wheel(built, tmp_path):
    wheel, sdist = built
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (tree,) = tmp_path.iterdir()
    assert not {"notebooks", "tests", "tools", "book"} & {path.name for path in tree.iterdir()}
    build(tree, tmp_path / "dist", "wheel")
    (again,) = (tmp_path / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as first, zipfile.ZipFile(again) as second:
        assert {i.filename: i.CRC for i in first.infolist()} == {i.filename: i.CRC for i in second.infolist()}


def test_the_clean_environment_has_no_library_that_is_not_declared(clean):
    code = "import importlib.util, sys; print([name for name in sys.argv[1:] if importlib.util.find_spec(name)])"
    assert clean(code, "matplotlib", "seaborn", "PIL", "jupytext", "pytest", "distributed", "numpy") == "['numpy']"


def test_importing_the_package_is_quick_and_loads_nothing_heavy(clean):
    code = """
import sys, time
start = time.perf_counter()
import forwardecg
print(time.perf_counter() - start, [name for name in sys.argv[1:] if name in sys.modules])
"""
    runs = [clean(code, *HEAVY).split(" ", 1) for _ in range(5)]
    assert {loaded for _, loaded in runs} == {"[]"}
    assert statistics.median(float(seconds) for seconds, _ in runs) < 0.3


def test_every_module_works_with_what_is_declared(clean):
    """In one process that counts: each is imported by name. The book's machinery is not there."""
    code = """
import importlib, importlib.util, sys
import forwardecg
assert forwardecg.paths.ROOT is None, "not the repository's"
for name in sys.argv[1:]:
    importlib.import_module(name)
help(forwardecg)  # loads every name that dir gives
print("CAME", [name for name in ("compendium", "experiments") if importlib.util.find_spec(name)])
"""
    assert clean(code, *MODULES).endswith("CAME []")


def test_the_installed_weights_predict_what_the_repositorys_do(clean, tmp_path, one_thread):
    """A file of one's own, and a tissue that the wheel brings, from anywhere."""
    np.save(tmp_path / "u.npy", np.load(ROOT / "data" / "small" / "maps.npy")[:40])
    settings = {"dx": 4.0, "dt": 10.0, "unit": "u"}
    code = """
import json, sys
import numpy as np, torch
import forwardecg
torch.set_num_threads(1)
folder, settings = sys.argv[1], json.loads(sys.argv[2])
surrogate, small = forwardecg.load_surrogate(), forwardecg.load_small().isel(sim=2)
for name, out in {"file": surrogate.predict(f"{folder}/u.npy", **settings), "small": surrogate.predict(small)}.items():
    np.savez(f"{folder}/{name}.npz", phi_e=out.phi_e, D=out.D, low=out.phi_e_low)
print(out.attrs["weights"])
"""
    weights = clean(code, tmp_path, json.dumps(settings))
    surrogate, small = forwardecg.load_surrogate(), forwardecg.load_small().isel(sim=2)
    outs = {"file": surrogate.predict(tmp_path / "u.npy", **settings), "small": surrogate.predict(small)}
    for source, out in outs.items():
        assert weights == out.attrs["weights"]
        came = np.load(tmp_path / f"{source}.npz")
        for name, here in {"phi_e": out.phi_e, "D": out.D, "low": out.phi_e_low}.items():
            np.testing.assert_allclose(came[name], here, rtol=1e-9, atol=1e-9 * float(abs(here).max()))


def test_the_installed_solver_and_ecg(clean):
    """A wave starts, and the exact operator gives what it gives here."""
    code = """
import json
import numpy as np
import forwardecg
sheet = forwardecg.healthy((24, 30), dx=0.5, D0=0.1)
electrodes = forwardecg.center_electrode(sheet, z=10.0)
V = -85 + 100 * np.linspace(0, 1, 24 * 30).reshape(1, 24, 30) ** 2
ds = forwardecg.simulate(sheet, [forwardecg.edge_stimulus(sheet)], t_end=20.0, electrodes=electrodes)
print(json.dumps([forwardecg.pseudo_ecg(V, sheet, electrodes).values.ravel().tolist(), float(abs(ds.phi_e).max())]))
"""
    ecg, peak = json.loads(clean(code).splitlines()[-1])  # lines of progress before it
    sheet = forwardecg.healthy((24, 30), dx=0.5, D0=0.1)
    electrodes = forwardecg.center_electrode(sheet, z=10.0)
    V = -85 + 100 * np.linspace(0, 1, 24 * 30).reshape(1, 24, 30) ** 2
    np.testing.assert_allclose(ecg, forwardecg.pseudo_ecg(V, sheet, electrodes).values.ravel(), rtol=1e-12)
    assert peak > 1e-3


def test_the_package_gives_its_rooms_its_ground_and_no_unknown_names():
    """That each name is the one of its file is a test of the house."""
    assert {*forwardecg.__all__} > {name.split(".")[1] for name in {*ROOMS, *MODULES} - {"forwardecg"}}
    with pytest.raises(AttributeError, match="nonsense"):
        _ = forwardecg.nonsense


def test_no_notebook_or_module_hides_what_it_imports():
    """`from forwardecg.tissue import healthy` works, but `record.closure` would not see sheet.py: files are named instead."""
    others = [path for folder in ("src/compendium", "experiments") for path in (ROOT / folder).glob("*.py")]
    for source in [*(one.source for one in NOTEBOOKS), *FILES, *others]:
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module in ROOMS:
                whole = {f"{node.module}.{alias.name}" for alias in node.names} - {"forwardecg.__version__"}
                assert whole <= {*MODULES}, source.name
            if isinstance(node, ast.Import):
                assert not {alias.name for alias in node.names} & ROOMS, source.name


def test_the_attached_names_are_no_imports_of_the_package():
    assert closure(Path(forwardecg.__file__)) == []


def test_the_libraries_of_the_extra_plot_are_those_of_the_book_and_not_of_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extra = project["optional-dependencies"]["plot"]
    assert {*extra} <= {*project["optional-dependencies"]["book"]}
    imports = {"pillow": "PIL", "ipython": "IPython"}
    libraries = {imports.get(name, name) for name in (Requirement(line).name for line in extra)}
    for path in FILES:
        nodes = [*ast.walk(ast.parse(path.read_text(encoding="utf-8")))]
        names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
        names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
        assert not {name.partition(".")[0] for name in names} & libraries, path.name
