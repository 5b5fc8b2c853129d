"""What a recording shows of itself before any network sees it: rest, amplitude, and pixels that are no tissue or cut off.

The networks count voltage from rest, in amplitudes of tissue that conducts wholly: rest and amplitude of a recording are
read off it, V becomes -85 mV + (V - rest) 100 mV / amplitude, and the ECG is scaled back, for it is linear in the voltage.
"""

from typing import Any

import numpy as np
import xarray as xr
from torch import Tensor

from forwardecg.contract import V_REST, V_SPAN, as_variable, corner
from forwardecg.ecg.electrodes import Electrodes
from forwardecg.ecg.leadfield import phi_e_attrs
from forwardecg.surrogates.structured.fronts import BEHIND

STILL = 0.05  # mV: a pixel that changes by less is constant
SAME_REST = 1.0  # mV from -85: such a rest is that of the contract
SAME_AMPLITUDE = 0.07  # from 100 mV, relative: such an amplitude is that of the contract
RESTS, AMPLITUDES = (-90.0, -70.0), (90.0, 130.0)  # mV, of cardiac cells; others are named
FULL = 0.988  # of the amplitude: mean of `BEHIND` ms behind a front where all cells conduct
MANY, ALIKE, FEW = 0.1, 0.03, 0.005  # share of pixels whose plateaus differ by so little, few higher: all cells conduct
LEAST_TOP = 0.8  # of 100 mV: a recording whose highest plateaus are lower says nothing of its amplitude
NO_REST = 20.0  # mV from the rest: a constant pixel is background, another one never comes to rest
CUT_OFF = 10.0  # ms at the largest value of all: a pixel that stays there so long is saturated
MOST_ODD = 0.01  # share of the pixels of a kind above which it is named
MOST_FILLED = 20.0  # mm: a larger hole that was filled in is named
HALF, QUIET = 0.5, 0.1  # u: above the first a cell is activated, below the second it is at rest
MOST_AGAIN = 0.01  # share of the pixels that may rise more than once in one beat, by noise
_SAMPLE = 2000  # pixels that the rest is read off


def inspect(maps: xr.Dataset) -> tuple[xr.Dataset, list[str]]:
    """Maps of `import_maps` with rest at -85 and amplitude at 100 mV, background outside of the coordinate ``tissue``; and flags.

    What rest and amplitude were is in the attributes ``rest`` and ``amplitude``, mV, where they were others.
    """
    V = maps.V_m.values
    tissue = maps.tissue.values if "tissue" in maps.coords else np.ones(V.shape[1:], bool)
    low, high = V.min(0), V.max(0)
    alive = tissue & (high - low >= STILL)
    flags = [f"filled in: {maps.attrs['filled']}"] if maps.attrs.get("largest_hole", 0) > MOST_FILLED else []
    if not alive.any():
        return maps, flags  # no wave, which is refused elsewhere
    some = V.reshape(len(V), -1)[:, np.flatnonzero(alive)[:: -(-alive.sum() // _SAMPLE)]]
    rest = _rest(some)
    amplitude, top = _amplitude(some - rest, _step(maps))
    background = tissue & ~alive & (np.abs(high - rest) > NO_REST)
    if background.any():
        values = " .. ".join(sorted({f"{z:.4g}" for z in (high[background].min(), high[background].max())})) + " mV"
        words = "no rest: taken for background without tissue, a mask would say so"
        flags.append(f"{background.sum()} pixels are constant at {values}, {words}")
    for word, value, (least, most) in (("rest", rest, RESTS), ("amplitude", amplitude, AMPLITUDES)):
        if not least - SAME_REST <= value <= most + SAME_REST:
            flags.append(f"{word} near {value:.4g} mV, expected {least:g} .. {most:g} mV")
    if amplitude == V_SPAN and not LEAST_TOP <= top / V_SPAN <= 1 + SAME_AMPLITUDE:
        told = f"the highest plateaus are near {top:.3g} mV and not alike, {V_SPAN:g} mV is assumed"
        flags.append(f"amplitude cannot be told from fibrosis: {told}")
    span = high[alive] - low[alive]
    if alive.sum() > 1 and max(np.ptp(low[alive]), np.ptp(span)) < 1e-3 * span.max():
        flags.append("every pixel has the same rest and peak: if each was normalized, fibrosis cannot be seen")
    top = high[alive].max()
    at_top = np.zeros(high.shape, int)  # frames
    at_top[high == top] = (V[:, high == top] == top).sum(0)
    odd = {
        f"never come to rest, within {NO_REST:g} mV of {rest:.4g} mV": low > rest + NO_REST,
        f"are saturated: they stay at {top:.4g} mV": at_top * _step(maps) >= max(CUT_OFF, 3 * _step(maps)),
    }
    for words, which in odd.items():
        if (share := float(which[alive].mean())) > MOST_ODD:
            flags.append(f"{share:.0%} of the pixels {words}")
    if rest != V_REST or amplitude != V_SPAN or background.any():
        tissue = tissue & ~background
        V = V - np.asarray(rest - V_REST, V.dtype)
        if amplitude != V_SPAN:
            V = (V_REST + (V - V_REST) * (V_SPAN / amplitude)).astype(V.dtype)
        V = np.where(tissue, V, np.asarray(V_REST, V.dtype))
        maps = maps.assign(V_m=maps.V_m.copy(data=V)).assign_attrs(rest=rest, amplitude=amplitude)
        if not tissue.all():
            maps = maps.assign_coords(tissue=(("y_map", "x_map"), tissue))
    return maps, flags


def _step(maps: xr.Dataset) -> float:
    return float(maps.time[1] - maps.time[0])


def _rest(V: np.ndarray) -> float:
    """Rest of traces (time, n) in mV: -85, unless the most usual value and the lowest ones lie on the same side of it."""
    lowest, highest = np.quantile(V, np.array((0.02, 0.98), V.dtype))
    middle = (lowest + highest) / 2
    lower = V[middle >= V]
    counts, edges = np.histogram(lower, np.arange(lower.min() - 3, lower.max() + 3.5, 0.5))
    usual = edges[np.convolve(counts, np.ones(5), "same").argmax()] + 0.25
    off = np.array([float(np.median(lower[np.abs(lower - usual) <= 1.25])), float(lowest)]) - V_REST
    nearest = off[np.abs(off).argmin()]
    return V_REST if off.min() * off.max() <= 0 or abs(nearest) <= SAME_REST else V_REST + float(nearest)


def _amplitude(V: np.ndarray, dt: float) -> tuple[float, float]:
    """Amplitude in mV of traces (time, n) from rest, 100 if it is near that or cannot be told; and the highest plateaus.

    Where all cells of many pixels conduct, their plateaus are alike, and none are higher. A higher amplitude than 100 mV needs
    no such check: fibrosis makes plateaus lower, never higher.
    """
    peak, behind = V.max(0), max(round(BEHIND / dt), 1)
    k = (peak / 2 <= V).argmax(0) + max(1, round(5.0 / dt))
    total = np.concatenate([np.zeros((1, V.shape[1])), V.cumsum(0, dtype=float)])
    last, n = np.minimum(k + behind, len(V)), np.arange(V.shape[1])
    plateau = np.sort((total[last, n] - total[np.minimum(k, last - 1), n]) / (last - np.minimum(k, last - 1))) / FULL
    many = max(int(MANY * len(plateau)), 1)
    below, above = plateau[:-many], plateau[many:]
    (alike,) = np.nonzero(below >= (1 - ALIKE) * np.maximum(above, 1e-9))
    top = float(np.quantile(plateau, 0.98))
    if not len(alike):
        return V_SPAN, top
    full = float(plateau[alike[-1] + many // 2])
    told = full > V_SPAN or (plateau > (1 + ALIKE) * full).mean() < FEW
    return (full if told and abs(full / V_SPAN - 1) > SAME_AMPLITUDE else V_SPAN), top


def frames_of(electrodes: Electrodes | None, center: Electrodes, maps: xr.Dataset) -> tuple[Electrodes, Electrodes]:
    """The electrodes from the corner of the sheet, and in the frame of the maps' coordinates, in which they are given."""
    begin = np.array([*corner("maps", maps.V_m, maps.attrs["dx_map"]), 0.0])
    if electrodes is None:
        return center, Electrodes(center.positions + begin, center.names)
    return Electrodes(electrodes.positions - begin, electrodes.names), electrodes


def reading_of(maps: xr.Dataset) -> dict:
    """Attributes that say how the maps were understood: their size in mm, and which way they lie."""
    n_y, n_x = maps.V_m.shape[1:]
    dx = maps.attrs["dx_map"]
    x, y = corner("maps", maps.V_m, dx)
    at = f"pixel (0, 0) is centered at x = {x + dx / 2:g}, y = {y + dx / 2:g} mm"
    size = f"{n_x * dx:g} mm along x, {n_y * dx:g} mm along y"
    found = {"size": size, "orientation": f"{at}; x_map grows with x, y_map with y, z points out of the sheet"}
    found |= {"rest": maps.attrs.get("rest", V_REST), "amplitude": maps.attrs.get("amplitude", V_SPAN)}
    return found | {name: maps.attrs[name] for name in ("filled", "filled_share", "largest_hole") if name in maps.attrs}


def unlike_one_beat(u: Tensor) -> list[str]:
    """Words on what no map u (time, y, x) of one beat from rest shows, which the paper's network was trained on."""
    up = u > HALF
    again = float(((up[1:] & ~up[:-1]).sum(0) > 1).float().mean())
    found = {
        "a wave in the first frame, trained on beats that start at rest": bool(up[0].any()),
        f"{again:.0%} of the pixels rise more than once, trained on one beat": again > MOST_AGAIN,
    }
    return [words for words, seen in found.items() if seen]


def as_result(
    traces: dict[str, tuple[np.ndarray, str]], time: np.ndarray, places: Electrodes, card: dict, flags: list[str], **attrs: Any
) -> xr.Dataset:  # fmt: skip
    """What both surrogates return: traces (lead, time_ecg) with their long names, electrodes, flags, and what made them."""
    variables = {
        name: (("lead", "time_ecg"), values, phi_e_attrs() | ({"long_name": words} if words else {}))
        for name, (values, words) in traces.items()
    }
    variables["electrodes"] = as_variable("electrodes", places.positions)
    coords = {"time_ecg": as_variable("time_ecg", time), "lead": list(places.names), "xyz": list("xyz")}
    return xr.Dataset(variables, coords, attrs | {"flags": "; ".join(flags), "weights": card["sha256"][:12]})
