"""Reduced-order models of voltage and of activation times, read through the exact lead field.

    python -m experiments.reduced                          all of it: minutes; simulations are found in the cache
    python -m experiments.reduced --train 20 --test 4      a first look

Writes ``data/results/runs/reduced.csv``, one row a test tissue, method and seed; ``reduced_modes.csv``, what so many modes
leave unexplained; ``reduced_cost.csv``; and ``reduced_frames.nc``, some frames of one tissue. The ideas are those of
DL-ROM and POD-DL-ROM (Fresca et al., 2020, 2021); the networks go from the parameters of a run straight to its coefficients.
"""

import argparse
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from time import process_time
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
import xarray as xr
from scipy.ndimage import distance_transform_edt
from sklearn.utils.extmath import randomized_svd
from torch import Tensor, nn

from experiments.files import write_table
from forwardecg.activation.eikonal import Network, network, solve_eikonal, speed
from forwardecg.activation.forward import read_out
from forwardecg.activation.loops import FAR
from forwardecg.activation.template import capture_delay, share, template
from forwardecg.cache import key
from forwardecg.contract import V_SPAN, to_u
from forwardecg.ecg.electrodes import Electrodes
from forwardecg.ecg.leadfield import lead_field
from forwardecg.ecg.pixels import conductive_share
from forwardecg.measure.scores import r2
from forwardecg.paths import CACHE, RESULTS, progress
from forwardecg.solver.simulation import simulate
from forwardecg.surrogates.train import initialize
from forwardecg.tissue.cell import FK_CAF
from forwardecg.tissue.grid import blocks
from forwardecg.tissue.sheet import Tissue, healthy
from forwardecg.tissue.stimulus import Stimulus, focal_stimulus

RUNS = RESULTS / "runs"
VERSION = 1  # of a simulated run
CELLS, DX, POOL, DT = 200, 0.5, 4, 0.1  # cells along a side, mm, cells along the side of a pixel, ms of a time step
T_END, FRAME = 500.0, 5.0  # ms: the length of a run, and between its frames
N_FRAMES = round(T_END / FRAME) + 1
FAMILIES = {"healthy": (0.0, 0.0), "fibrotic": (0.15, 0.25)}  # shares of diffuse fibrosis, between which one is drawn
D_RANGE, SEED, RADIUS = (0.06, 0.16), 2600, 4.0  # mm^2/ms; of what is drawn; mm of a stimulus
HEIGHTS = {"far": 40.0, "near": 15.0}  # mm, of the two electrodes above the center
V_MODES, SHOWN_MODES, LAT_MODES = 64, (16, 64, 256), 32  # of the networks, and of the projections in the table
FRONT = 10.0  # ms about the activation of a pixel: where its voltage is called front
PICTURED = (60.0, 90.0, 120.0)  # ms


class Run(NamedTuple):
    """One simulation: scaled voltage u (time, y_map, x_map) until it is at rest, lat (y, x), phi_e (lead, time)."""

    tissue: Tissue
    stimulus: Stimulus
    parameters: np.ndarray  # x and y of the site in mm, D in mm^2/ms, share of fibrosis
    u: np.ndarray
    lat: np.ndarray
    phi_e: np.ndarray


def draw(family: str, sim: int) -> tuple[Tissue, Stimulus, np.ndarray]:
    """Tissue ``sim`` of a family, its stimulus, and the parameters that a reduced model is given."""
    rng = np.random.default_rng([SEED, [*FAMILIES].index(family), sim])
    x, y = rng.uniform(0.1, 0.9, 2) * CELLS * DX
    D, density = rng.uniform(*D_RANGE), rng.uniform(*FAMILIES[family])
    tissue = healthy((CELLS, CELLS), DX, D, seed=sim)
    if density:
        fibrosis = rng.random((CELLS, CELLS)) < density
        tissue = replace(tissue, conductive=~fibrosis, condition="fibrotic", texture="diffuse")
    return tissue, focal_stimulus(tissue, x, y, RADIUS), np.array([x, y, D, density])


def places() -> Electrodes:
    """The two electrodes."""
    middle = CELLS * DX / 2
    return Electrodes(np.array([[middle, middle, z] for z in HEIGHTS.values()]), tuple(HEIGHTS))


def load_or_simulate(family: str, sim: int) -> Run:
    """A run, from the cache if it is there."""
    tissue, stimulus, parameters = draw(family, sim)
    name = key("reduced", VERSION, family, FAMILIES[family], sim, SEED, CELLS, DX, POOL, T_END, D_RANGE, HEIGHTS)
    path = CACHE / "reduced" / f"{name}.npz"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        ds = simulate(
            tissue, stimulus, t_end=T_END, electrodes=places(), frame_interval=FRAME, ecg_interval=FRAME, pool=POOL,
            dt=DT, stop_at_rest=True,
        )  # fmt: skip
        phi_e = np.zeros((len(HEIGHTS), N_FRAMES))
        phi_e[:, : ds.sizes["time_ecg"]] = ds.phi_e.values
        part = path.with_suffix(f".{os.getpid()}.part.npz")
        np.savez(part, u=to_u(ds.V_m.values).astype(np.float16), lat=ds.lat.values.astype(np.float32), phi_e=phi_e)
        os.replace(part, path)
    with np.load(path) as kept:
        return Run(tissue, stimulus, parameters, kept["u"].astype(np.float32), kept["lat"], kept["phi_e"])


def simulate_all(family: str, n: int, first: int = 0) -> list[Run]:
    """Runs of a family, in the order of their numbers."""
    found = []
    for sim in range(first, first + n):
        found.append(load_or_simulate(family, sim))
        if sim % 40 == 39:
            progress(f"{family}: {sim + 1} runs")
    return found


# Reduction


@dataclass(frozen=True)
class Basis:
    """Modes (k, n) in the order of their singular values (k,), and the norm of all snapshots."""

    modes: np.ndarray
    singular: np.ndarray
    norm: float

    def project(self, fields: np.ndarray, k: int | None = None) -> np.ndarray:
        """The nearest fields (..., n) in the span of the first k modes."""
        modes = self.modes[:k]
        return fields @ modes.T @ modes

    def unexplained(self, k: int) -> float:
        """Relative norm of what k modes leave of the snapshots."""
        return float(np.sqrt(max(1 - np.square(self.singular[:k] / self.norm).sum(), 0)))


def pod(snapshots: np.ndarray, modes: int, seed: int = 0) -> Basis:
    """Proper orthogonal decomposition of snapshots (m, n) by a randomized SVD (Halko et al., SIAM Review 53:217, 2011)."""
    modes = min(modes, *snapshots.shape)
    # without a normalizer, which is the default of so few iterations, small singular values drown in rounding
    _, singular, V = randomized_svd(snapshots, modes, n_iter=2, power_iteration_normalizer="QR", random_state=seed)
    return Basis(V, singular, float(np.linalg.norm(snapshots.astype(np.float64))))


def fill(lat: np.ndarray) -> np.ndarray:
    """Activation times (y, x) in ms; where there is none, that of the nearest cell that has one."""
    nearest = distance_transform_edt(~np.isfinite(lat), return_distances=False, return_indices=True)
    return lat[tuple(nearest)].astype(float)


class Coefficients(nn.Module):
    """Parameters of a run, and where they are given times in ms -> coefficients of modes."""

    def __init__(self, modes: int, width: int, waves: int):
        super().__init__()
        self.waves = waves
        inputs = 4 + bool(waves) * (1 + 2 * waves)
        layers: list[nn.Module] = []
        for a in (inputs, width, width):
            layers += [nn.Linear(a, width), nn.SiLU()]
        self.layers, self.last = nn.Sequential(*layers), nn.Linear(width, modes)

    def forward(self, parameters: Tensor, t: Tensor | None = None) -> Tensor:
        high = torch.tensor([CELLS * DX, CELLS * DX, D_RANGE[1], FAMILIES["fibrotic"][1]])
        z = 2 * parameters / high - 1  # (B, 4)
        if t is not None:
            phase = t[:, None] / T_END * torch.arange(1, self.waves + 1) * torch.pi  # (B, waves)
            z = torch.cat([z, 2 * t[:, None] / T_END - 1, phase.sin(), phase.cos()], 1)
        return self.last(self.layers(z))


@dataclass(frozen=True, kw_only=True)
class Training:
    """Width of the network, waves in time, steps, rows of a step (0: all), and the peak of the learning rate."""

    width: int
    waves: int
    steps: int
    batch: int
    lr: float


OF_VOLTAGE = Training(width=160, waves=12, steps=4000, batch=512, lr=4e-3)
OF_ACTIVATION = Training(width=128, waves=0, steps=3000, batch=0, lr=4e-3)


def train(inputs: tuple[Tensor, ...], targets: Tensor, how: Training, seed: int) -> Coefficients:
    """A network from inputs (m, ...) to coefficients (m, modes), all in one unit, so that large modes weigh more."""
    scale = targets.square().mean(0).sum().sqrt()
    model = initialize(lambda: Coefficients(targets.shape[1], how.width, how.waves), seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=how.lr, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, how.lr, how.steps, pct_start=0.1)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(how.steps):
        rows = torch.randint(len(targets), (how.batch,), generator=generator) if how.batch else slice(None)
        loss = (model(*(one[rows] for one in inputs)) - targets[rows] / scale).square().sum(1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        model.last.weight.mul_(scale)
        model.last.bias.mul_(scale)
    return model.eval()


# Reading


class Truth(NamedTuple):
    """A test tissue as all methods are scored on it: its lead fields on cells and pixels, its wave, where the front is."""

    run: Run
    L: np.ndarray  # (lead, y, x)
    L_pixel: np.ndarray  # (lead, y_map, x_map), for u as the mean over all cells of a pixel, those at rest too
    net: Network
    t: np.ndarray  # ms, of frames and ECG
    u: np.ndarray  # (time, y_map, x_map)
    lat: np.ndarray  # (y, x), filled
    front: np.ndarray  # (time, y_map, x_map) bool


def read(run: Run) -> Truth:
    """The truth of a run."""
    L, t, lat = lead_field(run.tissue, places()), FRAME * np.arange(N_FRAMES), fill(run.lat)
    u, share_of = to_the_end(run.u), np.maximum(conductive_share(run.tissue.conductive, POOL), 1e-9)
    L_pixel = np.stack([blocks(one, POOL).sum((1, 3)) for one in L]) / share_of
    near = np.abs(t[:, None, None] - blocks(lat, POOL).mean((1, 3))) <= FRONT
    return Truth(run, L, L_pixel, network(run.tissue, DT, FK_CAF), t, u, lat, near & (u.max(0) > 0.1))


def score_voltage(true: Truth, u: np.ndarray) -> dict[str, float]:
    """Scores of a scaled voltage (time, y_map, x_map), and of the ECG that the exact lead field makes of it."""
    return errors(true, u) | scores(true, V_SPAN * np.tensordot(true.L_pixel, u, ((1, 2), (1, 2))))


def score_activation(true: Truth, lat: np.ndarray) -> dict[str, float]:
    """The same of activation times (y, x) in ms, with the one action potential of a plane wave."""
    T, R = times(true, lat)
    found = errors(true, voltage(true, lat)) | scores(true, read_out(true.L, T, R, template(DX, DT, FK_CAF), true.t))
    return found | {"lat_mae": float(np.abs(lat - true.run.lat)[np.isfinite(true.run.lat)].mean())}


def times(true: Truth, lat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """T and R (y, x) in ms of `template`, of activation times."""
    net, T = true.net, np.where(true.run.tissue.live, lat, FAR)
    return T, net.crop(share(net.pad(T, FAR), net.g, net.offsets, template(DX, DT, FK_CAF).duration))


def voltage(true: Truth, lat: np.ndarray) -> np.ndarray:
    """Scaled voltage (time, y_map, x_map) of activation times (y, x)."""
    form, pixels, (T, R) = template(DX, DT, FK_CAF), [], times(true, lat)
    for row in range(0, CELLS, POOL):  # some cells at a time, for the memory
        since = (true.t[:, None, None] - one[row : row + POOL] for one in (T, R))
        u = sum(np.interp(one, form.t, part, left=0.0) for one, part in zip(since, (form.up, form.down), strict=True))
        pixels.append(u.reshape(true.t.size, POOL, -1, POOL).mean((1, 3)))
    return np.stack(pixels, 1)


def errors(true: Truth, u: np.ndarray) -> dict[str, float]:
    """eps_rel = |u - u_true| / |u_true| over space and time, and the RMS error at the front and elsewhere."""
    square = np.square(u - true.u)
    found = {"eps_rel": np.sqrt(square.sum() / np.square(true.u).sum())}
    found |= {"rms_front": np.sqrt(square[true.front].mean()), "rms_rest": np.sqrt(square[~true.front].mean())}
    return found | {"front_share": square[true.front].sum() / max(square.sum(), 1e-30)}


def scores(true: Truth, phi_e: np.ndarray) -> dict[str, float]:
    """R2 at each electrode."""
    return {f"r2_{name}": value for name, value in zip(HEIGHTS, r2(true.run.phi_e, phi_e), strict=True)}


def to_the_end(frames: np.ndarray) -> np.ndarray:
    """Frames (`N_FRAMES`, ...): those that are there, and rest after them."""
    return np.concatenate([frames, np.zeros((N_FRAMES - len(frames), *frames.shape[1:]), frames.dtype)])


def closed_form(run: Run) -> np.ndarray:
    """Activation times (y, x) of a circular wave at the speed of healthy tissue, untrained."""
    x, y, D, _ = run.parameters
    center_y, center_x = run.tissue.grid.centers
    far = np.maximum(np.hypot(center_x - x, center_y - y) - RADIUS, 0)
    begin = capture_delay(run.stimulus.amplitude, run.stimulus.duration, DT, FK_CAF)
    return begin + far / (speed(FK_CAF) * np.sqrt(D))


class Models(NamedTuple):
    """What is learned from the training runs of a family."""

    of_u: Basis
    of_lat: Basis
    u_networks: list[Coefficients]
    lat_networks: list[Coefficients]
    trainings: list[dict[str, Any]]


def learn(family: str, runs: list[Run], seeds: int) -> Models:
    """Bases and networks, each with the seconds it took."""
    began = process_time()
    of_u = pod(np.concatenate([run.u for run in runs]).reshape(-1, (CELLS // POOL) ** 2), max(SHOWN_MODES))
    rows = [{"family": family, "model": "basis of voltage", "seed": 0, "seconds": process_time() - began}]
    began = process_time()
    of_lat = pod(np.stack([fill(run.lat).ravel() for run in runs]), len(runs))
    rows.append({"family": family, "model": "basis of activation", "seed": 0, "seconds": process_time() - began})
    parameters = torch.tensor(np.stack([run.parameters for run in runs])).float()
    frames = np.stack([to_the_end(run.u.reshape(len(run.u), -1) @ of_u.modes[:V_MODES].T) for run in runs])
    when = FRAME * torch.arange(N_FRAMES)
    inputs = parameters.repeat_interleave(N_FRAMES, 0), when.repeat(len(runs))
    coefficients = torch.from_numpy(frames).float().flatten(0, 1)
    arrivals = torch.from_numpy(np.stack([fill(run.lat).ravel() @ of_lat.modes[:LAT_MODES].T for run in runs])).float()
    networks: dict[str, list[Coefficients]] = {"voltage": [], "activation": []}
    for seed in range(seeds):
        for name, given, targets, how in (
            ("voltage", inputs, coefficients, OF_VOLTAGE), ("activation", (parameters,), arrivals, OF_ACTIVATION),
        ):  # fmt: skip
            began = process_time()
            networks[name].append(train(given, targets, how, seed))
            rows.append({"family": family, "model": name, "seed": seed, "seconds": process_time() - began})
            progress(f"{family}, network of {name}, seed {seed}: {rows[-1]['seconds']:.0f} s")
    return Models(of_u, of_lat, networks["voltage"], networks["activation"], rows)


def predict_voltage(model: Coefficients, basis: Basis, run: Run, t: np.ndarray) -> np.ndarray:
    """Scaled voltage (time, y_map, x_map) of the parameters of a run at times t in ms."""
    given = torch.tensor(run.parameters).float().expand(t.size, -1)
    with torch.no_grad():
        found = model(given, torch.from_numpy(t).float()).numpy()
    return (found @ basis.modes[: found.shape[1]]).reshape(t.size, CELLS // POOL, -1)


def predict_activation(model: Coefficients, basis: Basis, run: Run) -> np.ndarray:
    """Activation times (y, x) in ms of the parameters of a run."""
    with torch.no_grad():
        found = model(torch.tensor(run.parameters).float()[None])[0].numpy()
    return (found @ basis.modes[: found.size]).reshape(CELLS, CELLS)


def score(family: str, sim: int, run: Run, models: Models) -> pd.DataFrame:
    """One row a method and seed of a test tissue."""
    own = dict(zip(("x", "y", "D", "density"), run.parameters.round(4), strict=True))
    return pd.DataFrame([{"family": family, "sim": sim} | own | row for row in _scores(run, models)])


def _scores(run: Run, models: Models) -> Iterator[dict[str, Any]]:
    at = read(run)
    yield {"method": "true voltage"} | score_voltage(at, at.u)
    for k in SHOWN_MODES:
        u = models.of_u.project(at.u.reshape(at.t.size, -1), k).reshape(at.u.shape)
        yield {"method": f"POD of voltage, {k} modes"} | score_voltage(at, u)
    for seed, model in enumerate(models.u_networks):
        u = predict_voltage(model, models.of_u, run, at.t)
        yield {"method": "network of voltage", "seed": seed} | score_voltage(at, u)
    yield {"method": "true activation"} | score_activation(at, at.lat)
    lat = models.of_lat.project(at.lat.ravel(), LAT_MODES).reshape(at.lat.shape)
    yield {"method": "POD of activation"} | score_activation(at, lat)
    for seed, model in enumerate(models.lat_networks):
        lat = predict_activation(model, models.of_lat, run)
        yield {"method": "network of activation", "seed": seed} | score_activation(at, lat)
    yield {"method": "closed form"} | score_activation(at, closed_form(run))
    try:
        lat = solve_eikonal(run.tissue, run.stimulus, dt=DT).values
    except ValueError as refusal:  # no score, and counted
        progress(f"refused: {refusal}")
        yield {"method": "refused"}
    else:
        yield {"method": "activation by physics"} | score_activation(at, fill(lat))


def write_frames(run: Run, models: Models) -> None:
    """Frames of one test tissue by four routes."""
    at, shape = read(run), (N_FRAMES, CELLS // POOL, CELLS // POOL)
    u = {
        "simulation": at.u,
        "POD of voltage": models.of_u.project(at.u.reshape(N_FRAMES, -1), V_MODES).reshape(shape),
        "network of voltage": predict_voltage(models.u_networks[0], models.of_u, run, at.t),
        "network of activation": voltage(at, predict_activation(models.lat_networks[0], models.of_lat, run)),
    }
    values = np.stack([one[np.searchsorted(at.t, PICTURED)] for one in u.values()]).astype(np.float32)
    coords = {"route": [*u], "time": [*PICTURED]}
    frames = xr.Dataset({"u": (("route", "time", "y_map", "x_map"), values)}, coords)
    path = RUNS / "reduced_frames.nc"
    part = path.with_suffix(".part")
    frames.to_netcdf(part, engine="scipy")
    os.replace(part, path)


def write_tables(family: str, rows: list[pd.DataFrame], models: Models) -> None:
    """The scores; what so many modes leave unexplained of the training runs; and what the learning took."""
    modes = [
        {"family": family, "field": field, "modes": k, "unexplained": basis.unexplained(k)}
        for field, basis in {"voltage": models.of_u, "activation": models.of_lat}.items()
        for k in range(1, basis.singular.size + 1)
    ]
    tables = {"": pd.concat(rows), "_modes": pd.DataFrame(modes), "_cost": pd.DataFrame(models.trainings)}
    for name, table in tables.items():
        path = RUNS / f"reduced{name}.csv"
        others = pd.read_csv(path).query("family != @family") if path.is_file() else pd.DataFrame()
        table = pd.concat([others, table]) if len(others) else table
        write_table(table.sort_values("family", ascending=False, kind="stable"), path, digits=5)


def main(families: list[str], n_train: int, n_test: int, seeds: int) -> None:
    """Families of runs, and the tables, in which those of another family stay."""
    torch.set_num_threads(1)
    for family in families or FAMILIES:
        runs, test = simulate_all(family, n_train), simulate_all(family, n_test, first=n_train)
        models = learn(family, runs, seeds)
        if family == "healthy":
            write_frames(test[0], models)
        rows = [score(family, sim, run, models) for sim, run in enumerate(test, n_train)]
        progress(f"{family}\n{pd.concat(rows).groupby('method').mean(numeric_only=True).round(4).to_string()}")
        write_tables(family, rows, models)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("families", nargs="*", help=f"of {[*FAMILIES]}; all without any")
    parser.add_argument("--train", dest="n_train", type=int, default=200, help="runs of a family to learn from")
    parser.add_argument("--test", dest="n_test", type=int, default=25, help="runs of a family to score")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each network")
    main(**vars(parser.parse_args()))
