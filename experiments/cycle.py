"""Activation maps from 16 ECGs, by networks that are trained with and without a cycle through the ECG.

    python -m experiments.cycle                    all of it; trainings that are in the tables already are passed over
    python -m experiments.cycle --steps 20 --more 0 --seeds 1      a first look, its tables in data/cache

Writes ``data/results/runs/cycle.csv``, one row a test tissue, number of labels, seed and method, ``cycle_trainings.csv``, one
row a training, with minutes of the processor, and ``cycle_maps.nc``, some maps of one tissue. Labels are maps of activation
and of conductivity. The cycle computes the ECG of the maps that the network gives, and asks it to be the ECG that it was
given, for which no label is needed. The idea is that of HeartUnloadNet (Mu et al., 2025); the network here is another one.
"""

import argparse
import functools
import os
from collections.abc import Hashable, Iterator
from pathlib import Path
from time import process_time
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
import xarray as xr
from scipy.fft import idct
from scipy.ndimage import gaussian_filter1d
from torch import Tensor, nn
from torch.nn import functional as F

from experiments.files import tables_folder, write_table
from experiments.tissues import Tissues, few, parts, recipe
from forwardecg.activation.template import FINE, template
from forwardecg.contract import V_SPAN
from forwardecg.data.store import load_or_simulate
from forwardecg.ecg.electrodes import match_electrodes
from forwardecg.paths import RESULTS, progress
from forwardecg.surrogates.train import initialize
from forwardecg.tissue.grid import Grid, blocks
from forwardecg.tissue.symmetry import apply_symmetry

PATH, TRAININGS_PATH, MAPS_PATH = (RESULTS / "runs" / f"cycle{end}" for end in (".csv", "_trainings.csv", "_maps.nc"))
LEADS = tuple(f"train{k + 1}" for k in range(16))  # three orbits of the symmetries of the sheet, at 16, 28 and 46 mm
PIXELS, WAVES = 25, 14  # along a side of a map, and the cosines that it is a sum of
STEP, WIDTH = 15.0, 8.0  # ms between samples of an ECG, and SD of its filter
LABELS = (20, 60, 240)
LONGER = "without cycle, twice the steps"  # as many ECGs in all as with the cycle
TRAINED = ("without cycle", "with cycle", LONGER)
CASE = ["method", "labels", "seed"]  # what names a training
ZERO_D = 1e-3  # mm^2/ms: pixels that conduct less are taken to conduct so much
T_MIDDLE, T_SPREAD, D_MIDDLE, D_SPREAD = 150.0, 100.0, np.log(0.08), 0.7  # of the outputs: ms, and of log D
BATCH, STEPS, LR = 8, 500, 2e-3
D_WEIGHT, CYCLE_WEIGHT = 0.2, 1.0  # of the terms of the loss, beside activation in units of 50 ms
T_UNIT = 50.0  # ms
PICTURED, LEAD = ("fibrotic", "focal"), 4  # of the first such test tissue maps are kept, and the ECG of one electrode


class Recordings(NamedTuple):
    """Tissues: ECGs (n, lead, time) in mV mm/ms, lat (n, y, x) in ms, log D (n, y, x), and where a pixel was activated."""

    ecg: Tensor
    lat: Tensor
    log_D: Tensor
    known: Tensor
    sims: tuple[int, ...]
    kinds: tuple[tuple[str, str], ...]  # condition and stimulus

    def take(self, rows: np.ndarray) -> "Recordings":
        """Some of them."""
        at = torch.from_numpy(np.asarray(rows))
        ecg, lat, log_D, known = (one[at] for one in self[:4])
        sims, about = tuple(self.sims[k] for k in rows), tuple(self.kinds[k] for k in rows)
        return Recordings(ecg, lat, log_D, known, sims, about)


def low_pass(traces: np.ndarray, interval: float) -> np.ndarray:
    """Traces (..., time) every ``interval`` ms through a Gaussian of SD `WIDTH`; before and after there is nothing."""
    return gaussian_filter1d(traces, WIDTH / interval, axis=-1, mode="constant")


@functools.cache
def opened(name: str) -> xr.Dataset:
    """A data set; only what is read of it is checked, which is faster."""
    return load_or_simulate(recipe(name), verify=False)


def read(name: str, sims: tuple[int, ...]) -> Recordings:
    """Tissues of a set: what the network sees and what it learns."""
    ds, n_sim = opened(name), len(sims)
    pool = ds.sizes["x"] // PIXELS
    lat, D = (np.empty((n_sim, PIXELS, PIXELS), np.float32) for _ in range(2))
    leads = [ds.lead.values.tolist().index(lead) for lead in LEADS]
    ecg = np.empty((n_sim, len(LEADS), int(ds.time_ecg[-1] / STEP) + 1), np.float32)
    every = round(STEP / float(ds.time_ecg[1] - ds.time_ecg[0]))
    for k, sim in enumerate(sims):
        ecg[k] = low_pass(ds.phi_e[sim].values[leads], STEP / every)[:, ::every]
        when, live = ds.lat[sim].values, ds.conductive[sim].values
        reached = np.isfinite(when)
        n = blocks(reached.astype(float), pool).sum((1, 3))
        total = blocks(np.where(reached, when, 0), pool).sum((1, 3))
        lat[k] = np.divide(total, n, out=np.full(n.shape, np.nan), where=n > 0)
        D[k] = blocks(np.where(live, ds.D[sim].values, 0), pool).mean((1, 3))
    known = np.isfinite(lat)
    arrays = np.where(known, lat, 0), np.log(np.maximum(D, ZERO_D)), known
    times, log_D, mask = (torch.from_numpy(one) for one in arrays)
    about = zip(ds.condition.values[[*sims]].tolist(), ds.stimulus.values[[*sims]].tolist(), strict=True)
    return Recordings(torch.from_numpy(ecg), times, log_D, mask, tuple(sims), tuple(about))


class Forward(nn.Module):
    """lat (B, y, x) in ms and log D (B, y, x) -> ECG (B, lead, time) in mV mm/ms: one action potential, the exact lead field.

    It is `forwardecg.lead_field` and `read_out` on the pixels of the maps, with repolarization after a fixed time, and
    differentiable in both; filtered in time as the recordings are, which a linear operator allows.
    """

    w_x: Tensor
    w_y: Tensor
    u: Tensor
    rise: Tensor
    t: Tensor

    def __init__(self, positions: np.ndarray, side: float, t: np.ndarray, pixels: int = PIXELS):
        super().__init__()
        own = recipe()
        form = template(own.dx, own.dt, own.cell)
        y, x = Grid((pixels, pixels), side / pixels).centers
        w = 1 / np.sqrt(sum((one - at[:, None, None]) ** 2 for one, at in zip((x, y, 0), positions.T, strict=True)))
        rest = np.zeros(round(10 * WIDTH / FINE))
        u = low_pass(np.concatenate([rest, form.up + form.down, rest]), FINE)
        self.begin = float(form.t[0]) - FINE * rest.size  # ms after activation, of the first entry of u
        constants = {"w_x": np.diff(w, axis=-1), "w_y": np.diff(w, axis=-2), "u": u, "rise": np.diff(u), "t": t}
        for name, values in constants.items():
            self.register_buffer(name, torch.from_numpy(np.ascontiguousarray(values)).float())

    def lead_field(self, D: Tensor) -> Tensor:
        """L (B, lead, y, x) in mm/ms of D (B, y, x) in mm^2/ms."""
        flow_x = self.w_x * _harmonic(D[..., :-1], D[..., 1:])[:, None]
        flow_y = self.w_y * _harmonic(D[..., :-1, :], D[..., 1:, :])[:, None]
        along_x = F.pad(flow_x, (0, 1)) - F.pad(flow_x, (1, 0))
        return along_x + F.pad(flow_y, (0, 0, 0, 1)) - F.pad(flow_y, (0, 0, 1, 0))

    def forward(self, lat: Tensor, log_D: Tensor) -> Tensor:
        L = self.lead_field(log_D.exp()).flatten(2)  # (B, lead, pixel)
        since = (self.t[:, None] - lat.flatten(1)[:, None] - self.begin) / FINE  # (B, time, pixel)
        since = since.clamp(0, len(self.rise) - 1e-3)
        entry = since.detach().long()
        u = self.u[entry] + self.rise[entry] * (since - entry)
        return V_SPAN * torch.bmm(L, u.transpose(1, 2))


def _harmonic(a: Tensor, b: Tensor) -> Tensor:
    return 2 * a * b / (a + b)


class Inverse(nn.Module):
    """ECGs (B, lead, time), each in units of ``scale`` (lead,) -> lat (B, y, x) in ms and log D (B, y, x), sums of cosines."""

    scale: Tensor
    cosines: Tensor

    def __init__(self, scale: Tensor, n_t: int):
        super().__init__()
        cosines = torch.from_numpy(idct(np.eye(PIXELS), axis=0, norm="ortho")[:, :WAVES]).float()
        self.register_buffer("scale", scale)
        self.register_buffer("cosines", cosines)  # (pixel, wave)
        widths = (len(scale), 48, 64, 64)
        self.encoder = nn.ModuleList(nn.Conv1d(a, b, 7, 2, padding=3) for a, b in zip(widths, widths[1:], strict=False))
        for _ in self.encoder:
            n_t = (n_t + 1) // 2
        self.latent = nn.Sequential(nn.Linear(64 * n_t, 256), nn.SiLU(), nn.Linear(256, 256), nn.SiLU())
        self.head = nn.Linear(256, 2 * WAVES * WAVES)

    def forward(self, ecg: Tensor) -> tuple[Tensor, Tensor]:
        x = torch.asinh(ecg / self.scale[:, None])
        for layer in self.encoder:
            x = F.silu(layer(x))
        coefficients = self.head(self.latent(x.flatten(1))).reshape(-1, 2, WAVES, WAVES)
        lat, log_D = (self.cosines @ coefficients @ self.cosines.T).unbind(1)
        return T_MIDDLE + T_SPREAD * lat, (D_MIDDLE + D_SPREAD * log_D).clamp(np.log(ZERO_D), 0)


def scales(ecg: Tensor, heights: np.ndarray) -> Tensor:
    """SD (lead,) of the ECGs (n, lead, time) of all electrodes at the same height: one for each orbit."""
    found = torch.empty(len(heights))
    for z in np.unique(heights):
        same = torch.from_numpy(heights == z)
        found[same] = ecg[:, same].std()
    return found


def turned(some: Recordings, n: Tensor, images: Tensor) -> Recordings:
    """Each tissue in the image n (B,) of eight of itself; images (8, lead) as `match_electrodes` gives them."""
    ecg = some.ecg.gather(1, images[n][:, :, None].expand_as(some.ecg))
    lat, log_D, known = (
        torch.stack([apply_symmetry(z, int(k)) for z, k in zip(one, n, strict=True)]) for one in some[1:4]
    )
    return Recordings(ecg, lat, log_D, known, some.sims, some.kinds)


def relative_error(found: Tensor, ecg: Tensor, scale: Tensor) -> Tensor:
    """|found - ecg|^2 / |ecg|^2 (B,) over time and leads, each lead in its scale."""
    return (((found - ecg) / scale[:, None]) ** 2).sum((1, 2)) / ((ecg / scale[:, None]) ** 2).sum((1, 2))


def train(
    labeled: Recordings, unlabeled: Recordings, physics: Forward, images: Tensor, scale: Tensor, *,
    cycle: bool, seed: int, steps: int = STEPS, weight: float = CYCLE_WEIGHT,
) -> Inverse:  # fmt: skip
    """A network; with and without the cycle it sees the same labels in the same order from the same first weights."""
    model = initialize(lambda: Inverse(scale, labeled.ecg.shape[-1]), seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LR, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LR, steps, pct_start=0.1)
    of_labels, of_others = (torch.Generator().manual_seed(2 * seed + k) for k in range(2))
    for _ in range(steps):
        some = _draw(labeled, images, of_labels)
        lat, log_D = model(some.ecg)
        off = (lat - some.lat).abs() / T_UNIT + D_WEIGHT * (log_D - some.log_D).abs()
        loss = (off * some.known).sum() / some.known.sum()
        if cycle:
            ecg = _draw(unlabeled, images, of_others).ecg
            loss = loss + weight * relative_error(physics(*model(ecg)), ecg, scale).mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    return model.eval()


def _draw(some: Recordings, images: Tensor, generator: torch.Generator) -> Recordings:
    """A batch of tissues, each in one of its eight images."""
    rows, n = (torch.randint(most, (BATCH,), generator=generator) for most in (len(some.sims), 8))
    return turned(some.take(rows.numpy()), n, images)


def nearest(ecg: Tensor, labeled: Recordings, images: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """The maps of the labeled tissue, in any of its eight images, whose ECG is nearest in the units of ``scale``."""
    best, lat, log_D = torch.full((len(ecg),), torch.inf), torch.zeros(0), torch.zeros(0)
    for n in range(8):
        image = turned(labeled, torch.full((len(labeled.sims),), n), images)
        apart, at = torch.cdist((ecg / scale[:, None]).flatten(1), (image.ecg / scale[:, None]).flatten(1)).min(1)
        filled = fill(image)
        if n == 0:
            lat, log_D = filled[at], image.log_D[at]
        else:
            closer = (apart < best)[:, None, None]
            lat, log_D = torch.where(closer, filled[at], lat), torch.where(closer, image.log_D[at], log_D)
        best = torch.minimum(apart, best)
    return lat, log_D


def fill(some: Recordings) -> Tensor:
    """lat (n, y, x) with the mean over the map where a pixel has none."""
    mean = (some.lat * some.known).sum((1, 2)) / some.known.sum((1, 2))
    return torch.where(some.known, some.lat, mean[:, None, None])


def mean_map(labeled: Recordings) -> tuple[Tensor, Tensor]:
    """The mean over the labels, pixel by pixel."""
    lat = (labeled.lat * labeled.known).sum(0) / labeled.known.sum(0).clamp(min=1)
    return lat, labeled.log_D.mean(0)


class Data(NamedTuple):
    """Training and test tissues, the forward model, images of the electrodes and scales of the ECGs."""

    train: Recordings
    tests: dict[str, Recordings]
    physics: Forward
    images: Tensor
    scale: Tensor


@torch.no_grad()
def score(maps: tuple[Tensor, Tensor], test: Recordings, data: Data) -> pd.DataFrame:
    """One row a test tissue: the error of activation in ms, of log D, and the relative RMS error of the ECG of the maps."""
    (lat, log_D), n = maps, test.known.sum((1, 2))
    found = [data.physics(lat[k : k + 10], log_D[k : k + 10]) for k in range(0, len(lat), 10)]
    rows = {
        "lat_mae": ((lat - test.lat).abs() * test.known).sum((1, 2)) / n,
        "log_D_mae": ((log_D - test.log_D).abs() * test.known).sum((1, 2)) / n,
        "ecg_error": relative_error(torch.cat(found), test.ecg, data.scale).sqrt(),
    }
    about = pd.DataFrame(test.kinds, columns=["condition", "stimulus"])
    return pd.DataFrame({"sim": test.sims} | {name: one.numpy() for name, one in rows.items()}).join(about)


def load(more: int) -> Data:
    """The split of 07_dataset, its test tissues and ``more`` of the test set; scales are those of the training tissues."""
    groups = parts(Tissues())
    ((name, sims),), ((_, held),) = groups["train"], groups["test"]
    ds = opened(name)
    positions = ds.electrodes.sel(lead=list(LEADS)).values
    side = 2 * float(ds.electrodes.sel(lead="center")[0])
    of_train, tests = read(name, sims), {name: read(name, held)}
    if more:
        tests["test"] = read("test", tuple(range(more)))
    physics = Forward(positions, side, STEP * np.arange(of_train.ecg.shape[-1]))
    images = torch.from_numpy(match_electrodes(positions, side))
    return Data(of_train, tests, physics, images, scales(of_train.ecg, positions[:, 2]))


Maps = dict[str, tuple[Tensor, Tensor]]  # of each set of test tissues


def estimate(method: str, labels: int, seed: int, data: Data, steps: int) -> tuple[Maps, dict[str, Any]]:
    """lat and log D of the test tissues by one method from so many labels, and what its training took; empty without one."""
    if method == "true maps":
        return {name: (fill(test), test.log_D) for name, test in data.tests.items()}, {}
    chosen = few(labels, seed) if labels < len(data.train.sims) else data.train.sims
    labeled = data.train.take(np.flatnonzero(np.isin(data.train.sims, chosen)))
    if method == "mean map":
        mean = mean_map(labeled)
        return {name: (_repeat(mean[0], test), _repeat(mean[1], test)) for name, test in data.tests.items()}, {}
    if method == "nearest ECG":
        return {name: nearest(test.ecg, labeled, data.images, data.scale) for name, test in data.tests.items()}, {}
    steps, began = 2 * steps if method == LONGER else steps, process_time()
    cycle = method == "with cycle"
    model = train(labeled, data.train, data.physics, data.images, data.scale, cycle=cycle, seed=seed, steps=steps)
    cost = {"steps": steps, "minutes": (process_time() - began) / 60, "threads": torch.get_num_threads()}
    with torch.no_grad():
        return {name: model(test.ecg) for name, test in data.tests.items()}, cost


def _repeat(one: Tensor, test: Recordings) -> Tensor:
    return one.expand(len(test.sims), -1, -1)


def cases(seeds: int, n_train: int) -> Iterator[tuple[str, int, int]]:
    """Methods with their numbers of labels and seeds; a baseline that is given all labels has one seed."""
    for labels in LABELS:
        for seed in range(seeds):
            baselines = ("mean map", "nearest ECG") if labels < n_train or not seed else ()
            yield from ((method, labels, seed) for method in (*baselines, *TRAINED))


@torch.no_grad()
def keep_maps(method: str, maps: Maps, data: Data) -> None:
    """Activation of one test tissue, and its ECG at one electrode, as a method has them; of true maps the recorded ECG."""
    test = data.tests["base"]
    at = slice(k := test.kinds.index(PICTURED), k + 1)
    lat, log_D = (one[at] for one in maps["base"])
    ecg = test.ecg[at, LEAD] if method == "true maps" else data.physics(lat, log_D)[:, LEAD]
    values = {"lat": (("route", "y_map", "x_map"), lat), "phi_e": (("route", "time_ecg"), ecg)}
    ds = xr.Dataset(
        {name: (dims, one.numpy()) for name, (dims, one) in values.items()},
        {"route": [method], "time_ecg": STEP * np.arange(ecg.shape[-1])},
        {"sim": test.sims[k]},
    )
    if MAPS_PATH.is_file():
        with xr.open_dataset(MAPS_PATH, engine="scipy") as kept:
            others = kept.sel(route=[one for one in kept.route.values if one != method]).load()
        ds = xr.concat([others, ds], "route")
    MAPS_PATH.parent.mkdir(parents=True, exist_ok=True)
    part = MAPS_PATH.with_suffix(".part")
    ds.to_netcdf(part, engine="scipy", encoding={"route": {"char_dim_name": "string"}})
    os.replace(part, MAPS_PATH)


def by_case(path: Path) -> dict[tuple[Hashable, ...], pd.DataFrame]:
    """Rows of a table by what names a training; none where there is no table."""
    table = pd.read_csv(path) if path.is_file() else pd.DataFrame(columns=CASE)
    return dict(iter(table.groupby(CASE, sort=False)))


def main(steps: int, more: int, seeds: int) -> None:
    """All of it, and the tables; what lacks its row of the trainings is trained again, and its rows stay where they were."""
    torch.set_num_threads(1)
    data, kept, trained = load(more), by_case(PATH), by_case(TRAININGS_PATH)
    for case in [("true maps", 0, 0), *cases(seeds, len(data.train.sims))]:
        method, labels, seed = case
        if case in kept and (case in trained or method not in TRAINED):
            continue
        maps, cost = estimate(method, labels, seed, data, steps)
        if method == "true maps" or (method in ("without cycle", "with cycle") and (labels, seed) == (LABELS[0], 0)):
            keep_maps(method, maps, data)
        names: dict[str, Any] = dict(zip(CASE, case, strict=True))
        rows = [score(maps[name], test, data).assign(set=name, **names) for name, test in data.tests.items()]
        kept[case] = pd.concat(rows)
        write_table(pd.concat(kept.values()), PATH, digits=4)
        if cost:
            trained[case] = pd.DataFrame([names | cost])
            write_table(pd.concat(trained.values()), TRAININGS_PATH, digits=5)
        mean = kept[case][["lat_mae", "ecg_error"]].mean()
        progress(f"{method}, {labels} labels, seed {seed}: {mean.lat_mae:.2f} ms, ECG {mean.ecg_error:.3f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--steps", type=int, default=STEPS, help="of each training")
    parser.add_argument("--more", type=int, default=90, help="tissues of the test set, beside those of the split")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each kind")
    given = vars(parser.parse_args())
    PATH, TRAININGS_PATH, MAPS_PATH = (
        tables_folder(parser, **given) / path.name for path in (PATH, TRAININGS_PATH, MAPS_PATH)
    )
    main(**given)
