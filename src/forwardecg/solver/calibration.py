"""Calibration of the conduction velocity: which D_num on a grid, which slows waves, conducts like the physical D."""

# Since CV(D, dx) = sqrt(D / D_0) CV(D_0, dx sqrt(D_0 / D)) holds exactly at equal dt, one converged velocity serves for
# every D, and one table D -> D_num for every cell of a grid.

from functools import lru_cache

import numpy as np
from scipy.interpolate import PchipInterpolator

from forwardecg.contract import array, corner, instance, number
from forwardecg.solver.kernel import Pulse, march
from forwardecg.tissue.cell import FK_CAF, FKParams, constants
from forwardecg.tissue.diffusion import face_diffusivity, stability_limit
from forwardecg.tissue.grid import length

SHORTEST = 1e-5  # ms: a cable of shorter steps would take days
LEAST_D = 0.006  # mm^2/ms, where the table begins
D_REFERENCE = 0.1  # mm^2/ms at which the converged conduction velocity is measured
AMPLITUDE, DURATION = 0.3, 2.0  # 1/ms, ms: stimulus of the cable
# A step is at most so many of the cell's fastest time constants. Measured, all five sets on two grids: up to 2.2 of them
# the peak keeps to 3 mV and the duration to 5 ms of those at dt = 0.1 ms, at 2.4 they do not. The velocity would not tell.
TIME_CONSTANTS = 2.0


def check_step(dt: float, diffusion: float, cell: FKParams) -> None:
    """ValueError for a step dt (ms) beyond the stability limit ``diffusion`` (ms) or what the currents of a cell allow."""
    reaction = TIME_CONSTANTS * min(cell.tau_d, cell.tau_0, 2 * cell.tau_si / cell.k)  # of the slopes of the currents
    if dt > min(diffusion, reaction) * (1 + 1e-12):
        limits = f"{diffusion:.4g} ms for diffusion on this grid and {reaction:.4g} ms for the currents of {cell.name}"
        raise ValueError(f"dt: expected at most {min(diffusion, reaction):.4g} ms ({limits}), got {dt:g} ms")


def cable_cv(D: float, dx: float, dt: float, cell: FKParams = FK_CAF, dtype: type = np.float64) -> float:
    """Conduction velocity (mm/ms) of a plane wave on the grid dx (mm), dt (ms) with D (mm^2/ms) as it is; or NaN."""
    # A cable with a 2 mm stimulus, timed between fixed nodes near 10 and 20 mm - lengths for D = 0.1 mm^2/ms, scaled
    # with sqrt(D), so that CV(D, dx) = sqrt(D / D_0) CV(D_0, dx sqrt(D_0 / D)) holds to rounding.
    D, dt = number("D", D, 0, 1e6, unit="mm2 ms-1", above=True), number("dt", dt, SHORTEST, 1e6, unit="ms", above=True)
    dx, cell = length("dx", dx), instance("cell", cell, FKParams, "such as FK_CAF")
    check_step(dt, 2 * stability_limit(D, dx), cell)  # in one dimension; first, so that no cable is too long
    node = dx * np.sqrt(D_REFERENCE / D)  # mm of the reference cable per node
    n, first = max(round(30 / node), 40), max(round(10 / node), 12)
    last = max(round(20 / node), first + 12)
    under = np.zeros((1, n), bool)
    under[:, : max(round(2 / node), 2)] = True
    pulse = Pulse(under, 0, max(round(DURATION / dt), 1), dt * AMPLITUDE)
    n_every = max(round(5 / dt), 1)
    n_end = n_every * max(round(60 * (1 + 4 * node) / (n_every * dt)), 1)
    g = face_diffusivity(np.full((1, n), D), np.ones((1, n), bool))
    for state in march(g, dx, dt, constants(cell, dt, dtype), [pulse], n_every, n_end):
        lat = state.lat[0]
        if lat[last] >= 0:
            return float((last - first) * dx / (lat[last] - lat[first]))
    return float("nan")


@lru_cache
def converged_cv(cell: FKParams) -> float:
    """Conduction velocity (mm/ms) at D = 0.1 mm^2/ms with dx 0.025 mm, dt 0.0005 ms, where it has converged."""
    return cable_cv(D_REFERENCE, 0.025, 0.0005, cell)


@lru_cache
def calibration_table(dx: float, dt: float, cell: FKParams) -> tuple[np.ndarray, np.ndarray]:
    """Pairs (D, D_num), both (n,) in mm^2/ms and increasing, from where the grid propagates up to the stability limit."""
    # CV_grid(D_num; dx, dt) = c sqrt(D), c the converged velocity of D = 1
    check_step(dt, 0.9 * stability_limit(LEAST_D, dx), cell)
    D_num = np.geomspace(LEAST_D, 0.999 * stability_limit(1.0, dx) / dt, 40)
    cv = np.array([cable_cv(value, dx, dt, cell) for value in D_num])
    D = D_REFERENCE * (cv / converged_cv(cell)) ** 2
    ok = np.isfinite(D)
    if (np.diff(D[ok]) <= 0).any():
        wanted = f"a step at which waves on the grid dx = {dx} mm are faster the larger D"
        raise ValueError(f"dt: expected {wanted}, got {dt} ms, at which the velocity of {cell.name} is not monotone")
    return D[ok], D_num[ok]


def calibrate_diffusivity(D: np.ndarray, live: np.ndarray, dx: float, dt: float, cell: FKParams = FK_CAF) -> np.ndarray:
    """The diffusivity D_num with which this grid reproduces the converged plane-wave velocity of D, cell by cell.

    Args:
        D: (y, x) or any other shape, mm^2/ms, physical; above 0 where it is live.
        live: bool of that shape, cells that conduct.
        dx, dt: mm, ms, above 0.
        cell: cell model.

    Returns:
        (y, x), mm^2/ms, 0 where nothing conducts.

    Raises:
        ValueError: D outside the range in which this grid reaches it; a cell model that does not conduct on it; dt over
            the limits of diffusion and of the cell (`TIME_CONSTANTS`).

    Examples:
        >>> D_num = calibrate_diffusivity(np.array([[0.05, 0.15]]), np.ones((1, 2), bool), 0.5, 0.1)
        >>> (D_num / [0.05, 0.15]).round(1).tolist()
        [[1.8, 1.5]]
    """
    given = D, live
    dims = [("y", "x") if getattr(x, "ndim", 0) == 2 else (...,) for x in given]
    D, live = array("D", D, dims[0], "mm2 ms-1").astype(float, copy=False), array("live", live, dims[1], kinds="b")
    if D.shape != live.shape or not live.any() or not D[live].min() > 0:
        raise ValueError(f"live: expected cells of the shape {D.shape} of D with D > 0, got {live.sum()} {live.shape}")
    dx, dt = length("dx", dx), number("dt", dt, SHORTEST, 1e6, unit="ms", above=True)
    if corner("D", given[0], dx) != corner("live", given[1], dx):
        raise ValueError("live: expected cells that lie where those of D do, got x and y that begin elsewhere")
    check_step(dt, stability_limit(float(D[live].max()), dx), instance("cell", cell, FKParams, "such as FK_CAF"))
    table_D, table_D_num = calibration_table(dx, dt, cell)
    if table_D.size < 4:
        wanted = f"a cell model that conducts on the grid dx = {dx} mm, dt = {dt} ms"
        raise ValueError(f"cell: expected {wanted}, got {cell.name}")
    low, high = D[live].min(), D[live].max()
    if high > table_D[-1]:  # the grid needs a larger D than the step allows: a smaller step helps
        least = dt * table_D[-1] / high
        wanted = f"about {least:.3g} ms, with which D = {high:.4g} mm^2/ms can be calibrated on dx = {dx} mm"
        raise ValueError(f"dt: expected at most {wanted}, got {dt:g} ms, which reaches {table_D[-1]:.4g} mm^2/ms")
    if low < table_D[0]:
        wanted = f"{table_D[0]:.4g} .. {table_D[-1]:.4g} mm^2/ms, that dx = {dx} mm, dt = {dt} ms"
        raise ValueError(f"D: expected values in {wanted} can be calibrated for, got {low:.4g} .. {high:.4g}")
    lookup = PchipInterpolator(np.log(table_D), np.log(table_D_num))
    return np.where(live, np.exp(lookup(np.log(np.where(live, D, high)))), 0.0)


def calibrate_fibers(
    D: np.ndarray, D_across: np.ndarray, angle: np.ndarray, live: np.ndarray, dx: float, dt: float, cell: FKParams
) -> tuple[np.ndarray, np.ndarray]:
    """D_num along and across fibers (y, x) in mm^2/ms: exact on the grid's axes, approximate at other angles (rad)."""
    # To leading order a plane wave along one of the two meets the error of the nine-point stencil of `diffusion` as a
    # cable does whose spacing is dx sqrt(f), f = 1 + sin^2 cos^2 (1 - 3 D_other / D). By the scaling identity that is
    # the error of D / f on the grid dx. Across oblique fibers f may fall below 0; D is left as it is there (our
    # derivation).
    top = calibration_table(dx, dt, cell)[0][-1]

    def correct(D: np.ndarray, other: np.ndarray) -> np.ndarray:
        f = 1 + (np.sin(angle) * np.cos(angle)) ** 2 * (1 - 3 * other / np.where(live, D, 1.0))
        inside = live & (f * top >= np.minimum(D, top))  # a D beyond the table is refused there
        like = np.where(inside, np.where(live, D, top) / np.where(inside, f, 1.0), top)
        return np.where(inside, D * calibrate_diffusivity(like, live, dx, dt, cell) / like, D * live)

    return correct(D, D_across), correct(D_across, D)
