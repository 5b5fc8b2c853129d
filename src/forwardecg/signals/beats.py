"""Recordings of many beats, paced irregularly, with the begin and end of each wave as the voltage has them: exact labels.

A wave of depolarization lasts from the time at which 1 % of the pixels that a beat activates have risen through the middle
of their voltage to the time at which 99 % have; a wave of repolarization is the same of their fall. The two overlap where a
beat begins to recover at its site before it has arrived everywhere.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from forwardecg.cache import settle
from forwardecg.contract import SAME_DIM, array, count, instance, number, times
from forwardecg.ecg.electrodes import Electrodes
from forwardecg.measure.waves import LEAST
from forwardecg.solver.simulation import simulate
from forwardecg.tissue.sheet import Tissue
from forwardecg.tissue.stimulus import Stimulus

WAVES = ("depolarization", "repolarization")
CAPTURED = 0.05  # of the pixels: a stimulus that activates fewer has made no beat
FIRST = (20.0, 100.0)  # ms, when the first beat starts


@dataclass(frozen=True, kw_only=True)
class Pacing:
    """How a recording is paced: a cycle of its own, around which each interval varies, and early beats.

        interval = cycle (1 + jitter r),  r uniform in -1 .. 1;  times coupling before an early beat

    Args:
        t_end: ms, how long it is; the last beat starts at least cycle_low before, so that its waves end.
        cycle_low, cycle_high: ms, between which its cycle is drawn.
        jitter: largest variation of an interval, a share of the cycle, 0 to 0.5.
        early: probability that a beat is early, 0 to 1.
        coupling: of an early beat to the one before, a share of the interval, 0.3 to 1.

    Raises:
        ValueError: A number out of range, or too little time for a beat.

    Examples:
        >>> Pacing(jitter=0.0, early=0.0, cycle_low=500.0, cycle_high=500.0).draw(seed=1)
        array([  96.,  596., 1096., 1596., 2096.])
    """

    t_end: float = 3000.0
    cycle_low: float = 350.0
    cycle_high: float = 700.0
    jitter: float = 0.12
    early: float = 0.15
    coupling: float = 0.6

    def __post_init__(self) -> None:
        low = number("cycle_low", self.cycle_low, 50, 1e4, unit="ms")
        ranges = {
            "t_end": (low + FIRST[1] + 1, 1e6, "ms"), "cycle_low": (50, 1e4, "ms"), "cycle_high": (low, 1e4, "ms"),
            "jitter": (0, 0.5, ""), "early": (0, 1, ""), "coupling": (0.3, 1, ""),
        }  # fmt: skip
        for name, (least, most, unit) in ranges.items():
            settle(self, **{name: number(name, getattr(self, name), least, most, unit=unit)})

    def draw(self, seed: int) -> np.ndarray:
        """Starts (beat,) of the beats in whole ms, the same for the same seed."""
        rng = np.random.default_rng(count("seed", seed, 0))
        cycle, starts = rng.uniform(self.cycle_low, self.cycle_high), [rng.uniform(*FIRST)]
        while starts[-1] <= self.t_end - self.cycle_low:
            interval = cycle * (1 + self.jitter * rng.uniform(-1, 1))
            starts.append(starts[-1] + interval * (self.coupling if rng.random() < self.early else 1.0))
        return np.round(starts[:-1])


def simulate_beats(
    tissue: Tissue, site: Stimulus, electrodes: Electrodes, *, pacing: Pacing = Pacing(), seed: int,
    frame_interval: float = 2.0, ecg_interval: float = 2.0, pool: int = 4, **run: Any,
) -> xr.Dataset:  # fmt: skip
    """A recording of many beats of one tissue, paced at one site, with labels from its voltage.

    Args:
        tissue, electrodes: as `simulate` takes them.
        site: the stimulus that is repeated; its start is not used.
        pacing: how it is paced.
        seed: of the starts of the beats, a whole number of at least 0.
        frame_interval, ecg_interval: ms between maps, from which the labels are read, and between samples of the ECG.
        pool: cells along each side of a map pixel.
        **run: cell, conductor, dt, calibrated, dtype of `simulate`.

    Returns:
        What `simulate` returns; what `label_waves` reads off its maps; and labels (wave, time_ecg), whether a wave is on.

    Raises:
        ValueError: What `Pacing`, `simulate` and `label_waves` refuse.

    Examples:
        >>> sheet, pacing = fe.healthy((16, 24), 0.5, D0=0.13), Pacing(t_end=600.0, early=0.0)
        >>> ds = simulate_beats(
        ...     sheet, fe.edge_stimulus(sheet), fe.center_electrode(sheet), pacing=pacing, seed=3, calibrated=False)
        >>> dict(ds.labels.sizes), bool((ds.offset > ds.onset).all())
        ({'wave': 2, 'time_ecg': 301}, True)
    """
    instance("electrodes", electrodes, Electrodes, "such as center_electrode gives")
    starts = instance("pacing", pacing, Pacing).draw(seed)
    stimuli = [replace(instance("site", site, Stimulus), start=start) for start in starts]
    ds = simulate(
        tissue, stimuli, t_end=pacing.t_end, electrodes=electrodes, frame_interval=frame_interval,
        ecg_interval=ecg_interval, pool=pool, **run,
    )  # fmt: skip
    waves = label_waves(ds.V_m, starts)
    ds = ds.merge(waves).assign_attrs(pacing=str(pacing), pacing_seed=seed)
    on = (ds.time_ecg >= waves.onset) & (ds.time_ecg <= waves.offset)
    ds["labels"] = on.any("beat").transpose("wave", "time_ecg").assign_attrs(long_name="wave is on")
    return ds


def label_waves(V_m: xr.DataArray, starts: ArrayLike, share: float = 0.01) -> xr.Dataset:
    """Onset and offset of the waves of each beat: when a share of its pixels has crossed, and when all but that share have.

        onset = quantile(crossings of the beat, share),  offset = quantile(crossings of the beat, 1 - share)

    A pixel crosses the middle between its lowest and highest voltage, linear between frames; one that changes by less than
    3 mV does not count. A rise belongs to the beat whose start, with the delay that the first beat had there, lies
    nearest; a fall belongs to the rise before it.

    Args:
        V_m: dims time, y, x; mV, V or u; at rest at first, and reached by the first beat wherever by a later one.
        starts: (beat,) increasing, ms.
        share: 0 to 0.2.

    Returns:
        onset, offset (wave, beat), ms, of the `WAVES`; activated (beat), the share of the pixels that a beat activated;
        repeated (beat), the share that it activated twice, by re-entry. Beats that activate less than 5 % are left out. A
        wave that is not over at the last frame ends there.

    Raises:
        ValueError: Other dims, values that are not finite, starts that do not increase or lie outside the recording, or no
            beat that activates anything.

    Examples:
        >>> since = np.arange(0.0, 200.0)[:, None, None] - (10.0 + 0.5 * np.arange(101))  # a front of 2 pixels/ms
        >>> u = xr.DataArray(np.clip(since, 0, 1) * np.clip(100 - since, 0, 1), dims=("time", "y", "x"),
        ...     coords={"time": np.arange(0.0, 200.0)}, attrs={"units": "u"})
        >>> label_waves(u, [10.0]).onset.values.tolist(), label_waves(u, [10.0]).offset.values.tolist()
        ([[11.0], [110.0]], [[60.0], [159.0]])
    """
    V_m = instance("V_m", V_m, xr.DataArray, "(time, y, x) with a coordinate 'time'")
    dim = next((dim for dim in V_m.dims if SAME_DIM.get(str(dim), dim) == "time"), None)
    if dim not in V_m.coords:
        raise ValueError(f"V_m: expected dims (time, y, x) with a coordinate 'time' in ms, got dims {V_m.dims}")
    t, V = times("V_m.time", V_m[dim]), array("V_m", V_m, ("time", "y", "x"), "mV")
    starts, share = times("starts", starts, least=1), number("share", share, 0, 0.2)
    if starts[0] < t[0] or starts[-1] > t[-1]:
        raise ValueError(f"starts: expected times in {t[0]:g} .. {t[-1]:g} ms, got {starts[0]:g} .. {starts[-1]:g} ms")
    found = _assign(t, V.reshape(len(t), -1), starts)
    captured = np.flatnonzero(found.activated >= CAPTURED)
    if not captured.size:
        raise ValueError(f"V_m: expected a beat that activates {CAPTURED:.0%} of the pixels, got none")
    edges = [
        [np.quantile(one[beat][np.isfinite(found.rise[beat])], q, method="inverted_cdf") for beat in captured]
        for q in (share, 1 - share)
        for one in (found.rise, found.fall)
    ]
    onset, offset = np.minimum(edges, t[-1]).reshape(2, 2, -1)
    ms = {"units": "ms"}
    return xr.Dataset(
        {
            "start": ("beat", starts[captured], ms | {"long_name": "start of the stimulus"}),
            "onset": (("wave", "beat"), onset, ms | {"long_name": "begin of the wave"}),
            "offset": (("wave", "beat"), offset, ms | {"long_name": "end of the wave"}),
            "activated": ("beat", found.activated[captured], {"units": "1"}),
            "repeated": ("beat", found.repeated[captured], {"units": "1"}),
        },
        coords={"wave": list(WAVES), "beat": captured},
    )


@dataclass(frozen=True)
class _Crossings:
    """First rise and last fall (beat, pixel) in ms, infinite where there is none; shares of pixels (beat,)."""

    rise: np.ndarray
    fall: np.ndarray
    activated: np.ndarray
    repeated: np.ndarray


def _assign(t: np.ndarray, V: np.ndarray, starts: np.ndarray) -> _Crossings:
    """Crossings of V (time, pixel) and the beats to which they belong."""
    low, high = V.min(0), V.max(0)
    V, level = V[:, high - low >= LEAST].astype(float), ((low + high) / 2)[high - low >= LEAST]
    n_pixel, above = V.shape[1], level <= V

    def crossings(before: np.ndarray, behind: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        k, pixel = np.nonzero(before & behind)
        part = (level[pixel] - V[k, pixel]) / (V[k + 1, pixel] - V[k, pixel])
        return t[k] + part * (t[k + 1] - t[k]), pixel

    rises, pixel = crossings(~above[:-1], above[1:])
    first = np.full(n_pixel, np.inf)
    np.minimum.at(first, pixel, rises)
    beat = np.abs(rises - starts[:, None] - (first - starts[0])[pixel]).argmin(0)
    rise, number_of = np.full((len(starts), n_pixel), np.inf), np.zeros((len(starts), n_pixel), int)
    np.minimum.at(rise, (beat, pixel), rises)
    np.add.at(number_of, (beat, pixel), 1)
    falls, pixel = crossings(above[:-1], ~above[1:])
    after = rise[:, pixel] <= falls  # (beat, crossing)
    begun = after.any(0)
    beat, pixel, falls = (len(starts) - 1 - after[::-1].argmax(0))[begun], pixel[begun], falls[begun]
    fall = np.full(rise.shape, -np.inf)
    np.maximum.at(fall, (beat, pixel), falls)
    fall[fall == -np.inf] = np.inf
    n = max(n_pixel, 1)
    return _Crossings(rise, fall, (number_of > 0).sum(1) / n, (number_of > 1).sum(1) / n)
