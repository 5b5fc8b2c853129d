"""The data contract: names, dims and units of all that passes between parts, and the one gate by which it comes in.

The gate reads labels, and guesses none: named dims are put in order, known units converted, masks become missing values.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import xarray as xr

Kind = TypeVar("Kind")
V_REST, V_SPAN = -85.0, 100.0  #: V_m = -85 + 100 u, mV.
V_THRESHOLD = -35.0  #: mV, u = 1/2; a cell is activated when its voltage rises through it.

#: Dims, unit and long_name of each variable.
CONTRACT = {
    "V_m": (("time", "y_map", "x_map"), "mV", "transmembrane voltage"),
    "lat": (("y", "x"), "ms", "local activation time of the first beat"),
    "recovery": (("y", "x"), "ms", "first fall of u below 0.1"),
    "D": (("y", "x"), "mm2 ms-1", "physical diffusivity"),
    "D_across": (("y", "x"), "mm2 ms-1", "diffusivity across the fibers"),
    "fiber_angle": (("y", "x"), "rad", "fiber direction from the x axis"),
    "conductive": (("y", "x"), "1", "conducts"),
    "phi_e": (("lead", "time_ecg"), "mV mm ms-1", "extracellular potential, unbounded conductor"),
    "electrodes": (("lead", "xyz"), "mm", "electrode positions"),
    "time": (("time",), "ms", "time"),
    "time_ecg": (("time_ecg",), "ms", "time"),
}
#: Other names of dims: those of maps and of grids, of time and of its samples.
SAME_DIM = {"t": "time", "time_ecg": "time", "y_map": "y", "x_map": "x"}
# unit of the contract: other units of the kind, with how many of ours they are; words are also known in the plural
_UNITS: dict[str, dict[str, float]] = {
    "ms": {"ms|msec|millisecond": 1.0, "s|sec|second": 1e3, "us|usec|microsecond": 1e-3},
    "mm": {"mm|millimeter|millimetre": 1.0, "cm|centimeter|centimetre": 10.0, "m|meter|metre": 1e3,
           "um|micron|micrometer|micrometre": 1e-3},
    "mV": {"mV|millivolt": 1.0, "V|volt": 1e3, "uV|microvolt": 1e-3, "u|1": V_SPAN},  # u has an offset, too
    "rad": {"rad|radian": 1.0, "deg|degree|°": math.pi / 180},
    "mm2 ms-1": {"mm2 ms-1": 1.0, "cm2 ms-1": 100.0, "cm2 s-1": 0.1, "m2 s-1": 1e3, "mm2 s-1": 1e-3, "um2 ms-1": 1e-6},
    "/ms": {"ms-1|1 ms-1": 1.0, "s-1|1 s-1|Hz": 1e-3},
    "1": {"1|dimensionless": 1.0},
}  # fmt: skip
_PACKED = ("scale_factor", "add_offset", "_FillValue", "missing_value")  # attributes of what is still to be decoded
UNIT_WORDS = ("units", "unit", "Units", "Unit")  #: Attributes that hold a unit, the first that is there.
_SIGNS = {"µ": "u", "μ": "u", "²": "2", "⁻¹": "-1", "**": "", "^": "", "·": " ", "*": " "}


def as_variable(name: str, values: Any) -> tuple:
    """The variable ``name`` of `CONTRACT` as xarray takes it: (dims, values, attributes); KeyError for another name."""
    dims, units, long_name = CONTRACT[name]
    return dims, values, {"units": units, "long_name": long_name}


def to_u(V_m: Any) -> Any:
    """u = (V_m + 85 mV) / 100 mV: 0 at rest, 1 at the peak; array, tensor or DataArray as it came."""
    return (V_m - V_REST) / V_SPAN


def to_mV(u: Any) -> Any:
    """V_m = -85 mV + 100 mV u; array, tensor or DataArray as it came."""
    return V_REST + V_SPAN * u


def number(
    name: str, x: Any, low: float = -math.inf, high: float = math.inf, *, unit: str = "", above: bool = False
) -> float:
    """``x`` as a float, if it is one real number in low .. high, or ``above`` low; ValueError for all else, bool and text too."""
    came, (x, own) = x, _content_of(x)
    real = isinstance(x, Real) and not isinstance(x, bool | np.bool_)
    if real and own is not None:
        ours = unit.partition(",")[0]  # what follows is words
        factor, offset = unit_factor(name, own, ours if ours in _UNITS else "1")
        x = x if (factor, offset) == (1.0, 0.0) else factor * x + offset
    if not (real and abs(x) <= 1.7e308 and low <= x <= high and not (above and x == low)):
        least = "" if low == -math.inf else f" {'>' if above else '>='} {low:g}"
        most = "" if high == math.inf else f" <= {high:g}"
        both = least and most and not above
        between = f" in {low:g} .. {high:g}" if both else " and".join(filter(None, (least, most)))
        raise ValueError(f"{name}: expected a number{between}{unit and ' ' + unit}, got {_short(came)}")
    return float(x)


def _content_of(x: Any) -> tuple[Any, Any]:
    """What an array, tensor or labeled array without dims holds, and the unit that it names; all else as it came."""
    own = unit_of(x.attrs) if isinstance(x, xr.DataArray | xr.Variable) else None
    return x.item() if getattr(x, "ndim", None) == 0 and hasattr(x, "item") and not np.ma.is_masked(x) else x, own


def count(name: str, x: Any, low: int = 1, high: int = 10**9) -> int:
    """``x`` as an int, if it is a whole number in low .. high, of Python or numpy; ValueError for all else."""
    came, (x, own) = x, _content_of(x)
    if own is not None:
        unit_factor(name, own, "1")
    if not isinstance(x, Integral) or isinstance(x, bool | np.bool_) or not low <= int(x) <= high:
        raise ValueError(f"{name}: expected a whole number in {low} .. {high}, got {_short(came)}")
    return int(x)


def counts(name: str, x: Any, low: int = 0, high: int = 10**9) -> list[int]:
    """The whole numbers of a sequence, or of an array of any kind with one axis, each in low .. high; ValueError for all else."""
    if isinstance(x, str | bytes | bytearray) or not (isinstance(x, Sequence) or getattr(x, "ndim", 0) == 1):
        raise ValueError(f"{name}: expected whole numbers, in a sequence or an array with one axis, got {_short(x)}")
    return [count(name, one, low, high) for one in x]


def instance(name: str, x: Any, kind: type[Kind] | tuple[type[Kind], ...], such_as: str = "") -> Kind:
    """``x``, if it is one of ``kind``; ValueError, with the names of types, for all else."""
    if not isinstance(x, kind):
        kinds = " or ".join(dict.fromkeys(one.__name__ for one in (kind if isinstance(kind, tuple) else (kind,))))
        raise ValueError(f"{name}: expected {kinds}{such_as and ', ' + such_as}, got {_short(x)}")
    return x


def one_of(name: str, x: Any, words: Iterable[str]) -> str:
    """``x``, if it is one of these words; ValueError, with all of them, for anything else."""
    words = [*words]
    if not isinstance(x, str) or x not in words:
        raise ValueError(f"{name}: expected one of {', '.join(words)}, got {_short(x)}")
    return str(x)


def flag(name: str, x: Any) -> bool:
    """``x`` as a bool, if it is one, of Python or numpy; ValueError for all else."""
    return bool(instance(name, x, (bool, np.bool_), "True or False"))


def _short(x: Any) -> str:
    """What came, in few words."""
    if isinstance(x, str | Real | complex | None):
        return repr(x)[:60]
    shape = getattr(x, "shape", None)
    words = f" of shape {tuple(shape)}" if isinstance(shape, tuple) else f" {' '.join(repr(x)[:400].split()):.40}"
    return type(x).__name__ + words


def unit_of(attrs: Mapping[Any, Any]) -> Any:
    """The unit among attributes, under ``units`` or, where there is none, as some spell it; None: no unit."""
    return next((attrs[word] for word in UNIT_WORDS if attrs.get(word) is not None), None)


def unit_factor(name: str, came: Any, unit: str) -> tuple[float, float]:
    """Factor and offset that turn values in ``came``, in any usual spelling, into ``unit``; ValueError for an unknown one."""
    plain = str(came).strip()
    for sign, word in _SIGNS.items():
        plain = plain.replace(sign, word)
    over, _, under = plain.partition("/")
    plain = " ".join(f"{over} {under.strip()}{'-1' if under else ''}".split())
    lower = plain.lower().removesuffix("s") if len(plain) > 3 and plain.isalpha() else plain
    spelled = _UNITS.get(unit, {unit: 1.0})
    for names, factor in spelled.items():
        if {plain, lower} & {*names.split("|")}:
            return factor, V_REST if (unit, names) == ("mV", "u|1") else 0.0
    raise ValueError(f"{name}: expected a unit such as {', '.join(n.split('|')[0] for n in spelled)}, got {came!r}")


def array(
    name: str, x: Any, dims: Sequence[Any], unit: str | None = None, *, shape: Sequence[int | None] | None = None,
    finite: bool = True, kinds: Collection[str] = "iuf",
) -> np.ndarray:  # fmt: skip
    """The values of an array-like ``x`` with its axes in the order of ``dims``, real numbers in ``unit``.

    Named dims are put in order, ``...`` stands for any others; a unit among the attributes is converted, masked values
    become NaN. ``finite``: NaN and infinity are refused. ``kinds``: of the dtype, as numpy names them. What is complex, a
    date, an object or text is refused, as are other dims, another ``shape`` (None: any length) and an unknown unit: ValueError.
    """
    x = _label(x, dims)
    wanted = f"({', '.join('...' if dim is ... else dim for dim in dims)})"
    if isinstance(x, xr.DataArray):
        dims = _spell_out(dims, [str(dim) for dim in x.dims])
        values = _in_order(name, x, dims)
        own = unit_of(x.attrs)
        if packed := [word for word in _PACKED if word in x.attrs]:
            raise ValueError(f"{name}: expected decoded values {wanted}, got packed ones, by {', '.join(packed)}")
    else:
        values, own = _plain_array(name, x), None
        dims = _spell_out(dims, [f"dim_{k}" for k in range(values.ndim)])
    if values.dtype.kind not in kinds:
        what = "real numbers" if "f" in kinds else "bool"
        raise ValueError(f"{name}: expected {what} {wanted}, got {values.dtype} of shape {values.shape}")
    values = _unmask(name, values)
    fits = values.ndim == len(dims)
    if fits and shape is not None:
        fits = len(shape) == values.ndim and all(
            want is None or want == n for want, n in zip(shape, values.shape, strict=True)
        )
    if not fits or not values.size:
        size = "" if shape is None else f" of shape ({', '.join('any' if n is None else str(n) for n in shape)})"
        raise ValueError(f"{name}: expected {wanted}{size}, got an array of shape {values.shape}")
    with np.errstate(over="ignore"):  # more than double precision holds is infinite in it
        values = values.astype(float if values.dtype.itemsize > 8 else values.dtype.newbyteorder("="), copy=False)
    values = np.require(values, requirements="C")  # so that sums do not depend on the layout that came
    if unit is not None and own is not None and values.dtype.kind != "b":
        factor, offset = unit_factor(name, own, unit)
        if (factor, offset) != (1.0, 0.0):
            values = factor * values.astype(np.result_type(values.dtype, np.float32)) + offset
    if finite and values.dtype.kind == "f" and (n := np.count_nonzero(~np.isfinite(values))):
        raise ValueError(f"{name}: expected finite values{unit and ' in ' + unit or ''}, got {n} that are not")
    return values


def _label(x: Any, dims: Sequence[Any] = ()) -> Any:
    """A variable, or a table with an axis called as one of ``dims``, as a labeled array; all else as it came."""
    if isinstance(x, pd.DataFrame) and {SAME_DIM.get(str(axis.name), axis.name) for axis in x.axes} & {*dims}:
        return xr.DataArray(np.asarray(x), dims=[axis.name or f"dim_{k}" for k, axis in enumerate(x.axes)])
    return xr.DataArray(x) if isinstance(x, xr.Variable) else x


def _unmask(name: str, x: np.ndarray) -> np.ndarray:
    """Values with NaN where they are masked; bool knows none and is refused."""
    if not isinstance(x, np.ma.MaskedArray):
        return x
    lost, values = np.ma.getmaskarray(x), np.asarray(x.data)
    if lost.any() and values.dtype.kind == "b":
        raise ValueError(f"{name}: expected bool, got some that are masked")
    values = values.astype(float) if lost.any() and values.dtype.kind != "f" else values
    return np.where(lost, np.nan, values) if lost.any() else values


def _plain_array(name: str, x: Any) -> np.ndarray:
    """An array without labels; what numpy cannot make one of is refused."""
    if isinstance(x, np.ma.MaskedArray):
        return x
    if isinstance(x, np.ndarray):
        return np.asarray(x)
    try:
        if hasattr(x, "detach") and hasattr(x, "resolve_neg"):
            x = x.detach().cpu().resolve_neg()
            x = x.float() if str(x.dtype) == "torch.bfloat16" else x  # numpy has none
        return np.asarray(_bare(name, x) if isinstance(x, list | tuple) else x)
    except (ValueError, TypeError, RuntimeError) as error:
        raise ValueError(f"{name}: expected an array, got {_short(x)}: {error}") from None


def _bare(name: str, x: Any) -> Any:
    """A list of parts as one of plain arrays: masks and tensors are read as they are alone, and labels, which it would lose, refused."""
    if isinstance(x, list | tuple):
        return [one if type(one) in (float, int) else _bare(name, one) for one in x]
    part = _label(x)
    named = isinstance(part, xr.DataArray) and [*part.dims] != [f"dim_{k}" for k in range(part.ndim)]
    if named or isinstance(part, xr.DataArray) and unit_of(part.attrs) is not None:
        raise ValueError("its parts have labels, which are lost in a list: xr.concat keeps them")
    return _unmask(name, _plain_array(name, x)) if isinstance(x, np.ma.MaskedArray) or hasattr(x, "detach") else x


def _spell_out(dims: Sequence[Any], own: list[str]) -> list[str]:
    """``dims`` with those of ``own`` that they do not name in place of ``...``."""
    if ... not in dims:
        return [*dims]
    at, named = [*dims].index(...), {SAME_DIM.get(dim, dim) for dim in dims if dim is not ...}
    unnamed = all(dim == f"dim_{k}" for k, dim in enumerate(own))
    others = (
        own[: max(len(own) - len(named), 0)] if unnamed else [dim for dim in own if SAME_DIM.get(dim, dim) not in named]
    )
    return [*dims[:at], *others, *dims[at + 1 :]]


def _in_order(name: str, x: xr.DataArray, dims: Sequence[str]) -> np.ndarray:
    """Values of a DataArray with its axes in the order of ``dims``; names that are none of xarray's own count."""
    if all(str(dim) == f"dim_{k}" for k, dim in enumerate(x.dims)):  # unnamed
        return _plain_array(name, x.data)
    plain = [SAME_DIM.get(str(dim), str(dim)) for dim in x.dims]
    wanted = [SAME_DIM.get(dim, dim) for dim in dims]
    one_of_two = len({"y_map", "x_map"} & {*map(str, x.dims)}) == 1 and {"y", "x"} <= {*wanted}  # maps are no grids
    if sorted(plain) != sorted(wanted) or len({*plain}) < len(plain) or one_of_two:
        raise ValueError(f"{name}: expected dims ({', '.join(dims)}), got {tuple(map(str, x.dims))}")
    return _plain_array(name, x.transpose(*(x.dims[plain.index(dim)] for dim in wanted)).data)


def times(name: str, x: Any, *, least: int = 2) -> np.ndarray:
    """Increasing times (time,) in ms, at least ``least`` of them, of an array or a coordinate; ValueError for all else."""
    values = array(name, x, (...,), "ms", shape=(None,)).astype(float)
    if len(values) < least or not (np.diff(values) > 0).all():
        raise ValueError(f"{name}: expected at least {least} increasing times in ms, got {len(values)} that are not")
    return values


def corner(name: str, x: Any, dx: float) -> tuple[float, float]:
    """(x, y) in mm where labeled values with pixels of ``dx`` mm begin, half a pixel before the first centers.

    (0, 0) where the coordinates have no unit, or there are none. ValueError for steps other than ``dx``, or downward.
    """
    found = {"x": 0.0, "y": 0.0}
    for dim in x.dims if isinstance(x, xr.DataArray) else ():
        axis = SAME_DIM.get(str(dim), str(dim))
        if axis not in found or dim not in x.coords:
            continue
        own = unit_of(x[dim].attrs)
        centers = array(f"{name}.{dim}", x[dim], (str(dim),), None if own is None else "mm").astype(float)
        steps = np.diff(centers)
        step = dx if own is not None else float(steps[0]) if steps.size else 1.0
        if not (step > 0 and np.allclose(steps, step, rtol=1e-3, atol=0)):
            came = f"steps from {steps.min():g} to {steps.max():g}"
            wanted = f"steps of dx = {dx:g} mm" if own is not None else "equal steps"
            raise ValueError(f"{name}.{dim}: expected {wanted} upward, got {came}")
        begin = float(centers[0]) - dx / 2
        found[axis] = begin if own is not None and abs(begin) > 1e-6 * dx else 0.0
    return found["x"], found["y"]
