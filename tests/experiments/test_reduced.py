"""Reduced models: what a decomposition must do, lead fields of pixels, and no test tissue among those that are learned from."""

import numpy as np
import pandas as pd
import pytest
import torch

from experiments import reduced
from forwardecg.activation.eikonal import solve_eikonal
from forwardecg.contract import V_SPAN
from forwardecg.ecg.leadfield import lead_field

SHAPE = (reduced.CELLS // reduced.POOL,) * 2


def a_run(family: str) -> reduced.Run:
    """A tissue whose pixels have any voltage, the same in all their conductive cells, so that its ECG is known."""
    tissue, stimulus, parameters = reduced.draw(family, 7)
    level = np.random.default_rng(3).random((reduced.N_FRAMES, *SHAPE))
    cells = level.repeat(reduced.POOL, 1).repeat(reduced.POOL, 2) * tissue.conductive
    L = lead_field(tissue, reduced.places())
    phi_e = V_SPAN * np.tensordot(L, cells, ((1, 2), (1, 2)))
    u = cells.reshape(len(level), SHAPE[0], reduced.POOL, SHAPE[1], reduced.POOL).mean((2, 4))
    return reduced.Run(tissue, stimulus, parameters, u, np.full(tissue.D.shape, 100.0), phi_e)


@pytest.mark.parametrize("k", [1, 4])
def test_a_family_of_rank_k_is_exact_with_k_modes(k):
    rng = np.random.default_rng(0)
    snapshots = rng.standard_normal((40, k)) @ rng.standard_normal((k, 300))
    basis = reduced.pod(snapshots, 12)
    assert np.allclose(basis.project(snapshots, k), snapshots, atol=1e-9)
    assert basis.unexplained(k) < 1e-6 and basis.unexplained(k - 1) > 0.05
    assert np.allclose(basis.modes @ basis.modes.T, np.eye(len(basis.modes)), atol=1e-9)


def test_the_error_of_a_projection_is_the_tail_of_the_singular_values():
    rng = np.random.default_rng(1)
    snapshots = rng.standard_normal((200, 300)) * 0.6 ** np.arange(300)
    basis, exact = reduced.pod(snapshots, 30), np.linalg.svd(snapshots, compute_uv=False)
    for k in (1, 5, 12, 22):
        left = np.linalg.norm(snapshots - basis.project(snapshots, k)) / np.linalg.norm(snapshots)
        assert left == pytest.approx(basis.unexplained(k), rel=1e-4)
        assert left == pytest.approx(np.linalg.norm(exact[k:]) / np.linalg.norm(exact), rel=1e-3)


def test_small_singular_values_do_not_drown_in_rounding():
    rng = np.random.default_rng(2)
    left, right = (np.linalg.qr(rng.standard_normal((n, 40)))[0] for n in (40, 600))
    exact = np.logspace(0, -4, 40)
    assert np.allclose(reduced.pod(left * exact @ right.T, 40).singular, exact, rtol=1e-6)


@pytest.mark.parametrize("family", reduced.FAMILIES)
def test_pixels_read_what_cells_do_where_a_pixel_has_one_voltage(family):
    true = reduced.read(a_run(family))
    found = reduced.score_voltage(true, true.u)
    assert found["r2_far"] == pytest.approx(1, abs=1e-9) and found["r2_near"] == pytest.approx(1, abs=1e-9)
    assert found["eps_rel"] == 0 and found["rms_front"] == 0
    half = reduced.score_voltage(true, 0.5 * true.u)
    assert half["eps_rel"] == pytest.approx(0.5) and 0 < half["front_share"] < 1


def test_a_circular_wave_in_closed_form_is_that_of_the_balance_of_charge():
    tissue, stimulus, parameters = reduced.draw("healthy", 0)
    times = solve_eikonal(tissue, stimulus, dt=reduced.DT).values
    empty = np.zeros((1, *SHAPE))
    run = reduced.Run(tissue, stimulus, parameters, empty, times, np.zeros((2, reduced.N_FRAMES)))
    apart = reduced.closed_form(run) - times
    assert np.abs(apart).mean() < 2.5 and np.abs(apart).max() < 8


def test_a_cell_without_a_time_has_that_of_its_neighbor():
    lat = np.array([[1.0, np.nan, 9.0], [1.0, 1.0, 9.0]])
    assert reduced.fill(lat)[0, 1] in (1.0, 9.0) and np.array_equal(reduced.fill(lat)[1], lat[1])


def test_a_network_learns_coefficients_in_their_own_unit():
    """Constant targets of any size are reached, and the network gives them unscaled."""
    how = reduced.Training(width=16, waves=0, steps=200, batch=0, lr=1e-2)
    given = torch.from_numpy(np.stack([reduced.draw("fibrotic", sim)[2] for sim in range(5)])).float()
    targets = torch.tensor([300.0, -20.0]).repeat(5, 1)
    model = reduced.train((given,), targets, how, seed=0)
    assert float((model(given) - targets).norm() / targets.norm()) < 0.03


@pytest.mark.parametrize("family", reduced.FAMILIES)
def test_draws_are_those_of_their_number(family):
    low, high = reduced.FAMILIES[family]
    one, same, other = (reduced.draw(family, sim) for sim in (3, 3, 4))
    assert np.array_equal(one[2], same[2]) and np.array_equal(one[0].conductive, same[0].conductive)
    assert not np.array_equal(one[2], other[2])
    share = 1 - one[0].conductive.mean()
    assert low <= one[2][3] <= high and share == pytest.approx(one[2][3], abs=0.01)


def test_no_tissue_is_learned_from_and_scored(monkeypatch):
    learned, scored = {}, {}
    monkeypatch.setattr(reduced, "load_or_simulate", lambda family, sim: (family, sim))
    monkeypatch.setattr(reduced, "learn", lambda family, runs, seeds: learned.update({family: runs}))
    monkeypatch.setattr(reduced, "write_frames", lambda run, models: None)
    monkeypatch.setattr(reduced, "write_tables", lambda family, rows, models: None)

    def score(family, sim, run, models):
        scored.setdefault(family, []).append(run)
        assert sim == run[1]
        return pd.DataFrame([{"method": "none", "r2_far": 1.0}])

    monkeypatch.setattr(reduced, "score", score)
    reduced.main([*reduced.FAMILIES], n_train=5, n_test=3, seeds=1)
    for family in reduced.FAMILIES:
        assert len(learned[family]) == 5 and len(scored[family]) == 3
        assert not {*learned[family]} & {*scored[family]}
