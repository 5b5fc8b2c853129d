"""The constants of the room are those that the committed table chooses, from tissues that nothing else uses."""

import numpy as np
import pandas as pd

from experiments import activation_constants as constants
from experiments.tissues import POOL, recipe
from forwardecg.activation import eikonal, forward, template
from forwardecg.activation.loops import FAR


def test_the_constants_in_the_code_are_those_that_the_table_chooses():
    table = pd.read_csv(constants.PATH)
    chosen = table[table.chosen == True].set_index("constant")  # noqa: E712
    assert chosen.value.to_dict() == {
        "LOAD, SPREAD": eikonal.LOAD, "NEGATIVE": eikonal.NEGATIVE, "SHARED": template.SHARED,
        "LEAST": forward.LEAST, "LEAST_FIBERS": forward.LEAST_FIBERS,
    }  # fmt: skip
    assert chosen.second["LOAD, SPREAD"] == eikonal.SPREAD
    for name, group in table[table.value.notna()].groupby("constant"):
        if name in ("LEAST", "LEAST_FIBERS"):
            share = group.set_index("value").score
            assert share[chosen.value[name]] >= constants.COVERED, name
            assert (share[share.index < chosen.value[name]] < constants.COVERED).all(), name
        else:
            assert chosen.score[name] <= (1 + constants.MATERIAL) * group.score.min(), name
            assert group.value.min() < chosen.value[name] < group.value.max(), f"{name}: the last that was tried"
    (longest,) = table[table.constant == "longest wait (ms)"].without_fibers
    assert longest < eikonal.REACH


def test_the_training_sheets_have_a_seed_of_their_own():
    assert constants.OWN.seed not in {recipe(name).seed for name in (*POOL, "two_foci", "large")}


def test_a_constant_that_is_set_is_used_and_others_are_forgotten(monkeypatch):
    monkeypatch.setattr(constants, "OWN", constants.replace(constants.OWN, n_cells=60, t_end=200.0))
    for name in ("LOAD", "SPREAD", "NEGATIVE"):
        monkeypatch.setattr(eikonal, name, getattr(eikonal, name))
    drawn, true, _ = constants.drawn_and_simulated(constants.OWN, 4, False)  # combined remodeling
    sheet = constants.Sheet(drawn, False, true.lat.values, true.phi_e.values)
    try:
        fitted = eikonal.LOAD
        errors = {load: constants.error(_with(load, sheet), sheet) for load in (fitted, 0.3)}
        assert min(errors, key=errors.__getitem__) == fitted
        assert errors[0.3] > 1.5 * min(errors.values()), errors
    finally:
        constants.use()


def _with(load: float, sheet: constants.Sheet) -> eikonal.Front:
    constants.use(load=load)
    front = constants.times(sheet)
    assert np.isfinite(front.T[front.T < FAR]).all()
    return front
