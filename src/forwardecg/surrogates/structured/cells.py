"""Which cell model a recording is of: told by the shape of its first action potential, and with it kappa and the restitution.

No map shows kappa. Two cells may share their action potential and differ in it; what is nearest is a guess that is told.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from forwardecg.surrogates.structured.fronts import BEHIND, LEAST_SHARE, PLATEAU, RESTITUTION, Cell, Fronts
from forwardecg.surrogates.structured.model import KAPPA

LEVELS = (0.3, 0.5, 0.7, 0.85)  # of the amplitude behind a front: how long u is above them
AT_REST = 0.15  # of that amplitude: a pixel is at rest below it, where its action potential begins and ends
BEST = 0.9  # quantile of the amplitude over the pixels that a front passes: pixels above half of it are read
FEWEST = 20  # pixels that are read
USUAL = 2  # frames by which a beat may last longer or shorter than the median one
QUANTILES = (0.0, 0.25, 0.5, 0.75, 1.0)  # over tissues: the rows that a cell is known by


def action_potential(u: Tensor, f: Fronts, dt: float) -> Tensor | None:
    """Mean time in ms, (level,), that u is above `LEVELS` in the first beat; None: too few pixels show a whole one from rest.

        width(level) = dt (frames of the beat with u > level amplitude),   mean over pixels

    What follows another beat is shorter, the sooner the more, and in re-entry every beat but the first one does: later beats
    tell the interval and not the cell.

    Args:
        u, dt: (time, y, x), as `read_fronts` takes it, and ms between frames: the mean over pixels, which a front reaches
            at all phases of the frames, is finer than a frame.
        f: what `read_fronts` gave.

    Examples:
        >>> from forwardecg.surrogates.structured.fronts import read_fronts
        >>> t, x = torch.arange(0.0, 400.0, 5.0)[:, None, None], 2.0 * torch.arange(12)
        >>> since = (t - 30 - x / 0.5).expand(80, 12, 12)  # a triangle of 10 ms up and 100 ms down
        >>> u = torch.minimum(since / 10, 1.1 - since / 100).clamp(0, 1)
        >>> [round(float(width)) for width in action_potential(u, read_fronts(u, 2.0, 5.0), 5.0)]
        [81, 60, 39, 27]
    """
    passed = (f.number > 0) & (f.amplitude > LEAST_SHARE)
    if not passed.any():
        return None
    best = f.amplitude[passed].quantile(BEST)
    kept = passed & (u[0] < AT_REST * f.amplitude) & (f.amplitude > best / 2)
    traces = u.flatten(1) if kept.all() else u.flatten(1).index_select(1, kept.flatten().nonzero()[:, 0])
    n, frame = len(u), torch.arange(len(u), dtype=torch.int32)[:, None]
    up = traces >= traces.amax(0) / 2
    start = _first(up)  # of the first front
    width, n_behind = max(1, round(5.0 / dt)), max(round(BEHIND / dt), 1)
    behind = (frame >= start + width) & (frame < start + width + n_behind)
    count = (n - start - width).clamp(0, n_behind)  # of these frames
    amplitude = traces.masked_fill(~behind, 0.0).sum(0) / count  # of this beat, as `read_fronts` takes it
    ended = (traces < AT_REST * amplitude) & (frame > start)
    end = _first(ended)  # 0: none
    last = int(end.max()) if len(end) else 0  # what follows is of no beat
    traces, beat = traces[:last], frame[:last] < end
    rises = _count((up[1:last] > up[: max(last, 1) - 1]) & beat[1:])
    whole = (end > 0) & (rises == 1)
    if whole.any():  # another front or stimulus that comes before rest makes a beat longer
        length = (end - start).clamp(min=0)
        whole &= (length - length[whole].median()).abs() <= USUAL
    if int(whole.sum()) < FEWEST:
        return None
    return torch.stack([(dt * _count((traces > level * amplitude) & beat)[whole]).mean() for level in LEVELS])


def _first(of: Tensor) -> Tensor:
    """The first frame (n,) in which ``of`` (frame, n) is true, 0 where none is: int32."""
    left = torch.arange(len(of), 0, -1, dtype=torch.int32)[:, None]
    return len(of) - 1 - ((of * left).amax(0) - 1).remainder(len(of))


def _count(of: Tensor) -> Tensor:
    """In how many frames ``of`` (frame, n) is true; five times as fast as in the default type of sums."""
    return of.sum(0, dtype=torch.int32)


def known_by(widths: Sequence[Tensor]) -> Tensor:
    """Rows (row, level) that a cell is known by, from `action_potential` of its tissues: quantiles of each width."""
    return torch.stack([*widths]).quantile(torch.tensor(QUANTILES), dim=0)


def distance(widths: Tensor, cell: Cell) -> float:
    """Largest of the differences of the logarithms of the widths, to the nearest row of a cell."""
    return float((widths.log() - cell.widths.log()).abs().amax(1).min())


def to_card(cells: Sequence[Cell], tolerance: float) -> dict:
    """Entries of a card: the cells of a training, and the `distance` up to which a recording is of one of them."""
    plain = [{name: z.tolist() if isinstance(z, Tensor) else z for name, z in cell._asdict().items()} for cell in cells]
    return {"cells": plain, "cell_tolerance": tolerance}


def cells_of(card: dict) -> tuple[Cell, ...]:
    """The cells that weights were trained on, by their card; FK_CAF alone where it names none."""
    if "cells" not in card:
        return (Cell("FK-CAF", KAPPA, PLATEAU, RESTITUTION, torch.empty(0, len(LEVELS))),)
    tensors = ("restitution", "widths")
    return tuple(Cell(**one | {name: torch.tensor(one[name]) for name in tensors}) for one in card["cells"])


def read_cell(u: Tensor, f: Fronts, dt: float, card: dict) -> Cell | None:
    """The cell of the training whose action potential is nearest to that of a recording; None: it is far from all.

    Args:
        u, f, dt: as `action_potential` takes them.
        card: of the weights. Without cells it answers FK_CAF, the only one that such weights know, whatever the maps show.

    Examples:
        >>> flat = torch.zeros(20, 8, 8)
        >>> from forwardecg.surrogates.structured.fronts import read_fronts
        >>> read_cell(flat, read_fronts(flat, 2.0, 5.0), 5.0, {}).name
        'FK-CAF'
    """
    cells = cells_of(card)
    if "cells" not in card:
        return cells[0]
    widths = action_potential(u, f, dt)
    if widths is None or not (widths > 0).all():
        return None
    far, nearest = min((distance(widths, cell), k) for k, cell in enumerate(cells))
    return cells[nearest] if far <= card["cell_tolerance"] else None
