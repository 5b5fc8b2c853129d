"""The experiments behind the ladder of methods: cross-validation, left-out conditions, the first search."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from experiments.common import (
    FRAMES,
    LOSS,
    NET,
    SEQ2SEQ,
    folds,
    kinds,
    recipe,
    seq2seq,
    sequences,
    split,
    stored,
    structured,
    structured_scores,
)
from forwardecg.contract import to_u
from forwardecg.ecg.electrodes import center_electrode
from forwardecg.measure.scores import scores
from forwardecg.surrogates.baselines import (
    blind_diffusivity,
    fit_kappa,
    lead_field_on_maps,
    mean_ecg,
    pooled_diffusivity,
    ridge,
    training_free_ecg,
    true_conductivity_on_maps,
)
from forwardecg.surrogates.structured.data import View

Rows = Iterator[tuple[pd.DataFrame, dict, pd.DataFrame | None]]  # scores of tissues, what they are of, history


def structured_cv(seeds=(0, 1)) -> Rows:
    """Five folds, every tissue tested once a seed; maps of 2 and 4 mm, frames every 5 and 10 ms."""
    for seed in seeds:
        for k, parts in enumerate(folds()):
            model, history = structured(parts, seed)
            for name, view in {"2 mm, 5 ms": View(), "4 mm, 5 ms": View(pool=2), "2 mm, 10 ms": View(stride=2)}.items():
                yield structured_scores(model, parts["test"], view), {"fold": k, "seed": seed, "maps": name}, history


def structured_left_out(seeds=(0,)) -> Rows:
    """Each condition tested when no tissue of it was in training or validation."""
    table = kinds()
    for condition in ("healthy", "gap_junction", "fibrotic", "combined"):
        for seed in seeds:
            parts = {name: sims[table.condition[sims] != condition] for name, sims in split().items()}
            model, history = structured(parts, seed)
            sims = np.flatnonzero(table.condition == condition)
            yield structured_scores(model, sims), {"left_out": condition, "seed": seed}, history


def structured_data(shares=(0.125, 0.5), seeds=(0,)) -> Rows:
    """Fewer training tissues, in proportion of the conditions; the split's own test tissues."""
    parts = split()
    for share in shares:
        for seed in seeds:
            few = {**parts, "train": parts["train"][:: round(1 / share)]}
            model, history = structured(few, seed)
            yield structured_scores(model, parts["test"]), {"tissues": len(few["train"]), "seed": seed}, history


def seq2seq_cv(seeds=(0,)) -> Rows:
    """The same five folds."""
    for seed in seeds:
        for k, parts in enumerate(folds()):
            ecgs, history = seq2seq(parts, seed)
            yield scores(*ecgs(parts["test"])).assign(sim=parts["test"]), {"fold": k, "seed": seed}, history


def frame_cnn_cv(seeds=(0,)) -> Rows:
    """The encoder alone, each frame by itself, every 10 ms: what the sequence adds."""
    alone = replace(NET, time="none", attention=False, decoder="linear")
    for seed in seeds:
        for k, parts in enumerate(folds()):
            ecgs, history = seq2seq(parts, seed, net=alone)
            yield scores(*ecgs(parts["test"])).assign(sim=parts["test"]), {"fold": k, "seed": seed}, history


def baselines_cv() -> Rows:
    """Methods without a network on the same folds: what they learn of the training tissues is said in 07_baselines."""
    ds, base = stored(), recipe()
    electrode, dx, fine_dx = center_electrode(base.shape, base.dx, base.z_mm), 4.0, base.dx * base.pool
    pixels = round(base.n_cells * base.dx / dx)
    for k, parts in enumerate(folds()):
        train, val, test = (sequences(pixels, 5.0, tuple(map(int, parts[name]))) for name in ("train", "val", "test"))
        D_blind = np.full((pixels, pixels), blind_diffusivity(train, dx, electrode))
        kappa = fit_kappa(train, dx, electrode)
        ecg: dict[str, Any] = {"mean ECG": mean_ecg(train, len(test)), "ridge": ridge(train, val, test)[0]}
        ecg["blind lead field"] = [lead_field_on_maps(u.numpy(), D_blind, dx, electrode) for u in test.u]
        for name in ("training-free D", "true D, pooled maps", "true D, upscaled maps"):
            ecg[name] = []
        for sim in parts["test"]:
            u = to_u(ds.V_m[int(sim)].values)
            D, conductive = ds.D[int(sim)].values.astype(float), ds.conductive[int(sim)].values
            ecg["training-free D"].append(training_free_ecg(u, fine_dx, base.frame_interval, kappa, electrode)[0])
            plain = pooled_diffusivity(D, conductive, base.pool)
            ecg["true D, pooled maps"].append(lead_field_on_maps(u, plain, fine_dx, electrode))
            upscaled = true_conductivity_on_maps(u, D, conductive, base.pool, fine_dx, electrode)
            ecg["true D, upscaled maps"].append(upscaled[0])
        for name, traces in ecg.items():
            table = scores(test.ecg.numpy(), np.asarray(traces)).assign(sim=parts["test"])
            yield table, {"method": name, "fold": k, "seed": 0}, None


SEARCH: dict[str, dict] = {  # what the paper leaves open, one change each to the first row
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
            usual: dict[str, Any] = {"config": short, "net": NET, "loss": LOSS}
            changed = {key: replace(now, **change.get(key, {})) for key, now in usual.items()}
            some = {**parts, "train": parts["train"][:: change.get("tissues", 1)]}
            ecgs, history = seq2seq(some, seed, **changed, frame_interval=change.get("frame_interval", FRAMES))
            yield scores(*ecgs(parts["val"])).assign(sim=parts["val"]), {"variant": name, "seed": seed}, history
