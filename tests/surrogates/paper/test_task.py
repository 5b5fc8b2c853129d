"""What the paper's network learns: its loss, its scale, what it is scored on, and data that cannot train."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from forwardecg.surrogates.paper.data import Sequences
from forwardecg.surrogates.paper.model import Seq2Seq, Seq2SeqConfig
from forwardecg.surrogates.paper.task import Seq2SeqLoss, Seq2SeqTask, predict
from forwardecg.surrogates.train import TrainConfig, initialize
from forwardecg.surrogates.train import fit as fit_task

TINY = Seq2SeqConfig(pixels=10, channels=(4, 8), width=16, heads=2)
SHORT = TrainConfig(epochs=4, batch=4, lr=3e-3)
LOSS = Seq2SeqLoss()

pytestmark = pytest.mark.usefixtures("one_thread")


def fit(net, train, val, config, loss=LOSS):
    """One training: the network, the scale of its task, and the history."""
    model, task = initialize(lambda: Seq2Seq(net), config.seed), Seq2SeqTask(train, val, loss)
    return model, task.scale, fit_task(model, task, config)


@pytest.fixture
def data(toy_dataset):
    return Sequences(toy_dataset(10), range(10), 10), Sequences(toy_dataset(4, seed=1), range(4), 10)


@pytest.mark.parametrize("change", [{"augment": False}, {"lambda_se": 0.0}, {"delta": 0.2}, {"scaled": False}])
def test_another_loss_gives_another_training(data, change):
    _, _, a = fit(TINY, *data, SHORT)
    _, _, b = fit(TINY, *data, SHORT, loss=replace(LOSS, **change))
    assert a.loss.iloc[-1] != b.loss.iloc[-1]


def test_training_data_that_cannot_train_are_refused(data):
    train, val = data
    with pytest.raises(ValueError, match=r"u: expected maps of shape \(B, 20, 9, 9\)"):
        fit(replace(TINY, pixels=9), train, val, SHORT)
    for value in (0.0, math.nan):
        train.ecg[2] = value
        with pytest.raises(ValueError, match="train: expected ECGs that vary"):
            fit(TINY, train, val, SHORT)


def test_other_leads_in_validation_are_refused(data, toy_dataset):
    """Their shape would broadcast against that of the prediction."""
    train, val = data
    many = Sequences(toy_dataset(4), range(4), 10, leads=("center",))
    many.leads = ["center", "train1"]
    with pytest.raises(ValueError, match=r"val: expected the leads \['center'\] of train, got"):
        fit(TINY, train, many, SHORT)


def test_the_scale_is_that_of_the_training_tissues_alone(data):
    train, val = data
    _, scale, _ = fit(TINY, train, val, replace(SHORT, epochs=1))
    val.ecg *= 100
    _, scale_again, _ = fit(TINY, train, val, replace(SHORT, epochs=1))
    assert scale == scale_again == float(train.ecg.std())


def test_a_flat_validation_ecg_is_left_out_of_the_score(data):
    """Its R2 is NaN, and with it no epoch would be the best."""
    train, val = data
    _, _, without = fit(TINY, train, val, SHORT)
    val.u, val.ecg = torch.cat([val.u, val.u[:1]]), torch.cat([val.ecg, torch.zeros(1, 20)])
    _, _, history = fit(TINY, train, val, SHORT)
    assert np.allclose(history.val_r2, without.val_r2)


def test_the_amplitude_of_a_tissue_does_not_weigh_in_its_loss(data):
    """Losses are taken on traces divided by their own SD: a tissue 100 times stronger pulls no harder than the rest."""
    train, val = data
    train.ecg[0] *= 100
    plain = Seq2SeqLoss(lambda_se=0.0, augment=False)
    model, scale, history = fit(TINY, train, val, replace(SHORT, epochs=1, lr=0.0), loss=plain)
    error = (torch.from_numpy(predict(model, train, scale)) - train.ecg) / train.ecg.std(-1, keepdim=True)
    by_hand = torch.where(error.abs() <= 1, error.square() / 2, error.abs() - 0.5).mean()
    assert history.loss[0] == pytest.approx(float(by_hand), rel=1e-4)


@pytest.mark.parametrize("change", [{"delta": 0.0}, {"delta": math.inf}, {"lambda_se": -1.0}, {"spectral": "cepstrum"}])
def test_a_loss_that_is_none_is_refused(change):
    with pytest.raises(ValueError, match=f"{next(iter(change))}: expected"):
        Seq2SeqLoss(**change)
