"""Intervals of labels, and how well predicted ones match: what was found, missed and made up, and by how many ms it is off."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.optimize import linear_sum_assignment

from forwardecg.contract import array, instance, number

TOLERANCE = 150.0  # ms: as ANSI/AAMI EC57 matches beats
COLUMNS = ["recording", "outcome", "onset", "offset", "onset_error", "offset_error"]


def read_intervals(labels: ArrayLike, dt: float, shortest: float = 0.0) -> np.ndarray:
    """Runs of true labels: the times of their first and of their last sample.

    Args:
        labels: (time,) bool.
        dt: ms between samples.
        shortest: ms; gaps that are shorter are closed, then intervals that are shorter are dropped.

    Returns:
        (n, 2) onset and offset in ms, in their order.

    Raises:
        ValueError: Labels that are not bool (time,), dt not above 0.

    Examples:
        >>> read_intervals([False, True, True, False, True], dt=2.0).tolist()
        [[2.0, 4.0], [8.0, 8.0]]
        >>> read_intervals([False, True, True, False, True], dt=2.0, shortest=5.0).tolist()
        [[2.0, 8.0]]
    """
    labels = array("labels", labels, ("time",), kinds="b")
    dt, shortest = number("dt", dt, 0, 1e4, unit="ms", above=True), number("shortest", shortest, 0, 1e9, unit="ms")
    steps = np.diff(np.concatenate([[0], labels.astype(int), [0]]))
    onset, behind = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)
    apart = (onset[1:] - behind[:-1]) * dt >= shortest
    onset, behind = onset[np.r_[True, apart][: len(onset)]], behind[np.r_[apart, True][: len(behind)]]
    long = (behind - onset) * dt >= shortest
    return dt * np.stack([onset[long], behind[long] - 1], axis=1).astype(float)


def _intervals(name: str, x: Any) -> np.ndarray:
    """Intervals (n, 2) in ms; none of an empty array or list."""
    if getattr(x, "shape", (len(x),) if isinstance(x, list) else None) in ((0,), (0, 2)):
        return np.zeros((0, 2))
    z = array(name, x, ("interval", "edge"), "ms", shape=(None, 2)).astype(float)
    if (z[:, 0] > z[:, 1]).any():
        raise ValueError(f"{name}: expected onset <= offset, got others")
    return z


def match_intervals(true: ArrayLike, pred: ArrayLike, tolerance: float = TOLERANCE) -> pd.DataFrame:
    """Pairs of true and predicted intervals whose onsets and offsets both differ by at most the tolerance.

    Each interval is in one pair at most; there are as many pairs as possible, and among such choices the sum of the
    differences is least (the assignment problem).

    Args:
        true, pred: (n, 2) and (m, 2), onset and offset in ms.
        tolerance: ms.

    Returns:
        One row a pair: true and pred, their numbers; onset_error and offset_error in ms, predicted minus true.

    Raises:
        ValueError: No such intervals, a negative tolerance.

    Examples:
        >>> match_intervals([[10.0, 50.0], [300.0, 340.0]], [[12.0, 47.0], [700.0, 750.0]]).to_dict("records")
        [{'true': 0, 'pred': 0, 'onset_error': 2.0, 'offset_error': -3.0}]
    """
    true, pred = _intervals("true", true), _intervals("pred", pred)
    tolerance = number("tolerance", tolerance, 0, 1e9, unit="ms")
    error = pred[None] - true[:, None]  # (true, pred, edge)
    far = (np.abs(error) > tolerance).any(-1)
    unpaired = 4 * (tolerance + 1) * (1 + min(error.shape[:2]))  # more than all pairs together can cost
    i, j = linear_sum_assignment(np.where(far, unpaired, np.abs(error).sum(-1)))
    i, j = i[~far[i, j]], j[~far[i, j]]
    return pd.DataFrame({"true": i, "pred": j, "onset_error": error[i, j, 0], "offset_error": error[i, j, 1]})


def compare_labels(
    true: ArrayLike, pred: ArrayLike, dt: float, tolerance: float = TOLERANCE, shortest: float = 0.0
) -> pd.DataFrame:
    """What became of each interval of some recordings: matched, missed, or extra.

    True intervals that the ends of a recording cut are not scored, nor are predicted ones that overlap them alone.

    Args:
        true, pred: (n, time) bool, labels of one wave in n recordings.
        dt: ms between samples.
        tolerance: of `match_intervals`.
        shortest: of `read_intervals`, for the predicted labels.

    Returns:
        One row an interval: recording; outcome; onset and offset in ms, of an extra one as predicted; onset_error and
        offset_error in ms, predicted minus true, NaN where it is not matched.

    Raises:
        ValueError: Labels that are not bool, or of different shapes.

    Examples:
        >>> true = np.array([[0, 0, 1, 1, 1, 0, 0, 0, 1, 1, 0, 0]], dtype=bool)
        >>> table = compare_labels(true, np.roll(true, 1), dt=2.0, tolerance=10.0)
        >>> table.outcome.tolist(), table.onset_error.tolist()
        (['matched', 'matched'], [2.0, 2.0])
    """
    true = array("true", true, (..., "time"), shape=(None, None), kinds="b")
    pred = array("pred", pred, (..., "time"), shape=true.shape, kinds="b")
    dt = number("dt", dt, 0, 1e4, unit="ms", above=True)
    rows: list[tuple] = []
    for n, (one, other) in enumerate(zip(true, pred, strict=True)):
        there, found = read_intervals(one, dt), read_intervals(other, dt, shortest)
        cut = (there[:, 0] <= 0) | (there[:, 1] >= dt * (one.size - 1))
        whole, ends = there[~cut], there[cut]
        pairs = match_intervals(whole, found, tolerance)
        for row in pairs.itertuples(index=False):
            rows.append((n, "matched", *whole[row.true], row.onset_error, row.offset_error))
        rows += [(n, "missed", *whole[k], np.nan, np.nan) for k in sorted({*range(len(whole))} - {*pairs.true})]
        for k in sorted({*range(len(found))} - {*pairs.pred}):
            if not ((found[k, 0] <= ends[:, 1]) & (found[k, 1] >= ends[:, 0])).any():
                rows.append((n, "extra", *found[k], np.nan, np.nan))
    return pd.DataFrame(rows, columns=COLUMNS)


def summarize_intervals(table: pd.DataFrame) -> pd.Series:
    """Of rows of `compare_labels`: counts, f1 = 2 matched / (2 matched + missed + extra), and errors of the matched ones in ms.

    onset and offset are medians of |error|, with _p90 and _bias for its 90 % quantile and the median error; f1 is 1 where
    there is nothing and nothing is found.
    """
    columns = [*instance("table", table, pd.DataFrame).columns]
    if not {"outcome", "onset_error", "offset_error"} <= {*columns}:
        raise ValueError(f"table: expected rows of compare_labels, got the columns {columns}")
    n = {outcome: int((table.outcome == outcome).sum()) for outcome in ("matched", "missed", "extra")}
    total = 2 * n["matched"] + n["missed"] + n["extra"]
    found: dict[str, float] = {**n, "f1": 2 * n["matched"] / total if total else 1.0}
    for edge in ("onset", "offset"):
        error = table[f"{edge}_error"].astype(float).dropna()
        found |= {
            edge: error.abs().median(),
            f"{edge}_p90": float(error.abs().quantile(0.9)),
            f"{edge}_bias": error.median(),
        }
    return pd.Series(found)
