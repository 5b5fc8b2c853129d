"""What the paper's architecture learns, for `train.fit`: ECGs from maps, by the hybrid loss."""

from dataclasses import asdict, dataclass
from hashlib import sha256

import numpy as np
import torch
from torch import Tensor, nn

from forwardecg.cache import settle
from forwardecg.contract import flag, number, one_of
from forwardecg.ecg.electrodes import match_electrodes
from forwardecg.measure.scores import r2
from forwardecg.surrogates.paper.data import Sequences, batch_of, normalization
from forwardecg.surrogates.paper.losses import SPECTRAL, entropy_weight, hybrid

VERSION = 1  # of this network, its data and its loss: raised when tests/versions says that trainings have changed


@dataclass(frozen=True, kw_only=True)
class Seq2SeqLoss:
    """The paper's loss and our augmentation; the numbers are our choice, since the paper does not state them.

    Args:
        delta: of Huber's loss, in standard deviations of a tissue's ECG, above 0.
        lambda_se: weight of the spectral term at the start, at least 0.
        spectral: that term: entropy, or kl, log, stft of `losses.SPECTRAL`.
        decay: of its weight, by half a cosine to zero; False: constant.
        scaled: errors over the SD of the tissue's ECG; False: over that of all training ECGs.
        augment: by the eight symmetries of the square, exact for electrodes in whole orbits of them.

    Raises:
        ValueError: A field of another type, out of range or none of its words.

    Examples:
        >>> Seq2SeqLoss(spectral="kl").lambda_se
        0.1
    """

    delta: float = 1.0
    lambda_se: float = 0.1
    spectral: str = "entropy"
    decay: bool = True
    scaled: bool = True
    augment: bool = True

    def __post_init__(self) -> None:
        settle(self, delta=number("delta", self.delta, 0, above=True), lambda_se=number("lambda_se", self.lambda_se, 0))
        one_of("spectral", self.spectral, SPECTRAL)
        for name in ("decay", "scaled", "augment"):
            settle(self, **{name: flag(name, getattr(self, name))})


class Seq2SeqTask:
    """ECGs from maps, a `train.Task`: one value a map; several leads share the network, the first one is scored.

    Args:
        train: tissues to learn from.
        val: tissues that choose the epoch, with the same leads.
        config: loss and augmentation.
        device: of the network: "cpu", "cuda".

    Raises:
        ValueError: Other leads in ``val``; training ECGs that are flat or not finite.

    Examples:
        >>> from forwardecg.data.maps import load_small
        >>> from forwardecg.surrogates.paper.model import Seq2Seq, Seq2SeqConfig
        >>> from forwardecg.surrogates.train import TrainConfig, fit, initialize
        >>> train, val = (Sequences(load_small(), sims, 10, frame_interval=25.0) for sims in ([0, 2, 3], [1]))
        >>> config = Seq2SeqConfig(pixels=10, channels=(4,), width=8, heads=2)
        >>> network = initialize(lambda: Seq2Seq(config), seed=0)
        >>> len(fit(network, Seq2SeqTask(train, val), TrainConfig(epochs=2)))
        2
    """

    stage, version = "paper", VERSION
    code: tuple[str, ...] = (
        "ecg/electrodes", "measure/scores", "tissue/symmetry", *(f"surrogates/paper/{name}" for name in ("data", "losses", "model", "task")),
    )  # fmt: skip

    def __init__(self, train: Sequences, val: Sequences, config: Seq2SeqLoss = Seq2SeqLoss(), device: str = "cpu"):
        if train.leads != val.leads:
            raise ValueError(f"val: expected the leads {train.leads} of train, got {val.leads}")
        self.train, self.val, self.config, self.n_train, self.device = train, val, config, len(train), device
        # The network predicts ECG / scale; the loss sees a trace over its own SD: weak ECGs count as strong ones do
        self.scale, self.sd = normalization(train), train.ecg.std(-1, keepdim=True)
        if not config.scaled:
            self.sd = torch.full_like(self.sd, self.scale)
        self.permutations = match_electrodes(train.electrodes, train.size) if config.augment else None

    def fingerprint(self) -> tuple:
        """Loss, leads, and a hash of all maps, ECGs and times."""
        read = sha256()
        for sequences in (self.train, self.val):
            for part in (sequences.u, sequences.ecg, sequences.t):
                read.update(part.numpy().ravel().data)  # 0.6 s a GB
        return asdict(self.config), self.train.leads, read.hexdigest()

    def draw(self, members: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Maps and ECGs of these tissues, turned at random, and their places."""
        return *batch_of(self.train, members, generator, self.permutations), members

    def loss(self, model: nn.Module, drawn: tuple[Tensor, Tensor, Tensor], rows: Tensor, done: float) -> Tensor:
        """Hybrid loss (len(rows),) of the traces over their SD, mean over the leads."""
        u, ecg, members = (part[rows] for part in drawn)
        ecg_pred, _ = model(u.to(self.device), self.train.t.to(self.device))
        sd, config = self.sd[members].to(self.device), self.config
        weight = entropy_weight(config.lambda_se, done) if config.decay else config.lambda_se
        pair = ecg_pred.float() * self.scale / sd, ecg.to(self.device) / sd
        traces = (z.reshape(-1, z.shape[-1]) for z in pair)
        loss = hybrid(*traces, delta=config.delta, weight=weight, spectral=config.spectral)
        return loss.reshape(len(rows), -1).mean(1)

    def score(self, model: nn.Module) -> float:
        """Mean R2 of the first lead over the validation tissues."""
        pair = self.val.ecg.numpy(), predict(model, self.val, self.scale)
        return float(np.nanmean(r2(*(z[:, 0] if z.ndim == 3 else z for z in pair))))


@torch.no_grad()
def predict(model: nn.Module, sequences: Sequences, scale: float, batch: int = 8) -> np.ndarray:
    """ECGs (n, T) or (n, lead, T) in mV mm/ms, ``scale`` times what the network says of so many tissues at a time."""
    device = next(model.parameters()).device
    parts = [model(u.to(device).float(), sequences.t.to(device))[0] for u in sequences.u.split(batch)]
    return scale * torch.cat(parts).cpu().numpy()
