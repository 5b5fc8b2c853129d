"""Models of an ECG with few parameters, to be fitted: uniform tissue in closed form, and tissue whose D varies, by the adjoint.

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
from scipy.fft import dct
from scipy.ndimage import map_coordinates
from torch import Tensor
from torch.nn.functional import interpolate, pad

from forwardecg.activation.adjoint import activation_times
from forwardecg.activation.eikonal import speed
from forwardecg.activation.template import SHARED, Template
from forwardecg.contract import V_SPAN
from forwardecg.ecg.electrodes import Electrodes
from forwardecg.ecg.leadfield import distances, lead_field
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


def rings(one: Setting, x: float, y: float, known: Weights) -> np.ndarray:
    """Lead fields of rise and fall (part, lead, ring) about a site, of D = 1."""
    L, factor = known
    at_y, at_x = one.grid.centers
    right, up = np.broadcast_arrays(np.abs(at_x - x), np.abs(at_y - y))
    at = np.hypot(right, up) * np.interp(np.degrees(np.arctan2(up, right)), np.arange(91), factor) / RING
    return _bin(L, torch.from_numpy(at.ravel()), _n_rings(one.grid)).numpy().reshape(2, len(one.data), -1)


def voltages(one: Setting, D: float, onset: float = 0.0) -> np.ndarray:
    """The two parts of V_m (part, ring, time) about a disc that is activated so long after the record has begun."""
    T = onset + travel_time(RING * np.arange(_n_rings(one.grid)), D, one.radius, one.cell)
    return _courses(one.form, T, one.t - one.t[0])


def uniform_ecg(one: Setting, D: float, H: np.ndarray, V: np.ndarray) -> np.ndarray:
    """ECG (..., lead, time) over the norm, from `rings` H and `voltages` V."""
    return D / one.norm * (H[..., 0, :, :] @ V[0] + H[..., 1, :, :] @ V[1])


def uniform_times(one: Setting, x: float, y: float, onset: float, D: float) -> np.ndarray:
    """Activation times (y, x) in ms from the begin of the record."""
    at_y, at_x = one.grid.centers
    right, up = np.broadcast_arrays(np.abs(at_x - x), np.abs(at_y - y))
    factor = ray_factor(one.dx, one.dx, one.dt, one.cell, nearest(D))
    r = np.hypot(right, up) * np.interp(np.degrees(np.arctan2(up, right)), np.arange(91), factor)
    return onset + travel_time(r, D, one.radius, one.cell)


def _sources(D: Tensor, weight: Tensor) -> Tensor:
    """`lead_field` of D (y, x) by which it can be differentiated, weight (lead, y, x) in 1/mm."""
    L = torch.zeros(())
    for dim, ahead, behind in ((1, (0, 0, 0, 1), (0, 0, 1, 0)), (2, (0, 1), (1, 0))):
        a, b = D.narrow(dim - 1, 0, D.shape[dim - 1] - 1), D.narrow(dim - 1, 1, D.shape[dim - 1] - 1)
        flux = 2 * a * b / (a + b) * weight.diff(dim=dim)
        L = L + pad(flux, ahead) - pad(flux, behind)
    return L


def varied(one: Setting, D: float, field: int) -> Callable[[Tensor], tuple[Tensor, ...]]:
    """A function of x, y, onset, log D (field x field) and log gain (gain x gain) near D, to be differentiated.

    It gives the misfit with its ridge, the ECG (lead, time) over the norm, and T, D and gain (y, x) on cells of `COARSE`.
    """
    coarse = coarser(one.grid)
    sheet = healthy(coarse.shape, coarse.dx, D)
    weight = 1 / torch.from_numpy(distances(sheet, one.electrodes))
    factor = torch.from_numpy(ray_factor(sheet.dx, one.dx, one.dt, one.cell, nearest(D)))
    bins = np.arange(-EARLIEST, one.t[-1] - one.t[0] + 2 * BIN, BIN)
    V, data = (torch.from_numpy(part) for part in (_courses(one.form, bins, one.t - one.t[0]), one.data))
    at_y, at_x = (torch.from_numpy(at) for at in sheet.grid.centers)
    reach = SHARED * one.form.duration * D

    def spread(nodes: Tensor) -> Tensor:
        side = round(len(nodes) ** 0.5)
        return interpolate(nodes.reshape(1, 1, side, side), sheet.D.shape, mode="bicubic", align_corners=True)[0, 0]

    def ecg(p: Tensor) -> tuple[Tensor, ...]:
        (x, y, onset), log_D, log_gain = p[:3], p[3 : 3 + field**2], p[3 + field**2 :]
        D, gain = spread(log_D).exp(), spread(log_gain).exp() if one.gain else torch.ones(sheet.D.shape)
        T = activation_times(sheet, p[None, :2], torch.zeros(1), D, radius=one.radius, cell=one.cell, dt=one.dt)
        degree = torch.rad2deg(torch.atan2((at_y - y).abs() + 1e-9, (at_x - x).abs() + 1e-9))
        below = degree.detach().long().clamp(max=89)
        T = onset + T * (factor[below] + (degree - below) * (factor[below + 1] - factor[below]))
        L = _sources(D * gain, weight)
        at = (T.flatten() + EARLIEST) / BIN
        rise, fall = _bin(torch.cat([L, _share(L, sheet.dx, reach)]).flatten(1), at, bins.size).chunk(2)
        model = (rise @ V[0] + fall @ V[1]) / one.norm
        ridge = sum(((nodes - nodes.mean()) ** 2).sum() for nodes in (log_D, log_gain) if len(nodes))
        return ((model - data) ** 2).sum() + RIDGE * ridge, model, T, D, gain

    return ecg
