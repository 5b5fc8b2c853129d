"""The small files that come with the repository: whole, readable, and what they say they are."""

import numpy as np
import pytest

from forwardecg.contract import V_REST, V_SPAN, to_u
from forwardecg.data.maps import SMALL as SHIPPED
from forwardecg.data.maps import import_maps, load_small
from forwardecg.ecg.electrodes import Electrodes
from forwardecg.ecg.leadfield import pseudo_ecg
from forwardecg.measure.scores import r2
from forwardecg.paths import ROOT
from forwardecg.surrogates.baselines import training_free_ecg
from forwardecg.tissue.sheet import Tissue

SMALL = ROOT / "data" / "small"
GIVEN = {"finitewave.npz": {}, "maps.nc": {}, "maps.npy": {"dx": 4.0, "dt": 10.0, "unit": "u"}}


@pytest.mark.parametrize("name", GIVEN)
def test_it_is_maps_of_one_wave(name):
    maps = import_maps(SMALL / name, **GIVEN[name])
    assert maps.V_m.dims == ("time", "y_map", "x_map") and maps.sizes["y_map"] == 50
    assert maps.V_m[0].max() < -50 and -10 < maps.V_m.max() < 20 and maps.V_m[-1].max() < -75
    activated = (maps.V_m > -60).any("time").mean()
    assert 0.5 < activated <= 1


def test_all_of_it_is_small():
    sizes = {path.name: path.stat().st_size for path in SMALL.iterdir()}
    assert sum(sizes.values()) < 2.5e6 and all(sizes[name] < 0.5e6 for name in GIVEN), sizes
    assert {*sizes} == {"README.md", SHIPPED, *GIVEN}


def test_the_ecg_of_the_other_simulator_follows_from_its_maps():
    """By the estimate that needs no training; its grid is not calibrated, so that not all of the amplitude is there."""
    maps = import_maps(SMALL / "finitewave.npz")
    places = Electrodes(maps.electrodes.values, tuple(maps.attrs["lead"].split()))
    ecg = training_free_ecg(to_u(maps.V_m.values), maps.dx_map, 5.0, 0.226, places)
    assert r2(maps.phi_e.values, ecg).min() > 0.9
    assert maps.attrs["source"].startswith("Finitewave") and 0.1 < maps.attrs["fibrosis_density"] < 0.3
    assert np.unique(maps.D) == [0.13] and maps.attrs["dx"] == 0.25
    assert np.isclose(1 - maps.conductive.mean(), maps.attrs["fibrosis_density"])


def test_pixels_reach_no_more_than_their_conducting_share():
    maps = import_maps(SMALL / "finitewave.npz")
    share = maps.conductive.values.reshape(50, 8, 50, 8).mean((1, 3))
    peak = (to_u(maps.V_m)).max("time").values
    assert (share == 0).any() and (np.abs(peak[share == 0]) < 1e-6).all() and (peak <= share + 1e-3).all()


def test_the_ecg_of_the_other_simulator_with_its_own_conductivity():
    """The lead field of the true D on the pixels: what is left is what the pixels blur."""
    maps = import_maps(SMALL / "finitewave.npz")
    share = maps.conductive.values.reshape(50, 8, 50, 8).mean((1, 3))
    on_pixels = Tissue(D=0.13 * share, conductive=share > 0, dx=maps.dx_map)
    places = Electrodes(maps.electrodes.values, tuple(maps.attrs["lead"].split()))
    ecg = pseudo_ecg(maps.V_m.values, on_pixels, places)
    assert min(np.corrcoef(a, b)[0, 1] for a, b in zip(ecg, maps.phi_e.values, strict=True)) > 0.9


def test_the_two_files_hold_the_fibrotic_one_of_the_four():
    nc, npy, four = import_maps(SMALL / "maps.nc"), np.load(SMALL / "maps.npy"), load_small()
    fibrotic = four.isel(sim=four.condition.values.tolist().index("fibrotic"))
    coarse = fibrotic.V_m[:121].values.reshape(121, 50, 2, 50, 2).mean((2, 4))
    assert np.allclose(nc.V_m, coarse, atol=0.03) and np.allclose(V_REST + V_SPAN * npy, coarse[::2], atol=0.06)
    assert np.allclose(nc.phi_e, fibrotic.phi_e[:9, :601:5], atol=1e-6)
    assert np.allclose(nc.electrodes, fibrotic.electrodes[:9])
