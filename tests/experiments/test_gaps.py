"""Gaps: the parts of the experiment, on traces without a simulation."""

import numpy as np
import pandas as pd
import pytest
import torch

from experiments import gaps
from experiments.gaps import Filler, FillerConfig, Gap, GapTask
from forwardecg.measure.crps import crps_gaussian
from forwardecg.surrogates.train import TrainConfig, fit, initialize


def paced(n: int = 4, n_t: int = 601, period: int = 53, seed: int = 0) -> np.ndarray:
    """Traces (n, T) of beats that are all alike, at equal intervals."""
    rng, t = np.random.default_rng(seed), np.arange(n_t)
    phase, weights = 2 * np.pi * t / period, rng.standard_normal((n, 6))
    z = sum(weights[:, k : k + 1] * np.cos((k + 1) * phase + k) for k in range(6))
    return z / z.std(1, keepdims=True)


GAP = Gap(paced()[0], 280, 30)


def test_crps_of_a_point_is_its_absolute_error_and_that_of_the_training_is_the_measure():
    y, mean = np.array([[0.3, -1.0, 2.0]]), np.array([[0.0, 0.5, 2.0]])
    assert crps_gaussian(y, mean, 0 * y) == pytest.approx(np.abs(y - mean))
    sd = np.array([[0.4, 1.0, 2.5]])
    ours = gaps.crps(*(torch.from_numpy(z) for z in (y, mean, sd))).numpy()
    assert ours == pytest.approx(crps_gaussian(y, mean, sd))


def test_a_line_fills_a_line_and_a_template_fills_what_repeats():
    ramp = Gap(np.linspace(-1, 1, 601), 280, 30)
    assert gaps.interpolate(ramp) == pytest.approx(ramp.lost)
    found = gaps.template(GAP)
    assert found.mean == pytest.approx(GAP.lost, abs=1e-9) and found.confidence == pytest.approx(1)


def test_a_template_does_not_look_into_the_gap():
    spoiled = GAP.trace.copy()
    spoiled[280:310] = 99.0
    for found, other in zip(gaps.template(GAP), gaps.template(GAP._replace(trace=spoiled)), strict=True):
        assert np.array_equal(found, other)


@pytest.mark.parametrize("prior", [False, True])
def test_a_network_does_not_look_into_the_gap(prior):
    spoiled = GAP.trace.copy()
    spoiled[280:310] = 99.0
    assert np.array_equal(gaps.prepare(GAP, prior), gaps.prepare(GAP._replace(trace=spoiled), prior))


def test_noise_has_no_template():
    noise = np.random.default_rng(0).standard_normal(601)
    assert gaps.template(Gap(noise, 280, 30)).confidence < 0.4


def test_a_gaussian_process_without_noise_goes_through_what_it_knows():
    t, y = np.arange(0, 60, 5.0), np.random.default_rng(1).standard_normal(12)
    mean, sd, _ = gaps.gaussian_process(t, y, t, scale=30.0, noise=0.0)
    assert mean == pytest.approx(y, abs=1e-8) and sd == pytest.approx(0, abs=1e-6)
    mean, sd, _ = gaps.gaussian_process(t, y, t[-1:] + 1e4, scale=30.0, noise=0.0)
    assert mean == pytest.approx(0, abs=1e-8) and sd == pytest.approx(1)


def test_the_likelihood_finds_the_scale_of_what_was_drawn():
    t, rng = np.arange(0, 1000, 5.0), np.random.default_rng(3)
    y = np.linalg.cholesky(gaps.matern(t, t, 40.0) + 1e-8 * np.eye(len(t))) @ rng.standard_normal(len(t))
    scales = np.array([10.0, 40.0, 160.0])
    assert scales[np.argmax([gaps.gaussian_process(t, y, t[:1], scale)[2] for scale in scales])] == 40


def test_what_is_a_mixture_of_the_others_is_found_again():
    traces = paced(3) + 0.3 * np.random.default_rng(0).standard_normal((3, 601))
    traces[0] = 0.5 * traces[1] - 2 * np.roll(traces[2], 2)
    gap = Gap(traces[0], 280, 30)
    mean, sd = gaps.from_others(traces, 0, gap, alpha=1e-9)
    assert mean == pytest.approx(gap.lost, abs=1e-6) and sd[0] < 1e-6


@pytest.mark.parametrize("prior", [False, True])
def test_an_untrained_correction_is_inside_the_gap_alone(prior):
    model = Filler(FillerConfig(prior=prior, channels=4, dilations=(1, 2)))
    x = torch.from_numpy(gaps.prepare(GAP, prior))[None]
    mean, sd = model(x)
    outside = x[0, 1] == 0
    assert torch.equal(mean[0, outside], x[0, 0, outside]) and (sd > 0).all()
    assert x[0, 1].sum() == 30 and x.shape == (1, 2 + prior, gaps.WINDOW)


def test_a_few_steps_lower_the_loss(one_thread):
    traces = paced(8)
    task = GapTask(traces, traces[:2], prior=False)
    model = initialize(lambda: Filler(FillerConfig(channels=6, dilations=(1, 4, 16))), 0)
    history = fit(model, task, TrainConfig(epochs=6, batch=4, lr=1e-2))
    assert history.loss[4:].min() < history.loss[0] and (history.val_r2 < 0).all()


def test_both_methods_find_the_period_of_what_repeats():
    traces = paced(3, period=53)
    start = np.array([gaps.autocorrelation_period(trace) for trace in traces])
    assert start == pytest.approx(53 * gaps.DT, abs=1.0)
    assert gaps.learned_periods(traces, start + 2.0) == pytest.approx(53 * gaps.DT, abs=0.1)


def test_a_gain_is_used_up_where_it_crosses_zero():
    variations = np.array([0.0, 0.1, 0.2])
    assert gaps.crossing(np.array([2.0, 1.0, -1.0]), variations) == pytest.approx(0.15)
    assert gaps.crossing(np.array([-0.1, 1.0, 1.0]), variations) == 0
    assert gaps.crossing(np.array([1.0, 1.0, 1.0]), variations) == 0.2


def test_an_interval_holds_the_crossing_and_shrinks_to_it_without_chance():
    rows = [
        {"sim": sim, "kind": "intervals", "variation": v, "gap": 150.0, "method": method, "seed": seed, "crps": crps}
        for sim in range(4)
        for v in (0.0, 0.1, 0.2)
        for seed in range(2)
        for method, crps in (("network", 0.3), ("network, template", 0.2 + v))
    ]
    found = gaps.compare_priors(pd.DataFrame(rows), draws=50).iloc[0]
    assert found[["until", "low", "high"]].tolist() == pytest.approx([0.1, 0.1, 0.1])


def test_gaps_lie_where_a_window_fits_and_are_the_same_again():
    starts = gaps.place_gaps(601, 60, 500, seed=1)
    first = starts + 30 - gaps.WINDOW // 2
    assert first.min() >= 0 and first.max() + gaps.WINDOW <= 601
    assert np.array_equal(starts, gaps.place_gaps(601, 60, 500, seed=1))
