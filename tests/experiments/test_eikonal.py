"""The tissues of the eikonal table are those of the data sets, and a round wave has no diagonal."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from experiments import eikonal
from experiments.tissues import recipe
from forwardecg.paths import RESULTS


def test_no_training_tissue_is_scored():
    kinds = pd.read_csv(RESULTS / "07_dataset.csv", index_col="sim", keep_default_na=False)
    sims = pd.DataFrame(eikonal.cases(), columns=["set", "sim"]).groupby("set").sim
    assert sims.size().to_dict() == {"test": 30, "two_foci": 20, "fibers": 20}
    assert (kinds.part[sims.get_group("test")] == "test").all()
    assert (kinds.part[sims.get_group("fibers")] == "val").all()
    for sim in sims.get_group("test")[:3]:
        drawn = eikonal.draw(recipe(), sim, kinds.attempt[sim], fibers=False)
        assert drawn.fibrosis_density == pytest.approx(kinds.fibrosis_density[sim], abs=1e-5)
        assert (drawn.tissue.condition, drawn.stimulus) == (kinds.condition[sim], kinds.stimulus[sim])


def test_fibers_have_an_angle_of_each_tissue_and_the_same_D_along():
    own, fibers = eikonal.of_set("fibers")
    (first, second) = (eikonal.draw(own, sim, 0, fibers).tissue for name, sim in eikonal.cases(2) if name == "fibers")
    assert np.ptp(first.fiber_angle) == 0 and first.fiber_angle[0, 0] != second.fiber_angle[0, 0]
    live = first.conductive
    assert np.allclose(first.D[live] / first.D_across[live], eikonal.RATIO)


def test_times_change_the_seconds_of_a_tissue_alone(monkeypatch):
    small = replace(recipe(), n_cells=40, t_end=200.0, bank=False)
    monkeypatch.setattr(eikonal, "of_set", lambda name: (small, False))
    table = pd.DataFrame({
        "set": ["test", "test", "test", "fibers"], "sim": [0, 0, 1, 0], "variant": ["all", "frames", "all", "refused"],
        "r2": 0.5, "seconds": -1.0, "seconds_simulated": -1.0,
    })  # fmt: skip
    again = eikonal.with_times(table.copy(), "test", 0)
    assert (again.seconds[:2] > 0).all() and (again.seconds_simulated[:2] > 0).all()
    assert again.iloc[2:].equals(table.iloc[2:])
    assert again.drop(columns=["seconds", "seconds_simulated"]).equals(
        table.drop(columns=["seconds", "seconds_simulated"])
    )
    assert eikonal.with_times(table.copy(), "fibers", 0).equals(table)


def test_a_round_wave_is_as_fast_along_the_diagonal():
    y, x = (np.arange(61) - 30) * 0.5 + np.zeros((61, 61)), ((np.arange(61) - 30) * 0.5)[:, None] + np.zeros((61, 61))
    assert eikonal._diagonal(np.hypot(x, y) / 0.7, 0.5) == pytest.approx(0, abs=1e-9)
    assert eikonal._diagonal((abs(x) + abs(y)) / 0.7, 0.5) == pytest.approx(1 / np.sqrt(2) - 1)
