"""Is a difference real? Scores of tissues, one row a seed, compared with tissues and seeds as the units."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import bootstrap, norm, ttest_ind, ttest_rel

from forwardecg.contract import array, count, instance, number, one_of
from forwardecg.measure.scores import agree

N_BOOTSTRAP = 10_000


def fraction(name: str, x: Any) -> float:
    """``x`` as a float, if it is a number between 0 and 1, both excluded; ValueError for all else."""
    try:
        return number(name, x, 0, math.nextafter(1, 0), above=True)
    except ValueError:
        raise ValueError(f"{name}: expected a share between 0 and 1, got {x!r:.60}") from None


def interval(
    values: ArrayLike, seed: int = 0, level: float = 0.95, statistic: Callable = np.mean
) -> tuple[float, float, float]:
    """A statistic over tissues, and its bootstrap percentile interval.

    Args:
        values: (n,), one a tissue, without missing ones.
        seed: of the draws, a whole number of at least 0.
        level: of the interval, between 0 and 1.
        statistic: array -> number; faster if it takes an argument axis.

    Returns:
        The statistic, and the lower and upper end of its interval.

    Raises:
        ValueError: Fewer than two values, or some that are not finite.

    Examples:
        >>> estimate, low, high = interval(np.array([0.7, 0.8, 0.9, 1.0]))
        >>> round(estimate, 2), low < estimate < high
        (0.85, True)
    """
    values = array("values", values, (...,), shape=[None]).astype(float)
    seed, level = count("seed", seed, 0), fraction("level", level)
    if values.size < 2:
        raise ValueError(f"values: expected at least 2, one a tissue, got {values.size}")
    estimate = float(statistic(values))
    if np.ptp(values) == 0:
        return estimate, estimate, estimate
    draws = {"n_resamples": N_BOOTSTRAP, "method": "percentile", "rng": np.random.default_rng(seed)}
    limits = bootstrap((values,), statistic, confidence_level=level, **draws).confidence_interval
    return estimate, float(limits.low), float(limits.high)


def paired_difference(
    a: ArrayLike, b: ArrayLike, seed: int = 0, level: float = 0.95, power: float = 0.8, family: int = 1
) -> pd.Series:
    """Mean of a - b over seeds s and tissues i, and whether it is real.

        interval      percentiles of that mean over draws, with replacement, of tissues and of seeds
        p             the larger of two: twice the smaller share of the draws on one side of zero, (k + 1) / (n + 1),
                      and that of a t test over the seeds, each with its mean over the tissues
        detectable    z(1 - alpha / 2m) + z(power) times the SD of the draws

    Tissues are drawn once for both methods (Efron and Tibshirani, An Introduction to the Bootstrap, 1993). Seed s of
    two trainings shares the order of the tissues: seeds are drawn together where both have as many. The tails of a
    bootstrap of few seeds are too thin, hence the t test. With one seed, their spread is in none of this.

    Args:
        a, b: scores (seed, n) of the same n tissues in the same order.
        seed: of the draws.
        level: of the interval, 1 - alpha.
        power: probability with which a difference of ``detectable`` is found.
        family: number m of comparisons among which it is.

    Returns:
        difference, low, high, p, detectable, and effect: the difference over the SD over tissues of a - b, seeds averaged.

    Raises:
        ValueError: Scores of another number of tissues, of other ones by their coordinates, or not finite.

    Examples:
        >>> a = np.array([[0.90, 0.80, 0.85, 0.95], [0.91, 0.81, 0.85, 0.94]])  # two seeds, four tissues
        >>> found = paired_difference(a, a - 0.1)
        >>> found.difference.round(3).item(), bool(found.low > 0)
        (0.1, True)
    """
    given = a, b
    a, b = (array(name, one, ("seed", ...), shape=(None, None)).astype(float) for name, one in (("a", a), ("b", b)))
    agree(("a", "b"), *given, but="seed")
    if a.shape[1] != b.shape[1] or a.shape[1] < 2:
        raise ValueError(f"a, b: expected scores (seed, n) of the same n tissues, got {a.shape} and {b.shape}")
    level, power, family = fraction("level", level), fraction("power", power), count("family", family)
    seed = count("seed", seed, 0)
    rng, n = np.random.default_rng(seed), a.shape[1]
    tissues = rng.multinomial(n, np.full(n, 1 / n), N_BOOTSTRAP) / n  # how often each is drawn, (draw, n)
    paired = len(a) == len(b)
    parts = [a - b] if paired else [a, -b]
    found = np.asarray(sum(_draw_seeds(tissues @ part.T, rng) for part in parts))
    tail = min((found <= 0).sum(), (found >= 0).sum())
    p = min(2 * (tail + 1) / (N_BOOTSTRAP + 1), 1.0)
    of_seeds = a.mean(1), b.mean(1)
    if min(map(len, of_seeds)) > 1 and np.ptp(np.concatenate([part.mean(1) for part in parts])) > 0:
        test = ttest_rel(*of_seeds) if paired else ttest_ind(*of_seeds, equal_var=False)
        p = max(p, float(test.pvalue))
    estimate, spread = a.mean() - b.mean(), (a.mean(0) - b.mean(0)).std(ddof=1)
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    z = norm.ppf(1 - (1 - level) / 2 / family) + norm.ppf(power)
    effect = estimate / spread if spread else 0.0
    table = {"difference": estimate, "low": low, "high": high, "p": p, "detectable": z * found.std(), "effect": effect}
    return pd.Series(table)


def _draw_seeds(means: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Mean over drawn seeds (draw,) of means (draw, seed), their spread widened to that of S independent ones."""
    n_seed, center = means.shape[1], means.mean(1)
    if n_seed == 1:
        return center
    seeds = rng.multinomial(n_seed, np.full(n_seed, 1 / n_seed), len(means)) / n_seed
    return center + np.sqrt(n_seed / (n_seed - 1)) * ((means * seeds).sum(1) - center)


def holm(p: pd.Series) -> pd.Series:
    """p_(k) of a family -> max over j <= k of (m - j + 1) p_(j) (Holm, Scand. Journal of Statistics 6:65, 1979)."""
    p = pd.to_numeric(instance("p", p, pd.Series), errors="coerce")
    if p.dtype.kind == "c" or not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"p: expected probabilities, got {p.tolist()}")
    order = p.sort_values(kind="stable")
    return (order * np.arange(len(p), 0, -1)).cummax().clip(upper=1.0).reindex(p.index)


def compare_methods(scores: Mapping[str, ArrayLike], reference: str) -> pd.DataFrame:
    """`paired_difference` of each method's scores (seed, n) from those of ``reference``, and ``p_holm`` over the family."""
    one_of("reference", reference, instance("scores", scores, Mapping))
    others = {name: one for name, one in scores.items() if name != reference}
    rows = {name: paired_difference(one, scores[reference], family=len(others)) for name, one in others.items()}
    table = pd.DataFrame(rows).T
    return table.assign(p_holm=holm(table.p))


def by_seed(rows: pd.DataFrame, score: str = "r2") -> np.ndarray:
    """Scores (seed, tissue), both in increasing order, from rows with columns seed, sim and the score."""
    columns = [*instance("rows", rows, pd.DataFrame).columns]
    if not {"seed", "sim", score} <= {*columns} or rows.duplicated(["seed", "sim"]).any():
        came = f"several, or the columns {columns}"
        raise ValueError(f"rows: expected one for each seed and sim, with {score}, got {came}")
    table = rows.pivot(index="seed", columns="sim", values=score)
    if missing := int(table.isna().sum().sum()):
        raise ValueError(f"rows: expected {score} of every tissue for every seed, got {missing} missing")
    return table.to_numpy()
