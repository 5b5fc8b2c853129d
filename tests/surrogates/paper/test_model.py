"""The network: shapes, and the part that each flag switches."""

from dataclasses import replace

import pytest
import torch

from forwardecg.surrogates.paper.model import Seq2Seq, Seq2SeqConfig

TINY = Seq2SeqConfig(pixels=10, channels=(4, 8), width=16, heads=2)
PARTS = [
    {},
    {"norm": True},
    {"encoder": "linear"},
    {"time": "none"},
    {"attention": False},
    {"decoder": "tcn"},
    {"decoder": "linear"},
    {"stride": 2},
    {"layers": 2},
]
T = 7


def network(seed=0, **change):
    torch.manual_seed(seed)
    return Seq2Seq(replace(TINY, **change)).eval()


@pytest.fixture
def maps():
    generator = torch.Generator().manual_seed(1)
    return torch.rand(3, T, 10, 10, generator=generator), torch.arange(T) * 5.0


def count(**change):
    return sum(p.numel() for p in Seq2Seq(replace(TINY, **change)).parameters())


def test_a_finer_stride_and_a_second_layer_have_weights_of_their_own():
    """10 pixels: 3 x 3 after a stride of 4, 5 x 5 after 2; then halved. The second LSTM reads both ways of the first."""
    width, last = TINY.width, TINY.channels[-1]
    assert count(stride=2) - count() == last * (3**2 - 2**2) * width
    assert count(layers=2) - count() == 2 * 4 * width * (2 * width + width + 2)


@pytest.mark.parametrize("change", PARTS)
def test_one_ecg_value_a_map_whatever_the_parts(change, maps):
    u, t = maps
    ecg, weights = network(**change)(u, t)
    assert ecg.shape == (3, T) and torch.isfinite(ecg).all()
    assert weights is None if change.get("attention") is False else weights.shape == (3, T, T)
    long, _ = network(**change)(u.repeat(1, 3, 1, 1), torch.arange(3 * T) * 5.0)
    assert long.shape == (3, 3 * T)


@pytest.mark.parametrize("pixels", [9, 10, 25, 50])
def test_every_size_of_map_fits(pixels):
    ecg, _ = network(pixels=pixels)(torch.rand(1, 2, pixels, pixels), torch.tensor([0.0, 5.0]))
    assert ecg.shape == (1, 2)


def test_attention_rows_are_weights_that_sum_to_one(maps):
    _, weights = network()(*maps)
    assert torch.allclose(weights.sum(-1), torch.ones(3, T), atol=1e-6) and (weights >= 0).all()
    assert weights.std() > 0, "and are not the same for all frames"


@pytest.mark.parametrize(
    "change", [*PARTS[1:], {"channels": (4, 4)}, {"channels": (4, 8, 8)}, {"width": 32}, {"pixels": 20}]
)
def test_every_flag_changes_the_parameter_count(change):
    assert count(**change) != count()


def test_parameter_counts_by_hand():
    """What each part brings: width C = 16."""
    C = 16
    assert count(norm=True) - count() == 2 * (4 + 8)
    assert count() - count(time="none") == C * C + C
    assert count() - count(attention=False) == 4 * (C * C + C) + 2 * C  # q, k, v, output, and the norm
    assert count(decoder="lstm") - count(decoder="linear") == 4 * (2 * C * C + 2 * C)
    assert count() - count(decoder="linear") == 2 * 4 * (2 * C * C + 2 * C) + C  # both ways, and a head twice as wide
    assert count(decoder="tcn") - count(decoder="linear") == 4 * (3 * C * C + C)
    assert count(encoder="linear", time="none", attention=False, decoder="linear") == 100 * C + C + C + 1


def test_heads_and_time_scale_change_the_output_only(maps):
    ecg, _ = network()(*maps)
    for change in ({"heads": 4}, {"t_scale": 500.0}):
        assert count(**change) == count()
        assert not torch.allclose(network(**change)(*maps)[0], ecg)


@pytest.mark.parametrize(("change", "passes"), [({}, True), ({"time": "none"}, False)])
def test_times_matter_only_through_the_embedding(change, passes, maps):
    u, t = maps
    model = network(**change)
    assert torch.equal(model(u, t)[0], model(u, t + 40)[0]) != passes


def reach(u, t, **change):
    """Which frames of the ECG notice a change of the last map."""
    model, other = network(**change), u.clone()
    other[:, -1] += 1
    return (model(u, t)[0] - model(other, t)[0]).abs().amax(0) > 1e-7


def test_each_part_looks_as_far_as_it_should(maps):
    """An LSTM looks back only, or both ways; the convolutions look both ways; without them and attention a frame stands alone."""
    assert reach(*maps).all()
    only_last = [False] * (T - 1) + [True]
    assert reach(*maps, attention=False, decoder="lstm").tolist() == only_last
    assert reach(*maps, attention=False).all()
    assert reach(*maps, attention=False, decoder="linear").tolist() == only_last
    assert reach(*maps, attention=False, decoder="tcn").all()


def test_tissues_of_a_batch_do_not_mix(maps):
    u, t = maps
    model = network()
    assert torch.allclose(model(u, t)[0], torch.cat([model(one[None], t)[0] for one in u]), atol=1e-6)


def test_every_parameter_is_trained(maps):
    for change in PARTS:
        model = network(**change)
        model(*maps)[0].square().sum().backward()
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"encoder": "vit"}, "encoder: expected one of"),
        ({"decoder": "gru"}, "decoder: expected one of"),
        ({"heads": 3}, "width: expected an even multiple of heads = 3, got 16"),
        ({"width": 7, "heads": 7}, "width: expected an even multiple"),
        ({"channels": (6,)}, "channels: expected multiples of 4"),
        ({"channels": ()}, "channels: expected multiples of 4"),
        ({"channels": 8}, "channels: expected tuple or list"),
        ({"channels": (4, "8")}, "channels: expected a whole number"),
        ({"pixels": "50"}, "pixels: expected a whole number"),
        ({"width": 8.0}, "width: expected a whole number"),
        ({"t_scale": 0.0}, "t_scale: expected a number > 0 ms"),
        ({"norm": 1}, "norm: expected bool"),
    ],
)
def test_bad_config_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        Seq2Seq(replace(TINY, **change))


@pytest.mark.parametrize("shape", [(T, 10, 10), (3, T, 9, 9), (3, T, 20, 20), (3, T, 10, 9), (3, T + 1, 10, 10)])
def test_maps_that_do_not_fit_the_network_are_refused(shape):
    for encoder in ("conv", "linear"):
        with pytest.raises(ValueError, match=r"u: expected maps of shape \(B, 7, 10, 10\)"):
            network(encoder=encoder)(torch.zeros(shape), torch.arange(T) * 5.0)


def test_the_learned_embedding_gives_each_frame_its_own_vector():
    model = network(time="learned", frames=7)
    u = torch.rand(2, 5, 10, 10)
    t = torch.arange(5.0)
    assert torch.equal(model(u, t)[0], model(u, 100 * t)[0]), "it knows the number of a frame, and not its time"
    before = model(u, t)[0]
    model.time.table.weight.data[6] += 1
    assert torch.equal(model(u, t)[0], before), "frame 6 is not there"
    model.time.table.weight.data[0] += 1
    assert not torch.equal(model(u, t)[0], before)
    with pytest.raises(ValueError, match="t: expected at most 7 frames, got 8"):
        model(torch.rand(1, 8, 10, 10), torch.arange(8.0))


def test_a_second_input_is_read_and_its_shape_is_checked():
    model = network(inputs=2)
    u, t = torch.rand(2, 5, 2, 10, 10), torch.arange(5.0)
    ecg = model(u, t)[0]
    assert ecg.shape == (2, 5) and not torch.equal(ecg, model(u * torch.tensor([1.0, 0.0])[:, None, None], t)[0])
    with pytest.raises(ValueError, match=r"expected maps of shape \(B, 5, 2, 10, 10\)"):
        model(u[:, :, 0], t)
