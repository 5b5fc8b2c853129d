"""The sliders of the theory pages: their scripts say what the package says, their files are small, and keys move them."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
import sliders
import torch
import xarray as xr

from compendium.registry import ROOT
from forwardecg.contract import V_SPAN, to_mV
from forwardecg.ecg.electrodes import Electrodes
from forwardecg.ecg.leadfield import distances, lead_field
from forwardecg.ecg.torso import Disc
from forwardecg.measure.waves import apd90, dvdt_max
from forwardecg.paths import PACKAGE
from forwardecg.solver.calibration import cable_cv, converged_cv
from forwardecg.solver.simulation import solve
from forwardecg.surrogates.paper.losses import huber, hybrid, spectral_entropy
from forwardecg.tissue.cell import FK_CAF
from forwardecg.tissue.diffusion import couplings, net_flux
from forwardecg.tissue.sheet import healthy
from forwardecg.tissue.stimulus import Stimulus, edge_stimulus

DEMO = ROOT / "book" / "assets" / "demo"
SCRIPTS = [DEMO / "solver.js", DEMO / "ecg.js", sliders.ASSETS / "data.js", sliders.ASSETS / "physics.js"]
MOST_BYTES = 60_000
PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def data() -> dict:
    return sliders.read_script((sliders.ASSETS / "data.js").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def run(chromium, tmp_path_factory):
    """Evaluates an expression of ``s``, the sliders' functions, on a page with their scripts and nothing of a page."""
    path = tmp_path_factory.mktemp("sliders") / "blank.html"
    tags = "".join(f'<script src="{script.as_uri()}"></script>' for script in SCRIPTS)
    path.write_text(f"<!DOCTYPE html><meta charset='utf-8'><title>blank</title>{tags}", encoding="utf-8")
    page = chromium.new_page()
    page.goto(path.as_uri())
    # arrays, and arrays in objects, as lists; no number as null
    plain = """const plain = (z) => ArrayBuffer.isView(z) || Array.isArray(z) ? Array.from(z, plain)
        : z && typeof z === "object" ? Object.fromEntries(Object.entries(z).map(([k, y]) => [k, plain(y)]))
        : Number.isNaN(z) ? null : z;"""
    yield lambda code, *given: page.evaluate(
        f"(given) => {{ {plain} const s = forwardecgSliders, f = {code}; return plain(f(...given)); }}", [*given]
    )
    page.close()


# The mathematics, against the package


@pytest.mark.parametrize(("u_v", "swapped"), [(0.0, False), (0.12, False), (0.04, True)])
def test_two_beats_of_one_cell(run, data, u_v, swapped):
    """Voltage, gate, both durations and the upstroke of the second beat."""
    interval, t_end, every = 150.0, 300.0, 0.05
    low, high = FK_CAF.tau_v_minus_low, FK_CAF.tau_v_minus_high
    cell = replace(FK_CAF, u_v=u_v, tau_v_minus_low=high if swapped else low, tau_v_minus_high=low if swapped else high)
    everywhere = np.ones((2, 2), bool)  # cells that do the same are one cell
    stimuli = [Stimulus(mask=everywhere, start=start) for start in (0.0, interval)]
    options = dict(cell=cell, dt=data["cell_dt"], calibrated=False, dtype=np.float64)
    states = solve(healthy((2, 2), data["dx"], D0=data["D0"]), stimuli, t_end=t_end, every=every, **options)
    u, v = np.array([(state.u[0, 0], state.v[0, 0]) for state in states]).T
    found = run("(...all) => s.twoBeats(...all)", u_v, interval, swapped, t_end)
    step, start = round(every / data["cell_dt"]), round(interval / every)
    assert np.abs(np.array(found["u"][::step]) - u).max() < 1e-4 and np.ptp(u) > 0.9
    assert np.abs(np.array(found["v"][::step]) - v).max() < 1e-4
    V_m = xr.DataArray(to_mV(u), dims="time", coords={"time": every * np.arange(len(u))})
    second = V_m[start:].copy()
    second[0] = V_m[0]  # the level of 90 % is counted from rest, here as in the page
    assert found["first"] == pytest.approx(apd90(V_m[:start]).item(), abs=0.02)
    assert found["second"] == pytest.approx(apd90(second).item(), abs=0.02)
    assert found["gate"] == pytest.approx(v[start], abs=1e-4)
    assert found["rise"] == pytest.approx(dvdt_max(V_m[start:]).item(), rel=0.02)  # of samples five steps apart


def test_the_threshold_leaves_the_first_beat_and_changes_the_second(run):
    beats = [run("(...all) => s.twoBeats(...all)", u_v, 150, swapped, 300) for u_v in (0, 0.16) for swapped in (0, 1)]
    assert np.ptp([one["first"] for one in beats]) < 1e-9
    opened, other, late, exchanged = (one["gate"] for one in beats)
    assert opened == pytest.approx(exchanged) and late == pytest.approx(other) and opened > late + 0.05
    assert beats[0]["second"] > beats[2]["second"] + 0.5


@pytest.mark.parametrize(("D", "dx"), [(0.1, 0.25), (0.1, 0.5), (0.05, 0.5)])
def test_speed_on_a_cable(run, data, D, dx):
    found = run("(D, dx) => s.cableSpeed(D, dx, s.continuumSpeed(D), 5)", D, dx)
    assert found["speed"] == pytest.approx(cable_cv(D, dx, data["cable_dt"]), rel=1e-4)
    c = run("(D) => s.continuumSpeed(D)", D)
    assert c == pytest.approx(converged_cv(FK_CAF) * np.sqrt(D / 0.1), rel=1e-6) and found["speed"] < 0.95 * c
    # the picture: where the front is when one at the converged speed has run 5 mm
    x, u = np.array(found["x"]), np.array(found["u"])
    k = np.flatnonzero(u >= 0.5)[-1]
    front = x[k] + dx * (u[k] - 0.5) / (u[k] - u[k + 1])
    assert front == pytest.approx(5 * found["speed"] / c, abs=0.15)


def test_a_grid_that_stops_the_wave(run, data):
    assert run("() => s.cableSpeed(0.02, 1, s.continuumSpeed(0.02), 5)")["speed"] is None
    assert np.isnan(cable_cv(0.02, 1.0, data["cable_dt"]))


@pytest.fixture(scope="module")
def sheet(data):
    return healthy((data["n"], data["n"]), data["dx"], D0=data["D0"])


def plane_wave(data, n: int, t_end: float) -> np.ndarray:
    """u (time, x) of the package, one row each ms, in double precision."""
    strip = healthy((2, n), data["dx"], D0=data["D0"])
    return np.array([s.u[0].copy() for s in solve(strip, edge_stimulus(strip), t_end=t_end, dtype=np.float64)])


@pytest.mark.parametrize("z", [5.0, 40.0])
def test_weights_and_ecg_of_a_plane_wave_above_a_sheet(run, data, sheet, z):
    center = data["n"] * data["dx"] / 2
    above, middle = Electrodes(np.array([[center, center, z]]), ("above",)), data["n"] // 2
    found = run("(n, z) => s.above(n, z, s.planeWave(n, 400))", data["n"], z)
    L = lead_field(sheet, above)[0]
    assert np.abs(np.array(found["L"]) - L[middle]).max() < 1e-9 * np.abs(L).max()
    r = distances(sheet, above)[0]
    assert np.allclose(found["weight"], 1 / r[middle], rtol=1e-12)
    u = plane_wave(data, data["n"], 400.0)
    for name, field in (("ecg", L), ("squared", net_flux(1 / r[None] ** 2, *couplings(sheet))[0])):
        expected = V_SPAN * u @ field.sum(axis=0)
        # the front arrives within a few thousandths of a ms, and under a low electrode the ECG turns within a ms
        assert np.abs(np.array(found[name]) - expected).max() < 5e-3 * np.abs(expected).max(), name


def test_potential_in_a_disc(run):
    rng = np.random.default_rng(4)
    for radius in (45.0, 180.0):
        at, source = (radius * 0.7 * rng.uniform(-1, 1, (20, 2)) for _ in range(2))
        expected = Disc(radius=radius, center=(0.0, 0.0)).potential(at, source)
        points = np.concatenate([at, source], axis=1).tolist()
        found = run("(points, radius) => points.map((one) => s.discPotential(...one, radius))", points, radius)
        assert np.allclose(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("radius", "at"), [(60.0, 45.0), (100.0, 100.0)])
def test_ecg_in_a_disc(run, data, radius, at):
    n, half = 120, 120 * data["dx"] / 2
    sheet = healthy((n, n), data["dx"], D0=data["D0"])
    there = Electrodes(np.array([[half + at, half, 0.0]]), ("there",))
    found = run("(n, radius, at) => s.inDisc(n, radius, at, s.planeWave(n, 250))", n, radius, at)
    u = plane_wave(data, n, 250.0)
    fields = {"disc": lead_field(sheet, there, Disc(radius=radius, center=(half, half)))[0]}
    fields["plane"] = net_flux(-np.log(distances(sheet, there) / radius), *couplings(sheet))[0]
    for name, field in fields.items():
        expected = V_SPAN * u @ field.sum(axis=0)
        assert np.abs(np.array(found[name]) - expected).max() < 1e-3 * np.abs(expected).max(), name


def test_the_rim_sees_twice_the_endless_plane_and_who_stays_less(run):
    code = "([radius, at]) => s.inDisc(120, radius, at, s.planeWave(120, 250))"
    ratio = {}
    for radius, at in ((45, 45), (300, 300), (60, 45), (300, 45)):
        found = run(code, [radius, at])
        ratio[radius, at] = max(found["disc"]) / max(found["plane"])
    assert ratio[45, 45] == pytest.approx(2, abs=1e-9) and ratio[300, 300] == pytest.approx(2, abs=1e-9)
    assert 1 < ratio[300, 45] < 1.05 < ratio[60, 45] < 2


@pytest.mark.parametrize(("smooth", "factor", "noise"), [(0, 1.0, 0.2), (20, 1.0, 0.0), (0, 1.5, 0.5), (60, 0.5, 0.1)])
def test_loss_and_its_terms(run, data, smooth, factor, noise):
    """The same two traces by the package, in double precision; all cases but the first have errors beyond delta."""
    code = """(smooth, factor, noise, weight) => {
        const truth = Float64Array.from(s.data.loss.ecg), pred = s.spoil(truth, s.data.loss.dt, smooth, factor, noise);
        return { pred, entropy: s.entropy(pred), ...s.hybrid(pred, truth, s.data.loss.delta, weight) };
    }"""
    found, delta = run(code, smooth, factor, noise, 0.35), data["loss"]["delta"]
    truth, pred = (torch.tensor(y, dtype=torch.float64)[None] for y in (data["loss"]["ecg"], found["pred"]))
    assert bool(((pred - truth).abs() > delta).any()) == (smooth > 0 or factor != 1)
    assert found["huber"] == pytest.approx(huber(pred, truth, delta).item(), abs=1e-10)
    assert found["entropy"] == pytest.approx(spectral_entropy(pred).item(), abs=1e-10)
    assert found["sum"] == pytest.approx(hybrid(pred, truth, delta=delta, weight=0.35).item(), abs=1e-10)


def test_the_entropy_term_is_blind_to_a_factor_and_fooled_by_noise(run):
    code = """(smooth, factor, noise) => {
        const truth = Float64Array.from(s.data.loss.ecg);
        return s.hybrid(s.spoil(truth, s.data.loss.dt, smooth, factor, noise), truth, s.data.loss.delta, 1);
    }"""
    half, smooth, noisy = run(code, 0, 0.5, 0), run(code, 20, 1, 0), run(code, 20, 1, 0.35)
    assert half["mismatch"] < 1e-6 and half["huber"] > 0.05
    assert noisy["mismatch"] < 0.1 * smooth["mismatch"] and noisy["huber"] > smooth["huber"]


# The files


def test_numbers_are_those_of_the_package(data):
    """Written by `python tools/sliders.py`; the calibration may differ in its last digits between processors."""
    fresh = json.loads(json.dumps(sliders.page_data()))
    assert sliders.script(data) == (sliders.ASSETS / "data.js").read_text(encoding="utf-8")
    for name in ("calibration", "converged", "loss"):
        one, other = (json.dumps(which.pop(name)) for which in (dict(data), dict(fresh)))
        pairs = [np.array(re.findall(r"-?\d[\d.e-]*", text), float) for text in (one, other)]
        assert np.allclose(*pairs, rtol=1e-6, atol=1e-9), name
    assert {name: data[name] for name in data if name not in ("calibration", "converged", "loss")} == {
        name: fresh[name] for name in fresh if name not in ("calibration", "converged", "loss")
    }


def test_counterparts_that_the_scripts_name_are_in_the_package():
    """A function of the physics begins with /* module.name, the name of what it follows."""
    modules = {path.stem: path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")}
    named = re.findall(r"/\* ([a-z_]+)\.([A-Za-z0-9_.]+)", (sliders.ASSETS / "physics.js").read_text(encoding="utf-8"))
    assert len(named) >= 8
    for module, path in named:
        for name in path.rstrip(".").split("."):
            assert re.search(rf"(?m)^ *(?:def|class) {name}\b|^{name}\b", modules[module]), f"{module}.{path}"


def block(name: str) -> str:
    """The raw html of a slider in its page."""
    text = (ROOT / "book" / f"{name}.md").read_text(encoding="utf-8")
    found = [one for one in re.findall(r"^```\{raw\} html\n(.*?)^```$", text, re.M | re.S) if "data-slider" in one]
    assert len(found) == 1, name
    return found[0]


def test_files_are_small_name_no_other_host_and_are_on_their_pages_alone():
    files = sorted(sliders.ASSETS.iterdir())
    assert [path.name for path in files] == ["data.js", "page.js", "physics.js", "sliders.css"]
    assert sum(path.stat().st_size for path in files) < MOST_BYTES
    blocks = {name: block(name) for name in sliders.PAGES}
    for text in [path.read_text(encoding="utf-8") for path in files] + [*blocks.values()]:
        assert not re.search(r"//[\w.-]+\.\w|https?:|fetch\(|XMLHttpRequest|import\(|new Worker|type=.module", text)
    for name, text in blocks.items():
        assert f'data-slider="{name}"' in text and "<noscript>" in text
    with_sliders = {path.stem for path in (ROOT / "book").rglob("*.md") if "_static/sliders" in path.read_text("utf-8")}
    assert with_sliders == {*sliders.PAGES}


# The pages


@pytest.fixture
def opened(chromium, tmp_path):
    """Opens the slider of a page alone; what goes wrong in its scripts fails the test."""
    contexts, problems = [], []

    def open_page(name: str, **options):
        contexts.append(chromium.new_context(**{"viewport": {"width": 1000, "height": 1100}} | options))
        contexts[-1].set_default_timeout(200_000)
        page = contexts[-1].new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.on("request", lambda one: None if one.url.startswith("file:") else problems.append(one.url))
        body = block(name).replace("../_static", sliders.ASSETS.parent.as_uri())
        path = tmp_path / f"{name}.html"
        path.write_text(
            f'<!DOCTYPE html><html lang="en" data-theme="light"><head><meta charset="utf-8"><title>{name}</title>'
            f'<meta name="viewport" content="width=device-width, initial-scale=1"></head><body>{body}</body></html>',
            encoding="utf-8",
        )
        page.goto(path.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not problems


def says(page) -> str:
    page.wait_for_function("document.querySelector('.slider-says').textContent")
    return page.inner_text(".slider-says")


def ink(page) -> list[int]:
    """How many points of each picture are not empty."""
    return page.evaluate(
        """[...document.querySelectorAll(".slider canvas")].map((one) =>
        one.getContext("2d").getImageData(0, 0, one.width, one.height).data.filter((z, k) => k % 4 === 3 && z).length)"""
    )


@pytest.mark.parametrize("name", sliders.PAGES)
def test_keys_move_a_slider(opened, name):
    """Reached by Tab; an arrow changes the value and the sentence; the button takes it back; everything has a name."""
    page = opened(name)
    first = says(page)
    assert re.search(r"\d", first) and min(ink(page)) > 500
    page.keyboard.press("Tab")
    focused = "document.activeElement"
    assert page.evaluate(f"{focused}.type") == "range"
    value = page.inner_text(".slider-value >> nth=0")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    moved = page.inner_text(".slider-value >> nth=0")
    assert moved != value and page.evaluate(f"{focused}.getAttribute('aria-valuetext')") == moved
    page.wait_for_function("(first) => document.querySelector('.slider-says').textContent !== first", arg=first)
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.click(".slider button")
    page.wait_for_function("(first) => document.querySelector('.slider-says').textContent === first", arg=first)
    assert page.inner_text(".slider-value >> nth=0") == value
    assert page.get_attribute(".slider-says", "aria-live") == "polite"
    names = page.evaluate("[...document.querySelectorAll('.slider input')].map((one) => one.labels[0].textContent)")
    names += page.evaluate("[...document.querySelectorAll('.slider canvas')].map((one) => one.ariaLabel)")
    assert min(map(len, names)) > 8


@pytest.mark.parametrize("name", ["cell", "torso"])
def test_keys_tick_a_box(opened, name):
    page = opened(name)
    first = says(page)
    page.focus(".slider-box input")
    page.keyboard.press("Space")
    page.wait_for_function("(first) => document.querySelector('.slider-says').textContent !== first", arg=first)


@pytest.mark.parametrize("name", sliders.PAGES)
def test_on_a_phone(opened, name):
    """No page wider than the screen, and a finger on a slider still scrolls the page."""
    page = opened(name, viewport=PHONE, has_touch=True, is_mobile=True, device_scale_factor=2)
    says(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    kinds = page.evaluate(
        "[...document.querySelectorAll('.slider, .slider *')].map((one) => getComputedStyle(one).touchAction)"
    )
    assert {*kinds} == {"auto", "pan-y"}


def test_the_dark_has_other_ink(opened):
    page = opened("tissue")
    says(page)
    shot = page.locator(".slider canvas").screenshot()
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    page.wait_for_timeout(200)
    assert page.locator(".slider canvas").screenshot() != shot


@pytest.mark.parametrize("name", sliders.PAGES)
def test_without_scripts_a_sentence_says_what_follows(opened, name):
    page = opened(name, java_script_enabled=False)
    assert len(page.inner_text("noscript").split()) > 15 and not page.locator(".slider").is_visible()
