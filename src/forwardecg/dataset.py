"""Splits by tissue, and the sequences that the networks read."""

from collections.abc import Sequence

import numpy as np
import torch
import xarray as xr

from forwardecg.cell import V_REST, V_SPAN


def split_by_tissue(
    condition: Sequence[str], seed: int = 0, test: float = 0.1, val: float = 0.1
) -> dict[str, np.ndarray]:
    """Indices of train, val and test tissues, drawn within each condition so that all of them are in every part.

    Raises
    ------
    ValueError
        A condition has too few tissues to be in every part.
    """
    rng, parts = np.random.default_rng(seed), {"train": [], "val": [], "test": []}
    condition = np.asarray(condition)
    if condition.ndim != 1 or condition.size == 0:
        raise ValueError(f"condition: expected one name per tissue, got an array of shape {condition.shape}")
    if not (test >= 0 and val >= 0 and test + val < 1):
        raise ValueError(f"test, val: expected shares >= 0 that leave something to train on, got {test}, {val}")
    for name in np.unique(condition):
        members = rng.permutation(np.flatnonzero(condition == name))
        n_test, n_val = max(1, round(test * members.size)), max(1, round(val * members.size))
        if members.size < n_test + n_val + 1:
            raise ValueError(
                f"condition: expected at least {n_test + n_val + 1} tissues of '{name}', got {members.size}"
            )
        parts["test"] += members[:n_test].tolist()
        parts["val"] += members[n_test : n_test + n_val].tolist()
        parts["train"] += members[n_test + n_val :].tolist()
    return {name: np.sort(np.array(indices)) for name, indices in parts.items()}


def check_maps(V_m: xr.DataArray, pixels: int) -> None:
    """Raise ValueError unless V_m has dims time, y_map, x_map, is finite, in mV, and pools evenly to ``pixels``."""
    if V_m.dims != ("time", "y_map", "x_map"):
        raise ValueError(f"V_m: expected dims (time, y_map, x_map), got {V_m.dims}")
    n_y, n_x = V_m.shape[-2:]
    if n_y != n_x or n_y % pixels:
        raise ValueError(f"V_m: expected square maps whose side is a multiple of {pixels} pixels, got {n_y} x {n_x}")
    if not np.isfinite(V_m.values).all():
        raise ValueError("V_m: expected finite values in mV, got NaN or infinity")
    if V_m.min() > -50 or V_m.min() < -200 or V_m.max() > 200:
        raise ValueError(
            f"V_m: expected mV with rest near {V_REST}, got values from {float(V_m.min()):.3g} to {float(V_m.max()):.3g}"
        )


def network_maps(V_m: xr.DataArray, pixels: int) -> torch.Tensor:
    """Maps for the networks, u in 0..1 as float16 (time, pixels, pixels), from V_m (time, y_map, x_map) in mV."""
    check_maps(V_m, pixels)
    n_t, n_y, _ = V_m.shape
    u = (V_m.values - V_REST) / V_SPAN
    return torch.from_numpy(
        u.reshape(n_t, pixels, n_y // pixels, pixels, n_y // pixels).mean((2, 4)).astype(np.float16)
    )


class Sequences(torch.utils.data.Dataset):
    """Tissues as the networks read them: maps u (n, T, H, W) float16 and ECG (n, T) at the times of the maps.

    Parameters
    ----------
    ds : data set of `store.load_or_simulate`
    sims : indices of its tissues
    pixels : side of the maps, a divisor of the stored one
    """

    def __init__(self, ds: xr.Dataset, sims: Sequence[int], pixels: int):
        ecg = ds.phi_e.isel(sim=list(sims), lead=0).sel(time_ecg=ds.time.values).values
        self.u = torch.stack([network_maps(ds.V_m.isel(sim=int(sim)), pixels) for sim in sims])
        self.ecg = torch.from_numpy(ecg).float()
        self.t = torch.tensor(ds.time.values).float()

    def __len__(self) -> int:
        return len(self.ecg)

    def __getitem__(self, n) -> tuple[torch.Tensor, torch.Tensor]:
        return self.u[n], self.ecg[n]
