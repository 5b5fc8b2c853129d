"""What the time axis of voltage maps says of the tissue: passing fronts, read locally, so that any number of beats will do.

A crossing in a neighbor belongs to the same front if it is the nearest in time, and near enough.
"""

import math
from typing import NamedTuple

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
    if instance("u", u, Tensor).ndim != 3 or not u.is_floating_point() or not u.numel():
        raise ValueError(f"u: expected real numbers (time, y, x), got {u.dtype} of shape {(*u.shape,)}")
    if not (u.abs() <= 10).all():  # mV are beyond it
        raise ValueError(f"u: expected values from 0 at rest to 1 at the peak, got {u.min():.4g} to {u.max():.4g}")
    dx, dt = number("dx", dx, 0, unit="mm", above=True), number("dt", dt, 0, unit="ms", above=True)
    peak = u.amax(0)
    level = peak.clamp(min=QUIET) / 2
    n_behind = max(round(BEHIND / dt), 1)
    width = max(1, round(5.0 / dt))  # frames in 5 ms, in which a front passes a pixel
    up = _crossings(u, level, width, 0.8, dt)
    down = _crossings(u.flip(0), level, n_behind, 0.5, dt)  # of the movie backward
    down = down._replace(time=(len(u) - 1) * dt - down.time)
    total = torch.cat([u.new_zeros(1, *peak.shape), u.cumsum(0)])
    ups, downs = _Times(up, u.shape, dt), _Times(down, u.shape, dt)
    began = ups.before(down.time, down.y, down.x)  # of the beats that end there
    speed, weaker = _after_rest(up.time, up, downs, restitution)
    speed_down = _after_rest(began, down, downs, restitution)[0]
    first = (up.frame + 1 + width).clamp(max=len(u) - 1)
    last = (first + n_behind).clamp(max=len(u))
    behind = (total[last, up.y, up.x] - total[first, up.y, up.x]) / (last - first)
    rise = (u[1:] - u[:-1]).amax(0) / peak.clamp(min=QUIET)
    slowness, residual = [], []
    for crossing, times, ratio in ((up, ups, speed), (down, downs, speed_down)):
        for reach in REACHES:
            p, left = _plane(crossing, times, reach, dx)
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


def _crossings(u: Tensor, level: Tensor, width: int, share: float, dt: float) -> _Crossings:
    """Upward crossings of ``level``, linear in time, of tissue that is well below it before and well above it after."""
    here = (u[:-1] < level) & (u[1:] >= level) & (level > QUIET / 2 * 1.001)
    frame, y, x = here.nonzero(as_tuple=True)
    before, after = u[(frame - width + 1).clamp(min=0), y, x], u[(frame + width).clamp(max=len(u) - 1), y, x]
    real = after - before > share * level[y, x]  # noise at the foot of a wave crosses back and forth
    frame, y, x = frame[real], y[real], x[real]
    low, high = u[frame, y, x], u[frame + 1, y, x]
    return _Crossings(frame, y, x, dt * (frame + (level[y, x] - low) / (high - low)))


class _Times:
    """Nearest crossing of any pixel to a given time."""

    def __init__(self, crossings: _Crossings, shape: torch.Size, dt: float):
        n_t, n_y, n_x = shape
        # the crossings of each pixel in order of time, as (k, y, x), with inf behind the last one
        pixel = crossings.y * n_x + crossings.x
        order = torch.argsort(pixel * n_t * dt + crossings.time.double(), stable=True)
        pixel, time = pixel[order], crossings.time[order]
        start = torch.searchsorted(pixel, torch.arange(n_y * n_x, device=pixel.device))
        rank = torch.arange(len(pixel), device=pixel.device) - start[pixel]
        most = int(rank.max()) + 1 if len(rank) else 1
        self.times = torch.full((most, n_y, n_x), math.inf, dtype=time.dtype, device=time.device)
        self.times.view(most, -1)[rank, pixel] = time

    def nearest(self, time: Tensor, y: Tensor, x: Tensor, within: float) -> tuple[Tensor, Tensor]:
        """Time of the crossing of pixel (y, x) nearest to ``time``, and whether there is one ``within`` so many ms."""
        n_y, n_x = self.times.shape[1:]
        inside = (y >= 0) & (y < n_y) & (x >= 0) & (x < n_x)
        gap = self.times[:, y.clamp(0, n_y - 1), x.clamp(0, n_x - 1)] - time  # (k, n)
        nearest = torch.gather(gap, 0, gap.abs().argmin(0, keepdim=True))[0]
        found = inside & (nearest.abs() <= within)
        return torch.where(found, nearest, 0.0), found

    def before(self, time: Tensor, y: Tensor, x: Tensor) -> Tensor:
        """The last crossing of pixel (y, x) before ``time``; -inf where there is none."""
        times = self.times[:, y, x]
        return torch.where(times < time, times, -math.inf).amax(0)


def _after_rest(began: Tensor, at: _Crossings, downs: _Times, table: Tensor) -> tuple[Tensor, Tensor]:
    """`restitution` of the fronts that came at ``began`` to the pixels ``at``, after their last downward crossing."""
    return restitution(began - downs.before(began, at.y, at.x), table)


def _plane(crossings: _Crossings, times: _Times, reach: int, dx: float) -> tuple[tuple[Tensor, Tensor, Tensor], Tensor]:
    """Least squares plane through the crossing times around each crossing: (p_x^2, p_y^2, p_x p_y), RMS residual in ms."""
    frame, y, x, time = crossings
    sums: dict[str, Tensor] = {}
    for b in range(-reach, reach + 1):
        for a in range(-reach, reach + 1):
            gap, found = times.nearest(time, y + b, x + a, dx * math.hypot(a, b) / SLOWEST)
            w = found.to(time.dtype)
            for name, value in (("1", w), ("x", w * a), ("y", w * b), ("xx", w * a * a), ("yy", w * b * b),
                                ("xy", w * a * b), ("t", gap), ("tx", gap * a), ("ty", gap * b), ("tt", gap * gap)):  # fmt: skip
                sums[name] = sums[name] + value if name in sums else value
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
