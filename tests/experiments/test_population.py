"""Populations: nulls are uniform, a shift is found, and a diffusion model of known data samples those data."""

import argparse
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import kstest

from experiments import population
from experiments.diffusion import Denoiser, DenoiserConfig, DenoiseTask, generate, kept, sample
from experiments.files import tables_folder
from experiments.population import compare, halves, nearest
from forwardecg.data.draw import simulate_one
from forwardecg.data.recipe import Recipe
from forwardecg.measure.scores import r2
from forwardecg.paths import CACHE, RESULTS
from forwardecg.surrogates.train import TrainConfig, fit, initialize


def waves(n: int, seed: int = 0, n_t: int = 40) -> np.ndarray:
    """Deflections (n, n_t) of random size, width and time."""
    rng, t = np.random.default_rng(seed), np.arange(n_t)
    size, width, middle = rng.uniform(0.5, 2, (n, 1)), rng.uniform(2, 5, (n, 1)), rng.uniform(8, 30, (n, 1))
    return size * np.exp(-(((t - middle) / width) ** 2)) + 0.05 * rng.standard_normal((n, n_t))


def test_halves_of_one_population_have_a_uniform_p(monkeypatch):
    monkeypatch.setattr(population, "CLASSIFIERS", {})
    found = [compare(rows, rows, 1, paired=False) for rows in (waves(40, seed) for seed in range(80))]
    for name in ("MMD", "JSD"):
        p = [table.p[table.test == name].item() for table in found]
        assert kstest(p, "uniform").pvalue > 0.001 and 0.35 < np.mean(p) < 0.65


def test_a_shifted_population_is_found_by_every_test_and_the_same_one_by_none():
    true = waves(80)
    same, shifted = (compare(true, other, 2).set_index("test") for other in (true, true + 0.4))
    for name in population.CLASSIFIERS:
        assert shifted.statistic[name].min() > 0.9 and same.statistic[name].max() < 0.75
    for name in ("MMD", "JSD"):
        assert shifted.p[name].max() < 0.01 and same.p[name].min() > 0.01


def test_pairs_see_a_small_change_of_shape_that_halves_miss():
    """The spread between tissues hides it in the halves; in pairs the tissues are the same, and MMD finds it."""
    true = 4 * waves(60)
    table = compare(true, true + 0.1 * np.sin(np.arange(40)), 1).query("test == 'MMD'").set_index("n")
    assert table.p[30] > 0.05 and table.p[60] < 0.05


def test_the_calls_of_tissues_are_those_of_the_halves_and_find_no_difference_between_equal_ones():
    true = waves(40)
    for other, least in ((true, 0.0), (true + 0.4, 0.9)):
        table = compare(true, other, 3, paired=False)
        found = population.calls_by_tissue(true, other, 3).set_index(["test", "sim"]).right
        assert found.groupby("test").size().tolist() == [40, 40] and found.between(0, 1).all()
        for name in population.CLASSIFIERS:
            assert found[name].mean() == pytest.approx(table[table.test == name].statistic.mean())
            assert found[name].mean() >= least
    assert found.mean() > 0.9


def test_a_tissue_without_an_ecg_is_not_called():
    true = waves(30)
    other = np.where(np.arange(30)[:, None] < 4, np.nan, true)
    assert {*population.calls_by_tissue(true, other, 2).sim} == {*range(4, 30)}


def test_halves_share_no_tissue():
    first, second = halves(31, 4)
    assert len(first) == len(second) == 15 and not {*first} & {*second}
    assert np.array_equal(first, halves(31, 4)[0]) and not np.array_equal(first, halves(31, 5)[0])


def test_what_is_refused_is_no_ecg():
    true = waves(30)
    other = np.where(np.arange(30)[:, None] < 4, np.nan, true)
    table = compare(true, other, 1)
    assert {*table.n} == {13, 26} and np.isfinite(table.statistic).all()


def test_a_copy_is_nearest_to_itself():
    train = waves(20)
    assert nearest(train[3:5], train) == pytest.approx(0) and (nearest(train + 0.1, train) <= 0.1 + 1e-12).all()


def test_ecgs_without_a_simulation_are_those_of_the_same_tissues(monkeypatch, tmp_path):
    own = Recipe(n_sim=2, n_cells=60, t_end=200.0, bank=False, seed=3)
    monkeypatch.setattr(population, "CACHE", tmp_path)
    monkeypatch.setattr(population, "recipe", lambda name: own)
    simulated = [simulate_one(own, sim) for sim in range(2)]
    attempts = SimpleNamespace(values=np.array([ds.attempt for ds in simulated]))
    monkeypatch.setattr(population, "open_set", lambda name: SimpleNamespace(attempt=attempts))
    traces, seconds = population.eikonal_ecgs(2)
    assert traces.shape == (2, 21) and seconds > 0
    true = np.array([ds.phi_e.values[0, ::10] for ds in simulated])
    assert r2(true, traces).min() > 0.9
    monkeypatch.setattr(population, "eikonal_ecg", None)
    assert np.array_equal(population.eikonal_ecgs(2)[0], traces)


def test_the_steps_lead_from_an_ecg_to_noise():
    left = kept(DenoiserConfig())
    assert left[0] > 0.999 and left[-1] < 0.01 and (left.diff() < 0).all()


def test_a_perfect_denoiser_samples_the_data():
    """Of a Gaussian with SD s, the best guess of the noise is sqrt(1 - a) x / (a s^2 + 1 - a)."""
    config, sd = DenoiserConfig(), 0.5
    left = kept(config)

    class Perfect(Denoiser):
        def forward(self, noisy: torch.Tensor, step: torch.Tensor) -> torch.Tensor:
            a = left[step][:, None]
            return (1 - a).sqrt() * noisy / (a * sd**2 + 1 - a)

    drawn = sample(Perfect(config), 400, 20, seed=0)
    assert drawn.mean() == pytest.approx(0, abs=0.03) and drawn.std() == pytest.approx(sd, rel=0.08)  # a hundred steps
    assert drawn.std(0) == pytest.approx(sd, rel=0.2)


def test_noise_that_is_not_seen_costs_its_variance():
    task = DenoiseTask(waves(32), waves(8, 1), DenoiserConfig())
    assert task.score(lambda noisy, step: torch.zeros_like(noisy)) == pytest.approx(-1, abs=0.1)


def test_a_few_steps_lower_the_loss(one_thread):
    config = DenoiserConfig(channels=8, blocks=3)
    model = initialize(lambda: Denoiser(config), 0)
    history = fit(model, DenoiseTask(waves(32), waves(8, 1), config), TrainConfig(epochs=6, batch=8, lr=1e-2))
    assert history.loss.iloc[-1] < 0.8 * history.loss[0]


def test_generated_ecgs_have_the_unit_of_those_in_training(one_thread, monkeypatch, tmp_path):
    monkeypatch.setattr("forwardecg.surrogates.train.CACHE", tmp_path)
    small = TrainConfig(epochs=1, batch=16, lr=1e-3)
    one, times = generate(waves(16), waves(8, 1), 3, small)
    other, _ = generate(1000 * waves(16), 1000 * waves(8, 1), 3, small)
    assert one.shape == (3, 40) and np.allclose(1000 * one, other, rtol=1e-3) and times["each"] > 0


def test_a_method_that_is_in_the_table_is_passed_over(monkeypatch, tmp_path):
    true, called = waves(24), list[str]()

    def source(method, seed, seconds):
        def make():
            called.append(method)
            return true, seconds

        return method, seed, make

    monkeypatch.setattr(population, "CLASSIFIERS", {})
    monkeypatch.setattr(population, "central_ecg", lambda name, sims: np.repeat(true, 2, 1))
    ours = [
        source("teacher", 0, {}),
        source("diffusion", 0, {"training": 2.0, "each": 0.1}),
        source("diffusion", 1, {}),
    ]
    monkeypatch.setattr(population, "sources", lambda n: iter(ours))
    monkeypatch.setattr(population, "diffusion_trainings", lambda: pd.DataFrame({"seed": [0]}))
    monkeypatch.setattr(population, "published_calls", lambda n, n_halves: pd.DataFrame({"sim": [*range(n)]}))
    population.main(tmp_path, 2, 24)
    population.main(tmp_path, 2, 24)
    assert called == ["teacher", "diffusion", "diffusion"]
    tests, cost, shown = (pd.read_csv(tmp_path / f"population{end}.csv") for end in ("", "_cost", "_traces"))
    assert tests.groupby(["method", "seed"]).size().tolist() == [2 * 2 * 2 + 24, 2 * 2 + 24, 2 * 2 * 2 + 24]
    assert tests[tests.test == population.NEAREST].statistic.max() == 0 and cost.seconds.tolist() == [2, 0.1]
    assert len(shown) == 2 * population.SHOWN * true.shape[1] and {*shown.method} == {"teacher", "diffusion"}


def test_a_first_look_leaves_the_published_tables_alone():
    parser = argparse.ArgumentParser()
    parser.add_argument("--halves", type=int, default=8)
    parser.add_argument("--tissues", type=int)
    folders = {tables_folder(parser, **vars(parser.parse_args(given))) for given in ([], ["--halves", "8"])}
    assert folders == {RESULTS / "runs"}
    looks = [tables_folder(parser, **vars(parser.parse_args(["--halves", n]))) for n in ("2", "3")]
    assert looks[0] != looks[1] and all(folder.is_relative_to(CACHE) for folder in looks)
