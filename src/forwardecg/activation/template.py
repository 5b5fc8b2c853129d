"""The voltage of a cell from its activation time: the action potential of a plane wave, whose end is smoothed by its neighbors.

    V_m(t) = up(t - T) + down(t - R),   R - tau div(D grad R) = T

up is the upstroke and the plateau, down the repolarization, both of the wave in the middle of a cable. While they repolarize,
neighbors share charge over the length sqrt(D tau), so that a cell that is activated late repolarizes earlier after it.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from forwardecg.solver.calibration import D_REFERENCE
from forwardecg.solver.simulation import solve
from forwardecg.tissue.cell import FKParams, jit
from forwardecg.tissue.sheet import healthy
from forwardecg.tissue.stimulus import Stimulus, edge_stimulus

PLATEAU = 30.0  # ms after activation at which up ends and down begins
SHARED = 0.5  # of the duration: tau, over which neighbors share charge; fitted on training tissues
BEFORE, FINE = 12.0, 0.25  # ms: of the template before activation, and between its samples
LONGEST_BEAT = 1000.0  # ms, within which the cell is at rest again
BLOCK = 512  # cells of a round at a time, or a row if that is longer
ROUNDS = 25  # of the smoothing; twice as many change no ECG by more than 1e-4 of its variance


class Template(NamedTuple):
    """up and down at ``t`` (ms from activation), in units of u; duration from activation to recovery (u = 0.1) in ms."""

    t: np.ndarray
    up: np.ndarray
    down: np.ndarray
    duration: float


@lru_cache
def template(dx: float, dt: float, cell: FKParams) -> Template:
    """Action potential of a plane wave at D = 0.1 mm^2/ms on a cable of this grid."""
    n = max(round(40 / dx), 40)
    sheet, middle = healthy((1, n), dx, D_REFERENCE), slice(n // 3, n // 2)
    every = dt * max(round(0.5 / dt), 1)
    t_end = every * round(LONGEST_BEAT / every)
    times, u = [], []
    for state in solve(
        sheet, edge_stimulus(sheet), t_end=t_end, every=every, cell=cell, dt=dt, dtype=np.float64, stop_at_rest=True
    ):
        times.append(state.t)
        u.append(state.u[0, middle].copy())
        lat, recovery = state.lat[0, middle].copy(), state.recovery[0, middle].copy()
    if (recovery < 0).any():
        raise ValueError(f"cell: expected an action potential of at most {LONGEST_BEAT:g} ms, got {cell.name}")
    t = np.arange(-BEFORE, times[-1] - lat.max(), FINE)
    mean = np.mean([np.interp(t, times - one, trace) for one, trace in zip(lat, np.array(u).T, strict=True)], axis=0)
    at = np.searchsorted(t, PLATEAU)
    up, down = np.where(t < PLATEAU, mean, mean[at]), np.where(t > PLATEAU, mean - mean[at], 0.0)
    return Template(t, up, down, float((recovery - lat).mean()))


@lru_cache
def capture_delay(amplitude: float, duration: float, dt: float, cell: FKParams) -> float:
    """ms from the start of a stimulus (1/ms, ms) to the activation of a cell under it."""
    alone = healthy((1, 1), 1.0, D_REFERENCE)
    stimulus = Stimulus(mask=np.ones((1, 1), bool), amplitude=amplitude, duration=duration)
    every = dt * max(round((duration + 10) / dt), 1)
    *_, state = solve(alone, stimulus, t_end=every, every=every, cell=cell, dt=dt, calibrated=False, dtype=np.float64)
    if state.lat[0, 0] < 0:
        raise ValueError(f"stimulus amplitude: expected one that activates {cell.name}, got {amplitude:g} /ms")
    return float(state.lat[0, 0])


@jit
def _share(T: np.ndarray, g: np.ndarray, offsets: tuple[int, ...], tau: float, rounds: int) -> np.ndarray:
    """R (1 + tau sum of g_j) = T + tau sum of g_j R_j by Jacobi rounds with the acceleration of Chebyshev; g (cell, neighbor)."""
    # in single precision, for the rounds wait for memory
    rim, n = max(offsets), T.size
    part, fixed, largest = np.zeros((len(offsets), n), np.float32), np.zeros(n, np.float32), 0.0
    for i in range(rim, n - rim):
        total = 0.0
        for k in range(len(offsets)):
            total += tau * g[i, k]
        fixed[i], largest = T[i] / (1 + total), max(largest, total)
        for k in range(len(offsets)):
            part[k, i] = tau * g[i, k] / (1 + total)
    R, value = np.stack((T, T)).astype(np.float32), np.empty(max(BLOCK, rim), np.float32)
    radius, omega = largest / (1 + largest), np.ones(rounds)  # of the iteration: no eigenvalue is larger
    for m in range(1, rounds):
        omega[m] = 1 / (1 - radius * radius * (0.5 if m == 1 else 0.25 * omega[m - 1]))
    blocks = -((2 * rim - n) // value.size)
    # a round follows the one before it at a distance of one block, so that what all rounds need stays in the nearest memory
    for turn in range(blocks + rounds - 1):
        for m in range(max(turn - blocks + 1, 0), min(turn + 1, rounds)):
            i = rim + (turn - m) * value.size
            size, step = min(value.size, n - rim - i), np.float32(omega[m])
            value[:size] = fixed[i : i + size]
            for k in range(len(offsets)):
                weight, beside = part[k, i : i + size], R[m % 2, i + offsets[k] : i + offsets[k] + size]
                for j in range(size):
                    value[j] += weight[j] * beside[j]
            later = R[1 - m % 2, i : i + size]  # still that of two rounds ago
            for j in range(size):
                later[j] = later[j] + step * (value[j] - later[j])
    return R[rounds % 2]


def share(T: np.ndarray, g: np.ndarray, offsets: np.ndarray, duration: float) -> np.ndarray:
    """R of flat times T in ms, with couplings g (cell, neighbor) in 1/ms; duration of the action potential in ms."""
    return _share(T, g, tuple(offsets.tolist()), SHARED * duration, ROUNDS).astype(float)
