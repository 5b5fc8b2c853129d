"""What the ends of a sheet show: constants that were put in are found, and those of the code are those of training tissues."""

import math

import numpy as np
import pandas as pd
import pytest

from experiments.edges import DEPTHS, Edge, fitted, row_of
from forwardecg.paths import RESULTS
from forwardecg.surrogates.structured.model import KAPPA
from forwardecg.surrogates.trust import BEGUN, ENDS, ENDS_TIME, at_ends, share_begun, shorter


def made(ends, time, noise=0.0, n=40):
    """Edges of tissues with fronts of .3 to 1 mm/ms on pixels of 2 and 4 mm, whose action potentials are shorter as told."""
    rng, edges = np.random.default_rng(0), []
    for sim in range(n):
        pixel, c = (2.0, 4.0)[sim % 2], rng.uniform(0.3, 1.0)
        found = shorter(np.arange(DEPTHS), math.sqrt(time * KAPPA) * c / pixel, ends)
        edges.append(Edge(sim, pixel, pixel / c, found + noise * rng.normal(size=DEPTHS)))
    return edges


def test_pixels_add_up_to_the_whole_end():
    """Over all pixels the mean of exp(-x / l) is l / dx, whatever the pixel; one pixel has 1 - exp(-dx / l) of it."""
    assert shorter(np.arange(400), 2.5, ends=3.0).sum() == pytest.approx(3.0 * 2.5)
    assert float(shorter(0, 2.5, ends=3.0)) == pytest.approx(3.0 * 2.5 * (1 - math.exp(-0.4)))


@pytest.mark.parametrize(("ends", "time"), [(3.0, 20.0), (4.5, 60.0)])
def test_constants_that_were_put_in_are_found(ends, time):
    assert fitted(made(ends, time)) == pytest.approx((ends, time), rel=1e-4)
    row = row_of("both", made(ends, time, noise=0.02), begun=0.01)
    for name, true in (("ends", ends), ("ends_time", time)):
        assert row[name] == pytest.approx(true, rel=0.05)
        assert row[f"{name}_low"] < row[name] < row[f"{name}_high"] < 1.3 * row[f"{name}_low"]


def test_edges_that_a_front_leaves_through_are_found_and_those_it_comes_from_are_not():
    y, x = np.mgrid[0:60, 0:60]
    times, duration = 20 + 4.0 * x + 0.5 * y, np.full((60, 60), 80.0)
    duration[:, -1] = 78.0
    ((earlier, slowness),) = at_ends(duration, times, 2.0)
    assert np.allclose(earlier[0], 2.0) and np.allclose(earlier[1:], 0.0)
    assert slowness == pytest.approx(math.hypot(4.0, 0.5))


def test_what_begins_depolarized_and_is_passed_by_no_front_is_counted():
    u, number = np.zeros((10, 4, 5)), np.ones((4, 5))
    u[0, 0] = 0.9
    assert share_begun(u, number, number > 0) == 0
    number[0] = 0
    assert share_begun(u, number, np.ones((4, 5), bool)) == 0.25


def test_the_constants_of_the_code_are_those_of_training_tissues():
    table = pd.read_csv(RESULTS / "runs" / "edges.csv").set_index("pixels")
    assert (table.ends_of_code == ENDS).all() and (table.ends_time_of_code == ENDS_TIME).all()
    both = table.loc["both"]
    assert both.ends_low < both.ends < both.ends_high and both.edges > 50
    assert abs(both.ends / ENDS - 1) < 0.15, "half of it is the threshold of an edge that goes on"
    assert table.begun.max() < BEGUN, "no training recording is called late"
