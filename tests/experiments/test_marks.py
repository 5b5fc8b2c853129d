"""Marks of others than the delineators, and the shift of marks: what each must score by construction."""

import neurokit2 as nk
import numpy as np
import pytest

from experiments import beats, marks
from experiments.beats import DT, Traces
from forwardecg.data.maps import load_small
from forwardecg.ecg.electrodes import Electrodes
from forwardecg.signals.beats import Pacing
from forwardecg.signals.intervals import summarize_intervals


def bursts(n: int = 4, n_t: int = 800) -> Traces:
    """Rectangles of 60 to 120 ms on a line at 0, as ECG and as its labels."""
    labels = np.zeros((n, 1, n_t), bool)
    for k in range(n):
        for start in range(60 + 7 * k, n_t - 100, 170):
            labels[k, 0, start : start + 30 + 10 * k] = True
    return Traces(labels[:, 0].astype(float), labels, np.arange(n), np.array(["center"] * n))


def marks_of(true: Traces) -> list[np.ndarray]:
    """A peak in the middle of each wave, and its edges."""
    found = []
    for one in true.labels[:, 0]:
        steps = np.diff(one.astype(int))
        edges = DT * np.stack([np.flatnonzero(steps == 1) + 1, np.flatnonzero(steps == -1)], 1)
        found.append(np.column_stack([edges.mean(1), edges]))
    return found


def test_peaks_in_their_waves_score_one_and_others_are_extra():
    true = bursts()
    perfect = marks_of(true)
    table = summarize_intervals(marks.compare_peaks(true, perfect))
    assert table.f1 == 1 and table.onset == 0 == table.offset
    doubled = [np.concatenate([one, one + [0.5, 0, 0]]) for one in perfect]  # two peaks in each wave
    table = summarize_intervals(marks.compare_peaks(true, doubled))
    assert table.matched == table.extra and table.missed == 0 and table.f1 == pytest.approx(2 / 3)
    away = [one + 150.0 for one in perfect]
    table = summarize_intervals(marks.compare_peaks(true, away))
    assert table.f1 == 0 and table.missed == table.extra


def test_a_peak_without_edges_is_found_and_has_no_error():
    true = bursts()
    bare = [np.column_stack([one[:, 0], np.full((len(one), 2), np.nan)]) for one in marks_of(true)]
    table = marks.compare_peaks(true, bare)
    assert (table.outcome == "matched").all() and table.onset_error.isna().all()
    found = marks.summarize(table, ["wave"])
    assert found.f1[0] == 1 and found.onsets[0] == 0 and np.isnan(found.onset_mean[0])


def test_waves_that_the_ends_cut_are_not_scored():
    true = bursts(1)
    true.labels[0, 0, :20] = True
    table = marks.compare_peaks(true, [np.array([[10.0, np.nan, np.nan]])])
    assert "extra" not in {*table.outcome} and (table.onset > 0).all()


def test_the_library_finds_the_beats_of_a_patient_like_ecg_and_turns_it():
    ecg = nk.ecg_simulate(duration=6, sampling_rate=500, heart_rate=70, random_state=3)
    up, down = marks.library_marks(np.stack([ecg, -ecg]))["NeuroKit2, discrete wavelets"]
    assert len(up) == pytest.approx(7, abs=1) and np.abs(up[:, 0] - down[:, 0]).max() <= 10
    edges = up[np.isfinite(up).all(1)]
    assert len(edges) >= 4 and (edges[:, 1] < edges[:, 0]).all() and (edges[:, 0] < edges[:, 2]).all()


def test_a_trace_that_the_library_refuses_has_no_peaks():
    found = marks.library_marks(np.zeros((1, 1500)))
    assert {*found} == {*marks.LIBRARY} and all(one.shape == (0, 3) for (one,) in found.values())


def test_marks_do_not_shift_on_the_same_ecg_and_shift_with_it():
    """A reader that sees a threshold follows the ECG exactly."""
    true = bursts()

    def read(ecg: np.ndarray) -> np.ndarray:
        return ecg[:, None] > 0.5

    sources = {"true": true, "same": true, "late": true._replace(ecg=np.roll(true.ecg, 3, -1))}
    rows = marks.shift_marks(read, sources)
    same, late = (rows[(rows.source == name) & (rows.noise == 0)] for name in ("same", "late"))
    assert (same.outcome == "matched").all() and (same.onset_error == 0).all() and (same.offset_error == 0).all()
    assert (late.onset_error == 3 * DT).all() and (late.offset_error == 3 * DT).all()
    noisy = rows[(rows.source == "same") & (rows.noise > 0)]
    assert (noisy.onset_error.dropna() == 0).all(), "the noise is the same"


def test_short_gaps_are_closed_and_short_intervals_dropped():
    labels = np.zeros((1, 1, 100), bool)
    labels[0, 0, 10:30] = labels[0, 0, 33:50] = labels[0, 0, 80:84] = True
    kept = marks.clean(labels)[0, 0]
    assert np.flatnonzero(kept).tolist() == [*range(10, 50)]


def test_the_blind_lead_field_is_exact_in_uniform_tissue(tmp_path, monkeypatch):
    """Up to the pixels; the other two infer the conductivity from the maps, and come close."""
    monkeypatch.setattr(beats, "CACHE", tmp_path)
    which = beats.Recordings(n=20, n_cells=48, pacing=Pacing(t_end=500.0, cycle_high=400.0))
    found = marks.many_beats(which, [0])
    sampled = found["sampled"].ecg  # on these small sheets a front enters and leaves between two maps
    for name, least in {
        "true": 0.98,
        "blind lead field": 0.99,
        "training-free D": 0.9,
        "structured surrogate": 0.95,
    }.items():
        assert all(np.corrcoef(a, b)[0, 1] > least for a, b in zip(sampled, found[name].ecg, strict=True)), name
        assert found[name].labels is found["true"].labels


def test_single_beats_begin_at_rest_and_every_source_reads_the_same_beat(monkeypatch):
    """Of a tissue that comes with the repository; the paper's network sees such sheets alone."""
    small = load_small()
    monkeypatch.setattr(marks, "open_set", lambda name: small)
    found = marks.single_beats(1)
    n_t = round((900 + marks.BEFORE) / DT) + 1
    assert {"true", "paper's network", "structured surrogate", "sampled", "sampled every 10 ms"} <= {*found}
    for name, one in found.items():
        assert one.ecg.shape == (1, n_t) and one.labels.shape == (1, 2, n_t) and one.ecg.std() == pytest.approx(1)
        assert (one.ecg[0, :50] == one.ecg[0, 0]).all() and np.corrcoef(one.ecg, found["true"].ecg)[0, 1] > 0.6, name
    onset = DT * found["true"].labels[0].argmax(1)
    assert marks.BEFORE <= onset[0] < onset[1] < marks.BEFORE + 400


def test_one_lead_of_several():
    bank = Electrodes(np.arange(6.0).reshape(2, 3), ("a", "b"))
    one = marks._one_lead(bank, 1)
    assert one.names == ("b",) and one.positions.tolist() == [[3.0, 4.0, 5.0]]
