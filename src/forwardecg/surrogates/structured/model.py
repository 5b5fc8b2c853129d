"""The structured surrogate: voltage maps -> conductivity -> the exact discrete operator -> any electrode.

    fronts of the maps -> prior  D = kappa phi c^2  -> a small network corrects D (along x and along y) and phi, pixel by pixel
    phi_e(t; r_e) = - sum over faces of D_f G_f (V_j - V_i),   V = u / phi the voltage of the tissue of a pixel

phi is the share of a pixel that conducts, c the speed of the front, kappa = D / c^2 a constant of the cell model, and G_f
the integral of the normal derivative of 1/r over a face (`upscale`). D is that of the homogenized sheet: the network learns
what a pixel conducts as a whole, not what its cells do. Whatever it says, phi_e is linear in V, zero where the voltage of
the tissue is constant, and right for any electrode; the network turns with the sheet (`symmetric`). All of it is ours.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from forwardecg.ecg.electrodes import Electrodes
from forwardecg.ecg.pixels import face_gradients
from forwardecg.surrogates.structured.fronts import LEAST_SHARE, PLATEAU, Fronts, local_slowness
from forwardecg.surrogates.structured.symmetric import GroupConv, Lifting, Pooling

KAPPA = 0.226  # ms, D / c^2 of FK_CAF as `fronts` reads it off maps of 2 mm
N_SCALAR, N_TENSOR = 14, 4  # input fields
MOST_D, MOST_SHARE, MOST_ANISOTROPY = (
    2.0,
    0.3,
    2.0,
)  # bounds of the corrections: of log D, log phi, half the log ratio of D


@dataclass(frozen=True, kw_only=True)
class StructuredConfig:
    """Sizes of the network.

    Parameters
    ----------
    width : channels for each of the eight symmetries
    dilations : of the convolutions after the first one

    Raises
    ------
    ValueError
        A width or a dilation that is no whole number of at least 1; no dilations.

    Examples
    --------
    >>> StructuredConfig(width=2).dilations
    (1, 2, 4, 8, 1)
    """

    width: int = 4  # channels for each of the eight symmetries
    dilations: tuple[int, ...] = (1, 2, 4, 8, 1)  # of the convolutions after the first one

    def __post_init__(self) -> None:
        for name, values in (("width", (self.width,)), ("dilations", self.dilations)):
            if not values or not all(isinstance(value, int) and value >= 1 for value in values):
                raise ValueError(f"{name}: expected whole numbers of at least 1, got {getattr(self, name)}")


class Inputs(NamedTuple):
    """What the network sees: ``fields`` (..., channel, y, x), ``prior`` (..., y, x) log of kappa c^2, ``share`` (..., y, x).

    Parameters
    ----------
    fields : (..., channel, y, x)
    prior : (..., y, x), log of kappa c^2 in mm^2/ms
    share : (..., y, x), 0 to 1
    """

    fields: Tensor
    prior: Tensor
    share: Tensor


class Conductivity(NamedTuple):
    """Effective diffusivities (B, y, x) of the pixels along x and y in mm^2/ms, > 0; ``share`` of each that conducts.

    Parameters
    ----------
    D_xx, D_yy : (B, y, x), mm^2/ms
    share : (B, y, x), 0 to 1
    """

    D_xx: Tensor
    D_yy: Tensor
    share: Tensor


def inputs(f: Fronts, dx: float, dt: float) -> Inputs:
    """`Inputs` from the fronts of one movie; speeds relative to their median, so that slow tissue looks like fast.

    Parameters
    ----------
    f : of one movie
    dx, dt : mm, ms

    Returns
    -------
    x : `Inputs` without a batch dim

    Examples
    --------
    >>> from forwardecg.surrogates.structured.fronts import fronts
    >>> t, x = torch.arange(120.0)[:, None, None], 2.0 * torch.arange(12)
    >>> u = ((t - x / 0.5) / 5).clamp(0, 1).expand(120, 12, 12)  # a plane front of 0.5 mm/ms
    >>> seen = inputs(fronts(u, 2.0, 1.0), dx=2.0, dt=1.0)
    >>> seen.fields.shape, round(float(seen.prior[6, 6].exp() / (KAPPA * 0.5**2)), 2)
    (torch.Size([22, 12, 12]), 1.0)
    """
    xx, yy, xy = f.slowness.unbind(1)  # (kind, y, x)
    trace = xx + yy  # 1/c^2
    seen = trace > 1e-6
    trace = trace.clamp(min=1e-6)
    speed = -torch.where(seen, trace, torch.nan).log()
    median = speed.flatten(1).nanmedian(1).values
    median = torch.where(median.isfinite(), median, -2.0)
    relative = torch.where(seen, speed - median[:, None, None], 0.0).clamp(-2, 2)
    # where a recording ends before the downward crossings, the upward ones have to do
    end = len(seen) // 2
    relative = torch.cat([relative[:end], torch.where(seen[end:], relative[end:], relative[:end])])
    tensors = torch.stack([(xx - yy) / trace, 2 * xy / trace], 1) * seen[:, None]
    share = (f.amplitude / PLATEAU).clamp(LEAST_SHARE / 2, 1.0)
    lasted = f.duration > 0
    duration = torch.where(lasted, f.duration - f.duration[lasted].nanmedian() if lasted.any() else 0.0, 0.0)
    grid = [torch.full_like(share, math.log2(value)) for value in (dx / 2, dt / 5)]
    scalars = [share, share.log(), (duration / 5).clamp(-3, 3), f.steepness, (f.count > 0).to(share.dtype), *grid]
    scalars += [*relative, *torch.log1p(f.residual[1::2].clamp(max=20))]
    slowness = local_slowness(f)
    prior = (
        math.log(KAPPA) - torch.where(slowness.isfinite(), slowness, 7.4).log()
    )  # 7.4: of no consequence, no front passed
    scalars.append((prior - prior.median()).clamp(-2, 2))
    return Inputs(torch.cat([torch.stack(scalars), tensors.flatten(0, 1)]), prior, share)


class Structured(nn.Module):
    """The network that corrects the prior: `GroupConv` layers with residuals; it starts as the prior itself.

    Parameters
    ----------
    config : sizes

    Examples
    --------
    >>> network = Structured(StructuredConfig(width=1, dilations=(1,)))
    >>> flat = torch.zeros(1, 8, 8)
    >>> D = network(Inputs(torch.zeros(1, N_SCALAR + 2 * N_TENSOR, 8, 8), flat + math.log(0.1), flat + 1))
    >>> round(D.D_xx[0, 4, 4].item(), 3)  # untrained: the prior
    0.1
    """

    def __init__(self, config: StructuredConfig):
        super().__init__()
        self.config = config
        self.lifting = Lifting(N_SCALAR, N_TENSOR, config.width)
        self.layers = nn.ModuleList(GroupConv(config.width, dilation) for dilation in config.dilations)
        self.gates = nn.Parameter(torch.full((len(config.dilations),), 0.5))
        self.pooling = Pooling(config.width, 2, 1)

    def forward(self, x: Inputs) -> Conductivity:
        """Conductivity of a batch of inputs, in their precision.

        Parameters
        ----------
        x : `Inputs` with a batch dim

        Returns
        -------
        D : `Conductivity`

        Examples
        --------
        >>> network = Structured(StructuredConfig(width=1, dilations=(1,)))
        >>> flat = torch.zeros(1, 8, 8)
        >>> network(Inputs(torch.zeros(1, N_SCALAR + 2 * N_TENSOR, 8, 8), flat, flat + 1)).D_yy.shape
        torch.Size([1, 8, 8])
        """
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
            even, odd = (
                D * torch.cosh(ratio),
                D * torch.sinh(ratio) / size,
            )  # D times the matrix exponential of the deviator
            return Conductivity(even + odd * q, even - odd * q, share)


def harmonic(a: Tensor, b: Tensor) -> Tensor:
    """Harmonic mean of two diffusivities, that of two halves in series.

    Parameters
    ----------
    a, b : of one shape, >= 0

    Returns
    -------
    mean : 0 where both are

    Examples
    --------
    >>> round(harmonic(torch.tensor(0.1), torch.tensor(0.3)).item(), 4)
    0.15
    """
    return 2 * a * b / (a + b + 1e-12)


def faces(D: Conductivity) -> tuple[Tensor, Tensor]:
    """Conductances of the inner faces: D_x (B, y, x-1), D_y (B, y-1, x) in mm^2/ms.

    Parameters
    ----------
    D : of the pixels

    Returns
    -------
    D_x, D_y : (B, y, x-1), (B, y-1, x), mm^2/ms

    Examples
    --------
    >>> one = torch.full((1, 2, 3), 0.1)
    >>> [tuple(g.shape) for g in faces(Conductivity(one, one, one))]
    [(1, 2, 2), (1, 1, 3)]
    """
    return harmonic(D.D_xx[..., 1:], D.D_xx[..., :-1]), harmonic(D.D_yy[..., 1:, :], D.D_yy[..., :-1, :])


def inner_gradients(shape: tuple[int, int], dx: float, electrodes: Electrodes) -> tuple[Tensor, Tensor]:
    """`upscale.face_gradients` of the inner faces, G_x (lead, y, x-1) and G_y (lead, y-1, x), in float32.

    Parameters
    ----------
    shape : pixels (y, x)
    dx : mm
    electrodes : at least dx / 2 from the sheet

    Returns
    -------
    G_x, G_y : (lead, y, x-1), (lead, y-1, x), 1/mm

    Raises
    ------
    ValueError
        What `upscale.face_gradients` refuses.

    Examples
    --------
    >>> from forwardecg.ecg.electrodes import center_electrode
    >>> G_x, G_y = inner_gradients((4, 4), 2.0, center_electrode((4, 4), 2.0))
    >>> G_x.shape, G_y.shape
    (torch.Size([1, 4, 3]), torch.Size([1, 3, 4]))
    """
    G_x, G_y = face_gradients(shape, dx, electrodes)
    return torch.from_numpy(G_x[:, :, 1:-1]).float(), torch.from_numpy(G_y[:, 1:-1]).float()


def lead_field(D: Conductivity, G_x: Tensor, G_y: Tensor) -> Tensor:
    """Weights (B, lead, y, x) of the pixels: phi_e = V_SPAN sum over pixels of weight u, in mV mm/ms.

    The sum over faces of the module's text, read from its other end. G_x (lead, y, x-1), G_y (lead, y-1, x): inner faces.

    Parameters
    ----------
    D : of the pixels
    G_x, G_y : of the inner faces, `inner_gradients`

    Returns
    -------
    L : (B, lead, y, x), mm/ms

    Examples
    --------
    >>> from forwardecg.ecg.electrodes import center_electrode
    >>> one = torch.full((1, 4, 4), 0.1)
    >>> L = lead_field(Conductivity(one, one, 10 * one), *inner_gradients((4, 4), 2.0, center_electrode((4, 4), 2.0)))
    >>> L.shape, bool(L.sum().abs() < 1e-8)  # a constant voltage has no ECG
    (torch.Size([1, 1, 4, 4]), True)
    """
    D_x, D_y = faces(D)
    flux_x, flux_y = D_x[:, None] * G_x, D_y[:, None] * G_y
    L = F.pad(flux_x, (0, 1)) - F.pad(flux_x, (1, 0)) + F.pad(flux_y, (0, 0, 0, 1)) - F.pad(flux_y, (0, 0, 1, 0))
    return L / D.share.clamp(min=LEAST_SHARE)[:, None]
