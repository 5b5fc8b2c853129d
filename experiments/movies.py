"""Movies of the voltage of sheets with an anomaly, and what physics reads off them: slowness, and the equation itself."""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from experiments.draws import with_noise
from forwardecg.solver.simulation import solve
from forwardecg.tissue.grid import blocks
from forwardecg.tissue.sheet import Tissue, healthy
from forwardecg.tissue.stimulus import Stimulus, focal_stimulus

SEED, N_CELLS, DX, POOL = 5200, 200, 0.5, 4  # cells of 0.5 mm, pixels of 2 mm
T_END, INTERVAL, FINE = 500.0, 5.0, 1.0  # ms: the end, between frames of the maps, and of the cells
FACTORS = {"D x 0.3": 0.3, "D x 0.6": 0.6}  # of D in the disc
KINDS = ("healthy", *FACTORS, "ectopic")
SIZES = {"train": 60, "val": 16, "development": 4, "test": 12}  # movies of a kind; of anomalies the last two alone
SECOND = 250.0  # ms: the first beat is over everywhere, and no second one has begun


class Movie(NamedTuple):
    """Voltage u (frame, y, x) of pixels, and of cells where asked for; where the anomaly is (y, x) of pixels; since when (ms).

    ``sheet`` and ``paced`` are what is known: the healthy tissue of this D, and its first stimulus.
    """

    u: np.ndarray
    cells: np.ndarray | None
    anomaly: np.ndarray
    onset: float
    sheet: Tissue
    paced: Stimulus


def draw(kind: str, part: str, sim: int) -> tuple[Tissue, Tissue, list[Stimulus], np.ndarray]:
    """Sheet without and with its anomaly, stimuli, and the cells (y, x) of the anomaly."""
    rng = np.random.default_rng([SEED, [*SIZES].index(part), KINDS.index(kind), sim])
    side = N_CELLS * DX
    sheet = healthy((N_CELLS, N_CELLS), DX, rng.uniform(0.10, 0.16))
    site, radius = rng.uniform(0.1 * side, 0.9 * side, 2), rng.uniform(5.0, 12.0)
    place = site
    while np.hypot(*(place - site)) < radius + 12.0:
        place = rng.uniform(0.15 * side, 0.85 * side, 2)
    stimuli, start = [focal_stimulus(sheet, site[0], site[1], radius=5.0)], float(rng.integers(280, 340))
    if kind in FACTORS:
        disc = focal_stimulus(sheet, place[0], place[1], radius=radius).mask
        return sheet, replace(sheet, D=np.where(disc, FACTORS[kind] * sheet.D, sheet.D)), stimuli, disc
    if kind == "ectopic":
        stimuli.append(focal_stimulus(sheet, place[0], place[1], radius=5.0, start=start))
        return sheet, sheet, stimuli, stimuli[-1].mask
    return sheet, sheet, stimuli, np.zeros(sheet.D.shape, bool)


def simulate(kind: str, part: str, sim: int, cells: bool = False) -> Movie:
    """A movie, on cells every ms as well if asked for."""
    sheet, tissue, stimuli, anomaly = draw(kind, part, sim)
    frames, fine, every = list[np.ndarray](), list[np.ndarray](), round(INTERVAL / FINE)
    for k, state in enumerate(solve(tissue, stimuli, t_end=T_END, every=FINE)):
        if cells:
            fine.append(state.u.copy())
        if k % every == 0:
            frames.append(blocks(state.u, POOL).mean((1, 3)))
    onset = np.nan if kind == "healthy" else float(stimuli[-1].start if kind == "ectopic" else state.lat[anomaly].min())
    pixels = blocks(anomaly, POOL).mean((1, 3)) > 0.5
    u = np.array(frames, np.float32)
    return Movie(u, np.array(fine) if cells else None, pixels, onset, sheet, stimuli[0])


def add_noise(u: np.ndarray, level: float, seed: int) -> np.ndarray:
    """The movie with white noise."""
    return with_noise(u, level, [seed, 7], np.float32)


def activation(u: np.ndarray, begin: float, end: float) -> np.ndarray:
    """When each pixel rises, (y, x) in ms from begin to end; NaN where it does not: the largest step of u (frame, y, x).

    The step is between means of four frames, so that a noisy sample is no upstroke; its time is linear between two frames.
    """
    sums = np.cumsum(np.pad(u.astype(float), ((5, 3), (0, 0), (0, 0)), mode="edge"), axis=0)
    step = (sums[8:] - 2 * sums[4:-4] + sums[:-8]) / 4  # mean of frames k .. k + 3 minus that of k - 4 .. k - 1
    first, last = round(begin / INTERVAL), round(end / INTERVAL)
    k = 1 + first + step[1 + first : last].argmax(0)
    before, at, size = (np.take_along_axis(one, n[None], 0)[0] for one, n in ((u, k - 1), (u, k), (step, k)))
    part = np.clip((0.5 - before) / np.where(at > before, at - before, 1), 0, 1)
    return np.where(size > 0.4, INTERVAL * (k - 1 + part), np.nan)


def beats(u: np.ndarray) -> np.ndarray:
    """Activation times (beat, y, x) in ms of the first beat, and of a second one, NaN where there is none."""
    return np.array([activation(u, 0, SECOND), activation(u, SECOND, INTERVAL * len(u))])


def slowness(T: np.ndarray) -> np.ndarray:
    """|grad T| (y, x) of activation times (ms) in ms/mm; 0 where there is no time."""
    return np.nan_to_num(np.hypot(*np.gradient(T, DX * POOL)))


def equation_residual(movie: np.ndarray, sheet: Tissue, paced: Stimulus, interval: float, **run: Any) -> np.ndarray:
    """What a solution of the monodomain equation that starts at each frame misses of the next one, (frame, y, x).

    It is du/dt - div(D grad u) + J, integrated over the interval (ms) between frames. D is that of ``sheet``, the gates
    are those that the equation has under this voltage, and of the stimuli the first alone is known.
    """
    residual = np.zeros_like(movie)
    states = solve(sheet, paced, t_end=interval * (len(movie) - 1), every=interval, **run)
    for k, state in enumerate(states):
        residual[k] = movie[k] - state.u
        state.u[:] = movie[k]  # the next step starts at what was seen
    return residual
