"""Pseudo-ECG of a sheet: phi_e(r_e) = integral div(D grad V_m) / |r - r_e| dA = sum_i (A V_m)_i / r_i = L . V_m.

A (`diffusion`) is symmetric, so that L = A (1/r), once per tissue and place. Plonsey and Barr, Bioelectricity (2007).
"""

from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from forwardecg.contract import SAME_DIM, array, as_variable, corner, instance, times
from forwardecg.ecg.electrodes import Electrodes, check_far
from forwardecg.ecg.mesh import Mesh, mesh_lead_field
from forwardecg.ecg.torso import Disc, Sphere
from forwardecg.tissue.diffusion import couplings, net_flux
from forwardecg.tissue.sheet import Tissue

_BLOCK = 2**24  # values of a voltage at the nodes of a mesh that are read at a time
MOST_V = 1000.0  # mV: beyond it are fill values, and uV
NEAREST = 1e-9  # mm: an electrode in a scar cell is taken to be at least that far from its center, where nothing flows


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
    """Distances (lead, y, x) in mm, never 0, from each electrode, at least dx from conductive cells, to the cell centers."""
    y, x = tissue.grid.centers
    r, nearest = (np.empty((len(electrodes.positions), *shape)) for shape in (tissue.D.shape, ()))
    for k, (at_x, at_y, at_z) in enumerate(electrodes.positions):  # plane by plane, which the cache holds
        np.sqrt((x - at_x) ** 2 + (y - at_y) ** 2 + at_z * at_z, out=r[k])
        nearest[k] = np.where(tissue.conductive, r[k], np.inf).min()  # below dx the sum over cells is no integral
    check_far(electrodes, nearest, tissue.dx, f"dx = {tissue.dx} mm from conductive cells")
    return np.maximum(r, NEAREST, out=r)


def lead_field(tissue: Tissue | Mesh, electrodes: Electrodes, conductor: Disc | Sphere | None = None) -> np.ndarray:
    """Lead field L = A (1/r) of a sheet, L = -K (1/r) of a mesh: phi_e = sum over cells or nodes of L V_m.

    Args:
        tissue: the sheet, or a mesh; its D is the physical one.
        electrodes: places in mm, at least dx from conductive cells of a sheet, a tenth of an edge from those of a mesh.
        conductor: what the sheet lies in, whose weight takes the place of 1/r; None: unbounded, as around any mesh.

    Returns:
        L (lead, y, x), mm/ms; of a mesh (lead, node), mm/ms on triangles and mm^2/ms on tetrahedra.

    Raises:
        ValueError: An electrode too near, outside the conductor or not on it; an argument of another type.

    Examples:
        >>> from forwardecg.ecg.electrodes import center_electrode
        >>> from forwardecg.tissue.sheet import healthy
        >>> sheet = healthy((40, 40), 0.5, D0=0.1)
        >>> L = lead_field(sheet, center_electrode(sheet))
        >>> L.shape, bool(abs(L.sum()) < 1e-12)  # a constant voltage has no ECG
        ((1, 40, 40), True)
    """
    _check(tissue, electrodes, conductor)
    if isinstance(tissue, Mesh):
        return mesh_lead_field(tissue, electrodes)
    weight = 1 / distances(tissue, electrodes) if conductor is None else conductor.weight(tissue, electrodes)
    g = couplings(tissue)
    for plane in weight:  # in place: 37 electrodes above 400 x 400 cells are 47 MB
        plane[:] = net_flux(plane, *g)
    return weight


def pseudo_ecg(
    V_m: xr.DataArray | np.ndarray,
    tissue: Tissue | Mesh,
    electrodes: Electrodes,
    conductor: Disc | Sphere | None = None,
) -> xr.DataArray:
    """The ECG of a voltage by the lead field: phi_e = L . V_m.

    Args:
        V_m: (time, y, x) or (time, y_map, x_map), mV on the grid of the tissue. A labeled array is read by its dims, in
            its unit and that of its times. Coordinates y and x with a unit have the spacing dx of the tissue, and say
            where its cells lie: electrodes and conductor are then in the frame of these coordinates. Of a mesh (time,
            node), read some frames at a time, so that an array on the disk may be larger than the memory.
        tissue: the sheet, or a mesh; its D is the physical one.
        electrodes: places in mm, as `lead_field` takes them.
        conductor: what the sheet lies in; None: unbounded, as around any mesh.

    Returns:
        phi_e (lead, time_ecg) by name and time, mV mm/ms, in a `Disc` and of tetrahedra mV mm^2/ms.

    Raises:
        ValueError: V_m of other dims, of another grid, spacing or unknown unit, masked or beyond 1000 mV; what `lead_field` or
            the conductor refuses.

    Examples:
        >>> from forwardecg.ecg.electrodes import center_electrode
        >>> from forwardecg.tissue.sheet import healthy
        >>> sheet, V_m = healthy((40, 40), 0.5, D0=0.1), np.full((2, 40, 40), -85.0)
        >>> V_m[1, :, :20] = 15.0  # a front in the middle: under the electrode it is symmetric
        >>> phi_e = pseudo_ecg(V_m, sheet, center_electrode(sheet))
        >>> dict(phi_e.sizes), bool(abs(phi_e).max() < 1e-9)
        ({'lead': 1, 'time_ecg': 2}, True)
    """
    _check(tissue, electrodes, conductor)
    if isinstance(tissue, Mesh):
        return _mesh_ecg(V_m, tissue, electrodes)
    values, time, at = _read(V_m, tissue)
    places, around = _move(electrodes, at), _move(conductor, at)
    phi_e = np.tensordot(lead_field(tissue, places, around), values, axes=((1, 2), (1, 2)))
    return label_phi_e(phi_e, electrodes, time, conductor)


def source_sum_ecg(V_m: xr.DataArray | np.ndarray, tissue: Tissue, electrodes: Electrodes) -> xr.DataArray:
    """`pseudo_ecg` of a sheet as the plain sum of sources over distance: slower, and independent of the adjoint."""
    _check(instance("tissue", tissue, Tissue), electrodes, None)
    values, time, at = _read(V_m, tissue)
    weight, source = 1 / distances(tissue, _move(electrodes, at)), net_flux(values, *couplings(tissue))
    return label_phi_e(np.tensordot(weight, source, axes=((1, 2), (1, 2))), electrodes, time)


def _mesh_ecg(V_m: Any, mesh: Mesh, electrodes: Electrodes) -> xr.DataArray:
    """phi_e of a voltage (time, node)."""
    dims, shape, time = ("time", "node"), (len(mesh.points),), None
    labeled = isinstance(V_m, xr.DataArray) and any(SAME_DIM.get(str(dim), dim) == "time" for dim in V_m.dims)
    if not labeled and not isinstance(V_m, np.ndarray):
        V_m = _voltages(V_m, dims, shape)
    when = next(dim for dim in V_m.dims if SAME_DIM.get(str(dim), dim) == "time") if labeled else None
    n, L = V_m.sizes[when] if labeled else len(V_m) if V_m.ndim else 0, mesh_lead_field(mesh, electrodes)
    step, parts = max(_BLOCK // len(mesh.points), 1), []
    for start in range(0, max(n, 1), step):
        rows = slice(start, start + step)
        some = V_m.isel({when: rows}) if labeled else V_m[rows]
        parts.append(L @ _voltages(some, dims, shape).T)
    if labeled and when in V_m.coords:
        time = times("V_m.time", V_m[when], least=1)
    phi_e = label_phi_e(np.concatenate(parts, 1), electrodes, time)
    volume = mesh.cells.shape[1] == 4
    scale = f"integral of div(D grad V_m) / r over the mesh; times beta C_m {'' if volume else 'h '}/ (4 pi sigma_b): a potential"
    unit = "mV mm2 ms-1" if volume else "mV mm ms-1"
    return phi_e.assign_attrs(units=unit, scale=scale, fiber_tilt=round(mesh.fiber_tilt, 3))


def _check(tissue: Tissue | Mesh, electrodes: Electrodes, conductor: Disc | Sphere | None) -> None:
    """ValueError for an argument of another type."""
    instance("tissue", tissue, (Tissue, Mesh))
    instance("electrodes", electrodes, Electrodes, "such as center_electrode gives")
    if conductor is not None:
        instance("conductor", conductor, (Disc, Sphere))
        instance("tissue", tissue, Tissue, "for a conductor lies around a sheet alone")


def _voltages(V_m: Any, dims: tuple[str, ...], shape: tuple[int, ...]) -> np.ndarray:
    """Finite values (time, ...) in mV; ValueError for all else."""
    values = array("V_m", V_m, dims, "mV", shape=(None, *shape)).astype(float, copy=False)
    if (high := float(np.abs(values).max())) > MOST_V:
        raise ValueError(f"V_m: expected voltages within {MOST_V:g} mV, got {high:g} mV")
    return values


def _read(V_m: Any, tissue: Tissue) -> tuple[np.ndarray, np.ndarray | None, tuple[float, float]]:
    """Finite values (time, y, x) in mV on the grid of the tissue, their times in ms if any, and where (x, y) it begins."""
    values = _voltages(V_m, ("time", "y", "x"), tissue.D.shape)
    if not isinstance(V_m, xr.DataArray):
        return values, None, (0.0, 0.0)
    when = [dim for dim in V_m.dims if SAME_DIM.get(str(dim), dim) == "time" and dim in V_m.coords]
    return values, times("V_m.time", V_m[when[0]], least=1) if when else None, corner("V_m", V_m, tissue.dx)


def _move(what: Any, at: tuple[float, float]) -> Any:
    """Electrodes or a conductor, counted from the corner ``at`` (x, y) in mm of the sheet; as they came at (0, 0)."""
    if what is None or at == (0.0, 0.0):
        return what
    if isinstance(what, Electrodes):
        return replace(what, positions=what.positions - [*at, 0.0])
    return replace(what, center=tuple(np.subtract(what.center, [*at, 0.0][: len(what.center)]).tolist()))


def label_phi_e(
    phi_e: np.ndarray, electrodes: Electrodes, time: np.ndarray | None, conductor: Disc | Sphere | None = None
) -> xr.DataArray:
    """phi_e (lead, time_ecg) with names, times in ms where there are some, and attributes."""
    labels = {"lead": list(electrodes.names)} | ({} if time is None else {"time_ecg": as_variable("time_ecg", time)})
    return xr.DataArray(phi_e, labels, ("lead", "time_ecg"), "phi_e", phi_e_attrs(conductor))
