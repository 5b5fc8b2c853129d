"""The ladder of methods: cross-validation, conditions left out, fewer tissues, the first search."""

from dataclasses import replace
from typing import Any

from experiments.common import PAPER, STRUCTURED, Maps, Run
from experiments.tissues import CONDITIONS, N_FOLDS, Tissues, parts
from forwardecg.surrogates.paper.model import Seq2SeqConfig
from forwardecg.surrogates.paper.task import Seq2SeqLoss
from forwardecg.surrogates.structured.data import View

FOLDS = [Tissues(fold=k) for k in range(N_FOLDS)]
LEADS = replace(STRUCTURED, measures="leads")
STORED = Maps(frame_interval=5.0)  # every frame there is, for the methods without a network
SEEDS = (0, 1, 2)


def structured_cv(seeds=SEEDS) -> list[Run]:
    """Five folds, every tissue tested once a seed; maps of 2 and 4 mm, frames every 5 and 10 ms."""
    views = {"2 mm, 5 ms": View(), "4 mm, 5 ms": View(pool=2), "2 mm, 10 ms": View(stride=2)}
    return [
        replace(LEADS, tissues=fold, view=view).label(fold=fold.fold, seed=seed, maps=name)
        for seed in seeds
        for fold in FOLDS
        for name, view in views.items()
    ]


def structured_left_out(seed: int = 0) -> list[Run]:
    """Each condition tested when no tissue of it was in training or validation."""
    return [replace(LEADS, tissues=Tissues(left_out=name)).label(left_out=name, seed=seed) for name in CONDITIONS]


def structured_data(seed: int = 0) -> list[Run]:
    """Fewer training tissues, in proportion of the conditions; the split's own test tissues."""
    runs = [replace(LEADS, tissues=Tissues(every=every)) for every in (8, 2)]
    return [run.label(tissues=len(parts(run.tissues)["train"][0][1]), seed=seed) for run in runs]


def seq2seq_cv(seeds=SEEDS) -> list[Run]:
    """The same five folds."""
    return [replace(PAPER, tissues=fold).label(fold=fold.fold, seed=seed) for seed in seeds for fold in FOLDS]


def frame_cnn_cv() -> list[Run]:
    """The encoder alone, each frame by itself, every 10 ms: what the sequence adds."""
    alone = Seq2SeqConfig(time="none", attention=False, decoder="linear")
    return [replace(run, net=alone) for run in seq2seq_cv()]


def baselines_cv() -> list[Run]:
    """Methods without a network on the same folds: what they learn of the training tissues is said in 08_baselines."""
    methods = ("mean ECG", "ridge", "blind lead field", "training-free D")
    known = ("true D, pooled maps", "true D, upscaled maps")
    return [
        Run(net=method, tissues=fold, maps=STORED, measures="single").label(method=method, fold=fold.fold, seed=0)
        for fold in FOLDS
        for method in methods + known
    ]


SEARCH: dict[str, dict[str, Any]] = {  # what the paper leaves open, one change each to the first row
    "as published, but 30 epochs": {},
    "group norm in the encoder": {"net": Seq2SeqConfig(norm=True)},
    "LSTM that looks back only": {"net": Seq2SeqConfig(decoder="lstm")},
    "dilated convolutions in place of the LSTM": {"net": Seq2SeqConfig(decoder="tcn")},
    "linear encoder": {"net": Seq2SeqConfig(encoder="linear")},
    "maps of 25 x 25 pixels": {"maps": Maps(pixels=25)},
    "loss not scaled by tissue": {"loss": Seq2SeqLoss(scaled=False)},
    "no mirror images or turns": {"loss": Seq2SeqLoss(augment=False)},
    "120 training tissues": {"tissues": Tissues(every=2)},
    "frames every 5 ms": {"maps": STORED},
}


def seq2seq_search(seed: int = 0) -> list[Run]:
    """A small search on the validation tissues of the split; test tissues are not touched."""
    short = replace(PAPER, config=replace(PAPER.config, epochs=30), part="val")
    return [replace(short, **change).label(variant=name, seed=seed) for name, change in SEARCH.items()]
