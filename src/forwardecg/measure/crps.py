"""How good a distribution is as a forecast: the continuous ranked probability score, in the unit of the trace.

    CRPS(F, y) = integral (F(x) - 1[x >= y])^2 dx = E|X - y| - E|X - X'| / 2

Gneiting and Raftery, JASA 102:359 (2007). Of a point it is the absolute error.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import norm

from forwardecg.contract import array, flag
from forwardecg.measure.scores import match_traces


def crps_gaussian(ecg_true: ArrayLike, mean: ArrayLike, sd: ArrayLike) -> np.ndarray:
    """CRPS of a Gaussian at each sample: 0 at best, |error| where sd is 0.

        CRPS = sd (z (2 Phi(z) - 1) + 2 phi(z) - 1 / sqrt(pi)),  z = (y - mean) / sd

    Args:
        ecg_true, mean, sd: (n, T), in one unit; sd at least 0.

    Returns:
        (n, T), in that unit.

    Raises:
        ValueError: Other shapes, values that are not finite, a negative sd.

    Examples:
        >>> crps_gaussian([[1.0]], [[0.0]], [[0.0]]).item(), crps_gaussian([[0.0]], [[0.0]], [[1.0]]).round(4).item()
        (1.0, 0.2337)
    """
    true, mean = (z.astype(float) for z in match_traces(("ecg_true", "mean"), ecg_true, mean))
    _, sd = (z.astype(float) for z in match_traces(("ecg_true", "sd"), ecg_true, sd))
    if (sd < 0).any():
        raise ValueError(f"sd: expected at least 0, got {sd.min():g}")
    z = np.divide(true - mean, sd, where=sd > 0, out=np.zeros(sd.shape))
    spread = sd * (z * (2 * norm.cdf(z) - 1) + 2 * norm.pdf(z) - 1 / np.sqrt(np.pi))
    return np.where(sd > 0, spread, np.abs(true - mean))


def crps_ensemble(ecg_true: ArrayLike, members: ArrayLike, fair: bool = False) -> np.ndarray:
    """CRPS of an ensemble at each sample, as if its members were all that can happen.

        CRPS = mean |x_i - y| - mean |x_i - x_j| / 2

    Args:
        ecg_true: (n, T).
        members: (member, n, T), in the same unit.
        fair: leave out i = j, so that an ensemble of few members is no worse on average than one of many (Ferro, Q. J. R.
            Meteorol. Soc. 140:1917, 2014); it takes at least two, and is below 0 at times.

    Returns:
        (n, T), in that unit.

    Raises:
        ValueError: Other shapes, values that are not finite, one member where fair.

    Examples:
        >>> crps_ensemble([[0.0]], [[[-1.0]], [[1.0]]]).item(), crps_ensemble([[0.0]], [[[3.0]]]).item()
        (0.5, 3.0)
    """
    true = array("ecg_true", ecg_true, (..., "time"), shape=(None, None)).astype(float)
    x = array("members", members, ("member", ..., "time"), shape=(None, *true.shape)).astype(float)
    m = len(x)
    if flag("fair", fair) and m < 2:
        raise ValueError(f"members: expected at least 2 for a fair score, got {m}")
    rank = np.arange(1 - m, m, 2)  # sum over i, j of |x_i - x_j| is 2 sum (2 k - m - 1) x_(k), sorted
    between = 2 * np.tensordot(rank, np.sort(x, axis=0), axes=1) / (m * (m - 1) if fair else m**2)
    return np.abs(x - true).mean(0) - between / 2
