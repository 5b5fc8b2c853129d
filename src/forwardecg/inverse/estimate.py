"""Back from the ECG: where a wave began, when, and how fast the tissue conducts, from ECGs at known electrodes.

    least misfit  |phi_e - model|^2 / |phi_e|^2  over site, onset and D, both after a low-pass

The gradients go through activation times and lead field as in Grandits et al., IEEE Trans. Biomed. Eng. 71 (2024).
"""

from functools import lru_cache

import numpy as np
import torch
import xarray as xr
from numpy.typing import ArrayLike
from scipy.ndimage import gaussian_filter1d
from torch import Tensor
from torch.nn.functional import interpolate

from forwardecg.activation.template import FINE, template
from forwardecg.contract import array, as_variable, count, instance, number, times, unit_of
from forwardecg.ecg.electrodes import Electrodes, names_of
from forwardecg.ecg.leadfield import label_phi_e, phi_e_attrs
from forwardecg.inverse import models
from forwardecg.tissue.cell import FK_CAF, FKParams
from forwardecg.tissue.grid import Grid
from forwardecg.tissue.sheet import Tissue, grid_of

LOW_PASS = 1.5  # ms, SD of the Gaussian by which data and model are smoothed
N_SITES, N_PROFILE = 15, 25  # sites along a side that a fit scans, and of a profile
STARTS, FAR_OFF = 16, 10.0  # the most sites that are polished; times the least misfit, beyond which none is
SAME = 1.0  # mm: polished sites that are nearer are one
POOR = 0.05  # misfit of a field with a gain, above which it also begins where the field without a gain ends


def read(
    phi_e: xr.DataArray, electrodes: Electrodes, sheet: Tissue | Grid, gain: int, radius: float, cell: FKParams, dt: float
) -> models.Setting:  # fmt: skip
    """What is known, checked and after the low-pass."""
    grid, names = grid_of(sheet), instance("electrodes", electrodes, Electrodes, "such as center_electrode gives").names
    radius, dt = number("radius", radius, 2, 1e3, unit="mm"), number("dt", dt, 0, 10, unit="ms", above=True)
    if radius >= (side := min(grid.size)):
        raise ValueError(f"radius: expected less than the shorter side of the sheet, {side:g} mm, got {radius:g} mm")
    instance("phi_e", phi_e, xr.DataArray, "with times, as `pseudo_ecg` gives")
    values = array("phi_e", phi_e, ("lead", "time_ecg"), shape=(len(names), None)).astype(float)
    if names_of(phi_e) not in (None, names):
        raise ValueError(f"electrodes: expected those of the leads {names_of(phi_e)}, got {names}")
    if (came := unit_of(phi_e.attrs)) not in (None, phi_e_attrs()["units"]) and not gain:
        raise ValueError(f"phi_e: expected {phi_e_attrs()['units']}, or a gain to be fitted beside D, got {came!r}")
    if "time_ecg" not in phi_e.coords:
        raise ValueError("phi_e: expected times along time_ecg, got none")
    t = times("phi_e.time_ecg", phi_e.time_ecg, least=20)
    if np.ptp(np.diff(t)) > 1e-6 * t[-1]:
        raise ValueError(f"phi_e.time_ecg: expected equal steps, got {np.diff(t).min():g} .. {np.diff(t).max():g} ms")
    every = max(int(1.5 * LOW_PASS / (t[1] - t[0])), 1)  # after the low-pass the samples between tell nothing new
    data, t = gaussian_filter1d(values, LOW_PASS / (t[1] - t[0]), mode="nearest")[:, ::every], t[::every]
    if not (norm := np.sqrt(np.square(data).sum())):
        raise ValueError("phi_e: expected an ECG that is not zero, got zeros")
    form = template(grid.dx, dt, instance("cell", cell, FKParams))
    up, down = (gaussian_filter1d(part, LOW_PASS / FINE, mode="nearest") for part in (form.up, form.down))
    form = form._replace(up=up, down=down)
    return models.Setting(data / norm, norm, t, grid.dx, grid, electrodes, radius, gain, form, cell, dt)


def _wells(one: models.Setting) -> list[tuple[float, np.ndarray, np.ndarray]]:
    """Fits of uniform tissue as `polish` gives them, one a minimum, the best first."""
    side = (np.arange(N_SITES) + 0.5) / N_SITES
    y, x = (at.ravel() for at in np.meshgrid(side, side, indexing="ij"))
    beside = np.hypot(y[:, None] - y, x[:, None] - x) < 1.1 / N_SITES
    x, y = x * one.grid.size[1], y * one.grid.size[0]
    misfit, start = models.scan(one, x, y)
    well = (misfit <= np.where(beside, misfit, np.inf).min(1)) & (misfit < FAR_OFF * misfit.min())
    weights_of = lru_cache(4)(lambda D: models.weights(one, D))
    some = np.flatnonzero(well)[misfit[well].argsort()][:STARTS]
    polished: list[tuple[float, np.ndarray, np.ndarray]] = []
    for found in sorted((models.polish(one, x[k], y[k], start[k], weights_of) for k in some), key=lambda one: one[0]):
        if all(np.hypot(*(found[1] - other[1])[:2]) > SAME for other in polished):
            polished.append(found)
    return polished


def _field(one: models.Setting, D: float, field: int, start: np.ndarray) -> tuple[np.ndarray, tuple[Tensor, ...]]:
    """The parameters that a descent near D ends at, its site on the sheet, and what `varied` gives of them."""
    last = torch.tensor(one.grid.size[::-1], dtype=torch.float64)
    ecg = models.varied(one, D, field, lambda at: torch.minimum(at.clamp(min=0), last)[None])
    p = models.descend(ecg, start)
    p[:2] = np.clip(p[:2], 0, last.numpy())
    with torch.no_grad():
        return p, ecg(torch.from_numpy(p))


def fit(
    phi_e: xr.DataArray, electrodes: Electrodes, sheet: Tissue | Grid, *, field: int = 1, gain: int = 0,
    radius: float = 4.0, cell: FKParams = FK_CAF, dt: float = 0.1,
) -> xr.Dataset:  # fmt: skip
    """The site and the onset of one wave, and D, from its ECG: a scan of sites, then several of them polished.

        least over site, onset and D:  |phi_e - model|^2 / |phi_e|^2

    Args:
        phi_e: (lead, time_ecg), mV mm/ms, with equally spaced times in ms; unbounded conductor.
        electrodes: where its leads are.
        sheet: the grid; of a tissue its grid alone, for its D is what is sought.
        field: 1: D is uniform, and all is in closed form; n of 2 .. 20: log D on n x n places over the sheet, bicubic between
            them, by the adjoint of `activation_times`.
        gain: factor of the amplitude beside D: 0 none, 1 one, n of 2 .. 20 on n x n places, with a field only. Where a field with
            a gain leaves a misfit above 0.05, it begins again where the field without one ends, and the lower end is kept.
        radius: mm, of the disc that is activated first, 2 at least, and less than the shorter side of the sheet.
        cell, dt: as `simulate` takes them; the grid of ``sheet`` is the one whose waves are sought. The constants of the
            eikonal model were fitted for `FK_CAF` on cells of 0.5 mm.

    Returns:
        site (xy) in mm; onset in ms, when the disc is activated; D in mm^2/ms, gain and lat in ms (y, x); misfit, and phi_e after
        the low-pass as the model has it; sites (well, xy) of all minima that were found, the best first, with misfits (well);
        curvature (xy, of), 1/mm^2: half the second derivative of the misfit by the site, onset and D adapted.

    Raises:
        ValueError: ECGs of other shape or unit, zero, not finite or without equal steps of time; electrodes that are not theirs;
            a field or gain out of range, or a gain on places with one D; a radius beyond the sheet.

    Examples:
        >>> sheet = fe.healthy((60, 60), 0.5, D0=0.1)
        >>> places = fe.standard_electrodes(sheet, z=20.0)
        >>> focus = fe.tissue.focal_stimulus(sheet, x=9.0, y=20.0)
        >>> found = fit(fe.simulate(sheet, focus, t_end=60.0, electrodes=places).phi_e, places, sheet.grid)
        >>> bool(np.hypot(*(found.site - [9.0, 20.0])) < 1)
        True
    """
    field, gain = count("field", field, 1, 20), count("gain", gain, 0, 20)
    if field == 1 and gain > 1:
        raise ValueError(f"gain: expected 0 or 1 with one D, got {gain}")
    one = read(phi_e, electrodes, sheet, gain, radius, cell, dt)
    polished = _wells(one)
    least, p, curvature = polished[0]
    D, shape = np.exp(p[3]), one.grid.shape
    if field == 1:
        known = models.weights(one, models.nearest(D))
        H, V = models.rings(one, p[0], p[1], known), models.voltages(one, D, p[2])
        model = np.exp(p[4]) * models.uniform_ecg(one, D, H, V)
        T, D, gains = models.uniform_times(one, p[0], p[1], p[2], D), np.full(shape, D), np.full(shape, np.exp(p[4]))
    else:
        start = np.concatenate([p[:3], np.full(field**2, p[3]), np.full(gain**2, p[4])])
        p, (total, ecg, *maps) = _field(one, D, field, start)
        if gain and np.square(ecg.numpy() - one.data).sum() > POOR:  # one D and one gain may be a bad start of a field
            without = one._replace(gain=0)
            q = _wells(without)[0][1]
            D = np.exp(q[3])
            q, _ = _field(without, D, field, np.concatenate([q[:3], np.full(field**2, q[3])]))
            q, (again, *found) = _field(one, D, field, np.concatenate([q, np.zeros(gain**2)]))
            if again < total:
                p, (ecg, *maps) = q, found
        T, D, gains = (interpolate(part[None, None], shape, mode="bilinear")[0, 0].numpy() for part in maps)
        model, curvature = ecg.numpy(), np.full((2, 2), np.nan)
        least = np.square(model - one.data).sum()
    ds = xr.Dataset({
        "site": ("xy", p[:2], {"units": "mm"}),
        "onset": ((), one.t[0] + p[2], {"units": "ms"}),
        "D": as_variable("D", D),
        "gain": (("y", "x"), gains, {"units": "1"}),
        "lat": as_variable("lat", one.t[0] + T),
        "misfit": ((), least, {"units": "1"}),
        "phi_e": label_phi_e(one.norm * model, electrodes, one.t),
        "sites": (("well", "xy"), np.array([q[:2] for _, q, _ in polished]), {"units": "mm"}),
        "misfits": ("well", [value for value, _, _ in polished], {"units": "1"}),
        "curvature": (("xy", "of"), curvature, {"units": "mm-2"}),
    })  # fmt: skip
    return ds.assign_coords(xy=["x", "y"], of=["x", "y"])


def profile(
    phi_e: xr.DataArray, electrodes: Electrodes, sheet: Tissue | Grid, x: ArrayLike | None = None,
    y: ArrayLike | None = None, *, start: xr.Dataset | None = None, gain: int = 0, radius: float = 4.0,
    cell: FKParams = FK_CAF, dt: float = 0.1,
) -> xr.DataArray:  # fmt: skip
    """The misfit of each site in uniform tissue, with the onset and D that suit it best: how many sites explain an ECG.

        misfit(x, y) = least over onset and D of |phi_e - model|^2 / |phi_e|^2

    Args:
        phi_e, electrodes, sheet, radius, cell, dt: as `fit` takes them.
        x, y: (n,) and (m,), mm, of the sites; None: 25 over the sheet.
        start: a fit with uniform D, near whose onset and D those of sites nearby are sought; None: a scan, after which sites with
            more than ten times the least misfit are left as they are.
        gain: 0, or 1 for one factor of the amplitude.

    Returns:
        misfit (y, x) at x and y in mm.

    Raises:
        ValueError: What `fit` refuses; no sites, or sites outside of the sheet; a start that is no fit.

    Examples:
        >>> sheet = fe.healthy((40, 40), 0.5, D0=0.1)
        >>> focus = fe.tissue.focal_stimulus(sheet, x=6.0, y=9.0)
        >>> phi_e = fe.simulate(sheet, focus, t_end=60.0, electrodes=fe.center_electrode(sheet)).phi_e
        >>> wells = profile(phi_e, fe.center_electrode(sheet), sheet, x=[6.0, 10.0, 14.0], y=[9.0])
        >>> bool(wells[0, 1] > 3 * wells[0, 0]), bool(wells[0, 1] > 3 * wells[0, 2])  # 14 mm is an image of 6 mm
        (True, True)
    """
    one = read(phi_e, electrodes, sheet, count("gain", gain, 0, 1), radius, cell, dt)
    if start is not None and not {"onset", "D", "gain"} <= {*instance("start", start, xr.Dataset, "as `fit` gives")}:
        raise ValueError(f"start: expected a fit, with onset, D and gain, got {[*start]}")
    axes = []
    for name, given, size in (("y", y, one.grid.size[0]), ("x", x, one.grid.size[1])):
        if given is not None and not np.size(given):
            raise ValueError(f"{name}: expected at least one site, got none")
        at = (np.arange(N_PROFILE) + 0.5) / N_PROFILE * size if given is None else array(name, given, (name,), "mm")
        if at.min() < 0 or at.max() > size:
            raise ValueError(f"{name}: expected sites within 0 .. {size:g} mm, got {at.min():g} .. {at.max():g}")
        axes.append(at.astype(float))
    ys, xs = (at.ravel() for at in np.meshgrid(*axes, indexing="ij"))
    if start is None:
        misfit, begin = models.scan(one, xs, ys)
        some = np.flatnonzero(misfit < FAR_OFF * misfit.min())
    else:
        near = [start.onset.item() - one.t[0], np.log(start.D[0, 0].item()), np.log(start.gain[0, 0].item())]
        misfit, begin, some = np.full(xs.size, np.inf), np.tile(near, (xs.size, 1)), np.arange(xs.size)
    weights_of = lru_cache(4)(lambda D: models.weights(one, D))
    for k in some:
        misfit[k] = min(misfit[k], models.polish(one, xs[k], ys[k], begin[k], weights_of, fixed=True)[0])
    found = xr.DataArray(misfit.reshape(len(axes[0]), -1), {"y": axes[0], "x": axes[1]}, ("y", "x"), "misfit")
    return found.assign_coords({name: found[name].assign_attrs(units="mm") for name in ("y", "x")})
