"""What the structured surrogate learns, for `train.fit`: the conductivity that explains the ECGs of many electrodes."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256

import numpy as np
import torch
from torch import Tensor

from forwardecg.ecg.electrodes import Electrodes
from forwardecg.measure.scores import r2
from forwardecg.surrogates.structured.data import VIEWS, MapSet, pooled
from forwardecg.surrogates.structured.model import (
    Conductivity,
    Inputs,
    Structured,
    faces,
    inner_gradients,
    lead_field,
)

VERSION = (
    1  # of the structured network, its data and its loss: raised when tests/versions says that trainings have changed
)


@dataclass(frozen=True, kw_only=True)
class StructuredLoss:
    """Loss of a tissue: squared errors of ECGs over their own variance, plus ``labels`` times those of D and phi.

    Parameters
    ----------
    frames : drawn at random for each batch
    labels : first weight of (D_f / median D)^2, and ten times it of phi^2; falls to zero: ECGs have the last word
    leads : electrodes to learn from

    Examples
    --------
    >>> len(StructuredLoss().leads)
    25
    """

    frames: int = 50  # drawn at random for each batch
    labels: float = (
        1.0  # first weight of (D_f / median D)^2, and ten times it of phi^2; falls to zero: ECGs have the last word
    )
    leads: tuple[str, ...] = ("center", *(f"train{k + 1}" for k in range(24)))


class StructuredTask:
    """Conductivity from maps, learned from the ECGs of many electrodes and from the upscaled truth of simulated tissue.

    Its methods ``fingerprint``, ``draw``, ``loss`` and ``score`` are those of a task, see `train`.

    Parameters
    ----------
    train, val : tissues to learn from, and to choose the epoch by
    config : of the loss
    device : cpu or cuda

    Raises
    ------
    ValueError
        An ECG that is flat or not finite; a lead that the tissues lack.

    Examples
    --------
    >>> from forwardecg.data.maps import load_small
    >>> from forwardecg.surrogates.structured.model import StructuredConfig
    >>> maps = MapSet(load_small(), sims=[0])
    >>> task = StructuredTask(maps, maps, StructuredLoss(leads=("center",)))
    >>> drawn = task.draw(torch.tensor([0]), torch.Generator())
    >>> task.loss(Structured(StructuredConfig(width=1)), drawn, torch.arange(1), done=0.0).shape
    torch.Size([1])
    """

    stage, version = "structured", VERSION
    code = (
        "ecg/pixels",
        *(f"surrogates/structured/{name}" for name in ("data", "fronts", "model", "symmetric", "task")),
    )

    def __init__(self, train: MapSet, val: MapSet, config: StructuredLoss = StructuredLoss(), device: str = "cpu"):
        self.train, self.val, self.config, self.n_train, self.device = train, val, config, len(train.sims), device
        self.lead = [train.leads.index(name) for name in config.leads]
        self.G = {v.pool: gradients(train, v.pool, self.lead, device) for v in train.views}
        self.sd = train.ecg[:, self.lead].std(-1).to(device)  # (n, lead)
        if not (self.sd.isfinite() & (self.sd > 0)).all():
            raise ValueError("train: expected ECGs that vary and are finite, got a flat trace or NaN")

    def fingerprint(self) -> tuple:
        read = sha256()
        for part in (self.train, self.val):
            for values in (part.u, part.ecg, torch.from_numpy(part.positions), *part.inputs[-1]):
                read.update(values.contiguous().numpy())  # type: ignore[arg-type]
        return asdict(self.config), self.train.views, [*VIEWS.items()], self.train.dx, self.train.dt, read.hexdigest()

    def draw(self, members: Tensor, generator: torch.Generator) -> tuple[Tensor, int, Tensor]:
        shares = torch.tensor([VIEWS[view] for view in self.train.views])
        view = int(torch.multinomial(shares, 1, generator=generator))
        return members, view, torch.randint(self.train.u.shape[1], (self.config.frames,), generator=generator)

    def loss(self, model: Structured, drawn, rows: Tensor, done: float) -> Tensor:
        members, view, frames = drawn
        at, pool = members[rows], self.train.views[view].pool
        D = model(Inputs(*(z[at].to(self.device) for z in self.train.inputs[view])))
        with torch.autocast(torch.device(self.device).type, enabled=False):
            u = pooled(self.train.u[at][:, frames].to(self.device).float(), pool)
            ecg = self.train.ecg[at][:, self.lead][:, :, frames].to(self.device)
            error = torch.einsum("beyx,btyx->bet", lead_field(D, *self.G[pool]), u) - ecg
            of_ecg = (error / self.sd[at.to(self.device), :, None]).square().mean((1, 2))
            unit = self.train.inputs[view].prior[at].to(self.device).flatten(1).median(1).values.exp()[:, None, None]
            D_x, D_y, share = (z[at].to(self.device) for z in self.train.truth[pool])
            gaps = zip(faces(D), (D_x, D_y), strict=True)
            of_labels = sum(((g - known) / unit).square().mean((1, 2)) for g, known in gaps)
            return of_ecg + self.config.labels * (1 - done) * (of_labels + 10 * (D.share - share).square().mean((1, 2)))

    def score(self, model: Structured) -> float:
        """Mean R2 of the central ECG over the validation tissues.

        Parameters
        ----------
        model : network

        Returns
        -------
        r2 : mean over the tissues

        Examples
        --------
        >>> from forwardecg.data.maps import load_small
        >>> from forwardecg.surrogates.structured.model import StructuredConfig
        >>> maps = MapSet(load_small(), sims=[0])
        >>> task = StructuredTask(maps, maps, StructuredLoss(leads=("center",)))
        >>> task.score(Structured(StructuredConfig(width=1))) > 0.5  # healthy tissue, by the prior
        True
        """
        ecg = predicted(model, self.val, [self.val.leads.index("center")], self.device)
        return float(np.nanmean(r2(self.val.ecg[:, self.val.leads.index("center")].numpy(), ecg[:, 0].numpy())))


def gradients(maps: MapSet, pool: int, leads: Sequence[int], device: str = "cpu") -> tuple[Tensor, Tensor]:
    """`inner_gradients` of some electrodes of a set, on pixels averaged in squares of ``pool``.

    Parameters
    ----------
    maps : set
    pool : pixels along the side of a square
    leads : places in ``maps.leads``
    device : cpu or cuda

    Returns
    -------
    G_x, G_y : (lead, y, x-1), (lead, y-1, x), 1/mm

    Examples
    --------
    >>> from forwardecg.data.maps import load_small
    >>> G_x, G_y = gradients(MapSet(load_small(), sims=[0]), pool=2, leads=[0])
    >>> G_x.shape
    torch.Size([1, 50, 49])
    """
    places = Electrodes(maps.positions[list(leads)], tuple(maps.leads[k] for k in leads))
    shape = tuple(n // pool for n in maps.u.shape[-2:])
    return tuple(z.to(device) for z in inner_gradients(shape, maps.dx * pool, places))  # type: ignore[arg-type, return-value]


@torch.no_grad()
def conductivities(model: Structured, maps: MapSet, view: int = 0, device: str = "cpu", batch: int = 8) -> Conductivity:
    """Inferred `Conductivity` (n, y, x) of all tissues of a set, as seen in one of its views.

    Parameters
    ----------
    model : network
    maps : set
    view : place in ``maps.views``
    device : cpu or cuda
    batch : tissues at a time

    Returns
    -------
    D : `Conductivity`

    Examples
    --------
    >>> from forwardecg.data.maps import load_small
    >>> from forwardecg.surrogates.structured.model import StructuredConfig
    >>> conductivities(Structured(StructuredConfig(width=1)), MapSet(load_small(), sims=[0])).D_xx.shape
    torch.Size([1, 100, 100])
    """
    parts = [
        model(Inputs(*(z[at].to(device) for z in maps.inputs[view])))
        for at in torch.arange(len(maps.sims)).split(batch)
    ]
    return Conductivity(*(torch.cat(z).cpu() for z in zip(*parts, strict=True)))


@torch.no_grad()
def predicted(model: Structured, maps: MapSet, leads: Sequence[int], device: str = "cpu", view: int = 0) -> Tensor:
    """ECGs (n, lead, time) that the network predicts for a set, in the units of `MapSet.ecg`.

    Parameters
    ----------
    model : network
    maps : set
    leads : places in ``maps.leads``
    device : cpu or cuda
    view : place in ``maps.views``

    Returns
    -------
    ecg : (n, lead, time), mV mm/ms over V_SPAN

    Examples
    --------
    >>> from forwardecg.data.maps import load_small
    >>> from forwardecg.surrogates.structured.model import StructuredConfig
    >>> maps = MapSet(load_small(), sims=[0])
    >>> predicted(Structured(StructuredConfig(width=1)), maps, leads=[0]).shape == maps.ecg[:, :1].shape
    True
    """
    D, pool = conductivities(model, maps, view, device), maps.views[view].pool
    G, parts = gradients(maps, pool, leads), []
    for at in torch.arange(len(maps.sims)).split(8):
        L = lead_field(Conductivity(*(z[at] for z in D)), *G)
        parts.append(torch.einsum("beyx,btyx->bet", L, pooled(maps.u[at].float(), pool)))
    return torch.cat(parts)
