"""Delineators: the parts of the experiment, on traces without a simulation."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
import torch

from compendium import external
from experiments import beats, delineation
from experiments.beats import DT, Traces
from experiments.delineation import LOSSES, DelineationTask, Terms, Trained, UNet, predict
from experiments.marks import NOISES, RULE_GAP, SHARES, SMOOTHINGS, add_noise, compare, slope_rule, summarize
from forwardecg.paths import RESULTS
from forwardecg.signals.beats import WAVES, Pacing
from forwardecg.signals.intervals import read_intervals, summarize_intervals
from forwardecg.surrogates.train import TrainConfig, fit, initialize


def traces(n: int = 6, n_t: int = 700, seed: int = 0) -> Traces:
    """Bursts of 60 ms at irregular times, each followed by a slow wave."""
    rng, t = np.random.default_rng(seed), np.arange(n_t)
    ecg, labels = np.zeros((n, n_t)), np.zeros((n, 2, n_t), bool)
    for k in range(n):
        for start in np.cumsum(rng.integers(150, 220, 4)) - 100:
            for wave, (first, length, size) in enumerate(((start, 30, 1.0), (start + 40, 60, -0.4))):
                on = (t >= first) & (t < first + length)
                labels[k, wave] |= on
                ecg[k] += size * on * np.sin(2 * np.pi * (t - first) / length)
    return Traces(beats.standardize(ecg), labels, np.arange(n), np.array(["center"] * n))


def test_the_network_is_small_and_keeps_the_length_of_a_trace():
    model = initialize(UNet, 0)
    size = sum(4 * weights.numel() for weights in model.parameters())
    assert size < 160_000
    for n_t in (640, 1501, 333):
        assert model(torch.zeros(2, n_t)).shape == (2, 2, n_t)


def test_true_labels_score_one_for_every_wave():
    true = traces()
    table = compare(true, true.labels)
    assert {*table.wave} == {*WAVES} and summarize_intervals(table).f1 == 1 and (table.onset_error == 0).all()
    assert {*table.sim} == {*range(6)} and {*table.lead} == {"center"}


def test_instances_are_counted_late():
    generator = torch.Generator().manual_seed(0)
    logits, y = torch.randn(2, 2, 50, generator=generator), torch.zeros(2, 2, 50)
    y[..., 10:30] = 1
    full, bare = LOSSES["Dice + BoundDice + F1Instance"], LOSSES["Dice + BoundDice"]
    assert torch.equal(full.loss(logits, y, 0.4), bare.loss(logits, y, 0.4))
    assert (full.loss(logits, y, 0.7) > bare.loss(logits, y, 0.7)).all()
    half, whole = (full.loss(logits, y, done) - bare.loss(logits, y, done) for done in (0.55, 0.9))
    assert torch.allclose(2 * half, whole, atol=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_a_few_steps_lower_the_loss(name, one_thread):
    true = traces()
    task = DelineationTask(true, true, LOSSES[name])
    history = fit(initialize(UNet, 1), task, TrainConfig(epochs=4, batch=3, lr=1e-2))
    assert history.loss[1] < history.loss[0] and history.val_r2.between(0, 1).all()


def test_what_is_drawn_is_a_window_and_its_labels():
    """Distorted by a sign, noise and a slow baseline, but in step with the labels."""
    true = traces()
    ecg, y = DelineationTask(true, true, Terms(dice=1.0)).draw(torch.arange(6), torch.Generator().manual_seed(2))
    assert ecg.shape == (6, 640) and y.shape == (6, 2, 640)
    power = (ecg - ecg.median(-1, keepdim=True).values).square()
    assert (power[y[:, 0] == 1].mean() > 4 * power[(y == 0).all(1)].mean()).item()


def test_the_rule_finds_the_bursts_and_noise_spoils_its_ends():
    """The slow wave is too flat for it."""
    true = traces()
    clean, noisy = (
        summarize_intervals(compare(true, slope_rule(add_noise(true.ecg, level), 0.25, 10.0), 40.0))
        for level in (0.0, 1.0)
    )
    assert clean.f1 > 0.95 and clean.onset <= 12 and clean.offset <= 12
    assert noisy.f1 < clean.f1


def test_the_rule_is_chosen_by_its_f1_and_no_other_scores_more():
    true = traces()
    tried = delineation.try_rules(true)
    assert len(tried) == len(SHARES) * len(SMOOTHINGS) * 6
    rule = delineation.choose_rule(tried)
    rows = compare(true, slope_rule(add_noise(true.ecg, NOISES[-1], seed=1), **rule), RULE_GAP)
    own = summarize(rows, ["wave", "sim"]).f1.mean()
    assert own == pytest.approx(tried.groupby(["share", "smooth"]).f1.mean().max()) and own > 0.5


def test_the_published_rule_is_the_one_that_validation_tissues_choose():
    """And it does not lie at the end of what was tried, so a wider search would choose it, too."""
    table = pd.read_csv(RESULTS / "runs" / "delineation.csv")
    of_rule = table[table.method == "slope rule"]
    tried, used = (of_rule[of_rule.part == part] for part in ("val", "test"))
    assert {*zip(tried.share, tried.smooth, strict=True)} == {*product(SHARES, SMOOTHINGS)}
    rule = delineation.choose_rule(tried)
    assert (used[[*rule]] == pd.Series(rule)).all(axis=None)
    assert min(SHARES) < rule["share"] < max(SHARES) and min(SMOOTHINGS) < rule["smooth"] < max(SMOOTHINGS)


def test_prediction_does_not_depend_on_the_batch():
    true, model = traces(), initialize(UNet, 0)
    assert np.array_equal(predict(model, true.ecg)[:2], predict(model, true.ecg[:2]))


class Known(torch.nn.Module):
    """A network whose probability is the trace itself, of both waves."""

    def forward(self, ecg):
        return torch.logit(ecg[:, None].expand(-1, 2, -1).clamp(1e-6, 1 - 1e-6))


def test_marks_between_samples_lie_where_a_straight_line_crosses_the_level():
    p = np.interp(np.arange(100.0), [20, 30, 60, 80], [0, 1, 1, 0])[None]  # rises in 20 ms, falls in 40 ms
    for level, onset, offset in ((0.5, 50.0, 140.0), (0.25, 45.0, 150.0)):
        labels = delineation.predict_between(Known(), p, level)
        assert labels.shape == (1, 2, 397)
        (found,) = read_intervals(labels[0, 0], delineation.FINE)
        assert found == pytest.approx([onset, offset], abs=delineation.FINE)
    assert not delineation.predict_between(Known(), 0.4 * p, 0.25).any(), "no wave has a probability above one half"


def test_at_one_half_the_marks_between_samples_contain_those_of_the_samples():
    true, model = traces(), initialize(UNet, 0)
    fine = delineation.predict_between(model, true.ecg, 0.5)[..., :: round(DT / delineation.FINE)]
    assert np.array_equal(fine, predict(model, true.ecg))


def test_parts_share_no_tissue_and_have_all_conditions():
    parts = beats.split(100)
    assert sorted(sum(parts.values(), [])) == [*range(100)]
    assert {name: len(sims) for name, sims in parts.items()} == {"test": 25, "val": 15, "train": 60}
    for sims in parts.values():
        assert {sim % 5 for sim in sims} == {*range(5)}
    with pytest.raises(ValueError, match="n: expected at least 20"):
        beats.split(8)


def test_a_recording_is_simulated_once(tmp_path, monkeypatch):
    """Maps every 4 ms to 0.01 mV, labels and ECG as they were."""
    monkeypatch.setattr(beats, "CACHE", tmp_path)
    which = beats.Recordings(n=20, n_cells=24, pacing=Pacing(t_end=500.0, cycle_high=400.0))
    first = beats.load_or_simulate(which, 1)
    monkeypatch.setattr(beats, "simulate_beats", None)
    assert first.identical(beats.load_or_simulate(which, 1))
    assert first.sizes["time"] == 126 and first.phi_e.shape == (3, 251) and first.labels.shape == (2, 251)
    read = beats.traces(which, [1])
    assert read.ecg.shape == (3, 251) and read.ecg.std(-1) == pytest.approx(1) and read.lead.tolist() == [*beats.LEADS]
    assert read.labels.dtype == bool and read.labels.any((0, 2)).all()
    assert np.array_equal(beats.exact_labels(which, [1], DT), read.labels)
    fine = beats.exact_labels(which, [1], DT / 4)
    assert fine.shape == (3, 2, 1001) and np.array_equal(fine[..., ::4], read.labels)


def test_an_ecg_of_a_patient_with_its_marks():
    try:
        true, marks = beats.annotated()
    except FileNotFoundError as error:
        pytest.skip(str(error))
    assert true.ecg.shape == (12, 5000) and len(marks) == 300
    table = compare(true._replace(labels=true.labels[:, :1]), true.labels[:, :1])
    assert (table.outcome == "matched").all() and len(table) == 12 * 8
    qrs = np.diff(true.labels[0, 1].astype(int)) > 0
    rate = 60e3 / (DT * np.diff(np.flatnonzero(qrs)).mean())
    assert 40 < rate < 120, "beats a minute"


def test_what_nobody_has_judged_is_no_row():
    """A reader that calls everything a wave finds one in each lead; one that calls all before the first mark so, none."""
    try:
        true, marks = beats.annotated()
    except FileNotFoundError as error:
        pytest.skip(str(error))

    class Reader(torch.nn.Module):
        def __init__(self, last: int):
            super().__init__()
            self.last = last

        def forward(self, ecg):
            on = (torch.arange(ecg.shape[-1]) < self.last).float() - 0.5
            return on.expand(len(ecg), 2, -1)

    for last, extra in ((5000, 12), (int(marks.onset_sample.min()) - 1, 0)):
        rows = delineation.read_patient(Reader(last))
        assert rows.groupby("wave").size().to_dict() == {"P": 96 + extra, "QRS": 108 + extra}
        assert {*rows.outcome} == {"missed"} | ({"extra"} if extra else set())


def test_a_patient_who_is_not_here_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(external, "CACHE", tmp_path)
    monkeypatch.setattr(external, "ROOT", tmp_path / "a" / "b")
    with pytest.raises(FileNotFoundError) as caught:
        delineation.read_patient(initialize(UNet, 0))
    assert "ecg/ludb_3.nc is not here" in str(caught.value) and "\n" not in str(caught.value)


def test_composed_traces_have_the_waves_of_the_others_and_their_labels_in_step():
    """Bursts are where the labels are, and about as long as before."""
    true = traces(n=8)
    made = delineation.compose(true, 5, seed=3)
    assert made.ecg.shape == (5, 700) and made.labels.shape == (5, 2, 700) and {*made.sim} == {-1}
    assert made.ecg.std(-1) == pytest.approx(1)
    power = (made.ecg - np.median(made.ecg, -1, keepdims=True)) ** 2
    assert power[made.labels[:, 0]].mean() > 4 * power[~made.labels.any(1)].mean()
    lengths = np.diff(np.flatnonzero(np.diff(made.labels[0, 0].astype(int))))[::2]
    assert (lengths > 0.7 * 30).all() and (lengths < 1.3 * 30).all()
    again, other = delineation.compose(true, 5, seed=3), delineation.compose(true, 5, seed=9)
    assert np.array_equal(again.ecg, made.ecg) and not np.array_equal(other.ecg, made.ecg)
    assert len(delineation.together(true, made).ecg) == 13


def test_each_training_is_told_its_traces_and_all_take_as_many_steps(monkeypatch):
    seen = []

    def note(train, val, terms, config):
        seen.append((len({*train.sim} - {-1}), int((train.sim < 0).sum()), len(train.ecg), config.seed))
        return initialize(UNet, 0), pd.DataFrame({"val_r2": [0.1, 0.2, 0.4, 0.3]})

    monkeypatch.setattr(delineation, "delineator", note)
    parts = {"train": traces(n=8), "val": traces(n=2, seed=1)}
    found = delineation.train_composed(parts, TrainConfig(epochs=4), 2, "Dice")
    assert seen[::2] == [(2, 0, 2, 0), (2, 6, 8, 0), (8, 8, 16, 0)] and {seed for *_, seed in seen} == {0, 1}
    assert [(one.tissues, one.composed, one.seed) for one in found[:3]] == [(2, False, 0), (2, False, 1), (2, True, 0)]
    assert {one.labels["epoch"] for one in found} == {3}
    again = delineation.repeat(parts["train"], 20)
    assert len(again.ecg) == 20 and np.array_equal(again.labels[8:16], parts["train"].labels)


def test_the_loss_with_the_best_f1_is_chosen():
    true = traces()
    tables = {
        name: compare(true, np.roll(true.labels, n, -1)).assign(method=name)
        for name, n in (("A", 100), ("B", 1), ("C", 80))
    }
    assert delineation.choose(summarize(pd.concat(tables.values()), ["method", "wave", "sim"])) == "B"


def test_every_error_is_counted_once():
    true = traces()
    rows = compare(true, np.roll(true.labels, 2, -1)).assign(method="A", noise=0.0, tolerance=150.0)
    table = delineation.count_errors(rows)
    assert table["count"].sum() == 2 * (rows.outcome == "matched").sum() and {*table.error} == {2 * DT}


def test_the_examples_are_the_middle_and_the_last_by_their_error():
    true, model = traces(n=5), initialize(UNet, 0)
    labels = np.stack([np.roll(one, n, -1) for n, one in zip((3, 0, 4, 1, 2), true.labels, strict=True)])
    rows = compare(true, labels).assign(noise=0.1, tolerance=50.0)
    table = delineation.example_traces(true, rows, Trained("A", 5, False, 0, model, pd.DataFrame({"val_r2": [0.5]})))
    assert table.groupby("rank").sim.unique().map(list).to_dict() == {"middle": [4], "last": [2]}
    assert table.depolarization[table["rank"] == "last"].to_numpy(bool).tolist() == true.labels[2, 0].tolist()
