"""The monodomain equation for a batch of sheets in torch: the kernel's arithmetic on any device, with gradients.

The same cell, stencil, calibration and stimulus as `kernel`; a gradient goes through windows of steps that are computed again.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad
from torch.utils.checkpoint import checkpoint

from forwardecg.contract import flag, instance, number, one_of
from forwardecg.solver.calibration import calibrate_diffusivity, check_step
from forwardecg.solver.kernel import RECOVERED, RECOVERY_STEPS
from forwardecg.solver.simulation import count_steps, list_stimuli, make_pulses
from forwardecg.tissue.cell import FK_CAF, FKParams
from forwardecg.tissue.diffusion import stability_limit
from forwardecg.tissue.sheet import Tissue
from forwardecg.tissue.stimulus import Stimulus

WINDOW = 50  # steps of a window, which a gradient computes again
NUDGE = 1e-4  # share of D by which the slope of the calibration is taken
PARAMETERS = tuple(name for name in FKParams.__dataclass_fields__ if name not in ("name", "source"))


class BatchState(NamedTuple):
    """A batch of sheets at time t: new tensors (batch, y, x), which no later step changes."""

    t: float  # ms
    u: Tensor  # voltage, 0 at rest and 1 at the peak
    v: Tensor  # fast gate
    w: Tensor  # slow gate
    lat: Tensor  # ms, first upward crossing of u = 1/2, linear between steps; negative until then
    recovery: Tensor  # ms, first fall below u = 0.1 after it; negative until then


class _Sheets(NamedTuple):
    """What a step needs: couplings times dt / dx^2 across inner faces, and the constants of the cell."""

    g_x: Tensor  # (batch, y, x - 1)
    g_y: Tensor  # (batch, y - 1, x)
    cell: dict[str, Tensor]
    dt: float
    smooth: float


def solve_batch(
    tissues: Sequence[Tissue], stimuli: Sequence[Stimulus | Sequence[Stimulus]], *, t_end: float, every: float = 1.0,
    cell: FKParams = FK_CAF, dt: float = 0.1, calibrated: bool = True, precision: str = "float32", device: str = "cpu",
    D: Tensor | None = None, amplitude: Tensor | None = None, parameters: Mapping[str, Tensor] | None = None,
    smooth: float = 0.0, compiled: bool = False,
) -> Iterator[BatchState]:  # fmt: skip
    """The states of several sheets of one size, computed together: the state at rest, then one each ``every`` ms up to ``t_end``.

        du/dt = div(D grad u) - (J_fi + J_so + J_si) + I_stim

    Gradients: give ``D``, ``amplitude`` or ``parameters`` as tensors that ask for one, and differentiate anything that
    is computed from the states, such as ``lat`` where it is above 0. The thresholds u_c and u_v of the cell are jumps: the
    exact derivative of a step is that of a stair, and of no use. With ``smooth`` they are ramps. Then the derivative of an
    activation time keeps to a difference within 1 % at dt = 0.05 ms; longer steps scatter more.

    Args:
        tissues: sheets without fibers, of one shape and dx.
        stimuli: for each tissue one or more.
        t_end, every, dt: ms, as in `solve`.
        cell: cell model of all sheets.
        calibrated: D is the physical diffusivity; False: that of the grid.
        precision: float32 or float64.
        device: "cpu", or another one of torch, such as "cuda", on which this was not tested.
        D: (batch, y, x), mm^2/ms, in place of that of the tissues; counted where a cell is live.
        amplitude: (batch,), 1/ms, in place of that of all stimuli of a tissue.
        parameters: scalars in place of fields of ``cell``, by name.
        smooth: half the width of the ramps over the threshold, 0 to 1; 0.4 for gradients. Above 0 waves are slightly slower.
        compiled: by ``torch.compile``, which needs a C++ compiler and a minute at first.

    Yields:
        state: `BatchState`, tensors (batch, y, x).

    Raises:
        ValueError: At once, for a wrong argument: see `solve`; fibers; tensors of another shape.
        FloatingPointError: A state that is no longer finite.

    Examples:
        >>> from forwardecg.tissue.sheet import healthy
        >>> from forwardecg.tissue.stimulus import edge_stimulus
        >>> sheet = healthy((4, 40), 0.5, 0.13)
        >>> D = torch.full((1, 4, 40), 0.13, requires_grad=True)
        >>> *_, last = solve_batch([sheet], [edge_stimulus(sheet)], t_end=30.0, every=10.0, D=D, smooth=0.4)
        >>> last.lat[0, 2, 30].backward()
        >>> bool(D.grad.sum() < 0)  # the better the sheet conducts, the earlier the wave
        True
    """
    tissues = _check_tissues(tissues)
    live = np.stack([tissue.live for tissue in tissues])
    if len(stimuli := instance("stimuli", stimuli, (list, tuple))) != len(tissues):
        raise ValueError(f"stimuli: expected one entry for each of {len(tissues)} tissues, got {len(stimuli)}")
    instance("cell", cell, FKParams, "such as FK_CAF")
    dt, smooth = number("dt", dt, 0, 1e6, unit="ms", above=True), number("smooth", smooth, 0, 1)
    n_every, n_end = count_steps(every, t_end, dt)
    kind = getattr(torch, one_of("precision", precision, ("float32", "float64")))
    dx = tissues[0].dx
    tensors = {"D": (D, live.shape), "amplitude": (amplitude, live.shape[:1])}
    tensors |= {f"parameters[{name}]": (value, ()) for name, value in (parameters or {}).items()}
    for name, (value, shape) in tensors.items():
        if value is not None and (not isinstance(value, Tensor) or tuple(value.shape) != tuple(shape)):
            came = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
            raise ValueError(f"{name}: expected a tensor of shape {tuple(shape)}, got {came}")
        if value is not None and not bool(value.isfinite().all()):
            raise ValueError(f"{name}: expected finite values, got NaN or infinite ones")
    for name in parameters or {}:
        one_of("parameters", name, PARAMETERS)
    if D is None:
        D = torch.from_numpy(np.stack([tissue.D for tissue in tissues]))
    on = torch.from_numpy(live).to(D.device)
    if not bool((D[on] > 0).all()):
        raise ValueError("D: expected values above 0 mm^2/ms in live cells, got others")
    pulses = [
        make_pulses(list_stimuli(given), one.live, dt, n_end * dt) for one, given in zip(tissues, stimuli, strict=True)
    ]
    on_grid = _calibrate(D, live, dx, dt, cell) if flag("calibrated", calibrated) else D
    check_step(dt, stability_limit(float(on_grid.detach()[on].max()), dx), cell)
    place = {"dtype": kind, "device": _find_device(device)}
    g_x, g_y = ((g * dt / dx**2).to(**place) for g in _couplings(on_grid, on))
    values = {name: torch.as_tensor((parameters or {}).get(name, getattr(cell, name)), **place) for name in PARAMETERS}
    sheets = _Sheets(g_x, g_y, values, dt, smooth)
    sources = {  # by the steps between which they are on: du of a step, (batch, y, x)
        (pulse.on, pulse.off): torch.zeros(live.shape, **place) for of in pulses for pulse in of
    }
    for k, of in enumerate(pulses):
        for pulse in of:
            du = pulse.du if amplitude is None else dt * amplitude[k].to(**place)
            mask = torch.zeros(live.shape, **place)
            mask[k] = torch.from_numpy(pulse.cells)
            sources[pulse.on, pulse.off] = sources[pulse.on, pulse.off] + mask * du
    return _march(sheets, sources, live.shape, n_every, n_end, flag("compiled", compiled))


def _check_tissues(tissues: Sequence[Tissue]) -> list[Tissue]:
    listed = [instance("tissues", one, Tissue) for one in instance("tissues", tissues, (list, tuple))]
    if not listed:
        raise ValueError("tissues: expected at least one Tissue, got none")
    if any(one.fiber_angle is not None for one in listed):
        raise ValueError("tissues: expected sheets without fibers, got some with fiber_angle")
    kinds = {(one.D.shape, one.dx) for one in listed}
    if len(kinds) > 1:
        raise ValueError(f"tissues: expected sheets of one shape and dx, got {sorted(kinds)}")
    return listed


def _find_device(name: str) -> torch.device:
    """The device of that name, if this torch can put a tensor on it."""
    try:
        return torch.empty(0, device=torch.device(name)).device
    except (RuntimeError, AssertionError, TypeError):
        raise ValueError(f"device: expected one that this torch has, such as 'cpu', got {name!r}") from None


def _calibrate(D: Tensor, live: np.ndarray, dx: float, dt: float, cell: FKParams) -> Tensor:
    """D_num of D, with the slope of the calibration as its derivative."""
    exact = D.detach().cpu().double().numpy()

    def look_up(factor: float) -> np.ndarray:
        return np.stack(
            [calibrate_diffusivity(factor * one, on, dx, dt, cell) for one, on in zip(exact, live, strict=True)]
        )

    D_num = torch.from_numpy(look_up(1.0)).to(D.device)
    if not D.requires_grad:
        return D_num
    with np.errstate(invalid="ignore", divide="ignore"):
        slope = np.where(live, (look_up(1 + NUDGE) - look_up(1 - NUDGE)) / (2 * NUDGE * exact), 0.0)
    change = D - D.detach()  # zero, but its derivative is not
    return D_num + torch.from_numpy(slope).to(D.device) * change


def _couplings(D: Tensor, live: Tensor) -> tuple[Tensor, Tensor]:
    """Harmonic means of D across the inner faces between live cells, as `diffusion.face_diffusivity`."""
    D = torch.where(live, D.double(), 1.0)

    def harmonic(a: Tensor, b: Tensor, both: Tensor) -> Tensor:
        return torch.where(both, 2 * a * b / (a + b), 0.0)

    along_x = harmonic(D[..., :-1], D[..., 1:], live[..., :-1] & live[..., 1:])
    return along_x, harmonic(D[..., :-1, :], D[..., 1:, :], live[..., :-1, :] & live[..., 1:, :])


def _above(u: Tensor, threshold: Tensor, smooth: float) -> Tensor:
    """1 where u is at the threshold or above it, else 0; if ``smooth``, a ramp with two continuous derivatives."""
    if not smooth:
        return (u >= threshold).to(u.dtype)
    x = ((u - threshold) / (2 * smooth * threshold + 1e-12) + 0.5).clamp(0, 1)  # a threshold may be 0
    return x**3 * (10 - 15 * x + 6 * x**2)


def _step(u: Tensor, v: Tensor, w: Tensor, sheets: _Sheets) -> tuple[Tensor, Tensor, Tensor]:
    """One time step of all cells, `kernel._react` on tensors, without the stimulus."""
    c, dt = sheets.cell, sheets.dt
    flux_x, flux_y = sheets.g_x * (u[..., 1:] - u[..., :-1]), sheets.g_y * (u[..., 1:, :] - u[..., :-1, :])
    diffusion = pad(flux_x, (0, 1)) - pad(flux_x, (1, 0)) + (pad(flux_y, (0, 0, 0, 1)) - pad(flux_y, (0, 0, 1, 0)))
    p, q = _above(u, c["u_c"], sheets.smooth), _above(u, c["u_v"], sheets.smooth)
    y = c["k"] / 8 * (c["u_c_si"] - u)
    e = (1 + y * (1 + y * (1 / 2 + y * (1 / 6 + y * (1 / 24))))) ** 16
    rate_si = torch.where(u == 0, 0.0, dt / c["tau_si"] / (1 + e))
    J_fi = -v * p * (dt / c["tau_d"]) * (1 - u) * (u - c["u_c"])
    J_so = (1 - p) * u * (dt / c["tau_0"]) + p * (dt / c["tau_r"])
    J_si = -w * rate_si
    opened = (1 - q) * torch.exp(-dt / c["tau_v_minus_low"]) + q * torch.exp(-dt / c["tau_v_minus_high"])
    decay_w = torch.exp(-dt / c["tau_w_minus"])
    v_new = p * v * torch.exp(-dt / c["tau_v_plus"]) + (1 - p) * (v * opened + (1 - opened))
    w_new = p * w * torch.exp(-dt / c["tau_w_plus"]) + (1 - p) * (w * decay_w + (1 - decay_w))
    return u + diffusion - (J_fi + J_so + J_si), v_new, w_new


def _ratio(a: Tensor, b: Tensor, where: Tensor) -> Tensor:
    """a / b where it is asked for, 0 elsewhere, and no NaN in its gradient."""
    return torch.where(where, a / torch.where(where, b, 1.0), 0.0)


def _step_and_record(
    step: Tensor, look: bool, sheets: _Sheets, du: Tensor | None, *state: Tensor
) -> tuple[Tensor, ...]:
    """Step number ``step`` of u, v, w, lat, recovery; cells are looked at for recovery if ``look``."""
    u, v, w, lat, recovery = state
    new, v, w = _step(u, v, w, sheets)
    crossed = (u < 0.5) & (new >= 0.5) & (lat < 0)
    lat = torch.where(crossed, sheets.dt * (step + _ratio(0.5 - u, new - u, crossed)), lat)
    if du is not None:
        before, new = new, new + du
        lat = torch.where((before < 0.5) & (new >= 0.5) & (lat < 0), sheets.dt * (step + 1), lat)
    if look:
        fell = (lat >= 0) & (recovery < 0) & (new < RECOVERED) & (new < u)
        back = sheets.dt * (step + 1 - _ratio(RECOVERED - new, u - new, fell))
        recovery = torch.where(fell, back, recovery)
    return new, v, w, lat, recovery


def _march(
    sheets: _Sheets, sources: dict[tuple[int, int], Tensor], shape: tuple[int, ...], n_every: int, n_end: int, compiled: bool
) -> Iterator[BatchState]:  # fmt: skip
    """The states, one each ``n_every`` steps; windows end where a stimulus begins or ends."""
    state = tuple(sheets.g_x.new_full(shape, fill) for fill in (0.0, 1.0, 1.0, -1.0, -1.0))
    yield BatchState(0.0, *state)
    one = torch.compile(_step_and_record) if compiled else _step_and_record

    def advance(first: int, stop: int, du: Tensor | None, *state: Tensor) -> tuple[Tensor, ...]:
        for step in range(first, stop):
            # as a tensor: a compiled function would take each number for another program
            state = one(torch.tensor(float(step)), (step + 1) % RECOVERY_STEPS == 0, sheets, du, *state)
        return state

    tracked = any(z.requires_grad for z in (sheets.g_x, *sheets.cell.values(), *sources.values()))
    switches = {step for pair in sources for step in pair}
    for sample in range(n_every, n_end + 1, n_every):
        first = sample - n_every
        while first < sample:
            stop = min([sample, first + WINDOW, *(step for step in switches if step > first)])
            active = [du for (on, off), du in sources.items() if on <= first < off]
            du = torch.stack(active).sum(0) if active else None
            window = partial(advance, first, stop, du)
            state = checkpoint(window, *state, use_reentrant=False) if tracked else window(*state)
            first = stop
        t = sample * sheets.dt
        if not bool(state[0].isfinite().all()):
            raise FloatingPointError(
                f"u: expected finite values, got a blow-up before t = {t:g} ms (dt {sheets.dt} ms)"
            )
        yield BatchState(t, *state)
