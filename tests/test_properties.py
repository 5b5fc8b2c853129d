"""Properties that hold for every tissue (V3, V6, W1), searched for counterexamples over random sheets with and without fibers."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forwardecg.ecg.electrodes import Electrodes
from forwardecg.ecg.leadfield import lead_field, pseudo_ecg, source_sum_ecg
from forwardecg.solver.simulation import solve
from forwardecg.tissue.diffusion import couplings, net_flux, stability_limit, stable_step
from forwardecg.tissue.sheet import Tissue, healthy, with_fibers
from forwardecg.tissue.stimulus import Stimulus

search = settings(max_examples=40, deadline=None, derandomize=True)
MOVES = {  # of an array, of a fiber direction, of an electrode on a sheet of the given width and height
    "quarter turn": (np.rot90, lambda a: a + np.pi / 2, lambda x, y, width, height: (height - y, x)),
    "mirror": (np.fliplr, lambda a: np.pi - a, lambda x, y, width, height: (width - x, y)),
    "transpose": (np.transpose, lambda a: np.pi / 2 - a, lambda x, y, width, height: (y, x)),
}


@st.composite
def tissues(draw) -> Tissue:
    """Sheets of 1 to 12 cells along each side, D over two decades with zeros, holes, and in one half of them fibers."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = draw(st.tuples(st.integers(1, 12), st.integers(1, 12)))
    D = 0.2 * 10 ** rng.uniform(-2, 0, shape) * (rng.random(shape) > 0.05)
    conductive = rng.random(shape) >= draw(st.sampled_from([0.0, 0.1, 0.3, 0.6]))
    D.flat[0], conductive.flat[0] = 0.1, True  # never an empty sheet
    tissue = Tissue(D=D, conductive=conductive, dx=draw(st.sampled_from([0.25, 0.5, 1.0])))
    if draw(st.booleans()):
        tissue = with_fibers(tissue, rng.uniform(-np.pi, np.pi, shape), draw(st.sampled_from([1.0, 2.0, 9.0, 100.0])))
    return tissue


@search
@given(tissues(), st.integers(0, 2**32 - 1))
def test_operator_conserves_is_symmetric_and_dissipates(tissue, seed):
    g = couplings(tissue)
    a, b = np.random.default_rng(seed).standard_normal((2, *tissue.D.shape))
    A_a, A_b = net_flux(a, *g), net_flux(b, *g)
    size = sum(np.abs(part).sum() for part in g if part is not None) + 1e-300
    assert abs(A_a.sum()) <= 1e-12 * size
    assert abs((a * A_b).sum() - (b * A_a).sum()) <= 1e-12 * 10 * size
    assert (a * A_a).sum() <= 1e-12 * size  # -A has no negative eigenvalue, fibers in any direction included
    assert not A_a[~tissue.live].any()
    assert np.abs(net_flux(np.full(a.shape, -85.0), *g)).max() <= 1e-12 * size


@search
@given(tissues())
def test_no_mode_grows_at_the_stable_step(tissue):
    n = tissue.D.size
    A = np.array([net_flux(unit.reshape(tissue.D.shape), *couplings(tissue)).ravel() for unit in np.eye(n)])
    if A.any():
        factors = np.linalg.eigvalsh(np.eye(n) + stable_step(couplings(tissue), tissue.dx) / tissue.dx**2 * A)
        assert factors.min() >= -1 - 1e-12 and factors.max() <= 1 + 1e-12


@search
@given(tissues())
def test_equal_diffusivity_along_and_across_is_isotropy(tissue):
    plain = replace(tissue, D_across=None, fiber_angle=None)
    g, g_fibers = couplings(plain), couplings(with_fibers(plain, 0.7, 1.0))
    assert np.allclose(g.D_x, g_fibers.D_x, atol=1e-15) and np.allclose(g.D_y, g_fibers.D_y, atol=1e-15)
    assert np.abs(g_fibers.D_ne).max() < 1e-15 and np.abs(g_fibers.D_nw).max() < 1e-15


@search
@given(tissues(), st.sampled_from(sorted(MOVES)), st.integers(0, 2**32 - 1))
def test_turning_and_mirroring_changes_nothing(tissue, move, seed):
    """V6: the operator, the lead field and one time step, to 1e-12 in double precision."""
    array, angle, place = MOVES[move]
    parts = {"D": array(tissue.D).copy(), "conductive": array(tissue.conductive).copy()}
    if tissue.fiber_angle is not None:
        parts |= {"D_across": array(tissue.D_across).copy(), "fiber_angle": angle(array(tissue.fiber_angle))}
    moved = replace(tissue, **parts)
    rng = np.random.default_rng(seed)
    z, (n_y, n_x) = rng.standard_normal(tissue.D.shape), tissue.D.shape
    assert np.abs(array(net_flux(z, *couplings(tissue))) - net_flux(array(z), *couplings(moved))).max() < 1e-12
    width, height = n_x * tissue.dx, n_y * tissue.dx
    x, y = rng.uniform(-5, 15, 2)
    at, moved_at = (
        Electrodes(np.array([[*p, 3.0]]), ("e",)) for p in ((x, y), np.array([*place(x, y, width, height)]))
    )
    if move == "quarter turn":  # rot90 turns rows from the last to the first: x becomes y, y becomes width - x
        moved_at = Electrodes(np.array([[y, width - x, 3.0]]), ("e",))
    assert np.abs(array(lead_field(tissue, at)[0]) - lead_field(moved, moved_at)[0]).max() < 1e-12
    mask = tissue.live & (rng.random(tissue.D.shape) < 0.5)
    mask |= (np.arange(mask.size) == np.flatnonzero(tissue.live)[0]).reshape(mask.shape)
    run = dict(t_end=0.02, every=0.01, dt=0.01, calibrated=False, dtype=np.float64)
    u, u_moved = (
        [*solve(t, [Stimulus(mask=m.copy(), amplitude=40.0, duration=0.01)], **run)][-1].u
        for t, m in ((tissue, mask), (moved, array(mask)))
    )
    assert np.abs(array(u) - u_moved).max() < 1e-12


@search
@given(tissues(), st.integers(0, 2**32 - 1))
def test_lead_field_is_the_direct_sum(tissue, seed):
    """W1: to 1e-12 of sum |L| |V|."""
    rng = np.random.default_rng(seed)
    V_m = rng.uniform(-90, 30, (3, *tissue.D.shape))
    at = Electrodes(np.array([[*rng.uniform(-5, 10, 2), 2.0], [1.0, 2.0, 40.0]]), ("near", "far"))
    bound = 1e-12 * np.einsum("lyx,tyx->lt", np.abs(lead_field(tissue, at)), np.abs(V_m)) + 1e-15
    assert (np.abs(pseudo_ecg(V_m, tissue, at) - source_sum_ecg(V_m, tissue, at)) <= bound).all()


@settings(max_examples=15, deadline=None, derandomize=True)
@given(tissues(), st.sampled_from([np.float32, np.float64]))
def test_states_stay_bounded_and_cells_without_conduction_at_rest(tissue, real):
    mask = tissue.live & (np.indices(tissue.D.shape).sum(0) < 6)
    mask |= (np.arange(mask.size) == np.flatnonzero(tissue.live)[0]).reshape(mask.shape)
    dt = 0.1 if stable_step(couplings(tissue), tissue.dx) > 0.1 else 0.02
    for state in solve(tissue, [Stimulus(mask=mask)], t_end=150, every=5, dt=dt, calibrated=False, dtype=real):
        low, high = (-1e-3, 1.2) if tissue.fiber_angle is None else (-0.15, 1.25)  # couplings < 0: no maximum principle
        assert low < state.u.min() and state.u.max() < high
        assert not state.u[~tissue.live].any(), "exactly at rest"
    assert (state.lat[~tissue.live] < 0).all() and (state.recovery[~tissue.live] < 0).all()


def test_limit_of_a_homogeneous_sheet_is_the_textbook_one():
    assert stable_step(couplings(healthy((5, 5), 0.5, 0.16)), 0.5) == pytest.approx(stability_limit(0.16, 0.5))
