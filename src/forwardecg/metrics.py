"""Scores of predicted ECGs, per tissue first, aggregated after.

All take ecg_true and ecg_pred of shape (n, T) in the same units and return (n,). A flat true ECG (SD below 1e-12) has no
R2: the score is NaN there, and `summary` says how many there were.
"""

import numpy as np
import pandas as pd

FLAT = 1e-12


def _check(ecg_true: np.ndarray, ecg_pred: np.ndarray) -> None:
    if np.ndim(ecg_true) != 2 or np.shape(ecg_true) != np.shape(ecg_pred):
        raise ValueError(
            f"ecg_pred: expected the shape (n, T) of ecg_true {np.shape(ecg_true)}, got {np.shape(ecg_pred)}"
        )


def r2(ecg_true: np.ndarray, ecg_pred: np.ndarray) -> np.ndarray:
    """Coefficient of determination of each trace: 1 - sum (y - y_hat)^2 / sum (y - mean y)^2."""
    _check(ecg_true, ecg_pred)
    sst = np.square(ecg_true - ecg_true.mean(-1, keepdims=True)).sum(-1)
    sse = np.square(ecg_true - ecg_pred).sum(-1)
    return np.where(sst > FLAT**2 * ecg_true.shape[-1], 1 - sse / np.maximum(sst, 1e-300), np.nan)


def rrmse(ecg_true: np.ndarray, ecg_pred: np.ndarray) -> np.ndarray:
    """Relative RMS error of each trace: |y - y_hat| / |y|."""
    _check(ecg_true, ecg_pred)
    return np.linalg.norm(ecg_true - ecg_pred, axis=-1) / np.maximum(np.linalg.norm(ecg_true, axis=-1), 1e-300)


def correlation(ecg_true: np.ndarray, ecg_pred: np.ndarray) -> np.ndarray:
    """Pearson correlation of each trace; NaN where one of the two is flat."""
    _check(ecg_true, ecg_pred)
    a, b = (y - y.mean(-1, keepdims=True) for y in (ecg_true, ecg_pred))
    norm = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
    return np.where(norm > 0, (a * b).sum(-1) / np.maximum(norm, 1e-300), np.nan)


def normalized(ecg: np.ndarray) -> np.ndarray:
    """Each trace with mean 0 and SD 1, which removes the amplitude, the hardest part: a second column, never the first."""
    return (ecg - ecg.mean(-1, keepdims=True)) / np.maximum(ecg.std(-1, keepdims=True), FLAT)


def scores(ecg_true: np.ndarray, ecg_pred: np.ndarray) -> pd.DataFrame:
    """One row a trace: r2, r2_normalized, rrmse, correlation, peak_error (relative to the true peak)."""
    peak = np.abs(ecg_true).max(-1)
    return pd.DataFrame(
        {
            "r2": r2(ecg_true, ecg_pred),
            "r2_normalized": r2(normalized(ecg_true), normalized(ecg_pred)),
            "rrmse": rrmse(ecg_true, ecg_pred),
            "correlation": correlation(ecg_true, ecg_pred),
            "peak_error": (np.abs(ecg_pred).max(-1) - peak) / np.maximum(peak, 1e-300),
        }
    )


def summary(r2_values: pd.Series) -> pd.Series:
    """Mean, SD, median and worst R2 over tissues, and how many were left out as flat."""
    kept = r2_values.dropna()
    return pd.Series(
        {
            "mean": kept.mean(),
            "sd": kept.std(),
            "median": kept.median(),
            "worst": kept.min(),
            "n": kept.size,
            "flat": r2_values.isna().sum(),
        }
    )
