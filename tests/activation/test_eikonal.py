"""Activation times: closed forms, order of convergence, fibers, walls, collisions, symmetry, and the solver itself."""

from dataclasses import replace

import numpy as np
import pytest
import skfmm

from forwardecg.activation.eikonal import (
    SPREAD,
    check_single,
    first_guess,
    first_rays,
    front_law,
    given_law,
    longest_wait,
    network,
    solve_eikonal,
    speed,
    spread,
)
from forwardecg.activation.loops import FAR, STEP, WIDTH, needs, renumber
from forwardecg.solver.simulation import simulate
from forwardecg.tissue.cell import FK_CAF
from forwardecg.tissue.sheet import TEXTURES, Tissue, fibrotic, healthy, with_fibers
from forwardecg.tissue.stimulus import Stimulus, edge_stimulus, focal_stimulus, s1_s2

DX, DT, D0 = 0.5, 0.1, 0.13
EXACT = {"passes": 12, "close": 1e-9}  # the balance to rounding


def from_center(sheet: Tissue, radius: float = 3.0) -> tuple[np.ndarray, np.ndarray]:
    """True times (y, x) of rays from the center, and those of them that are given: within a radius."""
    y, x = sheet.grid.centers
    y, x = y - sheet.grid.size[0] / 2, x - sheet.grid.size[1] / 2
    angle = 0.0 if sheet.fiber_angle is None else sheet.fiber_angle
    across = sheet.D if sheet.D_across is None else sheet.D_across
    along = (x * np.cos(angle) + y * np.sin(angle)) ** 2 / sheet.D + (
        y * np.cos(angle) - x * np.sin(angle)
    ) ** 2 / across
    true = np.sqrt(along) / speed(FK_CAF)
    return true, np.where(np.hypot(x, y) < radius, true, FAR)


def at(sheet: Tissue, y: int, x: int, onset: float = 0.0) -> np.ndarray:
    """Times at which a wave begins in one cell."""
    return np.where((np.arange(sheet.D.shape[0])[:, None] == y) & (np.arange(sheet.D.shape[1]) == x), onset, FAR)


def balanced(sheet: Tissue, begin: np.ndarray, **terms) -> np.ndarray:
    """Times (y, x) of the balance to rounding."""
    net = network(sheet, DT, FK_CAF, **terms)
    return net.crop(spread(begin, sheet, net, FK_CAF, **EXACT).T)


def test_rays_in_uniform_tissue_travel_at_c_sqrt_D_and_converge_with_the_first_order():
    errors = []
    for dx in (1.0, 0.5, 0.25):
        sheet = healthy((round(40 / dx),) * 2, dx, D0)
        true, begin = from_center(sheet)
        errors.append(np.abs(first_rays(begin, sheet, FK_CAF) - true).max())
    assert errors[1] < 0.5, errors
    assert all(np.log2(before / after) > 0.75 for before, after in zip(errors, errors[1:], strict=False)), errors


@pytest.mark.parametrize("degrees", [0, 15, 30, 45, 70])
def test_rays_in_four_to_one_fibers_are_an_ellipse(degrees):
    sheet = with_fibers(healthy((81, 81), DX, D0), np.radians(degrees), 4.0)
    true, begin = from_center(sheet)
    far = true > 10
    relative = first_rays(begin, sheet, FK_CAF)[far] / true[far]
    assert relative.min() >= 1 - 1e-9 and relative.max() < 1.03, (relative.min(), relative.max())


def test_rays_obey_the_triangle_inequality():
    rng = np.random.default_rng(0)
    sheet = fibrotic(healthy((40, 40), DX, D0), "patchy", seed=2)
    sheet = replace(sheet, D=sheet.D * rng.uniform(0.5, 1.5, sheet.D.shape))
    places = np.argwhere(sheet.live)[rng.choice(sheet.live.sum(), 6, replace=False)]
    T = np.array([[first_rays(at(sheet, *a), sheet, FK_CAF)[tuple(b)] for b in places] for a in places])
    detour = (T[:, :, None] + T[None]).min(1)
    assert (detour * 1.02 + 1.0 >= T).all()  # first order: the numerical error of a path is no part of the claim
    assert (T[~np.eye(6, dtype=bool)] > 0).all()


@pytest.mark.parametrize("texture", [None, "patchy", "diffuse"])
def test_the_first_guess_is_that_of_an_independent_fast_marching(texture):
    """Of the same order, from the same times near the center, around the same walls: but for the width of a bucket."""
    sheet = healthy((80, 80), DX, D0)
    sheet = sheet if texture is None else fibrotic(sheet, texture, seed=4)
    y, x = np.mgrid[:80, :80] * DX
    sheet = replace(sheet, D=sheet.D * (1 + 0.4 * np.sin(x / 9) * np.cos(y / 7)))
    from_middle = np.hypot(x - 20, y - 20)
    velocity = speed(FK_CAF) * np.sqrt(np.where(sheet.live, sheet.D, D0))
    front = np.ma.MaskedArray(from_middle - 2.0, ~sheet.live)
    theirs = np.ma.filled(skfmm.travel_time(front, velocity, dx=DX, order=1), np.inf)
    net = network(sheet, DT, FK_CAF)
    given = (from_middle < 4.0) & np.isfinite(theirs)
    T, order = first_guess(net.pad(np.where(given, theirs, FAR), FAR), sheet, net, FK_CAF)
    ours, reached = net.crop(T), np.isfinite(theirs) & ~given
    assert reached.sum() > 3000 and (ours[sheet.live & ~np.isfinite(theirs)] == FAR).all()
    assert np.abs(ours - theirs)[reached].max() < WIDTH, np.abs(ours - theirs)[reached].max()
    assert np.abs(ours - theirs)[reached].mean() < 0.1 * WIDTH
    assert (np.diff(T[order]) > -2 * WIDTH).all()


def test_several_sites_are_the_minimum_of_each():
    sheet = fibrotic(healthy((50, 50), DX, D0), "compact", seed=1)
    first, second = at(sheet, 5, 5), at(sheet, 40, 44, onset=7.0)
    together = first_rays(np.minimum(first, second), sheet, FK_CAF)
    alone = np.minimum(first_rays(first, sheet, FK_CAF), first_rays(second, sheet, FK_CAF))
    assert np.abs(together - alone).max() < 1e-5


def test_a_site_that_the_wave_passes_before_its_onset_changes_nothing():
    sheet = healthy((20, 60), DX, D0)
    left, late = edge_stimulus(sheet), edge_stimulus(sheet, "right", start=60.0)
    both = solve_eikonal(sheet, [left, late])
    assert np.abs(both - solve_eikonal(sheet, left)).max() < 0.05


def test_a_plane_wave_has_the_converged_velocity_and_no_load_makes_it_no_faster_on_a_continuum():
    sheet = healthy((4, 80), DX, 0.07)
    begin = np.where(np.arange(80) < 2, 0.0, FAR) * np.ones((4, 1))
    true = DX / (speed(FK_CAF) * np.sqrt(0.07))
    continuum = {"grid": False, "spread": 0.0}
    for terms in ({}, continuum, continuum | {"load": 0.0}):
        lags = np.diff(balanced(sheet, begin, **terms), axis=1)[:, 10:60]
        assert np.abs(lags / true - 1).max() < 0.01, (terms, lags[0, ::10], true)


def test_a_curved_front_is_slower_by_D_over_its_radius():
    """V = c sqrt(D) - D / R, from (1 + div(D grad T))^2 = c^2 grad T . D grad T in a circle."""
    sheet = healthy((161, 161), 0.125, D0)
    true, begin = from_center(sheet, 2.0)
    T = balanced(sheet, begin, load=1e3, spread=0.0, grid=False)[80, 80:]  # draws as eikonal-diffusion has it
    r = 0.125 * np.arange(T.size)
    V = 0.25 / (T[2:] - T[:-2])
    some = (r[1:-1] > 3) & (r[1:-1] < 8)
    slope, plane = np.polyfit(1 / r[1:-1][some], V[some], 1)
    assert -slope == pytest.approx(D0, rel=0.25)
    assert plane == pytest.approx(speed(FK_CAF) * np.sqrt(D0), rel=0.02)


def test_the_term_of_the_grid_vanishes_with_the_second_order():
    """At the lag of one cell a fine grid gives nearly the charge of the continuum."""
    missing = []
    for dx, dt in ((0.5, 0.1), (0.25, 0.025)):
        lag = dx / (speed(FK_CAF) * np.sqrt(D0))
        grid, continuum = (
            np.interp(lag, STEP * (np.arange(law.size) - law.size // 2), law)
            for law in (front_law(dx, dt, FK_CAF, 0.0), front_law(dx, dt, FK_CAF, 0.0, False))
        )
        missing.append(1 - grid / continuum)
    assert 0.2 < missing[0] < 0.5 and 0 < missing[1] < 0.5 * missing[0], missing


@pytest.mark.parametrize("texture", [None, "diffuse", "interstitial"])
def test_the_eight_images_of_a_tissue_have_the_eight_images_of_its_times(texture):
    sheet = healthy((40, 40), DX, D0)
    sheet = sheet if texture is None else fibrotic(sheet, texture, seed=4)
    begin = np.where(focal_stimulus(sheet, 6.0, 8.0, 3.0).mask & sheet.live, 1.0, FAR)
    T = balanced(sheet, begin)
    for turns in range(4):
        for flip in (False, True):
            image = lambda a, n=turns, f=flip: np.ascontiguousarray(np.rot90(a, n)[:, :: -1 if f else 1])  # noqa: E731
            turned = replace(sheet, D=image(sheet.D), conductive=image(sheet.conductive))
            assert np.abs(balanced(turned, image(begin)) - image(T)).max() < 1e-4


def test_two_fronts_that_collide_meet_in_the_middle_and_hurry_at_the_end():
    sheet = healthy((6, 80), DX, D0)
    edges = [edge_stimulus(sheet, side) for side in ("left", "right")]
    both, alone = (balanced(sheet, np.where(mask, 1.0, FAR)) for mask in (edges[0].mask | edges[1].mask, edges[0].mask))
    assert np.abs(both - both[:, ::-1]).max() < 1e-6
    assert (both <= np.minimum(alone, alone[:, ::-1]) + 1e-6).all()
    assert 0.05 < alone[3, 39] - both[3, 39] < 1.0  # without cells ahead that draw charge
    simulated = simulate(sheet, edges, t_end=60.0).lat.values
    assert np.abs(both - simulated).max() < 0.4


def barrier(gap: int) -> Tissue:
    """A wall across the sheet, open in its first ``gap`` rows."""
    conductive = np.ones((60, 60), bool)
    conductive[gap:, 30] = False
    return replace(healthy((60, 60), DX, D0), conductive=conductive)


def test_rays_go_around_a_wall_by_the_shortest_way():
    sheet = barrier(10)
    T = first_rays(at(sheet, 50, 10), sheet, FK_CAF)
    corner, behind = np.array([9.5, 30]), np.array([50, 50])
    way = np.hypot(*(corner - [50, 10])) + np.hypot(*(behind - corner))
    assert T[50, 50] == pytest.approx(way * DX / (speed(FK_CAF) * np.sqrt(D0)), rel=0.03)
    assert first_rays(at(barrier(0), 50, 10), barrier(0), FK_CAF)[:, 31:].min() == FAR


def test_a_wall_of_cells_that_touch_at_corners_is_closed():
    conductive = ~np.eye(40, dtype=bool)
    for sheet in (
        replace(healthy((40, 40), DX, D0), conductive=conductive),
        with_fibers(replace(healthy((40, 40), DX, D0), conductive=conductive), 0.0, 4.0),
    ):
        lat = solve_eikonal(sheet, edge_stimulus(sheet, "bottom"))
        right = np.triu(np.ones((40, 40), bool), 1)
        below = edge_stimulus(sheet, "bottom").mask
        assert np.isfinite(lat.values[right]).all()
        only_left = np.tril(np.ones((40, 40), bool), -1) & ~below
        simulated = simulate(sheet, edge_stimulus(sheet, "bottom"), t_end=100.0).lat.values
        assert (np.isfinite(lat.values) == np.isfinite(simulated))[only_left | right].all()


@pytest.mark.parametrize("texture", TEXTURES)
def test_the_balance_gives_the_times_of_the_solver_in_fibrosis(texture):
    sheet = fibrotic(healthy((80, 80), DX, D0), texture, seed=5)
    stimulus = edge_stimulus(sheet)
    simulated = simulate(sheet, stimulus, t_end=140.0).lat.values
    ours = solve_eikonal(sheet, stimulus).values
    assert (np.isfinite(ours) == np.isfinite(simulated)).all()
    rays = first_rays(np.where(stimulus.mask & sheet.live, 1.0, FAR), sheet, FK_CAF)
    live = np.isfinite(simulated)
    error, of_rays = np.abs(ours - simulated)[live].mean(), np.abs(rays - simulated)[live].mean()
    assert error < 0.35, (error, of_rays)
    assert texture != "diffuse" or of_rays > 5 * error


@pytest.mark.parametrize(("degrees", "texture"), [(0, None), (30, None), (70, None), (30, "compact"), (120, "patchy")])
def test_the_balance_gives_the_times_of_the_solver_in_fibers(degrees, texture):
    sheet = healthy((80, 80), DX, D0)
    sheet = sheet if texture is None else fibrotic(sheet, texture, seed=4)
    sheet = with_fibers(sheet, np.radians(degrees), 4.0)
    stimulus = focal_stimulus(sheet, 20.0, 20.0, 5.0)
    error = solve_eikonal(sheet, stimulus) - simulate(sheet, stimulus, t_end=160.0).lat
    assert float(abs(error).mean()) < 0.5 and float(abs(error).max()) < 2.5


def test_the_longest_wait_is_that_of_the_slowest_pair_and_walls_wait_for_none():
    sheet = fibrotic(healthy((30, 40), DX, D0), "diffuse", seed=4)
    net, T = network(sheet, DT, FK_CAF), np.random.default_rng(3).uniform(0, 300, (32, 42))
    T, live = np.where(net.live.reshape(net.shape), T, FAR), net.live.reshape(net.shape)
    pairs = [np.abs(np.diff(T, axis=axis))[np.diff(live.astype(int), axis=axis) == 0] for axis in (0, 1)]
    assert longest_wait(T.ravel(), net) == max(pair[pair < FAR / 2].max() for pair in pairs)


def test_neighbors_before_a_cell_that_are_all_equally_long_before_it_give_all_they_have():
    """The waves of a cable, along an axis or a diagonal; others need more charge, on a grid whose cells are not small."""
    sheet, more = healthy((30, 30), DX, D0), []
    net, y, x = network(sheet, DT, FK_CAF), *np.mgrid[:32, :32]
    order, offsets = np.flatnonzero(net.live), tuple(net.offsets.tolist())
    beside, g = renumber(order, net.g, offsets)
    for a, b in ((0.7, 0.0), (0.0, -0.7), (0.5, 0.5), (0.2, 0.7)):
        T = np.append((100 + a * y + b * x).ravel()[order], FAR)
        need = needs(T, beside, g, offsets, given_law(DX, DT, FK_CAF, 2.0))
        more.append(need[order == 15 * 32 + 15].item() - 1)
    assert np.abs(more[:3]).max() < 1e-9 and more[3] > 0.005, more


def test_without_that_a_wave_oblique_to_fibers_would_be_too_fast():
    """Fibers along an axis, so that there are four neighbors, of which two are far ahead of the other two."""
    sheet = with_fibers(healthy((121, 121), DX, D0), 0.0, 4.0)
    focus = focal_stimulus(sheet, 30.25, 30.25, 5.0)
    along = np.arange(20, 50)  # cells along the diagonal
    simulated = simulate(sheet, focus, t_end=100.0).lat.values[60 + along, 60 + along]
    begin, errors = np.where(focus.mask, 1.0, FAR), []
    for spread_of_lags in (SPREAD, 0.0):
        T = balanced(sheet, begin, spread=spread_of_lags)[60 + along, 60 + along]
        errors.append(np.polyfit(simulated, T, 1)[0] - 1)
    assert abs(errors[0]) < 0.015 and errors[1] < -0.03, errors


def test_what_one_activation_cannot_tell_is_refused():
    sheet = healthy((30, 60), DX, D0)
    left = edge_stimulus(sheet)
    with pytest.raises(ValueError, match="stimuli: .*second wave or re-entry: one starts 299 ms"):
        solve_eikonal(sheet, s1_s2(left, interval=300.0, n_s1=2, s2=[]))
    with pytest.raises(
        ValueError, match="stimuli: .*second wave or re-entry"
    ):  # half of it has recovered: S2 would turn
        solve_eikonal(sheet, s1_s2(left, 120.0, 1, [120.0], site=focal_stimulus(sheet, 6.0, 6.0, 5.0)))
    with pytest.raises(ValueError, match="stimulus amplitude: expected one that activates FK-CAF, got 0.01"):
        solve_eikonal(sheet, replace(left, amplitude=0.01))
    with pytest.raises(ValueError, match="stimulus mask: expected shape"):
        solve_eikonal(sheet, Stimulus(mask=np.ones((2, 2), bool)))
    net = network(sheet, DT, FK_CAF)
    T = np.where(np.arange(60) < 30, 1.0, 40.0) * np.ones((30, 1))
    with pytest.raises(ValueError, match="tissue: .*block: a cell waits more than 12 ms"):
        check_single(net.pad(T, FAR), [left], net, 100.0)
