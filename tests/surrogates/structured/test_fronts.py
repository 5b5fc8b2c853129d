"""Fronts: what is read off waves whose speed, amplitude and number are known."""

import math

import numpy as np
import pytest
import torch

from forwardecg.data.maps import fill_lost
from forwardecg.surrogates.structured.fronts import read_fronts, restitution
from forwardecg.tissue.symmetry import apply_symmetry

DT, T = 5.0, 80


def waves(lat, share=1.0, rise=1.5, duration=80.0, n_t=T, dt=DT):
    """Movie (time, y, x) of action potentials that start at the times ``lat`` (k, y, x), of the amplitude ``share``."""
    t = torch.arange(n_t)[:, None, None] * dt
    u = sum(torch.sigmoid((t - one) / rise) * torch.sigmoid((one + duration - t) / 8) for one in lat)
    return u * torch.as_tensor(share)


def plane(c, angle, n=24, dx=2.0, start=20.0):
    y, x = torch.meshgrid(*[torch.arange(n, dtype=torch.float64) * dx] * 2, indexing="ij")
    along = x * math.cos(angle) + y * math.sin(angle)
    return start + (along - along.min()) / c


@pytest.mark.parametrize("angle", [0.0, 0.4, math.pi / 4, 2.0])
@pytest.mark.parametrize("c", [0.3, 0.7])
def test_slowness_of_a_plane_wave(c, angle):
    f = read_fronts(waves(plane(c, angle)[None]), 2.0, DT)
    expected = torch.tensor([math.cos(angle) ** 2, math.sin(angle) ** 2, math.cos(angle) * math.sin(angle)]) / c**2
    inner = f.slowness[:, :, 4:-4, 4:-4]
    for kind, tolerance in ((1, 0.12), (3, 0.02)):  # steep upstrokes are sampled badly, downstrokes well
        error = (inner[kind].mean((1, 2)) - expected).abs().max() * c**2
        assert error < tolerance, f"kind {kind}: {error:.3f}"
    assert (f.number == 1).all()


def test_dx_and_dt_scale_the_slowness():
    u = waves(plane(0.5, 0.3)[None])
    a, b = read_fronts(u, 2.0, DT), read_fronts(u, 4.0, DT)
    assert torch.allclose(a.slowness, 4 * b.slowness, rtol=1e-5)


def test_amplitude_is_the_share_that_conducts():
    share = torch.from_numpy(np.random.default_rng(0).uniform(0.2, 1, (24, 24)))
    f = read_fronts(waves(plane(0.6, 0.5)[None], share), 2.0, DT)
    ratio = f.amplitude / share
    assert ratio.std() < 0.01 * ratio.mean() and 0.95 < ratio.mean() < 1.0


def test_several_beats_from_several_sides_give_the_mean_of_their_tensors():
    first, second = plane(0.6, 0.0), plane(0.6, math.pi / 2, start=900.0)
    f = read_fronts(waves([first, second], n_t=230), 2.0, DT)
    assert (f.number == 2).all()
    xx, yy, xy = f.slowness[3, :, 4:-4, 4:-4].mean((1, 2)) * 0.36
    assert xx == pytest.approx(0.5, abs=0.02) and yy == pytest.approx(0.5, abs=0.02) and abs(xy) < 0.02


def test_a_front_soon_after_another_is_slow_and_says_the_same_of_the_tissue():
    """The second beat after 60 ms of rest: its slowness and amplitude are put right by the table of the cell."""
    ratio, weaker = restitution(torch.tensor([60.0, 1000.0, math.inf]))
    assert ratio[0] < 0.85 and weaker[0] < 0.99 and ratio[1:].tolist() == weaker[1:].tolist() == [1.0, 1.0]
    lat = plane(0.6, 0.0)
    second = lat + 140.0  # the same speed: read as that of better tissue
    f = read_fronts(waves([second - 140.0, second], n_t=90), 2.0, DT)
    expected = (1 + float(ratio[0]) ** 2) / 2
    assert float(f.slowness[3, 0, 4:-4, 4:-4].mean()) * 0.36 == pytest.approx(expected, abs=0.02)


def test_duration_is_from_half_to_half():
    f = read_fronts(waves(plane(0.6, 0.5)[None], duration=80.0), 2.0, DT)
    assert float(f.duration.median()) == pytest.approx(80.0, abs=1.0)


@pytest.mark.parametrize("n", range(8))
def test_fronts_turn_with_the_sheet(n):
    lat = plane(0.6, 0.3) + torch.from_numpy(np.random.default_rng(1).uniform(0, 2, (24, 24)))
    u = waves(lat[None])
    f, g = read_fronts(u, 2.0, DT), read_fronts(apply_symmetry(u, n), 2.0, DT)
    for name in ("number", "amplitude", "steepness", "duration", "residual"):
        assert torch.allclose(getattr(g, name), apply_symmetry(getattr(f, name), n), atol=1e-6), name
    xx, yy, xy = apply_symmetry(f.slowness, n).unbind(1)
    swapped = (yy, xx, xy) if n % 2 else (xx, yy, xy)
    sign = (-1) ** (n + n // 4)
    assert torch.allclose(g.slowness, torch.stack([*swapped[:2], sign * xy], 1), atol=1e-6)


def test_a_quiet_sheet_has_no_fronts():
    f = read_fronts(torch.zeros(20, 10, 10), 2.0, DT)
    assert not f.number.any() and not f.amplitude.any() and not f.slowness.any() and f.duration.isfinite().all()
    f = read_fronts(torch.ones(20, 10, 10), 2.0, DT)
    assert not f.number.any(), "a voltage that never changes is no wave"


def test_noise_makes_no_fronts():
    u = waves(plane(0.6, 0.3)[None])
    noisy = u + 0.03 * torch.randn(u.shape, generator=torch.Generator().manual_seed(0))
    f, g = read_fronts(u, 2.0, DT), read_fronts(noisy, 2.0, DT)
    assert (f.number == g.number).double().mean() > 0.99
    assert (g.amplitude / f.amplitude - 1).std() < 0.03


def test_lost_pixels_are_filled_from_their_rim_inward():
    u = torch.arange(5.0).repeat(2, 5, 1)
    lost = torch.zeros(5, 5, dtype=torch.bool)
    lost[2, 2] = lost[0, 0] = True
    out = fill_lost(u, lost)
    assert out[0, 2, 2] == 2.0 and out[0, 0, 0] == pytest.approx(2 / 3) and torch.equal(out[:, ~lost], u[:, ~lost])
    block = torch.zeros(5, 5, dtype=torch.bool)
    block[1:4, 1:4] = True
    spoiled = torch.where(block, torch.nan, u)
    assert fill_lost(spoiled, block).isfinite().all() and fill_lost(spoiled, block)[0, 2, 2] == pytest.approx(2.0)


@pytest.mark.parametrize(
    "u", [torch.zeros(1, 4, 4), torch.zeros(0, 4, 4), torch.zeros(4, 4), torch.zeros(3, 4, 4, dtype=torch.int)]
)
def test_what_is_no_movie_is_refused(u):
    with pytest.raises(ValueError, match="u: expected real numbers .* of two frames or more"):
        read_fronts(u, 2.0, DT)
