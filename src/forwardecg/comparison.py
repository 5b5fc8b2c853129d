"""Is a difference real? Scores of tissues, one row a seed, compared without taking samples of one trace for independent.

    difference    mean over seeds s and tissues i of a_si - b_si
    interval      percentiles of that mean over draws, with replacement, of the seeds and of the tissues
    p             twice the smaller share of the draws on one side of zero, (k + 1) / (n + 1)
    detectable    z(1 - alpha / 2) + z(power) times the SD of the draws: the difference that is found with that probability

Tissues are drawn once for both methods (Efron and Tibshirani, An Introduction to the Bootstrap, 1993). Seed s of one method shares
with seed s of the other only a number, so that seeds are drawn for each.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.stats import bootstrap, norm

N_BOOTSTRAP = 10_000
COLUMNS = ("difference", "low", "high", "p", "detectable", "effect")


def interval(values: np.ndarray, seed: int = 0, level: float = 0.95, statistic=np.mean) -> tuple[float, float, float]:
    """A statistic of values (n,), one a tissue, and its bootstrap percentile interval over the tissues."""
    values = np.asarray(values, float)
    if values.ndim != 1 or values.size < 2 or not np.isfinite(values).all():
        raise ValueError(f"values: expected at least 2 finite ones, one a tissue, got shape {values.shape}")
    estimate = float(statistic(values))
    if np.ptp(values) == 0:
        return estimate, estimate, estimate
    rng = np.random.default_rng(seed)
    found = bootstrap((values,), statistic, confidence_level=level, n_resamples=N_BOOTSTRAP, method="percentile", rng=rng)
    return estimate, float(found.confidence_interval.low), float(found.confidence_interval.high)


def paired_difference(
    a: np.ndarray, b: np.ndarray, seed: int = 0, level: float = 0.95, power: float = 0.8
) -> pd.Series:
    """Mean of a - b with all of the module's text: difference, low, high, p, detectable, and effect.

    ``effect`` is the difference over the SD over tissues of a - b, seeds averaged: how much of a tissue's luck it is.

    Parameters
    ----------
    a, b : scores (seed, n) of the same n tissues; one row a seed, where there is one seed its spread is not in the interval
    level : of the interval; 1 - level is the alpha of ``detectable``

    Raises
    ------
    ValueError
        Scores of different tissues, or not finite.
    """
    a, b = np.asarray(a, float), np.asarray(b, float)
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or a.shape[1] < 2:
        raise ValueError(f"a, b: expected scores (seed, n) of the same n tissues, got {a.shape} and {b.shape}")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ValueError("a, b: expected finite scores, got NaN or infinity")
    rng, n = np.random.default_rng(seed), a.shape[1]
    tissues = rng.multinomial(n, np.full(n, 1 / n), N_BOOTSTRAP) / n  # how often each is drawn, (draw, n)
    draws = [tissues @ z.T for z in (a, b)]  # mean of each seed over the drawn tissues, (draw, seed)
    draws = [
        (d * rng.multinomial(d.shape[1], np.full(d.shape[1], 1 / d.shape[1]), N_BOOTSTRAP)).sum(1) / d.shape[1]
        for d in draws
    ]
    found = draws[0] - draws[1]
    tail = min((found <= 0).sum(), (found >= 0).sum())
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    spread = (a.mean(0) - b.mean(0)).std(ddof=1)
    estimate = a.mean() - b.mean()
    return pd.Series(
        {
            "difference": estimate,
            "low": low,
            "high": high,
            "p": min(2 * (tail + 1) / (N_BOOTSTRAP + 1), 1.0),
            "detectable": (norm.ppf((1 + level) / 2) + norm.ppf(power)) * found.std(),
            "effect": estimate / spread if spread else 0.0,
        }
    )


def holm(p: pd.Series) -> pd.Series:
    """p values of a family, corrected so that one false finding among all of them has at most that probability.

    p_(k) -> max over j <= k of (m - j + 1) p_(j), the p sorted. Holm, Scandinavian Journal of Statistics 6:65 (1979).
    """
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"p: expected probabilities, got {p.tolist()}")
    order = p.sort_values(kind="stable")
    return (order * np.arange(len(p), 0, -1)).cummax().clip(upper=1.0).reindex(p.index)


def compared(scores: Mapping[str, np.ndarray], reference: str) -> pd.DataFrame:
    """`paired_difference` of each method from one of them, and ``p_holm`` over the family: one row a method."""
    rows = {name: paired_difference(one, scores[reference]) for name, one in scores.items() if name != reference}
    table = pd.DataFrame(rows).T
    return table.assign(p_holm=holm(table.p))


def by_seed(rows: pd.DataFrame, score: str = "r2") -> np.ndarray:
    """Scores (seed, tissue) from rows with columns seed, sim and the score."""
    table = rows.pivot(index="seed", columns="sim", values=score)
    if table.isna().to_numpy().any():
        raise ValueError(
            f"rows: expected {score} of every tissue for every seed, got {int(table.isna().sum().sum())} missing"
        )
    return table.to_numpy()
