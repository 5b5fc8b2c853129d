"""Monodomain solver: du/dt = div(D grad u) - (J_fi + J_so + J_si) + I_stim, no flux at edges and non-conductive cells.

Finite volumes (`diffusion`); explicit Euler for u, exact exponential for the gates (`kernel`).
"""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from time import monotonic
from typing import Any

import numpy as np
import xarray as xr

from forwardecg import __version__
from forwardecg.contract import V_SPAN, as_variable, count, flag, instance, number, to_mV
from forwardecg.ecg.electrodes import Electrodes
from forwardecg.ecg.leadfield import lead_field, phi_e_attrs
from forwardecg.ecg.torso import Disc, Sphere
from forwardecg.paths import progress
from forwardecg.solver.calibration import calibrate_diffusivity, calibrate_fibers, check_step
from forwardecg.solver.fibers import FAR, worst_error
from forwardecg.solver.kernel import Pulse, State, march
from forwardecg.tissue.cell import FK_CAF, FKParams, constants
from forwardecg.tissue.diffusion import couplings, stable_step
from forwardecg.tissue.grid import blocks
from forwardecg.tissue.sheet import Tissue
from forwardecg.tissue.stimulus import LONGEST_TIME, MOST_BEATS, Stimulus, whole_steps

ECG_BLOCK, LAST = 64, 32  # ECG samples per matrix product, and in those at the end of a run
PROGRESS_S = 10.0  # s between lines of progress of a run that takes that long
MOST_STEPS = 10**10  # of one run
MOST_THREADS = 1024  # of one run
AT_REST = 1e-4  # u below which a sheet counts as repolarized: 0.01 mV above rest


def list_stimuli(stimuli: Stimulus | Sequence[Stimulus]) -> list[Stimulus]:
    """One or more stimuli as a list; ValueError for anything else."""
    if not isinstance(stimuli, Stimulus | Sequence) or isinstance(stimuli, str):
        instance("stimuli", stimuli, (Stimulus, list))
    listed = [stimuli] if isinstance(stimuli, Stimulus) else [instance("stimuli", each, Stimulus) for each in stimuli]
    if not 0 < len(listed) <= MOST_BEATS:
        wanted = f"at most {MOST_BEATS}" if listed else "at least one Stimulus"
        raise ValueError(f"stimuli: expected {wanted}, got {len(listed) or 'none'}")
    return listed


def check_arguments(tissue: Tissue, cell: FKParams, calibrated: bool, dtype: type, stop_at_rest: bool) -> type:
    """The float type; ValueError, before anything is computed, for arguments of another type."""
    instance("tissue", tissue, Tissue)
    instance("cell", cell, FKParams, "such as FK_CAF")
    flag("calibrated", calibrated)
    flag("stop_at_rest", stop_at_rest)
    for kind in (np.float32, np.float64):
        if isinstance(dtype, str | type | np.dtype) and dtype in (kind, np.dtype(kind), np.dtype(kind).name):
            return kind
    raise ValueError(f"dtype: expected np.float32 or np.float64, got {dtype!r}")


def count_steps(every: float, t_end: float, dt: float) -> tuple[int, int]:
    """Steps of dt in ``every``, and in ``t_end``, a multiple of that, all in ms; at most `MOST_STEPS`."""
    n_every = whole_steps("every", every, dt)
    n_end = n_every * whole_steps("t_end", t_end, every, "every")
    if n_end > MOST_STEPS:
        raise ValueError(f"t_end: expected at most {MOST_STEPS} steps of dt = {dt:g} ms, got {n_end}")
    return n_every, n_end


def make_pulses(stimuli: Sequence[Stimulus], live: np.ndarray, dt: float, t_end: float) -> list[Pulse]:
    """The stimuli in steps of dt, on live cells; ValueError for one that starts too late or reaches none."""
    pulses = []
    for stimulus in stimuli:
        if stimulus.start >= t_end:
            raise ValueError(f"stimulus start: expected a time before t_end = {t_end:g} ms, got {stimulus.start:g} ms")
        if stimulus.mask.shape != live.shape:
            raise ValueError(f"stimulus mask: expected shape {live.shape}, got {stimulus.mask.shape}")
        if not (cells := stimulus.mask & live).any():
            raise ValueError("stimulus mask: expected at least one conductive cell under it, got none")
        on = whole_steps("stimulus start", stimulus.start, dt) if stimulus.start else 0
        off = on + whole_steps("stimulus duration", stimulus.duration, dt)
        pulses.append(Pulse(cells, on, off, dt * stimulus.amplitude))
    return pulses


def calibrate_tissue(tissue: Tissue, dt: float, cell: FKParams) -> Tissue:
    """The tissue with D_num in place of D, along and across the fibers; warns where that is far from right."""
    grid = (tissue.live, tissue.dx, dt, cell)
    if tissue.fiber_angle is None or tissue.D_across is None:
        return replace(tissue, D=calibrate_diffusivity(tissue.D, *grid))
    D, D_across = calibrate_fibers(tissue.D, tissue.D_across, tissue.fiber_angle, *grid)
    if (error := worst_error(tissue, dt, cell)) is not None and abs(error) > FAR:
        came = "do not conduct at all" if error == -1 else f"are {abs(error):.0%} too {'fast' if error > 0 else 'slow'}"
        warnings.warn(f"fiber_angle: plane waves across such oblique fibers {came} on this grid", stacklevel=3)
    return replace(tissue, D=D, D_across=D_across)


def solve(
    tissue: Tissue, stimuli: Stimulus | Sequence[Stimulus], *, t_end: float, every: float = 1.0,
    cell: FKParams = FK_CAF, dt: float = 0.1, calibrated: bool = True, dtype: type = np.float32,
    stop_at_rest: bool = False, threads: int = 1,
) -> Iterator[State]:  # fmt: skip
    """The time loop as a generator, whose arguments are checked at once: the state at rest, then one `State` each ``every`` ms up to ``t_end``.

    The next step overwrites the arrays of a state: ``u = [state.u.copy() for state in solve(...)]`` keeps them.

    Args:
        tissue: sheet; its D is the physical diffusivity.
        stimuli: one or more, on the tissue's grid, each starting before t_end at a multiple of dt.
        t_end, every, dt: ms; t_end is a multiple of every, and every one of dt.
        cell: cell model.
        calibrated: use the D at which this grid conducts at the converged velocity (`calibrate_diffusivity`). Waves
            across fibers oblique to the grid are not reached: a warning gives the measured error beyond `FAR`.
        dtype: np.float32 or np.float64.
        stop_at_rest: end early, after all stimuli, as soon as every u is below `AT_REST`.
        threads: how many share the rows of the sheet, for one large sheet; the results are the same to the last bit.

    Yields:
        The state at t = 0, every, 2 every ...

    Raises:
        ValueError: dt over the limits of diffusion and of the fastest current of the cell; a time that is no multiple of
            dt; no stimulus or one on no live cell; D or a cell model that cannot be calibrated on this grid; no thread;
            an argument of another type.
        FloatingPointError: The solution left the finite numbers.

    Examples:
        >>> sheet = fe.healthy((4, 60), 0.5, D0=0.1)
        >>> run = solve(sheet, fe.edge_stimulus(sheet), t_end=30.0, every=10.0, calibrated=False)
        >>> [(state.t, bool(state.u[0, 15] > 0.5)) for state in run]
        [(0.0, False), (10.0, False), (20.0, True), (30.0, True)]
    """
    dtype, stimuli = check_arguments(tissue, cell, calibrated, dtype, stop_at_rest), list_stimuli(stimuli)
    dt = number("dt", dt, 0, LONGEST_TIME, unit="ms", above=True)
    n_every, n_end = count_steps(every, t_end, dt)
    threads = count("threads", threads, 1, MOST_THREADS)
    check_step(dt, stable_step(couplings(tissue), tissue.dx), cell)
    g = couplings(calibrate_tissue(tissue, dt, cell) if calibrated else tissue)
    check_step(dt, stable_step(g, tissue.dx), cell)
    pulses = make_pulses(stimuli, tissue.live, dt, float(t_end))
    states = march(g, tissue.dx, dt, constants(cell, dt, dtype), pulses, n_every, n_end, threads)
    return _until_rest(states, max(pulse.off for pulse in pulses) * dt) if stop_at_rest else states


def _until_rest(states: Iterator[State], last_off: float) -> Iterator[State]:
    """States up to the first at rest after ``last_off`` ms."""
    highest: Any = (0, 0)  # the cell that was it when all were last looked at: mostly it says enough
    for state in states:
        yield state
        if state.t >= last_off and state.u[highest] < AT_REST:
            highest = np.unravel_index(state.u.argmax(), state.u.shape)
            if state.u[highest] < AT_REST:
                return


def _pooled(u: np.ndarray, pool: int) -> np.ndarray:
    """The mean over each pixel, ``blocks(u, pool).mean((1, 3))`` to the last bit, in long loops in place of short ones."""
    if pool > 7:  # numpy adds runs of eight in pairs
        return blocks(u, pool).mean((1, 3))
    columns: Any = sum(blocks(u, pool)[..., j] for j in range(pool))
    rows: Any = sum(columns[:, j] for j in range(pool))
    return rows / u.dtype.type(pool**2)


def simulate(
    tissue: Tissue, stimuli: Stimulus | Sequence[Stimulus], *, t_end: float, electrodes: Electrodes | None = None,
    conductor: Disc | Sphere | None = None, frame_interval: float = 5.0, ecg_interval: float = 1.0, pool: int = 1,
    cell: FKParams = FK_CAF, dt: float = 0.1, calibrated: bool = True, dtype: type = np.float32,
    stop_at_rest: bool = False, threads: int = 1,
) -> xr.Dataset:  # fmt: skip
    """Run one tissue and keep what the data contract asks for.

    Args:
        tissue, stimuli, t_end, cell, dt, calibrated, dtype, stop_at_rest, threads: as `solve` takes them.
        electrodes: where phi_e is recorded, from the full grid and the physical D; None: nowhere.
        conductor: what the sheet lies in, see `torso`; None: an unbounded conductor.
        frame_interval, ecg_interval: ms between maps, and between samples of phi_e (divides the former, down to dt).
        pool: cells along each side of a map pixel, which is the plain mean over its cells, live or not.

    Returns:
        V_m (time, y_map, x_map) in mV; lat and recovery (y, x) in ms, of the first beat, from the full grid and every
        step, or NaN; D, conductive; with fibers D_across and fiber_angle; with electrodes phi_e (lead, time_ecg) and
        electrodes (lead, xyz). ``stop_at_rest`` shortens the time axes. With oblique fibers the attribute
        ``fiber_speed_error`` is the measured relative error of waves across them on this grid.

    Raises:
        ValueError: pool no divisor of the grid, intervals that do not divide, a conductor without electrodes, and what
            `solve`, the electrodes and the conductor refuse.
        FloatingPointError: The solution left the finite numbers.

    Examples:
        >>> sheet = fe.healthy((20, 60), 0.5, D0=0.13)
        >>> above = fe.center_electrode(sheet)
        >>> ds = simulate(sheet, fe.edge_stimulus(sheet), t_end=40.0, electrodes=above, pool=4, calibrated=False)
        >>> dict(ds.V_m.sizes), dict(ds.phi_e.sizes), ds.phi_e.attrs["units"]
        ({'time': 9, 'y_map': 5, 'x_map': 15}, {'lead': 1, 'time_ecg': 41}, 'mV mm ms-1')
    """
    dtype, stimuli = check_arguments(tissue, cell, calibrated, dtype, stop_at_rest), list_stimuli(stimuli)
    n_y, n_x = tissue.D.shape
    if electrodes is not None:
        instance("electrodes", electrodes, Electrodes, "such as center_electrode gives")
    if electrodes is None and conductor is not None:
        raise ValueError("conductor: expected electrodes to read it at, got none")
    blocks(tissue.D, pool)  # refuses what does not fit
    t_end, dt, frame_interval, ecg_interval = (
        number(name, time, 0, LONGEST_TIME, unit="ms", above=True)
        for name, time in (
            ("t_end", t_end), ("dt", dt), ("frame_interval", frame_interval), ("ecg_interval", ecg_interval)
        )
    )  # fmt: skip
    per_frame = whole_steps("frame_interval", frame_interval, ecg_interval, "ecg_interval") if electrodes else 1
    whole_steps("t_end", t_end, frame_interval, "frame_interval")
    every, field = frame_interval, np.zeros((0, n_y * n_x))
    if electrodes:
        every, field = ecg_interval, lead_field(tissue, electrodes, conductor).reshape(-1, n_y * n_x)
        field *= V_SPAN
    frames, phi_e, block = [], [], np.zeros((ECG_BLOCK, n_y, n_x))
    started = spoke = monotonic()
    run: dict[str, Any] = dict(cell=cell, dt=dt, calibrated=calibrated, dtype=dtype, stop_at_rest=stop_at_rest)
    run["threads"] = threads
    for n, state in enumerate(solve(tissue, stimuli, t_end=t_end, every=every, **run)):
        if electrodes:
            block[n % ECG_BLOCK] = state.u
            if n % ECG_BLOCK == ECG_BLOCK - 1:
                phi_e.append(field @ block.reshape(ECG_BLOCK, -1).T)
        if monotonic() - spoke > PROGRESS_S and 0 < state.t < t_end:
            spoke = monotonic()
            left = (spoke - started) * (t_end / state.t - 1)
            progress(f"simulate: {state.t:.0f} of {t_end:g} ms, at most {left:.0f} s left")
        if n % per_frame == 0:
            frames.append(_pooled(state.u, pool))
    ds = xr.Dataset(
        {
            "V_m": as_variable("V_m", to_mV(np.array(frames))),
            "lat": as_variable("lat", np.where(state.lat < 0, np.nan, state.lat)),
            "recovery": as_variable("recovery", np.where(state.recovery < 0, np.nan, state.recovery)),
            "D": as_variable("D", tissue.D.copy()),
            "conductive": as_variable("conductive", tissue.conductive.copy()),
        },
        coords={"time": as_variable("time", np.arange(len(frames)) * frame_interval)},
        attrs={
            "dx": tissue.dx, "dx_map": tissue.dx * pool, "dt": dt,
            "condition": tissue.condition, "texture": tissue.texture,
            "stimuli": str([(s.start, s.duration, s.amplitude, int(s.mask.sum())) for s in stimuli]),  # ms, 1/ms, cells
            "calibrated": int(calibrated), "precision": np.dtype(dtype).name, "cell": str(asdict(cell)),
            "seed": -1 if tissue.seed is None else tissue.seed, "forwardecg": __version__,
        },
    )  # fmt: skip
    for name in ("D_across", "fiber_angle") if tissue.fiber_angle is not None else ():
        ds[name] = as_variable(name, getattr(tissue, name).copy())
    if calibrated and (error := worst_error(tissue, dt, cell)) is not None:
        ds.attrs["fiber_speed_error"] = round(error, 3)
    if electrodes:
        rest = block[: (n + 1) % ECG_BLOCK].reshape(-1, n_y * n_x)
        phi_e += [field @ rest[first : first + LAST].T for first in range(0, len(rest), LAST)]
        ds = ds.assign_coords(lead=list(electrodes.names), xyz=list("xyz"))
        ds["phi_e"] = (("lead", "time_ecg"), np.concatenate(phi_e, axis=1), phi_e_attrs(conductor))
        ds["electrodes"] = as_variable("electrodes", electrodes.positions.copy())
        ds = ds.assign_coords(time_ecg=as_variable("time_ecg", np.arange(ds.sizes["time_ecg"]) * ecg_interval))
    return ds
