"""The benchmarks: what they compare computes the same, what is compared is called in turns, and their tables are whole."""

import importlib
import re
import sys
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
import torch

from compendium.registry import INPUTS, ROOT
from forwardecg.contract import to_u
from forwardecg.data.maps import load_small
from forwardecg.ecg.electrodes import grid_electrodes
from forwardecg.surrogates.predict import load_surrogate
from forwardecg.surrogates.structured.data import make_inputs, read_fronts
from forwardecg.surrogates.structured.model import Inputs, inner_gradients
from forwardecg.tissue.grid import Grid

FOLDER, RESULTS = ROOT / "benchmarks", ROOT / "data" / "results"


def module(name: str) -> ModuleType:
    """A benchmark, which finds the others beside it as a script does."""
    sys.path.insert(0, str(FOLDER))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(FOLDER))


@pytest.fixture(scope="module")
def prediction() -> ModuleType:
    return module("prediction")


@pytest.fixture(scope="module")
def movies():
    small = load_small()
    return [small.V_m[sim].load() for sim in (0, 2)], small.attrs["dx_map"]


@torch.no_grad()
def test_one_product_for_all_networks_gives_what_a_product_each_gives(prediction, movies):
    (V_m, _), dx = movies
    u, grid = torch.from_numpy(to_u(V_m.values.astype(np.float32))), Grid(V_m.shape[1:], dx)
    seen = Inputs(*(z[None] for z in make_inputs(read_fronts(u, dx, 5.0), dx, 5.0)))
    found = [model(seen) for model in load_surrogate().models]
    G = inner_gradients(grid, grid_electrodes(grid, 2, 2))
    apart, at_once = (way(found, G, u.flatten(1)) for way in (prediction.traces_apart, prediction.traces_at_once))
    assert apart.shape == (5, 4, len(u)) and apart[0].std() > 0
    torch.testing.assert_close(at_once, apart, rtol=1e-4, atol=1e-5 * float(apart.abs().max()))


@torch.no_grad()
def test_a_batch_of_recordings_gives_what_single_predictions_give(prediction, movies):
    both, dx = movies
    places, surrogate = grid_electrodes(Grid(both[0].shape[1:], dx), 2, 2), load_surrogate()
    batch = [torch.from_numpy(to_u(V_m.values.astype(np.float32))) for V_m in both]
    found = prediction.predict_batch(surrogate, batch, dx, places)
    for ecg, V_m in zip(found, both, strict=True):
        alone = surrogate.predict(V_m, dx=dx, dt=5.0, electrodes=places, unit="mV")
        assert (alone.attrs["rest"], alone.attrs["amplitude"]) == (-85, 100)  # as simulated: nothing is rescaled
        np.testing.assert_allclose(ecg, alone.phi_e, rtol=1e-3, atol=1e-4 * float(abs(alone.phi_e).max()))


def test_what_is_compared_is_called_in_turns(prediction):
    called = []
    seconds = prediction.in_turns({name: lambda name=name: called.append(name) for name in "ab"}, turns=3, times=2)
    assert called == [*"aabb"] * 3
    assert {name: of.shape for name, of in seconds.items()} == {"a": (3,), "b": (3,)}


def test_a_row_has_the_median_and_the_range_of_its_repeats(capsys):
    common = module("common")
    common.record("case", 3, 1, "ratio", [4.0, 1.0, 2.0], "1")
    assert common.rows.pop() == ("case", 3, 1, "ratio", 2.0, 1.0, 4.0, "1")
    assert "case" in capsys.readouterr().out


def test_a_table_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    common = module("common")
    monkeypatch.setattr(common, "ROOT", tmp_path)
    monkeypatch.setattr(common, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(common, "rows", [("case", 3, 1, "ratio", 1.2345678, 1.0, 2.0, "1")])
    common.save_rows("runs/some.csv")
    (row,) = pd.read_csv(tmp_path / "results" / "runs" / "some.csv").to_dict("records")
    assert row == dict(zip(common.COLUMNS, ("case", 3, 1, "ratio", 1.2346, 1, 2, 1), strict=True)) | {
        "machine": common.machine()
    }
    assert [path.name for path in (tmp_path / "results" / "runs").iterdir()] == ["some.csv"]


@pytest.fixture(scope="module")
def tables() -> dict[str, pd.DataFrame]:
    return {name: pd.read_csv(RESULTS / name) for name in module("summary").TABLES}


def test_each_table_is_of_one_processor_and_has_its_values_within_their_ranges(tables):
    for name, table in tables.items():
        assert table.machine.nunique() == 1, name
        assert ((table.low <= table.value) & (table.value <= table.high)).all(), name
        assert f"results/{name}" in INPUTS


def test_the_summary_has_every_ratio_of_every_table_and_the_limits(tables):
    listed = module("summary").ratios(RESULTS)
    for name, table in tables.items():
        ratios, shown = table[table.quantity == "ratio"], listed[(listed.table == name) & (listed["in"] == "")]
        assert len(ratios) > 0
        assert [*ratios.case] == [*shown.what] and [*ratios.value] == [*shown.value]
    assert {"of the limit of the multiply-adds", "bytes per ns", "bits of a vector"} <= {*listed["in"]}


def test_ratios_are_those_of_the_times_beside_them(tables):
    """The median of ratios lies where the ranges of the two times let it lie."""
    table = tables["bench_predict.csv"].set_index(["case", "quantity"])
    one, batch = (table.loc[case, "seconds"] for case in ("recordings one by one", "recordings in a batch"))
    ratio = table.loc["recordings one by one over in a batch", "ratio"]
    assert one.low / batch.high <= ratio.value * 1.001 and ratio.value <= 1.001 * one.high / batch.low
    sets = tables["bench_dataset.csv"]
    built = sets[sets.quantity == "seconds_per_tissue"]
    (ratio,) = sets[(sets.case == "data set, one worker over workers") & (sets["count"] == 2)].itertuples()
    one, two = (built[(built.n == ratio.n) & (built["count"] == count)].iloc[0] for count in (1, 2))
    assert one.low / two.high <= ratio.value * 1.001 and ratio.value <= 1.001 * one.high / two.low


def test_make_bench_runs_what_writes_these_tables():
    recipe = re.search(r"^bench:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)[1]
    scripts = [f"{name}.py" for name in re.search(r"for part in ([\w ]+);", recipe)[1].split()]
    assert "benchmarks/run.py" in recipe and scripts[-1] == "summary.py"
    scripts += re.findall(r"\"(\w+\.py)\"", (FOLDER / "run.py").read_text(encoding="utf-8"))
    written = [
        name
        for script in scripts
        for name in re.findall(r"save(?:_rows)?\(\"([\w/.]+)\"", (FOLDER / script).read_text(encoding="utf-8"))
    ]
    assert sorted(written) == sorted([*module("summary").TABLES, "bench_nversion.csv"])


def test_data_sets_grow_in_turns_and_each_has_its_row(monkeypatch):
    """Where a tissue takes a second of one worker, and starting a data set takes one more."""
    tissues, common, built = module("tissues"), module("common"), []

    def per_tissue(recipe, n, pool):
        built.append((n, pool._max_workers))
        return (1.0 + n / pool._max_workers) / n

    monkeypatch.setattr(tissues, "per_tissue", per_tissue)
    monkeypatch.setattr(tissues.os, "cpu_count", lambda: 4)
    monkeypatch.setattr(common, "rows", [])
    tissues.growth(None)
    one_turn = [(8, 1), (8, 2), (8, 4), (4, 4), (24, 4)]
    assert built == [(2, 1), (4, 2), (8, 4), *one_turn * tissues.TURNS]
    found = {(case, n, count): value for case, n, count, _, value, *_ in common.rows}
    assert [*found][:5] == [("data set", *one) for one in one_turn]
    assert found["data set, one worker over workers", 8, 2] == pytest.approx(9 / 5)
    assert found["data set, one worker over workers", 8, 4] == pytest.approx(9 / 3)
    assert found["data set, a tissue of 24 over one of 8", 24, 4] == pytest.approx((7 / 24) / (3 / 8))
