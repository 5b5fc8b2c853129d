"""Training: determinism, going on from a checkpoint bit for bit, and prediction on one's own maps."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from forwardecg import train as module
from forwardecg.model import ModelConfig, Seq2Seq, load_model, save_model
from forwardecg.sequences import Sequences
from forwardecg.train import TrainConfig, evaluate, fit, learning_rate, load_or_fit, predict

TINY = ModelConfig(pixels=10, channels=(4, 8), width=16, heads=2)
SHORT = TrainConfig(epochs=4, batch=4, lr=3e-3)

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def data(toy_dataset):
    return Sequences(toy_dataset(10), range(10), 10), Sequences(toy_dataset(4, seed=1), range(4), 10)


def weights_of(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def untimed(history):
    return history.drop(columns="seconds")


def test_learning_rate_warms_up_and_ends_at_zero():
    config = TrainConfig(lr=2.0)
    assert learning_rate(config, 0.05) == pytest.approx(1.0) and learning_rate(config, 0.1) == pytest.approx(2.0)
    assert learning_rate(config, 0.55) == pytest.approx(1.0)
    assert learning_rate(config, 1.0) == pytest.approx(0, abs=1e-15)


def test_one_batch_is_overfitted(toy_dataset):
    four = Sequences(toy_dataset(10), range(4), 10)
    config = TrainConfig(epochs=150, batch=4, lr=1e-2, lambda_se=0.0, augment=False, weight_decay=0.0)
    _, _, history = fit(TINY, four, four, config)
    assert history.val_r2.max() > 0.99
    assert history.loss.iloc[-1] < 0.02 * history.loss.iloc[0]


def test_same_seed_gives_the_same_losses_and_weights_bit_for_bit(data):
    torch.manual_seed(5)  # whatever the state of the global generator
    model_a, card_a, a = fit(TINY, *data, SHORT)
    torch.manual_seed(6)
    model_b, card_b, b = fit(TINY, *data, SHORT)
    assert untimed(a).equals(untimed(b)) and card_a == card_b
    assert same(weights_of(model_a), weights_of(model_b))


def test_training_leaves_the_global_generator_alone(data):
    before = torch.get_rng_state()
    fit(TINY, *data, replace(SHORT, epochs=1))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    "change", [{"seed": 1}, {"augment": False}, {"lambda_se": 0.0}, {"delta": 0.2}, {"weight_decay": 0.5}, {"batch": 5}]
)
def test_another_seed_or_setting_gives_another_training(data, change):
    _, _, a = fit(TINY, *data, SHORT)
    _, _, b = fit(TINY, *data, replace(SHORT, **change))
    assert a.loss.iloc[-1] != b.loss.iloc[-1]


def test_weights_of_the_best_epoch_are_kept(data):
    """Not those of the last one; a learning rate far too high makes sure that the last is not the best."""
    train, val = data
    model, card, history = fit(TINY, train, val, replace(SHORT, epochs=8, lr=0.3))
    best = int(history.val_r2.idxmax())
    assert card["best_epoch"] == best < 7, "the case is no test otherwise: choose another learning rate"
    r2 = module.r2(val.ecg.numpy(), evaluate(model, val, card["scale"])).mean()
    assert r2 == pytest.approx(history.val_r2.max(), rel=1e-9)


class Interrupt(Exception):
    pass


def interrupted_after(epoch):
    def on_epoch(row):
        if row["epoch"] == epoch:
            raise Interrupt

    return on_epoch


@pytest.mark.parametrize("stop", [0, 2])
def test_resumed_training_equals_an_uninterrupted_one_bit_for_bit(data, tmp_path, stop):
    """Weights, optimizer, order of the tissues and turns of the maps all go on where they were."""
    straight, card, history = fit(TINY, *data, SHORT, tmp_path / "straight")
    with pytest.raises(Interrupt):
        fit(TINY, *data, SHORT, tmp_path / "c", interrupted_after(stop))
    epochs = []
    resumed, card_resumed, history_resumed = fit(
        TINY, *data, SHORT, tmp_path / "c", lambda row: epochs.append(row["epoch"])
    )
    assert epochs == list(range(stop + 1, 4)), "what was done is not done again"
    assert same(weights_of(straight), weights_of(resumed))
    assert untimed(history).equals(untimed(history_resumed)) and card == card_resumed
    assert same(module.load_file(tmp_path / "straight"), module.load_file(tmp_path / "c")), "the optimizer too"


def test_a_finished_training_is_loaded(data, tmp_path):
    model, card, history = fit(TINY, *data, SHORT, tmp_path / "c")
    again, card_again, history_again = fit(TINY, *data, SHORT, tmp_path / "c", interrupted_after(0))
    assert same(weights_of(model), weights_of(again)) and history.equals(history_again) and card == card_again


def test_a_half_written_checkpoint_never_replaces_a_good_one(data, tmp_path, monkeypatch):
    straight, _, _ = fit(TINY, *data, SHORT)
    save_file, calls = module.save_file, []

    def dying(tensors, path, metadata):
        calls.append(path)
        if len(calls) == 3:
            path.write_bytes(b"half of it")
            raise Interrupt
        save_file(tensors, path, metadata)

    monkeypatch.setattr(module, "save_file", dying)
    with pytest.raises(Interrupt):
        fit(TINY, *data, SHORT, tmp_path / "c")
    monkeypatch.setattr(module, "save_file", save_file)
    epochs = []
    resumed, _, _ = fit(TINY, *data, SHORT, tmp_path / "c", lambda row: epochs.append(row["epoch"]))
    assert epochs == [2, 3], "two epochs were safe"
    assert same(weights_of(straight), weights_of(resumed))
    assert [path.name for path in tmp_path.iterdir()] == ["c"], "no litter"


def test_a_checkpoint_of_another_network_is_refused(data, tmp_path):
    fit(TINY, *data, replace(SHORT, epochs=1), tmp_path / "c")
    for change in ({"width": 32}, {"decoder": "tcn"}, {"time": False}):
        with pytest.raises(ValueError, match="checkpoint c: expected"):
            fit(replace(TINY, **change), *data, SHORT, tmp_path / "c")
    (tmp_path / "c").write_bytes(b"no checkpoint")
    with pytest.raises(ValueError, match="checkpoint c: expected"):
        fit(TINY, *data, SHORT, tmp_path / "c")


def test_training_data_that_cannot_train_are_refused(data):
    train, val = data
    with pytest.raises(ValueError, match=r"u: expected maps of shape \(B, 20, 9, 9\)"):
        fit(replace(TINY, pixels=9), train, val, SHORT)
    for value in (0.0, math.nan):
        train.ecg[2] = value
        with pytest.raises(ValueError, match="train: expected ECGs that vary"):
            fit(TINY, train, val, SHORT)


def test_ecgs_of_several_leads_are_refused_also_where_there_is_but_one(data, toy_dataset):
    """Their shape would broadcast against that of the prediction."""
    train, val = data
    many = Sequences(toy_dataset(4), range(4), 10, leads=("center",))
    for name, parts in (("train", (many, val)), ("val", (train, many))):
        with pytest.raises(ValueError, match=rf"{name}: expected ECGs \(n, T\) of one lead, got shape \(4, 1, 20\)"):
            fit(TINY, *parts, SHORT)


def test_the_scale_is_that_of_the_training_tissues_alone(data):
    train, val = data
    _, card, _ = fit(TINY, train, val, replace(SHORT, epochs=1))
    val.ecg *= 100
    _, card_again, _ = fit(TINY, train, val, replace(SHORT, epochs=1))
    assert card["scale"] == card_again["scale"] == float(train.ecg.std())


def test_a_flat_validation_ecg_is_left_out_of_the_score(data):
    """Its R2 is NaN, and with it no epoch would be the best."""
    train, val = data
    _, _, without = fit(TINY, train, val, SHORT)
    val.u, val.ecg = torch.cat([val.u, val.u[:1]]), torch.cat([val.ecg, torch.zeros(1, 20)])
    _, card, history = fit(TINY, train, val, SHORT)
    assert np.allclose(history.val_r2, without.val_r2) and card["best_epoch"] == without.val_r2.idxmax()


def test_a_diverging_training_ends_with_an_error(data):
    with pytest.raises(FloatingPointError, match="loss: expected finite values, got nan in epoch 0"):
        train, val = data
        train.u[:] = torch.inf
        fit(TINY, train, val, SHORT)


def test_the_amplitude_of_a_tissue_does_not_weigh_in_its_loss(data):
    """Losses are taken on traces divided by their own SD: a tissue 100 times stronger pulls no harder than the rest."""
    train, val = data
    train.ecg[0] *= 100
    model, card, history = fit(TINY, train, val, replace(SHORT, epochs=1, lr=0.0, lambda_se=0.0, augment=False))
    error = (torch.from_numpy(evaluate(model, train, card["scale"])) - train.ecg) / train.ecg.std(-1, keepdim=True)
    by_hand = torch.where(error.abs() <= 1, error.square() / 2, error.abs() - 0.5).mean()
    assert history.loss[0] == pytest.approx(float(by_hand), rel=1e-4)


def test_load_or_fit_trains_once_and_again_when_data_or_settings_change(data, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(module, "CACHE", tmp_path)
    train, val = data
    model, _, history = load_or_fit(TINY, train, val, SHORT)
    assert "seed 0: epoch 4/4" in capsys.readouterr().out
    files = lambda: len(list((tmp_path / "training").iterdir()))  # noqa: E731
    again, _, history_again = load_or_fit(TINY, train, val, SHORT)
    assert capsys.readouterr().out == "" and files() == 1
    assert same(weights_of(model), weights_of(again)) and history.equals(history_again)
    load_or_fit(TINY, train, val, replace(SHORT, seed=1))
    load_or_fit(replace(TINY, time=False), train, val, SHORT)
    train.ecg[0, 0] += 1e-3
    load_or_fit(TINY, train, val, SHORT)
    val.u[0, 0, 0, 0] += 1e-2
    load_or_fit(TINY, train, val, SHORT)
    val.t[-1] += 1
    load_or_fit(TINY, train, val, SHORT)
    assert files() == 6
    monkeypatch.setattr(module, "code_hash", lambda *_: "edited")
    load_or_fit(TINY, train, val, SHORT)
    assert files() == 7


@pytest.fixture
def trained(tmp_path, toy_dataset):
    ds = toy_dataset(2)
    torch.manual_seed(0)
    save_model(Seq2Seq(TINY), tmp_path / "a.safetensors", scale=3.0, time=ds.time.values.tolist())
    return *load_model(tmp_path / "a.safetensors"), ds.V_m.isel(sim=0)


def test_prediction_on_own_maps_is_that_of_the_evaluation(trained, toy_dataset):
    model, card, V_m = trained
    ecg = predict(model, card, V_m)
    assert ecg.dims == ("time",) and np.array_equal(ecg.time, V_m.time) and ecg.attrs["units"] == "mV mm ms-1"
    sequences = Sequences(toy_dataset(2), [0, 1], 10)
    both = evaluate(model, sequences, card["scale"])
    assert np.allclose(ecg, both[0], rtol=1e-4, atol=1e-6) and not np.allclose(ecg, both[1], rtol=1e-3)
    assert np.allclose(ecg, 3 * evaluate(model, sequences, 1.0)[0], rtol=1e-4), "in the units of phi_e"
    assert np.array_equal(evaluate(model, sequences, 1.0, batch=1), evaluate(model, sequences, 1.0, batch=1))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda V_m: V_m.transpose(), "V_m: expected dims"),
        (lambda V_m: V_m[0], "V_m: expected dims"),
        (lambda V_m: V_m.expand_dims("sim"), "V_m|unpack"),
        (lambda V_m: V_m.where(V_m < 0), "V_m: expected finite"),
        (lambda V_m: V_m / 1000, "V_m: expected mV"),
        (lambda V_m: V_m[:, :15, :15], "multiple of 10 pixels"),
        (lambda V_m: V_m[:-1], "V_m: expected the 20 times 0 .. 95 ms of this network, got 19 times 0 .. 90 ms"),
        (lambda V_m: V_m.assign_coords(time=V_m.time * 2), "V_m: expected the 20 times .* got 20 times 0 .. 190 ms"),
        (lambda V_m: V_m.drop_vars("time"), "V_m: expected the 20 times"),
    ],
    ids=["order", "one frame", "many tissues", "NaN", "volts", "pixels", "too short", "other step", "no times"],
)
def test_prediction_refuses_what_the_network_was_not_made_for(trained, spoil, message):
    model, card, V_m = trained
    with pytest.raises(ValueError, match=message):
        predict(model, card, spoil(V_m))


def test_bad_settings_are_refused():
    for change, name in (
        ({"epochs": 0}, "epochs"),
        ({"batch": 2.5}, "batch"),
        ({"lr": -1.0}, "lr"),
        ({"delta": 0.0}, "delta"),
    ):
        with pytest.raises(ValueError, match=f"{name}: expected"):
            replace(SHORT, **change)
    for change, name in (({"pixels": 0}, "pixels"), ({"channels": ()}, "channels"), ({"heads": 0}, "heads")):
        with pytest.raises(ValueError, match=name):
            replace(TINY, **change)
