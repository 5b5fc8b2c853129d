"""The blind set: new seeds and new sheets, and what a row says of a prediction."""

import numpy as np
import pandas as pd
import pytest

from experiments.blind import PATH, SIZES, check_new, fingerprints, recipes, row
from experiments.misuse import mark
from experiments.tissues import recipe
from forwardecg.data.draw import draw_tissue
from forwardecg.data.maps import load_small
from forwardecg.data.sets import collection, wide_collection
from forwardecg.data.split import check_disjoint, sheet_hash
from forwardecg.surrogates.predict import load_surrogate


@pytest.fixture(scope="module")
def surrogate():
    return load_surrogate("structured")


@pytest.fixture(scope="module")
def table():
    return pd.read_csv(PATH, keep_default_na=False)


def test_seeds_are_of_no_other_set_and_the_rest_is_that_of_the_set_of_the_same_name():
    others = {"base": recipe()} | collection(recipe()) | wide_collection(recipe()) | {"large": recipe("large")}
    assert not {one.seed for one in recipes().values()} & {one.seed for one in others.values()}
    for name, own in recipes().items():
        other = others[name]
        for field in ("conditions", "fibrosis", "protocol", "cell", "D0_low", "D0_high", "t_end", "n_cells", "dx"):
            assert getattr(own, field) == getattr(other, field), (name, field)


def test_first_sheets_are_in_no_other_set():
    sets = {f"blind {name}": own for name, own in recipes().items()}
    sets |= {"base": recipe()} | {name: recipe(name) for name in ("calibration", "test", "reentry", "partial_fibrosis")}
    drawn = {name: [draw_tissue(one, sim).tissue for sim in (2, 3)] for name, one in sets.items()}
    check_disjoint({name: [sheet_hash(t.D, t.conductive) for t in tissues] for name, tissues in drawn.items()})


def test_a_tissue_that_was_met_before_stops_it(monkeypatch):
    small = load_small()
    own = [sheet_hash(small.D[k].values, small.conductive[k].values)[:16] for k in range(small.sizes["sim"])]
    assert fingerprints(small) == own and len({*own}) == len(own)
    monkeypatch.setattr("experiments.blind.open_set", lambda name: small)
    with pytest.raises(ValueError, match="expected every tissue in one part only"):
        check_new({"test": small})


def test_a_row_measures_the_band_that_predict_gives(surrogate):
    small = load_small()
    maps, place = small.V_m[1].values.astype(np.float32), small.electrodes.sel(lead="center").values
    true = small.phi_e[1].sel(lead="center", time_ecg=small.time.values).values.astype(float)
    found = row(surrogate, maps, place, true)
    out = surrogate.predict(maps, dx=2.0, dt=5.0, unit="mV")
    phi, error = out.phi_e.values[0], out.phi_e_error.values[0]
    assert found["r2"] > 0.9 and 0 <= found["inside"] <= 1 and found["width"] < found["whole_width"]
    exact = row(surrogate, maps, place, phi)
    assert exact["r2"] == 1 and exact["inside"] == exact["whole"] == 1
    for times, inside in ((0.99, 1.0), (1.01, 0.0)):
        assert row(surrogate, maps, place, phi + times * error)["inside"] == inside
    off = row(surrogate, maps, place, phi + 1.01 * (out.phi_e_high.values[0] - phi))
    assert off["whole"] == 0 and off["r2"] < 1
    assert exact["width"] == pytest.approx(2 * error.mean() / phi.std())


def test_the_table_has_every_tissue_once_by_the_published_weights(surrogate, table):
    assert table.groupby("set").size().to_dict() == SIZES and not table.duplicated(["set", "sim"]).any()
    assert {one.split()[0] for one in table.bands} == {mark(surrogate).split()[0]} and table.bands.nunique() == 1
    assert (table.flagged == (table.cause != "")).all()
    assert table.inside.between(0, 1).all() and (table.whole_width > table.width).all() and (table.width > 0).all()
