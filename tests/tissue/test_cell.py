"""Fenton-Karma: rest state, gates, currents, and both sides of the two thresholds (V9)."""

import math
from dataclasses import replace

import numpy as np
import pytest

from forwardecg.tissue.cell import FK_CAF, FK_SETS, constants, currents, gates, slow_inward_rate

DT = 0.01


@pytest.fixture(params=FK_SETS, ids=lambda cell: cell.name)
def cell(request):
    return request.param


def rates(u, v, w, cell):
    """Currents in 1/ms and gate rates in 1/ms, in double precision."""
    c = constants(cell, DT, np.float64)
    v_new, w_new = gates(u, v, w, c)
    return [J / DT for J in currents(u, v, w, slow_inward_rate(u, c), c)], (v_new - v) / DT, (w_new - w) / DT


def test_rates_vanish_at_rest(cell):
    J, dv, dw = rates(0.0, 1.0, 1.0, cell)
    assert np.allclose(J, 0, atol=1e-10) and dv == 0 and dw == 0


def test_currents_follow_the_published_formulas(cell):
    for u in (0.02, 0.1, 0.2, 0.5, 0.9, 1.1):
        v, w = 0.7, 0.4
        p = float(u >= cell.u_c)
        J_fi, J_so, J_si = rates(u, v, w, cell)[0]
        assert J_fi == pytest.approx(-v * p * (1 - u) * (u - cell.u_c) / cell.tau_d, rel=1e-12)
        assert J_so == pytest.approx(u * (1 - p) / cell.tau_0 + p / cell.tau_r, rel=1e-12)
        assert J_si == pytest.approx(
            -w * (1 + math.tanh(cell.k * (u - cell.u_c_si))) / (2 * cell.tau_si), abs=4e-6 / cell.tau_si
        )


def test_J_si_depends_on_w_only_and_J_fi_on_v_only(cell):
    """A public code passes v where the slow inward current needs w."""
    (fi, _, si), *_ = rates(0.8, 0.5, 0.5, cell)
    (fi_v, _, si_v), *_ = rates(0.8, 0.6, 0.5, cell)
    (fi_w, _, si_w), *_ = rates(0.8, 0.5, 0.6, cell)
    assert si_v == si and si_w != si
    assert fi_w == fi and fi_v != fi


def test_v_recovers_with_low_below_u_v_and_high_above():
    cell = replace(FK_CAF, tau_v_minus_low=80.0, tau_v_minus_high=20.0)
    _, below, _ = rates(cell.u_v - 1e-3, 0.0, 1.0, cell)
    _, above, _ = rates(cell.u_v + 1e-3, 0.0, 1.0, cell)
    assert below == pytest.approx(-math.expm1(-DT / 80) / DT)
    assert above == pytest.approx(-math.expm1(-DT / 20) / DT)


def test_gates_are_the_exact_solution(cell):
    c = constants(cell, DT, np.float64)
    v = w = 0.3
    for _ in range(500):
        v, w = gates(0.9, v, w, c)
    assert v == pytest.approx(0.3 * math.exp(-500 * DT / cell.tau_v_plus), rel=1e-12)
    assert w == pytest.approx(0.3 * math.exp(-500 * DT / cell.tau_w_plus), rel=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_slow_inward_rate_is_the_hyperbolic_tangent(cell, dtype):
    c, u = constants(cell, DT, dtype), np.linspace(-0.3, 1.6, 4001).astype(dtype)
    rate = np.array([slow_inward_rate(value, c) for value in u]) * (cell.tau_si / DT)
    assert rate.dtype == dtype or rate.dtype == np.float64
    assert np.abs(rate - (1 + np.tanh(cell.k * (u.astype(float) - cell.u_c_si))) / 2).max() < 5e-6
    assert slow_inward_rate(dtype(0), c) == 0  # exactly: a cell at rest stays there


def test_parameters_are_checked():
    with pytest.raises(ValueError, match="tau_d: expected a number > 0 ms, got 0"):
        replace(FK_CAF, tau_d=0)
    with pytest.raises(ValueError, match="k: expected a steepness in 0 < k <= 25, got 30"):
        replace(FK_CAF, k=30)
    with pytest.raises(ValueError, match="u_c > 0, got 0, 0"):
        replace(FK_CAF, u_c=0, u_v=0)
    assert replace(FK_CAF, tau_d=np.float32(0.125)).tau_d == 0.125
    with pytest.raises(ValueError, match="tau_d: expected a number > 0 ms, got True"):
        replace(FK_CAF, tau_d=True)
    with pytest.raises(ValueError, match="u_v, u_c"):
        replace(FK_CAF, u_v=0.5)
    with pytest.raises(ValueError, match="tau_si: expected a number > 0 ms, got nan"):
        replace(FK_CAF, tau_si=float("nan"))
