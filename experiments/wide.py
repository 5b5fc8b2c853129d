"""The published surrogate: five structured networks that learn from the base tissues and from wider ones.

``data/models/structured.safetensors`` are their weights; ``data/results/runs/wide.csv`` has one row a tissue that they were
not trained on, ``wide_gold.csv`` the sheet of another code, ``wide_trainings.csv`` one row a training. What is held out is
scored once, after the weights are written.

    python -m experiments.wide [train SEED ... | publish | score SET ... | gold]      all of it, if nothing is named
"""

import functools
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict

import numpy as np
import pandas as pd
import torch
import xarray as xr
from torch import Tensor

from compendium.external import locate
from compendium.networks import recipes_networks
from experiments.common import SEEDS, STRUCTURED, Network, central_ecg, map_set
from experiments.files import training_row, write_table
from experiments.foreign import HALF_CELL, SHEET
from experiments.tissues import kinds, open_set, recipe
from forwardecg.contract import V_REST, V_SPAN, to_u
from forwardecg.data.sets import HELD_OUT, WIDE, WIDE_PARTS, WIDE_VAL
from forwardecg.ecg.electrodes import Electrodes, grid_electrodes
from forwardecg.ecg.leadfield import pseudo_ecg
from forwardecg.measure.scores import r2
from forwardecg.paths import MODELS, RESULTS, progress
from forwardecg.solver.calibration import D_REFERENCE, converged_cv
from forwardecg.solver.simulation import simulate
from forwardecg.surrogates.predict import load_surrogate
from forwardecg.surrogates.seen import read_tissue
from forwardecg.surrogates.structured.cells import action_potential, distance, known_by, to_card
from forwardecg.surrogates.structured.data import VIEWS, MapSet
from forwardecg.surrogates.structured.fronts import LEAST_SHARE, PLATEAU, RESTITUTION, Cell, read_fronts
from forwardecg.surrogates.structured.model import (
    KAPPA,
    Inputs,
    Structured,
    StructuredConfig,
    batched_lead_field,
    inner_gradients,
)
from forwardecg.surrogates.structured.task import StructuredLoss, StructuredTask
from forwardecg.surrogates.train import TrainConfig, initialize, load_or_fit
from forwardecg.surrogates.weights import load_models, save_models
from forwardecg.tissue.cell import FK_BR, FK_CAF, FK_GP, FKParams
from forwardecg.tissue.grid import Grid
from forwardecg.tissue.sheet import Tissue, healthy
from forwardecg.tissue.stimulus import edge_stimulus, s1_s2

CELLS = (FK_CAF, FK_GP, FK_BR)  # of the training
RESTS = (
    45.0,
    60.0,
    80.0,
    110.0,
    160.0,
    240.0,
    350.0,
    600.0,
)  # ms from the end of the first beat to the second stimulus
PASSES = 700.0  # ms in which a beat has passed the strip and ended
STRIP_D = 0.13  # mm^2/ms
N_KIND = WIDE_PARTS[""]
EPOCHS = 18  # of 422 tissues: 954 steps
DX, DT = 2.0, 5.0  # mm, ms, of the stored maps
GOLD_PIXELS, GOLD_Z = (0.5, 1.0, 2.0), 10.0  # mm


# Cells


@functools.cache
def constants(params: FKParams) -> Cell:
    """kappa, plateau and restitution of a cell, measured on strips; of FK_CAF those of the package; without its widths."""
    none = torch.empty(0, 0)
    if params == FK_CAF:
        return Cell(params.name, KAPPA, PLATEAU, RESTITUTION, none)
    single = _strip(params, 0.0)
    amplitude, plateau = single[1], single[1] * PLATEAU / _strip(FK_CAF, 0.0)[1]
    rows = [(rest, speed, second / amplitude) for rest, second, speed in (_strip(params, rest) for rest in RESTS)]
    table = np.array(sorted(row for row in rows if np.isfinite(row).all()))
    table[:, 1:] = np.minimum(table[:, 1:], 1.0)
    table[-1, 1:] = 1.0  # after long rest
    return Cell(params.name, kappa_of(params), round(float(plateau), 4), torch.tensor(table.T.round(4)).float(), none)


@functools.cache
def _strip(params: FKParams, rest: float) -> tuple[float, float, float]:
    """Rest in ms before a second front, mean u behind it, and its speed over that of the first; or of the first 0, and its ms."""
    strip = healthy((16, 400), 0.5, STRIP_D)
    beats, t_end = [edge_stimulus(strip)], PASSES
    if rest:
        interval = round(_strip(params, 0.0)[2] + rest)
        beats, t_end = s1_s2(beats[0], PASSES, 1, [interval]), PASSES + interval
    run = simulate(strip, beats, t_end=t_end, frame_interval=1.0, pool=4, cell=params)
    u = to_u(run.V_m[:, 2, 10:-10].values)  # (time, x)
    half = u - u.max(0) / 2
    up, down = ([np.flatnonzero((s * h[:-1] < 0) & (s * h[1:] >= 0)) for h in half.T] for s in (1, -1))
    beat = int(bool(rest))
    if min(map(len, up)) <= beat:
        return (np.nan,) * 3
    behind = float(np.median([trace[at[beat] + 6 : at[beat] + 26].mean() for trace, at in zip(u.T, up, strict=True)]))
    if not rest:
        return 0.0, behind, float(np.median([d[0] - a[0] for a, d in zip(up, down, strict=True)]))
    waited = float(np.median([a[1] - d[0] for a, d in zip(up, down, strict=True)]))
    first, second = (np.array([at[k] for at in up], float) for k in (0, 1))
    return waited, behind, float(1 / np.polyfit(first, second, 1)[0])


def kappa_of(params: FKParams) -> float:
    """kappa in ms, as `read_fronts` sees it: that of FK_CAF in the ratio of the velocities on a cable."""
    return round(KAPPA * (converged_cv(FK_CAF) / converged_cv(params)) ** 2, 5)


def of_set(name: str) -> Cell:
    """The constants of the cell of a set."""
    return constants(recipe(name).cell)


def widths(name: str, sims: range) -> Iterator[tuple[int, Tensor]]:
    """`action_potential` of tissues of a set, where it can be read."""
    ds = open_set(name)
    for sim in sims:
        u = torch.from_numpy(to_u(ds.V_m[sim].values.astype(np.float32)))
        found = action_potential(u, read_fronts(u, DX, DT), DT)
        if found is not None and (found > 0).all():
            yield sim, found


@functools.cache
def cells() -> tuple[tuple[Cell, ...], float]:
    """The cells of the training with the widths that they are known by, and the tolerance that calibration tissues set."""
    learned, calibration = dict[str, list[Tensor]](), dict[str, list[Tensor]]()
    for kind in WIDE:
        name = recipe(kind).cell.name
        learned.setdefault(name, []).extend(found for _, found in widths(kind, range(N_KIND - WIDE_VAL)))
        n = WIDE_PARTS["_calibration"]
        calibration.setdefault(name, []).extend(found for _, found in widths(f"{kind}_calibration", range(n)))
    known = tuple(constants(one)._replace(widths=known_by(learned[one.name])) for one in CELLS)
    far = [distance(found, cell) for cell in known for found in calibration[cell.name]]
    return known, round(1.5 * max(far), 4)


# Training


@functools.cache
def wider(kind: str) -> MapSet:
    """The tissues of a kind that are learned from and chosen on, in the views of the training."""
    progress(f"wide: fronts of {kind}")
    cell = of_set(kind)
    return MapSet(open_set(kind), range(N_KIND), [*VIEWS], cell=None if cell.name == FK_CAF.name else cell)


def task() -> StructuredTask:
    """The base tissues of the split and those of every kind of `WIDE`, with their validation tissues."""
    table, first = kinds(), range(N_KIND - WIDE_VAL)
    of_base = [map_set((("base", tuple(np.flatnonzero(table.part == part).tolist())),)) for part in ("train", "val")]
    train = [of_base[0], *(wider(kind).subset(first) for kind in WIDE)]
    val = [of_base[1], *(wider(kind).subset(range(N_KIND - WIDE_VAL, N_KIND)) for kind in WIDE)]
    return StructuredTask(train, val, StructuredLoss())


def settings(seed: int) -> TrainConfig:
    """Those of the recipe's networks, and as many steps: there are more tissues to an epoch."""
    return TrainConfig(**asdict(STRUCTURED.config) | {"seed": seed, "epochs": EPOCHS})


def learn(learned: StructuredTask, seed: int) -> Network:
    """One network, trained or found in the cache."""
    torch.set_num_threads(1)
    model = initialize(lambda: Structured(StructuredConfig()), seed)
    return Network(model, V_SPAN, load_or_fit(model, learned, settings(seed)))


def publish() -> None:
    """Write the weights of all seeds with their card: what they were trained on, cells, speeds, scores in validation."""
    learned = task()
    found = [learn(learned, seed) for seed in SEEDS]
    known, tolerance = cells()
    kappas = [KAPPA, *(of_set(kind).kappa for kind in WIDE)]
    medians = [one.inputs[0].prior.flatten(1).median(1).values for one in learned.sets]
    speeds = torch.cat([(0.5 * (z - np.log(k))).exp() for z, k in zip(medians, kappas, strict=True)])
    sets = {"base": len(learned.sets[0].sims), **dict.fromkeys(WIDE, N_KIND - WIDE_VAL)}
    save_models(
        [one.model for one in found], MODELS / "structured.safetensors", seeds=[*SEEDS], kappa=KAPPA,
        kappa_cable=D_REFERENCE / converged_cv(FK_CAF) ** 2, train=asdict(settings(0)), loss=asdict(StructuredLoss()),
        data=recipe().__dict__ | {"cell": recipe().cell.name}, split="80/10/10 of 07_dataset, and of each wider set the first",
        sets=sets, wider={name: _words(change) for name, change in WIDE.items()},
        speed_range=[round(float(speeds.min()) * 0.8, 3), round(float(speeds.max()) * 1.25, 3)], dx_mm=[2, 4], dt_ms=[5, 10],
        **to_card(known, tolerance), best_epoch=[int(one.history.val_r2.to_numpy().argmax()) for one in found],
        val_r2=[round(float(one.history.val_r2.max()), 4) for one in found],
        chosen_on={"base": len(learned.val[0].sims), **dict.fromkeys(WIDE, WIDE_VAL)},
    )  # fmt: skip
    rows = [training_row({"seed": seed}, one.history) for seed, one in zip(SEEDS, found, strict=True)]
    write_table(pd.DataFrame(rows), RESULTS / "runs" / "wide_trainings.csv", digits=5)
    progress(f"structured.safetensors: {len(found)} networks, {sum(sets.values())} tissues, tolerance {tolerance}")


def _words(change: dict) -> dict:
    """What differs from the base recipe, as json takes it."""
    return {name: value.name if isinstance(value, FKParams) else value for name, value in change.items()}


# Scores


def scored_sets() -> list[str]:
    """Every set that no network is trained on: of the recipe, of kinds that are held out, and of the wider kinds."""
    return ["test", *HELD_OUT, *(f"{kind}_test" for kind in WIDE)]


@torch.no_grad()
def score(name: str) -> pd.DataFrame:
    """One row a tissue: the cell that it is taken for, and R2 of the central ECG by the recipe's networks and by the wider ones.

    ``known``: with the kappa of the cell that it was simulated with in place of the one that the networks went by; ``true``: the
    true conductivity, upscaled to the pixels, in place of a network's.
    """
    (old, _), (new, card) = (load_models(MODELS / f"{one}.safetensors") for one in ("structured_recipe", "structured"))
    ds, own = open_set(name), recipe(name).cell
    places = Electrodes(ds.electrodes.values[:1], ("center",))
    true, rows = central_ecg(name, tuple(range(ds.sizes["sim"]))), list[dict]()
    best = upscaled(name, places)
    for sim in range(ds.sizes["sim"]):
        u = torch.from_numpy(to_u(ds.V_m[sim].values.astype(np.float32)))
        G = inner_gradients(Grid((u.shape[1], u.shape[2]), DX), places)
        seen = read_tissue(u, DX, DT, card)
        plain = seen if seen.cell in (FK_CAF.name, "unknown") else read_tissue(u, DX, DT, {})
        row: dict = {"set": name, "sim": sim, "cell": own.name, "taken_for": seen.cell}
        for which, models, read in (("old", old, plain), ("new", new, seen)):
            ecg = _ensemble(models, read.inputs, G, u)
            row[which] = r2(true[sim : sim + 1], ecg)[0]
            row[f"{which}_known"] = r2(true[sim : sim + 1], kappa_of(own) / read.kappa * ecg)[0]
        row["true"] = r2(true[sim : sim + 1], best[sim : sim + 1])[0]
        rows.append(row | {"mild": int(ds.mild[sim]), "density": float(ds.fibrosis_density[sim])})
    progress(f"wide: {name} scored")
    return pd.DataFrame(rows)


def upscaled(name: str, places: Electrodes) -> np.ndarray:
    """ECGs (n, time) in mV mm/ms of a set at one electrode, by its true conductivity and share on the pixels."""
    maps = MapSet(open_set(name), range(recipe(name).n_sim))
    G_x, G_y = inner_gradients(Grid((maps.u.shape[2], maps.u.shape[3]), maps.dx), places)
    found = []
    for u, D_x, D_y, share in zip(maps.u, *maps.truth[1], strict=True):
        V = u.float() / share.clamp(min=LEAST_SHARE)
        steps = (D_x * G_x[0] * V.diff(dim=-1)).sum((1, 2)) + (D_y * G_y[0] * V.diff(dim=-2)).sum((1, 2))
        found.append(V_SPAN * steps.double().numpy())
    return np.array(found)


def _ensemble(models: Sequence[Structured], inputs: Inputs, G: tuple[Tensor, Tensor], u: Tensor) -> np.ndarray:
    """The mean ECG (1, time) in mV mm/ms of the networks."""
    batch = Inputs(*(z[None] for z in inputs))
    L = sum(batched_lead_field(model(batch), *G)[0] for model in models) / len(models)
    return V_SPAN * torch.einsum("eyx,tyx->et", L, u).double().numpy()


def score_gold() -> pd.DataFrame:
    """The sheet of another code at six electrodes, in pixels of some sizes: R2 as it is and with a fitted scale, and the band."""
    with xr.open_dataset(locate(SHEET)) as ds:
        ds = ds.load()
    live = np.isfinite(ds.V_m.values[0])
    tissue = Tissue(D=np.full(live.shape, ds.D_mm2_ms), conductive=live, dx=ds.dx)
    grid = grid_electrodes(tissue, 2, 2, z=GOLD_Z)
    places = np.concatenate([ds.electrodes.values - [0, 0, HALF_CELL], grid.positions])
    electrodes, V_m = Electrodes(places, tuple(f"e{k}" for k in range(len(places)))), ds.V_m.fillna(V_REST)
    true = pseudo_ecg(V_m, tissue, electrodes).values
    surrogates = {"old": recipes_networks(), "new": load_surrogate("structured")}
    rows = []
    for pixel in GOLD_PIXELS:
        pool = round(pixel / float(ds.dx))
        V = V_m.coarsen(y=pool, x=pool).mean().values
        plain = healthy(V.shape[1:], pixel, 0.1)
        found = {"homogeneous": (pseudo_ecg(V, plain, electrodes).values, None, "")}
        for name, surrogate in surrogates.items():
            out = surrogate.predict(V, dx=pixel, dt=5.0, unit="mV", electrodes=electrodes)
            inside = (out.phi_e_low.values <= true) & (true <= out.phi_e_high.values)
            own = name == "new"  # bands and flags are of these networks
            found[name] = (out.phi_e.values, inside if own else None, out.attrs["flags"] if own else "")
        for name, (ecg, inside, flags) in found.items():
            for k, (x, y) in enumerate(zip(ecg, true, strict=True)):
                fitted = x * (x @ y) / (x @ x)
                scores = [r2(y[None], z[None])[0] for z in (x, fitted)]
                scores[0] = np.nan if name == "homogeneous" else scores[0]  # it has no size of its own
                share = np.nan if inside is None else inside[k].mean()
                rows.append([name, pixel, electrodes.names[k], *scores, share, flags])
    return pd.DataFrame(rows, columns=["method", "pixel", "lead", "r2", "r2_fitted", "inside", "flags"])


def main(asked: list[str]) -> None:
    """Do what is asked."""
    torch.set_num_threads(1)
    what = asked[0] if asked else "all"
    if what == "train":
        learned = task()
        for seed in map(int, asked[1:]):
            learn(learned, seed)
    if what in ("publish", "all"):
        publish()
    if what in ("score", "all"):
        path, sets = RESULTS / "runs" / "wide.csv", scored_sets()
        found = {name: score(name) for name in (asked[1:] or sets)}
        if asked[1:]:  # the others stay as they are
            rows = pd.read_csv(path, keep_default_na=False)
            found = {name: rows[rows.set == name] for name in sets} | found
        write_table(pd.concat([found[name] for name in sets]), path)
    if what in ("gold", "all"):
        write_table(score_gold(), RESULTS / "runs" / "wide_gold.csv")


if __name__ == "__main__":
    main(sys.argv[1:])
