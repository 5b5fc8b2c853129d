"""Stimuli: where, when and how strongly a current enters the sheet, one by one or as a pacing protocol."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from forwardecg.tissue.grid import Grid, check_positive
from forwardecg.tissue.sheet import Tissue, grid_of


@dataclass(frozen=True, kw_only=True)
class Stimulus:
    """A current into some cells of the sheet, for some time.

    Args:
        mask: (y, x) bool, the cells it enters.
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
        object.__setattr__(self, "mask", np.asarray(self.mask))
        if self.mask.ndim != 2 or self.mask.dtype != bool or not self.mask.any():
            came = f"{self.mask.dtype} {self.mask.shape} with {np.count_nonzero(self.mask)} true"
            raise ValueError(f"stimulus mask: expected bool (y, x) with a true cell, got {came}")
        finite = np.isfinite([self.start, self.duration, self.amplitude]).all()
        if not (finite and self.start >= 0 and self.duration > 0 and self.amplitude > 0):
            came = f"{self.start}, {self.duration}, {self.amplitude}"
            raise ValueError(f"stimulus: expected start >= 0 ms, duration > 0 ms, amplitude > 0 /ms, got {came}")


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
    check_positive("width", width)
    n = max(1, round(width / grid.dx))
    strips = {"left": np.s_[:, :n], "right": np.s_[:, -n:], "bottom": np.s_[:n, :], "top": np.s_[-n:, :]}
    if side not in strips:
        raise ValueError(f"side: expected one of {sorted(strips)}, got {side!r}")
    mask = np.zeros(grid.shape, bool)
    mask[strips[side]] = True
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
    check_positive("radius", radius)
    centers_y, centers_x = grid_of(sheet).centers
    return Stimulus(mask=(centers_y - y) ** 2 + (centers_x - x) ** 2 <= radius**2, **timing)


def burst(stimulus: Stimulus, interval: float, n: int) -> list[Stimulus]:
    """``n`` copies of a stimulus, ``interval`` ms apart, the first at its own start."""
    if n < 1 or not interval >= stimulus.duration:
        wanted = f"n >= 1 and an interval of at least the duration {stimulus.duration} ms"
        raise ValueError(f"burst: expected {wanted}, got {n}, {interval}")
    return [replace(stimulus, start=stimulus.start + interval * k) for k in range(n)]


def s1_s2(
    s1: Stimulus, interval: float, n_s1: int, s2: Sequence[float], site: Stimulus | None = None
) -> list[Stimulus]:
    """A regular train S1, and early beats after it.

    Args:
        s1: stimulus of the train.
        interval, n_s1: ms between its beats, and how many there are.
        s2: ms from the last beat before to each early beat, in order: one for S2, two for S2 and S3.
        site: stimulus of the early beats, default s1: another site gives a cross-field protocol.

    Returns:
        The train, then the early beats.

    Raises:
        ValueError: A coupling interval not above 0; what `burst` refuses.

    Examples:
        >>> [s.start for s in s1_s2(edge_stimulus(Grid((4, 4), dx=0.5)), interval=400.0, n_s1=2, s2=[150.0])]
        [0.0, 400.0, 550.0]
    """
    beats = burst(s1, interval, n_s1)
    for coupling in s2:
        check_positive("s2", coupling, "coupling intervals > 0 ms")
        beats.append(replace(site or s1, start=beats[-1].start + coupling))
    return beats
