"""Activation times without a simulation: the eikonal equation, and the balance of charge at the front that corrects it.

    eikonal   c^2 grad T . D grad T = 1                         a cell waits for the first ray alone
    balance   sum over neighbors j of g_ij phi(T_i - T_j) = 1 + V_i   each neighbor has given charge by then, or taken it

g_ij are couplings of the solver's grid, 1/ms, so that walls, missing neighbors and fibers need no care, and phi is the
charge in ms that a neighbor has given (`front_law`). phi alone is exact for waves along an axis or a diagonal; V is how
much less neighbors give one after the other, as in waves oblique to the grid (`given_law`). To second order in T_i - T_j
the balance is the eikonal-diffusion equation (1 + div(D grad T))^2 = c^2 grad T . D grad T, with no flux at walls (Colli
Franzone et al., Math. Biosci. 101:155, 1990); with squares of positive differences alone it is the upwind scheme of Rouy
and Tourin (1992).
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import xarray as xr
from scipy.interpolate import PchipInterpolator

from forwardecg.activation.loops import FAR, STEP, Array, advance, march, needs, renumber, sort, sweep
from forwardecg.activation.template import capture_delay, template
from forwardecg.contract import as_variable
from forwardecg.solver.calibration import D_REFERENCE, calibration_table, converged_cv
from forwardecg.solver.simulation import calibrate_tissue, check_arguments, list_stimuli, make_pulses
from forwardecg.tissue.cell import FK_CAF, FKParams
from forwardecg.tissue.diffusion import couplings
from forwardecg.tissue.sheet import Tissue
from forwardecg.tissue.stimulus import LONGEST_TIME, Stimulus

# fitted on tissues of a seed of their own, as `SHARED` is: experiments/activation_constants.py
LOAD = 1.25  # charge that a neighbor at rest draws at most, in 4 / c^2
SPREAD = 2.0  # of the charge of neighbors, times the variance of 1 - exp(-t / that): what they give less together
NEGATIVE = 0.045  # of a negative coupling, as between corners in oblique fibers, that the front does not feel
REACH = 12.0  # ms, where the table of phi ends: without fibers no cell of those tissues waits for two, nor do most with fibers
BEYOND = 0.05  # slope of phi where no cable conducts, so that there is always a time, which `check_single` refuses
ERP = 0.9  # of the duration of the action potential: a cell that was activated longer ago can be activated again
CLOSE = 0.02  # ms per mm of a cell: the last step of a time, and by how much a neighbor may have moved
TIE = 0.5  # ms by which a wave may come before a stimulus that still counts
COARSE = 0.5  # ms that the last sweep may change where the balance follows
PASSES = 1.0  # mm: so many passes along the front, over dx, and twice as many with fibers, whose first guess is worse


class Network(NamedTuple):
    """A padded sheet of ``shape`` as flat arrays: couplings g (cell, neighbor) in 1/ms, where neighbors are, live cells.

    phi and ``given`` are the laws of its charge, `front_law` and `given_law`.
    """

    g: Array
    offsets: Array
    live: Array
    shape: tuple[int, int]
    phi: Array
    given: Array

    def pad(self, values: Array, fill: float) -> Array:
        """Values (y, x) as a flat array of the padded sheet."""
        return np.pad(values, 1, constant_values=fill).ravel()

    def crop(self, values: Array) -> Array:
        """A flat array of the padded sheet as (y, x)."""
        return values.reshape(self.shape)[1:-1, 1:-1]


class Front(NamedTuple):
    """Flat times T in ms, `FAR` where no wave arrives, the cells it reaches, those that stimuli activate, the network."""

    T: Array
    order: Array
    held: Array
    net: Network


def speed(cell: FKParams) -> float:
    """c in 1/sqrt(ms): a plane wave travels at c sqrt(D)."""
    return converged_cv(cell) / np.sqrt(D_REFERENCE)


@lru_cache
def front_law(dx: float, dt: float, cell: FKParams, load: float = LOAD, grid: bool = True) -> Array:
    """phi (t,) in ms every `STEP` ms about 0: 2 E(t) + psi(t), what a neighbor gives in t, and -psi(t) at -t, what it draws.

    A plane wave on a cable of this grid gives E: there g (phi(t) + phi(-t)) = 1 with t = dx / (c sqrt(D)) and
    g = D_num / dx^2, so that E = dx^2 / (2 D_num) by the calibration, and c^2 t^2 / 2 without ``grid``. psi = 2 t to first
    order, as eikonal-diffusion has it, and at most ``load`` 4 / c^2, for a neighbor at rest draws no more.
    """
    c, t = speed(cell), np.arange(0, REACH, STEP)
    even = (c * t) ** 2 / 2
    if grid:
        D, D_num = calibration_table(dx, dt, cell)
        delay, ratio = (dx / (c * np.sqrt(D)))[::-1], (D / D_num)[::-1]  # increasing
        first = ratio[0] - (ratio[1] - ratio[0]) / (delay[1] ** 2 - delay[0] ** 2) * delay[0] ** 2
        lookup = PchipInterpolator(np.append(0, delay**2), np.append(min(first, 1.0), ratio))
        within = np.minimum(t, delay[-1])
        even = (c * within) ** 2 / 2 * lookup(within**2) + BEYOND * (t - within)
    most = load * 4 / c**2
    psi = most * (1 - np.exp(-2 * t / most)) if load else np.zeros(t.size)
    return np.concatenate([-psi[:0:-1], 2 * even + psi])


@lru_cache
def given_law(dx: float, dt: float, cell: FKParams, spread: float) -> Array:
    """2 E, 2 E m and 2 E m^2 (t, 3) every `STEP` ms from 0, of which V is made; m^2 = ``spread`` (1 - exp(-t / most))^2.

    With w_j = g_ij 2 E(T_i - T_j) of the neighbors before i, V_i = sum w m^2 - (sum w m)^2 / sum w. A cable knows waves
    whose neighbors before a cell are all equally long before it; V vanishes there, and on a continuum.
    """
    given = front_law(dx, dt, cell, 0.0)
    given = given[given.size // 2 :]
    m = np.sqrt(spread) * (1 - np.exp(-STEP * np.arange(given.size) * speed(cell) ** 2 / (4 * LOAD)))
    return np.stack([given, given * m, given * m**2], -1)


def network(
    tissue: Tissue, dt: float, cell: FKParams, load: float = LOAD, spread: float = SPREAD, grid: bool = True
) -> Network:
    """Couplings of the tissue with the D of the solver on this grid, or the physical one without ``grid``, and the laws."""
    g = couplings(calibrate_tissue(tissue, dt, cell) if grid else tissue)
    n_x = tissue.D.shape[1] + 2
    parts = [(g.D_x[:, :-1], -1), (g.D_x[:, 1:], 1), (g.D_y[:-1], -n_x), (g.D_y[1:], n_x)]
    if g.D_ne is not None and g.D_nw is not None:
        parts += [(g.D_ne[:-1, :-1], -n_x - 1), (g.D_ne[1:, 1:], n_x + 1)]
        parts += [(g.D_nw[:-1, 1:], 1 - n_x), (g.D_nw[1:, :-1], n_x - 1)]
        parts = [(np.where(part < 0, (1 - NEGATIVE) * part, part), at) for part, at in parts]
    live = np.pad(tissue.live, 1)
    padded = np.zeros((*live.shape, len(parts)))
    for k, (part, _) in enumerate(parts):
        padded[1:-1, 1:-1, k] = part / tissue.dx**2
    laws = front_law(tissue.dx, dt, cell, load, grid), given_law(tissue.dx, dt, cell, spread)
    return Network(padded.reshape(live.size, -1), np.array([at for _, at in parts]), live.ravel(), live.shape, *laws)


def start_times(tissue: Tissue, stimuli: list[Stimulus], dt: float, cell: FKParams) -> Array:
    """When stimuli activate cells (y, x), in ms, and `FAR`."""
    T = np.full(tissue.D.shape, FAR)
    for stimulus, pulse in zip(stimuli, make_pulses(stimuli, tissue.live, dt, LONGEST_TIME), strict=True):
        at = stimulus.start + capture_delay(stimulus.amplitude, stimulus.duration, dt, cell)
        T[pulse.cells] = np.minimum(T[pulse.cells], at)
    return T


def first_rays(begin: Array, tissue: Tissue, cell: FKParams, tolerance: float = 1e-6) -> Array:
    """The eikonal equation: times (y, x) in ms, `FAR` where nothing arrives, from those at which waves begin.

    A wave that comes less than `TIE` before another begins leaves that one its time.
    """
    across = tissue.D if tissue.D_across is None else tissue.D_across
    along, across = (np.where(tissue.live, D, 1.0) for D in (tissue.D, across))
    angle = np.zeros(1) if tissue.fiber_angle is None else tissue.fiber_angle
    cos, sin = np.cos(angle), np.sin(angle)
    inverse = np.stack([
        cos**2 / along + sin**2 / across, sin * cos * (1 / along - 1 / across), sin**2 / along + cos**2 / across,
    ], -1)  # fmt: skip
    metric = np.pad(inverse / speed(cell) ** 2, ((1, 1), (1, 1), (0, 0)), constant_values=1.0)
    T = np.pad(begin, 1, constant_values=FAR)
    sweep(T, np.pad(tissue.live, 1), metric, tissue.dx, tolerance)
    return np.where(begin <= T[1:-1, 1:-1] + TIE, begin, T[1:-1, 1:-1])


def first_guess(seeds: Array, tissue: Tissue, net: Network, cell: FKParams) -> tuple[Array, Array]:
    """The eikonal equation of isotropic tissue by upwind differences: flat times in ms from those of seeds, cells in order."""
    T, slowness = seeds.copy(), np.full(seeds.size, FAR)
    slowness[net.live] = tissue.dx / (speed(cell) * np.sqrt(tissue.D[tissue.live]))
    return T, march(T, slowness, net.shape[1])


def balance(T: Array, order: Array, held: Array, net: Network, close: float, passes: int) -> None:
    """The balance of charge of flat times T in ms, in place, over the cells in ``order``; those ``held`` keep their times."""
    sides = tuple(net.offsets.tolist())
    beside, g = renumber(order, net.g, sides)
    times, held = np.append(T[order], FAR), np.append(held[order], True)
    for _ in range(passes):
        need = needs(times, beside, g, sides, net.given)
        advance(times, sort(times[:-1]), held, need, beside, g, sides, net.phi, close)
    T[order] = times[:-1]


def longest_wait(T: Array, net: Network) -> float:
    """By how much a cell is later, in ms, than the first of its neighbors, of flat times T."""
    sides = zip(net.g.T[::2], net.offsets[::2], strict=True)  # the others are the same pairs, seen from the other cell
    return max(np.abs(T - np.roll(T, -side))[g > 0].max(initial=0.0) for g, side in sides)


def check_single(T: Array, stimuli: list[Stimulus], net: Network, duration: float) -> None:
    """ValueError where one activation of each cell is not enough; ``duration`` of the action potential in ms."""
    for stimulus in stimuli:
        cells = net.pad(stimulus.mask, False) & (T < FAR)
        if (late := (stimulus.start - T[cells]).max(initial=0.0)) > ERP * duration:
            came = f"a second wave or re-entry: one starts {late:.0f} ms after cells under it were activated"
            raise ValueError(f"stimuli: expected one activation of each cell, got {came}")
    if longest_wait(T, net) > REACH:
        came = f"block: a cell waits more than {REACH:g} ms for its neighbors"
        raise ValueError(f"tissue: expected a wave that is conducted everywhere, got {came}")


def solve_eikonal(
    tissue: Tissue, stimuli: Stimulus | Sequence[Stimulus], *, cell: FKParams = FK_CAF, dt: float = 0.1
) -> xr.DataArray:  # fmt: skip
    """Activation times of one wave, or of several that collide, without a simulation.

        sum over neighbors j of g_ij phi(T_i - T_j) = 1 + V_i,  started from  c^2 grad T . D grad T = 1

    Args:
        tissue, stimuli, cell, dt: as `simulate` takes them; its lat on this grid is what is approximated.

    Returns:
        lat (y, x), ms; NaN where no wave arrives.

    Raises:
        ValueError: Cells that would be activated more than once (a second wave, re-entry); block; what `simulate` refuses.

    Examples:
        >>> sheet = fe.healthy((40, 60), 0.5, D0=0.1)
        >>> lat = solve_eikonal(sheet, fe.edge_stimulus(sheet))
        >>> round(0.5 / float(lat[20, 31] - lat[20, 30]), 2)  # mm/ms
        0.66
    """
    front = activate(tissue, stimuli, cell, dt)
    T = front.net.crop(front.T)
    dims, values, attrs = as_variable("lat", np.where(T < FAR, T, np.nan))
    return xr.DataArray(values, dims=dims, attrs=attrs, name="lat")


def activate(tissue: Tissue, stimuli: Stimulus | Sequence[Stimulus], cell: FKParams, dt: float) -> Front:
    """The front of a tissue, checked."""
    check_arguments(tissue, cell, True, np.float64, True)
    listed = list_stimuli(stimuli)
    begin = start_times(tissue, listed, dt, cell)
    front = spread(begin, tissue, network(tissue, dt, cell), cell)
    check_single(front.T, listed, front.net, template(tissue.dx, dt, cell).duration)
    return front


def spread(begin: Array, tissue: Tissue, net: Network, cell: FKParams, close: float = CLOSE, passes: int = 0) -> Front:
    """The front from the times (y, x) in ms at which it begins; ``close`` in ms per mm of a cell, passes 0: `PASSES` / dx."""
    seeds, fibers = net.pad(begin, FAR), tissue.fiber_angle is not None
    if fibers:  # upwind differences lose their way in oblique fibers, triangles do not
        T = net.pad(first_rays(begin, tissue, cell, COARSE), FAR)
        order = np.flatnonzero(net.live & (T < FAR))
    else:
        T, order = first_guess(seeds, tissue, net, cell)
    held = (seeds < FAR) & (seeds <= T + TIE)
    T[held] = seeds[held]
    passes = passes or max(round(PASSES / tissue.dx), 2) * (1 + fibers)
    balance(T, order, held, net, close * tissue.dx, passes)
    return Front(T, order, held, net)
