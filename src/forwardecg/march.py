"""The time loop over one sheet: couplings and pulses in, states out. No calibration and no checks: see `solver.solve`."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from forwardecg.cell import Constants
from forwardecg.diffusion import Couplings
from forwardecg.kernel import LANES, advance, aligned


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
    >>> from forwardecg.cell import FK_CAF, constants
    >>> from forwardecg.diffusion import face_diffusivity
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
