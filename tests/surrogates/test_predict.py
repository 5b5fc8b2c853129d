"""Predictions on one's own maps: what comes back, what is linear in what, and what is refused or flagged."""

import json

import numpy as np
import pytest
import torch
import xarray as xr

import forwardecg
from compendium.record import write_json
from forwardecg.ecg.electrodes import Electrodes
from forwardecg.measure.bands import fit_reference
from forwardecg.surrogates import predict as module
from forwardecg.surrogates.predict import Surrogate, load_surrogate, mean_of_faces, summary
from forwardecg.surrogates.structured.fronts import fronts
from forwardecg.surrogates.structured.model import KAPPA, Structured, StructuredConfig, inputs
from forwardecg.surrogates.weights import save_models

PLACES = Electrodes(np.array([[20.0, 20.0, 30.0], [5.0, 30.0, 12.0]]), ("a", "b"))


def movie(n=20, dx=2.0, n_t=60, dt=5.0, c=0.6, seed=0):
    """u (time, y, x) of an oblique plane wave in speckled tissue."""
    y, x = np.meshgrid(*[np.arange(n) * dx] * 2, indexing="ij")
    lat = 20 + (0.8 * x + 0.6 * y) / c
    t = np.arange(n_t)[:, None, None] * dt
    u = 1 / (1 + np.exp(-np.clip((t - lat) / 1.5, -50, 50))) / (1 + np.exp(np.clip((t - lat - 80) / 8, -50, 50)))
    return u * np.random.default_rng(seed).uniform(0.7, 1, (n, n))


@pytest.fixture(scope="module")
def surrogate():
    torch.manual_seed(0)
    models = []
    for _ in range(3):
        models.append(Structured(StructuredConfig(width=2, dilations=(1, 2))).eval())
        torch.nn.init.normal_(models[-1].pooling.weight, std=0.05)
    features = []
    for k in range(60):
        f = fronts(torch.from_numpy(movie(c=0.5 + 0.004 * k, seed=k)).float(), 2.0, 5.0)
        features.append(summary(inputs(f, 2.0, 5.0), f))
    reference = fit_reference(np.array(features[::2]), np.array(features[1::2]), 0.9)
    bands = {
        "phi_e": {"factor": 3.0, "floor": 0.02},
        "D": {"factor": 2.0, "floor": 0.05},
        "reference": reference.to_card(),
    }
    return Surrogate(tuple(models), {"kappa_cable": KAPPA, "speed_range": [0.4, 0.9], "sha256": "0" * 64}, bands)


@pytest.fixture(scope="module")
def maps():
    return -85 + 100 * movie()


def test_what_comes_back(surrogate, maps):
    out = surrogate.predict(maps, dx=2.0, dt=5.0, electrodes=PLACES, unit="mV")
    assert out.phi_e.dims == ("lead", "time") and out.lead.values.tolist() == ["a", "b"]
    assert out.phi_e.attrs["units"] == "mV mm ms-1" and out.D.attrs["units"] == "mm2 ms-1"
    assert out.D.shape == out.D_error.shape == out.share.shape == (20, 20)
    assert (out.phi_e_low <= out.phi_e).all() and (out.phi_e <= out.phi_e_high).all() and (out.D > 0).all()
    assert np.allclose(out.time, 5.0 * np.arange(60)) and out.attrs["dx_map"] == 2.0
    assert out.attrs["flags"] == "" and 0 < out.attrs["unusual"] < 1
    assert np.abs(out.phi_e).max() > 1e-4 and np.allclose(out.phi_e[:, :3], 0, atol=1e-3 * np.abs(out.phi_e).max())


def test_any_source_of_the_same_maps_gives_the_same(surrogate, maps, tmp_path):
    expected = surrogate.predict(maps, dx=2.0, dt=5.0, electrodes=PLACES, unit="mV")
    np.save(tmp_path / "u.npy", ((maps + 85) / 100).astype(np.float32))
    labeled = xr.DataArray(
        maps,
        dims=("time", "y", "x"),
        coords={"time": ("time", 5.0 * np.arange(60), {"units": "ms"})},
        attrs={"units": "mV"},
    )
    for source, given in ((tmp_path / "u.npy", {"dx": 2.0, "dt": 5.0, "unit": "u"}), (labeled, {"dx": 2.0})):
        out = surrogate.predict(source, electrodes=PLACES, **given)
        assert np.allclose(out.phi_e, expected.phi_e, atol=1e-4 * np.abs(expected.phi_e).max())


def test_electrodes_of_another_type_are_refused(surrogate, maps):
    with pytest.raises(
        ValueError, match="electrodes: expected Electrodes, such as center_electrode gives, got <class 'tuple'>"
    ):
        surrogate.predict(maps, dx=2.0, dt=5.0, electrodes=(1, 2, 3), unit="mV")


def test_the_share_is_that_of_all_networks(surrogate, maps):
    out = surrogate.predict(maps, dx=2.0, dt=5.0, unit="mV")
    each = [type(surrogate)((one,), surrogate.card, surrogate.bands) for one in surrogate.models]
    mean = np.mean([one.predict(maps, dx=2.0, dt=5.0, unit="mV").share for one in each], axis=0)
    assert np.allclose(out.share, mean, rtol=1e-6) and len(each) > 1


def test_without_electrodes_it_is_40_mm_above_the_center(surrogate, maps):
    out = surrogate.predict(maps, dx=2.0, dt=5.0, unit="mV")
    assert out.electrodes.values.tolist() == [[20.0, 20.0, 40.0]]


def test_a_known_cell_scales_ecg_and_conductivity(surrogate, maps):
    one, two = (surrogate.predict(maps, dx=2.0, dt=5.0, unit="mV", kappa=k * KAPPA) for k in (1, 2))
    assert np.allclose(two.phi_e, 2 * one.phi_e) and np.allclose(two.D, 2 * one.D) and np.allclose(two.share, one.share)


def test_finer_maps_and_faster_frames_are_brought_to_the_trained_ones(surrogate):
    """Maps of 1 mm every 1 ms: the same wave, every frame of it predicted."""
    coarse, fine = movie(20, 2.0, 60, 5.0), movie(40, 1.0, 300, 1.0)
    out = surrogate.predict(fine, dx=1.0, dt=1.0, electrodes=PLACES, unit="u")
    assert out.sizes["time"] == 300 and out.D.shape == (20, 20) and out.attrs["dx_map"] == 2.0
    expected = surrogate.predict(coarse, dx=2.0, dt=5.0, electrodes=PLACES, unit="u")
    assert np.corrcoef(out.phi_e[0, ::5], expected.phi_e[0])[0, 1] > 0.95
    odd = surrogate.predict(fine[:, :39, :38], dx=1.0, dt=1.0, electrodes=PLACES, unit="u")
    assert odd.D.shape == (19, 19) and "cropped from 39 x 38 to 38 x 38" in odd.attrs["flags"]


def test_lost_pixels_are_an_error_or_filled(surrogate, maps):
    lost = maps.copy()
    lost[:, 4, 7] = lost[10, 12, 12] = np.nan
    with pytest.raises(ValueError, match="expected finite values, got 61"):
        surrogate.predict(lost, dx=2.0, dt=5.0, unit="mV")
    out = surrogate.predict(lost, dx=2.0, dt=5.0, unit="mV", fill=True, electrodes=PLACES)
    expected = surrogate.predict(maps, dx=2.0, dt=5.0, unit="mV", electrodes=PLACES)
    assert np.abs(out.phi_e - expected.phi_e).max() < 0.1 * np.abs(expected.phi_e).max()
    lost[:, :10] = np.nan
    with pytest.raises(ValueError, match="expected at most 20% of the pixels to be lost, got 5"):
        surrogate.predict(lost, dx=2.0, dt=5.0, unit="mV", fill=True)


@pytest.mark.parametrize(
    ("spoil", "given", "message"),
    [
        (lambda u: u, {"unit": "mV"}, "plausible in u"),
        (lambda u: -85 + 100 * u, {"unit": "u"}, "plausible in mV"),
        (lambda u: u, {"dx": 9.0}, "dx: expected 0.4 .. 4.5 mm"),
        (lambda u: u, {"dx": 0.1}, "dx: expected 0.4 .. 4.5 mm"),
        (lambda u: u, {"dt": 12.0}, "dt: expected 0.5 .. 10 ms"),
        (lambda u: u[:9], {}, "expected at least 10 frames every 5 ms, got 9"),
        (lambda u: 0 * u, {}, "expected a wave"),
        (lambda u: u[:, :6, :6], {}, "expected at least 8 x 8 pixels"),
        (lambda u: np.where(np.arange(20) < 1, u, 0.0), {}, "expected a front that passes 10% of the pixels or more"),
        (lambda u: np.ones_like(u) * (np.arange(60) % 2)[:, None, None], {}, "expected a front that passes"),
    ],
    ids=[
        "u as mV",
        "mV as u",
        "large dx",
        "small dx",
        "slow",
        "few frames",
        "no wave",
        "small",
        "one column",
        "flicker",
    ],
)
def test_what_would_mean_nothing_is_refused(surrogate, spoil, given, message):
    with pytest.raises(ValueError, match=message):
        surrogate.predict(spoil(movie()), **{"dx": 2.0, "dt": 5.0, "unit": "u"} | given)


@pytest.mark.parametrize("kappa", [0.0, -1.0, np.nan])
def test_a_kappa_that_is_none_is_refused(surrogate, maps, kappa):
    with pytest.raises(ValueError, match="kappa: expected a time > 0 ms"):
        surrogate.predict(maps, dx=2.0, dt=5.0, unit="mV", kappa=kappa)


def test_what_comes_back_can_be_stored(surrogate, maps, tmp_path):
    out = surrogate.predict(maps, dx=2.0, dt=5.0, unit="mV", electrodes=PLACES)
    out.to_netcdf(tmp_path / "out.nc")
    xr.testing.assert_allclose(xr.load_dataset(tmp_path / "out.nc"), out)


def test_electrodes_that_touch_are_refused(surrogate, maps):
    with pytest.raises(ValueError, match="electrodes: expected every electrode at least dx / 2"):
        surrogate.predict(maps, dx=2.0, dt=5.0, unit="mV", electrodes=Electrodes(np.array([[9.0, 9.0, 0.5]]), ("a",)))


def test_what_is_unusual_is_flagged(surrogate):
    wrong = surrogate.predict(movie(), dx=4.0, dt=5.0, unit="u")  # of maps with 2 mm
    assert "check dx = 4 mm" in wrong.attrs["flags"]
    assert "unlike the training" in wrong.attrs["flags"] and wrong.attrs["unusual"] > 1


def test_mean_of_faces_by_hand():
    D_x, D_y = torch.tensor([[1.0], [3.0]]), torch.tensor([[5.0, 7.0]])
    assert torch.equal(mean_of_faces(D_x, D_y), torch.tensor([[3.0, 4.0], [4.0, 5.0]]))


def test_published_surrogates_are_found_by_name(tmp_path, monkeypatch, surrogate, maps):
    monkeypatch.setattr(module, "MODELS", tmp_path)
    with pytest.raises(ValueError, match="expected structured.safetensors and structured.json"):
        load_surrogate()
    save_models(list(surrogate.models), tmp_path / "structured.safetensors", kappa_cable=KAPPA, speed_range=[0.4, 0.9])
    with pytest.raises(ValueError, match="with calibrated bands"):
        load_surrogate("structured")
    write_json(tmp_path / "structured_bands.json", surrogate.bands | {"weights": load_card(tmp_path)})
    out = forwardecg.load_surrogate("structured").predict(maps, dx=2.0, dt=5.0, unit="mV")
    assert np.array_equal(out.phi_e, surrogate.predict(maps, dx=2.0, dt=5.0, unit="mV").phi_e)
    write_json(tmp_path / "structured_bands.json", surrogate.bands | {"weights": "of others"})
    with pytest.raises(
        ValueError, match="structured_bands.json: expected bands that were calibrated for these weights"
    ):
        load_surrogate()


def load_card(folder):
    return json.loads((folder / "structured.json").read_text())["sha256"]


def test_the_package_knows_no_other_names():
    with pytest.raises(AttributeError, match="No forwardecg attribute load_everything"):
        forwardecg.load_everything  # noqa: B018
