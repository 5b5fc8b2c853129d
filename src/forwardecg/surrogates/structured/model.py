"""The structured surrogate: fronts of maps -> prior D = kappa phi c^2 -> corrected by a network -> operator.

phi is the share of a pixel that conducts, c the speed of the front, D that of the homogenized sheet. All of it is ours.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from forwardecg.cache import settle
from forwardecg.contract import count, instance
from forwardecg.ecg.electrodes import Electrodes
from forwardecg.ecg.pixels import face_gradients
from forwardecg.surrogates.structured.fronts import LEAST_SHARE, PLATEAU, Fronts, local_slowness
from forwardecg.surrogates.structured.symmetric import GroupConv, Lifting, Pooling
from forwardecg.tissue.grid import Grid

KAPPA = 0.226  # ms, D / c^2 of FK_CAF as `read_fronts` sees it on maps of 2 mm
N_SCALAR, N_TENSOR = 14, 4  # input fields
PASSED = 4  # the field that is 1 where a front passes, else 0
# Bounds of the corrections of log D, log phi, and half the log ratio of D
MOST_D, MOST_SHARE, MOST_ANISOTROPY = 2.0, 0.3, 2.0


@dataclass(frozen=True, kw_only=True)
class StructuredConfig:
    """Sizes of the network.

    Args:
        width: channels for each of the eight symmetries.
        dilations: of the convolutions after the first one, in pixels.

    Raises:
        ValueError: No whole numbers of at least 1.

    Examples:
        >>> StructuredConfig(width=2).dilations
        (1, 2, 4, 8, 1)
    """

    width: int = 4
    dilations: tuple[int, ...] = (1, 2, 4, 8, 1)

    def __post_init__(self) -> None:
        settle(self, width=count("width", self.width, 1, 10**4))
        dilations = tuple(count("dilations", d, 1, 10**4) for d in instance("dilations", self.dilations, (tuple, list)))
        object.__setattr__(self, "dilations", dilations)
        if not dilations:
            raise ValueError("dilations: expected whole numbers of at least 1, got none")


class Inputs(NamedTuple):
    """What the network sees."""

    fields: Tensor  # (..., channel, y, x)
    prior: Tensor  # (..., y, x), log of kappa c^2 in mm^2/ms
    share: Tensor  # (..., y, x), 0 to 1


class Conductivity(NamedTuple):
    """What the network says of the pixels: effective diffusivities along x and y, and what share of each conducts."""

    D_xx: Tensor  # (B, y, x), mm^2/ms, > 0
    D_yy: Tensor
    share: Tensor  # (B, y, x), 0 to 1


def make_inputs(f: Fronts, dx: float, dt: float, kappa: float = KAPPA, plateau: float = PLATEAU) -> Inputs:
    """`Inputs`, without a batch dim, from the fronts of one movie of pixels of dx mm every dt ms, with constants of the cell."""
    xx, yy, xy = f.slowness.unbind(1)  # (kind, y, x)
    trace = xx + yy  # 1/c^2
    seen = trace > 1e-6
    trace = trace.clamp(min=1e-6)
    speed = -torch.where(seen, trace, torch.nan).log()  # relative to the median, so that slow tissue looks like fast
    median = speed.flatten(1).nanmedian(1).values
    median = torch.where(median.isfinite(), median, -2.0)
    relative = torch.where(seen, speed - median[:, None, None], 0.0).clamp(-2, 2)
    # where a recording ends before the downward crossings, the upward ones have to do
    end = len(seen) // 2
    relative = torch.cat([relative[:end], torch.where(seen[end:], relative[end:], relative[:end])])
    tensors = torch.stack([(xx - yy) / trace, 2 * xy / trace], 1) * seen[:, None]
    share = (f.amplitude / plateau).clamp(LEAST_SHARE / 2, 1.0)
    lasted = f.duration > 0
    duration = torch.where(lasted, f.duration - f.duration[lasted].nanmedian() if lasted.any() else 0.0, 0.0)
    grid = [torch.full_like(share, math.log2(value)) for value in (dx / 2, dt / 5)]
    scalars = [share, share.log(), (duration / 5).clamp(-3, 3), f.steepness, (f.number > 0).to(share.dtype), *grid]
    scalars += [*relative, *torch.log1p(f.residual[1::2].clamp(max=20))]
    slowness = local_slowness(f)
    # 7.4: of no consequence, no front passed
    prior = math.log(kappa) - torch.where(slowness.isfinite(), slowness, 7.4).log()
    scalars.append((prior - prior.median()).clamp(-2, 2))
    return Inputs(torch.cat([torch.stack(scalars), tensors.flatten(0, 1)]), prior, share)


def describe_maps(x: Inputs, f: Fronts) -> np.ndarray:
    """What tells one kind of maps from another, (k,): speed, duration, and mean and SD of the scalar fields over the pixels."""
    duration = f.duration[f.duration > 0]
    whole = [x.prior.median(), duration.median() if len(duration) else x.prior.new_zeros(())]
    fields = x.fields[[0, 2, 3, 4, 7, 8, 9, 10, 11, 12]].flatten(1)
    return torch.stack([*whole, *fields.mean(1), *fields.std(1)]).double().numpy()


class Structured(nn.Module):
    """The network that corrects the prior, and turns with the sheet: `GroupConv` layers with residuals.

        D = kappa phi c^2 exp(2 tanh(z)), other along x than along y by a deviator;   phi times exp(0.3 tanh(z))

    Args:
        config: sizes, `StructuredConfig`.

    Examples:
        >>> network = Structured(StructuredConfig(width=1, dilations=(1,)))
        >>> flat = torch.zeros(1, 8, 8)
        >>> D = network(Inputs(torch.zeros(1, N_SCALAR + 2 * N_TENSOR, 8, 8), flat + math.log(0.1), flat + 1))
        >>> round(D.D_xx[0, 4, 4].item(), 3)  # untrained: the prior
        0.1
    """

    def __init__(self, config: StructuredConfig):
        super().__init__()
        self.config = instance("config", config, StructuredConfig)
        self.lifting = Lifting(N_SCALAR, N_TENSOR, config.width)
        self.layers = nn.ModuleList(GroupConv(config.width, dilation) for dilation in config.dilations)
        self.gates = nn.Parameter(torch.full((len(config.dilations),), 0.5))
        self.pooling = Pooling(config.width, 2, 1)

    def forward(self, x: Inputs) -> Conductivity:
        """`Conductivity` of `Inputs` with a batch dim, in their precision."""
        z = F.gelu(self.lifting(x.fields.contiguous(memory_format=torch.channels_last)))
        for gate, layer in zip(self.gates, self.layers, strict=True):
            z = z + gate * F.gelu(layer(z))
        z = self.pooling(z)
        with torch.autocast(z.device.type, enabled=False):
            log_D, log_share, q, r = z.to(x.prior.dtype).unbind(1)
            share = (x.share * torch.exp(MOST_SHARE * torch.tanh(log_share))).clamp(LEAST_SHARE / 2, 1.0)
            D = torch.exp(x.prior + x.share.log() + MOST_D * torch.tanh(log_D))
            size = torch.sqrt(q * q + r * r + 1e-8)
            ratio = MOST_ANISOTROPY * torch.tanh(size / MOST_ANISOTROPY)
            # D times the matrix exponential of the deviator
            even, odd = D * torch.cosh(ratio), D * torch.sinh(ratio) / size
            return Conductivity(even + odd * q, even - odd * q, share)


def faces(D: Conductivity) -> tuple[Tensor, Tensor]:
    """Conductances of the inner faces, harmonic means: D_x (B, y, x-1), D_y (B, y-1, x) in mm^2/ms."""

    def harmonic(a: Tensor, b: Tensor) -> Tensor:
        return 2 * a * b / (a + b + 1e-12)

    return harmonic(D.D_xx[..., 1:], D.D_xx[..., :-1]), harmonic(D.D_yy[..., 1:, :], D.D_yy[..., :-1, :])


def mean_of_faces(D_x: Tensor, D_y: Tensor) -> Tensor:
    """Mean of the inner faces D_x (..., y, x-1), D_y (..., y-1, x) of each pixel, (..., y, x)."""

    def around(x: Tensor, y: Tensor) -> Tensor:
        return (F.pad(x, (0, 1)) + F.pad(x, (1, 0))) + (F.pad(y, (0, 0, 0, 1)) + F.pad(y, (0, 0, 1, 0)))

    return around(D_x, D_y) / around(torch.ones_like(D_x), torch.ones_like(D_y))


def pixel_diffusivity(D: Conductivity) -> Tensor:
    """Mean of the conductances of the faces of each pixel, (B, y, x) in mm^2/ms."""
    return mean_of_faces(*faces(D))


def inner_gradients(grid: Grid, electrodes: Electrodes) -> tuple[Tensor, Tensor]:
    """`pixels.face_gradients` of the inner faces of a grid in 1/mm, G_x (lead, y, x-1) and G_y (lead, y-1, x), in float32."""
    G_x, G_y = face_gradients(grid, electrodes)
    return torch.from_numpy(G_x[:, :, 1:-1]).float(), torch.from_numpy(G_y[:, 1:-1]).float()


def batched_lead_field(D: Conductivity, G_x: Tensor, G_y: Tensor) -> Tensor:
    """Weights (B, lead, y, x) in mm/ms, with `inner_gradients`: phi_e = V_SPAN sum over pixels of weight u."""
    # phi_e = sum over faces of D_f G_f (V_j - V_i), V = u / phi that of the tissue of a pixel, read from its other end
    D_x, D_y = faces(D)
    flux_x, flux_y = D_x[:, None] * G_x, D_y[:, None] * G_y
    L = F.pad(flux_x, (1, 0)) - F.pad(flux_x, (0, 1)) - F.pad(flux_y, (0, 0, 0, 1)) + F.pad(flux_y, (0, 0, 1, 0))
    return L / D.share.clamp(min=LEAST_SHARE)[:, None]
