"""Baselines: what each recovers exactly, and that none looks at the test tissues."""

import numpy as np
import pytest
import torch

from forwardecg.ecg.electrodes import Electrodes, center_electrode, grid_electrodes
from forwardecg.ecg.leadfield import pseudo_ecg
from forwardecg.ecg.pixels import conductive_share
from forwardecg.measure.scores import r2
from forwardecg.surrogates.baselines import (
    PLATEAU,
    blind_diffusivity,
    ecg_from_diffusivity,
    ecg_from_upscaled,
    fit_kappa,
    mean_ecg,
    pool_diffusivity,
    ridge,
    training_free_conductivity,
    training_free_ecg,
)
from forwardecg.surrogates.paper.data import Sequences
from forwardecg.tissue.grid import Grid
from forwardecg.tissue.sheet import Tissue, fibrotic, healthy

DX = 2.0
AT = center_electrode(Grid((10, 10), DX), 12.0)


@pytest.fixture
def parts(toy_dataset):
    """Train, val and test whose ECG is an exactly linear functional of the maps of the same instant."""
    return [Sequences(toy_dataset(n, seed), range(n), 10) for n, seed in ((12, 0), (4, 1), (4, 2))]


def test_mean_ecg_is_the_mean_of_the_training_tissues(parts):
    train, _, test = parts
    ecg = mean_ecg(train, 3)
    assert ecg.shape == (3, 20)
    assert np.allclose(ecg, train.ecg.numpy().mean(0), rtol=1e-6)
    assert r2(test.ecg.numpy(), mean_ecg(train, len(test))).max() < 0.9


def test_ridge_recovers_an_exactly_linear_map(parts):
    ecg, alpha = ridge(*parts, alphas=(1e-6, 1e3))
    assert alpha == 1e-6
    assert r2(parts[2].ecg.numpy(), ecg).min() > 1 - 1e-4


def test_ridge_is_its_normal_equations(parts):
    """Against an independent solution of the same problem: augmented least squares, one row for each penalty."""
    train, val, test = parts
    X, y = train.u.reshape(-1, 100).double().numpy(), train.ecg.flatten().double().numpy()
    center = X.mean(0)
    A = np.vstack([X - center, np.sqrt(50.0) * np.eye(100)])
    w = np.linalg.lstsq(A, np.concatenate([y - y.mean(), np.zeros(100)]), rcond=None)[0]
    ecg, _ = ridge(train, val, test, alphas=(50.0,))
    assert np.allclose(ecg, (test.u.reshape(4, 20, 100).double().numpy() - center) @ w + y.mean(), atol=1e-4)


def test_a_huge_penalty_leaves_the_mean_value(parts):
    ecg, _ = ridge(*parts, alphas=(1e15,))
    assert np.allclose(ecg, parts[0].ecg.mean(), rtol=1e-4)


def test_the_penalty_is_chosen_on_validation_tissues_and_test_tissues_never_count(parts):
    train, val, test = parts
    train.ecg += 3 * torch.randn(train.ecg.shape, generator=torch.Generator().manual_seed(3))  # so that shrinking helps
    alphas = (1e-3, 1e-1, 1e1, 1e3, 1e5)
    ecg, alpha = ridge(train, val, test, alphas)
    by_hand = max(alphas, key=lambda a: r2(val.ecg.numpy(), ridge(train, val, val, (a,))[0]).mean())
    assert alpha == by_hand and alpha not in (alphas[0], alphas[-1]), "the case is no test at an end of the range"
    test.ecg[:] = torch.nan
    blind, alpha_blind = ridge(train, val, test, alphas)
    assert alpha_blind == alpha and np.array_equal(blind, ecg)
    val.ecg = train.ecg[:4].clone()
    val.u = train.u[:4].clone()  # tissues it was fitted on: the smallest penalty is the best
    assert ridge(train, val, test, alphas)[1] == alphas[0]


def test_a_flat_validation_trace_does_not_decide_the_penalty(parts):
    train, val, test = parts
    _, alpha = ridge(train, val, test, (1e5, 1e-6))
    flat = Sequences.__new__(Sequences)
    flat.u, flat.ecg, flat.t = torch.cat([val.u, val.u[:1]]), torch.cat([val.ecg, torch.zeros(1, 20)]), val.t
    assert ridge(train, flat, test, (1e5, 1e-6))[1] == alpha == 1e-6


def test_lead_field_on_maps_is_linear_in_the_maps():
    rng = np.random.default_rng(0)
    D, a, b = rng.uniform(0.05, 0.2, (10, 10)), *rng.random((2, 6, 10, 10))
    ecg = [ecg_from_diffusivity(u, D, DX, AT) for u in (a, b, 2 * a - 3 * b)]
    assert ecg[0].shape == (6,)
    assert np.allclose(ecg[2], 2 * ecg[0] - 3 * ecg[1], atol=1e-12 * np.abs(ecg[0]).max() * 100)


def test_lead_field_of_a_uniform_sheet_of_voltage_is_zero_and_pixels_without_D_say_nothing():
    rng = np.random.default_rng(1)
    D, u = rng.uniform(0.05, 0.2, (10, 10)), rng.random((6, 10, 10))
    D[3:5, 2:6] = 0
    ecg = ecg_from_diffusivity(u, D, DX, AT)
    assert np.abs(ecg_from_diffusivity(np.ones((2, 10, 10)), D, DX, AT)).max() < 1e-12 * np.abs(ecg).max()
    u[:, 3:5, 2:6] = 7
    assert np.allclose(ecg_from_diffusivity(u, D, DX, AT), ecg, rtol=1e-12)


def test_lead_field_on_maps_is_the_pseudo_ecg_of_their_voltage():
    """In mV mm/ms: the resting level drops out and the span of 100 mV comes in."""
    rng = np.random.default_rng(2)
    D, u = rng.uniform(0.05, 0.2, (10, 10)), rng.random((6, 10, 10))
    full = pseudo_ecg(-85 + 100 * u, Tissue(D=D, conductive=np.ones((10, 10), bool), dx=DX), AT).values[0]
    assert np.allclose(ecg_from_diffusivity(u, D, DX, AT), full, rtol=1e-9, atol=1e-9 * np.abs(full).max())


@pytest.mark.parametrize("D", [0.03, 0.13])
def test_blind_diffusivity_recovers_a_homogeneous_D(parts, D):
    train = parts[0]
    train.ecg = torch.tensor(np.stack([ecg_from_diffusivity(u.numpy(), np.full((10, 10), D), DX, AT) for u in train.u]))
    assert blind_diffusivity(train, DX, AT) == pytest.approx(D, rel=1e-9)


def test_blind_diffusivity_of_mixed_tissues_lies_between_theirs(parts):
    train = parts[0]
    D = np.linspace(0.05, 0.15, len(train))
    train.ecg = torch.tensor(
        np.stack(
            [ecg_from_diffusivity(u.numpy(), np.full((10, 10), d), DX, AT) for u, d in zip(train.u, D, strict=True)]
        )
    )
    fit = blind_diffusivity(train, DX, AT)
    assert 0.05 < fit < 0.15
    error = [
        np.square(train.ecg.numpy() * fit * scale / D[:, None] - train.ecg.numpy()).sum() for scale in (0.99, 1, 1.01)
    ]
    assert error[1] < min(error[0], error[2]), "the least squares, not a mean"


def test_pooled_diffusivity_is_the_plain_mean_with_fibrosis_as_zero():
    D = np.arange(1.0, 25.0).reshape(4, 6)
    conductive = np.ones((4, 6), bool)
    conductive[0, 0] = conductive[3, 4:] = False
    by_hand = [
        [(0 + 2 + 7 + 8) / 4, (3 + 4 + 9 + 10) / 4, (5 + 6 + 11 + 12) / 4],
        [(13 + 14 + 19 + 20) / 4, (15 + 16 + 21 + 22) / 4, (17 + 18) / 4],
    ]
    assert np.allclose(pool_diffusivity(D, conductive, 2), by_hand)
    assert np.array_equal(pool_diffusivity(D, np.ones((4, 6), bool), 1), D)


def test_bad_input_is_refused():
    D, u = np.full((10, 10), 0.1), np.zeros((3, 10, 10))
    for bad in (u[0], u[:, :5], np.zeros((3, 20, 20))):
        with pytest.raises(ValueError, match=r"u: expected \(time, y, x\)"):
            ecg_from_diffusivity(bad, D, DX, AT)
    with pytest.raises(ValueError, match="u: expected finite values"):
        ecg_from_diffusivity(np.full((3, 10, 10), np.nan), D, DX, AT)
    with pytest.raises(ValueError, match="D: expected values >= 0"):
        ecg_from_diffusivity(u, -D, DX, AT)
    with pytest.raises(ValueError, match="electrodes: expected every electrode at least dx"):
        ecg_from_diffusivity(u, D, DX, Electrodes(np.array([[5.0, 5.0, 0.1]]), ("e",)))
    with pytest.raises(ValueError, match="pool: expected a divisor"):
        pool_diffusivity(D, D > 0, 3)
    with pytest.raises(ValueError, match="conductive: expected"):
        pool_diffusivity(D, np.ones((1, 10), bool), 2)


def plane_wave(n: int = 40, dx: float = 2.0, dt: float = 5.0, speed: float = 0.6, angle: float = 0.4) -> torch.Tensor:
    """Maps (T, n, n) of a plane wave at ``speed`` mm/ms with an upstroke of 1 ms, blurred over a pixel, and 100 ms of plateau."""
    y, x = np.meshgrid(*[(np.arange(n) + 0.5) * dx] * 2, indexing="ij")
    t = np.arange(0, n * dx * 1.5 / speed + 160, dt)[:, None, None]
    after = t - 10 - (np.cos(angle) * x + np.sin(angle) * y) / speed
    return torch.tensor(PLATEAU / (1 + np.exp(-after)) / (1 + np.exp((after - 100) / 3)))


def test_true_conductivity_on_maps_is_the_lead_field_of_the_cells_for_tissue_without_structure():
    rng = np.random.default_rng(0)
    y, x = np.meshgrid(*[(np.arange(80) + 0.5) * 0.5] * 2, indexing="ij")
    V = np.stack([0.5 - 0.5 * np.tanh((np.hypot(x - 21, y - 18) - r) / 2) for r in rng.uniform(4, 12, 6)])
    leads = grid_electrodes(Grid((80, 80), 0.5), 2, 2, 12.0)
    maps = V.reshape(6, 20, 4, 20, 4).mean((2, 4))
    ecg = ecg_from_upscaled(maps, np.full((80, 80), 0.1), np.ones((80, 80), bool), 4, 2.0, leads)
    full = pseudo_ecg(-85 + 100 * V, healthy((80, 80), 0.5, 0.1), leads).values
    assert ecg.shape == (4, 6)
    assert np.abs(ecg - full).max() < 0.01 * np.abs(full).max()


def test_true_conductivity_on_maps_gives_nothing_for_resting_scars_in_tissue_at_one_voltage():
    sheet = fibrotic(healthy((40, 40), 0.5, 0.1), "patchy", seed=0)
    maps = 0.9 * conductive_share(sheet.conductive, 4)[None]
    leads = grid_electrodes(Grid((40, 40), 0.5), 2, 2, 6.0)
    ecg = ecg_from_upscaled(maps, sheet.D, sheet.conductive, 4, 2.0, leads)
    plain = ecg_from_diffusivity(
        maps, pool_diffusivity(sheet.D, sheet.conductive, 4), 2.0, center_electrode(Grid((40, 40), 0.5), 6.0)
    )
    assert np.abs(ecg).max() < 1e-12 and np.abs(plain).max() > 1e-2, "which the plain mean of D does not"


@pytest.mark.parametrize("speed", [0.35, 0.6])
def test_training_free_conductivity_of_a_plane_wave_is_kappa_speed_squared(speed):
    D_x, D_y, share = training_free_conductivity(plane_wave(speed=speed), DX, 5.0, 0.23)
    assert D_x.shape == (40, 41) and D_y.shape == (41, 40) and share.shape == (40, 40)
    assert np.allclose(share, 1, atol=0.01)
    assert not D_x[:, [0, -1]].any() and not D_y[[0, -1]].any()
    for D in (D_x[:, 1:-1], D_y[1:-1]):
        assert np.median(D) == pytest.approx(0.23 * speed**2, rel=0.02)
        assert np.allclose(D, 0.23 * speed**2, rtol=0.1)


def test_training_free_conductivity_reads_the_share_from_the_amplitude():
    """Pixels of which one half conducts reach half of the voltage: D and the share are halved, what they say is their own."""
    u, half = plane_wave(), torch.ones(40, 40)
    half[10:30, 10:20] = 0.5
    half[20, 15] = 0.03  # less than one cell of sixteen
    D_x, _, share = training_free_conductivity(u * half, DX, 5.0, 0.23)
    full_x, _, full = training_free_conductivity(u, DX, 5.0, 0.23)
    assert np.allclose(share[12:19, 12:18], full[12:19, 12:18] / 2, rtol=0.01) and share[20, 15] == 0
    assert np.allclose(D_x[12:17, 12:18], full_x[12:17, 12:18] / 2, rtol=0.05)
    assert not D_x[20, 15:17].any()
    ecg = training_free_ecg(u * half, DX, 5.0, 0.23, center_electrode(Grid((40, 40), DX), 30.0))
    half[20, 15] = 0.0
    assert np.allclose(training_free_ecg(u * half, DX, 5.0, 0.23, center_electrode(Grid((40, 40), DX), 30.0)), ecg)


def test_training_free_conductivity_fills_what_no_front_passed_and_what_is_flat():
    u = plane_wave()
    u[:, :6, :6] = 0.0  # scar
    u[:, 10:36, 10:36] = u[:, 22:23, 22:23].clone()  # all at once
    D_x, _, share = training_free_conductivity(u, DX, 5.0, 0.23)
    assert not share[:6, :6].any() and not D_x[:6, :6].any()
    assert np.isfinite(D_x).all() and D_x.max() < 10 * 0.23 * 0.36
    filled = D_x[20:26, 20:26]
    assert np.allclose(filled, filled[0, 0]) and filled[0, 0] == pytest.approx(0.23 * 0.36, rel=0.1), "the median"


def test_training_free_maps_of_any_kind_give_the_same(one_thread):
    u = plane_wave()
    for a, b in zip(
        training_free_conductivity(u.float().numpy(), DX, 5.0, 0.23),
        training_free_conductivity(u, DX, 5.0, 0.23),
        strict=True,
    ):
        assert np.array_equal(a, b)


def test_fit_kappa_recovers_the_constant_of_the_cell_and_the_ecg_is_linear_in_it():
    maps, at = torch.stack([plane_wave(angle=a)[:60] for a in (0.2, 0.7)]), center_electrode(Grid((40, 40), DX), 30.0)
    train = Sequences.__new__(Sequences)
    train.u, train.t = maps.half(), torch.arange(60) * 5.0
    ecg = np.stack([training_free_ecg(u, DX, 5.0, 0.25, at)[0] for u in train.u])
    train.ecg = torch.tensor(ecg)
    assert fit_kappa(train, DX, at) == pytest.approx(0.25, rel=1e-9)
    assert np.allclose(training_free_ecg(train.u[0], DX, 5.0, 0.5, at)[0], 2 * ecg[0], rtol=1e-12)


def test_bad_maps_are_refused_by_the_rungs_that_read_fronts():
    u = plane_wave()
    for bad in (u[0], torch.full_like(u, torch.nan), u + 0j, u.numpy().astype(str)):
        with pytest.raises(ValueError, match=r"u: expected (\(time, y, x\)|finite values|real numbers)"):
            training_free_conductivity(bad, DX, 5.0, 0.23)
    for kappa in (0.0, -1.0, np.nan):
        with pytest.raises(ValueError, match="kappa: expected a number > 0 ms"):
            training_free_conductivity(u, DX, 5.0, kappa)
    for silent in (torch.zeros_like(u), u[:, :1, :1].expand(-1, 40, 40).clone()):
        with pytest.raises(ValueError, match="u: expected a front that passes"):
            training_free_conductivity(silent, DX, 5.0, 0.23)
    D = np.full((40, 40), 0.1)
    with pytest.raises(ValueError, match=r"u: expected \(time, y, x\) of shape \(any, 10, 10\)"):
        ecg_from_upscaled(np.zeros((3, 20, 20)), D, D > 0, 4, DX, AT)
    with pytest.raises(ValueError, match="u: expected finite values"):
        ecg_from_upscaled(np.full((3, 10, 10), np.inf), D, D > 0, 4, DX, AT)
