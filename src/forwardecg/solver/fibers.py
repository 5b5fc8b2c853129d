"""How fast a calibrated grid conducts across fibers at any angle to it: what the calibration does not reach is measured."""

from functools import lru_cache

import numpy as np

from forwardecg.solver.calibration import AMPLITUDE, D_REFERENCE, DURATION, calibrate_fibers, converged_cv
from forwardecg.solver.kernel import Pulse, march
from forwardecg.tissue.cell import FKParams, constants
from forwardecg.tissue.diffusion import couplings
from forwardecg.tissue.sheet import Tissue, healthy, with_fibers

FAR = 0.15  # a relative error of the velocity beyond which a run warns
STEP = 5.0  # degrees between the angles that are measured where fibers turn
SIDE, AHEAD, TIMED = 90, 22, 10  # cells: side of the sheet, start of the wave before its middle, where it is timed


@lru_cache(64)
def speed_error(
    D: float, ratio: float, angle: float, dx: float, dt: float, cell: FKParams, along: bool = False
) -> float:
    """Relative error of a plane wave across fibers, or along them, at ``angle`` (rad) on the calibrated grid; -1: none.

    D in mm^2/ms along the fibers, ``ratio`` that over the one across; dx, dt in mm, ms.
    """
    sheet = with_fibers(healthy((SIDE, SIDE), dx, D), angle, ratio)
    assert sheet.D_across is not None and sheet.fiber_angle is not None
    D_num = calibrate_fibers(sheet.D, sheet.D_across, sheet.fiber_angle, sheet.live, dx, dt, cell)
    g = couplings(Tissue(D=D_num[0], D_across=D_num[1], fiber_angle=sheet.fiber_angle, conductive=sheet.live, dx=dx))
    runs = angle if along else angle + np.pi / 2  # direction of the wave
    y, x = (np.mgrid[:SIDE, :SIDE] + 0.5 - SIDE / 2) * dx
    ahead, aside = np.cos(runs) * x + np.sin(runs) * y, np.cos(runs) * y - np.sin(runs) * x
    true = converged_cv(cell) * np.sqrt(D / (1 if along else ratio) / D_REFERENCE)
    n_end = round(2 * (AHEAD + TIMED) * dx / true / dt)
    pulse = Pulse(ahead < -AHEAD * dx, 0, max(round(DURATION / dt), 1), dt * AMPLITUDE)
    *_, state = march(g, dx, dt, constants(cell, dt), [pulse], n_end, n_end)
    line = (np.abs(aside) < 0.8 * dx) & (np.abs(ahead) < TIMED * dx) & (state.lat > 0)
    if np.count_nonzero(line) < TIMED:
        return -1.0
    return float(1 / np.polyfit(ahead[line], state.lat[line], 1)[0] / true - 1)


def worst_error(tissue: Tissue, dt: float, cell: FKParams) -> float | None:
    """The largest `speed_error` across the fibers of a tissue, in magnitude; None without fibers oblique to the grid."""
    if tissue.fiber_angle is None or tissue.D_across is None:
        return None
    live = tissue.live
    ratio, degrees = tissue.D[live] / tissue.D_across[live], np.degrees(tissue.fiber_angle[live]) % 90
    folded = np.minimum(degrees, 90 - degrees)  # the grid looks the same at an angle and at 90 degrees minus that
    angles = {round(float(folded[0]), 1)} if np.ptp(folded) < 0.1 else {*(STEP * np.round(folded / STEP)).tolist()}
    if not (angles := angles - {0.0}) or ratio.max() < 1.01:
        return None
    D = np.median(tissue.D[live][ratio > 0.999 * ratio.max()])
    like = float(f"{D:.3g}"), float(f"{ratio.max():.3g}")  # few digits, so that tissues alike are measured once
    return max((speed_error(*like, float(np.radians(at)), tissue.dx, dt, cell) for at in sorted(angles)), key=abs)
