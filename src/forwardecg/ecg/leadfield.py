"""Pseudo-ECG of a sheet in an unbounded conductor: face-flux source, adjoint lead field, electrodes.

    phi_e(t; r_e) = integral div(D grad V_m) / |r - r_e| dA

On the faces of the grid the integral is a sum, sum_i (A V_m)_i / r_i with (A z)_i = sum_f D_f (z_neighbor - z_i), and
A is symmetric, so that phi_e = L . V_m with the lead field L = A (1/r): once per tissue and electrode. The factor
beta C_m h / (4 pi sigma_b) of the physical potential is left out, h the thickness; phi_e is in mV mm / ms.
Plonsey and Barr, Bioelectricity (2007); the weight is 1/r, not 1/r^2.
"""

import numpy as np

from forwardecg.contract import as_variable
from forwardecg.ecg.electrodes import Electrodes
from forwardecg.ecg.torso import Disc, Sphere
from forwardecg.tissue.diffusion import couplings, net_flux
from forwardecg.tissue.sheet import Tissue


def phi_e_attrs(conductor: Disc | Sphere | None = None) -> dict[str, str]:
    """Unit, name and scale of phi_e in the given conductor; None: unbounded.

    Parameters
    ----------
    conductor : what the sheet lies in; None: unbounded

    Returns
    -------
    attributes : units, long_name and scale, as xarray takes them

    Examples
    --------
    >>> phi_e_attrs()["units"]
    'mV mm ms-1'
    """
    if conductor is None:
        return as_variable("phi_e", None)[-1] | {
            "scale": "integral of div(D grad V_m) / r over the sheet; times beta C_m h / (4 pi sigma_b): a potential"
        }
    if isinstance(conductor, Disc):
        shape, unit, factor = "disc", "mV mm2 ms-1", "beta C_m / (2 pi sigma)"
    else:
        shape, unit, factor = "sphere", "mV mm ms-1", "beta C_m h / (4 pi sigma)"
    return {
        "units": unit,
        "long_name": f"potential in an insulated {shape} of radius {conductor.radius:g} mm, mean zero over its boundary",
        "scale": f"integral of div(D grad V_m) g over the sheet; times {factor}: a potential",
    }


def distances(tissue: Tissue, electrodes: Electrodes) -> np.ndarray:
    """Distances (lead, y, x) in mm from each electrode to the centers of the cells.

    Parameters
    ----------
    tissue : sheet
    electrodes : places in mm

    Returns
    -------
    r : (lead, y, x), mm

    Raises
    ------
    ValueError
        An electrode is closer than dx to a conductive cell, where the sum over cells is no integral any more.

    Examples
    --------
    >>> from forwardecg.ecg.electrodes import center_electrode
    >>> from forwardecg.tissue.sheet import healthy
    >>> distances(healthy((3, 3), 1.0, D0=0.1), center_electrode((3, 3), 1.0, z=40.0))[0, 1, 1].item()
    40.0
    """
    y, x = ((np.arange(n) + 0.5) * tissue.dx for n in tissue.D.shape)
    at_x, at_y, at_z = (np.asarray(electrodes.positions, float)[:, k, None, None] for k in range(3))
    r = np.sqrt((x - at_x) ** 2 + (y[:, None] - at_y) ** 2 + at_z**2)
    nearest = np.where(tissue.conductive, r, np.inf).min(axis=(1, 2))
    if (nearest < tissue.dx).any():
        lead = int(nearest.argmin())
        raise ValueError(
            f"electrodes: expected every electrode at least dx = {tissue.dx} mm from conductive cells, "
            f"got {electrodes.names[lead]!r} at {nearest[lead]:.3g} mm"
        )
    return r


def lead_field(tissue: Tissue, electrodes: Electrodes, conductor: Disc | Sphere | None = None) -> np.ndarray:
    """Lead field L = A (1/r), (lead, y, x) in mm/ms, of the physical D: phi_e = sum over cells of L V_m.

    Parameters
    ----------
    tissue : sheet; its D is the physical one
    electrodes : places in mm
    conductor : a bounded conductor of `torso`, whose weight takes the place of 1/r; None: unbounded

    Returns
    -------
    L : (lead, y, x), mm/ms

    Raises
    ------
    ValueError
        What `distances`, or the conductor, refuses.

    Examples
    --------
    >>> from forwardecg.ecg.electrodes import center_electrode
    >>> from forwardecg.tissue.sheet import healthy
    >>> L = lead_field(healthy((40, 40), 0.5, D0=0.1), center_electrode((40, 40), 0.5))
    >>> L.shape, bool(abs(L.sum()) < 1e-12)  # a constant voltage has no ECG
    ((1, 40, 40), True)
    """
    weight = 1 / distances(tissue, electrodes) if conductor is None else conductor.weight(tissue, electrodes)
    return net_flux(weight, *couplings(tissue))


def check_voltage(V_m: np.ndarray, shape: tuple[int, int]) -> None:
    """Raise ValueError unless V_m is (time, y, x) on the grid ``shape`` (y, x) and finite.

    Parameters
    ----------
    V_m : mV
    shape : cells (y, x)

    Raises
    ------
    ValueError
        Other dims, another grid, or a value that is not finite.

    Examples
    --------
    >>> check_voltage(np.zeros((5, 3, 4)), shape=(3, 4))
    """
    if V_m.ndim != 3 or V_m.shape[1:] != tuple(shape):
        raise ValueError(
            f"V_m: expected dims (time, y, x) with (y, x) = {tuple(shape)}, got an array of shape {V_m.shape}"
        )
    if not np.isfinite(V_m).all():
        raise ValueError(f"V_m: expected finite values in mV, got {np.sum(~np.isfinite(V_m))} that are not")


def pseudo_ecg(
    V_m: np.ndarray, tissue: Tissue, electrodes: Electrodes, conductor: Disc | Sphere | None = None
) -> np.ndarray:
    """phi_e (lead, time) in mV mm/ms of V_m (time, y, x) in mV, by the lead field: phi_e = L . V_m.

    Parameters
    ----------
    V_m : (time, y, x), mV, on the grid of the tissue
    tissue : sheet; its D is the physical one
    electrodes : places in mm
    conductor : what the sheet lies in, see `torso`; None: an unbounded conductor

    Returns
    -------
    phi_e : (lead, time), mV mm/ms; in a `torso.Disc` mV mm^2/ms

    Raises
    ------
    ValueError
        What `check_voltage` and `lead_field` refuse.

    Examples
    --------
    >>> from forwardecg.ecg.electrodes import center_electrode
    >>> from forwardecg.tissue.sheet import healthy
    >>> V_m = np.full((2, 40, 40), -85.0)
    >>> V_m[1, :, :20] = 15.0  # a front in the middle: under the electrode it is symmetric
    >>> phi_e = pseudo_ecg(V_m, healthy((40, 40), 0.5, D0=0.1), center_electrode((40, 40), 0.5))
    >>> phi_e.shape, bool(np.abs(phi_e).max() < 1e-9)
    ((1, 2), True)
    """
    V_m = np.asarray(V_m, float)
    check_voltage(V_m, tissue.D.shape)
    return np.tensordot(lead_field(tissue, electrodes, conductor), V_m, axes=((1, 2), (1, 2)))


def source_sum_ecg(V_m: np.ndarray, tissue: Tissue, electrodes: Electrodes) -> np.ndarray:
    """The same potential as the plain sum of sources over distance: slower, and independent of the adjoint.

    Parameters
    ----------
    V_m : (time, y, x), mV, on the grid of the tissue
    tissue : sheet
    electrodes : places in mm

    Returns
    -------
    phi_e : (lead, time), mV mm/ms

    Raises
    ------
    ValueError
        What `check_voltage` and `distances` refuse.

    Examples
    --------
    >>> from forwardecg.ecg.electrodes import center_electrode
    >>> from forwardecg.tissue.sheet import healthy
    >>> sheet, above = healthy((20, 20), 0.5, D0=0.1), center_electrode((20, 20), 0.5)
    >>> V_m = np.random.default_rng(0).uniform(-85, 15, (3, 20, 20))
    >>> bool(np.allclose(source_sum_ecg(V_m, sheet, above), pseudo_ecg(V_m, sheet, above)))
    True
    """
    V_m = np.asarray(V_m, float)
    check_voltage(V_m, tissue.D.shape)
    source = net_flux(V_m, *couplings(tissue))
    return np.tensordot(1 / distances(tissue, electrodes), source, axes=((1, 2), (1, 2)))
