"""Delineators: four losses, three seeds, read on recordings whose labels the voltage gives, beside a rule and a library.

    python -m experiments.delineation               all; recordings and trainings are found in the cache where they are done
    python -m experiments.delineation --tissues 20 --epochs 1 --seeds 1 --singles 2      a first look

Writes to ``data/results/runs``: ``delineation.csv``, one row a tissue, reader, seed, noise and wave, and the tries of
the slope rule on the validation tissues; ``delineation_errors``, how often which error occurs; ``delineation_traces``,
two recordings with their marks; ``delineation_levels``, marks between samples at other levels of the probability;
``delineation_patient``, an annotated ECG; ``delineation_marks``, the shifts of marks from the true ECG to those of the
surrogates; ``delineation_composed``, trainings with composed traces; and ``delineation_trainings``, one row a training.
The losses are those of `forwardecg.signals.losses`, and F1Instance starts after half of the training. The network is the
U-Net of ECG-DelNet (Jimenez-Perez et al., Sci. Rep. 11:863, 2021) in small; the published claim is not reproduced, an
idea is carried over.
"""

import argparse
import functools
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from itertools import pairwise, product
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from scipy.ndimage import label
from torch import Tensor, nn
from torch.nn import functional as F

from experiments import beats, marks
from experiments.beats import DT, Recordings, Traces
from experiments.files import training_row, write_table
from experiments.marks import (
    NOISES,
    RULE_GAP,
    SHARES,
    SHORTEST,
    SMOOTHINGS,
    TOLERANCE,
    TOLERANCES,
    add_noise,
    compare,
    compare_peaks,
    slope_rule,
    summarize,
)
from forwardecg.paths import RESULTS, progress
from forwardecg.signals.beats import WAVES
from forwardecg.signals.compose import compose_recording, cut_segments
from forwardecg.signals.intervals import summarize_intervals
from forwardecg.signals.losses import bound_dice, dice, f1_instance
from forwardecg.surrogates.train import TrainConfig, initialize, load_or_fit

WINDOW = 640  # samples that a step sees of a trace
PASS = 1080  # traces that an epoch passes over, whatever there are: all trainings take as many steps
FEW = 4  # one in so many training tissues, where few are asked for
FINE = 0.5  # ms between the times at which marks may lie if they are read between samples
LEVELS = (0.5, 0.4, 0.3, 0.2, 0.1)  # of the probability, at which a wave may begin and end


@dataclass(frozen=True, kw_only=True)
class UNetConfig:
    """Channels of the levels, each ``pool`` times as coarse as the one before; kernels in samples."""

    channels: tuple[int, ...] = (8, 16, 32, 40)  # 36,500 weights: 146 kB
    kernel: int = 7
    pool: int = 4
    waves: int = len(WAVES)


class UNet(nn.Module):
    """ECG (B, T) -> logits (B, wave, T).

    Down by means, up by straight lines, each level joined to its equal.
    """

    def __init__(self, config: UNetConfig = UNetConfig()):
        super().__init__()
        self.config, c = config, config.channels
        self.down = nn.ModuleList(self._block(a, b) for a, b in pairwise((1, *c)))
        self.up = nn.ModuleList(self._block(a + b, b) for b, a in pairwise(c))
        self.head = nn.Conv1d(c[0], config.waves, 1)

    def _block(self, n_in: int, n_out: int) -> nn.Sequential:
        k = self.config.kernel
        conv = nn.Conv1d(n_in, n_out, k, padding=k // 2)
        return nn.Sequential(conv, nn.GroupNorm(1, n_out), nn.LeakyReLU(0.1))

    def forward(self, ecg: Tensor) -> Tensor:
        n_t, pool = ecg.shape[-1], self.config.pool
        whole = pool ** (len(self.down) - 1)
        x = F.pad(ecg[:, None], (0, -n_t % whole), mode="replicate")  # (B, 1, T')
        levels = []
        for k, block in enumerate(self.down):
            x = block(F.avg_pool1d(x, pool) if k else x)  # (B, C, T' / pool^k)
            levels.append(x)
        for k in reversed(range(len(self.up))):
            same = levels[k]
            x = F.interpolate(x, same.shape[-1], mode="linear")
            x = self.up[k](torch.cat([x, same], 1))  # (B, C, T' / pool^k)
        return self.head(x)[..., :n_t]  # (B, wave, T)


def cross_entropy(logits: Tensor, y: Tensor) -> Tensor:
    """Binary cross-entropy (B,), mean over waves and samples."""
    return F.binary_cross_entropy_with_logits(logits, y, reduction="none").mean((-2, -1))


@dataclass(frozen=True, kw_only=True)
class Terms:
    """Weights of the terms of a loss; that of F1Instance rises between ``warm`` and ``warm`` + 0.1 of the training."""

    bce: float = 0.0
    dice: float = 0.0
    bound: float = 0.0
    instance: float = 0.0
    warm: float = 0.5

    def loss(self, logits: Tensor, y: Tensor, done: float) -> Tensor:
        """The sum (B,) of the terms at the share ``done`` of the training."""
        p, late = logits.sigmoid(), min(max((done - self.warm) / 0.1, 0.0), 1.0)
        found = torch.zeros(len(y))
        if self.bce:
            found = found + self.bce * cross_entropy(logits, y)
        for weight, term in ((self.dice, dice), (self.bound, bound_dice), (late * self.instance, f1_instance)):
            found = found + weight * term(p, y) if weight else found
        return found


LOSSES = {
    "BCE": Terms(bce=1.0),
    "Dice": Terms(dice=1.0),
    "Dice + BoundDice": Terms(dice=1.0, bound=1.0),
    "Dice + BoundDice + F1Instance": Terms(dice=1.0, bound=1.0, instance=0.1),
}


class DelineationTask:
    """Labels from traces, a `train.Task`: windows with their sign, noise and a wandering baseline drawn anew."""

    stage, version = "delineation", 1
    code: tuple[str, ...] = ("signals/losses", "signals/intervals")

    def __init__(self, train: Traces, val: Traces, terms: Terms):
        self.train, self.val, self.terms, self.n_train = train, val, terms, len(train.ecg)
        self.ecg, self.labels = torch.from_numpy(train.ecg).float(), torch.from_numpy(train.labels).float()

    def fingerprint(self) -> tuple:
        """Terms, windows, and a hash of all traces."""
        read = sha256()
        for part in (self.train, self.val):
            for values in (part.ecg, part.labels):
                read.update(np.ascontiguousarray(values).data)
        return asdict(self.terms), WINDOW, SHORTEST, read.hexdigest()

    def draw(self, members: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Windows (B, T) of these traces, distorted, and their labels (B, wave, T)."""
        draw = functools.partial(torch.rand, generator=generator)
        n, n_t = len(members), min(WINDOW, self.ecg.shape[-1])
        starts = (draw(n) * (self.ecg.shape[-1] - n_t + 1)).long()
        at = starts[:, None] + torch.arange(n_t)
        ecg = self.ecg[members].gather(1, at)
        y = self.labels[members].gather(2, at[:, None].expand(-1, self.labels.shape[1], -1))
        sign = torch.where(draw(n, 1) < 0.5, -1.0, 1.0) * (0.7 + 0.6 * draw(n, 1))
        noise = 0.2 * draw(n, 1) * torch.randn(n, n_t, generator=generator)
        hertz, phase = 0.1 + 0.5 * draw(n, 1), 2 * np.pi * draw(n, 1)
        wander = 0.3 * draw(n, 1) * torch.sin(2 * np.pi * hertz * DT / 1000 * torch.arange(n_t) + phase)
        return sign * ecg + noise + wander, y

    def loss(self, model: Any, drawn: Any, rows: Tensor, done: float) -> Tensor:
        """The terms (len(rows),) of these windows."""
        ecg, y = (one[rows] for one in drawn)
        return self.terms.loss(model(ecg).float(), y, done)

    def score(self, model: Any) -> float:
        """F1 of the validation traces with noise, mean over the waves: in the place of R2."""
        rows = compare(self.val, predict(model, add_noise(self.val.ecg, NOISES[-1])))
        return float(np.mean([summarize_intervals(rows[rows.wave == wave]).f1 for wave in WAVES]))


@torch.no_grad()
def predict(model: nn.Module, ecg: np.ndarray) -> np.ndarray:
    """Labels (n, wave, T) bool of traces (n, T)."""
    return (model.eval()(torch.from_numpy(ecg).float()) > 0).numpy()


@torch.no_grad()
def predict_between(model: nn.Module, ecg: np.ndarray, level: float) -> np.ndarray:
    """Labels (n, wave, T') every `FINE` ms of traces (n, T): where the probability, between samples linear, is above a level.

    A wave is there only if its probability is above one half somewhere.
    """
    p = model.eval()(torch.from_numpy(ecg).float()).sigmoid()
    fine = F.interpolate(p, round((p.shape[-1] - 1) * DT / FINE) + 1, mode="linear", align_corners=True).numpy()
    found = np.zeros(fine.shape, bool)
    for k in np.ndindex(fine.shape[:2]):
        pieces, _ = label(fine[k] > level)
        found[k] = (pieces > 0) & np.isin(pieces, pieces[fine[k] > 0.5])
    return found


def repeat(traces: Traces, n: int = PASS) -> Traces:
    """n traces: these, over and over."""
    return Traces(*(part[np.arange(n) % len(traces.ecg)] for part in traces))


def delineator(train: Traces, val: Traces, terms: Terms, config: TrainConfig) -> tuple[UNet, pd.DataFrame]:
    """A trained network, from the cache if it is there, and its history."""
    model = initialize(UNet, config.seed)
    return model, load_or_fit(model, DelineationTask(repeat(train), val, terms), config)


def compose(train: Traces, n: int, seed: int = 0) -> Traces:
    """n new traces of the segments of training traces, as long as those."""
    pool = [piece for ecg, labels in zip(train.ecg, train.labels, strict=True) for piece in cut_segments(ecg, labels)]
    made = [compose_recording(pool, train.ecg.shape[-1], seed + k) for k in range(n)]
    ecg, labels = (np.stack(parts) for parts in zip(*made, strict=True))
    return Traces(beats.standardize(ecg), labels, np.full(n, -1), np.full(n, "composed"))


def together(*several: Traces) -> Traces:
    """All traces in one."""
    return Traces(*(np.concatenate(parts) for parts in zip(*several, strict=True)))


class Trained(NamedTuple):
    """A delineator, its history, and what it was trained on: so many tissues, and whether composed traces beside them."""

    method: str
    tissues: int
    composed: bool
    seed: int
    model: UNet
    history: pd.DataFrame

    def read(self, ecg: np.ndarray) -> np.ndarray:
        return predict(self.model, ecg)

    @property
    def named(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("method", "tissues", "composed", "seed")}

    @property
    def labels(self) -> dict[str, Any]:
        """With the best epoch, counted from 1."""
        return self.named | {"epoch": 1 + int(np.argmax(self.history.val_r2))}


def train_losses(parts: dict[str, Traces], config: TrainConfig, seeds: int) -> list[Trained]:
    """One delineator for each loss and seed."""
    n = len({*parts["train"].sim})
    return [
        Trained(name, n, False, seed, *delineator(parts["train"], parts["val"], terms, replace(config, seed=seed)))
        for name, terms in LOSSES.items()
        for seed in range(seeds)
    ]


def train_composed(parts: dict[str, Traces], config: TrainConfig, seeds: int, best: str) -> list[Trained]:
    """The best loss on few tissues, and with composed traces beside few or all: as many as make them those of all, or twice."""
    train, found = parts["train"], list[Trained]()
    few = Traces(*(part[np.isin(train.sim, np.unique(train.sim)[::FEW])] for part in train))
    sets = {  # number of tissues, whether composed
        (len({*few.sim}), False): few,
        (len({*few.sim}), True): together(few, compose(few, len(train.ecg) - len(few.ecg))),
        (len({*train.sim}), True): together(train, compose(train, len(train.ecg))),
    }
    for (n, composed), traces in sets.items():
        for seed in range(seeds):
            own = replace(config, seed=seed)
            found.append(Trained(best, n, composed, seed, *delineator(traces, parts["val"], LOSSES[best], own)))
    return found


def choose(val: pd.DataFrame) -> str:
    """The loss with the highest F1 on the validation tissues, mean over tissues, waves and seeds."""
    return str(val.groupby("method", sort=False).f1.mean().idxmax())


def try_rules(val: Traces) -> pd.DataFrame:
    """Scores of the slope rule on the validation tissues, with noise, for each share and smoothing."""
    ecg = add_noise(val.ecg, NOISES[-1], seed=1)
    tables = [
        compare(val, slope_rule(ecg, share, smooth), RULE_GAP).assign(share=share, smooth=smooth)
        for share, smooth in product(SHARES, SMOOTHINGS)
    ]
    of = summarize(pd.concat(tables, ignore_index=True), ["share", "smooth", "wave", "sim"])
    return of.assign(
        part="val",
        method="slope rule",
        tissues=0,
        composed=False,
        seed=0,
        epoch=0,
        noise=NOISES[-1],
        tolerance=TOLERANCE,
    )


def choose_rule(tried: pd.DataFrame) -> dict[str, float]:
    """Share and smoothing with the highest F1 on the validation tissues, as the loss is chosen."""
    means = tried.groupby(["share", "smooth"], as_index=False).f1.mean()
    best = means.iloc[int(np.argmax(means.f1))]
    return {name: float(best[name]) for name in ("share", "smooth")}


def score(true: Traces, reader: Trained, noises: Sequence[float] = NOISES) -> pd.DataFrame:
    """Rows of `compare` of a delineator on some traces, at each noise and with each tolerance."""
    tables = [
        compare(true, labels, tolerance=tolerance).assign(noise=noise, tolerance=tolerance)
        for noise in noises
        for labels in (reader.read(add_noise(true.ecg, noise, seed=1)),)
        for tolerance in TOLERANCES
    ]
    return pd.concat(tables, ignore_index=True).assign(**reader.labels)


def score_levels(true: Traces, readers: list[Trained], levels: Sequence[float]) -> pd.DataFrame:
    """Scores of marks between samples, with noise, at some levels; the labels are those of every `FINE` ms."""
    ecg = add_noise(true.ecg, NOISES[-1], seed=1)
    tables = [
        compare(true, predict_between(one.model, ecg, level), tolerance=TOLERANCES[-1], dt=FINE).assign(
            level=level, seed=one.seed
        )
        for one in readers
        for level in levels
    ]
    return summarize(pd.concat(tables, ignore_index=True), ["level", "wave", "seed", "sim"])


def try_levels(which: Recordings, parts: dict[str, Traces], readers: list[Trained]) -> pd.DataFrame:
    """All `LEVELS` on the validation tissues; one half, and the one with the smallest errors there, on those of the test."""
    sims = beats.split(which.n)
    val, test = (parts[part]._replace(labels=beats.exact_labels(which, sims[part], FINE)) for part in ("val", "test"))
    tried = score_levels(val, readers, LEVELS)
    errors = tried[tried.wave == WAVES[0]].groupby("level")[["onset", "offset"]].mean().sum(axis=1)
    used = score_levels(test, readers, sorted({0.5, float(str(errors.idxmin()))}, reverse=True))
    return pd.concat([tried.assign(part="val"), used.assign(part="test")])


def score_others(true: Traces, rule: dict[str, float]) -> pd.DataFrame:
    """The same rows of the slope rule and of the library, whose peaks know no tolerance."""
    tables = []
    for noise in NOISES:
        ecg = add_noise(true.ecg, noise, seed=1)
        found = {name: compare_peaks(true, one) for name, one in marks.library_marks(ecg).items()}
        labels = slope_rule(ecg, **rule)
        for tolerance in TOLERANCES:
            found["slope rule"] = compare(true, labels, RULE_GAP, tolerance)
            tables += [one.assign(method=name, noise=noise, tolerance=tolerance) for name, one in found.items()]
    return pd.concat(tables, ignore_index=True).assign(tissues=0, composed=False, seed=0, epoch=0)


def count_errors(rows: pd.DataFrame) -> pd.DataFrame:
    """How often each error (ms) of an edge occurs, over seeds and tissues."""
    rows = rows[rows.tolerance == TOLERANCES[-1]]
    by = ["method", "noise", "wave", "edge", "error"]
    edges = [rows.rename(columns={f"{edge}_error": "error"}).assign(edge=edge) for edge in ("onset", "offset")]
    whole = pd.concat([one[by] for one in edges], ignore_index=True).dropna()
    return whole.value_counts(by, sort=False).rename("count").reset_index()


def example_traces(true: Traces, rows: pd.DataFrame, reader: Trained) -> pd.DataFrame:
    """The first lead of two tissues, by rank: the middle one and the last one in the mean |error| of the depolarization."""
    of = rows[(rows.wave == WAVES[0]) & (rows.noise == NOISES[-1]) & (rows.tolerance == TOLERANCE)]
    found = summarize(of, ["sim"]).set_index("sim")
    order = (found.onset_mean + found.offset_mean + 1e3 * (1 - found.f1)).sort_values(kind="stable").index
    ecg, tables = add_noise(true.ecg, NOISES[-1], seed=1), []
    for rank, sim in (("middle", order[len(order) // 2]), ("last", order[-1])):
        k = np.flatnonzero(true.sim == sim)[:1]
        marked = dict(zip(WAVES, true.labels[k[0]], strict=True))
        marked |= {f"{wave}_read": one for wave, one in zip(WAVES, reader.read(ecg[k])[0], strict=True)}
        columns = {name: labels.astype(int) for name, labels in marked.items()}
        tables.append(
            pd.DataFrame({"rank": rank, "sim": sim, "time": DT * np.arange(ecg.shape[-1]), "ecg": ecg[k[0]]} | columns)
        )
    return pd.concat(tables, ignore_index=True)


def read_surrogates(readers: list[Trained], many: dict[str, Traces], singles: dict[str, Traces]) -> pd.DataFrame:
    """Shifts of the marks from the true ECG to those of surrogates, one row a tissue, source, noise, wave and seed."""
    by = ["beats", "source", "noise", "wave", "seed", "sim"]
    rows = [
        marks.shift_marks(one.read, sources).assign(beats=kind, seed=one.seed)
        for one in readers
        for kind, sources in (("many", many), ("one", singles))
    ]
    return summarize(pd.concat(rows, ignore_index=True), by)


def read_patient(model: nn.Module) -> pd.DataFrame:
    """The annotated ECG of a patient, read by a delineator of simulated beats: its depolarization against P and against QRS.

    What it finds before the first mark of a lead, and after the last one, nobody has judged: it is no row.
    """
    true, given = beats.annotated()
    found = predict(model, true.ecg)[:, :1]
    return _judge(true, given, lambda one: compare(one, found))


def _judge(true: Traces, given: pd.DataFrame, read: Callable[[Traces], pd.DataFrame]) -> pd.DataFrame:
    """Rows of a reader, on P and on QRS in turn, between the first and the last mark of a lead."""
    ends = DT * given.groupby("lead").agg({"onset_sample": "min", "offset_sample": "max"})
    tables = []
    for k, wave in enumerate(("P", "QRS")):
        table = read(true._replace(labels=true.labels[:, k : k + 1])).assign(wave=wave).join(ends, on="lead")
        judged = (table.offset >= table.onset_sample) & (table.onset <= table.offset_sample)
        tables.append(table[judged].drop(columns=["onset_sample", "offset_sample"]))
    return pd.concat(tables)


def read_patient_otherwise(rule: dict[str, float]) -> pd.DataFrame:
    """The same rows of the slope rule and of the library, which is made for such ECGs."""
    true, given = beats.annotated()
    labels = slope_rule(true.ecg, **rule)
    tables = [_judge(true, given, lambda one: compare(one, labels, RULE_GAP)).assign(method="slope rule")]
    for name, found in marks.library_marks(true.ecg).items():
        tables.append(_judge(true, given, functools.partial(compare_peaks, marks=found)).assign(method=name))
    return pd.concat(tables).assign(seed=0)


def run(which: Recordings, config: TrainConfig, seeds: int, singles: int) -> Iterator[tuple[str, pd.DataFrame]]:
    """The tables by name, each as soon as it is there."""
    parts = {name: beats.traces(which, sims) for name, sims in beats.split(which.n).items()}
    by = ["part", "method", "tissues", "composed", "seed", "epoch", "noise", "tolerance", "wave", "sim"]
    readers = train_losses(parts, config, seeds)
    val = pd.concat([score(parts["val"], one, NOISES[-1:]) for one in readers]).query("tolerance == @TOLERANCE")
    found = summarize(val.assign(part="val"), by)
    best = choose(found)
    tried = try_rules(parts["val"])
    rule = choose_rule(tried)
    progress(f"chosen on the validation tissues: {best}; slope rule with {rule}")
    chosen = [one for one in readers if one.method == best]
    test = pd.concat([score(parts["test"], one) for one in readers] + [score_others(parts["test"], rule)])
    scored = summarize(test.assign(part="test"), by)
    scored.loc[scored.method == "slope rule", [*rule]] = [*rule.values()]
    whole = pd.concat([found, tried, scored], ignore_index=True)
    yield "delineation", whole
    for key, group in whole.query("part == 'test' and noise > 0").groupby(["method", "tolerance", "wave"], sort=False):
        progress(
            f"{key}: F1 {group.f1.mean():.3f}, onset {group.onset.mean():.1f} ms, offset {group.offset.mean():.1f} ms"
        )
    yield "delineation_errors", count_errors(test)
    yield "delineation_traces", example_traces(parts["test"], test[test.method == best], chosen[0])
    yield "delineation_levels", try_levels(which, parts, chosen)
    try:
        patient = [read_patient(one.model).assign(method=one.method, seed=one.seed) for one in readers]
        read = pd.concat([*patient, read_patient_otherwise(rule)])
        yield "delineation_patient", summarize(read, ["wave", "method", "seed", "lead"])
    except FileNotFoundError as error:
        progress(f"no patient: {error}")
    many = marks.many_beats(which, beats.split(which.n)["test"])
    yield "delineation_marks", read_surrogates(chosen, many, marks.single_beats(singles))
    composed = train_composed(parts, config, seeds, best)
    more = [score(parts["test"], one, NOISES[-1:]) for one in composed]
    yield "delineation_composed", summarize(pd.concat(more).assign(part="test"), by)
    yield "delineation_trainings", pd.DataFrame(training_row(one.named, one.history) for one in readers + composed)


def main(tissues: int, cells: int, epochs: int, seeds: int, singles: int, jobs: int) -> None:
    """All of it, and the tables."""
    torch.set_num_threads(1)
    which = Recordings(n=tissues, n_cells=cells)
    beats.simulate_all(which, jobs)
    config = TrainConfig(epochs=epochs, batch=16, lr=4e-3, weight_decay=1e-3, ema=0.9)
    for name, table in run(which, config, seeds, singles):
        progress(f"{name}: {len(table)} rows")
        write_table(table, RESULTS / "runs" / f"{name}.csv", digits=3)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--tissues", type=int, default=100, help="recordings, a quarter of them the test")
    parser.add_argument("--cells", type=int, default=200, help="cells along a side of the sheets")
    parser.add_argument("--epochs", type=int, default=15, help="of each training")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each loss")
    parser.add_argument("--singles", type=int, default=30, help="single beats, which the paper's network reads")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="recordings simulated side by side")
    main(**vars(parser.parse_args()))
