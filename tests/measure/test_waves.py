"""Features of traces and waves, plane and rotating, that are known in closed form."""

import numpy as np
import pytest
import xarray as xr

from forwardecg.data.maps import load_small
from forwardecg.measure.waves import activation_time, apd90, conduction_velocity, cycle_length, dvdt_max, tip_path
from forwardecg.solver.calibration import converged_cv
from forwardecg.solver.simulation import simulate
from forwardecg.tissue.cell import FK_CAF
from forwardecg.tissue.grid import Grid
from forwardecg.tissue.sheet import healthy
from forwardecg.tissue.stimulus import edge_stimulus

T = np.arange(0.0, 301.0)


def beat(lat, rise=25.0, fall=-0.5):
    """Up from -85 to 15 mV at ``rise`` mV/ms, through -35 mV at ``lat``, and down again at ``fall`` mV/ms; (time, *lat.shape)."""
    t = T.reshape(-1, *[1] * np.ndim(lat))
    upstroke, peak_at = -35 + rise * (t - lat), lat + 50 / rise
    V = np.clip(np.where(t < peak_at, upstroke, 15 + fall * (t - peak_at)), -85, 15)
    return xr.DataArray(V, dims=("time", "y", "x")[: V.ndim], coords={"time": T})


def test_activation_time_is_interpolated_between_samples():
    lat = np.array([[10.0, 20.25], [33.7, 47.49]])
    assert np.allclose(activation_time(beat(lat)), lat, atol=1e-9)


def test_activation_time_is_the_first_beat_and_nan_without_one():
    first, second = beat(np.array([40.0, 40.0])), beat(np.array([250.0, 250.0]))
    V_m = first + second + 85
    V_m[:, 1] = -36.0  # just below the threshold all the time
    lat = activation_time(V_m)
    assert lat[0] == pytest.approx(40) and np.isnan(lat[1])
    assert np.isnan(apd90(V_m)[1])


def test_a_record_that_begins_within_a_beat_is_activated_by_the_next_one():
    """Being above the threshold is no crossing of it."""
    V_m = beat(np.array([200.0, 200.0]))
    V_m[:30] = 10.0
    V_m[:, 1] = 10.0
    lat = activation_time(V_m)
    assert lat[0] == pytest.approx(200) and np.isnan(lat[1])


def test_apd90_is_the_time_above_ten_percent_of_the_amplitude():
    """Down 90 mV of 100 at 0.5 mV/ms takes 180 ms, and the peak comes 2 ms after the threshold."""
    V_m = beat(np.array([10.0, 50.0]))
    assert np.allclose(apd90(V_m), 182, atol=1e-9)
    assert np.isnan(apd90(V_m.isel(time=T < 150))).all(), "not yet repolarized: no duration"


def test_apd90_ignores_a_repolarization_before_the_beat():
    V_m = beat(np.array([100.0]))
    V_m[:20] = -70.0  # falls to rest at 20 ms, as after a beat before the record
    V_m[0] = -85.0
    assert apd90(V_m)[0] == pytest.approx(182)


def test_dvdt_max_is_the_slope_of_the_upstroke_whatever_the_sampling():
    assert np.allclose(dvdt_max(beat(np.array([50.0, 60.5]), rise=12.0)), 12.0)
    V_m = beat(np.array([50.0]), rise=4.0)
    assert dvdt_max(V_m.isel(time=slice(None, None, 4)))[0] == pytest.approx(4.0)  # mV/ms, not mV a sample
    assert dvdt_max(V_m.transpose())[0] == pytest.approx(4.0)


@pytest.mark.parametrize("angle", [0.0, 0.3, np.pi / 4, 2.0])
def test_velocity_of_a_plane_wave_is_its_speed_in_every_direction(angle):
    dx, cv = 0.5, 0.7
    y, x = np.meshgrid(np.arange(20) * dx, np.arange(30) * dx, indexing="ij")
    lat = xr.DataArray((x * np.cos(angle) + y * np.sin(angle)) / cv + 50, dims=("y", "x"))
    speed = conduction_velocity(lat, dx).values
    assert np.allclose(speed[2:-2, 2:-2], cv, rtol=1e-9)
    assert np.isnan(speed).sum() == 20 * 30 - 16 * 26, "the rim has no central difference"
    assert np.allclose(conduction_velocity(lat, 2 * dx).values[2:-2, 2:-2], 2 * cv)


def test_velocity_is_unknown_beside_cells_that_were_never_activated():
    lat = xr.DataArray(np.arange(15.0) * np.ones((15, 1)), dims=("y", "x"))
    lat[7, 7] = np.nan
    speed = conduction_velocity(lat, 1.0, reach=1)
    assert np.isnan(speed[7, 6]) and np.isnan(speed[6, 7]) and speed[6, 6] == pytest.approx(1)


def test_a_simulated_plane_wave_has_the_velocity_of_its_diffusivity():
    shape, dx, D = (12, 100), 0.5, 0.14
    ds = simulate(healthy(shape, dx, D), [edge_stimulus(Grid(shape, dx))], t_end=90, frame_interval=1.0)
    inner = np.s_[2:-2, 20:80]
    assert np.nanmedian(conduction_velocity(ds.lat, dx)[inner]) == pytest.approx(
        converged_cv(FK_CAF) * np.sqrt(D / 0.1), rel=0.01
    )
    V_m = ds.V_m.rename(y_map="y", x_map="x")
    assert np.allclose(activation_time(V_m)[inner], ds.lat[inner], atol=0.3), (
        "maps and solver agree on the activation time"
    )


def test_bad_input_is_refused():
    V_m = beat(np.array([[50.0]]))
    labels = r"V_m: expected dims \(time, ...\) with a coordinate 'time'"
    for feature in (activation_time, apd90, dvdt_max):
        for wrong in (V_m.rename(time="frame"), V_m.drop_vars("time")):
            with pytest.raises(ValueError, match=labels):
                feature(wrong)
        with pytest.raises(ValueError, match="V_m: expected DataArray"):
            feature(V_m.values)
        with pytest.raises(ValueError, match="V_m: expected finite values in mV"):
            feature(V_m.where(V_m < 10, np.inf))
        with pytest.raises(ValueError, match="V_m: expected real numbers"):
            feature(V_m + 0j)
        with pytest.raises(ValueError, match="V_m: expected a unit such as mV"):
            feature(V_m.assign_attrs(units="K"))
        with pytest.raises(ValueError, match="time: expected a unit such as ms"):
            feature(V_m.assign_coords(time=("time", T, {"units": "frames"})))
        with pytest.raises(ValueError, match="time: expected at least 2 increasing times"):
            feature(V_m[::-1])
    for threshold in ("steep", None, np.nan, True, 1e3):
        with pytest.raises(ValueError, match="threshold: expected"):
            activation_time(V_m, threshold)
    lat = activation_time(V_m)
    with pytest.raises(ValueError, match=r"lat: expected dims \(y, x\)"):
        conduction_velocity(lat[0], 0.5)
    for dx in (0.0, -1.0, np.nan, np.inf, "0.5", True):
        with pytest.raises(ValueError, match="dx: expected a number > 0 mm"):
            conduction_velocity(lat, dx)
    for reach in (0, 1.5, "2", True):
        with pytest.raises(ValueError, match="reach: expected a whole number"):
            conduction_velocity(lat, 0.5, reach)


def test_units_and_the_order_of_dims_change_nothing():
    V_m = beat(np.array([[10.0, 20.25], [33.7, 47.49]]))
    equal = [
        V_m.assign_coords(time=("time", T / 1000, {"units": "s"})),
        V_m.assign_coords(time=("time", T, {"units": "milliseconds"})),
        (V_m / 1000).assign_attrs(units="V"),
        ((V_m + 85) / 100).assign_attrs(units="1"),
        V_m.transpose("x", "y", "time"),
        V_m.copy(data=V_m.values.astype(">f8")),
        V_m.copy(data=np.asfortranarray(V_m.values)),
    ]
    for feature in (activation_time, apd90, dvdt_max):
        right = feature(V_m)
        for one in equal:
            found = feature(one)
            assert found.attrs["units"] == right.attrs["units"]
            assert np.allclose(found.transpose(*right.dims), right, atol=1e-9), one.attrs


def test_velocity_reads_units_dims_and_the_size_of_pixels():
    y, x = np.meshgrid(np.arange(9) * 0.5, np.arange(12) * 0.5, indexing="ij")
    axes = {"y": ("y", y[:, 0], {"units": "mm"}), "x": ("x", x[0] / 10, {"units": "cm"})}
    lat = xr.DataArray((0.6 * y + 0.8 * x) / 0.7, axes, dims=("y", "x"))
    right = conduction_velocity(lat, 0.5)
    assert np.nanmax(np.abs(right - 0.7)) < 1e-12 and right.dims == ("y", "x")
    for one in (lat.T, (lat / 1000).assign_attrs(units="s"), lat.values, np.ma.masked_array(lat.values)):
        found = conduction_velocity(one, np.float32(0.5), np.int64(2))
        assert found.dims == ("y", "x") and np.allclose(found, right, equal_nan=True, rtol=1e-12)
    with pytest.raises(ValueError, match="lat.y: expected steps of dx = 1 mm"):
        conduction_velocity(lat, 1.0)


def test_a_threshold_relative_to_the_pixel_finds_the_wave_in_pixels_of_few_cells():
    """A pixel whose cells conduct to a share never reaches -35 mV, but passes half of its own amplitude at the same time."""
    whole = beat(np.array([40.0, 52.0]))
    few = -85 + 0.3 * (whole + 85)
    assert activation_time(few).isnull().all()
    assert np.allclose(activation_time(few, "half"), [40, 52.0], atol=1e-9)
    assert np.allclose(activation_time(few, -70.0), activation_time(whole, -35.0), atol=1e-9)
    assert np.allclose(apd90(few, "half"), apd90(whole), atol=1e-9)
    still = few * 0 - 85 + np.sin(T)[:, None]  # noise, and no wave
    for threshold in ("half", "slope"):
        assert activation_time(still, threshold).isnull().all()


@pytest.mark.parametrize("dt", [1.0, 2.0])
def test_the_steepest_part_of_a_sigmoid_is_its_middle(dt):
    lat = np.array([40.0, 40.37, 61.9])
    t = np.arange(0, 200, dt)
    V = -85 + 100 / (1 + np.exp(-(t[:, None] - lat) / 3)) / (1 + np.exp((t[:, None] - lat - 80) / 9))
    V_m = xr.DataArray(V, dims=("time", "x"), coords={"time": t})
    assert np.allclose(activation_time(V_m, "slope"), lat, atol=0.1)
    again = xr.concat([V_m, 1.1 * (V_m + 85).assign_coords(time=t + 200) - 85], "time")
    assert np.allclose(activation_time(again, "slope"), lat, atol=0.1), "of the first beat, not the steepest of all"


def test_activation_of_fibrotic_pixels_is_found_where_cells_are_activated():
    tissue = load_small().isel(sim=2)
    lat, cells = activation_time(tissue.V_m, "half").values, tissue.lat.values
    n = cells.shape[0] // lat.shape[0]
    passed = np.isfinite(cells).reshape(lat.shape[0], n, lat.shape[1], n).any((1, 3))
    assert (np.isnan(lat) & passed).mean() < 0.02


def test_a_missing_sample_lies_on_the_line_between_its_neighbors_and_a_lost_pixel_stays_lost():
    V_m = beat(np.array([40.0, 52.5, 60.0]), rise=10.0)
    gaps = V_m.copy()
    gaps[:, 2] = gaps[41, 0] = gaps[51:53, 1] = np.nan
    for feature, atol in ((activation_time, 1e-9), (apd90, 1e-9)):
        assert np.allclose(feature(gaps)[:2], feature(V_m)[:2], atol=atol) and np.isnan(feature(gaps)[2])
    masked = V_m.copy(data=np.ma.masked_invalid(gaps.values))
    assert activation_time(masked).identical(activation_time(gaps))
    assert np.allclose(dvdt_max(gaps)[:2], 10) and np.isnan(dvdt_max(gaps)[2])
    assert np.isnan(activation_time(V_m.where(V_m.time < 30))).all(), "what comes after the record is not known"


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


def test_noise_makes_no_cycles_where_a_refractory_time_is_given():
    times = np.arange(0.0, 1000.0)
    clean = -85 + 100 * np.clip(np.minimum((times % 250) / 2, (150 - times % 250) / 75), 0, 1)
    for sd in (5.0, 10.0):
        V_m = clean + sd * np.random.default_rng(0).standard_normal(1000)
        probes = xr.DataArray(V_m[:, None], dims=("time", "probe"), coords={"time": times})
        assert len(cycle_length(probes)) > 3
        cycles = cycle_length(probes, refractory=150.0)
        assert len(cycles) == 3 and np.allclose(cycles.cycle_length, 250, atol=3)


def test_tips_and_cycles_read_units_and_dims():
    V_m = frames(spiral((20.0, 15.0)), TIMES[:20])
    right = tip_path(V_m, DX)
    seconds = V_m.assign_coords(time=("time", V_m.time.values / 1000, {"units": "s"}))
    for one in (V_m.transpose("x_map", "time", "y_map"), seconds, (V_m / 1000).assign_attrs(units="V")):
        assert np.allclose(tip_path(one, DX), right)
    axes = {"y_map": ("y_map", 7 + Y[:, 0], {"units": "mm"}), "x_map": ("x_map", X[0] - 3, {"units": "mm"})}
    moved = tip_path(V_m.assign_coords(axes), DX)
    assert np.allclose(moved.x, right.x - 3) and np.allclose(moved.y, right.y + 7), "in the frame of the maps"
    with pytest.raises(ValueError, match="expected steps of dx = 1 mm"):
        tip_path(V_m.assign_coords(axes), 1.0)
    probes = V_m[:, 5, [3, 40]].rename(x_map="probe").drop_vars("y_map", errors="ignore")
    assert cycle_length(probes.T).equals(cycle_length(probes))


def test_there_is_no_tip_beside_a_missing_value():
    V_m = frames(spiral((20.0, 15.0)), TIMES[:20])
    assert tip_path(V_m.where(np.hypot(X - 20, Y - 15) > 2), DX).empty
    assert len(tip_path(V_m.where(np.hypot(X - 30, Y - 25) > 2), DX)) == 19


def test_bad_maps_and_probes_are_refused():
    V_m = rest()
    for wrong in (V_m[0], V_m.drop_vars("time")):
        with pytest.raises(ValueError, match=r"V_m: expected dims \(time, y, x\)"):
            tip_path(wrong, DX)
    with pytest.raises(ValueError, match=r"V_m: expected dims \(time, probe\)"):
        cycle_length(V_m)
    for wrong in (V_m[:1], V_m[::-1]):
        with pytest.raises(ValueError, match="time: expected at least 2 increasing times"):
            tip_path(wrong, DX)
    with pytest.raises(ValueError, match="V_m: expected finite values in mV"):
        tip_path(V_m.where(V_m > 0, -np.inf), DX)
    for dx in (0.0, -1.0, np.nan, None):
        with pytest.raises(ValueError, match="dx: expected a number > 0 mm"):
            tip_path(V_m, dx)
    with pytest.raises(ValueError, match="refractory: expected a number >= 0 ms"):
        cycle_length(V_m[:, 0].rename(x="probe"), -1.0)
