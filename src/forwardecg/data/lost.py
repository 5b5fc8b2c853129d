"""Missing values of maps filled in, and what says how many and how large the holes were."""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

MOST_LOST = 0.2  # share of the pixels, or of the frames
MOST_FRAMES = 2  # lost in a row that are filled in


def fill_missing(
    name: str, values: np.ndarray, tissue: np.ndarray | None, dx: float
) -> tuple[np.ndarray, dict[str, Any]]:  # fmt: skip
    """Values (time, y, x) with what is missing in the tissue filled in, and the attributes that say so."""
    lost = ~np.isfinite(values) & (True if tissue is None else tissue)
    if not lost.any():
        return values, {}
    share, whole = float(lost.sum() / (lost[0].size if tissue is None else tissue.sum()) / len(lost)), lost.all((1, 2))
    if tissue is not None:
        whole = lost[:, tissue].all(1)
    short = ~lost.all(0) & ~(_longest(lost) > MOST_FRAMES)  # pixels whose gaps in time are short
    if _longest(whole[:, None])[0] > MOST_FRAMES or whole.mean() > MOST_LOST:
        wanted = f"at most {MOST_FRAMES} frames in a row and {MOST_LOST:.0%} of the frames to be lost"
        raise ValueError(f"{name}: expected {wanted}, got the frames {', '.join(map(str, np.flatnonzero(whole)[:9]))}")
    values, t = values.astype(np.float32), np.arange(len(values))
    for y, x in np.argwhere(short & lost.any(0)):
        gone = lost[:, y, x]
        values[gone, y, x] = np.interp(t[gone], t[~gone], values[~gone, y, x])
    pixels = lost.any(0) & ~short
    of_tissue = pixels.mean() if tissue is None else pixels[tissue].mean()
    if of_tissue > MOST_LOST:
        raise ValueError(f"{name}: expected at most {MOST_LOST:.0%} of the pixels to be lost, got {of_tissue:.0%}")
    if pixels.any():
        unknown = pixels if tissue is None else pixels | ~tissue
        values = fill_lost(torch.from_numpy(values), torch.from_numpy(unknown)).numpy()
    hole = dx * _largest_square(pixels)
    words = f"{of_tissue:.2%} of the pixels, the largest hole {hole:g} mm; {whole.sum()} frames; "
    words += f"{share:.2%} of all values"
    return values, {"filled": words, "filled_share": share, "largest_hole": hole}


def _longest(lost: np.ndarray) -> np.ndarray:
    """The most that are lost in a row, along the first axis."""
    run = longest = np.zeros(lost.shape[1:], int)
    for frame in lost:
        run = np.where(frame, run + 1, 0)
        longest = np.maximum(longest, run)
    return longest


def _largest_square(lost: np.ndarray) -> int:
    """Pixels along the side of the largest square of lost ones."""
    side = 0
    while lost.any():
        side, lost = side + 1, lost[1:, 1:] & lost[1:, :-1] & lost[:-1, 1:] & lost[:-1, :-1]
    return side


def fill_lost(u: Tensor, lost: Tensor) -> Tensor:
    """Maps (time, y, x) whose pixels ``lost`` (y, x), not all, are the mean of their neighbors, from the rim inward."""
    u, known = torch.where(lost, 0.0, u), (~lost).to(u.dtype)
    while not known.all():
        total, weight = (9 * F.avg_pool2d(z[:, None], 3, 1, 1)[:, 0] for z in (u, known[None]))
        new = (known == 0) & (weight[0] > 0)
        u, known = torch.where(new, total / weight.clamp(min=1), u), known + new
    return u
