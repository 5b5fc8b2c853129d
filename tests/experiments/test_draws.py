"""Draws of the experiments: noise is as large as it is told to be, and a tissue is drawn until a wave crosses it."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from experiments.draws import draw_until_kept, with_noise
from forwardecg.data.draw import Draw, draw_tissue
from forwardecg.data.recipe import Recipe

OWN = Recipe(n_sim=2, n_cells=24, max_draws=4)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_noise_has_its_sd_in_each_row_and_is_the_same_again(dtype):
    z = np.zeros((2, 20_000), dtype)
    found = with_noise(z, np.array([[0.5], [2.0]]), 3, dtype)
    assert found.std(-1) == pytest.approx([0.5, 2.0], rel=0.03)
    assert np.array_equal(found, with_noise(z, np.array([[0.5], [2.0]]), 3, dtype))
    assert not np.array_equal(found, with_noise(z, np.array([[0.5], [2.0]]), 4, dtype))


def test_no_noise_changes_nothing_and_a_generator_goes_on():
    z, draws = np.arange(6.0), np.random.default_rng(0)
    assert np.array_equal(with_noise(z, 0.0, 1), z)
    assert not np.array_equal(with_noise(z, 1.0, draws), with_noise(z, 1.0, draws))


def recorded(shares: list[float]):
    """A recording in which a wave activates these shares of the tissue, one a call."""
    left = iter(shares)

    def record(drawn: Draw) -> xr.Dataset:
        lat = np.full(drawn.tissue.D.shape, np.nan)
        live = np.flatnonzero(drawn.tissue.live)
        lat.flat[live[: round(next(left) * len(live))]] = 1.0
        return xr.Dataset({"lat": (("y", "x"), lat)})

    return record


def test_the_first_draw_whose_wave_is_large_enough_is_kept():
    drawn, found, attempt = draw_until_kept(OWN, 0, recorded([0.1, 0.49, 0.9]))
    assert attempt == 2 and np.isfinite(found.lat.values[drawn.tissue.live]).mean() == pytest.approx(0.9, abs=0.01)
    assert np.array_equal(drawn.tissue.D, draw_tissue(OWN, 0, 2).tissue.D)


def test_a_site_without_tissue_is_no_draw():
    def draw(own: Recipe, sim: int, attempt: int) -> Draw:
        drawn = draw_tissue(own, sim, attempt)
        if attempt:
            return drawn
        conductive = drawn.tissue.conductive & ~drawn.stimuli[0].mask
        return drawn._replace(tissue=replace(drawn.tissue, conductive=conductive))

    _, _, attempt = draw_until_kept(OWN, 0, recorded([1.0]), draw)
    assert attempt == 1


def test_a_tissue_that_no_wave_crosses_is_an_error():
    with pytest.raises(RuntimeError, match="tissue 1: none of 4 draws was kept"):
        draw_until_kept(OWN, 1, recorded([0.0] * 4))
