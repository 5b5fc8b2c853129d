"""Synthetic recordings, composed of pieces of recordings that have labels.

The idea is that of Jimenez-Perez et al., Front. Cardiovasc. Med. 11:1341786 (2024), who compose ECGs of pools of P, PQ, QRS,
ST, T and TP segments by rules. Here a segment lies between two changes of the labels, so that these stay exact, and the rule
is what was observed: a segment is followed by one that has come after such a pair of labels.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from forwardecg.contract import array, count, instance, number

MOST_SAMPLES = 10**7  # of a composed recording


class Segment(NamedTuple):
    """A piece of an ECG in which the labels stay as they are, and its neighbors' labels; its last sample is the next one's first."""

    before: tuple[bool, ...]  # which waves are on
    state: tuple[bool, ...]
    after: tuple[bool, ...]
    ecg: np.ndarray  # (T,)


def cut_segments(ecg: ArrayLike, labels: ArrayLike) -> list[Segment]:
    """The segments of a recording between changes of its labels; those that its ends cut are left out.

    Args:
        ecg: (time,), in any unit: of recordings that are mixed, divide each by its SD.
        labels: (wave, time) bool, whether a wave is on.

    Returns:
        The segments in their order, an empty list where the labels change less than twice.

    Raises:
        ValueError: Labels that are not bool, or of another length than the ECG.

    Examples:
        >>> on = np.array([[False, False, True, True, True, False, False]])
        >>> [(one.state, one.ecg.tolist()) for one in cut_segments(np.arange(7.0), on)]
        [((True,), [2.0, 3.0, 4.0, 5.0])]
    """
    ecg = array("ecg", ecg, ("time",)).astype(float)
    labels = array("labels", labels, ("wave", "time"), shape=(None, len(ecg)), kinds="b")
    at = np.flatnonzero((labels[:, 1:] != labels[:, :-1]).any(0)) + 1  # the first samples of segments
    states = [tuple(labels[:, k].tolist()) for k in [0, *at]]
    inner = zip(states, states[1:], states[2:], at[:-1], at[1:], strict=False)
    return [Segment(before, state, after, ecg[a : b + 1]) for before, state, after, a, b in inner]


def compose_recording(
    segments: Sequence[Segment], n_t: int, seed: int, stretch: float = 0.2, scale: float = 0.2
) -> tuple[np.ndarray, np.ndarray]:
    """A new recording of segments of old ones, with its labels.

    Each segment is drawn among those whose (before, state) are the (state, after) of the one before it, the first among
    those without a wave. It is stretched and scaled, and a straight line is added so that neighbors meet in the middle.

    Args:
        segments: from `cut_segments`, of any number of recordings.
        n_t: samples of the new recording.
        seed: of the draws.
        stretch, scale: largest change of a segment's duration and of its amplitude, as a share; 0 to 0.9.

    Returns:
        ecg (n_t,) and labels (wave, n_t) bool.

    Raises:
        ValueError: No segments, some of other waves, or none without a wave from which others go on; a number out of range.

    Examples:
        >>> on = np.tile([[False] * 4 + [True] * 3], 9)
        >>> ecg, labels = compose_recording(cut_segments(np.sin(np.arange(63.0)), on), n_t=50, seed=1, stretch=0.0)
        >>> labels[0, :14].astype(int).tolist()
        [0, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1]
    """
    followers = _followers(segments)
    n_t, rng = count("n_t", n_t, 1, MOST_SAMPLES), np.random.default_rng(count("seed", seed, 0))
    stretch, scale = (number(name, x, 0, 0.9) for name, x in (("stretch", stretch), ("scale", scale)))
    rests = [one for several in followers.values() for one in several if not any(one.state)]
    if not rests:
        raise ValueError("segments: expected some without a wave from which others go on, got none")
    chain, pieces, n = [rests[rng.integers(len(rests))]], [], 0
    while True:
        ecg, factor = chain[-1].ecg, 1 + stretch * rng.uniform(-1, 1)
        at = np.linspace(0, len(ecg) - 1, max(round(factor * (len(ecg) - 1)), 1) + 1)
        pieces.append((1 + scale * rng.uniform(-1, 1)) * np.interp(at, np.arange(len(ecg)), ecg))
        n += len(at) - 1
        if n >= n_t:
            break
        several = followers[chain[-1].state, chain[-1].after]
        chain.append(several[rng.integers(len(several))])
    states = [np.repeat([one.state], len(piece) - 1, axis=0) for one, piece in zip(chain, pieces, strict=True)]
    return _join(pieces)[:n_t], np.concatenate(states)[:n_t].T


def _followers(segments: Any) -> dict[tuple, list[Segment]]:
    """Segments by (before, state), without those from which none goes on."""
    if isinstance(segments, str) or not isinstance(segments, Sequence):
        instance("segments", segments, list, "from cut_segments")
    kept = [instance("segments", one, Segment, "from cut_segments") for one in segments]
    if len(waves := {len(part) for one in kept for part in one[:3]}) > 1:
        raise ValueError(f"segments: expected labels of the same waves, got {sorted(waves)} of them")
    while True:
        starts = {(one.before, one.state) for one in kept}
        going = [one for one in kept if (one.state, one.after) in starts]
        if len(going) == len(kept):
            break
        kept = going
    followers: dict[tuple, list[Segment]] = {}
    for one in kept:
        followers.setdefault((one.before, one.state), []).append(one)
    return followers


def _join(pieces: list[np.ndarray]) -> np.ndarray:
    """Pieces one after the other, with a straight line added to each, so that the end of one is the begin of the next."""
    meet = [(one[-1] + other[0]) / 2 for one, other in zip(pieces, pieces[1:], strict=False)]
    ends = zip([pieces[0][0], *meet], [*meet, pieces[-1][-1]], strict=True)
    tied = [
        (one + np.linspace(first - one[0], last - one[-1], len(one)))[:-1]
        for one, (first, last) in zip(pieces, ends, strict=True)
    ]
    return np.concatenate(tied)
