"""What the paper's architecture learns, for `train.fit`: ECGs from maps, by the hybrid loss."""

from dataclasses import asdict, dataclass
from hashlib import sha256

import numpy as np
import torch
from torch import Tensor, nn

from forwardecg.ecg.electrodes import symmetry_permutations
from forwardecg.measure.scores import r2
from forwardecg.surrogates.paper.data import Sequences, batch_of, normalization
from forwardecg.surrogates.paper.losses import SPECTRAL, entropy_weight, hybrid

VERSION = (
    1  # of the paper's network, its data and its loss: raised when tests/versions says that trainings have changed
)


@dataclass(frozen=True, kw_only=True)
class SequenceLoss:
    """The paper's loss and our augmentation; the numbers are our choice, since the paper does not state them.

    Parameters
    ----------
    delta : of the Huber loss, in standard deviations of a tissue's ECG
    lambda_se : weight of the spectral term at the start
    spectral : entropy, or kl, log, stft of `losses.SPECTRAL`
    decay : of its weight, by half a cosine to zero; False: constant
    scaled : errors over the SD of the tissue's ECG; False: over that of all training ECGs
    augment : turn and mirror the tissues

    Raises
    ------
    ValueError
        delta not above 0, lambda_se below 0, or no such term.

    Examples
    --------
    >>> SequenceLoss(lambda_se=0.0).delta
    1.0
    """

    delta: float = 1.0  # Huber, in standard deviations of a tissue's ECG
    lambda_se: float = 0.1
    spectral: str = "entropy"  # the term it weighs: entropy, or kl, log, stft of `losses.SPECTRAL`
    decay: bool = True  # of its weight, by half a cosine to zero; False: constant
    scaled: bool = True  # errors over the SD of the tissue's ECG; False: over that of all training ECGs
    augment: bool = True  # the eight symmetries of the square, exact for electrodes in whole orbits of them

    def __post_init__(self) -> None:
        for name in ("delta", "lambda_se"):
            value, positive = getattr(self, name), name == "delta"
            if not (np.isfinite(value) and (value > 0 or not positive and value == 0)):
                raise ValueError(f"{name}: expected a finite number {'>' if positive else '>='} 0, got {value}")
        if self.spectral not in SPECTRAL:
            raise ValueError(f"spectral: expected one of {[*SPECTRAL]}, got {self.spectral!r}")


class SequenceTask:
    """ECGs from maps, one value a map, by the paper's loss; several leads share the network, the first one is scored.

    The network predicts ECG / scale, scale the SD of the training ECGs; the loss of a trace is taken on it divided by its own
    SD, so that weak ECGs count as much as strong ones. Neither is known of a validation or test tissue, nor needed there.

    Its methods ``fingerprint``, ``draw``, ``loss`` and ``score`` are those of a task, see `train`.

    Parameters
    ----------
    train, val : tissues to learn from, and to choose the epoch by
    config : of the loss
    device : cpu or cuda

    Raises
    ------
    ValueError
        Other leads in val than in train; an ECG that is flat or not finite; to be augmented, but with electrodes that
        the symmetries do not permute.

    Examples
    --------
    >>> from forwardecg.data.maps import load_small
    >>> from forwardecg.surrogates.paper.model import ModelConfig, Seq2Seq
    >>> train, val = (Sequences(load_small(), sims, pixels=25) for sims in ([0, 1], [2]))
    >>> task = SequenceTask(train, val)
    >>> drawn = task.draw(torch.tensor([0, 1]), torch.Generator())
    >>> network = Seq2Seq(ModelConfig(pixels=25, channels=(4,), width=8))
    >>> task.loss(network, drawn, torch.arange(2), done=0.0).shape
    torch.Size([2])
    """

    stage, version = "paper", VERSION
    code = tuple(f"surrogates/paper/{name}" for name in ("data", "losses", "model", "task"))

    def __init__(self, train: Sequences, val: Sequences, config: SequenceLoss = SequenceLoss(), device: str = "cpu"):
        if train.leads != val.leads:
            raise ValueError(f"val: expected the leads {train.leads} of train, got {val.leads}")
        self.train, self.val, self.config, self.n_train, self.device = train, val, config, len(train), device
        self.scale, self.sd = normalization(train), train.ecg.std(-1, keepdim=True)
        if not config.scaled:
            self.sd = torch.full_like(self.sd, self.scale)
        self.permutations = symmetry_permutations(train.electrodes, train.size) if config.augment else None

    def fingerprint(self) -> tuple:
        read = sha256()
        for sequences in (self.train, self.val):
            for part in (sequences.u, sequences.ecg, sequences.t):
                read.update(part.numpy().ravel())  # type: ignore[arg-type]  # 0.6 s a GB
        return asdict(self.config), self.train.leads, read.hexdigest()

    def draw(self, members: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        return *batch_of(self.train, members, generator, self.permutations), members  # type: ignore[arg-type]

    def loss(self, model: nn.Module, drawn, rows: Tensor, done: float) -> Tensor:
        u, ecg, members = (part[rows] for part in drawn)
        ecg_pred, _ = model(u.to(self.device), self.train.t.to(self.device))
        sd, config = self.sd[members].to(self.device), self.config
        weight = entropy_weight(config.lambda_se, done) if config.decay else config.lambda_se
        pair = ecg_pred.float() * self.scale / sd, ecg.to(self.device) / sd
        traces = (z.reshape(-1, z.shape[-1]) for z in pair)
        loss = hybrid(*traces, delta=config.delta, weight=weight, spectral=config.spectral)
        return loss.reshape(len(rows), -1).mean(1)

    def score(self, model: nn.Module) -> float:
        ecg = evaluate(model, self.val, self.scale)
        first = lambda z: z[:, 0] if z.ndim == 3 else z  # noqa: E731
        return float(np.nanmean(r2(first(self.val.ecg.numpy()), first(ecg))))


@torch.no_grad()
def evaluate(model: nn.Module, sequences: Sequences, scale: float, batch: int = 8) -> np.ndarray:
    """Predicted ECGs, (n, T) or (n, lead, T), in the units of phi_e.

    Parameters
    ----------
    model : network that takes maps and times
    sequences : tissues
    scale : of the network's output, `sequences.normalization`
    batch : tissues at a time

    Returns
    -------
    ecg : (n, T) or (n, lead, T), mV mm/ms

    Examples
    --------
    >>> from forwardecg.data.maps import load_small
    >>> from forwardecg.surrogates.paper.model import ModelConfig, Seq2Seq
    >>> sequences = Sequences(load_small(), [0, 1], pixels=25)
    >>> network = Seq2Seq(ModelConfig(pixels=25, channels=(4,), width=8)).eval()
    >>> evaluate(network, sequences, scale=1.0).shape == tuple(sequences.ecg.shape)
    True
    """
    device = next(model.parameters()).device
    parts = [model(u.to(device).float(), sequences.t.to(device))[0] for u in sequences.u.split(batch)]
    return scale * torch.cat(parts).cpu().numpy()
