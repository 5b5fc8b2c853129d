"""Derivatives of activation times by the sites of a wave, their onsets, and the diffusivity: the adjoint of the balance of charge.

    F_i(T, g) = sum over j of g_ij phi(T_i - T_j) - 1 - V_i = 0,   (dF/dT)^T y = dJ/dT,   dJ/dg_ij = -y_i dF_i/dg_ij

for a number J of the times. phi is smooth where a minimum over rays has a kink, so that ties of two routes need no care.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from scipy.interpolate import PchipInterpolator
from scipy.sparse import coo_array
from scipy.sparse.linalg import splu
from torch import Tensor
from torch.nn import functional as F

from forwardecg.activation.eikonal import Front, network, speed, spread
from forwardecg.activation.loops import FAR, STEP
from forwardecg.contract import instance, number
from forwardecg.solver.calibration import calibration_table
from forwardecg.solver.simulation import check_arguments
from forwardecg.tissue.cell import FK_CAF, FKParams
from forwardecg.tissue.sheet import Tissue

PASSES = 12  # by then the balance holds to rounding, as its adjoint demands
RIM = 2.5  # cells about a site whose times are those of a straight ray


class _Times(torch.autograd.Function):
    """Flat times of a front by D of the cells, of a ``grid`` (tissue, dt, cell), and the times of those that it holds."""

    @staticmethod
    def forward(ctx: Any, D: Tensor, seeds: Tensor, front: Front, grid: tuple[Tissue, float, FKParams]) -> Tensor:
        ctx.front, ctx.grid = front, grid
        return torch.from_numpy(front.T.copy())

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        T, order, held, net = ctx.front
        cells = np.sort(order)
        beside = cells[:, None] + net.offsets
        g = np.where(held[cells][:, None], 0.0, net.g[cells])
        lag = (T[cells][:, None] - T[beside]) / STEP
        charge, slope = _look_up(net.phi, lag + net.phi.size // 2)
        parts, slopes = _look_up(net.given, np.maximum(lag, 0))
        w, wm, _ = (np.maximum(g, 0)[..., None] * parts).sum(1).T
        mean = wm / (w + 1e-12)  # V = sum w (m - mean)^2, which a small change of the mean does not change
        square = np.where(g > 0, 1.0, 0.0)[..., None] * np.stack([mean**2, -2 * mean, np.ones(mean.size)], -1)[:, None]
        charge -= (square * parts).sum(-1)
        rise = g * (slope - np.where(lag > 0, (square * slopes).sum(-1), 0.0)) / STEP
        row, column = np.nonzero(g)
        size, index = cells.size, np.searchsorted(cells, beside[row, column])
        J = coo_array((-rise[row, column], (row, index)), (size, size)).tocsc()
        J.setdiag(np.where(held[cells], 1.0, rise.sum(1)))
        y = splu(J.T.tocsc()).solve(gradient.numpy()[cells])
        by_D, by_seeds = np.zeros(T.size), np.zeros(T.size)
        by_seeds[cells] = np.where(held[cells], y, 0.0)
        along = -y[:, None] * charge * g**2  # of a coupling and its own derivative, but for the `_rate` of either cell
        by_D[cells] = along.sum(1)
        by_D += np.bincount(beside.ravel(), along.ravel(), T.size)
        by_D *= net.pad(_rate(*ctx.grid), 0.0)
        return torch.from_numpy(by_D), torch.from_numpy(by_seeds), None, None


def _look_up(table: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values of a table between its entries, and their change from one entry to the next."""
    at = np.clip(at, 0, len(table) - 1.001)
    k = at.astype(int)
    slope = table[k + 1] - table[k]
    return table[k] + slope * (at - k).reshape(at.shape + (1,) * (table.ndim - 1)), slope


def _rate(tissue: Tissue, dt: float, cell: FKParams) -> np.ndarray:
    """dg / dD over g^2 (y, x) in mm^2, by D of a cell beside the coupling g = 2 a b / (a + b) / dx^2 of D_num a and b."""
    D, lookup = tissue.D[tissue.live], PchipInterpolator(*map(np.log, calibration_table(tissue.dx, dt, cell)))
    rate = np.zeros(tissue.D.shape)
    rate[tissue.live] = tissue.dx**2 / 2 * lookup(np.log(D), 1) / (D * np.exp(lookup(np.log(D))))
    return rate


def activation_times(
    tissue: Tissue, site: Tensor, onset: Tensor, D: Tensor | None = None, *, radius: float = 3.0,
    cell: FKParams = FK_CAF, dt: float = 0.1,
) -> Tensor:  # fmt: skip
    """Activation times of waves from a few sites, to be differentiated by site, onset and D.

    Args:
        tissue: sheet; its own D is used where none is given.
        site: (n, 2), mm, x and y from the corner of the sheet.
        onset: (n,), ms, when the discs about the sites are activated.
        D: (y, x), mm^2/ms, above 0 in live cells; None: that of the tissue. Not with fibers.
        radius: mm, of the discs; below 2 mm the cells of the grid show in the derivative by the site.
        cell, dt: as `simulate` takes them.

    Returns:
        T (y, x), ms, float64; infinite where no wave arrives.

    Raises:
        ValueError: Tensors of another shape, sites without a live cell near them, D of a tissue with fibers.

    Examples:
        >>> sheet, site = fe.healthy((30, 30), 0.5, D0=0.1), torch.tensor([[7.4, 7.4]], requires_grad=True)
        >>> T = activation_times(sheet, site, torch.zeros(1))
        >>> T[14, 27].backward()  # a cell to the right of the site: earlier, the farther right that moves
        >>> site.grad.round(decimals=1).tolist()  # ms/mm
        [[-1.5, 0.0]]
    """
    check_arguments(tissue, cell, True, np.float64, True)
    radius, dt = number("radius", radius, 0, 1e6, unit="mm"), number("dt", dt, 0, 10, unit="ms", above=True)
    shape = (*instance("site", site, Tensor).shape,)
    if len(shape) != 2 or shape[1] != 2 or not shape[0] or instance("onset", onset, Tensor).shape != shape[:1]:
        raise ValueError(f"site, onset: expected (n, 2) and (n,), n > 0, got {shape} and {(*onset.shape,)}")
    given = torch.from_numpy(tissue.D.copy()) if D is None else instance("D", D, Tensor).double()
    if given.shape != tissue.D.shape or (D is not None and tissue.fiber_angle is not None):
        raise ValueError(f"D: expected {tissue.D.shape} of a tissue without fibers, got {(*given.shape,)}")
    tissue = replace(tissue, D=given.detach().numpy())
    net, begin = network(tissue, dt, cell), begin_times(tissue, site.double(), onset.double(), given, radius, cell)
    front = spread(begin.detach().numpy(), tissue, net, cell, close=1e-9, passes=PASSES)
    D, seeds = F.pad(given, (1, 1, 1, 1)).flatten(), F.pad(begin, (1, 1, 1, 1), value=FAR).flatten()
    T = _Times.apply(D, seeds, front, (tissue, dt, cell))
    return torch.where(T < FAR, T, torch.inf).reshape(net.shape)[1:-1, 1:-1]


def begin_times(tissue: Tissue, site: Tensor, onset: Tensor, along: Tensor, radius: float, cell: FKParams) -> Tensor:
    """Times (y, x) in ms of straight rays to the cells within `RIM` of the discs about the sites, `FAR` elsewhere."""
    y, x = (torch.from_numpy(one) for one in tissue.grid.centers)
    across = along if tissue.D_across is None else torch.from_numpy(tissue.D_across.copy())
    angle = torch.zeros(1, 1) if tissue.fiber_angle is None else torch.from_numpy(tissue.fiber_angle.copy())
    cos, sin, found = torch.cos(angle), torch.sin(angle), []
    for (at_x, at_y), start in zip(site, onset, strict=True):
        right, up = x - at_x, y - at_y
        r = torch.sqrt(right**2 + up**2 + 1e-12)
        ray = (right * cos + up * sin) ** 2 / along + (up * cos - right * sin) ** 2 / across + 1e-12
        near = torch.from_numpy(tissue.live) & (r < radius + RIM * tissue.dx)
        if not near.any():
            raise ValueError(f"site: expected live cells near it, got none at x = {at_x:g}, y = {at_y:g} mm")
        time = start + torch.relu(1 - radius / r) * torch.sqrt(ray) / speed(cell)
        found.append(torch.where(near, time, FAR))
    return torch.stack(found).amin(0)
