"""How far a prediction may be off: conformal bands ecg_mean(t) +- q sigma(t), their coverage, a measure of the unusual.

Tissues are the units throughout: samples of one trace are not independent, traces of different tissues are exchangeable.
"""

import math
from dataclasses import asdict, dataclass, replace

import numpy as np
from scipy.stats import binomtest

from forwardecg.measure.compare import interval


def _ratios(error: np.ndarray, sigma: np.ndarray, coverage: float) -> np.ndarray:
    error, sigma = np.asarray(error, float), np.asarray(sigma, float)
    if error.ndim != 2 or error.shape != sigma.shape or not error.size:
        raise ValueError(f"error, sigma: expected one shape (n, T), got {error.shape} and {sigma.shape}")
    if not (np.isfinite(error).all() and np.isfinite(sigma).all() and (error >= 0).all() and (sigma > 0).all()):
        raise ValueError("error, sigma: expected finite values, error >= 0 and sigma > 0, got others")
    if not 0 < coverage < 1:
        raise ValueError(f"coverage: expected a share between 0 and 1, got {coverage}")
    return error / sigma


def half_width(sd: np.ndarray, ecg_mean: np.ndarray, floor: float) -> np.ndarray:
    """sigma (..., T) = sqrt(sd^2 + (floor rms(ecg_mean))^2) of an ensemble, sd and ecg_mean of shape (..., T)."""
    return np.hypot(sd, floor * np.sqrt(np.square(ecg_mean).mean(-1, keepdims=True)))


def pointwise_factor(error: np.ndarray, sigma: np.ndarray, coverage: float) -> float:
    """The q of the pointwise band: smallest with n/(n+1) mean_i(share of trace i outside) + 1/(n+1) <= 1 - coverage.

    Conformal risk control, Angelopoulos et al., ICLR 2024.

    Args:
        error: (n, T), |ecg_true - ecg_mean| of calibration tissues.
        sigma: (n, T), from `half_width`.
        coverage: share of the samples to be inside, 0 to 1.

    Returns:
        The factor of sigma.

    Raises:
        ValueError: Too few tissues for this coverage; shapes or values that are no errors.

    Examples:
        >>> error = np.random.default_rng(0).uniform(0, 1, (50, 20))
        >>> 0.88 < pointwise_factor(error, np.ones((50, 20)), coverage=0.9) < 1
        True
    """
    ratios = _ratios(error, sigma, coverage)
    n, n_t = ratios.shape
    allowed = math.floor(((n + 1) * (1 - coverage) - 1) * n_t * (1 + 1e-12) + 1e-9)  # samples outside, of n n_t
    if allowed < 0:
        least = math.ceil(1 / (1 - coverage) - 1e-9) - 1
        raise ValueError(f"error: expected at least {least} tissues for {coverage}, got {n}")
    return float(np.sort(ratios, axis=None)[ratios.size - 1 - min(allowed, ratios.size - 1)])


def whole_trace_factor(error: np.ndarray, sigma: np.ndarray, coverage: float) -> float:
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
    return conformal_quantile(_ratios(error, sigma, coverage).max(1), coverage)


def conformal_quantile(scores: np.ndarray, coverage: float) -> float:
    """The ceil((n + 1) coverage)-th smallest of n scores: a new exchangeable one stays below with at least this probability."""
    if not np.isfinite(scores).all():
        raise ValueError("scores: expected finite values, got NaN or infinity")
    rank = math.ceil((len(scores) + 1) * coverage - 1e-9)
    if rank > len(scores):
        least = math.ceil(coverage / (1 - coverage) - 1e-9)
        raise ValueError(f"scores: expected at least {least} for {coverage}, got {len(scores)}")
    return float(np.sort(scores)[rank - 1])


def pointwise_coverage(error: np.ndarray, sigma: np.ndarray, factor: float) -> tuple[float, float, float]:
    """Share of the samples (n, T) inside the band, mean over tissues, with the ends of its 95 % bootstrap interval by tissue."""
    return interval((_ratios(error, sigma, 0.5) <= factor).mean(1))


def whole_trace_coverage(error: np.ndarray, sigma: np.ndarray, factor: float) -> tuple[float, float, float]:
    """Share of the tissues whose whole trace (n, T) is inside the band, with the ends of its 95 % Clopper-Pearson interval."""
    inside = (_ratios(error, sigma, 0.5) <= factor).all(1)
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
        return cls(**card)


def fit_reference(features: np.ndarray, calibration: np.ndarray, share: float = 0.99) -> Reference:
    """Reference from features (n, k) of training tissues; threshold: `conformal_quantile` of calibration tissues (m, k).

    The covariance of the standardized features is shrunk by a tenth toward the identity: a little noise is no direction.
    """
    mean, sd = features.mean(0), features.std(0) + 1e-6
    covariance = np.atleast_2d(np.cov((features - mean) / sd, rowvar=False))
    values, vectors = np.linalg.eigh(0.9 * covariance + 0.1 * np.eye(len(mean)))
    whitening = (vectors / np.sqrt(values)).T / sd
    free = Reference(mean.tolist(), whitening.tolist(), math.inf)
    return replace(free, threshold=conformal_quantile(unusualness(free, calibration), share))


def unusualness(reference: Reference, features: np.ndarray) -> np.ndarray:
    """Mahalanobis distance (n,) of features (n, k) from the training, over the square root of k: about 1 for usual ones."""
    if not np.isfinite(features).all():
        raise ValueError("features: expected finite values, got NaN or infinity")
    z = (np.asarray(features, float) - np.array(reference.mean)) @ np.array(reference.whitening).T
    return np.sqrt(np.square(z).mean(-1))
