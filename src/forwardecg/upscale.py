"""The operator of the ECG on the pixels of maps: conductances upscaled from the cells, gradients of 1/r integrated over faces.

    phi_e = integral div(D grad V_m) / r dA = - integral D grad V_m . grad(1/r) dA = - sum_f D_f G_f (V_j - V_i)

f runs over the inner faces of the pixels, i and j on its two sides. V is the voltage of the tissue of a pixel, above rest: a map is
the mean u over a pixel, of which only the share phi conducts, so that V = 100 mV u / phi. D_f is what the cells between
two pixels conduct together, G_f the integral of the normal derivative of 1/r over the face. No D of cells is asked for twice:
on pixels of one cell D_f is `diffusion.face_diffusivity`. Upscaling by columns in series: Renard and de Marsily,
Advances in Water Resources 20:253 (1997); the rest is ours.
"""

import numpy as np

from forwardecg.diffusion import Couplings, face_diffusivity
from forwardecg.electrodes import Electrodes

LEAST_SHARE = 0.01  # shares of a pixel are taken to be at least this: fewer than one cell of 10 x 10


def conducting_share(conductive: np.ndarray, pool: int) -> np.ndarray:
    """Share phi of the cells of each pixel that conduct, (y_map, x_map) in 0..1, from conductive (y, x), pool x pool cells each."""
    return _blocks(np.asarray(conductive, float), pool).mean((1, 3))


def upscaled_faces(D: np.ndarray, conductive: np.ndarray, pool: int) -> Couplings:
    """What the cells between neighboring pixels conduct: faces side by side in parallel, their columns in series.

    1 / D_f = sum_k w_k / <D_k>,  <D_k> the mean of the ``pool`` cell faces across column k, w_k the length of column k
    between the centers of the two pixels over their distance. Exact for layers along and across; an upper bound else.

    Parameters
    ----------
    D, conductive : (y, x) in mm^2/ms, and bool
    pool : cells along the side of a pixel

    Returns
    -------
    `Couplings`, D_x (y_map, x_map + 1) and D_y (y_map + 1, x_map) in mm^2/ms, 0 at the outer edge and across a closed wall.

    Raises
    ------
    ValueError
        pool no divisor of the grid; D negative or of another shape than conductive.
    """
    g = face_diffusivity(D, conductive)
    return Couplings(_in_series(g.D_x, pool), _in_series(g.D_y.T, pool).T)


def _in_series(g: np.ndarray, pool: int) -> np.ndarray:
    """`upscaled_faces` along x, of cell faces g (y, x + 1)."""
    columns = _blocks(g[:, 1:], pool, pool_x=1).mean((1, 3))  # (y_map, x): the face east of each cell
    n = columns.shape[1] // pool
    if columns.shape[1] % pool:
        raise ValueError(f"pool: expected a divisor of the {columns.shape[1]} cells of the grid, got {pool}")
    # faces from center to center: for an even pool the first and the last one belong to two neighbors, half each
    weights = np.ones(pool + 1 - pool % 2)
    weights[[0, -1]] -= 0.0 if pool % 2 else 0.5
    first = pool - 1 - pool // 2 + np.arange(n - 1) * pool
    resistance = np.divide(1.0, columns, out=np.full(columns.shape, np.inf), where=columns > 0)
    total = resistance[:, first[:, None] + np.arange(weights.size)] @ weights
    return np.pad(pool / total, ((0, 0), (1, 1)))


def _blocks(a: np.ndarray, pool: int, pool_x: int | None = None) -> np.ndarray:
    pool_x = pool if pool_x is None else pool_x
    n_y, n_x = a.shape
    if pool < 1 or n_y % pool or n_x % pool_x:
        raise ValueError(f"pool: expected a divisor of the grid {n_y} x {n_x}, got {pool}")
    return a.reshape(n_y // pool, pool, n_x // pool_x, pool_x)


def face_gradients(shape: tuple[int, int], dx: float, electrodes: Electrodes) -> tuple[np.ndarray, np.ndarray]:
    """Integrals G_f in 1/mm of the normal derivative of 1/r over the faces of the pixels, in closed form.

    G_f = integral d/dn (1/r) ds = - d / a^2 [s / sqrt(a^2 + s^2)] from s_0 to s_1,  a^2 = d^2 + z^2

    d is the distance of the line of the face from the electrode along its normal, s runs along the face from the foot point.

    Parameters
    ----------
    shape, dx : pixels (y, x), and their side in mm
    electrodes : at least dx / 2 from the sheet, to which each of them is a point and the voltage of a pixel one number

    Returns
    -------
    G_x (lead, y, x + 1) and G_y (lead, y + 1, x), the layout of `Couplings`, outer edge included.

    Raises
    ------
    ValueError
        An electrode nearer to the sheet than dx / 2.
    """
    at_x, at_y, z = (np.asarray(electrodes.positions, float)[:, k, None, None] for k in range(3))
    y, x = (np.arange(n + 1) * dx for n in shape)
    beside = [np.maximum(np.maximum(-at, at - n * dx), 0.0) for at, n in ((at_x, shape[1]), (at_y, shape[0]))]
    nearest = np.sqrt(beside[0] ** 2 + beside[1] ** 2 + z**2).ravel()
    if (nearest < dx / 2).any():
        lead = int(nearest.argmin())
        raise ValueError(
            f"electrodes: expected every electrode at least dx / 2 = {dx / 2:g} mm from the sheet, "
            f"got {electrodes.names[lead]!r} at {nearest[lead]:.3g} mm"
        )

    def over(d: np.ndarray, s: np.ndarray, axis: int) -> np.ndarray:
        a2 = d**2 + z**2
        r = np.sqrt(a2 + s**2)
        ends = np.divide(s, r, out=np.zeros(r.shape), where=r > 0)
        return np.divide(-d, a2, out=np.zeros(a2.shape), where=a2 > 0) * np.diff(ends, axis=axis)

    return over(x - at_x, y[:, None] - at_y, 1), over(y[:, None] - at_y, x - at_x, 2)


def map_lead_field(
    D_x: np.ndarray, D_y: np.ndarray, share: np.ndarray, dx: float, electrodes: Electrodes
) -> np.ndarray:
    """Weights (lead, y, x) in mm/ms of the pixels of maps u in 0..1: phi_e = 100 mV sum over pixels of weight u.

    The sum over faces of the module's text, read from its other end; 0 for any map of tissue at one voltage.

    Parameters
    ----------
    D_x, D_y : (y, x + 1), (y + 1, x) in mm^2/ms, as from `upscaled_faces`; outer edges are closed whatever they say
    share : (y, x) phi, taken to be at least `LEAST_SHARE`; a pixel with 0 has no tissue: its faces are closed and it says nothing
    dx, electrodes : side of a pixel in mm, and where the potential is taken

    Raises
    ------
    ValueError
        Shapes that do not fit each other; an electrode nearer to the sheet than dx / 2.
    """
    n_y, n_x = np.shape(share)
    for name, array, expected in (("D_x", D_x, (n_y, n_x + 1)), ("D_y", D_y, (n_y + 1, n_x))):
        if np.shape(array) != expected:
            raise ValueError(f"{name}: expected the shape {expected}, got {np.shape(array)}")
    G_x, G_y = face_gradients((n_y, n_x), dx, electrodes)
    tissue = np.pad(np.asarray(share) > 0, 1)
    flux_x = np.where(tissue[1:-1, 1:] & tissue[1:-1, :-1], D_x * G_x, 0.0)
    flux_y = np.where(tissue[1:, 1:-1] & tissue[:-1, 1:-1], D_y * G_y, 0.0)
    return (np.diff(flux_x, axis=2) + np.diff(flux_y, axis=1)) / np.maximum(share, LEAST_SHARE)
