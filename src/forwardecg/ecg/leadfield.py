"""Pseudo-ECG of a sheet: phi_e(r_e) = integral div(D grad V_m) / |r - r_e| dA = sum_i (A V_m)_i / r_i = L . V_m.

A (`diffusion`) is symmetric, so that L = A (1/r), once per tissue and place. Plonsey and Barr, Bioelectricity (2007).
"""

import numpy as np
import xarray as xr

from forwardecg.contract import as_variable
from forwardecg.ecg.electrodes import Electrodes, check_far
from forwardecg.ecg.torso import Disc, Sphere
from forwardecg.tissue.diffusion import couplings, net_flux
from forwardecg.tissue.sheet import Tissue


def phi_e_attrs(conductor: Disc | Sphere | None = None) -> dict[str, str]:
    """Unit, name and scale of phi_e in the given conductor, as xarray takes them; None: unbounded."""
    if conductor is None:
        scale = "integral of div(D grad V_m) / r over the sheet; times beta C_m h / (4 pi sigma_b): a potential"
        return as_variable("phi_e", None)[-1] | {"scale": scale}
    shape, unit, factor = "sphere", "mV mm ms-1", "beta C_m h / (4 pi sigma)"  # h, the thickness of the sheet
    if isinstance(conductor, Disc):
        shape, unit, factor = "disc", "mV mm2 ms-1", "beta C_m / (2 pi sigma)"
    long_name = f"potential in an insulated {shape} of radius {conductor.radius:g} mm, mean zero over its boundary"
    scale = f"integral of div(D grad V_m) g over the sheet; times {factor}: a potential"
    return {"units": unit, "long_name": long_name, "scale": scale}


def distances(tissue: Tissue, electrodes: Electrodes) -> np.ndarray:
    """Distances (lead, y, x) in mm from each electrode, at least dx from conductive cells, to the cell centers."""
    y, x = tissue.grid.centers
    at_x, at_y, at_z = (np.asarray(electrodes.positions, float)[:, k, None, None] for k in range(3))
    r = np.sqrt((x - at_x) ** 2 + (y - at_y) ** 2 + at_z**2)
    nearest = np.where(tissue.conductive, r, np.inf).min(axis=(1, 2))  # below dx the sum over cells is no integral
    check_far(electrodes, nearest, tissue.dx, f"dx = {tissue.dx} mm from conductive cells")
    return r


def lead_field(tissue: Tissue, electrodes: Electrodes, conductor: Disc | Sphere | None = None) -> np.ndarray:
    """Lead field L = A (1/r) of the tissue: phi_e = sum over cells of L V_m.

    Args:
        tissue: the sheet; its D is the physical one.
        electrodes: places in mm, at least dx from conductive cells.
        conductor: what the sheet lies in, whose weight takes the place of 1/r; None: unbounded.

    Returns:
        L (lead, y, x), mm/ms.

    Examples:
        >>> from forwardecg.ecg.electrodes import center_electrode
        >>> from forwardecg.tissue.sheet import healthy
        >>> sheet = healthy((40, 40), 0.5, D0=0.1)
        >>> L = lead_field(sheet, center_electrode(sheet))
        >>> L.shape, bool(abs(L.sum()) < 1e-12)  # a constant voltage has no ECG
        ((1, 40, 40), True)
    """
    weight = 1 / distances(tissue, electrodes) if conductor is None else conductor.weight(tissue, electrodes)
    return net_flux(weight, *couplings(tissue))


def pseudo_ecg(
    V_m: xr.DataArray | np.ndarray, tissue: Tissue, electrodes: Electrodes, conductor: Disc | Sphere | None = None
) -> xr.DataArray:
    """The ECG of a voltage by the lead field: phi_e = L . V_m.

    Args:
        V_m: (time, y, x) or (time, y_map, x_map), mV on the grid of the tissue; dims by name where there are names.
        tissue: the sheet; its D is the physical one.
        electrodes: places in mm, at least dx from conductive cells.
        conductor: what the sheet lies in; None: unbounded.

    Returns:
        phi_e (lead, time_ecg) by name and time, mV mm/ms, in a `Disc` mV mm^2/ms.

    Raises:
        ValueError: V_m of other dims, of another grid or not finite; what `lead_field` or the conductor refuses.

    Examples:
        >>> from forwardecg.ecg.electrodes import center_electrode
        >>> from forwardecg.tissue.sheet import healthy
        >>> sheet, V_m = healthy((40, 40), 0.5, D0=0.1), np.full((2, 40, 40), -85.0)
        >>> V_m[1, :, :20] = 15.0  # a front in the middle: under the electrode it is symmetric
        >>> phi_e = pseudo_ecg(V_m, sheet, center_electrode(sheet))
        >>> dict(phi_e.sizes), bool(abs(phi_e).max() < 1e-9)
        ({'lead': 1, 'time_ecg': 2}, True)
    """
    values, time = _read(V_m, tissue.D.shape)
    phi_e = np.tensordot(lead_field(tissue, electrodes, conductor), values, axes=((1, 2), (1, 2)))
    return _labeled(phi_e, electrodes, time, conductor)


def source_sum_ecg(V_m: xr.DataArray | np.ndarray, tissue: Tissue, electrodes: Electrodes) -> xr.DataArray:
    """`pseudo_ecg` as the plain sum of sources over distance: slower, and independent of the adjoint."""
    values, time = _read(V_m, tissue.D.shape)
    source = net_flux(values, *couplings(tissue))
    return _labeled(np.tensordot(1 / distances(tissue, electrodes), source, axes=((1, 2), (1, 2))), electrodes, time)


def _read(V_m: xr.DataArray | np.ndarray, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray | None]:
    """Finite values (time, y, x) in mV on the grid ``shape`` (y, x), and their times in ms where V_m has them."""
    time = None
    if isinstance(V_m, xr.DataArray):
        place = ("y_map", "x_map") if "y_map" in V_m.dims else ("y", "x")
        if {*V_m.dims} != {"time", *place}:
            raise ValueError(f"V_m: expected dims (time, y, x) or (time, y_map, x_map), got {V_m.dims}")
        time = V_m["time"].values if "time" in V_m.coords else None
        V_m = V_m.transpose("time", *place).values
    values = np.asarray(V_m, float)
    if values.ndim != 3 or values.shape[1:] != shape:
        raise ValueError(f"V_m: expected dims (time, y, x) with (y, x) = {shape}, got an array of shape {values.shape}")
    if not np.isfinite(values).all():
        raise ValueError(f"V_m: expected finite values in mV, got {np.sum(~np.isfinite(values))} that are not")
    return values, time


def _labeled(
    phi_e: np.ndarray, electrodes: Electrodes, time: np.ndarray | None, conductor: Disc | Sphere | None = None
) -> xr.DataArray:
    """phi_e (lead, time_ecg) with names, times in ms where there are some, and attributes."""
    labels = {"lead": list(electrodes.names)} | ({} if time is None else {"time_ecg": as_variable("time_ecg", time)})
    return xr.DataArray(phi_e, labels, ("lead", "time_ecg"), "phi_e", phi_e_attrs(conductor))
