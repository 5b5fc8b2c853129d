"""The ablations of the paper's architecture: one part changed at a time, everything else, seeds and budget, the same.

Network on the training tissues of the split, chosen on its validation tissues, scored on the 300 tissues of the test set.
Maps of 25 x 25 pixels and 24 epochs, so that a training takes half a minute on one core; the published network has 50 x 50
and 40 (what that changes: `shifts.sensitivity`, `ablations_budget`).
"""

from dataclasses import replace
from itertools import product
from typing import Any

from experiments.common import PAPER, SEEDS, Maps, Run
from experiments.score import tables
from forwardecg.surrogates.paper.model import Seq2SeqConfig
from forwardecg.surrogates.paper.task import Seq2SeqLoss

SHORT = replace(PAPER, config=replace(PAPER.config, epochs=24), maps=Maps(pixels=25), other="test", measures="few")
LEARNING_RATES = (0.7e-3, 1.5e-3, 3e-3)  # the middle one is shared by all
SQUARED = 1e3  # a delta that no error reaches: half the squared error
PARTS: dict[str, dict[str, Any]] = {  # the parts that the paper names
    "all parts": {},
    "linear encoder": {"net": Seq2SeqConfig(encoder="linear")},
    "no time embedding": {"net": Seq2SeqConfig(time="none")},
    "no attention": {"net": Seq2SeqConfig(attention=False)},
    "no entropy term": {"loss": Seq2SeqLoss(lambda_se=0.0)},
}
VARIANTS = PARTS | {
    "learned time embedding": {"net": Seq2SeqConfig(time="learned")},
    "LSTM that looks back only": {"net": Seq2SeqConfig(decoder="lstm")},
    "dilated convolutions as decoder": {"net": Seq2SeqConfig(decoder="tcn")},
    "no decoder": {"net": Seq2SeqConfig(decoder="linear")},
    "KL divergence of the spectra": {"loss": Seq2SeqLoss(spectral="kl")},
    "log-spectral term": {"loss": Seq2SeqLoss(spectral="log")},
    "multi-resolution STFT": {"loss": Seq2SeqLoss(spectral="stft")},
    "constant entropy weight": {"loss": Seq2SeqLoss(decay=False)},
    "squared error for Huber": {"loss": Seq2SeqLoss(delta=SQUARED)},
    "no mirror images or turns": {"loss": Seq2SeqLoss(augment=False)},
    "loss not scaled by tissue": {"loss": Seq2SeqLoss(scaled=False)},
}


def _variant(name: str, change: dict[str, Any], seed: int, run: Run = SHORT, **labels: Any) -> Run:
    return replace(run, **change).label(variant=name, seed=seed, **labels, set="")


def ablations(seeds=SEEDS) -> list[Run]:
    """Every variant at one shared setting."""
    return [_variant(*variant, seed) for seed in seeds for variant in VARIANTS.items()]


def _at(lr: float, run: Run = SHORT) -> Run:
    return replace(run, config=replace(run.config, lr=lr))


def ablations_lr(seed: int = 0) -> list[Run]:
    """Every variant at three learning rates, on validation tissues."""
    chosen = replace(SHORT, part="val", other="")
    return [_variant(*variant, seed, _at(lr, chosen), lr=lr) for variant in VARIANTS.items() for lr in LEARNING_RATES]


def best_rates() -> dict[str, float]:
    """For each variant the learning rate that is best for it in `ablations_lr`."""
    found: dict[str, dict[float, float]] = {variant: {} for variant in VARIANTS}
    for run in ablations_lr():
        ((_, table),) = tables(run)
        found[run.labels["variant"]][run.labels["lr"]] = table.r2.mean()
    return {variant: max(rates, key=rates.__getitem__) for variant, rates in found.items()}


def ablations_tuned(seeds=SEEDS) -> list[Run]:
    """Every variant at the learning rate that is best for it."""
    best = best_rates()
    return [
        _variant(name, change, seed, _at(best[name]), lr=best[name])
        for seed in seeds
        for name, change in VARIANTS.items()
    ]


def ablations_budget(seeds=SEEDS, epochs=(6, 24, 48)) -> list[Run]:
    """The parts that the paper names at three budgets, for short training may hide what a part is worth."""
    runs = {n: replace(SHORT, config=replace(SHORT.config, epochs=n)) for n in epochs}
    return [
        _variant(*variant, seed, run, budget=n)
        for n, run in runs.items()
        for seed in seeds
        for variant in PARTS.items()
    ]


DECODERS = {
    "LSTM both ways": "bilstm",
    "LSTM that looks back only": "lstm",
    "dilated convolutions": "tcn",
    "none": "linear",
}


def ablations_attention(seeds=SEEDS) -> list[Run]:
    """Attention with each decoder: whether it matters may depend on what else carries news from one frame to another."""
    return [
        replace(SHORT, net=Seq2SeqConfig(decoder=kind, attention=on)).label(
            decoder=name, attention=on, seed=seed, set=""
        )
        for seed in seeds
        for name, kind in DECODERS.items()
        for on in (True, False)
    ]


def ablations_time_aware(seeds=SEEDS) -> list[Run]:
    """Time-aware attention as one part: time embedding and attention both there, and both taken out, with each decoder."""
    without: dict[str, Any] = {"time": "none", "attention": False}
    return [
        replace(SHORT, net=replace(Seq2SeqConfig(decoder=kind), **({} if aware else without))).label(
            decoder=name, aware=aware, seed=seed, set=""
        )
        for seed in seeds
        for name, kind in DECODERS.items()
        for aware in (True, False)
    ]


FINE: dict[int, dict[str, Any]] = {  # pixels: a convolution that can see them, and what is affordable
    50: {"channels": (8, 16, 32), "stride": 2, "epochs": 24, "seeds": (0, 1, 2)},
    100: {"channels": (8, 16, 32), "stride": 2, "epochs": 12, "seeds": (0, 1)},
}


def ablations_encoder() -> list[Run]:
    """Convolutional and linear encoder on maps of 4 and 2 mm, the first stride two: where a convolution could win."""
    runs = []
    for pixels, at in FINE.items():
        nets = {
            "convolutional": Seq2SeqConfig(channels=at["channels"], stride=at["stride"]),
            "linear": Seq2SeqConfig(encoder="linear"),
        }
        fine = replace(SHORT, config=replace(SHORT.config, epochs=at["epochs"]), maps=Maps(pixels=pixels))
        runs += [
            replace(fine, net=net).label(encoder=name, pixels=pixels, seed=seed, set="")
            for seed in at["seeds"]
            for name, net in nets.items()
        ]
    return runs


def ablations_known_d(seeds=SEEDS) -> list[Run]:
    """The same parts where the true D is an input: what do they do for a network that need not infer it?"""
    known = replace(SHORT, maps=replace(SHORT.maps, known_D=True))
    alone = Seq2SeqConfig(time="none", attention=False, decoder="linear")
    variants = PARTS | {
        "no time, no attention, no decoder": {"net": alone},
        "lead field on the same input": {"net": "lead field on the same input"},
    }
    return [_variant(*variant, seed, known) for seed in seeds for variant in variants.items()]


def spectral_terms(seeds=SEEDS, weights=(0.1, 1.0)) -> list[Run]:
    """Each spectral term at two weights, the paper's at four, and none; errors by band of frequency beside R2."""
    pairs = [("none", 0.0), ("entropy", 0.01), ("entropy", 10.0)]
    pairs += product(("entropy", "kl", "log", "stft"), weights)
    scored = replace(SHORT, measures="spectral")
    runs = {
        (term, weight): replace(scored, loss=Seq2SeqLoss(lambda_se=weight, spectral=term if weight else "entropy"))
        for term, weight in pairs
    }
    frames = "truth, every 10 ms"  # what the frames of the network alone cost
    runs[frames, 0.0] = replace(scored, net=frames)
    return [
        run.label(term=term, weight=weight, seed=seed, set="") for seed in seeds for (term, weight), run in runs.items()
    ]
