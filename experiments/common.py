"""One training, or one set of tissues, as the experiments ask for them: what is done is found in the cache.

Content-addressed: the same tissues, network, settings, seed and code are trained once, whatever experiment asks.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import torch
import xarray as xr

from forwardecg.data.recipe import read_recipe
from forwardecg.data.sets import collection
from forwardecg.data.split import folds_by_tissue
from forwardecg.data.store import load_or_simulate
from forwardecg.measure.scores import r2, scores
from forwardecg.paths import RESULTS, progress
from forwardecg.surrogates.paper.data import Sequences
from forwardecg.surrogates.paper.model import ModelConfig, Seq2Seq
from forwardecg.surrogates.paper.task import SequenceLoss, SequenceTask, evaluate
from forwardecg.surrogates.structured.data import VIEWS, MapSet, View
from forwardecg.surrogates.structured.model import Structured, StructuredConfig
from forwardecg.surrogates.structured.task import StructuredLoss, StructuredTask, predicted
from forwardecg.surrogates.train import TrainConfig, load_or_fit, seeded

FOLD_SEED = 0
PLAIN = View()
STRUCTURED = TrainConfig(epochs=30, lr=8e-3, weight_decay=1e-3, ema=0.98, precision="bfloat16")
STRUCTURED_NET, STRUCTURED_LOSS = StructuredConfig(), StructuredLoss()
SEQ2SEQ, NET, LOSS = TrainConfig(epochs=40, lr=1.5e-3, weight_decay=1e-2), ModelConfig(), SequenceLoss()
FRAMES = 10.0  # ms, of the networks that read sequences: as good as 5 (seq2seq_search), at half the cost
KINDS = ("condition", "texture", "fibrosis_density", "mild")  # of a tissue


def recipe(name: str = "base"):
    """The recipe of the base set, of one of `dataset.collection`, or of the base set seen from another height: z20, z80."""
    own = read_recipe(RESULTS / "06_dataset.json")
    if name in ("z20", "z80"):
        return replace(own, z_mm=float(name[1:]), bank=False)
    return own if name == "base" else collection(own)[name]


@functools.cache
def stored(name: str = "base") -> xr.Dataset:
    """A data set, opened."""
    torch.set_num_threads(1)  # two experiments side by side are faster than one with two threads
    return load_or_simulate(recipe(name))


@functools.cache
def kinds(name: str = "base") -> pd.DataFrame:
    """What kind of tissue each one of a set is, and where it belongs in the split of 06_dataset."""
    if name in ("base", "z20", "z80"):
        table = pd.read_csv(RESULTS / "06_dataset.csv", index_col="sim", keep_default_na=False)
        return table[[*KINDS, "part"]]
    ds = stored(name)
    return pd.DataFrame({kind: ds[kind].values for kind in KINDS}).rename_axis("sim").assign(part="test")


@functools.cache
def maps(name: str = "base", views: tuple = tuple(VIEWS)) -> MapSet:
    """All tissues of a set with views of training, prepared once."""
    progress(f"fronts of the maps of {name}, a minute or two where they are not in the cache")
    return MapSet(stored(name), range(recipe(name).n_sim), [*views])


def split() -> dict[str, np.ndarray]:
    """The paper's own 80/10/10, as drawn in 06_dataset."""
    return {part: np.flatnonzero(kinds().part == part) for part in ("train", "val", "test")}


def folds() -> list[dict[str, np.ndarray]]:
    return folds_by_tissue(kinds().condition, FOLD_SEED)


def structured(parts: dict, seed: int, config=STRUCTURED, net=STRUCTURED_NET, loss=STRUCTURED_LOSS):
    """One training of the structured surrogate: the network and its history."""
    task = StructuredTask(maps().subset(parts["train"]), maps().subset(parts["val"]), loss)
    model, config = seeded(lambda: Structured(net), seed), replace(config, seed=seed)
    return model, load_or_fit(model, task, config)


def structured_scores(model: Structured, sims, view: View = PLAIN) -> pd.DataFrame:
    """Scores of the central ECG of the tissues, and the mean R2 over electrodes that are not in training."""
    part = maps().subset(sims)
    leads = np.array(part.leads)
    kept = np.flatnonzero((leads == "center") | np.char.startswith(leads, "unseen") | np.char.startswith(leads, "near"))
    ecg_true, ecg_pred = (
        z.double().numpy()
        for z in (part.ecg[:, kept], predicted(model, part, kept, view=part.views.index(view)))  # type: ignore[arg-type]
    )
    table = scores(ecg_true[:, 0], ecg_pred[:, 0]).assign(sim=sims)
    for role in ("unseen", "near"):
        at = np.flatnonzero(np.char.startswith(leads[kept], role))
        table[f"r2_{role}"] = np.mean([r2(ecg_true[:, k], ecg_pred[:, k]) for k in at], 0)
    return table


@functools.cache
def sequences(
    pixels: int, frame_interval: float, sims: tuple[int, ...], name: str = "base", known_D: bool = False
) -> Sequences:
    return Sequences(stored(name), sims, pixels, frame_interval, known_D=known_D)


Source = Callable[[Sequence[int]], Sequences]  # tissues by their numbers -> what the network reads


def seq2seq_on(source: Source, parts: dict, seed: int, config=SEQ2SEQ, net=NET, loss=LOSS):
    """One training of the paper's architecture on what ``source`` gives: how to predict other such, and the history."""
    task = SequenceTask(source(parts["train"]), source(parts["val"]), loss)
    model = seeded(lambda: Seq2Seq(net), seed)
    history = load_or_fit(model, task, replace(config, seed=seed))
    return lambda some: evaluate(model, some, task.scale), history


def resampled(traces: np.ndarray, t: np.ndarray, t_new: np.ndarray) -> np.ndarray:
    """Linear between the samples of the network, for its score on those of the stored maps, as for every other method."""
    return np.array([np.interp(t_new, t, trace) for trace in traces])


def central_ecg(name: str, sims) -> np.ndarray:
    """True ECGs (n, T) of tissues of a set, above the center, at the times of its maps."""
    ds = stored(name)
    return ds.phi_e.isel(sim=list(sims)).sel(lead="center", time_ecg=ds.time.values).values


def seq2seq(
    parts: dict, seed: int, config=SEQ2SEQ, net=NET, loss=LOSS, frame_interval=FRAMES, known_D=False, name="base"
):
    """One training on tissues of a set: a function that predicts (true, predicted) ECGs of tissues of any set; the history."""

    def of(sims, name=name) -> Sequences:
        return sequences(net.pixels, frame_interval, tuple(map(int, sims)), name, known_D)

    net = replace(net, inputs=2) if known_D else net
    predict, history = seq2seq_on(of, parts, seed, config, net, loss)

    def ecgs(sims, name=name) -> tuple[np.ndarray, np.ndarray]:
        some, t = of(sims, name), stored(name).time.values
        return central_ecg(name, sims), resampled(predict(some), some.t.numpy(), t)

    return ecgs, history
