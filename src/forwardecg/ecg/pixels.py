"""The ECG on the pixels of maps: phi_e = - integral D grad V_m . grad(1/r) dA = sum_f D_f G_f (V_j - V_i).

f is a face from pixel i to j, D_f upscaled from cells, G_f = - integral d/dn (1/r) ds, V = 100 mV u / conductive share.
"""

import numpy as np

from forwardecg.contract import array, instance
from forwardecg.ecg.electrodes import Electrodes, check_far
from forwardecg.tissue.diffusion import Couplings, face_diffusivity
from forwardecg.tissue.grid import Grid, blocks

MARGIN = 2  # cells by which the local problem of a face is wider than the face, on either side
ALMOST_NOTHING = 1e-12  # mm^2/ms, conducted by what does not conduct, so that a matrix can be inverted
LEAST_SHARE = 0.01  # shares of a pixel are taken to be at least this: fewer than one cell of 10 x 10


def conductive_share(conductive: np.ndarray, pool: int) -> np.ndarray:
    """Share phi (y_map, x_map), 0 to 1, of the conductive cells (y, x) bool in each pixel of pool x pool."""
    return blocks(array("conductive", conductive, ("y", "x"), kinds="biuf").astype(float), pool).mean((1, 3))


def upscale_faces(D: np.ndarray, conductive: np.ndarray, pool: int) -> Couplings:
    """`Couplings` in mm^2/ms of pixels of pool x pool cells, D (y, x) in mm^2/ms, by local flow problems."""
    # Renard and de Marsily, Advances in Water Resources 20:253 (1997). The potential is 0 on the center line of one
    # pixel and 1 on that of the other; lateral borders are closed, MARGIN cells beyond the pixel, so that the flow may
    # go around what blocks its way. D_f is the flow through the face itself.
    g = face_diffusivity(D, conductive)
    blocks(g.D_x[:, 1:], pool)  # refuses what does not fit
    if pool == 1:
        return g
    return Couplings(_local_flow(g.D_x, g.D_y, pool), _local_flow(g.D_y.T, g.D_x.T, pool).T)


def _local_flow(g_x: np.ndarray, g_y: np.ndarray, pool: int) -> np.ndarray:
    """`upscale_faces` along x of cell faces g_x (y, x + 1), g_y (y + 1, x)."""
    # Column by column the admittance Y (rows, rows) of what lies behind is passed on: Y + L with L the Laplacian of the
    # faces along the column, then H - H (Y + L + H)^-1 H through the faces H to the next one.
    rows_in, n_y, n_x = pool + 2 * MARGIN, (g_y.shape[0] - 1) // pool, g_y.shape[1] // pool
    g_x, g_y = np.pad(g_x, ((MARGIN, MARGIN), (0, 0))), np.pad(g_y, ((MARGIN, MARGIN), (0, 0)))
    rows, first = np.arange(n_y)[:, None] * pool + np.arange(rows_in), (pool + 1) // 2 + np.arange(n_x - 1) * pool
    eye, k = np.eye(rows_in), np.arange(rows_in - 1)
    half = {0, pool} if pool % 2 == 0 else set()  # faces on the center lines: what is left of them is twice as good
    n_faces, middle = pool + 1 - pool % 2, pool // 2

    def faces(j: int) -> np.ndarray:
        return g_x[rows][:, :, first + j].transpose(0, 2, 1) * (2 if j in half else 1)  # (y_map, window, row)

    def column(j: int) -> np.ndarray:
        g = g_y[rows[:, 1:]][:, :, first + j].transpose(0, 2, 1)
        L = np.zeros((*g.shape[:2], rows_in, rows_in))
        L[..., k, k] += g
        L[..., k + 1, k + 1] += g
        L[..., k, k + 1] -= g
        L[..., k + 1, k] -= g
        return L

    def behind(faces_in_order: list[int], columns: list[int]) -> np.ndarray:
        Y = faces(faces_in_order[0])[..., None] * eye
        for j, c in zip(faces_in_order[1:], columns, strict=True):
            h = faces(j)
            inverse = np.linalg.inv(Y + column(c) + h[..., None] * eye + ALMOST_NOTHING * eye)
            Y = h[..., None] * eye - h[..., :, None] * inverse * h[..., None, :]
        return Y

    left = behind([*range(middle + 1)], [*range(middle)])
    right = behind([*range(n_faces - 1, middle, -1)], [*range(n_faces - 2, middle, -1)])
    here = left + right + column(middle) + ALMOST_NOTHING * eye  # the column behind the face
    flow = left @ np.linalg.solve(here, right.sum(-1)[..., None])
    total = flow[..., MARGIN : rows_in - MARGIN, 0].sum(-1)
    return np.pad(np.where(total > 1e3 * ALMOST_NOTHING, total, 0.0), ((0, 0), (1, 1)))


def face_gradients(grid: Grid, electrodes: Electrodes) -> tuple[np.ndarray, np.ndarray]:
    """G_x (lead, y, x + 1) and G_y (lead, y + 1, x) in 1/mm of all faces of the pixels, outer edge included."""
    # G_f = d / a^2 [s / sqrt(a^2 + s^2)] from s_0 to s_1, a^2 = d^2 + z^2: d is the distance of the line of the face
    # from the electrode along its normal, s runs along the face from the foot point.
    shape, dx = grid.shape, grid.dx
    at_x, at_y, z = (electrodes.positions[:, k, None, None] for k in range(3))
    y, x = (np.arange(n + 1) * dx for n in shape)
    beside = [np.maximum(np.maximum(-at, at - n * dx), 0.0) for at, n in ((at_x, shape[1]), (at_y, shape[0]))]
    nearest = np.sqrt(beside[0] ** 2 + beside[1] ** 2 + z**2).ravel()  # nearer the voltage of a pixel is not one number
    check_far(electrodes, nearest, dx / 2, f"dx / 2 = {dx / 2:g} mm from the sheet")

    def over(d: np.ndarray, s: np.ndarray, axis: int) -> np.ndarray:
        a2 = d**2 + z**2
        r = np.sqrt(a2 + s**2)
        ends = np.divide(s, r, out=np.zeros(r.shape), where=r > 0)
        return np.divide(d, a2, out=np.zeros(a2.shape), where=a2 > 0) * np.diff(ends, axis=axis)

    return over(x - at_x, y[:, None] - at_y, 1), over(y[:, None] - at_y, x - at_x, 2)


def map_lead_field(
    D_x: np.ndarray, D_y: np.ndarray, share: np.ndarray, dx: float, electrodes: Electrodes
) -> np.ndarray:
    """Weights (lead, y, x) in mm/ms of pixels (``dx`` mm) of maps u, by `Couplings`: phi_e = 100 mV sum of weight u."""
    # The sum over faces, read from its other end. Outer edges are closed whatever D_x and D_y say. A map is the mean u
    # over a pixel, of which the share (y, x) conducts; a pixel with 0 has no tissue: its faces are closed and it says
    # nothing.
    share = array("share", share, ("y", "x"))
    n_y, n_x = share.shape
    D_x = array("D_x", D_x, ("y", "x_face"), "mm2 ms-1", shape=(n_y, n_x + 1))
    D_y = array("D_y", D_y, ("y_face", "x"), "mm2 ms-1", shape=(n_y + 1, n_x))
    G_x, G_y = face_gradients(Grid((n_y, n_x), dx), instance("electrodes", electrodes, Electrodes))
    tissue = np.pad(share > 0, 1)
    flux_x = np.where(tissue[1:-1, 1:] & tissue[1:-1, :-1], D_x * G_x, 0.0)
    flux_y = np.where(tissue[1:, 1:-1] & tissue[:-1, 1:-1], D_y * G_y, 0.0)
    into_x, into_y = flux_x[:, :, :-1] - flux_x[:, :, 1:], flux_y[:, :-1] - flux_y[:, 1:]  # + where a pixel is j
    return (into_x + into_y) / np.maximum(share, LEAST_SHARE)
