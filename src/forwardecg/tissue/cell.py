"""Fenton-Karma cell, du/dt = -(J_fi + J_so + J_si): three currents, two gates, parameter sets with their sources.

Fenton and Karma, Chaos 8:20 (1998); Fenton et al., Chaos 12:852 (2002).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import NamedTuple

import numba
import numpy as np

from forwardecg.cache import code_hash, settle
from forwardecg.contract import instance, number
from forwardecg.paths import CACHE


def jit(function: Callable) -> Callable:
    """`numba.njit`, with the compiled code kept in a folder that is named by the code of all compiled modules."""
    # else a function that inlines another one would go stale when only the other is edited
    before = numba.config.CACHE_DIR  # of the user: asked for when a function is compiled, and given back
    numba.config.CACHE_DIR = str(Path(before or CACHE / "numba") / code_hash(["tissue/cell", "solver/kernel"]))
    options = {"fastmath": True, "error_model": "numpy", "nogil": True}  # threads may share a sheet
    try:
        return numba.njit(**options, cache=True)(function)
    except RuntimeError:  # no folder can be written to: each process compiles anew
        return numba.njit(**options)(function)
    finally:
        numba.config.CACHE_DIR = before


@dataclass(frozen=True, kw_only=True)
class FKParams:
    """Parameters of the Fenton-Karma model; the papers, and public codes, swap the indices of the two tau_v_minus.

    Args:
        name, source: what the set is called, and where it was published.
        tau_v_plus, tau_v_minus_low, tau_v_minus_high: ms, of the fast gate v: closing; opening at u < u_v, at u >= u_v.
        tau_w_plus, tau_w_minus: ms, of the slow gate w: closing, opening.
        tau_d, tau_0, tau_r, tau_si: ms, of the currents: fast inward, slow outward below and above u_c, slow inward.
        k, u_c_si: steepness and middle of the slow inward current.
        u_c, u_v: thresholds of u.

    Raises:
        ValueError: A parameter that is not finite, a time not above 0, thresholds out of order, k outside 0 .. 25.

    Examples:
        >>> from dataclasses import replace
        >>> replace(FK_CAF, name="slower", tau_d=0.25).tau_d
        0.25
    """

    name: str
    source: str
    tau_v_plus: float
    tau_v_minus_low: float  # u < u_v
    tau_v_minus_high: float  # u_v <= u < u_c
    tau_w_plus: float
    tau_w_minus: float
    tau_d: float
    tau_0: float
    tau_r: float
    tau_si: float
    k: float
    u_c_si: float
    u_c: float
    u_v: float

    def __post_init__(self) -> None:
        for field in fields(self)[:2]:
            instance(field.name, getattr(self, field.name), str)
        for field in fields(self)[2:]:
            value, time = getattr(self, field.name), field.name.startswith("tau")
            low = 0 if time else -math.inf
            settle(self, **{field.name: number(field.name, value, low, unit="ms" * time, above=time)})
        if not 0 <= self.u_v <= self.u_c < 1 or self.u_c == 0:
            raise ValueError(f"u_v, u_c: expected 0 <= u_v <= u_c < 1 and u_c > 0, got {self.u_v}, {self.u_c}")
        if not 0 < self.k <= 25:  # the range of `slow_inward_rate`
            raise ValueError(f"k: expected a steepness in 0 < k <= 25, got {self.k}")


#: Atrium in chronic fibrillation, the cell of the data sets.
FK_CAF = FKParams(
    name="FK-CAF",
    source="chronic-AF atrial set as carried by Nektar++ (FentonKarma.cpp); consistent with the FK-CAF set of "
    "Goodman et al., Europace 7 suppl 2:S135 (2005), attribution unconfirmed",
    tau_v_plus=5.75, tau_v_minus_low=82.5, tau_v_minus_high=60.0, tau_w_plus=300.0, tau_w_minus=400.0,
    tau_d=0.125, tau_0=32.5, tau_r=70.0, tau_si=114.0, k=10.0, u_c_si=0.85, u_c=0.16, u_v=0.04,
)  # fmt: skip
#: Modified Luo-Rudy I.
FK_MLR1 = FKParams(
    name="FK-MLR-I",
    source="modified Luo-Rudy I, Fenton and Karma, Chaos 8:20 (1998), table I; one tau_v_minus, so u_v plays no part",
    tau_v_plus=10.0, tau_v_minus_low=18.2, tau_v_minus_high=18.2, tau_w_plus=1020.0, tau_w_minus=80.0,
    tau_d=1 / 5.8, tau_0=12.5, tau_r=130.0, tau_si=127.0, k=10.0, u_c_si=0.85, u_c=0.13, u_v=0.0,
)  # fmt: skip
#: Modified Beeler-Reuter.
FK_MBR = FKParams(
    name="FK-MBR", source="modified Beeler-Reuter, Fenton and Karma, Chaos 8:20 (1998), table I",
    tau_v_plus=3.33, tau_v_minus_low=19.2, tau_v_minus_high=1000.0, tau_w_plus=667.0, tau_w_minus=11.0,
    tau_d=0.25, tau_0=8.3, tau_r=50.0, tau_si=44.84, k=10.0, u_c_si=0.85, u_c=0.13, u_v=0.04,
)  # fmt: skip
#: Beeler-Reuter.
FK_BR = FKParams(
    name="FK-BR", source="Beeler-Reuter, Fenton and Karma, Chaos 8:20 (1998), table I",
    tau_v_plus=3.33, tau_v_minus_low=19.6, tau_v_minus_high=1250.0, tau_w_plus=870.0, tau_w_minus=41.0,
    tau_d=0.25, tau_0=12.5, tau_r=33.33, tau_si=29.0, k=10.0, u_c_si=0.85, u_c=0.13, u_v=0.04,
)  # fmt: skip
#: Guinea pig.
FK_GP = FKParams(
    name="FK-GP", source="guinea pig, Fenton and Karma, Chaos 8:20 (1998), table I",
    tau_v_plus=10.0, tau_v_minus_low=40.0, tau_v_minus_high=333.0, tau_w_plus=1000.0, tau_w_minus=65.0,
    tau_d=1 / 8.7, tau_0=12.5, tau_r=25.0, tau_si=22.22, k=10.0, u_c_si=0.85, u_c=0.13, u_v=0.025,
)  # fmt: skip
#: All five sets.
FK_SETS = (FK_CAF, FK_MLR1, FK_MBR, FK_BR, FK_GP)


class Constants(NamedTuple):
    """The parameters as the kernel wants them: one float type, reciprocals taken, gate factors exact over one dt."""

    u_c: float
    u_v: float
    k_8: float  # k / 8
    k_8_u_c_si: float
    dt_tau_d: float  # dt / tau_d
    dt_tau_0: float
    dt_tau_r: float
    dt_tau_si: float
    decay_v_plus: float  # exp(-dt / tau)
    decay_v_low: float
    decay_v_high: float
    decay_w_plus: float
    decay_w_minus: float


def constants(cell: FKParams, dt: float, dtype: type = np.float32) -> Constants:
    """Constants of the set ``cell`` for the time step ``dt`` (ms), each of them of the float type ``dtype``."""
    values = Constants(
        u_c=cell.u_c, u_v=cell.u_v, k_8=cell.k / 8, k_8_u_c_si=cell.k * cell.u_c_si / 8,
        dt_tau_d=dt / cell.tau_d, dt_tau_0=dt / cell.tau_0, dt_tau_r=dt / cell.tau_r, dt_tau_si=dt / cell.tau_si,
        decay_v_plus=math.exp(-dt / cell.tau_v_plus),
        decay_v_low=math.exp(-dt / cell.tau_v_minus_low), decay_v_high=math.exp(-dt / cell.tau_v_minus_high),
        decay_w_plus=math.exp(-dt / cell.tau_w_plus), decay_w_minus=math.exp(-dt / cell.tau_w_minus),
    )  # fmt: skip
    return Constants(*(dtype(value) for value in values))


# Inside the compiled functions every literal takes the float type of the state: a bare 1.0 is float64 and would halve
# the width of the float32 loop. Choices test `resting` alone: a second comparison for its opposite costs a port.


@jit
def slow_inward_rate(u: float, c: Constants) -> float:
    """What multiplies -w in J_si, times dt: (1 + tanh(k (u - u_c_si))) / (2 tau_si) = 1 / (tau_si (1 + exp(16 y)))."""
    # y = k (u_c_si - u) / 8, and exp(y) is its Taylor polynomial of degree 4: one division and no library call, so that
    # the loop vectorizes. The error is below 4e-6 of the largest rate for u < u_c_si + 20 / k. A cell exactly at rest
    # stays there: the true rate at u = 0 is 4e-8 of the largest one.
    one, zero = type(u)(1), type(u)(0)
    y = c.k_8_u_c_si - c.k_8 * u
    e = one + y * (one + y * (type(u)(1 / 2) + y * (type(u)(1 / 6) + y * type(u)(1 / 24))))
    e = e * e
    e = e * e
    e = e * e
    e = e * e
    return c.dt_tau_si / (one + e) if u != zero else zero


@jit
def currents(u: float, v: float, w: float, rate_si: float, c: Constants) -> tuple[float, float, float]:
    """J_fi, J_so and J_si of one cell in the state (u, v, w), each times dt; ``rate_si`` is `slow_inward_rate`."""
    zero = type(u)(0)
    resting = u < c.u_c  # p = 0, else 1
    J_fi = zero if resting else -v * ((c.dt_tau_d - c.dt_tau_d * u) * (u - c.u_c))  # -v p (1 - u)(u - u_c) / tau_d
    J_so = u * c.dt_tau_0 if resting else c.dt_tau_r  # u (1 - p) / tau_0 + p / tau_r
    J_si = -w * rate_si  # -w (1 + tanh(k (u - u_c_si))) / (2 tau_si): gate w, never v
    return J_fi, J_so, J_si


@jit
def gates(u: float, v: float, w: float, c: Constants) -> tuple[float, float]:
    """The gates one step on at fixed u, exactly: dv/dt = (1 - p)(1 - v) / tau_v_minus - p v / tau_v_plus, w alike."""
    one, zero = type(u)(1), type(u)(0)
    resting = u < c.u_c
    decay_v = (c.decay_v_low if u < c.u_v else c.decay_v_high) if resting else c.decay_v_plus
    decay_w = c.decay_w_minus if resting else c.decay_w_plus
    v = v * decay_v + (one - decay_v if resting else zero)
    w = w * decay_w + (one - decay_w if resting else zero)
    return v, w
