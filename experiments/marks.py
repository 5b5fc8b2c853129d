"""What the marks of a delineator are compared with: those of a slope rule and of a library, and those on surrogates' ECGs.

Everything here reads `Traces`. The rule and the library have no training; the surrogates see voltage maps alone.
"""

import warnings
from collections.abc import Callable, Iterable

import neurokit2 as nk
import numpy as np
import pandas as pd
import xarray as xr
from scipy.interpolate import CubicSpline

from compendium.networks import papers_network, recipes_networks
from experiments import beats
from experiments.beats import DT, LEADS, Recordings, Traces
from experiments.draws import with_noise
from experiments.tissues import open_set, recipe
from forwardecg.contract import to_u
from forwardecg.ecg.electrodes import Electrodes, center_electrode
from forwardecg.measure.scores import FLAT
from forwardecg.paths import progress
from forwardecg.signals.beats import WAVES, label_waves
from forwardecg.signals.intervals import compare_labels, read_intervals, summarize_intervals
from forwardecg.surrogates.baselines import ecg_from_diffusivity, training_free_ecg

SHORTEST, RULE_GAP = 20.0, 40.0  # ms: what is shorter is no wave; of the rule, whose slope is 0 at every peak
TOLERANCE = 50.0  # ms: the 150 ms with which ANSI/AAMI EC57 matches beats are longer than many a wave
TOLERANCES = (TOLERANCE, 150.0)
NOISES = (0.0, 0.1)  # SD of the noise, as a share of that of the trace
BEFORE = 100.0  # ms of rest before the stimulus of a single beat, as the recordings of many beats have
COPIES = 3  # of a trace, for the library: it asks for 4 s, and reads the beats at the ends less well
SHARES, SMOOTHINGS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5), (10.0, 25.0, 50.0, 75.0, 100.0)  # that the slope rule may have
LIBRARY = {"NeuroKit2, discrete wavelets": "dwt", "NeuroKit2, continuous wavelets": "cwt"}
Reader = Callable[[np.ndarray], np.ndarray]  # labels (n, wave, T) bool of traces (n, T)


def add_noise(ecg: np.ndarray, level: float, seed: int = 0) -> np.ndarray:
    """Traces (n, T) with white noise, its SD a share of theirs; the same for every reader."""
    return with_noise(ecg, level * ecg.std(-1, keepdims=True), seed)


def slope_rule(ecg: np.ndarray, share: float, smooth: float) -> np.ndarray:
    """The classical baseline: labels (n, 1, T), depolarization where |dECG/dt| is above a share of its 98 % quantile.

    The ECG is smoothed over ``smooth`` ms before.
    """
    width = max(round(smooth / DT), 1)
    calm = np.apply_along_axis(np.convolve, -1, ecg, np.ones(width) / width, mode="same")
    slope = np.abs(np.gradient(calm, axis=-1))
    return (slope > share * np.maximum(np.quantile(slope, 0.98, axis=-1, keepdims=True), FLAT))[:, None]


def library_marks(ecg: np.ndarray) -> dict[str, list[np.ndarray]]:
    """What NeuroKit2 takes for R in each trace (n, T), by each method: peak, onset, offset (k, 3) in ms, NaN where none is marked.

    It first turns a trace that it finds inverted. What it refuses is a trace without a peak.
    """
    n_t, hertz = ecg.shape[-1], 1000 / DT
    found: dict[str, list[np.ndarray]] = {name: [] for name in LIBRARY}
    for trace in ecg:
        marks = dict.fromkeys(LIBRARY, np.zeros((0, 3)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # one for each beat that has no mark
            try:
                turned, _ = nk.ecg_invert(np.tile(trace, COPIES), sampling_rate=hertz)
                smooth = nk.ecg_clean(turned, sampling_rate=hertz)
                peaks = nk.ecg_peaks(smooth, sampling_rate=hertz)[1]["ECG_R_Peaks"]
                for name, method in LIBRARY.items():
                    waves = nk.ecg_delineate(smooth, peaks, sampling_rate=hertz, method=method)[1]
                    columns = (peaks, waves["ECG_R_Onsets"], waves["ECG_R_Offsets"])
                    marks[name] = np.stack([np.asarray(one, float) for one in columns], 1)
            except (ValueError, IndexError, KeyError, ZeroDivisionError) as error:
                progress(f"the library refuses a trace: {error}")
        for name, one in marks.items():
            middle = (one[:, 0] >= n_t) & (one[:, 0] < 2 * n_t)
            found[name].append(DT * (one[middle] - n_t))
    return found


def compare(
    true: Traces, labels: np.ndarray, shortest: float = SHORTEST, tolerance: float = TOLERANCE, dt: float = DT
) -> pd.DataFrame:
    """Rows of `compare_labels` for each wave that is predicted, with the tissue and the lead of the trace."""
    tables = []
    for k in range(labels.shape[1]):
        table = compare_labels(true.labels[:, k], labels[:, k], dt, tolerance, shortest)
        tables.append(table.assign(wave=WAVES[k]))
    return _placed(pd.concat(tables, ignore_index=True), true)


def compare_peaks(true: Traces, marks: Iterable[np.ndarray]) -> pd.DataFrame:
    """The same rows for marks of `library_marks`, judged more kindly: a wave is matched if a peak lies in it.

    Its first peak counts, and its edges if they are marked; every other peak is extra. The first wave of the labels is
    meant. Waves that the ends of a recording cut are not scored.
    """
    rows: list[tuple] = []
    for n, (one, found) in enumerate(zip(true.labels[:, 0], marks, strict=True)):
        there, end, free = read_intervals(one, DT), DT * (one.size - 1), np.ones(len(found), bool)
        for onset, offset in there:
            inside = np.flatnonzero((found[:, 0] >= onset) & (found[:, 0] <= offset))
            if onset <= 0 or offset >= end:
                free[inside] = False
                continue
            free[inside[:1]] = False
            errors = found[inside[0], 1:] - (onset, offset) if inside.size else (np.nan, np.nan)
            rows.append((n, "matched" if inside.size else "missed", onset, offset, *errors))
        rows += [(n, "extra", peak, peak, np.nan, np.nan) for peak in found[free, 0]]
    columns = ["recording", "outcome", "onset", "offset", "onset_error", "offset_error"]
    return _placed(pd.DataFrame(rows, columns=columns).assign(wave=WAVES[0]), true)


def _placed(table: pd.DataFrame, true: Traces) -> pd.DataFrame:
    """Rows with the tissue and the lead of their trace in place of its number."""
    n = table.pop("recording").to_numpy(int)
    return table.assign(sim=true.sim[n], lead=true.lead[n])


def summarize(rows: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """`summarize_intervals` of each group of rows, its mean |errors| and how many errors there are, as columns beside ``by``."""
    found = []
    for key, group in rows.groupby(by, sort=False):
        one = summarize_intervals(group).to_dict()
        for edge in ("onset", "offset"):
            errors = group[f"{edge}_error"].dropna().abs()
            one |= {f"{edge}_mean": errors.mean(), f"{edge}s": len(errors)}
        found.append(dict(zip(by, key, strict=True)) | one)
    counts = {name: int for name in ("matched", "missed", "extra")}
    return pd.DataFrame(found).astype(counts)


# Surrogates


def _one_lead(electrodes: Electrodes, k: int) -> Electrodes:
    return Electrodes(electrodes.positions[[k]], (electrodes.names[k],))


def _surrogates(V_m: np.ndarray, t: np.ndarray, dx: float, electrodes: Electrodes) -> dict[str, np.ndarray]:
    """ECGs (lead, T) of maps V_m (T, y, x) in mV at times t; their sizes mean nothing, for traces are scaled."""
    u, leads = to_u(V_m), range(len(electrodes.names))
    ones, dt = np.ones(u.shape[1:]), float(t[1] - t[0])
    structured = recipes_networks().predict(V_m, dx=dx, dt=dt, unit="mV", electrodes=electrodes)
    return {
        "structured surrogate": structured.phi_e.values,
        "training-free D": training_free_ecg(u, dx, dt, 1.0, electrodes),
        "blind lead field": np.concatenate(
            [ecg_from_diffusivity(u, ones, dx, _one_lead(electrodes, k))[None] for k in leads]
        ),
    }


def _on_clock(ecg: np.ndarray, t: np.ndarray, clock: np.ndarray) -> np.ndarray:
    """ECGs (lead, T) at other times, by cubic splines: the maps come every 4 to 10 ms."""
    return np.asarray(CubicSpline(t, ecg, axis=-1)(clock))


def many_beats(which: Recordings, sims: list[int]) -> dict[str, Traces]:
    """The recordings of some tissues, and the same traces as each surrogate has them from their maps.

    *Sampled* is the true ECG at the times of the maps alone: what their interval costs.
    """
    true, found = beats.traces(which, sims), dict[str, list[np.ndarray]]()
    places = beats.some_electrodes(which.recipe.electrodes, LEADS)
    for sim in sims:
        ds = beats.load_or_simulate(which, sim)
        t, clock = ds.time.values, ds.time_ecg.values
        ecgs = _surrogates(ds.V_m.values, t, ds.attrs["dx_map"], places)
        ecgs["sampled"] = ds.phi_e.sel(time_ecg=t).values
        for name, ecg in ecgs.items():
            found.setdefault(name, []).append(_on_clock(ecg, t, clock))
    read = {name: true._replace(ecg=beats.standardize(np.concatenate(several))) for name, several in found.items()}
    return {"true": true} | read


def single_beats(n: int) -> dict[str, Traces]:
    """The same of the first n tissues of the test set, one beat at the central electrode, which the paper's network reads."""
    ds, own, paper = open_set("test"), recipe("test"), papers_network()
    place, t = center_electrode(own.grid, own.z_mm), ds.time.values
    clock = np.arange(0.0, own.t_end + DT / 2, DT)
    labels, found = [], dict[str, list[np.ndarray]]()
    for sim in range(n):
        V_m, one = ds.V_m[sim].load(), ds.phi_e[sim].sel(lead="center")
        waves = label_waves(V_m, [t[0]])
        at = xr.DataArray(clock, dims="time_ecg")
        labels.append(((at >= waves.onset) & (at <= waves.offset)).any("beat").transpose("wave", "time_ecg").values)
        ecgs = _surrogates(V_m.values, t, own.dx * own.pool, place)
        out = paper.predict(V_m.values, dx=own.dx * own.pool, dt=own.frame_interval, unit="mV")
        read = {name: _on_clock(ecg, t, clock)[0] for name, ecg in ecgs.items()}
        read["paper's network"] = _on_clock(out.phi_e.values, out.time_ecg.values, clock)[0]
        read["true"] = one.sel(time_ecg=clock).values
        for step, name in ((own.frame_interval, "sampled"), (10.0, "sampled every 10 ms")):
            kept = np.arange(0.0, own.t_end + step / 2, step)
            read[name] = _on_clock(one.sel(time_ecg=kept).values, kept, clock)
        for name, ecg in read.items():
            found.setdefault(name, []).append(ecg)
    rest = round(BEFORE / DT)
    whole = np.pad(labels, ((0, 0), (0, 0), (rest, 0)))
    return {
        name: Traces(
            beats.standardize(np.pad(several, ((0, 0), (rest, 0)), mode="edge")),
            whole,
            np.arange(n),
            np.array(["center"] * n),
        )
        for name, several in found.items()
    }


def clean(labels: np.ndarray, shortest: float = SHORTEST) -> np.ndarray:
    """Labels (n, wave, T) of the intervals that count: short gaps are closed, and short intervals are none."""
    kept = np.zeros(labels.shape, bool)
    for k in np.ndindex(labels.shape[:2]):
        for onset, offset in np.round(read_intervals(labels[k], DT, shortest) / DT).astype(int):
            kept[k][onset : offset + 1] = True
    return kept


def shift_marks(read: Reader, sources: dict[str, Traces], seed: int = 1) -> pd.DataFrame:
    """Rows of `compare` of a reader's marks on each source with its own marks on the true ECG, the noise on both the same."""
    tables = []
    for noise in NOISES:
        true = sources["true"]._replace(labels=clean(read(add_noise(sources["true"].ecg, noise, seed))))
        for name, traces in sources.items():
            if name != "true":
                table = compare(true, read(add_noise(traces.ecg, noise, seed)))
                tables.append(table.assign(source=name, noise=noise))
    return pd.concat(tables, ignore_index=True)
