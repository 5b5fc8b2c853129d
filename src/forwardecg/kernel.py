"""The compiled time step: diffusion, currents and gates fused in one vectorized loop over flat arrays.

The sheet is stored row after row with a stride that leaves at least one halo cell between rows, and one halo row below
and above, so that all neighbors are views of the same array. Halo faces conduct nothing: halo cells stay at rest.
"""

import numba
import numpy as np

from forwardecg.cell import COMPILE, currents, gates, slow_inward_rate

LANES = 8  # the row stride is a multiple of this, so that aligned loads stay aligned
BLOCK_ROWS = 8  # rows advanced in one run of the vectorized loop
FLUSH_STEPS = 16  # every so many steps tiny u is set to 0: denormal numbers ahead of the front would be slow


def aligned(size: int, fill: float, real: type) -> np.ndarray:
    """A filled one-dimensional array that starts at a cache line."""
    raw = np.full(size + 64, fill, real)
    start = (-raw.ctypes.data % 64) // raw.itemsize
    return raw[start : start + size]


@numba.njit(**COMPILE)
def _advance_cells(new, u, left, right, below, above, v, w, west, east, south, north, c):
    """One time step of a run of cells; returns how many of them crossed u = 1/2 upward.

    Everything arrives as a one-dimensional view and every choice is a select, so that the loop vectorizes.
    """
    half, one, zero = type(c.u_c)(0.5), type(c.u_c)(1), type(c.u_c)(0)
    crossings = zero
    for i in range(new.size):
        new[i] = slow_inward_rate(u[i], c)  # a loop of its own: the constants of both do not fit the registers
    for i in range(new.size):
        u_i = u[i]
        diffusion_x = east[i] * (right[i] - u_i) + west[i] * (left[i] - u_i)
        diffusion_y = north[i] * (above[i] - u_i) + south[i] * (below[i] - u_i)
        J_fi, J_so, J_si = currents(u_i, v[i], w[i], new[i], c)
        v[i], w[i] = gates(u_i, v[i], w[i], c)
        u_new = u_i + (diffusion_x + diffusion_y) - (J_fi + J_so + J_si)
        new[i] = u_new
        crossings += one if u_i < half and u_new >= half else zero
    return crossings


@numba.njit(**COMPILE)
def advance(u, spare, v, w, gx, gy, lat, stimulated, du, c, dt, first, n_steps, stride):
    """``n_steps`` time steps from step number ``first`` on flat arrays with one halo row below, above and beside.

    gx, gy are the face diffusivities times dt / dx^2 at the west and south face of each cell; halo faces are 0, so halo
    cells stay at rest. lat (ms, -1 until activated) is interpolated linearly in time. Returns the current u, the other u.
    """
    half, zero, tiny = type(c.u_c)(0.5), type(c.u_c)(0), type(c.u_c)(1e-20)
    end, block = u.size - stride, BLOCK_ROWS * stride
    for step in range(first, first + n_steps):
        if step % FLUSH_STEPS == 0:
            for i in range(u.size):
                u[i] = u[i] if abs(u[i]) > tiny else zero
        for a in range(stride, end, block):
            b = min(a + block, end)
            crossings = _advance_cells(
                spare[a:b], u[a:b], u[a - 1 : b - 1], u[a + 1 : b + 1], u[a - stride : b - stride], u[a + stride : b + stride],
                v[a:b], w[a:b], gx[a:b], gx[a + 1 : b + 1], gy[a:b], gy[a + stride : b + stride], c,
            )  # fmt: skip
            if crossings > zero:
                for i in range(a, b):
                    if u[i] < half and spare[i] >= half and lat[i] < 0.0:
                        lat[i] = dt * (step + (half - u[i]) / (spare[i] - u[i]))
        for j in range(stimulated.size):
            i = stimulated[j]
            before = spare[i]
            spare[i] = before + du[j]
            if before < half and spare[i] >= half and lat[i] < 0.0:
                lat[i] = dt * (step + 1)
        u, spare = spare, u
    return u, spare
