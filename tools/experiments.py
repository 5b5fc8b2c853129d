"""``make experiments``: all trainings behind the tables of the book, run by run; what is done is found in the cache.

Each experiment writes ``data/results/runs/NAME.csv``, one row a tissue, fold and seed, and adds its trainings to ``trainings.csv``.
Notebooks read these files. Validation tissues choose, test tissues are only scored.

    python tools/experiments.py                    all that are missing or stale
    python tools/experiments.py structured_cv      one of them
"""

import argparse
import functools
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd
import torch

from forwardecg.baselines import (
    blind_diffusivity,
    fit_kappa,
    lead_field_on_maps,
    mean_ecg,
    pooled_diffusivity,
    ridge,
    training_free_ecg,
    true_conductivity_on_maps,
)
from forwardecg.cell import V_REST, V_SPAN
from forwardecg.dataset import folds_by_tissue, load_or_simulate
from forwardecg.electrodes import center_electrode
from forwardecg.mapset import VIEWS, MapSet, View
from forwardecg.metrics import r2, scores
from forwardecg.model import ModelConfig, Seq2Seq
from forwardecg.paths import RESULTS, progress
from forwardecg.recipe import read_recipe
from forwardecg.sequence_task import SequenceLoss, SequenceTask, evaluate
from forwardecg.sequences import Sequences
from forwardecg.structured import Structured, StructuredConfig
from forwardecg.structured_task import StructuredLoss, StructuredTask, predicted
from forwardecg.train import TrainConfig, load_or_fit, seeded

RUNS = RESULTS / "runs"
FOLD_SEED = 0
PLAIN = View()
STRUCTURED = TrainConfig(epochs=30, lr=8e-3, weight_decay=1e-3, ema=0.98, precision="bfloat16")
STRUCTURED_NET, STRUCTURED_LOSS = StructuredConfig(), StructuredLoss()


@functools.cache
def base():
    """The 300 tissues and their table."""
    torch.set_num_threads(1)  # two experiments side by side are faster than one with two threads
    ds = load_or_simulate(read_recipe(RESULTS / "06_dataset.json"))
    return ds, pd.read_csv(RESULTS / "06_dataset.csv", index_col="sim", keep_default_na=False)


@functools.cache
def maps() -> MapSet:
    """All of them with the views of training, prepared once."""
    progress("fronts of all maps, a minute or two")
    ds, table = base()
    return MapSet(ds, range(len(table)), [*VIEWS])


def split() -> dict[str, np.ndarray]:
    """The paper's own 80/10/10, as drawn in 06_dataset."""
    _, table = base()
    return {part: np.flatnonzero(table.part == part) for part in ("train", "val", "test")}


def folds() -> list[dict[str, np.ndarray]]:
    return folds_by_tissue(base()[1].condition, FOLD_SEED)


def structured(parts: dict, seed: int, config=STRUCTURED, net=STRUCTURED_NET, loss=STRUCTURED_LOSS):
    """One training of the structured surrogate: the network and its history."""
    task = StructuredTask(maps().subset(parts["train"]), maps().subset(parts["val"]), loss)
    model, config = seeded(lambda: Structured(net), seed), replace(config, seed=seed)
    return model, load_or_fit(model, task, config)


def scored(model: Structured, sims, view: View = PLAIN) -> pd.DataFrame:
    """Scores of the central ECG of the tissues, and the mean R2 over electrodes that are not in training."""
    part = maps().subset(sims)
    leads = np.array(part.leads)
    kept = np.flatnonzero((leads == "center") | np.char.startswith(leads, "unseen") | np.char.startswith(leads, "near"))
    ecg_true, ecg_pred = (
        z.double().numpy() for z in (part.ecg[:, kept], predicted(model, part, kept, view=part.views.index(view)))
    )
    table = scores(ecg_true[:, 0], ecg_pred[:, 0]).assign(sim=sims)
    for role in ("unseen", "near"):
        at = np.flatnonzero(np.char.startswith(leads[kept], role))
        table[f"r2_{role}"] = np.mean([r2(ecg_true[:, k], ecg_pred[:, k]) for k in at], 0)
    return table


Rows = Iterator[tuple[pd.DataFrame, dict, pd.DataFrame]]  # scores of tissues, what they are of, history


def structured_cv(seeds=(0, 1)) -> Rows:
    """Five folds, every tissue tested once a seed; maps of 2 and 4 mm, frames every 5 and 10 ms."""
    for seed in seeds:
        for k, parts in enumerate(folds()):
            model, history = structured(parts, seed)
            for name, view in {"2 mm, 5 ms": View(), "4 mm, 5 ms": View(pool=2), "2 mm, 10 ms": View(stride=2)}.items():
                yield scored(model, parts["test"], view), {"fold": k, "seed": seed, "maps": name}, history


def structured_left_out(seeds=(0,)) -> Rows:
    """Each condition tested when no tissue of it was in training or validation."""
    _, table = base()
    for condition in ("healthy", "gap_junction", "fibrotic", "combined"):
        for seed in seeds:
            parts = {name: sims[table.condition[sims] != condition] for name, sims in split().items()}
            model, history = structured(parts, seed)
            sims = np.flatnonzero(table.condition == condition)
            yield scored(model, sims), {"left_out": condition, "seed": seed}, history


def structured_data(shares=(0.125, 0.5), seeds=(0,)) -> Rows:
    """Fewer training tissues, in proportion of the conditions; the split's own test tissues."""
    parts = split()
    for share in shares:
        for seed in seeds:
            few = {**parts, "train": parts["train"][:: round(1 / share)]}
            model, history = structured(few, seed)
            yield scored(model, parts["test"]), {"tissues": len(few["train"]), "seed": seed}, history


SEQ2SEQ, NET, LOSS = TrainConfig(epochs=40, lr=1.5e-3, weight_decay=1e-2), ModelConfig(), SequenceLoss()
FRAMES = 10.0  # ms, of the networks that read sequences: as good as 5 (seq2seq_search), at half the cost


@functools.cache
def sequences(pixels: int, frame_interval: float, sims: tuple[int, ...]) -> Sequences:
    return Sequences(base()[0], sims, pixels, frame_interval)


def seq2seq(parts: dict, seed: int, config=SEQ2SEQ, net=NET, loss=LOSS, frame_interval=FRAMES):
    """One training of the paper's architecture: how to score it on tissues, and the history."""

    def of(sims) -> Sequences:
        return sequences(net.pixels, frame_interval, tuple(map(int, sims)))

    task = SequenceTask(of(parts["train"]), of(parts["val"]), loss)
    model = seeded(lambda: Seq2Seq(net), seed)
    history = load_or_fit(model, task, replace(config, seed=seed))

    def score(sims) -> pd.DataFrame:
        """On the samples of the stored maps, as for every other method: linear between those of the network."""
        true = base()[0].phi_e.isel(sim=sims).sel(lead="center", time_ecg=base()[0].time.values).values
        some = of(sims)
        ecg = [np.interp(base()[0].time.values, some.t.numpy(), trace) for trace in evaluate(model, some, task.scale)]
        return scores(true, np.array(ecg)).assign(sim=sims)

    return score, history


def seq2seq_cv(seeds=(0,)) -> Rows:
    """The same five folds."""
    for seed in seeds:
        for k, parts in enumerate(folds()):
            score, history = seq2seq(parts, seed)
            yield score(parts["test"]), {"fold": k, "seed": seed}, history


def frame_cnn_cv(seeds=(0,)) -> Rows:
    """The encoder alone, each frame by itself, every 10 ms: what the sequence adds."""
    alone = replace(NET, time=False, attention=False, decoder="linear")
    for seed in seeds:
        for k, parts in enumerate(folds()):
            score, history = seq2seq(parts, seed, net=alone)
            yield score(parts["test"]), {"fold": k, "seed": seed}, history


def baselines_cv() -> Rows:
    """Methods without a network on the same folds: what they learn of the training tissues is said in 07_baselines."""
    ds, _ = base()
    recipe = read_recipe(RESULTS / "06_dataset.json")
    electrode, dx, fine_dx = center_electrode(recipe.shape, recipe.dx, recipe.z_mm), 4.0, recipe.dx * recipe.pool
    pixels = round(recipe.n_cells * recipe.dx / dx)
    for k, parts in enumerate(folds()):
        train, val, test = (sequences(pixels, 5.0, tuple(map(int, parts[name]))) for name in ("train", "val", "test"))
        D_blind = np.full((pixels, pixels), blind_diffusivity(train, dx, electrode))
        kappa = fit_kappa(train, dx, electrode)
        ecg = {"mean ECG": mean_ecg(train, len(test)), "ridge": ridge(train, val, test)[0]}
        ecg["blind lead field"] = [lead_field_on_maps(u.numpy(), D_blind, dx, electrode) for u in test.u]
        for name in ("training-free D", "true D, pooled maps", "true D, upscaled maps"):
            ecg[name] = []
        for sim in parts["test"]:
            u = (ds.V_m[int(sim)].values - V_REST) / V_SPAN
            D, conductive = ds.D[int(sim)].values.astype(float), ds.conductive[int(sim)].values
            ecg["training-free D"].append(training_free_ecg(u, fine_dx, recipe.frame_interval, kappa, electrode)[0])
            plain = pooled_diffusivity(D, conductive, recipe.pool)
            ecg["true D, pooled maps"].append(lead_field_on_maps(u, plain, fine_dx, electrode))
            upscaled = true_conductivity_on_maps(u, D, conductive, recipe.pool, fine_dx, electrode)
            ecg["true D, upscaled maps"].append(upscaled[0])
        for name, traces in ecg.items():
            table = scores(test.ecg.numpy(), np.asarray(traces)).assign(sim=parts["test"])
            yield table, {"method": name, "fold": k, "seed": 0}, None


SEARCH = {  # what the paper leaves open, one change each to the first row
    "as published, but 30 epochs": {},
    "group norm in the encoder": {"net": {"norm": True}},
    "LSTM that looks back only": {"net": {"decoder": "lstm"}},
    "dilated convolutions in place of the LSTM": {"net": {"decoder": "tcn"}},
    "linear encoder": {"net": {"encoder": "linear"}},
    "maps of 25 x 25 pixels": {"net": {"pixels": 25}},
    "loss not scaled by tissue": {"loss": {"scaled": False}},
    "no mirror images or turns": {"loss": {"augment": False}},
    "120 training tissues": {"tissues": 2},
    "frames every 5 ms": {"frame_interval": 5.0},
}


def seq2seq_search(seeds=(0,)) -> Rows:
    """A small search on the validation tissues of the split; test tissues are not touched."""
    parts, short = split(), replace(SEQ2SEQ, epochs=30)
    for name, change in SEARCH.items():
        for seed in seeds:
            usual = {"config": short, "net": NET, "loss": LOSS}
            changed = {key: replace(now, **change.get(key, {})) for key, now in usual.items()}
            some = {**parts, "train": parts["train"][:: change.get("tissues", 1)]}
            score, history = seq2seq(some, seed, **changed, frame_interval=change.get("frame_interval", FRAMES))
            yield score(parts["val"]), {"variant": name, "seed": seed}, history


EXPERIMENTS = {
    f.__name__: f
    for f in (
        structured_cv,
        structured_left_out,
        structured_data,
        baselines_cv,
        frame_cnn_cv,
        seq2seq_search,
        seq2seq_cv,
    )
}


def run(name: str) -> None:
    """One experiment from its first training to its two tables."""
    rows, trainings = [], {}
    for scored_tissues, labels, history in EXPERIMENTS[name]():
        rows.append(scored_tissues.assign(**labels))
        progress(f"{name}: {labels}, mean R2 {rows[-1].r2.mean():.4f}, median {rows[-1].r2.median():.4f}")
        if history is None:
            continue
        one = {key: value for key, value in labels.items() if key != "maps"}
        trainings[json.dumps(one)] = one | {
            "epochs": len(history), "val_r2": history.val_r2.max(), "minutes": history.seconds.sum() / 60, "threads": torch.get_num_threads()
        }  # fmt: skip
    RUNS.mkdir(parents=True, exist_ok=True)
    kinds = base()[1][["condition", "texture", "fibrosis_density", "mild"]]
    tables = {
        f"{name}.csv": pd.concat(rows).join(kinds, on="sim"),
        f"{name}_trainings.csv": pd.DataFrame(trainings.values()),
    }
    for file, table in tables.items():
        if table.empty:
            continue
        part = RUNS / f"{file}.part"
        table.round(6).to_csv(part, index=False, lineterminator="\n")
        os.replace(part, RUNS / file)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", help=f"which of {', '.join(EXPERIMENTS)}; all without any")
    names = parser.parse_args().names or [*EXPERIMENTS]
    if unknown := {*names} - {*EXPERIMENTS}:
        sys.exit(f"names: expected some of {', '.join(EXPERIMENTS)}, got {', '.join(sorted(unknown))}")
    for name in names:
        run(name)
