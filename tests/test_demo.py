"""The live demo: its scripts say what the package says, its files are small, whole and up to date, and its page can be used."""

import base64
import json
import re

import demo
import numpy as np
import pandas as pd
import pytest
import torch
from registry import ROOT

import forwardecg
from forwardecg.cell import V_REST, V_SPAN
from forwardecg.electrodes import Electrodes
from forwardecg.fronts import fronts, local_slowness
from forwardecg.metrics import r2
from forwardecg.stimulus import Stimulus, focal_stimulus
from forwardecg.structured import Inputs, inner_gradients, inputs, lead_field
from forwardecg.surrogate import _seen, summary
from forwardecg.tissue import Tissue, smooth_noise
from forwardecg.uncertainty import Reference, unusualness

ALLOWED = {name: value for name, (_, value, _) in demo.TOLERANCES.items()}
SCRIPTS = ("weights.js", "solver.js", "ecg.js", "surrogate.js", "presets.js")
N, DX = demo.N_CELLS, 0.5
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
    factor = np.where(smooth_noise((N, N), DX, rng, 15.0, 15.0) < 0.3, demo.WEAK, 1.0)
    conductive = (smooth_noise((N, N), DX, rng, 2.0, 2.0) > 0.15) & (rng.random((N, N)) > 0.03)
    return Tissue(D=0.13 * factor, conductive=conductive, dx=DX)


SITES = ((20.0, 30.0, 0.0), (80.0, 60.0, 250.0))  # mm, mm, ms


@pytest.fixture(scope="module")
def reference(tissue):
    """The same run by the package, cells and all, in the precision of the page."""
    stimuli = [
        Stimulus(mask=focal_stimulus((N, N), DX, x, y).mask & tissue.conducting, start=start) for x, y, start in SITES
    ]
    return demo.beat(tissue, stimuli, pool=1, real=np.float64)


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
            if (t % 20 === 0) frames.push(btoa(String.fromCharCode(...new Uint8Array(u.buffer).subarray(0, 80000)))
                + "|" + btoa(String.fromCharCode(...new Uint8Array(u.buffer).subarray(80000))));
            if (sheet.atRest()) break;
        }
        return {ecg, frames, lat: out(sheet.lat), time: sheet.time};
    }""".replace("HELPERS", HELPERS)
    return blank.evaluate(code, [packed(tissue.D), packed(tissue.conductive.astype(np.uint8)), SITES, N])


# The mathematics, against the package


def test_voltage_of_the_solver(run, reference):
    frames = [b"".join(map(base64.b64decode, text.split("|"))) for text in run["frames"]]
    V_m = V_REST + V_SPAN * np.array([np.frombuffer(one, np.float32).reshape(N, N) for one in frames])
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
    return Electrodes(np.array([[35.0, 60.0, 25.0]]), ("aside",))


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
        const at = {x: 35, y: 60, z: 25}, ecg = d.ecgWithBand(found, m, at, d.data), D = d.conductivityWithError(found, m, d.data);
        const unusual = d.unusualness(d.data.reference, d.summary(seen.inputs, seen.fronts));
        return {
            fields: seen.inputs.fields.map(out), prior: out(seen.inputs.prior), share: out(seen.inputs.share),
            summary: d.summary(seen.inputs, seen.fronts), unusual, flags: d.flags(seen.inputs, unusual, d.data),
            found: found.map((one) => [out(one.D_xx), out(one.D_yy), out(one.share)]), traces: ecg.traces.map(out),
            phi: out(ecg.phi), low: out(ecg.low), high: out(ecg.high), D: out(D.D), error: out(D.error),
        };
    }""".replace("HELPERS", HELPERS)
    u = ((maps - V_REST) / V_SPAN).astype(np.float32)
    return blank.evaluate(code, [packed(u), len(u), maps.shape[-1]])


@pytest.fixture(scope="module")
def seen(maps):
    return _seen(forwardecg.maps.import_maps(maps, dx=2.0, dt=5.0, unit="mV"))


def test_fronts_and_inputs(page_surrogate, seen):
    for name, channels in (("fields", seen.inputs.fields), ("prior", seen.inputs.prior), ("share", seen.inputs.share)):
        expected = channels.double().numpy()
        found = np.array(page_surrogate[name]).reshape(expected.shape)
        assert np.abs(found - expected).max() < ALLOWED["inputs"], name
    assert np.ptp(page_surrogate["prior"]) > 0.5  # the maps hold slow and fast tissue


def test_each_network(page_surrogate, model, seen):
    batch = Inputs(*(z[None] for z in seen.inputs))
    for network, found in zip(model.models, page_surrogate["found"], strict=True):
        with torch.no_grad():
            expected = [z[0].double().numpy().ravel() for z in network(batch)]
        for one, other in zip(found, expected, strict=True):
            assert np.abs(np.array(one) / other - 1).max() < ALLOWED["networks"]


def test_ecg_of_each_network_and_of_all_with_the_band(page_surrogate, model, seen, place, predicted):
    G = inner_gradients(seen.u.shape[1:], seen.dx, place)
    batch = Inputs(*(z[None] for z in seen.inputs))
    with torch.no_grad():
        alone = [V_SPAN * lead_field(one(batch), *G)[0, 0].flatten() @ seen.u.flatten(1).T for one in model.models]
    pairs = [*zip(page_surrogate["traces"], [one.numpy() for one in alone], strict=True)]
    pairs += [(page_surrogate[name], predicted[f"phi_e{more}"].values[0]) for name, more in (("phi", ""), ("low", "_low"), ("high", "_high"))]
    for found, expected in pairs:
        assert np.abs(np.array(found) - expected).max() < ALLOWED["surrogate"] * np.abs(expected).max()


def test_inferred_diffusivity_with_its_error(page_surrogate, predicted):
    for name, expected in (("D", predicted.D), ("error", predicted.D_error)):
        found = np.array(page_surrogate[name]).reshape(expected.shape)
        assert np.abs(found - expected.values).max() < ALLOWED["D"] * expected.values.max()


def test_unusualness_and_flags(page_surrogate, model, seen, predicted):
    expected = summary(seen.inputs, seen.fronts)
    assert np.allclose(page_surrogate["summary"], expected, atol=ALLOWED["inputs"])
    assert abs(page_surrogate["unusual"] / predicted.attrs["unusual"] - 1) < ALLOWED["unusual"]
    assert bool(page_surrogate["flags"]) == bool(predicted.attrs["flags"])
