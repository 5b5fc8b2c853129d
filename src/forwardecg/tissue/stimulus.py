"""Stimuli: where, when and how strongly a current enters the sheet, one by one or as a pacing protocol."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Stimulus:
    """Current ``amplitude`` (1/ms) into the cells of ``mask`` (y, x) from ``start`` for ``duration`` (ms).

    Parameters
    ----------
    mask : (y, x) bool, the cells it enters
    start, duration : ms
    amplitude : 1/ms, in units of u

    Raises
    ------
    ValueError
        A mask that is not bool (y, x) or has no true cell; a start below 0, a duration or an amplitude not above 0.

    Examples
    --------
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
            raise ValueError(
                f"stimulus mask: expected bool (y, x) with a true cell, got {self.mask.dtype} {self.mask.shape} "
                f"with {np.count_nonzero(self.mask)} true"
            )
        finite = np.isfinite([self.start, self.duration, self.amplitude]).all()
        if not (finite and self.start >= 0 and self.duration > 0 and self.amplitude > 0):
            raise ValueError(
                "stimulus: expected start >= 0 ms, duration > 0 ms, amplitude > 0 /ms, "
                f"got {self.start}, {self.duration}, {self.amplitude}"
            )


def edge_stimulus(shape: tuple[int, int], dx: float, side: str = "left", width: float = 2.0, **timing) -> Stimulus:
    """A strip of ``width`` mm along one side of the sheet: left, right, bottom (first row) or top.

    Parameters
    ----------
    shape : cells (y, x)
    dx : mm
    side : left, right, bottom (first row) or top
    width : mm
    **timing : start, duration, amplitude of the `Stimulus`

    Returns
    -------
    stimulus : on that strip, one cell wide at least

    Raises
    ------
    ValueError
        width not above 0; another word for the side; what `Stimulus` refuses.

    Examples
    --------
    >>> edge_stimulus((4, 6), 0.5, side="left", width=1.0).mask[0].tolist()
    [True, True, False, False, False, False]
    """
    if not width > 0:
        raise ValueError(f"width: expected a length > 0 mm, got {width}")
    n = max(1, round(width / dx))
    strips = {"left": np.s_[:, :n], "right": np.s_[:, -n:], "bottom": np.s_[:n], "top": np.s_[-n:]}
    if side not in strips:
        raise ValueError(f"side: expected one of {sorted(strips)}, got {side!r}")
    mask = np.zeros(shape, bool)
    mask[strips[side]] = True  # type: ignore[call-overload]
    return Stimulus(mask=mask, **timing)


def focal_stimulus(shape: tuple[int, int], dx: float, x: float, y: float, radius: float = 4.0, **timing) -> Stimulus:
    """A disc of ``radius`` mm about the point (x, y) in mm from the corner of the sheet (cell centers at (i + 1/2) dx).

    Parameters
    ----------
    shape : cells (y, x)
    dx : mm
    x, y : mm from the corner of the sheet
    radius : mm
    **timing : start, duration, amplitude of the `Stimulus`

    Returns
    -------
    stimulus : on the cells whose centers are in the disc

    Raises
    ------
    ValueError
        radius not above 0, no cell center in the disc, or what `Stimulus` refuses.

    Examples
    --------
    >>> int(focal_stimulus((20, 20), 0.5, x=5.0, y=5.0, radius=1.0).mask.sum())
    12
    """
    if not radius > 0:
        raise ValueError(f"radius: expected a length > 0 mm, got {radius}")
    centers_y, centers_x = ((np.arange(n) + 0.5) * dx for n in shape)
    return Stimulus(mask=(centers_y[:, None] - y) ** 2 + (centers_x - x) ** 2 <= radius**2, **timing)


def burst(stimulus: Stimulus, interval: float, n: int) -> list[Stimulus]:
    """``n`` copies of a stimulus, ``interval`` ms apart, the first at its own start.

    Parameters
    ----------
    stimulus : the first one
    interval : ms from one start to the next
    n : how many

    Returns
    -------
    stimuli : in order

    Raises
    ------
    ValueError
        n below 1; interval shorter than the stimulus lasts.

    Examples
    --------
    >>> [s.start for s in burst(edge_stimulus((4, 4), 0.5, start=10.0), interval=300.0, n=3)]
    [10.0, 310.0, 610.0]
    """
    if n < 1 or not interval >= stimulus.duration:
        raise ValueError(
            f"burst: expected n >= 1 and an interval of at least the duration {stimulus.duration} ms, got {n}, {interval}"
        )
    return [replace(stimulus, start=stimulus.start + interval * k) for k in range(n)]


def s1_s2(
    s1: Stimulus, interval: float, n_s1: int, s2: Sequence[float], site: Stimulus | None = None
) -> list[Stimulus]:
    """A regular train S1 and early beats after it: S1 ``n_s1`` times every ``interval`` ms, then the coupling intervals s2.

    Parameters
    ----------
    s1 : stimulus of the train
    interval, n_s1 : ms between its beats, and how many there are
    s2 : ms from the last beat before to each early beat, in order: one for S2, two for S2 and S3
    site : stimulus of the early beats, default s1: another site gives a cross-field protocol

    Returns
    -------
    stimuli : the train, then the early beats

    Raises
    ------
    ValueError
        A coupling interval not above 0; what `burst` refuses.

    Examples
    --------
    >>> [s.start for s in s1_s2(edge_stimulus((4, 4), 0.5), interval=400.0, n_s1=2, s2=[150.0])]
    [0.0, 400.0, 550.0]
    """
    train = burst(s1, interval, n_s1)
    start = train[-1].start
    for coupling in s2:
        if not coupling > 0:
            raise ValueError(f"s2: expected coupling intervals > 0 ms, got {coupling}")
        start += coupling
        train.append(replace(site or s1, start=start))
    return train
