"""Gaps in recordings of many beats: what fills them best, and when does a template of the other beats help?

    python -m experiments.gaps                               all; recordings and trainings are found in the cache where they are done
    python -m experiments.gaps --tissues 40 --epochs 1 --seeds 1     a first look, its tables in data/cache

Tissues are paced with intervals that vary by up to 40 %, and simulated. All electrodes lose the same 50, 150 or 300 ms. The
idea of a template prior with a measure of confidence is that of PulseDiff (Jenkins et al., arXiv:2310.15742, 2023), that of a
learned period is from X2-Gaussian (Yu et al., ICCV 2025). Writes to ``data/results/runs``: gaps.csv, one row a tissue, kind
of recording, variation, length, method and seed; gaps_trainings.csv, one row a training; gaps_prior.csv, until where the
template helps; gaps_periods.csv, one row a tissue, variation and method; and gaps_examples.csv, one gap.
"""

import argparse
import functools
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
import xarray as xr
from numpy.lib.stride_tricks import sliding_window_view
from torch import Tensor, nn
from torch.nn import functional as F

from experiments.beats import some_electrodes, standardize
from experiments.draws import draw_until_kept, with_noise
from experiments.files import tables_folder, training_row, write_table
from forwardecg.cache import key
from forwardecg.data.draw import Draw
from forwardecg.data.recipe import Recipe
from forwardecg.measure.crps import crps_gaussian
from forwardecg.paths import CACHE, progress
from forwardecg.signals.beats import Pacing
from forwardecg.solver.simulation import simulate
from forwardecg.surrogates.train import TrainConfig, initialize, load_or_fit

VERSION = 1  # of a recording
SEED, CELLS, DT = 5200, 200, 5.0  # of the tissues; cells of 0.5 mm along a side; ms between samples
PACING = Pacing(t_end=3000.0, cycle_low=200.0, cycle_high=350.0, early=0.0)
VARIATIONS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4)  # largest deviation of an interval from the cycle, as a share
KINDS = ("intervals", "early beats", "noise")  # of recordings: the last two are in no training
HARDER, EARLY, NOISE = 0.1, 0.15, 0.1  # their variation; share of early beats; SD of the noise, of that of the trace
USUAL = 0.2  # variation up to which there is a period
LENGTHS = (50.0, 150.0, 300.0)  # ms, of the gaps
LEADS = ("center", *(f"unseen{k + 1}" for k in range(8)))
TESTED = ("center", "unseen1", "unseen5")  # their gaps are scored
WINDOW = 300  # samples that a network sees, the gap in their middle
CONTEXT, KEPT, APART = 40, 3, 20  # samples on either side of a gap that are compared; best places, their least distance
PERIODS = (0.14, 0.39)  # s, between which a period is looked for: no half and no double one
HARMONICS = 12
N_TEST = 25  # tissues, each at all variations


# Recordings


def load_or_record(sim: int, variation: float, early: float = 0.0) -> np.ndarray:
    """ECGs (lead, T) in mV mm/ms of a tissue that is paced with intervals that vary, from the cache if they are there."""
    pacing = replace(PACING, jitter=variation, early=early)
    own = Recipe(n_sim=sim + 1, n_cells=CELLS, t_end=pacing.t_end, seed=SEED)
    path = CACHE / "gaps" / f"{key('gaps', VERSION, replace(own, n_sim=1), sim, pacing, LEADS)}.npy"
    if not path.is_file():
        electrodes = some_electrodes(own.electrodes, LEADS)

        def record(drawn: Draw) -> xr.Dataset:
            beats = [replace(drawn.stimuli[0], start=start) for start in pacing.draw(SEED + sim)]
            return simulate(
                drawn.tissue, beats, t_end=own.t_end, electrodes=electrodes, frame_interval=own.t_end, ecg_interval=DT
            )

        _, found, _ = draw_until_kept(own, sim, record)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}.npy")
        np.save(part, found.phi_e.values.astype(np.float32))
        os.replace(part, path)
    return np.load(path)


def mean_interval(sim: int, variation: float) -> float:
    """Mean time between two beats in ms."""
    return float(np.diff(replace(PACING, jitter=variation).draw(SEED + sim)).mean())


class Recording(NamedTuple):
    """Tissue, variation and kind; traces (lead, T) as they are seen, and without noise, of median 0 and SD 1."""

    sim: int
    variation: float
    kind: str
    traces: np.ndarray
    clean: np.ndarray


def record(sim: int, variation: float, kind: str = KINDS[0]) -> Recording:
    """A recording of one of the `KINDS`."""
    clean = standardize(load_or_record(sim, variation, EARLY if kind == "early beats" else 0.0))
    return Recording(sim, variation, kind, with_noise(clean, NOISE, [SEED, sim]) if kind == "noise" else clean, clean)


def record_all(n: int) -> dict[str, list[Recording]]:
    """Recordings: of the test at all variations and of all kinds, of the others at one variation."""
    parts: dict[str, list[Recording]] = {"train": [], "val": [], "test": []}
    for sim in range(n):
        test = sim >= n - N_TEST
        part = "test" if test else "val" if sim % 6 == 5 else "train"
        variations = VARIATIONS if test else (VARIATIONS[(sim + sim // 5) % len(VARIATIONS)],)
        parts[part] += [record(sim, variation) for variation in variations]
        parts[part] += [record(sim, HARDER, kind) for kind in KINDS[1:]] if test else []
        progress(f"recording {sim + 1} of {n}")
    return parts


class Gap(NamedTuple):
    """What is lost of a trace (T,): samples start to start + length."""

    trace: np.ndarray
    start: int
    length: int

    @property
    def lost(self) -> np.ndarray:
        """The samples (length,) that are lost."""
        return self.of(self.trace)

    def of(self, trace: np.ndarray) -> np.ndarray:
        """These samples of another trace (T,)."""
        return trace[self.start : self.start + self.length]


def place_gaps(n_t: int, length: int, n: int, seed: int) -> np.ndarray:
    """Starts (n,) of gaps whose window lies within a recording of n_t samples."""
    half = WINDOW // 2
    return np.random.default_rng(seed).integers(half, n_t - half + 1, n) - length // 2


# Without a network


def interpolate(gap: Gap) -> np.ndarray:
    """A straight line (length,) from the last sample before the gap to the first one after it."""
    a, b = gap.trace[gap.start - 1], gap.trace[gap.start + gap.length]
    return a + (b - a) * np.arange(1, gap.length + 1) / (gap.length + 1)


class Template(NamedTuple):
    """What came at the places of the recording whose context is most like that of the gap (length,), and how like, 0 to 1."""

    mean: np.ndarray
    confidence: float


def template(gap: Gap) -> Template:
    """Mean of the best places, the better ones with more weight; how like is 1 - mean square difference / variance of the context."""
    n, c = gap.length, CONTEXT
    pieces = sliding_window_view(gap.trace, n + 2 * c)
    context = np.r_[0:c, c + n : n + 2 * c]
    here = pieces[gap.start - c, context]
    distance = np.square(pieces[:, context] - here).mean(1)
    first, best, far = np.arange(len(pieces)), list[int](), list[float]()
    distance[(first + n + 2 * c > gap.start) & (first < gap.start + n)] = np.inf  # they touch the gap
    while len(best) < KEPT and np.isfinite(distance).any():
        best.append(int(distance.argmin()))
        far.append(float(distance[best[-1]]))
        distance[np.abs(first - best[-1]) < APART] = np.inf
    variance = max(float(here.var()), 1e-9)
    weights = np.exp((far[0] - np.array(far)) / (far[0] + 0.01 * variance))
    mean = weights @ pieces[best, c : c + n] / weights.sum()
    return Template(mean, float(np.clip(1 - far[0] / variance, 0, 1)))


def matern(a: np.ndarray, b: np.ndarray, scale: float) -> np.ndarray:
    """Kernel (n, m) of Matern with smoothness 3/2, variance 1: (1 + r) exp(-r), r = sqrt(3) |a - b| / scale."""
    r = np.sqrt(3) * np.abs(a[:, None] - b) / scale
    return (1 + r) * np.exp(-r)


def gaussian_process(
    at: np.ndarray, values: np.ndarray, wanted: np.ndarray, scale: float, noise: float = 1e-3
) -> tuple[np.ndarray, np.ndarray, float]:
    """Mean and SD (m,) at the times wanted, given values (n,) at others with noise of this SD; and their log likelihood."""
    chol = np.linalg.cholesky(matern(at, at, scale) + noise**2 * np.eye(len(at)))
    alpha = np.linalg.solve(chol.T, np.linalg.solve(chol, values))
    cross = np.linalg.solve(chol, matern(at, wanted, scale))
    sd = np.sqrt(np.maximum(1 - np.square(cross).sum(0), 0))
    likelihood = -0.5 * values @ alpha - np.log(np.diag(chol)).sum() - 0.5 * len(at) * np.log(2 * np.pi)
    return matern(wanted, at, scale) @ alpha, sd, float(likelihood)


def process_gap(gap: Gap, around: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Mean and SD (length,) of a Gaussian process that sees so many samples on either side, its scale the most likely one."""
    end = gap.start + gap.length
    at = np.r_[gap.start - around : gap.start, end : end + around]
    t, wanted = DT * at, DT * np.arange(gap.start, end)
    found = [gaussian_process(t, gap.trace[at], wanted, scale) for scale in np.geomspace(10, 320, 6)]
    mean, sd, _ = max(found, key=lambda one: one[2])
    return mean, sd


def from_others(traces: np.ndarray, lead: int, gap: Gap, alpha: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Mean and SD (length,) from the other traces (lead, T), which have no gap: ridge of five lags, 10 ms apart.

    The SD is that of the errors that each sample would have if it alone were left out.
    """
    others = np.delete(traces, lead, 0)
    X = np.concatenate([np.roll(others, lag, 1) for lag in range(-4, 5, 2)] + [np.ones((1, traces.shape[1]))]).T
    kept = np.ones(len(X), bool)
    kept[:4] = kept[-4:] = False  # rolled over the ends
    kept[gap.start : gap.start + gap.length] = False
    A = np.linalg.solve(X[kept].T @ X[kept] + alpha * np.eye(X.shape[1]), X[kept].T)
    weights = A @ gap.trace[kept]
    leverage = np.einsum("ij,ji->i", X[kept], A)
    error = (gap.trace[kept] - X[kept] @ weights) / (1 - leverage)
    mean = X[gap.start : gap.start + gap.length] @ weights
    return mean, np.full(gap.length, error.std())


# With a network


@dataclass(frozen=True, kw_only=True)
class FillerConfig:
    """Whether a template is the prior; channels; dilations of the blocks, in samples."""

    prior: bool = False
    channels: int = 24
    dilations: tuple[int, ...] = (1, 2, 4, 8, 16, 32)
    kernel: int = 5


class Filler(nn.Module):
    """Prepared windows (B, C, T) -> mean and SD (B, T): residual blocks of dilated convolutions correct the prior in the gap."""

    def __init__(self, config: FillerConfig = FillerConfig()):
        super().__init__()
        self.config, c, k = config, config.channels, config.kernel
        self.stem = nn.Conv1d(2 + config.prior, c, k, padding=k // 2)
        self.blocks = nn.ModuleList(nn.Conv1d(c, c, k, padding=d * (k // 2), dilation=d) for d in config.dilations)
        self.head = nn.Conv1d(c, 2, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z = self.stem(x)
        for block in self.blocks:
            z = z + block(F.leaky_relu(z, 0.1))
        correction, sd = self.head(F.leaky_relu(z, 0.1)).unbind(1)
        return x[:, 0] + correction * x[:, 1], 1e-3 + F.softplus(sd)


def prepare(gap: Gap, prior: bool) -> np.ndarray:
    """A window (C, T) about a gap: the trace with the prior in the gap, where the gap is, and there how sure the prior is.

    Without a template the prior is the straight line. With one it is a mixture of both, by the confidence.
    """
    first = gap.start + gap.length // 2 - WINDOW // 2
    window = np.zeros((2 + prior, WINDOW), np.float32)
    window[0] = gap.trace[first : first + WINDOW]
    inside = slice(gap.start - first, gap.start - first + gap.length)
    filled, window[1, inside] = interpolate(gap), 1
    if prior:
        found = template(gap)
        filled = found.confidence * found.mean + (1 - found.confidence) * filled
        window[2, inside] = found.confidence
    window[0, inside] = filled
    return window


def crps(y: Tensor, mean: Tensor, sd: Tensor) -> Tensor:
    """CRPS of a Gaussian at each sample, as `crps_gaussian`, with gradients."""
    z = (y - mean) / sd
    density = torch.exp(-0.5 * z * z) / np.sqrt(2 * np.pi)
    return sd * (z * torch.erf(z / np.sqrt(2)) + 2 * density - 1 / np.sqrt(np.pi))


class GapTask:
    """Lost samples from what is left, a `train.Task`: a gap of 30 to 360 ms at a random place of each trace, drawn anew."""

    stage, version = "gaps", 1
    code: tuple[str, ...] = ()

    def __init__(self, train: np.ndarray, val: np.ndarray, prior: bool):
        self.train, self.val, self.prior, self.n_train = train, val, prior, len(train)
        gaps = [gap for n, trace in enumerate(val) for gap in gaps_of(trace, 1, n)]
        self.seen = self._stack(gaps)

    def _stack(self, gaps: list[Gap]) -> tuple[Tensor, Tensor, Tensor]:
        """Windows (B, C, T), traces (B, T) and where they are lost (B, T)."""
        x = torch.from_numpy(np.stack([prepare(gap, self.prior) for gap in gaps]))
        starts = [gap.start + gap.length // 2 - WINDOW // 2 for gap in gaps]
        y = np.stack([gap.trace[first : first + WINDOW] for gap, first in zip(gaps, starts, strict=True)])
        return x, torch.from_numpy(y).float(), x[:, 1]

    def fingerprint(self) -> tuple:
        """The prior, how gaps and templates are made, and a hash of all traces."""
        read = sha256()
        for values in (self.train, self.val):
            read.update(np.ascontiguousarray(values).data)
        return self.prior, WINDOW, LENGTHS, CONTEXT, KEPT, APART, read.hexdigest()

    def draw(self, members: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """A gap in each of these traces, which has its sign drawn anew."""
        n, half = len(members), WINDOW // 2
        lengths = torch.randint(6, 73, (n,), generator=generator)
        middles = torch.randint(half, self.train.shape[1] - half + 1, (n,), generator=generator)
        signs = 1.0 - 2.0 * torch.randint(2, (n,), generator=generator)
        drawn = zip(members.tolist(), lengths.tolist(), middles.tolist(), signs.tolist(), strict=True)
        gaps = [Gap(sign * self.train[k], middle - length // 2, length) for k, length, middle, sign in drawn]
        return self._stack(gaps)

    def loss(self, model: Any, drawn: Any, rows: Tensor, done: float) -> Tensor:
        """CRPS (len(rows),), mean over the samples that are lost."""
        x, y, lost = (one[rows] for one in drawn)
        mean, sd = model(x)
        return (crps(y, mean.float(), sd.float()) * lost).sum(1) / lost.sum(1)

    @torch.no_grad()
    def score(self, model: Any) -> float:
        """Minus the CRPS of the gaps of the validation traces: in the place of R2."""
        return -float(self.loss(model, self.seen, torch.arange(len(self.seen[0])), 1.0).mean())


def gaps_of(trace: np.ndarray, n: int, seed: int) -> Iterator[Gap]:
    """Gaps of all lengths in one trace, n of each."""
    for length in (round(one / DT) for one in LENGTHS):
        for start in place_gaps(len(trace), length, n, seed):
            yield Gap(trace, int(start), length)


@torch.no_grad()
def fill(model: Filler, gaps: list[Gap]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Mean and SD (length,) that a network gives for each gap."""
    x = torch.from_numpy(np.stack([prepare(gap, model.config.prior) for gap in gaps]))
    found = zip(x[:, 1] > 0, *model.eval()(x), strict=True)
    return [(mean[lost].double().numpy(), sd[lost].double().numpy()) for lost, mean, sd in found]


# The period


def autocorrelation_period(trace: np.ndarray) -> float:
    """The lag in ms at which a trace is most like itself, by a parabola through the highest value and its neighbors."""
    z = trace - trace.mean()
    low, high = (round(1000 * one / DT) for one in PERIODS)
    r = np.array([z[:-lag] @ z[lag:] / (len(z) - lag) for lag in range(low - 1, high + 2)])
    k = 1 + int(r[1:-1].argmax())
    a, b, c = r[k - 1 : k + 2]
    bend = a - 2 * b + c
    return DT * (low - 1 + k + (0.5 * (a - c) / bend if bend < 0 else 0.0))


def learned_periods(traces: np.ndarray, start: np.ndarray, steps: int = 150) -> np.ndarray:
    """Periods (n,) in ms of traces (n, T), by gradient from the given ones: those whose harmonics leave the least.

    For each period the amplitudes of the harmonics are those of least squares, so that the period alone is learned.
    """
    y = torch.from_numpy(traces - traces.mean(1, keepdims=True)).double()[..., None]
    t, k = DT * torch.arange(traces.shape[1], dtype=torch.float64), torch.arange(1, HARMONICS + 1)
    log = torch.from_numpy(np.log(start)).requires_grad_()
    optimizer = torch.optim.Adam([log], lr=5e-4)

    def remainder() -> Tensor:
        angle = 2 * np.pi * t[:, None] * k / log.exp()[:, None, None]  # (n, T, harmonic)
        X = torch.cat([torch.ones_like(angle[..., :1]), angle.cos(), angle.sin()], -1)
        gram = X.mT @ X + 1e-6 * torch.eye(X.shape[-1], dtype=torch.float64)
        return (y - X @ torch.linalg.solve(gram, X.mT @ y)).square().mean((1, 2))

    for _ in range(steps):
        optimizer.zero_grad()
        remainder().sum().backward()
        optimizer.step()
    return log.detach().exp().numpy()


# All of it


def spreads(recordings: list[Recording]) -> dict[tuple[str, float, int], np.ndarray]:
    """SD (length,) of the errors of the line and of the template, by variation and length, on training recordings."""
    errors: dict[tuple[str, float, int], list[np.ndarray]] = {}
    for one in recordings:
        for lead in TESTED:
            for gap in gaps_of(one.traces[LEADS.index(lead)], 2, one.sim):
                for method, mean in (("line", interpolate(gap)), ("template", template(gap).mean)):
                    errors.setdefault((method, one.variation, gap.length), []).append(mean - gap.lost)
    found = {name: np.sqrt(np.square(some).mean(0)) for name, some in errors.items()}
    return {name: (sd + sd[::-1]) / 2 for name, sd in found.items()}  # both ends of a gap alike


def run(n: int, config: TrainConfig, seeds: int) -> dict[str, pd.DataFrame]:
    """The tables by name."""
    parts = record_all(n)
    train, val = (np.concatenate([one.traces for one in parts[name]]) for name in ("train", "val"))
    val = val[:: len(LEADS)]  # the central one
    fillers, trained = list[tuple[str, int, Filler]](), list[dict[str, Any]]()
    for prior in (False, True):
        task = GapTask(train, val, prior)
        for seed in range(seeds):
            model = initialize(functools.partial(Filler, FillerConfig(prior=prior)), seed)
            history = load_or_fit(model, task, replace(config, seed=seed))
            fillers.append(("network, template" if prior else "network", seed, model))
            trained.append(training_row({"method": fillers[-1][0], "seed": seed}, history))
    sd, rows, example = spreads(parts["train"] + parts["val"]), list[dict[str, Any]](), list[pd.DataFrame]()
    for sim, variation, kind, traces, clean in parts["test"]:
        for lead in TESTED:
            gaps = [*gaps_of(traces[LEADS.index(lead)], 2, 1000 + sim)]
            true = [gap.of(clean[LEADS.index(lead)]) for gap in gaps]
            found: dict[tuple[str, int], list[tuple[np.ndarray, np.ndarray]]] = {
                ("line", 0): [(interpolate(gap), sd["line", variation, gap.length]) for gap in gaps],
                ("template", 0): [(template(gap).mean, sd["template", variation, gap.length]) for gap in gaps],
                ("Gaussian process", 0): [process_gap(gap) for gap in gaps],
                ("other electrodes", 0): [from_others(traces, LEADS.index(lead), gap) for gap in gaps],
            } | {(name, seed): fill(model, gaps) for name, seed, model in fillers}
            for (method, seed), pairs in found.items():
                for lost, (mean, spread) in zip(true, pairs, strict=True):
                    score = crps_gaussian(lost[None], mean[None], spread[None]).mean()
                    own = {"sim": sim, "kind": kind, "variation": variation, "gap": DT * len(lost), "method": method}
                    rows.append(own | {"seed": seed, "crps": score, "mae": np.abs(mean - lost).mean()})
                if (lead, sim, variation, kind, seed) == (TESTED[0], n - N_TEST, USUAL, KINDS[0], 0):
                    example.append(_draw(gaps[2], variation, method, *pairs[2]))  # the first one of the second length
        progress(f"tissue {sim}, variation {variation:g}, {kind}")
    scores = pd.DataFrame(rows).groupby(["sim", "kind", "variation", "gap", "method", "seed"], as_index=False).mean()
    usual = [one for one in parts["test"] if one.kind == KINDS[0] and one.variation <= USUAL]
    return {
        "gaps": scores, "gaps_trainings": pd.DataFrame(trained), "gaps_prior": compare_priors(scores),
        "gaps_periods": periods(usual), "gaps_examples": pd.concat(example),
    }  # fmt: skip


def crossing(gain: np.ndarray, variations: np.ndarray) -> float:
    """The variation at which a gain (variation,) is used up: 0 if there is none, the largest one if it never is."""
    used = np.flatnonzero(gain <= 0)
    if not used.size:
        return float(variations[-1])
    k = used[0]
    if k == 0:
        return 0.0
    return float(np.interp(0.0, [-gain[k - 1], -gain[k]], variations[k - 1 : k + 1]))


def compare_priors(scores: pd.DataFrame, draws: int = 2000) -> pd.DataFrame:
    """By length of the gap: until which variation the template lowers the CRPS of a network, with an interval over seeds and tissues."""
    rows, rng = [], np.random.default_rng(0)
    for length, some in scores[scores.kind == KINDS[0]].groupby("gap"):
        one, other = (
            some[some.method == name].pivot(index="variation", columns=["seed", "sim"], values="crps")
            for name in ("network", "network, template")
        )
        variations, n_seed, n_tissue = one.index.to_numpy(), some.seed.nunique(), some.sim.nunique()
        gain = (one - other).to_numpy().reshape(len(one), n_seed, n_tissue)
        found = []
        for _ in range(draws):
            seeds, tissues = rng.integers(n_seed, size=n_seed), rng.integers(n_tissue, size=n_tissue)
            found.append(crossing(gain[:, seeds][..., tissues].mean((1, 2)), variations))
        low, high = np.quantile(found, [0.025, 0.975])
        rows.append({"gap": length, "until": crossing(gain.mean((1, 2)), variations), "low": low, "high": high})
    return pd.DataFrame(rows)


def _draw(gap: Gap, variation: float, method: str, mean: np.ndarray, sd: np.ndarray) -> pd.DataFrame:
    """One gap as a method fills it, its window beside it."""
    first = gap.start + gap.length // 2 - WINDOW // 2
    table = pd.DataFrame({"time": DT * np.arange(first, first + WINDOW), "true": gap.trace[first : first + WINDOW]})
    inside = slice(gap.start - first, gap.start - first + gap.length - 1)
    table.loc[inside, "mean"], table.loc[inside, "sd"] = mean, sd
    return table.assign(variation=variation, method=method)


def periods(recordings: list[Recording]) -> pd.DataFrame:
    """Mean interval of each recording and what two methods find, from the central trace."""
    table = pd.DataFrame([(one.sim, one.variation) for one in recordings], columns=["sim", "variation"])
    true = [mean_interval(one.sim, one.variation) for one in recordings]
    traces = np.stack([one.traces[LEADS.index("center")] for one in recordings])
    start = np.array([autocorrelation_period(trace) for trace in traces])
    found = {"autocorrelation": start, "learned": learned_periods(traces, start)}
    return pd.concat([table.assign(interval=true, method=name, period=value) for name, value in found.items()])


def main(folder: Path, tissues: int, epochs: int, seeds: int) -> None:
    """All of it, and the tables in a folder."""
    torch.set_num_threads(1)
    config = TrainConfig(epochs=epochs, batch=16, lr=4e-3, weight_decay=1e-3, ema=0.9)
    for name, table in run(tissues, config, seeds).items():
        write_table(table, folder / f"{name}.csv", digits=4)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--tissues", type=int, default=80, help=f"the last {N_TEST} are the test")
    parser.add_argument("--epochs", type=int, default=20, help="of each training")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each network")
    given = vars(parser.parse_args())
    main(tables_folder(parser, **given), **given)
