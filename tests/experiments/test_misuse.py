"""Wrong maps: what is done to them, on what grid, and what a row says."""

import numpy as np
import pytest

from experiments.misuse import (
    DT,
    DX,
    LEAD,
    NOT_SEEN,
    beside,
    manipulations,
    predicted,
    quantized,
    recipes_surrogate,
    swapped,
    with_frame,
)
from experiments.steps import GRIDS, resample
from forwardecg.contract import V_REST, V_SPAN
from forwardecg.data.maps import load_small
from forwardecg.surrogates.predict import load_surrogate


@pytest.fixture(scope="module")
def small():
    return load_small()


def test_means_over_area_are_those_of_blocks_and_keep_the_integral():
    V = np.random.default_rng(0).random((3, 12, 12)).astype(np.float32)
    assert np.allclose(resample(V, 1.0, 3.0), V.reshape(3, 4, 3, 4, 3).mean((2, 4)), atol=1e-5)
    assert np.allclose(resample(V, 1.0, 1.0), V, atol=1e-5)
    odd = resample(V, 1.0, 1.5)
    assert odd.shape == (3, 8, 8) and np.allclose(odd.mean((1, 2)), V.mean((1, 2)), atol=1e-5)
    assert resample(V, 1.0, 4.5).shape == (3, 2, 2), "what does not fill a pixel is left out"
    ramp = np.tile(np.arange(12.0), (1, 12, 1)).astype(np.float32) + 0.5
    assert np.allclose(resample(ramp, 1.0, 4.5)[0, 0], [2.25, 6.75], atol=0.1)


def test_grids_are_in_the_range_of_the_surrogate_and_hold_the_usual_one():
    assert (2.0, 5.0) in GRIDS and len({*GRIDS}) == len(GRIDS)
    assert all(1.3 <= dx <= 4.5 and 5 <= dt <= 10 for dx, dt in GRIDS)


def test_every_manipulation_changes_the_maps_or_what_is_told(small):
    V, other = (small.V_m[k].values.astype(np.float32) for k in (2, 1))
    names, before = [], V.copy()
    for kind, name, spoil, told in manipulations(V, other, np.random.default_rng(0)):
        seen, late = spoil(), told.pop("late", 0)
        assert not late or len(seen) == len(V) - late, name
        assert (kind == "late") == (late > 0), name
        assert seen.ndim == 3 and np.array_equal(V, before), name
        assert (kind == "right") == (not told and np.array_equal(seen, V)), name
        names.append(name)
    assert len({*names}) == len(names) > 50


def test_what_is_done_by_hand():
    V = V_REST + V_SPAN * np.linspace(0, 1, 8)[:, None, None] * np.ones((1, 2, 2))
    assert (with_frame(V, 0.0)[2] == 0).all() and np.array_equal(with_frame(V, 0.0)[3:], V[3:])
    assert np.array_equal(swapped(V)[0], V[1]) and np.array_equal(swapped(swapped(V)), V)
    assert len(np.unique(quantized(np.linspace(-85, 15, 999), 2))) == 4


def test_a_row_tells_silent_flagged_and_refused_apart(small):
    surrogate, V = load_surrogate(), small.V_m[2].values.astype(np.float32)
    place = small.electrodes.sel(lead=[LEAD]).values
    true = small.phi_e[2].sel(lead=LEAD, time_ecg=small.time.values).values
    right = predicted(surrogate, V, place, true, dx=DX, dt=DT)
    assert right["outcome"] == "silent" and right["why"] == "" and right["r2"] > 0.9
    wrong = predicted(surrogate, np.concatenate([V, small.V_m[1].values], axis=2), place, true, dx=DX, dt=DT)
    assert wrong["outcome"] == "flagged" and "seam" in wrong["why"]
    late = predicted(surrogate, V[20:], place, true[20:], dx=DX, dt=DT)
    assert "the recording begins after the wave" in late["why"]
    refused = predicted(surrogate, V, place, true, dx=20.0, dt=DT)
    assert refused["outcome"] == "refused" and "dx: expected" in refused["why"] and "r2" not in refused
    assert {"mirrored", "size"} == {*NOT_SEEN}


def test_the_recipes_networks_are_flagged_by_what_they_were_trained_on(small):
    surrogate, V = load_surrogate(), small.V_m[2].values.astype(np.float32)
    old = recipes_surrogate(surrogate.bands)
    assert "cells" not in old.card and old.card["sha256"] != surrogate.card["sha256"]
    place = small.electrodes.sel(lead=[LEAD]).values
    true = small.phi_e[2].sel(lead=LEAD, time_ecg=small.time.values).values
    right = predicted(old, V, place, true, dx=DX, dt=DT)
    assert right["outcome"] == "silent" and right["r2"] > 0.9
    fast = predicted(old, V, place, true, dx=2 * DX, dt=DT)
    assert "trained on 0.29 .. 1.05" in fast["why"]
    row = beside({"r2": 1.0}, fast)
    assert row["old_outcome"] == "flagged" and row["old_r2"] == fast["r2"] and row["r2"] == 1.0
