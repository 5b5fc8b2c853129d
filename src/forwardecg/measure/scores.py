"""Scores of predicted ECGs, a value or row a trace, from ecg_true and ecg_pred of shape (n, T) in the same unit: plain, or labeled with the
dim time or time_ecg, in any order, and with any other one. Values are finite.

A flat true ECG (SD below 1e-12) has no R2: the score is NaN there, and `summarize` says how many there were.
"""

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike

from forwardecg.contract import SAME_DIM, array, number, times, unit_of

FLAT = 1e-12


def agree(names: tuple[str, str], one: Any, other: Any, but: str = "") -> None:
    """ValueError where the coordinates of two labeled arrays, along a dim that both have and that is not ``but``, differ."""
    both = (x if isinstance(x, xr.DataArray) else xr.DataArray() for x in (one, other))
    first, second = ({SAME_DIM.get(str(d), str(d)): x[d] for d in x.dims if d in x.coords} for x in both)
    for dim in sorted({*first} & {*second} - {but}):
        pair = first[dim], second[dim]
        if all(z.dtype.kind in "iuf" for z in pair):
            unit = {"x": "mm", "y": "mm", "time": "ms"}.get(dim)
            a, b = (array(f"{name}.{dim}", z, (...,), unit) for name, z in zip(names, pair, strict=True))
            if unit == "mm" and len({unit_of(z.attrs) is None for z in pair}) == 2:  # cells and mm: the direction alone
                a, b = (np.sign(np.diff(z)) for z in (a, b))
            same = a.shape == b.shape and np.allclose(a, b, rtol=1e-6, atol=1e-3 * abs(float(np.diff(a[:2]).sum())))
        else:
            same = np.array_equal(pair[0].values, pair[1].values)
        if not same:
            came = f"another one, from {pair[1].values[0]} to {pair[1].values[-1]}"
            raise ValueError(f"{names[1]}: expected the coordinate {dim} of {names[0]}, got {came}")


def match_traces(
    names: tuple[str, str], one: ArrayLike, other: ArrayLike, shape: tuple[int | None, ...] = (None, None)
) -> tuple[np.ndarray, np.ndarray]:
    """Traces (n, T) and others of the same shape, finite; labeled ones with time last, at the same coordinates and in one unit."""
    unit = unit_of(one.attrs) if isinstance(one, xr.DataArray) else None
    first = array(names[0], one, (..., "time"), shape=shape)
    second = array(names[1], other, (..., "time"), unit, shape=first.shape)
    agree(names, one, other)
    return first, second


def _pair(ecg_true: ArrayLike, ecg_pred: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    true, pred = match_traces(("ecg_true", "ecg_pred"), ecg_true, ecg_pred)
    return np.asarray(true, np.float64), np.asarray(pred, np.float64)


def r2(ecg_true: ArrayLike, ecg_pred: ArrayLike) -> np.ndarray:
    """Coefficient of determination of each trace: 1 - sum (y - y_hat)^2 / sum (y - mean y)^2.

    Args:
        ecg_true, ecg_pred: (n, T), in the same unit, without missing values; of labeled arrays time is the last axis, and
            the second is read in the unit of the first.

    Returns:
        (n,), 1 at best; NaN where the true trace is flat.

    Raises:
        ValueError: Other shapes, other coordinates, or values that are not finite.

    Examples:
        >>> true = np.array([[0.0, 1.0, 0.0, -1.0]])
        >>> r2(true, true).item(), r2(true, 0.5 * true).item(), r2(true, 0 * true).item()
        (1.0, 0.75, 0.0)
    """
    ecg_true, ecg_pred = _pair(ecg_true, ecg_pred)
    sst = np.square(ecg_true - ecg_true.mean(-1, keepdims=True)).sum(-1)
    sse = np.square(ecg_true - ecg_pred).sum(-1)
    flat = sst <= FLAT**2 * ecg_true.shape[-1]
    return np.where(flat, np.nan, 1 - sse / np.where(flat, 1, sst))


def rrmse(ecg_true: ArrayLike, ecg_pred: ArrayLike) -> np.ndarray:
    """Relative RMS error (n,) of each trace: |y - y_hat| / |y|."""
    ecg_true, ecg_pred = _pair(ecg_true, ecg_pred)
    return np.linalg.norm(ecg_true - ecg_pred, axis=-1) / np.maximum(np.linalg.norm(ecg_true, axis=-1), 1e-300)


def correlation(ecg_true: ArrayLike, ecg_pred: ArrayLike) -> np.ndarray:
    """Pearson correlation (n,) of each trace; NaN where one of the two is flat."""
    ecg_true, ecg_pred = _pair(ecg_true, ecg_pred)
    return (normalize(ecg_true) * normalize(ecg_pred)).mean(-1) + np.where(_flat(ecg_true) | _flat(ecg_pred), np.nan, 0)


def _flat(ecg: np.ndarray) -> np.ndarray:
    return ecg.std(-1) <= FLAT


def normalize(ecg: ArrayLike) -> np.ndarray:
    """Each trace of ecg (..., T) with mean 0 and SD 1, and 0 where it is flat: without the amplitude, the hardest part."""
    ecg = array("ecg", ecg, (..., "time")).astype(np.float64)
    flat = _flat(ecg)[..., None]
    return np.where(flat, 0, (ecg - ecg.mean(-1, keepdims=True)) / np.where(flat, 1, ecg.std(-1, keepdims=True)))


def score_ecgs(ecg_true: ArrayLike, ecg_pred: ArrayLike) -> pd.DataFrame:
    """One row a trace: r2, r2_normalized, rrmse, correlation, peak_error (relative to the true peak).

    Args:
        ecg_true, ecg_pred: as `r2` takes them.

    Returns:
        Table of n rows.

    Examples:
        >>> true = np.array([[0.0, 1.0, 0.0, -1.0]])
        >>> score_ecgs(true, 0.5 * true).round(3).to_dict("records")
        [{'r2': 0.75, 'r2_normalized': 1.0, 'rrmse': 0.5, 'correlation': 1.0, 'peak_error': -0.5}]
    """
    ecg_true, ecg_pred = _pair(ecg_true, ecg_pred)
    peak = np.abs(ecg_true).max(-1)
    return pd.DataFrame({
        "r2": r2(ecg_true, ecg_pred),
        "r2_normalized": r2(normalize(ecg_true), normalize(ecg_pred)),
        "rrmse": rrmse(ecg_true, ecg_pred),
        "correlation": correlation(ecg_true, ecg_pred),
        "peak_error": (np.abs(ecg_pred).max(-1) - peak) / np.maximum(peak, 1e-300),
    })  # fmt: skip


BANDS = ((0.0, 20.0), (20.0, 50.0))  # Hz: the deflections; notches and fractionation


def score_spectra(ecg_true: ArrayLike, ecg_pred: ArrayLike, dt: float) -> pd.DataFrame:
    """One row a trace, from Hann-windowed spectra Y, P = |Y|^2, of traces every dt ms.

    band_error = |Y_hat - Y| / |Y| over each of the `BANDS`, phases included: the rrmse of the band-passed trace
    log_spectral_distance = RMS over 0-50 Hz of 10 log10(P_hat / P) in dB, P floored at 1e-6 of the largest true power
    """
    ecg_true, ecg_pred = _pair(ecg_true, ecg_pred)
    dt = number("dt", dt, 0, 10, unit="ms, half a period of 50 Hz", above=True)
    window, frequency = np.hanning(ecg_true.shape[-1]), 1000 * np.fft.rfftfreq(ecg_true.shape[-1], dt)  # Hz
    true, pred = (np.fft.rfft(window * ecg) for ecg in (ecg_true, ecg_pred))
    table = {}
    for low, high in BANDS:
        at = (frequency >= low) & (frequency < high)
        size = np.maximum(np.linalg.norm(true[:, at], axis=-1), 1e-300)
        table[f"band_error_{low:.0f}_{high:.0f}"] = np.linalg.norm((pred - true)[:, at], axis=-1) / size
    at = frequency < BANDS[-1][1]
    floor = np.maximum(1e-6 * np.square(np.abs(true)).max(-1, keepdims=True), 1e-300)
    decibel = [10 * np.log10(np.maximum(np.square(np.abs(z)), floor)[:, at]) for z in (true, pred)]
    table["log_spectral_distance"] = np.sqrt(np.square(np.subtract(*decibel)).mean(-1))
    return pd.DataFrame(table)


EDGE = 0.05  # of the largest deflection: where a trace begins and ends


def landmarks(t: ArrayLike, ecg: ArrayLike) -> pd.DataFrame:
    """One row a trace: onset, end, maximum, minimum, zero_crossing in ms, and amplitude, from t (T,) in ms and ecg (n, T).

    Onset and end: where |ecg| first and last passes `EDGE` of its largest value. Zero crossing: last between extrema.
    """
    t = times("t", t)
    agree(("t", "ecg"), xr.DataArray(t, {"time": ("time", t, {"units": "ms"})}), ecg)
    ecg = array("ecg", ecg, (..., "time"), shape=(None, t.size)).astype(float)
    rows = []
    for trace in ecg:
        high, low = int(trace.argmax()), int(trace.argmin())
        outside = np.abs(trace) - EDGE * np.abs(trace).max()
        edges = _crossings(t, outside)
        between = [x for x in _crossings(t, trace) if t[min(high, low)] <= x <= t[max(high, low)]]
        rows.append({
            "onset": t[0] if outside[0] >= 0 else edges[0],
            "end": t[-1] if outside[-1] >= 0 else edges[-1],
            "maximum": t[high], "minimum": t[low],
            "zero_crossing": between[-1] if between else np.nan,
            "amplitude": trace[high] - trace[low],
        })  # fmt: skip
    return pd.DataFrame(rows)


def _crossings(t: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Times at which y changes its sign."""
    k = np.flatnonzero((y[:-1] < 0) != (y[1:] < 0))
    return t[k] + (t[k + 1] - t[k]) * y[k] / (y[k] - y[k + 1])


def score_timing(t: ArrayLike, ecg_true: ArrayLike, ecg_pred: ArrayLike) -> pd.DataFrame:
    """Predicted minus true `landmarks`: onset, end, zero_crossing and peak in ms, amplitude relative to the true one; t (T,) in ms.

    The peak is the larger deflection of the true trace; of the predicted one the largest of the same sign.
    """
    ecg_true, ecg_pred = _pair(ecg_true, ecg_pred)
    true, pred = landmarks(t, ecg_true), landmarks(t, ecg_pred)
    up = ecg_true.max(-1) >= -ecg_true.min(-1)
    table: dict[str, Any] = {f"{name}_error": pred[name] - true[name] for name in ("onset", "end", "zero_crossing")}
    table["peak_time_error"] = np.where(up, pred.maximum - true.maximum, pred.minimum - true.minimum)
    table["amplitude_error"] = (pred.amplitude - true.amplitude) / np.maximum(true.amplitude, 1e-300)
    return pd.DataFrame(table)


def summarize(r2_values: pd.Series | ArrayLike) -> pd.Series:
    """Mean, SD, median and worst R2 over tissues, and how many there are without and how many with a flat trace (NaN)."""
    r2_values = pd.Series(array("r2_values", r2_values, ("n",), finite=False))
    found = r2_values.agg(["mean", "std", "median", "min", "count"]).set_axis(["mean", "sd", "median", "worst", "n"])
    return pd.concat([found, pd.Series({"flat": float(r2_values.isna().sum())})])
