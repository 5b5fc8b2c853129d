"""Fenton-Karma cell: three currents, two gates, and the parameter sets with their sources.

Fenton and Karma, Chaos 8:20 (1998); Fenton et al., Chaos 12:852 (2002)::

    du/dt = -(J_fi + J_so + J_si)                       p = 1 where u >= u_c, else 0
    J_fi  = -v p (1 - u)(u - u_c) / tau_d               fast inward
    J_so  = u (1 - p) / tau_0 + p / tau_r               slow outward
    J_si  = -w (1 + tanh(k (u - u_c_si))) / (2 tau_si)  slow inward: gate w, never v
    dv/dt = (1 - p)(1 - v) / tau_v_minus - p v / tau_v_plus
    dw/dt = (1 - p)(1 - w) / tau_w_minus - p w / tau_w_plus

``tau_v_minus`` is ``tau_v_minus_high`` where u >= u_v and ``tau_v_minus_low`` below. The names are neutral on purpose:
the 1998 and 2002 papers swap the indices of the two, and public codes disagree.

The compiled functions here are the only implementation of these equations; the solver's row loop inlines them.
"""

import math
from dataclasses import dataclass, fields
from typing import NamedTuple

import numba
import numpy as np

from forwardecg import paths

# Compiled code of a function that inlines another one goes stale when only the other is edited, so the folder of the
# compiled code is named by the text of every module that holds compiled code.
numba.config.CACHE_DIR = str(paths.CACHE / "numba" / paths.code_hash("cell", "kernel"))
COMPILE = {"fastmath": True, "error_model": "numpy", "cache": True}

V_REST, V_SPAN = -85.0, 100.0  # V_m = -85 + 100 u, mV


@dataclass(frozen=True, kw_only=True)
class FKParams:
    """Parameters of the Fenton-Karma model: times in ms, thresholds in units of u."""

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
        for field in fields(self)[2:]:
            value = getattr(self, field.name)
            if not isinstance(value, int | float) or not math.isfinite(value):
                raise ValueError(f"{field.name}: expected a finite number, got {value!r}")
            if field.name.startswith("tau") and value <= 0:
                raise ValueError(f"{field.name}: expected a time > 0 ms, got {value}")
        if not 0 <= self.u_v <= self.u_c < 1:
            raise ValueError(f"u_v, u_c: expected 0 <= u_v <= u_c < 1, got {self.u_v}, {self.u_c}")


FK_CAF = FKParams(
    name="FK-CAF",
    source="chronic-AF atrial set as carried by Nektar++ (FentonKarma.cpp); consistent with the FK-CAF set of "
    "Goodman et al., Europace 7 suppl 2:S135 (2005), attribution unconfirmed",
    tau_v_plus=5.75, tau_v_minus_low=82.5, tau_v_minus_high=60.0, tau_w_plus=300.0, tau_w_minus=400.0,
    tau_d=0.125, tau_0=32.5, tau_r=70.0, tau_si=114.0, k=10.0, u_c_si=0.85, u_c=0.16, u_v=0.04,
)  # fmt: skip
FK_MLR1 = FKParams(
    name="FK-MLR-I",
    source="modified Luo-Rudy I, Fenton and Karma, Chaos 8:20 (1998), table I; one tau_v_minus, so u_v plays no part",
    tau_v_plus=10.0, tau_v_minus_low=18.2, tau_v_minus_high=18.2, tau_w_plus=1020.0, tau_w_minus=80.0,
    tau_d=1 / 5.8, tau_0=12.5, tau_r=130.0, tau_si=127.0, k=10.0, u_c_si=0.85, u_c=0.13, u_v=0.0,
)  # fmt: skip


class Constants(NamedTuple):
    """The parameters as the kernel wants them: one float type, reciprocals taken, gate factors exact over one dt."""

    u_c: float
    u_v: float
    k: float
    k_u_c_si: float
    dt_tau_d: float  # dt / tau_d
    dt_tau_0: float
    dt_tau_r: float
    dt_2_tau_si: float
    decay_v_plus: float  # exp(-dt / tau)
    decay_v_low: float
    decay_v_high: float
    decay_w_plus: float
    decay_w_minus: float


def constants(fk: FKParams, dt: float, real: type = np.float32) -> Constants:
    """Kernel constants of the set ``fk`` for the time step ``dt`` (ms) in the float type ``real``."""
    values = Constants(
        u_c=fk.u_c, u_v=fk.u_v, k=fk.k, k_u_c_si=fk.k * fk.u_c_si,
        dt_tau_d=dt / fk.tau_d, dt_tau_0=dt / fk.tau_0, dt_tau_r=dt / fk.tau_r, dt_2_tau_si=dt / (2 * fk.tau_si),
        decay_v_plus=math.exp(-dt / fk.tau_v_plus),
        decay_v_low=math.exp(-dt / fk.tau_v_minus_low), decay_v_high=math.exp(-dt / fk.tau_v_minus_high),
        decay_w_plus=math.exp(-dt / fk.tau_w_plus), decay_w_minus=math.exp(-dt / fk.tau_w_minus),
    )  # fmt: skip
    return Constants(*(real(value) for value in values))


# Inside the compiled functions every literal takes the float type of the state: a bare 1.0 is float64 and would halve
# the width of the float32 loop.


@numba.njit(**COMPILE)
def fast_tanh(x):
    """Rational tanh, x N(x^2) / D(x^2): no library call, so that the row loop vectorizes.

    Our least-squares fit on |x| <= 7, where it is made to end at 1 exactly, so that the rest state stays at rest.
    The error is below 2e-6.
    """
    real = type(x)
    x = min(max(x, real(-7.0)), real(7.0))
    s = x * x
    s2 = s * s
    n = (real(0.99999645) + s * real(0.123021918)) + s2 * (real(0.00227699031) + s * real(3.93001434e-06))
    d = (real(1.0) + s * real(0.456340309)) + s2 * (real(0.021072178) + s * real(0.00014235081))
    return x * n / d


@numba.njit(**COMPILE)
def slow_inward_rate(u, c):
    """dt (1 + tanh(k (u - u_c_si))) / (2 tau_si): what multiplies -w in J_si, and depends on u alone."""
    return (type(u)(1) + fast_tanh(c.k * u - c.k_u_c_si)) * c.dt_2_tau_si


@numba.njit(**COMPILE)
def currents(u, v, w, rate_si, c):
    """The three currents J_fi, J_so, J_si of one cell in the state (u, v, w), each times dt.

    ``rate_si`` is `slow_inward_rate` of u: it is passed in, since the solver takes it in a loop of its own.
    """
    one, zero = type(u)(1), type(u)(0)
    excited = u >= c.u_c  # p
    J_fi = -v * ((one - u) * (u - c.u_c)) * c.dt_tau_d if excited else zero
    J_so = c.dt_tau_r if excited else u * c.dt_tau_0
    J_si = -w * rate_si
    return J_fi, J_so, J_si


@numba.njit(**COMPILE)
def gates(u, v, w, c):
    """The gates v, w one time step later at fixed u: their equations are linear, so this is exact."""
    one, zero = type(u)(1), type(u)(0)
    excited = u >= c.u_c
    decay_v = c.decay_v_plus if excited else (c.decay_v_high if u >= c.u_v else c.decay_v_low)
    decay_w = c.decay_w_plus if excited else c.decay_w_minus
    v = v * decay_v + (zero if excited else one - decay_v)
    w = w * decay_w + (zero if excited else one - decay_w)
    return v, w
