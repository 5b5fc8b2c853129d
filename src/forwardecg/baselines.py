"""The ladder below and above the networks: what the mean, a linear map, a blind and a knowing lead field achieve.

Each returns ECGs (n, T) in mV mm/ms for tissues given as maps u (n, T, H, W) in 0..1.
"""

import numpy as np
import torch

from forwardecg.cell import V_SPAN
from forwardecg.ecg import lead_field
from forwardecg.electrodes import Electrodes
from forwardecg.metrics import r2
from forwardecg.sequences import Sequences
from forwardecg.tissue import Tissue

ALPHAS = (1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6)  # ridge penalties to choose from


def mean_ecg(train: Sequences, n: int) -> np.ndarray:
    """The mean training ECG, n times: knows nothing of the tissue."""
    return np.repeat(train.ecg.mean(0, keepdim=True).numpy(), n, axis=0)


def ridge(train: Sequences, val: Sequences, test: Sequences, alphas=ALPHAS) -> tuple[np.ndarray, float]:
    """Ridge regression of the ECG value on the map of the same instant; the penalty is the best one on ``val``.

    w = (X^T X + alpha I)^-1 X^T y with X the centered maps. Returns the ECGs of ``test`` and the chosen alpha.
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
    """ECG (T,) of maps u (T, H, W) by the lead field of D (H, W) in mm^2/ms on the pixels of the maps, dx in mm."""
    if np.ndim(u) != 3 or np.shape(u)[1:] != D.shape or not np.isfinite(u).all():
        raise ValueError(f"u: expected maps (T, H, W) with (H, W) = {D.shape}, all finite, got shape {np.shape(u)}")
    tissue = Tissue(D=D, conductive=D > 0, dx=dx)
    return V_SPAN * np.tensordot(np.asarray(u, float), lead_field(tissue, electrodes)[0], axes=((1, 2), (0, 1)))


def blind_diffusivity(train: Sequences, dx: float, electrodes: Electrodes) -> float:
    """The one homogeneous D (mm^2/ms) whose lead field fits the training ECGs best: least squares for a scalar."""
    ones = np.ones(train.u.shape[-2:])
    unit = np.stack([lead_field_on_maps(u.numpy(), ones, dx, electrodes) for u in train.u])
    return float((unit * train.ecg.numpy()).sum() / np.square(unit).sum())


def pooled_diffusivity(D: np.ndarray, conductive: np.ndarray, pool: int) -> np.ndarray:
    """Plain mean of D over the cells of each pixel, non-conductive ones as 0."""
    n_y, n_x = D.shape
    if n_y % pool or n_x % pool:
        raise ValueError(f"pool: expected a divisor of the grid {n_y} x {n_x}, got {pool}")
    if conductive.shape != D.shape:
        raise ValueError(f"conductive: expected the shape {D.shape} of D, got {conductive.shape}")
    return np.where(conductive, D, 0.0).reshape(n_y // pool, pool, n_x // pool, pool).mean((1, 3))
