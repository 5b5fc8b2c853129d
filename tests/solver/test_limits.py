"""What the solver does not do: a step too long for diffusion or for the cell, fibers out of reach, other types."""

import ast
from dataclasses import asdict, replace

import numpy as np
import pytest

from forwardecg.ecg.electrodes import center_electrode
from forwardecg.ecg.torso import Disc
from forwardecg.solver import calibration, fibers
from forwardecg.solver.calibration import TIME_CONSTANTS, cable_cv, calibrate_diffusivity, calibration_table
from forwardecg.solver.simulation import simulate, solve
from forwardecg.tissue.cell import FK_CAF, FK_GP, FK_SETS
from forwardecg.tissue.sheet import healthy, with_fibers
from forwardecg.tissue.stimulus import burst, edge_stimulus

SHEET = healthy((3, 40), 1.0, 0.13)
EDGE = edge_stimulus(SHEET)


@pytest.mark.parametrize(("dx", "dt"), [(1.0, 0.5), (2.0, 1.0), (1.0, 0.251)])
@pytest.mark.parametrize("calibrated", [True, False])
def test_a_step_within_diffusion_but_beyond_the_reaction_is_refused(dx, dt, calibrated):
    """It overshot: a peak of 39.5 mV at dx 1, dt 0.5, where 14.8 mV are right, at the right velocity."""
    sheet = healthy((3, 40), dx, 0.13)
    run = dict(t_end=60 * dt, frame_interval=dt, dt=dt, calibrated=calibrated, dtype=np.float64)
    with pytest.raises(ValueError, match="^dt: expected at most 0.25 ms .* for the currents of FK-CAF"):
        simulate(sheet, edge_stimulus(sheet, duration=2 * dt), **run)


def test_the_longest_step_keeps_peak_and_duration_of_the_action_potential():
    """At dt = 2 tau_d as at dt = 0.1 ms, 25 mm from the stimulus: 14.8 mV and 107 ms."""

    def beat(dt):
        states = solve(SHEET, EDGE, t_end=200.0, every=0.5, dt=dt, calibrated=False, dtype=np.float64)
        u = np.array([state.u[1, 25] for state in states])
        return -85 + 100 * u.max(), 0.5 * np.count_nonzero(u > 0.1)

    (peak, duration), right = beat(TIME_CONSTANTS * FK_CAF.tau_d), beat(0.1)
    assert right == (pytest.approx(14.8, abs=0.5), pytest.approx(107, abs=2))
    assert peak == pytest.approx(right[0], abs=3) and duration == pytest.approx(right[1], abs=5)


@pytest.mark.parametrize("dx", [0.2, 0.01])
@pytest.mark.parametrize("calibrated", [True, False])
def test_a_grid_too_fine_for_the_step_is_refused_by_the_step_and_its_limit(dx, calibrated):
    sheet = healthy((40, 40), dx, 0.13)
    with pytest.raises(ValueError, match=f"^dt: expected at most {dx**2 / (4 * 0.13):.4g} ms .* for diffusion"):
        simulate(sheet, edge_stimulus(sheet), t_end=5.0, calibrated=calibrated)


def test_every_way_to_the_solver_has_the_same_limits():
    one, live = np.full((1, 1), 0.1), np.ones((1, 1), bool)
    for call in (
        lambda: cable_cv(0.1, 1.0, 0.5),
        lambda: cable_cv(0.1, 0.01, 0.1),
        lambda: calibration_table(1.0, 0.5, FK_CAF),
        lambda: calibrate_diffusivity(one, live, 1.0, 0.3, FK_GP),
        lambda: calibrate_diffusivity(one, live, 0.01, 0.1),
    ):
        with pytest.raises(ValueError, match="^dt: expected at most"):
            call()
    assert all(0.2 < TIME_CONSTANTS * cell.tau_d <= 0.5 for cell in FK_SETS)


def test_a_velocity_that_falls_with_the_diffusivity_is_called_so(monkeypatch):
    monkeypatch.setattr(calibration, "cable_cv", lambda D, dx, dt, cell: np.sin(20 * D) + 2)
    monkeypatch.setattr(calibration, "converged_cv", lambda cell: 1.0)
    calibration_table.cache_clear()
    with pytest.raises(ValueError, match="^dt: expected a step at which .* faster the larger D, .* is not monotone"):
        calibration_table(0.7, 0.1, FK_CAF)


def test_fibers_out_of_reach_of_the_calibration_are_warned_of_and_marked_with_what_was_measured():
    """9 to 1 at 45 degrees: a plane wave across is a third too fast. 4 to 1 is within 15 %, on an axis within 1 %."""
    sheet = healthy((12, 40), 0.5, 0.16)
    run = dict(t_end=5.0)
    with pytest.warns(UserWarning, match=r"fiber_angle: .* across such oblique fibers are 3\d% too fast"):
        ds = simulate(with_fibers(sheet, np.pi / 4, 9.0), edge_stimulus(sheet), **run)
    assert ds.fiber_speed_error == pytest.approx(0.364, abs=0.03)
    near = simulate(with_fibers(sheet, np.pi / 4, 4.0), edge_stimulus(sheet), **run)
    assert near.fiber_speed_error == pytest.approx(0.062, abs=0.03)
    for fine in (with_fibers(sheet, np.pi / 2, 9.0), with_fibers(sheet, 0.3, 1.0), sheet):
        assert "fiber_speed_error" not in simulate(fine, edge_stimulus(sheet), **run).attrs


def test_the_angle_to_the_grid_is_that_to_its_nearest_axis_and_turning_fibers_are_asked_for_their_worst(monkeypatch):
    asked = []
    monkeypatch.setattr(fibers, "speed_error", lambda D, ratio, angle, *grid: asked.append(np.degrees(angle)) or -angle)
    sheet = healthy((4, 91), 0.5, 0.16)
    for degrees in (30.0, 60.0, 120.0, -30.0, 210.0):
        fibers.worst_error(with_fibers(sheet, np.radians(degrees), 4.0), 0.1, FK_CAF)
    assert np.allclose(asked, 30)
    turning = with_fibers(sheet, np.radians(np.arange(91.0)) + np.zeros((4, 1)), 4.0)
    assert fibers.worst_error(turning, 0.1, FK_CAF) == pytest.approx(-np.pi / 4)


def test_stimuli_and_cell_are_read_back_from_the_attributes():
    """Whatever the numbers came from: plain floats in plain text."""
    beats = [edge_stimulus(SHEET, start=start, amplitude=np.float32(0.5)) for start in np.arange(0, 20.0, 10.0)]
    cell = replace(FK_CAF, tau_d=np.float64(0.13), k=np.int64(10))
    ds = simulate(SHEET, beats, t_end=20.0, calibrated=False, cell=cell)
    assert ast.literal_eval(ds.stimuli) == [(0.0, 2.0, 0.5, 6), (10.0, 2.0, 0.5, 6)]
    assert ast.literal_eval(ds.cell) == asdict(cell)


def test_numbers_of_any_kind_give_the_same_run():
    run = dict(t_end=4.0, calibrated=False, frame_interval=2.0, pool=1, dt=0.1)
    of_numpy = dict(t_end=np.int64(4), calibrated=np.True_, frame_interval=np.array(2), pool=np.int64(1), dt=0.1)
    of_numpy["calibrated"] = np.False_
    of_numpy["dtype"] = "float32"
    assert simulate(SHEET, EDGE, **run).identical(simulate(SHEET, (EDGE,), **of_numpy))


def test_a_result_may_be_written_to_and_the_tissue_stays():
    ds = simulate(SHEET, EDGE, t_end=1.0, frame_interval=1.0, electrodes=center_electrode(SHEET), calibrated=False)
    for name in ("D", "conductive", "electrodes", "V_m"):
        ds[name].values[:] = 0
    assert SHEET.D.min() == 0.13 and SHEET.conductive.all()


RUN = dict(t_end=5.0)
REFUSED = {
    "no tissue": (lambda: simulate(None, EDGE, **RUN), "tissue"),
    "no stimulus in a list": (lambda: simulate(SHEET, [None], **RUN), "stimuli"),
    "no stimuli": (lambda: simulate(SHEET, None, **RUN), "stimuli"),
    "text for stimuli": (lambda: simulate(SHEET, "left", **RUN), "stimuli"),
    "text for t_end": (lambda: simulate(SHEET, EDGE, t_end="5"), "t_end"),
    "endless run": (lambda: simulate(SHEET, EDGE, t_end=1e300), "t_end"),
    "no dt": (lambda: simulate(SHEET, EDGE, dt=None, **RUN), "dt"),
    "two dt": (lambda: simulate(SHEET, EDGE, dt=np.array([0.1, 0.05]), **RUN), "dt"),
    "tiny dt": (lambda: next(solve(SHEET, EDGE, dt=1e-12, **RUN)), "t_end"),
    "no cell": (lambda: simulate(SHEET, EDGE, cell=None, **RUN), "cell"),
    "type of text": (lambda: simulate(SHEET, EDGE, dtype="float16", **RUN), "dtype"),
    "no type": (lambda: simulate(SHEET, EDGE, dtype=None, **RUN), "dtype"),
    "calibrated by word": (lambda: simulate(SHEET, EDGE, calibrated="no", **RUN), "calibrated"),
    "no thread": (lambda: simulate(SHEET, EDGE, threads=0, **RUN), "threads"),
    "half a thread": (lambda: solve(SHEET, EDGE, threads=1.5, **RUN), "threads"),
    "threads by word": (lambda: solve(SHEET, EDGE, threads=True, **RUN), "threads"),
    "rest by number": (lambda: simulate(SHEET, EDGE, stop_at_rest=2, **RUN), "stop_at_rest"),
    "pool by half": (lambda: simulate(SHEET, EDGE, pool=0.5, **RUN), "pool"),
    "places for electrodes": (lambda: simulate(SHEET, EDGE, electrodes=np.zeros((1, 3)), **RUN), "electrodes"),
    "conductor without electrodes": (lambda: simulate(SHEET, EDGE, conductor=Disc(90.0, (0, 0)), **RUN), "conductor"),
    "a frame of words": (lambda: simulate(SHEET, EDGE, frame_interval="5", **RUN), "frame_interval"),
    "text for D": (lambda: cable_cv("0.1", 0.5, 0.1), "D"),
    "no cell of a cable": (lambda: cable_cv(0.1, 0.5, 0.1, None), "cell"),
    "words for a diffusivity": (lambda: calibrate_diffusivity(["a"], [True], 0.5, 0.1), "D"),
    "a step of next to nothing": (lambda: cable_cv(0.1, 0.5, 1e-320), "dt"),
    "a cable without end": (lambda: cable_cv(1e6, 1e-6, 0.1), "dt"),
    "D of nothing": (lambda: calibrate_diffusivity([[0.1]], [[False]], 0.5, 0.1), "live"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_other_input_is_refused_by_name_before_anything_is_computed(case):
    call, name = REFUSED[case]
    with pytest.raises(ValueError, match=f"^{name}: expected .*got"):
        call()


def test_a_train_within_bounds_is_taken_as_a_tuple_or_a_list():
    beats = burst(EDGE, 10.0, 2)
    a, b = (list(solve(SHEET, kind(beats), t_end=12.0, every=12.0, calibrated=False))[-1].t for kind in (tuple, list))
    assert a == b == 12.0
