"""The compiled time step: diffusion, currents and gates in vectorized loops over flat arrays."""

# The sheet is stored row after row with a stride that leaves at least one halo cell between rows, one halo row below
# and above, and LANES cells more at both ends, so that all neighbors are views of the same array. Halo couplings are 0:
# halo cells stay at rest.

import platform
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from llvmlite.binding import get_host_cpu_features

from forwardecg.tissue.cell import Constants, currents, gates, jit, slow_inward_rate
from forwardecg.tissue.diffusion import Couplings

Array = np.ndarray
# With 16 vector registers the slow inward rate is taken in a loop of its own, since the constants of both do not fit.
SPLIT = platform.machine() in ("x86_64", "AMD64") and not get_host_cpu_features().get("avx512f")
LANES = 16  # the row stride is a multiple of this, so that a block of rows starts at a cache line
MULTIPLE = 64  # of cells, that the vectorized loops take at once
BLOCK_ROWS = 32  # rows advanced in one run of the vectorized loops
DEPTH = 10  # steps that a band of a large sheet goes while it is in the cache
BAND_BYTES = 2**15  # of one array of a band, a multiple of MULTIPLE numbers
SMALL_BYTES = 2**20  # of one array of a sheet that stays in the cache as a whole
RECOVERY_STEPS = 8  # every so many steps cells are looked at for repolarization
RECOVERED = 0.1  # u of 90 % repolarization
WAITING = -2.0  # in place of the recovery time of a cell that is activated and has not recovered
CHUNK = 128  # cells looked at together, in a vectorized loop, before any is looked at alone


def _align(size: int, fill: float, dtype: type, page_offset: int = 0) -> Array:
    """A filled array (size,) that starts ``page_offset`` bytes, a multiple of an entry's size, after a page begins."""
    # Arrays read side by side need different offsets: equal ones compete for the same few lines of the fastest cache.
    raw: Array = np.full(size + 8192 // np.dtype(dtype).itemsize, fill, dtype)
    start = (-raw.ctypes.data % 4096 + page_offset) // raw.itemsize
    return raw[start : start + size]


@jit
def _rates(new: Array, u: Array, c: Constants) -> None:
    """The slow inward rate of every cell into ``new``, if SPLIT."""
    if SPLIT:
        for i in range(new.size):
            new[i] = slow_inward_rate(u[i], c)


@jit
def _react(i: int, new: Array, u: Array, v: Array, w: Array, diffusion: Any, c: Constants) -> Any:
    """Cell i one time step on, given div(D grad u) dt and, if SPLIT, its rate in ``new``; 1 if it crossed u = 1/2."""
    half, one, zero = type(c.u_c)(0.5), type(c.u_c)(1), type(c.u_c)(0)
    u_i = u[i]
    rate_si = new[i] if SPLIT else slow_inward_rate(u_i, c)
    J_fi, J_so, J_si = currents(u_i, v[i], w[i], rate_si, c)
    v[i], w[i] = gates(u_i, v[i], w[i], c)
    u_new = u_i + diffusion - (J_fi + J_so + J_si)
    new[i] = u_new
    return one if u_i < half and u_new >= half else zero


@jit
def _advance_isotropic(
    new: Array, u: Array, left: Array, right: Array, below: Array, above: Array,
    v: Array, w: Array, west: Array, east: Array, south: Array, north: Array, c: Constants,
) -> Any:  # fmt: skip
    """One time step of a run of cells, as one-dimensional views; returns how many of them crossed u = 1/2 upward."""
    crossings = type(c.u_c)(0)
    _rates(new, u, c)
    for i in range(new.size):
        diffusion_x = east[i] * (right[i] - u[i]) + west[i] * (left[i] - u[i])
        diffusion_y = north[i] * (above[i] - u[i]) + south[i] * (below[i] - u[i])
        crossings += _react(i, new, u, v, w, diffusion_x + diffusion_y, c)
    return crossings


@jit
def _advance_anisotropic(
    new: Array, u: Array, left: Array, right: Array, below: Array, above: Array,
    v: Array, w: Array, west: Array, east: Array, south: Array, north: Array,
    corners: tuple[Array, ...], weights: tuple[Array, ...], c: Constants,
) -> Any:  # fmt: skip
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


@jit
def _record_activation(u: Array, new: Array, lat: Array, recovery: Array, step: int, dt: float) -> None:
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


@jit
def _record_recovery(u: Array, new: Array, recovery: Array, step: int, dt: float) -> None:
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


@jit
def advance(
    bands: Array, u: Array, spare: Array, v: Array, w: Array, g: tuple[Array, ...], lat: Array, recovery: Array,
    stimulated: Array, du: Array, c: Constants, dt: float, first: int, n_steps: int, stride: int,
) -> None:  # fmt: skip
    """``n_steps`` time steps from number ``first``, one band of cells after the other, on flat arrays with rows ``stride`` apart."""
    # A band (start, end, down, up) is, in the n-th of these steps, cells start + n down .. end + n up, see `_share`. Steps
    # read u and write spare in turns, so that an odd number of them leaves the new state in spare. g are the `Couplings`
    # times dt / dx^2, the last two of size 0 in isotropic tissue. The cells ``stimulated``, in order, get du in each step.
    # lat and recovery (ms, negative until then) are written in place: the first upward crossing of u = 1/2, linear
    # between steps, and the first fall below u = RECOVERED after it, looked for every RECOVERY_STEPS steps and traced
    # back along the slope of the last one.
    half, zero = type(c.u_c)(0.5), type(c.u_c)(0)
    g_x, g_y, g_ne, g_nw = g
    for band in range(bands.shape[0]):
        start, end, down, up = bands[band]
        old, new = u, spare
        for step in range(first, first + n_steps):
            for a in range(start, end, BLOCK_ROWS * stride):
                b = min(a + BLOCK_ROWS * stride, end)
                s, e, p, q = a - stride, b - stride, a + stride, b + stride  # the rows below and above
                above, below = old[p:q], old[s:e]
                west, east, south, north = g_x[a:b], g_x[a + 1 : b + 1], g_y[a:b], g_y[p:q]
                if g_ne.size:
                    crossings = _advance_anisotropic(
                        new[a:b], old[a:b], old[a - 1 : b - 1], old[a + 1 : b + 1], below, above,
                        v[a:b], w[a:b], west, east, south, north,
                        (old[s - 1 : e - 1], old[p + 1 : q + 1], old[s + 1 : e + 1], old[p - 1 : q - 1]),
                        (g_ne[a:b], g_ne[p + 1 : q + 1], g_nw[a + 1 : b + 1], g_nw[p:q]), c,
                    )  # fmt: skip
                else:
                    crossings = _advance_isotropic(
                        new[a:b], old[a:b], old[a - 1 : b - 1], old[a + 1 : b + 1], below, above,
                        v[a:b], w[a:b], west, east, south, north, c,
                    )  # fmt: skip
                if crossings > zero:
                    _record_activation(old[a:b], new[a:b], lat[a:b], recovery[a:b], step, dt)
                for j in range(np.searchsorted(stimulated, a), np.searchsorted(stimulated, b)):
                    i = stimulated[j]
                    before = new[i]
                    new[i] = before + du[j]
                    if before < half and new[i] >= half and lat[i] < zero:
                        lat[i], recovery[i] = dt * (step + 1), WAITING
                if (step + 1) % RECOVERY_STEPS == 0:
                    _record_recovery(old[a:b], new[a:b], recovery[a:b], step, dt)
            old, new, start, end = new, old, start + down, end + up


def _share(size: int, first_cell: int, length: int, move: int, threads: int) -> tuple[list[Array], list[Array]]:
    """The cells of a sheet in bands of ``length`` for `advance`: those of each thread, and those for afterwards, one between two threads."""
    # Blocking over time: a band goes all steps of a call while it is in the cache. A cell needs its neighbors one step
    # back, so that a band moves down by ``move`` cells, a row or a little more, in each step, into what the band before it
    # had to leave. Where a thread begins, its first band loses cells instead, and so does the last one of the thread below:
    # a band that begins with no cell and grows makes up for them when both are done. Nothing is computed twice, and
    # nothing is overwritten before it was read for the last time: step n + 2 writes over step n only where all neighbors
    # have had step n + 1. Bands begin and end at multiples of MULTIPLE, so that the vectorized loops treat each cell as
    # they do in one long run, and every bit is the same.
    first_length = max(2 * DEPTH * move, length)
    count = max(min(threads, size // first_length), 1)
    edges = [first_cell + size * k // count // MULTIPLE * MULTIPLE for k in range(count)] + [first_cell + size]
    groups: list[Array] = []
    for k, (bottom, top) in enumerate(pairwise(edges)):
        borders = [bottom, *range(bottom + first_length, top, length), top]
        bands = [(a, b, -move, -move) for a, b in pairwise(borders)]
        bands[0] = (bottom, borders[1], move if k else 0, -move)
        bands[-1] = (*bands[-1][:3], -move if k + 1 < count else 0)
        groups.append(np.array(bands, np.int64))
    return groups, [np.array([(edge, edge, -move, move)], np.int64) for edge in edges[1:-1]]


class State(NamedTuple):
    """The sheet at time t, as views (y, x) of the running solution: the next step overwrites them."""

    t: float  # ms
    u: Array  # voltage, 0 at rest and 1 at the peak
    v: Array  # fast gate
    w: Array  # slow gate
    lat: Array  # ms, first upward crossing of u = 1/2, negative until then
    recovery: Array  # ms, first fall below u = 0.1 after it, negative until then


class Pulse(NamedTuple):
    """A stimulus in time steps: cells (y, x) bool get ``du`` in each of the steps on .. off - 1."""

    cells: Array
    on: int
    off: int
    du: float


def march(
    g: Couplings, dx: float, dt: float, c: Constants, pulses: Sequence[Pulse], n_every: int, n_end: int, threads: int = 1
) -> Iterator[State]:  # fmt: skip
    """The state at rest, then one `State` each ``n_every`` steps of dt (ms) to ``n_end``, in the type of ``c``."""
    dtype, (n_y, n_x) = type(c.u_c), (g.D_x.shape[0], g.D_y.shape[1])
    stride = -(-(n_x + 1) // LANES) * LANES  # a row's right halo is the next row's left one
    first_cell = LANES + stride
    size = n_y * stride + 2 * first_cell
    offsets = iter(range(0, 8 * 448, 448))  # bytes, see `_align`

    def sheet(flat: Array) -> Array:  # (y, x) view of the cells
        return flat[first_cell:-first_cell].reshape(n_y, stride)[:, :n_x]

    u, spare, v, w = (_align(size, fill, dtype, next(offsets)) for fill in (0, 0, 1, 1))
    lat, recovery = (_align(size, -1, dtype) for _ in range(2))
    weights = [np.zeros(0, dtype) if part is None else _align(size, 0, dtype, next(offsets)) for part in g]
    for part, flat in zip(g, weights, strict=True):
        if part is not None:  # the couplings behind the last row and column are 0, as the halo is
            sheet(flat)[:] = part[:n_y, :n_x] * dt / dx**2
    switches = {step for pulse in pulses for step in (pulse.on, pulse.off)}
    flat_cells = [y * stride + x + first_cell for y, x in (np.nonzero(pulse.cells) for pulse in pulses)]
    move = -(-(stride + 1) // MULTIPLE) * MULTIPLE
    whole = threads == 1 and n_y * stride * u.itemsize <= SMALL_BYTES
    length = n_y * stride if whole else BAND_BYTES // u.itemsize
    together, between = _share(n_y * stride, first_cell, length, move, threads)
    depth = DEPTH if len(together[0]) > 1 or between else n_end
    yield State(0.0, *map(sheet, (u, v, w, lat, recovery)))
    with ThreadPoolExecutor(len(together)) as pool:  # starts no thread before it is given work
        for sample in range(n_every, n_end + 1, n_every):
            stops = sorted({sample - n_every, sample} | {step for step in switches if sample - n_every < step < sample})
            for first, stop in pairwise(stops):
                active = [n for n, pulse in enumerate(pulses) if pulse.on <= first < pulse.off]
                cells = np.concatenate([np.zeros(0, np.int64), *(flat_cells[n] for n in active)])
                steps = [np.full(flat_cells[n].size, pulses[n].du, dtype) for n in active]
                order = cells.argsort(kind="stable")
                cells, du = cells[order], np.concatenate([np.zeros(0, dtype), *steps])[order]
                for step in range(first, stop, depth):
                    n_steps = min(depth, stop - step)
                    state = u, spare, v, w, tuple(weights), lat, recovery, cells, du, c, dt, step, n_steps, stride
                    for bands in (together, between):
                        if len(bands) > 1:
                            list(pool.map(lambda band, state=state: advance(band, *state), bands))
                        elif bands:
                            advance(bands[0], *state)
                    if n_steps % 2:
                        u, spare = spare, u
            if not np.isfinite(u.sum()):
                came = f"a blow-up before t = {sample * dt:g} ms (dt {dt} ms)"
                raise FloatingPointError(f"u: expected finite values, got {came}")
            yield State(sample * dt, *map(sheet, (u, v, w, lat, recovery)))
