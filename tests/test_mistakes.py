"""What people get wrong, or write in a way of their own, beyond what `test_fuzz` draws: each once, by hand."""

from array import array as plain_array
from collections import deque

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr

from forwardecg.contract import array, count, counts, number
from forwardecg.data.maps import export_tissue, import_maps, load_small
from forwardecg.data.recipe import Recipe, read_recipe, write_recipe
from forwardecg.data.split import check_disjoint, split_by_tissue
from forwardecg.ecg.electrodes import Electrodes, center_electrode, standard_electrodes
from forwardecg.ecg.leadfield import pseudo_ecg
from forwardecg.ecg.leads import twelve_leads
from forwardecg.ecg.torso import Disc, Sphere
from forwardecg.measure.bands import half_width
from forwardecg.measure.compare import interval, paired_difference
from forwardecg.measure.scores import landmarks, r2, score_ecgs
from forwardecg.measure.waves import activation_time, apd90, conduction_velocity, dvdt_max
from forwardecg.solver.calibration import calibrate_diffusivity
from forwardecg.surrogates.paper.losses import huber, hybrid
from forwardecg.surrogates.structured.data import MapSet
from forwardecg.surrogates.structured.fronts import read_fronts
from forwardecg.surrogates.structured.model import Structured, StructuredConfig
from forwardecg.surrogates.weights import load_models, read_card, save_models
from forwardecg.tissue.grid import Grid
from forwardecg.tissue.sheet import healthy, with_fibers
from forwardecg.tissue.stimulus import Stimulus, edge_stimulus, s1_s2

WHOLE = {  # whole numbers 2, 1 in whatever holds a row of them
    "list": [2, 1], "tuple": (2, 1), "range": range(2, 0, -1), "deque": deque([2, 1]), "array": plain_array("i", [2, 1]),
    "numpy": np.array([2, 1], ">i2"), "unsigned": np.array([2, 1], np.uint64), "strided": np.array([2, 0, 1])[::2],
    "nothing masked": np.ma.masked_array([2, 1]), "torch": torch.tensor([2, 1]), "tensors": [torch.tensor(2), torch.tensor(1)],
    "Index": pd.Index([2, 1]), "RangeIndex": pd.RangeIndex(2, 0, -1), "Series": pd.Series([2, 1], index=[7, 3]),
    "Int64": pd.Series([2, 1], dtype="Int64"), "DataArray": xr.DataArray([2, 1], {"sim": [5, 6]}, "sim"), "Variable": xr.Variable("sim", [2, 1]),
}  # fmt: skip
NOT_WHOLE = {
    "floats": [2.0, 1.0], "bool": [True, False], "words": ["2", "1"], "text": "21", "bytes": b"21", "set": {2, 1}, "dict": {2: 1},
    "generator": (n for n in (2, 1)), "number": 2, "none": None, "0-d": np.array(2), "2-D": np.array([[2, 1]]), "nested": [[2, 1]],
    "numpy floats": np.array([2.0, 1.0]), "numpy bool": np.array([True]), "numpy words": np.array(["2"]), "masked": np.ma.masked_array([2, 1], [0, 1]),
    "torch floats": torch.tensor([2.0]), "torch bool": torch.tensor([True]), "torch 0-d": torch.tensor(2), "Index of floats": pd.Index([2.0]),
    "Index of words": pd.Index(["a"]), "Series with NA": pd.Series([2, None], dtype="Int64"), "Series of bool": pd.Series([True]),
    "DataArray of floats": xr.DataArray([2.0]), "dates": pd.date_range("2020", periods=2), "complex": np.array([2 + 0j]),
    "table": pd.DataFrame({"n": [2, 1]}), "pairs": pd.MultiIndex.from_tuples([(2, 1)]), "negative": [-1], "huge": [2**70],
}  # fmt: skip


@pytest.mark.parametrize("what", WHOLE)
def test_whole_numbers_in_any_row_are_read(what):
    assert counts("sims", WHOLE[what]) == [2, 1] and all(type(one) is int for one in counts("sims", WHOLE[what]))
    assert Grid(WHOLE[what], dx=0.5).shape == (2, 1)


@pytest.mark.parametrize("what", NOT_WHOLE)
def test_what_is_no_row_of_whole_numbers_is_refused(what):
    with pytest.raises(ValueError, match="^sims: expected (a whole number|whole numbers).* got "):
        counts("sims", NOT_WHOLE[what])


YX = np.arange(6.0).reshape(2, 3)
V = {"units": "V"}
AS_ONE = {  # the values YX in mV, in forms that were refused, or read without what they say
    "tensors": [torch.tensor(row, requires_grad=True) for row in YX],
    "bfloat16": torch.tensor(YX).bfloat16(),
    "negative view": torch.complex(torch.zeros(2, 3), -torch.tensor(YX).float()).conj().imag,
    "nothing masked": [np.ma.masked_array(row, False) for row in YX],
    "unit": xr.DataArray(YX / 1e3, dims=("y", "x"), attrs={"unit": "V"}),
    "variable": xr.Variable(("x", "y"), YX.T / 1e3, V),
    "table with names": pd.DataFrame(YX).rename_axis(index="y", columns="x").T,
    "double double": YX.astype(np.longdouble),
    "scalars": [[xr.DataArray(one) for one in row] for row in YX],
}  # fmt: skip
LOSSY = {  # what would be lost, and what is said of it
    "list of masks": ([np.ma.masked_array(row, row > 4) for row in YX], "finite values in mV, got 1 that are not"),
    "mask in a list": ([[1.0, 2.0], [3.0, np.ma.masked]], "finite values in mV, got 1 that are not"),
    "units in a list": ([xr.DataArray(row / 1e3, attrs=V) for row in YX], "an array, got list .* labels"),
    "unit of one": ([[xr.DataArray(1.0, attrs=V), 2.0]], "an array, got list .* labels"),
    "dims in a list": ([xr.DataArray(row, dims="y") for row in YX.T], "an array, got list .* labels"),
    "packed": (xr.DataArray(YX, dims=("y", "x"), attrs={"scale_factor": 0.01}), r"decoded values \(y, x\), got .* scale_factor"),
    "fill value": (xr.DataArray(YX, dims=("y", "x"), attrs={"_FillValue": 5.0}), r"decoded values \(y, x\), got .* _FillValue"),
    "beyond double": (np.full((2, 3), np.longdouble("1e400")), "finite values in mV, got 6 that are not"),
    "twice": (xr.DataArray(np.ones((2, 2)), dims=("y", "y_map")), r"dims \(y, x\), got \('y', 'y_map'\)"),
    "table half named": (pd.DataFrame(YX).rename_axis(index="y"), r"dims \(y, x\), got \('y', 'dim_1'\)"),
    "data set": (xr.Dataset({"V_m": (("y", "x"), YX)}), "an array, got Dataset"),
    "complex without imaginary part": (YX + 0j, "real numbers"),
    "records": (np.zeros((2, 3), [("V_m", float)]), "real numbers"),
    "generator": ((row for row in YX), "real numbers"),
    "whole numbers beyond 64 bits": ([[2**70]], "real numbers"),
}  # fmt: skip


@pytest.mark.parametrize("what", AS_ONE)
def test_what_a_form_says_is_read(what):
    read = array("V_m", AS_ONE[what], ("y", "x"), "mV")
    assert type(read) is np.ndarray and np.allclose(read, YX, rtol=1e-6, atol=0) and read.dtype.itemsize <= 8


@pytest.mark.parametrize("what", LOSSY)
def test_what_would_be_lost_is_refused(what):
    given, words = LOSSY[what]
    with pytest.raises(ValueError, match=f"^V_m: expected {words}") as error:
        array("V_m", given, ("y", "x"), "mV")
    assert "\n" not in str(error.value).partition(": expected ")[2].partition(": ")[0], "what came is one line"


def test_numbers_without_dims_keep_what_they_say():
    """A 0-d variable of 5 cm was 5 mm, and 3 seconds a count of 3."""
    for given in (
        xr.DataArray(5.0, attrs={"units": "cm"}),
        xr.Variable((), 5.0, {"units": "cm"}),
        np.ma.masked_array(50.0),
    ):
        assert number("z", given, unit="mm") == 50.0
    assert number("amplitude", xr.DataArray(300.0, attrs={"units": "1/s"}), unit="/ms") == 0.3
    assert number("threshold", xr.DataArray(-0.035, attrs={"unit": "V"}), unit="mV, half or slope") == -35.0
    assert count("n", np.ma.masked_array(3)) == count("n", xr.Variable((), 3)) == 3
    for given in (np.ma.masked_array(3, True), np.ma.masked, xr.Variable((), 3, {"units": "s"})):
        with pytest.raises(ValueError, match="^n: expected a "):
            count("n", given)
    with pytest.raises(ValueError, match="^z: expected a unit such as mm, .* got 's'"):
        number("z", xr.Variable((), 3.0, {"units": "s"}), unit="mm")


PLACES = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])


def places(xyz: list, lead: list | None = None) -> xr.DataArray:
    """Positions with z first, and labels."""
    return xr.DataArray(PLACES[:, ::-1], {"xyz": xyz} | ({"lead": lead} if lead else {}), ("lead", "xyz"))


def test_places_are_read_by_their_labels():
    table = pd.DataFrame(PLACES[:, ::-1], columns=[*"zyx"])
    forms = [
        places([*"zyx"]),
        places([*"ZYX"], ["a", "b"]),
        places([*"zyx"], [0, 1]),
        table,
        table.set_axis(["a", "b"]),
    ]
    for form in [
        *forms,
        table.set_axis(["a", "b"]).rename_axis(columns="xyz"),
        table.set_axis(["a", "b"]).T.rename_axis(columns="lead"),
    ]:
        for names in (("a", "b"), pd.Index(["a", "b"]), pd.Series(["a", "b"]), np.array(["a", "b"])):
            assert np.array_equal(Electrodes(form, names).positions, PLACES)
    for labels in (["z_mm", "y_mm", "x_mm"], [2, 1, 0], [*"xxz"]):
        with pytest.raises(ValueError, match="^electrodes: expected x, y, z along xyz, in any order, got "):
            Electrodes(places(labels), ("a", "b"))
    for form in (places([*"zyx"], ["b", "a"]), places([*"zyx"], ["b", "c"]), table.set_axis(["b", "a"])):
        with pytest.raises(ValueError, match="^electrodes: expected the names .*, in the order of the positions, got "):
            Electrodes(form, ("a", "b"))


@pytest.mark.filterwarnings("ignore:Duplicate dimension")
def test_leads_are_found_by_the_words_along_a_table():
    nine = standard_electrodes(Grid((4, 4), dx=0.5))
    phi_e = np.random.default_rng(0).random((9, 9))  # as many times as electrodes
    table, right = pd.DataFrame(phi_e, index=nine.names), twelve_leads(phi_e, nine)
    for form in (table, table.T, table.rename_axis(index="lead").T):
        assert np.allclose(twelve_leads(form), right) and np.allclose(twelve_leads(form, nine), right)
    assert np.allclose(twelve_leads(pd.DataFrame(phi_e.T).rename_axis(columns="lead"), nine), right)
    with pytest.raises(ValueError, match="^phi_e: expected the leads .* got "):
        twelve_leads(table[::-1], nine)
    twice = xr.DataArray(np.ones((10, 2)), {"lead": [*nine.names, "RA"]}, ("lead", "time_ecg"))
    with pytest.raises(ValueError, match="^phi_e: expected a name of its own for each lead, got "):
        twelve_leads(twice)
    with pytest.raises(ValueError, match="^phi_e: expected dims "):
        twelve_leads(xr.DataArray(phi_e, dims=("lead", "lead")), nine)


TRACES = np.sin(np.arange(60.0)).reshape(3, 20)


def traces(lead: list, time: object, values: np.ndarray = TRACES) -> xr.DataArray:
    return xr.DataArray(values, {"lead": lead, "time": time}, ("lead", "time"))


def test_scores_pair_what_lies_at_the_same_coordinates():
    """The traces of leads in another order, or at other times, were compared by their places."""
    ms, s = ("time", 5.0 * np.arange(20), {"units": "ms"}), ("time", 5e-3 * np.arange(20), {"units": "s"})
    true = traces(["a", "b", "c"], ms)
    assert (r2(true, traces(["a", "b", "c"], s).T.rename(time="time_ecg")) == 1).all()
    assert (r2(true, true.drop_vars("lead")) == 1).all() and (r2(true, TRACES) == 1).all()
    others = [
        traces(["c", "b", "a"], ms, TRACES[::-1]),
        traces([*"def"], ms),
        true.assign_coords(time=2 * true.time),
        true[:, ::-1],
    ]
    for other in others:
        with pytest.raises(
            ValueError, match="^ecg_pred: expected the coordinate (lead|time) of ecg_true, got another one"
        ):
            score_ecgs(true, other)
    with pytest.raises(ValueError, match="^ecg: expected the coordinate time of t, got another one"):
        landmarks(np.arange(20.0), true)
    scores = xr.DataArray(np.arange(8.0).reshape(2, 4) ** 2, {"sim": [0, 1, 2, 3], "seed": [0, 1]}, ("seed", "sim"))
    assert paired_difference(scores, scores.T.assign_coords(seed=[2, 3])).difference == 0
    assert interval(scores[0])[0] == interval(scores[0].values)[0]
    table = pd.DataFrame(scores.values).rename_axis(index="model", columns="sim")  # names of no dim that is asked for
    assert paired_difference(table, scores.values).difference == 0
    assert paired_difference(table.rename_axis(index="seed").T, scores.values).difference == 0
    with pytest.raises(ValueError, match="^b: expected the coordinate sim of a, got another one"):
        paired_difference(scores, scores[:, ::-1])


def test_masks_lie_where_the_maps_do():
    """A mask with its x downward was laid upon the maps as it came."""
    V_m = load_small().isel(sim=1).V_m[::2, 20:30, 20:32]
    mm = 2.0 * np.arange(12) + 1
    V_m = V_m.assign_coords(x_map=("x_map", mm, {"units": "mm"}))
    inside = np.arange(120).reshape(10, 12) % 7 > 0

    def mask(x: np.ndarray, unit: str | None) -> xr.DataArray:
        return xr.DataArray(inside, {"x": ("x", x, {"units": unit} if unit else {})}, ("y", "x"))

    right = import_maps(V_m, dt=10.0, mask=inside)
    for form in (mask(mm / 10, "cm"), mask(np.arange(12), None)):
        assert import_maps(V_m, dt=10.0, mask=form).equals(right)
    for form in (mask(mm[::-1], "mm"), mask(mm + 100, "mm"), mask(3 * mm, "mm"), mask(np.arange(12)[::-1], None)):
        with pytest.raises(ValueError, match=r"^mask(\.x)?: expected "):
            import_maps(V_m, dt=10.0, mask=form)
    with pytest.raises(ValueError, match=r"^stimulus mask\.x: expected equal steps upward, got "):
        Stimulus(mask=mask(np.arange(12)[::-1], None))
    D = xr.DataArray(np.full((2, 3), 0.12), {"x": [2, 1, 0]}, ("y", "x"))
    with pytest.raises(ValueError, match=r"^D\.x: expected equal steps upward, got "):
        calibrate_diffusivity(D, np.ones((2, 3), bool), 0.5, 0.1)


def test_time_may_be_called_t_or_time_ecg():
    """Everywhere but in the features of waves it was."""
    V_m = load_small().isel(sim=1).V_m[:, 20:24, 20:24]
    for name in ("t", "time_ecg"):
        for feature in (activation_time, apd90):
            assert feature(V_m.rename(time=name).transpose("y_map", name, "x_map")).equals(feature(V_m))


def test_centers_are_read_by_their_labels():
    place = {"x": 1.0, "y": 2.0, "z": 3.0}
    for axes, conductor in (("yx", Disc), ("zyx", Sphere)):
        series = pd.Series({axis: place[axis] for axis in axes})
        for form in (series, xr.DataArray(series.to_numpy(), {"xyz": [*axes]}, "xyz"), xr.DataArray([*series[::-1]])):
            assert conductor(50.0, form).center == (1.0, 2.0, 3.0)[: len(axes)]
        with pytest.raises(ValueError, match="^center: expected x, y.* along xyz, in any order, got "):
            conductor(50.0, series.set_axis(["a", "b", "c"][: len(axes)]))
    point = xr.DataArray([[3.0, 2.0, 1.0]], {"xyz": [*"zyx"]}, ("point", "xyz"))
    assert (
        Sphere(5.0, (0.0, 0.0, 0.0)).project(point).tolist()
        == Sphere(5.0, (0.0, 0.0, 0.0)).project([[1.0, 2.0, 3.0]]).tolist()
    )


def test_other_units_where_one_number_stands_for_all():
    """A 0-d variable of 5 degrees was 5 rad."""
    sheet = healthy((4, 4), 0.5, D0=0.13)
    angle = np.deg2rad(5.0)
    for form in (
        xr.Variable((), 5.0, {"units": "deg"}),
        xr.DataArray(5.0, attrs={"unit": "degrees"}),
        np.ma.masked_array(angle),
    ):
        assert with_fibers(sheet, form, ratio=4.0).fiber_angle[0, 0] == pytest.approx(angle)
    assert healthy((4, 4), xr.Variable((), 0.05, {"units": "cm"}), D0=0.13).dx == 0.5
    train = edge_stimulus(sheet)
    for none in (
        [],
        (),
        np.zeros(0),
        torch.zeros(0),
        pd.Series([], dtype=float),
        xr.DataArray(np.zeros(0), dims="beat"),
    ):
        assert len(s1_s2(train, 100.0, 2, none)) == 2
    assert s1_s2(train, 100.0, 2, xr.Variable("s2", [0.05], {"units": "s"}))[-1].start == 150.0


def test_maps_as_a_variable_keep_their_unit():
    V_m = load_small().isel(sim=1).V_m[::2, 20:30, 20:32].variable.astype(float)
    right = import_maps(V_m.values, dx=2.0, dt=10.0, unit="mV")
    for form in ((V_m / 1e3), (V_m / 1e3).transpose()):
        form = xr.Variable(form.dims, form.values, {"units": "V"})
        assert np.allclose(import_maps(form, dx=2.0, dt=10.0).V_m, right.V_m, rtol=1e-12)
        with pytest.raises(ValueError, match="^unit: expected one unit of V_m, got mV, with attribute units V"):
            import_maps(form, dx=2.0, dt=10.0, unit="mV")
    assert import_maps(V_m.values.astype(np.longdouble), dx=2.0, dt=10.0, unit="mV").V_m.dtype == float


@pytest.mark.parametrize("bad", ["x" * 300, "a\0b", b"recipe.json", 3, None, "folder"])
def test_paths_that_are_none_are_refused_by_name(tmp_path, bad):
    """A folder, a name too long or with a zero in it was an OSError."""
    (tmp_path / "folder").mkdir()
    bad = tmp_path / bad if isinstance(bad, str) else bad
    network, small = Structured(StructuredConfig(width=2)), load_small()
    calls = {
        "path": [lambda: write_recipe(Recipe(n_sim=3), bad), lambda: save_models([network], bad), lambda: export_tissue(small, bad, sim=0)],
        "path|weights": [lambda: read_recipe(bad), lambda: read_card(bad), lambda: load_models(bad)],
        "source|V_m": [lambda: import_maps(bad, dx=2.0, dt=5.0, unit="mV")],
    }  # fmt: skip
    for name, some in calls.items():
        for call in some:
            with pytest.raises(ValueError, match=f"^({name}): expected .* got "):
                call()
    assert [*tmp_path.rglob("*")] == [tmp_path / "folder"], "nothing is written"


def test_other_things_are_refused_by_name(tmp_path):
    """Errors of numpy and torch that named no argument, and what passed."""
    ragged, whole = [["a"], ["b", "c"]], torch.ones(2, 8, dtype=torch.int64)
    V_m = load_small().isel(sim=1).V_m[::2, 20:30, 20:32]
    (tmp_path / "maps.txt").write_text("maps")
    calls = {
        "condition": lambda: split_by_tissue(ragged),
        "hashes['train']": lambda: check_disjoint({"train": ragged, "test": []}),
        "shape": lambda: Grid(ragged, 0.5),
        "sd": lambda: half_width([[1.0], [1.0, 2.0]], [[1.0]], 0.1),
        "sims": lambda: MapSet(load_small(), sims=[]),
        "ecg_true": lambda: huber(whole.double(), whole),
        "ecg_pred": lambda: hybrid(whole, whole.double(), delta=1.0, weight=0.1, spectral="entropy"),
        "u": lambda: read_fronts(torch.from_numpy(V_m.values).float(), 2.0, 10.0),
        "V_m": lambda: import_maps((tmp_path / "maps.txt").open(), dx=2.0, dt=5.0, unit="mV"),
    }  # fmt: skip
    for name, call in calls.items():
        with pytest.raises(ValueError) as error:
            call()
        assert str(error.value).startswith(f"{name}: expected "), error.value


def test_small_types_are_computed_in_wider_ones():
    """Half precision moved the steepest slope by a millisecond, and whole numbers of 8 bits ran over in a square."""
    V_m = load_small().isel(sim=1).V_m[:, 20:40, 20:40].astype(np.float16)
    for feature in (activation_time, apd90, dvdt_max, lambda z: activation_time(z, "slope")):
        assert np.allclose(feature(V_m), feature(V_m.astype(float)), rtol=0, atol=1e-3, equal_nan=True)
    sd, mean = np.full((2, 3), 200, np.uint8), np.full((2, 3), 400, np.float16)
    assert np.array_equal(half_width(sd, mean, 0.1), half_width(sd.astype(float), mean.astype(float), 0.1))


@pytest.mark.parametrize("fill", [9.96921e36, -9999.0, 32767.0])
def test_fill_values_are_no_voltages(fill):
    sheet, V_m = healthy((4, 4), 0.5, D0=0.13), np.full((2, 4, 4), -85.0)
    V_m[1, 0, 0] = fill
    with pytest.raises(ValueError, match="^V_m: expected voltages within 1000 mV, got "):
        pseudo_ecg(V_m, sheet, center_electrode(sheet))


def test_results_name_their_own_unit_alone():
    """What was converted out of the attribute unit went on with it."""
    V_m = load_small().isel(sim=1).V_m[::2, 20:30, 20:32]
    lat = activation_time(V_m)
    ds = xr.Dataset({"V_m": V_m, "lat": (lat / 1e3).assign_attrs(unit="s"), "tissue": (lat.dims, lat.values > 0)})
    ds["lat"].attrs.pop("units", None)
    found = import_maps(ds.rename(y_map="y", x_map="x"), dx=2.0, dt=10.0)
    assert (
        found.lat.attrs["units"] == "ms"
        and "unit" not in found.lat.attrs
        and np.allclose(found.lat, lat, equal_nan=True)
    )
    assert np.array_equal(found.tissue, lat > 0), "a mask among the variables was left out"
    for feature in (
        activation_time(V_m.drop_attrs(deep=False).assign_attrs(unit="mV")),
        conduction_velocity(ds.lat.rename(y_map="y", x_map="x"), 2.0),
    ):
        assert {"unit", "units"} & {*feature.attrs} == {"units"}


def test_a_mask_in_an_npz_file_is_read(tmp_path):
    V_m = load_small().isel(sim=1).V_m[::2, 20:30, 20:32].values
    inside = np.arange(120).reshape(10, 12) % 7 > 0
    np.savez(tmp_path / "maps.npz", V_m=V_m, tissue=inside)
    assert import_maps(tmp_path / "maps.npz", dx=2.0, dt=10.0, unit="mV").equals(
        import_maps(V_m, dx=2.0, dt=10.0, unit="mV", mask=inside)
    )
