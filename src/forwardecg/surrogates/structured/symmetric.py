"""Convolutions that commute with the eight symmetries S_h of the square (Cohen and Welling, ICML 2016).

Features carry one copy of their channels for each symmetry h: the network turns with the sheet exactly.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from forwardecg.tissue.symmetry import apply_symmetry

# chi of a scalar, and of q and r of a deviator ((q, r), (r, -q)): a quarter turn flips both, a mirror flips r
CHARACTERS = torch.tensor([[1.0, (-1.0) ** h, (-1.0) ** (h + h // 4)] for h in range(8)])  # (h; scalar, q, r)


def _quotients() -> Tensor:
    """Table (h, k) of the numbers of h^-1 k."""
    square = torch.arange(9.0).reshape(3, 3)
    images = [apply_symmetry(square, n) for n in range(8)]
    number = {tuple(image.flatten().tolist()): n for n, image in enumerate(images)}
    product = [[number[tuple(apply_symmetry(image, h).flatten().tolist())] for image in images] for h in range(8)]
    return torch.tensor([[row.index(k) for k in range(8)] for row in product])


QUOTIENTS = _quotients()


class Lifting(nn.Module):
    """out[h] = chi(h) S_h(w) * z, from (B, n_scalar + 2 n_tensor, y, x), tensors as q, r, to (B, 8 n_out, y, x)."""

    def __init__(self, n_scalar: int, n_tensor: int, n_out: int):
        super().__init__()
        kinds = torch.tensor([0] * n_scalar + [1, 2] * n_tensor)
        self.weight = nn.Parameter(torch.randn(n_out, len(kinds), 3, 3) / math.sqrt(9 * len(kinds)))
        self.bias = nn.Parameter(torch.zeros(n_out))
        self.signs: Tensor
        self.register_buffer("signs", CHARACTERS[:, kinds, None, None], persistent=False)

    def forward(self, z: Tensor) -> Tensor:
        kernel = torch.cat([self.signs[h] * apply_symmetry(self.weight, h) for h in range(8)])
        return F.conv2d(z, kernel, self.bias.repeat(8), padding=1)


class GroupConv(nn.Module):
    """out[h] = sum_k S_h(w[h^-1 k]) * z[k], dilated, from (B, 8 n, y, x) to the same shape."""

    def __init__(self, n: int, dilation: int):
        super().__init__()
        self.dilation = dilation
        self.weight = nn.Parameter(torch.randn(n, 8, n, 3, 3) / math.sqrt(72 * n))
        self.bias = nn.Parameter(torch.zeros(n))
        self.places: Tensor  # of the weights in the kernel
        own = torch.arange(self.weight.numel()).reshape(self.weight.shape)
        self.register_buffer("places", _turned(own), persistent=False)

    def forward(self, z: Tensor) -> Tensor:
        # the same kernel in one step, whose derivative would add up in another order
        kernel = _turned(self.weight) if torch.is_grad_enabled() else self.weight.flatten()[self.places]
        kernel = kernel.contiguous(memory_format=torch.channels_last)
        return F.conv2d(z, kernel, self.bias.repeat(8), padding=self.dilation, dilation=self.dilation)


def _turned(weight: Tensor) -> Tensor:
    """The kernel (8 n, 8 n, 3, 3) of the weights (n, 8, n, 3, 3) of a `GroupConv`."""
    kernel = torch.stack([apply_symmetry(weight[:, QUOTIENTS[h]], h) for h in range(8)])  # (h, n, k, n, 3, 3)
    return kernel.flatten(2, 3).flatten(0, 1)


class Pooling(nn.Module):
    """Mean over h of chi(h) w z[h], from (B, 8 n, y, x) to fields (B, n_scalar + 2 n_tensor, y, x); starts at zero."""

    def __init__(self, n: int, n_scalar: int, n_tensor: int):
        super().__init__()
        kinds = torch.tensor([0] * n_scalar + [1, 2] * n_tensor)
        self.weight = nn.Parameter(torch.zeros(len(kinds), n))
        self.characters: Tensor
        self.register_buffer("characters", CHARACTERS[:, kinds].T / 8, persistent=False)  # (field, h)

    def forward(self, z: Tensor) -> Tensor:
        kernel = self.characters[:, :, None] * self.weight[:, None]  # (field, h, n)
        return F.conv2d(z, kernel.flatten(1)[..., None, None])
