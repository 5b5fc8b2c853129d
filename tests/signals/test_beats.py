"""Recordings of many beats: how they are paced, and labels that are the voltage's own times."""

import numpy as np
import pytest
import xarray as xr
from scipy.stats import binomtest

from forwardecg.ecg.electrodes import standard_electrodes
from forwardecg.signals.beats import FIRST, Pacing, label_waves, simulate_beats
from forwardecg.tissue.sheet import healthy
from forwardecg.tissue.stimulus import edge_stimulus

DELAY = 2.0 * np.arange(101)  # ms, of the pixels along the wave: 200 ms from the first to the last
APD = 90.0


def movie(starts, t_end=1500.0, dt=2.0, reached=None) -> xr.DataArray:
    """Fronts that pass 101 pixels, with upstrokes of 4 ms and APD of 90 ms at the middle of the voltage; u."""
    t = np.arange(0.0, t_end + dt, dt)
    u = np.zeros((len(t), len(DELAY)))
    for n, start in enumerate(starts):
        since = t[:, None] - start - DELAY
        beat = np.clip(since / 4 + 0.5, 0, 1) * np.clip((APD - since) / 20 + 0.5, 0, 1)
        u = np.maximum(u, beat if reached is None else beat * reached[n])
    return xr.DataArray(u[:, None], {"time": t}, ("time", "y", "x"), attrs={"units": "u"})


def test_a_cycle_is_drawn_and_intervals_vary_around_it():
    regular = Pacing(t_end=4000.0, jitter=0.0, early=0.0)
    cycles = []
    for seed in range(300):
        starts = regular.draw(seed)
        assert FIRST[0] <= starts[0] <= FIRST[1] and starts[-1] <= regular.t_end - regular.cycle_low
        assert np.ptp(np.diff(starts)) <= 1.0, "whole ms of one cycle"
        cycles.append(np.diff(starts).mean())
    assert 350 <= min(cycles) < 360 and 690 < max(cycles) <= 700 and np.mean(cycles) == pytest.approx(525, abs=20)
    jittered = np.diff(Pacing(t_end=1e5, cycle_low=500.0, cycle_high=500.0, early=0.0, jitter=0.2).draw(0)) / 500
    assert 0.798 <= jittered.min() < 0.82 and 1.18 < jittered.max() <= 1.202
    assert jittered.std() == pytest.approx(0.2 / np.sqrt(3), rel=0.15)


def test_early_beats_come_as_often_and_as_early_as_asked_for():
    intervals = np.diff(
        Pacing(t_end=2e5, cycle_low=500.0, cycle_high=500.0, early=0.15, jitter=0.0, coupling=0.6).draw(1)
    )
    early = intervals < 400
    assert {*intervals[early]} <= {299.0, 300.0, 301.0} and {*intervals[~early]} <= {499.0, 500.0, 501.0}
    assert binomtest(int(early.sum()), early.size, 0.15).pvalue > 1e-3


def test_the_same_seed_gives_the_same_beats():
    assert (Pacing().draw(3) == Pacing().draw(3)).all()
    assert Pacing().draw(3)[0] != Pacing().draw(4)[0]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"jitter": 0.6}, "jitter: expected"), ({"early": -0.1}, "early: expected"), ({"coupling": 0.1}, "coupling: expected"),
        ({"cycle_high": 300.0}, "cycle_high: expected"), ({"t_end": 400.0}, "t_end: expected"), ({"cycle_low": 0.0}, "cycle_low: expected"),
    ],
)  # fmt: skip
def test_pacing_that_cannot_be_is_refused(wrong, said):
    with pytest.raises(ValueError, match=said):
        Pacing(**wrong)


def test_labels_are_the_times_of_the_front():
    """1 % of 101 pixels: the second one; 99 %: the one before the last."""
    starts = [50.0, 461.0, 803.0]
    waves = label_waves(movie(starts), starts)
    begin, end = DELAY[1], DELAY[-2]
    expected = np.array([[starts[n] + begin for n in range(3)], [starts[n] + begin + APD for n in range(3)]])
    assert waves.onset.values == pytest.approx(expected, abs=0.51), "half a sample of an upstroke of two samples"
    assert (waves.offset - waves.onset).values == pytest.approx(np.full((2, 3), end - begin), abs=1.01)
    assert waves.activated.values == pytest.approx(1) and (waves.repeated == 0).all()
    finer = label_waves(movie(starts, dt=0.5), starts)
    assert finer.onset.values == pytest.approx(expected, abs=1e-9), "upstrokes of eight samples are straight lines"


def test_a_beat_that_starts_before_the_last_one_has_arrived_everywhere():
    """At 180 ms the first front has 20 ms to go: each pixel still knows which beat it belongs to."""
    starts = [50.0, 230.0, 700.0]
    waves = label_waves(movie(starts, dt=0.5), starts)
    assert waves.onset.sel(wave="depolarization").values == pytest.approx(np.array(starts) + DELAY[1])
    assert waves.offset.sel(wave="depolarization").values == pytest.approx(np.array(starts) + DELAY[-2])
    assert waves.offset.sel(wave="repolarization").values == pytest.approx(np.array(starts) + DELAY[-2] + APD)


def test_a_blocked_beat_has_the_waves_of_the_pixels_that_it_reached():
    starts, reached = [50.0, 500.0, 900.0], np.ones((3, 101))
    reached[1, 51:] = 0  # blocked half-way
    waves = label_waves(movie(starts, dt=0.5, reached=reached), starts)
    assert waves.activated.values == pytest.approx([1, 51 / 101, 1])
    assert waves.offset.values[0] == pytest.approx([50 + DELAY[-2], 500 + DELAY[50], 900 + DELAY[-2]], abs=2.1)
    reached[1, 4:] = 0  # 4 of 101: no beat
    waves = label_waves(movie(starts, dt=0.5, reached=reached), starts)
    assert waves.beat.values.tolist() == [0, 2] and waves.start.values.tolist() == [50, 900]


def test_a_wave_that_is_not_over_ends_with_the_recording():
    waves = label_waves(movie([50.0, 400.0], t_end=600.0), [50.0, 400.0])
    assert waves.offset.values[1].tolist() == pytest.approx([50 + DELAY[-2] + APD, 600], abs=1)
    assert waves.offset.values[0, 1] == pytest.approx(400 + DELAY[-2], abs=1), "the front has just arrived"


def test_labels_do_not_depend_on_the_unit_the_order_of_dims_or_what_stands_still():
    starts = [50.0, 461.0]
    u = movie(starts, t_end=1000.0)
    usual = label_waves(u, starts)
    scar = xr.concat([u, 0 * u + 0.2], "y")  # half of the pixels never move
    volts = ((100 * u - 85) / 1000).assign_attrs(units="V").transpose("x", "time", "y")
    for other in (label_waves(volts, starts), label_waves(scar.assign_attrs(units="u"), starts)):
        assert np.allclose(other.onset, usual.onset) and np.allclose(other.offset, usual.offset)
        assert np.allclose(other.activated, 1)


def test_what_has_no_labels_is_refused():
    u = movie([50.0], t_end=600.0)
    with pytest.raises(ValueError, match="V_m: expected a beat that activates 5%"):
        label_waves(0 * u, [50.0])
    with pytest.raises(ValueError, match="starts: expected times in 0 .. 600 ms, got 700"):
        label_waves(u, [700.0])
    with pytest.raises(ValueError, match="starts: expected at least 1 increasing"):
        label_waves(u, [300.0, 50.0])
    with pytest.raises(ValueError, match="with a coordinate 'time'"):
        label_waves(u.drop_vars("time"), [50.0])
    with pytest.raises(ValueError, match="V_m: expected finite values"):
        label_waves(u.where(u < 0.9), [50.0])


@pytest.fixture(scope="module")
def recording():
    sheet = healthy((20, 80), 0.5, D0=0.13)
    given = {"pacing": Pacing(t_end=1000.0, cycle_high=400.0, early=0.0), "calibrated": False}
    site, electrodes = edge_stimulus(sheet), standard_electrodes(sheet, 10.0)
    return [simulate_beats(sheet, site, electrodes, seed=2, **given) for _ in range(2)]


def test_labels_of_a_simulation_are_its_activation_times(recording):
    """lat comes from every step of every cell, the labels from maps of 2 mm every 2 ms."""
    ds, _ = recording
    assert ds.sizes["beat"] >= 2 and (ds.activated > 0.99).all()
    first = ds.isel(beat=0).sel(wave="depolarization")
    onset, offset = np.nanquantile(ds.lat, [0.01, 0.99])
    assert float(first.onset) == pytest.approx(onset, abs=3), "a pixel of 2 mm is crossed in 3 ms"
    assert float(first.offset) == pytest.approx(offset, abs=3)
    assert (ds.onset[1] > ds.onset[0]).all() and (ds.offset[1] > ds.offset[0]).all(), (
        "it recovers after it was activated"
    )


def test_labels_of_a_recording_are_on_within_the_waves(recording):
    ds, _ = recording
    assert ds.labels.dims == ("wave", "time_ecg") and ds.labels.dtype == bool
    for wave in ds.wave.values:
        one = ds.sel(wave=wave)
        on = ds.time_ecg.values[one.labels.values]
        inside = (on[:, None] >= one.onset.values) & (on[:, None] <= one.offset.values)
        assert (inside.sum(1) == 1).all()
        assert len(on) * 2.0 == pytest.approx(float((one.offset - one.onset).sum()), abs=2.0 * ds.sizes["beat"])


def test_a_recording_is_a_function_of_its_seed(recording):
    one, same = recording
    xr.testing.assert_identical(one, same)
