"""Convolutions that turn with the sheet: exactly, for every symmetry, every layer, and what they are made of."""

import pytest
import torch

from forwardecg.surrogates.structured.symmetric import CHARACTERS, QUOTIENTS, GroupConv, Lifting, Pooling
from forwardecg.tissue.symmetry import apply_symmetry

EVERY = pytest.mark.parametrize("n", range(8))


def moved(fields, n, n_scalar):
    """Symmetry n of fields (B, scalars and pairs q, r, y, x): places move, components change sign."""
    kinds = [0] * n_scalar + [1, 2] * ((fields.shape[1] - n_scalar) // 2)
    return apply_symmetry(fields, n) * CHARACTERS[n, kinds][:, None, None]


@pytest.fixture
def network():
    torch.manual_seed(0)
    parts = [Lifting(3, 2, 4), GroupConv(4, 1), GroupConv(4, 2), Pooling(4, 2, 1)]
    torch.nn.init.normal_(parts[-1].weight)
    for part in parts[:-1]:
        torch.nn.init.normal_(part.bias)
    lifting, first, second, pooling = (part.double() for part in parts)
    return lambda z: pooling(torch.tanh(second(torch.tanh(first(torch.tanh(lifting(z)))))))


@EVERY
@pytest.mark.parametrize("shape", [(12, 12), (9, 9), (7, 10)])
def test_the_network_turns_with_its_input(network, n, shape):
    z = torch.randn(2, 7, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(network(moved(z, n, 3)), moved(network(z), n, 2), atol=1e-12)


def test_the_kernel_without_gradients_is_the_same(network):
    z = torch.randn(1, 7, 9, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        plain = network(z)
    assert torch.equal(plain, network(z))


def test_scalars_and_tensors_differ(network):
    z = torch.randn(1, 7, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    out = network(z)
    assert out.shape == (1, 4, 8, 8) and out.std((0, 2, 3)).min() > 1e-3
    turned = network(moved(z, 1, 3))
    assert not torch.allclose(turned[:, 2], apply_symmetry(out, 1)[:, 2]), "a component of a tensor changes its sign"


@EVERY
def test_characters_are_those_of_a_symmetric_tensor(n):
    """Of the gradient of a field: q = p_x^2 - p_y^2 and r = 2 p_x p_y before and after the symmetry."""
    field = torch.randn(9, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(3))

    def tensor(f):
        p_y, p_x = torch.gradient(f)
        return torch.stack([p_x**2 - p_y**2, 2 * p_x * p_y])

    assert torch.allclose(
        tensor(apply_symmetry(field, n)), apply_symmetry(tensor(field), n) * CHARACTERS[n, 1:, None, None]
    )


def test_quotients_are_a_group():
    assert all(sorted(row.tolist()) == list(range(8)) for row in QUOTIENTS)
    assert (QUOTIENTS.diagonal() == 0).all() and QUOTIENTS[0].tolist() == list(range(8))
    square = torch.arange(9).reshape(3, 3)
    for h in range(8):
        for k in range(8):
            assert torch.equal(
                apply_symmetry(apply_symmetry(square, int(QUOTIENTS[h, k])), h), apply_symmetry(square, k)
            )


def test_pooling_starts_at_zero():
    assert torch.equal(Pooling(4, 2, 1)(torch.randn(1, 32, 5, 5)), torch.zeros(1, 4, 5, 5))
