"""What the structured surrogate learns, for `train.fit`: the conductivity that explains the ECGs of many electrodes."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256

import numpy as np
import torch
from torch import Tensor

from forwardecg.cache import settle
from forwardecg.contract import count, instance, number
from forwardecg.ecg.electrodes import Electrodes
from forwardecg.measure.scores import r2
from forwardecg.surrogates.structured.data import CODE, VIEWS, MapSet, coarsen
from forwardecg.surrogates.structured.fronts import MIN_PASSED
from forwardecg.surrogates.structured.model import (
    PASSED,
    Conductivity,
    Inputs,
    Structured,
    batched_lead_field,
    faces,
    inner_gradients,
)
from forwardecg.tissue.grid import Grid

VERSION = 1  # of this network, its data and its loss: raised when tests/versions says that trainings have changed


@dataclass(frozen=True, kw_only=True)
class StructuredLoss:
    """Loss of a tissue: squared errors of ECGs over their own variance, plus ``labels`` times those of D and phi.

    Args:
        frames: drawn at random for each batch, at least 1.
        labels: first weight of (D_f / median D)^2, ten times it of phi^2; falls to zero: the ECG decides.
        leads: names of the electrodes to learn from.

    Raises:
        ValueError: A field of another type or out of range.

    Examples:
        >>> len(StructuredLoss(labels=0.5).leads)
        25
    """

    frames: int = 50
    labels: float = 1.0
    leads: tuple[str, ...] = ("center", *(f"train{k + 1}" for k in range(24)))

    def __post_init__(self) -> None:
        settle(self, frames=count("frames", self.frames, 1, 10**6), labels=number("labels", self.labels, 0))
        object.__setattr__(self, "leads", tuple(instance("leads", self.leads, (tuple, list), "names")))


class StructuredTask:
    """Conductivity from maps, a `train.Task`: learned from ECGs of many electrodes and the upscaled truth of simulated tissue.

    Args:
        train: tissues to learn from, of one set or several of the same pixels, electrodes and steps; their views are of
            `data.VIEWS`.
        val: tissues that choose the epoch, likewise.
        config: loss.
        device: of the network: "cpu", "cuda".

    Raises:
        ValueError: Leads that the tissues lack; sets of unlike views, pixels or steps; training ECGs that are flat or not
            finite.

    Examples:
        >>> from forwardecg.data.maps import load_small
        >>> from forwardecg.surrogates.structured.model import StructuredConfig
        >>> from forwardecg.surrogates.train import TrainConfig, fit, initialize
        >>> maps = MapSet(load_small(), sims=[0, 1, 2])
        >>> task = StructuredTask(maps.subset([0, 2]), maps.subset([1]), StructuredLoss(frames=9))
        >>> network = initialize(lambda: Structured(StructuredConfig(width=1, dilations=(1,))), seed=0)
        >>> len(fit(network, task, TrainConfig(epochs=1)))
        1
    """

    stage, version = "structured", VERSION
    code: tuple[str, ...] = (
        *CODE, "measure/scores", "surrogates/structured/symmetric", "surrogates/structured/task", "tissue/symmetry",
    )  # fmt: skip

    def __init__(
        self, train: MapSet | Sequence[MapSet], val: MapSet | Sequence[MapSet], config: StructuredLoss = StructuredLoss(),
        device: str = "cpu",
    ):  # fmt: skip
        self.sets, self.val = ((one,) if isinstance(one, MapSet) else tuple(one) for one in (train, val))
        self.train = train = self.sets[0]
        self.where = [(one, k) for one in range(len(self.sets)) for k in range(len(self.sets[one].sims))]
        self.config, self.n_train, self.device = config, len(self.where), device
        alike = {(one.views, one.dx, one.dt, tuple(one.leads), *one.u.shape[2:]) for one in self.sets}
        if len(alike) > 1:
            raise ValueError(
                f"train: expected sets of the same views, dx, dt, leads and pixels, got {len(alike)} kinds"
            )
        missing = [name for name in config.leads if name not in train.leads]
        if missing or not config.leads:
            raise ValueError(f"leads: expected some of {train.leads}, got {missing}")
        self.lead = [train.leads.index(name) for name in config.leads]
        self.G = {v.pool: _gradients(train, v.pool, self.lead, device) for v in train.views}
        self.sd = torch.cat([one.ecg[:, self.lead].std(-1) for one in self.sets]).to(device)  # (n, lead)
        if not (self.sd.isfinite() & (self.sd > 0)).all():
            raise ValueError("train: expected ECGs that vary and are finite, got a flat trace or NaN")

    def fingerprint(self) -> tuple:
        """Loss, views, steps, and a hash of all maps, ECGs, electrodes and inputs of the last view."""
        read = sha256()
        for part in (*self.sets, *self.val):
            for values in (part.u, part.ecg, torch.from_numpy(part.positions), *part.inputs[-1]):
                read.update(values.contiguous().numpy().data)
        return asdict(self.config), self.train.views, [*VIEWS.items()], self.train.dx, self.train.dt, read.hexdigest()

    def draw(self, members: Tensor, generator: torch.Generator) -> tuple[Tensor, int, Tensor]:
        """The tissues, one of the views, and some of the frames of each set, (set, frame)."""
        shares = torch.tensor([VIEWS[view] for view in self.train.views])
        view = int(torch.multinomial(shares, 1, generator=generator))
        lengths, n = [one.u.shape[1] for one in self.sets], self.config.frames
        return members, view, torch.stack([torch.randint(length, (n,), generator=generator) for length in lengths])

    def loss(self, model: Structured, drawn: tuple[Tensor, int, Tensor], rows: Tensor, done: float) -> Tensor:
        """`StructuredLoss` (len(rows),) of these tissues as seen in the view drawn."""
        members, view, frames = drawn
        at, pool = members[rows], self.train.views[view].pool
        some = [(self.sets[one], k, frames[one]) for one, k in (self.where[i] for i in at.tolist())]
        seen = zip(*([z[k] for z in one.inputs[view]] for one, k, _ in some), strict=True)
        inputs = Inputs(*(torch.stack(z).to(self.device) for z in seen))
        D = model(inputs)
        with torch.autocast(torch.device(self.device).type, enabled=False):
            u = coarsen(torch.stack([one.u[k, t] for one, k, t in some]).to(self.device).float(), pool)
            ecg = torch.stack([one.ecg[k, self.lead][:, t] for one, k, t in some]).to(self.device)
            error = torch.einsum("beyx,btyx->bet", batched_lead_field(D, *self.G[pool]), u) - ecg
            of_ecg = (error / self.sd[at.to(self.device), :, None]).square().mean((1, 2))
            read = inputs.fields[:, PASSED].mean((1, 2)) >= MIN_PASSED  # else the tissue teaches nothing in this view
            unit = inputs.prior.flatten(1).median(1).values.exp()[:, None, None]
            known = zip(*([z[k] for z in one.truth[pool]] for one, k, _ in some), strict=True)
            D_x, D_y, share = (torch.stack(z).to(self.device) for z in known)
            gaps = zip(faces(D), (D_x, D_y), strict=True)
            of_labels = sum(((g - true) / unit).square().mean((1, 2)) for g, true in gaps)
            of_labels += 10 * (D.share - share).square().mean((1, 2))
            return read * (of_ecg + self.config.labels * (1 - done) * of_labels)

    def score(self, model: Structured) -> float:
        """Mean R2 of the central ECG over the validation tissues."""
        found = []
        for one in self.val:
            center = one.leads.index("center")
            ecg = predict(model, one, [center], self.device)
            found.append(r2(one.ecg[:, center].numpy(), ecg[:, 0].numpy()))
        return float(np.nanmean(np.concatenate(found)))


@torch.no_grad()
def infer_conductivity(model: Structured, maps: MapSet, view: int = 0, device: str = "cpu") -> Conductivity:
    """`Conductivity` (n, y, x) of all tissues of a set, as seen in one of its views."""
    seen = (Inputs(*(z[at].to(device) for z in maps.inputs[view])) for at in torch.arange(len(maps.sims)).split(8))
    return Conductivity(*(torch.cat(z).cpu() for z in zip(*map(model, seen), strict=True)))


@torch.no_grad()
def predict(model: Structured, maps: MapSet, leads: Sequence[int], device: str = "cpu", view: int = 0) -> Tensor:
    """ECGs (n, lead, time) of a set at some of ``maps.leads``, in the units of `MapSet.ecg`, as seen in one of its views."""
    D, pool = infer_conductivity(model, maps, view, device), maps.views[view].pool
    G, parts = _gradients(maps, pool, leads), []
    for at in torch.arange(len(maps.sims)).split(8):
        L = batched_lead_field(Conductivity(*(z[at] for z in D)), *G)
        parts.append(torch.einsum("beyx,btyx->bet", L, coarsen(maps.u[at].float(), pool)))
    return torch.cat(parts)


def _gradients(maps: MapSet, pool: int, leads: Sequence[int], device: str = "cpu") -> tuple[Tensor, Tensor]:
    """`inner_gradients` of some electrodes of a set, on pixels averaged in squares of ``pool``."""
    places = Electrodes(maps.positions[list(leads)], tuple(maps.leads[k] for k in leads))
    n_y, n_x = (n // pool for n in maps.u.shape[-2:])
    G_x, G_y = inner_gradients(Grid((n_y, n_x), maps.dx * pool), places)
    return G_x.to(device), G_y.to(device)
