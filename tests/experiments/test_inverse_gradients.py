"""Derivatives through lead field and surrogate: against differences, and the smoothing against that of the package."""

import numpy as np
import pytest
import torch

from experiments import inverse
from experiments import inverse_gradients as gradients
from forwardecg.activation.eikonal import network
from forwardecg.activation.template import share, template
from forwardecg.paths import MODELS
from forwardecg.surrogates.weights import load_models
from forwardecg.tissue.cell import FK_CAF


@pytest.fixture(scope="module")
def case():
    """A tissue with remodeled gap junctions, which has no walls."""
    return gradients.prepare(0)


def test_times_of_repolarization_are_those_of_the_package(case):
    net, form = network(case.tissue, inverse.DT, FK_CAF), template(case.tissue.dx, inverse.DT, FK_CAF)
    y, x = case.tissue.grid.centers
    T = np.minimum(np.hypot(x - 20, y - 30), np.hypot(x - 90, y - 70)) / 0.5  # two waves that collide
    expected = net.crop(share(net.pad(T, 0.0), net.g, net.offsets, form.duration))
    found = gradients.Shared.apply(torch.from_numpy(T[case.tissue.live]), case.factors)
    assert np.abs(found.numpy() - expected[case.tissue.live]).max() < 0.01 * np.ptp(T)


def test_the_movie_has_the_ecg_of_the_read_out(case):
    p = torch.tensor([*case.site, case.onset])
    u = gradients.movie(case, p)
    assert u.shape == (len(case.t), *case.tissue.D.shape) and float(u.min()) > -0.1 and float(u.max()) < 1.2
    error = gradients.by_lead_field(case, u) - case.data
    assert float((error**2).sum() / (case.data**2).sum()) < 0.02


def test_derivatives_are_those_of_differences_where_the_front_is_smooth(case):
    p = np.array([*case.site + [3.0, 2.0], case.onset + 1.0])
    _, found = gradients.derivative(case, p, gradients.by_lead_field)
    assert gradients.difference(case, p, gradients.by_lead_field, 0.2) == pytest.approx(found, rel=0.1, abs=2e-3)


def test_what_is_held_is_no_part_of_the_derivative_and_none_of_it_is_no_number(case):
    model = load_models(MODELS / "structured.safetensors")[0][0].requires_grad_(False)
    p = np.array([*case.site + [3.0, 2.0], case.onset + 1.0])
    (value, whole), (same, held) = (
        gradients.derivative(case, p, lambda case, u, held=held: gradients.by_surrogate(case, u, model, held))
        for held in (False, True)
    )
    assert value == same and np.isfinite(whole).all() and np.isfinite(held).all() and (whole != held).any()
    assert 0 <= gradients.undefined(case, p, model) < 1
