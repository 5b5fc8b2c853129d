"""The cycle computes the ECG that the package computes, its gradients are right, and labels are those of training tissues."""

import numpy as np
import pandas as pd
import pytest
import torch

from experiments import cycle
from experiments.tissues import Tissues, few, parts, recipe
from forwardecg.activation.forward import read_out
from forwardecg.activation.template import template
from forwardecg.ecg.electrodes import Electrodes, bank_electrodes, match_electrodes
from forwardecg.ecg.leadfield import lead_field
from forwardecg.tissue.sheet import Tissue

N_TISSUES, N_T, SIDE = 4, 61, 200.0


@pytest.fixture(scope="module")
def electrodes() -> Electrodes:
    bank = bank_electrodes(recipe().grid, recipe().z_mm)
    at = [bank.names.index(name) for name in cycle.LEADS]
    return Electrodes(bank.positions[at], cycle.LEADS)


@pytest.fixture(scope="module")
def physics(electrodes) -> cycle.Forward:
    return cycle.Forward(electrodes.positions, SIDE, cycle.STEP * np.arange(N_T))


@pytest.fixture(scope="module")
def toy(physics) -> cycle.Recordings:
    """Circular waves in tissues of one conductivity each, with the ECG of the forward model itself."""
    rng = np.random.default_rng(0)
    at, D = rng.uniform(20, 180, (N_TISSUES, 2)), rng.uniform(0.06, 0.16, N_TISSUES)
    middle = (np.arange(cycle.PIXELS) + 0.5) * SIDE / cycle.PIXELS
    away = np.hypot(middle[None, :, None] - at[:, 1, None, None], middle - at[:, 0, None, None])
    lat = torch.from_numpy(away / (2 * np.sqrt(D))[:, None, None]).float()
    log_D = torch.from_numpy(np.log(D)).float()[:, None, None].expand_as(lat).contiguous()
    known = torch.ones(lat.shape, dtype=torch.bool)
    return cycle.Recordings(
        physics(lat, log_D), lat, log_D, known, tuple(range(N_TISSUES)), (("healthy", "focal"),) * N_TISSUES
    )


@pytest.fixture(scope="module")
def images(electrodes) -> torch.Tensor:
    return torch.from_numpy(match_electrodes(electrodes.positions, SIDE))


def test_the_electrodes_are_whole_orbits_of_the_training_electrodes(electrodes):
    assert match_electrodes(electrodes.positions, SIDE).shape == (8, 16)
    assert np.unique(electrodes.positions[:, 2]).size == 3


def test_the_forward_model_of_the_cycle_is_the_forward_operator(electrodes, physics):
    rng = np.random.default_rng(1)
    D = rng.uniform(0.03, 0.2, (cycle.PIXELS, cycle.PIXELS))
    T = rng.uniform(20, 250, D.shape)
    L = lead_field(Tissue(D=D, conductive=np.ones(D.shape, bool), dx=SIDE / cycle.PIXELS), electrodes)
    found = physics.lead_field(torch.from_numpy(D).float()[None])[0].numpy()
    assert np.allclose(found, L, atol=1e-5 * np.abs(L).max())
    t = np.arange(-100.0, cycle.STEP * N_T)
    fine = read_out(L, T, T, template(recipe().dx, recipe().dt, recipe().cell), t)
    expected = cycle.low_pass(fine, 1.0)[:, 100 :: round(cycle.STEP)]
    lat, log_D = (torch.from_numpy(one).float()[None] for one in (T, np.log(D)))
    ecg = physics(lat, log_D)[0].numpy()
    assert np.linalg.norm(ecg - expected) < 2e-3 * np.linalg.norm(expected)


def test_an_image_of_the_tissue_permutes_the_ecgs(physics, toy, images):
    for n in range(8):
        image = cycle.turned(toy, torch.full((N_TISSUES,), n), images)
        assert torch.allclose(physics(image.lat, image.log_D), image.ecg, atol=1e-4 * float(toy.ecg.abs().max())), n


@pytest.mark.parametrize("which", [0, 1])
def test_gradients_of_the_ecg_error_are_those_of_differences(electrodes, toy, which):
    exact = cycle.Forward(electrodes.positions, SIDE, cycle.STEP * np.arange(N_T)).double()
    ecg, scale = toy.ecg[:1].double(), torch.ones(16, dtype=torch.float64)
    maps = [toy.lat[:1].double() + 7.0, toy.log_D[:1].double() + 0.1]
    way = torch.from_numpy(np.random.default_rng(2).standard_normal(maps[0].shape))

    def error(step: float) -> torch.Tensor:
        moved = [one + step * way if k == which else one for k, one in enumerate(maps)]
        return cycle.relative_error(exact(*moved), ecg, scale).sum()

    step = torch.zeros((), dtype=torch.float64, requires_grad=True)
    error(step).backward()
    assert float(step.grad) == pytest.approx(float(error(1e-4) - error(-1e-4)) / 2e-4, rel=2e-3)


def test_true_maps_close_the_cycle(physics, toy):
    assert float(cycle.relative_error(physics(toy.lat, toy.log_D), toy.ecg, torch.ones(16)).max()) < 1e-10
    assert float(cycle.relative_error(physics(toy.lat + 20, toy.log_D), toy.ecg, torch.ones(16)).min()) > 0.05


def test_a_cycle_of_no_weight_changes_nothing(physics, toy, images):
    """So that both networks of a pair have the same first weights and see the same labels in the same order."""
    scale = torch.ones(16)
    one, other, third = (
        cycle.train(toy, toy, physics, images, scale, cycle=on, seed=3, steps=2, weight=weight)
        for on, weight in ((False, 0.0), (True, 0.0), (True, 1.0))
    )
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(one.parameters(), third.parameters(), strict=True))


def test_the_nearest_ecg_finds_an_image_of_a_labeled_tissue(toy, images):
    image = cycle.turned(toy, torch.tensor([5, 2, 7, 0]), images)
    lat, log_D = cycle.nearest(image.ecg, toy, images, torch.ones(16))
    assert torch.equal(lat, image.lat) and torch.equal(log_D, image.log_D)


def test_errors_of_a_map_that_is_late(physics, toy, images):
    data = cycle.Data(toy, {"base": toy}, physics, images, torch.ones(16))
    rows = cycle.score((toy.lat + 3.0, toy.log_D), toy, data)
    assert np.allclose(rows.lat_mae, 3.0, atol=1e-4) and np.allclose(rows.log_D_mae, 0.0)
    assert (rows.ecg_error > 0).all() and rows.sim.tolist() == [*range(N_TISSUES)]


def test_labels_and_ecgs_of_the_cycle_are_of_training_tissues():
    groups = parts(Tissues())
    ((_, train),), ((_, test),) = groups["train"], groups["test"]
    assert not {*train} & {*test} and len(train) == max(cycle.LABELS)
    for labels in cycle.LABELS[:-1]:
        for seed in range(3):
            assert {*few(labels, seed).tolist()} <= {*train}
    listed = [*cycle.cases(3, len(train))]
    assert len({*listed}) == len(listed) == 3 * 3 * 3 + 2 * (2 * 3 + 1)


def test_a_training_without_its_row_is_repeated_in_its_place(monkeypatch, tmp_path, physics, toy, images):
    paths = {name: tmp_path / name for name in ("PATH", "TRAININGS_PATH", "MAPS_PATH")}
    for name, value in (paths | {"LABELS": (N_TISSUES,), "PICTURED": ("healthy", "focal")}).items():
        monkeypatch.setattr(cycle, name, value)
    data, made, estimate = cycle.Data(toy, {"base": toy}, physics, images, torch.ones(16)), [], cycle.estimate
    monkeypatch.setattr(cycle, "load", lambda more: data)
    monkeypatch.setattr(cycle, "estimate", lambda *case: made.append(case[:3]) or estimate(*case))
    cycle.main(steps=1, more=0, seeds=2)
    first, trained = (pd.read_csv(paths[name]) for name in ("PATH", "TRAININGS_PATH"))
    assert len(made) == 9 and len(first) == 9 * N_TISSUES and trained.minutes.min() >= 0
    assert trained.steps.tolist() == [1, 1, 2] * 2 and [*trained.columns[:3]] == cycle.CASE
    cycle.main(steps=1, more=0, seeds=2)
    assert len(made) == 9, "nothing is left to do"
    trained.drop(1).to_csv(paths["TRAININGS_PATH"], index=False)
    cycle.main(steps=1, more=0, seeds=2)
    assert made[9:] == [("with cycle", N_TISSUES, 0)]
    pd.testing.assert_frame_equal(pd.read_csv(paths["PATH"]), first)
    assert len(pd.read_csv(paths["TRAININGS_PATH"])) == len(trained)
