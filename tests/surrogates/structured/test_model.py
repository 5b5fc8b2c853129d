"""The structured surrogate: what holds whatever its weights, the loss it learns from, and that it learns."""

import numpy as np
import pytest
import torch

from forwardecg.ecg.electrodes import Electrodes, bank_electrodes, match_electrodes
from forwardecg.ecg.pixels import map_lead_field
from forwardecg.surrogates.structured.fronts import read_fronts
from forwardecg.surrogates.structured.model import (
    MOST_ANISOTROPY,
    MOST_D,
    Inputs,
    Structured,
    StructuredConfig,
    batched_lead_field,
    faces,
    inner_gradients,
    make_inputs,
    mean_of_faces,
)
from forwardecg.tissue.grid import Grid
from forwardecg.tissue.symmetry import apply_symmetry

DX, DT = 2.0, 5.0


def network(seed=0, double=True):
    """With weights as far from the prior as training ever brings them."""
    torch.manual_seed(seed)
    model = Structured(StructuredConfig(dilations=(1, 2)))
    torch.nn.init.normal_(model.pooling.weight, std=0.5)
    return model.double() if double else model


@pytest.fixture(scope="module")
def maps():
    """A plane wave with a speckled amplitude, (time, y, x) in f64."""
    rng = np.random.default_rng(0)
    y, x = np.meshgrid(*[np.arange(20) * DX] * 2, indexing="ij")
    lat = 20 + (0.8 * x + 0.6 * y) / 0.6 + rng.uniform(0, 2, (20, 20))
    t = np.arange(60)[:, None, None] * DT
    u = 1 / (1 + np.exp(-np.clip((t - lat) / 1.5, -50, 50))) / (1 + np.exp(np.clip((t - lat - 80) / 8, -50, 50)))
    return torch.from_numpy(u * rng.uniform(0.3, 1, (20, 20)))


def inferred(model, u, dx=DX):
    return model(Inputs(*(z[None] for z in make_inputs(read_fronts(u, dx, DT), dx, DT))))


def ecg(model, u, electrodes, V=None):
    G = [z.double() for z in inner_gradients(Grid(u.shape[1:], DX), electrodes)]
    return torch.einsum("eyx,tyx->et", batched_lead_field(inferred(model, u), *G)[0], u if V is None else V).detach()


@pytest.fixture(scope="module")
def bank():
    return bank_electrodes(Grid((20, 20), DX), 20.0)


def test_untrained_it_is_the_prior(maps):
    """Pooling starts at zero: D = kappa phi c^2 in all directions, phi the amplitude."""
    x = make_inputs(read_fronts(maps, DX, DT), DX, DT)
    D = Structured(StructuredConfig()).double()(Inputs(*(z[None] for z in x)))
    assert torch.allclose(D.share[0], x.share)
    assert torch.allclose(D.D_xx[0], x.prior.exp() * x.share, rtol=1e-6) and torch.allclose(D.D_xx, D.D_yy)


def test_linear_in_the_voltage_given_the_tissue(maps, bank):
    model, (a, b) = network(), torch.randn(2, 7, 20, 20, dtype=torch.float64)
    one, other, both = (ecg(model, maps, bank, V) for V in (a, b, 2 * a - 3 * b))
    assert torch.allclose(both, 2 * one - 3 * other, atol=1e-12 * float(one.abs().max()))


def test_tissue_at_one_voltage_gives_nothing(maps, bank):
    model = network()
    share = inferred(model, maps).share[0]
    flat = ecg(model, maps, bank, 0.7 * share[None].expand(3, -1, -1))  # a pixel shows its share of the voltage
    assert flat.abs().max() < 1e-12 * ecg(model, maps, bank).abs().max()


def test_the_operator_is_that_of_upscale(maps, bank):
    D = inferred(network(), maps)
    D_x, D_y = (
        np.pad(z[0].detach().numpy(), pad)
        for z, pad in zip(faces(D), (((0, 0), (1, 1)), ((1, 1), (0, 0))), strict=True)
    )
    share = D.share[0].detach().clamp(min=0.06).numpy()
    G = [z.double() for z in inner_gradients(Grid((20, 20), DX), bank)]
    weights = batched_lead_field(D, *G)[0].detach().numpy()
    expected = map_lead_field(D_x, D_y, share, DX, bank)
    assert np.allclose(weights, expected, atol=1e-6 * np.abs(expected).max())


@pytest.mark.parametrize("n", range(8))
def test_the_surrogate_turns_with_the_sheet(maps, bank, n):
    """Turned maps give the ECGs of the electrodes that lie there then."""
    model = network()
    permutation = match_electrodes(bank.positions, 20 * DX)[n]
    straight, turned = ecg(model, maps, bank), ecg(model, apply_symmetry(maps, n), bank)
    assert torch.allclose(turned, straight[permutation], atol=1e-6 * float(straight.abs().max()))


def test_any_electrode_alone_or_among_others(maps):
    model, rng = network(), np.random.default_rng(1)
    places = np.column_stack([rng.uniform(0, 40, (5, 2)), rng.uniform(3, 60, 5)])
    together = ecg(model, maps, Electrodes(places, tuple("abcde")))
    alone = torch.cat([ecg(model, maps, Electrodes(place[None], ("a",))) for place in places])
    assert torch.allclose(together, alone, atol=1e-9 * float(together.abs().max()))


def test_D_is_positive_and_bounded(maps):
    x = make_inputs(read_fronts(maps, DX, DT), DX, DT)
    model = network()
    torch.nn.init.normal_(model.pooling.weight, std=1e4)
    D = model(Inputs(*(z[None] for z in x)))
    for part in (D.D_xx, D.D_yy):
        ratio = (part[0] / (x.prior.exp() * x.share)).log().abs().max()
        assert part.min() > 0 and ratio <= MOST_D + MOST_ANISOTROPY + 1e-9
    assert D.share.min() > 0 and D.share.max() <= 1


def test_slow_tissue_looks_like_fast(maps):
    """Pixels twice as large under the same movie: front speeds double, D fourfold, apart from the field that says dx."""
    a, b = make_inputs(read_fronts(maps, 2.0, DT), 2.0, DT), make_inputs(read_fronts(maps, 4.0, DT), 4.0, DT)
    assert torch.allclose(b.prior - a.prior, torch.full_like(a.prior, np.log(4.0)), atol=1e-5)
    differ = (a.fields - b.fields).abs().amax((1, 2)) > 1e-5
    assert differ.nonzero().flatten().tolist() == [5]


def test_no_front_is_no_error_here():
    x = make_inputs(read_fronts(torch.zeros(20, 12, 12), DX, DT), DX, DT)
    D = network(double=False)(Inputs(*(z[None] for z in x)))
    assert all(z.isfinite().all() for z in (*x, *D))


@pytest.mark.parametrize("change", [{"width": 0}, {"dilations": ()}, {"dilations": (1, 0)}, {"width": 1.5}])
def test_bad_config_is_refused(change):
    with pytest.raises(ValueError, match=f"{next(iter(change))}: expected (a whole number|whole numbers|tuple)"):
        StructuredConfig(**change)


def test_mean_of_faces_by_hand():
    D_x, D_y = torch.tensor([[1.0], [3.0]]), torch.tensor([[5.0, 7.0]])
    assert torch.equal(mean_of_faces(D_x, D_y), torch.tensor([[3.0, 4.0], [4.0, 5.0]]))
