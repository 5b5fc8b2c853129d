"""What a modeller reads off a simulation: activation time, conduction velocity, action potential duration, upstroke.

Functions on xarray objects of the data contract; times in ms, lengths in mm.
"""

import numpy as np
import xarray as xr

V_THRESHOLD = -35.0  # mV, u = 1/2


def _times(V_m: xr.DataArray) -> np.ndarray:
    if "time" not in V_m.dims or "time" not in V_m.coords:
        raise ValueError(f"V_m: expected a dim and a coordinate 'time' in ms, got dims {V_m.dims}")
    if not np.isfinite(V_m.values).all():
        raise ValueError("V_m: expected finite values in mV, got NaN or infinity")
    if V_m.sizes["time"] < 2:
        raise ValueError(f"V_m: expected at least 2 times, got {V_m.sizes['time']}")
    return V_m.time.values


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
    """Local activation time (ms): first upward crossing of -35 mV (u = 1/2); NaN where there is none.

    Parameters
    ----------
    V_m : dims with time, mV, and its coordinate in ms

    Returns
    -------
    lat : the other dims, ms

    Raises
    ------
    ValueError
        No dim or coordinate time, fewer than two times, values that are not finite.

    Examples
    --------
    >>> V_m = xr.DataArray([-85.0, -85.0, 15.0], dims="time", coords={"time": [0.0, 1.0, 2.0]})
    >>> activation_time(V_m).item()
    1.5
    """
    return _crossing(V_m, V_THRESHOLD, rising=True).rename("lat").assign_attrs(long_name="local activation time")


def apd90(V_m: xr.DataArray) -> xr.DataArray:
    """Action potential duration (ms) at 90 % repolarization of the first beat: from lat to V_rest + (peak - V_rest) / 10.

    Parameters
    ----------
    V_m : dims with time, mV, and its coordinate in ms; its first sample is at rest

    Returns
    -------
    apd90 : the other dims, ms; NaN where there is no beat, or its end is not seen

    Raises
    ------
    ValueError
        What `activation_time` refuses.

    Examples
    --------
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
    """Largest upstroke velocity (mV/ms) between samples.

    Parameters
    ----------
    V_m : dims with time, mV, and its coordinate in ms

    Returns
    -------
    dvdt_max : the other dims, mV/ms

    Raises
    ------
    ValueError
        What `activation_time` refuses.

    Examples
    --------
    >>> dvdt_max(xr.DataArray([-85.0, 15.0], dims="time", coords={"time": [0.0, 0.5]})).item()
    200.0
    """
    t = _times(V_m)
    slope = V_m.diff("time") / np.diff(t).reshape([-1 if d == "time" else 1 for d in V_m.dims])
    return slope.max("time").rename("dvdt_max").assign_attrs(units="mV ms-1", long_name="maximal upstroke velocity")


def conduction_velocity(lat: xr.DataArray, dx: float, reach: int = 2) -> xr.DataArray:
    """Local conduction velocity (mm/ms), 1 / |grad lat|, by central differences over +-``reach`` cells.

    NaN within ``reach`` cells of the edge and next to cells that were never activated. Collisions and stimuli, where lat
    has no gradient, give spuriously large values: use medians.

    Parameters
    ----------
    lat : (y, x), ms
    dx : mm
    reach : cells to either side

    Returns
    -------
    cv : (y, x), mm/ms

    Raises
    ------
    ValueError
        lat with other dims, dx not above 0, reach no whole number of at least 1.

    Examples
    --------
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
