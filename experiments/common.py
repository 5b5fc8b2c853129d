"""A `Run`: what is trained, on which tissues and maps, and what it is scored on; the lists of the experiments are made of it.

What is done is found in the cache: the same tissues, network, settings and seed are trained once, whatever experiment asks.
"""

import functools
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch

from experiments.tissues import Groups, Tissues, open_set, parts, recipe
from experiments.variants import Labeled, LabeledConfig, LabeledTask, OneViewTask, Part, PartConfig
from forwardecg.contract import V_SPAN
from forwardecg.measure.scores import normalize
from forwardecg.paths import progress
from forwardecg.surrogates.paper.data import Sequences
from forwardecg.surrogates.paper.model import Seq2Seq, Seq2SeqConfig
from forwardecg.surrogates.paper.task import Seq2SeqLoss, Seq2SeqTask
from forwardecg.surrogates.structured.data import VIEWS, MapSet, View
from forwardecg.surrogates.structured.model import Structured, StructuredConfig
from forwardecg.surrogates.structured.task import StructuredLoss, StructuredTask
from forwardecg.surrogates.train import TrainConfig, initialize, load_or_fit
from forwardecg.tissue.symmetry import apply_symmetry


@dataclass(frozen=True, kw_only=True)
class Maps:
    """What the networks that read sequences see of a tissue, and the ECG that they learn."""

    pixels: int = 50  # along a side
    frame_interval: float = 10.0  # ms: as good as 5 (seq2seq_search), at half the cost
    known_D: bool = False  # the true D as well
    one_way: bool = False  # turned so that the wave starts at the same side
    normalize: bool = False  # ECGs with mean 0 and SD 1
    until: float = np.inf  # ms, where they are cut short
    frames: str = ""  # one side of a split through the recording, of `FRAMES`
    mirror: bool = False  # left and right exchanged: the ECG above the center stays
    bank: bool = False  # the ECGs of all electrodes that the structured network learns from


WINDOW = 100.0  # ms
FRAMES = {  # sides of a split through a recording: the number of each half interval between frames, its time in ms
    "even": lambda half, t: half % 2 == 0,
    "odd": lambda half, t: half % 2 == 1,
    "even windows": lambda half, t: (half % 2 == 0) & (t // WINDOW % 2 == 0),
    "odd windows": lambda half, t: (half % 2 == 0) & (t // WINDOW % 2 == 1),
}


@dataclass(frozen=True, kw_only=True)
class Run:
    """One row of an experiment: a training, or a method without one, and the tissues that it is scored on.

    Its settings are its name: `load_or_fit` keeps what was trained under them, and labels are for the readers of the tables.
    """

    net: Seq2SeqConfig | StructuredConfig | str  # a network; or a method without one, of `formulas`
    config: TrainConfig = TrainConfig()
    loss: Seq2SeqLoss | StructuredLoss = Seq2SeqLoss()
    seeds: tuple[int, ...] = (0,)  # of several: the mean of their networks is scored
    tissues: Tissues = Tissues()
    maps: Maps = Maps()
    seen: Maps | None = None  # the maps that it is chosen and scored on, where they are not those of its training
    view: View = View()  # of the maps that the structured network is scored on
    only: View | None = None  # the one view of its training, its choice and its score
    part: str = "test"  # of the tissues, to be scored
    other: str = ""  # or another set, all of it
    measures: str = "all"  # of `score.MEASURES`
    labels: Mapping[str, Any] = field(default_factory=dict, compare=False)  # of its rows; ``set`` becomes their own
    counted: bool = True  # among the trainings of the experiment; False: another one has it

    def label(self, **labels: Any) -> "Run":
        """The run with these labels, and the seed that is among them where it has one network."""
        return replace(self, labels=labels, seeds=self.seeds if len(self.seeds) > 1 else (labels["seed"],))


PAPER = Run(net=Seq2SeqConfig(), config=TrainConfig(epochs=40, lr=1.5e-3, weight_decay=1e-2))
STRUCTURED = Run(
    net=StructuredConfig(),
    config=TrainConfig(epochs=30, lr=8e-3, weight_decay=1e-3, ema=0.98, precision="bfloat16"),
    loss=StructuredLoss(),
)
SEEDS = (0, 1, 2, 3, 4)


# What is read


@functools.lru_cache(16)
def sequences(tissues: Groups, maps: Maps) -> Sequences:
    """Tissues of one or several sets, as the paper's network and the linear map read them."""
    interval = maps.frame_interval / (1 + bool(maps.frames))
    leads = StructuredLoss().leads if maps.bank else "center"
    read = [
        Sequences(open_set(name), sims, maps.pixels, interval, leads, known_D=maps.known_D) for name, sims in tissues
    ]
    all_ = copy(read[0])
    if len(read) > 1:
        all_.u, all_.ecg = torch.cat([one.u for one in read]), torch.cat([one.ecg for one in read])
    if maps.one_way:
        all_.u = torch.stack([turn(u) for u in all_.u])
    if maps.normalize:
        all_.ecg = torch.from_numpy(normalize(all_.ecg.numpy())).float()
    if maps.mirror:
        all_.u = all_.u.flip(-1)
    kept = all_.t <= maps.until
    if maps.frames:
        kept &= FRAMES[maps.frames](torch.arange(len(all_.t)), all_.t)
    if not kept.all():
        all_.t, all_.ecg, all_.u = all_.t[kept], all_.ecg[:, kept], all_.u[:, kept].contiguous()
    return all_


def turn(u: torch.Tensor) -> torch.Tensor:
    """Maps (T, H, W) in the one of their eight images whose wave starts farthest to the left, and there in the upper half."""

    def start(n: int) -> float:
        early = apply_symmetry(u, n).float()[1:4].sum(0)
        y, x = (torch.arange(side, dtype=torch.float32) for side in early.shape)
        return float((2 * early.sum(0) @ x + early.sum(1) @ y) / early.sum())

    return apply_symmetry(u, min(range(8), key=start))


@functools.cache
def _prepare(name: str, only: View | None) -> MapSet:
    """All tissues of a set, prepared once: in one view, or the base set in the views of training."""
    progress(f"fronts of the maps of {name}, a minute or two where they are not in the cache")
    views = [only] if only else [*VIEWS] if name == "base" else [View()]
    return MapSet(open_set(name), range(recipe(name).n_sim), views)


def map_set(tissues: Groups, only: View | None = None) -> MapSet:
    """Tissues of one set, as the structured network reads them."""
    ((name, sims),) = tissues
    maps = _prepare(name, only)
    return maps if len(sims) == len(maps.sims) else maps.subset(sims)


def central_ecg(name: str, sims: tuple[int, ...]) -> np.ndarray:
    """True ECGs (n, T) in mV mm/ms of tissues of a set, above the center, at the times of its maps."""
    ds = open_set(name)
    return ds.phi_e.isel(sim=list(sims)).sel(lead="center", time_ecg=ds.time.values).values


def resample(traces: np.ndarray, t: np.ndarray, t_new: np.ndarray) -> np.ndarray:
    """Linear between the samples of the network, for its score on those of the stored maps, as for every other method."""
    return np.array([np.interp(t_new, t, trace) for trace in traces])


# What is trained


class Network(NamedTuple):
    """A network, what its output is multiplied by, and one row an epoch."""

    model: Any
    scale: float
    history: pd.DataFrame


def networks(run: Run) -> list[Network]:
    """The networks of a run, one a seed; none for a method without."""
    if isinstance(run.net, str):
        return []
    configs = [replace(run.config, seed=seed) for seed in run.seeds]
    return [
        _network(run.net, config, run.loss, run.tissues, run.maps, run.seen or run.maps, run.only) for config in configs
    ]


@functools.cache
def _network(
    net: Seq2SeqConfig | StructuredConfig,
    config: TrainConfig,
    loss,
    tissues: Tissues,
    maps: Maps,
    seen: Maps,
    only: View | None,
) -> Network:
    train, val = (parts(tissues)[part] for part in ("train", "val"))
    task: StructuredTask | Seq2SeqTask
    model: torch.nn.Module
    if isinstance(net, StructuredConfig):
        learn = OneViewTask if only else StructuredTask
        task, scale = learn(map_set(train, only), map_set(val, only), loss), V_SPAN
        build = functools.partial(Part, net) if isinstance(net, PartConfig) else functools.partial(Structured, net)
        model = initialize(build, config.seed)
    elif isinstance(net, LabeledConfig):
        task = LabeledTask(sequences(train, maps), sequences(val, seen), loss, net.labels)
        scale, net = task.scale, replace(net, pixels=maps.pixels)
        model = initialize(functools.partial(Labeled, net), config.seed)
    else:
        task = Seq2SeqTask(sequences(train, maps), sequences(val, seen), loss)
        scale, net = task.scale, replace(net, pixels=maps.pixels, inputs=1 + maps.known_D)
        model = initialize(functools.partial(Seq2Seq, net), config.seed)
    return Network(model, scale, load_or_fit(model, task, config))
