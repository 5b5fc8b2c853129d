"""The search behind `fit` and `profile`: the ECG that is read, the scan of sites, least squares, and the descent with a field."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
import xarray as xr
from scipy.fft import irfft, rfft
from scipy.ndimage import gaussian_filter1d
from scipy.optimize import least_squares, minimize
from torch import Tensor

from forwardecg.activation.models import (
    EARLIEST,
    SCAN,
    Setting,
    Weights,
    coarser,
    nearest,
    rings,
    uniform_ecg,
    voltages,
    weights,
)
from forwardecg.activation.template import FINE, template
from forwardecg.contract import array, instance, number, times, unit_of
from forwardecg.ecg.electrodes import Electrodes, names_of
from forwardecg.ecg.leadfield import phi_e_attrs
from forwardecg.solver.calibration import D_REFERENCE
from forwardecg.tissue.cell import FKParams
from forwardecg.tissue.grid import Grid
from forwardecg.tissue.sheet import Tissue, grid_of

LOW_PASS = 1.5  # ms, SD of the Gaussian by which data and model are smoothed
STARTS, FAR_OFF = 16, 10.0  # the most sites that are polished; times the least misfit, beyond which none is
ROUNDS = 40  # of the descent


def read(
    phi_e: xr.DataArray, electrodes: Electrodes, sheet: Tissue | Grid, gain: int, radius: float, cell: FKParams, dt: float
) -> Setting:  # fmt: skip
    """What is known, checked and after the low-pass."""
    grid, names = grid_of(sheet), instance("electrodes", electrodes, Electrodes, "such as center_electrode gives").names
    radius, dt = number("radius", radius, 2, 1e3, unit="mm"), number("dt", dt, 0, 10, unit="ms", above=True)
    if radius >= (side := min(grid.size)):
        raise ValueError(f"radius: expected less than the shorter side of the sheet, {side:g} mm, got {radius:g} mm")
    labeled = instance("phi_e", phi_e, xr.DataArray, "with times, as `pseudo_ecg` gives")
    values = array("phi_e", labeled, ("lead", "time_ecg"), shape=(len(names), None)).astype(float)
    if names_of(labeled) not in (None, names):
        raise ValueError(f"electrodes: expected those of the leads {names_of(labeled)}, got {names}")
    if (came := unit_of(labeled.attrs)) not in (None, phi_e_attrs()["units"]) and not gain:
        raise ValueError(f"phi_e: expected {phi_e_attrs()['units']}, or a gain to be fitted beside D, got {came!r}")
    if "time_ecg" not in labeled.coords:
        raise ValueError("phi_e: expected times along time_ecg, got none")
    t = times("phi_e.time_ecg", labeled.time_ecg, least=20)
    if np.ptp(np.diff(t)) > 1e-6 * t[-1]:
        raise ValueError(f"phi_e.time_ecg: expected equal steps, got {np.diff(t).min():g} .. {np.diff(t).max():g} ms")
    every = max(int(1.5 * LOW_PASS / (t[1] - t[0])), 1)  # after the low-pass the samples between tell nothing new
    data, t = gaussian_filter1d(values, LOW_PASS / (t[1] - t[0]), mode="nearest")[:, ::every], t[::every]
    if not (norm := np.sqrt(np.square(data).sum())):
        raise ValueError("phi_e: expected an ECG that is not zero, got zeros")
    form = template(grid.dx, dt, instance("cell", cell, FKParams))
    up, down = (gaussian_filter1d(part, LOW_PASS / FINE, mode="nearest") for part in (form.up, form.down))
    return Setting(
        data / norm, norm, t, grid.dx, grid, electrodes, radius, gain, form._replace(up=up, down=down), cell, dt
    )


def scan(one: Setting, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Least misfit (site,) over some D and all onsets, and (site, [onset, log D, log gain]) where it is."""
    every_other, grid = one.data[:, ::2], coarser(one.grid)  # good enough to find where to begin
    share = np.sqrt(np.square(every_other).sum())
    one = one._replace(data=every_other / share, norm=one.norm * share, t=one.t[::2], grid=grid)
    n, step, known = one.t.size, one.t[1] - one.t[0], weights(one, nearest(D_REFERENCE))
    H, data = np.stack([rings(one, *site, known) for site in zip(x, y, strict=True)]), rfft(one.data, 2 * n)
    shifts = np.append(np.arange(n), np.arange(-min(int(EARLIEST / step), n), 0))
    least, at = np.full(x.size, np.inf), np.zeros((x.size, 3))
    for D in SCAN:
        model = uniform_ecg(one, D, H, voltages(one, D))
        match = irfft((data * rfft(model, 2 * n).conj()).sum(1), 2 * n)[:, shifts]
        peak, energy = np.maximum(match.max(1), 1e-12), np.square(model).sum((1, 2))
        factor = peak / energy if one.gain else np.ones(x.size)
        misfit = np.maximum(1 - 2 * factor * peak + factor**2 * energy, 1e-9)  # zero but for rounding, which has a sign
        found = np.stack([step * shifts[match.argmax(1)], np.full(x.size, np.log(D)), np.log(factor)], 1)
        lower = misfit < least
        least[lower], at[lower] = misfit[lower], found[lower]
    return least, at


def polish(
    one: Setting, x: float, y: float, rest: np.ndarray, known: Weights, fixed: bool = False
) -> tuple[float, np.ndarray, np.ndarray]:
    """Misfit, x, y, onset, log D and log gain by least squares from a start, the site free or ``fixed``, and curvature (2, 2)."""
    size = one.grid.size[::-1]
    # a difference changes one argument alone: what the others give is kept
    about = lru_cache(4)(lambda x, y: rings(one, x, y, known))
    after = lru_cache(4)(lambda D, onset: voltages(one, D, onset))
    free, full = np.array([not fixed, not fixed, True, True, one.gain > 0]), np.array([x, y, *rest])

    def inside(p: np.ndarray) -> np.ndarray:
        full[free] = p
        return np.array(
            [*np.clip(full[:2], 0, size), full[2], np.clip(full[3], *np.log(SCAN[[0, -1]] * [0.5, 2])), full[4]]
        )

    def error(p: np.ndarray) -> np.ndarray:
        x, y, onset, log_D, log_gain = inside(p)
        D = float(np.exp(log_D))
        return (np.exp(log_gain) * uniform_ecg(one, D, about(x, y), after(D, onset)) - one.data).ravel()

    scale, tolerance = np.array([1, 1, 1, 0.03, 0.03])[free], 1e-3 if fixed else 1e-6
    found = least_squares(error, full[free], method="lm", x_scale=scale, max_nfev=60, ftol=tolerance, xtol=tolerance)
    covariance = np.linalg.pinv(found.jac.T @ found.jac)
    return 2 * found.cost, inside(found.x), np.linalg.pinv(covariance[:2, :2])


def descend(ecg: Callable[[Tensor], tuple[Tensor, ...]], start: np.ndarray) -> np.ndarray:
    """The parameters of least misfit and ridge from a start, of a function as `varied` gives it."""
    scale = np.repeat([1.0, 0.1], [3, start.size - 3])  # mm, ms; log D and log gain

    def value(z: np.ndarray) -> tuple[float, np.ndarray]:
        p = torch.from_numpy(start + scale * z).requires_grad_()
        total = ecg(p)[0]
        (gradient,) = torch.autograd.grad(total, p)
        return total.item(), scale * gradient.numpy()

    return (
        start
        + scale * minimize(value, np.zeros(start.size), jac=True, method="L-BFGS-B", options={"maxiter": ROUNDS}).x
    )
