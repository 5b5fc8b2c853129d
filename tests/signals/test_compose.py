"""Composed recordings: pieces that were there, in an order that was observed, with labels that fit them."""

import numpy as np
import pytest

from forwardecg.signals.compose import Segment, compose_recording, cut_segments


def beats(n: int = 6, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A recording of n beats of irregular length: depolarization, both, repolarization, rest."""
    rng = np.random.default_rng(seed)
    states = [(0, 0)] + n * [(1, 0), (1, 1), (0, 1), (0, 0)]
    lengths = rng.integers(8, 30, len(states))
    labels = np.repeat(np.array(states, bool).T, lengths, axis=1)
    return np.cumsum(rng.standard_normal(labels.shape[1])), labels


def runs(labels: np.ndarray) -> list[tuple]:
    """The states of labels (wave, time), one after the other."""
    states = [tuple(one) for one in labels.T.tolist()]
    return [one for n, one in enumerate(states) if n == 0 or one != states[n - 1]]


def test_segments_are_the_pieces_between_changes():
    ecg, labels = beats()
    segments = cut_segments(ecg, labels)
    assert len(segments) == 25 - 2 and [one.state for one in segments] == runs(labels)[1:-1]
    first = int(np.flatnonzero(labels[0])[0])
    whole = np.concatenate([one.ecg[:-1] for one in segments])
    assert np.array_equal(whole, ecg[first : first + len(whole)])
    assert all(one.ecg[-1] == other.ecg[0] for one, other in zip(segments, segments[1:], strict=False))
    assert cut_segments(ecg, np.zeros_like(labels)) == []


def test_a_recording_of_one_beat_comes_back():
    """With one segment of each kind, neither stretched nor scaled, composition is repetition."""
    rng = np.random.default_rng(1)
    one, on = rng.standard_normal(30), np.repeat(np.array([[0, 1, 1, 0], [0, 0, 1, 1]], bool), [12, 6, 5, 7], axis=1)
    ecg, labels = np.tile(one, 3), np.tile(on, 3)
    composed, composed_labels = compose_recording(cut_segments(ecg, labels), 75, seed=0, stretch=0.0, scale=0.0)
    assert np.allclose(composed, np.tile(one, 3)[:75]) and np.array_equal(composed_labels, np.tile(on, 3)[:, :75])


def test_only_orders_that_were_observed():
    (ecg, labels), (other, other_labels) = beats(6, 0), beats(7, 1)
    plateau = np.repeat(
        np.array([[0, 1, 0, 0, 0, 1], [0, 0, 0, 1, 0, 0]], bool), 9, axis=1
    )  # a pause between the waves
    segments = cut_segments(ecg, labels) + cut_segments(other, other_labels) + cut_segments(np.zeros(54), plateau)
    seen = {one[:3] for one in segments}
    for seed in range(20):
        _, composed = compose_recording(segments, 1500, seed)
        states = runs(composed)
        assert not any(states[0]) and {*zip(states, states[1:-1], states[2:], strict=False)} <= seen
        assert composed.shape == (2, 1500)


def test_it_has_no_jumps_and_no_drift():
    """Lines that tie neighbors together end at each joint: a trace as long as one likes stays where it was."""
    t = np.arange(4000)
    labels = np.array([t // 40 % 4 == 1, t // 40 % 4 == 2])
    smooth = np.sin(2 * np.pi * t / 160) + 0.3 * np.sin(2 * np.pi * t / 1330)
    composed, _ = compose_recording(cut_segments(smooth, labels), 50_000, seed=5, stretch=0.3, scale=0.3)
    assert np.abs(np.diff(composed)).max() < 4 * np.abs(np.diff(smooth)).max()
    assert np.abs(composed).max() < 2 * np.abs(smooth).max()


def test_stretch_and_scale_are_as_large_as_asked_for():
    labels = np.tile(np.repeat([[False, True]], 20, axis=1), 9)
    ecg = np.where(labels[0], np.tile(np.sin(np.pi * np.arange(40) / 10), 9), 0.0)
    composed, on = compose_recording(cut_segments(ecg, labels), 20_000, seed=0, stretch=0.25, scale=0.5)
    steps = np.flatnonzero(np.diff(on[0].astype(int)))
    lengths = np.diff(steps)
    assert {*lengths} == {*range(15, 26)}
    peaks = [np.abs(part).max() for part in np.split(composed, steps + 1)[1:-1]][::2]
    assert 0.4 < min(peaks) < 0.6 and 1.4 < max(peaks) < 1.6


def test_the_same_seed_gives_the_same_recording():
    segments = cut_segments(*beats())
    one, same, other = (compose_recording(segments, 400, seed) for seed in (1, 1, 2))
    assert np.array_equal(one[0], same[0]) and np.array_equal(one[1], same[1]) and not np.array_equal(one[0], other[0])


def test_what_cannot_be_composed_is_refused():
    segments = cut_segments(*beats())
    with pytest.raises(ValueError, match="segments: expected some without a wave from which others go on, got none"):
        compose_recording(segments[:2], 100, seed=0)
    with pytest.raises(ValueError, match="segments: expected Segment"):
        compose_recording([1, 2], 100, seed=0)
    with pytest.raises(ValueError, match="segments: expected labels of the same waves"):
        compose_recording([*segments, Segment((True,), (False,), (True,), np.zeros(3))], 100, seed=0)
    with pytest.raises(ValueError, match="labels: expected"):
        cut_segments(np.zeros(5), np.zeros((2, 5)))
