"""A small diffusion model of ECGs: noise in, an ECG of nobody out (Ho et al., NeurIPS 2020; Kong et al., ICLR 2021)."""

from dataclasses import dataclass
from hashlib import sha256
from time import process_time
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from forwardecg.surrogates.train import TrainConfig, initialize, load_or_fit


@dataclass(frozen=True, kw_only=True)
class DenoiserConfig:
    """Channels, blocks with dilations 1, 2, 4 ..., and steps between an ECG and noise."""

    channels: int = 32
    blocks: int = 6
    steps: int = 100
    last: float = 0.1  # of the variances that the steps add, which rise linearly


class Denoiser(nn.Module):
    """Noisy ECGs (B, T) and their steps (B,) -> the noise that is in them (B, T): dilated, gated convolutions."""

    def __init__(self, config: DenoiserConfig = DenoiserConfig()):
        super().__init__()
        self.config, c = config, config.channels
        self.into, self.out = nn.Conv1d(1, c, 1), nn.Sequential(nn.ReLU(), nn.Conv1d(c, 1, 1))
        self.step = nn.Sequential(nn.Linear(2 * c, 2 * c), nn.SiLU(), nn.Linear(2 * c, c))
        self.gates = nn.ModuleList(nn.Conv1d(c, 2 * c, 3, padding=2**k, dilation=2**k) for k in range(config.blocks))
        self.mixes = nn.ModuleList(nn.Conv1d(c, 2 * c, 1) for _ in range(config.blocks))

    def forward(self, noisy: Tensor, step: Tensor) -> Tensor:
        waves = torch.exp(torch.linspace(0, -6, self.config.channels)) * step[:, None]
        at = self.step(torch.cat([waves.sin(), waves.cos()], 1))[..., None]  # (B, C, 1)
        x, skipped = self.into(noisy[:, None]), torch.zeros(1)  # (B, C, T)
        for gate, mix in zip(self.gates, self.mixes, strict=True):
            filtered, opened = gate(x + at).chunk(2, 1)
            stays, leaves = mix(filtered.tanh() * opened.sigmoid()).chunk(2, 1)
            x, skipped = (x + stays) / 2**0.5, skipped + leaves
        return self.out(skipped / self.config.blocks**0.5)[:, 0]


def kept(config: DenoiserConfig) -> Tensor:
    """Share (step,) of the variance of an ECG that is left after each step."""
    return torch.cumprod(1 - torch.linspace(1e-4, config.last, config.steps, dtype=torch.float64), 0).float()


class DenoiseTask:
    """The noise that was added to ECGs of SD 1, a `train.Task`."""

    stage, version = "diffusion", 1
    code: tuple[str, ...] = ()

    def __init__(self, train: np.ndarray, val: np.ndarray, config: DenoiserConfig):
        self.train, self.val = (torch.from_numpy(ecg).float() for ecg in (train, val))
        self.kept, self.n_train = kept(config), len(train)

    def fingerprint(self) -> tuple:
        """A hash of all ECGs."""
        return (sha256(self.train.numpy().tobytes() + self.val.numpy().tobytes()).hexdigest(),)

    def draw(self, members: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """ECGs, steps, and noise."""
        step = torch.randint(len(self.kept), members.shape, generator=generator)
        return self.train[members], step, torch.randn(len(members), self.train.shape[1], generator=generator)

    def loss(self, model: Any, drawn: Any, rows: Tensor, done: float) -> Tensor:
        """Mean square (len(rows),) of the error of the noise."""
        ecg, step, noise = (one[rows] for one in drawn)
        return self._error(model, ecg, step, noise)

    def _error(self, model: Any, ecg: Tensor, step: Tensor, noise: Tensor) -> Tensor:
        share = self.kept[step][:, None]
        return F.mse_loss(model(share.sqrt() * ecg + (1 - share).sqrt() * noise, step), noise, reduction="none").mean(1)

    @torch.no_grad()
    def score(self, model: Any) -> float:
        """Minus the error on the validation ECGs, the same noise each time: in the place of R2."""
        generator, ecg = torch.Generator().manual_seed(0), self.val.repeat(4, 1)
        step = torch.randint(len(self.kept), (len(ecg),), generator=generator)
        return -self._error(model, ecg, step, torch.randn(ecg.shape, generator=generator)).mean().item()


@torch.no_grad()
def sample(model: Denoiser, n: int, n_t: int, seed: int) -> np.ndarray:
    """ECGs (n, n_t) of SD about 1: each step takes away the noise that the network sees, and adds less of new noise."""
    generator, left = torch.Generator().manual_seed(seed), kept(model.config)
    x = torch.randn(n, n_t, generator=generator)
    for k in reversed(range(len(left))):
        before = left[k - 1] if k else torch.ones(())
        added = 1 - left[k] / before
        x = (x - added / (1 - left[k]).sqrt() * model(x, torch.full((n,), k))) / (1 - added).sqrt()
        if k:
            x = x + (added * (1 - before) / (1 - left[k])).sqrt() * torch.randn(n, n_t, generator=generator)
    return x.numpy()


def learn(train: np.ndarray, val: np.ndarray, config: TrainConfig) -> tuple[Denoiser, pd.DataFrame]:
    """A model of ECGs (tissue, T), divided by the SD of those in training, and its history."""
    model, size = initialize(Denoiser, config.seed), train.std()
    return model, load_or_fit(model, DenoiseTask(train / size, val / size, model.config), config)


def generate(train: np.ndarray, val: np.ndarray, n: int, config: TrainConfig) -> tuple[np.ndarray, dict[str, float]]:
    """ECGs (n, T) of nobody, in the unit of those (tissue, T) that they were learned from, and the seconds it took."""
    model, history = learn(train, val, config)
    began = process_time()
    traces = train.std() * sample(model, n, train.shape[1], config.seed)
    return traces, {"training": float(history.seconds.sum()), "each": (process_time() - began) / n}
