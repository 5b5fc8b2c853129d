"""The live demo: its scripts say what the package says, its files are small, whole and up to date, and its page can be used."""

import base64
import re

import demo
import numpy as np
import pandas as pd
import pytest
import torch

import forwardecg
import forwardecg.data.maps
from compendium.registry import ROOT
from forwardecg.contract import V_SPAN, to_mV, to_u
from forwardecg.ecg.electrodes import Electrodes
from forwardecg.measure.scores import r2
from forwardecg.paths import PACKAGE
from forwardecg.surrogates.predict import see_maps
from forwardecg.surrogates.structured.fronts import Fronts, local_slowness
from forwardecg.surrogates.structured.model import Inputs, batched_lead_field, describe_maps, inner_gradients
from forwardecg.tissue.grid import Grid
from forwardecg.tissue.sheet import Tissue, smooth_noise
from forwardecg.tissue.stimulus import Stimulus, focal_stimulus

ALLOWED = {name: value for name, (_, value, _) in demo.TOLERANCES.items()}
SCRIPTS = ("weights.js", "solver.js", "ecg.js", "surrogate.js", "presets.js")
N, DX = 120, 0.5  # a sheet of 60 mm: any size will do for the mathematics
MOST_BYTES = 400_000


def packed(array) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


# into and out of the page: arrays as base64 of their bytes
HELPERS = """
const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer;
const out = (array) => Array.from(array);
const d = window.forwardecgDemo;
"""


@pytest.fixture(scope="module")
def blank(chromium, tmp_path_factory):
    """An empty page from a file, with the scripts of the demo and nothing of its page."""
    path = tmp_path_factory.mktemp("demo") / "blank.html"
    tags = "".join(f'<script src="{(demo.ASSETS / name).as_uri()}"></script>' for name in SCRIPTS)
    path.write_text(f"<!DOCTYPE html><meta charset='utf-8'><title>blank</title>{tags}", encoding="utf-8")
    page = chromium.new_page()
    page.goto(path.as_uri())
    yield page
    page.close()


@pytest.fixture(scope="module")
def tissue():
    """Fibrosis, weak coupling and two beats from two places."""
    rng = np.random.default_rng(7)
    factor = np.where(smooth_noise(Grid((N, N), DX), rng, 15.0, 15.0) < 0.3, demo.WEAK, 1.0)
    conductive = (smooth_noise(Grid((N, N), DX), rng, 2.0, 2.0) > 0.15) & (rng.random((N, N)) > 0.03)
    return Tissue(D=0.13 * factor, conductive=conductive, dx=DX)


SITES = ((12.0, 18.0, 0.0), (48.0, 36.0, 250.0))  # mm, mm, ms


@pytest.fixture(scope="module")
def reference(tissue):
    """The same run by the package, cells and all, in the precision of the page."""
    stimuli = [
        Stimulus(mask=focal_stimulus(Grid((N, N), DX), x, y).mask & tissue.live, start=start) for x, y, start in SITES
    ]
    return demo.beat(tissue, stimuli, pool=1, dtype=np.float64)


@pytest.fixture(scope="module")
def run(blank, tissue, reference):
    """The run by the page: V_m every 20 ms, activation times, the ECG every ms, and the end."""
    code = """([D, conductive, sites, n]) => {
        HELPERS
        const sheet = new d.Sheet(new Float64Array(bytes(D)), new Uint8Array(bytes(conductive)), n, n, d.data);
        for (const [x, y, start] of sites) sheet.stimulate(x, y, d.data.stimulus.radius, start);
        const L = d.leadField(sheet, {x: n * d.data.dx / 2, y: n * d.data.dx / 2, z: d.data.z_default});
        const ecg = [0], frames = [];
        for (let t = 1; t <= d.data.t_end; t++) {
            sheet.advance(10);
            const u = sheet.frame();
            ecg.push(d.pseudoEcg(L, u, d.data.span));
            if (t % 20 === 0) frames.push(btoa(String.fromCharCode(...new Uint8Array(u.buffer))));
            if (sheet.atRest()) break;
        }
        return {ecg, frames, lat: out(sheet.lat), time: sheet.time};
    }""".replace("HELPERS", HELPERS)
    return blank.evaluate(code, [packed(tissue.D), packed(tissue.conductive.astype(np.uint8)), SITES, N])


# The mathematics, against the package


def test_voltage_of_the_solver(run, reference):
    frames = [base64.b64decode(text) for text in run["frames"]]
    V_m = to_mV(np.array([np.frombuffer(one, np.float32).reshape(N, N) for one in frames]))
    expected = reference.V_m.sel(time=20.0 * np.arange(1, len(V_m) + 1)).values
    assert len(V_m) > 10 and expected.max() > -10
    assert np.abs(V_m - expected).max() < ALLOWED["V_m"]


def test_activation_times_and_the_end_of_the_beat(run, reference):
    lat, expected = np.array(run["lat"]).reshape(N, N), reference.lat.values
    assert ((lat >= 0) == np.isfinite(expected)).all() and (lat >= 0).mean() > 0.5
    assert np.abs(lat - expected)[lat >= 0].max() < ALLOWED["lat"]
    assert abs(run["time"] - float(reference.time_ecg[-1])) <= 1


def test_exact_ecg(run, reference):
    expected = reference.phi_e.values[0]
    n = min(len(expected), len(run["ecg"]))
    assert np.abs(np.array(run["ecg"][:n]) - expected[:n]).max() < ALLOWED["ecg"] * np.abs(expected).max()


# The surrogate, fed the same maps


@pytest.fixture(scope="module")
def model():
    return forwardecg.load_surrogate("structured")


@pytest.fixture(scope="module")
def maps(reference):
    """V_m (time, y, x) of pixels of 2 mm every 5 ms, in single precision."""
    return reference.V_m.coarsen(y_map=4, x_map=4).mean().values.astype(np.float32)


@pytest.fixture(scope="module")
def place():
    return Electrodes(np.array([[21.0, 36.0, 25.0]]), ("aside",))


@pytest.fixture(scope="module")
def predicted(model, maps, place):
    return model.predict(maps, dx=2.0, dt=5.0, unit="mV", electrodes=place)


@pytest.fixture(scope="module")
def page_surrogate(blank, maps):
    """All that the page makes of the maps."""
    code = """([u, n_t, n]) => {
        HELPERS
        const m = {u: new Float32Array(bytes(u)), n_t, n_y: n, n_x: n, dx: 2, dt: 5}, k = d.data.surrogate;
        const seen = d.see(m, k), nets = d.networks(d.data), found = nets.map((net) => d.infer(net, seen.inputs, n, n, k));
        const at = {x: 21, y: 36, z: 25}, ecg = d.ecgWithBand(found, m, at, d.data), D = d.conductivityWithError(found, m, d.data);
        const unusual = d.unusualness(d.data.reference, d.summary(seen.inputs, seen.fronts));
        return {
            fields: seen.inputs.fields.map(out), prior: out(seen.inputs.prior), share: out(seen.inputs.share),
            summary: d.summary(seen.inputs, seen.fronts), unusual, flags: d.flags(seen.inputs, unusual, d.data),
            found: found.map((one) => [out(one.D_xx), out(one.D_yy), out(one.share)]), traces: ecg.traces.map(out),
            phi: out(ecg.phi), low: out(ecg.low), high: out(ecg.high), D: out(D.D), error: out(D.error),
        };
    }""".replace("HELPERS", HELPERS)
    u = (to_u(maps)).astype(np.float32)
    return blank.evaluate(code, [packed(u), len(u), maps.shape[-1]])


@pytest.fixture(scope="module")
def seen(maps):
    return see_maps(forwardecg.data.maps.import_maps(maps, dx=2.0, dt=5.0, unit="mV"))


def test_fronts_and_inputs(page_surrogate, seen):
    for name, channels in (("fields", seen.inputs.fields), ("prior", seen.inputs.prior), ("share", seen.inputs.share)):
        expected = channels.double().numpy()
        found = np.array(page_surrogate[name]).reshape(expected.shape)
        assert np.abs(found - expected).max() < ALLOWED["inputs"], name
    assert np.ptp(page_surrogate["prior"]) > 0.5  # the maps hold slow and fast tissue


def test_local_slowness_leaves_out_flat_and_unreached_pixels(blank):
    rng = np.random.default_rng(3)
    parts, count = rng.exponential(1.0, (4, 3, 20, 24)) ** 3, (rng.random((20, 24)) > 0.3).astype(float)
    count[:, 14:] = 0  # far from all that were reached
    fields = [torch.from_numpy(z) for z in (count, count, count, count, parts, parts[:, 0])]
    expected = local_slowness(Fronts(*fields)).numpy()
    code = """([slowness, count]) => {
        const flat = slowness.map((kind) => kind.map((z) => Float64Array.from(z.flat())));
        const f = {slowness: flat, count: Float64Array.from(count.flat())};
        return Array.from(forwardecgDemo.localSlowness(f, 20, 24, forwardecgDemo.data.surrogate));
    }"""
    found = np.array(blank.evaluate(code, [parts.tolist(), count.tolist()])).reshape(20, 24)
    assert (found[:, 23] == found[0, 23]).all() and np.abs(found / expected - 1).max() < ALLOWED["inputs"]


def test_each_network(page_surrogate, model, seen):
    batch = Inputs(*(z[None] for z in seen.inputs))
    for network, found in zip(model.models, page_surrogate["found"], strict=True):
        with torch.no_grad():
            expected = [z[0].double().numpy().ravel() for z in network(batch)]
        for one, other in zip(found, expected, strict=True):
            assert np.abs(np.array(one) / other - 1).max() < ALLOWED["networks"]


def test_ecg_of_each_network_and_of_all_with_the_band(page_surrogate, model, seen, place, predicted):
    G = inner_gradients(Grid(seen.u.shape[1:], seen.dx), place)
    batch = Inputs(*(z[None] for z in seen.inputs))
    with torch.no_grad():
        alone = [
            V_SPAN * batched_lead_field(one(batch), *G)[0, 0].flatten() @ seen.u.flatten(1).T for one in model.models
        ]
    pairs = [*zip(page_surrogate["traces"], [one.numpy() for one in alone], strict=True)]
    pairs += [
        (page_surrogate[name], predicted[f"phi_e{more}"].values[0])
        for name, more in (("phi", ""), ("low", "_low"), ("high", "_high"))
    ]
    for found, expected in pairs:
        assert np.abs(np.array(found) - expected).max() < ALLOWED["surrogate"] * np.abs(expected).max()


def test_inferred_diffusivity_with_its_error(page_surrogate, predicted):
    for name, expected in (("D", predicted.D), ("error", predicted.D_error)):
        found = np.array(page_surrogate[name]).reshape(expected.shape)
        assert np.abs(found - expected.values).max() < ALLOWED["D"] * expected.values.max()


def test_unusualness_and_flags(page_surrogate, model, seen, predicted):
    expected = describe_maps(seen.inputs, seen.fronts)
    assert np.allclose(page_surrogate["summary"], expected, atol=ALLOWED["inputs"])
    assert abs(page_surrogate["unusual"] / predicted.attrs["unusual"] - 1) < ALLOWED["unusual"]
    assert bool(page_surrogate["flags"]) == bool(predicted.attrs["flags"])


# The files


def test_weights_are_those_of_the_published_networks():
    """Written by `python tools/demo.py weights`; the calibration may differ in its last digits between processors."""
    text = (demo.ASSETS / "weights.js").read_text(encoding="utf-8")
    stored, fresh = demo.read_script(text), demo.page_data()
    assert demo.script(stored) == text
    curves = [
        np.concatenate([np.ravel(one["calibration"][name]) for name in ("log_D", "coefficients")])
        for one in (stored, fresh)
    ]
    assert np.allclose(*curves, rtol=1e-6, atol=1e-9)
    without = [{name: value for name, value in one.items() if name != "calibration"} for one in (stored, fresh)]
    assert without[0] == demo.read_script(demo.script(without[1]))


def test_counterparts_that_the_scripts_name_are_in_the_package():
    """A function begins with /* module.name, the name of what it follows."""
    modules = {path.stem: path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")}
    scripts = "".join(path.read_text(encoding="utf-8") for path in sorted(demo.ASSETS.glob("*.js")))
    named = [one for one in re.findall(r"/\* ([a-z_]+)\.([A-Za-z0-9_.]+)", scripts) if one[0] not in ("torch", "numpy")]
    assert len(named) > 25
    for module, path in named:
        for name in path.rstrip(".").split("."):
            assert re.search(rf"(?m)^ *(?:def|class) {name}\b|^{name}\b", modules[module]), f"{module}.{path}"


def test_files_are_small_and_name_no_other_host():
    files = [path for path in demo.ASSETS.iterdir() if path.is_file()]
    assert {path.name for path in files} == {*SCRIPTS, "page.js", "demo.css", "still.webp"}
    assert sum(path.stat().st_size for path in files) < MOST_BYTES
    assert (demo.ASSETS / "still.webp").stat().st_size < 60_000
    for text in [path.read_text(encoding="utf-8") for path in files if path.suffix != ".webp"] + [demo.block()]:
        assert not re.search(r"//[\w.-]+\.\w|https?:|fetch\(|XMLHttpRequest|import\(|new Worker|type=.module", text)


def test_printed_tables_are_those_of_the_stored_rows():
    folder = ROOT / "data" / "results"
    rows = pd.read_csv(folder / "demo.csv")
    assert len(rows) == demo.N_TISSUES and (rows.kind.value_counts() == demo.N_TISSUES / len(demo.KINDS)).all()
    for name, text in demo.page_tables(rows).items():
        assert (folder / name).read_text(encoding="utf-8") == text
        assert f"../data/results/{name}" in demo.PAGE.read_text(encoding="utf-8")


def test_a_stored_row_is_found_again():
    """One sheet of those behind the table, simulated and predicted anew."""
    row = pd.read_csv(ROOT / "data" / "results" / "demo.csv").iloc[7]
    tissue, stimulus, kind = demo.demo_tissue(7)
    ds = demo.beat(tissue, stimulus)
    out = forwardecg.load_surrogate("structured").predict(ds)
    true = ds.phi_e.sel(time_ecg=ds.time.values).values
    assert row.kind == kind and abs(row.fibrosis - tissue.fibrosis_density) < 1e-6
    assert abs(row.r2 - r2(true, out.phi_e.values)[0]) < 1e-3


# The page


@pytest.fixture
def opened(chromium, tmp_path):
    """Opens the page alone in a context of its own; what goes wrong in its scripts fails the test."""
    contexts, problems = [], []

    def open_page(**options):
        contexts.append(chromium.new_context(**{"viewport": {"width": 1000, "height": 1100}} | options))
        page = contexts[-1].new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.on("request", lambda one: None if one.url.startswith("file:") else problems.append(one.url))
        page.goto(demo.bare_page(tmp_path, "main{margin:0 auto;max-width:900px}").as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not problems


def state(page) -> dict:
    return page.evaluate("forwardecgDemo.page.state()")


def until(page, condition: str) -> dict:
    page.wait_for_function(
        f"(() => {{ const s = forwardecgDemo.page.state(); return {condition}; }})()", timeout=600_000
    )
    return state(page)


def at(page, x: float, y: float) -> tuple[float, float]:
    """Place on the screen of a point of the sheet in mm."""
    page.locator("#demo-sheet").scroll_into_view_if_needed()
    box = page.locator("#demo-sheet").bounding_box()
    return box["x"] + box["width"] * x / 100, box["y"] + box["height"] * y / 100


def status(page) -> str:
    return page.inner_text("#demo-status")


def test_by_mouse(opened):
    """Clear, draw a scar, place stimulus and electrode, run; the surrogate answers, and finds the scar."""
    page = opened()
    assert state(page)["time"] == 0 and not state(page)["playing"]  # nothing starts by itself
    page.select_option("#demo-speed", "fast")
    page.click("[data-preset=healthy]")
    assert state(page)["fibrosis"] == 0
    page.mouse.move(*at(page, 62, 20))
    page.mouse.down()
    for y in (40, 60, 80):
        page.mouse.move(*at(page, 62, y))
    page.mouse.up()
    drawn = state(page)["fibrosis"]
    assert 1200 < drawn < 1800 and "do not conduct" in status(page)  # 60 mm x 6 mm, of cells of 0.25 mm2, and its ends
    for tool, (x, y) in (("stimulus", (15, 20)), ("electrode", (80, 30))):
        page.check(f"[name=demo-tool][value={tool}]", force=True)
        page.mouse.click(*at(page, x, y))
        placed = state(page)["start" if tool == "stimulus" else tool]
        assert abs(placed["x"] - x) < 1 and abs(placed["y"] - y) < 1
    page.click("#demo-play")
    halfway = until(page, "s.time > 40")
    assert halfway["playing"] and max(map(abs, halfway["samples"])) > 0
    assert page.inner_text("#demo-play") == "Pause"
    done = until(page, "s.surrogate === 'done'")
    assert done["over"] and done["score"]["r2"] > 0.95 and "R²" in page.inner_text("#demo-answer")
    assert "surrogate has answered" in status(page) and "when the wave first came" in status(page)
    assert done["view"] == "activation"  # the voltage at rest is the same everywhere
    assert "calibrated for an electrode 40 mm above the center only" in page.inner_text("#demo-answer")  # it was moved
    in_scar, beside = page.evaluate(
        "[30, 40].map((x) => { const D = forwardecgDemo.page.inferred(); return D[25 * 50 + x]; })"
    )
    assert in_scar < 0.5 * beside
    # hidden: only voltage on coarse pixels is left
    shots = [page.locator("#demo-true-d").screenshot()]
    page.uncheck("#demo-reveal")
    shots.append(page.locator("#demo-true-d").screenshot())
    assert shots[0] != shots[1] and page.is_visible("#demo-hidden-note") and "hidden" in status(page)
    # its activation times are those of the mean voltage: no pixel of the map is as fine as a cell
    assert "mean voltage" in page.inner_text("#demo-hidden-note")
    assert "read from it" in page.inner_text("#demo-hidden-note")
    fine, seen = (
        np.array(page.evaluate(f"forwardecgDemo.page.activation({which}).map((t) => (Number.isNaN(t) ? -1 : t))"))
        for which in ("true", "false")
    )
    fine, seen = fine.reshape(50, 4, 50, 4).transpose(0, 2, 1, 3).reshape(50, 50, 16), seen.reshape(50, 50)
    whole = (fine >= 0).all(axis=2)
    assert whole.mean() > 0.8 and (seen[whole] >= 0).all() and (seen[(fine < 0).all(axis=2)] == -1).all()
    assert np.abs(fine.mean(axis=2) - seen)[whole].max() < 5 and np.median(np.abs(fine.mean(axis=2) - seen)[whole]) < 1
    # after the beat the voltage is shown where the ECG is largest
    page.select_option("#demo-view", "voltage")
    largest = 5 * round(int(np.argmax(np.abs(done["samples"]))) / 5)
    assert abs(int(page.inner_text("#demo-now").split()[0]) - largest) <= 5 and "largest" in status(page)
    assert "These colors are all" in page.inner_text("#demo-hidden-note")
    page.check("#demo-reveal")
    # the electrode nearer: another ECG and another answer, without a run
    page.locator("#demo-height").fill("15")
    nearer = state(page)
    assert nearer["electrode"]["z"] == 15 and nearer["score"]["r2"] != done["score"]["r2"]
    assert max(map(abs, nearer["samples"])) > 1.2 * max(map(abs, done["samples"]))
    page.locator("#demo-time").fill("50")
    assert state(page)["view"] == "voltage"
    # in the true map what does not conduct is white, as the legend says
    assert "white: does not conduct" in page.inner_text("#demo-app")
    in_scar, beside = page.evaluate(
        """[180, 240].map((x) => [...document.getElementById("demo-true-d").getContext("2d").getImageData(x + 6, 150, 1, 1).data])"""
    )
    assert in_scar[:3] == [255, 255, 255] and beside[:3] != in_scar[:3]
    assert page.inner_text("#demo-now") == "50 ms"
    page.click("#demo-reset")
    assert state(page)["time"] == 0 and state(page)["surrogate"] == "none" and state(page)["fibrosis"] == drawn


def test_what_is_changed_while_the_wave_runs(opened):
    """The true D is hidden at once; a beat asked for beside S is not a new start; a pause does not double the pace."""
    page = opened()
    page.select_option("#demo-speed", "slow")
    page.click("#demo-play")
    until(page, "s.time > 2")
    shots = [page.locator("#demo-true-d").screenshot()]
    page.uncheck("#demo-reveal")
    assert state(page)["playing"]
    shots.append(page.locator("#demo-true-d").screenshot())
    assert shots[0] != shots[1]
    ticks, frames = page.evaluate("""async () => {
        const own = requestAnimationFrame, wait = () => new Promise((go) => own(go));
        let ticks = 0, frames = 0;
        window.requestAnimationFrame = (act) => own((now) => (ticks++, act(now)));
        for (let k = 0; k < 8; k++) document.getElementById("demo-play").click();
        for (; frames < 12; frames++) await wait();
        window.requestAnimationFrame = own;
        return [ticks, frames];
    }""")
    assert ticks <= frames + 1, "one picture a frame, however often Pause was pressed"
    page.click("#demo-play")
    before = state(page)
    assert not before["playing"] and before["time"] > 0
    page.check("#demo-reveal")
    page.mouse.click(*at(page, before["start"]["x"], before["start"]["y"]))  # paints, and the run starts anew
    after = state(page)
    assert (after["stimuli"], after["time"], after["start"]) == (0, 0, before["start"])
    assert after["fibrosis"] > before["fibrosis"]


def test_an_answer_to_another_sheet_is_dropped(opened):
    """Reset in the moment between the end of the beat and the first look at the maps."""
    page = opened()
    page.select_option("#demo-speed", "fast")
    page.evaluate("""() => new MutationObserver((_, watch) => {
        if (!forwardecgDemo.page.state().over) return;
        watch.disconnect();
        forwardecgDemo.page.reset();
        window.wasReset = true;
    }).observe(document.getElementById("demo-status"), { childList: true })""")
    page.click("#demo-play")
    page.wait_for_function("window.wasReset", timeout=600_000)
    page.wait_for_timeout(500)
    assert state(page)["surrogate"] == "none" and state(page)["score"] is None and "refuses" not in status(page)


def test_a_second_finger_draws_nothing(opened):
    page = opened()
    before = state(page)["fibrosis"]
    place = dict(zip(("clientX", "clientY"), at(page, 70, 70), strict=True)) | {"pointerId": 7}
    code = """(place) => {
        const sheet = document.getElementById("demo-sheet");
        sheet.setPointerCapture = () => {};  // there is no such finger
        for (const kind of ["pointerdown", "pointermove", "pointerup"]) sheet.dispatchEvent(new PointerEvent(kind, place));
    }"""
    page.evaluate(code, {**place, "isPrimary": False})
    assert state(page)["fibrosis"] == before
    page.evaluate(code, {**place, "isPrimary": True})
    assert state(page)["fibrosis"] > before


def test_by_touch(opened):
    page = opened(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True, device_scale_factor=2)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate("getComputedStyle(document.getElementById('demo-sheet')).touchAction") == "none"
    assert page.evaluate("getComputedStyle(document.getElementById('demo-app')).touchAction") == "auto"
    page.tap("[data-preset=healthy]")
    page.touchscreen.tap(*at(page, 70, 70))
    assert state(page)["fibrosis"] > 50
    page.tap(".demo-tools label:has([value=stimulus])")
    page.touchscreen.tap(*at(page, 30, 80))
    assert abs(state(page)["start"]["y"] - 80) < 1.5
    page.tap(".demo-tools label:has([value=electrode])")
    page.touchscreen.tap(*at(page, 60, 20))
    assert abs(state(page)["electrode"]["x"] - 60) < 1.5
    page.tap("#demo-big-play")
    assert max(map(abs, until(page, "s.time > 15")["samples"])) > 0
    page.tap("#demo-play")
    assert not state(page)["playing"] and "Paused" in status(page)


def test_by_keyboard(opened):
    """Everything with keys, reached by Tab in the order of the page."""
    page = opened()
    reached = []
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate(
                "document.activeElement.id || document.activeElement.value || document.activeElement.dataset.preset"
            )
        )
        if reached[-1] == "healthy":
            page.keyboard.press("Enter")
        if reached[-1] == "demo-sheet":
            break
    assert reached[0] == "healthy" and reached[-1] == "demo-sheet" and "fibrosis" in reached
    assert state(page)["fibrosis"] == 0
    for _ in range(4):
        page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("ArrowDown")
    assert state(page)["cursor"] == {"x": 50, "y": 31, "shown": True} and "50, 31 mm, conducts" in status(page)
    page.keyboard.press("Space")
    assert state(page)["fibrosis"] > 50
    for _ in range(6):
        page.keyboard.press("Shift+ArrowDown")
    page.keyboard.press("s")
    assert state(page)["start"] == {"x": 50, "y": 61} and "will start at 50, 61 mm" in status(page)
    page.keyboard.press("Shift+ArrowLeft")
    page.keyboard.press("e")
    assert state(page)["electrode"]["x"] == 45 and "Electrode at 45, 61 mm" in status(page)
    page.keyboard.press("p")
    until(page, "s.time > 10")
    page.keyboard.press("s")  # another beat, while the first one runs
    assert state(page)["stimuli"] == 1 and "Stimulus at" in status(page)
    page.keyboard.press("p")
    assert not state(page)["playing"]
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"


def test_what_is_out_of_sight_is_paused(opened):
    page = opened(viewport={"width": 1000, "height": 500})
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<div style=\"height: 4000px\"></div>')")
    page.click("#demo-play")
    until(page, "s.time > 5")
    page.evaluate("scrollTo(0, 4000)")
    stopped = until(page, "!s.visible")
    page.wait_for_timeout(400)
    assert state(page)["time"] <= stopped["time"] + 2
    page.evaluate("scrollTo(0, 0)")
    until(page, f"s.time > {stopped['time'] + 5}")


def test_reduced_motion(opened):
    """No animation: large steps, then the map of activation times; who wants to see it move may."""
    page = opened(reduced_motion="reduce")
    assert not page.is_checked("#demo-animate") and state(page)["time"] == 0
    page.click("[data-preset=healthy]")
    page.evaluate("""() => {  // every refresh writes the time: what the state is then
        const { set, get } = Object.getOwnPropertyDescriptor(Node.prototype, "textContent");
        window.refreshes = [];
        Object.defineProperty(document.getElementById("demo-now"), "textContent", { get, set(text) {
            const { time, playing } = forwardecgDemo.page.state();
            refreshes.push([time, playing]);
            set.call(this, text);
        } });
    }""")
    page.click("#demo-play")
    assert "large steps" in status(page)
    assert until(page, "s.over")["view"] == "activation"
    running = [time for time, playing in page.evaluate("refreshes") if playing and time > 0]
    assert len({round(time) for time in running}) >= 2
    assert all(abs(time - 50 * round(time / 50)) < 1e-6 for time in running), running
    page.click("[data-preset=compact]")  # another tissue: an answer of the surrogate that is on its way is dropped
    page.wait_for_timeout(1000)
    assert state(page)["surrogate"] == "none" and state(page)["score"] is None and state(page)["view"] == "voltage"
    page.check("#demo-animate")
    page.click("#demo-play")
    assert until(page, "s.time > 3")["view"] == "voltage"


def test_a_wave_that_cannot_start_and_maps_that_say_nothing(opened):
    """Fibrosis under the stimulus; a wave that is walled in."""
    page = opened()
    page.evaluate("forwardecgDemo.page.tissue.conductive.fill(0); forwardecgDemo.page.reset()")
    page.click("#demo-play")
    assert not state(page)["playing"] and "No conductive cell" in status(page)
    wall = "c.forEach((_, i) => (c[i] = Math.hypot((i % 200) / 2 - 10, Math.floor(i / 200) / 2 - 50) < 8 ? 1 : 0))"
    page.evaluate(
        f"(() => {{ const c = forwardecgDemo.page.tissue.conductive; {wall}; forwardecgDemo.page.reset(); }})()"
    )
    page.select_option("#demo-speed", "fast")
    page.click("#demo-play")
    until(page, "s.surrogate === 'refused'")
    assert "refuses" in status(page)


def test_labels_and_colors(opened):
    """Every control has a name; no violation of what axe can test, in light and in dark."""
    from axe_playwright_python.sync_playwright import Axe

    page = opened()
    page.add_style_tag(
        content="html[data-theme=dark]{background:#121212;--pst-color-text-base:#ced6dd;--pst-color-text-muted:#9ca4af;"
        "--pst-color-border:#48566b;--pst-color-surface:#29313d;--pst-color-background:#121212;--pst-color-primary:#5593e6}"
    )
    for theme in ("light", "dark"):
        page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
        found = Axe().run(page, context="#demo-app", options={"preload": False}).response["violations"]
        assert not found, [(one["id"], [node["html"] for node in one["nodes"]]) for one in found]


def test_without_scripts_there_is_a_sentence_and_a_picture(chromium, tmp_path):
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(demo.bare_page(tmp_path).as_uri())
    assert "needs JavaScript" in page.inner_text("main") and not page.is_visible("#demo-app")
    assert page.locator("noscript img, main img").first.bounding_box()["width"] > 100
    context.close()


def test_presets_are_drawn_from_their_seed(blank):
    """The same seed gives the same sheet; shares of fibrosis are those of the recipe."""
    code = """() => Object.fromEntries(["healthy", "diffuse", "patchy", "compact", "weak"].map((name) => [name, [1, 2, 3, 1].map((seed) => {
        const { factor, conductive } = forwardecgDemo.preset(name, seed, 200, 0.5);
        return [1 - conductive.reduce((a, b) => a + b) / 40000, Math.min(...factor), conductive.reduce((a, b, i) => (a * 31 + b) % 1000003)];
    })]))"""
    sheets = blank.evaluate(code)
    for name, drawn in sheets.items():
        assert drawn[0] == drawn[3] and (name in ("healthy", "weak") or drawn[0] != drawn[1])
    shares = {name: [one[0] for one in drawn] for name, drawn in sheets.items()}
    assert max(shares["healthy"] + shares["weak"]) == 0 and min(shares["compact"]) > 0 and max(shares["compact"]) < 0.3
    for name, (low, high) in (("diffuse", (0.045, 0.285)), ("patchy", (0.08, 0.35))):
        assert all(low <= share <= high for share in shares[name])
    assert all(0.3 <= one[1] < 0.75 for one in sheets["weak"])


def test_weak_coupling_is_named_by_its_factor(opened):
    """Preset and brush say by how much D is lower, not that nothing is blocked."""
    page = opened()
    page.click("[data-preset=weak]")
    least = page.evaluate("Math.min(...forwardecgDemo.page.tissue.factor)")
    assert f"down to {least:.2f} times" in status(page) and "do not conduct" not in status(page)
    page.click("[data-preset=healthy]")
    assert "all cells conduct alike" in status(page)
    page.check("[name=demo-tool][value=weak]", force=True)
    page.mouse.click(*at(page, 70, 70))
    assert f"down to {demo.WEAK:.2f} times" in status(page) and "do not conduct" not in status(page)


def test_the_band_is_said_to_be_calibrated_for_one_electrode_once_it_has_moved(opened):
    page = opened()
    page.select_option("#demo-speed", "fast")
    page.click("#demo-play")
    until(page, "s.surrogate === 'done'")
    words = f"calibrated for an electrode {demo.Recipe(n_sim=1).z_mm:g} mm above the center only"
    assert words not in page.inner_text("#demo-answer")
    page.locator("#demo-height").fill("30")
    assert words in page.inner_text("#demo-answer")
    page.locator("#demo-height").fill("40")
    assert words not in page.inner_text("#demo-answer")


def test_the_page_names_its_sizes(opened):
    """What stands in the html, in the words around it and in the scripts is what the data are."""
    page, data = opened(), demo.page_data()
    text = page.inner_text("#demo-app")
    side, training = data["n"] * data["dx"], demo.Recipe(n_sim=1)
    assert f"{data['dx']} mm" in text and f"{side:g} mm sheet" in text
    assert f"used {training.n_cells * training.dx:g} mm" in text
    for name, (low, high) in (("d0", data["D0"]), ("height", data["z"])):
        assert [float(page.get_attribute(f"#demo-{name}", end)) for end in ("min", "max")] == [low, high]
    presets = page.eval_on_selector_all("[data-preset]", "(all) => all.map((one) => one.dataset.preset)")
    assert sorted(presets) == sorted(demo.KINDS)
    page.click("[data-preset=patchy]")
    assert status(page).startswith(f"{demo.NAMES['patchy'].capitalize()}: ")
    # the numbers in prose
    coverage = f"{100 * data['bands']['phi_e']['coverage']:g} %"
    assert f"its {coverage} band" in text
    steps = page.evaluate("forwardecgDemo.page.steps")
    prose = demo.PAGE.read_text(encoding="utf-8").replace(demo.block(), "")
    number = {3: "three", 4: "four", 5: "five", 6: "six"}[data["config"]["members"]]
    for words in (
        f"the {number} networks",
        f"maps of {data['pool'] * data['dx']:g} mm every {data['frame_interval']:g} ms",
        f"to hold {coverage} of whole traces on sheets of {training.n_cells * training.dx:g} mm",
        f"steps of {steps['still']} ms",
        f"line every {steps['lines']} ms",
    ):
        assert words in prose, words
    assert not re.search(
        r"five networks|\b2 mm|90 %", (demo.ASSETS / "page.js").read_text(encoding="utf-8") + demo.block()
    )
