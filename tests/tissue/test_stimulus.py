"""Stimuli and pacing protocols."""

import numpy as np
import pytest

from forwardecg.solver.simulation import simulate, solve
from forwardecg.tissue.grid import Grid
from forwardecg.tissue.sheet import healthy
from forwardecg.tissue.stimulus import Stimulus, burst, edge_stimulus, focal_stimulus, s1_s2

SHAPE, DX = (20, 40), 0.5
GRID = Grid(SHAPE, DX)


def test_burst_repeats_the_stimulus():
    beats = burst(edge_stimulus(GRID, start=10.0, amplitude=0.4), 150.0, 3)
    assert [beat.start for beat in beats] == [10, 160, 310]
    assert all(beat.amplitude == 0.4 and beat.mask is beats[0].mask for beat in beats)


def test_s1_s2_counts_from_the_last_beat():
    site = focal_stimulus(GRID, 10, 5)
    beats = s1_s2(edge_stimulus(GRID), 400.0, 2, (110.0, 105.0), site)
    assert [beat.start for beat in beats] == [0, 400, 510, 615]
    assert beats[1].mask.sum() == beats[0].mask.sum() and np.array_equal(beats[2].mask, site.mask)


def test_an_early_beat_is_blocked_and_a_late_one_conducts():
    """S2 within the refractory period starts no wave; the far end is excited once or twice."""
    for coupling, beats in ((60.0, 1), (200.0, 2)):
        stimuli = s1_s2(edge_stimulus(Grid((1, 60), DX)), 400.0, 1, [coupling])
        far = np.array([state.u[0, -5] for state in solve(healthy((1, 60), DX, 0.12), stimuli, t_end=320)])
        assert ((far[:-1] < 0.5) & (far[1:] >= 0.5)).sum() == beats


def test_one_train_is_one_simulation():
    ds = simulate(healthy((1, 60), DX, 0.12), burst(edge_stimulus(Grid((1, 60), DX)), 200.0, 2), t_end=400)
    V_m = ds.V_m.isel(y_map=0, x_map=30).values
    assert ((V_m[:-1] < -35) & (V_m[1:] >= -35)).sum() == 2
    assert float(ds.lat.max()) < 60 < float(ds.recovery.min()) < 200  # of the first beat


def test_bad_stimuli_are_refused():
    good = edge_stimulus(GRID)
    for n in (0, 10**30, 2.5, True):
        with pytest.raises(ValueError, match="n: expected a whole number in 1 .. 100000, got"):
            burst(good, 100.0, n)
    with pytest.raises(ValueError, match="interval: expected at least the duration 2.0 ms, got 1.0 ms"):
        burst(good, 1.0, 2)
    with pytest.raises(ValueError, match="s2: expected a number > 0 .* ms, got -5"):
        s1_s2(good, 400.0, 1, [-5])
    with pytest.raises(ValueError, match="width: expected a number > 0 .* mm, got 0"):
        edge_stimulus(GRID, width=0)
    with pytest.raises(ValueError, match="radius: expected a number > 0 .* mm, got -1"):
        focal_stimulus(GRID, 1, 1, radius=-1)
    with pytest.raises(ValueError, match="stimulus start: expected a number in 0"):
        Stimulus(mask=good.mask, start=-1)
