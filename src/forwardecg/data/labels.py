"""What the labels of maps say: their unit, the side of a pixel and the time between frames, as all that says it agrees."""

from typing import Any

import numpy as np
import xarray as xr

from forwardecg.contract import V_REST, V_THRESHOLD, array, number, unit_factor, unit_of

_LOWEST, _REST, _HIGHEST = -200.0, -50.0, 200.0  # mV: the minimum lies between the first two, the maximum below 200
_STEPS = {  # argument: unit, sane range, attribute of the same meaning, coordinates that show it
    "dx": ("mm", 0.05, 20.0, "dx_map", ("y_map", "x_map")),
    "dt": ("ms", 0.05, 50.0, "frame_interval", ("time",)),
}


def from_counts(
    name: str, values: np.ndarray, tissue: np.ndarray | None, counts: Any, unit: str | None, own: Any
) -> np.ndarray:  # fmt: skip
    """What a camera counts as u, 0 at rest and 1 at the peak; the units that are told must not be those of a voltage."""
    if not isinstance(counts, tuple | list) or len(counts) != 2:
        raise ValueError(f"counts: expected (rest, amplitude), got {counts!r:.60}")
    if unit not in (None, "u", "1") or own is not None and _is_voltage(own):
        raise ValueError(
            f"counts: expected none for {name} in a unit of its own, got unit {unit}, attribute units {own}"
        )
    kind = np.result_type(values.dtype, np.float32)
    rest, amplitude = (np.broadcast_to(_of_pixels(one, values.shape[1:]), values.shape[1:]) for one in counts)
    good = np.isfinite(rest) & np.isfinite(amplitude) & (amplitude != 0)
    if n := np.count_nonzero(~good if tissue is None else ~good & tissue):
        raise ValueError(f"counts: expected a rest and an amplitude that is not 0, got {n} pixels of tissue without")
    rest, amplitude = (np.where(good, one, 1).astype(kind) for one in (rest, amplitude))
    return (values.astype(kind) - rest) / amplitude


def _of_pixels(x: Any, shape: tuple[int, ...]) -> np.ndarray:
    """A number, or one for each pixel."""
    return (
        np.asarray(number("counts", x))
        if np.ndim(x) == 0
        else array("counts", x, ("y", "x"), shape=shape, finite=False)
    )


def _is_voltage(word: Any) -> bool:
    try:
        return unit_factor("unit", word, "mV")[1] == 0.0  # u has an offset
    except ValueError:
        return False


def millivolts(
    name: str, values: np.ndarray, tissue: np.ndarray | None, unit: str | None, own: str | None
) -> np.ndarray:  # fmt: skip
    """Values in mV, once those of the tissue are known to be finite, and plausible in their unit; rest elsewhere."""
    words = [word for word in (unit, own) if word is not None]
    if not words:
        camera = "what a camera counts needs counts=(rest, amplitude)"
        raise ValueError(f"unit: expected one of mV, V, u, 1 for {name}, got None, with attribute units None; {camera}")
    found = {unit_factor("unit", word, "mV") for word in words}
    if len(found) > 1:
        raise ValueError(f"unit: expected one unit of {name}, got {unit}, with attribute units {own}")
    values = values.astype(np.result_type(values.dtype, np.float32))
    if len(values) < 2:
        raise ValueError(f"{name}: expected at least 2 frames, got {len(values)}")
    inside = values if tissue is None else values[:, tissue]
    if n := np.count_nonzero(~np.isfinite(inside)):
        lost = np.flatnonzero(~np.isfinite(inside).reshape(len(inside), -1).any(1))
        frames = f", {lost.size} frames wholly, the first of them {lost[0]}" if lost.size else ""
        raise ValueError(f"{name}: expected finite values, got {n} that are not, {n / inside.size:.2%} of all{frames}")
    low, high = float(inside.min()), float(inside.max())
    known = {word: unit_factor("unit", word, "mV") for word in ("mV", "V", "uV", "u")}
    fitting = [
        word for word, (factor, offset) in known.items()
        if _LOWEST <= factor * low + offset <= _REST and V_THRESHOLD < factor * high + offset <= _HIGHEST
    ]  # fmt: skip
    ((factor, offset),) = found
    if (factor, offset) not in [known[word] for word in fitting]:
        wanted = f"a wave that rises from rest near {V_REST:g} mV above {V_THRESHOLD:g} mV"
        spread = f"values from {low:.4g} to {high:.4g} in {words[0]}"
        at_rest, top = _LOWEST <= factor * low + offset <= _REST, factor * high + offset
        if not fitting and at_rest and top <= V_THRESHOLD:  # the unit is right, but there is too little of it
            came = f"{spread}: the mean of no pixel rises above {top:.4g} mV"
            why = "no wave, or tissue in which so little of each pixel conducts; smaller pixels may show it"
            raise ValueError(f"{name}: expected {wanted}, got {came}; {why}")
        raise ValueError(f"{name}: expected {wanted}, got {spread}, plausible in {', '.join(fitting) or 'no unit'}")
    mv = factor * values + offset
    return mv if tissue is None else np.where(tissue, mv, mv.dtype.type(V_REST))


def find_step(argument: str, value: float | None, V_m: xr.DataArray, given: dict) -> float:
    """Pixel size in mm, or time between frames in ms: the one that argument, attribute and coordinates agree on."""
    unit, low, high, attribute, coordinates = _STEPS[argument]
    came = {f"the argument {argument}": value, f"the attribute {attribute}": given.get(attribute)}
    found = {
        origin: number(argument, _single(one), low, high, unit=unit) for origin, one in came.items() if one is not None
    }
    spacings = {f"the coordinate {dim}": _spacing(find_axis(V_m, dim, unit)) for dim in coordinates}
    found |= {origin: number(argument, step, low, high, unit=unit) for origin, step in spacings.items() if step}
    if not found:
        raise ValueError(f"{argument}: expected it in {unit}, or coordinates {coordinates} with a unit, got neither")
    steps = [*found.values()]
    if not np.allclose(steps, steps[0], rtol=1e-3, atol=0):
        told = ", ".join(f"{step:g} from {origin}" for origin, step in found.items())
        what = "one value (square pixels)" if argument == "dx" else "one value"
        raise ValueError(f"{argument}: expected {what} in {low:g} .. {high:g} {unit}, got {told}")
    return steps[0]


def _single(value: Any) -> Any:
    """The one value of an attribute that a file keeps as an array."""
    return value[0] if isinstance(value, np.ndarray) and value.shape == (1,) else value


def _spacing(axis: np.ndarray | None) -> float | None:
    return None if axis is None or len(axis) < 2 else float(np.diff(axis).mean())


def find_axis(values: xr.DataArray, dim: str, unit: str) -> np.ndarray | None:
    """The coordinate of a dim in mm or ms; None if there is none, or none with a unit. Its steps are equal and upward."""
    if dim not in values.coords:
        return None
    coordinate = values[dim]
    own = unit_of(coordinate.attrs)
    factor = None if own is None else unit_factor(dim, own, unit)[0]
    axis = array(dim, coordinate, coordinate.dims).astype(float)
    steps = np.diff(axis)
    if not (np.all(steps > 0) and np.allclose(steps, steps[:1], rtol=1e-2, atol=0)):
        raise ValueError(f"{dim}: expected equal steps upward, got steps from {steps.min():g} to {steps.max():g}")
    return None if factor is None else factor * axis
