"""What maps show of themselves: seams, cut edges, the cause of what is unusual, rest and amplitude."""

import math

import numpy as np
import pytest
import torch

import forwardecg
from forwardecg.data.maps import import_maps
from forwardecg.measure.bands import fit_reference
from forwardecg.solver.simulation import simulate
from forwardecg.surrogates.recording import inspect
from forwardecg.surrogates.seen import read_tissue
from forwardecg.surrogates.structured.fronts import read_fronts
from forwardecg.surrogates.structured.model import describe_maps, make_inputs
from forwardecg.surrogates.trust import (
    CAUSES,
    ENDS,
    ENDS_TIME,
    crossing_times,
    farthest,
    on_grid,
    out_of_time,
    runs_on,
    score_features,
    torn,
)
from forwardecg.tissue.sheet import healthy
from forwardecg.tissue.stimulus import edge_stimulus


def ring(n=60, c=0.5, dx=2.0, at=(0.3, 0.4)):
    """Times in ms of a wave that starts at a point of a whole sheet, and leaves it at all edges."""
    y, x = (dx * (np.arange(n) + 0.5) for _ in range(2))
    return np.hypot(y[:, None] - at[0] * n * dx, x - at[1] * n * dx) / c


def test_crossing_times_are_those_of_the_wave():
    times = 20 + ring(20)
    t = 5.0 * np.arange(60)[:, None, None]
    share = np.random.default_rng(0).uniform(0.3, 1, times.shape)
    u = share * np.clip((t - times) / 12 + 0.5, 0, 1)  # linear in time: the crossing is exact
    assert np.allclose(crossing_times(u, 5.0), times, atol=0.01)
    u[:, 3, 4] = 0.0
    mask = np.ones(times.shape, bool)
    mask[7, 7] = False
    found = crossing_times(u, 5.0, mask)
    assert np.isnan(found[3, 4]) and np.isnan(found[7, 7]) and np.isfinite(found).sum() == 398


def test_a_whole_sheet_is_not_torn_and_its_parts_are():
    whole = ring()
    rng = np.random.default_rng(1)
    assert torn(whole, 2.0) == [] and torn(whole + rng.normal(0, 2, whole.shape), 2.0) == []
    (words,) = torn(whole[25:], 2.0)  # below the focus: fronts come in through the upper edge
    assert words.startswith("completeness: fronts come in through") and "seam" not in words
    plane = np.tile(2.0 * np.arange(60) / 0.5, (60, 1))  # comes in through one edge at once, with nothing stimulated
    assert torn(plane, 2.0)[0].startswith("completeness: fronts come in through 120 mm")
    for turned in (whole[25:].T, whole[25:][::-1], whole[25:].T[:, ::-1]):
        assert torn(turned, 2.0) == [words]


@pytest.mark.parametrize("axis", [0, 1])
def test_two_sheets_side_by_side_have_a_seam(axis):
    both = np.concatenate([ring(40), 60 + ring(40, at=(0.8, 0.7))], axis)
    (words,) = [word for word in torn(both, 2.0) if word.startswith("seam")]
    assert words.endswith(f"along a line at {'yx'[axis]} = 80 mm")
    laced = ring(40)
    laced[::2] = 60 + ring(40, at=(0.8, 0.7))[::2]
    assert any(word.startswith("seam") for word in torn(laced if axis == 0 else laced.T, 2.0))


def test_a_collision_and_a_line_of_block_with_a_gap_are_no_seam():
    x = 2.0 * np.arange(60)
    both = np.maximum(np.minimum(x, 118 - x) - 4, 0) / 0.5  # from two stimulated edges; they meet in the middle
    meeting = np.tile(both, (60, 1))
    assert torn(meeting, 2.0) == []
    blocked = ring()
    blocked[:20, 36:] += 80.0  # a third of a line is blocked, and passed around later
    assert torn(blocked, 2.0) == []


def test_tissue_without_a_front_says_nothing():
    assert torn(np.full((20, 20), np.nan), 2.0) == [] and torn(np.zeros((20, 20)), 2.0) == []


def beat(times, n_t=120, duration=80.0):
    """Maps every 5 ms of tissue that is activated at these times, and at rest again after the duration."""
    since = 5.0 * np.arange(n_t)[:, None, None] - times
    return np.minimum(np.clip(since / 5, 0, 1), np.clip(1 - (since - 0.7 * duration) / (0.3 * duration), 0, 1))


@pytest.mark.parametrize(("first", "share"), [(0, 0.0), (2, 0.0), (12, 0.06), (24, 0.15)])
def test_a_recording_that_begins_after_the_wave_is_told_so(first, share):
    u = beat(20 + ring())[first:]
    number = ((u[:-1] < 0.5) & (u[1:] >= 0.5)).sum(0)
    flags = out_of_time(u, number, 5.0)
    assert len(flags) == (share > 0)
    if flags:
        assert flags[0].endswith("passed by no front: the recording begins after the wave")
        assert int(flags[0].split("%")[0].removeprefix("time: ")) >= 100 * share
    both = np.concatenate([u, beat(20 + ring())])  # a second beat passes all of the tissue
    assert out_of_time(both, number + 1, 5.0) == []


def shorter_at_edges(times, dx=2.0, c=0.5, kappa=0.226):
    """Durations in ms that fall off toward the edges that a front runs into, as far as the current spreads."""
    reach, found = math.sqrt(ENDS_TIME * kappa) * c, np.full(times.shape, 80.0)
    for z, t in ((found, times), (found[::-1], times[::-1]), (found.T, times.T), (found.T[::-1], times.T[::-1])):
        ends = (t[0] - t[3]) / 3 > np.abs(np.gradient(t[0]))
        begin = dx * np.arange(8)[:, None]  # of pixels, from the edge
        z[:8] -= np.where(ends, ENDS * reach / dx * (np.exp(-begin / reach) - np.exp(-(begin + dx) / reach)), 0.0)
    return found + np.random.default_rng(0).normal(0, 0.5, found.shape)


@pytest.mark.parametrize("at", [(0.3, 0.4), (0.02, 0.02), (0.5, 0.02)])
def test_action_potentials_are_shorter_where_a_front_ends_and_not_where_a_sheet_was_cut(at):
    times = ring(80, at=at)
    duration = shorter_at_edges(times)
    assert runs_on(duration, times, 2.0, 0.226) == [], "a whole sheet, with its focus inside, in a corner, at an edge"
    cut = (slice(None), slice(None, 52))  # the focus is inside: no front comes in
    assert torn(times[cut], 2.0) == []
    (words,) = runs_on(duration[cut], times[cut], 2.0, 0.226)
    assert words.startswith("completeness: fronts leave through") and int(words.split()[4]) <= 2 * 80
    assert runs_on(np.where(duration > 0, np.nan, 0), times, 2.0, 0.226) == [], "nothing is known of the beats"
    noisy = duration + np.random.default_rng(1).normal(0, 20, duration.shape)
    assert runs_on(noisy[cut], times[cut], 2.0, 0.226) == [], "nothing is said where it cannot be resolved"


def test_half_of_the_tissue_that_a_mask_leaves_out_does_not_count():
    u = beat(20 + ring())[24:]
    number, left = ((u[:-1] < 0.5) & (u[1:] >= 0.5)).sum(0), np.zeros(u.shape[1:], bool)
    left[:, 52:] = True  # far from the stimulus, at rest in the first frame
    assert out_of_time(u, number, 5.0) and out_of_time(u, number, 5.0, left) == []


def test_a_frame_of_another_time_is_named():
    u, number = beat(20 + ring()), np.ones((60, 60))
    assert out_of_time(u, number, 5.0) == []
    small = beat(20 + ring(8))  # all of it is activated within some frames
    assert out_of_time(small, np.ones((8, 8)), 5.0) == []
    for value in (0.0, 1.0):
        wrong = u.copy()
        wrong[20] = value
        (words,) = out_of_time(wrong, number, 5.0)
        assert words.startswith("time: the frame at 100 ms is unlike both of its neighbors")
    wrong = u.copy()
    wrong[:-1:2], wrong[1::2] = u[1::2], u[:-1:2]
    assert "frames are out of order" in out_of_time(wrong, number, 5.0)[0]


def test_these_words_are_among_the_flags_of_what_is_seen():
    u = torch.from_numpy(beat(20 + ring())).float()
    assert read_tissue(u, 2.0, 5.0, {}).flags == []
    u[20] = 0.0
    assert any(words.startswith("time: the frame at 100 ms") for words in read_tissue(u, 2.0, 5.0, {}).flags)


def test_no_map_shows_the_size_of_its_pixels_nor_a_mirror():
    """V(x / q, t) solves the equation with q^2 D(x / q), and V(-x, t) with D(-x): the maps are the same, the tissue is not."""

    def recorded(q, side="left"):
        sheet = healthy((24, 32), 0.5 * q, 0.13 * q**2)
        stimuli = [edge_stimulus(sheet, side, width=2.0 * q)]
        return simulate(sheet, stimuli, t_end=40, frame_interval=5, pool=4, calibrated=False).V_m.values

    V = recorded(1)
    assert (V.max(0) > -30).mean() > 0.5
    np.testing.assert_allclose(recorded(2), V, atol=1e-4)
    np.testing.assert_allclose(recorded(1, "right")[:, :, ::-1], V, atol=1e-3)


def test_the_grid_of_the_training_adds_nothing():
    assert np.array_equal(on_grid(2.0, 5.0), np.zeros(4)) and np.allclose(on_grid(4.0, 10.0), 1.0)
    rows = score_features(np.zeros((2, 3)), np.array([[1.0, 1.0], [0, 0]]), np.array([[10.0, 10.0], [1, 1]]), 4.0, 5.0)
    assert np.allclose(rows[0], [0, 0, 0, np.log(0.1), 1, 0]) and rows[1, 3] == np.log(1e-4)


def test_the_nearest_cloud_counts_and_the_cause_is_what_is_off():
    rng = np.random.default_rng(2)
    k = len(CAUSES)
    clouds = [fit_reference(m + rng.normal(size=(400, k)), m + rng.normal(size=(300, k))) for m in (0.0, 30.0)]
    for center in (0.0, 30.0):
        assert farthest(clouds, np.full(k, center))[0] < 0.5
    for j in (0, 1, 4, 10):
        row = np.zeros(k)
        row[j] = 25.0
        score, cause = farthest(clouds, row)
        assert score > 1 and cause == CAUSES[j]


def test_every_entry_of_the_description_has_a_cause():
    u = torch.from_numpy(forwardecg.load_small().V_m[0].values.astype(np.float32) + 85) / 100
    f = read_fronts(u, 2.0, 5.0)
    assert len(describe_maps(make_inputs(f, 2.0, 5.0), f)) == len(CAUSES)


# Rest and amplitude of a recording


def recorded(V, unit="mV"):
    """The maps after inspection, and the flags."""
    return inspect(import_maps(V, dx=2.0, dt=5.0, unit=unit))


@pytest.mark.parametrize(("rest", "amplitude"), [(-85, 115), (-75, 110), (-90, 90), (-70, 130)])
def test_rest_and_amplitude_are_read_off_the_recording_and_taken_out(rest, amplitude):
    V = forwardecg.load_small().V_m.values.astype(np.float64)
    for sheet in (V[0], V[2]):  # without and with fibrosis
        maps, flags = recorded(rest + (sheet + 85) * amplitude / 100)
        assert maps.attrs["rest"] == pytest.approx(rest, abs=0.3) and flags == []
        assert maps.attrs["amplitude"] == pytest.approx(amplitude, rel=0.01)
        assert np.abs(maps.V_m.values - sheet).max() < 1.0


def test_the_ecg_is_linear_in_the_amplitude_of_the_recording():
    surrogate, V = forwardecg.load_surrogate(), forwardecg.load_small().V_m[2].values.astype(float)
    right = surrogate.predict(V, 2.0, 5.0, unit="mV")
    for amplitude in (88.0, 125.0):
        out = surrogate.predict(-85 + (V + 85) * amplitude / 100, 2.0, 5.0, unit="mV")
        expected = right.phi_e.values * amplitude / 100
        assert np.abs(out.phi_e - expected).max() < 0.03 * np.abs(expected).max()
        assert np.allclose(out.D, right.D, rtol=0.05)
        assert ("amplitude near" in out.attrs["flags"]) == (amplitude < 90)
    assert right.attrs["rest"] == -85 and right.attrs["amplitude"] == 100


def test_fibrosis_is_not_taken_for_a_small_amplitude():
    rng = np.random.default_rng(3)
    V = forwardecg.load_small().V_m[0].values.astype(float)
    share = rng.binomial(16, 0.6, V.shape[1:]) / 16  # no pixel conducts wholly
    maps, flags = recorded(-85 + share * (V + 85))
    assert "amplitude" not in maps.attrs and len(flags) == 0
    maps, flags = recorded(-85 + 0.8 * share * (V + 85))
    assert "amplitude" not in maps.attrs
    assert flags[0].startswith("amplitude cannot be told from fibrosis") and "100 mV is assumed" in flags[0]


def test_pixels_that_were_normalized_one_by_one_are_named():
    V = forwardecg.load_small().V_m[2].values.astype(float)
    own = -85 + 100 * (V + 85) / np.maximum((V + 85).max(0), 1.0)
    assert any("every pixel has the same rest and peak" in words for words in recorded(own)[1])


def test_tissue_that_never_depolarizes_as_a_pixel_mean_is_told_so():
    V = forwardecg.load_small().V_m[0].values.astype(float)
    for unit, factor, offset in (("mV", 1.0, 0.0), ("V", 1e-3, 0.0), ("u", 0.01, 0.85)):
        weak = factor * (-85 + 0.4 * (V + 85)) + offset
        with pytest.raises(ValueError, match="the mean of no pixel rises above -45.* mV; no wave, or tissue in which"):
            recorded(weak, unit=unit)
    with pytest.raises(ValueError, match="plausible in u"):
        recorded((V + 85) / 100)
