"""The data contract: dims, units and names of every variable that passes between parts of the package."""

from typing import Any

import numpy as np

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


def whole_steps(name: str, time: float, step: float, unit: str = "dt") -> int:
    """``time`` as a count of ``step``, both in ms; ValueError, which names both, if it is no positive multiple."""
    n = round(time / step) if np.isfinite(time) else 0
    if n < 1 or abs(n * step - time) > 1e-9 * max(time, 1):
        raise ValueError(f"{name}: expected a positive multiple of {unit} = {step:g} ms, got {time} ms")
    return n
