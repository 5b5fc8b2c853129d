"""Readings of a paper that states no split: what of a tissue may be in training when the network is scored on it."""

from dataclasses import replace
from typing import Any

from experiments.common import PAPER, Maps, Run
from experiments.tissues import Tissues
from forwardecg.surrogates.paper.task import Seq2SeqLoss

THROUGH = Tissues(everyone=True)  # a split through every tissue
AS_DRAWN = Seq2SeqLoss(augment=False)  # no mirror images or turns
READINGS: dict[str, dict[str, Any]] = {
    "by tissue": {"other": "test"},
    "training tissues": {"part": "train"},
    "frames of one tissue on both sides": {
        "tissues": THROUGH, "maps": Maps(frames="even"), "seen": Maps(frames="odd"),
    },
    "time windows of one tissue on both sides": {
        "tissues": THROUGH, "maps": Maps(frames="even windows"), "seen": Maps(frames="odd windows"),
    },
    "a tissue on one side, its mirror image on the other": {
        "tissues": THROUGH, "seen": Maps(mirror=True), "loss": AS_DRAWN,
    },
    "by tissue, without mirror images or turns": {"other": "test", "loss": AS_DRAWN},
}  # fmt: skip


def splits(seeds=(0, 1, 2)) -> list[Run]:
    """The published network under each way to split the 300 tissues; by tissue, scored on the 300 of the test set."""
    # 30 validation tissues choose the epoch, on the maps that are scored, and are not scored themselves
    return [
        replace(PAPER, measures="few", counted=reading != "training tissues", **change).label(
            reading=reading, seed=seed, set=""
        )
        for seed in seeds
        for reading, change in READINGS.items()
    ]
