"""Scores against values worked out by hand."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from forwardecg.measure.scores import (
    correlation,
    landmarks,
    normalize,
    r2,
    rrmse,
    score_ecgs,
    score_spectra,
    score_timing,
    summarize,
)

TRUE = np.array([[1.0, 2.0, 3.0, 6.0], [0.0, 2.0, -2.0, 0.0]])  # means 3 and 0; sum of squares about them 14 and 8


def test_r2_is_one_for_the_truth_and_zero_for_its_mean():
    assert np.array_equal(r2(TRUE, TRUE), [1, 1])
    assert np.array_equal(r2(TRUE, np.array([[3.0] * 4, [0.0] * 4])), [0, 0])


def test_r2_by_hand():
    pred = TRUE + [[1, 0, 0, -2], [0, 0, 4, 0]]
    assert np.allclose(r2(TRUE, pred), [1 - 5 / 14, 1 - 16 / 8])


def test_r2_is_per_tissue_and_not_pooled():
    """A good trace must not hide a bad one, and the amplitude of one must not weigh on the other."""
    pred = np.stack([TRUE[0] + 1, TRUE[1]])
    scaled = np.array([[1000.0], [1.0]])
    assert np.allclose(r2(TRUE, pred), [1 - 4 / 14, 1])
    assert np.allclose(r2(scaled * TRUE, scaled * pred), r2(TRUE, pred))


def test_a_wrong_scale_is_seen_by_all_but_the_correlation():
    """y_hat = a y: R2 = 1 - (1 - a)^2 sum y^2 / sum (y - mean)^2, rRMSE = |1 - a|, correlation 1."""
    table = score_ecgs(TRUE, 0.7 * TRUE)
    assert np.allclose(table.r2, [1 - 0.09 * 50 / 14, 1 - 0.09])
    assert np.allclose(table.rrmse, 0.3)
    assert np.allclose(table.correlation, 1)
    assert np.allclose(table.r2_normalized, 1)
    assert np.allclose(table.peak_error, -0.3)


def test_rrmse_and_correlation_by_hand():
    pred = np.array([[1.0, 2.0, 3.0, 1.0], [0.0, -2.0, 2.0, 0.0]])
    assert np.allclose(rrmse(TRUE, pred), [5 / np.sqrt(50), 2])
    assert np.allclose(correlation(TRUE, pred), [np.corrcoef(TRUE[0], pred[0])[0, 1], -1])


def test_normalized_traces_have_mean_zero_and_sd_one():
    z = normalize(TRUE)
    assert np.allclose(z.mean(-1), 0) and np.allclose(z.std(-1), 1)
    assert np.allclose(normalize(5 * TRUE + 3), z)


@pytest.mark.parametrize("level", [0.0, 0.1, -85.0])
def test_a_flat_truth_has_no_score_and_is_counted(level):
    true = np.stack([np.full(7, level), np.arange(7.0)])
    pred = np.arange(14.0).reshape(2, 7)
    table = score_ecgs(true, pred)
    assert np.isnan(table.r2[0]) and np.isnan(table.correlation[0]) and np.isnan(table.r2_normalized[0])
    assert np.isfinite(table.loc[1]).all()
    assert summarize(table.r2)["flat"] == 1 and summarize(table.r2)["n"] == 1


def test_single_precision_scores_as_double():
    """Traces come from torch in float32: a constant must be flat there too."""
    flat = np.full((1, 7), 0.1, np.float32)
    assert np.isnan(r2(flat, flat + 1)) and np.isnan(correlation(flat, TRUE[:1, [0, 1, 2, 3, 0, 1, 2]]))
    a, b = TRUE.astype(np.float32), (TRUE + 0.3).astype(np.float32)
    assert np.array_equal(r2(a, b), r2(a.astype(float), b.astype(float)))


def test_a_flat_prediction_has_no_correlation():
    assert np.isnan(correlation(TRUE, np.full_like(TRUE, 0.1))).all()


def test_summary_by_hand():
    row = summarize(pd.Series([0.5, 1.0, 0.9, np.nan]))
    assert row.to_dict() == pytest.approx(
        {"mean": 0.8, "sd": np.sqrt(0.07), "median": 0.9, "worst": 0.5, "n": 3, "flat": 1}
    )


@pytest.mark.parametrize("score", [r2, rrmse, correlation])
def test_shapes_that_do_not_match_are_refused(score):
    """Not broadcast: (n, T) beside (T,) would give a number."""
    for pred in (TRUE[0], TRUE[:, :3], TRUE[:1]):
        with pytest.raises(ValueError, match=r"ecg_pred: expected .* of shape \(2, 4\)"):
            score(TRUE, pred)
    with pytest.raises(ValueError, match=r"ecg_true: expected .* of shape \(any, any\)"):
        score(TRUE[0], TRUE[0])


def test_band_errors_are_those_of_the_tones_in_the_band():
    """A tone of 10 Hz right and one of 30 Hz half as large: no error below 20 Hz, one half above."""
    t = np.arange(0, 1000, 5.0)
    slow, fast = (np.sin(2 * np.pi * f * t / 1000) for f in (10, 30))
    table = score_spectra((slow + 0.2 * fast)[None], (slow + 0.1 * fast)[None], dt=5.0)
    assert table.band_error_0_20[0] == pytest.approx(0, abs=1e-3) and table.band_error_20_50[0] == pytest.approx(
        0.5, abs=1e-3
    )
    noise = np.random.default_rng(0).normal(size=(1, 200))
    scaled = score_spectra(noise, 10 * noise, dt=5.0)
    assert scaled.log_spectral_distance[0] == pytest.approx(20, abs=0.5), (
        "a factor of 10 is 20 dB, where there is power"
    )
    with pytest.raises(ValueError, match="dt: expected a number > 0 and <= 10 ms"):
        score_spectra(slow[None], fast[None], dt=20.0)


def test_landmarks_of_a_triangle_and_its_mirror():
    t = np.arange(0.0, 101.0, 5.0)
    ecg = np.interp(t, [0, 20, 40, 60, 80, 100], [0, 0, 2, -1, 0, 0])  # up, through zero at 53.3, down
    both = landmarks(t, np.array([ecg, -ecg]))
    assert both.onset.tolist() == pytest.approx([21, 21])  # 5 % of 2, on a rise of 0.1 a ms
    assert both.end.tolist() == pytest.approx([78, 78])
    assert both.maximum.tolist() == [40, 60] and both.minimum.tolist() == [60, 40]
    assert both.zero_crossing.tolist() == pytest.approx([160 / 3, 160 / 3]) and both.amplitude.tolist() == [3, 3]
    no_crossing = landmarks(t, np.abs(ecg)[None])
    assert np.isnan(no_crossing.zero_crossing[0]) and no_crossing.amplitude[0] == 2
    with pytest.raises(ValueError, match=r"ecg: expected .* of shape \(any, 21\)"):
        landmarks(t, ecg[None, :-1])


def test_a_delay_is_a_timing_error_and_a_gain_an_amplitude_error():
    t = np.arange(0.0, 200.0, 1.0)
    shape = lambda t: np.exp(-(((t - 70) / 12) ** 2)) - 0.7 * np.exp(-(((t - 110) / 9) ** 2))  # noqa: E731
    table = score_timing(t, shape(t)[None], 1.5 * shape(t - 7)[None])
    for name in ("onset", "end", "zero_crossing", "peak_time"):
        assert table[f"{name}_error"][0] == pytest.approx(7, abs=0.1)
    assert table.amplitude_error[0] == pytest.approx(0.5)
    upside_down = score_timing(t, shape(t)[None], -shape(t)[None])
    assert upside_down.peak_time_error[0] == 40, "the deflection of the same sign is the other one"


def test_labels_are_read_and_a_mask_is_no_number():
    """Dims by name, in any order; a unit once; NaN behind a mask is refused as any NaN."""
    rng = np.random.default_rng(0)
    true, pred = rng.normal(size=(2, 3, 50))
    label = lambda ecg: xr.DataArray(ecg, dims=("lead", "time_ecg"), attrs={"units": "mV"})  # noqa: E731
    right = score_ecgs(true, pred)
    for one, other in (
        (label(true).T, label(pred)),
        (label(true), label(pred).T),
        (label(true), (label(pred) / 1000).assign_attrs(units="V")),
        (true.tolist(), np.asfortranarray(pred)),
        (true.astype(">f8"), np.ma.masked_array(pred)),
    ):
        pd.testing.assert_frame_equal(score_ecgs(one, other), right, rtol=1e-12)
    for wrong in (np.ma.masked_array(pred, mask=pred > 2), pred + 0j, pred.astype("M8[ns]"), pred.astype(object)):
        with pytest.raises(ValueError, match="ecg_pred: expected"):
            r2(true, wrong)
    with pytest.raises(ValueError, match="ecg_pred: expected a unit such as"):
        r2(label(true), label(pred).assign_attrs(units="K"))


@pytest.mark.parametrize("t", [np.arange(9.0)[::-1], np.full(9, np.nan), np.zeros(9), np.arange(9) * 1j, "a", [0.0]])
def test_landmarks_need_increasing_times(t):
    with pytest.raises(ValueError, match="t: expected"):
        landmarks(t, np.ones((1, 9)))


@pytest.mark.parametrize("dt", [0.0, -1.0, np.nan, "5", None, True])
def test_spectra_need_a_step_in_time(dt):
    with pytest.raises(ValueError, match="dt: expected a number > 0"):
        score_spectra(TRUE, TRUE, dt)


def test_summary_takes_any_container():
    assert summarize([0.5, 1.0, np.nan]).equals(summarize(pd.Series([0.5, 1.0, np.nan])))
    with pytest.raises(ValueError, match="r2_values: expected"):
        summarize(["a", "b"])
