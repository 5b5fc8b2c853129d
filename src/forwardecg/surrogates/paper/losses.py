"""Training losses (B,) of ecg_pred and ecg_true (B, T): Huber, spectral entropy and its alternatives, and their sum."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from forwardecg.contract import instance, number, one_of

SILENCE = 1e-8  # added to the power of every frequency: a silent trace has a flat spectrum and a finite gradient


def huber(ecg_pred: Tensor, ecg_true: Tensor, delta: float = 1.0) -> Tensor:
    """Mean of e^2 / 2 where |e| <= delta, else delta (|e| - delta / 2) (Huber, Ann. Math. Stat. 35:73, 1964)."""
    _check(ecg_true, ecg_pred, least=1)
    delta = number("delta", delta, 0, above=True)
    return F.huber_loss(ecg_pred, ecg_true, reduction="none", delta=delta).mean(-1)  # (B,)


def _check(ecg_true: Tensor, ecg_pred: Tensor, least: int = 2) -> None:
    """ValueError unless both are (B, T) with at least ``least`` samples: shapes alone, this stands in every step."""
    shape = (*instance("ecg_true", ecg_true, Tensor).shape,)
    if len(shape) != 2 or not shape[0] or shape[1] < least or not ecg_true.is_floating_point():
        raise ValueError(f"ecg_true: expected traces (B, T) of at least {least} samples, got {ecg_true.dtype} {shape}")
    if instance("ecg_pred", ecg_pred, Tensor).shape != ecg_true.shape or not ecg_pred.is_floating_point():
        raise ValueError(f"ecg_pred: expected the shape of ecg_true {shape}, got {ecg_pred.dtype} {(*ecg_pred.shape,)}")


def _power_spectrum(ecg: Tensor) -> Tensor:
    """|rfft(hann y)|^2 (B, T // 2 + 1) of each trace y, and `SILENCE`."""
    window = torch.hann_window(ecg.shape[-1], periodic=False, dtype=ecg.dtype, device=ecg.device)
    return torch.fft.rfft(window * ecg).abs().square() + SILENCE


def _spectral_density(ecg: Tensor) -> Tensor:
    """The power spectrum as shares p (B, T // 2 + 1) that sum to one."""
    power = _power_spectrum(ecg)
    return power / power.sum(-1, keepdim=True)


def spectral_entropy(ecg: Tensor) -> Tensor:
    """Normalized Shannon entropy of the power spectrum: H = -sum p log p / log n, 0 for a pure tone, 1 for white noise.

    p = |rfft(hann y)|^2 / sum. H is blind to the scale of the trace, and to which frequencies carry the power.

    Args:
        ecg: (B, T) tensor of real numbers.

    Returns:
        H: (B,), 0 to 1.

    Raises:
        ValueError: No such tensor.

    Examples:
        >>> tone = torch.sin(2 * torch.pi * torch.arange(256) / 8)
        >>> noise = torch.randn(256, generator=torch.Generator().manual_seed(0))
        >>> H = spectral_entropy(torch.stack([tone, noise]))
        >>> bool(H[0] < 0.3 < 0.8 < H[1])
        True
    """
    if instance("ecg", ecg, Tensor).ndim != 2 or ecg.shape[1] < 2 or not ecg.is_floating_point():
        raise ValueError(f"ecg: expected traces (B, T) of at least 2 samples, got {ecg.dtype} {(*ecg.shape,)}")
    p = _spectral_density(ecg)
    return -(p * p.log()).sum(-1) / math.log(p.shape[-1])  # (B,)


def entropy_mismatch(ecg_pred: Tensor, ecg_true: Tensor) -> Tensor:
    """Difference of the spectral entropies: |H(ecg_pred) - H(ecg_true)|."""
    _check(ecg_true, ecg_pred)
    return (spectral_entropy(ecg_pred) - spectral_entropy(ecg_true)).abs()


def spectral_divergence(ecg_pred: Tensor, ecg_true: Tensor) -> Tensor:
    """sum p_true log(p_true / p_pred), blind to the scale (Kullback and Leibler, Ann. Math. Stat. 22:79, 1951)."""
    _check(ecg_true, ecg_pred)
    p_true, p_pred = _spectral_density(ecg_true), _spectral_density(ecg_pred)
    return (p_true * (p_true.log() - p_pred.log())).sum(-1)


def log_spectral(ecg_pred: Tensor, ecg_true: Tensor) -> Tensor:
    """Mean over frequencies of |log P_pred - log P_true|: sees scale and frequencies, but none without power."""
    _check(ecg_true, ecg_pred)
    P_pred, P_true = _power_spectrum(ecg_pred), _power_spectrum(ecg_true)
    floor = 1e-4 * P_true.mean(-1, keepdim=True)
    return ((P_pred + floor).log() - (P_true + floor).log()).abs().mean(-1)


def multi_resolution_stft(ecg_pred: Tensor, ecg_true: Tensor, windows: tuple[int, ...] = (8, 16, 32)) -> Tensor:
    """Mean over windows (samples) of |S_pred - S_true| / |S_true|, S = |STFT| (Yamamoto et al., ICASSP 2020)."""
    _check(
        ecg_true, ecg_pred, least=max(windows) // 2 + 1
    )  # the padding by reflection asks for more than half a window
    losses = []
    for n in windows:
        window = torch.hann_window(n, dtype=ecg_true.dtype, device=ecg_true.device)
        pred, true = (torch.stft(y, n, n // 4, window=window, return_complex=True).abs() for y in (ecg_pred, ecg_true))
        losses.append((pred - true).norm(dim=(-2, -1)) / true.norm(dim=(-2, -1)).clamp_min(SILENCE))
    return torch.stack(losses).mean(0)


SPECTRAL = {"entropy": entropy_mismatch, "kl": spectral_divergence, "log": log_spectral, "stft": multi_resolution_stft}


def entropy_weight(lambda_se: float, done: float) -> float:
    """Cosine-decayed weight of the entropy term at the share ``done`` of the training: lambda_se (1 + cos(pi done)) / 2."""
    return lambda_se * (1 + math.cos(math.pi * done)) / 2


def hybrid(ecg_pred: Tensor, ecg_true: Tensor, *, delta: float, weight: float, spectral: str = "entropy") -> Tensor:
    """huber + weight |H(ecg_pred) - H(ecg_true)|: the paper's combination; the weights and delta are our choice.

    Args:
        ecg_pred, ecg_true: (B, T) tensors, in one unit.
        delta: of `huber`, in that unit, above 0.
        weight: of the spectral term, at least 0; 0: it is not computed.
        spectral: one of `SPECTRAL`: another term in place of the entropy.

    Returns:
        loss: (B,).

    Raises:
        ValueError: Another term or shape, no tensors, a delta or a weight out of range.

    Examples:
        >>> y = torch.randn(1, 64, generator=torch.Generator())
        >>> bool(hybrid(2 * y, y, delta=1.0, weight=0.0) == huber(2 * y, y))
        True
    """
    one_of("spectral", spectral, SPECTRAL)
    weight = number("weight", weight, 0)
    loss = huber(ecg_pred, ecg_true, delta)
    return loss + weight * SPECTRAL[spectral](ecg_pred, ecg_true) if weight else loss
