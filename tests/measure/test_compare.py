"""Intervals, paired differences and the correction for many of them, against closed forms."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom, false_discovery_control, norm, ttest_1samp

from forwardecg.measure import compare
from forwardecg.measure.compare import by_seed, compare_methods, holm, interval, paired_difference


def test_the_interval_is_that_of_a_mean():
    values = np.random.default_rng(3).normal(2.0, 1.0, 400)
    mean, low, high = interval(values)
    assert mean == pytest.approx(values.mean())
    assert high - low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.1) and interval(values) == (mean, low, high)


def test_paired_differences_use_the_pairing():
    rng = np.random.default_rng(4)
    tissue = rng.normal(size=200)
    a, b = tissue + 0.05 + 0.01 * rng.normal(size=(3, 200)), tissue + 0.01 * rng.normal(size=(3, 200))
    found = paired_difference(a, b)
    assert 0.045 < found.low < found.difference < found.high < 0.055 and found.p < 0.01
    same = paired_difference(b, b[::-1])
    assert same.low < 0 < same.high and same.p > 0.2


def test_with_one_seed_it_is_the_normal_theory_of_a_paired_difference():
    rng = np.random.default_rng(5)
    d = rng.normal(0.2, 1.0, 300)
    found = paired_difference(d[None], np.zeros((1, 300)))
    error = d.std() / np.sqrt(300)
    assert found.difference == pytest.approx(d.mean())
    assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.05)
    assert found.detectable == pytest.approx((norm.ppf(0.975) + norm.ppf(0.8)) * error, rel=0.05)
    assert found.effect == pytest.approx(d.mean() / d.std(ddof=1))
    assert found.p == pytest.approx(2 * norm.sf(d.mean() / error), rel=0.3)


def test_the_spread_over_seeds_is_in_the_interval():
    """Seeds that shift all tissues together: the variance is that of the seeds, over how many there are; p is that of the t test."""
    shift = np.array([0.1, 0.3, 0.45, 0.5, 0.75])
    a = np.broadcast_to(shift[:, None], (5, 200))
    found = paired_difference(a, np.zeros((5, 200)))
    error = shift.std(ddof=1) / np.sqrt(5)
    assert found.detectable == pytest.approx((norm.ppf(0.975) + norm.ppf(0.8)) * error, rel=0.05)
    assert found.p == pytest.approx(ttest_1samp(shift, 0).pvalue)
    one_seed = paired_difference(a[:1], np.zeros((1, 200)))
    assert (one_seed.low, one_seed.high) == pytest.approx((0.1, 0.1))


@pytest.mark.parametrize(
    ("tissue", "by_seed_and_tissue", "by_seed"), [(1.0, 0.3, 0.0), (1.0, 0.3, 0.1), (1.0, 0.05, 0.3)]
)
@pytest.mark.parametrize("n_seed", [(5, 5), (5, 3)])
def test_false_alarms_are_no_more_than_promised(monkeypatch, tissue, by_seed_and_tissue, by_seed, n_seed):
    """Two equal methods whose seeds shift single tissues, or all of them, or both; at the level of one test and of fifteen."""
    monkeypatch.setattr(compare, "N_BOOTSTRAP", 2000)  # enough for a p of 0.05 / 15
    rng, p, n = np.random.default_rng(6), [], 300
    for k in range(n):
        of_tissue = tissue * rng.normal(size=40)
        a, b = (
            of_tissue + by_seed_and_tissue * rng.normal(size=(s, 40)) + by_seed * rng.normal(size=(s, 1))
            for s in n_seed
        )
        p.append(paired_difference(a, b, seed=k).p)
    for alpha in (0.05, 0.05 / 15):
        alarms = np.sum(np.array(p) < alpha)
        assert alarms <= binom.ppf(0.999, n, alpha), (alpha, alarms)


def test_seeds_are_paired_where_there_are_as_many():
    """What two trainings of one seed share is in no difference."""
    rng = np.random.default_rng(8)
    luck = 0.3 * rng.normal(size=(5, 1))
    a, b = (luck + 0.01 * rng.normal(size=(5, 100)) for _ in range(2))
    assert paired_difference(a + 0.02, b).p < 0.01 and paired_difference(a[:3] + 0.02, b).p > 0.1
    assert paired_difference(a, b, family=15).detectable > 1.3 * paired_difference(a, b).detectable


def test_p_has_a_floor_of_the_resolution():
    found = paired_difference(np.ones((1, 50)), np.zeros((1, 50)))
    assert found.p == pytest.approx(2 / 10_001) and (found.low, found.high) == pytest.approx((1, 1))
    nothing = paired_difference(np.ones((2, 50)), np.ones((2, 50)))
    assert nothing.p == 1 and nothing.difference == nothing.effect == 0


def test_holm_by_hand():
    p = pd.Series({"a": 0.04, "b": 0.01, "c": 0.03, "d": 0.9})
    assert holm(p).to_dict() == pytest.approx({"b": 0.04, "c": 0.09, "a": 0.09, "d": 0.9})
    assert (holm(p) >= false_discovery_control(p)).all(), "never bolder than the false discovery rate"
    assert holm(pd.Series({"a": 0.6, "b": 0.7})).to_dict() == {"a": 1.0, "b": 1.0}
    with pytest.raises(ValueError, match="p: expected probabilities"):
        holm(pd.Series({"a": 1.2}))


def test_a_family_is_corrected_for_its_size():
    rng = np.random.default_rng(7)
    tissue = rng.normal(size=100)
    scores = {
        name: tissue + 0.1 * rng.normal(size=(3, 100)) + shift
        for name, shift in (("full", 0), ("a", 0), ("b", -0.5), ("c", 0))
    }
    table = compare_methods(scores, "full")
    assert [*table.index] == ["a", "b", "c"] and table.difference.idxmin() == "b"
    assert table.p_holm["b"] == pytest.approx(3 * table.p["b"]) and (table.p_holm >= table.p).all()


def test_rows_become_seeds_and_tissues_and_none_may_be_missing():
    rows = pd.DataFrame({"seed": [0, 1, 0, 1], "sim": [5, 5, 3, 3], "r2": [0.1, 0.2, 0.3, 0.4]})
    assert by_seed(rows).tolist() == [[0.3, 0.1], [0.4, 0.2]]
    with pytest.raises(ValueError, match="rows: expected r2 of every tissue for every seed, got 1 missing"):
        by_seed(rows.iloc[:3])


@pytest.mark.parametrize(("a", "b", "message"), [
    (np.zeros((2, 5)), np.zeros((2, 6)), "of the same n tissues"),
    (np.zeros(5), np.zeros(5), r"a: expected \(seed, ...\)"),
    (np.full((1, 5), np.nan), np.zeros((1, 5)), "a: expected finite values"),
])  # fmt: skip
def test_bad_scores_are_refused(a, b, message):
    with pytest.raises(ValueError, match=message):
        paired_difference(a, b)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: interval([1.0]), "values"),
        (lambda: interval([[1.0, 2.0]]), "values"),
        (lambda: interval([1.0, 2.0], level=1.0), "level"),
        (lambda: interval([1.0, 2.0], seed=-1), "seed"),
        (lambda: interval(np.ma.masked_array([1.0, 2.0, 3.0], [0, 0, 1])), "values"),
        (lambda: paired_difference(np.ones((2, 5)), np.zeros((2, 5)), family=0), "family"),
        (lambda: paired_difference(np.ones((2, 5)), np.zeros((2, 5)), power=0.0), "power"),
        (lambda: paired_difference(np.ones((2, 5)) + 0j, np.zeros((2, 5))), "a"),
        (lambda: holm([0.1, 0.2]), "p"),
        (lambda: holm(pd.Series(["a"])), "p"),
        (lambda: holm(pd.Series([np.nan])), "p"),
        (lambda: compare_methods({"a": np.ones((1, 5))}, "b"), "reference"),
        (lambda: compare_methods(None, "b"), "scores"),
        (lambda: by_seed(None), "rows"),
        (lambda: by_seed(pd.DataFrame({"seed": [0, 0], "sim": [1, 1], "r2": [0.1, 0.2]})), "rows"),
        (lambda: by_seed(pd.DataFrame({"seed": [0], "sim": [1]})), "rows"),
    ],
)
def test_what_is_no_comparison_is_refused(call, name):
    with pytest.raises(ValueError, match=f"^{name}: expected"):
        call()
