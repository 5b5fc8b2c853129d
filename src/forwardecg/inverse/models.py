"""Models of an ECG with few parameters and how they are fitted: uniform tissue in closed form, and D that varies, by the adjoint.

    phi_e = sum over cells of L rise(t - T) + (S L) fall(t - T),   S = (1 - tau D Laplacian)^-1

rise and fall are the two parts of the action potential (`template`). Neighbors share charge while they repolarize; as S is
symmetric it is applied to the lead field L, once, and not to the times. In uniform tissue T is a function of the distance
alone, so that sums of L over rings of cells about a site serve every D.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from scipy.fft import dct, irfft, rfft
from scipy.ndimage import map_coordinates
from scipy.optimize import least_squares, minimize
from torch import Tensor
from torch.nn.functional import interpolate, pad

from forwardecg.activation.eikonal import speed
from forwardecg.activation.template import SHARED, Template
from forwardecg.contract import V_SPAN
from forwardecg.ecg.electrodes import Electrodes
from forwardecg.ecg.leadfield import distances, lead_field
from forwardecg.inverse.adjoint import activation_times
from forwardecg.solver.calibration import D_REFERENCE, calibration_table
from forwardecg.solver.simulation import simulate
from forwardecg.tissue.cell import FKParams
from forwardecg.tissue.grid import Grid
from forwardecg.tissue.sheet import healthy
from forwardecg.tissue.stimulus import focal_stimulus

RING, BIN, COARSE = 0.5, 0.5, 1.0  # mm between rings, ms between bins of times, mm of a cell where D varies
EARLIEST = 40.0  # ms before the record at which a wave may begin
SCAN = np.geomspace(0.02, 0.3, 16)  # mm^2/ms, values of D that are tried first
NEAR, AWAY = 15.0, 38.0  # mm from the middle of a wave, between which its speed along rays is measured
RIDGE = 1e-3  # of the misfit, for each squared deviation of log D or log gain from its mean
ROUNDS = 40  # of the descent

Weights = tuple[Tensor, np.ndarray]


class Setting(NamedTuple):
    """What is known: the ECG (lead, time) after a low-pass, over its norm in mV mm/ms, and the template after the same.

    ``dx`` (mm) is the grid of the waves, and ``grid`` the one over which a model is summed.
    """

    data: np.ndarray
    norm: float
    t: np.ndarray
    dx: float
    grid: Grid
    electrodes: Electrodes
    radius: float
    gain: int
    form: Template
    cell: FKParams
    dt: float


def travel_time(r: np.ndarray, D: float, radius: float, cell: FKParams) -> np.ndarray:
    """ms from the activation of a disc to that of cells at distance r (mm): dT/dr = 1 / (c sqrt(D) - D / r)."""
    c, out = speed(cell) * np.sqrt(D), np.maximum(r, radius)
    return (out - radius + D / c * np.log((out - D / c) / (radius - D / c))) / c


@lru_cache
def ray_factor(dx: float, solver_dx: float, dt: float, cell: FKParams, D: float) -> np.ndarray:
    """Times along rays at degrees 0 .. 90, simulated, over `travel_time`, or where dx is another over `activation_times` on dx."""

    def along(T: np.ndarray, dx: float) -> np.ndarray:
        angle = np.radians(np.arange(91.0))
        inner, outer = (
            map_coordinates(T, r / dx * np.stack([np.sin(angle), np.cos(angle)]) - 0.5, order=1, mode="nearest")
            for r in (NEAR, AWAY)
        )
        found = (outer - inner) / np.diff(travel_time(np.array([NEAR, AWAY]), D, 4.0, cell))
        return (found + found[::-1]) / 2

    fine, t_end = healthy((round((AWAY + 2) / solver_dx),) * 2, solver_dx, D), np.ceil(80 / (speed(cell) * np.sqrt(D)))
    focus = focal_stimulus(fine, 0.0, 0.0)  # a quarter of a wave
    true = along(simulate(fine, focus, t_end=t_end, frame_interval=t_end, cell=cell, dt=dt).lat.values, solver_dx)
    if dx == solver_dx:
        return true
    sheet = healthy((round((AWAY + 2) / dx),) * 2, dx, D)
    T = activation_times(sheet, torch.zeros(1, 2), torch.zeros(1), radius=4.0, cell=cell, dt=dt)
    return true / along(T.numpy(), dx)


def nearest(D: float) -> float:
    """The nearest D of the scan, for what depends on D but little."""
    return float(SCAN[np.abs(np.log(SCAN / D)).argmin()])


def coarser(grid: Grid) -> Grid:
    """The same sheet in the largest cells, of whole ones, that are no larger than `COARSE`."""
    (n_y, n_x), most = grid.shape, max(COARSE, grid.dx) * (1 + 1e-9)
    k = max(k for k in range(1, n_y + 1) if n_y % k == n_x % k == 0 and k * grid.dx <= most)
    return Grid((n_y // k, n_x // k), k * grid.dx)


def _courses(form: Template, T: np.ndarray, t: np.ndarray) -> np.ndarray:
    """The two parts of V_m in mV (part, n, time) of activation times T (n,)."""
    later = t - T[:, None]
    return V_SPAN * np.stack([np.interp(later, form.t, part) for part in (form.up, form.down)])


def _share(L: Tensor, dx: float, reach: float) -> Tensor:
    """S L (lead, y, x) with tau D = reach in mm^2, by cosines, none of which has a flux at the outer edge."""
    C_y, C_x = (torch.from_numpy(dct(np.eye(n), axis=0, norm="ortho")) for n in L.shape[1:])
    k_y, k_x = (2 / dx**2 * (1 - torch.cos(torch.pi / n * torch.arange(n))) for n in L.shape[1:])
    return C_y.T @ (C_y @ L @ C_x.T / (1 + reach * (k_y[:, None] + k_x))) @ C_x


def _bin(weight: Tensor, at: Tensor, n: int) -> Tensor:
    """Weights (lead, cell) in n bins, each shared by the two next to ``at`` (cell,)."""
    at = at.clamp(0, n - 1.001)
    k = at.detach().long()
    above = weight * (at - k)
    return weight.new_zeros(len(weight), n).index_add(1, k, weight - above).index_add(1, k + 1, above)


def weights(one: Setting, D: float) -> Weights:
    """Lead fields of rise and fall (2 lead, cell) of D = 1, and the factor of rays, of waves near D."""
    L = torch.from_numpy(lead_field(healthy(one.grid.shape, one.grid.dx, 1.0), one.electrodes))
    both = torch.cat([L, _share(L, one.grid.dx, SHARED * one.form.duration * D)])
    return both.flatten(1), ray_factor(one.dx, one.dx, one.dt, one.cell, D)


def _n_rings(grid: Grid) -> int:
    return int(1.05 * np.hypot(*grid.size) / RING) + 2


def _rays(one: Setting, x: float, y: float, factor: np.ndarray) -> np.ndarray:
    """Distances (y, x) in mm from a site, along rays that are as much longer as waves along them are slower."""
    at_y, at_x = one.grid.centers
    right, up = np.broadcast_arrays(np.abs(at_x - x), np.abs(at_y - y))
    return np.hypot(right, up) * np.interp(np.degrees(np.arctan2(up, right)), np.arange(91), factor)


def rings(one: Setting, x: float, y: float, known: Weights) -> np.ndarray:
    """Lead fields of rise and fall (part, lead, ring) about a site, of D = 1."""
    return in_rings(one, known[0], _rays(one, x, y, known[1]))


def in_rings(one: Setting, L: Tensor, r: np.ndarray) -> np.ndarray:
    """Lead fields L (2 lead, cell) as (part, lead, ring), of cells at distances r (y, x) in mm from where a wave begins."""
    return _bin(L, torch.from_numpy(r.ravel() / RING), _n_rings(one.grid)).numpy().reshape(2, len(one.data), -1)


def voltages(one: Setting, D: float, onset: float = 0.0) -> np.ndarray:
    """The two parts of V_m (part, ring, time) about a disc that is activated so long after the record has begun."""
    T = onset + travel_time(RING * np.arange(_n_rings(one.grid)), D, one.radius, one.cell)
    return _courses(one.form, T, one.t - one.t[0])


def uniform_ecg(one: Setting, D: float, H: np.ndarray, V: np.ndarray) -> np.ndarray:
    """ECG (..., lead, time) over the norm, from `rings` H and `voltages` V."""
    return D / one.norm * (H[..., 0, :, :] @ V[0] + H[..., 1, :, :] @ V[1])


def uniform_times(one: Setting, x: float, y: float, onset: float, D: float) -> np.ndarray:
    """Activation times (y, x) in ms from the begin of the record."""
    r = _rays(one, x, y, ray_factor(one.dx, one.dx, one.dt, one.cell, nearest(D)))
    return onset + travel_time(r, D, one.radius, one.cell)


def scan(one: Setting, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Least misfit (site,) over some D and all onsets, and (site, [onset, log D, log gain]) where it is."""
    every_other, grid = one.data[:, ::2], coarser(one.grid)  # good enough to find where to begin
    share = np.sqrt(np.square(every_other).sum())
    one = one._replace(data=every_other / share, norm=one.norm * share, t=one.t[::2], grid=grid)
    known = weights(one, nearest(D_REFERENCE))
    return match(one, np.stack([rings(one, *site, known) for site in zip(x, y, strict=True)]))


def match(one: Setting, H: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`scan` of waves whose `rings` are H (wave, part, lead, ring)."""
    n, step = one.t.size, one.t[1] - one.t[0]
    data, shifts = rfft(one.data, 2 * n), np.append(np.arange(n), np.arange(-min(int(EARLIEST / step), n), 0))
    least, at = np.full(len(H), np.inf), np.zeros((len(H), 3))
    for D in SCAN:
        model = uniform_ecg(one, D, H, voltages(one, D))
        alike = irfft((data * rfft(model, 2 * n).conj()).sum(1), 2 * n)[:, shifts]
        peak, energy = np.maximum(alike.max(1), 1e-12), np.square(model).sum((1, 2))
        factor = peak / energy if one.gain else np.ones(len(H))
        misfit = np.maximum(1 - 2 * factor * peak + factor**2 * energy, 1e-9)  # zero but for rounding, which has a sign
        found = np.stack([step * shifts[alike.argmax(1)], np.full(len(H), np.log(D)), np.log(factor)], 1)
        lower = misfit < least
        least[lower], at[lower] = misfit[lower], found[lower]
    return least, at


def polish(
    one: Setting, x: float, y: float, rest: np.ndarray, weights_of: Callable[[float], Weights], fixed: bool = False
) -> tuple[float, np.ndarray, np.ndarray]:
    """Misfit, x, y, onset, log D and log gain by least squares from a start, the site free or ``fixed``, and curvature (2, 2)."""
    size, known = one.grid.size[::-1], weights_of(nearest(np.exp(rest[1])))
    slow, fast = np.log(SCAN[[0, -1]] * [0.5, 2])
    lowest, highest = [0, 0, -np.inf, slow, -np.inf], [*size, np.inf, fast, np.inf]
    # a difference changes one argument alone: what the others give is kept
    about = lru_cache(4)(lambda x, y: rings(one, x, y, known))
    after = lru_cache(4)(lambda D, onset: voltages(one, D, onset))
    free, full = np.array([not fixed, not fixed, True, True, one.gain > 0]), np.array([x, y, *rest])

    def inside(p: np.ndarray) -> np.ndarray:
        full[free] = p
        return np.clip(full, lowest, highest)

    def error(p: np.ndarray) -> np.ndarray:
        x, y, onset, log_D, log_gain = inside(p)
        D = float(np.exp(log_D))
        return (np.exp(log_gain) * uniform_ecg(one, D, about(x, y), after(D, onset)) - one.data).ravel()

    scale, tolerance = np.array([1, 1, 1, 0.03, 0.03])[free], 1e-3 if fixed else 1e-6
    found = least_squares(error, full[free], method="lm", x_scale=scale, max_nfev=60, ftol=tolerance, xtol=tolerance)
    covariance = np.linalg.pinv(found.jac.T @ found.jac)
    return 2 * found.cost, inside(found.x), np.linalg.pinv(covariance[:2, :2])


def _sources(D: Tensor, weight: Tensor) -> Tensor:
    """`lead_field` of D (y, x) by which it can be differentiated, weight (lead, y, x) in 1/mm."""
    L = torch.zeros(())
    for dim, walls in ((1, (0, 0, 1, 1)), (2, (1, 1))):
        a, b = D.narrow(dim - 1, 0, D.shape[dim - 1] - 1), D.narrow(dim - 1, 1, D.shape[dim - 1] - 1)
        L = L + pad(2 * a * b / (a + b) * weight.diff(dim=dim), walls).diff(dim=dim)
    return L


def varied(
    one: Setting, D: float, field: int, sites: Callable[[Tensor], Tensor] = lambda at: at[None]
) -> Callable[[Tensor], tuple[Tensor, ...]]:
    """A function of x, y, onset, log D (field x field) and log gain (gain x gain) near D, to be differentiated.

    ``sites`` of x and y are where the wave begins, (n, xy) in mm. It gives the misfit with its ridge, the ECG (lead, time)
    over the norm, and T, D and gain (y, x) on cells of `COARSE`.
    """
    coarse = coarser(one.grid)
    sheet = healthy(coarse.shape, coarse.dx, D)
    weight = 1 / torch.from_numpy(distances(sheet, one.electrodes))
    factor = torch.from_numpy(ray_factor(sheet.dx, one.dx, one.dt, one.cell, nearest(D)))
    bins = np.arange(-EARLIEST, one.t[-1] - one.t[0] + 2 * BIN, BIN)
    V, data = (torch.from_numpy(part) for part in (_courses(one.form, bins, one.t - one.t[0]), one.data))
    at_y, at_x = (torch.from_numpy(at) for at in sheet.grid.centers)
    reach = SHARED * one.form.duration * D
    known = np.log(calibration_table(sheet.dx, one.dt, one.cell)[0])
    limits = known.min() + 1e-6, known.max() - 1e-6  # a descent may try what no grid conducts

    def spread(nodes: Tensor) -> Tensor:
        side = round(len(nodes) ** 0.5)
        return interpolate(nodes.reshape(1, 1, side, side), sheet.D.shape, mode="bicubic", align_corners=True)[0, 0]

    def ecg(p: Tensor) -> tuple[Tensor, ...]:
        at, onset, log_D, log_gain = sites(p[:2]), p[2], p[3 : 3 + field**2], p[3 + field**2 :]
        D = spread(log_D).clamp(*limits).exp()
        gain = spread(log_gain).exp() if one.gain else torch.ones(sheet.D.shape)
        T = activation_times(sheet, at, torch.zeros(len(at)), D, radius=one.radius, cell=one.cell, dt=one.dt)
        x, y = at[((at_x - at[:, 0, None, None]) ** 2 + (at_y - at[:, 1, None, None]) ** 2).argmin(0)].unbind(-1)
        degree = torch.rad2deg(torch.atan2((at_y - y).abs() + 1e-9, (at_x - x).abs() + 1e-9))
        below = degree.detach().long().clamp(max=89)
        T = onset + T * (factor[below] + (degree - below) * (factor[below + 1] - factor[below]))
        L = _sources(D * gain, weight)
        entry = (T.flatten() + EARLIEST) / BIN
        rise, fall = _bin(torch.cat([L, _share(L, sheet.dx, reach)]).flatten(1), entry, bins.size).chunk(2)
        model = (rise @ V[0] + fall @ V[1]) / one.norm
        ridge = sum(((nodes - nodes.mean()) ** 2).sum() for nodes in (log_D, log_gain) if len(nodes))
        return ((model - data) ** 2).sum() + RIDGE * ridge, model, T, D, gain

    return ecg


def descend(ecg: Callable[[Tensor], tuple[Tensor, ...]], start: np.ndarray) -> np.ndarray:
    """The parameters of least misfit and ridge from a start, of a function as `varied` gives it."""
    scale = np.repeat([1.0, 0.1], [3, start.size - 3])  # mm, ms; log D and log gain

    def value(z: np.ndarray) -> tuple[float, np.ndarray]:
        p = torch.from_numpy(start + scale * z).requires_grad_()
        total = ecg(p)[0]
        (gradient,) = torch.autograd.grad(total, p)
        return total.item(), scale * gradient.numpy()

    found = minimize(value, np.zeros(start.size), jac=True, method="L-BFGS-B", options={"maxiter": ROUNDS})
    return start + scale * found.x
