"""The ladder below and above the networks: what the mean, a linear map, a blind, a front-reading, a knowing lead field achieve.

Each returns ECGs in mV mm/ms for tissues given as maps u in 0..1. Training-free, the conductivity is read off the passing fronts:

    phi = amplitude / plateau,   c^2 = 1 / |grad tau|^2,   D = kappa phi c^2

of a sheet that conducts with D and charges the share phi of its area; kappa = D / c^2 of the cell model, c ~ sqrt(D).
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike

from forwardecg.contract import V_SPAN
from forwardecg.ecg.electrodes import Electrodes
from forwardecg.ecg.leadfield import lead_field
from forwardecg.ecg.pixels import conducting_share, map_lead_field, upscaled_faces
from forwardecg.measure.scores import r2
from forwardecg.surrogates.paper.data import Sequences
from forwardecg.surrogates.structured.fronts import LEAST_SHARE, PLATEAU, fronts, local_slowness
from forwardecg.tissue.sheet import Tissue

ALPHAS = (1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6)  # ridge penalties to choose from


def mean_ecg(train: Sequences, n: int) -> np.ndarray:
    """The mean training ECG, n times: knows nothing of the tissue.

    Parameters
    ----------
    train : of the training tissues
    n : how many

    Returns
    -------
    ecg : (n, T), mV mm/ms

    Examples
    --------
    >>> from forwardecg.data.maps import load_small
    >>> train = Sequences(load_small(), [0, 1], pixels=25)
    >>> mean_ecg(train, 3).shape == (3, len(train.t))
    True
    """
    return np.repeat(train.ecg.mean(0, keepdim=True).numpy(), n, axis=0)


def ridge(
    train: Sequences, val: Sequences, test: Sequences, alphas: Sequence[float] = ALPHAS
) -> tuple[np.ndarray, float]:
    """Ridge regression of the ECG value on the map of the same instant; the penalty is the best one on ``val``.

    w = (X^T X + alpha I)^-1 X^T y with X the centered maps. Returns the ECGs of ``test`` and the chosen alpha.

    Parameters
    ----------
    train, val, test : tissues to fit, to choose alpha by, and to predict
    alphas : penalties to choose from

    Returns
    -------
    ecg, alpha : (n, T) of the test tissues in mV mm/ms, and the penalty chosen

    Examples
    --------
    >>> from forwardecg.data.maps import load_small
    >>> train, val, test = (Sequences(load_small(), [sim], pixels=5) for sim in (0, 1, 2))
    >>> ecg, alpha = ridge(train, val, test)
    >>> ecg.shape == (1, len(test.t)), alpha in ALPHAS
    (True, True)
    """
    mean = train.u.float().mean((0, 1)).flatten().double()
    gram, moment = torch.zeros(len(mean), len(mean), dtype=torch.float64), torch.zeros(len(mean), dtype=torch.float64)
    offset = train.ecg.double().mean()
    for u, ecg in zip(train.u, train.ecg, strict=True):
        x = u.flatten(1).double() - mean  # (T, H W)
        gram += x.T @ x
        moment += x.T @ (ecg.double() - offset)

    def apply(weights: torch.Tensor, sequences: Sequences) -> np.ndarray:
        return torch.stack([(u.flatten(1).double() - mean) @ weights + offset for u in sequences.u]).numpy()

    eye = torch.eye(len(mean), dtype=torch.float64)
    fits = {alpha: torch.linalg.solve(gram + alpha * eye, moment) for alpha in alphas}
    alpha = max(fits, key=lambda a: np.nanmean(r2(val.ecg.numpy(), apply(fits[a], val))))
    return apply(fits[alpha], test), alpha


def lead_field_on_maps(u: np.ndarray, D: np.ndarray, dx: float, electrodes: Electrodes) -> np.ndarray:
    """ECG (T,) of maps u (T, H, W) by the lead field of D (H, W) in mm^2/ms on the pixels of the maps, dx in mm.

    Parameters
    ----------
    u : (T, H, W), 0 to 1
    D : (H, W), mm^2/ms; 0: does not conduct
    dx : mm, side of a pixel
    electrodes : the first one is read

    Returns
    -------
    ecg : (T,), mV mm/ms

    Raises
    ------
    ValueError
        Maps of another shape than D, or not finite; what `ecg.lead_field` refuses.

    Examples
    --------
    >>> from forwardecg.ecg.electrodes import center_electrode
    >>> u = np.zeros((2, 8, 8))
    >>> u[1, :, :3] = 1.0
    >>> ecg = lead_field_on_maps(u, np.full((8, 8), 0.1), 2.0, center_electrode((8, 8), 2.0))
    >>> float(ecg[0]), bool(ecg[1] != 0)
    (0.0, True)
    """
    if np.ndim(u) != 3 or np.shape(u)[1:] != D.shape or not np.isfinite(u).all():
        raise ValueError(f"u: expected maps (T, H, W) with (H, W) = {D.shape}, all finite, got shape {np.shape(u)}")
    tissue = Tissue(D=D, conductive=D > 0, dx=dx)
    return V_SPAN * np.tensordot(np.asarray(u, float), lead_field(tissue, electrodes)[0], axes=((1, 2), (0, 1)))


def blind_diffusivity(train: Sequences, dx: float, electrodes: Electrodes) -> float:
    """The one homogeneous D (mm^2/ms) whose lead field fits the training ECGs best: least squares for a scalar.

    Parameters
    ----------
    train : of the training tissues
    dx : mm, side of a pixel
    electrodes : the first one is that of the ECGs

    Returns
    -------
    D : mm^2/ms

    Examples
    --------
    >>> from forwardecg.ecg.electrodes import center_electrode
    >>> from forwardecg.data.maps import load_small
    >>> train = Sequences(load_small(), [0], pixels=50)
    >>> 0.05 < blind_diffusivity(train, train.size / 50, center_electrode((50, 50), train.size / 50)) < 0.3
    True
    """
    ones = np.ones(train.u.shape[-2:])
    unit = np.stack([lead_field_on_maps(u.numpy(), ones, dx, electrodes) for u in train.u])
    return float((unit * train.ecg.numpy()).sum() / np.square(unit).sum())


def pooled_diffusivity(D: np.ndarray, conductive: np.ndarray, pool: int) -> np.ndarray:
    """Plain mean of D over the cells of each pixel, non-conductive ones as 0.

    Parameters
    ----------
    D : (y, x), mm^2/ms
    conductive : (y, x) bool
    pool : cells along the side of a pixel

    Returns
    -------
    D : (y / pool, x / pool), mm^2/ms

    Raises
    ------
    ValueError
        pool no divisor of the grid; conductive of another shape.

    Examples
    --------
    >>> pooled_diffusivity(np.full((2, 2), 0.2), np.array([[True, True], [True, False]]), pool=2).round(3).tolist()
    [[0.15]]
    """
    n_y, n_x = D.shape
    if n_y % pool or n_x % pool:
        raise ValueError(f"pool: expected a divisor of the grid {n_y} x {n_x}, got {pool}")
    if conductive.shape != D.shape:
        raise ValueError(f"conductive: expected the shape {D.shape} of D, got {conductive.shape}")
    return np.where(conductive, D, 0.0).reshape(n_y // pool, pool, n_x // pool, pool).mean((1, 3))


def true_conductivity_on_maps(
    u: np.ndarray, D: np.ndarray, conductive: np.ndarray, pool: int, dx_map: float, electrodes: Electrodes
) -> np.ndarray:
    """ECGs (lead, T) of maps by the true D, upscaled to their pixels: what is lost by the maps and not by ignorance.

    Parameters
    ----------
    u : (T, H, W) maps, each pixel the mean over pool x pool cells
    D, conductive : (y, x) of the cells, in mm^2/ms and bool
    pool, dx_map : cells along the side of a pixel, and that side in mm
    electrodes : places in mm

    Returns
    -------
    ecg : (lead, T), mV mm/ms

    Raises
    ------
    ValueError
        Maps of another shape than the pooled grid or not finite; see `upscaled_faces` and `map_lead_field`.

    Examples
    --------
    >>> from forwardecg.ecg.electrodes import center_electrode
    >>> u = np.stack([np.zeros((4, 4)), np.tril(np.ones((4, 4)))])
    >>> D, conductive = np.full((8, 8), 0.1), np.ones((8, 8), bool)
    >>> true_conductivity_on_maps(u, D, conductive, 2, 2.0, center_electrode((4, 4), 2.0)).shape
    (1, 2)
    """
    D_x, D_y, *_ = upscaled_faces(D, conductive, pool)
    return _ecg_on_maps(u, D_x, D_y, conducting_share(conductive, pool), dx_map, electrodes)


def training_free_conductivity(
    u: ArrayLike | torch.Tensor, dx: float, dt: float, kappa: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Conductances of the faces and conducting shares of the pixels, from the fronts in the maps: the module's equations.

    1/c^2 is `fronts.local_slowness`. Faces are harmonic means of D.

    Parameters
    ----------
    u : (T, H, W) maps in 0..1, array or tensor, fronts of any number of beats
    dx, dt : mm, and ms between frames
    kappa : ms, D / c^2 of the cell model: `fit_kappa`, or D / CV^2 of a cable (`calibration.converged_cv`)

    Returns
    -------
    D_x, D_y, share : (H, W + 1) and (H + 1, W) in mm^2/ms, 0 at the outer edge and beside pixels without tissue; (H, W)
        in 0..1

    Raises
    ------
    ValueError
        Maps of another shape or not finite, no front in any of them, kappa not above 0.

    Examples
    --------
    >>> t, x = 1.0 * np.arange(120)[:, None, None], 2.0 * np.arange(12)
    >>> u = np.clip((t - x / 0.5) / 5, 0, 1) * np.ones((12, 1))  # a plane front of 0.5 mm/ms
    >>> D_x, D_y, share = training_free_conductivity(u, dx=2.0, dt=1.0, kappa=0.2)
    >>> D_x[6, 6].round(2).item(), 0.2 * 0.5**2
    (0.05, 0.05)
    """
    if not (np.isfinite(kappa) and kappa > 0):
        raise ValueError(f"kappa: expected a time > 0 ms, got {kappa}")
    u = torch.as_tensor(u).float()
    if u.ndim != 3 or not u.isfinite().all():
        raise ValueError(f"u: expected maps (T, H, W), all finite, got shape {tuple(u.shape)}")
    seen = fronts(u, dx, dt)
    slowness = local_slowness(seen).double().numpy()
    if not np.isfinite(slowness).all():
        raise ValueError("u: expected a front that passes from pixel to pixel, found none")
    share = np.minimum(seen.amplitude.double().numpy() / PLATEAU, 1.0)
    share = np.where(share >= LEAST_SHARE, share, 0.0)
    D = np.pad(kappa * share / slowness, 1)
    D_x, D_y = (
        np.divide(2 * a * b, a + b, out=np.zeros(a.shape), where=a * b > 0)
        for a, b in ((D[1:-1, :-1], D[1:-1, 1:]), (D[:-1, 1:-1], D[1:, 1:-1]))
    )
    return D_x, D_y, share


def training_free_ecg(
    u: ArrayLike | torch.Tensor, dx: float, dt: float, kappa: float, electrodes: Electrodes
) -> np.ndarray:
    """ECGs (lead, T) of maps u (T, H, W) by `training_free_conductivity`; kappa is all that is known of other tissues.

    Parameters
    ----------
    u : (T, H, W), 0 to 1, array or tensor
    dx, dt : mm, and ms between frames
    kappa : ms
    electrodes : places in mm

    Returns
    -------
    ecg : (lead, T), mV mm/ms

    Raises
    ------
    ValueError
        What `training_free_conductivity` and `upscale.map_lead_field` refuse.

    Examples
    --------
    >>> from forwardecg.ecg.electrodes import center_electrode
    >>> t, x = 1.0 * np.arange(120)[:, None, None], 2.0 * np.arange(12)
    >>> u = np.clip((t - x / 0.5) / 5, 0, 1) * np.ones((12, 1))  # a plane front of 0.5 mm/ms
    >>> training_free_ecg(u, 2.0, 1.0, 0.2, center_electrode((12, 12), 2.0)).shape
    (1, 120)
    """
    return _ecg_on_maps(u, *training_free_conductivity(u, dx, dt, kappa), dx, electrodes)


def fit_kappa(train: Sequences, dx: float, electrodes: Electrodes) -> float:
    """The one kappa (ms) whose training-free ECGs fit those of the training tissues best: least squares for a scalar.

    Parameters
    ----------
    train : of the training tissues
    dx : mm, side of a pixel
    electrodes : the first one is that of the ECGs

    Returns
    -------
    kappa : ms

    Raises
    ------
    ValueError
        What `training_free_conductivity` refuses.

    Examples
    --------
    >>> from forwardecg.ecg.electrodes import center_electrode
    >>> from forwardecg.data.maps import load_small
    >>> train = Sequences(load_small(), [0], pixels=50)
    >>> 0.15 < fit_kappa(train, train.size / 50, center_electrode((50, 50), train.size / 50)) < 0.3
    True
    """
    dt = float(train.t[1] - train.t[0])
    unit = np.stack([training_free_ecg(u, dx, dt, 1.0, electrodes)[0] for u in train.u])
    return float((unit * train.ecg.numpy()).sum() / np.square(unit).sum())


def _ecg_on_maps(
    u: ArrayLike | torch.Tensor, D_x: np.ndarray, D_y: np.ndarray, share: np.ndarray, dx: float, electrodes: Electrodes
) -> np.ndarray:
    """ECGs (lead, T): V_SPAN times the weights of `map_lead_field` over the maps u (T, H, W)."""
    if np.ndim(u) != 3 or np.shape(u)[1:] != share.shape or not np.isfinite(np.asarray(u)).all():
        raise ValueError(f"u: expected maps (T, H, W) with (H, W) = {share.shape}, all finite, got shape {np.shape(u)}")
    weights = map_lead_field(D_x, D_y, share, dx, electrodes)
    return V_SPAN * np.tensordot(weights, np.asarray(u, float), axes=((1, 2), (1, 2)))
