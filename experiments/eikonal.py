"""ECGs without a simulation beside those of the simulation: ``data/results/runs/eikonal.csv`` and ``eikonal_grid.csv``.

    python -m experiments.eikonal                 all tissues; those in the table already are passed over, and a
                                                  table of grids that is there is kept
    python -m experiments.eikonal --tissues 2     two of each set, a first look
    python -m experiments.eikonal --times         only the seconds once more, as on a quiet machine

The first has one row a tissue and variant; the second the speed along the diagonal of finer and finer grids. The
simulation and the estimate of a tissue are timed one after the other, in seconds of the processor, with everything
that depends on cell and grid alone computed before. The estimate is that of `eikonal_ecg` but for the estimate of its
own error, which is not timed."""

import argparse
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from time import process_time
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from scipy.interpolate import CubicSpline

from experiments.draws import draw_until_kept
from experiments.files import write_table
from experiments.tissues import Tissues, parts, recipe
from forwardecg.activation.eikonal import Network, check_single, first_rays, network, spread, start_times
from forwardecg.activation.forward import eikonal_ecg, read_out
from forwardecg.activation.loops import FAR
from forwardecg.activation.template import share, template
from forwardecg.data.draw import Draw, draw_tissue
from forwardecg.data.recipe import Recipe
from forwardecg.ecg.electrodes import center_electrode
from forwardecg.ecg.leadfield import lead_field
from forwardecg.measure.scores import r2
from forwardecg.paths import RESULTS, progress
from forwardecg.solver.simulation import simulate
from forwardecg.tissue.cell import FK_CAF, FKParams
from forwardecg.tissue.sheet import Tissue, healthy, with_fibers
from forwardecg.tissue.stimulus import Stimulus, focal_stimulus

PATH, GRID_PATH = (RESULTS / "runs" / f"{name}.csv" for name in ("eikonal", "eikonal_grid"))
SPACINGS, SIDE, D = (0.5, 0.25, 0.125), 30.0, 0.13  # mm: cells, and the side of a healthy sheet; its D in mm^2/ms
CONTINUUM: dict[str, Any] = {"grid": False, "spread": 0.0}  # no term of the grid
N_OTHER, RATIO, FRAME = 20, 4.0, 20.0  # tissues of the other sets; D along over across fibers; ms between coarse frames


def cases(n: int | None = None) -> Iterator[tuple[str, int]]:
    """Sets and numbers: test tissues of the base set; tissues with two foci; validation tissues, which get fibers."""
    (test,), (val,) = (parts(Tissues())[part] for part in ("test", "val"))
    for name, sims in {"test": test[1], "two_foci": range(N_OTHER), "fibers": val[1][:N_OTHER]}.items():
        yield from ((name, sim) for sim in sims[:n])


def of_set(name: str) -> tuple[Recipe, bool]:
    """How the tissues of a set are drawn, and whether they get fibers."""
    return recipe("two_foci" if name == "two_foci" else "base"), name == "fibers"


def draw(own: Recipe, sim: int, attempt: int, fibers: bool) -> Draw:
    """A tissue of a recipe; with fibers at an angle of its own."""
    drawn = draw_tissue(own, sim, attempt)
    if not fibers:
        return drawn
    angle = np.random.default_rng([own.seed, sim, 4]).uniform(0, np.pi)
    return drawn._replace(tissue=with_fibers(drawn.tissue, angle, RATIO))


def drawn_and_simulated(own: Recipe, sim: int, fibers: bool) -> tuple[Draw, xr.Dataset, float]:
    """The first draw whose wave activates enough of the tissue, as for the data sets, its simulation, and the seconds it took."""

    def record(drawn: Draw) -> xr.Dataset:
        place, began = center_electrode(drawn.tissue, own.z_mm), process_time()
        true = simulate(drawn.tissue, drawn.stimuli, t_end=own.t_end, electrodes=place, frame_interval=own.t_end)
        return true.assign_attrs(seconds=process_time() - began)

    drawn, true, _ = draw_until_kept(own, sim, record, partial(draw, fibers=fibers))
    return drawn, true, true.attrs["seconds"]


def activate(
    tissue: Tissue, stimuli: Sequence[Stimulus], cell: FKParams, dt: float, balanced: bool = True, **terms: Any
) -> tuple[np.ndarray, Network]:
    """Flat activation times in ms, checked, and the network without the `terms` that are left out; not ``balanced``: of rays."""
    begin, net = start_times(tissue, [*stimuli], dt, cell), network(tissue, dt, cell, **terms)
    T = spread(begin, tissue, net, cell).T if balanced else net.pad(first_rays(begin, tissue, cell), FAR)
    check_single(T, [*stimuli], net, template(tissue.dx, dt, cell).duration)
    return T, net


def estimate(own: Recipe, drawn: Draw, shared: bool = True, **terms: Any) -> tuple[np.ndarray, np.ndarray]:
    """Activation times (y, x) in ms and the ECG at every millisecond, without the `terms` that are left out."""
    tissue, form = drawn.tissue, template(own.dx, own.dt, own.cell)
    T, net = activate(tissue, drawn.stimuli, own.cell, own.dt, **terms)
    R = share(T, net.g, net.offsets, form.duration) if shared else T
    T, R = net.crop(T), net.crop(R)
    L = lead_field(tissue, center_electrode(tissue, own.z_mm))
    return T, read_out(L, T, R, form, np.arange(own.t_end + 1))


def seconds_to_estimate(own: Recipe, drawn: Draw) -> float:
    """Of the processor, once all is compiled, without the estimate of the error."""
    estimate(own, drawn)
    began = process_time()
    estimate(own, drawn)
    return process_time() - began


def score(name: str, sim: int) -> pd.DataFrame:
    """One row a variant."""
    own, fibers = of_set(name)
    drawn, true, simulated = drawn_and_simulated(own, sim, fibers)
    tissue, stimuli, kind, _, density = drawn
    place, form, t = center_electrode(tissue, own.z_mm), template(own.dx, own.dt, own.cell), np.arange(own.t_end + 1)
    lat, recovery, ecg = true.lat.values, true.recovery.values, true.phi_e.values
    both = np.isfinite(lat) & np.isfinite(recovery) & tissue.live
    known_of = {"set": name, "sim": sim, "texture": tissue.texture, "condition": tissue.condition, "stimulus": kind}
    try:
        estimated = seconds_to_estimate(own, drawn)
    except ValueError as refusal:  # a tissue that the method refuses is no score, and is counted
        progress(f"{name} {sim} is refused: {refusal}")
        return pd.DataFrame([known_of | {"density": density, "variant": "refused", "last": lat[both].max()}])
    found = {"all": estimate(own, drawn)}
    without: dict[str, dict[str, Any]] = {
        "no load": {"load": 0.0}, "no grid": CONTINUUM, "no shared repolarization": {"shared": False},
        "rays alone": {"shared": False, "balanced": False},
    }  # fmt: skip
    for variant, terms in without.items():
        with suppress(ValueError):  # without a term it may refuse what it takes with all: no row
            found[variant] = estimate(own, drawn, **terms)
    net, L, known = network(tissue, own.dt, own.cell), lead_field(tissue, place), np.where(both, lat, FAR)
    R = net.crop(share(net.pad(known, FAR), net.g, net.offsets, form.duration))
    found["true activation"] = known, read_out(L, known, R, form, t)
    R = np.where(both, recovery - form.duration, FAR)
    found["true activation and recovery"] = known, read_out(L, known, R, form, t)
    coarse = np.arange(0, own.t_end + 1, FRAME)
    found["frames"] = known, np.interp(t, coarse, ecg[0, :: int(FRAME)])[None]
    found["frames, cubic"] = known, CubicSpline(coarse, ecg[0, :: int(FRAME)])(t)[None]
    stated = eikonal_ecg(tissue, stimuli, place, t_end=own.t_end).phi_e_error.item()
    rows = []
    for variant, (T, phi_e) in found.items():
        error = (T - lat)[both & (T < FAR)]
        rows.append(known_of | {
            "density": density, "variant": variant, "r2": r2(ecg, phi_e).item(), "lat_mae": np.abs(error).mean(),
            "lat_bias": error.mean(), "other_cells": int(((T < FAR) != np.isfinite(lat))[tissue.live].sum()),
            "last": lat[both].max(), "rms_error": np.sqrt(np.square(phi_e - ecg).mean()), "stated_error": stated,
            "seconds": estimated, "seconds_simulated": simulated,
        })  # fmt: skip
    return pd.DataFrame(rows)


def score_grids() -> pd.DataFrame:
    """How much faster a wave is along the diagonal of the grid than along an axis, in a healthy sheet, one row a spacing."""
    rows = []
    for dx in SPACINGS:
        n, dt = 2 * round(SIDE / dx / 2) + 1, 0.1 * (dx / SPACINGS[0]) ** 2
        sheet = healthy((n, n), dx, D)
        focus = focal_stimulus(sheet, n * dx / 2, n * dx / 2)
        found = {"simulated": simulate(sheet, focus, t_end=60.0, frame_interval=60.0, dt=dt).lat.values}
        for name, terms in (("balance", {}), ("balance without the grid", CONTINUUM)):
            T, net = activate(sheet, [focus], FK_CAF, dt, **terms)
            found[name] = net.crop(T)
        rows.append({"dx": dx, "dt": dt} | {name: _diagonal(T, dx) for name, T in found.items()})
    return pd.DataFrame(rows)


def _diagonal(T: np.ndarray, dx: float) -> float:
    """Speed along the diagonal over that along an axis, minus 1, of a wave from the center of T (y, x), between 8 and 13 mm."""
    middle = len(T) // 2
    lines = (T[middle, middle:], dx), (np.diagonal(T)[middle:], np.sqrt(2) * dx)
    axis, diagonal = (np.diff(np.interp([8.0, 13.0], step * np.arange(len(line)), line)).item() for line, step in lines)
    return axis / diagonal - 1


def with_times(table: pd.DataFrame, name: str, sim: int) -> pd.DataFrame:
    """The table with the seconds of a tissue measured once more, unless it was refused; nothing else changes."""
    rows = (table.set == name) & (table.sim == sim) & (table.variant != "refused")
    if rows.any():
        own, fibers = of_set(name)
        drawn, _, simulated = drawn_and_simulated(own, sim, fibers)
        table.loc[rows, ["seconds", "seconds_simulated"]] = seconds_to_estimate(own, drawn), simulated
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tissues", type=int, help="so many of each set")
    parser.add_argument("--times", action="store_true", help="only measure the seconds once more")
    given = parser.parse_args()
    if not GRID_PATH.is_file():
        write_table(score_grids(), GRID_PATH)
    table = (
        pd.read_csv(PATH, keep_default_na=False, na_values=[""])
        if PATH.is_file()
        else pd.DataFrame(columns=["set", "sim", "variant"])
    )
    done, wanted = {*zip(table.set, table.sim, strict=True)}, [*cases(given.tissues)]
    for n, (name, sim) in enumerate(wanted):
        if given.times:
            table = with_times(table, name, sim)
        elif (name, sim) not in done:
            table = pd.concat([table, score(name, sim)]) if len(table) else score(name, sim)
        else:
            continue
        write_table(table, PATH)
        progress(f"tissue {n + 1} of {len(wanted)}")


if __name__ == "__main__":
    main()
