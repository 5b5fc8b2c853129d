"""Predictions on one's own maps: what comes back, what is linear in what, and what is refused or flagged."""

import numpy as np
import pytest
import torch
import xarray as xr

import forwardecg
from forwardecg.data.maps import import_maps
from forwardecg.ecg.electrodes import Electrodes
from forwardecg.measure.bands import fit_reference, noise_of
from forwardecg.surrogates import predict as module
from forwardecg.surrogates.paper.data import Sequences
from forwardecg.surrogates.paper.task import predict
from forwardecg.surrogates.predict import StructuredSurrogate, load_surrogate
from forwardecg.surrogates.recording import inspect
from forwardecg.surrogates.structured.fronts import read_fronts
from forwardecg.surrogates.structured.model import KAPPA, Structured, StructuredConfig, describe_maps, make_inputs
from forwardecg.surrogates.weights import read_card, save_bands, save_models

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
        f = read_fronts(torch.from_numpy(movie(c=0.5 + 0.004 * k, seed=k)).float(), 2.0, 5.0)
        features.append(describe_maps(make_inputs(f, 2.0, 5.0), f))
    reference = fit_reference(np.array(features[::2]), np.array(features[1::2]), 0.9)
    bands = {
        "phi_e": {"factor": 3.0, "pointwise_factor": 1.5, "floor": 0.02},
        "D": {"factor": 2.0, "floor": 0.05},
        "reference": reference.to_card(),
    }
    return StructuredSurrogate(
        tuple(models), {"kappa_cable": KAPPA, "speed_range": [0.4, 0.9], "sha256": "0" * 64}, bands
    )


@pytest.fixture(scope="module")
def maps():
    return -85 + 100 * movie()


def test_what_comes_back(surrogate, maps):
    out = surrogate.predict(maps, dx=2.0, dt=5.0, electrodes=PLACES, unit="mV")
    assert out.phi_e.dims == ("lead", "time_ecg") and out.lead.values.tolist() == ["a", "b"]
    assert out.phi_e.attrs["units"] == "mV mm ms-1" and out.D.attrs["units"] == "mm2 ms-1"
    assert out.D.shape == out.D_error.shape == out.share.shape == (20, 20)
    assert (out.phi_e_low <= out.phi_e).all() and (out.phi_e <= out.phi_e_high).all() and (out.D > 0).all()
    assert np.allclose(out.time_ecg, 5.0 * np.arange(60)) and out.attrs["dx_map"] == 2.0
    assert out.attrs["flags"].startswith("completeness: fronts come in") and ";" not in out.attrs["flags"]
    assert 0 < out.attrs["unusual"] < 1 and out.attrs["cell"] == "FK-CAF"
    assert np.allclose(out.phi_e_high - out.phi_e, 2 * out.phi_e_error) and (out.expected_error > 0).all()
    assert np.abs(out.phi_e).max() > 1e-4 and np.allclose(out.phi_e[:, :3], 0, atol=1e-3 * np.abs(out.phi_e).max())


def test_bands_follow_the_expected_error_and_the_nearest_reference(surrogate, maps):
    k = len(surrogate.bands["reference"]["mean"])
    flat = {"mean": [0.0] * (k + 3), "sd": [1.0] * (k + 3), "weights": [0.0] * (k + 3), "intercept": np.log(0.05)}
    given = {"dx": 2.0, "dt": 5.0, "electrodes": PLACES, "unit": "mV"}
    own = surrogate.bands | {"expected": flat, "grid": np.zeros((k, 4)).tolist()}
    out = StructuredSurrogate(surrogate.models, surrogate.card, own).predict(maps, **given)
    rms = np.sqrt(np.square(out.phi_e).mean("time_ecg"))
    wide = np.sqrt(np.square(out.phi_e_error).mean("time_ecg"))
    noise = noise_of(out.phi_e)[:, 0]
    assert np.allclose(out.expected_error, 0.05) and np.allclose(wide, 1.5 * np.hypot(0.05 * rms, noise), rtol=1e-3)
    loud = own | {"expected": flat | {"intercept": np.log(0.5)}}
    flags = StructuredSurrogate(surrogate.models, surrogate.card, loud).predict(maps, **given).attrs["flags"]
    assert "expected error of 50% of the ECG" in flags
    far = surrogate.bands["reference"] | {"mean": [z + 50 for z in surrogate.bands["reference"]["mean"]]}
    for references, same in (([far, own["reference"]], True), ([far], False)):
        both = StructuredSurrogate(surrogate.models, surrogate.card, own | {"references": references})
        found = both.predict(maps, **given).attrs
        assert (found["unusual"] == pytest.approx(out.attrs["unusual"])) == same
        assert ("unlike the training" in found["flags"]) != same


def test_bands_are_wider_far_from_the_recipe_and_nothing_else_changes(surrogate, maps):
    """Far: by the first references alone. The band of a quiet trace is `times` as wide, up to an error as large as the ECG."""
    k = len(surrogate.bands["reference"]["mean"])
    flat = {"mean": [0.0] * (k + 3), "sd": [1.0] * (k + 3), "weights": [0.0] * (k + 3), "intercept": np.log(0.1)}
    own = surrogate.bands["reference"]
    other = own | {"mean": [z + 50 for z in own["mean"]]}
    given = {"dx": 2.0, "dt": 5.0, "electrodes": PLACES, "unit": "mV"}
    bands = surrogate.bands | {"expected": flat, "grid": np.zeros((k, 4)).tolist()}

    def predicted(references, **away):
        more = {"references": references} | ({"away": {"references": 1, "beyond": 0.9} | away} if away else {})
        return StructuredSurrogate(surrogate.models, surrogate.card, bands | more).predict(maps, **given)

    plain, noise = predicted([own, other]), 1.5 * noise_of(predicted([own, other]).phi_e)
    for references, times, ratio in (([own, other], 3.0, 1.0), ([other, own], 3.0, 3.0), ([other, own], 30.0, 10.0)):
        out = predicted(references, times=times)
        shape = [np.sqrt(np.square(one.phi_e_error) - noise**2) for one in (out, plain)]
        assert np.allclose(shape[0], ratio * shape[1], rtol=1e-6), (times, ratio)
        assert np.allclose(out.phi_e_high - out.phi_e, 2 * out.phi_e_error)
        assert np.array_equal(out.phi_e, plain.phi_e) and np.array_equal(out.expected_error, plain.expected_error)
        assert out.attrs["flags"] == plain.attrs["flags"], "flags go by the error that is expected"


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
    with pytest.raises(ValueError, match="electrodes: expected Electrodes, such as center_electrode gives, got tuple"):
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
    assert out.sizes["time_ecg"] == 300 and out.D.shape == (20, 20) and out.attrs["dx_map"] == 2.0
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


@pytest.mark.parametrize("kappa", [0.0, -1.0, np.nan, 1e9, "0.2", True])
def test_a_kappa_that_is_none_is_refused(surrogate, maps, kappa):
    with pytest.raises(ValueError, match="kappa: expected a number in 0.01 .. 10 ms"):
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
    assert "check dx = 4 mm and the times" in wrong.attrs["flags"]
    assert "unlike the training" in wrong.attrs["flags"] and wrong.attrs["unusual"] > 1


def test_a_flag_names_the_pixels_that_were_given_and_how_they_were_averaged(surrogate):
    wrong = surrogate.predict(movie(40, 0.5, 120, 2.0), dx=1.0, dt=2.0, unit="u")
    assert "check dx = 1 mm, averaged 2 x 2 to 2 mm, and the times" in wrong.attrs["flags"]


def test_published_surrogates_are_found_by_name(tmp_path, monkeypatch, surrogate, maps):
    monkeypatch.setattr(module, "MODELS", tmp_path)
    with pytest.raises(ValueError, match="weights: expected structured.safetensors in"):
        load_surrogate()
    save_models(list(surrogate.models), tmp_path / "structured.safetensors", kappa_cable=KAPPA, speed_range=[0.4, 0.9])
    with pytest.raises(ValueError, match="with calibrated bands"):
        load_surrogate("structured")
    own = surrogate.bands | {"weights": read_card(tmp_path / "structured.safetensors")["sha256"]}
    save_bands(own, tmp_path / "structured_bands.json")
    out = forwardecg.load_surrogate("structured").predict(maps, dx=2.0, dt=5.0, unit="mV")
    assert np.array_equal(out.phi_e, surrogate.predict(maps, dx=2.0, dt=5.0, unit="mV").phi_e)
    save_bands(surrogate.bands | {"weights": "of others"}, tmp_path / "structured_bands.json")
    with pytest.raises(
        ValueError, match="structured_bands.json: expected bands that were calibrated for these weights"
    ):
        load_surrogate()


def test_the_package_knows_no_other_names():
    with pytest.raises(AttributeError, match="No forwardecg attribute load_everything"):
        forwardecg.load_everything  # noqa: B018


@pytest.mark.parametrize("name", ["seq2seq", "../structured", ""])
def test_other_names_are_refused(name):
    with pytest.raises(ValueError, match=f"name: expected one of paper, structured, got '{name}'"):
        load_surrogate(name)


def test_networks_of_another_kind_are_refused(tmp_path, monkeypatch, surrogate):
    monkeypatch.setattr(module, "MODELS", tmp_path)
    save_models(list(surrogate.models), tmp_path / "paper.safetensors")
    with pytest.raises(ValueError, match="paper.safetensors: expected networks of this kind, got structured"):
        load_surrogate("paper")


# The paper's network: one size, one clock, one beat, one electrode


@pytest.fixture(scope="module")
def paper():
    return load_surrogate("paper")


@pytest.fixture(scope="module")
def small():
    return forwardecg.load_small().isel(sim=[0])


@pytest.fixture(scope="module")
def sheet(small):
    """Maps (time, y, x) of 2 mm every 5 ms, in mV."""
    return small.V_m[0].values


def test_the_paper_surrogate_is_the_network_of_the_notebooks(paper, small):
    out = paper.predict(small.isel(sim=0))
    sequences = Sequences(small, [0], paper.card["config"]["pixels"], 10.0)
    assert np.array_equal(out.phi_e.values, predict(paper.model, sequences, paper.card["scale"]))
    assert out.phi_e.dims == ("lead", "time_ecg") and out.lead.values.tolist() == ["center"]
    assert np.array_equal(out.time_ecg, paper.card["time"]) and out.phi_e.attrs["units"] == "mV mm ms-1"
    assert out.electrodes.values.tolist() == [[100.0, 100.0, 40.0]] and out.attrs["flags"] == ""
    assert {*out.variables} == {"phi_e", "electrodes", "time_ecg", "lead", "xyz"} and out.attrs["dx_map"] == 4.0


def test_both_surrogates_give_phi_e_alike(paper, sheet):
    one, other = (load_surrogate(name).predict(sheet, dx=2.0, dt=5.0, unit="mV") for name in ("paper", "structured"))
    at = {"time_ecg": one.time_ecg}
    assert one.phi_e.dims == other.phi_e.dims and one.phi_e.attrs == other.phi_e.attrs
    assert one.time_ecg.attrs == other.time_ecg.attrs and one.electrodes.identical(other.electrodes)
    assert np.corrcoef(one.phi_e[0], other.phi_e.sel(at)[0])[0, 1] > 0.95


def test_the_trained_electrode_may_be_given_and_no_other(paper, sheet):
    given = {"dx": 2.0, "dt": 5.0, "unit": "mV"}
    named = paper.predict(sheet, electrodes=Electrodes(np.array([[100.0, 100.0, 40.0]]), ("mine",)), **given)
    assert named.lead.values.tolist() == ["mine"] and np.array_equal(named.phi_e, paper.predict(sheet, **given).phi_e)
    for places in (PLACES, Electrodes(np.array([[100.0, 100.0, 30.0]]), ("low",))):
        with pytest.raises(ValueError, match=r"electrodes: expected the one that the network was trained on, \[\[100"):
            paper.predict(sheet, electrodes=places, **given)
    with pytest.raises(ValueError, match="electrodes: expected Electrodes"):
        paper.predict(sheet, electrodes="center", **given)


@pytest.mark.parametrize(
    ("spoil", "given", "message"),
    [
        (
            lambda V: V[:, :80, :80],
            {},
            "maps: expected a square sheet of 200 mm in a multiple of 50 pixels, got 80 x 80",
        ),
        (lambda V: V[:, :50], {}, "got 50 x 100 of 2 mm"),
        (lambda V: V, {"dx": 1.0}, "got 100 x 100 of 1 mm"),
        (lambda V: V[:, ::4, ::4], {"dx": 8.0}, "got 25 x 25 of 8 mm"),
        (lambda V: V, {"dt": 4.0}, "dt: expected a divisor of the 10 ms between frames of the training, got 4 ms"),
        (lambda V: V, {"dt": 20.0}, "dt: expected a divisor of the 10 ms"),
        (lambda V: V[:41], {}, "maps: expected 900 ms from the stimulus on, or less that ends at rest, got 200 ms"),
        (lambda V: V, {"dt": 10.0}, "or less that ends at rest, got 1800 ms"),
        (lambda V: (V + 85) / 100, {}, "plausible in u"),
    ],
    ids=["small", "oblong", "fine", "coarse", "odd clock", "slow", "cut", "long", "u as mV"],
)
def test_what_the_paper_network_was_not_made_for_is_refused(paper, sheet, spoil, given, message):
    with pytest.raises(ValueError, match=message):
        paper.predict(spoil(sheet), **{"dx": 2.0, "dt": 5.0, "unit": "mV"} | given)


def test_a_recording_that_ends_at_rest_is_completed(paper, sheet):
    whole = paper.predict(sheet, dx=2.0, dt=5.0, unit="mV")
    short = paper.predict(sheet[:121], dx=2.0, dt=5.0, unit="mV")
    n = short.sizes["time_ecg"]
    assert n == 61 and np.allclose(short.phi_e, whole.phi_e[:, :n], atol=2e-3 * float(np.abs(whole.phi_e).max()))


def test_beats_unlike_those_of_the_training_are_flagged(paper, sheet):
    twice = np.concatenate([sheet[:90], sheet[:91]])
    flags = paper.predict(twice, dx=2.0, dt=5.0, unit="mV").attrs["flags"]
    assert "of the pixels rise more than once, trained on one beat" in flags and "first frame" not in flags
    late = np.concatenate([sheet[20:], np.full_like(sheet[:20], -85.0)])
    assert "a wave in the first frame" in paper.predict(late, dx=2.0, dt=5.0, unit="mV").attrs["flags"]


# Rest, background, masks, and what the result says of the maps


def test_the_ecg_is_zero_where_the_tissue_is_at_rest_whatever_its_rest(surrogate, maps):
    given = {"dx": 2.0, "dt": 5.0, "unit": "mV", "electrodes": PLACES}
    right = surrogate.predict(maps, **given)
    for offset in (-8.0, 5.0, 10.0, 20.0):
        out = surrogate.predict(maps + offset, **given)
        assert np.allclose(out.phi_e, right.phi_e, atol=1e-4 * float(np.abs(right.phi_e).max()))
        assert out.attrs["rest"] == pytest.approx(-85 + offset, abs=0.3), "and named where no cell has it"
        assert ("rest near" in out.attrs["flags"]) == (not -90 <= -85 + offset <= -70)


def test_the_rest_of_the_contract_is_left_alone(maps):
    small = forwardecg.load_small()
    for V_m in (*small.V_m, *(V + np.random.default_rng(0).normal(0, 2, V.shape) for V in small.V_m[:2])):
        found = import_maps(V_m, dx=2.0, unit="mV")
        same, flags = inspect(found)
        assert same is found and flags == []


def test_background_that_is_no_rest_is_named_and_left_out():
    tissue = forwardecg.load_small().isel(sim=2)
    true = tissue.phi_e.sel(lead="center", time_ecg=tissue.time).values
    right, structured = None, load_surrogate()
    for value in (0.0, -100.0, -40.0):
        V = np.pad(tissue.V_m.values.astype(float), ((0, 0), (10, 10), (10, 10)), constant_values=value)
        out = structured.predict(V, dx=2.0, dt=5.0, unit="mV")
        r2 = 1 - np.square(out.phi_e.values[0] - true).sum() / np.square(true - true.mean()).sum()
        assert r2 > 0.95 or value == -100, r2
        if abs(value + 85) > 20:
            assert "4400 pixels are constant at" in out.attrs["flags"] and "background" in out.attrs["flags"]
            assert np.isnan(out.D[0]).all() and np.isfinite(out.D[10:-10, 10:-10]).all()
            assert right is None or np.array_equal(out.phi_e, right.phi_e), "whatever its value"
            right = out
    mask = np.zeros(V.shape[1:], bool)
    mask[10:-10, 10:-10] = True
    masked = structured.predict(V, dx=2.0, dt=5.0, unit="mV", mask=mask)
    assert np.array_equal(masked.phi_e, right.phi_e) and "background" not in masked.attrs["flags"]
    V[:, ~mask] = np.nan
    assert np.array_equal(structured.predict(V, dx=2.0, dt=5.0, unit="mV", mask=mask).phi_e, right.phi_e)


def test_saturated_pixels_and_those_without_rest_are_named(surrogate, maps):
    given = {"dx": 2.0, "dt": 5.0, "unit": "mV"}
    flags = surrogate.predict(np.minimum(maps, -30.0), **given).attrs["flags"]
    assert "of the pixels are saturated: they stay at -30 mV" in flags
    awake = maps.copy()
    awake[:, 3:6, 3:6] = np.maximum(awake[:, 3:6, 3:6], -40 + np.arange(60)[:, None, None] / 60)
    assert "2% of the pixels never come to rest" in surrogate.predict(awake, **given).attrs["flags"]


def test_the_result_says_how_the_maps_were_read(surrogate, maps):
    out = surrogate.predict(maps, dx=2.0, dt=5.0, unit="mV")
    assert out.attrs["size"] == "40 mm along x, 40 mm along y" and 0.4 < out.attrs["speed"] < 0.9
    assert out.attrs["orientation"].startswith("pixel (0, 0) is centered at x = 1, y = 1 mm")
    wrong = surrogate.predict(maps, dx=2.5, dt=5.0, unit="mV")
    assert wrong.attrs["size"] == "50 mm along x, 50 mm along y"
    assert wrong.attrs["speed"] == pytest.approx(1.25 * out.attrs["speed"], rel=0.02)
    center = 300 + 1 + 2.0 * np.arange(20)
    axes = {"y": ("y", center, {"units": "mm"}), "x": ("x", center - 310, {"units": "mm"})}
    moved = surrogate.predict(xr.DataArray(maps, axes, ("time", "y", "x")), dt=5.0, unit="mV")
    assert np.array_equal(moved.phi_e, out.phi_e) and np.array_equal(moved.y_map, center)
    assert moved.electrodes.values.tolist() == [[10.0, 320.0, 40.0]]
    assert "centered at x = -9, y = 301 mm" in moved.attrs["orientation"]


def test_the_paper_network_reads_rest_and_masks_too(paper, sheet):
    right = paper.predict(sheet, dx=2.0, dt=5.0, unit="mV")
    moved = paper.predict(sheet + np.float32(10), dx=2.0, dt=5.0, unit="mV")
    assert np.allclose(moved.phi_e, right.phi_e, atol=2e-3 * float(np.abs(right.phi_e).max()))
    assert (
        moved.attrs["rest"] == -75
        and "rest" not in moved.attrs["flags"]
        and right.attrs["size"] == "200 mm along x, 200 mm along y"
    )
    all_ = paper.predict(sheet, dx=2.0, dt=5.0, unit="mV", mask=np.ones((100, 100), bool))
    assert np.array_equal(all_.phi_e, right.phi_e)
