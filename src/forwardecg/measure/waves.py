"""What a modeler reads off a simulation: activation, velocity, duration, upstroke; tips and cycles of re-entry.

V_m and lat are labeled arrays, in any order of their dims and in any unit of `contract.unit_factor`, mV and ms without one.
A missing sample (NaN) lies on the line between those before and after it; a pixel without any has no features: NaN.
"""

from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr

from forwardecg.contract import SAME_DIM, UNIT_WORDS, V_THRESHOLD, array, corner, count, instance, number, one_of, times

LEAST = 3.0  # mV: what changes by less is no wave


def _record(V_m: xr.DataArray, *others: Any) -> tuple[np.ndarray, np.ndarray]:
    """Times in ms, and V_m in mV with time as the first dim, before ``others``."""
    wanted = f"({', '.join('...' if dim is ... else dim for dim in ('time', *others))})"
    V_m = instance("V_m", V_m, xr.DataArray, f"{wanted} with a coordinate 'time'")
    if (dim := _time(V_m)) not in V_m.coords:
        raise ValueError(f"V_m: expected dims {wanted} with a coordinate 'time' in ms, got dims {V_m.dims}")
    t, values = times("time", V_m[dim]), array("V_m", V_m, ("time", *others), "mV", finite=False)
    if n := int(np.isinf(values).sum()):
        raise ValueError(f"V_m: expected finite values in mV, or NaN, got {n} infinite ones")
    wide = float if values.dtype.kind in "iu" else np.result_type(values.dtype, np.float32)  # half is too coarse
    return t, _join_gaps(t, values.astype(wide, copy=False))


def _time(V_m: xr.DataArray) -> Any:
    """The dim of V_m that is time, by the names of `contract.SAME_DIM`; None if there is none."""
    return next((dim for dim in V_m.dims if SAME_DIM.get(str(dim), dim) == "time"), None)


def _join_gaps(t: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Values (time, ...) without gaps: linear between the samples beside them; before the first and after the last is NaN."""
    lost = np.isnan(values).reshape(len(t), -1)
    gaps = np.flatnonzero(lost.any(0) & ~lost.all(0))
    if gaps.size:
        traces = values.reshape(len(t), -1).copy()
        for k in gaps:
            seen = ~lost[:, k]
            traces[:, k] = np.interp(t, t[seen], traces[seen, k], np.nan, np.nan)
        values = traces.reshape(values.shape)
    return values


def _like(other: xr.DataArray, values: np.ndarray, name: str, unit: str, words: str) -> xr.DataArray:
    """A feature with the dims, but time, and coordinates of another array."""
    feature = (
        other.isel({dim: 0 for dim in [_time(other)] if dim is not None}, drop=True).copy(data=values).rename(name)
    )
    kept = {key: value for key, value in feature.attrs.items() if key not in UNIT_WORDS}
    return feature.drop_attrs(deep=False).assign_attrs(kept, units=unit, long_name=words)


def _crossing(
    t: np.ndarray, V: np.ndarray, level: float | np.ndarray, rising: bool, after: float | np.ndarray = -np.inf
) -> np.ndarray:
    """First time later than ``after`` at which V crosses ``level`` in the given direction, linear between samples."""
    z = (1 if rising else -1) * (V - level)
    late = t[1:].reshape(-1, *[1] * (z.ndim - 1)) > np.asarray(after)
    hit = (z[:-1] < 0) & (z[1:] >= 0) & late
    first = hit.argmax(0)
    before, behind = (np.take_along_axis(z, (first + k)[None], 0)[0] for k in (0, 1))
    with np.errstate(invalid="ignore", divide="ignore"):
        time = t[first] + (t[first + 1] - t[first]) * before / (before - behind)
    return np.where(hit.any(0), time, np.nan)


def _steepest(t: np.ndarray, V: np.ndarray) -> np.ndarray:
    """Time of the peak of dV/dt in the first upstroke, one of at least half the largest slope: top of a parabola."""
    middle, slope = (t[:-1] + t[1:]) / 2, np.diff(V, axis=0) / np.diff(t).reshape(-1, *[1] * (V.ndim - 1))
    steep = slope >= np.fmax.reduce(slope, 0) / 2
    last = np.ones((1, *steep.shape[1:]), bool)
    ends = np.concatenate([~(slope[1:] > slope[:-1]), last]) & (np.cumsum(steep, 0) > 0)
    k = ends.argmax(0)
    a, b = np.clip(k - 1, 0, None), np.clip(k + 1, None, len(slope) - 1)
    before, at, behind = (np.take_along_axis(slope, n[None], 0)[0] for n in (a, k, b))
    with np.errstate(invalid="ignore", divide="ignore"):
        up, down = (at - before) / (middle[k] - middle[a]), (behind - at) / (middle[b] - middle[k])
        top = (middle[a] + middle[k]) / 2 + (middle[b] - middle[a]) / 2 * up / (up - down)
    return np.where(steep.any(0), np.where(np.isfinite(top), top, middle[k]), np.nan)


def _activation(t: np.ndarray, V: np.ndarray, threshold: float | str) -> np.ndarray:
    low, high = np.fmin.reduce(V, 0), np.fmax.reduce(V, 0)
    if not isinstance(threshold, str):
        return _crossing(t, V, number("threshold", threshold, -200, 200, unit="mV, half or slope"), rising=True)
    if one_of("threshold", threshold, ("half", "slope")) == "half":
        return _crossing(t, V, np.where(high - low < LEAST, np.nan, low + (high - low) / 2), rising=True)
    return np.where(high - low < LEAST, np.nan, _steepest(t, V))


def activation_time(V_m: xr.DataArray, threshold: float | Literal["half", "slope"] = V_THRESHOLD) -> xr.DataArray:
    """Local activation time: first upward crossing of -35 mV (u = 1/2), or of another level, linear between samples.

    Args:
        V_m: any dims with time; mV, V or u; its coordinate in ms, or s with this unit. Missing values (NaN, masked) are
            passed over: the crossing is sought between those beside them.
        threshold: mV; "half": the middle between the lowest and the highest value of each pixel, for pixels of few cells;
            "slope": no level, but the steepest part of the first upstroke.

    Returns:
        The other dims, ms; NaN where there is none, or where a pixel changes by less than 3 mV (half, slope).

    Examples:
        >>> V_m = xr.DataArray([-85.0, -85.0, 15.0], dims="time", coords={"time": [0.0, 1.0, 2.0]})
        >>> activation_time(V_m).item()
        1.5
    """
    return _like(V_m, _activation(*_record(V_m, ...), threshold), "lat", "ms", "local activation time")


def apd90(V_m: xr.DataArray, threshold: float | Literal["half", "slope"] = V_THRESHOLD) -> xr.DataArray:
    """Action potential duration at 90 % repolarization of the first beat: from lat to V_rest + (peak - V_rest) / 10.

    Args:
        V_m: as for `activation_time`; its first sample is at rest.
        threshold: of `activation_time`.

    Returns:
        The other dims, ms; NaN where there is no beat, or its end is not seen.

    Examples:
        >>> beat = [-85.0, 15.0, 15.0, -85.0, -85.0]
        >>> apd90(xr.DataArray(beat, dims="time", coords={"time": 100.0 * np.arange(5)})).round(3).item()
        240.0
    """
    t, V = _record(V_m, ...)
    rest = np.take_along_axis(V, (~np.isnan(V)).argmax(0)[None], 0)[0]
    level, lat = rest + 0.1 * (np.fmax.reduce(V, 0) - rest), _activation(t, V, threshold)
    end = _crossing(t, V, level, rising=False, after=np.where(np.isnan(lat), np.inf, lat))
    return _like(V_m, end - lat, "apd90", "ms", "action potential duration at 90 %")


def dvdt_max(V_m: xr.DataArray) -> xr.DataArray:
    """Largest upstroke velocity (mV/ms) between samples of V_m, as for `activation_time`, over the other dims."""
    t, V = _record(V_m, ...)
    slope = np.diff(V, axis=0) / np.diff(t).reshape(-1, *[1] * (V.ndim - 1))
    return _like(V_m, np.fmax.reduce(slope, 0), "dvdt_max", "mV ms-1", "maximal upstroke velocity")


def conduction_velocity(lat: xr.DataArray, dx: float, reach: int = 2) -> xr.DataArray:
    """Local conduction velocity, 1 / |grad lat|, by central differences.

    Collisions and stimuli, where lat has no gradient, give spuriously large values: use medians.

    Args:
        lat: (y, x), ms, or s with this unit; NaN where nothing was activated.
        dx: mm, above 0; that of the coordinates y and x, where they have a unit.
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
    z = array("lat", lat, ("y", "x"), "ms", finite=False).astype(float, copy=False)
    dx, reach = number("dx", dx, 0, unit="mm", above=True), count("reach", reach)
    if np.isinf(z).any():
        raise ValueError("lat: expected finite values in ms, or NaN, got infinity")
    corner("lat", lat, dx)
    span, inner = 2 * reach * dx, np.s_[reach:-reach]
    speed = np.full(z.shape, np.nan)
    d_y = (z[2 * reach :, inner] - z[: -2 * reach, inner]) / span
    d_x = (z[inner, 2 * reach :] - z[inner, : -2 * reach]) / span
    with np.errstate(divide="ignore"):
        speed[inner, inner] = 1 / np.hypot(d_y, d_x)
    template = lat if isinstance(lat, xr.DataArray) else xr.DataArray(z, dims=("y", "x"))
    template = template.transpose(*sorted(template.dims, key=lambda dim: str(dim).startswith("x")))
    return _like(template, speed, "cv", "mm ms-1", "conduction velocity")


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
        V_m: (time, y, x), units as for `activation_time`, of a sheet without holes, for beside a missing value (NaN)
            there is no tip; frames so close (1 to 5 ms) that a front moves a few cells.
        dx: mm between neighboring values of the map; that of its coordinates, where they have a unit.

    Returns:
        Table with time (ms, middle of two frames), x, y (mm from the corner, or in the frame of coordinates with a unit)
        and chirality (1 is counterclockwise, y up).

    Raises:
        ValueError: Wrong dims, fewer than two frames, infinite values, dx not positive or not that of the coordinates.

    Examples:
        >>> y, x = np.mgrid[-5:6, -5:6] + 0.3  # a half plane that turns by a quarter
        >>> u = xr.DataArray(np.stack([x, y]) - 35.0, dims=("time", "y", "x"), coords={"time": [0.0, 5.0]})
        >>> tip_path(u, dx=1.0).round(2).to_dict("list")
        {'time': [2.5], 'x': [5.2], 'y': [5.2], 'chirality': [1]}
    """
    t, V = _record(V_m, "y", "x")
    dx = number("dx", dx, 0, unit="mm", above=True)
    (x_0, y_0), z = corner("V_m", V_m, dx), V - V_THRESHOLD
    tips = [_intersections(before, after) for before, after in zip(z[:-1], z[1:], strict=True)]
    x, y, chirality = np.concatenate(tips).T
    middle = np.repeat((t[:-1] + t[1:]) / 2, [len(tip) for tip in tips])
    places = {"x": x_0 + (x + 0.5) * dx, "y": y_0 + (y + 0.5) * dx}
    return pd.DataFrame({"time": middle, **places, "chirality": chirality.astype(int)})


def cycle_length(V_m: xr.DataArray, refractory: float = 0.0) -> pd.DataFrame:
    """Times between activations of each probe of V_m (time, probe): table of probe, time (ms) of the later one, cycle_length (ms).

    Args:
        V_m: (time, probe), units as for `activation_time`.
        refractory: ms; a crossing of -35 mV so soon after an activation is none: noise crosses several times.
    """
    refractory = number("refractory", refractory, 0, unit="ms")
    t, V = _record(V_m, "probe")
    z, tables = V - V_THRESHOLD, []
    for probe, trace in enumerate(z.T):
        up = np.flatnonzero((trace[:-1] < 0) & (trace[1:] >= 0))
        at = t[up] + (t[up + 1] - t[up]) * trace[up] / (trace[up] - trace[up + 1])
        if refractory:
            at = _apart(at, refractory)
        tables.append(pd.DataFrame({"probe": probe, "time": at[1:], "cycle_length": np.diff(at)}))
    return pd.concat(tables, ignore_index=True)


def _apart(at: np.ndarray, least: float) -> np.ndarray:
    """Increasing times without those within ``least`` of the last one that is kept."""
    kept: list[float] = []
    for time in at:
        if not kept or time - kept[-1] > least:
            kept.append(time)
    return np.array(kept)
