"""The cell of a recording: times that u is above a level, told apart by them, and what is refused."""

import math

import pytest
import torch

from forwardecg.surrogates.structured.cells import (
    LEVELS,
    action_potential,
    cells_of,
    distance,
    known_by,
    read_cell,
    to_card,
)
from forwardecg.surrogates.structured.fronts import RESTITUTION, Cell, read_fronts
from forwardecg.surrogates.structured.model import KAPPA

DX, DT, SPEED = 2.0, 5.0, 0.5


def movie(duration: float, share: float = 1.0, beats: tuple[float, ...] = (30.0,), n: int = 24) -> torch.Tensor:
    """Maps of plane fronts that rise in 2 ms and end after so many ms, falling in the last 40 %; ``share`` of each pixel conducts."""
    t = torch.arange(0.0, 700.0, DT)[:, None, None]
    x = DX * torch.arange(n)
    since = [(t - start - x / SPEED).expand(-1, n, n) for start in beats]
    return share * torch.stack([torch.minimum(s / 2, (1.0 - s / duration) / 0.4).clamp(0, 1) for s in since]).sum(0)


def widths(u: torch.Tensor, dt: float = DT) -> torch.Tensor:
    found = action_potential(u, read_fronts(u, DX, dt), dt)
    assert found is not None
    return found


def card_of(tolerance: float = 0.1) -> dict:
    """Two cells, of 100 and of 250 ms."""
    cells = [Cell(f"{T:g} ms", k, 0.98, RESTITUTION, known_by([widths(movie(T))])) for T, k in ((100, 0.2), (250, 0.5))]
    return to_card(cells, tolerance)


def test_the_widths_are_those_of_the_shape():
    """u falls from 1 to 0 in 0.4 T: it is above a level l of the amplitude A for T (1 - 0.4 l A)."""
    T, u = 200.0, movie(200.0)
    amplitude = float(read_fronts(u, DX, DT).amplitude.median())
    expected = torch.tensor([T * (1 - 0.4 * level * amplitude) for level in LEVELS])
    torch.testing.assert_close(widths(u), expected, rtol=0.02, atol=1.0)


@pytest.mark.parametrize("change", [{"share": 0.5}, {"beats": (30.0, 400.0)}, {"n": 12}])
def test_the_widths_depend_on_the_cell_alone(change):
    torch.testing.assert_close(widths(movie(120.0, **change)), widths(movie(120.0)), rtol=0.02, atol=1.0)


def test_beats_that_follow_soon_and_are_short_say_nothing_of_the_cell():
    """As in re-entry: each beat but the first is shorter, and the recording ends in the middle of one."""
    soon = sum(movie(0.7 * 120.0, beats=(start,)) for start in (170.0, 280.0, 390.0, 500.0, 610.0))
    torch.testing.assert_close(widths(movie(120.0) + soon), widths(movie(120.0)), rtol=0.01, atol=0.5)
    assert (
        distance(widths(movie(0.7 * 120.0)), Cell("120 ms", 0.2, 0.98, RESTITUTION, widths(movie(120.0))[None])) > 0.3
    )


def test_a_second_front_before_rest_ends_no_beat():
    u = torch.maximum(movie(200.0), movie(200.0, beats=(30.0 + 170.0,)))  # no pixel comes to rest in between
    apart = torch.maximum(movie(200.0), movie(200.0, beats=(30.0 + 230.0,)))
    assert action_potential(u, read_fronts(u, DX, DT), DT) is None
    torch.testing.assert_close(widths(apart), widths(movie(200.0)), rtol=0.02, atol=1.0)


def test_slower_frames_and_turned_maps_say_the_same():
    u = movie(200.0)
    torch.testing.assert_close(widths(u[::2], 2 * DT), widths(u), rtol=0.03, atol=2.0)
    torch.testing.assert_close(widths(u.transpose(1, 2)), widths(u), rtol=1e-4, atol=1e-3)


def test_each_cell_is_named_and_another_one_is_refused():
    card = card_of()
    for duration, name in ((100.0, "100 ms"), (104.0, "100 ms"), (250.0, "250 ms"), (160.0, None), (500.0, None)):
        u = movie(duration)
        found = read_cell(u, read_fronts(u, DX, DT), DT, card)
        assert (found.name if found else None) == name, duration
    u = movie(100.0)
    assert (
        read_cell(u, read_fronts(u, DX, DT), DT, card_of(1e-6)) is None or distance(widths(u), cells_of(card)[0]) < 1e-6
    )


def test_the_distance_is_the_largest_logarithm():
    cell = cells_of(card_of())[0]
    assert distance(cell.widths[2], cell) == 0
    assert distance(cell.widths[2] * torch.tensor([1, 1, 1.2, 0.9]), cell) == pytest.approx(math.log(1.2), rel=1e-5)


def test_without_a_whole_action_potential_nothing_is_read():
    u = movie(250.0)[:20]  # ends before it has fallen
    assert action_potential(u, read_fronts(u, DX, DT), DT) is None
    assert read_cell(u, read_fronts(u, DX, DT), DT, card_of()) is None
    still = torch.zeros(40, 9, 9)
    assert action_potential(still, read_fronts(still, DX, DT), DT) is None


def test_a_card_gives_back_its_cells_and_one_without_knows_one():
    card = card_of()
    one, other = cells_of(card)
    assert (one.name, one.kappa, other.kappa) == ("100 ms", 0.2, 0.5) and card["cell_tolerance"] == 0.1
    torch.testing.assert_close(one.restitution, RESTITUTION)
    assert one.widths.shape == (5, len(LEVELS))
    (alone,) = cells_of({})
    u = movie(250.0)
    found = read_cell(u, read_fronts(u, DX, DT), DT, {})
    assert found is not None and alone.kappa == KAPPA and found.name == alone.name == "FK-CAF"
