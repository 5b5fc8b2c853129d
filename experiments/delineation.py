"""Delineators: four losses, three seeds, read on recordings whose labels the voltage gives, beside a rule.

    python -m experiments.delineation               all; recordings and trainings are found in the cache where they are done
    python -m experiments.delineation --tissues 20 --epochs 1 --seeds 1      a first look

Writes ``data/results/runs/delineation.csv``, one row an interval, trained network and noise: the losses are those of
`forwardecg.signals.losses`, and F1Instance starts after half of the training. The network is the U-Net of ECG-DelNet
(Jimenez-Perez et al., Sci. Rep. 11:863, 2021) in small; the published claim is not reproduced, an idea is carried over.
"""

import argparse
import functools
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from experiments import beats
from experiments.beats import DT, Recordings, Traces
from experiments.files import write_table
from forwardecg.measure.scores import FLAT
from forwardecg.paths import RESULTS, progress
from forwardecg.signals.beats import WAVES
from forwardecg.signals.intervals import compare_labels, summarize_intervals
from forwardecg.signals.losses import bound_dice, dice, f1_instance
from forwardecg.surrogates.train import TrainConfig, initialize, load_or_fit

SHORTEST, RULE_GAP = 20.0, 40.0  # ms: what is shorter is no wave; of the rule, whose slope is 0 at every peak
TOLERANCE = 50.0  # ms: the 150 ms of beats are longer than many a wave
NOISES = (0.0, 0.1)  # SD of the noise, as a share of that of the trace
WINDOW = 640  # samples that a step sees of a trace


@dataclass(frozen=True, kw_only=True)
class UNetConfig:
    """Channels of the levels, each ``pool`` times as coarse as the one before; kernels in samples."""

    channels: tuple[int, ...] = (8, 16, 32, 40)  # 36,500 weights: 146 kB
    kernel: int = 7
    pool: int = 4
    waves: int = len(WAVES)


class UNet(nn.Module):
    """ECG (B, T) -> logits (B, wave, T): down by strides of means, up by straight lines, each level joined to its equal."""

    def __init__(self, config: UNetConfig = UNetConfig()):
        super().__init__()
        self.config, c = config, config.channels
        self.down = nn.ModuleList(self._block(a, b) for a, b in zip((1, *c), c, strict=False))
        self.up = nn.ModuleList(self._block(c[k + 1] + c[k], c[k]) for k in range(len(c) - 1))
        self.head = nn.Conv1d(c[0], config.waves, 1)

    def _block(self, n_in: int, n_out: int) -> nn.Sequential:
        k = self.config.kernel
        return nn.Sequential(nn.Conv1d(n_in, n_out, k, padding=k // 2), nn.GroupNorm(1, n_out), nn.LeakyReLU(0.1))

    def forward(self, ecg: Tensor) -> Tensor:
        n_t, pool = ecg.shape[-1], self.config.pool
        whole = pool ** (len(self.down) - 1)
        x = F.pad(ecg[:, None], (0, -n_t % whole), mode="replicate")  # (B, 1, T')
        levels = []
        for k, block in enumerate(self.down):
            x = block(F.avg_pool1d(x, pool) if k else x)  # (B, C, T' / pool^k)
            levels.append(x)
        for k in reversed(range(len(self.up))):
            x = F.interpolate(x, size=levels[k].shape[-1], mode="linear", align_corners=False)
            x = self.up[k](torch.cat([x, levels[k]], 1))
        return self.head(x)[..., :n_t]  # (B, wave, T)


def cross_entropy(logits: Tensor, y: Tensor) -> Tensor:
    """Binary cross-entropy (B,), mean over waves and samples."""
    return F.binary_cross_entropy_with_logits(logits, y, reduction="none").mean((-2, -1))


@dataclass(frozen=True, kw_only=True)
class Terms:
    """Weights of the terms of a loss; that of F1Instance rises between ``warm`` and ``warm`` + 0.1 of the training."""

    bce: float = 0.0
    dice: float = 0.0
    bound: float = 0.0
    instance: float = 0.0
    warm: float = 0.5

    def loss(self, logits: Tensor, y: Tensor, done: float) -> Tensor:
        """The sum (B,) of the terms at the share ``done`` of the training."""
        p, late = logits.sigmoid(), min(max((done - self.warm) / 0.1, 0.0), 1.0)
        found = torch.zeros(len(y))
        if self.bce:
            found = found + self.bce * cross_entropy(logits, y)
        for weight, term in ((self.dice, dice), (self.bound, bound_dice), (late * self.instance, f1_instance)):
            found = found + weight * term(p, y) if weight else found
        return found


LOSSES = {
    "BCE": Terms(bce=1.0),
    "Dice": Terms(dice=1.0),
    "Dice + BoundDice": Terms(dice=1.0, bound=1.0),
    "Dice + BoundDice + F1Instance": Terms(dice=1.0, bound=1.0, instance=0.1),
}


class DelineationTask:
    """Labels from traces, a `train.Task`: windows with their sign, noise and a wandering baseline drawn anew."""

    stage, version = "delineation", 1
    code: tuple[str, ...] = ("signals/losses", "signals/intervals")

    def __init__(self, train: Traces, val: Traces, terms: Terms):
        self.train, self.val, self.terms, self.n_train = train, val, terms, len(train.ecg)
        self.ecg, self.labels = torch.from_numpy(train.ecg).float(), torch.from_numpy(train.labels).float()

    def fingerprint(self) -> tuple:
        """Terms, windows, and a hash of all traces."""
        read = sha256()
        for part in (self.train, self.val):
            for values in (part.ecg, part.labels):
                read.update(np.ascontiguousarray(values).data)
        return asdict(self.terms), WINDOW, SHORTEST, read.hexdigest()

    def draw(self, members: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Windows (B, T) of these traces, distorted, and their labels (B, wave, T)."""
        draw = functools.partial(torch.rand, generator=generator)
        n, n_t = len(members), min(WINDOW, self.ecg.shape[-1])
        starts = (draw(n) * (self.ecg.shape[-1] - n_t + 1)).long()
        at = starts[:, None] + torch.arange(n_t)
        ecg = self.ecg[members].gather(1, at)
        y = self.labels[members].gather(2, at[:, None].expand(-1, self.labels.shape[1], -1))
        sign = torch.where(draw(n, 1) < 0.5, -1.0, 1.0) * (0.7 + 0.6 * draw(n, 1))
        noise = 0.2 * draw(n, 1) * torch.randn(n, n_t, generator=generator)
        hertz, phase = 0.1 + 0.5 * draw(n, 1), 2 * np.pi * draw(n, 1)
        wander = 0.3 * draw(n, 1) * torch.sin(2 * np.pi * hertz * DT / 1000 * torch.arange(n_t) + phase)
        return sign * ecg + noise + wander, y

    def loss(self, model: Any, drawn: Any, rows: Tensor, done: float) -> Tensor:
        """The terms (len(rows),) of these windows."""
        ecg, y = (one[rows] for one in drawn)
        return self.terms.loss(model(ecg).float(), y, done)

    def score(self, model: Any) -> float:
        """F1 of the validation traces with noise, mean over the waves: in the place of R2."""
        rows = compare(self.val, predict(model, add_noise(self.val.ecg, NOISES[-1])))
        return float(np.mean([summarize_intervals(rows[rows.wave == wave]).f1 for wave in WAVES]))


def add_noise(ecg: np.ndarray, level: float, seed: int = 0) -> np.ndarray:
    """Traces (n, T) with white noise, its SD a share of theirs; the same for every network."""
    noise = np.random.default_rng(seed).standard_normal(ecg.shape)
    return ecg + level * ecg.std(-1, keepdims=True) * noise


@torch.no_grad()
def predict(model: UNet, ecg: np.ndarray) -> np.ndarray:
    """Labels (n, wave, T) bool of traces (n, T)."""
    return (model.eval()(torch.from_numpy(ecg).float()) > 0).numpy()


def slope_rule(ecg: np.ndarray, share: float = 0.1, smooth: float = 10.0) -> np.ndarray:
    """The classical baseline: labels (n, 1, T), depolarization where |dECG/dt| is above a share of its 98 % quantile.

    The ECG is smoothed over ``smooth`` ms before.
    """
    width = max(round(smooth / DT), 1)
    calm = np.apply_along_axis(np.convolve, -1, ecg, np.ones(width) / width, mode="same")
    slope = np.abs(np.gradient(calm, axis=-1))
    return (slope > share * np.maximum(np.quantile(slope, 0.98, axis=-1, keepdims=True), FLAT))[:, None]


def compare(true: Traces, labels: np.ndarray, shortest: float = SHORTEST) -> pd.DataFrame:
    """Rows of `compare_labels` for each wave that is predicted, with the tissue and the lead of the trace."""
    tables = []
    for k in range(labels.shape[1]):
        table = compare_labels(true.labels[:, k], labels[:, k], DT, TOLERANCE, shortest)
        tables.append(table.assign(wave=WAVES[k]))
    whole = pd.concat(tables, ignore_index=True)
    n = whole.pop("recording").to_numpy(int)
    return whole.assign(sim=true.sim[n], lead=true.lead[n])


def delineator(train: Traces, val: Traces, terms: Terms, config: TrainConfig) -> UNet:
    """A trained network, from the cache if it is there."""
    model = initialize(UNet, config.seed)
    load_or_fit(model, DelineationTask(train, val, terms), config)
    return model


def read_patient(model: UNet) -> pd.DataFrame:
    """The annotated ECG of a patient, read by a delineator of simulated beats: its depolarization against P and against QRS.

    What it finds before the first mark of a lead, and after the last one, nobody has judged: it is no row.
    """
    true, marks = beats.annotated()
    found = predict(model, true.ecg)[:, :1]
    ends = DT * marks.groupby("lead").agg({"onset_sample": "min", "offset_sample": "max"})
    tables = []
    for k, wave in enumerate(("P", "QRS")):
        one = true._replace(labels=true.labels[:, k : k + 1])
        table = compare(one, found).assign(wave=wave).join(ends, on="lead")
        judged = (table.offset >= table.onset_sample) & (table.onset <= table.offset_sample)
        tables.append(table[judged].drop(columns=["onset_sample", "offset_sample"]))
    return pd.concat(tables)


def run(which: Recordings, config: TrainConfig, seeds: int) -> dict[str, pd.DataFrame]:
    """One row an interval: of the rule and of every loss and seed on the test tissues; and of a patient's ECG."""
    parts = {name: beats.traces(which, sims) for name, sims in beats.split(which.n).items()}
    test, rows, patient = parts["test"], list[pd.DataFrame](), list[pd.DataFrame]()

    def score(labels: Callable[[np.ndarray], np.ndarray], shortest: float = SHORTEST, **own: Any) -> None:
        for noise in NOISES:
            table = compare(test, labels(add_noise(test.ecg, noise, seed=1)), shortest)
            rows.append(table.assign(noise=noise, **own))
            found = summarize_intervals(table[table.wave == WAVES[0]])
            progress(
                f"{own}, noise {noise}: F1 {found.f1:.3f}, onset {found.onset:.1f} ms, offset {found.offset:.1f} ms"
            )

    score(slope_rule, RULE_GAP, method="slope rule", seed=0)
    for name, terms in LOSSES.items():
        for seed in range(seeds):
            own = TrainConfig(**asdict(config) | {"seed": seed})
            model = delineator(parts["train"], parts["val"], terms, own)
            score(functools.partial(predict, model), method=name, seed=seed)
            try:
                patient.append(read_patient(model).assign(method=name, seed=seed))
            except FileNotFoundError as error:
                progress(f"no patient: {error}")
    return {"delineation": pd.concat(rows)} | ({"delineation_patient": pd.concat(patient)} if patient else {})


def main(tissues: int, cells: int, epochs: int, seeds: int, jobs: int) -> None:
    """All of it, and the tables."""
    torch.set_num_threads(1)
    which = Recordings(n=tissues, n_cells=cells)
    beats.simulate_all(which, jobs)
    config = TrainConfig(epochs=epochs, batch=16, lr=4e-3, weight_decay=1e-3, ema=0.9)
    for name, table in run(which, config, seeds).items():
        write_table(table, RESULTS / "runs" / f"{name}.csv", digits=3)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--tissues", type=int, default=100, help="recordings, a quarter of them the test")
    parser.add_argument("--cells", type=int, default=200, help="cells along a side of the sheets")
    parser.add_argument("--epochs", type=int, default=30, help="of each training")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each loss")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="recordings simulated side by side")
    main(**vars(parser.parse_args()))
