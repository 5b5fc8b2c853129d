"""Networks of equal supervision: they differ from the published ones in what they are said to differ, and in nothing else."""

import pytest
import torch

from experiments.supervision import GIVEN, PARTS, SIDE
from experiments.variants import LOG_D, Labeled, LabeledConfig, LabeledTask, OneViewTask, Part, PartConfig
from forwardecg.data.maps import load_small
from forwardecg.surrogates.paper.data import Sequences
from forwardecg.surrogates.paper.model import Seq2Seq, Seq2SeqConfig
from forwardecg.surrogates.paper.task import Seq2SeqLoss, Seq2SeqTask
from forwardecg.surrogates.structured.data import MapSet, View
from forwardecg.surrogates.structured.model import N_SCALAR, N_TENSOR, Inputs, Structured, StructuredConfig
from forwardecg.surrogates.structured.task import StructuredLoss
from forwardecg.surrogates.train import TrainConfig, fit, initialize
from forwardecg.tissue.symmetry import apply_symmetry

SMALL = {"pixels": 10, "channels": (4, 4), "width": 8, "heads": 2}
LEADS = StructuredLoss().leads


def sequences(**options) -> Sequences:
    """Four tissues at 10 x 10 pixels, every 25 ms."""
    return Sequences(load_small(), [0, 1, 2, 3], 10, frame_interval=25.0, **options)


def inputs(seed: int = 0, n: int = 9) -> Inputs:
    """Fields of no tissue: scalars alone, so that a turn of the sheet is a turn of each."""
    generator = torch.Generator().manual_seed(seed)
    fields = torch.zeros(1, N_SCALAR + 2 * N_TENSOR, n, n)
    fields[:, :N_SCALAR] = torch.randn(1, N_SCALAR, n, n, generator=generator)
    prior, share = (torch.rand(1, n, n, generator=generator) for _ in range(2))
    return Inputs(fields, prior - 3, 0.5 + share / 2)


def test_the_labeled_network_is_the_paper_s_with_more_outputs():
    paper = initialize(lambda: Seq2Seq(Seq2SeqConfig(**SMALL)), 0)
    more = initialize(lambda: Labeled(LabeledConfig(**SMALL, leads=3, side=2)), 1)
    weights = paper.state_dict()
    head = {name: weights.pop(f"head.{name}") for name in ("weight", "bias")}
    left = more.load_state_dict(weights, strict=False)
    assert {name.split(".")[0] for name in left.missing_keys} == {"traces", "map"} and not left.unexpected_keys
    with torch.no_grad():
        more.traces.weight[1], more.traces.bias[1] = head["weight"][0], head["bias"][0]
        u, t = torch.rand(2, 7, 10, 10), 5.0 * torch.arange(7)
        (ecg, D), (one, _) = more(u, t), paper(u, t)
    assert ecg.shape == (2, 3, 7) and D.shape == (2, 2, 2)
    torch.testing.assert_close(ecg[:, 1], one)


def test_the_labels_fade_and_leave_the_ecg_s_loss():
    train = sequences(leads=list(LEADS), known_D=True)
    plain = sequences(leads=list(LEADS))
    model = initialize(lambda: Labeled(LabeledConfig(**SMALL, side=5)), 0)
    task, of_ecg = LabeledTask(train, plain, Seq2SeqLoss(), 0.3), Seq2SeqTask(plain, plain)
    rows, members = torch.arange(4), torch.arange(4)
    drawn = task.draw(members, torch.Generator().manual_seed(3))
    assert drawn[0].shape[2] == 2
    without = drawn[0][:, :, 0], *drawn[1:]
    for done in (0.0, 0.25, 1.0):
        gap = task.loss(model, drawn, rows, done) - of_ecg.loss(lambda u, t: model(u, t), without, rows, done)
        D = model(without[0], train.t)[1]
        known = torch.nn.functional.avg_pool2d(drawn[0][:, 0, 1], 2)
        torch.testing.assert_close(
            gap, task.labels * (1 - done) * (D - known).square().mean((1, 2)), atol=1e-5, rtol=1e-4
        )


def test_labels_turn_with_the_sheet():
    """What is drawn is one of the eight images of a tissue, its voltage and its D by the same turn."""
    train = sequences(leads=list(LEADS), known_D=True)
    drawn = LabeledTask(train, train, Seq2SeqLoss(), 0.3).draw(torch.arange(4), torch.Generator().manual_seed(1))
    for one, (turned, _, k) in enumerate(zip(*drawn, strict=True)):
        images = [apply_symmetry(train.u[k], n).float() for n in range(8)]
        assert any(torch.equal(turned, image) for image in images), one


def test_a_part_that_is_there_is_that_of_the_structured_network():
    whole = initialize(lambda: Structured(StructuredConfig(width=1, dilations=(1, 2))), 0)
    with torch.no_grad():
        whole.pooling.weight.normal_(generator=torch.Generator().manual_seed(1))
    part = initialize(lambda: Part(PartConfig(width=1, dilations=(1, 2))), 5)
    part.load_state_dict(whole.state_dict())
    for one, same in zip(part(inputs()), whole(inputs()), strict=True):
        assert torch.equal(one, same)


@pytest.mark.parametrize("symmetric", [True, False])
def test_only_without_the_symmetry_a_turned_sheet_is_another_one(symmetric):
    part = initialize(lambda: Part(PartConfig(width=1, dilations=(1, 2), symmetric=symmetric)), 0)
    with torch.no_grad():
        part.pooling.weight.normal_(generator=torch.Generator().manual_seed(1))
        seen, turned = inputs(), Inputs(*(apply_symmetry(z, 4) for z in inputs()))
        share, of_turned = (part(x).share for x in (seen, turned))
    same = torch.allclose(apply_symmetry(share, 4), of_turned, atol=1e-6)
    assert same == symmetric


@pytest.mark.parametrize("symmetric", [True, False])
def test_without_the_formula_the_network_starts_from_one_diffusivity(symmetric):
    part = initialize(lambda: Part(PartConfig(width=1, dilations=(1,), symmetric=symmetric, formula=False)), 0)
    D = part(inputs())
    torch.testing.assert_close(D.D_xx, torch.full_like(D.D_xx, LOG_D).exp(), rtol=1e-3, atol=0)
    with torch.no_grad():
        part.pooling.weight.normal_(generator=torch.Generator().manual_seed(1))
        slow, fast = inputs(), inputs()
        fast = fast._replace(prior=fast.prior + 1)
        assert not torch.allclose(part(slow).D_xx, part(fast).D_xx), "it is told the speed"


def test_one_view_draws_the_frames_that_it_has():
    maps = MapSet(load_small(), [0, 1], [View(pool=2, stride=2)])
    task = OneViewTask(maps, maps, StructuredLoss(leads=("center",), frames=40))
    _, view, frames = task.draw(torch.arange(2), torch.Generator().manual_seed(0))
    assert view == 0 and (frames % 2 == 0).all() and frames.max() < maps.u.shape[1]
    model = initialize(lambda: Part(PartConfig(width=1, dilations=(1,))), 0)
    assert len(fit(model, task, TrainConfig(epochs=1, batch=2))) == 1


def test_each_row_takes_away_or_adds_what_its_name_says():
    assert GIVEN["2 mm maps, 25 electrodes, labels"]["net"] == LabeledConfig(side=SIDE, leads=len(LEADS))
    for name, change in GIVEN.items():
        assert change["maps"].bank == ("25 electrodes" in name) and change["maps"].known_D == ("labels" in name)
        assert change["maps"].pixels == (100 if "2 mm" in name else 50)
        assert not change.get("seen", change["maps"]).known_D, "nobody has D where the network is used"
    for name, change in PARTS.items():
        loss = change.get("loss", StructuredLoss())
        alike = name == "the same without the formula"
        assert (len(loss.leads) == 1) == ("one electrode" in name or alike)
        assert (loss.labels == 0) == ("no labels" in name or alike)
        assert change.get("net", PartConfig()).formula == ("formula" not in name)
