"""The published networks: their guarantees on the weights that are shipped, and what they score on the small tissues."""

import numpy as np
import pytest

import forwardecg
from forwardecg.contract import V_REST, to_u
from forwardecg.data.maps import import_maps, load_small
from forwardecg.ecg.electrodes import Electrodes, match_electrodes
from forwardecg.measure.scores import r2
from forwardecg.paths import MODELS, ROOT
from forwardecg.surrogates.weights import load_models


@pytest.fixture(scope="module")
def surrogate():
    return forwardecg.load_surrogate("structured")


@pytest.fixture(scope="module")
def small():
    return load_small()


@pytest.fixture(scope="module")
def bank(small):
    return Electrodes(small.electrodes.values, tuple(small.lead.values.tolist()))


def predicted(surrogate, small, sim, electrodes, V_m=None):
    maps = small.V_m[sim].values if V_m is None else V_m
    return surrogate.predict(maps, dx=2.0, dt=5.0, unit="mV", electrodes=electrodes)


@pytest.mark.parametrize("sim", range(4))
def test_every_condition_at_every_electrode(surrogate, small, bank, sim):
    """Three of the four are training or test tissues of the split: this guards the shipped files, and is no score."""
    out = predicted(surrogate, small, sim, bank)
    true = small.phi_e[sim].sel(time_ecg=small.time.values).values
    scores = r2(true, out.phi_e.values)
    assert scores[0] > 0.97 and scores.min() > 0.9, scores.round(3)
    inside = (true >= out.phi_e_low.values) & (true <= out.phi_e_high.values)
    assert inside.mean() > 0.8


def test_turned_and_mirrored_sheets_permute_the_electrodes(surrogate, small, bank):
    straight = predicted(surrogate, small, 3, bank).phi_e.values
    permutations = match_electrodes(bank.positions, 200.0)
    for n in (1, 2, 4, 5):
        V_m = np.rot90(small.V_m[3].values, n % 4, (1, 2))
        V_m = V_m[:, :, ::-1] if n >= 4 else V_m
        turned = predicted(surrogate, small, 3, bank, np.ascontiguousarray(V_m)).phi_e.values
        assert np.abs(turned - straight[permutations[n]]).max() < 2e-3 * np.abs(straight).max(), n


def test_an_electrode_does_not_depend_on_the_others(surrogate, small, bank):
    alone = Electrodes(bank.positions[5:6], ("alone",))
    many, one = (predicted(surrogate, small, 2, places).phi_e.values for places in (bank, alone))
    assert np.allclose(many[5], one[0], atol=1e-5 * np.abs(one).max())


def test_maps_at_rest_for_longer_change_nothing(surrogate, small):
    """Frames at rest, appended: the same tissue, and an ECG of zero there."""
    V_m = small.V_m[0].values
    longer = np.concatenate([V_m, np.full((40, *V_m.shape[1:]), V_REST, V_m.dtype)])
    short, out = (predicted(surrogate, small, 0, None, maps).phi_e.values[0] for maps in (V_m, longer))
    assert np.allclose(out[: len(short)], short, atol=1e-5 * np.abs(short).max())
    assert np.abs(out[len(short) :]).max() < 1e-3 * np.abs(short).max()


def test_maps_of_another_simulator(surrogate):
    maps = import_maps(ROOT / "data" / "small" / "finitewave.npz")
    places = Electrodes(maps.electrodes.values, tuple("abcde"))
    assert r2(maps.phi_e.values, surrogate.predict(maps, electrodes=places).phi_e.values).min() > 0.95


def test_the_paper_network_and_the_size_of_the_files(small):
    (model,), card = load_models(MODELS / "paper.safetensors")
    assert card["kind"] == "paper" and len(card["time"]) == 91 and model.config.pixels == 50
    sizes = {path.name: path.stat().st_size for path in MODELS.iterdir()}
    assert max(sizes.values()) < 8e6 and sum(sizes.values()) < 12e6, sizes
    assert to_u(small.V_m.max()) <= 1.01
