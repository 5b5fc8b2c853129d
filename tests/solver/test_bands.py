"""A large sheet in bands that go several steps each, and on several threads: every bit is that of one step after the other."""

from itertools import pairwise

import numpy as np
import pytest

from forwardecg.solver import kernel
from forwardecg.solver.simulation import simulate, solve
from forwardecg.tissue.sheet import Tissue, fibrotic, healthy, with_fibers
from forwardecg.tissue.stimulus import edge_stimulus, focal_stimulus

FIBROTIC = fibrotic(healthy((130, 47), 0.5, 0.12), "diffuse", seed=3)
SHEETS = {
    "isotropic": FIBROTIC,
    "with fibers": with_fibers(FIBROTIC, 0.4, 3.0),
    "wider": fibrotic(healthy((61, 90), 0.5, 0.12), "diffuse", seed=4),
}
MULTIPLE = kernel.MULTIPLE


def beat(sheet: Tissue, dtype: type, threads: int = 1, every: float = 1.0) -> list[np.ndarray]:
    """All fields of every state of a run with overlapping stimuli, one of which comes late."""
    stimuli = [
        edge_stimulus(sheet),
        focal_stimulus(sheet, x=8.0, y=7.0, start=1.3),
        edge_stimulus(sheet, "top", start=150.0),
    ]
    states = solve(sheet, stimuli, t_end=161.0, every=every, dtype=dtype, calibrated=False, threads=threads)
    return [field.copy() for state in states for field in state[1:]]


def in_bands(monkeypatch: pytest.MonkeyPatch, depth: int, cells: int, dtype: type) -> None:
    """Also small sheets go in bands of so many cells, ``depth`` steps each."""
    for name, value in (("SMALL_BYTES", 0), ("DEPTH", depth), ("BAND_BYTES", cells * np.dtype(dtype).itemsize)):
        monkeypatch.setattr(kernel, name, value)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("sheet", SHEETS)
def test_bands_and_threads_give_every_bit_of_the_plain_loop(sheet, dtype, monkeypatch):
    plain = beat(SHEETS[sheet], dtype)
    assert plain[-1].max() > 0 and (plain[-2] == -1).any(), "cells that recover, and dead ones"
    for depth, cells, threads in ((1, MULTIPLE, 2), (3, MULTIPLE, 1), (4, MULTIPLE, 3), (10, 8 * MULTIPLE, 1)):
        in_bands(monkeypatch, depth, cells, dtype)
        found = beat(SHEETS[sheet], dtype, threads)
        assert all(map(np.array_equal, found, plain)), (depth, cells, threads)


def test_samples_that_cut_a_group_of_steps_change_no_bit(monkeypatch):
    plain = beat(FIBROTIC, np.float32, every=3.5)
    in_bands(monkeypatch, 8, 2 * MULTIPLE, np.float32)
    assert all(map(np.array_equal, beat(FIBROTIC, np.float32, threads=2, every=3.5), plain))


def test_threads_of_a_whole_run_change_no_bit():
    edge = edge_stimulus(FIBROTIC)
    one, three = (simulate(FIBROTIC, edge, t_end=40.0, calibrated=False, threads=threads) for threads in (1, 3))
    assert one.identical(three)


def test_a_band_that_does_not_move_enough_is_wrong(monkeypatch):
    """The tests above would see it: a cell whose neighbors are a step behind."""
    plain = beat(SHEETS["wider"], np.float32)
    in_bands(monkeypatch, 4, MULTIPLE, np.float32)
    share = kernel._share

    def too_short(size, first_cell, length, move, threads):
        return share(size, first_cell, length, move - MULTIPLE, threads)

    monkeypatch.setattr(kernel, "_share", too_short)
    assert not all(map(np.array_equal, beat(SHEETS["wider"], np.float32), plain))


@pytest.mark.parametrize(("size", "threads"), [(16 * 9, 2), (4096, 1), (40_016, 1), (40_016, 3), (123_456, 16)])
def test_the_bands_of_a_step_are_the_sheet_each_cell_once(size, threads):
    first, move = 80, 64
    groups, between = kernel._share(size, first, 256, move, threads)
    assert len(groups) <= threads and len(between) == len(groups) - 1
    for step in range(kernel.DEPTH):
        moved = [
            (start + step * down, end + step * up)
            for bands in (*groups, *between)
            for start, end, down, up in bands.tolist()
        ]
        spans = sorted(span for span in moved if span[0] < span[1])
        assert all(start <= end for start, end in moved)
        assert spans[0][0] == first and spans[-1][1] == first + size
        assert all(end == start for (_, end), (start, _) in pairwise(spans))
        assert all((start - first) % MULTIPLE == 0 for start, _ in spans), "the loops take whole vectors"
