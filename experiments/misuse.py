"""Wrong maps, and what the surrogate says of them: ``data/results/runs/misuse.csv``, ``steps.csv``.

    python -m experiments.misuse                    the rows that are not in the tables yet
    python -m experiments.misuse --only steps       steps.csv alone, which the page that calibrates the bands rests on
    python -m experiments.misuse --tissues 2        a first look, its tables in data/cache

Tissues of the test set are spoiled in the ways below, and predicted with the pixel, interval and unit that a user would
believe. A row of ``misuse.csv`` is one prediction: R2 against the ECG of the unspoiled tissue, its flags, and whether the
true trace is inside the band. Kind *right*: nothing is wrong; *grid*: tissues of `experiments.steps` on other pixels and
intervals, every flag on which is a false alarm; *strip*: the same where the pixels do not fill the sheet, so that a strip is
missing at two edges. ``old_outcome`` and ``old_r2`` are of `recipes_surrogate` on the same maps,
for one in `OLD_EVERY` tissues. ``steps.csv`` is what `describe_maps` says of their training tissues.
The rows are of the weights and bands of their column; a new calibration begins the table again.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from hashlib import sha256
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, gaussian_filter1d

from compendium.networks import recipes_networks
from experiments.files import tables_folder, write_table
from experiments.steps import GRIDS, maps_of, sims_of
from experiments.tissues import open_set, recipe
from forwardecg.contract import V_REST, V_SPAN, to_u
from forwardecg.data.draw import draw_tissue
from forwardecg.ecg.electrodes import Electrodes
from forwardecg.measure.scores import r2
from forwardecg.paths import MODELS, progress
from forwardecg.solver.simulation import simulate
from forwardecg.surrogates.predict import StructuredSurrogate, load_surrogate
from forwardecg.surrogates.seen import read_tissue
from forwardecg.surrogates.structured.model import describe_maps
from forwardecg.surrogates.weights import read_card
from forwardecg.tissue.sheet import with_fibers

Maps = NDArray[np.floating]
TISSUES = 8  # of the test set, spread over it
OLD_EVERY = 2  # the recipe's networks predict the maps of one in so many of them
OLD_FLOOR = 0.02  # of the bands that were calibrated for the recipe's networks
LEAD = "train5"  # 62 mm from the center, off both diagonals, 28 mm high
DX, DT, SIDE = 2.0, 5.0, 200.0  # mm, ms, mm
NOT_SEEN = ("mirrored", "size")  # kinds that no map can show: the electrode or the pixel is another than the user says
RATIOS = (2.0, 4.0, 9.0)  # D along over D across fibers
SIMULATED = 3  # test tissues with fibers


def with_frame(V: Maps, value: float) -> Maps:
    """One frame, in the middle of the wave, is a constant."""
    V = V.copy()
    V[len(V) // 4] = value
    return V


def with_hole(V: Maps, width: int) -> Maps:
    """A square without values in the middle, ``width`` in pixels."""
    V, low = V.copy(), V.shape[1] // 2 - width // 2
    V[:, low : low + width, low : low + width] = np.nan
    return V


def gained(V: Maps, gain: float) -> Maps:
    """The amplitude times a gain."""
    return V_REST + gain * (V - V_REST)


def noisy(V: Maps, sd: float, rng: np.random.Generator) -> Maps:
    """With white noise, mV."""
    return V + sd * rng.standard_normal(V.shape)


def quantized(V: Maps, bits: int) -> Maps:
    """As a camera of so many bits keeps it."""
    step = V_SPAN / (2**bits - 1)
    return V_REST + step * np.round((V - V_REST) / step)


def normalized(V: Maps) -> Maps:
    """Each pixel between rest and peak, as optical maps are."""
    low, high = V.min(axis=0), V.max(axis=0)
    return V_REST + V_SPAN * (V - low) / np.maximum(high - low, 1.0)


def swapped(V: Maps) -> Maps:
    """Every two neighboring frames change places."""
    V = V.copy()
    V[:-1:2], V[1::2] = V[1::2].copy(), V[:-1:2].copy()
    return V


def interlaced(V: Maps, other: Maps) -> Maps:
    """Every second row is of another tissue."""
    V = V.copy()
    V[:, ::2] = other[:, ::2]
    return V


def manipulations(
    V: Maps, other: Maps, rng: np.random.Generator
) -> Iterator[tuple[str, str, Callable[[], Maps], dict]]:
    """Kind, name, what is done to the maps V (time, y, x) of 2 mm every 5 ms, and what the surrogate is told about them."""
    n_t, n_y, n_x = V.shape
    crop = (slice(None), slice(n_y // 5, -n_y // 5), slice(n_x // 5, -n_x // 5))
    ramp = np.linspace(0, 1, n_t)[:, None, None]
    yield "right", "as they are", lambda: V, {}
    yield "mirrored", "y flipped", lambda: V[:, ::-1], {}
    yield "mirrored", "x and y exchanged", lambda: V.transpose(0, 2, 1), {}
    yield "mirrored", "turned by 90°", lambda: np.rot90(V, axes=(1, 2)), {}
    for f in (0.5, 0.67, 0.8, 1.1, 1.25, 1.5, 2):
        yield "size", f"pixels × {f:g}", lambda: V, {"dx": DX * f}
    yield "part", "middle 60 % only", lambda: V[crop], {"moved": (-0.2 * n_x * DX, -0.2 * n_y * DX)}
    yield "part", "left half only", lambda: V[:, :, : n_x // 2], {}
    yield "seam", "two tissues side by side", lambda: np.concatenate([V, other], axis=2), {}
    yield "seam", "rows of two tissues", lambda: interlaced(V, other), {}
    for px in (5, 10, 20, 40):
        yield "part", f"hole of {px * DX:g} mm, filled", partial(with_hole, V, px), {"fill": True}
    padded = ((0, 0), (10, 10), (10, 10))
    yield "part", "background of 0 mV", lambda: np.pad(V, padded), {"moved": (20.0, 20.0)}
    for f in (0.5, 0.8, 1.1, 1.5, 2):
        yield "time", f"interval × {f:g}", lambda: V, {"dt": DT * f}
    for frames in (10, 20, 30):
        yield "late", f"first {frames * DT:g} ms lost", partial(V.__getitem__, slice(frames, None)), {"late": frames}
    yield "time", "every second frame lost", lambda: V[::2], {}
    yield "time", "time reversed", lambda: V[::-1], {}
    yield "time", "frames swapped in pairs", lambda: swapped(V), {}
    yield "time", "frames held for two", lambda: np.repeat(V[::2], 2, axis=0)[:n_t], {}
    yield "time", "one frame at rest", lambda: with_frame(V, V_REST), {}
    yield "time", "one frame at the peak", lambda: with_frame(V, V_REST + V_SPAN), {}
    yield "time", "one frame lost, filled", lambda: with_frame(V, np.nan), {"fill": True}
    for g in (0.8, 0.9, 1.1, 1.2):
        yield "voltage", f"gain {g:g}", partial(gained, V, g), {}
    for mV in (5, 10, 20):
        yield "voltage", f"offset {mV} mV", partial(np.add, V, mV), {}
    yield "voltage", "drift of 10 mV", lambda: V + 10 * ramp, {}
    yield "voltage", "8 bits", lambda: quantized(V, 8), {}
    yield "voltage", "4 bits", lambda: quantized(V, 4), {}
    yield "voltage", "normalized by pixel", lambda: normalized(V), {}
    yield "noise", "1 % salt", lambda: np.where(rng.random(V.shape) < 0.01, V_REST + V_SPAN, V), {}
    for sd in (1, 2, 5, 10, 20):
        yield "noise", f"noise of {sd} mV", partial(noisy, V, sd, rng), {}
    for s in (1, 2, 4):
        yield "blur", f"blurred, SD {s} pixels", partial(gaussian_filter, V, (0, s, s)), {}
    for ms in (5, 20, 40):
        yield "blur", f"blurred, SD {ms} ms", partial(gaussian_filter1d, V, ms / DT, axis=0), {}


def with_fibers_of(sim: int, ratio: float) -> tuple[Maps, np.ndarray]:
    """Maps of a test tissue whose cells are fibers along x, D over D across of ``ratio``, and their ECG at `LEAD` every 5 ms."""
    own, ds = recipe("test"), open_set("test")
    draw = draw_tissue(own, sim, int(ds.attempt[sim]))
    out = simulate(
        with_fibers(draw.tissue, angle=0.0, ratio=ratio), draw.stimuli, t_end=own.t_end, electrodes=own.electrodes,
        pool=own.pool, frame_interval=DT, ecg_interval=DT, cell=own.cell, dt=own.dt, stop_at_rest=True,
    )  # fmt: skip
    return out.V_m.values, out.phi_e.sel(lead=LEAD).values


def recipes_surrogate(bands: dict) -> StructuredSurrogate:
    """The recipe's networks with flags by the rules of now, as far as they were trained: one cell, their range of speeds, the
    reference of the recipe's tissues, which is the first of the ``bands``, and no expected error, for none was calibrated."""
    of_ecg = bands["phi_e"] | {"floor": OLD_FLOOR}
    kept = {name: bands[name] for name in ("D", "grid", "reference")}
    return replace(recipes_networks(), bands=kept | {"phi_e": of_ecg})


def beside(row: dict[str, Any], old: dict[str, Any]) -> dict[str, Any]:
    """A row with outcome and score of the recipe's networks."""
    return row | {"old_outcome": old["outcome"], "old_r2": old.get("r2")}


def rows_of_fibers(surrogate: StructuredSurrogate, old: StructuredSurrogate, sim: int) -> Iterator[dict[str, Any]]:
    """A test tissue with fibers."""
    place = open_set("test").electrodes.sel(lead=[LEAD]).values
    for ratio in RATIOS:
        V, true = with_fibers_of(sim, ratio)
        new, before = (predicted(one, V, place, true, dx=DX, dt=DT) for one in (surrogate, old))
        yield beside({"kind": "fibers", "maps": f"fibers, {ratio:g} to 1", "sim": sim} | new, before)


def predicted(
    surrogate: StructuredSurrogate, maps: Maps, at: np.ndarray, true: np.ndarray, **told: Any
) -> dict[str, Any]:
    """Score, flags and band of a prediction at a place, against the true ECG every 5 ms from the first frame on."""
    try:
        out = surrogate.predict(maps, electrodes=Electrodes(at, (LEAD,)), unit="mV", **told)
    except ValueError as error:
        return {"outcome": "refused", "why": str(error)}
    time = out.time_ecg.values
    both = time <= DT * (len(true) - 1)
    truth = np.interp(time[both], DT * np.arange(len(true)), true)
    phi, low, high = (out[name].values[0][both] for name in ("phi_e", "phi_e_low", "phi_e_high"))
    why = out.attrs["flags"]
    return {
        "outcome": "flagged" if why else "silent", "why": why, "r2": r2(truth[None], phi[None])[0],
        "held": int(((truth >= low) & (truth <= high)).all()), "unusual": out.attrs["unusual"],
        "expected": float(out.expected_error[0]),
    }  # fmt: skip


def rows_of(
    surrogate: StructuredSurrogate, old: StructuredSurrogate | None, sim: int, next_sim: int
) -> Iterator[dict[str, Any]]:
    """The rows of a test tissue; ``next_sim`` is the other tissue where two are mixed."""
    ds = open_set("test")
    V, other = (ds.V_m[k].values.astype(np.float32) for k in (sim, next_sim))
    place = ds.electrodes.sel(lead=[LEAD]).values
    true = ds.phi_e[sim].sel(lead=LEAD, time_ecg=ds.time.values).values
    for kind, name, spoil, told in manipulations(V, other, np.random.default_rng([sim, 12])):
        told = {"dx": DX, "dt": DT} | told
        at, maps = place + [[*told.pop("moved", (0.0, 0.0)), 0.0]], spoil()
        left = true[told.pop("late", 0) :]
        row = {"kind": kind, "maps": name, "sim": sim} | predicted(surrogate, maps, at, left, **told)
        yield beside(row, predicted(old, maps, at, left, **told)) if old else row


def rows_of_grids(surrogate: StructuredSurrogate, sim: int) -> Iterator[dict[str, Any]]:
    """A tissue of the split's test on every grid, above its center."""
    found = maps_of(sim)
    true = found["phi_e"][0, :: int(DT)]
    at = recipe().electrodes.positions[:1]
    for dx, dt in GRIDS:
        maps = found[f"{dx:g} mm {dt:g} ms"].astype(np.float32)
        row = predicted(surrogate, maps, at, true, dx=dx, dt=dt)
        kind = "grid" if (SIDE / dx).is_integer() else "strip"
        yield {"kind": kind, "maps": f"pixels of {dx:g} mm every {dt:g} ms", "sim": sim} | row


def steps(card: dict) -> pd.DataFrame:
    """What `describe_maps` says of some training tissues on every grid."""
    rows = []
    for sim in sims_of("train"):
        found = maps_of(sim)
        for dx, dt in GRIDS:
            seen = read_tissue(to_u(torch.from_numpy(found[f"{dx:g} mm {dt:g} ms"].astype(np.float32))), dx, dt, card)
            described = describe_maps(seen.inputs, seen.fronts)
            rows.append({"sim": sim, "dx": dx, "dt": dt} | {f"f{k}": z for k, z in enumerate(described)})
    return pd.DataFrame(rows)


def mark(surrogate: StructuredSurrogate) -> str:
    """What names weights and bands."""
    bands = json.dumps(surrogate.bands, sort_keys=True).encode()
    return f"{surrogate.card['sha256'][:8]} {sha256(bands).hexdigest()[:8]}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tissues", type=int, default=TISSUES)
    parser.add_argument("--only", default="all", choices=("all", "steps"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    folder = tables_folder(parser, tissues=given.tissues)
    write_table(steps(read_card(MODELS / "structured.safetensors")), folder / "steps.csv", digits=4)
    if given.only == "steps":  # which the bands rest on
        return
    surrogate = load_surrogate()
    old = recipes_surrogate(surrogate.bands)
    own = mark(surrogate)
    path = folder / "misuse.csv"
    empty = dict.fromkeys(("r2", "held", "unusual", "expected", "old_outcome", "old_r2"), "")
    table = pd.read_csv(path, keep_default_na=False, na_values=empty) if path.exists() else pd.DataFrame()
    if len(table):
        table = table[table.bands == own]
    done = set(zip(table.kind, table.sim, strict=True)) if len(table) else set()
    sims = np.linspace(0, recipe("test").n_sim - 1, given.tissues).astype(int).tolist()
    jobs: list[tuple[int, str, Callable]] = [
        (sim, "right", partial(rows_of, surrogate, None if k % OLD_EVERY else old, sim, sims[k - 1]))
        for k, sim in enumerate(sims)
    ]
    jobs += [(sim, "grid", partial(rows_of_grids, surrogate, sim)) for sim in sims_of("test")[: given.tissues]]
    jobs += [
        (sim, "fibers", partial(rows_of_fibers, surrogate, old, sim)) for sim in sims[:: len(sims) // SIMULATED + 1]
    ]
    for sim, kind, rows in jobs:
        if (kind, sim) in done:
            continue
        progress(f"{kind}, tissue {sim}")
        table = pd.concat([table, pd.DataFrame(rows()).assign(bands=own)])
        write_table(table, path, digits=4)


if __name__ == "__main__":
    main()
