"""Losses of delineators, from algebra: equal labels give none, worse labels more, and gradients are finite differences."""

import pytest
import torch

from forwardecg.signals.losses import bound_dice, count_intervals, dice, f1_instance

LOSSES = [dice, bound_dice, f1_instance]


def labels_of(*intervals, n: int = 200) -> torch.Tensor:
    """Labels (1, 1, n), on from the first sample of each interval up to before the second."""
    y = torch.zeros(1, 1, n, dtype=torch.float64)
    for first, behind in intervals:
        y[..., first:behind] = 1
    return y


def random_labels(seed: int, n: int = 120) -> torch.Tensor:
    """Labels (4, 2, n) of runs of 4 to 12 samples."""
    generator = torch.Generator().manual_seed(seed)
    bits = torch.randint(0, 2, (4, 2, n // 4), generator=generator).double()
    return bits.repeat_interleave(4, -1)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("seed", range(3))
def test_equal_labels_give_none(loss, seed):
    y = random_labels(seed)
    assert loss(y, y) == pytest.approx(torch.zeros(4, dtype=torch.float64), abs=1e-12)
    nothing = torch.zeros(2, 1, 50)
    assert (loss(nothing, nothing) == 0).all(), "nothing there, and nothing found"


@pytest.mark.parametrize("loss", LOSSES)
def test_they_are_between_zero_and_one_and_symmetric(loss):
    for seed in range(5):
        p, y = random_labels(seed), random_labels(seed + 50)
        found = loss(p, y)
        assert ((found > 0) & (found <= 1)).any() and ((found >= 0) & (found <= 1 + 1e-12)).all()
        assert torch.allclose(found, loss(y, p))


@pytest.mark.parametrize("loss", LOSSES)
def test_a_recording_is_scored_as_if_alone(loss):
    p, y = random_labels(1), random_labels(2)
    assert torch.allclose(loss(p, y), torch.cat([loss(p[n : n + 1], y[n : n + 1]) for n in range(4)]))


def test_dice_by_hand():
    y = labels_of((20, 60))
    for n in (0, 10, 39, 40, 80):
        assert dice(y.roll(n, -1), y).item() == pytest.approx(1 - max(40 - n, 0) / 40, abs=1e-6)
    assert dice(0.5 * y, y).item() == pytest.approx(1 - 2 * 20 / 60, abs=1e-6)
    assert dice(labels_of(), y).item() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("width", [3, 11, 25])
def test_bound_dice_of_a_shift_is_the_shift_over_the_width(width):
    """Whatever the length of the interval, where `dice` of the same shift is n over the length."""
    h = width // 2
    for length in (60, 120):
        y = labels_of((40, 40 + length))
        for n in range(2 * h):
            assert bound_dice(y.roll(n, -1), y, width).item() == pytest.approx(n / (2 * h), abs=1e-6)
        assert bound_dice(y.roll(2 * h, -1), y, width).item() == pytest.approx(1, abs=1e-6)


def test_an_interval_that_the_window_cuts_has_one_edge():
    y = labels_of((0, 50))
    assert bound_dice(labels_of((0, 55)), y, 11).item() == pytest.approx(0.5, abs=1e-6)
    assert bound_dice(labels_of((0, 200)), labels_of(), 11).item() == 0, "no edge in either"


def test_bound_dice_sees_edges_that_dice_hardly_sees():
    y, blunt = labels_of((40, 160)), labels_of((45, 155))
    assert dice(blunt, y).item() < 0.05 and bound_dice(blunt, y, 11).item() == pytest.approx(0.5, abs=1e-6)


@pytest.mark.parametrize("n", [0, 1, 2, 5, 9])
def test_f1_instance_counts(n):
    """Of any length, at the ends too, from two samples on."""
    intervals = [(20 * k, 20 * k + 2 + k) for k in range(n)]
    assert count_intervals(labels_of(*intervals)).item() == pytest.approx(n, abs=1e-9)
    for m in (1, 3):
        others = labels_of(*[(15 * k + 1, 15 * k + 9) for k in range(m)])
        loss = f1_instance(labels_of(*intervals), others).item()
        assert loss == pytest.approx(1 - 2 * min(n, m) / (n + m), abs=1e-9), "1 - F1 of the numbers"


def test_f1_instance_does_not_say_where():
    """Which is why it is an addition to another loss."""
    y = labels_of((20, 60), (100, 130))
    assert f1_instance(y.roll(70, -1), y).item() == pytest.approx(0, abs=1e-9)
    doubt = torch.full_like(y, 0.5)
    assert count_intervals(doubt).item() == pytest.approx(0.5, abs=1e-9), "which is half an interval"
    assert f1_instance(doubt, y).item() == pytest.approx(1.5 / 2.5, abs=1e-9)


def test_a_soft_edge_counts_for_less_and_a_doubtful_interval_too():
    hard = labels_of((60, 140))
    counts = []
    for n in (1, 4, 16):
        soft = torch.nn.functional.avg_pool1d(torch.nn.functional.pad(hard, (n, n)), 2 * n + 1, 1)
        counts.append(count_intervals(soft).item())
    assert 1 > counts[0] > counts[1] > counts[2] > 0
    assert [round(count_intervals(p * hard).item(), 2) for p in (0.0, 0.3, 0.5, 0.7, 1.0)] == pytest.approx(
        [0, 0.04, 0.5, 0.96, 1], abs=0.08
    )


@pytest.mark.parametrize("loss", LOSSES)
def test_better_labels_have_a_smaller_loss(loss):
    """From nothing to the truth: each step on the straight line is an improvement."""
    y = labels_of((20, 60), (100, 140))
    steps = torch.stack([loss(c * y, y)[0] for c in torch.linspace(0, 1, 11, dtype=torch.float64)])
    assert (steps.diff() <= 1e-12).all() and steps[0].item() == pytest.approx(1, abs=1e-5) and steps[-1].item() < 1e-9
    if loss is not f1_instance:
        shifts = torch.stack([loss(y.roll(n, -1), y)[0] for n in range(8)])
        assert (shifts.diff() > 0).all()


@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_are_finite_differences(loss):
    generator = torch.Generator().manual_seed(3)
    p = torch.rand(2, 2, 24, dtype=torch.float64, generator=generator, requires_grad=True)
    y = random_labels(3, 24)[:2]
    assert torch.autograd.gradcheck(lambda z: loss(z, y), (p,), eps=1e-6, atol=1e-6)
    (slope,) = torch.autograd.grad(loss(p, y).sum(), p)
    assert torch.isfinite(slope).all() and (slope != 0).any()


@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_are_finite_where_there_is_nothing(loss):
    p = torch.zeros(1, 1, 30, requires_grad=True)
    loss(p, torch.zeros(1, 1, 30)).sum().backward()
    assert torch.isfinite(p.grad).all()


@pytest.mark.parametrize("loss", [dice, bound_dice])
def test_following_the_gradient_finds_the_labels(loss):
    y = labels_of((10, 25), n=40)
    z = torch.zeros_like(y).requires_grad_()
    step = torch.optim.Adam([z], lr=0.3)
    for _ in range(60):
        step.zero_grad()
        (dice(z.sigmoid(), y) + loss(z.sigmoid(), y)).sum().backward()
        step.step()
    assert ((z > 0) == (y > 0.5)).all()


@pytest.mark.parametrize("loss", LOSSES)
def test_what_are_no_labels_is_refused(loss):
    y = torch.zeros(1, 1, 30)
    for wrong, said in (
        (y[0], "pred: expected"),
        (y.long(), "pred: expected"),
        (y[..., 1:], "pred: expected"),
        (None, "pred: expected"),
    ):
        with pytest.raises(ValueError, match=said):
            loss(wrong, y)
    with pytest.raises(ValueError, match="true: expected labels"):
        loss(y, y[0])
    with pytest.raises(ValueError, match="width: expected an odd number"):
        bound_dice(y, y, 10)
