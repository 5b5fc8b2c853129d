"""What each network is given: the paper's with the structured one's maps, electrodes and labels, and the other way round.

All are trained on the 240 tissues of the split and scored on the 300 of the test set; the paper's network as published is the
row *by tissue* of `readings.splits`.
"""

from dataclasses import replace
from typing import Any

from experiments.common import PAPER, STRUCTURED, Maps, Run
from experiments.variants import LabeledConfig, PartConfig
from forwardecg.surrogates.structured.data import View
from forwardecg.surrogates.structured.task import StructuredLoss

SIDE = 25  # pixels of the map of D: the finest that one layer can say of a code of 128 numbers


def _more(pixels: int = 50, labels: bool = False) -> dict[str, Any]:
    """25 electrodes in place of one, maps of so many pixels, the conductivity of each pixel as a second target."""
    seen = Maps(pixels=pixels, bank=True)
    return {"net": LabeledConfig(side=SIDE * labels), "maps": replace(seen, known_D=labels), "seen": seen}


GIVEN: dict[str, dict[str, Any]] = {  # to the paper's network
    "25 electrodes": _more(),
    "25 electrodes, labels": _more(labels=True),
    "2 mm maps, 25 electrodes, labels": _more(100, labels=True),
}
ONE = StructuredLoss(leads=("center",))
LIKE_PAPER = {"loss": replace(ONE, labels=0.0), "only": View(pool=2, stride=2)}
HALF = replace(STRUCTURED.config, epochs=15)
PARTS: dict[str, dict[str, Any]] = {  # of the structured surrogate
    "all parts": {},
    "one electrode, no labels": {"loss": replace(ONE, labels=0.0)},
    "one electrode, no labels, 4 mm maps every 10 ms": LIKE_PAPER,
    "the same without the formula": LIKE_PAPER | {"net": PartConfig(formula=False)},
    "no formula": {"net": PartConfig(formula=False)},
    "no symmetry": {"net": PartConfig(symmetric=False)},
    "no labels": {"loss": StructuredLoss(labels=0.0)},
    "one electrode": {"loss": ONE},
    "one view": {"only": View()},  # maps as they are stored: no coarse ones, no noise, no lost pixels
    "no moving average": {"config": replace(HALF, ema=0.0)},
}
WEIGHTS = (0.01, 1.0)  # of the labels; the better one on validation tissues is `LabeledConfig.labels`
SHORT = replace(STRUCTURED, config=HALF, other="test", measures="few")


def supervision(seeds=(0, 1, 2)) -> list[Run]:
    """The paper's network, published setting, with more and more of what the structured one has."""
    given = replace(PAPER, other="test", measures="few")
    return [
        replace(given, **change).label(variant=name, seed=seed, set="")
        for name, change in GIVEN.items()
        for seed in seeds
    ]


def label_weights(seed: int = 0) -> list[Run]:
    """The weight of the labels that the paper's network is given: chosen on the validation tissues, which alone are scored."""
    given = replace(PAPER, part="val", measures="few", **_more(labels=True))
    return [
        replace(given, net=LabeledConfig(side=SIDE, labels=weight)).label(weight=weight, seed=seed)
        for weight in WEIGHTS
    ]


def structured_parts(seeds=(0, 1, 2)) -> list[Run]:
    """The structured surrogate with half its passes, one part or one thing it is given taken away; and a mean of two."""
    runs = [
        replace(SHORT, **change).label(variant=name, seed=seed, set="")
        for seed in seeds
        for name, change in PARTS.items()
    ]
    together = replace(SHORT, seeds=seeds[:2], counted=False)
    return [*runs, together.label(variant="mean of two networks", seed=0, set="")]
