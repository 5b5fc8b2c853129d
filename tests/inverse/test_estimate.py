"""Back from the ECG: symmetry, closed form, derivatives, recovery of what was given, and what is refused."""

import numpy as np
import pytest
import torch
import xarray as xr

from forwardecg.activation.eikonal import speed
from forwardecg.activation.template import template
from forwardecg.ecg.electrodes import Electrodes, center_electrode, grid_electrodes
from forwardecg.ecg.leadfield import distances, lead_field
from forwardecg.inverse import estimate
from forwardecg.inverse.estimate import fit, profile, read
from forwardecg.inverse.models import (
    SCAN,
    _sources,
    nearest,
    rings,
    travel_time,
    uniform_ecg,
    varied,
    voltages,
    weights,
)
from forwardecg.solver.simulation import simulate
from forwardecg.tissue.cell import FK_CAF
from forwardecg.tissue.grid import Grid
from forwardecg.tissue.sheet import healthy
from forwardecg.tissue.stimulus import focal_stimulus

SHEET, D0, SITE, RADIUS = Grid((60, 60), 0.5), 0.11, (9.3, 17.6), 4.0
GENERAL = Electrodes(np.array([[17.0, 11.0, 20.0]]), ("general",))
FOUR = grid_electrodes(SHEET, 2, 2, z=20.0)


def model(electrodes, x, y, D=D0, onset=2.0, t=None):
    """An ECG (lead, time_ecg) of the own model of uniform tissue, without a low-pass, and what it was made from."""
    t = np.arange(120.0) if t is None else t
    like = xr.DataArray(np.ones((len(electrodes.names), t.size)), {"time_ecg": t}, ("lead", "time_ecg"))
    one = read(like, electrodes, SHEET, 0, RADIUS, FK_CAF, 0.1)._replace(t=t, form=template(SHEET.dx, 0.1, FK_CAF))
    ecg = one.norm * uniform_ecg(one, D, rings(one, x, y, weights(one, nearest(D))), voltages(one, D, onset))
    return xr.DataArray(ecg, {"time_ecg": one.t}, ("lead", "time_ecg")), one


def images(x, y, middle=15.0):
    x, y = x - middle, y - middle
    return [
        (middle + a, middle + b) for a, b in ((x, y), (-y, x), (-x, -y), (y, -x), (-x, y), (y, x), (x, -y), (-y, -x))
    ]


@pytest.fixture(scope="module")
def simulated():
    sheet = healthy(SHEET.shape, SHEET.dx, D0)
    return simulate(sheet, focal_stimulus(sheet, *SITE, RADIUS), t_end=120.0, electrodes=FOUR)


def test_the_eight_images_of_a_site_have_one_ecg_at_the_center_and_eight_in_general():
    ecgs = {name: np.stack([model(place, *at)[0].values for at in images(*SITE)])
            for name, place in (("center", center_electrode(SHEET, 20.0)), ("general", GENERAL))}  # fmt: skip
    scale = np.abs(ecgs["center"]).max()
    assert np.abs(ecgs["center"] - ecgs["center"][0]).max() < 1e-11 * scale
    apart = [np.abs(a - b).max() for k, a in enumerate(ecgs["general"]) for b in ecgs["general"][:k]]
    assert min(apart) > 0.02 * scale


def test_the_simulation_has_the_same_symmetry():
    """In single precision: two images of a stimulus on the cells of the grid, and the electrode in the center."""
    sheet = healthy((40, 40), 0.5, D0)
    center = Electrodes(np.array([[10.0, 10.0, 20.0]]), ("center",))
    ecgs = [
        simulate(sheet, focal_stimulus(sheet, x, y, 3.0), t_end=40.0, electrodes=center).phi_e.values
        for x, y in ((5.0, 7.5), (7.5, 5.0), (15.0, 12.5))
    ]
    assert max(np.abs(ecg - ecgs[0]).max() for ecg in ecgs) < 1e-4 * np.abs(ecgs[0]).max()


def test_travel_times_obey_the_law_of_a_curved_front():
    r = np.linspace(5, 60, 2001)
    T = travel_time(r, D0, RADIUS, FK_CAF)
    velocity = 1 / np.gradient(T, r)[1:-1]
    plane = velocity + D0 / r[1:-1]  # V = c sqrt(D) - D / R
    assert np.ptp(plane) < 1e-4 * plane.mean() and plane.mean() == pytest.approx(speed(FK_CAF) * D0**0.5, rel=1e-4)


def test_rings_keep_the_lead_field_and_a_field_of_D_has_the_package_s_own():
    one = model(FOUR, *SITE)[1]
    known = weights(one, nearest(D0))
    H = rings(one, *SITE, known)
    L = lead_field(healthy(SHEET.shape, SHEET.dx, 1.0), FOUR)
    assert np.abs(H[0].sum(1) - L.sum((1, 2))).max() < 1e-12 and np.abs(H[1].sum(1)).max() < 1e-12
    rng = np.random.default_rng(0)
    D = rng.uniform(0.05, 0.2, SHEET.shape)
    sheet = healthy(SHEET.shape, SHEET.dx, 1.0)
    varied_sheet = type(sheet)(D=D, conductive=sheet.conductive, dx=sheet.dx)
    ours = _sources(torch.from_numpy(D), 1 / torch.from_numpy(distances(sheet, FOUR))).numpy()
    assert np.abs(ours - lead_field(varied_sheet, FOUR)).max() < 1e-12


def test_derivatives_of_the_misfit_by_all_parameters_are_those_of_central_differences(simulated):
    one = read(simulated.phi_e, FOUR, SHEET, 2, RADIUS, FK_CAF, 0.1)
    ecg, rng = varied(one, D0, 3), np.random.default_rng(1)
    p = np.concatenate([[9.9, 17.1, 1.3], np.log(D0) + 0.2 * rng.standard_normal(9), 0.1 * rng.standard_normal(4)])
    at = torch.from_numpy(p).requires_grad_()
    (gradient,) = torch.autograd.grad(ecg(at)[0], at)
    steps = np.repeat([3e-3, 1e-3], [3, 13])
    for part in (slice(0, 2), slice(2, 3), slice(3, 12), slice(12, 16)):
        toward = np.zeros(p.size)
        toward[part] = (steps * np.sign(gradient.numpy()))[part]
        difference = sum(s * ecg(torch.from_numpy(p + s * toward))[0].item() for s in (1, -1)) / 2
        assert difference == pytest.approx(gradient.numpy() @ toward, rel=0.03), part


def test_a_fit_recovers_what_its_own_model_was_given():
    D = float(SCAN[9])  # on which what depends on D but little is exact
    given, _ = model(FOUR, *SITE, D=D, onset=13.4)
    found = fit(given, FOUR, SHEET, radius=RADIUS)
    assert np.hypot(*(found.site.values - SITE)) < 0.01
    assert found.onset.item() == pytest.approx(13.4, abs=0.01)
    assert np.sqrt(found.D[0, 0].item() / D) == pytest.approx(1, abs=2e-4)
    assert found.misfit < 1e-5


def test_site_onset_and_speed_come_back_from_the_simulation_with_one_D_and_with_a_field(simulated):
    for field, gain in ((1, 0), (1, 1), (3, 0), (3, 1)):
        found = fit(simulated.phi_e, FOUR, SHEET, field=field, gain=gain, radius=RADIUS)
        assert np.hypot(*(found.site.values - SITE)) < 0.6, (field, gain)
        assert found.onset.item() == pytest.approx(simulated.lat.min().item(), abs=1.0)
        assert abs(found.lat - simulated.lat).mean() < 0.8
        assert np.median(found.D) == pytest.approx(D0, rel=0.1)
        assert found.gain.mean() == pytest.approx(1, abs=0.08)
        assert found.misfit < 0.003


def test_a_bad_start_of_a_field_with_a_gain_is_mended_by_the_end_of_the_one_without(simulated, monkeypatch):
    wells, bad = estimate._wells, np.array([27.0, 3.0, 30.0, np.log(0.03), np.log(0.3)])
    monkeypatch.setattr(estimate, "_wells", lambda one: [(1.0, bad, np.eye(2))] if one.gain else wells(one))
    mended = fit(simulated.phi_e, FOUR, SHEET, field=3, gain=1, radius=RADIUS)
    monkeypatch.setattr(estimate, "POOR", np.inf)
    alone = fit(simulated.phi_e, FOUR, SHEET, field=3, gain=1, radius=RADIUS)
    assert alone.misfit > 0.05 and np.hypot(*(alone.site - SITE)) > 2
    assert mended.misfit < 0.003 and np.hypot(*(mended.site - SITE)) < 0.6


def test_a_descent_that_leaves_the_sheet_ends_on_it(simulated):
    one = read(simulated.phi_e, FOUR, SHEET, 1, RADIUS, FK_CAF, 0.1)
    start = np.array([-500.0, 900.0, 0.0, *np.full(9, np.log(D0)), 0.0])
    p, (total, *_) = estimate._field(one, D0, 3, start)
    assert (p[:2] >= 0).all() and (p[:2] <= 30).all() and np.isfinite(total.item())


def test_a_gain_takes_up_the_unit_of_the_recording(simulated):
    in_mV = (3.7 * simulated.phi_e).assign_attrs(units="mV")
    with pytest.raises(ValueError, match="phi_e: expected mV mm ms-1, or a gain .*, got 'mV'"):
        fit(in_mV, FOUR, SHEET)
    plain, scaled = (fit(phi_e, FOUR, SHEET, gain=1) for phi_e in (simulated.phi_e, in_mV))
    assert scaled.gain[0, 0].item() == pytest.approx(3.7 * plain.gain[0, 0].item(), rel=1e-3)
    assert np.abs(scaled.site - plain.site).max() < 1e-2


def test_one_electrode_above_the_center_with_a_gain_finds_the_site_or_an_image_of_it():
    """Every other sample has not half the energy; a misfit that is nearly zero must not turn negative."""
    sheet = healthy((40, 40), 0.5, D0=0.1)
    center = center_electrode(sheet)
    phi_e = simulate(sheet, focal_stimulus(sheet, 6.0, 9.0), t_end=60.0, electrodes=center).phi_e
    found = fit(phi_e, center, sheet, gain=1)
    assert min(np.hypot(*(found.site.values - at)) for at in images(6.0, 9.0, middle=10.0)) < 0.6
    assert found.gain[0, 0].item() == pytest.approx(1, abs=0.15) and 0 < found.misfit < 0.003
    assert np.isfinite(profile(phi_e, center, sheet, x=[6.0], y=[9.0], gain=1)).all()


def test_the_profile_has_a_well_at_each_image_of_the_site_and_one_only_where_electrodes_tell_them_apart(simulated):
    center = center_electrode(SHEET, 20.0)
    phi_e = simulate(
        healthy(SHEET.shape, SHEET.dx, D0), focal_stimulus(SHEET, *SITE, RADIUS), t_end=120.0, electrodes=center
    ).phi_e
    for places, ecg, low in ((center, phi_e, 8), (FOUR, simulated.phi_e, 1)):
        at = np.array(images(*SITE))
        misfit = [profile(ecg, places, SHEET, [x], [y], radius=RADIUS).item() for x, y in at]
        assert sum(value < 3 * misfit[0] for value in misfit) == low
    found = fit(simulated.phi_e, FOUR, SHEET)
    beside = profile(simulated.phi_e, FOUR, SHEET, SITE[0] + np.array([-2.0, 0.0, 2.0]), [SITE[1]], start=found)
    assert beside.dims == ("y", "x") and beside.values[0].argmin() == 1


def test_bad_input_is_refused_by_name(simulated):
    phi_e = simulated.phi_e
    with pytest.raises(ValueError, match="electrodes: expected Electrodes"):
        fit(phi_e, FOUR.positions, SHEET)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"phi_e: expected \(lead, time_ecg\) of shape \(4, any\)"):
        fit(phi_e[:3].drop_vars("lead"), FOUR, SHEET)
    with pytest.raises(ValueError, match="electrodes: expected those of the leads"):
        fit(phi_e, Electrodes(FOUR.positions, ("a", "b", "c", "d")), SHEET)
    with pytest.raises(ValueError, match="phi_e: expected finite values"):
        fit(phi_e.where(phi_e.time_ecg != 3), FOUR, SHEET)
    with pytest.raises(ValueError, match="phi_e: expected DataArray"):
        fit(phi_e.values, FOUR, SHEET)
    with pytest.raises(ValueError, match="phi_e: expected an ECG that is not zero"):
        fit(0 * phi_e, FOUR, SHEET)
    with pytest.raises(ValueError, match="time_ecg: expected equal steps"):
        fit(phi_e[:, [*range(30), *range(31, 60)]], FOUR, SHEET)
    with pytest.raises(ValueError, match="phi_e: expected times along time_ecg, got none"):
        fit(phi_e.drop_vars("time_ecg"), FOUR, SHEET)
    with pytest.raises(ValueError, match="gain: expected 0 or 1 with one D, got 6"):
        fit(phi_e, FOUR, SHEET, gain=6)
    with pytest.raises(ValueError, match="radius: expected .*2"):
        fit(phi_e, FOUR, SHEET, radius=0.5)
    for grid in (SHEET, Grid((3, 3), 0.5)):
        with pytest.raises(ValueError, match="radius: expected less than the shorter side of the sheet"):
            fit(phi_e, FOUR, grid, radius=100.0 if grid is SHEET else 4.0)
    with pytest.raises(ValueError, match="start: expected Dataset"):
        profile(phi_e, FOUR, SHEET, start="fit")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="start: expected a fit, with onset, D and gain, got"):
        profile(phi_e, FOUR, SHEET, start=xr.Dataset())
    with pytest.raises(ValueError, match="x: expected at least one site, got none"):
        profile(phi_e, FOUR, SHEET, x=[])
    with pytest.raises(ValueError, match=r"x: expected sites within 0 \.\. 30 mm"):
        profile(phi_e, FOUR, SHEET, x=[40.0])
