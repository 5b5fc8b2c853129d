"""The ECG from activation times: the lead field of the tissue over the voltage that they give, at any electrode and time."""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike
from scipy.signal import fftconvolve

from forwardecg.activation.eikonal import CLOSE, LOAD, SPREAD, activate, balance, front_law, given_law, network
from forwardecg.activation.loops import FAR
from forwardecg.activation.template import FINE, Template, share, template
from forwardecg.contract import V_SPAN, array, as_variable, corner, instance, number, times
from forwardecg.ecg.electrodes import Electrodes
from forwardecg.ecg.leadfield import label_phi_e, lead_field
from forwardecg.ecg.torso import Disc, Sphere
from forwardecg.solver.simulation import check_arguments
from forwardecg.tissue.cell import FK_CAF, FKParams, jit
from forwardecg.tissue.sheet import Tissue
from forwardecg.tissue.stimulus import LONGEST_TIME, Stimulus, whole_steps

# of the SD of the ECG, without and with fibers: what all else costs, so that nine in ten training tissues are within the estimate
LEAST, LEAST_FIBERS = 0.03, 0.1
DOUBT = 0.8  # of `LOAD` and `SPREAD`, with which the ECG is computed once more: how far the two differ is the estimated error


@jit
def _count(L: np.ndarray, when: np.ndarray, begin: float, n: int) -> np.ndarray:
    """The weights L (lead, cell) of the times ``when`` (cell) in bins of `FINE` from ``begin``, shared by the nearest two; `FAR` is in none."""
    pulses = np.zeros((L.shape[0], n))
    for i in range(when.size):
        at = (when[i] - begin) / FINE
        if at < n - 1:
            k = int(at)
            for lead in range(L.shape[0]):
                pulses[lead, k] += L[lead, i] * (k + 1 - at)
                pulses[lead, k + 1] += L[lead, i] * (at - k)
    return pulses


def read_out(L: np.ndarray, T: np.ndarray, R: np.ndarray, form: Template, t: np.ndarray) -> np.ndarray:
    """phi_e (lead, time) in mV mm/ms at times t (ms) of L (lead, ...): upstrokes at T, repolarization counted from R.

    T and R (...) in ms, `FAR` where no wave arrives.
    """
    phi_e = np.zeros((len(L), t.size))
    for when, part in ((T, form.up), (np.where(T < FAR, R, FAR), form.down)):
        first = float(when.min())
        begin = first + form.t[0]
        n = max(int((t[-1] - begin) / FINE) + 2, 2)
        course = np.append(part, np.full(max(n - part.size, 0), part[-1]))[:n]  # u stays where a part ends
        for lead, pulses in enumerate(_count(L.reshape(len(L), -1), when.ravel(), first, n)):
            phi_e[lead] += np.interp(t, begin + FINE * np.arange(n), fftconvolve(pulses, course)[:n], left=0.0)
    return V_SPAN * phi_e


def ecg_from_activation(
    lat: xr.DataArray | np.ndarray, tissue: Tissue, electrodes: Electrodes, t: ArrayLike, *,
    recovery: xr.DataArray | np.ndarray | None = None, conductor: Disc | Sphere | None = None,
    cell: FKParams = FK_CAF, dt: float = 0.1,
) -> xr.DataArray:  # fmt: skip
    """The ECG of activation times: phi_e(t) = sum over cells of L V_m(t - T), exact in L, with one action potential for V_m.

    Args:
        lat: (y, x), ms, of one wave; NaN where there is none, and in fibrosis.
        tissue, electrodes, conductor: as `lead_field` takes them.
        t: (time,) increasing, ms: any times, none of which lies on a frame.
        recovery: (y, x), ms, when cells have fallen to u = 0.1; None: from lat, smoothed over neighbors (`template`).
        cell, dt: cell model, and the time step (ms) of the grid whose action potential it is.

    Returns:
        phi_e (lead, time_ecg), mV mm/ms, in a `Disc` mV mm^2/ms.

    Raises:
        ValueError: Arrays of another grid, no time at all, times that do not increase; what `lead_field` refuses.

    Examples:
        >>> sheet = fe.healthy((40, 60), 0.5, D0=0.1)
        >>> lat = fe.activation.solve_eikonal(sheet, fe.edge_stimulus(sheet))
        >>> phi_e = ecg_from_activation(lat, sheet, fe.center_electrode(sheet), [0.0, 12.3, 600.0])
        >>> dict(phi_e.sizes), bool(abs(phi_e[0, 1]) > 100 * abs(phi_e[0, 2]))
        ({'lead': 1, 'time_ecg': 3}, True)
    """
    check_arguments(tissue, cell, True, np.float64, True)
    L, t = lead_field(tissue, electrodes, conductor), times("t", t, least=1)
    maps = {"lat": lat} if recovery is None else {"lat": lat, "recovery": recovery}
    T, *given = (_read_map(name, values, tissue) for name, values in maps.items())
    if not (reached := tissue.live & np.isfinite(T)).any():
        raise ValueError("lat: expected a finite time in a live cell, got none")
    dt = number("dt", dt, 0, 10, unit="ms", above=True)
    form = template(tissue.dx, dt, cell)
    T = np.where(reached, T, FAR)
    net = network(tissue, dt, cell)
    R = given[0] - form.duration if given else net.crop(share(net.pad(T, FAR), net.g, net.offsets, form.duration))
    if not np.isfinite(R[reached]).all():
        raise ValueError("recovery: expected a time wherever lat has one, got cells without")
    return label_phi_e(read_out(L, T, R, form, t), electrodes, t, conductor)


def _read_map(name: str, values: xr.DataArray | np.ndarray, tissue: Tissue) -> np.ndarray:
    """Times (y, x) in ms on the grid of the tissue, NaN where there is none."""
    read = array(name, values, ("y", "x"), "ms", shape=tissue.D.shape, finite=False).astype(float)
    if (at := corner(name, values, tissue.dx)) != (0, 0):
        raise ValueError(f"{name}: expected x and y in mm from the corner of the sheet, got a corner at {at}")
    if np.abs(read[np.isfinite(read)]).max(initial=0.0) > LONGEST_TIME or np.isinf(read).any():
        raise ValueError(f"{name}: expected times within {LONGEST_TIME:g} ms, or NaN, got others")
    return read


def eikonal_ecg(
    tissue: Tissue, stimuli: Stimulus | Sequence[Stimulus], electrodes: Electrodes, *, t_end: float,
    ecg_interval: float = 1.0, conductor: Disc | Sphere | None = None, cell: FKParams = FK_CAF, dt: float = 0.1,
) -> xr.Dataset:  # fmt: skip
    """The ECG of a tissue without a simulation: `solve_eikonal`, then `ecg_from_activation`, with an estimate of the error.

    Args:
        tissue, stimuli, electrodes, conductor, cell, dt: as `simulate` takes them; the constants of the eikonal model were
            fitted for `FK_CAF` on cells of 0.5 mm.
        t_end, ecg_interval: ms; from 0 on, t_end is a multiple of the interval.

    Returns:
        phi_e (lead, time_ecg); lat and recovery (y, x) in ms, NaN where no wave arrives; electrodes (lead, xyz); and
        phi_e_error (lead), the estimated RMS error in the unit of phi_e: the change of the ECG with `LOAD` and `SPREAD` a fifth
        less, and a share of its SD (0.03; 0.1 in fibers) for all else, as the root of the sum of their squares.

    Raises:
        ValueError: Cells that would be activated more than once (a second wave, re-entry); block; what `simulate` refuses.

    Examples:
        >>> sheet = fe.healthy((40, 60), 0.5, D0=0.1)
        >>> ds = eikonal_ecg(sheet, fe.edge_stimulus(sheet), fe.center_electrode(sheet), t_end=200.0)
        >>> dict(ds.phi_e.sizes), bool(ds.phi_e_error < 0.05 * ds.phi_e.std())
        ({'lead': 1, 'time_ecg': 201}, True)
    """
    instance("electrodes", electrodes, Electrodes, "such as center_electrode gives")
    t = ecg_interval * np.arange(whole_steps("t_end", t_end, ecg_interval, "ecg_interval") + 1.0)
    L = lead_field(instance("tissue", tissue, Tissue), electrodes, conductor)
    T, order, held, net = activate(tissue, stimuli, cell, dt)
    form, less, grid = template(tissue.dx, dt, cell), T.copy(), (tissue.dx, dt, cell)
    doubtful = net._replace(phi=front_law(*grid, DOUBT * LOAD), given=given_law(*grid, DOUBT * SPREAD))
    balance(less, order, held, doubtful, CLOSE * tissue.dx, 1)
    T, R, less, R_less = (
        net.crop(one) for both in (T, less) for one in (both, share(both, net.g, net.offsets, form.duration))
    )
    phi_e, other = read_out(L, T, R, form, t), read_out(L, less, R_less, form, t)
    lat, recovery = (np.where(T < FAR, one, np.nan) for one in (T, R + form.duration))
    ds = xr.Dataset({
        "lat": as_variable("lat", lat),
        "recovery": as_variable("recovery", recovery),
        "electrodes": as_variable("electrodes", electrodes.positions.copy()),
        "phi_e": label_phi_e(phi_e, electrodes, t, conductor),
    })  # fmt: skip
    least = LEAST if tissue.fiber_angle is None else LEAST_FIBERS
    error = np.sqrt(np.square(phi_e - other).mean(1) + (least * phi_e.std(1)) ** 2)
    ds["phi_e_error"] = ("lead", error, {"units": ds.phi_e.units, "long_name": "estimated RMS error of phi_e"})
    return ds.assign_coords(xyz=list("xyz"))
