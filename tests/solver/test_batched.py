"""The batched solver: the kernel's states, sheet by sheet, and gradients that finite differences confirm."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from forwardecg.solver.batched import solve_batch
from forwardecg.solver.simulation import solve
from forwardecg.tissue.cell import FK_CAF, FK_MBR
from forwardecg.tissue.sheet import Tissue, healthy, with_fibers
from forwardecg.tissue.stimulus import Stimulus, edge_stimulus, focal_stimulus

SHEET = healthy((4, 40), 0.5, 0.13)
WIDE = healthy((30, 40), 0.5, 0.1)


def scarred(seed: int, shape: tuple[int, int] = (30, 40)) -> Tissue:
    """A sheet with a tenth of its cells dead and a smooth D."""
    rng = np.random.default_rng(seed)
    D = 0.08 + 0.06 * np.outer(np.linspace(0, 1, shape[0]), np.linspace(1, 0, shape[1]))
    return Tissue(D=D, conductive=rng.random(shape) > 0.1, dx=0.5)


def last_of(states):
    *_, last = states
    return last


def kernel(tissue, stimuli, precision="float32", **given):
    """The kernel's last state, in copies."""
    state = last_of(solve(tissue, stimuli, dtype=getattr(np, precision), **given))
    return {name: torch.from_numpy(getattr(state, name).copy()) for name in ("u", "v", "w", "lat", "recovery")}


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_fifty_steps_are_the_kernel_s_to_round_off(precision):
    tissues = [scarred(1), scarred(2)]
    stimuli = [
        [edge_stimulus(tissues[0])],
        [focal_stimulus(tissues[1], x=8.0, y=7.0), edge_stimulus(tissues[1], start=1.5)],
    ]
    state = last_of(solve_batch(tissues, stimuli, t_end=5.0, precision=precision))
    bound = {"float32": 2e-5, "float64": 2e-7}[precision]  # the kernel may reorder its sums, and has another exp
    for k, tissue in enumerate(tissues):
        one = kernel(tissue, stimuli[k], precision, t_end=5.0)
        for name in ("u", "v", "w"):
            assert (getattr(state, name)[k] - one[name]).abs().max() < bound, name


@pytest.mark.parametrize("cell", [FK_CAF, FK_MBR], ids=lambda cell: cell.name)
def test_a_beat_arrives_and_ends_when_the_kernel_says(cell):
    tissue = scarred(3)
    stimulus = edge_stimulus(tissue)
    state = last_of(solve_batch([tissue], [stimulus], t_end=300.0, every=100.0, cell=cell))
    one = kernel(tissue, stimulus, t_end=300.0, every=100.0, cell=cell)
    live = torch.from_numpy(tissue.live)
    assert (one["lat"][live] >= 0).any() and torch.equal(one["lat"] >= 0, state.lat[0] >= 0)
    assert (one["lat"] - state.lat[0]).abs().max() < 0.05
    both = (one["recovery"] >= 0) & (state.recovery[0] >= 0)
    assert both.sum() > 0.9 * live.sum() and (one["recovery"] - state.recovery[0])[both].abs().max() < 0.2


def test_a_sheet_does_not_feel_the_others_of_its_batch():
    tissues = [scarred(1), scarred(2), WIDE]
    stimuli = [edge_stimulus(one, side) for one, side in zip(tissues, ("left", "top", "right"), strict=True)]
    together = last_of(solve_batch(tissues, stimuli, t_end=20.0, every=10.0))
    alone = last_of(solve_batch(tissues[1:2], stimuli[1:2], t_end=20.0, every=10.0))
    torch.testing.assert_close(together.u[1], alone.u[0], rtol=0, atol=1e-6)
    torch.testing.assert_close(together.lat[1], alone.lat[0], rtol=0, atol=1e-3)


def test_states_are_not_overwritten():
    states = [*solve_batch([SHEET], [edge_stimulus(SHEET)], t_end=10.0, every=2.0)]
    assert [state.t for state in states] == pytest.approx([0, 2, 4, 6, 8, 10])
    assert states[0].u.abs().max() == 0 and not torch.equal(states[1].u, states[2].u)


def test_sampling_does_not_change_the_solution():
    stimulus = edge_stimulus(SHEET, start=3.3)
    coarse, fine = (last_of(solve_batch([SHEET], [stimulus], t_end=18.0, every=every)) for every in (18.0, 0.3))
    assert torch.equal(coarse.u, fine.u) and torch.equal(coarse.lat, fine.lat)


def arrival(node: int = 30, **given) -> torch.Tensor:
    """When the wave of an edge passes a node of a healthy sheet, ms."""
    ramps = {"precision": "float64", "smooth": 0.4, "dt": 0.05}
    state = last_of(solve_batch([SHEET], [edge_stimulus(SHEET)], t_end=30.0, every=30.0, **ramps, **given))
    assert state.lat[0, 2, node] > 0
    return state.lat[0, 2, node]


def central(function, x: float, step: float) -> float:
    return float(function(x + step) - function(x - step)) / (2 * step)


def test_the_gradient_in_the_diffusivity_is_that_of_differences():
    """Of the whole sheet's D, with the slope of the calibration in it; a part of it, of half the sheet."""
    D = torch.full((1, 4, 40), 0.13, dtype=torch.float64, requires_grad=True)
    arrival(D=D).backward()
    left = torch.zeros(1, 4, 40, dtype=torch.float64)
    left[..., :15] = 1
    for part in (torch.ones_like(left), left):
        slope = central(lambda x, part=part: arrival(D=0.13 + part * x), 0.0, 1e-3)
        assert float((D.grad * part).sum()) == pytest.approx(slope, rel=0.01)
    sharp = central(
        lambda x: kernel(replace(SHEET, D=SHEET.D + x), edge_stimulus(SHEET), t_end=40.0)["lat"][2, 30], 0.0, 5e-3
    )
    assert float(D.grad.sum()) == pytest.approx(sharp, rel=0.05), "and not far from that of the kernel, without ramps"


def test_gradients_in_the_cell_and_in_the_stimulus_are_those_of_differences():
    for name, value, step in (("tau_d", FK_CAF.tau_d, 1e-4), ("tau_0", FK_CAF.tau_0, 0.1), ("u_c", FK_CAF.u_c, 1e-3)):
        x = torch.tensor(value, dtype=torch.float64, requires_grad=True)
        arrival(parameters={name: x}).backward()

        def at(x: float, name: str = name) -> torch.Tensor:
            return arrival(parameters={name: torch.tensor(x, dtype=torch.float64)})

        assert float(x.grad) == pytest.approx(central(at, value, step), rel=0.01), name
    amplitude = torch.tensor([0.3], dtype=torch.float64, requires_grad=True)
    arrival(10, amplitude=amplitude).backward()
    slope = central(lambda x: arrival(10, amplitude=torch.tensor([x], dtype=torch.float64)), 0.3, 2e-3)
    assert float(amplitude.grad) == pytest.approx(slope, rel=0.01)


def test_the_ramps_vanish_with_their_width():
    """At no width the model is the kernel's; a narrower ramp is nearer to it."""
    exact = kernel(SHEET, edge_stimulus(SHEET), "float64", t_end=40.0, every=40.0)["lat"][2, 30]
    late = []
    for smooth in (0.6, 0.4, 0.2):
        state = last_of(
            solve_batch([SHEET], [edge_stimulus(SHEET)], t_end=40.0, every=40.0, precision="float64", smooth=smooth)
        )
        late.append(abs(float(state.lat[0, 2, 30] - exact)))
    assert late[0] > late[1] > late[2] and late[0] < 1


def test_what_is_dead_has_no_gradient():
    tissue = scarred(5, (4, 40))
    D = torch.from_numpy(np.where(tissue.live, 0.12, 0.0))[None].requires_grad_()
    state = last_of(solve_batch([tissue], [edge_stimulus(tissue)], t_end=40.0, every=40.0, D=D, smooth=0.4))
    state.lat[state.lat > 0].sum().backward()
    assert D.grad.isfinite().all() and (D.grad[0][~torch.from_numpy(tissue.live)] == 0).all()
    assert (D.grad[0][torch.from_numpy(tissue.live)] != 0).any()


@pytest.mark.slow
def test_compiled_it_is_the_same():
    if " " in torch.__file__:
        pytest.skip("torch.compile cannot link against libraries in a path with a space")
    if not (shutil.which("g++") or shutil.which("c++")):
        pytest.skip("no C++ compiler")
    given = {"t_end": 20.0, "every": 10.0}
    one, same = (last_of(solve_batch([SHEET], [edge_stimulus(SHEET)], **given, compiled=on)) for on in (False, True))
    torch.testing.assert_close(one.u, same.u, rtol=0, atol=2e-5)
    torch.testing.assert_close(one.lat, same.lat, rtol=0, atol=2e-3)


def wrong(**change):
    given = {"tissues": [SHEET], "stimuli": [edge_stimulus(SHEET)], "t_end": 2.0} | change
    return lambda: solve_batch(given.pop("tissues"), given.pop("stimuli"), **given)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (wrong(tissues=[]), "tissues: expected at least one Tissue"),
        (wrong(tissues=SHEET), "tissues: expected list or tuple"),
        (wrong(tissues=[with_fibers(SHEET, 0.3, 4.0)]), "tissues: expected sheets without fibers"),
        (
            wrong(tissues=[SHEET, healthy((4, 41), 0.5, 0.13)], stimuli=[0, 0]),
            "tissues: expected sheets of one shape and dx",
        ),
        (wrong(stimuli=[]), "stimuli: expected one entry for each of 1 tissues, got 0"),
        (wrong(stimuli=[Stimulus(mask=np.ones((2, 2), bool))]), "stimulus mask: expected shape"),
        (wrong(D=torch.ones(4, 40)), r"D: expected a tensor of shape \(1, 4, 40\), got \(4, 40\)"),
        (wrong(D=torch.zeros(1, 4, 40)), "D: expected values above 0"),
        (wrong(D=torch.full((1, 4, 40), torch.nan)), "D: expected finite values"),
        (wrong(amplitude=0.3), r"amplitude: expected a tensor of shape \(1,\), got float"),
        (wrong(parameters={"tau": torch.tensor(1.0)}), "parameters: expected one of"),
        (wrong(precision="float16"), "precision: expected one of"),
        (wrong(device="tpu"), "device: expected one that this torch has, such as 'cpu', got 'tpu'"),
        (wrong(device="cuda:99"), "device: expected one that this torch has"),
        (wrong(device=None), "device: expected one that this torch has"),
        (wrong(smooth=1.5), "smooth: expected"),
        (wrong(dt=1.0, every=1.0), "dt: expected at most"),
        (wrong(t_end=2.05), "t_end: expected a positive multiple"),
    ],
)
def test_a_wrong_argument_is_named_before_the_first_step(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_blow_up_is_no_result():
    with pytest.raises(FloatingPointError, match="u: expected finite values"):
        [*solve_batch([SHEET], [edge_stimulus(SHEET)], t_end=4.0, amplitude=torch.tensor([3e38]))]
