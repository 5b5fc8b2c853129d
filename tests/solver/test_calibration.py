"""Conduction velocity, its scaling (V4, V5) and its calibration, along fibers as well."""

import numpy as np
import pytest
from solver.sheets import PASSIVE

from forwardecg.solver.calibration import cable_cv, calibrate_diffusivity, calibration_table, converged_cv
from forwardecg.solver.simulation import simulate, solve
from forwardecg.tissue.cell import FK_CAF, FK_MLR1
from forwardecg.tissue.grid import Grid
from forwardecg.tissue.sheet import healthy, with_fibers
from forwardecg.tissue.stimulus import Stimulus, edge_stimulus


@pytest.mark.parametrize(("fk", "cv"), [(FK_CAF, 0.644), (FK_MLR1, 0.611)], ids=["CAF", "MLR-I"])
def test_conduction_velocity_is_the_reference_one(fk, cv):
    """V4: dx 0.1 mm, dt 0.01 ms, D 0.1 mm^2/ms."""
    assert cable_cv(0.1, 0.1, 0.01, fk) == pytest.approx(cv, abs=0.005)


def test_velocity_scales_with_sqrt_D_exactly():
    """V5: CV(D, dx) = sqrt(D / D0) CV(D0, dx sqrt(D0 / D)), to rounding."""
    dx, D = 0.25, 0.04
    scaled = np.sqrt(D / 0.1) * cable_cv(0.1, dx * np.sqrt(0.1 / D), 0.05)
    assert cable_cv(D, dx, 0.05) == pytest.approx(scaled, rel=1e-9)


def test_calibrated_grid_conducts_at_the_converged_velocity():
    # One percent: where a wave passes a cell in a whole number of time steps its speed locks, by up to 0.7 %.
    dx, dt = 0.5, 0.1
    for D in (0.015, 0.05, 0.12, 0.2):
        D_num = calibrate_diffusivity(np.full((1, 1), D), np.ones((1, 1), bool), dx, dt)[0, 0]
        assert D_num > D
        assert cable_cv(D_num, dx, dt) == pytest.approx(converged_cv(FK_CAF) * np.sqrt(D / 0.1), rel=0.01)
    assert cable_cv(0.015, dx, dt) < 0.6 * converged_cv(FK_CAF) * np.sqrt(0.15)  # what happens without


def test_calibration_says_what_it_cannot_reach():
    table_D, _ = calibration_table(0.5, 0.1, FK_CAF)
    with pytest.raises(ValueError, match="cell: expected a cell model that conducts"):
        calibrate_diffusivity(np.full((1, 1), 0.1), np.ones((1, 1), bool), 0.5, 0.1, PASSIVE)
    with pytest.raises(ValueError, match="D: expected values in .* that dx = 0.5 mm, dt = 0.1 ms"):
        calibrate_diffusivity(np.full((1, 1), 0.5 * table_D[0]), np.ones((1, 1), bool), 0.5, 0.1)
    for factor in (1.1, 2.0):  # the grid would need a larger D than the step allows, or D is itself too large for it
        with pytest.raises(ValueError, match="dt: expected at most"):
            calibrate_diffusivity(np.full((1, 1), factor * table_D[-1]), np.ones((1, 1), bool), 0.5, 0.1)


@pytest.mark.parametrize("angle", [0.0, np.pi / 2])
def test_fibers_conduct_like_the_square_root_of_their_diffusivity(angle):
    """Plane waves along and across fibers that lie on the grid axes are those of isotropic sheets with that D."""
    n, fibers = 60, with_fibers(healthy((3, 60), 0.25, 0.16), angle, 4.0)
    plain = healthy((3, 60), 0.25, 0.16 if angle == 0 else 0.04)
    lat = [
        simulate(t, [edge_stimulus(Grid((3, n), 0.25))], t_end=90, dt=0.05, dtype=np.float64).lat.values
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
    lat = simulate(fibers, [edge_stimulus(Grid((80, 160), dx))], t_end=90, dt=0.05, calibrated=False).lat.values[40]
    seen = D * (np.cos(np.pi / 6) ** 2 + np.sin(np.pi / 6) ** 2 / ratio)
    assert 50 * dx / (lat[110] - lat[60]) == pytest.approx(cable_cv(seen, dx, 0.05), rel=0.02)


def test_bad_cables_are_refused():
    for name, arguments in {"D": (0, 0.5, 0.1), "dx": (0.1, -1, 0.1), "dt": (0.1, 0.5, float("nan"))}.items():
        with pytest.raises(ValueError, match=f"{name}: expected a number >"):
            cable_cv(*arguments)
