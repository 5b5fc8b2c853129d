"""How the score of three methods depends on the number of training tissues."""

import math
from dataclasses import replace
from itertools import product

from experiments.ablations import SHORT
from experiments.common import SEEDS, STRUCTURED, Run
from experiments.tissues import Tissues

N_TRAIN = 240  # training tissues of the split; more of them come from the calibration set


def data_efficiency(sizes=(8, 30, 60, 120, 240, 540), seeds=SEEDS, structured_seeds=(0, 1)) -> list[Run]:
    """Fewer and more training tissues, drawn anew for each seed, for three methods; the 300 test tissues of the recipe.

    The paper's architecture gets as many updates whatever the number; the structured one as many epochs, twice that below
    100 tissues. 540 are those of the split and all of the calibration set: there, and with 240, all seeds have the same.
    """
    runs, updates = [], SHORT.config.epochs * N_TRAIN / SHORT.config.batch
    for n, seed in product(sizes, seeds):
        config = replace(SHORT.config, epochs=round(updates / math.ceil(n / SHORT.config.batch)))
        some = Tissues(few=min(n, N_TRAIN), draw=seed, more=max(n - N_TRAIN, 0))
        for method, net in {"paper's seq2seq": SHORT.net, "ridge": "ridge"}.items():
            run = replace(SHORT, net=net, config=config, tissues=some)
            runs.append(run.label(tissues=n, seed=seed, set="", method=method))
    for n, seed in product([n for n in sizes if n <= N_TRAIN], structured_seeds):
        config = replace(STRUCTURED.config, epochs=STRUCTURED.config.epochs * (1 + (n < 100)))
        run = replace(STRUCTURED, config=config, tissues=Tissues(few=n, draw=seed), other="test", measures="few")
        runs.append(run.label(tissues=n, seed=seed, set="", method="structured"))
    return runs
