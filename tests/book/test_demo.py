"""The live demo: its scripts say what the package says, its files are small, whole and up to date, and its page can be used."""

import base64
import io
import re
from collections import Counter, defaultdict
from dataclasses import replace

import demo
import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import forwardecg
import forwardecg.data.maps
from compendium.registry import ROOT
from forwardecg.contract import V_SPAN, to_mV, to_u
from forwardecg.ecg.electrodes import Electrodes
from forwardecg.measure.scores import r2
from forwardecg.paths import PACKAGE
from forwardecg.surrogates.predict import see_maps
from forwardecg.surrogates.structured.fronts import Fronts, local_slowness
from forwardecg.surrogates.structured.model import (
    Inputs,
    Structured,
    StructuredConfig,
    batched_lead_field,
    describe_maps,
    inner_gradients,
)
from forwardecg.tissue.grid import Grid
from forwardecg.tissue.sheet import Tissue, smooth_noise
from forwardecg.tissue.stimulus import Stimulus, focal_stimulus

ALLOWED = {name: value for name, (_, value, _) in demo.TOLERANCES.items()}
SCRIPTS = (
    "weights.js", "paper_weights.js", "solver.js", "ecg.js", "surrogate.js", "paper.js", "presets.js", "drawing.js",
    "draw.js", "game.js", "share.js",
)  # fmt: skip
N, DX = 120, 0.5  # a sheet of 60 mm: any size will do for the mathematics
MOST_BYTES = 700_000


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
        const at = {x: 21, y: 36, z: 25}, D = d.conductivityWithError(found, m, d.data);
        const described = d.summary(seen.inputs, seen.fronts), unusual = d.unusualness(d.data.references, described);
        const ecg = d.ecgWithBand(found, m, at, described, unusual, d.data);
        return {
            fields: seen.inputs.fields.map(out), prior: out(seen.inputs.prior), share: out(seen.inputs.share),
            summary: d.summary(seen.inputs, seen.fronts), unusual, flags: d.flags(seen.inputs, unusual, ecg.expected, d.data), expected: ecg.expected,
            found: found.map((one) => [out(one.D_xx), out(one.D_yy), out(one.share)]), traces: ecg.traces.map(out),
            phi: out(ecg.phi), low: out(ecg.low), high: out(ecg.high), D: out(D.D), error: out(D.error),
            formula: out(d.mapEcg(d.formula(seen.inputs), m, at, d.data)),
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


def test_formula_is_the_prior_that_no_network_corrects(page_surrogate, seen, place):
    """Written out in the package, and the same as a structured network that has not been trained."""
    expected = demo.formula_ecg(seen, place)
    with torch.no_grad():
        untrained = Structured(StructuredConfig())(Inputs(*(z[None] for z in seen.inputs)))
        G = inner_gradients(Grid(seen.u.shape[1:], seen.dx), place)
        other = V_SPAN * batched_lead_field(untrained, *G)[0, 0].flatten() @ seen.u.flatten(1).T
    largest = np.abs(expected).max()
    assert np.abs(expected - other.numpy()).max() < 1e-3 * largest
    assert np.abs(np.array(page_surrogate["formula"]) - expected).max() < ALLOWED["formula"] * largest
    assert np.abs(np.array(page_surrogate["formula"]) - page_surrogate["phi"]).max() > 0.01 * largest


# The paper's network, fed maps of the size that it was trained on


@pytest.fixture(scope="module")
def paper_pair():
    """The network of 09_training, and the same with the weights of the page."""
    paper = demo.papers_network()
    text = (demo.ASSETS / "paper_weights.js").read_text(encoding="utf-8")
    return paper, replace(paper, model=demo.paper_on_page(demo.read_script(text)))


@pytest.mark.parametrize("sim", [0, 3])
def test_papers_network(blank, paper_pair, sim):
    """The page against torch with the same weights; and what few bits cost against the unrounded ones."""
    V_m = forwardecg.data.maps.load_small().V_m[sim]
    code = """([u, n_t, n]) => {
        HELPERS
        const m = {u: new Float32Array(bytes(u)), n_t, n_y: n, n_x: n, dx: 2, dt: 5};
        return out(d.paperEcg(m, d.unpackPaper(d.paperData), d.paperData).phi);
    }""".replace("HELPERS", HELPERS)
    found = np.array(blank.evaluate(code, [packed(to_u(V_m.values).astype(np.float32)), *V_m.shape[:2]]))
    published, on_page = (one.predict(V_m, dx=2.0).phi_e.values for one in paper_pair)
    assert found.shape == on_page[0].shape == (91,)
    assert np.abs(found - on_page[0]).max() < ALLOWED["paper"] * np.abs(on_page).max()
    assert 0 < 1 - r2(published, on_page)[0] < ALLOWED["bits"]


def test_papers_network_on_a_recording_that_ends_at_rest(blank, paper_pair):
    """The frames that are not there are at rest; the answer is as long as the recording."""
    V_m = forwardecg.data.maps.load_small().V_m[1]
    last = int(np.flatnonzero((to_u(V_m.values) > 0.1).any((1, 2)))[-1]) + 2
    code = """([u, n_t, n]) => {
        HELPERS
        const m = {u: new Float32Array(bytes(u)), n_t, n_y: n, n_x: n, dx: 2, dt: 5};
        return out(d.paperEcg(m, d.unpackPaper(d.paperData), d.paperData).phi);
    }""".replace("HELPERS", HELPERS)
    V_m = V_m[:last]
    found = np.array(blank.evaluate(code, [packed(to_u(V_m.values).astype(np.float32)), *V_m.shape[:2]]))
    expected = paper_pair[1].predict(V_m, dx=2.0).phi_e.values[0]
    assert len(found) == len(expected) < 91
    assert np.abs(found - expected).max() < ALLOWED["paper"] * np.abs(expected).max()


def test_half_precision(blank):
    """Every kind of number: normal, below the least normal one, zero, of both signs."""
    values = np.array([0, 1, -2.5, 0.1, 65504, 6e-5, -6e-8, 3e-6], np.float16)
    text = packed(values.view(np.uint8))
    found = blank.evaluate(f"() => {{ {HELPERS} return out(d.halves(new Uint8Array(bytes('{text}')))); }}")
    assert found == values.astype(float).tolist()


def test_rises_again(blank):
    """Two of six pixels rise through one half twice."""
    u = np.zeros((6, 6), np.float32)
    u[1], u[4, :2] = 1, 1
    u[3] = 0.4
    code = "(u) => forwardecgDemo.risesAgain({u: Float32Array.from(u.flat()), n_t: 6, n_y: 2, n_x: 3})"
    assert blank.evaluate(code, u.tolist()) == pytest.approx(2 / 6)


def test_unusualness_and_flags(page_surrogate, model, seen, predicted):
    expected = describe_maps(seen.inputs, seen.fronts)
    assert np.allclose(page_surrogate["summary"], expected, atol=ALLOWED["inputs"])
    assert abs(page_surrogate["unusual"] / predicted.attrs["unusual"] - 1) < ALLOWED["unusual"]
    assert abs(page_surrogate["expected"] / float(predicted.expected_error[0]) - 1) < ALLOWED["unusual"]
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
    assert (demo.ASSETS / "paper_weights.js").read_text(encoding="utf-8") == demo.script(demo.paper_data(), "paperData")


def test_few_bits_are_the_best_of_their_kind():
    """Rows come back to half a step, but for those few that are cut off; the scale of a row is the best of the candidates."""
    rows = np.random.default_rng(5).standard_normal((6, 400)) * np.logspace(-3, 1, 6)[:, None]
    for bits in (5, 8):
        codes, scale = demo.coded(rows, bits)
        most = 2 ** (bits - 1) - 1
        off = np.abs(demo.decoded(codes, scale) - rows)
        cut = np.abs(codes) == most
        assert np.abs(codes).max() == most and (off <= 0.5001 * scale[:, None])[~cut].all() and cut.mean() < 0.02
        for factor in (0.8, 1.2):
            other = (scale * factor).astype(np.float16)
            worse = np.square(demo.decoded(demo.code(rows, other, most), other) - rows).sum(1)
            assert (np.square(off).sum(1) < worse).all()


def test_counterparts_that_the_scripts_name_are_in_the_package():
    """A function begins with /* module.name, the name of what it follows."""
    modules = defaultdict(str)
    for path in PACKAGE.rglob("*.py"):  # several have the same name
        modules[path.stem] += path.read_text(encoding="utf-8")
    scripts = "".join(path.read_text(encoding="utf-8") for path in sorted(demo.ASSETS.glob("*.js")))
    named = [one for one in re.findall(r"/\* ([a-z_]+)\.([A-Za-z0-9_.]+)", scripts) if one[0] not in ("torch", "numpy")]
    assert len(named) > 30
    for module, path in named:
        for name in path.rstrip(".").split("."):
            assert module in modules
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


# What is drawn, scored and shared, without the page


def test_a_link_holds_the_sheet(blank):
    """There and back; a refusal names the part that is wrong."""
    strokes = [
        {"tool": "fibrosis", "brush": 12, "points": [[0, 0], [399, 399]]},
        {"tool": "weak", "brush": 40, "points": [[200, 100]]},
        {"tool": "erase", "brush": 2, "points": [[37, 36], [35, 34], [1, 2]]},
    ]
    places = {"D0": 0.145, "start": {"x": 12.25, "y": 3}, "electrode": {"x": 100, "y": 99.5, "z": 17}}
    sheet = {"preset": "compact", "seed": 4711, "strokes": strokes} | places
    link = blank.evaluate("(sheet) => forwardecgDemo.toLink(sheet)", sheet)
    assert re.fullmatch(r"[\w=&.,~]+", link), "nothing that an address would have to escape"
    assert blank.evaluate("(link) => forwardecgDemo.fromLink(link)", link) == sheet
    refused = (
        "(link) => { try { forwardecgDemo.fromLink(link); return ''; } catch (problem) { return problem.message; } }"
    )
    for part, value in (
        ("sheet", "granite.3"), ("sheet", "toString.1"), ("D", "0.5"), ("D", "x"), ("S", "10"), ("S", "10,300"), ("E", "1,2,900"),
        ("draw", "f12.zzzz"), ("draw", "f12.0a0"), ("draw", "q12.0a0b"), ("draw", "f0.0a0b"),
    ):  # fmt: skip
        wrong = re.sub(rf"\b{part}=[^&]*", f"{part}={value}", link)
        assert blank.evaluate(refused, wrong).startswith(f"{part}: expected "), (part, value)
    assert blank.evaluate(refused, "sheet=patchy.1").startswith("D: expected ")


def test_strokes_are_discs_and_lines_between(blank):
    """Against the distance to the line; erasing gives healthy tissue back."""
    code = """(strokes) => {
        const { factor, conductive } = forwardecgDemo.tissueOf({ preset: "healthy", seed: 1, strokes });
        return [Array.from(factor), Array.from(conductive)];
    }"""
    line = {"tool": "fibrosis", "brush": 20, "points": [[100, 50], [180, 110]]}
    factor, conductive = (np.array(one).reshape(400, 400) for one in blank.evaluate(code, [line]))
    j, i = np.mgrid[:400, :400]
    along = np.clip(((i - 100) * 80 + (j - 50) * 60) / 100**2, 0, 1)
    distance = np.hypot(i - 100 - 80 * along, j - 50 - 60 * along)
    assert (conductive[distance < 19.9] == 0).all() and (conductive[distance > 20.1] == 1).all() and (factor == 1).all()
    over = line | {"tool": "erase", "brush": 24}
    factor, conductive = (np.array(one) for one in blank.evaluate(code, [line, line | {"tool": "weak"}, over]))
    assert (conductive == 1).all() and (factor == 1).all()
    factor, conductive = (np.array(one) for one in blank.evaluate(code, [line | {"tool": "weak"}]))
    assert (conductive == 1).all() and set(factor) == {1, demo.WEAK}


def test_lines_of_equal_value_are_whole(blank):
    """Circles: each end of a segment is that of one other, and lies where the value is that of its line."""
    n, step = 40, 3
    j, i = np.mgrid[:n, :n] + 0.5
    radius = np.hypot(i - 20.3, j - 19.6)
    code = "([z, n, step]) => forwardecgDemo.draw.contours(z, n, step)"
    segments = np.array(blank.evaluate(code, [radius.ravel().tolist(), n, step]))
    ends = segments.reshape(-1, 2)
    at = np.hypot(*(ends - [20.3, 19.6]).T)
    assert np.abs(at - step * np.round(at / step)).max() < 0.1
    inside = at < 18
    times = Counter(map(tuple, np.round(ends[inside], 6)))
    assert set(times.values()) == {2}
    assert {round(one / step) for one in at[inside]} == {1, 2, 3, 4, 5, 6}
    # nothing where a corner is not known, and four cuts of a saddle give two segments
    holed = np.where(radius < 7, None, radius)
    left = np.array(
        blank.evaluate(
            code.replace("contours(z,", "contours(z.map((one) => one ?? NaN),"), [holed.ravel().tolist(), n, step]
        )
    )
    assert np.hypot(*(left.reshape(-1, 2) - [20.3, 19.6]).T).min() > 7
    assert len(blank.evaluate(code, [[0, 1.5, 1.5, 0], 2, 1])) == 2


def test_scores_of_a_guess(blank):
    """Dice of known overlaps; pixels by their majority; an ECG that ends earlier goes on at rest."""
    code = "([a, b]) => forwardecgDemo.game.dice(Uint8Array.from(a), Uint8Array.from(b))"
    for a, b, expected in (
        ([1, 1, 0, 0], [1, 1, 0, 0], 1), ([1, 1, 0, 0], [0, 0, 1, 1], 0), ([1, 1, 1, 0], [1, 0, 0, 0], 0.5), ([0, 0], [0, 0], 0),
    ):  # fmt: skip
        assert blank.evaluate(code, [a, b]) == expected
    rng = np.random.default_rng(2)
    conductive = (rng.random((400, 400)) > 0.5).astype(int)
    found = blank.evaluate("(c) => Array.from(forwardecgDemo.game.scarOf(c))", conductive.ravel().tolist())
    assert (np.array(found).reshape(100, 100) == (conductive.reshape(100, 4, 100, 4).mean((1, 3)) < 0.5)).all()
    D = rng.random(101)
    found = blank.evaluate("(D) => Array.from(forwardecgDemo.game.scarSeen(D))", D.tolist())
    assert (np.array(found) == (np.median(D) / 2 > D)).all() and 0 < sum(found) < 101
    truth, guess = rng.standard_normal(50), rng.standard_normal(40)
    found = blank.evaluate("([a, b]) => forwardecgDemo.game.likeness(a, b)", [truth.tolist(), guess.tolist()])
    assert found == pytest.approx(r2(truth[None], np.pad(guess, (0, 10))[None])[0])


def test_hidden_sheets_can_be_guessed(blank):
    """Scars of a fair size, none under the stimulus, the same from the same number."""
    code = """(seeds) => seeds.map((seed) => {
        const drawn = forwardecgDemo.game.hiddenSheet(seed, { x: 20, y: 100 }), { conductive } = forwardecgDemo.tissueOf(drawn);
        return [drawn.seed, Array.from(forwardecgDemo.game.scarOf(conductive)), Array.from(conductive)];
    })"""
    sheets = blank.evaluate(code, [1, 50, 900, 1])
    assert sheets[0] == sheets[3] and sheets[0][1] != sheets[1][1]
    j, i = (np.mgrid[:400, :400] + 0.5) * DX
    for seed, scar, conductive in sheets:
        assert seed >= 1 and 0.03 <= np.mean(scar) <= 0.25
        assert np.reshape(conductive, (400, 400))[np.hypot(i - 20, j - 100) < 5].all()


def test_csv(blank):
    """A row for each time, empty where a column has no value then; units in the head."""
    columns = [
        {"name": "exact", "every": 1, "phi": [0, 1, -2.5, 3, 4]},
        {"name": "structured", "every": 2, "phi": [5, 6]},
    ]
    text = blank.evaluate("([t, c]) => forwardecgDemo.share.csv(t, c)", [[0, 1, 2, 3, 4], columns])
    rows = pd.read_csv(io.StringIO(text))
    assert [*rows] == ["time (ms)", "exact (mV mm/ms)", "structured (mV mm/ms)"]
    assert rows["exact (mV mm/ms)"].tolist() == columns[0]["phi"]
    assert rows["structured (mV mm/ms)"].dropna().to_dict() == {0: 5, 2: 6}


# The page


SHEET = 200  # mm


@pytest.fixture
def opened(chromium, tmp_path):
    """Opens the page alone in a context of its own; what goes wrong in its scripts fails the test."""
    contexts, problems = [], []

    def open_page(hash="", **options):
        contexts.append(chromium.new_context(**{"viewport": {"width": 1000, "height": 1100}} | options))
        page = watched(contexts[-1].new_page(), problems)
        page.goto(demo.bare_page(tmp_path, "main{margin:0 auto;max-width:900px}").as_uri() + hash)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not problems


def watched(page, problems: list[str]):
    page.set_default_timeout(600_000)  # a machine that is busy with other things opens a page in half a minute
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.on("request", lambda one: None if one.url.startswith(("file:", "blob:")) else problems.append(one.url))
    return page


@pytest.fixture(scope="module")
def finished(chromium, tmp_path_factory):
    """The page after a beat of a sheet with diffuse fibrosis; tests leave it as they found it."""
    problems: list[str] = []
    page = watched(chromium.new_page(viewport={"width": 1000, "height": 1000}), problems)
    page.goto(demo.bare_page(tmp_path_factory.mktemp("finished"), "main{margin:0 auto;max-width:900px}").as_uri())
    page.click("[data-preset=diffuse]")
    run_to_the_end(page)
    yield page
    page.close()
    assert not problems


def run_to_the_end(page) -> dict:
    page.select_option("#demo-speed", "fast")
    page.click("#demo-play")
    return until(page, "s.surrogate === 'done'")


def state(page) -> dict:
    return page.evaluate("forwardecgDemo.page.state()")


def until(page, condition: str) -> dict:
    page.wait_for_function(
        f"(() => {{ const s = forwardecgDemo.page.state(); return {condition}; }})()", timeout=1_200_000
    )
    return state(page)


def at(page, x: float, y: float) -> tuple[float, float]:
    """Place on the screen of a point of the sheet in mm; y is upward."""
    page.locator("#demo-sheet").scroll_into_view_if_needed()
    box = page.locator("#demo-sheet").bounding_box()
    return box["x"] + box["width"] * x / SHEET, box["y"] + box["height"] * (1 - y / SHEET)


def status(page) -> str:
    return page.inner_text("#demo-status")


def color_at(page, canvas: str, x: float, y: float) -> list[int]:
    """Red, green and blue of a canvas at a point of the sheet in mm."""
    code = """([name, x, y]) => {
        const canvas = document.getElementById(name), at = (part) => Math.floor(part * (canvas.width - 1));
        return [...canvas.getContext("2d").getImageData(at(x), at(1 - y), 1, 1).data].slice(0, 3);
    }"""
    return page.evaluate(code, [canvas, x / SHEET, y / SHEET])


def pixels_of(page, canvas: str) -> np.ndarray:
    """A canvas as (y, x, red green blue)."""
    url = page.evaluate("(name) => document.getElementById(name).toDataURL()", canvas)
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).convert("RGB")).astype(int)


def draw(page, *points: tuple[float, float]) -> None:
    page.mouse.move(*at(page, *points[0]))
    page.mouse.down()
    for point in points[1:]:
        page.mouse.move(*at(page, *point))
    page.mouse.up()


def test_by_mouse(opened):
    """Clear, draw a scar, place stimulus and electrode, run; the surrogate answers, and finds the scar."""
    page = opened()
    assert state(page)["time"] == 0 and not state(page)["playing"]  # nothing starts by itself
    page.click("[data-preset=healthy]")
    assert state(page)["fibrosis"] == 0
    draw(page, (124, 40), (124, 80), (124, 120), (124, 160))
    drawn = state(page)["fibrosis"]
    assert 5800 < drawn < 6600 and "do not conduct" in status(
        page
    )  # 120 mm x 12 mm, of cells of 0.25 mm2, and its ends
    for tool, (x, y) in (("stimulus", (30, 40)), ("electrode", (160, 60))):
        page.check(f"[name=demo-tool][value={tool}]", force=True)
        page.mouse.click(*at(page, x, y))
        placed = state(page)["start" if tool == "stimulus" else tool]
        assert abs(placed["x"] - x) < 2 and abs(placed["y"] - y) < 2
    page.select_option("#demo-speed", "fast")
    page.click("#demo-play")
    halfway = until(page, "s.time > 40")
    assert halfway["playing"] and max(map(abs, halfway["samples"])) > 0
    assert page.inner_text("#demo-play") == "Pause"
    done = until(page, "s.surrogate === 'done'")
    assert done["over"] and done["score"]["r2"] > 0.95
    assert page.inner_text("#demo-r2-structured") == f"R² {done['score']['r2']:.3f}"
    assert "have answered" in status(page) and "when the wave first came" in status(page)
    assert done["view"] == "activation"  # the voltage at rest is the same everywhere
    # the electrode was moved: the band was not calibrated there, and the paper's network does not know it
    answer = page.inner_text("#demo-answer")
    assert "calibrated for an electrode 40 mm above the center only" in answer and "no answer here" in answer
    assert set(done["scores"]) == {"structured", "formula"} and page.inner_text("#demo-r2-paper") == ""
    in_scar, beside = page.evaluate(
        "[62, 82].map((x) => { const D = forwardecgDemo.page.inferred(); return D[50 * 100 + x]; })"
    )
    assert in_scar < 0.5 * beside
    # hidden: only voltage on coarse pixels is left
    shots = [page.locator("#demo-true-d").screenshot()]
    page.uncheck("#demo-reveal")
    shots.append(page.locator("#demo-true-d").screenshot())
    assert shots[0] != shots[1] and page.is_visible("#demo-hidden-note") and "hidden" in status(page)
    lat = page.evaluate("forwardecgDemo.page.activation(false)")
    assert len(lat) == 100**2 and "when it first passed half of its peak" in page.inner_text("#demo-hidden-note")
    page.check("#demo-reveal")
    # the electrode nearer: another ECG and another answer, without a run
    page.locator("#demo-height").fill("15")
    nearer = state(page)
    assert nearer["electrode"]["z"] == 15 and nearer["scores"] != done["scores"]
    assert max(map(abs, nearer["samples"])) > 1.2 * max(map(abs, done["samples"]))
    page.locator("#demo-time").fill("50")
    assert state(page)["view"] == "voltage"
    # in the true map what does not conduct is white, as the legend says
    assert "white: does not conduct" in page.inner_text("#demo-app")
    assert color_at(page, "demo-true-d", 124, 100) == [255, 255, 255] != color_at(page, "demo-true-d", 150, 100)
    assert page.inner_text("#demo-now") == "50 ms"
    page.click("#demo-reset")
    assert state(page)["time"] == 0 and state(page)["surrogate"] == "none" and state(page)["fibrosis"] == drawn


def test_y_is_upward(opened):
    """As in the data: the first row is at the bottom, of the sheet and of both maps."""
    page = opened()
    page.click("[data-preset=healthy]")
    before = {name: color_at(page, name, 150, 180) for name in ("demo-sheet", "demo-true-d")}
    draw(page, (150, 180), (152, 180))
    rows = page.evaluate(
        "[...forwardecgDemo.page.tissue.conductive.keys()].filter((i) => !forwardecgDemo.page.tissue.conductive[i]).map((i) => Math.floor(i / 400) / 2)"
    )
    assert np.mean(rows) == pytest.approx(180, abs=1.5)
    box = page.locator("#demo-sheet").bounding_box()
    for name, old in before.items():
        assert color_at(page, name, 150, 180) != old and color_at(page, name, 150, 20) == old
    page.focus("#demo-sheet")
    page.keyboard.press("ArrowUp")
    assert state(page)["cursor"]["y"] == 61
    page.check("[name=demo-tool][value=stimulus]", force=True)
    page.mouse.click(box["x"] + box["width"] / 4, box["y"] + box["height"] / 10)
    assert state(page)["start"] == {"x": pytest.approx(50, abs=1), "y": pytest.approx(180, abs=1)}


def test_weak_coupling_is_seen_on_the_sheet(opened):
    """Striped, at rest and with the wave over it; not where the tissue is hidden."""
    page = opened()
    page.click("[data-preset=healthy]")
    page.locator("#demo-brush").fill("40")
    page.check("[name=demo-tool][value=weak]", force=True)
    assert "weak" not in page.inner_text("#demo-scale-words")
    before = pixels_of(page, "demo-sheet")
    page.mouse.click(*at(page, 140, 60))
    after = pixels_of(page, "demo-sheet")
    changed = np.abs(after - before).max(2) > 60
    scale = len(after) / SHEET
    j, i = np.mgrid[: len(after), : len(after)] / scale
    inside = np.hypot(i - 140, SHEET - j - 60) < 18
    assert 0.2 < changed[inside].mean() < 0.8 and not changed[np.hypot(i - 140, SHEET - j - 60) > 22].any()
    assert "striped: weak coupling" in page.inner_text("#demo-scale-words")
    assert f"down to {demo.WEAK:.2f} times" in status(page) and "do not conduct" not in status(page)
    page.uncheck("#demo-reveal")
    hidden = pixels_of(page, "demo-sheet")[inside]
    assert (hidden == hidden[0]).all() and "weak" not in page.inner_text("#demo-scale-words")
    page.check("#demo-reveal")
    page.click("[data-preset=weak]")  # the preset as well
    least = page.evaluate("forwardecgDemo.page.tissue.factor.reduce((a, b) => Math.min(a, b))")
    assert f"down to {least:.2f} times" in status(page) and "striped" in page.inner_text("#demo-scale-words")
    page.click("[data-preset=healthy]")
    assert "all cells conduct alike" in status(page)


def test_undo(opened):
    """Stroke by stroke, by button and by keys, back to the preset and no farther."""
    page = opened()
    page.click("[data-preset=compact]")
    cells = "Array.from(forwardecgDemo.page.tissue.conductive).join('')"
    sheets = [page.evaluate(cells)]
    draw(page, (60, 40), (90, 40))
    sheets.append(page.evaluate(cells))
    draw(page, (40, 150), (160, 150), (160, 40))
    assert state(page)["strokes"] == 2 and page.evaluate(cells) not in sheets
    page.keyboard.press("Control+z")
    assert page.evaluate(cells) == sheets[1] and "undone" in status(page)
    page.click("#demo-undo")
    assert page.evaluate(cells) == sheets[0] and state(page)["strokes"] == 0
    page.click("#demo-undo")
    assert page.evaluate(cells) == sheets[0] and "no stroke" in status(page)


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
    ticks, pictures = page.evaluate("""async () => {
        const own = requestAnimationFrame, wait = () => new Promise((go) => own(go));
        let ticks = 0, frames = 0;
        window.requestAnimationFrame = (act) => own((now) => (ticks++, act(now)));
        for (let k = 0; k < 8; k++) document.getElementById("demo-play").click();
        for (; frames < 12; frames++) await wait();
        window.requestAnimationFrame = own;
        return [ticks, frames];
    }""")
    assert ticks <= pictures + 1, "one picture a frame, however often Pause was pressed"
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
    page.wait_for_function("window.wasReset", timeout=1_200_000)
    page.wait_for_timeout(500)
    assert state(page)["surrogate"] == "none" and state(page)["score"] is None and not page.is_visible("#demo-answer")


# After a beat


def test_each_method_has_its_trace_and_its_switch(finished):
    """Scores beside the traces; a switch takes its trace out of the picture, and no other."""
    scores = state(finished)["scores"]
    assert set(scores) == {"structured", "formula", "paper"} and scores["structured"] > 0.95
    assert len(set(scores.values())) == 3
    shots = [pixels_of(finished, "demo-ecg")]
    for name in ("exact", *scores):
        if name != "exact":
            assert finished.inner_text(f"#demo-r2-{name}") == f"R² {scores[name]:.3f}".replace("-", "−")
        finished.uncheck(f"#demo-show-{name}")
        shots.append(pixels_of(finished, "demo-ecg"))
        finished.check(f"#demo-show-{name}")
    assert all((one != other).any() for k, one in enumerate(shots) for other in shots[:k])
    assert (pixels_of(finished, "demo-ecg") == shots[0]).all()


def test_papers_network_answers_at_its_electrode_only(finished):
    finished.locator("#demo-height").fill("30")
    assert set(state(finished)["scores"]) == {"structured", "formula"}
    words = finished.inner_text("#demo-answer")
    assert "paper's network knows only that electrode" in words
    assert f"calibrated for an electrode {demo.Recipe(n_sim=1).z_mm:g} mm above the center only" in words
    finished.locator("#demo-height").fill("40")
    assert "paper" in state(finished)["scores"] and "calibrated" not in finished.inner_text("#demo-answer")


def test_status_and_answer_do_not_repeat_each_other(finished):
    parts = [
        {one.strip() for one in re.split(r"(?<=[.:;])\s", finished.inner_text(f"#demo-{name}"))}
        for name in ("status", "answer")
    ]
    assert all(parts) and not parts[0] & parts[1]
    assert "R²" not in finished.inner_text("#demo-status") + finished.inner_text("#demo-answer")


def test_activation_times_run_from_dark_to_light(finished):
    """The bar from 0 ms on the left to the last time on the right, in the colors of the sheet; dark is low, as in the voltage."""
    finished.select_option("#demo-view", "activation")
    lat = np.array([np.nan if t is None else t for t in finished.evaluate("forwardecgDemo.page.activation(true)")])
    assert finished.inner_text("#demo-scale-low") == "0 ms"
    assert finished.inner_text("#demo-scale-high") == f"{np.nanmax(lat):.0f} ms"
    bar = pixels_of(finished, "demo-voltage-bar")[4].sum(1)
    assert bar[0] < bar[128] < bar[-1]
    sheet, lat = pixels_of(finished, "demo-sheet")[::-1][1::2, 1::2].sum(2), lat.reshape(400, 400)
    early, late = (np.median(sheet[part]) for part in (lat < 0.2 * np.nanmax(lat), lat > 0.8 * np.nanmax(lat)))
    assert early + 150 < late
    finished.locator("#demo-time").fill("100")
    assert finished.inner_text("#demo-scale-low") == "−85 mV" and finished.inner_text("#demo-scale-high") == "15 mV"
    finished.select_option("#demo-view", "activation")


def test_isochrones_are_continuous_lines(finished):
    """Also through diffuse fibrosis: an end that is no other's lies at the rim of the sheet or at a pixel without a time."""
    found = finished.evaluate("forwardecgDemo.page.isochrones()")
    times = np.array([np.nan if t is None else t for t in found["times"]], float).reshape(100, 100)
    ends = np.array(found["lines"]).reshape(-1, 2)
    counts = Counter(map(tuple, np.round(ends, 6)))
    assert len(counts) > 1000 and max(counts.values()) <= 2
    for x, y in (end for end, many in counts.items() if many == 1):
        near = times[max(int(y - 1.5), 0) : int(y + 1.5) + 1, max(int(x - 1.5), 0) : int(x + 1.5) + 1]
        assert min(x, y) < 0.51 or max(x, y) > 99.49 or np.isnan(near).any(), (x, y)
    step = finished.evaluate("forwardecgDemo.page.steps.lines")
    assert f"a line every {step} ms" in finished.inner_text("#demo-scale-words")
    # and they are drawn: white along the lines
    white = (pixels_of(finished, "demo-sheet").min(2) > 200).mean()
    assert 0.02 < white < 0.4


def test_units(finished):
    """Relative: the largest deflection of the exact ECG is 1; saved files stay in mV mm/ms."""
    finished.evaluate("""() => {
        const own = CanvasRenderingContext2D.prototype.fillText;
        window.written = [];
        CanvasRenderingContext2D.prototype.fillText = function (text, ...place) { written.push(String(text)); own.call(this, text, ...place); };
    }""")
    largest = max(map(abs, state(finished)["samples"]))
    tick = {}
    for unit in ("relative", "absolute"):
        finished.evaluate("written.length = 0")
        finished.select_option("#demo-units", unit)
        words = finished.evaluate("written.slice(0, written.indexOf('time (ms)'))")
        tick[unit] = [float(one.replace("−", "-")) for one in words if not re.fullmatch(r"\d{2,}", one)]
    ends = {unit: max(map(abs, values)) for unit, values in tick.items()}
    assert 0.5 <= ends["relative"] < 2 and 0.5 <= ends["absolute"] / largest < 2
    assert tick["relative"] != tick["absolute"]
    finished.select_option("#demo-units", "relative")
    with finished.expect_download() as download:
        finished.click("#demo-csv")
    assert "exact (mV mm/ms)" in download.value.path().read_text(encoding="utf-8")
    finished.select_option("#demo-units", "absolute")


def test_saved_files(finished):
    """The table holds what the page holds; the picture shows sheet and ECG."""
    with finished.expect_download() as download:
        finished.click("#demo-csv")
    assert download.value.suggested_filename == "forwardecg-ecg.csv"
    rows, now = pd.read_csv(download.value.path()), state(finished)
    names = ("exact", "structured", "structured low", "structured high", "formula", "paper's network")
    assert [*rows] == ["time (ms)", *(f"{name} (mV mm/ms)" for name in names)]
    exact = rows["exact (mV mm/ms)"].dropna()
    assert np.allclose(exact, now["samples"], rtol=1e-6, atol=1e-12)
    for name, every in (("structured", 5), ("formula", 5), ("paper's network", 10)):
        trace = rows[["time (ms)", f"{name} (mV mm/ms)"]].dropna()
        assert (trace["time (ms)"] == every * np.arange(len(trace))).all() and len(trace) > 30
        truth = exact[trace.index].values
        key = name.removesuffix("'s network")
        assert r2(truth[None], trace.iloc[:, 1].values[None])[0] == pytest.approx(now["scores"][key], abs=1e-4)
    with finished.expect_download() as download:
        finished.click("#demo-png")
    picture = np.asarray(Image.open(download.value.path()).convert("RGB")).astype(int)
    assert download.value.suggested_filename == "forwardecg-sheet.png" and picture.shape[0] > 800 < picture.shape[1]
    sheet = pixels_of(finished, "demo-sheet")
    assert np.abs(picture[24:824, 24:824] - sheet).mean() < 3
    right = picture[24:600, 850:-24]
    assert len({tuple(one) for one in right.reshape(-1, 3)[::7]}) > 4  # lines in several colors
    assert (picture[840:, :].min() < 128) and (picture[0] == 255).all()


# Links


def test_a_link_opens_the_same_sheet(opened):
    page = opened()
    page.click("[data-preset=compact]")
    draw(page, (60, 40), (90, 60), (90, 120))
    page.check("[name=demo-tool][value=stimulus]", force=True)
    page.mouse.click(*at(page, 33, 160))
    page.locator("#demo-height").fill("25")
    page.locator("#demo-d0").fill("0.145")
    page.click("#demo-link")
    address = page.input_value("#demo-address")
    assert address == page.url and "#sheet=compact." in address and page.is_visible("#demo-address")
    assert "address" in status(page)
    other = opened(hash=address[address.index("#") :])
    same = ("start", "electrode", "strokes", "fibrosis", "D0")
    assert {name: state(page)[name] for name in same} == {name: state(other)[name] for name in same}
    cells = "Array.from(forwardecgDemo.page.tissue.conductive).join('')"
    assert page.evaluate(cells) == other.evaluate(cells) and status(other).startswith("The sheet of the link.")
    assert other.input_value("#demo-d0") == "0.145" and "25 mm" in other.inner_text("#demo-height-value")
    # another link in the same page, and one that holds nothing
    other.evaluate("location.hash = '#sheet=healthy.1&D=0.12&S=10,10&E=100,100,40'")
    until(other, "s.fibrosis === 0")
    assert state(other)["start"] == {"x": 10, "y": 10}
    other.evaluate("location.hash = '#sheet=granite.1'")
    other.wait_for_function("document.getElementById('demo-status').textContent.includes('does not hold a sheet')")
    assert "sheet: expected a preset" in status(other) and state(other)["start"] == {"x": 10, "y": 10}
    plain = opened(hash="#demo-use")  # a heading of the page is no link to a sheet
    assert "link" not in status(plain)


# Guess the scar


def test_guess_the_scar(opened):
    """Hidden until the round is over; a perfect drawing scores 1; the networks' score and the history stand beside it."""
    page = opened()
    page.select_option("#demo-speed", "fast")
    assert page.is_visible("#demo-guess") and not page.is_visible("#demo-game")
    page.click("#demo-guess")
    assert state(page)["game"]["phase"] == "hidden" and page.is_visible("#demo-game")
    until(page, "s.time > 5")

    def flat(name):
        return (pixels_of(page, name) == pixels_of(page, name)[5, 5]).all(2).mean()

    assert flat("demo-sheet") > 0.9 and flat("demo-true-d") > 0.9 and flat("demo-inferred-d") > 0.9
    page.check("#demo-wave")
    assert flat("demo-sheet") < 0.9
    page.uncheck("#demo-wave")
    before = state(page)
    for act in (lambda: draw(page, (60, 40), (90, 40)), lambda: page.click("#demo-reset")):
        act()
        assert state(page)["fibrosis"] == before["fibrosis"] and "Wait" in status(page)
    assert page.is_disabled("#demo-link") and page.is_disabled("#demo-height") and page.is_disabled("#demo-d0")
    scars = page.evaluate("Array.from(forwardecgDemo.page.tissue.conductive)")
    guessing = until(page, "s.game.phase === 'guess'")
    assert guessing["fibrosis"] == 0 and 0.5 < guessing["game"]["network"]["dice"] <= 1
    assert 0.9 < guessing["game"]["network"]["r2"] <= 1
    assert flat("demo-true-d") > 0.9 and flat("demo-inferred-d") > 0.9, "still hidden"
    assert page.is_visible("#demo-show-hidden") and page.inner_text("#demo-name-exact") == "your guess"
    page.check("[name=demo-tool][value=stimulus]", force=True)
    page.mouse.click(*at(page, 150, 150))
    assert state(page)["start"] == before["start"] and "stay where they are" in status(page)
    page.check("[name=demo-tool][value=fibrosis]", force=True)
    page.mouse.click(*at(page, 60, 40))
    assert state(page)["fibrosis"] > 100 and state(page)["strokes"] == 1
    page.evaluate(
        "(scars) => { forwardecgDemo.page.tissue.conductive.set(scars); forwardecgDemo.page.reset(); }", scars
    )
    page.click("#demo-score")
    done = until(page, "s.game.phase === 'scored'")["game"]
    assert done["score"] == {"dice": 1, "r2": pytest.approx(1, abs=1e-9)}
    row = page.locator("#demo-history tbody tr").first.inner_text().split()
    assert row == ["1", "1.000", "1.000", f"{done['network']['dice']:.3f}", f"{done['network']['r2']:.3f}"]
    assert (
        flat("demo-true-d") < 0.99
        and flat("demo-inferred-d") < 0.9
        and "hidden scars" in page.inner_text("#demo-scale-words")
    )
    page.mouse.click(*at(page, 60, 150))
    assert "round is over" in status(page)
    page.click("#demo-next")
    assert state(page)["game"]["phase"] == "hidden" and state(page)["rounds"] == 1 and page.is_visible("#demo-history")
    page.click("#demo-quit")
    assert state(page)["game"] is None and state(page)["fibrosis"] == 0 and not page.is_visible("#demo-game")
    assert not page.is_disabled("#demo-height")


def test_a_guess_that_was_played_is_scored_at_once(opened):
    """No second beat; a worse drawing scores less than the perfect one."""
    page = opened()
    page.select_option("#demo-speed", "fast")
    page.click("#demo-guess")
    until(page, "s.game.phase === 'guess'")
    page.mouse.click(*at(page, 150, 20))
    page.click("#demo-play")
    until(page, "s.over")
    assert "Your ECG against that of the hidden sheet: R²" in page.inner_text("#demo-answer")
    page.click("#demo-score")
    score = state(page)["game"]["score"]
    assert score["dice"] < 0.9 and score["r2"] < 0.99999
    assert score["dice"] < state(page)["game"]["network"]["dice"]


# Fingers, keys and other readers


def test_a_second_finger_draws_nothing(opened):
    page = opened()
    before = state(page)["fibrosis"]
    place = dict(zip(("clientX", "clientY"), at(page, 140, 60), strict=True)) | {"pointerId": 7, "pointerType": "touch"}
    code = """(place) => {
        const sheet = document.getElementById("demo-sheet");
        sheet.setPointerCapture = () => {};  // there is no such finger
        for (const kind of ["pointerdown", "pointermove", "pointerup"]) sheet.dispatchEvent(new PointerEvent(kind, place));
    }"""
    page.evaluate("document.getElementById('demo-touch').click()")
    page.evaluate(code, {**place, "isPrimary": False})
    assert state(page)["fibrosis"] == before
    page.evaluate(code, {**place, "isPrimary": True})
    assert state(page)["fibrosis"] > before


PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}


def test_by_touch(opened):
    """The finger scrolls until it is asked to draw: a stray tap paints nothing and restarts nothing."""
    page = opened(**PHONE)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    action = "getComputedStyle(document.getElementById('demo-sheet')).touchAction"
    page.tap("[data-preset=healthy]")
    page.select_option("#demo-speed", "slow")
    page.tap("#demo-play")
    until(page, "s.time > 5")
    page.tap("#demo-play")
    before = state(page)
    assert page.evaluate(action) == "auto"
    for tool in ("fibrosis", "stimulus", "electrode"):
        page.tap(f".demo-tools label:has([value={tool}])")
        page.touchscreen.tap(*at(page, 140, 60))
        assert {**state(page), "tool": ""} == {**before, "tool": ""} and "finger scrolls" in status(page)
    page.tap("#demo-touch")
    assert page.evaluate(action) == "none" and page.get_attribute("#demo-touch", "aria-pressed") == "true"
    page.tap("#demo-reset")
    page.tap(".demo-tools label:has([value=fibrosis])")
    page.touchscreen.tap(*at(page, 140, 60))
    assert state(page)["fibrosis"] > 100
    page.tap(".demo-tools label:has([value=stimulus])")
    page.touchscreen.tap(*at(page, 60, 160))
    assert abs(state(page)["start"]["y"] - 160) < 3
    page.tap(".demo-tools label:has([value=electrode])")
    page.touchscreen.tap(*at(page, 120, 40))
    assert abs(state(page)["electrode"]["x"] - 120) < 3
    page.tap("#demo-touch")
    assert page.evaluate(action) == "auto"
    page.tap("#demo-big-play")
    assert max(map(abs, until(page, "s.time > 15")["samples"])) > 0
    page.tap("#demo-play")
    assert not state(page)["playing"] and "Paused" in status(page)


def test_a_phone_shows_sheet_and_ecg_on_one_screen(opened):
    """With the button that starts the run between them, below a bar of the book's theme."""
    page = opened(**PHONE)
    top = page.locator("#demo-sheet").bounding_box()["y"]
    ecg, button = (page.locator(name).bounding_box() for name in ("#demo-ecg", "#demo-play"))
    assert top < button["y"] < ecg["y"]
    assert ecg["y"] + ecg["height"] - top < PHONE["viewport"]["height"] - 60
    assert ecg["height"] > 120 and page.locator("#demo-sheet").bounding_box()["width"] > 250


def test_sliders_are_above_the_fold(opened):
    """At 1000 px, below a head of 450 px, which is what the title, the question and the first lines of the page take."""
    page = opened(viewport={"width": 1000, "height": 1000})
    page.evaluate(
        "document.querySelector('main').insertAdjacentHTML('afterbegin', '<div style=\"height: 450px\"></div>')"
    )
    for name in ("brush", "height", "d0"):
        box = page.locator(f"#demo-{name}").bounding_box()
        assert box["y"] + box["height"] < 1000
    assert page.locator("#demo-guess").bounding_box()["y"] < page.locator("#demo-sheet").bounding_box()["y"]


def test_by_keyboard(opened):
    """Everything with keys, reached by Tab in the order of the page."""
    page = opened()
    reached = []
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate(
                "document.activeElement.dataset.preset || (document.activeElement.type === 'radio' ? document.activeElement.value : document.activeElement.id)"
            )
        )
        if reached[-1] == "healthy":
            page.keyboard.press("Enter")
        if reached[-1] == "demo-csv":
            break
    assert reached[0] == "healthy" and reached[-1] == "demo-csv"
    for name in (
        "fibrosis", "demo-guess", "demo-undo", "demo-reveal", "demo-brush", "demo-height", "demo-d0", "demo-sheet", "demo-play", "demo-reset",
        "demo-units", "demo-show-exact", "demo-show-paper", "demo-speed", "demo-view", "demo-animate", "demo-link", "demo-png",
    ):  # fmt: skip
        assert name in reached, name
    page.focus("#demo-sheet")
    assert state(page)["fibrosis"] == 0
    for _ in range(4):
        page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("ArrowDown")
    assert state(page)["cursor"] == {"x": 100, "y": 59, "shown": True} and "100, 59 mm, conducts" in status(page)
    page.keyboard.press("Space")
    painted = state(page)["fibrosis"]
    assert painted > 100
    page.keyboard.press("Control+z")
    assert state(page)["fibrosis"] == 0
    page.keyboard.press("Space")
    assert state(page)["fibrosis"] == painted
    for _ in range(6):
        page.keyboard.press("Shift+ArrowUp")
    page.keyboard.press("s")
    assert state(page)["start"] == {"x": 100, "y": 119} and "will start at 100, 119 mm" in status(page)
    page.keyboard.press("Shift+ArrowLeft")
    page.keyboard.press("e")
    assert state(page)["electrode"]["x"] == 90 and "Electrode at 90, 119 mm" in status(page)
    page.keyboard.press("p")
    until(page, "s.time > 10")
    page.keyboard.press("s")  # another beat, while the first one runs
    assert state(page)["stimuli"] == 1 and "Stimulus at" in status(page)
    page.keyboard.press("p")
    assert not state(page)["playing"]
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    page.focus("#demo-guess")
    page.keyboard.press("Enter")
    until(page, "s.game?.phase === 'hidden' && s.time > 2")
    page.focus("#demo-quit")
    page.keyboard.press("Enter")
    assert state(page)["game"] is None
    assert page.evaluate("document.activeElement.id") == "demo-guess", "the focus is not lost with its button"


def test_what_happens_is_said(opened):
    """In a live region that screen readers announce."""
    page = opened()
    region = page.locator("#demo-status")
    assert region.get_attribute("aria-live") == "polite" and region.get_attribute("role") == "status"
    said = set()
    for act in (
        "[data-preset=patchy]",
        "#demo-play",
        "#demo-play",
        "#demo-reset",
        "#demo-undo",
        "#demo-csv",
        "#demo-guess",
    ):
        page.click(act)
        said.add(status(page))
    assert len(said) == 7 and all(said)


def test_what_is_out_of_sight_is_paused(opened):
    page = opened(viewport={"width": 1000, "height": 500})
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<div style=\"height: 4000px\"></div>')")
    page.click("#demo-play")
    until(page, "s.time > 5")
    page.evaluate("scrollTo(0, 4000)")
    stopped = until(page, "!s.visible")
    page.wait_for_timeout(400)
    assert state(page)["time"] <= stopped["time"] + 2
    page.evaluate("document.getElementById('demo-sheet').scrollIntoView()")
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
    wall = "c.forEach((_, i) => (c[i] = Math.hypot((i % 400) / 2 - 20, Math.floor(i / 400) / 2 - 100) < 8 ? 1 : 0))"
    page.evaluate(
        f"(() => {{ const c = forwardecgDemo.page.tissue.conductive; {wall}; forwardecgDemo.page.reset(); }})()"
    )
    page.select_option("#demo-speed", "fast")
    page.click("#demo-play")
    until(page, "s.surrogate === 'refused'")
    assert "refuse these maps" in page.inner_text("#demo-answer") and state(page)["scores"] == {}
    page.click("[data-preset=healthy]")
    assert not page.is_visible("#demo-answer")


def test_labels_and_colors(opened):
    """Every control has a name; no violation of what axe can test, in light and in dark, with and without the game."""
    from axe_playwright_python.sync_playwright import Axe

    page = opened()
    page.add_style_tag(
        content="html[data-theme=dark]{background:#121212;--pst-color-text-base:#ced6dd;--pst-color-text-muted:#9ca4af;"
        "--pst-color-border:#48566b;--pst-color-surface:#29313d;--pst-color-background:#121212;--pst-color-primary:#5593e6}"
    )
    page.click("#demo-link")
    for game in (False, True):
        if game:
            page.click("#demo-guess")
            page.click("#demo-play")
            page.evaluate("document.getElementById('demo-history').hidden = false")
        for theme in ("light", "dark"):
            page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
            found = Axe().run(page, context="#demo-app", options={"preload": False}).response["violations"]
            assert not found, [(one["id"], [node["html"] for node in one["nodes"]]) for one in found]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_traces_stand_out(opened, theme):
    """Each color at least 3 to 1 against the ground, and each trace told by its dashes too."""
    page = opened()
    page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
    ground = "#121212" if theme == "dark" else "#ffffff"

    def luminance(text):
        parts = [int(text[k : k + 2], 16) / 255 for k in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))

    for name in ("surrogate", "formula", "paper", "hidden"):
        color = page.evaluate(
            "(name) => getComputedStyle(document.getElementById('demo-app')).getPropertyValue(`--demo-${name}`).trim()",
            name,
        )
        one, other = sorted((luminance(color), luminance(ground)))
        assert (other + 0.05) / (one + 0.05) > 3, (name, color)
    dashes = re.findall(r"(\w+): \{ color: .*?dash: (\[.*?\])", (demo.ASSETS / "page.js").read_text(encoding="utf-8"))
    assert len(dashes) == 5 and len({dash for name, dash in dashes if name != "hidden"}) == 4


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


def test_the_page_names_its_sizes(opened):
    """What stands in the html, in the words around it and in the scripts is what the data are."""
    page, data, paper = opened(), demo.page_data(), demo.paper_data()
    text = page.inner_text("#demo-app")
    side, training = data["n"] * data["dx"], demo.Recipe(n_sim=1)
    assert (data["n"], data["dx"], data["t_end"]) == (training.n_cells, training.dx, training.t_end)
    assert page.get_attribute("#demo-sheet", "aria-label").startswith(f"Sheet of {side:g} by {side:g} mm, y upward.")
    for name, (low, high) in (("d0", data["D0"]), ("height", data["z"])):
        assert [float(page.get_attribute(f"#demo-{name}", end)) for end in ("min", "max")] == [low, high]
    presets = page.eval_on_selector_all("[data-preset]", "(all) => all.map((one) => one.dataset.preset)")
    assert sorted(presets) == sorted(demo.KINDS)
    page.click("[data-preset=patchy]")
    assert status(page).startswith(f"{demo.NAMES['patchy'].capitalize()}: ")
    # the numbers in prose
    coverage = f"{100 * data['bands']['phi_e']['coverage']:g} %"
    assert f"{coverage} band" in text
    steps = page.evaluate("forwardecgDemo.page.steps")
    prose = demo.PAGE.read_text(encoding="utf-8").replace(demo.block(), "")
    number = {3: "three", 4: "four", 5: "five", 6: "six"}
    pixel = data["n"] * data["dx"] / paper["pixels"]
    for words in (
        f"the {number[data['config']['members']]} networks",
        f"maps of {data['pool'] * data['dx']:g} mm every {data['frame_interval']:g} ms",
        f"maps of {pixel:g} mm every {paper['time'][1]:g} ms",
        f"in {number[demo.BITS]} bits each",
        f"A pixel of {data['pool'] * data['dx']:g} mm",
        f"to hold {coverage} of whole traces",
        f"steps of {steps['still']} ms",
        f"line every {steps['lines']} ms",
    ):
        assert words in prose, words
    assert not re.search(
        r"five networks|\b2 mm|90 %", (demo.ASSETS / "page.js").read_text(encoding="utf-8") + demo.block()
    )
