"""The adjoint of the front against central differences, and against what is known in closed form."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from forwardecg.activation.eikonal import network
from forwardecg.inverse.adjoint import _rate, activation_times
from forwardecg.tissue.cell import FK_CAF
from forwardecg.tissue.sheet import fibrotic, healthy, with_fibers

DX, D0 = 0.5, 0.13


def numbers(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


@pytest.fixture(scope="module", params=[None, "diffuse", "interstitial"])
def sheet(request):
    plain = healthy((40, 40), DX, D0)
    return plain if request.param is None else fibrotic(plain, request.param, seed=3)


def test_the_rate_of_couplings_is_that_of_differences(sheet):
    """dg_ij / dD_i of each cell alone, over g^2, is the same for all its couplings."""
    rate, net = network(sheet, 0.1, FK_CAF).pad(_rate(sheet, 0.1, FK_CAF), 0.0), network(sheet, 0.1, FK_CAF)
    for cell in np.random.default_rng(0).choice(np.flatnonzero(net.live), 5, replace=False):
        step = np.zeros(net.live.size)
        step[cell] = 1e-6
        ends = [network(replace(sheet, D=sheet.D + sign * net.crop(step)), 0.1, FK_CAF).g for sign in (1, -1)]
        found = (ends[0] - ends[1])[cell] / 2e-6
        assert found == pytest.approx(rate[cell] * net.g[cell] ** 2, rel=1e-5, abs=1e-9)


@pytest.mark.parametrize("jitter", [0.0, 0.05])
def test_derivatives_by_site_onset_and_D_are_those_of_central_differences(sheet, jitter):
    D = torch.from_numpy(sheet.D.copy()) * (1 + jitter * numbers(40, 40).clamp(-2, 2))
    at = {
        "site": torch.tensor([[5.07, 6.34], [14.23, 13.08]], dtype=torch.float64),
        "onset": torch.tensor([0.0, 4.0], dtype=torch.float64),
        "D": D,
    }
    weight = numbers(40, 40, seed=1)

    def number(**changed: torch.Tensor) -> torch.Tensor:
        T = activation_times(sheet, **{**at, **changed})
        return (weight * torch.where(torch.isfinite(T), torch.sin(T / 20), 0.0)).sum()

    inputs = {name: value.clone().requires_grad_() for name, value in at.items()}
    gradients = dict(zip(inputs, torch.autograd.grad(number(**inputs), [*inputs.values()]), strict=True))
    for name, step in (("site", 1e-4), ("onset", 1e-4), ("D", 1e-6)):
        for seed in (2, 3):
            toward = step * numbers(*at[name].shape, seed=seed)
            difference = (number(**{name: at[name] + toward}) - number(**{name: at[name] - toward})) / 2
            adjoint = (gradients[name] * toward).sum()
            scale = gradients[name].norm() * toward.norm() / toward.numel() ** 0.5
            assert abs(difference - adjoint) < 1e-3 * scale, (name, float(difference), float(adjoint))


def test_all_times_move_with_the_onset_and_shrink_as_one_over_the_square_root_of_D():
    sheet = healthy((40, 40), DX, D0)
    onset, scale = torch.tensor([3.0], requires_grad=True), torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
    T = activation_times(sheet, torch.tensor([[10.0, 10.0]]), onset, scale * torch.from_numpy(sheet.D.copy()))
    late = (T > 15).double()
    by_onset, by_scale = torch.autograd.grad((T * late).sum(), (onset, scale))
    assert by_onset.item() == pytest.approx(late.sum().item(), rel=1e-6)
    assert by_scale.item() == pytest.approx(-0.5 * ((T - 3) * late).sum().item(), rel=0.1)  # but for curvature


def test_the_derivative_by_the_site_is_the_slowness_where_the_wave_arrives():
    """In uniform tissue a site that moves toward a cell is as good as a cell that is nearer."""
    sheet = healthy((50, 50), DX, D0)
    site = torch.tensor([[12.4, 12.6]], dtype=torch.float64, requires_grad=True)
    T = activation_times(sheet, site, torch.zeros(1))
    (slowness,) = torch.autograd.grad(T[24, 44], site)
    inner = (T[24, 45] - T[24, 43]) / (2 * DX)
    assert slowness[0, 0].item() == pytest.approx(-inner.item(), rel=0.1)
    assert abs(slowness[0, 1].item()) < 0.1 * inner.item()


def test_wrong_tensors_are_refused_by_name():
    sheet, site = healthy((20, 20), DX, D0), torch.tensor([[5.0, 5.0]])
    with pytest.raises(ValueError, match=r"site, onset: expected \(n, 2\) and \(n,\)"):
        activation_times(sheet, site[0], torch.zeros(1))
    with pytest.raises(ValueError, match="site: expected live cells near it, got none at x = 50"):
        activation_times(sheet, torch.tensor([[50.0, 5.0]]), torch.zeros(1))
    with pytest.raises(ValueError, match="D: expected .* without fibers"):
        activation_times(with_fibers(sheet, 0.3, 4.0), site, torch.zeros(1), torch.ones(20, 20))
