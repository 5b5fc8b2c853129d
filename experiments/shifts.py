"""What the score of a method depends on besides the method: undeclared choices, the number of tissues, their kind."""

from copy import copy
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import torch

from experiments.ablations import EXTRA, MEASURES, SEEDS, SHORT, SMALL
from experiments.common import (
    FOLD_SEED,
    FRAMES,
    LOSS,
    NET,
    PLAIN,
    STRUCTURED,
    central_ecg,
    folds,
    kinds,
    maps,
    recipe,
    resampled,
    seq2seq,
    seq2seq_on,
    sequences,
    split,
    stored,
    structured,
)
from experiments.cross_validation import Rows
from forwardecg.contract import V_SPAN, to_u
from forwardecg.data.sets import HELD_OUT
from forwardecg.data.split import folds_by_tissue
from forwardecg.ecg.electrodes import center_electrode
from forwardecg.measure.scores import landmarks, normalized, scores, timing_scores
from forwardecg.surrogates.baselines import blind_diffusivity, fit_kappa, lead_field_on_maps, ridge, training_free_ecg
from forwardecg.surrogates.paper.data import Sequences
from forwardecg.surrogates.structured.task import predicted
from forwardecg.tissue.symmetry import symmetry

POOL = ("base", "calibration", "test")  # 900 tissues of one recipe: enough to keep those of one kind only


@cache
def pool_kinds() -> pd.DataFrame:
    """All tissues of `POOL`, with what was drawn for each."""
    tables = []
    for name in POOL:
        ds = stored(name)
        drawn = {key: ds[key].values for key in ("stimulus", "D0", "gj_scale")}
        tables.append(kinds(name).reset_index().assign(set=name, **drawn))
    return pd.concat(tables, ignore_index=True)


def turned(u: torch.Tensor) -> torch.Tensor:
    """Maps (T, H, W) in the one of their eight images whose wave starts farthest to the left, and there in the upper half."""

    def start(n: int) -> float:
        early = symmetry(u, n).float()[1:4].sum(0)
        y, x = (torch.arange(side, dtype=torch.float32) for side in early.shape)
        return float((2 * early.sum(0) @ x + early.sum(1) @ y) / early.sum())

    return symmetry(u, min(range(8), key=start))


def joined(rows: pd.DataFrame, pixels: int, frame_interval: float, one_way: bool) -> Sequences:
    """Tissues of several sets as one, optionally each turned so that its wave starts at the same side."""
    groups = rows.groupby("set")  # in the order of their names, as the rows
    parts = [Sequences(stored(name), some.sim.tolist(), pixels, frame_interval) for name, some in groups]
    whole = copy(parts[0])
    whole.u, whole.ecg = torch.cat([part.u for part in parts]), torch.cat([part.ecg for part in parts])
    if one_way:
        whole.u = torch.stack([turned(u) for u in whole.u])
    return whole


def of_one_kind(rows: pd.DataFrame, n_folds: int, one_way: bool = False) -> Rows:
    """Cross-validation among tissues of one kind only, from all sets of `POOL`."""
    rows, t = rows.reset_index(drop=True), stored().time.values
    for k, parts in enumerate(folds_by_tissue(rows.condition, FOLD_SEED)[:n_folds]):

        def source(at) -> Sequences:
            return joined(rows.loc[at], SMALL.pixels, FRAMES, one_way)

        parts = {part: rows.loc[at].sort_values(["set", "sim"]).index.to_numpy() for part, at in parts.items()}
        predict, history = seq2seq_on(source, parts, 0, SHORT, SMALL, replace(LOSS, augment=not one_way))
        some, tested = source(parts["test"]), rows.loc[parts["test"]].reset_index(drop=True)
        traces = resampled(predict(some), some.t.numpy(), t)
        for name, of_set in tested.groupby("set"):
            table = scores(central_ecg(name, of_set.sim), traces[of_set.index]).assign(sim=of_set.sim.to_numpy())  # type: ignore[arg-type]
            yield table[MEASURES], {"fold": k, "seed": 0, "set": name}, history


def changed(sequences: Sequences, normalize: bool = False, until: float | None = None) -> Sequences:
    """The same tissues with each ECG brought to mean 0 and SD 1, or cut short at ``until`` ms."""
    other = copy(sequences)
    if normalize:
        other.ecg = torch.from_numpy(normalized(sequences.ecg.numpy())).float()
    if until is not None:
        kept = sequences.t <= until
        other.t, other.ecg, other.u = sequences.t[kept], sequences.ecg[:, kept], sequences.u[:, kept].contiguous()
    return other


def of_the_base(
    n_folds: int, name="base", net=SMALL, frame_interval=FRAMES, normalize=False, until=None, loss=LOSS
) -> Rows:
    """The first folds of the 300 tissues with one choice changed."""
    t = stored(name).time.values
    kept = t <= (until or t[-1])
    for k, parts in enumerate(folds()[:n_folds]):

        def source(sims) -> Sequences:
            return changed(sequences(net.pixels, frame_interval, tuple(map(int, sims)), name), normalize, until)

        predict, history = seq2seq_on(source, parts, 0, SHORT, net, loss)
        true, some = central_ecg(name, parts["test"]), source(parts["test"])
        true = (normalized(true) if normalize else true)[:, kept]
        table = scores(true, resampled(predict(some), some.t.numpy(), t[kept])).assign(sim=parts["test"])
        yield table[MEASURES], {"fold": k, "seed": 0, "set": name}, history


def sensitivity(n_folds: int = 3) -> Rows:
    """What the paper leaves open, one choice changed at a time, at the settings of the ablations."""
    everyone = pool_kinds()
    fibrotic, D = everyone.texture != "none", everyone.D0 * everyone.gj_scale

    def some(of_a_kind, n: int = 300) -> pd.DataFrame:
        """n of them, six in ten with fibrosis as in the base set, healthy and remodeled ones as many."""
        parts = [everyone[of_a_kind & fibrotic].sample(6 * n // 10, random_state=0)]
        for name in ("healthy", "gap_junction"):
            parts.append(everyone[of_a_kind & (everyone.condition == name)].sample(2 * n // 10, random_state=0))
        return pd.concat(parts).sort_index()

    one_D = everyone[(D > 0.115) & (D < 0.145) & (everyone.gj_scale == 1)].sample(240, random_state=0).sort_index()
    rows = {
        "as the ablations": of_the_base(n_folds),
        "ECGs normalized": of_the_base(n_folds, normalize=True),
        "electrode at 20 mm": of_the_base(n_folds, "z20"),
        "electrode at 80 mm": of_the_base(n_folds, "z80"),
        "maps of 50 x 50 pixels": of_the_base(n_folds, net=NET),
        "frames every 20 ms": of_the_base(n_folds, frame_interval=20.0),
        "450 ms instead of 900": of_the_base(n_folds, until=450.0),
        "no mirror images or turns": of_the_base(n_folds, loss=replace(LOSS, augment=False)),
        "300 other tissues": of_one_kind(some(everyone.set != "base"), n_folds),
        "waves from one edge, not turned": of_one_kind(some(everyone.stimulus == "edge"), n_folds, one_way=True),
        "fibrosis below 10 %": of_one_kind(some(~fibrotic | (everyone.fibrosis_density < 0.1)), n_folds),
        "D within 12 % of 0.13, 240 tissues": of_one_kind(one_D, n_folds),
        "all textures, 190 tissues": of_one_kind(some(everyone.sim >= 0, 190), n_folds),
    }
    for texture in ("compact", "patchy", "diffuse", "interstitial"):
        rows[f"{texture} fibrosis only, 190 tissues"] = of_one_kind(
            some(~fibrotic | (everyone.texture == texture), 190), n_folds
        )
    for choice, folds_of_it in rows.items():
        for table, labels, history in folds_of_it:
            yield table, {"choice": choice} | labels, history


def few(n: int, seed: int) -> np.ndarray:
    """n training tissues of the split, conditions in proportion, drawn with a seed of their own."""
    rng, train = np.random.default_rng([seed, 14]), split()["train"]
    condition = kinds().condition[train].to_numpy()
    own = {name: iter(rng.permutation(train[condition == name])) for name in np.unique(condition)}
    cycle = recipe().conditions
    return np.sort([next(own[cycle[k % len(cycle)]]) for k in range(n)])


def data_efficiency(sizes=(8, 30, 60, 120, 240, 540), seeds=SEEDS, structured_seeds=(0, 1)) -> Rows:
    """Fewer and more training tissues, drawn anew for each seed, for three methods; the 300 test tissues of the recipe.

    The paper's architecture gets as many updates whatever the number; the structured one as many epochs, twice that below
    100 tissues. 540 are those of the split and all of the calibration set: there, and with 240, all seeds have the same.
    """
    val = tuple(map(int, split()["val"]))
    for n in sizes:
        for seed in seeds:
            labels = {"tissues": n, "seed": seed, "set": "test"}
            sims = tuple(map(int, few(min(n, 240), seed)))

            def source(some, sims=sims, n=n) -> Sequences:
                part = sequences(SMALL.pixels, FRAMES, tuple(map(int, some)))
                if n <= 240 or tuple(some) != sims:
                    return part
                more, whole = sequences(SMALL.pixels, FRAMES, tuple(range(n - 240)), "calibration"), copy(part)
                whole.u, whole.ecg = torch.cat([part.u, more.u]), torch.cat([part.ecg, more.ecg])
                return whole

            updates = SHORT.epochs * 240 / SHORT.batch
            config = replace(SHORT, epochs=round(updates / np.ceil(n / SHORT.batch)))
            predict, history = seq2seq_on(source, {"train": sims, "val": val}, seed, config, SMALL, LOSS)
            test, t, true = (
                sequences(SMALL.pixels, FRAMES, tuple(EXTRA.tolist()), "test"),
                stored().time.values,
                central_ecg("test", EXTRA),
            )
            found = {
                "paper's seq2seq": (predict(test), history),
                "ridge": (ridge(source(sims), source(val), test)[0], None),
            }
            for method, (traces, history) in found.items():
                table = scores(true, resampled(traces, test.t.numpy(), t)).assign(sim=EXTRA)[MEASURES]
                yield table, labels | {"method": method}, history
    for n in sizes:
        for seed in structured_seeds:
            if n <= 240:
                parts = {"train": few(n, seed), "val": split()["val"]}
                model, history = structured(
                    parts, seed, replace(STRUCTURED, epochs=STRUCTURED.epochs * (1 + (n < 100)))
                )
                yield (
                    structured_table([model], "test"),
                    {"tissues": n, "seed": seed, "set": "test", "method": "structured"},
                    history,
                )


def structured_table(models: list, name: str) -> pd.DataFrame:
    """Scores of the mean prediction of structured networks at the central electrode of a whole set."""
    part = maps(name, (PLAIN,))
    ecg_pred = torch.stack([predicted(model, part, [0])[:, 0] for model in models]).double().mean(0).numpy()
    return scores(part.ecg[:, 0].double().numpy(), ecg_pred).assign(sim=part.sims)[MEASURES]


class Fitted:
    """The methods without a network, fitted on some tissues of the base set, for tissues of any set."""

    def __init__(self, parts: dict):
        own = recipe()
        self.dx = own.n_cells * own.dx / 50
        self.electrode = center_electrode(own.shape, own.dx, own.z_mm)
        self.train, self.val = (sequences(50, 5.0, tuple(map(int, parts[part]))) for part in ("train", "val"))
        self.D = np.full((50, 50), blind_diffusivity(self.train, self.dx, self.electrode))
        self.kappa = fit_kappa(self.train, self.dx, self.electrode)

    def ecgs(self, name: str, sims) -> dict[str, np.ndarray]:
        own, test = recipe(name), sequences(50, 5.0, tuple(map(int, sims)), name)
        found: dict[str, Any] = {
            "blind lead field": [lead_field_on_maps(u.numpy(), self.D, self.dx, self.electrode) for u in test.u]
        }
        found["ridge"] = ridge(self.train, self.val, test)[0]
        found["training-free D"] = [
            training_free_ecg(to_u(stored(name).V_m[int(sim)].values), own.dx * own.pool, own.frame_interval, self.kappa, self.electrode)[0]
            for sim in sims
        ]  # fmt: skip
        return {method: np.asarray(traces) for method, traces in found.items()}


def shifted(seeds=(0, 1, 2)) -> Rows:
    """Every method, trained on the split of the base set, on the test set and the sets of other kinds."""
    fitted, names = Fitted(split()), ("test", *HELD_OUT)
    trained = {seed: seq2seq(split(), seed) for seed in seeds}
    networks = [structured(split(), seed)[0] for seed in SEEDS]  # those that are published
    for name in names:
        sims = np.arange(recipe(name).n_sim)
        for method, traces in fitted.ecgs(name, sims).items():
            table = scores(central_ecg(name, sims), traces).assign(sim=sims)[MEASURES]
            yield table, {"method": method, "seed": 0, "set": name}, None
        for seed, (ecgs, history) in trained.items():
            table = scores(*ecgs(sims, name)).assign(sim=sims)[MEASURES]
            yield table, {"method": "paper's seq2seq", "seed": seed, "set": name}, history
        for seed, network in enumerate(networks):
            yield structured_table([network], name), {"method": "structured", "seed": seed, "set": name}, None
        yield structured_table(networks, name), {"method": "structured, five together", "seed": 0, "set": name}, None


def left_out(seeds=(0,)) -> Rows:
    """Each condition tested when no tissue of it was in training or validation; the structured one: structured_left_out."""
    for condition in ("healthy", "gap_junction", "fibrotic", "combined"):
        parts = {name: sims[kinds().condition[sims] != condition] for name, sims in split().items()}
        sims = np.flatnonzero(kinds().condition == condition)
        for method, traces in Fitted(parts).ecgs("base", sims).items():
            table = scores(central_ecg("base", sims), traces).assign(sim=sims)[MEASURES]
            yield table, {"method": method, "left_out": condition, "seed": 0}, None
        for seed in seeds:
            ecgs, history = seq2seq(parts, seed)
            table = scores(*ecgs(sims)).assign(sim=sims)[MEASURES]
            yield table, {"method": "paper's seq2seq", "left_out": condition, "seed": seed}, history


def readable() -> Rows:
    """Errors that one reads off a recording - times, amplitude, shape - in the five folds, seed 0."""
    t = stored().time.values
    for k, parts in enumerate(folds()):
        sims = parts["test"]
        true, found = central_ecg("base", sims), Fitted(parts).ecgs("base", sims)
        found["paper's seq2seq"] = seq2seq(parts, 0)[0](sims)[1]
        part = maps().subset(sims)  # type: ignore[arg-type]
        found["structured"] = V_SPAN * predicted(structured(parts, 0)[0], part, [0])[:, 0].double().numpy()
        exact = landmarks(t, true)[["onset", "end"]].add_suffix("_true").assign(sd_true=true.std(1))
        exact["last_recovery"] = stored().last_recovery.values[sims]
        for method, traces in found.items():
            table = scores(true, traces)[["r2", "correlation"]].join([timing_scores(t, true, traces), exact])
            yield table.assign(sim=sims), {"method": method, "fold": k, "seed": 0}, None
