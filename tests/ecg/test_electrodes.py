"""Layouts of electrodes, over the sheet and under its symmetries."""

import numpy as np
import pytest

from forwardecg.ecg.electrodes import (
    Electrodes,
    bank_electrodes,
    center_electrode,
    grid_electrodes,
    match_electrodes,
    ring_electrodes,
    standard_electrodes,
)
from forwardecg.ecg.leadfield import lead_field
from forwardecg.tissue.grid import Grid
from forwardecg.tissue.sheet import Tissue, fibrotic, healthy

SHAPE, DX = (40, 50), 0.5
GRID = Grid(SHAPE, DX)
NINE = standard_electrodes(GRID)


@pytest.mark.parametrize("n_y, n_x", [(1, 1), (3, 4), (5, 2)])
def test_grid_is_even_symmetric_and_over_the_sheet(n_y, n_x):
    grid = grid_electrodes(GRID, n_y, n_x, z=12.0)
    assert len(grid.names) == n_y * n_x and grid.names[0] == "y1x1" and grid.names[-1] == f"y{n_y}x{n_x}"
    assert np.allclose(grid.positions + grid.positions[::-1], [25.0, 20.0, 24.0])
    assert (grid.positions[:, :2] > 0).all() and (grid.positions[:, :2] < [25.0, 20.0]).all()
    assert (grid.positions[:, 2] == 12).all()
    if n_y == n_x == 1:
        assert np.allclose(grid.positions, center_electrode(GRID, 12.0).positions)


def test_ring_is_around_the_center():
    ring = ring_electrodes(GRID, 8, 15.0, z=3.0)
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
    assert (standard_electrodes(GRID, z=7.0).positions[:, 2] == 7).all()


@pytest.mark.parametrize("n, dx, seed", [(400, 0.5, 0), (40, 5.0, 1)])
def test_the_bank_holds_its_roles_over_the_sheet_and_at_their_heights(n, dx, seed):
    bank = bank_electrodes(Grid((n, n), dx), z=30.0, seed=seed)
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
    a, b, other = (bank_electrodes(Grid((40, 40), 5.0), seed=seed).positions for seed in (0, 0, 1))
    assert np.array_equal(a, b) and not np.allclose(a[1:], other[1:])
    gaps = np.linalg.norm(a[:, None] - a, axis=-1) + 1e9 * np.eye(37)
    assert gaps.min() > 1.0, "mm: also no unseen one is a train one"
    with pytest.raises(ValueError, match="shape: expected a square sheet, got 40 x 50 cells"):
        bank_electrodes(Grid((40, 50), 5.0))


def turned(a, n):
    a = np.rot90(a, n % 4, (-2, -1))
    return np.flip(a, -1) if n >= 4 else a


def test_a_turned_sheet_gives_the_permuted_ecgs_of_the_bank():
    """For all eight symmetries, with the lead field computed anew for the turned tissue."""
    bank, rng = bank_electrodes(Grid((40, 40), 2.0)), np.random.default_rng(0)
    tissue, V_m = fibrotic(healthy((40, 40), 2.0, 0.1), "patchy", seed=rng), rng.random((40, 40))
    phi_e = np.tensordot(lead_field(tissue, bank), V_m, 2)
    permutations = match_electrodes(bank.positions, 80.0)
    assert permutations.shape == (8, 37) and permutations[0].tolist() == list(range(37))
    assert len({tuple(permutation) for permutation in permutations}) == 8
    for n, permutation in enumerate(permutations):
        assert sorted(permutation) == list(range(37))
        assert all(bank.names[k][:3] == bank.names[m][:3] for k, m in enumerate(permutation)), "within its role"
        copy = Tissue(D=turned(tissue.D, n).copy(), conductive=turned(tissue.conductive, n).copy(), dx=2.0)
        anew = np.tensordot(lead_field(copy, bank), turned(V_m, n), 2)
        assert np.abs(anew - phi_e[permutation]).max() < 1e-12 * np.abs(phi_e).max()


def test_electrodes_that_the_symmetries_do_not_map_onto_each_other_are_refused():
    bank = bank_electrodes(Grid((40, 40), 2.0))
    assert match_electrodes(bank.positions[:1], 80.0).tolist() == [[0]] * 8
    for positions in (bank.positions[:-1], bank.positions[1:2], bank.positions + [1.0, 0, 0]):
        with pytest.raises(ValueError, match="electrodes: expected places that the symmetries of the sheet map"):
            match_electrodes(positions, 80.0)
    lifted = bank.positions.copy()
    lifted[7, 2] += 1.0  # mm
    with pytest.raises(ValueError, match="with no partner under symmetry"):
        match_electrodes(lifted, 80.0)


@pytest.mark.parametrize(
    "place",
    [
        center_electrode,
        standard_electrodes,
        lambda sheet: grid_electrodes(sheet, 2, 3),
        lambda sheet: ring_electrodes(sheet, 5, 4.0),
        lambda sheet: bank_electrodes(sheet if sheet is SHAPE else Grid((40, 40), DX)),
    ],
)
def test_electrodes_take_the_tissue_or_its_grid(place):
    of_tissue, of_grid = place(healthy(SHAPE, DX, 0.1)), place(GRID)
    assert np.array_equal(of_tissue.positions, of_grid.positions) and of_tissue.names == of_grid.names
    with pytest.raises(ValueError, match="sheet: expected Grid, or a Tissue, got tuple"):
        place(SHAPE)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="n_x: expected a whole number in 1 .. 1000, got 0"):
        grid_electrodes(GRID, 2, 0)
    with pytest.raises(ValueError, match="n: expected a whole number in 1"):
        ring_electrodes(GRID, 0, 5.0)
    with pytest.raises(ValueError, match="radius: expected a number > 0 .* mm, got 0"):
        ring_electrodes(GRID, 4, 0)
    with pytest.raises(ValueError, match=r"electrodes: expected \(lead, xyz\) of shape \(any, 3\)"):
        Electrodes(np.zeros(3), ("e",))
    with pytest.raises(ValueError, match="distinct names"):
        Electrodes(np.zeros((2, 3)), ("e", "e"))
