"""Runs of one sheet: the data contract, symmetry (V6), precision (V10), several stimuli, electrodes and conductors."""

from dataclasses import replace

import numpy as np
import pytest
from solver.sheets import small_sheet

from forwardecg.ecg.electrodes import Electrodes, center_electrode
from forwardecg.ecg.leadfield import pseudo_ecg
from forwardecg.ecg.torso import Disc, Sphere
from forwardecg.solver.simulation import simulate, solve
from forwardecg.tissue.diffusion import stability_limit
from forwardecg.tissue.grid import Grid
from forwardecg.tissue.sheet import Tissue, healthy
from forwardecg.tissue.stimulus import burst, edge_stimulus


@pytest.mark.parametrize("turn", ["rot90", "fliplr", "transpose"])
def test_turning_tissue_and_electrode_changes_nothing(turn):
    """V6: lat to 1e-6 ms after a whole beat in double precision."""
    move = {"rot90": np.rot90, "fliplr": np.fliplr, "transpose": np.transpose}[turn]
    tissue, stimulus = small_sheet(3), edge_stimulus(Grid((48, 48), 0.5), "left")
    turned = Tissue(D=move(tissue.D).copy(), conductive=move(tissue.conductive).copy(), dx=tissue.dx)
    run = dict(t_end=80, electrodes=center_electrode(Grid((48, 48), 0.5)), dtype=np.float64)
    a = simulate(tissue, [stimulus], **run)
    b = simulate(turned, [replace(stimulus, mask=move(stimulus.mask).copy())], **run)
    assert np.nanmax(np.abs(move(a.lat.values) - b.lat.values)) < 1e-6
    assert np.array_equal(np.isnan(move(a.lat.values)), np.isnan(b.lat.values))
    assert np.allclose(a.phi_e, b.phi_e, atol=1e-9 * float(np.abs(a.phi_e).max()))


def test_simulate_keeps_the_data_contract():
    tissue = small_sheet(1)
    ds = simulate(
        tissue,
        [edge_stimulus(Grid((48, 48), 0.5))],
        t_end=60,
        electrodes=Electrodes(np.array([[12, 12, 10], [0, 0, 20.0]]), ("a", "b")),
        pool=4,
    )
    assert ds.V_m.dims == ("time", "y_map", "x_map") and ds.V_m.shape == (13, 12, 12)
    assert ds.phi_e.dims == ("lead", "time_ecg") and ds.phi_e.shape == (2, 61)
    assert all("units" in ds[name].attrs and "long_name" in ds[name].attrs for name in ds.data_vars)
    full = simulate(tissue, [edge_stimulus(Grid((48, 48), 0.5))], t_end=60)
    assert np.allclose(full.V_m.values.reshape(13, 12, 4, 12, 4).mean((2, 4)), ds.V_m, atol=1e-4)
    # the recorded ECG is the lead field of the physical D applied to the full-resolution maps
    assert np.allclose(
        pseudo_ecg(full.V_m, tissue, Electrodes(ds.electrodes.values, ("a", "b"))).values, ds.phi_e[:, ::5], atol=1e-5
    )
    assert np.isnan(ds.lat.values[~tissue.conductive]).all()


def test_single_and_double_precision_agree():
    """V10, short: activation times and ECG of one beat."""
    tissue, stimuli, at = small_sheet(2), [edge_stimulus(Grid((48, 48), 0.5))], center_electrode(Grid((48, 48), 0.5))
    a, b = (simulate(tissue, stimuli, t_end=150, electrodes=at, dtype=real) for real in (np.float32, np.float64))
    assert np.nanmax(np.abs(a.lat - b.lat)) < 0.02
    assert np.abs(a.phi_e - b.phi_e).max() < 1e-3 * np.abs(b.phi_e).max()


def test_two_stimuli_start_two_waves():
    sheet, shape = healthy((40, 160), 0.5, 0.12), (40, 160)
    stimuli = [
        edge_stimulus(Grid(shape, 0.5), "left"),
        edge_stimulus(Grid(shape, 0.5), "right", start=5.0, amplitude=0.4),
    ]
    lat = simulate(sheet, stimuli, t_end=100).lat.values[20]
    assert lat[2] < 3 and 5 < lat[-2] < 8 and np.argmax(lat) == pytest.approx(83, abs=5)


def test_a_sheet_at_rest_ends_the_run_early():
    tissue, stimuli = small_sheet(2, n=24), burst(edge_stimulus(Grid((24, 24), 0.5)), 200, 2)
    run = dict(t_end=1000, frame_interval=10, electrodes=center_electrode(Grid((24, 24), 0.5)))
    full, short = (simulate(tissue, stimuli, stop_at_rest=stop, **run) for stop in (False, True))
    n = short.sizes["time"]
    assert 330 < short.time[-1] < 600, "after the second beat, which the rest between the beats does not prevent"
    assert short.V_m.equals(full.V_m.isel(time=slice(n)))
    assert np.allclose(short.phi_e, full.phi_e[:, : short.sizes["time_ecg"]], rtol=0, atol=1e-12)  # BLAS sums by block
    assert np.array_equal(short.lat, full.lat, equal_nan=True) and np.array_equal(
        short.recovery, full.recovery, equal_nan=True
    )
    assert float(np.abs(full.V_m[n:] + 85).max()) < 0.011 and float(np.abs(short.V_m[-2] + 85).max()) > 0.01


def test_the_ecg_may_be_sampled_at_every_time_step():
    tissue, stimuli = small_sheet(2, n=24), [edge_stimulus(Grid((24, 24), 0.5))]
    run = dict(t_end=20, electrodes=center_electrode(Grid((24, 24), 0.5), 8.0))
    coarse, fine = (simulate(tissue, stimuli, ecg_interval=interval, **run).phi_e for interval in (1.0, 0.1))
    assert fine.sizes["time_ecg"] == 201 and np.array_equal(coarse, fine[:, ::10])


def test_the_same_run_may_be_read_in_a_bounded_conductor():
    tissue, run = small_sheet(2, n=24), dict(t_end=20, frame_interval=1.0)
    sphere, disc = Sphere(30.0, (6.0, 6.0, 0.0)), Disc(30.0, (6.0, 6.0))
    top, rim = (
        Electrodes(sphere.project(np.array([[6.0, 7.0, 9.0]])), ("top",)),
        Electrodes(np.array([[36.0, 6, 0]]), ("rim",)),
    )
    for conductor, at, unit in ((sphere, top, "mV mm ms-1"), (disc, rim, "mV mm2 ms-1")):
        ds = simulate(tissue, [edge_stimulus(Grid((24, 24), 0.5))], electrodes=at, conductor=conductor, **run)
        assert np.allclose(ds.phi_e, pseudo_ecg(ds.V_m.values, tissue, at, conductor), atol=1e-5)
        assert ds.phi_e.units == unit and "radius 30 mm" in ds.phi_e.long_name


def test_a_run_that_lasts_says_how_far_it_is(monkeypatch, capsys):
    monkeypatch.setattr("forwardecg.solver.simulation.PROGRESS_S", 0.0)
    monkeypatch.delenv("FORWARDECG_PROGRESS", raising=False)
    ds = simulate(healthy((1, 40), 0.5, 0.12), [edge_stimulus(Grid((1, 40), 0.5))], t_end=20)
    lines = capsys.readouterr().out.splitlines()
    assert "simulate: 10 of 20 ms, at most" in lines[1]
    assert ds.stimuli == "[(0.0, 2.0, 0.3, 4)]"


def test_bad_runs_are_refused():
    sheet, shape = healthy((20, 20), 0.5, 0.12), (20, 20)
    good = [edge_stimulus(Grid(shape, 0.5))]
    with pytest.raises(ValueError, match="stimuli: expected at least one Stimulus, got none"):
        next(solve(sheet, [], t_end=10))
    with pytest.raises(
        ValueError,
        match=r"dt: expected at most 0.25 ms \(0.52.* ms for diffusion on this grid and 0.25 ms for the currents of FK-CAF\)",
    ):
        next(solve(sheet, good, t_end=12, dt=0.6, every=0.6, calibrated=False))
    with pytest.raises(ValueError, match="every: expected a positive multiple of dt = 0.1 ms"):
        next(solve(sheet, good, t_end=10, every=0.25))
    with pytest.raises(ValueError, match="stimulus mask: expected shape"):
        next(solve(sheet, [edge_stimulus(Grid((9, 9), 0.5))], t_end=10))
    blocked = Tissue(D=sheet.D, conductive=~good[0].mask, dx=0.5)
    with pytest.raises(ValueError, match="at least one conductive cell under it"):
        next(solve(blocked, good, t_end=10))
    with pytest.raises(ValueError, match="stimulus start: expected a time before t_end = 10 ms, got 50"):
        next(solve(sheet, [replace(good[0], start=50)], t_end=10))
    with pytest.raises(ValueError, match="stimulus start: expected a positive multiple of dt = 0.1 ms, got 0.05"):
        next(solve(sheet, [replace(good[0], start=0.05)], t_end=10))
    with pytest.raises(ValueError, match="cell: expected FKParams"):
        next(solve(sheet, good, t_end=10, cell="FK_CAF"))
    with pytest.raises(ValueError, match="electrodes: expected Electrodes"):
        simulate(sheet, good, t_end=10, electrodes=np.zeros((1, 3)))
    with pytest.raises(ValueError, match="conductor: expected electrodes to read it at"):
        simulate(sheet, good, t_end=10, conductor=Sphere(30.0, (5.0, 5.0, 0.0)))
    for pool in (3, 0, -5, 2.0):
        with pytest.raises(ValueError, match="pool: expected a"):
            simulate(sheet, good, t_end=10, pool=pool)
    for dt in (0, -0.1, float("nan")):
        with pytest.raises(ValueError, match="dt: expected a number > 0 .* ms"):
            next(solve(sheet, good, t_end=10, dt=dt))
    with pytest.raises(ValueError, match="dtype: expected np.float32 or np.float64, got <class 'int'>"):
        next(solve(sheet, good, t_end=10, dtype=int))
    with pytest.raises(ValueError, match="t_end: expected a positive multiple of every = 4 ms, got 10 ms"):
        next(solve(sheet, good, t_end=10, every=4))
    with pytest.raises(ValueError, match="t_end: expected a positive multiple of frame_interval = 4 ms, got 10 ms"):
        simulate(sheet, good, t_end=10, frame_interval=4)
    with pytest.raises(ValueError, match="ecg_interval: expected a number > 0 .* ms, got 0"):
        simulate(sheet, good, t_end=10, ecg_interval=0)
    assert stability_limit(0.16, 0.5) == pytest.approx(0.390625)
