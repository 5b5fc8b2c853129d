"""Leads as linear combinations of electrodes: Einthoven, Goldberger, Wilson."""

import numpy as np
import pytest
import xarray as xr

from forwardecg.ecg.electrodes import Electrodes, standard_electrodes
from forwardecg.ecg.leads import TWELVE, bipolar, combine, lead_matrix, twelve_leads
from forwardecg.solver.simulation import simulate
from forwardecg.tissue.grid import Grid
from forwardecg.tissue.sheet import healthy
from forwardecg.tissue.stimulus import edge_stimulus

SHAPE, DX = (40, 50), 0.5
NINE = standard_electrodes(Grid(SHAPE, DX))


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
    assert np.allclose(bipolar(labeled, "LA", "RA", NINE).sel(lead="LA-RA"), leads.sel(lead="I"))
    assert np.allclose(bipolar(phi_e, "LA", "RA", NINE)[0], phi_e[1] - phi_e[0])


def test_a_data_set_needs_no_electrodes():
    """That of `simulate`, its phi_e alone, or an array of its own whose electrodes are named."""
    sheet = healthy((20, 30), DX, 0.12)
    ds = simulate(sheet, edge_stimulus(sheet), t_end=10.0, electrodes=standard_electrodes(sheet))
    leads = twelve_leads(ds)
    assert leads.dims == ds.phi_e.dims and leads.attrs == ds.phi_e.attrs and leads.time_ecg.equals(ds.time_ecg)
    assert leads.identical(twelve_leads(ds.phi_e)) and leads.identical(twelve_leads(ds, standard_electrodes(sheet)))
    assert np.allclose(leads, twelve_leads(ds.phi_e.values, standard_electrodes(sheet)), rtol=1e-13, atol=1e-16)
    assert bipolar(ds, "LA", "RA").identical(bipolar(ds.phi_e, "LA", "RA"))
    assert np.allclose(bipolar(ds, "LA", "RA").sel(lead="LA-RA"), leads.sel(lead="I"))


def test_bad_input_is_refused(phi_e):
    without = Electrodes(NINE.positions[1:], NINE.names[1:])
    with pytest.raises(ValueError, match="none named RA"):
        twelve_leads(phi_e[1:], without)
    with pytest.raises(ValueError, match="expected 9 leads, one per electrode, got 8"):
        twelve_leads(phi_e[1:], NINE)
    with pytest.raises(ValueError, match="expected one named 'RL'"):
        bipolar(phi_e, "RL", "RA", NINE)
    with pytest.raises(ValueError, match=r"expected the dim 'lead', got dims \('time',\)"):
        twelve_leads(xr.DataArray(np.zeros(9), dims="time"), NINE)
    with pytest.raises(ValueError, match="expected the leads"):
        twelve_leads(xr.DataArray(phi_e, dims=("lead", "time"), coords={"lead": list(NINE.names[::-1])}), NINE)
    with pytest.raises(ValueError, match=r"phi_e: expected \(lead, ...\), got an array of shape \(\)"):
        combine(np.float64(1.0), ("a",), np.ones((1, 9)), NINE)
    with pytest.raises(ValueError, match="electrodes: expected those of phi_e, which has no names on a dim lead"):
        twelve_leads(phi_e)
    with pytest.raises(ValueError, match="electrodes: expected those of phi_e"):
        bipolar(xr.DataArray(phi_e, dims=("lead", "time")), "LA", "RA")
    with pytest.raises(ValueError, match=r"expected a Dataset that holds phi_e, got one of \['V_m'\]"):
        twelve_leads(xr.Dataset({"V_m": ("lead", np.zeros(9))}))
