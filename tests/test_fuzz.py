"""Every public function, called thousands of times with what is right in another form and with what is wrong.

Right input in any form gives the same result, or is refused. Wrong input gives one ValueError, *name: expected ..., got ...*. No
call changes its arguments. By hand: ``python tests/test_fuzz.py CALLS SEED`` prints what came of so many.
"""

import atexit
import functools
import importlib
import re
import shutil
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from test_house import ROOMS, exports, name_of

from forwardecg.activation.eikonal import solve_eikonal
from forwardecg.activation.forward import ecg_from_activation, eikonal_ecg
from forwardecg.data.draw import draw_tissue, simulate_one
from forwardecg.data.igb import read_igb
from forwardecg.data.maps import export_tissue, import_maps, load_small
from forwardecg.data.recipe import Recipe, read_recipe, write_recipe
from forwardecg.data.sets import collection
from forwardecg.data.split import check_disjoint, folds_by_tissue, split_by_tissue
from forwardecg.data.store import load_or_simulate, store_path
from forwardecg.ecg import electrodes, leadfield, leads, mesh, torso
from forwardecg.ecg.meshfiles import read_mesh
from forwardecg.inverse import estimate
from forwardecg.inverse.adjoint import activation_times
from forwardecg.measure import bands, compare, crps, samples, scores, waves
from forwardecg.paths import MODELS, RESULTS
from forwardecg.signals import beats, compose, intervals, losses
from forwardecg.solver.batched import solve_batch
from forwardecg.solver.calibration import calibrate_diffusivity
from forwardecg.solver.simulation import simulate, solve
from forwardecg.surrogates.paper.data import Sequences
from forwardecg.surrogates.paper.losses import hybrid, spectral_entropy
from forwardecg.surrogates.paper.model import Seq2Seq, Seq2SeqConfig
from forwardecg.surrogates.paper.task import Seq2SeqLoss
from forwardecg.surrogates.predict import load_surrogate
from forwardecg.surrogates.structured.fronts import read_fronts
from forwardecg.surrogates.structured.model import Structured, StructuredConfig
from forwardecg.surrogates.structured.task import StructuredLoss
from forwardecg.surrogates.train import TrainConfig, fit, initialize
from forwardecg.surrogates.weights import load_models, read_card, save_models
from forwardecg.tissue import sheet, stimulus
from forwardecg.tissue.cell import FK_CAF, FKParams
from forwardecg.tissue.grid import Grid

CALLS, SEED = 48, 16  # of each function; of the draws
CLEAR = re.compile(r"^[^:]*\w[^:]*: (.*: )?(expected )?.*expected .+ got ", re.DOTALL)
rng = np.random.default_rng(0)  # of the values below

GRID = Grid((6, 9), 0.5)
TISSUE = sheet.healthy((6, 9), 0.5, 0.13)
NINE = electrodes.standard_electrodes(TISSUE, 5.0)
LEFT = stimulus.edge_stimulus(TISSUE, "left", start=0.0)
SCARRED = rng.random((6, 9)) > 0.1
PASSED = 3.0 * np.arange(9) + 0.4 * np.arange(6)[:, None] + 2  # ms, when a wave arrives


def movie(n: int = 90, dt: float = 2.0) -> np.ndarray:
    """A plane wave in mV, (time, y, x): rest, 100 ms of plateau, rest."""
    since = dt * np.arange(n)[:, None, None] - PASSED
    return -85 + 100 * np.clip(since / 2 + 0.5, 0, 1) * np.clip((100 - since) / 30, 0, 1)


def labeled(values: np.ndarray, dims: tuple[str, ...], unit: str, dt: float | None = None) -> xr.DataArray:
    coords = {"time": ("time", dt * np.arange(len(values)), {"units": "ms"})} if dt else {}
    return xr.DataArray(values, coords, dims, attrs={"units": unit})


MOVIE = movie()
ECG = np.sin(np.arange(64) / 5) + 0.1 * rng.standard_normal((3, 64))
TRACE = torch.from_numpy(ECG)
WORDS = np.array(["healthy", "fibrotic", "gap_junction", "combined"] * 6)
ON = np.array([[0, 1, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1, 0, 0, 1, 1, 1, 0]], bool)
FOUND = ON & (np.arange(12) != 8) & (np.arange(12) != 7)  # one missed: errors are NaN there
SPLIT = torch.tensor(ON[None], dtype=torch.float64)
SMALL = load_small().isel(sim=1).V_m.values[::2, 20:60, 20:60]


@dataclass(frozen=True)
class Call:
    """A public function, arguments that are right, and what the axes of its arrays are called and measured in."""

    function: Callable[..., Any]
    arguments: dict[str, Any]
    arrays: dict[str, tuple[tuple[str, ...], str]]
    calls: int = CALLS


def call(function: Callable[..., Any], arrays: dict | None = None, calls: int = CALLS, **arguments: Any) -> Call:
    return Call(function, arguments, arrays or {}, calls)


FOLDER = Path(tempfile.mkdtemp())
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)
IGB = FOLDER / "vm.igb"
IGB.write_bytes(
    b"x:9 y:6 t:90 type:double systeme:little_endian".ljust(1024) + np.ascontiguousarray(MOVIE, "<f8").tobytes()
)
TINY = Recipe(n_sim=1, n_cells=40, t_end=100.0, bank=False)


CORNERS = np.array([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
PATCH = mesh.Mesh(CORNERS, [[0, 1, 2], [0, 2, 3]], D=0.1)
SQUARE = FOLDER / "square"
for ending, rows in {
    ".pts": 1000 * CORNERS,
    ".elem": ["Tr 0 1 2 1", "Tr 0 2 3 2", "Tr 0 1 3 2"],
    ".lon": np.eye(3)[[0, 1, 0]],
}.items():
    text = [row if isinstance(row, str) else " ".join(map(str, row)) for row in rows]
    SQUARE.with_suffix(ending).write_text("\n".join([str(1 if ending == ".lon" else len(text)), *text]) + "\n")


class Line:
    """A task of one weight each for six numbers."""

    stage, version, code, n_train = "line", 1, (), 8
    X = torch.arange(48.0).reshape(8, 6) / 48

    def fingerprint(self) -> tuple:
        return ()

    def draw(self, members, generator):
        return self.X[members]

    def loss(self, model, drawn, rows, done):
        return (model(drawn[rows]) - 1).square()[:, 0]

    def score(self, model) -> float:
        return -float((model(self.X) - 1).square().mean().detach())


PLATE = sheet.healthy((20, 20), 0.5, 0.13)
FOUR = electrodes.grid_electrodes(PLATE, 2, 2, z=8.0)
BEAT = simulate(
    PLATE, stimulus.focal_stimulus(PLATE, x=3.0, y=4.0, radius=2.0), t_end=30.0, electrodes=FOUR, calibrated=False
).phi_e
YX, TYX = ("y", "x"), ("time", "y", "x")
TABLE = {
    "healthy": call(sheet.healthy, shape=(6, 9), dx=0.5, D0=0.13, seed=None),
    "Tissue": call(
        sheet.Tissue, {"D": (YX, "mm2 ms-1"), "conductive": (YX, "1"), "fiber_angle": (YX, "rad"), "D_across": (YX, "mm2 ms-1")},
        D=np.full((6, 9), 0.13), conductive=SCARRED, dx=0.5, D_across=np.full((6, 9), 0.05), fiber_angle=np.full((6, 9), 0.3), gj_scale=1.0,
    ),
    "fibrotic": call(sheet.fibrotic, tissue=TISSUE, texture="patchy", seed=3, dense=False),
    "with_fibers": call(sheet.with_fibers, {"angle": (YX, "rad")}, tissue=TISSUE, angle=np.full((6, 9), 0.4), ratio=4.0),
    "Grid": call(Grid, shape=(6, 9), dx=0.5),
    "FKParams": call(FKParams, **{field.name: getattr(FK_CAF, field.name) for field in fields(FK_CAF)}),
    "Stimulus": call(stimulus.Stimulus, {"mask": (YX, "1")}, mask=~SCARRED, start=1.0, duration=2.0, amplitude=0.3),
    "edge_stimulus": call(stimulus.edge_stimulus, sheet=TISSUE, side="top", width=1.0, start=2.0),
    "focal_stimulus": call(stimulus.focal_stimulus, sheet=TISSUE, x=2.0, y=1.0, radius=1.5),
    "s1_s2": call(stimulus.s1_s2, {"s2": (("beat",), "ms")}, s1=LEFT, interval=100.0, n_s1=2, s2=np.array([50.0, 40.0])),
    "Electrodes": call(
        electrodes.Electrodes, {"positions": (("lead", "xyz"), "mm")}, positions=rng.random((3, 3)) + 1, names=("a", "b", "c")
    ),
    "center_electrode": call(electrodes.center_electrode, sheet=GRID, z=5.0),
    "standard_electrodes": call(electrodes.standard_electrodes, sheet=TISSUE, z=5.0),
    "lead_field": call(leadfield.lead_field, tissue=TISSUE, electrodes=NINE, conductor=None),
    "pseudo_ecg": call(leadfield.pseudo_ecg, {"V_m": (TYX, "mV")}, V_m=MOVIE, tissue=TISSUE, electrodes=NINE),
    "Mesh": call(
        mesh.Mesh, {"points": (("node", "xyz"), "mm"), "cells": (("cell", "corner"), "1"), "fibers": (("cell", "xyz"), "1")},
        points=CORNERS, cells=np.array([[0, 1, 2], [0, 2, 3]]), D=0.1, D_across=0.05, fibers=np.array([[1.0, 0, 0], [0, 1.0, 0]]),
    ),
    "mesh_of": call(mesh.mesh_of, tissue=TISSUE),
    "read_mesh": call(read_mesh, path=SQUARE, D=0.1, D_across=0.05),
    "pseudo_ecg of a mesh": call(
        leadfield.pseudo_ecg, {"V_m": (("time", "node"), "mV")}, V_m=-85 + 100 * rng.random((3, 4)), tissue=PATCH, electrodes=NINE,
    ),
    "bipolar": call(
        leads.bipolar, {"phi_e": (("lead", "time"), "1")}, phi_e=rng.random((9, 20)), plus=NINE.names[1], minus=NINE.names[2], electrodes=NINE,
    ),
    "twelve_leads": call(leads.twelve_leads, {"phi_e": (("lead", "time"), "1")}, phi_e=rng.random((9, 20)), electrodes=NINE),
    "Disc": call(torso.Disc, radius=20.0, center=(1.0, 2.0)),
    "Sphere": call(torso.Sphere, radius=20.0, center=(1.0, 2.0, 3.0)),
    "simulate": call(
        simulate, tissue=TISSUE, stimuli=[LEFT], t_end=2.0, electrodes=NINE, frame_interval=1.0, ecg_interval=0.5, dt=0.1, pool=1, calibrated=False, threads=1,
    ),
    "solve": call(
        lambda **given: [(state.t, state.u.copy()) for state in solve(**given)],
        tissue=TISSUE, stimuli=LEFT, t_end=2.0, every=1.0, dt=0.1, calibrated=False, threads=1,
    ),
    "solve_batch": call(
        lambda **given: [*solve_batch(**given)],
        tissues=[TISSUE], stimuli=[LEFT], t_end=2.0, every=1.0, dt=0.1, calibrated=False, precision="float32", smooth=0.0, compiled=False,
    ),
    "solve_eikonal": call(solve_eikonal, tissue=TISSUE, stimuli=[LEFT], cell=FK_CAF, dt=0.1),
    "activation_times": call(
        activation_times, tissue=TISSUE, site=torch.tensor([[1.2, 1.3]]), onset=torch.tensor([2.0]), D=torch.tensor(TISSUE.D.copy()), radius=1.0,
        cell=FK_CAF, dt=0.1,
    ),
    "ecg_from_activation": call(
        ecg_from_activation, {"lat": (YX, "ms"), "t": (("time",), "ms"), "recovery": (YX, "ms")}, lat=PASSED, tissue=TISSUE, electrodes=NINE,
        t=np.array([1.0, 5.5, 80.0]), recovery=PASSED + 107, conductor=None, cell=FK_CAF, dt=0.1,
    ),
    "fit of a site": call(functools.partial(estimate.fit, BEAT), electrodes=FOUR, sheet=PLATE, field=1, gain=0, radius=2.0, calls=10),
    "profile": call(
        functools.partial(estimate.profile, BEAT, x=[2.0, 5.0], y=[4.0]), electrodes=FOUR, sheet=PLATE, gain=0, radius=2.0, calls=16,
    ),
    "eikonal_ecg": call(
        eikonal_ecg, tissue=TISSUE, stimuli=[LEFT], electrodes=NINE, t_end=20.0, ecg_interval=2.0, conductor=None, cell=FK_CAF, dt=0.1,
    ),
    "calibrate_diffusivity": call(
        calibrate_diffusivity, {"D": (YX, "mm2 ms-1"), "live": (YX, "1")}, D=np.full((2, 3), 0.12), live=np.ones((2, 3), bool), dx=0.5, dt=0.1, cell=FK_CAF,
    ),
    "activation_time": call(waves.activation_time, V_m=labeled(MOVIE, TYX, "mV", 2.0), threshold=-35.0),
    "apd90": call(waves.apd90, V_m=labeled(MOVIE, TYX, "mV", 2.0), threshold=-35.0),
    "conduction_velocity": call(waves.conduction_velocity, lat=labeled(PASSED, YX, "ms"), dx=0.5, reach=2),
    "tip_path": call(waves.tip_path, V_m=labeled(MOVIE[:9], TYX, "mV", 2.0), dx=0.5),
    "r2": call(scores.r2, {"ecg_true": (("lead", "time"), "1"), "ecg_pred": (("lead", "time"), "1")}, ecg_true=ECG, ecg_pred=0.9 * ECG),
    "score_ecgs": call(
        scores.score_ecgs, {"ecg_true": (("lead", "time"), "1"), "ecg_pred": (("lead", "time"), "1"), }, ecg_true=ECG, ecg_pred=0.9 * ECG,
    ),
    "pointwise_factor": call(bands.pointwise_factor, error=rng.random((30, 8)), sigma=rng.random((30, 8)) + 1, coverage=0.9),
    "whole_trace_factor": call(bands.whole_trace_factor, error=rng.random((30, 8)), sigma=rng.random((30, 8)) + 1, coverage=0.9),
    "interval": call(compare.interval, values=rng.random(12), seed=1, level=0.95),
    "paired_difference": call(compare.paired_difference, a=rng.random((3, 12)), b=rng.random((3, 12)), seed=1),
    "crps_gaussian": call(
        crps.crps_gaussian, {name: (("lead", "time"), "1") for name in ("ecg_true", "mean", "sd")}, ecg_true=ECG, mean=0.9 * ECG, sd=abs(ECG) + 0.1,
    ),
    "crps_ensemble": call(
        crps.crps_ensemble, {"ecg_true": (("lead", "time"), "1"), "members": (("member", "lead", "time"), "1")},
        ecg_true=ECG, members=ECG + rng.standard_normal((4, *ECG.shape)), fair=False,
    ),
    "classifier_test": call(
        samples.classifier_test, a=rng.random((9, 3)), b=rng.random((8, 3)), classifier=lambda X, y, others: others[:, 0], folds=3, paired=False,
        permutations=9, seed=1,
    ),
    "mmd_test": call(samples.mmd_test, a=rng.random((9, 3)), b=rng.random((9, 3)), paired=True, permutations=9, seed=1),
    "histogram_test": call(samples.histogram_test, a=rng.random((9, 3)), b=rng.random((8, 3)), bins=5, paired=False, permutations=9, seed=1),
    "Pacing": call(beats.Pacing, t_end=2000.0, cycle_low=400.0, cycle_high=600.0, jitter=0.1, early=0.2, coupling=0.6),
    "simulate_beats": call(
        beats.simulate_beats, tissue=TISSUE, site=LEFT, electrodes=NINE, pacing=beats.Pacing(t_end=260.0, cycle_low=120.0, cycle_high=120.0), seed=2,
        frame_interval=2.0, ecg_interval=1.0, pool=1, calibrated=False, calls=24,
    ),
    "label_waves": call(
        beats.label_waves, {"starts": (("beat",), "ms")}, V_m=labeled(MOVIE, TYX, "mV", 2.0), starts=np.array([1.0]), share=0.01,
    ),
    "cut_segments": call(compose.cut_segments, {"labels": (("wave", "time"), "1")}, ecg=ECG[0, :12], labels=ON),
    "compose_recording": call(
        compose.compose_recording, segments=compose.cut_segments(ECG[0, :36], np.tile(ON, 3)), n_t=50, seed=1, stretch=0.1, scale=0.2,
    ),
    "read_intervals": call(intervals.read_intervals, labels=ON[0], dt=2.0, shortest=3.0),
    "match_intervals": call(
        intervals.match_intervals, {name: (("interval", "edge"), "ms") for name in ("true", "pred")},
        true=np.array([[1.0, 5.0], [9.0, 14.0], [30.0, 40.0]]), pred=np.array([[2.0, 5.0], [31.0, 38.0]]), tolerance=9.0,
    ),
    "compare_labels": call(
        intervals.compare_labels, {name: (("lead", "time"), "1") for name in ("true", "pred")}, true=ON, pred=FOUND, dt=2.0,
        tolerance=9.0, shortest=0.0,
    ),
    "dice": call(losses.dice, pred=0.8 * SPLIT, true=SPLIT),
    "bound_dice": call(losses.bound_dice, pred=0.8 * SPLIT, true=SPLIT, width=5),
    "f1_instance": call(losses.f1_instance, pred=0.8 * SPLIT, true=SPLIT, steepness=10.0),
    "Recipe": call(
        Recipe, n_sim=3, n_cells=40, dx=0.5, dt=0.1, t_end=100.0, frame_interval=5.0, pool=4, D0_low=0.1, D0_high=0.16, bank=False, max_draws=5,
        min_activated=0.5,
    ),
    "draw_tissue": call(draw_tissue, recipe=Recipe(n_sim=3, n_cells=24), sim=2, attempt=1),
    "collection": call(collection, base=Recipe(n_sim=3)),
    "store_path": call(store_path, recipe=Recipe(n_sim=3), folder=tempfile.gettempdir()),
    "split_by_tissue": call(split_by_tissue, condition=WORDS, seed=1),
    "folds_by_tissue": call(folds_by_tissue, condition=WORDS, seed=1, n_folds=3),
    "check_disjoint": call(check_disjoint, hashes={"train": ["a", "b"], "test": ["c"]}),
    "import_maps": call(
        import_maps, {"source": (TYX, "mV"), "mask": (YX, "1")}, source=MOVIE[::3], dx=2.0, dt=6.0, unit="mV", fill=False, mask=np.ones((6, 9), bool),
    ),
    "import_maps of a camera": call(
        import_maps, {"source": (TYX, "1")}, source=10 * MOVIE[::3], dx=2.0, dt=6.0, counts=(np.full((6, 9), -850.0), 1000.0),
    ),
    "TrainConfig": call(TrainConfig, epochs=3, batch=4, lr=1e-3, weight_decay=0.0, ema=0.5, precision="float32", seed=1),
    "Seq2SeqConfig": call(Seq2SeqConfig, pixels=10, channels=(4, 8), width=16, heads=2, norm=True),
    "StructuredConfig": call(StructuredConfig, width=2),
    "Seq2SeqLoss": call(Seq2SeqLoss, delta=1.0, lambda_se=0.1, spectral="entropy", decay=True),
    "StructuredLoss": call(StructuredLoss, frames=5, labels=1.0),
    "spectral_entropy": call(spectral_entropy, ecg=TRACE),
    "hybrid": call(hybrid, ecg_pred=0.9 * TRACE, ecg_true=TRACE, delta=1.0, weight=0.1, spectral="entropy"),
    "read_fronts": call(read_fronts, u=torch.from_numpy((MOVIE[::3] + 85) / 100), dx=2.0, dt=6.0),
    "initialize": call(initialize, build=lambda: torch.nn.Linear(2, 1), seed=1),
    "fit": call(fit, model=torch.nn.Linear(6, 1), task=Line(), config=TrainConfig(epochs=1, batch=4), checkpoint=None),
    "Seq2Seq": call(Seq2Seq, config=Seq2SeqConfig(pixels=10, channels=(4,), width=8, heads=2), calls=16),
    "Structured": call(Structured, config=StructuredConfig(width=2), calls=16),
    "Sequences": call(
        Sequences, ds=load_small(), sims=[0, 2], pixels=10, frame_interval=25.0, leads="center", memory_gb=1.0, known_D=False, calls=32
    ),
    "read_card": call(read_card, path=MODELS / "structured.safetensors"),
    "load_models": call(load_models, path=MODELS / "structured.safetensors", calls=24),
    "save_models": call(save_models, models=[Structured(StructuredConfig(width=2))], path=FOLDER / "a.safetensors"),
    "write_recipe": call(write_recipe, recipe=Recipe(n_sim=3), path=FOLDER / "recipe.json"),
    "read_recipe": call(read_recipe, path=RESULTS / "07_dataset.json"),
    "export_tissue": call(export_tissue, ds=load_small(), path=FOLDER / "tissue.nc", sim=1, calls=24),
    "read_igb": call(read_igb, path=IGB),
    "simulate_one": call(simulate_one, recipe=TINY, sim=0, calls=32),
    "load_or_simulate": call(load_or_simulate, recipe=TINY, executor=ThreadPoolExecutor(1), folder=FOLDER, verify=True, calls=32),
    "load_surrogate": call(load_surrogate, name="structured", calls=12),
    "predict": call(
        lambda **given: load_surrogate("structured").predict(**given), {"maps": (TYX, "mV"), "mask": (YX, "1")}, calls=60,
        maps=SMALL, dx=2.0, dt=10.0, unit="mV", electrodes=electrodes.Electrodes(np.array([[30.0, 50.0, 20.0]]), ("e",)), fill=False,
        mask=np.ones(SMALL.shape[1:], bool), kappa=0.2,
    ),
}  # fmt: skip
PERMITS_NONE = {
    "seed", "conductor", "texture", "folder", "mask", "electrodes", "kappa", "dx", "dt", "unit", "fiber_angle", "D_across", "checkpoint",
    "executor", "sim", "frame_interval", "counts", "recovery",
}  # fmt: skip
OTHER_KIND = {  # of any value: never right, unless the value is of that very kind
    "None": None, "text": "a word", "complex": 1 + 2j, "date": np.datetime64("2020-01-01"), "dict": {"a": 1}, "object": object(),
    "set": {1, 2}, "bytes": b"\xff", "function": len,
}  # fmt: skip
UNITS = {
    "mV": ("V", 1e-3),
    "mm2 ms-1": ("cm^2/s", 10.0),
    "rad": ("rad", 1.0),
    "ms": ("seconds", 1e-3),
    "mm": ("um", 1e3),
    "1": ("1", 1.0),
}


def numbers(x: float) -> Iterator[tuple[str, Any]]:
    """A number in other containers."""
    yield from {
        "0-d": np.array(x),
        "0-d, torch": torch.tensor(x, dtype=torch.float64 if isinstance(x, float) else None),
    }.items()
    yield "DataArray", xr.DataArray(x)
    if isinstance(x, int):
        yield from {"int64": np.int64(x), "int16": np.int16(x)}.items()
        return
    yield "float64", np.float64(x)
    if x.is_integer():
        yield from {"int": int(x), "float32": np.float32(x)}.items()


def wrong_numbers(x: float) -> Iterator[tuple[str, Any]]:
    yield from {
        "nan": float("nan"),
        "list": [x, x],
        "array": np.array([x, x]),
        "bool": True,
        "masked": np.ma.masked,
    }.items()
    yield from {
        "inf": float("inf"),
        "1e300": 1e300,
        "10**30": 10**30,
        "-1": -1,
        "0": 0,
        "-inf": -float("inf"),
        "0.5": 0.5,
    }.items()


def forms(x: np.ndarray, dims: tuple[str, ...], unit: str, said: bool) -> Iterator[tuple[str, Any]]:
    """The same array in another layout, byte order, container; with dims in another order; in another unit, unless the unit is ``said`` beside it."""
    wide = np.repeat(np.repeat(x, 2, axis=0), 2, axis=-1) if x.ndim > 1 else np.repeat(x, 2)
    frozen = x.copy()
    frozen.flags.writeable = False
    yield from {
        "list": x.tolist(),
        "Fortran": np.asfortranarray(x),
        "big-endian": x.astype(x.dtype.newbyteorder(">")),
    }.items()
    yield from {
        "strided": wide[::2, ..., ::2] if x.ndim > 1 else wide[::2],
        "frozen": frozen,
        "torch": torch.tensor(x),
    }.items()
    yield "no mask", np.ma.masked_array(x)
    yield "labeled", labeled(x, dims, unit)
    yield "Variable", labeled(x, dims, unit).variable
    if not dims[0].startswith("dim_"):  # unnamed axes have one order
        yield "transposed", labeled(x, dims, unit).transpose(*dims[::-1])
    if x.dtype.kind == "f":
        yield "longdouble", x.astype(np.longdouble)
        name, factor = UNITS[unit]
        if not said:
            yield f"in {name}", labeled(x * factor, dims, name)


def wrong_arrays(x: np.ndarray, dims: tuple[str, ...], unit: str) -> Iterator[tuple[str, Any]]:
    yield from {
        "complex": x + 0j,
        "dates": x.astype("datetime64[s]"),
        "objects": x.astype(object),
        "words": x.astype(str),
    }.items()
    yield from {
        "ragged": [[1.0], [1.0, 2.0]],
        "flat": x.ravel() if x.ndim > 1 else x[:, None],
        "empty": x[:0],
        "scalar": 1.0,
    }.items()
    yield "other dims", labeled(x, tuple(f"{dim}_of_mine" for dim in dims), unit)
    yield "one more dim", x[None]
    if unit != "1":
        yield "furlongs", labeled(x, dims, "furlong")
    if x.dtype.kind == "f":
        yield from {"inf": np.where(np.arange(x.size).reshape(x.shape) == 1, np.inf, x)}.items()


def lossy(x: np.ndarray) -> tuple[Any, Any] | None:
    """An array with a masked value and garbage beneath it, and the same with NaN: they must be one thing."""
    if x.dtype.kind != "f":
        return None
    gap = np.arange(x.size).reshape(x.shape) == x.size // 2
    return np.ma.masked_array(np.where(gap, 1e6, x), gap), np.where(gap, np.nan, x)


def parts(result: Any) -> list[np.ndarray]:
    """All numbers of a result."""
    if isinstance(result, xr.Dataset):
        return [array for name in sorted(map(str, result.data_vars)) for array in parts(result[name])]
    if isinstance(result, pd.DataFrame):
        return parts(result.select_dtypes("number").to_numpy())
    if isinstance(result, Sequences):
        return parts([result.u, result.ecg, result.t])
    if isinstance(result, torch.nn.Module):
        return parts(list(result.parameters()))
    if isinstance(result, xr.DataArray):  # in the order of its own dims: what is asked is the values
        return parts(result.transpose(*[dim for dim in ("lead", *TYX) if dim in result.dims], ...).values)
    if isinstance(result, torch.Tensor):
        return parts(result.detach().numpy())
    if is_dataclass(result) and not isinstance(result, type):
        return [array for field in fields(result) for array in parts(getattr(result, field.name))]
    if isinstance(result, dict):
        return parts([*result.values()])
    if isinstance(result, list | tuple):
        return [array for one in result for array in parts(one)]
    array = np.asarray(result)
    return [array] if array.dtype.kind in "biufc" else []


def same(a: Any, b: Any) -> bool:
    """Equal to round-off, beside the largest number of each part."""
    first, second = parts(a), parts(b)
    scale = [1e-5 * float(np.abs(one[np.isfinite(one)]).max(initial=0.0)) for one in first]
    return len(first) == len(second) and all(
        one.shape == other.shape and np.allclose(one, other, rtol=1e-5, atol=atol, equal_nan=True)
        for one, other, atol in zip(first, second, scale, strict=True)
    )


def sound(result: Any, right: Any) -> bool:
    """Real numbers, none of them NaN or infinite that is not so in the right result."""
    values, usual = parts(result), parts(right)
    holes = any(not np.isfinite(one).all() for one in usual if one.dtype.kind == "f")
    return all(one.dtype.kind != "c" and (holes or one.dtype.kind != "f" or np.isfinite(one).all()) for one in values)


def variants(name: str, x: Any, one: Call) -> Iterator[tuple[str, str, Any]]:
    """(right, wrong or dubious; what it is; the value) of an argument."""
    dims, unit = (
        one.arrays.get(name, (tuple(f"dim_{k}" for k in range(np.ndim(x))), "1"))
        if isinstance(x, np.ndarray)
        else ((), "")
    )
    if isinstance(x, bool):
        yield from [
            ("right", "bool_", np.bool_(x)),
            ("wrong", "2", 2),
            ("wrong", "array", np.array([x, x])),
            ("wrong", "0.5", 0.5),
        ]
    elif isinstance(x, int | float):
        yield from (("right", *form) for form in numbers(x))
        sure = ("nan", "list", "array", "bool", "masked")
        yield from (("wrong" if form[0] in sure else "dubious", *form) for form in wrong_numbers(x))
    elif isinstance(x, np.ndarray) and x.dtype.kind in "biuf":
        yield from (("right", *form) for form in forms(x, dims, unit, "unit" in one.arguments))
        unsure = ("scalar", "one more dim", "inf", "flat", "objects", "empty", *(["other dims"] if x.ndim == 1 else []))
        yield from (("dubious" if form[0] in unsure else "wrong", *form) for form in wrong_arrays(x, dims, unit))
    elif isinstance(x, xr.DataArray):
        dims, unit = tuple(map(str, x.dims)), x.attrs["units"]
        yield from [("right", "transposed", x.transpose(*dims[::-1])), ("right", "big-endian", x.astype(">f8"))]
        yield from [("right", f"in {UNITS[unit][0]}", (UNITS[unit][1] * x).assign_attrs(units=UNITS[unit][0]))]
        yield from [("wrong", "complex", x + 0j), ("wrong", "furlongs", x.assign_attrs(units="furlong"))]
        yield from [
            ("wrong", "other dims", x.rename({dims[0]: "mine"})),
            ("dubious", "array", x.values),
            ("dubious", "gaps", x.where(x > x.mean())),
        ]
    elif isinstance(x, tuple | list) and x and all(isinstance(k, int | float) for k in x):
        yield from [
            ("right", "list", [*x]),
            ("right", "tuple", (*x,)),
            ("wrong", "words", ["a" for _ in x]),
            ("dubious", "one less", x[:-1]),
        ]
        yield from [("wrong", "nan", [float("nan") for _ in x]), ("dubious", "negative", [-k for k in x])]
    for what, other in OTHER_KIND.items():
        kept = (
            type(other) is type(x)
            or (what == "None" and name in PERMITS_NONE)
            or (callable(x) and callable(other))
            or (what == "text" and name in ("folder", "path", "checkpoint"))
        )
        if not kept:
            yield "wrong", what, other
    if not isinstance(x, int | float):
        yield "dubious" if x is None or isinstance(x, np.ndarray) else "wrong", "3", 3


def outcome(function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    """The result, or the ValueError; any other exception passes."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return function(**arguments)
    except ValueError as error:
        return error


def fault(name: str, what: str, kind: str, value: Any, one: Call, right: Any) -> tuple[str, str]:
    """(how it is counted, what is wrong about it; nothing if all is well) of one call."""
    given = {key: deepcopy(x) if isinstance(x, np.ndarray) else x for key, x in one.arguments.items()} | {name: value}
    before = deepcopy(value) if isinstance(value, np.ndarray | xr.DataArray | torch.Tensor) else None
    try:
        result = outcome(one.function, given)
    except Exception as error:
        return "other exception", f"{type(error).__name__}: {error!s:.150}"
    if before is not None and not same(before, value):
        return "argument changed", "the call has changed it"
    if isinstance(result, ValueError):
        if not CLEAR.match(str(result)):
            return "unclear error", str(result)[:150]
        return ("refused, though right", str(result)[:150]) if kind == "right" else ("clear error", "")
    if kind == "right":
        return (
            ("same result", "")
            if same(result, right)
            else ("other result", "a right value in another form gives another result")
        )
    if kind == "wrong":
        return "accepted", " ".join(repr(result).split())[:100]
    return (
        ("accepted and sound", "")
        if what in ("inf", "gaps") or sound(result, right)
        else ("NaN or complex result", " ".join(repr(result).split())[:100])
    )


def fuzz(key: str, calls: int, seed: int, counts: Counter | None = None) -> list[str]:
    """What goes wrong in so many calls of one function of the table."""
    one, draw, found = TABLE[key], np.random.default_rng([seed, *key.encode()]), []
    right = outcome(one.function, one.arguments)
    assert not isinstance(right, ValueError), f"{key}: {right}"
    names = [*one.arguments]
    possible = {name: [*variants(name, one.arguments[name], one)] for name in names}
    for _ in range(calls):
        name = names[draw.integers(len(names))]
        kind, what, value = possible[name][draw.integers(len(possible[name]))]
        counted, wrong = fault(name, what, kind, value, one, right)
        if counts is not None:
            counts[counted] += 1
        if wrong:
            found.append(f"{key}({name}: {what}): {counted}: {wrong}")
    return sorted({*found})


@pytest.mark.parametrize("key", TABLE)
def test_right_in_any_form_is_the_same_and_wrong_is_refused_by_name(key):
    found = fuzz(key, TABLE[key].calls, SEED)
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "key", [key for key, one in TABLE.items() if any(isinstance(x, np.ndarray) for x in one.arguments.values())]
)
def test_what_lies_under_a_mask_is_never_read(key):
    one = TABLE[key]
    for name, x in one.arguments.items():
        if isinstance(x, np.ndarray) and (pair := lossy(x)) is not None:
            masked, gap = (outcome(one.function, one.arguments | {name: value}) for value in pair)
            if isinstance(masked, ValueError):
                assert isinstance(gap, ValueError) and CLEAR.match(str(masked)), (name, masked, gap)
            else:
                assert same(masked, gap), name


def test_every_public_function_is_in_the_table():
    """Beside what takes no argument, or minutes: `load_or_fit` is `fit` with a cache, `Surrogate` is called as predict.

    Tasks take what `Sequences` and `MapSet` have checked.
    """
    public = {
        name for room in ROOMS for file, name in exports(room)
        if file and callable(getattr(importlib.import_module(f"{name_of(room)}.{file}"), name))
    }  # fmt: skip
    apart = {"MapSet", "Seq2SeqTask", "StructuredTask", "Surrogate", "Task", "load_or_fit", "load_small"}
    assert public - {*TABLE} == apart
    assert sum(one.calls for one in TABLE.values()) >= 2000


if __name__ == "__main__":
    total, table = int(sys.argv[1]), Counter()
    for each in TABLE:
        lines = fuzz(each, max(total // len(TABLE), 1), int(sys.argv[2]), table)
        print(*lines, sep="\n", end="\n" * bool(lines), flush=True)
    print(table.total(), "calls:", ", ".join(f"{n} {what}" for what, n in table.most_common()))
