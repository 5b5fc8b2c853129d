"""What a modeller reads off a re-entrant wave: where its tip is, and how long one turn takes.

Functions on xarray objects of the data contract; times in ms, lengths in mm.
"""

import numpy as np
import pandas as pd
import xarray as xr

from forwardecg.features import V_THRESHOLD


def _check(V_m: xr.DataArray, n_dim: int, expected: str) -> np.ndarray:
    if V_m.ndim != n_dim or V_m.dims[0] != "time" or "time" not in V_m.coords:
        raise ValueError(f"V_m: expected dims {expected} with a coordinate 'time' in ms, got dims {V_m.dims}")
    if V_m.sizes["time"] < 2 or not (np.diff(V_m.time.values) > 0).all():
        raise ValueError("V_m: expected at least two frames at increasing times, got another time axis")
    if not np.isfinite(V_m.values).all():
        raise ValueError("V_m: expected finite values in mV, got NaN or infinity")
    return V_m.time.values


def _bilinear(f: np.ndarray, cells: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, ...]:
    """f = a + b p + c q + d p q in the squares between nodes; p, q in 0..1 along x and y."""
    y, x = cells
    a, b, c = f[y, x], f[y, x + 1] - f[y, x], f[y + 1, x] - f[y, x]
    return a, b, c, f[y + 1, x + 1] - f[y + 1, x] - b


def _changes_sign(f: np.ndarray) -> np.ndarray:
    above = f >= 0
    corners = above[:-1, :-1], above[:-1, 1:], above[1:, :-1], above[1:, 1:]
    return np.logical_or.reduce(corners) & ~np.logical_and.reduce(corners)


def _intersections(f: np.ndarray, g: np.ndarray) -> np.ndarray:
    """Points where f = 0 and g = 0 cross: rows x, y in cells from the first node, and the sign of grad f x grad g."""
    cells = np.nonzero(_changes_sign(f) & _changes_sign(g))
    a, b, c, d = _bilinear(f, cells)  # type: ignore[arg-type]
    a_2, b_2, c_2, d_2 = _bilinear(g, cells)  # type: ignore[arg-type]
    # q from either equation, put into the other one: a quadratic equation for p
    second, first, zeroth = b_2 * d - b * d_2, a_2 * d + b_2 * c - a * d_2 - b * c_2, a_2 * c - a * c_2
    found = []
    with np.errstate(invalid="ignore", divide="ignore"):
        half = -(first + np.copysign(np.sqrt(first**2 - 4 * second * zeroth), first)) / 2
        for p in (half / second, zeroth / half):
            by_f, by_g = c + d * p, c_2 + d_2 * p
            q = np.where(abs(by_f) >= abs(by_g), -(a + b * p) / by_f, -(a_2 + b_2 * p) / by_g)
            turn = (b + d * q) * by_g - by_f * (b_2 + d_2 * q)
            inside = (p >= 0) & (p < 1) & (q >= 0) & (q < 1)
            found.append(np.array([cells[1] + p, cells[0] + q, np.sign(turn)])[:, inside])
    return np.concatenate(found, axis=1).T


def tip_path(V_m: xr.DataArray, dx: float) -> pd.DataFrame:
    """Tips of rotating waves: points where the front meets the back, on the isoline u = 1/2 that stands still.

        u(r, t) = 1/2,  du/dt = 0:  the isolines u = 1/2 of two successive frames cross

    Both frames are bilinear between cell centers, so each tip is the root of a quadratic equation. Fenton and Karma,
    Chaos 8:20
    (1998).

    Parameters
    ----------
    V_m : (time, y, x) in mV, a map of a sheet without holes; frames so close (1 to 5 ms) that a front moves a few cells
    dx : mm between neighboring values of the map

    Returns
    -------
    table : time (ms, middle of the two frames), x, y (mm from the corner of the sheet) and chirality (1 turns
        counterclockwise where y points up, -1 clockwise); no row for a time without a tip

    Raises
    ------
    ValueError
        Wrong dims, fewer than two frames, values that are not finite, dx not positive.

    Examples
    --------
    >>> y, x = np.mgrid[-5:6, -5:6] + 0.3  # a half plane that turns by a quarter
    >>> u = xr.DataArray(np.stack([x, y]) - 35.0, dims=("time", "y", "x"), coords={"time": [0.0, 5.0]})
    >>> tip_path(u, dx=1.0).round(2).to_dict("list")
    {'time': [2.5], 'x': [5.2], 'y': [5.2], 'chirality': [1]}
    """
    times = _check(V_m, 3, "(time, y, x)")
    if not (np.isfinite(dx) and dx > 0):
        raise ValueError(f"dx: expected a length > 0 mm, got {dx}")
    z = V_m.values - V_THRESHOLD
    tips = [_intersections(before, after) for before, after in zip(z[:-1], z[1:], strict=True)]
    x, y, chirality = np.concatenate(tips).T
    middle = np.repeat((times[:-1] + times[1:]) / 2, [len(tip) for tip in tips])
    return pd.DataFrame({"time": middle, "x": (x + 0.5) * dx, "y": (y + 0.5) * dx, "chirality": chirality.astype(int)})


def cycle_length(V_m: xr.DataArray) -> pd.DataFrame:
    """Times between successive activations of each probe: T_n = t_n - t_(n-1), with u(t_n) = 1/2 on its way up.

    Parameters
    ----------
    V_m : (time, probe) in mV; linear between samples

    Returns
    -------
    table : probe (its number), time (ms, of the activation that ends the cycle) and cycle_length (ms); a probe that was
        activated less than twice has no row

    Raises
    ------
    ValueError
        Wrong dims, fewer than two samples, values that are not finite.

    Examples
    --------
    >>> t = np.arange(0.0, 400.0, 10.0)
    >>> V_m = -35.0 - 50 * np.cos(2 * np.pi * t / 100)[:, None]
    >>> probe = xr.DataArray(V_m, dims=("time", "probe"), coords={"time": t})
    >>> cycle_length(probe).cycle_length.round(3).tolist()
    [100.0, 100.0, 100.0]
    """
    times, z = _check(V_m, 2, "(time, probe)"), V_m.values - V_THRESHOLD
    tables = []
    for probe, trace in enumerate(z.T):
        up = np.flatnonzero((trace[:-1] < 0) & (trace[1:] >= 0))
        at = times[up] + (times[up + 1] - times[up]) * trace[up] / (trace[up] - trace[up + 1])
        tables.append(pd.DataFrame({"probe": probe, "time": at[1:], "cycle_length": np.diff(at)}))
    return pd.concat(tables, ignore_index=True)
