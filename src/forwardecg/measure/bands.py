"""How far a prediction may be off: conformal bands around an ensemble, their coverage, and a measure of the unusual.

Tissues are the units throughout: samples of one trace are not independent, traces of different tissues are exchangeable.

    band        ecg_mean(t) +- q sigma(t),   sigma^2 = sd(t)^2 + (floor rms(ecg_mean))^2
    pointwise   q smallest with  n/(n+1) mean_i(share of trace i outside) + 1/(n+1) <= 1 - coverage
    whole trace q the ceil((n+1) coverage)-th smallest of max_t |error| / sigma

The first is conformal risk control (Angelopoulos et al., ICLR 2024), the second split conformal prediction (Vovk et al.,
Algorithmic Learning in a Random World, 2005; Lei et al., JASA 113:1094, 2018).
"""

import math
from dataclasses import asdict, dataclass

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
    """sigma (..., T) of the module's text: the spread of the ensemble, and a floor relative to the trace.

    Parameters
    ----------
    sd : (..., T), spread of the ensemble
    ecg_mean : (..., T), in the same unit
    floor : share of the RMS of the trace

    Returns
    -------
    sigma : (..., T)

    Examples
    --------
    >>> half_width(np.array([0.0, 3.0]), np.array([4.0, -4.0]), floor=1.0).tolist()
    [4.0, 5.0]
    """
    return np.hypot(sd, floor * np.sqrt(np.square(ecg_mean).mean(-1, keepdims=True)))


def pointwise_factor(error: np.ndarray, sigma: np.ndarray, coverage: float) -> float:
    """The q of the pointwise band, from the calibration tissues' |ecg_true - ecg_mean| and sigma, both (n, T).

    Parameters
    ----------
    error : (n, T), of calibration tissues
    sigma : (n, T), from `half_width`
    coverage : share of the samples to be inside, 0 to 1

    Returns
    -------
    q : factor of sigma

    Raises
    ------
    ValueError
        Too few tissues for this coverage; shapes or values that are no errors.

    Examples
    --------
    >>> error = np.random.default_rng(0).uniform(0, 1, (50, 20))
    >>> q = pointwise_factor(error, np.ones((50, 20)), coverage=0.9)
    >>> 0.88 < q < 1
    True
    """
    ratios = _ratios(error, sigma, coverage)
    n, n_t = ratios.shape
    allowed = math.floor(((n + 1) * (1 - coverage) - 1) * n_t * (1 + 1e-12) + 1e-9)  # samples outside, of n n_t
    if allowed < 0:
        raise ValueError(
            f"error: expected at least {math.ceil(1 / (1 - coverage) - 1e-9) - 1} tissues for {coverage}, got {n}"
        )
    return float(np.sort(ratios, axis=None)[ratios.size - 1 - min(allowed, ratios.size - 1)])


def whole_trace_factor(error: np.ndarray, sigma: np.ndarray, coverage: float) -> float:
    """The q of the band that holds whole traces; arguments and errors as in `pointwise_factor`.

    Parameters
    ----------
    error, sigma : (n, T)
    coverage : share of the traces to be inside, 0 to 1

    Returns
    -------
    q : factor of sigma

    Raises
    ------
    ValueError
        What `pointwise_factor` refuses.

    Examples
    --------
    >>> error = np.arange(1.0, 21.0)[:, None] * np.ones((20, 5))
    >>> whole_trace_factor(error, np.ones((20, 5)), coverage=0.9)
    19.0
    """
    return conformal_quantile(_ratios(error, sigma, coverage).max(1), coverage)


def conformal_quantile(scores: np.ndarray, coverage: float) -> float:
    """The ceil((n + 1) coverage)-th smallest of n scores: a new exchangeable one stays below with at least this probability.

    Parameters
    ----------
    scores : (n,)
    coverage : share, 0 to 1

    Returns
    -------
    quantile : one of the scores

    Raises
    ------
    ValueError
        Scores that are not finite, or too few for this coverage.

    Examples
    --------
    >>> conformal_quantile(np.arange(1.0, 10.0), coverage=0.9)
    9.0
    """
    if not np.isfinite(scores).all():
        raise ValueError("scores: expected finite values, got NaN or infinity")
    rank = math.ceil((len(scores) + 1) * coverage - 1e-9)
    if rank > len(scores):
        raise ValueError(
            f"scores: expected at least {math.ceil(coverage / (1 - coverage) - 1e-9)} for {coverage}, got {len(scores)}"
        )
    return float(np.sort(scores)[rank - 1])


def pointwise_coverage(
    error: np.ndarray, sigma: np.ndarray, factor: float, seed: int = 0
) -> tuple[float, float, float]:
    """Share of the samples inside the band, mean over tissues, and its 95 % bootstrap interval by tissue.

    Parameters
    ----------
    error, sigma : (n, T)
    factor : of sigma
    seed : of the bootstrap

    Returns
    -------
    share, low, high : of the samples inside, and the interval

    Raises
    ------
    ValueError
        Shapes or values that are no errors; fewer than two tissues.

    Examples
    --------
    >>> error = np.tile([0.5, 1.5], (10, 5))
    >>> pointwise_coverage(error, np.ones((10, 10)), factor=1.0)
    (0.5, 0.5, 0.5)
    """
    return interval((_ratios(error, sigma, 0.5) <= factor).mean(1), seed)


def whole_trace_coverage(error: np.ndarray, sigma: np.ndarray, factor: float) -> tuple[float, float, float]:
    """Share of the tissues whose whole trace is inside the band, and its 95 % Clopper-Pearson interval.

    Parameters
    ----------
    error, sigma : (n, T)
    factor : of sigma

    Returns
    -------
    share, low, high : of the tissues inside, and the interval

    Raises
    ------
    ValueError
        Shapes or values that are no errors.

    Examples
    --------
    >>> error = np.repeat([0.5, 1.5], [9, 1])[:, None] * np.ones((10, 5))
    >>> [round(x, 2) for x in whole_trace_coverage(error, np.ones((10, 5)), factor=1.0)]
    [0.9, 0.55, 1.0]
    """
    inside = (_ratios(error, sigma, 0.5) <= factor).all(1)
    limits = binomtest(int(inside.sum()), inside.size).proportion_ci(0.95, "exact")
    return float(inside.mean()), float(limits.low), float(limits.high)


@dataclass(frozen=True)
class Reference:
    """What the training looks like: ``mean`` (k,) and ``whitening`` (k, k) of its features; ``threshold`` of the unusual.

    Parameters
    ----------
    mean : (k,) of the features
    whitening : (k, k); applied to features less their mean, it gives them about unit covariance
    threshold : of `unusualness`

    Examples
    --------
    >>> Reference(mean=[0.0], whitening=[[1.0]], threshold=2.0).threshold
    2.0
    """

    mean: list[float]
    whitening: list[list[float]]
    threshold: float

    def to_card(self) -> dict:
        """The reference as json can hold it.

        Returns
        -------
        card : what `from_card` takes

        Examples
        --------
        >>> Reference([0.0], [[1.0]], 2.0).to_card()
        {'mean': [0.0], 'whitening': [[1.0]], 'threshold': 2.0}
        """
        return asdict(self)

    @classmethod
    def from_card(cls, card: dict) -> "Reference":
        """The reference that `to_card` wrote.

        Parameters
        ----------
        card : its fields

        Returns
        -------
        reference : equal to the one that was written

        Examples
        --------
        >>> Reference.from_card({"mean": [0.0], "whitening": [[1.0]], "threshold": 2.0}).threshold
        2.0
        """
        return cls(**card)


def fit_reference(features: np.ndarray, calibration: np.ndarray, share: float = 0.99) -> Reference:
    """Reference from features (n, k) of training tissues; threshold: `conformal_quantile` of calibration tissues (m, k).

    The covariance of the standardized features is shrunk by a tenth toward the identity: a little noise is no direction.

    Parameters
    ----------
    features : (n, k), of training tissues
    calibration : (m, k), of calibration tissues
    share : of usual tissues below the threshold

    Returns
    -------
    reference : `Reference`

    Raises
    ------
    ValueError
        Too few calibration tissues for the share, or values that are not finite.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> reference = fit_reference(rng.normal(size=(200, 2)), rng.normal(size=(150, 2)))
    >>> bool(unusualness(reference, np.array([[9.0, 9.0]]))[0] > reference.threshold)
    True
    """
    mean, sd = features.mean(0), features.std(0) + 1e-6
    covariance = np.atleast_2d(np.cov((features - mean) / sd, rowvar=False))
    values, vectors = np.linalg.eigh(0.9 * covariance + 0.1 * np.eye(len(mean)))
    whitening = (vectors / np.sqrt(values)).T / sd
    free = Reference(mean.tolist(), whitening.tolist(), math.inf)
    return Reference(free.mean, free.whitening, conformal_quantile(unusualness(free, calibration), share))


def unusualness(reference: Reference, features: np.ndarray) -> np.ndarray:
    """Mahalanobis distance (n,) of features (n, k) from the training, over the square root of k: about 1 for usual ones.

    Parameters
    ----------
    reference : of the training
    features : (n, k)

    Returns
    -------
    distance : (n,)

    Raises
    ------
    ValueError
        Features that are not finite.

    Examples
    --------
    >>> unusualness(Reference([0.0, 0.0], [[1.0, 0.0], [0.0, 1.0]], 2.0), np.array([[1.0, 1.0], [3.0, 3.0]])).tolist()
    [1.0, 3.0]
    """
    if not np.isfinite(features).all():
        raise ValueError("features: expected finite values, got NaN or infinity")
    z = (np.asarray(features, float) - np.array(reference.mean)) @ np.array(reference.whitening).T
    return np.sqrt(np.square(z).mean(-1))
