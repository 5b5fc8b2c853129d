"""Networks for comparisons at equal supervision: the paper's given more, the structured one given less or lacking a part."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from forwardecg.surrogates.paper.data import Sequences
from forwardecg.surrogates.paper.model import Seq2Seq, Seq2SeqConfig
from forwardecg.surrogates.paper.task import Seq2SeqLoss, Seq2SeqTask
from forwardecg.surrogates.structured.model import (
    N_SCALAR,
    N_TENSOR,
    Conductivity,
    Inputs,
    Structured,
    StructuredConfig,
)
from forwardecg.surrogates.structured.symmetric import Lifting
from forwardecg.surrogates.structured.task import StructuredTask

LOG_D = -2.3  # of 0.1 mm^2/ms, where a network without the formula starts, on every pixel


@dataclass(frozen=True, kw_only=True)
class LabeledConfig(Seq2SeqConfig):
    """The paper's network with one output for each of so many ``leads``, and with a map of D of ``side`` pixels; 0: none.

    ``labels`` is the first weight of the squared error of that map: the better of 0.01 and 1, the structured one's weight,
    on validation tissues with one seed (`supervision.label_weights`).
    """

    leads: int = 25
    side: int = 0
    labels: float = 0.01


class Labeled(Seq2Seq):
    """ECGs (B, lead, T) from the codes of the frames, and D (B, side, side) over 0.1 mm^2/ms from their mean over time."""

    def __init__(self, config: LabeledConfig):
        super().__init__(config)
        width, self.side = self.head.in_features, config.side
        self.head = nn.Identity()  # type: ignore[assignment]  # so that the paper's network gives its codes
        self.traces = nn.Linear(width, config.leads)
        self.map = nn.Linear(width, config.side**2) if config.side else None

    def forward(self, u: Tensor, t: Tensor) -> tuple[Tensor, Tensor | None]:
        z, _ = super().forward(u, t)  # (B, T, C)
        D = None if self.map is None else self.map(z.mean(1)).reshape(-1, self.side, self.side)
        return self.traces(z).transpose(1, 2), D


class LabeledTask(Seq2SeqTask):
    """The paper's loss of many leads, plus the squared error of D, whose weight falls to zero: the ECG decides.

    Where the maps of training have two channels, the second one is D, turned and mirrored as the voltage is.
    """

    stage, version = "labeled", 1

    def __init__(self, train: Sequences, val: Sequences, config: Seq2SeqLoss, labels: float):
        super().__init__(train, val, config)
        self.labels = labels

    def loss(self, model: nn.Module, drawn: tuple[Tensor, Tensor, Tensor], rows: Tensor, done: float) -> Tensor:
        u, ecg, members = drawn
        if u.ndim == 4:
            return super().loss(model, drawn, rows, done)
        said: list[Tensor] = []

        def network(u: Tensor, t: Tensor) -> tuple[Tensor, None]:
            ecg_pred, D = model(u, t)
            said.append(D)
            return ecg_pred, None

        of_ecg = super().loss(network, (u[:, :, 0], ecg, members), rows, done)  # type: ignore[arg-type]
        (D,) = said
        known = F.avg_pool2d(u[rows, 0, 1], u.shape[-1] // D.shape[-1])
        return of_ecg + self.labels * (1 - done) * (D - known).square().mean((1, 2))


@dataclass(frozen=True, kw_only=True)
class PartConfig(StructuredConfig):
    """The structured network without a part.

    ``symmetric`` False: ordinary convolutions of as many channels. ``formula`` False: the speed of the front is one
    more input, and the network corrects the same D on every pixel.
    """

    symmetric: bool = True
    formula: bool = True


class Part(Structured):
    """`Structured` by a `PartConfig`."""

    def __init__(self, config: PartConfig):
        super().__init__(config)
        self.formula, n_scalar, n = config.formula, N_SCALAR + (not config.formula), 8 * config.width
        if config.symmetric:
            self.lifting = Lifting(n_scalar, N_TENSOR, config.width)
        else:
            self.lifting = nn.Conv2d(n_scalar + 2 * N_TENSOR, n, 3, padding=1)  # type: ignore[assignment]
            self.layers = nn.ModuleList(nn.Conv2d(n, n, 3, padding=d, dilation=d) for d in config.dilations)
            self.pooling = nn.Conv2d(n, 4, 1)  # type: ignore[assignment]
            for parameter in self.pooling.parameters():  # as the symmetric one, it starts from no correction
                nn.init.zeros_(parameter)

    def forward(self, x: Inputs) -> Conductivity:
        if not self.formula:
            speed = (x.prior - LOG_D).clamp(-3, 3)[:, None]
            x = Inputs(torch.cat([speed, x.fields], 1), LOG_D - x.share.log(), x.share)
        return super().forward(x)


class OneViewTask(StructuredTask):
    """The structured network's task on maps of one view alone, and on the ECG at the times of its frames."""

    def draw(self, members: Tensor, generator: torch.Generator) -> tuple[Tensor, int, Tensor]:
        stride = self.train.views[0].stride
        n_t = -(-self.train.u.shape[1] // stride)
        frames = stride * torch.randint(n_t, (self.config.frames,), generator=generator)
        return members, 0, frames[None]
