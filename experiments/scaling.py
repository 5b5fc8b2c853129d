"""How far the paper's architecture comes: its size, the number of tissues, and the length of the training.

All training tissues are of the large set, which nothing else uses; its last 300 choose. The 300 tissues of the base set and
the 300 of the test set are scored, and are in no training here.
"""

from dataclasses import replace
from typing import Any

from experiments.common import PAPER, Run
from experiments.tissues import Tissues
from forwardecg.surrogates.paper.model import Seq2Seq, Seq2SeqConfig

MOST = 3000  # training tissues: 2,700 of the large set, 300 of the calibration set
SHORT = 4  # passes over all of them in the search
WIDER = (24, 48, 96)  # channels
SIZES: dict[str, Seq2SeqConfig] = {
    "as published": Seq2SeqConfig(),
    "first stride 2": Seq2SeqConfig(stride=2),
    "first stride 2, half the channels": Seq2SeqConfig(stride=2, channels=(8, 16, 32)),
    "two LSTM layers": Seq2SeqConfig(layers=2),
    "width 256": Seq2SeqConfig(width=256, channels=WIDER),
    "width 256, first stride 2": Seq2SeqConfig(width=256, channels=WIDER, stride=2),
    "width 512": Seq2SeqConfig(width=512, channels=WIDER),
}
RATES = (0.75e-3, 1.5e-3, 3e-3)  # peaks of the learning rate; the middle one is the published one
LAW = {240: 80, 540: 50, 1000: 40, MOST: 25}  # passes over so many training tissues


def _run(net: Seq2SeqConfig, tissues: int, epochs: int, draw: int = 0, **config: Any) -> Run:
    own = replace(PAPER.config, epochs=epochs, **config)
    return replace(PAPER, net=net, config=own, tissues=Tissues(large=tissues, draw=draw), measures="few")


def sizes(seed: int = 0) -> list[Run]:
    """Each size with all tissues and a short training, on the tissues that choose; the published one at three learning rates."""
    runs = []
    for size, net in SIZES.items():
        rates = RATES if size == "as published" else RATES[1:2]
        weights = sum(w.numel() for w in Seq2Seq(net).parameters())
        runs += [
            replace(_run(net, MOST, SHORT, lr=lr), part="val").label(
                size=size, weights=weights, lr=lr, passes=SHORT, seed=seed
            )
            for lr in rates
        ]
    return runs


def law(seeds=(0, 1, 2)) -> list[Run]:
    """The published size with more and more tissues, drawn anew for each seed but the last number, which are all."""
    return [
        replace(run, part=part, counted=part == "test").label(tissues=n, passes=epochs, seed=seed, part=part, set="")
        for seed in seeds
        for n, epochs in LAW.items()
        for run in [_run(SIZES["as published"], n, epochs, draw=seed if n < MOST else 0)]
        for part in ("test", "learned")
    ]
