"""Training losses: Huber, spectral entropy, and their sum with a cosine-decayed weight.

All take ecg_pred and ecg_true of shape (B, T) and return one value per member of the batch, (B,).
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

SILENCE = 1e-8  # added to the power of every frequency: a silent trace has a flat spectrum and a finite gradient


def huber(ecg_pred: Tensor, ecg_true: Tensor, delta: float = 1.0) -> Tensor:
    """Huber loss, mean over time: e^2 / 2 where |e| <= delta, else delta (|e| - delta / 2).

    ``delta`` in the units of the traces; ValueError if the shapes differ (they would broadcast).
    Huber, Annals of Mathematical Statistics 35:73 (1964).
    """
    if ecg_pred.shape != ecg_true.shape:
        raise ValueError(f"ecg_pred: expected the shape of ecg_true {(*ecg_true.shape,)}, got {(*ecg_pred.shape,)}")
    return F.huber_loss(ecg_pred, ecg_true, reduction="none", delta=delta).mean(-1)  # (B,)


def spectral_entropy(ecg: Tensor) -> Tensor:
    """Normalized Shannon entropy of the power spectrum: H = -sum p log p / log n, 0 for a pure tone, 1 for white noise.

    p = |rfft(hann y)|^2 / sum. H is blind to the scale of the trace, and to which frequencies carry the power.
    """
    window = torch.hann_window(ecg.shape[-1], periodic=False, dtype=ecg.dtype, device=ecg.device)
    power = torch.fft.rfft(window * ecg).abs().square() + SILENCE  # (B, n)
    p = power / power.sum(-1, keepdim=True)
    return -(p * p.log()).sum(-1) / math.log(p.shape[-1])  # (B,)


def entropy_mismatch(ecg_pred: Tensor, ecg_true: Tensor) -> Tensor:
    """|H(ecg_pred) - H(ecg_true)|."""
    return (spectral_entropy(ecg_pred) - spectral_entropy(ecg_true)).abs()


def entropy_weight(lambda_se: float, done: float) -> float:
    """Cosine-decayed weight of the entropy term at the share ``done`` of the training: lambda_se (1 + cos(pi done)) / 2."""
    return lambda_se * (1 + math.cos(math.pi * done)) / 2


def hybrid(ecg_pred: Tensor, ecg_true: Tensor, *, delta: float, weight: float) -> Tensor:
    """huber + weight |H(ecg_pred) - H(ecg_true)|: the paper's combination; the weights and delta are our choice."""
    loss = huber(ecg_pred, ecg_true, delta)
    return loss + weight * entropy_mismatch(ecg_pred, ecg_true) if weight else loss
