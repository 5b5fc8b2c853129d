"""CRPS: closed forms against its definition as an integral, and what makes it a proper score."""

import numpy as np
import pytest
import xarray as xr
from scipy.stats import norm

from forwardecg.measure.crps import crps_ensemble, crps_gaussian


def by_integral(cdf, y: float) -> float:
    x = np.linspace(-40, 40, 800_001)
    return float(np.trapezoid((cdf(x) - (x >= y)) ** 2, x))


@pytest.mark.parametrize(("mean", "sd", "y"), [(0.0, 1.0, 0.0), (0.5, 2.0, 4.0), (-1.0, 0.2, -3.0)])
def test_of_a_gaussian_is_the_integral(mean, sd, y):
    found = crps_gaussian([[y]], [[mean]], [[sd]]).item()
    assert found == pytest.approx(by_integral(lambda x: norm.cdf(x, mean, sd), y), abs=1e-4)


def test_of_an_ensemble_is_the_integral_and_the_double_sum():
    rng = np.random.default_rng(0)
    members, y = rng.standard_normal((7, 1, 1)), 0.3
    found = crps_ensemble([[y]], members).item()
    steps = lambda x: (members.ravel() <= x[:, None]).mean(1)  # noqa: E731
    assert found == pytest.approx(by_integral(steps, y), abs=1e-3)
    x = members.ravel()
    pairs = np.abs(x[:, None] - x)
    assert found == pytest.approx(np.abs(x - y).mean() - pairs.mean() / 2, abs=1e-12)
    fair = np.abs(x - y).mean() - pairs.sum() / (7 * 6) / 2
    assert crps_ensemble([[y]], members, fair=True).item() == pytest.approx(fair, abs=1e-12)


def test_of_a_point_is_the_absolute_error():
    rng = np.random.default_rng(1)
    true, point = rng.standard_normal((2, 3, 20))
    error = np.abs(true - point)
    assert np.allclose(crps_gaussian(true, point, np.zeros_like(true)), error)
    assert np.allclose(crps_ensemble(true, point[None]), error)
    assert np.allclose(crps_ensemble(true, np.repeat(point[None], 5, axis=0)), error)
    assert np.allclose(crps_gaussian(true, point, np.full_like(true, 1e-9)), error, atol=1e-8)


def test_a_large_ensemble_is_its_gaussian():
    rng = np.random.default_rng(2)
    members = 1 + 2 * rng.standard_normal((40_000, 1, 3))
    true = np.array([[0.0, 1.0, 6.0]])
    ones = np.ones_like(true)
    assert crps_ensemble(true, members) == pytest.approx(crps_gaussian(true, ones, 2 * ones), abs=0.03)


def test_a_fair_score_does_not_depend_on_the_number_of_members():
    rng = np.random.default_rng(3)
    true, few, many = (
        rng.standard_normal((1, 20_000)),
        rng.standard_normal((3, 1, 20_000)),
        rng.standard_normal((40, 1, 20_000)),
    )
    expected = 1 / np.sqrt(np.pi)  # E|X - Y| - E|X - X'| / 2 of a standard normal
    for members in (few, many):
        assert crps_ensemble(true, members, fair=True).mean() == pytest.approx(expected, abs=0.02)
    assert crps_ensemble(true, few).mean() == pytest.approx(expected * (1 + 1 / 3), abs=0.02), "not fair: 1 / m more"


def test_it_is_in_the_unit_of_the_trace():
    rng = np.random.default_rng(4)
    true, mean, sd = rng.standard_normal((2, 6)), rng.standard_normal((2, 6)), rng.uniform(0.1, 1, (2, 6))
    assert np.allclose(crps_gaussian(3 * true, 3 * mean, 3 * sd), 3 * crps_gaussian(true, mean, sd))
    millivolt, volt = (
        xr.DataArray(z, dims=("lead", "time"), attrs={"units": u}) for z, u in ((true, "mV"), (mean / 1e3, "V"))
    )
    assert np.allclose(crps_gaussian(millivolt, volt, sd), crps_gaussian(true, mean, sd))


def test_the_right_spread_scores_best():
    true = np.random.default_rng(5).standard_normal((1, 50_000))
    zeros = np.zeros_like(true)
    scores = [crps_gaussian(true, zeros, zeros + sd).mean() for sd in (0.5, 0.8, 1.0, 1.3, 2.0)]
    assert np.argmin(scores) == 2


def test_what_has_no_score_is_refused():
    ones = np.ones((1, 4))
    with pytest.raises(ValueError, match="sd: expected at least 0, got -1"):
        crps_gaussian(ones, ones, -ones)
    with pytest.raises(ValueError, match="mean: expected"):
        crps_gaussian(ones, np.ones((1, 5)), ones)
    with pytest.raises(ValueError, match="members: expected"):
        crps_ensemble(ones, ones)
    with pytest.raises(ValueError, match="members: expected at least 2 for a fair score, got 1"):
        crps_ensemble(ones, ones[None], fair=True)
