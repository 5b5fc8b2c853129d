"""Recordings of many beats for delineators and gaps: simulated ones, kept in the cache, and an annotated one of a patient."""

import functools
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from compendium import external
from experiments.draws import draw_until_kept
from forwardecg.cache import key
from forwardecg.data.draw import Draw
from forwardecg.data.recipe import Recipe
from forwardecg.ecg.electrodes import Electrodes
from forwardecg.paths import CACHE, progress
from forwardecg.signals.beats import Pacing, simulate_beats

VERSION = 1  # of a recording: raised when `simulate_beats` gives others
DT = 2.0  # ms between samples
LEADS = ("center", "train1", "train2")  # three of the electrodes of the recipe


@dataclass(frozen=True, kw_only=True)
class Recordings:
    """Which recordings: tissues of the recipe's conditions and sites, each paced on its own."""

    n: int = 100
    n_cells: int = 200
    seed: int = 4100
    pacing: Pacing = Pacing()

    @property
    def recipe(self) -> Recipe:
        """Where tissue, site and electrodes of a recording come from."""
        return Recipe(n_sim=self.n, n_cells=self.n_cells, t_end=self.pacing.t_end, seed=self.seed)


def load_or_simulate(which: Recordings, sim: int) -> xr.Dataset:
    """Recording ``sim``, from the cache if it is there: ECG every 2 ms, maps every 4 ms, labels from maps every 2 ms.

    Tissues are drawn anew until a beat activates half of the cells, as for the data sets.
    """
    path = CACHE / "beats" / f"{key('beats', VERSION, which.recipe, which.pacing, sim, LEADS)}.nc"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        electrodes = some_electrodes(which.recipe.electrodes, LEADS)

        def record(drawn: Draw) -> xr.Dataset:
            return simulate_beats(
                drawn.tissue, drawn.stimuli[0], electrodes, seed=which.seed + sim, pacing=which.pacing, frame_interval=DT,
                ecg_interval=DT, pool=which.recipe.pool,
            )  # fmt: skip

        _, ds, attempt = draw_until_kept(which.recipe, sim, record)
        part = path.with_suffix(f".{os.getpid()}")
        packed = {"V_m": {"dtype": "int16", "scale_factor": 0.01, "_FillValue": -(2**15), "zlib": True}}
        kept = ds.isel(time=slice(None, None, 2)).assign_attrs(attempt=attempt)
        kept.to_netcdf(part, engine="h5netcdf", encoding=packed)
        os.replace(part, path)
    with xr.open_dataset(path, engine="h5netcdf") as ds:
        return ds.load()


def some_electrodes(bank: Electrodes, names: tuple[str, ...]) -> Electrodes:
    """Those of these names."""
    return Electrodes(bank.positions[[bank.names.index(name) for name in names]], names)


class Traces(NamedTuple):
    """ECGs (n, T) with the median 0 and SD 1, labels (n, wave, T) bool, and the tissue (n,) and lead (n,) of each."""

    ecg: np.ndarray
    labels: np.ndarray
    sim: np.ndarray
    lead: np.ndarray


def simulate_all(which: Recordings, jobs: int = 1) -> None:
    """All recordings into the cache, ``jobs`` side by side."""
    with ProcessPoolExecutor(jobs) as pool:
        for n, _ in enumerate(pool.map(functools.partial(_simulate, which), range(which.n))):
            progress(f"recording {n + 1} of {which.n}")


def _simulate(which: Recordings, sim: int) -> None:
    load_or_simulate(which, sim)


def traces(which: Recordings, sims: list[int]) -> Traces:
    """The traces of some recordings, one row a lead."""
    read = [load_or_simulate(which, sim) for sim in sims]
    ecg = np.concatenate([ds.phi_e.values for ds in read])
    labels = np.concatenate([np.repeat(ds.labels.values.astype(bool)[None], len(LEADS), axis=0) for ds in read])
    return Traces(standardize(ecg), labels, np.repeat(sims, len(LEADS)), np.tile(LEADS, len(sims)))


def exact_labels(which: Recordings, sims: list[int], dt: float) -> np.ndarray:
    """Labels (n, wave, T) of `traces`, every ``dt`` ms, from the times that the voltage gives."""
    clock, found = xr.DataArray(np.arange(0, which.pacing.t_end + dt / 2, dt), dims="time_ecg"), list[np.ndarray]()
    for sim in sims:
        ds = load_or_simulate(which, sim)
        on = ((clock >= ds.onset) & (clock <= ds.offset)).any("beat").transpose("wave", "time_ecg").values
        found.append(np.repeat(on[None], len(LEADS), axis=0))
    return np.concatenate(found)


def standardize(ecg: np.ndarray) -> np.ndarray:
    """Each trace with median 0 and SD 1."""
    return (ecg - np.median(ecg, -1, keepdims=True)) / np.maximum(ecg.std(-1, keepdims=True), 1e-12)


def split(n: int) -> dict[str, list[int]]:
    """Tissues to train, to choose and to test on: of 40, fives of the five conditions each, 10 are the test, 5 choose."""
    if n < 20:
        raise ValueError(f"n: expected at least 20 recordings, so that there is a test, got {n}")
    return {
        "test": [sim for sim in range(n) if sim // 5 % 4 == 3],
        "val": [sim for sim in range(n) if sim // 5 % 8 == 2],
        "train": [sim for sim in range(n) if sim // 5 % 4 != 3 and sim // 5 % 8 != 2],
    }


def annotated() -> tuple[Traces, pd.DataFrame]:
    """A patient's ECG every 2 ms with the marks of cardiologists: labels of P, QRS and T, and a row for each mark.

    FileNotFoundError, in one line, where there is no copy of the files.
    """
    ecg_path, waves_path = (external.locate(f"ecg/ludb_3{end}") for end in (".nc", "_waves.csv"))
    with xr.open_dataset(ecg_path, engine="h5netcdf") as ds:
        ecg, lead = ds.ecg.values.astype(float), ds.lead.values
    marks = pd.read_csv(waves_path).query("onset_sample >= 0 and offset_sample >= 0")
    labels = np.zeros((len(lead), 3, ecg.shape[1]), bool)
    columns = (marks[name].tolist() for name in ("wave", "lead", "onset_sample", "offset_sample"))
    for wave, name, onset, offset in zip(*columns, strict=True):
        labels[lead.tolist().index(name), ("P", "QRS", "T").index(wave), onset : offset + 1] = True
    return Traces(standardize(ecg), labels, np.zeros(len(lead), int), lead), marks
