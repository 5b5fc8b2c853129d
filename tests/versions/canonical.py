"""The canonical run of each stage of cached work: small, but it goes through every line that a result rests on.

    python tests/versions/canonical.py STAGE SOURCE

prints what came out, and how much of the stage's modules ran, as json.
"""

import json
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple
from unittest import mock

import coverage

ROOT = Path(__file__).resolve().parents[2]
UNSEEN = [  # what only refuses or tells, what is compiled, what several processes do together
    r"raise \w+\(", r"^\s*(wanted|came) = ", r"lead = int\(\(nearest", r"^\s*@jit", r"PROGRESS_S", r"world > 1",
    r"mesh_lead_field\(tissue", r"instance\(\"(conductor|tissue)\", \w+, (\(Disc|Tissue, \"for)",  # of meshes, and of a torso
]  # fmt: skip
ELSEWHERE = (  # functions of these modules that no cached work rests on
    "read_recipe", "write_recipe", "to_u", "source_sum_ecg", "pseudo_ecg", "label_phi_e", "_read", "phi_e_attrs", "loader", "map_lead_field",
    "describe_maps", "pixel_diffusivity", "mean_of_faces", "predict", "report", "_move", "_count_from_corner",
    "instance", "settle", "number", "count", "counts", "file_path",
    "fraction", "one_of", "flag", "array", "times", "corner", "unit_factor", "_short", "_spell_out", "_in_order",
    "_plain_array", "_label", "_unmask", "_bare", "_content_of", "unit_of", "by_xyz", "names_of", "agree",
    "_label", "of_table",  # the gate: what came in otherwise than plain arrays and numbers
    "_mesh_ecg", "_voltages", "fill_missing", "_longest", "_largest_square",
)  # fmt: skip


def digest(values: Iterable) -> list[float]:
    """Mean, SD and a few values of an array: enough to see that it has changed, and little to keep."""
    import numpy as np

    flat = np.asarray(values, float).ravel()
    flat = flat[np.isfinite(flat)]
    if not flat.size:
        return [0.0]
    some = flat[:: max(flat.size // 4, 1)][:4]
    return [float(flat.size), float(flat.mean()), float(flat.std()), *map(float, some)]


def tissues() -> dict[str, list[float]]:
    """Sheets of every condition, texture, protocol and kind of fibrosis; fibers; electrodes of every arrangement."""
    from dataclasses import replace

    import numpy as np

    from forwardecg.data.draw import draw_tissue, simulate_one
    from forwardecg.data.recipe import Recipe
    from forwardecg.data.sets import collection
    from forwardecg.ecg import electrodes
    from forwardecg.solver.simulation import simulate
    from forwardecg.tissue import sheet as sheets
    from forwardecg.tissue.stimulus import edge_stimulus, s1_s2

    small = {"n_cells": 48, "dx": 1.0, "min_activated": 0.05}
    base = Recipe(n_sim=10, t_end=150.0, max_draws=30, **small)
    found: dict[str, list[float]] = {}

    def keep(name, ds):
        for variable in ("V_m", "lat", "recovery", "D", "phi_e"):
            found[f"{name}: {variable}"] = digest(ds[variable].values)

    for sim in range(5):
        keep(f"base, tissue {sim}", simulate_one(base, sim))
    for name, recipe in collection(Recipe(n_sim=10)).items():
        if name != "reentry":  # it does not last on so small a sheet
            keep(f"{name}, tissue 2", simulate_one(replace(recipe, t_end=100.0, **small), 2))
    with suppress(RuntimeError):  # no draw lasts on so small a sheet
        simulate_one(replace(base, protocol="reentry", max_draws=2), 4)
    draw = draw_tissue(replace(base, protocol="reentry"), 4)
    keep("S1 and S2", simulate(draw.tissue, draw.stimuli, t_end=200.0, electrodes=base.electrodes))
    for texture in sheets.TEXTURES:
        plain = sheets.fibrotic(sheets.healthy((40, 40), 0.5, D0=0.12), texture, seed=1)
        fibers = sheets.with_fibers(plain, angle=0.6, ratio=4.0)
        beats = s1_s2(edge_stimulus(fibers, "left"), interval=60.0, n_s1=1, s2=[20.0])
        keep(
            f"fibers, {texture}",
            simulate(fibers, beats, t_end=100.0, electrodes=electrodes.standard_electrodes(fibers)),
        )
    bank = base.electrodes
    found["turned electrodes"] = digest(electrodes.match_electrodes(bank.positions, 48.0))
    found["grid of electrodes"] = digest(electrodes.grid_electrodes(base.grid, 2, 3).positions)
    found["ring of electrodes"] = digest(electrodes.ring_electrodes(base.grid, 5, 20.0).positions)
    remodeled = sheets.combined(sheets.healthy((40, 40), 0.5, D0=0.12), seed=2)
    found["combined: D"] = digest(np.where(remodeled.live, remodeled.D, 0))
    return found


def fronts() -> dict[str, list[float]]:
    """What is read off the maps of the four shipped tissues, in every view of the training."""
    from forwardecg.data.maps import load_small
    from forwardecg.surrogates.structured.data import VIEWS, MapSet

    maps = MapSet(load_small(), [0, 2], [*VIEWS])
    found = {
        f"{view}: {name}": digest(values.numpy())
        for view, seen in zip(maps.views, maps.inputs, strict=True)
        for name, values in zip(seen._fields, seen, strict=True)
    }
    for pool, labels in maps.truth.items():  # they are kept with the fronts
        found |= {f"labels, {pool} x {pool}, {k}": digest(values.numpy()) for k, values in enumerate(labels)}
    return found


def trained(model, task, **config) -> dict[str, list[float]]:
    """Two epochs on one thread: losses, scores and weights."""
    import torch

    from forwardecg.surrogates import train

    torch.set_num_threads(1)
    config = train.TrainConfig(epochs=2, batch=2, **config)
    history = train.fit(model, task, config)
    weights = torch.cat([part.flatten() for part in model.state_dict().values()])
    return {"loss": history.loss.tolist(), "score": history.val_r2.tolist(), "weights": digest(weights.numpy())}


def paper() -> dict[str, list[float]]:
    """The paper's network in every variant of the ablations."""
    from forwardecg.cache import key
    from forwardecg.data.maps import load_small
    from forwardecg.surrogates.paper.data import Sequences
    from forwardecg.surrogates.paper.model import Seq2Seq, Seq2SeqConfig
    from forwardecg.surrogates.paper.task import Seq2SeqLoss, Seq2SeqTask
    from forwardecg.surrogates.train import initialize

    variants: dict[str, tuple[dict, dict]] = {
        "published": ({}, {}), "linear encoder": ({"encoder": "linear"}, {}), "normalized": ({"norm": True}, {}),
        "no time": ({"time": "none"}, {}), "learned time": ({"time": "learned"}, {}), "no attention": ({"attention": False}, {}),
        "lstm": ({"decoder": "lstm"}, {}), "tcn": ({"decoder": "tcn"}, {}), "no decoder": ({"decoder": "linear"}, {}),
        "kl": ({}, {"spectral": "kl"}), "log": ({}, {"spectral": "log"}), "stft": ({}, {"spectral": "stft"}),
        "constant weight": ({}, {"decay": False}), "squared": ({}, {"delta": 1e3}), "not turned": ({}, {"augment": False}),
        "not scaled": ({}, {"scaled": False}),
    }  # fmt: skip
    small = load_small()
    found: dict[str, list[float]] = {}
    for name, (net, loss) in variants.items():
        kept = {"memory_gb": 0.0 if name == "published" else 1.0}
        train, val = (Sequences(small, sims, 10, 25.0, **kept) for sims in ([0, 2, 3], [1]))
        model = initialize(
            lambda net=net: Seq2Seq(Seq2SeqConfig(pixels=10, channels=(4, 8), width=16, heads=2, **net)), 0
        )
        task = Seq2SeqTask(train, val, Seq2SeqLoss(**loss))
        key(task.stage, task.version, *task.fingerprint())
        for what, values in trained(model, task).items():
            found[f"{name}: {what}"] = values
    known = Sequences(small, [0, 2], 10, 25.0, leads=["center", "unseen1"], known_D=True)
    found["known D"] = digest(known.u.numpy())
    return found


def structured() -> dict[str, list[float]]:
    """The structured network, with the settings of its trainings and without."""
    from forwardecg.cache import key
    from forwardecg.data.maps import load_small
    from forwardecg.surrogates.structured import data
    from forwardecg.surrogates.structured.data import VIEWS, MapSet
    from forwardecg.surrogates.structured.model import Structured, StructuredConfig
    from forwardecg.surrogates.structured.task import StructuredTask
    from forwardecg.surrogates.train import initialize

    found: dict[str, list[float]] = {}
    with TemporaryDirectory() as folder, mock.patch.object(data, "CACHE", Path(folder)):
        for _ in range(2):  # prepared, then found
            maps = MapSet(load_small().assign_attrs(store="small"), [0, 1, 2], [*VIEWS])
    for name, settings in {"plain": {}, "averaged": {"ema": 0.9, "lr": 8e-3, "weight_decay": 1e-3}}.items():
        task = StructuredTask(maps.subset([0, 2]), maps.subset([1]))
        key(task.stage, task.version, *task.fingerprint())
        model = initialize(lambda: Structured(StructuredConfig(width=2)), 0)
        for what, values in trained(model, task, **settings).items():
            found[f"{name}: {what}"] = values
    return found


def loop() -> dict[str, list[float]]:
    """The training loop by itself, on a task of one weight, with everything that a configuration can ask for."""
    import torch
    from torch import nn

    from forwardecg.surrogates import train
    from forwardecg.surrogates.train import TrainConfig, initialize

    class Line:
        stage, version, code, n_train = "line", 1, (), 7

        def fingerprint(self):
            return ()

        def draw(self, members, generator):
            return torch.rand(len(members), 3, generator=generator)

        def loss(self, model, drawn, rows, done):
            return (model(drawn[rows])[:, 0].float() - (2 - done) * drawn[rows].sum(1)).square()

        def score(self, model):
            return -float((model(torch.ones(1, 3)) - 3).abs())

    found: dict[str, list[float]] = {}
    settings: dict[str, dict] = {
        "plain": {}, "averaged": {"ema": 0.9}, "mixed": {"precision": "bfloat16"}, "patient": {"patience": 1, "lr": 10.0},
    }  # fmt: skip
    for name, chosen in settings.items():
        for what, values in trained(initialize(lambda: nn.Linear(3, 1), 1), Line(), **chosen).items():
            found[f"{name}: {what}"] = values
    model = initialize(lambda: nn.Linear(3, 1), 1)
    model.config = TrainConfig()  # any record: it names the network
    with TemporaryDirectory() as folder, mock.patch.object(train, "CACHE", Path(folder)):
        for _ in range(2):  # trained, then found
            found["cached: loss"] = train.load_or_fit(model, Line(), TrainConfig(epochs=2, batch=2)).loss.tolist()
    return found


def version_of(*modules: str) -> str:
    """The versions that stand in these modules, as one word."""
    from importlib import import_module

    return "+".join(str(import_module(f"forwardecg.{module}").VERSION) for module in modules)


class Stage(NamedTuple):
    work: Callable[[], dict[str, list[float]]]
    versions: tuple[str, ...]  # modules whose VERSION names what the stage makes
    listed: str  # where the package lists the modules that the stage rests on
    partly: tuple[str, ...] = ()  # of these, the ones that the run goes through in part, or not

    def modules(self) -> list[str]:
        """The modules that the stage rests on, by the package's own list: the hash of the code is of the same."""
        from importlib import import_module
        from operator import attrgetter

        module, _, name = self.listed.partition(":")
        return sorted(attrgetter(name)(import_module(f"forwardecg.{module}")))


STAGES = {
    "tissues": Stage(
        tissues, ("data.store",), "data.layout:SIMULATES", ("solver/fibers",)  # it measures and warns
    ),
    "fronts": Stage(
        fronts, ("surrogates.structured.data",), "surrogates.structured.data:CODE",
        ("data/lost", "ecg/pixels", "surrogates/structured/data", "surrogates/structured/model"),  # as `structured` does
    ),
    "loop": Stage(loop, ("surrogates.train",), "surrogates.checkpoint:LOOP"),
    "paper": Stage(
        paper, ("surrogates.paper.task", "surrogates.train"), "surrogates.paper.task:Seq2SeqTask.code",
        ("ecg/electrodes", "measure/scores"),  # one function of each
    ),
    "structured": Stage(
        structured, ("surrogates.structured.task", "surrogates.structured.data", "surrogates.train"),
        "surrogates.structured.task:StructuredTask.code", ("measure/scores",),  # its r2 alone
    ),
}  # fmt: skip
NO_RESULT = {  # modules that stages import without resting on them, and why
    "cache": "names and records", "paths": "places of files", "surrogates/files": "gives back what was written",
    "ecg/mesh": "no data set has a mesh", "ecg/torso": "no data set has a torso",
    "surrogates/structured/symmetric": "of the network, which reads no fronts", "tissue/symmetry": "likewise",
}  # fmt: skip


def run(name: str, source: Path) -> dict:
    """Version and values of a stage, and for each of its modules the share of lines that ran and those that did not."""
    stage = STAGES[name]
    tracer = coverage.Coverage(include=[str(source / "forwardecg" / "*")], config_file=False, data_file=None)
    for words in (*UNSEEN, rf"def ({'|'.join(ELSEWHERE)})\("):
        tracer.exclude(words)
    tracer.start()
    values = stage.work()
    tracer.stop()
    ran = {}
    for module in {*stage.modules()} - {*stage.partly}:
        _, lines, _, missing, _ = tracer.analysis2(str(source / "forwardecg" / f"{module}.py"))
        ran[module] = 1 - len(missing) / max(len(lines), 1), missing
    return {"version": version_of(*stage.versions), "values": values, "ran": ran}


if __name__ == "__main__":
    print(json.dumps(run(sys.argv[1], Path(sys.argv[2]))))
