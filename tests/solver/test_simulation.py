"""Solver: decay of a mode (V2), conservation and rest (V3), CV and its scaling (V4, V5), symmetry (V6), speed-critical asm."""

import os
import platform
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from forwardecg.ecg.electrodes import Electrodes, center_electrode
from forwardecg.ecg.leadfield import pseudo_ecg
from forwardecg.ecg.torso import Disc, Sphere
from forwardecg.solver.calibration import cable_cv, calibrated_diffusivity, calibration_table, converged_cv
from forwardecg.solver.simulation import simulate, solve
from forwardecg.tissue.cell import FK_CAF, FK_MLR1
from forwardecg.tissue.diffusion import stability_limit
from forwardecg.tissue.sheet import Tissue, fibrotic, healthy, with_fibers
from forwardecg.tissue.stimulus import Stimulus, burst, edge_stimulus, focal_stimulus

# A cell without reaction: time constants so long that every current is below rounding.
PASSIVE = replace(FK_CAF, tau_d=1e290, tau_0=1e290, tau_r=1e290, tau_si=1e290)


def small_sheet(seed=0, n=48, dx=0.5):
    return fibrotic(healthy((n, n), dx, 0.12), np.random.default_rng(seed), "diffuse")


def test_cosine_mode_decays_as_theory_says():
    """V2: with the reaction off the first cosine mode of the stimulated sheet decays as exp(-D k^2 t)."""
    n, dx, D = 64, 0.25, 0.1
    stimulus = [edge_stimulus((4, n), dx, width=4.0, duration=1.0)]
    k = np.pi / (n * dx)
    mode = np.cos(k * (np.arange(n) + 0.5) * dx)
    amplitude = {}
    states = solve(
        healthy((4, n), dx, D), stimulus, t_end=101, every=1, dt=0.01, fk=PASSIVE, calibrated=False, real=np.float64
    )
    for state in states:
        amplitude[round(state.t)] = (state.u[1] * mode).mean()
    k_grid = 2 / dx * np.sin(k * dx / 2)  # the mode is an eigenvector of the discrete operator with this eigenvalue
    assert amplitude[101] / amplitude[1] == pytest.approx((1 - 0.01 * D * k_grid**2) ** 10_000, rel=1e-9)
    assert amplitude[101] / amplitude[1] == pytest.approx(np.exp(-D * k**2 * 100), rel=2e-3)


def test_diffusion_conserves_and_fibrosis_stays_at_rest():
    """V3: without reaction the content of the sheet is constant after the stimulus; non-conductive cells stay at 0."""
    tissue = small_sheet()
    content = []
    for state in solve(
        tissue,
        [focal_stimulus((48, 48), 0.5, 12, 12)],
        t_end=60,
        every=10,
        fk=PASSIVE,
        calibrated=False,
        real=np.float64,
    ):
        assert np.abs(state.u[~tissue.conductive]).max() < 1e-280
        content.append(state.u.sum())
    assert content[1] > 1
    assert np.allclose(content[1:], content[1], rtol=1e-11)


def test_fibrosis_stays_at_rest_under_a_full_beat():
    tissue = small_sheet()
    for state in solve(tissue, [edge_stimulus((48, 48), 0.5)], t_end=120, every=20):
        assert not state.u[~tissue.conductive].any()
        assert state.u.min() > -0.05 and state.u.max() < 1.2
    assert (state.lat[tissue.conductive] >= 0).mean() > 0.9
    assert (state.lat[~tissue.conductive] == -1).all()


@pytest.mark.parametrize(("fk", "cv"), [(FK_CAF, 0.644), (FK_MLR1, 0.611)], ids=["CAF", "MLR-I"])
def test_conduction_velocity_is_the_reference_one(fk, cv):
    """V4: dx 0.1 mm, dt 0.01 ms, D 0.1 mm^2/ms."""
    assert cable_cv(0.1, 0.1, 0.01, fk) == pytest.approx(cv, abs=0.005)


def test_converged_velocity_of_the_default_set():
    assert converged_cv(FK_CAF) == pytest.approx(0.655, abs=0.003)


def test_velocity_scales_with_sqrt_D_exactly():
    """V5: CV(D, dx) = sqrt(D / D0) CV(D0, dx sqrt(D0 / D)), to rounding."""
    dx, D = 0.25, 0.04
    scaled = np.sqrt(D / 0.1) * cable_cv(0.1, dx * np.sqrt(0.1 / D), 0.05)
    assert cable_cv(D, dx, 0.05) == pytest.approx(scaled, rel=1e-9)


def test_calibrated_grid_conducts_at_the_converged_velocity():
    # One percent: where a wave passes a cell in a whole number of time steps its speed locks, by up to 0.7 %.
    dx, dt = 0.5, 0.1
    for D in (0.015, 0.05, 0.12, 0.2):
        D_num = calibrated_diffusivity(np.full((1, 1), D), np.ones((1, 1), bool), dx, dt)[0, 0]
        assert D_num > D
        assert cable_cv(D_num, dx, dt) == pytest.approx(converged_cv(FK_CAF) * np.sqrt(D / 0.1), rel=0.01)
    assert cable_cv(0.015, dx, dt) < 0.6 * converged_cv(FK_CAF) * np.sqrt(0.15)  # what happens without


def test_calibration_says_what_it_cannot_reach():
    table_D, _ = calibration_table(0.5, 0.1, FK_CAF)
    with pytest.raises(ValueError, match="fk: expected a cell model that conducts"):
        calibrated_diffusivity(np.full((1, 1), 0.1), np.ones((1, 1), bool), 0.5, 0.1, PASSIVE)
    with pytest.raises(ValueError, match="D: expected values in .* the range that dx = 0.5 mm, dt = 0.1 ms"):
        calibrated_diffusivity(np.full((1, 1), 2 * table_D[-1]), np.ones((1, 1), bool), 0.5, 0.1)


@pytest.mark.parametrize("turn", ["rot90", "fliplr", "transpose"])
def test_turning_tissue_and_electrode_changes_nothing(turn):
    """V6: lat to 1e-6 ms after a whole beat in double precision."""
    move = {"rot90": np.rot90, "fliplr": np.fliplr, "transpose": np.transpose}[turn]
    tissue, stimulus = small_sheet(3), edge_stimulus((48, 48), 0.5, "left")
    turned = Tissue(D=move(tissue.D).copy(), conductive=move(tissue.conductive).copy(), dx=tissue.dx)
    run = dict(t_end=80, electrodes=center_electrode((48, 48), 0.5), real=np.float64)
    a = simulate(tissue, [stimulus], **run)
    b = simulate(turned, [replace(stimulus, mask=move(stimulus.mask).copy())], **run)
    assert np.nanmax(np.abs(move(a.lat.values) - b.lat.values)) < 1e-6
    assert np.array_equal(np.isnan(move(a.lat.values)), np.isnan(b.lat.values))
    assert np.allclose(a.phi_e, b.phi_e, atol=1e-9 * float(np.abs(a.phi_e).max()))


def test_simulate_keeps_the_data_contract():
    tissue = small_sheet(1)
    ds = simulate(
        tissue,
        [edge_stimulus((48, 48), 0.5)],
        t_end=60,
        electrodes=Electrodes(np.array([[12, 12, 10], [0, 0, 20.0]]), ("a", "b")),
        pool=4,
    )
    assert ds.V_m.dims == ("time", "y_map", "x_map") and ds.V_m.shape == (13, 12, 12)
    assert ds.phi_e.dims == ("lead", "time_ecg") and ds.phi_e.shape == (2, 61)
    assert all("units" in ds[name].attrs and "long_name" in ds[name].attrs for name in ds.data_vars)
    full = simulate(tissue, [edge_stimulus((48, 48), 0.5)], t_end=60)
    assert np.allclose(full.V_m.values.reshape(13, 12, 4, 12, 4).mean((2, 4)), ds.V_m, atol=1e-4)
    # the recorded ECG is the lead field of the physical D applied to the full-resolution maps
    assert np.allclose(
        pseudo_ecg(full.V_m.values, tissue, Electrodes(ds.electrodes.values, ("a", "b"))), ds.phi_e[:, ::5], atol=1e-5
    )
    assert np.isnan(ds.lat.values[~tissue.conductive]).all()


def test_single_and_double_precision_agree():
    """V10, short: activation times and ECG of one beat."""
    tissue, stimuli, at = small_sheet(2), [edge_stimulus((48, 48), 0.5)], center_electrode((48, 48), 0.5)
    a, b = (simulate(tissue, stimuli, t_end=150, electrodes=at, real=real) for real in (np.float32, np.float64))
    assert np.nanmax(np.abs(a.lat - b.lat)) < 0.02
    assert np.abs(a.phi_e - b.phi_e).max() < 1e-3 * np.abs(b.phi_e).max()


def test_results_do_not_depend_on_how_often_they_are_read():
    tissue, stimuli = small_sheet(2), [edge_stimulus((48, 48), 0.5, duration=1.5)]
    states = {every: list(solve(tissue, stimuli, t_end=40, every=every))[-1] for every in (0.5, 8)}
    assert np.array_equal(states[0.5].u, states[8].u) and np.array_equal(states[0.5].lat, states[8].lat)


def test_two_stimuli_start_two_waves():
    sheet, shape = healthy((40, 160), 0.5, 0.12), (40, 160)
    stimuli = [edge_stimulus(shape, 0.5, "left"), edge_stimulus(shape, 0.5, "right", start=5.0, amplitude=0.4)]
    lat = simulate(sheet, stimuli, t_end=100).lat.values[20]
    assert lat[2] < 3 and 5 < lat[-2] < 8 and np.argmax(lat) == pytest.approx(83, abs=5)


def test_recovery_time_is_the_fall_below_one_tenth():
    """Against the crossing of u = 0.1 in states saved at every step; the kernel looks every eighth step only."""
    tissue, run = small_sheet(2, n=24), dict(t_end=160, every=0.1, real=np.float64)
    u = []
    for state in solve(tissue, [edge_stimulus((24, 24), 0.5)], **run):
        u.append(state.u.copy())
    u, t = np.array(u), 0.1 * np.arange(len(u))
    active = state.recovery >= 0
    assert np.array_equal(active, state.lat >= 0) and active.mean() > 0.5
    for y, x in np.argwhere(active)[::7]:
        trace = u[:, y, x]
        n = np.flatnonzero((trace[:-1] >= 0.1) & (trace[1:] < 0.1) & (t[1:] > state.lat[y, x]))[0]
        exact = t[n] + 0.1 * (trace[n] - 0.1) / (trace[n] - trace[n + 1])
        assert state.recovery[y, x] == pytest.approx(exact, abs=0.03)


def test_a_sheet_at_rest_ends_the_run_early():
    tissue, stimuli = small_sheet(2, n=24), burst(edge_stimulus((24, 24), 0.5), 200, 2)
    run = dict(t_end=1000, frame_interval=10, electrodes=center_electrode((24, 24), 0.5))
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
    tissue, stimuli = small_sheet(2, n=24), [edge_stimulus((24, 24), 0.5)]
    run = dict(t_end=20, electrodes=center_electrode((24, 24), 0.5, 8.0))
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
        ds = simulate(tissue, [edge_stimulus((24, 24), 0.5)], electrodes=at, conductor=conductor, **run)
        assert np.allclose(ds.phi_e, pseudo_ecg(ds.V_m.values, tissue, at, conductor), atol=1e-5)
        assert ds.phi_e.units == unit and "radius 30 mm" in ds.phi_e.long_name


@pytest.mark.parametrize("angle", [0.0, np.pi / 2])
def test_fibers_conduct_like_the_square_root_of_their_diffusivity(angle):
    """Plane waves along and across fibers that lie on the grid axes are those of isotropic sheets with that D."""
    n, fibers = 60, with_fibers(healthy((3, 60), 0.25, 0.16), angle, 4.0)
    plain = healthy((3, 60), 0.25, 0.16 if angle == 0 else 0.04)
    lat = [
        simulate(t, [edge_stimulus((3, n), 0.25)], t_end=90, dt=0.05, real=np.float64).lat.values
        for t in (fibers, plain)
    ]
    assert np.allclose(*lat, atol=1e-6)


@pytest.mark.parametrize(("degrees", "bound"), [(0, 0.01), (15, 0.06), (30, 0.03), (45, 0.08)])
@pytest.mark.parametrize("across", [False, True], ids=["along", "across"])
def test_calibrated_oblique_fibers_conduct_as_they_should(degrees, bound, across):
    """Plane waves along and across fibers at an angle to the grid: the table has to know the angle."""
    n, dx, D, ratio, direction = 90, 0.5, 0.16, 4.0, np.radians(degrees)
    tissue = with_fibers(healthy((n, n), dx, D), direction + np.pi / 2 * across, ratio)
    y, x = (np.mgrid[:n, :n] + 0.5 - n / 2) * dx
    ahead, aside = np.cos(direction) * x + np.sin(direction) * y, np.cos(direction) * y - np.sin(direction) * x
    *_, state = solve(tissue, Stimulus(mask=ahead < -11), t_end=80, every=80)
    line = (np.abs(aside) < 0.8 * dx) & (np.abs(ahead) < 5) & (state.lat > 0)
    cv = 1 / np.polyfit(ahead[line], state.lat[line], 1)[0]
    true = converged_cv(FK_CAF) * np.sqrt(D / (ratio if across else 1) / 0.1)
    assert cv == pytest.approx(true, rel=bound if across else 0.012)


def test_oblique_fibers_conduct_along_themselves():
    """A plane wave in direction e sees e . D e: here fibers at 30 degrees to the axis along which the wave runs."""
    D, ratio, dx = 0.16, 3.0, 0.2
    fibers = with_fibers(healthy((80, 160), dx, D), np.pi / 6, ratio)
    lat = simulate(fibers, [edge_stimulus((80, 160), dx)], t_end=90, dt=0.05, calibrated=False).lat.values[40]
    seen = D * (np.cos(np.pi / 6) ** 2 + np.sin(np.pi / 6) ** 2 / ratio)
    assert 50 * dx / (lat[110] - lat[60]) == pytest.approx(cable_cv(seen, dx, 0.05), rel=0.02)


def test_states_hold_the_gates_and_one_stimulus_needs_no_list():
    sheet = healthy((1, 40), 0.5, 0.12)
    for state in solve(sheet, edge_stimulus((1, 40), 0.5), t_end=30):
        u, v, w = (part[0, 5] for part in (state.u, state.v, state.w))
        assert 0 <= v <= 1 and 0 <= w <= 1
    assert u > 0.5 and v < 0.1 and w < 1, "on the plateau the fast gate is closed and the slow one is closing"


def test_a_run_that_lasts_says_how_far_it_is(monkeypatch, capsys):
    monkeypatch.setattr("forwardecg.solver.simulation.PROGRESS_S", 0.0)
    monkeypatch.delenv("FORWARDECG_PROGRESS", raising=False)
    ds = simulate(healthy((1, 40), 0.5, 0.12), [edge_stimulus((1, 40), 0.5)], t_end=20)
    lines = capsys.readouterr().out.splitlines()
    assert "simulate: 10 of 20 ms, at most" in lines[1]
    assert ds.stimuli == "[(0.0, 2.0, 0.3, 4)]"


WIDTHS = {  # what numba compiles for: a processor and its features
    "256 bits": ("haswell", "+avx2,+fma"),
    "512 bits": ("skylake-avx512", "+avx2,+fma,+avx512f,+avx512vl,+avx512dq,+avx512bw"),
}
COMPILED = """
import sys
import llvmlite.binding
llvmlite.binding.get_host_cpu_features = lambda: {"avx512f": "avx512f" in sys.argv[1]}
import numpy as np
from numba import typeof
from forwardecg.tissue.cell import FK_CAF, constants
from forwardecg.solver.kernel import advance
flat = lambda size=200: np.zeros(size, np.float32)
cell = constants(FK_CAF, 0.1, np.float32)
run = flat(), flat(), flat(), flat(), (flat(), flat(), flat(0), flat(0)), flat(), flat(), np.zeros(0, np.int64), flat(0), cell, 0.1, 0, 1, 16
fresh = type(advance)(advance.py_func, targetoptions={"fastmath": True, "error_model": "numpy"})  # not from the cache
fresh.compile(tuple(map(typeof, run)))
print(*fresh.inspect_asm().values())
"""
ARITHMETIC = r"v(?:fn?m(?:add|sub)\d+|mul|add|sub|div)"


def inner_loops(asm: str) -> dict[str, list[list[str]]]:
    """The instructions of every loop without a branch inside, by the function that it stands in."""
    found, function, label, lines = {}, "", "", []
    for line in map(str.strip, asm.splitlines()):
        if name := re.match(r"(\.?\w+):", line):
            label, lines = name[1], []
            function = function if label.startswith(".") else label
        elif re.match(rf"j\w+\s+{re.escape(label)}$", line):
            found.setdefault(function, []).append(lines)
            lines = []
        else:
            lines.append(line)
    return found


@pytest.mark.parametrize("width", WIDTHS)
def test_hot_loop_is_vectorized(width):
    """The inner loops of the float32 step work on whole vectors, whatever their width: a scalar is left to remainders only."""
    if platform.machine() != "x86_64":
        pytest.skip("reads x86 assembly")
    cpu, features = WIDTHS[width]
    target = {"NUMBA_CPU_NAME": cpu, "NUMBA_CPU_FEATURES": features}
    done = subprocess.run(
        [sys.executable, "-c", COMPILED, features], env=os.environ | target, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    loops = inner_loops(done.stdout)
    for name in ("_advance_isotropic", "_advance_anisotropic"):
        (hot,) = [inside for function, inside in loops.items() if name in function]
        assert not any(re.match(ARITHMETIC + "(s[sd]|pd)", line) for loop in hot for line in loop)
        assert not any("cvtss2sd" in line for loop in hot for line in loop)
        packed = [
            line for loop in hot for line in loop if re.match(ARITHMETIC + "ps", line) and re.search("[yz]mm", line)
        ]
        assert len(packed) >= 30  # products and sums that the equations ask of one cell


def test_bad_runs_are_refused():
    sheet, shape = healthy((20, 20), 0.5, 0.12), (20, 20)
    good = [edge_stimulus(shape, 0.5)]
    with pytest.raises(ValueError, match="stimuli: expected at least one Stimulus, got none"):
        next(solve(sheet, [], t_end=10))
    with pytest.raises(ValueError, match=r"dt: expected at most the stability limit .* ms"):
        next(solve(sheet, good, t_end=12, dt=0.6, every=0.6, calibrated=False))
    with pytest.raises(ValueError, match="every: expected a positive multiple of dt = 0.1 ms"):
        next(solve(sheet, good, t_end=10, every=0.25))
    with pytest.raises(ValueError, match="stimulus mask: expected shape"):
        next(solve(sheet, [edge_stimulus((9, 9), 0.5)], t_end=10))
    blocked = Tissue(D=sheet.D, conductive=~good[0].mask, dx=0.5)
    with pytest.raises(ValueError, match="at least one conductive cell under it"):
        next(solve(blocked, good, t_end=10))
    with pytest.raises(ValueError, match="stimulus start: expected a time before t_end = 10 ms, got 50"):
        next(solve(sheet, [replace(good[0], start=50)], t_end=10))
    with pytest.raises(ValueError, match="stimulus start: expected a positive multiple of dt = 0.1 ms, got 0.05"):
        next(solve(sheet, [replace(good[0], start=0.05)], t_end=10))
    with pytest.raises(ValueError, match="fk: expected FKParams"):
        next(solve(sheet, good, t_end=10, fk="FK_CAF"))
    with pytest.raises(ValueError, match="electrodes: expected Electrodes"):
        simulate(sheet, good, t_end=10, electrodes=np.zeros((1, 3)))
    with pytest.raises(ValueError, match="conductor: expected electrodes to read it at"):
        simulate(sheet, good, t_end=10, conductor=Sphere(30.0, (5.0, 5.0, 0.0)))
    for pool in (3, 0, -5, 2.0):
        with pytest.raises(ValueError, match="pool: expected a divisor"):
            simulate(sheet, good, t_end=10, pool=pool)
    for dt in (0, -0.1, float("nan")):
        with pytest.raises(ValueError, match="dt: expected a time > 0 ms"):
            next(solve(sheet, good, t_end=10, dt=dt))
    with pytest.raises(ValueError, match="real: expected np.float32 or np.float64, got <class 'int'>"):
        next(solve(sheet, good, t_end=10, real=int))
    with pytest.raises(ValueError, match="t_end: expected a positive multiple of every = 4 ms, got 10 ms"):
        next(solve(sheet, good, t_end=10, every=4))
    with pytest.raises(ValueError, match="t_end: expected a positive multiple of frame_interval = 4 ms, got 10 ms"):
        simulate(sheet, good, t_end=10, frame_interval=4)
    with pytest.raises(ValueError, match="ecg_interval: expected a time > 0 ms, got 0"):
        simulate(sheet, good, t_end=10, ecg_interval=0)
    for name, arguments in {"D": (0, 0.5, 0.1), "dx": (0.1, -1, 0.1), "dt": (0.1, 0.5, float("nan"))}.items():
        with pytest.raises(ValueError, match=f"{name}: expected a finite number > 0"):
            cable_cv(*arguments)
    assert stability_limit(0.16, 0.5) == pytest.approx(0.390625)
