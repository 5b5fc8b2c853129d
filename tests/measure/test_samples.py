"""Two-sample tests: their level holds over many draws of one population, and they see what they are made to see."""

import functools

import numpy as np
import pytest
import xarray as xr
from scipy.stats import binomtest

from forwardecg.measure.samples import classifier_test, histogram_test, mmd_test


def nearest(X, y, others):
    """A classifier from outside: the label of the nearest row."""
    return y[np.square(others[:, None] - X).sum(-1).argmin(1)]


TESTS = {
    "linear": functools.partial(classifier_test, classifier="linear", folds=4),
    "kernel": functools.partial(classifier_test, classifier="kernel", folds=4),
    "mmd": mmd_test,
    "histogram": functools.partial(histogram_test, bins=12),
}
DRAWS, PERMUTATIONS = 240, 39


def level_holds(p: np.ndarray) -> None:
    """Every p = k / 40 at most as often as it says: within a binomial bound."""
    for alpha in (0.05, 0.25, 0.5):
        assert binomtest(int((p <= alpha + 1e-9).sum()), p.size, alpha, alternative="greater").pvalue > 2e-3, alpha


@pytest.mark.parametrize("name", TESTS)
def test_of_one_population_p_is_calibrated(name):
    """Skewed rows whose samples depend on each other, sets of unequal size; p is uniform but for ties of the accuracy."""
    rng, p = np.random.default_rng(1), []
    for seed in range(DRAWS):
        rows = np.cumsum(rng.exponential(size=(22, 4)), axis=1) * rng.gamma(1.0, size=(22, 1))
        p.append(TESTS[name](rows[:13], rows[13:], permutations=PERMUTATIONS, seed=seed).p)
    level_holds(np.array(p))
    if name in ("mmd", "histogram"):  # without ties: uniform, not just safe
        assert binomtest(int((np.array(p) <= 0.5 + 1e-9).sum()), DRAWS, 0.5).pvalue > 2e-3


@pytest.mark.parametrize("name", TESTS)
def test_of_pairs_of_one_population_p_is_calibrated(name):
    """Two rows of one tissue are alike: they share a fold, and are exchanged with each other alone."""
    rng, p = np.random.default_rng(2), []
    for seed in range(DRAWS):
        tissue = 3 * rng.standard_normal((11, 4))
        a, b = tissue + 0.3 * rng.standard_normal((2, 11, 4))
        p.append(TESTS[name](a, b, paired=True, permutations=PERMUTATIONS, seed=seed).p)
    level_holds(np.array(p))


@pytest.mark.parametrize("name", TESTS)
def test_a_shift_is_seen(name):
    rng = np.random.default_rng(3)
    found = [
        TESTS[name](rng.standard_normal((40, 6)), rng.standard_normal((40, 6)) + 1, permutations=PERMUTATIONS, seed=n)
        for n in range(10)
    ]
    assert sum(one.p <= 0.05 for one in found) >= 9
    assert np.mean([one.statistic for one in found]) > 2 * abs(
        np.mean([one.null for one in found])
    ) or "classifier" in str(TESTS[name])


def test_a_larger_shift_has_more_power():
    rng, rates = np.random.default_rng(4), []
    for shift in (0.0, 0.4, 1.0):
        p = [
            mmd_test(rng.standard_normal((25, 4)), rng.standard_normal((25, 4)) + shift, permutations=39, seed=n).p
            for n in range(30)
        ]
        rates.append(np.mean(np.array(p) <= 0.05))
    assert rates[0] < 0.2 < rates[1] < rates[2] and rates[2] == 1


def test_what_a_linear_classifier_cannot_see():
    """Sets with the same mean and another spread: 1/2 says something about the classifier, not about the sets."""
    rng = np.random.default_rng(5)
    a, b = rng.standard_normal((80, 4)), 3 * rng.standard_normal((80, 4))
    linear, kernel, outside = (classifier_test(a, b, one, permutations=39) for one in ("linear", "kernel", nearest))
    assert abs(linear.statistic - 0.5) < 0.12 and kernel.statistic > 0.75 and kernel.p == 1 / 40
    assert outside.statistic > 0.65 and outside.p == 1 / 40, "any classifier may be asked"
    assert mmd_test(a, b).p < 0.01 and histogram_test(a, b).p < 0.01


def test_pairs_show_what_tissues_hide():
    rng = np.random.default_rng(6)
    tissue = 5 * rng.standard_normal((40, 3))
    a, b = tissue, tissue + 0.5 + 0.1 * rng.standard_normal((40, 3))
    assert mmd_test(a, b, permutations=199).p > 0.2 and mmd_test(a, b, paired=True, permutations=199).p < 0.02


def test_halves_are_at_one_half_and_strangers_at_one():
    rng = np.random.default_rng(7)
    rows = rng.standard_normal((400, 5))
    for kind in ("linear", "kernel"):
        assert classifier_test(rows[:200], rows[200:], kind, permutations=39).statistic == pytest.approx(0.5, abs=0.1)
        assert classifier_test(rows[:200], rows[200:] + 9, kind, permutations=39).statistic == 1


def test_the_accuracy_gives_both_sets_the_same_weight():
    """One that calls all rows by the larger set is right in half of the cases."""
    rng = np.random.default_rng(8)
    a, b = rng.standard_normal((90, 2)), rng.standard_normal((10, 2))
    found = classifier_test(a, b, lambda X, y, others: np.ones(len(others)), permutations=5)
    assert found == (0.5, 0.5, 1.0)


def test_mmd_is_the_double_sum():
    rng = np.random.default_rng(9)
    a, b = rng.standard_normal((7, 3)), rng.standard_normal((9, 3)) + 0.5
    rows = np.concatenate([a, b])
    distance = np.linalg.norm(rows[:, None] - rows, axis=-1)
    width = np.median(distance[np.triu_indices(16, 1)])
    k = np.exp(-(distance**2) / (2 * width**2))
    within = [(one.sum() - np.trace(one)) / (len(one) * (len(one) - 1)) for one in (k[:7, :7], k[7:, 7:])]
    assert mmd_test(a, b).statistic == pytest.approx(sum(within) - 2 * k[:7, 7:].mean(), abs=1e-12)


def test_divergence_of_histograms_by_hand():
    """Half of the samples of one set in a bin of their own: p = (1, 0), q = (1/2, 1/2), their mean (3/4, 1/4)."""
    a, b = np.zeros((4, 2)), np.tile([0.0, 1.0], (4, 1))
    h = lambda *p: -sum(x * np.log2(x) for x in p if x)  # noqa: E731
    assert histogram_test(a, b, bins=2).statistic == pytest.approx(h(0.75, 0.25) - h(0.5, 0.5) / 2, abs=1e-12)
    assert histogram_test(a, a).statistic == pytest.approx(0, abs=1e-12)
    assert histogram_test(a, a + 1).statistic == pytest.approx(1, abs=1e-12)
    shuffled = np.random.default_rng(0).permuted(b, axis=1)
    assert histogram_test(b, shuffled).statistic == pytest.approx(0, abs=1e-12), "blind to the order in time"


def test_results_depend_on_the_seed_alone():
    rng = np.random.default_rng(10)
    a, b = rng.standard_normal((2, 20, 3))
    for name, test in TESTS.items():
        assert test(a, b, seed=4) == test(a, b, seed=4), name
    assert mmd_test(a, b, seed=4).null != mmd_test(a, b, seed=5).null


def test_labeled_sets_are_read_in_one_unit():
    rng = np.random.default_rng(11)
    a, b = rng.standard_normal((2, 20, 3))
    first, second = (
        xr.DataArray(a, dims=("sim", "time"), attrs={"units": "mV"}),
        xr.DataArray(b.T / 1e3, dims=("time", "sim"), attrs={"units": "V"}),
    )
    assert mmd_test(first, second) == pytest.approx(mmd_test(a, b))


def test_what_is_no_pair_of_samples_is_refused():
    rows = np.zeros((4, 3))
    with pytest.raises(ValueError, match="b: expected"):
        mmd_test(rows, np.zeros((4, 2)))
    with pytest.raises(ValueError, match="expected at least 2 rows each"):
        mmd_test(rows, rows[:1])
    with pytest.raises(ValueError, match="expected pairs, as many rows in each, got 4 and 3"):
        mmd_test(rows, rows[:3], paired=True)
    with pytest.raises(ValueError, match="classifier: expected one of linear, kernel, got 'forest'"):
        classifier_test(rows, rows, "forest")
    with pytest.raises(ValueError, match="folds: expected a whole number in 2 .. 8, got 9"):
        classifier_test(rows, rows, folds=9)
