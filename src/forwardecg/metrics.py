"""Scores of predicted ECGs, per tissue first, aggregated after.

All take ecg_true and ecg_pred of shape (n, T) in the same units and return (n,). A flat true ECG (SD below 1e-12) has no
R2: the score is NaN there, and `summary` says how many there were.
"""

import numpy as np
import pandas as pd

FLAT = 1e-12


def _checked(ecg_true: np.ndarray, ecg_pred: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if np.ndim(ecg_true) != 2 or np.shape(ecg_true) != np.shape(ecg_pred):
        raise ValueError(
            f"ecg_pred: expected the shape (n, T) of ecg_true {np.shape(ecg_true)}, got {np.shape(ecg_pred)}"
        )
    if not (np.isfinite(ecg_true).all() and np.isfinite(ecg_pred).all()):
        raise ValueError("ecg_true, ecg_pred: expected finite values, got NaN or infinity")
    return np.asarray(ecg_true, np.float64), np.asarray(ecg_pred, np.float64)


def r2(ecg_true: np.ndarray, ecg_pred: np.ndarray) -> np.ndarray:
    """Coefficient of determination of each trace: 1 - sum (y - y_hat)^2 / sum (y - mean y)^2."""
    ecg_true, ecg_pred = _checked(ecg_true, ecg_pred)
    sst = np.square(ecg_true - ecg_true.mean(-1, keepdims=True)).sum(-1)
    sse = np.square(ecg_true - ecg_pred).sum(-1)
    flat = sst <= FLAT**2 * ecg_true.shape[-1]
    return np.where(flat, np.nan, 1 - sse / np.where(flat, 1, sst))


def rrmse(ecg_true: np.ndarray, ecg_pred: np.ndarray) -> np.ndarray:
    """Relative RMS error of each trace: |y - y_hat| / |y|."""
    ecg_true, ecg_pred = _checked(ecg_true, ecg_pred)
    return np.linalg.norm(ecg_true - ecg_pred, axis=-1) / np.maximum(np.linalg.norm(ecg_true, axis=-1), 1e-300)


def correlation(ecg_true: np.ndarray, ecg_pred: np.ndarray) -> np.ndarray:
    """Pearson correlation of each trace; NaN where one of the two is flat."""
    ecg_true, ecg_pred = _checked(ecg_true, ecg_pred)
    return (normalized(ecg_true) * normalized(ecg_pred)).mean(-1) + np.where(
        _flat(ecg_true) | _flat(ecg_pred), np.nan, 0
    )


def _flat(ecg: np.ndarray) -> np.ndarray:
    return ecg.std(-1) <= FLAT


def normalized(ecg: np.ndarray) -> np.ndarray:
    """Each trace with mean 0 and SD 1, which removes the amplitude, the hardest part: a second column, never the first."""
    ecg = np.asarray(ecg, np.float64)
    flat = _flat(ecg)[..., None]
    return np.where(flat, 0, (ecg - ecg.mean(-1, keepdims=True)) / np.where(flat, 1, ecg.std(-1, keepdims=True)))


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
