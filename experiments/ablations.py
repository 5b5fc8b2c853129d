"""The ablations of the paper's architecture: one part changed at a time, everything else, seeds and budget, the same.

Trained on the training tissues of the split, chosen on its validation tissues, scored on the 300 tissues of the test set.
Maps of 25 x 25 pixels and 24 epochs, so that a training takes half a minute on one core; the published network has 50 x 50
and 40 (what that changes: `conditions.sensitivity`, `ablations_budget`).
"""

from dataclasses import replace

import numpy as np
import pandas as pd

from experiments.common import (
    FRAMES,
    LOSS,
    NET,
    SEQ2SEQ,
    central_ecg,
    recipe,
    resampled,
    seq2seq,
    sequences,
    split,
    stored,
)
from experiments.cross_validation import Rows
from forwardecg.ecg.electrodes import center_electrode
from forwardecg.measure.scores import scores, spectral_scores
from forwardecg.surrogates.baselines import lead_field_on_maps
from forwardecg.surrogates.paper.data import D_UNIT

SEEDS = (0, 1, 2, 3, 4)
SHORT, SMALL = replace(SEQ2SEQ, epochs=24), replace(NET, pixels=25)
LEARNING_RATES = (0.7e-3, 1.5e-3, 3e-3)  # the middle one is shared by all
SQUARED = 1e3  # a delta that no error reaches: half the squared error
EXTRA = np.arange(300)  # tissues of the test set

PARTS: dict[str, dict] = {  # the parts that the paper names
    "all parts": {},
    "linear encoder": {"net": {"encoder": "linear"}},
    "no time embedding": {"net": {"time": "none"}},
    "no attention": {"net": {"attention": False}},
    "no entropy term": {"loss": {"lambda_se": 0.0}},
}
VARIANTS = PARTS | {
    "learned time embedding": {"net": {"time": "learned"}},
    "LSTM that looks back only": {"net": {"decoder": "lstm"}},
    "dilated convolutions as decoder": {"net": {"decoder": "tcn"}},
    "no decoder": {"net": {"decoder": "linear"}},
    "KL divergence of the spectra": {"loss": {"spectral": "kl"}},
    "log-spectral term": {"loss": {"spectral": "log"}},
    "multi-resolution STFT": {"loss": {"spectral": "stft"}},
    "constant entropy weight": {"loss": {"decay": False}},
    "squared error for Huber": {"loss": {"delta": SQUARED}},
    "no mirror images or turns": {"loss": {"augment": False}},
    "loss not scaled by tissue": {"loss": {"scaled": False}},
}
MEASURES = ["sim", "r2", "r2_normalized", "correlation"]


def trained(change: dict, seed: int, config=SHORT, net=SMALL, **more):
    """One variant trained: how to predict ECGs, and its history."""
    return seq2seq(
        split(), seed, config, replace(net, **change.get("net", {})), replace(LOSS, **change.get("loss", {})), **more
    )


def tested(ecgs, sims=EXTRA, name: str = "test") -> pd.DataFrame:
    return scores(*ecgs(sims, name)).assign(sim=sims)[MEASURES]


def ablations(seeds=SEEDS) -> Rows:
    """Every variant at one shared setting."""
    for seed in seeds:
        for variant, change in VARIANTS.items():
            ecgs, history = trained(change, seed)
            yield tested(ecgs), {"variant": variant, "seed": seed, "set": "test"}, history


def ablations_lr(seed: int = 0) -> Rows:
    """Every variant at three learning rates, on validation tissues."""
    for variant, change in VARIANTS.items():
        for lr in LEARNING_RATES:
            ecgs, history = trained(change, seed, replace(SHORT, lr=lr))
            yield (
                tested(ecgs, split()["val"], "base"),
                {"variant": variant, "seed": seed, "lr": lr, "set": "base"},
                history,
            )


def ablations_tuned(seeds=SEEDS) -> Rows:
    """Every variant at the learning rate that was best for it in `ablations_lr`."""
    found: dict[str, dict[float, float]] = {variant: {} for variant in VARIANTS}
    for rows, labels, _ in ablations_lr():
        found[labels["variant"]][labels["lr"]] = rows.r2.mean()
    for seed in seeds:
        for variant, change in VARIANTS.items():
            lr = max(found[variant], key=found[variant].get)  # type: ignore[arg-type]
            ecgs, history = trained(change, seed, replace(SHORT, lr=lr))
            yield tested(ecgs), {"variant": variant, "seed": seed, "lr": lr, "set": "test"}, history


def ablations_budget(seeds=SEEDS, epochs=(6, 24, 48)) -> Rows:
    """The parts that the paper names at three budgets, for short training may hide what a part is worth."""
    for n in epochs:
        for seed in seeds:
            for variant, change in PARTS.items():
                ecgs, history = trained(change, seed, replace(SHORT, epochs=n))
                yield tested(ecgs), {"variant": variant, "seed": seed, "budget": n, "set": "test"}, history


DECODERS = {
    "LSTM both ways": "bilstm",
    "LSTM that looks back only": "lstm",
    "dilated convolutions": "tcn",
    "none": "linear",
}


def ablations_attention(seeds=SEEDS) -> Rows:
    """Attention with each decoder: whether it matters may depend on what else carries news from one frame to another."""
    for seed in seeds:
        for decoder, name in DECODERS.items():
            for attention in (True, False):
                ecgs, history = trained({"net": {"decoder": name, "attention": attention}}, seed)
                yield tested(ecgs), {"decoder": decoder, "attention": attention, "seed": seed, "set": "test"}, history


def ablations_known_d(seeds=SEEDS) -> Rows:
    """The same parts where the true D is an input: what do they do for a network that need not infer it?"""
    sequence = {"no time, no attention, no decoder": {"net": {"time": "none", "attention": False, "decoder": "linear"}}}
    for seed in seeds:
        for variant, change in (PARTS | sequence).items():
            ecgs, history = trained(change, seed, known_D=True)
            yield tested(ecgs), {"variant": variant, "seed": seed, "set": "test"}, history
        known = sequences(SMALL.pixels, FRAMES, tuple(EXTRA.tolist()), "test", known_D=True)
        own, t = recipe("test"), stored("test").time.values
        electrode, dx = center_electrode(own.shape, own.dx, own.z_mm), own.n_cells * own.dx / SMALL.pixels
        formula = np.array(
            [lead_field_on_maps(u[:, 0].numpy(), D_UNIT * u[0, 1].double().numpy(), dx, electrode) for u in known.u]
        )
        table = scores(central_ecg("test", EXTRA), resampled(formula, known.t.numpy(), t)).assign(sim=EXTRA)[MEASURES]
        yield table, {"variant": "lead field on the same input", "seed": seed, "set": "test"}, None


def spectral_terms(seeds=SEEDS, weights=(0.1, 1.0)) -> Rows:
    """Each spectral term at two weights, the paper's at four, and none; errors by band of frequency beside R2."""
    terms = [("none", 0.0), ("entropy", 0.01), ("entropy", 10.0)]
    terms += [(term, weight) for term in ("entropy", "kl", "log", "stft") for weight in weights]
    for seed in seeds:
        for term, weight in terms:
            loss = {"lambda_se": weight} | ({"spectral": term} if weight else {})
            ecgs, history = trained({"loss": loss}, seed)
            both = ecgs(EXTRA, "test")
            table = scores(*both).assign(sim=EXTRA)[MEASURES].join(spectral_scores(*both, dt=5.0))  # type: ignore[misc]
            yield table, {"term": term, "weight": weight, "seed": seed, "set": "test"}, history
        true, t = central_ecg("test", EXTRA), stored("test").time.values
        kept = slice(None, None, round(FRAMES / (t[1] - t[0])))
        both = true, resampled(true[:, kept], t[kept], t)  # what the frames of the network alone cost
        table = scores(*both).assign(sim=EXTRA)[MEASURES].join(spectral_scores(*both, dt=5.0))
        yield table, {"term": "truth, every 10 ms", "weight": 0.0, "seed": seed, "set": "test"}, None
