"""The ladder below and above the networks: ECGs (mV mm/ms) of maps u in 0..1.

By the mean, a linear map, and the lead fields of one D, of the D read off the fronts, and of the true D.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from forwardecg.contract import V_SPAN, array, count, number
from forwardecg.ecg.electrodes import Electrodes
from forwardecg.ecg.leadfield import lead_field
from forwardecg.ecg.pixels import conductive_share, map_lead_field, upscale_faces
from forwardecg.measure.scores import r2
from forwardecg.surrogates.paper.data import Sequences
from forwardecg.surrogates.structured.fronts import LEAST_SHARE, PLATEAU, local_slowness, read_fronts
from forwardecg.tissue.grid import blocks
from forwardecg.tissue.sheet import Tissue

_MAPS = ("time", "y", "x")


def mean_ecg(train: Sequences, n: int) -> np.ndarray:
    """The mean training ECG (n, T), n times, in mV mm/ms: knows nothing of the tissue."""
    n = count("n", n)
    return np.repeat(train.ecg.mean(0, keepdim=True).numpy(), n, axis=0)


def ridge(
    train: Sequences, val: Sequences, test: Sequences, alphas: Sequence[float] = (1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6)
) -> tuple[np.ndarray, float]:
    """Ridge regression of the ECG on the map of its instant: ECGs (n, T) of ``test``, and the alpha best on ``val``."""
    mean = train.u.float().mean((0, 1)).flatten().double()
    gram, moment = torch.zeros(len(mean), len(mean), dtype=torch.float64), torch.zeros(len(mean), dtype=torch.float64)
    offset = train.ecg.double().mean()
    for u, ecg in zip(train.u, train.ecg, strict=True):
        x = u.flatten(1).double() - mean  # (T, H W)
        gram += x.T @ x
        moment += x.T @ (ecg.double() - offset)

    def apply(weights: Tensor, sequences: Sequences) -> np.ndarray:
        return torch.stack([(u.flatten(1).double() - mean) @ weights + offset for u in sequences.u]).numpy()

    eye = torch.eye(len(mean), dtype=torch.float64)
    # w = (X^T X + alpha I)^-1 X^T y with X the centered maps
    fits = {alpha: torch.linalg.solve(gram + alpha * eye, moment) for alpha in alphas}
    alpha = max(fits, key=lambda a: np.nanmean(r2(val.ecg.numpy(), apply(fits[a], val))))
    return apply(fits[alpha], test), alpha


def ecg_from_diffusivity(u: np.ndarray, D: np.ndarray, dx: float, electrodes: Electrodes) -> np.ndarray:
    """ECG (T,) of maps u (T, H, W), at the first electrode, by the lead field of D (H, W) in mm^2/ms, 0 for none."""
    D = array("D", D, ("y", "x"), "mm2 ms-1")
    u = array("u", u, _MAPS, shape=(None, *D.shape))
    tissue = Tissue(D=D, conductive=D > 0, dx=dx)
    return V_SPAN * np.tensordot(np.asarray(u, float), lead_field(tissue, electrodes)[0], axes=((1, 2), (0, 1)))


def blind_diffusivity(train: Sequences, dx: float, electrodes: Electrodes) -> float:
    """The one homogeneous D (mm^2/ms) whose lead field fits the training ECGs best: least squares for a scalar."""
    ones = np.ones(train.u.shape[-2:])
    unit = np.stack([ecg_from_diffusivity(u.numpy(), ones, dx, electrodes) for u in train.u])
    return float((unit * train.ecg.numpy()).sum() / np.square(unit).sum())


def pool_diffusivity(D: np.ndarray, conductive: np.ndarray, pool: int) -> np.ndarray:
    """Plain mean of D (y, x) over the pool x pool cells of each pixel, non-conductive ones as 0."""
    D = array("D", D, ("y", "x"), "mm2 ms-1", finite=False)  # NaN where nothing conducts
    conductive = array("conductive", conductive, ("y", "x"), shape=D.shape, kinds="b")
    return blocks(np.where(conductive, D, 0.0), pool).mean((1, 3))


def ecg_from_upscaled(
    u: np.ndarray, D: np.ndarray, conductive: np.ndarray, pool: int, dx_map: float, electrodes: Electrodes
) -> np.ndarray:
    """ECGs (lead, T) of maps u (T, H, W) by the true D (y, x), upscaled to pixels of pool x pool cells, dx_map mm."""
    D_x, D_y, *_ = upscale_faces(D, conductive, pool)
    return _ecg_on_maps(u, D_x, D_y, conductive_share(conductive, pool), dx_map, electrodes)


def training_free_conductivity(
    u: ArrayLike | Tensor, dx: float, dt: float, kappa: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """D_x (H, W + 1), D_y (H + 1, W) of faces in mm^2/ms, conducting shares (H, W), from the fronts of u (T, H, W)."""
    kappa, dx = number("kappa", kappa, 0, unit="ms", above=True), number("dx", dx, 0, unit="mm", above=True)
    dt = number("dt", dt, 0, unit="ms", above=True)
    u = torch.from_numpy(np.ascontiguousarray(array("u", u, _MAPS))).float()
    seen = read_fronts(u, dx, dt)
    slowness = local_slowness(seen).double().numpy()
    if not np.isfinite(slowness).all():
        raise ValueError("u: expected a front that passes from pixel to pixel, found none")
    share = np.minimum(seen.amplitude.double().numpy() / PLATEAU, 1.0)
    share = np.where(share >= LEAST_SHARE, share, 0.0)
    D = np.pad(kappa * share / slowness, 1)  # D = kappa phi c^2, with kappa = D / c^2 of the cell model in whole tissue
    # faces: harmonic means, 0 at the outer edge and beside pixels without tissue
    D_x, D_y = (
        np.divide(2 * a * b, a + b, out=np.zeros(a.shape), where=a * b > 0)
        for a, b in ((D[1:-1, :-1], D[1:-1, 1:]), (D[:-1, 1:-1], D[1:, 1:-1]))
    )
    return D_x, D_y, share


def training_free_ecg(u: ArrayLike | Tensor, dx: float, dt: float, kappa: float, electrodes: Electrodes) -> np.ndarray:
    """ECGs (lead, T) of maps u (T, H, W) by `training_free_conductivity`; kappa (ms) is all that is known of other tissues."""
    return _ecg_on_maps(u, *training_free_conductivity(u, dx, dt, kappa), dx, electrodes)


def fit_kappa(train: Sequences, dx: float, electrodes: Electrodes) -> float:
    """The one kappa (ms) whose training-free ECGs fit those of the training tissues best: least squares for a scalar."""
    dt = float(train.t[1] - train.t[0])
    unit = np.stack([training_free_ecg(u, dx, dt, 1.0, electrodes)[0] for u in train.u])
    return float((unit * train.ecg.numpy()).sum() / np.square(unit).sum())


def _ecg_on_maps(
    u: ArrayLike | Tensor, D_x: np.ndarray, D_y: np.ndarray, share: np.ndarray, dx: float, electrodes: Electrodes
) -> np.ndarray:
    """ECGs (lead, T): V_SPAN times the weights of `map_lead_field` over the maps u (T, H, W)."""
    u = array("u", u, _MAPS, shape=(None, *share.shape))
    weights = map_lead_field(D_x, D_y, share, dx, electrodes)
    return V_SPAN * np.tensordot(weights, np.asarray(u, float), axes=((1, 2), (1, 2)))
