"""The small files that come with the repository: whole, readable, and what they say they are."""

import numpy as np
import pytest
import small

from forwardecg.contract import CONTRACT, V_REST, V_SPAN, to_u
from forwardecg.data.draw import draw_tissue, simulate_one
from forwardecg.data.maps import SMALL_SET, import_maps, load_small
from forwardecg.ecg.electrodes import Electrodes, bank_electrodes, center_electrode
from forwardecg.ecg.leadfield import pseudo_ecg
from forwardecg.measure.scores import r2
from forwardecg.paths import SMALL
from forwardecg.surrogates.baselines import training_free_ecg
from forwardecg.tissue.grid import Grid
from forwardecg.tissue.sheet import CONDITIONS, Tissue

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
    assert {*sizes} == {"README.md", SMALL_SET.name, *GIVEN}


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
    ecg = pseudo_ecg(maps.V_m, on_pixels, places).values
    assert min(np.corrcoef(a, b)[0, 1] for a, b in zip(ecg, maps.phi_e.values, strict=True)) > 0.9


def test_the_two_files_hold_the_fibrotic_one_of_the_four():
    nc, npy, four = import_maps(SMALL / "maps.nc"), np.load(SMALL / "maps.npy"), load_small()
    fibrotic = four.isel(sim=four.condition.values.tolist().index("fibrotic"))
    coarse = fibrotic.V_m[:121].values.reshape(121, 50, 2, 50, 2).mean((2, 4))
    assert np.allclose(nc.V_m, coarse, atol=0.03) and np.allclose(V_REST + V_SPAN * npy, coarse[::2], atol=0.06)
    assert np.allclose(nc.phi_e, fibrotic.phi_e[:9, :601:5], atol=1e-6)
    assert np.allclose(nc.electrodes, fibrotic.electrodes[:9])


# The four tissues


@pytest.fixture(scope="module")
def shipped():
    return load_small()


def test_the_shipped_tissues_are_one_of_each_condition_in_2_MB(shipped):
    assert SMALL_SET.stat().st_size < 2e6
    assert tuple(shipped.condition.values) == CONDITIONS
    sizes = {
        "time": 181,
        "y_map": 100,
        "x_map": 100,
        "y": 400,
        "x": 400,
        "lead": 37,
        "time_ecg": 901,
        "xyz": 3,
        "sim": 4,
    }
    assert shipped.sizes == sizes
    for name in CONTRACT.keys() & shipped.variables.keys():
        dims, units, _ = CONTRACT[name]
        assert tuple(dim for dim in shipped[name].dims if dim != "sim") == dims and shipped[name].units == units
    bank = bank_electrodes(Grid((400, 400), 0.5))
    assert tuple(shipped.lead.values) == bank.names and np.array_equal(shipped.electrodes, bank.positions)
    assert np.isfinite(shipped.V_m).all() and shipped.V_m[:, -1].max() == -85.0  # at rest in the end
    assert shipped.attrs["license"] == "CC-BY-4.0" and "0.05 mV" in shipped.reduced


@pytest.mark.parametrize("sim, at_least", [(0, 0.999), (1, 0.999), (2, 0.9), (3, 0.9)])
def test_shipped_ecgs_belong_to_the_shipped_maps(shipped, sim, at_least):
    """The lead field of the true D on the pixels, at the center electrode: exact but for what the pixels blur."""
    one = shipped.isel(sim=sim)
    D, share = ((z.values.reshape(100, 4, 100, 4)).mean((1, 3)) for z in (one.D * one.conductive, 1.0 * one.conductive))
    on_pixels = Tissue(D=D, conductive=share > 0, dx=one.dx_map)
    ecg = pseudo_ecg(one.V_m.values, on_pixels, center_electrode(on_pixels)).values[0]
    kept = one.phi_e.sel(lead="center", time_ecg=one.time.values).values
    assert np.corrcoef(ecg, kept)[0, 1] > at_least


def test_a_shipped_tissue_is_what_its_recipe_simulates(shipped):
    """Of the present code, so that the file does not outlive it; only rounding may differ, and the processor."""
    one, again = shipped.isel(sim=0), simulate_one(small.RECIPE, small.SIMS[0])
    assert abs(one.phi_e.values - again.phi_e.values).max() < 1e-3 * abs(again.phi_e.values).max()
    assert abs(one.lat.values - again.lat.values).max() < 0.2
    assert np.percentile(abs(one.V_m.values - again.V_m.values), 99.9) < 0.1
    columns = {name: one[name].item() for name in one.data_vars if one[name].ndim == 0}
    for name, value in columns.items():
        assert value == again.attrs[name] or value == pytest.approx(again.attrs[name], rel=1e-3), name


@pytest.mark.parametrize("k", range(4))
def test_every_shipped_sheet_is_the_one_its_recipe_draws_now(shipped, k):
    one = shipped.isel(sim=k)
    drawn = draw_tissue(small.RECIPE, small.SIMS[k], int(one.attempt))
    np.testing.assert_allclose(one.D, drawn.tissue.D, rtol=1e-6)
    assert np.array_equal(one.conductive, drawn.tissue.conductive) and one.stimulus == drawn.stimulus
