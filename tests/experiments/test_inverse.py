"""The experiment of the inverse: its draws, its images, its regions, and what is located in a tissue that is known."""

import numpy as np
import pytest
import torch
import xarray as xr

from experiments import inverse
from forwardecg.inverse.estimate import fit


def test_draws_are_functions_of_set_and_number_and_sets_differ():
    seen = set()
    for name in inverse.SETS:
        (tissue, site, kind), again = inverse.draw(name, 1), inverse.draw(name, 1)
        assert (site == again[1]).all() and (tissue.D == again[0].D).all()
        assert (site / 100 >= 0.1).all() and (site / 100 <= 0.9).all()
        assert (kind == "healthy") == (name != "remodeled")
        seen.add(tuple(site))
    assert len(seen) == len(inverse.SETS)


def test_images_are_eight_and_keep_the_distance_to_the_center():
    found = inverse.images(np.array([20.0, 65.0]))
    assert len({tuple(one) for one in found}) == 8
    assert np.allclose(np.hypot(*(found - 50).T), np.hypot(30, 15))


def test_noise_has_the_size_that_was_asked_for():
    phi_e = xr.DataArray(np.sin(np.arange(6000.0)).reshape(2, 3000) * [[1.0], [5.0]], dims=("lead", "time_ecg"))
    added = (inverse.noisy(phi_e, 0.3, 1) - phi_e).std("time_ecg") / phi_e.std("time_ecg")
    assert np.allclose(added, 0.3, rtol=0.06)


def test_a_shared_porosity_ties_speed_and_amplitude_and_one_gain_does_not():
    q = torch.from_numpy(np.random.default_rng(0).uniform(0, 2, 4 + inverse.FIELD**2))
    for parameters, tied in ((inverse.shared_porosity, True), (inverse.one_gain, False)):
        p = parameters(q)
        log_D, log_gain = p[3:].chunk(2)
        assert torch.equal(p[:3], q[:3]) and len(log_D) == len(log_gain) == inverse.FIELD**2
        if tied:  # D0 phi^2 flows where waves spread as in D0 phi
            assert torch.allclose(log_D - log_gain, q[-1])
        else:
            assert torch.equal(log_D, q[3:-1]) and torch.equal(log_gain, q[-1].expand(len(log_D)))


@pytest.fixture(scope="module")
def small():
    """A wave of the first test tissue, and its ECG at three electrodes."""
    tissue, site, _ = inverse.draw("test", 0)
    return tissue, site, inverse.record(tissue, site, "3", t_end=150.0)


def test_a_region_gets_smaller_with_the_samples_and_the_true_site_farther_out(small):
    tissue, site, true = small
    phi_e, places = inverse.noisy(true.phi_e, 0.1, 0), inverse.LAYOUTS["3"]
    rows = inverse.score_region(phi_e, places, fit(phi_e, places, inverse.SHEET), site)
    assert list(rows.n_eff) == list(inverse.N_EFF) and (rows.wells == 1).all()
    for column in ("mass", "laplace"):
        assert rows[column].between(0, 1).all() and rows[column].is_monotonic_increasing
    assert rows.area.is_monotonic_decreasing and rows.area.iloc[-1] < rows.area.iloc[0]


def test_a_site_is_located_in_a_tissue_that_is_known(small):
    tissue, site, true = small
    found, misfit, T = inverse.locate(true.phi_e, inverse.LAYOUTS["3"], tissue, True, site + [2.0, -1.5])
    assert np.hypot(*(found - site)) < 0.6 and misfit < 0.005
    seen = np.isfinite(true.lat.values)
    assert np.abs(T - true.lat.values)[seen].mean() < 0.8
