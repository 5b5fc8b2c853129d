"""The ECG from activation times: against the voltage it stands for, against the solver, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import coo_array, diags_array
from scipy.sparse.linalg import spsolve

from forwardecg.activation.eikonal import activate, network
from forwardecg.activation.forward import ecg_from_activation, eikonal_ecg
from forwardecg.activation.template import SHARED, capture_delay, share, template
from forwardecg.contract import to_mV
from forwardecg.ecg.electrodes import Electrodes, center_electrode
from forwardecg.ecg.leadfield import pseudo_ecg
from forwardecg.measure.scores import r2
from forwardecg.solver.simulation import simulate
from forwardecg.tissue.cell import FK_CAF, FK_MLR1
from forwardecg.tissue.sheet import TEXTURES, fibrotic, gap_junction, healthy, with_fibers
from forwardecg.tissue.stimulus import edge_stimulus, focal_stimulus

DX, DT, D0 = 0.5, 0.1, 0.13


def simulated_and_ours(sheet, stimuli, t_end: float = 320.0, z: float = 30.0):
    place = center_electrode(sheet, z)
    return (
        simulate(sheet, stimuli, t_end=t_end, electrodes=place, frame_interval=t_end),
        eikonal_ecg(sheet, stimuli, place, t_end=t_end),
    )


def test_the_template_is_the_action_potential_of_the_cell():
    form = template(DX, DT, FK_CAF)
    u = form.up + form.down
    assert form.duration == pytest.approx(107, abs=2)  # APD90 of the set
    assert np.interp(0.0, form.t, u) == pytest.approx(0.5, abs=0.03)
    assert np.interp(form.duration, form.t, u) == pytest.approx(0.1, abs=0.005)
    assert abs(u[0]) < 1e-3 and abs(u[-1]) < 1e-3 and 0.95 < u.max() < 1.05
    assert capture_delay(0.3, 2.0, DT, FK_CAF) == pytest.approx(1.0, abs=0.2)


def test_smoothed_times_solve_their_equation_and_keep_their_mean():
    """R - tau div(D grad R) = T, whose fluxes sum to zero over the tissue."""
    sheet = fibrotic(healthy((50, 50), DX, D0), "patchy", seed=1)
    front = activate(sheet, edge_stimulus(sheet), FK_CAF, DT)
    reached = front.T < 1e8
    R = share(front.T, front.net.g, front.net.offsets, 107.0)
    row, k = np.nonzero(front.net.g)
    A = coo_array((SHARED * 107.0 * front.net.g[row, k], (row, row + front.net.offsets[k])), (R.size, R.size)).tocsc()
    exact = spsolve(diags_array(1 + A.sum(1)).tocsc() - A, front.T)
    assert np.abs(R - exact)[reached].mean() < 0.05 * np.abs(exact - front.T)[reached].mean()
    assert R[reached].mean() == pytest.approx(front.T[reached].mean(), rel=5e-3)
    assert np.ptp(R[reached]) < np.ptp(front.T[reached])


def test_the_ecg_is_that_of_the_voltage_which_the_template_gives():
    sheet = fibrotic(healthy((30, 40), DX, D0), "compact", seed=2)
    place, t = center_electrode(sheet, 12.0), np.arange(0.0, 260.0, 1.7)
    ds = eikonal_ecg(sheet, edge_stimulus(sheet), place, t_end=250.0)
    form = template(DX, DT, FK_CAF)
    since, after = t[:, None, None] - ds.lat.values, t[:, None, None] - (ds.recovery.values - form.duration)
    u = np.interp(since, form.t, form.up) + np.interp(after, form.t, form.down)
    direct = pseudo_ecg(to_mV(np.where(sheet.live, u, 0.0)), sheet, place)
    ours = ecg_from_activation(ds.lat, sheet, place, t)
    assert np.abs(ours.values - direct.values).max() < 5e-3 * np.abs(direct.values).max()
    given = ecg_from_activation(ds.lat, sheet, place, t, recovery=ds.recovery)
    assert np.abs(ours.values - given.values).max() < 1e-9 * np.abs(direct.values).max()


def test_any_time_can_be_read():
    sheet = healthy((30, 40), DX, D0)
    place, lat = (
        center_electrode(sheet, 12.0),
        eikonal_ecg(sheet, edge_stimulus(sheet), center_electrode(sheet, 12.0), t_end=10.0).lat,
    )
    often, seldom = (
        ecg_from_activation(lat, sheet, place, t).values[0] for t in (np.arange(0, 200, 0.5), np.arange(0, 200, 20.0))
    )
    assert np.abs(often[::40] - seldom).max() < 1e-9 * np.abs(often).max()


def test_a_homogeneous_sheet_has_the_ecg_of_the_solver():
    sheet = healthy((80, 80), DX, D0)
    true, ours = simulated_and_ours(sheet, edge_stimulus(sheet))
    assert r2(true.phi_e, ours.phi_e).item() > 0.997
    assert float(abs(ours.lat - true.lat).mean()) < 0.25
    assert float(abs(ours.recovery - true.recovery).mean()) < 1.5


@pytest.mark.parametrize("texture", TEXTURES)
def test_fibrotic_tissue_has_the_ecg_of_the_solver_within_the_stated_error(texture):
    sheet = fibrotic(healthy((100, 100), DX, D0), texture, seed=7)
    true, ours = simulated_and_ours(sheet, focal_stimulus(sheet, 12.0, 15.0, 5.0))
    assert r2(true.phi_e, ours.phi_e).item() > 0.995
    error = float(np.sqrt(np.square(true.phi_e.values - ours.phi_e.values).mean()))
    assert error < 2 * ours.phi_e_error.item() and ours.phi_e_error.item() < 0.2 * float(true.phi_e.std())


def test_regional_remodeling_two_foci_and_fibers():
    sheet = gap_junction(healthy((100, 100), DX, D0), seed=1)
    foci = [focal_stimulus(sheet, 12.0, 12.0, 5.0), focal_stimulus(sheet, 40.0, 35.0, 5.0, start=12.0)]
    for tissue in (sheet, with_fibers(sheet, 0.5, 4.0)):
        true, ours = simulated_and_ours(tissue, foci)
        assert r2(true.phi_e, ours.phi_e).item() > 0.99


def test_another_cell_needs_no_other_constants():
    sheet = healthy((80, 80), DX, D0)
    place = center_electrode(sheet, 30.0)
    true = simulate(sheet, edge_stimulus(sheet), t_end=500.0, electrodes=place, frame_interval=500.0, cell=FK_MLR1)
    ours = eikonal_ecg(sheet, edge_stimulus(sheet), place, t_end=500.0, cell=FK_MLR1)
    assert float(abs(ours.lat - true.lat).mean()) < 0.3
    assert r2(true.phi_e, ours.phi_e).item() > 0.97


def test_wrong_input_is_refused_by_name():
    sheet = healthy((20, 30), DX, D0)
    place, lat = center_electrode(sheet, 10.0), np.full((20, 30), 5.0)
    with pytest.raises(ValueError, match="lat: expected a finite time in a live cell"):
        ecg_from_activation(np.full((20, 30), np.nan), sheet, place, [1.0])
    with pytest.raises(ValueError, match="recovery: expected a time wherever lat has one"):
        ecg_from_activation(lat, sheet, place, [1.0], recovery=np.full((20, 30), np.nan))
    with pytest.raises(ValueError, match="t: expected .* increasing times"):
        ecg_from_activation(lat, sheet, place, [2.0, 1.0])
    with pytest.raises(ValueError, match="electrodes: expected every electrode"):
        ecg_from_activation(lat, sheet, Electrodes(np.array([[5.0, 5.0, 0.0]]), ("in",)), [1.0])
    with pytest.raises(ValueError, match="t_end: expected a positive multiple"):
        eikonal_ecg(sheet, edge_stimulus(sheet), place, t_end=10.5)
    with pytest.raises(ValueError, match="second wave"):
        late = replace(edge_stimulus(sheet), start=250.0)
        eikonal_ecg(sheet, [edge_stimulus(sheet), late], place, t_end=400.0)
    assert network(sheet, DT, FK_CAF).g.shape == (22 * 32, 4)
