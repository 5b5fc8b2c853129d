"""What the score of a method depends on besides the method: undeclared choices, and the kind of the tissues."""

from dataclasses import replace
from typing import Any

from experiments.ablations import SHORT
from experiments.common import PAPER, SEEDS, STRUCTURED, Maps, Run
from experiments.cross_validation import FOLDS, STORED
from experiments.tissues import CONDITIONS, Tissues
from forwardecg.data.sets import HELD_OUT
from forwardecg.surrogates.paper.task import Seq2SeqLoss

FORMULAS = {name: Run(net=name, maps=STORED) for name in ("blind lead field", "ridge", "training-free D")}
MAPS = SHORT.maps
CHOICES: dict[str, dict[str, Any]] = {  # what the paper leaves open, one choice changed at a time
    "as the ablations": {},
    "ECGs normalized": {"maps": replace(MAPS, normalize=True)},
    "electrode at 20 mm": {"tissues": Tissues(name="z20")},
    "electrode at 80 mm": {"tissues": Tissues(name="z80")},
    "maps of 50 x 50 pixels": {"maps": Maps()},
    "frames every 20 ms": {"maps": replace(MAPS, frame_interval=20.0)},
    "450 ms instead of 900": {"maps": replace(MAPS, until=450.0)},
    "no mirror images or turns": {"loss": Seq2SeqLoss(augment=False)},
    "300 other tissues": {"tissues": Tissues(kind="other", of_kind=300)},
    "waves from one edge, not turned": {
        "tissues": Tissues(kind="edge", of_kind=300), "maps": replace(MAPS, one_way=True), "loss": Seq2SeqLoss(augment=False)
    },
    "fibrosis below 10 %": {"tissues": Tissues(kind="mild", of_kind=300)},
    "D within 12 % of 0.13, 240 tissues": {"tissues": Tissues(kind="D", of_kind=240)},
    "all textures, 190 tissues": {"tissues": Tissues(kind="any", of_kind=190)},
    **{
        f"{texture} fibrosis only, 190 tissues": {"tissues": Tissues(kind=texture, of_kind=190)}
        for texture in ("compact", "patchy", "diffuse", "interstitial")
    },
}  # fmt: skip


def sensitivity(n_folds: int = 3) -> list[Run]:
    """What the paper leaves open, at the settings of the ablations; folds of the 300 tissues, or of others."""
    runs = {choice: replace(SHORT, other="", **change) for choice, change in CHOICES.items()}
    return [
        replace(run, tissues=replace(run.tissues, fold=k)).label(choice=choice, fold=k, seed=0, set="")
        for choice, run in runs.items()
        for k in range(n_folds)
    ]


def shifted(seeds=(0, 1, 2)) -> list[Run]:
    """Every method, trained on the split of the base set, on the test set and the sets of other kinds."""
    published = replace(STRUCTURED, counted=False)
    runs = [(name, run, 0) for name, run in FORMULAS.items()] + [("paper's seq2seq", PAPER, seed) for seed in seeds]
    runs += [("structured", published, seed) for seed in SEEDS]
    runs += [("structured, five together", replace(published, seeds=SEEDS), 0)]
    return [
        replace(run, other=name, measures="few").label(method=method, seed=seed, set="")
        for name in ("test", *HELD_OUT)
        for method, run, seed in runs
    ]


def left_out(seed: int = 0) -> list[Run]:
    """Each condition tested when no tissue of it was in training or validation; the structured one: structured_left_out."""
    return [
        replace(run, tissues=Tissues(left_out=name), measures="few").label(method=method, left_out=name, seed=seed)
        for name in CONDITIONS
        for method, run in {**FORMULAS, "paper's seq2seq": PAPER}.items()
    ]


def readable() -> list[Run]:
    """Errors that one reads off a recording - times, amplitude, shape - in the five folds, seed 0."""
    methods = {**FORMULAS, "paper's seq2seq": PAPER, "structured": STRUCTURED}
    runs = {method: replace(run, measures="readable", counted=False) for method, run in methods.items()}
    return [
        replace(run, tissues=fold).label(method=method, fold=fold.fold, seed=0)
        for fold in FOLDS
        for method, run in runs.items()
    ]
