"""Stimuli: where, when and how strongly a current enters the sheet, one by one or as a pacing protocol."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from forwardecg.contract import array, corner, count, instance, number, one_of
from forwardecg.tissue.grid import LONGEST, Grid, freeze, length
from forwardecg.tissue.sheet import Tissue, grid_of

MOST_BEATS, LONGEST_TIME, LARGEST = 10**5, 1e9, 1e6  # of a protocol; ms (12 days); 1/ms


def whole_steps(name: str, time: float, step: float, unit: str = "dt") -> int:
    """``time`` as a count of ``step``, both in ms; ValueError, which names both, if it is no positive multiple."""
    time, step = number(name, time, unit="ms"), number(unit, step, 0, unit="ms", above=True)
    n = round(min(time / step, 1e15))
    if n < 1 or abs(n * step - time) > 1e-9 * max(time, 1):
        raise ValueError(f"{name}: expected a positive multiple of {unit} = {step:g} ms, got {time:.12g} ms")
    return n


@dataclass(frozen=True, kw_only=True)
class Stimulus:
    """A current into some cells of the sheet, for some time.

    Args:
        mask: (y, x) bool, the cells it enters; kept as a copy that does not change.
        start, duration: ms.
        amplitude: 1/ms, in units of u.

    Raises:
        ValueError: A mask not bool (y, x), or nowhere true; a start below 0; a duration or an amplitude not above 0.

    Examples:
        >>> Stimulus(mask=[[True, False]], start=5.0)
        Stimulus(mask=array([[ True, False]]), start=5.0, duration=2.0, amplitude=0.3)
    """

    mask: np.ndarray
    start: float = 0.0
    duration: float = 2.0
    amplitude: float = 0.3

    def __post_init__(self) -> None:
        mask = array("stimulus mask", self.mask, ("y", "x"), kinds="b")
        if not mask.any():
            raise ValueError(f"stimulus mask: expected bool (y, x) with a true cell, got {mask.shape} with none")
        if isinstance(self.mask, xr.DataArray):
            _count_from_corner(self.mask)
        object.__setattr__(self, "mask", freeze(mask))
        for name in ("start", "duration", "amplitude"):
            unit, high = ("/ms", LARGEST) if name == "amplitude" else ("ms", LONGEST_TIME)
            value = number(f"stimulus {name}", getattr(self, name), 0, high, unit=unit, above=name != "start")
            object.__setattr__(self, name, value)


def _count_from_corner(mask: xr.DataArray) -> None:
    """ValueError if the coordinates of a mask are mm that do not begin half a cell from the corner of the sheet."""
    for dim in mask.dims:
        if dim in mask.coords and mask.sizes[dim] > 1:
            centers = array(f"stimulus mask.{dim}", mask[dim], (str(dim),), "mm").astype(float)
            if (at := corner("stimulus mask", mask[dim], abs(centers[1] - centers[0]))) != (0, 0):
                wanted = "x and y in mm from the corner of the sheet"
                raise ValueError(f"stimulus mask: expected {wanted}, got a corner at {at}")


def edge_stimulus(sheet: Tissue | Grid, side: str = "left", width: float = 2.0, **timing: float) -> Stimulus:
    """A strip along one side of the sheet.

    Args:
        sheet: the tissue, or its grid.
        side: left, right, bottom (first row) or top.
        width: mm; the strip is one cell wide at least.
        **timing: start, duration, amplitude of the `Stimulus`.

    Returns:
        The stimulus on that strip.

    Raises:
        ValueError: width not above 0; another word for the side; what `Stimulus` refuses.

    Examples:
        >>> edge_stimulus(Grid((4, 6), dx=0.5), side="left", width=1.0).mask[0].tolist()
        [True, True, False, False, False, False]
    """
    grid = grid_of(sheet)
    n = max(1, round(length("width", width) / grid.dx))
    strips = {"left": np.s_[:, :n], "right": np.s_[:, -n:], "bottom": np.s_[:n, :], "top": np.s_[-n:, :]}
    mask = np.zeros(grid.shape, bool)
    mask[strips[one_of("side", side, sorted(strips))]] = True
    return Stimulus(mask=mask, **timing)


def focal_stimulus(sheet: Tissue | Grid, x: float, y: float, radius: float = 4.0, **timing: float) -> Stimulus:
    """A disc about a point: the cells whose centers are in it.

    Args:
        sheet: the tissue, or its grid.
        x, y, radius: mm, the center from the corner of the sheet.
        **timing: start, duration, amplitude of the `Stimulus`.

    Returns:
        The stimulus on that disc.

    Raises:
        ValueError: radius not above 0, no cell center in the disc, or what `Stimulus` refuses.

    Examples:
        >>> int(focal_stimulus(Grid((20, 20), dx=0.5), x=5.0, y=5.0, radius=1.0).mask.sum())
        12
    """
    x, y = (number(name, at, -LONGEST, LONGEST, unit="mm") for name, at in (("x", x), ("y", y)))
    radius = length("radius", radius)
    centers_y, centers_x = grid_of(sheet).centers
    return Stimulus(mask=(centers_y - y) ** 2 + (centers_x - x) ** 2 <= radius**2, **timing)


def burst(stimulus: Stimulus, interval: float, n: int) -> list[Stimulus]:
    """``n`` copies of a stimulus, at most `MOST_BEATS`, ``interval`` ms apart, the first at its own start."""
    instance("stimulus", stimulus, Stimulus)
    n, interval = count("n", n, 1, MOST_BEATS), number("interval", interval, 0, LONGEST_TIME, unit="ms", above=True)
    if interval < stimulus.duration:
        raise ValueError(f"interval: expected at least the duration {stimulus.duration} ms, got {interval} ms")
    return [replace(stimulus, start=stimulus.start + interval * k) for k in range(n)]


def s1_s2(
    s1: Stimulus, interval: float, n_s1: int, s2: Sequence[float] | np.ndarray | xr.DataArray,
    site: Stimulus | None = None,
) -> list[Stimulus]:  # fmt: skip
    """A regular train S1, and early beats after it.

    Args:
        s1: stimulus of the train.
        interval, n_s1: ms between its beats, and how many there are.
        s2: ms, or in another unit that it names, from the last beat before to each early beat, in order: one for S2,
            two for S2 and S3.
        site: stimulus of the early beats, default s1: another site gives a cross-field protocol.

    Returns:
        The train, then the early beats.

    Raises:
        ValueError: A coupling interval not above 0; what `burst` refuses.

    Examples:
        >>> [s.start for s in s1_s2(edge_stimulus(Grid((4, 4), dx=0.5)), interval=400.0, n_s1=2, s2=[150.0])]
        [0.0, 400.0, 550.0]
    """
    beats = burst(instance("s1", s1, Stimulus), interval, count("n_s1", n_s1, 1, MOST_BEATS))
    site = s1 if site is None else instance("site", site, Stimulus)
    for coupling in _couplings(s2):
        beats.append(replace(site, start=beats[-1].start + coupling))
    return beats


def _couplings(s2: Any) -> list[float]:
    """Coupling intervals in ms, each above 0; none of an empty sequence."""
    shape = (len(s2),) if isinstance(s2, list | tuple) else getattr(s2, "shape", None)
    if shape == (0,) and np.asarray(s2).dtype.kind == "f":
        return []
    values = array("s2", s2, (...,), "ms", shape=[None])
    return [number("s2", value, 0, LONGEST_TIME, unit="ms", above=True) for value in values.tolist()]
