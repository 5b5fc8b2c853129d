"""The discrete diffusion operator: (A z)_i = sum over neighbors j of g_ij (z_j - z_i), A z / dx^2 -> div(D grad z).

A is symmetric, its net fluxes sum to zero; a cell that does not conduct has no coupling. Time loop and ECG share it.
"""

from typing import NamedTuple

import numpy as np

from forwardecg.contract import array
from forwardecg.tissue.sheet import Tissue


class Couplings(NamedTuple):
    """Couplings in mm^2/ms, 0 at the outer edge: across west and south faces and, with fibers, south-west corners."""

    D_x: np.ndarray  # (y, x + 1)
    D_y: np.ndarray  # (y + 1, x)
    D_ne: np.ndarray | None = None  # (y + 1, x + 1), along the rising diagonal
    D_nw: np.ndarray | None = None  # (y + 1, x + 1), along the falling one


def face_diffusivity(D: np.ndarray, conductive: np.ndarray) -> Couplings:
    """Harmonic means 2 D_a D_b / (D_a + D_b) on the faces of isotropic D (y, x) in mm^2/ms: Patankar (1980)."""
    D = array("D", D, ("y", "x"), "mm2 ms-1", finite=False)
    conductive = array("conductive", conductive, ("y", "x"), shape=D.shape, kinds="b")
    if not (D[conductive] >= 0).all():
        raise ValueError("D: expected values >= 0 mm^2/ms in conductive cells, got negative ones or NaN")
    D = np.where(conductive, D, 0.0).astype(np.float64)
    D_x = np.zeros((D.shape[0], D.shape[1] + 1))
    D_y = np.zeros((D.shape[0] + 1, D.shape[1]))
    D_x[:, 1:-1], D_y[1:-1] = _harmonic(D[:, :-1], D[:, 1:]), _harmonic(D[:-1], D[1:])
    return Couplings(D_x, D_y)


def couplings(tissue: Tissue) -> Couplings:
    """Couplings of a tissue: `face_diffusivity`; with fibers D = R(angle) diag(D, D_across) R(angle)^T on triangles."""
    if tissue.fiber_angle is None:
        return face_diffusivity(tissue.D, tissue.live)
    # The energy 1/2 integral grad z . D grad z is summed over the right triangles of a cell, a neighbor in x and one in
    # y, each weighing a quarter of a cell. A triangle that lacks its third cell keeps the flux along the side that is
    # left, with none across it: D_xx - D_xy^2 / D_yy.
    cos, sin = np.cos(tissue.fiber_angle), np.sin(tissue.fiber_angle)
    D, D_across = tissue.D, tissue.D_across
    xx, yy, xy = (np.pad(np.where(tissue.live, part, 0.0), 1) for part in (
        D * cos**2 + D_across * sin**2, D * sin**2 + D_across * cos**2, (D - D_across) * sin * cos,
    ))  # fmt: skip
    shear = np.divide(xy, np.sqrt(xx * yy), out=np.zeros(xx.shape), where=xx * yy > 0)  # -1 < shear < 1
    live = xx * yy > 0
    g_x, g_y = np.zeros((xx.shape[0], xx.shape[1] + 1)), np.zeros((xx.shape[0] + 1, xx.shape[1]))
    corner = {sign: np.zeros((xx.shape[0] + 1, xx.shape[1] + 1)) for sign in (1, -1)}  # rising, falling diagonal
    y, x = np.ogrid[1 : xx.shape[0] - 1, 1 : xx.shape[1] - 1]  # the padding has no cell: nothing wraps around
    for to_x in (-1, 1):
        for to_y in (-1, 1):
            b, c = (lambda z, k=to_x: np.roll(z, -k, 1)), (lambda z, k=to_y: np.roll(z, -k, 0))  # neighbor in x, in y
            along_x, along_y = _harmonic(xx, b(xx)), _harmonic(yy, c(yy))
            has_x, has_y = live & b(live), live & c(live)
            both = has_x & has_y
            mean_shear = (shear + np.where(has_x, b(shear), 0) + np.where(has_y, c(shear), 0)) / (1.0 + has_x + has_y)
            mixed = np.where(both, to_x * to_y * mean_shear * np.sqrt(along_x * along_y), 0.0)
            alone = 1 - mean_shear**2  # D_xx - D_xy^2 / D_yy relative to D_xx
            g_x[y, x + (to_x > 0)] += np.where(both, along_x + mixed, along_x * alone)[y, x] / 4
            g_y[y + (to_y > 0), x] += np.where(both, along_y + mixed, along_y * alone)[y, x] / 4
            corner[-to_x * to_y][y + (to_y > 0), x + (to_x > 0)] -= mixed[y, x] / 4
    D_ne, D_nw = (corner[sign][1:-1, 1:-1] for sign in (1, -1))
    return Couplings(g_x[1:-1, 1:-1], g_y[1:-1, 1:-1], D_ne, D_nw)


def _harmonic(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.divide(2 * a * b, a + b, out=np.zeros(np.shape(a)), where=a * b > 0)


def net_flux(
    z: np.ndarray, D_x: np.ndarray, D_y: np.ndarray, D_ne: np.ndarray | None = None, D_nw: np.ndarray | None = None
) -> np.ndarray:
    """(A z)_i = sum over neighbors j of g_ij (z_j - z_i) of any z (..., y, x) per cell, in mm^2/ms times its unit."""
    flux_x = D_x[:, 1:-1] * np.diff(z, axis=-1)
    flux_y = D_y[1:-1] * np.diff(z, axis=-2)
    total = np.zeros(z.shape)
    total[..., :-1] += flux_x
    total[..., 1:] -= flux_x
    total[..., :-1, :] += flux_y
    total[..., 1:, :] -= flux_y
    if D_ne is not None and D_nw is not None:
        rising = D_ne[1:-1, 1:-1] * (z[..., 1:, 1:] - z[..., :-1, :-1])
        falling = D_nw[1:-1, 1:-1] * (z[..., 1:, :-1] - z[..., :-1, 1:])
        total[..., :-1, :-1] += rising
        total[..., 1:, 1:] -= rising
        total[..., :-1, 1:] += falling
        total[..., 1:, :-1] -= falling
    return total


def stability_limit(D_max: float, dx: float) -> float:
    """Largest stable step (ms) of explicit diffusion on cells of ``dx`` mm: dx^2 / (4 D_max), D_max in mm^2/ms."""
    return dx**2 / (4 * D_max)


def stable_step(g: Couplings, dx: float) -> float:
    """A stable step (ms) for couplings g, cells of ``dx`` mm: dx^2 over the largest sum of positive ones of a cell."""
    # no eigenvalue of -A exceeds twice that sum (Gershgorin), and explicit Euler is stable up to 2 over the eigenvalue
    parts = [g.D_x[:, :-1], g.D_x[:, 1:], g.D_y[:-1], g.D_y[1:]]
    if g.D_ne is not None and g.D_nw is not None:
        parts += [g.D_ne[:-1, :-1], g.D_ne[1:, 1:], g.D_nw[:-1, 1:], g.D_nw[1:, :-1]]
    largest = sum(np.maximum(part, 0.0) for part in parts).max()
    return dx**2 / largest if largest > 0 else np.inf
