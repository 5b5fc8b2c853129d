"""What does not belong in a movie of the voltage? ``data/results/runs/anomaly.csv``, ``anomaly_maps.csv``, ``anomaly_trainings.csv``.

    python -m experiments.anomaly                     all but the rows that are in the table; networks are kept in the cache
    python -m experiments.anomaly --movies 2 --seeds 1 --epochs 2       a first look, its tables in data/cache

Sheets of 100 mm, maps of 2 mm every 5 ms. A disc that conducts worse, or a second focus, is the anomaly. Healthy sheets
train a network that predicts the next frame, and give every threshold; development movies chose what is scored, and test
movies are scored alone. ``anomaly.csv`` has one row a movie, method, seed and noise. The idea is the sparse decomposition
of Zhao et al., arXiv:2109.09317: movie = prediction + what is sparse + noise.
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from scipy.ndimage import gaussian_filter, maximum_filter
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from torch.nn import functional as F

from experiments.files import tables_folder, training_row, write_table
from experiments.movies import (
    DX,
    FINE,
    INTERVAL,
    KINDS,
    POOL,
    SIZES,
    Movie,
    add_noise,
    beats,
    equation_residual,
    simulate,
    slowness,
)  # fmt: skip
from forwardecg.paths import progress
from forwardecg.surrogates.train import TrainConfig, initialize, load_or_fit
from forwardecg.tissue.grid import blocks
from forwardecg.tissue.sheet import healthy
from forwardecg.tissue.stimulus import Stimulus

NOISES = (0.0, 0.05, 0.1, 0.2)  # SD of the noise of each sample, of the amplitude
ALARM_NOISE = 0.05
ON_CELLS = 4  # healthy movies that give the quantiles of the equation on the cells
SPARSE = 0.99  # quantile of healthy residuals below which a residual is none
NEAR = 5.0  # mm from the anomaly: an alarm there has found it
SMOOTH = 2.0  # mm, SD of the filter of the score maps
EARLIEST, LATEST = -30.0, 100.0  # ms from the front: phases with a scale of their own
MOVING = 350.0  # ms: healthy movies are at rest after
TRIED = (
    1.0,
    2.0,
    3.0,
    5.0,
)  # times the healthy quantile: thresholds of the decomposition, of which development chooses
PREDICTOR = TrainConfig(epochs=120, batch=8, lr=4e-3, weight_decay=1e-3, ema=0.98)  # 960 updates


@dataclass(frozen=True, kw_only=True)
class PredictorConfig:
    """Frames that it sees, and channels."""

    frames: int = 4
    channels: int = 8


class Predictor(nn.Module):
    """Frames (B, frame, y, x) -> the next one (B, y, x): what it adds to the last, by convolutions that see 8 pixels far."""

    def __init__(self, config: PredictorConfig = PredictorConfig()):
        super().__init__()
        self.config, c = config, config.channels
        layers = (config.frames, c, 5, 1), (c, c, 5, 2), (c, c, 3, 1), (c, 1, 3, 1)
        self.layers = nn.ModuleList(
            nn.Conv2d(a, b, k, dilation=d, padding=d * (k // 2), padding_mode="replicate") for a, b, k, d in layers
        )

    def forward(self, past: Tensor) -> Tensor:
        x = past
        for layer in self.layers[:-1]:
            x = F.gelu(layer(x))
        return past[:, -1] + self.layers[-1](x)[:, 0]


class PredictionTask:
    """The next frame of healthy movies from some frames with noise, a `train.Task`; turned and mirrored at random."""

    stage, version = "prediction", 1
    code: tuple[str, ...] = ()

    def __init__(self, train: np.ndarray, val: np.ndarray, config: PredictorConfig):
        self.train, self.val, self.frames = torch.from_numpy(train), torch.from_numpy(val), config.frames
        self.n_train = len(train)

    def fingerprint(self) -> tuple:
        """A hash of all movies."""
        return (sha256(self.train.numpy().tobytes() + self.val.numpy().tobytes()).hexdigest(),)

    def draw(self, members: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Frames with noise and the next one without, one window of each movie."""
        turns, mirrored = (int(torch.randint(n, (), generator=generator)) for n in (4, 2))
        windows = self._windows(self.train[members], generator).rot90(turns, (-2, -1))
        windows = windows.flip(-1) if mirrored else windows
        past, following = windows[:, :-1], windows[:, -1]
        level = max(NOISES) * torch.rand(len(members), 1, 1, 1, generator=generator)
        return past + level * torch.randn(past.shape, generator=generator), following

    def _windows(self, movies: Tensor, generator: torch.Generator) -> Tensor:
        """Frames (movie, frame, y, x) in a row, from the time in which something moves."""
        starts = torch.randint(round(MOVING / INTERVAL), (len(movies), 1), generator=generator)
        return movies[torch.arange(len(movies))[:, None], starts + torch.arange(self.frames + 1)]

    def loss(self, model: Any, drawn: Any, rows: Tensor, done: float) -> Tensor:
        """Mean squares (len(rows),) of the residual, in thousandths."""
        past, following = (one[rows] for one in drawn)
        return 1000 * F.mse_loss(model(past), following, reduction="none").mean((1, 2))

    @torch.no_grad()
    def score(self, model: Any) -> float:
        """Minus the mean square of the residual of validation movies without noise, in thousandths: in the place of R2."""
        windows = self._windows(self.val.repeat(2, 1, 1, 1), torch.Generator().manual_seed(0))
        return -1000 * F.mse_loss(model(windows[:, :-1]), windows[:, -1]).item()


@torch.no_grad()
def forecast(model: Predictor, u: np.ndarray) -> np.ndarray:
    """Residuals (frame, y, x) of a movie: what was seen minus what was predicted; 0 where nothing is predicted yet."""
    n, seen = model.config.frames, torch.from_numpy(u)
    past = seen.unfold(0, n, 1)[:-1].permute(0, 3, 1, 2)  # (frame, past, y, x)
    residual = np.zeros_like(u)
    residual[n:] = (seen[n:] - torch.cat([model(some) for some in past.split(16)])).numpy()
    return residual


@torch.no_grad()
def decompose(model: Predictor, u: np.ndarray, threshold: float) -> np.ndarray:
    """The sparse part (frame, y, x) of a movie: what is above the threshold is taken out before the next prediction.

    movie = mean + sparse + noise,  sparse = soft(movie - prediction from the mean, threshold),  mean = movie - sparse
    """
    n = model.config.frames
    mean, sparse = torch.from_numpy(u.copy()), torch.zeros(u.shape)
    for k in range(n, len(u)):
        residual = mean[k] - model(mean[None, k - n : k])[0]
        sparse[k] = residual.sign() * (residual.abs() - threshold).clamp(min=0)
        mean[k] -= sparse[k]
    return sparse.numpy()


# Scores of pixels


def soft(residual: np.ndarray, threshold: float) -> np.ndarray:
    """The sparse part of residuals, without its sign."""
    return np.maximum(np.abs(residual) - threshold, 0)


def phases(T: np.ndarray, n_frames: int) -> np.ndarray:
    """Number (frame, y, x) of the phase of the front that each pixel is in: frames since its nearest activation, clipped."""
    t = INTERVAL * np.arange(n_frames)[:, None, None]
    since = np.where(np.isnan(T), -1e6, t[:, None] - T)  # (frame, beat, y, x)
    nearest = np.take_along_axis(since, np.abs(since).argmin(1, keepdims=True), 1)[:, 0]
    return np.round((np.clip(nearest, EARLIEST, LATEST) - EARLIEST) / INTERVAL).astype(int)


def scales(residuals: list[np.ndarray], phase: list[np.ndarray]) -> np.ndarray:
    """RMS of healthy residuals in each phase (phase,)."""
    n = round((LATEST - EARLIEST) / INTERVAL) + 1
    sums, counts = np.zeros(n), np.zeros(n)
    for residual, at in zip(residuals, phase, strict=True):
        sums += np.bincount(at.ravel(), np.square(residual, dtype=float).ravel(), n)
        counts += np.bincount(at.ravel(), minlength=n)
    return np.sqrt(sums / np.maximum(counts, 1)) + 1e-9


class Levels(NamedTuple):
    """What is usual in healthy movies: quantile of the residuals, their RMS in each phase, quantile of the ratio."""

    sparse: float
    scale: np.ndarray
    ratio: float


def learn_levels(model: Predictor, movies: list[np.ndarray]) -> Levels:
    """Levels of a network from healthy movies (frame, y, x) of one noise."""
    residuals, phase = [forecast(model, u) for u in movies], [phases(beats(u), len(u)) for u in movies]
    scale = scales(residuals, phase)
    ratios = [residual / scale[at] for residual, at in zip(residuals, phase, strict=True)]
    return Levels(float(np.quantile(np.abs(residuals), SPARSE)), scale, float(np.quantile(np.abs(ratios), SPARSE)))


def read(
    model: Predictor, levels: Levels, u: np.ndarray, factors: tuple[float, ...]
) -> Iterator[tuple[str, np.ndarray]]:
    """Evidence (frame, y, x) of each method with a network."""
    residual = forecast(model, u)
    yield "residual", soft(residual, levels.sparse)
    yield "residual by front phase", soft(residual / levels.scale[phases(beats(u), len(u))], levels.ratio)
    for factor in factors:
        name = f"decomposition x {factor:g}" if len(factors) > 1 else "decomposition"
        yield name, np.abs(decompose(model, u, factor * levels.sparse))


def smooth(field: np.ndarray) -> np.ndarray:
    """A field (..., y, x) of pixels, smoothed."""
    width = SMOOTH / (DX * POOL)
    return gaussian_filter(field, (0,) * (field.ndim - 2) + (width, width), truncate=2)


def watch_slowness(T: np.ndarray, n_frames: int) -> np.ndarray:
    """Smoothed slowness (frame, y, x) over its median so far, from the frame on at which all of the neighbors are activated."""
    field, t = np.zeros((n_frames, *T.shape[1:])), INTERVAL * np.arange(n_frames)
    for one in T[np.isfinite(T).any((1, 2))]:
        slow, ready = smooth(slowness(one)), maximum_filter(np.where(np.isnan(one), np.inf, one), 5)
        for k in range(n_frames):
            seen = ready <= t[k]
            if seen.mean() > 0.04:  # too few have no median
                field[k][seen] = np.maximum(field[k], slow / np.median(slow[seen]))[seen]
    return field


def auroc(anomaly: np.ndarray, score: np.ndarray) -> float:
    """Area under the curve of true against false positives, over pixels (y, x)."""
    return float(roc_auc_score(anomaly.ravel(), score.ravel()))


def alarm(field: np.ndarray, threshold: float, interval: float, anomaly: np.ndarray) -> tuple[float, float]:
    """Time (ms) at which a field (frame, y, x) is first above the threshold, and how far (mm) from the anomaly; NaN: never."""
    above = field.max((1, 2)) > threshold
    if not above.any():
        return np.nan, np.nan
    k = int(above.argmax())
    y, x = np.unravel_index(field[k].argmax(), field[k].shape)
    place = np.argwhere(anomaly)
    far = np.hypot(*(place - (y, x)).T).min() * DX * POOL if len(place) else np.nan
    return interval * k, float(far)


# What is run


class Reading(NamedTuple):
    """What a method says of a movie: a score of its pixels (y, x), and how to watch it, (frame, y, x) ``interval`` ms apart."""

    method: str
    seed: int
    score: np.ndarray
    watch: Callable[[], np.ndarray]
    interval: float


@dataclass(frozen=True)
class Healthy:
    """What is usual at one noise: levels of each network, and quantiles of the residuals of the equation."""

    networks: list[Levels]
    equation: dict[str, float]


def equations(movie: Movie, noise: float, number: int) -> dict[str, np.ndarray]:
    """Absolute residuals (frame, y, x) of the equation on the maps and, where there are any, on the cells."""
    coarse = healthy(movie.anomaly.shape, DX * POOL, float(movie.sheet.D[0, 0]))
    pixels = Stimulus(mask=blocks(movie.paced.mask, POOL).mean((1, 3)) > 0.5)
    u = add_noise(movie.u, noise, number)
    found = {"equation on the maps": np.abs(equation_residual(u, coarse, pixels, INTERVAL, calibrated=False))}
    if movie.cells is not None:
        cells = add_noise(movie.cells, noise, number)
        found["equation on the cells"] = np.abs(equation_residual(cells, movie.sheet, movie.paced, FINE))
    return found


def learn(models: list[Predictor], movies: list[Movie], noise: float) -> Healthy:
    """What is usual in healthy movies at this noise."""
    noisy = [add_noise(movie.u, noise, k) for k, movie in enumerate(movies)]
    residuals = [equations(movie, noise, k) for k, movie in enumerate(movies)]
    quantiles = {}
    for name in ("equation on the maps", "equation on the cells"):
        some = [one[name][:, ::3, ::3].ravel() for one in residuals if name in one]
        quantiles[name] = float(np.quantile(np.concatenate(some), SPARSE))
    return Healthy([learn_levels(model, noisy) for model in models], quantiles)


def read_all(
    movie: Movie, noise: float, number: int, models: list[Predictor], usual: Healthy, factors: tuple[float, ...]
) -> Iterator[Reading]:  # fmt: skip
    """What every method says of a movie with noise."""
    u = add_noise(movie.u, noise, number)
    T = beats(u)
    yield Reading("slowness", 0, np.max([slowness(one) for one in T], 0), lambda: watch_slowness(T, len(u)), INTERVAL)
    for name, residual in equations(movie, noise, number).items():
        found = np.maximum(residual - usual.equation[name], 0)
        if name.endswith("cells"):
            found = np.array([blocks(frame, POOL).mean((1, 3)) for frame in found])
        yield _of_field(name, 0, found, FINE if name.endswith("cells") else INTERVAL)
    for seed, (model, levels) in enumerate(zip(models, usual.networks, strict=False)):  # or the first networks alone
        for name, field in read(model, levels, u, factors):
            yield _of_field(name, seed, field, INTERVAL)


def _of_field(method: str, seed: int, field: np.ndarray, interval: float) -> Reading:
    return Reading(method, seed, field.sum(0), lambda: smooth(field), interval)


def rows_of(
    movie: Movie, readings: Iterator[Reading], thresholds: dict[tuple[str, int], float]
) -> Iterator[dict[str, Any]]:
    """A row for each reading; alarms where there are thresholds."""
    for one in readings:
        row: dict[str, Any] = {"method": one.method, "seed": one.seed, "onset": movie.onset}
        if movie.anomaly.any():
            row |= {"auroc": auroc(movie.anomaly, smooth(one.score)), "auroc_plain": auroc(movie.anomaly, one.score)}
        if thresholds:
            at, far = alarm(one.watch(), thresholds[one.method, one.seed], one.interval, movie.anomaly)
            row |= {"alarm": at, "far": far}
        yield row


def train(seeds: int, epochs: int) -> tuple[list[Predictor], pd.DataFrame]:
    """Networks that were trained on healthy movies, one a seed, and what it took."""
    movies = {part: np.stack([simulate("healthy", part, k).u for k in range(SIZES[part])]) for part in ("train", "val")}
    models, rows = [], []
    for seed in range(seeds):
        model = initialize(Predictor, seed)
        task = PredictionTask(movies["train"], movies["val"], model.config)
        history = load_or_fit(model, task, replace(PREDICTOR, seed=seed, epochs=epochs))
        size = sum(weights.numel() for weights in model.parameters())
        rows.append(training_row({"seed": seed, "weights": size}, history))
        models.append(model)
    return models, pd.DataFrame(rows)


def choose(development: pd.DataFrame) -> dict[float, float]:
    """For each noise the factor of the decomposition with the largest mean AUROC over development movies of all kinds."""
    tried = development[development.method.str.startswith("decomposition")]
    found = tried.groupby(["noise", "method"]).auroc.mean().unstack("method")
    return {float(str(noise)): float(str(row.idxmax()).rpartition(" ")[2]) for noise, row in found.iterrows()}


def score(
    part: str, kind: str, n: int, models: list[Predictor], usual: dict[float, Healthy], factors: dict[float, tuple],
    thresholds: dict[tuple[str, int], float],
) -> pd.DataFrame:  # fmt: skip
    """Rows of n movies of a kind at every noise of ``usual``, with alarms at one of them if there are thresholds."""
    tables = []
    for sim in range(n):
        movie = simulate(kind, part, sim, cells=part == "test")
        number = 1000 * KINDS.index(kind) + 100 * [*SIZES].index(part) + sim
        for noise, own in usual.items():
            readings = read_all(movie, noise, number, models, own, factors[noise])
            table = pd.DataFrame(rows_of(movie, readings, thresholds if noise == ALARM_NOISE else {}))
            tables.append(table.assign(part=part, kind=kind, sim=sim, noise=noise))
    progress(f"{part}, {kind}")
    return pd.concat(tables)


def _add(path: Path, part: str, kind: str, *given: Any) -> None:
    """The rows of `score` into the table, but for those that are there."""
    table = pd.read_csv(path) if path.is_file() else pd.DataFrame(columns=["part", "kind"])
    if not ((table.part == part) & (table.kind == kind)).any():
        found = score(part, kind, *given)
        write_table(pd.concat([table, found]) if len(table) else found, path, digits=4)


def main(folder: Path, movies: int | None, seeds: int, epochs: int) -> None:
    """All of it, and the tables in a folder."""
    torch.set_num_threads(1)
    path = folder / "anomaly.csv"
    sizes = {part: min(n, movies or n) for part, n in SIZES.items()}
    models, trained = train(seeds, epochs)
    write_table(trained, folder / "anomaly_trainings.csv")
    progress(f"networks: {trained.val_score.round(2).tolist()}")
    calm = [simulate("healthy", "val", k, cells=k < ON_CELLS) for k in range(sizes["val"])]
    usual = {noise: learn(models, calm, noise) for noise in NOISES}
    progress("levels of healthy movies")
    tried = dict.fromkeys(NOISES, TRIED)
    for kind in KINDS[1:]:  # by one network: choosing is not scoring
        _add(path, "development", kind, sizes["development"], models[:1], usual, tried, {})
    factors = {noise: (factor,) for noise, factor in choose(pd.read_csv(path)).items()}
    thresholds: dict[tuple[str, int], float] = {}
    for k in range(sizes["val"]):
        movie = simulate("healthy", "val", k, cells=True)
        for one in read_all(movie, ALARM_NOISE, k, models, usual[ALARM_NOISE], factors[ALARM_NOISE]):
            named = one.method, one.seed
            thresholds[named] = max(thresholds.get(named, 0.0), float(one.watch().max()))
    for kind in KINDS:
        some = {ALARM_NOISE: usual[ALARM_NOISE]} if kind == "healthy" else usual
        _add(path, "test", kind, sizes["test"], models, some, factors, thresholds)
    movie = simulate("D x 0.6", "test", 0, cells=True)
    y, x = np.indices(movie.anomaly.shape)
    maps: dict[str, Any] = {"y": y, "x": x, "anomaly": movie.anomaly.astype(int)}
    for one in read_all(movie, ALARM_NOISE, 1, models[:1], usual[ALARM_NOISE], factors[ALARM_NOISE]):
        maps[one.method] = smooth(one.score)
    table = pd.DataFrame({name: values.ravel() for name, values in maps.items()})
    write_table(table, folder / "anomaly_maps.csv", digits=4)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--movies", type=int, help="of each kind and part, at most")
    parser.add_argument("--seeds", type=int, default=3, help="networks")
    parser.add_argument("--epochs", type=int, default=PREDICTOR.epochs, help="of each")
    given = vars(parser.parse_args())
    main(tables_folder(parser, **given), **given)
