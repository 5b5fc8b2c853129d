"""The surrogate of Towards Deep Learning Surrogate for the Forward Problem in Electrocardiology (arXiv 2512.13765).

The paper names its parts; their sizes are our choice. Dims: B batch, T time, C channels, H, W map.
"""

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from forwardecg.cache import settle
from forwardecg.contract import count, flag, instance, number, one_of


@dataclass(frozen=True, kw_only=True)
class Seq2SeqConfig:
    """Which parts the network has, and their sizes.

    Args:
        pixels: side of the input maps.
        encoder: of a frame: conv or linear.
        norm: group norm in the encoder, which divides each frame by its own amplitude.
        time: embedding: sinusoidal, learned (a vector a frame) or none.
        attention: self-attention over the frames.
        decoder: over time: bilstm (both ways), lstm, tcn or linear.
        channels: of the convolutions, multiples of 4.
        stride: of the first one, in pixels; 2 in the others.
        width: of a frame's code, an even multiple of ``heads``.
        layers: of the LSTM.
        heads: of the attention.
        t_scale: ms, unit of time inside the embedding, above 0.
        frames: that the learned embedding has vectors for.
        inputs: channels of a map: 1, the voltage; 2, the true D beside it, which no user has (an ablation).

    Raises:
        ValueError: A field of another type, out of range or none of its words.

    Examples:
        >>> Seq2SeqConfig(pixels=25, decoder="lstm").width
        128
    """

    pixels: int = 50
    encoder: str = "conv"
    norm: bool = False
    time: str = "sinusoidal"
    attention: bool = True
    decoder: str = "bilstm"
    channels: tuple[int, ...] = (16, 32, 64)
    stride: int = 4
    width: int = 128
    layers: int = 1
    heads: int = 4
    t_scale: float = 1000.0
    frames: int = 256
    inputs: int = 1

    def __post_init__(self) -> None:
        choices = {"encoder": ("conv", "linear"), "time": ("sinusoidal", "learned", "none")}
        for name, allowed in (choices | {"decoder": ("bilstm", "lstm", "tcn", "linear")}).items():
            one_of(name, getattr(self, name), allowed)
        for name in ("pixels", "heads", "width", "frames", "inputs", "stride", "layers"):
            settle(self, **{name: count(name, getattr(self, name), 1, 10**5)})
        for name in ("norm", "attention"):
            settle(self, **{name: flag(name, getattr(self, name))})
        settle(self, t_scale=number("t_scale", self.t_scale, 0, unit="ms", above=True))
        channels = tuple(count("channels", c, 4, 10**5) for c in instance("channels", self.channels, (tuple, list)))
        object.__setattr__(self, "channels", channels)
        if not channels or any(c % 4 for c in channels):
            raise ValueError(f"channels: expected multiples of 4 (groups of the norm), got {self.channels}")
        if self.width % self.heads or self.width % 2:
            raise ValueError(f"width: expected an even multiple of heads = {self.heads}, got {self.width}")


class TimeEmbedding(nn.Module):
    """Sines and cosines of the frame's time at geometric frequencies, mixed by one linear layer: (T,) ms to (T, C)."""

    def __init__(self, width: int, t_scale: float):
        super().__init__()
        self.frequency: Tensor  # periods 2 t_scale .. t_scale / 64
        self.register_buffer("frequency", 2 * math.pi / t_scale * 2 ** torch.linspace(-1, 6, width // 2))
        self.mix = nn.Linear(width, width)

    def forward(self, t: Tensor) -> Tensor:  # t: (T,) ms
        phase = t[:, None] * self.frequency  # (T, C / 2)
        return self.mix(torch.cat([phase.sin(), phase.cos()], -1))  # (T, C)


class LearnedTime(nn.Module):
    """One free vector for each frame, whatever its time, (T,) ms to (T, C): nothing is shared between neighbors."""

    def __init__(self, width: int, frames: int):
        super().__init__()
        self.table = nn.Embedding(frames, width)
        nn.init.normal_(self.table.weight, std=0.02)  # below the codes of the frames, as the sinusoidal one is

    def forward(self, t: Tensor) -> Tensor:  # t: (T,) ms
        if len(t) > self.table.num_embeddings:
            raise ValueError(f"t: expected at most {self.table.num_embeddings} frames, got {len(t)}")
        return self.table.weight[: len(t)]  # (T, C)


class TCN(nn.Module):
    """Dilated convolutions (B, T, C) over time with residuals, looking both ways in time: the alternative to the LSTM."""

    def __init__(self, width: int):
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv1d(width, width, 3, padding=d, dilation=d) for d in (1, 2, 4, 8))

    def forward(self, z: Tensor) -> Tensor:  # (B, T, C)
        z = z.transpose(1, 2)  # (B, C, T)
        for layer in self.layers:
            z = z + nn.functional.gelu(layer(z))
        return z.transpose(1, 2)  # (B, T, C)


class Seq2Seq(nn.Module):
    """The paper's network: V_m maps in, one ECG value per map out; D is not an input.

        map -> frame encoder -> + time embedding -> self-attention over the sequence -> LSTM -> linear -> phi_e(t)

    Args:
        config: which of these parts it has, `Seq2SeqConfig`.

    Examples:
        >>> network = Seq2Seq(Seq2SeqConfig(pixels=16, channels=(4, 4), width=16))
        >>> ecg, weights = network(torch.zeros(2, 5, 16, 16), t=5.0 * torch.arange(5))
        >>> ecg.shape, weights.shape
        (torch.Size([2, 5]), torch.Size([2, 5, 5]))
    """

    def __init__(self, config: Seq2SeqConfig):
        super().__init__()
        self.config = instance("config", config, Seq2SeqConfig)
        if config.encoder == "conv":
            layers, side = list[nn.Module](), config.pixels
            for n, (c_in, c_out) in enumerate(pairwise((config.inputs, *config.channels))):
                kernel, stride = (
                    (3, 2) if n else (5, config.stride)
                )  # the first holds most of the cost: a wide stride there
                norm = [nn.GroupNorm(4, c_out)] if config.norm else []
                layers += [nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2), *norm, nn.GELU()]
                side = (side - 1) // stride + 1
            # Flattened, not pooled: 1/r weighs by position.
            self.encoder = nn.Sequential(*layers, nn.Flatten(), nn.Linear(config.channels[-1] * side**2, config.width))
        else:
            self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(config.inputs * config.pixels**2, config.width))
        self.time: nn.Module | None = None
        if config.time == "sinusoidal":
            self.time = TimeEmbedding(config.width, config.t_scale)
        elif config.time == "learned":
            self.time = LearnedTime(config.width, config.frames)
        if config.attention:
            self.norm = nn.LayerNorm(config.width)
            self.attention = nn.MultiheadAttention(config.width, config.heads, batch_first=True)
        both = config.decoder == "bilstm"
        self.decoder: nn.Module = nn.Identity()
        if config.decoder in ("lstm", "bilstm"):
            self.decoder = nn.LSTM(config.width, config.width, config.layers, batch_first=True, bidirectional=both)
        elif config.decoder == "tcn":
            self.decoder = TCN(config.width)
        self.head = nn.Linear((1 + both) * config.width, 1)

    def forward(self, u: Tensor, t: Tensor) -> tuple[Tensor, Tensor | None]:
        """Maps u (B, T, [inputs,] H, W) in 0..1 at times t (T,) in ms -> ECG (B, T), attention (B, T, T) or None."""
        side, inputs = self.config.pixels, self.config.inputs
        channels = () if inputs == 1 else (inputs,)
        if not len(u) or u.shape[1:] != (len(t), *channels, side, side):
            expected = ", ".join(map(str, ("B", len(t), *channels, side, side)))
            raise ValueError(f"u: expected maps of shape ({expected}), got {(*u.shape,)}")
        n_batch, n_t = u.shape[:2]
        z = self.encoder(u.reshape(n_batch * n_t, inputs, side, side)).reshape(n_batch, n_t, -1)  # (B, T, C)
        if self.time is not None:
            z = z + self.time(t)
        weights = None
        if self.config.attention:
            q = self.norm(z)
            context, weights = self.attention(q, q, q)  # (B, T, C), (B, T, T)
            z = z + context
        z = self.decoder(z)  # (B, T, C)
        z = z[0] if isinstance(z, tuple) else z
        return self.head(z).squeeze(-1), weights  # (B, T)
