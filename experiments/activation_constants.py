"""The constants of the room ``activation``, each value that was tried and its score: ``data/results/runs/activation_constants.csv``.

    python -m experiments.activation_constants

Training tissues only: `OWN.n_sim` sheets of 80 mm of a seed of their own, each without fibers and with fibers 4:1. Activation
times choose `LOAD` and `SPREAD` together, then `NEGATIVE`, by their mean error in ms; the ECG chooses `SHARED`, by 1 - R2.
Means are geometric, so that slow sheets weigh no more than others, and a value of the code is kept unless another is
better by `MATERIAL`. `LEAST` and `LEAST_FIBERS` are the least values with which `COVERED` of the errors lie within the
estimate. The last row has the longest wait of any cell of the simulations, to be seen beside `REACH`.

`LEAST` is tried with the constants of the code. If others are chosen, write them there and run it once more."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from experiments.eikonal import drawn_and_simulated
from experiments.files import write_table
from experiments.tissues import recipe
from forwardecg.activation import eikonal, forward, template
from forwardecg.activation.loops import FAR
from forwardecg.data.draw import Draw
from forwardecg.ecg.electrodes import center_electrode
from forwardecg.ecg.leadfield import lead_field
from forwardecg.measure.scores import r2
from forwardecg.paths import RESULTS, progress

PATH = RESULTS / "runs" / "activation_constants.csv"
OWN = replace(recipe(), n_sim=20, n_cells=160, t_end=700.0, seed=2000, bank=False)
TRIED = {
    "load": (1.05, 1.15, 1.25, 1.35), "spread": (0.0, 1.0, 1.5, 1.75, 2.0, 2.25), "negative": (0.0, 0.03, 0.045, 0.06, 0.08),
    "shared": (0.3, 0.4, 0.5, 0.6, 0.7), "least": (0.02, 0.03, 0.04, 0.06, 0.08, 0.1, 0.15),
}  # fmt: skip
MATERIAL, COVERED = 0.05, 0.9  # of a score; of the errors, within the estimate


class Sheet(NamedTuple):
    """A drawn tissue with its activation times (y, x) in ms and its ECG (1, time) by the simulation."""

    drawn: Draw
    fibers: bool
    lat: np.ndarray
    ecg: np.ndarray


def sheets() -> list[Sheet]:
    """All training sheets, simulated."""
    found = []
    for fibers in (False, True):
        for sim in range(OWN.n_sim):
            drawn, true, _ = drawn_and_simulated(OWN, sim, fibers)
            found.append(Sheet(drawn, fibers, true.lat.values, true.phi_e.values))
    return found


def times(sheet: Sheet) -> eikonal.Front:
    """The front of a sheet with the constants as they are; not checked, for some values may give times that none would take."""
    tissue = sheet.drawn.tissue
    begin = eikonal.start_times(tissue, sheet.drawn.stimuli, OWN.dt, OWN.cell)
    net = eikonal.network(tissue, OWN.dt, OWN.cell, eikonal.LOAD, eikonal.SPREAD)
    return eikonal.spread(begin, tissue, net, OWN.cell)


def error(front: eikonal.Front, sheet: Sheet) -> float:
    """Mean distance of activation times from those of the simulation, in ms."""
    T = front.net.crop(front.T)
    both = np.isfinite(sheet.lat) & (T < FAR)
    return float(np.abs(T - sheet.lat)[both].mean())


def ecg_error(front: eikonal.Front, sheet: Sheet) -> float:
    """1 - R2 of the ECG."""
    form, net, tissue = template.template(OWN.dx, OWN.dt, OWN.cell), front.net, sheet.drawn.tissue
    R = template.share(front.T, net.g, net.offsets, form.duration)
    L, t = lead_field(tissue, center_electrode(tissue, OWN.z_mm)), np.arange(sheet.ecg.shape[1], dtype=float)
    return 1 - r2(sheet.ecg, forward.read_out(L, net.crop(front.T), net.crop(R), form, t)).item()


def off_and_estimate(sheet: Sheet) -> tuple[float, float, float]:
    """RMS error of the ECG, the part of its estimate that activation gives, and the SD of the ECG; a refused sheet has none."""
    tissue, place = sheet.drawn.tissue, center_electrode(sheet.drawn.tissue, OWN.z_mm)
    try:
        ds = forward.eikonal_ecg(tissue, sheet.drawn.stimuli, place, t_end=OWN.t_end, cell=OWN.cell, dt=OWN.dt)
    except ValueError as refusal:
        progress(f"refused: {refusal}")
        return (np.nan,) * 3
    deviation, least = ds.phi_e.values.std(), forward.LEAST_FIBERS if sheet.fibers else forward.LEAST
    of_activation = ds.phi_e_error.item() ** 2 - (least * deviation) ** 2
    return float(np.sqrt(np.square(ds.phi_e.values - sheet.ecg).mean())), max(of_activation, 0.0) ** 0.5, deviation


def wait(front: eikonal.Front, sheet: Sheet) -> float:
    """By how much a cell of the simulation is later, in ms, than the first of its neighbors."""
    T = front.net.pad(np.where(np.isfinite(sheet.lat), sheet.lat, FAR), FAR)
    return float(eikonal.longest_wait(T, front.net))


def use(**values: float) -> None:
    """Set constants of the room, and forget what was computed with others."""
    for name, value in values.items():
        setattr(template if name == "shared" else eikonal, name.upper(), value)
    eikonal.front_law.cache_clear()
    eikonal.given_law.cache_clear()


def mean_over(sheets: list[Sheet], values: list[float]) -> dict[str, float]:
    """Geometric means over all sheets, those without and those with fibers."""
    log, fibers = np.log(values), np.array([sheet.fibers for sheet in sheets])
    groups = {"score": log, "without_fibers": log[~fibers], "with_fibers": log[fibers]}
    return {name: float(np.exp(group.mean())) for name, group in groups.items()}


def choose(rows: list[dict], kept: tuple[float, ...]) -> None:
    """Marks the row with the values of the code, unless the best one is better by `MATERIAL`, and uses its values."""
    best = min(rows, key=lambda row: row["score"])
    (own,) = (row for row in rows if (row["value"], row.get("second")) in (kept, (*kept, None)))
    chosen = own if own["score"] <= (1 + MATERIAL) * best["score"] else best
    for row in rows:
        row["chosen"] = row is chosen
    names = chosen["constant"].lower().split(", ")
    use(**dict(zip(names, (chosen["value"], chosen.get("second")), strict=False)))


def fit() -> pd.DataFrame:
    """One row a value, or pair of values, that was tried."""
    front, negative_coupling, repolarization = (eikonal.LOAD, eikonal.SPREAD), (eikonal.NEGATIVE,), (template.SHARED,)
    every, table = sheets(), []
    rows = []
    for load in TRIED["load"]:
        for spread in TRIED["spread"]:
            use(load=load, spread=spread)
            errors = [error(times(sheet), sheet) for sheet in every]
            rows.append({"constant": "LOAD, SPREAD", "value": load, "second": spread} | mean_over(every, errors))
        progress(f"load {load}")
    choose(rows, front)
    table += rows
    rows = []
    for negative in TRIED["negative"]:
        use(negative=negative)
        errors = [error(times(sheet), sheet) for sheet in every]
        rows.append({"constant": "NEGATIVE", "value": negative} | mean_over(every, errors))
    choose(rows, negative_coupling)
    table += rows
    fronts, rows = [times(sheet) for sheet in every], []
    for shared in TRIED["shared"]:
        use(shared=shared)
        errors = [ecg_error(front, sheet) for front, sheet in zip(fronts, every, strict=True)]
        rows.append({"constant": "SHARED", "value": shared} | mean_over(every, errors))
    choose(rows, repolarization)
    table += rows
    fibers = np.array([sheet.fibers for sheet in every])
    off, of_activation, deviation = np.array([off_and_estimate(sheet) for sheet in every]).T
    within = off <= np.hypot(of_activation, np.outer(TRIED["least"], deviation))
    taken = np.isfinite(off)  # not refused
    for name, group, column in (("LEAST", ~fibers, "without_fibers"), ("LEAST_FIBERS", fibers, "with_fibers")):
        shares = within[:, taken & group].mean(1)
        least = TRIED["least"][int(np.argmax(shares >= COVERED))]
        table += [
            {"constant": name, "value": value, "score": share, column: share, "chosen": value == least}
            for value, share in zip(TRIED["least"], shares, strict=True)
        ]
    waits = np.array([wait(front, sheet) for front, sheet in zip(fronts, every, strict=True)])
    longest = {"score": waits.max(), "without_fibers": waits[~fibers].max(), "with_fibers": waits[fibers].max()}
    table.append({"constant": "longest wait (ms)"} | longest)
    return pd.DataFrame(table)[["constant", "value", "second", *longest, "chosen"]]


if __name__ == "__main__":
    write_table(fit(), PATH)
