"""Tissues and stimuli are the same whatever they are made of, do not change, and refuse all else in one sentence."""

import numpy as np
import pytest
import torch
import xarray as xr

from forwardecg.tissue.cell import FK_CAF, FKParams
from forwardecg.tissue.grid import Grid
from forwardecg.tissue.sheet import Tissue, fibrotic, gap_junction, healthy, with_fibers
from forwardecg.tissue.stimulus import Stimulus, burst, edge_stimulus, focal_stimulus, s1_s2

SHAPE, DX = (4, 6), 0.5
D = 0.1 + 0.01 * np.arange(24.0).reshape(SHAPE)
LIVE = np.arange(24).reshape(SHAPE) % 5 > 0
MM = {"y": ("y", 0.25 + 0.5 * np.arange(4), {"units": "mm"}), "x": ("x", 0.25 + 0.5 * np.arange(6), {"units": "mm"})}


def labeled(values, units, **coords):
    return xr.DataArray(values, coords, ("y", "x"), attrs={"units": units})


SAME_D = {
    "list": D.tolist(),
    "column by column": np.asfortranarray(D),
    "strided": np.repeat(D, 2, axis=1)[:, ::2],
    "another byte order": D.astype(">f8"),
    "tensor": torch.tensor(D),
    "nothing masked": np.ma.array(D, mask=np.zeros(SHAPE, bool)),
    "transposed, named": labeled(D, "mm^2/ms").transpose("x", "y"),
    "cm2/s": labeled(10 * D, "cm2/s"),
    "um^2 ms^-1": labeled(1e6 * D, "um^2 ms^-1"),
    "with places": labeled(D, "mm2 ms-1", **MM),
}


@pytest.mark.parametrize("container", SAME_D)
def test_a_diffusivity_is_the_same_in_any_container_order_and_unit(container):
    sheet = Tissue(D=SAME_D[container], conductive=LIVE, dx=DX)
    assert np.allclose(sheet.D, D, rtol=1e-14, atol=0) and sheet.D.dtype == np.float64 and sheet.D.dtype.isnative


def test_single_precision_whole_numbers_and_numpy_scalars_are_welcome():
    sheet = Tissue(D=np.ones(SHAPE, np.int16), conductive=LIVE.tolist(), dx=np.float32(0.5), seed=np.int64(3))
    assert sheet.D.dtype == np.float64 and type(sheet.dx) is float and type(sheet.seed) is int
    assert healthy(np.array(SHAPE), np.array(0.5), np.float32(0.125)).grid == Grid([4, np.int64(6)], 0.5)
    assert healthy(SHAPE, 1, 1).grid.size == (4.0, 6.0)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (D + 1j, "D: expected real numbers"),
        (D.astype(object), "D: expected real numbers"),
        (D.astype("datetime64[s]"), "D: expected real numbers"),
        (D > 0.2, "D: expected real numbers"),
        (np.ma.array(D, mask=D > 0.3), "D: expected finite"),
        (np.where(D > 0.3, np.nan, D), "D: expected finite"),
        (labeled(D, "mm"), "D: expected a unit such as"),
        (xr.DataArray(D, dims=("row", "x")), "D: expected dims"),
        (labeled(D, "mm2/ms", x=("x", np.arange(6.0) + 0.5, {"units": "mm"})), r"D.x: expected steps of dx = 0.5 mm"),
        (labeled(D, "mm2/ms", x=("x", np.arange(6) / 2 + 9, {"units": "mm"})), "from the corner of the sheet"),
        ("D", "D: expected"),
        (None, "D: expected"),
        (np.full(SHAPE, 1e300), "D: expected values >= 0"),
    ],
)
def test_a_diffusivity_that_is_none_is_refused(bad, message):
    with pytest.raises(ValueError, match=message):
        Tissue(D=bad, conductive=LIVE, dx=DX)


def test_a_number_says_its_unit_too():
    width, D0 = (xr.DataArray(value, attrs={"units": unit}) for value, unit in ((0.1, "cm"), (1.0, "cm2/s")))
    sheet = healthy(SHAPE, xr.DataArray(500.0, attrs={"units": "um"}), D0)
    assert sheet.dx == pytest.approx(0.5, rel=1e-14) and np.allclose(sheet.D, 0.1, rtol=1e-14)
    assert edge_stimulus(sheet, width=width).mask.sum() == 8
    with pytest.raises(ValueError, match="D0: expected a unit such as mm2 ms-1"):
        healthy(SHAPE, DX, xr.DataArray(1.0, attrs={"units": "ms"}))


def test_a_tissue_a_stimulus_and_its_maker_do_not_share_what_may_change():
    """A frozen, checked record stays what was checked: neither its arrays nor those of the caller change it."""
    D_own, live, mask = D.copy(), LIVE.copy(), LIVE.copy()
    sheet, stimulus = Tissue(D=D_own, conductive=live, dx=DX), Stimulus(mask=mask)
    D_own[:], live[:], mask[:] = np.nan, False, False
    assert np.array_equal(sheet.D, D) and np.array_equal(sheet.conductive, LIVE) and np.array_equal(stimulus.mask, LIVE)
    for array in (sheet.D, sheet.conductive, stimulus.mask):
        with pytest.raises(ValueError, match="read-only"):
            array[0, 0] = 0


@pytest.mark.parametrize("degrees", [45.0, -30, 360.0, np.float32(7)])
def test_an_angle_in_degrees_is_refused_and_says_so(degrees):
    sheet = healthy(SHAPE, DX, 0.1)
    with pytest.raises(ValueError, match="rad within one turn, not degrees"):
        with_fibers(sheet, angle=degrees, ratio=4.0)
    with pytest.raises(ValueError, match="rad within one turn, not degrees"):
        Tissue(D=D, conductive=LIVE, dx=DX, D_across=D, fiber_angle=np.full(SHAPE, float(degrees)))
    for angle in (labeled(np.full(SHAPE, degrees), "degrees"), xr.DataArray(degrees, attrs={"units": "deg"})):
        assert np.allclose(with_fibers(sheet, angle, 4.0).fiber_angle, np.radians(degrees), rtol=1e-6)
    assert with_fibers(sheet, 2 * np.pi, np.int64(4)).fiber_angle.max() == 2 * np.pi


def test_intervals_of_any_container_leave_earlier_beats_where_they_were():
    s1 = edge_stimulus(Grid(SHAPE, DX))
    seconds = xr.DataArray([0.05, 0.04], dims="beat", attrs={"units": "s"})
    for s2 in ([50, 40], (50.0, 40.0), np.array([50, 40]), torch.tensor([50.0, 40.0]), xr.DataArray([50, 40]), seconds):
        beats = s1_s2(s1, 100.0, 2, s2)
        assert [beat.start for beat in beats] == pytest.approx([0, 100, 150, 190], rel=1e-12)
        assert all(type(beat.start) is float for beat in beats)
    assert len(s1_s2(s1, 100.0, 2, [])) == 2
    assert [beat.start for beat in burst(s1, torch.tensor(50.0), np.int64(2))] == [0, 50]


def test_what_a_cell_was_given_is_kept_as_plain_numbers():
    values = FK_CAF.__dict__ | {"tau_d": np.float32(0.25), "k": 10, "tau_0": np.float64(32.5)}
    cell = FKParams(**values)
    assert [type(value) for value in (cell.tau_d, cell.k, cell.tau_0)] == [float, int, float]


SHEET, EDGE = healthy(SHAPE, DX, 0.1), edge_stimulus(Grid(SHAPE, DX))
REFUSED = {
    "sheet of floats": (lambda: healthy((4.0, 4.0), DX, 0.1), "shape"),
    "endless sheet": (lambda: healthy((10**6, 10**6), DX, 0.1), "shape"),
    "no D0": (lambda: healthy(SHAPE, DX, None), "D0"),
    "text for D0": (lambda: healthy(SHAPE, DX, "0.1"), "D0"),
    "text for dx": (lambda: Tissue(D=D, conductive=LIVE, dx="0.5"), "dx"),
    "two dx": (lambda: Tissue(D=D, conductive=LIVE, dx=(0.5, 0.25)), "dx"),
    "dx 0": (lambda: Grid(SHAPE, 0), "dx"),
    "dx nan": (lambda: Grid(SHAPE, float("nan")), "dx"),
    "dx true": (lambda: Grid(SHAPE, True), "dx"),
    "shape a number": (lambda: Grid(4, DX), "shape"),
    "conductive of numbers": (lambda: Tissue(D=D, conductive=LIVE.astype(int), dx=DX), "conductive"),
    "a condition of one's own": (lambda: Tissue(D=D, conductive=LIVE, dx=DX, condition="ill"), "condition"),
    "texture 0": (lambda: fibrotic(SHEET, 0), "texture"),
    "text for a seed": (lambda: gap_junction(SHEET, seed="1"), "seed"),
    "array for a tissue": (lambda: gap_junction(D), "tissue"),
    "text for a ratio": (lambda: with_fibers(SHEET, 0.1, "4"), "ratio"),
    "no angle": (lambda: with_fibers(SHEET, None, 4.0), "angle"),
    "text for a start": (lambda: Stimulus(mask=LIVE, start="a"), "stimulus start"),
    "complex mask": (lambda: Stimulus(mask=LIVE * 1j), "stimulus mask"),
    "masked mask": (lambda: Stimulus(mask=np.ma.array(LIVE, mask=LIVE)), "stimulus mask"),
    "side 3": (lambda: edge_stimulus(SHEET, 3), "side"),
    "text for a place": (lambda: focal_stimulus(SHEET, "1", 1.0), "x"),
    "beats in parts": (lambda: burst(EDGE, 100.0, 2.5), "n"),
    "endless beats": (lambda: burst(EDGE, 100.0, 10**30), "n"),
    "interval without a number": (lambda: burst(EDGE, None, 2), "interval"),
    "negative coupling": (lambda: s1_s2(EDGE, 100.0, 2, [-1.0]), "s2"),
    "complex coupling": (lambda: s1_s2(EDGE, 100.0, 2, np.array([50j])), "s2"),
    "a train of none": (lambda: s1_s2(None, 100.0, 2, [50.0]), "s1"),
    "site of another type": (lambda: s1_s2(EDGE, 100.0, 2, [50.0], LIVE), "site"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_other_input_is_refused_by_name(case):
    call, name = REFUSED[case]
    with pytest.raises(ValueError, match=f"^{name}: expected .*got"):
        call()
