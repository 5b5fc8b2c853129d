"""What the time axis of voltage maps says of the tissue: passing fronts, read locally, so that any number of beats will do.

A crossing in a neighbor belongs to the same front if it is the nearest in time, and near enough.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from forwardecg.contract import instance, number

SLOWEST = 0.1  # mm/ms: neighbors that differ by more than their distance over this are not of one front
BEHIND = 20.0  # ms behind a crossing over which the amplitude is taken
PLATEAU = 0.986  # that amplitude in tissue of FK_CAF without fibrosis
LEAST_SHARE = 0.06  # about one cell of sixteen: a pixel that reaches less says nothing
QUIET = 0.03  # amplitude of u below which a pixel is no tissue
MIN_PASSED = (
    0.1  # share of the pixels that a front has to pass: with less, as where it is slow for the pixels, nothing is read
)
# Of FK_CAF: ms of rest before a front, and its speed and amplitude relative to those after long rest (10_structured measures them)
RESTITUTION = torch.tensor([
    [44.0, 47.0, 57.0, 64.0, 72.0, 85.0, 99.0, 125.0, 156.0, 234.0, 333.0, 600.0],
    [0.70, 0.718, 0.793, 0.828, 0.853, 0.869, 0.887, 0.914, 0.940, 0.975, 0.991, 1.0],
    [0.955, 0.961, 0.978, 0.981, 0.985, 0.988, 0.988, 0.993, 0.994, 0.996, 0.998, 1.0],
])  # fmt: skip
FLAT = 0.1  # of the median of |p|^2
NEAR = 0.05  # total weight of neighbors below which they are far
REACHES = (1, 2)  # pixels: the plane through crossing times is fitted to 3 x 3 and to 5 x 5 of them


class Cell(NamedTuple):
    """A cell model as its maps show it; the constants above are those of FK_CAF."""

    name: str
    kappa: float  # ms, D / c^2, like `model.KAPPA`
    plateau: float  # like `PLATEAU`
    restitution: Tensor  # (3, n), like `RESTITUTION`
    widths: Tensor  # (row, level), ms, of its action potential, see `cells.action_potential`


class Fronts(NamedTuple):
    """Fields (y, x) of one movie, means over the fronts that passed a pixel; kind: upward and downward, at both `REACHES`."""

    number: Tensor  # (y, x) of fronts
    amplitude: Tensor  # (y, x), mean of u behind a front: cells that do not conduct stay at rest
    steepness: Tensor  # (y, x), largest rise between frames over the amplitude
    duration: Tensor  # (y, x), ms from upward to downward crossing
    slowness: Tensor  # (kind, 3, y, x), ms^2/mm^2, mean p_x^2, p_y^2, p_x p_y
    residual: Tensor  # (kind, y, x), ms, of the fitted planes


def read_fronts(u: Tensor, dx: float, dt: float, restitution: Tensor = RESTITUTION) -> Fronts:
    """`Fronts` of voltage maps, read off their time axis: neither D nor a mask is asked for.

        slowness p = grad tau of the times tau at which neighboring pixels cross half of their amplitude

    Args:
        u: (time, y, x) tensor, 0 at rest to 1 at the peak, without missing values.
        dx, dt: mm, and ms between frames, above 0.
        restitution: table of the cell, like `RESTITUTION`; with ones in its last two rows nothing is corrected.

    Returns:
        seen: `Fronts`.

    Raises:
        ValueError: No tensor of three dims; values that are no u, as mV; dx or dt not above 0.

    Examples:
        >>> t, x = torch.arange(120.0)[:, None, None], 2.0 * torch.arange(12)
        >>> u = ((t - x / 0.5) / 5).clamp(0, 1).expand(120, 12, 12)  # a plane front of 0.5 mm/ms
        >>> seen = read_fronts(u, dx=2.0, dt=1.0)
        >>> int(seen.number[6, 6]), round(float(seen.slowness[0, 0, 6, 6]), 2)  # p_x^2 = 1 / 0.5^2
        (1, 4.0)
    """
    if instance("u", u, Tensor).ndim != 3 or not u.is_floating_point() or not u.numel() or len(u) < 2:
        raise ValueError(
            f"u: expected real numbers (time, y, x) of two frames or more, got {u.dtype} of shape {(*u.shape,)}"
        )
    peak = u.amax(0)
    if not ((u.amin(0) >= -10) & (peak <= 10)).all():  # mV are beyond it
        raise ValueError(f"u: expected values from 0 at rest to 1 at the peak, got {u.min():.4g} to {u.max():.4g}")
    dx, dt = number("dx", dx, 0, unit="mm", above=True), number("dt", dt, 0, unit="ms", above=True)
    level = peak.clamp(min=QUIET) / 2
    above = u >= torch.where(level > QUIET / 2 * 1.001, level, math.inf)
    n_behind = max(round(BEHIND / dt), 1)
    width = max(1, round(5.0 / dt))  # frames in 5 ms, in which a front passes a pixel
    up = _crossings(u, above, level, width, 0.8, dt)
    down = _crossings(u, above, level, n_behind, 0.5, dt, backward=True)
    down = down._replace(time=(len(u) - 1) * dt - down.time)
    total = u.cumsum(0)
    ups, downs = _Times(up, u.shape, dt), _Times(down, u.shape, dt)
    began = ups.before(down)  # of the beats that end there
    speed, weaker = _after_rest(up.time, up, downs, restitution)
    speed_down = _after_rest(began, down, downs, restitution)[0]
    first = (up.frame + 1 + width).clamp(max=len(u) - 1)
    last = (first + n_behind).clamp(max=len(u))
    behind = (total[last - 1, up.y, up.x] - total[first - 1, up.y, up.x]) / (last - first)
    rise = (u[1:] - u[:-1]).amax(0) / peak.clamp(min=QUIET)
    slowness, residual = [], []
    for crossing, times, ratio in ((up, ups, speed), (down, downs, speed_down)):
        for p, left in _planes(crossing, times, dx):
            slowness.append(torch.stack([_mean_at(crossing, q * ratio**2, peak.shape)[0] for q in p]))
            residual.append(_mean_at(crossing, left, peak.shape)[0])
    amplitude, count = _mean_at(up, behind / weaker, peak.shape)
    duration = _mean_at(down, torch.where(began > -math.inf, down.time - began, torch.nan), peak.shape)[0]
    amplitude = torch.where(count > 0, amplitude, peak)
    return Fronts(count, amplitude, rise, duration, torch.stack(slowness), torch.stack(residual))


def restitution(rest: Tensor, table: Tensor = RESTITUTION) -> tuple[Tensor, Tensor]:
    """Speed and amplitude of a front after ``rest`` ms at rest, relative to long rest: ``table``, linear in between."""
    table = table.to(rest)
    t = rest.clamp(table[0, 0], table[0, -1])
    k = torch.searchsorted(table[0].contiguous(), t.contiguous()).clamp(1, table.shape[1] - 1)
    w = (t - table[0, k - 1]) / (table[0, k] - table[0, k - 1])
    speed, amplitude = ((1 - w) * row[k - 1] + w * row[k] for row in table[1:])
    return speed, amplitude


def local_slowness(f: Fronts) -> Tensor:
    """1/c^2 (y, x) in ms^2/mm^2: Gaussian mean, SD 1 pixel, of |p|^2 of upward 5 x 5 planes; far off the median."""
    square = f.slowness[1, :2].sum(0)
    passed = (f.number > 0) & (square > 1e-6)
    median = torch.where(passed, square, torch.nan).nanmedian()
    kept = (passed & (square > FLAT * median)).to(
        square.dtype
    )  # stimuli and collisions, flat in time, say nothing of c
    kernel = torch.exp(-0.5 * torch.arange(-4.0, 5.0, dtype=square.dtype, device=square.device) ** 2)
    kernel = (kernel[:, None] * kernel / kernel.sum() ** 2)[None, None]
    total, weight = (F.conv2d(z[None, None], kernel, padding=4)[0, 0] for z in (kept * square, kept))
    return torch.where(weight > NEAR, total / weight.clamp(min=NEAR), median)


class _Crossings(NamedTuple):
    frame: Tensor  # (n,) last frame before
    y: Tensor
    x: Tensor
    time: Tensor  # ms


def _crossings(
    u: Tensor, above: Tensor, level: Tensor, width: int, share: float, dt: float, backward: bool = False
) -> _Crossings:  # fmt: skip
    """Upward crossings of ``level`` in a movie or in it ``backward``, linear in time, of tissue well below it before and well above it after."""
    n_y, n_x = level.shape
    above = above.flip(0) if backward else above
    here = (above[1:] > above[:-1]).numpy(force=True)
    at = torch.from_numpy(np.flatnonzero(here)).to(u.device)  # `Tensor.nonzero` takes five times as long
    frame, y, x = at // (n_y * n_x), at // n_x % n_y, at % n_x

    def read(frame: Tensor) -> Tensor:
        return u[len(u) - 1 - frame if backward else frame, y, x]

    before, after = read((frame - width + 1).clamp(min=0)), read((frame + width).clamp(max=len(u) - 1))
    real = after - before > share * level[y, x]  # noise at the foot of a wave crosses back and forth
    frame, y, x = frame[real], y[real], x[real]
    low, high = read(frame), read(frame + 1)
    return _Crossings(frame, y, x, dt * (frame + (level[y, x] - low) / (high - low)))


class _Times:
    """Nearest crossing of any pixel to a given time; around the sheet there is none."""

    def __init__(self, crossings: _Crossings, shape: torch.Size, dt: float):
        n_t, n_y, n_x = shape
        self.n_x, edge = n_x + 2 * REACHES[-1], REACHES[-1]
        # the crossings of each pixel in order of time, as (k, pixel), with inf behind the last one
        pixel = crossings.y * n_x + crossings.x
        order = torch.argsort(pixel * n_t * dt + crossings.time.double(), stable=True)
        pixel, time = pixel[order], crossings.time[order]
        start = torch.searchsorted(pixel, torch.arange(n_y * n_x, device=pixel.device))
        rank = torch.arange(len(pixel), device=pixel.device) - start[pixel]
        size = (int(rank.max()) + 1 if len(rank) else 1, (n_y + 2 * edge) * self.n_x)
        self.times = torch.full(size, math.inf, dtype=time.dtype, device=time.device)
        self.times[rank, self.place(crossings)[order]] = time

    def place(self, at: _Crossings) -> Tensor:
        """Numbers of the pixels of crossings; those of the next column and row are one and ``n_x`` more."""
        return (at.y + REACHES[-1]) * self.n_x + at.x + REACHES[-1]

    def nearest(self, time: Tensor, place: Tensor, within: float) -> tuple[Tensor, Tensor]:
        """Time from ``time`` to the crossing of a pixel nearest to it, and whether there is one ``within`` so many ms."""
        gap = self.times.index_select(1, place) - time  # (k, n)
        nearest = gap[0] if len(gap) == 1 else torch.gather(gap, 0, gap.abs().argmin(0, keepdim=True))[0]
        found = nearest.abs() <= within
        return torch.where(found, nearest, 0.0), found

    def before(self, at: _Crossings, time: Tensor | None = None) -> Tensor:
        """The last crossing of the pixels of ``at`` before that one, or before ``time``; -inf where there is none."""
        times = self.times[:, self.place(at)]
        return torch.where(times < (at.time if time is None else time), times, -math.inf).amax(0)


def _after_rest(began: Tensor, at: _Crossings, downs: _Times, table: Tensor) -> tuple[Tensor, Tensor]:
    """`restitution` of the fronts that came at ``began`` to the pixels ``at``, after their last downward crossing."""
    return restitution(began - downs.before(at, began), table)


def _planes(crossings: _Crossings, times: _Times, dx: float) -> list[tuple[tuple[Tensor, Tensor, Tensor], Tensor]]:
    """Least squares planes through the crossing times around each crossing, one a reach: (p_x^2, p_y^2, p_x p_y), RMS residual in ms."""
    side = range(-REACHES[-1], REACHES[-1] + 1)
    place, time = times.place(crossings), crossings.time
    sums = [[torch.zeros_like(time) for _ in range(4)] for _ in REACHES]  # of t, t x, t y, t t
    reached = torch.arange(side.start, side.stop, dtype=time.dtype, device=time.device)
    (y, x), here = torch.meshgrid(reached, reached, indexing="ij"), list[Tensor]()
    for b in side:
        for a in side:
            gap, found = times.nearest(time, place + (b * times.n_x + a), dx * math.hypot(a, b) / SLOWEST)
            here.append(found)
            for k, reach in enumerate(REACHES):
                if max(abs(a), abs(b)) <= reach:
                    t, tx, ty, tt = sums[k]
                    sums[k] = [t + gap, tx + a * gap if a else tx, ty + b * gap if b else ty, tt + gap * gap]
    found = torch.stack(here).to(time.dtype)  # (neighbor, n)
    powers = torch.stack([torch.ones_like(x), x, y, x * x, y * y, x * y]).flatten(1)
    near = torch.maximum(x.abs(), y.abs()).flatten()
    # whole numbers, which a product in any order gives exactly
    return [_plane((powers * (near <= reach)) @ found, sums[k], reach, dx) for k, reach in enumerate(REACHES)]


def _plane(
    around: Tensor, times: list[Tensor], reach: int, dx: float
) -> tuple[tuple[Tensor, Tensor, Tensor], Tensor]:  # fmt: skip
    """One of `_planes`, from sums over the neighbors: ``around`` of 1, x, y, x x, y y, x y, and ``times`` of t, t x, t y, t t."""
    sums = dict(zip(("1", "x", "y", "xx", "yy", "xy", "t", "tx", "ty", "tt"), (*around, *times), strict=True))
    n = sums["1"].clamp(min=1)
    xx, yy, xy, tx, ty, tt = (
        sums[i + j] / n - sums[i] * sums[j] / n**2
        for i, j in (("x", "x"), ("y", "y"), ("x", "y"), ("t", "x"), ("t", "y"), ("t", "t"))
    )
    det = xx * yy - xy * xy
    good = det > 0.02 * reach**4  # not all in one line
    det = torch.where(good, det, 1.0)
    p_x, p_y = (yy * tx - xy * ty) / det, (xx * ty - xy * tx) / det  # ms per pixel
    left = (tt - p_x * tx - p_y * ty).clamp(min=0).sqrt()
    p_x, p_y = torch.where(good, p_x / dx, torch.nan), torch.where(good, p_y / dx, torch.nan)
    return (p_x * p_x, p_y * p_y, p_x * p_y), torch.where(good, left, torch.nan)


def _mean_at(crossings: _Crossings, value: Tensor, shape: torch.Size) -> tuple[Tensor, Tensor]:
    """Mean of the finite values over the crossings of each pixel, 0 without any; and their number."""
    good = value.isfinite()
    at = crossings.y * shape[1] + crossings.x
    total, n = (torch.zeros(shape[0] * shape[1], dtype=value.dtype, device=value.device) for _ in range(2))
    total.index_add_(0, at, torch.where(good, value, 0.0))
    n.index_add_(0, at, good.to(value.dtype))
    return (total / n.clamp(min=1)).reshape(shape), n.reshape(shape)
