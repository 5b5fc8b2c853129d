"""Several changes at once: right input stays right under all of them together, and one fault is found beneath them.

`test_fuzz` changes one argument in one way a call. Here all arrays of a call are drawn anew, each in a type, byte order, layout
and container, with its dims in some order and under some name, in a unit, and with coordinates. Values are sixteenths, which
small types hold: the result is the same bit for bit, and to round-off where a unit has been converted.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from test_fuzz import CLEAR, ECG, MOVIE, NINE, PASSED, SCARRED, SMALL, TYX, YX, outcome, parts

from forwardecg.contract import SAME_DIM
from forwardecg.data.maps import import_maps
from forwardecg.ecg import electrodes, leadfield, leads
from forwardecg.measure import bands, compare, scores, waves
from forwardecg.solver.calibration import calibrate_diffusivity
from forwardecg.solver.simulation import simulate
from forwardecg.surrogates.predict import load_surrogate
from forwardecg.tissue import sheet, stimulus

UNITS: dict[str, dict[str, Callable[[Any], Any]]] = {  # others of a kind, and how values are written in them
    "mV": {"V": lambda v: v / 1e3, "microvolts": lambda v: v * 1e3, "u": lambda v: (v + 85) / 100},
    "mm2 ms-1": {"cm^2/s": lambda v: v * 10, "m²/s": lambda v: v / 1e3, "mm2/s": lambda v: v * 1e3},
    "rad": {"degrees": np.rad2deg},
    "ms": {"s": lambda v: v / 1e3, "µs": lambda v: v * 1e3},
    "mm": {"cm": lambda v: v / 10, "um": lambda v: v * 1e3, "meters": lambda v: v / 1e3},
    "1": {},
}
TYPES = ("f2", "f4", "f8", "g", "i1", "i2", "i4", "i8", "u1", "u2", "u8")
OF_TORCH = ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "b1")
NAMES = {"time": ("time", "t", "time_ecg"), "y": ("y", "y_map"), "x": ("x", "x_map")}
LABELED = ("DataArray", "Variable")
CONTAINERS = ("array", "list", "rows", "masked", "masked rows", "tensor", "tensors", "table", *LABELED, *LABELED)


@dataclass(frozen=True)
class Array:
    """Values that are right, what their dims and unit are, and what may be drawn of them."""

    values: np.ndarray
    dims: tuple[str, ...]
    unit: str = "1"
    coords: dict[str, tuple[Any, str]] = field(default_factory=dict)  # that may be there: values, unit
    needs: tuple[str, ...] = ()  # coordinates that must be there: a labeled array alone is right
    gaps: bool = False  # NaN and masks are right, too
    said: bool = False  # the unit is an argument of its own
    free: bool = False  # its other dims have any name
    label: str = ""  # what errors call it, if not by the name of the argument
    fixed: str = ""  # a dim whose length others say


@dataclass(frozen=True)
class Call:
    function: Callable[..., Any]
    arrays: dict[str, Array]
    examples: int = 30
    by_container: bool = False  # sums are added up in another order for labeled arrays


def sixteenths(x: np.ndarray) -> np.ndarray:
    return np.round(16 * np.asarray(x, float)) / 16


def centers(n_y: int, n_x: int, dx: float) -> dict[str, tuple[Any, str]]:
    return {dim: (dx * (np.arange(n) + 0.5), "mm") for dim, n in (("y", n_y), ("x", n_x))}


ON_SHEET, AT = centers(6, 9, 0.5), {"time": (2.0 * np.arange(len(MOVIE)), "ms")}
D = Array(sixteenths(0.1 + 0.1 * np.random.default_rng(1).random((6, 9))), YX, "mm2 ms-1", ON_SHEET)
LIVE = Array(SCARRED, YX, "1", ON_SHEET, fixed="x")
PLACES = Array(
    np.array([[1.0, 2.0, 4.0], [3.5, 0.25, 8.0]]),
    ("lead", "xyz"),
    "mm",
    {"xyz": ([*"xyz"], "")},
    label="electrodes",
    fixed="xyz",
)
ARRIVAL = Array(sixteenths(PASSED), YX, "ms", ON_SHEET, gaps=True)
WAVE = Array(sixteenths(MOVIE), TYX, "mV", AT | ON_SHEET, fixed="x")
FILM = Array(WAVE.values, TYX, "mV", AT | ON_SHEET, needs=("time",), gaps=True, free=True)
TRACES = Array(sixteenths(ECG), ("lead", "time"), "1", {"time": (5.0 * np.arange(64), "ms"), "lead": ([*"abc"], "")})
PREDICTED = Array(sixteenths(0.9 * ECG), TRACES.dims, "1", TRACES.coords, fixed="time")
OFF = Array(sixteenths(np.random.default_rng(2).random((30, 8))), ("sim", "time"), label="(error|sigma)", fixed="time")
WIDTH = Array(OFF.values + 1, OFF.dims, label="(error|sigma)", fixed="time")
MAPS = Array(
    sixteenths(MOVIE[::3]),
    TYX,
    "mV",
    {"time": (6.0 * np.arange(30), "ms")} | centers(6, 9, 2.0),
    said=True,
    label="(V_m|dims)",
)
SEEN = Array(
    sixteenths(SMALL),
    TYX,
    "mV",
    {"time": (10.0 * np.arange(len(SMALL)), "ms")} | centers(40, 40, 2.0),
    said=True,
    label="(V_m|dims)",
)
LEADS = Array(
    sixteenths(np.random.default_rng(3).random((9, 20))),
    ("lead", "time"),
    "1",
    {"time": (np.arange(20.0), "ms")},
    gaps=True,
    free=True,
    fixed="lead",
)
SCORES = Array(sixteenths(np.random.default_rng(4).random((3, 12))), ("seed", "sim"), "1", {"sim": (np.arange(12), "")})
TISSUE = sheet.healthy((6, 9), 0.5, 0.125)


def tissue(D: Any, conductive: Any, **fibers: Any) -> sheet.Tissue:
    return sheet.Tissue(D=D, conductive=conductive, dx=0.5, **fibers)


def places(positions: Any) -> electrodes.Electrodes:
    return electrodes.Electrodes(positions, ("a", "b"))


CALLS = {
    "Tissue": Call(tissue, {
        "D": D, "conductive": LIVE, "D_across": Array(D.values / 2, YX, "mm2 ms-1", ON_SHEET, fixed="y"),
        "fiber_angle": Array(sixteenths(PASSED / 8), YX, "rad", ON_SHEET, fixed="y"),
    }),
    "with_fibers": Call(
        lambda angle: sheet.with_fibers(TISSUE, angle, 4.0), {"angle": Array(sixteenths(PASSED / 8), YX, "rad", ON_SHEET, label="fiber_angle", fixed="x")}
    ),
    "Stimulus": Call(lambda mask: stimulus.Stimulus(mask=mask), {"mask": Array(~SCARRED, YX, "1", ON_SHEET, label="stimulus mask")}),
    "s1_s2": Call(
        lambda s2: [one.start for one in stimulus.s1_s2(stimulus.edge_stimulus(TISSUE), 100.0, 2, s2)],
        {"s2": Array(np.array([50.0, 40.5, 40.0]), ("beat",), "ms")},
    ),
    "Electrodes": Call(places, {"positions": PLACES}),
    "lead_field": Call(
        lambda D, conductive, positions: leadfield.lead_field(tissue(D, conductive), places(positions)),
        {"D": D, "conductive": LIVE, "positions": PLACES},
    ),
    "pseudo_ecg": Call(
        lambda V_m, D, conductive, positions: leadfield.pseudo_ecg(V_m, tissue(D, conductive), places(positions)),
        {"V_m": WAVE, "D": D, "conductive": LIVE, "positions": PLACES},
    ),
    "bipolar": Call(lambda phi_e: leads.bipolar(phi_e, "LA", "RA", NINE), {"phi_e": LEADS}, by_container=True),
    "twelve_leads": Call(lambda phi_e: leads.twelve_leads(phi_e, NINE), {"phi_e": LEADS}, by_container=True),
    "simulate": Call(
        lambda D, conductive, mask, positions: simulate(
            tissue(D, conductive), stimulus.Stimulus(mask=mask), t_end=2.0, electrodes=places(positions), frame_interval=1.0, calibrated=False,
        ),
        {"D": D, "conductive": LIVE, "mask": Array(SCARRED & (np.arange(9) < 4), YX, "1", ON_SHEET, label="stimulus mask"), "positions": PLACES}, examples=10,
    ),
    "calibrate_diffusivity": Call(
        lambda D, live: calibrate_diffusivity(D, live, 0.5, 0.1),
        {"D": Array(D.values, YX, "mm2 ms-1", ON_SHEET), "live": Array(SCARRED, YX, "1", ON_SHEET, fixed="x")},
    ),
    "activation_time": Call(waves.activation_time, {"V_m": FILM}),
    "apd90": Call(waves.apd90, {"V_m": FILM}),
    "conduction_velocity": Call(lambda lat: waves.conduction_velocity(lat, 0.5), {"lat": ARRIVAL}),
    "tip_path": Call(lambda V_m: waves.tip_path(V_m, 0.5), {"V_m": replace(FILM, free=False)}),
    "r2": Call(scores.r2, {"ecg_true": TRACES, "ecg_pred": PREDICTED}),
    "score_ecgs": Call(scores.score_ecgs, {"ecg_true": TRACES, "ecg_pred": PREDICTED}),
    "pointwise_factor": Call(lambda error, sigma: bands.pointwise_factor(error, sigma, 0.9), {"error": OFF, "sigma": WIDTH}),
    "whole_trace_factor": Call(lambda error, sigma: bands.whole_trace_factor(error, sigma, 0.9), {"error": OFF, "sigma": WIDTH}),
    "interval": Call(lambda values: compare.interval(values), {"values": Array(SCORES.values[0], ("sim",))}, examples=10),
    "paired_difference": Call(compare.paired_difference, {"a": SCORES, "b": Array(SCORES.values[::-1] / 2, SCORES.dims, "1", SCORES.coords)}, 10),
    "import_maps": Call(
        lambda source, mask: import_maps(source, dx=2.0, dt=6.0, unit="mV", mask=mask),
        {"source": MAPS, "mask": Array(SCARRED, YX, "1", centers(6, 9, 2.0), fixed="x")},
    ),
    "predict": Call(
        lambda maps: load_surrogate("structured").predict(maps, dx=2.0, dt=10.0, unit="mV"), {"maps": SEEN}, 4,
    ),
}  # fmt: skip


def holds(kind: str, x: np.ndarray) -> bool:
    with np.errstate(invalid="ignore", over="ignore"):
        return np.array_equal(x.astype(kind).astype(float), x)


@st.composite
def laid(draw, x: np.ndarray, native: bool) -> np.ndarray:
    """The same values in some byte order and layout."""
    if not native and draw(st.booleans()):
        x = x.astype(x.dtype.newbyteorder(">"))
    how = draw(st.sampled_from(("C", "Fortran", "strided", "backward", "frozen")))
    if how == "Fortran":
        return np.asfortranarray(x)
    if how == "strided":
        return np.repeat(x, 2, axis=-1)[..., ::2]
    if how == "backward":
        return x[::-1].copy()[::-1]
    if how == "frozen":
        x = x.copy()
        x.flags.writeable = False
    return x


@st.composite
def forms(draw, one: Array, fault: str = "") -> tuple[Any, float]:
    """An array in one of very many forms, wrong in one way if there is a ``fault``; and the round-off of its unit."""
    x, unit, eps = one.values, one.unit, 0.0
    only = LABELED if fault in ("dim", "unit") else ("masked", "masked rows") if fault == "mask" else CONTAINERS
    container = draw(st.sampled_from(("DataArray",) if one.needs else only))
    if container == "table" and (x.ndim != 2 or x.dtype.kind == "b"):
        container = "array"
    if fault == "length":
        x = x.take(range(x.shape[one.dims.index(one.fixed)] - 1), one.dims.index(one.fixed))
    if fault == "NaN":
        x = np.where(np.arange(x.size).reshape(x.shape) == x.size // 2, np.nan, x)
    kinds = [kind for kind in TYPES if holds(kind, x)] if x.dtype.kind == "f" and fault != "NaN" else [x.dtype.str[1:]]
    if fault == "unit":
        unit = "kg"
    elif container in LABELED and UNITS[unit] and not one.said and draw(st.booleans()):
        unit = draw(st.sampled_from([*UNITS[unit]]))
        x, kinds = UNITS[one.unit][unit](x), ["f4", "f8", "g"]
    if "tensor" in container:
        kinds = [kind for kind in kinds if kind in OF_TORCH]
    kind = draw(st.sampled_from(kinds))
    if unit not in (one.unit, "kg"):
        eps = float(np.finfo("f4" if kind == "f4" else "f8").eps)
    x = x.astype(kind)
    if fault == "complex":
        x = x + 0j
    x = draw(laid(x, native=container in ("tensor", "tensors", "table")))
    order = draw(st.permutations(range(x.ndim)))
    return _held(draw, one, container, x, unit, order, fault), eps


def _held(draw, one: Array, container: str, x: np.ndarray, unit: str, order: list[int], fault: str) -> Any:
    """The values in a container, with all the labels that it can carry."""
    if container == "list":
        return x.tolist()
    if container in ("rows", "masked rows", "tensors"):
        kind = {"rows": np.asarray, "masked rows": np.ma.masked_array, "tensors": _tensor}[container]
        rows = [kind(row) for row in x]
        if fault == "mask":
            rows[0] = np.ma.masked_array(rows[0], np.arange(rows[0].size).reshape(rows[0].shape) == 0)
        return rows
    if container == "masked":
        return np.ma.masked_array(x, np.arange(x.size).reshape(x.shape) == (0 if fault == "mask" else -1))
    if container == "tensor":
        return _tensor(x)
    if container == "table":
        table = pd.DataFrame(x).rename_axis(index=one.dims[0], columns=one.dims[1])
        return table.T if order[0] else table
    if container == "array":
        return x
    names = {dim: draw(st.sampled_from(NAMES.get(dim, (dim,)))) for dim in one.dims}
    if {"y", "x"} <= {*names}:  # of maps both, or of a grid
        names["x"] = names["y"].replace("y", "x")
    dims, attrs = [names[dim] for dim in one.dims], {draw(st.sampled_from(("units", "unit"))): unit}
    if fault == "dim":
        dims[-1] = "mine"
    if one.unit == "1" or one.said or (unit == one.unit and draw(st.booleans())):
        attrs = {}
    if container == "Variable":
        return xr.Variable(dims, x, attrs).transpose(*[dims[k] for k in order])
    return xr.DataArray(x, _coordinates(draw, one, x.shape, dims), dims, attrs=attrs).transpose(
        *[dims[k] for k in order]
    )


def _tensor(x: np.ndarray) -> torch.Tensor:
    z = torch.tensor(np.array(x, order="C"))
    return z.requires_grad_() if z.is_floating_point() else z


def _coordinates(draw, one: Array, shape: tuple[int, ...], dims: list[str]) -> dict[str, Any]:
    """Some of the coordinates, in some unit."""
    coords = {}
    for dim, name, n in zip(one.dims, dims, shape, strict=True):
        if name == "mine" or dim not in one.coords or dim not in one.needs and draw(st.booleans()):
            continue
        values, unit = one.coords[dim][0][:n], one.coords[dim][1]
        word = draw(st.sampled_from((unit, *UNITS.get(unit, ()))))
        values = UNITS[unit][word](values) if word != unit else values
        coords[name] = name, values, {"units": word} if word else {}
    return coords


def _ordered(result: Any) -> Any:
    """A labeled result with plain names and dims in one order."""
    if not isinstance(result, xr.DataArray):
        return result
    result = result.drop_vars([*result.coords]).rename({dim: SAME_DIM[dim] for dim in result.dims if dim in SAME_DIM})
    return result.transpose(*sorted(result.dims, reverse=True))


def differ(a: Any, b: Any, eps: float) -> str:
    """What is not the same in two results; with ``eps`` beyond a hundred times that round-off of the largest number of a part."""
    first, second = (parts(_ordered(result)) for result in (a, b))
    if [one.shape for one in first] != [one.shape for one in second]:
        return f"shapes {[one.shape for one in first]} and {[one.shape for one in second]}"
    for k, (one, other) in enumerate(zip(first, second, strict=True)):
        atol = 100 * eps * float(np.abs(one[np.isfinite(one)]).max(initial=0.0))
        if not np.allclose(one, other, rtol=100 * eps, atol=atol, equal_nan=True):
            return f"part {k}: {np.nanmax(np.abs(one.astype(float) - other.astype(float)))}, to {atol} of {one.dtype}"
    return ""


def described(value: Any) -> str:
    """A drawn form in one line."""
    words = [
        type(value).__name__,
        type(value[0]).__name__ if isinstance(value, list) else str(getattr(value, "dtype", "")),
    ]
    if isinstance(value, xr.DataArray | xr.Variable):
        words += [str(value.dims), str(value.attrs), str({k: v.attrs for k, v in getattr(value, "coords", {}).items()})]
    return " ".join(words)


RIGHT: dict[str, Any] = {}


def right(key: str) -> Any:
    """The result of the plain form, made once."""
    if key not in RIGHT:
        plain = {
            name: xr.DataArray(one.values, {"time": one.coords["time"][0]}, one.dims) if one.needs else one.values
            for name, one in CALLS[key].arrays.items()
        }
        RIGHT[key] = CALLS[key].function(**plain)
    return RIGHT[key]


@pytest.mark.parametrize("key", CALLS)
def test_right_input_stays_right_under_all_changes_at_once(key):
    call = CALLS[key]

    @settings(max_examples=call.examples, deadline=None, derandomize=True, database=None)
    @given(st.data())
    def check(data):
        drawn = {name: data.draw(forms(one), label=name) for name, one in call.arrays.items()}
        found = outcome(call.function, {name: value for name, (value, _) in drawn.items()})
        forms_drawn = "; ".join(f"{name}: {described(value)}" for name, (value, _) in drawn.items())
        assert not isinstance(found, ValueError), f"{found} | {forms_drawn}"
        eps = max([eps for _, eps in drawn.values()] + [float(np.finfo(float).eps) * call.by_container])
        assert not (wrong := differ(right(key), found, eps)), f"{wrong} | {forms_drawn}"

    check()


def faults(one: Array) -> list[str]:
    """In how many ways an array may be wrong."""
    real = one.values.dtype.kind == "f"
    found = ["dim"] if len(one.dims) > 1 and one.dims[-1] in ("time", "x", "xyz") and not one.free else []
    found += ["complex"] if real else []
    found += ["NaN", "mask"] if real and not one.gaps else ["mask"] if not real else []
    found += ["unit"] if one.unit != "1" and not one.said else []
    return found + (["length"] if one.fixed and not one.needs else [])


@pytest.mark.parametrize("key", CALLS)
def test_one_fault_beneath_right_changes_is_refused_by_name(key):
    call = CALLS[key]

    @settings(max_examples=2 * call.examples, deadline=None, derandomize=True, database=None)
    @given(st.data())
    def check(data):
        bad = data.draw(
            st.sampled_from([name for name, one in call.arrays.items() if faults(one)]), label="wrong argument"
        )
        fault = data.draw(st.sampled_from(faults(call.arrays[bad])), label="fault")
        drawn = {name: data.draw(forms(one, fault if name == bad else ""))[0] for name, one in call.arrays.items()}
        found = outcome(call.function, drawn)
        told = f"{fault} of {bad}: {' '.join(repr(found).split()):.200} | {'; '.join(map(described, drawn.values()))}"
        assert isinstance(found, ValueError) and CLEAR.match(str(found)), told
        names = "|".join(
            {
                call.arrays[bad].label or bad,
                *(name for name, one in call.arrays.items() if fault == "length" and one.fixed),
            }
        )
        assert re.match(f"({names})[.:]", str(found)), told

    check()
