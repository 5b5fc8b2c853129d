"""How far the paper's architecture comes: with more tissues at the published setting, at other sizes, and at its best.

All training tissues are of the large set and, beyond it, of the calibration set; its last 300 choose. The 300 tissues of the
base set and the 300 of the test set are scored, and are in no training here.
"""

from dataclasses import replace
from typing import Any

from experiments.common import PAPER, Run
from experiments.tissues import Tissues
from forwardecg.surrogates.paper.model import Seq2Seq, Seq2SeqConfig

MOST = 3000  # training tissues: 2,700 of the large set, 300 of the calibration set
LR = PAPER.config.lr
PASSES = {240: 80, 540: 50, 1000: 40, MOST: 25}  # over so many training tissues
SIZES: dict[str, dict[str, Any]] = {
    "published": {},
    "two LSTM layers": {"layers": 2},
    "width 256": {"width": 256},
    "width 256, two layers": {"width": 256, "layers": 2},
    "width 512": {"width": 512},
    "first stride 2": {"stride": 2},
}
# a large one, as long as those of the law; and the one of them that is trained with all tissues: tissues, passes, size, rate
LONG = (1000, 40, "width 256, two layers", LR)
CHOSEN = (MOST, 40, "two LSTM layers", LR)


def _rows(run: Run, **labels: Any) -> list[Run]:
    """The run, scored on the test tissues and on 240 of its training."""
    return [
        replace(run, part=part, counted=part == "test", measures="few").label(**labels, part=part, set="")
        for part in ("test", "learned")
    ]


def _trained(n: int, passes: int, draw: int = 0, lr: float = LR, **size: Any) -> Run:
    """The paper's network of a size after so many passes over n tissues."""
    config = replace(PAPER.config, epochs=passes, lr=lr)
    tissues = Tissues(large=n, draw=draw if n < MOST else 0)
    return replace(PAPER, net=replace(PAPER.net, **size), config=config, tissues=tissues)  # type: ignore[type-var]


def law(seeds=(0, 1, 2)) -> list[Run]:
    """More and more training tissues, drawn anew for each seed but the last number, which are all."""
    return [
        run
        for seed in seeds
        for n, passes in PASSES.items()
        for run in _rows(_trained(n, passes, seed), tissues=n, passes=passes, seed=seed)
    ]


def sizes(seeds=(0,), best_seeds=(0, 1, 2)) -> list[Run]:
    """Other sizes on few tissues, the wide ones also at half the learning rate, one of them longer; `CHOSEN` with all tissues."""
    few = [
        (1000, 8, size, lr) for size, change in SIZES.items() for lr in (LR, LR / 2)[: 2 if "width" in change else 1]
    ]
    runs = []
    for n, passes, size, lr in [*few, LONG, CHOSEN]:
        weights = sum(each.numel() for each in Seq2Seq(replace(Seq2SeqConfig(), **SIZES[size])).parameters())
        for seed in best_seeds if n == MOST else seeds:
            labels = {"size": size, "weights": weights, "lr": lr, "tissues": n, "passes": passes, "seed": seed}
            runs += _rows(_trained(n, passes, lr=lr, **SIZES[size]), **labels)
    return runs
