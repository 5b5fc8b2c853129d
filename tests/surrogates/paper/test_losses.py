"""Losses against their closed forms, and the blindnesses of the spectral entropy."""

import math

import numpy as np
import pytest
import torch

from forwardecg.surrogates.paper.losses import (
    SPECTRAL,
    entropy_mismatch,
    entropy_weight,
    huber,
    hybrid,
    log_spectral,
    multi_resolution_stft,
    spectral_divergence,
    spectral_entropy,
)

T = 1024
N = T // 2 + 1  # frequencies


def tones(bins, amplitudes):
    """A sum of sines that fit the Hann window of T samples (period T - 1) a whole number of times."""
    t = torch.arange(T, dtype=torch.float64) / (T - 1)
    return sum(a * torch.sin(2 * math.pi * k * t) for k, a in zip(bins, amplitudes, strict=True))[None]


@pytest.mark.parametrize("delta", [0.3, 1.0, 2.5])
def test_huber_is_its_closed_form_on_both_sides_of_delta(delta):
    e = torch.tensor([[0.0, 0.5 * delta, -0.999 * delta], [1.001 * delta, -4 * delta, 30 * delta]], dtype=torch.float64)
    small, large = e[0].square() / 2, delta * (e[1].abs() - delta / 2)
    true = torch.randn(2, 3, dtype=torch.float64)
    assert torch.allclose(huber(true + e, true, delta), torch.stack([small.mean(), large.mean()]), rtol=1e-12)


def test_huber_is_smooth_at_delta_and_its_slope_ends_there():
    e = torch.tensor([[1 - 1e-9], [1 + 1e-9], [50.0], [-50.0]], dtype=torch.float64, requires_grad=True)
    loss = huber(e, torch.zeros_like(e), 1.0)
    loss.sum().backward()
    assert loss[0].item() == pytest.approx(loss[1].item(), abs=1e-8)
    assert torch.allclose(e.grad.flatten(), torch.tensor([1.0, 1.0, 1.0, -1.0], dtype=torch.float64))


def test_entropy_of_a_pure_tone_is_near_zero_and_that_of_the_window():
    """The Hann window spreads a tone over three bins of power 1/6, 2/3, 1/6: H = 0.8676 / log n."""
    p = np.array([1, 4, 1]) / 6
    expected = -(p * np.log(p)).sum() / math.log(N)
    H = spectral_entropy(tones([100], [1.0])).item()
    assert pytest.approx(expected, abs=2e-3) == H
    assert H < 0.15


def test_entropy_of_white_noise_is_near_one():
    """Its power is exponentially distributed: H = 1 - (1 - gamma) / log n in the mean; 1 exactly for an impulse."""
    noise = torch.randn(64, T, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert spectral_entropy(noise).mean().item() == pytest.approx(1 - (1 - np.euler_gamma) / math.log(N), abs=5e-3)
    impulse = torch.zeros(1, T, dtype=torch.float64)
    impulse[0, T // 2] = 1
    assert spectral_entropy(impulse).item() == pytest.approx(1, abs=1e-6)


def test_entropy_is_blind_to_the_scale_of_the_trace():
    noise = torch.randn(4, T, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for scale in (-1.0, 1e-2, 1e3):
        assert torch.allclose(spectral_entropy(scale * noise), spectral_entropy(noise), atol=1e-5)


def test_entropy_is_blind_to_which_frequencies_carry_the_power():
    """The same amplitudes on other frequencies: another ECG altogether, the same entropy."""
    a = tones([40, 160, 330], [1.0, 2.0, 3.0])
    b = tones([40, 160, 330], [3.0, 1.0, 2.0])
    c = tones([90, 200, 400], [1.0, 2.0, 3.0])
    for other in (b, c):
        assert entropy_mismatch(a, other).item() < 1e-3
        assert huber(a, other).item() > 0.5
    assert entropy_mismatch(a, tones([40, 160, 330], [1.0, 0.1, 0.1])).item() > 0.05


def test_entropy_is_per_trace():
    both = torch.cat([tones([100], [1.0]), torch.randn(1, T, dtype=torch.float64)])
    assert torch.equal(spectral_entropy(both), torch.cat([spectral_entropy(trace[None]) for trace in both]))


@pytest.mark.parametrize(
    "loss",
    [
        spectral_entropy,
        lambda y: entropy_mismatch(y, torch.randn(2, T)),
        lambda y: hybrid(y, torch.zeros(2, T), delta=1.0, weight=1.0),
    ],
)
def test_gradient_at_silence_is_finite(loss):
    ecg = torch.zeros(2, T, requires_grad=True)
    value = loss(ecg)
    value.sum().backward()
    assert torch.isfinite(value).all() and torch.isfinite(ecg.grad).all()


def test_silence_has_the_entropy_of_a_flat_spectrum():
    assert spectral_entropy(torch.zeros(1, T)).item() == pytest.approx(1, abs=1e-5)


def test_entropy_weight_falls_as_a_cosine_from_lambda_to_zero():
    weights = [entropy_weight(0.4, epoch / 20) for epoch in range(21)]
    assert weights[0] == 0.4 and weights[10] == pytest.approx(0.2) and weights[20] == pytest.approx(0, abs=1e-15)
    assert weights[5] == pytest.approx(0.4 * (1 + math.sqrt(0.5)) / 2)
    assert all(a > b for a, b in zip(weights[:-1], weights[1:], strict=True))


def test_hybrid_is_huber_plus_the_weighted_mismatch():
    a, b = torch.randn(2, 3, T, generator=torch.Generator().manual_seed(2))
    assert torch.allclose(hybrid(a, b, delta=0.5, weight=0.3), huber(a, b, 0.5) + 0.3 * entropy_mismatch(a, b))
    assert torch.equal(hybrid(a, b, delta=0.5, weight=0.0), huber(a, b, 0.5))
    assert torch.equal(hybrid(b, b, delta=0.5, weight=1.0), torch.zeros(3))


def test_shapes_that_do_not_match_are_refused():
    """Not broadcast: (B, T) beside (B, 1) would give a number."""
    with pytest.raises(ValueError, match="ecg_pred: expected the shape"):
        huber(torch.zeros(2, 5), torch.zeros(2, 1))
    with pytest.raises(ValueError, match=r"ecg_true: expected traces \(B, T\)"):
        hybrid(torch.zeros(2, 5), torch.zeros(5), delta=1.0, weight=0.0)


def test_two_tones_of_different_frequency_are_the_same_to_the_entropy_and_not_to_its_alternatives():
    slow, fast = tones([40], [1.0]), tones([90], [1.0])
    assert entropy_mismatch(fast, slow).item() < 1e-3
    assert spectral_divergence(fast, slow).item() > 1 and log_spectral(fast, slow).item() > 0.01
    assert multi_resolution_stft(fast, slow).item() > 0.5


def test_the_divergence_of_two_mixtures_is_its_closed_form():
    """Tones far apart keep their shares of the power, and the window cancels: sum p log(p / q) over the two tones."""
    p, q = np.array([0.8, 0.2]), np.array([0.4, 0.6])
    a, b = (tones([60, 200], np.sqrt(share)) for share in (p, q))
    assert spectral_divergence(b, a).item() == pytest.approx((p * np.log(p / q)).sum(), abs=1e-4)
    assert spectral_divergence(b, 100 * a).item() == pytest.approx(spectral_divergence(b, a).item(), abs=1e-5), (
        "blind to scale"
    )


def test_scale_is_seen_by_the_log_spectrum_and_by_the_stft_exactly():
    noise = torch.randn(3, T, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    assert torch.allclose(multi_resolution_stft(1.3 * noise, noise), torch.full((3,), 0.3, dtype=torch.float64))
    assert torch.allclose(log_spectral(2 * noise, noise), torch.full((3,), math.log(4), dtype=torch.float64), rtol=0.01)


@pytest.mark.parametrize("term", SPECTRAL)
def test_every_spectral_term_is_zero_for_the_truth_and_has_a_finite_gradient_for_silence(term):
    ecg = torch.randn(2, 90, generator=torch.Generator().manual_seed(3))
    assert torch.allclose(SPECTRAL[term](ecg, ecg), torch.zeros(2), atol=1e-6)
    silent = torch.zeros(2, 90, requires_grad=True)
    SPECTRAL[term](silent, ecg).sum().backward()
    assert silent.grad.isfinite().all()
    wrong = (ecg + 0.3).requires_grad_()
    SPECTRAL[term](wrong, ecg).sum().backward()
    assert wrong.grad.abs().sum() > 0


def test_the_hybrid_takes_the_term_that_is_named():
    pred, true = torch.randn(2, 4, 90, generator=torch.Generator().manual_seed(4))
    for term, function in SPECTRAL.items():
        expected = huber(pred, true) + 0.3 * function(pred, true)
        assert torch.allclose(hybrid(pred, true, delta=1.0, weight=0.3, spectral=term), expected)


@pytest.mark.parametrize("loss", [huber, *SPECTRAL.values()])
def test_traces_that_would_be_broadcast_are_refused(loss):
    y = torch.ones(2, 64)
    for other in (y[:, :48], y[:1], y[0], y[:, :1]):
        with pytest.raises(ValueError, match="ecg_(pred|true): expected"):
            loss(y, other)
        with pytest.raises(ValueError, match="ecg_(pred|true): expected"):
            loss(other, y)
    with pytest.raises(ValueError, match="ecg_pred: expected Tensor"):
        loss(y.numpy(), y)


def test_one_sample_has_no_spectrum():
    for few in (torch.ones(2, 1), torch.ones(64)):
        with pytest.raises(ValueError, match=r"ecg: expected traces \(B, T\) of at least 2 samples"):
            spectral_entropy(few)


@pytest.mark.parametrize("delta", [0.0, -1.0, float("nan"), "1", None])
def test_a_bend_that_is_none_is_refused(delta):
    with pytest.raises(ValueError, match="delta: expected a number > 0"):
        huber(torch.ones(2, 64), torch.ones(2, 64), delta)


def test_other_spectral_terms_are_refused():
    with pytest.raises(ValueError, match="spectral: expected one of entropy, kl, log, stft, got 'x'"):
        hybrid(torch.ones(2, 64), torch.ones(2, 64), delta=1.0, weight=0.0, spectral="x")
