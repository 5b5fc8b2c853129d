"""Do two sets of traces come from one population? Tests whose p is that of permutations: at least as large by chance alone.

Rows are the units, one a tissue. Each test permutes the labels of the rows; of pairs, one row of each set from one tissue, it
exchanges the two of a pair at random. No test estimates a null distribution, so that its level holds whatever the sizes.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike
from scipy.spatial.distance import cdist, pdist

from forwardecg.contract import array, count, flag, one_of, unit_of

Classifier = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
PERMUTATIONS, RIDGE = 200, 1.0
MOST_ROWS = 10**4  # of both sets: a kernel has the square of this


class Outcome(NamedTuple):
    """What a test found: its statistic, the mean of that over permutations, and the probability of as much by chance."""

    statistic: float
    null: float
    p: float


def classifier_test(
    a: ArrayLike, b: ArrayLike, classifier: str | Classifier = "linear", *, folds: int = 5, paired: bool = False,
    permutations: int = PERMUTATIONS, seed: int = 0,
) -> Outcome:  # fmt: skip
    """Classifier two-sample test: how often a classifier tells rows that it has not seen apart.

        accuracy = (share of the rows of a that are called a + the same of b) / 2, in cross-validation

    Lopez-Paz and Oquab, ICLR 2017. "linear" and "kernel" are ridge regressions of the labels, their kernels x y / k and
    exp(-|x - y|^2 / (2 median^2)) of standardized features: predictions are linear in the labels, and all permutations one
    matrix product. What a linear classifier cannot see, another one may: 1/2 is a statement about the classifier.

    Args:
        a, b: (n, k) and (m, k), one row a tissue: samples of a trace, or features of it.
        classifier: "linear", "kernel", or a function of the features (rows, k) and labels (rows,) of 0 and 1 to learn from
            and of the features (others, k) to call: it returns numbers (others,), above 1/2 for label 1. It is called for
            each fold of each permutation.
        folds: of the cross-validation, drawn without regard to the labels.
        paired: row i of a and row i of b are one tissue: they share a fold.
        permutations: that give the null.
        seed: of folds and permutations.

    Returns:
        statistic: the accuracy; null: its mean over permutations; p: the share of the permutations, and of the labels as they
        are, with at least this accuracy.

    Raises:
        ValueError: Fewer than two rows in a set, or than folds; other columns; pairs of different numbers of rows; values
            that are not finite.

    Examples:
        >>> draws = np.random.default_rng(0).standard_normal((2, 40, 5))
        >>> found = classifier_test(draws[0], draws[1] + 2, permutations=50)
        >>> bool(found.statistic > 0.9), round(found.p, 3)
        (True, 0.02)
    """
    X, labels, rng = _prepare(a, b, paired, permutations, seed)
    if not callable(classifier):
        one_of("classifier", classifier, ("linear", "kernel"))
    n_units = len(X) // 2 if paired else len(X)
    folds = count("folds", folds, 2, n_units)
    fold = rng.permutation(np.arange(n_units) % folds)
    fold = np.tile(fold, 2) if paired else fold
    X = (X - X.mean(0)) / np.where(X.std(0) > 0, X.std(0), 1)  # the features of all rows: blind to the labels
    called = np.empty(labels.shape)
    for k in range(folds):
        seen, here = fold != k, fold == k
        if callable(classifier):
            for n, one in enumerate(labels.T):
                called[here, n] = classifier(X[seen], one[seen].astype(float), X[here])
        else:
            called[here] = _ridge(X[seen], labels[seen].astype(float), X[here], classifier)
    right = (called > 0.5) == labels
    return _summary((right & labels).sum(0) / labels.sum(0) / 2 + (right & ~labels).sum(0) / (~labels).sum(0) / 2)


def _ridge(X: np.ndarray, y: np.ndarray, others: np.ndarray, kind: str) -> np.ndarray:
    """Predictions (others, column) of labels y (rows, column) by kernel ridge regression about the middle of both classes."""
    if kind == "linear":
        K, K_others = (z @ X.T / X.shape[1] for z in (X, others))
    else:
        scale = _median_distance(X)
        K, K_others = (np.exp(-cdist(z, X, "sqeuclidean") / (2 * scale**2)) for z in (X, others))
    middle = y.mean(0)
    return 0.5 + K_others @ np.linalg.solve(K + RIDGE * np.eye(len(X)), y - middle)


def _median_distance(X: np.ndarray) -> float:
    return float(np.median(pdist(X))) or 1.0


def mmd_test(
    a: ArrayLike, b: ArrayLike, *, paired: bool = False, permutations: int = PERMUTATIONS, seed: int = 0
) -> Outcome:
    """Maximum mean discrepancy of two sets of rows, unbiased, with a Gaussian kernel as wide as the median distance.

        MMD^2 = mean k(a, a') + mean k(b, b') - 2 mean k(a, b),  k = exp(-|x - y|^2 / (2 median^2)),  a and a' different rows

    Gretton et al., JMLR 13:723 (2012). Its value says little without p.

    Args:
        a, b: (n, k) and (m, k), in one unit.
        paired, permutations, seed: of `classifier_test`.

    Returns:
        statistic: MMD^2, whose mean is 0 for one population; null and p as from `classifier_test`.

    Raises:
        ValueError: What `classifier_test` refuses.

    Examples:
        >>> draws = np.random.default_rng(0).standard_normal((2, 40, 5))
        >>> round(mmd_test(draws[0], draws[1] + 2, permutations=50).p, 3)
        0.02
    """
    X, labels, _ = _prepare(a, b, paired, permutations, seed)
    K = np.exp(-cdist(X, X, "sqeuclidean") / (2 * _median_distance(X) ** 2))
    np.fill_diagonal(K, 0)
    first, second = labels.astype(float), (~labels).astype(float)
    n, m = first.sum(0), second.sum(0)
    K_first, K_second = K @ first, K @ second
    within = (first * K_first).sum(0) / (n * (n - 1)) + (second * K_second).sum(0) / (m * (m - 1))
    return _summary(within - 2 * (first * K_second).sum(0) / (n * m))


def histogram_test(
    a: ArrayLike, b: ArrayLike, *, bins: int = 50, paired: bool = False, permutations: int = PERMUTATIONS, seed: int = 0
) -> Outcome:
    """Jensen-Shannon divergence of the amplitudes of two sets of traces, in bits: 0 for equal histograms, 1 for separate ones.

        JSD = (KL(p, q') + KL(q, q')) / 2,  q' = (p + q) / 2

    Lin, IEEE Trans. Inf. Theory 37:145 (1991). It is blind to the order of the samples. Those of one trace belong
    together, so that whole traces are permuted.

    Args:
        a, b: (n, T) and (m, T), in one unit.
        bins: of equal width, from the smallest to the largest sample of both.
        paired, permutations, seed: of `classifier_test`.

    Returns:
        statistic: JSD; null and p as from `classifier_test`.

    Raises:
        ValueError: What `classifier_test` refuses.

    Examples:
        >>> found = histogram_test(np.zeros((9, 4)), np.ones((9, 4)), permutations=99)
        >>> found.statistic, found.p
        (1.0, 0.01)
    """
    X, labels, _ = _prepare(a, b, paired, permutations, seed)
    edges = np.linspace(X.min(), X.max() if X.max() > X.min() else X.min() + 1, count("bins", bins, 2, 10**5) + 1)
    counts = np.array([np.histogram(row, edges)[0] for row in X], float)  # (row, bin)
    p, q = (counts.T @ one / counts.T.dot(one).sum(0) for one in (labels.astype(float), (~labels).astype(float)))
    return _summary(_entropy((p + q) / 2) - (_entropy(p) + _entropy(q)) / 2)


def _entropy(p: np.ndarray) -> np.ndarray:
    """Bits (column,) of distributions p (bin, column)."""
    return -(p * np.log2(np.where(p > 0, p, 1))).sum(0)


def _prepare(a: Any, b: Any, paired: Any, permutations: Any, seed: Any) -> tuple[np.ndarray, np.ndarray, Any]:
    """Rows of both sets (row, k), labels (row, 1 + permutations), True for a, the first column as they are, and draws."""
    first = array("a", a, (..., "time"), shape=(None, None)).astype(float)
    unit = unit_of(a.attrs) if isinstance(a, xr.DataArray) else None
    second = array("b", b, (..., "time"), unit, shape=(None, first.shape[1])).astype(float)
    rng = np.random.default_rng(count("seed", seed, 0))
    n, m, permutations = len(first), len(second), count("permutations", permutations, 1, 10**6)
    if min(n, m) < 2 or n + m > MOST_ROWS:
        raise ValueError(f"a, b: expected at least 2 rows each, at most {MOST_ROWS} together, got {n} and {m}")
    if flag("paired", paired) and n != m:
        raise ValueError(f"a, b: expected pairs, as many rows in each, got {n} and {m}")
    labels = np.zeros((n + m, 1 + permutations), bool)
    labels[:n, 0] = True
    if paired:
        stays = rng.random((n, permutations)) < 0.5
        labels[:, 1:] = np.concatenate([stays, ~stays])
    else:
        labels[:, 1:] = rng.permuted(np.repeat(labels[:, :1], permutations, axis=1), axis=0)
    return np.concatenate([first, second]), labels, rng


def _summary(statistics: np.ndarray) -> Outcome:
    """The first of the statistics beside the others, its permutations."""
    seen, null = statistics[0], statistics[1:]
    slack = 1e-12 * max(abs(seen), 1e-300)  # sums in another order
    p = (1 + (null >= seen - slack).sum()) / (1 + null.size)
    return Outcome(float(seen), float(null.mean()), float(p))
