"""How far the paper's architecture comes with more tissues, at the published setting.

All training tissues are of the large set and, beyond it, of the calibration set; its last 300 choose. The 300 tissues of the
base set and the 300 of the test set are scored, and are in no training here.
"""

from dataclasses import replace

from experiments.common import PAPER, Run
from experiments.tissues import Tissues

MOST = 3000  # training tissues: 2,700 of the large set, 300 of the calibration set
PASSES = {240: 80, 540: 50, 1000: 40, MOST: 25}  # over so many training tissues


def law(seeds=(0, 1, 2)) -> list[Run]:
    """More and more training tissues, drawn anew for each seed but the last number, which are all."""
    runs = []
    for seed in seeds:
        for n, passes in PASSES.items():
            tissues = Tissues(large=n, draw=seed if n < MOST else 0)
            run = replace(PAPER, config=replace(PAPER.config, epochs=passes), tissues=tissues, measures="few")
            runs += [
                replace(run, part=part, counted=part == "test").label(
                    tissues=n, passes=passes, seed=seed, part=part, set=""
                )
                for part in ("test", "learned")
            ]
    return runs
