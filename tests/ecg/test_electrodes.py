"""Layouts of electrodes, and leads as linear combinations: Einthoven, Goldberger, Wilson."""

import numpy as np
import pytest
import xarray as xr

from forwardecg.ecg.electrodes import (
    TWELVE,
    Electrodes,
    bank_electrodes,
    bipolar,
    center_electrode,
    combine,
    grid_electrodes,
    lead_matrix,
    ring_electrodes,
    standard_electrodes,
    symmetry_permutations,
    twelve_leads,
)
from forwardecg.ecg.leadfield import lead_field
from forwardecg.tissue.sheet import Tissue, fibrotic, healthy

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


@pytest.mark.parametrize("n, dx, seed", [(400, 0.5, 0), (40, 5.0, 1)])
def test_the_bank_holds_its_roles_over_the_sheet_and_at_their_heights(n, dx, seed):
    bank = bank_electrodes((n, n), dx, z=30.0, seed=seed)
    roles = [name.rstrip("0123456789") for name in bank.names]
    assert roles == ["center"] + ["train"] * 24 + ["unseen"] * 8 + ["near"] * 4
    assert bank.names[:2] == ("center", "train1") and bank.names[-1] == "near4"
    assert bank.positions[0].tolist() == [100, 100, 30]
    assert (bank.positions[:, :2] > 0).all() and (bank.positions[:, :2] < 200).all()
    heights = {role: bank.positions[[r == role for r in roles], 2] for role in ("train", "unseen", "near")}
    for role, (low, high) in {"train": (12, 96), "unseen": (12, 96), "near": (5, 8)}.items():
        assert low <= heights[role].min() <= heights[role].max() <= high
    assert heights["train"].min() < 21 and heights["train"].max() > 57, "spread over the range"


def test_the_bank_is_seeded_and_no_two_of_its_electrodes_coincide():
    a, b, other = (bank_electrodes((40, 40), 5.0, seed=seed).positions for seed in (0, 0, 1))
    assert np.array_equal(a, b) and not np.allclose(a[1:], other[1:])
    gaps = np.linalg.norm(a[:, None] - a, axis=-1) + 1e9 * np.eye(37)
    assert gaps.min() > 1.0, "mm: also no unseen one is a train one"
    with pytest.raises(ValueError, match="shape: expected a square sheet, got 40 x 50 cells"):
        bank_electrodes((40, 50), 5.0)


def turned(a, n):
    a = np.rot90(a, n % 4, (-2, -1))
    return np.flip(a, -1) if n >= 4 else a


def test_a_turned_sheet_gives_the_permuted_ecgs_of_the_bank():
    """For all eight symmetries, with the lead field computed anew for the turned tissue."""
    bank, rng = bank_electrodes((40, 40), 2.0), np.random.default_rng(0)
    tissue, V_m = fibrotic(healthy((40, 40), 2.0, 0.1), rng, "patchy"), rng.random((40, 40))
    phi_e = np.tensordot(lead_field(tissue, bank), V_m, 2)
    permutations = symmetry_permutations(bank.positions, 80.0)
    assert permutations.shape == (8, 37) and permutations[0].tolist() == list(range(37))
    assert len({tuple(permutation) for permutation in permutations}) == 8
    for n, permutation in enumerate(permutations):
        assert sorted(permutation) == list(range(37))
        assert all(bank.names[k][:3] == bank.names[m][:3] for k, m in enumerate(permutation)), "within its role"
        copy = Tissue(D=turned(tissue.D, n).copy(), conductive=turned(tissue.conductive, n).copy(), dx=2.0)
        anew = np.tensordot(lead_field(copy, bank), turned(V_m, n), 2)
        assert np.abs(anew - phi_e[permutation]).max() < 1e-12 * np.abs(phi_e).max()


def test_electrodes_that_the_symmetries_do_not_map_onto_each_other_are_refused():
    bank = bank_electrodes((40, 40), 2.0)
    assert symmetry_permutations(bank.positions[:1], 80.0).tolist() == [[0]] * 8
    for positions in (bank.positions[:-1], bank.positions[1:2], bank.positions + [1.0, 0, 0]):
        with pytest.raises(ValueError, match="electrodes: expected places that the symmetries of the sheet map"):
            symmetry_permutations(positions, 80.0)
    lifted = bank.positions.copy()
    lifted[7, 2] += 1.0  # mm
    with pytest.raises(ValueError, match="with no partner under symmetry"):
        symmetry_permutations(lifted, 80.0)


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
