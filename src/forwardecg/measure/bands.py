"""How far a prediction may be off: conformal bands ecg_mean(t) +- q sigma(t), their coverage, a measure of the unusual.

sigma(t)^2 = (expected relative error x rms(ecg_mean) x envelope(t))^2 + noise^2; the first by a regression on other tissues.

Tissues are the units throughout: samples of one trace are not independent, traces of different tissues are exchangeable.
"""

import math
from dataclasses import asdict, dataclass, replace

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import binomtest

from forwardecg.contract import array, instance, number
from forwardecg.measure.compare import fraction, interval
from forwardecg.measure.scores import match_traces


def _ratios(error: ArrayLike, sigma: ArrayLike) -> np.ndarray:
    first, second = match_traces(("error", "sigma"), error, sigma)
    if not ((first >= 0).all() and (second > 0).all()):
        raise ValueError("error, sigma: expected error >= 0 and sigma > 0, got others")
    return first.astype(float) / second.astype(float)


def half_width(sd: ArrayLike, ecg_mean: ArrayLike, floor: float) -> np.ndarray:
    """sigma (..., T) = sqrt(sd^2 + (floor rms(ecg_mean))^2) of an ensemble, sd and ecg_mean of shape (..., T)."""
    shape = (None,) * array("sd", sd, (..., "time")).ndim
    first, second = (z.astype(float) for z in match_traces(("sd", "ecg_mean"), sd, ecg_mean, shape))
    return np.hypot(first, number("floor", floor, 0) * np.sqrt(np.square(second).mean(-1, keepdims=True)))


SMOOTH = 15.0  # ms, SD of the Gaussian over which the disagreement of an ensemble is averaged
LEAST = 0.03  # of the RMS of its disagreement: an ensemble that agrees may still be wrong
MOST_OFF = 3.0  # standard deviations: features count as no farther off
MOST_ERROR = 1.0  # expected relative error, at most: the ECG itself is lost


def envelope(sd: ArrayLike, step: float) -> np.ndarray:
    """Shape (..., T) in time of an error, RMS of about 1: the SD of the ensemble, smoothed over `SMOOTH` ms, and a floor.

    Args:
        sd: (..., T) of the ensemble, at least 0.
        step: ms between samples.

    Returns:
        hypot(smooth sd over its RMS, `LEAST`); 1 where the ensemble agrees wholly.

    Examples:
        >>> envelope(np.ones((2, 9)), step=50.0)[0].round(2).tolist()[:3]
        [1.0, 1.0, 1.0]
    """
    sd, reach = array("sd", sd, (..., "time")).astype(float), int(4 * SMOOTH / number("step", step, 0, above=True))
    kernel = np.exp(-0.5 * np.square(step * np.arange(-reach, reach + 1) / SMOOTH))
    power = np.apply_along_axis(lambda z: np.convolve(z, kernel / kernel.sum())[reach : reach + len(z)], -1, sd**2)
    whole = power.mean(-1, keepdims=True)
    return np.sqrt(np.where(whole > 0, power / np.where(whole > 0, whole, 1), 1) + LEAST**2)


def noise_of(ecg: ArrayLike) -> np.ndarray:
    """SD (..., 1) of white noise of traces (..., T), from second differences d: 1.4826 median |d| / sqrt 6; 0 at rest.

    Networks that share the maps share their noise: it is in no disagreement.

    Examples:
        >>> z = np.random.default_rng(0).normal(size=4000)
        >>> noise_of(3 * z).round().tolist()
        [3.0]
    """
    second = np.diff(array("ecg", ecg, (..., "time")).astype(float), n=2, axis=-1)
    return 1.4826 * np.median(np.abs(second), axis=-1, keepdims=True) / math.sqrt(6)


@dataclass(frozen=True)
class ExpectedError:
    """Regression of the log of relative errors: log e = intercept + weights . z, z = (features - mean) / sd in +-`MOST_OFF`."""

    mean: list[float]
    sd: list[float]
    weights: list[float]
    intercept: float

    def to_card(self) -> dict:
        """The regression as json can hold it."""
        return asdict(self)

    @classmethod
    def from_card(cls, card: dict) -> "ExpectedError":
        """The regression that `to_card` wrote."""
        return cls(**instance("card", card, dict))

    def of(self, features: ArrayLike, unusual: ArrayLike = 0.0) -> np.ndarray:
        """Expected relative errors (n,) of features (n, k); those of tissues with ``unusual`` > 1 are so many times larger."""
        features = array("features", features, ("n", "k"), shape=(None, len(self.mean))).astype(float)
        z = np.clip((features - np.array(self.mean)) / np.array(self.sd), -MOST_OFF, MOST_OFF)
        log_error = z @ np.array(self.weights) + self.intercept
        return np.minimum(np.exp(log_error) * np.maximum(np.asarray(unusual, float), 1.0), MOST_ERROR)


def fit_expected_error(features: ArrayLike, error: ArrayLike, ridge: float = 10.0) -> ExpectedError:
    """`ExpectedError` by ridge regression from features (n, k) and relative errors (n,) > 0 of tissues.

    Examples:
        >>> z = np.random.default_rng(0).normal(size=(300, 1))
        >>> fitted = fit_expected_error(z, 0.1 * np.exp(0.5 * z[:, 0]), ridge=0.0)
        >>> fitted.of([[0.0], [1.0]]).round(3).tolist()
        [0.1, 0.165]
    """
    features = array("features", features, ("n", "k")).astype(float)
    error = array("error", error, ("n",), shape=(len(features),)).astype(float)
    if not (error > 0).all():
        raise ValueError("error: expected relative errors > 0, got others")
    y, mean, sd = np.log(error), features.mean(0), features.std(0) + 1e-6
    z = np.clip((features - mean) / sd, -MOST_OFF, MOST_OFF)
    own = z - z.mean(0)
    weights = np.linalg.solve(own.T @ own + number("ridge", ridge, 0) * np.eye(len(mean)), own.T @ (y - y.mean()))
    return ExpectedError(mean.tolist(), sd.tolist(), weights.tolist(), float(y.mean() - z.mean(0) @ weights))


def pointwise_factor(error: ArrayLike, sigma: ArrayLike, coverage: float) -> float:
    """The q of the pointwise band: smallest with n/(n+1) mean_i(share of trace i outside) + 1/(n+1) <= 1 - coverage.

    Conformal risk control, Angelopoulos et al., ICLR 2024.

    Args:
        error: (n, T), |ecg_true - ecg_mean| of calibration tissues, at least 0, without missing values.
        sigma: (n, T), from `half_width`, above 0, in the unit of the error.
        coverage: share of the samples to be inside, between 0 and 1.

    Returns:
        The factor of sigma.

    Raises:
        ValueError: Too few tissues for this coverage; shapes or values that are no errors.

    Examples:
        >>> error = np.random.default_rng(0).uniform(0, 1, (50, 20))
        >>> 0.88 < pointwise_factor(error, np.ones((50, 20)), coverage=0.9) < 1
        True
    """
    ratios, coverage = _ratios(error, sigma), fraction("coverage", coverage)
    n, n_t = ratios.shape
    allowed = math.floor(((n + 1) * (1 - coverage) - 1) * n_t * (1 + 1e-12) + 1e-9)  # samples outside, of n n_t
    if allowed < 0:
        least = math.ceil(1 / (1 - coverage) - 1e-9) - 1
        raise ValueError(f"error: expected at least {least} tissues for {coverage}, got {n}")
    return float(np.sort(ratios, axis=None)[ratios.size - 1 - min(allowed, ratios.size - 1)])


def whole_trace_factor(error: ArrayLike, sigma: ArrayLike, coverage: float) -> float:
    """The q of the band that holds whole traces: the ceil((n+1) coverage)-th smallest of max_t |error| / sigma.

    Split conformal: Vovk et al., Algorithmic Learning in a Random World, 2005; Lei et al., JASA 113:1094, 2018.

    Args:
        error, sigma: (n, T), as for `pointwise_factor`.
        coverage: share of the traces to be inside, 0 to 1.

    Returns:
        The factor of sigma.

    Examples:
        >>> error = np.arange(1.0, 21.0)[:, None] * np.ones((20, 5))
        >>> whole_trace_factor(error, np.ones((20, 5)), coverage=0.9)
        19.0
    """
    return conformal_quantile(_ratios(error, sigma).max(1), coverage)


def conformal_quantile(scores: ArrayLike, coverage: float) -> float:
    """The ceil((n + 1) coverage)-th smallest of n scores: a new exchangeable one stays below with at least this probability."""
    scores, coverage = array("scores", scores, (...,), shape=[None]), fraction("coverage", coverage)
    rank = math.ceil((len(scores) + 1) * coverage - 1e-9)
    if rank > len(scores):
        least = math.ceil(coverage / (1 - coverage) - 1e-9)
        raise ValueError(f"scores: expected at least {least} for {coverage}, got {len(scores)}")
    return float(np.sort(scores)[rank - 1])


def pointwise_coverage(error: ArrayLike, sigma: ArrayLike, factor: float) -> tuple[float, float, float]:
    """Share of the samples (n, T) inside the band, mean over tissues, with the ends of its 95 % bootstrap interval by tissue."""
    return interval((_ratios(error, sigma) <= number("factor", factor, 0)).mean(1))


def whole_trace_coverage(error: ArrayLike, sigma: ArrayLike, factor: float) -> tuple[float, float, float]:
    """Share of the tissues whose whole trace (n, T) is inside the band, with the ends of its 95 % Clopper-Pearson interval."""
    inside = (_ratios(error, sigma) <= number("factor", factor, 0)).all(1)
    limits = binomtest(int(inside.sum()), inside.size).proportion_ci(0.95, "exact")
    return float(inside.mean()), float(limits.low), float(limits.high)


@dataclass(frozen=True)
class Reference:
    """What the training looks like: ``mean`` (k,) and ``whitening`` (k, k) of its features; ``threshold`` of the unusual."""

    mean: list[float]
    whitening: list[list[float]]
    threshold: float

    def to_card(self) -> dict:
        """The reference as json can hold it."""
        return asdict(self)

    @classmethod
    def from_card(cls, card: dict) -> "Reference":
        """The reference that `to_card` wrote."""
        return cls(**instance("card", card, dict))


def fit_reference(features: ArrayLike, calibration: ArrayLike, share: float = 0.99) -> Reference:
    """Reference from features (n, k) of training tissues; threshold: `conformal_quantile` of calibration tissues (m, k).

    The covariance of the standardized features is shrunk by a tenth toward the identity: a little noise is no direction.
    """
    features, share = array("features", features, ("n", "k")).astype(float), fraction("share", share)
    mean, sd = features.mean(0), features.std(0) + 1e-6
    covariance = np.atleast_2d(np.cov((features - mean) / sd, rowvar=False))
    values, vectors = np.linalg.eigh(0.9 * covariance + 0.1 * np.eye(len(mean)))
    whitening = (vectors / np.sqrt(values)).T / sd
    free = Reference(mean.tolist(), whitening.tolist(), math.inf)
    return replace(free, threshold=conformal_quantile(unusualness(free, calibration), share))


def unusualness(reference: Reference, features: ArrayLike) -> np.ndarray:
    """Mahalanobis distance (n,) of features (n, k) from the training, over the square root of k: about 1 for usual ones."""
    features = array("features", features, ("n", "k"), shape=(None, len(reference.mean)))
    z = (features.astype(float) - np.array(reference.mean)) @ np.array(reference.whitening).T
    return np.sqrt(np.square(z).mean(-1))
