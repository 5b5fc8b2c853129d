"""What an ECG tells about a wave: ``inverse.csv``, ``inverse_regions.csv`` and two more tables in ``data/results/runs``.

    python -m experiments.inverse                 all tissues; those in the tables already are passed over
    python -m experiments.inverse --tissues 2     two of each set, a first look

All ECGs are those of the simulation on sheets of 100 mm, with white noise. The first table has one row a healthy tissue,
arrangement of electrodes and noise; the second how much of the posterior explains the ECG better than the true site does,
for several numbers of independent samples; the third, ``inverse_remodeled.csv``, one row a remodeled tissue and model of it;
the last, ``inverse_porosity.csv``, the same of a porosity that speed and amplitude share, and of the best fit with one gain
that begins in another well than the best one. Seconds are those of the processor."""

import argparse
from collections.abc import Callable
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import pandas as pd
import torch
import xarray as xr
from scipy.ndimage import gaussian_filter1d
from scipy.optimize import minimize
from torch import Tensor
from torch.nn.functional import interpolate

from experiments.files import write_table
from forwardecg.activation.eikonal import first_rays, network, spread
from forwardecg.activation.forward import read_out
from forwardecg.activation.loops import FAR
from forwardecg.activation.template import share, template
from forwardecg.ecg.electrodes import Electrodes, grid_electrodes
from forwardecg.ecg.leadfield import lead_field
from forwardecg.inverse import models
from forwardecg.inverse.adjoint import begin_times
from forwardecg.inverse.estimate import LOW_PASS, fit, profile, read
from forwardecg.paths import RESULTS, progress
from forwardecg.solver.simulation import simulate
from forwardecg.tissue.cell import FK_CAF
from forwardecg.tissue.grid import Grid
from forwardecg.tissue.sheet import TEXTURES, Tissue, combined, fibrotic, gap_junction, healthy
from forwardecg.tissue.stimulus import Stimulus, focal_stimulus

PATH, REGIONS_PATH, REMODELED_PATH, POROSITY_PATH = (
    RESULTS / "runs" / f"{name}.csv" for name in ("inverse", "inverse_regions", "inverse_remodeled", "inverse_porosity")
)
SEED, SHEET, Z, RADIUS, DT = 2300, Grid((200, 200), 0.5), 40.0, 4.0, 0.1
SETS = {"calibration": 40, "regions": 48, "remodeled": 12, "test": 6}  # tissues of each, by seeds of their own
NOISES = (0.0, 0.1, 0.3)  # SD over that of the lead
PLACES = {  # mm, x and y
    "1, center": [(50, 50)], "1, off center": [(62, 43)], "2": [(30, 40), (72, 57)], "3": [(22, 30), (80, 45), (45, 85)],
}  # fmt: skip
LAYOUTS = {
    name: Electrodes(np.array([(*at, Z) for at in places], float), tuple(f"{name}: {at}" for at in places))
    for name, places in PLACES.items()
} | {f"{n * n}": grid_electrodes(SHEET, n, n, Z) for n in (3, 4)}  # fmt: skip
USUAL = ("3", 0.1)  # electrodes and noise, on which the number of independent samples is set
REGIONS = {*((name, 0.1) for name in ("1, center", "1, off center")), ("3", 0.0), ("3", 0.3)}
N_EFF = (20, 30, 40, 60, 80, 100, 120, 160, 200, 240, 320)  # independent samples that an ECG may count as
WINDOW = np.linspace(-3.3, 3.3, 7)  # SD of the site at 80 samples, about each well
KINDS = ("gap junctions", *TEXTURES, "combined")
MODELS = {
    "one D": (1, 0), "one D, one gain": (1, 1), "6 x 6 D": (6, 0), "6 x 6 D, one gain": (6, 1), "6 x 6 D and gain": (6, 6),
}  # fmt: skip
REMODELED = ("9", 0.05)  # electrodes and noise
FIELD, WELLS, LOW = (
    6,
    3,
    3.0,
)  # places along a side; the most wells a fit begins in, and times the least misfit of theirs


def draw(name: str, sim: int, attempt: int = 0) -> tuple[Tissue, np.ndarray, str]:
    """A tissue, the site (x, y) in mm of its wave, and what kind it is."""
    rng = np.random.default_rng([SEED, [*SETS].index(name), sim, attempt])
    D, site = rng.uniform(0.06, 0.16), rng.uniform(0.1, 0.9, 2) * SHEET.size
    tissue = healthy(SHEET.shape, SHEET.dx, D)
    if name != "remodeled":
        return tissue, site, "healthy"
    kind = KINDS[sim % len(KINDS)]
    if kind in TEXTURES:
        return fibrotic(tissue, kind, rng), site, kind
    return (gap_junction if kind == "gap junctions" else combined)(tissue, rng), site, kind


def disc(tissue: Tissue, site: np.ndarray) -> Stimulus:
    """The stimulus about a site."""
    return focal_stimulus(tissue, site[0], site[1], RADIUS)


def record(tissue: Tissue, site: np.ndarray, layout: str, t_end: float) -> xr.Dataset:
    """The simulation of a wave from a disc about the site."""
    return simulate(tissue, disc(tissue, site), t_end=t_end, electrodes=LAYOUTS[layout], frame_interval=t_end)


def noisy(phi_e: xr.DataArray, noise: float, *seed: int) -> xr.DataArray:
    """White noise in each lead, relative to its SD."""
    rng = np.random.default_rng([SEED, 90, round(1000 * noise), *seed])
    return phi_e + noise * phi_e.std("time_ecg") * xr.DataArray(rng.standard_normal(phi_e.shape), dims=phi_e.dims)


def images(site: np.ndarray) -> np.ndarray:
    """The eight places (image, xy) of a site under the symmetries of the square."""
    x, y = site - SHEET.size[0] / 2
    turned = np.array([(x, y), (-y, x), (-x, -y), (y, -x)])
    return np.concatenate([turned, turned * [-1, 1]]) + SHEET.size[0] / 2


def layouts(name: str) -> list[str]:
    """Arrangements of electrodes that healthy tissues of a set are seen from."""
    return {"test": [*LAYOUTS], "remodeled": []}.get(name, [USUAL[0]])


def score_healthy(name: str, sim: int, layout: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows of the first two tables."""
    tissue, site, _ = draw(name, sim)
    rows, regions = [], []
    true = record(tissue, site, layout, t_end=300.0)
    began = true.lat.min().item()
    for noise in NOISES if name == "test" else (USUAL[1],):
        phi_e, start = noisy(true.phi_e, noise, sim, layouts(name).index(layout), [*SETS].index(name)), process_time()
        found = fit(phi_e, LAYOUTS[layout], SHEET, radius=RADIUS)
        seconds = process_time() - start
        of_case: dict[str, Any] = {"set": name, "sim": sim, "electrodes": layout, "noise": noise}
        rows.append(of_case | {
            "site_error": np.hypot(*(found.site.values - site)),
            "site_error_modulo": np.hypot(*(images(found.site.values) - site).T).min(),
            "onset_error": found.onset.item() - began, "speed_error": np.sqrt(found.D[0, 0] / tissue.D[0, 0]).item() - 1,
            "lat_mae": np.abs(found.lat - true.lat).mean().item(), "misfit": found.misfit.item(), "seconds": seconds,
        })  # fmt: skip
        if name != "test" or (layout, noise) in REGIONS:
            regions.append(score_region(phi_e, LAYOUTS[layout], found, site).assign(**of_case))
    return pd.DataFrame(rows), pd.concat(regions) if regions else pd.DataFrame()


def score_region(phi_e: xr.DataArray, places: Electrodes, found: xr.Dataset, site: np.ndarray) -> pd.DataFrame:
    """Share of the posterior on sites that explain the ECG better than the true one; the same of a normal law about the best.

    A site weighs misfit^(-n / 2): errors of unknown size, the same in n independent samples.
    """
    least, curvature = found.misfit.item(), found.curvature.values
    spread_of_site = np.sqrt(least / 80 / np.linalg.eigvalsh(curvature).min())
    wells = found.sites.values[found.misfits < 2 * least]

    def misfits(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        x, y = (at[(at >= 0) & (at <= SHEET.size[0])] for at in (x, y))
        return profile(phi_e, places, SHEET, x, y, start=found, radius=RADIUS).values.ravel()

    misfit = np.concatenate([misfits(x + WINDOW * spread_of_site, y + WINDOW * spread_of_site) for x, y in wells])
    (of_truth,) = misfits(site[:1], site[1:])
    cell, off = ((WINDOW[1] - WINDOW[0]) * spread_of_site) ** 2, site - found.site.values
    rows = []
    for n in N_EFF:
        weight = (misfit / misfit.min()) ** (-n / 2)
        share_of = np.sort(weight)[::-1].cumsum() / weight.sum()
        rows.append({
            "n_eff": n, "mass": weight[misfit < of_truth].sum() / weight.sum(),
            "laplace": 1 - np.exp(-n * (off @ curvature @ off) / least / 2),
            "area": cell * (1 + np.searchsorted(share_of, 0.9)), "wells": len(wells),
        })  # fmt: skip
    return pd.DataFrame(rows)


def remodeled(sim: int) -> tuple[Tissue, np.ndarray, str, xr.Dataset]:
    """The first draw of a remodeled tissue that a wave activates, with its site, kind and simulation."""
    for attempt in range(20):
        tissue, site, kind = draw("remodeled", sim, attempt)
        if not (disc(tissue, site).mask & tissue.live).any():
            continue
        true = record(tissue, site, REMODELED[0], t_end=500.0)
        if np.isfinite(true.lat.values[tissue.live]).mean() > 0.5:
            return tissue, site, kind, true
    raise RuntimeError(f"tissue {sim}: none of 20 draws was kept")


def score_remodeled(sim: int) -> pd.DataFrame:
    """Rows of the third table."""
    tissue, site, kind, true = remodeled(sim)
    lat = true.lat.values
    places, seen = LAYOUTS[REMODELED[0]], np.isfinite(lat) & tissue.live
    phi_e = noisy(true.phi_e, REMODELED[1], sim)
    of_tissue = {"sim": sim, "kind": kind, "density": tissue.fibrosis_density, "last": lat[seen].max()}
    rows, D = [], np.log(np.where(tissue.live, tissue.D, 1.0))[seen]
    for model, (field, gain) in MODELS.items():
        start = process_time()
        found = fit(phi_e, places, SHEET, field=field, gain=gain, radius=RADIUS)
        log_D = np.log(found.D.values)[seen]
        rows.append(of_tissue | {
            "model": model, "site_error": np.hypot(*(found.site.values - site)),
            "lat_mae": np.abs(found.lat.values - lat)[seen].mean(), "misfit": found.misfit.item(),
            "gain": found.gain.mean().item(), "seconds": process_time() - start,
            "D_correlation": np.corrcoef(log_D, D)[0, 1] if min(log_D.std(), D.std()) > 0.02 else np.nan,
        })  # fmt: skip
    for model, balanced in (("tissue known", True), ("tissue known, rays alone", False)):
        start = process_time()
        at, misfit, T = locate(phi_e, places, tissue, balanced, found.site.values)
        both = seen & (T < 1e6)
        rows.append(of_tissue | {
            "model": model, "site_error": np.hypot(*(at - site)), "lat_mae": np.abs(T - lat)[both].mean(),
            "misfit": misfit, "seconds": process_time() - start,
        })  # fmt: skip
    return pd.DataFrame(rows)


def on_sheet(q: Tensor) -> Tensor:
    """x and y in mm; a descent that leaves the sheet stays at its rim."""
    return q[:2].clamp(0, SHEET.size[0])


def one_gain(q: Tensor) -> Tensor:
    """Parameters of `models.varied` from x, y, onset, log D on a field, and the logarithm of one gain."""
    return torch.cat([on_sheet(q), q[2:-1], q[-1:].expand(FIELD**2)])


def shared_porosity(q: Tensor) -> Tensor:
    """The same from x, y, onset, the logarithm of the porosity phi on a field, and log D of tissue without pores.

    Pores take cells, and with them sources and ways: waves spread as in D phi, and its gain is phi, so that sources are those
    of D phi^2, the conductivity of a sheet with few round holes.
    """
    return torch.cat([on_sheet(q), q[2:3], q[-1] + q[3:-1], q[3:-1]])


def fit_field(
    one: models.Setting, D: float, parameters: Callable[[Tensor], Tensor], start: np.ndarray
) -> tuple[np.ndarray, Tensor, Tensor, Tensor, Tensor]:
    """The best parameters from a start, their misfit with its ridge, their ECG (lead, time), T and gain (y, x)."""
    ecg = models.varied(one, D, FIELD)
    q = models.descend(lambda q: ecg(parameters(q)), start)
    with torch.no_grad():
        total, model_ecg, T, _, gain = ecg(parameters(torch.from_numpy(q)))
    return q, total, model_ecg, T, gain


def score_porosity(sim: int) -> pd.DataFrame:
    """Rows of the last table."""
    tissue, site, kind, true = remodeled(sim)
    lat, places = true.lat.values, LAYOUTS[REMODELED[0]]
    seen, rows, phi_e = np.isfinite(lat) & tissue.live, [], noisy(true.phi_e, REMODELED[1], sim)
    started = process_time()
    uniform = fit(phi_e, places, SHEET, gain=1, radius=RADIUS)
    one = read(phi_e, places, SHEET, FIELD, RADIUS, FK_CAF, DT)
    rest = np.array([uniform.onset.item() - one.t[0], *np.log([uniform.D.values[0, 0], uniform.gain.values[0, 0]])])
    wells = uniform.sites.values[uniform.misfits.values < LOW * uniform.misfits.values[0]][:WELLS]
    starts = [models.polish(one, x, y, rest, lambda D: models.weights(one, D))[1] for x, y in wells]
    seconds = process_time() - started
    found: dict[str, tuple[np.ndarray, Tensor, Tensor, Tensor, Tensor]] = {}
    for model, several in (("6 x 6 porosity", starts[:1]), ("6 x 6 D, one gain, other wells", starts[1:])):
        for x, y, onset, log_D, log_gain in several:
            porous = model == "6 x 6 porosity"
            of_field, last = (log_gain, log_D - log_gain) if porous else (log_D, log_gain)
            q, started = np.array([x, y, onset, *np.full(FIELD**2, of_field), last]), process_time()
            fitted = fit_field(one, float(np.exp(log_D)), shared_porosity if porous else one_gain, q)
            if model not in found or fitted[1] < found[model][1]:
                found[model] = fitted
            seconds += process_time() - started
        if model in found:
            q, total, ecg, T, gain = found[model]
            T = one.t[0] + interpolate(T[None, None], lat.shape, mode="bilinear")[0, 0].numpy()
            rows.append({
                "sim": sim, "kind": kind, "density": tissue.fibrosis_density, "model": model, "wells": len(several),
                "site_error": np.hypot(*(np.clip(q[:2], 0, SHEET.size[0]) - site)), "lat_mae": np.abs(T - lat)[seen].mean(),
                "misfit": np.square(ecg.numpy() - one.data).sum(), "gain": gain.mean().item(), "seconds": seconds,
            })  # fmt: skip
    return pd.DataFrame(rows)


def locate(
    phi_e: xr.DataArray, places: Electrodes, tissue: Tissue, balanced: bool, start: np.ndarray
) -> tuple[np.ndarray, float, np.ndarray]:
    """Site, misfit and activation times in a tissue that is known, by a simplex from a start; the onset as it suits."""
    form, t, L = template(tissue.dx, DT, FK_CAF), phi_e.time_ecg.values, lead_field(tissue, places)
    net, D = network(tissue, DT, FK_CAF), torch.from_numpy(np.where(tissue.live, tissue.D, 1.0))
    low_pass: Callable = lambda z: gaussian_filter1d(z, LOW_PASS, mode="nearest")  # noqa: E731
    data = low_pass(phi_e.values)
    shifts = np.arange(-20, 21)

    def times(site: np.ndarray) -> np.ndarray:
        at, onset = torch.from_numpy(np.clip(site, 1, SHEET.size[0] - 1))[None], torch.zeros(1, dtype=torch.float64)
        begin = begin_times(tissue, at, onset, D, RADIUS, FK_CAF).numpy()
        return spread(begin, tissue, net, FK_CAF).T if balanced else net.pad(first_rays(begin, tissue, FK_CAF), FAR)

    def misfit(site: np.ndarray) -> tuple[float, float]:
        """Least over the onset, which is that of a parabola through the best three."""
        T = times(site)
        R = share(T, net.g, net.offsets, form.duration)
        model = low_pass(read_out(L, net.crop(T), net.crop(R), form, t))
        padded = np.pad(model, ((0, 0), (20, 20)), mode="edge")
        off = np.array([np.square(padded[:, 20 - s : 20 - s + t.size] - data).sum() for s in shifts])
        k = np.clip(off.argmin(), 1, len(off) - 2)
        a, b, c = off[k - 1 : k + 2]
        vertex = np.clip((a - c) / max(2 * (a - 2 * b + c), 1e-12), -1, 1)
        return (b + (c - a) / 2 * vertex + (a - 2 * b + c) / 2 * vertex**2) / np.square(data).sum(), shifts[k] + vertex

    simplex = start + np.array([[0.0, 0.0], [3.0, 0.0], [0.0, 3.0]])
    options: dict[str, Any] = {"initial_simplex": simplex, "xatol": 0.1, "fatol": 1e-6, "maxfev": 40}
    found = minimize(lambda site: misfit(site)[0], start, method="Nelder-Mead", options=options).x
    least, onset = misfit(found)
    return found, least, net.crop(times(found)) + onset


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tissues", type=int, help="so many of each set")
    most = parser.parse_args().tissues
    torch.set_num_threads(1)
    tables: dict[Path, pd.DataFrame] = {
        path: pd.read_csv(path, dtype={"electrodes": str})
        if path.is_file()
        else pd.DataFrame(columns=["set", "sim", "electrodes"])
        for path in (PATH, REGIONS_PATH, REMODELED_PATH, POROSITY_PATH)
    }

    def keep(path: Path, rows: pd.DataFrame) -> None:
        tables[path] = pd.concat([tables[path], rows]) if len(tables[path]) else rows
        write_table(tables[path], path)

    for name, n in SETS.items():
        for sim in range(n if most is None else min(n, most)):
            for path, score in ((REMODELED_PATH, score_remodeled), (POROSITY_PATH, score_porosity)):
                if name == "remodeled" and sim not in {*tables[path].sim}:
                    keep(path, score(sim))
            for layout in layouts(name):
                table = tables[PATH]
                if (name, sim, layout) not in {*zip(table.set, table.sim, table.electrodes, strict=True)}:
                    rows, regions = score_healthy(name, sim, layout)
                    keep(REGIONS_PATH, regions)
                    keep(PATH, rows)
            progress(f"{name}: tissue {sim + 1} of {n}")


if __name__ == "__main__":
    main()
