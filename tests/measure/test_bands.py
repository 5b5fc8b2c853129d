"""Conformal bands, their coverage, and the measure of the unusual."""

import numpy as np
import pytest
import xarray as xr
from scipy.stats import binomtest

from forwardecg.measure.bands import (
    MOST_ERROR,
    ExpectedError,
    Reference,
    conformal_quantile,
    envelope,
    fit_expected_error,
    fit_reference,
    half_width,
    pointwise_coverage,
    pointwise_factor,
    unusualness,
    whole_trace_coverage,
    whole_trace_factor,
)


def test_half_width_by_hand():
    sd, mean = np.array([[3.0, 0.0]]), np.array([[1.0, 7.0]])  # rms 5
    assert np.allclose(half_width(sd, mean, 0.8), [[5.0, 4.0]])


def test_the_envelope_has_the_place_of_the_disagreement_and_no_size():
    sd = np.zeros((2, 400))
    sd[0, 200], sd[1, 100:300] = 3.0, 0.1
    found = envelope(sd, 1.0)
    assert found[0].argmax() == 200 and np.allclose(envelope(7 * sd, 1.0), found)
    assert np.allclose(np.square(found).mean(1), 1 + 0.03**2) and found[0, 0] == pytest.approx(0.03)
    width = (found[0] > found[0].max() / np.sqrt(np.e)).sum()  # its square is a Gaussian of SD 15 ms
    assert width == pytest.approx(2 * 15 * np.sqrt(2), abs=2)
    assert np.allclose(envelope(np.zeros((1, 5)), 5.0), np.sqrt(1 + 0.03**2))
    coarse = envelope(np.ones((1, 100)), 10.0)
    assert coarse[0, 50] == pytest.approx(coarse[0, 49]) and coarse.shape == (1, 100)


def test_the_expected_error_is_that_of_a_power_law():
    rng = np.random.default_rng(4)
    z = rng.normal(size=(2000, 2))
    error = 0.02 * np.exp(0.4 * z[:, 0] - 0.2 * z[:, 1] + 0.1 * rng.normal(size=2000))
    fitted = fit_expected_error(z, error, ridge=1e-3)
    assert np.allclose(fitted.of([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]) / 0.02, np.exp([0, 0.4, -0.2]), rtol=0.02)
    moved = fit_expected_error(5 * z + 3, error, ridge=1e-3)
    assert np.allclose(moved.of(5 * z + 3), fitted.of(z), rtol=1e-6)
    far = fitted.of([[1e6, 0.0]])
    assert far == pytest.approx(fitted.of([[fitted.mean[0] + 3 * fitted.sd[0], 0.0]])), "no farther off than three SD"
    assert fitted.of([[0.0, 0.0]], 4.0) == pytest.approx(4 * fitted.of([[0.0, 0.0]]))
    assert fitted.of([[0.0, 0.0]], 0.2) == fitted.of([[0.0, 0.0]]) and fitted.of([[0.0, 0.0]], 1e9) == MOST_ERROR
    assert ExpectedError.from_card(fitted.to_card()) == fitted
    with pytest.raises(ValueError, match="error: expected relative errors > 0"):
        fit_expected_error(z, 0 * error)
    with pytest.raises(ValueError, match="features: expected"):
        fitted.of(z[:, :1])


def test_bands_that_know_the_error_are_narrower_and_cover_as_much():
    rng = np.random.default_rng(6)
    z = rng.normal(size=(600, 1))
    error = np.abs(rng.normal(size=(600, 40))) * 0.05 * np.exp(z)
    fitted = fit_expected_error(z[:200], np.sqrt(np.square(error[:200]).mean(1)))
    sigma = np.repeat(fitted.of(z)[:, None], 40, axis=1)
    flat = np.ones_like(sigma)
    widths = {}
    for name, shape in (("known", sigma), ("flat", flat)):
        q = whole_trace_factor(error[200:400], shape[200:400], 0.9)
        assert whole_trace_coverage(error[400:], shape[400:], q)[2] > 0.9
        widths[name] = np.median(q * shape[400:].mean(1))
    assert widths["known"] < 0.6 * widths["flat"]


def test_conformal_quantile_by_hand():
    scores = np.array([3.0, 1.0, 2.0, 4.0])
    assert conformal_quantile(scores, 0.8) == 4.0  # ceil(5 x 0.8) = 4
    assert conformal_quantile(scores, 0.6) == 3.0 and conformal_quantile(scores, 0.59) == 3.0
    with pytest.raises(ValueError, match="scores: expected at least 9 for 0.9, got 4"):
        conformal_quantile(scores, 0.9)
    with pytest.raises(ValueError, match="scores: expected finite"):
        conformal_quantile(np.array([1.0, np.nan]), 0.5)


def test_pointwise_factor_is_the_smallest_that_controls_the_risk():
    rng = np.random.default_rng(0)
    error, sigma = rng.exponential(size=(30, 7)), np.ones((30, 7))
    q = pointwise_factor(error, sigma, 0.9)
    risk = lambda limit: 30 / 31 * (error > limit).mean() + 1 / 31  # noqa: E731
    assert risk(q) <= 0.1 + 1e-12
    smaller = error[error < q].max()
    assert risk(smaller) > 0.1, "and no smaller error will do"
    with pytest.raises(ValueError, match="expected at least 9 tissues"):
        pointwise_factor(error[:5], sigma[:5], 0.9)


@pytest.mark.parametrize("n", [20, 60])
def test_coverage_of_new_tissues_is_at_least_what_was_asked_for(n):
    """Over many draws of calibration and test tissues whose traces are strongly correlated in time."""
    rng, inside_point, inside_trace = np.random.default_rng(1), [], []
    for _ in range(400):
        scale = rng.gamma(2.0, size=(n + 20, 1))
        error = np.abs(rng.standard_normal((n + 20, 15)) + rng.standard_normal((n + 20, 1))) * scale
        sigma = np.ones_like(error)
        q, whole = (f(error[:n], sigma[:n], 0.9) for f in (pointwise_factor, whole_trace_factor))
        inside_point.append((error[n:] <= q).mean())
        inside_trace.append((error[n:] <= whole).all(1).mean())
    noise = 4 * np.std(inside_trace) / 20
    assert 0.9 - noise < np.mean(inside_trace) < 0.9 + 1 / (n + 1) + noise
    assert 0.9 - noise < np.mean(inside_point) < 0.9 + 2 / (n + 1) + noise


def test_factors_scale_with_the_error_and_grow_with_the_coverage():
    rng = np.random.default_rng(2)
    error, sigma = rng.exponential(size=(50, 6)), rng.uniform(0.5, 2, (50, 6))
    for factor in (pointwise_factor, whole_trace_factor):
        assert factor(3 * error, sigma, 0.8) == pytest.approx(3 * factor(error, sigma, 0.8))
        assert factor(error, 3 * sigma, 0.8) == pytest.approx(factor(error, sigma, 0.8) / 3)
        assert factor(error, sigma, 0.6) < factor(error, sigma, 0.9)
    assert pointwise_factor(error, sigma, 0.9) < whole_trace_factor(error, sigma, 0.9)


def test_coverages_by_hand():
    error, sigma = np.array([[1.0, 3.0], [1.0, 1.0], [3.0, 3.0], [0.0, 0.0]]), np.ones((4, 2))
    share, low, high = whole_trace_coverage(error, sigma, 2.0)
    limits = binomtest(2, 4).proportion_ci(0.95, "exact")
    assert share == 0.5 and (low, high) == (limits.low, limits.high)
    share, low, high = pointwise_coverage(error, sigma, 2.0)
    assert share == pytest.approx(5 / 8) and 0 <= low < share < high <= 1
    assert pointwise_coverage(error, sigma, 9.0) == (1.0, 1.0, 1.0)


def test_the_unusual_is_measured_in_the_shape_of_the_training():
    rng = np.random.default_rng(5)
    mix = rng.standard_normal((4, 4))
    train, calibration, new = (rng.standard_normal((n, 4)) @ mix for n in (2000, 2000, 2000))
    reference = fit_reference(train, calibration)
    score = unusualness(reference, new)
    assert np.sqrt(np.square(score).mean()) == pytest.approx(1.0, abs=0.2)
    assert (score > reference.threshold).mean() == pytest.approx(0.01, abs=0.008)
    weak = np.linalg.eigh(np.cov(train.T))[1][:, 0]  # a step that is small, in a direction where the training has none
    step = 5 * np.sqrt(np.linalg.eigvalsh(np.cov(train.T))[0]) * weak
    assert unusualness(reference, new + 4 * step).mean() > reference.threshold
    moved = fit_reference(7 * train + 3, 7 * calibration + 3)
    assert np.allclose(unusualness(moved, 7 * new + 3), score, rtol=1e-4)
    assert np.allclose(unusualness(Reference.from_card(reference.to_card()), new), score)
    with pytest.raises(ValueError, match="features: expected finite"):
        unusualness(reference, np.where(new > 2, np.nan, new))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"error": -np.ones((20, 3))}, "error >= 0"),
        ({"sigma": np.zeros((20, 3))}, "sigma > 0"),
        ({"sigma": np.ones((20, 4))}, r"sigma: expected .* of shape \(20, 3\)"),
        ({"error": np.full((20, 3), np.nan)}, "finite"),
        ({"coverage": 1.0}, "coverage: expected a share"),
    ],
)
def test_bad_input_is_refused(change, message):
    good = {"error": np.ones((20, 3)), "sigma": np.ones((20, 3)), "coverage": 0.9}
    for factor in (pointwise_factor, whole_trace_factor):
        with pytest.raises(ValueError, match=message):
            factor(**good | change)


@pytest.mark.parametrize("coverage", [0.0, -0.2, 1.0, 1.5, np.nan, "0.9", None, True])
def test_a_coverage_is_a_share_between_none_and_all(coverage):
    with pytest.raises(ValueError, match="coverage: expected a share between 0 and 1"):
        conformal_quantile(np.arange(10.0), coverage)


@pytest.mark.parametrize(
    "features", [np.ones((3, 1)), np.ones(2), np.ones((3, 2)) + 0j, np.ones((3, 2), object), np.full((3, 2), "a")]
)
def test_features_of_another_kind_or_number_are_refused(features):
    """One feature beside a reference of two would be taken for both."""
    reference = Reference([0.0, 0.0], [[1.0, 0.0], [0.0, 1.0]], 2.0)
    with pytest.raises(ValueError, match="features: expected"):
        unusualness(reference, features)


@pytest.mark.filterwarnings("ignore:the matrix subclass")
def test_any_container_gives_the_same_bands():
    rng = np.random.default_rng(3)
    error, sigma = rng.exponential(size=(30, 6)), rng.uniform(0.5, 2, (30, 6))
    right = whole_trace_factor(error, sigma, 0.9)
    labeled = xr.DataArray(error.T, dims=("time_ecg", "sim"))
    for one, other in ((error.tolist(), sigma), (labeled, sigma), (error.astype(">f8"), np.asfortranarray(sigma))):
        assert whole_trace_factor(one, other, np.float64(0.9)) == right
    hidden = np.ma.masked_array(error, mask=error > 3)
    with pytest.raises(ValueError, match="error: expected finite values"):
        whole_trace_factor(hidden, sigma, 0.9)
    train = rng.standard_normal((60, 3))
    fitted = fit_reference(train, train[::2], 0.9)
    assert fit_reference(np.matrix(train), np.matrix(train[::2]), 0.9) == fitted
