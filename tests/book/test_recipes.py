"""The recipes of the page on data of one's own: each runs on the file of its program, and gives the ECG of the array."""

import re
from pathlib import Path

import numpy as np
import pytest
import tifffile
import xarray as xr
from data.igb_files import write_igb, write_run
from scipy.io import savemat

from compendium.registry import ROOT
from forwardecg.data.maps import import_maps
from forwardecg.ecg.electrodes import STANDARD, Electrodes, center_electrode
from forwardecg.ecg.leadfield import pseudo_ecg
from forwardecg.ecg.leads import twelve_leads
from forwardecg.ecg.mesh import Mesh
from forwardecg.surrogates.predict import load_surrogate
from forwardecg.tissue.sheet import Tissue, healthy

TEXT = (ROOT / "book" / "bring_your_own_data.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^\(bring-(\w[\w-]*)\)=\n(.*?)(?=^\(bring-|\Z)", TEXT.partition("\n# ")[2], re.M | re.S))
DX, DT, D = 1.0, 2.0, 0.12  # mm, ms, mm^2/ms: those of the page
HOLE = np.ones((30, 40), bool)
HOLE[10:14, 20:26] = False


def front() -> np.ndarray:
    """A plane front (time, y, x) in mV that runs along x with 0.5 mm/ms and leaves 100 ms of plateau behind it."""
    x = DX * (np.arange(40) + 0.5)
    since = DT * np.arange(150)[:, None] - 20 - x / 0.5
    u = 1 / (1 + np.exp(-since)) * 1 / (1 + np.exp((since - 100) / 8))
    return -85 + 100 * np.repeat(u[:, None], 30, axis=1)


V = front()


def write_numpy() -> None:
    np.save("run.npy", V)


def write_matlab() -> None:
    savemat("recording.mat", {"Vm": V.transpose(1, 2, 0) / 1000, "raw": V, "fs": 500.0})


def write_movie() -> None:
    rng = np.random.default_rng(0)
    rest, amplitude = rng.uniform(2e4, 3e4, HOLE.shape), rng.uniform(2e4, 3e4, HOLE.shape) * HOLE
    tifffile.imwrite("movie.tif", np.round(rest + amplitude * (V + 85) / 100).astype(np.uint16))


def write_finitewave() -> None:
    Path("animation").mkdir()
    for k, frame in enumerate(np.pad((V + 85) / 100, ((0, 0), (1, 1), (1, 1)))):
        np.save(f"animation/{k}.npy", frame)


def write_monoalg3d() -> None:
    """Cells in no order of rows, as a quadtree lists them; some are no tissue."""
    Path("monoalg3d").mkdir()
    y, x = (one[np.random.default_rng(0).permutation(HOLE.sum())] for one in np.nonzero(HOLE))
    for k, frame in enumerate(V):
        half, side = 500 * DX, 1000 * DX
        lines = (f"{(i + 0.5) * side:g},{(j + 0.5) * side:g},50,{half:g},{half:g},50,{frame[j, i]:.17g}" for j, i in zip(y, x, strict=True))  # fmt: skip
        Path(f"monoalg3d/V_it_{100 * k}.txt").write_text("\n".join(lines) + "\n")


def write_opencarp_grid() -> None:
    """Nodes in no order of rows: the points say where they are."""
    y, x = np.divmod(np.random.default_rng(0).permutation(V[0].size), 40)
    points = "\n".join(f"{1000 * DX * i:g} {1000 * DX * j:g} 0" for j, i in zip(y, x, strict=True))
    Path("sheet.pts").write_text(f"{len(y)}\n{points}\n")
    write_igb(Path("vm.igb"), V[:, y, x], "double", inc_t=DT, unites_t="ms", unites="mV", inc_x=1, unites_x="um")


WRITERS = {
    "numpy": write_numpy, "matlab": write_matlab, "movie": write_movie, "finitewave": write_finitewave,
    "monoalg3d": write_monoalg3d, "opencarp-grid": write_opencarp_grid,
}  # fmt: skip


def run(name: str) -> dict:
    """The one block of a section, on the file that it needs."""
    (block,) = re.findall(r"```python\n(.*?)```", SECTIONS[name], re.S)
    WRITERS[name]()
    names: dict = {}
    exec(compile(block, f"{name} of the page", "exec"), names)
    return names


def ecg_of_the_array(name: str) -> xr.DataArray:
    tissue = (
        Tissue(D=np.full(HOLE.shape, D), conductive=HOLE, dx=DX) if name == "monoalg3d" else healthy(HOLE.shape, DX, D)
    )
    maps = import_maps(V, dx=DX, dt=DT, unit="mV")
    return pseudo_ecg(maps.V_m, tissue, center_electrode(tissue, z=20.0))


@pytest.mark.parametrize("name", [name for name in WRITERS if name != "movie"])
def test_a_recipe_gives_the_ecg_of_the_array(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    right, came = ecg_of_the_array(name), run(name)["phi_e"]
    assert came.dims == right.dims and float(abs(right).max()) > 0.2
    np.testing.assert_allclose(came, right, rtol=0, atol=1e-9 * float(abs(right).max()))
    np.testing.assert_allclose(came.time_ecg, right.time_ecg, atol=1e-9)


def test_the_ecg_is_that_of_a_front_that_passes_below():
    """By its closed form for a sharp front of 100 mV at x mm before the electrode, 20 mm above the middle of 30 mm of front."""
    ecg = ecg_of_the_array("numpy")[0]
    for x in (15.0, 10.0, 5.0, 0.0, -5.0, -10.0, -15.0):
        square = x**2 + 20**2
        closed = D * 100 * x * 30 / (square * np.sqrt(square + 15**2))
        assert float(ecg.sel(time_ecg=20 + (20 - x) / 0.5)) == pytest.approx(closed, abs=0.02 * float(abs(ecg).max()))


def test_a_movie_gives_the_prediction_of_the_array(tmp_path, monkeypatch, one_thread):
    """To the steps of the counts, 20 000 of them from rest to peak."""
    monkeypatch.chdir(tmp_path)
    names = run("movie")
    right = load_surrogate("structured").predict(V, dx=DX, dt=DT, unit="mV", mask=HOLE).phi_e.sel(lead="center")
    np.testing.assert_array_equal(names["tissue"], HOLE)
    np.testing.assert_allclose(names["phi_e"], right, atol=0.02 * float(abs(right).max()))


def test_a_run_on_a_mesh_gives_the_leads_of_its_arrays(tmp_path, monkeypatch):
    """Twelve leads of openCARP's files in ten lines equal those of the arrays in mm: units, fibers and regions are read."""
    monkeypatch.chdir(tmp_path)
    given = write_run(tmp_path)
    (block,) = re.findall(r"```python\n(.*?)```", SECTIONS["opencarp-mesh"], re.S)
    assert len(block.splitlines()) <= 10
    names: dict = {}
    exec(compile(block, "opencarp-mesh of the page", "exec"), names)
    mesh = Mesh(
        given.points, given.cells, D={1: 0.15, 2: 0.10}, D_across={1: 0.04, 2: 0.03}, fibers=given.fibers, regions=given.regions
    )  # fmt: skip
    right = twelve_leads(pseudo_ecg(given.V_m, mesh, Electrodes(given.places, tuple(STANDARD))))
    came = names["ecg"]
    assert came.dims == ("lead", "time_ecg") and came.attrs["units"] == "mV mm ms-1"
    np.testing.assert_allclose(came, right, rtol=0, atol=1e-9 * float(abs(right).max()))
    assert came.time_ecg.values.tolist() == (4.0 * np.arange(30)).tolist()


def test_every_section_with_a_recipe_is_run():
    assert {name for name, text in SECTIONS.items() if "```python" in text} == {*WRITERS, "opencarp-mesh"}
    assert "other" in SECTIONS
