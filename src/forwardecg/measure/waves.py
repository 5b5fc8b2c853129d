"""What a modeler reads off a simulation: activation, velocity, duration, upstroke; tips and cycles of re-entry."""

import numpy as np
import pandas as pd
import xarray as xr

from forwardecg.contract import V_THRESHOLD


def _times(V_m: xr.DataArray) -> np.ndarray:
    """Times (ms) of V_m, which has a coordinate time, two frames or more, and finite values."""
    if "time" not in V_m.dims or "time" not in V_m.coords:
        raise ValueError(f"V_m: expected a dim and a coordinate 'time' in ms, got dims {V_m.dims}")
    if not np.isfinite(V_m.values).all():
        raise ValueError("V_m: expected finite values in mV, got NaN or infinity")
    if V_m.sizes["time"] < 2:
        raise ValueError(f"V_m: expected at least 2 times, got {V_m.sizes['time']}")
    return V_m.time.values


def _frames(V_m: xr.DataArray, *dims: str) -> np.ndarray:
    """The same of maps or probes, which begin with time and whose times increase."""
    if V_m.ndim != len(dims) or V_m.dims[0] != "time" or "time" not in V_m.coords:
        raise ValueError(f"V_m: expected dims ({', '.join(dims)}) with a coordinate 'time' in ms, got dims {V_m.dims}")
    if V_m.sizes["time"] < 2 or not (np.diff(V_m.time.values) > 0).all():
        raise ValueError("V_m: expected at least two frames at increasing times, got another time axis")
    return _times(V_m)


def _crossing(
    V_m: xr.DataArray, level: float | xr.DataArray, rising: bool, after: float | np.ndarray = -np.inf
) -> xr.DataArray:
    """First time later than ``after`` at which V_m crosses ``level`` in the given direction, linear between samples."""
    t, sign = _times(V_m), 1 if rising else -1
    z = (sign * (V_m - level)).transpose("time", ...).values
    late = t[1:].reshape(-1, *[1] * (z.ndim - 1)) > np.asarray(after)
    hit = (z[:-1] < 0) & (z[1:] >= 0) & late
    first = hit.argmax(0)
    before, behind = (np.take_along_axis(z, (first + k)[None], 0)[0] for k in (0, 1))
    with np.errstate(invalid="ignore", divide="ignore"):
        time = t[first] + (t[first + 1] - t[first]) * before / (before - behind)
    template = V_m.isel(time=0, drop=True)
    return template.copy(data=np.where(hit.any(0), time, np.nan)).assign_attrs(units="ms")


def activation_time(V_m: xr.DataArray) -> xr.DataArray:
    """Local activation time: first upward crossing of -35 mV (u = 1/2), linear between samples.

    Args:
        V_m: dims with time, mV, and its coordinate in ms.

    Returns:
        The other dims, ms; NaN where there is none.

    Examples:
        >>> V_m = xr.DataArray([-85.0, -85.0, 15.0], dims="time", coords={"time": [0.0, 1.0, 2.0]})
        >>> activation_time(V_m).item()
        1.5
    """
    return _crossing(V_m, V_THRESHOLD, rising=True).rename("lat").assign_attrs(long_name="local activation time")


def apd90(V_m: xr.DataArray) -> xr.DataArray:
    """Action potential duration at 90 % repolarization of the first beat: from lat to V_rest + (peak - V_rest) / 10.

    Args:
        V_m: dims with time, mV, and its coordinate in ms; its first sample is at rest.

    Returns:
        The other dims, ms; NaN where there is no beat, or its end is not seen.

    Examples:
        >>> beat = [-85.0, 15.0, 15.0, -85.0, -85.0]
        >>> apd90(xr.DataArray(beat, dims="time", coords={"time": 100.0 * np.arange(5)})).round(3).item()
        240.0
    """
    _times(V_m)
    rest = V_m.isel(time=0)
    level = rest + 0.1 * (V_m.max("time") - rest)
    lat = activation_time(V_m)
    apd = _crossing(V_m, level, rising=False, after=lat.fillna(np.inf).values) - lat
    return apd.rename("apd90").assign_attrs(units="ms", long_name="action potential duration at 90 %")


def dvdt_max(V_m: xr.DataArray) -> xr.DataArray:
    """Largest upstroke velocity (mV/ms) between samples of V_m, over the other dims."""
    t = _times(V_m)
    slope = V_m.diff("time") / np.diff(t).reshape([-1 if d == "time" else 1 for d in V_m.dims])
    return slope.max("time").rename("dvdt_max").assign_attrs(units="mV ms-1", long_name="maximal upstroke velocity")


def conduction_velocity(lat: xr.DataArray, dx: float, reach: int = 2) -> xr.DataArray:
    """Local conduction velocity, 1 / |grad lat|, by central differences.

    Collisions and stimuli, where lat has no gradient, give spuriously large values: use medians.

    Args:
        lat: (y, x), ms.
        dx: mm.
        reach: cells to either side.

    Returns:
        (y, x), mm/ms; NaN within ``reach`` cells of the edge and next to cells that were never activated.

    Raises:
        ValueError: lat with other dims, dx not above 0, reach no whole number of at least 1.

    Examples:
        >>> lat = xr.DataArray(np.arange(7.0) * np.ones((7, 1)), dims=("y", "x"))  # 1 ms per cell
        >>> conduction_velocity(lat, dx=0.5)[3].values.tolist()
        [nan, nan, 0.5, 0.5, 0.5, nan, nan]
    """
    if lat.ndim != 2 or dx <= 0:
        raise ValueError(f"lat: expected dims (y, x) and dx > 0 mm, got dims {lat.dims} and dx = {dx}")
    if not (isinstance(reach, int) and reach > 0):
        raise ValueError(f"reach: expected a number of cells >= 1, got {reach}")
    z, span, inner = lat.values, 2 * reach * dx, np.s_[reach:-reach]
    speed = np.full(z.shape, np.nan)
    d_y = (z[2 * reach :, inner] - z[: -2 * reach, inner]) / span
    d_x = (z[inner, 2 * reach :] - z[inner, : -2 * reach]) / span
    with np.errstate(divide="ignore"):
        speed[inner, inner] = 1 / np.hypot(d_y, d_x)
    return lat.copy(data=speed).rename("cv").assign_attrs(units="mm ms-1", long_name="conduction velocity")


def _bilinear(f: np.ndarray, y: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, ...]:
    """f = a + b p + c q + d p q in the squares between nodes; p, q in 0..1 along x and y."""
    a, b, c = f[y, x], f[y, x + 1] - f[y, x], f[y + 1, x] - f[y, x]
    return a, b, c, f[y + 1, x + 1] - f[y + 1, x] - b


def _changes_sign(f: np.ndarray) -> np.ndarray:
    above = f >= 0
    corners = above[:-1, :-1], above[:-1, 1:], above[1:, :-1], above[1:, 1:]
    return np.logical_or.reduce(corners) & ~np.logical_and.reduce(corners)


def _intersections(f: np.ndarray, g: np.ndarray) -> np.ndarray:
    """Points where f = 0 and g = 0 cross: rows x, y in cells from the first node, and the sign of grad f x grad g."""
    y, x = np.nonzero(_changes_sign(f) & _changes_sign(g))
    a, b, c, d = _bilinear(f, y, x)
    a_2, b_2, c_2, d_2 = _bilinear(g, y, x)
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
            found.append(np.array([x + p, y + q, np.sign(turn)])[:, inside])
    return np.concatenate(found, axis=1).T


def tip_path(V_m: xr.DataArray, dx: float) -> pd.DataFrame:
    """Tips of rotating waves: points where the front meets the back, on the isoline u = 1/2 that stands still.

        u(r, t) = 1/2,  du/dt = 0:  the isolines u = 1/2 of two successive frames cross

    Frames are bilinear between cell centers: a tip is the root of a quadratic equation. Fenton and Karma, Chaos 8:20 (1998).

    Args:
        V_m: (time, y, x), mV, of a sheet without holes; frames so close (1 to 5 ms) that a front moves a few cells.
        dx: mm between neighboring values of the map.

    Returns:
        Table with time (ms, middle of two frames), x, y (mm from the corner) and chirality (1 is counterclockwise, y up).

    Raises:
        ValueError: Wrong dims, fewer than two frames, values that are not finite, dx not positive.

    Examples:
        >>> y, x = np.mgrid[-5:6, -5:6] + 0.3  # a half plane that turns by a quarter
        >>> u = xr.DataArray(np.stack([x, y]) - 35.0, dims=("time", "y", "x"), coords={"time": [0.0, 5.0]})
        >>> tip_path(u, dx=1.0).round(2).to_dict("list")
        {'time': [2.5], 'x': [5.2], 'y': [5.2], 'chirality': [1]}
    """
    times = _frames(V_m, "time", "y", "x")
    if not (np.isfinite(dx) and dx > 0):
        raise ValueError(f"dx: expected a length > 0 mm, got {dx}")
    z = V_m.values - V_THRESHOLD
    tips = [_intersections(before, after) for before, after in zip(z[:-1], z[1:], strict=True)]
    x, y, chirality = np.concatenate(tips).T
    middle = np.repeat((times[:-1] + times[1:]) / 2, [len(tip) for tip in tips])
    return pd.DataFrame({"time": middle, "x": (x + 0.5) * dx, "y": (y + 0.5) * dx, "chirality": chirality.astype(int)})


def cycle_length(V_m: xr.DataArray) -> pd.DataFrame:
    """Times between activations of each probe of V_m (time, probe): table of probe, time (ms) of the later one, cycle_length (ms)."""
    times, z = _frames(V_m, "time", "probe"), V_m.values - V_THRESHOLD
    tables = []
    for probe, trace in enumerate(z.T):
        up = np.flatnonzero((trace[:-1] < 0) & (trace[1:] >= 0))
        at = times[up] + (times[up + 1] - times[up]) * trace[up] / (trace[up] - trace[up + 1])
        tables.append(pd.DataFrame({"probe": probe, "time": at[1:], "cycle_length": np.diff(at)}))
    return pd.concat(tables, ignore_index=True)
