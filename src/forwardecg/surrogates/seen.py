"""Maps as the structured networks take them, and what was found out about them."""

from typing import NamedTuple

import numpy as np
from torch import Tensor

from forwardecg.surrogates.structured.cells import cells_of, read_cell
from forwardecg.surrogates.structured.fronts import Fronts, local_slowness, read_fronts
from forwardecg.surrogates.structured.model import KAPPA, Inputs, make_inputs
from forwardecg.surrogates.trust import crossing_times, out_of_time, runs_on, torn


class Seen(NamedTuple):
    """Maps as the structured networks take them, and what was found out about them."""

    u: Tensor  # (time, y, x), 0..1, averaged to pixels of the training
    dx: float  # mm, side of these pixels
    dt: float  # ms between the frames that fronts were read from
    inputs: Inputs
    fronts: Fronts
    cell: str  # that was read off them
    kappa: float  # ms, in the prior
    passed: float  # share of the pixels that a front passes
    flags: list[str]
    pool: int = 1  # pixels of the maps along the side of the squares that were averaged
    tissue: Tensor | None = None  # (y, x) bool, of what was averaged; None: everywhere

    @property
    def of_tissue(self) -> Inputs:
        """The inputs of the tissue alone: (..., pixel) where there is a mask."""
        return self.inputs if self.tissue is None else Inputs(*(z[..., self.tissue] for z in self.inputs))


def read_tissue(
    u: Tensor, dx: float, dt: float, card: dict, tissue: Tensor | None = None, unknown_kappa: bool = True
) -> Seen:  # fmt: skip
    """`Seen` of maps u (time, y, x) every dt ms, with the constants of the nearest of the cells on the card."""
    f = read_fronts(u, dx, dt)
    cell, known = read_cell(u, f, dt, card), cells_of(card)
    where = None if tissue is None else tissue.numpy()
    times = crossing_times(u.numpy(), dt, where)
    flags = out_of_time(u.numpy(), f.number.numpy(), dt, where) + torn(times, dx)
    if "cells" in card and cell and cell.name == known[0].name:  # for which the effect of an edge was measured
        once = ((f.number == 1) & (f.duration > 0)).numpy()
        flags += runs_on(np.where(once, f.duration.numpy(), np.nan), times, dx, cell.kappa)
    if cell is None and unknown_kappa:
        names = ", ".join(one.name for one in known)
        flags.append(
            f"cell: the action potential is of none of the training, {names}: the amplitude of the ECG may be wrong"
        )
    own = cell or known[0]
    if own.name != known[0].name:
        f = read_fronts(u, dx, dt, own.restitution)
    kappa = own.kappa if unknown_kappa else KAPPA
    inputs = make_inputs(f, dx, dt, kappa, own.plateau)
    number_of = f.number if tissue is None else f.number[tissue]
    passed = float((number_of > 0).float().mean()) if local_slowness(f).isfinite().all() else 0.0
    return Seen(u, dx, dt, inputs, f, own.name if cell else "unknown", kappa, passed, flags, tissue=tissue)
