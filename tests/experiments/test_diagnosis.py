"""Readers of single beats: the parts of the experiment, on traces without a simulation."""

import numpy as np
import pandas as pd
import pytest
import torch

from experiments import diagnosis
from experiments.diagnosis import (
    LEADS,
    ODD,
    ONE,
    QUESTIONS,
    DiagnosisTask,
    FeaturesTask,
    Perceptron,
    PerceptronConfig,
    Reader,
    answer,
    by_question,
    call,
    compress,
    delete,
    describe,
    probabilities,
    standardize,
)
from forwardecg.ecg.electrodes import bank_electrodes, match_electrodes
from forwardecg.ecg.leadfield import pseudo_ecg
from forwardecg.surrogates.train import TrainConfig, fit, initialize
from forwardecg.tissue.grid import Grid
from forwardecg.tissue.sheet import healthy
from forwardecg.tissue.symmetry import apply_symmetry

T = np.arange(181) * 5.0


def images(leads=LEADS) -> np.ndarray:
    bank = bank_electrodes(Grid((400, 400), 0.5))
    return match_electrodes(bank.positions[[bank.names.index(lead) for lead in leads]], 200.0)


def beats(n: int = 24, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """ECGs (n, lead, T) whose duration answers all questions."""
    rng = np.random.default_rng(seed)
    kind = np.arange(n) % 4
    width = 20.0 + 40.0 * kind[:, None, None]
    at = 200 + 40 * rng.random((n, len(LEADS), 1))
    ecg = np.exp(-np.square((T - at) / width)) * (0.5 + rng.random((n, len(LEADS), 1)))
    return compress(ecg, 0.1), torch.from_numpy(np.stack([kind, kind // 2, kind % 2], 1))


def test_a_turned_sheet_permutes_the_electrodes_and_keeps_the_answers(toy_sheet=(16, 16)):
    """The ECG of the turned voltage is the ECG of the voltage at the electrodes that `match_electrodes` names."""
    import xarray as xr

    from forwardecg.ecg.electrodes import Electrodes

    sheet, bank = healthy(toy_sheet, 0.5, 0.13), bank_electrodes(Grid(toy_sheet, 0.5))
    at = [bank.names.index(lead) for lead in LEADS]
    some, order = Electrodes(bank.positions[at], LEADS), match_electrodes(bank.positions[at], 8.0)
    V = -85 + 100 * torch.rand(3, *toy_sheet, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def ecg(V: torch.Tensor) -> np.ndarray:
        maps = xr.DataArray(V.numpy(), dims=("time", "y", "x"), coords={"time": [0.0, 1.0, 2.0]}, attrs={"units": "mV"})
        return pseudo_ecg(maps, sheet, some).values

    for n in range(8):
        assert ecg(apply_symmetry(V, n)) == pytest.approx(ecg(V)[order[n]], rel=1e-9)


def test_three_networks_are_small_together():
    model = initialize(Reader, 0)
    assert 3 * sum(4 * weights.numel() for weights in model.parameters()) < 160_000
    assert [z.shape for z in by_question(model(torch.zeros(2, len(LEADS), 181)))] == [(2, 4), (2, 2), (2, 2)]


def test_answers_do_not_depend_on_the_orientation():
    order, model, (x, _) = images(), initialize(Reader, 1).eval(), beats()
    said = call(model, x, order)
    assert said.shape == (24, len(QUESTIONS))
    for n in range(8):
        assert np.array_equal(call(model, x[:, order[n]], order), said)
        assert describe(x[:, order[n]].numpy(), T, order) == pytest.approx(describe(x.numpy(), T, order), abs=1e-9)


def test_one_electrode_has_no_other_orientation():
    assert (images(LEADS[:1]) == 0).all()
    assert describe(np.random.default_rng(0).standard_normal((2, 1, 181)), T, images(LEADS[:1])).shape[0] == 2


def test_small_and_large_deflections_keep_their_sign_and_order():
    x = compress(np.array([-10.0, -0.01, 0.0, 0.01, 10.0]), 0.1).numpy()
    assert x == pytest.approx(-x[::-1]) and (np.diff(x) > 0).all() and x[3] == pytest.approx(0.1, rel=0.06)


def test_what_is_drawn_is_an_image_of_the_tissue(one_thread):
    x, y = beats()
    drawn, answers = DiagnosisTask(x, y, x, y, images()).draw(torch.arange(24), torch.Generator().manual_seed(0))
    assert torch.equal(answers, y) and torch.equal(drawn[:, 0], x[:, 0]), "the center stays"
    assert not torch.equal(drawn, x)
    assert torch.allclose(drawn.sum(1), x.sum(1), atol=1e-5)


def test_a_few_steps_tell_durations_apart(one_thread):
    x, y = beats(48)
    model, order = initialize(Reader, 0), images()
    fit(model, DiagnosisTask(x, y, x, y, order), TrainConfig(epochs=12, batch=8, lr=1e-2))
    assert (call(model, x, order) == y.numpy()).mean() > 0.8


def test_a_forest_tells_durations_apart_and_learns_nothing_from_mixed_answers():
    x, y = beats(80)
    features = describe(x.numpy(), T, images())
    forest = diagnosis.grow(features[:60], y.numpy()[:60], seed=0)
    assert (forest.predict(features[60:]) == y.numpy()[60:]).mean() > 0.9
    mixed = np.random.default_rng(0).permutation(y.numpy())
    null = diagnosis.grow(features[:60], mixed[:60], seed=0).predict(features[60:])[:, 0]
    assert (null == mixed[60:, 0]).mean() < 0.6


def test_features_are_read_in_standard_deviations_of_the_training_tissues():
    rng = np.random.default_rng(0)
    x = rng.normal(3.0, 2.0, (500, 2)) * [1, 0] + [0, 7]  # the second does not vary
    z = standardize(np.r_[x, [[1e6, 8.0]]], x.mean(0), x.std(0)).numpy()[:, 0]
    assert z[:500, 0].mean() == pytest.approx(0, abs=1e-5) and z[:500, 0].std() == pytest.approx(1, rel=1e-3)
    assert z[-1].tolist() == [ODD, 0.0] and (z[:, 1] == 0).all()


def test_a_perceptron_on_noisy_features_tells_durations_apart(one_thread):
    x, y = beats(80)
    features = describe(x.numpy(), T, images())
    z = standardize(features, features[:60].mean(0), features[:60].std(0))
    task = FeaturesTask(z[:60], y[:60], z[60:], y[60:])
    drawn, answers = task.draw(torch.arange(60), torch.Generator().manual_seed(0))
    assert torch.equal(answers, y[:60]) and float((drawn - z[:60]).std()) == pytest.approx(0.3, rel=0.1)
    config = PerceptronConfig(features=features.shape[1])
    model = initialize(lambda: Perceptron(config), 0)
    fit(model, task, TrainConfig(epochs=20, batch=8, lr=1e-2))
    assert (call(model, z[60:], ONE) == y[60:].numpy()).mean() > 0.9


def test_several_readers_answer_by_the_mean_of_their_probabilities():
    sure, unsure = torch.tensor([[0.0, 0, 0, 1, 0, 1, 0, 1]]), torch.tensor([[0.6, 0.2, 0.1, 0.1, 0.7, 0.3, 0.7, 0.3]])
    ecg = np.zeros((1, 9, 5))
    assert answer([lambda _: unsure], ecg).tolist() == [[0, 0, 0]]
    assert answer([lambda _: unsure, lambda _: sure], ecg).tolist() == [[3, 1, 1]]
    assert answer([lambda _: sure, lambda _: unsure], ecg).tolist() == [[3, 1, 1]]


def test_probabilities_of_each_question_sum_to_one():
    x, _ = beats(4)
    p = probabilities(initialize(Reader, 0).eval(), x, images())
    assert torch.stack([one.sum(-1) for one in by_question(p)]).numpy() == pytest.approx(1, abs=1e-5)


def test_deletion_of_nothing_changes_nothing_and_of_all_leaves_rest():
    x, _ = beats(4)
    rank = np.random.default_rng(0).random((4, 181))
    assert torch.equal(delete(x, rank, 0.0), x)
    assert delete(x, rank, 1.0).abs().max() < 0.1 * x.abs().max()


def test_deletion_takes_what_ranks_highest_and_has_a_signal():
    x, _ = beats(4)
    rank = np.broadcast_to(T == 250.0, (4, 181)).astype(float)
    found = delete(x, rank, 0.2)
    gone = (found != x).any(1).numpy()
    assert gone[:, 50].all() and (gone.sum(1) < 30).all()
    assert not gone[:, T > 700].any(), "nothing is there to delete"


def test_relevance_of_a_network_that_sees_one_moment_lies_there():
    """Grad-CAM of a network whose only filter passes the input on: relevant is where the input is."""
    model, only = initialize(Reader, 0), torch.nn.Conv1d(len(LEADS), 1, 1, bias=False)
    model.features = torch.nn.Sequential(only)
    model.head = torch.nn.Linear(1, 8)
    with torch.no_grad():
        only.weight.fill_(1.0)
        model.head.weight.fill_(1.0)
    x = torch.zeros(1, len(LEADS), 181)
    x[..., 60:70] = 1.0
    cam = diagnosis.relevance(model, x, torch.zeros(1, dtype=torch.long))[0]
    assert (cam[60:70] > 0).all() and (np.delete(cam, np.arange(60, 70)) == 0).all()


def test_a_source_that_has_seen_a_tissue_gives_no_answer():
    ecg = {"true": np.zeros((3, 9, 5)), "structured": np.ones((3, 9, 5))}
    said = diagnosis.answer_all(lambda z: z[:, :3, 0].astype(int), ecg, np.array([True, False, True]))
    assert said.condition_true.tolist() == [0, 0, 0]
    assert said.condition_structured.isna().tolist() == [False, True, False] and said.D_structured.sum() == 2
    assert isinstance(said, pd.DataFrame) and len(said.columns) == 2 * len(QUESTIONS)


def test_equal_ecgs_have_r2_one_and_equal_features():
    rng = np.random.default_rng(0)
    bank = bank_electrodes(Grid((400, 400), 0.5))
    places = bank.positions[[bank.names.index(lead) for lead in LEADS]]
    at, sign = 300 + 40 * rng.random((6, 9, 1)), rng.choice([-0.5, 0.02], (6, 9, 1))
    true = np.exp(-np.square((T - at) / 40)) + sign * np.exp(-np.square((T - 2 * at + 100) / 60))
    steeper = np.sign(true) * np.abs(true) ** 1.2
    ecg = {"true": true, "structured": true.copy(), "paper": true.copy(), "blind": steeper}
    seen = np.array(["base"] + ["test"] * 5)
    table = diagnosis.quality(diagnosis.Beats(ecg, np.zeros((6, 3), int), seen, np.arange(6), T, places))
    assert table.sim.tolist() == [1, 2, 3, 4, 5], "the tissue of the base set was seen"
    assert table.structured_nine.to_numpy() == pytest.approx(1) and (table.blind_nine < 0.999).all()
    shift = table[[f"shift of {name}" for name in diagnosis.FEATURES]].to_numpy()
    assert shift == pytest.approx(0, abs=1e-12)
    ecg["structured"] = 2 * true  # larger by log 2, and later, earlier or steeper in no feature but the sizes
    doubled = diagnosis.quality(diagnosis.Beats(ecg, np.zeros((6, 3), int), seen, np.arange(6), T, places))
    for name in diagnosis.FEATURES:
        larger = name in ("RMS", "positive peak", "negative peak", "steepest slope")
        assert (doubled[f"shift of {name}"] > 0.01).all() if larger else (doubled[f"shift of {name}"] < 1e-6).all(), (
            name
        )
