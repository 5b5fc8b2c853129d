"""Losses (B,) of delineators, of pred (B, wave, T) in 0 .. 1 and true (B, wave, T) of zeros and ones.

`dice` counts samples, `bound_dice` looks at the edges, `f1_instance` at the number of intervals. The last two are those of
Jimenez-Perez et al., Front. Cardiovasc. Med. 11:1341786 (2024), and of their code (github.com/guillermo-jimenez/sak), written
anew; differences are said where they are.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from forwardecg.contract import count, instance, number

EMPTY = 1e-6  # samples added to both parts of a ratio: nothing there and nothing found is no loss


def _check(pred: Tensor, true: Tensor) -> None:
    """ValueError unless both are (B, wave, T) of real numbers: shapes alone, this stands in every step."""
    shape = (*instance("true", true, Tensor).shape,)
    if len(shape) != 3 or 0 in shape or not true.is_floating_point():
        raise ValueError(f"true: expected labels (B, wave, T) as real numbers, got {true.dtype} {shape}")
    if instance("pred", pred, Tensor).shape != true.shape or not pred.is_floating_point():
        raise ValueError(f"pred: expected the shape of true {shape}, got {pred.dtype} {(*pred.shape,)}")


def dice(pred: Tensor, true: Tensor) -> Tensor:
    """The share of the labels on which two do not agree: 1 - 2 sum(p y) / (sum p + sum y), over waves and samples.

    Milletari, Navab and Ahmadi, 3DV 2016; Dice, Ecology 26:297 (1945).

    Args:
        pred, true: (B, wave, T) tensors, 0 to 1.

    Returns:
        loss: (B,), 0 for equal labels, 1 for labels without overlap.

    Raises:
        ValueError: No such tensors.

    Examples:
        >>> y = torch.tensor([[[0.0, 1.0, 1.0, 0.0]]])
        >>> dice(y, y).item(), round(dice(y.roll(1, -1), y).item(), 3)
        (0.0, 0.5)
    """
    _check(pred, true)
    return _dice(pred, true)


def _dice(pred: Tensor, true: Tensor) -> Tensor:
    both, each = (pred * true).sum((-2, -1)), (pred + true).sum((-2, -1))
    return 1 - (2 * both + EMPTY) / (each + EMPTY)  # (B,)


def bound_dice(pred: Tensor, true: Tensor, width: int = 11) -> Tensor:
    """Dice of the edges: `dice` of e(p) and e(y), where e(y)_t = |y_(t + h) - y_(t - h)| and 2 h + 1 is the width.

    e is 1 within h samples of an edge: an edge that is off by n samples overlaps in 2 h - n of them, whatever the length of
    the interval. Where their code adds zeros, the ends of the window are repeated: where it cuts an interval is no edge.

    Args:
        pred, true: (B, wave, T) tensors, 0 to 1.
        width: samples, odd.

    Returns:
        loss: (B,).

    Raises:
        ValueError: No such tensors, an even width.

    Examples:
        >>> y = torch.zeros(1, 1, 100)
        >>> y[..., 20:80] = 1
        >>> [round(bound_dice(y.roll(n, -1), y, width=11).item(), 3) for n in (0, 1, 5, 10)]
        [0.0, 0.1, 0.5, 1.0]
    """
    _check(pred, true)
    half, odd = divmod(count("width", width, 3, 10**6), 2)
    if not odd:
        raise ValueError(f"width: expected an odd number of samples, got {width}")
    return _dice(*(_edges(z, half) for z in (pred, true)))


def _edges(y: Tensor, half: int) -> Tensor:
    ends = F.pad(y, (half, half), mode="replicate")
    return (ends[..., 2 * half :] - ends[..., : -2 * half]).abs()


def f1_instance(pred: Tensor, true: Tensor, steepness: float = 10.0) -> Tensor:
    """1 - F1 of the numbers of intervals: |N(p) - N(y)| / (N(p) + N(y)), mean over the waves that are in either.

        N(y) = sum_t g(|g(y)_(t + 1) - g(y)_(t - 1)|) / 4,   g(x) = (s(x) - s(0)) / (s(1) - s(0)),   s(x) = 1 / (1 + e^(-k (x - 1/2)))

    N counts: each edge of an interval gives two ones, if intervals and gaps have at least two samples. Their s in place of g
    gives .007 for every sample without an edge, which adds an interval for each 600 of them. N does not say where an
    interval is, and an edge that is spread over many samples counts for little: this loss is an addition to another one.

    Args:
        pred, true: (B, wave, T) tensors, 0 to 1.
        steepness: k, above 0.

    Returns:
        loss: (B,), 0 to 1.

    Raises:
        ValueError: No such tensors, a steepness not above 0.

    Examples:
        >>> y = torch.zeros(1, 1, 60)
        >>> y[..., 10:20] = y[..., 30:40] = 1
        >>> one = y.clone()
        >>> one[..., 30:] = 0
        >>> f1_instance(y, y).item(), round(f1_instance(one, y).item(), 3)
        (0.0, 0.333)
    """
    _check(pred, true)
    k = number("steepness", steepness, 0, 1e3, above=True)
    n_pred, n_true = count_intervals(pred, k), count_intervals(true, k)  # (B, wave)
    both = n_pred + n_true
    loss = (n_pred - n_true).abs() / both.clamp_min(EMPTY)
    return loss.sum(-1) / (both > EMPTY).sum(-1).clamp_min(1)


def count_intervals(y: Tensor, steepness: float = 10.0) -> Tensor:
    """The soft number N (B, wave) of intervals of labels y (B, wave, T), as in `f1_instance`."""

    def gate(x: Tensor) -> Tensor:
        low, high = (1 / (1 + torch.exp(x.new_tensor(-steepness * end))) for end in (-0.5, 0.5))
        return (torch.sigmoid(steepness * (x - 0.5)) - low) / (high - low)

    sharp = F.pad(gate(y), (2, 2))
    return gate((sharp[..., 2:] - sharp[..., :-2]).abs()).sum(-1) / 4
