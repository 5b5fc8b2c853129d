"""The recipe, its seeded tissues, splits by tissue, and what the networks are given to read."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
import xarray as xr

from forwardecg import dataset
from forwardecg.dataset import Recipe, Sequences, check_maps, draw_tissue, network_maps, simulate_one, split_by_tissue
from forwardecg.tissue import CONDITIONS

RECIPE = Recipe(n_sim=30, n_cells=40, dx=1.0, t_end=60, min_activated=0.05, z_mm=20)
CONDITION = [draw_tissue(RECIPE, sim)[0].condition for sim in range(60)]


def test_a_tissue_is_the_same_whenever_it_is_drawn_and_others_differ():
    def drawn(recipe, sim, attempt=0):
        tissue, (stimulus,) = draw_tissue(recipe, sim, attempt)
        return np.stack([np.where(tissue.conductive, tissue.D, 0), stimulus.mask])

    a = drawn(RECIPE, 3)
    assert np.array_equal(a, drawn(RECIPE, 3))
    assert np.array_equal(a, drawn(replace(RECIPE, n_sim=4), 3)), "a larger data set begins with the smaller one"
    assert not np.array_equal(a, drawn(RECIPE, 8))
    assert not np.array_equal(a, drawn(RECIPE, 3, attempt=1))
    assert not np.array_equal(a, drawn(replace(RECIPE, seed=1), 3))


def test_conditions_come_one_one_two_one():
    assert Counter(CONDITION) == {"healthy": 12, "gap_junction": 12, "fibrotic": 24, "combined": 12}
    assert set(CONDITION[:5]) == set(CONDITIONS), "also in the first five"


def test_diffusivity_and_stimulus_vary_within_their_ranges():
    sheets = [draw_tissue(RECIPE, 5 * k) for k in range(40)]  # healthy ones
    D0 = [tissue.D[0, 0] for tissue, _ in sheets]
    assert RECIPE.D0_low <= min(D0) < 0.11 and 0.15 < max(D0) <= RECIPE.D0_high
    assert len({stimuli[0].mask.tobytes() for _, stimuli in sheets}) > 10, "a fixed site would give the condition away"
    corners = {where for _, (s,) in sheets for where in ((0, 0), (0, -1), (-1, 0), (-1, -1)) if s.mask[where]}
    assert len(corners) == 4


def test_a_draw_that_hardly_conducts_is_drawn_again():
    """The tissue kept is the first attempt over the bar, and says which attempt it was."""
    activated = [float(np.isfinite(simulate_one(replace(RECIPE, t_end=30), sim).lat).mean()) for sim in (0, 5, 10, 15)]
    bar = (min(activated) + max(activated)) / 2
    sims = dict(zip((0, 5, 10, 15), activated, strict=True))
    for sim, share in sims.items():
        ds = simulate_one(replace(RECIPE, t_end=30, min_activated=bar), sim)
        assert (ds.attempt == 0) == (share >= bar)
        assert ds.activated >= bar
        assert np.array_equal(ds.D, draw_tissue(RECIPE, sim, ds.attempt)[0].D)


def test_a_recipe_that_no_draw_can_meet_ends(monkeypatch):
    calls = []
    dead = xr.Dataset({"lat": (("y", "x"), np.full((40, 40), np.nan))})
    monkeypatch.setattr(dataset, "simulate", lambda *_, **__: calls.append(1) or dead)
    with pytest.raises(RuntimeError, match="tissue 0: no draw in 20 activated at least 5%"):
        simulate_one(RECIPE, 0)
    assert len(calls) == 20


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"n_sim": 0}, "n_sim"),
        ({"D0_low": 0.0}, "D0_low"),
        ({"D0_low": 0.2}, "D0_low"),
        ({"pool": 3}, "pool"),
        ({"pool": 0}, "pool"),
        ({"n_cells": 80.0}, "n_cells"),
        ({"dt": 0.0}, "dt"),
        ({"dx": float("nan")}, "dx"),
        ({"t_end": -1.0}, "t_end"),
        ({"frame_interval": 0.0}, "frame_interval"),
        ({"min_activated": 1.5}, "min_activated"),
    ],
)
def test_bad_recipe_is_refused(change, name):
    with pytest.raises(ValueError, match=f"{name}.*: expected"):
        replace(RECIPE, **change)


@pytest.mark.parametrize("change", [{"t_end": 62.0}, {"dt": 3.0}, {"ecg_interval": 2.0}, {"z_mm": 0.0}])
def test_recipe_that_cannot_be_simulated_is_refused(change):
    with pytest.raises(ValueError, match="expected"):
        simulate_one(replace(RECIPE, **change), 0)


def test_split_has_every_tissue_once():
    parts = split_by_tissue(CONDITION, seed=3)
    assert sorted(np.concatenate(list(parts.values()))) == list(range(60))
    assert all((np.diff(part) > 0).all() for part in parts.values())


def test_split_holds_every_condition_in_its_share():
    parts = split_by_tissue(CONDITION * 5, test=0.1, val=0.2)
    count = {name: Counter(np.array(CONDITION * 5)[part]) for name, part in parts.items()}
    assert count["test"] == {"healthy": 6, "gap_junction": 6, "fibrotic": 12, "combined": 6}
    assert count["val"] == {name: 2 * n for name, n in count["test"].items()}
    small = split_by_tissue(CONDITION[:15])
    for part in small.values():
        assert set(np.array(CONDITION)[part]) == set(CONDITIONS), "also where a tenth is less than one"


def test_split_is_seeded():
    a, b, other = (split_by_tissue(CONDITION, seed=seed) for seed in (1, 1, 2))
    assert all(np.array_equal(a[name], b[name]) for name in a)
    assert not np.array_equal(a["test"], other["test"])


def test_split_of_too_few_tissues_is_refused():
    with pytest.raises(ValueError, match="condition: expected at least 3 tissues of 'rare', got 2"):
        split_by_tissue([*CONDITION, "rare", "rare"])
    with pytest.raises(ValueError, match="condition: expected one name per tissue"):
        split_by_tissue([])
    with pytest.raises(ValueError, match="test, val: expected shares"):
        split_by_tissue(CONDITION, test=-0.1)


@pytest.fixture
def V_m(toy_dataset):
    return toy_dataset(1).V_m.isel(sim=0)


def test_network_reads_u_and_pixels_are_plain_means(V_m):
    u = network_maps(V_m, 10)
    assert u.dtype == torch.float16 and u.shape == (20, 10, 10)
    by_hand = (V_m.values[:, 4:6, 6:8].mean((1, 2)) + 85) / 100
    assert np.allclose(u[:, 2, 3], by_hand, atol=5e-4)
    assert np.allclose(network_maps(V_m, 20), (V_m + 85) / 100, atol=5e-4)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda V_m: V_m.transpose("y_map", "x_map", "time"), r"V_m: expected dims \(time, y_map, x_map\)"),
        (lambda V_m: V_m.rename(y_map="y"), "V_m: expected dims"),
        (lambda V_m: V_m[0], "V_m: expected dims"),
        (lambda V_m: V_m[:, :10], "V_m: expected square maps"),
        (lambda V_m: V_m[:, :15, :15], "V_m: expected square maps whose side is a multiple of 10 pixels, got 15 x 15"),
        (lambda V_m: V_m[:, :5, :5], "V_m: expected square maps whose side is a multiple of 10 pixels, got 5 x 5"),
        (lambda V_m: V_m.where(V_m < 0), "V_m: expected finite values"),
        (lambda V_m: V_m * 1000, "V_m: expected mV with rest near -85.0, got values from -8.5e"),
        (lambda V_m: V_m.expand_dims("sim"), "V_m: expected dims"),
        (lambda V_m: V_m / 1000, "V_m: expected mV with rest near -85.0, got values from -0.085"),
        (lambda V_m: (V_m + 85) / 100, "V_m: expected mV with rest near -85.0, got values from 0"),
    ],
    ids=["order", "name", "one frame", "oblong", "uneven", "too small", "NaN", "microvolts", "4-D", "volts", "u"],
)
def test_maps_that_are_not_the_contracts_are_refused(V_m, spoil, message):
    check_maps(V_m, 10)
    with pytest.raises(ValueError, match=message):
        check_maps(spoil(V_m), 10)


def test_sequences_pair_each_map_with_the_ecg_of_its_tissue_and_time(toy_dataset):
    ds = toy_dataset(5)
    sequences = Sequences(ds, [3, 1], 10)
    assert len(sequences) == 2
    u, ecg = sequences[0]
    assert u.shape == (20, 10, 10) and ecg.shape == (20,)
    assert torch.equal(u, network_maps(ds.V_m[3], 10))
    assert np.allclose(ecg, ds.phi_e[3, 0, ::5])  # maps come every 5 ms, the ECG every 1 ms
    assert np.array_equal(sequences.t, ds.time)
