"""The physical inversion of the cycle's tissues: parts of a side, and which side or disc a simulated wave began in."""

import numpy as np
import pytest
import torch

from experiments import cycle_physics
from forwardecg.ecg.electrodes import grid_electrodes
from forwardecg.solver.simulation import simulate
from forwardecg.tissue.grid import Grid, blocks
from forwardecg.tissue.sheet import healthy
from forwardecg.tissue.stimulus import edge_stimulus, focal_stimulus

SHEET = Grid((60, 60), 0.5)
PLACES = grid_electrodes(SHEET, 3, 3, z=15.0)


@pytest.mark.parametrize(
    ("side", "fixed", "at"), [("left", 0, 0.0), ("right", 0, 30.0), ("bottom", 1, 0.0), ("top", 1, 30.0)]
)
def test_discs_lie_on_their_side_from_end_to_end(side, fixed, at):
    part = torch.tensor([4.0, 21.0], requires_grad=True)
    sites = cycle_physics.discs(side, 30.0, part)
    assert (sites[:, fixed] == at).all() and sites[[0, -1], 1 - fixed].tolist() == [4.0, 21.0]
    sites.sum().backward()
    assert part.grad.tolist() == pytest.approx([cycle_physics.ON_SIDE / 2] * 2)


@pytest.mark.parametrize("begin", ["top", "disc"])
def test_a_simulated_wave_begins_where_it_is_said_to_and_arrives_when_it_is_said_to(begin):
    sheet = healthy(SHEET.shape, SHEET.dx, 0.11)
    wave = edge_stimulus(sheet, "top") if begin == "top" else focal_stimulus(sheet, 9.0, 18.0, cycle_physics.RADIUS)
    true = simulate(sheet, wave, t_end=120.0, electrodes=PLACES)
    found, T, D = cycle_physics.invert(true.phi_e.astype(float), PLACES, SHEET)
    assert found == begin
    assert np.abs(T - blocks(true.lat.values, 2).mean((1, 3))).mean() < 1.5
    assert np.median(D) == pytest.approx(0.11, rel=0.2)
