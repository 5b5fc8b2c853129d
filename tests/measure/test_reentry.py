"""Tips and cycle lengths of rotating and plane waves that are known in closed form."""

import numpy as np
import pytest
import xarray as xr

from forwardecg.measure.waves import cycle_length, tip_path

DX, PERIOD = 0.5, 98.0
Y, X = np.meshgrid((np.arange(60) + 0.5) * DX, (np.arange(80) + 0.5) * DX, indexing="ij")


def frames(u, times):
    """u (y, x) at each time -> V_m (time, y_map, x_map) in mV."""
    V_m = [-85 + 100 * u(time) for time in times]
    return xr.DataArray(V_m, dims=("time", "y_map", "x_map"), coords={"time": times})


def spiral(center, direction=1, pitch=20.0):
    """An Archimedean spiral about ``center`` (mm): u is 1/2 at its middle and there alone at all times."""
    x, y = X - center[0], Y - center[1]
    r, angle = np.hypot(x, y), np.arctan2(y, x)
    return lambda t: 0.5 + 0.5 * np.tanh(r) * np.sin(direction * angle - 2 * np.pi * (r / pitch + t / PERIOD))


TIMES = np.arange(0.0, 2 * PERIOD, 2.0)


@pytest.mark.parametrize("center", [(20.0, 15.0), (13.13, 9.37), (31.4, 22.9)])
@pytest.mark.parametrize("direction", [1, -1])
def test_tip_of_a_spiral_is_its_center(center, direction):
    tips = tip_path(frames(spiral(center, direction), TIMES), DX)
    assert np.allclose(tips.time, (TIMES[:-1] + TIMES[1:]) / 2), "one tip in every pair of frames"
    assert np.hypot(tips.x - center[0], tips.y - center[1]).max() < DX / 2
    assert (tips.chirality == direction).all(), "counterclockwise is positive"


def test_tip_is_exact_where_the_isolines_are_straight():
    """A half plane that turns about a point is bilinear: no error but rounding, also where an isoline follows the grid."""
    center = 17.3, 11.9

    def half_plane(t):
        return 0.5 + 0.01 * (np.cos(t) * (X - center[0]) + np.sin(t) * (Y - center[1]))

    tips = tip_path(frames(half_plane, np.arange(8) * np.pi / 4), DX)
    assert len(tips) == 7 and (tips.chirality == 1).all()
    assert np.allclose(tips[["x", "y"]], center, atol=1e-9)


def test_a_tip_that_moves_is_followed():
    def moving(t):
        return spiral((15 + 0.02 * t, 15.0))(t)

    tips = tip_path(frames(moving, TIMES), DX)
    assert np.abs(tips.x - (15 + 0.02 * tips.time)).max() < DX


def test_two_spirals_of_opposite_sense_have_two_tips():
    left, right = spiral((12.0, 15.0)), spiral((28.0, 15.0), -1)
    tips = tip_path(frames(lambda t: np.where(X < 20, left(t), right(t)), TIMES[:40]), DX)
    near = tips[(abs(tips.x - 12) < 1) | (abs(tips.x - 28) < 1)]
    assert (near.groupby("time").chirality.sum() == 0).all() and len(near) == 2 * 39


@pytest.mark.parametrize("angle", [0.0, 0.4, np.pi / 2])
def test_a_plane_wave_has_no_tip(angle):
    along = X * np.cos(angle) + Y * np.sin(angle)
    V_m = frames(lambda t: np.clip(1.5 - np.abs(along - 0.6 * t) / 5, 0, 1), TIMES)
    tips = tip_path(V_m, DX)
    assert tips.empty and list(tips) == ["time", "x", "y", "chirality"]


def rest():
    return xr.DataArray(np.full((3, 4, 5), -85.0), dims=("time", "y", "x"), coords={"time": [0.0, 1.0, 2.0]})


def test_no_tip_in_a_sheet_at_rest():
    assert tip_path(rest(), DX).empty


def test_cycle_length_of_periodic_traces():
    times, periods = np.arange(0.0, 1000.0), np.array([91.0, 97.35, 250.0])
    V_m = -35 + 50 * np.sin(2 * np.pi * (times[:, None] - 10) / periods)
    cycles = cycle_length(xr.DataArray(V_m, dims=("time", "probe"), coords={"time": times}))
    for probe, period in enumerate(periods):
        trace = cycles[cycles.probe == probe]
        assert np.allclose(trace.cycle_length, period, atol=0.01)
        assert np.allclose(trace.time, 10 + period * (1 + np.arange(len(trace))), atol=0.01)


def test_a_probe_activated_less_than_twice_has_no_cycle():
    V_m = np.full((100, 3), -85.0)
    V_m[20:, 0] = V_m[:30, 1] = V_m[60:, 1] = 10.0  # one activation each: a record that begins within a beat has none
    cycles = cycle_length(xr.DataArray(V_m, dims=("time", "probe"), coords={"time": np.arange(100.0)}))
    assert cycles.empty and list(cycles) == ["probe", "time", "cycle_length"]


def test_bad_input_is_refused():
    V_m = rest()
    for wrong in (V_m[0], V_m.transpose("y", "x", "time"), V_m.drop_vars("time")):
        with pytest.raises(ValueError, match=r"V_m: expected dims \(time, y, x\)"):
            tip_path(wrong, DX)
    with pytest.raises(ValueError, match=r"V_m: expected dims \(time, probe\)"):
        cycle_length(V_m)
    for wrong in (V_m[:1], V_m[::-1]):
        with pytest.raises(ValueError, match="V_m: expected at least two frames at increasing times"):
            tip_path(wrong, DX)
    with pytest.raises(ValueError, match="V_m: expected finite values in mV"):
        tip_path(V_m.where(V_m > 0), DX)
    for dx in (0.0, -1.0, np.nan):
        with pytest.raises(ValueError, match="dx: expected a length > 0 mm"):
            tip_path(V_m, dx)
