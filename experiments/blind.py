"""A blind set: new tissues that no network, no rule and no threshold has met, each predicted once: ``data/results/runs/blind.csv``.

    python -m experiments.blind [tissues]           predicts them; or simulates them only, and goes on where it was stopped

120 tissues of the recipe, 16 with re-entry and 20 whose fibrosis conducts in part, of seeds of their own, are predicted by
the published surrogate through its public `predict`, at the electrode above the center. Whether a sheet, turned or mirrored
or not, is in any other set is asked first, by its fingerprint. ``inside``: the share of the samples within `phi_e_error`;
``whole``: the whole trace is within the band; ``width`` and ``whole_width``: of both over the SD of the ECG; ``cause``: the
words of the flags. The rows are of the weights and bands of their column; with others the table is begun again.
"""

import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch
import xarray as xr

from experiments.files import write_table
from experiments.misuse import mark
from experiments.tissues import POOL, open_set, recipe
from forwardecg.data.recipe import Recipe
from forwardecg.data.sets import HELD_OUT, WIDE, WIDE_PARTS
from forwardecg.data.split import check_disjoint, sheet_hash
from forwardecg.data.store import load_or_simulate
from forwardecg.ecg.electrodes import Electrodes
from forwardecg.measure.scores import r2
from forwardecg.paths import RESULTS, progress
from forwardecg.surrogates.predict import StructuredSurrogate, load_surrogate

PATH = RESULTS / "runs" / "blind.csv"
SEEDS = {"test": 7101, "reentry": 7102, "partial_fibrosis": 7103}  # of no other set
SIZES = {"test": 120, "reentry": 16, "partial_fibrosis": 20}
DX, DT = 2.0, 5.0  # mm, ms, of the stored maps
DIGITS = 16  # of a fingerprint, as `large.csv` has them


def recipes() -> dict[str, Recipe]:
    """The recipes of the blind tissues: those of the sets of the same name, with other seeds."""
    return {name: replace(recipe(name), n_sim=SIZES[name], seed=seed, bank=False) for name, seed in SEEDS.items()}


def fingerprints(ds: xr.Dataset) -> list[str]:
    """The first digits of `sheet_hash` of each tissue of a set."""
    return [sheet_hash(ds.D[k].values, ds.conductive[k].values)[:DIGITS] for k in range(ds.sizes["sim"])]


def check_new(blind: Mapping[str, xr.Dataset]) -> None:
    """ValueError if a blind tissue is in any other set; the large one is known by its table."""
    found = {f"blind {name}": fingerprints(ds) for name, ds in blind.items()}
    for name in (*POOL, *HELD_OUT, *(kind + part for kind in WIDE for part in WIDE_PARTS)):
        found[name] = fingerprints(open_set(name))
    large = pd.read_csv(RESULTS / "runs" / "large.csv", dtype={"fingerprint": str})
    found["large"] = large.fingerprint.tolist()
    check_disjoint(found)
    n = sum(map(len, found.values()))
    progress(f"blind: {n} fingerprints, none in two sets")


def row(surrogate: StructuredSurrogate, maps: np.ndarray, place: np.ndarray, true: np.ndarray) -> dict[str, Any]:
    """Score, band and flags of one prediction from maps (time, y, x) in mV, against the ECG (time,) at a place in mm."""
    out = surrogate.predict(maps, dx=DX, dt=DT, unit="mV", electrodes=Electrodes(place[None], ("center",)))
    phi, low, high, error = (out[name].values[0] for name in ("phi_e", "phi_e_low", "phi_e_high", "phi_e_error"))
    return {
        "r2": r2(true[None], phi[None])[0], "inside": float((np.abs(phi - true) <= error).mean()),
        "whole": int(((low <= true) & (true <= high)).all()), "width": 2 * error.mean() / true.std(),
        "whole_width": (high - low).mean() / true.std(), "expected": float(out.expected_error[0]),
        "unusual": out.attrs["unusual"], "flagged": int(bool(out.attrs["flags"])), "cause": out.attrs["flags"],
    }  # fmt: skip


def main(asked: list[str]) -> None:
    torch.set_num_threads(1)
    blind = {name: load_or_simulate(own) for name, own in recipes().items()}
    if asked == ["tissues"]:
        return
    check_new(blind)
    surrogate = load_surrogate("structured")
    own = mark(surrogate)
    table = pd.read_csv(PATH, keep_default_na=False) if PATH.exists() else pd.DataFrame(columns=["bands"])
    rows: list[dict] = table[table.bands == own].to_dict("records")
    done = {(one["set"], one["sim"]) for one in rows}
    for name, ds in blind.items():
        for sim in range(ds.sizes["sim"]):
            if (name, sim) in done:
                continue
            true = ds.phi_e[sim].sel(lead="center", time_ecg=ds.time.values).values.astype(float)
            maps = ds.V_m[sim].values.astype(np.float32)
            found = row(surrogate, maps, ds.electrodes.sel(lead="center").values, true)
            rows.append({"set": name, "sim": sim} | found | {"bands": own})
        progress(f"blind: {name} predicted")
        write_table(pd.DataFrame(rows), PATH)


if __name__ == "__main__":
    main(sys.argv[1:])
