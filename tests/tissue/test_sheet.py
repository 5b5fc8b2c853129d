"""Tissue sheets: faces, seeded builders, the ranges they promise, and bad input."""

import numpy as np
import pytest
from scipy.ndimage import label

from forwardecg.tissue.diffusion import face_diffusivity
from forwardecg.tissue.grid import Grid
from forwardecg.tissue.sheet import (
    PERCOLATING,
    PERCOLATING_SHARE,
    SHARES,
    TEXTURES,
    Tissue,
    combined,
    fibrotic,
    gap_junction,
    healthy,
    with_fibers,
)
from forwardecg.tissue.stimulus import Stimulus, edge_stimulus, focal_stimulus

SHAPE, DX = (120, 100), 0.5
GRID = Grid(SHAPE, DX)


def test_faces_are_harmonic_means_and_closed_at_edges_and_fibrosis():
    D = np.array([[0.1, 0.3], [0.2, 0.0]])
    D_x, D_y = face_diffusivity(D, np.array([[True, True], [True, True]]))[:2]
    assert D_x[0, 1] == pytest.approx(2 * 0.1 * 0.3 / 0.4)
    assert D_y[1, 0] == pytest.approx(2 * 0.1 * 0.2 / 0.3)
    assert D_x[1, 1] == 0 and D_y[1, 1] == 0  # a cell with D = 0
    assert not D_x[:, [0, -1]].any() and not D_y[[0, -1]].any()
    D_x = face_diffusivity(D, np.array([[True, False], [True, True]])).D_x
    assert D_x[0, 1] == 0


@pytest.mark.parametrize("texture", TEXTURES)
def test_fibrosis_is_seeded_and_within_its_range(texture):
    low, high = {
        "diffuse": (0.05, 0.28),
        "patchy": (0.08, 0.35),
        "compact": (0.001, 0.4),
        "interstitial": (0.05, 0.25),
    }[texture]
    for seed in range(5):
        sheet = healthy(SHAPE, DX, 0.1)
        a = fibrotic(sheet, texture, seed=seed)
        b = fibrotic(sheet, texture, seed=seed)
        assert np.array_equal(a.conductive, b.conductive) and np.array_equal(a.D, b.D)
        assert low - 0.03 < a.fibrosis_density < high + 0.03
        assert 0.049 < a.D.min() <= a.D.max() <= 0.1
        assert a.condition == "fibrotic" and a.texture == texture


@pytest.mark.parametrize("texture", TEXTURES)
def test_dense_fibrosis_is_within_its_range_above_the_usual_one(texture):
    def densities(dense):
        sheet, seeds = healthy(SHAPE, DX, 0.1), range(10)
        return [fibrotic(sheet, texture, seed=seed, dense=dense).fibrosis_density for seed in seeds]

    dense = densities(True)
    if texture == "compact":
        assert np.mean(dense) > 2 * np.mean(densities(False)), "more scars, of the same sizes"
    else:
        low, high = SHARES["dense"][texture]
        assert low - 0.02 < min(dense) <= max(dense) < high + 0.02
        assert max(dense) - min(dense) > 0.3 * (high - low), "drawn, not fixed"
        assert SHARES["usual"][texture][1] <= low


def test_percolating_fibrosis_is_dense_and_yet_leaves_paths_from_side_to_side():
    """Most of what conducts is one cluster that reaches all four sides; single cells so dense leave none."""
    sheet, low_high = healthy((300, 300), DX, 0.1), PERCOLATING_SHARE
    for seed in range(8):
        found = fibrotic(sheet, PERCOLATING, seed=seed)
        assert found.texture == PERCOLATING and low_high[0] - 0.01 < found.fibrosis_density < low_high[1] + 0.01
        clusters, _ = label(found.conductive)
        main = clusters == np.bincount(clusters[found.conductive]).argmax()
        assert main.sum() > 0.8 * found.conductive.sum() and all(main.take(k, n).any() for k in (0, -1) for n in (0, 1))
    scattered = np.random.default_rng(0).random((300, 300)) > low_high[1]
    assert np.bincount(label(scattered)[0][scattered]).max() < 0.5 * scattered.sum()


def test_percolating_fibrosis_is_drawn_only_where_it_is_named():
    assert PERCOLATING not in TEXTURES
    assert {fibrotic(healthy((20, 20), DX, 0.1), seed=seed).texture for seed in range(40)} == {*TEXTURES}


def test_gap_junction_lowers_D_and_combined_does_both():
    sheet = healthy(SHAPE, DX, 0.12)
    for seed in range(6):
        gj = gap_junction(sheet, seed=seed)
        assert 0.3 <= gj.gj_scale <= 0.75 and gj.conductive.all()
        assert gj.D.min() == pytest.approx(0.12 * gj.gj_scale, rel=0.02) and gj.D.max() <= 0.12
        both = combined(sheet, seed=seed)
        assert both.condition == "combined" and both.fibrosis_density > 0 and both.gj_scale < 1


@pytest.mark.parametrize("remodel", [gap_junction, fibrotic, combined])
def test_a_seed_is_a_number_or_a_generator_that_goes_on(remodel):
    sheet, rng = healthy(SHAPE, DX, 0.12), np.random.default_rng(3)
    by_number, by_generator, next_one = remodel(sheet, seed=3), remodel(sheet, seed=rng), remodel(sheet, seed=rng)
    assert np.array_equal(by_number.D, by_generator.D) and np.array_equal(by_number.conductive, by_generator.conductive)
    assert not np.array_equal(by_number.D, next_one.D)


def test_interstitial_strands_are_longer_than_wide():
    """Correlation along the strand direction (drawn at random) must beat the one across it."""
    a = fibrotic(healthy((200, 200), DX, 0.1), "interstitial", seed=4)
    mask = (~a.conductive).astype(float) - a.fibrosis_density
    power = np.fft.fftshift(np.abs(np.fft.fft2(mask)) ** 2)
    k = np.arange(200) - 100
    moments = np.array([[(power * np.outer(k**i, k ** (2 - i))).sum() for i in (2, 1, 0)]])[0]
    wide, narrow = np.linalg.eigvalsh([[moments[0], moments[1]], [moments[1], moments[2]]])[::-1]
    assert wide > 2 * narrow


def test_stimuli_cover_what_they_say():
    assert edge_stimulus(GRID, "left").mask.sum() == 4 * SHAPE[0]
    assert edge_stimulus(GRID, "top").mask[-4:].all()
    disc = focal_stimulus(GRID, x=25.0, y=30.0, radius=4.0).mask
    assert disc.sum() * DX**2 == pytest.approx(np.pi * 16, rel=0.05)
    assert np.allclose(np.argwhere(disc).mean(0) * DX + DX / 2, [30, 25], atol=0.1)


def test_a_stimulus_takes_the_tissue_or_its_grid():
    sheet = healthy(SHAPE, DX, 0.1)
    assert sheet.grid == GRID and GRID.size == (60.0, 50.0)
    y, x = GRID.centers
    assert y.shape == (120, 1) and x.shape == (100,) and y[0, 0] == x[0] == 0.25
    for stimulus in (edge_stimulus, lambda at: focal_stimulus(at, 25.0, 30.0)):
        assert np.array_equal(stimulus(sheet).mask, stimulus(GRID).mask)
        with pytest.raises(ValueError, match="sheet: expected Grid, or a Tissue, got tuple"):
            stimulus(SHAPE)


@pytest.mark.parametrize("remodel", [gap_junction, fibrotic, combined])
def test_remodeling_keeps_the_ratio_along_and_across_fibers(remodel):
    sheet = healthy(SHAPE, DX, 0.12)
    before, after = (
        remodel(with_fibers(sheet, 0.3, 4.0), seed=1),
        with_fibers(remodel(sheet, seed=1), 0.3, 4.0),
    )
    assert np.allclose(before.D, after.D) and np.allclose(before.D_across, after.D_across)
    assert np.allclose(before.D, 4 * before.D_across)


def test_lists_are_welcome():
    tissue = Tissue(D=[[1, 2], [3, 4]], conductive=[[True, False], [True, True]], dx=0.5)
    assert tissue.D.dtype == float and tissue.live.sum() == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"D": np.full(SHAPE, np.nan)}, "D: expected finite"),
        ({"D": np.full(SHAPE, -0.1)}, "D: expected values >= 0"),
        ({"D": np.ones(3)}, r"D: expected \(y, x\)"),
        ({"conductive": np.zeros(SHAPE, bool)}, "conductive: expected at least one"),
        ({"conductive": np.ones((3, 3), bool)}, r"conductive: expected \(y, x\) of shape \(120, 100\)"),
        ({"conductive": np.ones(SHAPE)}, "conductive: expected bool"),
        ({"dx": 0.0}, "dx: expected a number > 0"),
    ],
)
def test_bad_tissue_is_refused(change, message):
    good = {"D": np.full(SHAPE, 0.1), "conductive": np.ones(SHAPE, bool), "dx": DX}
    Tissue(**good)
    with pytest.raises(ValueError, match=message):
        Tissue(**(good | change))


@pytest.mark.parametrize(
    ("shape", "dx", "message"),
    [
        ((4,), DX, "shape: expected two whole numbers"),
        ((0, 4), DX, "shape: expected"),
        (SHAPE, 0.0, "dx: expected a number > 0"),
    ],
)
def test_bad_grid_is_refused(shape, dx, message):
    with pytest.raises(ValueError, match=message):
        Grid(shape, dx)


def test_bad_stimulus_and_names_are_refused():
    with pytest.raises(ValueError, match="stimulus mask"):
        Stimulus(mask=np.zeros(SHAPE, bool))
    with pytest.raises(ValueError, match="stimulus duration: expected a number > 0 .* ms, got 0"):
        Stimulus(mask=np.ones(SHAPE, bool), duration=0)
    with pytest.raises(ValueError, match="side: expected one of"):
        edge_stimulus(GRID, "north")
    with pytest.raises(ValueError, match="texture: expected one of"):
        fibrotic(healthy(SHAPE, DX, 0.1), "scar", seed=0)
