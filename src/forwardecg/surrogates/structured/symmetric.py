"""Convolutions that commute with the eight symmetries of the square, so that a network turns with the sheet exactly.

Features carry one copy of their channels for each symmetry h (regular representation of D4; Cohen & Welling,
Group Equivariant Convolutional Networks, ICML 2016). With S_h the symmetry of arrays of `symmetry.apply_symmetry`,

    lifting   out[h] = chi(h) S_h(w) * z             z a scalar (chi = 1), or a component of a symmetric tensor
    group     out[h] = sum_k S_h(w[h^-1 k]) * z[k]
    pooling   mean over h of chi(h) z[h]             a scalar, or a component of a symmetric tensor

Of the deviator ((q, r), (r, -q)) of a symmetric tensor, a quarter turn flips q and r, and a mirror flips r: `CHARACTERS`.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from forwardecg.tissue.symmetry import apply_symmetry

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
    """3 x 3 convolution of fields (B, n_scalar + 2 n_tensor, y, x), tensors as pairs q, r, to (B, 8 n_out, y, x)."""

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
    """Dilated 3 x 3 convolution from (B, 8 n, y, x) to the same shape, n channels for each symmetry."""

    def __init__(self, n: int, dilation: int):
        super().__init__()
        self.dilation = dilation
        self.weight = nn.Parameter(torch.randn(n, 8, n, 3, 3) / math.sqrt(72 * n))
        self.bias = nn.Parameter(torch.zeros(n))

    def forward(self, z: Tensor) -> Tensor:
        kernel = torch.stack([apply_symmetry(self.weight[:, QUOTIENTS[h]], h) for h in range(8)])  # (h, n, k, n, 3, 3)
        kernel = kernel.flatten(2, 3).flatten(0, 1).contiguous(memory_format=torch.channels_last)
        return F.conv2d(z, kernel, self.bias.repeat(8), padding=self.dilation, dilation=self.dilation)


class Pooling(nn.Module):
    """From (B, 8 n, y, x) to fields (B, n_scalar + 2 n_tensor, y, x), tensors as pairs q, r; starts at zero."""

    def __init__(self, n: int, n_scalar: int, n_tensor: int):
        super().__init__()
        kinds = torch.tensor([0] * n_scalar + [1, 2] * n_tensor)
        self.weight = nn.Parameter(torch.zeros(len(kinds), n))
        self.characters: Tensor
        self.register_buffer("characters", CHARACTERS[:, kinds].T / 8, persistent=False)  # (field, h)

    def forward(self, z: Tensor) -> Tensor:
        kernel = self.characters[:, :, None] * self.weight[:, None]  # (field, h, n)
        return F.conv2d(z, kernel.flatten(1)[..., None, None])
