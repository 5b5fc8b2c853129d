"""Anomalies in movies: scores of known cases, the equation on its own solutions, and a predictor whose weights are zero."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from experiments import anomaly, movies
from experiments.anomaly import PredictionTask, Predictor, alarm, auroc, choose, decompose, forecast, phases, scales
from experiments.movies import KINDS, activation, beats, draw, equation_residual, slowness
from forwardecg.solver.simulation import solve
from forwardecg.surrogates.train import TrainConfig, fit, initialize
from forwardecg.tissue.sheet import healthy
from forwardecg.tissue.stimulus import edge_stimulus


def disc(n: int = 20) -> np.ndarray:
    y, x = np.indices((n, n))
    return np.hypot(y - 12, x - 9) < 4


def front(speed: float, n: int = 30, n_frames: int = 60) -> np.ndarray:
    """A plane wave (frame, y, x), ``speed`` in mm/ms along x, whose upstroke takes 5 ms."""
    t, x = movies.INTERVAL * np.arange(n_frames)[:, None, None], movies.DX * movies.POOL * np.arange(n)
    return (np.clip((t - 30 - x / speed) / 5 + 0.5, 0, 1) * np.ones((1, n, 1))).astype(np.float32)


@pytest.fixture
def still() -> Predictor:
    """A network that says: the next frame is the last one."""
    model = initialize(Predictor, 0)
    with torch.no_grad():
        for weights in model.layers[-1].parameters():
            weights.zero_()
    return model


def test_auroc_of_a_perfect_score_is_one_and_of_its_negative_zero():
    true = disc()
    assert auroc(true, true * 1.0) == 1 and auroc(true, -1.0 * true) == 0 and auroc(true, np.ones(true.shape)) == 0.5
    noise = np.random.default_rng(0).standard_normal(true.shape)
    assert 0.3 < auroc(true, noise) < 0.7 and auroc(true, noise) == pytest.approx(1 - auroc(true, -noise))


@pytest.mark.parametrize("dt", [0.1, 0.05])
def test_the_equation_has_no_residual_on_its_own_solution_and_little_on_a_finer_one(dt):
    """A solution in half the time steps differs by little over one frame; with another D the residual shows where."""
    sheet = healthy((24, 40), 0.25, 0.1)
    start, where = edge_stimulus(sheet), np.s_[8:16, 20:28]
    D = sheet.D.copy()
    D[where] *= 0.5
    clean, other = (
        np.array([state.u.copy() for state in solve(one, start, t_end=40.0, every=1.0, dt=dt, calibrated=False)])
        for one in (sheet, replace(sheet, D=D))
    )
    residual = equation_residual(clean, sheet, start, 1.0, calibrated=False)
    change = np.abs(np.diff(clean, axis=0)).max()
    assert np.abs(residual).max() < (1e-6 if dt == 0.1 else 0.2) * change
    found = np.abs(equation_residual(other, sheet, start, 1.0, calibrated=False)).sum(0)
    inside = np.zeros(found.shape, bool)
    inside[where] = True
    assert found[inside].mean() > (50 if dt == 0.1 else 2) * np.median(found[~inside])


def test_a_stimulus_that_nobody_knows_is_a_residual():
    sheet = healthy((20, 40), 0.5, 0.13)
    known, second = edge_stimulus(sheet), edge_stimulus(sheet, "right", start=5.0)
    seen = np.array([state.u.copy() for state in solve(sheet, [known, second], t_end=20.0, every=1.0)])
    residual = np.abs(equation_residual(seen, sheet, known, 1.0))
    assert residual[:6].max() < 1e-6 and residual[6].argmax() % 40 >= 36


@pytest.mark.parametrize("speed", [0.4, 0.7])
@pytest.mark.parametrize("level", [0.0, 0.1])
def test_slowness_is_one_over_the_speed(speed, level):
    u = anomaly.add_noise(front(speed), level, 0)
    T = activation(u, 0, 250)
    assert np.isfinite(T).all()
    assert np.median(slowness(T)[3:-3, 3:-3]) == pytest.approx(1 / speed, rel=0.15)


def test_a_movie_with_one_beat_has_one():
    u = front(0.6)
    assert np.isfinite(beats(u)[0]).all() and np.isnan(beats(u)[1]).all()
    later = np.concatenate([u, u * 0, u])[: 2 * len(u)]
    assert np.isnan(beats(u * 0)).all() and np.isfinite(beats(later)[0]).all()


def test_draws_are_known_and_apart():
    for kind in KINDS:
        sheet, tissue, stimuli, where = draw(kind, "test", 3)
        again = draw(kind, "test", 3)
        assert np.array_equal(again[1].D, tissue.D) and np.array_equal(again[3], where)
        assert not np.array_equal(draw(kind, "development", 3)[0].D, sheet.D)
        assert where.any() == (kind != "healthy") and not (where & stimuli[0].mask).any()
        if kind in movies.FACTORS:
            assert np.allclose(tissue.D[where], movies.FACTORS[kind] * sheet.D[where])
            assert 70 <= where.sum() * movies.DX**2 <= 460 and np.array_equal(tissue.D[~where], sheet.D[~where])
        else:
            assert np.array_equal(tissue.D, sheet.D) and len(stimuli) == 1 + (kind == "ectopic")


def test_a_movie_is_the_simulation_in_pixels():
    movie = movies.simulate("D x 0.3", "test", 0, cells=True)
    assert movie.u.shape == (101, 50, 50) and movie.cells is not None and movie.cells.shape == (501, 200, 200)
    assert np.allclose(movie.u[7], movie.cells[35].reshape(50, 4, 50, 4).mean((1, 3)), atol=1e-6)
    on_cells = np.kron(movie.anomaly, np.ones((4, 4))) > 0
    before, after = (movie.cells[round(movie.onset) + k][on_cells].max() for k in (-2, 3))
    assert before < 0.5 < after


def test_what_stands_still_has_no_residual(still):
    u = front(0.6)
    residual = forecast(still, u)
    assert np.allclose(residual[4:], np.diff(u, axis=0)[3:], atol=1e-6) and not residual[:4].any()


def test_movie_is_mean_and_sparse_part(still):
    """A jump of 1 is sparse but for the threshold, which the mean follows by in each frame."""
    u = np.zeros((12, 9, 9), np.float32)
    u[6:, 4, 4] = 1
    sparse = decompose(still, u, 0.25)
    assert sparse[:, 4, 4] == pytest.approx([0] * 6 + [0.75, 0.5, 0.25, 0, 0, 0]) and np.count_nonzero(sparse) == 3
    assert not decompose(still, u, 1.01).any()


def test_phases_count_frames_from_the_nearest_beat():
    T = np.array([[[50.0, np.nan]], [[300.0, np.nan]]])
    at = phases(T, 101)[:, 0]
    assert (
        at[10, 0] == at[60, 0] == round(-anomaly.EARLIEST / movies.INTERVAL) and at[0, 0] == 0 and (at[:, 1] == 0).all()
    )
    assert at[11, 0] == at[10, 0] + 1 and at[100, 0] == at.max()


def test_residuals_over_their_scale_have_the_size_one():
    rng = np.random.default_rng(0)
    phase = rng.integers(0, 27, (40, 20, 20))
    residual = (1 + phase) * rng.standard_normal(phase.shape)
    scale = scales([residual], [phase])
    assert scale == pytest.approx(1 + np.arange(27), rel=0.15)
    assert np.sqrt(np.mean(np.square(residual / scale[phase]))) == pytest.approx(1)


def test_an_alarm_has_a_time_and_a_place():
    field, true = np.zeros((10, 20, 20)), disc()
    assert np.isnan(alarm(field, 0.5, 5.0, true)).all()
    field[4, 12, 19], field[5] = 1, 9
    at, far = alarm(field, 0.5, 5.0, true)
    assert at == 20 and far == pytest.approx(7 * movies.DX * movies.POOL)
    field[4, 12, 9] = 2
    assert alarm(field, 0.5, 5.0, true) == (20, 0)


def test_a_slow_disc_is_watched_once_its_neighbors_are_activated():
    T = beats(front(0.7))
    late = T.copy()
    late[0, 10:16, 10:16] += 4 * (np.arange(6) - 2.5)
    usual, found = (anomaly.watch_slowness(one, 60) for one in (T, late))
    assert found.max() > usual.max() + 0.2 and not found[5].any()


def test_development_chooses_for_each_noise():
    rows = [(noise, f"decomposition x {k}", a) for noise, best in ((0.0, 2), (0.1, 5)) for k, a in ((2, 0.6), (5, 0.6))
            for a in (a, a + 0.2 * (k == best))]  # fmt: skip
    table = pd.DataFrame([*rows, (0.0, "residual", 1.0)], columns=["noise", "method", "auroc"])
    assert choose(table) == {0.0: 2.0, 0.1: 5.0}


def test_a_few_steps_lower_the_loss(one_thread):
    u = np.stack([front(0.5, 20, 80), front(0.7, 20, 80)])
    model = initialize(Predictor, 0)
    history = fit(model, PredictionTask(u, u, model.config), TrainConfig(epochs=25, batch=2, lr=1e-2))
    assert history.loss[20:].mean() < history.loss[:5].mean()
