"""Intervals: perfect labels score 1, labels that are shifted by n samples score what they must."""

import itertools

import numpy as np
import pandas as pd
import pytest

from forwardecg.signals.intervals import compare_labels, match_intervals, read_intervals, summarize_intervals

DT = 2.0


def labels_of(intervals, n: int = 500) -> np.ndarray:
    """Labels (n,) that are on from the first to the last sample of each interval."""
    on = np.zeros(n, bool)
    for first, last in intervals:
        on[first : last + 1] = True
    return on


BEATS = [(30, 70), (150, 195), (290, 330), (400, 460)]  # samples


def test_intervals_of_labels_by_hand():
    assert (read_intervals(labels_of(BEATS), DT) == DT * np.array(BEATS)).all()
    assert read_intervals(np.zeros(5, bool), DT).shape == (0, 2)
    assert read_intervals(np.ones(5, bool), DT).tolist() == [[0.0, 8.0]]
    assert (read_intervals(labels_of(BEATS), DT) == read_intervals(labels_of(BEATS).tolist(), DT)).all()


def test_short_gaps_are_closed_before_short_intervals_are_dropped():
    on = labels_of([(10, 14), (17, 20), (100, 101)])
    assert read_intervals(on, DT, shortest=6.0).tolist() == [[20, 40]], "a gap of 4 ms, an interval of 4 ms"
    assert read_intervals(on, DT, shortest=4.0).tolist() == [[20, 28], [34, 40], [200, 202]]
    assert len(read_intervals(on, DT, shortest=1e6)) == 0


def test_perfect_labels_score_one():
    table = compare_labels(labels_of(BEATS)[None], labels_of(BEATS)[None], DT)
    found = summarize_intervals(table)
    assert found.f1 == 1 and found.matched == 4 and found.missed == found.extra == 0
    assert found.onset == found.offset == found.onset_p90 == 0


@pytest.mark.parametrize("n", [-9, -1, 3, 20])
def test_labels_shifted_by_n_samples_score_a_shift_of_n_samples(n):
    """And nothing at all once the shift is larger than the tolerance."""
    true, pred = labels_of(BEATS), np.roll(labels_of(BEATS), n)
    found = summarize_intervals(compare_labels(true[None], pred[None], DT, tolerance=abs(n) * DT))
    assert found.f1 == 1 and found.onset_bias == found.offset_bias == n * DT and found.onset == abs(n) * DT
    lost = summarize_intervals(compare_labels(true[None], pred[None], DT, tolerance=abs(n) * DT - 0.5))
    assert lost.f1 == 0 and lost.missed == lost.extra == 4 and np.isnan(lost.onset)


def test_onsets_and_offsets_are_told_apart():
    pred = labels_of([(first - 2, last + 5) for first, last in BEATS])
    table = compare_labels(labels_of(BEATS)[None], pred[None], DT)
    assert (table.onset_error == -4).all() and (table.offset_error == 10).all()
    assert table.onset.tolist() == [60, 300, 580, 800]


def test_missed_and_extra_ones_lower_f1():
    pred = labels_of([*BEATS[:3], (230, 250)])
    table = compare_labels(labels_of(BEATS)[None], pred[None], DT, tolerance=50)
    found = summarize_intervals(table)
    assert (found.matched, found.missed, found.extra) == (3, 1, 1) and found.f1 == pytest.approx(6 / 8)
    merged = labels_of([(30, 195), *BEATS[2:]])  # two beats in one
    found = summarize_intervals(compare_labels(labels_of(BEATS)[None], merged[None], DT))
    assert (found.matched, found.missed, found.extra) == (2, 2, 1)


def test_what_the_ends_cut_is_not_scored():
    true = labels_of([(0, 20), *BEATS, (480, 499)])
    for pred in (true, labels_of(BEATS), labels_of([(3, 25), *BEATS])):
        found = summarize_intervals(compare_labels(true[None], pred[None], DT))
        assert found.matched == 4 and found.f1 == 1
    found = summarize_intervals(compare_labels(labels_of(BEATS)[None], true[None], DT))
    assert found.extra == 2, "but at the ends of a recording without waves there, they are made up"


def test_recordings_are_counted_one_by_one():
    true = np.array([labels_of(BEATS), labels_of([])])
    table = compare_labels(true, true[::-1], DT)
    assert table.groupby("recording").outcome.agg(["first", "size"]).to_numpy().tolist() == [
        ["missed", 4],
        ["extra", 4],
    ]
    nothing = compare_labels(true[1:], true[1:], DT)
    assert len(nothing) == 0 and summarize_intervals(nothing).f1 == 1


def test_the_match_is_the_best_of_all():
    """Against every choice of pairs: first as many as possible, then the least sum of errors."""
    rng = np.random.default_rng(0)
    for _ in range(60):
        true, pred = (np.sort(rng.uniform(0, 300, (n, 2)), axis=1) for n in rng.integers(1, 5, 2))
        best = (0, 0.0)
        for order in itertools.permutations(range(max(len(true), len(pred)))):
            pairs = [(i, j) for i, j in enumerate(order) if i < len(true) and j < len(pred)]
            error = np.array([np.abs(pred[j] - true[i]) for i, j in pairs])
            near = (error <= 80).all(1)
            best = max(best, (int(near.sum()), -error[near].sum()))
        found = match_intervals(true, pred, tolerance=80)
        total = found[["onset_error", "offset_error"]].abs().to_numpy().sum()
        assert (len(found), -total) == (best[0], pytest.approx(best[1]))
        assert found.true.is_unique and found.pred.is_unique


def test_no_intervals_match_none():
    for true, pred in itertools.product(([], np.zeros((0, 2)), [[1.0, 2.0]]), repeat=2):
        assert len(match_intervals(true, pred)) == (1 if len(true) and len(pred) else 0)


def test_what_is_no_interval_is_refused():
    with pytest.raises(ValueError, match="true: expected onset <= offset"):
        match_intervals([[2.0, 1.0]], [[1.0, 2.0]])
    with pytest.raises(ValueError, match="pred: expected"):
        match_intervals([[1.0, 2.0]], [1.0, 2.0])
    with pytest.raises(ValueError, match="labels: expected bool"):
        read_intervals([0.2, 0.9], DT)
    with pytest.raises(ValueError, match="pred: expected"):
        compare_labels(np.ones((1, 5), bool), np.ones((1, 6), bool), DT)
    with pytest.raises(ValueError, match="table: expected rows of compare_labels"):
        summarize_intervals(pd.DataFrame({"a": [1]}))
