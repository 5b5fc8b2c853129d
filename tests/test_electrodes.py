"""Layouts of electrodes, and leads as linear combinations: Einthoven, Goldberger, Wilson."""

import numpy as np
import pytest
import xarray as xr

from forwardecg.electrodes import (
    TWELVE,
    Electrodes,
    bipolar,
    center_electrode,
    combine,
    grid_electrodes,
    lead_matrix,
    ring_electrodes,
    standard_electrodes,
    twelve_leads,
)

SHAPE, DX = (40, 50), 0.5
NINE = standard_electrodes(SHAPE, DX)


@pytest.fixture
def phi_e():
    return np.random.default_rng(0).standard_normal((9, 30))


def test_einthoven_and_goldberger_hold(phi_e):
    """I + III = II; aVR + aVL + aVF = 0; an augmented lead is 3/2 of its limb against Wilson's terminal."""
    leads = dict(zip(TWELVE, twelve_leads(phi_e, NINE), strict=True))
    at = dict(zip(NINE.names, phi_e, strict=True))
    terminal = (at["RA"] + at["LA"] + at["LL"]) / 3
    assert np.allclose(leads["I"] + leads["III"], leads["II"], atol=1e-14)
    assert np.allclose(leads["aVR"] + leads["aVL"] + leads["aVF"], 0, atol=1e-14)
    assert np.allclose(sum(at[limb] - terminal for limb in ("RA", "LA", "LL")), 0, atol=1e-14)
    for augmented, limb in (("aVR", "RA"), ("aVL", "LA"), ("aVF", "LL")):
        assert np.allclose(leads[augmented], 1.5 * (at[limb] - terminal), atol=1e-14)
    assert np.allclose(leads["II"], at["LL"] - at["RA"], atol=1e-14)
    assert np.allclose(leads["V4"], at["V4"] - terminal, atol=1e-14)


def test_a_potential_common_to_all_electrodes_is_silent():
    assert np.abs(twelve_leads(np.full((9, 4), 1234.5), NINE)).max() < 1e-12


def test_combining_lead_fields_or_potentials_is_the_same():
    rng = np.random.default_rng(1)
    L, V_m = rng.standard_normal((9, *SHAPE)), rng.standard_normal((7, *SHAPE))
    of_fields = np.tensordot(twelve_leads(L, NINE), V_m, axes=((1, 2), (1, 2)))
    of_potentials = twelve_leads(np.tensordot(L, V_m, axes=((1, 2), (1, 2))), NINE)
    assert np.allclose(of_fields, of_potentials, rtol=0, atol=1e-11)


def test_order_of_electrodes_does_not_matter_and_others_are_ignored(phi_e):
    order = np.random.default_rng(2).permutation(9)
    names = (*(NINE.names[k] for k in order), "extra")
    shuffled = Electrodes(np.vstack([NINE.positions[order], [[0, 0, 9.0]]]), names)
    assert np.allclose(twelve_leads(np.vstack([phi_e[order], np.full(30, 7.0)]), shuffled), twelve_leads(phi_e, NINE))
    assert lead_matrix(names)[1].shape == (12, 10)


def test_labeled_arrays_keep_dims_and_attrs_and_get_the_new_names(phi_e):
    labeled = xr.DataArray(
        phi_e.T,
        dims=("time_ecg", "lead"),
        coords={"lead": list(NINE.names)},
        attrs={"units": "mV mm ms-1"},
        name="phi_e",
    )
    leads = twelve_leads(labeled, NINE)
    assert leads.dims == ("time_ecg", "lead") and leads.name == "phi_e" and leads.attrs == labeled.attrs
    assert tuple(leads["lead"].values) == TWELVE
    assert np.allclose(leads.transpose("lead", ...), twelve_leads(phi_e, NINE))
    assert np.allclose(bipolar(labeled, NINE, "LA", "RA").sel(lead="LA-RA"), leads.sel(lead="I"))
    assert np.allclose(bipolar(phi_e, NINE, "LA", "RA")[0], phi_e[1] - phi_e[0])


@pytest.mark.parametrize("n_y, n_x", [(1, 1), (3, 4), (5, 2)])
def test_grid_is_even_symmetric_and_over_the_sheet(n_y, n_x):
    grid = grid_electrodes(SHAPE, DX, n_y, n_x, z=12.0)
    assert len(grid.names) == n_y * n_x and grid.names[0] == "y1x1" and grid.names[-1] == f"y{n_y}x{n_x}"
    assert np.allclose(grid.positions + grid.positions[::-1], [25.0, 20.0, 24.0])
    assert (grid.positions[:, :2] > 0).all() and (grid.positions[:, :2] < [25.0, 20.0]).all()
    assert (grid.positions[:, 2] == 12).all()
    if n_y == n_x == 1:
        assert np.allclose(grid.positions, center_electrode(SHAPE, DX, 12.0).positions)


def test_ring_is_around_the_center():
    ring = ring_electrodes(SHAPE, DX, 8, 15.0, z=3.0)
    from_center = ring.positions - [12.5, 10.0, 0.0]
    assert len(set(ring.names)) == 8
    assert np.allclose(np.hypot(*from_center[:, :2].T), 15) and np.allclose(from_center[:, 2], 3)
    assert np.allclose(from_center[:4, :2], -from_center[4:, :2])
    assert np.allclose(from_center[0], [15, 0, 3]) and np.allclose(from_center[2], [0, 15, 3])


def test_standard_electrodes_lie_as_documented():
    at = dict(zip(NINE.names, NINE.positions, strict=True))
    assert NINE.names == ("RA", "LA", "LL", "V1", "V2", "V3", "V4", "V5", "V6")
    assert at["RA"].tolist() == [0, 20, 40] and at["LA"].tolist() == [25, 20, 40] and at["LL"].tolist() == [25, 0, 40]
    chest = NINE.positions[3:]
    assert (np.diff(chest[:, 0]) > 0).all() and (np.diff(chest[:, 1]) <= 0).all()  # toward the side, never upward
    assert (chest[:, :2] > 0).all() and (chest[:, :2] < [25, 20]).all()
    assert (standard_electrodes(SHAPE, DX, z=7.0).positions[:, 2] == 7).all()


def test_bad_input_is_refused(phi_e):
    without = Electrodes(NINE.positions[1:], NINE.names[1:])
    with pytest.raises(ValueError, match="none named RA"):
        twelve_leads(phi_e[1:], without)
    with pytest.raises(ValueError, match="expected 9 leads, one per electrode, got 8"):
        twelve_leads(phi_e[1:], NINE)
    with pytest.raises(ValueError, match="expected one named 'RL'"):
        bipolar(phi_e, NINE, "RL", "RA")
    with pytest.raises(ValueError, match=r"expected the dim 'lead', got dims \('time',\)"):
        twelve_leads(xr.DataArray(np.zeros(9), dims="time"), NINE)
    with pytest.raises(ValueError, match="expected the leads"):
        twelve_leads(xr.DataArray(phi_e, dims=("lead", "time"), coords={"lead": list(NINE.names[::-1])}), NINE)
    with pytest.raises(ValueError, match="phi_e: expected 9 leads"):
        combine(np.float64(1.0), NINE, ("a",), np.ones((1, 9)))
    with pytest.raises(ValueError, match="n_x: expected at least 1 electrode, got 0"):
        grid_electrodes(SHAPE, DX, 2, 0)
    with pytest.raises(ValueError, match="n: expected at least 1"):
        ring_electrodes(SHAPE, DX, 0, 5.0)
    with pytest.raises(ValueError, match="radius: expected a length > 0 mm, got 0"):
        ring_electrodes(SHAPE, DX, 4, 0)
    with pytest.raises(ValueError, match="positions of shape"):
        Electrodes(np.zeros(3), ("e",))
    with pytest.raises(ValueError, match="distinct names"):
        Electrodes(np.zeros((2, 3)), ("e", "e"))
