"""Convolutions that commute with the eight symmetries of the square, so that a network turns with the sheet exactly.

Features carry one copy of their channels for each symmetry h (regular representation of D4; Cohen & Welling,
Group Equivariant Convolutional Networks, ICML 2016). With S_h the symmetry of arrays of `sequences.symmetry`,

    lifting   out[h] = chi(h) S_h(w) * z             z a scalar (chi = 1), or a component of a symmetric tensor
    group     out[h] = sum_k S_h(w[h^-1 k]) * z[k]
    pooling   mean over h of chi(h) z[h]             a scalar, or a component of a symmetric tensor

Of the deviator ((q, r), (r, -q)) of a symmetric tensor, a quarter turn flips q and r, and a mirror flips r: `CHARACTERS`.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from forwardecg.tissue.symmetry import symmetry

CHARACTERS = torch.tensor([[1.0, (-1.0) ** h, (-1.0) ** (h + h // 4)] for h in range(8)])  # (h; scalar, q, r)


def _quotients() -> Tensor:
    """Table (h, k) of the numbers of h^-1 k."""
    square = torch.arange(9.0).reshape(3, 3)
    images = [symmetry(square, n) for n in range(8)]
    number = {tuple(image.flatten().tolist()): n for n, image in enumerate(images)}
    product = [[number[tuple(symmetry(image, h).flatten().tolist())] for image in images] for h in range(8)]
    return torch.tensor([[row.index(k) for k in range(8)] for row in product])


QUOTIENTS = _quotients()


class Lifting(nn.Module):
    """3 x 3 convolution of fields (B, n_scalar + 2 n_tensor, y, x), tensors as pairs q, r, to (B, 8 n_out, y, x).

    ``forward(z)`` takes those fields.

    Parameters
    ----------
    n_scalar, n_tensor : fields that are scalars, and pairs that are tensors
    n_out : channels for each symmetry

    Examples
    --------
    >>> Lifting(n_scalar=1, n_tensor=1, n_out=2)(torch.zeros(1, 3, 8, 8)).shape
    torch.Size([1, 16, 8, 8])
    """

    def __init__(self, n_scalar: int, n_tensor: int, n_out: int):
        super().__init__()
        kinds = torch.tensor([0] * n_scalar + [1, 2] * n_tensor)
        self.weight = nn.Parameter(torch.randn(n_out, len(kinds), 3, 3) / math.sqrt(9 * len(kinds)))
        self.bias = nn.Parameter(torch.zeros(n_out))
        self.register_buffer("signs", CHARACTERS[:, kinds, None, None], persistent=False)

    def forward(self, z: Tensor) -> Tensor:
        kernel = torch.cat([self.signs[h] * symmetry(self.weight, h) for h in range(8)])  # type: ignore[index]
        return F.conv2d(z, kernel, self.bias.repeat(8), padding=1)


class GroupConv(nn.Module):
    """Dilated 3 x 3 convolution from (B, 8 n, y, x) to the same shape.

    ``forward(z)`` takes (B, 8 n, y, x).

    Parameters
    ----------
    n : channels for each symmetry
    dilation : of the convolution

    Examples
    --------
    >>> GroupConv(n=2, dilation=2)(torch.zeros(1, 16, 8, 8)).shape
    torch.Size([1, 16, 8, 8])
    """

    def __init__(self, n: int, dilation: int):
        super().__init__()
        self.dilation = dilation
        self.weight = nn.Parameter(torch.randn(n, 8, n, 3, 3) / math.sqrt(72 * n))
        self.bias = nn.Parameter(torch.zeros(n))

    def forward(self, z: Tensor) -> Tensor:
        kernel = torch.stack([symmetry(self.weight[:, QUOTIENTS[h]], h) for h in range(8)])  # (h, n, k, n, 3, 3)
        kernel = kernel.flatten(2, 3).flatten(0, 1).contiguous(memory_format=torch.channels_last)
        return F.conv2d(z, kernel, self.bias.repeat(8), padding=self.dilation, dilation=self.dilation)


class Pooling(nn.Module):
    """From (B, 8 n, y, x) to fields (B, n_scalar + 2 n_tensor, y, x); starts at zero.

    ``forward(z)`` takes (B, 8 n, y, x).

    Parameters
    ----------
    n : channels for each symmetry
    n_scalar, n_tensor : fields that are scalars, and pairs that are tensors

    Examples
    --------
    >>> Pooling(n=2, n_scalar=2, n_tensor=1)(torch.zeros(1, 16, 8, 8)).shape
    torch.Size([1, 4, 8, 8])
    """

    def __init__(self, n: int, n_scalar: int, n_tensor: int):
        super().__init__()
        kinds = torch.tensor([0] * n_scalar + [1, 2] * n_tensor)
        self.weight = nn.Parameter(torch.zeros(len(kinds), n))
        self.register_buffer("characters", CHARACTERS[:, kinds].T / 8, persistent=False)  # (field, h)

    def forward(self, z: Tensor) -> Tensor:
        kernel = self.characters[:, :, None] * self.weight[:, None]  # type: ignore[index]  # (field, h, n)
        return F.conv2d(z, kernel.flatten(1)[..., None, None])
