"""What a recording shows of itself before any network sees it: its rest, and pixels that are no tissue or cut off.

The networks count voltage from rest: an ECG is zero where that of the tissue is constant, whatever the rest of a recording.
"""

from typing import Any

import numpy as np
import xarray as xr
from torch import Tensor

from forwardecg.contract import V_REST, as_variable, corner
from forwardecg.ecg.electrodes import Electrodes
from forwardecg.ecg.leadfield import phi_e_attrs

STILL = 0.05  # mV: a pixel that changes by less is constant
SAME_REST = 1.0  # mV from -85: such a rest is that of the contract
NO_REST = 20.0  # mV from the rest: a constant pixel is background, another one never comes to rest
CUT_OFF = 10.0  # ms at the largest value of all: a pixel that stays there so long is saturated
MOST_ODD = 0.01  # share of the pixels of a kind above which it is named
MOST_FILLED = 20.0  # mm: a larger hole that was filled in is named
HALF, QUIET = 0.5, 0.1  # u: above the first a cell is activated, below the second it is at rest
MOST_AGAIN = 0.01  # share of the pixels that may rise more than once in one beat, by noise
_SAMPLE = 2000  # pixels that the rest is read off


def inspect(maps: xr.Dataset) -> tuple[xr.Dataset, list[str]]:
    """Maps of `import_maps` with their rest at -85 mV and background at rest, outside of the coordinate ``tissue``; and flags."""
    V = maps.V_m.values
    tissue = maps.tissue.values if "tissue" in maps.coords else np.ones(V.shape[1:], bool)
    low, high = V.min(0), V.max(0)
    alive = tissue & (high - low >= STILL)
    flags = [f"filled in: {maps.attrs['filled']}"] if maps.attrs.get("largest_hole", 0) > MOST_FILLED else []
    if not alive.any():
        return maps, flags  # no wave, which is refused elsewhere
    rest = _rest(V.reshape(len(V), -1)[:, np.flatnonzero(alive)[:: -(-alive.sum() // _SAMPLE)]])
    background = tissue & ~alive & (np.abs(high - rest) > NO_REST)
    if background.any():
        values = " .. ".join(sorted({f"{z:.4g}" for z in (high[background].min(), high[background].max())})) + " mV"
        words = "no rest: taken for background without tissue, a mask would say so"
        flags.append(f"{background.sum()} pixels are constant at {values}, {words}")
    if rest != V_REST:
        flags.append(f"rest near {rest:.4g} mV, taken for {V_REST:g} mV")
    top = high[alive].max()
    odd = {
        f"never come to rest, within {NO_REST:g} mV of {rest:.4g} mV": low > rest + NO_REST,
        f"are saturated: they stay at {top:.4g} mV": (top == V).sum(0) * _step(maps) >= max(CUT_OFF, 3 * _step(maps)),
    }
    for words, which in odd.items():
        if (share := float(which[alive].mean())) > MOST_ODD:
            flags.append(f"{share:.0%} of the pixels {words}")
    if rest != V_REST or background.any():
        tissue = tissue & ~background
        V = np.where(tissue, V - np.asarray(rest - V_REST, V.dtype), np.asarray(V_REST, V.dtype))
        maps = maps.assign(V_m=maps.V_m.copy(data=V))
        if not tissue.all():
            maps = maps.assign_coords(tissue=(("y_map", "x_map"), tissue))
    return maps, flags


def _step(maps: xr.Dataset) -> float:
    return float(maps.time[1] - maps.time[0])


def _rest(V: np.ndarray) -> float:
    """Rest of traces (time, n) in mV: -85, unless the most usual value and the lowest ones lie on the same side of it."""
    lowest, middle = np.quantile(V, 0.02), (np.quantile(V, 0.02) + np.quantile(V, 0.98)) / 2
    lower = V[middle >= V]
    counts, edges = np.histogram(lower, np.arange(lower.min() - 3, lower.max() + 3.5, 0.5))
    usual = edges[np.convolve(counts, np.ones(5), "same").argmax()] + 0.25
    off = np.array([float(np.median(lower[np.abs(lower - usual) <= 1.25])), float(lowest)]) - V_REST
    nearest = off[np.abs(off).argmin()]
    return V_REST if off.min() * off.max() <= 0 or abs(nearest) <= SAME_REST else V_REST + float(nearest)


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
