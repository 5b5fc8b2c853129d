"""Calibration of the conduction velocity: which D on this grid conducts like the physical D on an endless one.

A grid slows the wave, most where D is small. Since CV(D, dx) = sqrt(D / D_0) CV(D_0, dx sqrt(D_0 / D)) holds exactly at
equal dt, one converged velocity serves for every D, and one table D -> D_num for every cell of a grid.
"""

from functools import lru_cache

import numpy as np
from scipy.interpolate import PchipInterpolator

from forwardecg.solver.kernel import Pulse, march
from forwardecg.tissue.cell import FK_CAF, FKParams, constants
from forwardecg.tissue.diffusion import face_diffusivity, stability_limit

D_REFERENCE = 0.1  # mm^2/ms at which the converged conduction velocity is measured
AMPLITUDE, DURATION = 0.3, 2.0  # 1/ms, ms: stimulus of the cable


def cable_cv(D: float, dx: float, dt: float, fk: FKParams = FK_CAF, real: type = np.float64) -> float:
    """Conduction velocity (mm/ms) of a plane wave on the grid dx, dt without calibration; NaN if it does not propagate.

    A cable with a 2 mm stimulus, timed between fixed nodes near 10 and 20 mm - lengths for D = 0.1 mm^2/ms, scaled with
    sqrt(D), so that CV(D, dx) = sqrt(D / D_0) CV(D_0, dx sqrt(D_0 / D)) holds to rounding.

    Parameters
    ----------
    D : mm^2/ms, as the solver uses it
    dx, dt : mm, ms
    fk : cell model
    real : np.float32 or np.float64

    Returns
    -------
    cv : mm/ms

    Raises
    ------
    ValueError
        D, dx or dt not a finite number above 0.

    Examples
    --------
    >>> coarse, fine = cable_cv(0.1, dx=0.5, dt=0.1), cable_cv(0.1, dx=0.25, dt=0.02)
    >>> 0.4 < coarse < fine < 0.7  # a grid slows the wave
    True
    """
    for name, value in (("D", D), ("dx", dx), ("dt", dt)):
        if not (np.isfinite(value) and value > 0):
            raise ValueError(f"{name}: expected a finite number > 0, got {value}")
    node = dx * np.sqrt(D_REFERENCE / D)  # mm of the reference cable per node
    n, first = max(round(30 / node), 40), max(round(10 / node), 12)
    last = max(round(20 / node), first + 12)
    under = np.zeros((1, n), bool)
    under[:, : max(round(2 / node), 2)] = True
    pulse = Pulse(under, 0, max(round(DURATION / dt), 1), dt * AMPLITUDE)
    n_every = max(round(5 / dt), 1)
    n_end = n_every * max(round(60 * (1 + 4 * node) / (n_every * dt)), 1)
    g = face_diffusivity(np.full((1, n), float(D)), np.ones((1, n), bool))
    for state in march(g, dx, dt, constants(fk, dt, real), [pulse], n_every, n_end):
        lat = state.lat[0]
        if lat[last] >= 0:
            return float((last - first) * dx / (lat[last] - lat[first]))
    return float("nan")


@lru_cache
def converged_cv(fk: FKParams) -> float:
    """Conduction velocity (mm/ms) at D = 0.1 mm^2/ms with dx 0.025 mm, dt 0.0005 ms, where it has converged.

    Parameters
    ----------
    fk : cell model

    Returns
    -------
    cv : mm/ms

    Examples
    --------
    >>> round(converged_cv(FK_CAF), 2)
    0.66
    """
    return cable_cv(D_REFERENCE, 0.025, 0.0005, fk)


@lru_cache
def calibration_table(dx: float, dt: float, fk: FKParams) -> tuple[np.ndarray, np.ndarray]:
    """Pairs (physical D, D_num) in mm^2/ms: on this grid D_num conducts at the converged velocity of the physical D.

    CV_grid(D_num; dx, dt) = CV_converged(D) with CV_converged = c sqrt(D). Ends where the grid no longer propagates.

    Parameters
    ----------
    dx, dt : mm, ms
    fk : cell model

    Returns
    -------
    D, D_num : (n,), mm^2/ms, increasing

    Examples
    --------
    >>> D, D_num = calibration_table(0.5, 0.1, FK_CAF)
    >>> bool((D_num > D).all())  # the grid has to be helped, most where D is small
    True
    """
    D_num = np.geomspace(0.006, 0.999 * stability_limit(1.0, dx) / dt, 40)
    cv = np.array([cable_cv(value, dx, dt, fk) for value in D_num])
    D = D_REFERENCE * (cv / converged_cv(fk)) ** 2
    ok = np.isfinite(D)
    return D[ok], D_num[ok]


def calibrated_diffusivity(
    D: np.ndarray, conducting: np.ndarray, dx: float, dt: float, fk: FKParams = FK_CAF
) -> np.ndarray:
    """D_num (y, x): the diffusivity with which this grid reproduces the converged plane-wave velocity of D, per cell.

    Parameters
    ----------
    D : (y, x), mm^2/ms, physical
    conducting : (y, x) bool
    dx, dt : mm, ms
    fk : cell model

    Returns
    -------
    D_num : (y, x), mm^2/ms, 0 in cells that do not conduct

    Raises
    ------
    ValueError
        D outside the range in which this grid can reach that velocity; a cell model that does not conduct on this grid.

    Examples
    --------
    >>> D_num = calibrated_diffusivity(np.array([[0.05, 0.15]]), np.ones((1, 2), bool), 0.5, 0.1)
    >>> (D_num / [0.05, 0.15]).round(1).tolist()
    [[1.8, 1.5]]
    """
    table_D, table_D_num = calibration_table(dx, dt, fk)
    if table_D.size < 4:
        raise ValueError(
            f"fk: expected a cell model that conducts on the grid dx = {dx} mm, dt = {dt} ms, got {fk.name}"
        )
    low, high = D[conducting].min(), D[conducting].max()
    if low < table_D[0] or high > table_D[-1]:
        raise ValueError(
            f"D: expected values in {table_D[0]:.4g} .. {table_D[-1]:.4g} mm^2/ms, the range that dx = {dx} mm, dt = {dt} ms "
            f"can be calibrated for, got {low:.4g} .. {high:.4g}"
        )
    lookup = PchipInterpolator(np.log(table_D), np.log(table_D_num))
    return np.where(conducting, np.exp(lookup(np.log(np.where(conducting, D, high)))), 0.0)


def calibrated_fibers(
    D: np.ndarray, D_across: np.ndarray, angle: np.ndarray, conducting: np.ndarray, dx: float, dt: float, fk: FKParams
) -> tuple[np.ndarray, np.ndarray]:
    """D_num along and across fibers (y, x): exact for fibers on the axes of the grid, approximate at other angles (rad).

    To leading order a plane wave along one of the two meets the error of the nine-point stencil of `diffusion` as a cable
    does whose spacing is dx sqrt(f), f = 1 + sin^2 cos^2 (1 - 3 D_other / D). By the scaling identity that is the error of
    D / f on the grid dx. Across oblique fibers f may fall below 0; D is left as it is there (our derivation).

    Parameters
    ----------
    D, D_across : (y, x), mm^2/ms, physical
    angle : (y, x), rad from the x axis
    conducting : (y, x) bool
    dx, dt : mm, ms
    fk : cell model

    Returns
    -------
    D_num, D_num_across : (y, x), mm^2/ms

    Raises
    ------
    ValueError
        What `calibrated_diffusivity` refuses.

    Examples
    --------
    >>> one = np.ones((1, 1))
    >>> D, D_across = calibrated_fibers(0.15 * one, 0.05 * one, 0 * one, one > 0, 0.5, 0.1, FK_CAF)
    >>> [float(z[0, 0].round(2)) for z in (D, D_across)]
    [0.23, 0.09]
    """
    top = calibration_table(dx, dt, fk)[0][-1]

    def corrected(D: np.ndarray, other: np.ndarray) -> np.ndarray:
        f = 1 + (np.sin(angle) * np.cos(angle)) ** 2 * (1 - 3 * other / np.where(conducting, D, 1.0))
        inside = conducting & (f * top >= np.minimum(D, top))  # a D beyond the table is refused there
        like = np.where(inside, np.where(conducting, D, top) / np.where(inside, f, 1.0), top)
        return np.where(inside, D * calibrated_diffusivity(like, conducting, dx, dt, fk) / like, D * conducting)

    return corrected(D, D_across), corrected(D_across, D)
