"""What several experiments draw at random: tissues whose wave is kept, and white noise."""

from collections.abc import Callable

import numpy as np
import xarray as xr

from forwardecg.data.draw import Draw, draw_tissue
from forwardecg.data.recipe import Recipe


def draw_until_kept(
    own: Recipe, sim: int, record: Callable[[Draw], xr.Dataset], draw: Callable[[Recipe, int, int], Draw] = draw_tissue
) -> tuple[Draw, xr.Dataset, int]:
    """The first draw whose wave activates enough of the tissue, as for the data sets, its recording, and which draw it is."""
    for attempt in range(own.max_draws):
        drawn = draw(own, sim, attempt)
        live = drawn.tissue.live
        if not all((one.mask & live).any() for one in drawn.stimuli):
            continue
        found = record(drawn)
        if np.isfinite(found.lat.values[live]).mean() >= own.min_activated:
            return drawn, found, attempt
    raise RuntimeError(f"tissue {sim}: none of {own.max_draws} draws was kept")


def with_noise(
    values: np.ndarray, sd: float | np.ndarray, seed: int | list[int] | np.random.Generator, dtype: type = np.float64
) -> np.ndarray:
    """The values with white noise of this SD, which is drawn in this precision."""
    return values + sd * np.random.default_rng(seed).standard_normal(values.shape, dtype)
