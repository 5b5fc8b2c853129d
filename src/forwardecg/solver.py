"""Monodomain solver: flux-form diffusion, stability limit, CV calibration and the time loop.

    du/dt = div(D grad u) - (J_fi + J_so + J_si) + I_stim,   no flux at edges and at non-conductive cells

Finite volumes with the harmonic mean of D at the faces; explicit Euler for u, exact exponential for the gates.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import xarray as xr
from scipy.interpolate import PchipInterpolator

from forwardecg import __version__
from forwardecg.cell import FK_CAF, V_REST, V_SPAN, FKParams, constants
from forwardecg.ecg import PHI_E_ATTRS, Electrodes, lead_field
from forwardecg.kernel import LANES, advance, aligned
from forwardecg.tissue import Stimulus, Tissue, face_diffusivity

ECG_BLOCK = 16  # ECG samples per matrix product
D_REFERENCE = 0.1  # mm^2/ms at which the converged conduction velocity is measured


class State(NamedTuple):
    """The sheet at time t (ms): u (y, x), and lat (y, x) in ms, -1 where not yet activated. Views: copy to keep."""

    t: float
    u: np.ndarray
    lat: np.ndarray


def stability_limit(D_max: float, dx: float) -> float:
    """Largest stable time step (ms) of explicit diffusion on square cells: dx^2 / (4 D_max)."""
    return dx**2 / (4 * D_max)


def _steps(name: str, time: float, dt: float) -> int:
    n = round(time / dt)
    if n < 1 or abs(n * dt - time) > 1e-9 * max(time, 1):
        raise ValueError(f"{name}: expected a positive multiple of dt = {dt} ms, got {time} ms")
    return n


def solve(
    tissue: Tissue,
    stimuli: Sequence[Stimulus],
    *,
    t_end: float,
    every: float = 1.0,
    fk: FKParams = FK_CAF,
    dt: float = 0.1,
    calibrated: bool = True,
    real: type = np.float32,
) -> Iterator[State]:
    """The time loop as a generator: the state at rest, then one `State` each ``every`` ms up to ``t_end``.

    Parameters
    ----------
    tissue : sheet; its D is the physical diffusivity
    stimuli : at least one, on the tissue's grid
    t_end, every, dt : ms; the first two are multiples of dt
    fk : cell model
    calibrated : use the diffusivity at which this grid conducts at the converged velocity (`calibrated_diffusivity`)
    real : np.float32 or np.float64

    Raises
    ------
    ValueError
        dt over the stability limit, times that are no multiples of dt, no stimulus, or one that reaches no live cell.
    FloatingPointError
        The solution left the finite numbers.
    """
    shape, conducting = tissue.D.shape, tissue.conductive & (tissue.D > 0)
    if not stimuli:
        raise ValueError("stimuli: expected at least one Stimulus, got none")
    for stimulus in stimuli:
        if stimulus.mask.shape != shape:
            raise ValueError(f"stimulus mask: expected shape {shape}, got {stimulus.mask.shape}")
        if not (stimulus.mask & conducting).any():
            raise ValueError("stimulus mask: expected at least one conductive cell under it, got none")
    n_end, n_every = _steps("t_end", t_end, dt), _steps("every", every, dt)
    D = calibrated_diffusivity(tissue.D, conducting, tissue.dx, dt, fk) if calibrated else tissue.D
    if dt > (limit := stability_limit(D[conducting].max(), tissue.dx)):
        raise ValueError(f"dt: expected at most the stability limit {limit:.4g} ms (dx^2 / 4 D_max), got {dt} ms")

    (n_y, n_x), c = shape, constants(fk, dt, real)
    stride = -(-(n_x + 1) // LANES) * LANES  # a row's right halo is the next row's left one
    size = (n_y + 2) * stride

    def sheet(flat: np.ndarray) -> np.ndarray:  # (y, x) view of the cells
        return flat[stride:-stride].reshape(n_y, stride)[:, :n_x]

    u, spare, gx, gy = (aligned(size, 0, real) for _ in range(4))
    v, w, lat = aligned(size, 1, real), aligned(size, 1, real), np.full(size, -1.0)
    D_x, D_y = face_diffusivity(D, conducting)
    sheet(gx)[:], sheet(gy)[:] = D_x[:, :-1] * dt / tissue.dx**2, D_y[:-1] * dt / tissue.dx**2

    pulses = []  # first step, step after the last one, flat cell indices, increment of u per step
    for stimulus in stimuli:
        y, x = np.nonzero(stimulus.mask & conducting)
        on, n_on = round(stimulus.start / dt), _steps("stimulus duration", stimulus.duration, dt)
        pulses.append((on, on + n_on, (y + 1) * stride + x, np.full(y.size, dt * stimulus.amplitude, real)))
    switches = {step for on, off, *_ in pulses for step in (on, off)}
    yield State(0.0, sheet(u), sheet(lat))
    for sample in range(n_every, n_end + 1, n_every):
        stops = sorted({sample - n_every, sample} | {step for step in switches if sample - n_every < step < sample})
        for first, stop in pairwise(stops):
            active = [(cells, du) for on, off, cells, du in pulses if on <= first < off]
            cells = np.concatenate([np.zeros(0, np.int64)] + [cells for cells, _ in active])
            du = np.concatenate([np.zeros(0, real)] + [du for _, du in active])
            u, spare = advance(u, spare, v, w, gx, gy, lat, cells, du, c, dt, first, stop - first, stride)
        if not np.isfinite(u.sum()):
            raise FloatingPointError(
                f"u: expected finite values, got a blow-up before t = {sample * dt:g} ms (dt {dt} ms)"
            )
        yield State(sample * dt, sheet(u), sheet(lat))


def simulate(
    tissue: Tissue,
    stimuli: Sequence[Stimulus],
    *,
    t_end: float,
    electrodes: Electrodes | None = None,
    frame_interval: float = 5.0,
    ecg_interval: float = 1.0,
    pool: int = 1,
    fk: FKParams = FK_CAF,
    dt: float = 0.1,
    calibrated: bool = True,
    real: type = np.float32,
) -> xr.Dataset:
    """Run one tissue and keep what the data contract asks for.

    Parameters
    ----------
    electrodes : where phi_e is recorded, from the full grid and the physical D; None: nowhere
    frame_interval, ecg_interval : ms between maps, and between samples of phi_e (a divisor of the former)
    pool : cells along each side of a map pixel; a pixel is the plain mean over its cells, non-conductive ones included
    others : see `solve`

    Returns
    -------
    V_m (time, y_map, x_map) in mV, lat (y, x) in ms (NaN where never activated), D, conductive and, with electrodes,
    phi_e (lead, time_ecg) and electrodes (lead, xyz).
    """
    (n_y, n_x), per_frame = tissue.D.shape, _steps("frame_interval", frame_interval, ecg_interval)
    if n_y % pool or n_x % pool:
        raise ValueError(f"pool: expected a divisor of the grid {n_y} x {n_x}, got {pool}")
    if round(t_end / ecg_interval) % per_frame:
        raise ValueError(f"t_end: expected a multiple of frame_interval = {frame_interval} ms, got {t_end} ms")
    field = V_SPAN * lead_field(tissue, electrodes).reshape(-1, n_y * n_x) if electrodes else np.zeros((0, n_y * n_x))
    frames, phi_e, block = [], [], []
    every = ecg_interval if electrodes else frame_interval
    for n, state in enumerate(
        solve(tissue, stimuli, t_end=t_end, every=every, fk=fk, dt=dt, calibrated=calibrated, real=real)
    ):
        if electrodes:
            block.append(state.u.astype(np.float64).ravel())
            if len(block) == ECG_BLOCK:
                phi_e.append(field @ np.array(block).T)
                block = []
        if not electrodes or n % per_frame == 0:
            frames.append(state.u.reshape(n_y // pool, pool, n_x // pool, pool).mean(axis=(1, 3)))
    ds = xr.Dataset(
        {
            "V_m": (("time", "y_map", "x_map"), V_REST + V_SPAN * np.array(frames), {"units": "mV", "long_name": "transmembrane voltage"}),
            "lat": (("y", "x"), np.where(state.lat < 0, np.nan, state.lat), {"units": "ms", "long_name": "local activation time"}),
            "D": (("y", "x"), tissue.D, {"units": "mm2 ms-1", "long_name": "physical diffusivity"}),
            "conductive": (("y", "x"), tissue.conductive, {"units": "1", "long_name": "conducts"}),
        },
        coords={"time": ("time", np.arange(len(frames)) * frame_interval, {"units": "ms", "long_name": "time"})},
        attrs={
            "dx": tissue.dx, "dx_map": tissue.dx * pool, "dt": dt, "condition": tissue.condition, "texture": tissue.texture,
            "calibrated": int(calibrated), "precision": np.dtype(real).name, "cell": str(asdict(fk)),
            "seed": -1 if tissue.seed is None else tissue.seed, "forwardecg": __version__,
        },
    )  # fmt: skip
    if electrodes:
        phi_e.append(field @ np.array(block).reshape(-1, n_y * n_x).T)
        ds = ds.assign_coords(lead=list(electrodes.names), xyz=list("xyz"))
        ds["phi_e"] = (("lead", "time_ecg"), np.concatenate(phi_e, axis=1), PHI_E_ATTRS)
        ds["electrodes"] = (("lead", "xyz"), electrodes.positions, {"units": "mm", "long_name": "electrode positions"})
        ds = ds.assign_coords(
            time_ecg=("time_ecg", np.arange(ds.sizes["time_ecg"]) * ecg_interval, {"units": "ms", "long_name": "time"})
        )
    return ds


def cable_cv(D: float, dx: float, dt: float, fk: FKParams = FK_CAF, real: type = np.float64) -> float:
    """Conduction velocity (mm/ms) of a plane wave on the grid dx, dt without calibration; NaN if it does not propagate.

    A cable with a 2 mm stimulus, timed between fixed nodes near 10 and 20 mm - lengths for D = 0.1 mm^2/ms, scaled with
    sqrt(D), so that CV(D, dx) = sqrt(D / D_0) CV(D_0, dx sqrt(D_0 / D)) holds to rounding.
    """
    node = dx * np.sqrt(D_REFERENCE / D)  # mm of the reference cable per node
    n, first = max(round(30 / node), 40), max(round(10 / node), 12)
    last = max(round(20 / node), first + 12)
    mask = np.zeros((1, n), bool)
    mask[:, : max(round(2 / node), 2)] = True
    cable = Tissue(D=np.full((1, n), float(D)), conductive=np.ones((1, n), bool), dx=dx)
    every = dt * max(round(5 / dt), 1)
    t_end = every * max(round(60 * (1 + 4 * node) / every), 1)
    lat = np.full(n, -1.0)
    for state in solve(
        cable,
        [Stimulus(mask=mask, duration=dt * round(2 / dt))],
        t_end=t_end,
        every=every,
        fk=fk,
        dt=dt,
        calibrated=False,
        real=real,
    ):
        lat = state.lat[0]
        if lat[last] >= 0:
            return (last - first) * dx / (lat[last] - lat[first])
    return float("nan")


@lru_cache
def converged_cv(fk: FKParams) -> float:
    """Conduction velocity (mm/ms) at D = 0.1 mm^2/ms with dx 0.025 mm, dt 0.0005 ms, where it has converged."""
    return cable_cv(D_REFERENCE, 0.025, 0.0005, fk)


@lru_cache
def calibration_table(dx: float, dt: float, fk: FKParams) -> tuple[np.ndarray, np.ndarray]:
    """Pairs (physical D, D_num) in mm^2/ms: on this grid D_num conducts at the converged velocity of the physical D.

    CV_grid(D_num; dx, dt) = CV_converged(D) with CV_converged = c sqrt(D). Ends where the grid no longer propagates.
    """
    D_num = np.geomspace(0.006, 0.999 * stability_limit(1.0, dx) / dt, 40)
    cv = np.array([cable_cv(value, dx, dt, fk) for value in D_num])
    D = D_REFERENCE * (cv / converged_cv(fk)) ** 2
    ok = np.isfinite(D)
    return D[ok], D_num[ok]


def calibrated_diffusivity(
    D: np.ndarray, conducting: np.ndarray, dx: float, dt: float, fk: FKParams = FK_CAF
) -> np.ndarray:
    """D_num (y, x): the diffusivity with which this grid reproduces the converged plane-wave velocity of D, per cell.

    Raises
    ------
    ValueError
        D outside the range in which this grid can reach that velocity.
    """
    table_D, table_D_num = calibration_table(dx, dt, fk)
    if table_D.size < 4:
        raise ValueError(
            f"fk: expected a cell model that conducts on the grid dx = {dx} mm, dt = {dt} ms, got {fk.name}"
        )
    low, high = D[conducting].min(), D[conducting].max()
    if low < table_D[0] or high > table_D[-1]:
        raise ValueError(
            f"D: expected values in {table_D[0]:.4g} .. {table_D[-1]:.4g} mm^2/ms, the range that dx = {dx} mm, dt = {dt} ms "
            f"can be calibrated for, got {low:.4g} .. {high:.4g}"
        )
    lookup = PchipInterpolator(np.log(table_D), np.log(table_D_num))
    return np.where(conducting, np.exp(lookup(np.log(np.where(conducting, D, high)))), 0.0)
