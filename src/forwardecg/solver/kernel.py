"""The compiled time step: diffusion, currents and gates in vectorized loops over flat arrays.

The sheet is stored row after row with a stride that leaves at least one halo cell between rows, one halo row below and
above, and LANES cells more at both ends, so that all neighbors are views of the same array. Halo couplings are 0: halo
cells stay at rest.
"""

import platform
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from llvmlite.binding import get_host_cpu_features

from forwardecg.tissue.cell import Constants, compiled, currents, gates, slow_inward_rate
from forwardecg.tissue.diffusion import Couplings

# With 16 vector registers the slow inward rate is taken in a loop of its own, since the constants of both do not fit.
SPLIT = platform.machine() in ("x86_64", "AMD64") and not get_host_cpu_features().get("avx512f")
LANES = 16  # the row stride is a multiple of this, so that a block of rows starts at a cache line
BLOCK_ROWS = 32  # rows advanced in one run of the vectorized loops
RECOVERY_STEPS = 8  # every so many steps cells are looked at for repolarization
RECOVERED = 0.1  # u of 90 % repolarization
WAITING = -2.0  # in place of the recovery time of a cell that is activated and has not recovered
CHUNK = 128  # cells looked at together, in a vectorized loop, before any is looked at alone


def aligned(size: int, fill: float, real: type, page_offset: int = 0) -> np.ndarray:
    """A filled one-dimensional array that starts ``page_offset`` bytes after the start of a memory page.

    Arrays read side by side need different offsets: equal ones compete for the same few lines of the fastest cache.

    Parameters
    ----------
    size, fill : length, and the value of every entry
    real : np.float32 or np.float64
    page_offset : bytes, a multiple of the size of an entry

    Returns
    -------
    array : (size,)

    Examples
    --------
    >>> array = aligned(5, 0.0, np.float64, page_offset=448)
    >>> array.size, array.ctypes.data % 4096
    (5, 448)
    """
    raw = np.full(size + 8192 // np.dtype(real).itemsize, fill, real)  # type: ignore[var-annotated]
    start = (-raw.ctypes.data % 4096 + page_offset) // raw.itemsize
    return raw[start : start + size]


@compiled
def _rates(new, u, c):
    """The slow inward rate of every cell into ``new``, if SPLIT."""
    if SPLIT:
        for i in range(new.size):
            new[i] = slow_inward_rate(u[i], c)


@compiled
def _react(i, new, u, v, w, diffusion, c):
    """Cell i one time step later, given div(D grad u) dt and, if SPLIT, its rate in ``new``; 1 if it crossed u = 1/2."""
    half, one, zero = type(c.u_c)(0.5), type(c.u_c)(1), type(c.u_c)(0)
    u_i = u[i]
    rate_si = new[i] if SPLIT else slow_inward_rate(u_i, c)
    J_fi, J_so, J_si = currents(u_i, v[i], w[i], rate_si, c)
    v[i], w[i] = gates(u_i, v[i], w[i], c)
    u_new = u_i + diffusion - (J_fi + J_so + J_si)
    new[i] = u_new
    return one if u_i < half and u_new >= half else zero


@compiled
def _advance_isotropic(new, u, left, right, below, above, v, w, west, east, south, north, c):
    """One time step of a run of cells; returns how many of them crossed u = 1/2 upward.

    Everything arrives as a one-dimensional view and every choice is a select, so that the loops vectorize.
    """
    crossings = type(c.u_c)(0)
    _rates(new, u, c)
    for i in range(new.size):
        diffusion_x = east[i] * (right[i] - u[i]) + west[i] * (left[i] - u[i])
        diffusion_y = north[i] * (above[i] - u[i]) + south[i] * (below[i] - u[i])
        crossings += _react(i, new, u, v, w, diffusion_x + diffusion_y, c)
    return crossings


@compiled
def _advance_anisotropic(new, u, left, right, below, above, v, w, west, east, south, north, corners, weights, c):
    """The same with the four diagonal neighbors: corners (sw, ne, se, nw) are views of u, weights their couplings."""
    sw, ne, se, nw = corners
    g_sw, g_ne, g_se, g_nw = weights
    crossings = type(c.u_c)(0)
    _rates(new, u, c)
    for i in range(new.size):
        diffusion_x = east[i] * (right[i] - u[i]) + west[i] * (left[i] - u[i])
        diffusion_y = north[i] * (above[i] - u[i]) + south[i] * (below[i] - u[i])
        rising = g_sw[i] * (sw[i] - u[i]) + g_ne[i] * (ne[i] - u[i])
        falling = g_se[i] * (se[i] - u[i]) + g_nw[i] * (nw[i] - u[i])
        crossings += _react(i, new, u, v, w, diffusion_x + diffusion_y + (rising + falling), c)
    return crossings


@compiled
def _record_activation(u, new, lat, recovery, step, dt):
    """Activation times of the cells that cross u = 1/2 in this step for the first time."""
    half, one, zero = type(u[0])(0.5), type(u[0])(1), type(u[0])(0)
    for first in range(0, u.size, CHUNK):
        old_u, new_u, hits = u[first : first + CHUNK], new[first : first + CHUNK], zero
        for i in range(old_u.size):
            hits += one if (old_u[i] < half) & (new_u[i] >= half) else zero
        if hits > zero:
            for i in range(first, first + old_u.size):
                if u[i] < half and new[i] >= half and lat[i] < zero:
                    lat[i], recovery[i] = dt * (step + (half - u[i]) / (new[i] - u[i])), WAITING


@compiled
def _record_recovery(u, new, recovery, step, dt):
    """Recovery times of the activated cells that are below u = RECOVERED by now."""
    level, waiting, one, zero = type(u[0])(RECOVERED), type(u[0])(WAITING), type(u[0])(1), type(u[0])(0)
    for first in range(0, u.size, CHUNK):
        new_u, since, hits = new[first : first + CHUNK], recovery[first : first + CHUNK], zero
        for i in range(new_u.size):
            hits += one if (since[i] == waiting) & (new_u[i] < level) else zero
        if hits > zero:
            for i in range(first, first + new_u.size):
                if recovery[i] == waiting and new[i] < level and new[i] < u[i]:
                    recovery[i] = dt * (step + 1 - (level - new[i]) / (u[i] - new[i]))


@compiled
def advance(u, spare, v, w, g, lat, recovery, stimulated, du, c, dt, first, n_steps, stride):
    """``n_steps`` time steps from step number ``first`` on flat arrays with one halo row below, above and beside.

    g = (g_x, g_y, g_ne, g_nw) are the couplings times dt / dx^2 at the west face, the south face and the south-west
    corner of each cell, the last two of size 0 in isotropic tissue. lat and recovery (ms, negative until then) are the
    first upward crossing of u = 1/2, linear between steps, and the first fall below u = RECOVERED after it, looked for
    every RECOVERY_STEPS steps and traced back along the slope of the last one. Returns the current u and the other u.

    Parameters
    ----------
    u, spare : voltage, and an array of its size for the next step
    v, w : gates
    g : couplings
    lat, recovery : ms, written in place
    stimulated, du : indices of the stimulated cells, and what each gets in a step
    c : `cell.Constants` for this dt
    dt : ms
    first, n_steps : number of the first step, and how many
    stride : cells from one row to the next, a multiple of `LANES`

    Returns
    -------
    u, spare : the current voltage, and the other array
    """
    half, zero = type(c.u_c)(0.5), type(c.u_c)(0)
    g_x, g_y, g_ne, g_nw = g
    start, block = LANES + stride, BLOCK_ROWS * stride
    end = u.size - start
    for step in range(first, first + n_steps):
        for a in range(start, end, block):
            b = min(a + block, end)
            s, n = a - stride, b - stride
            above, below = u[a + stride : b + stride], u[s:n]
            west, east, south, north = g_x[a:b], g_x[a + 1 : b + 1], g_y[a:b], g_y[a + stride : b + stride]
            if g_ne.size:
                crossings = _advance_anisotropic(
                    spare[a:b], u[a:b], u[a - 1 : b - 1], u[a + 1 : b + 1], below, above,
                    v[a:b], w[a:b], west, east, south, north,
                    (u[s - 1 : n - 1], u[a + stride + 1 : b + stride + 1], u[s + 1 : n + 1], u[a + stride - 1 : b + stride - 1]),
                    (g_ne[a:b], g_ne[a + stride + 1 : b + stride + 1], g_nw[a + 1 : b + 1], g_nw[a + stride : b + stride]), c,
                )  # fmt: skip
            else:
                crossings = _advance_isotropic(
                    spare[a:b], u[a:b], u[a - 1 : b - 1], u[a + 1 : b + 1], below, above,
                    v[a:b], w[a:b], west, east, south, north, c,
                )  # fmt: skip
            if crossings > zero:
                _record_activation(u[a:b], spare[a:b], lat[a:b], recovery[a:b], step, dt)
        for j in range(stimulated.size):
            i = stimulated[j]
            before = spare[i]
            spare[i] = before + du[j]
            if before < half and spare[i] >= half and lat[i] < zero:
                lat[i], recovery[i] = dt * (step + 1), WAITING
        if (step + 1) % RECOVERY_STEPS == 0:
            _record_recovery(u[start:end], spare[start:end], recovery[start:end], step, dt)
        u, spare = spare, u
    return u, spare


class State(NamedTuple):
    """The sheet at time t (ms): u, the gates v and w, lat and recovery (y, x), the times in ms, negative until then.

    Views of the running solution, which the next step overwrites: copy what is to be kept.

    Parameters
    ----------
    t : ms
    u, v, w : (y, x), voltage and gates
    lat : (y, x), ms, first upward crossing of u = 1/2
    recovery : (y, x), ms, first fall below u = 0.1 after it
    """

    t: float
    u: np.ndarray
    v: np.ndarray
    w: np.ndarray
    lat: np.ndarray  # first upward crossing of u = 1/2
    recovery: np.ndarray  # first fall below u = 0.1 after it


class Pulse(NamedTuple):
    """A stimulus in time steps: cells (y, x) bool get ``du`` in each of the steps on .. off - 1.

    Parameters
    ----------
    cells : (y, x) bool
    on, off : first step, and the one after the last
    du : added to u in each of them
    """

    cells: np.ndarray
    on: int
    off: int
    du: float


def march(
    g: Couplings, dx: float, dt: float, c: Constants, pulses: Sequence[Pulse], n_every: int, n_end: int
) -> Iterator[State]:
    """The state at rest, then one `State` each ``n_every`` steps up to step ``n_end``, in the float type of ``c``.

    Parameters
    ----------
    g : couplings in mm^2/ms
    dx, dt : mm, ms
    c : constants for this dt; their type is that of the solution
    pulses : stimuli, in steps
    n_every, n_end : steps between states, and in all

    Yields
    ------
    state : its arrays are overwritten by the next step

    Raises
    ------
    FloatingPointError
        The solution left the finite numbers.

    Examples
    --------
    >>> from forwardecg.tissue.cell import FK_CAF, constants
    >>> from forwardecg.tissue.diffusion import face_diffusivity
    >>> g, c = face_diffusivity(np.full((1, 60), 0.1), np.ones((1, 60), bool)), constants(FK_CAF, 0.1)
    >>> pulse = Pulse(np.arange(60)[None] < 4, on=0, off=20, du=0.03)
    >>> states = march(g, 0.5, 0.1, c, [pulse], n_every=100, n_end=200)
    >>> [bool(state.u[0, 10] > 0.5) for state in states]  # at 0, 10 and 20 ms
    [False, True, True]
    """
    real, (n_y, n_x) = type(c.u_c), (g.D_x.shape[0], g.D_y.shape[1])
    stride = -(-(n_x + 1) // LANES) * LANES  # a row's right halo is the next row's left one
    first_cell = LANES + stride
    size = n_y * stride + 2 * first_cell
    offsets = iter(range(0, 8 * 448, 448))  # bytes, see `aligned`

    def sheet(flat: np.ndarray) -> np.ndarray:  # (y, x) view of the cells
        return flat[first_cell:-first_cell].reshape(n_y, stride)[:, :n_x]

    u, spare, v, w = (aligned(size, fill, real, next(offsets)) for fill in (0, 0, 1, 1))
    lat, recovery = (aligned(size, -1, real) for _ in range(2))
    weights = [np.zeros(0, real) if part is None else aligned(size, 0, real, next(offsets)) for part in g]
    for part, flat in zip(g, weights, strict=True):
        if part is not None:  # the couplings behind the last row and column are 0, as the halo is
            sheet(flat)[:] = part[:n_y, :n_x] * dt / dx**2
    switches = {step for pulse in pulses for step in (pulse.on, pulse.off)}
    flat_cells = [y * stride + x + first_cell for y, x in (np.nonzero(pulse.cells) for pulse in pulses)]
    yield State(0.0, *map(sheet, (u, v, w, lat, recovery)))
    for sample in range(n_every, n_end + 1, n_every):
        stops = sorted({sample - n_every, sample} | {step for step in switches if sample - n_every < step < sample})
        for first, stop in pairwise(stops):
            active = [n for n, pulse in enumerate(pulses) if pulse.on <= first < pulse.off]
            cells = np.concatenate([np.zeros(0, np.int64), *(flat_cells[n] for n in active)])
            du = np.concatenate([np.zeros(0, real), *(np.full(flat_cells[n].size, pulses[n].du, real) for n in active)])
            u, spare = advance(
                u, spare, v, w, tuple(weights), lat, recovery, cells, du, c, dt, first, stop - first, stride
            )
        if not np.isfinite(u.sum()):
            raise FloatingPointError(
                f"u: expected finite values, got a blow-up before t = {sample * dt:g} ms (dt {dt} ms)"
            )
        yield State(sample * dt, *map(sheet, (u, v, w, lat, recovery)))
