"""The recipe, its seeded tissues, and what each protocol and kind of fibrosis promises."""

import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from multiprocessing import get_context

import numpy as np
import pytest
import xarray as xr
from scipy.stats import chi2_contingency
from threadpoolctl import threadpool_info, threadpool_limits

from forwardecg.contract import V_REST
from forwardecg.data import draw as module
from forwardecg.data.draw import draw_tissue, is_sustained, simulate_one
from forwardecg.data.recipe import PROTOCOLS, Recipe, read_recipe, write_recipe
from forwardecg.solver.simulation import ECG_BLOCK, simulate
from forwardecg.tissue.cell import FK_MBR
from forwardecg.tissue.sheet import CONDITIONS, SHARES

RECIPE = Recipe(n_sim=30, n_cells=40, dx=1.0, t_end=60, min_activated=0.05, z_mm=20)
LARGE = replace(RECIPE, n_cells=100)  # mm: a front needs a while to cross it
REENTRY = replace(LARGE, protocol="reentry", conditions=("gap_junction",), t_end=1000, max_draws=60)


def test_a_tissue_is_the_same_whenever_it_is_drawn_and_others_differ():
    def drawn(recipe, sim, attempt=0):
        draw = draw_tissue(recipe, sim, attempt)
        return np.stack([np.where(draw.tissue.conductive, draw.tissue.D, 0), draw.stimuli[0].mask])

    a = drawn(RECIPE, 3)
    assert np.array_equal(a, drawn(RECIPE, 3))
    assert np.array_equal(a, drawn(replace(RECIPE, n_sim=4), 3)), "a larger data set begins with the smaller one"
    assert not np.array_equal(a, drawn(RECIPE, 8))
    assert not np.array_equal(a, drawn(RECIPE, 3, attempt=1))
    assert not np.array_equal(a, drawn(replace(RECIPE, seed=1), 3))


def test_a_simulated_tissue_is_a_pure_function_of_recipe_and_number():
    """The same alone, after others, as one of a larger set, and in another process."""
    alone = simulate_one(RECIPE, 3)
    for sim in (4, 2):
        simulate_one(RECIPE, sim)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        elsewhere = pool.submit(simulate_one, RECIPE, 3).result()
    for again in (simulate_one(RECIPE, 3), simulate_one(replace(RECIPE, n_sim=300), 3), elsewhere):
        xr.testing.assert_identical(alone, again)


def blas_threads() -> set[int]:
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


def test_threads_of_one_process_do_not_lift_each_others_limit(monkeypatch):
    """The shorter ones end while the longer ones simulate, which must go on with one thread."""
    seen = []

    def slow(*args, **options):
        seen.append(blas_threads())
        time.sleep(0.05 * (len(seen) % 8))
        seen.append(blas_threads())
        return simulate(*args, **options)

    monkeypatch.setattr(module, "simulate", slow)
    before = blas_threads()
    with threadpool_limits(2):  # which this thread holds
        alone = simulate_one(RECIPE, 3)
        assert blas_threads() == {2}
    for _ in range(2):
        with ThreadPoolExecutor(4) as pool:
            several = [*pool.map(simulate_one, [RECIPE] * 4, [3, 2, 3, 4])]
            assert blas_threads() == before, "given back by the last of them"
        for again in (several[0], several[2]):
            xr.testing.assert_identical(alone, again)
    assert len(seen) == 18 and seen == [{1}] * 18


def test_conditions_come_one_one_two_one():
    condition = [draw_tissue(RECIPE, sim).tissue.condition for sim in range(60)]
    assert Counter(condition) == {"healthy": 12, "gap_junction": 12, "fibrotic": 24, "combined": 12}
    assert set(condition[:5]) == set(CONDITIONS), "also in the first five"


def test_diffusivity_and_stimulus_vary_within_their_ranges():
    draws = [draw_tissue(RECIPE, 5 * k) for k in range(40)]  # healthy ones
    D0 = [draw.D0 for draw in draws]
    assert [draw.tissue.D[0, 0] for draw in draws] == D0
    assert RECIPE.D0_low <= min(D0) < 0.11 and 0.15 < max(D0) <= RECIPE.D0_high
    masks = [draw.stimuli[0].mask for draw in draws]
    assert len({mask.tobytes() for mask in masks}) > 10, "a fixed site would give the condition away"
    corners = {where for mask in masks for where in ((0, 0), (0, -1), (-1, 0), (-1, -1)) if mask[where]}
    assert len(corners) == 4
    assert {draw.stimulus for draw in draws} == set(PROTOCOLS["single"])


def test_both_foci_fire_before_the_wave_of_the_other_arrives():
    """Under each stimulus the first cell activates with it, not earlier: lat in the ms after its start."""
    recipe = replace(LARGE, protocol="two_foci", t_end=40)
    for sim in range(10):
        ds = simulate_one(recipe, sim)
        draw = draw_tissue(recipe, sim, ds.attempt)
        assert draw.stimulus == ds.stimulus == "two_foci"
        first, second = draw.stimuli
        assert first.start == 0 <= second.start <= 0.2 * 100
        for stimulus in draw.stimuli:
            lat = ds.lat.values[stimulus.mask & ds.conductive.values]
            assert stimulus.start < lat.min() <= lat.max() < stimulus.start + 5


def test_s1_s2_is_an_edge_and_then_a_region_beside_it():
    for sim in range(10):
        draw = draw_tissue(REENTRY, sim)
        s1, s2 = draw.stimuli
        assert draw.stimulus == "s1_s2" and s1.start == 0 and s2.start > 105
        assert 0.3 * 0.4 - 0.02 < s2.mask.mean() < 0.6**2 + 0.02
        assert 0.4 - 0.01 <= (s1.mask & s2.mask).sum() / s1.mask.sum() <= 0.6 + 0.01, "half of its edge"


def test_dense_fibrosis_lies_above_all_of_the_usual():
    shares = {"usual": {}, "dense": {}}
    for fibrosis, found in shares.items():
        for sim in range(40):
            draw = draw_tissue(replace(LARGE, fibrosis=fibrosis, conditions=("fibrotic", "combined")), sim)
            assert draw.fibrosis_density == draw.tissue.fibrosis_density
            found.setdefault(draw.tissue.texture, []).append(draw.fibrosis_density)
    for texture, (_, high) in SHARES["usual"].items():
        assert max(shares["usual"][texture]) < high + 0.02 and min(shares["dense"][texture]) > high - 0.02
    assert np.mean(shares["dense"]["compact"]) > 2 * np.mean(shares["usual"]["compact"])


def test_partial_fibrosis_conducts_everywhere_at_a_fraction_where_it_is():
    usual = replace(RECIPE, conditions=("fibrotic", "combined"))
    fractions = []
    for sim in range(20):
        a, b = draw_tissue(usual, sim), draw_tissue(replace(usual, fibrosis="partial"), sim)
        ratio, fibrosis = b.tissue.D / a.tissue.D, ~a.tissue.conductive
        assert b.tissue.conductive.all() and b.fibrosis_density == a.fibrosis_density > 0
        assert (ratio[~fibrosis] == 1).all() and np.ptp(ratio[fibrosis]) < 1e-12
        fractions.append(ratio[fibrosis][0])
    assert 0.05 <= min(fractions) < 0.1 and 0.25 < max(fractions) <= 0.3


def test_percolating_fibrosis_replaces_what_would_be_drawn():
    for sim in range(6):
        draw = draw_tissue(replace(LARGE, fibrosis="percolating", conditions=("fibrotic", "combined")), sim)
        assert 0.29 < draw.fibrosis_density < 0.46 and draw.tissue.texture == "patchy", "the nearest word of a store"


def test_a_paced_tissue_has_two_beats_of_one_site():
    """The site of the single beat, fired again; a cell beside it is activated twice, and rests in between."""
    paced = replace(LARGE, protocol="paced", t_end=600)
    intervals = []
    for sim in range(12):
        single, draw = (draw_tissue(one, sim) for one in (LARGE, paced))
        first, second = draw.stimuli
        assert np.array_equal(first.mask, second.mask) and np.array_equal(first.mask, single.stimuli[0].mask)
        assert first.start == 0 and np.array_equal(draw.tissue.D, single.tissue.D)
        intervals.append(second.start)
    assert 150 <= min(intervals) < 220 and 330 < max(intervals) <= 400
    above = simulate_one(paced, 0).V_m.values > -35.0
    risen = (above[1:] & ~above[:-1]).sum(0)
    assert np.median(risen) == 2 and risen.max() <= 2 and not above[-1].any()


def movie(n: int, t_end: float, after) -> xr.DataArray:
    """V_m (time, y_map, x_map) of n x n pixels; ``after`` gives the ms since the last activation, NaN before the first."""
    t, y, x = np.meshgrid(np.arange(0, t_end, 5.0), *[np.arange(n) - (n - 1) / 2] * 2, indexing="ij")
    since = after(t, y, x)
    return xr.DataArray(
        np.where((since >= 0) & (since < 80), 10.0, V_REST), {"time": t[:, 0, 0]}, ("time", "y_map", "x_map")
    )


def plane_waves(*starts):
    def after(t, y, x):
        delay = t - 3 * (x - x.min())
        return delay - np.max([np.where(delay >= start, start, -np.inf) for start in starts], axis=0)

    return after


def arm(t, y, x):
    """A rigid arm that turns once in 150 ms."""
    return (t - 150 * np.arctan2(y, x) / (2 * np.pi)) % 150


def test_sustained_is_a_rotating_arm_and_neither_two_waves_nor_one_that_dies_out():
    assert is_sustained(movie(12, 1000, arm))
    assert not is_sustained(movie(12, 1000, plane_waves(0, 200)))
    assert not is_sustained(movie(12, 1000, plane_waves(0, 900))), "active at the end, but two waves"
    died = movie(12, 1000, lambda t, y, x: np.where(t < 800, arm(t, y, x), -1))
    assert not is_sustained(died)
    assert is_sustained(died.sel(time=slice(0, 795))), "it did last until it died"


def test_reentry_is_redrawn_until_it_lasts_and_rejections_are_counted():
    kept = {sim: simulate_one(REENTRY, sim) for sim in range(4)}
    for ds in kept.values():
        assert is_sustained(ds.V_m) and ds.time_ecg[-1] == REENTRY.t_end and np.isnan(ds.rest_time)
        assert ds.attempt == ds.rejected_site + ds.rejected_activation + ds.rejected_reentry
    sim, ds = next((sim, ds) for sim, ds in kept.items() if ds.rejected_reentry)
    draw = draw_tissue(REENTRY, sim, ds.attempt - 1)
    before = simulate(draw.tissue, draw.stimuli, t_end=REENTRY.t_end, pool=REENTRY.pool, dt=REENTRY.dt)
    assert not is_sustained(before.V_m), "the draw before did not last"


def test_a_draw_that_hardly_conducts_is_drawn_again():
    """The tissue kept is the first attempt over the bar, and says which attempt it was."""
    recipe = replace(RECIPE, t_end=30)
    activated = {sim: simulate_one(recipe, sim).activated for sim in (0, 5, 10, 15)}
    bar = (min(activated.values()) + max(activated.values())) / 2
    for sim, share in activated.items():
        ds = simulate_one(replace(recipe, min_activated=bar), sim)
        assert (ds.attempt == 0) == (share >= bar)
        assert ds.attempt == ds.rejected_activation and ds.activated >= bar
        assert np.array_equal(ds.D, draw_tissue(RECIPE, sim, ds.attempt).tissue.D)


def test_a_recipe_that_no_draw_can_meet_ends(monkeypatch):
    calls = []
    dead = xr.Dataset({"lat": (("y", "x"), np.full((40, 40), np.nan))})
    monkeypatch.setattr(module, "simulate", lambda *_, **__: calls.append(1) or dead)
    with pytest.raises(RuntimeError, match="tissue 0: none of 7 draws was kept; .*: 0, 7, 0"):
        simulate_one(replace(RECIPE, max_draws=7), 0)
    assert len(calls) == 7


def test_the_tail_after_rest_is_rest_and_what_it_neglects_is_small():
    recipe = replace(LARGE, t_end=700)
    ds, draw = simulate_one(recipe, 3), draw_tissue(recipe, 3)
    assert ds.attempt == 0 and 150 < ds.rest_time < 650
    assert np.array_equal(ds.time, np.arange(0, 701, 5)) and np.array_equal(ds.time_ecg, np.arange(701))
    assert (ds.V_m.sel(time=ds.time > ds.rest_time) == V_REST).all()
    tail = ds.time_ecg > ds.rest_time
    assert (ds.phi_e.sel(time_ecg=tail) == 0).all()
    with threadpool_limits(1):  # as a data set is simulated: more threads add in another order
        full = simulate(
            draw.tissue, draw.stimuli, t_end=700, electrodes=recipe.electrodes, pool=recipe.pool, dt=recipe.dt
        )  # fmt: skip
    both = full.phi_e.sel(time_ecg=~tail), ds.phi_e.sel(time_ecg=~tail)
    blocks = both[0].sizes["time_ecg"] // ECG_BLOCK * ECG_BLOCK
    assert blocks > 0 and np.array_equal(*(phi_e[:, :blocks] for phi_e in both))
    # the run that stops ends within a block: a product of another shape may add in another order, too
    np.testing.assert_allclose(*both, rtol=0, atol=1e-12 * float(np.abs(full.phi_e).max()))
    neglected = np.abs(full.phi_e.sel(time_ecg=tail)).max("time_ecg")
    assert (neglected > 0).all() and (neglected < 1e-3 * np.abs(full.phi_e).max("time_ecg")).all()


def test_a_run_that_reaches_the_end_has_no_tail():
    ds = simulate_one(RECIPE, 3)
    assert np.isnan(ds.rest_time) and ds.time_ecg[-1] == 60 and ds.V_m[-1].max() > V_REST + 1


def test_what_a_tissue_says_of_itself():
    for sim in range(10):
        ds, draw = simulate_one(RECIPE, sim), draw_tissue(RECIPE, sim)
        assert ds.attempt == 0 and ds.stimulus == draw.stimulus and ds.D0 == draw.D0
        assert ds.condition == RECIPE.conditions[sim % 5] and ds.texture == draw.tissue.texture
        assert ds.fibrosis_density == draw.fibrosis_density == 1 - ds.conductive.values.mean()
        assert ds.mild == (ds.fibrosis_density < 0.2 and ds.texture != "interstitial")
        assert len(ds.lead) == 37 and ds.lead[0] == "center"
    assert simulate_one(replace(RECIPE, bank=False), 0).lead.values.tolist() == ["center"]


def test_a_recipe_survives_its_file(tmp_path):
    recipe = replace(RECIPE, conditions=("combined", "healthy"), cell=FK_MBR, bank=False, fibrosis="dense", seed=9)
    write_recipe(recipe, tmp_path / "a.json")
    again = read_recipe(tmp_path / "a.json")
    assert again == recipe and isinstance(again.conditions, tuple) and hash(again) == hash(recipe)
    for text in ("{", "{}", '{"n_sim": 3, "cell": {}}', (tmp_path / "a.json").read_text().replace("seed", "sead")):
        (tmp_path / "b.json").write_text(text)
        with pytest.raises(ValueError, match="b.json: expected a recipe"):
            read_recipe(tmp_path / "b.json")


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
        ({"mild_density": -0.1}, "mild_density"),
        ({"max_draws": 0}, "max_draws"),
        ({"max_draws": 2.5}, "max_draws"),
        ({"seed": -1}, "seed"),
        ({"conditions": ()}, "conditions"),
        ({"conditions": ("healthy", "ischemic")}, "conditions"),
        ({"fibrosis": "none"}, "fibrosis"),
        ({"protocol": "focal"}, "protocol"),
        ({"bank": 1}, "bank"),
    ],
)
def test_bad_recipe_is_refused(change, name):
    with pytest.raises(ValueError, match=f"{name}.*: expected"):
        replace(RECIPE, **change)


@pytest.mark.parametrize("change", [{"t_end": 62.0}, {"dt": 3.0}, {"ecg_interval": 2.0}, {"z_mm": 0.5}])
def test_recipe_that_cannot_be_simulated_is_refused(change):
    with pytest.raises(ValueError, match="expected"):
        simulate_one(replace(RECIPE, **change), 0)


def test_the_kind_of_stimulus_does_not_depend_on_the_condition():
    draws = [draw_tissue(RECIPE, sim) for sim in range(600)]
    conditions, kinds = (
        [*dict.fromkeys(part)] for part in zip(*((d.tissue.condition, d.stimulus) for d in draws), strict=True)
    )
    table = np.zeros((len(conditions), len(kinds)))
    for draw in draws:
        table[conditions.index(draw.tissue.condition), kinds.index(draw.stimulus)] += 1
    assert table.shape == (4, 3) and chi2_contingency(table).pvalue > 0.01
    shares = table.sum(0) / table.sum()
    assert np.allclose(shares, 1 / 3, atol=0.06)


def test_sites_along_the_rim_vary():
    """From whole edges and exact corners the waves of healthy sheets would differ in D0 alone."""
    for kind in ("edge", "corner"):
        masks = [
            draw.stimuli[0].mask
            for draw in map(lambda sim: draw_tissue(RECIPE, 5 * sim), range(200))
            if draw.stimulus == kind
        ]
        images = {min(np.rot90(m, k)[:, ::s].tobytes() for k in range(4) for s in (1, -1)) for m in masks}
        assert len(images) > 6, kind
        rims = [np.concatenate([m[0], m[-1], m[:, 0], m[:, -1]]).any() for m in masks]
        assert all(rims)
