"""Is the ECG of a surrogate from the population of the teacher? Two-sample tests: ``data/results/runs/population*.csv``.

    python -m experiments.population                 all but the methods that are in the tables
    python -m experiments.population --halves 2      a first look, its tables in data/cache

The 300 tissues of the test set, none of which any method learned from, are halved at random: ECGs of the teacher of one
half against ECGs of a method of the other half. The teacher against itself is the null. ``population.csv`` has one row a
test, method, seed and half; the half is empty where all tissues were compared in pairs. ``population_calls.csv`` has one
row a tissue and classifier, of the teacher and of the published structured surrogate: in which share of the halves its
ECG was put in the right set.
``population_traces.csv`` has a few ECGs of each, ``population_cost.csv`` seconds of the processor, and
``population_trainings.csv`` one row a training of the diffusion model.
"""

import argparse
import functools
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.spatial.distance import cdist
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict

from experiments.common import PAPER, STRUCTURED, Run, central_ecg, networks
from experiments.cross_validation import STORED
from experiments.diagnosis import read_beats
from experiments.diffusion import generate, learn
from experiments.draws import with_noise
from experiments.files import tables_folder, training_row, write_table
from experiments.score import ecgs
from experiments.tissues import Tissues, open_set, parts, recipe
from forwardecg.activation.forward import eikonal_ecg
from forwardecg.cache import key
from forwardecg.data.draw import draw_tissue
from forwardecg.ecg.electrodes import center_electrode
from forwardecg.measure.samples import histogram_test, mmd_test
from forwardecg.paths import CACHE, progress
from forwardecg.surrogates.train import TrainConfig

SET, STEP = "test", 2  # every second sample, 10 ms: between them the paper's network is interpolated
SEEDS = (0, 1, 2)
DIFFUSION = TrainConfig(epochs=60, batch=32, lr=2e-3, ema=0.98)  # 480 updates
TREES, FOLDS = 61, 5  # an odd number of trees: no ties
ENDS = ("_cost", "_traces", "")  # of the names of the tables
NEAREST = "nearest in training"
NOISES = (0.0, 0.02)  # SD, of that of all ECGs; with noise the first seed alone: without it, not quite at rest is found
SHOWN = 5  # ECGs of each method for the figure
TEACHER = "teacher"
EIKONAL_VERSION = 1  # of the ECGs in the cache: raised when `eikonal_ecg` gives others


CLASSIFIERS = {
    "logistic": LogisticRegression(C=0.1, max_iter=2000),
    "forest": RandomForestClassifier(TREES, random_state=0),
}


def call(a: np.ndarray, b: np.ndarray, classifier: Any, seed: int, paired: bool = False) -> np.ndarray:
    """Whether a classifier of scikit-learn puts each of two equal sets of ECGs (n, T), (2 n,) in all, in the right one, unseen.

    Pairs share a fold: else it would meet the tissue of one in training, with the other label.
    """
    X, y = np.concatenate([a, b]), np.repeat([0, 1], [len(a), len(b)])
    X = (X - X.mean(0)) / np.where(X.std(0) > 0, X.std(0), 1)  # of all rows: blind to the labels
    units = np.tile(np.arange(len(a)), 2) if paired else np.arange(len(X))
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    return cross_val_predict(classifier, X, y, groups=units, cv=folds) == y


def run_tests(a: np.ndarray, b: np.ndarray, seed: int, paired: bool = False) -> Iterator[tuple[str, float, float]]:
    """Name, statistic and p of each test of two sets of ECGs (n, T); the null of a classifier is that of the halves."""
    for name, classifier in CLASSIFIERS.items():
        yield name, float(call(a, b, classifier, seed, paired).mean()), np.nan
    yield "MMD", *mmd_test(a, b, paired=paired, seed=seed)[::2]
    yield "JSD", *histogram_test(a, b, paired=paired, seed=seed)[::2]


def halves(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of two random halves of n tissues."""
    order = np.random.default_rng([seed, 30]).permutation(n)
    return order[: n // 2], order[n // 2 : n // 2 * 2]


def compare(true: np.ndarray, other: np.ndarray, n_halves: int, paired: bool = True) -> pd.DataFrame:
    """Rows of all tests of ECGs (n, T): teacher and method on different tissues, and, if paired, on all of the same.

    A row of ``other`` that is not finite is no ECG, and its tissue is in neither set.
    """
    known, rows = np.isfinite(other).all(1), list[dict[str, Any]]()
    true, other = true[known], other[known]
    for half in range(n_halves):
        first, second = halves(len(true), half)
        for name, statistic, p in run_tests(true[first], other[second], half):
            rows.append({"test": name, "half": half, "n": len(first), "statistic": statistic, "p": p})
    if paired:
        for name, statistic, p in run_tests(true, other, 0, paired=True):
            rows.append({"test": name, "half": np.nan, "n": len(true), "statistic": statistic, "p": p})
    return pd.DataFrame(rows)


def calls_by_tissue(true: np.ndarray, other: np.ndarray, n_halves: int) -> pd.DataFrame:
    """Of each tissue the share of the halves of `compare` in which each classifier puts its ECG in the right set."""
    known = np.flatnonzero(np.isfinite(other).all(1))
    tables = []
    for half in range(n_halves):
        first, second = (known[some] for some in halves(len(known), half))
        for name, classifier in CLASSIFIERS.items():
            right = call(true[first], other[second], classifier, half)
            tables.append(pd.DataFrame({"test": name, "sim": np.concatenate([first, second]), "right": right}))
    return pd.concat(tables).groupby(["test", "sim"])[["right"]].mean().reset_index()


def published_calls(n: int, n_halves: int) -> pd.DataFrame:
    """`calls_by_tissue` of the teacher and of the mean of the five networks that are published, whose ECGs 28_diagnosis has."""
    beats = read_beats((SET,))
    ecg = {name: beats.ecg[of][:n, 0, ::STEP] for name, of in ((TEACHER, "true"), ("structured", "structured"))}
    return pd.concat(calls_by_tissue(ecg[TEACHER], ecg[name], n_halves).assign(method=name) for name in ecg)


def diffusion_trainings() -> pd.DataFrame:
    """One row a training of the diffusion model."""
    train, val = learned()
    return pd.DataFrame(
        training_row({"seed": seed}, learn(train, val, replace(DIFFUSION, seed=seed))[1]) for seed in SEEDS
    )


def learned() -> tuple[np.ndarray, np.ndarray]:
    """The ECGs (tissue, T) that the diffusion model is trained and chosen on."""
    train, val = (central_ecg(*parts(Tissues())[part][0])[:, ::STEP] for part in ("train", "val"))
    return train, val


def eikonal_ecgs(n: int) -> tuple[np.ndarray, float]:
    """ECGs (n, T) without a simulation of tissues of the set, NaN where the method refuses, and the seconds that they took."""
    own, attempt = recipe(SET), open_set(SET).attempt.values
    path = CACHE / "population" / f"{key('eikonal', EIKONAL_VERSION, own, n, STEP)}.npz"
    if not path.is_file():
        traces, began = np.full((n, round(own.t_end / own.frame_interval / STEP) + 1), np.nan), process_time()
        for sim in range(n):
            drawn = draw_tissue(own, sim, int(attempt[sim]))
            place, interval = center_electrode(drawn.tissue, own.z_mm), STEP * own.frame_interval
            try:
                ds = eikonal_ecg(drawn.tissue, drawn.stimuli, place, t_end=own.t_end, ecg_interval=interval)
                traces[sim] = ds.phi_e.values[0]
            except ValueError as refusal:
                progress(f"tissue {sim} is refused: {refusal}")
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}.npz")
        np.savez(part, traces=traces, seconds=process_time() - began)
        os.replace(part, path)
    with np.load(path) as kept:
        return kept["traces"], float(kept["seconds"])


def nearest(ecg: np.ndarray, train: np.ndarray) -> np.ndarray:
    """RMS distance (n,) of each ECG to the nearest one of training."""
    return cdist(ecg, train).min(1) / np.sqrt(ecg.shape[1])


def sources(n: int) -> Iterator[tuple[str, int, Callable[[], tuple[np.ndarray, dict[str, float]]]]]:
    """Methods with their seed and a function: ECGs (n, T) of the tissues of the set, seconds of training and of one ECG."""
    sims = tuple(range(n))

    def of_run(run: Run) -> tuple[np.ndarray, dict[str, float]]:
        ((_, _, _, traces),) = ecgs(run)
        seconds = sum(one.history.seconds.sum() for one in networks(run))
        return traces[:n, ::STEP], {"training": seconds} if seconds else {}

    def of_eikonal() -> tuple[np.ndarray, dict[str, float]]:
        traces, seconds = eikonal_ecgs(n)
        return traces, {"each": seconds / n}

    def of_diffusion(seed: int) -> tuple[np.ndarray, dict[str, float]]:
        return generate(*learned(), n, replace(DIFFUSION, seed=seed))

    yield TEACHER, 0, lambda: (central_ecg(SET, sims)[:, ::STEP], {})
    blind = Run(net="blind lead field", maps=STORED)
    for method, run in {"structured": STRUCTURED, "paper's network": PAPER, "blind lead field": blind}.items():
        for seed in SEEDS[: 1 if isinstance(run.net, str) else None]:
            labeled = replace(run, other=SET, measures="few").label(method=method, seed=seed)
            yield method, seed, functools.partial(of_run, labeled)
    yield "eikonal", 0, of_eikonal
    for seed in SEEDS:
        yield "diffusion", seed, functools.partial(of_diffusion, seed)


def rows_of(
    method: str, seed: int, true: np.ndarray, traces: np.ndarray, train: np.ndarray, n_halves: int, noise: float
) -> pd.DataFrame:
    """The rows of a method, both sets of ECGs with white noise."""
    level, draws = noise * true.std(), np.random.default_rng([seed, 31])
    noisy = with_noise(true, level, draws)
    other = noisy if method == TEACHER else with_noise(traces, level, draws)
    table = compare(noisy, other, n_halves, paired=method not in (TEACHER, "diffusion"))
    if method in (TEACHER, "diffusion") and not noise:  # does it copy?
        apart = {"test": NEAREST, "n": len(traces), "statistic": nearest(traces, train)}
        table = pd.concat([table, pd.DataFrame(apart)])
    return table.assign(method=method, seed=seed, noise=noise)


def _shown(traces: np.ndarray) -> pd.DataFrame:
    """A few ECGs (n, T), one row a sample."""
    some, t = traces[:SHOWN], STEP * recipe(SET).frame_interval * np.arange(traces.shape[1])
    number, time = np.repeat(np.arange(len(some)), len(t)), np.tile(t, len(some))
    return pd.DataFrame({"number": number, "time": time, "phi_e": some.ravel()})


def main(folder: Path, halves: int, tissues: int | None) -> None:
    """All of it, and the tables in a folder, each method at once."""
    torch.set_num_threads(1)
    n = tissues or recipe(SET).n_sim
    write_table(diffusion_trainings(), folder / "population_trainings.csv")
    write_table(published_calls(n, halves), folder / "population_calls.csv", digits=5)
    train, true = learned()[0], central_ecg(SET, tuple(range(n)))[:, ::STEP]
    for method, seed, make in sources(n):
        kept = {
            end: pd.read_csv(path) if (path := folder / f"population{end}.csv").is_file() else pd.DataFrame()
            for end in ENDS
        }
        if len(kept[""]) and ((kept[""].method == method) & (kept[""].seed == seed)).any():
            continue
        traces, seconds = make()
        new = {
            "_cost": pd.Series(seconds, name="seconds")
            .rename_axis("part")
            .reset_index()
            .assign(method=method, seed=seed),
            "_traces": _shown(traces if seed == 0 else traces[:0]).assign(method=method),
            "": pd.concat(
                rows_of(method, seed, true, traces, train, halves, noise) for noise in NOISES[: 1 if seed else None]
            ),
        }
        for end in ENDS:  # the rows of the tests come last: they say that the method is done
            if len(new[end]):
                write_table(pd.concat([kept[end], new[end]]), folder / f"population{end}.csv", digits=5)
        found = new[""][new[""].test.isin([*CLASSIFIERS])].groupby(["noise", "test"]).statistic.mean()
        progress(f"{method}, seed {seed}: {found.round(3).to_dict()}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--halves", type=int, default=8, help="random halves")
    parser.add_argument("--tissues", type=int, help="of the set; all without")
    given = vars(parser.parse_args())
    main(tables_folder(parser, **given), **given)
