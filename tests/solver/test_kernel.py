"""The compiled step: decay of a mode (V2), conservation and rest (V3), times of recovery, speed-critical assembly."""

import os
import platform
import re
import subprocess
import sys

import numpy as np
import pytest
from solver.sheets import PASSIVE, small_sheet

from forwardecg.solver.simulation import solve
from forwardecg.tissue.grid import Grid
from forwardecg.tissue.sheet import healthy
from forwardecg.tissue.stimulus import edge_stimulus, focal_stimulus


def test_cosine_mode_decays_as_theory_says():
    """V2: with the reaction off the first cosine mode of the stimulated sheet decays as exp(-D k^2 t)."""
    n, dx, D = 64, 0.25, 0.1
    stimulus = [edge_stimulus(Grid((4, n), dx), width=4.0, duration=1.0)]
    k = np.pi / (n * dx)
    mode = np.cos(k * (np.arange(n) + 0.5) * dx)
    amplitude = {}
    states = solve(
        healthy((4, n), dx, D), stimulus, t_end=101, every=1, dt=0.01, cell=PASSIVE, calibrated=False, dtype=np.float64
    )
    for state in states:
        amplitude[round(state.t)] = (state.u[1] * mode).mean()
    k_grid = 2 / dx * np.sin(k * dx / 2)  # the mode is an eigenvector of the discrete operator with this eigenvalue
    assert amplitude[101] / amplitude[1] == pytest.approx((1 - 0.01 * D * k_grid**2) ** 10_000, rel=1e-9)
    assert amplitude[101] / amplitude[1] == pytest.approx(np.exp(-D * k**2 * 100), rel=2e-3)


def test_diffusion_conserves_and_fibrosis_stays_at_rest():
    """V3: without reaction the content of the sheet is constant after the stimulus; non-conductive cells stay at 0."""
    tissue = small_sheet()
    content = []
    for state in solve(
        tissue,
        [focal_stimulus(Grid((48, 48), 0.5), 12, 12)],
        t_end=60,
        every=10,
        cell=PASSIVE,
        calibrated=False,
        dtype=np.float64,
    ):
        assert np.abs(state.u[~tissue.conductive]).max() < 1e-280
        content.append(state.u.sum())
    assert content[1] > 1
    assert np.allclose(content[1:], content[1], rtol=1e-11)


def test_fibrosis_stays_at_rest_under_a_full_beat():
    tissue = small_sheet()
    for state in solve(tissue, [edge_stimulus(Grid((48, 48), 0.5))], t_end=120, every=20):
        assert not state.u[~tissue.conductive].any()
        assert state.u.min() > -0.05 and state.u.max() < 1.2
    assert (state.lat[tissue.conductive] >= 0).mean() > 0.9
    assert (state.lat[~tissue.conductive] == -1).all()


def test_results_do_not_depend_on_how_often_they_are_read():
    tissue, stimuli = small_sheet(2), [edge_stimulus(Grid((48, 48), 0.5), duration=1.5)]
    states = {every: list(solve(tissue, stimuli, t_end=40, every=every))[-1] for every in (0.5, 8)}
    assert np.array_equal(states[0.5].u, states[8].u) and np.array_equal(states[0.5].lat, states[8].lat)


def test_recovery_time_is_the_fall_below_one_tenth():
    """Against the crossing of u = 0.1 in states saved at every step; the kernel looks every eighth step only."""
    tissue, run = small_sheet(2, n=24), dict(t_end=160, every=0.1, dtype=np.float64)
    u = []
    for state in solve(tissue, [edge_stimulus(Grid((24, 24), 0.5))], **run):
        u.append(state.u.copy())
    u, t = np.array(u), 0.1 * np.arange(len(u))
    active = state.recovery >= 0
    assert np.array_equal(active, state.lat >= 0) and active.mean() > 0.5
    for y, x in np.argwhere(active)[::7]:
        trace = u[:, y, x]
        n = np.flatnonzero((trace[:-1] >= 0.1) & (trace[1:] < 0.1) & (t[1:] > state.lat[y, x]))[0]
        exact = t[n] + 0.1 * (trace[n] - 0.1) / (trace[n] - trace[n + 1])
        assert state.recovery[y, x] == pytest.approx(exact, abs=0.03)


def test_states_hold_the_gates_and_one_stimulus_needs_no_list():
    sheet = healthy((1, 40), 0.5, 0.12)
    for state in solve(sheet, edge_stimulus(Grid((1, 40), 0.5)), t_end=30):
        u, v, w = (part[0, 5] for part in (state.u, state.v, state.w))
        assert 0 <= v <= 1 and 0 <= w <= 1
    assert u > 0.5 and v < 0.1 and w < 1, "on the plateau the fast gate is closed and the slow one is closing"


WIDTHS = {  # what numba compiles for: a processor and its features
    "256 bits": ("haswell", "+avx2,+fma"),
    "512 bits": ("skylake-avx512", "+avx2,+fma,+avx512f,+avx512vl,+avx512dq,+avx512bw"),
}
COMPILED = """
import sys
import llvmlite.binding
llvmlite.binding.get_host_cpu_features = lambda: {"avx512f": "avx512f" in sys.argv[1]}
import numpy as np
from numba import typeof
from forwardecg.tissue.cell import FK_CAF, constants
from forwardecg.solver.kernel import advance
flat = lambda size=200: np.zeros(size, np.float32)
cell = constants(FK_CAF, 0.1, np.float32)
state = flat(), flat(), flat(), flat(), (flat(), flat(), flat(0), flat(0)), flat(), flat()
run = np.zeros((1, 4), np.int64), *state, np.zeros(0, np.int64), flat(0), cell, 0.1, 0, 1, 16
fresh = type(advance)(advance.py_func, targetoptions={"fastmath": True, "error_model": "numpy"})  # not from the cache
fresh.compile(tuple(map(typeof, run)))
print(*fresh.inspect_asm().values())
"""
ARITHMETIC = r"v(?:fn?m(?:add|sub)\d+|mul|add|sub|div)"


def inner_loops(asm: str) -> dict[str, list[list[str]]]:
    """The instructions of every loop without a branch inside, by the function that it stands in."""
    found, function, label, lines = {}, "", "", []
    for line in map(str.strip, asm.splitlines()):
        if name := re.match(r"(\.?\w+):", line):
            label, lines = name[1], []
            function = function if label.startswith(".") else label
        elif re.match(rf"j\w+\s+{re.escape(label)}$", line):
            found.setdefault(function, []).append(lines)
            lines = []
        else:
            lines.append(line)
    return found


@pytest.mark.parametrize("width", WIDTHS)
def test_hot_loop_is_vectorized(width):
    """The inner loops of the float32 step work on whole vectors, whatever their width: a scalar is left to remainders only."""
    if platform.machine() != "x86_64":
        pytest.skip("reads x86 assembly")
    cpu, features = WIDTHS[width]
    target = {"NUMBA_CPU_NAME": cpu, "NUMBA_CPU_FEATURES": features}
    done = subprocess.run(
        [sys.executable, "-c", COMPILED, features], env=os.environ | target, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    loops = inner_loops(done.stdout)
    for name in ("_advance_isotropic", "_advance_anisotropic"):
        (hot,) = [inside for function, inside in loops.items() if name in function]
        assert not any(re.match(ARITHMETIC + "(s[sd]|pd)", line) for loop in hot for line in loop)
        assert not any("cvtss2sd" in line for loop in hot for line in loop)
        packed = [
            line for loop in hot for line in loop if re.match(ARITHMETIC + "ps", line) and re.search("[yz]mm", line)
        ]
        assert len(packed) >= 30  # products and sums that the equations ask of one cell
