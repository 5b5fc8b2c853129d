"""What the networks learn: views of maps, the two losses, and that a training of the structured surrogate works and resumes."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from forwardecg.contract import V_SPAN
from forwardecg.data.recipe import Recipe
from forwardecg.data.store import load_or_simulate
from forwardecg.ecg.leadfield import lead_field
from forwardecg.surrogates.structured import data
from forwardecg.surrogates.structured.data import MapSet, View, coarsen, degrade
from forwardecg.surrogates.structured.fronts import PLATEAU, RESTITUTION, Cell
from forwardecg.surrogates.structured.model import KAPPA, Structured, StructuredConfig
from forwardecg.surrogates.structured.task import StructuredLoss, StructuredTask, infer_conductivity, predict
from forwardecg.surrogates.train import TrainConfig, fit, initialize
from forwardecg.tissue.sheet import Tissue

pytestmark = pytest.mark.usefixtures("one_thread")
SMALL = Recipe(n_sim=5, n_cells=80, dx=1.0, t_end=300.0, min_activated=0.2)
SHORT = TrainConfig(epochs=3, batch=2, lr=8e-3, ema=0.9)


@pytest.fixture(scope="module")
def ds(tmp_path_factory):
    return load_or_simulate(SMALL, folder=tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "CACHE", tmp_path_factory.mktemp("cache"))
        yield data.CACHE


@pytest.fixture(scope="module")
def maps(ds, cache):
    return MapSet(ds, range(5), [View(), View(pool=2), View(noise=0.03, lost=0.05)])


def test_a_set_holds_maps_ecgs_and_labels(ds, maps):
    assert maps.u.shape == (5, 61, 20, 20) and maps.ecg.shape == (5, 37, 61) and (maps.dx, maps.dt) == (4.0, 5.0)
    assert np.allclose(maps.ecg[3, 0] * V_SPAN, ds.phi_e[3, 0, ::5], atol=1e-6)
    assert [z.shape for z in maps.truth[1]] == [(5, 20, 19), (5, 19, 20), (5, 20, 20)]
    assert [z.shape for z in maps.truth[2]] == [(5, 10, 9), (5, 9, 10), (5, 10, 10)]
    assert np.allclose(maps.truth[1][2][2], ds.conductive[2].values.reshape(20, 4, 20, 4).mean((1, 3)))


def test_a_prepared_set_is_found_again(ds, cache, maps, monkeypatch):
    monkeypatch.setattr(data, "read_fronts", lambda *_: pytest.fail("prepared twice"))
    again = MapSet(ds, range(5), maps.views)
    assert all(
        torch.equal(a, b) for x, y in zip(again.inputs, maps.inputs, strict=True) for a, b in zip(x, y, strict=True)
    )


def test_a_subset_is_the_set_of_its_tissues(ds, cache, maps):
    part, alone = maps.subset([3, 1]), MapSet(ds, [3, 1], maps.views)
    assert part.sims == [3, 1] and torch.equal(part.u, alone.u) and torch.equal(part.ecg, alone.ecg)
    for x, y in zip(part.inputs, alone.inputs, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(x, y, strict=True)), "noise depends on the tissue, not on the set"
    assert torch.equal(part.truth[2][0], alone.truth[2][0]) and len(maps.sims) == 5


def test_pooling_and_degrading():
    u = torch.arange(32.0).reshape(2, 4, 4)
    assert torch.equal(coarsen(u, 2)[0], torch.tensor([[2.5, 4.5], [10.5, 12.5]])) and coarsen(u, 1) is u
    u, view = torch.rand(50, 30, 30), View(noise=0.03, lost=0.05)
    out = degrade(u, view, np.random.default_rng(0))
    assert 0 < (out - u).std() < 0.1 and degrade(u, View(pool=2, stride=2), np.random.default_rng(0)) is u


def task_of(maps, **change):
    return StructuredTask(maps.subset([0, 1, 2]), maps.subset([3, 4]), StructuredLoss(frames=20, **change))


def test_the_loss_of_the_truth_is_small_and_its_parts_are_what_they_say(maps):
    """By hand for one tissue: squared errors over variance, and labels with a weight that falls to zero."""
    task = task_of(maps)
    model = initialize(lambda: Structured(StructuredConfig()), 0)
    members, rows = torch.tensor([1, 2]), torch.tensor([1])
    drawn = (members, 0, torch.arange(61)[None])
    with torch.no_grad():
        last, first = (task.loss(model, drawn, rows, done) for done in (1.0, 0.0))
        ecg = predict(model, maps.subset([2]), task.lead)[0]
        D = infer_conductivity(model, maps.subset([2]))
    truth = maps.ecg[2, task.lead]
    assert last.item() == pytest.approx(((ecg - truth) / truth.std(-1, keepdim=True)).square().mean().item(), rel=1e-3)
    share = (D.share[0] - maps.truth[1][2][2]).square().mean()
    assert first.item() - last.item() > 10 * share.item() > 0


def test_predictions_need_no_network_to_be_right_in_plain_tissue(ds, maps):
    """Healthy tissue 0, the prior alone: near the lead field of the cells."""
    model = initialize(lambda: Structured(StructuredConfig()), 0)
    ecg = V_SPAN * predict(model, maps.subset([0]), [0])[0, 0].numpy()
    u = np.repeat(np.repeat(maps.u[0].float().numpy(), 4, 1), 4, 2)
    tissue = Tissue(D=ds.D[0].values.astype(float), conductive=ds.conductive[0].values, dx=1.0)
    expected = V_SPAN * np.tensordot(lead_field(tissue, SMALL.electrodes)[0], u, ((0, 1), (1, 2)))
    assert np.corrcoef(ecg, expected)[0, 1] > 0.98


def test_training_lowers_the_loss(maps):
    model = initialize(lambda: Structured(StructuredConfig(dilations=(1, 2))), 0)
    history = fit(model, task_of(maps), SHORT)
    assert history.loss.iloc[-1] < 0.9 * history.loss.iloc[0]


def test_all_parameters_are_trained(maps):
    task, model = task_of(maps), initialize(lambda: Structured(StructuredConfig()), 0)
    torch.nn.init.normal_(model.pooling.weight, std=0.1)
    task.loss(
        model, task.draw(torch.arange(3), torch.Generator().manual_seed(0)), torch.arange(3), 0.0
    ).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_fingerprints_tell_tasks_apart(maps):
    same, other = task_of(maps).fingerprint(), task_of(maps, labels=0.5).fingerprint()
    assert task_of(maps).fingerprint() == same != other
    changed = maps.subset([0, 1, 2])
    changed.ecg = changed.ecg + 1e-3
    assert StructuredTask(changed, maps.subset([3, 4]), StructuredLoss(frames=20)).fingerprint() != same


def test_several_sets_are_one_if_there_is_one(maps):
    """The same name, the same draws, the same history to the last bit."""
    plain, listed = (
        task_of(maps),
        StructuredTask([maps.subset([0, 1, 2])], [maps.subset([3, 4])], StructuredLoss(frames=20)),
    )
    assert plain.fingerprint() == listed.fingerprint() and plain.n_train == listed.n_train
    models = [initialize(lambda: Structured(StructuredConfig(dilations=(1, 2))), 0) for _ in range(2)]
    a, b = (fit(model, task, SHORT) for model, task in zip(models, (plain, listed), strict=True))
    assert a.loss.tolist() == b.loss.tolist() and a.val_r2.tolist() == b.val_r2.tolist()
    assert all(torch.equal(p, q) for p, q in zip(*(model.parameters() for model in models), strict=True))


def test_a_set_in_two_parts_of_unlike_length_has_the_losses_of_the_whole(maps):
    """Tissue by tissue on the same frames; what one part lacks at the end is not asked for."""
    whole, short = task_of(maps), maps.subset([2])
    short.u, short.ecg = short.u[:, :40], short.ecg[..., :40]
    parts = StructuredTask([maps.subset([0, 1]), short], maps.subset([3, 4]), StructuredLoss(frames=20))
    parts.sd = whole.sd  # of the ECGs, which the cut has changed
    model, rows, frames = initialize(lambda: Structured(StructuredConfig()), 0), torch.arange(3), torch.arange(0, 40, 2)
    with torch.no_grad():
        one = whole.loss(model, (rows, 0, frames[None]), rows, 0.0)
        two = parts.loss(model, (rows, 0, torch.stack([frames, frames])), rows, 0.0)
    torch.testing.assert_close(two, one, rtol=1e-5, atol=1e-7)
    _, _, drawn = parts.draw(rows, torch.Generator().manual_seed(0))
    assert drawn.shape == (2, 20) and drawn[1].max() < 40 and parts.n_train == 3
    assert parts.fingerprint() != whole.fingerprint()


def test_sets_of_unlike_steps_or_views_are_refused(maps):
    other = maps.subset([1])
    other.dt = 2 * maps.dt
    with pytest.raises(ValueError, match="train: expected sets of the same views, dx, dt"):
        StructuredTask([maps.subset([0]), other], maps.subset([3]))


def test_the_cell_sets_the_prior_and_the_share_and_nothing_else(ds, maps):
    """kappa moves the logarithm of the prior, the plateau divides the share; the other fields do not know of them."""
    cell = Cell("other", 2 * KAPPA, PLATEAU / 0.9, RESTITUTION, torch.empty(0, 0))
    own = MapSet(ds, [0, 3], cell=cell).inputs[0]
    usual = maps.subset([0, 3]).inputs[0]
    torch.testing.assert_close(own.prior, usual.prior + math.log(2))
    low = (usual.share > 0.1) & (usual.share < 0.99)
    torch.testing.assert_close(own.share[low], 0.9 * usual.share[low])
    torch.testing.assert_close(own.fields[:, 2:], usual.fields[:, 2:])


def test_flat_ecgs_are_refused(maps):
    flat = maps.subset([0, 1, 2])
    flat.ecg = torch.zeros_like(flat.ecg)
    with pytest.raises(ValueError, match="train: expected ECGs that vary"):
        StructuredTask(flat, maps.subset([3]))


def test_a_network_may_be_wider(maps):
    wide = replace(StructuredConfig(), width=2)
    assert infer_conductivity(Structured(wide), maps.subset([4]), view=1).share.shape == (1, 10, 10)
